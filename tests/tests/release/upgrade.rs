//! From the release before: its template and its audit table, with rows in every state.
//!
//! `tests/fixtures/0.1.0` has the template, the state machine and the warehouse's SQL as they were before there was a changelog;
//! no version has been tagged before. Its procedures run here. Its functions do not: what they would have marked is marked as
//! they did.

use loader::Place;
use loader::install::{Options as Install, install};

use super::*;

const STACK: &str = "upgraded";

/// Runs of two orders, of which the second is not as it should be; and what was marked of it, by whom it may be.
const MARKED: [(i64, &str); 12] = [
    // Never told of.
    (101, "status = status"),
    // Told of lately, and longer ago than a reminder waits.
    (102, "status = 'NOTIFIED', notified_at = GETDATE() - INTERVAL '1 hours', notified_by = 'old|'"),
    (103, "status = 'NOTIFIED', notified_at = GETDATE() - INTERVAL '30 hours', notified_by = 'old|'"),
    // Silenced before anybody was told, after, and no longer.
    (104, "silenced_until = GETDATE() + INTERVAL '3 days'"),
    (
        105,
        "status = 'NOTIFIED', notified_at = GETDATE() - INTERVAL '30 hours', silenced_until = GETDATE() + INTERVAL '3 days'",
    ),
    (
        106,
        "status = 'NOTIFIED', notified_at = GETDATE() - INTERVAL '1 hours', silenced_until = GETDATE() - INTERVAL '1 hours'",
    ),
    // Resolved by hand, and still there.
    (107, "status = 'RESOLVED', resolved_at = GETDATE(), notified_at = GETDATE() - INTERVAL '1 hours'"),
    // Told of, and corrected before the update.
    (108, "status = 'NOTIFIED', notified_at = GETDATE() - INTERVAL '1 hours', notified_by = 'old|'"),
    // Clean: nobody was told of that yet; somebody was; nobody was, but it is no news; nobody was told of the mismatch.
    (
        109,
        "status = 'RESOLVED', resolved_at = GETDATE() - INTERVAL '1 hours', notified_at = GETDATE() - INTERVAL '9 hours'",
    ),
    (
        110,
        "status = 'RESOLVED', resolved_at = GETDATE() - INTERVAL '1 hours', notified_at = GETDATE() - INTERVAL '9 hours', closed_by = 'old'",
    ),
    (
        111,
        "status = 'RESOLVED', resolved_at = GETDATE() - INTERVAL '10 days', notified_at = GETDATE() - INTERVAL '11 days'",
    ),
    (112, "status = 'RESOLVED', resolved_at = GETDATE() - INTERVAL '1 hours'"),
];
/// Those that are as they should be when the update comes.
const CORRECTED: &str = "(108, 109, 110, 111, 112)";

impl Released {
    /// The warehouse of the release before, after its load and audit.
    async fn earlier_warehouse(&self) -> Outcome {
        let warehouse = &self.stack.warehouse;
        warehouse.run("DROP SCHEMA dev CASCADE; DROP SCHEMA s3_staging_schema CASCADE").await?;
        for file in
            ["infra/sql/redshift/external_table.sql", "tests/fixtures/0.1.0/warehouse.sql", "infra/sql/sample.sql"]
        {
            warehouse.script(&std::fs::read_to_string(project(file))?).await?;
        }
        let columns = "run_id, order_id, customer_id, seller_id, product_code, product_name, product_price, product_qty, order_ts";
        let orders = "SELECT run, run * 10 + n, 1, 10, 'BK-1', 'Atlas', 20.00, 1, TIMESTAMP '2026-02-01 08:00:00' \
                      FROM generate_series(101, 112) run, generate_series(1, 2) n";
        warehouse
            .run(&format!(
                "INSERT INTO s3_staging_schema.new_orders_staging_area ({columns}) {orders};
                 INSERT INTO dev.orders ({columns}) {orders};
                 UPDATE dev.orders SET product_qty = 7 WHERE run_id > 100 AND order_id % 10 = 2;
                 -- Two whole runs that Redshift never got, one without an id, and one whose order is there twice.
                 INSERT INTO s3_staging_schema.new_orders_staging_area ({columns}) VALUES
                     (113, 1131, 1, 10, 'BK-1', 'Atlas', 20.00, 1, '2026-02-01'), (113, 1132, 1, 10, 'BK-1', 'Atlas', 20.00, 1, '2026-02-01'),
                     (114, 1141, 1, 10, 'BK-1', 'Atlas', 20.00, 1, '2026-02-01'), (114, 1142, 1, 10, 'BK-1', 'Atlas', 20.00, 1, '2026-02-01'),
                     (NULL, 1151, 1, 10, 'BK-1', 'Atlas', 20.00, 1, '2026-02-01');
                 CALL dev.enriched_orders_sp();
                 INSERT INTO dev.orders_final SELECT * FROM dev.orders_final WHERE order_id = 1001;
                 CALL dev.audit_orders_sp()"
            ))
            .await?;
        for (run, marks) in MARKED {
            warehouse.run(&format!("UPDATE dev.orders_audit SET {marks} WHERE run_id = {run}")).await?;
        }
        let told = "status = 'NOTIFIED', notified_at = GETDATE() - INTERVAL '1 hours', notified_by = 'old|'";
        warehouse
            .run(&format!(
                "UPDATE dev.orders_audit SET {told} WHERE run_id IS NULL OR run_id IN (41, 113, 114);
                 UPDATE dev.orders_final SET product_qty = 1 WHERE run_id IN {CORRECTED}"
            ))
            .await?;
        // The first of a run's rows was silenced, the second came later, as the old audit added it: the run stays silent.
        warehouse
            .run(
                "UPDATE dev.orders_audit SET status = 'NEW', notified_at = NULL, notified_by = NULL WHERE run_id = 114 AND order_id = 1142;
                 UPDATE dev.orders_audit SET silenced_until = GETDATE() + INTERVAL '3 days' WHERE run_id = 114 AND order_id = 1141",
            )
            .await?;
        let found = warehouse.number("SELECT COUNT(DISTINCT COALESCE(run_id, 0)) FROM dev.orders_audit").await?;
        assert_eq!(found, 12 + 4 + 4, "the old audit has found them all");
        Ok(())
    }

