//! The kinds of payload, distinguished and read in one place.

use serde_json::Value;
use shared::progress::Ticket;
use shared::runtime::parse;
use shared::{Error, Result};

use crate::{gate, step, sweep, turn};

/// One kind of payload.
#[derive(Debug)]
pub(crate) enum Request {
    /// Where does a statement stand?
    Check(Box<Ticket>),
    /// Cancel what an execution left running.
    Cancel(sweep::Cancel),
    /// The same, for the event of an execution that ended from outside.
    Ended(sweep::Ended),
    /// Has an execution's turn come?
    Turn(turn::Request),
    /// Has the Glue workflow run of an event succeeded?
    Gate(gate::Request),
    /// What becomes of an EMR step that did not succeed?
    Step(step::Request),
}

impl Request {
    /// What a payload asks for, in one word.
    pub(crate) fn name(payload: &Value) -> &'static str {
        let kinds = [
            ("detail-type", "ended"),
            ("CancelExecution", "cancel"),
            ("Turn", "turn"),
            ("Gate", "gate"),
            ("EmrStep", "step"),
            ("Id", "check"),
        ];
        let known = kinds.into_iter().find(|(field, _)| payload.get(field).is_some());
        known.map_or("unknown", |(_, name)| name)
    }

    /// # Errors
    /// `InvalidInput`.
    pub(crate) fn read(payload: Value) -> Result<Self> {
        match Self::name(&payload) {
            "ended" => parse(payload).map(Self::Ended),
            "cancel" => parse(payload).map(Self::Cancel),
            "turn" => parse(payload).map(Self::Turn),
            "gate" => parse(payload).map(Self::Gate),
            "step" => parse(payload).map(Self::Step),
            "check" => parse(payload).map(|ticket| Self::Check(Box::new(ticket))),
            _ => Err(Error::invalid_input(
                "nothing to check: give Id and TimeoutSeconds, or CancelExecution, or an execution's status event",
            )),
        }
    }
}
