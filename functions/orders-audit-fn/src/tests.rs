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

static WORKFLOW: WorkflowRun = WorkflowRun { workflow_name: None, workflow_run_id: None };

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

async fn run(warehouse: &aws_sdk_redshiftdata::Client, topic: &aws_sdk_sns::Client) -> Result<Value> {
    run_with(warehouse, topic, env).await
}

async fn run_with(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &aws_sdk_sns::Client,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Value> {
    let mut context = Context::default();
    let deadline = SystemTime::now() + Duration::from_secs(300);
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
    assert_eq!(answer, json!({"UnresolvedRuns": 0, "Notified": 0, "Resolved": 0, "Failed": 0}));
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
    assert_eq!(answer, json!({"UnresolvedRuns": 25, "Notified": 25, "Resolved": 0, "Failed": 0}));
    let mut expected: Vec<_> = (1..25).map(|id| id.to_string()).collect();
    expected.push("NULL".into());
    let mut sent = sent.lock().expect("lock").clone();
    sent.sort_by_key(|run| run.parse::<i64>().unwrap_or(i64::MAX));
    assert_eq!(sent, expected);
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

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_marked_and_what_was_not_is_not() {
    let (warehouse, submitted) = recording(vec![runs(1..4)]);
    let topic = topic(&Sent::default(), |run, _| (run == "2").then_some(true));
    run(&warehouse, &topic).await.expect_err("incomplete");
    let submitted = submitted.lock().expect("lock").clone();
    assert_eq!(submitted.len(), 2, "{submitted:?}");
    assert!(submitted[1].contains("run_id IN ('1', '3')") && submitted[1].ends_with("[x]"), "{}", submitted[1]);
}

#[tokio::test]
async fn what_is_not_due_is_counted_and_not_sent() {
    let mut quiet = row(Some(1), "DIFFERENT", 1);
    quiet[5] = Field::LongValue(0);
    let (warehouse, submitted) = recording(vec![vec![quiet, row(Some(2), "DIFFERENT", 1)]]);
    let sent = Sent::default();
    let answer =
        run_with(&warehouse, &topic(&sent, |_, _| None), with("REMIND_AFTER_HOURS", "24")).await.expect("notified");
    assert_eq!((&answer["UnresolvedRuns"], &answer["Notified"]), (&json!(2), &json!(1)));
    assert_eq!(*sent.lock().expect("lock"), ["2"]);
    assert!(submitted.lock().expect("lock")[0].contains("INTERVAL '24 hours'"));
}

#[tokio::test]
async fn marks_are_written_in_chunks() {
    let (warehouse, submitted) = recording(vec![runs(0..1200)]);
    let answer = run(&warehouse, &topic(&Sent::default(), |_, _| None)).await.expect("notified");
    assert_eq!(answer["Notified"], 1200);
    assert_eq!(submitted.lock().expect("lock").iter().filter(|sql| sql.starts_with("UPDATE")).count(), 3);
}

#[tokio::test]
async fn above_the_limit_one_digest_takes_the_place_of_many() {
    for (limit, messages) in [("4", vec!["DIGEST"]), ("5", vec!["1", "2", "3", "4", "5"])] {
        let (warehouse, submitted) = recording(vec![runs(1..6)]);
        let sent = Sent::default();
        run_with(&warehouse, &topic(&sent, |_, _| None), with("MAX_NOTIFICATIONS", limit)).await.expect("notified");
        assert_eq!(*sent.lock().expect("lock"), messages);
        assert!(submitted.lock().expect("lock")[1].contains("run_id IN ('1', '2', '3', '4', '5')"), "all are marked");
    }
}

#[tokio::test]
async fn a_run_that_is_clean_again_is_said_once() {
    let (warehouse, submitted) = recording(vec![vec![], vec![row(Some(9), "RESOLVED", 2)]]);
    let sent = Sent::default();
    let answer =
        run_with(&warehouse, &topic(&sent, |_, _| None), with("NOTIFY_RESOLVED", "true")).await.expect("notified");
    assert_eq!((&answer["Resolved"], sent.lock().expect("lock").len()), (&json!(1), 1));
    assert!(submitted.lock().expect("lock")[2].contains("SET closed_by = :execution"));
}

#[tokio::test]
async fn a_fifo_topic_gets_its_ids_and_people_get_text() {
    let seen: Arc<Mutex<Vec<aws_sdk_sns::types::PublishBatchRequestEntry>>> = Arc::default();
    let keep = seen.clone();
    let rule = mock!(aws_sdk_sns::Client::publish_batch)
        .match_requests(move |r| {
            keep.lock().expect("lock").extend_from_slice(r.publish_batch_request_entries());
            true
        })
        .then_output(|| PublishBatchOutput::builder().build());
    for arn in ["arn:aws:sns:eu-west-1:123456789012:t", "arn:aws:sns:eu-west-1:123456789012:t.fifo"] {
        let (warehouse, _) = recording(vec![vec![row(None, "MISSING_IN_REDSHIFT", 1)]]);
        run_with(&warehouse, &mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&rule]), with("TOPIC_ARN", arn))
            .await
            .expect("notified");
    }
    let seen = seen.lock().expect("lock").clone();
    assert_eq!((seen[0].message_group_id(), seen[0].message_deduplication_id()), (None, None));
    assert_eq!(
        (seen[1].message_group_id(), seen[1].message_deduplication_id().map(str::len)),
        (Some("NULL"), Some(64))
    );
    let message: Value = serde_json::from_str(seen[0].message()).expect("JSON");
    assert_eq!(seen[0].message_structure(), Some("json"));
    assert!(
        message["email"]
            .as_str()
            .expect("text")
            .starts_with("Mismatch between S3 staging and Redshift for the run id NULL")
    );
    let attributes = seen[0].message_attributes().expect("attributes");
    assert_eq!(attributes["severity"].string_value(), Some("error"));
    assert_eq!(
        (attributes["kind"].data_type(), attributes["kind"].string_value()),
        ("String.Array", Some(r#"["MISSING_IN_REDSHIFT"]"#))
    );
}

#[test]
fn the_payload_is_as_its_schema_says() {
    let schema: Value = serde_json::from_str(include_str!("../notification.schema.json")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let config = Config::from_env(env).expect("valid");
    let composer = Composer { audit: &config.audit, words: &config.words, execution: "x", workflow: &WORKFLOW };
    let mismatches =
        |kind: &str| runs::Mismatches { kind: kind.into(), rows: 2, first: Some("2026-01-01".into()), last: None };
    let run = Run {
        id: Some("42").into(),
        mismatches: vec![mismatches("DIFFERENT"), mismatches("x")],
        due: true,
        changed_in: 1,
        waiting_seconds: 0,
    };
    let mut digest = Digest::default();
    digest.add(&run);
    for notification in [composer.mismatch(&run), composer.resolved(&run), composer.digest(&digest)] {
        let payload: Value = serde_json::from_str(&notification.payload).expect("JSON");
        assert!(schema.is_valid(&payload), "{payload}");
        assert_eq!(
            (payload["text"].as_str(), payload["subject"].as_str()),
            (Some(&*notification.text), Some(&*notification.subject))
        );
        let mut without = payload.clone();
        without.as_object_mut().expect("an object").remove("severity");
        assert!(!schema.is_valid(&without), "the schema refuses something");
    }
}

#[test]
fn a_notification_says_what_a_person_needs() {
    let config = Config::from_env(env).expect("valid");
    let composer = Composer { audit: &config.audit, words: &config.words, execution: "x", workflow: &WORKFLOW };
    let of = |kind: &str, rows, at: &str| runs::Mismatches {
        kind: kind.into(),
        rows,
        first: Some(at.into()),
        last: Some(at.into()),
    };
    let mismatches =
        vec![of("DIFFERENT", 2, "2026-01-03 00:00:00"), of("MISSING_IN_REDSHIFT", 1, "2026-01-01 00:00:00")];
    let run = Run { id: Some("42").into(), mismatches, due: true, changed_in: 1, waiting_seconds: 0 };
    assert_eq!(
        composer.mismatch(&run).text,
        "Mismatch between S3 staging and Redshift for the run id 42\n\n\
         2 rows in both, with different values (DIFFERENT)\n\
         1 row in S3 staging but not in Redshift (MISSING_IN_REDSHIFT)\n\
         order_ts from 2026-01-01 00:00:00 to 2026-01-03 00:00:00\n\n\
         To look:    SELECT * FROM dev.orders_audit WHERE run_id = '42' AND status <> 'RESOLVED';\n\
         To mend:    put the rows right (a late row is loaded by the next run); the next audit sets what is mended to RESOLVED.\n\
         To resolve: UPDATE dev.orders_audit SET status = 'RESOLVED', resolved_at = GETDATE() WHERE run_id = '42' AND status <> 'RESOLVED';\n\
         To silence: UPDATE dev.orders_audit SET silenced_until = GETDATE() + INTERVAL '7 days' WHERE run_id = '42';\n"
    );
    let workflow = &WorkflowRun { workflow_name: Some("nightly".into()), workflow_run_id: Some("wr_1".into()) };
    let notification = Composer { workflow, ..composer }.mismatch(&run);
    assert!(notification.text.contains("\nFound after Glue workflow run wr_1 of nightly\n"), "{}", notification.text);
    let payload: Value = serde_json::from_str(&notification.payload).expect("JSON");
    assert_eq!((&payload["workflow"], &payload["workflow_run_id"]), (&json!("nightly"), &json!("wr_1")));
}
