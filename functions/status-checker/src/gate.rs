//! The gate: has the Glue workflow run that an event belongs to succeeded?
//!
//! EventBridge has no event for a finished workflow, only for a finished job, and that comes before the run turns
//! COMPLETED. So the gate looks at the workflow's runs, again and again for ten minutes.
//!
//! **Which run.** Known exactly if the event names it (our own event does), or where the job run of the event was
//! given it as an argument: a job of a workflow gets `--WORKFLOW_NAME` and `--WORKFLOW_RUN_ID`, and GetJobRun should
//! show them (unverified; a job run without them falls back). Otherwise the run that started last before the event,
//! among all pages: nothing says in which order Glue lists them. Without an event, the run that started last.
//!
//! **What counts as success.** COMPLETED, and no action failed, timed out, was stopped or errored. Glue counts actions
//! and does not document whether a job that failed and was retried within the run adds to FailedActions. Where every
//! action has succeeded in the end (SucceededActions equals TotalActions), the counters of failures are those of
//! retried attempts, and the gate opens; if that is unknown, it stays closed.
//!
//! **A later run** that is under way fills the staging area: no load starts beside it.

use std::time::{Duration, SystemTime};

use aws_sdk_glue::Client;
use aws_sdk_glue::error::ProvideErrorMetadata;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::error::cut;
use shared::input::Trigger;
use shared::{Error, ErrorKind, Result, WorkflowRun, runtime, shown};
use tracing::{info, warn};

use crate::answer::{Answer, Refusal, Verdict};
use crate::request::Previous;

/// How often the gate checks the runs: with [`PAUSE`] between two checks, for ten minutes.
pub const LOOKS: u32 = 40;
/// The pause between two looks.
pub const PAUSE: Duration = Duration::from_secs(15);
/// How many looks in a row may fail in a way that passes by itself.
const FAILED_LOOKS: u32 = 6;
/// Runs a page. [Glue API reference, `GetWorkflowRuns`: at most 1,000]
const PAGE: i32 = 1000;
/// What a service's text is cut to.
const MAX_TEXT_CHARS: usize = 1000;

/// What the state machine asks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Request {
    gate: Gate,
    #[serde(default)]
    answer: Previous,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Gate {
    workflow_name: String,
    #[serde(default)]
    trigger: Trigger,
}

/// What one look hands to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Memory {
    /// Looks so far.
    looks: u32,
    /// How many of the last ones failed.
    failed_looks: u32,
    /// The run, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_run_id: Option<String>,
}

/// The run that is sought.
#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    Run(String),
    /// The one that started last at or before this time.
    Before(SystemTime),
    /// The one that started last.
    Latest,
}

/// A run, as far as it counts.
#[derive(Debug, Clone, PartialEq)]
struct Run {
    id: String,
    started: Option<SystemTime>,
    status: String,
    actions: Actions,
}

/// Glue's counters of a run's actions; what it does not count is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Actions {
    total: i32,
    succeeded: i32,
    failed: i32,
    timed_out: i32,
    stopped: i32,
    errored: i32,
}

impl Actions {
    fn have_succeeded(self) -> bool {
        let bad = [self.failed, self.timed_out, self.stopped, self.errored].iter().any(|n| *n != 0);
        !bad || (self.total > 0 && self.succeeded == self.total)
    }
}

impl Run {
    fn is_under_way(&self) -> bool {
        matches!(self.status.as_str(), "RUNNING" | "STOPPING")
    }
}

