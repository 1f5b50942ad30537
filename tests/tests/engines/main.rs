//! Every path of the state machine, on both engines, with scripted answers. Each scenario says how the
//! execution ends; the engines must agree in the order of states, the payloads, the status, Error and
//! Cause.

mod questions;
mod scripts;
mod statements;

use futures_util::{StreamExt, stream};
use loader::tools::project;
use serde_json::{Value, json};
use shared::{ErrorKind, FailureKind};
use std::collections::{BTreeSet, HashMap};
use std::process::ExitCode;
use std::sync::LazyLock;
use tests::engines::Reply::{self, Fail, Give, Late};
use tests::engines::{Engines, Played, Scenario};
use tests::{Outcome, failed, run, tests};

use questions::*;
use scripts::*;
use statements::*;

/// So many scenarios run at once: more would only wait for the machine's two cores, and time out.
const AT_ONCE: usize = 12;

/// What subscribers get, whoever sends it.
static NOTIFICATION: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let file = project("functions/orders-audit-fn/notification.schema.json");
    let schema = serde_json::from_str(&std::fs::read_to_string(file).expect("the schema")).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
});

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
            played.notified.is_none_or(|notified| notified == path.scenario.topic),
            format!("{engine} sent a notification: {:?}", played.notified),
        );
        expect(
            played.status == status && played.error.as_deref() == path.error,
            format!(
                "{engine} ends {} with {:?} ({}), expected {:?}; states {:?}",
                played.status, played.error, played.cause, path.error, played.states
            ),
        );
        for payload in ["Payload", "Short"].map(|form| &played.notice[form]) {
            expect(payload.is_null() || NOTIFICATION.is_valid(payload), format!("{engine} sends {payload}"));
        }
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
    expect(ministack.notice == moto.notice, format!("notices differ: {} {}", ministack.notice, moto.notice));
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
    // Seven of them tell of a failure without any function.
    assert!(all.len() <= 36, "{} states: a decision belongs into a function", all.len());
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
