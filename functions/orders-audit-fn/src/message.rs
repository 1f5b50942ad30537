//! The words of a notification: what a person needs to act.

use std::fmt::Write as _;

use shared::call::QualifiedName;

use crate::runs::{Mismatches, UnresolvedRun};

/// The subject of every notification. SNS takes fewer than 100 characters without line breaks.
pub const SUBJECT: &str = "S3 Staging vs Redshift mismatch";

/// One notification, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The run it is about, as text.
    pub run_id: String,
    /// What a person reads.
    pub text: String,
    /// Rows that do not match.
    pub mismatches: i64,
    /// The kinds of mismatch.
    pub kinds: Vec<String>,
}

/// Puts a run into words.
pub fn compose(run: &UnresolvedRun, table: &QualifiedName) -> Notification {
    let run_id = run.run_id.as_str();
    let condition = run.run_id.condition();
    let total = run.mismatches.iter().map(|m| m.rows).sum();
    let mut text = format!("Mismatch between S3 staging and Redshift for the run id {run_id}\n\n");
    for mismatches in &run.mismatches {
        let Mismatches { kind, rows, .. } = mismatches;
        let _ = writeln!(text, "{rows} {} {}", if *rows == 1 { "row" } else { "rows" }, meaning(kind));
    }
    let first = run.mismatches.iter().filter_map(|m| m.first.as_deref()).min();
    let last = run.mismatches.iter().filter_map(|m| m.last.as_deref()).max();
    if let (Some(first), Some(last)) = (first, last) {
        let _ = writeln!(text, "order_ts from {first} to {last}");
    }
    let _ = write!(
        text,
        "\nTo look:    SELECT * FROM {table} WHERE {condition} AND status <> 'RESOLVED' ORDER BY order_id;\n\
         To mend:    put the rows right (a late row is loaded by the next run); the next audit sets what is mended to RESOLVED.\n\
         To resolve: UPDATE {table} SET status = 'RESOLVED' WHERE {condition} AND status <> 'RESOLVED';\n"
    );
    Notification {
        run_id: run_id.to_owned(),
        text,
        mismatches: total,
        kinds: run.mismatches.iter().map(|m| m.kind.clone()).collect(),
    }
}

/// What a kind means, in words; an unknown one speaks for itself.
fn meaning(kind: &str) -> String {
    match kind {
        "MISSING_IN_REDSHIFT" => "in S3 staging but not in Redshift (MISSING_IN_REDSHIFT)".to_owned(),
        "MISSING_IN_STAGING" => "in Redshift but not in S3 staging (MISSING_IN_STAGING)".to_owned(),
        "DIFFERENT" => "in both, with different values (DIFFERENT)".to_owned(),
        "DUPLICATE_IN_REDSHIFT" => "more than once in Redshift (DUPLICATE_IN_REDSHIFT)".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::RunId;

    fn mismatches(kind: &str, rows: i64, span: Option<(&str, &str)>) -> Mismatches {
        let own = str::to_owned;
        Mismatches { kind: own(kind), rows, first: span.map(|s| own(s.0)), last: span.map(|s| own(s.1)) }
    }

    #[test]
    fn a_notification_says_what_a_person_needs() {
        let run = UnresolvedRun {
            run_id: RunId::from(Some("42")),
            mismatches: vec![
                mismatches("DIFFERENT", 2, Some(("2026-01-02 00:00:00", "2026-01-03 00:00:00"))),
                mismatches("MISSING_IN_REDSHIFT", 1, Some(("2026-01-01 00:00:00", "2026-01-01 00:00:00"))),
            ],
        };
        let table = QualifiedName::parse("dev.orders_audit", "table").expect("valid");
        let notification = compose(&run, &table);
        assert_eq!(
            notification.text,
            "Mismatch between S3 staging and Redshift for the run id 42\n\n\
             2 rows in both, with different values (DIFFERENT)\n\
             1 row in S3 staging but not in Redshift (MISSING_IN_REDSHIFT)\n\
             order_ts from 2026-01-01 00:00:00 to 2026-01-03 00:00:00\n\n\
             To look:    SELECT * FROM dev.orders_audit WHERE run_id = 42 AND status <> 'RESOLVED' ORDER BY order_id;\n\
             To mend:    put the rows right (a late row is loaded by the next run); the next audit sets what is mended to RESOLVED.\n\
             To resolve: UPDATE dev.orders_audit SET status = 'RESOLVED' WHERE run_id = 42 AND status <> 'RESOLVED';\n"
        );
        assert_eq!((notification.mismatches, notification.kinds.len()), (3, 2));
    }

    #[test]
    fn a_run_without_an_id_is_named_too() {
        let run = UnresolvedRun { run_id: RunId::from(None), mismatches: vec![mismatches("DIFFERENT", 1, None)] };
        let table = QualifiedName::parse("dev.orders_audit", "table").expect("valid");
        let notification = compose(&run, &table);
        assert_eq!(notification.run_id, "NULL");
        assert!(notification.text.starts_with("Mismatch between S3 staging and Redshift for the run id NULL\n"));
        assert!(notification.text.contains("WHERE run_id IS NULL"));
    }
}
