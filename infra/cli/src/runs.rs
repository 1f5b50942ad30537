//! `loader runs`, `resolve` and `silence`: the unresolved runs of a stack's audits, for the one on call.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::aws::Calls;
use crate::stack::{Place, Stack};
use crate::terminal::{lines, numbers, table};
use crate::warehouse::{Warehouse, literal};
use crate::{Error, Result};

/// Everything that is not RESOLVED, a NULL included. In this form zone maps rule out the blocks that are RESOLVED as a whole.
pub(crate) const UNRESOLVED: &str = "(status < 'RESOLVED' OR status > 'RESOLVED' OR status IS NULL)";
/// The columns of an unresolved run.
const COLUMNS: [&str; 7] = ["audit", "run", "kind", "rows", "since", "told", "silenced_until"];

/// What is changed about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Its mismatches are accepted.
    Resolve,
    /// Nobody is told for so many days; 0 ends the silence.
    Silence(u32),
}

/// Prints the unresolved runs, as a table or as JSON; whether one of them is not silenced.
///
/// # Errors
/// If the warehouse does not answer.
pub async fn runs(
    place: &Place,
    as_json: bool,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<bool> {
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let mut warehouse = Warehouse::of(&mut aws, &stack, None);
    let now = moment(SystemTime::now());
    let mut all = Vec::new();
    let mut waits = false;
    for (name, [run, _]) in stack.audit_tables() {
        let time = |what: &str| format!("TO_CHAR({what}, 'YYYY-MM-DD HH24:MI')");
        let sql = format!(
            "SELECT CAST({run} AS VARCHAR), COALESCE(kind, 'UNKNOWN'), CAST(SUM(COALESCE(row_count, 1)) AS BIGINT), {}, {}, {}, \
             MAX(CASE WHEN silenced_until > {now} THEN 1 ELSE 0 END) FROM {name} WHERE {UNRESOLVED} \
             GROUP BY {run}, kind ORDER BY 4, {run}, 2",
            time("MIN(first_seen_at)"),
            time("MAX(notified_at)"),
            time(&format!("MAX(CASE WHEN silenced_until > {now} THEN silenced_until END)")),
        );
        for mut row in warehouse.texts(&sql).await? {
            waits |= row.pop().flatten().as_deref() != Some("1");
            all.push(std::iter::once(Some(name.to_owned())).chain(row).collect::<Vec<_>>());
        }
    }
    if as_json {
        print(&json!(all.iter().map(|row| object(row)).collect::<Vec<_>>()).to_string());
        return Ok(waits);
    }
    if all.is_empty() {
        print("no run is unresolved");
        return Ok(false);
    }
    let mut found = table(["audit table", "run", "kind", "rows", "since (UTC)", "told", "silenced until"]);
    for row in &all {
        found.add_row(
            row.iter().enumerate().map(|(n, text)| text.as_deref().unwrap_or(if n == 1 { "NULL" } else { "" })),
        );
    }
    numbers(&mut found);
    lines(&found).for_each(|line| print(&line));
    Ok(waits)
}

fn object(row: &[Option<String>]) -> Value {
    let value = |(name, text): (&&str, &Option<String>)| {
        let value = match (*name, text) {
            ("rows", Some(text)) => json!(text.parse::<i64>().unwrap_or(0)),
            (_, text) => json!(text),
        };
        ((*name).to_owned(), value)
    };
    Value::Object(COLUMNS.iter().zip(row).map(value).collect())
}

/// Changes a run of the one audit that has it unresolved, or of the one that is named; prints what was done, and how to undo it.
///
/// # Errors
/// If no audit has it, or several have, or none is named so.
pub async fn change(
    place: &Place,
    run: &str,
    audit: Option<&str>,
    change: Change,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<()> {
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let tables = tables(&stack, audit)?;
    let mut warehouse = Warehouse::of(&mut aws, &stack, None);
    let mut found = Vec::new();
    for (name, column) in tables {
        let which = condition(column, run);
        // As texts: an id of letters is none of a column of numbers.
        let as_text = condition(&format!("CAST({column} AS VARCHAR)"), run);
        let count = format!("SELECT COUNT(*) FROM {name} WHERE {as_text} AND {UNRESOLVED}");
        let rows = warehouse.texts(&count).await?.into_iter().flatten().flatten().next().unwrap_or_default();
        if rows != "0" {
            found.push((name, which, rows));
        }
    }
    let (name, which, rows) = match &found[..] {
        [] => return Err(Error::new(format!("no audit has unresolved rows of the run {run}; loader runs lists them"))),
        [one] => one,
        several => {
            let names: Vec<_> = several.iter().map(|(name, ..)| *name).collect();
            return Err(Error::new(format!("{} have a run {run}: name one with --audit", names.join(", "))));
        }
    };
    let now = SystemTime::now();
    let (set, done, undo) = match change {
        Change::Resolve => (
            format!("status = 'RESOLVED', resolved_at = {}", moment(now)),
            format!("resolved {rows} rows of the run {run}; an audit that still finds them opens them again"),
            format!(
                "UPDATE {name} SET status = 'NEW', resolved_at = NULL WHERE {which} AND resolved_at = {};",
                moment(now)
            ),
        ),
        Change::Silence(0) => (
            "silenced_until = NULL".to_owned(),
            format!("the run {run} is told of again"),
            format!("loader silence {run} --days 7"),
        ),
        Change::Silence(days) => (
            format!("silenced_until = {}", moment(now + Duration::from_secs(u64::from(days) * 86_400))),
            format!("nobody is told of the run {run} for {days} days; it is still counted"),
            format!("loader silence {run} --days 0"),
        ),
    };
    warehouse.run(&format!("UPDATE {name} SET {set} WHERE {which} AND {UNRESOLVED}")).await?;
    print(&format!("{name}: {done}\nto undo: {undo}"));
    Ok(())
}

/// The audit tables, or the one of this name, with or without schema and `_audit`.
fn tables<'a>(stack: &'a Stack, audit: Option<&str>) -> Result<Vec<(&'a str, &'a str)>> {
    let all: Vec<_> = stack.audit_tables().into_iter().map(|(name, [run, _])| (name, run)).collect();
    let Some(audit) = audit else { return Ok(all) };
    let folded = |name: &str| name.replace('"', "").to_lowercase();
    let names = |name: &str| {
        let full = folded(name);
        let short = full.strip_suffix("_audit").unwrap_or(&full).to_owned();
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        [last(&full), last(&short), full, short]
    };
    let found: Vec<_> = all.iter().copied().filter(|(name, _)| names(name).contains(&folded(audit))).collect();
    match found.len() {
        1 => Ok(found),
        0 => {
            let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
            Err(Error::new(format!("{audit} is none of the stack's audit tables: {}", names.join(", "))))
        }
        _ => Err(Error::new(format!("{audit} is the name of several audits: write it with its schema"))),
    }
}

/// The rows of a run, by its id as it is shown: `NULL` is that of rows without one. Quoted even if it is a number: a column of
/// numbers reads it, one of text needs it.
fn condition(column: &str, run: &str) -> String {
    match run {
        "NULL" => format!("{column} IS NULL"),
        "'NULL'" => format!("{column} = 'NULL'"),
        run => format!("{column} = {}", literal(run)),
    }
}

/// A moment in UTC, whatever the session's time zone is.
fn moment(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("(TIMESTAMP 'epoch' + {seconds} * INTERVAL '1 second')")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_is_found_by_any_of_its_names() {
        let tables_of = |list: &str, audit: &str| {
            let mut stack = Stack::default();
            stack.parameters.insert("AuditTables".to_owned(), list.to_owned());
            tables(&stack, Some(audit)).map(|found| format!("{} {}", found[0].0, found[0].1)).map_err(|e| e.to_string())
        };
        let list = "dev.orders_audit,shop.\"Pay_audit\":\"The run\":at";
        for name in ["orders", "orders_audit", "dev.orders", "DEV.ORDERS_AUDIT"] {
            assert_eq!(tables_of(list, name).as_deref(), Ok("dev.orders_audit run_id"), "{name}");
        }
        assert_eq!(tables_of(list, "pay").as_deref(), Ok("shop.\"Pay_audit\" \"The run\""));
        assert!(
            tables_of(list, "stock").is_err_and(|e| e.contains("none of the stack's audit tables: dev.orders_audit"))
        );
        assert!(tables_of("a.orders_audit,b.orders_audit", "orders").is_err_and(|e| e.contains("with its schema")));
    }

    #[test]
    fn a_run_is_found_by_what_is_shown_of_it() {
        for (run, condition) in
            [("42", "r = '42'"), ("NULL", "r IS NULL"), ("'NULL'", "r = 'NULL'"), ("it's", "r = 'it''s'")]
        {
            assert_eq!(super::condition("r", run), condition);
        }
    }
}
