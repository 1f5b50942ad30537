//! What a chat shows: a custom notification of Amazon Q Developer in chat applications (Slack, Microsoft Teams).
//!
//! [Amazon Q Developer in chat applications administrator guide, "Custom notifications"] A message that is longer than the service takes
//! would be dropped unseen, so every part has a bound, well below that of the guide's schema.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use shared::console::Console;
use shared::error::cut;

use super::text::{command, loader, title};
use super::{Composer, Event, MAX_WORD_CHARS, named, rfc3339, word};
use crate::config::Stack;
use crate::ended::Ended;
use crate::publish::hex;
use crate::run::{Digest, Run};

const MAX_TITLE_CHARS: usize = 200;
const MAX_DESCRIPTION_CHARS: usize = 3_000;
const MAX_STEP_CHARS: usize = 300;
const THREAD_CHARS: usize = 40;

/// The message.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    version: &'static str,
    source: &'static str,
    content: Content,
    metadata: Metadata,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    text_type: &'static str,
    title: String,
    description: String,
    next_steps: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    /// What is told of one run is one conversation.
    thread_id: String,
    summary: String,
    event_type: &'static str,
}

pub(super) fn run(composer: &Composer<'_>, event: Event, run: &Run) -> Message {
    let title = title(composer, run);
    let rows = named(run).map(|m| (m.rows, word(&m.kind)));
    let (title, description, steps) = match event {
        Event::Resolved => (
            format!(":white_check_mark: Resolved: {title}"),
            "All of its mismatches are gone, or were resolved by hand.".to_owned(),
            Vec::new(),
        ),
        event => {
            let mut description = table(rows);
            if let Some(since) = run.since.and_then(rfc3339).filter(|_| event == Event::Reminder) {
                let _ = write!(description, "\nUnresolved since {since}, told {} times.", run.told);
            }
            let sign = if event == Event::Reminder { ":bell: Reminder: " } else { ":warning: " };
            let step = |name, what: &str| format!("`{}` {what}", command(composer, name, run));
            let steps =
                vec![step("show", "shows its rows on both sides"), step("silence", "ends the reminders for 7 days")];
            (format!("{sign}{title}"), description, steps)
        }
    };
    message(event, &thread(composer.stack, &run.id.shown()), title, description, steps, composer.execution)
}

pub(super) fn runs(composer: &Composer<'_>, event: Event, digest: &Digest) -> Message {
    let what = if event == Event::ResolvedDigest { ":white_check_mark: Resolved:" } else { ":warning:" };
    let title = format!("{what} {} runs, {} rows: {}", digest.runs, digest.rows, composer.audited.words.subject);
    let worst = digest.worst.iter().map(|(id, rows)| (*rows, cut(&id.shown(), MAX_WORD_CHARS)));
    let steps = vec![format!("`{}` lists all of them", loader(composer.stack).command("runs"))];
    message(
        event,
        &thread(composer.stack, &format!("{} digest", composer.audited.name)),
        title,
        table(worst),
        steps,
        composer.execution,
    )
}

pub(super) fn load_not_ended(stack: &Stack, ended: &Ended) -> Message {
    let title = format!(":x: Redshift load did not end by itself: {}", ended.status);
    let description = "status-checker cancels what it left running.".to_owned();
    let steps = vec![
        format!("`{}` shows the executions", loader(stack).command("status")),
        format!("`make rerun EXECUTION={}` starts it again", ended.execution),
    ];
    message(Event::LoadNotEnded, &thread(stack, &ended.execution), title, description, steps, &ended.execution)
}

fn message(
    event: Event,
    thread: &str,
    title: String,
    description: String,
    steps: Vec<String>,
    execution: &str,
) -> Message {
    let link = Console::of(execution).map(|console| format!("<{}|The execution>", console.execution()));
    let steps = steps.into_iter().filter(|step| step.chars().count() <= MAX_STEP_CHARS);
    Message {
        version: "1.0",
        source: "custom",
        content: Content {
            text_type: "client-markdown",
            title: cut(&title, MAX_TITLE_CHARS),
            description: cut(&description, MAX_DESCRIPTION_CHARS),
            next_steps: steps.chain(link).collect(),
        },
        metadata: Metadata {
            thread_id: thread.to_owned(),
            summary: cut(&title, MAX_TITLE_CHARS),
            event_type: event.name(),
        },
    }
}

/// Counts under each other. Neither Slack nor Teams has tables in this markdown.
fn table(rows: impl Iterator<Item = (i64, String)>) -> String {
    let lines: String = rows.map(|(count, what)| format!("{count:>9}  {what}\n")).collect();
    format!("```\n     rows\n{}```", lines.replace('`', "'"))
}

/// The conversation about a run, the same for every audit and execution of a stack.
fn thread(stack: &Stack, about: &str) -> String {
    let hash = Sha256::digest(format!("{}/{about}", stack.name.as_deref().unwrap_or_default()));
    hex(&hash).chars().take(THREAD_CHARS).collect()
}
