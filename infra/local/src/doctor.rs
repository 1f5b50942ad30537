//! `make doctor`: looks at a deployed stack and says what is wrong, and how to mend it.
//!
//! `gather` asks AWS, `diagnose` decides. What cannot be asked is said, and hides nothing else. It asks
//! through boto3, which the local stack's tools bring: a dozen services for a dozen questions are minutes of
//! compiling as crates.

use std::collections::HashMap;
use std::fmt;

use std::process::Stdio;

use serde_json::{Value, json};
use shared::TargetFields;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::stack::{StackError, project, tools};

/// What was found out, each by its own question.
type Answer = std::result::Result<Value, StackError>;

/// AWS, as the environment says where and who.
struct Calls {
    _python: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Calls {
    fn start(environment: &[(&str, &str)]) -> std::result::Result<Self, StackError> {
        let mut python = Command::new(tools::python_tool("python")?);
        python.arg(project("infra/local/src/aws_calls.py")).envs(environment.iter().copied());
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut python = python.spawn().map_err(|e| StackError::doing("start Python", e))?;
        let (Some(requests), Some(answers)) = (python.stdin.take(), python.stdout.take()) else {
            return Err(StackError::new("Python takes no input"));
        };
        Ok(Self { _python: python, requests, answers: BufReader::new(answers).lines() })
    }

    async fn call(&mut self, service: &str, operation: &str, parameters: Value) -> Answer {
        let request = format!("{}\n", json!([service, operation, parameters]));
        let failed = |e: std::io::Error| StackError::doing("ask AWS", e);
        self.requests.write_all(request.as_bytes()).await.map_err(failed)?;
        let line = self.answers.next_line().await.map_err(failed)?.unwrap_or_default();
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_default();
        match answer["error"].as_str() {
            Some(error) => Err(StackError::new(error)),
            None => Ok(answer["ok"].take()),
        }
    }
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Well,
    /// Could not be checked, or may be meant.
    Doubtful,
    /// Wrong.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub check: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was seen.
    pub text: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Well => "ok",
            Verdict::Doubtful => "warn",
            Verdict::Wrong => "FAIL",
        };
        write!(f, "{word:<5} {:<15} {}", self.check, self.text)?;
        for line in self.mend.lines() {
            write!(f, "\n      {line}")?;
        }
        Ok(())
    }
}

fn well(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Well, text: text.into(), mend: String::new() }
}

fn doubtful(check: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Doubtful, text: text.into(), mend: mend.into() }
}

fn wrong(check: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Wrong, text: text.into(), mend: mend.into() }
}

/// Checks the stack that this shell's region and credentials have, and prints what it found.
///
/// # Errors
/// Where something is wrong.
pub async fn doctor(stack: &str, mut print: impl FnMut(&str)) -> crate::stack::Result<()> {
    let findings = examine(stack, &[]).await?;
    for finding in &findings {
        print(&finding.to_string());
    }
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    match count(Verdict::Wrong) {
        0 => {
            print(&format!("\nnothing is wrong; {} of {} checks in doubt", count(Verdict::Doubtful), findings.len()));
            Ok(())
        }
        failed => Err(StackError::new(format!("{failed} of {} checks failed", findings.len()))),
    }
}

/// What is to be said about a stack; `environment` comes on top of the shell's.
///
/// # Errors
/// Where nothing can be asked: a missing tool.
pub async fn examine(stack: &str, environment: &[(&str, &str)]) -> crate::stack::Result<Vec<Finding>> {
    let mut aws = Calls::start(environment)?;
    let described = aws.call("cloudformation", "describe_stacks", json!({"StackName": stack})).await;
    let (finding, deployed) = deployed(stack, &described);
    let Some(deployed) = deployed else { return Ok(vec![finding]) };
    let facts = gather(&mut aws, &deployed).await;
    let mut findings = vec![finding];
    findings.extend(diagnose(&deployed, &facts));
    Ok(findings)
}

/// A stack's own word about itself.
#[derive(Debug, Default)]
pub struct Deployed {
    name: String,
    parameters: HashMap<String, String>,
    outputs: HashMap<String, String>,
}

impl Deployed {
    fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("", String::as_str)
    }
}

