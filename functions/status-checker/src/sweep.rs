//! Cancels what an execution left running: a statement goes on, and costs, after its execution died.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_sdk_redshiftdata::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::attempt::execution_prefix;
use shared::runtime::{parse, within};
use shared::statement::{self, Listed};
use shared::{Error, Result, Status, Target, TargetFields, WorkflowRun};
use tokio::time::Instant;
use tracing::{info_span, warn};

use crate::Config;

/// A proc-runner that was under way when the execution died submits within the time that the SDK has for
/// two calls (a singleton's look, the submit) and a cold start.
pub(crate) const DEFAULT_SECONDS: u64 = 100;
/// Pause between two sweeps.
const PAUSE: Duration = Duration::from_secs(2);
/// How long the state machine's own way out waits for what it cancelled to end.
pub const CONFIRM: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    cancel_execution: String,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    context: WorkflowRun,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    execution_arn: String,
    status: String,
    error: Option<String>,
    /// The execution's input as a JSON string; absent where it was too large for the event.
    input: Option<String>,
}

/// For the state machine's Catch: no submit is in flight, so one sweep finds everything; what was
/// cancelled gets a moment to end.
pub(crate) async fn on_request(client: &Client, config: &Config, payload: Value) -> Result<Value> {
    let request: Request = parse(payload)?;
    sweep(client, config, &request.cancel_execution, &request.input, request.context, Duration::ZERO).await
}

/// For the event of an execution that ended from outside: a submit may be in flight.
pub(crate) async fn after_event(client: &Client, config: &Config, payload: Value) -> Result<Value> {
    let event: EventBridgeEvent<Detail> = parse(payload)?;
    let ended = ["ABORTED", "TIMED_OUT", "FAILED"].contains(&event.detail.status.as_str());
    if event.detail_type != "Step Functions Execution Status Change" || !ended {
        return Err(Error::InvalidInput(format!(
            "an event {:?} with status {:?} is not that of an execution that failed, was stopped or timed out",
            event.detail_type, event.detail.status
        )));
    }
    let input = event.detail.input.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    // An execution that failed by an answer of ours had seen the end of its last task: nothing is in flight.
    let unseen = |error: &String| error.starts_with("States.") || error.starts_with("Lambda.");
    let failed = event.detail.status == "FAILED";
    let appear = if failed && !event.detail.error.iter().any(unseen) { Duration::ZERO } else { config.sweep };
    sweep(client, config, &event.detail.execution_arn, &input, WorkflowRun::default(), appear).await
}

/// What was asked of the service about one statement.
#[derive(Default, Clone, Copy)]
struct Asked {
    /// Whether it has ever taken the cancel on.
    taken: bool,
    /// Whether it took the last one on.
    last: bool,
}

