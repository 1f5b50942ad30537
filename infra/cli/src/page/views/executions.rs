//! Executions, and where the time of one went.

use std::sync::Arc;

use maud::{Markup, html};

use super::{Given, instead, labelled, wide};
use crate::executions::{Execution, Phases, Statement};
use crate::page::drawing::{Mark, in_states};
use crate::page::words::{count, seconds, short};

/// What takes less than this is not mentioned.
const SHORTEST: f64 = 0.05;

/// The last executions.
pub(crate) fn list(all: Given<'_, Vec<Arc<Execution>>>, chosen: Option<&Execution>) -> Markup {
    let none = html! { p { "No execution yet." } };
    html! {
        section aria-labelledby="executions-heading" {
            h2 id="executions-heading" { "Executions" }
            (instead(all, "The executions are being read."))
            @if let Some(Ok(all)) = all {
                @if all.is_empty() { (none) } @else { (wide("executions", "Executions", &table(all, chosen))) }
            }
        }
    }
}

fn table(all: &[Arc<Execution>], chosen: Option<&Execution>) -> Markup {
    let longest = all.iter().map(|execution| execution.seconds).fold(0.0, f64::max);
    html! {
        table {
            thead { tr { th scope="col" { "Execution" } th scope="col" { "Result" } th scope="col" { "Started (UTC)" } th scope="col" class="number" { "Took" } th scope="col" { "Where the time went" } } }
            tbody {
                @for execution in all {
                    @let is_chosen = chosen.is_some_and(|chosen| chosen.summary.arn == execution.summary.arn);
                    tr id=(format!("e-{}", execution.summary.name)) {
                        th scope="row" { a href=(link(execution)) aria-current=[is_chosen.then_some("true")] title=(execution.summary.name) { (short(&execution.summary.name)) } }
                        td { (result(&execution.summary.status)) }
                        td { (execution.summary.started) }
                        td class="number" { (seconds(execution.seconds)) }
                        td { (bar(&execution.phases, longest)) }
                    }
                }
            }
        }
    }
}

fn link(execution: &Execution) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("execution", &execution.summary.name);
    format!("?{}", query.finish())
}

fn result(status: &str) -> Markup {
    let mark = Mark::of_status(status);
    html! { span class=(format!("mark {}", mark.class())) { (mark.sign()) " " (status) } }
}

/// The phases beside each other, the whole as wide as the longest execution, and the same in words.
pub(crate) fn bar(phases: &Phases, longest: f64) -> Markup {
    let mut at = 0.0;
    let mut parts = Vec::new();
    for (name, seconds) in phases.each() {
        let width = if longest > 0.0 { seconds / longest * 100.0 } else { 0.0 };
        parts.push((name, at, width));
        at += width;
    }
    let words: Vec<_> = phases
        .each()
        .into_iter()
        .filter(|(_, took)| *took >= SHORTEST)
        .map(|(name, took)| format!("{name} {}", seconds(took)))
        .collect();
    html! {
        svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
            @for (name, x, width) in parts {
                @if width > 0.0 { rect class=(format!("phase {name}")) x=(format!("{x:.2}")) y="0" width=(format!("{width:.2}")) height="6" {} }
            }
        }
        span class="words" { (words.join(" · ")) }
    }
}

/// One execution: its states with their times, and its statements.
pub(crate) fn chosen(chosen: Given<'_, Arc<Execution>>) -> Markup {
    let Some(Ok(execution)) = chosen else { return html! {} };
    details("", execution)
}

/// The same; `scope` begins each id.
pub(crate) fn details(scope: &str, execution: &Execution) -> Markup {
    let heading = format!("{scope}chosen-heading");
    let name = &execution.summary.name;
    let numbers = [(execution.unresolved_runs, "unresolved run"), (execution.notified, "notification")];
    let numbers: Vec<_> = numbers.into_iter().filter_map(|(number, noun)| Some(count(number?, noun))).collect();
    html! {
        section aria-labelledby=(labelled(scope, &heading)) {
            h2 id=(heading) { "Execution " (name) }
            div id=(format!("{scope}chosen")) {
                p {
                    (result(&execution.summary.status)) ", started " (execution.summary.started) " UTC"
                    @if !numbers.is_empty() { ": " (numbers.join(", ")) }
                }
                @if let Some(by) = &execution.covered_by { p { "It had nothing left to do: " code { (by) } " does its work." } }
                @if let Some(error) = &execution.error {
                    p class="failed" { "✗ " (error) }
                    @if let Some(cause) = execution.cause.as_ref().filter(|cause| !cause.is_empty()) { pre { (cause) } }
                }
                h3 { "States" }
                (wide(&format!("{scope}states"), "Time in each state", &states(scope, execution)))
                h3 { "Statements" }
                @if execution.statements.is_empty() { p { "None yet." } } @else { (wide(&format!("{scope}statements"), "Statements", &statements(scope, &execution.statements))) }
            }
        }
    }
}

fn states(scope: &str, execution: &Execution) -> Markup {
    let all = in_states(execution);
    let longest = all.iter().map(|(_, state)| state.seconds).fold(0.0, f64::max);
    html! {
        table class="states" {
            thead { tr { th scope="col" { "State" } th scope="col" { "Result" } th scope="col" class="number" { "Times" } th scope="col" class="number" { "Took" } td {} } }
            tbody {
                @for (name, state) in all {
                    tr id=(format!("{scope}s-{name}")) {
                        th scope="row" { (name) }
                        td { span class=(format!("mark {}", state.mark.class())) { (state.mark.sign()) " " (state.mark.word()) } }
                        td class="number" { (state.times) }
                        td class="number" { (seconds(state.seconds)) }
                        td class="fill" {
                            svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
                                rect class=(format!("time {}", state.mark.class())) x="0" y="0" height="6" width=(format!("{:.2}", if longest > 0.0 { state.seconds / longest * 100.0 } else { 0.0 })) {}
                            }
                        }
                    }
                }
            }
        }
    }
}

fn statements(scope: &str, all: &[Statement]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Procedure" } th scope="col" class="number" { "Attempt" } th scope="col" { "Status" } th scope="col" class="number" { "Warehouse took" } th scope="col" { "Statement" } } }
            tbody {
                @for statement in all {
                    tr id=(format!("{scope}q-{}", statement.id)) {
                        th scope="row" { (statement.procedure) }
                        td class="number" { (statement.attempt) }
                        td { (of_statement(statement)) @if let Some(error) = &statement.error { " " (error) } }
                        td class="number" { @if let Some(took) = statement.seconds { (format!("{took:.2} s")) } }
                        td {
                            code { (statement.id) }
                            @if let Some(query) = statement.redshift_query_id { ", query " (query) }
                            @if let Some(cause) = &statement.cause { div class="cause" { (cause) } }
                        }
                    }
                }
            }
        }
    }
}

fn of_statement(statement: &Statement) -> Markup {
    let mark = match statement.status.as_str() {
        "FINISHED" => Mark::Done,
        _ if statement.has_ended() => Mark::Failed,
        _ => Mark::Running,
    };
    html! { span class=(format!("mark {}", mark.class())) { (mark.sign()) " " (statement.status) } }
}
