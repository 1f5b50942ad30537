//! Parameters, names and tags of a stack, and a change to it.

use super::*;

impl Variant {
    /// What was deployed can be read by AWS, has names that AWS takes, and holds the parameters as they were written.
    pub(crate) async fn is_whole(&self, stack: &Stack) -> Outcome {
        let cli = stack.cli();
        let machine = self.outputs.get("StateMachineArn");
        let machine = cli.call(&["stepfunctions", "describe-state-machine", "--state-machine-arn", machine]).await?;
        let definition: Value = serde_json::from_str(&text(&machine, "definition"))?;
        assert!(definition["States"].is_object());
        self.dashboard(stack, &BTreeMap::new()).await?;
        let pattern: Value = serde_json::from_str(&self.pattern(cli, "WorkflowFinished").await?)?;
        let named = [&pattern["detail"]["$or"][0]["jobName"][0], &pattern["detail"]["$or"][1]["workflowName"][0]];
        assert_eq!(named, [self.parameter("GlueJobName"), self.parameter("GlueWorkflowName")]);
        let target = self.target(cli, "ExecutionStopped").await?;
        assert_eq!(
            target["Arn"].as_str().and_then(|arn| arn.rsplit(':').next()),
            Some(self.outputs.get("OrdersAuditFnName"))
        );
        let alarms = self.described_alarms(stack).await?;
        let of =
            |name: &str| alarms["NoLoadAlarm"]["Dimensions"].as_array()?.iter().find(|d| d["Name"] == name).cloned();
        if self.has("Procedures") {
            let load = self.parameter("Procedures").split(',').next();
            assert_eq!(of("Procedure").map(|d| text(&d, "Value")).as_deref(), load);
        }
        let lambda = aws_sdk_lambda::Client::new(&stack.aws);
        let function = lambda.get_function_configuration().function_name(self.outputs.get("OrdersAuditFnName"));
        let environment = function.send().await?.environment.and_then(|e| e.variables).unwrap_or_default();
        for (parameter, variable) in [
            ("Database", "DATABASE"),
            ("AuditTables", "AUDIT_TABLES"),
            ("AuditKeyColumn", "AUDIT_KEY_COLUMN"),
            ("AuditTimeColumn", "AUDIT_TIME_COLUMN"),
            ("NotificationSubject", "NOTIFICATION_SUBJECT"),
            ("NotificationTitle", "NOTIFICATION_TITLE"),
            ("NotificationWords", "NOTIFICATION_WORDS"),
        ] {
            let value = environment.get(variable).map_or("", String::as_str);
            assert!(!self.has(parameter) || value == self.parameter(parameter), "{parameter}: {value}");
        }
        // [EventBridge, Step Functions, Lambda, IAM, SQS and CloudWatch API references]
        for (kind, longest, ids) in [
            ("rule", 64, vec!["WorkflowFinished", "Scheduled", "ExecutionDied", "ExecutionStopped"]),
            ("state machine", 80, vec!["Loader"]),
            ("function", 64, vec!["ProcRunner", "StatusChecker", "OrdersAuditFn"]),
            ("role", 64, vec!["StatementRole", "AuditRole", "LoaderRole", "StartRole"]),
            ("queue", 80, vec!["MissedEvents"]),
            ("dashboard", 255, vec!["Dashboard"]),
        ] {
            for id in ids {
                let name = self.resources[id].rsplit(['/', ':']).next().unwrap_or_default();
                assert!(name.len() <= longest, "the name of a {kind} ends at {longest} characters: {name}");
            }
        }
        self.is_trusted(stack).await
    }
}

/// The parameters of an example.
pub(crate) fn parameters_of(stack: &Stack, example: &str) -> Any<HashMap<String, String>> {
    let file = std::fs::read_to_string(project("infra/parameters").join(format!("{example}.txt")))?;
    let lines = file.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let mut parameters = HashMap::new();
    for line in lines {
        let (key, value) = line.split_once('=').ok_or_else(|| failed(format!("{example}: {line}")))?;
        // What exists here in place of the example's names.
        let value = match key {
            "WorkgroupName" => WORKGROUP,
            "ClusterIdentifier" => CLUSTER,
            "Database" => stack.warehouse.database(),
            "SecretArn" => &stack.secret_arn,
            _ => value,
        };
        parameters.insert(key.to_owned(), value.to_owned());
    }
    Ok(parameters)
}

