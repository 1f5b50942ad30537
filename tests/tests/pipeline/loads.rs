//! What runs, and what it comes to.

use super::*;

pub(crate) async fn an_event_runs_the_load_then_the_audit_then_notifies(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let before = p
        .sfn
        .list_executions()
        .state_machine_arn(p.stack.outputs.get("StateMachineArn"))
        .send()
        .await?
        .executions()
        .len();
    announce(&p.stack).await?;
    let ended = p.end(&started(&p.stack, before).await?).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?} {:?}", ended.error, ended.cause);
    assert_eq!(ended.output, json!({"UnresolvedRuns": 4, "Notified": 4}));
    assert_eq!(p.statements(&ended.arn).await?, finished(&["0/1", "1/1"]));
    let names: Vec<_> = ended.statements.iter().map(|s| s["Procedure"].clone()).collect();
    assert_eq!(names, ["dev.enriched_orders_sp", "dev.audit_orders_sp"]);
    assert!(
        !ended.states.contains(&"Wait".to_owned()),
        "what ends in the first long poll costs no loop: {:?}",
        ended.states
    );
    let received = p.received(4).await?;
    assert_eq!(run_ids(&received), ["42", "43", "44", "45"]);
    for message in &received {
        let run = message.attributes["run_id"].as_str().unwrap_or_default();
        assert_eq!(message.subject, "S3 Staging vs Redshift mismatch");
        let first = message.message.lines().next().unwrap_or_default();
        assert_eq!(first, format!("Mismatch between S3 staging and Redshift for the run id {run}"));
        assert_eq!(message.attributes["mismatches"], "1");
    }
    assert_eq!(p.final_rows().await?, 10);
    Ok(())
}

