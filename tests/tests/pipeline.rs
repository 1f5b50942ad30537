//! The pipeline end to end on the local stack: the real template, the real bootstraps, a real PostgreSQL.

use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_redshiftdata::types::StatusString;
use loader::rerun::again;
use redshift_data_local::faults::{Fault, FaultKind};
use redshift_local::demo::{announce, started};
use redshift_local::execution::{self, Ended, follow};
use redshift_local::notifications::{Inbox, Received, settle};
use redshift_local::stack::{CLUSTER, Options, Stack};
use serde_json::{Value, json};
use tests::{Any, Outcome, failed, run, tests};

const LIMIT: Duration = Duration::from_secs(60);

struct Pipeline {
    stack: Stack,
    inbox: Inbox,
    sfn: aws_sdk_sfn::Client,
    redshift: aws_sdk_redshiftdata::Client,
    lambda: aws_sdk_lambda::Client,
}

async fn start() -> Pipeline {
    let parameters = ["SweepSeconds=3", "CancelGraceSeconds=4"].map(str::to_owned).to_vec();
    let options = Options { wait_scale: Some(0.02), parameters, ..Options::default() };
    let stack = Stack::start(&options, |_| ()).await.expect("the stack");
    let inbox = Inbox::subscribe(&stack.aws, stack.outputs.get("TopicArn")).await.expect("a queue");
    Pipeline {
        inbox,
        sfn: aws_sdk_sfn::Client::new(&stack.aws),
        redshift: aws_sdk_redshiftdata::Client::new(&stack.redshift),
        lambda: aws_sdk_lambda::Client::new(&stack.aws),
        stack,
    }
}

impl Pipeline {
    /// The sample orders, nothing loaded, nothing received.
    async fn fresh(&self) -> Outcome {
        self.stack.warehouse.reset().await?;
        settle().await;
        self.inbox.take(0).await?;
        Ok(())
    }

    async fn begin(&self, input: &Value) -> Any<String> {
        Ok(execution::start(&self.sfn, self.stack.outputs.get("StateMachineArn"), input).await?)
    }

    async fn end(&self, arn: &str) -> Any<Ended> {
        Ok(follow(&self.sfn, arn, LIMIT, |_| ()).await?)
    }

    /// Starts an execution and waits for its end.
    async fn execute(&self, input: &Value) -> Any<Ended> {
        let arn = self.begin(input).await?;
        self.end(&arn).await
    }

    /// Replaces or adds a procedure without arguments.
    async fn procedure(&self, name: &str, body: &str) -> Outcome {
        let sql = format!("CREATE OR REPLACE PROCEDURE dev.{name}() AS $$ BEGIN {body}; END; $$ LANGUAGE plpgsql");
        Ok(self.stack.warehouse.run(&sql).await?)
    }

    /// The status of every procedure's statement of an execution, by its name behind the execution's.
    async fn statements(&self, arn: &str) -> Any<Vec<(String, StatusString)>> {
        let prefix = shared::attempt::execution_prefix(arn);
        let list = self.redshift.list_statements().status(StatusString::All).statement_name(&prefix).send().await?;
        let mut all: Vec<_> = list
            .statements()
            .iter()
            .map(|s| {
                let name = s.statement_name().unwrap_or_default().trim_start_matches(&prefix).to_owned();
                (name, s.status().cloned().unwrap_or(StatusString::from("?")))
            })
            .filter(|(name, _): &(String, _)| !name.starts_with("notify/"))
            .collect();
        all.sort();
        Ok(all)
    }

