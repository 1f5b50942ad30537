#![doc = include_str!("../README.md")]

mod sweep;

pub use sweep::CONFIRM as SWEEP_CONFIRM;

use std::time::{Duration, SystemTime};

use aws_sdk_redshiftdata::Client;
use serde_json::Value;
use shared::progress::{Decision, Progress, Ticket, check_timeout, decide};
use shared::runtime::{parse, var_parsed, within};
use shared::statement;
use shared::{Error, Result, StatementId, TargetFields, WorkflowRun, metrics, polling};
use tracing::{info, info_span, warn};

/// How long the end of a cancelled statement is waited for where the environment does not say.
const DEFAULT_GRACE_SECONDS: u64 = 300;

/// The function's environment.
#[derive(Debug)]
pub struct Config {
    target: TargetFields,
    grace: Duration,
    sweep: Duration,
}

impl Config {
    /// Reads the variables of the target, `CANCEL_GRACE_SECONDS`, and `SWEEP_SECONDS`: how long after
    /// the death of an execution a submit that was in flight may still appear.
    ///
    /// # Errors
    /// `InvalidConfiguration` naming the variable.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let seconds = |name, default| var_parsed(&var, name, "whole seconds", default).map(Duration::from_secs);
        Ok(Self {
            grace: seconds("CANCEL_GRACE_SECONDS", DEFAULT_GRACE_SECONDS)?,
            sweep: seconds("SWEEP_SECONDS", sweep::DEFAULT_SECONDS)?,
            target: TargetFields::from_env(&var),
        })
    }
}

/// Answers one of the three kinds of payload.
///
/// # Errors
/// `InvalidInput`, `StatementNotFound`, `UnknownStatus`, and those of every call.
pub async fn handle(client: &Client, config: &Config, payload: Value) -> Result<Value> {
    // Boxed: the rare ways out, which would else make every check's future larger.
    if payload.get("detail-type").is_some() {
        return Box::pin(sweep::after_event(client, config, payload)).await;
    }
    if payload.get("CancelExecution").is_some() {
        return Box::pin(sweep::on_request(client, config, payload)).await;
    }
    let text = |field| payload.get(field).and_then(Value::as_str);
    let workflow = WorkflowRun::of(&payload);
    // Made of what was not checked yet, so that a refusal has its ids too.
    let span = info_span!(
        "check",
        execution = text("ExecutionId"),
        statement_id = text("Id"),
        statement_name = text("StatementName"),
        procedure = text("Procedure"),
        workflow_name = workflow.workflow_name,
        workflow_run_id = workflow.workflow_run_id
    );
    within(span, answer(client, config, payload)).await
}

async fn answer(client: &Client, config: &Config, payload: Value) -> Result<Value> {
    if payload.get("Id").is_none() {
        return Err(Error::InvalidInput(
            "nothing to check: give Id and TimeoutSeconds, or CancelExecution, or an execution's status event".into(),
        ));
    }
    let progress = check(client, config, parse(payload)?).await?;
    metrics::statement_ended(&progress);
    serde_json::to_value(progress).map_err(|e| Error::InvalidInput(e.to_string()))
}

async fn check(client: &Client, config: &Config, mut ticket: Ticket) -> Result<Progress> {
    let id = StatementId::parse(&ticket.id)?;
    check_timeout(ticket.timeout_seconds)?;
    let wait = match ticket.cancel_requested_at {
        // It returns at the end anyway, and a long roll-back costs fewer turns of the loop.
        Some(requested) if !ticket.cancel_refused => {
            polling::long_poll(config.grace.saturating_sub(requested.elapsed().unwrap_or_default()))
        }
        Some(_) => None,
        None => polling::long_poll(ticket.left(SystemTime::now())),
    };
    let mut description = statement::describe(client, &id, wait).await?;
    let mut decision = decide(&ticket, &description, config.grace, SystemTime::now());
    if decision == Decision::Cancel {
        let taken = statement::cancel(client, &id).await?;
        warn!(timeout_seconds = ticket.timeout_seconds, taken, "cancellation requested");
        ticket.cancel_requested_at.get_or_insert_with(SystemTime::now);
        ticket.cancel_refused = !taken;
        if !taken {
            // Nothing to cancel: it has just ended, or does not run yet. The second is asked again at
            // the next check.
            description = statement::describe(client, &id, None).await?;
            decision = decide(&ticket, &description, config.grace, SystemTime::now());
        }
    }
    info!(status = %description.status, "checked");
    Ok(Progress::new(ticket, &description, decision, SystemTime::now()))
}

#[cfg(test)]
mod tests;
