//! ListDatabases, ListSchemas, ListTables and DescribeTable: what the engine's own catalog holds.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::config::Config;
use crate::protocol::{Failure, FailureType, Reply, check_target};
use crate::value::type_name;

/// The most that is shown at once. [API model, PageSize]
const MAX_SHOWN: usize = 1000;

/// Which of the operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Databases,
    Schemas,
    Tables,
    Columns,
}

/// The request of any of them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Catalog {
    pub(crate) workgroup_name: Option<String>,
    pub(crate) cluster_identifier: Option<String>,
    secret_arn: Option<String>,
    db_user: Option<String>,
    database: Option<String>,
    connected_database: Option<String>,
    schema: Option<String>,
    schema_pattern: Option<String>,
    table: Option<String>,
    table_pattern: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

const DATABASES: &str = "SELECT to_json(datname::text)::text FROM pg_database \
     WHERE datallowconn AND NOT datistemplate ORDER BY datname";

/// Without the schemas that are PostgreSQL's own business.
const SCHEMAS: &str = "SELECT to_json(n.nspname::text)::text FROM pg_namespace n \
     WHERE n.nspname !~ '^pg_(toast|temp)' AND ($1::text IS NULL OR n.nspname LIKE $1) ORDER BY n.nspname";

const TABLES: &str = "SELECT json_build_object('name', c.relname, 'schema', n.nspname, 'type', \
     CASE WHEN n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind = 'v' THEN 'SYSTEM VIEW' \
          WHEN n.nspname IN ('pg_catalog', 'information_schema') THEN 'SYSTEM TABLE' \
          WHEN c.relkind IN ('v', 'm') THEN 'VIEW' WHEN c.relkind = 'f' THEN 'EXTERNAL TABLE' ELSE 'TABLE' END)::text \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_(toast|temp)' \
     AND ($1::text IS NULL OR n.nspname LIKE $1) AND ($2::text IS NULL OR c.relname LIKE $2) \
     ORDER BY n.nspname, c.relname";

/// The length is in characters; the precision that of a DECIMAL, of all others the length. [API model, ColumnMetadata]
const COLUMNS: &str = "SELECT json_strip_nulls(json_build_object('name', a.attname, 'label', a.attname, \
     'schemaName', n.nspname, 'tableName', c.relname, 'typeName', t.typname, 'columnDefault', pg_get_expr(d.adbin, d.adrelid), \
     'nullable', CASE WHEN a.attnotnull THEN 0 ELSE 1 END, 'length', sized.length, \
     'precision', COALESCE((numbers.typmod >> 16) & 65535, sized.length), 'scale', COALESCE(numbers.typmod & 65535, 0), \
     'isCurrency', FALSE, 'isCaseSensitive', t.typcategory = 'S', 'isSigned', t.typcategory = 'N'))::text \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     CROSS JOIN LATERAL (SELECT CASE WHEN t.typname = 'numeric' AND a.atttypmod > 0 THEN a.atttypmod - 4 END AS typmod) numbers \
     CROSS JOIN LATERAL (SELECT CASE WHEN t.typname IN ('varchar', 'bpchar') THEN GREATEST(a.atttypmod - 4, 0) \
     ELSE GREATEST(a.attlen::int, 0) END AS length) sized \
     WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
     AND n.nspname !~ '^pg_(toast|temp)' \
     AND ($1::text IS NULL OR n.nspname = $1) AND ($2::text IS NULL OR c.relname = $2) \
     ORDER BY n.nspname, c.relname, a.attnum";

