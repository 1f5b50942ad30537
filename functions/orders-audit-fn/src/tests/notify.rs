use super::*;

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
        [("TOPIC_ARN", ""), ("TOPIC_ARN", "topic"), ("AUDIT_TABLES", "a; DROP TABLE x"), ("DATABASE", "")]
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
async fn marks_are_few_and_each_is_of_more_runs() {
    let (warehouse, submitted) = recording(vec![runs(1..10_001)]);
    run(&warehouse, &topic(&Sent::default(), |_, _| None)).await.expect("sent");
    let submitted = submitted.lock().expect("lock").clone();
    let marks: Vec<_> = submitted.iter().filter(|sql| sql.starts_with("UPDATE")).collect();
    let runs: Vec<_> =
        marks.iter().map(|sql| sql.split_once(" IN ").expect("runs").1.matches('\'').count() / 2).collect();
    assert_eq!(runs, [500, 1000, 2000, 4000, 2500]);
    assert!(marks.iter().all(|sql| sql.len() < 100_000));
}

/// A retry goes on where it stopped.
#[tokio::test]
async fn at_the_deadline_what_was_sent_is_marked_and_the_rest_is_not_read() {
    let pages = [runs(1..501), runs(501..1_001), runs(1_001..1_501)];
    let (warehouse, submitted) = recording(vec![pages.concat()]);
    let sent = Sent::default();
    let slow = topic(&sent, |_, _| {
        std::thread::sleep(Duration::from_millis(1));
        None
    });
    let end = SystemTime::now() + MARGIN + Duration::from_millis(100);
    let error = run_until(&warehouse, &slow, end, env).await.expect_err("out of time");
    assert_eq!(error.name(), "NotificationsIncomplete");
    assert!(error.to_string().contains("out of time with more runs to come"), "{error}");
    let sent = sent.lock().expect("lock").len();
    let submitted = submitted.lock().expect("lock").clone();
    let marked: usize =
        submitted[1..].iter().map(|sql| sql.split_once(" IN ").expect("runs").1.matches('\'').count() / 2).sum();
    assert!(sent < 1_500 && marked == sent, "{sent} sent, {marked} marked");
}

/// Otherwise Step Functions would try again, and what was sent would be sent again.
#[tokio::test]
async fn at_the_deadline_what_no_retry_can_cure_stays_what_it_is() {
    use aws_sdk_redshiftdata::Client;
    let ended =
        |status: StatementStatusString| move || ExecuteStatementOutput::builder().id(ID).status(status.clone()).build();
    let is_mark = |sql: Option<&str>| sql.is_some_and(|sql| sql.starts_with("UPDATE"));
    let time_left = SystemTime::now() + Duration::from_secs(3);
    // The first mark takes all the time that is left.
    let mark = mock!(Client::execute_statement)
        .match_requests(move |r| {
            let is_mark = is_mark(r.sql());
            if is_mark {
                std::thread::sleep(time_left.duration_since(SystemTime::now()).unwrap_or_default());
            }
            is_mark
        })
        .then_output(ended(StatementStatusString::Failed));
    let query = mock!(Client::execute_statement)
        .match_requests(move |r| !is_mark(r.sql()))
        .then_output(ended(StatementStatusString::Finished));
    let why = mock!(Client::describe_statement).then_output(|| {
        let failed = DescribeStatementOutput::builder().id(ID).status(StatusString::Failed);
        failed.error("ERROR: permission denied for relation orders_audit").build().expect("complete")
    });
    let rows = mock!(Client::get_statement_result).then_output(|| {
        GetStatementResultOutput::builder().set_records(Some(runs(1..1_501))).build().expect("complete")
    });
    let warehouse = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&mark, &query, &why, &rows]);
    let topic = topic(&Sent::default(), |_, _| None);
    let error = run_until(&warehouse, &topic, time_left + MARGIN, env).await.expect_err("no mark");
    assert_eq!(error.name(), "AuditQueryFailed", "{error}");
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

#[tokio::test]
async fn a_run_that_is_clean_again_is_said_once() {
    let (warehouse, submitted) = recording(vec![vec![], vec![row(Some(9), "RESOLVED", 2)]]);
    let sent = Sent::default();
    let answer =
        run_with(&warehouse, &topic(&sent, |_, _| None), with("NOTIFY_RESOLVED", "true")).await.expect("notified");
    assert_eq!((&answer["Resolved"], sent.lock().expect("lock").len()), (&json!(1), 1));
    assert!(submitted.lock().expect("lock")[2].contains("SET closed_by = :execution"));
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
