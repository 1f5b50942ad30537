//! What a notification says, typed: `notification.schema.json` is made of these types.
//!
//! The state machine sends the failure of a load by itself, in the same form ([`Load`]); a test of both engines holds it against the
//! schema.

use serde::Serialize;
use shared::WorkflowRun;

use crate::run::Severity;

/// The version of the form. 3: reminders, loads, links; 2 had `run_id` as it is in the table; 1 had the text that people read.
pub(crate) const VERSION: u8 = 3;

/// A notification as SQS, Lambda, Firehose and HTTPS subscribers get it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Payload<'a> {
    /// The version of this form.
    #[cfg_attr(test, schemars(range(min = 3, max = 3)))]
    pub(crate) version: u8,
    /// The subject, one line.
    #[cfg_attr(test, schemars(length(max = 99)))]
    pub(crate) subject: &'a str,
    /// What a person reads.
    pub(crate) text: &'a str,
    pub(crate) severity: Severity,
    /// The execution's ARN, or the request id of a hand-made invocation.
    pub(crate) execution: &'a str,
    pub(crate) links: Links,
    #[serde(flatten)]
    pub(crate) about: About<'a>,
}

/// Where a person looks next.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Links {
    /// The page of the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) execution: Option<String>,
    /// The stack's dashboard; absent or empty if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dashboard: Option<String>,
}

/// What it is about, and what is known of that.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum About<'a> {
    /// A run does not match.
    Mismatch(OfRun<'a>),
    /// A run that people were told of still does not match.
    Reminder(OfRun<'a>),
    /// A run that people were told of is clean.
    Resolved(OfRun<'a>),
    /// Many runs do not match.
    Digest(OfRuns<'a>),
    /// Many runs that people were told of are clean.
    ResolvedDigest(OfRuns<'a>),
    /// A load has failed: sent by the state machine itself.
    #[expect(dead_code, reason = "it is here for the schema")]
    LoadFailed(Load<'a>),
    /// An execution was stopped, timed out or died unseen.
    LoadNotEnded(Load<'a>),
}

/// One run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct OfRun<'a> {
    #[serde(flatten)]
    pub(crate) audit: OfAudit<'a>,
    /// As in the audit table; null where the staged row had none. One of over 256 characters is cut, and ends in its length and the MD5 of
    /// the whole.
    #[cfg_attr(test, schemars(length(max = 350)))]
    pub(crate) run_id: Option<String>,
    /// When its oldest mismatch was first seen, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// How many executions have told of it before.
    pub(crate) told: i64,
    /// When the last of them did, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_told: Option<String>,
    #[cfg_attr(test, schemars(length(min = 1, max = 20)))]
    pub(crate) kinds: Vec<OfKind<'a>>,
}

/// The mismatches of one kind.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct OfKind<'a> {
    pub(crate) kind: &'a str,
    /// Rows.
    pub(crate) mismatches: i64,
    /// Rows that are new, or have changed, since people were told.
    pub(crate) changed: i64,
    /// The earliest time of the rows, as the engine writes it.
    pub(crate) first_at: Option<&'a str>,
    /// The latest.
    pub(crate) last_at: Option<&'a str>,
}

/// Many runs.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct OfRuns<'a> {
    #[serde(flatten)]
    pub(crate) audit: OfAudit<'a>,
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) runs: usize,
    /// Those with the most rows.
    #[cfg_attr(test, schemars(length(max = 10)))]
    pub(crate) worst: Vec<Worst>,
}

/// One of the worst runs.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Worst {
    pub(crate) run_id: Option<String>,
    /// Rows.
    pub(crate) mismatches: i64,
}

/// What is the same for every notification of an audit.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct OfAudit<'a> {
    /// The audit: its table without `_audit`.
    pub(crate) audit: &'a str,
    /// The audit table.
    pub(crate) table: String,
    /// Rows of all kinds.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub(crate) mismatches: i64,
    /// The number of the newest audit that changed what this says.
    pub(crate) changed_in: i64,
    /// The Glue workflow, if the load was gated on one.
    pub(crate) workflow: Option<&'a str>,
    /// Its run.
    pub(crate) workflow_run_id: Option<&'a str>,
}

/// A load. All but the first two only the state machine knows.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Load<'a> {
    /// The name of the error, or how Step Functions calls the end: ABORTED, TIMED_OUT.
    pub(crate) error: &'a str,
    /// Why, in words; empty if nobody says.
    pub(crate) cause: &'a str,
    /// The procedure, or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) procedure: Option<&'a str>,
    /// The statement, or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement_id: Option<&'a str>,
    /// The number of the call, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<u32>,
    /// The number of the attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<u32>,
    /// What became of the statements that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left_running: Option<&'a str>,
    /// The Glue workflow run: WorkflowName and WorkflowRunId, as far as they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<std::collections::BTreeMap<String, String>>"))]
    pub(crate) context: Option<&'a WorkflowRun>,
}
