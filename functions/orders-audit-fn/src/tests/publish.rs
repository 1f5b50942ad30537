use super::*;

fn publisher(client: &Lazy<aws_sdk_sns::Client>) -> Publisher<'_> {
    let deadline = SystemTime::now() + Duration::from_secs(300);
    let topic_arn = "arn:aws:sns:eu-west-1:123456789012:t.fifo";
    Publisher { client, topic_arn, audit: None, several: false, is_chat: false, deadline }
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
        event: notification::Event::Mismatch,
        subject: "s".into(),
        text: "t".repeat(50_000),
        payload: "p".repeat(30_000),
        chat: None,
        severity: run::Severity::Warning,
        filtered: notification::Filtered::Run { run_id: n.to_string(), mismatches: 1, kinds: vec!["DIFFERENT".into()] },
    };
    let all: Vec<_> = (0..10).map(large).collect();
    let outcome = publisher(&known(&topic)).send(all.iter()).await.expect("sent");
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
    let composer = payload::composer(&config);
    let mismatches = |rows| vec![run::Mismatches { kind: "DIFFERENT".into(), rows, ..run::Mismatches::default() }];
    let run = Run { id: Some("42").into(), mismatches: mismatches(1), changed_in: 1, ..Run::default() };
    let of = async |composer: &Composer<'_>, run: &Run| {
        let (topic, seen) = entries();
        publisher(&known(&topic)).send([composer.mismatch(run).expect("composed")].iter()).await.expect("sent");
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

/// Mail does not depend on the chat: what people got is marked, and no retry sends it again.
#[tokio::test(start_paused = true)]
async fn a_chat_that_fails_keeps_no_mail_back_and_doubles_none() {
    const CHAT: &str = "arn:aws:sns:eu-west-1:123456789012:chat";
    let env = |name: &str| if name == "CHAT_TOPIC_ARN" { Some(CHAT.to_owned()) } else { env(name) };
    for (code, calls) in [("InvalidParameter", 26), ("NotFound", 2)] {
        let people = mock!(aws_sdk_sns::Client::publish_batch)
            .match_requests(|r| r.topic_arn() != Some(CHAT))
            .then_output(|| PublishBatchOutput::builder().build());
        let chat = mock!(aws_sdk_sns::Client::publish_batch)
            .match_requests(|r| r.topic_arn() == Some(CHAT))
            .then_http_response(move || refusal(code));
        let topic = mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&people, &chat]);
        let (warehouse, submitted) = recording(vec![runs(0..20)]);
        let answer = run_with(&warehouse, &topic, env).await.expect("people were told");
        assert_eq!((&answer["Notified"], &answer["ChatFailed"]), (&json!(20), &json!(20)), "{code}");
        assert_eq!(people.num_calls(), 2, "{code}");
        assert!(chat.num_calls() <= calls, "{code}: {}", chat.num_calls());
        let marks = submitted.lock().expect("lock").iter().filter(|sql| sql.starts_with("UPDATE")).count();
        assert_eq!(marks, 1, "{code}");
        let event = json!({"detail-type": "Step Functions Execution Status Change",
                           "detail": {"executionArn": "x", "status": "ABORTED"}});
        let (known, config) = (known(&topic), Config::from_env(env).expect("valid"));
        let mut context = Context::default();
        context.deadline = u64::MAX / 2;
        let answer = handle(&warehouse, &known, &config, event, &context).await.expect("people were told");
        assert_eq!((answer, people.num_calls()), (json!({"Notified": 1}), 3), "{code}");
    }
}
