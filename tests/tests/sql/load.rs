//! Staging to final.

use super::*;

pub(crate) async fn loading_twice_is_loading_once(database: &Database) -> Outcome {
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

pub(crate) async fn late_rows_of_a_known_run_are_picked_up(database: &Database) -> Outcome {
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

pub(crate) async fn what_is_staged_or_known_twice_is_loaded_once(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run("INSERT INTO dev.orders SELECT * FROM dev.orders WHERE run_id = 41").await?;
    warehouse.run("INSERT INTO dev.customers SELECT * FROM dev.customers").await?;
    warehouse.run(LOAD).await?;
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?, 10);
    Ok(())
}

pub(crate) async fn a_failing_load_leaves_nothing_half_done(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run("ALTER TABLE dev.orders_final ADD CHECK (order_id <> 1010)").await?;
    let error = warehouse.run(LOAD).await.expect_err("the constraint is broken").to_string();
    assert!(error.contains("violates check constraint"), "{error}");
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?, 0);
    Ok(())
}

pub(crate) async fn two_loads_at_once_load_once(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    let (first, second) = tokio::join!(warehouse.run(LOAD), warehouse.run(LOAD));
    first?;
    second?;
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?, 10);
    Ok(())
}

pub(crate) async fn what_was_loaded_leaves_staging_and_what_arrives_meanwhile_stays(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    let staged = "SELECT COUNT(*) FROM dev.orders";
    // Killed before its end, it has done nothing.
    let mut session = warehouse.connect().await?;
    let load = session.transaction().await?;
    load.batch_execute(LOAD).await?;
    drop(load);
    assert_eq!((warehouse.number(staged).await?, warehouse.lost_or_doubled(false).await?), (10, 0));
    // What arrives before the load has committed is in none of its statements' results, or in all.
    let load = session.transaction().await?;
    load.batch_execute(LOAD).await?;
    warehouse.run("INSERT INTO dev.orders (run_id, order_id) VALUES (41, 3001), (99, 3002)").await?;
    load.commit().await?;
    assert_eq!((warehouse.number(staged).await?, warehouse.lost_or_doubled(true).await?), (2, 0));
    warehouse.run(LOAD).await?;
    assert_eq!(warehouse.number(staged).await?, 0);
    assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_final WHERE order_id > 3000").await?, 2);
    // A duplicate of a loaded order is removed, and loads nothing.
    warehouse.run("INSERT INTO dev.orders (run_id, order_id) VALUES (41, 1001)").await?;
    warehouse.run(LOAD).await?;
    assert_eq!((warehouse.number(staged).await?, warehouse.lost_or_doubled(true).await?), (0, 0));
    Ok(())
}

pub(crate) async fn many_runs_in_staging_are_loaded_by_their_span(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run("INSERT INTO dev.orders (run_id, order_id) SELECT n, n FROM generate_series(100, 700) n").await?;
    for _ in 0..2 {
        warehouse.run(LOAD).await?;
        assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders_final").await?, 10 + 601);
        assert_eq!(warehouse.number("SELECT COUNT(*) FROM dev.orders").await?, 0);
    }
    Ok(())
}
