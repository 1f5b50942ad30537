use super::*;
use std::time::SystemTime;

use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_redshiftdata::types::{StatementStatusString, StatusString};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use serde_json::json;
use shared::testing::{EXECUTION as ARN, ID, assert_no_leak, leaks, logged, poisoned};
use std::sync::{Arc, Mutex};

fn config() -> Config {
    Config::from_env(|name| match name {
        "WORKGROUP_NAME" => Some("w".into()),
        "DATABASE" => Some("d".into()),
        "SECRET_ARN" => Some("s".into()),
        _ => None,
    })
    .expect("valid")
}

fn described(status: StatusString, error: &'static str) -> Rule {
    mock!(Client::describe_statement).then_output(move || {
        DescribeStatementOutput::builder()
            .id(ID)
            .status(status.clone())
            .error(error)
            .created_at(SystemTime::now().into())
            .build()
            .expect("complete")
    })
}

/// Answers every submit, and keeps what was sent.
fn accepting(seen: &Arc<Mutex<Vec<String>>>) -> Rule {
    let seen = seen.clone();
    mock!(Client::execute_statement)
        .match_requests(move |r| {
            seen.lock().expect("lock").push(format!("{r:?}"));
            true
        })
        .then_output(|| {
            ExecuteStatementOutput::builder()
                .id(ID)
                .status(StatementStatusString::Started)
                .created_at(SystemTime::now().into())
                .build()
        })
}

async fn submit(payload: Value, end: (StatusString, &'static str)) -> (Result<Value>, Vec<String>) {
    let seen = Arc::default();
    let (accept, describe) = (accepting(&seen), described(end.0, end.1));
    let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&accept, &describe]);
    let answer = handle(&client, &config(), payload, "request-1").await;
    let seen = seen.lock().expect("lock").clone();
    (answer, seen)
}

#[tokio::test]
async fn a_running_statement_is_reported_with_what_the_loop_needs() {
    let payload = json!({"Call": {"Procedure": "dev.p"}, "ExecutionId": ARN, "Step": 1, "Attempt": 2});
    let (answer, _) = submit(payload, (StatusString::Started, "")).await;
    let answer = answer.expect("submitted");
    for (field, value) in [
        ("Id", json!(ID)),
        ("Status", json!("STARTED")),
        ("WaitSeconds", json!(1)),
        ("Attempt", json!(2)),
        ("MaxAttempts", json!(3)),
        ("TimeoutSeconds", json!(7200)),
        ("Procedure", json!("dev.p")),
        ("StatementName", json!("loader/run-1/1/2")),
    ] {
        assert_eq!(answer[field], value, "{field}");
    }
    assert!(answer.get("Error").is_none());
}

#[tokio::test]
async fn a_failure_inside_the_long_poll_is_reported_at_once() {
    let conflict = (StatusString::Failed, "ERROR: 1023 Detail: Serializable isolation violation on table - 1");
    let (answer, _) = submit(json!({"Procedure": "dev.p"}), conflict).await;
    let answer = answer.expect("submitted");
    assert_eq!((answer["Status"].as_str(), answer["Error"].as_str()), (Some("FAILED"), Some("SerializationConflict")));
    assert_eq!((&answer["Retryable"], &answer["RetryAfterSeconds"]), (&json!(true), &json!(10)));
}

#[tokio::test]
async fn the_same_attempt_sends_the_same_bytes() {
    let payload = |attempt| json!({"Procedure": "dev.p", "Arguments": [{"Name": "a", "Value": "x"}], "ExecutionId": ARN, "Attempt": attempt});
    let first = submit(payload(1), (StatusString::Started, "")).await.1;
    assert_eq!(first, submit(payload(1), (StatusString::Finished, "")).await.1);
    assert_ne!(first, submit(payload(2), (StatusString::Finished, "")).await.1);
}

#[tokio::test]
async fn without_an_execution_the_request_id_is_the_identity() {
    let (answer, _) = submit(json!({"Sql": "call dev.p();"}), (StatusString::Finished, "")).await;
    assert_eq!(answer.expect("submitted")["StatementName"], "direct/request-1/0/1");
}

