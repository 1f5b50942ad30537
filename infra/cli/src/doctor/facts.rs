//! What is asked of AWS about a stack, and of its warehouse.

use serde_json::{Value, json};

use crate::Result;
use crate::audit::{self, Declaration};
use crate::aws::{Calls, Response};
use crate::stack::{ROLES, Stack};
use crate::warehouse::{Catalog, Warehouse};
use shared::sql::literal;

/// The rows of a query.
pub(super) type Rows = Result<Vec<Vec<Value>>>;

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
    pub(super) procedures: Rows,
    /// The audit tables.
    pub(super) tables: Vec<(String, Rows)>,
    /// The audits of ours that the stack calls, and what the warehouse has of them.
    pub(super) audits: Result<(Vec<Declaration>, Result<Catalog>)>,
}

/// A rule, and what it starts.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) check: &'static str,
    pub(super) rule: Response,
    pub(super) targets: Response,
}

const FUNCTIONS: [&str; 3] = ["ProcRunnerName", "StatusCheckerName", "OrdersAuditFnName"];
pub(super) async fn gather(aws: &mut Calls, stack: &Stack) -> Facts {
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
    let secret = stack.secret_user(aws).await;
    if secret.is_some() {
        for role in ROLES {
            secret_allowed.push((role, may_read_secret(aws, stack, role).await));
        }
    }
    let (caller, auditor) = stack.users(secret.as_ref());
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
    let audits = match audit::called(&stack.procedures()) {
        Ok(declared) => {
            let schemas: Vec<_> = declared.iter().flat_map(Declaration::schemas).collect();
            let catalog = match schemas.is_empty() {
                true => Ok(Catalog::default()),
                false => Warehouse::of(aws, stack, Some(4)).catalog(&schemas).await,
            };
            Ok((declared, catalog))
        }
        Err(error) => Err(error),
    };
    let mut tables = Vec::new();
    for (name, columns) in stack.audit_tables() {
        tables.push((name.to_owned(), query(aws, stack, &table_sql(name, &columns, &auditor)).await));
    }
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
        tables,
        audits,
    }
}

async fn rule(aws: &mut Calls, stack: &Stack, check: &'static str, logical_id: &str) -> Rule {
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

async fn may_read_secret(aws: &mut Calls, stack: &Stack, role: &str) -> Response {
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

/// Asks the stack's warehouse, with the rights of this shell's credentials.
async fn query(aws: &mut Calls, stack: &Stack, sql: &str) -> Result<Vec<Vec<Value>>> {
    Warehouse::of(aws, stack, Some(4)).run(sql).await
}

pub(super) fn procedures_sql(stack: &Stack, user: &str) -> String {
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

pub(super) fn table_sql(name: &str, columns: &[&str], user: &str) -> String {
    let table = name.replace('"', "");
    let columns: Vec<_> = columns.iter().map(|column| literal(&column.replace('"', "").to_lowercase())).collect();
    format!(
        "SELECT has_schema_privilege({user}, n.nspname, 'usage'), has_table_privilege({user}, c.oid, 'select'), \
         has_table_privilege({user}, c.oid, 'update'), a.attname IS NOT NULL, \
         (SELECT COUNT(*) FROM pg_attribute k WHERE k.attrelid = c.oid AND LOWER(k.attname) IN ({})) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = '{newest}' WHERE LOWER(n.nspname || '.' || c.relname) = LOWER({})",
        columns.join(", "),
        literal(&table),
        newest = NEWEST_COLUMN,
        user = literal(user)
    )
}
