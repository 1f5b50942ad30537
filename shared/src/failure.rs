//! Why a statement failed, from the engine's own text, and whether a new attempt can cure it.
//!
//! The Data API gives free text only, so the classes rest on phrases of Redshift's and PostgreSQL's
//! real messages. What is not recognised is never retried.

use crate::statement::Status;

/// A class of engine failure. [`FailureKind::name`] is a public contract: it is the `Error` that
/// status-checker reports and that a failed execution ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// Two transactions conflicted (Redshift error 1023); rolled back whole.
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
    /// Ended as ABORTED, and the engine does not say why.
    StatementAborted,
    /// Anything else that the engine says.
    StatementFailed,
}

impl FailureKind {
    /// Every class, for documentation and for the tests that hold it against the state machine.
    pub const ALL: &[Self] = &[
        Self::SerializationConflict,
        Self::Deadlock,
        Self::ConnectionLost,
        Self::AbortedBySystem,
        Self::AbortedByUser,
        Self::DiskFull,
        Self::PermissionDenied,
        Self::ObjectNotFound,
        Self::ConstraintViolation,
        Self::StatementTimedOut,
        Self::CancelNotConfirmed,
        Self::StatementAborted,
        Self::StatementFailed,
    ];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SerializationConflict => "SerializationConflict",
            Self::Deadlock => "Deadlock",
            Self::ConnectionLost => "ConnectionLost",
            Self::AbortedBySystem => "AbortedBySystem",
            Self::AbortedByUser => "AbortedByUser",
            Self::DiskFull => "DiskFull",
            Self::PermissionDenied => "PermissionDenied",
            Self::ObjectNotFound => "ObjectNotFound",
            Self::ConstraintViolation => "ConstraintViolation",
            Self::StatementTimedOut => "StatementTimedOut",
            Self::CancelNotConfirmed => "CancelNotConfirmed",
            Self::StatementAborted => "StatementAborted",
            Self::StatementFailed => "StatementFailed",
        }
    }

    /// Whether the same call, submitted anew, may succeed without anybody mending anything.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::SerializationConflict | Self::Deadlock | Self::ConnectionLost | Self::AbortedBySystem)
    }

    /// The class of a statement that ended as FAILED or ABORTED.
    pub fn classify(status: Status, text: &str) -> Self {
        let text = text.to_lowercase();
        PHRASES
            .iter()
            .find(|(_, phrases)| phrases.iter().any(|phrase| text.contains(phrase)))
            .map(|(kind, _)| *kind)
            .unwrap_or(match status {
                Status::Aborted => Self::StatementAborted,
                _ => Self::StatementFailed,
            })
    }
}

