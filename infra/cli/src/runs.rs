//! `loader runs`, `resolve` and `silence`: the unresolved runs of a stack's audits, for the one on call.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::json;
use shared::command::Loader;
use shared::sql::UNRESOLVED;
use shared::{RunId, run_id, sql};

use crate::aws::Calls;
use crate::stack::{Place, Stack};
use crate::terminal::{lines, numbers_in, table};
use crate::warehouse::Warehouse;
use crate::{Error, Result};

/// What does not match of a run. Times are in UTC.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Unresolved {
    /// The audit table.
    pub(crate) audit: String,
    /// Its id, at most 257 characters of it; nothing for rows without one.
    pub(crate) run: Option<String>,
    /// Its id as a notification shows it, and as the commands take it.
    pub(crate) shown: String,
    pub(crate) kind: Option<String>,
    pub(crate) rows: i64,
    pub(crate) since: Option<String>,
    pub(crate) told: Option<String>,
    /// Absent if it is not silenced now.
    pub(crate) silenced_until: Option<String>,
}

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
    let all = unresolved(&mut aws, &stack).await?;
    let waits = all.iter().any(|run| run.silenced_until.is_none());
    if as_json {
        print(&json!(all).to_string());
        return Ok(waits);
    }
    if all.is_empty() {
        print("no run is unresolved");
        return Ok(false);
    }
    let mut found = table(["audit table", "run", "kind", "rows", "since (UTC)", "told", "silenced until"]);
    for row in &all {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let rows = row.rows.to_string();
        found.add_row([
            &row.audit,
            &row.shown,
            &text(&row.kind),
            &rows,
            &text(&row.since),
            &text(&row.told),
            &text(&row.silenced_until),
        ]);
    }
    numbers_in(&mut found, [3]);
    lines(&found).for_each(|line| print(&line));
    print("\nthe rows of one: loader show RUN");
    Ok(waits)
}

/// What is unresolved in the audits of a stack, the oldest of each audit first.
///
/// # Errors
/// If the warehouse does not answer.
pub(crate) async fn unresolved(aws: &mut Calls, stack: &Stack) -> Result<Vec<Unresolved>> {
    let mut warehouse = Warehouse::of(aws, stack, None);
    let now = moment(SystemTime::now());
    let mut all = Vec::new();
    for (name, [run, _]) in stack.audit_tables() {
        let time = |what: &str| format!("TO_CHAR({what}, 'YYYY-MM-DD HH24:MI')");
        let sql = format!(
            "SELECT COALESCE(kind, 'UNKNOWN'), CAST(SUM(COALESCE(row_count, 1)) AS BIGINT), {}, {}, {}, {} \
             FROM {name} WHERE {UNRESOLVED} GROUP BY {run}, kind ORDER BY 3, {run}, 1",
            time("MIN(first_seen_at)"),
            time("MAX(notified_at)"),
            time(&format!("MAX(CASE WHEN silenced_until > {now} THEN silenced_until END)")),
            run_id::columns(run).join(", "),
        );
        for row in warehouse.texts(&sql).await? {
            let [kind, rows, since, told, until, head, characters, md5] = &row[..] else { continue };
            let characters = characters.as_ref().and_then(|characters| characters.parse().ok());
            let id = RunId::of_result(head.clone(), characters, md5.clone());
            all.push(Unresolved {
                audit: name.to_owned(),
                run: head.clone(),
                shown: id.shown(),
                kind: kind.clone(),
                rows: rows.as_ref().and_then(|rows| rows.parse().ok()).unwrap_or(0),
                since: since.clone(),
                told: told.clone(),
                silenced_until: until.clone(),
            });
        }
    }
    Ok(all)
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
    as_json: bool,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<()> {
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let mut warehouse = Warehouse::of(&mut aws, &stack, None);
    let found = holders(&mut warehouse, tables(&stack, audit)?, run).await?;
    let [Holder { table: name, which, rows, .. }] = &found[..] else {
        let names: Vec<_> = found.iter().map(|holder| holder.table).collect();
        return Err(Error::new(format!("{} have a run {run}: name one with --audit", names.join(", "))));
    };
    let loader = Loader { stack: Some(&stack.name), audit };
    let silence = |days| loader.of_run("silence", run, &["--days", days]);
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
        Change::Silence(0) => {
            ("silenced_until = NULL".to_owned(), format!("the run {run} is told of again"), silence("7"))
        }
        Change::Silence(days) => (
            format!("silenced_until = {}", moment(now + Duration::from_secs(u64::from(days) * 86_400))),
            format!("nobody is told of the run {run} for {days} days; it is still counted"),
            silence("0"),
        ),
    };
    warehouse.run(&format!("UPDATE {name} SET {set} WHERE {which} AND {UNRESOLVED}")).await?;
    if as_json {
        let change = if change == Change::Resolve { "resolve" } else { "silence" };
        let done = json!({"audit": name, "run": run, "change": change, "rows": rows, "done": done, "undo": undo});
        print(&done.to_string());
    } else {
        print(&format!("{name}: {done}\nto undo: {undo}"));
    }
    Ok(())
}

/// An audit table that has a run unresolved.
pub(crate) struct Holder<'a> {
    pub(crate) table: &'a str,
    /// The condition for the rows of the run, resolved ones included.
    pub(crate) which: String,
    /// How many of them are unresolved.
    rows: i64,
}

/// Which of these tables have a run unresolved, by its id as it is shown.
///
/// # Errors
/// If none has.
pub(crate) async fn holders<'a>(
    warehouse: &mut Warehouse<'_>,
    tables: Vec<(&'a str, &'a str)>,
    run: &str,
) -> Result<Vec<Holder<'a>>> {
    let mut found = Vec::new();
    let id = RunId::of_shown(run);
    for (table, column) in tables {
        // As texts: an id of letters is none of a column of numbers.
        let as_text = id.condition(&format!("CAST({column} AS VARCHAR(65535))"));
        let count = format!("SELECT COUNT(*) FROM {table} WHERE {as_text} AND {UNRESOLVED}");
        let rows = warehouse.texts(&count).await?.into_iter().flatten().flatten().next();
        match rows.and_then(|rows| rows.parse().ok()) {
            None | Some(0) => {}
            Some(rows) => found.push(Holder { table, which: id.condition(column), rows }),
        }
    }
    if found.is_empty() {
        return Err(Error::new(format!("no audit has unresolved rows of the run {run}; loader runs lists them")));
    }
    Ok(found)
}

/// The audit tables, or the one of this name, with or without schema and `_audit`.
pub(crate) fn tables<'a>(stack: &'a Stack, audit: Option<&str>) -> Result<Vec<(&'a str, &'a str)>> {
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

/// A moment in UTC, whatever the session's time zone is.
pub(crate) fn moment(at: SystemTime) -> String {
    sql::moment(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
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
}
