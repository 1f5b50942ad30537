//! What the audit finds: runs and their mismatches, away from wording and SQL.

mod digest;
mod id;
#[expect(clippy::module_inception, reason = "a run is what the module is about")]
mod run;
mod severity;

pub(crate) use digest::Digest;
pub(crate) use id::{MAX_SHOWN_CHARS, RunId, Sought};
pub(crate) use run::{Mismatches, Run};
pub(crate) use severity::Severity;
