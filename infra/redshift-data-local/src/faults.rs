//! Faults to order: what the service and the engine do on a bad day.
//!
//! `PUT /faults` with a JSON list of faults replaces those that are set; `GET /faults` shows what is left
//! of them. A fault strikes as often as its `Times` says (once if it is absent) and is then gone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::FailureType;

/// One fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Only for this operation (`ExecuteStatement`, ...), if it is about a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only for statements whose name has this in it, if it is about a statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_name: Option<String>,
    /// How often, 1 or more.
    #[serde(default = "once")]
    pub times: u32,
}

impl Fault {
    /// A fault that strikes once, whatever is called.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, operation: None, statement_name: None, times: once() }
    }

    /// Only for this operation.
    #[must_use]
    pub fn on(self, operation: &str) -> Self {
        Self { operation: Some(operation.to_owned()), ..self }
    }

    /// Only for statements whose name has this in it.
    #[must_use]
    pub fn of(self, statement_name: &str) -> Self {
        Self { statement_name: Some(statement_name.to_owned()), ..self }
    }

    /// So many times.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

impl Fault {
    /// # Errors
    /// What of it can never strike.
    pub(crate) fn check(&self, operations: &[&str]) -> Result<(), String> {
        match &self.operation {
            Some(operation) if !operations.contains(&operation.as_str()) => {
                Err(format!("{operation:?} is none of {}", operations.join(", ")))
            }
            _ if self.times == 0 => Err("Times is how often it strikes: 1 or more".to_owned()),
            _ => Ok(()),
        }
    }
}

fn once() -> u32 {
    1
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The call is refused by this error type, and does nothing.
    Refuse(FailureType),
    /// Short for a ThrottlingException.
    Throttle,
    /// Short for an ActiveStatementsExceededException.
    TooManyStatements,
    /// Short for an InternalServerException.
    InternalError,
    /// The call does its work, and its response is lost: the connection breaks.
    LoseResponse,
    /// A long poll returns after so many seconds, ended or not.
    CutWait(f64),
    /// The statement stays SUBMITTED for so many seconds.
    SlowStart(f64),
    /// The statement runs until it is cancelled.
    NeverEnds,
    /// A cancel takes so many seconds to be effective.
    SlowCancel(f64),
    /// The statement fails with this text, and does nothing.
    FailWith(String),
    /// The statement's session is ended by an administrator so many seconds after its start.
    KillSession(f64),
    /// The connection to the statement's session is lost so many seconds after its start.
    LoseSession(f64),
    /// PostgreSQL loses the statement's process so many seconds after its start, ends every session and
    /// recovers. Works for a PostgreSQL on this machine that we may send signals to.
    CrashServer(f64),
    /// The statement is not known any more, as after 24 hours.
    Expire,
    /// The statement is described with this status.
    UnknownStatus(String),
}

impl FaultKind {
    /// What a call is refused by.
    pub(crate) fn refusal(&self) -> Option<FailureType> {
        match self {
            Self::Refuse(kind) => Some(*kind),
            Self::Throttle => Some(FailureType::ThrottlingException),
            Self::TooManyStatements => Some(FailureType::ActiveStatementsExceededException),
            Self::InternalError => Some(FailureType::InternalServerException),
            _ => None,
        }
    }
}

