//! The names that the functions can fail with, held against the state machine, both ways; and the files
//! that the README points at.

use std::collections::BTreeSet;
use std::time::Duration;

use loader::tools::project;
use serde_json::{Value, json};
use shared::{ErrorKind, polling, runtime};

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

fn is_name(name: &str) -> bool {
    ErrorKind::ALL.iter().any(|kind| kind.name() == name)
}

fn ours(name: &str) -> bool {
    !PLATFORM.iter().any(|prefix| name.starts_with(prefix))
}

#[test]
fn the_machine_retries_exactly_the_names_that_pass_by_themselves() {
    let machine = machine();
    let retried: BTreeSet<_> = states(&machine).flat_map(|(_, s)| names(s, "Retry")).filter(|n| ours(n)).collect();
    assert_eq!(retried, ErrorKind::ALL.iter().filter(|kind| kind.is_retried()).map(|kind| kind.name()).collect());
}

#[test]
fn the_machine_uses_no_name_that_the_functions_do_not_have() {
    let machine = machine();
    for (name, state) in states(&machine) {
        for error in names(state, "Retry").into_iter().chain(names(state, "Catch")).filter(|n| ours(n)) {
            assert!(is_name(error), "{name} names {error}");
        }
        for fixed in [&state["Result"]["Error"], &state["Parameters"]["Error"]] {
            assert!(fixed.as_str().is_none_or(is_name), "{name} makes up {fixed}");
        }
    }
}

/// Decisions are made in functions: what a Pass state copies stands in its input. Only a failure is put into words without any.
#[test]
fn no_pass_state_computes() {
    let machine = machine();
    let words = ["ComposeFailure", "AddressFailure"];
    let is_pass = |name: &str, state: &Value| state["Type"] == "Pass" && !words.contains(&name);
    let passes: Vec<_> = states(&machine).filter(|(name, state)| is_pass(name, state)).collect();
    assert!(!passes.is_empty());
    for (name, state) in passes {
        assert!(!state.to_string().contains("States."), "{name} computes");
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
        for needed in
            ["Lambda.ServiceException", "Lambda.Unknown", "Sandbox.Timedout", "Throttled", "ServiceUnavailable"]
        {
            assert!(retried.contains(&needed) || retried.contains(&"States.ALL"), "{name} does not repeat {needed}");
        }
    }
}

/// The path that a comparison says is present.
fn present(test: &Value) -> Option<String> {
    test["Variable"].as_str().filter(|_| test["IsPresent"] == true).map(str::to_owned)
}

/// The operands of a comparison that nothing says are present.
fn missing(test: &Value, known: &BTreeSet<String>) -> Vec<String> {
    if let Some(parts) = test["And"].as_array() {
        let mut known = known.clone();
        let look = |part| {
            let found = missing(part, &known);
            known.extend(present(part));
            found
        };
        return parts.iter().flat_map(look).collect();
    }
    if let Some(parts) = test["Or"].as_array() {
        return parts.iter().flat_map(|part| missing(part, known)).collect();
    }
    if test["Not"].is_object() {
        return missing(&test["Not"], known);
    }
    let fields = test.as_object().into_iter().flatten().filter(|_| !test["IsPresent"].is_boolean());
    let operands = fields.filter(|(name, _)| *name == "Variable" || name.ends_with("Path"));
    let paths = operands.filter_map(|(_, path)| path.as_str());
    paths.filter(|p| !known.contains(*p)).map(str::to_owned).collect()
}

/// The operands of a Choice that may be missing when they are checked; `known` are there.
fn unguarded(choice: &Value, mut known: BTreeSet<String>) -> Vec<String> {
    let look = |rule: &Value| {
        let found = missing(rule, &known);
        // Where the rule for what is missing did not match, it is there.
        known.extend(present(&rule["Not"]));
        found
    };
    choice["Choices"].as_array().into_iter().flatten().flat_map(look).collect()
}

/// On AWS a Choice on a path that is missing ends the execution at once, past every Catch and notification. No
/// engine here does that.
#[test]
fn no_choice_looks_at_what_may_be_missing() {
    let machine = machine();
    for (name, state) in states(&machine).filter(|(_, s)| s["Type"] == "Choice") {
        assert_eq!(unguarded(state, BTreeSet::new()), [""; 0], "{name}");
    }
}

