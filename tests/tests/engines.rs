//! Every path of the state machine, on both engines, with scripted answers. Each scenario says how the
//! execution ends; the engines must agree in the order of states, the payloads, the status, Error and
//! Cause.

use std::collections::{BTreeSet, HashMap};
use std::process::ExitCode;

use futures_util::{StreamExt, stream};
use redshift_local::stack::project;
use serde_json::{Value, json};
use shared::{Error, FailureKind};
use tests::engines::Answer::{self, Fail, Give, Late};
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

/// A statement as the functions report it; `{name}` becomes the execution's name.
fn statement(status: &str) -> Value {
    json!({"Id": "{name}", "Status": status, "WaitSeconds": 0, "ElapsedSeconds": 0, "Attempt": 1, "MaxAttempts": 3,
           "TimeoutSeconds": 60, "Procedure": "dev.p", "StatementName": "m/{name}/0/1"})
}

fn ended(status: &str, error: &str, retryable: bool) -> Value {
    let mut statement = statement(status);
    let fields = statement.as_object_mut().expect("an object");
    fields.insert("Error".into(), json!(error));
    fields.insert("Cause".into(), json!("ERROR: \"quoted\" {braces} and\nlines"));
    fields.insert("Retryable".into(), json!(retryable));
    fields.insert("RetryAfterSeconds".into(), json!(0));
    statement
}

fn finished() -> Answer {
    Give(statement("FINISHED"))
}

fn notified() -> Answer {
    Give(json!({"UnresolvedRuns": 1, "Notified": 1, "Failed": 0}))
}

fn cancelled() -> Answer {
    Give(json!({"Cancelled": [], "StillRunning": []}))
}

