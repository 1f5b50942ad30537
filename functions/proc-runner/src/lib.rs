#![doc = include_str!("../README.md")]

mod call;
mod config;
mod plan;
mod submit;

pub use call::MOST_EVENTS;
pub use config::Config;
pub use submit::LOOK_LIMIT;

use aws_sdk_redshiftdata::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::attempt::check_execution_id;
use shared::runtime::{answer, parse, within};
use shared::{Error, Ids, LogicalAttempt, Result, WorkflowRun, metrics, span};
use tracing::{Span, field};

use crate::call::Job;

/// Who asks: which logical attempt this is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Identity {
    execution_id: Option<String>,
    step: u32,
    /// How many calls the execution's list has.
    count: Option<u32>,
    attempt: u32,
    dry_run: bool,
    /// The workflow run that logs and notifications name.
    context: WorkflowRun,
}

impl Default for Identity {
    fn default() -> Self {
        let context = WorkflowRun::default();
        Self { execution_id: None, step: 0, count: None, attempt: 1, dry_run: false, context }
    }
}

impl Identity {
    const FIELDS: [&str; 6] = ["ExecutionId", "Step", "Count", "Attempt", "DryRun", "Context"];
}

/// One kind of payload.
#[derive(Debug)]
enum Request {
    /// The input of an execution, to be planned.
    Plan(Value),
    /// Calls, of which the first is submitted; several are for a dry run.
    Calls(Vec<Value>),
}

/// Splits a payload into who asks and what for.
///
/// The call is given flat, as in the SDK integration that this replaces; or as `Call`, an item of the
/// state machine's list; or, for a dry run, as the list itself; the input of a whole execution as `Plan`.
fn read(payload: Value) -> Result<(Identity, Request)> {
    let Value::Object(mut fields) = payload else {
        return Err(Error::invalid_input("the payload has to be a JSON object"));
    };
    let identity = Identity::FIELDS.into_iter().filter_map(|name| fields.remove_entry(name)).collect::<Map<_, _>>();
    let identity: Identity = parse(Value::Object(identity))?;
    let (plan, call, list) = (fields.remove("Plan"), fields.remove("Call"), fields.remove("Procedures"));
    let request = match (plan, call, list) {
        (None, None, None) => return Ok((identity, Request::Calls(vec![Value::Object(fields)]))),
        (Some(input), None, None) => Request::Plan(input),
        (None, Some(call), None) => Request::Calls(vec![call]),
        (None, None, Some(Value::Array(list))) if identity.dry_run && !list.is_empty() => Request::Calls(list),
        _ => {
            return Err(Error::invalid_input(
                "Procedures has to be a list of at least one call, and a list is for the state machine or a DryRun",
            ));
        }
    };
    if !fields.is_empty() {
        return Err(Error::invalid_input("a field beside Plan, Call or Procedures belongs inside of it"));
    }
    Ok((identity, request))
}

/// Plans an execution, or submits a call and waits for its end as long as two long polls allow.
///
/// `request_id` stands for the execution if there is none: the retries of an asynchronous invocation
/// share it, so they too run the procedure once.
///
/// # Errors
/// `InvalidInput` before anything is sent; otherwise as `statement::submit`.
pub async fn handle(client: &Client, config: &Config, payload: Value, request_id: &str) -> Result<Value> {
    let mut ids = Ids::of(&payload);
    ids.execution.get_or_insert_with(|| request_id.to_owned());
    // A call that is given as `Call` is named once it was checked.
    let span = span!("submit", &ids);
    within(span, serve(client, config, payload, request_id)).await
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DryRun {
    dry_run: bool,
    statements: Vec<plan::Statement>,
}

async fn serve(client: &Client, config: &Config, payload: Value, request_id: &str) -> Result<Value> {
    let (identity, request) = read(payload)?;
    let execution = check_execution_id(identity.execution_id.as_deref().unwrap_or(request_id))?;
    let calls = match request {
        Request::Plan(input) => return answer(&plan::plan(config, &input, execution)?),
        Request::Calls(calls) => calls,
    };
    let mut jobs = plan::check_all(config, &calls, identity.step)?;
    if identity.dry_run {
        let statements = plan::statements(&jobs, execution, identity.step, identity.attempt)?;
        return answer(&DryRun { dry_run: true, statements });
    }
    let job = jobs.pop().ok_or_else(|| Error::internal("it has no call to submit"))?;
    let attempt = LogicalAttempt::new(execution, identity.step, identity.attempt)?;
    let attempt = attempt.of_workflow_run(identity.context.workflow_run_id.clone())?;
    submit(client, &job, &attempt, identity).await
}

async fn submit(client: &Client, job: &Job, attempt: &LogicalAttempt, identity: Identity) -> Result<Value> {
    Span::current().record("procedure", field::display(&job.call)).record("statement_name", attempt.statement_name());
    // If the first submit fails, the state machine has nothing else that names the procedure.
    let about = |e: Error| e.about(&job.call.to_string());
    let progress = submit::submit(client, job, attempt, identity).await.map_err(about)?;
    metrics::statement_ended(&progress);
    answer(&progress)
}

#[cfg(test)]
mod tests;