    /// The Id of the first statement of an execution, once it runs.
    async fn running(&self, arn: &str) -> Any<String> {
        let prefix = shared::attempt::execution_prefix(arn);
        for _ in 0..300 {
            let list =
                self.redshift.list_statements().status(StatusString::Started).statement_name(&prefix).send().await?;
            if let Some(statement) = list.statements().first() {
                return Ok(statement.id().to_owned());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(failed("no statement runs"))
    }

    /// The failure notifications among what arrived; there must be `expected` messages.
    async fn received(&self, expected: usize) -> Any<Vec<Received>> {
        settle().await;
        let received = self.inbox.take(expected).await?;
        assert_eq!(received.len(), expected, "{received:?}");
        Ok(received)
    }

    /// Invokes a function; its answer, and whether it failed.
    async fn invoke(&self, output: &str, payload: &Value) -> Any<(Value, bool)> {
        let function = self.stack.outputs.get(output);
        let answer =
            self.lambda.invoke().function_name(function).payload(Blob::new(payload.to_string())).send().await?;
        let payload = answer.payload().map(|p| serde_json::from_slice(p.as_ref())).transpose()?.unwrap_or_default();
        Ok((payload, answer.function_error().is_some()))
    }

    /// Kills the processes of a function of this stack; how many there were.
    fn kill_function(&self, output: &str) -> Any<usize> {
        let marks = [
            format!("AWS_LAMBDA_FUNCTION_NAME={}", self.stack.outputs.get(output)),
            format!("TMPDIR={}", self.stack.dir.path().display()),
        ];
        let mut killed = 0;
        for process in std::fs::read_dir("/proc")?.flatten() {
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment);
            let Ok(pid) = process.file_name().to_string_lossy().parse() else { continue };
            if marks.iter().all(|mark| environment.contains(mark)) {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?;
                killed += 1;
            }
        }
        Ok(killed)
    }

    async fn final_rows(&self) -> Any<i64> {
        Ok(self.stack.warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?)
    }
}

fn finished(names: &[&str]) -> Vec<(String, StatusString)> {
    names.iter().map(|n| ((*n).to_owned(), StatusString::Finished)).collect()
}

fn run_ids(received: &[Received]) -> Vec<&str> {
    let mut ids: Vec<_> = received.iter().filter_map(|m| m.attributes.get("run_id")?.as_str()).collect();
    ids.sort_unstable();
    ids
}

async fn an_event_runs_the_load_then_the_audit_then_notifies(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let before = p
        .sfn
        .list_executions()
        .state_machine_arn(p.stack.outputs.get("StateMachineArn"))
        .send()
        .await?
        .executions()
        .len();
    announce(&p.stack).await?;
    let ended = p.end(&started(&p.stack, before).await?).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?} {:?}", ended.error, ended.cause);
    assert_eq!(ended.output, json!({"UnresolvedRuns": 4, "Notified": 4}));
    assert_eq!(p.statements(&ended.arn).await?, finished(&["0/1", "1/1"]));
    let names: Vec<_> = ended.statements.iter().map(|s| s["Procedure"].clone()).collect();
    assert_eq!(names, ["dev.enriched_orders_sp", "dev.audit_orders_sp"]);
    assert!(
        !ended.states.contains(&"Wait".to_owned()),
        "what ends in the first long poll costs no loop: {:?}",
        ended.states
    );
    let received = p.received(4).await?;
    assert_eq!(run_ids(&received), ["42", "43", "44", "45"]);
    for message in &received {
        let run = message.attributes["run_id"].as_str().unwrap_or_default();
        assert_eq!(message.subject, "S3 Staging vs Redshift mismatch");
        let first = message.message.lines().next().unwrap_or_default();
        assert_eq!(first, format!("Mismatch between S3 staging and Redshift for the run id {run}"));
        assert_eq!(message.attributes["mismatches"], "1");
    }
    assert_eq!(p.final_rows().await?, 10);
    Ok(())
}

