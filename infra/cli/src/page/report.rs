//! Executions and what they sent as one HTML file, without a server.

use maud::html;

use super::action::Message;
use super::drawing::Mark;
use super::graph::Graph;
use super::views::{details, frame, inbox, machine, own_style};
use super::words::seconds;
use crate::Result;
use crate::executions::Execution;

/// An execution, and what came of it.
#[derive(Debug)]
pub struct Part {
    /// What it shows, in words.
    pub title: String,
    pub execution: Execution,
    /// The runs that were unresolved after it.
    pub unresolved: Vec<String>,
    pub messages: Vec<Message>,
}

/// The report; a browser shows it from a file, and loads nothing else.
///
/// # Errors
/// If the state machine's definition is none.
pub fn report(title: &str, parts: &[Part]) -> Result<String> {
    let graph = Graph::of_the_loader()?;
    let head = html! {
        meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
        title { (title) }
        (own_style())
    };
    let body = html! {
        header {
            h1 { (title) }
            ul {
                @for (number, part) in parts.iter().enumerate() {
                    @let mark = Mark::of_status(&part.execution.summary.status);
                    li {
                        a href=(format!("#part-{number}")) { (part.title) } ": "
                        span class=(format!("mark {}", mark.class())) { (mark.sign()) " " (part.execution.summary.status) }
                        " in " (seconds(part.execution.seconds)) "; unresolved runs: "
                        @if part.unresolved.is_empty() { "none" } @else { (part.unresolved.join(", ")) }
                    }
                }
            }
        }
        main {
            @for (number, part) in parts.iter().enumerate() {
                div class="part" id=(format!("part-{number}")) {
                    @let scope = format!("{number}-");
                    h2 class="part-title" id=(format!("{scope}title")) { (part.title) }
                    div class="columns" {
                        (machine(&scope, &graph, Some(&part.execution)))
                        div { (details(&scope, &part.execution)) }
                    }
                    (inbox(&scope, &part.messages))
                }
            }
        }
    };
    Ok(frame(&head, &body).into_string())
}
