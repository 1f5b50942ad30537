//! The runs of the audit table: grouped by the warehouse, streamed a page at a time, marked in chunks.

use std::time::SystemTime;

use aws_sdk_redshiftdata::Client;
use shared::rows::{Pages, Query, Row};
use shared::{Error, Result, StatementId};
use tracing::info;

use crate::config::{Audit, Config};
use crate::message::Digest;
use crate::run_id::{MAX_SHOWN_CHARS, RunId, Sought};

/// What the ids in one UPDATE may take, as they are written, before another one is begun: well below the 100 KB of SQL
/// that the Data API takes.
const MAX_IDS_BYTES: usize = 60_000;

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// Which run.
    pub id: RunId,
    /// Its mismatches, by kind.
    pub mismatches: Vec<Mismatches>,
    /// Whether a row of it is to be told now.
    pub due: bool,
    /// Whether somebody has silenced it: one of its rows is enough, as rows that come later are not marked.
    pub silenced: bool,
    /// The newest audit that changed what was seen of it.
    pub changed_in: i64,
    /// Seconds since its oldest mismatch was first seen.
    pub waiting_seconds: i64,
    /// When it became clean, in seconds since 1970; 0 where it is not.
    pub resolved_at: i64,
}

impl Run {
    /// Its mismatches of all kinds.
    pub fn rows(&self) -> i64 {
        self.mismatches.iter().map(|m| m.rows).sum()
    }
}

/// Everything that is not RESOLVED, a NULL included.
const UNRESOLVED: &str = "COALESCE(status, 'NEW') <> 'RESOLVED'";
/// The execution that asks and marks. Cast, because nobody knows how Redshift types a parameter.
const EXECUTION: &str = "CAST(:execution AS VARCHAR(512))";
/// When a run became clean, in seconds since 1970. Who resolves by hand may leave the time out.
const RESOLVED_AT: &str = "CAST(EXTRACT(EPOCH FROM MAX(COALESCE(resolved_at, notified_at))) AS BIGINT)";

/// When a run is due. One moment for the question and for the mark of a digest: that names no runs, so it has
/// to find the ones that the question has found.
#[derive(Debug, Clone, Copy)]
pub struct When {
    /// After how many hours a run that was notified is repeated; 0: in every execution.
    pub remind_after_hours: u32,
    /// Now, in seconds since 1970.
    pub now: u64,
}

impl When {
    fn now(self) -> String {
        format!("(TIMESTAMP 'epoch' + {} * INTERVAL '1 second')", self.now)
    }

    /// 1 for a row that somebody has silenced, else 0.
    fn silenced(self) -> String {
        format!("CASE WHEN COALESCE(silenced_until, '1970-01-01') > {} THEN 1 ELSE 0 END", self.now())
    }

    /// 1 for a row that is NEW (never notified, or changed since), and for one that this execution has not
    /// notified or, with a reminder, nobody for too long; else 0.
    fn due(self) -> String {
        let remind = match self.remind_after_hours {
            0 => format!("STRPOS('|' || COALESCE(notified_by, ''), '|' || {EXECUTION} || '|') = 0"),
            hours => format!("COALESCE(notified_at, '1970-01-01') < {} - INTERVAL '{hours} hours'", self.now()),
        };
        format!("CASE WHEN COALESCE(status, 'NEW') <> 'NOTIFIED' OR {remind} THEN 1 ELSE 0 END")
    }
}

