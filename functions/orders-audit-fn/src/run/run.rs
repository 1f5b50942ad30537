//! A run with mismatches.

use shared::RunId;

/// The mismatches of one kind in one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mismatches {
    /// What the audit calls it: `MISSING_IN_REDSHIFT` and so on.
    pub(crate) kind: String,
    /// How many rows.
    pub(crate) rows: i64,
    /// How many of them are new, or have changed, since people were told.
    pub(crate) changed: i64,
    /// The earliest time of them, if there is one.
    pub(crate) first: Option<String>,
    /// The latest time of them, if there is one.
    pub(crate) last: Option<String>,
}

/// A run with mismatches that nobody has resolved yet; or, if there are none, one that is clean again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Which run.
    pub(crate) id: RunId,
    /// Its mismatches, by kind.
    pub(crate) mismatches: Vec<Mismatches>,
    /// Whether a row of it is due for a notification.
    pub(crate) due: bool,
    /// Whether somebody has silenced it: one of its rows is enough, as rows that come later are not marked.
    pub(crate) silenced: bool,
    /// The newest audit that changed what was seen of it.
    pub(crate) changed_in: i64,
    /// Seconds since its oldest mismatch was first seen.
    pub(crate) waiting_seconds: i64,
    /// When that was, in seconds since 1970.
    pub(crate) since: Option<i64>,
    /// How many executions have told of it.
    pub(crate) told: i64,
    /// When the last of them did, in seconds since 1970.
    pub(crate) last_told: Option<i64>,
    /// When it became clean, in seconds since 1970; 0 if it is not.
    pub(crate) resolved_at: i64,
}

impl Run {
    /// Its mismatches of all kinds.
    pub(crate) fn rows(&self) -> i64 {
        self.mismatches.iter().map(|m| m.rows).sum()
    }
}
