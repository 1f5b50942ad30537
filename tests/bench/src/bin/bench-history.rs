//! `make bench-history`: what a load and an audit of 10,000 new rows take on top of a history of 100,000, 1,000,000 and 4,000,000
//! rows. Beside them, in the same run and on the same PostgreSQL, a load and an audit over the whole history, and a public tool
//! for the same comparison. Then orders-audit-fn with a history of resolved rows. Figures: target/bench/history.json.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::Path;
use std::time::{Duration, Instant};

use loader::audit::Declaration;
use loader::terminal::{numbers, table};
use loader::tools::project;
use plotters::prelude::*;
use redshift_data_local::process::Folder;
use redshift_data_local::{Config, Running};
use redshift_local::postgres;
use redshift_local::warehouse::Warehouse;
use serde_json::{Value, json};
use tests::host::{Function, release};
use tests::sink::Sink;
use tests::{Any, until_interrupted};
use tokio::process::Command;

const HISTORIES: [i64; 3] = [100_000, 1_000_000, 4_000_000];
/// Of a table with many columns.
const WIDE_HISTORIES: [i64; 2] = [100_000, 1_000_000];
const COLUMNS_OF_WIDE: usize = 40;
/// Rows of a run, those of the history included.
const ROWS_OF_A_RUN: i64 = 10_000;
/// So many rows of each new run differ.
const WRONG: i64 = 10;
/// Each timing is the median of so many.
const ROUNDS: i64 = 5;
/// Rows of the audit table that are RESOLVED, over 400 days, and runs that are not.
const RESOLVED: i64 = 1_000_000;
const UNRESOLVED_RUNS: i64 = 100;
/// Invocations of orders-audit-fn, of which the median counts.
const INVOCATIONS: usize = 15;
const TIME: Duration = Duration::from_secs(300);

const LOAD: &str = "CALL dev.enriched_orders_sp()";
const AUDIT: &str = "CALL dev.audit_orders_sp()";
const SWEEP: &str = "CALL dev.audit_orders_sweep_sp()";
const PEER: &str = "reladiff, joindiff";

#[tokio::main]
async fn main() -> Any<()> {
    until_interrupted(run()).await
}

async fn run() -> Any<()> {
    let dir = Folder::new()?;
    let postgres = postgres::start(dir.path()).await?;
    let warehouse = Warehouse::new(&postgres.url())?;
    let measured = async {
        let mut rows = Vec::new();
        for history in HISTORIES {
            println!("a history of {history} rows ...");
            rows.push(Row::measure(&warehouse, history).await?);
        }
        let mut wide = Vec::new();
        for history in WIDE_HISTORIES {
            println!("a history of {history} rows of {COLUMNS_OF_WIDE} columns ...");
            wide.push(Wide::measure(&warehouse, history).await?);
        }
        println!("orders-audit-fn ...");
        Any::Ok((rows, wide, Notified::measure(&warehouse).await?))
    };
    let measured = measured.await;
    postgres.stop().await;
    let (rows, wide, notified) = measured?;
    print(&rows);
    print_wide(&wide);
    println!(
        "orders-audit-fn, {UNRESOLVED_RUNS} unresolved runs: {:.3} s alone, {:.3} s with {RESOLVED} RESOLVED rows behind them\n",
        notified.alone, notified.with_history
    );
    let holds = claims(&rows, &wide, &notified);
    bench::report("bench/history.json", &json(&rows, &wide, &notified))?;
    draw(&rows, &project("tests/bench/figures/history.svg"))?;
    println!("figure: tests/bench/figures/history.svg");
    if holds { Ok(()) } else { Err("a claim does not hold".into()) }
}

/// What one CALL took and did.
#[derive(Debug, Clone, Default)]
struct Call {
    seconds: f64,
    /// Rows of tables of the schema `dev` that it inserted, updated or deleted.
    written: i64,
    /// Tables that it locked so that nobody else could read them.
    locked: String,
}

