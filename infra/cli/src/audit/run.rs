//! `loader audit run`: an audit, run now, and what it found.

use std::path::Path;

use super::declaration::Declaration;
use crate::aws::Calls;
use crate::stack::Place;
use crate::terminal::{Steps, lines, table};
use crate::warehouse::Warehouse;
use crate::{Error, Result};
use shared::sql::{UNRESOLVED, literal};

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
             TO_CHAR(MIN(first_seen_at), 'YYYY-MM-DD HH24:MI') FROM {} WHERE {UNRESOLVED} \
             GROUP BY {run}, kind ORDER BY {run}, kind",
            self.table()
        )
    }
}
