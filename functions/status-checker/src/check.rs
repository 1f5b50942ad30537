//! Where a statement stands, and what to do next.

use std::time::SystemTime;

use aws_sdk_redshiftdata::Client;
use serde_json::Value;
use shared::progress::{Decision, Progress, Ticket, check_timeout, decide};
use shared::{Result, metrics, polling, runtime, statement};
use tracing::{info, warn};

use crate::Config;

pub(crate) async fn answer(client: &Client, config: &Config, ticket: Ticket) -> Result<Value> {
    let progress = check(client, config, ticket).await?;
    metrics::statement_ended(&progress);
    runtime::answer(&progress)
}

async fn check(client: &Client, config: &Config, mut ticket: Ticket) -> Result<Progress> {
    check_timeout(ticket.timeout_seconds)?;
    let wait = match ticket.cancel_requested_at {
        // It returns at the end anyway, and a long roll-back costs fewer turns of the loop.
        Some(requested) if !ticket.cancel_refused => {
            polling::long_poll(config.grace.saturating_sub(requested.elapsed().unwrap_or_default()))
        }
        Some(_) => None,
        None => polling::long_poll(ticket.left(SystemTime::now())),
    };
    let mut description = statement::describe(client, &ticket.id, wait).await?;
    let mut decision = decide(&ticket, &description, config.grace, SystemTime::now());
    if decision == Decision::Cancel {
        let taken = statement::cancel(client, &ticket.id).await?;
        warn!(timeout_seconds = ticket.timeout_seconds, taken, "cancellation requested");
        ticket.cancel_requested_at.get_or_insert_with(SystemTime::now);
        ticket.cancel_refused = !taken;
        if !taken {
            // Nothing to cancel: it has just ended, or does not run yet. The second is asked again at
            // the next check.
            description = statement::describe(client, &ticket.id, None).await?;
            decision = decide(&ticket, &description, config.grace, SystemTime::now());
        }
    }
    info!(status = %description.status, "checked");
    Ok(Progress::new(ticket, &description, decision, SystemTime::now()))
}
