//! What the one on call asks `loader`, on the local stack, beside executions that succeeded, failed and run.

use std::process::ExitCode;
use std::time::Duration;

use loader::Place;
use loader::executions::{Phase, Source};
use loader::program::call;
use redshift_local::execution::{follow, start};
use redshift_local::notifications::settle;
use redshift_local::stack::{Options, STACK_NAME, Stack};
use serde_json::{Value, json};
use tests::{Any, Outcome, failed, run, tests};

const LIMIT: Duration = Duration::from_secs(60);
const EXECUTIONS: &str = "arn:aws:states:eu-west-1:000000000000:execution:redshift-loader-loader";

struct OnCall {
    stack: Stack,
    sfn: aws_sdk_sfn::Client,
}

/// What the program printed, and how it ended.
struct Said {
    code: u8,
    out: String,
    err: String,
}

impl Said {
    /// Without the blanks that align columns.
    fn lines(&self) -> Vec<String> {
        self.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    fn has(&self, parts: &[&str]) {
        let text = self.lines().join("\n");
        for part in parts {
            assert!(text.contains(part), "{part} is missing in: {text}\n{}", self.err);
        }
    }
}

impl OnCall {
    async fn start() -> Any<Self> {
        let stack = Stack::start(&Options::default(), |_| ()).await?;
        stack
            .warehouse
            .run(
                "CREATE PROCEDURE dev.slow_sp() AS $$ BEGIN PERFORM pg_sleep(25); END; $$ LANGUAGE plpgsql;
                 CREATE PROCEDURE dev.deadlocks_sp() AS $$ BEGIN RAISE EXCEPTION 'deadlock detected'; END; $$ LANGUAGE plpgsql",
            )
            .await?;
        let sfn = aws_sdk_sfn::Client::new(&stack.aws);
        Ok(Self { stack, sfn })
    }

    /// Calls the program with these words.
    async fn loader(&self, words: &[&str]) -> Any<Said> {
        let (mut out, mut err) = (String::new(), String::new());
        let words = [&["loader"], words].concat();
        let line = |to: &mut String, line: &str| to.extend([line, "\n"]);
        let environment = self.stack.environment();
        let code = call(words, &environment, |text| line(&mut out, text), |text| line(&mut err, text)).await;
        Ok(Said { code, out, err })
    }

    async fn json(&self, arguments: &[&str]) -> Any<Value> {
        let said = self.loader(&[arguments, &["--json"]].concat()).await?;
        serde_json::from_str(&said.out).map_err(|e| failed(format!("{arguments:?}: {e}: {} {}", said.out, said.err)))
    }

    async fn fails(&self, arguments: &[&str], code: u8, says: &str) -> Outcome {
        let said = self.loader(arguments).await?;
        assert!(said.code == code && said.err.contains(says), "{arguments:?}: {} {}", said.code, said.err);
        Ok(())
    }

    async fn start_execution(&self, input: &Value) -> Any<String> {
        Ok(start(&self.sfn, self.stack.outputs.get("StateMachineArn"), input).await?)
    }

    /// An execution to its end; its ARN.
    async fn execute(&self, input: &Value) -> Any<String> {
        let arn = self.start_execution(input).await?;
        follow(&self.sfn, &arn, LIMIT, |_| ()).await?;
        Ok(arn)
    }

