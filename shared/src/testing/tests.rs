//! A marker in every place of what this crate reads.

use super::*;
use crate::Ids;
use crate::call::{ArgumentFields, CallFields};
use crate::error::Result;
use crate::progress::Ticket;
use crate::statement;
use crate::{LogicalAttempt, ProcedureCall, Target, TargetFields, WorkflowRun, runtime};
use aws_sdk_redshiftdata::Client;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use serde::Deserialize;
use serde_json::{Value, json};

/// The shape of a request, flat or in a list, with all that this crate reads of one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[derive(Default)]
struct Request {
    procedure: Option<String>,
    arguments: Option<Vec<ArgumentFields>>,
    sql: Option<String>,
    workgroup_name: Option<String>,
    cluster_identifier: Option<String>,
    database: Option<String>,
    secret_arn: Option<String>,
    db_user: Option<String>,
    timeout_seconds: Option<u64>,
    dry_run: bool,
    context: WorkflowRun,
    execution_id: Option<String>,
    call: Option<Box<Request>>,
    procedures: Option<Vec<Request>>,
}

impl Request {
    /// The calls of the request, with their targets, or why they are refused.
    fn check(self) -> Result<Vec<(ProcedureCall, Target)>> {
        if let Some(execution) = self.execution_id {
            LogicalAttempt::new(execution, 0, 1)?.of_workflow_run(self.context.workflow_run_id)?;
        }
        crate::progress::check_timeout(self.timeout_seconds.unwrap_or(1))?;
        let mut found = Vec::new();
        for request in self.call.map(|call| *call).into_iter().chain(self.procedures.into_iter().flatten()) {
            found.extend(request.check()?);
        }
        if self.procedure.is_some() || self.sql.is_some() || found.is_empty() {
            let call = CallFields { procedure: self.procedure, arguments: self.arguments, sql: self.sql };
            let target = TargetFields {
                workgroup_name: self.workgroup_name,
                cluster_identifier: self.cluster_identifier,
                database: self.database,
                secret_arn: self.secret_arn,
                db_user: self.db_user,
            };
            assert!(!leaks(&format!("{call:?} {target:?}")));
            found.push((call.try_into()?, target.try_into()?));
        }
        Ok(found)
    }
}

fn payloads() -> Vec<Value> {
    let bound = json!({
        "Procedure": "dev.p", "WorkgroupName": "w", "Database": "d", "SecretArn": "s", "TimeoutSeconds": 60,
        "Arguments": [{"Name": "a", "Value": "x", "Type": "VARCHAR(100)"}, {"Name": "b", "Value": 1.5}],
    });
    let literal = json!({"Sql": "CALL dev.p('x')", "ClusterIdentifier": "c", "Database": "d", "DbUser": "u"});
    let typed = |name: &str| {
        json!({"Procedure": "dev.p", "WorkgroupName": "w", "Database": "d",
               "Arguments": [{"Name": "a", "Value": null, "Type": name}]})
    };
    let mut payloads = vec![
        json!({"Call": bound, "ExecutionId": "x", "Context": {"WorkflowName": "n", "WorkflowRunId": "wr_1"}}),
        json!({"DryRun": true, "Procedures": [bound, literal]}),
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
    payloads
}

#[test]
fn no_place_of_a_payload_leaks() {
    let mut walked = 0;
    for payload in payloads() {
        for poisoned in poisoned(&payload) {
            walked += 1;
            let ids = Ids::of(&poisoned.payload);
            // What is a name or an id is shown: all else is not.
            let is_id =
                |id: &Option<String>| id.as_deref().is_none_or(|id| id == MARK || !leaks(id) || id.contains('@'));
            assert!(is_id(&ids.execution) && is_id(&ids.statement_name), "{poisoned:?}: {ids:?}");
            assert!(!leaks(&format!("{:?} {:?}", ids.procedure, ids.statement_id)), "{poisoned:?}: {ids:?}");
            let checked = runtime::parse::<Request>(poisoned.payload.clone()).and_then(Request::check);
            assert_no_leak(&poisoned, &checked);
            for (call, target) in checked.into_iter().flatten() {
                assert!(!leaks(&format!("{call} {call:?} {target:?}")), "{poisoned:?}");
                let named = poisoned.place.ends_with(".Name");
                assert!(named || !leaks(call.sql_with_placeholders()), "{poisoned:?}");
            }
            assert_no_leak(&poisoned, &runtime::parse::<Ticket>(poisoned.payload.clone()));
        }
    }
    assert!(walked > 7_000, "{walked}");
}

#[test]
fn what_fits_is_taken() {
    let taken = payloads()
        .into_iter()
        .filter(|payload| runtime::parse::<Request>(payload.clone()).and_then(Request::check).is_ok());
    assert_eq!(taken.count(), 12, "a walk over what is refused at once would prove little");
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
