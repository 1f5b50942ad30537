//! A marker in every place of payloads and of AWS's answers: for tests that no text which leaves a function holds one.
//!
//! Walks are exhaustive, not random: a payload has few places, and a failure names the one that leaks.

use std::sync::{Arc, Mutex};
use std::{fmt, io};

use lambda_runtime::Diagnostic;
use lambda_runtime::tracing::{self, instrument::WithSubscriber};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::shown;

/// What no text may hold.
pub const MARK: &str = "hunter2";

/// Texts that hold the mark, each in a form that a careless redaction lets through.
pub const MARKERS: &[&str] = &[
    "hunter2",
    "dev.p('hunter2')",
    "CALL dev.p('hunter2')",
    "dev.p, hunter2",
    "dev.p hunter2",
    "user.hunter2@example.com",
    "a, expected hunter2",
    "a`, expected `hunter2",
    "x\", \"hunter2\": \"y",
    "it's hunter2",
    "one\nhunter2\r\n",
    "\u{fc}\u{202e}hunter2\u{0}",
    "deadlock detected: hunter2",
];

/// Codes with which AWS refuses, and one that it may have tomorrow.
const CODES: &[&str] = &[
    "ValidationException",
    "AccessDeniedException",
    "ResourceNotFoundException",
    "NotFoundException",
    "ThrottlingException",
    "ActiveStatementsExceededException",
    "ExecuteStatementException",
    "InternalServerException",
    "BrandNewException",
];

/// A payload with the mark in one place.
#[derive(Debug, Clone)]
pub struct Poisoned {
    /// Where, as in `Procedures[0].Sql`; a key ends in `?`.
    pub place: String,
    /// The payload.
    pub payload: Value,
    /// Whether the mark stands in it as an id or a name could, and may be shown as one.
    pub is_id: bool,
}

/// The payload with each of the [`MARKERS`] in every place: in place of each value, within a list or an object in
/// place of it, as each key, and as a key more of each object.
pub fn poisoned(payload: &Value) -> Vec<Poisoned> {
    poisoned_with(payload, MARKERS)
}

fn poisoned_with(payload: &Value, markers: &[&str]) -> Vec<Poisoned> {
    let mut found = Vec::new();
    for marker in markers {
        for (place, payload) in marked(payload, marker) {
            found.push(Poisoned { place, payload, is_id: shown::id(marker).is_some() });
        }
    }
    found
}

fn marked(value: &Value, marker: &str) -> Vec<(String, Value)> {
    let mut found = vec![
        (String::new(), json!(marker)),
        (String::new(), json!([marker])),
        (String::new(), json!({ marker: marker })),
    ];
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for (place, changed) in marked(item, marker) {
                    let mut items = items.clone();
                    items[index] = changed;
                    found.push((format!("[{index}]{place}"), items.into()));
                }
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                for (place, changed) in marked(field, marker) {
                    let mut fields = fields.clone();
                    fields[name] = changed;
                    found.push((format!(".{name}{place}"), fields.into()));
                }
                let renamed: Map<_, _> = fields
                    .iter()
                    .map(|(key, value)| (if key == name { marker.to_owned() } else { key.clone() }, value.clone()))
                    .collect();
                found.push((format!(".{name}?"), renamed.into()));
            }
            let mut more = fields.clone();
            more.insert(marker.to_owned(), json!(marker));
            found.push((".?".to_owned(), more.into()));
        }
        _ => {}
    }
    found
}

/// The markers of an answer: each is a call of the SDK.
const IN_ANSWERS: &[&str] = &["hunter2", "x\", \"hunter2\": \"it's", "deadlock detected: hunter2\n"];

/// An HTTP answer of AWS's JSON protocol.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was done to it.
    pub place: String,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// A service's answers to one call, with the mark in them: refusals with the mark in code, message and body; bodies
/// that are no JSON; the good answer with the mark in every place, and cut short.
pub fn poisoned_answers(good: &Value) -> Vec<Answer> {
    let answer = |place: String, status: u16, body: String| Answer { place, status, body };
    let mut found = Vec::new();
    for marker in IN_ANSWERS {
        for status in [400, 403, 503] {
            for code in CODES.iter().chain([marker]) {
                let body = json!({"__type": code, "message": marker, "Message": marker, "QueryString": marker});
                found.push(answer(format!("{code} with HTTP {status}"), status, body.to_string()));
            }
            found.push(answer(format!("no code with HTTP {status}"), status, json!({"message": marker}).to_string()));
            let page = format!("<html>{marker}</html>");
            found.push(answer(format!("a page with HTTP {status}"), status, page));
        }
        found.push(answer("a page".to_owned(), 200, format!("<html>{marker}</html>")));
        found.push(answer("a text".to_owned(), 200, json!(marker).to_string()));
    }
    for Poisoned { place, payload, .. } in poisoned_with(good, IN_ANSWERS) {
        let body = payload.to_string();
        let cut: String = body.chars().take(body.chars().count() - 1).collect();
        found.push(answer(format!("{place}, cut"), 200, cut));
        found.push(answer(place, 200, body));
    }
    found
}

