//! Describes a statement, and requests its cancellation.

use std::time::{Duration, SystemTime};

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::operation::describe_statement::{DescribeStatementError, DescribeStatementOutput};
use aws_sdk_redshiftdata::types::StatusString;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::StatementId;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::FailureKind;
use crate::redact;
use crate::status::Status;

/// What DescribeStatement says of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its Id.
    pub id: StatementId,
    /// Where it stands.
    pub status: Status,
    /// When the service accepted it, if it says so.
    pub created_at: Option<SystemTime>,
    /// How long it ran; zero until it has ended.
    pub duration: Duration,
    /// The engine's text, if it failed or was aborted, with a placeholder for each of the statement's own
    /// arguments.
    pub error: Option<String>,
    /// The class of the failure, if it failed or was aborted: of the engine's text as it is.
    pub failure: Option<FailureKind>,
    /// Rows returned or affected; nothing if the service reports -1.
    pub result_rows: Option<i64>,
    /// The engine's own number of the query, to be found in its system views.
    pub redshift_query_id: Option<i64>,
}

/// Describes a statement, waiting up to `wait` for its end.
///
/// If the service has too many waiters already, retries without waiting.
///
/// # Errors
/// `StatementNotFound` for an Id that never existed, has expired (24 hours) or belongs to another role;
/// `UnknownStatus`; otherwise as for every call.
pub async fn describe(client: &Client, id: &StatementId, wait: Option<Duration>) -> Result<Description> {
    let ask = |wait| client.describe_statement().id(id.as_str()).set_wait_time_seconds(wait).send();
    let answer = match ask(seconds(wait)).await {
        Err(e)
            if e.as_service_error()
                .is_some_and(DescribeStatementError::is_active_waiting_requests_exceeded_exception) =>
        {
            ask(None).await
        }
        answer => answer,
    };
    let answer = answer.map_err(|e| not_found(id, Error::from_sdk(&format!("describe statement {id}"), e)))?;
    Description::try_from(answer)
}

/// Requests the cancellation of a statement; whether the service took the request on. The statement
/// has ended only once [`describe`] says so.
///
/// `false` means there was nothing to cancel yet or any more: look again.
///
/// # Errors
/// `StatementNotFound`, otherwise as for every call.
pub async fn cancel(client: &Client, id: &StatementId) -> Result<bool> {
    match client.cancel_statement().id(id.as_str()).send().await {
        Ok(answer) => Ok(answer.status().unwrap_or(false)),
        // To a statement that is not running the service answers by a ValidationException, and by a
        // QueryTimeoutException where the cancel itself takes too long. [API model]
        Err(e) if matches!(e.code(), Some("ValidationException" | "QueryTimeoutException")) => Ok(false),
        Err(e) => Err(not_found(id, Error::from_sdk(&format!("cancel statement {id}"), e))),
    }
}

impl TryFrom<DescribeStatementOutput> for Description {
    type Error = Error;

    fn try_from(answer: DescribeStatementOutput) -> Result<Self> {
        let status = Status::parse(answer.status().map_or("", StatusString::as_str))?;
        let arguments = redact::arguments(answer.query_string().unwrap_or_default(), answer.query_parameters());
        let text = answer.error().filter(|e| !e.is_empty());
        let failed = matches!(status, Status::Failed | Status::Aborted);
        Ok(Self {
            id: StatementId::of_answer(answer.id())?,
            status,
            created_at: answer.created_at().and_then(|at| SystemTime::try_from(*at).ok()),
            duration: Duration::from_nanos(answer.duration().try_into().unwrap_or(0)),
            error: text.map(|text| redact::without_data(&redact::redact(text, &arguments))),
            // Before an argument is taken out: it may be a word of the phrase that the class is known by.
            failure: failed.then(|| FailureKind::classify(status, text.unwrap_or_default())),
            result_rows: Some(answer.result_rows()).filter(|rows| *rows >= 0),
            redshift_query_id: Some(answer.redshift_query_id()).filter(|id| *id > 0),
        })
    }
}

fn not_found(id: &StatementId, error: Error) -> Error {
    if error.kind() != ErrorKind::StatementNotFound {
        return error;
    }
    error.map_text(|text| {
        format!("statement {id} is not known: wrong Id, older than 24 hours, or submitted by another IAM role ({text})")
    })
}

/// WaitTimeSeconds of a wait; absent for less than a second.
pub(super) fn seconds(wait: Option<Duration>) -> Option<i32> {
    wait.and_then(|w| i32::try_from(w.as_secs()).ok()).filter(|s| *s > 0)
}
