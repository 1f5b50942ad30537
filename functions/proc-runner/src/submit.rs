//! Submits one call for one logical attempt, and waits for its end as long as two long polls allow.

use std::time::{Duration, SystemTime};

use aws_sdk_redshiftdata::Client;
use shared::progress::{Progress, Ticket, decide};
use shared::{Error, ErrorKind, LogicalAttempt, Result, polling, statement};
use tokio::time::timeout;
use tracing::{Span, field, info};

use crate::Identity;
use crate::call::Job;

/// How long a singleton may look for another active statement, all pages and all statuses. The sweep of a dead
/// execution looks for a submit that was in flight until `SweepSeconds` after its end: no submit may begin so late
/// that it is missed.
pub const LOOK_LIMIT: Duration = Duration::from_secs(40);

/// Submits `job` as `attempt` of what `identity` names.
///
/// # Errors
/// `AlreadyRunning` for a singleton that is none; `ServiceUnavailable` where its look takes too long; otherwise as
/// [`statement::submit`].
pub(crate) async fn submit(
    client: &Client,
    job: &Job,
    attempt: &LogicalAttempt,
    identity: Identity,
) -> Result<Progress> {
    if job.singleton {
        within_limit(statement::check_alone(client, &job.target, &job.call, attempt)).await?;
    }
    let wait = polling::long_poll(Duration::from_secs(job.timeout_seconds));
    let submitted = statement::submit(client, &job.target, &job.call, attempt, wait).await?;
    Span::current().record("statement_id", field::display(&submitted.id));
    info!(status = %submitted.status, "submitted");
    let ticket = Ticket {
        procedure: Some(job.call.to_string()),
        statement_name: Some(attempt.statement_name()),
        execution_id: identity.execution_id,
        context: identity.context,
        step: attempt.step(),
        count: identity.count,
        attempt: attempt.attempt(),
        max_attempts: job.max_attempts,
        ..Ticket::new(submitted.id.clone(), job.timeout_seconds, submitted.created_at)
    };
    // A repeated submit finds the statement of the first time, perhaps long under way; and only a description says
    // how a statement ended. One that has not is awaited again: the poll costs less than the turn of the loop
    // that it saves.
    let wait = polling::long_poll(ticket.left(SystemTime::now())).filter(|_| !submitted.status.has_ended());
    let description = statement::describe(client, &submitted.id, wait).await?;
    let now = SystemTime::now();
    // A statement past its time is cancelled by the status-checker, which comes next.
    let decision = decide(&ticket, &description, Duration::MAX, now);
    Ok(Progress::new(ticket, &description, decision, now))
}

/// Gives up a look that takes longer than [`LOOK_LIMIT`].
async fn within_limit(look: impl Future<Output = Result<()>>) -> Result<()> {
    let late = |_| {
        Error::new(
            ErrorKind::ServiceUnavailable,
            format!(
                "the look for another active statement took longer than {} s; nothing was submitted",
                LOOK_LIMIT.as_secs()
            ),
        )
    };
    timeout(LOOK_LIMIT, look).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_that_takes_too_long_submits_nothing() {
        let start = tokio::time::Instant::now();
        let error = within_limit(std::future::pending()).await.expect_err("endless");
        assert_eq!((error.name(), start.elapsed()), ("ServiceUnavailable", LOOK_LIMIT));
        within_limit(async { Ok(()) }).await.expect("in time");
    }
}
