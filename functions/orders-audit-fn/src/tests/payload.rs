use super::*;

#[test]
fn a_kind_that_nobody_knows_is_an_error() {
    let config = Config::from_env(env).expect("valid");
    let composer = composer(&config);
    for (kinds, severity) in [
        (&["DIFFERENT", "MISSING_IN_STAGING"][..], "warning"),
        (&["DIFFERENT", "MISSING_IN_REDSHIFT"], "error"),
        (&["DUPLICATE_IN_REDSHIFT"], "error"),
        (&["STOCK_GONE"], "error"),
    ] {
        let of = |kind: &&str| run::Mismatches { kind: (*kind).into(), rows: 1, ..run::Mismatches::default() };
        let run = Run { mismatches: kinds.iter().map(of).collect(), ..Run::default() };
        assert_eq!(composer.mismatch(&run).expect("composed").severity.as_str(), severity, "{kinds:?}");
    }
}

pub(super) fn composer(config: &Config) -> Composer<'_> {
    Composer { stack: &config.stack, audited: &config.audits[0], execution: EXECUTION, workflow: &WORKFLOW }
}

const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:loader:x";

fn on_a_stack(name: &str) -> Option<String> {
    match name {
        "STACK_NAME" => Some("shop".to_owned()),
        "DASHBOARD_URL" => Some("https://dashboard/".to_owned()),
        "CHAT_TOPIC_ARN" => Some("arn:aws:sns:eu-west-1:123456789012:chat".to_owned()),
        name => env(name),
    }
}

fn of(kind: &str, rows: i64, at: &str) -> run::Mismatches {
    run::Mismatches { kind: kind.into(), rows, changed: 0, first: Some(at.into()), last: Some(at.into()) }
}

/// One of each event.
fn all(config: &Config) -> Vec<Notification> {
    let composer = composer(config);
    let mismatches = vec![of("DIFFERENT", 2, "2026-01-01"), of("x", 2, "2026-01-01")];
    let run = Run { id: Some("42").into(), mismatches, changed_in: 1, since: Some(1_767_225_600), ..Run::default() };
    let told = Run { told: 2, last_told: Some(1_767_229_200), ..run.clone() };
    let mut digest = Digest::default();
    digest.add(&run);
    let ended = ended::Ended { execution: EXECUTION.into(), status: "ABORTED".into(), reason: None };
    [
        composer.mismatch(&run),
        composer.mismatch(&told),
        composer.resolved(&told),
        composer.digest(&digest),
        composer.resolved_digest(&digest),
        notification::load_not_ended(&config.stack, &ended),
    ]
    .map(|notification| notification.expect("composed"))
    .into()
}

/// BLESS=1 writes the schema again.
#[test]
fn the_schema_is_that_of_the_types() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/notification.schema.json");
    let schema = notification::schema();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, &schema).expect("written");
    }
    assert!(
        std::fs::read_to_string(file).expect("a schema") == schema,
        "notification.schema.json is older than its types"
    );
}

#[test]
fn the_payload_is_as_its_schema_says() {
    let schema: Value = serde_json::from_str(include_str!("../../notification.schema.json")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let config = Config::from_env(on_a_stack).expect("valid");
    let kinds = ["mismatch", "reminder", "resolved", "digest", "resolved_digest", "load_not_ended"];
    for (notification, kind) in all(&config).into_iter().zip(kinds) {
        let payload: Value = serde_json::from_str(&notification.payload).expect("JSON");
        assert!(schema.is_valid(&payload), "{payload}");
        assert_eq!((notification.event.name(), payload["type"].as_str()), (kind, Some(kind)));
        assert!(
            kind == "load_not_ended" || payload["changed_in"] == 1 && payload["audit"] == "dev.orders",
            "{payload}"
        );
        assert_eq!(
            (payload["text"].as_str(), payload["subject"].as_str()),
            (Some(&*notification.text), Some(&*notification.subject))
        );
        let own = match kind {
            "load_not_ended" => "error",
            "digest" | "resolved_digest" => "worst",
            _ => "kinds",
        };
        for field in ["severity", "links", "version", "type", own] {
            let mut without = payload.clone();
            without.as_object_mut().expect("an object").remove(field);
            assert!(!schema.is_valid(&without), "{kind} without {field}");
        }
    }
}

/// The published form, with bounds below AWS's. [Amazon Q Developer in chat applications administrator guide, "Custom notifications"]
#[test]
fn a_chat_gets_what_its_schema_takes_and_a_run_is_one_conversation() {
    let text = |most: u64| json!({"type": "string", "minLength": 1, "maxLength": most});
    let object = |required: Value, properties: Value| json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false});
    let content = json!({"textType": {"const": "client-markdown"}, "title": text(250), "description": text(8_000),
        "nextSteps": {"type": "array", "maxItems": 10, "items": text(350)}});
    let metadata = json!({"threadId": text(50), "summary": text(300), "eventType": text(50)});
    let schema = object(
        json!(["version", "source", "content"]),
        json!({"version": {"const": "1.0"}, "source": {"const": "custom"},
            "content": object(json!(["description"]), content), "metadata": object(json!([]), metadata)}),
    );
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let chat = |notification: &Notification| -> Value {
        serde_json::from_str(notification.chat.as_deref().expect("a chat's")).expect("JSON")
    };
    let mut config = Config::from_env(on_a_stack).expect("valid");
    let threads: Vec<_> = all(&config)
        .iter()
        .map(|notification| {
            let chat = chat(notification);
            assert!(schema.is_valid(&chat), "{chat}");
            chat["metadata"]["threadId"].as_str().expect("a thread").to_owned()
        })
        .collect();
    assert!(threads[..3].iter().all(|thread| *thread == threads[0]), "mismatch, reminder and resolved");
    assert!(threads[3..].iter().all(|thread| *thread != threads[0]) && threads[3] == threads[4]);
    let mismatch = chat(&all(&config)[0]);
    assert_eq!(mismatch["content"]["description"], "```\n     rows\n        2  DIFFERENT\n        2  x\n```");
    assert_eq!(mismatch["content"]["nextSteps"][0], "`loader show 42 --stack shop` shows its rows on both sides");
    // Whatever the words, the ids and the kinds are: shortened, and never more than is taken.
    config.audits[0].words.title = "{key} ".repeat(3) + &"t".repeat(900);
    for character in ["x", "`", "\u{1}", "\u{10ffff}"] {
        let id = shared::RunId::of_result(Some(character.repeat(257)), Some(65_535), Some("0".repeat(32)));
        let mismatches = (0..200).map(|n| of(&character.repeat(100), n, character)).collect();
        let run = Run { id, mismatches, told: 1, ..Run::default() };
        let mut digest = Digest::default();
        (0..20).for_each(|_| digest.add(&run));
        for notification in [composer(&config).mismatch(&run), composer(&config).digest(&digest)] {
            let chat = chat(&notification.expect("composed"));
            assert!(schema.is_valid(&chat), "{chat}");
        }
    }
    assert!(all(&Config::from_env(env).expect("valid")).iter().all(|notification| notification.chat.is_none()));
}