impl Call {
    /// Calls in a transaction of its own, which is asked what it wrote and locked before it commits.
    async fn measure(warehouse: &Warehouse, call: &str) -> Any<Self> {
        warehouse.run("CHECKPOINT").await?;
        let mut session = warehouse.connect().await?;
        let transaction = session.transaction().await?;
        let begin = Instant::now();
        transaction.batch_execute(call).await?;
        let called = begin.elapsed();
        let written = "SELECT CAST(COALESCE(SUM(n_tup_ins + n_tup_upd + n_tup_del), 0) AS BIGINT) \
             FROM pg_stat_xact_user_tables WHERE schemaname = 'dev'";
        let locked = "SELECT COALESCE(STRING_AGG(relname, ' ' ORDER BY relname), '') FROM pg_locks \
             JOIN pg_class ON pg_class.oid = relation JOIN pg_namespace n ON n.oid = relnamespace \
             WHERE pid = PG_BACKEND_PID() AND mode = 'AccessExclusiveLock' AND nspname = 'dev'";
        let written = transaction.query_one(written, &[]).await?.get(0);
        let locked = transaction.query_one(locked, &[]).await?.get(0);
        let begin = Instant::now();
        transaction.commit().await?;
        Ok(Self { seconds: (called + begin.elapsed()).as_secs_f64(), written, locked })
    }

    /// The one of these that took the median time.
    fn median(mut calls: Vec<Self>) -> Self {
        calls.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        calls.swap_remove(calls.len() / 2)
    }
}

/// The timings on top of one history.
#[derive(Debug)]
struct Row {
    history: i64,
    load: Call,
    audit: Call,
    idle: Call,
    sweep: Call,
    todays_load: Call,
    todays_audit: Call,
    peers_sweep: f64,
}

impl Row {
    async fn measure(warehouse: &Warehouse, history: i64) -> Any<Self> {
        warehouse.reset().await?;
        fill(warehouse, history).await?;
        // The first audit looks at everything, and comes to know the runs.
        warehouse.run(SWEEP).await?;
        let mut run = history / ROWS_OF_A_RUN;
        let (mut loads, mut audits, mut idle, mut sweeps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            run += 1;
            stage(warehouse, run).await?;
            loads.push(Call::measure(warehouse, LOAD).await?);
            audits.push(Call::measure(warehouse, AUDIT).await?);
            idle.push(Call::measure(warehouse, AUDIT).await?);
        }
        for _ in 0..ROUNDS {
            sweeps.push(Call::measure(warehouse, SWEEP).await?);
        }
        found(warehouse, ROUNDS * WRONG).await?;
        let peers_sweep = peer(warehouse, ROUNDS * WRONG).await?;

        let procedures = std::fs::read_to_string(project("tests/bench/rivals/whole_history.sql"))?;
        warehouse.run(&procedures).await?;
        warehouse.run("TRUNCATE dev.orders_audit").await?;
        let (mut todays_loads, mut todays_audits) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            run += 1;
            // It leaves in staging what it has loaded; here it has less to look through.
            warehouse.run("TRUNCATE dev.orders").await?;
            stage(warehouse, run).await?;
            todays_loads.push(Call::measure(warehouse, LOAD).await?);
            todays_audits.push(Call::measure(warehouse, AUDIT).await?);
        }
        found(warehouse, 2 * ROUNDS * WRONG).await?;
        Ok(Self {
            history,
            load: Call::median(loads),
            audit: Call::median(audits),
            idle: Call::median(idle),
            sweep: Call::median(sweeps),
            todays_load: Call::median(todays_loads),
            todays_audit: Call::median(todays_audits),
            peers_sweep,
        })
    }
}

/// The timings of an audit of a table with many columns.
#[derive(Debug)]
struct Wide {
    history: i64,
    audit: Call,
    idle: Call,
    sweep: Call,
}

/// The types of its columns, in turn, with a value of the row `n`.
const TYPES_OF_WIDE: [(&str, &str); 8] = [
    ("BIGINT", "n * 7"),
    ("INTEGER", "n % 100000"),
    ("DECIMAL(12, 2)", "n % 9973 / 100.0"),
    ("VARCHAR(40)", "'value ' || n % 5000"),
    ("DATE", "DATE '2026-01-01' + CAST(n % 365 AS INTEGER)"),
    ("TIMESTAMP", "TIMESTAMP '2026-01-01' + n * INTERVAL '1 second'"),
    ("BOOLEAN", "n % 3 = 0"),
    ("DOUBLE PRECISION", "n / 7.0"),
];

