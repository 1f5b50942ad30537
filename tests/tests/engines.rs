//! Every path of the state machine, on both engines, with scripted answers. Each scenario says how the
//! execution ends; the engines must agree in the order of states, the payloads, the status, Error and
//! Cause.

use std::collections::{BTreeSet, HashMap};
use std::process::ExitCode;

use futures_util::{StreamExt, stream};
use loader::tools::project;
use serde_json::{Value, json};
use shared::{ErrorKind, FailureKind};
use tests::engines::Reply::{self, Fail, Give, Late};
use tests::engines::{Engines, Played, Scenario};
use tests::{Outcome, failed, run, tests};

const RUNNER: &str = "proc-runner";
const CHECKER: &str = "status-checker";
const AUDIT: &str = "orders-audit-fn";
/// So many scenarios run at once: more would only wait for the machine's two cores, and time out.
const AT_ONCE: usize = 12;

/// A scenario and its expected end: the error, or nothing for success.
struct Path {
    scenario: Scenario,
    error: Option<&'static str>,
    /// States that must have been entered, in this order, perhaps with others between them.
    through: Vec<&'static str>,
}

/// The plan of the default list, of two procedures; `{name}` becomes the execution's name.
fn planned(count: usize) -> Value {
    let list: Vec<_> = (0..count).map(|n| json!({"Procedure": format!("dev.p{n}")})).collect();
    json!({"Procedures": list, "Cursor": {"Step": 0, "Attempt": 1, "Count": count}, "Turn": {"Interchangeable": true},
           "Statement": {"Payload": {"Id": "none", "Procedure": "none"}}, "Reply": {"Payload": {"Context": {}}},
           "Cleanup": {"Cause": "nothing"}})
}

