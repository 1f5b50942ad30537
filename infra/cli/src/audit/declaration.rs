//! What an audit is: the declaration `infra/audits/NAME.yaml`, read and checked.

use std::collections::HashSet;
use std::path::Path;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

use super::types::{Kind, Type};
use crate::name::{Name, Qualified};
use crate::{Error, Result};

/// Two tables that have to hold the same rows, and how that is audited.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "An audit of redshift-loader")]
pub struct Declaration {
    /// What its procedures and tables are called after, such as orders in dev.audit_orders_sp: lower-case letters, digits and _, at
    /// most 40.
    #[schemars(with = "String", regex(pattern = "^[a-z][a-z0-9_]{0,39}$"))]
    pub(super) name: Spanned<String>,
    /// Where the rows come from, such as an external table over S3.
    pub(super) source: Qualified,
    /// Where they have to arrive.
    pub(super) target: Qualified,
    /// Where mismatches are recorded; without it, the name with _audit behind it, in the target's schema.
    pub(super) audit_table: Option<Qualified>,
    /// The column that a notification is about: what one load brings.
    pub(super) run: Column,
    /// The columns that tell the rows of a run apart.
    #[schemars(length(min = 1, max = 8))]
    pub(super) key: Vec<Column>,
    /// The columns that are compared.
    pub(super) columns: Vec<Column>,
    /// The column, one of those compared, that says when a row came to be. A notification names its span.
    #[schemars(with = "Option<Name>")]
    pub(super) time: Option<Spanned<Name>>,
    /// Which runs an audit looks at.
    #[schemars(with = "Window")]
    pub(super) window: Spanned<Window>,
    /// Which runs a sweep looks at, in the same unit; without it, all. For a source whose older files a lifecycle rule removes.
    #[schemars(with = "Option<Window>")]
    pub(super) sweep: Option<Spanned<Window>>,
    /// A run whose newest row is younger than so many minutes is not judged: one side may not have all of it yet. Needs time.
    #[schemars(with = "Option<u32>")]
    pub(super) settling_minutes: Option<Spanned<u32>>,
    /// So many rows of a run and kind are recorded; the rest is one row with a count.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) rows_of_a_run: u32,
    /// Rows that have been RESOLVED for so many days go in the sweep.
    #[serde(default = "retention")]
    #[schemars(range(min = 1, max = 36_500))]
    pub(super) retention_days: u32,
    /// The words of its notifications, in place of those of the stack.
    #[schemars(with = "Option<Words>")]
    pub(super) notification: Option<Spanned<Words>>,
    /// Mutex tables that a load of the target locks: no load runs beside the audit.
    #[serde(default)]
    pub(super) locks: Vec<Qualified>,
    /// A condition of SQL for the source's rows.
    #[schemars(with = "Option<String>")]
    pub(super) source_filter: Option<Spanned<String>>,
    /// A condition of SQL for the target's rows.
    #[schemars(with = "Option<String>")]
    pub(super) target_filter: Option<Spanned<String>>,
}

/// One column of both tables.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    /// Its name in the target.
    #[schemars(with = "Name")]
    pub(super) name: Spanned<Name>,
    /// Its name in the source, if that is another one.
    pub(super) source: Option<Name>,
    /// The type that both sides are cast to.
    #[serde(rename = "type")]
    pub(super) of: Type,
    /// Numbers that are no further apart are the same.
    pub(super) tolerance: Option<f64>,
    /// What is no difference between texts.
    #[serde(default)]
    pub(super) ignore: Vec<Ignore>,
}

/// What is no difference between texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ignore {
    /// Upper and lower case.
    Case,
    /// Blanks at both ends.
    Blanks,
}

/// Which runs an audit looks at, besides those with unresolved mismatches. One of the two.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    /// So many of the newest runs: those with the greatest run.
    #[schemars(range(min = 1))]
    pub(super) runs: Option<u32>,
    /// The runs that have rows of the last so many days, by time.
    #[schemars(range(min = 1, max = 36_500))]
    pub(super) days: Option<u32>,
}