impl Wide {
    async fn measure(warehouse: &Warehouse, history: i64) -> Any<Self> {
        // Run and key are two of them.
        let columns: Vec<(String, &str, &str)> = (0..COLUMNS_OF_WIDE - 2)
            .map(|n| (format!("c{n:02}"), TYPES_OF_WIDE[n % 8].0, TYPES_OF_WIDE[n % 8].1))
            .collect();
        let join = |all: Vec<String>| all.join(", ");
        let declared = join(columns.iter().map(|(name, of, _)| format!("{{name: {name}, type: '{of}'}}")).collect());
        let declaration = format!(
            "name: wide\nsource: wide.source\ntarget: wide.target\nrun: {{name: run_id, type: BIGINT}}\n\
             key: [{{name: id, type: BIGINT}}]\ncolumns: [{declared}]\nwindow: {{runs: 10}}\n"
        );
        let table = join(columns.iter().map(|(name, of, _)| format!("{name} {of}")).collect());
        let values = join(columns.iter().map(|(_, of, value)| format!("CAST({value} AS {of})")).collect());
        let rows = |from: i64, to: i64| {
            let series = format!("generate_series(CAST({from} AS BIGINT), {to}) n");
            let side = |name: &str| {
                format!("INSERT INTO wide.{name} SELECT n / {ROWS_OF_A_RUN} + 1, n, {values} FROM {series};")
            };
            side("source") + &side("target")
        };
        let sides = ["source", "target"].map(|name| {
            format!(
                "CREATE TABLE wide.{name} (run_id BIGINT, id BIGINT, {table});
                 CREATE INDEX {name}_zone_map ON wide.{name} USING brin (run_id) WITH (pages_per_range = 128);"
            )
        });
        let sql = Declaration::parse("wide.yaml", &declaration)?.sql()?;
        let tables = sides.concat();
        warehouse.run(&format!("DROP SCHEMA IF EXISTS wide CASCADE; CREATE SCHEMA wide; {tables} {sql}")).await?;
        warehouse.run(&rows(0, history - 1)).await?;
        for name in ["wide.source", "wide.target"] {
            warehouse.run(&format!("VACUUM ANALYZE {name}")).await?;
        }
        warehouse.run("CALL wide.audit_wide_sweep_sp()").await?;
        let (mut audits, mut idle, mut sweeps) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let from = history + round * ROWS_OF_A_RUN;
            let wrong =
                format!("UPDATE wide.target SET c01 = c01 + 1 WHERE id BETWEEN {from} AND {from} + {WRONG} - 1");
            warehouse.run(&format!("{} {wrong}", rows(from, from + ROWS_OF_A_RUN - 1))).await?;
            audits.push(Call::measure(warehouse, "CALL wide.audit_wide_sp()").await?);
            idle.push(Call::measure(warehouse, "CALL wide.audit_wide_sp()").await?);
        }
        for _ in 0..ROUNDS {
            sweeps.push(Call::measure(warehouse, "CALL wide.audit_wide_sweep_sp()").await?);
        }
        let found = warehouse.number("SELECT COUNT(*) FROM wide.wide_audit WHERE kind = 'DIFFERENT'").await?;
        if found != ROUNDS * WRONG {
            return Err(format!("{found} rows differ; there are {}", ROUNDS * WRONG).into());
        }
        warehouse.run("DROP SCHEMA wide CASCADE").await?;
        Ok(Self { history, audit: Call::median(audits), idle: Call::median(idle), sweep: Call::median(sweeps) })
    }
}

fn print_wide(wide: &[Wide]) {
    let mut table = table(["history", &format!("{COLUMNS_OF_WIDE} columns"), "seconds"]);
    for row in wide {
        for (name, call) in [("audit", &row.audit), ("audit, nothing new", &row.idle), ("sweep", &row.sweep)] {
            table.add_row([row.history.to_string(), name.to_owned(), format!("{:.3}", call.seconds)]);
        }
    }
    numbers(&mut table);
    println!("{table}\n");
}

/// What stands in a column of the order `n` of both sides.
const ORDER: &str = "n / 10000 + 1, n, n % 1000, n % 50, 'P-' || n % 500, 'Product ' || n % 500, n % 10000 / 100.0, n % 9, \
    TIMESTAMP '2026-01-01' + n * INTERVAL '1 second'";
const COLUMNS: &str =
    "run_id, order_id, customer_id, seller_id, product_code, product_name, product_price, product_qty, order_ts";

