//! The doctor on the local stack, with each thing broken in turn: it names that thing and the fix,
//! and reports nothing else.

use std::process::ExitCode;
use std::time::Duration;

use loader::doctor::{Finding, Verdict, examine};
use redshift_local::aws::Cli;
use redshift_local::execution::{follow, start};
use redshift_local::notifications::Inbox;
use redshift_local::stack::{GLUE_JOB, Options, STACK_NAME, Stack};
use serde_json::{Value, json};
use tests::{Any, Outcome, run, tests};

const WORKFLOW: &str = "new-orders-workflow-nrt";
/// A topic for the runs beside the stack's own.
const RUNS: &str = "arn:aws:sns:eu-west-1:000000000000:runs";

struct Examined {
    stack: Stack,
    cli: Cli,
}

impl Examined {
    async fn start() -> Any<Self> {
        let parameters = [
            format!("GlueWorkflowName={WORKFLOW}"),
            format!("NotificationTopicArn={RUNS}"),
            // None falls into the test.
            "ScheduleExpression=rate(7 days)".to_owned(),
            "FullAuditScheduleExpression=rate(7 days)".to_owned(),
        ];
        let options = Options { parameters: parameters.into(), ..Options::default() };
        let stack = Stack::start(&options, |_| ()).await?;
        let cli = stack.cli().clone();
        let this = Self { stack, cli };
        this.aws(&["sns", "create-topic", "--name", "runs"]).await?;
        this.aws(&["glue", "create-workflow", "--name", WORKFLOW]).await?;
        let job = ["glue", "create-job", "--name", GLUE_JOB, "--role", "glue", "--command", "Name=glueetl"];
        this.aws(&job).await?;
        this.trigger(GLUE_JOB).await?;
        Ok(this)
    }

    /// The workflow starts this job.
    async fn trigger(&self, job: &str) -> Outcome {
        let _ = self.aws(&["glue", "delete-trigger", "--name", "start"]).await;
        let trigger = ["glue", "create-trigger", "--name", "start", "--workflow-name", WORKFLOW, "--type", "ON_DEMAND"];
        self.aws(&[&trigger[..], &["--actions", &format!("JobName={job}")]].concat()).await?;
        Ok(())
    }

    async fn aws(&self, arguments: &[&str]) -> Any<Value> {
        Ok(self.cli.call(arguments).await?)
    }

    fn output(&self, name: &str) -> &str {
        self.stack.outputs.get(name)
    }

    async fn sql(&self, sql: &str) -> Outcome {
        Ok(self.stack.warehouse.run(sql).await?)
    }

    /// Runs a list of procedures to its end.
    async fn execute(&self, procedure: &str) -> Outcome {
        let sfn = aws_sdk_sfn::Client::new(&self.stack.aws);
        let input = json!({"Procedures": [{"Procedure": procedure}]});
        let arn = start(&sfn, self.output("StateMachineArn"), &input).await?;
        follow(&sfn, &arn, Duration::from_secs(60), |_| ()).await?;
        // The next execution must not share its second.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        Ok(())
    }

    async fn rule(&self, end: &str) -> Any<String> {
        let names = self.aws(&["events", "list-rules"]).await?;
        let names = names["Rules"].as_array().into_iter().flatten().filter_map(|r| r["Name"].as_str());
        Ok(names.into_iter().find(|name| name.ends_with(end)).ok_or("no rule")?.to_owned())
    }

    async fn examine(&self, name: &str) -> Vec<Finding> {
        examine(name, &self.stack.environment()).await.expect("the tools")
    }

    /// What is not as it should be.
    async fn complaints(&self) -> Vec<Finding> {
        self.examine(STACK_NAME).await.into_iter().filter(|finding| finding.verdict != Verdict::Ok).collect()
    }

