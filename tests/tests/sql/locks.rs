//! What waits for a load or an audit, and what does not.

use super::*;

/// While a load or an audit is under way. What waits for a lock fails after a second.
pub(crate) async fn readers_and_marks_do_not_wait_for_a_load_or_an_audit(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    warehouse.run(LOAD).await?;
    warehouse.run(AUDIT).await?;
    let mut session = warehouse.connect().await?;
    let other = warehouse.connect().await?;
    other.batch_execute("SET lock_timeout = '1s'").await?;
    for under_way in [LOAD, AUDIT] {
        warehouse.run("INSERT INTO dev.orders (run_id, order_id) VALUES (50, 4001)").await?;
        let transaction = session.transaction().await?;
        transaction.batch_execute(under_way).await?;
        for free in [
            "SELECT COUNT(*) FROM dev.orders_final",
            "SELECT COUNT(*) FROM dev.orders_audit",
            "SELECT COUNT(*) FROM s3_staging_schema.new_orders_staging_area",
            "INSERT INTO dev.orders (run_id, order_id) VALUES (51, 4002)",
            "UPDATE dev.orders_audit SET status = 'NOTIFIED' WHERE run_id IN (42, 43) AND status <> 'RESOLVED'",
        ] {
            other.batch_execute(free).await.map_err(|e| format!("{under_way}: {free}: {e}"))?;
        }
        for waits in [LOAD, AUDIT] {
            assert!(other.batch_execute(waits).await.is_err(), "{waits} while {under_way}");
        }
        transaction.commit().await?;
    }
    Ok(())
}

pub(crate) async fn loads_and_audits_queue_and_do_not_deadlock(database: &Database) -> Outcome {
    let warehouse = database.warehouse().await?;
    for _ in 0..5 {
        warehouse.reset().await?;
        let run = |sql| warehouse.run(sql);
        tokio::try_join!(run(LOAD), run(AUDIT), run(LOAD), run(AUDIT), run(AUDIT), run(LOAD))?;
        warehouse.run(AUDIT).await?;
        assert_eq!(warehouse.lost_or_doubled(true).await?, 0);
        assert_eq!(warehouse.unresolved_runs().await?, [42, 43, 44, 45]);
    }
    Ok(())
}

/// A later position would let the snapshot predate the wait; PostgreSQL at READ COMMITTED hides that, so
/// the position itself is held.
pub(crate) async fn a_mutex_is_locked_by_the_first_statement_of_each_procedure(_: &Database) -> Outcome {
    let files =
        ["infra/sql/load.sql", "infra/sql/audits/orders.sql"].map(|file| std::fs::read_to_string(project(file)));
    let sql = files.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let bodies: Vec<_> = sql.split("\nBEGIN\n").skip(1).collect();
    assert_eq!(bodies.len(), 7);
    for body in bodies {
        let (first, _) = body.trim_start().split_once(';').expect("a statement");
        let locked: Vec<_> = first.strip_prefix("LOCK ").expect("a lock").split(", ").collect();
        assert!(locked.iter().all(|table| table.ends_with("_mutex")), "{first}");
    }
    for forbidden in ["COMMIT", "TRUNCATE", "EXCEPTION"] {
        assert!(!sql.to_uppercase().replace("RAISE EXCEPTION", "").contains(forbidden), "{forbidden}");
    }
    Ok(())
}
