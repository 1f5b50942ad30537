//! The runs of the audit table: grouped by the warehouse, streamed a page at a time, marked in chunks.

use std::time::SystemTime;

use aws_sdk_redshiftdata::Client;
use shared::rows::{Pages, Query, Row};
use shared::{Error, Result, StatementId};
use tracing::info;

use crate::config::{Audit, Config};

/// What the ids in one UPDATE may take, well below the Data API's 100 KB of SQL.
const MAX_IDS_BYTES: usize = 60_000;

/// A run of the upstream workflow. An audit row may have none, where the staged row had none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId(Option<String>);

impl RunId {
    /// The id as text; `NULL` where there is none, and `(empty)` for the empty text, which SNS refuses.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().map_or("NULL", |id| if id.is_empty() { "(empty)" } else { id })
    }

    /// The condition that finds its rows.
    pub fn condition(&self, key: &str) -> String {
        self.literal().map_or_else(|| format!("{key} IS NULL"), |id| format!("{key} = {id}"))
    }

    /// As a literal that means the same on Redshift, where a backslash escapes, and on PostgreSQL, where
    /// it does not. Quoted also where it is a number: a column of numbers reads it, one of text needs it.
    fn literal(&self) -> Option<String> {
        let id = self.0.as_deref()?;
        let quoted = id.split('\\').map(|part| format!("'{}'", part.replace('\'', "''")));
        Some(quoted.collect::<Vec<_>>().join(" || CHR(92) || "))
    }
}

impl From<Option<&str>> for RunId {
    fn from(id: Option<&str>) -> Self {
        Self(id.map(str::to_owned))
    }
}

/// The mismatches of one kind in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatches {
    /// What the audit calls it: `MISSING_IN_REDSHIFT` and so on.
    pub kind: String,
    /// How many rows.
    pub rows: i64,
    /// The earliest time of them, where there is one.
    pub first: Option<String>,
    /// The latest time of them, where there is one.
    pub last: Option<String>,
}

/// A run with mismatches that nobody has resolved yet; or, where there are none, one that is clean again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which run.
    pub id: RunId,
    /// Its mismatches, by kind.
    pub mismatches: Vec<Mismatches>,
    /// Whether somebody is to be told now.
    pub due: bool,
    /// The newest audit that changed what was seen of it.
    pub changed_in: i64,
    /// Seconds since its oldest mismatch was first seen.
    pub waiting_seconds: i64,
}

impl Run {
    /// Its mismatches of all kinds.
    pub fn rows(&self) -> i64 {
        self.mismatches.iter().map(|m| m.rows).sum()
    }
}

/// One row for each unresolved run and kind, in the order of the runs. Whatever is not RESOLVED is
/// unresolved, a NULL included.
///
/// Due is what is NEW (never notified, or changed since), and what was notified by another execution or,
/// with a reminder, too long ago; not what somebody has silenced.
pub fn unresolved_sql(audit: &Audit, remind_after_hours: u32) -> String {
    let Audit { table, key, time } = audit;
    let remind = match remind_after_hours {
        0 => "COALESCE(notified_by, '') <> :execution".to_owned(),
        hours => format!("COALESCE(notified_at, '1970-01-01') < GETDATE() - INTERVAL '{hours} hours'"),
    };
    format!(
        "SELECT run_key, kind, COUNT(*) AS mismatches, MIN(at) AS first_at, MAX(at) AS last_at, \
         SUM(due) AS due, MAX(changed_in) AS changed_in, \
         CAST(EXTRACT(EPOCH FROM GETDATE()) - EXTRACT(EPOCH FROM COALESCE(MIN(seen), GETDATE())) AS BIGINT) AS waiting FROM (\
         SELECT {key} AS run_key, COALESCE(kind, 'UNKNOWN') AS kind, {time} AS at, first_seen_at AS seen, \
         COALESCE(changed_in, 0) AS changed_in, \
         CASE WHEN COALESCE(silenced_until, '1970-01-01') > GETDATE() THEN 0 \
         WHEN COALESCE(status, 'NEW') <> 'NOTIFIED' THEN 1 WHEN {remind} THEN 1 ELSE 0 END AS due \
         FROM {table} WHERE COALESCE(status, 'NEW') <> 'RESOLVED') unresolved \
         GROUP BY run_key, kind ORDER BY run_key, kind"
    )
}

