//! Several executions at once, dead ones, and functions that are killed.

use super::*;

pub(crate) async fn what_a_stopped_execution_left_running_is_cancelled(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(60)").await?;
    let arn = p.begin(&json!({"Procedures": [{"Procedure": "dev.slow_sp"}]})).await?;
    let id = p.running(&arn).await?;
    p.sfn.stop_execution().execution_arn(&arn).send().await?;
    let described = p.redshift.describe_statement().id(id).wait_time_seconds(30).send().await?;
    assert_eq!(described.status(), Some(&StatusString::Aborted));
    let received = p.received(1).await?;
    assert!(received[0].message.contains(&arn) && received[0].message.contains("ABORTED"), "{received:?}");
    Ok(())
}

/// The second waits before its own time-out counts and before it holds anything: its load has a second, and the
/// first takes three.
pub(crate) async fn executions_queue_before_their_time_counts(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "LOCK dev.orders_final; PERFORM pg_sleep(3)").await?;
    let first = p.begin(&json!({"Procedures": [{"Procedure": "dev.slow_sp"}]})).await?;
    p.running(&first).await?;
    let second = json!({"Procedures": [{"Procedure": "dev.enriched_orders_sp", "TimeoutSeconds": 1}]});
    let second = p.execute(&second).await?;
    assert_eq!(second.status.as_str(), "SUCCEEDED", "{:?} {:?}", second.error, second.cause);
    assert!(second.states.iter().any(|state| state == "WaitForTurn"), "{:?}", second.states);
    assert_eq!(p.end(&first).await?.status.as_str(), "SUCCEEDED");
    assert_eq!(p.final_rows().await?, 10);
    p.received(0).await?;
    Ok(())
}

/// One runs, one waits, a third would only do what the second does. A list of its own is never covered.
pub(crate) async fn one_that_waits_is_enough(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(3)").await?;
    let own = json!({"Procedures": [{"Procedure": "dev.slow_sp"}]});
    let first = p.begin(&own).await?;
    p.running(&first).await?;
    let second = p.begin(&json!({})).await?;
    let waits = async || -> Outcome {
        for _ in 0..200 {
            let events = redshift_local::execution::history(&p.sfn, &second).await?;
            let mut entered = events.iter().filter_map(|e| e.state_entered_event_details());
            if entered.next_back().is_some_and(|state| state.name() == "WaitForTurn") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(failed("the second does not wait"))
    };
    waits().await?;
    let clock =
        json!({"detail-type": "Scheduled Event", "source": "aws.events", "time": "2026-01-01T00:00:00Z", "detail": {}});
    let (third, fourth) = (p.execute(&clock).await?, p.begin(&own).await?);
    assert_eq!(third.status.as_str(), "SUCCEEDED", "{:?}", third.cause);
    assert_eq!((&third.output["Status"], &third.output["CoveredBy"]), (&json!("COVERED"), &json!(second)));
    assert!(third.statements.is_empty());
    for arn in [&first, &second, &fourth] {
        let ended = p.end(arn).await?;
        assert_eq!((ended.status.as_str(), ended.statements.is_empty()), ("SUCCEEDED", false), "{:?}", ended.cause);
    }
    p.received(8).await?;
    Ok(())
}

/// The event that an execution was stopped may never come: the next execution cancels what it left.
pub(crate) async fn the_next_execution_cancels_what_a_dead_one_left(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let dead = p.execute(&json!({"DryRun": true})).await?;
    let name = format!("{}0/1", shared::attempt::execution_prefix(&dead.arn));
    let left = json!({
        "WorkgroupName": redshift_local::stack::WORKGROUP, "Database": p.stack.warehouse.database(),
        "SecretArn": p.stack.secret_arn, "StatementName": name, "Sql": "SELECT pg_sleep(60)",
    });
    let role = p.stack.outputs.get("StatementRoleName");
    let left = as_role(&p.stack, role, "ExecuteStatement", left).await.map_err(|f| failed(f.message))?;
    let left = left["Id"].as_str().unwrap_or_default();
    p.running(&dead.arn).await?;
    let next = p.execute(&json!({})).await?;
    assert_eq!(next.status.as_str(), "SUCCEEDED", "{:?}", next.cause);
    let described = p.redshift.describe_statement().id(left).send().await?;
    assert_eq!(described.status(), Some(&StatusString::Aborted));
    p.received(4).await?;
    Ok(())
}

pub(crate) async fn a_singleton_waits_for_the_other_statement(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.procedure("slow_sp", "PERFORM pg_sleep(60)").await?;
    let payload = |execution: &str| json!({"Procedure": "dev.slow_sp", "Singleton": true, "ExecutionId": execution, "TimeoutSeconds": 1});
    let (first, failed) = p.invoke("ProcRunnerName", &payload("first")).await?;
    assert!(!failed, "{first}");
    let (second, failed) = p.invoke("ProcRunnerName", &payload("second")).await?;
    assert!(failed && second["errorType"] == "AlreadyRunning", "{second}");
    let (own, _) = p.invoke("ProcRunnerName", &payload("first")).await?;
    assert_eq!(own["Id"], first["Id"], "the own attempt's statement is not another");
    p.redshift.cancel_statement().id(first["Id"].as_str().unwrap_or_default()).send().await?;
    Ok(())
}

/// The service has accepted the statement, and the function dies before it can say so: Step Functions
/// repeats the attempt, which finds the statement by its token.
pub(crate) async fn a_killed_proc_runner_runs_the_procedure_once(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    p.stack.warehouse.run("CREATE TABLE dev.calls (n INT)").await?;
    p.procedure("slow_sp", "INSERT INTO dev.calls VALUES (1); PERFORM pg_sleep(2)").await?;
    let arn = p.begin(&json!({"Procedures": [{"Procedure": "dev.slow_sp"}]})).await?;
    p.running(&arn).await?;
    assert!(p.kill_function("ProcRunnerName")? > 0, "proc-runner was in its long poll");
    let ended = p.end(&arn).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?} {:?}", ended.error, ended.cause);
    assert_eq!(p.statements(&arn).await?, finished(&["0/1"]));
    assert_eq!(p.stack.warehouse.number("SELECT COUNT(*) FROM dev.calls").await?, 1);
    Ok(())
}

pub(crate) async fn proc_runner_run_twice_submits_once(p: &Pipeline) -> Outcome {
    p.fresh().await?;
    let payload = json!({"Procedure": "dev.enriched_orders_sp", "ExecutionId": "twice", "Step": 0, "Attempt": 1});
    let (first, _) = p.invoke("ProcRunnerName", &payload).await?;
    let (second, _) = p.invoke("ProcRunnerName", &payload).await?;
    assert_eq!(first["Status"], "FINISHED", "{first}");
    assert_eq!(first["Id"], second["Id"]);
    let (checked, failed) = p.invoke("StatusCheckerName", &first).await?;
    assert!(!failed && checked["Status"] == "FINISHED" && checked["Id"] == first["Id"], "{checked}");
    Ok(())
}
