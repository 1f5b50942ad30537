//! What can go wrong, and the names under which state machines and alarms know it.
//!
//! [`Error::name`] is the `errorType` that a Lambda failure carries, so it is what the `Retry` and
//! `Catch` of a state machine match on: a public contract. [`Error::NAMES`] lists them all; a test
//! holds that list against the state machine's definition, both ways.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use lambda_runtime::Diagnostic;

use crate::shown;

/// Step Functions cuts `Cause` at 32,768 characters; the text is also part of a JSON string, where
/// escapes can double it. [Step Functions API reference, `SendTaskFailure`]
pub const MAX_CAUSE_CHARS: usize = 8_000;

/// The result of every fallible helper here.
pub type Result<T> = std::result::Result<T, Error>;

/// One failure of a function, by what the caller can do about it.
///
/// The text says what was wrong and what to do. It is made of our own words, and of what [`crate::shown`] lets
/// through of a payload or an answer; it never holds secrets, SQL arguments, rows or a raw answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The payload is not what the contract asks for. Never retried.
    #[error("{0}")]
    InvalidInput(String),
    /// An environment variable of the function is missing or wrong. Never retried.
    #[error("{0}")]
    InvalidConfiguration(String),
    /// The Data API has too many active statements, or throttles for longer than the SDK's own
    /// retries last. The same request may be repeated: it carries the same token.
    #[error("{0}")]
    Throttled(String),
    /// Another statement of the same procedure is active, and the call asked to be the only one.
    #[error("{0}")]
    AlreadyRunning(String),
    /// No statement has this Id: it never existed, belongs to another role, or is older than the 24
    /// hours that the Data API keeps.
    #[error("{0}")]
    StatementNotFound(String),
    /// IAM refused the call. Never retried.
    #[error("{0}")]
    AccessDenied(String),
    /// AWS refused the request for what it says; repeating it would be refused again.
    #[error("{0}")]
    RequestRefused(String),
    /// The service did not answer, or answered 5xx, for longer than the SDK's own retries last. The
    /// same request may be repeated: it carries the same token.
    #[error("{0}")]
    ServiceUnavailable(String),
    /// The Data API reported a status that this version does not know. Never taken for success.
    #[error("{0}")]
    UnknownStatus(String),
    /// The query on the audit table failed; the text is the engine's own.
    #[error("{0}")]
    AuditQueryFailed(String),
    /// The SNS topic does not exist (or is not in this account and region). Never retried.
    #[error("{0}")]
    TopicNotFound(String),
    /// Some notifications could not be sent; the text names their run_ids. The function may be run
    /// again.
    #[error("{0}")]
    NotificationsIncomplete(String),
    /// A statement of an execution that has ended still runs, although its cancellation was requested.
    #[error("{0}")]
    StillRunning(String),
    /// A fault of ours: the caller can do nothing but report it. Never retried.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Every name that a function of this project can fail with.
    pub const NAMES: &[&str] = &[
        "InvalidInput",
        "InvalidConfiguration",
        "Throttled",
        "AlreadyRunning",
        "StatementNotFound",
        "AccessDenied",
        "RequestRefused",
        "ServiceUnavailable",
        "UnknownStatus",
        "AuditQueryFailed",
        "TopicNotFound",
        "NotificationsIncomplete",
        "StillRunning",
        "Internal",
    ];

    /// The names that Step Functions repeats with the same token: what passes by itself.
    pub const RETRIED: &[&str] = &["Throttled", "AlreadyRunning", "ServiceUnavailable", "NotificationsIncomplete"];

    /// The stable name: the `errorType` of the Lambda failure.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidInput(_) => "InvalidInput",
            Self::InvalidConfiguration(_) => "InvalidConfiguration",
            Self::Throttled(_) => "Throttled",
            Self::AlreadyRunning(_) => "AlreadyRunning",
            Self::StatementNotFound(_) => "StatementNotFound",
            Self::AccessDenied(_) => "AccessDenied",
            Self::RequestRefused(_) => "RequestRefused",
            Self::ServiceUnavailable(_) => "ServiceUnavailable",
            Self::UnknownStatus(_) => "UnknownStatus",
            Self::AuditQueryFailed(_) => "AuditQueryFailed",
            Self::TopicNotFound(_) => "TopicNotFound",
            Self::NotificationsIncomplete(_) => "NotificationsIncomplete",
            Self::StillRunning(_) => "StillRunning",
            Self::Internal(_) => "Internal",
        }
    }

    /// The same error; its text begins with what it is about, where it does not say so anyway.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        self.map_text(|text| if text.contains(what) { text.to_owned() } else { format!("{what}: {text}") })
    }

    /// The same failure, with more to say.
    #[must_use]
    pub fn map_text(mut self, say: impl FnOnce(&str) -> String) -> Self {
        let (Self::InvalidInput(text)
        | Self::InvalidConfiguration(text)
        | Self::Throttled(text)
        | Self::AlreadyRunning(text)
        | Self::StatementNotFound(text)
        | Self::AccessDenied(text)
        | Self::RequestRefused(text)
        | Self::ServiceUnavailable(text)
        | Self::UnknownStatus(text)
        | Self::AuditQueryFailed(text)
        | Self::TopicNotFound(text)
        | Self::NotificationsIncomplete(text)
        | Self::StillRunning(text)
        | Self::Internal(text)) = &mut self;
        *text = say(text);
        self
    }

    /// A fault of ours; `what` completes "the function failed: ".
    pub fn internal(what: &'static str) -> Self {
        Self::Internal(format!("the function failed: {what}; this is a fault of the loader, please report it"))
    }

    /// Sorts a failed SDK call into what the caller can do about it.
    ///
    /// `doing` completes "failed to ..." and must not hold secrets or SQL arguments. The SDK has by
    /// then used up its own retries, so what is left of throttling and of 5xx is the state machine's.
    ///
    /// The text shows the code of the service's error, and in our own words what is known of its message: a message
    /// may quote SQL or parameters, and an answer that could not be read may hold rows. The whole text is in
    /// CloudTrail, under the request id that is shown.
    pub fn from_sdk<E>(doing: &str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = error.raw_response().map(|r| r.status().as_u16());
        let request = error.raw_response().and_then(|r| r.headers().get("x-amzn-requestid"));
        let request = request.and_then(shown::request_id).map(|id| format!(" (request {id})")).unwrap_or_default();
        let failed = |why: &str| format!("failed to {doing}: {why}{request}");
        let code = error.code().and_then(shown::error_code);
        let hint = |phrases| {
            // Looked at, never shown.
            let text = DisplayErrorContext(&error).to_string().to_lowercase();
            find(phrases, &text).map(|words| format!(": {words}")).unwrap_or_default()
        };
        match &error {
            SdkError::ConstructionFailure(_) => {
                return Self::InvalidConfiguration(failed(
                    "the request could not be made; AWS_REGION, the credentials or an endpoint may be missing",
                ));
            }
            SdkError::TimeoutError(_) => return Self::ServiceUnavailable(failed("AWS did not answer in time")),
            SdkError::DispatchFailure(_) => {
                let why = format!("AWS could not be reached{}", hint(CONNECTION_PHRASES));
                return Self::ServiceUnavailable(failed(&why));
            }
            SdkError::ServiceError(_) => {}
            _ => return Self::ServiceUnavailable(failed(&unreadable(status))),
        }
        let Some(code) = code else {
            let text = failed(&unreadable(status));
            return if status == Some(429) { Self::Throttled(text) } else { Self::ServiceUnavailable(text) };
        };
        let message = error.message().unwrap_or_default().to_lowercase();
        let denied = ACTIONS.iter().find(|action| message.contains(&action.to_lowercase()));
        let why = match (denied, find(MESSAGE_PHRASES, &message)) {
            (Some(action), _) => format!("{code}: the role may not do {action}"),
            (None, Some(words)) => format!("{code}: {words}"),
            (None, None) => format!("{code}; CloudTrail has the whole text"),
        };
        let text = failed(&why);
        match code {
            "ActiveStatementsExceededException"
            | "ActiveSessionsExceededException"
            | "ActiveWaitingRequestsExceededException"
            | "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "KMSThrottling"
            | "KMSThrottlingException"
            | "Throttled"
            | "SlowDown" => Self::Throttled(text),
            "AccessDeniedException"
            | "AccessDenied"
            | "AuthorizationError"
            | "AuthorizationErrorException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "ExpiredToken" => Self::AccessDenied(text),
            "ResourceNotFoundException" => Self::StatementNotFound(text),
            "NotFound" | "NotFoundException" => Self::TopicNotFound(text),
            _ if status.is_some_and(|s| s >= 500) => Self::ServiceUnavailable(text),
            _ => Self::RequestRefused(text),
        }
    }
}

