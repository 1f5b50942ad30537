use super::*;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_redshiftdata::operation::get_statement_result::GetStatementResultOutput;
use aws_sdk_redshiftdata::types::{Field, StatementStatusString, StatusString};
use aws_sdk_sns::operation::publish_batch::PublishBatchOutput;
use aws_sdk_sns::types::BatchResultErrorEntry;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use shared::testing::{assert_no_leak, leaks, logged, poisoned, poisoned_answers};
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
    let mut context = Context::default();
    let deadline = SystemTime::now() + Duration::from_secs(300);
    context.deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let topic = known(topic);
    handle(warehouse, &topic, &Config::from_env(env).expect("valid"), json!({"ExecutionId": "x"}), &context).await
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
    for (limit, messages, mark) in [
        ("4", vec!["DIGEST"], "run_id IN (SELECT run_id FROM dev.orders_audit"),
        ("5", vec!["1", "2", "3", "4", "5"], "run_id IN ('1', '2', '3', '4', '5')"),
    ] {
        let (warehouse, submitted) = recording(vec![runs(1..6)]);
        let sent = Sent::default();
        run_with(&warehouse, &topic(&sent, |_, _| None), with("MAX_NOTIFICATIONS", limit)).await.expect("notified");
        assert_eq!(*sent.lock().expect("lock"), messages);
        let submitted = submitted.lock().expect("lock").clone();
        assert!(submitted.len() == 2 && submitted[1].contains(mark), "all are marked: {submitted:?}");
    }
}

#[tokio::test]
async fn above_the_limit_clean_runs_too_are_one_digest() {
    let clean = |ids: std::ops::Range<i64>| ids.map(|id| row(Some(id), "RESOLVED", 2)).collect();
    let (warehouse, submitted) = recording(vec![runs(1..3), clean(3..8)]);
    let sent = Sent::default();
    let env = |name: &str| match name {
        "MAX_NOTIFICATIONS" => Some("4".to_owned()),
        "NOTIFY_RESOLVED" => Some("true".to_owned()),
        other => env(other),
    };
    let answer = run_with(&warehouse, &topic(&sent, |_, _| None), env).await.expect("notified");
    assert_eq!(answer, json!({"UnresolvedRuns": 2, "Notified": 2, "Resolved": 1, "Failed": 0}));
    assert_eq!(*sent.lock().expect("lock"), ["1", "2", "DIGEST"]);
    let submitted = submitted.lock().expect("lock").clone();
    assert!(submitted.len() == 4 && submitted[3].contains("SET closed_by = :execution"), "{submitted:?}");
}

#[tokio::test(start_paused = true)]
async fn the_counts_are_of_messages_of_every_kind_and_one_failure_blocks_no_other() {
    let clean = vec![row(Some(8), "RESOLVED", 2), row(Some(9), "RESOLVED", 2)];
    for (limit, refused, counts) in [
        ("0", "2", "sent 4 of 5 notifications; not sent for the run ids 2 ("),
        ("0", "9", "sent 4 of 5 notifications; not sent for the run ids 9 ("),
        ("2", "DIGEST", "sent 2 of 3 notifications; not sent for the run ids DIGEST ("),
        ("1", "DIGEST", "sent 0 of 2 notifications; not sent for the run ids DIGEST, DIGEST ("),
    ] {
        let (warehouse, _) = recording(vec![runs(1..4), clean.clone()]);
        let topic = match refused {
            "2" => topic(&Sent::default(), |run, _| (run == "2").then_some(true)),
            "9" => topic(&Sent::default(), |run, _| (run == "9").then_some(true)),
            _ => topic(&Sent::default(), |run, _| (run == "DIGEST").then_some(true)),
        };
        let env = |name: &str| match name {
            "MAX_NOTIFICATIONS" => Some(limit.to_owned()),
            "NOTIFY_RESOLVED" => Some("true".to_owned()),
            other => env(other),
        };
        let error = run_with(&warehouse, &topic, env).await.expect_err("incomplete");
        assert_eq!(error.name(), "NotificationsIncomplete");
        assert!(error.to_string().starts_with(counts), "{error}");
    }
}

