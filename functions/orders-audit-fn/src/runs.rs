//! The unresolved runs of the audit table, streamed: grouped by the warehouse, one page in memory.

use aws_sdk_redshiftdata::Client;
use shared::call::QualifiedName;
use shared::rows::{Pages, Row};
use shared::{Error, Result, StatementId};

/// A run of the upstream workflow. An audit row may have none, where the staged row had none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId(Option<String>);

impl RunId {
    /// The run_id as text; `NULL` where there is none.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("NULL")
    }

    /// The condition that finds its rows.
    pub fn condition(&self) -> String {
        match &self.0 {
            None => "run_id IS NULL".to_owned(),
            Some(id) if id.parse::<i64>().is_ok() => format!("run_id = {id}"),
            Some(id) => format!("run_id = '{}'", id.replace('\'', "''")),
        }
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
    /// The earliest order_ts of them, where there is one.
    pub first: Option<String>,
    /// The latest order_ts of them, where there is one.
    pub last: Option<String>,
}

/// A run with mismatches that nobody has resolved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnresolvedRun {
    /// Which run.
    pub run_id: RunId,
    /// Its mismatches, by kind.
    pub mismatches: Vec<Mismatches>,
}

/// One row for each run and kind, in the order of the runs. Whatever is not RESOLVED is unresolved, a
/// NULL included.
pub fn sql(table: &QualifiedName) -> String {
    format!(
        "SELECT run_id, COALESCE(kind, 'UNKNOWN') AS kind, COUNT(*) AS mismatches, \
         MIN(order_ts) AS first_order_ts, MAX(order_ts) AS last_order_ts \
         FROM {table} WHERE COALESCE(status, 'NEW') <> 'RESOLVED' GROUP BY 1, 2 ORDER BY 1, 2"
    )
}

/// Puts the rows of one run together.
#[derive(Debug)]
pub struct UnresolvedRuns<'a> {
    pages: Pages<'a>,
    rows: std::vec::IntoIter<Row>,
    pending: Option<UnresolvedRun>,
}

impl<'a> UnresolvedRuns<'a> {
    /// The runs in the result of a finished [`sql`].
    pub fn of(client: &'a Client, id: &'a StatementId) -> Self {
        Self { pages: Pages::of(client, id), rows: Vec::new().into_iter(), pending: None }
    }

    /// The next run, or nothing after the last.
    ///
    /// # Errors
    /// `AuditQueryFailed` where the result is not that of [`sql`]; else as for every call.
    pub async fn next(&mut self) -> Result<Option<UnresolvedRun>> {
        loop {
            let Some(row) = self.rows.next() else {
                let Some(page) = self.pages.next().await? else { return Ok(self.pending.take()) };
                self.rows = page.into_iter();
                continue;
            };
            let (run_id, mismatches) = read(&row)?;
            match &mut self.pending {
                Some(run) if run.run_id == run_id => run.mismatches.push(mismatches),
                pending => {
                    let next = UnresolvedRun { run_id, mismatches: vec![mismatches] };
                    if let Some(done) = pending.replace(next) {
                        return Ok(Some(done));
                    }
                }
            }
        }
    }
}

fn read(row: &Row) -> Result<(RunId, Mismatches)> {
    match (row.text(1), row.integer(2)) {
        (Some(kind), Some(rows)) => {
            Ok((RunId(row.text(0)), Mismatches { kind, rows, first: row.text(3), last: row.text(4) }))
        }
        _ => Err(Error::AuditQueryFailed("the audit table's result has a row without kind or count".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_by_a_condition_that_quotes() {
        let condition = |id| RunId::from(id).condition();
        assert_eq!(condition(None), "run_id IS NULL");
        assert_eq!(condition(Some("42")), "run_id = 42");
        assert_eq!(condition(Some("it's")), "run_id = 'it''s'");
    }
}
