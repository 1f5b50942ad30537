//! What an audit looks at, and how little it writes.

use super::*;

pub(crate) async fn an_audit_that_finds_nothing_new_writes_nothing(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    // The place of a row and the transaction that wrote it.
    let versions = async || dump(&warehouse, "ctid, xmin, order_id", "dev.orders_audit").await;
    let before = versions().await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(versions().await?, before);
    warehouse.run("UPDATE dev.orders_audit SET last_seen_at = GETDATE() - INTERVAL '2 days' WHERE run_id = 42").await?;
    let before = versions().await?;
    warehouse.run(AUDIT).await?;
    let changed = versions().await?.iter().zip(&before).filter(|(now, then)| now != then).count();
    assert_eq!(changed, 1, "last_seen_at follows once a day");
    Ok(())
}

pub(crate) const SWEEP: &str = "CALL dev.audit_orders_sweep_sp()";

/// A warehouse with so many runs of 10 orders that match, from run 101 on, all of them audited.
pub(crate) async fn with_runs(database: &Database, runs: u32) -> Any<Warehouse> {
    let warehouse = database.warehouse().await?;
    let rows = format!(
        "SELECT 100 + (n + 9) / 10 AS run_id, 10000 + n AS order_id, 1 AS customer_id, 10 AS seller_id, 'c' AS product_code, \
         'n ' || n AS product_name, n AS product_price, 1 AS product_qty, TIMESTAMP '2026-02-01' AS order_ts \
         FROM generate_series(1, {runs} * 10) n"
    );
    let columns =
        "(run_id, order_id, customer_id, seller_id, product_code, product_name, product_price, product_qty, order_ts)";
    warehouse
        .run(&format!(
            "DELETE FROM dev.orders; DELETE FROM s3_staging_schema.new_orders_staging_area;
             INSERT INTO dev.orders {columns} {rows};
             INSERT INTO s3_staging_schema.new_orders_staging_area {columns} {rows}"
        ))
        .await?;
    warehouse.run(LOAD).await?;
    warehouse.run(SWEEP).await?;
    assert_eq!(audit(&warehouse).await?, [""; 0]);
    Ok(warehouse)
}

pub(crate) async fn only_the_window_is_audited_and_what_is_unresolved_or_touched(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 20).await?;
    // An old run, and one of the newest ten.
    warehouse.run("UPDATE dev.orders_final SET product_qty = 2 WHERE order_id IN (10001, 10200)").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, ["(120,10200,DIFFERENT,product_qty,NEW)"]);
    warehouse.run(SWEEP).await?;
    let both = ["(101,10001,DIFFERENT,product_qty,NEW)", "(120,10200,DIFFERENT,product_qty,NEW)"];
    assert_eq!(audit(&warehouse).await?, both);
    // Unresolved, the old run is in the window until it is fixed; then no more.
    warehouse.run("UPDATE dev.orders_final SET product_qty = 1 WHERE order_id = 10001").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?[0], "(101,10001,DIFFERENT,product_qty,RESOLVED)");
    warehouse.run("UPDATE dev.orders_final SET product_qty = 3 WHERE order_id = 10001").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?[0], "(101,10001,DIFFERENT,product_qty,RESOLVED)");
    // A load that touches it brings it back, once.
    warehouse.run("INSERT INTO dev.orders (run_id, order_id) VALUES (101, 1)").await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(
        audit(&warehouse).await?,
        ["(101,1,MISSING_IN_STAGING,\"\",NEW)", "(101,10001,DIFFERENT,product_qty,NEW)", both[1]]
    );
    let touched = "SELECT COUNT(*) FROM dev.orders_audited_runs WHERE touched";
    assert_eq!(warehouse.number(touched).await?, 0);
    Ok(())
}

pub(crate) async fn a_span_of_runs_is_audited_and_nothing_else(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 20).await?;
    warehouse.run("UPDATE dev.orders_final SET product_qty = 2 WHERE order_id IN (10001, 10051, 10200)").await?;
    warehouse.run("CALL dev.audit_orders_between_sp(101, 105)").await?;
    assert_eq!(audit(&warehouse).await?, ["(101,10001,DIFFERENT,product_qty,NEW)"]);
    warehouse.run("UPDATE dev.orders_final SET product_qty = 1 WHERE order_id = 10001").await?;
    warehouse.run("CALL dev.audit_orders_between_sp(102, 110)").await?;
    assert_eq!(
        audit(&warehouse).await?,
        ["(101,10001,DIFFERENT,product_qty,NEW)", "(106,10051,DIFFERENT,product_qty,NEW)"],
        "outside of the span nothing is resolved"
    );
    let error = warehouse.run("CALL dev.audit_orders_between_sp(1, NULL)").await.expect_err("half a span").to_string();
    assert!(error.contains("the lowest and the highest run"), "{error}");
    warehouse.run("CALL dev.audit_orders_sweep_sp(1)").await?;
    assert!(audit(&warehouse).await?.contains(&"(120,10200,DIFFERENT,product_qty,NEW)".to_owned()));
    Ok(())
}

