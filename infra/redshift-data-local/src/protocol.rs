//! What travels: requests, and the service's own error types. Limits are those of the API model.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::statement::is_id;

/// The error types of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureType {
    ValidationException,
    ResourceNotFoundException,
    ActiveStatementsExceededException,
    ActiveSessionsExceededException,
    ActiveWaitingRequestsExceededException,
    ExecuteStatementException,
    BatchExecuteStatementException,
    DatabaseConnectionException,
    QueryTimeoutException,
    InternalServerException,
    ThrottlingException,
    UnknownOperationException,
    SerializationException,
}

impl FailureType {
    /// The HTTP status that the service answers with. [Amazon Redshift Data API reference. The model has 404 for
    /// ResourceNotFoundException, the reference and the wire have 400: ballerina-platform/module-ballerinax-aws.redshiftdata, live tests]
    pub fn http_status(self) -> u16 {
        match self {
            Self::InternalServerException
            | Self::DatabaseConnectionException
            | Self::ExecuteStatementException
            | Self::BatchExecuteStatementException => 500,
            _ => 400,
        }
    }

    /// The field that names the statement, if the type has one. [API model]
    fn id_field(self) -> Option<&'static str> {
        match self {
            Self::ResourceNotFoundException => Some("ResourceId"),
            Self::ExecuteStatementException | Self::BatchExecuteStatementException => Some("StatementId"),
            _ => None,
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its type.
    pub kind: FailureType,
    /// Its text.
    pub message: String,
    /// The statement that it is about.
    id: String,
}

impl Failure {
    /// A refusal of some type.
    pub fn new(kind: FailureType, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), id: String::new() }
    }

    /// The commonest refusal.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(FailureType::ValidationException, message)
    }

    /// The refusal for a statement, or a result, that is not there.
    pub fn not_found(id: &str, message: &str) -> Self {
        Self::new(FailureType::ResourceNotFoundException, message).of(id)
    }

    /// The same, about a statement.
    #[must_use]
    pub fn of(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    /// As it travels.
    pub fn body(&self) -> Value {
        let mut body = json!({"__type": self.kind, "Message": self.message});
        if let Some(field) = self.kind.id_field() {
            body[field] = json!(self.id);
        }
        body
    }
}

/// The answer of an operation.
pub type Reply<T = Value> = Result<T, Failure>;

/// ExecuteStatement and BatchExecuteStatement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Execute {
    pub(crate) sql: Option<String>,
    pub(crate) sqls: Option<Vec<String>>,
    pub(crate) workgroup_name: Option<String>,
    pub(crate) cluster_identifier: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) secret_arn: Option<String>,
    pub(crate) db_user: Option<String>,
    pub(crate) statement_name: Option<String>,
    pub(crate) client_token: Option<String>,
    pub(crate) parameters: Option<Vec<Parameter>>,
    pub(crate) wait_time_seconds: Option<u64>,
    pub(crate) result_format: Option<String>,
    pub(crate) execution_mode: Option<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) session_keep_alive_seconds: Option<u64>,
    pub(crate) with_event: Option<bool>,
}

/// A named parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// DescribeStatement, GetStatementResult, GetStatementResultV2 and CancelStatement.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ById {
    pub(crate) id: Option<String>,
    pub(crate) next_token: Option<String>,
    pub(crate) wait_time_seconds: Option<u64>,
}

/// ListStatements.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct List {
    pub(crate) next_token: Option<String>,
    pub(crate) max_results: Option<usize>,
    pub(crate) statement_name: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) role_level: Option<bool>,
    pub(crate) database: Option<String>,
    pub(crate) cluster_identifier: Option<String>,
    pub(crate) workgroup_name: Option<String>,
}

const MAX_SQL_BYTES: usize = 100_000;
const MAX_SQLS: usize = 40;
const MAX_NAME_CHARS: usize = 2048;
const MAX_TOKEN_CHARS: usize = 64;
const MAX_KEEP_ALIVE_SECONDS: u64 = 86_400;
const WAIT_SECONDS: std::ops::RangeInclusive<u64> = 1..=30;

impl Execute {
    /// Whether each statement of a batch is committed by itself.
    pub(crate) fn commits_each(&self) -> bool {
        self.execution_mode.as_deref() == Some("AUTO_COMMIT")
    }

    /// Whether its results are in CSV.
    pub(crate) fn is_csv(&self) -> bool {
        self.result_format.as_deref() == Some("CSV")
    }

