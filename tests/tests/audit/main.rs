//! orders-audit-fn as its real bootstrap, on a real PostgreSQL: what is sent, what is remembered, and what
//! becomes of both when the function is killed at any step.

mod killed;
mod tables;

use loader::tools;
use redshift_data_local::faults::{Fault, FaultKind};
use redshift_data_local::{Config, Running};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;
use tests::database::Database;
use tests::host::{Function, Invoked};
use tests::sink::Sink;
use tests::{Any, Outcome, failed, run, tests};
use tokio::process::Command;

use killed::*;
use tables::*;

const TIME: Duration = Duration::from_secs(120);

/// More than one chunk of marks.
const RUNS: usize = 700;

/// What the function sends before its first mark, and what it may have in flight: 8 calls of 10.
const MAY_REPEAT: usize = 500 + 80;

struct Audit {
    api: Running,
    sink: Sink,
    sink_url: String,
    database: Database,
}

async fn start() -> Audit {
    let database = Database::start().await;
    database.warehouse.reset().await.expect("tables");
    let api = Running::start(Config::new(database.warehouse.config().clone(), vec![])).await.expect("the Data API");
    let sink = Sink::default();
    let sink_url = sink.start().await.expect("a sink");
    Audit { api, sink, sink_url, database }
}

impl Audit {
    /// An audit table with so many unresolved runs, nothing sent.
    async fn fresh(&self, runs: usize) -> Outcome {
        self.api.service.faults().set(vec![]);
        self.sink.reset(None);
        self.database.warehouse.reset().await?;
        let rows = format!(
            "INSERT INTO dev.orders_audit (mismatch_key, run_id, order_id, kind, status, changed_in) \
             SELECT 'DIFFERENT:' || n || ':1', n, 1, 'DIFFERENT', 'NEW', 1 FROM generate_series(1, {runs}) n"
        );
        Ok(self.database.warehouse.run(&rows).await?)
    }

    async fn function(&self, more: &[(&str, &str)]) -> Any<Function> {
        let own = [
            ("AWS_ENDPOINT_URL_REDSHIFT_DATA", self.api.url.as_str()),
            ("AWS_ENDPOINT_URL_SNS", &self.sink_url),
            ("WORKGROUP_NAME", "w-1"),
            ("DATABASE", self.database.warehouse.database()),
            ("TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:topic"),
        ];
        let bootstrap = Command::new(tools::bootstrap("orders-audit-fn")?);
        Function::start(bootstrap, &[&own[..], more].concat()).await
    }

    /// One whole invocation.
    async fn notify(&self, execution: &str, more: &[(&str, &str)]) -> Any<Invoked> {
        let function = self.function(more).await?;
        let answer = function.invoke(json!({"ExecutionId": execution}), TIME).await?;
        function.kill().await;
        Ok(answer)
    }

    fn fault(&self, fault: Fault) {
        self.api.service.faults().set(vec![fault]);
    }

    async fn marked(&self) -> Any<i64> {
        Ok(self.database.warehouse.number("SELECT COUNT(*) FROM dev.orders_audit WHERE status = 'NOTIFIED'").await?)
    }