    /// The doctor complains about this alone, and says these things.
    async fn complains(&self, checks: &[&str], says: &[&str]) -> Outcome {
        let complaints = self.complaints().await;
        let named: Vec<_> = complaints.iter().map(|finding| finding.check).collect();
        assert_eq!(named, checks, "{complaints:?}");
        let text: String = complaints.iter().map(Finding::to_string).collect();
        for part in says {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        Ok(())
    }

    async fn is_well(&self) -> Outcome {
        self.complains(&[], &[]).await
    }
}

async fn before_anything_ran_and_nobody_is_subscribed(p: &Examined) -> Outcome {
    let says = ["nobody is subscribed", "aws sns subscribe", "none yet"];
    p.complains(&["topic", "topic of runs", "last execution"], &says).await?;
    Inbox::subscribe(&p.stack.aws, p.output("TopicArn")).await?;
    p.complains(&["topic of runs", "last execution"], &[&format!("--topic-arn {RUNS} ")]).await?;
    Inbox::subscribe(&p.stack.aws, RUNS).await?;
    p.execute("dev.enriched_orders_sp").await?;
    p.is_well().await
}

async fn a_stack_that_does_not_exist(p: &Examined) -> Outcome {
    let findings = p.examine("no-such-stack").await;
    assert_eq!(findings.len(), 1);
    assert!(findings[0].to_string().starts_with("FAIL  stack"), "{}", findings[0]);
    assert!(findings[0].text.contains("no-such-stack"));
    Ok(())
}

async fn a_procedure_that_is_missing_or_must_not_be_called(p: &Examined) -> Outcome {
    p.sql("ALTER PROCEDURE dev.audit_orders_sp() RENAME TO elsewhere_sp").await?;
    p.complains(&["procedures", "audit"], &["not in the warehouse: dev.audit_orders_sp", "make install"]).await?;
    p.sql("ALTER PROCEDURE dev.elsewhere_sp() RENAME TO audit_orders_sp").await?;
    p.sql("REVOKE EXECUTE ON PROCEDURE dev.enriched_orders_sp() FROM loader, PUBLIC").await?;
    let grant = "GRANT EXECUTE ON PROCEDURE dev.enriched_orders_sp() TO \"loader\";";
    p.complains(&["procedures"], &["may not call dev.enriched_orders_sp", grant]).await?;
    p.sql(grant).await?;
    p.sql("REVOKE USAGE ON SCHEMA dev FROM loader").await?;
    let grant = "GRANT USAGE ON SCHEMA dev TO \"loader\";";
    p.complains(&["procedures", "audit table"], &[grant]).await?;
    p.sql(grant).await?;
    p.is_well().await
}

async fn an_audit_table_that_is_missing_or_must_not_be_marked(p: &Examined) -> Outcome {
    p.sql("REVOKE UPDATE ON dev.orders_audit FROM loader").await?;
    let grant = "GRANT SELECT, UPDATE ON dev.orders_audit TO \"loader\";";
    p.complains(&["audit table"], &[grant]).await?;
    p.sql(grant).await?;
    p.sql("ALTER TABLE dev.orders_audit RENAME TO elsewhere").await?;
    p.complains(&["audit table", "audit"], &["dev.orders_audit is not in the warehouse"]).await?;
    p.sql("ALTER TABLE dev.elsewhere RENAME TO orders_audit").await?;
    p.is_well().await
}

async fn an_audit_table_that_is_older_than_the_procedures(p: &Examined) -> Outcome {
    p.sql("ALTER TABLE dev.orders_audit DROP COLUMN row_count").await?;
    let migrate = "CALL dev.migrate_orders_audit_sp();";
    p.complains(&["audit table", "audit"], &["row_count", migrate]).await?;
    p.sql(migrate).await?;
    p.is_well().await
}

/// As a crawler may have it.
async fn an_external_table_with_a_wrong_column(p: &Examined) -> Outcome {
    let table = "ALTER TABLE s3_staging_schema.new_orders_staging_area";
    p.sql(&format!("{table} RENAME order_ts TO ordered_at")).await?;
    p.complains(&["audit"], &["source s3_staging_schema.new_orders_staging_area: order_ts is missing"]).await?;
    p.sql(&format!("{table} RENAME ordered_at TO order_ts; {table} ALTER product_name TYPE VARCHAR(100)")).await?;
    p.complains(&["audit"], &["product_name holds 100 bytes of 256"]).await?;
    p.sql(&format!("{table} ALTER product_name TYPE VARCHAR(256)")).await?;
    p.is_well().await
}

async fn a_database_user_that_does_not_exist(p: &Examined) -> Outcome {
    p.sql("ALTER ROLE loader RENAME TO somebody_else").await?;
    p.complains(&["procedures", "audit table"], &["the database user loader does not exist", "CREATE USER"]).await?;
    p.sql("ALTER ROLE somebody_else RENAME TO loader").await?;
    p.is_well().await
}

async fn a_rule_that_is_disabled_or_has_no_target(p: &Examined) -> Outcome {
    for (check, end) in [("trigger", "-finished"), ("schedule", "-scheduled"), ("full audit", "-full-audit")] {
        let rule = p.rule(end).await?;
        p.aws(&["events", "disable-rule", "--name", &rule]).await?;
        p.complains(&[check], &["DISABLED", &format!("aws events enable-rule --name {rule}")]).await?;
        p.aws(&["events", "enable-rule", "--name", &rule]).await?;
        let targets = p.aws(&["events", "list-targets-by-rule", "--rule", &rule]).await?["Targets"].to_string();
        p.aws(&["events", "remove-targets", "--rule", &rule, "--ids", "loader"]).await?;
        p.complains(&[check], &["does not start the state machine"]).await?;
        p.aws(&["events", "put-targets", "--rule", &rule, "--targets", &targets]).await?;
    }
    p.is_well().await
}

async fn a_workflow_that_does_not_exist_or_has_another_job(p: &Examined) -> Outcome {
    p.trigger("another-job").await?;
    p.complains(&["workflow"], &[GLUE_JOB, "it has another-job", "never runs"]).await?;
    p.trigger(GLUE_JOB).await?;
    p.aws(&["glue", "delete-workflow", "--name", WORKFLOW]).await?;
    p.complains(&["workflow"], &[WORKFLOW, "GlueWorkflowName"]).await?;
    p.aws(&["glue", "create-workflow", "--name", WORKFLOW]).await?;
    p.is_well().await
}

async fn an_event_that_was_missed(p: &Examined) -> Outcome {
    let queue = p.output("MissedEventsUrl");
    p.aws(&["sqs", "send-message", "--queue-url", queue, "--message-body", "{}"]).await?;
    let invoke = format!("aws lambda invoke --function-name {} ", p.output("StatusCheckerName"));
    p.complains(&["missed events"], &["1 did not reach", "receive-message", "under our own source", &invoke]).await?;
    p.aws(&["sqs", "purge-queue", "--queue-url", queue]).await?;
    p.is_well().await
}

async fn functions_of_two_roles(p: &Examined) -> Outcome {
    let function = p.output("StatusCheckerName");
    let role = async |name: &str| -> Any<String> {
        let role = p.aws(&["iam", "get-role", "--role-name", name]).await?;
        Ok(role["Role"]["Arn"].as_str().unwrap_or_default().to_owned())
    };
    let update = ["lambda", "update-function-configuration", "--function-name", function, "--role"];
    let another = role(p.output("AuditRoleName")).await?;
    let updated = ["lambda", "wait", "function-updated", "--function-name", function];
    p.aws(&[&update[..], &[&another]].concat()).await?;
    p.aws(&updated).await?;
    p.complains(&["role"], &["AuditRole", "belongs to the role that ran it"]).await?;
    p.aws(&[&update[..], &[&role(p.output("StatementRoleName")).await?]].concat()).await?;
    p.aws(&updated).await?;
    p.is_well().await
}

async fn a_last_execution_that_failed(p: &Examined) -> Outcome {
    p.execute("dev.no_such_sp").await?;
    p.complains(&["last execution"], &["ObjectNotFound", "make rerun EXECUTION=arn:"]).await?;
    p.execute("dev.enriched_orders_sp").await?;
    p.is_well().await
}

async fn a_secret_that_the_role_must_not_read_or_that_is_gone(p: &Examined) -> Outcome {
    let deny = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]})
    .to_string();
    for role in ["StatementRoleName", "AuditRoleName"].map(|role| p.output(role)) {
        let policy = ["--role-name", role, "--policy-name", "deny"];
        p.aws(&[&["iam", "put-role-policy"], &policy[..], &["--policy-document", &deny]].concat()).await?;
        p.complains(&["secret"], &[&format!("{role}: explicitDeny")]).await?;
        p.aws(&[&["iam", "delete-role-policy"], &policy[..]].concat()).await?;
    }
    let secret = p.stack.secret_arn.as_str();
    p.aws(&["secretsmanager", "delete-secret", "--secret-id", secret]).await?;
    // Without it nobody knows the database user: what hangs on it is said too.
    let complaints = p.complaints().await;
    assert!(complaints.iter().any(|f| f.check == "secret" && f.verdict == Verdict::Failure), "{complaints:?}");
    p.aws(&["secretsmanager", "restore-secret", "--secret-id", secret]).await?;
    p.is_well().await
}

/// The last test, because nothing restores the function.
async fn a_function_that_is_gone(p: &Examined) -> Outcome {
    p.aws(&["lambda", "delete-function", "--function-name", p.output("OrdersAuditFnName")]).await?;
    p.complains(&["functions"], &["OrdersAuditFn", "make deploy"]).await
}

fn main() -> ExitCode {
    let tests = tests![
        before_anything_ran_and_nobody_is_subscribed,
        a_stack_that_does_not_exist,
        a_procedure_that_is_missing_or_must_not_be_called,
        an_audit_table_that_is_missing_or_must_not_be_marked,
        an_audit_table_that_is_older_than_the_procedures,
        an_external_table_with_a_wrong_column,
        a_database_user_that_does_not_exist,
        a_rule_that_is_disabled_or_has_no_target,
        a_workflow_that_does_not_exist_or_has_another_job,
        an_event_that_was_missed,
        functions_of_two_roles,
        a_last_execution_that_failed,
        a_secret_that_the_role_must_not_read_or_that_is_gone,
        a_function_that_is_gone,
    ];
    run(tests, async || Examined::start().await.expect("the stack"), async |p: Examined| p.stack.stop().await)
}