/// A history that is loaded, the same on both sides.
async fn fill(warehouse: &Warehouse, history: i64) -> Any<()> {
    let rows = format!("({COLUMNS}) SELECT {ORDER} FROM generate_series(CAST(0 AS BIGINT), {}) n", history - 1);
    let sql = format!(
        "TRUNCATE dev.orders, dev.customers, dev.sellers, s3_staging_schema.new_orders_staging_area;
         INSERT INTO dev.customers SELECT n, 'Customer ' || n, n || ' Lake Road' FROM generate_series(0, 999) n;
         INSERT INTO dev.sellers SELECT n, 'Seller ' || n, n || ' Mill Way' FROM generate_series(0, 49) n;
         INSERT INTO s3_staging_schema.new_orders_staging_area {rows};
         INSERT INTO dev.orders_final {rows}"
    );
    warehouse.run(&sql).await?;
    // Redshift keeps its statistics and zone maps up to date by itself.
    for name in ["dev.orders_final", "s3_staging_schema.new_orders_staging_area", "dev.customers", "dev.sellers"] {
        warehouse.run(&format!("VACUUM ANALYZE {name}")).await?;
    }
    Ok(())
}

/// A new run in S3 and in staging, a few rows of which differ. A COPY on Redshift leaves statistics behind.
async fn stage(warehouse: &Warehouse, run: i64) -> Any<()> {
    let (from, to) = (ROWS_OF_A_RUN * (run - 1), ROWS_OF_A_RUN * run - 1);
    let rows = format!("({COLUMNS}) SELECT {ORDER} FROM generate_series(CAST({from} AS BIGINT), {to}) n");
    let sql = format!(
        "INSERT INTO s3_staging_schema.new_orders_staging_area {rows};
         INSERT INTO dev.orders {rows};
         UPDATE dev.orders SET product_price = product_price + 1 WHERE order_id < {};
         ANALYZE dev.orders",
        from + WRONG
    );
    Ok(warehouse.run(&sql).await?)
}

/// Every way must find the same.
async fn found(warehouse: &Warehouse, expected: i64) -> Any<()> {
    let found = warehouse.number("SELECT COUNT(*) FROM dev.orders_audit WHERE kind = 'DIFFERENT'").await?;
    if found == expected { Ok(()) } else { Err(format!("{found} rows differ; there are {expected}").into()) }
}

/// The peer over everything, without its search for duplicates.
async fn peer(warehouse: &Warehouse, expected: i64) -> Any<f64> {
    let program = project(".tools/bench/bin/reladiff");
    if !program.exists() {
        return Err("the benchmarks' tools are not installed in .tools: run `make bench-setup`".into());
    }
    let mut command = Command::new(program);
    command.arg(warehouse.url()).args(["s3_staging_schema.new_orders_staging_area", "dev.orders_final"]);
    command.args(["-k", "run_id", "-k", "order_id", "--algorithm", "joindiff", "--assume-unique-key", "--json"]);
    for column in COLUMNS.split(", ").skip(2) {
        command.args(["-c", column]);
    }
    let begin = Instant::now();
    let output = command.kill_on_drop(true).output().await?;
    let seconds = begin.elapsed().as_secs_f64();
    // A row that differs is shown once for each side.
    let differ = String::from_utf8_lossy(&output.stdout).matches("[\"+\"").count();
    if !output.status.success() || i64::try_from(differ)? != expected {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{PEER} found {differ} rows that differ; there are {expected}. {stderr}").into());
    }
    Ok(seconds)
}

/// How long an invocation of orders-audit-fn takes, in seconds, messages about clean runs included.
#[derive(Debug)]
struct Notified {
    alone: f64,
    with_history: f64,
}

