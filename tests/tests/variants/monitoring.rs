//! Alarms, dashboard, keys and topics.

use super::*;

impl Variant {
    /// Its alarms, as CloudWatch describes them, by their names in the template.
    pub(crate) async fn described_alarms(&self, stack: &Stack) -> Any<BTreeMap<String, Value>> {
        let alarms = stack.cli().call(&["cloudwatch", "describe-alarms"]).await?;
        let all = alarms["MetricAlarms"].as_array().into_iter().flatten();
        let named = |alarm: &Value| self.resources.iter().find(|(_, id)| alarm["AlarmName"] == **id);
        Ok(all.filter_map(|alarm| Some((named(alarm)?.0.clone(), alarm.clone()))).collect())
    }

    /// The ARNs of its alarms, and what they watch.
    pub(crate) async fn alarms(&self, stack: &Stack) -> Any<(BTreeSet<String>, Vec<Metric>)> {
        let own: Vec<_> = self.described_alarms(stack).await?.into_values().collect();
        let dimensions = |alarm: &Value| {
            let list = alarm["Dimensions"].as_array().into_iter().flatten();
            list.map(|d| (text(d, "Name"), text(d, "Value"))).collect()
        };
        let ours = own.iter().filter(|alarm| alarm["Namespace"] == NAMESPACE);
        let watched = ours.map(|alarm| (text(alarm, "MetricName"), dimensions(alarm))).collect();
        Ok((own.iter().map(|alarm| text(alarm, "AlarmArn")).collect(), watched))
    }

    /// The ARNs of the alarms that its dashboard shows, and the metrics of ours, those that are searched for included.
    pub(crate) async fn dashboard(
        &self,
        stack: &Stack,
        printed: &BTreeMap<Metric, Value>,
    ) -> Any<(BTreeSet<String>, Vec<Metric>)> {
        let get = ["cloudwatch", "get-dashboard", "--dashboard-name", &self.resources["Dashboard"]];
        let body = stack.cli().call(&get).await?;
        let body: Value = serde_json::from_str(body["DashboardBody"].as_str().unwrap_or_default())?;
        let (mut alarms, mut metrics) = (BTreeSet::new(), Vec::new());
        for widget in body["widgets"].as_array().into_iter().flatten() {
            let shown = widget["properties"]["alarms"].as_array().into_iter().flatten();
            alarms.extend(shown.filter_map(Value::as_str).map(str::to_owned));
            let rows = in_full(&widget["properties"]["metrics"]).into_iter();
            let rows = rows.filter(|row| row.first().is_some_and(|first| first == NAMESPACE));
            let pairs = |row: &[String]| row.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
            metrics.extend(rows.map(|row| (row[1].clone(), pairs(&row[2..]))));
            let rows = widget["properties"]["metrics"].as_array().into_iter().flatten();
            for expression in rows.filter_map(|row| row[0]["expression"].as_str()) {
                metrics.extend(found_by(expression, printed.keys())?);
            }
        }
        Ok((alarms, metrics))
    }
}

/// The rows of a widget's metrics in full: `.` repeats what stands above, `...` all up to what follows it.
/// [CloudWatch API reference, "Dashboard body structure and syntax"]
pub(crate) fn in_full(metrics: &Value) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for row in metrics.as_array().into_iter().flatten() {
        let above = all.last().cloned().unwrap_or_default();
        // Behind the texts there may be options.
        let texts: Vec<_> = row.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut full = Vec::new();
        for part in &texts {
            match *part {
                "..." => full.extend_from_slice(&above[..above.len() + 1 - texts.len()]),
                "." => full.push(above[full.len()].clone()),
                other => full.push(other.to_owned()),
            }
        }
        all.push(full);
    }
    all
}

/// The metrics that `SEARCH('{Namespace,Dimension,...} Term="value" ...', ...)` finds.
/// [CloudWatch user guide, "Search expression syntax"]
pub(crate) fn found_by<'a>(expression: &str, metrics: impl Iterator<Item = &'a Metric>) -> Any<Vec<Metric>> {
    let wrong = || failed(format!("not a search that this test understands: {expression}"));
    let search = expression.strip_prefix("SEARCH('{").and_then(|rest| rest.split_once("', '")).ok_or_else(wrong)?.0;
    let (schema, terms) = search.split_once("} ").ok_or_else(wrong)?;
    let (namespace, dimensions) = schema.split_once(',').ok_or_else(wrong)?;
    assert_eq!(namespace, NAMESPACE);
    let dimensions: BTreeSet<_> = dimensions.split(',').collect();
    let mut found: Vec<_> =
        metrics.filter(|(_, of)| of.keys().map(String::as_str).eq(dimensions.iter().copied())).collect();
    for term in terms.split(' ') {
        let (key, value) = term.split_once('=').ok_or_else(wrong)?;
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).ok_or_else(wrong)?;
        found.retain(
            |(name, of)| if key == "MetricName" { name == value } else { of.get(key).is_some_and(|v| v == value) },
        );
    }
    Ok(found.into_iter().cloned().collect())
}

