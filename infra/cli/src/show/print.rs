//! A run as a person reads it.

use std::collections::BTreeSet;

use console::Style;
use serde_json::{Map, Value};

use super::{OfKind, Shown, value};
use crate::audit::Pair;
use crate::terminal::{Table, lines, one_line, table};

/// Marks a value that differs, with and without colour.
const MARK: &str = "≠ ";
/// A table with more columns than these shows those that differ, and no others.
const MOST_COLUMNS: usize = 10;
/// Executions that are named.
const MOST_EXECUTIONS: usize = 3;
/// What is shown of the rows of an audit table besides the keys, if it is there.
const RECORDED: [&str; 5] = ["row_count", "status", "differing_columns", "first_seen_at", "notified_at"];

impl Shown {
    pub(super) fn print(&self, print: &mut impl FnMut(&str)) {
        print(&format!("{}: run {}", self.audit, one_line(&self.run)));
        let since = self.since.as_deref().unwrap_or("an unknown time");
        let notified = match (&self.notified_at, self.notified_by.len()) {
            (None, _) => "nobody was notified yet".to_owned(),
            (Some(at), 0) => format!("last notified {at}"),
            (Some(at), times) => {
                format!("last notified {at}, by {times} execution{}", if times == 1 { "" } else { "s" })
            }
        };
        print(&format!("unresolved since {since} (UTC); {notified}"));
        for execution in self.notified_by.iter().take(MOST_EXECUTIONS) {
            print(&format!("  {}", one_line(execution)));
        }
        if self.notified_by.len() > MOST_EXECUTIONS {
            print(&format!("  and {} more", self.notified_by.len() - MOST_EXECUTIONS));
        }
        if let Some(until) = &self.silenced_until {
            print(&format!("silenced until {until} (UTC)"));
        }
        if let (Some(source), Some(target)) = (&self.source, &self.target) {
            print(&format!("source {source}, target {target}"));
        }
        if let Some(note) = &self.note {
            print(note);
        }
        self.kinds.iter().for_each(|kind| kind.print(print));
        print("\nnext:");
        self.next.iter().for_each(|command| print(&format!("  {command}")));
    }
}

impl OfKind {
    fn print(&self, print: &mut impl FnMut(&str)) {
        let rows = if self.rows == 1 { "row" } else { "rows" };
        let shown = self.audit_rows.len();
        let of = if shown < usize::try_from(self.recorded).unwrap_or(0) {
            format!("; {shown} of {} recorded are shown (--limit)", self.recorded)
        } else {
            String::new()
        };
        print(&format!("\n{}: {} {rows}{of}", self.kind, self.rows));
        lines(&self.recorded()).for_each(|line| print(&line));
        if let Some(pairs) = &self.pairs {
            self.print_pairs(pairs, print);
        }
    }

    /// The rows of the audit table.
    fn recorded(&self) -> Table {
        let has = |name: &&str| self.audit_rows.iter().any(|row| value(row, name).is_some_and(|text| !text.is_empty()));
        let rest: Vec<&str> = RECORDED.into_iter().filter(has).collect();
        // Without a declaration, what the table has besides.
        let keys: Vec<&str> = match &self.key[..] {
            [] => ["mismatch_key"].into(),
            keys => keys.iter().map(String::as_str).collect(),
        };
        let mut table = table([]);
        table.set_header(keys.iter().chain(&rest).copied());
        for row in &self.audit_rows {
            let key = keys.iter().map(|name| key_cell(row, name));
            let rest = rest.iter().map(|name| recorded(name, &value(row, name).unwrap_or_default()));
            table.add_row(key.chain(rest));
        }
        table
    }

    fn print_pairs(&self, pairs: &[Pair], print: &mut impl FnMut(&str)) {
        let Some(first) = pairs.first() else {
            return print("neither side has these rows any more, or they are counted only");
        };
        let differing: BTreeSet<usize> = pairs.iter().flat_map(Pair::differing).collect();
        let (columns, left_out): (Vec<usize>, usize) = match first.cells.len() {
            all if all <= MOST_COLUMNS => ((0..all).collect(), 0),
            all if differing.is_empty() => ((0..MOST_COLUMNS).collect(), all - MOST_COLUMNS),
            all => (differing.iter().copied().collect(), all - differing.len()),
        };
        let mut table = table([]);
        let names = columns.iter().map(|n| first.cells[*n].column.as_str());
        table.set_header(self.key.iter().map(String::as_str).chain(["side"]).chain(names));
        for pair in pairs {
            for (side, has_row, first) in [("source", pair.in_source, true), ("target", pair.in_target, false)] {
                let key = pair.key.values().map(|text| if first { null(text.as_str()) } else { String::new() });
                let values = columns.iter().enumerate().map(|(place, n)| {
                    let cell = &pair.cells[*n];
                    match has_row {
                        true => {
                            let text = null(if first { &cell.source } else { &cell.target }.as_deref());
                            if cell.differs { format!("{MARK}{text}") } else { text }
                        }
                        false if place == 0 => "(no row)".to_owned(),
                        false => String::new(),
                    }
                });
                table.add_row(key.chain([side.to_owned()]).chain(values));
            }
        }
        print("");
        lines(&table).for_each(|line| print(&coloured(&line)));
        if left_out > 0 {
            print(&format!("{left_out} other columns are left out; --json has all"));
        }
        if self.more {
            print("there are more rows (--limit)");
        }
    }
}

