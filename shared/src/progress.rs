//! What travels through the state machine's loop: a statement, where it stands, and what to do next.
//!
//! proc-runner starts a [`Progress`], the state machine hands it to status-checker, and that hands back
//! a newer one. What to do is decided by [`decide`], a pure function.

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::advice::with_advice;
use crate::attempt::check_execution_id;
use crate::call::QualifiedName;
use crate::console::Console;
use crate::error::{Error, MAX_CAUSE_CHARS, Result, cut};
use crate::failure::FailureKind;
use crate::ids::Ids;
use crate::statement::{Description, StatementId};
use crate::status::Status;
use crate::workflow::WorkflowRun;
use crate::{polling, shown};

/// A statement runs 24 hours at most. [Amazon Redshift Management Guide]
pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A statement on its way, with the bounds it has. Times are RFC 3339, durations seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ticket {
    /// The statement.
    pub id: StatementId,
    /// Time that the statement has, from its CreatedAt, before it is cancelled.
    pub timeout_seconds: u64,
    /// When the service accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339")]
    pub created_at: Option<SystemTime>,
    /// The procedure's name, without arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub procedure: Option<String>,
    /// The statement's name in the Data API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_name: Option<String>,
    /// The execution that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<String>,
    /// The Glue workflow run that it belongs to.
    #[serde(default, skip_serializing_if = "WorkflowRun::is_none")]
    pub context: WorkflowRun,
    /// The number of its call in the execution's list, from 0.
    #[serde(default)]
    pub step: u32,
    /// How many calls the list has; absent if there is no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The number of this attempt, from 1.
    #[serde(default = "one")]
    pub attempt: u32,
    /// How many attempts there may be.
    #[serde(default = "one")]
    pub max_attempts: u32,
    /// When its cancellation was requested because its time was over.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339")]
    pub cancel_requested_at: Option<SystemTime>,
    /// Whether that request was refused, and must be repeated: a statement must run to be cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_refused: bool,
}

fn one() -> u32 {
    1
}

impl Ticket {
    /// What logs and metrics about the statement carry.
    pub fn ids(&self) -> Ids {
        Ids {
            execution: self.execution_id.clone().filter(|id| check_execution_id(id).is_ok()),
            statement_id: Some(self.id.clone()),
            statement_name: self.statement_name.clone().filter(|name| shown::id(name).is_some()),
            procedure: self.procedure.as_deref().and_then(QualifiedName::shown).map(|name| name.to_string()),
            workflow_run: self.context.clone(),
        }
    }

    /// The time to the deadline, as of `now`.
    pub fn left(&self, now: SystemTime) -> Duration {
        let elapsed = self.created_at.map_or(Duration::ZERO, |at| since(at, now));
        Duration::from_secs(self.timeout_seconds).saturating_sub(elapsed)
    }

    /// When its clock started: the earliest time that is known, and `now` if none is.
    ///
    /// A description without a CreatedAt, or with one in the future, never starts the clock again.
    fn started(&self, description: &Description, now: SystemTime) -> SystemTime {
        [self.created_at, description.created_at].into_iter().flatten().fold(now, SystemTime::min)
    }

    /// What to submit once this has ended: the same call again after a failure that may pass, the next one of the
    /// list after a success; nothing if the list is done or the failure stays.
    fn next(&self, end: &End) -> Option<Cursor> {
        let count = self.count?;
        match &end.failure {
            Some(failure) => (failure.retryable && self.attempt < self.max_attempts).then(|| Cursor {
                step: self.step,
                attempt: self.attempt + 1,
                count,
            }),
            None => (self.step + 1 < count).then(|| Cursor { step: self.step + 1, attempt: 1, count }),
        }
    }
}

/// Checks a time-out of the input or the environment.
///
/// # Errors
/// `InvalidInput` outside 1 s to 24 h.
pub fn check_timeout(seconds: u64) -> Result<u64> {
    if (1..=MAX_TIMEOUT.as_secs()).contains(&seconds) {
        return Ok(seconds);
    }
    Err(Error::invalid_input(format!(
        "TimeoutSeconds is {seconds}; it has to be 1 to {}, the longest that a statement may run",
        MAX_TIMEOUT.as_secs()
    )))
}

