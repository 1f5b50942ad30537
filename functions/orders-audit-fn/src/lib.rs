#![doc = include_str!("../README.md")]

pub mod config;
pub mod message;
pub mod publish;
pub mod run_id;
pub mod runs;

pub use config::Config;

use std::time::{Duration, SystemTime};

use lambda_runtime::Context;
use serde_json::{Value, json};
use shared::attempt::{check_execution_id, execution_prefix};
use shared::error::cut;
use shared::metrics::{self, Metric, Origin};
use shared::runtime::Lazy;
use shared::shown::Ids;
use shared::{Error, Result, WorkflowRun, runtime};
use tracing::{field, info, info_span};

use message::{Composer, Digest, Notification};
use publish::Publisher;
use runs::{AuditTable, Mark, Run, Runs, When};

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
/// and those of every call. Once something was to be sent, the text says how far it came.
pub async fn handle(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &Lazy<aws_sdk_sns::Client>,
    config: &Config,
    payload: Value,
    context: &Context,
) -> Result<Value> {
    let workflow = &WorkflowRun::of(&payload);
    let ids = Ids::of(&payload);
    let span = info_span!(
        "notify",
        execution = ids.execution.as_deref().unwrap_or(&context.request_id),
        // That of the latest statement: the query, or a mark.
        statement_id = field::Empty,
        workflow_name = workflow.workflow_name,
        workflow_run_id = workflow.workflow_run_id
    );
    let work = async {
        let execution = match payload.get("ExecutionId") {
            None => &context.request_id,
            Some(id) => check_execution_id(id.as_str().unwrap_or_default())?,
        };
        notify(warehouse, topic, config, (execution, workflow), context.deadline()).await
    };
    runtime::within(span, work).await
}

async fn notify(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &Lazy<aws_sdk_sns::Client>,
    config: &Config,
    (execution, workflow): (&str, &WorkflowRun),
    end: SystemTime,
) -> Result<Value> {
    let deadline = end.checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH);
    let prefix = format!("{}notify/", execution_prefix(execution));
    // A query that is cancelled then still leaves time to say so.
    let last = end.checked_sub(Duration::from_secs(5)).unwrap_or(SystemTime::UNIX_EPOCH);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let when = When { remind_after_hours: config.remind_after_hours, now };
    let table = AuditTable { client: warehouse, config, execution, prefix: &prefix, when, deadline: last };
    let publisher = Publisher { client: topic, topic_arn: &config.topic_arn, deadline };
    let composer = Composer { audit: &config.audit, words: &config.words, execution, workflow };
    Job { table, publisher, composer, report: Report::default() }.run().await
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
    /// Messages of all kinds that were to be sent.
    wanted: usize,
    notified: usize,
    resolved: usize,
    failed: Vec<(String, String)>,
    /// What every other message would meet too.
    stopped: Option<Error>,
}

