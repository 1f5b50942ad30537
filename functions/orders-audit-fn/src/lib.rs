#![doc = include_str!("../README.md")]

mod audit_sql;
mod audit_table;
mod config;
mod ended;
mod notification;
mod publish;
mod query;
mod run;

pub use config::Config;

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use lambda_runtime::Context;
use serde_json::{Map, Value, json};
use shared::attempt::{check_execution_id, execution_prefix};
use shared::error::cut;
use shared::metrics::{self, Metric};
use shared::runtime::Lazy;
use shared::{Error, ErrorKind, Ids, Result, StatementId, runtime, span};
use tracing::{info, warn};

use crate::audit_sql::{Notice, When};
use crate::audit_table::{AuditTable, Runs};
use crate::config::Audited;
use crate::ended::Ended;
use crate::notification::{Composer, Notification};
use crate::publish::{Publisher, Sent};
use crate::run::{Digest, Run};

/// Time kept free before the Lambda deadline: a publish may take as long as the SDK lets it; then what was
/// sent is marked, and reported.
pub const MARGIN: Duration = runtime::SDK_OPERATION_TIMEOUT.saturating_add(Duration::from_secs(15));
/// Runs that are composed and published at a time, and how many are tried before the first mark. Each mark is a transaction in
/// the warehouse's commit queue, so every mark waits for twice as many runs as the one before.
const CHUNK: usize = 500;
/// What passes by itself: Step Functions tries these again.
const PASSING: [ErrorKind; 3] =
    [ErrorKind::Throttled, ErrorKind::ServiceUnavailable, ErrorKind::NotificationsIncomplete];
/// What a kill may send again.
const MOST_UNMARKED: usize = 4_000;
/// What the list of runs in an error is cut to.
const MAX_LIST_CHARS: usize = 4_000;

/// Notifies about every run that is due; or, for the event "Step Functions Execution Status Change", about the execution that did not
/// end by itself.
///
/// # Errors
/// `AuditQueryFailed`, `TopicNotFound`, `NotificationsIncomplete` (naming the runs that were not sent),
/// and those of every call. Once something was to be sent, the text reports how far it came.
pub async fn handle(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &Lazy<aws_sdk_sns::Client>,
    config: &Config,
    payload: Value,
    context: &Context,
) -> Result<Value> {
    let mut ids = Ids::of(&payload);
    ids.execution.get_or_insert_with(|| context.request_id.clone());
    let span = span!("notify", &ids);
    let work = async {
        let execution = match payload.get("ExecutionId") {
            None => &context.request_id,
            Some(id) => check_execution_id(id.as_str().unwrap_or_default())?,
        };
        if Ended::is_event(&payload) {
            return tell_of_end(topic, config, Ended::read(payload.clone())?, context.deadline()).await;
        }
        notify(warehouse, topic, config, (execution, ids), context.deadline()).await
    };
    runtime::within(span, work).await
}

/// Says that an execution did not end by itself. The event comes at least once.
async fn tell_of_end(
    topic: &Lazy<aws_sdk_sns::Client>,
    config: &Config,
    ended: Ended,
    end: SystemTime,
) -> Result<Value> {
    let deadline = end.checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH);
    let load = Publisher {
        client: topic,
        topic_arn: &config.load_topic_arn,
        audit: None,
        several: false,
        is_chat: false,
        deadline,
    };
    let notifications = [notification::load_not_ended(&config.stack, &ended)?];
    let Sent { failed, stopped, .. } = load.send(notifications.iter()).await?;
    if let Some(error) = stopped {
        return Err(error);
    }
    if let Some((_, why)) = failed.first() {
        let text = format!("the end of an execution could not be told of: {why}");
        return Err(Error::new(ErrorKind::NotificationsIncomplete, text));
    }
    if let Some(topic_arn) = config.stack.chat_topic_arn.as_deref() {
        tell_chat(Publisher { topic_arn, is_chat: true, ..load }, notifications.iter()).await;
    }
    Ok(json!({"Notified": 1}))
}

