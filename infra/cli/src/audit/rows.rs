//! The rows of both sides of an audit beside each other, for a person who looks at what does not match.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::declaration::{Column, Declaration};
use super::sql::{same_identity, same_value};
use shared::RunId;
use shared::sql::literal;

/// How much of a value is shown. A row of a result has at most 64 KB.
const MAX_VALUE_CHARS: usize = 120;

/// A row of the source and the row of the target that has the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Pair {
    /// What tells it apart, by column.
    pub(crate) key: Map<String, Value>,
    pub(crate) in_source: bool,
    pub(crate) in_target: bool,
    /// In the order of the declaration.
    pub(crate) cells: Vec<Cell>,
}

/// A value of both sides, as it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Cell {
    pub(crate) column: String,
    pub(crate) source: Option<String>,
    pub(crate) target: Option<String>,
    /// By the audit's rule, tolerance included. Never where a side has no row.
    pub(crate) differs: bool,
}

impl Pair {
    /// The places of the values that differ.
    pub(crate) fn differing(&self) -> impl Iterator<Item = usize> {
        self.cells.iter().enumerate().filter(|(_, cell)| cell.differs).map(|(n, _)| n)
    }
}

impl Declaration {
    /// The columns that tell the rows of a run apart.
    pub(crate) fn key_names(&self) -> Vec<&str> {
        self.key.iter().map(|column| column.name.value.raw()).collect()
    }

    /// The rows of a run that have one of these keys, or any: at most `limit`. The run is given as it is shown, keys as the audit table
    /// has them. Of a key that a side has more than once the rows stand beside each other in the audit's order.
    pub(crate) fn pairs_sql(&self, run: &str, keys: Option<&[Vec<Option<String>>]>, limit: usize) -> String {
        let which = RunId::of_shown(run).condition(&self.run.name.value.to_string());
        let which = match keys {
            Some(keys) => {
                format!("{which} AND ({})", keys.iter().map(|key| self.has_key(key)).collect::<Vec<_>>().join(" OR "))
            }
            None => which,
        };
        let side = |source: bool| {
            format!(
                "SELECT 1 AS present, {}, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {}) AS occurrence \
                 FROM (SELECT {} FROM {}) rows_of_side WHERE {which}",
                self.names(),
                self.identity_list(),
                self.order(),
                self.typed(source),
                self.rows_of(source)
            )
        };
        let text = |value: String| format!("LEFT(CAST({value} AS VARCHAR(65535)), {})", MAX_VALUE_CHARS + 1);
        let either = |column: &Column| {
            let name = &column.name.value;
            format!("COALESCE(s.{name}, f.{name})")
        };
        let cells = |column: &Column| {
            let name = &column.name.value;
            [
                text(format!("s.{name}")),
                text(format!("f.{name}")),
                format!("CASE WHEN s.present IS NULL OR f.present IS NULL OR {} THEN 0 ELSE 1 END", same_value(column)),
            ]
        };
        let columns =
            self.key.iter().map(|column| text(either(column))).chain(["s.present".to_owned(), "f.present".to_owned()]);
        format!(
            "SELECT {} FROM ({}) s FULL JOIN ({}) f ON {} AND f.occurrence = s.occurrence \
             ORDER BY {}, COALESCE(s.occurrence, f.occurrence) LIMIT {limit}",
            columns.chain(self.columns.iter().flat_map(cells)).collect::<Vec<_>>().join(", "),
            side(true),
            side(false),
            self.identity().map(same_identity).collect::<Vec<_>>().join(" AND "),
            self.key.iter().map(either).collect::<Vec<_>>().join(", "),
        )
    }

    /// Reads a row of [`Self::pairs_sql`].
    pub(crate) fn pair(&self, row: &[Option<String>]) -> Option<Pair> {
        let (key, rest) = row.split_at_checked(self.key.len())?;
        let [in_source, in_target, cells @ ..] = rest else { return None };
        let cells = self.columns.iter().zip(cells.chunks_exact(3)).map(|(column, cell)| Cell {
            column: column.name.value.raw().to_owned(),
            source: cell[0].clone().map(cut),
            target: cell[1].clone().map(cut),
            differs: cell[2].as_deref() == Some("1"),
        });
        Some(Pair {
            key: self.key_names().into_iter().map(str::to_owned).zip(key.iter().map(|text| json!(text))).collect(),
            in_source: in_source.is_some(),
            in_target: in_target.is_some(),
            cells: cells.collect(),
        })
    }

    fn has_key(&self, key: &[Option<String>]) -> String {
        let each = self.key.iter().zip(key).map(|(column, value)| match value {
            Some(value) => format!("{} = {}", column.name.value, literal(value)),
            None => format!("{} IS NULL", column.name.value),
        });
        format!("({})", each.collect::<Vec<_>>().join(" AND "))
    }
}

fn cut(value: String) -> String {
    match value.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit() -> Declaration {
        let text = "\
name: pay
source: lake.pay
target: shop.\"Pay\"
run: {name: load_run, type: VARCHAR(64)}
key: [{name: id, type: BIGINT}, {name: \"\\\"Part No\\\"\", type: VARCHAR(9)}]
columns: [{name: amount, source: betrag, type: \"DECIMAL(12, 2)\", tolerance: 0.01}, {name: at, type: TIMESTAMP}]
time: at
window: {days: 3}
source_filter: amount > 0
";
        Declaration::parse("pay.yaml", text).expect("valid")
    }

    #[test]
    fn both_sides_are_asked_for_the_keys_of_a_run() {
        let keys = [vec![Some("7".to_owned()), None], vec![Some("8".to_owned()), Some("it's".to_owned())]];
        let sql = audit().pairs_sql("wr_1", Some(&keys), 5);
        let which =
            "WHERE load_run = 'wr_1' AND ((id = '7' AND \"Part No\" IS NULL) OR (id = '8' AND \"Part No\" = 'it''s'))";
        assert_eq!(sql.matches(which).count(), 2, "{sql}");
        for part in [
            "FROM lake.pay WHERE (amount > 0)) rows_of_side",
            "FROM shop.\"Pay\") rows_of_side",
            "CAST(betrag AS DECIMAL(12, 2)) AS amount",
            "ABS(s.amount - f.amount) <= 0.01",
            "ORDER BY COALESCE(s.id, f.id), COALESCE(s.\"Part No\", f.\"Part No\"), COALESCE(s.occurrence, f.occurrence) LIMIT 5",
        ] {
            assert!(sql.contains(part), "{part} is missing in {sql}");
        }
        assert!(audit().pairs_sql("NULL", None, 5).contains("WHERE load_run IS NULL)"), "the whole run");
    }

    #[test]
    fn a_row_of_the_answer_is_read() {
        let text = |text: &str| Some(text.to_owned());
        let long = "x".repeat(MAX_VALUE_CHARS + 1);
        let row =
            [text("7"), None, text("1"), text("1"), text("1.00"), None, text("1"), text(&long), text("b"), text("0")];
        let pair = audit().pair(&row).expect("a pair");
        assert_eq!(json!(pair.key), json!({"id": "7", "Part No": null}));
        assert!(pair.in_source && pair.in_target);
        assert_eq!(
            pair.cells[0],
            Cell { column: "amount".to_owned(), source: text("1.00"), target: None, differs: true }
        );
        assert_eq!(pair.cells[1].source, text(&format!("{}...", "x".repeat(MAX_VALUE_CHARS))));
        assert_eq!(audit().pair(&[text("7")]), None);
    }
}
