#![doc = include_str!("../README.md")]

pub mod config;
pub mod message;
pub mod publish;
pub mod runs;

pub use config::Config;

use std::time::{Duration, SystemTime};

use lambda_runtime::Context;
use serde_json::{Value, json};
use shared::attempt::execution_prefix;
use shared::error::cut;
use shared::metrics::{self, Metric, Origin};
use shared::{Error, Result, WorkflowRun, runtime};
use tracing::{field, info, info_span};

use message::{Composer, Digest, Notification};
use publish::Publisher;
use runs::{AuditTable, Mark, Run, Runs};

/// Time kept free before the Lambda deadline: a publish may take as long as the SDK lets it; then what was
/// sent is marked, and reported.
pub const MARGIN: Duration = runtime::SDK_OPERATION_TIMEOUT.saturating_add(Duration::from_secs(15));
/// Runs that are sent before they are marked: what a kill may send twice. Each mark is a transaction in
/// the warehouse's commit queue, so it is not one a message.
const CHUNK: usize = 500;
/// What the list of runs in an error is cut to.
const MAX_LIST_CHARS: usize = 4_000;

/// Notifies about every run that is due.
///
/// # Errors
/// `AuditQueryFailed`, `TopicNotFound`, `NotificationsIncomplete` (naming the runs that were not sent),
/// and those of every call.
pub async fn handle(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &aws_sdk_sns::Client,
    config: &Config,
    payload: Value,
    context: &Context,
) -> Result<Value> {
    let execution = payload.get("ExecutionId").and_then(Value::as_str).unwrap_or(&context.request_id);
    let end = context.deadline();
    let deadline = end.checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH);
    let prefix = format!("{}notify/", execution_prefix(execution));
    // A query that is cancelled then still leaves time to say so.
    let last = end.checked_sub(Duration::from_secs(5)).unwrap_or(SystemTime::UNIX_EPOCH);
    let table = AuditTable { client: warehouse, config, execution, prefix: &prefix, deadline: last };
    let publisher = Publisher { client: topic, topic_arn: &config.topic_arn, execution, deadline };
    let workflow = &WorkflowRun::of(&payload);
    let composer = Composer { audit: &config.audit, words: &config.words, execution, workflow };
    let job = Job { table, publisher, composer, report: Report::default() };
    let span = info_span!(
        "notify",
        execution,
        // That of the latest statement: the query, or a mark.
        statement_id = field::Empty,
        workflow_name = workflow.workflow_name,
        workflow_run_id = workflow.workflow_run_id
    );
    runtime::within(span, job.run()).await
}

/// One invocation's work.
struct Job<'a> {
    table: AuditTable<'a>,
    publisher: Publisher<'a>,
    composer: Composer<'a>,
    report: Report,
}

#[derive(Debug, Default)]
struct Report {
    statement_id: Option<String>,
    unresolved: usize,
    mismatches: i64,
    waiting_seconds: i64,
    due: usize,
    notified: usize,
    resolved: usize,
    failed: Vec<(String, String)>,
}

