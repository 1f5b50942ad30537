//! One statement: what was asked, where it stands, and how that may change.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;

use crate::caller::Caller;
use crate::faults::Run;
use crate::kept::Session;
use crate::protocol::{Execute, epoch};
use crate::query::End;
use crate::result::ResultSet;
use crate::status::Status;

/// A statement of ExecuteStatement, or the whole of a BatchExecuteStatement.
pub(crate) struct Statement {
    pub(crate) id: String,
    pub(crate) request: Execute,
    pub(crate) owner: Caller,
    /// The session that it runs in, if that stays.
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) state: watch::Sender<State>,
    /// What is to go wrong with it.
    pub(crate) run: Run,
}

/// What changes.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) whole: Part,
    /// The statements of a batch; empty if it is none.
    pub(crate) parts: Vec<Part>,
    pub(crate) pid: Option<i32>,
    /// Somebody asked for its end: its session sees to that.
    pub(crate) cancel_requested: bool,
}

/// A statement or one of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) status: Status,
    pub(crate) updated_at: OffsetDateTime,
    started: Option<Instant>,
    nanos: i64,
    error: Option<String>,
    /// Whether the engine understood it, so that it ran.
    begun: bool,
    /// Of a query, from when it begins.
    query_id: Option<i64>,
    pub(crate) result: Option<Arc<ResultSet>>,
}

impl Part {
    fn new() -> Self {
        Self {
            status: Status::Submitted,
            updated_at: OffsetDateTime::now_utc(),
            started: None,
            nanos: 0,
            error: None,
            begun: false,
            query_id: None,
            result: None,
        }
    }

    /// Moves on; what has ended stays as it is.
    pub(crate) fn change(&mut self, to: Status) {
        if self.status.has_ended() {
            return;
        }
        if to == Status::Started {
            self.started = Some(Instant::now());
        }
        if to.has_ended() {
            self.nanos = self.started.map_or(0, |s| i64::try_from(s.elapsed().as_nanos()).unwrap_or(i64::MAX));
        }
        self.status = to;
        self.updated_at = OffsetDateTime::now_utc();
    }

    /// Ends without success.
    pub(crate) fn end(&mut self, end: End) {
        let (status, error) = match end {
            End::Failed(text) => (Status::Failed, text),
            // [metabase#36770]
            End::Aborted => {
                (Status::Aborted, format!("ERROR: Query ({}) cancelled on user's request", self.query_id.unwrap_or(0)))
            }
        };
        if !self.status.has_ended() {
            self.error = Some(error);
            self.change(status);
        }
    }

    /// Ends because its batch did not come to it.
    pub(crate) fn pass_over(&mut self) {
        if !self.status.has_ended() {
            // So spelled. [awslabs/mcp, redshift-mcp-server, tests]
            self.error = Some("Connection or an prior query failed.".to_owned());
            self.change(Status::Aborted);
        }
    }

    fn has_result_set(&self) -> bool {
        self.result.as_deref().is_some_and(ResultSet::has_columns)
    }

    fn describe(&self, id: &str) -> Map<String, Value> {
        let result = self.result.as_deref();
        let mut fields = Map::new();
        fields.insert("Id".into(), json!(id));
        fields.insert("Status".into(), json!(self.status));
        fields.insert("UpdatedAt".into(), epoch(self.updated_at));
        // What runs, and what never ran, has no duration and no query. [amazon-redshift-utils#515; recorded]
        let (nanos, query_id) =
            if self.status.has_ended() && self.begun { (self.nanos, self.query_id.unwrap_or(0)) } else { (-1, 0) };
        fields.insert("Duration".into(), json!(nanos));
        fields.insert("HasResultSet".into(), json!(self.has_result_set()));
        fields.insert("ResultRows".into(), json!(result.map_or(-1, |r| r.rows_or_affected)));
        fields.insert("ResultSize".into(), json!(result.map_or(-1, |r| r.size)));
        fields.insert("RedshiftQueryId".into(), json!(query_id));
        if let Some(error) = &self.error {
            fields.insert("Error".into(), json!(error));
        }
        fields
    }
}

impl State {
    /// Of a batch, whether any of its statements has one. [API model]
    fn has_result_set(&self) -> bool {
        self.whole.has_result_set() || self.parts.iter().any(Part::has_result_set)
    }
}

impl Statement {
    pub(crate) fn new(request: Execute, owner: Caller, session: Option<Arc<Session>>, run: Run) -> Self {
        let parts = request.sqls.as_ref().map_or(0, Vec::len);
        let state = State { whole: Part::new(), parts: vec![Part::new(); parts], pid: None, cancel_requested: false };
        Self {
            id: Uuid::new_v4().to_string(),
            request,
            owner,
            session,
            created_at: OffsetDateTime::now_utc(),
            state: watch::Sender::new(state),
            run,
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.state.borrow().whole.status
    }

    /// It, or a statement of its batch, is understood and begins.
    pub(crate) fn begin(&self, part: Option<usize>, query_id: Option<i64>) {
        self.state.send_modify(|s| {
            s.whole.begun = true;
            let part = part.map_or(&mut s.whole, |n| &mut s.parts[n]);
            part.begun = true;
            part.query_id = query_id;
        });
    }

    /// Returns when somebody has asked for its end, and that is to reach it.
    pub(crate) async fn cancelled(&self) {
        let _ = self.state.subscribe().wait_for(|s| s.cancel_requested).await;
        tokio::time::sleep(self.run.slow_cancel.unwrap_or_default()).await;
    }

    pub(crate) fn request_cancel(&self) {
        self.state.send_modify(|s| s.cancel_requested = true);
    }

    /// How its results are asked for, spelled as answers spell it. [recorded: lower case]
    fn format(&self) -> &'static str {
        if self.request.is_csv() { "csv" } else { "json" }
    }

