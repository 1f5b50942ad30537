use super::FailureKind::{self, *};
use crate::status::Status;

const GUIDE_WLM: &str = "Redshift guide, query monitoring rules and WLM timeout";
const GUIDE_1023: &str = "Redshift guide, serializable isolation";
const GUIDE_SPECTRUM: &str = "Redshift guide, c-spectrum-troubleshooting";
const POSTGRES: &str = "PostgreSQL's source, its message catalogue";
const PGJDBC: &str = "pgjdbc's message catalogue, which Redshift's driver shares";
const LIBPQ: &str = "libpq's message catalogue";
const TOKIO: &str = "tokio-postgres 0.7, through the local Data API";
const OURS: &str = "recorded by this project";

/// Texts as engines and clients send them, with their source.
const REAL: &[(FailureKind, &str, &str)] = &[
    (
        SerializationConflict,
        GUIDE_1023,
        "ERROR: 1023 Detail: Serializable isolation violation on table - 115561, transactions forming the cycle are: \
         9847, 9848 (pid:29981)",
    ),
    (
        SerializationConflict,
        "snowplow-rdb-loader#557, as pgjdbc prints it",
        "ERROR: 1023\n  Detail: Serializable isolation violation on table - 100167, transactions forming the cycle \
         are: 55705701, 55705754 (pid:16606)\n  Where: SQL statement \"DELETE FROM t\"",
    ),
    (SerializationConflict, OURS, "ERROR: 1023 Detail: Serializable isolation violation on table - 115561"),
    (SerializationConflict, GUIDE_1023, "ERROR:1023 DETAIL: Serializable isolation violation on a table in Redshift"),
    (SerializationConflict, OURS, "ERROR: could not complete because of conflict with concurrent transaction"),
    (SerializationConflict, OURS, "ERROR: 1018 Detail: Relation does not exist"),
    (SerializationConflict, "dbt-adapters#617", "ERROR: could not open relation with OID 123456789"),
    (SerializationConflict, "RPostgres#469", "ERROR:  could not open relation with OID 8574286"),
    (SerializationConflict, POSTGRES, "ERROR: could not serialize access due to concurrent update"),
    (SerializationConflict, POSTGRES, "ERROR: could not serialize access due to concurrent delete"),
    (
        SerializationConflict,
        POSTGRES,
        "ERROR: could not serialize access due to read/write dependencies among transactions\n  Detail: Reason code: \
         Canceled on identification as a pivot, during write.\n  Hint: The transaction might succeed if retried.",
    ),
    (
        SerializationConflict,
        POSTGRES,
        "ERROR: could not serialize access due to read/write dependencies among transactions Detail: Reason code: \
         Canceled on commit attempt with conflict in from prepared pivot.",
    ),
    (
        SerializationConflict,
        "as above, lines joined",
        "ERROR: 1023 Detail: Serializable isolation violation on table - 115561, transactions forming the cycle are: \
         9847, 9848 (pid:29981) Where: SQL statement \"DELETE FROM t\"",
    ),
    (
        SerializationConflict,
        "as above, lines joined",
        "ERROR: could not open relation with OID 1 Where: PL/pgSQL function dev.p() line 3 at SQL statement",
    ),
    (Deadlock, "lines joined", "ERROR: deadlock detected CONTEXT:  SQL statement \"UPDATE t SET a = 1\""),
    (Deadlock, POSTGRES, "ERROR: deadlock detected"),
    (
        Deadlock,
        POSTGRES,
        "ERROR: deadlock detected\n  Detail: Process 11965 waits for AccessExclusiveLock on relation 16385 of database \
         5; blocked by process 11970.\nProcess 11970 waits for ShareLock on transaction 745; blocked by process \
         11965.\n  Where: while updating tuple (0,1) in relation \"t\"",
    ),
    (
        Deadlock,
        "PostgreSQL, lines joined",
        "ERROR: deadlock detected Detail: Process 11965 waits for AccessExclusiveLock",
    ),
    (Deadlock, "Data API, a batch", "Query #2 failed with ERROR: deadlock detected"),
    (
        Deadlock,
        "Data API's ErrorId, as in parsnips.net 2025-10-21",
        "ERROR: deadlock detected [ErrorId: 1-68f7ff75-672e60d16356d0f719974665]",
    ),
    (StatementTimedOut, GUIDE_WLM, "ERROR: Query (25) cancelled by WLM query timeout"),
    (StatementTimedOut, POSTGRES, "ERROR: canceling statement due to statement timeout"),
    (StatementTimedOut, POSTGRES, "ERROR: canceling statement due to lock timeout"),
    (StatementTimedOut, POSTGRES, "FATAL: terminating connection due to idle-in-transaction timeout"),
    (StatementTimedOut, POSTGRES, "FATAL: terminating connection due to transaction timeout"),
    (AbortedByUser, GUIDE_WLM, "ERROR: Query (25) cancelled by WLM abort action of Query Monitoring Rule \"long\"."),
    (AbortedByUser, "tipoca-stream#144", "ERROR: Query (28572825) cancelled on user's request"),
    (AbortedByUser, "appsmith#4276", "ERROR: Query cancelled on user's request."),
    (AbortedByUser, POSTGRES, "ERROR: canceling statement due to user request"),
    (
        AbortedByUser,
        "the local Data API, inside a procedure",
        "ERROR: canceling statement due to user request\n  Where: PL/pgSQL function dev.p() line 3 at PERFORM",
    ),
    (AbortedByUser, POSTGRES, "FATAL: terminating connection due to administrator command"),
    (
        AbortedByUser,
        LIBPQ,
        "FATAL:  terminating connection due to administrator command\nserver closed the connection unexpectedly\n\t\
         This probably means the server terminated abnormally\n\tbefore or while processing the request.",
    ),
    (
        AbortedByUser,
        LIBPQ,
        "FATAL:  terminating connection due to administrator command\nSSL connection has been closed unexpectedly",
    ),
    (AbortedBySystem, OURS, "ERROR: Query (25) aborted by WLM: its queue was removed"),
    (AbortedBySystem, OURS, "ERROR: System requested abort of query"),
    (
        AbortedBySystem,
        "aws-lambda-redshift-loader#68",
        "ERROR: abort query\nDETAIL:\n  -----------------------------------------------\n  error:  abort query\n  \
         code:      1020\n  context:   system requested abort\n  query:     1903\n  location:  queryabort.cpp:347\n  \
         process:   padbmaster [pid=13787]\n  -----------------------------------------------",
    ),
    (AbortedBySystem, POSTGRES, "FATAL: the database system is shutting down"),
    (AbortedBySystem, POSTGRES, "FATAL: the database system is starting up"),
    (AbortedBySystem, POSTGRES, "FATAL: the database system is in recovery mode"),
    (
        AbortedBySystem,
        POSTGRES,
        "FATAL: the database system is not yet accepting connections\n  Detail: Consistent recovery state has not been \
         yet reached.",
    ),
    (
        ConnectionLost,
        LIBPQ,
        "WARNING: terminating connection because of crash of another server process\nserver closed the connection \
         unexpectedly",
    ),
    (
        ConnectionLost,
        POSTGRES,
        "WARNING: terminating connection because of crash of another server process\n  Detail: The postmaster has \
         commanded this server process to roll back the current transaction and exit, because another server process \
         exited abnormally and possibly corrupted shared memory.",
    ),
    (ConnectionLost, PGJDBC, "An I/O error occurred while sending to the backend."),
    (ConnectionLost, "dbeaver#14345", "An I/O error occured while sending to the backend."),
    (ConnectionLost, PGJDBC, "The connection attempt failed."),
    (ConnectionLost, PGJDBC, "This connection has been closed."),
    (
        ConnectionLost,
        PGJDBC,
        "Connection to wg.123456789012.eu-west-1.redshift-serverless.amazonaws.com:5439 refused. Check that the \
         hostname and port are correct and that the postmaster is accepting TCP/IP connections.",
    ),
    (
        ConnectionLost,
        "data-pipeline-samples#81",
        "Connection refused. Check that the hostname and port are correct and that the postmaster is accepting TCP/IP \
         connections.",
    ),
    (ConnectionLost, TOKIO, "connection closed"),
    (ConnectionLost, TOKIO, "error communicating with the server: Connection reset by peer (os error 104)"),
    (ConnectionLost, TOKIO, "error communicating with the server: unexpected end of file"),
    (ConnectionLost, TOKIO, "error connecting to server: Connection refused (os error 111)"),
    (ConnectionLost, LIBPQ, "server closed the connection unexpectedly"),
    (ConnectionLost, LIBPQ, "SSL SYSCALL error: EOF detected"),
    (ConnectionLost, LIBPQ, "could not receive data from server: Connection timed out"),
    (ExternalScanFailed, GUIDE_SPECTRUM, "ERROR: Spectrum Scan Error: Retries exceeded"),
    (ExternalScanFailed, GUIDE_SPECTRUM, "ERROR: Spectrum Scan Error: Access throttled"),
    (
        ExternalScanFailed,
        GUIDE_SPECTRUM,
        "ERROR: Spectrum Scan Error\n  Detail: \n  -----------------------------------------------\n  error:  Spectrum \
         Scan Error: Retries exceeded\n  code:      15001\n  context:   \n  query:     15067689\n  location:  \
         dory_util.cpp:1777\n  process:   worker_thread [pid=30296]\n  \
         -----------------------------------------------",
    ),
    (
        ExternalScanFailed,
        GUIDE_SPECTRUM,
        "ERROR: Spectrum Scan Error Detail: \n  -----------------------------------------------\n  error:  Spectrum Scan \
         Error\n  code:      15001\n  context:   HTTP response error code: 416 Message: InvalidRange The requested \
         range is not satisfiable\n  query:     15067689\n  location:  dory_util.cpp:1777\n  process:   worker_thread \
         [pid=30296]\n  -----------------------------------------------\n  [ErrorId: \
         1-68f7ff75-672e60d16356d0f719974665]",
    ),
    (
        ExternalScanFailed,
        GUIDE_SPECTRUM,
        "ERROR: Spectrum Scan Error Detail: error:  Spectrum Scan Error code: 15007 context: File \
         'https://s3.eu-west-1.amazonaws.com/bucket/location/file has an invalid version number. query: 15067689",
    ),
    (ExternalScanFailed, "arthur-redshift-etl#133", "ERROR: S3 Query Exception (Fetch)"),
    (
        ExternalScanFailed,
        "arthur-redshift-etl#134",
        "ERROR: S3 Query Exception (Fetch)\nDETAIL:  \n  -----------------------------------------------\n  error:  S3 \
         Query Exception (Fetch)\n  code:      15001\n  context:   boost::thread_resource_error: Resource temporarily \
         unavailable\n  query:     15067266\n  location:  dory_util.cpp:913\n  process:   query1_917_15067266 \
         [pid=39704]\n  -----------------------------------------------",
    ),
    (
        ExternalScanFailed,
        "arthur-redshift-etl#134",
        "ERROR: S3Query Exception Connection failed, retries exceeded.\nDETAIL:  \n  \
         -----------------------------------------------\n  error:  S3Query Exception Connection failed, retries \
         exceeded.\n  code:      15005\n  context:   \n  query:     15067689\n  location:  dory_util.cpp:844\n  \
         process:   query1_555_15067689 [pid=42951]\n  -----------------------------------------------",
    ),
    // Spectrum's that do not pass.
    (
        StatementFailed,
        "parsnips.net 2025-10-21",
        "ERROR: Spectrum Scan Error Detail: \n----------------------------------------------- \nerror: Spectrum Scan \
         Error code: \n  15007 context: File 'https://s3.us-east-1.amazonaws.com/bucket/file.parquet' has an \
         incompatible Parquet s query:\n  146667179 location: dory_util.cpp:1777 process: worker_thread [pid=30296]\n\
         ----------------------------------------------- \n[ErrorId: 1-68f7ff75-672e60d16356d0f719974665]",
    ),
    (
        StatementFailed,
        OURS,
        "ERROR: S3 Query Exception (Fetch)\n  Detail: \n  -----\n  error:  S3 Query Exception (Fetch)\n  code:      \
         15001\n  context:   S3ServiceException:Access Denied,Status 403,Error AccessDenied\n  query:     1",
    ),
    (
        StatementFailed,
        OURS,
        "ERROR: Spectrum Scan Error\n  Detail: \n  -----\n  error:  Spectrum Scan Error\n  code:      15001\n  context: \
           The specified bucket does not exist,Status 404,Error NoSuchBucket\n  query:     1",
    ),
    (DiskFull, OURS, "ERROR: Disk Full Detail: \n  error:  Disk Full\n  code:      1016"),
    (
        DiskFull,
        "spark-redshift#348",
        "ERROR: Disk Full\n  Detail: \n  -----------------------------------------------\n  error:  Disk Full\n  code:   \
           1016\n  context:   node: 0\n  query:     396648\n  location:  fdisk_api.cpp:398\n  process:   query0_1222 \
         [pid=51115]\n  -----------------------------------------------",
    ),
    (
        DiskFull,
        POSTGRES,
        "ERROR: could not extend file \"base/16384/16385\": No space left on device\n  Hint: Check free disk space.",
    ),
    (
        DiskFull,
        POSTGRES,
        "ERROR: could not extend file \"base/5/16385.1\" with FileFallocate(): No space left on device",
    ),
    (DiskFull, POSTGRES, "PANIC: could not write to file \"pg_wal/xlogtemp.42\": No space left on device"),
    (PermissionDenied, POSTGRES, "ERROR: permission denied for schema dev"),
    (PermissionDenied, POSTGRES, "ERROR: permission denied for relation t"),
    (PermissionDenied, POSTGRES, "ERROR: permission denied for table t"),
    (PermissionDenied, POSTGRES, "ERROR: permission denied for procedure enriched_orders_sp"),
    (PermissionDenied, POSTGRES, "ERROR: must be owner of table t"),
    (PermissionDenied, POSTGRES, "ERROR: must be owner of relation t"),
    (
        ObjectNotFound,
        POSTGRES,
        "ERROR: procedure dev.enriched_orders_sp() does not exist\n  Hint: No procedure matches the given name and \
         argument types. You might need to add explicit type casts.",
    ),
    (ObjectNotFound, POSTGRES, "ERROR: function dev.f(integer, character varying) does not exist"),
    (ObjectNotFound, POSTGRES, "ERROR: relation \"dev.orders_audit\" does not exist\n  Position: 15"),
    (ObjectNotFound, POSTGRES, "ERROR: schema \"nope\" does not exist"),
    (ObjectNotFound, POSTGRES, "FATAL: database \"nope\" does not exist"),
    (ObjectNotFound, POSTGRES, "ERROR: column \"größe\" does not exist"),
    (ObjectNotFound, POSTGRES, "ERROR: column o.nope does not exist"),
    (ObjectNotFound, POSTGRES, "ERROR: column \"nope\" of relation \"t\" does not exist"),
    (ObjectNotFound, "Redshift, of a column", "ERROR: column \"nope\" does not exist in t"),
    (ObjectNotFound, "the local stack's doctor", "ERROR: user \"IAMR:s-AuditRole-1\" does not exist"),
    (ConstraintViolation, "Redshift, NOT NULL", "ERROR: Cannot insert a NULL value into column run_id"),
    (
        ConstraintViolation,
        POSTGRES,
        "ERROR: null value in column \"id\" of relation \"t\" violates not-null constraint\n  Detail: Failing row \
         contains (null, 7).",
    ),
    (ConstraintViolation, POSTGRES, "ERROR: null value in column \"id\" violates not-null constraint"),
    (ConstraintViolation, POSTGRES, "ERROR: duplicate key value violates unique constraint \"t_pkey\""),
    (ConstraintViolation, POSTGRES, "ERROR: new row for relation \"t\" violates check constraint \"t_n_check\""),
    (
        ConstraintViolation,
        POSTGRES,
        "ERROR: insert or update on table \"t\" violates foreign key constraint \"t_fk\"\n  Detail: Key (a)=(1) is not \
         present in table \"u\".",
    ),
    (
        ConstraintViolation,
        POSTGRES,
        "ERROR: update or delete on table \"u\" violates foreign key constraint \"t_fk\" on table \"t\"",
    ),
    (StatementFailed, PGJDBC, "No value specified for parameter 1."),
    (StatementFailed, POSTGRES, "ERROR: division by zero"),
    (StatementFailed, "a failure without a reason", ""),
];