/// What was found, and who was told, is in the warehouse: a change to the stack, and its end, leave it.
/// What there was to measure is in the logs.
pub(crate) async fn a_change_to_the_stack_keeps_the_audit(stack: &Stack) -> Outcome {
    let name = "serverless-secret";
    let variant = Variant::deploy(stack, name).await?;
    variant.runs(stack).await?;
    let runner = variant.metrics(stack, "ProcRunnerLogs").await?;
    let load = |name| variant.metric_of(name, "dev.enriched_orders_sp");
    assert!(runner[&load("LoadSeconds")].is_f64() && runner[&load("Attempts")] == 1.0, "{runner:?}");
    let audit = variant.metrics(stack, "OrdersAuditFnLogs").await?;
    for (name, value) in [("UnresolvedRuns", 4.0), ("AuditMismatches", 4.0), ("Notifications", 4.0)] {
        assert_eq!(audit[&variant.metric(name)], value, "{audit:?}");
    }
    let hours = async || -> Any<f64> {
        let audit = variant.metrics(stack, "OrdersAuditFnLogs").await?;
        audit[&variant.metric("UnresolvedHours")].as_f64().ok_or_else(|| failed("no hours"))
    };
    assert!((0.0..1.0).contains(&hours().await?), "they have just been seen");
    let a_day_ago = "UPDATE dev.orders_audit SET first_seen_at = first_seen_at - INTERVAL '30 hours' WHERE run_id = 42";
    stack.warehouse.run(a_day_ago).await?;
    let marked =
        async || stack.warehouse.number("SELECT COUNT(*) FROM dev.orders_audit WHERE status = 'NOTIFIED'").await;
    assert_eq!(marked().await?, 4);
    let change = ["RemindAfterHours=24".to_owned(), "LogLevel=DEBUG".to_owned()];
    deploy(stack.cli(), stack.dir.path(), name, &change).await?;
    let ended = variant.execute(stack, json!({})).await?;
    assert_eq!(ended.output, json!({"UnresolvedRuns": 4, "Notified": 0}), "nobody is told again");
    assert!((30.0..31.0).contains(&hours().await?), "the oldest counts, to the hour and not in seconds");
    let cli = stack.cli();
    cli.call(&["cloudformation", "delete-stack", "--stack-name", name]).await?;
    cli.call(&["cloudformation", "wait", "stack-delete-complete", "--stack-name", name]).await?;
    assert_eq!(marked().await?, 4);
    Ok(())
}

