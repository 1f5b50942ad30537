//! Rules, their targets, and what they deliver.

use super::*;

/// The rule takes the last job's success and our own event for the workflow, and nothing else of either; each is
/// known to belong to its own run, between two others.
pub(crate) async fn events_of_the_workflow_start_executions(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let sfn = aws_sdk_sfn::Client::new(&stack.aws);
    let executions = async || -> Any<Vec<String>> {
        let list = sfn.list_executions().state_machine_arn(variant.outputs.get("StateMachineArn")).send().await?;
        Ok(list.executions().iter().map(|e| e.execution_arn().to_owned()).collect())
    };
    let put = async |detail_type: &str, detail: Value| -> Outcome {
        let entry = json!([{"Source": "redshift-loader", "DetailType": detail_type, "Detail": detail.to_string()}]);
        stack.cli().call(&["events", "put-events", "--entries", &entry.to_string()]).await?;
        settle().await;
        Ok(())
    };
    let (job, workflow) = ("Glue Job State Change", "Glue Workflow Completed");
    let before = executions().await?;
    put(job, json!({"jobName": "another-job", "state": "SUCCEEDED"})).await?;
    put(job, json!({"jobName": "new-orders-last-job", "state": "FAILED"})).await?;
    put(workflow, json!({"workflowName": "another-workflow", "workflowRunId": RUN_ID})).await?;
    put(workflow, json!({"workflowName": "new-orders-workflow-nrt"})).await?;
    assert_eq!(executions().await?.len(), before.len(), "what is not the workflow's end starts nothing");
    let glue = GLUE.get().ok_or("no Glue")?;
    let done = json!({"TotalActions": 1, "SucceededActions": 1});
    let run = |id: &str, second| glue::run(id, second, "COMPLETED", &done);
    for (detail_type, detail) in [
        (job, json!({"jobName": "new-orders-last-job", "state": "SUCCEEDED", "jobRunId": format!("jr_{RUN_ID}")})),
        (workflow, json!({"workflowName": WORKFLOW, "workflowRunId": RUN_ID})),
    ] {
        stack.warehouse.reset().await?;
        glue.set(WORKFLOW, vec![run("wr_later", 9), run(RUN_ID, 5), run("wr_earlier", 1)]);
        let known = executions().await?;
        put(detail_type, detail).await?;
        let all = executions().await?;
        let new: Vec<_> = all.iter().filter(|arn| !known.contains(arn)).collect();
        assert_eq!(new.len(), 1, "{detail_type}");
        let ended = follow(&sfn, new[0], LIMIT, |_| ()).await?;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{detail_type}: {:?}", ended.cause);
        let name = ended.statements[0]["StatementName"].as_str().unwrap_or_default();
        assert!(name.ends_with(RUN_ID), "{detail_type}: {name}");
    }
    // A later run fills the staging area: no load starts beside it, and it is told once the bound has passed.
    glue.set(WORKFLOW, vec![run(RUN_ID, 5), glue::run("wr_later", 9, "RUNNING", &json!({}))]);
    let event = json!({"detail-type": workflow, "detail": {"workflowRunId": RUN_ID}});
    let arn = start(&sfn, variant.outputs.get("StateMachineArn"), &event).await?;
    let ended = follow(&sfn, &arn, LIMIT, |_| ()).await?;
    assert_eq!(ended.error.as_deref(), Some("WorkflowNotFinished"), "{:?}", ended.cause);
    assert!(ended.cause.is_some_and(|cause| cause.contains("wr_later")) && ended.statements.is_empty());
    Ok(())
}