async fn an_empty_input_runs_the_default_list(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let ended = p.execute(&json!({})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    assert_eq!(p.statements(&ended.arn).await?, finished(&["0/1", "1/1"]));
    p.received(4).await?;
    Ok(())
}

async fn the_detail_of_an_event_never_chooses_what_runs(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let input =
        json!({"source": "redshift-loader", "detail": {"Procedures": [{"Procedure": "dev.nope"}], "DryRun": true}});
    let ended = p.execute(&input).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED");
    assert_eq!(p.final_rows().await?, 10);
    p.received(4).await?;
    Ok(())
}

async fn a_list_of_one_procedure_runs_that_one(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let ended = p.execute(&json!({"Procedures": [{"Sql": "call dev.enriched_orders_sp();"}]})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    assert_eq!(p.statements(&ended.arn).await?, finished(&["0/1"]));
    assert_eq!((p.final_rows().await?, ended.output), (10, json!({"UnresolvedRuns": 0, "Notified": 0})));
    p.received(0).await?;
    Ok(())
}

async fn arguments_and_a_provisioned_cluster(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.stack
        .warehouse
        .run(
            "CREATE TABLE dev.calls (run_id BIGINT, reason VARCHAR(99), day DATE);
             CREATE PROCEDURE dev.backfill_sp(run_id BIGINT, reason VARCHAR, day DATE) AS $$
             BEGIN INSERT INTO dev.calls VALUES (run_id, reason, day); END; $$ LANGUAGE plpgsql",
        )
        .await?;
    let call = json!({
        "Procedure": "dev.backfill_sp", "ClusterIdentifier": CLUSTER, "DbUser": "awsuser",
        "Arguments": [{"Name": "run_id", "Value": 42, "Type": "BIGINT"}, {"Name": "reason", "Value": "it's :late"},
                      {"Name": "day", "Value": "2026-01-31", "Type": "DATE"}]
    });
    let ended = p.execute(&json!({"Procedures": [call]})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    let rows = p.stack.warehouse.rows("SELECT run_id, reason, CAST(day AS VARCHAR) FROM dev.calls").await?;
    assert_eq!(rows.len(), 1);
    let row: (i64, String, String) = (rows[0].get(0), rows[0].get(1), rows[0].get(2));
    assert_eq!(row, (42, "it's :late".to_owned(), "2026-01-31".to_owned()));
    Ok(())
}

/// Whatever comes close to an input, or is none at all, loads nothing.
async fn what_is_no_input_is_refused(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    for input in [
        json!({"Procedures": []}),
        json!({"Procedures": "dev.p"}),
        json!({"Procedures": {"a": 1}}),
        json!({"dryRun": true}),
        json!({"DryRun": null}),
        json!({"procedures": [{"Procedure": "dev.nope"}]}),
        json!({"Unknown": 1}),
        json!([{"Procedure": "dev.nope"}]),
        json!("abc"),
        json!(7),
        json!(null),
    ] {
        let ended = p.execute(&input).await?;
        assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("InvalidInput")), "{input}");
        assert!(p.statements(&ended.arn).await?.is_empty());
        let received = p.received(1).await?;
        assert_eq!(received[0].subject, "Redshift load failed");
        assert!(received[0].message.contains("Nothing was run"), "{}", received[0].message);
    }
    assert_eq!(p.final_rows().await?, 0);
    Ok(())
}

async fn a_malformed_call_fails_by_name_and_runs_nothing(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    for call in [json!(1), json!({}), json!({"Sql": "DROP TABLE dev.orders"}), json!({"Procedure": "dev.p", "Typo": 1})]
    {
        // The first of the list would run.
        let ended = p.execute(&json!({"Procedures": [{"Procedure": "dev.enriched_orders_sp"}, call]})).await?;
        assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("InvalidInput")), "{call}");
        assert!(p.statements(&ended.arn).await?.is_empty());
        p.received(1).await?;
    }
    Ok(())
}

async fn a_failing_load_is_reported_and_not_audited(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("enriched_orders_sp", "PERFORM 1 / 0").await?;
    let ended = p.execute(&json!({})).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("StatementFailed")));
    assert!(ended.cause.as_ref().is_some_and(|c| c.contains("division by zero")), "{:?}", ended.cause);
    assert_eq!(p.statements(&ended.arn).await?, [("0/1".to_owned(), StatusString::Failed)], "no audit run, no retry");
    let received = p.received(1).await?;
    let (subject, text) = (&received[0].subject, &received[0].message);
    assert_eq!(subject, "Redshift load failed");
    let id = ended.statements[0]["Id"].as_str().unwrap_or_default();
    for part in
        ["StatementFailed", "division by zero", "dev.enriched_orders_sp", id, "console.aws.amazon.com", &ended.arn]
    {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    Ok(())
}

