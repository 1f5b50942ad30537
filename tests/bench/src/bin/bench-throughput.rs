//! How many statements and long polls the local Data API holds, and how fast it answers, on this machine.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::process::ExitCode;

use loader::tools::project;
use redshift_data_local::interrupted;
use redshift_data_local::{Config, Running};
use redshift_local::postgres::Postgres;
use redshift_local::warehouse::Warehouse;
use serde_json::json;
use tempfile::TempDir;
use tests::Any;
use tests::load::{self, Figures};

/// Statements at once, and polls on each.
const LOADS: [(usize, usize); 3] = [(10, 5), (50, 5), (200, 5)];

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = run() => outcome,
        () = interrupted() => Err("interrupted".into()),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(lost) => {
            eprintln!("bench-throughput: {lost} polls were lost");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("bench-throughput: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many polls were lost.
async fn run() -> Any<usize> {
    let dir = TempDir::new()?;
    let postgres = Postgres::start(dir.path()).await?;
    let warehouse = Warehouse::new(&postgres.url())?;
    println!(
        "{:>10} {:>6} {:>5} {:>22} {:>20}",
        "statements", "polls", "lost", "seconds to last answer", "requests per second"
    );
    let mut rows: Vec<Figures> = Vec::new();
    for (statements, polls) in LOADS {
        let api = Running::start(Config::new(warehouse.config().clone(), vec!["w-1".into()])).await?;
        let f = load::run(&api.url, statements, polls).await?;
        api.stop().await;
        println!(
            "{:>10} {:>6} {:>5} {:>22.3} {:>20.0}",
            f.statements, f.polls, f.lost, f.seconds_to_last_answer, f.requests_per_second
        );
        rows.push(f);
    }
    postgres.stop().await;
    std::fs::create_dir_all(project("target/bench"))?;
    let report = json!({"rows": rows.iter().map(Figures::json).collect::<Vec<_>>()});
    std::fs::write(project("target/bench/throughput.json"), serde_json::to_string_pretty(&report)?)?;
    println!("report: target/bench/throughput.json");
    Ok(rows.iter().map(|f| f.lost).sum())
}
