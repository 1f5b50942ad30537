//! Why a statement failed, from the engine's own text, and whether a new attempt can succeed.
//!
//! The Data API gives free text only, and that text also carries what a procedure raises and what the data
//! holds. A class therefore rests on the whole message, never on a word inside it:
//!
//! - A text begins with the message, or with what the engine and its clients put before it, once: the Data
//!   API's `Query #2 failed with ` and a severity (`ERROR: `, `FATAL: `, `PANIC: `, `WARNING: `). The Data
//!   API's `[ErrorId: ...]` may end it.
//! - The message is the first line. It matches a pattern of the engine's from beginning to end, in the
//!   engine's case; names, numbers and hosts fill holes of their type. `connection closed by the host` and
//!   `invalid input syntax: "deadlock detected"` hold the engine's words, but are not its messages.
//! - The lines that follow begin with a label (`Detail:`, `Hint:`, `Where:`, ...) or with libpq's report of a
//!   lost connection. Another second line is part of a raised message, which matches nothing.
//! - Details do not decide, except where the engine's message says too little: Redshift's `1023` and `1018`,
//!   and the blocks that its compute nodes and Spectrum send. The detail is then matched, too.
//! - Some clients join the lines. A label on the message's own line is accepted where the class is never
//!   retried, or where a pattern matches the detail as well.
//!
//! What is not recognised is never retried, nor is what a person did or what met a limit.
//!
//! A procedure that raises exactly one of the engine's messages cannot be distinguished from the engine by its text,
//! and runs again. That is accepted: procedures are idempotent, and `MaxAttempts` bounds it.

mod patterns;
#[cfg(test)]
mod tests;
mod text;

use strum::VariantArray;

use self::patterns::PATTERNS;
use self::text::Message;
use crate::status::Status;

/// A class of engine failure. [`FailureKind::name`] is a public contract: it is the `Error` that
/// status-checker reports and that a failed execution ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[non_exhaustive]
pub enum FailureKind {
    /// Two transactions conflicted (Redshift error 1023), or a table was replaced under the statement's snapshot
    /// (error 1018, an OID that is gone); rolled back whole.
    SerializationConflict,
    /// The engine broke a deadlock by failing this statement; rolled back whole.
    Deadlock,
    /// The session was lost; the engine rolls back what it did.
    ConnectionLost,
    /// Workload management or a restart of the warehouse ended the statement.
    AbortedBySystem,
    /// Somebody cancelled the statement or ended its session, or a query monitoring rule of theirs did.
    /// Never retried: a person meant it.
    AbortedByUser,
    /// Spectrum could not read S3 for a reason that passes by itself: throttling, used-up retries, a file that
    /// was overwritten during the query. Failures that do not pass (access, schema) are `StatementFailed`.
    ExternalScanFailed,
    /// No space left, for the data or for intermediate results.
    DiskFull,
    /// The database user may not do it: USAGE on the schema or EXECUTE on the procedure is missing.
    PermissionDenied,
    /// A procedure, table, column or database does not exist.
    ObjectNotFound,
    /// A value broke a constraint of a table.
    ConstraintViolation,
    /// It ran longer than it may: past its TimeoutSeconds it was cancelled by us, or the engine's own limit
    /// (statement_timeout, WLM's) ended it. A new attempt would meet the same limit.
    StatementTimedOut,
    /// Past its TimeoutSeconds a cancel was requested, and the grace was over before the end.
    CancelNotConfirmed,
    /// Ended as ABORTED, and the engine gives no reason.
    StatementAborted,
    /// Anything else that the engine reports.
    StatementFailed,
}

impl FailureKind {
    /// Every class.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The stable name.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether the same call, submitted again, may succeed without anybody fixing anything.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::SerializationConflict
                | Self::Deadlock
                | Self::ConnectionLost
                | Self::AbortedBySystem
                | Self::ExternalScanFailed
        )
    }

    /// The class of a statement that ended as FAILED or ABORTED.
    pub fn classify(status: Status, text: &str) -> Self {
        let message = Message::new(text);
        PATTERNS.iter().find(|pattern| pattern.is_match(&message)).map(|pattern| pattern.kind).unwrap_or(match status {
            Status::Aborted => Self::StatementAborted,
            _ => Self::StatementFailed,
        })
    }
}