/// The words of a notification.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    /// The subject: one line of at most 89 characters.
    #[schemars(length(min = 1, max = 89))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    /// The first line; `{key}` becomes the run's id.
    #[schemars(length(max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
}

fn thousand() -> u32 {
    1_000
}

fn retention() -> u32 {
    400
}

/// What rows are told apart by, and their time, stand beside columns and variables of the procedures: those names are taken. A test
/// holds this beside the template.
const TAKEN: &str = " affected changed_in closed_by copies differing_columns differs everything expired first_in_source first_run first_seen_at held \
    high in_differing in_source in_target in_window judged judges_without_run kind known_as last_seen_at list listed low mismatch_key most_bytes most_recorded \
    name newest newest_days newest_runs notified_at notified_by notified_count number numbered_columns occurrence of_run older one_sided place present \
    resolved_at row_count run settling_minutes silenced_until since source_columns source_rows source_sum status sum_of_rows swept \
    target_columns target_rows target_sum this_audit touched type typed_columns until values_md5 wanted without_run written ";
/// What a compared column must not be called either.
const TAKEN_BY_ROWS: [&str; 2] = ["present", "occurrence"];
/// Names that end so would make procedures that another audit has.
const ENDINGS: [&str; 3] = ["_sweep", "_between", "_worker"];
/// The longest run of text: lists of runs stand in a statement.
const MAX_RUN_BYTES: u32 = 512;

/// Where something is wrong, and what.
type Wrong = (Location, String);