    /// The fields that every answer about it repeats.
    fn target(&self) -> Map<String, Value> {
        let request = &self.request;
        let mut fields = Map::new();
        for (name, value) in [
            ("WorkgroupName", &request.workgroup_name),
            ("ClusterIdentifier", &request.cluster_identifier),
            ("Database", &request.database),
            ("SecretArn", &request.secret_arn),
            ("DbUser", &request.db_user),
        ] {
            if let Some(value) = value {
                fields.insert(name.into(), json!(value));
            }
        }
        if let Some(session) = &self.session {
            fields.insert("SessionId".into(), json!(session.id));
        }
        fields.insert("CreatedAt".into(), epoch(self.created_at));
        fields
    }

    /// The answer of ExecuteStatement; `waited` adds the status, as the service does, and the two members that came to the model with it.
    pub(crate) fn accepted(&self, waited: bool) -> Value {
        let mut fields = self.target();
        fields.insert("Id".into(), json!(self.id));
        if waited {
            let state = self.state.borrow();
            fields.insert("Status".into(), json!(state.whole.status));
            fields.insert("HasResultSet".into(), json!(state.has_result_set()));
            if let Some(pid) = state.pid {
                fields.insert("RedshiftPid".into(), json!(pid));
            }
        }
        Value::Object(fields)
    }

    pub(crate) fn describe(&self) -> Value {
        let state = self.state.borrow();
        let mut fields = state.whole.describe(&self.id);
        fields.append(&mut self.target());
        fields.insert("RedshiftPid".into(), json!(state.pid.unwrap_or(0)));
        fields.insert("ResultFormat".into(), json!(self.format()));
        if let Some(sql) = &self.request.sql {
            fields.insert("QueryString".into(), json!(sql));
        }
        if let Some(parameters) = &self.request.parameters {
            fields.insert("QueryParameters".into(), json!(parameters));
        }
        if let Some(sqls) = &self.request.sqls {
            let mode = self.request.execution_mode.as_deref().unwrap_or("TRANSACTION");
            fields.insert("ExecutionMode".into(), json!(mode));
            fields.insert("HasResultSet".into(), json!(state.has_result_set()));
            let parts = state.parts.iter().zip(sqls).enumerate().map(|(n, (part, sql))| {
                let mut fields = part.describe(&format!("{}:{}", self.id, n + 1));
                fields.insert("QueryString".into(), json!(sql));
                fields.insert("CreatedAt".into(), epoch(self.created_at));
                Value::Object(fields)
            });
            fields.insert("SubStatements".into(), parts.collect());
        }
        Value::Object(fields)
    }

    /// As ListStatements shows it.
    pub(crate) fn listed(&self) -> Value {
        let state = self.state.borrow();
        let batch = self.request.sqls.is_some();
        let mut fields = Map::new();
        fields.insert("Id".into(), json!(self.id));
        fields.insert("Status".into(), json!(state.whole.status));
        fields.insert("CreatedAt".into(), epoch(self.created_at));
        fields.insert("UpdatedAt".into(), epoch(state.whole.updated_at));
        fields.insert("IsBatchStatement".into(), json!(batch));
        if let Some(session) = &self.session {
            fields.insert("SessionId".into(), json!(session.id));
        }
        fields.insert("ResultFormat".into(), json!(self.format()));
        for (name, value) in [("StatementName", &self.request.statement_name), ("SecretArn", &self.request.secret_arn)]
        {
            if let Some(value) = value {
                fields.insert(name.into(), json!(value));
            }
        }
        if batch {
            fields.insert("QueryStrings".into(), json!(self.request.sqls));
        } else {
            fields.insert("QueryString".into(), json!(self.request.sql));
            if let Some(parameters) = &self.request.parameters {
                fields.insert("QueryParameters".into(), json!(parameters));
            }
        }
        Value::Object(fields)
    }
}

/// Whether this has the form of an Id: `^[a-z0-9]{8}(-[a-z0-9]{4}){3}-[a-z0-9]{12}(:\d+)?$`. [API model]
pub(crate) fn is_id(text: &str) -> bool {
    let (uuid, part) = text.split_once(':').map_or((text, None), |(uuid, part)| (uuid, Some(part)));
    let groups: Vec<_> = uuid.split('-').collect();
    let fits = |group: &str| group.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| fits(group))
        && part.is_none_or(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::is_id;

    #[test]
    fn an_id_is_a_uuid_and_perhaps_the_number_of_a_sub_statement() {
        let id = "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b";
        assert!(is_id(id) && is_id(&format!("{id}:2")));
        for wrong in ["", "5b2d1a56", &id.to_uppercase(), &format!("{id}:"), &format!("{id}:x"), &format!("{id}-1")] {
            assert!(!is_id(wrong), "{wrong:?}");
        }
    }
}