/// Which call of an execution's list is submitted, and for which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cursor {
    /// The number of the call, from 0.
    pub step: u32,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// How many calls the list has.
    pub count: u32,
}

impl Cursor {
    /// The first attempt of the first call.
    pub fn first(count: u32) -> Self {
        Self { step: 0, attempt: 1, count }
    }
}

/// The answer of proc-runner and status-checker, and the input of the next check.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Progress {
    /// The statement and its bounds.
    #[serde(flatten)]
    pub ticket: Ticket,
    /// The Data API's word for where it stands.
    pub status: &'static str,
    /// How long to wait before the next check, in whole seconds from 1.
    pub wait_seconds: u64,
    /// Time since the service accepted it.
    pub elapsed_seconds: u64,
    /// How it ended; absent while it runs.
    #[serde(flatten)]
    pub end: Option<End>,
    /// The next submit; absent while the statement runs and after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// How a statement ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct End {
    /// How long it ran, with parts of a second.
    pub duration_seconds: f64,
    /// Rows returned or affected, if the engine reports them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_rows: Option<i64>,
    /// The engine's own number of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redshift_query_id: Option<i64>,
    /// Why it failed; absent if it did not.
    #[serde(flatten)]
    pub failure: Option<Failure>,
}

impl End {
    /// The same end; the cause of a failure also says where to look at the query, and what to do.
    fn explained(self, ticket: &Ticket) -> Self {
        let failure = self.failure.map(|failure| {
            let mut cause = failure.cause;
            // It is 0 while the statement runs. [amazon-redshift-utils#515]
            if let Some(id) = self.redshift_query_id.filter(|id| *id > 0) {
                cause.push_str(&format!("\nThe query: SELECT * FROM sys_query_history WHERE query_id = {id};"));
                if let Some(console) = ticket.execution_id.as_deref().and_then(Console::of) {
                    cause.push_str(&format!(" {}", console.query_editor()));
                }
            }
            Failure { cause: with_advice(&cause, failure.error), ..failure }
        });
        Self { failure, ..self }
    }
}

/// Why a statement failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Failure {
    /// The stable name of the class: [`FailureKind::name`].
    pub error: &'static str,
    /// The engine's own text, cut to size.
    pub cause: String,
    /// Whether a new attempt may cure it.
    pub retryable: bool,
    /// How long to wait before that, in whole seconds.
    pub retry_after_seconds: u64,
}

/// What to do about a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Look again after this time.
    Wait(Duration),
    /// Request its cancellation, then look again.
    Cancel,
    /// It has ended, or is given up.
    End(End),
}