/// A Wait on a path that is missing ends the execution as well: whoever leads to it has looked.
#[test]
fn no_wait_takes_what_may_be_missing() {
    let machine = machine();
    for (wait, path) in states(&machine).filter_map(|(name, s)| Some((name, s["SecondsPath"].as_str()?))) {
        for (name, state) in states(&machine) {
            for rule in state["Choices"].as_array().into_iter().flatten().filter(|rule| rule["Next"] == **wait) {
                let looked = rule["And"].as_array().into_iter().flatten().filter_map(present).any(|p| p == path);
                assert!(looked, "{name} leads to {wait} without a look at {path}");
            }
        }
    }
}

#[test]
fn a_look_at_what_may_be_missing_is_seen() {
    let time = json!({"Variable": "$.Input.time", "IsPresent": true});
    let compared = json!({"Variable": "$.Glue.Run.StartedOn", "TimestampLessThanPath": "$.Input.time"});
    let own = json!({"Variable": "$.Pick.Index", "IsPresent": false});
    let absent = json!({"Not": time, "Next": "X"});
    for (rules, expected) in [
        (json!([compared]), &["$.Input.time", "$.Glue.Run.StartedOn"][..]),
        (json!([{"And": [time, compared]}]), &["$.Glue.Run.StartedOn"]),
        // Too late, or in another rule.
        (json!([{"And": [compared, time]}]), &["$.Input.time", "$.Glue.Run.StartedOn"]),
        (json!([{"And": [time, own]}, compared]), &["$.Input.time", "$.Glue.Run.StartedOn"]),
        (json!([{"Or": [time, {"Not": compared}]}]), &["$.Input.time", "$.Glue.Run.StartedOn"]),
        (json!([absent, {"And": [own, compared]}]), &["$.Glue.Run.StartedOn"]),
        (json!([{"Not": {"Variable": "$.Input.DryRun", "IsBoolean": true}}]), &["$.Input.DryRun"]),
        (json!([own, time]), &[]),
    ] {
        let mut found = unguarded(&json!({"Choices": rules}), BTreeSet::new());
        found.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(found, expected, "{rules}");
    }
}

