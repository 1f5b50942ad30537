//! What can go wrong, and the names under which state machines and alarms know it.
//!
//! [`ErrorKind::name`] is the `errorType` that a Lambda failure carries, so it is what the `Retry` and `Catch` of a
//! state machine match on: a public contract. A test holds [`ErrorKind::ALL`] against the definition, both ways.

mod sdk;
#[cfg(test)]
mod tests;

use lambda_runtime::Diagnostic;
use strum::VariantArray;

use crate::advice::with_advice;

/// Step Functions cuts `Cause` at 32,768 characters; the text is also part of a JSON string, where
/// escapes can double it. [Step Functions API reference, `SendTaskFailure`]
pub const MAX_CAUSE_CHARS: usize = 8_000;

/// The result of every fallible helper here.
pub type Result<T> = std::result::Result<T, Error>;

/// One failure of a function: its kind, and a text that names the problem and the fix.
///
/// The text is made of our own words, and of what [`crate::shown`] lets through of a payload or an answer; it never holds
/// secrets, SQL arguments, rows or a raw answer. There is no `source` for the same reason: that of an SDK error ends in
/// the raw answer, and whoever logs a chain of sources would log it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    kind: ErrorKind,
    text: String,
}

/// The kinds of failure, by what the caller can do about one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The payload is not what the contract asks for. Never retried.
    InvalidInput,
    /// An environment variable of the function is missing or wrong. Never retried.
    InvalidConfiguration,
    /// The Data API has too many active statements, or throttles for longer than the SDK's own
    /// retries last. The same request may be retried: it carries the same token.
    Throttled,
    /// Another statement of the same procedure is active, and the call asked to be the only one.
    AlreadyRunning,
    /// No statement has this Id: it never existed, belongs to another role, or is older than the 24
    /// hours that the Data API keeps.
    StatementNotFound,
    /// IAM refused the call. Never retried.
    AccessDenied,
    /// AWS refused the content of the request; a retry would be refused again.
    RequestRefused,
    /// The service did not answer, or answered 5xx, for longer than the SDK's own retries last. The
    /// same request may be retried: it carries the same token.
    ServiceUnavailable,
    /// The Data API reported a status that this version does not know. Never taken for success.
    UnknownStatus,
    /// The query on the audit table failed; the text is the engine's own.
    AuditQueryFailed,
    /// The SNS topic does not exist (or is not in this account and region). Never retried.
    TopicNotFound,
    /// Some notifications could not be sent; the text names their run_ids. The function may be run
    /// again.
    NotificationsIncomplete,
    /// A statement of an execution that has ended still runs, although its cancellation was requested.
    StillRunning,
    /// A fault of ours: the caller can do nothing but report it. Never retried.
    Internal,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The stable name: the `errorType` of the Lambda failure.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether Step Functions retries the task with the same token: it passes by itself.
    pub fn is_retried(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::AlreadyRunning | Self::ServiceUnavailable | Self::NotificationsIncomplete
        )
    }
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// A payload that is not what the contract asks for.
    pub fn invalid_input(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, text)
    }

    /// An environment variable that is missing or wrong.
    pub fn invalid_configuration(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidConfiguration, text)
    }

    /// A fault of ours; `what` completes "the function failed: ".
    pub fn internal(what: &'static str) -> Self {
        let text = format!("the function failed: {what}; this is a fault of the loader, please report it");
        Self::new(ErrorKind::Internal, text)
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable name of the kind.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The same error; its text begins with what it is about, unless it names that already.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        self.map_text(|text| if text.contains(what) { text.to_owned() } else { format!("{what}: {text}") })
    }

    /// The same failure with another text.
    #[must_use]
    pub fn map_text(self, map: impl FnOnce(&str) -> String) -> Self {
        Self { text: map(&self.text), ..self }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let advice = with_advice("", error.name());
        let text = cut(&error.to_string(), MAX_CAUSE_CHARS.saturating_sub(advice.chars().count()));
        Self { error_type: error.name().to_owned(), error_message: text + &advice }
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