impl Job<'_> {
    async fn run(mut self) -> Result<Value> {
        if let Err(error) = self.tell(Mark::Notified).await {
            return Err(self.report.with_counts(error));
        }
        if self.table.config.notify_resolved && self.report.stopped.is_none() {
            let told = self.tell(Mark::Closed).await;
            self.report.stop_after(told);
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

    /// Asks for runs and tells of those that are due, one by one or, above the limit, in one digest.
    async fn tell(&mut self, what: Mark) -> Result<()> {
        let limit = self.table.config.max_notifications;
        let id = self.table.ask(what).await?;
        self.report.statement_id.get_or_insert_with(|| id.to_string());
        let mut runs = Runs::of(self.table.client, &id);
        let mut due: Vec<Run> = Vec::new();
        let mut digest = Digest::default();
        while let Some(run) = runs.next().await? {
            if what == Mark::Notified {
                self.report.count(&run);
            }
            if !run.due || run.silenced {
                continue;
            }
            // With a limit nothing is sent before it is known whether there are too many.
            if limit > 0 {
                digest.add(&run);
                if digest.runs > limit {
                    due = Vec::new();
                    continue;
                }
            }
            due.push(run);
            if limit == 0 && due.len() == CHUNK {
                self.send(what, &due).await;
                due.clear();
            }
        }
        if limit > 0 && digest.runs > limit {
            self.send_digest(what, &digest).await;
        }
        for chunk in due.chunks(CHUNK) {
            self.send(what, chunk).await;
        }
        Ok(())
    }

    /// Publishes, then marks what went out: killed in between, the chunk is sent again.
    async fn send(&mut self, what: Mark, runs: &[Run]) {
        let compose = |run| match what {
            Mark::Notified => self.composer.mismatch(run),
            Mark::Closed => self.composer.resolved(run),
        };
        let notifications: Vec<Notification> = runs.iter().map(compose).collect();
        let sent = self.publish(what, &notifications).await;
        let sent: Vec<Run> = sent.into_iter().map(|place| runs[place].clone()).collect();
        let marked = self.table.mark(what, &sent).await;
        self.report.stop_after(marked);
    }

    async fn send_digest(&mut self, what: Mark, digest: &Digest) {
        let notification = match what {
            Mark::Notified => self.composer.digest(digest),
            Mark::Closed => self.composer.resolved_digest(digest),
        };
        if !self.publish(what, &[notification]).await.is_empty() {
            let marked = self.table.mark_digest(what, digest).await;
            self.report.stop_after(marked);
        }
    }

    /// The places of what went out. After what stops everything nothing goes out, and all is counted still.
    async fn publish(&mut self, what: Mark, notifications: &[Notification]) -> Vec<usize> {
        self.report.wanted += notifications.len();
        if self.report.stopped.is_some() {
            return Vec::new();
        }
        let outcome = match self.publisher.send(notifications).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.report.stopped = Some(error);
                return Vec::new();
            }
        };
        let name = |place: usize| notifications[place].run_id.clone();
        self.report.failed.extend(outcome.failed.into_iter().map(|(place, why)| (name(place), why)));
        match what {
            Mark::Notified => self.report.notified += outcome.sent.len(),
            Mark::Closed => self.report.resolved += outcome.sent.len(),
        }
        self.report.stopped = outcome.stopped;
        outcome.sent
    }
}

impl Report {
    fn count(&mut self, run: &Run) {
        self.unresolved += 1;
        self.mismatches += run.rows();
        // Who silences a run knows that it waits.
        if !run.silenced {
            self.waiting_seconds = self.waiting_seconds.max(run.waiting_seconds);
        }
    }

    fn stop_after(&mut self, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.stopped = Some(error);
        }
    }

    fn measured(&self) -> [(Metric, f64); 4] {
        let count = |n: usize| n as f64;
        [
            (Metric::AuditMismatches, self.mismatches as f64),
            (Metric::UnresolvedRuns, count(self.unresolved)),
            (Metric::UnresolvedHours, self.waiting_seconds as f64 / 3600.0),
            (Metric::Notifications, count(self.notified + self.resolved)),
        ]
    }

    /// How far it came.
    fn counts(&self) -> String {
        let sent = format!("sent {} of {} notifications", self.notified + self.resolved, self.wanted);
        let Some((_, why)) = self.failed.first() else { return sent };
        let runs: Vec<_> = self.failed.iter().map(|(run, _)| run.as_str()).collect();
        format!("{sent}; not sent for the run ids {} ({why})", cut(&runs.join(", "), MAX_LIST_CHARS))
    }

    fn with_counts(&self, error: Error) -> Error {
        if self.wanted == 0 { error } else { error.map_text(|text| format!("{}; {text}", self.counts())) }
    }

    fn into_answer(mut self) -> Result<Value> {
        if let Some(error) = self.stopped.take() {
            return Err(self.with_counts(error));
        }
        if !self.failed.is_empty() {
            return Err(Error::NotificationsIncomplete(self.counts()));
        }
        Ok(json!({
            "UnresolvedRuns": self.unresolved, "Notified": self.notified, "Resolved": self.resolved, "Failed": 0,
        }))
    }
}

#[cfg(test)]
mod tests;
