//! What becomes of a mismatch when its run changes form, ages, or is one of too many.

use super::window::{SWEEP, with_runs};
use super::*;

pub(crate) async fn a_span_leaves_rows_without_a_run_alone(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 3).await?;
    warehouse.run("INSERT INTO s3_staging_schema.new_orders_staging_area (run_id, order_id) VALUES (NULL, 7)").await?;
    warehouse.run(AUDIT).await?;
    let found = audit(&warehouse).await?;
    assert_eq!(found, ["(,7,MISSING_IN_REDSHIFT,\"\",NEW)"]);
    for _ in 0..2 {
        warehouse.run("CALL dev.audit_orders_between_sp(101, 102)").await?;
        assert_eq!(audit(&warehouse).await?, found);
    }
    Ok(())
}

pub(crate) async fn an_old_run_without_files_is_left_to_the_sweep(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 20).await?;
    warehouse.run("UPDATE dev.orders_final SET product_qty = 2 WHERE order_id = 10021").await?;
    warehouse.run(SWEEP).await?;
    let found = audit(&warehouse).await?;
    assert_eq!(found, ["(103,10021,DIFFERENT,product_qty,NEW)"]);
    // The files of the first ten runs expire; a late row touches one of them.
    warehouse
        .run(
            "DELETE FROM s3_staging_schema.new_orders_staging_area WHERE run_id <= 110;
             INSERT INTO dev.orders (run_id, order_id) VALUES (104, 1)",
        )
        .await?;
    warehouse.run(LOAD).await?;
    for call in [AUDIT, "CALL dev.audit_orders_sweep_sp(10)"] {
        warehouse.run(call).await?;
        assert_eq!(audit(&warehouse).await?, found, "{call}");
    }
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_audited_runs WHERE touched").await?, 0);
    warehouse.run(SWEEP).await?;
    assert_eq!(warehouse.unresolved_runs().await?, (101..=110).collect::<Vec<_>>());
    Ok(())
}

/// Whether the target has them or not, and whether the window has room for them or not.
pub(crate) async fn what_has_expired_is_neither_found_nor_resolved(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 20).await?;
    warehouse.run("DELETE FROM dev.orders_final WHERE run_id IN (103, 112)").await?;
    warehouse.run(SWEEP).await?;
    let found = audit(&warehouse).await?;
    let missing = [103, 112].map(|run| format!("({run},,MISSING_IN_REDSHIFT,\"\",NEW)"));
    assert_eq!(found, missing);
    // All but the newest eight runs.
    warehouse.run("DELETE FROM s3_staging_schema.new_orders_staging_area WHERE run_id <= 112").await?;
    let calls = [AUDIT, "CALL dev.audit_orders_sweep_sp(5)", "CALL dev.audit_orders_sweep_sp(1000)"];
    for call in calls {
        warehouse.run(call).await?;
        assert_eq!(audit(&warehouse).await?, found, "{call}");
    }
    // Nor by an audit of a span.
    warehouse.run("CALL dev.audit_orders_between_sp(101, 115)").await?;
    assert_eq!(audit(&warehouse).await?, found);
    // As in a warehouse that is audited for the first time.
    for call in calls {
        warehouse.run("DELETE FROM dev.orders_audit_number; DELETE FROM dev.orders_audited_runs").await?;
        warehouse.run(call).await?;
        assert_eq!(audit(&warehouse).await?, found, "{call}");
    }
    // As if audits had failed since all of it was loaded.
    let loaded =
        "INSERT INTO dev.orders_audited_runs SELECT DISTINCT run_id, TRUE FROM dev.orders_final WHERE run_id < 110";
    warehouse
        .run(&format!("DELETE FROM dev.orders_audit_number; DELETE FROM dev.orders_audited_runs; {loaded}"))
        .await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, found);
    // What a load has just brought is no old run.
    warehouse.run("INSERT INTO dev.orders (run_id, order_id) VALUES (99, 1)").await?;
    warehouse.run(LOAD).await?;
    warehouse.run("CALL dev.audit_orders_sweep_sp(1000)").await?;
    assert_eq!(audit(&warehouse).await?, [&missing[..], &["(99,,MISSING_IN_STAGING,\"\",NEW)".to_owned()]].concat());
    warehouse.run(SWEEP).await?;
    let expired = (99..=112).filter(|run| ![100, 103, 112].contains(run));
    assert_eq!(warehouse.unresolved_runs().await?, expired.collect::<Vec<_>>());
    Ok(())
}

/// One run that is delivered again, or was never removed, says nothing about those above it.
pub(crate) async fn a_straggler_does_not_make_what_has_expired_missing(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 20).await?;
    warehouse
        .run(
            "DELETE FROM s3_staging_schema.new_orders_staging_area WHERE run_id BETWEEN 102 AND 114;
             DELETE FROM dev.orders_audit_number; DELETE FROM dev.orders_audited_runs",
        )
        .await?;
    for _ in 0..2 {
        warehouse.run(AUDIT).await?;
        assert_eq!(audit(&warehouse).await?, [""; 0]);
    }
    Ok(())
}