#[tokio::test]
async fn bad_input_submits_nothing() {
    for payload in [
        json!(null),
        json!({}),
        json!({"Call": {"Procedure": "dev.p"}, "Procedure": "dev.p"}),
        json!({"Call": 1}),
        json!({"Procedures": [{"Procedure": "dev.p"}]}),
        json!({"DryRun": true, "Procedures": []}),
        json!({"DryRun": true, "Procedures": "dev.p"}),
        json!({"Sql": "SELECT 1"}),
        json!({"Procedure": "dev.p", "ClusterIdentifier": "c", "SecretArn": "s", "DbUser": "u"}),
        json!({"Procedure": "dev.p", "TimeoutSeconds": 0}),
        json!({"Procedure": "dev.p", "MaxAttempts": 0}),
        json!({"Procedure": "dev.p", "MaxAttempts": 11}),
        // 3 x 8,719 events.
        json!({"Procedure": "dev.p", "TimeoutSeconds": 86_400}),
        json!({"Procedure": "dev.p", "TimeoutSeconds": 43_200, "MaxAttempts": 5}),
        json!({"Procedure": "dev.p", "TimeoutSecond": 5}),
        json!({"Procedure": "dev.p", "Step": -1}),
        json!({"Plan": {}, "Procedure": "dev.p"}),
        json!({"Plan": {}, "Call": {"Procedure": "dev.p"}}),
    ] {
        let (answer, seen) = submit(payload.clone(), (StatusString::Finished, "")).await;
        assert_eq!(answer.expect_err(&payload.to_string()).name(), "InvalidInput");
        assert!(seen.is_empty());
    }
}

#[tokio::test]
async fn bounds_that_fit_into_a_history_are_taken() {
    for (timeout, attempts) in [(7200, 3), (7200, 10), (43_200, 4), (86_400, 2)] {
        let payload = json!({"Procedure": "dev.p", "TimeoutSeconds": timeout, "MaxAttempts": attempts});
        submit(payload, (StatusString::Finished, "")).await.0.expect("submitted");
    }
    let payload = json!({"Call": {"Procedure": "dev.p", "TimeoutSeconds": 86_400}, "Step": 1});
    let said = submit(payload, (StatusString::Finished, "")).await.0.expect_err("too much").to_string();
    assert!(said.starts_with("step 1 (dev.p): 3 attempts") && said.contains("26169 events"), "{said}");
}

