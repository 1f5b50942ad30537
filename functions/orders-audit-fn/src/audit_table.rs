//! The audit table, as one invocation works on it: asks for runs, reads them a page at a time, marks them.

use std::time::SystemTime;

use aws_sdk_redshiftdata::Client;
use shared::statement::Query;
use shared::{Error, ErrorKind, Result, RunId, StatementId};
use tracing::info;

use crate::audit_sql::{Notice, When, mark_digest_sql, mark_sql, resolved_sql, unresolved_sql};
use crate::config::{Audit, Config};
use crate::query::{self, Pages, Row};
use crate::run::{Digest, Mismatches, Run};

/// The audit table, as one invocation works on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuditTable<'a> {
    pub(crate) client: &'a Client,
    pub(crate) config: &'a Config,
    pub(crate) audit: &'a Audit,
    /// The execution's id: what rows remember.
    pub(crate) execution: &'a str,
    /// What the statements' names begin with.
    pub(crate) prefix: &'a str,
    pub(crate) when: When,
    pub(crate) deadline: SystemTime,
}

impl AuditTable<'_> {
    /// Submits the query for this kind of notice; returns its statement, which [`Runs`] reads.
    pub(crate) async fn ask(&self, notice: Notice) -> Result<StatementId> {
        let audit = self.audit;
        match notice {
            Notice::Mismatch => self.run(&unresolved_sql(audit, self.when), "runs").await,
            Notice::Resolved => self.run(&resolved_sql(audit, self.when), "resolved").await,
        }
    }

    /// Remembers what was sent: all that can be, whatever becomes of the rest.
    pub(crate) async fn mark(&self, notice: Notice, runs: &[Run]) -> Result<()> {
        let mut outcome = Ok(());
        for sql in mark_sql(self.audit, self.when, notice, runs) {
            let marked = self.run(&sql, "mark").await;
            outcome = outcome.and(marked.map(|_| ()));
        }
        if outcome.is_ok() {
            info!(runs = runs.len(), ?notice, "marked");
        }
        outcome
    }

    /// Remembers what a digest was about.
    pub(crate) async fn mark_digest(&self, notice: Notice, digest: &Digest) -> Result<()> {
        self.run(&mark_digest_sql(self.audit, self.when, notice, digest), "mark").await?;
        info!(runs = digest.runs, ?notice, "marked");
        Ok(())
    }

    async fn run(&self, sql: &str, name: &str) -> Result<StatementId> {
        let execution = [("execution", self.execution)];
        // A parameter that is not used is refused.
        let parameters = if sql.contains(":execution") { &execution[..] } else { &[] };
        let name = format!("{}{name}", self.prefix);
        let query = Query { sql, parameters, name: &name };
        query::run(self.client, &self.config.target, query, self.deadline).await
    }
}

/// Puts the rows of one run together.
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    pages: Pages<'a>,
    rows: std::vec::IntoIter<Row>,
    pending: Option<Run>,
}

impl<'a> Runs<'a> {
    /// The runs in the result of a finished [`unresolved_sql`] or [`resolved_sql`].
    pub(crate) fn of(client: &'a Client, id: &'a StatementId) -> Self {
        Self { pages: Pages::of(client, id), rows: Vec::new().into_iter(), pending: None }
    }

    /// The next run, or nothing after the last.
    ///
    /// # Errors
    /// `AuditQueryFailed` if the result is not that of our queries; otherwise as for every call.
    pub(crate) async fn next(&mut self) -> Result<Option<Run>> {
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
                    run.since = [run.since, next.since].into_iter().flatten().min();
                    run.told = run.told.max(next.told);
                    run.last_told = run.last_told.max(next.last_told);
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
        return Err(Error::new(
            ErrorKind::AuditQueryFailed,
            "the audit table's result has a row without kind or count",
        ));
    };
    let number = |column| row.integer(column).unwrap_or(0);
    let mismatches = Mismatches { kind, rows, changed: number(12), first: row.text(3), last: row.text(4) };
    Ok(Run {
        id: RunId::of_result(row.text(0), row.integer(10), row.text(11)),
        mismatches: vec![mismatches],
        due: due > 0,
        silenced: number(8) > 0,
        changed_in,
        waiting_seconds: number(7),
        since: row.integer(13),
        told: number(14),
        last_told: row.integer(15),
        resolved_at: number(9),
    })
}
