//! A warehouse, asked through the Data API with the rights of this shell's credentials, and its catalog.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use shared::sql::literal;

use crate::aws::Calls;
use crate::stack::Stack;
use crate::{Error, Result};

/// How long one look at a statement waits.
const LOOK_SECONDS: u32 = 20;

/// A warehouse, and how to reach it.
pub(crate) struct Warehouse<'a> {
    pub(crate) aws: &'a mut Calls,
    /// WorkgroupName, Database, SecretArn and so on.
    pub(crate) target: Value,
    /// How often a statement is looked at before its end is given up; nothing for ever.
    pub(crate) looks: Option<usize>,
}

/// One column of a table, as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As a declaration writes it, such as `VARCHAR(64)`.
    pub(crate) of: String,
}

/// A procedure that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Procedure {
    /// The MD5 of its body.
    pub(crate) md5: String,
    /// Whether it locks a mutex, as those of this project do.
    pub(crate) locks_a_mutex: bool,
}

/// What the catalog has of some schemas. Names of schemas, tables and procedures are in lower case, without quotes; those of columns as
/// they are.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) schemas: Vec<String>,
    pub(crate) tables: BTreeMap<(String, String), Vec<Column>>,
    /// Tables over files.
    pub(crate) external: Vec<(String, String)>,
    /// Of those, the columns that their files are partitioned by.
    pub(crate) partitions: BTreeMap<(String, String), Vec<String>>,
    /// By schema, name and the types of the arguments.
    pub(crate) procedures: BTreeMap<(String, String, String), Procedure>,
}

impl<'a> Warehouse<'a> {
    /// A stack's.
    pub(crate) fn of(aws: &'a mut Calls, stack: &Stack, looks: Option<usize>) -> Self {
        Self { aws, target: stack.target(), looks }
    }

    /// Runs a statement and waits for its end; its rows, if it has any.
    ///
    /// # Errors
    /// With the engine's text if it fails, and if it does not end.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<Vec<Vec<Value>>> {
        let mut result = self.result(sql).await?;
        let rows = result["Records"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok(rows.into_iter().map(|row| row.as_array().cloned().unwrap_or_default()).collect())
    }

    /// Runs a statement and waits for its end; the answer of GetStatementResult, or null.
    async fn result(&mut self, sql: &str) -> Result<Value> {
        let mut request = self.target.clone();
        request["Sql"] = json!(sql);
        request["WaitTimeSeconds"] = json!(LOOK_SECONDS);
        let submitted = self.aws.call("redshift-data", "execute_statement", request).await?;
        let id = &submitted["Id"];
        for _ in 0..self.looks.unwrap_or(usize::MAX) {
            let look = json!({"Id": id, "WaitTimeSeconds": LOOK_SECONDS});
            let look = self.aws.call("redshift-data", "describe_statement", look).await?;
            match look["Status"].as_str().unwrap_or_default() {
                "FINISHED" if look["HasResultSet"] == true => {
                    return self.aws.call("redshift-data", "get_statement_result", json!({"Id": id})).await;
                }
                "FINISHED" => return Ok(Value::Null),
                "FAILED" | "ABORTED" => {
                    return Err(Error::new(look["Error"].as_str().unwrap_or("no reason given")));
                }
                _ => {}
            }
        }
        Err(Error::new(format!("the statement {id} has not ended; the warehouse may be starting: try again")))
    }

    /// The names of the columns, and the rows as texts; NULL is nothing.
    pub(crate) async fn named_texts(&mut self, sql: &str) -> Result<(Vec<String>, Vec<Vec<Option<String>>>)> {
        let result = self.result(sql).await?;
        let columns = result["ColumnMetadata"].as_array().into_iter().flatten();
        let names = columns.map(|column| column["name"].as_str().unwrap_or_default().to_owned()).collect();
        let rows = result["Records"].as_array().into_iter().flatten();
        Ok((names, rows.map(|row| row.as_array().into_iter().flatten().map(text).collect()).collect()))
    }

    /// The rows as texts; NULL is nothing.
    pub(crate) async fn texts(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        Ok(self.run(sql).await?.iter().map(|row| row.iter().map(text).collect()).collect())
    }