async fn an_aborted_statement_ends_the_execution(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(60)").await?;
    let arn = p.begin(&json!({"Procedures": [{"Procedure": "dev.slow_sp"}]})).await?;
    let id = p.running(&arn).await?;
    p.redshift.cancel_statement().id(id).send().await?;
    let ended = p.end(&arn).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("AbortedByUser")), "{:?}", ended.cause);
    assert_eq!(
        p.statements(&arn).await?,
        [("0/1".to_owned(), StatusString::Aborted)],
        "an abort by a person is not retried"
    );
    p.received(1).await?;
    Ok(())
}

async fn a_duplicate_event_loads_once(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let machine = p.stack.outputs.get("StateMachineArn");
    let known = async || -> Any<Vec<String>> {
        let list = p.sfn.list_executions().state_machine_arn(machine).send().await?;
        Ok(list.executions().iter().map(|e| e.execution_arn().to_owned()).collect())
    };
    let before = known().await?;
    announce(&p.stack).await?;
    announce(&p.stack).await?;
    started(&p.stack, before.len() + 1).await?;
    let new: Vec<_> = known().await?.into_iter().filter(|arn| !before.contains(arn)).collect();
    assert_eq!(new.len(), 2);
    for arn in new {
        assert_eq!(p.end(&arn).await?.status.as_str(), "SUCCEEDED");
    }
    assert_eq!(p.final_rows().await?, 10);
    assert_eq!(p.stack.warehouse.number("SELECT COUNT(*) FROM dev.orders_audit").await?, 4);
    p.received(8).await?;
    Ok(())
}

async fn a_serialization_conflict_is_tried_again_with_a_new_token(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    // A sequence keeps its value when the transaction is rolled back.
    p.stack.warehouse.run("CREATE SEQUENCE dev.tries").await?;
    let conflict = "IF nextval('dev.tries') < 3 THEN RAISE EXCEPTION USING ERRCODE = '40001', \
                    MESSAGE = 'could not serialize access due to concurrent update'; END IF";
    p.procedure("conflicting_sp", conflict).await?;
    let ended = p.execute(&json!({"Procedures": [{"Procedure": "dev.conflicting_sp"}]})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    let statements = p.statements(&ended.arn).await?;
    let names: Vec<_> = statements.iter().map(|(name, status)| format!("{name} {status}")).collect();
    assert_eq!(names, ["0/1 FAILED", "0/2 FAILED", "0/3 FINISHED"]);
    p.stack.warehouse.run("ALTER SEQUENCE dev.tries RESTART").await?;
    let ended = p.execute(&json!({"Procedures": [{"Procedure": "dev.conflicting_sp", "MaxAttempts": 2}]})).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("SerializationConflict")));
    assert_eq!(p.statements(&ended.arn).await?.len(), 2);
    p.received(1).await?;
    Ok(())
}

async fn past_its_time_a_statement_is_cancelled(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(60)").await?;
    let ended = p.execute(&json!({"Procedures": [{"Procedure": "dev.slow_sp", "TimeoutSeconds": 1}]})).await?;
    assert_eq!(
        (ended.status.as_str(), ended.error.as_deref()),
        ("FAILED", Some("StatementTimedOut")),
        "{:?}",
        ended.cause
    );
    assert_eq!(p.statements(&ended.arn).await?, [("0/1".to_owned(), StatusString::Aborted)]);
    p.received(1).await?;
    Ok(())
}