#[tokio::test]
async fn whatever_fails_names_the_procedure_and_no_argument() {
    let seen = Arc::default();
    let unknown = described(StatusString::from("HIBERNATING"), "");
    let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&accepting(&seen), &unknown]);
    let payload = json!({"Sql": "CALL dev.p('hunter2')"});
    let error = handle(&client, &config(), payload, "request-1").await.expect_err("unknown");
    assert_eq!(error.name(), "UnknownStatus");
    assert!(error.to_string().starts_with("dev.p: ") && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_dry_run_shows_placeholders_and_runs_nothing() {
    let payload = json!({"DryRun": true, "ExecutionId": ARN, "Procedures": [
        {"Sql": "CALL dev.p('hunter2')"}, {"Procedure": "dev.q", "Database": "other"},
        {"Procedure": "dev.r", "ClusterIdentifier": "c", "DbUser": "u"}
    ]});
    let (answer, seen) = submit(payload, (StatusString::Finished, "")).await;
    let answer = answer.expect("planned");
    assert!(seen.is_empty());
    assert_eq!(answer["Statements"][0]["Sql"], "CALL dev.p(:literal_1);");
    assert_eq!(answer["Statements"][1]["Database"], "other");
    assert_eq!(answer["Statements"][1]["SecretArn"], "s");
    assert_eq!(
        (&answer["Statements"][2]["DbUser"], &answer["Statements"][2]["SecretArn"]),
        (&json!("u"), &json!(null))
    );
    assert_eq!(answer["Statements"][1]["StatementName"], "loader/run-1/1/1");
    assert!(!answer.to_string().contains("hunter2"));
}

/// The plan of an input, in an environment with these variables besides those of the target.
async fn plan(input: Value, environment: &'static [(&'static str, &'static str)]) -> Result<Value> {
    let config = Config::from_env(|name| match name {
        "WORKGROUP_NAME" => Some("w".into()),
        "DATABASE" => Some("d".into()),
        _ => environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
    });
    // Nothing is called.
    let client = mock_client!(aws_sdk_redshiftdata, []);
    handle(&client, &config.expect("valid"), json!({"Plan": input, "ExecutionId": ARN}), "request-1").await
}

const GATED: &[(&str, &str)] = &[
    ("PROCEDURES", "a.load,a.audit,a.third"),
    ("GLUE_WORKFLOW_NAME", "orders \"nightly\""),
    ("EMR_CLUSTER_ID", "j-1"),
    ("EMR_STEP_ARGUMENTS", "spark-submit  s3://b/x.py"),
    ("EMR_STEP_TIMEOUT_SECONDS", "60"),
];

#[tokio::test]
async fn the_default_list_is_planned_with_its_gate_and_step() {
    let event = json!({"detail-type": "Glue Job State Change", "time": "2026-01-01T00:00:10Z",
                       "detail": {"jobName": "j", "jobRunId": "jr_1", "state": "SUCCEEDED", "DryRun": true}});
    let planned = plan(event, GATED).await.expect("planned");
    assert_eq!(
        planned,
        json!({
            "Procedures": [{"Procedure": "a.load"}, {"Procedure": "a.audit"}, {"Procedure": "a.third"}],
            "Cursor": {"Step": 0, "Attempt": 1, "Count": 3},
            "Turn": {"Interchangeable": false, "Gated": true, "Work": planned["Turn"]["Work"]},
            "Gate": {"WorkflowName": "orders \"nightly\"",
                     "Trigger": {"Time": "2026-01-01T00:00:10Z", "JobName": "j", "JobRunId": "jr_1"}},
            "EmrStep": {"ClusterId": "j-1", "Arguments": ["spark-submit", "s3://b/x.py"], "TimeoutSeconds": 60},
            "Statement": {"Payload": {"Id": "none", "Procedure": "none"}},
            "Answer": {"Payload": {"Context": {}}},
            "Cleanup": {"Cause": "Nothing had been submitted."},
        })
    );
    let plain = plan(json!({}), &[]).await.expect("planned");
    assert_eq!(
        plain["Procedures"],
        json!([{"Procedure": "dev.enriched_orders_sp"}, {"Procedure": "dev.audit_orders_sp"}])
    );
    assert_eq!((&plain["Turn"]["Interchangeable"], &plain["Turn"]["Gated"]), (&json!(true), &json!(false)));
    let work = |planned: &Value| planned["Turn"]["Work"].as_str().map(str::to_owned).expect("a hash");
    assert_eq!(work(&plan(json!({}), &[]).await.expect("planned")), work(&plain));
    assert_ne!(work(&plan(json!({}), &[("PROCEDURES", "a.load")]).await.expect("planned")), work(&plain));
    assert_eq!(work(&plan(json!({}), GATED).await.expect("planned")), work(&planned), "whatever started it");
    assert!(plain.get("Gate").is_none() && plain.get("EmrStep").is_none(), "{plain}");
}

#[tokio::test]
async fn a_list_is_planned_without_gate_and_step() {
    let list = json!([{"Procedure": "dev.a"}, {"Sql": "CALL dev.b(1);", "Database": "x"}]);
    let planned = plan(json!({"Procedures": list}), GATED).await.expect("planned");
    assert_eq!((&planned["Procedures"], &planned["Cursor"]["Count"]), (&list, &json!(2)));
    assert_eq!((&planned["Turn"]["Interchangeable"], &planned["Turn"]["Gated"]), (&json!(false), &json!(true)));
    assert!(planned.get("Gate").is_none() && planned.get("EmrStep").is_none(), "{planned}");
}

#[tokio::test]
async fn a_dry_run_is_shown_with_all_that_comes_before_it() {
    let shown = plan(json!({"DryRun": true}), GATED).await.expect("planned");
    let sql: Vec<_> = shown["Statements"].as_array().into_iter().flatten().map(|s| s["Sql"].clone()).collect();
    assert_eq!(sql, ["CALL a.load();", "CALL a.audit();", "CALL a.third();"]);
    assert_eq!(shown["Statements"][2]["StatementName"], "loader/run-1/2/1");
    assert_eq!((&shown["DryRun"], &shown["EmrStep"]["ClusterId"]), (&json!(true), &json!("j-1")));
    assert_eq!(shown["Gate"]["WorkflowName"], "orders \"nightly\"");
}

#[tokio::test]
async fn every_item_is_checked_before_the_first_runs() {
    let call = |n: u64, timeout: u64, attempts: u64| {
        let one = json!({"Procedure": "dev.p", "TimeoutSeconds": timeout, "MaxAttempts": attempts});
        json!({"Procedures": vec![one; usize::try_from(n).expect("small")]})
    };
    for (input, says) in [
        (json!({"Procedures": [{"Procedure": "dev.a"}, 42]}), "step 1"),
        (json!({"Procedures": [{"Procedure": "dev.a"}, {"Procedure": "dev.b", "Typo": 1}]}), "step 1 (dev.b)"),
        (json!({"Procedures": [{"Procedure": "dev.a"}, {"Procedure": "dev.p('hunter2')"}]}), "step 1"),
        (json!({"Procedures": [{"Procedure": "dev.a"}, {"Sql": "DROP TABLE hunter2"}]}), "step 1"),
        (
            json!({"Procedures": [{"Procedure": "dev.a", "ClusterIdentifier": "c", "WorkgroupName": "w"}]}),
            "step 0 (dev.a)",
        ),
        (json!({"DryRun": true, "Procedures": [{"Procedure": "dev.p('hunter2')"}]}), "step 0"),
        (json!({"DryRun": null}), "DryRun is null"),
        (json!("abc"), "a JSON object"),
        // Each fits by itself.
        (call(2, 86_400, 2), "34892 events"),
        (call(57, 3600, 1), "57 procedures"),
    ] {
        let error = plan(input.clone(), &[]).await.expect_err(&input.to_string());
        assert_eq!(error.name(), "InvalidInput", "{input}");
        assert!(error.to_string().contains(says) && !error.to_string().contains("hunter2"), "{input}: {error}");
    }
    plan(call(40, 3600, 1), &[]).await.expect("it fits");
}

#[tokio::test]
async fn what_comes_next_is_part_of_the_answer() {
    let payload =
        |count| json!({"Call": {"Procedure": "dev.p"}, "ExecutionId": ARN, "Step": 0, "Count": count, "Attempt": 1});
    let next = async |count, end| submit(payload(count), end).await.0.expect("submitted")["Next"].clone();
    assert_eq!(next(2, (StatusString::Finished, "")).await, json!({"Step": 1, "Attempt": 1, "Count": 2}));
    assert_eq!(next(1, (StatusString::Finished, "")).await, json!(null));
    let conflict = (StatusString::Failed, "ERROR: deadlock detected");
    assert_eq!(next(1, conflict).await, json!({"Step": 0, "Attempt": 2, "Count": 1}));
}

/// No place of a payload gets into an error, or into a log line but as an id.
#[tokio::test]
async fn no_place_of_a_payload_leaks() {
    let bound = json!({
        "Procedure": "dev.p", "TimeoutSeconds": 60, "MaxAttempts": 2, "Singleton": false,
        "WorkgroupName": "w", "Database": "d", "SecretArn": "s",
        "Arguments": [{"Name": "a", "Value": "x", "Type": "VARCHAR(100)"}, {"Name": "b", "Value": 1.5}],
    });
    let literal = json!({"Sql": "CALL dev.p('x')", "ClusterIdentifier": "c", "Database": "d", "DbUser": "u"});
    let event = json!({"detail-type": "Glue Job State Change", "time": "2026-01-01T00:00:10Z",
                       "detail": {"jobName": "j", "jobRunId": "jr_1", "workflowRunId": "wr_1"}});
    let context = json!({"WorkflowName": "w", "WorkflowRunId": "wr_1"});
    let typed = |name: &str| {
        json!({"Procedure": "dev.p", "WorkgroupName": "w", "Database": "d",
               "Arguments": [{"Name": "a", "Value": null, "Type": name}]})
    };
    let mut payloads = vec![
        json!({"Call": bound, "ExecutionId": ARN, "Step": 0, "Count": 1, "Attempt": 1, "Context": context}),
        json!({"Plan": {"Procedures": [bound, literal], "DryRun": true}, "ExecutionId": ARN}),
        json!({"Plan": event, "ExecutionId": ARN}),
        json!({"DryRun": true, "Procedures": [bound]}),
        // Broken already, each in its own way.
        json!({"Procedure": "p", "Arguments": [{"Name": 1, "Value": "x"}]}),
        json!({"Procedure": "dev.p", "Sql": "CALL dev.p()", "TimeoutSeconds": "soon"}),
        json!({"Sql": "CALL dev.p(x)"}),
        json!({"Procedures": {}}),
        bound,
        literal,
    ];
    let types = ["INTEGER", "DECIMAL(10,2)", "FLOAT8", "BOOLEAN", "CHAR(3)", "DATE", "TIMESTAMP", "TIMESTAMPTZ"];
    payloads.extend(types.map(typed));
    let taken = payloads.iter().filter(|payload| Job::check((*payload).clone(), 0, &config()).is_ok()).count();
    assert_eq!(taken, 10, "a walk over what is refused at once would prove little");
    let mut walked = (0, 0);
    for payload in payloads {
        for poisoned in poisoned(&payload) {
            if let Ok(job) = Job::check(poisoned.payload.clone(), 0, &config()) {
                assert!(!leaks(&format!("{} {:?} {:?}", job.call, job.call, job.target)), "{poisoned:?}");
                let is_name = poisoned.place.ends_with(".Name");
                assert!(is_name || !leaks(job.call.sql_with_placeholders()), "{poisoned:?}");
            }
            let work = submit(poisoned.payload.clone(), (StatusString::Failed, "ERROR: not x"));
            let ((answer, _), log) = logged(work).await;
            assert_no_leak(&poisoned, &answer);
            // A workflow's name may be any line, and is shown.
            let is_shown = poisoned.is_id || poisoned.place.to_lowercase().ends_with("workflowname");
            assert!(is_shown || !leaks(&log), "{poisoned:?}: {log}");
            walked = (walked.0 + 1, walked.1 + usize::from(answer.is_err()));
        }
    }
    assert!(walked.0 > walked.1 && walked.1 > 3_000, "{walked:?}");
}
