//! `loader show`: what does not match of an unresolved run, as the audit has recorded it, and the rows of both sides beside each other.
//! Values are printed for whoever asks, and logged nowhere.

mod print;

use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::command::Loader;
use shared::sql::{UNRESOLVED, literal};

use crate::Result;
use crate::audit::{self, Declaration, Pair};
use crate::aws::Calls;
use crate::name::Qualified;
use crate::runs::{Holder, holders, moment, tables};
use crate::stack::{Place, Stack};
use crate::warehouse::Warehouse;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Show {
    /// The run's id, as a notification shows it.
    pub run: String,
    /// The audit, if it is to be one only.
    pub audit: Option<String>,
    /// So many rows of each kind.
    pub limit: usize,
    pub as_json: bool,
}

/// A run in one audit table. Times are in UTC.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Shown {
    pub(crate) audit: String,
    pub(crate) run: String,
    /// The oldest mismatch.
    pub(crate) since: Option<String>,
    pub(crate) notified_at: Option<String>,
    /// The executions that sent notifications of the rows that are shown, the newest first.
    pub(crate) notified_by: Vec<String>,
    pub(crate) silenced_until: Option<String>,
    /// The tables that the audit compares, if its declaration is known.
    pub(crate) source: Option<String>,
    pub(crate) target: Option<String>,
    /// Why there are no rows of both sides.
    pub(crate) note: Option<String>,
    pub(crate) kinds: Vec<OfKind>,
    /// What can be done about it.
    pub(crate) next: Vec<String>,
}

/// What does not match in one way.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OfKind {
    pub(crate) kind: String,
    /// How many rows of the audited tables do not match.
    pub(crate) rows: i64,
    /// How many rows the audit table has of them.
    pub(crate) recorded: i64,
    /// These rows, as many as were asked for.
    pub(crate) audit_rows: Vec<Map<String, Value>>,
    /// The names of what tells rows apart; empty without a declaration.
    pub(crate) key: Vec<String>,
    /// The rows of both sides; nothing if they could not be read.
    pub(crate) pairs: Option<Vec<Pair>>,
    /// Whether there are more of them than were asked for.
    pub(crate) more: bool,
}

/// Prints a run that is unresolved.
///
/// # Errors
/// If no audit has it unresolved, or the warehouse does not answer.
pub async fn show(place: &Place, what: &Show, environment: &[(&str, &str)], mut print: impl FnMut(&str)) -> Result<()> {
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let all = shown(&mut aws, &stack, what).await?;
    if what.as_json {
        print(&json!(all).to_string());
    } else {
        all.iter().for_each(|shown| shown.print(&mut print));
    }
    Ok(())
}

/// A run in each audit table that has it unresolved.
///
/// # Errors
/// If none has, or the warehouse does not answer.
pub(crate) async fn shown(aws: &mut Calls, stack: &Stack, what: &Show) -> Result<Vec<Shown>> {
    let mut warehouse = Warehouse::of(aws, stack, None);
    let declared = audit::declared();
    let found = holders(&mut warehouse, tables(stack, what.audit.as_deref())?, &what.run).await?;
    let mut all = Vec::new();
    for holder in &found {
        let declaration = match &declared {
            Ok(declared) => Ok(declared.iter().find(|audit| records_in(audit, holder.table))),
            Err(error) => Err(error.to_string()),
        };
        all.push(read(&mut warehouse, holder, declaration, what, &stack.name).await?);
    }
    Ok(all)
}

fn records_in(audit: &Declaration, table: &str) -> bool {
    Qualified::parse(table).is_some_and(|(name, rest)| rest.is_empty() && name.raw() == audit.table().raw())
}