fn unreadable(status: Option<u16>) -> String {
    let status = status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    format!("the answer of AWS could not be read{status}")
}

/// The words of the first entry that has one of its phrases in `text`, which is in lower case.
fn find(entries: &[(&[&str], &'static str)], text: &str) -> Option<&'static str> {
    entries.iter().find(|(phrases, _)| phrases.iter().any(|phrase| text.contains(phrase))).map(|(_, words)| *words)
}

/// What a refusal may be about, as IAM names it.
const ACTIONS: &[&str] = &[
    // The longer names first: they begin like others.
    "redshift:GetClusterCredentialsWithIAM",
    "redshift:GetClusterCredentials",
    "redshift-serverless:GetCredentials",
    "redshift-serverless:GetWorkgroup",
    "redshift:DescribeClusters",
    "redshift-data:ExecuteStatement",
    "redshift-data:DescribeStatement",
    "redshift-data:CancelStatement",
    "redshift-data:ListStatements",
    "redshift-data:GetStatementResult",
    "secretsmanager:GetSecretValue",
    "sns:Publish",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "states:ListExecutions",
    "states:DescribeExecution",
    "glue:GetWorkflowRuns",
    "glue:GetWorkflowRun",
    "glue:GetWorkflow",
    "glue:GetJobRun",
];

/// What messages of AWS say, in our words. A phrase in a value that a message quotes can only choose among these.
const MESSAGE_PHRASES: &[(&[&str], &str)] = &[
    (
        &["security token", "credentials have expired", "token expired"],
        "the credentials are not valid, or have expired",
    ),
    (
        &[
            "endpoint doesn't exist",
            "endpoint does not exist",
            "cluster doesn't exist",
            "cluster does not exist",
            "cluster not found",
            "workgroup doesn't exist",
            "workgroup does not exist",
            "workgroup not found",
        ],
        "there is no such workgroup or cluster",
    ),
    (&["unused parameter", "parameter list", "parameters list"], "the parameters do not fit the SQL"),
    (&["secret"], "the secret cannot be used"),
    (&["rate exceeded", "throttl"], "too many requests"),
    (&["wait time", "waittimeseconds"], "WaitTimeSeconds is not taken"),
    (&["query does not exist", "statement does not exist"], "there is no such statement"),
    (&["client token", "clienttoken"], "the ClientToken was used for another request"),
    (&["statement name", "statementname"], "the statement's name is not taken"),
];

/// What a connection fails for, in our words.
const CONNECTION_PHRASES: &[(&[&str], &str)] = &[
    (&["certificate", "unknownissuer"], "the server's certificate is not trusted"),
    (&["credentials"], "there are no valid credentials"),
    (&["dns error", "lookup address", "name or service not known"], "the endpoint's host name does not resolve"),
    (&["connection refused"], "the connection was refused"),
    (&["timed out", "timeout"], "the connection timed out"),
    (&["connection reset", "connection closed", "broken pipe", "incompletemessage"], "the connection was lost"),
];

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.name().to_owned(), error_message: cut(&error.to_string(), MAX_CAUSE_CHARS) }
    }
}