fn deployed(name: &str, described: &Answer) -> (Finding, Option<Deployed>) {
    let stack = match described {
        Ok(value) => &value["Stacks"][0],
        Err(error) => {
            let mend = "Name the stack (make doctor STACK=...), and look at this shell's region and credentials.";
            return (wrong("stack", error.to_string(), mend), None);
        }
    };
    let map = |list: &str, key: &str, value: &str| {
        let items = stack[list].as_array().into_iter().flatten();
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        items.map(|item| (text(&item[key]), text(&item[value]))).collect()
    };
    let deployed = Deployed {
        name: name.to_owned(),
        parameters: map("Parameters", "ParameterKey", "ParameterValue"),
        outputs: map("Outputs", "OutputKey", "OutputValue"),
    };
    let status = stack["StackStatus"].as_str().unwrap_or_default();
    let finding = match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" => well("stack", format!("{name} is {status}")),
        _ => {
            let mend = format!("See why: aws cloudformation describe-stack-events --stack-name {name}");
            wrong("stack", format!("{name} is {status}"), mend)
        }
    };
    (finding, Some(deployed))
}

/// What AWS says about the parts of a stack.
#[derive(Debug)]
pub struct Facts {
    functions: Vec<(&'static str, Answer)>,
    /// What starts a load: events, and the clock where a schedule is configured.
    rules: Vec<Rule>,
    /// Of the stack's own topic.
    subscriptions: Answer,
    /// Of the topic of the runs, where that is another one.
    run_subscriptions: Option<Answer>,
    queue: Answer,
    execution: Answer,
    /// Nothing where there is no gate.
    workflow: Option<Answer>,
    /// The secret's user name; nothing where there is no secret.
    secret: Option<Answer>,
    /// Whether the roles that submit statements may read it.
    secret_allowed: Vec<(&'static str, Answer)>,
    procedures: Answer,
    table: Answer,
}

/// A rule, and what it starts.
#[derive(Debug)]
struct Rule {
    check: &'static str,
    rule: Answer,
    targets: Answer,
}

const FUNCTIONS: [&str; 3] = ["ProcRunnerName", "StatusCheckerName", "OrdersAuditFnName"];
/// The roles that submit statements.
const ROLES: [&str; 2] = ["StatementRoleName", "AuditRoleName"];

async fn gather(aws: &mut Calls, stack: &Deployed) -> Facts {
    let mut functions = Vec::new();
    for output in FUNCTIONS {
        let name = json!({"FunctionName": stack.output(output)});
        functions.push((output, aws.call("lambda", "get_function_configuration", name).await));
    }
    let mut rules = vec![rule(aws, stack, "trigger", "WorkflowFinished").await];
    if !stack.parameter("ScheduleExpression").is_empty() {
        rules.push(rule(aws, stack, "schedule", "Scheduled").await);
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
async fn jobs(aws: &mut Calls, workflow: &str) -> Answer {
    aws.call("glue", "get_workflow", json!({"Name": workflow})).await?;
    let triggers = aws.call("glue", "get_triggers", json!({})).await?;
    let triggers = triggers["Triggers"].as_array().into_iter().flatten().filter(|t| t["WorkflowName"] == *workflow);
    let actions = triggers.flat_map(|t| t["Actions"].as_array().into_iter().flatten());
    Ok(actions.filter_map(|action| action["JobName"].as_str()).collect())
}

async fn may_read_secret(aws: &mut Calls, stack: &Deployed, role: &str) -> Answer {
    let role = aws.call("iam", "get_role", json!({"RoleName": stack.output(role)})).await?;
    let simulate = json!({
        "PolicySourceArn": role["Role"]["Arn"], "ActionNames": ["secretsmanager:GetSecretValue"],
        "ResourceArns": [stack.parameter("SecretArn")],
    });
    aws.call("iam", "simulate_principal_policy", simulate).await
}

async fn last_execution(aws: &mut Calls, machine: &str) -> Answer {
    let list = json!({"stateMachineArn": machine, "PaginationConfig": {"MaxItems": 1}});
    let list = aws.call("stepfunctions", "list_executions", list).await?;
    match list["executions"][0]["executionArn"].as_str() {
        Some(arn) => aws.call("stepfunctions", "describe_execution", json!({"executionArn": arn})).await,
        None => Ok(Value::Null),
    }
}

/// Runs a query where the stack's statements run, with the rights of whoever asks here.
async fn query(aws: &mut Calls, stack: &Deployed, sql: &str) -> Answer {
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
            "FAILED" | "ABORTED" => return Err(StackError::new(look["Error"].as_str().unwrap_or("no reason given"))),
            _ => {}
        }
    }
    Err(StackError::new(format!("the query {id} has not ended; the warehouse may be starting: try again")))
}

/// The database users: who calls the procedures, and who works on the audit table.
fn users(stack: &Deployed, secret: Option<&Answer>) -> (String, String) {
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

fn procedures_sql(stack: &Deployed, user: &str) -> String {
    let names = ["LoadProcedure", "AuditProcedure"].map(|p| literal(&stack.parameter(p).replace('"', "")));
    format!(
        "SELECT n.nspname || '.' || p.proname, has_schema_privilege({user}, n.nspname, 'usage'), \
         has_function_privilege({user}, p.oid, 'execute') FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname || '.' || p.proname IN ({})",
        names.join(", "),
        user = literal(user)
    )
}

/// A column that an audit table from before its last migration does not have: of ours what its audit writes,
/// of another what orders-audit-fn needs.
fn newest_column(table: &str) -> &'static str {
    if table == "dev.orders_audit" { "values_md5" } else { "closed_by" }
}

fn table_sql(stack: &Deployed, user: &str) -> String {
    let table = stack.parameter("AuditTable").replace('"', "");
    format!(
        "SELECT has_schema_privilege({user}, n.nspname, 'usage'), has_table_privilege({user}, c.oid, 'select'), \
         has_table_privilege({user}, c.oid, 'update'), a.attname IS NOT NULL \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = '{newest}' WHERE n.nspname || '.' || c.relname = {}",
        literal(&table),
        newest = newest_column(&table),
        user = literal(user)
    )
}

/// What a user needs to call procedures and to work on the audit table, ready to paste.
pub fn grants(user: &str, procedures: &[&str], table: Option<&str>) -> String {
    let user = format!("\"{}\"", user.replace('"', "\"\""));
    let mut schemas: Vec<_> = procedures.iter().copied().chain(table).filter_map(|n| n.split('.').next()).collect();
    schemas.dedup();
    let schemas = schemas.into_iter().map(|schema| format!("GRANT USAGE ON SCHEMA {schema} TO {user};\n"));
    let calls = procedures.iter().map(|name| format!("GRANT EXECUTE ON PROCEDURE {name}() TO {user};\n"));
    let table = table.map(|name| format!("GRANT SELECT, UPDATE ON {name} TO {user};\n"));
    schemas.chain(calls).chain(table).collect()
}

/// What the facts say about the stack.
pub fn diagnose(stack: &Deployed, facts: &Facts) -> Vec<Finding> {
    let mut all = vec![functions(stack, facts), role(facts)];
    all.extend(facts.rules.iter().map(|rule| trigger(stack, rule)));
    all.extend(facts.workflow.as_ref().map(|answer| workflow(stack, answer)));
    all.extend(facts.secret.as_ref().map(|answer| secret(stack, answer, &facts.secret_allowed)));
    let (caller, auditor) = users(stack, facts.secret.as_ref());
    all.push(procedures(stack, &facts.procedures, &caller));
    all.push(table(stack, &facts.table, &auditor));
    all.push(subscriptions("topic", stack.output("TopicArn"), &facts.subscriptions));
    let runs = facts.run_subscriptions.as_ref();
    all.extend(runs.map(|answer| subscriptions("topic of runs", stack.parameter("NotificationTopicArn"), answer)));
    all.extend([missed_events(stack, &facts.queue), execution(&facts.execution)]);
    all
}

fn functions(stack: &Deployed, facts: &Facts) -> Finding {
    const CHECK: &str = "functions";
    let redeploy = format!("Deploy again: make deploy STACK={} ...", stack.name);
    for (output, answer) in &facts.functions {
        let name = stack.output(output);
        match answer {
            Err(error) => return wrong(CHECK, format!("{name}: {error}"), redeploy),
            Ok(function) => {
                let is = |field: &str, good: &str| function[field].as_str().is_none_or(|state| state == good);
                if function["State"] == "Pending" || function["LastUpdateStatus"] == "InProgress" {
                    return doubtful(CHECK, format!("{name} is being updated"), "Ask again in a moment.");
                }
                if !is("State", "Active") || !is("LastUpdateStatus", "Successful") {
                    let text =
                        format!("{name} is {} and its update {}", function["State"], function["LastUpdateStatus"]);
                    return wrong(CHECK, text, redeploy);
                }
            }
        }
    }
    well(CHECK, "all three are there and active")
}

fn role(facts: &Facts) -> Finding {
    const CHECK: &str = "role";
    let roles: Vec<_> =
        facts.functions[..2].iter().map(|(_, f)| f.as_ref().ok().and_then(|f| f["Role"].as_str())).collect();
    match roles[..] {
        [Some(runner), Some(checker)] if runner == checker => well(CHECK, "proc-runner and status-checker share one"),
        [Some(runner), Some(checker)] => wrong(
            CHECK,
            format!("proc-runner runs as {runner}, status-checker as {checker}"),
            "A statement belongs to the role that ran it: give both the stack's StatementRole (deploy again).",
        ),
        _ => doubtful(CHECK, "cannot be told without both functions", ""),
    }
}

fn trigger(stack: &Deployed, Rule { check, rule, targets }: &Rule) -> Finding {
    let check = *check;
    let rule = match rule {
        Ok(rule) => rule,
        Err(error) => return wrong(check, error.to_string(), "Without the rule nothing starts a load: deploy again."),
    };
    let name = rule["Name"].as_str().unwrap_or_default();
    if rule["State"] != "ENABLED" {
        return wrong(check, format!("{name} is {}", rule["State"]), format!("aws events enable-rule --name {name}"));
    }
    let targets = targets.as_ref().ok().and_then(|t| t["Targets"].as_array());
    let machine = stack.output("StateMachineArn");
    if !targets.into_iter().flatten().any(|target| target["Arn"] == *machine) {
        return wrong(check, format!("{name} does not start the state machine"), "Deploy again: its target is gone.");
    }
    match (rule["ScheduleExpression"].as_str().filter(|schedule| !schedule.is_empty()), stack.parameter("GlueJobName"))
    {
        (Some(schedule), _) => well(check, format!("{name} starts a load at {schedule}")),
        (None, "") => well(check, format!("{name} waits for our own event \"Glue Workflow Completed\"")),
        (None, job) => well(check, format!("{name} waits for job {job}")),
    }
}

fn workflow(stack: &Deployed, answer: &Answer) -> Finding {
    const CHECK: &str = "workflow";
    let (name, job) = (stack.parameter("GlueWorkflowName"), stack.parameter("GlueJobName"));
    let jobs: Vec<_> = match answer {
        Ok(jobs) => jobs.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        Err(error) => return wrong(CHECK, format!("{name}: {error}"), "Deploy with the right GlueWorkflowName."),
    };
    match () {
        () if job.is_empty() => well(CHECK, format!("{name} is there; its end is told by our own event")),
        () if jobs.is_empty() => {
            doubtful(CHECK, format!("no trigger of {name} starts a job"), "Look at the workflow's triggers.")
        }
        () if jobs.contains(&job) => well(CHECK, format!("{job} is a job of {name}")),
        () => wrong(
            CHECK,
            format!("{job} is no job of {name}; it has {}", jobs.join(", ")),
            "The rule waits for a job that never runs: deploy with the workflow's last job as GlueJobName.",
        ),
    }
}

fn secret(stack: &Deployed, answer: &Answer, allowed: &[(&str, Answer)]) -> Finding {
    const CHECK: &str = "secret";
    let arn = stack.parameter("SecretArn");
    match answer {
        Err(error) => return wrong(CHECK, format!("{arn}: {error}"), "Restore it, or deploy with another SecretArn."),
        Ok(user) if !user.is_string() => {
            return wrong(CHECK, format!("{arn} has no username"), "It has to hold JSON with username and password.");
        }
        Ok(_) => {}
    }
    let mut verdict = well(CHECK, "is there, and both roles that submit statements may read it");
    for (role, answer) in allowed {
        match answer.as_ref().ok().and_then(|a| a["EvaluationResults"][0]["EvalDecision"].as_str()) {
            Some("allowed") => {}
            Some(decision) => {
                let text = format!("{}: {decision}", stack.output(role));
                return wrong(CHECK, text, "Deploy again with this SecretArn.");
            }
            None => {
                let text = "is there; whether the roles may read it cannot be simulated with these credentials";
                verdict = doubtful(CHECK, text, "");
            }
        }
    }
    verdict
}

fn rows(answer: &Value) -> Vec<&Vec<Value>> {
    answer["Records"].as_array().into_iter().flatten().filter_map(Value::as_array).collect()
}

/// A privilege in a row; what is neither true nor false is not granted.
fn granted(field: &Value) -> bool {
    field["booleanValue"] == true
}

/// Why the database did not answer.
fn unanswered(check: &'static str, error: &StackError, user: &str, grants: String) -> Finding {
    let text = error.to_string();
    if text.contains(&format!("\"{user}\" does not exist")) {
        let mend = format!(
            "An IAMR: user exists after its role's first call; create others. Then:\nCREATE USER \"{user}\" PASSWORD DISABLE;\n{grants}"
        );
        return wrong(check, format!("the database user {user} does not exist"), mend);
    }
    if text.contains("has_function_privilege") || text.contains("has_schema_privilege") {
        return doubtful(check, format!("the warehouse does not tell privileges: {text}"), grants);
    }
    wrong(check, text, "The warehouse did not answer: look at workgroup or cluster, database and credentials.")
}

fn procedures(stack: &Deployed, answer: &Answer, user: &str) -> Finding {
    const CHECK: &str = "procedures";
    let names = ["LoadProcedure", "AuditProcedure"].map(|p| stack.parameter(p));
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return unanswered(CHECK, error, user, grants(user, &names, None)),
    };
    let found = rows(answer);
    let row = |name: &str| {
        let name = name.replace('"', "");
        found.iter().find(|row| row[0]["stringValue"] == *name)
    };
    let missing: Vec<_> = names.into_iter().filter(|name| row(name).is_none()).collect();
    if !missing.is_empty() {
        let mend = "Run infra/sql/procedures.sql, or deploy with the names of yours.";
        return wrong(CHECK, format!("not in the warehouse: {}", missing.join(", ")), mend);
    }
    let refused: Vec<_> =
        names.into_iter().filter(|name| row(name).is_some_and(|row| !row[1..].iter().all(granted))).collect();
    if refused.is_empty() {
        return well(CHECK, format!("{user} may call {}", names.join(" and ")));
    }
    wrong(CHECK, format!("{user} may not call {}", refused.join(", ")), grants(user, &refused, None))
}

fn table(stack: &Deployed, answer: &Answer, user: &str) -> Finding {
    const CHECK: &str = "audit table";
    let name = stack.parameter("AuditTable");
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return unanswered(CHECK, error, user, grants(user, &[], Some(name))),
    };
    match rows(answer).first() {
        None => wrong(CHECK, format!("{name} is not in the warehouse"), "Run infra/sql/tables.sql and procedures.sql."),
        Some(row) if !row[..3].iter().all(granted) => {
            wrong(CHECK, format!("{user} may not read and mark {name}"), grants(user, &[], Some(name)))
        }
        Some(row) if !granted(&row[3]) => wrong(
            CHECK,
            format!("{name} has no column {}: it is older than infra/sql", newest_column(name)),
            match name {
                "dev.orders_audit" => "As its owner: CALL dev.migrate_orders_audit_sp();",
                _ => "Give it the columns that dev.orders_audit has in infra/sql/tables.sql.",
            },
        ),
        Some(_) => well(CHECK, format!("{user} may read and mark {name}")),
    }
}