    /// What there is in these schemas.
    pub(crate) async fn catalog(&mut self, schemas: &[String]) -> Result<Catalog> {
        let list = schemas.iter().map(|schema| literal(&schema.to_lowercase())).collect::<Vec<_>>().join(", ");
        let version = self.texts("SELECT version()").await?;
        let is_redshift = version.iter().flatten().flatten().any(|text| text.contains("Redshift"));
        let mut catalog = Catalog::default();
        let names = format!("SELECT LOWER(nspname) FROM pg_namespace WHERE LOWER(nspname) IN ({list})");
        catalog.schemas = self.texts(&names).await?.into_iter().flatten().flatten().collect();
        let view = if is_redshift { "svv_all_columns" } else { "information_schema.columns" };
        let schema =
            if is_redshift { ("schema_name", "database_name = current_database() AND ") } else { ("table_schema", "") };
        let columns = format!(
            "SELECT LOWER({}), LOWER(table_name), column_name, data_type, character_maximum_length, numeric_precision, numeric_scale \
             FROM {view} WHERE {}LOWER({}) IN ({list}) ORDER BY 1, 2, ordinal_position",
            schema.0, schema.1, schema.0
        );
        for row in self.texts(&columns).await? {
            if let [Some(schema), Some(table), Some(name), Some(of), length, precision, scale] = &row[..] {
                let size = [length, precision, scale].map(Option::as_deref);
                let column = Column { name: name.clone(), of: written(of, size) };
                catalog.tables.entry((schema.clone(), table.clone())).or_default().push(column);
            }
        }
        let external = format!(
            "SELECT LOWER(schemaname), LOWER(tablename), columnname, external_type, part_key FROM svv_external_columns \
             WHERE LOWER(schemaname) IN ({list}) ORDER BY 1, 2, columnnum"
        );
        let external = match self.texts(&external).await {
            // A PostgreSQL that stands for Redshift may have no such view.
            Err(_) if !is_redshift => Vec::new(),
            rows => rows?,
        };
        let mut tables: BTreeMap<_, Vec<Column>> = BTreeMap::new();
        for row in external {
            if let [Some(schema), Some(table), Some(name), Some(of), key] = &row[..] {
                let place = (schema.clone(), table.clone());
                let keys = catalog.partitions.entry(place.clone()).or_default();
                // The place of a partition key among those of its table; 0 for what is none.
                keys.extend(key.as_ref().filter(|place| *place != "0").map(|_| name.clone()));
                tables.entry(place).or_default().push(Column { name: name.clone(), of: written(of, [None; 3]) });
            }
        }
        catalog.external = tables.keys().cloned().collect();
        catalog.tables.extend(tables);
        if is_redshift {
            // Views without schema binding, as over an external table, have no columns elsewhere.
            let views = format!(
                "SELECT LOWER(view_schema), LOWER(view_name), col_name, col_type FROM pg_get_late_binding_view_cols() \
                 cols(view_schema name, view_name name, col_name name, col_type varchar, col_num int) \
                 WHERE LOWER(view_schema) IN ({list}) ORDER BY 1, 2, col_num"
            );
            let mut tables: BTreeMap<_, Vec<Column>> = BTreeMap::new();
            for row in self.texts(&views).await.unwrap_or_default() {
                if let [Some(schema), Some(view), Some(name), Some(of)] = &row[..] {
                    let column = Column { name: name.clone(), of: written(of, [None; 3]) };
                    tables.entry((schema.clone(), view.clone())).or_default().push(column);
                }
            }
            tables.into_iter().for_each(|(view, columns)| _ = catalog.tables.entry(view).or_insert(columns));
        }
        let procedures = format!(
            "SELECT LOWER(n.nspname), LOWER(p.proname), oidvectortypes(p.proargtypes), MD5(p.prosrc), STRPOS(p.prosrc, '_mutex') > 0 \
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE LOWER(n.nspname) IN ({list})"
        );
        for row in self.texts(&procedures).await? {
            if let [Some(schema), Some(name), arguments, Some(md5), locks] = &row[..] {
                let key = (schema.clone(), name.clone(), arguments.clone().unwrap_or_default());
                let locks_a_mutex = locks.as_deref() == Some("true");
                catalog.procedures.insert(key, Procedure { md5: md5.clone(), locks_a_mutex });
            }
        }
        Ok(catalog)
    }
}

/// A type of a catalog, or of Hive's, as SQL writes it.
fn written(of: &str, [length, precision, scale]: [Option<&str>; 3]) -> String {
    match (of.to_lowercase().as_str(), length, precision, scale) {
        ("character varying" | "varchar", Some(length), ..) => format!("VARCHAR({length})"),
        // Without a length it is as long as can be.
        ("character varying" | "varchar" | "text" | "string", None, ..) => "VARCHAR(65535)".to_owned(),
        ("character" | "char" | "bpchar", Some(length), ..) => format!("CHAR({length})"),
        ("numeric" | "decimal", _, Some(precision), scale) => format!("DECIMAL({precision}, {})", scale.unwrap_or("0")),
        ("float" | "double", ..) => "DOUBLE PRECISION".to_owned(),
        ("tinyint", ..) => "SMALLINT".to_owned(),
        ("timestamp without time zone", ..) => "TIMESTAMP".to_owned(),
        ("timestamp with time zone", ..) => "TIMESTAMPTZ".to_owned(),
        (of, ..) => of.to_uppercase(),
    }
}

/// A value of a result as text.
pub(crate) fn text(field: &Value) -> Option<String> {
    match field.as_object()?.iter().find(|(name, _)| *name != "isNull")? {
        (_, Value::String(text)) => Some(text.clone()),
        (_, other) => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_written_as_declarations_write_them() {
        for (of, size, as_written) in [
            ("character varying", [Some("64"), None, None], "VARCHAR(64)"),
            ("string", [None; 3], "VARCHAR(65535)"),
            ("numeric", [None, Some("12"), Some("2")], "DECIMAL(12, 2)"),
            ("decimal(12,2)", [None; 3], "DECIMAL(12,2)"),
            ("bigint", [None, Some("64"), Some("0")], "BIGINT"),
            ("double", [None; 3], "DOUBLE PRECISION"),
            ("timestamp without time zone", [None; 3], "TIMESTAMP"),
            ("super", [None; 3], "SUPER"),
        ] {
            assert_eq!(written(of, size), as_written);
        }
    }

    #[test]
    fn values_of_every_kind_are_texts() {
        for (field, as_text) in [
            (json!({"stringValue": "a"}), Some("a")),
            (json!({"longValue": 7}), Some("7")),
            (json!({"booleanValue": true}), Some("true")),
            (json!({"isNull": true}), None),
        ] {
            assert_eq!(text(&field).as_deref(), as_text);
        }
    }
}