pub(crate) async fn a_run_that_one_side_lacks_is_one_row_and_many_rows_are_counted(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 5).await?;
    warehouse
        .run(
            "DELETE FROM dev.orders_final WHERE run_id = 101;
             DELETE FROM s3_staging_schema.new_orders_staging_area WHERE run_id = 102;
             INSERT INTO s3_staging_schema.new_orders_staging_area (run_id, order_id) \
             SELECT 103, n FROM generate_series(1, 2500) n",
        )
        .await?;
    let found = async || -> Any<Vec<String>> {
        let columns = "run_id, kind, status, COUNT(*), SUM(row_count), COUNT(order_id)";
        let grouped = format!("(SELECT {columns} FROM dev.orders_audit GROUP BY 1, 2, 3) t (a, b, c, d, e, f)");
        dump(&warehouse, "a, b, c, d, e, f", &grouped).await
    };
    for _ in 0..2 {
        warehouse.run(AUDIT).await?;
        assert_eq!(
            found().await?,
            [
                "(101,MISSING_IN_REDSHIFT,NEW,1,10,0)",
                "(102,MISSING_IN_STAGING,NEW,1,10,0)",
                "(103,MISSING_IN_REDSHIFT,NEW,1001,2500,1000)",
            ]
        );
    }
    warehouse.run("UPDATE dev.orders_audit SET status = 'NOTIFIED'").await?;
    warehouse
        .run("INSERT INTO s3_staging_schema.new_orders_staging_area (run_id, order_id) VALUES (103, 9999)")
        .await?;
    warehouse.run(AUDIT).await?;
    let again = "SELECT SUM(row_count)::BIGINT FROM dev.orders_audit WHERE status = 'NEW'";
    assert_eq!(warehouse.number(again).await?, 1501, "the count has changed");
    Ok(())
}

pub(crate) async fn an_empty_source_fails_the_audit_and_resolves_nothing(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    warehouse.run("DELETE FROM s3_staging_schema.new_orders_staging_area").await?;
    let error = warehouse.run(AUDIT).await.expect_err("an empty source").to_string();
    assert!(error.contains("new_orders_staging_area has no rows") && error.contains("partitions"), "{error}");
    assert_eq!(audit(&warehouse).await?, FOUND);
    // Nothing on either side is nothing to audit; what was found may have expired.
    warehouse.run("DELETE FROM dev.orders_final").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, FOUND);
    warehouse.run(SWEEP).await?;
    assert_eq!(warehouse.unresolved_runs().await?, [0; 0]);
    Ok(())
}

pub(crate) async fn old_resolved_rows_go_in_the_sweep(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    for (days, kept) in [(399, 5), (401, 4)] {
        let resolved = format!(
            "DELETE FROM dev.orders_audit WHERE run_id = 7;
             INSERT INTO dev.orders_audit (run_id, mismatch_key, kind, status, resolved_at) \
             VALUES (7, 'k', 'DIFFERENT', 'RESOLVED', GETDATE() - INTERVAL '{days} days')"
        );
        warehouse.run(&resolved).await?;
        warehouse.run(AUDIT).await?;
        assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_audit").await?, 5);
        warehouse.run(SWEEP).await?;
        assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_audit").await?, kept, "{days}");
    }
    Ok(())
}

/// A cast to the declared type would cut it.
pub(crate) async fn a_text_that_is_longer_than_its_type_is_found(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 2).await?;
    let longer = "ALTER TABLE s3_staging_schema.new_orders_staging_area ALTER COLUMN product_code TYPE VARCHAR(1000)";
    warehouse.run(longer).await?;
    warehouse.run("UPDATE dev.orders_final SET product_code = REPEAT('c', 64)").await?;
    for (length, found) in [(64, 0), (65, 20), (200, 20), (64, 0)] {
        let staging = "s3_staging_schema.new_orders_staging_area";
        warehouse.run(&format!("UPDATE {staging} SET product_code = REPEAT('c', {length})")).await?;
        warehouse.run(AUDIT).await?;
        let open =
            "SELECT COUNT(*) FROM dev.orders_audit WHERE differing_columns = 'product_code' AND status <> 'RESOLVED'";
        assert_eq!(warehouse.number(open).await?, found, "{length}");
    }
    Ok(())
}

