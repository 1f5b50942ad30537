//! What the roles allow, and who may assume them.

use super::*;

impl Variant {
    /// Its roles allow what they use, and nothing else.
    pub(crate) async fn is_least(&self, stack: &Stack) -> Outcome {
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
    pub(crate) async fn is_trusted(&self, stack: &Stack) -> Outcome {
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

    /// What the code calls, and what it must not be able to.
    pub(crate) fn questions(&self, secret: &str) -> Vec<Question> {
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
        may("AuditRole", &["sqs:SendMessage"], &arn("sqs", queue));
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
pub(crate) struct Question {
    pub(crate) role: String,
    pub(crate) actions: Vec<String>,
    pub(crate) resource: String,
    pub(crate) allowed: bool,
}

impl Question {
    pub(crate) fn new(variant: &Variant, role: &str, actions: &[&str], resource: &str, allowed: bool) -> Self {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        Self { role: variant.resources[role].clone(), actions, resource: resource.to_owned(), allowed }
    }

    pub(crate) fn json(&self) -> Value {
        json!({"role": self.role, "actions": self.actions, "resource": self.resource})
    }
}

/// Asks the local AWS, by one process for all questions.
pub(crate) async fn ask(stack: &Stack, script: &str, questions: &Value) -> Any<Value> {
    let mut python = Command::new(tools::python_tool("python")?);
    python.arg(project("tests/iam").join(script)).stdin(Stdio::piped()).stdout(Stdio::piped());
    python.envs(stack.environment());
    let mut child = python.spawn()?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    stdin.write_all(questions.to_string().as_bytes()).await?;
    drop(stdin);
    Ok(serde_json::from_slice(&child.wait_with_output().await?.stdout)?)
}