    /// The stack of the release before.
    async fn earlier_stack(&self) -> Outcome {
        let folder = self.stack.dir.path().join("0.1.0");
        std::fs::create_dir(&folder)?;
        let template = std::fs::read_to_string(project("tests/fixtures/0.1.0/template.yaml"))?
            .replace("../target/lambda", &project("target/lambda").display().to_string())
            .replace(
                "statemachines/loader.asl.json",
                &project("tests/fixtures/0.1.0/loader.asl.json").display().to_string(),
            );
        std::fs::write(folder.join("template.yaml"), template)?;
        let script = format!(
            "aws cloudformation package --template-file template.yaml --s3-bucket {BUCKET} --output-template-file packaged.yaml
             aws cloudformation deploy --template-file packaged.yaml --s3-bucket {BUCKET} --stack-name {STACK} \
                 --capabilities CAPABILITY_IAM --parameter-overrides \
                 WorkgroupName={WORKGROUP} WorkgroupId={WORKGROUP_ID} SecretArn={} Database={} GlueJobName='{STACK} job' \
                 LoadProcedure=dev.enriched_orders_sp AuditProcedure=dev.audit_orders_sp AuditTable=dev.orders_audit",
            self.stack.secret_arn,
            self.stack.warehouse.database(),
        );
        self.shell(&script, &folder).await?;
        Ok(())
    }
}

pub(crate) async fn an_upgrade_loses_and_doubles_no_notification(p: &Released) -> Outcome {
    p.earlier_warehouse().await?;
    p.earlier_stack().await?;
    let topic = p.outputs(STACK).await?.get("TopicArn").to_owned();
    let inbox = Inbox::subscribe_as(STACK, &p.stack.aws, &topic).await?;

    // In the order of the docs: the warehouse, then the stack.
    let parameters = p.parameters(STACK)?;
    let place = Place { stack: STACK.to_owned(), parameters: Some(parameters.clone()) };
    // The old load is of this project, and older.
    let options = Install { place, replace: true, ..Install::default() };
    install(&options, &p.stack.environment(), |_| ()).await?;
    p.make_deploy(&p.folder.display().to_string(), STACK, &parameters).await?;
    let outputs = p.outputs(STACK).await?;
    assert_eq!(outputs.get("TopicArn"), topic, "who has subscribed stays so");

    p.execute(&outputs).await?;
    let mut expected = of_type("mismatch", &["101", "107", "42", "43", "44", "45"]);
    expected.extend(of_type("reminder", &["103"]));
    expected.extend(of_type("resolved", &["108", "109"]));
    assert_eq!(told(&inbox.take(expected.len()).await?), expected);
    for audit in ["CALL dev.audit_orders_sp()", "CALL dev.audit_orders_sweep_sp()"] {
        p.stack.warehouse.run(audit).await?;
        p.execute(&outputs).await?;
        let more = told(&inbox.take(0).await?);
        assert!(more.is_empty(), "{audit}: {more:?}");
    }
    let open = p
        .stack
        .warehouse
        .number("SELECT COUNT(DISTINCT COALESCE(run_id, 0)) FROM dev.orders_audit WHERE status <> 'RESOLVED'");
    assert_eq!(open.await?, 7 + 4 + 4, "what is not corrected stays open");
    Ok(())
}