impl Declaration {
    /// Reads a declaration from its file.
    ///
    /// # Errors
    /// As [`Self::parse`], or if the file cannot be read.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|e| Error::doing(&file.display().to_string(), e))?;
        Self::parse(&file.display().to_string(), &text)
    }

    /// Reads a declaration; `file` is its name in errors.
    ///
    /// # Errors
    /// `file:line:column` with what is wrong and what was expected.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let at = |location: Location, why: &str| {
            Error::new(format!("{file}:{}:{}: {why}", location.line(), location.column()))
        };
        let declaration: Self = serde_saphyr::from_str(text).map_err(|error| {
            let text = error.without_snippet().to_string();
            // The place comes first here, as compilers write it.
            let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
            at(error.location().unwrap_or(Location::UNKNOWN), why)
        })?;
        declaration.check().map_err(|(location, why)| at(location, &why))?;
        Ok(declaration)
    }

    /// The schema that editors complete from, as JSON.
    pub fn schema() -> String {
        let schema = serde_json::to_string_pretty(&schema_for!(Self)).unwrap_or_default();
        schema + "\n"
    }

    /// What tells rows apart.
    pub(super) fn identity(&self) -> impl Iterator<Item = &Column> {
        std::iter::once(&self.run).chain(&self.key)
    }

    pub(super) fn all_columns(&self) -> impl Iterator<Item = &Column> {
        self.identity().chain(&self.columns)
    }

    fn check(&self) -> std::result::Result<(), Wrong> {
        let name = self.name.value.as_str();
        let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 40
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !plain || ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            let why =
                "lower-case letters, digits and _ are expected, at most 40, and no end in _sweep, _between or _worker";
            return Err((self.name.referenced, format!("{name:?}: {why}")));
        }
        self.check_tables()?;
        let here = self.run.name.referenced;
        if !(1..=8).contains(&self.key.len()) {
            return Err((here, format!("the key has {} columns; 1 to 8 are expected", self.key.len())));
        }
        if !(1..=100_000).contains(&self.rows_of_a_run) || !(1..=36_500).contains(&self.retention_days) {
            let why = "rows_of_a_run has to be 1 to 100000, and retention_days 1 to 36500".to_owned();
            return Err((self.name.referenced, why));
        }
        self.check_columns()?;
        self.check_window()?;
        self.check_words()?;
        for filter in [&self.source_filter, &self.target_filter].into_iter().flatten() {
            if !is_one_condition(&filter.value) {
                let why = "a filter is one condition of SQL, its quotes and parentheses closed, without comments, semicolons, $$ or \\";
                return Err((filter.referenced, why.to_owned()));
            }
        }
        Ok(())
    }

    /// No table plays two parts, but for two filters on one table.
    fn check_tables(&self) -> std::result::Result<(), Wrong> {
        let folded = |table: &str| table.replace('"', "").to_lowercase();
        let mut seen = HashSet::from([folded(&self.target.to_string())]);
        let filtered = self.source_filter.is_some() || self.target_filter.is_some();
        let source = (!filtered || self.source != self.target).then(|| self.source.to_string());
        let schema = &self.target.schema;
        let own =
            ["audit_mutex", "audit_number", "audited_runs"].map(|end| format!("{schema}.{}_{end}", self.name.value));
        let locks = self.locks.iter().map(Qualified::to_string);
        let mut tables = source.into_iter().chain([self.table().to_string()]).chain(own).chain(locks);
        match tables.find(|table| !seen.insert(folded(table))) {
            Some(table) => {
                let why =
                    "plays two parts: source, target, audit_table, locks and the audit's own tables are different ones";
                Err((self.name.referenced, format!("{table} {why}")))
            }
            None => Ok(()),
        }
    }

    fn check_columns(&self) -> std::result::Result<(), Wrong> {
        let mut seen = HashSet::new();
        for column in self.all_columns() {
            let (name, here) = (&column.name.value, column.name.referenced);
            let wrong = |why: &str| Err((here, format!("{name}: {why}")));
            // Redshift folds quoted names, too, unless told otherwise.
            if !seen.insert(name.raw().to_lowercase()) {
                return wrong("is declared twice");
            }
            let raw = name.raw().to_lowercase();
            let is_time = self.time.as_ref().is_some_and(|time| time.value == *name);
            let is_identity = self.identity().any(|each| std::ptr::eq(each, column));
            if TAKEN_BY_ROWS.contains(&raw.as_str()) || (is_time || is_identity) && TAKEN.contains(&format!(" {raw} "))
            {
                return wrong("is a name that the audit needs itself: give the tables views with another one");
            }
            if let Some(tolerance) = column.tolerance {
                if !column.of.is_number() {
                    return wrong("has a tolerance, and is no number");
                }
                if !(1e-9..=1e15).contains(&tolerance) {
                    return wrong("a tolerance is 1e-9 to 1e15");
                }
            }
            if !column.ignore.is_empty() && column.of.kind() != Kind::Text {
                return wrong("ignores case or blanks, and is no text");
            }
        }
        for column in self.identity() {
            let (name, here) = (&column.name.value, column.name.referenced);
            if column.tolerance.is_some() {
                return Err((here, format!("{name}: what tells rows apart has no tolerance")));
            }
            if column.of.kind() == Kind::Double {
                return Err((here, format!("{name}: {} tells no rows apart; an exact type is expected", column.of)));
            }
        }
        if self.run.of.kind() == Kind::Text && self.run.of.bytes() > MAX_RUN_BYTES {
            let why = format!("{}: a run is a text of at most {MAX_RUN_BYTES} bytes", self.run.name.value);
            return Err((self.run.name.referenced, why));
        }
        Ok(())
    }

    fn check_window(&self) -> std::result::Result<(), Wrong> {
        if let Some(time) = &self.time {
            let of = self.columns.iter().find(|column| column.name.value == time.value).map(|column| column.of.kind());
            match of {
                Some(Kind::Timestamp) => {}
                Some(_) => {
                    return Err((time.referenced, format!("{}: time is a DATE, TIMESTAMP or TIMESTAMPTZ", time.value)));
                }
                None => {
                    return Err((
                        time.referenced,
                        format!("{}: time is one of the columns that are compared", time.value),
                    ));
                }
            }
        } else if let Some(minutes) = &self.settling_minutes {
            return Err((minutes.referenced, "settling_minutes needs time: how old a run is".to_owned()));
        }
        self.check_span(&self.window)?;
        match &self.sweep {
            Some(sweep) if sweep.value.days.is_some() != self.window.value.days.is_some() => {
                Err((sweep.referenced, "a sweep is counted as the window is: in runs, or in days".to_owned()))
            }
            Some(sweep) => self.check_span(sweep),
            None => Ok(()),
        }
    }

    /// As orders-audit-fn takes them.
    fn check_words(&self) -> std::result::Result<(), Wrong> {
        let Some(words) = &self.notification else { return Ok(()) };
        let subject = words.value.subject.as_deref().unwrap_or("x");
        let title = words.value.title.as_deref().unwrap_or_default();
        let fits = subject.chars().count() <= 89 && !subject.contains(char::is_control) && !subject.trim().is_empty();
        if fits && title.chars().count() <= 1_000 && title.matches("{key}").count() <= 3 {
            return Ok(());
        }
        let why = "a subject is one line of 1 to 89 characters, a title has at most 1,000 and {key} at most 3 times";
        Err((words.referenced, why.to_owned()))
    }

    fn check_span(&self, window: &Spanned<Window>) -> std::result::Result<(), Wrong> {
        let here = window.referenced;
        match (window.value.runs, window.value.days) {
            (Some(0), _) | (_, Some(0 | 36_501..)) => {
                Err((here, "a window has at least 1 run, or 1 to 36500 days".to_owned()))
            }
            (Some(_), None) if !self.run.of.kind().has_order() => {
                let why = format!(
                    "{} has no order that says which runs are the newest: days is expected",
                    self.run.name.value
                );
                Err((here, why))
            }
            (None, Some(_)) if self.time.is_none() => {
                Err((here, "days needs time: the column that orders the runs".to_owned()))
            }
            (Some(_), None) | (None, Some(_)) => Ok(()),
            _ => Err((here, "a window is either runs or days".to_owned())),
        }
    }
}

