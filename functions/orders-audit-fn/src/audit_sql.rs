//! The SQL on the audit table: which runs are due, and what was notified. Pure text.

use shared::run_id::{Sought, columns};
use shared::sql::{UNRESOLVED, literal, moment};

use crate::config::Audit;
use crate::run::{Digest, Run};

/// What the ids in one UPDATE may take, as they are written, before another one is begun: well below the 100 KB of SQL
/// that the Data API takes.
const MAX_IDS_BYTES: usize = 80_000;

/// What people are notified of, and what the table remembers then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A run has mismatches.
    Mismatch,
    /// A run that was notified has none any more.
    Resolved,
}

/// Resolved, and no message has said so.
const CLOSABLE: &str = "status = 'RESOLVED' AND closed_by IS NULL";
/// The execution that queries and marks. Cast, because Redshift does not document the type of a parameter.
const EXECUTION: &str = "CAST(:execution AS VARCHAR(512))";
/// Whether a row remembers that this execution has told of it.
const REMEMBERED: &str = "STRPOS('|' || COALESCE(notified_by, ''), '|' || CAST(:execution AS VARCHAR(512)) || '|') > 0";
/// How many executions have told of a row. An older version counted none: it is one at least.
const TOLD: &str = "COALESCE(notified_count, CASE WHEN notified_at IS NULL THEN 0 ELSE 1 END)";
/// The row is NEW: never notified, or changed since.
const NEW: &str = "COALESCE(status, 'NEW') <> 'NOTIFIED'";
/// When a run is due. One moment for the question and for the mark of a digest: that names no runs, so it has
/// to find the ones that the question has found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    /// Hours until a run that was notified is due again; 0: in every execution.
    pub(crate) remind_after_hours: u32,
    /// Now, in seconds since 1970.
    pub(crate) now: u64,
}

impl When {
    fn now(self) -> String {
        moment(self.now)
    }

    /// 1 for a row that somebody has silenced, otherwise 0.
    fn silenced(self) -> String {
        format!("CASE WHEN COALESCE(silenced_until, '1970-01-01') > {} THEN 1 ELSE 0 END", self.now())
    }

    /// 1 for a row that is NEW (never notified, or changed since), and for one that this execution has not
    /// notified or, with a reminder, nobody for too long; otherwise 0.
    fn due(self) -> String {
        let remind = match self.remind_after_hours {
            0 => format!("NOT ({REMEMBERED})"),
            hours => format!("COALESCE(notified_at, '1970-01-01') < {} - INTERVAL '{hours} hours'", self.now()),
        };
        format!("CASE WHEN {NEW} OR {remind} THEN 1 ELSE 0 END")
    }
}

/// One row for each unresolved run and kind, in the order of the runs.
pub(crate) fn unresolved_sql(audit: &Audit, when: When) -> String {
    let Audit { table, key, time } = audit;
    let [head, rest] = id_in_result("run_key");
    format!(
        "SELECT {head}, kind, CAST(SUM(row_count) AS BIGINT) AS mismatches, MIN(at) AS first_at, MAX(at) AS last_at, \
         SUM(due) AS due, MAX(changed_in) AS changed_in, \
         CAST(EXTRACT(EPOCH FROM {now}) - EXTRACT(EPOCH FROM COALESCE(MIN(seen), {now})) AS BIGINT) AS waiting, \
         MAX(silenced) AS silenced, 0 AS resolved_at, {rest}, \
         CAST(SUM(CASE WHEN is_new = 1 THEN row_count ELSE 0 END) AS BIGINT) AS changed, \
         CAST(EXTRACT(EPOCH FROM MIN(seen)) AS BIGINT) AS since, MAX(told) AS told, \
         CAST(EXTRACT(EPOCH FROM MAX(told_at)) AS BIGINT) AS last_told FROM (\
         SELECT {key} AS run_key, COALESCE(kind, 'UNKNOWN') AS kind, {time} AS at, first_seen_at AS seen, \
         COALESCE(changed_in, 0) AS changed_in, COALESCE(row_count, 1) AS row_count, {} AS due, {} AS silenced, \
         CASE WHEN {NEW} THEN 1 ELSE 0 END AS is_new, \
         {TOLD} AS told, notified_at AS told_at \
         FROM {table} WHERE {UNRESOLVED}) unresolved \
         GROUP BY run_key, kind ORDER BY run_key, kind",
        when.due(),
        when.silenced(),
        now = when.now()
    )
}

/// A run's id in a result: the first column, and those at the end.
fn id_in_result(column: &str) -> [String; 2] {
    let [head, length, md5] = columns(column);
    [format!("{head} AS run_head"), format!("{length} AS run_length, {md5} AS run_md5")]
}