#[tokio::test]
async fn one_silenced_row_silences_its_run_and_its_alarm() {
    let kind = |run: i64, kind: &str, waiting: i64, silenced: i64| {
        let mut row = row(Some(run), kind, 1);
        row.extend([Field::LongValue(waiting), Field::LongValue(silenced)]);
        row
    };
    let rows = vec![kind(1, "DIFFERENT", 900, 1), kind(1, "MISSING_IN_REDSHIFT", 800, 0), kind(2, "DIFFERENT", 50, 0)];
    let (warehouse, _) = recording(vec![rows.clone()]);
    let sent = Sent::default();
    let answer = run(&warehouse, &topic(&sent, |_, _| None)).await.expect("notified");
    assert_eq!((&answer["UnresolvedRuns"], &answer["Notified"]), (&json!(2), &json!(1)));
    assert_eq!(*sent.lock().expect("lock"), ["2"]);
    let (warehouse, _) = recording(vec![rows]);
    let id = shared::StatementId::parse(ID).expect("valid");
    let mut runs = Runs::of(&warehouse, &id);
    let mut report = Report::default();
    while let Some(run) = runs.next().await.expect("a run") {
        report.count(&run);
    }
    assert_eq!((report.unresolved, report.mismatches, report.waiting_seconds), (2, 3, 50));
}

/// A mark that fails: what was sent is said, and the name says whether to repeat it.
#[tokio::test(start_paused = true)]
async fn a_mark_that_fails_does_not_lose_the_counts() {
    use aws_sdk_redshiftdata::Client;
    for (text, name) in
        [("ERROR: deadlock detected", "ServiceUnavailable"), ("ERROR: permission denied", "AuditQueryFailed")]
    {
        let ended = |update: bool, status: StatementStatusString| {
            mock!(Client::execute_statement)
                .match_requests(move |r| r.sql().unwrap_or_default().starts_with("UPDATE") == update)
                .then_output(move || ExecuteStatementOutput::builder().id(ID).status(status.clone()).build())
        };
        let (query, mark) = (ended(false, StatementStatusString::Finished), ended(true, StatementStatusString::Failed));
        let describe = mock!(Client::describe_statement).then_output(move || {
            let output = DescribeStatementOutput::builder().id(ID).status(StatusString::Failed);
            output.error(text).build().expect("complete")
        });
        let result = mock!(Client::get_statement_result).then_output(|| {
            GetStatementResultOutput::builder().set_records(Some(runs(0..700))).build().expect("complete")
        });
        let warehouse = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&query, &mark, &describe, &result]);
        let sent = Sent::default();
        let error = run(&warehouse, &topic(&sent, |_, _| None)).await.expect_err("not marked");
        assert_eq!(error.name(), name);
        let said = error.to_string();
        assert!(said.starts_with("sent 500 of 700 notifications; ") && said.ends_with(text), "{error}");
        assert_eq!(sent.lock().expect("lock").len(), 500, "what cannot be marked is not sent on and on");
    }
}

#[tokio::test(start_paused = true)]
async fn the_list_of_what_was_not_sent_is_cut() {
    let (warehouse, topic) = (recording(vec![runs(1000..3000)]).0, topic(&Sent::default(), |_, _| Some(true)));
    let error = run(&warehouse, &topic).await.expect_err("incomplete").to_string();
    assert!(error.starts_with("sent 0 of 2000 notifications; not sent for the run ids 1000, 1001, "), "{error}");
    assert!(error.contains(" [cut] (Code)") && error.len() < MAX_LIST_CHARS + 200, "{}", error.len());
}

fn publisher(client: &Lazy<aws_sdk_sns::Client>) -> Publisher<'_> {
    let deadline = SystemTime::now() + Duration::from_secs(300);
    Publisher { client, topic_arn: "arn:aws:sns:eu-west-1:123456789012:t.fifo", deadline }
}

