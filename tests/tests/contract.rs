//! The names that the functions can fail with, held against the state machine, both ways; and the files
//! that the README points at.

use std::collections::BTreeSet;

use redshift_local::stack::project;
use serde_json::Value;
use shared::Error;

/// Names of Step Functions and Lambda themselves. [Step Functions developer guide, "Error handling"]
const PLATFORM: &[&str] = &["States.", "Lambda.", "Sandbox.", "Runtime."];

fn machine() -> Value {
    let text = std::fs::read_to_string(project("infra/statemachines/loader.asl.json")).expect("the state machine");
    serde_json::from_str(&text).expect("JSON")
}

fn states(machine: &Value) -> impl Iterator<Item = (&String, &Value)> {
    machine["States"].as_object().into_iter().flatten()
}

fn names<'a>(state: &'a Value, field: &str) -> Vec<&'a str> {
    let rules = state[field].as_array().into_iter().flatten();
    rules.flat_map(|rule| rule["ErrorEquals"].as_array().into_iter().flatten()).filter_map(Value::as_str).collect()
}

fn ours(name: &str) -> bool {
    !PLATFORM.iter().any(|prefix| name.starts_with(prefix))
}

#[test]
fn the_machine_retries_exactly_the_names_that_pass_by_themselves() {
    let machine = machine();
    let retried: BTreeSet<_> = states(&machine).flat_map(|(_, s)| names(s, "Retry")).filter(|n| ours(n)).collect();
    assert_eq!(retried, Error::RETRIED.iter().copied().collect());
}

#[test]
fn the_machine_uses_no_name_that_the_functions_do_not_have() {
    let machine = machine();
    for (name, state) in states(&machine) {
        for error in names(state, "Retry").into_iter().chain(names(state, "Catch")).filter(|n| ours(n)) {
            assert!(Error::NAMES.contains(&error), "{name} names {error}");
        }
        for fixed in
            [&state["Result"]["Error"], &state["Parameters"]["Error"], &state["Parameters"]["Failure"]["Error"]]
        {
            assert!(fixed.as_str().is_none_or(|e| Error::NAMES.contains(&e)), "{name} makes up {fixed}");
        }
    }
}

/// Every name that is not retried, and every one that is when its retries are used up, reaches a Catch.
#[test]
fn every_task_catches_everything_and_repeats_what_lambda_lost() {
    let machine = machine();
    for (name, state) in states(&machine).filter(|(_, s)| s["Type"] == "Task") {
        assert_eq!(names(state, "Catch"), ["States.ALL"], "{name}");
        assert!(state["TimeoutSeconds"].as_u64().is_some(), "{name} may hang");
        let retried = names(state, "Retry");
        for needed in ["Lambda.ServiceException", "Lambda.Unknown", "Sandbox.Timedout", "Throttled"] {
            assert!(retried.contains(&needed) || retried == ["States.ALL"], "{name} does not repeat {needed}");
        }
    }
}

#[test]
fn the_readme_documents_every_name() {
    let readme = std::fs::read_to_string(project("README.md")).expect("a README");
    let failures = shared::FailureKind::ALL.iter().map(|k| k.name());
    for name in Error::NAMES.iter().copied().chain(failures) {
        assert!(readme.contains(&format!("`{name}`")), "README.md does not know {name}");
    }
}

#[test]
fn the_event_files_are_json() {
    let mut seen = 0;
    for function in ["proc-runner", "status-checker", "orders-audit-fn"] {
        for file in std::fs::read_dir(project("functions").join(function).join("events")).expect("events") {
            let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
            let _: Value = serde_json::from_str(&text).expect("JSON");
            seen += 1;
        }
    }
    assert!(seen >= 7);
}