/// Texts that hold the engine's words without being its messages.
const FORGED: &[(FailureKind, &str)] = &[
    // A RAISE that contains, begins with or ends with them.
    (StatementFailed, "ERROR: connection refused by the host"),
    (StatementFailed, "ERROR: team blocked by wlm team"),
    (StatementFailed, "ERROR: cluster restart planned for tonight"),
    (StatementFailed, "ERROR: deadlock detected in our own queue"),
    (StatementFailed, "ERROR: order 7: deadlock detected"),
    (StatementFailed, "deadlock detected: deadlock detected"),
    (StatementFailed, "ERROR: ERROR: deadlock detected"),
    (StatementFailed, "NOTICE: deadlock detected"),
    (StatementFailed, "ERROR: 'connection closed'"),
    (StatementFailed, "ERROR: connection closed."),
    (StatementFailed, "ERROR: connection closed Detail: order 7 is lost"),
    (StatementFailed, "ERROR: deadlock detected Detail: order 7 waits for order 8"),
    (StatementFailed, "ERROR: deadlock detected\n  Detail: order 7 waits for order 8"),
    (StatementFailed, "ERROR: 1023 orders are missing"),
    (StatementFailed, "ERROR: 1023"),
    (StatementFailed, "ERROR: 1023 Detail: x"),
    (StatementFailed, "ERROR: 1023 Detail: order 7: Serializable isolation violation on table - 1"),
    (StatementFailed, "ERROR: 1023 Detail: Serializable isolation violation on table - 1 in our check"),
    (StatementFailed, "ERROR: load failed\n  Detail: Serializable isolation violation on table - 1"),
    (StatementFailed, "ERROR: could not open relation with OID of order 7"),
    (StatementFailed, "ERROR: Query (seven) aborted by WLM: its queue was removed"),
    (StatementFailed, "ERROR: Connection to the host refused. Check that the hostname and port are correct"),
    (StatementFailed, "error communicating with the server: the orders are late (os error 104)"),
    (StatementFailed, "ERROR: Spectrum Scan Error: Retries exceeded for order 7"),
    (
        StatementFailed,
        "ERROR: Spectrum Scan Error\n  Detail: error: Spectrum Scan Error code: 15007 context: File 'https://s3/Retries \
         exceeded' has an incompatible Parquet schema",
    ),
    // Values.
    (StatementFailed, "ERROR: invalid input syntax for type integer: \"deadlock detected\""),
    (StatementFailed, "ERROR: invalid input syntax: \"connection closed\""),
    (StatementFailed, "ERROR: Query (25) cancelled by WLM abort action of Query Monitoring Rule \"a\" or \"b\"."),
    (
        ConstraintViolation,
        "ERROR: null value in column \"id\" violates not-null constraint\n  Detail: Failing row contains (connection \
         closed).",
    ),
    (
        ConstraintViolation,
        "ERROR: null value in column \"id\" violates not-null constraint Detail: Failing row contains (connection closed)",
    ),
    (
        ConstraintViolation,
        "ERROR: duplicate key value violates unique constraint \"t_pkey\"\n  Detail: Key (name)=(deadlock detected) \
         already exists.",
    ),
    (ConstraintViolation, "ERROR: duplicate key value violates unique constraint \"deadlock detected\""),
    (ObjectNotFound, "ERROR: relation \"connection closed\" does not exist"),
    (StatementFailed, "Detail: Failing row contains (connection closed)"),
    (StatementFailed, "Key (name)=(deadlock detected) already exists."),
    // Lines that imitate the engine.
    (StatementFailed, "ERROR: load failed\nERROR: deadlock detected"),
    (StatementFailed, "ERROR: load failed\ndeadlock detected"),
    (StatementFailed, "ERROR: load failed\nserver closed the connection unexpectedly"),
    (StatementFailed, "ERROR: deadlock detected\nin our own queue"),
    (StatementFailed, "ERROR: connection closed\nERROR: order 7 is lost"),
    (StatementFailed, "ERROR:\ndeadlock detected"),
    // Raised, and so an ERROR: a client's words have no severity, and the end of a session is FATAL.
    (StatementFailed, "ERROR: connection closed"),
    (StatementFailed, "ERROR: The connection attempt failed."),
    (StatementFailed, "ERROR: This connection has been closed."),
    (StatementFailed, "ERROR: the database system is starting up"),
    (StatementFailed, "ERROR: deadlock detected Where: the queue of ours"),
    // Another case, other letters.
    (StatementFailed, "ERROR: Deadlock Detected"),
    (StatementFailed, "ERROR: DEADLOCK DETECTED"),
    (StatementFailed, "error: deadlock detected"),
    (StatementFailed, "ERROR: dеadlock detected"),
    (StatementFailed, "ERROR: deadlock\u{a0}detected"),
    (StatementFailed, "ERROR: deadlock detected\u{200b}"),
    (StatementFailed, "ERROR: could not open relation with OID ١٢٣"),
    (StatementFailed, "ERROR: "),
    (StatementFailed, "   \n"),
];

