use super::*;
use std::time::Duration;

use crate::call::ProcedureCall;
use crate::failure::FailureKind;
use crate::status::Status;
use crate::target::{Target, TargetFields};
use crate::testing::{ID, attempt, call, environment, id, refusal, target};
use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::operation::cancel_statement::CancelStatementOutput;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_redshiftdata::operation::list_statements::ListStatementsOutput;
use aws_sdk_redshiftdata::types::{SqlParameter, StatusString};
use aws_sdk_redshiftdata::types::{StatementData, StatementStatusString};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

#[test]
fn all_six_statuses_and_nothing_else() {
    for word in ["SUBMITTED", "PICKED", "STARTED", "FINISHED", "FAILED", "ABORTED"] {
        assert_eq!(Status::parse(word).expect(word).as_str(), word);
    }
    for word in ["", "ALL", "finished", "PAUSED"] {
        assert_eq!(Status::parse(word).expect_err(word).name(), "UnknownStatus");
    }
}

#[test]
fn an_id_is_a_uuid() {
    assert!(StatementId::parse(ID).is_ok());
    assert!(StatementId::parse(&format!("{ID}:2")).is_ok());
    for bad in ["", "42", "5b2d1a56-8d5c-4a8c-9d4e", &format!("{ID}:"), &format!("{ID} "), &format!("{ID}:x")] {
        assert_eq!(StatementId::parse(bad).expect_err(bad).name(), "InvalidInput");
    }
}

#[tokio::test]
async fn submit_sends_token_name_target_and_wait() {
    let rule = mock!(Client::execute_statement)
        .match_requests(|r| {
            r.sql() == Some("CALL dev.p(:a);")
                && r.parameters().len() == 1
                && r.client_token().is_some_and(|t| t.len() == 64)
                && r.statement_name() == Some("direct/x/0/1")
                && r.workgroup_name() == Some("w")
                && r.database() == Some("d")
                && r.secret_arn() == Some("s")
                && r.db_user().is_none()
                && r.cluster_identifier().is_none()
                && r.wait_time_seconds() == Some(30)
        })
        .then_output(|| ExecuteStatementOutput::builder().id(ID).status(StatementStatusString::Finished).build());
    let client = mock_client!(aws_sdk_redshiftdata, [&rule]);
    let argument = serde_json::from_str(r#"{"Name": "a", "Value": 1}"#).expect("argument");
    let fields = TargetFields { secret_arn: Some("s".into()), ..TargetFields::from_env(environment) };
    let target = Target::try_from(fields).expect("valid");
    let call = ProcedureCall::new("dev.p", vec![argument]).expect("valid");
    let answer =
        submit(&client, &target, &call, &attempt(), Some(crate::polling::MAX_LONG_POLL)).await.expect("submitted");
    assert_eq!((answer.id, answer.status), (id(), Status::Finished));
}

#[tokio::test]
async fn refusals_get_their_names() {
    for (code, http, name) in [
        ("ActiveStatementsExceededException", 400, "Throttled"),
        ("ThrottlingException", 400, "Throttled"),
        ("ValidationException", 400, "RequestRefused"),
        ("AccessDeniedException", 400, "AccessDenied"),
        ("InternalServerException", 500, "ServiceUnavailable"),
    ] {
        let rule =
            mock!(Client::execute_statement).sequence().http_response(move || refusal(code, http)).repeatedly().build();
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, [&rule]);
        let error = submit(&client, &target(), &call(), &attempt(), None).await.expect_err(code);
        assert_eq!(error.name(), name, "{error}");
    }
}

