//! Where the time of an execution went.

use serde::Serialize;

use super::model::{Statement, Visit};
use crate::moment::Moment;

/// What a state is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Checking the input.
    Plan,
    /// Waiting for earlier executions, and for what a dead one left running.
    Turn,
    /// Waiting for the Glue workflow run.
    Gate,
    /// The EMR step.
    Emr,
    /// Running the procedures. [`Phases`] splits it.
    Procedures,
    /// Reading the audit tables and sending notifications.
    Notify,
    /// Cancelling and reporting after a failure.
    Cleanup,
    /// A state that this version does not know.
    Other,
}

/// The seconds of an execution by what they were spent on. They add up to the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Phases {
    pub plan: f64,
    pub turn: f64,
    pub gate: f64,
    pub emr: f64,
    /// Until the Data API had accepted the statements.
    pub submit: f64,
    /// While statements queued in the warehouse, until their ends were seen, and before a new attempt.
    pub waiting: f64,
    /// While the warehouse worked.
    pub warehouse: f64,
    pub notify: f64,
    pub cleanup: f64,
    /// Between states, and in states that this version does not know.
    pub other: f64,
}

impl Phase {
    /// What a state of the state machine is for.
    pub fn of(state: &str) -> Self {
        match state {
            "Plan" | "NotPlanned" | "IsDryRun" | "DryRun" => Self::Plan,
            "Turn" | "HasTurn" | "WaitForTurn" | "Covered" => Self::Turn,
            "Gate" | "IsOpen" | "WaitForRun" => Self::Gate,
            "RunStep" | "FindStep" | "JudgeStep" | "NotJudged" | "HasStepEnded" | "CancelStep" | "WaitForStep" => {
                Self::Emr
            }
            "Submit" | "HasEnded" | "Wait" | "Check" | "BackOff" | "Next" => Self::Procedures,
            "Notify" => Self::Notify,
            "Refused" | "StatementFailed" | "UnknownAnswer" | "CancelWhatRuns" | "Failed" => Self::Cleanup,
            "ComposeFailure" | "AddressFailure" | "NotifyFailure" | "NotifyInShort" | "HasChat" | "NotifyChat" => {
                Self::Cleanup
            }
            _ => Self::Other,
        }
    }
}

impl Phases {
    /// Splits the `total` seconds of an execution.
    pub(super) fn of(states: &[Visit], statements: &[Statement], total: f64, now: Moment) -> Self {
        let spent = |phase: Phase| states.iter().filter(|visit| visit.phase == phase).map(|visit| visit.seconds).sum();
        let procedures: f64 = spent(Phase::Procedures);
        let submit = states.iter().filter(|visit| visit.state == "Submit");
        let submit: f64 = submit.map(|visit| before_acceptance(visit, statements)).sum();
        let warehouse: f64 = statements.iter().map(|statement| in_warehouse(statement, now)).sum();
        let submit = submit.min(procedures);
        let warehouse = warehouse.min(procedures - submit);
        let known = Self {
            plan: spent(Phase::Plan),
            turn: spent(Phase::Turn),
            gate: spent(Phase::Gate),
            emr: spent(Phase::Emr),
            submit,
            warehouse,
            waiting: procedures - submit - warehouse,
            notify: spent(Phase::Notify),
            cleanup: spent(Phase::Cleanup),
            other: 0.0,
        };
        let sum: f64 = known.each().iter().map(|(_, seconds)| seconds).sum();
        Self { other: (total - sum).max(0.0), ..known }
    }

    /// Each with its name, in the order of an execution.
    pub fn each(&self) -> [(&'static str, f64); 10] {
        [
            ("plan", self.plan),
            ("turn", self.turn),
            ("gate", self.gate),
            ("emr", self.emr),
            ("submit", self.submit),
            ("waiting", self.waiting),
            ("warehouse", self.warehouse),
            ("notify", self.notify),
            ("cleanup", self.cleanup),
            ("other", self.other),
        ]
    }
}

/// How long a Submit took until its statement was accepted: it then waits for the end of a short one. All of it, if none was.
fn before_acceptance(visit: &Visit, statements: &[Statement]) -> f64 {
    let accepted = statements.iter().filter_map(|statement| statement.submitted_at);
    let mut accepted = accepted.filter(|at| *at >= visit.entered && visit.left.is_none_or(|left| *at <= left));
    accepted.next().map_or(visit.seconds, |at| at.seconds_since(visit.entered))
}

/// How long a statement ran, or has run so far.
fn in_warehouse(statement: &Statement, now: Moment) -> f64 {
    match (statement.seconds, statement.submitted_at) {
        (Some(seconds), _) => seconds,
        (None, Some(at)) if statement.status == "STARTED" => now.seconds_since(at),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::tools::project;

    #[test]
    fn every_state_of_the_state_machine_has_a_phase() {
        let text = std::fs::read_to_string(project("infra/statemachines/loader.asl.json")).expect("the definition");
        let definition: Value = serde_json::from_str(&text).expect("JSON");
        let states = definition["States"].as_object().expect("states");
        for state in states.keys() {
            assert_ne!(Phase::of(state), Phase::Other, "{state}");
        }
        assert_eq!(Phase::of("New"), Phase::Other);
    }
}
