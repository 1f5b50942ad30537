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

/// Step Functions cuts `Cause` at 32,768 characters; the text is also part of a JSON string, where
/// escapes can double it. [Step Functions API reference, `SendTaskFailure`]
pub const MAX_CAUSE_CHARS: usize = 8_000;

/// The result of every fallible helper here.
pub type Result<T> = std::result::Result<T, Error>;

/// One failure of a function, by what the caller can do about it.
///
/// The text says what was wrong and what to do; it never holds secrets or SQL arguments.
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
    /// A fault of the functions themselves. Never retried.
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

    /// Sorts a failed SDK call into what the caller can do about it.
    ///
    /// `doing` completes "failed to ..." and must not hold secrets or SQL arguments. The SDK has by
    /// then used up its own retries, so what is left of throttling and of 5xx is the state machine's.
    pub fn from_sdk<E>(doing: &str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = error.raw_response().map(|r| r.status().as_u16());
        let code = error.code().map(str::to_owned);
        let text = match (&code, error.message()) {
            (Some(code), Some(message)) => format!("failed to {doing}: {code}: {message}"),
            _ => format!("failed to {doing}: {}", DisplayErrorContext(&error)),
        };
        let text = cut(&text, MAX_CAUSE_CHARS);
        match error {
            SdkError::ConstructionFailure(_) => return Self::InvalidConfiguration(text),
            SdkError::ServiceError(_) => {}
            _ => return Self::ServiceUnavailable(text),
        }
        match code.as_deref().unwrap_or_default() {
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

    #[test]
    fn short_texts_are_not_cut() {
        assert_eq!(cut("abc", 3), "abc");
    }
}
