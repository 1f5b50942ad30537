//! How bad a run's mismatches are.

use serde::Serialize;

use super::{Mismatches, Run};

/// How bad it is, for filter policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Severity {
    /// It is good: a run has become clean.
    #[default]
    Info,
    /// Values differ, or Redshift has rows that S3 has not.
    Warning,
    /// Rows are missing in Redshift, or are there more than once; or the kind is one of another audit.
    Error,
}

impl Severity {
    /// The word in the attribute and the payload.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    pub(crate) fn of(run: &Run) -> Self {
        let mild = |m: &Mismatches| matches!(m.kind.as_str(), "DIFFERENT" | "MISSING_IN_STAGING");
        if run.mismatches.iter().all(mild) { Self::Warning } else { Self::Error }
    }
}
