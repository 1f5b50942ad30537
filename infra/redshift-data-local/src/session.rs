//! Running SQL on PostgreSQL, one session a statement, and reading rows as the Data API shows them.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type};
use tokio_postgres::{CancelToken, Client, Column, NoTls};

use crate::config::Config;
use crate::dialect::{self, bind, bind_named};
use crate::result::ResultSet;
use crate::statement::Statement;
use crate::status::Status;
use crate::value::{field, is_shown};

/// Pause between two cancels of the same statement.
const CANCEL_AGAIN: Duration = Duration::from_millis(75);

type AnyError = Box<dyn std::error::Error + Sync + Send>;

/// How running it ended.
enum End {
    Failed(String),
    Aborted(String),
}

/// Runs a statement to its end, whatever that is.
pub(crate) async fn run(config: &Config, statement: &Arc<Statement>) {
    if let Some(delay) = statement.run.slow_start {
        tokio::time::sleep(delay).await;
    }
    statement.state.send_modify(|s| s.whole.change(Status::Picked));
    let end = execute(config, statement).await;
    statement.state.send_modify(|s| {
        let (status, error) = match end {
            Ok(()) => (Status::Finished, None),
            Err(End::Failed(text)) => (Status::Failed, Some(text)),
            Err(End::Aborted(text)) => (Status::Aborted, Some(text)),
        };
        for part in &mut s.parts {
            // What a failing batch did not come to, or rolled back.
            part.change(Status::Aborted);
        }
        s.whole.error = error;
        s.whole.change(status);
    });
}

async fn execute(config: &Config, statement: &Arc<Statement>) -> Result<(), End> {
    let request = &statement.request;
    let mut postgres = config.postgres.clone();
    postgres.dbname(request.database.as_deref().unwrap_or_default());
    postgres.application_name(
        request.statement_name.as_deref().unwrap_or("redshift-data").chars().take(63).collect::<String>(),
    );
    let (client, connection) = postgres.connect(NoTls).await.map_err(|e| end(&e))?;
    let connection = tokio::spawn(connection);
    // A statement ends with its client; otherwise an orphaned session keeps running.
    // PostgreSQL before 14 does not know the setting.
    let _ = client.batch_execute("SET client_connection_check_interval = '500ms'").await;
    dialect::prepare(&client).await.map_err(|e| end(&e))?;
    if let Some(folder) = &config.s3 {
        dialect::files::refresh(&client, folder).await.map_err(|e| not_loaded(&e))?;
    }
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).await.map_err(|e| end(&e))?.get(0);
    let wanted = statement.state.send_if_modified(|s| {
        if s.cancel_requested {
            return false;
        }
        s.pid = Some(pid);
        s.whole.query_id = Some(config.next_query_id());
        s.whole.change(Status::Started);
        true
    });
    if !wanted {
        return Err(End::Aborted("Query cancelled before it started.".to_owned()));
    }
    let cancelling = tokio::spawn(cancel_when_asked(statement.clone(), client.cancel_token()));
    if let Some(delay) = statement.run.lose_after {
        let connection = connection.abort_handle();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            connection.abort();
        });
    }
    if let Some(delay) = statement.run.kill_after {
        tokio::spawn(kill(postgres, pid, delay));
    }
    if let Some(delay) = statement.run.crash_after {
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        });
    }
    let outcome = match (&statement.run.fail_with, &request.sqls) {
        (Some(text), _) => Err(End::Failed(text.clone())),
        (None, None) => {
            let sql = request.sql.as_deref().unwrap_or_default();
            let sql = if statement.run.never_ends { "SELECT pg_sleep(86400)" } else { sql };
            let result = one(config, &client, statement, sql).await;
            result.map(|result| statement.state.send_modify(|s| s.whole.result = Some(Arc::new(result))))
        }
        (None, Some(sqls)) => batch(config, &client, statement, sqls).await,
    };
    drop(client);
    // The session ends before the statement does, so that its locks are gone when its end is seen.
    let _ = connection.await;
    cancelling.abort();
    outcome
}