/// What cannot be delivered is in the queue, and pages, within an hour and not after a day.
pub(crate) async fn what_cannot_be_delivered_is_given_up_within_an_hour(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "real-time").await?;
    let cli = stack.cli();
    let queue = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", variant.rule("MissedEvents"));
    for rule in ["WorkflowFinished", "Scheduled", "ExecutionDied", "ExecutionStopped"] {
        let target = variant.target(cli, rule).await?;
        let policy = json!({"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 185});
        assert_eq!((&target["RetryPolicy"], &target["DeadLetterConfig"]["Arn"]), (&policy, &json!(queue)), "{rule}");
    }
    let checker = variant.outputs.get("StatusCheckerName");
    let config = ["lambda", "get-function-event-invoke-config", "--function-name", checker, "--qualifier", "$LATEST"];
    let config = cli.call(&config).await?;
    assert_eq!(config["MaximumEventAgeInSeconds"], 3600);
    assert_eq!(config["DestinationConfig"]["OnFailure"]["Destination"], json!(queue));
    Ok(())
}

/// Another account that may put events on the bus starts no load here.
pub(crate) async fn events_of_another_account_start_nothing(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let cli = stack.cli();
    let pattern = variant.pattern(cli, "WorkflowFinished").await?;
    for (account, source, starts) in [
        (ACCOUNT, "redshift-loader", true),
        (ACCOUNT, "aws.glue", true),
        ("999999999999", "redshift-loader", false),
        (ACCOUNT, "somebody", false),
    ] {
        let event = json!({
            "version": "0", "id": "315c1398-40ff-a850-213b-158f73e60175", "source": source, "account": account,
            "time": "2026-01-01T01:00:00Z", "region": REGION, "resources": [],
            "detail-type": "Glue Job State Change", "detail": {"jobName": "new-orders-last-job", "state": "SUCCEEDED"},
        })
        .to_string();
        let test = ["events", "test-event-pattern", "--event-pattern", &pattern, "--event", &event];
        assert_eq!(cli.call(&test).await?["Result"], starts, "{source} of {account}");
    }
    Ok(())
}

/// Ends that the state machine cannot see are swept and, unless already reported, reported.
pub(crate) async fn each_end_of_an_execution_reaches_its_rules(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let cli = stack.cli();
    let (died, stopped) =
        (variant.pattern(cli, "ExecutionDied").await?, variant.pattern(cli, "ExecutionStopped").await?);
    let own = variant.outputs.get("StateMachineArn");
    let another = own.replace("-loader", "-another");
    for (machine, status, error, swept, told) in [
        (own, "ABORTED", None, true, true),
        (own, "TIMED_OUT", None, true, true),
        (own, "FAILED", Some("States.Runtime"), true, true),
        (own, "FAILED", Some("States.DataLimitExceeded"), true, true),
        (own, "FAILED", Some("SerializationConflict"), true, false),
        (own, "RUNNING", None, false, false),
        (own, "SUCCEEDED", None, false, false),
        (&another, "TIMED_OUT", None, false, false),
        (&another, "FAILED", Some("States.Runtime"), false, false),
    ] {
        let execution = format!("{}:e", machine.replace(":stateMachine:", ":execution:"));
        let event = json!({
            "version": "0", "id": "315c1398-40ff-a850-213b-158f73e60175", "source": "aws.states", "account": ACCOUNT,
            "time": "2026-01-01T01:00:00Z", "region": REGION, "resources": [execution],
            "detail-type": "Step Functions Execution Status Change",
            "detail": {"executionArn": execution, "stateMachineArn": machine, "name": "e", "status": status,
                       "startDate": 1, "stopDate": 2, "input": "{}", "output": null, "error": error, "cause": null},
        })
        .to_string();
        for (pattern, reached) in [(&died, swept), (&stopped, told)] {
            let test = ["events", "test-event-pattern", "--event-pattern", pattern, "--event", &event];
            assert_eq!(cli.call(&test).await?["Result"], reached, "{status} {error:?} of {machine}: {pattern}");
        }
    }
    Ok(())
}

/// Mail, JSON and chat: for the runs, for a load that failed, and for one that did not end.
pub(crate) async fn a_chat_is_told_what_people_are_told(stack: &Stack) -> Outcome {
    let mut parameters = parameters_of(stack, "serverless-secret")?;
    parameters.insert("ChatTopic".to_owned(), "true".to_owned());
    parameters.insert("GlueWorkflowName".to_owned(), String::new());
    let variant = Variant::deploy_as(stack, "chatting", parameters).await?;
    let (people, chat) = (variant.outputs.get("TopicArn"), variant.outputs.get("ChatTopicArn"));
    let inbox = Inbox::subscribe(&stack.aws, people).await?;
    let in_chat = Inbox::subscribe_as("chat", &stack.aws, chat).await?;
    let received = async |expected: usize| -> Any<(Vec<Received>, Vec<Received>)> {
        settle().await;
        let people = variant.told(&inbox, expected / 2).await?;
        let chat = variant.told(&in_chat, expected / 2).await?;
        assert!(chat.iter().all(|message| message.payload["source"] == "custom"), "{chat:?}");
        assert_eq!((people.len(), chat.len()), (expected / 2, expected / 2), "{people:?} {chat:?}");
        Ok((people, chat))
    };
    let event = |message: &Received| (message.attributes["event"].clone(), message.attributes["severity"].clone());
    stack.warehouse.reset().await?;
    let ended = variant.execute(stack, json!({"TotalActions": 2, "SucceededActions": 2})).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?} {:?}", ended.error, ended.cause);
    let (runs, in_chat) = received(8).await?;
    let threads: BTreeSet<_> = in_chat.iter().map(|m| m.payload["metadata"]["threadId"].to_string()).collect();
    assert_eq!(threads.len(), 4, "{in_chat:?}");
    assert!(runs.iter().chain(&in_chat).all(|m| m.attributes["event"] == "mismatch"));
    assert!(runs.iter().all(|m| m.message.contains("loader show 4") && m.message.contains(&ended.arn)), "{runs:?}");

    let sfn = aws_sdk_sfn::Client::new(&stack.aws);
    let list = json!({"Procedures": [{"Procedure": "dev.nobody_has_it_sp"}]});
    let arn = start(&sfn, variant.outputs.get("StateMachineArn"), &list).await?;
    let ended = follow(&sfn, &arn, LIMIT, |_| ()).await?;
    assert_eq!(ended.error.as_deref(), Some("ObjectNotFound"), "{:?}", ended.cause);
    let (failure, in_chat) = received(2).await?;
    // MiniStack drops the attributes of what a state publishes: `contract` holds them.
    assert_eq!(failure[0].payload["type"], "load_failed");
    assert_eq!(failure[0].payload["procedure"], "dev.nobody_has_it_sp");
    let says = |text: &str| failure[0].message.contains(text);
    assert!(
        says("What to do: `make install` makes what is missing") && says("Dashboard:  https://console"),
        "{failure:?}"
    );
    assert!(in_chat[0].payload["content"]["title"] == ":x: Redshift load failed: ObjectNotFound", "{in_chat:?}");

    let cli = stack.cli();
    let target = variant.target(cli, "ExecutionStopped").await?;
    let ended = json!({"source": "aws.states", "detail-type": "Step Functions Execution Status Change",
                       "detail": {"executionArn": arn, "status": "ABORTED", "error": null}});
    let invoke = ["lambda", "invoke", "--function-name", target["Arn"].as_str().unwrap_or_default(), "--payload"];
    let ended = ended.to_string();
    let answer = cli.call(&[&invoke[..], &[ended.as_str(), "/dev/null"]].concat()).await?;
    assert!(answer["FunctionError"].is_null(), "{answer}");
    let (end, in_chat) = received(2).await?;
    assert_eq!((event(&end[0]), event(&in_chat[0])).0, (json!("load_not_ended"), json!("error")));
    assert!(
        end[0].message.starts_with("The Redshift load did not end by itself. Its execution is ABORTED.\n"),
        "{end:?}"
    );
    assert_eq!(end[0].payload["links"]["execution"], failure[0].payload["links"]["execution"]);
    Ok(())
}

/// The rule hands the sweep to the state machine as a list of its own, which queues, and asks neither gate nor EMR.
pub(crate) async fn the_audit_of_everything_runs_by_its_own_schedule(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "workflow-and-step").await?;
    let target = variant.target(stack.cli(), "FullAudit").await?;
    let input: Value = serde_json::from_str(target["Input"].as_str().ok_or("no input")?)?;
    assert_eq!(input, json!({"Procedures": [{"Procedure": "dev.audit_orders_sweep_sp"}]}));
    stack.warehouse.reset().await?;
    let sfn = aws_sdk_sfn::Client::new(&stack.aws);
    let arn = start(&sfn, variant.outputs.get("StateMachineArn"), &input).await?;
    let ended = follow(&sfn, &arn, LIMIT, |_| ()).await?;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?} {:?}", ended.error, ended.cause);
    assert_eq!(ended.statements.len(), 1);
    Ok(())
}
