//! Sessions that stay between statements: `SessionKeepAliveSeconds` makes one, `SessionId` uses it again, and `ListSessions` shows it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strum::EnumString;
use time::OffsetDateTime;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::caller::Caller;
use crate::protocol::{Execute, Failure, FailureType, Page, Reply, epoch};
use crate::session::Connection;
use crate::statement::is_id;

/// How long a session may be used, and is listed. [API model, SessionKeepAliveSeconds, ListSessions]
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// The quota of open sessions of a cluster or workgroup. [AWS Big Data Blog, "... Amazon Redshift Data API persistent sessions"]
const MAX_OPEN: usize = 500;

/// Where a session stands, spelled as the service spells it. [API model, SessionStatusString]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumString)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub(crate) enum Status {
    Available,
    Busy,
    Closed,
}

/// A session, of whom and on what.
pub(crate) struct Session {
    pub(crate) id: String,
    owner: Caller,
    /// The request that made it, which says where it is.
    first: Execute,
    created_at: OffsetDateTime,
    state: Mutex<State>,
}

struct State {
    status: Status,
    updated_at: OffsetDateTime,
    keep_alive: Duration,
    /// The statement that runs in it.
    statement: Option<String>,
    /// Nothing while a statement has it.
    connection: Option<Connection>,
    /// How often it was used: a timer closes only what has not been used since.
    uses: u64,
    timer: Option<AbortHandle>,
}

impl State {
    fn close(&mut self) {
        self.change(Status::Closed);
        self.statement = None;
        self.connection = None;
    }

    fn change(&mut self, to: Status) {
        if self.status != Status::Closed {
            self.status = to;
            self.updated_at = OffsetDateTime::now_utc();
        }
    }
}

impl Session {
    fn new(request: &Execute, owner: Caller, keep_alive: Duration) -> Self {
        let now = OffsetDateTime::now_utc();
        // What it says of the target alone is of interest later.
        let first = Execute { sql: None, sqls: None, parameters: None, ..request.clone() };
        let state = State {
            status: Status::Busy,
            updated_at: now,
            keep_alive,
            statement: None,
            connection: None,
            uses: 1,
            timer: None,
        };
        Self { id: Uuid::new_v4().to_string(), owner, first, created_at: now, state: Mutex::new(state) }
    }

    /// The request with the target of this session, which it must not name itself.
    pub(crate) fn complete(&self, request: Execute) -> Execute {
        let first = self.first.clone();
        Execute {
            workgroup_name: first.workgroup_name,
            cluster_identifier: first.cluster_identifier,
            database: first.database,
            secret_arn: first.secret_arn,
            db_user: first.db_user,
            ..request
        }
    }

    /// Takes it for one more statement.
    ///
    /// # Errors
    /// ValidationException if another one runs in it, or if it is gone.
    pub(crate) fn occupy(&self, keep_alive: Option<u64>) -> Reply<()> {
        let mut state = self.seen();
        if state.status == Status::Available && self.left().is_zero() {
            state.close();
        }
        if state.status != Status::Available {
            // The same text for both. [awslabs/mcp#4375, #4587]
            return Err(Failure::validation("Session is not available"));
        }
        if let Some(seconds) = keep_alive {
            state.keep_alive = Duration::from_secs(seconds);
        }
        state.uses += 1;
        if let Some(timer) = state.timer.take() {
            timer.abort();
        }
        state.change(Status::Busy);
        Ok(())
    }

    /// It runs this statement.
    pub(crate) fn serve(&self, statement: &str) {
        self.lock().statement = Some(statement.to_owned());
    }

    /// Its connection, for the statement that it serves; its first one has to open it.
    pub(crate) fn take(&self) -> Option<Connection> {
        self.lock().connection.take()
    }

    /// Gets its connection back at the end of a statement, and closes itself when nobody has used it for as long as was asked.
    pub(crate) async fn give_back(self: &Arc<Self>, connection: Connection) {
        let idle = self.lock().keep_alive.min(self.left());
        if idle.is_zero() || connection.is_closed() || self.lock().status == Status::Closed {
            connection.close().await;
            return self.close();
        }
        let mut state = self.lock();
        state.connection = Some(connection);
        state.statement = None;
        state.change(Status::Available);
        let (uses, this) = (state.uses, Arc::downgrade(self));
        let timer = tokio::spawn(async move {
            tokio::time::sleep(idle).await;
            let Some(session) = this.upgrade() else { return };
            let mut state = session.lock();
            // One that was taken in this moment stays.
            if state.uses == uses {
                state.close();
            }
        });
        state.timer = Some(timer.abort_handle());
    }