/// The plan with a gate, or with an EMR step, before the list.
fn planned_with(gate: bool, step: bool) -> Reply {
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
fn says(status: &str) -> Reply {
    Give(json!({"Status": status, "WaitSeconds": 0, "Context": {}}))
}

fn refuses(error: &str) -> Reply {
    Give(json!({"Status": "REFUSED", "WaitSeconds": 0, "Error": error, "Cause": "why \"not\"", "Context": {}}))
}

fn ready() -> Reply {
    says("READY")
}

/// A statement as the functions report it.
fn statement(status: &str) -> Value {
    json!({"Id": "{name}", "Status": status, "WaitSeconds": 0, "ElapsedSeconds": 0, "Attempt": 1, "MaxAttempts": 3,
           "TimeoutSeconds": 60, "Procedure": "dev.p", "StatementName": "m/{name}/0/1"})
}

/// With what is to be submitted next.
fn then(mut statement: Value, step: usize, attempt: u32) -> Value {
    statement["Next"] = json!({"Step": step, "Attempt": attempt, "Count": 2});
    statement
}

fn ended(status: &str, error: &str) -> Value {
    let mut statement = statement(status);
    let fields = statement.as_object_mut().expect("an object");
    fields.insert("Error".into(), json!(error));
    fields.insert("Cause".into(), json!("ERROR: \"quoted\" {braces} and\nlines"));
    fields.insert("RetryAfterSeconds".into(), json!(0));
    statement
}

/// A failure that may pass, of the first procedure.
fn conflict(status: &str, error: &str, attempt: u32) -> Reply {
    Give(then(ended(status, error), 0, attempt + 1))
}

/// The first procedure has FINISHED, and another is to come.
fn first() -> Reply {
    Give(then(statement("FINISHED"), 1, 1))
}

/// The last has FINISHED.
fn last() -> Reply {
    Give(statement("FINISHED"))
}

fn notified() -> Reply {
    Give(json!({"UnresolvedRuns": 1, "Notified": 1, "Failed": 0}))
}

fn cancelled() -> Reply {
    Give(json!({"Cancelled": [], "StillRunning": [], "Text": "Nothing was left running."}))
}

fn path(
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

fn with_input(mut path: Path, input: Value) -> Path {
    path.scenario.input = input;
    path
}

/// The plan, then these.
fn plan_and(submits: Vec<Reply>) -> (&'static str, Vec<Reply>) {
    (RUNNER, [vec![Give(planned(2))], submits].concat())
}

/// The turn, then these.
fn turn_and(checks: Vec<Reply>) -> (&'static str, Vec<Reply>) {
    (CHECKER, [vec![ready()], checks].concat())
}

/// The default list, going well from the second procedure on.
fn cured(name: impl Into<String>, first: Vec<Reply>, checks: Vec<Reply>, through: &[&'static str]) -> Path {
    let submits = [first, vec![last()]].concat();
    path(name, &[plan_and(submits), turn_and(checks), (AUDIT, vec![notified()])], None, through)
}

/// The default list, failing at the first procedure.
fn fails(
    name: impl Into<String>,
    submits: Vec<Reply>,
    checks: Vec<Reply>,
    error: &'static str,
    through: &[&'static str],
) -> Path {
    let checks = [checks, vec![cancelled()]].concat();
    path(name, &[plan_and(submits), turn_and(checks)], Some(error), through)
}

const OUT: [&str; 3] = ["CancelWhatRuns", "NotifyFailure", "Failed"];

fn statuses() -> Vec<Path> {
    let give = |s| Give(statement(s));
    let mut all = vec![
        cured(
            "at-once",
            vec![first()],
            vec![],
            &["Plan", "IsDryRun", "Turn", "HasTurn", "Submit", "HasEnded", "Next", "Submit", "HasEnded", "Notify"],
        ),
        cured(
            "through-every-status",
            vec![give("SUBMITTED")],
            vec![give("PICKED"), give("STARTED"), give("STARTED"), first()],
            &[
                "Submit", "HasEnded", "Wait", "Check", "HasEnded", "Wait", "Check", "Wait", "Check", "Wait", "Check",
                "Next",
            ],
        ),
        cured(
            "conflict-then-well",
            vec![conflict("FAILED", "SerializationConflict", 1), first()],
            vec![],
            &["Submit", "HasEnded", "BackOff", "Next", "Submit", "HasEnded", "Next"],
        ),
        cured(
            "conflict-seen-by-a-check",
            vec![give("STARTED"), first()],
            vec![conflict("ABORTED", "AbortedBySystem", 1)],
            &["Submit", "Wait", "Check", "HasEnded", "BackOff", "Next", "Submit"],
        ),
        fails(
            "attempts-used-up",
            vec![
                conflict("FAILED", "Deadlock", 1),
                conflict("FAILED", "Deadlock", 2),
                Give(ended("FAILED", "Deadlock")),
            ],
            vec![],
            "Deadlock",
            &["BackOff", "Next", "BackOff", "Next", "Submit", "StatementFailed", OUT[0], OUT[1], OUT[2]],
        ),
        fails(
            "unknown-status",
            vec![give("HIBERNATING")],
            vec![],
            "UnknownStatus",
            &["HasEnded", "UnknownAnswer", OUT[0], OUT[2]],
        ),
        fails(
            "unknown-status-at-a-check",
            vec![give("STARTED")],
            vec![give("ALL")],
            "UnknownStatus",
            &["Check", "UnknownAnswer"],
        ),
        fails(
            "no-status-at-all",
            vec![Give(json!({"Id": "{name}", "Procedure": "dev.p"}))],
            vec![],
            "UnknownStatus",
            &["UnknownAnswer"],
        ),
        fails("an-empty-answer", vec![Give(json!({}))], vec![], "UnknownStatus", &["UnknownAnswer", OUT[0], OUT[2]]),
        fails(
            "past-its-time",
            vec![give("STARTED")],
            vec![give("STARTED"), Give(ended("ABORTED", "StatementTimedOut"))],
            "StatementTimedOut",
            &["Check", "Wait", "Check", "StatementFailed", OUT[1]],
        ),
        fails(
            "cancel-not-confirmed",
            vec![give("STARTED")],
            vec![Give(ended("STARTED", "CancelNotConfirmed"))],
            "CancelNotConfirmed",
            &["Check", "StatementFailed", OUT[0]],
        ),
    ];
    for kind in FailureKind::ALL.iter().filter(|k| !k.is_retryable()) {
        let status = if kind.name().contains("Abort") { "ABORTED" } else { "FAILED" };
        let submits = vec![Give(ended(status, kind.name()))];
        let name = format!("submit-ends-{}", kind.name());
        all.push(fails(name, submits, vec![], kind.name(), &["StatementFailed", OUT[2]]));
    }
    all
}

/// Every name that a function fails with, at every task that calls one.
fn errors() -> Vec<Path> {
    // The retries of Throttled, used up: one try and 8 more. First, because it takes the longest.
    let mut all =
        vec![fails("throttled-for-ever", vec![Fail("Throttled"); 9], vec![], "Throttled", &["Submit", OUT[0], OUT[2]])];
    for name in ErrorKind::ALL.iter().map(|kind| kind.name()) {
        let fail = || Fail(name);
        let well = |answers: &[(&'static str, Vec<Reply>)], task| {
            path(format!("{task}-fails-once-{name}"), answers, None, &[task])
        };
        let badly = |answers: &[(&'static str, Vec<Reply>)], task, through: &[&'static str]| {
            path(format!("{task}-fails-{name}"), answers, Some(name), &[&[task], through].concat())
        };
        let audit = || (AUDIT, vec![notified()]);
        all.push(if repeats("Plan", name) {
            let plan = (RUNNER, vec![fail(), Give(planned(2)), first(), last()]);
            well(&[plan, turn_and(vec![]), audit()], "Plan")
        } else {
            badly(&[(RUNNER, vec![fail()])], "Plan", &["NotPlanned", OUT[1], OUT[2]])
        });
        let submits = || plan_and(vec![first(), last()]);
        all.push(if repeats("Turn", name) {
            well(&[submits(), (CHECKER, vec![fail(), ready()]), audit()], "Turn")
        } else {
            badly(&[plan_and(vec![]), (CHECKER, vec![fail()])], "Turn", &OUT[1..])
        });
        let gated = |submits: Vec<Reply>| (RUNNER, [vec![planned_with(true, false)], submits].concat());
        all.push(if repeats("Gate", name) {
            well(&[gated(vec![first(), last()]), turn_and(vec![fail(), ready()]), audit()], "Gate")
        } else {
            badly(&[gated(vec![]), turn_and(vec![fail()])], "Gate", &OUT[1..])
        });
        all.push(if repeats("Submit", name) {
            well(&[plan_and(vec![fail(), first(), last()]), turn_and(vec![]), audit()], "Submit")
        } else {
            badly(&[plan_and(vec![fail()]), turn_and(vec![cancelled()])], "Submit", &OUT)
        });
        let started = || Give(statement("STARTED"));
        all.push(if repeats("Check", name) {
            well(&[plan_and(vec![started(), last()]), turn_and(vec![fail(), first()]), audit()], "Check")
        } else {
            badly(&[plan_and(vec![started()]), turn_and(vec![fail(), cancelled()])], "Check", &OUT)
        });
        all.push(if repeats("Notify", name) {
            well(&[submits(), turn_and(vec![]), (AUDIT, vec![fail(), notified()])], "Notify")
        } else {
            badly(&[submits(), turn_and(vec![cancelled()]), (AUDIT, vec![fail()])], "Notify", &OUT)
        });
    }
    all
}

/// What every task repeats: what Lambda lost, and what passes by itself. [domain knowledge, not read from
/// the definition: this is what it is held against]
const EVERYWHERE: [&str; 12] = [
    "States.Timeout",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "Runtime.Unknown",
    "Throttled",
    "ServiceUnavailable",
];

/// Whether a state is to repeat an error.
fn repeats(state: &str, error: &str) -> bool {
    EVERYWHERE.contains(&error)
        || matches!((state, error), ("Submit", "AlreadyRunning") | ("Notify", "NotificationsIncomplete"))
}

/// Every name that passes by itself, once, at every task that calls a function; a time-out by a late answer.
fn retries() -> Vec<Path> {
    let mut all = Vec::new();
    for name in EVERYWHERE {
        // Every task has the same rules, which another test holds: some names are played at all of them, all at Submit.
        let everywhere = ["States.Timeout", "Lambda.ServiceException", "ServiceUnavailable"].contains(&name);
        let label = name.replace('.', "-");
        // A function cannot fail by a name of Step Functions' own.
        let timeout = name == "States.Timeout";
        let fail = || if timeout { Late } else { Fail(name) };
        let mut add = |mut path: Path, task| {
            path.scenario.hurried = timeout.then_some(task);
            if everywhere || task == "Submit" {
                all.push(path);
            }
        };
        let dry_run = || Give(json!({"DryRun": true, "Statements": []}));
        let plan =
            path(format!("plan-repeats-{label}"), &[(RUNNER, vec![fail(), dry_run()])], None, &["Plan", "DryRun"]);
        add(with_input(plan, json!({"DryRun": true})), "Plan");
        let covered = (CHECKER, vec![fail(), says("COVERED")]);
        let turn = path(format!("turn-repeats-{label}"), &[plan_and(vec![]), covered], None, &["Turn", "Covered"]);
        add(turn, "Turn");
        let gated =
            [(RUNNER, vec![planned_with(true, false)]), turn_and(vec![fail(), refuses("WorkflowNotSucceeded")])];
        add(path(format!("gate-repeats-{label}"), &gated, Some("WorkflowNotSucceeded"), &["Gate", "Refused"]), "Gate");
        let mut judged = step_fails(format!("step-repeats-{label}"), vec![fail(), refuses("EmrStepFailed")], &[0]);
        judged.through = vec!["JudgeStep", "HasStepEnded", "Refused"];
        add(judged, "JudgeStep");
        let submit = vec![fail(), first()];
        add(cured(format!("submit-repeats-{label}"), submit, vec![], &["Submit", "HasEnded"]), "Submit");
        let (started, check) = (vec![Give(statement("STARTED"))], vec![fail(), first()]);
        add(cured(format!("check-repeats-{label}"), started, check, &["Check", "HasEnded"]), "Check");
        let failing = vec![Give(ended("FAILED", "StatementFailed"))];
        let cancel = fails(format!("cancel-repeats-{label}"), failing, vec![fail()], "StatementFailed", &OUT);
        add(cancel, "CancelWhatRuns");
        let answers = [plan_and(vec![first(), last()]), turn_and(vec![]), (AUDIT, vec![fail(), notified()])];
        add(path(format!("notify-repeats-{label}"), &answers, None, &["Notify"]), "Notify");
    }
    all
}

/// What an input means, Plan says; whatever it is, the execution comes to an end that is told.
fn inputs() -> Vec<Path> {
    let well = |name: &str, n: usize| {
        let mut submits: Vec<_> = (1..n)
            .map(|step| {
                Give(json!({"Id": "{name}", "Status": "FINISHED", "Next": {"Step": step, "Attempt": 1, "Count": n}}))
            })
            .collect();
        submits.push(last());
        let runner = (RUNNER, [vec![Give(planned(n))], submits].concat());
        let through = ["Plan", "IsDryRun", "Turn", "Submit", "Notify"];
        path(name, &[runner, turn_and(vec![]), (AUDIT, vec![notified()])], None, &through)
    };
    let event = json!({"source": "aws.glue", "detail-type": "Glue Job State Change",
                       "detail": {"jobName": "j", "state": "SUCCEEDED", "Procedures": [], "DryRun": true}});
    let mut all = vec![
        with_input(well("event", 2), event),
        with_input(well("one-procedure", 1), json!({"Procedures": [{"Procedure": "dev.a"}]})),
        with_input(well("three-procedures", 3), json!({"Procedures": [1, 2, 3]})),
    ];
    // Whatever is no object has no room for the error of a Catch.
    for (n, input) in [json!([]), json!("abc"), json!(7), json!(null), json!({"dryRun": true})].into_iter().enumerate()
    {
        let runner = (RUNNER, vec![Fail("InvalidInput")]);
        let through = ["Plan", "NotPlanned", "NotifyFailure", "Failed"];
        all.push(with_input(path(format!("no-input-{n}"), &[runner], Some("InvalidInput"), &through), input));
    }
    let dry_run = Give(json!({"DryRun": true, "Statements": [{"Sql": "CALL dev.p();"}]}));
    let dry_run = path("dry-run", &[(RUNNER, vec![dry_run])], None, &["Plan", "IsDryRun", "DryRun"]);
    all.push(with_input(dry_run, json!({"DryRun": true})));
    all
}

/// A path that waits for its turn or at the gate, before a load that goes well.
fn loads_after(name: &str, plan: Reply, questions: Vec<Reply>, through: &[&'static str]) -> Path {
    let runner = (RUNNER, vec![plan, first(), last()]);
    let mut path = path(name, &[runner, (CHECKER, questions), (AUDIT, vec![notified()])], None, through);
    path.through.extend(["Submit", "Notify"]);
    path
}

/// A path that ends before anything was submitted.
fn refused(
    name: impl Into<String>,
    plan: Reply,
    questions: Vec<Reply>,
    error: &'static str,
    through: &[&'static str],
) -> Path {
    let mut path = path(name, &[(RUNNER, vec![plan]), (CHECKER, questions)], Some(error), through);
    path.through.extend(["NotifyFailure", "Failed"]);
    path
}

fn turns() -> Vec<Path> {
    let plan = || Give(planned(2));
    let unknown = |name: &str, answer: Reply| {
        let through = ["HasTurn", "UnknownAnswer", "CancelWhatRuns"];
        refused(name, plan(), vec![answer, cancelled()], "UnknownStatus", &through)
    };
    vec![
        loads_after(
            "turn-waits",
            plan(),
            vec![says("WAITING"), says("WAITING"), ready()],
            &["Turn", "HasTurn", "WaitForTurn", "Turn", "HasTurn", "WaitForTurn", "Turn", "HasTurn"],
        ),
        path(
            "turn-covered",
            &[plan_and(vec![]), (CHECKER, vec![says("WAITING"), says("COVERED")])],
            None,
            &["WaitForTurn", "Turn", "HasTurn", "Covered"],
        ),
        refused("turn-never-comes", plan(), vec![refuses("QueueTimedOut")], "QueueTimedOut", &["HasTurn", "Refused"]),
        unknown("turn-unknown", says("HIBERNATING")),
        unknown("turn-no-status", Give(json!({"Context": {}}))),
        unknown("turn-nothing", Give(json!({}))),
        unknown("turn-no-seconds", Give(json!({"Status": "WAITING", "Context": {}}))),
    ]
}

fn gate() -> Vec<Path> {
    let plan = || planned_with(true, false);
    let open =
        Give(json!({"Status": "READY", "WaitSeconds": 0, "Context": {"WorkflowName": "w", "WorkflowRunId": "wr_1"}}));
    let mut all = vec![
        loads_after("gate-open", plan(), vec![ready(), open.clone()], &["HasTurn", "Gate", "IsOpen"]),
        loads_after(
            "gate-early",
            plan(),
            vec![says("WAITING"), ready(), says("WAITING"), says("WAITING"), open],
            &["WaitForTurn", "Turn", "Gate", "IsOpen", "WaitForRun", "Gate", "IsOpen", "WaitForRun", "Gate", "IsOpen"],
        ),
        refused(
            "gate-unknown",
            plan(),
            vec![ready(), says("HIBERNATING"), cancelled()],
            "UnknownStatus",
            &["IsOpen", "UnknownAnswer", "CancelWhatRuns"],
        ),
        // Covered is an answer to another question.
        refused(
            "gate-covered",
            plan(),
            vec![ready(), says("COVERED"), cancelled()],
            "UnknownStatus",
            &["IsOpen", "UnknownAnswer"],
        ),
    ];
    for error in ["WorkflowLookupFailed", "WorkflowRunNotFound", "WorkflowNotFinished", "WorkflowNotSucceeded"] {
        all.push(refused(
            format!("gate-{error}"),
            plan(),
            vec![ready(), refuses(error)],
            error,
            &["Gate", "IsOpen", "Refused"],
        ));
    }
    all
}

/// An EMR step that fails, then lists of so many active steps, with what is said of each.
fn step_fails(name: impl Into<String>, questions: Vec<Reply>, lists: &[usize]) -> Path {
    let step = json!({"Id": "s-1", "Name": "redshift-loader x", "Status": {"State": "RUNNING"}});
    let list = |n: &usize| Give(json!({"Steps": vec![step.clone(); *n]}));
    let cancels = questions.iter().filter(|a| matches!(a, Give(answer) if answer["Status"] == "CANCELLING")).count();
    let mut path = refused(name, planned_with(false, true), [vec![ready()], questions].concat(), "EmrStepFailed", &[]);
    path.scenario.answers.insert("RunStep", vec![Fail("Emr.EmrException")]);
    path.scenario.answers.insert("FindStep", lists.iter().map(list).collect());
    if cancels > 0 {
        path.scenario.answers.insert("CancelStep", vec![Give(json!({})); cancels]);
    }
    path
}

fn steps() -> Vec<Path> {
    let with_emr = |mut path: Path, state: &'static str, answers: Vec<Reply>| {
        path.scenario.answers.insert(state, answers);
        path
    };
    let done = || vec![Give(json!({"Step": {"Id": "s-1", "Status": {"State": "COMPLETED"}}}))];
    let cancelling = || Give(json!({"Status": "CANCELLING", "StepId": "s-1", "WaitSeconds": 0, "Context": {}}));
    let (step, both) = (|| planned_with(false, true), || planned_with(true, true));
    let judged = |mut path: Path, through: &[&'static str]| {
        path.through = [through, &["NotifyFailure", "Failed"]].concat();
        path
    };
    let through = [
        "RunStep",
        "FindStep",
        "JudgeStep",
        "HasStepEnded",
        "CancelStep",
        "WaitForStep",
        "FindStep",
        "JudgeStep",
        "HasStepEnded",
        "WaitForStep",
        "FindStep",
        "JudgeStep",
        "HasStepEnded",
        "Refused",
    ];
    let late = step_fails("step-late", vec![cancelling(), says("WAITING"), refuses("EmrStepFailed")], &[1, 1, 0]);
    let unknown = step_fails("step-unknown", vec![says("READY"), cancelled()], &[0]);
    let unknown = Path { error: Some("UnknownStatus"), ..unknown };
    let not_cancelled = step_fails("step-not-cancelled", vec![cancelling(), refuses("EmrStepFailed")], &[1, 0]);
    let mut not_cancelled = with_emr(not_cancelled, "CancelStep", vec![Fail("Emr.EmrException"); 5]);
    not_cancelled.scenario.only_moto = true;
    let not_listed = step_fails("step-not-listed", vec![refuses("EmrStepFailed")], &[0]);
    let mut not_listed = with_emr(not_listed, "FindStep", vec![Fail("Emr.EmrException"); 5]);
    not_listed.scenario.only_moto = true;
    // The function that judges is broken: what is known is said.
    let not_judged = step_fails("step-not-judged", vec![Fail("Internal")], &[0]);
    let mut not_judged = Path { error: Some("Emr.EmrException"), ..not_judged };
    // Each words the cause in its own way.
    not_judged.scenario.only_moto = true;
    // By the clock: MiniStack has no time-outs of mocked states.
    let late_by_clock = step_fails("step-out-of-time", vec![cancelling(), refuses("EmrStepFailed")], &[1, 0]);
    let mut late_by_clock = with_emr(late_by_clock, "RunStep", vec![Late]);
    late_by_clock.scenario.hurried = Some("RunStep");
    late_by_clock.scenario.only_moto = true;
    vec![
        judged(late, &through),
        judged(late_by_clock, &["RunStep", "FindStep", "JudgeStep", "CancelStep", "Refused"]),
        judged(unknown, &["HasStepEnded", "UnknownAnswer", "CancelWhatRuns"]),
        judged(not_cancelled, &["CancelStep", "WaitForStep", "FindStep", "Refused"]),
        judged(not_listed, &["RunStep", "FindStep", "JudgeStep", "Refused"]),
        judged(not_judged, &["JudgeStep"]),
        with_emr(loads_after("step-first", step(), vec![ready()], &["HasTurn", "RunStep"]), "RunStep", done()),
        with_emr(
            loads_after("gate-then-step", both(), vec![ready(), ready()], &["Gate", "IsOpen", "RunStep"]),
            "RunStep",
            done(),
        ),
    ]
}

fn ways_out() -> Vec<Path> {
    let submits = || vec![Give(ended("FAILED", "StatementFailed"))];
    let out = ["StatementFailed", OUT[0], OUT[1], OUT[2]];
    let cancel_fails = |error| {
        let answers = [plan_and(submits()), turn_and(vec![Fail(error)])];
        path(format!("cancel-fails-{error}"), &answers, Some("StatementFailed"), &out)
    };
    let mut nobody_told = fails("topic-missing", submits(), vec![], "StatementFailed", &OUT);
    nobody_told.scenario.topic = false;
    vec![cancel_fails("AccessDenied"), cancel_fails("StillRunning"), nobody_told]
}

fn passes_through(states: &[String], through: &[&str]) -> bool {
    let mut states = states.iter();
    through.iter().all(|wanted| states.any(|s| s == wanted))
}

/// The calls of functions without the cause of an EMR step: moto's step is a function, and words it as such.
fn comparable(calls: &[(String, Value)]) -> Vec<(String, Value)> {
    let mut calls = calls.to_vec();
    for (_, payload) in &mut calls {
        for failed in ["Failure", "Emr"] {
            if let Some(cause) = payload.get_mut(failed).and_then(|failure| failure.get_mut("Cause")) {
                *cause = json!("CAUSE");
            }
        }
    }
    calls
}

fn check(path: &Path, played: &[(&str, Played)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |right: bool, what: String| {
        if !right {
            wrong.push(format!("{}: {what}", path.scenario.name));
        }
    };
    let status = if path.error.is_some() { "FAILED" } else { "SUCCEEDED" };
    for (engine, played) in played {
        expect(
            played.status == status && played.error.as_deref() == path.error,
            format!(
                "{engine} ends {} with {:?} ({}), expected {:?}; states {:?}",
                played.status, played.error, played.cause, path.error, played.states
            ),
        );
        expect(
            passes_through(&played.states, &path.through),
            format!("{engine} goes {:?}, expected {:?}", played.states, path.through),
        );
    }
    // All that was scripted was asked for: no retry too few. EMR's states on MiniStack ask nobody.
    if let Some((_, moto)) = played.iter().find(|(engine, _)| *engine == "moto") {
        for (function, answers) in &path.scenario.answers {
            let asked = moto.asked.get(*function).copied().unwrap_or(0);
            expect(asked == answers.len(), format!("{function} was called {asked} times, not {}", answers.len()));
        }
    }
    let [(_, ministack), (_, moto)] = played else { return wrong };
    expect(ministack.states == moto.states, format!("states differ: {:?} {:?}", ministack.states, moto.states));
    let calls = [comparable(&ministack.calls), comparable(&moto.calls)];
    expect(calls[0] == calls[1], format!("payloads differ: {:?} {:?}", calls[0], calls[1]));
    expect(ministack.cause == moto.cause, format!("causes differ: {} {}", ministack.cause, moto.cause));
    expect(ministack.output == moto.output, format!("outputs differ: {} {}", ministack.output, moto.output));
    expect(ministack.told == moto.told, format!("what is told differs: {} {}", ministack.told, moto.told));
    wrong
}

async fn play_all(engines: &Engines, paths: Vec<Path>) -> Outcome {
    let playing = stream::iter(paths.into_iter().map(|path| async move {
        match engines.play(&path.scenario).await {
            Ok(played) => check(&path, &played),
            Err(error) => vec![format!("{}: {error}", path.scenario.name)],
        }
    }));
    let wrong: Vec<_> = playing.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat();
    if wrong.is_empty() { Ok(()) } else { Err(failed(wrong.join("\n"))) }
}

async fn every_status_has_its_way(engines: &Engines) -> Outcome {
    play_all(engines, statuses()).await
}

async fn every_error_name_has_its_way(engines: &Engines) -> Outcome {
    play_all(engines, errors()).await
}

async fn every_retry_is_taken(engines: &Engines) -> Outcome {
    play_all(engines, retries()).await
}

async fn every_kind_of_input_has_its_way(engines: &Engines) -> Outcome {
    play_all(engines, inputs()).await
}

async fn an_execution_waits_for_its_turn(engines: &Engines) -> Outcome {
    play_all(engines, turns()).await
}

async fn the_gate_lets_only_a_run_that_succeeded_pass(engines: &Engines) -> Outcome {
    play_all(engines, gate()).await
}

/// The notification of a failing submit must not name the statement of the attempt before.
async fn a_new_attempt_has_no_statement_yet(engines: &Engines) -> Outcome {
    let conflict = conflict("FAILED", "SerializationConflict", 1);
    let through = ["BackOff", "Next", "Submit", OUT[0], OUT[1], OUT[2]];
    let path = fails("conflict-then-refused", vec![conflict, Fail("AccessDenied")], vec![], "AccessDenied", &through);
    let played = engines.play(&path.scenario).await?;
    assert_eq!((check(&path, &played), played.len()), (vec![], 2));
    for (engine, played) in played {
        let expected = json!({"Cursor": {"Step": 0, "Attempt": 2, "Count": 2},
                              "Statement": {"Id": "none", "Procedure": "none"}});
        assert_eq!(played.told, expected, "{engine}");
    }
    Ok(())
}

async fn an_emr_step_comes_before_the_load(engines: &Engines) -> Outcome {
    play_all(engines, steps()).await
}

async fn nothing_replaces_the_original_error(engines: &Engines) -> Outcome {
    play_all(engines, ways_out()).await
}

/// A path that nobody plays is a path that nobody knows.
async fn the_scenarios_enter_every_state(_: &Engines) -> Outcome {
    let text = std::fs::read_to_string(project("infra/statemachines/loader.asl.json"))?;
    let machine: Value = serde_json::from_str(&text)?;
    let all: BTreeSet<_> = machine["States"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let paths = [statuses(), errors(), inputs(), turns(), gate(), steps(), ways_out()];
    let entered: BTreeSet<_> = paths.iter().flatten().flat_map(|p| p.through.iter().map(|s| (*s).to_owned())).collect();
    assert_eq!(all, entered);
    assert!(all.len() <= 30, "{} states: a decision belongs into a function", all.len());
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        every_status_has_its_way,
        every_kind_of_input_has_its_way,
        an_execution_waits_for_its_turn,
        the_gate_lets_only_a_run_that_succeeded_pass,
        a_new_attempt_has_no_statement_yet,
        an_emr_step_comes_before_the_load,
        nothing_replaces_the_original_error,
        every_error_name_has_its_way,
        every_retry_is_taken,
        the_scenarios_enter_every_state,
    ];
    run(tests, async || Engines::start().await.expect("both engines"), async |engines: Engines| engines.stop().await)
}
