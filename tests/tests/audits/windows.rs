//! Windows by days, and runs that are too young to be judged.

use super::*;

/// An audit `days` of s.a against s.b: a run of text, a key, a value and a time.
async fn made(database: &Database, settings: &str) -> Any<Warehouse> {
    let warehouse = database.warehouse.clone();
    let declaration = format!(
        "name: days\nsource: s.a\ntarget: s.b\nrun: {{name: r, type: VARCHAR(80)}}\nkey: [{{name: k, type: INTEGER}}]\n\
         columns: [{{name: v, type: INTEGER}}, {{name: at, type: TIMESTAMP}}]\ntime: at\nwindow: {{days: 3}}\n{settings}"
    );
    let sql = Declaration::parse("days.yaml", &declaration)?.sql()?;
    let table = "(r VARCHAR(80), k INTEGER, v INTEGER, at TIMESTAMP)";
    let tables = format!("CREATE TABLE s.a {table}; CREATE TABLE s.b {table}");
    warehouse.run(&format!("DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s; {tables}; {sql}")).await?;
    Ok(warehouse)
}

const AUDIT: &str = "CALL s.audit_days_sp()";
const UNRESOLVED: &str = "SELECT COUNT(DISTINCT COALESCE(r, '-')) FROM s.days_audit WHERE status <> 'RESOLVED'";

pub(crate) async fn runs_of_the_last_days_are_audited_and_older_ones_are_not(database: &Database) -> Outcome {
    let warehouse = made(database, "").await?;
    let rows = "INSERT INTO s.a SELECT 'wr_' || n, n, 1, DATE_TRUNC('day', GETDATE()) - n * INTERVAL '1 day' FROM generate_series(0, 9) n";
    warehouse.run(&format!("{rows}; INSERT INTO s.b SELECT * FROM s.a")).await?;
    warehouse.run(AUDIT).await?;
    warehouse.run("UPDATE s.b SET v = 2").await?;
    warehouse.run(AUDIT).await?;
    // Today's and those of the three days before, from their midnight on.
    assert_eq!(warehouse.number(UNRESOLVED).await?, 4);
    warehouse.run("CALL s.audit_days_sweep_sp()").await?;
    assert_eq!(warehouse.number(UNRESOLVED).await?, 10);
    warehouse.run("UPDATE s.b SET v = 1").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(warehouse.number(UNRESOLVED).await?, 0, "what is unresolved is looked at, however old it is");
    Ok(())
}

pub(crate) async fn files_that_have_expired_are_no_mismatch(database: &Database) -> Outcome {
    let warehouse = made(database, "sweep: {days: 6}\n").await?;
    let rows = "INSERT INTO s.a SELECT 'wr_' || n, n, 1, DATE_TRUNC('day', GETDATE()) - n * INTERVAL '1 day' FROM generate_series(0, 9) n";
    warehouse.run(&format!("{rows}; INSERT INTO s.b SELECT * FROM s.a; DELETE FROM s.a WHERE k > 7")).await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(warehouse.number(UNRESOLVED).await?, 0);
    warehouse.run("DELETE FROM s.b WHERE k IN (2, 5)").await?;
    warehouse.run("CALL s.audit_days_sweep_sp()").await?;
    assert_eq!(warehouse.number(UNRESOLVED).await?, 2);
    // The files of one that was found go, too. Another is mended by deleting what is too much.
    warehouse.run("DELETE FROM s.a WHERE k IN (2, 5)").await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(warehouse.number(UNRESOLVED).await?, 1);
    for (call, unresolved) in [("CALL s.audit_days_sweep_sp(3)", 1), ("CALL s.audit_days_sweep_sp(NULL)", 2)] {
        warehouse.run(call).await?;
        assert_eq!(warehouse.number(UNRESOLVED).await?, unresolved, "{call}");
    }
    Ok(())
}

/// As many long names as no statement holds.
pub(crate) async fn more_runs_than_a_list_holds_are_all_audited(database: &Database) -> Outcome {
    let warehouse = made(database, "").await?;
    let rows =
        "INSERT INTO s.a SELECT 'wr_' || MD5(n::text) || MD5(n::text), n, 1, GETDATE() FROM generate_series(1, 900) n";
    warehouse.run(&format!("{rows}; INSERT INTO s.b SELECT * FROM s.a")).await?;
    warehouse.run(AUDIT).await?;
    for (value, unresolved) in [(2, 900), (1, 0)] {
        warehouse.run(&format!("UPDATE s.b SET v = {value}")).await?;
        warehouse.run(AUDIT).await?;
        assert_eq!(warehouse.number(UNRESOLVED).await?, unresolved);
    }
    Ok(())
}

pub(crate) async fn a_young_run_is_left_alone_with_or_without_a_name(database: &Database) -> Outcome {
    let warehouse = made(database, "settling_minutes: 60\n").await?;
    let rows = "INSERT INTO s.a VALUES (NULL, 1, 1, GETDATE()), ('young', 1, 1, GETDATE()), \
        ('old', 1, 1, GETDATE() - INTERVAL '2 hours'), ('of tomorrow', 1, 1, GETDATE() + INTERVAL '1 day')";
    warehouse.run(rows).await?;
    warehouse.run(AUDIT).await?;
    let found = warehouse.rows("SELECT r FROM s.days_audit ORDER BY 1").await?;
    assert_eq!(found.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["of tomorrow", "old"]);
    let recorded =
        "INSERT INTO s.days_audit (r, k, mismatch_key, kind, status) VALUES (NULL, 9, 'x', 'DIFFERENT', 'NEW')";
    warehouse.run(recorded).await?;
    warehouse.run(AUDIT).await?;
    assert_eq!(
        warehouse.number("SELECT COUNT(*) FROM s.days_audit WHERE status = 'RESOLVED'").await?,
        0,
        "nor is it resolved"
    );
    Ok(())
}

/// More columns than were declared before: their names are cut, and nothing fails.
pub(crate) async fn a_declaration_may_grow(database: &Database) -> Outcome {
    let warehouse = database.warehouse.clone();
    warehouse.run("DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s").await?;
    let names: Vec<_> = (0..60).map(|n| format!("column_{n:02}")).collect();
    let table = format!("(r BIGINT, k BIGINT, {} INTEGER)", names.join(" INTEGER, "));
    warehouse.run(&format!("CREATE TABLE s.a {table}; CREATE TABLE s.b {table}")).await?;
    for (side, value) in [("a", "1"), ("b", "2")] {
        let values = vec![value; names.len()].join(", ");
        warehouse.run(&format!("INSERT INTO s.{side} VALUES (1, 1, {values})")).await?;
    }
    for count in [10, 60] {
        let columns: Vec<_> = names[..count].iter().map(|name| format!("{{name: {name}, type: INTEGER}}")).collect();
        let declaration = format!(
            "name: grown\nsource: s.a\ntarget: s.b\nrun: {{name: r, type: BIGINT}}\nkey: [{{name: k, type: BIGINT}}]\n\
             columns: [{}]\nwindow: {{runs: 3}}\n",
            columns.join(", ")
        );
        warehouse.run(&Declaration::parse("grown.yaml", &declaration)?.sql()?).await?;
        warehouse.run("CALL s.migrate_grown_audit_sp(); CALL s.audit_grown_sp()").await?;
        let found = "SELECT CAST(LENGTH(differing_columns) AS BIGINT) FROM s.grown_audit WHERE status = 'NEW'";
        assert_eq!(warehouse.number(found).await?, i64::try_from((count * 10 - 1).min(256))?);
    }
    Ok(())
}
