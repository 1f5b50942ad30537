//! The engine's texts, class by class.

use super::FailureKind as Kind;
use super::text::Message;
use super::text::Part::{self, Block, Dashes, Digits, HostPort, Lit, Name, Numbers, OneOf, Opt, Quoted, Rest, Url};
use super::text::is_match;

/// The form of one of the engine's messages.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) kind: Kind,
    primary: &'static [Part],
    detail: Detail,
    /// Whether a message that a procedure raises cannot be this one: that has the severity ERROR, this another or none.
    never_an_error: bool,
}

/// What a pattern expects of the detail that follows the message.
#[derive(Debug)]
enum Detail {
    /// It does not matter.
    Any,
    /// There is none.
    Absent,
    /// It fills these parts.
    Is(&'static [Part]),
}

impl Pattern {
    pub(super) fn is_match(&self, message: &Message<'_>) -> bool {
        if self.never_an_error && message.is_error() {
            return false;
        }
        let whole = || message.primary().is_some_and(|primary| is_match(self.primary, primary));
        match self.detail {
            // Text behind the engine's words may be a procedure's own: it never makes for a retry.
            Detail::Any => whole() || !self.kind.is_retryable() && is_match(self.primary, message.cut()),
            Detail::Absent => whole() && message.with_detail().is_none(),
            Detail::Is(parts) => message
                .with_detail()
                .is_some_and(|(primary, detail)| is_match(self.primary, primary) && is_match(parts, &detail)),
        }
    }
}

const fn plain(kind: Kind, primary: &'static [Part]) -> Pattern {
    Pattern { kind, primary, detail: Detail::Any, never_an_error: false }
}

/// Of a client, or of an engine that ends a session: PostgreSQL and Redshift send these as FATAL or WARNING.
const fn not_raised(kind: Kind, primary: &'static [Part]) -> Pattern {
    Pattern { never_an_error: true, ..plain(kind, primary) }
}

const fn bare(kind: Kind, primary: &'static [Part]) -> Pattern {
    Pattern { kind, primary, detail: Detail::Absent, never_an_error: false }
}

const fn detailed(kind: Kind, primary: &'static [Part], detail: &'static [Part]) -> Pattern {
    Pattern { kind, primary, detail: Detail::Is(detail), never_an_error: false }
}

/// What ends a session, in the words of an operating system.
const LOSSES: &[&str] = &[
    "Connection reset by peer",
    "Connection timed out",
    "Connection refused",
    "Broken pipe",
    "Software caused connection abort",
];

/// What passes by itself when Spectrum reads S3.
const PASSING_SCANS: &[&str] = &[
    "Retries exceeded",
    "Access throttled",
    "HTTP response error code: 416 Message: InvalidRange",
    "Error: HTTP response error code: 416 Message: InvalidRange",
    "boost::thread_resource_error: Resource temporarily unavailable",
];

const SCAN: &str = "Spectrum Scan Error";
const S3_QUERY: &[&str] = &["S3 Query Exception (Fetch)", "S3 Query Exception (Execute)"];
const S3_CONNECTION: &str = "S3Query Exception Connection failed, retries exceeded.";

/// What PostgreSQL's messages about an unknown object have before its name.
const OBJECTS: &[&str] = &[
    "relation ",
    "table ",
    "view ",
    "schema ",
    "database ",
    "column ",
    "function ",
    "procedure ",
    "type ",
    "role ",
    "user ",
    "group ",
    "language ",
    "sequence ",
    "index ",
    "library ",
    "constraint ",
    "trigger ",
    "external table ",
    "external schema ",
    "datashare ",
    "materialized view ",
    "foreign table ",
    "server ",
    "operator class ",
];

pub(super) const PATTERNS: &[Pattern] = &[
    // Redshift: concurrent transactions, then snapshot races, which a new snapshot ends.
    detailed(
        Kind::SerializationConflict,
        &[Lit("1023")],
        &[
            Lit("Serializable isolation violation on table - "),
            Digits,
            Opt(&[Lit(", transactions forming the cycle are: "), Numbers]),
            Opt(&[Lit(" (pid:"), Digits, Lit(")")]),
        ],
    ),
    detailed(
        Kind::SerializationConflict,
        &[Lit("1023")],
        &[Lit("Serializable isolation violation on a table in Redshift"), Opt(&[Lit(".")])],
    ),
    plain(Kind::SerializationConflict, &[Lit("could not complete because of conflict with concurrent transaction")]),
    detailed(Kind::SerializationConflict, &[Lit("1018")], &[Lit("Relation does not exist"), Opt(&[Lit(".")])]),
    plain(Kind::SerializationConflict, &[Lit("could not open relation with OID "), Digits]),
    // PostgreSQL.
    plain(
        Kind::SerializationConflict,
        &[
            Lit("could not serialize access due to "),
            OneOf(&["concurrent update", "concurrent delete", "read/write dependencies among transactions"]),
        ],
    ),
    detailed(
        Kind::SerializationConflict,
        &[Lit("could not serialize access due to read/write dependencies among transactions")],
        &[Lit("Reason code: "), Rest],
    ),
    bare(Kind::Deadlock, &[Lit("deadlock detected")]),
    detailed(Kind::Deadlock, &[Lit("deadlock detected")], &[Lit("Process "), Digits, Lit(" waits for "), Rest]),
    // Limits.
    plain(
        Kind::StatementTimedOut,
        &[Lit("canceling statement due to "), OneOf(&["statement timeout", "lock timeout"])],
    ),
    plain(
        Kind::StatementTimedOut,
        &[
            Lit("terminating connection due to "),
            OneOf(&["idle-in-transaction timeout", "idle-session timeout", "transaction timeout"]),
        ],
    ),
    plain(
        Kind::StatementTimedOut,
        &[Lit("Query ("), Digits, Lit(") cancelled by WLM query timeout"), Opt(&[Lit(".")])],
    ),
    // People, and the rules that they set.
    plain(
        Kind::AbortedByUser,
        &[
            Lit("Query ("),
            Digits,
            Lit(") cancelled by WLM abort action of Query Monitoring Rule "),
            Quoted,
            Opt(&[Lit(".")]),
        ],
    ),
    plain(
        Kind::AbortedByUser,
        &[
            Lit("Query "),
            Opt(&[Lit("("), Digits, Lit(") ")]),
            OneOf(&["cancelled", "canceled"]),
            Lit(" on user's request"),
            Opt(&[Lit(".")]),
        ],
    ),
    plain(Kind::AbortedByUser, &[Lit("canceling statement due to user request")]),
    plain(Kind::AbortedByUser, &[Lit("terminating connection due to administrator command")]),
    // The system, by itself.
    // Recorded by this project, without a public source.
    plain(Kind::AbortedBySystem, &[Lit("Query ("), Digits, Lit(") aborted by WLM: its queue was removed")]),
    plain(Kind::AbortedBySystem, &[Lit("System requested abort of query"), Opt(&[Lit(".")])]),
    detailed(
        Kind::AbortedBySystem,
        &[Lit("abort query")],
        &[
            Opt(&[Dashes, Lit(" ")]),
            Lit("error: abort query code: "),
            Digits,
            Lit(" context: system requested abort query: "),
            Rest,
        ],
    ),
    not_raised(
        Kind::AbortedBySystem,
        &[
            Lit("the database system is "),
            OneOf(&[
                "starting up",
                "shutting down",
                "in recovery mode",
                "not yet accepting connections",
                "not accepting connections",
            ]),
        ],
    ),
    // The session.
    not_raised(Kind::ConnectionLost, &[Lit("terminating connection because of crash of another server process")]),
    not_raised(
        Kind::ConnectionLost,
        &[OneOf(&[
            // pgjdbc and Redshift's JDBC driver, whose words the Data API passes on; the older one misspells.
            "An I/O error occurred while sending to the backend.",
            "An I/O error occured while sending to the backend.",
            "The connection attempt failed.",
            "This connection has been closed.",
            "Connection refused. Check that the hostname and port are correct and that the postmaster is accepting \
             TCP/IP connections.",
            // tokio-postgres.
            "connection closed",
            // libpq.
            "server closed the connection unexpectedly",
            "SSL connection has been closed unexpectedly",
            "SSL SYSCALL error: EOF detected",
        ])],
    ),
    not_raised(
        Kind::ConnectionLost,
        &[
            Lit("Connection to "),
            HostPort,
            Lit(" refused. Check that the hostname and port are correct and that the postmaster is accepting TCP/IP \
                 connections."),
        ],
    ),
    not_raised(
        Kind::ConnectionLost,
        &[
            OneOf(&["error communicating with the server: ", "error connecting to server: "]),
            OneOf(LOSSES),
            Lit(" (os error "),
            Digits,
            Lit(")"),
        ],
    ),
    not_raised(
        Kind::ConnectionLost,
        &[OneOf(&[
            "error communicating with the server: unexpected end of file",
            "error communicating with the server: unexpected EOF during handshake",
        ])],
    ),
    not_raised(
        Kind::ConnectionLost,
        &[
            OneOf(&[
                "SSL SYSCALL error: ",
                "could not receive data from server: ",
                "could not send data to server: ",
                "could not connect to server: ",
            ]),
            OneOf(LOSSES),
        ],
    ),
    // Spectrum. Access denied, an incompatible schema or a missing bucket do not pass: no pattern.
    plain(Kind::ExternalScanFailed, &[Lit(SCAN), Lit(": "), OneOf(&["Retries exceeded", "Access throttled"])]),
    detailed(
        Kind::ExternalScanFailed,
        &[Lit(SCAN), Opt(&[Lit(": "), OneOf(&["Retries exceeded", "Access throttled"])])],
        &[
            Opt(&[Dashes, Lit(" ")]),
            Lit("error: "),
            Lit(SCAN),
            Lit(": "),
            OneOf(&["Retries exceeded", "Access throttled"]),
            Lit(" code: "),
            Digits,
            Rest,
        ],
    ),
    detailed(Kind::ExternalScanFailed, &[Lit(SCAN)], &[Block { error: &Lit(SCAN), context: &[OneOf(PASSING_SCANS)] }]),
    // A file was overwritten during the query. The guide's text lacks the closing quote.
    detailed(
        Kind::ExternalScanFailed,
        &[Lit(SCAN)],
        &[Block { error: &Lit(SCAN), context: &[Lit("File '"), Url, Lit(" has an invalid version number")] }],
    ),
    bare(Kind::ExternalScanFailed, &[OneOf(S3_QUERY)]),
    detailed(
        Kind::ExternalScanFailed,
        &[OneOf(S3_QUERY)],
        &[Block { error: &OneOf(S3_QUERY), context: &[OneOf(PASSING_SCANS)] }],
    ),
    bare(Kind::ExternalScanFailed, &[Lit(S3_CONNECTION)]),
    detailed(Kind::ExternalScanFailed, &[Lit(S3_CONNECTION)], &[Block { error: &Lit(S3_CONNECTION), context: &[] }]),
    // Space.
    plain(Kind::DiskFull, &[Lit("Disk Full")]),
    plain(
        Kind::DiskFull,
        &[
            OneOf(&["could not extend file ", "could not write to file ", "could not create file "]),
            Quoted,
            Opt(&[Lit(" with FileFallocate()")]),
            Lit(": No space left on device"),
        ],
    ),
    plain(
        Kind::DiskFull,
        &[
            Lit("could not write block "),
            Digits,
            OneOf(&[" in file ", " of temporary file"]),
            Opt(&[Quoted]),
            Lit(": No space left on device"),
        ],
    ),
    // Rights.
    plain(
        Kind::PermissionDenied,
        &[
            Lit("permission denied for "),
            OneOf(&[
                "relation ",
                "table ",
                "view ",
                "materialized view ",
                "schema ",
                "database ",
                "function ",
                "procedure ",
                "language ",
                "sequence ",
                "type ",
                "column ",
                "external schema ",
            ]),
            Name,
        ],
    ),
    plain(
        Kind::PermissionDenied,
        &[
            Lit("must be owner of "),
            OneOf(&[
                "relation ",
                "table ",
                "view ",
                "materialized view ",
                "schema ",
                "database ",
                "function ",
                "procedure ",
                "language ",
                "sequence ",
                "type ",
                "index ",
            ]),
            Name,
        ],
    ),
    // Constraints.
    plain(Kind::ConstraintViolation, &[Lit("Cannot insert a NULL value into column "), Name]),
    plain(
        Kind::ConstraintViolation,
        &[
            Lit("null value in column "),
            Quoted,
            Opt(&[Lit(" of relation "), Quoted]),
            Lit(" violates not-null constraint"),
        ],
    ),
    plain(Kind::ConstraintViolation, &[Lit("duplicate key value violates unique constraint "), Quoted]),
    plain(Kind::ConstraintViolation, &[Lit("conflicting key value violates exclusion constraint "), Quoted]),
    plain(
        Kind::ConstraintViolation,
        &[Lit("new row for relation "), Quoted, Lit(" violates check constraint "), Quoted],
    ),
    plain(
        Kind::ConstraintViolation,
        &[
            OneOf(&["insert or update", "update or delete"]),
            Lit(" on table "),
            Quoted,
            Lit(" violates foreign key constraint "),
            Quoted,
            Opt(&[Lit(" on table "), Quoted]),
        ],
    ),
    // Objects.
    plain(
        Kind::ObjectNotFound,
        &[
            OneOf(OBJECTS),
            Name,
            Opt(&[OneOf(&[" of relation ", " of table "]), Name]),
            Lit(" does not exist"),
            // Redshift, of a column.
            Opt(&[Lit(" in "), Name]),
        ],
    ),
];
