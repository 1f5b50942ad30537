//! What is refused, and what fails.

use super::*;

/// Whatever comes close to an input, or is none at all, loads nothing.
pub(crate) async fn what_is_no_input_is_refused(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    for input in [
        json!({"Procedures": []}),
        json!({"Procedures": "dev.p"}),
        json!({"Procedures": {"a": 1}}),
        json!({"dryRun": true}),
        json!({"DryRun": null}),
        json!({"procedures": [{"Procedure": "dev.nope"}]}),
        json!({"Unknown": 1}),
        json!([{"Procedure": "dev.nope"}]),
        json!("abc"),
        json!(7),
        json!(null),
    ] {
        let ended = p.execute(&input).await?;
        assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("InvalidInput")), "{input}");
        assert!(p.statements(&ended.arn).await?.is_empty());
        let received = p.received(1).await?;
        assert_eq!(received[0].subject, "Redshift load failed");
        assert!(received[0].message.contains("Nothing was run"), "{}", received[0].message);
    }
    assert_eq!(p.final_rows().await?, 0);
    Ok(())
}

pub(crate) async fn a_malformed_call_fails_by_name_and_runs_nothing(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    for call in [json!(1), json!({}), json!({"Sql": "DROP TABLE dev.orders"}), json!({"Procedure": "dev.p", "Typo": 1})]
    {
        // The first of the list would run.
        let ended = p.execute(&json!({"Procedures": [{"Procedure": "dev.enriched_orders_sp"}, call]})).await?;
        assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("InvalidInput")), "{call}");
        assert!(p.statements(&ended.arn).await?.is_empty());
        p.received(1).await?;
    }
    Ok(())
}

pub(crate) async fn a_failing_load_is_reported_and_not_audited(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("enriched_orders_sp", "PERFORM 1 / 0").await?;
    let ended = p.execute(&json!({})).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("StatementFailed")));
    assert!(ended.cause.as_ref().is_some_and(|c| c.contains("division by zero")), "{:?}", ended.cause);
    assert_eq!(p.statements(&ended.arn).await?, [("0/1".to_owned(), StatusString::Failed)], "no audit run, no retry");
    let received = p.received(1).await?;
    let (subject, text) = (&received[0].subject, &received[0].message);
    assert_eq!(subject, "Redshift load failed");
    let id = ended.statements[0]["Id"].as_str().unwrap_or_default();
    for part in
        ["StatementFailed", "division by zero", "dev.enriched_orders_sp", id, "console.aws.amazon.com", &ended.arn]
    {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    Ok(())
}

pub(crate) async fn an_aborted_statement_ends_the_execution(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(60)").await?;
    let arn = p.begin(&json!({"Procedures": [{"Procedure": "dev.slow_sp"}]})).await?;
    let id = p.running(&arn).await?;
    p.redshift.cancel_statement().id(id).send().await?;
    let ended = p.end(&arn).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("AbortedByUser")), "{:?}", ended.cause);
    assert_eq!(
        p.statements(&arn).await?,
        [("0/1".to_owned(), StatusString::Aborted)],
        "an abort by a person is not retried"
    );
    p.received(1).await?;
    Ok(())
}

pub(crate) async fn a_serialization_conflict_is_tried_again_with_a_new_token(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    // A sequence keeps its value when the transaction is rolled back.
    p.stack.warehouse.run("CREATE SEQUENCE dev.tries").await?;
    let conflict = "IF nextval('dev.tries') < 3 THEN RAISE EXCEPTION USING ERRCODE = '40001', \
                    MESSAGE = 'could not serialize access due to concurrent update'; END IF";
    p.procedure("conflicting_sp", conflict).await?;
    let ended = p.execute(&json!({"Procedures": [{"Procedure": "dev.conflicting_sp"}]})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    let statements = p.statements(&ended.arn).await?;
    let names: Vec<_> = statements.iter().map(|(name, status)| format!("{name} {status}")).collect();
    assert_eq!(names, ["0/1 FAILED", "0/2 FAILED", "0/3 FINISHED"]);
    p.stack.warehouse.run("ALTER SEQUENCE dev.tries RESTART").await?;
    let ended = p.execute(&json!({"Procedures": [{"Procedure": "dev.conflicting_sp", "MaxAttempts": 2}]})).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("SerializationConflict")));
    assert_eq!(p.statements(&ended.arn).await?.len(), 2);
    p.received(1).await?;
    Ok(())
}

pub(crate) async fn past_its_time_a_statement_is_cancelled(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(60)").await?;
    let ended = p.execute(&json!({"Procedures": [{"Procedure": "dev.slow_sp", "TimeoutSeconds": 1}]})).await?;
    assert_eq!(
        (ended.status.as_str(), ended.error.as_deref()),
        ("FAILED", Some("StatementTimedOut")),
        "{:?}",
        ended.cause
    );
    assert_eq!(p.statements(&ended.arn).await?, [("0/1".to_owned(), StatusString::Aborted)]);
    p.received(1).await?;
    Ok(())
}

