//! The names that the functions can fail with, held against the state machine, both ways; and the files
//! that the README points at.

use std::collections::BTreeSet;

use redshift_local::stack::project;
use serde_json::Value;
use shared::{Error, polling, runtime};

/// Names of Step Functions, Lambda and Glue themselves. [Step Functions developer guide, "Error handling"]
const PLATFORM: &[&str] = &["States.", "Lambda.", "Sandbox.", "Runtime.", "Glue."];

/// What the machine itself fails with, before a function is called.
const OWN: &[&str] =
    &["WorkflowLookupFailed", "WorkflowRunNotFound", "WorkflowNotFinished", "WorkflowNotSucceeded", "EmrStepFailed"];

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
            let known = |e: &str| Error::NAMES.contains(&e) || OWN.contains(&e);
            assert!(fixed.as_str().is_none_or(known), "{name} makes up {fixed}");
        }
    }
    for own in OWN {
        assert!(states(&machine).any(|(_, s)| s["Parameters"]["Error"] == **own), "{own} is nobody's");
    }
}

/// Every name that is not retried, and every one that is when its retries are used up, reaches a Catch.
#[test]
fn every_task_catches_everything_and_repeats_what_lambda_lost() {
    let machine = machine();
    for (name, state) in states(&machine).filter(|(_, s)| s["Type"] == "Task") {
        assert_eq!(names(state, "Catch").last(), Some(&"States.ALL"), "{name}");
        if name == "RunStep" {
            // A step is not ours: nobody knows whether it may run twice.
            assert!(state["Retry"].is_null() && state["TimeoutSecondsPath"].is_string());
            continue;
        }
        assert!(state["TimeoutSeconds"].as_u64().is_some(), "{name} may hang");
        let retried = names(state, "Retry");
        for needed in ["Lambda.ServiceException", "Lambda.Unknown", "Sandbox.Timedout", "Throttled"] {
            assert!(retried.contains(&needed) || retried.contains(&"States.ALL"), "{name} does not repeat {needed}");
        }
    }
}

/// A whole number in the template, behind a name inside of a resource or parameter.
fn number(section: &str, field: &str) -> u64 {
    let template = std::fs::read_to_string(project("infra/template.yaml")).expect("the template");
    let (_, body) = template.split_once(&format!("\n  {section}:\n")).expect(section);
    let (_, value) = body.split_once(&format!(" {field}: ")).expect(field);
    value.lines().next().and_then(|v| v.trim().parse().ok()).expect("a number")
}

#[test]
fn the_time_outs_nest() {
    let machine = machine();
    let task = |state: &str| machine["States"][state]["TimeoutSeconds"].as_u64().expect("a time-out");
    let (attempt, call) = (runtime::SDK_ATTEMPT_TIMEOUT.as_secs(), runtime::SDK_OPERATION_TIMEOUT.as_secs());
    assert!(attempt >= polling::MAX_LONG_POLL.as_secs() + 5, "an SDK attempt outlasts the longest long poll");
    assert!(call > attempt, "a call has room for a second attempt");
    // status-checker: a poll, a poll without waiting, a cancel, a second look; proc-runner has fewer.
    assert!(number("StatusChecker", "Timeout") > 4 * call, "a check fits into its Lambda");
    assert!(number("ProcRunner", "Timeout") > 3 * call, "a submit fits into its Lambda");
    let sweep = number("SweepSeconds", "MaxValue") + status_checker::SWEEP_CONFIRM.as_secs() + call;
    assert!(number("StatusChecker", "Timeout") > sweep, "a sweep fits into its Lambda");
    // A submit that was in flight: a singleton's look, the submit, a cold start.
    assert!(number("SweepSeconds", "Default") >= 2 * call + 10, "the sweep outlasts a submit in flight");
    for (state, function) in [
        ("Submit", "ProcRunner"),
        ("DryRun", "ProcRunner"),
        ("Check", "StatusChecker"),
        ("CancelWhatRuns", "StatusChecker"),
        ("Notify", "OrdersAuditFn"),
    ] {
        assert!(task(state) > number(function, "Timeout"), "{state} outlasts its Lambda");
    }
    assert!(
        number("OrdersAuditFn", "Timeout") > 2 * orders_audit_fn::MARGIN.as_secs(),
        "most of its time is for sending"
    );
    assert!(orders_audit_fn::MARGIN.as_secs() > call, "a publish that has begun ends before the Lambda does");
    let attempts = 2 * number("MaxAttempts", "MaxValue");
    let statement = number("StatementTimeoutSeconds", "MaxValue") + number("CancelGraceSeconds", "MaxValue");
    let longest = attempts * (statement + polling::back_off(u32::MAX).as_secs());
    let first = number("EmrStepTimeoutSeconds", "MaxValue") + 41 * 60;
    assert!(
        machine["TimeoutSeconds"].as_u64().expect("a time-out") > longest + first,
        "the machine outlasts all of it"
    );
}

#[test]
fn the_readme_documents_every_name() {
    let readme = std::fs::read_to_string(project("README.md")).expect("a README");
    let failures = shared::FailureKind::ALL.iter().map(|k| k.name());
    for name in Error::NAMES.iter().chain(OWN).copied().chain(failures) {
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
