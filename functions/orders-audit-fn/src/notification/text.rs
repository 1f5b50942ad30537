//! What a person reads.

use std::fmt::Write as _;

use shared::command::Loader;

use super::{Composer, MOST_KINDS, links, named, rfc3339, word};
use crate::config::{Audit, Stack};
use crate::ended::Ended;
use crate::run::{Digest, Mismatches, Run};

pub(super) fn mismatch(composer: &Composer<'_>, run: &Run) -> String {
    let Audit { table, key, .. } = &composer.audited.audit;
    let condition = run.id.condition(key);
    let mut text = format!("{}\n\n{}", title(composer, run), counts(composer, run));
    if !composer.workflow.is_none() {
        let _ = writeln!(text, "Found after Glue workflow run {}", composer.workflow);
    }
    let _ = write!(
        text,
        "\nTo see:     {} (its rows on both sides)\n\
         To inspect: SELECT * FROM {table} WHERE {condition} AND status <> 'RESOLVED';\n\
         To fix:     correct the rows (the next run loads a late row); the next audit sets what is fixed to RESOLVED.\n\
         To resolve: SET timezone TO 'UTC'; UPDATE {table} SET status = 'RESOLVED', resolved_at = GETDATE() WHERE {condition} AND status <> 'RESOLVED';\n\
         \x20           (an audit that still finds the mismatch re-opens it: silence that)\n\
         To silence: SET timezone TO 'UTC'; UPDATE {table} SET silenced_until = GETDATE() + INTERVAL '7 days' WHERE {condition};\n",
        command(composer, "show", run)
    );
    text + &where_to_look(composer)
}

/// Shorter than the first message: who reads it knows the run.
pub(super) fn reminder(composer: &Composer<'_>, run: &Run) -> String {
    let mut text = format!("Reminder {}: {}\n\n", run.told, title(composer, run));
    let times = if run.told == 1 { "once".to_owned() } else { format!("{} times", run.told) };
    let at = |seconds: Option<i64>| seconds.and_then(rfc3339);
    if let Some(since) = at(run.since) {
        let _ = write!(text, "Unresolved since {since}. ");
    }
    let _ = write!(text, "People were told {times}");
    if let Some(last) = at(run.last_told) {
        let _ = write!(text, ", last {last}");
    }
    let changed = run.mismatches.iter().map(|m| m.changed).sum::<i64>();
    let since_then = match changed {
        0 => "nothing has changed".to_owned(),
        1 => "1 row is new or has changed".to_owned(),
        rows => format!("{rows} rows are new or have changed"),
    };
    let _ = write!(text, "; since then {since_then}.\n\n{}\n", counts(composer, run));
    let _ = writeln!(text, "To see:     {}", command(composer, "show", run));
    let _ = writeln!(text, "To resolve: {}", command(composer, "resolve", run));
    let _ = writeln!(text, "To silence: {}", command(composer, "silence", run));
    text + &where_to_look(composer)
}

pub(super) fn resolved(composer: &Composer<'_>, run: &Run) -> String {
    let gone = match run.rows() {
        1 => "Its mismatch is gone, or was resolved by hand.".to_owned(),
        rows => format!("All {rows} of its mismatches are gone, or were resolved by hand."),
    };
    format!("Resolved: {}\n\n{gone}\n", title(composer, run))
}

pub(super) fn digest(composer: &Composer<'_>, digest: &Digest) -> String {
    let Audit { table, key, .. } = &composer.audited.audit;
    let Digest { runs, rows, .. } = digest;
    format!(
        "{runs} runs do not match, {rows} rows in all. This one message takes the place of {runs}.\n\nThe worst:\n{}\n\
         To see:     {} (all of them)\n\
         To inspect: SELECT {key}, kind, COUNT(*) FROM {table} WHERE status <> 'RESOLVED' GROUP BY 1, 2 ORDER BY 3 DESC;\n{}",
        list(digest),
        loader(composer.stack).command("runs"),
        where_to_look(composer)
    )
}