/// Every alarm and every graph is of a metric that is printed, with the dimensions that it is printed with; and
/// the dashboard shows every alarm that there is.
pub(crate) async fn alarms_and_dashboard_are_of_what_is_printed(stack: &Stack) -> Outcome {
    let name = "cluster-user";
    let variant = Variant::deploy(stack, name).await?;
    stack.warehouse.reset().await?;
    assert_eq!(variant.execute(stack, json!({})).await?.status.as_str(), "SUCCEEDED");
    let mut printed = variant.metrics(stack, "ProcRunnerLogs").await?;
    printed.extend(variant.metrics(stack, "OrdersAuditFnLogs").await?);
    let ((alarms, watched), (in_widget, drawn)) =
        (variant.alarms(stack).await?, variant.dashboard(stack, &printed).await?);
    assert!(watched.len() == 2 && drawn.len() == 8, "{watched:?} {drawn:?}");
    for metric in watched.iter().chain(&drawn) {
        assert!(printed.contains_key(metric), "nothing prints {metric:?}, but {printed:?}");
    }
    assert_eq!(drawn.iter().collect::<BTreeSet<_>>(), printed.keys().collect(), "something printed is not drawn");
    assert_eq!((alarms.len(), &alarms), (6, &in_widget));

    deploy(stack.cli(), stack.dir.path(), name, &["NoLoadAlarmHours=0".to_owned()]).await?;
    let ((alarms, watched), (in_widget, _)) = (variant.alarms(stack).await?, variant.dashboard(stack, &printed).await?);
    assert_eq!(watched, [variant.metric("UnresolvedHours")]);
    assert_eq!((alarms.len(), &alarms), (5, &in_widget));
    Ok(())
}

/// An execution that ends in any way but one pages; OK is sent only where it means that somebody fixed something.
pub(crate) async fn alarms_page_for_each_bad_end_and_are_ok_only_after_a_fix(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "real-time").await?;
    let alarms = variant.described_alarms(stack).await?;
    let topic = json!([variant.outputs.get("TopicArn")]);
    for (name, metric, ok) in [
        ("ExecutionsFailedAlarm", "ExecutionsFailed", false),
        ("ExecutionsTimedOutAlarm", "ExecutionsTimedOut", false),
        ("ExecutionsAbortedAlarm", "ExecutionsAborted", false),
        ("NoLoadAlarm", "LoadSeconds", true),
        ("MissedEventsAlarm", "ApproximateNumberOfMessagesVisible", true),
        ("UnresolvedAlarm", "UnresolvedHours", true),
    ] {
        let alarm = alarms.get(name).ok_or_else(|| failed(format!("no {name}")))?;
        assert_eq!((&alarm["MetricName"], &alarm["AlarmActions"]), (&json!(metric), &topic), "{name}");
        let told = alarm["OKActions"].as_array().is_some_and(|actions| !actions.is_empty());
        assert_eq!(told, ok, "{name}: {}", alarm["OKActions"]);
    }
    assert_eq!(alarms.len(), 6, "{:?}", alarms.keys());
    Ok(())
}

/// Keys and topics of one's own, none at all, and no dashboard.
pub(crate) async fn keys_topics_and_dashboard_are_a_matter_of_choice(stack: &Stack) -> Outcome {
    let arn = |service: &str, resource: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}");
    let (key, other) = (arn("kms", "key/11111111-2222-3333-4444-555555555555"), arn("kms", "key/another"));
    let pages = arn("sns", "pages");
    let mut parameters = parameters_of(stack, "cluster-secret")?;
    let chosen = [
        ("SecretKmsKeyArn", key.as_str()),
        ("TopicKmsKeyArn", "none"),
        ("AlarmTopicArn", &pages),
        ("WithDashboard", "false"),
    ];
    parameters.extend(chosen.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let variant = Variant::deploy_as(stack, "chosen", parameters).await?;
    for gone in ["TopicKey", "Dashboard"] {
        assert!(!variant.resources.contains_key(gone), "{gone}");
    }
    assert_eq!(variant.outputs.get("DashboardUrl"), "");
    let topic = ["sns", "get-topic-attributes", "--topic-arn", variant.outputs.get("TopicArn")];
    let attributes = stack.cli().call(&topic).await?;
    assert_eq!(attributes["Attributes"]["KmsMasterKeyId"].as_str().unwrap_or_default(), "");
    let alarms = variant.described_alarms(stack).await?;
    for (name, alarm) in &alarms {
        assert_eq!(alarm["AlarmActions"], json!([pages]), "{name}");
        assert!(alarm["OKActions"].as_array().into_iter().flatten().all(|action| *action == *pages), "{name}");
    }
    assert_eq!(alarms.len(), 6);
    // The secret's key, for both and through Secrets Manager alone; and no other.
    for role in ["StatementRole", "AuditRole"] {
        assert!(variant.may(stack, role, "kms:Decrypt", &key).await?, "{role}");
        for (action, resource) in [("kms:Decrypt", &other), ("kms:GenerateDataKey", &key), ("kms:Encrypt", &key)] {
            assert!(!variant.may(stack, role, action, resource).await?, "{role}: {action} {resource}");
        }
    }
    assert!(!variant.may(stack, "LoaderRole", "kms:Decrypt", &key).await?);
    let question = Question::new(&variant, "StatementRole", &["kms:Decrypt"], &key, true);
    let said = ask(stack, "policies.py", &json!({"questions": [question.json()]})).await?;
    let through = format!("secretsmanager.{REGION}.amazonaws.com");
    let conditions = &said["roles"][&variant.resources["StatementRole"]]["conditions"];
    assert_eq!(*conditions, json!([{"StringEquals": {"kms:ViaService": through}}]));
    Ok(())
}

/// What a topic's key allows to CloudWatch it allows for this account alone, and to no other service.
pub(crate) async fn the_topics_key_is_for_alarms_of_this_account(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let key = ["kms", "get-key-policy", "--key-id", &variant.resources["TopicKey"], "--policy-name", "default"];
    let policy = stack.cli().call(&key).await?;
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap_or_default())?;
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let services: Vec<_> = statements.filter(|s| s["Principal"]["Service"].is_string()).collect();
    assert_eq!(services.len(), 1, "{policy}");
    assert_eq!(services[0]["Principal"]["Service"], "cloudwatch.amazonaws.com");
    assert_eq!(services[0]["Condition"], json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}}));
    Ok(())
}
