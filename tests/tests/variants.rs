//! Every example of `infra/parameters`, deployed and executed on the local stack with IAM enforced; and what
//! its roles allow, which is what it uses and no more.
//!
//! Glue and EMR answer from MiniStack's mocked service integrations, since it has no workflow runs and no
//! EMR steps; all else is real.

use std::collections::{BTreeSet, HashMap};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use redshift_local::aws_cli::Cli;
use redshift_local::stack::deploy::{Outputs, deploy};
use redshift_local::stack::execution::{Ended, follow};
use redshift_local::stack::notifications::{Inbox, settle};
use redshift_local::stack::{CLUSTER, Options, REGION, Stack, WORKGROUP, project, tools};
use serde_json::{Value, json};
use tests::moto::post_json;
use tests::{Any, Outcome, failed, run, tests};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(60);
const ACCOUNT: &str = "000000000000";
const RUN_ID: &str = "wr_0123456789abcdef";

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
        let text = std::fs::read_to_string(project("infra/parameters").join(format!("{name}.txt")))?;
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
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
        let text = |resource: &Value, key: &str| resource[key].as_str().unwrap_or_default().to_owned();
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

    /// Starts the default list by the event of the last job, with this answer of Glue.
    async fn execute(&self, stack: &Stack, statistics: Value) -> Any<Ended> {
        let last_run = json!({"WorkflowRunId": RUN_ID, "StartedOn": "2026-01-01T00:00:00Z", "Status": "COMPLETED",
                              "Statistics": statistics});
        let machine = format!("{}-loader", self.name);
        let config = json!({
            "StateMachines": {machine: {"TestCases": {"Mocked": {"GetWorkflow": "workflow", "RunStep": "step"}}}},
            "MockedResponses": {
                "workflow": {"0": {"Return": {"Workflow": {"Name": "w", "LastRun": last_run}}}},
                "step": {"0": {"Return": {"Step": {"Id": "s-1", "Status": {"State": "COMPLETED"}}}}},
            },
        });
        let url = format!("{}/_ministack/config", stack.aws_url());
        post_json(&url, &json!({"stepfunctions._sfn_mock_config": config})).await?;
        let sfn = aws_sdk_sfn::Client::new(&stack.aws);
        let event = json!({"detail-type": "Glue Job State Change", "time": "2026-01-01T01:00:00Z",
                           "detail": {"jobName": "new-orders-last-job", "state": "SUCCEEDED"}});
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
        assert_eq!((entered("GetWorkflow"), entered("RunStep")), (gate, step), "{}: {:?}", self.name, ended.states);
        settle().await;
        let received = inbox.take(4).await?;
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
            assert_eq!(inbox.take(1).await?[0].subject, "Redshift load failed");
        }
        Ok(())
    }

    /// The metrics that a function has printed, by name.
    async fn metrics(&self, stack: &Stack, logs: &str) -> Any<HashMap<String, Value>> {
        let group = &self.resources[logs];
        let events =
            Cli::local(&stack.aws_url()).call(&["logs", "filter-log-events", "--log-group-name", group]).await?;
        let messages = events["events"].as_array().into_iter().flatten().filter_map(|e| e["message"].as_str());
        let lines = messages.filter_map(|message| serde_json::from_str::<Value>(message).ok());
        let mut metrics = HashMap::new();
        for line in lines.filter(|line| line["_aws"]["CloudWatchMetrics"].is_array()) {
            assert_eq!(line["Stack"], *self.name);
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().into_iter().flatten() {
                let name = metric["Name"].as_str().unwrap_or_default();
                metrics.insert(name.to_owned(), line[name].clone());
            }
        }
        Ok(metrics)
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
        let glue = ["glue:GetWorkflow", "glue:GetWorkflowRun", "glue:GetWorkflowRuns"];
        let emr = ["elasticmapreduce:AddJobFlowSteps", "elasticmapreduce:DescribeStep", "elasticmapreduce:CancelSteps"];
        if self.has("GlueWorkflowName") {
            may("LoaderRole", &glue, &arn("glue", &format!("workflow/{}", self.parameter("GlueWorkflowName"))));
        }
        if self.has("EmrClusterId") {
            may("LoaderRole", &emr, &arn("elasticmapreduce", &format!("cluster/{}", self.parameter("EmrClusterId"))));
            let rule = arn("events", "rule/StepFunctionsGetEventForEMRAddJobFlowStepsRule");
            may("LoaderRole", &["events:PutTargets", "events:PutRule", "events:DescribeRule"], &rule);
        }

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
            must_not(role, &["kms:Decrypt"], &arn("kms", &format!("key/{another}")));
            must_not(
                role,
                &["glue:GetWorkflow", "glue:StartWorkflowRun"],
                &arn("glue", &format!("workflow/{another}")),
            );
            must_not(role, &emr[..1], &arn("elasticmapreduce", &format!("cluster/{another}")));
            must_not(role, &["iam:PassRole", "sts:AssumeRole", "s3:GetObject", "logs:CreateLogGroup"], "*");
        }
        must_not("StatementRole", &["sns:Publish"], topic);
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

