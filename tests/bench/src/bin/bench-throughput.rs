//! How many statements and long polls the local Data API holds, and how fast it answers, on this machine.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use loader::terminal::{numbers, table};
use redshift_data_local::process::Folder;
use redshift_data_local::{Config, Running};
use redshift_local::postgres;
use redshift_local::warehouse::Warehouse;
use serde_json::json;
use tests::load::{self, Figures};
use tests::{Any, failed, until_interrupted};

/// Statements at once, and polls on each.
const LOADS: [(usize, usize); 3] = [(10, 5), (50, 5), (200, 5)];

#[tokio::main]
async fn main() -> Any<()> {
    until_interrupted(run()).await
}

async fn run() -> Any<()> {
    let dir = Folder::new()?;
    let postgres = postgres::start(dir.path()).await?;
    let warehouse = Warehouse::new(&postgres.url())?;
    let mut table = table(["statements", "polls", "lost", "seconds to last answer", "requests per second"]);
    let mut rows: Vec<Figures> = Vec::new();
    for (statements, polls) in LOADS {
        let api = Running::start(Config::new(warehouse.config().clone(), vec!["w-1".into()])).await?;
        let figures = load::run(&api.url, statements, polls).await?;
        api.stop().await;
        table.add_row([
            figures.statements.to_string(),
            figures.polls.to_string(),
            figures.lost.to_string(),
            format!("{:.3}", figures.seconds_to_last_answer),
            format!("{:.0}", figures.requests_per_second),
        ]);
        rows.push(figures);
    }
    postgres.stop().await;
    numbers(&mut table);
    println!("{table}");
    bench::report("bench/throughput.json", &json!({"rows": rows.iter().map(Figures::json).collect::<Vec<_>>()}))?;
    match rows.iter().map(|figures| figures.lost).sum::<usize>() {
        0 => Ok(()),
        lost => Err(failed(format!("{lost} polls were lost"))),
    }
}