/// Cancels a statement once somebody has asked for it, again and again until it has ended: PostgreSQL drops a
/// cancel that comes while nothing runs, as before the first query and between two of a batch.
async fn cancel_when_asked(statement: Arc<Statement>, token: CancelToken) {
    let mut state = statement.state.subscribe();
    if state.wait_for(|s| s.cancel_requested).await.is_err() {
        return;
    }
    tokio::time::sleep(statement.run.slow_cancel.unwrap_or_default()).await;
    loop {
        // One that does not get through is followed by the next.
        let _ = token.cancel_query(NoTls).await;
        tokio::time::sleep(CANCEL_AGAIN).await;
    }
}

/// Ends a batch between two of its statements, where no cancel reaches it.
fn go_on(statement: &Statement) -> Result<(), End> {
    if statement.run.slow_cancel.is_none() && statement.state.borrow().cancel_requested {
        return Err(End::Aborted("Query cancelled before it started.".to_owned()));
    }
    Ok(())
}

async fn kill(postgres: tokio_postgres::Config, pid: i32, delay: Duration) -> Result<(), tokio_postgres::Error> {
    tokio::time::sleep(delay).await;
    let (client, connection) = postgres.connect(NoTls).await?;
    tokio::spawn(connection);
    client.execute("SELECT pg_terminate_backend($1)", &[&pid]).await?;
    Ok(())
}

async fn batch(config: &Config, client: &Client, statement: &Arc<Statement>, sqls: &[String]) -> Result<(), End> {
    let one_transaction = !statement.request.commits_each();
    let mut first_failure = None;
    if one_transaction {
        client.batch_execute("BEGIN").await.map_err(|e| end(&e))?;
    }
    for (n, sql) in sqls.iter().enumerate() {
        go_on(statement)?;
        statement.state.send_modify(|s| {
            s.parts[n].query_id = Some(config.next_query_id());
            s.parts[n].change(Status::Started);
        });
        let result = one(config, client, statement, sql).await;
        statement.state.send_modify(|s| {
            let part = &mut s.parts[n];
            match &result {
                Ok(_) => part.change(Status::Finished),
                Err(End::Failed(text)) => {
                    part.error = Some(text.clone());
                    part.change(Status::Failed);
                }
                Err(End::Aborted(text)) => {
                    part.error = Some(text.clone());
                    part.change(Status::Aborted);
                }
            }
        });
        let result = match result {
            Ok(result) => Arc::new(result),
            Err(End::Failed(text)) => {
                let failure = End::Failed(format!("Query #{} failed with {text}", n + 1));
                if one_transaction {
                    return Err(failure);
                }
                // What is committed by itself does not affect the others.
                first_failure.get_or_insert(failure);
                continue;
            }
            Err(aborted) => return Err(aborted),
        };
        statement.state.send_modify(|s| s.parts[n].result = Some(result));
    }
    if one_transaction {
        go_on(statement)?;
        client.batch_execute("COMMIT").await.map_err(|e| end(&e))?;
    }
    first_failure.map_or(Ok(()), Err)
}

