use super::*;
use std::time::{Duration, SystemTime};

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::config::http::HttpResponse;
use aws_sdk_redshiftdata::operation::cancel_statement::CancelStatementOutput;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::operation::list_statements::ListStatementsOutput;
use aws_sdk_redshiftdata::types::{StatementData, StatusString};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use serde_json::json;
use shared::testing::{EXECUTION as ARN, ID, assert_no_leak, leaks, logged, poisoned};

fn config() -> Config {
    Config::from_env(|name| match name {
        "WORKGROUP_NAME" => Some("w".into()),
        "DATABASE" => Some("d".into()),
        "SWEEP_SECONDS" => Some("0".into()),
        _ => None,
    })
    .expect("valid")
}

fn described(status: StatusString, age_seconds: u64, error: &'static str) -> Rule {
    mock!(Client::describe_statement).then_output(move || {
        let created = SystemTime::now() - Duration::from_secs(age_seconds);
        let output = DescribeStatementOutput::builder().id(ID).status(status.clone()).error(error);
        output.created_at(created.into()).build().expect("complete")
    })
}

fn cancelling(accepted: bool) -> Rule {
    mock!(Client::cancel_statement).then_output(move || CancelStatementOutput::builder().status(accepted).build())
}

/// Statements alone: neither executions nor workflow runs are checked.
fn only(redshift: Client) -> Services {
    Services { redshift, sfn: lazy(|| mock_client!(aws_sdk_sfn, [])), glue: lazy(|| mock_client!(aws_sdk_glue, [])) }
}

async fn answer(rules: &[&Rule], payload: Value) -> Result<Value> {
    let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, rules);
    handle(&only(client), &config(), payload).await
}

#[tokio::test]
async fn a_running_statement_is_waited_for() {
    let rule = described(StatusString::Started, 200, "");
    let answer = answer(&[&rule], json!({"Id": ID, "TimeoutSeconds": 1000, "Attempt": 2})).await.expect("checked");
    assert_eq!(
        (&answer["Status"], &answer["WaitSeconds"], &answer["Attempt"]),
        (&json!("STARTED"), &json!(10), &json!(2))
    );
    assert!(answer.get("Error").is_none() && answer.get("CancelRequestedAt").is_none());
}

#[tokio::test]
async fn past_the_deadline_the_cancel_is_requested_once() {
    let (rule, cancel) = (described(StatusString::Started, 200, ""), cancelling(true));
    let first = answer(&[&rule, &cancel], json!({"Id": ID, "TimeoutSeconds": 100})).await.expect("checked");
    assert!(first["CancelRequestedAt"].is_string(), "{first}");
    assert_eq!(cancel.num_calls(), 1);
    let second = answer(&[&rule, &cancel], first.clone()).await.expect("checked");
    assert_eq!(second["CancelRequestedAt"], first["CancelRequestedAt"]);
    assert_eq!(cancel.num_calls(), 1);
    let ended = described(StatusString::Aborted, 203, "");
    let last = answer(&[&ended], second).await.expect("checked");
    assert_eq!((&last["Error"], &last["Retryable"]), (&json!("StatementTimedOut"), &json!(false)));
}

#[tokio::test]
async fn a_cancel_that_was_not_taken_is_requested_again() {
    let (rule, cancel) = (described(StatusString::Picked, 200, ""), cancelling(false));
    let first = answer(&[&rule, &cancel], json!({"Id": ID, "TimeoutSeconds": 100})).await.expect("checked");
    assert_eq!(first["CancelRefused"], true);
    answer(&[&rule, &cancel], first).await.expect("checked");
    assert_eq!(cancel.num_calls(), 2);
}

#[tokio::test]
async fn a_finished_statement_reports_its_figures() {
    let rule = mock!(Client::describe_statement).then_output(|| {
        let output = DescribeStatementOutput::builder().id(ID).status(StatusString::Finished);
        output.duration(1_500_000_000).result_rows(12).redshift_query_id(99).build().expect("complete")
    });
    let answer = answer(&[&rule], json!({"Id": ID, "TimeoutSeconds": 100})).await.expect("checked");
    assert_eq!(
        (&answer["DurationSeconds"], &answer["ResultRows"], &answer["RedshiftQueryId"]),
        (&json!(1.5), &json!(12), &json!(99))
    );
}

