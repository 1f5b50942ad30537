//! The SQL of `infra/sql` on a real PostgreSQL. Each test has a database of its own.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use redshift_local::postgres::Postgres;
use redshift_local::warehouse::Warehouse;
use tempfile::TempDir;
use tests::{Any, Outcome, run, tests};

struct Database {
    postgres: Postgres,
    _dir: TempDir,
    made: AtomicU32,
}

impl Database {
    /// A new database with the sample orders.
    async fn warehouse(&self) -> Any<Warehouse> {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        Warehouse::new(&self.postgres.url())?.run(&format!("CREATE DATABASE {name}")).await?;
        let (server, _) =
            self.postgres.url().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap_or_default();
        let warehouse = Warehouse::new(&format!("{server}/{name}"))?;
        warehouse.reset().await?;
        Ok(warehouse)
    }
}

const LOAD: &str = "CALL dev.enriched_orders_sp()";
const AUDIT: &str = "CALL dev.audit_orders_sp()";

/// All rows of a table as text, in an order of their own.
async fn dump(warehouse: &Warehouse, columns: &str, table: &str) -> Any<Vec<String>> {
    let rows = warehouse.rows(&format!("SELECT CAST(ROW({columns}) AS VARCHAR) FROM {table} ORDER BY 1")).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn audit(warehouse: &Warehouse) -> Any<Vec<String>> {
    dump(warehouse, "run_id, order_id, kind, differing_columns, status", "dev.orders_audit").await
}

const FOUND: [&str; 4] = [
    "(42,1004,MISSING_IN_REDSHIFT,\"\",NEW)",
    "(43,1006,MISSING_IN_STAGING,\"\",NEW)",
    "(44,1007,DIFFERENT,product_price,NEW)",
    "(45,1010,DIFFERENT,product_name,NEW)",
];

async fn loading_twice_is_loading_once(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    let columns = "run_id, order_id, customer_id, customer_name, customer_address, seller_id, seller_name, \
                   seller_address, product_code, product_name, product_price, product_qty, order_ts";
    let once = dump(&warehouse, columns, "dev.orders_final").await?;
    assert_eq!(once.len(), 10);
    assert_eq!(
        once[0],
        "(41,1001,1,\"Asha Rao\",\"12 Lake Road, Pune\",10,\"Northwind Books\",\"1 Print Lane, Leeds\",BK-1,Atlas,20.00,1,\"2026-01-01 08:00:00\")"
    );
    warehouse.run(LOAD).await?;
    assert_eq!(dump(&warehouse, columns, "dev.orders_final").await?, once);
    Ok(())
}

async fn late_rows_of_a_known_run_are_picked_up(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run("INSERT INTO dev.orders (run_id, order_id, customer_id) VALUES (41, 2001, 999)").await?;
    warehouse.run(LOAD).await?;
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?, 11);
    // A customer that nobody knows does not lose the order.
    assert_eq!(
        warehouse
            .number("SELECT COUNT(*) FROM dev.orders_final WHERE order_id = 2001 AND customer_name IS NULL")
            .await?,
        1
    );
    Ok(())
}

async fn what_is_staged_or_known_twice_is_loaded_once(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run("INSERT INTO dev.orders SELECT * FROM dev.orders WHERE run_id = 41").await?;
    warehouse.run("INSERT INTO dev.customers SELECT * FROM dev.customers").await?;
    warehouse.run(LOAD).await?;
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?, 10);
    Ok(())
}

async fn each_kind_of_mismatch_is_found(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, FOUND);
    Ok(())
}

async fn every_column_is_compared_and_null_is_a_value(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    for (column, value) in [
        ("customer_id", "99"),
        ("seller_id", "99"),
        ("product_code", "'x'"),
        ("product_name", "'x'"),
        ("product_price", "0.01"),
        ("product_qty", "99"),
        ("order_ts", "'2020-01-01'"),
    ] {
        for other in [value, "NULL"] {
            warehouse
                .run(&format!(
                    "UPDATE s3_staging_schema.new_orders_staging_area SET {column} = {other} WHERE order_id = 1001"
                ))
                .await?;
            warehouse.run(AUDIT).await?;
            let found = warehouse
                .rows("SELECT differing_columns FROM dev.orders_audit WHERE order_id = 1001 AND status = 'NEW'")
                .await?;
            assert_eq!(found.len(), 1, "{column} = {other}");
            assert_eq!(found[0].get::<_, String>(0), column);
            warehouse
                .run(&format!(
                    "UPDATE s3_staging_schema.new_orders_staging_area SET {column} = \
                     (SELECT {column} FROM dev.orders_final WHERE order_id = 1001) WHERE order_id = 1001"
                ))
                .await?;
        }
    }
    Ok(())
}