/// The roll-back outlasts the grace: the execution ends and says so, and the cancel is still under way.
async fn a_cancel_that_is_not_confirmed_ends_the_execution(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let fault = |kind| Fault::new(kind).of("/0/1");
    p.stack.data_api.service.faults().set(vec![fault(FaultKind::NeverEnds), fault(FaultKind::SlowCancel(9.0))]);
    let ended =
        p.execute(&json!({"Procedures": [{"Procedure": "dev.enriched_orders_sp", "TimeoutSeconds": 1}]})).await?;
    assert_eq!(
        (ended.status.as_str(), ended.error.as_deref()),
        ("FAILED", Some("CancelNotConfirmed")),
        "{:?}",
        ended.cause
    );
    let id = ended.statements[0]["Id"].as_str().unwrap_or_default();
    assert!(ended.cause.is_some_and(|c| c.contains(id)));
    let described = p.redshift.describe_statement().id(id).wait_time_seconds(30).send().await?;
    assert_eq!(described.status(), Some(&StatusString::Aborted));
    p.received(1).await?;
    Ok(())
}

async fn a_dry_run_says_what_would_run_and_runs_nothing(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let ended = p.execute(&json!({"DryRun": true})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    let plan: Vec<_> = ended.output["Statements"].as_array().into_iter().flatten().map(|s| s["Sql"].clone()).collect();
    assert_eq!(plan, ["CALL dev.enriched_orders_sp();", "CALL dev.audit_orders_sp();"]);
    assert!(p.statements(&ended.arn).await?.is_empty());
    let ended = p.execute(&json!({"DryRun": "yes"})).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("InvalidInput")));
    assert!(p.statements(&ended.arn).await?.is_empty());
    assert_eq!(p.final_rows().await?, 0);
    p.received(1).await?;
    Ok(())
}

async fn what_a_stopped_execution_left_running_is_cancelled(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(60)").await?;
    let arn = p.begin(&json!({"Procedures": [{"Procedure": "dev.slow_sp"}]})).await?;
    let id = p.running(&arn).await?;
    p.sfn.stop_execution().execution_arn(&arn).send().await?;
    let described = p.redshift.describe_statement().id(id).wait_time_seconds(30).send().await?;
    assert_eq!(described.status(), Some(&StatusString::Aborted));
    let received = p.received(1).await?;
    assert!(received[0].message.contains(&arn) && received[0].message.contains("ABORTED"), "{received:?}");
    Ok(())
}

/// The second waits before its own time-out counts and before it holds anything: its load has a second, and the
/// first takes three.
async fn executions_queue_before_their_time_counts(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "LOCK dev.orders_final; PERFORM pg_sleep(3)").await?;
    let first = p.begin(&json!({"Procedures": [{"Procedure": "dev.slow_sp"}]})).await?;
    p.running(&first).await?;
    let second = json!({"Procedures": [{"Procedure": "dev.enriched_orders_sp", "TimeoutSeconds": 1}]});
    let second = p.execute(&second).await?;
    assert_eq!(second.status.as_str(), "SUCCEEDED", "{:?} {:?}", second.error, second.cause);
    assert!(second.states.iter().any(|state| state == "WaitForTurn"), "{:?}", second.states);
    assert_eq!(p.end(&first).await?.status.as_str(), "SUCCEEDED");
    assert_eq!(p.final_rows().await?, 10);
    p.received(0).await?;
    Ok(())
}

