//! The gate: has the Glue workflow run that an event belongs to succeeded?
//!
//! EventBridge has no event for a finished workflow, only for a finished job, and that comes before the run turns
//! COMPLETED. So the gate looks at the workflow's runs, again and again for ten minutes.
//!
//! **Which run.** Known exactly if the event names it (our own event does), or if the job run of the event received
//! it as an argument: a job of a workflow gets `--WORKFLOW_NAME` and `--WORKFLOW_RUN_ID`, and GetJobRun should
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
use serde::Deserialize;
use serde_json::Value;
use shared::error::cut;
use shared::input::Trigger;
use shared::{Error, ErrorKind, Result, WorkflowRun, runtime, shown};
use tracing::{info, warn};

use crate::answer::{Answer, GateMemory, Previous, Refusal, Verdict};

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

/// The run that the gate searches for.
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

async fn look(client: &Client, gate: &Gate, memory: &GateMemory) -> std::result::Result<(Wanted, Vec<Run>), Failed> {
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
fn after_failure(workflow: &str, error: &Error, memory: &GateMemory) -> Verdict {
    let passes = matches!(error.kind(), ErrorKind::Throttled | ErrorKind::ServiceUnavailable);
    if passes && memory.failed_looks < FAILED_LOOKS && memory.looks < LOOKS {
        return Verdict::Wait(PAUSE);
    }
    let text = cut(&error.to_string(), MAX_TEXT_CHARS);
    let cause = format!("The Glue workflow {workflow} could not be read: {text}. Nothing was loaded.");
    Verdict::Refuse { error: Refusal::WorkflowLookupFailed, cause }
}

#[cfg(test)]
mod tests;