/// One row for each unresolved run and kind, in the order of the runs.
pub fn unresolved_sql(audit: &Audit, when: When) -> String {
    let Audit { table, key, time } = audit;
    format!(
        "SELECT {}, kind, COUNT(*) AS mismatches, MIN(at) AS first_at, MAX(at) AS last_at, \
         SUM(due) AS due, MAX(changed_in) AS changed_in, \
         CAST(EXTRACT(EPOCH FROM GETDATE()) - EXTRACT(EPOCH FROM COALESCE(MIN(seen), GETDATE())) AS BIGINT) AS waiting, \
         MAX(silenced) AS silenced, 0 AS resolved_at, {} FROM (\
         SELECT {key} AS run_key, COALESCE(kind, 'UNKNOWN') AS kind, {time} AS at, first_seen_at AS seen, \
         COALESCE(changed_in, 0) AS changed_in, {} AS due, {} AS silenced \
         FROM {table} WHERE {UNRESOLVED}) unresolved \
         GROUP BY run_key, kind ORDER BY run_key, kind",
        head_of("run_key"),
        rest_of("run_key"),
        when.due(),
        when.silenced()
    )
}

/// A run's id in a result: the Data API has at most 64 KB in a row, and an id may be as long. A long one is cut, and
/// [`rest_of`] has its length and hash. The first column of a result.
fn head_of(key: &str) -> String {
    format!("LEFT(CAST({key} AS VARCHAR(65535)), {}) AS run_head", MAX_SHOWN_CHARS + 1)
}

/// What stands for the rest of an id that is cut. The last columns of a result.
fn rest_of(key: &str) -> String {
    format!("LENGTH(CAST({key} AS VARCHAR(65535))) AS run_length, MD5(CAST({key} AS VARCHAR(65535))) AS run_md5")
}

/// One row for each run that was notified, has become clean in the last 7 days, and was not said to be. What
/// is older is no news: telling of clean runs may have been switched on today.
pub fn resolved_sql(audit: &Audit) -> String {
    let Audit { table, key, .. } = audit;
    format!(
        "SELECT {}, 'RESOLVED' AS kind, COUNT(*) AS mismatches, NULL AS first_at, NULL AS last_at, \
         1 AS due, MAX(COALESCE(changed_in, 0)) AS changed_in, 0 AS waiting, 0 AS silenced, {RESOLVED_AT} AS resolved_at, {} \
         FROM {table} GROUP BY {key} HAVING {} ORDER BY {key}",
        head_of(key),
        rest_of(key),
        is_clean()
    )
}

fn is_clean() -> String {
    format!(
        "MAX(CASE WHEN {UNRESOLVED} THEN 1 ELSE 0 END) = 0 \
         AND MAX(CASE WHEN notified_at IS NOT NULL AND closed_by IS NULL \
         AND COALESCE(resolved_at, notified_at) > GETDATE() - INTERVAL '7 days' THEN 1 ELSE 0 END) = 1"
    )
}

impl Mark {
    /// What is set. Several executions are remembered, the newest first, each with a bar behind it: one that is
    /// cut off at the end has none, and is not taken for another.
    fn set(self) -> String {
        match self {
            Self::Notified => format!(
                "status = CASE WHEN {UNRESOLVED} THEN 'NOTIFIED' ELSE status END, notified_at = GETDATE(), \
                 notified_by = CASE WHEN STRPOS('|' || COALESCE(notified_by, ''), '|' || {EXECUTION} || '|') > 0 \
                 THEN notified_by ELSE LEFT({EXECUTION} || '|' || COALESCE(notified_by, ''), 512) END"
            ),
            Self::Closed => "closed_by = :execution".to_owned(),
        }
    }
}

/// Marks runs as notified or closed: what was seen of them, not what an audit has added since. What was
/// resolved since then was told of too, or nobody would ever hear that it is clean.
pub(crate) fn mark_sql(audit: &Audit, what: Mark, runs: &[Run]) -> Vec<String> {
    let Audit { table, key, .. } = audit;
    let set = what.set();
    let state = match what {
        Mark::Notified => {
            format!("({UNRESOLVED} OR (closed_by IS NULL AND resolved_at > GETDATE() - INTERVAL '15 minutes'))")
        }
        Mark::Closed => "status = 'RESOLVED' AND closed_by IS NULL".to_owned(),
    };
    let (mut chunks, mut open) = (Vec::new(), Chunk::default());
    for run in runs {
        if open.bytes > MAX_IDS_BYTES {
            chunks.push(std::mem::take(&mut open));
        }
        open.add(run);
    }
    chunks.push(open);
    let which = |chunk: &Chunk| format!("COALESCE(changed_in, 0) <= {} AND ({})", chunk.seen, chunk.condition(key));
    let used = chunks.iter().filter(|chunk| chunk.bytes > 0);
    used.map(|chunk| format!("UPDATE {table} SET {set} WHERE {state} AND {}", which(chunk))).collect()
}