/// In this order: a message that names two causes is the earlier one.
const PHRASES: &[(FailureKind, &[&str])] = &[
    (
        FailureKind::SerializationConflict,
        &[
            "serializable isolation violation",
            "error: 1023",
            "could not serialize access",
            "conflict with concurrent transaction",
        ],
    ),
    (FailureKind::Deadlock, &["deadlock detected"]),
    (FailureKind::StatementTimedOut, &["due to statement timeout", "wlm query timeout"]),
    // Before what the system does by itself: it says "by WLM", too.
    (FailureKind::AbortedByUser, &["wlm abort action", "query monitoring rule"]),
    (
        FailureKind::AbortedBySystem,
        &[
            "by wlm",
            "system requested abort",
            "the database system is shutting down",
            "the database system is starting up",
            "the database system is in recovery",
            "system is being restarted",
            "cluster is being restarted",
            "cluster restart",
        ],
    ),
    // Before the loss of the connection: that is what a client sees of a session that somebody ended.
    (
        FailureKind::AbortedByUser,
        &[
            "canceled on user's request",
            "cancelled on user's request",
            "due to user request",
            "cancelled by user",
            "canceled by user",
            "terminating connection due to administrator command",
        ],
    ),
    (
        FailureKind::ConnectionLost,
        &[
            "terminating connection because of crash",
            "server closed the connection unexpectedly",
            "connection closed",
            "connection reset",
            "connection refused",
            "connection timed out",
            "error communicating with the server",
            "could not connect to server",
            "ssl syscall error",
            "unexpected eof",
        ],
    ),
    (FailureKind::DiskFull, &["disk full", "no space left on device", "could not extend file"]),
    (FailureKind::PermissionDenied, &["permission denied", "must be owner of"]),
    (
        FailureKind::ConstraintViolation,
        &[
            "violates not-null constraint",
            "violates unique constraint",
            "violates check constraint",
            "violates foreign key constraint",
            "duplicate key value",
            "cannot insert a null value",
        ],
    ),
    (FailureKind::ObjectNotFound, &["does not exist", "not found in schema"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_texts_find_their_class() {
        use FailureKind as K;
        let failed = [
            (
                "ERROR: 1023 Detail: Serializable isolation violation on table - 115561, transactions forming the \
                 cycle are: 9847, 9848 (pid:29981)",
                K::SerializationConflict,
            ),
            ("ERROR: could not serialize access due to concurrent update", K::SerializationConflict),
            ("ERROR: deadlock detected\n  Detail: Process 11965 waits for AccessExclusiveLock", K::Deadlock),
            ("ERROR: Query (25) cancelled by WLM abort action of Query Monitoring Rule \"long\".", K::AbortedByUser),
            ("ERROR: Query (25) cancelled by WLM query timeout", K::StatementTimedOut),
            ("ERROR: canceling statement due to statement timeout", K::StatementTimedOut),
            ("ERROR: Query (25) aborted by WLM: its queue was removed", K::AbortedBySystem),
            ("ERROR: System requested abort of query", K::AbortedBySystem),
            ("FATAL: the database system is shutting down", K::AbortedBySystem),
            ("FATAL: the database system is in recovery mode", K::AbortedBySystem),
            ("FATAL: terminating connection due to administrator command", K::AbortedByUser),
            (
                "FATAL: terminating connection due to administrator command\nserver closed the connection unexpectedly",
                K::AbortedByUser,
            ),
            (
                "WARNING: terminating connection because of crash of another server process\nserver closed the \
                 connection unexpectedly",
                K::ConnectionLost,
            ),
            ("connection closed", K::ConnectionLost),
            ("SSL SYSCALL error: EOF detected", K::ConnectionLost),
            ("error communicating with the server: Connection reset by peer (os error 104)", K::ConnectionLost),
            ("ERROR: Query (1234) cancelled on user's request", K::AbortedByUser),
            ("ERROR: canceling statement due to user request", K::AbortedByUser),
            ("ERROR: Disk Full Detail: \n  error:  Disk Full\n  code:      1016", K::DiskFull),
            ("ERROR: permission denied for schema dev", K::PermissionDenied),
            ("ERROR: procedure dev.enriched_orders_sp() does not exist", K::ObjectNotFound),
            ("FATAL: database \"nope\" does not exist", K::ObjectNotFound),
            ("ERROR: Cannot insert a NULL value into column run_id", K::ConstraintViolation),
            ("ERROR: duplicate key value violates unique constraint \"t_pkey\"", K::ConstraintViolation),
            ("ERROR: division by zero", K::StatementFailed),
            ("", K::StatementFailed),
        ];
        for (text, kind) in failed {
            assert_eq!(K::classify(Status::Failed, text), kind, "{text}");
        }
        assert_eq!(K::classify(Status::Aborted, ""), K::StatementAborted);
    }

    #[test]
    fn only_what_cures_itself_is_retried() {
        let retryable: Vec<_> = FailureKind::ALL.iter().filter(|k| k.is_retryable()).map(|k| k.name()).collect();
        assert_eq!(retryable, ["SerializationConflict", "Deadlock", "ConnectionLost", "AbortedBySystem"]);
    }
}
