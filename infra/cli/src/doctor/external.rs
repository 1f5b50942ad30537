//! Whether the external table over S3 has the columns and types that the audit compares.
//!
//! What is expected is the DDL itself, `infra/sql/redshift/external_table.sql`.

use std::fmt;

use super::aws::Response;
use super::checks::rows;
use super::facts::Deployed;
use super::finding::{Finding, failure, ok, warning};

const CHECK: &str = "external table";
const SCHEMA: &str = "s3_staging_schema";
const TABLE: &str = "new_orders_staging_area";
const DDL: &str = include_str!("../../../sql/redshift/external_table.sql");
/// The audit that reads it. Another one may read another table.
const PROCEDURE: &str = "dev.audit_orders_sp";

/// The question, if the stack's audit is the one that reads this table.
pub(super) fn columns_sql(stack: &Deployed) -> Option<String> {
    (stack.parameter("AuditProcedure") == PROCEDURE).then(|| {
        format!(
            "SELECT columnname, external_type, part_key FROM svv_external_columns \
             WHERE schemaname = '{SCHEMA}' AND tablename = '{TABLE}' ORDER BY columnnum"
        )
    })
}

/// A type as an external table has it: what it holds, and how much of it.
#[derive(Debug, Clone, PartialEq)]
struct Type {
    name: String,
    /// Length of a text, or precision and scale.
    size: String,
}

impl Type {
    /// From Redshift's or Hive's name, such as `VARCHAR(64)` or `string`.
    fn parse(text: &str) -> Self {
        let text: String = text.to_lowercase().split_whitespace().collect();
        let (name, size) = text.strip_suffix(')').and_then(|text| text.split_once('(')).unwrap_or((text.as_str(), ""));
        let name = match name {
            "integer" | "int4" => "int",
            "int8" => "bigint",
            "numeric" => "decimal",
            "char" | "string" | "character" | "charactervarying" => "varchar",
            name => name,
        };
        Self { name: name.to_owned(), size: size.to_owned() }
    }

    /// Digits behind the point; nothing for what is no number.
    fn digits(&self) -> Option<u32> {
        match self.name.as_str() {
            "tinyint" | "smallint" | "int" | "bigint" => Some(0),
            "decimal" => Some(self.size.split_once(',').and_then(|(_, scale)| scale.parse().ok()).unwrap_or(0)),
            "float" | "real" | "float4" | "double" | "doubleprecision" | "float8" => Some(u32::MAX),
            _ => None,
        }
    }

    fn is_text(&self) -> bool {
        self.name == "varchar"
    }

    /// The length of a text; one without is as long as Redshift allows.
    fn length(&self) -> u32 {
        self.size.parse().unwrap_or(65_535)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size.as_str() {
            "" => f.write_str(&self.name),
            size => write!(f, "{}({size})", self.name),
        }
    }
}

/// Each column of the DDL with its type, and whether it is a partition's.
fn expected() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let table = DDL.split_once("CREATE EXTERNAL TABLE").map_or("", |(_, table)| table);
    let table = table.split_once(';').map_or("", |(table, _)| table);
    let column = |line: &'static str, partition| {
        let (name, of) = line.trim().trim_end_matches(',').split_once(' ')?;
        Some((name, of, partition))
    };
    table.lines().filter_map(move |line| match line.strip_prefix("PARTITIONED BY (") {
        Some(key) => column(key.strip_suffix(')')?, true),
        None if line.starts_with("    ") => column(line, false),
        None => None,
    })
}

/// What is wrong with a column, and whether the audit is wrong for it.
fn complaint(name: &str, wanted: &Type, found: &Type) -> Option<(String, bool)> {
    if wanted.is_text() && found.is_text() {
        let (long, needed) = (found.length(), wanted.length());
        return (long < needed)
            .then(|| (format!("{name} holds {long} bytes of {needed}: longer values read as NULL"), true));
    }
    if wanted == found {
        return None;
    }
    if wanted.digits().zip(found.digits()).is_some_and(|(wanted, found)| found > wanted) {
        return Some((
            format!("{name} is {found}: the audit rounds it to {wanted}, and sees no smaller difference"),
            true,
        ));
    }
    match found.is_text() {
        true => Some((format!("{name} is {found}: the audit casts it, and fails on a value that is none"), false)),
        false => Some((format!("{name} is {found}, and {wanted} is expected"), false)),
    }
}