    /// Ends it; a statement that runs in it ends first.
    pub(crate) fn close(&self) {
        self.lock().close();
    }

    /// How long it may still be used.
    fn left(&self) -> Duration {
        let age = Duration::try_from(OffsetDateTime::now_utc() - self.created_at).unwrap_or_default();
        LIFE.saturating_sub(age)
    }

    /// As ListSessions shows it.
    fn listed(&self) -> Value {
        let state = self.seen();
        let mut fields = Map::new();
        fields.insert("SessionId".into(), json!(self.id));
        fields.insert("Status".into(), json!(state.status));
        fields.insert("CreatedAt".into(), epoch(self.created_at));
        fields.insert("UpdatedAt".into(), epoch(state.updated_at));
        fields.insert("SessionAliveSeconds".into(), json!(state.keep_alive.as_secs()));
        if state.status == Status::Available {
            let end = (state.updated_at + state.keep_alive).min(self.created_at + LIFE);
            fields.insert("SessionTtl".into(), epoch(end));
        }
        for (name, value) in [
            ("WorkgroupName", &self.first.workgroup_name),
            ("ClusterIdentifier", &self.first.cluster_identifier),
            ("Database", &self.first.database),
            ("DbUser", &self.first.db_user),
            ("CurrentStatementId", &state.statement),
        ] {
            if let Some(value) = value {
                fields.insert(name.into(), json!(value));
            }
        }
        Value::Object(fields)
    }

    fn status(&self) -> Status {
        self.seen().status
    }