pub(crate) async fn rows_without_a_run_expire_as_others_do(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 3).await?;
    let staging = "s3_staging_schema.new_orders_staging_area";
    warehouse.run(&format!("INSERT INTO {staging} (run_id, order_id) VALUES (NULL, 7)")).await?;
    warehouse.run(AUDIT).await?;
    let found = audit(&warehouse).await?;
    assert_eq!(found, ["(,7,MISSING_IN_REDSHIFT,\"\",NEW)"]);
    for change in [
        format!("DELETE FROM {staging} WHERE run_id IS NULL"),
        "INSERT INTO dev.orders_final (run_id, order_id) SELECT run_id, 8 FROM (SELECT 101 AS run_id) t".to_owned(),
    ] {
        warehouse.run(&change).await?;
        warehouse.run("CALL dev.audit_orders_sweep_sp(1000)").await?;
        assert!(audit(&warehouse).await?.contains(&found[0]), "{change}");
    }
    warehouse.run(SWEEP).await?;
    assert_eq!(audit(&warehouse).await?[0], "(,7,MISSING_IN_REDSHIFT,\"\",RESOLVED)");
    Ok(())
}

pub(crate) async fn what_returns_has_not_been_told_of(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    warehouse.run("UPDATE dev.orders_audit SET status = 'NOTIFIED', notified_at = GETDATE()").await?;
    for (price, told) in [("99.00", 4), ("1.00", 3)] {
        warehouse.run(&format!("UPDATE dev.orders_final SET product_price = {price} WHERE order_id = 1007")).await?;
        warehouse.run(AUDIT).await?;
        let count = "SELECT COUNT(*) FROM dev.orders_audit WHERE notified_at IS NOT NULL";
        assert_eq!(warehouse.number(count).await?, told, "{price}");
    }
    Ok(())
}

pub(crate) async fn a_recorded_row_stays_until_it_is_fixed_however_many_there_are(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 1).await?;
    let staged = "INSERT INTO s3_staging_schema.new_orders_staging_area (run_id, order_id) SELECT 101, n FROM";
    warehouse.run(&format!("{staged} generate_series(101, 2100) n")).await?;
    warehouse.run(AUDIT).await?;
    // Ten more, all of a lower id.
    warehouse.run(&format!("{staged} generate_series(1, 10) n")).await?;
    warehouse.run(AUDIT).await?;
    let count = async |which: &str| {
        warehouse
            .number(&format!("SELECT COALESCE(SUM(row_count), 0)::BIGINT FROM dev.orders_audit WHERE {which}"))
            .await
    };
    assert_eq!(count("status = 'RESOLVED'").await?, 0);
    assert_eq!(count("order_id BETWEEN 101 AND 1100").await?, 1000);
    assert_eq!(count("mismatch_key = 'MISSING_IN_REDSHIFT:101:+'").await?, 1010);
    Ok(())
}

pub(crate) async fn a_silence_goes_with_the_run_and_not_with_the_row(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 3).await?;
    warehouse.run("DELETE FROM dev.orders_final WHERE run_id = 102").await?;
    warehouse.run(AUDIT).await?;
    warehouse.run("UPDATE dev.orders_audit SET silenced_until = '2099-01-01' WHERE run_id = 102").await?;
    warehouse.run("INSERT INTO dev.orders (run_id, order_id) VALUES (102, 1)").await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    let open = "FROM dev.orders_audit WHERE status <> 'RESOLVED' AND run_id = 102";
    assert_eq!(warehouse.number(&format!("SELECT COUNT(*) {open}")).await?, 11);
    assert_eq!(warehouse.number(&format!("SELECT COUNT(*) {open} AND silenced_until > '2098-01-01'")).await?, 11);
    Ok(())
}

pub(crate) async fn a_window_begins_when_everything_was_audited_once(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 20).await?;
    warehouse.run("UPDATE dev.orders_final SET product_qty = 2 WHERE order_id = 10021").await?;
    // As after an update: the audit knows nothing yet, and a load touches the newest runs.
    warehouse
        .run(
            "DELETE FROM dev.orders_audited_runs; DELETE FROM dev.orders_audit_number;
             INSERT INTO dev.orders SELECT run_id, order_id FROM dev.orders_final WHERE run_id > 108",
        )
        .await?;
    warehouse.run(LOAD).await?;
    warehouse.run("CALL dev.audit_orders_between_sp(110, 120)").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, ["(103,10021,DIFFERENT,product_qty,NEW)"]);
    Ok(())
}

pub(crate) async fn what_is_twice_on_both_sides_is_no_mismatch(database: &Database) -> Outcome {
    let warehouse = with_runs(database, 1).await?;
    for table in ["dev.orders_final", "s3_staging_schema.new_orders_staging_area"] {
        warehouse.run(&format!("INSERT INTO {table} SELECT * FROM {table} WHERE order_id = 10001")).await?;
    }
    // Another mismatch in the run, so that its rows are compared.
    warehouse.run("UPDATE dev.orders_final SET product_qty = 2 WHERE order_id = 10002").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?, ["(101,10002,DIFFERENT,product_qty,NEW)"]);
    warehouse.run("INSERT INTO dev.orders_final SELECT * FROM dev.orders_final WHERE order_id = 10003").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(audit(&warehouse).await?[1], "(101,10003,DUPLICATE_IN_REDSHIFT,\"\",NEW)");
    Ok(())
}