/// Every text parameter, with each character that means something in JSON, a policy, a shell or a template: either its
/// own AllowedPattern refuses it, or what is deployed with all that it takes is whole and holds it as it was written.
/// Under the longest name that a stack may have, which must not make a name of something else too long.
pub(crate) async fn what_a_parameter_holds_breaks_nothing(stack: &Stack) -> Outcome {
    let name = format!("a{}-z", "-name".repeat(13)) + "-long";
    assert_eq!(name.len(), 73);
    let mut base = parameters_of(stack, "workflow-and-step")?;
    base.insert("ScheduleExpression".to_owned(), "rate(15 minutes)".to_owned());
    base.insert("NoLoadAlarmHours".to_owned(), "26".to_owned());
    let template = stack.dir.path().join("packaged.yaml");
    let tries = async |tried: &[(&String, &String)]| {
        let request = json!({"template": template, "stack": "tried", "parameters": base, "tried": tried});
        ask(stack, "parameters.py", &request).await
    };
    let all = tries(&[]).await?;
    let all: Vec<_> = all["text"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(all.len() >= 20 && all.contains(&"GlueWorkflowName"), "{all:?}");
    // In an identifier as SQL has it, and in the midst of any other value.
    let with = |parameter: &str, character: &str| {
        let quoted = character.replace('"', "\"\"");
        match parameter {
            "Procedures" => format!("dev.\"a{quoted}z\",dev.\"b{quoted}z\""),
            "AuditTables" => format!("dev.\"a{quoted}z\":\"b{quoted}z\",dev.c"),
            "NotificationWords" => format!("{{{character}}}"),
            "AuditKeyColumn" | "AuditTimeColumn" => format!("\"a{quoted}z\""),
            _ => {
                let value = base.get(parameter).map_or("az", String::as_str);
                let (head, tail) = value.split_at(value.len() / 2);
                format!("{head}{character}{tail}")
            }
        }
    };
    let anything = ["NotificationTitle", "NotificationWords"].as_slice();
    let not_lines = ["AuditTables", "AuditKeyColumn", "AuditTimeColumn"].as_slice();
    let named = ["GlueWorkflowName", "GlueJobName", "Database", "NotificationSubject"].as_slice();
    let procedures = ["Procedures"].as_slice();
    let arguments = ["EmrStepArguments"].as_slice();
    let expected = [
        ("\"", [anything, not_lines, named, procedures].concat()),
        ("\\", [anything, not_lines, named, procedures].concat()),
        ("'", [anything, not_lines, named, procedures].concat()),
        ("${x}", [anything, not_lines, &["NotificationSubject"], procedures, arguments].concat()),
        ("\n", [anything, not_lines].concat()),
        ("\u{e4}", [anything, not_lines, named, arguments].concat()),
        ("\u{65e5}", [anything, not_lines, &named[3..], arguments].concat()),
    ];
    let tried: Vec<_> = expected
        .iter()
        .flat_map(|(character, _)| all.iter().map(|parameter| (*parameter, *character)))
        .map(|(parameter, character)| (parameter.to_owned(), with(parameter, character), character))
        .collect();
    let said = tries(&tried.iter().map(|(parameter, value, _)| (parameter, value)).collect::<Vec<_>>()).await?;
    let mut taken: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for ((parameter, value, character), refusal) in tried.iter().zip(said["refused"].as_array().into_iter().flatten()) {
        match refusal.as_str() {
            None => _ = taken.entry(character).or_default().insert(parameter),
            Some(text) => {
                let by_pattern = text.contains(&format!("Parameter '{parameter}' "));
                assert!(by_pattern, "{parameter}={value} is refused, but not for itself: {text}");
            }
        }
    }
    let mut values = base.clone();
    for (character, parameters) in &expected {
        assert_eq!(taken[character], parameters.iter().copied().collect(), "{character:?}");
    }
    for parameter in &all {
        let characters: String = taken.iter().filter(|(_, by)| by.contains(parameter)).map(|(c, _)| *c).collect();
        if !characters.is_empty() {
            values.insert((*parameter).to_owned(), with(parameter, &characters));
        }
    }
    Variant::deploy_as(stack, &name, values).await?.is_whole(stack).await
}

/// `make validate-aws`: what it creates it deletes, whether the stack exists or not, and it says why it cannot.
pub(crate) async fn a_check_by_aws_leaves_nothing_behind(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let cli = stack.cli();
    let template = stack.dir.path().join("packaged.yaml");
    let check = async |name: &str, parameters: &Path, signed_in: bool| -> Any<(Option<i32>, String)> {
        let mut python = Command::new(tools::python_tool("python")?);
        python.arg(project("infra/lint/validate_aws.py")).current_dir(project("")).env_clear();
        python
            .args(["--stack", name, "--bucket", "artifacts"])
            .arg("--template")
            .arg(&template)
            .arg("--parameters")
            .arg(parameters);
        python.env("AWS_DEFAULT_REGION", REGION).env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
        if signed_in {
            python.envs(stack.environment());
        }
        let output = python.output().await?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Ok((output.status.code(), said.into_owned()))
    };
    let stacks = async || -> Any<BTreeSet<String>> {
        let described = cli.call(&["cloudformation", "describe-stacks"]).await?;
        let stacks = described["Stacks"].as_array().into_iter().flatten();
        Ok(stacks.map(|s| format!("{} {}", s["StackName"], s["StackStatus"])).collect())
    };
    let change_sets = async || -> Any<Value> {
        let list = ["cloudformation", "list-change-sets", "--stack-name", &variant.name];
        Ok(cli.call(&list).await?["Summaries"].clone())
    };
    let examples = project("infra/parameters");
    let (before, sets) = (stacks().await?, change_sets().await?);
    let (code, said) = check("not-there", &examples.join("real-time.txt"), true).await?;
    assert!(code == Some(0) && said.contains("Add ") && said.contains(" Loader"), "{code:?} {said}");
    let (code, said) = check(&variant.name, &examples.join("cluster-user.txt"), true).await?;
    assert!(code == Some(0) && said.contains("Modify ") && !said.contains("Add "), "{code:?} {said}");
    let wrong = stack.dir.path().join("wrong.txt");
    std::fs::write(&wrong, "Database=d\nClusterIdentifier=no such cluster\nGlueJobName=j\n")?;
    let (code, said) = check("not-there", &wrong, true).await?;
    assert!(code == Some(1) && said.contains("ClusterIdentifier"), "{code:?} {said}");
    let (code, said) = check("not-there", &wrong, false).await?;
    assert!(code == Some(2) && said.contains("AWS credentials"), "{code:?} {said}");
    let others = |all: BTreeSet<String>| all.into_iter().filter(|s| s.contains("not-there")).collect::<Vec<_>>();
    assert_eq!(others(stacks().await?), others(before));
    assert_eq!(change_sets().await?, sets);
    Ok(())
}

/// A state machine is called `<stack>-loader`, and its name ends at 80 characters.
pub(crate) async fn a_stack_with_too_long_a_name_is_refused_before_anything_is_built(_: &Stack) -> Outcome {
    let make = async |length: usize| -> Any<(bool, String)> {
        let mut make = Command::new("make");
        make.current_dir(project("")).args(["what-to-deploy", "BUCKET=b"]).arg(format!("STACK={}", "s".repeat(length)));
        make.arg("PARAMETERS=infra/parameters/real-time.txt").env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
        let output = make.output().await?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    assert_eq!(make(73).await?, (true, String::new()));
    let (taken, said) = make(74).await?;
    assert!(!taken && said.contains("73 characters"), "{said}");
    Ok(())
}

/// Whoever pays sees for what.
pub(crate) async fn what_is_deployed_is_tagged(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let cli = stack.cli();
    let described = cli.call(&["cloudformation", "describe-stacks", "--stack-name", &variant.name]).await?;
    let tag = json!([{"Key": "Application", "Value": "redshift-loader"}]);
    assert_eq!(described["Stacks"][0]["Tags"], tag);
    let queue = ["sqs", "list-queue-tags", "--queue-url", variant.outputs.get("MissedEventsUrl")];
    assert_eq!(cli.call(&queue).await?["Tags"]["Application"], "redshift-loader");
    let topic = ["sns", "list-tags-for-resource", "--resource-arn", variant.outputs.get("TopicArn")];
    assert!(cli.call(&topic).await?["Tags"].as_array().into_iter().flatten().any(|t| *t == tag[0]));
    Ok(())
}