#[tokio::test]
async fn bad_input_is_refused() {
    for payload in [
        json!({}),
        json!({"Id": 1, "TimeoutSeconds": 1}),
        json!({"Id": ID}),
        json!({"Id": "nope", "TimeoutSeconds": 1}),
        json!({"Id": ID, "TimeoutSeconds": 0}),
        json!({"Id": ID, "TimeoutSeconds": 1, "CreatedAt": "yesterday"}),
        json!({"detail-type": "Glue Job State Change", "detail": {"executionArn": ARN, "status": "FAILED"}}),
        json!({"detail-type": "Step Functions Execution Status Change", "detail": {"executionArn": ARN, "status": "SUCCEEDED"}}),
        json!({"CancelExecution": 1}),
        json!({"CancelExecution": ""}),
        json!({"Turn": 1, "ExecutionId": ARN}),
        json!({"Turn": {}}),
        json!({"Gate": {}}),
        json!({"EmrStep": {}, "ExecutionId": ARN}),
    ] {
        assert_eq!(answer(&[], payload.clone()).await.expect_err(&payload.to_string()).name(), "InvalidInput");
    }
}

/// The answer of a sweep that left nothing running.
fn swept(cancelled: &[&str]) -> Value {
    let text = match cancelled {
        [] => "Nothing was left running.".to_owned(),
        ids => format!("Cancelled, and ended: {}.", ids.join(", ")),
    };
    json!({"Cancelled": cancelled, "StillRunning": [], "Text": text})
}