    async fn sql(&self, sql: &str) -> Outcome {
        Ok(self.stack.warehouse.run(sql).await?)
    }
}

fn place() -> Place {
    Place { stack: STACK_NAME.to_owned(), parameters: None }
}

fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

async fn before_anything_ran(p: &OnCall) -> Outcome {
    let said = p.loader(&["status", "--check"]).await?;
    assert_eq!((said.code, said.lines()), (0, vec!["no execution yet".to_owned()]));
    assert_eq!(p.json(&["status"]).await?, json!({"executions": [], "running": []}));
    assert_eq!(p.json(&["runs"]).await?, json!([]));
    p.loader(&["runs", "--check"]).await?.has(&["no run is unresolved"]);
    Ok(())
}

async fn what_is_called_wrongly_ends_with_2_and_what_is_not_there_with_1(p: &OnCall) -> Outcome {
    for arguments in [&["status", "--last", "0"][..], &["show"], &["show", "42", "--limit", "0"], &["call"]] {
        p.fails(arguments, 2, "").await?;
    }
    for arguments in [&["status"][..], &["runs"], &["show", "42"], &["logs", "x"], &["resolve", "42"]] {
        p.fails(&[arguments, &["--stack", "none"]].concat(), 1, "Stack with id none does not exist").await?;
    }
    for arguments in [&["logs", "none"][..], &["rerun", &format!("{EXECUTIONS}:none")]] {
        p.fails(arguments, 1, "ExecutionDoesNotExist").await?;
    }
    for arguments in [&["show", "99"][..], &["resolve", "wr_1"], &["silence", "(empty)"]] {
        p.fails(arguments, 1, "no audit has unresolved rows of the run").await?;
    }
    p.fails(&["show", "42", "--audit", "stock"], 1, "none of the stack's audit tables: dev.orders_audit").await
}

async fn executions_that_ended_and_one_that_runs(p: &OnCall) -> Outcome {
    let good = p.execute(&json!({})).await?;
    let said = p.loader(&["status", "--check"]).await?;
    assert_eq!(said.code, 0, "{}", said.out);
    said.has(&[name(&good), "SUCCEEDED", "enriched_orders_sp 0.", ", audit_orders_sp 0.", "1, 1", "nothing runs"]);

    // The next execution must not share its second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let bad = p.execute(&json!({"Procedures": [{"Procedure": "dev.deadlocks_sp", "MaxAttempts": 2}]})).await?;
    let said = p.loader(&["status", "--check", "--last", "1"]).await?;
    assert_eq!(said.code, 3, "{}", said.out);
    said.has(&["deadlocks_sp 0.0 2 Deadlock", &format!("loader logs {}", name(&bad)), &format!("loader rerun {bad}")]);
    assert!(!said.out.contains(name(&good)));

    let slow = p.start_execution(&json!({"Procedures": [{"Procedure": "dev.slow_sp"}]})).await?;
    let said = loop {
        let said = p.loader(&["status"]).await?;
        if said.out.contains("STARTED") {
            break said;
        }
        assert!(said.out.contains("RUNNING"), "{}", said.out);
    };
    said.has(&[
        "running now",
        &format!("{} in Submit for ", name(&slow)),
        "dev.slow_sp is STARTED, ",
        // The service numbers a query when it has ended.
        " s so far: statement ",
    ]);
    let json = p.json(&["status"]).await?;
    let results: Vec<_> = json["executions"].as_array().into_iter().flatten().map(|e| e["status"].as_str()).collect();
    assert_eq!(results, [Some("RUNNING"), Some("FAILED"), Some("SUCCEEDED")]);
    assert_eq!(json["running"][0]["statement"]["procedure"], "dev.slow_sp");
    assert_eq!(json["executions"][1]["statements"][1]["attempt"], 2);
    p.fails(&["rerun", &slow], 1, "is still running; stop it first").await?;
    p.sfn.stop_execution().execution_arn(&slow).send().await?;
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL dev.slow_sp%'";
    p.sql(cancel).await?;

    let mut source = Source::start(&p.stack.environment())?;
    let listed = source.list(&place(), 10).await?;
    assert_eq!(listed.iter().map(|e| e.arn.as_str()).collect::<Vec<_>>(), [&slow, &bad, &good]);
    let read = source.find(&place(), name(&good)).await?;
    assert_eq!(read, source.read(&good).await?);
    let phases: Vec<_> = read.states.iter().map(|visit| visit.phase).collect();
    assert!(phases.first() == Some(&Phase::Plan) && phases.last() == Some(&Phase::Notify), "{phases:?}");
    assert_eq!((read.statements.len(), read.notified, read.unresolved_runs), (2, Some(4), Some(4)));
    assert!((read.phases.each().iter().map(|(_, seconds)| seconds).sum::<f64>() - read.seconds).abs() < 0.001);
    Ok(())
}

async fn what_the_functions_have_logged(p: &OnCall) -> Outcome {
    p.sql("DELETE FROM dev.orders_audit").await?;
    let arn = p.execute(&json!({})).await?;
    settle().await;
    let said = p.loader(&["logs", name(&arn)]).await?;
    said.has(&["INFO status-checker checked the queue status=READY", "INFO proc-runner submitted", "orders-audit-fn"]);
    let json = p.json(&["logs", &arn]).await?;
    let lines = json["lines"].as_array().ok_or("lines")?;
    assert!(lines.is_sorted_by_key(|line| line["time"].as_str().unwrap_or_default().to_owned()));
    let ids: Vec<_> = lines.iter().filter_map(|line| line["statement_id"].as_str()).collect();
    assert!(ids.len() > 2 && json["notes"] == json!([]), "{json}");
    assert!(lines.iter().all(|line| line["line"].to_string().contains(&arn)));
    // Nothing of ours is older than the stack.
    let named = "quiet";
    let refused = p.sfn.start_execution().state_machine_arn(p.stack.outputs.get("StateMachineArn")).name(named);
    let refused = refused.input(json!({"DryRun": true}).to_string()).send().await?.execution_arn;
    follow(&p.sfn, &refused, LIMIT, |_| ()).await?;
    let json = p.json(&["logs", named]).await?;
    assert!(json["lines"].as_array().is_some_and(|lines| lines.iter().all(|line| line["function"] == "proc-runner")));
    Ok(())
}

async fn what_does_not_match_of_a_run(p: &OnCall) -> Outcome {
    let said = p.loader(&["show", "44"]).await?;
    assert_eq!(said.code, 0, "{}", said.err);
    said.has(&[
        "dev.orders_audit: run 44",
        "UTC); last notified",
        EXECUTIONS,
        "source s3_staging_schema.new_orders_staging_area, target dev.orders_final",
        "DIFFERENT: 1 row",
        "1007 1 NOTIFIED product_price",
        "1007 source 3 11 TL-3 Drill ≠ 99.00 1 2026-01-01 11:00:00",
        "target 3 11 TL-3 Drill ≠ 89.00 1 2026-01-01 11:00:00",
        "loader resolve 44",
        "loader silence 44 --days 7",
    ]);
    p.loader(&["show", "42"]).await?.has(&["MISSING_IN_REDSHIFT: 1 row", "1004 source 1 11", "target (no row)"]);
    p.loader(&["show", "43"]).await?.has(&["MISSING_IN_STAGING: 1 row", "1006 source (no row)", "target 1 11 TL-6"]);
    let json = p.json(&["show", "45"]).await?;
    let pair = &json[0]["kinds"][0]["pairs"][0];
    assert_eq!(pair["key"], json!({"order_id": "1010"}));
    let differs: Vec<_> =
        pair["cells"].as_array().into_iter().flatten().filter(|cell| cell["differs"] == true).collect();
    assert_eq!(differs, [&json!({"column": "product_name", "source": null, "target": "Poems", "differs": true})]);
    Ok(())
}

/// A run that one side lacks whole, rows without a run, duplicates, and what a terminal would act upon.
async fn runs_and_rows_of_every_kind(p: &OnCall) -> Outcome {
    p.sql(
        "INSERT INTO s3_staging_schema.new_orders_staging_area (run_id, order_id, product_name)
             SELECT 50, n, 'x' FROM generate_series(1, 30) n;
         INSERT INTO s3_staging_schema.new_orders_staging_area (run_id, order_id, product_name) VALUES (NULL, 1, E'a\\x1b[2J');
         INSERT INTO dev.orders_final SELECT * FROM dev.orders_final WHERE order_id = 1001;
         CALL dev.audit_orders_sweep_sp()",
    )
    .await?;
    let said = p.loader(&["show", "50", "--limit", "2"]).await?;
    said.has(&[
        "MISSING_IN_REDSHIFT: 30 rows",
        "(all) 30 NEW",
        "1 source NULL NULL",
        "2 source",
        "there are more rows (--limit)",
    ]);
    assert!(!said.out.contains(" 3  source"), "{}", said.out);
    let said = p.loader(&["show", "NULL"]).await?;
    said.has(&["run NULL", "nobody was notified yet", "a\\u{1b}[2J"]);
    let said = p.loader(&["show", "41"]).await?;
    said.has(&["DUPLICATE_IN_REDSHIFT: 1 row", "1001 source 1 10", "1001 source (no row)"]);
    let said = p.loader(&["silence", "NULL", "--days", "2"]).await?;
    said.has(&["nobody is told of the run NULL for 2 days", "loader silence NULL --days 0"]);
    p.loader(&["show", "NULL"]).await?.has(&["silenced until 20"]);
    p.sql(
        "DELETE FROM s3_staging_schema.new_orders_staging_area WHERE run_id = 50 OR run_id IS NULL;
         DELETE FROM dev.orders_final WHERE ctid IN (SELECT MAX(ctid) FROM dev.orders_final WHERE order_id = 1001);
         CALL dev.audit_orders_sweep_sp()",
    )
    .await
}

/// Ids as a notification shows them, in an audit table that its declaration does not fit.
async fn ids_that_are_shown_in_other_words(p: &OnCall) -> Outcome {
    let long = "x".repeat(300);
    p.sql(&format!(
        "ALTER TABLE dev.orders_audit RENAME TO kept;
         CREATE TABLE dev.orders_audit AS SELECT CAST(run_id AS VARCHAR) AS run_id, mismatch_key, kind, row_count, status,
             first_seen_at, notified_at, notified_by, silenced_until, resolved_at FROM dev.kept WHERE FALSE;
         INSERT INTO dev.orders_audit (run_id, mismatch_key, kind, row_count, status, first_seen_at)
             SELECT id, 'key', 'DIFFERENT', 1, 'NEW', GETDATE() FROM (VALUES (NULL), ('NULL'), (''), ('(empty)'), ('{long}')) v(id)"
    ))
    .await?;
    let runs = p.json(&["runs"]).await?;
    let shown: Vec<_> = runs.as_array().into_iter().flatten().filter_map(|row| row["shown"].as_str()).collect();
    assert_eq!(shown.len(), 5, "{shown:?}");
    for id in ["NULL", "'NULL'", "(empty)", "'(empty)'"] {
        assert!(shown.contains(&id), "{id}: {shown:?}");
    }
    assert!(shown.iter().any(|id| id.starts_with("xxx") && id.contains("... [300 characters, MD5 ")), "{shown:?}");
    for id in shown {
        let done = p.json(&["resolve", id]).await?;
        assert_eq!((&done["rows"], &done["run"], &done["change"]), (&json!(1), &json!(id), &json!("resolve")));
        p.fails(&["show", id], 1, "no audit has unresolved rows").await?;
        p.sql(done["undo"].as_str().ok_or("an undo")?).await?;
        let again = p.json(&["show", id]).await?;
        assert_eq!(again[0]["kinds"][0]["recorded"], 1, "{again}");
        // The declaration is about numbers.
        let note = again[0]["note"].as_str().unwrap_or_default();
        assert!(id == "NULL" || note.starts_with("the rows of both sides cannot be read: "), "{again}");
    }
    p.sql("DROP TABLE dev.orders_audit; ALTER TABLE dev.kept RENAME TO orders_audit").await
}

async fn an_audit_that_nobody_has_declared(p: &OnCall) -> Outcome {
    p.sql(
        "CREATE TABLE dev.other_audit AS SELECT * FROM dev.orders_audit WHERE run_id = 44;
         UPDATE dev.other_audit SET run_id = 77",
    )
    .await?;
    let file = p.stack.dir.path().join("other.txt");
    std::fs::write(&file, "AuditTables=dev.orders_audit,dev.other_audit\n")?;
    let file = file.to_str().ok_or("a path")?;
    let said = p.loader(&["show", "77", "--parameters", file]).await?;
    said.has(&[
        "dev.other_audit: run 77",
        "no declaration of infra/audits records in dev.other_audit",
        "DIFFERENT:44:1007 1",
    ]);
    assert!(!said.out.contains("side"), "{}", said.out);
    p.sql("UPDATE dev.other_audit SET run_id = 44").await?;
    let both = p.json(&["show", "44", "--parameters", file]).await?;
    assert_eq!(both.as_array().map(Vec::len), Some(2));
    p.fails(&["resolve", "44", "--parameters", file], 1, "dev.orders_audit, dev.other_audit have a run 44: name one")
        .await?;
    let done = p.json(&["resolve", "44", "--parameters", file, "--audit", "other"]).await?;
    assert_eq!((&done["audit"], &done["rows"]), (&json!("dev.other_audit"), &json!(1)));
    p.sql("DROP TABLE dev.other_audit").await
}

async fn what_is_changed_says_how_to_undo_it(p: &OnCall) -> Outcome {
    assert_eq!(p.loader(&["runs", "--check"]).await?.code, 3);
    for run in ["42", "43", "44", "45"] {
        let done = p.json(&["silence", run, "--days", "1"]).await?;
        assert_eq!(done["undo"], format!("loader silence {run} --days 0"));
    }
    assert_eq!(p.loader(&["runs", "--check"]).await?.code, 0, "all are silenced");
    let bad = p.execute(&json!({"Procedures": [{"Procedure": "dev.none_sp"}]})).await?;
    let done = p.json(&["rerun", &bad]).await?;
    let again = done["execution"].as_str().ok_or("an execution")?;
    assert_eq!(done["undo"], format!("aws stepfunctions stop-execution --execution-arn {again}"));
    follow(&p.sfn, again, LIMIT, |_| ()).await?;
    let findings = p.json(&["doctor"]).await?;
    let of = |check: &str| findings.as_array().into_iter().flatten().find(|f| f["check"] == check).cloned();
    assert_eq!(of("last execution").map(|finding| finding["verdict"].clone()), Some(json!("failure")), "{findings}");
    Ok(())
}

async fn a_shell_completes(p: &OnCall) -> Outcome {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = p.loader(&["completion", shell]).await?;
        assert!(said.code == 0 && said.out.contains("silence") && said.out.contains("audit"), "{shell}");
    }
    p.loader(&["--help"]).await?.has(&["3 if --check found something"]);
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        before_anything_ran,
        what_is_called_wrongly_ends_with_2_and_what_is_not_there_with_1,
        executions_that_ended_and_one_that_runs,
        what_the_functions_have_logged,
        what_does_not_match_of_a_run,
        runs_and_rows_of_every_kind,
        ids_that_are_shown_in_other_words,
        an_audit_that_nobody_has_declared,
        what_is_changed_says_how_to_undo_it,
        a_shell_completes,
    ];
    run(tests, async || OnCall::start().await.expect("the stack"), async |p: OnCall| p.stack.stop().await)
}
