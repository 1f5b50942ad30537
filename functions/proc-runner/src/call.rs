//! One call of a list: what to call, where, and within which bounds.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use shared::call::{ArgumentFields, CallFields, QualifiedName};
use shared::progress::check_timeout;
use shared::runtime::parse;
use shared::{Error, ProcedureCall, Result, Target, TargetFields, polling};

use crate::Config;

/// By then the pauses between attempts have grown to five minutes, and a person should look.
const MOST_ATTEMPTS: u32 = 10;
/// An execution dies when its history reaches 25,000 events. This much of it is for the attempts of all calls; the
/// rest is for the queue, the gate, the EMR step, a cancellation and what Step Functions retries.
pub const MOST_EVENTS: u64 = 18_000;
/// BackOff and Next, two events each.
const EVENTS_BETWEEN_ATTEMPTS: u64 = 4;

/// A call as a request brings it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Fields {
    procedure: Option<String>,
    arguments: Option<Vec<ArgumentFields>>,
    sql: Option<String>,
    workgroup_name: Option<String>,
    cluster_identifier: Option<String>,
    database: Option<String>,
    secret_arn: Option<String>,
    db_user: Option<String>,
    timeout_seconds: Option<u64>,
    max_attempts: Option<u32>,
    singleton: bool,
}

/// A checked call.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) call: ProcedureCall,
    pub(crate) target: Target,
    pub(crate) timeout_seconds: u64,
    pub(crate) max_attempts: u32,
    pub(crate) singleton: bool,
}

impl Job {
    /// Checks call number `step` of a list.
    pub(crate) fn check(item: Value, step: u32, config: &Config) -> Result<Self> {
        let name = item.get("Procedure").and_then(Value::as_str).and_then(QualifiedName::shown);
        let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
        let job = parse(item).and_then(|fields| Self::of(fields, config));
        job.map_err(|e| e.map_text(|text| format!("step {step}{name}: {text}")))
    }

    fn of(fields: Fields, config: &Config) -> Result<Self> {
        let target = TargetFields {
            workgroup_name: fields.workgroup_name,
            cluster_identifier: fields.cluster_identifier,
            database: fields.database,
            secret_arn: fields.secret_arn,
            db_user: fields.db_user,
        };
        let max_attempts = fields.max_attempts.unwrap_or(config.max_attempts);
        if !(1..=MOST_ATTEMPTS).contains(&max_attempts) {
            let text = format!("MaxAttempts is {max_attempts}; it has to be 1 to {MOST_ATTEMPTS}");
            return Err(Error::invalid_input(text));
        }
        let job = Self {
            call: CallFields { procedure: fields.procedure, arguments: fields.arguments, sql: fields.sql }
                .try_into()?,
            target: target.or(&config.target).try_into()?,
            timeout_seconds: check_timeout(fields.timeout_seconds.unwrap_or(config.timeout_seconds))?,
            max_attempts,
            singleton: fields.singleton,
        };
        check_history(std::slice::from_ref(&job))?;
        Ok(job)
    }

    /// What all its attempts may add to the history of an execution.
    fn events(&self) -> u64 {
        let attempt = polling::events(Duration::from_secs(self.timeout_seconds)) + EVENTS_BETWEEN_ATTEMPTS;
        u64::from(self.max_attempts) * attempt
    }
}

/// Checks that the history of one execution has room for every attempt of every call.
///
/// # Errors
/// `InvalidInput` with the sum and what to lower.
pub(crate) fn check_history(jobs: &[Job]) -> Result<()> {
    let events: u64 = jobs.iter().map(Job::events).sum();
    if events <= MOST_EVENTS {
        return Ok(());
    }
    let bounds = match jobs {
        [job] => format!(
            "{} attempts (MaxAttempts) of {} s (TimeoutSeconds) may take",
            job.max_attempts, job.timeout_seconds
        ),
        _ => format!("all attempts (MaxAttempts) of all {} procedures (TimeoutSeconds) together may take", jobs.len()),
    };
    Err(Error::invalid_input(format!(
        "{bounds} {events} events of an execution's history, which has room for {MOST_EVENTS}: lower one of the two{}",
        if jobs.len() > 1 { ", or run the list in two executions" } else { "" }
    )))
}
