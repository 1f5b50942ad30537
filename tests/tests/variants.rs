//! Every example of `infra/parameters`, deployed and executed on the local stack with IAM enforced; and what
//! its roles allow, which is what it uses and no more.
//!
//! Glue's runs are those of a server of the tests, and EMR answers from MiniStack's mocked service integrations, since
//! MiniStack has no workflow runs that complete and no EMR steps; all else is real.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use loader::tools;
use loader::tools::project;
use redshift_local::aws::Cli;
use redshift_local::aws::REGION;
use redshift_local::deploy::{Outputs, deploy};
use redshift_local::execution::{Ended, follow, start};
use redshift_local::notifications::{Inbox, Received, settle};
use redshift_local::stack::{CLUSTER, Options, Stack, WORKGROUP};
use serde_json::{Value, json};
use shared::attempt::execution_prefix;
use shared::metrics::NAMESPACE;
use tests::glue::{self, Glue};
use tests::moto::post_json;
use tests::{Any, Outcome, failed, run, tests};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(60);
const ACCOUNT: &str = "000000000000";
const RUN_ID: &str = "wr_0123456789abcdef";
const WORKFLOW: &str = "new-orders-workflow-nrt";
/// Where the functions look for workflow runs.
static GLUE: OnceLock<Glue> = OnceLock::new();
const FUNCTION_LOGS: [&str; 3] = ["ProcRunnerLogs", "StatusCheckerLogs", "OrdersAuditFnLogs"];

/// A metric by its name and dimensions.
type Metric = (String, BTreeMap<String, String>);

/// One example, deployed as a stack of its own name.
struct Variant {
    name: String,
    parameters: HashMap<String, String>,
    outputs: Outputs,
    /// Physical ids by logical ones.
    resources: HashMap<String, String>,
}

impl Variant {
    async fn deploy(stack: &Stack, name: &str) -> Any<Self> {
        Self::deploy_as(stack, name, parameters_of(stack, name)?).await
    }

    async fn deploy_as(stack: &Stack, name: &str, parameters: HashMap<String, String>) -> Any<Self> {
        let values: Vec<_> = parameters.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let outputs = deploy(&stack.aws_url(), stack.dir.path(), name, &values).await?;
        let resources = ["cloudformation", "describe-stack-resources", "--stack-name", name];
        let resources = Cli::local(&stack.aws_url()).call(&resources).await?;
        let resources = resources["StackResources"].as_array().into_iter().flatten();
        let resources = resources.map(|r| (text(r, "LogicalResourceId"), text(r, "PhysicalResourceId"))).collect();
        Ok(Self { name: name.to_owned(), parameters, outputs, resources })
    }

    fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    fn has(&self, parameter: &str) -> bool {
        !self.parameter(parameter).is_empty()
    }

    /// Starts the default list by the event of the last job, of a run with these counters between two others.
    async fn execute(&self, stack: &Stack, statistics: Value) -> Any<Ended> {
        let done = json!({"TotalActions": 2, "SucceededActions": 2});
        let runs = [("wr_later", 9000, &done), (RUN_ID, 60, &statistics), ("wr_earlier", 1, &done)];
        let runs = runs.map(|(id, second, statistics)| glue::run(id, second, "COMPLETED", statistics));
        GLUE.get().ok_or("no Glue")?.set(WORKFLOW, runs.to_vec());
        let machine = format!("{}-loader", self.name);
        let config = json!({
            "StateMachines": {machine: {"TestCases": {"Mocked": {"RunStep": "step"}}}},
            "MockedResponses": {"step": {"0": {"Return": {"Step": {"Id": "s-1", "Status": {"State": "COMPLETED"}}}}}},
        });
        let url = format!("{}/_ministack/config", stack.aws_url());
        post_json(&url, &json!({"stepfunctions._sfn_mock_config": config})).await?;
        let sfn = aws_sdk_sfn::Client::new(&stack.aws);
        let event = json!({"detail-type": "Glue Job State Change", "time": "2026-01-01T01:00:00Z",
                           "detail": {"jobName": "new-orders-last-job", "state": "SUCCEEDED", "jobRunId": "jr_x"}});
        let arn = start(&sfn, &format!("{}#Mocked", self.outputs.get("StateMachineArn")), &event).await?;
        Ok(follow(&sfn, &arn, LIMIT, |_| ()).await?)
    }