/// Every form in which an error leaves a function.
pub fn texts(error: &Error) -> String {
    let diagnostic = Diagnostic::from(error.clone());
    format!("{error}\n{error:?}\n{error:#?}\n{diagnostic:?}\n{}\n{}", diagnostic.error_type, diagnostic.error_message)
}

/// Whether a text holds the mark, in any case.
pub fn leaks(text: &str) -> bool {
    text.to_lowercase().contains(MARK)
}

/// Asserts that the error of `result`, if it is one, holds no mark; `place` says in the failure where it was.
///
/// # Panics
/// Where it holds one.
pub fn assert_no_leak<T>(place: &impl fmt::Debug, result: &Result<T>) {
    if let Err(error) = result {
        let texts = texts(error);
        assert!(!leaks(&texts), "{place:?}: {texts}");
    }
}

/// What `work` comes to, and all that it logs, as JSON lines at the level that a deployment has.
pub async fn logged<T>(work: impl Future<Output = T>) -> (T, String) {
    let written = Written::default();
    let to = written.clone();
    let subscriber = tracing::subscriber::fmt().json().with_max_level(tracing::Level::INFO);
    let outcome = work.with_subscriber(subscriber.with_writer(move || to.clone()).finish()).await;
    let text = written.0.lock().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    (outcome, text)
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Ok(mut written) = self.0.lock() {
            written.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ArgumentFields, CallFields};
    use crate::progress::Ticket;
    use crate::shown::Ids;
    use crate::statement::{self, StatementId};
    use crate::{LogicalAttempt, ProcedureCall, Target, TargetFields, WorkflowRun, runtime};
    use aws_sdk_redshiftdata::Client;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use serde::Deserialize;

    const ID: &str = "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b";

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

    fn http(answer: &Answer) -> HttpResponse {
        HttpResponse::new(answer.status.try_into().expect("a status"), answer.body.clone().into())
    }

    fn target() -> Target {
        let fields =
            TargetFields { workgroup_name: Some("w".into()), database: Some("d".into()), ..Default::default() };
        Target::try_from(fields).expect("valid")
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_of_describe_statement_leaks() {
        let good = json!({
            "Id": ID, "Status": "FAILED", "Error": "ERROR: not hunter2, x", "QueryString": "CALL dev.p(:a, 'hunter2')",
            "QueryParameters": [{"name": "a", "value": "hunter2"}], "CreatedAt": 1.0, "Duration": 1, "WorkgroupName": "w",
            "SubStatements": [{"Id": ID, "Error": "x", "QueryString": "x"}],
        });
        let id = StatementId::parse(ID).expect("valid");
        for answer in poisoned_answers(&good) {
            let reply = answer.clone();
            let rule = mock!(Client::describe_statement).then_http_response(move || http(&reply));
            let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
            let described = statement::describe(&client, &id, None).await;
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
        let attempt = LogicalAttempt::new("x", 0, 1).expect("valid");
        for answer in poisoned_answers(&good) {
            let reply = answer.clone();
            let rule = mock!(Client::execute_statement).then_http_response(move || http(&reply));
            let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
            let submitted = statement::submit(&client, &target(), &call, &attempt, None).await;
            assert_no_leak(&answer, &submitted);
            if let Err(error) = submitted {
                assert_ne!(error.name(), "InvalidInput", "{answer:?}: {error}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_of_the_other_calls_leaks() {
        let id = StatementId::parse(ID).expect("valid");
        for answer in poisoned_answers(&json!({"Status": true})) {
            let reply = answer.clone();
            let rule = mock!(Client::cancel_statement).then_http_response(move || http(&reply));
            let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
            assert_no_leak(&answer, &statement::cancel(&client, &id).await);
        }
        let good = json!({"Statements": [{"Id": ID, "StatementName": "x", "Status": "STARTED", "QueryString": "x"}]});
        for answer in poisoned_answers(&good) {
            let reply = answer.clone();
            let rule = mock!(Client::list_statements).then_http_response(move || http(&reply));
            let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
            assert_no_leak(&answer, &statement::find_by_name_prefix(&client, &target(), "").await);
        }
    }
}
