//! The answers to the questions before a load. Fields are those of a statement's answer where they mean the
//! same: `Status`, `WaitSeconds`, `Error`, `Cause`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::WorkflowRun;
use shared::advice::with_advice;
use strum::VariantArray;

/// The outcome of a decision.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Go on.
    Ready,
    /// Look again after this time.
    Wait(Duration),
    /// Nothing is left to do: this execution, which waits, will do the same.
    Covered { by: String },
    /// Request the cancellation of the EMR step, then look again after this time.
    Cancel { step_id: String, pause: Duration },
    /// Fail.
    Refuse { error: Refusal, cause: String },
}

/// Why nothing is loaded: names that are answers and no failures of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
pub enum Refusal {
    /// An earlier execution, or what one left in the warehouse, has not ended in time.
    QueueTimedOut,
    /// Glue did not list the runs.
    WorkflowLookupFailed,
    /// The workflow has no run that the event can belong to.
    WorkflowRunNotFound,
    /// The run, or a later one, has not ended in time.
    WorkflowNotFinished,
    /// The run has not succeeded.
    WorkflowNotSucceeded,
    /// The EMR step has not succeeded.
    EmrStepFailed,
}

impl Refusal {
    /// Every reason.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The stable name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) wait_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) covered_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// The Glue workflow run that the load belongs to, once it is known.
    pub(crate) context: WorkflowRun,
    /// What the next look at the gate needs to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gate: Option<GateMemory>,
    /// What the next look at the EMR step needs to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<StepMemory>,
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        let plain = Self {
            status: "READY",
            wait_seconds: 0,
            covered_by: None,
            step_id: None,
            error: None,
            cause: None,
            context: WorkflowRun::default(),
            gate: None,
            step: None,
        };
        match verdict {
            Verdict::Ready => plain,
            Verdict::Wait(pause) => Self { status: "WAITING", wait_seconds: pause.as_secs(), ..plain },
            Verdict::Covered { by } => Self { status: "COVERED", covered_by: Some(by), ..plain },
            Verdict::Cancel { step_id, pause } => {
                Self { status: "CANCELLING", wait_seconds: pause.as_secs(), step_id: Some(step_id), ..plain }
            }
            Verdict::Refuse { error, cause } => {
                let cause = with_advice(&cause, error.name());
                Self { status: "REFUSED", error: Some(error.name()), cause: Some(cause), ..plain }
            }
        }
    }
}

/// What a check of the gate hands to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct GateMemory {
    /// Looks so far.
    pub(crate) looks: u32,
    /// How many of the last ones failed.
    pub(crate) failed_looks: u32,
    /// The run, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workflow_run_id: Option<String>,
}

/// What a check of the EMR step hands to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct StepMemory {
    /// Looks so far.
    pub(crate) looks: u32,
    /// The step, once it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step_id: Option<String>,
    /// Where it stood when it was found: PENDING on the cluster's queue, or RUNNING.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<String>,
}

/// The answer before, as far as the next one needs it: the state machine hands it back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Previous {
    pub(crate) context: WorkflowRun,
    pub(crate) gate: GateMemory,
    pub(crate) step: StepMemory,
}