/// The runs that one UPDATE marks.
#[derive(Debug, Default)]
struct Chunk {
    literals: Vec<String>,
    md5s: Vec<String>,
    null: bool,
    /// The newest audit that changed one of them.
    seen: i64,
    /// Of its condition, about.
    bytes: usize,
}

impl Chunk {
    fn add(&mut self, run: &Run) {
        self.seen = self.seen.max(run.changed_in);
        self.bytes += 20;
        match run.id.sought() {
            Sought::Null => self.null = true,
            Sought::Literal(id) => {
                self.bytes += id.len();
                self.literals.push(id);
            }
            Sought::Md5(hash) => {
                self.bytes += hash.len();
                self.md5s.push(hash);
            }
        }
    }

    fn condition(&self, key: &str) -> String {
        let list = |what: String, ids: &[String]| (!ids.is_empty()).then(|| format!("{what} IN ({})", ids.join(", ")));
        let null = self.null.then(|| format!("{key} IS NULL"));
        let all = [list(key.to_owned(), &self.literals), list(format!("MD5({key})"), &self.md5s), null];
        all.into_iter().flatten().collect::<Vec<_>>().join(" OR ")
    }
}

/// Marks what a digest was about, however many runs, in one statement: all of it, or nothing.
pub(crate) fn mark_digest_sql(audit: &Audit, when: When, what: Mark, digest: &Digest) -> String {
    let Audit { table, key, .. } = audit;
    let seen = format!("COALESCE(changed_in, 0) <= {}", digest.changed_in);
    let (state, runs) = match what {
        Mark::Notified => (
            format!("{UNRESOLVED} AND {seen}"),
            format!(
                "WHERE {UNRESOLVED} AND {seen} GROUP BY {key} HAVING MAX({}) = 1 AND MAX({}) = 0",
                when.due(),
                when.silenced()
            ),
        ),
        Mark::Closed => (
            format!("status = 'RESOLVED' AND closed_by IS NULL AND {seen}"),
            format!("GROUP BY {key} HAVING {} AND {RESOLVED_AT} <= {}", is_clean(), digest.resolved_at),
        ),
    };
    let or_none = if digest.without_id { format!(" OR {key} IS NULL") } else { String::new() };
    format!(
        "UPDATE {table} SET {} WHERE {state} AND ({key} IN (SELECT {key} FROM {table} {runs}){or_none})",
        what.set()
    )
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
    pub(crate) when: When,
    pub(crate) deadline: SystemTime,
}

