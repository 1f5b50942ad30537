//! Histories as Step Functions records them, and what is read from them.

use serde_json::{Value, json};

use super::{Execution, Phase};
use crate::moment::Moment;

const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:redshift-loader-loader:run-1";

/// So many seconds after the start, as boto3's time is written.
fn at(seconds: f64) -> String {
    format!("2026-11-26 11:{:02}:{:09.6}+00:00", (seconds / 60.0) as u32, seconds % 60.0)
}

fn described(status: &str, end: Option<f64>, more: Value) -> Value {
    let mut described = json!({"executionArn": ARN, "name": "run-1", "status": status, "startDate": at(0.0)});
    if let (Some(end), Value::Object(described)) = (end, &mut described) {
        described.insert("stopDate".to_owned(), json!(at(end)));
    }
    if let (Value::Object(described), Value::Object(more)) = (&mut described, more) {
        described.extend(more);
    }
    described
}

fn entered(seconds: f64, kind: &str, state: &str) -> Value {
    json!({
        "timestamp": at(seconds), "type": format!("{kind}StateEntered"),
        "stateEnteredEventDetails": {"name": state, "input": "{}"},
    })
}

fn exited(seconds: f64, kind: &str, state: &str, output: &Value) -> Value {
    json!({
        "timestamp": at(seconds), "type": format!("{kind}StateExited"),
        "stateExitedEventDetails": {"name": state, "output": output.to_string()},
    })
}

fn event(seconds: f64, of: &str, details: &str, error: &str) -> Value {
    json!({"timestamp": at(seconds), "type": of, details: {"resourceType": "lambda", "error": error, "cause": "why"}})
}

/// A state from when to when, with its output.
fn stay(from: f64, to: f64, kind: &str, state: &str, output: &Value) -> [Value; 2] {
    [entered(from, kind, state), exited(to, kind, state, output)]
}

fn answer(id: &str, step: u64, attempt: u64, status: &str, created: f64, more: Value) -> Value {
    let procedure = if step == 0 { "dev.enriched_orders_sp" } else { "dev.audit_orders_sp" };
    let mut payload = json!({
        "Id": id, "Procedure": procedure, "Step": step, "Attempt": attempt,
        "Status": status, "CreatedAt": at(created).replacen(' ', "T", 1).replace("+00:00", "Z"), "WaitSeconds": 1,
    });
    if let (Value::Object(payload), Value::Object(more)) = (&mut payload, more) {
        payload.extend(more);
    }
    json!({"Statement": {"Payload": payload}})
}

fn read(described: &Value, events: &[Value], now: f64) -> Execution {
    Execution::read(described, events, Moment::parse(&at(now)).expect("a moment")).expect("an execution")
}

/// The phases that took time, in tenths of a second.
fn spent(execution: &Execution) -> Vec<(&'static str, i64)> {
    let each = execution.phases.each().into_iter().map(|(name, seconds)| (name, (seconds * 10.0).round() as i64));
    let sum: f64 = execution.phases.each().iter().map(|(_, seconds)| seconds).sum();
    assert!((sum - execution.seconds).abs() < 0.001, "they add up");
    each.filter(|(_, tenths)| *tenths != 0).collect()
}

fn statements(execution: &Execution) -> Vec<(&str, u64, u64, &str, Option<f64>)> {
    let each = execution.statements.iter();
    each.map(|s| (s.id.as_str(), s.step, s.attempt, s.status.as_str(), s.seconds)).collect()
}

fn before() -> Vec<Value> {
    let planned = json!({"Statement": {"Payload": {"Id": "none", "Procedure": "none"}}});
    let turn = json!({"Answer": {"Payload": {"Status": "READY"}}});
    [stay(0.5, 1.0, "Task", "Plan", &planned), stay(1.0, 3.0, "Task", "Turn", &turn)].concat()
}