/// One runs, one waits, a third would only do what the second does. A list of its own is never covered.
async fn one_that_waits_is_enough(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(3)").await?;
    let own = json!({"Procedures": [{"Procedure": "dev.slow_sp"}]});
    let first = p.begin(&own).await?;
    p.running(&first).await?;
    let second = p.begin(&json!({})).await?;
    let waits = async || -> Outcome {
        for _ in 0..200 {
            let events = redshift_local::execution::history(&p.sfn, &second).await?;
            let mut entered = events.iter().filter_map(|e| e.state_entered_event_details());
            if entered.next_back().is_some_and(|state| state.name() == "WaitForTurn") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(failed("the second does not wait"))
    };
    waits().await?;
    let clock =
        json!({"detail-type": "Scheduled Event", "source": "aws.events", "time": "2026-01-01T00:00:00Z", "detail": {}});
    let (third, fourth) = (p.execute(&clock).await?, p.begin(&own).await?);
    assert_eq!(third.status.as_str(), "SUCCEEDED", "{:?}", third.cause);
    assert_eq!((&third.output["Status"], &third.output["CoveredBy"]), (&json!("COVERED"), &json!(second)));
    assert!(third.statements.is_empty());
    for arn in [&first, &second, &fourth] {
        let ended = p.end(arn).await?;
        assert_eq!((ended.status.as_str(), ended.statements.is_empty()), ("SUCCEEDED", false), "{:?}", ended.cause);
    }
    p.received(8).await?;
    Ok(())
}

/// The event that an execution was stopped may never come: the next execution cancels what it left.
async fn the_next_execution_cancels_what_a_dead_one_left(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let dead = p.execute(&json!({"DryRun": true})).await?;
    let name = format!("{}0/1", shared::attempt::execution_prefix(&dead.arn));
    let left = p.redshift.execute_statement().workgroup_name(redshift_local::stack::WORKGROUP);
    let left = left.database(p.stack.warehouse.database()).secret_arn(&p.stack.secret_arn).statement_name(name);
    let left = left.sql("SELECT pg_sleep(60)").send().await?.id.unwrap_or_default();
    p.running(&dead.arn).await?;
    let next = p.execute(&json!({})).await?;
    assert_eq!(next.status.as_str(), "SUCCEEDED", "{:?}", next.cause);
    let described = p.redshift.describe_statement().id(left).send().await?;
    assert_eq!(described.status(), Some(&StatusString::Aborted));
    p.received(4).await?;
    Ok(())
}

async fn a_singleton_waits_for_the_other_statement(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(60)").await?;
    let payload = |execution: &str| json!({"Procedure": "dev.slow_sp", "Singleton": true, "ExecutionId": execution, "TimeoutSeconds": 1});
    let (first, failed) = p.invoke("ProcRunnerName", &payload("first")).await?;
    assert!(!failed, "{first}");
    let (second, failed) = p.invoke("ProcRunnerName", &payload("second")).await?;
    assert!(failed && second["errorType"] == "AlreadyRunning", "{second}");
    let (own, _) = p.invoke("ProcRunnerName", &payload("first")).await?;
    assert_eq!(own["Id"], first["Id"], "the own attempt's statement is not another");
    p.redshift.cancel_statement().id(first["Id"].as_str().unwrap_or_default()).send().await?;
    Ok(())
}

async fn a_failed_execution_is_run_again_after_each_step(p: &Pipeline) -> Outcome {
    let function = p.stack.outputs.get("OrdersAuditFnName");
    let set_topic = async |arn: &str| -> Outcome {
        let now = p.lambda.get_function_configuration().function_name(function).send().await?;
        let mut variables = now.environment().and_then(|e| e.variables().cloned()).ok_or("no environment")?;
        variables.insert("TOPIC_ARN".into(), arn.to_owned());
        let environment = aws_sdk_lambda::types::Environment::builder().set_variables(Some(variables)).build();
        p.lambda.update_function_configuration().function_name(function).environment(environment).send().await?;
        Ok(())
    };
    for step in ["load", "audit", "notify"] {
        p.fresh().await?;
        match step {
            "load" => p.stack.warehouse.run("ALTER TABLE dev.orders_final RENAME TO hidden").await?,
            "audit" => p.stack.warehouse.run("ALTER TABLE dev.orders_audit RENAME TO hidden").await?,
            _ => set_topic("arn:aws:sns:eu-west-1:000000000000:no-such-topic").await?,
        }
        let ended = p.execute(&json!({})).await?;
        assert_eq!(ended.status.as_str(), "FAILED", "{step}");
        match step {
            "load" => p.stack.warehouse.run("ALTER TABLE dev.hidden RENAME TO orders_final").await?,
            "audit" => p.stack.warehouse.run("ALTER TABLE dev.hidden RENAME TO orders_audit").await?,
            _ => set_topic(p.stack.outputs.get("TopicArn")).await?,
        }
        let again = p.end(&again(&p.sfn, &ended.arn).await?).await?;
        assert_eq!(again.status.as_str(), "SUCCEEDED", "{step}: {:?}", again.cause);
        assert_eq!(p.final_rows().await?, 10, "{step}");
        assert_eq!(p.stack.warehouse.unresolved_runs().await?, [42, 43, 44, 45], "{step}");
        p.received(5).await?;
        let refused = loader::rerun::again(&p.sfn, &again.arn).await.expect_err("succeeded");
        assert!(refused.to_string().contains("nothing to run again"));
    }
    Ok(())
}

/// The service has accepted the statement, and the function dies before it can say so: Step Functions
/// repeats the attempt, which finds the statement by its token.
async fn a_killed_proc_runner_runs_the_procedure_once(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.stack.warehouse.run("CREATE TABLE dev.calls (n INT)").await?;
    p.procedure("slow_sp", "INSERT INTO dev.calls VALUES (1); PERFORM pg_sleep(2)").await?;
    let arn = p.begin(&json!({"Procedures": [{"Procedure": "dev.slow_sp"}]})).await?;
    p.running(&arn).await?;
    assert!(p.kill_function("ProcRunnerName")? > 0, "proc-runner was in its long poll");
    let ended = p.end(&arn).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?} {:?}", ended.error, ended.cause);
    assert_eq!(p.statements(&arn).await?, finished(&["0/1"]));
    assert_eq!(p.stack.warehouse.number("SELECT COUNT(*) FROM dev.calls").await?, 1);
    Ok(())
}

