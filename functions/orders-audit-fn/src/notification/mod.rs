//! The notifications: what is known of a run, a digest or a load, as text for people, as JSON for machines, and for a chat.

mod chat;
mod model;
mod text;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Serialize;
use shared::console::Console;
use shared::error::cut;
use shared::{Error, Result, WorkflowRun};

use crate::config::{Audited, Stack};
use crate::ended::Ended;
use crate::run::{Digest, Mismatches, Run, Severity};
use model::{About, Links, Load, OfAudit, OfKind, OfRun, OfRuns, Payload, VERSION, Worst};

/// How many kinds of one run a notification names.
const MOST_KINDS: usize = 20;
/// The longest word or time of an audit table that is shown.
const MAX_WORD_CHARS: usize = 100;
/// SNS takes fewer than 100 characters. [API model]
const MAX_SUBJECT_CHARS: usize = 99;

/// One notification, ready to send.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notification {
    pub(crate) event: Event,
    pub(crate) subject: String,
    /// What a person reads.
    pub(crate) text: String,
    /// What a machine reads: `notification.schema.json` describes it.
    pub(crate) payload: String,
    /// What a chat shows; nothing where no chat is told.
    pub(crate) chat: Option<String>,
    pub(crate) severity: Severity,
    pub(crate) filtered: Filtered,
}

/// What filter policies choose by, besides the event and its severity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filtered {
    Run {
        /// The run, as it is shown; that of a digest is `DIGEST`.
        run_id: String,
        /// Rows that do not match.
        mismatches: i64,
        /// The kinds of mismatch.
        kinds: Vec<String>,
    },
    Load {
        error: String,
    },
}

impl Notification {
    /// What it is called where it could not be sent.
    pub(crate) fn name(&self) -> &str {
        match &self.filtered {
            Filtered::Run { run_id, .. } => run_id,
            Filtered::Load { .. } => "the load",
        }
    }
}

/// What a notification is about: the attribute `event`, and the payload's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Event {
    Mismatch,
    Reminder,
    Resolved,
    Digest,
    ResolvedDigest,
    LoadNotEnded,
}

impl Event {
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }
}

/// What goes into every notification of an audit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Composer<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) audited: &'a Audited,
    /// The execution that notifies.
    pub(crate) execution: &'a str,
    /// The Glue workflow run that it loaded.
    pub(crate) workflow: &'a WorkflowRun,
}

impl Composer<'_> {
    /// Says that a run is unresolved: all of it, or, if people know, what is new.
    pub(crate) fn mismatch(&self, run: &Run) -> Result<Notification> {
        let severity = Severity::of(run);
        if run.told == 0 {
            let text = text::mismatch(self, run);
            return self.run(Event::Mismatch, run, self.audited.words.subject.clone(), text, severity);
        }
        let subject = format!("Reminder: {}", self.audited.words.subject);
        self.run(Event::Reminder, run, subject, text::reminder(self, run), severity)
    }

    /// Says that a run has become clean.
    pub(crate) fn resolved(&self, run: &Run) -> Result<Notification> {
        let subject = format!("Resolved: {}", self.audited.words.subject);
        self.run(Event::Resolved, run, subject, text::resolved(self, run), Severity::Info)
    }

    /// One notification in place of many about mismatches.
    pub(crate) fn digest(&self, digest: &Digest) -> Result<Notification> {
        let subject = format!("{} runs: {}", digest.runs, self.audited.words.subject);
        self.runs(Event::Digest, digest, subject, text::digest(self, digest), digest.severity)
    }

    /// One notification in place of many about runs that have become clean.
    pub(crate) fn resolved_digest(&self, digest: &Digest) -> Result<Notification> {
        let subject = format!("Resolved: {} runs: {}", digest.runs, self.audited.words.subject);
        self.runs(Event::ResolvedDigest, digest, subject, text::resolved_digest(digest), Severity::Info)
    }

    fn run(&self, event: Event, run: &Run, subject: String, text: String, severity: Severity) -> Result<Notification> {
        let shown =
            |m: &Mismatches| [Some(&m.kind), m.first.as_ref(), m.last.as_ref()].map(|text| text.map(|t| word(t)));
        let words: Vec<_> = named(run).map(shown).collect();
        let kinds = named(run).zip(&words).map(|(m, [kind, first, last])| OfKind {
            kind: kind.as_deref().unwrap_or_default(),
            mismatches: m.rows,
            changed: m.changed,
            first_at: first.as_deref(),
            last_at: last.as_deref(),
        });
        let of = OfRun {
            audit: self.of_audit(run.rows(), run.changed_in),
            run_id: run.id.value(),
            since: run.since.and_then(rfc3339),
            told: run.told,
            last_told: run.last_told.and_then(rfc3339),
            kinds: kinds.collect(),
        };
        let about = match event {
            Event::Reminder => About::Reminder(of),
            Event::Resolved => About::Resolved(of),
            _ => About::Mismatch(of),
        };
        let chat = self.stack.has_chat().then(|| chat::run(self, event, run));
        let kinds = named(run).map(|m| word(&m.kind)).collect();
        let filtered = Filtered::Run { run_id: run.id.shown(), mismatches: run.rows(), kinds };
        Draft { event, subject, text, severity, about, filtered, chat }.finish(self.stack, self.execution)
    }

    fn runs(
        &self,
        event: Event,
        digest: &Digest,
        subject: String,
        text: String,
        severity: Severity,
    ) -> Result<Notification> {
        let worst = digest.worst.iter().map(|(id, rows)| Worst { run_id: id.value(), mismatches: *rows });
        let audit = self.of_audit(digest.rows, digest.changed_in);
        let of = OfRuns { audit, runs: digest.runs, worst: worst.collect() };
        let (about, kind) = match event {
            Event::ResolvedDigest => (About::ResolvedDigest(of), "RESOLVED"),
            _ => (About::Digest(of), "DIGEST"),
        };
        let chat = self.stack.has_chat().then(|| chat::runs(self, event, digest));
        let filtered =
            Filtered::Run { run_id: "DIGEST".to_owned(), mismatches: digest.rows, kinds: vec![kind.to_owned()] };
        Draft { event, subject, text, severity, about, filtered, chat }.finish(self.stack, self.execution)
    }

    fn of_audit(&self, mismatches: i64, changed_in: i64) -> OfAudit<'_> {
        OfAudit {
            audit: &self.audited.name,
            table: self.audited.audit.table.to_string(),
            mismatches,
            changed_in,
            workflow: self.workflow.workflow_name.as_deref(),
            workflow_run_id: self.workflow.workflow_run_id.as_deref(),
        }
    }
}