    /// It loads, audits and notifies, in the way that its parameters say.
    async fn runs(&self, stack: &Stack) -> Outcome {
        let (gate, step) = (self.has("GlueWorkflowName"), self.has("EmrClusterId"));
        stack.warehouse.reset().await?;
        let inbox = Inbox::subscribe(&stack.aws, self.outputs.get("TopicArn")).await?;
        let ended = self.execute(stack, json!({"TotalActions": 2, "SucceededActions": 2})).await?;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{}: {:?} {:?}", self.name, ended.error, ended.cause);
        let entered = |state: &str| ended.states.iter().any(|s| s == state);
        assert_eq!((entered("Gate"), entered("RunStep")), (gate, step), "{}: {:?}", self.name, ended.states);
        settle().await;
        let received = self.told(&inbox, 4).await?;
        assert_eq!(received.len(), 4, "{}: {received:?}", self.name);
        assert!(received.iter().all(|m| m.message.contains(RUN_ID) == gate), "{}: {received:?}", self.name);
        // The statement was submitted with these credentials and no others.
        let data = aws_sdk_redshiftdata::Client::new(&stack.redshift);
        let id = ended.statements[0]["Id"].as_str().unwrap_or_default();
        let statement = data.describe_statement().id(id).send().await?;
        for (parameter, used) in [
            ("WorkgroupName", statement.workgroup_name()),
            ("ClusterIdentifier", statement.cluster_identifier()),
            ("SecretArn", statement.secret_arn()),
            ("DbUser", statement.db_user()),
            ("Database", statement.database()),
        ] {
            assert_eq!(used.unwrap_or_default(), self.parameter(parameter), "{}: {parameter}", self.name);
        }
        let name = ended.statements[0]["StatementName"].as_str().unwrap_or_default();
        assert_eq!(name.ends_with(&format!("/0/1/{RUN_ID}")), gate, "{name}");
        if gate {
            let closed = self.execute(stack, json!({"TotalActions": 2, "FailedActions": 1})).await?;
            assert_eq!(closed.error.as_deref(), Some("WorkflowNotSucceeded"), "{}: {:?}", self.name, closed.cause);
            assert!(closed.statements.is_empty() && closed.cause.is_some_and(|c| c.contains("FailedActions")));
            settle().await;
            assert_eq!(self.told(&inbox, 1).await?[0].subject, "Redshift load failed");
        }
        Ok(())
    }

    /// What was sent by executions of this variant: those of others, whose topics the queue is on too, may end
    /// at any time.
    async fn told(&self, inbox: &Inbox, expected: usize) -> Any<Vec<Received>> {
        let own = format!(":{}-loader:", self.name);
        let mut received = inbox.take(expected).await?;
        received.retain(|m| m.message.contains(&own) || m.payload.to_string().contains(&own));
        Ok(received)
    }

    /// The lines that a function has printed, in their order: JSON, all of them.
    async fn lines(&self, stack: &Stack, logs: &str) -> Any<Vec<Value>> {
        let group = &self.resources[logs];
        let events =
            Cli::local(&stack.aws_url()).call(&["logs", "filter-log-events", "--log-group-name", group]).await?;
        let messages = events["events"].as_array().into_iter().flatten().filter_map(|e| e["message"].as_str());
        // What Lambda adds.
        let printed = messages.filter(|m| !["START ", "END ", "REPORT "].iter().any(|added| m.starts_with(added)));
        printed.map(|m| serde_json::from_str(m).map_err(|e| failed(format!("{logs}: {e}: {m}")))).collect()
    }