/// A load that fails for good, and more runs at once than a window has.
pub(crate) async fn a_run_that_was_not_loaded_does_not_fall_out_of_the_window(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 20).await?;
    let staged = |table: &str, from: u32, to: u32| {
        format!("INSERT INTO {table} (run_id, order_id) SELECT n, n FROM generate_series({from}, {to}) n")
    };
    warehouse.run(&staged("s3_staging_schema.new_orders_staging_area", 121, 140)).await?;
    warehouse.run(&staged("dev.orders", 122, 140)).await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, ["(121,,MISSING_IN_REDSHIFT,\"\",NEW)"]);
    Ok(())
}

/// The sums of a run have to see what a count and a plain sum of hashes may not.
pub(crate) async fn swapped_and_shifted_values_are_found(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 2).await?;
    let staging = "s3_staging_schema.new_orders_staging_area";
    for change in [
        // Two orders have each other's value.
        format!("UPDATE {staging} SET product_price = 10012 - order_id - 10000 + 1 WHERE order_id IN (10001, 10010)"),
        format!(
            "UPDATE {staging} SET product_name = 'n ' || (20011 - order_id - 10000) WHERE order_id IN (10001, 10010)"
        ),
        // A character moves from one text into the next.
        format!("UPDATE {staging} SET product_code = 'cn', product_name = ' 1' WHERE order_id = 10001"),
        // NULL, and what stands for it; a trailing blank.
        format!("UPDATE {staging} SET customer_id = NULL WHERE order_id = 10001"),
        format!("UPDATE {staging} SET product_name = '' WHERE order_id = 10001"),
        format!("UPDATE {staging} SET product_name = product_name || ' ' WHERE order_id = 10001"),
    ] {
        warehouse.run("DELETE FROM dev.orders_audit").await?;
        warehouse.run(&format!("CREATE TABLE dev.kept AS SELECT * FROM {staging}; {change}")).await?;
        warehouse.run(AUDIT).await?;
        let found = audit(&warehouse).await?;
        assert!(!found.is_empty() && found.iter().all(|row| row.contains("DIFFERENT")), "{change}: {found:?}");
        warehouse
            .run(&format!("DELETE FROM {staging}; INSERT INTO {staging} SELECT * FROM dev.kept; DROP TABLE dev.kept"))
            .await?;
        warehouse.run(AUDIT).await?;
        assert_eq!(warehouse.unresolved_runs().await?, [0; 0], "{change}");
    }
    Ok(())
}

/// As a crawler may have typed the external table.
pub(crate) async fn a_source_typed_as_text_is_compared_by_value(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    let text = ["run_id", "order_id", "customer_id", "product_price", "product_qty", "order_ts"];
    let columns = text.map(|column| format!("ALTER COLUMN {column} TYPE VARCHAR(64)")).join(", ");
    let staging = "s3_staging_schema.new_orders_staging_area";
    let retyped =
        format!("DROP INDEX s3_staging_schema.new_orders_staging_area_zone_map; ALTER TABLE {staging} {columns}");
    warehouse.run(&retyped).await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, FOUND);
    Ok(())
}

/// Redshift's GETDATE() is in the session's time zone, and a user may have one set.
pub(crate) async fn no_time_depends_on_the_sessions_zone(database: &Database) -> Outcome {
    for zone in ["Asia/Tokyo", "America/New_York"] {
        let warehouse = database.warehouse().await?;
        let session = warehouse.connect().await?;
        session.batch_execute(&format!("SET timezone TO '{zone}'; {LOAD}; {AUDIT}; {SWEEP}")).await?;
        let near = "SELECT COUNT(*) FROM dev.orders_audit WHERE \
                    ABS(EXTRACT(EPOCH FROM first_seen_at) - EXTRACT(EPOCH FROM clock_timestamp())) < 60 \
                    AND ABS(EXTRACT(EPOCH FROM last_seen_at) - EXTRACT(EPOCH FROM clock_timestamp())) < 60";
        assert_eq!(warehouse.number(near).await?, 4, "{zone}");
        let set: String = session.query_one("SHOW timezone", &[]).await?.get(0);
        assert_eq!(set, zone, "the session keeps its own");
    }
    Ok(())
}
