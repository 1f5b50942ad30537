//! The scripted answers of the functions, and the paths that they lead to.

use super::*;

pub(crate) const RUNNER: &str = "proc-runner";

pub(crate) const CHECKER: &str = "status-checker";

pub(crate) const AUDIT: &str = "orders-audit-fn";

/// A scenario and its expected end: the error, or nothing for success.
pub(crate) struct Path {
    pub(crate) scenario: Scenario,
    pub(crate) error: Option<&'static str>,
    /// States that must have been entered, in this order, perhaps with others between them.
    pub(crate) through: Vec<&'static str>,
}

/// The plan of the default list, of two procedures; `{name}` becomes the execution's name.
pub(crate) fn planned(count: usize) -> Value {
    let list: Vec<_> = (0..count).map(|n| json!({"Procedure": format!("dev.p{n}")})).collect();
    json!({"Procedures": list, "Cursor": {"Step": 0, "Attempt": 1, "Count": count}, "Turn": {"Interchangeable": true},
           "Statement": {"Payload": {"Id": "none", "Procedure": "none"}}, "Answer": {"Payload": {"Context": {}}},
           "Cleanup": {"Cause": "nothing"}})
}

/// The plan with a gate, or with an EMR step, before the list.
pub(crate) fn planned_with(gate: bool, step: bool) -> Reply {
    let mut plan = planned(2);
    let fields = plan.as_object_mut().expect("an object");
    if gate {
        fields.insert("Gate".into(), json!({"WorkflowName": "w", "Trigger": {"WorkflowRunId": "wr_1"}}));
    }
    if step {
        // The cluster's name is what the scripted EMR knows the execution by.
        let step = json!({"ClusterId": "{name}", "Arguments": ["spark-submit", "s3://b/x.py"], "TimeoutSeconds": 60});
        fields.insert("EmrStep".into(), step);
    }
    Give(plan)
}

/// An answer to one of the questions before a load.
pub(crate) fn says(status: &str) -> Reply {
    Give(json!({"Status": status, "WaitSeconds": 0, "Context": {}}))
}

pub(crate) fn refuses(error: &str) -> Reply {
    Give(json!({"Status": "REFUSED", "WaitSeconds": 0, "Error": error, "Cause": "why \"not\"", "Context": {}}))
}

pub(crate) fn ready() -> Reply {
    says("READY")
}

/// A statement as the functions report it.
pub(crate) fn statement(status: &str) -> Value {
    json!({"Id": "{name}", "Status": status, "WaitSeconds": 0, "ElapsedSeconds": 0, "Attempt": 1, "MaxAttempts": 3,
           "TimeoutSeconds": 60, "Procedure": "dev.p", "StatementName": "m/{name}/0/1"})
}

/// With what is to be submitted next.
pub(crate) fn then(mut statement: Value, step: usize, attempt: u32) -> Value {
    statement["Next"] = json!({"Step": step, "Attempt": attempt, "Count": 2});
    statement
}

pub(crate) fn ended(status: &str, error: &str) -> Value {
    let mut statement = statement(status);
    let fields = statement.as_object_mut().expect("an object");
    fields.insert("Error".into(), json!(error));
    fields.insert("Cause".into(), json!("ERROR: \"quoted\" {braces} and\nlines"));
    fields.insert("RetryAfterSeconds".into(), json!(0));
    statement
}

/// A failure that may pass, of the first procedure.
pub(crate) fn conflict(status: &str, error: &str, attempt: u32) -> Reply {
    Give(then(ended(status, error), 0, attempt + 1))
}

/// The first procedure has FINISHED, and another is to come.
pub(crate) fn first() -> Reply {
    Give(then(statement("FINISHED"), 1, 1))
}

/// The last has FINISHED.
pub(crate) fn last() -> Reply {
    Give(statement("FINISHED"))
}

pub(crate) fn notified() -> Reply {
    Give(json!({"UnresolvedRuns": 1, "Notified": 1, "Failed": 0}))
}

pub(crate) fn cancelled() -> Reply {
    Give(json!({"Cancelled": [], "StillRunning": [], "Text": "Nothing was left running."}))
}

pub(crate) fn path(
    name: impl Into<String>,
    answers: &[(&'static str, Vec<Reply>)],
    error: Option<&'static str>,
    through: &[&'static str],
) -> Path {
    let answers: HashMap<_, _> = answers.iter().cloned().collect();
    let scenario =
        Scenario { name: name.into(), input: json!({}), answers, topic: true, only_moto: false, hurried: None };
    Path { scenario, error, through: through.to_vec() }
}

pub(crate) fn with_input(mut path: Path, input: Value) -> Path {
    path.scenario.input = input;
    path
}

/// The plan, then these.
pub(crate) fn plan_and(submits: Vec<Reply>) -> (&'static str, Vec<Reply>) {
    (RUNNER, [vec![Give(planned(2))], submits].concat())
}

/// The turn, then these.
pub(crate) fn turn_and(checks: Vec<Reply>) -> (&'static str, Vec<Reply>) {
    (CHECKER, [vec![ready()], checks].concat())
}

/// The default list, going well from the second procedure on.
pub(crate) fn cured(name: impl Into<String>, first: Vec<Reply>, checks: Vec<Reply>, through: &[&'static str]) -> Path {
    let submits = [first, vec![last()]].concat();
    path(name, &[plan_and(submits), turn_and(checks), (AUDIT, vec![notified()])], None, through)
}

/// The default list, failing at the first procedure.
pub(crate) fn fails(
    name: impl Into<String>,
    submits: Vec<Reply>,
    checks: Vec<Reply>,
    error: &'static str,
    through: &[&'static str],
) -> Path {
    let checks = [checks, vec![cancelled()]].concat();
    path(name, &[plan_and(submits), turn_and(checks)], Some(error), through)
}

pub(crate) const OUT: [&str; 3] = ["CancelWhatRuns", "NotifyFailure", "Failed"];
