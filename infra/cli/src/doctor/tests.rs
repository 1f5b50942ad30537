use serde_json::{Value, json};

use super::Verdict;
use super::checks::{procedures, secret, subscriptions, table};
use super::facts::{Rows, procedures_sql, table_sql};
use crate::Error;
use crate::aws::Response;
use crate::stack::{ROLES, Stack};

/// A stack with IAM credentials: no secret, no user.
fn iam() -> Stack {
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Stack {
        name: "s".into(),
        parameters: pairs(&[
            ("WorkgroupName", "w"),
            ("Procedures", "dev.load_sp, dev.audit_sp"),
            ("AuditTables", "dev.orders_audit:run_id:order_ts,dev.other"),
        ]),
        outputs: pairs(&[("StatementRoleName", "s-StatementRole-1"), ("AuditRoleName", "s-AuditRole-1")]),
    }
}

fn records(rows: &[&[Value]]) -> Rows {
    Ok(rows.iter().map(|row| row.to_vec()).collect())
}

#[test]
fn with_iam_credentials_each_role_is_a_user_and_gets_its_own_grants() {
    let stack = iam();
    let (caller, auditor) = stack.users(None);
    assert_eq!((&*caller, &*auditor), ("IAMR:s-StatementRole-1", "IAMR:s-AuditRole-1"));
    assert!(procedures_sql(&stack, &caller).contains("has_function_privilege('IAMR:s-StatementRole-1', p.oid"));
    assert!(
        table_sql(stack.audit_tables()[0].0, &stack.audit_tables()[0].1, &auditor)
            .contains("has_table_privilege('IAMR:s-AuditRole-1', c.oid, 'update')")
    );

    let (yes, no) = (json!({"booleanValue": true}), json!({"booleanValue": false}));
    let name = |text: &str| json!({"stringValue": text});
    let answer =
        records(&[&[name("dev.load_sp"), yes.clone(), yes.clone()], &[name("dev.audit_sp"), yes.clone(), no.clone()]]);
    let finding = procedures(&stack, &answer, &caller);
    assert_eq!(finding.verdict, Verdict::Failure);
    assert_eq!(
        finding.fix,
        "GRANT USAGE ON SCHEMA dev TO \"IAMR:s-StatementRole-1\";\n\
         GRANT EXECUTE ON PROCEDURE dev.audit_sp() TO \"IAMR:s-StatementRole-1\";\n"
    );
    let finding = table("dev.orders_audit", &records(&[&[yes.clone(), yes.clone(), no, yes]]), &auditor);
    assert_eq!(
        finding.fix,
        "GRANT USAGE ON SCHEMA dev TO \"IAMR:s-AuditRole-1\";\n\
         GRANT SELECT, UPDATE ON dev.orders_audit TO \"IAMR:s-AuditRole-1\";\n"
    );

    let unknown = Err(Error::new("ERROR: user \"IAMR:s-AuditRole-1\" does not exist"));
    let finding = table("dev.orders_audit", &unknown, &auditor);
    assert!(finding.fix.contains("exists after its role's first call"), "{finding}");
    assert!(finding.fix.contains("GRANT SELECT, UPDATE ON dev.orders_audit"), "{finding}");
}

#[test]
fn an_audit_table_from_before_is_migrated() {
    let (yes, no) = (json!({"booleanValue": true}), json!({"booleanValue": false}));
    let old = records(&[&[yes.clone(), yes.clone(), yes, no]]);
    let finding = table("dev.orders_audit", &old, "loader");
    assert!(finding.fix.contains("CALL dev.migrate_orders_audit_sp();"), "{finding}");
    let finding = table("dev.other", &old, "loader");
    assert!(finding.verdict == Verdict::Failure && finding.fix.contains("audits/orders.sql"), "{finding}");
}

/// The local AWS gives a subscription its ARN before it is confirmed.
#[test]
fn a_subscription_counts_once_it_is_confirmed() {
    let list = |arns: &[&str]| {
        let list: Vec<_> = arns.iter().map(|arn| json!({"SubscriptionArn": arn})).collect();
        subscriptions("topic", "arn:aws:sns:eu-west-1:1:t", &Ok(json!({"Subscriptions": list})))
    };
    let finding = list(&[]);
    assert!(finding.verdict == Verdict::Failure && finding.fix.contains("--topic-arn arn:aws:sns:eu-west-1:1:t"));
    let finding = list(&["PendingConfirmation", "PendingConfirmation"]);
    assert_eq!(finding.text, "none of 2 subscriptions is confirmed");
    assert_eq!(finding.verdict, Verdict::Failure);
    let finding = list(&["PendingConfirmation", "arn:aws:sns:eu-west-1:1:t:5b2d"]);
    assert_eq!((finding.verdict, &*finding.text), (Verdict::Ok, "1 confirmed subscription"));
}

#[test]
fn the_secret_has_to_be_readable_by_both_roles() {
    let stack = iam();
    let said = |decision: &str| Ok(json!({"EvaluationResults": [{"EvalDecision": decision}]}));
    let [statement, audit] = ROLES;
    let finding = |first: Response, second: Response| {
        secret(&stack, &Ok(json!("loader")), &[(statement, first), (audit, second)])
    };
    assert_eq!(finding(said("allowed"), said("allowed")).verdict, Verdict::Ok);
    let refused = finding(said("allowed"), said("implicitDeny"));
    assert_eq!((refused.verdict, &*refused.text), (Verdict::Failure, "s-AuditRole-1: implicitDeny"));
    assert_eq!(finding(said("allowed"), Err(Error::new("refused"))).verdict, Verdict::Warning);
}
