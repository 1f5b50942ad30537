//! The pipeline under faults: every kind of fault, stops at random moments, duplicate events, mixtures.
//!
//! These must be zero in every scenario: attempts with more than one statement, statements left running, executions that
//! hang, orders lost or loaded twice. A scenario may also expect how its executions end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_redshiftdata::types::StatusString;
use loader::Error;
use loader::terminal::{Table, numbers, table};
use redshift_data_local::faults::{Fault, FaultKind};
use redshift_data_local::protocol::FailureType;
use redshift_local::execution::{follow, start};
use redshift_local::stack::{Options, Stack};
use serde_json::{Value, json};

use crate::{Any, failed};

/// An execution that has not ended by then hangs.
const LIMIT: Duration = Duration::from_secs(90);
/// What was cancelled must have ended by then: the sweep, the slowest cancel, and some.
const SETTLED: Duration = Duration::from_secs(20);
/// How long the sweep searches for a submit that was in flight, here.
const SWEEP_SECONDS: u32 = 4;

/// How an execution is expected to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The loader recovers.
    Success,
    /// With this error.
    Error(&'static str),
    /// In any way.
    Anything,
}

/// The faults of one trial.
#[derive(Debug, Clone)]
pub struct Scenario {
    name: &'static str,
    faults: Vec<Fault>,
    /// Stop the executions so long after their start.
    stop_after: Option<Duration>,
    /// How many executions start at once.
    executions: usize,
    expected: Expected,
}

/// The results of all trials of one scenario.
#[derive(Debug, Default, Clone)]
pub struct Row {
    executions: usize,
    succeeded: usize,
    failed: usize,
    ran_twice: usize,
    left_running: usize,
    hung: usize,
    lost_or_doubled: usize,
}

/// The report of a whole run.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    rows: Vec<(&'static str, Row)>,
    unexpected: Vec<String>,
}

const EXECUTE: &str = "ExecuteStatement";
const DESCRIBE: &str = "DescribeStatement";

/// Every fault by itself.
fn catalogue() -> Vec<Scenario> {
    use FaultKind as K;
    let one = |name, faults, expected| Scenario { name, faults, stop_after: None, executions: 1, expected };
    let ok = Expected::Success;
    let not_running = K::Refuse(FailureType::ValidationException);
    // A person did that.
    let killed = Expected::Error("AbortedByUser");
    let conflict = "ERROR: 1023 Detail: Serializable isolation violation on table - 115561";
    vec![
        one("none", vec![], ok),
        one("throttled submit", vec![Fault::new(K::Throttle).on(EXECUTE).times(3)], ok),
        one("throttled describe", vec![Fault::new(K::Throttle).on(DESCRIBE).times(3)], ok),
        one("too many active statements", vec![Fault::new(K::TooManyStatements).on(EXECUTE).times(3)], ok),
        one("500 on submit", vec![Fault::new(K::InternalError).on(EXECUTE).times(2)], ok),
        one(
            "500 on describe, for longer than the SDK tries",
            vec![Fault::new(K::InternalError).on(DESCRIBE).times(6)],
            ok,
        ),
        one("response lost after submit", vec![Fault::new(K::LoseResponse).on(EXECUTE).times(2)], ok),
        one("response lost after describe", vec![Fault::new(K::LoseResponse).on(DESCRIBE).times(2)], ok),
        one("slow start", vec![Fault::new(K::SlowStart(2.0))], ok),
        one("never ends", vec![Fault::new(K::NeverEnds).of("/0/")], Expected::Error("StatementTimedOut")),
        one(
            "never ends, and its cancel takes long",
            vec![Fault::new(K::NeverEnds).of("/0/"), Fault::new(K::SlowCancel(3.0)).of("/0/")],
            Expected::Error("StatementTimedOut"),
        ),
        one(
            "never ends, and its cancel is refused at first",
            vec![Fault::new(K::NeverEnds).of("/0/"), Fault::new(not_running).on("CancelStatement").times(2)],
            Expected::Error("StatementTimedOut"),
        ),
        one("expired", vec![Fault::new(K::Expire).of("/0/")], Expected::Error("StatementNotFound")),
        one(
            "unknown status",
            vec![Fault::new(K::UnknownStatus("HIBERNATING".into())).of("/0/")],
            Expected::Error("UnknownStatus"),
        ),
        one("1023 on the first attempt", vec![Fault::new(K::FailWith(conflict.into())).of("/0/1")], ok),
        one(
            "1023 on every attempt",
            vec![Fault::new(K::FailWith(conflict.into())).of("/0/").times(9)],
            Expected::Error("SerializationConflict"),
        ),
        one("session killed in mid-statement", vec![Fault::new(K::KillSession(0.3)).of("/0/1")], killed),
        one("connection lost in mid-statement", vec![Fault::new(K::LoseSession(0.3)).of("/0/1")], ok),
        one("PostgreSQL crashes in mid-statement", vec![Fault::new(K::CrashServer(0.3)).of("/0/1")], ok),
        one("session killed in mid-audit", vec![Fault::new(K::KillSession(0.1)).of("/1/1")], killed),
        one("connection lost in mid-audit", vec![Fault::new(K::LoseSession(0.1)).of("/1/1")], ok),
    ]
}