impl Notified {
    async fn measure(warehouse: &Warehouse) -> Any<Self> {
        let sink = Sink::default();
        let sns = sink.start().await?;
        let api = Running::start(Config::new(warehouse.config().clone(), vec![])).await?;
        let mut seconds = Vec::new();
        for resolved in [0, RESOLVED] {
            warehouse.reset().await?;
            let rows = format!(
                "INSERT INTO dev.orders_audit (run_id, mismatch_key, order_id, kind, order_ts, row_count, status, \
                 first_seen_at, last_seen_at, changed_in, notified_at, notified_by, resolved_at, closed_by) \
                 SELECT n / 100, 'DIFFERENT:' || n, n, 'DIFFERENT', t, 1, 'RESOLVED', t, t, n / 1000, t, 'e-' || n / 1000, \
                 t, 'e-' || n / 1000 FROM (SELECT n, CAST(NOW() AS TIMESTAMP) - ({resolved} - n) * INTERVAL '400 days' \
                 / {RESOLVED} AS t FROM generate_series(1, {resolved}) n) resolved;
                 INSERT INTO dev.orders_audit (run_id, mismatch_key, order_id, kind, order_ts, row_count, status, \
                 first_seen_at, last_seen_at, changed_in) SELECT {RESOLVED} + n / 10, 'DIFFERENT:' || {RESOLVED} + n, n, \
                 'DIFFERENT', NOW(), 1, 'NEW', NOW(), NOW(), {RESOLVED} FROM generate_series(0, {UNRESOLVED_RUNS} * 10 - 1) n"
            );
            warehouse.run(&rows).await?;
            warehouse.run("VACUUM ANALYZE dev.orders_audit").await?;
            let mut rounds = Vec::new();
            for round in 0..INVOCATIONS {
                sink.reset(None);
                rounds.push(invoke([&api.url, &sns, warehouse.database()], &format!("bench-{round}")).await?);
                if sink.runs().len() != usize::try_from(UNRESOLVED_RUNS)? {
                    return Err(format!("{} of {UNRESOLVED_RUNS} runs were notified", sink.runs().len()).into());
                }
            }
            rounds.sort_by(f64::total_cmp);
            seconds.push(rounds[INVOCATIONS / 2]);
        }
        api.stop().await;
        Ok(Self { alone: seconds[0], with_history: seconds[1] })
    }
}

/// From the event to the answer.
async fn invoke([redshift, sns, database]: [&str; 3], execution: &str) -> Any<f64> {
    let environment = [
        ("AWS_ENDPOINT_URL_REDSHIFT_DATA", redshift),
        ("AWS_ENDPOINT_URL_SNS", sns),
        ("WORKGROUP_NAME", "w-1"),
        ("DATABASE", database),
        ("TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:topic"),
        ("NOTIFY_RESOLVED", "true"),
    ];
    let function = Function::start(Command::new(release("orders-audit-fn")?), &environment).await?;
    function.ready(TIME).await?;
    let begin = Instant::now();
    let answer = function.invoke(json!({"ExecutionId": execution}), TIME).await?;
    let seconds = begin.elapsed().as_secs_f64();
    function.kill().await;
    answer.map_err(|e| format!("the function failed: {e}"))?;
    Ok(seconds)
}

fn print(rows: &[Row]) {
    println!("\nseconds for {ROWS_OF_A_RUN} new rows as the median of {ROUNDS}, and what was written and locked\n");
    let mut table = table(["history", "call", "seconds", "rows written", "locked against readers"]);
    for row in rows {
        for (name, call) in [
            ("load", &row.load),
            ("audit", &row.audit),
            ("audit, nothing new", &row.idle),
            ("sweep", &row.sweep),
            ("load over the history", &row.todays_load),
            ("audit over the history", &row.todays_audit),
        ] {
            table.add_row([
                row.history.to_string(),
                name.to_owned(),
                format!("{:.3}", call.seconds),
                call.written.to_string(),
                call.locked.clone(),
            ]);
        }
        let none = String::new;
        table.add_row([row.history.to_string(), PEER.to_owned(), format!("{:.3}", row.peers_sweep), none(), none()]);
    }
    numbers(&mut table);
    println!("{table}\n");
}

fn json(rows: &[Row], wide: &[Wide], notified: &Notified) -> Value {
    let call = |call: &Call| json!({"rows_written": call.written, "locked": call.locked});
    let rows = rows.iter().map(|row| {
        json!({
            "history": row.history, "load_s": row.load.seconds, "audit_s": row.audit.seconds,
            "idle_audit_s": row.idle.seconds, "sweep_s": row.sweep.seconds,
            "today": {"load_s": row.todays_load.seconds, "audit_s": row.todays_audit.seconds},
            "peer": {"name": PEER, "sweep_s": row.peers_sweep},
            "load": call(&row.load), "audit": call(&row.audit), "idle_audit": call(&row.idle), "sweep": call(&row.sweep),
        })
    });
    let wide = wide.iter().map(|row| {
        json!({
            "history": row.history, "columns": COLUMNS_OF_WIDE, "audit_s": row.audit.seconds,
            "idle_audit_s": row.idle.seconds, "sweep_s": row.sweep.seconds,
        })
    });
    json!({
        "rows": rows.collect::<Vec<_>>(),
        "wide": wide.collect::<Vec<_>>(),
        "orders_audit_fn": {"resolved_rows": RESOLVED, "alone_s": notified.alone, "with_history_s": notified.with_history},
    })
}