/// KMS has a throttling of its own, as HTTP 400, which the SDK does not repeat.
#[tokio::test(start_paused = true)]
async fn a_throttled_batch_is_sent_again_after_a_pause() {
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    let throttled = || {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>KMSThrottling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
        HttpResponse::new(400.try_into().expect("status"), body.into())
    };
    let begin = tokio::time::Instant::now();
    let rule = mock!(aws_sdk_sns::Client::publish_batch).sequence();
    let rule = rule.http_response(throttled).output(|| PublishBatchOutput::builder().build()).build();
    let topic = mock_client!(aws_sdk_sns, RuleMode::Sequential, [&rule]);
    let (warehouse, submitted) = recording(vec![runs(1..4)]);
    assert_eq!(run(&warehouse, &topic).await.expect("notified")["Notified"], 3);
    assert_eq!((rule.num_calls(), submitted.lock().expect("lock").len()), (2, 2));
    assert!(begin.elapsed() >= Duration::from_millis(200), "not at once");
    let rule = mock!(aws_sdk_sns::Client::publish_batch).then_http_response(throttled);
    let topic = mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&rule]);
    let error = run(&recording(vec![runs(1..4)]).0, &topic).await.expect_err("throttled for ever");
    assert!(error.name() == "NotificationsIncomplete" && error.to_string().contains("KMSThrottling"), "{error}");
    assert_eq!(rule.num_calls(), 4);
}

/// What a topic got, and how its batches were cut.
fn entries() -> (aws_sdk_sns::Client, Arc<Mutex<Vec<Vec<aws_sdk_sns::types::PublishBatchRequestEntry>>>>) {
    let seen: Arc<Mutex<Vec<Vec<_>>>> = Arc::default();
    let keep = seen.clone();
    let rule = mock!(aws_sdk_sns::Client::publish_batch)
        .match_requests(move |r| {
            keep.lock().expect("lock").push(r.publish_batch_request_entries().to_vec());
            true
        })
        .then_output(|| PublishBatchOutput::builder().build());
    (mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&rule]), seen)
}

#[tokio::test]
async fn a_batch_stays_within_256_kilobytes() {
    let (topic, seen) = entries();
    let large = |n: usize| Notification {
        run_id: n.to_string(),
        subject: "s".into(),
        text: "t".repeat(50_000),
        payload: "p".repeat(30_000),
        mismatches: 1,
        kinds: vec!["DIFFERENT".into()],
        severity: message::Severity::Warning,
    };
    let all: Vec<_> = (0..10).map(large).collect();
    let outcome = publisher(&known(&topic)).send(&all).await.expect("sent");
    assert_eq!((outcome.sent.len(), outcome.failed.len()), (10, 0));
    let mut sizes: Vec<_> = seen.lock().expect("lock").iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 3, 3, 3], "80 KB each");
    for batch in seen.lock().expect("lock").iter() {
        assert!(batch.iter().map(|entry| entry.message().len()).sum::<usize>() < 256 * 1024);
    }
}

/// A FIFO topic swallows what has the same id: a repetition, and not a run that has changed since.
#[tokio::test]
async fn the_deduplication_id_is_that_of_the_content() {
    let config = Config::from_env(env).expect("valid");
    let composer = Composer { audit: &config.audit, words: &config.words, execution: "x", workflow: &WORKFLOW };
    let mismatches = |rows| vec![runs::Mismatches { kind: "DIFFERENT".into(), rows, first: None, last: None }];
    let run = Run { id: Some("42").into(), mismatches: mismatches(1), changed_in: 1, ..Run::default() };
    let of = async |composer: &Composer<'_>, run: &Run| {
        let (topic, seen) = entries();
        publisher(&known(&topic)).send(&[composer.mismatch(run)]).await.expect("sent");
        let id = seen.lock().expect("lock")[0][0].message_deduplication_id().map(str::to_owned);
        id.expect("an id")
    };
    let first = of(&composer, &run).await;
    assert_eq!(of(&composer, &run.clone()).await, first, "a repetition");
    for (changed, why) in [
        (Run { mismatches: mismatches(2), ..run.clone() }, "another row"),
        (Run { changed_in: 2, ..run.clone() }, "another value in the same row"),
        (Run { id: Some("43").into(), ..run.clone() }, "another run"),
    ] {
        assert_ne!(of(&composer, &changed).await, first, "{why}");
    }
    assert_ne!(of(&Composer { execution: "y", ..composer }, &run).await, first, "another execution");
}

