//! The queue: executions of one state machine run their loads one after the other.
//!
//! An execution waits here for every earlier one that still runs, before a time-out of its own begins to count and
//! before it holds anything in the warehouse. Step Functions says which run, so an execution that dies leaves the
//! queue by itself. The list is eventually consistent: two that start in the same moment may both go on, and the
//! procedures' own lock stays the guarantee.
//!
//! An execution that finds another one waiting which will do the same ends here: what was staged until now is loaded
//! by the one that waits. So a schedule does not pile up behind a slow step.
//!
//! Before an execution goes on, what a dead one left running in the stack's own warehouse is cancelled: the event that
//! an execution was stopped is best effort, and nobody may have seen it.

use std::time::{Duration, SystemTime};

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use serde::Deserialize;
use serde_json::Value;
use shared::attempt::{ExecutionArn, check_execution_id};
use shared::statement::{self, Listed};
use shared::{Error, ErrorKind, ExecutionInput, Result, Target, polling, runtime};
use tracing::{info, warn};

use crate::answer::{Answer, Refusal, Verdict};
use crate::{Config, Services};

/// The longest that an execution queues.
pub const LIMIT: Duration = Duration::from_secs(24 * 3600);
/// The states in which an execution of the machine queues.
pub const QUEUE: [&str; 3] = ["Turn", "HasTurn", "WaitForTurn"];
/// How many waiting executions are checked for one that does the same.
const MOST_LOOKED_AT: usize = 10;
/// Events of a history, newest first, among which the state is that an execution is in: more than one state has.
const NEWEST_EVENTS: i32 = 20;

/// What the state machine asks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Request {
    execution_id: String,
    turn: Turn,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Turn {
    /// Whether another execution may do the same.
    interchangeable: bool,
    /// Whether a gate judges the run that an event names.
    gated: bool,
    /// A hash of what is to be done.
    work: String,
}

/// An execution that runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Execution {
    /// When it was started, or redriven.
    since: SystemTime,
    arn: String,
}

pub(crate) async fn answer(services: &Services, config: &Config, request: Request) -> Result<Value> {
    let verdict = match ExecutionArn::parse(check_execution_id(&request.execution_id)?) {
        Some(arn) => look(services, config, &request, arn).await?,
        // A call by hand queues nowhere.
        None => Verdict::Ready,
    };
    let answer = Answer::from(verdict);
    info!(status = answer.status, refusal = answer.error, covered_by = answer.covered_by, "checked the queue");
    runtime::answer(&answer)
}

async fn look(services: &Services, config: &Config, request: &Request, arn: ExecutionArn<'_>) -> Result<Verdict> {
    // Before the executions: the execution of a statement that is active here and then no longer runs has ended.
    let target: Target = config.target.clone().try_into()?;
    let statements = statement::find_active(&services.redshift, &target, &format!("{}/", arn.machine)).await?;
    let running = running(services, &arn.machine_arn()).await?;
    let own = match running.iter().find(|execution| execution.arn == request.execution_id) {
        Some(own) => own.clone(),
        None => started(services, &request.execution_id).await?,
    };
    let queued = SystemTime::now().duration_since(own.since).unwrap_or_default();
    let earlier = earlier(&running, &own);
    let Some((first, waiting)) = earlier.split_first() else {
        let left = cancel_left(services, &arn, &statements, &running, &own).await?;
        return Ok(wait_for(left.first().map(|left| format!("statement {} ({})", left.id, left.name)), queued));
    };
    if request.turn.interchangeable
        && let Some(by) = covering(services, waiting, &request.turn).await?
    {
        return Ok(Verdict::Covered { by });
    }
    Ok(wait_for(Some(format!("execution {}", first.arn)), queued))
}

/// The executions that go first, the oldest first.
fn earlier(running: &[Execution], own: &Execution) -> Vec<Execution> {
    let mut earlier: Vec<_> = running.iter().filter(|other| *other < own && other.arn != own.arn).cloned().collect();
    earlier.sort_unstable();
    earlier
}

