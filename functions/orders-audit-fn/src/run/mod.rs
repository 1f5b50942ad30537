//! What the audit finds: runs and their mismatches, away from wording and SQL.

mod digest;
#[expect(clippy::module_inception, reason = "a run is what the module is about")]
mod run;
mod severity;

pub(crate) use digest::Digest;
pub(crate) use run::{Mismatches, Run};
pub(crate) use severity::Severity;
