//! The plan of an execution: its whole input is read and checked before anything runs.

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::input::Trigger;
use shared::progress::Cursor;
use shared::{Error, ExecutionInput, LogicalAttempt, Result};

use crate::Config;
use crate::call::{Job, check_history};

/// What an execution does: the state machine's data from here on.
#[derive(Debug, Serialize, PartialEq)]
#[serde(untagged)]
pub(crate) enum Plan {
    /// Nothing: says what would run.
    DryRun(DryRun),
    /// This.
    Run(Box<Run>),
}

#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DryRun {
    /// Always true: what the state machine distinguishes the two by.
    dry_run: bool,
    statements: Vec<Statement>,
    /// The Glue workflow that would have to have succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<Gate>,
    /// The EMR step that would come first.
    #[serde(skip_serializing_if = "Option::is_none")]
    emr_step: Option<EmrStep>,
}

#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Run {
    procedures: Vec<Value>,
    cursor: Cursor,
    turn: Turn,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<Gate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emr_step: Option<EmrStep>,
    /// What the notification of a failure finds until there is more.
    #[serde(flatten)]
    nothing_yet: Value,
}

/// What the queue needs to know.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Turn {
    /// Whether another execution may do the same, so that one of the two is enough.
    interchangeable: bool,
    /// Whether a gate judges the run that an event names.
    gated: bool,
    /// A hash of what is to be done: two executions do the same only under the same configuration.
    work: String,
}

/// The Glue workflow that must have succeeded, and what the event says about its run.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Gate {
    workflow_name: String,
    trigger: Trigger,
}

/// The EMR step that fills the staging area.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EmrStep {
    cluster_id: String,
    arguments: Vec<String>,
    timeout_seconds: u64,
}

/// What would be submitted.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    sql: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    workgroup_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_identifier: Option<String>,
    database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    db_user: Option<String>,
    statement_name: String,
    client_token: String,
    timeout_seconds: u64,
    max_attempts: u32,
}

/// Reads the input of the execution `execution_id`, and checks all that it asks for.
///
/// # Errors
/// `InvalidInput` for an input that is not one, for a call that is not one, and for a list that does not fit into an
/// execution's history; nothing has run then.
pub(crate) fn plan(config: &Config, input: &Value, execution_id: &str) -> Result<Plan> {
    let input = ExecutionInput::read(input)?;
    let gated = config.workflow.is_some();
    let interchangeable = input.is_interchangeable(gated);
    // A list of one's own is for what is in staging already: neither gate nor EMR step.
    let (procedures, gate, step) = match input.procedures {
        Some(list) => (list, None, None),
        None => {
            let list = config.procedures.iter().map(|name| json!({"Procedure": name})).collect();
            (list, config.workflow.clone(), config.step.as_ref())
        }
    };
    let gate = gate.map(|workflow_name| Gate { workflow_name, trigger: input.trigger });
    let emr_step = step.map(|step| EmrStep {
        cluster_id: step.cluster.clone(),
        arguments: step.arguments.clone(),
        timeout_seconds: step.timeout.as_secs(),
    });
    let work = json!([procedures, gate.as_ref().map(|gate| &gate.workflow_name), emr_step]).to_string();
    let work = Sha256::digest(work).iter().map(|byte| format!("{byte:02x}")).collect();
    let turn = Turn { interchangeable, gated, work };
    let jobs = check_all(config, &procedures, 0)?;
    if input.dry_run {
        let statements = statements(&jobs, execution_id, 0, 1)?;
        return Ok(Plan::DryRun(DryRun { dry_run: true, statements, gate, emr_step }));
    }
    let count = u32::try_from(jobs.len()).map_err(|_| Error::invalid_input("Procedures is too long a list"))?;
    let nothing_yet = json!({
        "Statement": {"Payload": {"Id": "none", "Procedure": "none"}},
        "Answer": {"Payload": {"Context": {}}},
        "Cleanup": {"Cause": "Nothing had been submitted."},
    });
    Ok(Plan::Run(Box::new(Run { procedures, cursor: Cursor::first(count), turn, gate, emr_step, nothing_yet })))
}

/// Checks every call of a list, whose first is number `first_step`, and their sum.
///
/// # Errors
/// `InvalidInput`.
pub(crate) fn check_all(config: &Config, list: &[Value], first_step: u32) -> Result<Vec<Job>> {
    let numbered = (first_step..).zip(list);
    let jobs = numbered.map(|(step, item)| Job::check(item.clone(), step, config)).collect::<Result<Vec<_>>>()?;
    check_history(&jobs)?;
    Ok(jobs)
}

/// What these calls, of which the first is number `first_step`, would submit.
///
/// # Errors
/// `InvalidInput` for an execution id that is none.
pub(crate) fn statements(jobs: &[Job], execution_id: &str, first_step: u32, attempt: u32) -> Result<Vec<Statement>> {
    let numbered = (first_step..).zip(jobs);
    numbered.map(|(step, job)| Ok(Statement::of(job, &LogicalAttempt::new(execution_id, step, attempt)?))).collect()
}

impl Statement {
    fn of(job: &Job, attempt: &LogicalAttempt) -> Self {
        Self {
            sql: job.call.sql_with_placeholders().to_owned(),
            workgroup_name: job.target.workgroup().map(str::to_owned),
            cluster_identifier: job.target.cluster().map(str::to_owned),
            database: job.target.database().to_owned(),
            secret_arn: job.target.secret_arn().map(str::to_owned),
            db_user: job.target.db_user().map(str::to_owned),
            statement_name: attempt.statement_name(),
            client_token: attempt.client_token().to_string(),
            timeout_seconds: job.timeout_seconds,
            max_attempts: job.max_attempts,
        }
    }
}
