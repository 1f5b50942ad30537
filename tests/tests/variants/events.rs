//! Rules, their targets, and what they deliver.

use super::*;

/// The lines that EventBridge delivers to a topic: it puts the values of the paths into the template and unescapes
/// nothing, so that a line break must be one, and each line is a string with its quotes.
/// [EventBridge user guide, "Tutorial: Use input transformers"; aws-cdk#38121; terraform-provider-aws#43253]
pub(crate) fn delivered(transformer: &Value, event: &Value) -> Any<Vec<String>> {
    let mut text = transformer["InputTemplate"].as_str().unwrap_or_default().to_owned();
    for (name, path) in transformer["InputPathsMap"].as_object().into_iter().flatten() {
        let pointer = path.as_str().unwrap_or_default().replacen('$', "", 1).replace('.', "/");
        let value = event.pointer(&pointer).and_then(Value::as_str).ok_or_else(|| failed(format!("no {path}")))?;
        text = text.replace(&format!("<{name}>"), value);
    }
    for line in text.lines() {
        let string: String = serde_json::from_str(line).map_err(|e| failed(format!("no JSON string: {line}: {e}")))?;
        assert_eq!(format!("\"{string}\""), line, "an escape would be shown as it is");
    }
    Ok(text.lines().map(str::to_owned).collect())
}

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
        Cli::local(&stack.aws_url()).call(&["events", "put-events", "--entries", &entry.to_string()]).await?;
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
    let cli = Cli::local(&stack.aws_url());
    let queue = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", variant.rule("MissedEvents"));
    for rule in ["WorkflowFinished", "Scheduled", "ExecutionDied", "ExecutionStopped"] {
        let target = variant.target(&cli, rule).await?;
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
    let cli = Cli::local(&stack.aws_url());
    let pattern = variant.pattern(&cli, "WorkflowFinished").await?;
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
    let cli = Cli::local(&stack.aws_url());
    let (died, stopped) =
        (variant.pattern(&cli, "ExecutionDied").await?, variant.pattern(&cli, "ExecutionStopped").await?);
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

/// The mail of an execution that did not end can be read: a line is a line, and nothing is escaped.
pub(crate) async fn the_mail_of_an_execution_that_did_not_end_can_be_read(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let target = variant.target(&Cli::local(&stack.aws_url()), "ExecutionStopped").await?;
    let execution = format!("{}:e", variant.outputs.get("StateMachineArn").replace(":stateMachine:", ":execution:"));
    let event = json!({"detail": {"status": "ABORTED", "executionArn": execution}});
    let console = format!("https://console.aws.amazon.com/states/home?region={REGION}#/v2/executions/details/");
    let lines = delivered(&target["InputTransformer"], &event)?;
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "\"The Redshift load did not end by itself. Its execution is ABORTED.\"");
    assert_eq!(lines[2], format!("\"Execution: {execution} \""));
    // The blank keeps the quote out of the link that a mail program makes.
    assert_eq!(lines[3], format!("\"Console: {console}{execution} \""));
    Ok(())
}

/// The rule hands the sweep to the state machine as a list of its own, which queues, and asks neither gate nor EMR.
pub(crate) async fn the_audit_of_everything_runs_by_its_own_schedule(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "workflow-and-step").await?;
    let target = variant.target(&Cli::local(&stack.aws_url()), "FullAudit").await?;
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
