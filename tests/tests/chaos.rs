//! A short mixture of faults; `make chaos` is the long one.

use std::process::ExitCode;

use redshift_local::stack::Stack;
use tests::chaos::{plan, play, stack};
use tests::{Outcome, failed, run, tests};

async fn a_short_mixture_loses_nothing_and_leaves_nothing_running(stack: &Stack) -> Outcome {
    let seed = fastrand::u64(0..1_000_000);
    let plan = plan(&mut fastrand::Rng::with_seed(seed), 0, 2);
    let report = play(stack, seed, &plan, |_| ()).await?;
    let wrong = report.wrong();
    if wrong.is_empty() { Ok(()) } else { Err(failed(format!("seed {seed}: {}", wrong.join("; ")))) }
}

async fn each_fault_ends_as_expected(stack: &Stack) -> Outcome {
    let plan = plan(&mut fastrand::Rng::with_seed(0), 1, 0);
    let report = play(stack, 0, &plan, |_| ()).await?;
    let wrong = report.wrong();
    if wrong.is_empty() { Ok(()) } else { Err(failed(wrong.join("; "))) }
}

fn main() -> ExitCode {
    let tests = tests![a_short_mixture_loses_nothing_and_leaves_nothing_running, each_fault_ends_as_expected];
    run(tests, async || stack().await.expect("the stack"), async |stack: Stack| stack.stop().await)
}