/// Whether a text is a condition that ends where it ends.
fn is_one_condition(text: &str) -> bool {
    let mut depth = 0_i32;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return false,
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    let refused = [";", "--", "/*", "$$", "\\"];
    depth == 0 && quote.is_none() && !text.trim().is_empty() && !refused.iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_ends_where_it_ends() {
        for (text, holds) in [
            ("a = 'x' AND (b > 1 OR \"c)\" IN (1, 2))", true),
            ("note = 'it''s (so'", true),
            ("v = '1", false),
            ("v = 1) OR (v = 2", false),
            ("(v = 1", false),
            ("v LIKE 'a\\_%'", false),
            (" ", false),
        ] {
            assert_eq!(is_one_condition(text), holds, "{text}");
        }
    }

    /// Variables and aliases of the procedures that stand beside columns.
    #[test]
    fn the_names_that_the_procedures_need_are_taken() {
        let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
        for window in ["{runs: 10}", "{days: 10}"] {
            let audit = Declaration::parse("a.yaml", &GOOD.replace("{runs: 10}", window)).expect("good");
            let sql = audit.sql().expect("short enough");
            let mut names: Vec<String> = Vec::new();
            for block in sql.split("\nDECLARE\n").skip(1) {
                let (declared, _) = block.split_once("\nBEGIN\n").expect("a body");
                let lines = declared.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
                names.extend(lines.map(|line| word(line.trim())));
            }
            names.extend(sql.split(" AS ").skip(1).map(word));
            let own: Vec<_> = audit.all_columns().map(|column| column.name.value.raw()).collect();
            for name in names.iter().filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())) {
                assert!(
                    own.contains(&name.as_str()) || TAKEN.contains(&format!(" {name} ")),
                    "{name} is used, and not taken"
                );
            }
        }
    }

    const GOOD: &str = "\
name: orders
source: s3.orders
target: dev.orders_final
run: {name: run_id, type: BIGINT}
key:
  - {name: order_id, type: BIGINT}
columns:
  - {name: price, type: 'DECIMAL(12, 2)', tolerance: 0.01}
  - {name: code, type: VARCHAR(64), ignore: [case]}
  - {name: at, type: TIMESTAMP}