    /// Its state, CLOSED if its connection has ended by itself.
    fn seen(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if state.status == Status::Available && state.connection.as_ref().is_none_or(Connection::is_closed) {
            state.close();
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// ListSessions.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct List {
    next_token: Option<String>,
    max_results: Option<usize>,
    session_id: Option<String>,
    status: Option<String>,
    role_level: Option<bool>,
    cluster_identifier: Option<String>,
    workgroup_name: Option<String>,
    database: Option<String>,
}

impl List {
    /// The status that is asked for.
    fn check(&self) -> Reply<Option<Status>> {
        let others = [&self.status, &self.cluster_identifier, &self.workgroup_name, &self.database];
        if self.session_id.is_some() && others.iter().any(|other| other.is_some()) {
            return Err(Failure::validation(
                "SessionId cannot be provided together with Status, ClusterIdentifier, WorkgroupName or Database.",
            ));
        }
        if self.cluster_identifier.is_some() && self.workgroup_name.is_some() {
            return Err(Failure::validation("ClusterIdentifier and WorkgroupName cannot be provided together."));
        }
        let unknown = |_| Failure::validation("Status must be AVAILABLE, BUSY or CLOSED.");
        self.status.as_deref().map(|status| status.parse().map_err(unknown)).transpose()
    }

    fn wants(&self, session: &Session, status: Option<Status>) -> bool {
        let same = |asked: &Option<String>, has: &Option<String>| asked.is_none() || asked == has;
        let has = session.status();
        status.map_or(has != Status::Closed, |wanted| wanted == has)
            && same(&self.cluster_identifier, &session.first.cluster_identifier)
            && same(&self.workgroup_name, &session.first.workgroup_name)
            && same(&self.database, &session.first.database)
    }
}

/// All sessions of the last 24 hours, in the order of their coming.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Vec<Arc<Session>>>);

impl Sessions {
    /// Makes one for a statement that is about to run.
    ///
    /// # Errors
    /// ActiveSessionsExceededException at the quota of the request's cluster or workgroup.
    pub(crate) fn make(&self, request: &Execute, caller: &Caller, seconds: u64) -> Reply<Arc<Session>> {
        let mut sessions = self.lock();
        sessions.retain(|s| s.left() > Duration::ZERO || s.status() == Status::Busy);
        let target = (&request.workgroup_name, &request.cluster_identifier);
        let is_open = |s: &&Arc<Session>| {
            (&s.first.workgroup_name, &s.first.cluster_identifier) == target && s.status() != Status::Closed
        };
        if sessions.iter().filter(is_open).count() >= MAX_OPEN {
            return Err(Failure::new(
                FailureType::ActiveSessionsExceededException,
                "The number of active sessions exceeds the limit (500).",
            ));
        }
        let session = Arc::new(Session::new(request, caller.clone(), Duration::from_secs(seconds)));
        sessions.push(session.clone());
        Ok(session)
    }

    /// The session of an Id if it is the caller's, open or not.
    ///
    /// # Errors
    /// ValidationException if there never was one.
    pub(crate) fn find(&self, id: &str, caller: &Caller) -> Reply<Arc<Session>> {
        // [awslabs/mcp#4587]
        let invalid = || Failure::validation(format!("Session with Id: {id} is invalid"));
        self.known(id, caller).ok_or_else(invalid)
    }

    /// Answers ListSessions, the newest first.
    ///
    /// # Errors
    /// ValidationException for a request that is wrong, ResourceNotFoundException for a session that never was.
    pub(crate) fn list(&self, request: &List, caller: &Caller) -> Reply {
        let status = request.check()?;
        if let Some(id) = &request.session_id {
            if !is_id(id) {
                return Err(Failure::validation(
                    "sessionId must satisfy regex pattern: [a-z0-9]{8}(-[a-z0-9]{4}){3}-[a-z0-9]{12}(:\\d{0,2})?",
                ));
            }
            let missing = || Failure::not_found(id, "Session does not exist.");
            return Ok(json!({"Sessions": [self.known(id, caller).ok_or_else(missing)?.listed()]}));
        }
        let page = Page { next_token: request.next_token.as_deref(), max_results: request.max_results };
        let sessions = self.lock();
        let own = sessions.iter().rev().filter(|s| s.left() > Duration::ZERO && caller.owns(&s.owner));
        let is_wanted = |s: &Arc<Session>| {
            (request.role_level.unwrap_or(true) || caller.is_session_of(&s.owner)) && request.wants(s, status)
        };
        page.of("Sessions", own, is_wanted, |s| &s.id, |s| s.listed())
    }

    /// Ends all of them.
    pub(crate) fn close(&self) {
        for session in self.lock().iter() {
            session.close();
        }
    }

    fn known(&self, id: &str, caller: &Caller) -> Option<Arc<Session>> {
        self.lock().iter().find(|s| s.id == id && caller.owns(&s.owner)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(workgroup: &str, database: &str) -> Execute {
        Execute { workgroup_name: Some(workgroup.into()), database: Some(database.into()), ..Execute::default() }
    }

    #[test]
    fn a_workgroup_has_five_hundred_sessions_at_most() {
        let (sessions, caller) = (Sessions::default(), Caller::only());
        let make = |workgroup| sessions.make(&request(workgroup, "dev"), &caller, 60);
        let first = make("w-1").expect("a session");
        for _ in 1..MAX_OPEN {
            make("w-1").expect("a session");
        }
        let kind = make("w-1").map(|s| s.id.clone()).expect_err("too many").kind;
        assert_eq!(kind, FailureType::ActiveSessionsExceededException);
        assert!(make("w-2").is_ok(), "of another workgroup");
        first.close();
        assert!(make("w-1").is_ok());
    }

    #[test]
    fn sessions_are_listed_by_what_is_asked() {
        let (sessions, caller) = (Sessions::default(), Caller::only());
        for (workgroup, database) in [("w-1", "a"), ("w-1", "b"), ("w-2", "a")] {
            sessions.make(&request(workgroup, database), &caller, 60).expect("a session");
        }
        let closed = sessions.make(&request("w-1", "closed"), &caller, 60).expect("a session");
        closed.close();
        for (asked, expected) in [
            (json!({}), Some(&["w-2 a", "w-1 b", "w-1 a"][..])),
            (json!({"WorkgroupName": "w-1"}), Some(&["w-1 b", "w-1 a"])),
            (json!({"Database": "a", "Status": "BUSY"}), Some(&["w-2 a", "w-1 a"])),
            (json!({"Status": "AVAILABLE"}), Some(&[])),
            (json!({"Status": "CLOSED"}), Some(&["w-1 closed"])),
            (json!({"SessionId": closed.id}), Some(&["w-1 closed"])),
            (json!({"MaxResults": 1}), Some(&["w-2 a"])),
            (json!({"SessionId": closed.id, "Database": "closed"}), None),
            (json!({"ClusterIdentifier": "c-1", "WorkgroupName": "w-1"}), None),
            (json!({"SessionId": "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b"}), None),
            (json!({"SessionId": "none"}), None),
            (json!({"Status": "OPEN"}), None),
            (json!({"MaxResults": 101}), None),
            (json!({"NextToken": "none"}), None),
        ] {
            let answer = sessions.list(&serde_json::from_value(asked.clone()).expect("a request"), &caller).ok();
            let names = answer.map(|answer| {
                let name = |s: &Value| {
                    [&s["WorkgroupName"], &s["Database"]].map(|v| v.as_str().unwrap_or("?").to_owned()).join(" ")
                };
                answer["Sessions"].as_array().expect("sessions").iter().map(name).collect::<Vec<_>>()
            });
            assert_eq!(
                names.as_deref(),
                expected.map(|e| e.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).as_deref(),
                "{asked}"
            );
        }
    }
}