#[test]
fn two_procedures_that_succeed() {
    let nothing = json!({});
    let running = answer("one", 0, 1, "STARTED", 3.2, json!({}));
    let first =
        answer("one", 0, 1, "FINISHED", 3.2, json!({"DurationSeconds": 60.5, "RedshiftQueryId": 7, "ResultRows": -1}));
    let second = answer("two", 1, 1, "FINISHED", 70.5, json!({"DurationSeconds": 1.0}));
    let events = [
        before(),
        stay(3.0, 8.0, "Task", "Submit", &running).into(),
        stay(8.0, 8.0, "Choice", "HasEnded", &running).into(),
        stay(8.0, 40.0, "Wait", "Wait", &running).into(),
        stay(40.0, 70.0, "Task", "Check", &first).into(),
        stay(70.0, 72.0, "Task", "Submit", &second).into(),
        stay(72.0, 75.0, "Task", "Notify", &nothing).into(),
    ]
    .concat();
    let output = json!({"output": json!({"UnresolvedRuns": 4, "Notified": 2}).to_string()});
    let execution = read(&described("SUCCEEDED", Some(75.0), output), &events, 500.0);
    assert!(execution.summary.has_succeeded() && execution.current().is_none());
    assert_eq!((execution.seconds, execution.unresolved_runs, execution.notified), (75.0, Some(4), Some(2)));
    let names: Vec<_> = execution.states.iter().map(|visit| visit.state.as_str()).collect();
    assert_eq!(names, ["Plan", "Turn", "Submit", "HasEnded", "Wait", "Check", "Submit", "Notify"]);
    assert!(!execution.states.iter().any(|visit| visit.failed));
    assert_eq!(statements(&execution), [("one", 0, 1, "FINISHED", Some(60.5)), ("two", 1, 1, "FINISHED", Some(1.0))]);
    let one = &execution.statements[0];
    assert_eq!((one.redshift_query_id, one.result_rows), (Some(7), Some(-1)));
    assert_eq!(one.ended_at.map(|at| at.to_string()).as_deref(), Some("2026-11-26 11:01:10"));
    assert_eq!(
        spent(&execution),
        [("plan", 5), ("turn", 20), ("submit", 7), ("waiting", 68), ("warehouse", 615), ("notify", 30), ("other", 5)]
    );
}

#[test]
fn a_new_attempt_after_a_failure() {
    let deadlock = json!({"DurationSeconds": 2.0, "Error": "Deadlock", "Cause": "ERROR: deadlock detected"});
    let failed = answer("one", 0, 1, "FAILED", 3.5, deadlock);
    let finished = answer("two", 0, 2, "FINISHED", 16.5, json!({"DurationSeconds": 3.0}));
    let events = [
        before(),
        stay(3.0, 6.0, "Task", "Submit", &failed).into(),
        stay(6.0, 16.0, "Wait", "BackOff", &failed).into(),
        // The function was throttled once, and answered then.
        vec![
            entered(16.0, "Task", "Submit"),
            event(16.1, "TaskFailed", "taskFailedEventDetails", "Throttled"),
            json!({"timestamp": at(16.4), "type": "TaskSucceeded", "taskSucceededEventDetails": {}}),
            exited(20.0, "Task", "Submit", &finished),
        ],
        stay(20.0, 21.0, "Task", "Notify", &json!({})).into(),
    ]
    .concat();
    let execution = read(&described("SUCCEEDED", Some(21.0), json!({})), &events, 21.0);
    assert_eq!(statements(&execution), [("one", 0, 1, "FAILED", Some(2.0)), ("two", 0, 2, "FINISHED", Some(3.0))]);
    assert_eq!(execution.statements[0].error.as_deref(), Some("Deadlock"));
    let submits: Vec<_> = execution.states.iter().filter(|visit| visit.state == "Submit").collect();
    assert_eq!((submits[0].failed, submits[0].error.as_deref()), (true, Some("Deadlock")), "its answer is an error");
    assert_eq!((submits[1].failed, submits[1].failed_tries), (false, 1), "it succeeded in the end");
    assert_eq!(
        spent(&execution),
        [("plan", 5), ("turn", 20), ("submit", 10), ("waiting", 110), ("warehouse", 50), ("notify", 10), ("other", 5)]
    );
}