/// A plan of trials: each fault `each` times, then stops at random moments, duplicates and mixtures.
pub fn plan(random: &mut fastrand::Rng, each: usize, rest: usize) -> Vec<Scenario> {
    let catalogue = catalogue();
    let mut plan: Vec<_> = catalogue.iter().flat_map(|t| std::iter::repeat_n(t.clone(), each)).collect();
    let moment = |random: &mut fastrand::Rng| Duration::from_millis(random.u64(0..1500));
    for _ in 0..rest {
        plan.push(Scenario {
            name: "stopped at a random moment",
            // It does not end by itself: what is left running stays so unless it is cancelled.
            faults: vec![Fault::new(FaultKind::NeverEnds).of("/0/")],
            stop_after: Some(moment(random)),
            executions: 1,
            expected: Expected::Anything,
        });
        plan.push(Scenario {
            name: "duplicate event",
            faults: vec![],
            stop_after: None,
            executions: 2,
            expected: Expected::Success,
        });
        let faults = (0..random.usize(1..=3)).flat_map(|_| catalogue[random.usize(0..catalogue.len())].faults.clone());
        plan.push(Scenario {
            name: "random mixture",
            faults: faults.collect(),
            stop_after: random.bool().then(|| moment(random)),
            executions: random.usize(1..=2),
            expected: Expected::Anything,
        });
    }
    plan
}

/// A stack for it: waiting is scaled, the sweep is short.
pub async fn stack() -> Result<Stack, Error> {
    let parameters = vec![format!("SweepSeconds={SWEEP_SECONDS}"), "CancelGraceSeconds=30".to_owned()];
    Stack::start(&Options { wait_scale: Some(0.05), parameters, ..Options::default() }, |_| ()).await
}

/// Plays a plan; `say` gets a line a trial.
pub async fn play(stack: &Stack, seed: u64, plan: &[Scenario], mut say: impl FnMut(&str)) -> Any<Report> {
    let mut report = Report { seed, rows: Vec::new(), unexpected: Vec::new() };
    for (n, scenario) in plan.iter().enumerate() {
        let start = Instant::now();
        let (row, ends) = trial(stack, scenario).await?;
        say(&format!(
            "{:>3}/{}  {:<48} {:>5.1} s  {}",
            n + 1,
            plan.len(),
            scenario.name,
            start.elapsed().as_secs_f64(),
            ends.join(", ")
        ));
        for end in &ends {
            let fits = match scenario.expected {
                Expected::Success => end == "SUCCEEDED",
                Expected::Error(name) => end == name,
                Expected::Anything => true,
            };
            if !fits {
                report
                    .unexpected
                    .push(format!("{}: ended with {end}, expected {:?}", scenario.name, scenario.expected));
            }
        }
        match report.rows.iter_mut().find(|(name, _)| *name == scenario.name) {
            Some((_, sum)) => sum.add(&row),
            None => report.rows.push((scenario.name, row)),
        }
    }
    Ok(report)
}

async fn trial(stack: &Stack, scenario: &Scenario) -> Any<(Row, Vec<String>)> {
    let sfn = aws_sdk_sfn::Client::new(&stack.aws);
    let machine = stack.outputs.get("StateMachineArn");
    stack.data_api.service.faults().set(vec![]);
    stack.warehouse.reset().await?;
    // Both take long enough to be stopped, killed and overtaken.
    for (name, seconds) in [("enriched_orders_sp", 0.6), ("audit_orders_sp", 0.3)] {
        let slower = format!(
            "ALTER PROCEDURE dev.{name}() RENAME TO real_{name};
             CREATE PROCEDURE dev.{name}() AS $$ BEGIN CALL dev.real_{name}(); PERFORM pg_sleep({seconds}); END; $$ LANGUAGE plpgsql"
        );
        stack.warehouse.run(&slower).await?;
    }
    let mut faults = scenario.faults.clone();
    // The first polls are cut short, so that the loop turns.
    faults.push(Fault::new(FaultKind::CutWait(0.2)).times(3));
    stack.data_api.service.faults().set(faults);
    let input = json!({"Procedures": [
        {"Procedure": "dev.enriched_orders_sp", "TimeoutSeconds": 4, "MaxAttempts": 3},
        {"Procedure": "dev.audit_orders_sp", "TimeoutSeconds": 60, "MaxAttempts": 3}
    ]});
    let mut arns = Vec::new();
    for _ in 0..scenario.executions {
        arns.push(start(&sfn, machine, &input).await?);
    }
    if let Some(moment) = scenario.stop_after {
        tokio::time::sleep(moment).await;
        for arn in &arns {
            // One that has just ended cannot be stopped any more.
            let _ = sfn.stop_execution().execution_arn(arn).send().await;
        }
    }
    let mut row = Row { executions: arns.len(), ..Row::default() };
    let mut ends = Vec::new();
    for arn in &arns {
        let Ok(ended) = follow(&sfn, arn, LIMIT, |_| ()).await else {
            row.hung += 1;
            ends.push("hangs".to_owned());
            continue;
        };
        match ended.status.as_str() {
            "SUCCEEDED" => row.succeeded += 1,
            _ => row.failed += 1,
        }
        ends.push(ended.error.unwrap_or_else(|| ended.status.to_string()));
    }
    row.left_running = settle(stack, scenario.stop_after.is_some()).await?;
    for arn in &arns {
        row.ran_twice += ran_twice(stack, arn).await?;
    }
    row.lost_or_doubled += usize::try_from(stack.warehouse.lost_or_doubled(row.succeeded > 0).await?)?;
    // Whatever happened, running it again sets it right.
    stack.data_api.service.faults().set(vec![]);
    let again = follow(&sfn, &start(&sfn, machine, &json!({})).await?, LIMIT, |_| ()).await?;
    if again.status.as_str() != "SUCCEEDED" {
        return Err(failed(format!("after {:?} the pipeline does not recover: {:?}", scenario.name, again.cause)));
    }
    row.lost_or_doubled += usize::try_from(stack.warehouse.lost_or_doubled(true).await?)?;
    Ok((row, ends))
}