/// What to do about a statement that stands as described.
///
/// Past the deadline, requests cancellation until the service accepts it, then waits for the end, for
/// at most `grace`: a roll-back takes time, and a statement that finishes meanwhile is FINISHED.
pub fn decide(ticket: &Ticket, description: &Description, grace: Duration, now: SystemTime) -> Decision {
    let timeout = Duration::from_secs(ticket.timeout_seconds);
    let elapsed = since(ticket.started(description, now), now);
    let over = format!(
        "{} ran longer than its TimeoutSeconds of {}",
        ticket.procedure.as_deref().unwrap_or("the statement"),
        ticket.timeout_seconds
    );
    let engine = description.error.as_deref().unwrap_or_default();
    match (description.status, ticket.cancel_requested_at) {
        (Status::Finished, _) => Decision::End(end(description, None)),
        (Status::Aborted, Some(_)) => {
            let text = format!("{over} and was cancelled; statement {}: {engine}", ticket.id);
            Decision::End(end(description, Some(failure(FailureKind::StatementTimedOut, &text, ticket.attempt))))
        }
        (Status::Failed | Status::Aborted, requested) => {
            let kind = match description.failure.unwrap_or(FailureKind::StatementFailed) {
                // However the engine puts it, it was our cancel.
                FailureKind::AbortedByUser | FailureKind::AbortedBySystem | FailureKind::ConnectionLost
                    if requested.is_some() =>
                {
                    FailureKind::StatementTimedOut
                }
                kind => kind,
            };
            let text = if engine.is_empty() { "the engine gives no reason" } else { engine };
            Decision::End(end(description, Some(failure(kind, text, ticket.attempt))))
        }
        // Whether the cancel was taken or refused again and again: the grace ends it.
        (_, Some(requested)) if since(requested, now) >= grace => {
            let text = format!(
                "{over}, and {} s after its cancellation was requested statement {} is still {}; it may be rolling \
                 back: see aws redshift-data describe-statement --id {}",
                since(requested, now).as_secs(),
                ticket.id,
                description.status,
                ticket.id
            );
            Decision::End(end(description, Some(failure(FailureKind::CancelNotConfirmed, &text, ticket.attempt))))
        }
        (_, Some(_)) if ticket.cancel_refused => Decision::Cancel,
        (_, Some(_)) => Decision::Wait(polling::wait_after_cancel()),
        (_, None) if elapsed >= timeout => Decision::Cancel,
        (_, None) => Decision::Wait(polling::wait(elapsed, timeout.saturating_sub(elapsed))),
    }
}

impl Progress {
    /// The answer for a statement that stands as described, and for which `decision` was taken.
    pub fn new(ticket: Ticket, description: &Description, decision: Decision, now: SystemTime) -> Self {
        let (wait, end) = match decision {
            Decision::Wait(wait) => (wait, None),
            Decision::Cancel => (polling::wait_after_cancel(), None),
            Decision::End(end) => (Duration::from_secs(1), Some(end.explained(&ticket))),
        };
        let started = ticket.started(description, now);
        Self {
            status: description.status.as_str(),
            wait_seconds: wait.as_secs(),
            elapsed_seconds: since(started, now).as_secs(),
            next: end.as_ref().and_then(|end| ticket.next(end)),
            end,
            ticket: Ticket { created_at: Some(started), ..ticket },
        }
    }
}

impl Ticket {
    /// A ticket for a statement that was just submitted.
    pub fn new(id: StatementId, timeout_seconds: u64, created_at: SystemTime) -> Self {
        Self {
            id,
            timeout_seconds,
            created_at: Some(created_at),
            procedure: None,
            statement_name: None,
            execution_id: None,
            context: WorkflowRun::default(),
            step: 0,
            count: None,
            attempt: 1,
            max_attempts: 1,
            cancel_requested_at: None,
            cancel_refused: false,
        }
    }
}

fn end(description: &Description, failure: Option<Failure>) -> End {
    End {
        duration_seconds: description.duration.as_secs_f64(),
        result_rows: description.result_rows,
        redshift_query_id: description.redshift_query_id,
        failure,
    }
}

fn failure(kind: FailureKind, text: &str, attempt: u32) -> Failure {
    Failure {
        error: kind.name(),
        cause: cut(text, MAX_CAUSE_CHARS),
        retryable: kind.is_retryable(),
        retry_after_seconds: polling::back_off(attempt).as_secs(),
    }
}

/// Clocks of two machines differ a little: what lies ahead counts as now.
fn since(earlier: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(earlier).unwrap_or_default()
}

mod rfc3339 {
    use super::*;

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(time: &Option<SystemTime>, to: S) -> std::result::Result<S::Ok, S::Error> {
        match time {
            None => to.serialize_none(),
            Some(time) => {
                let text = DateTime::from(*time).fmt(Format::DateTime).map_err(serde::ser::Error::custom)?;
                to.serialize_str(&text)
            }
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<SystemTime>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let wrong = || serde::de::Error::custom("a time has to be RFC 3339, as in 2026-01-31T10:00:00Z");
        let time = DateTime::from_str(&text, Format::DateTimeWithOffset).map_err(|_| wrong())?;
        SystemTime::try_from(time).map(Some).map_err(|_| wrong())
    }
}