/// Says that an execution did not end by itself.
pub(crate) fn load_not_ended(stack: &Stack, ended: &Ended) -> Result<Notification> {
    let draft = Draft {
        event: Event::LoadNotEnded,
        subject: "Redshift load did not end by itself".to_owned(),
        text: text::load_not_ended(stack, ended),
        severity: Severity::Error,
        about: About::LoadNotEnded(Load { error: ended.error(), cause: "", ..Load::default() }),
        filtered: Filtered::Load { error: ended.error().to_owned() },
        chat: stack.has_chat().then(|| chat::load_not_ended(stack, ended)),
    };
    draft.finish(stack, &ended.execution)
}

/// What a notification is made of.
struct Draft<'a> {
    event: Event,
    subject: String,
    text: String,
    severity: Severity,
    about: About<'a>,
    filtered: Filtered,
    chat: Option<chat::Message>,
}

impl Draft<'_> {
    fn finish(self, stack: &Stack, execution: &str) -> Result<Notification> {
        let Self { event, subject, text, severity, about, filtered, chat } = self;
        let subject: String = subject.chars().take(MAX_SUBJECT_CHARS).collect();
        let links = links(stack, execution);
        let payload = Payload { version: VERSION, subject: &subject, text: &text, severity, execution, links, about };
        let payload = to_json(&payload)?;
        let chat = chat.as_ref().map(to_json).transpose()?;
        Ok(Notification { event, subject, text, payload, chat, severity, filtered })
    }
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Error::internal("a notification is no JSON"))
}

fn links(stack: &Stack, execution: &str) -> Links {
    Links { execution: Console::of(execution).map(|console| console.execution()), dashboard: stack.dashboard.clone() }
}

/// A moment in seconds since 1970.
fn rfc3339(seconds: i64) -> Option<String> {
    DateTime::from_secs(seconds).fmt(Format::DateTime).ok()
}

/// The mismatches that a notification names.
fn named(run: &Run) -> impl Iterator<Item = &Mismatches> {
    run.mismatches.iter().take(MOST_KINDS)
}

fn word(text: &str) -> String {
    cut(text, MAX_WORD_CHARS)
}

/// The schema of the payload, as `notification.schema.json` has it.
#[cfg(test)]
pub(crate) fn schema() -> String {
    let mut schema = schemars::schema_for!(Payload<'static>);
    schema.insert("title".to_owned(), "A notification, as SQS, Lambda, Firehose and HTTPS subscribers get it".into());
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