    async fn until_marked(&self, rows: i64) -> Outcome {
        for _ in 0..300 {
            if self.marked().await? == rows {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(failed(format!("{} rows are marked, not {rows}", self.marked().await?)))
    }
}

fn counts(unresolved: usize, notified: usize, resolved: usize) -> Value {
    json!({"UnresolvedRuns": unresolved, "Notified": notified, "Resolved": resolved, "Failed": 0})
}

async fn a_retry_of_the_same_execution_sends_nothing_twice(a: &Audit) -> Outcome {
    a.fresh(RUNS).await?;
    assert_eq!(a.notify("e-1", &[]).await?, Ok(counts(RUNS, RUNS, 0)));
    assert_eq!(a.sink.calls(), RUNS / 10);
    assert_eq!(a.notify("e-1", &[]).await?, Ok(counts(RUNS, 0, 0)), "the same execution");
    assert_eq!(a.notify("e-2", &[]).await?, Ok(counts(RUNS, RUNS, 0)), "the next execution, by default");
    assert!(a.sink.runs().values().all(|n| *n == 2));
    Ok(())
}

async fn a_reminder_comes_when_it_is_due_or_something_has_changed(a: &Audit) -> Outcome {
    a.fresh(3).await?;
    let remind = [("REMIND_AFTER_HOURS", "24")];
    assert_eq!(a.notify("e-1", &remind).await?, Ok(counts(3, 3, 0)));
    assert_eq!(a.notify("e-2", &remind).await?, Ok(counts(3, 0, 0)));
    a.database
        .warehouse
        .run("UPDATE dev.orders_audit SET notified_at = notified_at - INTERVAL '25 hours' WHERE run_id = 1")
        .await?;
    a.database.warehouse.run("UPDATE dev.orders_audit SET status = 'NEW', changed_in = 2 WHERE run_id = 2").await?;
    a.sink.reset(None);
    assert_eq!(a.notify("e-3", &remind).await?, Ok(counts(3, 2, 0)));
    let mut sent: Vec<_> = a.sink.runs().into_keys().collect();
    sent.sort();
    assert_eq!(sent, ["1", "2"]);
    Ok(())
}

/// A row that an older version told of has no count: people were told once at least.
async fn a_row_from_before_the_count_has_been_told_of(a: &Audit) -> Outcome {
    a.fresh(1).await?;
    a.database.warehouse.run("UPDATE dev.orders_audit SET status = 'NOTIFIED', notified_at = GETDATE()").await?;
    for (execution, told) in [("e-1", 2), ("e-2", 3), ("e-2", 3)] {
        a.notify(execution, &[]).await?.expect("told");
        assert_eq!(
            a.database.warehouse.number("SELECT CAST(notified_count AS BIGINT) FROM dev.orders_audit").await?,
            told
        );
    }
    Ok(())
}

async fn a_silenced_run_is_counted_and_not_sent(a: &Audit) -> Outcome {
    a.fresh(2).await?;
    a.database
        .warehouse
        .run("UPDATE dev.orders_audit SET silenced_until = GETDATE() + INTERVAL '7 days' WHERE run_id = 1")
        .await?;
    assert_eq!(a.notify("e-1", &[]).await?, Ok(counts(2, 1, 0)));
    a.database.warehouse.run("UPDATE dev.orders_audit SET silenced_until = GETDATE() - INTERVAL '1 hours'").await?;
    assert_eq!(a.notify("e-2", &[]).await?, Ok(counts(2, 2, 0)));
    Ok(())
}

async fn a_clean_run_is_said_once_and_only_if_it_was_told(a: &Audit) -> Outcome {
    a.fresh(3).await?;
    let resolved = [("NOTIFY_RESOLVED", "true"), ("REMIND_AFTER_HOURS", "24")];
    a.database.warehouse.run("UPDATE dev.orders_audit SET status = 'RESOLVED' WHERE run_id = 3").await?;
    assert_eq!(a.notify("e-1", &resolved).await?, Ok(counts(2, 2, 0)), "run 3 was never told of");
    a.database.warehouse.run("UPDATE dev.orders_audit SET status = 'RESOLVED' WHERE run_id = 1").await?;
    assert_eq!(a.notify("e-2", &resolved).await?, Ok(counts(1, 0, 1)));
    assert_eq!(a.notify("e-3", &resolved).await?, Ok(counts(1, 0, 0)));
    Ok(())
}

async fn above_the_limit_a_digest_goes_out_once(a: &Audit) -> Outcome {
    a.fresh(RUNS).await?;
    let limit = [("MAX_NOTIFICATIONS", "50")];
    assert_eq!(a.notify("e-1", &limit).await?, Ok(counts(RUNS, 1, 0)));
    assert_eq!((a.sink.calls(), a.sink.runs().into_keys().next().as_deref()), (1, Some("DIGEST")));
    assert_eq!(a.notify("e-1", &limit).await?, Ok(counts(RUNS, 0, 0)));
    Ok(())
}

async fn another_audit_table_is_configuration(a: &Audit) -> Outcome {
    a.fresh(0).await?;
    a.database.warehouse
        .run(
            "CREATE TABLE dev.\"Stock audit\" (LIKE dev.orders_audit);
             ALTER TABLE dev.\"Stock audit\" DROP COLUMN run_id;
             ALTER TABLE dev.\"Stock audit\" ADD COLUMN batch VARCHAR(40);
             INSERT INTO dev.\"Stock audit\" (batch, kind, status) VALUES ('it''s \\ odd', 'GONE', 'NEW'), (NULL, 'GONE', NULL)",
        )
        .await?;
    let other = [
        ("AUDIT_TABLES", "dev.\"Stock audit\""),
        ("AUDIT_KEY_COLUMN", "batch"),
        ("NOTIFICATION_TITLE", "Stock of {key}"),
    ];
    assert_eq!(a.notify("e-1", &other).await?, Ok(counts(2, 2, 0)));
    assert_eq!(a.notify("e-1", &other).await?, Ok(counts(2, 0, 0)));
    let mut sent: Vec<_> = a.sink.runs().into_keys().collect();
    sent.sort();
    assert_eq!(sent, ["NULL", "it's \\ odd"]);
    Ok(())
}

/// As long as a VARCHAR can be, of what grows in SQL and in JSON; and what could be taken for something else.
async fn no_id_is_too_long_or_taken_for_another(a: &Audit) -> Outcome {
    a.fresh(0).await?;
    a.database
        .warehouse
        .run(
            "CREATE TABLE dev.by_text (LIKE dev.orders_audit);
             ALTER TABLE dev.by_text DROP COLUMN run_id;
             ALTER TABLE dev.by_text ADD COLUMN run_id VARCHAR(65535);
             INSERT INTO dev.by_text (run_id, kind, status)
             SELECT id, 'GONE', 'NEW' FROM (VALUES (NULL), ('NULL'), (''), ('(empty)')) AS odd (id)
             UNION ALL SELECT repeat(c, 65535), 'GONE', 'NEW' FROM (VALUES ('x'), ('\\'), (''''), (CHR(1))) AS long (c)
             UNION ALL SELECT repeat('y', 9216) || n, 'GONE', 'NEW' FROM generate_series(1, 12) n",
        )
        .await?;
    let table = ("AUDIT_TABLES", "dev.by_text");
    assert_eq!(a.notify("e-1", &[table]).await?, Ok(counts(20, 20, 0)));
    let sent = a.sink.runs();
    assert!(sent.len() == 20 && ["NULL", "'NULL'", "(empty)", "'(empty)'"].iter().all(|id| sent.contains_key(*id)));
    assert_eq!(a.database.warehouse.number("SELECT COUNT(*) FROM dev.by_text WHERE status = 'NOTIFIED'").await?, 20);
    assert_eq!(a.notify("e-1", &[table]).await?, Ok(counts(20, 0, 0)), "all are marked");
    assert_eq!(a.notify("e-2", &[table, ("MAX_NOTIFICATIONS", "19")]).await?, Ok(counts(20, 1, 0)), "a digest");
    assert_eq!(a.notify("e-2", &[table, ("MAX_NOTIFICATIONS", "19")]).await?, Ok(counts(20, 0, 0)));
    Ok(())
}

/// What an audit adds while the function is publishing was not seen, and must not be marked as told.
async fn what_an_overlapping_audit_adds_is_not_lost(a: &Audit) -> Outcome {
    a.fresh(20).await?;
    a.sink.reset(Some(0));
    let remind = [("REMIND_AFTER_HOURS", "24")];
    let function = a.function(&remind).await?;
    let answer = function.begin(json!({"ExecutionId": "e-1"}), TIME).await?;
    a.sink.held().await;
    a.database.warehouse
        .run("INSERT INTO dev.orders_audit (run_id, order_id, kind, status, changed_in) VALUES (7, 2, 'DIFFERENT', 'NEW', 2)")
        .await?;
    a.sink.release();
    assert_eq!(tokio::time::timeout(TIME, answer).await??, Ok(counts(20, 20, 0)));
    function.kill().await;
    assert_eq!(a.notify("e-2", &remind).await?, Ok(counts(20, 1, 0)), "run 7 again, with what is new");
    assert_eq!(a.sink.runs()["7"], 2);
    Ok(())
}

async fn two_overlapping_executions_lose_nothing(a: &Audit) -> Outcome {
    a.fresh(RUNS).await?;
    let (first, second) = tokio::join!(a.notify("e-1", &[]), a.notify("e-2", &[]));
    for answer in [first?, second?] {
        assert_eq!(answer.map(|a| a["UnresolvedRuns"].clone()), Ok(json!(RUNS)));
    }
    let runs = a.sink.runs();
    assert_eq!(runs.len(), RUNS);
    assert!(runs.values().all(|n| *n <= 2), "at most once for each execution");
    Ok(())
}

/// A retry of the first execution, after a second one has notified about the same runs.
async fn a_retry_after_another_execution_sends_nothing_twice(a: &Audit) -> Outcome {
    a.fresh(20).await?;
    // As an older version of the function has left them.
    a.database.warehouse.run("UPDATE dev.orders_audit SET status = 'NOTIFIED', notified_by = 'e-0'").await?;
    for execution in ["e-1", "e-2", "e-10"] {
        assert_eq!(a.notify(execution, &[]).await?, Ok(counts(20, 20, 0)), "{execution}");
    }
    for execution in ["e-1", "e-2", "e-10"] {
        assert_eq!(a.notify(execution, &[]).await?, Ok(counts(20, 0, 0)), "{execution} again");
    }
    let remembered = "SELECT COUNT(*) FROM dev.orders_audit WHERE notified_by = 'e-10|e-2|e-1|e-0'";
    assert_eq!(a.database.warehouse.number(remembered).await?, 20);
    // What changes is told by a retry too; its execution is remembered once, and as many as find room.
    a.database.warehouse.run("UPDATE dev.orders_audit SET status = 'NEW' WHERE run_id = 1").await?;
    assert_eq!(a.notify("e-1", &[]).await?, Ok(counts(20, 1, 0)));
    assert_eq!(a.database.warehouse.number(remembered).await?, 20);
    let long: Vec<_> = (0..3).map(|n| format!("{n}{}", "x".repeat(249))).collect();
    for execution in &long {
        assert_eq!(a.notify(execution, &[]).await?, Ok(counts(20, 20, 0)));
    }
    assert_eq!(a.notify(&long[1], &[]).await?, Ok(counts(20, 0, 0)));
    Ok(())
}

/// Whatever an audit adds to it meanwhile.
async fn a_silenced_run_stays_silent_when_it_gets_a_new_row(a: &Audit) -> Outcome {
    for limit in [&[][..], &[("MAX_NOTIFICATIONS", "1")]] {
        a.fresh(3).await?;
        a.database
            .warehouse
            .run(
                "UPDATE dev.orders_audit SET silenced_until = GETDATE() + INTERVAL '7 days' WHERE run_id = 1;
                 INSERT INTO dev.orders_audit (run_id, order_id, kind, status, changed_in) VALUES
                 (1, 2, 'DIFFERENT', 'NEW', 2), (1, 3, 'MISSING_IN_REDSHIFT', 'NEW', 2), (2, 2, 'DIFFERENT', 'NEW', 2)",
            )
            .await?;
        let told = if limit.is_empty() { 2 } else { 1 };
        assert_eq!(a.notify("e-1", limit).await?, Ok(counts(3, told, 0)));
        assert!(!a.sink.runs().contains_key("1"));
        assert_eq!(a.marked().await?, 3, "a silenced run is not marked as told of: {limit:?}");
        a.database.warehouse.run("UPDATE dev.orders_audit SET silenced_until = NULL").await?;
        assert_eq!(a.notify("e-1", limit).await?, Ok(counts(3, 1, 0)), "it has not been told of");
    }
    Ok(())
}

/// Only the time of the mark tells it from a run that was resolved before anybody was told.
async fn a_run_that_is_resolved_before_its_mark_is_said_to_be_clean(a: &Audit) -> Outcome {
    a.fresh(3).await?;
    let resolved = [("NOTIFY_RESOLVED", "true"), ("REMIND_AFTER_HOURS", "24")];
    a.sink.reset(Some(0));
    let function = a.function(&resolved).await?;
    let answer = function.begin(json!({"ExecutionId": "e-1"}), TIME).await?;
    a.sink.held().await;
    a.database
        .warehouse
        .run("UPDATE dev.orders_audit SET status = 'RESOLVED', resolved_at = GETDATE() WHERE run_id = 2")
        .await?;
    a.sink.release();
    assert_eq!(tokio::time::timeout(TIME, answer).await??, Ok(counts(3, 3, 1)));
    function.kill().await;
    let kept = "SELECT COUNT(*) FROM dev.orders_audit WHERE run_id = 2 AND status = 'RESOLVED' AND closed_by = 'e-1'";
    assert_eq!(a.database.warehouse.number(kept).await?, 1);
    assert_eq!(a.notify("e-2", &resolved).await?, Ok(counts(2, 0, 0)));
    Ok(())
}

/// Switching it on reports no old runs; many clean runs make one digest.
async fn what_became_clean_long_ago_is_no_news_and_many_are_one_digest(a: &Audit) -> Outcome {
    a.fresh(RUNS).await?;
    a.database
        .warehouse
        .run(
            "UPDATE dev.orders_audit SET status = 'RESOLVED', notified_at = GETDATE() - INTERVAL '9 days', \
             resolved_at = GETDATE() - CASE WHEN run_id <= 100 THEN INTERVAL '1 days' ELSE INTERVAL '8 days' END; \
             INSERT INTO dev.orders_audit (kind, status, notified_at) VALUES ('DIFFERENT', 'RESOLVED', GETDATE())",
        )
        .await?;
    let settings = [("NOTIFY_RESOLVED", "true"), ("MAX_NOTIFICATIONS", "100")];
    assert_eq!(a.notify("e-1", &settings).await?, Ok(counts(0, 0, 1)));
    assert_eq!(a.sink.runs(), [("DIGEST".to_owned(), 1)].into());
    let closed = "SELECT COUNT(*) FROM dev.orders_audit WHERE closed_by = 'e-1'";
    assert_eq!(a.database.warehouse.number(closed).await?, 101);
    assert_eq!(a.notify("e-2", &settings).await?, Ok(counts(0, 0, 0)));
    Ok(())
}

/// Ten thousand runs in a thousand calls, with memory that does not grow with them.
async fn many_runs_take_few_calls_and_little_memory(a: &Audit) -> Outcome {
    a.fresh(10_000).await?;
    let function = a.function(&[]).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let idle = function.peak_kib();
    assert_eq!(function.invoke(json!({"ExecutionId": "e-1"}), TIME * 4).await?, Ok(counts(10_000, 10_000, 0)));
    let peak = function.peak_kib();
    function.kill().await;
    assert_eq!((a.sink.calls(), a.sink.runs().len()), (1_000, 10_000));
    assert!(idle > 0 && peak < idle + 16 * 1024, "{peak} KiB, {idle} KiB when idle");
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        a_retry_of_the_same_execution_sends_nothing_twice,
        a_reminder_comes_when_it_is_due_or_something_has_changed,
        a_row_from_before_the_count_has_been_told_of,
        a_silenced_run_is_counted_and_not_sent,
        a_silenced_run_stays_silent_when_it_gets_a_new_row,
        a_clean_run_is_said_once_and_only_if_it_was_told,
        above_the_limit_a_digest_goes_out_once,
        no_id_is_too_long_or_taken_for_another,
        another_audit_table_is_configuration,
        tables_of_public_benchmarks_are_audited_and_told,
        what_an_overlapping_audit_adds_is_not_lost,
        two_overlapping_executions_lose_nothing,
        a_retry_after_another_execution_sends_nothing_twice,
        a_run_that_is_resolved_before_its_mark_is_said_to_be_clean,
        what_became_clean_long_ago_is_no_news_and_many_are_one_digest,
        killed_between_a_digest_or_clean_runs_and_their_mark_nothing_is_lost,
        killed_at_any_step_nothing_is_lost,
        out_of_time_it_reports_and_the_retry_goes_on,
        many_runs_take_few_calls_and_little_memory,
    ];
    let stop = async |a: Audit| {
        a.api.stop().await;
        a.database.stop().await;
    };
    run(tests, start, stop)
}
