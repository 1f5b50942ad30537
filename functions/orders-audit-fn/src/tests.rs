use super::*;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_redshiftdata::operation::get_statement_result::GetStatementResultOutput;
use aws_sdk_redshiftdata::types::{Field, StatementStatusString, StatusString};
use aws_sdk_sns::operation::publish_batch::PublishBatchOutput;
use aws_sdk_sns::types::BatchResultErrorEntry;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use std::sync::{Arc, Mutex};

const ID: &str = "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b";

fn env(name: &str) -> Option<String> {
    let value = match name {
        "WORKGROUP_NAME" => "w",
        "DATABASE" => "d",
        "TOPIC_ARN" => "arn:aws:sns:eu-west-1:123456789012:t",
        _ => return None,
    };
    Some(value.to_owned())
}

fn row(run: Option<i64>, kind: &str, rows: i64) -> Vec<Field> {
    let run = run.map_or(Field::IsNull(true), Field::LongValue);
    let text = |t: &str| Field::StringValue(t.to_owned());
    vec![run, text(kind), Field::LongValue(rows), text("2026-01-01 10:00:00"), text("2026-01-02 10:00:00")]
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

async fn run(warehouse: &aws_sdk_redshiftdata::Client, topic: &aws_sdk_sns::Client) -> Result<Value> {
    let mut context = Context::default();
    let deadline = SystemTime::now() + Duration::from_secs(60);
    context.deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    handle(warehouse, topic, &Config::from_env(env).expect("valid"), json!({"ExecutionId": "x"}), &context).await
}

fn runs(ids: std::ops::Range<i64>) -> Vec<Vec<Field>> {
    ids.map(|id| row(Some(id), "DIFFERENT", 1)).collect()
}

#[tokio::test]
async fn an_empty_audit_table_notifies_nobody() {
    let sent = Sent::default();
    let answer = run(&warehouse(vec![vec![]]), &topic(&sent, |_, _| None)).await.expect("notified");
    assert_eq!(answer, json!({"UnresolvedRuns": 0, "Notified": 0, "Failed": 0}));
    assert!(sent.lock().expect("lock").is_empty());
}

#[tokio::test]
async fn one_notification_per_run_over_all_kinds_and_pages() {
    let sent = Sent::default();
    let mut last = vec![row(Some(7), "MISSING_IN_STAGING", 2)];
    last.extend(runs(8..25));
    last.push(row(None, "MISSING_IN_REDSHIFT", 1));
    // Run 7 has rows on both pages.
    let answer = run(&warehouse(vec![runs(1..8), last]), &topic(&sent, |_, _| None)).await.expect("notified");
    assert_eq!(answer, json!({"UnresolvedRuns": 25, "Notified": 25, "Failed": 0}));
    let mut expected: Vec<_> = (1..25).map(|id| id.to_string()).collect();
    expected.push("NULL".into());
    assert_eq!(*sent.lock().expect("lock"), expected);
}

#[tokio::test(start_paused = true)]
async fn entries_that_fail_by_the_services_fault_are_repeated() {
    let sent = Sent::default();
    let topic = topic(&sent, |run, call| (run == "2" && call == 1).then_some(false));
    let answer = run(&warehouse(vec![runs(1..4)]), &topic).await.expect("notified");
    assert_eq!(answer["Notified"], 3);
    assert_eq!(*sent.lock().expect("lock"), ["1", "3", "2"]);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_sent_is_named_and_the_rest_is_sent() {
    let sent = Sent::default();
    let topic = topic(&sent, |run, _| match run {
        "2" => Some(true),
        "14" => Some(false),
        _ => None,
    });
    let error = run(&warehouse(vec![runs(1..21)]), &topic).await.expect_err("incomplete");
    assert_eq!(error.name(), "NotificationsIncomplete");
    assert!(error.to_string().contains("sent 18 of 20") && error.to_string().contains("2, 14"), "{error}");
    assert_eq!(sent.lock().expect("lock").len(), 18);
}

#[tokio::test]
async fn a_missing_topic_is_named() {
    let rule = mock!(aws_sdk_sns::Client::publish_batch).then_http_response(|| {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic does not exist</Message></Error></ErrorResponse>";
        aws_smithy_runtime_api::client::orchestrator::HttpResponse::new(404.try_into().expect("status"), body.into())
    });
    let topic = mock_client!(aws_sdk_sns, [&rule]);
    let error = run(&warehouse(vec![runs(1..2)]), &topic).await.expect_err("missing");
    assert_eq!(error.name(), "TopicNotFound");
    assert!(error.to_string().contains("TOPIC_ARN"), "{error}");
}

#[tokio::test]
async fn a_failing_query_carries_the_engines_text() {
    use aws_sdk_redshiftdata::Client;
    let execute = mock!(Client::execute_statement)
        .then_output(|| ExecuteStatementOutput::builder().id(ID).status(StatementStatusString::Failed).build());
    let describe = mock!(Client::describe_statement).then_output(|| {
        let output = DescribeStatementOutput::builder().id(ID).status(StatusString::Failed);
        output.error("ERROR: relation \"dev.orders_audit\" does not exist").build().expect("complete")
    });
    let warehouse = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&execute, &describe]);
    let error = run(&warehouse, &topic(&Sent::default(), |_, _| None)).await.expect_err("failed");
    assert_eq!(error.name(), "AuditQueryFailed");
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[test]
fn a_wrong_environment_is_named() {
    for (name, value) in
        [("TOPIC_ARN", ""), ("TOPIC_ARN", "topic"), ("AUDIT_TABLE", "a; DROP TABLE x"), ("DATABASE", "")]
    {
        let error =
            Config::from_env(
                |n| if n == name { Some(value.into()).filter(|v: &String| !v.is_empty()) } else { env(n) },
            );
        let error = error.expect_err(name);
        assert_eq!(error.name(), "InvalidConfiguration");
        assert!(error.to_string().to_uppercase().contains(name), "{error}");
    }
}
