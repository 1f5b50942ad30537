//! A random pair of tables: its columns, its rows, and what happens to them.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::json;

use crate::value::{Of, Value};

/// A column of both tables.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// As SQL writes it.
    pub(crate) name: String,
    source: String,
    pub(crate) of: Of,
    /// The source has text, as a crawler may.
    as_text: bool,
    /// In hundredths.
    pub(crate) tolerance: Option<u32>,
    ignore_case: bool,
    ignore_blanks: bool,
    /// The run or a key: without blanks at its end.
    tells_apart: bool,
}

impl Column {
    /// What a value is compared as.
    pub(crate) fn value(&self, text: &str) -> Value {
        match self.of.value(text) {
            Value::Text(text) => {
                let text = if self.tells_apart { text.trim_end_matches(' ').to_owned() } else { text };
                let text = if self.ignore_blanks { text.trim_matches(' ').to_owned() } else { text };
                // The databases of the tests know no case but that of ASCII.
                Value::Text(if self.ignore_case { text.to_ascii_lowercase() } else { text })
            }
            other => other,
        }
    }

    fn declared(&self) -> serde_json::Value {
        let mut column = json!({"name": self.name, "type": self.of.sql()});
        if self.source != self.name {
            column["source"] = json!(self.source);
        }
        if let Some(hundredths) = self.tolerance {
            column["tolerance"] = json!(f64::from(hundredths) / 100.0);
        }
        let ignore: Vec<_> = [("case", self.ignore_case), ("blanks", self.ignore_blanks)]
            .into_iter()
            .filter(|(_, on)| *on)
            .map(|(name, _)| name)
            .collect();
        if !ignore.is_empty() {
            column["ignore"] = json!(ignore);
        }
        column
    }
}

/// The texts of a row, in the order of the columns: the run, the keys, the rest.
pub(crate) type Row = Vec<Option<String>>;

/// Two tables and the declaration of their audit.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) schema: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) keys: usize,
    time: Option<usize>,
    pub(crate) source: Vec<Row>,
    pub(crate) target: Vec<Row>,
}

const NAMES: [&str; 12] = [
    "id",
    "\"Mixed Case\"",
    "\"a\"\"b\"",
    "\"it's\"",
    "\"order\"",
    "\"größe\"",
    "\"per%cent\"",
    "value",
    "\"{run}\"",
    "code",
    "\"x;y\"",
    "\"tab|bar\"",
];

impl Pair {
    pub(crate) fn random(schema: String, random: &mut Rng) -> Self {
        let keys = random.usize(1..=4);
        let mut names = NAMES.to_vec();
        random.shuffle(&mut names);
        let count = 1 + keys + random.usize(0..=6);
        // Rows of a run without an order are found by the days of their time.
        let run = [Of::Big, Of::Integer, Of::Varchar, Of::Date, Of::Decimal(0)][random.usize(..5)];
        let by_days = run == Of::Varchar || random.u8(..4) == 0;
        let mut columns: Vec<Column> = (0..count)
            .map(|n| {
                let of = match n {
                    0 => run,
                    _ if n <= keys => Of::exact(random),
                    _ => Of::any(random),
                };
                let name = names[n].to_owned();
                let source = if random.u8(..4) == 0 { format!("\"From {n}\"") } else { name.clone() };
                let compared = n > keys;
                Column {
                    name,
                    source,
                    of,
                    as_text: random.u8(..5) == 0,
                    tolerance: (compared && of.is_number() && random.u8(..3) == 0)
                        .then(|| [5, 50, 100, 250][random.usize(..4)]),
                    ignore_case: of.is_text() && random.u8(..4) == 0,
                    ignore_blanks: of.is_text() && random.u8(..4) == 0,
                    tells_apart: !compared,
                }
            })
            .collect();
        let time = by_days.then_some(columns.len());
        if by_days {
            columns.push(Column {
                name: "at".to_owned(),
                source: "at".to_owned(),
                of: [Of::Date, Of::Timestamp, Of::TimestampTz][random.usize(..3)],
                as_text: false,
                tolerance: None,
                ignore_case: false,
                ignore_blanks: false,
                tells_apart: false,
            });
        }
        let mut pair = Self { schema, columns, keys, time, source: Vec::new(), target: Vec::new() };
        for _ in 0..random.usize(1..=4) {
            let run = pair.text(0, random);
            for _ in 0..random.usize(1..=8) {
                let mut row: Row = (0..pair.columns.len()).map(|n| pair.text(n, random)).collect();
                row[0].clone_from(&run);
                pair.source.push(row);
            }
        }
        pair.target = pair.source.clone();
        pair.damage(random);
        pair
    }

    /// A value of a column; of one in twelve there is none.
    fn text(&self, n: usize, random: &mut Rng) -> Option<String> {
        let never = self.time == Some(n);
        (never || random.u8(..12) > 0).then(|| self.columns[n].of.text(random))
    }

