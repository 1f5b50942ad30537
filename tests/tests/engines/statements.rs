//! Paths by what becomes of a statement, of a function, and of a retry.

use super::*;

pub(crate) fn statuses() -> Vec<Path> {
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
pub(crate) fn errors() -> Vec<Path> {
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
pub(crate) const EVERYWHERE: [&str; 12] = [
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
pub(crate) fn repeats(state: &str, error: &str) -> bool {
    EVERYWHERE.contains(&error)
        || matches!((state, error), ("Submit", "AlreadyRunning") | ("Notify", "NotificationsIncomplete"))
}

/// Every name that passes by itself, once, at every task that calls a function; a time-out by a late answer.
pub(crate) fn retries() -> Vec<Path> {
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