/// Sends what people have been told to the chat as well. What the chat does not take is logged, and not an error: another try would tell
/// people again. Returns how many it did not take, and whether it would take no other.
async fn tell_chat(chat: Publisher<'_>, told: impl Iterator<Item = &Notification> + Clone) -> (usize, bool) {
    let all = told.clone().count();
    let (sent, why, is_over) = match chat.send(told).await {
        Ok(Sent { sent, failed, stopped }) => {
            let why = stopped.as_ref().map(Error::to_string).or(failed.into_iter().next().map(|(_, why)| why));
            (sent.len(), why, stopped.is_some())
        }
        Err(error) => (0, Some(error.to_string()), true),
    };
    if let Some(why) = why {
        warn!(failed = all - sent, "the chat was not told: {why}");
    }
    (all - sent, is_over)
}

/// Notifies about every table; one that fails keeps no other from being told of.
async fn notify(
    warehouse: &aws_sdk_redshiftdata::Client,
    topic: &Lazy<aws_sdk_sns::Client>,
    config: &Config,
    (execution, ids): (&str, Ids),
    end: SystemTime,
) -> Result<Value> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let invocation = Invocation { warehouse, topic, config, execution, ids: &ids, end, now };
    // Side by side: a query that waits for a lock must not take the time of the others.
    let outcomes = join_all(config.audits.iter().map(|audited| invocation.audit(audited))).await;
    let [outcome] = &outcomes[..] else { return invocation.together(outcomes) };
    let report = outcome.as_ref().map_err(Error::clone)?;
    report.answer()
}

/// What is the same for every table.
struct Invocation<'a> {
    warehouse: &'a aws_sdk_redshiftdata::Client,
    topic: &'a Lazy<aws_sdk_sns::Client>,
    config: &'a Config,
    execution: &'a str,
    ids: &'a Ids,
    end: SystemTime,
    now: u64,
}

impl Invocation<'_> {
    async fn audit(&self, audited: &Audited) -> Result<Report> {
        let Self { config, execution, end, .. } = *self;
        let label = audited.label();
        let deadline = end.checked_sub(MARGIN).unwrap_or(SystemTime::UNIX_EPOCH);
        // A statement's name takes no more than these.
        let part = label.map(|label| label.replace(|c: char| !c.is_ascii_alphanumeric(), "_") + "/");
        let prefix = format!("{}notify/{}", execution_prefix(execution), part.unwrap_or_default());
        // A query that is cancelled then still leaves time to report it.
        let last = end.checked_sub(Duration::from_secs(5)).unwrap_or(SystemTime::UNIX_EPOCH);
        let when = When { remind_after_hours: config.remind_after_hours, now: self.now };
        let table = AuditTable {
            client: self.warehouse,
            config,
            audit: &audited.audit,
            execution,
            prefix: &prefix,
            when,
            deadline: last,
        };
        let publisher = Publisher {
            client: self.topic,
            topic_arn: &config.topic_arn,
            audit: Some(&audited.name),
            several: audited.is_one_of_several,
            is_chat: false,
            deadline,
        };
        let chat = config.stack.chat_topic_arn.as_deref();
        let chat = chat.map(|topic_arn| Publisher { topic_arn, is_chat: true, ..publisher });
        let composer = Composer { stack: &config.stack, audited, execution, workflow: &self.ids.workflow_run };
        let mut job = Job {
            table,
            publisher,
            composer,
            report: Report { chat_failed: chat.map(|_| 0), ..Report::default() },
            chat,
            unmarked: Vec::new(),
            tried: 0,
            mark_at: CHUNK,
        };
        let outcome = job.run().await;
        let Job { report, .. } = job;
        outcome?;
        info!(audit = label, unresolved_runs = report.unresolved, notified = report.notified, "notified");
        // CloudWatch takes only ASCII as a dimension.
        let dimension = label.map(|label| label.chars().flat_map(char::escape_default).collect::<String>());
        self.measure(dimension.as_deref().map(|label| ("Audit", label)), &report);
        Ok(report)
    }

    fn measure(&self, of: Option<(&str, &str)>, report: &Report) {
        let statement_id = report.statement_id.clone();
        let ids = Ids { execution: Some(self.execution.to_owned()), statement_id, ..self.ids.clone() };
        metrics::emit(&ids, of, &report.measured());
    }

    /// The answer for several tables: the sums, and each by itself.
    ///
    /// # Errors
    /// One that a retry can cure, if there is one, otherwise the first; its text names every table that failed.
    fn together(&self, outcomes: Vec<Result<Report>>) -> Result<Value> {
        let labels = self.config.audits.iter().map(|audited| audited.name.clone());
        let (mut sum, mut each, mut failed) = (Report::default(), Map::new(), Vec::new());
        for (label, outcome) in labels.zip(outcomes) {
            let answer = outcome.and_then(|report| {
                sum.add(&report);
                report.answer()
            });
            match answer {
                Ok(answer) => _ = each.insert(label, answer),
                Err(error) => failed.push(error.map_text(|text| format!("{label}: {text}"))),
            }
        }
        // Of what is known: a table that fails must not hide what waits in the others.
        self.measure(None, &sum);
        let told = each.len();
        let worst = failed.iter().position(|error| PASSING.contains(&error.kind())).unwrap_or(0);
        if let Some(error) = failed.get(worst) {
            let texts: Vec<_> = failed.iter().map(Error::to_string).collect();
            return Err(error.clone().map_text(|_| {
                format!("{}; {told} other audits were told of", cut(&texts.join("; "), MAX_LIST_CHARS))
            }));
        }
        let mut answer = sum.answer()?;
        answer["Audits"] = Value::Object(each);
        Ok(answer)
    }
}