#[test]
fn real_texts_find_their_class() {
    for (kind, source, text) in REAL {
        assert_eq!(FailureKind::classify(Status::Failed, text), *kind, "{source}: {text}");
    }
    assert_eq!(FailureKind::classify(Status::Aborted, ""), StatementAborted);
    assert_eq!(FailureKind::classify(Status::Aborted, "ERROR: division by zero"), StatementAborted);
}

#[test]
fn forged_texts_are_never_retried() {
    for (kind, text) in FORGED {
        let found = FailureKind::classify(Status::Failed, text);
        assert_eq!(found, *kind, "{text}");
        assert!(!found.is_retryable(), "{text}");
        assert!(!FailureKind::classify(Status::Aborted, text).is_retryable(), "{text}");
    }
    let long = "deadlock detected ".repeat(100_000);
    assert_eq!(FailureKind::classify(Status::Failed, &format!("ERROR: {long}")), StatementFailed);
    let value = "(connection closed) ".repeat(100_000);
    let text = format!("ERROR: duplicate key value violates unique constraint \"t\"\n  Detail: Key (a)=({value})");
    assert_eq!(FailureKind::classify(Status::Failed, &text), ConstraintViolation);
}

#[test]
fn the_engines_text_inside_another_is_never_retried() {
    for (_, source, text) in REAL.iter().filter(|(kind, ..)| kind.is_retryable()) {
        // A text without its first line's end, and what follows it.
        let end =
            [" Detail:", " DETAIL:", " Where:", " CONTEXT:", "\n"].iter().filter_map(|label| text.find(label)).min();
        let (message, rest) = text.split_at(end.unwrap_or(text.len()));
        let bare = ["Query #2 failed with ", "ERROR:", "FATAL:", "WARNING:"]
            .iter()
            .fold(message, |message, before| message.strip_prefix(before).unwrap_or(message).trim_start());
        for spliced in [
            format!("ERROR: invalid input syntax for type integer: \"{text}\""),
            format!("ERROR: invalid input syntax for type integer: \"{bare}\""),
            format!("\"{text}\""),
            format!("ERROR: order 7: {text}"),
            format!("ERROR: order 7: {bare}{rest}"),
            format!("order 7: {text}"),
            format!("ERROR: {bare} for order 7{rest}"),
            format!("ERROR: {bare}, says order 7{rest}"),
            format!("ERROR: load failed\n{text}"),
            format!("ERROR: load failed\n  Detail: {text}"),
            format!("ERROR: load failed Detail: {bare}{rest}"),
            format!("ERROR: {bare}\nfor order 7"),
            format!("ERROR: {}", text.to_uppercase().replace("ERROR:", "").trim_start()),
        ] {
            let found = FailureKind::classify(Status::Failed, &spliced);
            assert!(!found.is_retryable(), "{found:?}, {source}: {spliced}");
        }
    }
}

#[test]
fn only_what_cures_itself_is_retried() {
    let retryable: Vec<_> = FailureKind::ALL.iter().filter(|k| k.is_retryable()).map(|k| k.name()).collect();
    let expected = ["SerializationConflict", "Deadlock", "ConnectionLost", "AbortedBySystem", "ExternalScanFailed"];
    assert_eq!(retryable, expected);
}