/// The rule takes the last job's success and our own event for the workflow, and nothing else of either.
/// MiniStack mocks no execution that an event has started, and has no workflow runs: the gate is closed.
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
    for (detail_type, detail, looks) in [
        (job, json!({"jobName": "new-orders-last-job", "state": "SUCCEEDED"}), "GetWorkflow"),
        (workflow, json!({"workflowName": "new-orders-workflow-nrt", "workflowRunId": RUN_ID}), "GivenRun"),
    ] {
        let known = executions().await?;
        put(detail_type, detail).await?;
        let all = executions().await?;
        let new: Vec<_> = all.iter().filter(|arn| !known.contains(arn)).collect();
        assert_eq!(new.len(), 1, "{detail_type}");
        let ended = follow(&sfn, new[0], LIMIT, |_| ()).await?;
        assert!(ended.states.iter().any(|state| state == looks), "{detail_type}: {:?}", ended.states);
        assert_eq!(ended.error.as_deref(), Some("WorkflowLookupFailed"), "{:?}", ended.cause);
    }
    Ok(())
}

/// What was found, and who was told, is in the warehouse: a change to the stack, and its end, leave it.
/// What there was to measure is in the logs.
async fn a_change_to_the_stack_keeps_the_audit(stack: &Stack) -> Outcome {
    let name = "serverless-secret";
    let variant = Variant::deploy(stack, name).await?;
    variant.runs(stack).await?;
    let runner = variant.metrics(stack, "ProcRunnerLogs").await?;
    assert!(runner["LoadSeconds"].is_f64() && runner["Attempts"] == 1.0, "{runner:?}");
    let audit = variant.metrics(stack, "OrdersAuditFnLogs").await?;
    for (name, value) in [("UnresolvedRuns", 4.0), ("AuditMismatches", 4.0), ("Notifications", 4.0)] {
        assert_eq!(audit[name], value, "{audit:?}");
    }
    assert!(audit["UnresolvedHours"].as_f64().is_some_and(|hours| (0.0..1.0).contains(&hours)), "{audit:?}");
    let marked =
        async || stack.warehouse.number("SELECT COUNT(*) FROM dev.orders_audit WHERE status = 'NOTIFIED'").await;
    assert_eq!(marked().await?, 4);
    let change = ["RemindAfterHours=24".to_owned(), "LogLevel=DEBUG".to_owned()];
    deploy(&stack.aws_url(), stack.dir.path(), name, &change).await?;
    let ended = variant.execute(stack, json!({})).await?;
    assert_eq!(ended.output, json!({"UnresolvedRuns": 4, "Notified": 0}), "nobody is told again");
    let cli = Cli::local(&stack.aws_url());
    cli.call(&["cloudformation", "delete-stack", "--stack-name", name]).await?;
    cli.call(&["cloudformation", "wait", "stack-delete-complete", "--stack-name", name]).await?;
    assert_eq!(marked().await?, 4);
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
        a_change_to_the_stack_keeps_the_audit,
    ];
    let start = async || {
        let options = Options { wait_scale: Some(0.02), ..Options::default() };
        Stack::start(&options, |_| ()).await.expect("the stack")
    };
    run(tests, start, async |stack: Stack| stack.stop().await)
}
