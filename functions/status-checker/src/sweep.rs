//! Cancels what an execution left running: a statement goes on, and costs, after its execution died.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_redshiftdata::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::attempt::{check_execution_id, execution_prefix, is_statement_of};
use shared::runtime::within;
use shared::statement::{self, Listed};
use shared::{Error, ErrorKind, Ids, Result, StatementId, Status, Target, TargetFields, WorkflowRun, runtime, span};
use tokio::time::Instant;
use tracing::warn;

use crate::Config;

/// Pause between two sweeps.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a sweep waits for what it cancelled to end.
pub const CONFIRM: Duration = Duration::from_secs(20);
/// How many statements an error names.
const MOST_NAMED: usize = 5;

/// The state machine's request, on its way out of a failure.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Cancel {
    cancel_execution: String,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    context: WorkflowRun,
}

/// The event "Step Functions Execution Status Change", as far as it counts here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Ended {
    detail_type: String,
    detail: Detail,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    execution_arn: String,
    status: String,
    error: Option<String>,
    /// The execution's input as a JSON string; absent if it was too large for the event.
    input: Option<String>,
}

/// What came of a sweep that left nothing running.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Swept {
    /// The Ids of the statements whose cancellation the service has taken.
    cancelled: Vec<StatementId>,
    /// Always empty: what still runs is the error `StillRunning`.
    still_running: [StatementId; 0],
    /// The same for people.
    text: String,
}

/// For the state machine's Catch: no submit is in flight, so one sweep finds everything; what was
/// cancelled gets a moment to end.
pub(crate) async fn on_request(client: &Client, config: &Config, request: Cancel) -> Result<Value> {
    if check_execution_id(&request.cancel_execution).is_err() {
        return Err(Error::invalid_input("CancelExecution is no id; it has to be an execution's ARN"));
    }
    sweep(client, config, &request.cancel_execution, &request.input, request.context, Duration::ZERO).await
}

/// For the event of an execution that ended from outside: a submit may be in flight.
pub(crate) async fn after_event(client: &Client, config: &Config, event: Ended) -> Result<Value> {
    let ended = ["ABORTED", "TIMED_OUT", "FAILED"].contains(&event.detail.status.as_str());
    let ended = ended && check_execution_id(&event.detail.execution_arn).is_ok();
    if event.detail_type != "Step Functions Execution Status Change" || !ended {
        return Err(Error::invalid_input(
            "this event is not that of an execution that failed, was stopped or timed out (detail-type \
             \"Step Functions Execution Status Change\", status FAILED, ABORTED or TIMED_OUT)",
        ));
    }
    let input = event.detail.input.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    // An execution that failed by an answer of ours had seen the end of its last task: nothing is in flight.
    let unseen = |error: &String| error.starts_with("States.") || error.starts_with("Lambda.");
    let failed = event.detail.status == "FAILED";
    let appear = if failed && !event.detail.error.iter().any(unseen) { Duration::ZERO } else { config.sweep };
    sweep(client, config, &event.detail.execution_arn, &input, WorkflowRun::default(), appear).await
}

/// The requests to cancel one statement.
#[derive(Default, Clone, Copy)]
struct Requests {
    /// Whether the service has ever taken one.
    taken: bool,
    /// Whether it took the last one.
    last: bool,
}

/// Cancels every statement of an execution, again and again until `appear` is over (new ones may turn
/// up so long) and, for a moment more, until none runs.
///
/// # Errors
/// `StillRunning` if one still runs at the end: because the service has not taken its cancellation, or because it
/// is still rolling back.
async fn sweep(
    client: &Client,
    config: &Config,
    execution: &str,
    input: &Value,
    context: WorkflowRun,
    appear: Duration,
) -> Result<Value> {
    let workflow_run = belongs_to(context, input);
    let span = span!("sweep", &Ids { execution: Some(execution.to_owned()), workflow_run, ..Ids::default() });
    within(span, async {
        let start = Instant::now();
        let targets = targets(config, input)?;
        let prefix = execution_prefix(execution);
        let mut requests: BTreeMap<StatementId, Requests> = BTreeMap::new();
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
                let own = |listed: &Listed| listed.is_active() && is_statement_of(&listed.name, execution);
                running.extend(found.into_iter().filter(own));
            }
            for statement in &running {
                let requests = requests.entry(statement.id.clone()).or_default();
                if let Err(error) = cancel(client, statement, requests).await {
                    failure.get_or_insert(error);
                }
            }
            if elapsed >= appear && (running.is_empty() || elapsed >= appear + CONFIRM) {
                if let Some(error) = failure {
                    return Err(error);
                }
                return report(execution, &running, &requests);
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await
}

/// The end of a sweep.
fn report(execution: &str, running: &[Listed], requests: &BTreeMap<StatementId, Requests>) -> Result<Value> {
    let taken = |id: &StatementId| requests.get(id).is_some_and(|requests| requests.taken);
    if !running.is_empty() {
        let named = running.iter().take(MOST_NAMED).map(|left| {
            let what = if taken(&left.id) { "its cancellation was requested" } else { "it takes no cancellation" };
            format!("statement {} ({}): {what}", left.id, left.name)
        });
        return Err(Error::new(
            ErrorKind::StillRunning,
            format!(
                "{} of the execution {execution} still run; one may be rolling back: see aws redshift-data \
             describe-statement: {}",
                match running.len() {
                    1 => "1 statement".to_owned(),
                    n => format!("{n} statements"),
                },
                named.collect::<Vec<_>>().join("; ")
            ),
        ));
    }
    let cancelled: Vec<_> = requests.keys().filter(|id| taken(id)).cloned().collect();
    let text = match cancelled.as_slice() {
        [] => "Nothing was left running.".to_owned(),
        ids => {
            let ids: Vec<_> = ids.iter().map(StatementId::as_str).collect();
            format!("Cancelled, and ended: {}.", ids.join(", "))
        }
    };
    runtime::answer(&Swept { cancelled, still_running: [], text })
}

/// The workflow run of an execution: as the state machine passes it on, otherwise as in the event that started the execution.
fn belongs_to(context: WorkflowRun, input: &Value) -> WorkflowRun {
    let detail = &input["detail"];
    let said = json!({"WorkflowName": detail["workflowName"], "WorkflowRunId": detail["workflowRunId"]});
    let said = WorkflowRun::of(&json!({"Context": said}));
    WorkflowRun {
        workflow_name: context.workflow_name.or(said.workflow_name),
        workflow_run_id: context.workflow_run_id.or(said.workflow_run_id),
    }
}

/// A statement must run to be cancelled, so a refused request is made again at the next sweep.
async fn cancel(client: &Client, statement: &Listed, requests: &mut Requests) -> Result<()> {
    if !requests.last || statement.status != Some(Status::Started) {
        requests.last = statement::cancel(client, &statement.id).await?;
        requests.taken |= requests.last;
        let taken = requests.last;
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