/// One row for each run that was notified, is clean now, and was not said to be.
pub fn resolved_sql(audit: &Audit) -> String {
    let Audit { table, key, .. } = audit;
    format!(
        "SELECT {key} AS run_key, 'RESOLVED' AS kind, COUNT(*) AS mismatches, NULL, NULL, 1, MAX(COALESCE(changed_in, 0)) \
         FROM {table} GROUP BY {key} \
         HAVING MAX(CASE WHEN COALESCE(status, 'NEW') <> 'RESOLVED' THEN 1 ELSE 0 END) = 0 \
         AND MAX(CASE WHEN notified_at IS NOT NULL AND closed_by IS NULL THEN 1 ELSE 0 END) = 1 ORDER BY {key}"
    )
}

/// Marks runs as notified or closed: what was seen of them, not what an audit has added since.
pub(crate) fn mark_sql(audit: &Audit, what: Mark, runs: &[Run]) -> Vec<String> {
    let Audit { table, key, .. } = audit;
    let (set, state) = match what {
        Mark::Notified => (
            "status = 'NOTIFIED', notified_at = GETDATE(), notified_by = :execution",
            "COALESCE(status, 'NEW') <> 'RESOLVED'",
        ),
        Mark::Closed => ("closed_by = :execution", "status = 'RESOLVED' AND closed_by IS NULL"),
    };
    let mut statements = Vec::new();
    let mut rest = runs;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |run: &&Run| {
            bytes += run.id.as_str().len() + 20;
            bytes <= MAX_IDS_BYTES
        };
        let (chunk, next) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        rest = next;
        let ids: Vec<_> = chunk.iter().filter_map(|run| run.id.literal()).collect();
        let null = chunk.iter().any(|run| run.id.0.is_none()).then(|| format!("{key} IS NULL"));
        let ids = (!ids.is_empty()).then(|| format!("{key} IN ({})", ids.join(", ")));
        let which: Vec<_> = ids.into_iter().chain(null).collect();
        let seen = chunk.iter().map(|run| run.changed_in).max().unwrap_or(0);
        statements.push(format!(
            "UPDATE {table} SET {set} WHERE {state} AND COALESCE(changed_in, 0) <= {seen} AND ({})",
            which.join(" OR ")
        ));
    }
    statements
}

/// What is remembered of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// That somebody was told of its mismatches.
    Notified,
    /// That somebody was told that they are gone.
    Closed,
}

/// The audit table, as one invocation works on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuditTable<'a> {
    pub(crate) client: &'a Client,
    pub(crate) config: &'a Config,
    /// The execution's id: what rows remember.
    pub(crate) execution: &'a str,
    /// What the statements' names begin with.
    pub(crate) prefix: &'a str,
    pub(crate) deadline: SystemTime,
}

impl AuditTable<'_> {
    /// Asks for runs; the statement whose rows [`Runs`] reads.
    pub(crate) async fn query(&self, sql: &str, name: &str) -> Result<StatementId> {
        let execution = [("execution", self.execution)];
        // A parameter that is not used is refused.
        let parameters = if sql.contains(":execution") { &execution[..] } else { &[] };
        let name = format!("{}{name}", self.prefix);
        let query = Query { sql, parameters, name: &name };
        shared::rows::run(self.client, &self.config.target, query, self.deadline).await
    }

    /// Remembers what was sent.
    pub(crate) async fn mark(&self, what: Mark, runs: &[Run]) -> Result<()> {
        for sql in mark_sql(&self.config.audit, what, runs) {
            self.query(&sql, "mark").await?;
        }
        info!(runs = runs.len(), mark = ?what, "marked");
        Ok(())
    }
}

