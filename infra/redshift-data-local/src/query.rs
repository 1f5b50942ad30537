//! One statement on PostgreSQL: its rows as the Data API shows them, or how it failed in the words of Redshift's driver.
//!
//! PostgreSQL writes the values, each by its type's own output function. So a value of any type can be shown, and when the rows arrive
//! nothing is left that could make a statement fail that has committed.

use std::error::Error as _;
use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::config::Config;
use crate::dialect::{self, bind, bind_named, fill};
use crate::result::ResultSet;
use crate::statement::Statement;
use crate::value::{Origins, column, field};

/// How running a statement ended, if it did not succeed.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Failed(String),
    /// By a cancel.
    Aborted,
}

/// Runs the SQL of a statement, or of the part of a batch with this index.
///
/// # Errors
/// Those of its SQL and of the connection. A transaction that is open has to [`fail`] with them.
pub(crate) async fn query(
    config: &Config,
    client: &Client,
    statement: &Statement,
    part: Option<usize>,
    sql: &str,
) -> Result<ResultSet, End> {
    let request = &statement.request;
    let begin = |sql: &str| statement.begin(part, is_numbered(sql).then(|| config.next_query_id()));
    let parameters = request.parameters.as_deref().unwrap_or_default();
    // In a batch, each statement takes those of the parameters that it names.
    let bind = if request.sqls.is_some() { bind_named } else { bind };
    let bound = bind(sql, parameters).map_err(|f| End::Failed(format!("ERROR: {}", f.message)))?;
    if let Some(folder) = &config.s3
        && let Some(transfer) = dialect::files::transfer(&bound.sql).map_err(|e| not_loaded(&e.into()))?
    {
        begin(&bound.sql);
        transfer.run(client, folder, pin!(statement.cancelled())).await.map_err(|e| not_loaded(&e))?;
        return Ok(ResultSet::without_columns(0));
    }
    let statements = dialect::translate(&bound.sql).map_err(|e| End::Failed(format!("ERROR: {e}")))?;
    let [translated] = &statements[..] else {
        begin(&bound.sql);
        // At once, they are one transaction, or part of the one that is open.
        client.batch_execute(&statements.join(";")).await.map_err(|e| end(&e))?;
        return Ok(ResultSet::without_columns(0));
    };
    let prepared = client.prepare(translated).await.map_err(|e| end_of(&e, &bound.sql, translated))?;
    let origins = Origins::of(client, prepared.columns()).await.map_err(|e| end(&e))?;
    let columns: Vec<_> = prepared.columns().iter().map(|c| column(c, &origins)).collect();
    let literals: Vec<_> = prepared.params().iter().zip(&bound.values).map(|(of, value)| literal(of, value)).collect();
    let filled = fill(translated, &literals);
    begin(&bound.sql);
    // Only this way of asking has the values written by PostgreSQL.
    let messages = client.simple_query_raw(&filled).await.map_err(|e| end_of(&e, &bound.sql, &filled))?;
    let mut messages = pin!(messages);
    let (mut records, mut size, mut affected) = (Vec::new(), 0, 0);
    while let Some(message) = messages.try_next().await.map_err(|e| end_of(&e, &bound.sql, &filled))? {
        match message {
            SimpleQueryMessage::Row(row) => {
                let texts = (0..row.len()).map(|n| row.try_get(n).unwrap_or(Some(UNREADABLE)));
                let record = texts.zip(prepared.columns()).map(|(text, column)| {
                    size += text.map_or(0, str::len);
                    field(column.type_(), text)
                });
                records.push(record.collect());
            }
            SimpleQueryMessage::CommandComplete(rows) => affected = rows,
            _ => {}
        }
    }
    if columns.is_empty() {
        return Ok(ResultSet::without_columns(affected_by(&bound.sql, affected)));
    }
    let rows_or_affected = i64::try_from(records.len()).unwrap_or(i64::MAX);
    Ok(ResultSet { columns, records, rows_or_affected, size: i64::try_from(size).unwrap_or(i64::MAX) })
}

/// A value that a session with a `client_encoding` of its own writes as something else than UTF-8.
const UNREADABLE: &str = "\u{fffd}";

/// A parameter's value, of the type that its place asks for.
fn literal(of: &Type, value: &str) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!("({}::{}.{})", dialect::literal(value), quoted(of.schema()), quoted(of.name()))
}

/// Has the transaction that is open fail, as on Redshift with any of its statements: PostgreSQL has not seen what was refused before it.
/// Where none is open, nothing happens.
pub(crate) async fn fail(client: &Client) {
    let _ = client.batch_execute("SELECT 1/0").await;
}

fn first_word(sql: &str) -> String {
    dialect::first_words(sql, 1).concat().to_uppercase()
}

