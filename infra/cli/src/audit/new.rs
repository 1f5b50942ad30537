//! `loader audit new`: proposes the declaration of an audit for two tables of the warehouse.

use std::fmt::Write as _;

use super::check::complaint;
use super::declaration::Declaration;
use super::types::{Kind, Type};
use crate::aws::Calls;
use crate::name::{Name, Qualified};
use crate::stack::Place;
use crate::warehouse::{Column, Warehouse};
use crate::{Error, Result};
use shared::sql::literal;

/// What a run is often called, the likeliest first.
const RUNS: [&str; 6] = ["run_id", "workflow_run_id", "glue_run_id", "load_id", "batch_id", "job_run_id"];

/// Two tables, and what is known of them.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// `schema.table`.
    pub source: String,
    /// `schema.table`.
    pub target: String,
    /// The audit's name; without it, the target's.
    pub name: Option<String>,
    /// The column of the run; without it, the one that is called so.
    pub run: Option<String>,
    /// Columns that are not compared, of all that both have.
    pub without: Vec<String>,
    /// The columns of the key; without them, the primary key, or what is called so.
    pub key: Vec<String>,
}

/// The text of a declaration, with comments where a person should look.
///
/// # Errors
/// If a table does not exist, or no run or key can be told.
pub async fn new(place: &Place, tables: &Tables, environment: &[(&str, &str)]) -> Result<(String, String)> {
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let mut warehouse = Warehouse::of(&mut aws, &stack, None);
    let table = |text: &str| Qualified::try_from(text.to_owned()).map_err(Error::new);
    let (source, target) = (table(&tables.source)?, table(&tables.target)?);
    let catalog = warehouse.catalog(&[source.raw().0, target.raw().0]).await?;
    let columns = |table: &Qualified| {
        let missing = || Error::new(format!("{table} does not exist, or this user does not see it"));
        catalog.tables.get(&table.raw()).cloned().ok_or_else(missing)
    };
    let known = Known {
        source_columns: columns(&source)?,
        target_columns: columns(&target)?,
        partitions: catalog.partitions.get(&source.raw()).cloned().unwrap_or_default(),
        primary_key: primary_key(&mut warehouse, &target).await,
        source,
        target,
    };
    known.propose(tables)
}

/// Redshift does not enforce it, but people declare it.
async fn primary_key(warehouse: &mut Warehouse<'_>, table: &Qualified) -> Vec<String> {
    let (schema, name) = table.raw();
    let sql = format!(
        "SELECT k.column_name FROM information_schema.table_constraints t JOIN information_schema.key_column_usage k \
         ON k.constraint_name = t.constraint_name AND k.table_schema = t.table_schema AND k.table_name = t.table_name \
         WHERE t.constraint_type = 'PRIMARY KEY' AND LOWER(t.table_schema) = {} AND LOWER(t.table_name) = {} ORDER BY k.ordinal_position",
        literal(&schema),
        literal(&name)
    );
    warehouse.texts(&sql).await.unwrap_or_default().into_iter().flatten().flatten().collect()
}

/// What the warehouse has of both tables.
#[derive(Debug)]
struct Known {
    source: Qualified,
    target: Qualified,
    source_columns: Vec<Column>,
    target_columns: Vec<Column>,
    partitions: Vec<String>,
    primary_key: Vec<String>,
}

