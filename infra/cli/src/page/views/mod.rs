//! What the page says, as HTML. The report of the demo is made of the same parts.
//!
//! Everything that is data is escaped by maud. Parts with an id are replaced while the page is open.

mod executions;
mod inbox;
mod markdown;
mod runs;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::action::{Choice, Message};
use super::data::{Asked, Found};
use super::drawing::{Mark, drawing};
use super::graph::Graph;
use super::words::{seconds, short};
use crate::Moment;
use crate::executions::Execution;

pub(super) use executions::{chosen, details, list};
pub(super) use inbox::inbox;
pub(super) use runs::{rows, runs};

pub(super) const STYLE: &str = include_str!("../style.css");
pub(super) const SCRIPT: &str = include_str!("../page.js");
pub(super) const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M3 13V3h4v6h6v4z" fill="#2563eb"/></svg>"##;

/// What is shown of the local stack alone.
pub(super) struct OfLocal {
    pub(super) faults: Vec<Choice>,
    pub(super) correction: String,
    pub(super) waiting: Vec<String>,
    pub(super) inbox: Vec<Message>,
}

/// What came of the last button.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) failed: bool,
}

/// The whole page.
pub(super) struct Page<'a> {
    pub(super) stack: &'a str,
    pub(super) graph: &'a Graph,
    pub(super) asked: &'a Asked,
    pub(super) found: &'a Found,
    pub(super) local: Option<&'a OfLocal>,
    pub(super) said: Option<&'a Said>,
}

impl Page<'_> {
    pub(super) fn html(&self) -> Markup {
        let chosen = self.found.chosen.as_ref().and_then(|chosen| chosen.as_deref().ok());
        let state = chosen.map(|execution| execution.summary.status.as_str());
        let head = html! {
            title { @if let Some(state) = state { (state) " · " } (self.stack) }
            link rel="icon" type="image/svg+xml" href="icon.svg";
            link rel="stylesheet" href="style.css";
            script type="module" src="page.js" {}
        };
        let is_local = self.local.is_some();
        let body = html! {
            a class="skip" href="#content" { "To the content" }
            header {
                h1 { (self.stack) }
                p { @if is_local { "The local stack" } @else { "On AWS, read only" } ". As of " span id="as-of" { (Moment::now()) } " UTC. " a id="reload" href="" { "Look again" } }
            }
            main id="content" {
                p id="news" role="status" class=(chosen.map_or("news", |e| Mark::of_status(&e.summary.status).class())) { (news(self.found.chosen.as_ref())) }
                @if let Some(said) = self.said {
                    p id="said" role=(if said.failed { "alert" } else { "status" }) class=(if said.failed { "said failed" } else { "said" }) { (said.text) }
                }
                @if let Some(local) = self.local { (buttons(local, chosen)) }
                div class="columns" {
                    (machine("", self.graph, chosen))
                    div {
                        (list(self.found.executions.as_ref(), chosen))
                        (self::chosen(self.found.chosen.as_ref()))
                    }
                }
                (runs(self.found.runs.as_ref(), self.asked.run.as_ref(), is_local))
                @if let Some((audit, run)) = &self.asked.run { (rows(audit, run, self.found.rows.as_ref())) }
                @if let Some(local) = self.local { (inbox("", &local.inbox)) }
            }
        };
        frame(&head, &body)
    }
}

/// A document.
pub(super) fn frame(head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                (head)
            }
            body { (body) }
        }
    }
}

/// The style within a document of its own.
pub(super) fn own_style() -> Markup {
    html! { style { (PreEscaped(STYLE)) } }
}

/// One sentence that changes only if something has happened: a screen reader says it.
fn news(chosen: Option<&std::result::Result<std::sync::Arc<Execution>, String>>) -> String {
    let execution = match chosen {
        None => return "No execution yet.".to_owned(),
        Some(Err(error)) => return format!("The executions cannot be read: {error}"),
        Some(Ok(execution)) => execution,
    };
    let summary = &execution.summary;
    let name = short(&summary.name);
    let mark = Mark::of_status(&summary.status).sign();
    match (execution.current(), &execution.error) {
        (Some(visit), _) => format!("{mark} {name} is {} in {}.", summary.status, visit.state),
        (None, Some(error)) => {
            format!("{mark} {name} is {} after {}: {error}.", summary.status, seconds(execution.seconds))
        }
        (None, None) if summary.is_running() => format!("{mark} {name} has started."),
        (None, None) => format!("{mark} {name} is {} after {}.", summary.status, seconds(execution.seconds)),
    }
}

/// The graph. `scope` begins each id: a report has several.
pub(super) fn machine(scope: &str, graph: &Graph, execution: Option<&Execution>) -> Markup {
    let heading = format!("{scope}machine-heading");
    html! {
        section aria-labelledby=(labelled(scope, &heading)) {
            h2 id=(heading) { "State machine" }
            ul class="legend" {
                @for mark in Mark::ALL { li class=(mark.class()) { span aria-hidden="true" { (mark.sign()) } " " (mark.word()) } }
            }
            div id=(format!("{scope}machine")) class="scroll" role="group" tabindex="0" aria-labelledby=(heading) { (drawing(scope, graph, execution)) }
        }
    }
}

fn buttons(local: &OfLocal, chosen: Option<&Execution>) -> Markup {
    let failed = chosen.filter(|execution| Mark::of_status(&execution.summary.status) == Mark::Failed);
    html! {
        section aria-labelledby="buttons-heading" {
            h2 id="buttons-heading" { "Try it" }
            div id="buttons" class="buttons" {
                form method="post" action="event" { button id="event" class="main" { "Put the event" } }
                form method="post" action="fault" {
                    label for="faults" { "Fault" }
                    select id="faults" name="fault" { @for fault in &local.faults { option value=(fault.name) { (fault.text) } } }
                    button id="fault" { "Set the fault" }
                }
                form method="post" action="mend" { button id="mend" { "Clear faults" } }
                form method="post" action="correct" { button id="correct" { (local.correction) } }
                @if let Some(execution) = failed {
                    form method="post" action="again" {
                        input type="hidden" name="execution" value=(execution.summary.arn);
                        button id="again" { "Run " (short(&execution.summary.name)) " again" }
                    }
                }
            }
            p id="waiting" {
                @if local.waiting.is_empty() { "No fault is set." } @else { "Set, and not struck yet: " (local.waiting.join(", ")) "." }
            }
        }
    }
}

/// The ids of what names a section: in a report, the title of its part as well.
fn labelled(scope: &str, heading: &str) -> String {
    if scope.is_empty() { heading.to_owned() } else { format!("{scope}title {heading}") }
}

/// A table that may be wider than a phone.
fn wide(id: &str, label: &str, table: &Markup) -> Markup {
    html! { div id=(id) class="scroll" role="group" tabindex="0" aria-label=(label) { (table) } }
}

/// What stands in place of an answer that is not there.
fn instead<T>(answer: Option<&std::result::Result<T, String>>, asking: &str) -> Markup {
    html! {
        @match answer {
            None => p { (asking) },
            Some(Err(error)) => p class="failed" { "✗ " (error) },
            Some(Ok(_)) => {}
        }
    }
}

/// An answer, by reference.
type Given<'a, T> = Option<&'a std::result::Result<T, String>>;
