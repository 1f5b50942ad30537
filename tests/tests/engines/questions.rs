//! Paths by the input, the turn, the gate and the EMR step.

use super::*;

/// Plan decides what an input means; every input leads to an end that is reported.
pub(crate) fn inputs() -> Vec<Path> {
    let well = |name: &str, n: usize| {
        let mut submits: Vec<_> = (1..n)
            .map(|step| {
                let mut finished = statement("FINISHED");
                finished["Next"] = json!({"Step": step, "Attempt": 1, "Count": n});
                Give(finished)
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
pub(crate) fn loads_after(name: &str, plan: Reply, questions: Vec<Reply>, through: &[&'static str]) -> Path {
    let runner = (RUNNER, vec![plan, first(), last()]);
    let mut path = path(name, &[runner, (CHECKER, questions), (AUDIT, vec![notified()])], None, through);
    path.through.extend(["Submit", "Notify"]);
    path
}

/// A path that ends before anything was submitted.
pub(crate) fn refused(
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

pub(crate) fn turns() -> Vec<Path> {
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

pub(crate) fn gate() -> Vec<Path> {
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
pub(crate) fn step_fails(name: impl Into<String>, questions: Vec<Reply>, lists: &[usize]) -> Path {
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

pub(crate) fn steps() -> Vec<Path> {
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
        judged(not_judged, &["JudgeStep", "NotJudged"]),
        with_emr(loads_after("step-first", step(), vec![ready()], &["HasTurn", "RunStep"]), "RunStep", done()),
        with_emr(
            loads_after("gate-then-step", both(), vec![ready(), ready()], &["Gate", "IsOpen", "RunStep"]),
            "RunStep",
            done(),
        ),
    ]
}

pub(crate) fn ways_out() -> Vec<Path> {
    let submits = || vec![Give(ended("FAILED", "StatementFailed"))];
    let out = ["StatementFailed", OUT[0], OUT[1], OUT[2]];
    let cancel_fails = |error| {
        let answers = [plan_and(submits()), turn_and(vec![Fail(error)])];
        path(format!("cancel-fails-{error}"), &answers, Some("StatementFailed"), &out)
    };
    let told =
        ["CancelWhatRuns", "ComposeFailure", "AddressFailure", "NotifyFailure", "HasChat", "NotifyChat", "Failed"];
    let told = fails("told", submits(), vec![], "StatementFailed", &told);
    let nobody = ["ComposeFailure", "NotifyFailure", "NotifyInShort", "HasChat", "Failed"];
    let mut nobody_told = fails("topic-missing", submits(), vec![], "StatementFailed", &nobody);
    nobody_told.scenario.topic = false;
    vec![cancel_fails("AccessDenied"), cancel_fails("StillRunning"), told, nobody_told]
}
