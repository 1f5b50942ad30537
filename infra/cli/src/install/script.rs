//! A file of SQL as the objects that it makes.

use crate::name::{Name, Qualified};
use crate::{Error, Result};

/// What one statement makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) kind: Kind,
    /// As it is shown, such as `dev.orders` or `dev.audit_orders_between_sp(low BIGINT, high BIGINT)`.
    pub(super) name: String,
    pub(super) sql: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Schema,
    /// The columns with their types.
    Table {
        of: Qualified,
        columns: Vec<(Name, String)>,
    },
    /// The types of the arguments as a catalog has them.
    Procedure {
        of: Qualified,
        arguments: String,
        body: String,
    },
}

impl Object {
    /// The table that it makes, as a catalog has it.
    pub(super) fn table(&self) -> Option<(String, String)> {
        match &self.kind {
            Kind::Table { of, .. } => Some(of.raw()),
            _ => None,
        }
    }

    /// The schema that it makes, or makes something in.
    pub(super) fn schema(&self) -> Option<String> {
        match &self.kind {
            Kind::Schema => Some(self.name.to_lowercase()),
            Kind::Table { of, .. } | Kind::Procedure { of, .. } => Some(of.raw().0),
        }
    }

    pub(super) fn word(&self) -> &'static str {
        match self.kind {
            Kind::Schema => "schema",
            Kind::Table { .. } => "table",
            Kind::Procedure { .. } => "procedure",
        }
    }
}

/// The statements of a file in their order.
///
/// # Errors
/// If one of them makes something else.
pub(super) fn objects(sql: &str) -> Result<Vec<Object>> {
    statements(sql).into_iter().map(object).collect()
}

fn object(sql: String) -> Result<Object> {
    let strange =
        || Error::new(format!("a statement that install does not know: {}", sql.lines().next().unwrap_or("")));
    if let Some(name) = sql.strip_prefix("CREATE SCHEMA IF NOT EXISTS ") {
        return Ok(Object { kind: Kind::Schema, name: name.to_owned(), sql });
    }
    if let Some(rest) = sql.strip_prefix("CREATE TABLE IF NOT EXISTS ") {
        let (of, rest) = Qualified::parse(rest).ok_or_else(strange)?;
        let inner = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(strange)?;
        let kind = Kind::Table { columns: columns(inner).ok_or_else(strange)?, of: of.clone() };
        return Ok(Object { kind, name: of.to_string(), sql });
    }
    let rest = sql.strip_prefix("CREATE OR REPLACE PROCEDURE ").ok_or_else(strange)?;
    let (of, rest) = Qualified::parse(rest).ok_or_else(strange)?;
    let (arguments, rest) = rest.split_once(" AS $$").ok_or_else(strange)?;
    let (body, _) = rest.rsplit_once("$$").ok_or_else(strange)?;
    let name = format!("{of}{arguments}");
    let inner = arguments.trim_start_matches('(').trim_end_matches(')');
    let types: Vec<_> = at_top(inner).filter(|argument| !argument.trim().is_empty()).map(in_catalog).collect();
    let arguments = types.join(", ");
    let kind = Kind::Procedure { of, arguments, body: body.to_owned() };
    Ok(Object { kind, name, sql })
}

/// The type of `name TYPE`.
fn in_catalog(argument: &str) -> String {
    let of = Name::parse(argument.trim()).map_or(argument, |(_, of)| of).trim();
    match of.split('(').next().unwrap_or(of).trim().to_lowercase().as_str() {
        "varchar" => "character varying".to_owned(),
        "decimal" => "numeric".to_owned(),
        "timestamp" => "timestamp without time zone".to_owned(),
        other => other.to_owned(),
    }
}

/// Each column's name and type, without what follows it.
fn columns(inner: &str) -> Option<Vec<(Name, String)>> {
    let column = |text: &str| {
        let (name, of) = Name::parse(text.trim())?;
        let of = of.trim();
        Some((name, of.strip_suffix("NOT NULL").unwrap_or(of).trim().to_owned()))
    };
    at_top(inner).map(column).collect()
}

/// The parts between the commas that stand in no parentheses and no quotes.
fn at_top(text: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut quoted) = (0_i32, false);
    text.split(move |c: char| {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0 && !quoted
    })
}

/// Each ends with a semicolon at the end of a line, outside of a body. Comments before it go.
fn statements(sql: &str) -> Vec<String> {
    let (mut all, mut open, mut in_body) = (Vec::new(), String::new(), false);
    for line in sql.lines() {
        if !in_body && open.is_empty() && (line.is_empty() || line.starts_with("--")) {
            continue;
        }
        in_body ^= line.matches("$$").count() % 2 == 1;
        match line.strip_suffix(';') {
            Some(last) if !in_body => {
                open.push_str(last);
                all.push(std::mem::take(&mut open));
            }
            _ => {
                open.push_str(line);
                open.push('\n');
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::project;

    #[test]
    fn every_statement_of_the_project_is_an_object() {
        let mut words = Vec::new();
        for file in ["tables.sql", "audits/orders.sql", "load.sql"] {
            let sql = std::fs::read_to_string(project("infra/sql").join(file)).expect(file);
            words.extend(objects(&sql).expect(file).iter().map(Object::word));
        }
        let count = |word| words.iter().filter(|other| **other == word).count();
        assert_eq!((count("schema"), count("table"), count("procedure")), (1, 9, 7));
    }

    #[test]
    fn an_object_has_its_name_columns_arguments_and_body() {
        let sql = "-- a; b\nCREATE TABLE IF NOT EXISTS dev.\"a,b\" (\n    \"x, y\" DECIMAL(12, 2) NOT NULL,\n    z BIGINT\n);\n\n\
                   CREATE OR REPLACE PROCEDURE dev.p_sp(low DECIMAL(38, 0), high BIGINT) AS $$\nBEGIN\n    NULL;\nEND;\n$$ LANGUAGE plpgsql;\n";
        let all = objects(sql).expect("two");
        let Kind::Table { columns, .. } = &all[0].kind else { panic!("{all:?}") };
        let columns: Vec<_> = columns.iter().map(|(name, of)| (name.raw(), of.as_str())).collect();
        assert_eq!(columns, [("x, y", "DECIMAL(12, 2)"), ("z", "BIGINT")]);
        assert_eq!(all[0].name, "dev.\"a,b\"");
        let Kind::Procedure { arguments, body, .. } = &all[1].kind else { panic!("{all:?}") };
        assert_eq!((arguments.as_str(), body.as_str()), ("numeric, bigint", "\nBEGIN\n    NULL;\nEND;\n"));
        assert_eq!(all[1].name, "dev.p_sp(low DECIMAL(38, 0), high BIGINT)");
        assert!(objects("DROP TABLE dev.orders;").is_err());
    }
}
