//! The lines that the functions print.

use super::*;

/// Each line that we print has the ids of what it belongs to, also that of a failure; and none has an argument.
pub(crate) async fn every_line_says_what_it_belongs_to(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "serverless-secret").await?;
    stack.warehouse.reset().await?;
    for (name, body) in [("takes_sp", "NULL"), ("fails_sp", "RAISE EXCEPTION 'not %', secret")] {
        let sql = format!("CREATE PROCEDURE dev.{name}(secret VARCHAR) AS $$ BEGIN {body}; END; $$ LANGUAGE plpgsql");
        stack.warehouse.run(&sql).await?;
    }
    let sfn = aws_sdk_sfn::Client::new(&stack.aws);
    let call = async |procedure: &str, cast: &str| -> Any<Ended> {
        let argument = json!({"Name": "secret", "Value": "hunter2", "Type": cast});
        let input = json!({"Procedures": [{"Procedure": procedure, "Arguments": [argument]}]});
        let arn = start(&sfn, variant.outputs.get("StateMachineArn"), &input).await?;
        Ok(follow(&sfn, &arn, LIMIT, |_| ()).await?)
    };
    let lambda = aws_sdk_lambda::Client::new(&stack.aws);
    let check = async |payload: Value| -> Any<Option<String>> {
        let invoke = lambda.invoke().function_name(variant.outputs.get("StatusCheckerName"));
        let payload = aws_sdk_lambda::primitives::Blob::new(payload.to_string());
        Ok(invoke.payload(payload).send().await?.function_error)
    };

    let gated = variant.execute(stack, json!({})).await?;
    assert_eq!(gated.status.as_str(), "SUCCEEDED", "{:?}", gated.cause);
    assert_eq!(call("dev.takes_sp", "VARCHAR").await?.error, None);
    let ended = call("dev.fails_sp", "VARCHAR").await?;
    let cause = ended.cause.unwrap_or_default();
    assert!(
        cause.contains("not <argument 1>") && !cause.contains("hunter2"),
        "the engine's text, no argument: {cause}"
    );
    assert_eq!(call("dev.takes_sp", "NO_SUCH_TYPE").await?.error.as_deref(), Some("InvalidInput"));
    stack.warehouse.run("ALTER TABLE dev.orders_audit RENAME TO elsewhere").await?;
    assert_eq!(call("dev.takes_sp", "VARCHAR").await?.error.as_deref(), Some("AuditQueryFailed"));
    let seen = gated.statements[0].clone();
    assert_eq!(check(seen.clone()).await?, None);
    let mut unknown = seen.clone();
    unknown["Id"] = json!("00000000-0000-4000-8000-000000000000");
    assert!(check(unknown).await?.is_some());
    let left_running = json!({
        "WorkgroupName": WORKGROUP, "Database": stack.warehouse.database(), "SecretArn": stack.secret_arn,
        "Sql": "SELECT pg_sleep(60), 'hunter2'", "StatementName": format!("{}9/1", execution_prefix(&gated.arn)),
    });
    let role = variant.outputs.get("StatementRoleName");
    as_role(stack, role, "ExecuteStatement", left_running).await.map_err(|f| failed(f.message))?;
    assert_eq!(check(json!({"CancelExecution": gated.arn, "Context": seen["Context"]})).await?, None);
    settle().await;

    let (mut failures, mut again, mut with_run) = (Vec::new(), 0, BTreeSet::new());
    for logs in FUNCTION_LOGS {
        for line in variant.lines(stack, logs).await? {
            assert!(!line.to_string().contains("hunter2"), "{logs}: {line}");
            if line["span"]["name"] == "Lambda runtime invoke" {
                // The runtime's own word on what we have said.
                assert_eq!(line["level"], "ERROR", "{logs}: {line}");
                again += 1;
                continue;
            }
            let id = |field: &str| {
                [&line[field], &line["fields"][field], &line["span"][field]].into_iter().find_map(Value::as_str)
            };
            let failure = line["fields"]["error"].as_str();
            failures.extend(failure.map(str::to_owned));
            assert!(id("execution").is_some(), "{logs}: {line}");
            // A call that was refused never became one, and before a load there is none yet.
            let before_load = ["turn", "gate"].iter().any(|span| line["span"]["name"] == **span);
            let has_none = before_load || failure == Some("InvalidInput");
            assert!(id("statement_id").is_some() || has_none, "{logs}: {line}");
            if id("execution") == Some(&gated.arn) && !before_load {
                let run = (id("workflow_name"), id("workflow_run_id"));
                assert_eq!(run, (Some("new-orders-workflow-nrt"), Some(RUN_ID)), "{logs}: {line}");
                with_run.insert((logs, line["_aws"].is_object(), line["span"]["name"].clone().to_string()));
            }
        }
    }
    failures.sort();
    assert_eq!(failures, ["AuditQueryFailed", "InvalidInput", "StatementNotFound"]);
    assert_eq!(again, failures.len(), "each is logged once by us");
    let spans: BTreeSet<_> = with_run.iter().map(|(.., span)| span.as_str()).collect();
    assert_eq!(spans, BTreeSet::from(["\"check\"", "\"notify\"", "\"submit\"", "\"sweep\"", "null"]));
    assert_eq!(with_run.iter().filter(|(_, metrics, _)| *metrics).count(), 3, "metrics of each function");
    Ok(())
}