/// One row for each run that was notified, has become clean in the last 7 days, and has had no "resolved" message yet. What
/// is older is no news: these messages may have been switched on today.
pub(crate) fn resolved_sql(audit: &Audit, when: When) -> String {
    let [head, rest] = id_in_result("run_key");
    format!(
        "SELECT {head}, 'RESOLVED' AS kind, CAST(SUM(row_count) AS BIGINT) AS mismatches, NULL AS first_at, NULL AS last_at, \
         1 AS due, MAX(changed_in) AS changed_in, 0 AS waiting, 0 AS silenced, {RESOLVED_AT} AS resolved_at, {rest} \
         {} ORDER BY run_key",
        clean_runs(audit, when)
    )
}

/// When a run became clean, in seconds since 1970. Who resolves by hand may leave the time out.
const RESOLVED_AT: &str = "CAST(EXTRACT(EPOCH FROM MAX(at)) AS BIGINT)";

/// The runs that have become clean, by `run_key`: nothing of theirs is unresolved, and of what has been resolved lately something
/// was notified. Each part is a range of its own, so that zone maps rule out the blocks of the history.
fn clean_runs(audit: &Audit, when: When) -> String {
    let Audit { table, key, .. } = audit;
    let lately = format!("{} - INTERVAL '7 days'", when.now());
    let resolved = format!("{CLOSABLE} AND");
    let part = |at: &str, open: u8, which: &str| {
        format!(
            "SELECT {key} AS run_key, COALESCE(row_count, 1) AS row_count, COALESCE(changed_in, 0) AS changed_in, \
             {at} AS at, notified_at, {open} AS unresolved FROM {table} WHERE {which}"
        )
    };
    let parts = [
        part("CAST(NULL AS TIMESTAMP)", 1, UNRESOLVED),
        part("resolved_at", 0, &format!("{resolved} resolved_at > {lately}")),
        part("notified_at", 0, &format!("{resolved} resolved_at IS NULL AND notified_at > {lately}")),
    ];
    format!(
        "FROM ({}) parts GROUP BY run_key HAVING MAX(unresolved) = 0 AND MAX(notified_at) IS NOT NULL",
        parts.join(" UNION ALL ")
    )
}

impl Notice {
    /// What is set. Several executions are remembered, the newest first, each with a bar behind it: one that is
    /// cut off at the end has none, and is not taken for another. Redshift cuts in a CAST, by bytes as its columns count.
    fn set(self, when: When) -> String {
        match self {
            Self::Mismatch => format!(
                "status = CASE WHEN {UNRESOLVED} THEN 'NOTIFIED' ELSE status END, notified_at = {now}, \
                 notified_count = CASE WHEN {REMEMBERED} THEN notified_count ELSE {TOLD} + 1 END, \
                 notified_by = CASE WHEN {REMEMBERED} \
                 THEN notified_by ELSE CAST({EXECUTION} || '|' || COALESCE(notified_by, '') AS VARCHAR(512)) END",
                now = when.now()
            ),
            Self::Resolved => "closed_by = :execution".to_owned(),
        }
    }
}

