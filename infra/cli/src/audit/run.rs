//! `loader audit check` and `loader audit run`: a declaration against the warehouse, and the audit itself.

use std::path::Path;

use super::declaration::Declaration;
use crate::aws::Calls;
use crate::finding::{Finding, Verdict, failure, ok, warning};
use crate::install;
use crate::stack::Place;
use crate::terminal::{Steps, lines, table};
use crate::warehouse::{Warehouse, literal};
use crate::{Error, Result};

/// How many rows of what was found are printed.
const MOST_LINES: usize = 100;

/// What an audit looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Its window.
    Window,
    /// What a sweep does.
    All,
    /// From a run to a run.
    Between(String, String),
}

/// Compares a declaration with the warehouse, and prints what is wrong.
///
/// # Errors
/// If something is.
pub async fn check(
    place: &Place,
    file: &Path,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<()> {
    let audit = Declaration::read(file)?;
    audit.sql()?;
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let secret = stack.secret_user(&mut aws).await;
    let (caller, auditor) = stack.known_users(secret.as_ref())?;
    let mut warehouse = Warehouse::of(&mut aws, &stack, None);
    let catalog = warehouse.catalog(&audit.schemas()).await?;
    let mut findings = audit.check_against(&catalog);
    let grants = install::missing_grants(&mut warehouse, &audit, &catalog, (&caller, &auditor)).await;
    findings.push(granted(&audit, grants));
    for finding in &findings {
        print(&finding.coloured());
    }
    match findings.iter().filter(|finding| finding.verdict == Verdict::Failure).count() {
        0 => Ok(()),
        failed => Err(Error::new(format!("{failed} of {} checks failed", findings.len()))),
    }
}

fn granted(audit: &Declaration, missing: Result<Vec<String>>) -> Finding {
    let name = audit.name();
    match missing {
        Ok(missing) if missing.is_empty() => ok("audit", format!("{name}: the stack's users have what they need")),
        Ok(missing) => failure("audit", format!("{name}: {} GRANTs are missing", missing.len()), missing.join("\n")),
        Err(error) => {
            let fix = format!("loader install --audit infra/audits/{name}.yaml grants what is needed");
            warning("audit", format!("{name}: privileges cannot be looked at: {error}"), fix)
        }
    }
}

/// Runs an audit, waits for its end, and prints everything of it that is unresolved.
///
/// # Errors
/// If it fails, with the engine's text.
pub async fn run(
    place: &Place,
    file: &Path,
    span: &Span,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<()> {
    let audit = Declaration::read(file)?;
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let mut warehouse = Warehouse::of(&mut aws, &stack, None);
    let call = audit.call(span);
    let mut steps = Steps::new(1, &mut print);
    steps.next(&call);
    warehouse.run(&call).await.map_err(|e| Error::doing(&call, e))?;
    steps.finish();
    let rows = warehouse.texts(&audit.unresolved()).await?;
    let runs: std::collections::BTreeSet<_> = rows.iter().filter_map(|row| row.first()).collect();
    if rows.is_empty() {
        print(&format!("nothing of {} is unresolved", audit.table()));
        return Ok(());
    }
    let mut found = table(["run", "kind", "rows", "columns", "status", "since (UTC)"]);
    for row in rows.iter().take(MOST_LINES) {
        found.add_row(row.iter().map(|text| text.as_deref().unwrap_or("NULL")));
    }
    lines(&found).for_each(|line| print(&line));
    if rows.len() > MOST_LINES {
        print(&format!("and {} more lines", rows.len() - MOST_LINES));
    }
    print(&format!(
        "\n{} unresolved {}; each row of them: SELECT * FROM {} WHERE status <> 'RESOLVED'",
        runs.len(),
        if runs.len() == 1 { "run" } else { "runs" },
        audit.table()
    ));
    Ok(())
}

impl Declaration {
    fn call(&self, span: &Span) -> String {
        let [window, sweep, between] = self.procedures();
        let run = |text: &str| format!("CAST({} AS {})", literal(text), self.run.of.stored());
        match span {
            Span::Window => format!("CALL {window}()"),
            Span::All => format!("CALL {sweep}()"),
            Span::Between(from, to) => format!("CALL {between}({}, {})", run(from), run(to)),
        }
    }

    fn unresolved(&self) -> String {
        let run = &self.run.name.value;
        format!(
            "SELECT CAST({run} AS VARCHAR), kind, CAST(CAST(SUM(row_count) AS BIGINT) AS VARCHAR), MIN(differing_columns), MIN(status), \
             TO_CHAR(MIN(first_seen_at), 'YYYY-MM-DD HH24:MI') FROM {} WHERE COALESCE(status, 'NEW') <> 'RESOLVED' \
             GROUP BY {run}, kind ORDER BY {run}, kind",
            self.table()
        )
    }
}