/// Waits for what was cancelled to end; how many still run, in the service and in the engine. After a stop
/// a submit may still be in flight, so this searches for it as long as the sweep does.
async fn settle(stack: &Stack, stopped: bool) -> Any<usize> {
    let watch = Duration::from_secs(if stopped { u64::from(SWEEP_SECONDS) } else { 0 });
    let redshift = aws_sdk_redshiftdata::Client::new(&stack.redshift);
    let start = Instant::now();
    loop {
        let mut running = 0;
        for status in [StatusString::Submitted, StatusString::Picked, StatusString::Started] {
            running += redshift.list_statements().status(status).send().await?.statements().len();
        }
        let sessions =
            "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND application_name LIKE '%-loader/%'";
        running += usize::try_from(stack.warehouse.number(sessions).await?)?;
        if (running == 0 && start.elapsed() >= watch) || start.elapsed() > SETTLED {
            return Ok(running);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Attempts of an execution that have more than one statement.
async fn ran_twice(stack: &Stack, arn: &str) -> Any<usize> {
    let redshift = aws_sdk_redshiftdata::Client::new(&stack.redshift);
    let prefix = shared::attempt::execution_prefix(arn);
    let list = redshift.list_statements().status(StatusString::All).statement_name(&prefix);
    let mut pages = list.into_paginator().items().send();
    let mut attempts: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(statement) = pages.next().await {
        let name = statement?.statement_name.unwrap_or_default();
        // The query of the notifications only reads; its repetition is no second run of a procedure.
        if !name.starts_with(&format!("{prefix}notify/")) {
            *attempts.entry(name).or_default() += 1;
        }
    }
    Ok(attempts.values().filter(|n| **n > 1).count())
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.executions += other.executions;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.ran_twice += other.ran_twice;
        self.left_running += other.left_running;
        self.hung += other.hung;
        self.lost_or_doubled += other.lost_or_doubled;
    }

    fn faults(&self) -> usize {
        self.ran_twice + self.left_running + self.hung + self.lost_or_doubled
    }
}

impl Report {
    /// As JSON, for `target/chaos/report.json`.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|(name, row)| {
            json!({
                "fault": name, "executions": row.executions, "succeeded": row.succeeded, "failed": row.failed,
                "ran_twice": row.ran_twice, "left_running": row.left_running, "hung": row.hung,
                "lost_or_doubled": row.lost_or_doubled,
            })
        });
        json!({"seed": self.seed, "rows": rows.collect::<Vec<_>>()})
    }

    /// As a table, with the sums in its last row.
    pub fn table(&self) -> Table {
        let mut sum = Row::default();
        for (_, row) in &self.rows {
            sum.add(row);
        }
        let rows = self.rows.iter().map(|(name, row)| (*name, row)).chain([("all", &sum)]);
        let mut table = table([
            "fault",
            "executions",
            "succeeded",
            "failed",
            "ran twice",
            "left running",
            "hung",
            "lost or doubled",
        ]);
        for (name, row) in rows {
            let counts = [
                row.executions,
                row.succeeded,
                row.failed,
                row.ran_twice,
                row.left_running,
                row.hung,
                row.lost_or_doubled,
            ];
            table.add_row([name.to_owned()].into_iter().chain(counts.map(|count| count.to_string())));
        }
        numbers(&mut table);
        table
    }

    /// What is not as it should be.
    pub fn wrong(&self) -> Vec<String> {
        let rows = self.rows.iter().filter(|(_, r)| r.faults() > 0).map(|(name, r)| format!("{name}: {r:?}"));
        rows.chain(self.unexpected.iter().cloned()).collect()
    }
}
