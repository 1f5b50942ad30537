//! An execution from its description and its history, as boto3 returns them.

use serde_json::Value;

use super::model::{Execution, Statement, Summary, Visit};
use super::phases::{Phase, Phases};
use crate::moment::Moment;
use crate::{Error, Result};

impl Summary {
    /// From an item of ListExecutions, or from the answer of DescribeExecution.
    ///
    /// # Errors
    /// If it has no ARN, status or start.
    pub(super) fn read(item: &Value) -> Result<Self> {
        let arn = text(item, "executionArn").ok_or_else(|| lacks("ARN"))?;
        Ok(Self {
            name: text(item, "name").unwrap_or_else(|| arn.rsplit(':').next().unwrap_or_default().to_owned()),
            status: text(item, "status").ok_or_else(|| lacks("status"))?,
            started: moment(item, "startDate").ok_or_else(|| lacks("start"))?,
            ended: moment(item, "stopDate"),
            arn,
        })
    }
}

impl Execution {
    /// From the answer of DescribeExecution, and the `events` of GetExecutionHistory. An execution that runs has run until `now`.
    ///
    /// # Errors
    /// If the description has no ARN, status or start.
    pub fn read(described: &Value, events: &[Value], now: Moment) -> Result<Self> {
        let summary = Summary::read(described)?;
        let last = events.iter().filter_map(|event| moment(event, "timestamp")).max();
        let until = match summary.is_running() {
            // The clocks of two machines differ a little.
            true => last.map_or(now, |last| last.max(now)),
            false => summary.ended.or(last).unwrap_or(now),
        };
        let mut states = visits(events, until);
        if !summary.is_running()
            && let Some(visit) = states.last_mut()
            && visit.left.is_none()
        {
            visit.left = Some(until);
            visit.failed |= !summary.has_succeeded();
        }
        let statements = statements(events);
        let seconds = until.seconds_since(summary.started);
        let output = json_of(described, "output");
        Ok(Self {
            seconds,
            error: text(described, "error"),
            cause: text(described, "cause"),
            covered_by: text(&output, "CoveredBy"),
            unresolved_runs: output["UnresolvedRuns"].as_u64(),
            notified: output["Notified"].as_u64(),
            phases: Phases::of(&states, &statements, seconds, until),
            states,
            statements,
            summary,
        })
    }
}

/// The states in the order in which they were entered. The machine has no branches, so that what happens between an entry and an exit
/// belongs to that state.
fn visits(events: &[Value], until: Moment) -> Vec<Visit> {
    let mut visits: Vec<Visit> = Vec::new();
    for event in events {
        let (Some(of), Some(at)) = (event["type"].as_str(), moment(event, "timestamp")) else { continue };
        if let Some(kind) = of.strip_suffix("StateEntered") {
            let state = text(&event["stateEnteredEventDetails"], "name").unwrap_or_default();
            visits.push(Visit {
                phase: Phase::of(&state),
                state,
                kind: kind.to_owned(),
                entered: at,
                left: None,
                seconds: until.seconds_since(at),
                failed: false,
                failed_tries: 0,
                error: None,
            });
            continue;
        }
        let Some(visit) = visits.last_mut().filter(|visit| visit.left.is_none()) else { continue };
        if of.ends_with("StateExited") {
            visit.left = Some(at);
            visit.seconds = at.seconds_since(visit.entered);
            if let Some(error) = refusal(&visit.state, event) {
                visit.failed = true;
                visit.error = Some(error);
            }
        } else if let Some(error) = failure(of, event) {
            visit.failed = true;
            visit.failed_tries += 1;
            visit.error = Some(error);
        } else if of == "TaskSucceeded" || of == "LambdaFunctionSucceeded" {
            visit.failed = false;
        }
    }
    visits
}

/// The name of the error of a task that failed, timed out, or was never started: `TaskFailed`, `TaskTimedOut`, `TaskStartFailed`,
/// `TaskSubmitFailed`, and the same of `LambdaFunction`.
fn failure(of: &str, event: &Value) -> Option<String> {
    let is_task = of.starts_with("Task") || of.starts_with("LambdaFunction");
    if !is_task || !(of.ends_with("Failed") || of.ends_with("TimedOut")) {
        return None;
    }
    let mut named = of.to_owned();
    named[..1].make_ascii_lowercase();
    let error = text(&event[format!("{named}EventDetails")], "error");
    Some(
        error.unwrap_or_else(|| {
            if of.ends_with("TimedOut") { "States.Timeout" } else { "States.TaskFailed" }.to_owned()
        }),
    )
}

/// The error in the answer of a function that did not fail itself.
fn refusal(state: &str, event: &Value) -> Option<String> {
    let output = json_of(&event["stateExitedEventDetails"], "output");
    let answer = match state {
        "Turn" | "Gate" | "JudgeStep" => &output["Answer"]["Payload"],
        "Submit" | "Check" => &output["Statement"]["Payload"],
        _ => return None,
    };
    text(answer, "Error")
}

/// What each Submit and Check found out about its statement; the last look at each counts.
fn statements(events: &[Value]) -> Vec<Statement> {
    let mut all: Vec<Statement> = Vec::new();
    for next in events.iter().filter_map(statement) {
        match all.iter_mut().find(|known| known.id == next.id) {
            // A state that failed hands on the look before.
            Some(known) if known.has_ended() => {}
            Some(known) => *known = next,
            None => all.push(next),
        }
    }
    all
}

fn statement(event: &Value) -> Option<Statement> {
    let exited = &event["stateExitedEventDetails"];
    if !["Submit", "Check"].contains(&exited["name"].as_str()?) {
        return None;
    }
    let output = json_of(exited, "output");
    let answer = &output["Statement"]["Payload"];
    let status = text(answer, "Status")?;
    let mut statement = Statement {
        step: answer["Step"].as_u64().unwrap_or(0),
        procedure: text(answer, "Procedure").unwrap_or_default(),
        attempt: answer["Attempt"].as_u64().unwrap_or(1),
        id: text(answer, "Id")?,
        status,
        seconds: answer["DurationSeconds"].as_f64(),
        submitted_at: moment(answer, "CreatedAt"),
        ended_at: None,
        result_rows: answer["ResultRows"].as_i64(),
        redshift_query_id: answer["RedshiftQueryId"].as_i64().filter(|id| *id > 0),
        error: text(answer, "Error"),
        cause: text(answer, "Cause"),
    };
    if statement.has_ended() {
        statement.ended_at = moment(event, "timestamp");
    }
    Some(statement)
}

fn lacks(what: &str) -> Error {
    Error::new(format!("Step Functions' answer has no {what} of the execution"))
}

fn text(of: &Value, field: &str) -> Option<String> {
    of[field].as_str().map(str::to_owned)
}

fn moment(of: &Value, field: &str) -> Option<Moment> {
    Moment::parse(of[field].as_str()?)
}

/// A field that is JSON as text.
fn json_of(of: &Value, field: &str) -> Value {
    of[field].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
