//! Submits a statement.

use std::time::{Duration, SystemTime};

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::error::SdkError;
use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementError;
use aws_sdk_redshiftdata::operation::execute_statement::builders::ExecuteStatementFluentBuilder;
use aws_sdk_redshiftdata::types::SqlParameter;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::StatementId;
use super::describe::seconds;
use crate::attempt::LogicalAttempt;
use crate::call::ProcedureCall;
use crate::error::{Error, Result};
use crate::shown;
use crate::status::Status;
use crate::target::Target;

/// What the service says of a statement that was just submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// Its Id.
    pub id: StatementId,
    /// Where it stands after the long poll.
    pub status: Status,
    /// When the service accepted it.
    pub created_at: SystemTime,
}

/// SQL of ours that is idempotent, so it needs no token.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The text.
    pub sql: &'a str,
    /// Named parameters.
    pub parameters: &'a [(&'a str, &'a str)],
    /// The statement's name.
    pub name: &'a str,
}

/// Submits `call` for a logical attempt and waits up to `wait` for its end.
///
/// The request depends on the arguments alone, byte for byte: repeating it within 8 hours finds the
/// statement of the first time, by its ClientToken. [API model]
///
/// # Errors
/// `Throttled` and `ServiceUnavailable` may be retried; everything else would be refused again.
pub async fn submit(
    client: &Client,
    target: &Target,
    call: &ProcedureCall,
    attempt: &LogicalAttempt,
    wait: Option<Duration>,
) -> Result<Submitted> {
    let request = target
        .apply(client.execute_statement())
        .sql(call.sql())
        .set_parameters(call.parameters())
        .client_token(attempt.client_token().as_str())
        .statement_name(attempt.statement_name())
        .set_wait_time_seconds(seconds(wait));
    send(client, target, request, &format!("submit {call}")).await
}

/// Submits a query, and waits up to `wait` for its end.
pub async fn submit_query(
    client: &Client,
    target: &Target,
    query: Query<'_>,
    wait: Option<Duration>,
) -> Result<Submitted> {
    let bind = |(name, value): &(&str, &str)| SqlParameter::builder().name(*name).value(*value).build().ok();
    let parameters: Vec<_> = query.parameters.iter().filter_map(bind).collect();
    let request = target.apply(client.execute_statement()).sql(query.sql).statement_name(query.name);
    let request = request.set_parameters((!parameters.is_empty()).then_some(parameters));
    let doing = format!("submit {}", shown::id(query.name).unwrap_or("a query"));
    send(client, target, request.set_wait_time_seconds(seconds(wait)), &doing).await
}

async fn send(
    client: &Client,
    target: &Target,
    request: ExecuteStatementFluentBuilder,
    doing: &str,
) -> Result<Submitted> {
    let region = client.config().region().map(AsRef::as_ref);
    let refused = |error: SdkError<ExecuteStatementError, HttpResponse>| {
        // The request names no statement: the warehouse is what is not found.
        let located = matches!(error.code(), Some("ValidationException" | "ResourceNotFoundException"));
        let error = Error::from_sdk(doing, error);
        if located { target.located(&error, region) } else { error }
    };
    let answer = request.send().await.map_err(refused)?;
    Ok(Submitted {
        id: StatementId::of_answer(answer.id().unwrap_or_default())?,
        // Only a service that knows WaitTimeSeconds reports a status here.
        status: answer.status().map_or(Ok(Status::Submitted), |s| Status::parse(s.as_str()))?,
        created_at: answer.created_at().map_or_else(SystemTime::now, system_time),
    })
}

fn system_time(time: &DateTime) -> SystemTime {
    SystemTime::try_from(*time).unwrap_or_else(|_| SystemTime::now())
}