/// At most `max` characters of `text`, with the cut made visible.
pub fn cut(text: &str, max: usize) -> String {
    const MARK: &str = " [cut]";
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(MARK.len())).collect();
    short.push_str(MARK);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementError;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::error::metadata::ErrorMetadata;

    #[test]
    fn the_retried_names_are_names() {
        for name in Error::RETRIED {
            assert!(Error::NAMES.contains(name), "{name}");
        }
    }

    #[test]
    fn a_diagnostic_carries_the_stable_name_and_a_cut_text() {
        let diagnostic = Diagnostic::from(Error::AlreadyRunning("é".repeat(10_000)));
        assert_eq!(diagnostic.error_type, "AlreadyRunning");
        assert_eq!(diagnostic.error_message.chars().count(), MAX_CAUSE_CHARS);
        assert!(diagnostic.error_message.ends_with(" [cut]"));
    }

    #[test]
    fn an_error_says_once_what_it_is_about() {
        let error = Error::ServiceUnavailable("failed to submit dev.p: no answer".into());
        assert_eq!(error.about("dev.p").to_string(), "failed to submit dev.p: no answer");
        let error = Error::UnknownStatus("HIBERNATING".into()).about("dev.p");
        assert_eq!((error.name(), error.to_string().as_str()), ("UnknownStatus", "dev.p: HIBERNATING"));
    }

    fn answered(status: u16, body: &str) -> SdkError<DescribeStatementError, HttpResponse> {
        let code = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
        let text = |field: &str| code[field].as_str().map(str::to_owned);
        let meta = ErrorMetadata::builder();
        let meta = text("code").into_iter().fold(meta, |meta, code| meta.code(code));
        let meta = text("message").into_iter().fold(meta, |meta, message| meta.message(message));
        let mut raw = HttpResponse::new(status.try_into().expect("a status"), body.to_owned().into());
        raw.headers_mut().insert("x-amzn-requestid", "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b");
        SdkError::service_error(DescribeStatementError::generic(meta.build()), raw)
    }

    #[test]
    fn a_message_of_aws_is_shown_in_our_words() {
        let id = " (request 5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b)";
        for (status, body, name, said) in [
            (
                400,
                r#"{"code": "ValidationException", "message": "syntax error near 'hunter2'"}"#,
                "RequestRefused",
                "ValidationException; CloudTrail has the whole text",
            ),
            (
                400,
                r#"{"code": "ValidationException", "message": "Redshift endpoint doesn't exist in this region."}"#,
                "RequestRefused",
                "ValidationException: there is no such workgroup or cluster",
            ),
            (
                400,
                r#"{"code": "AccessDeniedException", "message": "User: arn:aws:sts::1:assumed-role/r/hunter2 is not authorized to perform: redshift:GetClusterCredentialsWithIAM on resource: hunter2"}"#,
                "AccessDenied",
                "AccessDeniedException: the role may not do redshift:GetClusterCredentialsWithIAM",
            ),
            (
                400,
                r#"{"code": "ThrottlingException", "message": "Rate exceeded"}"#,
                "Throttled",
                "ThrottlingException: too many requests",
            ),
            (500, r#"{"code": "SomethingNew"}"#, "ServiceUnavailable", "SomethingNew; CloudTrail has the whole text"),
            (
                400,
                r#"{"code": "hunter2: x", "message": "hunter2"}"#,
                "ServiceUnavailable",
                "the answer of AWS could not be read (HTTP 400)",
            ),
            (403, "<html>hunter2</html>", "ServiceUnavailable", "the answer of AWS could not be read (HTTP 403)"),
            (404, r#"{"message": "hunter2"}"#, "ServiceUnavailable", "the answer of AWS could not be read (HTTP 404)"),
            (429, "hunter2", "Throttled", "the answer of AWS could not be read (HTTP 429)"),
            (502, "hunter2", "ServiceUnavailable", "the answer of AWS could not be read (HTTP 502)"),
        ] {
            let error = Error::from_sdk("describe", answered(status, body));
            assert_eq!((error.name(), error.to_string()), (name, format!("failed to describe: {said}{id}")), "{body}");
        }
    }

    #[test]
    fn what_is_no_answer_has_a_text_for_its_kind() {
        type Failed = SdkError<DescribeStatementError, HttpResponse>;
        let hunter2 = |text: &str| std::io::Error::other(format!("hunter2 {text}"));
        let raw = HttpResponse::new(200.try_into().expect("a status"), "{\"QueryString\": \"hunter2\"".into());
        for (error, name, said) in [
            (Failed::construction_failure(hunter2("")), "InvalidConfiguration", "AWS_REGION"),
            (Failed::timeout_error(hunter2("")), "ServiceUnavailable", "did not answer in time"),
            (
                Failed::dispatch_failure(ConnectorError::io(hunter2("invalid peer certificate: UnknownIssuer").into())),
                "ServiceUnavailable",
                "could not be reached: the server's certificate is not trusted",
            ),
            (
                Failed::dispatch_failure(ConnectorError::io(hunter2("").into())),
                "ServiceUnavailable",
                "AWS could not be reached",
            ),
            (Failed::response_error(hunter2(""), raw), "ServiceUnavailable", "could not be read (HTTP 200)"),
        ] {
            let error = Error::from_sdk("describe", error);
            let text = format!("{error} {error:?}");
            assert_eq!(error.name(), name, "{text}");
            assert!(text.contains(said) && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn short_texts_are_not_cut() {
        assert_eq!(cut("abc", 3), "abc");
    }
}