impl Known {
    /// The audit's name and its declaration.
    fn propose(&self, tables: &Tables) -> Result<(String, String)> {
        let in_source =
            |column: &Column| self.source_columns.iter().find(|other| other.name.eq_ignore_ascii_case(&column.name));
        let common: Vec<_> =
            self.target_columns.iter().filter_map(|column| Some((column, in_source(column)?))).collect();
        let find = |name: &str| {
            let raw = Name::try_from(name.to_owned()).map_err(Error::new)?;
            let found = common.iter().find(|(column, _)| column.name.eq_ignore_ascii_case(raw.raw()));
            found
                .copied()
                .ok_or_else(|| Error::new(format!("{name} is no column of both {} and {}", self.source, self.target)))
        };
        let run = match &tables.run {
            Some(name) => find(name)?,
            None => self.guess_run(&common)?,
        };
        let (key, guess) = match &tables.key[..] {
            [] => self.guess_key(&common, &run.0.name)?,
            names => (names.iter().map(|name| find(name)).collect::<Result<_>>()?, ""),
        };
        let without = tables.without.iter().map(|name| Ok(&find(name)?.0.name)).collect::<Result<Vec<_>>>()?;
        let rest: Vec<_> = common
            .iter()
            .filter(|(column, _)| column.name != run.0.name && !key.iter().any(|(key, _)| key.name == column.name))
            .filter(|(column, _)| !without.contains(&&column.name))
            .copied()
            .collect();
        let comparable = |pair: &&(&Column, &Column)| declared(pair.0).is_some_and(|of| !is_hopeless(of, &pair.1.of));
        let time = rest
            .iter()
            .filter(comparable)
            .find(|(column, _)| declared(column).is_some_and(|of| of.kind() == Kind::Timestamp));
        let has_order = declared(run.0).is_some_and(|of| of.kind().has_order());
        let name = match &tables.name {
            Some(name) => name.clone(),
            None => self
                .target
                .name
                .raw()
                .to_lowercase()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect(),
        };
        let mut text = format!(
            "# yaml-language-server: $schema=schema.json\n# {} against {}. docs/AUDITS.md has every field.\nname: {name}\nsource: {}\ntarget: {}\n",
            self.target,
            self.source,
            scalar(&self.source.to_string()),
            scalar(&self.target.to_string())
        );
        let _ = writeln!(text, "# What one load brings, and a notification is about.\nrun: {}", flow(run)?);
        let _ = writeln!(text, "# What tells the rows of a run apart{guess}.\nkey:");
        for column in &key {
            let _ = writeln!(text, "  - {}", flow(*column)?);
        }
        text.push_str(if rest.iter().any(|pair| comparable(&pair)) { "columns:\n" } else { "columns: []\n" });
        for (column, source) in &rest {
            match declared(column) {
                Some(of) if !is_hopeless(of, &source.of) => {
                    let _ = writeln!(text, "  - {}{}", flow((column, source))?, remark(of, &source.of));
                }
                Some(of) => {
                    let _ = writeln!(
                        text,
                        "  # {} is not compared: {}",
                        column.name,
                        remark(of, &source.of).trim_start_matches([' ', '#'])
                    );
                }
                None => {
                    let _ = writeln!(text, "  # {} is not compared: it is {}", column.name, column.of);
                }
            }
        }
        if !without.is_empty() {
            let names: Vec<_> = without.iter().map(|name| name.as_str()).collect();
            let _ = writeln!(text, "# Left out: {}.", names.join(", "));
        }
        let of_one = |columns: &[Column]| {
            let alone = columns
                .iter()
                .filter(|column| !common.iter().any(|(a, b)| a.name == column.name || b.name == column.name));
            alone.map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        for (side, columns) in [("target", &self.target_columns), ("source", &self.source_columns)] {
            match of_one(columns).as_str() {
                "" => {}
                alone => {
                    let _ = writeln!(text, "# Only the {side} has {alone}.");
                }
            }
        }
        match (time, has_order) {
            (Some((time, _)), _) => {
                let _ = writeln!(text, "# When a row came to be.\ntime: {}", scalar(&written(&time.name)));
            }
            (None, true) => {}
            (None, false) => {
                return Err(Error::new(format!(
                    "{} has no order, and no column that is compared says when a row came to be: name another run (--run)",
                    run.0.name
                )));
            }
        }
        text.push_str("# Which runs an audit looks at, besides those that are unresolved or were just loaded.\n");
        text.push_str(if has_order { "window: {runs: 10}\n" } else { "window: {days: 3}\n" });
        Declaration::parse(&format!("{name}.yaml"), &text)?;
        Ok((name, text))
    }

    fn guess_run<'a>(&self, common: &[(&'a Column, &'a Column)]) -> Result<(&'a Column, &'a Column)> {
        let called = |name: &str| common.iter().find(|(column, _)| column.name.eq_ignore_ascii_case(name));
        let named = RUNS.iter().find_map(|name| called(name));
        let ends = || {
            common.iter().find(|(column, _)| ["_run_id", "_run", "_batch"].iter().any(|end| column.name.ends_with(end)))
        };
        let partition = || self.partitions.iter().find_map(|key| called(key));
        named.or_else(ends).or_else(partition).copied().ok_or_else(|| {
            let all: Vec<_> = common.iter().map(|(column, _)| column.name.as_str()).collect();
            Error::new(format!("which column is the run, that one load brings? --run one of {}", all.join(", ")))
        })
    }

    /// The columns, and where they come from.
    fn guess_key<'a>(
        &self,
        common: &[(&'a Column, &'a Column)],
        run: &str,
    ) -> Result<(Vec<(&'a Column, &'a Column)>, &'static str)> {
        let others = || common.iter().filter(|(column, _)| column.name != run).copied();
        let primary: Vec<_> = others().filter(|(column, _)| self.primary_key.contains(&column.name)).collect();
        if !primary.is_empty() {
            return Ok((primary, " (the primary key)"));
        }
        let table = self.target.name.raw().to_lowercase();
        let singular =
            |name: &str| name.strip_suffix("_id").is_some_and(|stem| !stem.is_empty() && table.contains(stem));
        let found = others()
            .find(|(column, _)| singular(&column.name))
            .or_else(|| others().find(|(column, _)| column.name == "id"));
        let found = found.or_else(|| others().find(|(column, _)| column.name.ends_with("_id")));
        found.map(|column| (vec![column], " (guessed by its name: make sure)")).ok_or_else(|| {
            let all: Vec<_> = others().map(|(column, _)| column.name.as_str()).collect();
            Error::new(format!("which columns tell the rows of a run apart? --key some of {}", all.join(",")))
        })
    }
}

fn declared(column: &Column) -> Option<Type> {
    Type::try_from(column.of.clone()).ok()
}