/// Puts the rows of one run together.
#[derive(Debug)]
pub struct Runs<'a> {
    pages: Pages<'a>,
    rows: std::vec::IntoIter<Row>,
    pending: Option<Run>,
}

impl<'a> Runs<'a> {
    /// The runs in the result of a finished [`unresolved_sql`] or [`resolved_sql`].
    pub fn of(client: &'a Client, id: &'a StatementId) -> Self {
        Self { pages: Pages::of(client, id), rows: Vec::new().into_iter(), pending: None }
    }

    /// The next run, or nothing after the last.
    ///
    /// # Errors
    /// `AuditQueryFailed` where the result is not that of our queries; else as for every call.
    pub async fn next(&mut self) -> Result<Option<Run>> {
        loop {
            let Some(row) = self.rows.next() else {
                let Some(page) = self.pages.next().await? else { return Ok(self.pending.take()) };
                self.rows = page.into_iter();
                continue;
            };
            let next = read(&row)?;
            match &mut self.pending {
                Some(run) if run.id == next.id => {
                    run.mismatches.extend(next.mismatches);
                    run.due |= next.due;
                    run.changed_in = run.changed_in.max(next.changed_in);
                    run.waiting_seconds = run.waiting_seconds.max(next.waiting_seconds);
                }
                pending => {
                    if let Some(done) = pending.replace(next) {
                        return Ok(Some(done));
                    }
                }
            }
        }
    }
}

fn read(row: &Row) -> Result<Run> {
    let (Some(kind), Some(rows), Some(due), Some(changed_in)) =
        (row.text(1), row.integer(2), row.integer(5), row.integer(6))
    else {
        return Err(Error::AuditQueryFailed("the audit table's result has a row without kind or count".to_owned()));
    };
    let mismatches = Mismatches { kind, rows, first: row.text(3), last: row.text(4) };
    let waiting_seconds = row.integer(7).unwrap_or(0);
    Ok(Run { id: RunId(row.text(0)), mismatches: vec![mismatches], due: due > 0, changed_in, waiting_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::call::QualifiedName;

    #[test]
    fn a_run_is_found_by_a_condition_that_quotes() {
        let condition = |id| RunId::from(id).condition("run_id");
        assert_eq!(condition(None), "run_id IS NULL");
        assert_eq!(condition(Some("007")), "run_id = '007'");
        assert_eq!(condition(Some("it's")), "run_id = 'it''s'");
        assert_eq!(condition(Some("a\\' OR 1=1")), "run_id = 'a' || CHR(92) || ''' OR 1=1'");
    }

    #[test]
    fn marks_are_chunked_and_cover_what_was_seen_only() {
        let audit =
            Audit { table: QualifiedName::parse("dev.t", "table").expect("valid"), key: "k".into(), time: "at".into() };
        let run = |id: Option<&str>, changed_in| Run {
            id: id.into(),
            mismatches: vec![],
            due: true,
            changed_in,
            waiting_seconds: 0,
        };
        let sql = mark_sql(&audit, Mark::Notified, &[run(Some("1"), 3), run(None, 7), run(Some("x"), 5)]);
        assert_eq!(sql.len(), 1);
        assert!(sql[0].contains("changed_in, 0) <= 7 AND (k IN ('1', 'x') OR k IS NULL)"), "{}", sql[0]);
        assert!(mark_sql(&audit, Mark::Closed, &[run(None, 0)])[0].ends_with("AND (k IS NULL)"));
        let long = "y".repeat(1000);
        let many: Vec<_> = (0..200).map(|_| run(Some(&long), 1)).collect();
        let sql = mark_sql(&audit, Mark::Notified, &many);
        assert!(sql.len() == 4 && sql.iter().all(|s| s.len() < 100_000), "{}", sql.len());
        assert!(mark_sql(&audit, Mark::Notified, &[]).is_empty());
    }
}