fn subscriptions(check: &'static str, topic: &str, answer: &Answer) -> Finding {
    let subscribe =
        format!("aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint you@example.com");
    let list = match answer {
        Ok(list) => list["Subscriptions"].as_array().cloned().unwrap_or_default(),
        Err(error) => {
            return wrong(check, error.to_string(), "Without this topic nobody is told: deploy again with one.");
        }
    };
    // In place of the ARN it says PendingConfirmation. [SNS API reference, "Subscription"]
    let confirmed = list.iter().filter(|s| s["SubscriptionArn"].as_str().is_some_and(|arn| arn.starts_with("arn:")));
    match (confirmed.count(), list.len()) {
        (0, 0) => wrong(check, "nobody is subscribed", subscribe),
        (0, n) => {
            wrong(check, format!("none of {n} subscriptions is confirmed"), "Open the link in the confirmation mail.")
        }
        (n, _) => well(check, format!("{n} confirmed {}", if n == 1 { "subscription" } else { "subscriptions" })),
    }
}

fn missed_events(stack: &Deployed, answer: &Answer) -> Finding {
    const CHECK: &str = "missed events";
    let queue = stack.output("MissedEventsUrl");
    let messages = match answer {
        Ok(answer) => answer["Attributes"]["ApproximateNumberOfMessages"].as_str().unwrap_or("0").to_owned(),
        Err(error) => return wrong(CHECK, error.to_string(), "Deploy again: events that miss their target are lost."),
    };
    match messages.as_str() {
        "0" => well(CHECK, "none"),
        n => {
            let mend = format!(
                "Look: aws sqs receive-message --queue-url {queue} --message-attribute-names All\n\
                 With ERROR_MESSAGE: an event that did not reach its target. Mend what it says, and put the event again \
                 under our own source.\n\
                 Without: what {checker} failed on; responsePayload in the body says why, requestPayload is the event.\n\
                 Nobody may put an event of aws.states. Hand it to the function: aws lambda invoke --function-name \
                 {checker} --invocation-type Event --cli-binary-format raw-in-base64-out --payload '<event>' /dev/null\n\
                 Then delete the message.",
                checker = stack.output("StatusCheckerName")
            );
            wrong(CHECK, format!("{n} did not reach their target"), mend)
        }
    }
}