async fn proc_runner_run_twice_submits_once(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let payload = json!({"Procedure": "dev.enriched_orders_sp", "ExecutionId": "twice", "Step": 0, "Attempt": 1});
    let (first, _) = p.invoke("ProcRunnerName", &payload).await?;
    let (second, _) = p.invoke("ProcRunnerName", &payload).await?;
    assert_eq!(first["Status"], "FINISHED", "{first}");
    assert_eq!(first["Id"], second["Id"]);
    let (checked, failed) = p.invoke("StatusCheckerName", &first).await?;
    assert!(!failed && checked["Status"] == "FINISHED" && checked["Id"] == first["Id"], "{checked}");
    Ok(())
}

async fn bad_input_fails_each_function_by_name(p: &Pipeline) -> Outcome {
    let unknown = "11111111-2222-3333-4444-555555555555";
    for (function, payload, name) in [
        ("ProcRunnerName", json!(null), "InvalidInput"),
        (
            "ProcRunnerName",
            json!({"Procedure": "dev.p", "WorkgroupName": "w", "ClusterIdentifier": "c"}),
            "InvalidInput",
        ),
        ("ProcRunnerName", json!({"Sql": "SELECT 1"}), "InvalidInput"),
        ("ProcRunnerName", json!({"Procedure": "dev.p", "WorkgroupName": "no-such"}), "RequestRefused"),
        ("StatusCheckerName", json!({}), "InvalidInput"),
        ("StatusCheckerName", json!({"Id": "nope", "TimeoutSeconds": 9}), "InvalidInput"),
        ("StatusCheckerName", json!({"Id": unknown, "TimeoutSeconds": 9}), "StatementNotFound"),
    ] {
        let (answer, failed) = p.invoke(function, &payload).await?;
        assert!(failed && answer["errorType"] == name, "{function} {payload}: {answer}");
    }
    Ok(())
}

