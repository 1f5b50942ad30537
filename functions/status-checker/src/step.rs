//! An EMR step that did not succeed: is it still on the cluster, and what does the error report?
//!
//! Step Functions gives up a step that runs out of time without naming it. A step that goes on would
//! write into the staging area beside the next load, so it is cancelled, and the execution fails only once it has
//! ended. The state machine lists the cluster's active steps, newest first, and asks here.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use shared::attempt::{ExecutionArn, check_execution_id};
use shared::error::{MAX_CAUSE_CHARS, cut};
use shared::{Result, runtime, shown};
use tracing::info;

use crate::answer::{Answer, Previous, Refusal, StepMemory, Verdict};

/// How often an ending step is checked: with [`PAUSE`] between two checks, for ten minutes.
pub const LOOKS: u32 = 60;
/// The pause between two looks.
pub const PAUSE: Duration = Duration::from_secs(10);

/// What the state machine asks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Request {
    execution_id: String,
    emr_step: EmrStep,
    /// Why the step did not succeed.
    failure: Failure,
    /// The active steps from ListSteps.
    #[serde(default)]
    emr: Listing,
    #[serde(default)]
    answer: Previous,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EmrStep {
    cluster_id: String,
    timeout_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Failure {
    error: String,
    cause: String,
}

impl Default for Failure {
    fn default() -> Self {
        Self { error: "unknown".into(), cause: String::new() }
    }
}

/// The steps, or the error of the list. [EMR API reference, `ListSteps`]
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listing {
    steps: Option<Vec<Step>>,
    /// Present if the cluster has more active steps than one answer holds.
    marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Step {
    id: String,
    name: String,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Status {
    state: String,
}

pub(crate) fn answer(request: Request) -> Result<Value> {
    check_execution_id(&request.execution_id)?;
    let (memory, verdict) = decide(&request);
    let context = request.answer.context;
    let answer = Answer { context, step: Some(memory), ..verdict.into() };
    info!(status = answer.status, refusal = answer.error, "checked the EMR step");
    runtime::answer(&answer)
}

/// The name that the state machine gives the step of an execution.
fn name_of(execution_id: &str) -> String {
    let name = ExecutionArn::parse(execution_id).map_or(execution_id, |arn| arn.name);
    format!("redshift-loader {name}")
}

/// Why a step failed, in EMR's words. The Cause of a step that failed is the whole of DescribeStep's answer, arguments
/// included: only the state and the reasons are taken from it. [EMR API reference, `StepStatus`]
fn reason(cause: &str) -> String {
    let Ok(answer) = serde_json::from_str::<Value>(cause) else {
        // The text of an exception; what follows names the service and the request.
        return cut(cause.split(" (Service:").next().unwrap_or_default(), 500);
    };
    let status = &answer["Step"]["Status"];
    let texts = [
        &status["State"],
        &status["StateChangeReason"]["Message"],
        &status["FailureDetails"]["Reason"],
        &status["FailureDetails"]["Message"],
        &status["FailureDetails"]["LogFile"],
    ];
    let known: Vec<_> = texts.into_iter().filter_map(Value::as_str).collect();
    if known.is_empty() { "EMR gives no reason".to_owned() } else { known.join("; ") }
}

fn decide(request: &Request) -> (StepMemory, Verdict) {
    let Request { execution_id, emr_step, failure, emr, answer } = request;
    let mut memory = answer.step.clone();
    memory.looks += 1;
    let name = name_of(execution_id);
    let refuse = |cause: &str| Verdict::Refuse { error: Refusal::EmrStepFailed, cause: cut(cause, MAX_CAUSE_CHARS) };
    let why = match failure.error.as_str() {
        "States.Timeout" => format!("the EMR step has not ended within {} seconds", emr_step.timeout_seconds),
        error => format!("{}: {}", shown::id(error).unwrap_or("failed"), reason(&failure.cause)),
    };
    let cluster = &emr_step.cluster_id;
    let found = emr.steps.iter().flatten().find(|step| step.name == name && shown::id(&step.id).is_some());
    if emr.steps.is_none() || (found.is_none() && emr.marker.is_some()) {
        let cause = format!(
            "{why}. The steps of the cluster {cluster} could not all be listed, so the step may still run: cancel it \
             there. Nothing was loaded."
        );
        return match memory.looks < LOOKS && memory.step_id.is_some() {
            true => (memory, Verdict::Wait(PAUSE)),
            false => (memory, refuse(&cause)),
        };
    }
    let Some(step) = found else {
        // A step that failed by itself is not active. Of one that timed out this was its end.
        let cause = match (&memory.step_id, memory.found.as_deref()) {
            (Some(id), Some("PENDING")) => format!(
                "{why}: step {id} was still waiting on the cluster {cluster} behind other steps (PENDING) and never \
                 ran. It was cancelled. Nothing was loaded."
            ),
            (Some(id), _) => format!("{why}: step {id} was running, and was cancelled. Nothing was loaded."),
            (None, _) => {
                format!("{why}. No step of this execution is active on the cluster {cluster}. Nothing was loaded.")
            }
        };
        return (memory, refuse(&cause));
    };
    let state = shown::status_word(&step.status.state).unwrap_or("active");
    memory.step_id.get_or_insert_with(|| step.id.clone());
    memory.found.get_or_insert_with(|| state.to_owned());
    if memory.looks > LOOKS {
        let cause = format!(
            "{why}: step {} is still {} on the cluster {cluster} {} minutes after its cancellation was requested: \
             see aws emr describe-step. Nothing was loaded.",
            step.id,
            state,
            u64::from(LOOKS) * PAUSE.as_secs() / 60
        );
        return (memory, refuse(&cause));
    }
    (memory, Verdict::Cancel { step_id: step.id.clone(), pause: PAUSE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:loader:run-1";

    fn ask(failure: Value, emr: Value, before: Value) -> Value {
        let payload = json!({"ExecutionId": ARN, "EmrStep": {"ClusterId": "j-1", "Arguments": ["x"], "TimeoutSeconds": 60},
                             "Failure": failure, "Emr": emr, "Answer": before});
        answer(shared::runtime::parse(payload).expect("a request")).expect("an answer")
    }

    fn listed(state: &str) -> Value {
        json!({"Steps": [{"Id": "s-9", "Name": "redshift-loader run-12", "Status": {"State": "RUNNING"}},
                         {"Id": "s-1", "Name": "redshift-loader run-1", "Status": {"State": state, "Timeline": {}}}]})
    }

    fn late() -> Value {
        json!({"Error": "States.Timeout", "Cause": ""})
    }

    #[test]
    fn a_step_that_a_cut_list_lacks_may_still_run() {
        let cut = json!({"Steps": [{"Id": "s-9", "Name": "another", "Status": {"State": "RUNNING"}}], "Marker": "m"});
        let answer = ask(late(), cut.clone(), json!({}));
        assert_eq!((&answer["Status"], &answer["Error"]), (&json!("REFUSED"), &json!("EmrStepFailed")));
        assert!(answer["Cause"].as_str().is_some_and(|cause| cause.contains("may still run")), "{answer}");
        let known = json!({"Step": {"Looks": 1, "StepId": "s-1", "Found": "RUNNING"}});
        assert_eq!(ask(late(), cut, known)["Status"], "WAITING");
    }

    #[test]
    fn a_step_that_runs_out_of_time_is_cancelled_and_waited_for() {
        for (state, says) in
            [("RUNNING", "s-1 was running, and was cancelled"), ("PENDING", "behind other steps (PENDING)")]
        {
            let context = json!({"Context": {"WorkflowName": "w", "WorkflowRunId": "wr_1"}});
            let first = ask(late(), listed(state), context.clone());
            assert_eq!(
                (&first["Status"], &first["StepId"], &first["WaitSeconds"]),
                (&json!("CANCELLING"), &json!("s-1"), &json!(10))
            );
            let second = ask(late(), listed("CANCEL_PENDING"), first);
            assert_eq!(second["Status"], "CANCELLING", "requested until it has ended");
            let last = ask(late(), json!({"Steps": []}), second);
            assert_eq!((&last["Error"], &last["Context"]), (&json!("EmrStepFailed"), &context["Context"]));
            let cause = last["Cause"].as_str().expect("a cause");
            assert!(cause.contains("not ended within 60 seconds") && cause.contains(says), "{cause}");
        }
    }

    #[test]
    fn a_step_that_does_not_end_is_given_up() {
        let mut answer = json!({});
        for look in 1..=LOOKS {
            answer = ask(late(), listed("RUNNING"), answer);
            assert_eq!(answer["Status"], "CANCELLING", "{look}");
        }
        answer = ask(late(), listed("RUNNING"), answer);
        assert_eq!(answer["Error"], "EmrStepFailed");
        assert!(answer["Cause"].as_str().is_some_and(|c| c.contains("s-1 is still RUNNING")), "{answer}");
    }

    #[test]
    fn steps_that_cannot_be_listed_are_said_to_run_perhaps() {
        let denied = json!({"Error": "Emr.EmrException", "Cause": "no"});
        let answer = ask(late(), denied.clone(), json!({}));
        assert!(answer["Cause"].as_str().is_some_and(|c| c.contains("may still run")), "{answer}");
        let found = ask(late(), listed("RUNNING"), json!({}));
        assert_eq!(ask(late(), denied, found)["Status"], "WAITING", "it was there a moment ago");
    }

    #[test]
    fn a_step_that_failed_is_told_by_its_reason_and_not_by_its_arguments() {
        let answer = json!({"Step": {"Id": "s-1", "Config": {"Args": ["hunter2"]},
                                     "Status": {"State": "FAILED", "FailureDetails": {"Reason": "Unknown Error.", "LogFile": "s3://logs/"}}}});
        for (cause, says) in [
            (answer.to_string(), "FAILED; Unknown Error.; s3://logs/"),
            ("Cluster id 'j-1' is not valid. (Service: AmazonElasticMapReduce; hunter2)".into(), "'j-1' is not valid."),
            (json!({"x": "hunter2"}).to_string(), "no reason"),
        ] {
            let answer = ask(json!({"Error": "States.TaskFailed", "Cause": cause}), json!({"Steps": []}), json!({}));
            let text = answer["Cause"].as_str().expect("a cause");
            assert!(answer["Error"] == "EmrStepFailed" && text.contains(says) && !text.contains("hunter2"), "{text}");
        }
    }
}