/// One invocation's work.
struct Job<'a> {
    table: AuditTable<'a>,
    publisher: Publisher<'a>,
    chat: Option<Publisher<'a>>,
    composer: Composer<'a>,
    report: Report,
    /// Sent, and not marked yet.
    unmarked: Vec<Run>,
    /// How many were tried since the last mark.
    tried: usize,
    /// How many are tried before the next.
    mark_at: usize,
}

#[derive(Debug, Default)]
struct Report {
    statement_id: Option<StatementId>,
    unresolved: usize,
    mismatches: i64,
    waiting_seconds: i64,
    /// Messages of all kinds that were to be sent.
    wanted: usize,
    /// Those that people got, and the chat did not; nothing without a chat.
    chat_failed: Option<usize>,
    notified: usize,
    resolved: usize,
    failed: Vec<(String, String)>,
    /// What every other message would meet too.
    stopped: Option<Error>,
}

impl Job<'_> {
    async fn run(&mut self) -> Result<()> {
        if let Err(error) = self.notify(Notice::Mismatch).await {
            return Err(self.report.with_counts(error));
        }
        if self.table.config.notify_resolved && self.report.stopped.is_none() {
            let outcome = self.notify(Notice::Resolved).await;
            self.report.stop_after(outcome);
        }
        Ok(())
    }

    /// Notifies about the runs that are due, and marks what went out, also if something fails.
    async fn notify(&mut self, notice: Notice) -> Result<()> {
        let outcome = self.notify_each(notice).await;
        self.mark(notice).await;
        outcome
    }

    /// Asks for runs and notifies about those that are due, one by one or, above the limit, in one digest.
    async fn notify_each(&mut self, notice: Notice) -> Result<()> {
        let limit = self.table.config.max_notifications;
        let id = self.table.ask(notice).await?;
        self.report.statement_id.get_or_insert_with(|| id.clone());
        let mut runs = Runs::of(self.table.client, &id);
        let mut due: Vec<Run> = Vec::new();
        let mut digest = Digest::default();
        while let Some(run) = runs.next().await? {
            if notice == Notice::Mismatch {
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
                self.send(notice, &due).await?;
                due.clear();
                // What was sent is marked; the rest is not even read.
                self.check_time()?;
            }
        }
        if limit > 0 && digest.runs > limit {
            self.send_digest(notice, &digest).await?;
        }
        for chunk in due.chunks(CHUNK) {
            self.check_time()?;
            self.send(notice, chunk).await?;
        }
        Ok(())
    }

    fn check_time(&self) -> Result<()> {
        if SystemTime::now() < self.publisher.deadline {
            return Ok(());
        }
        // What cannot be cured by a retry stays what it is.
        if let Some(error) = &self.report.stopped {
            return Err(error.clone());
        }
        Err(Error::new(ErrorKind::NotificationsIncomplete, "out of time with more runs to come; a retry goes on"))
    }

    /// Publishes, then marks what went out if that is enough: killed in between, it is sent again.
    async fn send(&mut self, notice: Notice, runs: &[Run]) -> Result<()> {
        let compose = |run| match notice {
            Notice::Mismatch => self.composer.mismatch(run),
            Notice::Resolved => self.composer.resolved(run),
        };
        let notifications = runs.iter().map(compose).collect::<Result<Vec<Notification>>>()?;
        let sent = self.publish(notice, &notifications).await;
        let marked =
            |place: usize| Run { id: runs[place].id.clone(), changed_in: runs[place].changed_in, ..Run::default() };
        self.unmarked.extend(sent.into_iter().map(marked));
        self.tried += runs.len();
        if self.tried >= self.mark_at || self.report.stopped.is_some() {
            self.mark(notice).await;
            self.mark_at = MOST_UNMARKED.min(2 * self.mark_at);
        }
        Ok(())
    }

    async fn mark(&mut self, notice: Notice) {
        self.tried = 0;
        let sent = std::mem::take(&mut self.unmarked);
        if !sent.is_empty() {
            let marked = self.table.mark(notice, &sent).await;
            self.report.stop_after(marked);
        }
    }

    async fn send_digest(&mut self, notice: Notice, digest: &Digest) -> Result<()> {
        let notification = match notice {
            Notice::Mismatch => self.composer.digest(digest)?,
            Notice::Resolved => self.composer.resolved_digest(digest)?,
        };
        if !self.publish(notice, &[notification]).await.is_empty() {
            let marked = self.table.mark_digest(notice, digest).await;
            self.report.stop_after(marked);
        }
        Ok(())
    }

    /// The places of what went out. After what stops everything nothing goes out, and all is counted still.
    async fn publish(&mut self, notice: Notice, notifications: &[Notification]) -> Vec<usize> {
        self.report.wanted += notifications.len();
        if self.report.stopped.is_some() {
            return Vec::new();
        }
        let outcome = match self.publisher.send(notifications.iter()).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.report.stopped = Some(error);
                return Vec::new();
            }
        };
        let name = |place: usize| notifications[place].name().to_owned();
        self.report.failed.extend(outcome.failed.into_iter().map(|(place, why)| (name(place), why)));
        match notice {
            Notice::Mismatch => self.report.notified += outcome.sent.len(),
            Notice::Resolved => self.report.resolved += outcome.sent.len(),
        }
        self.report.stopped = outcome.stopped;
        self.tell_chat(outcome.sent.iter().map(|place| &notifications[*place])).await;
        outcome.sent
    }

    /// Tells the chat, unless it has shown that it takes nothing.
    async fn tell_chat(&mut self, told: impl Iterator<Item = &Notification> + Clone) {
        let Some(failed) = &mut self.report.chat_failed else { return };
        let Some(chat) = self.chat else {
            *failed += told.count();
            return;
        };
        let (not_taken, is_over) = tell_chat(chat, told).await;
        *failed += not_taken;
        if is_over {
            self.chat = None;
        }
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

    fn add(&mut self, other: &Self) {
        self.unresolved += other.unresolved;
        self.mismatches += other.mismatches;
        self.waiting_seconds = self.waiting_seconds.max(other.waiting_seconds);
        self.notified += other.notified;
        self.resolved += other.resolved;
        self.chat_failed = [self.chat_failed, other.chat_failed].into_iter().flatten().reduce(|a, b| a + b);
    }

    fn answer(&self) -> Result<Value> {
        if let Some(error) = &self.stopped {
            return Err(self.with_counts(error.clone()));
        }
        if !self.failed.is_empty() {
            return Err(Error::new(ErrorKind::NotificationsIncomplete, self.counts()));
        }
        let mut answer = json!({
            "UnresolvedRuns": self.unresolved, "Notified": self.notified, "Resolved": self.resolved, "Failed": 0,
        });
        if let Some(failed) = self.chat_failed {
            answer["ChatFailed"] = json!(failed);
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