/// Cancels every statement of an execution, again and again until `appear` is over (new ones may turn
/// up so long) and, for a moment more, until none runs.
///
/// # Errors
/// `ServiceUnavailable` where one still runs whose cancel was never taken: it is to be tried again.
async fn sweep(
    client: &Client,
    config: &Config,
    execution: &str,
    input: &Value,
    context: WorkflowRun,
    appear: Duration,
) -> Result<Value> {
    let WorkflowRun { workflow_name, workflow_run_id } = belongs_to(context, input);
    let span = info_span!("sweep", execution, workflow_name, workflow_run_id);
    within(span, async {
        let start = Instant::now();
        let targets = targets(config, input)?;
        let prefix = execution_prefix(execution);
        let mut asked: BTreeMap<String, Asked> = BTreeMap::new();
        loop {
            // Taken before the look: one that appears during it is found by the next.
            let elapsed = start.elapsed();
            let mut running = Vec::new();
            let mut failure = None;
            for target in &targets {
                // One warehouse that cannot be asked must not keep the others running.
                let found = match statement::find_by_name_prefix(client, target, &prefix).await {
                    Ok(found) => found,
                    Err(error) => {
                        failure.get_or_insert(error);
                        continue;
                    }
                };
                running.extend(found.into_iter().filter(Listed::is_active));
            }
            for statement in &running {
                if let Err(error) = cancel(client, statement, asked.entry(statement.id.to_string()).or_default()).await
                {
                    failure.get_or_insert(error);
                }
            }
            if elapsed >= appear && (running.is_empty() || elapsed >= appear + CONFIRM) {
                if let Some(error) = failure {
                    return Err(error);
                }
                let taken = |id: &str| asked.get(id).is_some_and(|asked| asked.taken);
                if let Some(other) = running.iter().find(|s| !taken(s.id.as_str())) {
                    return Err(Error::ServiceUnavailable(format!(
                        "statement {} ({}) still runs: the service has not taken its cancellation",
                        other.id, other.name
                    )));
                }
                return Ok(json!({
                    "Cancelled": asked.keys().filter(|id| taken(id)).collect::<Vec<_>>(),
                    "StillRunning": running.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(),
                }));
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await
}

/// The workflow run of an execution: what the state machine says, else what the event that started it says.
fn belongs_to(context: WorkflowRun, input: &Value) -> WorkflowRun {
    let said = |name: &str| input["detail"][name].as_str().map(str::to_owned);
    WorkflowRun {
        workflow_name: context.workflow_name.or_else(|| said("workflowName")),
        workflow_run_id: context.workflow_run_id.or_else(|| said("workflowRunId")),
    }
}

/// A statement must run to be cancelled, so a refused request is made again at the next sweep.
async fn cancel(client: &Client, statement: &Listed, asked: &mut Asked) -> Result<()> {
    if !asked.last || statement.status != Some(Status::Started) {
        asked.last = statement::cancel(client, &statement.id).await?;
        asked.taken |= asked.last;
        let taken = asked.last;
        warn!(statement_id = %statement.id, statement_name = statement.name, taken, "cancellation requested");
    }
    Ok(())
}

/// The warehouses that an execution may have used: the environment's, and those of its own list.
fn targets(config: &Config, input: &Value) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for item in input.get("Procedures").and_then(Value::as_array).into_iter().flatten() {
        let fields: TargetFields = serde_json::from_value(item.clone()).unwrap_or_default();
        // An item that fits no target never submitted anything.
        targets.extend(Target::try_from(fields.or(&config.target)));
    }
    if targets.is_empty() {
        targets.push(config.target.clone().try_into()?);
    }
    targets.dedup();
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::from_env(|name| match name {
            "WORKGROUP_NAME" | "DATABASE" => Some("w".into()),
            _ => None,
        })
        .expect("valid")
    }

    #[test]
    fn the_workflow_run_is_the_machines_or_the_events() {
        let run =
            |name: &str, id: &str| WorkflowRun { workflow_name: Some(name.into()), workflow_run_id: Some(id.into()) };
        let own = json!({"detail": {"workflowName": "w", "workflowRunId": "wr_1"}});
        assert_eq!(belongs_to(WorkflowRun::default(), &own), run("w", "wr_1"));
        assert_eq!(belongs_to(run("w", "wr_2"), &own), run("w", "wr_2"));
        for nothing in [json!(null), json!({}), json!({"detail": {"jobName": "j"}}), json!("x")] {
            assert!(belongs_to(WorkflowRun::default(), &nothing).is_none(), "{nothing}");
        }
    }

    #[test]
    fn the_warehouses_are_the_environments_and_the_lists_own() {
        let names = |input| {
            let targets = targets(&config(), &input).expect("targets");
            targets.iter().map(|t| t.workgroup().or(t.cluster()).unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(json!(null)), ["w"]);
        assert_eq!(names(json!({"detail": {}})), ["w"]);
        assert_eq!(names(json!({"Procedures": "x"})), ["w"]);
        assert_eq!(
            names(json!({"Procedures": [{"Procedure": "a.b"}, {"ClusterIdentifier": "c"}, 1]})),
            ["w", "c", "w"]
        );
    }
}
