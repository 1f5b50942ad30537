//! What an execution is.

use serde::Serialize;

use super::phases::{Phase, Phases};
use crate::moment::Moment;

/// An execution, as a list has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub arn: String,
    pub name: String,
    /// Step Functions' word: RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED.
    pub status: String,
    pub started: Moment,
    /// Absent while it runs.
    pub ended: Option<Moment>,
}

/// An execution, and what its history shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Execution {
    #[serde(flatten)]
    pub summary: Summary,
    /// From its start to its end, or so far.
    pub seconds: f64,
    /// The stable name of why it failed.
    pub error: Option<String>,
    /// The same in words.
    pub cause: Option<String>,
    /// The execution that does its work, if this one had nothing left to do.
    pub covered_by: Option<String>,
    /// How many runs do not match, as the notifications counted them.
    pub unresolved_runs: Option<u64>,
    /// How many messages were sent about them.
    pub notified: Option<u64>,
    /// In the order in which they were entered.
    pub states: Vec<Visit>,
    /// In the order in which they were submitted.
    pub statements: Vec<Statement>,
    /// Where the time went: adds up to `seconds`.
    pub phases: Phases,
}

/// One stay in a state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Visit {
    /// The state's name.
    pub state: String,
    /// Its type, such as Task or Wait.
    pub kind: String,
    /// What it is for.
    pub phase: Phase,
    pub entered: Moment,
    /// Absent while the execution is in it. The end of the execution, if that ended here.
    pub left: Option<Moment>,
    /// How many seconds it took, or has taken so far.
    pub seconds: f64,
    /// Whether its task failed in the end, its answer is an error, or the execution ended here without success.
    pub failed: bool,
    /// How often its task failed and was tried again, or given up.
    pub failed_tries: u32,
    /// The stable name of the last such failure, or of the answer's error.
    pub error: Option<String>,
}

/// One attempt of one procedure: a statement in the warehouse, as the last look at it saw it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statement {
    /// The number of its call in the execution's list, from 0.
    pub step: u64,
    pub procedure: String,
    /// The number of the attempt, from 1.
    pub attempt: u64,
    /// Its Id in the Data API.
    pub id: String,
    /// The Data API's word: SUBMITTED, PICKED, STARTED, FINISHED, FAILED, ABORTED.
    pub status: String,
    /// How long the warehouse took; absent until its end was seen.
    pub seconds: Option<f64>,
    /// When the service accepted it.
    pub submitted_at: Option<Moment>,
    /// When its end was seen, which is a little later than it was.
    pub ended_at: Option<Moment>,
    /// Rows returned or affected, if the engine reports them.
    pub result_rows: Option<i64>,
    /// The engine's own number of the query, as in SYS_QUERY_HISTORY.
    pub redshift_query_id: Option<i64>,
    /// The stable name of why it failed.
    pub error: Option<String>,
    /// The engine's text.
    pub cause: Option<String>,
}

impl Summary {
    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.status == "RUNNING"
    }

    /// Whether it ended as it should.
    pub fn has_succeeded(&self) -> bool {
        self.status == "SUCCEEDED"
    }
}

impl Execution {
    /// The state that it is in, if it runs.
    pub fn current(&self) -> Option<&Visit> {
        self.states.last().filter(|visit| visit.left.is_none())
    }
}

impl Statement {
    /// Whether it will never change again.
    pub fn has_ended(&self) -> bool {
        ["FINISHED", "FAILED", "ABORTED"].contains(&self.status.as_str())
    }
}