pub(super) fn resolved_digest(digest: &Digest) -> String {
    let Digest { runs, rows, .. } = digest;
    format!(
        "{runs} runs are clean again: all {rows} of their mismatches are gone, or were resolved by hand. This one message \
         takes the place of {runs}.\n\nThe largest:\n{}",
        list(digest)
    )
}

pub(super) fn load_not_ended(stack: &Stack, ended: &Ended) -> String {
    let mut text = format!(
        "The Redshift load did not end by itself. Its execution is {}{}.\n\n\
         status-checker cancels what it left running. If that fails, MissedEventsAlarm reports it.\n\n\
         What to do: find out who or what stopped it, then run it again.\n\
         To see:     {}\n\
         To rerun:   make rerun EXECUTION={}\n",
        ended.status,
        ended.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default(),
        loader(stack).command("status"),
        ended.execution,
    );
    for (label, link) in looks(stack, &ended.execution) {
        let _ = writeln!(text, "{label} {link}");
    }
    text
}

/// The rows by kind, and the span of their times.
fn counts(composer: &Composer<'_>, run: &Run) -> String {
    let mut text = String::new();
    for Mismatches { kind, rows, .. } in named(run) {
        let _ = writeln!(text, "{rows} {} {}", if *rows == 1 { "row" } else { "rows" }, meaning(kind));
    }
    if run.mismatches.len() > MOST_KINDS {
        let _ = writeln!(text, "and {} more kinds", run.mismatches.len() - MOST_KINDS);
    }
    let first = run.mismatches.iter().filter_map(|m| m.first.as_deref()).min();
    let last = run.mismatches.iter().filter_map(|m| m.last.as_deref()).max();
    if let (Some(first), Some(last)) = (first, last) {
        let _ = writeln!(text, "{} from {} to {}", composer.audited.audit.time, word(first), word(last));
    }
    text
}

pub(super) fn title(composer: &Composer<'_>, run: &Run) -> String {
    composer.audited.words.title.replace("{key}", &run.id.shown())
}

/// A command of the operator's tool about a run.
pub(super) fn command(composer: &Composer<'_>, command: &str, run: &Run) -> String {
    let loader = Loader { audit: composer.audited.label(), ..loader(composer.stack) };
    loader.of_run(command, &run.id.shown(), &[])
}

/// Its commands about a stack.
pub(super) fn loader(stack: &Stack) -> Loader<'_> {
    Loader { stack: stack.name.as_deref(), audit: None }
}

fn where_to_look(composer: &Composer<'_>) -> String {
    let looks = looks(composer.stack, composer.execution);
    let lines: String = looks.into_iter().map(|(label, link)| format!("{label} {link}\n")).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

fn looks(stack: &Stack, execution: &str) -> Vec<(&'static str, String)> {
    let links = links(stack, execution);
    [("Execution: ", links.execution), ("Dashboard: ", links.dashboard)]
        .into_iter()
        .filter_map(|(label, link)| Some((label, link?)))
        .collect()
}

fn list(digest: &Digest) -> String {
    digest.worst.iter().map(|(id, rows)| format!("  {}: {rows} rows\n", id.shown())).collect()
}

/// What a kind means, in words; an unknown one speaks for itself.
fn meaning(kind: &str) -> String {
    match kind {
        "MISSING_IN_REDSHIFT" => "in S3 staging but not in Redshift (MISSING_IN_REDSHIFT)".to_owned(),
        "MISSING_IN_STAGING" => "in Redshift but not in S3 staging (MISSING_IN_STAGING)".to_owned(),
        "DIFFERENT" => "in both, with different values (DIFFERENT)".to_owned(),
        "DUPLICATE_IN_REDSHIFT" => "more than once in Redshift (DUPLICATE_IN_REDSHIFT)".to_owned(),
        other => word(other),
    }
}
