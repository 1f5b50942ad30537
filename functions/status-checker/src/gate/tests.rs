use super::*;
use aws_sdk_glue::config::http::HttpResponse;
use aws_sdk_glue::operation::get_job_run::{GetJobRunError, GetJobRunOutput};
use aws_sdk_glue::operation::get_workflow_runs::GetWorkflowRunsOutput;
use aws_sdk_glue::types::error::EntityNotFoundException;
use aws_sdk_glue::types::{JobRun, WorkflowRun as GlueRun, WorkflowRunStatistics, WorkflowRunStatus};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use serde_json::json;

fn at(second: u64) -> SystemTime {
    // 2026-01-01T00:00:00Z
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + second)
}

fn run(id: &str, started: u64, status: &str) -> Run {
    let actions = Actions { total: 2, succeeded: 2, ..Actions::default() };
    Run { id: id.into(), started: Some(at(started)), status: status.into(), actions }
}

/// The run, and in one word what follows.
fn says(wanted: &Wanted, runs: &[Run], looks: u32) -> (Option<String>, &'static str) {
    let (run, verdict) = decide("w", wanted, runs, looks);
    let word = match verdict {
        Verdict::Ready => "open",
        Verdict::Wait(pause) if pause == PAUSE => "wait",
        Verdict::Refuse { error, cause } => {
            assert!(cause.contains("Nothing was loaded"), "{cause}");
            error.name()
        }
        other => panic!("{other:?}"),
    };
    (run.map(|run| run.id.clone()), word)
}

#[test]
fn the_run_of_an_event_is_found_whatever_the_order() {
    let mut runs = vec![run("wr_1", 1, "COMPLETED"), run("wr_9", 9, "COMPLETED"), run("wr_20", 20, "COMPLETED")];
    for _ in 0..3 {
        for (wanted, id) in [
            (Wanted::Before(at(10)), Some("wr_9")),
            (Wanted::Before(at(9)), Some("wr_9")),
            (Wanted::Before(at(8)), Some("wr_1")),
            (Wanted::Before(at(99)), Some("wr_20")),
            (Wanted::Before(at(0)), None),
            (Wanted::Latest, Some("wr_20")),
            (Wanted::Run("wr_1".into()), Some("wr_1")),
            (Wanted::Run("wr_2".into()), None),
        ] {
            let expected = (id.map(str::to_owned), if id.is_some() { "open" } else { "WorkflowRunNotFound" });
            assert_eq!(says(&wanted, &runs, 1), expected, "{wanted:?}");
        }
        runs.rotate_left(1);
    }
    assert_eq!(says(&Wanted::Latest, &[], 1), (None, "WorkflowRunNotFound"));
    let undated = Run { started: None, ..run("wr_1", 1, "COMPLETED") };
    assert_eq!(says(&Wanted::Latest, std::slice::from_ref(&undated), 1).1, "open");
    assert_eq!(says(&Wanted::Before(at(10)), &[undated], 1).1, "WorkflowRunNotFound");
}

#[test]
fn only_a_run_that_succeeded_opens_the_gate() {
    let wanted = Wanted::Run("wr_1".into());
    for (status, first, last) in [
        ("COMPLETED", "open", "open"),
        ("RUNNING", "wait", "WorkflowNotFinished"),
        ("STOPPING", "wait", "WorkflowNotFinished"),
        ("STOPPED", "WorkflowNotSucceeded", "WorkflowNotSucceeded"),
        ("ERROR", "WorkflowNotSucceeded", "WorkflowNotSucceeded"),
        ("PAUSED", "WorkflowNotSucceeded", "WorkflowNotSucceeded"),
        ("", "WorkflowNotSucceeded", "WorkflowNotSucceeded"),
    ] {
        let runs = [run("wr_1", 1, status)];
        let looks = [1, LOOKS - 1, LOOKS, LOOKS + 1].map(|looks| says(&wanted, &runs, looks).1);
        assert_eq!(looks, [first, first, last, last], "{status}");
    }
    let none = Actions::default();
    for (actions, open) in [
        (none, true),
        (Actions { total: 3, succeeded: 3, ..none }, true),
        (Actions { total: 3, succeeded: 2, failed: 1, ..none }, false),
        (Actions { total: 3, succeeded: 2, timed_out: 1, ..none }, false),
        (Actions { total: 3, succeeded: 2, stopped: 1, ..none }, false),
        (Actions { total: 3, succeeded: 2, errored: 1, ..none }, false),
        (Actions { failed: 1, ..none }, false),
        // A job that failed, was retried within the run and succeeded, if Glue counts both.
        (Actions { total: 3, succeeded: 3, failed: 1, ..none }, true),
        // Whether it succeeded is unknown.
        (Actions { total: 4, succeeded: 3, failed: 1, ..none }, false),
        (Actions { failed: -1, ..none }, false),
    ] {
        let runs = [Run { actions, ..run("wr_1", 1, "COMPLETED") }];
        let word = says(&wanted, &runs, 1).1;
        assert_eq!(word, if open { "open" } else { "WorkflowNotSucceeded" }, "{actions:?}");
    }
}