async fn one(config: &Config, client: &Client, statement: &Statement, sql: &str) -> Result<ResultSet, End> {
    let parameters = statement.request.parameters.as_deref().unwrap_or_default();
    // In a batch, each statement takes those of the parameters that it names.
    let bind = if statement.request.sqls.is_some() { bind_named } else { bind };
    let bound = bind(sql, parameters).map_err(|f| End::Failed(format!("ERROR: {}", f.message)))?;
    if let Some(folder) = &config.s3
        && let Some(copy) = dialect::files::copy(&bound.sql).map_err(|e| not_loaded(&e.into()))?
    {
        let rows = copy.run(client, folder).await.map_err(|e| not_loaded(&e))?;
        let rows_or_affected = i64::try_from(rows).unwrap_or(i64::MAX);
        return Ok(ResultSet { columns: Vec::new(), records: Vec::new(), rows_or_affected, size: -1 });
    }
    let statements = dialect::translate(&bound.sql).map_err(|e| End::Failed(format!("ERROR: {e}")))?;
    let [translated] = &statements[..] else {
        // At once, they are one transaction, or part of the one that is open.
        client.batch_execute(&statements.join(";")).await.map_err(|e| end(&e))?;
        return Ok(ResultSet { columns: Vec::new(), records: Vec::new(), rows_or_affected: -1, size: -1 });
    };
    let prepared = client.prepare(translated).await.map_err(|e| end(&e))?;
    if let Some(column) = prepared.columns().iter().find(|column| !is_shown(column.type_())) {
        return Err(End::Failed(format!(
            "ERROR: column {:?} has the type {}, which is not one of Redshift's and which the local Data API cannot show; \
             cast it to VARCHAR",
            column.name(),
            column.type_()
        )));
    }
    let values: Vec<_> = bound.values.into_iter().map(Text).collect();
    let stream = client.query_raw(&prepared, values).await.map_err(|e| end(&e))?;
    let mut stream = std::pin::pin!(stream);
    let mut records = Vec::new();
    let mut size = 0;
    while let Some(row) = stream.try_next().await.map_err(|e| end(&e))? {
        let mut record = Vec::with_capacity(row.len());
        for (n, column) in row.columns().iter().enumerate() {
            let raw: Raw<'_> = row.try_get(n).map_err(|e| end(&e))?;
            size += raw.0.map_or(0, |bytes| i64::try_from(bytes.len()).unwrap_or(0));
            record.push(field(column.type_(), raw.0));
        }
        records.push(record);
    }
    let columns: Vec<_> = prepared.columns().iter().map(column).collect();
    let rows_or_affected = if columns.is_empty() {
        affected(&bound.sql, stream.rows_affected())
    } else {
        i64::try_from(records.len()).unwrap_or(i64::MAX)
    };
    Ok(ResultSet { size: if columns.is_empty() { -1 } else { size }, columns, records, rows_or_affected })
}

/// PostgreSQL counts no rows for what changes none; the Data API reports -1 then.
fn affected(sql: &str, rows: Option<u64>) -> i64 {
    let word = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
    let counts = ["INSERT", "UPDATE", "DELETE", "MERGE", "COPY"].contains(&word.as_str());
    rows.filter(|_| counts).and_then(|r| i64::try_from(r).ok()).unwrap_or(-1)
}

fn not_loaded(failed: &dialect::files::Failed) -> End {
    match failed {
        dialect::files::Failed::Engine(error) => end(error),
        other => End::Failed(format!("ERROR: {other}")),
    }
}

fn end(error: &tokio_postgres::Error) -> End {
    let Some(db) = error.as_db_error() else {
        let cause = error.source().map_or_else(String::new, |s| format!(": {s}"));
        return End::Failed(format!("{error}{cause}"));
    };
    let mut text = format!("{}: {}", db.severity(), db.message());
    if let Some(detail) = db.detail() {
        text.push_str(&format!("\n  Detail: {detail}"));
    }
    if let Some(place) = db.where_() {
        text.push_str(&format!("\n  Where: {place}"));
    }
    if *db.code() == SqlState::QUERY_CANCELED && db.message().contains("user request") {
        return End::Aborted(text);
    }
    End::Failed(text)
}

fn column(column: &Column) -> Value {
    json!({
        "name": column.name(),
        "label": column.name(),
        "typeName": column.type_().name(),
        "nullable": 1,
        "isSigned": matches!(*column.type_(), Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC),
        "isCaseSensitive": matches!(*column.type_(), Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME),
        "isCurrency": false,
        "length": 0,
        "precision": 0,
        "scale": 0,
        "schemaName": "",
        "tableName": "",
    })
}

/// A parameter as text: the engine reads it as the type that the place asks for.
#[derive(Debug)]
struct Text(String);

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

/// A value of any type, as it comes.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, AnyError> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, AnyError> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