/// The faults that are set.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Replaces what is set.
    pub fn set(&self, faults: Vec<Fault>) {
        *self.lock() = faults;
    }

    /// What has not struck yet.
    pub fn left(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// Takes a fault for a call or a statement, if one is set.
    pub(crate) fn take<T>(
        &self,
        operation: &str,
        name: Option<&str>,
        pick: impl Fn(&FaultKind) -> Option<T>,
    ) -> Option<T> {
        let mut faults = self.lock();
        let strikes = |f: &Fault| {
            f.operation.as_deref().is_none_or(|o| o == operation)
                && f.statement_name.as_deref().is_none_or(|part| name.unwrap_or_default().contains(part))
        };
        let (place, found) =
            faults.iter().enumerate().find_map(|(n, f)| Some((n, pick(&f.kind).filter(|_| strikes(f))?)))?;
        faults[place].times = faults[place].times.saturating_sub(1);
        if faults[place].times == 0 {
            faults.remove(place);
        }
        Some(found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong with one statement's run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) slow_start: Option<Duration>,
    pub(crate) never_ends: bool,
    pub(crate) slow_cancel: Option<Duration>,
    pub(crate) fail_with: Option<String>,
    pub(crate) kill_after: Option<Duration>,
    pub(crate) lose_after: Option<Duration>,
    pub(crate) crash_after: Option<Duration>,
}

impl Run {
    /// Takes what is set for a statement.
    pub(crate) fn take(faults: &Faults, operation: &str, name: Option<&str>) -> Self {
        let seconds = |pick: fn(&FaultKind) -> Option<f64>| {
            faults.take(operation, name, |kind| Duration::try_from_secs_f64(pick(kind)?).ok())
        };
        Self {
            slow_start: seconds(|k| if let FaultKind::SlowStart(s) = k { Some(*s) } else { None }),
            slow_cancel: seconds(|k| if let FaultKind::SlowCancel(s) = k { Some(*s) } else { None }),
            kill_after: seconds(|k| if let FaultKind::KillSession(s) = k { Some(*s) } else { None }),
            lose_after: seconds(|k| if let FaultKind::LoseSession(s) = k { Some(*s) } else { None }),
            crash_after: seconds(|k| if let FaultKind::CrashServer(s) = k { Some(*s) } else { None }),
            never_ends: faults.take(operation, name, |k| (*k == FaultKind::NeverEnds).then_some(())).is_some(),
            fail_with: faults
                .take(operation, name, |k| if let FaultKind::FailWith(t) = k { Some(t.clone()) } else { None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_it_says_and_only_what_it_is_for() {
        let faults = Faults::default();
        faults.set(
            serde_json::from_str(
                r#"[{"Kind": "Throttle", "Operation": "DescribeStatement"}, {"Kind": {"Refuse": "ThrottlingException"},
                "Operation": "DescribeStatement"}, {"Kind": {"FailWith": "x"}, "StatementName": "/0/1"}]"#,
            )
            .expect("faults"),
        );
        let throttle =
            |operation| faults.take(operation, None, FaultKind::refusal) == Some(FailureType::ThrottlingException);
        assert_eq!(
            [
                throttle("ExecuteStatement"),
                throttle("DescribeStatement"),
                throttle("DescribeStatement"),
                throttle("DescribeStatement")
            ],
            [false, true, true, false]
        );
        assert!(Run::take(&faults, "ExecuteStatement", Some("m/e/0/2")).fail_with.is_none());
        assert_eq!(Run::take(&faults, "ExecuteStatement", Some("m/e/0/1")).fail_with.as_deref(), Some("x"));
        assert!(faults.left().is_empty());
    }

    #[test]
    fn what_can_never_strike_is_refused() {
        for (fault, strikes) in [
            (Fault::new(FaultKind::Throttle), true),
            (Fault::new(FaultKind::Throttle).on("ListTables"), true),
            (Fault::new(FaultKind::Throttle).on("listTables"), false),
            (Fault::new(FaultKind::Throttle).times(0), false),
        ] {
            assert_eq!(fault.check(&crate::service::OPERATIONS).is_ok(), strikes, "{fault:?}");
        }
    }

    #[test]
    fn the_readme_has_every_kind() {
        let readme = include_str!("../README.md");
        let table = readme.split("| `Kind` |").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a table");
        let read = |text: &str| serde_json::from_str::<FaultKind>(text).ok();
        let kinds: Vec<_> = table.split('`').skip(1).step_by(2).filter_map(read).collect();
        let names: std::collections::HashSet<_> = kinds.iter().map(std::mem::discriminant).collect();
        assert_eq!((kinds.len(), names.len()), (15, 15), "{kinds:?}");
    }
}
