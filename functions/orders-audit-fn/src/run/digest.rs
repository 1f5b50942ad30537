//! Many runs in one.

use shared::RunId;

use super::{Run, Severity};

/// How many runs a digest names.
const WORST: usize = 10;

/// What a digest counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digest {
    /// Runs.
    pub(crate) runs: usize,
    /// Rows of all of them.
    pub(crate) rows: i64,
    /// The runs with the most rows.
    pub(crate) worst: Vec<(RunId, i64)>,
    /// The worst severity.
    pub(crate) severity: Severity,
    /// The newest audit that changed one of them.
    pub(crate) changed_in: i64,
    /// When the last of them became clean, in seconds since 1970.
    pub(crate) resolved_at: i64,
    /// Whether the rows without a run id are among them.
    pub(crate) without_id: bool,
}

impl Digest {
    /// Counts a run.
    pub(crate) fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.rows += run.rows();
        self.severity = self.severity.max(Severity::of(run));
        self.changed_in = self.changed_in.max(run.changed_in);
        self.resolved_at = self.resolved_at.max(run.resolved_at);
        self.without_id |= run.id.is_none();
        self.worst.push((run.id.clone(), run.rows()));
        self.worst.sort_by_key(|(_, rows)| -rows);
        self.worst.truncate(WORST);
    }
}