#[test]
fn a_failure_that_is_notified() {
    let handed_on = json!({"Statement": {"Payload": {"Id": "none", "Procedure": "none"}}});
    let events = [
        before(),
        vec![
            entered(3.0, "Task", "Submit"),
            event(5.0, "TaskTimedOut", "taskTimedOutEventDetails", "States.Timeout"),
            exited(5.0, "Task", "Submit", &handed_on),
        ],
        stay(5.0, 6.0, "Task", "CancelWhatRuns", &handed_on).into(),
        stay(6.0, 7.0, "Task", "NotifyFailure", &handed_on).into(),
        vec![
            entered(7.0, "Fail", "Failed"),
            event(7.0, "ExecutionFailed", "executionFailedEventDetails", "States.Timeout"),
        ],
    ]
    .concat();
    let more = json!({"error": "States.Timeout", "cause": ""});
    let execution = read(&described("FAILED", Some(7.0), more), &events, 500.0);
    assert_eq!((execution.error.as_deref(), execution.statements.len()), (Some("States.Timeout"), 0));
    let failed: Vec<_> = execution.states.iter().filter(|visit| visit.failed).map(|v| v.state.as_str()).collect();
    assert_eq!(failed, ["Submit", "Failed"]);
    assert!(execution.current().is_none(), "it ended in its last state");
    assert_eq!(spent(&execution), [("plan", 5), ("turn", 20), ("submit", 20), ("cleanup", 20), ("other", 5)]);
}

#[test]
fn one_that_runs() {
    let running = answer("one", 0, 1, "STARTED", 3.5, json!({}));
    let events =
        [before(), stay(3.0, 8.0, "Task", "Submit", &running).into(), vec![entered(8.0, "Wait", "Wait")]].concat();
    let execution = read(&described("RUNNING", None, json!({})), &events, 30.0);
    let current = execution.current().expect("a state");
    assert_eq!((current.state.as_str(), current.phase, current.seconds), ("Wait", Phase::Procedures, 22.0));
    assert_eq!((execution.seconds, execution.summary.ended), (30.0, None));
    assert_eq!(statements(&execution), [("one", 0, 1, "STARTED", None)]);
    assert_eq!(spent(&execution), [("plan", 5), ("turn", 20), ("submit", 5), ("warehouse", 265), ("other", 5)]);
    // Step Functions' clock is ahead of ours.
    assert_eq!(read(&described("RUNNING", None, json!({})), &events, 7.0).seconds, 8.0);
}

#[test]
fn one_that_was_stopped_or_covered_or_just_started() {
    let turn = [before(), vec![entered(3.0, "Wait", "WaitForTurn")]].concat();
    let stopped = read(&described("ABORTED", Some(9.0), json!({})), &turn, 500.0);
    assert_eq!((stopped.states[2].seconds, stopped.states[2].failed), (6.0, true));
    assert_eq!(spent(&stopped), [("plan", 5), ("turn", 80), ("other", 5)]);
    let covered = json!({"output": "{\"Status\": \"COVERED\", \"CoveredBy\": \"other\"}"});
    let covered = read(&described("SUCCEEDED", Some(3.0), covered), &before(), 500.0);
    assert_eq!(covered.covered_by.as_deref(), Some("other"));
    let started = read(&described("RUNNING", None, json!({})), &[], 2.0);
    assert_eq!((started.seconds, started.states.len(), spent(&started)), (2.0, 0, vec![("other", 20)]));
    let error = Execution::read(&json!({"executionArn": ARN}), &[], Moment::now()).expect_err("nothing of it");
    assert!(error.to_string().contains("no status"), "{error}");
}

#[test]
fn it_is_written_as_json() {
    let execution = read(&described("FAILED", Some(3.0), json!({"error": "InvalidInput"})), &before(), 3.0);
    let json = serde_json::to_value(&execution).expect("JSON");
    assert_eq!(
        (&json["arn"], &json["status"], &json["error"]),
        (&json!(ARN), &json!("FAILED"), &json!("InvalidInput"))
    );
    assert_eq!(json["started"], "2026-11-26T11:00:00Z");
    assert_eq!((&json["states"][1]["phase"], &json["phases"]["turn"]), (&json!("turn"), &json!(2.0)));
}
