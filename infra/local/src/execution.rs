//! Following an execution, and what its history shows.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent, HistoryEventType};
use loader::{Error, Result};
use serde_json::{Value, json};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An execution that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its ARN.
    pub arn: String,
    /// How.
    pub status: ExecutionStatus,
    /// What it returned.
    pub output: Value,
    /// Why it failed.
    pub error: Option<String>,
    /// Why it failed, in words.
    pub cause: Option<String>,
    /// Seconds from start to end.
    pub seconds: f64,
    /// The names of the states, in the order in which they were entered.
    pub states: Vec<String>,
    /// The statements, in the order in which they were submitted, as the last look at each saw them.
    pub statements: Vec<Value>,
}

/// A state that was left, for the live line.
#[derive(Debug, Clone)]
pub struct Step {
    /// Time since the execution started.
    pub elapsed: Duration,
    /// The state's name.
    pub state: String,
    /// The statement that it was about, if any.
    pub statement: Option<Value>,
}

/// Starts an execution; its ARN.
pub async fn start(client: &Client, machine: &str, input: &Value) -> Result<String> {
    let started = client.start_execution().state_machine_arn(machine).input(input.to_string()).send().await;
    Ok(started.map_err(|e| Error::sdk("start an execution", e))?.execution_arn)
}

/// Waits for the end of an execution; `on_step` sees every state once it was left.
pub async fn follow(client: &Client, arn: &str, limit: Duration, mut on_step: impl FnMut(&Step)) -> Result<Ended> {
    let start = Instant::now();
    let mut seen = HashSet::new();
    loop {
        let execution = client.describe_execution().execution_arn(arn).send().await;
        let execution = execution.map_err(|e| Error::sdk("describe the execution", e))?;
        let events = history(client, arn).await?;
        for (n, event) in events.iter().enumerate() {
            if seen.insert(n)
                && let Some(details) = event.state_exited_event_details()
            {
                let began = execution.start_date.as_secs_f64();
                let elapsed = Duration::try_from_secs_f64(event.timestamp().as_secs_f64() - began).unwrap_or_default();
                on_step(&Step { elapsed, state: details.name().to_owned(), statement: statement(event) });
            }
        }
        if execution.status != ExecutionStatus::Running {
            let parse = |text: Option<&str>| text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
            let stop = execution.stop_date.map_or(0.0, |d| d.as_secs_f64());
            return Ok(Ended {
                arn: arn.to_owned(),
                output: parse(execution.output()),
                error: execution.error().map(str::to_owned),
                cause: execution.cause().map(str::to_owned),
                seconds: (stop - execution.start_date.as_secs_f64()).max(0.0),
                states: events
                    .iter()
                    .filter_map(|e| Some(e.state_entered_event_details()?.name().to_owned()))
                    .collect(),
                statements: statements(&events),
                status: execution.status,
            });
        }
        if start.elapsed() > limit {
            return Err(Error::new(format!("execution {arn} has not ended after {} s", limit.as_secs())));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Every event of an execution.
pub async fn history(client: &Client, arn: &str) -> Result<Vec<HistoryEvent>> {
    let mut pages = client.get_execution_history().execution_arn(arn).into_paginator().items().send();
    let mut events = Vec::new();
    while let Some(event) = pages.next().await {
        events.push(event.map_err(|e| Error::sdk("read the history", e))?);
    }
    Ok(events)
}

/// What a Submit or a Check found out about its statement.
fn statement(event: &HistoryEvent) -> Option<Value> {
    if *event.r#type() != HistoryEventType::TaskStateExited {
        return None;
    }
    let details = event.state_exited_event_details()?;
    if !["Submit", "Check"].contains(&details.name()) {
        return None;
    }
    let output: Value = serde_json::from_str(details.output()?).ok()?;
    Some(output["Statement"]["Payload"].clone()).filter(|s| s["Id"] != json!("none") && s["Id"].is_string())
}

fn statements(events: &[HistoryEvent]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for next in events.iter().filter_map(statement) {
        match all.iter_mut().find(|known| known["Id"] == next["Id"]) {
            Some(known) => *known = next,
            None => all.push(next),
        }
    }
    all
}