/// Marks runs as notified or closed: the rows that were seen, not those that an audit has added since. Rows
/// resolved since the query are marked too; otherwise no "resolved" message would follow.
pub(crate) fn mark_sql(audit: &Audit, when: When, notice: Notice, runs: &[Run]) -> Vec<String> {
    let Audit { table, key, .. } = audit;
    let set = notice.set(when);
    let state = match notice {
        Notice::Mismatch => {
            // Who resolves by hand may leave the time out.
            let just = format!("(resolved_at IS NULL OR resolved_at > {} - INTERVAL '15 minutes')", when.now());
            format!("({UNRESOLVED} OR (closed_by IS NULL AND {just}))")
        }
        Notice::Resolved => CLOSABLE.to_owned(),
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
        self.bytes += ", ".len();
        match run.id.sought() {
            Sought::Null => self.null = true,
            Sought::Id(id) => {
                let id = literal(id);
                self.bytes += id.len();
                self.literals.push(id);
            }
            Sought::Md5(hash) => {
                let hash = literal(hash);
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
pub(crate) fn mark_digest_sql(audit: &Audit, when: When, notice: Notice, digest: &Digest) -> String {
    let Audit { table, key, .. } = audit;
    let seen = format!("COALESCE(changed_in, 0) <= {}", digest.changed_in);
    let (state, runs) = match notice {
        Notice::Mismatch => (
            UNRESOLVED,
            format!(
                "SELECT {key} FROM {table} WHERE {UNRESOLVED} AND {seen} \
                 GROUP BY {key} HAVING MAX({}) = 1 AND MAX({}) = 0",
                when.due(),
                when.silenced()
            ),
        ),
        Notice::Resolved => (
            CLOSABLE,
            format!("SELECT run_key {} AND {RESOLVED_AT} <= {}", clean_runs(audit, when), digest.resolved_at),
        ),
    };
    let or_none = if digest.without_id { format!(" OR {key} IS NULL") } else { String::new() };
    format!("UPDATE {table} SET {} WHERE {state} AND {seen} AND ({key} IN ({runs}){or_none})", notice.set(when))
}

#[cfg(test)]
mod tests {
    use shared::RunId;

    use super::*;

    const WHEN: When = When { remind_after_hours: 0, now: 1_000 };
    use shared::call::QualifiedName;

    #[test]
    fn marks_are_chunked_and_cover_what_was_seen_only() {
        let audit =
            Audit { table: QualifiedName::parse("dev.t", "table").expect("valid"), key: "k".into(), time: "at".into() };
        let run = |id: Option<&str>, changed_in| Run { id: id.into(), changed_in, ..Run::default() };
        let sql = mark_sql(&audit, WHEN, Notice::Mismatch, &[run(Some("1"), 3), run(None, 7), run(Some("x"), 5)]);
        assert_eq!(sql.len(), 1);
        assert!(sql[0].contains("changed_in, 0) <= 7 AND (k IN ('1', 'x') OR k IS NULL)"), "{}", sql[0]);
        assert!(mark_sql(&audit, WHEN, Notice::Resolved, &[run(None, 0)])[0].ends_with("AND (k IS NULL)"));
        // By what an id becomes: a quote doubles, a backslash grows to seventeen bytes.
        let sql_of = |id: &RunId, runs: usize| {
            let runs: Vec<_> = (0..runs).map(|_| Run { id: id.clone(), changed_in: 1, ..Run::default() }).collect();
            let sql = mark_sql(&audit, WHEN, Notice::Mismatch, &runs);
            assert!(sql.iter().all(|sql| sql.len() < 100_000), "{id:?}");
            sql
        };
        for (text, statements) in [("y", 2), ("'", 4), ("\\", 27)] {
            assert_eq!(sql_of(&Some(text.repeat(256).as_str()).into(), 500).len(), statements, "{text}");
        }
        let long = RunId::of_result(Some("\\".repeat(257)), Some(65_535), Some("0".repeat(32)));
        let sql = sql_of(&long, 500);
        assert!(sql.len() == 1 && sql[0].contains("AND (MD5(k) IN ('000"), "{}", sql[0]);
        assert!(mark_sql(&audit, WHEN, Notice::Mismatch, &[]).is_empty());
    }

    #[test]
    fn a_digest_is_marked_by_one_statement_of_what_was_asked_for() {
        let audit =
            Audit { table: QualifiedName::parse("dev.t", "table").expect("valid"), key: "k".into(), time: "at".into() };
        let when = When { remind_after_hours: 24, now: 1_000 };
        let mut digest = Digest { changed_in: 7, resolved_at: 900, ..Digest::default() };
        let sql = mark_digest_sql(&audit, when, Notice::Mismatch, &digest);
        let asked = unresolved_sql(&audit, when);
        for same in [when.due(), when.silenced(), "TIMESTAMP 'epoch' + 1000 * INTERVAL '1 second'".into()] {
            assert!(sql.contains(&same) && asked.contains(&same), "{same}: {sql}");
        }
        assert!(sql.contains("changed_in, 0) <= 7") && !sql.contains("k IS NULL"), "{sql}");
        digest.without_id = true;
        let sql = mark_digest_sql(&audit, when, Notice::Resolved, &digest);
        assert!(
            sql.contains(&clean_runs(&audit, when)) && sql.contains("<= 900") && sql.ends_with(" OR k IS NULL)"),
            "{sql}"
        );
        assert!(resolved_sql(&audit, when).contains(&clean_runs(&audit, when)));
    }

    /// `queries.sql` shows what the function asks, and is linted as Redshift's SQL. BLESS=1 writes it again.
    #[test]
    fn the_queries_are_those_that_are_shown() {
        let audit = Audit {
            table: QualifiedName::parse("dev.orders_audit", "table").expect("valid"),
            key: "run_id".into(),
            time: "order_ts".into(),
        };
        let when = |remind_after_hours| When { remind_after_hours, now: 1_767_225_600 };
        let runs = [Some("42"), None].map(|id| Run { id: id.into(), changed_in: 7, ..Run::default() });
        let digest = Digest { changed_in: 7, resolved_at: 900, ..Digest::default() };
        let mut all = vec![
            unresolved_sql(&audit, when(0)),
            unresolved_sql(&audit, when(24)),
            resolved_sql(&audit, when(0)),
            mark_digest_sql(&audit, when(24), Notice::Mismatch, &digest),
            mark_digest_sql(&audit, when(24), Notice::Resolved, &digest),
        ];
        all.extend(mark_sql(&audit, when(0), Notice::Mismatch, &runs));
        all.extend(mark_sql(&audit, when(0), Notice::Resolved, &runs));
        let text = all.iter().map(|sql| format!("{sql};\n")).collect::<Vec<_>>().join("\n");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/queries.sql");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &text).expect("a file");
        }
        assert_eq!(std::fs::read_to_string(path).expect("the file"), text, "BLESS=1 cargo test -p orders-audit-fn");
    }
}