/// A look that came to nothing.
enum Failed {
    /// It is settled: fail.
    Refused(Verdict),
    /// The service failed.
    Service(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

pub(crate) async fn answer(client: &Client, request: Request) -> Result<Value> {
    let Request { gate, answer: Previous { gate: mut memory, .. } } = request;
    memory.looks += 1;
    let verdict = match look(client, &gate, &memory).await {
        Ok((wanted, runs)) => {
            memory.failed_looks = 0;
            let (run, verdict) = decide(&gate.workflow_name, &wanted, &runs, memory.looks);
            memory.workflow_run_id = run.map(|run| run.id.clone());
            verdict
        }
        Err(Failed::Refused(verdict)) => verdict,
        Err(Failed::Service(error)) => {
            memory.failed_looks += 1;
            warn!(failed_looks = memory.failed_looks, "the workflow's runs could not be read: {error}");
            after_failure(&gate.workflow_name, &error, &memory)
        }
    };
    let known = memory.workflow_run_id.clone();
    let context = WorkflowRun { workflow_name: Some(gate.workflow_name), workflow_run_id: known };
    let answer = Answer { context, gate: Some(memory), ..verdict.into() };
    info!(status = answer.status, refusal = answer.error, run = answer.context.workflow_run_id, "checked the gate");
    runtime::answer(&answer)
}

async fn look(client: &Client, gate: &Gate, memory: &Memory) -> std::result::Result<(Wanted, Vec<Run>), Failed> {
    let wanted = match &memory.workflow_run_id {
        Some(id) => Wanted::Run(id.clone()),
        None => wanted(client, gate).await?,
    };
    Ok((wanted, runs(client, &gate.workflow_name).await?))
}

/// Which run the event belongs to.
async fn wanted(client: &Client, gate: &Gate) -> std::result::Result<Wanted, Failed> {
    let Trigger { time, job_name, job_run_id, workflow_run_id } = &gate.trigger;
    if let Some(id) = workflow_run_id {
        return Ok(Wanted::Run(id.clone()));
    }
    if let (Some(job), Some(run)) = (job_name, job_run_id)
        && let Some((workflow, id)) = workflow_of(client, job, run).await?
    {
        if workflow.as_ref().is_some_and(|name| *name != gate.workflow_name) {
            return Err(Failed::Refused(Verdict::Refuse {
                error: Refusal::WorkflowRunNotFound,
                cause: format!(
                    "The event's job run belongs to another workflow than {}. Nothing was loaded.",
                    gate.workflow_name
                ),
            }));
        }
        return Ok(Wanted::Run(id));
    }
    let Some(time) = time else { return Ok(Wanted::Latest) };
    let at = DateTime::from_str(time, Format::DateTimeWithOffset).ok().and_then(|at| SystemTime::try_from(at).ok());
    at.map(Wanted::Before).ok_or_else(|| {
        Failed::Refused(Verdict::Refuse {
            error: Refusal::WorkflowRunNotFound,
            cause: "The event's time is not RFC 3339, so it is unknown which run of the workflow it belongs to. \
                    Nothing was loaded."
                .into(),
        })
    })
}

/// The workflow and the workflow run that started a job run, if its arguments name them.
async fn workflow_of(client: &Client, job: &str, run: &str) -> Result<Option<(Option<String>, String)>> {
    let answer = match client.get_job_run().job_name(job).run_id(run).send().await {
        Ok(answer) => answer,
        // An event that was put by hand may name any run.
        Err(e) if e.code() == Some("EntityNotFoundException") => return Ok(None),
        Err(e) => return Err(Error::from_sdk("read the event's job run", e)),
    };
    let mut arguments = answer.job_run.and_then(|run| run.arguments).unwrap_or_default();
    let id = arguments.remove("--WORKFLOW_RUN_ID").filter(|id| !id.is_empty());
    Ok(id.map(|id| (arguments.remove("--WORKFLOW_NAME"), id)))
}

/// Every run of the workflow that Glue remembers.
async fn runs(client: &Client, workflow: &str) -> Result<Vec<Run>> {
    let list = client.get_workflow_runs().name(workflow).include_graph(false).max_results(PAGE);
    let mut pages = list.into_paginator().send();
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| Error::from_sdk("list the workflow's runs", e))?;
        all.extend(page.runs.unwrap_or_default().into_iter().filter_map(read));
    }
    Ok(all)
}

fn read(run: aws_sdk_glue::types::WorkflowRun) -> Option<Run> {
    let counted = run.statistics.map(|s| Actions {
        total: s.total_actions,
        succeeded: s.succeeded_actions,
        failed: s.failed_actions,
        timed_out: s.timeout_actions,
        stopped: s.stopped_actions,
        errored: s.errored_actions,
    });
    Some(Run {
        id: run.workflow_run_id.filter(|id| shown::id(id).is_some())?,
        started: run.started_on.and_then(|at| SystemTime::try_from(at).ok()),
        status: run
            .status
            .as_ref()
            .and_then(|status| shown::status_word(status.as_str()))
            .unwrap_or_default()
            .to_owned(),
        actions: counted.unwrap_or_default(),
    })
}