pub(super) fn external_table(answer: &Response) -> Finding {
    let ddl = "See infra/sql/redshift/external_table.sql; the Glue Data Catalog has the types (glue update-table).";
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return warning(CHECK, format!("cannot be looked at: {error}"), ""),
    };
    let found = rows(answer);
    if found.is_empty() {
        return failure(CHECK, format!("{SCHEMA}.{TABLE} is not in the catalog, or not for this user"), ddl);
    }
    let (mut wrong, mut doubtful, mut count) = (Vec::new(), Vec::new(), 0);
    for (name, wanted, partition) in expected() {
        count += 1;
        let Some(row) = found.iter().find(|row| row[0]["stringValue"] == *name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        let of = Type::parse(row[1]["stringValue"].as_str().unwrap_or_default());
        match complaint(name, &Type::parse(wanted), &of) {
            Some((text, true)) => wrong.push(text),
            Some((text, false)) => doubtful.push(text),
            None => {}
        }
        if partition && row[2]["longValue"].as_i64().unwrap_or(0) == 0 {
            doubtful.push(format!("{name} is no partition key: every audit reads all files"));
        }
    }
    let all = || wrong.iter().chain(&doubtful).cloned().collect::<Vec<_>>().join("; ");
    match (wrong.is_empty(), doubtful.is_empty()) {
        (true, true) => ok(CHECK, format!("{SCHEMA}.{TABLE} has the {count} columns that are compared")),
        (true, false) => warning(CHECK, all(), ddl),
        (false, _) => failure(CHECK, all(), ddl),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::doctor::finding::Verdict;

    fn described(columns: &[(&str, &str, i64)]) -> Response {
        let field = |text: &str| json!({"stringValue": text});
        let rows = columns.iter().map(|(name, of, key)| json!([field(name), field(of), {"longValue": key}]));
        Ok(json!({"Records": rows.collect::<Vec<Value>>()}))
    }

    /// As Redshift describes a table that the DDL has made.
    const GOOD: [(&str, &str, i64); 9] = [
        ("order_id", "bigint", 0),
        ("customer_id", "bigint", 0),
        ("seller_id", "bigint", 0),
        ("product_code", "varchar(64)", 0),
        ("product_name", "string", 0),
        ("product_price", "decimal(12,2)", 0),
        ("product_qty", "int", 0),
        ("order_ts", "timestamp", 0),
        ("run_id", "bigint", 1),
    ];

    #[test]
    fn the_column_that_is_wrong_is_named() {
        assert_eq!(expected().count(), GOOD.len());
        let finding = external_table(&described(&GOOD));
        assert_eq!(finding.verdict, Verdict::Ok, "{finding}");
        let with = |name: &str, of: &'static str, key| {
            GOOD.map(|column| if column.0 == name { (column.0, of, key) } else { column })
        };
        for (columns, verdict, says) in [
            (with("run_id", "string", 1), Verdict::Warning, "run_id is varchar"),
            (with("run_id", "bigint", 0), Verdict::Warning, "run_id is no partition key"),
            (with("order_ts", "string", 0), Verdict::Warning, "order_ts is varchar"),
            (with("product_price", "double", 0), Verdict::Failure, "product_price is double: the audit rounds it"),
            (with("product_price", "decimal(12,4)", 0), Verdict::Failure, "rounds it to decimal(12,2)"),
            (with("product_price", "decimal(10,0)", 0), Verdict::Warning, "and decimal(12,2) is expected"),
            (with("order_id", "int", 0), Verdict::Warning, "order_id is int, and bigint is expected"),
            (with("product_name", "varchar(100)", 0), Verdict::Failure, "product_name holds 100 bytes of 256"),
        ] {
            let finding = external_table(&described(&columns));
            assert!(finding.verdict == verdict && finding.text.contains(says), "{finding}");
        }
        let finding = external_table(&described(&GOOD[1..]));
        assert_eq!((finding.verdict, finding.text.as_str()), (Verdict::Failure, "order_id is missing"));
        assert_eq!(external_table(&described(&[])).verdict, Verdict::Failure);
    }
}
