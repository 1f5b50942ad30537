//! What a walk through a state machine's definition uses, by the definition's own text.

use std::ops::{Add, Mul};

use ::tests::{Any, failed};
use loader::tools::project;
use serde_json::Value;

use crate::prices;

/// The functions have 128 MB.
const GIGABYTES: f64 = 0.125;
/// What an invocation takes beside its long poll, generously: `make demo` shows some 20 ms.
const SECONDS_PER_INVOCATION: f64 = 0.05;

/// What is paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// State transitions.
    pub transitions: u64,
    /// Events in the execution's history. They cost nothing, but 25,000 end an execution.
    pub events: u64,
    /// Requests to Lambda.
    pub invocations: u64,
    /// Seconds that a function runs because it waits for an answer.
    pub polled: f64,
    /// Durable operations.
    pub operations: u64,
    /// Writes to a store of tokens.
    pub writes: u64,
    /// Reads from it.
    pub reads: u64,
    /// Events that a service sends on request.
    pub opt_in_events: u64,
}

impl Usage {
    /// What it costs.
    pub fn dollars(self) -> f64 {
        self.transitions as f64 * prices::TRANSITION
            + self.lambda()
            + self.operations as f64 * prices::DURABLE_OPERATION
            + self.writes as f64 * prices::STORE_WRITE
            + self.reads as f64 * prices::STORE_READ
            + self.opt_in_events as f64 * prices::OPT_IN_EVENT
    }

    /// Lambda's part of it.
    pub fn lambda(self) -> f64 {
        let invocations = self.invocations as f64;
        let seconds = self.polled + invocations * SECONDS_PER_INVOCATION;
        invocations * prices::REQUEST + seconds * GIGABYTES * prices::GB_SECOND
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            transitions: self.transitions + other.transitions,
            events: self.events + other.events,
            invocations: self.invocations + other.invocations,
            polled: self.polled + other.polled,
            operations: self.operations + other.operations,
            writes: self.writes + other.writes,
            reads: self.reads + other.reads,
            opt_in_events: self.opt_in_events + other.opt_in_events,
        }
    }
}

impl Mul<u64> for Usage {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            transitions: self.transitions * times,
            events: self.events * times,
            invocations: self.invocations * times,
            polled: self.polled * times as f64,
            operations: self.operations * times,
            writes: self.writes * times,
            reads: self.reads * times,
            opt_in_events: self.opt_in_events * times,
        }
    }
}

/// A state machine in the Amazon States Language.
pub struct Definition(Value);

impl Definition {
    /// Of a file in the repository.
    pub fn read(path: &str) -> Any<Self> {
        Ok(Self(serde_json::from_str(&std::fs::read_to_string(project(path))?)?))
    }

    /// Of a text.
    pub fn new(definition: Value) -> Self {
        Self(definition)
    }

    /// What entering these states uses, in this order. A walk that goes `on_from` a state has entered that before.
    ///
    /// # Errors
    /// There is no such state, or the definition does not lead from one to the next.
    pub fn walk(&self, on_from: Option<&str>, path: &[&str]) -> Any<Usage> {
        let mut before = on_from;
        let mut used = Usage::default();
        for &name in path {
            if let Some(before) = before
                && !leads(self.state(before)?, name)
            {
                return Err(failed(format!("{before} does not lead to {name}")));
            }
            used = used + entering(self.state(name)?);
            before = Some(name);
        }
        Ok(used)
    }

    fn state(&self, name: &str) -> Any<&Value> {
        self.0["States"].get(name).ok_or_else(|| failed(format!("there is no state {name}")))
    }
}

fn leads(state: &Value, to: &str) -> bool {
    let branches = ["Choices", "Catch"].map(|field| state[field].as_array().into_iter().flatten());
    state["Next"] == to || state["Default"] == to || branches.into_iter().flatten().any(|branch| branch["Next"] == to)
}

/// A state is entered and exited; a task is also scheduled and started, and succeeds or fails. One that waits for a token
/// is submitted besides. [Step Functions developer guide, history events]
fn entering(state: &Value) -> Usage {
    let resource = state["Resource"].as_str().unwrap_or_default();
    let events = match state["Type"].as_str() {
        Some("Task") if resource.ends_with(".waitForTaskToken") => 6,
        Some("Task") => 5,
        _ => 2,
    };
    Usage { transitions: 1, events, invocations: u64::from(resource.contains(":lambda:invoke")), ..Usage::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_follows_the_definition() {
        let ours = Definition::read("infra/statemachines/loader.asl.json").expect("our definition");
        let turn = ours.walk(Some("HasEnded"), &["Wait", "Check", "HasEnded"]).expect("a turn of the loop");
        assert_eq!((turn.transitions, turn.events, turn.invocations), (3, 9, 1));
        for (path, error) in
            [(&["Submit", "Notify"][..], "Submit does not lead to Notify"), (&["Ended"], "there is no state Ended")]
        {
            let refused = ours.walk(None, path).expect_err("no such walk").to_string();
            assert!(refused.contains(error), "{refused}");
        }
    }
}