#[tokio::test]
async fn a_wrong_workgroup_is_named_with_its_region() {
    for code in ["ValidationException", "ResourceNotFoundException"] {
        let rule = mock!(Client::execute_statement).then_http_response(move || refusal(code, 400));
        let client = mock_client!(aws_sdk_redshiftdata, [&rule]);
        let error = submit(&client, &target(), &call(), &attempt(), None).await.expect_err(code);
        let region = client.config().region().expect("a region").to_string();
        assert_eq!(error.name(), "RequestRefused");
        assert!(error.to_string().contains(&format!("to workgroup w in region {region}: ")), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_may_be_repeated() {
    let no_id = mock!(Client::execute_statement).then_output(|| ExecuteStatementOutput::builder().id("42").build());
    let broken = mock!(Client::execute_statement)
        .then_http_response(|| HttpResponse::new(200.try_into().expect("status"), r#"{"Id": ["#.into()));
    for rule in [no_id, broken] {
        let client = mock_client!(aws_sdk_redshiftdata, [&rule]);
        let error = submit(&client, &target(), &call(), &attempt(), None).await.expect_err("broken");
        assert_eq!(error.name(), "ServiceUnavailable", "{error}");
    }
}

#[tokio::test]
async fn a_description_shows_no_argument_and_keeps_the_class() {
    let rule = mock!(Client::describe_statement).then_output(|| {
        let parameter = SqlParameter::builder().name("a").value("deadlock").build().expect("complete");
        DescribeStatementOutput::builder()
            .id(ID)
            .status(StatusString::Failed)
            .query_string("CALL dev.p(:a, 'hunter2');")
            .query_parameters(parameter)
            .error("ERROR: deadlock detected\n  Where: SQL statement of hunter2")
            .build()
            .expect("complete")
    });
    let answer = describe(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id(), None).await.expect("described");
    assert_eq!(answer.error.as_deref(), Some("ERROR: <argument 1> detected\n  Where: SQL statement of <argument 2>"));
    assert_eq!(answer.failure, Some(FailureKind::Deadlock), "known from the engine's own text");
}

fn described(status: StatusString) -> Rule {
    mock!(Client::describe_statement).then_output(move || {
        DescribeStatementOutput::builder()
            .id(ID)
            .status(status.clone())
            .duration(1_500_000_000)
            .result_rows(-1)
            .redshift_query_id(-1)
            .build()
            .expect("complete")
    })
}

#[tokio::test]
async fn a_description_translates_the_units_and_the_minus_ones() {
    let rule = described(StatusString::Finished);
    let answer = describe(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id(), None).await.expect("described");
    assert_eq!(answer.duration, Duration::from_millis(1500));
    assert_eq!((answer.result_rows, answer.redshift_query_id), (None, None));
}

#[tokio::test]
async fn an_unknown_status_is_an_error() {
    let rule = described(StatusString::from("HIBERNATING"));
    let error = describe(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id(), None).await.expect_err("unknown");
    assert_eq!(error.name(), "UnknownStatus");
    assert!(error.to_string().contains("HIBERNATING"));
}

#[tokio::test]
async fn an_expired_statement_is_not_found() {
    let rule = mock!(Client::describe_statement).then_http_response(|| refusal("ResourceNotFoundException", 404));
    let error = describe(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id(), None).await.expect_err("expired");
    assert_eq!(error.name(), "StatementNotFound");
    assert!(error.to_string().contains("24 hours"));
}

#[tokio::test]
async fn too_many_waiters_means_asking_without_waiting() {
    let busy = mock!(Client::describe_statement)
        .match_requests(|r| r.wait_time_seconds() == Some(30))
        .then_http_response(|| refusal("ActiveWaitingRequestsExceededException", 400));
    let plain = described(StatusString::Started);
    let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, [&busy, &plain]);
    let answer = describe(&client, &id(), Some(crate::polling::MAX_LONG_POLL)).await.expect("described");
    assert_eq!(answer.status, Status::Started);
}

#[tokio::test]
async fn a_cancel_that_is_refused_is_not_an_error() {
    let rule = mock!(Client::cancel_statement).then_http_response(|| refusal("ValidationException", 400));
    assert!(!cancel(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id()).await.expect("answered"));
    let rule = mock!(Client::cancel_statement).then_output(|| CancelStatementOutput::builder().status(true).build());
    assert!(cancel(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id()).await.expect("answered"));
}

#[tokio::test]
async fn every_page_is_read_and_the_prefix_held() {
    let page = |name: &'static str, next: Option<&'static str>| {
        move || {
            let statement = StatementData::builder().id(ID).statement_name(name).status(StatusString::Started).build();
            ListStatementsOutput::builder()
                .statements(statement.expect("complete"))
                .set_next_token(next.map(str::to_owned))
                .build()
                .expect("complete")
        }
    };
    let first = mock!(Client::list_statements)
        .match_requests(|r| {
            r.next_token().is_none() && r.status() == Some(&StatusString::All) && r.workgroup_name() == Some("w")
        })
        .then_output(page("m/e/0/1", Some("2")));
    let second = mock!(Client::list_statements)
        .match_requests(|r| r.next_token() == Some("2"))
        .then_output(page("m/e2/0/1", None));
    let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, [&first, &second]);
    let found = find_by_name_prefix(&client, &target(), "m/e/").await.expect("listed");
    assert_eq!(found.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["m/e/0/1"]);
    assert_eq!(second.num_calls(), 1);
}

#[tokio::test]
async fn alone_means_no_other_active_statement_of_the_procedure() {
    for (name, sql, status, alone) in [
        ("m/e/0/1", "CALL dev.p();", StatusString::Started, false),
        ("m/e/0/1", "call DEV.P(CAST(:a AS DATE))", StatusString::Submitted, false),
        ("m/e/0/1", "CALL dev.p();", StatusString::Finished, true),
        ("m/e/0/1", "CALL dev.q();", StatusString::Started, true),
        ("direct/x/0/1", "CALL dev.p();", StatusString::Started, true),
    ] {
        // The service filters by the one status that it is asked for.
        let rule = mock!(Client::list_statements)
            .match_requests(|r| r.status().is_some_and(|status| *status != StatusString::All))
            .then_compute_output(move |r| {
                let statement = StatementData::builder().id(ID).statement_name(name).query_string(sql);
                let statement = statement.status(status.clone()).build().expect("complete");
                let listed = (r.status() == Some(&status)).then_some(statement);
                let listed = listed.into_iter().collect();
                ListStatementsOutput::builder().set_statements(Some(listed)).build().expect("complete")
            });
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
        let answer = check_alone(&client, &target(), &call(), &attempt()).await;
        assert_eq!(answer.is_ok(), alone, "{name} {sql}");
        assert_eq!(rule.num_calls(), 3, "one active status after the other");
        assert!(answer.is_ok() || answer.is_err_and(|e| e.name() == "AlreadyRunning"));
    }
}