fn execution(answer: &Answer) -> Finding {
    const CHECK: &str = "last execution";
    let execution = match answer {
        Ok(execution) => execution,
        Err(error) => return wrong(CHECK, error.to_string(), "Deploy again: the state machine is gone."),
    };
    let text = |field: &str| execution[field].as_str().unwrap_or_default();
    match text("status") {
        "" => doubtful(CHECK, "none yet", "Try it: start the state machine with {\"DryRun\": true}, then with {}."),
        status @ ("SUCCEEDED" | "RUNNING") => well(CHECK, format!("{status}, of {}", text("startDate"))),
        status => {
            let text = format!("{status}: {}: {}", text("error"), shared::error::cut(text("cause"), 500));
            let arn = execution["executionArn"].as_str().unwrap_or_default();
            wrong(CHECK, text, format!("Mend the cause, then: make rerun EXECUTION={arn}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack with IAM credentials: no secret, no user.
    fn iam() -> Deployed {
        let pairs = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Deployed {
            name: "s".into(),
            parameters: pairs(&[
                ("WorkgroupName", "w"),
                ("LoadProcedure", "dev.load_sp"),
                ("AuditProcedure", "dev.audit_sp"),
                ("AuditTable", "dev.orders_audit"),
            ]),
            outputs: pairs(&[("StatementRoleName", "s-StatementRole-1"), ("AuditRoleName", "s-AuditRole-1")]),
        }
    }

    fn records(rows: &[&[Value]]) -> Answer {
        Ok(json!({"Records": rows}))
    }

    #[test]
    fn with_iam_credentials_each_role_is_a_user_and_gets_its_own_grants() {
        let stack = iam();
        let (caller, auditor) = users(&stack, None);
        assert_eq!((&*caller, &*auditor), ("IAMR:s-StatementRole-1", "IAMR:s-AuditRole-1"));
        assert!(procedures_sql(&stack, &caller).contains("has_function_privilege('IAMR:s-StatementRole-1', p.oid"));
        assert!(table_sql(&stack, &auditor).contains("has_table_privilege('IAMR:s-AuditRole-1', c.oid, 'update')"));

        let (yes, no) = (json!({"booleanValue": true}), json!({"booleanValue": false}));
        let name = |text: &str| json!({"stringValue": text});
        let answer = records(&[
            &[name("dev.load_sp"), yes.clone(), yes.clone()],
            &[name("dev.audit_sp"), yes.clone(), no.clone()],
        ]);
        let finding = procedures(&stack, &answer, &caller);
        assert_eq!(finding.verdict, Verdict::Wrong);
        assert_eq!(
            finding.mend,
            "GRANT USAGE ON SCHEMA dev TO \"IAMR:s-StatementRole-1\";\n\
             GRANT EXECUTE ON PROCEDURE dev.audit_sp() TO \"IAMR:s-StatementRole-1\";\n"
        );
        let finding = table(&stack, &records(&[&[yes.clone(), yes.clone(), no, yes]]), &auditor);
        assert_eq!(
            finding.mend,
            "GRANT USAGE ON SCHEMA dev TO \"IAMR:s-AuditRole-1\";\n\
             GRANT SELECT, UPDATE ON dev.orders_audit TO \"IAMR:s-AuditRole-1\";\n"
        );

        let unknown = Err(StackError::new("ERROR: user \"IAMR:s-AuditRole-1\" does not exist"));
        let finding = table(&stack, &unknown, &auditor);
        assert!(finding.mend.contains("exists after its role's first call"), "{finding}");
        assert!(finding.mend.contains("GRANT SELECT, UPDATE ON dev.orders_audit"), "{finding}");
    }

    #[test]
    fn an_audit_table_from_before_is_migrated() {
        let (yes, no) = (json!({"booleanValue": true}), json!({"booleanValue": false}));
        let old = records(&[&[yes.clone(), yes.clone(), yes, no]]);
        let mut stack = iam();
        let finding = table(&stack, &old, "loader");
        assert!(finding.mend.contains("CALL dev.migrate_orders_audit_sp();"), "{finding}");
        stack.parameters.insert("AuditTable".into(), "dev.other".into());
        let finding = table(&stack, &old, "loader");
        assert!(finding.verdict == Verdict::Wrong && finding.mend.contains("tables.sql"), "{finding}");
    }

    /// The local AWS gives a subscription its ARN before it is confirmed.
    #[test]
    fn a_subscription_counts_once_it_is_confirmed() {
        let list = |arns: &[&str]| {
            let list: Vec<_> = arns.iter().map(|arn| json!({"SubscriptionArn": arn})).collect();
            subscriptions("topic", "arn:aws:sns:eu-west-1:1:t", &Ok(json!({"Subscriptions": list})))
        };
        let finding = list(&[]);
        assert!(finding.verdict == Verdict::Wrong && finding.mend.contains("--topic-arn arn:aws:sns:eu-west-1:1:t"));
        let finding = list(&["PendingConfirmation", "PendingConfirmation"]);
        assert_eq!(finding.text, "none of 2 subscriptions is confirmed");
        assert_eq!(finding.verdict, Verdict::Wrong);
        let finding = list(&["PendingConfirmation", "arn:aws:sns:eu-west-1:1:t:5b2d"]);
        assert_eq!((finding.verdict, &*finding.text), (Verdict::Well, "1 confirmed subscription"));
    }

    #[test]
    fn the_secret_has_to_be_readable_by_both_roles() {
        let stack = iam();
        let said = |decision: &str| Ok(json!({"EvaluationResults": [{"EvalDecision": decision}]}));
        let [statement, audit] = ROLES;
        let finding = |first: Answer, second: Answer| {
            secret(&stack, &Ok(json!("loader")), &[(statement, first), (audit, second)])
        };
        assert_eq!(finding(said("allowed"), said("allowed")).verdict, Verdict::Well);
        let refused = finding(said("allowed"), said("implicitDeny"));
        assert_eq!((refused.verdict, &*refused.text), (Verdict::Wrong, "s-AuditRole-1: implicitDeny"));
        assert_eq!(finding(said("allowed"), Err(StackError::new("refused"))).verdict, Verdict::Doubtful);
    }
}