impl Job<'_> {
    async fn run(mut self) -> Result<Value> {
        let config = self.table.config;
        let sql = runs::unresolved_sql(&config.audit, config.remind_after_hours);
        self.mismatches(&sql).await?;
        if config.notify_resolved && self.report.failed.is_empty() {
            self.resolved(&runs::resolved_sql(&config.audit)).await?;
        }
        info!(unresolved_runs = self.report.unresolved, notified = self.report.notified, "notified");
        let origin = Origin {
            execution: Some(self.table.execution),
            statement_id: self.report.statement_id.as_deref(),
            workflow_run: self.composer.workflow,
        };
        metrics::emit(origin, None, &self.report.measured());
        self.report.into_answer()
    }

    async fn mismatches(&mut self, sql: &str) -> Result<()> {
        let limit = self.table.config.max_notifications;
        let id = self.table.query(sql, "runs").await?;
        self.report.statement_id = Some(id.to_string());
        let mut runs = Runs::of(self.table.client, &id);
        let mut due: Vec<Run> = Vec::new();
        let mut digest = Digest::default();
        while let Some(run) = runs.next().await? {
            self.report.unresolved += 1;
            self.report.mismatches += run.rows();
            self.report.waiting_seconds = self.report.waiting_seconds.max(run.waiting_seconds);
            if !run.due {
                continue;
            }
            self.report.due += 1;
            if limit > 0 {
                digest.add(&run);
            }
            // With a limit nothing is sent before it is known whether there are too many: at most
            // `limit` whole runs are held, and of a digest's only what its mark needs.
            due.push(if limit > 0 && due.len() >= limit { Run { mismatches: Vec::new(), ..run } } else { run });
            if limit == 0 && due.len() == CHUNK {
                self.send(&due, Mark::Notified).await?;
                due.clear();
            }
        }
        if limit > 0 && due.len() > limit {
            return self.send_digest(&digest, &due).await;
        }
        for chunk in due.chunks(CHUNK) {
            self.send(chunk, Mark::Notified).await?;
        }
        Ok(())
    }

    async fn resolved(&mut self, sql: &str) -> Result<()> {
        let id = self.table.query(sql, "resolved").await?;
        let mut runs = Runs::of(self.table.client, &id);
        let mut chunk = Vec::new();
        while let Some(run) = runs.next().await? {
            chunk.push(run);
            if chunk.len() == CHUNK {
                self.send(&chunk, Mark::Closed).await?;
                chunk.clear();
            }
        }
        self.send(&chunk, Mark::Closed).await
    }

    /// Publishes, then marks what went out: killed in between, the chunk is sent again, and nothing is
    /// ever lost.
    async fn send(&mut self, runs: &[Run], mark: Mark) -> Result<()> {
        let compose = |run| match mark {
            Mark::Notified => self.composer.mismatch(run),
            Mark::Closed => self.composer.resolved(run),
        };
        let notifications: Vec<Notification> = runs.iter().map(compose).collect();
        let outcome = self.publisher.send(&notifications).await?;
        let name = |place: usize| notifications[place].run_id.clone();
        self.report.failed.extend(outcome.failed.into_iter().map(|(place, why)| (name(place), why)));
        let sent: Vec<Run> = outcome.sent.into_iter().map(|place| runs[place].clone()).collect();
        self.table.mark(mark, &sent).await?;
        match mark {
            Mark::Notified => self.report.notified += sent.len(),
            Mark::Closed => self.report.resolved += sent.len(),
        }
        Ok(())
    }

    async fn send_digest(&mut self, digest: &Digest, due: &[Run]) -> Result<()> {
        let outcome = self.publisher.send(&[self.composer.digest(digest)]).await?;
        if let Some((_, why)) = outcome.failed.into_iter().next() {
            self.report.failed.push(("DIGEST".to_owned(), why));
            return Ok(());
        }
        for chunk in due.chunks(CHUNK) {
            self.table.mark(Mark::Notified, chunk).await?;
        }
        self.report.notified = 1;
        Ok(())
    }
}

impl Report {
    fn measured(&self) -> [(Metric, f64); 4] {
        let count = |n: usize| n as f64;
        [
            (Metric::AuditMismatches, self.mismatches as f64),
            (Metric::UnresolvedRuns, count(self.unresolved)),
            (Metric::UnresolvedHours, self.waiting_seconds as f64 / 3600.0),
            (Metric::Notifications, count(self.notified + self.resolved)),
        ]
    }

    fn into_answer(self) -> Result<Value> {
        if let Some((_, why)) = self.failed.first() {
            let runs: Vec<_> = self.failed.iter().map(|(run, _)| run.as_str()).collect();
            return Err(Error::NotificationsIncomplete(format!(
                "sent {} of {} notifications; not sent for the run ids {} ({why})",
                self.notified,
                self.due,
                cut(&runs.join(", "), MAX_LIST_CHARS)
            )));
        }
        Ok(json!({
            "UnresolvedRuns": self.unresolved, "Notified": self.notified, "Resolved": self.resolved, "Failed": 0,
        }))
    }
}

#[cfg(test)]
mod tests;
