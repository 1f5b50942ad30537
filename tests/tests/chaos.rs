//! A short mixture of faults, and each fault by itself; `make chaos` is the long run.

use std::process::ExitCode;

use redshift_local::stack::Stack;
use tests::chaos::{Scenario, plan, play, stack};
use tests::{Outcome, failed, run, tests};

/// Two, which share the trials: most of a trial is waiting.
struct Stacks(Stack, Stack);

impl Stacks {
    async fn play(&self, seed: u64, plan: &[Scenario]) -> Outcome {
        let half = |n| plan.iter().skip(n).step_by(2).cloned().collect::<Vec<_>>();
        let (first, second) = (half(0), half(1));
        let reports = tokio::try_join!(play(&self.0, seed, &first, |_| ()), play(&self.1, seed, &second, |_| ()))?;
        let wrong = [reports.0.wrong(), reports.1.wrong()].concat();
        if wrong.is_empty() { Ok(()) } else { Err(failed(format!("seed {seed}: {}", wrong.join("; ")))) }
    }
}

async fn a_short_mixture_loses_nothing_and_leaves_nothing_running(stacks: &Stacks) -> Outcome {
    let seed = fastrand::u64(0..1_000_000);
    stacks.play(seed, &plan(&mut fastrand::Rng::with_seed(seed), 0, 2)).await
}

async fn each_fault_ends_as_expected(stacks: &Stacks) -> Outcome {
    stacks.play(0, &plan(&mut fastrand::Rng::with_seed(0), 1, 0)).await
}

fn main() -> ExitCode {
    let tests = tests![a_short_mixture_loses_nothing_and_leaves_nothing_running, each_fault_ends_as_expected];
    let start = async || {
        let (first, second) = tokio::try_join!(stack(), stack()).expect("two stacks");
        Stacks(first, second)
    };
    run(tests, start, async |Stacks(first, second)| {
        first.stop().await;
        second.stop().await;
    })
}
