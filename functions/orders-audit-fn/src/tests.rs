//! The whole function on mocked services; what several files share is here.

mod leaks;
mod notify;
mod payload;
mod publish;

use super::*;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_redshiftdata::operation::get_statement_result::GetStatementResultOutput;
use aws_sdk_redshiftdata::types::{Field, StatementStatusString, StatusString};
use aws_sdk_sns::operation::publish_batch::PublishBatchOutput;
use aws_sdk_sns::types::BatchResultErrorEntry;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use shared::WorkflowRun;
use shared::testing::{ID, assert_no_leak, environment as env, leaks, logged, poisoned, poisoned_answers};
use std::sync::{Arc, Mutex};

static WORKFLOW: WorkflowRun = WorkflowRun { workflow_name: None, workflow_run_id: None };

fn row(run: Option<i64>, kind: &str, rows: i64) -> Vec<Field> {
    let run = run.map_or(Field::IsNull(true), Field::LongValue);
    let text = |t: &str| Field::StringValue(t.to_owned());
    let (first, last) = (text("2026-01-01 10:00:00"), text("2026-01-02 10:00:00"));
    vec![run, text(kind), Field::LongValue(rows), first, last, Field::LongValue(1), Field::LongValue(3)]
}

/// A warehouse that answers the query with these pages.
fn warehouse(pages: Vec<Vec<Vec<Field>>>) -> aws_sdk_redshiftdata::Client {
    use aws_sdk_redshiftdata::Client;
    let execute = mock!(Client::execute_statement)
        .then_output(|| ExecuteStatementOutput::builder().id(ID).status(StatementStatusString::Finished).build());
    let last = pages.len().saturating_sub(1);
    let mut rules: Vec<Rule> = vec![execute];
    for (n, page) in pages.into_iter().enumerate() {
        rules.push(
            mock!(Client::get_statement_result)
                .match_requests(move |r| r.next_token().unwrap_or("0") == n.to_string())
                .then_output(move || {
                    let next = (n < last).then(|| (n + 1).to_string());
                    let output = GetStatementResultOutput::builder().set_records(Some(page.clone()));
                    output.set_next_token(next).build().expect("complete")
                }),
        );
    }
    mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, &rules.iter().collect::<Vec<_>>())
}

type Sent = Arc<Mutex<Vec<String>>>;

/// A topic that takes everything but what `refuse` says: (run_id, nth call) -> sender's fault?
fn topic(sent: &Sent, refuse: fn(&str, usize) -> Option<bool>) -> aws_sdk_sns::Client {
    let seen = sent.clone();
    let calls = Arc::new(Mutex::new(0));
    let failed: Arc<Mutex<Vec<(String, bool)>>> = Arc::default();
    let answer = failed.clone();
    let rule = mock!(aws_sdk_sns::Client::publish_batch)
        .match_requests(move |r| {
            let mut calls = calls.lock().expect("lock");
            *calls += 1;
            assert!(r.publish_batch_request_entries().len() <= 10);
            let mut failed = failed.lock().expect("lock");
            failed.clear();
            for entry in r.publish_batch_request_entries() {
                let run =
                    entry.message_attributes().expect("attributes")["run_id"].string_value().expect("text").to_owned();
                match refuse(&run, *calls) {
                    Some(fault) => failed.push((entry.id().to_owned(), fault)),
                    None => seen.lock().expect("lock").push(run),
                }
            }
            true
        })
        .then_output(move || {
            let failed = answer
                .lock()
                .expect("lock")
                .iter()
                .map(|(id, fault)| {
                    BatchResultErrorEntry::builder().id(id).code("Code").sender_fault(*fault).build().expect("complete")
                })
                .collect();
            PublishBatchOutput::builder().set_failed(Some(failed)).build()
        });
    mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&rule])
}

fn known(client: &aws_sdk_sns::Client) -> Lazy<aws_sdk_sns::Client> {
    let client = client.clone();
    runtime::lazy(move || client)
}

async fn run(warehouse: &aws_sdk_redshiftdata::Client, topic: &aws_sdk_sns::Client) -> Result<Value> {
    run_with(warehouse, topic, env).await
}

async fn run_with(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &aws_sdk_sns::Client,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Value> {
    run_until(warehouse, topic, SystemTime::now() + Duration::from_secs(300), env).await
}

async fn run_until(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &aws_sdk_sns::Client,
    deadline: SystemTime,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Value> {
    let mut context = Context::default();
    context.deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let topic = known(topic);
    handle(warehouse, &topic, &Config::from_env(env).expect("valid"), json!({"ExecutionId": "x"}), &context).await
}

fn runs(ids: std::ops::Range<i64>) -> Vec<Vec<Field>> {
    ids.map(|id| row(Some(id), "DIFFERENT", 1)).collect()
}

/// Every SQL text that was submitted.
fn recording(pages: Vec<Vec<Vec<Field>>>) -> (aws_sdk_redshiftdata::Client, Sent) {
    use aws_sdk_redshiftdata::Client;
    let submitted = Sent::default();
    let seen = submitted.clone();
    let execute = mock!(Client::execute_statement)
        .match_requests(move |r| {
            let execution = r.parameters().first().map(|p| p.value().to_owned()).unwrap_or_default();
            seen.lock().expect("lock").push(format!("{} [{execution}]", r.sql().unwrap_or_default()));
            true
        })
        .then_output(|| ExecuteStatementOutput::builder().id(ID).status(StatementStatusString::Finished).build());
    let mut rules: Vec<Rule> = vec![execute];
    let pages = Arc::new(Mutex::new(pages.into_iter()));
    rules.push(mock!(Client::get_statement_result).then_output(move || {
        let page = pages.lock().expect("lock").next().unwrap_or_default();
        GetStatementResultOutput::builder().set_records(Some(page)).build().expect("complete")
    }));
    (mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, &rules.iter().collect::<Vec<_>>()), submitted)
}

fn with(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<String> {
    move |asked| if asked == name { Some(value.to_owned()) } else { env(asked) }
}

fn refusal(code: &str) -> aws_smithy_runtime_api::client::orchestrator::HttpResponse {
    let body = format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>");
    aws_smithy_runtime_api::client::orchestrator::HttpResponse::new(400.try_into().expect("status"), body.into())
}
