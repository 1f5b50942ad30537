//! A statement of the Data API: submit, describe, cancel, find.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::error::SdkError;
use aws_sdk_redshiftdata::operation::describe_statement::{DescribeStatementError, DescribeStatementOutput};
use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementError;
use aws_sdk_redshiftdata::operation::execute_statement::builders::ExecuteStatementFluentBuilder;
use aws_sdk_redshiftdata::types::{SqlParameter, StatusString};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::attempt::LogicalAttempt;
use crate::call::{ProcedureCall, QualifiedName};
use crate::error::{Error, Result};
use crate::failure::FailureKind;
use crate::rows::Query;
use crate::target::Target;
use crate::{redact, shown};

/// The Id that the Data API gave a statement: a UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatementId(String);

impl StatementId {
    /// Checks the form, so that a typing error is told from an expired statement.
    ///
    /// # Errors
    /// `InvalidInput` where `text` is not a UUID (with `:n` behind it for a part of a batch).
    pub fn parse(text: &str) -> Result<Self> {
        let (uuid, part) = text.split_once(':').unwrap_or((text, "0"));
        let groups: Vec<_> = uuid.split('-').map(str::len).collect();
        let hex = uuid.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
        if groups != [8, 4, 4, 4, 12] || !hex || part.is_empty() || !part.chars().all(|c| c.is_ascii_digit()) {
            return Err(Error::InvalidInput(
                "Id is not a statement Id: it has to be the Id that proc-runner or ExecuteStatement returned".into(),
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The Id in an answer of the service.
    ///
    /// # Errors
    /// `ServiceUnavailable` where it is none: not the caller's fault, and the next answer may be better.
    pub(crate) fn of_answer(text: &str) -> Result<Self> {
        let wrong = |_| Error::ServiceUnavailable("the answer of AWS could not be read: it has no statement Id".into());
        Self::parse(text).map_err(wrong)
    }

    /// The Id as the Data API takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StatementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a statement stands. The service's enum is open; what is not one of these six is the error
/// `UnknownStatus`, never a success and never a reason to wait on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Accepted, not yet looked at.
    Submitted,
    /// Chosen to run.
    Picked,
    /// Running.
    Started,
    /// Ended well.
    Finished,
    /// Ended by an error.
    Failed,
    /// Ended by a cancel or by the system.
    Aborted,
}

impl Status {
    /// Reads the service's word.
    ///
    /// # Errors
    /// `UnknownStatus` for every word but the six.
    pub fn parse(word: &str) -> Result<Self> {
        Ok(match word {
            "SUBMITTED" => Self::Submitted,
            "PICKED" => Self::Picked,
            "STARTED" => Self::Started,
            "FINISHED" => Self::Finished,
            "FAILED" => Self::Failed,
            "ABORTED" => Self::Aborted,
            other => {
                return Err(Error::UnknownStatus(format!(
                    "the Data API reports {}, which this version does not know; look at the statement with aws \
                     redshift-data describe-statement, and update the loader",
                    shown::status_word(other).map_or("a status".to_owned(), |word| format!("the status {word}"))
                )));
            }
        })
    }

    /// The service's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Picked => "PICKED",
            Self::Started => "STARTED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }

    /// Whether it will never change again.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Aborted)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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

/// What DescribeStatement says of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its Id.
    pub id: StatementId,
    /// Where it stands.
    pub status: Status,
    /// When the service accepted it, where it says so.
    pub created_at: Option<SystemTime>,
    /// How long it ran; zero until it has ended.
    pub duration: Duration,
    /// The engine's text, where it failed or was aborted, with a placeholder for each of the statement's own
    /// arguments.
    pub error: Option<String>,
    /// The class of the failure, where it failed or was aborted: of the engine's text as it is.
    pub failure: Option<FailureKind>,
    /// Rows returned or affected; nothing where the service says -1.
    pub result_rows: Option<i64>,
    /// The engine's own number of the query, to be found in its system views.
    pub redshift_query_id: Option<i64>,
}

/// Submits `call` for a logical attempt and waits up to `wait` for its end.
///
/// The request depends on the arguments alone, byte for byte: repeating it within 8 hours finds the
/// statement of the first time, by its ClientToken. [API model]
///
/// # Errors
/// `Throttled` and `ServiceUnavailable` may be repeated; everything else would be refused again.
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
pub(crate) async fn submit_query(
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

/// Describes a statement, waiting up to `wait` for its end.
///
/// Where the service has too many waiters already, it is asked again without waiting.
///
/// # Errors
/// `StatementNotFound` for an Id that never existed, has expired (24 hours) or belongs to another role;
/// `UnknownStatus`; else as for every call.
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
/// `StatementNotFound`, else as for every call.
pub async fn cancel(client: &Client, id: &StatementId) -> Result<bool> {
    match client.cancel_statement().id(id.as_str()).send().await {
        Ok(answer) => Ok(answer.status().unwrap_or(false)),
        // To a statement that is not running the service answers by a ValidationException, and by a
        // QueryTimeoutException where the cancel itself takes too long. [API model]
        Err(e) if matches!(e.code(), Some("ValidationException" | "QueryTimeoutException")) => Ok(false),
        Err(e) => Err(not_found(id, Error::from_sdk(&format!("cancel statement {id}"), e))),
    }
}

/// A statement as ListStatements shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its Id.
    pub id: StatementId,
    /// Its name.
    pub name: String,
    /// Where it stands; nothing where the service's word is unknown, which counts as not ended: what still
    /// runs has to be found whatever it is called.
    pub status: Option<Status>,
    /// Its SQL text.
    pub sql: String,
}

impl Listed {
    /// Whether it may still run.
    pub fn is_active(&self) -> bool {
        !self.status.is_some_and(Status::has_ended)
    }
}

/// Every statement of this role whose name begins with `prefix`, of all statuses, from all pages.
///
/// ListStatements shows only FINISHED ones unless told otherwise, and only the caller's own role's.
/// [API model]
pub async fn find_by_name_prefix(client: &Client, target: &Target, prefix: &str) -> Result<Vec<Listed>> {
    list(client, target, prefix, StatusString::All).await
}

/// Every active statement of this role whose name begins with `prefix`, which may be empty.
///
/// Asks for one active status after the other: a list of all statuses over a day of statements can time out. In the
/// order in which a statement goes through them, so that one which moves on meanwhile is seen later. A status that
/// this version does not know is not seen.
pub async fn find_active(client: &Client, target: &Target, prefix: &str) -> Result<Vec<Listed>> {
    let mut found: Vec<Listed> = Vec::new();
    for status in [StatusString::Submitted, StatusString::Picked, StatusString::Started] {
        let listed = list(client, target, prefix, status).await?;
        found.extend(listed.into_iter().filter(Listed::is_active));
    }
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

async fn list(client: &Client, target: &Target, prefix: &str, status: StatusString) -> Result<Vec<Listed>> {
    let mut pages = client
        .list_statements()
        .set_statement_name((!prefix.is_empty()).then(|| prefix.to_owned()))
        .status(status)
        .database(target.database())
        .set_workgroup_name(target.workgroup().map(str::to_owned))
        .set_cluster_identifier(target.cluster().map(str::to_owned))
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| Error::from_sdk("list statements", e))?;
        for statement in page.statements() {
            let name = statement.statement_name().unwrap_or_default();
            if !name.starts_with(prefix) {
                continue;
            }
            found.push(Listed {
                id: StatementId::of_answer(statement.id())?,
                name: name.to_owned(),
                status: statement.status().and_then(|s| Status::parse(s.as_str()).ok()),
                sql: statement.query_string().unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(found)
}

/// Refuses to go on while *another* statement of the same procedure is active; this attempt's own one,
/// known by its name, is not another.
///
/// Looking and submitting are two steps, so two that look at once both go on: this saves the warehouse
/// work, and the procedure's own table lock is the guarantee.
///
/// # Errors
/// `AlreadyRunning` naming the other statement.
pub async fn check_alone(
    client: &Client,
    target: &Target,
    call: &ProcedureCall,
    attempt: &LogicalAttempt,
) -> Result<()> {
    let own = attempt.statement_name();
    let is_other = |s: &Listed| {
        let same = QualifiedName::called_by(&s.sql).is_some_and(|name| name.same_as(call.procedure()));
        same && s.name != own
    };
    match find_active(client, target, "").await?.into_iter().find(is_other) {
        None => Ok(()),
        Some(other) => {
            Err(Error::AlreadyRunning(format!("{call} is running already as statement {} ({})", other.id, other.name)))
        }
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
    match error {
        Error::StatementNotFound(text) => Error::StatementNotFound(format!(
            "statement {id} is not known: wrong Id, older than 24 hours, or submitted by another IAM role ({text})"
        )),
        other => other,
    }
}

fn seconds(wait: Option<Duration>) -> Option<i32> {
    wait.and_then(|w| i32::try_from(w.as_secs()).ok()).filter(|s| *s > 0)
}

fn system_time(time: &DateTime) -> SystemTime {
    SystemTime::try_from(*time).unwrap_or_else(|_| SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::TargetFields;
    use aws_sdk_redshiftdata::operation::cancel_statement::CancelStatementOutput;
    use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementOutput;
    use aws_sdk_redshiftdata::operation::list_statements::ListStatementsOutput;
    use aws_sdk_redshiftdata::types::{StatementData, StatementStatusString};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    const ID: &str = "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b";

    fn id() -> StatementId {
        StatementId::parse(ID).expect("valid")
    }

    fn target() -> Target {
        let fields = TargetFields {
            workgroup_name: Some("w".into()),
            database: Some("d".into()),
            secret_arn: Some("s".into()),
            ..Default::default()
        };
        Target::try_from(fields).expect("valid")
    }

    fn refusal(
        code: &'static str,
        http: u16,
    ) -> impl Fn() -> aws_smithy_runtime_api::client::orchestrator::HttpResponse {
        move || {
            aws_smithy_runtime_api::client::orchestrator::HttpResponse::new(
                http.try_into().expect("status"),
                format!(r#"{{"__type":"{code}","message":"no"}}"#).into(),
            )
        }
    }

    #[test]
    fn all_six_statuses_and_nothing_else() {
        for word in ["SUBMITTED", "PICKED", "STARTED", "FINISHED", "FAILED", "ABORTED"] {
            assert_eq!(Status::parse(word).expect(word).as_str(), word);
        }
        for word in ["", "ALL", "finished", "PAUSED"] {
            assert_eq!(Status::parse(word).expect_err(word).name(), "UnknownStatus");
        }
    }

    #[test]
    fn an_id_is_a_uuid() {
        assert!(StatementId::parse(ID).is_ok());
        assert!(StatementId::parse(&format!("{ID}:2")).is_ok());
        for bad in ["", "42", "5b2d1a56-8d5c-4a8c-9d4e", &format!("{ID}:"), &format!("{ID} "), &format!("{ID}:x")] {
            assert_eq!(StatementId::parse(bad).expect_err(bad).name(), "InvalidInput");
        }
    }

    #[tokio::test]
    async fn submit_sends_token_name_target_and_wait() {
        let rule = mock!(Client::execute_statement)
            .match_requests(|r| {
                r.sql() == Some("CALL dev.p(:a);")
                    && r.parameters().len() == 1
                    && r.client_token().is_some_and(|t| t.len() == 64)
                    && r.statement_name() == Some("direct/x/0/1")
                    && r.workgroup_name() == Some("w")
                    && r.database() == Some("d")
                    && r.secret_arn() == Some("s")
                    && r.db_user().is_none()
                    && r.cluster_identifier().is_none()
                    && r.wait_time_seconds() == Some(30)
            })
            .then_output(|| ExecuteStatementOutput::builder().id(ID).status(StatementStatusString::Finished).build());
        let client = mock_client!(aws_sdk_redshiftdata, [&rule]);
        let argument = serde_json::from_str(r#"{"Name": "a", "Value": 1}"#).expect("argument");
        let call = ProcedureCall::new("dev.p", vec![argument]).expect("valid");
        let attempt = LogicalAttempt::new("x", 0, 1).expect("valid");
        let answer =
            submit(&client, &target(), &call, &attempt, Some(crate::polling::MAX_LONG_POLL)).await.expect("submitted");
        assert_eq!((answer.id, answer.status), (id(), Status::Finished));
    }

    #[tokio::test]
    async fn refusals_get_their_names() {
        for (code, http, name) in [
            ("ActiveStatementsExceededException", 400, "Throttled"),
            ("ThrottlingException", 400, "Throttled"),
            ("ValidationException", 400, "RequestRefused"),
            ("AccessDeniedException", 400, "AccessDenied"),
            ("InternalServerException", 500, "ServiceUnavailable"),
        ] {
            let rule =
                mock!(Client::execute_statement).sequence().http_response(refusal(code, http)).repeatedly().build();
            let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, [&rule]);
            let call = ProcedureCall::new("dev.p", vec![]).expect("valid");
            let attempt = LogicalAttempt::new("x", 0, 1).expect("valid");
            let error = submit(&client, &target(), &call, &attempt, None).await.expect_err(code);
            assert_eq!(error.name(), name, "{error}");
        }
    }

    #[tokio::test]
    async fn a_wrong_workgroup_is_named_with_its_region() {
        for code in ["ValidationException", "ResourceNotFoundException"] {
            let rule = mock!(Client::execute_statement).then_http_response(refusal(code, 400));
            let client = mock_client!(aws_sdk_redshiftdata, [&rule]);
            let call = ProcedureCall::new("dev.p", vec![]).expect("valid");
            let attempt = LogicalAttempt::new("x", 0, 1).expect("valid");
            let error = submit(&client, &target(), &call, &attempt, None).await.expect_err(code);
            let region = client.config().region().expect("a region").to_string();
            assert_eq!(error.name(), "RequestRefused");
            assert!(error.to_string().contains(&format!("to workgroup w in region {region}: ")), "{error}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_may_be_repeated() {
        let no_id = mock!(Client::execute_statement).then_output(|| ExecuteStatementOutput::builder().id("42").build());
        let broken = mock!(Client::execute_statement)
            .then_http_response(|| HttpResponse::new(200.try_into().expect("status"), r#"{"Id": ["#.into()));
        for rule in [no_id, broken] {
            let client = mock_client!(aws_sdk_redshiftdata, [&rule]);
            let call = ProcedureCall::new("dev.p", vec![]).expect("valid");
            let attempt = LogicalAttempt::new("x", 0, 1).expect("valid");
            let error = submit(&client, &target(), &call, &attempt, None).await.expect_err("broken");
            assert_eq!(error.name(), "ServiceUnavailable", "{error}");
        }
    }

    #[tokio::test]
    async fn a_description_shows_no_argument_and_keeps_the_class() {
        let rule = mock!(Client::describe_statement).then_output(|| {
            let parameter = SqlParameter::builder().name("a").value("deadlock").build().expect("complete");
            DescribeStatementOutput::builder()
                .id(ID)
                .status(StatusString::Failed)
                .query_string("CALL dev.p(:a, 'hunter2');")
                .query_parameters(parameter)
                .error("ERROR: deadlock detected\n  Where: SQL statement of hunter2")
                .build()
                .expect("complete")
        });
        let answer = describe(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id(), None).await.expect("described");
        assert_eq!(
            answer.error.as_deref(),
            Some("ERROR: <argument 1> detected\n  Where: SQL statement of <argument 2>")
        );
        assert_eq!(answer.failure, Some(FailureKind::Deadlock), "known from the engine's own text");
    }

    fn described(status: StatusString) -> Rule {
        mock!(Client::describe_statement).then_output(move || {
            DescribeStatementOutput::builder()
                .id(ID)
                .status(status.clone())
                .duration(1_500_000_000)
                .result_rows(-1)
                .redshift_query_id(-1)
                .build()
                .expect("complete")
        })
    }

    #[tokio::test]
    async fn a_description_translates_the_units_and_the_minus_ones() {
        let rule = described(StatusString::Finished);
        let answer = describe(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id(), None).await.expect("described");
        assert_eq!(answer.duration, Duration::from_millis(1500));
        assert_eq!((answer.result_rows, answer.redshift_query_id), (None, None));
    }

    #[tokio::test]
    async fn an_unknown_status_is_an_error() {
        let rule = described(StatusString::from("HIBERNATING"));
        let error = describe(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id(), None).await.expect_err("unknown");
        assert_eq!(error.name(), "UnknownStatus");
        assert!(error.to_string().contains("HIBERNATING"));
    }

    #[tokio::test]
    async fn an_expired_statement_is_not_found() {
        let rule = mock!(Client::describe_statement).then_http_response(refusal("ResourceNotFoundException", 404));
        let error = describe(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id(), None).await.expect_err("expired");
        assert_eq!(error.name(), "StatementNotFound");
        assert!(error.to_string().contains("24 hours"));
    }

    #[tokio::test]
    async fn too_many_waiters_means_asking_without_waiting() {
        let busy = mock!(Client::describe_statement)
            .match_requests(|r| r.wait_time_seconds() == Some(30))
            .then_http_response(refusal("ActiveWaitingRequestsExceededException", 400));
        let plain = described(StatusString::Started);
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, [&busy, &plain]);
        let answer = describe(&client, &id(), Some(crate::polling::MAX_LONG_POLL)).await.expect("described");
        assert_eq!(answer.status, Status::Started);
    }

    #[tokio::test]
    async fn a_cancel_that_is_refused_is_not_an_error() {
        let rule = mock!(Client::cancel_statement).then_http_response(refusal("ValidationException", 400));
        assert!(!cancel(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id()).await.expect("answered"));
        let rule =
            mock!(Client::cancel_statement).then_output(|| CancelStatementOutput::builder().status(true).build());
        assert!(cancel(&mock_client!(aws_sdk_redshiftdata, [&rule]), &id()).await.expect("answered"));
    }

    #[tokio::test]
    async fn every_page_is_read_and_the_prefix_held() {
        let page = |name: &'static str, next: Option<&'static str>| {
            move || {
                let statement =
                    StatementData::builder().id(ID).statement_name(name).status(StatusString::Started).build();
                ListStatementsOutput::builder()
                    .statements(statement.expect("complete"))
                    .set_next_token(next.map(str::to_owned))
                    .build()
                    .expect("complete")
            }
        };
        let first = mock!(Client::list_statements)
            .match_requests(|r| {
                r.next_token().is_none() && r.status() == Some(&StatusString::All) && r.workgroup_name() == Some("w")
            })
            .then_output(page("m/e/0/1", Some("2")));
        let second = mock!(Client::list_statements)
            .match_requests(|r| r.next_token() == Some("2"))
            .then_output(page("m/e2/0/1", None));
        let client = mock_client!(aws_sdk_redshiftdata, RuleMode::Sequential, [&first, &second]);
        let found = find_by_name_prefix(&client, &target(), "m/e/").await.expect("listed");
        assert_eq!(found.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["m/e/0/1"]);
        assert_eq!(second.num_calls(), 1);
    }

    #[tokio::test]
    async fn alone_means_no_other_active_statement_of_the_procedure() {
        let call = ProcedureCall::new("dev.p", vec![]).expect("valid");
        let own = LogicalAttempt::new("x", 0, 1).expect("valid");
        for (name, sql, status, alone) in [
            ("m/e/0/1", "CALL dev.p();", StatusString::Started, false),
            ("m/e/0/1", "call DEV.P(CAST(:a AS DATE))", StatusString::Submitted, false),
            ("m/e/0/1", "CALL dev.p();", StatusString::Finished, true),
            ("m/e/0/1", "CALL dev.q();", StatusString::Started, true),
            ("direct/x/0/1", "CALL dev.p();", StatusString::Started, true),
        ] {
            // The service filters by the one status that it is asked for.
            let rule = mock!(Client::list_statements)
                .match_requests(|r| r.status().is_some_and(|status| *status != StatusString::All))
                .then_compute_output(move |r| {
                    let statement = StatementData::builder().id(ID).statement_name(name).query_string(sql);
                    let statement = statement.status(status.clone()).build().expect("complete");
                    let listed = (r.status() == Some(&status)).then_some(statement);
                    let listed = listed.into_iter().collect();
                    ListStatementsOutput::builder().set_statements(Some(listed)).build().expect("complete")
                });
            let client = mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, [&rule]);
            let answer = check_alone(&client, &target(), &call, &own).await;
            assert_eq!(answer.is_ok(), alone, "{name} {sql}");
            assert_eq!(rule.num_calls(), 3, "one active status after the other");
            assert!(answer.is_ok() || answer.is_err_and(|e| e.name() == "AlreadyRunning"));
        }
    }
}
