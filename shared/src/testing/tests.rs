//! A marker in every place of what this crate reads.

use super::*;
use crate::Ids;
use crate::progress::Ticket;
use crate::statement;
use crate::{ProcedureCall, runtime};
use aws_sdk_redshiftdata::Client;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde_json::json;

#[test]
fn no_place_of_a_payload_leaks() {
    let payload = json!({
        "Id": ID, "TimeoutSeconds": 60, "CreatedAt": "2026-01-01T00:00:10Z", "Procedure": "dev.p", "ExecutionId": "x",
        "StatementName": "direct/x/0/1", "Context": {"WorkflowName": "n", "WorkflowRunId": "wr_1"}, "Step": 0, "Count": 2,
        "Attempt": 1, "MaxAttempts": 3, "CancelRequestedAt": "2026-01-01T00:00:20Z", "CancelRefused": true,
    });
    assert!(
        runtime::parse::<Ticket>(payload.clone()).is_ok(),
        "a walk over what is refused at once would prove little"
    );
    for poisoned in poisoned(&payload) {
        let ids = Ids::of(&poisoned.payload);
        // Names and ids are shown, and nothing else.
        let is_id = |id: &Option<String>| id.as_deref().is_none_or(|id| id == MARK || !leaks(id) || id.contains('@'));
        assert!(is_id(&ids.execution) && is_id(&ids.statement_name), "{poisoned:?}: {ids:?}");
        assert!(!leaks(&format!("{:?} {:?}", ids.procedure, ids.statement_id)), "{poisoned:?}: {ids:?}");
        assert_no_leak(&poisoned, &runtime::parse::<Ticket>(poisoned.payload.clone()));
    }
}

fn http(answer: &Response) -> HttpResponse {
    HttpResponse::new(answer.status.try_into().expect("a status"), answer.body.clone().into())
}

#[tokio::test(start_paused = true)]
async fn no_answer_of_describe_statement_leaks() {
    let good = json!({
        "Id": ID, "Status": "FAILED", "Error": "ERROR: not hunter2, x", "QueryString": "CALL dev.p(:a, 'hunter2')",
        "QueryParameters": [{"name": "a", "value": "hunter2"}], "CreatedAt": 1.0, "Duration": 1, "WorkgroupName": "w",
        "SubStatements": [{"Id": ID, "Error": "x", "QueryString": "x"}],
    });
    for answer in poisoned_answers(&good) {
        let reply = answer.clone();
        let rule = mock!(Client::describe_statement).then_http_response(move || http(&reply));
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
        let described = statement::describe(&client, &id(), None).await;
        assert_no_leak(&answer, &described);
        if let Ok(described) = described {
            assert!(!leaks(&format!("{described:?}")), "{answer:?}: {described:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_of_execute_statement_leaks() {
    let good = json!({"Id": ID, "Status": "STARTED", "CreatedAt": 1.0, "WorkgroupName": "w", "Database": "d"});
    let argument = serde_json::from_str(r#"{"Name": "a", "Value": "hunter2"}"#).expect("an argument");
    let call = ProcedureCall::new("dev.p", vec![argument]).expect("valid");
    for answer in poisoned_answers(&good) {
        let reply = answer.clone();
        let rule = mock!(Client::execute_statement).then_http_response(move || http(&reply));
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
        let submitted = statement::submit(&client, &target(), &call, &attempt(), None).await;
        assert_no_leak(&answer, &submitted);
        if let Err(error) = submitted {
            assert_ne!(error.name(), "InvalidInput", "{answer:?}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_of_the_other_calls_leaks() {
    for answer in poisoned_answers(&json!({"Status": true})) {
        let reply = answer.clone();
        let rule = mock!(Client::cancel_statement).then_http_response(move || http(&reply));
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
        assert_no_leak(&answer, &statement::cancel(&client, &id()).await);
    }
    let good = json!({"Statements": [{"Id": ID, "StatementName": "x", "Status": "STARTED", "QueryString": "x"}]});
    for answer in poisoned_answers(&good) {
        let reply = answer.clone();
        let rule = mock!(Client::list_statements).then_http_response(move || http(&reply));
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
        assert_no_leak(&answer, &statement::find_by_name_prefix(&client, &target(), "").await);
    }
}
