//! Older audit tables.

use super::window::SWEEP;
use super::*;

/// Old rows of the same order stand for one mismatch: one of them stays open.
pub(crate) async fn of_older_rows_of_one_order_one_stays_open(database: &Database) -> Outcome {
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
        // Neither side has run 7: a window leaves it alone.
        for call in [SWEEP, AUDIT] {
            warehouse.run(call).await?;
            let open = "(SELECT * FROM dev.orders_audit WHERE status <> 'RESOLVED') o";
            assert_eq!(
                dump(&warehouse, "order_id, status", open).await?,
                ["(1004,NEW)", "(1006,NEW)", "(1007,NEW)", "(1010,NEW)"]
            );
        }
    }
    Ok(())
}

pub(crate) async fn an_older_audit_table_is_brought_up_to_date(database: &Database) -> Outcome {
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

/// Otherwise they would be told of as if they had become clean today.
pub(crate) async fn what_was_resolved_long_ago_keeps_its_time(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    let rows = "(run_id, order_id, mismatch_key, kind, status, notified_at, last_seen_at)";
    let old = "(7, 7, 'k', 'DIFFERENT', 'RESOLVED', '2026-01-01', '2026-01-02')";
    warehouse.run(&format!("INSERT INTO dev.orders_audit {rows} VALUES {old}, {old}")).await?;
    warehouse.run("CALL dev.migrate_orders_audit_sp()").await?;
    let kept = "SELECT COUNT(*) FROM dev.orders_audit WHERE resolved_at = '2026-01-01' AND mismatch_key = 'OLD:k'";
    assert_eq!(warehouse.number(kept).await?, 2);
    Ok(())
}

/// The digest of the values was made otherwise before there was a row_count.
pub(crate) async fn an_update_notifies_nobody_again(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    let single = "order_id IS NOT NULL";
    let count = warehouse.number(&format!("SELECT COUNT(*) FROM dev.orders_audit WHERE {single}")).await?;
    warehouse
        .run(
            "UPDATE dev.orders_audit SET status = 'NOTIFIED', values_md5 = MD5('as it was');
             ALTER TABLE dev.orders_audit DROP COLUMN row_count;
             DELETE FROM dev.orders_audit_number; DELETE FROM dev.orders_audited_runs",
        )
        .await?;
    for _ in 0..2 {
        warehouse.run("CALL dev.migrate_orders_audit_sp()").await?;
        warehouse.run(AUDIT).await?;
    }
    let notified = format!("SELECT COUNT(*) FROM dev.orders_audit WHERE {single} AND status = 'NOTIFIED'");
    assert_eq!(warehouse.number(&notified).await?, count);
    // From here on another value is a change again.
    warehouse.run("UPDATE dev.orders_final SET product_price = product_price + 1 WHERE order_id = 1007").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(warehouse.number(&notified).await?, count - 1);
    Ok(())
}