#[test]
fn a_notification_says_what_a_person_needs() {
    let config = Config::from_env(on_a_stack).expect("valid");
    let composer = composer(&config);
    let mismatches =
        vec![of("DIFFERENT", 2, "2026-01-03 00:00:00"), of("MISSING_IN_REDSHIFT", 1, "2026-01-01 00:00:00")];
    let run = Run { id: Some("42").into(), mismatches, ..Run::default() };
    let text = |run: &Run| composer.mismatch(run).expect("composed").text;
    assert_eq!(
        text(&run),
        "Mismatch between S3 staging and Redshift for the run id 42\n\n\
         2 rows in both, with different values (DIFFERENT)\n\
         1 row in S3 staging but not in Redshift (MISSING_IN_REDSHIFT)\n\
         order_ts from 2026-01-01 00:00:00 to 2026-01-03 00:00:00\n\n\
         To see:     loader show 42 --stack shop (its rows on both sides)\n\
         To inspect: SELECT * FROM dev.orders_audit WHERE run_id = '42' AND status <> 'RESOLVED';\n\
         To fix:     correct the rows (the next run loads a late row); the next audit sets what is fixed to RESOLVED.\n\
         To resolve: SET timezone TO 'UTC'; UPDATE dev.orders_audit SET status = 'RESOLVED', resolved_at = GETDATE() WHERE run_id = '42' AND status <> 'RESOLVED';\n\
         \x20           (an audit that still finds the mismatch re-opens it: silence that)\n\
         To silence: SET timezone TO 'UTC'; UPDATE dev.orders_audit SET silenced_until = GETDATE() + INTERVAL '7 days' WHERE run_id = '42';\n\n\
         Execution:  https://console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn:aws:states:eu-west-1:123456789012:execution:loader:x\n\
         Dashboard:  https://dashboard/\n"
    );
    let mut told = Run { told: 2, since: Some(1_767_225_600), last_told: Some(1_767_312_000), ..run.clone() };
    told.mismatches[0].changed = 1;
    let reminder = text(&told);
    assert!(
        reminder.starts_with(
            "Reminder 2: Mismatch between S3 staging and Redshift for the run id 42\n\n\
             Unresolved since 2026-01-01T00:00:00Z. People were told 2 times, last 2026-01-02T00:00:00Z; since then 1 row is new or has changed.\n\n\
             2 rows in both, with different values (DIFFERENT)\n"
        ) && reminder.contains("\nTo silence: loader silence 42 --stack shop\n"),
        "{reminder}"
    );
    assert!(reminder.len() < text(&run).len(), "quieter, not louder");
    let other = Run { id: Some("it's -x").into(), ..run.clone() };
    assert!(text(&other).contains(r"loader show 'it'\''s -x' --stack shop"), "{}", text(&other));
    let workflow = &WorkflowRun { workflow_name: Some("nightly".into()), workflow_run_id: Some("wr_1".into()) };
    let notification = Composer { workflow, ..composer }.mismatch(&run).expect("composed");
    assert!(notification.text.contains("\nFound after Glue workflow run wr_1 of nightly\n"), "{}", notification.text);
    let payload: Value = serde_json::from_str(&notification.payload).expect("JSON");
    assert_eq!((&payload["workflow"], &payload["workflow_run_id"]), (&json!("nightly"), &json!("wr_1")));
}
