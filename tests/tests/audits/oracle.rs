//! What an audit has to find in a pair of tables, by a comparison of its own.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::pair::{Pair, Row};
use crate::value::Value;

/// What the audit table has of a mismatch. Keys are missing where a row stands for a whole run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mismatch {
    pub(crate) run: Option<String>,
    pub(crate) keys: Option<Vec<Option<String>>>,
    pub(crate) kind: &'static str,
    pub(crate) columns: String,
    pub(crate) rows: usize,
}

impl Mismatch {
    /// What stays the same when it changes.
    pub(crate) fn identity(&self) -> Self {
        Self { columns: String::new(), rows: 0, ..self.clone() }
    }
}

type Values = Vec<Option<Value>>;
type Sides = (Vec<Values>, Vec<Values>);
/// Of one key, on both sides.
type Copies<'a> = (Vec<&'a Values>, Vec<&'a Values>);

fn stored(value: &Option<Value>) -> Option<String> {
    value.as_ref().map(Value::stored)
}

/// Everything that differs.
pub(crate) fn mismatches(pair: &Pair) -> Vec<Mismatch> {
    let values = |row: &Row| -> Values {
        row.iter().zip(&pair.columns).map(|(text, column)| text.as_ref().map(|text| column.value(text))).collect()
    };
    // The same value may be written in several ways.
    let mut runs: BTreeMap<Option<String>, Sides> = BTreeMap::new();
    for row in &pair.source {
        let row = values(row);
        runs.entry(stored(&row[0])).or_default().0.push(row);
    }
    for row in &pair.target {
        let row = values(row);
        runs.entry(stored(&row[0])).or_default().1.push(row);
    }
    let mut found = Vec::new();
    for (run, (source, target)) in runs {
        let whole = |kind, rows| Mismatch { run: run.clone(), keys: None, kind, columns: String::new(), rows };
        match (source.len(), target.len()) {
            (rows, 0) if run.is_some() => found.push(whole("MISSING_IN_REDSHIFT", rows)),
            (0, rows) if run.is_some() => found.push(whole("MISSING_IN_STAGING", rows)),
            _ => found.extend(of_rows(pair, &run, &source, &target)),
        }
    }
    found
}

fn of_rows(pair: &Pair, run: &Option<String>, source: &[Values], target: &[Values]) -> Vec<Mismatch> {
    let mut keys: BTreeMap<Vec<Option<String>>, Copies<'_>> = BTreeMap::new();
    let key = |row: &Values| row[1..=pair.keys].iter().map(stored).collect::<Vec<_>>();
    for row in source {
        keys.entry(key(row)).or_default().0.push(row);
    }
    for row in target {
        keys.entry(key(row)).or_default().1.push(row);
    }
    let mut found = Vec::new();
    for (key, (source, target)) in keys {
        let mut add = |kind, columns: String| {
            found.push(Mismatch { run: run.clone(), keys: Some(key.clone()), kind, columns, rows: 1 });
        };
        let first = |rows: &[&Values]| rows.iter().copied().min_by(|a, b| order(pair, a, b)).cloned();
        match (first(&source), first(&target)) {
            (Some(_), None) => add("MISSING_IN_REDSHIFT", String::new()),
            (None, Some(_)) => add("MISSING_IN_STAGING", String::new()),
            (Some(source), Some(target)) => {
                let differ = (pair.keys + 1..pair.columns.len()).filter(|n| differ(pair, *n, &source[*n], &target[*n]));
                let names: Vec<_> = differ.map(|n| pair.columns[n].name.as_str()).collect();
                if !names.is_empty() {
                    add("DIFFERENT", names.join(" "));
                }
            }
            (None, None) => {}
        }
        if target.len() > 1 && target.len() > source.len() {
            add("DUPLICATE_IN_REDSHIFT", String::new());
        }
    }
    found
}

fn differ(pair: &Pair, n: usize, source: &Option<Value>, target: &Option<Value>) -> bool {
    match (source, target) {
        (Some(a), Some(b)) => pair.columns[n].tolerance.map_or(a != b, |hundredths| !a.is_near(b, hundredths)),
        (None, None) => false,
        _ => true,
    }
}

/// Of several rows of a key the first is compared: the latest, then by the values, NULL last.
fn order(pair: &Pair, a: &Values, b: &Values) -> Ordering {
    let by = |n: usize| match (&a[n], &b[n]) {
        (Some(a), Some(b)) => a.partial_cmp(b).expect("no NaN"),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    let latest = pair.time().map_or(Ordering::Equal, |time| by(time).reverse());
    let rest = (pair.keys + 1..pair.columns.len()).filter(|n| pair.time() != Some(*n));
    rest.fold(latest, |order, n| order.then_with(|| by(n)))
}