/// A value of the audit table; of a time no more than the minute.
fn recorded(name: &str, text: &str) -> String {
    let end = text.char_indices().nth(16).filter(|_| name.ends_with("_at")).map_or(text.len(), |(end, _)| end);
    one_line(&text[..end])
}

/// A key, or what stands for a row that is about many.
fn key_cell(row: &Map<String, Value>, name: &str) -> String {
    let mismatch = value(row, "mismatch_key").unwrap_or_default();
    match (name, mismatch.rsplit_once(':')) {
        ("mismatch_key", _) => one_line(&mismatch),
        (_, Some((_, "*"))) => "(all)".to_owned(),
        (_, Some((_, "+"))) => "(the rest)".to_owned(),
        _ => null(value(row, name).as_deref()),
    }
}

fn null(text: Option<&str>) -> String {
    match text {
        None => "NULL".to_owned(),
        Some("") => "''".to_owned(),
        Some(text) => one_line(text),
    }
}

/// A line with what is marked in colour, up to the next column.
fn coloured(line: &str) -> String {
    let style = Style::new().red().bold();
    let mut parts = line.split(MARK);
    let mut coloured = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find("  ").unwrap_or(part.len());
        coloured.push_str(&style.apply_to(format!("{MARK}{}", &part[..end])).to_string());
        coloured.push_str(&part[end..]);
    }
    coloured
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::Cell;

    fn printed(kind: &OfKind) -> Vec<String> {
        let mut lines = Vec::new();
        kind.print(&mut |line: &str| {
            lines.extend(
                console::strip_ansi_codes(line)
                    .lines()
                    .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")),
            );
        });
        lines
    }

    fn kind(pairs: Vec<Pair>) -> OfKind {
        let row = json!({"mismatch_key": "DIFFERENT:44:1007", "order_id": "1007", "status": "NEW", "differing_columns": "c0"});
        OfKind {
            kind: "DIFFERENT".to_owned(),
            rows: 1,
            recorded: 2,
            audit_rows: row.as_object().cloned().into_iter().collect(),
            key: vec!["order_id".to_owned()],
            pairs: Some(pairs),
            more: true,
        }
    }

    fn pair(in_target: bool, columns: usize) -> Pair {
        let cell = |n| Cell {
            column: format!("c{n}"),
            source: Some("1".to_owned()),
            target: (n > 0).then(|| "1".to_owned()),
            differs: in_target && n == 0,
        };
        Pair {
            key: [("order_id".to_owned(), json!("1007"))].into_iter().collect(),
            in_source: true,
            in_target,
            cells: (0..columns).map(cell).collect(),
        }
    }

    #[test]
    fn what_differs_is_marked() {
        let lines = printed(&kind(vec![pair(true, 2)]));
        assert_eq!(
            lines,
            [
                "",
                "DIFFERENT: 1 row; 1 of 2 recorded are shown (--limit)",
                "order_id status differing_columns",
                "1007 NEW c0",
                "order_id side c0 c1",
                "1007 source ≠ 1 1",
                "target ≠ NULL 1",
                "there are more rows (--limit)",
            ]
        );
    }

    #[test]
    fn a_missing_row_is_named_and_a_wide_table_shows_what_differs() {
        let lines = printed(&kind(vec![pair(false, 2)]));
        assert_eq!(lines[5..7], ["1007 source 1 1", "target (no row)"]);
        let lines = printed(&kind(vec![pair(true, 30)]));
        assert_eq!(
            lines[4..8],
            ["order_id side c0", "1007 source ≠ 1", "target ≠ NULL", "29 other columns are left out; --json has all"]
        );
        let lines = printed(&kind(Vec::new()));
        assert!(lines.iter().any(|line| line.starts_with("neither side has these rows")));
    }
}