/// Goes on if nothing is in the way, and waits otherwise, within the limit.
fn wait_for(obstacle: Option<String>, queued: Duration) -> Verdict {
    match obstacle {
        None => Verdict::Ready,
        Some(_) if queued < LIMIT => Verdict::Wait(polling::wait_for_turn(queued)),
        Some(obstacle) => Verdict::Refuse {
            error: Refusal::QueueTimedOut,
            cause: format!(
                "The execution has queued for {} hours, and {obstacle} still runs. Nothing was loaded; see what holds \
                 it, and run this execution again.",
                LIMIT.as_secs() / 3600
            ),
        },
    }
}

/// Every execution of the machine that runs.
async fn running(services: &Services, machine: &str) -> Result<Vec<Execution>> {
    let list = services.sfn.list_executions().state_machine_arn(machine).status_filter(ExecutionStatus::Running);
    let mut pages = list.into_paginator().items().send();
    let mut all = Vec::new();
    while let Some(item) = pages.next().await {
        let item = item.map_err(|e| Error::from_sdk("list the executions that run", e))?;
        all.push(Execution { since: since(item.start_date, item.redrive_date)?, arn: item.execution_arn });
    }
    Ok(all)
}

/// An execution that the list does not have yet.
async fn started(services: &Services, arn: &str) -> Result<Execution> {
    let described = services.sfn.describe_execution().execution_arn(arn).send().await;
    let described = described.map_err(|e| Error::from_sdk("describe this execution", e))?;
    Ok(Execution { since: since(described.start_date, described.redrive_date)?, arn: arn.to_owned() })
}

/// A redriven execution queues from its redrive on: until then others went first.
fn since(started: aws_smithy_types::DateTime, redriven: Option<aws_smithy_types::DateTime>) -> Result<SystemTime> {
    let time = redriven.unwrap_or(started);
    SystemTime::try_from(time)
        .map_err(|_| Error::new(ErrorKind::ServiceUnavailable, "an execution's start cannot be read"))
}

/// The execution that does the same and still waits, if there is one. The oldest of all is not among `waiting`: it
/// has its turn.
async fn covering(services: &Services, waiting: &[Execution], own: &Turn) -> Result<Option<String>> {
    for other in waiting.iter().rev().take(MOST_LOOKED_AT) {
        let described = services.sfn.describe_execution().execution_arn(&other.arn).send().await;
        let described = described.map_err(|e| Error::from_sdk("describe an earlier execution", e))?;
        let input = described.input().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        if !ExecutionInput::read(&input).is_ok_and(|input| input.is_interchangeable(own.gated)) {
            continue;
        }
        let history = services.sfn.get_execution_history().execution_arn(&other.arn).reverse_order(true);
        let history = history.include_execution_data(true).max_results(NEWEST_EVENTS).send().await;
        let history = history.map_err(|e| Error::from_sdk("read an earlier execution's history", e))?;
        if waits_with(history.events()).is_some_and(|other| other.work == own.work) {
            return Ok(Some(other.arn.clone()));
        }
    }
    Ok(None)
}

/// What an execution waits with, if the state that it entered last is one of the queue; `events` are the newest first.
/// It may have been planned before the configuration changed.
fn waits_with(events: &[HistoryEvent]) -> Option<Turn> {
    let entered = events.iter().find_map(HistoryEvent::state_entered_event_details)?;
    let data: Value = serde_json::from_str(entered.input().filter(|_| QUEUE.contains(&entered.name()))?).ok()?;
    runtime::parse(data.get("Turn")?.clone()).ok()
}

/// The active statements of executions of this machine that do not run.
fn orphans<'a>(
    arn: &ExecutionArn<'_>,
    statements: &'a [Listed],
    running: &[Execution],
    own: &Execution,
) -> Vec<(String, &'a Listed)> {
    let execution = |listed: &Listed| listed.name.split('/').nth(1).map(|name| arn.sibling(name));
    let runs = |arn: &String| *arn == own.arn || running.iter().any(|other| other.arn == *arn);
    let named = statements.iter().filter_map(|listed| Some((execution(listed)?, listed)));
    named.filter(|(execution, _)| !runs(execution)).collect()
}