    /// The metrics that a function has printed, with their latest values.
    async fn metrics(&self, stack: &Stack, logs: &str) -> Any<BTreeMap<Metric, Value>> {
        let mut metrics = BTreeMap::new();
        for line in self.lines(stack, logs).await? {
            for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
                assert_eq!((&directive["Namespace"], &line["Stack"]), (&json!(NAMESPACE), &json!(self.name)));
                let dimensions = directive["Dimensions"][0].as_array().into_iter().flatten().filter_map(Value::as_str);
                let dimensions: BTreeMap<_, _> = dimensions.map(|d| (d.to_owned(), text(&line, d))).collect();
                for metric in directive["Metrics"].as_array().into_iter().flatten() {
                    let name = text(metric, "Name");
                    let value = line[&name].clone();
                    metrics.insert((name, dimensions.clone()), value);
                }
            }
        }
        Ok(metrics)
    }

    /// A rule's name.
    fn rule(&self, logical_id: &str) -> &str {
        self.resources[logical_id].rsplit('/').next().unwrap_or_default()
    }

    /// A rule's pattern.
    async fn pattern(&self, cli: &Cli, logical_id: &str) -> Any<String> {
        let rule = cli.call(&["events", "describe-rule", "--name", self.rule(logical_id)]).await?;
        Ok(text(&rule, "EventPattern"))
    }

    /// The one target of a rule.
    async fn target(&self, cli: &Cli, logical_id: &str) -> Any<Value> {
        let list = cli.call(&["events", "list-targets-by-rule", "--rule", self.rule(logical_id)]).await?;
        assert_eq!(list["Targets"].as_array().map(Vec::len), Some(1), "{logical_id}");
        Ok(list["Targets"][0].clone())
    }

    /// The decision of the simulator for an action of a role.
    async fn may(&self, stack: &Stack, role: &str, action: &str, resource: &str) -> Any<bool> {
        let question = Question::new(self, role, &[action], resource, true);
        let said = ask(stack, "policies.py", &json!({"questions": [question.json()]})).await?;
        Ok(said["answers"][0][0]["decision"] == "allowed")
    }

    /// A metric of the whole stack.
    fn metric(&self, name: &str) -> Metric {
        (name.to_owned(), BTreeMap::from([("Stack".to_owned(), self.name.clone())]))
    }

    /// A metric of one procedure.
    fn metric_of(&self, name: &str, procedure: &str) -> Metric {
        let (name, mut dimensions) = self.metric(name);
        dimensions.insert("Procedure".to_owned(), procedure.to_owned());
        (name, dimensions)
    }

    /// Its alarms, as CloudWatch describes them, by their names in the template.
    async fn described_alarms(&self, stack: &Stack) -> Any<BTreeMap<String, Value>> {
        let alarms = Cli::local(&stack.aws_url()).call(&["cloudwatch", "describe-alarms"]).await?;
        let all = alarms["MetricAlarms"].as_array().into_iter().flatten();
        let named = |alarm: &Value| self.resources.iter().find(|(_, id)| alarm["AlarmName"] == **id);
        Ok(all.filter_map(|alarm| Some((named(alarm)?.0.clone(), alarm.clone()))).collect())
    }

    /// The ARNs of its alarms, and what they watch.
    async fn alarms(&self, stack: &Stack) -> Any<(BTreeSet<String>, Vec<Metric>)> {
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
    async fn dashboard(
        &self,
        stack: &Stack,
        printed: &BTreeMap<Metric, Value>,
    ) -> Any<(BTreeSet<String>, Vec<Metric>)> {
        let get = ["cloudwatch", "get-dashboard", "--dashboard-name", &self.resources["Dashboard"]];
        let body = Cli::local(&stack.aws_url()).call(&get).await?;
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

    /// Its roles allow what they use, and nothing else.
    async fn is_least(&self, stack: &Stack) -> Outcome {
        let questions = self.questions(&stack.secret_arn);
        let asked: Vec<_> = questions.iter().map(Question::json).collect();
        let said = ask(stack, "policies.py", &json!({"questions": asked})).await?;
        for (question, answers) in questions.iter().zip(said["answers"].as_array().into_iter().flatten()) {
            for answer in answers.as_array().into_iter().flatten() {
                let allowed = answer["decision"] == "allowed";
                assert_eq!(allowed, question.allowed, "{}: {question:?} {answer}", self.name);
            }
        }
        for role in questions.iter().map(|q| q.role.as_str()).collect::<BTreeSet<_>>() {
            let used = questions.iter().filter(|q| q.allowed && q.role == role).flat_map(|q| q.actions.clone());
            let named = said["roles"][role]["actions"].as_array().into_iter().flatten();
            let named: BTreeSet<_> = named.filter_map(Value::as_str).map(str::to_owned).collect();
            assert_eq!(named, used.collect::<BTreeSet<_>>(), "{}: {role} is allowed what is not used", self.name);
        }
        let of = |role: &str| said["roles"][&self.resources[role]].clone();
        let own = json!([{"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}}]);
        assert_eq!(of("AuditRole")["conditions"], own);
        assert_eq!(of("StatementRole")["conditions"], json!([]), "the two functions read each other's statements");
        self.is_trusted(stack).await
    }

    /// Who may assume the roles of the state machine and of the rules: they alone.
    async fn is_trusted(&self, stack: &Stack) -> Outcome {
        let roles = ["LoaderRole", "StartRole"];
        let asked = roles.map(|role| Question::new(self, role, &["sts:AssumeRole"], "*", false).json());
        let said = ask(stack, "policies.py", &json!({"questions": asked})).await?;
        let of = |role: &str| said["roles"][&self.resources[role]].clone();
        for role in roles {
            let condition = &of(role)["trust"][0]["Condition"];
            assert_eq!(condition["StringEquals"]["aws:SourceAccount"], ACCOUNT, "{}: {role}", self.name);
        }
        let sources = |role: &str| of(role)["trust"][0]["Condition"]["ArnEquals"]["aws:SourceArn"].clone();
        assert_eq!(sources("LoaderRole"), self.outputs.get("StateMachineArn"), "{}", self.name);
        let starts = sources("StartRole");
        let starts: BTreeSet<_> = starts.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for rule in ["WorkflowFinished", "Scheduled"].into_iter().filter(|rule| self.resources.contains_key(*rule)) {
            let arn = format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{}", self.rule(rule));
            assert!(starts.contains(arn.as_str()), "{}: {rule} {arn} may not start it: {starts:?}", self.name);
        }
        assert!(starts.len() == 2 && starts.iter().all(|arn| !arn.contains('*')), "{}: {starts:?}", self.name);
        Ok(())
    }

    /// What was deployed can be read by AWS, has names that AWS takes, and holds the parameters as they were written.
    async fn is_whole(&self, stack: &Stack) -> Outcome {
        let cli = Cli::local(&stack.aws_url());
        let machine = self.outputs.get("StateMachineArn");
        let machine = cli.call(&["stepfunctions", "describe-state-machine", "--state-machine-arn", machine]).await?;
        let definition: Value = serde_json::from_str(&text(&machine, "definition"))?;
        assert!(definition["States"].is_object());
        self.dashboard(stack, &BTreeMap::new()).await?;
        let pattern: Value = serde_json::from_str(&self.pattern(&cli, "WorkflowFinished").await?)?;
        let named = [&pattern["detail"]["$or"][0]["jobName"][0], &pattern["detail"]["$or"][1]["workflowName"][0]];
        assert_eq!(named, [self.parameter("GlueJobName"), self.parameter("GlueWorkflowName")]);
        delivered(
            &self.target(&cli, "ExecutionStopped").await?["InputTransformer"],
            &json!({"detail": {"status": "s", "executionArn": "e"}}),
        )?;
        let alarms = self.described_alarms(stack).await?;
        let of =
            |name: &str| alarms["NoLoadAlarm"]["Dimensions"].as_array()?.iter().find(|d| d["Name"] == name).cloned();
        if self.has("LoadProcedure") {
            assert_eq!(of("Procedure").map(|d| text(&d, "Value")).as_deref(), Some(self.parameter("LoadProcedure")));
        }
        let lambda = aws_sdk_lambda::Client::new(&stack.aws);
        let function = lambda.get_function_configuration().function_name(self.outputs.get("OrdersAuditFnName"));
        let environment = function.send().await?.environment.and_then(|e| e.variables).unwrap_or_default();
        for (parameter, variable) in [
            ("Database", "DATABASE"),
            ("AuditTable", "AUDIT_TABLE"),
            ("AuditKeyColumn", "AUDIT_KEY_COLUMN"),
            ("AuditTimeColumn", "AUDIT_TIME_COLUMN"),
            ("NotificationSubject", "NOTIFICATION_SUBJECT"),
            ("NotificationTitle", "NOTIFICATION_TITLE"),
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

    /// What the code calls, and what it must not be able to.
    fn questions(&self, secret: &str) -> Vec<Question> {
        let arn = |service: &str, resource: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}");
        let logs = |group: &str| arn("logs", &format!("log-group:{}:log-stream:x", self.resources[group]));
        let topic = self.outputs.get("TopicArn");
        let key = arn("kms", &format!("key/{}", self.resources["TopicKey"]));
        let queue = self.resources["MissedEvents"].rsplit('/').next().unwrap_or_default();
        let endpoint = match self.parameter("WorkgroupId") {
            "" => arn("redshift", &format!("cluster:{}", self.parameter("ClusterIdentifier"))),
            id => arn("redshift-serverless", &format!("workgroup/{id}")),
        };
        let in_cluster =
            |kind: &str, name: &str| arn("redshift", &format!("{kind}:{}/{name}", self.parameter("ClusterIdentifier")));
        let database = in_cluster("dbname", self.parameter("Database"));
        let mut all = Vec::new();
        let mut may =
            |role: &str, actions: &[&str], resource: &str| all.push(Question::new(self, role, actions, resource, true));
        for role in ["StatementRole", "AuditRole"] {
            may(role, &["redshift-data:ExecuteStatement"], &endpoint);
            may(role, &["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*");
            if self.has("SecretArn") {
                may(role, &["secretsmanager:GetSecretValue"], secret);
            } else if self.has("WorkgroupName") {
                may(role, &["redshift-serverless:GetCredentials"], &endpoint);
            } else if self.has("DbUser") {
                may(role, &["redshift:GetClusterCredentials"], &database);
                may(role, &["redshift:GetClusterCredentials"], &in_cluster("dbuser", self.parameter("DbUser")));
            } else {
                may(role, &["redshift:GetClusterCredentialsWithIAM"], &database);
            }
        }
        let write = ["logs:CreateLogStream", "logs:PutLogEvents"];
        let look = ["redshift-data:DescribeStatement", "redshift-data:CancelStatement", "redshift-data:ListStatements"];
        may("StatementRole", &look, "*");
        let machine = format!("{}-loader", self.name);
        may("StatementRole", &["states:ListExecutions"], self.outputs.get("StateMachineArn"));
        let queue_look = ["states:DescribeExecution", "states:GetExecutionHistory"];
        may("StatementRole", &queue_look, &arn("states", &format!("execution:{machine}:e")));
        may("StatementRole", &write, &logs("ProcRunnerLogs"));
        may("StatementRole", &write, &logs("StatusCheckerLogs"));
        may("StatementRole", &["sqs:SendMessage"], &arn("sqs", queue));
        may("AuditRole", &[look[0], look[1], "redshift-data:GetStatementResult"], "*");
        may("AuditRole", &write, &logs("OrdersAuditFnLogs"));
        may("AuditRole", &["sns:Publish"], topic);
        may("AuditRole", &["kms:GenerateDataKey", "kms:Decrypt"], &key);
        for function in ["ProcRunner", "StatusChecker", "OrdersAuditFn"] {
            let function = arn("lambda", &format!("function:{}", self.resources[function]));
            may("LoaderRole", &["lambda:InvokeFunction"], &function);
        }
        may("LoaderRole", &["sns:Publish"], topic);
        may("LoaderRole", &["kms:GenerateDataKey", "kms:Decrypt"], &key);
        let trace = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];
        let sample = ["xray:GetSamplingRules", "xray:GetSamplingTargets"];
        may("LoaderRole", &[trace, sample].concat(), "*");
        let delivery = [
            "logs:CreateLogDelivery",
            "logs:GetLogDelivery",
            "logs:UpdateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
        ];
        may("LoaderRole", &delivery, "*");
        may("StartRole", &["states:StartExecution"], self.outputs.get("StateMachineArn"));
        let emr = [
            "elasticmapreduce:AddJobFlowSteps",
            "elasticmapreduce:DescribeStep",
            "elasticmapreduce:ListSteps",
            "elasticmapreduce:CancelSteps",
        ];
        if self.has("GlueWorkflowName") {
            let workflow = arn("glue", &format!("workflow/{}", self.parameter("GlueWorkflowName")));
            may("StatementRole", &["glue:GetWorkflowRuns"], &workflow);
            may("StatementRole", &["glue:GetJobRun"], &arn("glue", &format!("job/{}", self.parameter("GlueJobName"))));
        }
        if self.has("EmrClusterId") {
            may("LoaderRole", &emr, &arn("elasticmapreduce", &format!("cluster/{}", self.parameter("EmrClusterId"))));
        }
        // Creating a state machine whose definition holds a .sync takes it, whether the state is entered or not.
        let rule = arn("events", "rule/StepFunctionsGetEventForEMRAddJobFlowStepsRule");
        may("LoaderRole", &["events:PutTargets", "events:PutRule", "events:DescribeRule"], &rule);

        let mut must_not = |role: &str, actions: &[&str], resource: &str| {
            all.push(Question::new(self, role, actions, resource, false))
        };
        let another = "another-0000";
        for role in ["StatementRole", "AuditRole", "LoaderRole", "StartRole"] {
            must_not(
                role,
                &["redshift-data:ExecuteStatement"],
                &arn("redshift-serverless", &format!("workgroup/{another}")),
            );
            must_not(role, &["redshift-data:ExecuteStatement"], &arn("redshift", &format!("cluster:{another}")));
            must_not(role, &["secretsmanager:GetSecretValue"], &arn("secretsmanager", &format!("secret:{another}")));
            must_not(role, &["sns:Publish"], &arn("sns", another));
            must_not(role, &["lambda:InvokeFunction"], &arn("lambda", &format!("function:{another}")));
            must_not(role, &["states:StartExecution"], &arn("states", &format!("stateMachine:{another}")));
            must_not(role, &["redshift:GetClusterCredentials"], &arn("redshift", &format!("dbuser:{another}/admin")));
            must_not(role, &["kms:Decrypt", "kms:GenerateDataKey"], &arn("kms", &format!("key/{another}")));
            must_not(role, &["sqs:SendMessage"], &arn("sqs", another));
            must_not(role, &write, &arn("logs", &format!("log-group:{another}:log-stream:x")));
            must_not(role, &["events:PutRule", "events:PutTargets"], &arn("events", &format!("rule/{another}")));
            must_not(
                role,
                &["redshift-serverless:GetCredentials"],
                &arn("redshift-serverless", &format!("workgroup/{another}")),
            );
            // Another database of the same cluster, and one of another.
            for database in [in_cluster("dbname", another), arn("redshift", &format!("dbname:{another}/dev"))] {
                let actions = ["redshift:GetClusterCredentialsWithIAM", "redshift:GetClusterCredentials"];
                must_not(role, &actions, &database);
            }
            must_not(
                role,
                &["glue:GetWorkflowRuns", "glue:StartWorkflowRun"],
                &arn("glue", &format!("workflow/{another}")),
            );
            must_not(role, &["glue:GetJobRun"], &arn("glue", &format!("job/{another}")));
            must_not(role, &["states:ListExecutions"], &arn("states", &format!("stateMachine:{another}")));
            must_not(role, &queue_look, &arn("states", &format!("execution:{another}:e")));
            must_not(role, &["states:StopExecution"], &arn("states", &format!("execution:{machine}:e")));
            must_not(role, &emr[..1], &arn("elasticmapreduce", &format!("cluster/{another}")));
            must_not(role, &["iam:PassRole", "sts:AssumeRole", "s3:GetObject", "logs:CreateLogGroup"], "*");
        }
        must_not("StatementRole", &["sns:Publish"], topic);
        must_not("StatementRole", &write, &logs("OrdersAuditFnLogs"));
        must_not("AuditRole", &write, &logs("ProcRunnerLogs"));
        must_not("AuditRole", &["sqs:SendMessage"], &arn("sqs", queue));
        must_not("StatementRole", &["redshift-data:GetStatementResult", "redshift-data:BatchExecuteStatement"], "*");
        must_not("AuditRole", &["redshift-data:ListStatements"], "*");
        must_not("AuditRole", &["sns:Subscribe", "sns:DeleteTopic"], topic);
        must_not("LoaderRole", &["redshift-data:ExecuteStatement"], &endpoint);
        if !self.has("SecretArn") {
            must_not("StatementRole", &["secretsmanager:GetSecretValue"], secret);
        }
        all
    }
}

/// The parameters of an example.
fn parameters_of(stack: &Stack, example: &str) -> Any<HashMap<String, String>> {
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

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// The rows of a widget's metrics in full: `.` repeats what stands above, `...` all up to what follows it.
/// [CloudWatch API reference, "Dashboard body structure and syntax"]
fn in_full(metrics: &Value) -> Vec<Vec<String>> {
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
fn found_by<'a>(expression: &str, metrics: impl Iterator<Item = &'a Metric>) -> Any<Vec<Metric>> {
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

/// The lines that EventBridge delivers to a topic: it puts the values of the paths into the template and unescapes
/// nothing, so that a line break must be one, and each line is a string with its quotes.
/// [EventBridge user guide, "Tutorial: Use input transformers"; aws-cdk#38121; terraform-provider-aws#43253]
fn delivered(transformer: &Value, event: &Value) -> Any<Vec<String>> {
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

/// Whether a role may do something.
#[derive(Debug)]
struct Question {
    role: String,
    actions: Vec<String>,
    resource: String,
    allowed: bool,
}

impl Question {
    fn new(variant: &Variant, role: &str, actions: &[&str], resource: &str, allowed: bool) -> Self {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Self { role: variant.resources[role].clone(), actions, resource: resource.to_owned(), allowed }
    }

    fn json(&self) -> Value {
        json!({"role": self.role, "actions": self.actions, "resource": self.resource})
    }
}

/// Asks the local AWS, by one process for all questions.
async fn ask(stack: &Stack, script: &str, questions: &Value) -> Any<Value> {
    let mut python = Command::new(tools::python_tool("python")?);
    python.arg(project("tests/iam").join(script)).stdin(Stdio::piped()).stdout(Stdio::piped());
    python.env("AWS_ENDPOINT_URL", stack.aws_url()).env("AWS_DEFAULT_REGION", REGION);
    python.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let mut child = python.spawn()?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    stdin.write_all(questions.to_string().as_bytes()).await?;
    drop(stdin);
    Ok(serde_json::from_slice(&child.wait_with_output().await?.stdout)?)
}

async fn play(stack: &Stack, name: &str) -> Outcome {
    let variant = Variant::deploy(stack, name).await?;
    variant.runs(stack).await?;
    variant.is_least(stack).await
}

async fn serverless_with_a_secret(stack: &Stack) -> Outcome {
    play(stack, "serverless-secret").await
}

async fn serverless_with_iam_credentials(stack: &Stack) -> Outcome {
    play(stack, "serverless-iam").await
}

async fn a_cluster_with_a_database_user(stack: &Stack) -> Outcome {
    play(stack, "cluster-user").await
}

async fn a_cluster_with_a_secret(stack: &Stack) -> Outcome {
    play(stack, "cluster-secret").await
}

async fn a_cluster_with_iam_credentials(stack: &Stack) -> Outcome {
    play(stack, "cluster-iam").await
}

async fn by_the_clock_with_an_emr_step(stack: &Stack) -> Outcome {
    play(stack, "real-time").await
}

async fn after_a_workflow_with_an_emr_step(stack: &Stack) -> Outcome {
    play(stack, "workflow-and-step").await
}

/// The rule takes the last job's success and our own event for the workflow, and nothing else of either; each is
/// known to belong to its own run, between two others.
async fn events_of_the_workflow_start_executions(stack: &Stack) -> Outcome {
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

/// What was found, and who was told, is in the warehouse: a change to the stack, and its end, leave it.
/// What there was to measure is in the logs.
async fn a_change_to_the_stack_keeps_the_audit(stack: &Stack) -> Outcome {
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
    deploy(&stack.aws_url(), stack.dir.path(), name, &change).await?;
    let ended = variant.execute(stack, json!({})).await?;
    assert_eq!(ended.output, json!({"UnresolvedRuns": 4, "Notified": 0}), "nobody is told again");
    assert!((30.0..31.0).contains(&hours().await?), "the oldest counts, to the hour and not in seconds");
    let cli = Cli::local(&stack.aws_url());
    cli.call(&["cloudformation", "delete-stack", "--stack-name", name]).await?;
    cli.call(&["cloudformation", "wait", "stack-delete-complete", "--stack-name", name]).await?;
    assert_eq!(marked().await?, 4);
    Ok(())
}

/// Every alarm and every graph is of a metric that is printed, with the dimensions that it is printed with; and
/// the dashboard shows every alarm that there is.
async fn alarms_and_dashboard_are_of_what_is_printed(stack: &Stack) -> Outcome {
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

    deploy(&stack.aws_url(), stack.dir.path(), name, &["NoLoadAlarmHours=0".to_owned()]).await?;
    let ((alarms, watched), (in_widget, _)) = (variant.alarms(stack).await?, variant.dashboard(stack, &printed).await?);
    assert_eq!(watched, [variant.metric("UnresolvedHours")]);
    assert_eq!((alarms.len(), &alarms), (5, &in_widget));
    Ok(())
}

/// An execution that ends in any way but one pages; OK is sent only where it means that somebody fixed something.
async fn alarms_page_for_each_bad_end_and_are_ok_only_after_a_fix(stack: &Stack) -> Outcome {
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
async fn keys_topics_and_dashboard_are_a_matter_of_choice(stack: &Stack) -> Outcome {
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
    let attributes = Cli::local(&stack.aws_url()).call(&topic).await?;
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

/// What a topic's key allows to CloudWatch it allows for this account alone. EventBridge sends no account.
async fn the_topics_key_is_for_alarms_of_this_account(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let key = ["kms", "get-key-policy", "--key-id", &variant.resources["TopicKey"], "--policy-name", "default"];
    let policy = Cli::local(&stack.aws_url()).call(&key).await?;
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap_or_default())?;
    let of = |service: &str| {
        let statements = policy["Statement"].as_array().into_iter().flatten();
        let of: Vec<_> = statements.filter(|s| s["Principal"]["Service"] == service).collect();
        assert_eq!(of.len(), 1, "{service}: {policy}");
        of[0]["Condition"].clone()
    };
    assert_eq!(of("cloudwatch.amazonaws.com"), json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}}));
    assert_eq!(of("events.amazonaws.com"), Value::Null);
    Ok(())
}

/// What cannot be delivered is in the queue, and pages, within an hour and not after a day.
async fn what_cannot_be_delivered_is_given_up_within_an_hour(stack: &Stack) -> Outcome {
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
async fn events_of_another_account_start_nothing(stack: &Stack) -> Outcome {
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

/// Every text parameter, with each character that means something in JSON, a policy, a shell or a template: either its
/// own AllowedPattern refuses it, or what is deployed with all that it takes is whole and holds it as it was written.
/// Under the longest name that a stack may have, which must not make a name of something else too long.
async fn what_a_parameter_holds_breaks_nothing(stack: &Stack) -> Outcome {
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
            "LoadProcedure" | "AuditProcedure" | "AuditTable" => format!("dev.\"a{quoted}z\""),
            "AuditKeyColumn" | "AuditTimeColumn" => format!("\"a{quoted}z\""),
            _ => {
                let value = base.get(parameter).map_or("az", String::as_str);
                let (head, tail) = value.split_at(value.len() / 2);
                format!("{head}{character}{tail}")
            }
        }
    };
    let anything = ["NotificationTitle"].as_slice();
    let not_lines = ["AuditTable", "AuditKeyColumn", "AuditTimeColumn"].as_slice();
    let named = ["GlueWorkflowName", "GlueJobName", "Database", "NotificationSubject"].as_slice();
    let procedures = ["LoadProcedure", "AuditProcedure"].as_slice();
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
async fn a_check_by_aws_leaves_nothing_behind(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let cli = Cli::local(&stack.aws_url());
    let template = stack.dir.path().join("packaged.yaml");
    let check = async |name: &str, parameters: &Path, url: Option<&str>| -> Any<(Option<i32>, String)> {
        let mut python = Command::new(tools::python_tool("python")?);
        python.arg(project("infra/lint/validate_aws.py")).current_dir(project("")).env_clear();
        python.args(["--stack", name]).arg("--template").arg(&template).arg("--parameters").arg(parameters);
        python.env("AWS_DEFAULT_REGION", REGION).env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
        if let Some(url) = url {
            python.env("AWS_ENDPOINT_URL", url).env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
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
    let (url, examples) = (stack.aws_url(), project("infra/parameters"));
    let (before, sets) = (stacks().await?, change_sets().await?);
    let (code, said) = check("not-there", &examples.join("real-time.txt"), Some(&url)).await?;
    assert!(code == Some(0) && said.contains("Add ") && said.contains(" Loader"), "{code:?} {said}");
    let (code, said) = check(&variant.name, &examples.join("cluster-user.txt"), Some(&url)).await?;
    assert!(code == Some(0) && said.contains("Modify ") && !said.contains("Add "), "{code:?} {said}");
    let wrong = stack.dir.path().join("wrong.txt");
    std::fs::write(&wrong, "Database=d\nClusterIdentifier=no such cluster\nGlueJobName=j\n")?;
    let (code, said) = check("not-there", &wrong, Some(&url)).await?;
    assert!(code == Some(1) && said.contains("ClusterIdentifier"), "{code:?} {said}");
    let (code, said) = check("not-there", &wrong, None).await?;
    assert!(code == Some(2) && said.contains("AWS credentials"), "{code:?} {said}");
    let others = |all: BTreeSet<String>| all.into_iter().filter(|s| s.contains("not-there")).collect::<Vec<_>>();
    assert_eq!(others(stacks().await?), others(before));
    assert_eq!(change_sets().await?, sets);
    Ok(())
}

/// A state machine is called `<stack>-loader`, and its name ends at 80 characters.
async fn a_stack_with_too_long_a_name_is_refused_before_anything_is_built(_: &Stack) -> Outcome {
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

/// The ends that a state machine does not see are swept; those that it has not told of are told.
async fn each_end_of_an_execution_reaches_its_rules(stack: &Stack) -> Outcome {
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
async fn the_mail_of_an_execution_that_did_not_end_can_be_read(stack: &Stack) -> Outcome {
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

/// Whoever pays sees for what.
async fn what_is_deployed_is_tagged(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let cli = Cli::local(&stack.aws_url());
    let described = cli.call(&["cloudformation", "describe-stacks", "--stack-name", &variant.name]).await?;
    let tag = json!([{"Key": "Application", "Value": "redshift-loader"}]);
    assert_eq!(described["Stacks"][0]["Tags"], tag);
    let queue = ["sqs", "list-queue-tags", "--queue-url", variant.outputs.get("MissedEventsUrl")];
    assert_eq!(cli.call(&queue).await?["Tags"]["Application"], "redshift-loader");
    let topic = ["sns", "list-tags-for-resource", "--resource-arn", variant.outputs.get("TopicArn")];
    assert!(cli.call(&topic).await?["Tags"].as_array().into_iter().flatten().any(|t| *t == tag[0]));
    Ok(())
}

/// Each line that we print has the ids of what it belongs to, also that of a failure; and none has an argument.
async fn every_line_says_what_it_belongs_to(stack: &Stack) -> Outcome {
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
    let left_running = aws_sdk_redshiftdata::Client::new(&stack.redshift).execute_statement();
    let left_running = left_running.workgroup_name(WORKGROUP).database(stack.warehouse.database());
    let left_running = left_running.secret_arn(&stack.secret_arn).sql("SELECT pg_sleep(60), 'hunter2'");
    left_running.statement_name(format!("{}9/1", execution_prefix(&gated.arn))).send().await?;
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

fn main() -> ExitCode {
    let tests = tests![
        serverless_with_a_secret,
        serverless_with_iam_credentials,
        a_cluster_with_a_database_user,
        a_cluster_with_a_secret,
        a_cluster_with_iam_credentials,
        by_the_clock_with_an_emr_step,
        after_a_workflow_with_an_emr_step,
        events_of_the_workflow_start_executions,
        every_line_says_what_it_belongs_to,
        alarms_and_dashboard_are_of_what_is_printed,
        alarms_page_for_each_bad_end_and_are_ok_only_after_a_fix,
        keys_topics_and_dashboard_are_a_matter_of_choice,
        the_topics_key_is_for_alarms_of_this_account,
        what_cannot_be_delivered_is_given_up_within_an_hour,
        what_a_parameter_holds_breaks_nothing,
        a_check_by_aws_leaves_nothing_behind,
        a_stack_with_too_long_a_name_is_refused_before_anything_is_built,
        each_end_of_an_execution_reaches_its_rules,
        the_mail_of_an_execution_that_did_not_end_can_be_read,
        events_of_another_account_start_nothing,
        what_is_deployed_is_tagged,
        a_change_to_the_stack_keeps_the_audit,
    ];
    let start = async || {
        let glue = Glue::start().await.expect("Glue");
        let options = Options { wait_scale: Some(0.02), glue_url: Some(glue.url.clone()), ..Options::default() };
        let _ = GLUE.set(glue);
        Stack::start(&options, |_| ()).await.expect("the stack")
    };
    run(tests, start, async |stack: Stack| stack.stop().await)
}