async fn auditing_twice_is_auditing_once(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, FOUND);
    Ok(())
}

async fn a_mended_mismatch_is_resolved_and_a_returning_one_is_new(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    warehouse.run("UPDATE dev.orders_final SET product_price = 99.00 WHERE order_id = 1007").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?[2], "(44,1007,DIFFERENT,product_price,RESOLVED)");
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_audit WHERE resolved_at IS NOT NULL").await?, 1);
    assert_eq!(warehouse.unresolved_runs().await?, [42, 43, 45]);
    warehouse.run("UPDATE dev.orders_audit SET first_seen_at = '2026-01-01'").await?;
    warehouse.run("UPDATE dev.orders_final SET product_price = 1.00 WHERE order_id = 1007").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, FOUND, "re-opened, and no second row");
    let waits = "SELECT COUNT(*) FROM dev.orders_audit WHERE first_seen_at > '2026-01-01' AND order_id = 1007";
    assert_eq!(warehouse.number(waits).await?, 1, "what returns has not waited since it was first seen");
    let waits = "SELECT COUNT(*) FROM dev.orders_audit WHERE first_seen_at > '2026-01-01'";
    assert_eq!(warehouse.number(waits).await?, 1, "what has stayed has");
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_audit WHERE resolved_at IS NOT NULL").await?, 0);
    Ok(())
}

async fn a_mismatch_that_looks_different_is_new_again(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    warehouse.run("UPDATE dev.orders_audit SET status = 'NOTIFIED'").await?;
    warehouse.run(AUDIT).await?;
    let again = "SELECT COUNT(*) FROM dev.orders_audit WHERE status = 'NEW' AND changed_in = 2";
    assert_eq!(warehouse.number(again).await?, 0, "nothing has changed");
    warehouse.run("UPDATE dev.orders_final SET product_qty = 77 WHERE order_id = 1007").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(warehouse.number(again).await?, 1);
    assert_eq!(audit(&warehouse).await?[2], "(44,1007,DIFFERENT,\"product_price product_qty\",NEW)");
    Ok(())
}

/// Each is a change that whoever was told has not heard of.
async fn another_value_in_the_same_column_is_new_again(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run("INSERT INTO dev.orders_final SELECT * FROM dev.orders_final WHERE order_id = 1001").await?;
    warehouse.run(AUDIT).await?;
    for change in [
        "UPDATE dev.orders_final SET product_price = 88.00 WHERE order_id = 1007",
        "UPDATE s3_staging_schema.new_orders_staging_area SET product_price = 87.00 WHERE order_id = 1007",
        "UPDATE s3_staging_schema.new_orders_staging_area SET product_price = NULL WHERE order_id = 1007",
        "INSERT INTO dev.orders_final SELECT * FROM dev.orders_final WHERE order_id = 1001 LIMIT 1",
    ] {
        warehouse.run("UPDATE dev.orders_audit SET status = 'NOTIFIED'").await?;
        warehouse.run(AUDIT).await?;
        let again = "SELECT COUNT(*) FROM dev.orders_audit WHERE status = 'NEW'";
        assert_eq!(warehouse.number(again).await?, 0, "before {change}");
        warehouse.run(change).await?;
        warehouse.run(AUDIT).await?;
        assert_eq!(warehouse.number(again).await?, 1, "{change}");
    }
    Ok(())
}

async fn what_is_there_twice_does_not_look_different_in_each_audit(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    for table in ["s3_staging_schema.new_orders_staging_area", "dev.orders_final"] {
        // Alike in all but the last column that the first is chosen by.
        warehouse
            .run(&format!(
                "INSERT INTO {table} SELECT * FROM {table} WHERE order_id = 1007;
                 INSERT INTO {table} SELECT * FROM {table} WHERE order_id = 1007 LIMIT 1;
                 UPDATE {table} SET seller_id = n FROM
                 (SELECT ctid AS place, ROW_NUMBER() OVER () - 1 AS n FROM {table} WHERE order_id = 1007) numbered
                 WHERE ctid = place"
            ))
            .await?;
    }
    warehouse.run(AUDIT).await?;
    warehouse.run("UPDATE dev.orders_audit SET status = 'NOTIFIED'").await?;
    for seller in 0..3 {
        // A row that is written again lies, and comes, behind the others.
        for table in ["s3_staging_schema.new_orders_staging_area", "dev.orders_final"] {
            let again = "SET seller_id = seller_id WHERE order_id = 1007";
            warehouse.run(&format!("UPDATE {table} {again} AND seller_id = {seller}")).await?;
        }
        warehouse.run(AUDIT).await?;
        let again = "SELECT COUNT(*) FROM dev.orders_audit WHERE status <> 'NOTIFIED'";
        assert_eq!(warehouse.number(again).await?, 0, "{seller}");
    }
    Ok(())
}

