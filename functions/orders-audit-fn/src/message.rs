//! The words of a notification, for people and for machines.

use std::fmt::Write as _;

use serde_json::json;
use shared::WorkflowRun;
use shared::error::cut;

use crate::audit_sql::condition;
use crate::config::{Audit, Words};
use crate::run::{Digest, Mismatches, Run, Severity};

/// How many kinds of one run a notification names.
const MOST_KINDS: usize = 20;
/// The longest word or time of an audit table that is shown.
const MAX_WORD_CHARS: usize = 100;

/// One notification, ready to send.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notification {
    /// The run it is about, as it is shown; that of a digest is `DIGEST`.
    pub(crate) run_id: String,
    /// The subject.
    pub(crate) subject: String,
    /// What a person reads.
    pub(crate) text: String,
    /// What a machine reads: `notification.schema.json` describes it.
    pub(crate) payload: String,
    /// Rows that do not match.
    pub(crate) mismatches: i64,
    /// The kinds of mismatch.
    pub(crate) kinds: Vec<String>,
    /// How bad it is.
    pub(crate) severity: Severity,
}

/// What goes into every message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Composer<'a> {
    /// The audit.
    pub(crate) audit: &'a Audit,
    /// Its words.
    pub(crate) words: &'a Words,
    /// The execution that notifies.
    pub(crate) execution: &'a str,
    /// The Glue workflow run that it loaded.
    pub(crate) workflow: &'a WorkflowRun,
}