/// Whether Redshift gives it the number of a query: not to what changes no rows. [recorded: a CREATE VIEW has 0]
fn is_numbered(sql: &str) -> bool {
    const NOT: [&str; 14] = [
        "CREATE", "DROP", "ALTER", "GRANT", "REVOKE", "COMMENT", "SET", "RESET", "BEGIN", "START", "COMMIT", "END",
        "ROLLBACK", "LOCK",
    ];
    !NOT.contains(&first_word(sql).as_str())
}

/// The rows that it has changed; 0 if it is not of the kind that changes rows, and of a COPY.
/// [recorded: a DELETE and an INSERT of one row, an UPDATE of none, a CREATE VIEW; aws-sdk#356]
fn affected_by(sql: &str, rows: u64) -> i64 {
    let counts = ["INSERT", "UPDATE", "DELETE", "MERGE", "WITH"].contains(&first_word(sql).as_str());
    if counts { i64::try_from(rows).unwrap_or(i64::MAX) } else { 0 }
}

pub(crate) fn not_loaded(failed: &dialect::files::Failed) -> End {
    match failed {
        dialect::files::Failed::Engine(error) => end(error),
        dialect::files::Failed::Cancelled => End::Aborted,
        other => End::Failed(format!("ERROR: {other}")),
    }
}

/// How an error ends a statement whose SQL nobody sent.
pub(crate) fn end(error: &tokio_postgres::Error) -> End {
    end_of(error, "", "")
}

/// How an error ends a statement, of which `run` is what ran in place of `sql`.
fn end_of(error: &tokio_postgres::Error, sql: &str, run: &str) -> End {
    let Some(db) = error.as_db_error() else {
        let cause = error.source().map_or_else(String::new, |s| format!(": {s}"));
        return End::Failed(format!("{error}{cause}"));
    };
    if *db.code() == SqlState::QUERY_CANCELED && db.message().contains("user request") {
        return End::Aborted;
    }
    End::Failed(text(db, sql, run))
}

/// As the JDBC driver writes an error, through which the service talks to Redshift.
/// [amazon-redshift-jdbc-driver, com.amazon.redshift.util.ServerErrorMessage]
fn text(db: &DbError, sql: &str, run: &str) -> String {
    let place = match db.position() {
        Some(ErrorPosition::Original(place)) => place_in(sql, run, *place).map(|place| place.to_string()),
        _ => None,
    };
    let mut text = format!("{}: {}", db.severity(), db.message());
    for (name, value) in
        [("Detail", db.detail()), ("Hint", db.hint()), ("Position", place.as_deref()), ("Where", db.where_())]
    {
        if let Some(value) = value {
            text.push_str(&format!("\n  {name}: {value}"));
        }
    }
    text
}

/// Where a character of what ran stands in the SQL that was sent, counted from 1; nothing if it is within what was translated.
fn place_in(sql: &str, run: &str, place: u32) -> Option<usize> {
    let place = usize::try_from(place).ok()?;
    let (sql, run): (Vec<char>, Vec<char>) = (sql.chars().collect(), run.chars().collect());
    let same = sql.iter().zip(&run).take_while(|(a, b)| a == b).count();
    let same_at_the_end = sql.iter().rev().zip(run.iter().rev()).take_while(|(a, b)| a == b).count();
    if place <= same {
        return Some(place);
    }
    let from_the_end = run.len().checked_sub(place).filter(|n| *n < same_at_the_end.min(sql.len() - same))?;
    Some(sql.len() - from_the_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_that_in_what_was_sent() {
        for (sql, run, place, expected) in [
            ("SELECT nope FROM t", "SELECT nope FROM t", 8, Some(8)),
            ("SELECT NVL(a, 1), nope", "SELECT COALESCE(a, 1), nope", 24, Some(19)),
            ("SELECT nope, NVL(a, 1)", "SELECT nope, COALESCE(a, 1)", 8, Some(8)),
            ("SELECT NVL(a, 1)", "SELECT COALESCE(a, 1)", 10, None),
            ("SELECT 'é', nope", "SELECT 'é', nope", 13, Some(13)),
            ("", "", 1, None),
            ("SELECT 1", "SELECT 1", 9, None),
        ] {
            assert_eq!(place_in(sql, run, place), expected, "{sql} {run} {place}");
        }
    }

    #[test]
    fn rows_are_counted_where_they_change() {
        for (sql, expected) in [
            ("insert into t select 1", 3),
            ("/* a */ -- b\nINSERT INTO t SELECT 1", 3),
            (" DELETE FROM t", 3),
            ("CREATE TABLE t AS SELECT 1", 0),
        ] {
            assert_eq!(affected_by(sql, 3), expected, "{sql}");
        }
    }
}