/// The roll-back outlasts the grace: the execution ends and says so, and the cancel is still under way.
pub(crate) async fn a_cancel_that_is_not_confirmed_ends_the_execution(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let fault = |kind| Fault::new(kind).of("/0/1");
    p.stack.data_api.service.faults().set(vec![fault(FaultKind::NeverEnds), fault(FaultKind::SlowCancel(9.0))]);
    let ended =
        p.execute(&json!({"Procedures": [{"Procedure": "dev.enriched_orders_sp", "TimeoutSeconds": 1}]})).await?;
    assert_eq!(
        (ended.status.as_str(), ended.error.as_deref()),
        ("FAILED", Some("CancelNotConfirmed")),
        "{:?}",
        ended.cause
    );
    let id = ended.statements[0]["Id"].as_str().unwrap_or_default();
    assert!(ended.cause.is_some_and(|c| c.contains(id)));
    let described = p.redshift.describe_statement().id(id).wait_time_seconds(30).send().await?;
    assert_eq!(described.status(), Some(&StatusString::Aborted));
    p.received(1).await?;
    Ok(())
}

pub(crate) async fn a_failed_execution_is_run_again_after_each_step(p: &Pipeline) -> Outcome {
    let function = p.stack.outputs.get("OrdersAuditFnName");
    let set_topic = async |arn: &str| -> Outcome {
        let now = p.lambda.get_function_configuration().function_name(function).send().await?;
        let mut variables = now.environment().and_then(|e| e.variables().cloned()).ok_or("no environment")?;
        variables.insert("TOPIC_ARN".into(), arn.to_owned());
        let environment = aws_sdk_lambda::types::Environment::builder().set_variables(Some(variables)).build();
        p.lambda.update_function_configuration().function_name(function).environment(environment).send().await?;
        Ok(())
    };
    for step in ["load", "audit", "notify"] {
        p.fresh().await?;
        match step {
            "load" => p.stack.warehouse.run("ALTER TABLE dev.orders_final RENAME TO hidden").await?,
            "audit" => p.stack.warehouse.run("ALTER TABLE dev.orders_audit RENAME TO hidden").await?,
            _ => set_topic("arn:aws:sns:eu-west-1:000000000000:no-such-topic").await?,
        }
        let ended = p.execute(&json!({})).await?;
        assert_eq!(ended.status.as_str(), "FAILED", "{step}");
        match step {
            "load" => p.stack.warehouse.run("ALTER TABLE dev.hidden RENAME TO orders_final").await?,
            "audit" => p.stack.warehouse.run("ALTER TABLE dev.hidden RENAME TO orders_audit").await?,
            _ => set_topic(p.stack.outputs.get("TopicArn")).await?,
        }
        let again = p.end(&again(&ended.arn, &p.stack.environment()).await?).await?;
        assert_eq!(again.status.as_str(), "SUCCEEDED", "{step}: {:?}", again.cause);
        assert_eq!(p.final_rows().await?, 10, "{step}");
        assert_eq!(p.stack.warehouse.unresolved_runs().await?, [42, 43, 44, 45], "{step}");
        p.received(5).await?;
        let refused = loader::rerun::again(&again.arn, &p.stack.environment()).await.expect_err("succeeded");
        assert!(refused.to_string().contains("nothing to run again"));
    }
    Ok(())
}

pub(crate) async fn bad_input_fails_each_function_by_name(p: &Pipeline) -> Outcome {
    let unknown = "11111111-2222-3333-4444-555555555555";
    for (function, payload, name) in [
        ("ProcRunnerName", json!(null), "InvalidInput"),
        (
            "ProcRunnerName",
            json!({"Procedure": "dev.p", "WorkgroupName": "w", "ClusterIdentifier": "c"}),
            "InvalidInput",
        ),
        ("ProcRunnerName", json!({"Sql": "SELECT 1"}), "InvalidInput"),
        ("ProcRunnerName", json!({"Procedure": "dev.p", "WorkgroupName": "no-such"}), "RequestRefused"),
        ("StatusCheckerName", json!({}), "InvalidInput"),
        ("StatusCheckerName", json!({"Id": "nope", "TimeoutSeconds": 9}), "InvalidInput"),
        ("StatusCheckerName", json!({"Id": unknown, "TimeoutSeconds": 9}), "StatementNotFound"),
    ] {
        let (answer, failed) = p.invoke(function, &payload).await?;
        assert!(failed && answer["errorType"] == name, "{function} {payload}: {answer}");
    }
    Ok(())
}

/// Its role is for the stack's own topic.
pub(crate) async fn another_topic_is_refused(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let input = json!({"Procedures": [{"Procedure": "dev.enriched_orders_sp"}, {"Procedure": "dev.audit_orders_sp"}]});
    let function = p.stack.outputs.get("OrdersAuditFnName");
    let before = p.lambda.get_function_configuration().function_name(function).send().await?;
    let good = before.environment().and_then(|e| e.variables().cloned()).ok_or("no environment")?;
    let mut bad = good.clone();
    bad.insert("TOPIC_ARN".into(), "arn:aws:sns:eu-west-1:000000000000:another-topic".into());
    let set = async |variables| {
        let environment = aws_sdk_lambda::types::Environment::builder().set_variables(Some(variables)).build();
        p.lambda.update_function_configuration().function_name(function).environment(environment).send().await
    };
    set(bad).await?;
    let ended = p.execute(&input).await;
    set(good).await?;
    let ended = ended?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("AccessDenied")), "{:?}", ended.cause);
    p.received(1).await?;
    Ok(())
}

/// The last: nobody hears of anything after it.
pub(crate) async fn a_topic_that_does_not_exist_is_named(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let topic = p.stack.outputs.get("TopicArn");
    aws_sdk_sns::Client::new(&p.stack.aws).delete_topic().topic_arn(topic).send().await?;
    let ended = p.execute(&json!({})).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("TopicNotFound")), "{:?}", ended.cause);
    Ok(())
}