/// Requests the cancellation of what executions left running that have ended; what of it there is.
async fn cancel_left<'a>(
    services: &Services,
    arn: &ExecutionArn<'_>,
    statements: &'a [Listed],
    running: &[Execution],
    own: &Execution,
) -> Result<Vec<&'a Listed>> {
    let mut left = Vec::new();
    for (execution, listed) in orphans(arn, statements, running, own) {
        // The list may lack an execution that has just started; what is described as ended has ended.
        let described = services.sfn.describe_execution().execution_arn(&execution).send().await;
        let ended = match described {
            Ok(described) => described.status != ExecutionStatus::Running,
            Err(e) if e.as_service_error().is_some_and(|e| e.is_execution_does_not_exist()) => false,
            Err(e) => return Err(Error::from_sdk("describe an execution that left a statement", e)),
        };
        if ended {
            let taken = statement::cancel(&services.redshift, &listed.id).await?;
            warn!(statement_id = %listed.id, statement_name = listed.name, taken, "cancelled what an execution left");
            left.push(listed);
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_redshiftdata::operation::cancel_statement::CancelStatementOutput;
    use aws_sdk_redshiftdata::operation::list_statements::ListStatementsOutput;
    use aws_sdk_redshiftdata::types::{StatementData, StatusString};
    use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
    use aws_sdk_sfn::operation::get_execution_history::GetExecutionHistoryOutput;
    use aws_sdk_sfn::operation::list_executions::ListExecutionsOutput;
    use aws_sdk_sfn::types::{ExecutionListItem, HistoryEventType, StateEnteredEventDetails};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_types::DateTime;
    use serde_json::json;
    use shared::runtime::lazy;
    use shared::testing::ID;

    const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:loader";

    fn arn(name: &str) -> String {
        format!("arn:aws:states:eu-west-1:123456789012:execution:loader:{name}")
    }

    fn ago(seconds: i64) -> DateTime {
        DateTime::from_secs(DateTime::from(SystemTime::now()).secs() - seconds)
    }

    fn execution(name: &str, since: u64) -> Execution {
        Execution { since: SystemTime::UNIX_EPOCH + Duration::from_secs(since), arn: arn(name) }
    }

    #[test]
    fn the_oldest_goes_first_and_ties_have_an_order() {
        let all = [execution("b", 2), execution("a", 2), execution("c", 1), execution("d", 3)];
        let before = |name: &str| {
            let own = all.iter().find(|e| e.arn == arn(name)).expect("known");
            earlier(&all, own).iter().map(|e| e.arn.rsplit(':').next().expect("a name").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(before("c"), [""; 0]);
        assert_eq!(before("a"), ["c"]);
        assert_eq!(before("b"), ["c", "a"]);
        assert_eq!(before("d"), ["c", "a", "b"]);
        // The list may not have this one yet.
        assert_eq!(earlier(&all, &execution("e", 4)).len(), 4);
    }

    #[test]
    fn the_queue_is_bounded() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        assert_eq!(wait_for(None, hours(99)), Verdict::Ready);
        assert_eq!(wait_for(Some("x".into()), hours(0)), Verdict::Wait(Duration::from_secs(5)));
        assert_eq!(wait_for(Some("x".into()), hours(23)), Verdict::Wait(Duration::from_secs(300)));
        let Verdict::Refuse { error, cause } = wait_for(Some("execution x".into()), hours(24)) else { panic!("waits") };
        assert!(error == Refusal::QueueTimedOut && cause.contains("execution x still runs"), "{cause}");
    }

    fn listing(executions: &'static [(&'static str, i64)]) -> Rule {
        mock!(aws_sdk_sfn::Client::list_executions)
            .match_requests(|r| {
                r.state_machine_arn() == Some(MACHINE) && r.status_filter() == Some(&ExecutionStatus::Running)
            })
            .then_output(move || {
                let item = |(name, age): &(&str, i64)| {
                    let item = ExecutionListItem::builder().execution_arn(arn(name)).state_machine_arn(MACHINE);
                    let item = item.name(*name).status(ExecutionStatus::Running).start_date(ago(*age));
                    item.build().expect("complete")
                };
                let items = executions.iter().map(item).collect();
                ListExecutionsOutput::builder().set_executions(Some(items)).build().expect("complete")
            })
    }

    fn described(name: &'static str, status: ExecutionStatus, input: &'static str) -> Rule {
        mock!(aws_sdk_sfn::Client::describe_execution)
            .match_requests(move |r| r.execution_arn() == Some(arn(name).as_str()))
            .then_output(move || {
                let output = DescribeExecutionOutput::builder().execution_arn(arn(name)).state_machine_arn(MACHINE);
                output.status(status.clone()).start_date(ago(1)).input(input).build().expect("complete")
            })
    }

    fn history(name: &'static str, states: &'static [&'static str]) -> Rule {
        mock!(aws_sdk_sfn::Client::get_execution_history)
            .match_requests(move |r| r.execution_arn() == Some(arn(name).as_str()) && r.reverse_order() == Some(true))
            .then_output(move || {
                let event = |state: &&str| {
                    let entered = StateEnteredEventDetails::builder().name(*state).input(r#"{"Turn": {"Work": "w"}}"#);
                    let entered = entered.build().expect("complete");
                    let event = HistoryEvent::builder().timestamp(ago(1)).r#type(HistoryEventType::TaskStateEntered);
                    event.id(1).state_entered_event_details(entered).build().expect("complete")
                };
                let events = states.iter().map(event).collect();
                GetExecutionHistoryOutput::builder().set_events(Some(events)).build().expect("complete")
            })
    }

    /// The warehouse's active statements, by their names.
    fn active(names: &'static [&'static str]) -> Rule {
        mock!(aws_sdk_redshiftdata::Client::list_statements)
            .match_requests(|r| r.statement_name() == Some("loader/"))
            .then_compute_output(move |r| {
                let names = if r.status() == Some(&StatusString::Started) { names } else { &[] };
                let statement = |name: &&str| {
                    let statement = StatementData::builder().id(ID).statement_name(*name).status(StatusString::Started);
                    statement.build().expect("complete")
                };
                let statements = names.iter().map(statement).collect();
                ListStatementsOutput::builder().set_statements(Some(statements)).build().expect("complete")
            })
    }

    fn cancelling() -> Rule {
        mock!(aws_sdk_redshiftdata::Client::cancel_statement)
            .then_output(|| CancelStatementOutput::builder().status(true).build())
    }

    async fn ask(executions: &[&Rule], statements: &[&Rule], turn: Value) -> Value {
        let executions = mock_client!(aws_sdk_sfn, RuleMode::MatchAny, executions);
        let services = Services {
            redshift: mock_client!(aws_sdk_redshiftdata, RuleMode::MatchAny, statements),
            sfn: lazy(move || executions),
            glue: lazy(|| mock_client!(aws_sdk_glue, [])),
        };
        let config = Config::from_env(|name| ["WORKGROUP_NAME", "DATABASE"].contains(&name).then(|| "w".to_owned()));
        let payload = json!({"Turn": turn, "ExecutionId": arn("own")});
        let request = shared::runtime::parse(payload).expect("a request");
        answer(&services, &config.expect("valid"), request).await.expect("an answer")
    }

    #[tokio::test]
    async fn without_an_earlier_execution_the_turn_has_come() {
        let nothing = active(&[]);
        for list in [listing(&[("own", 5)]), listing(&[("own", 5), ("later", 1)])] {
            assert_eq!(ask(&[&list], &[&nothing], json!({})).await["Status"], "READY");
        }
        // The list does not have this execution yet.
        let own = described("own", ExecutionStatus::Running, "{}");
        assert_eq!(ask(&[&listing(&[("later", -9)]), &own], &[&nothing], json!({})).await["Status"], "READY");
        assert_eq!(ask(&[&listing(&[("earlier", 9)]), &own], &[&nothing], json!({})).await["Status"], "WAITING");
    }

    #[tokio::test]
    async fn an_earlier_execution_goes_first() {
        let list = listing(&[("own", 5), ("earlier", 9), ("later", 1)]);
        let (nothing, may) = (active(&["loader/earlier/0/1"]), json!({"Interchangeable": true}));
        let answer = ask(&[&list], &[&nothing], may).await;
        assert_eq!((&answer["Status"], &answer["WaitSeconds"]), (&json!("WAITING"), &json!(5)));
        let late = listing(&[("own", 90_000), ("earlier", 90_001)]);
        assert_eq!(ask(&[&late], &[&nothing], json!({})).await["Error"], "QueueTimedOut");
    }

    /// One runs, one waits: what comes next is covered by the one that waits, if the two do the same.
    #[tokio::test]
    async fn one_that_waits_covers_another_that_does_the_same() {
        let list = listing(&[("own", 5), ("waiting", 7), ("running", 9)]);
        let event = r#"{"detail-type": "Glue Job State Change", "detail": {"jobName": "j"}}"#;
        let own = r#"{"Procedures": [{"Procedure": "dev.p"}]}"#;
        let queue: &[&str] = &["WaitForTurn", "HasTurn", "Turn"];
        let turn = |gated, work: &str| json!({"Interchangeable": true, "Gated": gated, "Work": work});
        let (same, gated, changed) = (turn(false, "w"), turn(true, "w"), turn(false, "another list"));
        for (turn, input, states, expected) in [
            (&same, "{}", queue, "COVERED"),
            (&same, "{}", &["Turn", "IsDryRun"], "COVERED"),
            (&same, "{}", &["Submit", "HasTurn"], "WAITING"),
            (&same, "{}", &["RunStep", "HasTurn"], "WAITING"),
            (&same, "{}", &[], "WAITING"),
            (&same, event, queue, "COVERED"),
            (&changed, "{}", queue, "WAITING"),
            (&gated, event, queue, "WAITING"),
            (&gated, "{}", queue, "COVERED"),
            (&same, own, queue, "WAITING"),
            (&same, "not JSON", queue, "WAITING"),
            (&json!({}), "{}", queue, "WAITING"),
        ] {
            let (nothing, other) = (active(&[]), described("waiting", ExecutionStatus::Running, input));
            let answer = ask(&[&list, &other, &history("waiting", states)], &[&nothing], turn.clone()).await;
            assert_eq!(answer["Status"], expected, "{turn} {input} {states:?}");
            let by = (expected == "COVERED").then(|| arn("waiting"));
            assert_eq!(answer["CoveredBy"].as_str().map(str::to_owned), by);
        }
    }

    #[tokio::test]
    async fn what_a_dead_execution_left_is_cancelled_and_waited_for() {
        let list = listing(&[("own", 5), ("later", 1)]);
        for (left, status, expected, cancels) in [
            (&["loader/dead/0/1"][..], ExecutionStatus::Aborted, "WAITING", 1),
            (&["loader/dead/0/1"], ExecutionStatus::Failed, "WAITING", 1),
            // Started a moment ago, and not in the list yet.
            (&["loader/dead/0/1"], ExecutionStatus::Running, "READY", 0),
            (&["loader/own/0/1", "loader/later/0/1"], ExecutionStatus::Aborted, "READY", 0),
            (&[], ExecutionStatus::Aborted, "READY", 0),
        ] {
            let (statements, cancel) = (active(left), cancelling());
            let dead = described("dead", status.clone(), "{}");
            let answer = ask(&[&list, &dead], &[&statements, &cancel], json!({})).await;
            assert_eq!((answer["Status"].as_str(), cancel.num_calls()), (Some(expected), cancels), "{left:?} {status}");
        }
    }
}