#[test]
fn a_kind_that_nobody_knows_is_an_error() {
    let config = Config::from_env(env).expect("valid");
    let composer = Composer { audit: &config.audit, words: &config.words, execution: "x", workflow: &WORKFLOW };
    for (kinds, severity) in [
        (&["DIFFERENT", "MISSING_IN_STAGING"][..], "warning"),
        (&["DIFFERENT", "MISSING_IN_REDSHIFT"], "error"),
        (&["DUPLICATE_IN_REDSHIFT"], "error"),
        (&["STOCK_GONE"], "error"),
    ] {
        let of = |kind: &&str| runs::Mismatches { kind: (*kind).into(), rows: 1, first: None, last: None };
        let run = Run { mismatches: kinds.iter().map(of).collect(), ..Run::default() };
        assert_eq!(composer.mismatch(&run).severity.as_str(), severity, "{kinds:?}");
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
        changed_in: 1,
        ..Run::default()
    };
    let mut digest = Digest::default();
    digest.add(&run);
    for (notification, kind) in [
        (composer.mismatch(&run), "mismatch"),
        (composer.resolved(&run), "resolved"),
        (composer.digest(&digest), "digest"),
        (composer.resolved_digest(&digest), "resolved_digest"),
    ] {
        let payload: Value = serde_json::from_str(&notification.payload).expect("JSON");
        assert!(schema.is_valid(&payload), "{payload}");
        assert_eq!((payload["type"].as_str(), payload["changed_in"].as_i64()), (Some(kind), Some(1)));
        assert_eq!(
            (payload["text"].as_str(), payload["subject"].as_str()),
            (Some(&*notification.text), Some(&*notification.subject))
        );
        for field in ["severity", if kind.ends_with("digest") { "worst" } else { "kinds" }] {
            let mut without = payload.clone();
            without.as_object_mut().expect("an object").remove(field);
            assert!(!schema.is_valid(&without), "{kind} without {field}");
        }
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
    let run = Run { id: Some("42").into(), mismatches, ..Run::default() };
    assert_eq!(
        composer.mismatch(&run).text,
        "Mismatch between S3 staging and Redshift for the run id 42\n\n\
         2 rows in both, with different values (DIFFERENT)\n\
         1 row in S3 staging but not in Redshift (MISSING_IN_REDSHIFT)\n\
         order_ts from 2026-01-01 00:00:00 to 2026-01-03 00:00:00\n\n\
         To look:    SELECT * FROM dev.orders_audit WHERE run_id = '42' AND status <> 'RESOLVED';\n\
         To mend:    put the rows right (a late row is loaded by the next run); the next audit sets what is mended to RESOLVED.\n\
         To resolve: UPDATE dev.orders_audit SET status = 'RESOLVED', resolved_at = GETDATE() WHERE run_id = '42' AND status <> 'RESOLVED';\n\
         \x20           (an audit that still finds the mismatch re-opens it: silence that)\n\
         To silence: UPDATE dev.orders_audit SET silenced_until = GETDATE() + INTERVAL '7 days' WHERE run_id = '42';\n"
    );
    let workflow = &WorkflowRun { workflow_name: Some("nightly".into()), workflow_run_id: Some("wr_1".into()) };
    let notification = Composer { workflow, ..composer }.mismatch(&run);
    assert!(notification.text.contains("\nFound after Glue workflow run wr_1 of nightly\n"), "{}", notification.text);
    let payload: Value = serde_json::from_str(&notification.payload).expect("JSON");
    assert_eq!((&payload["workflow"], &payload["workflow_run_id"]), (&json!("nightly"), &json!("wr_1")));
}

/// An entry that SNS would refuse keeps no other back: by construction none is too large.
#[tokio::test]
async fn no_message_exceeds_256_kilobytes() {
    for character in ["x", "\\", "\u{1}", "\u{10ffff}"] {
        let row = |n: u8| {
            let mut row = row(None, "DIFFERENT", 1);
            row[0] = Field::StringValue(character.repeat(257));
            row.extend([0, 0, 0].map(Field::LongValue));
            row.extend([Field::LongValue(65_535), Field::StringValue(format!("{n:032}"))]);
            row
        };
        let many: Vec<_> = (0..12).map(row).collect();
        for limit in ["0", "11"] {
            let (topic, seen) = entries();
            let (warehouse, submitted) = recording(vec![many.clone()]);
            let answer = run_with(&warehouse, &topic, with("MAX_NOTIFICATIONS", limit)).await.expect("notified");
            assert_eq!(answer["Notified"], if limit == "0" { 12 } else { 1 });
            for batch in seen.lock().expect("lock").iter() {
                let bytes: usize = batch.iter().map(|entry| entry.message().len() + 1_000).sum();
                assert!(bytes < 256 * 1024, "{bytes}");
            }
            assert!(submitted.lock().expect("lock").iter().all(|sql| sql.len() < 100_000));
        }
    }
}

fn refusal(code: &str) -> aws_smithy_runtime_api::client::orchestrator::HttpResponse {
    let body = format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>");
    aws_smithy_runtime_api::client::orchestrator::HttpResponse::new(400.try_into().expect("status"), body.into())
}

#[tokio::test]
async fn a_batch_that_is_refused_whole_is_sent_one_by_one() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = sent.clone();
    let batch = mock!(aws_sdk_sns::Client::publish_batch)
        .match_requests(|r| r.publish_batch_request_entries().iter().any(|e| e.message().contains("run id 3")))
        .then_http_response(|| refusal("InvalidParameter"));
    let one = mock!(aws_sdk_sns::Client::publish_batch)
        .match_requests(move |r| {
            seen.lock().expect("lock").push(r.publish_batch_request_entries().len());
            true
        })
        .then_output(|| PublishBatchOutput::builder().build());
    let topic = mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&batch, &one]);
    let error = run(&recording(vec![runs(1..6)]).0, &topic).await.expect_err("one is refused");
    assert_eq!(error.name(), "NotificationsIncomplete");
    assert!(error.to_string().starts_with("sent 4 of 5 notifications; not sent for the run ids 3 ("), "{error}");
    assert_eq!((*sent.lock().expect("lock")).clone(), [1; 4]);
}