async fn a_status_that_is_null_is_unresolved(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    warehouse.run("UPDATE dev.orders_audit SET status = NULL").await?;
    warehouse.run("UPDATE dev.orders_final SET product_price = 99.00 WHERE order_id = 1007").await?;
    warehouse.run(AUDIT).await?;
    let mut expected = FOUND.map(str::to_owned);
    expected[2] = "(44,1007,DIFFERENT,product_price,RESOLVED)".to_owned();
    assert_eq!(audit(&warehouse).await?, expected);
    Ok(())
}

/// Old rows of the same order stand for one mismatch: one of them stays open.
async fn of_older_rows_of_one_order_one_stays_open(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    for (original, row) in [
        ("run_id BIGINT, order_id BIGINT, status VARCHAR(16)", ""),
        ("run_id BIGINT, order_id BIGINT, status VARCHAR(16), kind VARCHAR(32)", ", 'MISSING_IN_REDSHIFT'"),
    ] {
        warehouse.reset().await?;
        warehouse.run(&format!("DROP TABLE dev.orders_audit; CREATE TABLE dev.orders_audit ({original})")).await?;
        // Alike in all columns; open beside resolved; resolved alone; a single one without a status.
        for old in [
            "42, 1004, 'NEW'",
            "42, 1004, 'NEW'",
            "42, 1004, 'RESOLVED'",
            "7, 7, 'RESOLVED'",
            "7, 7, 'RESOLVED'",
            "7, 8, NULL",
        ] {
            warehouse.run(&format!("INSERT INTO dev.orders_audit VALUES ({old}{row})")).await?;
        }
        let states = "order_id, status, LEFT(mismatch_key, 4) = 'OLD:'";
        for _ in 0..2 {
            warehouse.run("CALL dev.migrate_orders_audit_sp()").await?;
            assert_eq!(
                dump(&warehouse, states, "dev.orders_audit").await?,
                [
                    "(1004,NEW,f)",
                    "(1004,RESOLVED,t)",
                    "(1004,RESOLVED,t)",
                    "(1004,RESOLVED,t)",
                    "(7,RESOLVED,t)",
                    "(7,RESOLVED,t)",
                    "(8,NEW,f)",
                ],
                "{original}"
            );
        }
        warehouse.run(LOAD).await?;
        for _ in 0..2 {
            warehouse.run(AUDIT).await?;
            let open = "(SELECT * FROM dev.orders_audit WHERE status <> 'RESOLVED') o";
            assert_eq!(
                dump(&warehouse, "order_id, status", open).await?,
                ["(1004,NEW)", "(1006,NEW)", "(1007,NEW)", "(1010,NEW)"]
            );
        }
    }
    Ok(())
}

async fn an_older_audit_table_is_brought_up_to_date(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    for original in [
        "run_id BIGINT, order_id BIGINT, status VARCHAR(16)",
        "mismatch_key VARCHAR(96), run_id BIGINT, order_id BIGINT, kind VARCHAR(32) NOT NULL, differing_columns VARCHAR(256), \
         order_ts TIMESTAMP, status VARCHAR(16) NOT NULL, first_seen_at TIMESTAMP NOT NULL, last_seen_at TIMESTAMP NOT NULL, \
         resolved_at TIMESTAMP",
    ] {
        warehouse.reset().await?;
        warehouse.run(&format!("DROP TABLE dev.orders_audit; CREATE TABLE dev.orders_audit ({original})")).await?;
        let kind = if original.contains("kind") { ", kind, first_seen_at, last_seen_at" } else { "" };
        let values = if kind.is_empty() { "" } else { ", 'MISSING_IN_REDSHIFT', '2026-01-01', '2026-01-02'" };
        warehouse.run(&format!("INSERT INTO dev.orders_audit (run_id, order_id, status{kind}) VALUES (42, 1004, 'NEW'{values}), (7, 7, 'RESOLVED'{values})")).await?;
        for _ in 0..2 {
            warehouse.run("CALL dev.migrate_orders_audit_sp()").await?;
        }
        assert_eq!(
            warehouse
                .number(
                    "SELECT COUNT(*) FROM dev.orders_audit WHERE mismatch_key IS NOT NULL AND changed_in IS NOT NULL"
                )
                .await?,
            2
        );
        warehouse.run(LOAD).await?;
        warehouse.run(AUDIT).await?;
        assert_eq!(warehouse.unresolved_runs().await?, [42, 43, 44, 45], "{original}");
        let known = "SELECT COUNT(*) FROM dev.orders_audit WHERE order_id = 1004 AND status <> 'RESOLVED'";
        assert_eq!(warehouse.number(known).await?, 1, "the old row lives on: {original}");
        assert_eq!(
            warehouse.number("SELECT COUNT(*) FROM dev.orders_audit WHERE order_id = 1004").await?,
            1,
            "{original}"
        );
    }
    Ok(())
}

