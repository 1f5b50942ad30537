//! What is asked of AWS about a stack, and of its warehouse.

use std::collections::HashMap;

use serde_json::{Value, json};
use shared::TargetFields;

use super::aws::{Calls, Response};
use super::external::columns_sql;
use crate::Error;

/// A stack's own word about itself.
#[derive(Debug, Default)]
pub(super) struct Deployed {
    pub(super) name: String,
    pub(super) parameters: HashMap<String, String>,
    pub(super) outputs: HashMap<String, String>,
}

impl Deployed {
    /// From the answer of DescribeStacks.
    pub(super) fn read(name: &str, described: &Value) -> Self {
        let map = |list: &str, key: &str, value: &str| {
            let items = described["Stacks"][0][list].as_array().into_iter().flatten();
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            items.map(|item| (text(&item[key]), text(&item[value]))).collect()
        };
        Self {
            name: name.to_owned(),
            parameters: map("Parameters", "ParameterKey", "ParameterValue"),
            outputs: map("Outputs", "OutputKey", "OutputValue"),
        }
    }

    pub(super) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// The procedures that it calls by itself.
    pub(super) fn procedures(&self) -> Vec<&str> {
        let scheduled = (!self.parameter("FullAuditScheduleExpression").is_empty()).then_some("FullAuditProcedure");
        ["LoadProcedure", "AuditProcedure"].into_iter().chain(scheduled).map(|name| self.parameter(name)).collect()
    }

    pub(super) fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("", String::as_str)
    }
}

/// What AWS reports about the parts of a stack.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) functions: Vec<(&'static str, Response)>,
    /// What starts a load: events, and the clock if a schedule is configured.
    pub(super) rules: Vec<Rule>,
    /// Of the stack's own topic.
    pub(super) subscriptions: Response,
    /// Of the topic of the runs, if that is another one.
    pub(super) run_subscriptions: Option<Response>,
    pub(super) queue: Response,
    pub(super) execution: Response,
    /// Nothing if there is no gate.
    pub(super) workflow: Option<Response>,
    /// The secret's user name; nothing if there is no secret.
    pub(super) secret: Option<Response>,
    /// Whether the roles that submit statements may read it.
    pub(super) secret_allowed: Vec<(&'static str, Response)>,
    pub(super) procedures: Response,
    pub(super) table: Response,
    /// The columns of the external table; nothing if the audit is none of ours.
    pub(super) external: Option<Response>,
}

/// A rule, and what it starts.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) check: &'static str,
    pub(super) rule: Response,
    pub(super) targets: Response,
}

const FUNCTIONS: [&str; 3] = ["ProcRunnerName", "StatusCheckerName", "OrdersAuditFnName"];
/// The roles that submit statements.
pub(super) const ROLES: [&str; 2] = ["StatementRoleName", "AuditRoleName"];

pub(super) async fn gather(aws: &mut Calls, stack: &Deployed) -> Facts {
    let mut functions = Vec::new();
    for output in FUNCTIONS {
        let name = json!({"FunctionName": stack.output(output)});
        functions.push((output, aws.call("lambda", "get_function_configuration", name).await));
    }
    let mut rules = vec![rule(aws, stack, "trigger", "WorkflowFinished").await];
    if !stack.parameter("ScheduleExpression").is_empty() {
        rules.push(rule(aws, stack, "schedule", "Scheduled").await);
    }
    if !stack.parameter("FullAuditScheduleExpression").is_empty() {
        rules.push(rule(aws, stack, "full audit", "FullAudit").await);
    }
    let mut secret_allowed = Vec::new();
    let secret = match stack.parameter("SecretArn") {
        "" => None,
        arn => {
            let secret = aws.call("secretsmanager", "get_secret_value", json!({"SecretId": arn})).await;
            // Only the name leaves this line.
            let user = |text: &str| serde_json::from_str::<Value>(text).ok().map(|s| s["username"].clone());
            for role in ROLES {
                secret_allowed.push((role, may_read_secret(aws, stack, role).await));
            }
            Some(secret.map(|s| s["SecretString"].as_str().and_then(user).unwrap_or_default()))
        }
    };
    let (caller, auditor) = users(stack, secret.as_ref());
    let workflow = match stack.parameter("GlueWorkflowName") {
        "" => None,
        name => Some(jobs(aws, name).await),
    };
    let run_subscriptions = match stack.parameter("NotificationTopicArn") {
        "" => None,
        topic if topic == stack.output("TopicArn") => None,
        topic => Some(aws.call("sns", "list_subscriptions_by_topic", json!({"TopicArn": topic})).await),
    };
    let topic = json!({"TopicArn": stack.output("TopicArn")});
    let external = match columns_sql(stack) {
        Some(sql) => Some(query(aws, stack, &sql).await),
        None => None,
    };
    let queue = json!({"QueueUrl": stack.output("MissedEventsUrl"), "AttributeNames": ["ApproximateNumberOfMessages"]});
    Facts {
        functions,
        rules,
        subscriptions: aws.call("sns", "list_subscriptions_by_topic", topic).await,
        run_subscriptions,
        queue: aws.call("sqs", "get_queue_attributes", queue).await,
        execution: last_execution(aws, stack.output("StateMachineArn")).await,
        workflow,
        secret,
        secret_allowed,
        procedures: query(aws, stack, &procedures_sql(stack, &caller)).await,
        table: query(aws, stack, &table_sql(stack, &auditor)).await,
        external,
    }
}