/// What SNS took before it stopped is marked.
#[tokio::test]
async fn what_went_out_before_the_end_is_marked() {
    let calls = Arc::new(Mutex::new(0));
    let first = {
        let calls = calls.clone();
        mock!(aws_sdk_sns::Client::publish_batch)
            .match_requests(move |_| {
                let mut calls = calls.lock().expect("lock");
                *calls += 1;
                *calls <= 3
            })
            .then_output(|| PublishBatchOutput::builder().build())
    };
    let rest = mock!(aws_sdk_sns::Client::publish_batch).then_http_response(|| refusal("KMSDisabled"));
    let topic = mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&first, &rest]);
    let (warehouse, submitted) = recording(vec![runs(1000..1500)]);
    let error = run(&warehouse, &topic).await.expect_err("no key");
    assert!(error.to_string().starts_with("sent 30 of 500 notifications; "), "{error}");
    let submitted = submitted.lock().expect("lock").clone();
    assert!(submitted.len() == 2 && submitted[1].matches("'10").count() == 30, "{submitted:?}");
}

/// The key is the topic's: no other message would fare better.
#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_used_ends_the_sending_at_once() {
    for code in ["KMSDisabled", "KMSInvalidState", "KMSNotFound", "KMSOptInRequired", "KMSAccessDenied"] {
        let whole = mock!(aws_sdk_sns::Client::publish_batch).then_http_response(move || refusal(code));
        let each = mock!(aws_sdk_sns::Client::publish_batch).then_output(move || {
            let failed = BatchResultErrorEntry::builder().id("0").code(code).sender_fault(true);
            PublishBatchOutput::builder().failed(failed.build().expect("complete")).build()
        });
        for rule in [whole, each] {
            let topic = mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&rule]);
            let error = run(&recording(vec![runs(0..5000)]).0, &topic).await.expect_err("no key");
            let expected = if code == "KMSAccessDenied" { "AccessDenied" } else { "RequestRefused" };
            assert!(
                [expected, "RequestRefused"].contains(&error.name()) && error.to_string().contains(code),
                "{error}"
            );
            assert!(rule.num_calls() <= 8, "what is under way: {}", rule.num_calls());
        }
    }
}