/// Answers one of the operations, by what is in this database.
///
/// # Errors
/// ValidationException for a request that is wrong, DatabaseConnectionException if a database is not there.
pub(crate) async fn look(config: &Config, kind: Kind, database: &str, request: &Catalog) -> Reply {
    let start = start_of(request.next_token.as_deref())?;
    if let Some(connected) = &request.connected_database {
        drop(connect(config, connected).await?);
    }
    let client = connect(config, database).await?;
    let rows = match kind {
        Kind::Databases => client.query(DATABASES, &[]).await,
        Kind::Schemas => client.query(SCHEMAS, &[&request.schema_pattern]).await,
        Kind::Tables => client.query(TABLES, &[&request.schema_pattern, &request.table_pattern]).await,
        Kind::Columns => client.query(COLUMNS, &[&request.schema, &request.table]).await,
    };
    let rows = rows.map_err(|e| failed(&e))?;
    let mut all: Vec<Value> = Vec::with_capacity(rows.len());
    for row in &rows {
        let text: String = row.get(0);
        let mut entry: Value = serde_json::from_str(&text).unwrap_or_default();
        if kind == Kind::Columns
            && let Some(name) = entry["typeName"].as_str().map(|name| type_name(name).to_owned())
        {
            entry["typeName"] = json!(name);
        }
        all.push(entry);
    }
    let name = match kind {
        Kind::Databases => "Databases",
        Kind::Schemas => "Schemas",
        Kind::Tables => "Tables",
        Kind::Columns => "ColumnList",
    };
    let mut answer = page(name, &all, start, request.max_results)?;
    if let Some(table) = request.table.as_ref().filter(|_| kind == Kind::Columns) {
        answer["TableName"] = json!(table);
    }
    Ok(answer)
}

impl Catalog {
    /// The database to look into.
    ///
    /// # Errors
    /// ValidationException for a request that does not say where to look.
    pub(crate) fn check(&self) -> Reply<&str> {
        check_target(
            self.workgroup_name.as_deref(),
            self.cluster_identifier.as_deref(),
            self.secret_arn.as_deref(),
            self.db_user.as_deref(),
        )?;
        let database = self.database.as_deref().unwrap_or_default();
        if database.is_empty() {
            return Err(Failure::validation("Database name must not be empty."));
        }
        Ok(database)
    }
}

fn start_of(token: Option<&str>) -> Reply<usize> {
    match token {
        None => Ok(0),
        Some(token) => token.parse().map_err(|_| Failure::validation("NextToken is not valid.")),
    }
}

/// The entries from `start` on, as many as wanted.
fn page(name: &str, all: &[Value], start: usize, max_results: Option<usize>) -> Reply {
    let limit = max_results.filter(|n| *n > 0).unwrap_or(MAX_SHOWN);
    if limit > MAX_SHOWN {
        return Err(Failure::validation("MaxResults must have value less than or equal to 1000."));
    }
    if start > 0 && start >= all.len() {
        return Err(Failure::validation("NextToken is not valid."));
    }
    let end = all.len().min(start + limit);
    let mut answer = json!({ name: &all[start..end] });
    if end < all.len() {
        answer["NextToken"] = json!(end.to_string());
    }
    Ok(answer)
}

async fn connect(config: &Config, database: &str) -> Reply<Client> {
    let mut postgres = config.postgres.clone();
    postgres.dbname(database);
    let (client, connection) = postgres.connect(NoTls).await.map_err(|e| failed(&e))?;
    tokio::spawn(connection);
    Ok(client)
}

fn failed(error: &tokio_postgres::Error) -> Failure {
    let text = match error.as_db_error() {
        Some(db) => format!("{}: {}", db.severity(), db.message()),
        None => error.to_string(),
    };
    Failure::new(FailureType::DatabaseConnectionException, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_pages() {
        let all = [json!("a"), json!("b"), json!("c")];
        for (start, max_results, expected) in [
            (0, None, Some(json!({"Schemas": ["a", "b", "c"]}))),
            (0, Some(0), Some(json!({"Schemas": ["a", "b", "c"]}))),
            (0, Some(2), Some(json!({"Schemas": ["a", "b"], "NextToken": "2"}))),
            (2, Some(2), Some(json!({"Schemas": ["c"]}))),
            (3, Some(2), None),
            (0, Some(1001), None),
        ] {
            assert_eq!(page("Schemas", &all, start, max_results).ok(), expected, "{start} {max_results:?}");
        }
        assert_eq!(page("Schemas", &[], 0, None).ok(), Some(json!({"Schemas": []})));
        assert!(start_of(Some("x")).is_err() && start_of(Some("7")) == Ok(7));
    }
}