fn path(
    name: impl Into<String>,
    answers: &[(&'static str, Vec<Answer>)],
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

/// The default list, going well from the second procedure on.
fn cured(name: impl Into<String>, first: Vec<Answer>, checks: Vec<Answer>, through: &[&'static str]) -> Path {
    let mut submits = first;
    submits.push(finished());
    path(name, &[(RUNNER, submits), (CHECKER, checks), (AUDIT, vec![notified()])], None, through)
}

/// The default list, failing at the first procedure.
fn fails(
    name: impl Into<String>,
    submits: Vec<Answer>,
    mut checks: Vec<Answer>,
    error: &'static str,
    through: &[&'static str],
) -> Path {
    checks.push(cancelled());
    path(name, &[(RUNNER, submits), (CHECKER, checks)], Some(error), through)
}

const OUT: [&str; 3] = ["CancelWhatRuns", "NotifyFailure", "Failed"];

fn statuses() -> Vec<Path> {
    let give = |s| Give(statement(s));
    let mut all = vec![
        cured("at-once", vec![finished()], vec![], &["Submit", "HasEnded", "Advance", "HasMore", "Submit", "Notify"]),
        cured(
            "through-every-status",
            vec![give("SUBMITTED")],
            vec![give("PICKED"), give("STARTED"), give("STARTED"), finished()],
            &[
                "Submit", "HasEnded", "Wait", "Check", "HasEnded", "Wait", "Check", "Wait", "Check", "Wait", "Check",
                "Advance",
            ],
        ),
        cured(
            "conflict-then-well",
            vec![Give(ended("FAILED", "SerializationConflict", true)), finished()],
            vec![],
            &["Submit", "HasEnded", "BackOff", "NextAttempt", "Submit", "HasEnded", "Advance"],
        ),
        cured(
            "conflict-seen-by-a-check",
            vec![give("STARTED"), finished()],
            vec![Give(ended("ABORTED", "AbortedBySystem", true))],
            &["Submit", "Wait", "Check", "HasEnded", "BackOff", "NextAttempt", "Submit"],
        ),
        fails(
            "attempts-used-up",
            vec![
                Give(ended("FAILED", "Deadlock", true)),
                Give(ended("FAILED", "Deadlock", true)),
                Give(ended("FAILED", "Deadlock", true)),
            ],
            vec![],
            "Deadlock",
            &["BackOff", "NextAttempt", "BackOff", "NextAttempt", "Submit", "StatementFailed", OUT[0], OUT[1], OUT[2]],
        ),
        fails(
            "unknown-status",
            vec![give("HIBERNATING")],
            vec![],
            "UnknownStatus",
            &["HasEnded", "RefuseStatus", OUT[0], OUT[2]],
        ),
        fails(
            "unknown-status-at-a-check",
            vec![give("STARTED")],
            vec![give("ALL")],
            "UnknownStatus",
            &["Check", "RefuseStatus"],
        ),
        fails(
            "no-status-at-all",
            vec![Give(json!({"Id": "{name}", "Procedure": "dev.p"}))],
            vec![],
            "UnknownStatus",
            &["RefuseStatus"],
        ),
        fails(
            "past-its-time",
            vec![give("STARTED")],
            vec![give("STARTED"), Give(ended("ABORTED", "StatementTimedOut", false))],
            "StatementTimedOut",
            &["Check", "Wait", "Check", "StatementFailed", OUT[1]],
        ),
        fails(
            "cancel-not-confirmed",
            vec![give("STARTED")],
            vec![Give(ended("STARTED", "CancelNotConfirmed", false))],
            "CancelNotConfirmed",
            &["Check", "StatementFailed", OUT[0]],
        ),
    ];
    for kind in FailureKind::ALL.iter().filter(|k| !k.is_retryable()) {
        let status = if kind.name().contains("Abort") { "ABORTED" } else { "FAILED" };
        let answer = || Give(ended(status, kind.name(), false));
        all.push(fails(
            format!("submit-ends-{}", kind.name()),
            vec![answer()],
            vec![],
            kind.name(),
            &["StatementFailed", OUT[2]],
        ));
    }
    all
}

fn errors() -> Vec<Path> {
    // The retries of Throttled, used up: one try and 8 more. First, because it takes the longest.
    let mut all =
        vec![fails("throttled-for-ever", vec![Fail("Throttled"); 9], vec![], "Throttled", &["Submit", OUT[0], OUT[2]])];
    for name in Error::NAMES {
        let started = || Give(statement("STARTED"));
        let retried = |state: &str| repeats(state, name);
        all.push(if retried("Submit") {
            cured(format!("submit-fails-once-{name}"), vec![Fail(name), finished()], vec![], &["Submit", "HasEnded"])
        } else {
            fails(format!("submit-fails-{name}"), vec![Fail(name)], vec![], name, &["Submit", OUT[0], OUT[1], OUT[2]])
        });
        all.push(if retried("Check") {
            cured(
                format!("check-fails-once-{name}"),
                vec![started()],
                vec![Fail(name), finished()],
                &["Check", "HasEnded"],
            )
        } else {
            fails(format!("check-fails-{name}"), vec![started()], vec![Fail(name)], name, &["Check", OUT[0], OUT[2]])
        });
        let audit = if retried("Notify") { vec![Fail(name), notified()] } else { vec![Fail(name)] };
        let error = (!retried("Notify")).then_some(*name);
        let checks = if error.is_some() { vec![cancelled()] } else { vec![] };
        let answers = [(RUNNER, vec![finished(), finished()]), (CHECKER, checks), (AUDIT, audit)];
        all.push(path(
            format!("notify-fails-{name}"),
            &answers,
            error,
            if error.is_some() { &["Notify", OUT[0], OUT[2]] } else { &["Notify"] },
        ));
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
        let label = name.replace('.', "-");
        // A function cannot fail by a name of Step Functions' own.
        let timeout = name == "States.Timeout";
        let fail = || if timeout { Late } else { Fail(name) };
        let mut add = |mut path: Path, task| {
            path.scenario.hurried = timeout.then_some(task);
            all.push(path);
        };
        let plan = || Give(json!({"DryRun": true, "Statements": []}));
        let dry = path(format!("dry-run-repeats-{label}"), &[(RUNNER, vec![fail(), plan()])], None, &["DryRun"]);
        add(with_input(dry, json!({"DryRun": true})), "DryRun");
        let submit = vec![fail(), finished()];
        add(cured(format!("submit-repeats-{label}"), submit, vec![], &["Submit", "HasEnded"]), "Submit");
        let (started, check) = (vec![Give(statement("STARTED"))], vec![fail(), finished()]);
        add(cured(format!("check-repeats-{label}"), started, check, &["Check", "HasEnded"]), "Check");
        let failing = vec![Give(ended("FAILED", "StatementFailed", false))];
        let cancel = fails(format!("cancel-repeats-{label}"), failing, vec![fail()], "StatementFailed", &OUT);
        add(cancel, "CancelWhatRuns");
        let answers = [(RUNNER, vec![finished(), finished()]), (AUDIT, vec![fail(), notified()])];
        add(path(format!("notify-repeats-{label}"), &answers, None, &["Notify"]), "Notify");
    }
    all
}

fn inputs() -> Vec<Path> {
    let well = |name: &str, n: usize| {
        path(name, &[(RUNNER, vec![finished(); n]), (AUDIT, vec![notified()])], None, &["IsDryRun", "Submit", "Notify"])
    };
    let event = json!({"source": "aws.glue", "detail-type": "Glue Job State Change",
                       "detail": {"jobName": "j", "state": "SUCCEEDED", "Procedures": [], "DryRun": true}});
    let one = json!({"Procedures": [{"Procedure": "dev.a"}]});
    let three = json!({"Procedures": [{"Procedure": "dev.a"}, {"Sql": "CALL dev.b(1);", "Database": "x"}, {"Procedure": "dev.c"}]});
    let mut all = vec![
        with_input(well("event", 2), event),
        with_input(well("one-procedure", 1), one),
        with_input(well("three-procedures", 3), three),
        with_input(well("dry-run-false", 2), json!({"DryRun": false})),
    ];
    for (n, list) in [json!([]), json!("dev.p"), json!({"a": 1}), json!(7)].into_iter().enumerate() {
        let refused =
            path(format!("no-list-{n}"), &[], Some("InvalidInput"), &["RefuseProcedures", "NotifyFailure", "Failed"]);
        all.push(with_input(refused, json!({"Procedures": list})));
    }
    let malformed = path(
        "malformed-item",
        &[(RUNNER, vec![Fail("InvalidInput")]), (CHECKER, vec![cancelled()])],
        Some("InvalidInput"),
        &["Submit", "CancelWhatRuns", "Failed"],
    );
    all.push(with_input(malformed, json!({"Procedures": [42]})));
    let plan = || Give(json!({"DryRun": true, "Statements": [{"Sql": "CALL dev.p();"}]}));
    all.push(with_input(
        path("dry-run", &[(RUNNER, vec![plan()])], None, &["IsDryRun", "DryRun"]),
        json!({"DryRun": true}),
    ));
    let failing =
        path("dry-run-fails", &[(RUNNER, vec![Fail("InvalidInput")])], Some("InvalidInput"), &["DryRun", "Failed"]);
    all.push(with_input(failing, json!({"DryRun": true})));
    for (n, value) in [json!("yes"), json!(1)].into_iter().enumerate() {
        let refused = path(
            format!("dry-run-neither-{n}"),
            &[],
            Some("InvalidInput"),
            &["RefuseDryRun", "NotifyFailure", "Failed"],
        );
        all.push(with_input(refused, json!({"DryRun": value})));
    }
    all
}

/// A workflow run as Glue answers it, by the second in which it started.
fn workflow_run(id: &str, started: u32, status: &str, statistics: Value) -> Value {
    let started = format!("2026-01-01T00:00:{started:02}Z");
    json!({"Name": "w", "WorkflowRunId": id, "StartedOn": started, "Status": status, "Statistics": statistics})
}

fn completed(id: &str) -> Value {
    workflow_run(id, 1, "COMPLETED", json!({"TotalActions": 2, "SucceededActions": 2, "FailedActions": 0}))
}

fn last_run(run: Value) -> Answer {
    Give(json!({"Workflow": {"Name": "w", "LastRun": run}}))
}

fn looked_up(run: Value) -> Answer {
    Give(json!({"Run": run}))
}

/// A path that has looks at Glue or an EMR step before a load that goes well.
fn loads_after(name: &str, looks: &[(&'static str, Vec<Answer>)], through: &[&'static str]) -> Path {
    let mut answers = looks.to_vec();
    answers.extend([(RUNNER, vec![finished(), finished()]), (AUDIT, vec![notified()])]);
    let mut path = path(name, &answers, None, through);
    path.through.extend(["Submit", "Notify"]);
    path
}

/// A path that ends before anything was submitted.
fn refused(name: &str, looks: &[(&'static str, Vec<Answer>)], error: &'static str, through: &[&'static str]) -> Path {
    let mut path = path(name, looks, Some(error), through);
    path.through.extend(["NotifyFailure", "Failed"]);
    path
}

fn event(time: &str) -> Value {
    json!({"detail-type": "Glue Job State Change", "time": time, "detail": {"jobName": "j"}})
}

/// Our own event, which names its run.
fn ours() -> Value {
    json!({"detail-type": "Glue Workflow Completed", "time": "2026-01-01T00:00:00Z", "detail": {"workflowRunId": "wr_7"}})
}

/// The event is of 00:00:10; the workflow was started again at 00:00:20.
fn again() -> (&'static str, Vec<Answer>) {
    ("GetWorkflow", vec![last_run(workflow_run("wr_3", 20, "RUNNING", json!({})))])
}

fn list(starts: &[u32]) -> Answer {
    let runs = starts.iter().map(|s| workflow_run(&format!("wr_{s}"), *s, "COMPLETED", json!({})));
    Give(json!({"Runs": runs.collect::<Vec<_>>()}))
}

/// Glue does not answer, once or for longer than the six repetitions; or refuses, which is not repeated.
fn lookups() -> Vec<Path> {
    let mut all = Vec::new();
    for (state, input, before, answer) in [
        ("GetWorkflow", json!({}), None, last_run(completed("wr_1"))),
        ("GetRun", ours(), None, looked_up(completed("wr_7"))),
        ("ListRuns", event("2026-01-01T00:00:10Z"), Some(again()), list(&[1])),
    ] {
        let broken = Fail("Glue.InternalServiceException");
        let name = |what: &str| format!("gate-{state}-{what}");
        let looks = |answers: Vec<Answer>| before.iter().cloned().chain([(state, answers)]).collect::<Vec<_>>();
        let once = looks(vec![broken.clone(), answer]);
        let (for_ever, no) = (looks(vec![broken; 7]), looks(vec![Fail("Glue.AccessDeniedException")]));
        for mut path in [
            loads_after(&name("fails-once"), &once, &[state, "RunSucceeded"]),
            refused(&name("fails"), &for_ever, "WorkflowLookupFailed", &[state, "LookupFailed"]),
            refused(&name("refused"), &no, "WorkflowLookupFailed", &[state, "LookupFailed"]),
        ] {
            path.scenario.only_moto = true;
            all.push(with_input(path, input.clone()));
        }
    }
    all
}

fn gate() -> Vec<Path> {
    let running = |id| workflow_run(id, 1, "RUNNING", json!({"RunningActions": 1}));
    let mut all = vec![
        with_input(
            loads_after(
                "gate-open",
                &[("GetWorkflow", vec![last_run(completed("wr_1"))])],
                &["GetWorkflow", "LastRun", "RunSucceeded"],
            ),
            event("2026-01-01T00:00:10Z"),
        ),
        loads_after(
            "gate-open-by-hand-without-counters",
            &[("GetWorkflow", vec![last_run(json!({"WorkflowRunId": "wr_1", "StartedOn": 1, "Status": "COMPLETED"}))])],
            &["IsLastRun", "RunActions", "RunSucceeded"],
        ),
        loads_after(
            "gate-early",
            &[
                ("GetWorkflow", vec![last_run(running("wr_1"))]),
                ("GetRun", vec![looked_up(running("wr_1")), looked_up(completed("wr_1"))]),
            ],
            &["LastRun", "RunStatus", "WaitForRun", "CountLook", "GetRun", "WaitForRun", "GetRun", "RunSucceeded"],
        ),
        with_input(
            loads_after(
                "gate-our-own-event",
                &[("GetRun", vec![looked_up(completed("wr_7"))])],
                &["GivenRun", "GetRun", "GotRun", "RunSucceeded"],
            ),
            ours(),
        ),
        with_input(
            refused(
                "gate-our-own-event-unknown-run",
                &[("GetRun", vec![Fail("Glue.EntityNotFoundException")])],
                "WorkflowLookupFailed",
                &["GivenRun", "GetRun", "LookupFailed"],
            ),
            ours(),
        ),
        refused(
            "gate-unknown-workflow",
            &[("GetWorkflow", vec![Fail("Glue.EntityNotFoundException")])],
            "WorkflowLookupFailed",
            &["GetWorkflow", "LookupFailed"],
        ),
        refused(
            "gate-never-run",
            &[("GetWorkflow", vec![Give(json!({"Workflow": {"Name": "w"}}))])],
            "WorkflowRunNotFound",
            &["IsLastRun", "RunNotFound"],
        ),
        refused(
            "gate-never-ends",
            &[("GetWorkflow", vec![last_run(running("wr_1"))]), ("GetRun", vec![looked_up(running("wr_1")); 40])],
            "WorkflowNotFinished",
            &["WaitForRun", "GetRun", "RunNotFinished"],
        ),
    ];
    for status in ["STOPPED", "ERROR", "PAUSED"] {
        let run = workflow_run("wr_1", 1, status, json!({"StoppedActions": 1}));
        all.push(refused(
            &format!("gate-{status}"),
            &[("GetWorkflow", vec![last_run(run)])],
            "WorkflowNotSucceeded",
            &["RunStatus", "RunNotSucceeded"],
        ));
    }
    for counter in ["FailedActions", "TimeoutActions", "StoppedActions", "ErroredActions"] {
        let run = workflow_run("wr_1", 1, "COMPLETED", json!({counter: 1}));
        all.push(refused(
            &format!("gate-{counter}"),
            &[("GetWorkflow", vec![last_run(run)])],
            "WorkflowNotSucceeded",
            &["RunActions", "RunNotSucceeded"],
        ));
    }
    let mut undated = loads_after(
        "gate-no-start",
        &[("GetWorkflow", vec![last_run(json!({"WorkflowRunId": "wr_1", "Status": "COMPLETED"}))])],
        &["IsLastRun", "LastRun", "RunSucceeded"],
    );
    undated.scenario.only_moto = true;
    all.push(with_input(undated, event("2026-01-01T00:00:10Z")));
    let status_missing = json!({"WorkflowRunId": "wr_1", "StartedOn": "2026-01-01T00:00:01Z"});
    all.push(refused(
        "gate-no-status",
        &[("GetWorkflow", vec![last_run(status_missing)])],
        "WorkflowNotSucceeded",
        &["RunStatus", "RunNotSucceeded"],
    ));
    for (name, starts) in [("newest-first", [20, 9, 1]), ("oldest-first", [1, 9, 20]), ("mixed", [9, 20, 1])] {
        let through =
            ["ListRuns", "FirstRun", "HasMoreRuns", "LookAtRun", "IsBetterRun", "SkipRun", "PickedRun", "RunSucceeded"];
        let mut path =
            loads_after(&format!("gate-started-again-{name}"), &[again(), ("ListRuns", vec![list(&starts)])], &through);
        path.scenario.only_moto = true;
        all.push(with_input(path, event("2026-01-01T00:00:10Z")));
    }
    let mut taken = loads_after(
        "gate-started-again-takes",
        &[again(), ("ListRuns", vec![list(&[1])])],
        &["IsBetterRun", "TakeRun", "PickedRun"],
    );
    taken.scenario.only_moto = true;
    all.push(with_input(taken, event("2026-01-01T00:00:10Z")));
    for (name, starts) in [("later", &[20_u32, 30][..]), ("none", &[])] {
        let mut path = refused(
            &format!("gate-started-again-{name}"),
            &[again(), ("ListRuns", vec![list(starts)])],
            "WorkflowRunNotFound",
            &["ListRuns", "RunNotFound"],
        );
        path.scenario.only_moto = true;
        all.push(with_input(path, event("2026-01-01T00:00:10Z")));
    }
    // What brings its own list is not held up.
    let mut own = path(
        "gate-not-for-own-list",
        &[(RUNNER, vec![finished()]), (AUDIT, vec![notified()]), ("GetWorkflow", vec![]), ("RunStep", vec![])],
        None,
        &["GivenProcedures", "HasWorkflow", "HasStep", "Submit"],
    );
    own.scenario.input = json!({"Procedures": [{"Procedure": "dev.a"}]});
    all.push(own);
    all
}

fn steps() -> Vec<Path> {
    let done = || ("RunStep", vec![Give(json!({"Step": {"Id": "s-1", "Status": {"State": "COMPLETED"}}}))]);
    let open = || ("GetWorkflow", vec![last_run(completed("wr_1"))]);
    let answers = [("RunStep", vec![Fail("States.Timeout")])];
    let late = refused("step-times-out", &answers, "EmrStepFailed", &["RunStep", "StepTimedOut"]);
    vec![
        late,
        loads_after("step-first", &[done()], &["HasWorkflow", "HasStep", "RunStep"]),
        loads_after("gate-then-step", &[open(), done()], &["RunSucceeded", "HasStep", "RunStep"]),
        refused(
            "step-fails",
            &[("RunStep", vec![Fail("States.TaskFailed")])],
            "EmrStepFailed",
            &["RunStep", "StepFailed"],
        ),
        refused(
            "gate-then-step-fails",
            &[open(), ("RunStep", vec![Fail("States.TaskFailed")])],
            "EmrStepFailed",
            &["RunSucceeded", "RunStep", "StepFailed"],
        ),
    ]
}

fn ways_out() -> Vec<Path> {
    let submits = || vec![Give(ended("FAILED", "StatementFailed", false))];
    let cancel_fails = path(
        "cancel-fails",
        &[(RUNNER, submits()), (CHECKER, vec![Fail("AccessDenied")])],
        Some("StatementFailed"),
        &["StatementFailed", OUT[0], OUT[1], OUT[2]],
    );
    let mut nobody_told = fails("topic-missing", submits(), vec![], "StatementFailed", &OUT);
    nobody_told.scenario.topic = false;
    vec![cancel_fails, nobody_told]
}

fn passes_through(states: &[String], through: &[&str]) -> bool {
    let mut states = states.iter();
    through.iter().all(|wanted| states.any(|s| s == wanted))
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
    // All that was scripted was asked for: no retry too few. Glue's states on MiniStack ask nobody.
    if let Some((_, moto)) = played.iter().find(|(engine, _)| *engine == "moto") {
        for (function, answers) in &path.scenario.answers {
            let asked = moto.asked.get(*function).copied().unwrap_or(0);
            expect(asked == answers.len(), format!("{function} was called {asked} times, not {}", answers.len()));
        }
    }
    let [(_, ministack), (_, moto)] = played else { return wrong };
    expect(ministack.states == moto.states, format!("states differ: {:?} {:?}", ministack.states, moto.states));
    expect(ministack.calls == moto.calls, format!("payloads differ: {:?} {:?}", ministack.calls, moto.calls));
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

async fn the_gate_lets_only_a_run_that_succeeded_pass(engines: &Engines) -> Outcome {
    // Those that take the longest first.
    play_all(engines, lookups().into_iter().chain(gate()).collect()).await
}

/// The notification of a failing submit must not name the statement of the attempt before.
async fn a_new_attempt_has_no_statement_yet(engines: &Engines) -> Outcome {
    let conflict = Give(ended("FAILED", "SerializationConflict", true));
    let through = ["BackOff", "NextAttempt", "Submit", OUT[0], OUT[1], OUT[2]];
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
    let paths = [statuses(), errors(), inputs(), gate(), lookups(), steps(), ways_out()];
    let mut entered: BTreeSet<_> =
        paths.iter().flatten().flat_map(|p| p.through.iter().map(|s| (*s).to_owned())).collect();
    // The first states are on every path.
    entered.extend(["ChooseProcedures", "DefaultProcedures", "GivenProcedures"].map(str::to_owned));
    assert_eq!(all, entered);
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        every_status_has_its_way,
        every_kind_of_input_has_its_way,
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