/// Two looks at an execution's statements: one runs, then it is gone.
fn listed(first: StatusString) -> [Rule; 2] {
    [first, StatusString::Aborted].map(|status| {
        mock!(Client::list_statements).match_requests(|r| r.statement_name() == Some("loader/run-1/")).then_output(
            move || {
                let statement =
                    StatementData::builder().id(ID).statement_name("loader/run-1/0/1").status(status.clone());
                ListStatementsOutput::builder()
                    .statements(statement.build().expect("complete"))
                    .build()
                    .expect("complete")
            },
        )
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_execution_left_running_is_cancelled() {
    for payload in [
        json!({"CancelExecution": ARN}),
        json!({"detail-type": "Step Functions Execution Status Change", "source": "aws.states",
               "detail": {"executionArn": ARN, "status": "ABORTED", "input": "{}"}}),
    ] {
        let [running, gone] = listed(StatusString::Started);
        let cancel = cancelling(true);
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, [&running, &cancel, &gone]);
        let answer = handle(&only(client), &config(), payload).await.expect("swept");
        assert_eq!(answer, swept(&[ID]));
    }
}

/// A submit that was in flight when the execution was stopped appears only at the second look.
#[tokio::test(start_paused = true)]
async fn a_statement_that_appears_late_is_cancelled_too() {
    let nothing = mock!(Client::list_statements)
        .then_output(|| ListStatementsOutput::builder().set_statements(Some(vec![])).build().expect("complete"));
    let [running, gone] = listed(StatusString::Submitted);
    let cancel = cancelling(true);
    let rules = [&nothing, &running, &cancel, &gone];
    let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, rules);
    let config = Config { sweep: Duration::from_secs(3), ..config() };
    let event = json!({"detail-type": "Step Functions Execution Status Change", "source": "aws.states",
                       "detail": {"executionArn": ARN, "status": "TIMED_OUT"}});
    let answer = handle(&only(client), &config, event).await.expect("swept");
    assert_eq!(answer, swept(&[ID]));
}

/// An execution whose one statement stays as it is.
fn stays(status: StatusString) -> Rule {
    mock!(Client::list_statements).then_output(move || {
        let statement = StatementData::builder().id(ID).statement_name("loader/run-1/0/1").status(status.clone());
        ListStatementsOutput::builder().statements(statement.build().expect("complete")).build().expect("complete")
    })
}

/// Both ways in repeat an error: the state machine by its Retry, Lambda by that of an asynchronous invocation.
#[tokio::test(start_paused = true)]
async fn a_statement_whose_cancel_is_never_taken_is_an_error_that_names_it() {
    for payload in [
        json!({"CancelExecution": ARN}),
        json!({"detail-type": "Step Functions Execution Status Change", "source": "aws.states",
               "detail": {"executionArn": ARN, "status": "TIMED_OUT"}}),
    ] {
        let (list, refused) = (stays(StatusString::Picked), cancelling(false));
        let error = answer(&[&list, &refused], payload).await.expect_err("it runs");
        assert_eq!(error.name(), "StillRunning");
        assert!(error.to_string().contains(ID) && error.to_string().contains("takes no cancellation"), "{error}");
        assert!(error.to_string().contains(ID) && error.to_string().contains("loader/run-1/0/1"), "{error}");
        assert!(refused.num_calls() > 5, "it was asked again and again");
    }
}

#[tokio::test(start_paused = true)]
async fn what_still_rolls_back_is_an_error_that_says_so() {
    let (list, taken) = (stays(StatusString::Started), cancelling(true));
    let error = answer(&[&list, &taken], json!({"CancelExecution": ARN})).await.expect_err("it runs");
    assert_eq!(error.name(), "StillRunning");
    assert!(error.to_string().contains(ID) && error.to_string().contains("its cancellation was requested"), "{error}");
    assert_eq!(taken.num_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_what_was_taken_is_called_cancelled() {
    // Refused, because it was about to end by itself.
    let [running, gone] = listed(StatusString::Started);
    let refused = cancelling(false);
    let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, [&running, &refused, &gone]);
    let ended = handle(&only(client), &config(), json!({"CancelExecution": ARN})).await.expect("swept");
    assert_eq!(ended, swept(&[]));
}

/// The prefix of the name is the service's filter; whose a statement is, its whole name says.
#[tokio::test(start_paused = true)]
async fn what_belongs_to_another_identity_is_left_alone() {
    for (asked, running) in [
        ("nightly", "direct/nightly/eu/1/0/1"),
        ("nightly", "direct/nightly%2Feu/0/1"),
        ("nightly/eu", "direct/nightly/eu/0/1"),
        (ARN, "loader/run-1/notify/1"),
        (ARN, "loader/run-12/0/1"),
    ] {
        let list = mock!(Client::list_statements).then_output(move || {
            let statement = StatementData::builder().id(ID).statement_name(running).status(StatusString::Started);
            ListStatementsOutput::builder().statements(statement.build().expect("complete")).build().expect("complete")
        });
        let cancel = cancelling(true);
        let payload = json!({"CancelExecution": asked, "Input": {}});
        assert_eq!(answer(&[&list, &cancel], payload).await.expect("swept"), swept(&[]), "{asked} {running}");
        assert_eq!(cancel.num_calls(), 0, "{asked} {running}");
    }
}

/// Step Functions takes more names of executions than an id of ours may have.
#[tokio::test(start_paused = true)]
async fn whatever_an_execution_is_called_its_statement_is_cancelled() {
    for name in ["nightly(1)", "it's", "w’", "v–2", "läuft", "a+b@c=d!"] {
        let arn = ARN.replace("run-1", name);
        let ended = json!({"detail-type": "Step Functions Execution Status Change", "detail": {"executionArn": arn, "status": "ABORTED"}});
        for payload in [json!({"CancelExecution": arn, "Input": {}}), ended] {
            let of_it = format!("loader/{name}/0/1");
            let list = |status: StatusString| {
                let statement = StatementData::builder().id(ID).statement_name(&of_it).status(status).build();
                ListStatementsOutput::builder().statements(statement.expect("complete")).build().expect("complete")
            };
            let (running, gone) = (list(StatusString::Started), list(StatusString::Aborted));
            let list = mock!(Client::list_statements).sequence().output(move || running.clone());
            let list = list.output(move || gone.clone()).repeatedly().build();
            let cancel = cancelling(true);
            answer(&[&list, &cancel], payload).await.expect(name);
            assert_eq!(cancel.num_calls(), 1, "{name}");
        }
    }
}

/// No place of a payload gets into an error, or into a log line but as an id.
#[tokio::test(start_paused = true)]
async fn no_place_of_a_payload_leaks() {
    let context = json!({"WorkflowName": "w", "WorkflowRunId": "wr_1"});
    let list = json!([{"Procedure": "dev.p", "Arguments": [{"Name": "a", "Value": "x"}], "WorkgroupName": "w"}]);
    let input = json!({"Procedures": list, "detail": {"workflowName": "w", "workflowRunId": "wr_1"}});
    let ticket = json!({"Id": ID, "TimeoutSeconds": 1000, "Attempt": 2, "MaxAttempts": 3, "Procedure": "dev.p",
                        "StatementName": "loader/run-1/0/1", "ExecutionId": ARN, "Step": 0, "Count": 1,
                        "CreatedAt": "2026-01-01T00:00:00Z", "Context": context});
    let ended = json!({"detail-type": "Step Functions Execution Status Change", "source": "aws.states", "id": "1",
                       "account": "1", "region": "r", "time": "2026-01-01T00:00:10Z", "resources": [], "version": "0",
                       "detail": {"executionArn": ARN, "status": "ABORTED", "error": "x", "input": input.to_string()}});
    let emr = json!({"EmrStep": {"ClusterId": "j-1", "Arguments": ["x"], "TimeoutSeconds": 60}, "ExecutionId": ARN,
                     "Failure": {"Error": "States.TaskFailed", "Cause": "{}"},
                     "Emr": {"Steps": [{"Id": "s-1", "Name": "redshift-loader run-1", "Status": {"State": "RUNNING"}}]},
                     "Answer": {"Context": context, "Step": {"Looks": 1}}});
    let gate = json!({"Gate": {"WorkflowName": "w", "Trigger": {"Time": "2026-01-01T00:00:10Z", "JobName": "j"}},
                      "Answer": {"Context": context, "Gate": {"Looks": 1, "FailedLooks": 0}}});
    let mut walked = (0, 0);
    for payload in [
        ticket,
        json!({"CancelExecution": ARN, "Input": input, "Context": context}),
        ended,
        emr,
        gate,
        json!({"Turn": {"Interchangeable": true, "Gated": false}, "ExecutionId": ARN}),
    ] {
        for poisoned in poisoned(&payload) {
            let described = described(StatusString::Failed, 10, "ERROR: not x");
            let none = || ListStatementsOutput::builder().set_statements(Some(vec![])).build().expect("complete");
            let nothing = mock!(Client::list_statements).then_output(none);
            let refused = || HttpResponse::new(403.try_into().expect("a status"), r#"{"__type": "hunter2"}"#.into());
            let executions = mock!(aws_sdk_sfn::Client::list_executions).then_http_response(refused);
            let runs = mock!(aws_sdk_glue::Client::get_workflow_runs).then_http_response(refused);
            let services = Services {
                redshift: mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&described, &nothing]),
                sfn: lazy(move || mock_client!(aws_sdk_sfn, RuleMode::MatchAny, [&executions])),
                glue: lazy(move || mock_client!(aws_sdk_glue, RuleMode::MatchAny, [&runs])),
            };
            let (answer, log) = logged(handle(&services, &config(), poisoned.payload.clone())).await;
            assert_no_leak(&poisoned, &answer);
            // A workflow's name may be any line, and is shown.
            let is_shown = poisoned.is_id || poisoned.place.to_lowercase().ends_with("workflowname");
            assert!(is_shown || !leaks(&log), "{poisoned:?}: {log}");
            walked = (walked.0 + 1, walked.1 + usize::from(answer.is_err()));
        }
    }
    assert!(walked.0 > walked.1 && walked.1 > 1_000, "{walked:?}");
}