impl AuditTable<'_> {
    /// Asks for the runs that a mark is for; the statement whose rows [`Runs`] reads.
    pub(crate) async fn ask(&self, what: Mark) -> Result<StatementId> {
        let audit = &self.config.audit;
        match what {
            Mark::Notified => self.run(&unresolved_sql(audit, self.when), "runs").await,
            Mark::Closed => self.run(&resolved_sql(audit), "resolved").await,
        }
    }

    /// Remembers what was sent.
    pub(crate) async fn mark(&self, what: Mark, runs: &[Run]) -> Result<()> {
        for sql in mark_sql(&self.config.audit, what, runs) {
            self.run(&sql, "mark").await?;
        }
        info!(runs = runs.len(), mark = ?what, "marked");
        Ok(())
    }

    /// Remembers what a digest was about.
    pub(crate) async fn mark_digest(&self, what: Mark, digest: &Digest) -> Result<()> {
        self.run(&mark_digest_sql(&self.config.audit, self.when, what, digest), "mark").await?;
        info!(runs = digest.runs, mark = ?what, "marked");
        Ok(())
    }

    async fn run(&self, sql: &str, name: &str) -> Result<StatementId> {
        let execution = [("execution", self.execution)];
        // A parameter that is not used is refused.
        let parameters = if sql.contains(":execution") { &execution[..] } else { &[] };
        let name = format!("{}{name}", self.prefix);
        let query = Query { sql, parameters, name: &name };
        shared::rows::run(self.client, &self.config.target, query, self.deadline).await
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
                    run.silenced |= next.silenced;
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
    let number = |column| row.integer(column).unwrap_or(0);
    Ok(Run {
        id: RunId::of_result(row.text(0), row.integer(10), row.text(11)),
        mismatches: vec![mismatches],
        due: due > 0,
        silenced: number(8) > 0,
        changed_in,
        waiting_seconds: number(7),
        resolved_at: number(9),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::call::QualifiedName;

    #[test]
    fn marks_are_chunked_and_cover_what_was_seen_only() {
        let audit =
            Audit { table: QualifiedName::parse("dev.t", "table").expect("valid"), key: "k".into(), time: "at".into() };
        let run = |id: Option<&str>, changed_in| Run { id: id.into(), changed_in, ..Run::default() };
        let sql = mark_sql(&audit, Mark::Notified, &[run(Some("1"), 3), run(None, 7), run(Some("x"), 5)]);
        assert_eq!(sql.len(), 1);
        assert!(sql[0].contains("changed_in, 0) <= 7 AND (k IN ('1', 'x') OR k IS NULL)"), "{}", sql[0]);
        assert!(mark_sql(&audit, Mark::Closed, &[run(None, 0)])[0].ends_with("AND (k IS NULL)"));
        // By what an id becomes: a quote doubles, a backslash grows to seventeen bytes.
        let sql_of = |id: &RunId, runs: usize| {
            let runs: Vec<_> = (0..runs).map(|_| Run { id: id.clone(), changed_in: 1, ..Run::default() }).collect();
            let sql = mark_sql(&audit, Mark::Notified, &runs);
            assert!(sql.iter().all(|sql| sql.len() < 100_000), "{id:?}");
            sql
        };
        for (text, statements) in [("y", 3), ("'", 5), ("\\", 36)] {
            assert_eq!(sql_of(&Some(text.repeat(256).as_str()).into(), 500).len(), statements, "{text}");
        }
        let long = RunId::of_result(Some("\\".repeat(257)), Some(65_535), Some("0".repeat(32)));
        let sql = sql_of(&long, 500);
        assert!(sql.len() == 1 && sql[0].contains("AND (MD5(k) IN ('000"), "{}", sql[0]);
        assert!(mark_sql(&audit, Mark::Notified, &[]).is_empty());
    }

    #[test]
    fn a_digest_is_marked_by_one_statement_of_what_was_asked_for() {
        let audit =
            Audit { table: QualifiedName::parse("dev.t", "table").expect("valid"), key: "k".into(), time: "at".into() };
        let when = When { remind_after_hours: 24, now: 1_000 };
        let mut digest = Digest { changed_in: 7, resolved_at: 900, ..Digest::default() };
        let sql = mark_digest_sql(&audit, when, Mark::Notified, &digest);
        let asked = unresolved_sql(&audit, when);
        for same in [when.due(), when.silenced(), "TIMESTAMP 'epoch' + 1000 * INTERVAL '1 second'".into()] {
            assert!(sql.contains(&same) && asked.contains(&same), "{same}: {sql}");
        }
        assert!(sql.contains("changed_in, 0) <= 7") && !sql.contains("k IS NULL"), "{sql}");
        digest.without_id = true;
        let sql = mark_digest_sql(&audit, when, Mark::Closed, &digest);
        assert!(sql.contains(&is_clean()) && sql.contains("<= 900") && sql.ends_with(" OR k IS NULL)"), "{sql}");
        assert!(resolved_sql(&audit).contains(&is_clean()));
    }
}