    /// Refuses what the service would refuse before it accepts a statement.
    pub(crate) fn check(&self) -> Reply<()> {
        let refuse = |text: &str| Err(Failure::validation(text));
        for sql in self.sql.iter().chain(self.sqls.iter().flatten()) {
            if sql.trim().is_empty() {
                return refuse("SQL must not be empty.");
            }
            if sql.len() > MAX_SQL_BYTES {
                return refuse("SQL is longer than 100 KB.");
            }
        }
        if self.sqls.as_ref().is_some_and(|s| s.is_empty() || s.len() > MAX_SQLS) {
            return refuse("Sqls must hold 1 to 40 statements.");
        }
        self.check_where()?;
        if self.execution_mode.as_deref().is_some_and(|mode| !["TRANSACTION", "AUTO_COMMIT"].contains(&mode)) {
            return refuse("ExecutionMode must be TRANSACTION or AUTO_COMMIT.");
        }
        if self.statement_name.as_ref().is_some_and(|n| n.chars().count() > MAX_NAME_CHARS) {
            return refuse("StatementName must have length less than or equal to 2048.");
        }
        if self.client_token.as_ref().is_some_and(|t| t.is_empty() || t.chars().count() > MAX_TOKEN_CHARS) {
            return refuse("ClientToken must have length between 1 and 64.");
        }
        if let Some(parameters) = &self.parameters {
            let named =
                |p: &Parameter| !p.name.is_empty() && p.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if parameters.is_empty() {
                return refuse("Parameters must hold at least one parameter.");
            }
            if !parameters.iter().all(named) {
                return refuse("A parameter's name must match [0-9a-zA-Z_]+.");
            }
            if parameters.iter().any(|p| p.value.is_empty()) {
                return refuse("A parameter's value must have length greater than or equal to 1.");
            }
        }
        if self.session_keep_alive_seconds.is_some_and(|seconds| seconds > MAX_KEEP_ALIVE_SECONDS) {
            return refuse("SessionKeepAliveSeconds must be between 0 and 86400.");
        }
        if self.result_format.as_deref().is_some_and(|format| !["JSON", "CSV"].contains(&format)) {
            return refuse("ResultFormat must be JSON or CSV.");
        }
        check_wait(self.wait_time_seconds)
    }

    /// Refuses what names no place to run, or names it twice.
    fn check_where(&self) -> Reply<()> {
        let target = [&self.workgroup_name, &self.cluster_identifier, &self.database, &self.secret_arn, &self.db_user];
        match &self.session_id {
            Some(id) if !is_id(id) => Err(Failure::validation(
                "sessionId must satisfy regex pattern: [a-z0-9]{8}(-[a-z0-9]{4}){3}-[a-z0-9]{12}(:\\d{0,2})?",
            )),
            // That it is refused is known, the text is not. [awslabs/mcp, redshift-mcp-server]
            Some(_) if target.iter().any(|named| named.is_some()) => Err(Failure::validation(
                "SessionId cannot be provided together with ClusterIdentifier, WorkgroupName, Database, DbUser or SecretArn.",
            )),
            Some(_) => Ok(()),
            None if self.database.as_deref().unwrap_or_default().is_empty() => {
                Err(Failure::validation("Database name must not be empty."))
            }
            None => check_target(
                self.workgroup_name.as_deref(),
                self.cluster_identifier.as_deref(),
                self.secret_arn.as_deref(),
                self.db_user.as_deref(),
            ),
        }
    }
}

/// Refuses what does not name one warehouse and one way to it.
pub(crate) fn check_target(
    workgroup: Option<&str>,
    cluster: Option<&str>,
    secret: Option<&str>,
    db_user: Option<&str>,
) -> Reply<()> {
    let refuse = |text: &str| Err(Failure::validation(text));
    match (workgroup, cluster, secret, db_user) {
        (None, None, _, _) => refuse("Either ClusterIdentifier or WorkgroupName must be provided."),
        (Some(_), Some(_), _, _) => refuse("ClusterIdentifier and WorkgroupName cannot be provided together."),
        (Some(_), None, _, Some(_)) => refuse("DbUser cannot be used with WorkgroupName."),
        (None, Some(_), Some(_), Some(_)) => refuse("SecretArn and DbUser cannot be provided together."),
        _ => Ok(()),
    }
}

/// The most that ListStatements and ListSessions show at once. [API model]
const MAX_LISTED: usize = 100;

/// Which page of a list: after which of its entries, and how many at most.
pub(crate) struct Page<'a> {
    pub(crate) next_token: Option<&'a str>,
    pub(crate) max_results: Option<usize>,
}

impl Page<'_> {
    /// The answer of a list: its entries under `name`, and the token of the next page if there is one. `all` are the caller's own, the
    /// newest first.
    ///
    /// # Errors
    /// ValidationException for more than is shown at once, and for a token that is none of the caller's.
    pub(crate) fn of<'t, T: 't>(
        &self,
        name: &str,
        mut all: impl Iterator<Item = &'t T>,
        is_wanted: impl Fn(&T) -> bool,
        id: impl Fn(&T) -> &str,
        show: impl Fn(&T) -> Value,
    ) -> Reply {
        let limit = self.max_results.filter(|n| *n > 0).unwrap_or(MAX_LISTED);
        if limit > MAX_LISTED {
            return Err(Failure::validation("MaxResults must have value less than or equal to 100."));
        }
        if let Some(last) = self.next_token
            && !all.any(|entry| id(entry) == last)
        {
            return Err(Failure::validation("NextToken is not valid."));
        }
        let mut found: Vec<_> = all.filter(|entry| is_wanted(entry)).take(limit + 1).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let mut answer = json!({ name: found.iter().map(|entry| show(entry)).collect::<Vec<_>>() });
        if let Some(last) = found.last().filter(|_| more) {
            answer["NextToken"] = json!(id(last));
        }
        Ok(answer)
    }
}

pub(crate) fn check_wait(seconds: Option<u64>) -> Reply<()> {
    match seconds {
        Some(seconds) if !WAIT_SECONDS.contains(&seconds) => {
            Err(Failure::validation("WaitTimeSeconds must be between 1 and 30."))
        }
        _ => Ok(()),
    }
}

/// A time as AWS JSON has it: seconds since 1970 with three decimals.
pub(crate) fn epoch(time: OffsetDateTime) -> Value {
    let millis = time.unix_timestamp_nanos() / 1_000_000;
    json!(millis as f64 / 1000.0)
}
