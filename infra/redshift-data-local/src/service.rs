//! The operations of the Data API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::caller::Caller;
use crate::catalog::{Catalog, Kind, look};
use crate::config::Config;
use crate::dialect::bind;
use crate::faults::{FaultKind, Faults, Run};
use crate::kept::{Session, Sessions};
use crate::protocol::{ById, Execute, Failure, FailureType, List, Page, Parameter, Reply, check_wait};
use crate::session;
use crate::statement::{Statement, is_id};
use crate::status::Status;

/// How long descriptions and results are kept. [Amazon Redshift Management Guide]
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a ClientToken finds its statement. [API model]
const TOKEN_KEPT: Duration = Duration::from_secs(8 * 3600);
/// The quota of active statements. [Amazon Redshift Management Guide]
const MAX_ACTIVE: usize = 500;

/// The service: its statements, in the order of their coming.
pub struct Service {
    config: Arc<Config>,
    statements: Mutex<Vec<Arc<Statement>>>,
    by_token: Mutex<HashMap<(String, String), Arc<Statement>>>,
    sessions: Sessions,
    faults: Faults,
}

/// All of the newest API model.
pub(crate) const OPERATIONS: [&str; 12] = [
    "ExecuteStatement",
    "BatchExecuteStatement",
    "DescribeStatement",
    "GetStatementResult",
    "GetStatementResultV2",
    "CancelStatement",
    "ListDatabases",
    "ListSchemas",
    "ListTables",
    "DescribeTable",
    "ListSessions",
    "ListStatements",
];

impl Service {
    /// A service without statements.
    pub fn new(config: Config) -> Self {
        Self {
            config: Arc::new(config),
            statements: Mutex::default(),
            by_token: Mutex::default(),
            sessions: Sessions::default(),
            faults: Faults::default(),
        }
    }