time: at
window: {runs: 10}
";

    #[test]
    fn what_is_wrong_is_refused_with_its_place_and_what_was_expected() {
        Declaration::parse("a.yaml", GOOD).expect("good");
        for (from, to, says) in [
            ("name: orders", "name: Orders!", "a.yaml:1:7: \"Orders!\": lower-case letters"),
            ("source: s3.orders", "source: orders", "a.yaml:2:9: \"orders\" is no table: schema.table is expected"),
            (
                "source: s3.orders",
                "sauce: s3.orders",
                "a.yaml:2:1: unknown field `sauce`, expected one of name, source",
            ),
            ("source: s3.orders\n", "", "missing field `source`"),
            ("name: order_id,", "name: order id,", "a.yaml:6:12: \"order id\" is no name"),
            ("name: order_id,", "name: RUN_ID,", "a.yaml:6:12: run_id: is declared twice"),
            ("name: order_id,", "name: status,", "a.yaml:6:12: status: is a name that the audit needs itself"),
            (
                "order_id, type: BIGINT",
                "order_id, type: SUPER",
                "a.yaml:6:28: \"SUPER\" is no type that can be compared: SMALLINT",
            ),
            ("order_id, type: BIGINT", "order_id, type: REAL", "a.yaml:6:12: order_id: REAL tells no rows apart"),
            ("tolerance: 0.01", "tolerance: -1", "a.yaml:8:12: price: a tolerance is 1e-9 to 1e15"),
            ("tolerance: 0.01", "tolerance: few", "a.yaml:8:54: invalid floating point"),
            ("tolerance: 0.01", "ignore: [case]", "a.yaml:8:12: price: ignores case or blanks, and is no text"),
            ("ignore: [case]", "tolerance: 1", "a.yaml:9:12: code: has a tolerance, and is no number"),
            ("ignore: [case]", "ignore: [accents]", "expected one of case, blanks"),
            ("time: at", "time: code", "a.yaml:11:7: code: time is a DATE"),
            ("time: at", "time: then", "time is one of the columns that are compared"),
            ("time: at\n", "settling_minutes: 5\n", "a.yaml:11:19: settling_minutes needs time"),
            ("{runs: 10}", "{runs: 10, days: 3}", "a.yaml:12:9: a window is either runs or days"),
            ("target: dev.orders_final", "target: s3.orders", "s3.orders plays two parts"),
            ("time: at", "time: at\naudit_table: dev.orders_final", "dev.orders_final plays two parts"),
            ("time: at", "time: at\nlocks: [dev.orders_audit]", "dev.orders_audit plays two parts"),
            ("name: orders\n", "name: orders_sweep\n", "no end in _sweep"),
            ("order_id, type", "first_run, type", "first_run: is a name that the audit needs itself"),
            ("type: 'DECIMAL(12, 2)'", "type: BOOLEAN", "price: has a tolerance, and is no number"),
            ("{runs: 10}", "{days: 40000}", "1 to 36500 days"),
            ("{runs: 10}", "{runs: 10}\nsweep: {days: 90}", "a.yaml:13:8: a sweep is counted as the window is"),
            ("{runs: 10}", "{runs: 10}\nsweep: {runs: 0}", "at least 1 run"),
            ("{runs: 10}", "{runs: 10}\nnotification: {subject: \"a\\nb\"}", "a.yaml:13:15: a subject is one line"),
            ("{runs: 10}", "{runs: 10}\nnotification: {sms: x}", "unknown field `sms`, expected one of subject, title"),
            ("{runs: 10}", "{}", "a window is either runs or days"),
            ("{runs: 10}", "{runs: 0}", "at least 1 run"),
            ("run_id, type: BIGINT", "run_id, type: VARCHAR(64)", "a.yaml:12:9: run_id has no order"),
            ("run_id, type: BIGINT", "run_id, type: VARCHAR(1000)", "a text of at most 512 bytes"),
            ("key:\n  - {name: order_id, type: BIGINT}\n", "key: []\n", "the key has 0 columns; 1 to 8 are expected"),
            ("time: at\n", "time: at\nsource_filter: a = 1; DROP TABLE x\n", "a.yaml:12:16: a filter is one condition"),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            let error = Declaration::parse("a.yaml", &text).expect_err(to).to_string();
            assert!(error.contains(says) && error.starts_with("a.yaml:"), "{to}: {error}");
        }
    }
}
