//! Every example of `infra/parameters`, deployed and executed on the local stack with IAM enforced; and what
//! its roles allow, which is what it uses and no more.
//!
//! Glue's runs are those of a server of the tests, and EMR answers from MiniStack's mocked service integrations, since
//! MiniStack has no workflow runs that complete and no EMR steps; all else is real.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::{ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use redshift_local::aws_cli::Cli;
use redshift_local::stack::deploy::{Outputs, deploy};
use redshift_local::stack::execution::{Ended, follow};
use redshift_local::stack::notifications::{Inbox, Received, settle};
use redshift_local::stack::{CLUSTER, Options, REGION, Stack, WORKGROUP, project, tools};
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
        let file = std::fs::read_to_string(project("infra/parameters").join(format!("{name}.txt")))?;
        let lines = file.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let mut parameters = HashMap::new();
        for line in lines {
            let (key, value) = line.split_once('=').ok_or_else(|| failed(format!("{name}: {line}")))?;
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
        let start = sfn.start_execution().state_machine_arn(format!("{}#Mocked", self.outputs.get("StateMachineArn")));
        let arn = start.input(event.to_string()).send().await?.execution_arn;
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

    /// The ARNs of its alarms, and what they watch.
    async fn alarms(&self, stack: &Stack) -> Any<(BTreeSet<String>, Vec<Metric>)> {
        let alarms = Cli::local(&stack.aws_url()).call(&["cloudwatch", "describe-alarms"]).await?;
        let all = alarms["MetricAlarms"].as_array().into_iter().flatten();
        let own: Vec<_> = all.filter(|a| self.resources.values().any(|id| a["AlarmName"] == **id)).collect();
        let dimensions = |alarm: &Value| {
            let list = alarm["Dimensions"].as_array().into_iter().flatten();
            list.map(|d| (text(d, "Name"), text(d, "Value"))).collect()
        };
        let ours = own.iter().filter(|alarm| alarm["Namespace"] == NAMESPACE);
        let watched = ours.map(|alarm| (text(alarm, "MetricName"), dimensions(alarm))).collect();
        Ok((own.iter().map(|alarm| text(alarm, "AlarmArn")).collect(), watched))
    }

    /// The ARNs of the alarms that its dashboard shows, and the metrics of ours.
    async fn dashboard(&self, stack: &Stack) -> Any<(BTreeSet<String>, Vec<Metric>)> {
        let get = ["cloudwatch", "get-dashboard", "--dashboard-name", &self.resources["Dashboard"]];
        let body = Cli::local(&stack.aws_url()).call(&get).await?;
        let body: Value = serde_json::from_str(body["DashboardBody"].as_str().unwrap_or_default())?;
        let (mut alarms, mut metrics) = (BTreeSet::new(), Vec::new());
        for widget in body["widgets"].as_array().into_iter().flatten() {
            let shown = widget["properties"]["alarms"].as_array().into_iter().flatten();
            alarms.extend(shown.filter_map(Value::as_str).map(str::to_owned));
            let rows = in_full(&widget["properties"]["metrics"]).into_iter().filter(|row| row[0] == NAMESPACE);
            let pairs = |row: &[String]| row.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
            metrics.extend(rows.map(|row| (row[1].clone(), pairs(&row[2..]))));
        }
        Ok((alarms, metrics))
    }

    /// Its roles allow what they use, and nothing else.
    async fn is_least(&self, stack: &Stack) -> Outcome {
        let questions = self.questions(&stack.secret_arn);
        let asked: Vec<_> = questions.iter().map(Question::json).collect();
        let said = ask(stack, &json!({"questions": asked})).await?;
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
        for role in ["LoaderRole", "StartRole"] {
            let condition = &of(role)["trust"][0]["Condition"];
            assert_eq!(condition["StringEquals"]["aws:SourceAccount"], ACCOUNT, "{}: {role}", self.name);
            let source = condition["ArnEquals"]["aws:SourceArn"].to_string();
            assert!(source.contains(&format!(":{}-", self.name)) || source.contains(&format!("/{}-", self.name)));
            assert!(!source.contains('*'), "{}: {role} {condition}", self.name);
        }
        Ok(())
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

/// Asks the local IAM, by one process for all questions.
async fn ask(stack: &Stack, questions: &Value) -> Any<Value> {
    let mut python = Command::new(tools::python_tool("python")?);
    python.arg(project("tests/iam/policies.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
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
    let start = sfn.start_execution().state_machine_arn(variant.outputs.get("StateMachineArn"));
    let event = json!({"detail-type": workflow, "detail": {"workflowRunId": RUN_ID}}).to_string();
    let ended = follow(&sfn, &start.input(event).send().await?.execution_arn, LIMIT, |_| ()).await?;
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
    let ((alarms, watched), (in_widget, drawn)) = (variant.alarms(stack).await?, variant.dashboard(stack).await?);
    assert!(watched.len() == 2 && drawn.len() == 8, "{watched:?} {drawn:?}");
    for metric in watched.iter().chain(&drawn) {
        assert!(printed.contains_key(metric), "nothing prints {metric:?}, but {printed:?}");
    }
    assert_eq!(drawn.iter().collect::<BTreeSet<_>>(), printed.keys().collect(), "something printed is not drawn");
    assert_eq!((alarms.len(), &alarms), (5, &in_widget));

    deploy(&stack.aws_url(), stack.dir.path(), name, &["NoLoadAlarmHours=0".to_owned()]).await?;
    let ((alarms, watched), (in_widget, _)) = (variant.alarms(stack).await?, variant.dashboard(stack).await?);
    assert_eq!(watched, [variant.metric("UnresolvedHours")]);
    assert_eq!((alarms.len(), &alarms), (4, &in_widget));
    Ok(())
}

/// The ends that a state machine does not see are swept; those that it has not told of are told.
async fn each_end_of_an_execution_reaches_its_rules(stack: &Stack) -> Outcome {
    let variant = Variant::deploy(stack, "cluster-iam").await?;
    let cli = Cli::local(&stack.aws_url());
    let pattern = async |rule: &str| -> Any<String> {
        let name = variant.resources[rule].rsplit('/').next().unwrap_or_default();
        Ok(text(&cli.call(&["events", "describe-rule", "--name", name]).await?, "EventPattern"))
    };
    let (died, stopped) = (pattern("ExecutionDied").await?, pattern("ExecutionStopped").await?);
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
        let input = json!({"Procedures": [{"Procedure": procedure, "Arguments": [argument]}]}).to_string();
        let start = sfn.start_execution().state_machine_arn(variant.outputs.get("StateMachineArn")).input(input);
        Ok(follow(&sfn, &start.send().await?.execution_arn, LIMIT, |_| ()).await?)
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
    assert!(ended.cause.is_some_and(|cause| cause.contains("hunter2")), "whoever asked gets the engine's text");
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
        each_end_of_an_execution_reaches_its_rules,
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