async fn read(
    warehouse: &mut Warehouse<'_>,
    holder: &Holder<'_>,
    declaration: std::result::Result<Option<&Declaration>, String>,
    what: &Show,
    stack: &str,
) -> Result<Shown> {
    let Holder { table, which, .. } = holder;
    let time = |what: &str| format!("TO_CHAR({what}, 'YYYY-MM-DD HH24:MI')");
    let now = moment(SystemTime::now());
    let kinds = format!(
        "SELECT kind, COUNT(*), CAST(SUM(COALESCE(row_count, 1)) AS BIGINT), {}, {}, {} FROM {table} \
         WHERE {which} AND {UNRESOLVED} GROUP BY kind ORDER BY kind",
        time("MIN(first_seen_at)"),
        time("MAX(notified_at)"),
        time(&format!("MAX(CASE WHEN silenced_until > {now} THEN silenced_until END)")),
    );
    let (declaration, note) = match declaration {
        Ok(Some(declaration)) => (Some(declaration), None),
        Ok(None) => {
            let note = format!(
                "no declaration of infra/audits records in {table}, so that its source and target are not known"
            );
            (None, Some(note))
        }
        Err(error) => (None, Some(error)),
    };
    let loader = Loader { stack: Some(stack), audit: what.audit.as_deref().map(|_| *table) };
    let mut shown = Shown {
        audit: (*table).to_owned(),
        run: what.run.clone(),
        since: None,
        notified_at: None,
        notified_by: Vec::new(),
        silenced_until: None,
        source: declaration.map(|audit| audit.compared()[0].0.to_string()),
        target: declaration.map(|audit| audit.compared()[1].0.to_string()),
        note,
        kinds: Vec::new(),
        next: vec![loader.of_run("resolve", &what.run, &[]), loader.of_run("silence", &what.run, &["--days", "7"])],
    };
    for row in warehouse.texts(&kinds).await? {
        let [kind, recorded, rows, since, notified_at, silenced] = &row[..] else { continue };
        shown.since = [shown.since.take(), since.clone()].into_iter().flatten().min();
        shown.notified_at = shown.notified_at.take().max(notified_at.clone());
        shown.silenced_until = shown.silenced_until.take().max(silenced.clone());
        let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok()).unwrap_or(0);
        let of_kind = match kind {
            Some(kind) => format!("kind = {}", literal(kind)),
            None => "kind IS NULL".to_owned(),
        };
        let recorded_rows = format!(
            "SELECT * FROM {table} WHERE {which} AND {UNRESOLVED} AND {of_kind} ORDER BY mismatch_key LIMIT {}",
            what.limit
        );
        let (names, rows_of_audit) = warehouse.named_texts(&recorded_rows).await?;
        let mut of_kind = OfKind {
            kind: kind.clone().unwrap_or_else(|| "UNKNOWN".to_owned()),
            rows: number(rows),
            recorded: number(recorded),
            audit_rows: rows_of_audit.iter().map(|row| object(&names, row)).collect(),
            key: Vec::new(),
            pairs: None,
            more: false,
        };
        if let Some(declaration) = declaration {
            // As where a person may read the audit table, and not both sides.
            if let Err(error) = of_kind.add_pairs(warehouse, declaration, what).await {
                shown.note = Some(format!("the rows of both sides cannot be read: {error}"));
            }
        }
        for execution in of_kind.audit_rows.iter().flat_map(executions) {
            if !shown.notified_by.contains(&execution) {
                shown.notified_by.push(execution);
            }
        }
        shown.kinds.push(of_kind);
    }
    Ok(shown)
}

impl OfKind {
    /// The rows of both sides that the recorded ones are about; of a run that one side lacks whole, some.
    async fn add_pairs(&mut self, warehouse: &mut Warehouse<'_>, audit: &Declaration, what: &Show) -> Result<()> {
        self.key = audit.key_names().into_iter().map(str::to_owned).collect();
        let ends_in =
            |row: &Map<String, Value>, end: &str| row["mismatch_key"].as_str().is_some_and(|key| key.ends_with(end));
        let is_whole = self.audit_rows.iter().any(|row| ends_in(row, ":*"));
        let of_rows = self.audit_rows.iter().filter(|row| !ends_in(row, ":*") && !ends_in(row, ":+"));
        let keys: Vec<Vec<Option<String>>> =
            of_rows.map(|row| self.key.iter().map(|name| value(row, name)).collect()).collect();
        if keys.is_empty() && !is_whole {
            self.pairs = Some(Vec::new());
            return Ok(());
        }
        let keys = (!is_whole).then_some(&keys[..]);
        let rows = warehouse.texts(&audit.pairs_sql(&what.run, keys, what.limit + 1)).await?;
        self.more = rows.len() > what.limit;
        self.pairs = Some(rows.iter().take(what.limit).filter_map(|row| audit.pair(row)).collect());
        Ok(())
    }
}

/// A row of the audit table. Its catalog may have folded the names.
fn object(names: &[String], row: &[Option<String>]) -> Map<String, Value> {
    names.iter().zip(row).map(|(name, text)| (name.clone(), json!(text))).collect()
}

fn value(row: &Map<String, Value>, name: &str) -> Option<String> {
    let (_, value) = row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name))?;
    value.as_str().map(str::to_owned)
}

/// Who notified of a row: each followed by a bar.
fn executions(row: &Map<String, Value>) -> Vec<String> {
    let list = value(row, "notified_by").unwrap_or_default();
    list.split('|').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
