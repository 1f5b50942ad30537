//! `make chaos`: the pipeline under every fault. `make chaos SEED=...` plays the same mixtures again.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::process::ExitCode;

use loader::tools::project;
use redshift_data_local::interrupted;
use tests::Any;
use tests::chaos::{plan, play, stack};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(wrong) if wrong.is_empty() => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("chaos: not as it must be:\n  {}", wrong.join("\n  "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Any<Vec<String>> {
    let seed = match std::env::args().nth(1) {
        Some(seed) => seed.parse().map_err(|_| "the seed has to be a whole number")?,
        None => fastrand::u64(0..1_000_000),
    };
    println!("seed {seed}");
    let plan = plan(&mut fastrand::Rng::with_seed(seed), 2, 10);
    let stack = tokio::select! {
        stack = stack() => stack?,
        () = interrupted() => return Err("interrupted".into()),
    };
    let report = tokio::select! {
        report = play(&stack, seed, &plan, |line| println!("{line}")) => report,
        () = interrupted() => Err("interrupted".into()),
    };
    stack.stop().await;
    let report = report?;
    println!("\n{}", report.table());
    std::fs::create_dir_all(project("target/chaos"))?;
    std::fs::write(project("target/chaos/report.json"), serde_json::to_string_pretty(&report.json())?)?;
    println!("report: target/chaos/report.json");
    Ok(report.wrong())
}