    /// Answers `RedshiftData.<Operation>`.
    ///
    /// # Errors
    /// The service's own refusals.
    pub async fn call(&self, operation: &str, request: Value, caller: &Caller) -> Reply {
        let name = operation.strip_prefix("RedshiftData.").unwrap_or_default();
        if let Some(kind) = self.faults.take(name, None, FaultKind::refusal) {
            return Err(Failure::new(kind, "refused on purpose").of(request["Id"].as_str().unwrap_or_default()));
        }
        match name {
            "ExecuteStatement" => self.execute(read(request)?, caller, false).await,
            "BatchExecuteStatement" => self.execute(read(request)?, caller, true).await,
            "DescribeStatement" => self.describe(&read(request)?, caller).await,
            "GetStatementResult" | "GetStatementResultV2" => self.result(name, &read(request)?, caller).await,
            "CancelStatement" => self.cancel(&read(request)?, caller).await,
            "ListDatabases" => self.catalog(Kind::Databases, read(request)?).await,
            "ListSchemas" => self.catalog(Kind::Schemas, read(request)?).await,
            "ListTables" => self.catalog(Kind::Tables, read(request)?).await,
            "DescribeTable" => self.catalog(Kind::Columns, read(request)?).await,
            "ListSessions" => self.sessions.list(&read(request)?, caller),
            "ListStatements" => self.list(&read(request)?, caller),
            _ => Err(Failure::new(
                FailureType::UnknownOperationException,
                format!("{operation:?} is not an operation of the local Data API"),
            )),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The faults that are set.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Opens a session of PostgreSQL, and closes it.
    pub(crate) async fn reach_postgres(&self) -> Result<(), tokio_postgres::Error> {
        self.config.postgres.connect(tokio_postgres::NoTls).await.map(drop)
    }

    /// Cancels whatever runs, and waits a moment for it to end.
    pub async fn cancel_all(&self) {
        let active: Vec<_> = self.statements().iter().filter(|s| !s.status().has_ended()).cloned().collect();
        for statement in &active {
            statement.request_cancel();
        }
        for statement in &active {
            ended(statement, Duration::from_secs(2)).await;
        }
        self.sessions.close();
    }

    async fn execute(&self, request: Execute, caller: &Caller, batch: bool) -> Reply {
        let operation = if batch { "BatchExecuteStatement" } else { "ExecuteStatement" };
        request.check()?;
        if request.sql.is_some() == batch || request.sqls.is_some() != batch {
            let field = if batch { "Sqls" } else { "Sql" };
            return Err(Failure::validation(format!("{field} must be provided.")));
        }
        if request.with_event == Some(true) && self.config.events.is_none() {
            return Err(Failure::validation(
                "The local Data API does not know where to send events: leave out WithEvent, or start it with --events.",
            ));
        }
        let session = request.session_id.as_deref().map(|id| self.sessions.find(id, caller)).transpose()?;
        let request = match &session {
            Some(session) => session.complete(request),
            None => request,
        };
        self.check_endpoint(request.workgroup_name.as_ref().or(request.cluster_identifier.as_ref()))?;
        if let Some(sql) = &request.sql {
            bind(sql, request.parameters.as_deref().unwrap_or_default())?;
        }
        if let (Some(sqls), Some(parameters)) = (&request.sqls, &request.parameters) {
            check_used(sqls, parameters)?;
        }
        let seconds = request.wait_time_seconds;
        let statement = self.accept(request, session, caller)?;
        self.wait(&statement, operation, seconds).await;
        Ok(statement.accepted(seconds.is_some()))
    }

    fn check_endpoint(&self, endpoint: Option<&String>) -> Reply<()> {
        if !self.config.endpoints.is_empty() && !endpoint.is_some_and(|e| self.config.endpoints.contains(e)) {
            return Err(Failure::validation("Redshift endpoint doesn't exist in this region."));
        }
        Ok(())
    }

    async fn catalog(&self, kind: Kind, request: Catalog) -> Reply {
        let database = request.check()?;
        self.check_endpoint(request.workgroup_name.as_ref().or(request.cluster_identifier.as_ref()))?;
        look(&self.config, kind, database, &request).await
    }

    /// Finds the statement of a repeated request, or starts a new one.
    fn accept(&self, request: Execute, session: Option<Arc<Session>>, caller: &Caller) -> Reply<Arc<Statement>> {
        let mut tokens = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, statement| age(statement) < TOKEN_KEPT);
        if let Some(known) =
            request.client_token.as_ref().and_then(|token| tokens.get(&(caller.owner().to_owned(), token.clone())))
        {
            // How long a caller waits is no part of what is asked.
            let asked = Execute { wait_time_seconds: known.request.wait_time_seconds, ..request };
            if asked == known.request {
                return Ok(known.clone());
            }
            return Err(Failure::validation("ClientToken was already used for a different request."));
        }
        let mut statements = self.statements();
        statements.retain(|s| age(s) < KEPT || !s.status().has_ended());
        if statements.iter().filter(|s| !s.status().has_ended()).count() >= MAX_ACTIVE {
            return Err(Failure::new(
                FailureType::ActiveStatementsExceededException,
                "The number of active statements exceeds the limit (500).",
            ));
        }
        let keep_alive = request.session_keep_alive_seconds;
        let session = match (session, keep_alive) {
            (Some(session), _) => session.occupy(keep_alive).map(|()| Some(session))?,
            (None, None | Some(0)) => None,
            (None, Some(seconds)) => Some(self.sessions.make(&request, caller, seconds)?),
        };
        let operation = if request.sqls.is_some() { "BatchExecuteStatement" } else { "ExecuteStatement" };
        let run = Run::take(&self.faults, operation, request.statement_name.as_deref());
        let statement = Arc::new(Statement::new(request, caller.clone(), session, run));
        statement.session.as_ref().inspect(|session| session.serve(&statement.id));
        statements.push(statement.clone());
        if let Some(token) = statement.request.client_token.clone() {
            tokens.insert((caller.owner().to_owned(), token), statement.clone());
        }
        let (config, running) = (self.config.clone(), statement.clone());
        tokio::spawn(async move {
            session::run(&config, &running).await;
            if let Some(events) = config.events.as_ref().filter(|_| running.request.with_event == Some(true)) {
                events.send(&running).await;
            }
        });
        Ok(statement)
    }

    async fn describe(&self, request: &ById, caller: &Caller) -> Reply {
        check_wait(request.wait_time_seconds)?;
        let (statement, part) = self.find(request, caller)?;
        self.wait(&statement, "DescribeStatement", request.wait_time_seconds).await;
        let mut described = statement.describe();
        let named = statement.request.statement_name.as_deref();
        let unknown = |k: &FaultKind| if let FaultKind::UnknownStatus(s) = k { Some(s.clone()) } else { None };
        if self.faults.take("DescribeStatement", named, |k| (*k == FaultKind::Expire).then_some(())).is_some() {
            return Err(Failure::not_found(&statement.id, "Query does not exist."));
        }
        if let Some(status) = self.faults.take("DescribeStatement", named, unknown) {
            described["Status"] = json!(status);
        }
        match part {
            None => Ok(described),
            Some(n) => {
                let mut part = described["SubStatements"][n - 1].clone();
                part["Database"] = described["Database"].clone();
                Ok(part)
            }
        }
    }

    /// GetStatementResult, or with V2 at its end, the same for CSV.
    async fn result(&self, operation: &str, request: &ById, caller: &Caller) -> Reply {
        check_wait(request.wait_time_seconds)?;
        let (statement, part) = self.find(request, caller)?;
        if statement.request.sqls.is_some() && part.is_none() {
            return Err(Failure::validation(
                "BatchExecuteStatement result can only be retrieved with sub-statement id.",
            ));
        }
        // That the one has no results of the other is documented, the text is not. [API model]
        match (operation, statement.request.is_csv()) {
            ("GetStatementResult", true) => {
                return Err(Failure::validation("The result of this query is in CSV. Use GetStatementResultV2."));
            }
            ("GetStatementResultV2", false) => {
                return Err(Failure::validation("The result of this query is in JSON. Use GetStatementResult."));
            }
            _ => {}
        }
        self.wait(&statement, operation, request.wait_time_seconds).await;
        let state = statement.state.borrow().clone();
        let result = match part {
            None => state.whole.result,
            Some(n) => state.parts.get(n - 1).and_then(|p| p.result.clone()),
        };
        let ready = match part {
            // Committed by itself, whatever became of the others.
            Some(n) if statement.request.commits_each() => {
                state.whole.status.has_ended() && state.parts.get(n - 1).is_some_and(|p| p.status == Status::Finished)
            }
            _ => state.whole.status == Status::Finished,
        };
        let Some(result) = result.filter(|r| ready && r.has_columns()) else {
            return Err(Failure::not_found(
                &statement.id,
                "Query does not have result. Please check query status with DescribeStatement.",
            ));
        };
        let token = request.next_token.as_deref();
        match statement.request.is_csv() {
            true => result.csv_page(token, self.config.page_bytes),
            false => result.page(token, self.config.page_rows),
        }
    }

    async fn cancel(&self, request: &ById, caller: &Caller) -> Reply {
        let (statement, _) = self.find(request, caller)?;
        let status = statement.status();
        if status.has_ended() {
            return Err(Failure::validation(format!(
                "Could not cancel a query that is already in {status} state with ID: {}",
                statement.id
            )));
        }
        statement.request_cancel();
        Ok(json!({"Status": true}))
    }

    /// The long poll: until the statement has ended or the time is up.
    async fn wait(&self, statement: &Statement, operation: &str, seconds: Option<u64>) {
        let Some(seconds) = seconds else { return };
        let cut =
            |k: &FaultKind| if let FaultKind::CutWait(s) = k { Duration::try_from_secs_f64(*s).ok() } else { None };
        let cut = self.faults.take(operation, statement.request.statement_name.as_deref(), cut);
        ended(statement, cut.unwrap_or(Duration::from_secs(seconds))).await;
    }

    fn list(&self, request: &List, caller: &Caller) -> Reply {
        let wanted = request.status.as_deref().unwrap_or("FINISHED");
        if wanted != "ALL" && wanted.parse::<Status>().is_err() {
            return Err(Failure::validation(format!("Status {wanted:?} is not one of the six, nor ALL.")));
        }
        let same = |asked: &Option<String>, has: &Option<String>| asked.is_none() || asked == has;
        let prefix = request.statement_name.as_deref().unwrap_or_default();
        let is_wanted = |s: &Arc<Statement>| {
            (request.role_level.unwrap_or(true) || caller.is_session_of(&s.owner))
                && (wanted == "ALL" || s.status().to_string() == wanted)
                && s.request.statement_name.as_deref().unwrap_or_default().starts_with(prefix)
                && same(&request.database, &s.request.database)
                && same(&request.workgroup_name, &s.request.workgroup_name)
                && same(&request.cluster_identifier, &s.request.cluster_identifier)
        };
        let page = Page { next_token: request.next_token.as_deref(), max_results: request.max_results };
        let statements = self.statements();
        let own = statements.iter().rev().filter(|s| caller.owns(&s.owner));
        page.of("Statements", own, is_wanted, |s| &s.id, |s| s.listed())
    }

    /// The statement of an Id if it is the caller's, and which part of a batch it names.
    fn find(&self, request: &ById, caller: &Caller) -> Reply<(Arc<Statement>, Option<usize>)> {
        let id = request.id.as_deref().unwrap_or_default();
        if !is_id(id) {
            return Err(Failure::validation(
                "id must satisfy regex pattern: ^[a-z0-9]{8}(-[a-z0-9]{4}){3}-[a-z0-9]{12}(:\\d+)?$",
            ));
        }
        let (uuid, part) = id.split_once(':').map_or((id, None), |(uuid, part)| (uuid, part.parse().ok()));
        let statements = self.statements();
        let found = statements.iter().find(|s| age(s) < KEPT && s.id == uuid && caller.owns(&s.owner));
        match (found, part) {
            (Some(statement), None) => Ok((statement.clone(), None)),
            (Some(s), Some(n)) if n >= 1 && n <= s.state.borrow().parts.len() => Ok((s.clone(), Some(n))),
            _ => Err(Failure::not_found(id, "Query does not exist.")),
        }
    }

    fn statements(&self) -> MutexGuard<'_, Vec<Arc<Statement>>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a parameter that no statement of a batch names. [API model, BatchExecuteStatement, Parameters]
fn check_used(sqls: &[String], parameters: &[Parameter]) -> Reply<()> {
    let is_used = |p: &&Parameter| sqls.iter().any(|sql| bind(sql, std::slice::from_ref(*p)).is_ok());
    let unused: Vec<_> = parameters.iter().filter(|p| !is_used(p)).map(|p| p.name.as_str()).collect();
    if unused.is_empty() {
        return Ok(());
    }
    Err(Failure::validation(format!(
        "Parameters list contains unused parameters. Unused parameters: [{}]",
        unused.join(", ")
    )))
}

fn read<T: DeserializeOwned>(request: Value) -> Reply<T> {
    serde_json::from_value(request).map_err(|e| Failure::new(FailureType::SerializationException, e.to_string()))
}

fn age(statement: &Statement) -> Duration {
    Duration::try_from(OffsetDateTime::now_utc() - statement.created_at).unwrap_or_default()
}

async fn ended(statement: &Statement, limit: Duration) {
    let mut state = statement.state.subscribe();
    let ended = state.wait_for(|s| s.whole.status.has_ended());
    let _ = tokio::time::timeout(limit, ended).await;
}