async fn rule(aws: &mut Calls, stack: &Deployed, check: &'static str, logical_id: &str) -> Rule {
    let resource = json!({"StackName": stack.name, "LogicalResourceId": logical_id});
    let (rule, targets) = match aws.call("cloudformation", "describe_stack_resource", resource).await {
        Ok(resource) => {
            // Some engines give its ARN.
            let rule = resource["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap_or_default();
            let rule = rule.rsplit('/').next().unwrap_or_default();
            let described = aws.call("events", "describe_rule", json!({"Name": rule})).await;
            (described, aws.call("events", "list_targets_by_rule", json!({"Rule": rule})).await)
        }
        Err(error) => (Err(error), Ok(Value::Null)),
    };
    Rule { check, rule, targets }
}

/// The jobs of a workflow: what its triggers start.
async fn jobs(aws: &mut Calls, workflow: &str) -> Response {
    aws.call("glue", "get_workflow", json!({"Name": workflow})).await?;
    let triggers = aws.call("glue", "get_triggers", json!({})).await?;
    let triggers = triggers["Triggers"].as_array().into_iter().flatten().filter(|t| t["WorkflowName"] == *workflow);
    let actions = triggers.flat_map(|t| t["Actions"].as_array().into_iter().flatten());
    Ok(actions.filter_map(|action| action["JobName"].as_str()).collect())
}

async fn may_read_secret(aws: &mut Calls, stack: &Deployed, role: &str) -> Response {
    let role = aws.call("iam", "get_role", json!({"RoleName": stack.output(role)})).await?;
    let simulate = json!({
        "PolicySourceArn": role["Role"]["Arn"], "ActionNames": ["secretsmanager:GetSecretValue"],
        "ResourceArns": [stack.parameter("SecretArn")],
    });
    aws.call("iam", "simulate_principal_policy", simulate).await
}

async fn last_execution(aws: &mut Calls, machine: &str) -> Response {
    let list = json!({"stateMachineArn": machine, "PaginationConfig": {"MaxItems": 1}});
    let list = aws.call("stepfunctions", "list_executions", list).await?;
    match list["executions"][0]["executionArn"].as_str() {
        Some(arn) => aws.call("stepfunctions", "describe_execution", json!({"executionArn": arn})).await,
        None => Ok(Value::Null),
    }
}

/// Runs a query on the stack's warehouse, with the rights of this shell's credentials.
async fn query(aws: &mut Calls, stack: &Deployed, sql: &str) -> Response {
    const LOOKS: usize = 4;
    let mut request = json!({"Sql": sql, "WaitTimeSeconds": 20});
    for parameter in TargetFields::NAMES {
        if !stack.parameter(parameter).is_empty() {
            request[parameter] = json!(stack.parameter(parameter));
        }
    }
    let submitted = aws.call("redshift-data", "execute_statement", request).await?;
    let id = &submitted["Id"];
    for _ in 0..LOOKS {
        let look = aws.call("redshift-data", "describe_statement", json!({"Id": id, "WaitTimeSeconds": 20})).await?;
        match look["Status"].as_str().unwrap_or_default() {
            "FINISHED" => return aws.call("redshift-data", "get_statement_result", json!({"Id": id})).await,
            "FAILED" | "ABORTED" => return Err(Error::new(look["Error"].as_str().unwrap_or("no reason given"))),
            _ => {}
        }
    }
    Err(Error::new(format!("the query {id} has not ended; the warehouse may be starting: try again")))
}

/// The database users: who calls the procedures, and who works on the audit table.
pub(super) fn users(stack: &Deployed, secret: Option<&Response>) -> (String, String) {
    let named = secret.and_then(|s| s.as_ref().ok()).and_then(Value::as_str);
    let named = named.or(Some(stack.parameter("DbUser")).filter(|user| !user.is_empty()));
    // A role's user in the database. [Amazon Redshift Management Guide]
    let of = |role| named.map_or_else(|| format!("IAMR:{}", stack.output(role)), str::to_owned);
    let [caller, auditor] = ROLES.map(of);
    (caller, auditor)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn procedures_sql(stack: &Deployed, user: &str) -> String {
    let names: Vec<_> = stack.procedures().iter().map(|name| literal(&name.replace('"', ""))).collect();
    format!(
        "SELECT n.nspname || '.' || p.proname, has_schema_privilege({user}, n.nspname, 'usage'), \
         has_function_privilege({user}, p.oid, 'execute') FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname || '.' || p.proname IN ({})",
        names.join(", "),
        user = literal(user)
    )
}

/// A column that an audit table from before its last migration does not have.
pub(super) const NEWEST_COLUMN: &str = "row_count";

pub(super) fn table_sql(stack: &Deployed, user: &str) -> String {
    let table = stack.parameter("AuditTable").replace('"', "");
    format!(
        "SELECT has_schema_privilege({user}, n.nspname, 'usage'), has_table_privilege({user}, c.oid, 'select'), \
         has_table_privilege({user}, c.oid, 'update'), a.attname IS NOT NULL \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = '{newest}' WHERE n.nspname || '.' || c.relname = {}",
        literal(&table),
        newest = NEWEST_COLUMN,
        user = literal(user)
    )
}