async fn the_audit_function_copes_with_what_the_table_holds(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let (answer, _) = p.invoke("OrdersAuditFnName", &json!("anything")).await?;
    assert_eq!(answer, json!({"UnresolvedRuns": 0, "Notified": 0, "Resolved": 0, "Failed": 0}), "an empty table");
    let many = "INSERT INTO dev.orders_audit (run_id, order_id, kind, status, first_seen_at, last_seen_at) \
                SELECT n / 100, n, 'DIFFERENT', 'NEW', GETDATE(), GETDATE() FROM generate_series(0, 2499) n";
    p.stack.warehouse.run(many).await?;
    let none = "INSERT INTO dev.orders_audit (kind, status, first_seen_at, last_seen_at) VALUES ('DIFFERENT', 'NEW', GETDATE(), GETDATE())";
    p.stack.warehouse.run(none).await?;
    let (answer, _) = p.invoke("OrdersAuditFnName", &json!({"ExecutionId": "x"})).await?;
    assert_eq!(answer["Notified"], 26, "{answer}");
    let received = p.received(26).await?;
    assert!(run_ids(&received).contains(&"NULL"));
    p.stack.warehouse.run("DROP TABLE dev.orders_audit").await?;
    let (answer, failed) = p.invoke("OrdersAuditFnName", &json!({})).await?;
    assert!(failed && answer["errorType"] == "AuditQueryFailed", "{answer}");
    assert!(answer["errorMessage"].as_str().is_some_and(|m| m.contains("does not exist")), "{answer}");
    Ok(())
}

/// Its role is for the stack's own topic.
async fn another_topic_is_refused(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let input = json!({"Procedures": [{"Procedure": "dev.enriched_orders_sp"}, {"Procedure": "dev.audit_orders_sp"}]});
    let function = p.stack.outputs.get("OrdersAuditFnName");
    let before = p.lambda.get_function_configuration().function_name(function).send().await?;
    let good = before.environment().and_then(|e| e.variables().cloned()).ok_or("no environment")?;
    let mut bad = good.clone();
    bad.insert("TOPIC_ARN".into(), "arn:aws:sns:eu-west-1:000000000000:another-topic".into());
    let set = async |variables| {
        let environment = aws_sdk_lambda::types::Environment::builder().set_variables(Some(variables)).build();
        p.lambda.update_function_configuration().function_name(function).environment(environment).send().await
    };
    set(bad).await?;
    let ended = p.execute(&input).await;
    set(good).await?;
    let ended = ended?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("AccessDenied")), "{:?}", ended.cause);
    p.received(1).await?;
    Ok(())
}

/// The last: nobody hears of anything after it.
async fn a_topic_that_does_not_exist_is_named(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let topic = p.stack.outputs.get("TopicArn");
    aws_sdk_sns::Client::new(&p.stack.aws).delete_topic().topic_arn(topic).send().await?;
    let ended = p.execute(&json!({})).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("TopicNotFound")), "{:?}", ended.cause);
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        an_event_runs_the_load_then_the_audit_then_notifies,
        an_empty_input_runs_the_default_list,
        the_detail_of_an_event_never_chooses_what_runs,
        a_list_of_one_procedure_runs_that_one,
        arguments_and_a_provisioned_cluster,
        what_is_no_input_is_refused,
        a_malformed_call_fails_by_name_and_runs_nothing,
        a_failing_load_is_reported_and_not_audited,
        an_aborted_statement_ends_the_execution,
        a_duplicate_event_loads_once,
        a_serialization_conflict_is_tried_again_with_a_new_token,
        past_its_time_a_statement_is_cancelled,
        a_cancel_that_is_not_confirmed_ends_the_execution,
        a_dry_run_says_what_would_run_and_runs_nothing,
        what_a_stopped_execution_left_running_is_cancelled,
        executions_queue_before_their_time_counts,
        one_that_waits_is_enough,
        the_next_execution_cancels_what_a_dead_one_left,
        a_singleton_waits_for_the_other_statement,
        a_failed_execution_is_run_again_after_each_step,
        a_killed_proc_runner_runs_the_procedure_once,
        proc_runner_run_twice_submits_once,
        bad_input_fails_each_function_by_name,
        the_audit_function_copes_with_what_the_table_holds,
        another_topic_is_refused,
        a_topic_that_does_not_exist_is_named,
    ];
    run(tests, start, async |p: Pipeline| p.stack.stop().await)
}
