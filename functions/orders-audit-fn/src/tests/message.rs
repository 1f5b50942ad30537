use super::*;

#[test]
fn a_kind_that_nobody_knows_is_an_error() {
    let config = Config::from_env(env).expect("valid");
    let composer = Composer {
        audit: &config.audits[0].audit,
        words: &config.audits[0].words,
        execution: "x",
        workflow: &WORKFLOW,
    };
    for (kinds, severity) in [
        (&["DIFFERENT", "MISSING_IN_STAGING"][..], "warning"),
        (&["DIFFERENT", "MISSING_IN_REDSHIFT"], "error"),
        (&["DUPLICATE_IN_REDSHIFT"], "error"),
        (&["STOCK_GONE"], "error"),
    ] {
        let of = |kind: &&str| run::Mismatches { kind: (*kind).into(), rows: 1, first: None, last: None };
        let run = Run { mismatches: kinds.iter().map(of).collect(), ..Run::default() };
        assert_eq!(composer.mismatch(&run).severity.as_str(), severity, "{kinds:?}");
    }
}

#[test]
fn the_payload_is_as_its_schema_says() {
    let schema: Value = serde_json::from_str(include_str!("../../notification.schema.json")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let config = Config::from_env(env).expect("valid");
    let composer = Composer {
        audit: &config.audits[0].audit,
        words: &config.audits[0].words,
        execution: "x",
        workflow: &WORKFLOW,
    };
    let mismatches =
        |kind: &str| run::Mismatches { kind: kind.into(), rows: 2, first: Some("2026-01-01".into()), last: None };
    let run = Run {
        id: Some("42").into(),
        mismatches: vec![mismatches("DIFFERENT"), mismatches("x")],
        changed_in: 1,
        ..Run::default()
    };
    let mut digest = Digest::default();
    digest.add(&run);
    for (notification, kind) in [
        (composer.mismatch(&run), "mismatch"),
        (composer.resolved(&run), "resolved"),
        (composer.digest(&digest), "digest"),
        (composer.resolved_digest(&digest), "resolved_digest"),
    ] {
        let payload: Value = serde_json::from_str(&notification.payload).expect("JSON");
        assert!(schema.is_valid(&payload), "{payload}");
        assert_eq!((payload["type"].as_str(), payload["changed_in"].as_i64()), (Some(kind), Some(1)));
        assert_eq!(
            (payload["text"].as_str(), payload["subject"].as_str()),
            (Some(&*notification.text), Some(&*notification.subject))
        );
        for field in ["severity", if kind.ends_with("digest") { "worst" } else { "kinds" }] {
            let mut without = payload.clone();
            without.as_object_mut().expect("an object").remove(field);
            assert!(!schema.is_valid(&without), "{kind} without {field}");
        }
    }
}

#[test]
fn a_notification_says_what_a_person_needs() {
    let config = Config::from_env(env).expect("valid");
    let composer = Composer {
        audit: &config.audits[0].audit,
        words: &config.audits[0].words,
        execution: "x",
        workflow: &WORKFLOW,
    };
    let of = |kind: &str, rows, at: &str| run::Mismatches {
        kind: kind.into(),
        rows,
        first: Some(at.into()),
        last: Some(at.into()),
    };
    let mismatches =
        vec![of("DIFFERENT", 2, "2026-01-03 00:00:00"), of("MISSING_IN_REDSHIFT", 1, "2026-01-01 00:00:00")];
    let run = Run { id: Some("42").into(), mismatches, ..Run::default() };
    assert_eq!(
        composer.mismatch(&run).text,
        "Mismatch between S3 staging and Redshift for the run id 42\n\n\
         2 rows in both, with different values (DIFFERENT)\n\
         1 row in S3 staging but not in Redshift (MISSING_IN_REDSHIFT)\n\
         order_ts from 2026-01-01 00:00:00 to 2026-01-03 00:00:00\n\n\
         To inspect: SELECT * FROM dev.orders_audit WHERE run_id = '42' AND status <> 'RESOLVED';\n\
         To fix:     correct the rows (the next run loads a late row); the next audit sets what is fixed to RESOLVED.\n\
         To resolve: SET timezone TO 'UTC'; UPDATE dev.orders_audit SET status = 'RESOLVED', resolved_at = GETDATE() WHERE run_id = '42' AND status <> 'RESOLVED';\n\
         \x20           (an audit that still finds the mismatch re-opens it: silence that)\n\
         To silence: SET timezone TO 'UTC'; UPDATE dev.orders_audit SET silenced_until = GETDATE() + INTERVAL '7 days' WHERE run_id = '42';\n"
    );
    let workflow = &WorkflowRun { workflow_name: Some("nightly".into()), workflow_run_id: Some("wr_1".into()) };
    let notification = Composer { workflow, ..composer }.mismatch(&run);
    assert!(notification.text.contains("\nFound after Glue workflow run wr_1 of nightly\n"), "{}", notification.text);
    let payload: Value = serde_json::from_str(&notification.payload).expect("JSON");
    assert_eq!((&payload["workflow"], &payload["workflow_run_id"]), (&json!("nightly"), &json!("wr_1")));
}
