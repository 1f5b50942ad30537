#![doc = include_str!("../README.md")]

pub mod message;
pub mod publish;
pub mod runs;

use std::time::{Duration, SystemTime};

use lambda_runtime::Context;
use serde_json::{Value, json};
use shared::attempt::execution_prefix;
use shared::call::QualifiedName;
use shared::{Error, Result, Target, TargetFields};
use tracing::{Instrument, info, info_span};

use publish::Publisher;
use runs::UnresolvedRuns;

/// Time kept free before the Lambda deadline, to report what was done.
const MARGIN: Duration = Duration::from_secs(5);

/// The function's environment.
#[derive(Debug)]
pub struct Config {
    target: Target,
    table: QualifiedName,
    topic_arn: String,
}

impl Config {
    /// Reads the variables of the target, `AUDIT_TABLE` (`dev.orders_audit` where absent) and
    /// `TOPIC_ARN`.
    ///
    /// # Errors
    /// `InvalidConfiguration` naming the variable.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let wrong = |e: Error| Error::InvalidConfiguration(format!("environment: {e}"));
        let table = var("AUDIT_TABLE").unwrap_or_else(|| "dev.orders_audit".to_owned());
        let topic_arn = var("TOPIC_ARN").unwrap_or_default();
        if !topic_arn.starts_with("arn:") {
            return Err(Error::InvalidConfiguration(format!(
                "environment variable TOPIC_ARN is {topic_arn:?}; it has to be the ARN of an SNS topic"
            )));
        }
        Ok(Self {
            table: QualifiedName::parse(&table, "AUDIT_TABLE").map_err(wrong)?,
            target: TargetFields::from_env(&var).try_into().map_err(wrong)?,
            topic_arn,
        })
    }
}

/// Notifies about every unresolved run.
///
/// # Errors
/// `AuditQueryFailed`, `TopicNotFound`, `NotificationsIncomplete` (naming the runs that were not sent),
/// and those of every call.
pub async fn handle(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &aws_sdk_sns::Client,
    config: &Config,
    payload: Value,
    context: &Context,
) -> Result<Value> {
    let execution = payload.get("ExecutionId").and_then(Value::as_str).unwrap_or(&context.request_id);
    let deadline = context.deadline().checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH);
    notify(warehouse, topic, config, execution, deadline).instrument(info_span!("notify", execution)).await
}

async fn notify(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &aws_sdk_sns::Client,
    config: &Config,
    execution: &str,
    deadline: SystemTime,
) -> Result<Value> {
    let name = format!("{}notify/1", execution_prefix(execution));
    let mut publisher = Publisher::new(topic, &config.topic_arn, deadline);
    let id = shared::rows::query(warehouse, &config.target, &runs::sql(&config.table), &name, deadline).await?;
    let mut runs = UnresolvedRuns::of(warehouse, &id);
    while let Some(run) = runs.next().await? {
        publisher.add(&message::compose(&run, &config.table)).await?;
    }
    let report = publisher.finish().await?;
    info!(unresolved_runs = report.seen, notified = report.notified, "notified");
    report.into_result().map(|r| json!({"UnresolvedRuns": r.seen, "Notified": r.notified, "Failed": 0}))
}

#[cfg(test)]
mod tests;