/// Prints what is claimed beside what was measured; whether all of it holds.
fn claims(rows: &[Row], wide: &[Wide], notified: &Notified) -> bool {
    let [small, .., large] = rows else { return false };
    let [narrow_history, .., wide_history] = wide else { return false };
    let idle = rows.iter().map(|row| row.idle.written).max().unwrap_or(i64::MAX);
    let mut all = true;
    let mut table = table(["claim", "measured", ""]);
    for (claim, measured, bound, at_most) in [
        ("load, 4,000,000 over 100,000: at most 1.5", large.load.seconds / small.load.seconds, 1.5, true),
        ("audit, 4,000,000 over 100,000: at most 1.5", large.audit.seconds / small.audit.seconds, 1.5, true),
        ("audit with nothing new, the same: at most 1.5", large.idle.seconds / small.idle.seconds, 1.5, true),
        (
            "audit over the history, over ours: at least 30",
            large.todays_audit.seconds / large.audit.seconds,
            30.0,
            false,
        ),
        (
            "audit over the history, over a sweep: at least 3",
            large.todays_audit.seconds / large.sweep.seconds,
            3.0,
            false,
        ),
        ("the peer over a sweep: at least 1", large.peers_sweep / large.sweep.seconds, 1.0, false),
        ("rows written by an audit with nothing new: 0", idle as f64, 0.0, true),
        (
            "audit of 40 columns, 1,000,000 over 100,000: at most 1.5",
            wide_history.audit.seconds / narrow_history.audit.seconds,
            1.5,
            true,
        ),
        ("orders-audit-fn, with history over without: at most 1.5", notified.with_history / notified.alone, 1.5, true),
    ] {
        let holds = if at_most { measured <= bound } else { measured >= bound };
        all &= holds;
        table.add_row([claim, &format!("{measured:.2}"), if holds { "" } else { "does not hold" }]);
    }
    println!("{table}");
    all
}

type Seconds = fn(&Row) -> f64;
const SERIES: [(&str, RGBColor, Seconds); 6] = [
    ("audit over the history", RGBColor(200, 80, 60), |row| row.todays_audit.seconds),
    (PEER, RGBColor(220, 150, 40), |row| row.peers_sweep),
    ("load over the history", RGBColor(230, 150, 140), |row| row.todays_load.seconds),
    ("sweep", RGBColor(120, 120, 120), |row| row.sweep.seconds),
    ("audit", RGBColor(30, 100, 180), |row| row.audit.seconds),
    ("load", RGBColor(40, 140, 90), |row| row.load.seconds),
];

/// Seconds over the history, both logarithmic.
fn draw(rows: &[Row], path: &Path) -> Any<()> {
    let area = SVGBackend::new(path, (800, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let all = || rows.iter().flat_map(|row| SERIES.iter().map(move |(_, _, seconds)| seconds(row)));
    let (least, most) = (all().fold(f64::MAX, f64::min) / 2.0, all().fold(0.0, f64::max) * 2.0);
    let span = HISTORIES[0] as f64..HISTORIES[HISTORIES.len() - 1] as f64;
    let mut chart = ChartBuilder::on(&area)
        .caption("Seconds for 10,000 new rows, over the rows that are there", ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .right_y_label_area_size(170)
        .build_cartesian_2d(span.log_scale(), (least..most).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("rows of the history")
        .x_label_formatter(&|x| format!("{x}"))
        .y_label_formatter(&|y| format!("{y}"))
        .draw()?;
    for (name, colour, seconds) in SERIES {
        let points: Vec<_> = rows.iter().map(|row| (row.history as f64, seconds(row))).collect();
        let style = ShapeStyle { color: colour.to_rgba(), filled: true, stroke_width: 2 };
        chart.draw_series(LineSeries::new(points.iter().copied(), style).point_size(3))?;
        if let Some(end) = points.last() {
            let (x, y) = chart.backend_coord(end);
            area.draw(&Text::new(name, (x + 10, y - 6), ("sans-serif", 13).into_font().color(&colour)))?;
        }
    }
    area.present()?;
    Ok(())
}