#[tokio::test]
async fn an_execution_id_that_is_none_is_refused_before_anything_is_asked() {
    for id in [json!(""), json!(null), json!(7), json!("it's hunter2"), json!("x".repeat(501))] {
        let (warehouse, submitted) = recording(vec![]);
        let payload = json!({"ExecutionId": id});
        let config = Config::from_env(env).expect("valid");
        let topic = known(&topic(&Sent::default(), |_, _| None));
        let error = handle(&warehouse, &topic, &config, payload, &Context::default()).await.expect_err("no id");
        assert!(error.name() == "InvalidInput" && !error.to_string().contains("hunter2"), "{error}");
        assert!(submitted.lock().expect("lock").is_empty());
    }
}

/// Nothing of a payload or of an answer gets into an error or a log line, but ids.
#[tokio::test(start_paused = true)]
async fn no_place_of_a_payload_or_of_an_answer_leaks() {
    use aws_sdk_redshiftdata::Client;
    let config = Config::from_env(env).expect("valid");
    let payload = json!({"ExecutionId": "x", "Context": {"WorkflowName": "w", "WorkflowRunId": "wr_1"}});
    for poisoned in poisoned(&payload) {
        let topic = known(&topic(&Sent::default(), |_, _| Some(true)));
        let (warehouse, _) = recording(vec![runs(1..3)]);
        let context = Context::default();
        let work = handle(&warehouse, &topic, &config, poisoned.payload.clone(), &context);
        let (answer, log) = logged(work).await;
        assert_no_leak(&poisoned, &answer);
        let is_shown = poisoned.is_id || poisoned.place.ends_with("WorkflowName");
        assert!(is_shown || !leaks(&log), "{poisoned:?}: {log}");
    }
    let good = json!({"Records": [[{"longValue": 1}, {"stringValue": "DIFFERENT"}, {"longValue": 1},
                                   {"stringValue": "2026-01-01"}, {"isNull": true}, {"longValue": 1}, {"longValue": 3}]],
                      "ColumnMetadata": []});
    for answer in poisoned_answers(&good) {
        let execute = mock!(Client::execute_statement)
            .then_output(|| ExecuteStatementOutput::builder().id(ID).status(StatementStatusString::Finished).build());
        let reply = answer.clone();
        let result = mock!(Client::get_statement_result).then_http_response(move || {
            let status = reply.status.try_into().expect("a status");
            aws_smithy_runtime_api::client::orchestrator::HttpResponse::new(status, reply.body.clone().into())
        });
        let warehouse = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&execute, &result]);
        let topic = topic(&Sent::default(), |_, _| None);
        let (outcome, log) = logged(run(&warehouse, &topic)).await;
        assert_no_leak(&answer, &outcome);
        assert!(!leaks(&log), "{answer:?}: {log}");
    }
    for answer in poisoned_answers(&json!({})) {
        let reply = answer.clone();
        let publish = mock!(aws_sdk_sns::Client::publish_batch).then_http_response(move || {
            let status = reply.status.try_into().expect("a status");
            aws_smithy_runtime_api::client::orchestrator::HttpResponse::new(status, reply.body.clone().into())
        });
        let topic = mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&publish]);
        let (outcome, log) = logged(run(&recording(vec![runs(1..3)]).0, &topic)).await;
        assert_no_leak(&answer, &outcome);
        assert!(!leaks(&log), "{answer:?}: {log}");
    }
}