pub(crate) async fn the_event_of_a_statement_reaches_a_rule(p: &Pipeline) -> Outcome {
    let cli = p.stack.cli();
    let queue = cli.call(&["sqs", "create-queue", "--queue-name", "statements"]).await?;
    let queue = queue["QueueUrl"].as_str().ok_or("no queue")?;
    let attributes = ["--queue-url", queue, "--attribute-names", "QueueArn"];
    let arn = cli.call(&[&["sqs", "get-queue-attributes"][..], &attributes].concat()).await?;
    let pattern = json!({"source": ["aws.redshift-data", EVENT_SOURCE], "detail": {"state": ["FINISHED"]}}).to_string();
    cli.call(&["events", "put-rule", "--name", "statements", "--event-pattern", &pattern]).await?;
    let targets = json!([{"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}]).to_string();
    cli.call(&["events", "put-targets", "--rule", "statements", "--targets", &targets]).await?;
    let execute = p.redshift.execute_statement().workgroup_name(WORKGROUP).database(p.stack.warehouse.database());
    let id = execute.sql("SELECT 1").with_event(true).send().await?.id.ok_or("no Id")?;
    let receive = ["sqs", "receive-message", "--queue-url", queue, "--wait-time-seconds", "10"];
    let received = cli.call(&receive).await?;
    let event: Value = serde_json::from_str(received["Messages"][0]["Body"].as_str().ok_or("no message")?)?;
    assert_eq!(event["detail-type"], "Redshift Data Statement Status Change");
    assert_eq!((&event["detail"]["statementId"], &event["detail"]["state"]), (&json!(id), &json!("FINISHED")));
    Ok(())
}

pub(crate) async fn an_empty_input_runs_the_default_list(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let ended = p.execute(&json!({})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    assert_eq!(p.statements(&ended.arn).await?, finished(&["0/1", "1/1"]));
    p.received(4).await?;
    Ok(())
}

pub(crate) async fn the_detail_of_an_event_never_chooses_what_runs(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let input =
        json!({"source": "redshift-loader", "detail": {"Procedures": [{"Procedure": "dev.nope"}], "DryRun": true}});
    let ended = p.execute(&input).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED");
    assert_eq!(p.final_rows().await?, 10);
    p.received(4).await?;
    Ok(())
}

pub(crate) async fn a_list_of_one_procedure_runs_that_one(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let ended = p.execute(&json!({"Procedures": [{"Sql": "call dev.enriched_orders_sp();"}]})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    assert_eq!(p.statements(&ended.arn).await?, finished(&["0/1"]));
    assert_eq!((p.final_rows().await?, ended.output), (10, json!({"UnresolvedRuns": 0, "Notified": 0})));
    p.received(0).await?;
    Ok(())
}

pub(crate) async fn arguments_and_a_provisioned_cluster(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.stack
        .warehouse
        .run(
            "CREATE TABLE dev.calls (run_id BIGINT, reason VARCHAR(99), day DATE);
             CREATE PROCEDURE dev.backfill_sp(run_id BIGINT, reason VARCHAR, day DATE) AS $$
             BEGIN INSERT INTO dev.calls VALUES (run_id, reason, day); END; $$ LANGUAGE plpgsql",
        )
        .await?;
    let call = json!({
        "Procedure": "dev.backfill_sp", "ClusterIdentifier": CLUSTER, "DbUser": "awsuser",
        "Arguments": [{"Name": "run_id", "Value": 42, "Type": "BIGINT"}, {"Name": "reason", "Value": "it's :late"},
                      {"Name": "day", "Value": "2026-01-31", "Type": "DATE"}]
    });
    let ended = p.execute(&json!({"Procedures": [call]})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    let rows = p.stack.warehouse.rows("SELECT run_id, reason, CAST(day AS VARCHAR) FROM dev.calls").await?;
    assert_eq!(rows.len(), 1);
    let row: (i64, String, String) = (rows[0].get(0), rows[0].get(1), rows[0].get(2));
    assert_eq!(row, (42, "it's :late".to_owned(), "2026-01-31".to_owned()));
    Ok(())
}

pub(crate) async fn a_duplicate_event_loads_once(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let machine = p.stack.outputs.get("StateMachineArn");
    let known = async || -> Any<Vec<String>> {
        let list = p.sfn.list_executions().state_machine_arn(machine).send().await?;
        Ok(list.executions().iter().map(|e| e.execution_arn().to_owned()).collect())
    };
    let before = known().await?;
    announce(&p.stack).await?;
    announce(&p.stack).await?;
    started(&p.stack, before.len() + 1).await?;
    let new: Vec<_> = known().await?.into_iter().filter(|arn| !before.contains(arn)).collect();
    assert_eq!(new.len(), 2);
    for arn in new {
        assert_eq!(p.end(&arn).await?.status.as_str(), "SUCCEEDED");
    }
    assert_eq!(p.final_rows().await?, 10);
    assert_eq!(p.stack.warehouse.number("SELECT COUNT(*) FROM dev.orders_audit").await?, 4);
    p.received(8).await?;
    Ok(())
}

pub(crate) async fn a_dry_run_says_what_would_run_and_runs_nothing(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let ended = p.execute(&json!({"DryRun": true})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?}", ended.cause);
    let plan: Vec<_> = ended.output["Statements"].as_array().into_iter().flatten().map(|s| s["Sql"].clone()).collect();
    assert_eq!(plan, ["CALL dev.enriched_orders_sp();", "CALL dev.audit_orders_sp();"]);
    assert!(p.statements(&ended.arn).await?.is_empty());
    let ended = p.execute(&json!({"DryRun": "yes"})).await?;
    assert_eq!((ended.status.as_str(), ended.error.as_deref()), ("FAILED", Some("InvalidInput")));
    assert!(p.statements(&ended.arn).await?.is_empty());
    assert_eq!(p.final_rows().await?, 0);
    p.received(1).await?;
    Ok(())
}

pub(crate) async fn the_audit_function_copes_with_what_the_table_holds(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let (answer, _) = p.invoke("OrdersAuditFnName", &json!("anything")).await?;
    assert_eq!(answer, json!({"UnresolvedRuns": 0, "Notified": 0, "Resolved": 0, "Failed": 0}), "an empty table");
    let many = "INSERT INTO dev.orders_audit (run_id, order_id, kind, status, first_seen_at, last_seen_at) \
                SELECT n / 100, n, 'DIFFERENT', 'NEW', GETDATE(), GETDATE() FROM generate_series(0, 2499) n";
    p.stack.warehouse.run(many).await?;
    let none = "INSERT INTO dev.orders_audit (kind, status, first_seen_at, last_seen_at) VALUES ('DIFFERENT', 'NEW', GETDATE(), GETDATE())";
    p.stack.warehouse.run(none).await?;
    let (answer, _) = p.invoke("OrdersAuditFnName", &json!({"ExecutionId": "x"})).await?;
    assert_eq!(answer["Notified"], 26, "{answer}");
    let received = p.received(26).await?;
    assert!(run_ids(&received).contains(&"NULL"));
    p.stack.warehouse.run("DROP TABLE dev.orders_audit").await?;
    let (answer, failed) = p.invoke("OrdersAuditFnName", &json!({})).await?;
    assert!(failed && answer["errorType"] == "AuditQueryFailed", "{answer}");
    assert!(answer["errorMessage"].as_str().is_some_and(|m| m.contains("does not exist")), "{answer}");
    Ok(())
}