    /// Rows are lost, doubled, changed and made up, on either side.
    fn damage(&mut self, random: &mut Rng) {
        for side in 0..2 {
            let mut rows = std::mem::take(if side == 0 { &mut self.source } else { &mut self.target });
            let lost = if random.u8(..6) == 0 { random.choice(&rows).map(|row| row[0].clone()) } else { None };
            rows.retain(|row| Some(&row[0]) != lost.as_ref() && random.u8(..20) > 0);
            let mut more = Vec::new();
            for row in &mut rows {
                match random.u8(..24) {
                    0..=3 => {
                        let n = random.usize(1..self.columns.len());
                        row[n] = match &row[n] {
                            Some(text) if random.bool() => Some(self.columns[n].of.near(text, random)),
                            _ => self.text(n, random),
                        };
                    }
                    4 => more.push(row.clone()),
                    5 => {
                        let mut other = row.clone();
                        let n = random.usize(1..self.columns.len());
                        other[n] = self.text(n, random);
                        more.push(other);
                    }
                    _ => {}
                }
            }
            rows.append(&mut more);
            random.shuffle(&mut rows);
            *(if side == 0 { &mut self.source } else { &mut self.target }) = rows;
        }
    }

    /// Some runs are mended, and something new goes wrong.
    pub(crate) fn go_on(&mut self, random: &mut Rng) {
        let mut runs: BTreeMap<Option<String>, bool> = BTreeMap::new();
        for row in self.source.iter().chain(&self.target) {
            runs.entry(row[0].clone()).or_insert_with(|| random.bool());
        }
        self.target.retain(|row| !runs[&row[0]]);
        self.target.extend(self.source.iter().filter(|row| runs[&row[0]]).cloned());
        if random.bool() {
            self.damage(random);
        }
    }

    pub(crate) fn declaration(&self) -> String {
        let columns = |columns: &[Column]| columns.iter().map(Column::declared).collect::<Vec<_>>();
        let (identity, compared) = self.columns.split_at(1 + self.keys);
        let mut declared = json!({
            "name": "pair", "source": format!("{}.source", self.schema), "target": format!("{}.\"The target\"", self.schema),
            "run": identity[0].declared(), "key": columns(&identity[1..]), "columns": columns(compared),
            "window": if self.time.is_some() { json!({"days": 36_500}) } else { json!({"runs": 100}) },
        });
        if let Some(time) = self.time {
            declared["time"] = json!(self.columns[time].name);
        }
        // JSON is YAML.
        declared.to_string()
    }

    /// Makes both tables anew.
    pub(crate) fn tables(&self) -> String {
        let table = |name: &str, source: bool, rows: &[Row]| {
            let of =
                |column: &Column| if source && column.as_text { "VARCHAR(100)".to_owned() } else { column.of.sql() };
            let own = |column: &Column| if source { column.source.clone() } else { column.name.clone() };
            let columns: Vec<_> = self.columns.iter().map(|column| format!("{} {}", own(column), of(column))).collect();
            let rows: Vec<_> = rows
                .iter()
                .map(|row| {
                    let values = row.iter().zip(&self.columns).map(|(text, column)| match text {
                        Some(text) => format!("CAST('{}' AS {})", text.replace('\'', "''"), of(column)),
                        None => "NULL".to_owned(),
                    });
                    format!("({})", values.collect::<Vec<_>>().join(", "))
                })
                .collect();
            let insert =
                if rows.is_empty() { String::new() } else { format!("INSERT INTO {name} VALUES {};", rows.join(", ")) };
            format!("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({}); {insert}\n", columns.join(", "))
        };
        let schema = &self.schema;
        table(&format!("{schema}.source"), true, &self.source)
            + &table(&format!("{schema}.\"The target\""), false, &self.target)
    }

    /// The runs of either side.
    pub(crate) fn runs(&self) -> Vec<Option<Value>> {
        self.source.iter().chain(&self.target).map(|row| self.run(row)).collect()
    }

    fn run(&self, row: &Row) -> Option<Value> {
        row[0].as_ref().map(|run| self.columns[0].value(run))
    }

    /// Whether neither these runs, which it once had, nor any of the target's are older than all that the source has.
    pub(crate) fn has_source_of_all(&self, runs: &[Option<Value>]) -> bool {
        let none = self.source.iter().any(|row| row[0].is_none());
        let least = self.source.iter().filter_map(|row| self.run(row)).min_by(|a, b| a.partial_cmp(b).expect("no NaN"));
        let mut all = self.runs().into_iter().chain(runs.iter().cloned());
        all.all(|run| match run {
            None => none,
            Some(run) => self.time.is_some() || least.as_ref().is_some_and(|least| run >= *least),
        })
    }

    /// The place of the time in a row.
    pub(crate) fn time(&self) -> Option<usize> {
        self.time
    }
}
