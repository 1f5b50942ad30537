//! Running SQL on PostgreSQL, one session a statement, and reading rows as the Data API shows them.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use shared::Status;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type};
use tokio_postgres::{CancelToken, Client, Column, NoTls};

use super::service::Config;
use super::sql::{bind, bind_named};
use super::statement::Statement;

/// Pause between two cancels of the same statement.
const CANCEL_AGAIN: Duration = Duration::from_millis(75);

type AnyError = Box<dyn std::error::Error + Sync + Send>;

/// The rows of a statement.
#[derive(Debug)]
pub(super) struct ResultSet {
    pub(super) columns: Vec<Value>,
    pub(super) records: Vec<Vec<Value>>,
    /// Rows returned, or affected where the statement returns none; -1 where neither is known.
    pub(super) rows_or_affected: i64,
    /// Bytes of the values.
    pub(super) size: i64,
}

impl ResultSet {
    pub(super) fn has_columns(&self) -> bool {
        !self.columns.is_empty()
    }
}

/// How running it ended.
enum End {
    Failed(String),
    Aborted(String),
}

/// Runs a statement to its end, whatever that is.
pub(super) async fn run(config: &Config, statement: &Arc<Statement>) {
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
    // What runs ends with whoever asked: a session whose connection is lost would else work on, seen by nobody.
    // PostgreSQL before 14 does not know the setting.
    let _ = client.batch_execute("SET client_connection_check_interval = '500ms'").await;
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
            let result = one(&client, statement, sql).await;
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
    let one_transaction = statement.request.execution_mode.as_deref() != Some("AUTO_COMMIT");
    if one_transaction {
        client.batch_execute("BEGIN").await.map_err(|e| end(&e))?;
    }
    for (n, sql) in sqls.iter().enumerate() {
        go_on(statement)?;
        statement.state.send_modify(|s| {
            s.parts[n].query_id = Some(config.next_query_id());
            s.parts[n].change(Status::Started);
        });
        let result = one(client, statement, sql).await;
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
        let result = Arc::new(result.map_err(|e| match e {
            End::Failed(text) => End::Failed(format!("Query #{} failed with {text}", n + 1)),
            aborted @ End::Aborted(_) => aborted,
        })?);
        statement.state.send_modify(|s| s.parts[n].result = Some(result));
    }
    if one_transaction {
        go_on(statement)?;
        client.batch_execute("COMMIT").await.map_err(|e| end(&e))?;
    }
    Ok(())
}

