//! The SQL of `infra/sql` on a real PostgreSQL. Each test has a database of its own.

mod life;
mod load;
mod locks;
mod migration;
mod window;

use loader::tools::project;
use redshift_data_local::postgres::Postgres;
use redshift_data_local::process::Folder;
use redshift_local::postgres;
use redshift_local::warehouse::Warehouse;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use tests::{Any, Outcome, run, tests};

use life::*;
use load::*;
use locks::*;
use migration::*;
use window::*;

struct Database {
    postgres: Postgres,
    _dir: Folder,
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

/// Each is a change that nobody has been notified of.
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
        an_update_notifies_nobody_again,
        what_was_resolved_long_ago_keeps_its_time,
        rows_without_keys_and_duplicates_are_mismatches,
        a_failing_load_leaves_nothing_half_done,
        two_loads_at_once_load_once,
        a_mutex_is_locked_by_the_first_statement_of_each_procedure,
        what_was_loaded_leaves_staging_and_what_arrives_meanwhile_stays,
        many_runs_in_staging_are_loaded_by_their_span,
        readers_and_marks_do_not_wait_for_a_load_or_an_audit,
        loads_and_audits_queue_and_do_not_deadlock,
        an_audit_that_finds_nothing_new_writes_nothing,
        only_the_window_is_audited_and_what_is_unresolved_or_touched,
        a_span_of_runs_is_audited_and_nothing_else,
        a_run_that_one_side_lacks_is_one_row_and_many_rows_are_counted,
        an_empty_source_fails_the_audit_and_resolves_nothing,
        old_resolved_rows_go_in_the_sweep,
        swapped_and_shifted_values_are_found,
        a_source_typed_as_text_is_compared_by_value,
        no_time_depends_on_the_sessions_zone,
        a_span_leaves_rows_without_a_run_alone,
        an_old_run_without_files_is_left_to_the_sweep,
        what_has_expired_is_neither_found_nor_resolved,
        a_straggler_does_not_make_what_has_expired_missing,
        rows_without_a_run_expire_as_others_do,
        what_returns_has_not_been_told_of,
        a_text_that_is_longer_than_its_type_is_found,
        a_run_that_was_not_loaded_does_not_fall_out_of_the_window,
        a_recorded_row_stays_until_it_is_fixed_however_many_there_are,
        a_silence_goes_with_the_run_and_not_with_the_row,
        a_window_begins_when_everything_was_audited_once,
        what_is_twice_on_both_sides_is_no_mismatch,
    ];
    let start = async || {
        let dir = Folder::new().expect("a folder");
        let postgres = postgres::start(dir.path()).await.expect("PostgreSQL");
        Database { postgres, _dir: dir, made: AtomicU32::new(0) }
    };
    run(tests, start, async |database: Database| database.postgres.stop().await)
}
