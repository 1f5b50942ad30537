//! Every example of `infra/parameters`, deployed and executed on the local stack with IAM enforced; and what
//! its roles allow, which is what it uses and no more.
//!
//! Glue's runs are those of a server of the tests, and EMR answers from MiniStack's mocked service integrations, since
//! MiniStack has no workflow runs that complete and no EMR steps; all else is real.

mod events;
mod logs;
mod monitoring;
mod parameters;
mod roles;

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
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tests::glue::{self, Glue};
use tests::{Any, Outcome, as_role, failed, run, tests};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use events::*;
use logs::*;
use monitoring::*;
use parameters::*;
use roles::*;

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
        let outputs = deploy(stack.cli(), stack.dir.path(), name, &values).await?;
        let resources = ["cloudformation", "describe-stack-resources", "--stack-name", name];
        let resources = stack.cli().call(&resources).await?;
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
        stack.configure(&json!({"stepfunctions._sfn_mock_config": config})).await?;
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
        // Each role finds what it ran, and nothing of another's.
        let prefix = execution_prefix(&ended.arn);
        for (role, is_audit) in [("StatementRoleName", false), ("AuditRoleName", true)] {
            let role = self.outputs.get(role);
            let list = json!({"Status": "ALL", "StatementName": prefix});
            let listed = as_role(stack, role, "ListStatements", list).await.map_err(|f| failed(f.message))?;
            let names: Vec<_> =
                listed["Statements"].as_array().into_iter().flatten().map(|s| text(s, "StatementName")).collect();
            let of_audit = |name: &String| name.starts_with(&format!("{prefix}notify/"));
            assert!(!names.is_empty() && names.iter().all(|name| of_audit(name) == is_audit), "{role}: {names:?}");
            let found = as_role(stack, role, "DescribeStatement", json!({"Id": id})).await.map_err(|f| f.message);
            assert_eq!(found.is_err(), is_audit, "{role}: {found:?}");
        }
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
        let events = stack.cli().call(&["logs", "filter-log-events", "--log-group-name", group]).await?;
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
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
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
        the_audit_of_everything_runs_by_its_own_schedule,
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
        a_chat_is_told_what_people_are_told,
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