async fn one(client: &Client, statement: &Statement, sql: &str) -> Result<ResultSet, End> {
    let parameters = statement.request.parameters.as_deref().unwrap_or_default();
    // In a batch, each statement takes those of the parameters that it names.
    let bind = if statement.request.sqls.is_some() { bind_named } else { bind };
    let bound = bind(sql, parameters).map_err(|f| End::Failed(format!("ERROR: {}", f.message)))?;
    let prepared = client.prepare(&bound.sql).await.map_err(|e| end(&e))?;
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
            record.push(field(column.type_(), raw.0).map_err(|e| {
                End::Failed(format!("ERROR: column {:?}: {e}; the local Data API cannot show it", column.name()))
            })?);
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

/// PostgreSQL counts no rows for what changes none; the Data API says -1 then.
fn affected(sql: &str, rows: Option<u64>) -> i64 {
    let word = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
    let counts = ["INSERT", "UPDATE", "DELETE", "MERGE", "COPY"].contains(&word.as_str());
    rows.filter(|_| counts).and_then(|r| i64::try_from(r).ok()).unwrap_or(-1)
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

/// A value as the Data API shows it: whole numbers as long, DECIMAL, date and time as strings.
fn field(of: &Type, raw: Option<&[u8]>) -> Result<Value, AnyError> {
    const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
    const CLOCK: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]:[second]");
    const STAMP: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let Some(raw) = raw else { return Ok(json!({"isNull": true})) };
    let text = |text: String| json!({"stringValue": text});
    Ok(match *of {
        Type::BOOL => json!({"booleanValue": bool::from_sql(of, raw)?}),
        Type::INT2 => json!({"longValue": i16::from_sql(of, raw)?}),
        Type::INT4 => json!({"longValue": i32::from_sql(of, raw)?}),
        Type::INT8 => json!({"longValue": i64::from_sql(of, raw)?}),
        Type::OID => json!({"longValue": u32::from_sql(of, raw)?}),
        Type::FLOAT4 => json!({"doubleValue": f32::from_sql(of, raw)?}),
        Type::FLOAT8 => json!({"doubleValue": f64::from_sql(of, raw)?}),
        Type::NUMERIC => text(decimal(raw).ok_or("a DECIMAL that is not a number")?),
        Type::DATE => text(Date::from_sql(of, raw)?.format(DAY)?),
        Type::TIME => {
            let time = Time::from_sql(of, raw)?;
            text(time.format(CLOCK)? + &fraction(time))
        }
        Type::TIMESTAMP => {
            let time = PrimitiveDateTime::from_sql(of, raw)?;
            text(time.format(STAMP)? + &fraction(time.time()))
        }
        Type::TIMESTAMPTZ => {
            let time = OffsetDateTime::from_sql(of, raw)?;
            text(time.format(STAMP)? + &fraction(time.time()) + "+00")
        }
        Type::BYTEA => json!({"blobValue": STANDARD.encode(raw)}),
        Type::VOID => text(String::new()),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::CHAR | Type::JSON => {
            text(std::str::from_utf8(raw)?.to_owned())
        }
        _ => return Err(format!("type {of} is not one of Redshift's; cast it to VARCHAR").into()),
    })
}

fn fraction(time: Time) -> String {
    match time.microsecond() {
        0 => String::new(),
        micros => format!(".{micros:06}").trim_end_matches('0').to_owned(),
    }
}

/// PostgreSQL's binary DECIMAL: digits to the base of 10,000. [PostgreSQL source, numeric_send]
fn decimal(raw: &[u8]) -> Option<String> {
    const NEGATIVE: i16 = 0x4000;
    let mut words = raw.chunks_exact(2).map(|w| i16::from_be_bytes([w[0], w[1]]));
    let (count, weight, sign, scale) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if sign != 0 && sign != NEGATIVE {
        return None;
    }
    let digits: Vec<_> = words.take(usize::try_from(count).ok()?).collect();
    let group = |place: i16| usize::try_from(weight - place).ok().and_then(|n| digits.get(n)).copied().unwrap_or(0);
    let mut whole: String = (0..=weight.max(0)).rev().map(|place| format!("{:04}", group(place))).collect();
    whole = whole.trim_start_matches('0').to_owned();
    if whole.is_empty() {
        whole.push('0');
    }
    let scale = usize::try_from(scale).ok()?;
    let groups = i16::try_from(scale.div_ceil(4)).ok()?;
    let mut part: String = (1..=groups).map(|place| format!("{:04}", group(-place))).collect();
    part.truncate(scale);
    let sign = if sign == NEGATIVE { "-" } else { "" };
    Some(if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_digit_by_digit() {
        let raw = |words: &[i16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        for (words, text) in [
            (&[0, 0, 0, 0][..], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[2, 1, 0, 0, 1, 2345], "12345"),
            (&[2, 0, 0x4000, 2, 12, 3400], "-12.34"),
            (&[1, -1, 0, 2, 500], "0.05"),
            (&[1, -2, 0, 6, 1200], "0.000012"),
            (&[1, 2, 0, 1, 1], "100000000.0"),
        ] {
            assert_eq!(decimal(&raw(words)).as_deref(), Some(text));
        }
        assert_eq!(decimal(&raw(&[0, 0, i16::MIN + 0x4000, 0])), None, "NaN");
    }
}