#[test]
fn no_load_starts_beside_a_later_run() {
    let undated = |status| Run { started: None, ..run("wr_2", 0, status) };
    for (other, waits) in [
        (run("wr_2", 20, "RUNNING"), true),
        (run("wr_2", 20, "STOPPING"), true),
        (run("wr_2", 10, "RUNNING"), true),
        (undated("RUNNING"), true),
        (run("wr_2", 20, "COMPLETED"), false),
        (run("wr_2", 20, "ERROR"), false),
        (undated("COMPLETED"), false),
        (run("wr_2", 5, "RUNNING"), false),
    ] {
        let runs = [run("wr_1", 10, "COMPLETED"), other.clone(), run("wr_3", 30, "COMPLETED")];
        for wanted in [Wanted::Run("wr_1".into()), Wanted::Before(at(10))] {
            let looks = [1, LOOKS].map(|looks| says(&wanted, &runs, looks));
            let expected = if waits { ["wait", "WorkflowNotFinished"] } else { ["open", "open"] };
            assert_eq!(looks.map(|look| look.1), expected, "{other:?}");
        }
    }
}

#[test]
fn what_passes_by_itself_is_looked_at_again() {
    let unavailable = Error::new(ErrorKind::ServiceUnavailable, "no answer");
    let denied = Error::new(ErrorKind::AccessDenied, "no");
    let memory = |looks, failed_looks| GateMemory { looks, failed_looks, workflow_run_id: None };
    let waits = |error: &Error, memory| after_failure("w", error, &memory) == Verdict::Wait(PAUSE);
    assert!(
        waits(&unavailable, memory(1, 1)) && waits(&Error::new(ErrorKind::Throttled, "x"), memory(5, FAILED_LOOKS - 1))
    );
    assert!(!waits(&unavailable, memory(6, FAILED_LOOKS)) && !waits(&unavailable, memory(LOOKS, 1)));
    assert!(!waits(&denied, memory(1, 1)));
    let Verdict::Refuse { error, cause } = after_failure("w", &denied, &memory(1, 1)) else { panic!("waits") };
    assert!(error == Refusal::WorkflowLookupFailed && cause.contains("workflow w could not be read: no"), "{cause}");
}

fn page(runs: &[(&str, u64, WorkflowRunStatus)], next: Option<&str>) -> GetWorkflowRunsOutput {
    let run = |(id, started, status): &(&str, u64, WorkflowRunStatus)| {
        let counted = WorkflowRunStatistics::builder().total_actions(1).succeeded_actions(1).build();
        let run = GlueRun::builder().workflow_run_id(*id).started_on(at(*started).into()).status(status.clone());
        run.statistics(counted).build()
    };
    let runs = runs.iter().map(run).collect();
    GetWorkflowRunsOutput::builder().set_runs(Some(runs)).set_next_token(next.map(str::to_owned)).build()
}

async fn ask(rules: &[&Rule], payload: Value) -> Value {
    let client = mock_client!(aws_sdk_glue, RuleMode::Sequential, rules);
    answer(&client, shared::runtime::parse(payload).expect("a request")).await.expect("an answer")
}

fn job_event() -> Value {
    json!({"WorkflowName": "w", "Trigger": {"Time": "2026-01-01T00:00:10Z", "JobName": "j", "JobRunId": "jr_1"}})
}

fn job_run(arguments: &'static [(&'static str, &'static str)]) -> Rule {
    mock!(Client::get_job_run).match_requests(|r| r.job_name() == Some("j") && r.run_id() == Some("jr_1")).then_output(
        move || {
            let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let run = JobRun::builder().set_arguments(Some(arguments)).build();
            GetJobRunOutput::builder().job_run(run).build()
        },
    )
}

