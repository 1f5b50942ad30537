use super::*;

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