/// Whether no cast makes it comparable.
fn is_hopeless(of: Type, source: &str) -> bool {
    complaint(of, source, false).is_some_and(|(text, wrong)| wrong && !text.contains("rounds"))
}

fn remark(of: Type, source: &str) -> String {
    complaint(of, source, false).map_or_else(String::new, |(text, _)| format!("  # in the source it {text}"))
}

fn flow((column, source): (&Column, &Column)) -> Result<String> {
    let of = declared(column)
        .ok_or_else(|| Error::new(format!("{} is {}, which cannot be compared", column.name, column.of)))?;
    let other = match column.name == source.name {
        true => String::new(),
        false => format!("source: {}, ", scalar(&written(&source.name))),
    };
    Ok(format!("{{name: {}, {other}type: {}}}", scalar(&written(&column.name)), scalar(&of.to_string())))
}

/// As SQL writes a name of a catalog.
fn written(name: &str) -> String {
    Name::plain(name.to_owned()).to_string()
}

/// As YAML writes a text, in a flow, too.
fn scalar(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.() ".contains(c)) && !text.is_empty();
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(list: &[(&str, &str)]) -> Vec<Column> {
        list.iter().map(|(name, of)| Column { name: (*name).to_owned(), of: (*of).to_owned() }).collect()
    }

    fn known(source: &[(&str, &str)], target: &[(&str, &str)]) -> Known {
        let table = |text: &str| Qualified::try_from(text.to_owned()).expect("a table");
        Known {
            source: table("lake.payments"),
            target: table("dev.\"Payments\""),
            source_columns: columns(source),
            target_columns: columns(target),
            partitions: Vec::new(),
            primary_key: Vec::new(),
        }
    }

    const TARGET: [(&str, &str); 7] = [
        ("workflow_run_id", "VARCHAR(67)"),
        ("payment_id", "BIGINT"),
        ("Mixed Case", "DECIMAL(12, 2)"),
        ("paid_at", "TIMESTAMP"),
        ("details", "SUPER"),
        ("flag", "BOOLEAN"),
        ("loaded_by", "VARCHAR(20)"),
    ];
    const SOURCE: [(&str, &str); 6] = [
        ("workflow_run_id", "VARCHAR(65535)"),
        ("payment_id", "VARCHAR(65535)"),
        ("mixed case", "DOUBLE PRECISION"),
        ("paid_at", "TIMESTAMP"),
        ("details", "SUPER"),
        ("flag", "VARCHAR(5)"),
    ];

    #[test]
    fn a_declaration_is_proposed_with_what_a_person_should_look_at() {
        let (name, text) = known(&SOURCE, &TARGET).propose(&Tables::default()).expect("proposed");
        assert_eq!(name, "payments");
        for line in [
            "source: lake.payments\ntarget: \"dev.\\\"Payments\\\"\"\n",
            "run: {name: workflow_run_id, type: VARCHAR(67)}\n",
            "apart (guessed by its name: make sure).\nkey:\n  - {name: payment_id, type: BIGINT}\ncolumns:\n",
            "  - {name: \"\\\"Mixed Case\\\"\", source: \"\\\"mixed case\\\"\", type: \"DECIMAL(12, 2)\"}  # in the source it is DOUBLE PRECISION: the audit rounds it",
            "  - {name: paid_at, type: TIMESTAMP}\n",
            "  # details is not compared: it is SUPER\n",
            "  # flag is not compared: in the source it is VARCHAR(5), which is not cast to BOOLEAN",
            "# Only the target has loaded_by.\n",
            "time: paid_at\n",
            "window: {days: 3}\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_asked_for() {
        let known = known(&SOURCE[1..4], &TARGET);
        let error = known.propose(&Tables::default()).expect_err("no run").to_string();
        assert!(error.contains("--run one of payment_id, Mixed Case, paid_at"), "{error}");
        let given = Tables {
            run: Some("paid_at".into()),
            key: vec!["\"Mixed Case\"".into(), "payment_id".into()],
            ..Tables::default()
        };
        let (_, text) = known.propose(&given).expect("proposed");
        assert!(text.contains("columns: []\n") && text.contains("window: {runs: 10}\n"), "{text}");
        let error = known
            .propose(&Tables { run: Some("nothing".into()), ..Tables::default() })
            .expect_err("unknown")
            .to_string();
        assert!(error.contains("nothing is no column of both"), "{error}");
        let without = Tables { run: given.run.clone(), without: vec!["\"mixed case\"".into()], ..Tables::default() };
        let (_, text) = known.propose(&without).expect("proposed");
        assert!(text.contains("# Left out: Mixed Case.\n") && !text.contains("name: \"\\\"Mixed"), "{text}");
        let mut known = known;
        known.primary_key = vec!["paid_at".into(), "payment_id".into()];
        let (_, text) =
            known.propose(&Tables { run: Some("\"Mixed Case\"".into()), ..Tables::default() }).expect("proposed");
        assert!(
            text.contains("(the primary key)") && text.contains("  - {name: paid_at, type: TIMESTAMP}\n"),
            "{text}"
        );
    }
}