#[tokio::test]
async fn the_run_of_a_job_is_known_by_its_arguments_and_looked_for_on_every_page() {
    let job = job_run(&[("--WORKFLOW_NAME", "w"), ("--WORKFLOW_RUN_ID", "wr_1"), ("--password", "hunter2")]);
    let first = mock!(Client::get_workflow_runs)
        .match_requests(|r| r.name() == Some("w") && r.next_token().is_none() && r.include_graph() == Some(false))
        .then_output(|| page(&[("wr_9", 9, WorkflowRunStatus::Completed)], Some("more")));
    let second = mock!(Client::get_workflow_runs)
        .match_requests(|r| r.next_token() == Some("more"))
        .then_output(|| page(&[("wr_1", 1, WorkflowRunStatus::Completed)], None));
    let answer = ask(&[&job, &first, &second], json!({"Gate": job_event()})).await;
    assert_eq!(
        answer,
        json!({"Status": "READY", "WaitSeconds": 0, "Context": {"WorkflowName": "w", "WorkflowRunId": "wr_1"},
               "Gate": {"Looks": 1, "FailedLooks": 0, "WorkflowRunId": "wr_1"}})
    );
}

#[tokio::test]
async fn a_job_run_without_these_arguments_falls_back_to_the_time() {
    let unknown = || {
        mock!(Client::get_job_run).then_error(|| {
            GetJobRunError::EntityNotFoundException(
                EntityNotFoundException::builder()
                    .meta(aws_sdk_glue::error::ErrorMetadata::builder().code("EntityNotFoundException").build())
                    .build(),
            )
        })
    };
    for job in [job_run(&[]), job_run(&[("--WORKFLOW_RUN_ID", "")]), unknown()] {
        let runs = mock!(Client::get_workflow_runs).then_output(|| {
            page(&[("wr_1", 1, WorkflowRunStatus::Completed), ("wr_9", 9, WorkflowRunStatus::Completed)], None)
        });
        let answer = ask(&[&job, &runs], json!({"Gate": job_event()})).await;
        assert_eq!((&answer["Status"], &answer["Context"]["WorkflowRunId"]), (&json!("READY"), &json!("wr_9")));
    }
}

#[tokio::test]
async fn a_job_run_of_another_workflow_is_refused() {
    let job = job_run(&[("--WORKFLOW_NAME", "another"), ("--WORKFLOW_RUN_ID", "wr_1")]);
    let answer = ask(&[&job], json!({"Gate": job_event()})).await;
    assert_eq!(answer["Error"], "WorkflowRunNotFound");
}

#[tokio::test]
async fn the_next_look_is_at_the_same_run() {
    let running =
        mock!(Client::get_workflow_runs).then_output(|| page(&[("wr_1", 1, WorkflowRunStatus::Running)], None));
    let later = mock!(Client::get_workflow_runs).then_output(|| {
        page(&[("wr_1", 1, WorkflowRunStatus::Completed), ("wr_2", 2, WorkflowRunStatus::Completed)], None)
    });
    let gate = json!({"WorkflowName": "w"});
    let first = ask(&[&running], json!({"Gate": gate, "Answer": {"Status": "READY", "Context": {}}})).await;
    assert_eq!((&first["Status"], &first["WaitSeconds"]), (&json!("WAITING"), &json!(15)));
    let second = ask(&[&later], json!({"Gate": gate, "Answer": first})).await;
    assert_eq!((&second["Status"], &second["Context"]["WorkflowRunId"]), (&json!("READY"), &json!("wr_1")));
    assert_eq!(second["Gate"]["Looks"], 2);
}

#[tokio::test(start_paused = true)]
async fn glue_that_does_not_answer_is_a_look_that_failed() {
    for (status, body, failed_looks) in [
        (500, r#"{"__type": "InternalServiceException", "Message": "hunter2"}"#, FAILED_LOOKS),
        (503, "<html>hunter2</html>", FAILED_LOOKS),
        (400, r#"{"__type": "ThrottlingException", "message": "Rate exceeded"}"#, FAILED_LOOKS),
        (200, r#"{"Runs": ["#, FAILED_LOOKS),
        (400, r#"{"__type": "EntityNotFoundException", "Message": "hunter2"}"#, 1),
        (400, r#"{"__type": "AccessDeniedException", "Message": "hunter2"}"#, 1),
    ] {
        let reply = move || HttpResponse::new(status.try_into().expect("a status"), body.into());
        let broken = mock!(Client::get_workflow_runs).then_http_response(reply);
        let client = mock_client!(aws_sdk_glue, RuleMode::MatchAny, [&broken]);
        let mut last = json!({});
        let mut looks = 0;
        while last["Status"] != "REFUSED" && looks < LOOKS {
            let gate = json!({"WorkflowName": "w", "Trigger": {"WorkflowRunId": "wr_7"}});
            let request = shared::runtime::parse(json!({"Gate": gate, "Answer": last})).expect("a request");
            last = answer(&client, request).await.expect("an answer");
            looks += 1;
        }
        assert_eq!((looks, last["Error"].as_str()), (failed_looks, Some("WorkflowLookupFailed")), "{status} {body}");
        assert!(!last.to_string().contains("hunter2"), "{last}");
    }
}
