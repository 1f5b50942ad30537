//! `loader install` and `loader audit` on the local stack: what is there stays, what is not is made, and what cannot be says why.

use std::path::Path;
use std::process::ExitCode;

use loader::Place;
use loader::audit::{self, Declaration, Span, Tables};
use loader::install::{Options as Install, install};
use loader::runs::{Change, change, runs};
use loader::tools::project;
use redshift_local::stack::{Options, STACK_NAME, Stack};
use serde_json::Value;
use tests::{Any, Outcome, run, tests};

const ORDERS: &str = "infra/audits/orders.yaml";

struct Installed {
    stack: Stack,
}

impl Installed {
    fn place() -> Place {
        Place { stack: STACK_NAME.to_owned(), parameters: None }
    }

    async fn sql(&self, sql: &str) -> Outcome {
        Ok(self.stack.warehouse.run(sql).await?)
    }

    async fn number(&self, sql: &str) -> Any<i64> {
        Ok(self.stack.warehouse.number(sql).await?)
    }

    /// What install prints, but the lines about what is as it should be.
    async fn install(&self, options: Install) -> Any<Vec<String>> {
        let mut lines = Vec::new();
        let options = Install { place: Self::place(), ..options };
        let outcome = install(&options, &self.stack.environment(), |line| lines.push(line.trim().to_owned())).await;
        lines.retain(|line| !line.ends_with("is there"));
        outcome?;
        Ok(lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
    }

    async fn fails(&self, options: Install, says: &[&str]) -> Outcome {
        let error = self.install(options).await.expect_err("a failure").to_string();
        for part in says {
            assert!(error.contains(part), "{part} is missing in: {error}");
        }
        Ok(())
    }

    async fn changes_nothing(&self) -> Outcome {
        let lines = self.install(Install::default()).await?;
        assert!(lines.len() == 1 && lines[0].starts_with("nothing to change: "), "{lines:?}");
        Ok(())
    }

    /// What `loader audit check` says is wrong, and what `loader audit run` prints.
    async fn audit(&self, file: &Path, span: Option<&Span>) -> Any<(bool, Vec<String>)> {
        let mut lines = Vec::new();
        let say = |line: &str| lines.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
        let environment = self.stack.environment();
        let well = match span {
            None => audit::check(&Self::place(), file, &environment, say).await.is_ok(),
            Some(span) => audit::run(&Self::place(), file, span, &environment, say).await.map(|()| true)?,
        };
        Ok((well, lines))
    }
}

async fn a_second_install_changes_nothing(p: &Installed) -> Outcome {
    p.changes_nothing().await?;
    let lines = p.install(Install { dry_run: true, ..Install::default() }).await?;
    assert!(lines.len() == 1 && lines[0].starts_with("nothing to change: "), "{lines:?}");
    Ok(())
}

async fn what_is_missing_or_other_is_made_and_rows_stay(p: &Installed) -> Outcome {
    let orders = p.number("SELECT COUNT(*) FROM dev.orders").await?;
    p.sql(
        "DROP PROCEDURE dev.audit_orders_between_sp(BIGINT, BIGINT);
         CREATE OR REPLACE PROCEDURE dev.enriched_orders_sp() AS $$ BEGIN NULL; END; $$ LANGUAGE plpgsql;
         REVOKE INSERT ON dev.orders_final FROM loader; DROP TABLE dev.orders_audited_runs",
    )
    .await?;
    let would = p.install(Install { dry_run: true, ..Install::default() }).await?;
    for line in [
        "table dev.orders_audited_runs would be created",
        "procedure dev.audit_orders_between_sp(low BIGINT, high BIGINT) would be created",
        "procedure dev.enriched_orders_sp() is there, and another: kept (--replace)",
    ] {
        assert!(would.iter().any(|said| said == line), "{line}: {would:?}");
    }
    assert!(would.iter().any(|said| said.starts_with("CREATE TABLE IF NOT EXISTS dev.orders_audited_runs")), "its SQL");
    let done = p.install(Install::default()).await?;
    for line in [
        "table dev.orders_audited_runs created",
        "procedure dev.audit_orders_between_sp(low BIGINT, high BIGINT) created",
        "grant SELECT, INSERT ON dev.orders_final TO loader granted",
        "grant SELECT, INSERT, UPDATE ON dev.orders_audited_runs TO loader granted",
        "table dev.orders_audit migrated",
    ] {
        assert!(done.iter().any(|said| said == line), "{line}: {done:?}");
    }
    assert_eq!(p.number("SELECT COUNT(*) FROM dev.orders").await?, orders);
    let lines = p.install(Install { replace: true, ..Install::default() }).await?;
    assert!(lines.contains(&"procedure dev.enriched_orders_sp() replaced".to_owned()), "{lines:?}");
    p.changes_nothing().await
}

/// The original one, and one whose names were shorter.
async fn an_older_audit_table_is_brought_up_to_date(p: &Installed) -> Outcome {
    p.sql(
        "DROP TABLE dev.orders_audit; CREATE TABLE dev.orders_audit (run_id BIGINT, order_id BIGINT, status VARCHAR(8));
         INSERT INTO dev.orders_audit VALUES (42, 1004, 'NEW')",
    )
    .await?;
    let (well, said) = p.audit(&project(ORDERS), None).await?;
    assert!(
        said.iter().any(|line| line.contains("not as the declaration makes it: dev.orders_audit")),
        "{well} {said:?}"
    );
    let done = p.install(Install::default()).await?;
    assert_eq!(done[..2], ["table dev.orders_audit widened", "table dev.orders_audit migrated"]);
    assert_eq!(p.number("SELECT COUNT(*) FROM dev.orders_audit WHERE changed_in = 0 AND status = 'NEW'").await?, 1);
    p.changes_nothing().await
}

async fn it_stops_at_the_first_failure_and_names_it(p: &Installed) -> Outcome {
    // A function of somebody's in the place of a procedure.
    p.sql(
        "DROP PROCEDURE dev.audit_orders_sp();
         CREATE FUNCTION dev.audit_orders_sp() RETURNS INTEGER LANGUAGE sql AS 'SELECT 1'",
    )
    .await?;
    let over = || Install { replace: true, ..Install::default() };
    p.fails(over(), &["procedure dev.audit_orders_sp(): ", "cannot change routine kind", "stays"]).await?;
    p.sql("DROP FUNCTION dev.audit_orders_sp()").await?;
    p.sql("CREATE PROCEDURE dev.audit_orders_sp() AS $$ BEGIN NULL; END; $$ LANGUAGE plpgsql").await?;
    p.fails(Install::default(), &["procedure dev.audit_orders_sp() is there, and not of this project"]).await?;
    p.sql("DROP PROCEDURE dev.audit_orders_sp()").await?;
    p.install(Install::default()).await?;

    p.sql("ALTER TABLE dev.orders_audit RENAME order_id TO id").await?;
    p.fails(Install::default(), &["table dev.orders_audit has no order_id, which tells its rows apart"]).await?;
    p.sql("ALTER TABLE dev.orders_audit RENAME id TO order_id").await?;

    p.sql("ALTER TABLE s3_staging_schema.new_orders_staging_area RENAME TO elsewhere").await?;
    p.fails(
        Install::default(),
        &["new_orders_staging_area, the source of the audit orders, does not exist", "--s3-location"],
    )
    .await?;
    p.sql("ALTER TABLE s3_staging_schema.elsewhere RENAME TO new_orders_staging_area").await?;

    p.sql("ALTER TABLE dev.orders_audited_runs ALTER run_id TYPE VARCHAR(20)").await?;
    let says = ["table dev.orders_audited_runs: run_id is VARCHAR(20), and the declaration makes it BIGINT", "rename"];
    p.fails(Install::default(), &says).await?;
    p.sql("ALTER TABLE dev.orders_audited_runs ALTER run_id TYPE BIGINT USING run_id::BIGINT").await?;
    p.changes_nothing().await
}

async fn a_user_that_does_not_exist_is_waited_for(p: &Installed) -> Outcome {
    p.sql("ALTER ROLE loader RENAME TO somebody_else").await?;
    let lines = p.install(Install::default()).await?;
    assert!(lines.last().is_some_and(|line| line.starts_with("loader does not exist yet")), "{lines:?}");
    p.sql("ALTER ROLE somebody_else RENAME TO loader").await?;
    p.changes_nothing().await
}

/// What is granted is all that the statements need.
async fn what_is_granted_suffices(p: &Installed) -> Outcome {
    // Redshift lets nobody call a procedure of another's by itself.
    p.sql("REVOKE EXECUTE ON ALL PROCEDURES IN SCHEMA dev FROM PUBLIC").await?;
    let grants =
        Declaration::read(&project(ORDERS))?.grants() + &std::fs::read_to_string(project("infra/sql/load_grants.sql"))?;
    p.sql(&format!("CREATE ROLE caller; CREATE ROLE auditor; {grants}")).await?;
    let calls = "CALL dev.enriched_orders_sp(); CALL dev.audit_orders_sp(); CALL dev.audit_orders_sp(); CALL dev.audit_orders_sweep_sp()";
    let marks = "UPDATE dev.orders_audit SET status = status WHERE run_id = 42";
    for (role, statements) in [("caller", calls), ("auditor", marks)] {
        p.sql(&format!("BEGIN; SET LOCAL ROLE {role}; {statements}; ROLLBACK")).await?;
        p.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await?;
    }
    p.sql("GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA dev TO PUBLIC").await
}

/// Tables that nobody here knows: from their names to what is wrong with them.
async fn an_audit_of_two_new_tables(p: &Installed) -> Outcome {
    let table =
        "(\"Workflow Run\" VARCHAR(67), payment_id BIGINT, amount DECIMAL(12, 2), note VARCHAR(50), paid_at TIMESTAMP)";
    p.sql(&format!(
        "CREATE SCHEMA lake; CREATE SCHEMA shop; CREATE TABLE lake.payments {table}; CREATE TABLE shop.\"Payments\" {table};
         INSERT INTO lake.payments SELECT 'wr_' || n / 10, n, n, 'x', GETDATE() FROM generate_series(0, 49) n;
         INSERT INTO shop.\"Payments\" SELECT * FROM lake.payments WHERE payment_id <> 23;
         UPDATE shop.\"Payments\" SET amount = 0 WHERE payment_id = 7"
    ))
    .await?;
    let tables = Tables {
        source: "lake.payments".to_owned(),
        target: "shop.\"Payments\"".to_owned(),
        run: Some("\"Workflow Run\"".to_owned()),
        ..Tables::default()
    };
    let (name, text) = audit::new(&Installed::place(), &tables, &p.stack.environment()).await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join(format!("{name}.yaml"));
    std::fs::write(&file, &text)?;
    let options = || Install { audits: vec![file.clone()], ..Install::default() };
    let (well, said) = p.audit(&file, None).await?;
    assert!(
        !well && said.iter().any(|line| line.contains("payments: not installed: shop.payments_audit_mutex")),
        "{said:?}"
    );
    let done = p.install(options()).await?;
    assert!(done.contains(&"grant SELECT ON shop.\"Payments\" TO loader granted".to_owned()), "{done:?}");
    assert!(p.install(options()).await?[0].starts_with("nothing to change"));
    let (well, said) = p.audit(&file, None).await?;
    assert!(well, "{said:?}");

    let lines = p.audit(&file, Some(&Span::Window)).await?.1;
    assert!(
        lines[2].starts_with("wr_0 DIFFERENT 1 amount NEW") && lines[3].starts_with("wr_2 MISSING_IN_REDSHIFT 1"),
        "{lines:?}"
    );
    p.sql("UPDATE shop.\"Payments\" SET amount = payment_id").await?;
    let two = Span::Between("wr_2".to_owned(), "wr_2".to_owned());
    assert_eq!(p.audit(&file, Some(&two)).await?.1.len(), lines.len(), "outside of the span nothing is resolved");
    let lines = p.audit(&file, Some(&Span::All)).await?.1;
    assert!(lines[2].starts_with("wr_2 ") && lines[lines.len() - 1].starts_with("1 unresolved run;"), "{lines:?}");
    p.sql("INSERT INTO shop.\"Payments\" SELECT * FROM lake.payments WHERE payment_id = 23").await?;
    let lines = p.audit(&file, Some(&Span::Window)).await?.1;
    assert_eq!(lines[1], "nothing of shop.payments_audit is unresolved");

    // A column goes: the check says it first, then the audit with its name.
    p.sql("ALTER TABLE lake.payments DROP COLUMN note").await?;
    let (well, said) = p.audit(&file, None).await?;
    assert!(!well && said.iter().any(|line| line.contains("source lake.payments: note is missing")), "{said:?}");
    let error = p.audit(&file, Some(&Span::Window)).await.expect_err("a failure").to_string();
    assert!(error.contains("\"note\" does not exist"), "{error}");
    // The declaration goes on without it.
    let without: String =
        text.lines().filter(|line| !line.contains("{name: note,")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, without)?;
    assert!(p.install(options()).await?.iter().any(|line| line.ends_with("replaced")));
    p.audit(&file, Some(&Span::Window)).await?;
    p.sql("DROP SCHEMA lake CASCADE; DROP SCHEMA shop CASCADE").await
}

/// From the list to silence and resolution, and back.
async fn the_one_on_call_lists_silences_and_resolves(p: &Installed) -> Outcome {
    p.sql("DELETE FROM dev.orders_audit; CALL dev.enriched_orders_sp(); CALL dev.audit_orders_sweep_sp()").await?;
    let list = async || -> Any<(bool, Vec<(String, bool)>)> {
        let mut text = String::new();
        let waits = runs(&Installed::place(), true, &p.stack.environment(), |line| text = line.to_owned()).await?;
        let listed: Vec<Value> = serde_json::from_str(&text)?;
        let run = |row: &Value| (row["run"].as_str().unwrap_or_default().to_owned(), row["silenced_until"].is_string());
        Ok((waits, listed.iter().map(run).collect()))
    };
    let change = async |run: &str, audit: Option<&str>, what: Change| -> Any<String> {
        let mut said = String::new();
        change(&Installed::place(), run, audit, what, false, &p.stack.environment(), |line| said = line.to_owned())
            .await?;
        Ok(said)
    };
    let all = |silenced: &[&str], left: &[&str]| -> Vec<(String, bool)> {
        left.iter().map(|run| ((*run).to_owned(), silenced.contains(run))).collect()
    };
    assert_eq!(list().await?, (true, all(&[], &["42", "43", "44", "45"])));
    let said = change("42", None, Change::Silence(7)).await?;
    assert!(
        said.contains("nobody is told of the run 42 for 7 days") && said.contains("loader silence 42 --days 0"),
        "{said}"
    );
    assert_eq!(list().await?, (true, all(&["42"], &["42", "43", "44", "45"])));
    let said = change("44", Some("orders"), Change::Resolve).await?;
    assert!(said.starts_with("dev.orders_audit: resolved 1 rows of the run 44"), "{said}");
    assert_eq!(list().await?, (true, all(&["42"], &["42", "43", "45"])));
    // What is printed undoes it.
    p.sql(said.split_once("to undo: ").ok_or("an undo")?.1).await?;
    change("42", None, Change::Silence(0)).await?;
    assert_eq!(list().await?, (true, all(&[], &["42", "43", "44", "45"])));
    for run in ["42", "43", "44", "45"] {
        change(run, None, Change::Silence(1)).await?;
    }
    assert!(!list().await?.0, "all are silenced");
    let error = change("wr_0", None, Change::Resolve).await.expect_err("no such run").to_string();
    assert!(error.contains("no audit has unresolved rows of the run wr_0"), "{error}");
    let error = change("7", None, Change::Resolve).await.expect_err("no such run").to_string();
    assert!(error.contains("no audit has unresolved rows of the run 7"), "{error}");
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        a_second_install_changes_nothing,
        what_is_missing_or_other_is_made_and_rows_stay,
        an_older_audit_table_is_brought_up_to_date,
        it_stops_at_the_first_failure_and_names_it,
        a_user_that_does_not_exist_is_waited_for,
        what_is_granted_suffices,
        an_audit_of_two_new_tables,
        the_one_on_call_lists_silences_and_resolves,
    ];
    let start = async || Installed { stack: Stack::start(&Options::default(), |_| ()).await.expect("the stack") };
    run(tests, start, async |p: Installed| p.stack.stop().await)
}