impl Composer<'_> {
    /// Puts an unresolved run into words.
    pub(crate) fn mismatch(&self, run: &Run) -> Notification {
        let Audit { table, key, time } = self.audit;
        let condition = condition(key, &run.id);
        let mut text = format!("{}\n\n", self.title(run));
        for Mismatches { kind, rows, .. } in run.mismatches.iter().take(MOST_KINDS) {
            let _ = writeln!(text, "{rows} {} {}", if *rows == 1 { "row" } else { "rows" }, meaning(kind));
        }
        if run.mismatches.len() > MOST_KINDS {
            let _ = writeln!(text, "and {} more kinds", run.mismatches.len() - MOST_KINDS);
        }
        let first = run.mismatches.iter().filter_map(|m| m.first.as_deref()).min();
        let last = run.mismatches.iter().filter_map(|m| m.last.as_deref()).max();
        if let (Some(first), Some(last)) = (first, last) {
            let _ = writeln!(text, "{time} from {} to {}", word(first), word(last));
        }
        if !self.workflow.is_none() {
            let _ = writeln!(text, "Found after Glue workflow run {}", self.workflow);
        }
        let _ = write!(
            text,
            "\nTo inspect: SELECT * FROM {table} WHERE {condition} AND status <> 'RESOLVED';\n\
             To fix:     correct the rows (the next run loads a late row); the next audit sets what is fixed to RESOLVED.\n\
             To resolve: SET timezone TO 'UTC'; UPDATE {table} SET status = 'RESOLVED', resolved_at = GETDATE() WHERE {condition} AND status <> 'RESOLVED';\n\
             \x20           (an audit that still finds the mismatch re-opens it: silence that)\n\
             To silence: SET timezone TO 'UTC'; UPDATE {table} SET silenced_until = GETDATE() + INTERVAL '7 days' WHERE {condition};\n"
        );
        self.notification("mismatch", run, self.words.subject.clone(), text, Severity::of(run))
    }

    /// Says that a run has become clean.
    pub(crate) fn resolved(&self, run: &Run) -> Notification {
        let gone = match run.rows() {
            1 => "Its mismatch is gone, or was resolved by hand.".to_owned(),
            rows => format!("All {rows} of its mismatches are gone, or were resolved by hand."),
        };
        let text = format!("Resolved: {}\n\n{gone}\n", self.title(run));
        self.notification("resolved", run, format!("Resolved: {}", self.words.subject), text, Severity::Info)
    }

    /// One message in place of many about mismatches.
    pub(crate) fn digest(&self, digest: &Digest) -> Notification {
        let Audit { table, key, .. } = self.audit;
        let text = format!(
            "{} runs do not match, {} rows in all. This one message takes the place of {}.\n\nThe worst:\n{}\n\
             To inspect: SELECT {key}, kind, COUNT(*) FROM {table} WHERE status <> 'RESOLVED' GROUP BY 1, 2 ORDER BY 3 DESC;\n",
            digest.runs,
            digest.rows,
            digest.runs,
            list(digest)
        );
        let subject = format!("{} runs: {}", digest.runs, self.words.subject);
        self.summary("digest", "DIGEST", digest, subject, text, digest.severity)
    }

    /// One message in place of many about runs that have become clean.
    pub(crate) fn resolved_digest(&self, digest: &Digest) -> Notification {
        let text = format!(
            "{} runs are clean again: all {} of their mismatches are gone, or were resolved by hand. This one message \
             takes the place of {}.\n\nThe largest:\n{}",
            digest.runs,
            digest.rows,
            digest.runs,
            list(digest)
        );
        let subject = format!("Resolved: {} runs: {}", digest.runs, self.words.subject);
        self.summary("resolved_digest", "RESOLVED", digest, subject, text, Severity::Info)
    }

    fn summary(
        &self,
        kind: &str,
        kinds: &str,
        digest: &Digest,
        subject: String,
        text: String,
        severity: Severity,
    ) -> Notification {
        let subject: String = subject.chars().take(99).collect();
        let worst: Vec<_> =
            digest.worst.iter().map(|(id, rows)| json!({"run_id": id.value(), "mismatches": rows})).collect();
        let payload = json!({
            "version": 2, "type": kind, "subject": subject, "text": text, "table": self.audit.table.to_string(),
            "execution": self.execution, "workflow": self.workflow.workflow_name,
            "workflow_run_id": self.workflow.workflow_run_id, "severity": severity, "runs": digest.runs,
            "mismatches": digest.rows, "changed_in": digest.changed_in, "worst": worst,
        });
        Notification {
            run_id: "DIGEST".to_owned(),
            payload: payload.to_string(),
            subject,
            text,
            mismatches: digest.rows,
            kinds: vec![kinds.to_owned()],
            severity,
        }
    }

    fn title(&self, run: &Run) -> String {
        self.words.title.replace("{key}", &run.id.shown())
    }

    fn notification(&self, kind: &str, run: &Run, subject: String, text: String, severity: Severity) -> Notification {
        let named = || run.mismatches.iter().take(MOST_KINDS);
        let time = |at: &Option<String>| at.as_deref().map(word);
        let kinds = named().map(|m| {
            json!({"kind": word(&m.kind), "mismatches": m.rows, "first_at": time(&m.first), "last_at": time(&m.last)})
        });
        let payload = json!({
            "version": 2, "type": kind, "subject": subject, "text": text, "table": self.audit.table.to_string(),
            "execution": self.execution, "workflow": self.workflow.workflow_name,
            "workflow_run_id": self.workflow.workflow_run_id, "severity": severity, "run_id": run.id.value(),
            "mismatches": run.rows(), "changed_in": run.changed_in, "kinds": kinds.collect::<Vec<_>>(),
        });
        Notification {
            run_id: run.id.shown(),
            payload: payload.to_string(),
            subject,
            text,
            mismatches: run.rows(),
            kinds: named().map(|m| word(&m.kind)).collect(),
            severity,
        }
    }
}

fn list(digest: &Digest) -> String {
    digest.worst.iter().map(|(id, rows)| format!("  {}: {rows} rows\n", id.shown())).collect()
}

/// What a kind means, in words; an unknown one speaks for itself.
fn meaning(kind: &str) -> String {
    match kind {
        "MISSING_IN_REDSHIFT" => "in S3 staging but not in Redshift (MISSING_IN_REDSHIFT)".to_owned(),
        "MISSING_IN_STAGING" => "in Redshift but not in S3 staging (MISSING_IN_STAGING)".to_owned(),
        "DIFFERENT" => "in both, with different values (DIFFERENT)".to_owned(),
        "DUPLICATE_IN_REDSHIFT" => "more than once in Redshift (DUPLICATE_IN_REDSHIFT)".to_owned(),
        other => word(other),
    }
}

fn word(text: &str) -> String {
    cut(text, MAX_WORD_CHARS)
}
