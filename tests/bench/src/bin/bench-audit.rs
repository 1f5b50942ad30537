//! `make bench-audit`: how long the notifications of 1, 100 and 10,000 unresolved runs take, beside one
//! publish after the other in Python, in the same run and against the same sink. Then the same 10,000 runs
//! with 1,000,000 audit rows in a real PostgreSQL. Figures: target/bench/audit.json.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::time::{Duration, Instant};

use loader::terminal::{numbers, table};
use redshift_data_local::process::Folder;
use redshift_data_local::{Config, Running};
use redshift_local::postgres;
use redshift_local::warehouse::Warehouse;
use serde_json::{Value, json};
use tests::host::{Function, python_function, release};
use tests::sink::Sink;
use tests::{Any, until_interrupted};
use tokio::process::Command;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:topic";
/// What the sink takes for a publish, as a service does; SNS itself takes longer.
const LATENCY: Duration = Duration::from_millis(1);
/// The function's own time-out in the template.
const TIME: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> Any<()> {
    until_interrupted(run()).await
}

async fn run() -> Any<()> {
    let sink = Sink::default();
    let url = sink.start().await?;
    let idle = idle(&url).await?;
    println!("an idle bootstrap has {idle} KiB\n");
    let mut table = table(["way", "runs", "calls", "seconds", "peak KiB", "ratio"]);
    let mut rows = Vec::new();
    for (runs, latency) in [(1, LATENCY), (100, LATENCY), (10_000, LATENCY), (10_000, Duration::ZERO)] {
        sink.take(latency);
        sink.reset(None);
        sink.answer_queries_with(runs);
        let python = measured(python_function("orders_audit_fn")?, [&url, &url, "d"], &sink, runs).await?;
        sink.reset(None);
        sink.answer_queries_with(runs);
        let ours = measured(ours()?, [&url, &url, "d"], &sink, runs).await?;
        let ratio = python["seconds"].as_f64().unwrap_or(0.0) / ours["seconds"].as_f64().unwrap_or(1.0);
        let at_once = if latency.is_zero() { ", no latency" } else { "" };
        table.add_row(cells(runs, &format!("Python, one by one{at_once}"), &python, Some(1.0)));
        table.add_row(cells(runs, &format!("orders-audit-fn{at_once}"), &ours, Some(ratio)));
        rows.push(json!({"runs": runs, "latency_ms": latency.as_secs_f64() * 1000.0, "python": python, "ours": ours, "ratio": ratio}));
    }
    sink.take(LATENCY);
    let warehouse = with_warehouse(&url, &sink).await?;
    table.add_row(cells(10_000, "ours, 1,000,000 rows", &warehouse, None));
    numbers(&mut table);
    println!("{table}");
    let report = json!({"idle_kib": idle, "rows": rows, "warehouse": warehouse});
    bench::report("bench/audit.json", &report)?;
    let peak = warehouse["peak_kib"].as_u64().unwrap_or(u64::MAX);
    let ratio = |row: usize| report["rows"][row]["ratio"].as_f64().unwrap_or(0.0);
    if warehouse["calls"] != 1000 || peak >= idle + 16 * 1024 || ratio(2) < 25.0 || ratio(3) < 18.0 {
        return Err("not as claimed: 1,000 calls, 16 MiB above idle, 25 times as fast, 18 times without latency".into());
    }
    Ok(())
}

fn cells(runs: usize, way: &str, figures: &Value, ratio: Option<f64>) -> [String; 6] {
    [
        way.to_owned(),
        runs.to_string(),
        figures["calls"].to_string(),
        format!("{:.3}", figures["seconds"].as_f64().unwrap_or(0.0)),
        figures["peak_kib"].to_string(),
        ratio.map_or(String::new(), |ratio| format!("{ratio:.1}x")),
    ]
}

fn ours() -> Any<Command> {
    Ok(Command::new(release("orders-audit-fn")?))
}

/// Starts a function on a Data API, an SNS and a database.
async fn start(command: Command, [redshift, sns, database]: [&str; 3]) -> Any<Function> {
    let environment = [
        ("AWS_ENDPOINT_URL_REDSHIFT_DATA", redshift),
        ("AWS_ENDPOINT_URL_SNS", sns),
        ("WORKGROUP_NAME", "w-1"),
        ("DATABASE", database),
        ("TOPIC_ARN", TOPIC),
    ];
    Function::start(command, &environment).await
}

/// The peak of a bootstrap that has started and waits.
async fn idle(url: &str) -> Any<u64> {
    let function = start(ours()?, [url, url, "d"]).await?;
    function.ready(TIME).await?;
    let peak = function.peak_kib();
    function.kill().await;
    Ok(peak)
}

/// From the start of the process to its answer.
async fn measured(command: Command, services: [&str; 3], sink: &Sink, runs: usize) -> Any<Value> {
    let begin = Instant::now();
    let function = start(command, services).await?;
    let answer = function.invoke(json!({"ExecutionId": "bench"}), TIME).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let peak = function.peak_kib();
    function.kill().await;
    let notified = answer.map_err(|e| format!("the function failed: {e}"))?["Notified"].clone();
    if notified != runs || sink.runs().len() != runs {
        return Err(format!("{notified} of {runs} runs were notified, {} arrived", sink.runs().len()).into());
    }
    Ok(json!({"calls": sink.calls(), "seconds": seconds, "peak_kib": peak}))
}

/// 10,000 runs of 100 rows each, grouped and marked by the engine.
async fn with_warehouse(sns: &str, sink: &Sink) -> Any<Value> {
    let dir = Folder::new()?;
    let postgres = postgres::start(dir.path()).await?;
    let warehouse = Warehouse::new(&postgres.url())?;
    warehouse.reset().await?;
    warehouse
        .run(
            "INSERT INTO dev.orders_audit (mismatch_key, run_id, order_id, kind, order_ts, status, changed_in) \
             SELECT 'DIFFERENT:' || n / 100 || ':' || n, n / 100, n, 'DIFFERENT', '2026-01-01', 'NEW', 1 \
             FROM generate_series(0, 999999) n; ANALYZE dev.orders_audit",
        )
        .await?;
    let api = Running::start(Config::new(warehouse.config().clone(), vec![])).await?;
    sink.reset(None);
    let figures = measured(ours()?, [&api.url, sns, warehouse.database()], sink, 10_000).await;
    api.stop().await;
    postgres.stop().await;
    figures
}