/// What follows from the runs, at this look: the run that the load belongs to, and the verdict.
fn decide<'a>(workflow: &str, wanted: &Wanted, runs: &'a [Run], looks: u32) -> (Option<&'a Run>, Verdict) {
    let latest = |runs: &mut dyn Iterator<Item = &'a Run>| runs.max_by_key(|run| run.started);
    let run = match wanted {
        Wanted::Run(id) => runs.iter().find(|run| run.id == *id),
        Wanted::Before(time) => latest(&mut runs.iter().filter(|run| run.started.is_some_and(|at| at <= *time))),
        Wanted::Latest => latest(&mut runs.iter()),
    };
    let refuse = |error, cause| Verdict::Refuse { error, cause };
    let Some(run) = run else {
        let why = match wanted {
            Wanted::Run(_) => "does not have the run that the event names",
            Wanted::Before(_) => "has no run that started before the event",
            Wanted::Latest => "has never run",
        };
        return (
            None,
            refuse(Refusal::WorkflowRunNotFound, format!("The Glue workflow {workflow} {why}. Nothing was loaded.")),
        );
    };
    let minutes = LOOKS * u32::try_from(PAUSE.as_secs()).unwrap_or_default() / 60;
    let is_last_look = looks >= LOOKS;
    let about = format!("Run {} of the Glue workflow {workflow}", cut(&run.id, 300));
    if run.is_under_way() {
        return (
            Some(run),
            match is_last_look {
                false => Verdict::Wait(PAUSE),
                true => refuse(
                    Refusal::WorkflowNotFinished,
                    format!(
                        "{about} is still {} after {minutes} minutes. Nothing was loaded; run this execution again when \
                     it has ended.",
                        run.status
                    ),
                ),
            },
        );
    }
    if run.status != "COMPLETED" || !run.actions.have_succeeded() {
        let Actions { total, succeeded, failed, timed_out, stopped, errored } = run.actions;
        let status = if run.status.is_empty() { "unknown" } else { &run.status };
        let cause = format!(
            "{about} has not succeeded: status {status}; of {total} actions {succeeded} succeeded (SucceededActions), \
             {failed} failed (FailedActions), {timed_out} timed out (TimeoutActions), {stopped} were stopped \
             (StoppedActions), {errored} did not start (ErroredActions). Nothing was loaded."
        );
        return (Some(run), refuse(Refusal::WorkflowNotSucceeded, cause));
    }
    // A run that does not say when it started may be a later one.
    let is_later = |other: &&Run| other.id != run.id && other.started.is_none_or(|at| Some(at) >= run.started);
    let Some(later) = runs.iter().filter(is_later).find(|other| other.is_under_way()) else {
        return (Some(run), Verdict::Ready);
    };
    (
        Some(run),
        match is_last_look {
            false => Verdict::Wait(PAUSE),
            true => refuse(
                Refusal::WorkflowNotFinished,
                format!(
                    "{about} has succeeded, but the later run {} is still {} after {minutes} minutes, and fills the \
                 staging area. Nothing was loaded; the end of that run starts a load of both.",
                    cut(&later.id, 300),
                    later.status
                ),
            ),
        },
    )
}

/// What passes by itself is checked again.
fn after_failure(workflow: &str, error: &Error, memory: &Memory) -> Verdict {
    let passes = matches!(error.kind(), ErrorKind::Throttled | ErrorKind::ServiceUnavailable);
    if passes && memory.failed_looks < FAILED_LOOKS && memory.looks < LOOKS {
        return Verdict::Wait(PAUSE);
    }
    let text = cut(&error.to_string(), MAX_TEXT_CHARS);
    let cause = format!("The Glue workflow {workflow} could not be read: {text}. Nothing was loaded.");
    Verdict::Refuse { error: Refusal::WorkflowLookupFailed, cause }
}

#[cfg(test)]
mod tests {
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
        let memory = |looks, failed_looks| Memory { looks, failed_looks, workflow_run_id: None };
        let waits = |error: &Error, memory| after_failure("w", error, &memory) == Verdict::Wait(PAUSE);
        assert!(
            waits(&unavailable, memory(1, 1))
                && waits(&Error::new(ErrorKind::Throttled, "x"), memory(5, FAILED_LOOKS - 1))
        );
        assert!(!waits(&unavailable, memory(6, FAILED_LOOKS)) && !waits(&unavailable, memory(LOOKS, 1)));
        assert!(!waits(&denied, memory(1, 1)));
        let Verdict::Refuse { error, cause } = after_failure("w", &denied, &memory(1, 1)) else { panic!("waits") };
        assert!(
            error == Refusal::WorkflowLookupFailed && cause.contains("workflow w could not be read: no"),
            "{cause}"
        );
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
        mock!(Client::get_job_run)
            .match_requests(|r| r.job_name() == Some("j") && r.run_id() == Some("jr_1"))
            .then_output(move || {
                let arguments =
                    arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                let run = JobRun::builder().set_arguments(Some(arguments)).build();
                GetJobRunOutput::builder().job_run(run).build()
            })
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
            assert_eq!(
                (looks, last["Error"].as_str()),
                (failed_looks, Some("WorkflowLookupFailed")),
                "{status} {body}"
            );
            assert!(!last.to_string().contains("hunter2"), "{last}");
        }
    }
}