/// What passes by itself is repeated in the same way by every task that calls a function.
#[test]
fn every_task_that_calls_a_function_repeats_the_same() {
    let machine = machine();
    let calls = |s: &Value| s["Resource"].as_str().is_some_and(|r| r.ends_with(":lambda:invoke"));
    let tasks: Vec<_> = states(&machine).filter(|(_, s)| calls(s)).collect();
    assert_eq!(tasks.len(), 8);
    for (name, state) in &tasks {
        assert_eq!(
            (&state["Retry"][0], &state["Retry"][1]),
            (&tasks[0].1["Retry"][0], &tasks[0].1["Retry"][1]),
            "{name}"
        );
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
    let look = proc_runner::LOOK_LIMIT.as_secs();
    assert!(number("ProcRunner", "Timeout") > look + 2 * call, "a submit fits into its Lambda");
    let sweep = number("SweepSeconds", "MaxValue") + status_checker::SWEEP_CONFIRM.as_secs() + call;
    assert!(number("StatusChecker", "Timeout") > sweep, "a sweep fits into its Lambda");
    // A submit that was in flight: a cold start, a singleton's look, the submit with all its tries.
    assert!(number("SweepSeconds", "Default") >= 10 + look + call, "the sweep outlasts a submit in flight");
    for (state, function) in [
        ("Plan", "ProcRunner"),
        ("Submit", "ProcRunner"),
        ("Turn", "StatusChecker"),
        ("Gate", "StatusChecker"),
        ("JudgeStep", "StatusChecker"),
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
    let gate = u64::from(status_checker::GATE_LOOKS) * status_checker::GATE_PAUSE.as_secs();
    let step = u64::from(status_checker::STEP_LOOKS) * status_checker::STEP_PAUSE.as_secs();
    let first = status_checker::TURN_LIMIT.as_secs() + gate + number("EmrStepTimeoutSeconds", "MaxValue") + step + 3600;
    assert!(
        machine["TimeoutSeconds"].as_u64().expect("a time-out") > longest + first,
        "the machine outlasts all of it"
    );
}

#[test]
fn the_queue_is_known_by_its_states() {
    let machine = machine();
    for state in status_checker::TURN_STATES {
        assert!(machine["States"][state].is_object(), "{state}");
    }
    assert_eq!(machine["States"]["WaitForTurn"]["Next"], "Turn");
}

/// An execution whose history reaches 25,000 events dies, and cannot be redriven. What one procedure may take,
/// proc-runner checks.
#[test]
fn the_default_bounds_fit_into_a_history() {
    let timeout = Duration::from_secs(number("StatementTimeoutSeconds", "Default"));
    // BackOff and Next have two events each.
    let procedure = number("MaxAttempts", "Default") * (polling::events(timeout) + 4);
    assert!(2 * procedure <= proc_runner::MOST_EVENTS, "the default list is taken");
    // Everything else at its longest. A look at the gate has 9 events, one at a step that is to end 21: a task for
    // the list, for the judgement and for the cancel (5 each), two choices or waits (2 each), with room.
    let turn = polling::events_of_turn(status_checker::TURN_LIMIT);
    let gate = u64::from(status_checker::GATE_LOOKS) * 9;
    let step = u64::from(status_checker::STEP_LOOKS) * 21;
    // A cancelled statement is checked every 2 s where the long polls are refused, by 9 events a look.
    let grace = number("CancelGraceSeconds", "Default") / polling::wait_after_cancel().as_secs() * 9;
    let rest = turn + gate + step + grace;
    assert!(proc_runner::MOST_EVENTS + rest + 500 < 25_000, "{rest} events besides the procedures, and repetitions");
}

/// AWS takes a backslash in an intrinsic function only before what it escapes. The local engines take any.
/// [aws-cdk#27304; Amazon States Language, "Intrinsic functions"]
#[test]
fn intrinsic_functions_escape_only_what_has_to_be() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.starts_with("States.") => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Object(fields) => fields.values().for_each(|field| walk(field, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&machine(), &mut found);
    assert!(found.len() >= 2);
    for function in found {
        let escaped = function.split('\\').skip(1).map(|rest| rest.chars().next());
        for character in escaped {
            assert!(matches!(character, Some('\'' | '{' | '}' | '\\')), "\\{character:?} in {function}");
        }
    }
}

/// What the template and the reference say of the bounds is so.
#[test]
fn the_documented_bounds_are_planned() {
    let fits = |hours: u64, attempts: u64| {
        let attempt = polling::events(Duration::from_secs(hours * 3600)) + 4;
        2 * attempts * attempt <= proc_runner::MOST_EVENTS
    };
    assert!(fits(8, 3) && fits(24, 1) && !fits(24, 2) && !fits(12, 3));
}

/// Filter policies choose by them. MiniStack drops them, so no suite sees them arrive.
#[test]
fn a_failure_has_its_attributes_wherever_it_is_sent() {
    let machine = machine();
    let sent = states(&machine).filter(|(_, s)| s["Resource"].as_str().is_some_and(|r| r.ends_with("sns:publish")));
    let sent: Vec<_> = sent.collect();
    assert_eq!(sent.len(), 3);
    for (name, state) in sent {
        let attributes = state["Parameters"]["MessageAttributes"].as_object().expect("attributes");
        assert_eq!(attributes.keys().collect::<Vec<_>>(), ["event", "severity", "error", "procedure"], "{name}");
        assert!(attributes.values().all(|attribute| attribute["DataType"] == "String"), "{name}");
        assert_eq!(attributes["event"]["StringValue"], "load_failed", "{name}");
    }
}

/// One source for what a notification advises and what the operator's page lists.
#[test]
fn the_operators_page_says_what_to_do_as_notifications_do() {
    let page = std::fs::read_to_string(project("docs/OPERATING.md")).expect("a page");
    let rows: String =
        shared::advice::ADVICE.iter().map(|(name, advice)| format!("| `{name}` | {advice} |\n")).collect();
    let table = format!("| Error | What to do |\n|---|---|\n{rows}");
    assert!(page.contains(&table), "docs/OPERATING.md has to show this:\n{table}");
    let refusals = status_checker::Refusal::ALL.iter().map(|refusal| refusal.name());
    for name in refusals {
        assert!(shared::advice::advice(name).is_some(), "nobody says what to do about {name}");
    }
}

#[test]
fn the_reference_documents_every_name() {
    let reference = std::fs::read_to_string(project("docs/REFERENCE.md")).expect("a reference");
    let failures = shared::FailureKind::ALL.iter().map(|k| k.name());
    let refusals = status_checker::Refusal::ALL.iter().map(|r| r.name());
    for name in ErrorKind::ALL.iter().map(|kind| kind.name()).chain(refusals).chain(failures) {
        assert!(reference.contains(&format!("`{name}`")), "docs/REFERENCE.md does not know {name}");
    }
}

/// Where a state may go to, and where it goes if it fails.
fn edges(state: &Value) -> (Vec<String>, Vec<String>) {
    let next = |of: &Value| of["Next"].as_str().map(str::to_owned);
    let all = |list: &Value| list.as_array().into_iter().flatten().filter_map(next).collect::<Vec<_>>();
    let mut to = all(&state["Choices"]);
    to.extend(state["Default"].as_str().map(str::to_owned));
    to.extend(next(state));
    to.extend((state["End"] == true).then(|| "Succeeded".to_owned()));
    (to, all(&state["Catch"]))
}

/// The states that do something, reached from `from` through those that only choose, wait or write.
fn reached(machine: &Value, from: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in from {
        let kind = machine["States"][name]["Type"].as_str().unwrap_or("End");
        let targets = match kind {
            "Choice" | "Wait" | "Pass" => reached(machine, &edges(&machine["States"][name]).0),
            _ => vec![name.clone()],
        };
        found.extend(targets.into_iter().filter(|target| !found.contains(target)).collect::<Vec<_>>());
    }
    found
}

/// The state machine as a Mermaid flowchart: what a task leads to, dotted where that handles a failure.
fn flowchart(machine: &Value) -> String {
    const OF_FAILURES: [&str; 7] =
        ["CancelWhatRuns", "NotifyFailure", "NotifyInShort", "NotifyChat", "Failed", "FindStep", "ComposeFailure"];
    let mut text = "flowchart TD\n".to_owned();
    let mut order = vec![machine["StartAt"].as_str().expect("a first state").to_owned()];
    let mut at = 0;
    while let Some(name) = order.get(at).cloned() {
        at += 1;
        let (next, caught) = edges(&machine["States"][&name]);
        let mut targets = reached(machine, &next);
        targets.extend(reached(machine, &caught));
        targets.retain(|target| *target != name);
        let (dotted, solid): (Vec<_>, Vec<_>) = targets.into_iter().partition(|t| OF_FAILURES.contains(&t.as_str()));
        for (arrow, mut targets) in [("-->", solid), ("-.->", dotted)] {
            let mut seen = std::collections::HashSet::new();
            targets.retain(|target| seen.insert(target.clone()));
            if !targets.is_empty() {
                text.push_str(&format!("    {name} {arrow} {}\n", targets.join(" & ")));
            }
            order.extend(targets.into_iter().filter(|target| !order.contains(target)).collect::<Vec<_>>());
        }
    }
    text
}

#[test]
fn the_readme_shows_the_state_machine() {
    let readme = std::fs::read_to_string(project("README.md")).expect("a README");
    let chart = format!("```mermaid\n{}```\n", flowchart(&machine()));
    assert!(readme.contains(&chart), "README.md has to show this:\n{chart}");
    assert!(readme.lines().count() <= 130, "what is more belongs into docs/");
}

/// Links between our documents lead to files, and to headings that are there.
#[test]
fn the_documents_links_lead_somewhere() {
    let heading = |line: &str| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        kept.replace(' ', "-")
    };
    let mut seen = 0;
    for document in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/ARCHITECTURE.md",
        "docs/BENCHMARKS.md",
        "docs/LOCAL.md",
        "docs/OPERATING.md",
        "docs/REFERENCE.md",
        "docs/AUDITS.md",
        "infra/redshift-data-local/README.md",
        "infra/sql/README.md",
        "functions/proc-runner/README.md",
        "functions/status-checker/README.md",
        "functions/orders-audit-fn/README.md",
    ] {
        let path = project(document);
        let text = std::fs::read_to_string(&path).expect(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.starts_with("http") || link.contains(char::is_whitespace) {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().expect("a folder").join(file) };
            assert!(target.exists(), "{document}: {link}");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).expect("a document");
                let found = text.lines().any(|line| line.starts_with('#') && heading(line) == anchor);
                assert!(found, "{document}: {link}: there is no such heading");
            }
        }
    }
    assert!(seen > 30, "{seen}");
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

/// The map of the code names files and folders that exist.
#[test]
fn the_map_of_the_code_leads_to_files() {
    let text = std::fs::read_to_string(project("docs/ARCHITECTURE.md")).expect("the architecture");
    let (_, map) = text.split_once("## Where to change what").expect("the map");
    let named = map.split('`').skip(1).step_by(2).filter(|name| name.contains('/'));
    let paths: Vec<_> = named.map(|name| (name, project(name).exists())).collect();
    assert!(paths.len() > 10 && paths.iter().all(|(_, exists)| *exists), "{paths:?}");
}