async fn rows_without_keys_and_duplicates_are_mismatches(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run("INSERT INTO s3_staging_schema.new_orders_staging_area (product_code) VALUES ('x')").await?;
    warehouse.run("INSERT INTO dev.orders_final SELECT * FROM dev.orders_final WHERE order_id = 1001").await?;
    for _ in 0..2 {
        warehouse.run(AUDIT).await?;
        let found = audit(&warehouse).await?;
        assert_eq!(found.len(), 6, "{found:?}");
        assert!(found.contains(&"(,,MISSING_IN_REDSHIFT,\"\",NEW)".to_owned()), "{found:?}");
        assert!(found.contains(&"(41,1001,DUPLICATE_IN_REDSHIFT,\"\",NEW)".to_owned()), "{found:?}");
    }
    Ok(())
}

async fn a_failing_load_leaves_nothing_half_done(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run("ALTER TABLE dev.orders_final ADD CHECK (order_id <> 1010)").await?;
    let error = warehouse.run(LOAD).await.expect_err("the constraint is broken").to_string();
    assert!(error.contains("violates check constraint"), "{error}");
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?, 0);
    Ok(())
}

async fn two_loads_at_once_load_once(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    let (first, second) = tokio::join!(warehouse.run(LOAD), warehouse.run(LOAD));
    first?;
    second?;
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?, 10);
    Ok(())
}

/// A later position would let the snapshot predate the wait; PostgreSQL at READ COMMITTED hides that, so
/// the position itself is held.
async fn the_lock_is_the_first_statement_of_each_procedure(_: &Database) -> Outcome {
    let sql = std::fs::read_to_string(loader::tools::project("infra/sql/procedures.sql"))?;
    let bodies: Vec<_> = sql.split("\nBEGIN\n").skip(1).collect();
    assert_eq!(bodies.len(), 3);
    for body in bodies {
        assert!(body.trim_start().starts_with("LOCK dev."), "{}", &body[..60]);
    }
    for forbidden in ["COMMIT", "TRUNCATE", "EXCEPTION"] {
        assert!(!sql.to_uppercase().contains(forbidden), "{forbidden}");
    }
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        loading_twice_is_loading_once,
        late_rows_of_a_known_run_are_picked_up,
        what_is_staged_or_known_twice_is_loaded_once,
        each_kind_of_mismatch_is_found,
        every_column_is_compared_and_null_is_a_value,
        auditing_twice_is_auditing_once,
        a_mended_mismatch_is_resolved_and_a_returning_one_is_new,
        a_mismatch_that_looks_different_is_new_again,
        another_value_in_the_same_column_is_new_again,
        what_is_there_twice_does_not_look_different_in_each_audit,
        a_status_that_is_null_is_unresolved,
        of_older_rows_of_one_order_one_stays_open,
        an_older_audit_table_is_brought_up_to_date,
        rows_without_keys_and_duplicates_are_mismatches,
        a_failing_load_leaves_nothing_half_done,
        two_loads_at_once_load_once,
        the_lock_is_the_first_statement_of_each_procedure,
    ];
    let start = async || {
        let dir = TempDir::new().expect("a folder");
        let postgres = Postgres::start(dir.path()).await.expect("PostgreSQL");
        Database { postgres, _dir: dir, made: AtomicU32::new(0) }
    };
    run(tests, start, async |database: Database| database.postgres.stop().await)
}
