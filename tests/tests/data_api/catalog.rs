//! What is in the database.

use super::*;

pub(crate) async fn the_catalog_is_listed_in_pages(api: &Api) -> Outcome {
    api.database.warehouse.run("CREATE DATABASE another").await?;
    api.database.warehouse.run("CREATE VIEW dev.customers_view AS SELECT * FROM dev.customers").await?;
    let typed =
        "CREATE TABLE dev.typed (id INT NOT NULL, price DECIMAL(10,2) DEFAULT 0, name VARCHAR(20), at TIMESTAMP)";
    api.database.warehouse.run(typed).await?;
    let call = async |operation: &str, database: &str, more: &[&str]| {
        let target = ["redshift-data", operation, "--workgroup-name", "w-1", "--database", database];
        Cli::local(&api.api.url).call(&[&target[..], more].concat()).await
    };
    let strings = |answer: &Value, field: &str| -> Vec<String> {
        answer[field].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let databases = strings(&call("list-databases", "ecommerce_db", &[]).await?, "Databases");
    assert!(
        databases.contains(&"another".to_owned()) && databases.contains(&"ecommerce_db".to_owned()),
        "{databases:?}"
    );
    assert!(!databases.contains(&"template0".to_owned()), "{databases:?}");
    // By one entry a page, as the CLI reads them all.
    let schemas = call("list-schemas", "ecommerce_db", &["--schema-pattern", "%e%v%", "--page-size", "1"]).await?;
    assert_eq!(strings(&schemas, "Schemas"), ["dev"]);
    let all = strings(&call("list-schemas", "ecommerce_db", &["--page-size", "1"]).await?, "Schemas");
    let has = |name: &str| all.iter().any(|schema| schema == name);
    assert!(has("dev") && has("s3_staging_schema") && has("information_schema") && !has("pg_toast"), "{all:?}");
    let tables = ["--schema-pattern", "d_v", "--table-pattern", "customers%"];
    let tables = call("list-tables", "ecommerce_db", &tables).await?;
    assert_eq!(
        tables["Tables"],
        json!([
            {"name": "customers", "schema": "dev", "type": "TABLE"},
            {"name": "customers_view", "schema": "dev", "type": "VIEW"},
        ])
    );
    let described = call("describe-table", "ecommerce_db", &["--schema", "dev", "--table", "typed"]).await?;
    assert_eq!(described["TableName"], "typed");
    let columns: Vec<_> = described["ColumnList"].as_array().into_iter().flatten().collect();
    let shown: Vec<_> = columns
        .iter()
        .map(|c| json!([c["name"], c["typeName"], c["nullable"], c["length"], c["precision"], c["scale"]]))
        .collect();
    assert_eq!(
        json!(shown),
        json!([
            ["id", "int4", 0, 4, 4, 0],
            ["price", "numeric", 1, 0, 10, 2],
            ["name", "varchar", 1, 20, 20, 0],
            ["at", "timestamp", 1, 8, 8, 0],
        ])
    );
    assert_eq!(columns[1]["columnDefault"], "0");
    // Another database than the one connected to.
    let other = ["--connected-database", "ecommerce_db", "--schema-pattern", "dev"];
    assert_eq!(strings(&call("list-schemas", "another", &other).await?, "Schemas"), [""; 0]);
    let missing = call("list-schemas", "nope", &[]).await.expect_err("no such database").to_string();
    assert!(missing.contains("DatabaseConnectionException") && missing.contains("nope"), "{missing}");
    api.database.warehouse.run("DROP DATABASE another").await?;
    Ok(())
}
