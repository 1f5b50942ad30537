//! Unresolved runs, and the rows of one.

use maud::{Markup, html};

use super::{Given, instead, wide};
use crate::audit::Pair;
use crate::page::words::count;
use crate::runs::Unresolved;
use crate::show::{OfKind, Shown};

/// The unresolved runs of all audits; with buttons, if there is somebody to do what they say.
pub(crate) fn runs(all: Given<'_, Vec<Unresolved>>, asked: Option<&(String, String)>, buttons: bool) -> Markup {
    let asking = "The warehouse is being asked. It may take a minute to start; look again.";
    html! {
        section aria-labelledby="runs-heading" {
            h2 id="runs-heading" { "Unresolved runs" }
            div id="runs" {
                (instead(all, asking))
                @if let Some(Ok(all)) = all {
                    @if all.is_empty() { p { "✓ No run is unresolved." } } @else { (wide("runs-table", "Unresolved runs", &table(all, asked, buttons))) }
                }
            }
        }
    }
}

fn table(all: &[Unresolved], asked: Option<&(String, String)>, buttons: bool) -> Markup {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Run" } th scope="col" { "Audit table" } th scope="col" { "What does not match" } th scope="col" class="number" { "Rows" }
                    th scope="col" { "Since (UTC)" } th scope="col" { "Notified" } th scope="col" { "Silenced until" }
                    @if buttons { td {} }
                }
            }
            tbody {
                @for (place, run) in all.iter().enumerate() {
                    // A run of several kinds is silenced and resolved as a whole.
                    @let is_first = !all[..place].iter().any(|other| (&other.audit, &other.shown) == (&run.audit, &run.shown));
                    @let is_asked = asked.is_some_and(|(audit, asked)| *audit == run.audit && *asked == run.shown);
                    tr id=(format!("r-{}-{}-{}", run.audit, run.shown, run.kind.as_deref().unwrap_or_default())) {
                        th scope="row" { a href=(link(run)) aria-current=[is_asked.then_some("true")] { (run.shown) } }
                        td { (run.audit) }
                        td { (text(&run.kind)) }
                        td class="number" { (run.rows) }
                        td { (text(&run.since)) }
                        td { (text(&run.told)) }
                        td { (text(&run.silenced_until)) }
                        @if buttons { td { @if is_first { (of_run(run)) } } }
                    }
                }
            }
        }
    }
}

fn link(run: &Unresolved) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("audit", &run.audit).append_pair("run", &run.shown);
    format!("?{}#rows-heading", query.finish())
}

fn of_run(run: &Unresolved) -> Markup {
    let (days, words) =
        if run.silenced_until.is_some() { ("0", "End the silence") } else { ("7", "Silence for 7 days") };
    let fields = html! {
        input type="hidden" name="audit" value=(run.audit);
        input type="hidden" name="run" value=(run.shown);
    };
    let of = format!("run {} of {}", run.shown, run.audit);
    html! {
        form class="inline" method="post" action="silence" {
            (fields) input type="hidden" name="days" value=(days);
            button data-run=(run.shown) aria-label=(format!("{words}: {of}")) { (words) }
        }
        form class="inline" method="post" action="resolve" { (fields) button aria-label=(format!("Resolve: {of}")) { "Resolve" } }
    }
}

/// What does not match of a run.
pub(crate) fn rows(audit: &str, run: &str, found: Given<'_, Vec<Shown>>) -> Markup {
    html! {
        section aria-labelledby="rows-heading" {
            h2 id="rows-heading" { "Run " (run) " of " (audit) }
            div id="rows" {
                (instead(found, "The warehouse is being asked; look again."))
                @for shown in found.into_iter().flatten().flatten() { (of_audit(shown)) }
            }
        }
    }
}

fn of_audit(shown: &Shown) -> Markup {
    html! {
        p {
            "Unresolved since " (shown.since.as_deref().unwrap_or("an unknown time")) " UTC"
            @if let (Some(source), Some(target)) = (&shown.source, &shown.target) { ". Source " code { (source) } ", target " code { (target) } }
            "."
        }
        @if let Some(note) = &shown.note { p { (note) } }
        @for kind in &shown.kinds {
            h3 { (kind.kind) ": " (count(kind.rows.unsigned_abs(), "row")) }
            @match &kind.pairs {
                Some(pairs) if !pairs.is_empty() => (both_sides(kind, pairs)),
                _ => (recorded(kind)),
            }
        }
        p { "By command:" }
        ul { @for command in &shown.next { li { code { (command) } } } }
    }
}

/// The rows of both sides beneath each other.
fn both_sides(kind: &OfKind, pairs: &[Pair]) -> Markup {
    let columns: Vec<&str> = pairs[0].cells.iter().map(|cell| cell.column.as_str()).collect();
    let null =
        |text: Option<&str>| html! { @match text { Some(text) => (text), None => span class="null" { "NULL" } } };
    let table = html! {
        table {
            thead { tr { @for key in &kind.key { th scope="col" { (key) } } th scope="col" { "Side" } @for column in &columns { th scope="col" { (column) } } } }
            tbody {
                @for pair in pairs {
                    @for (side, there) in [("source", pair.in_source), ("target", pair.in_target)] {
                        tr {
                            @for value in pair.key.values() { td { (null(value.as_str())) } }
                            th scope="row" { (side) }
                            @if there {
                                @for cell in &pair.cells {
                                    @let value = if side == "source" { &cell.source } else { &cell.target };
                                    td class=[cell.differs.then_some("differs")] { @if cell.differs { span aria-label="differs" role="img" { "≠" } " " } (null(value.as_deref())) }
                                }
                            } @else { td class="null" colspan=(columns.len()) { "no row" } }
                        }
                    }
                }
            }
        }
    };
    html! {
        (wide(&format!("rows-{}", kind.kind), &format!("Rows: {}", kind.kind), &table))
        @if kind.more { p { "There are more; loader show --limit shows them." } }
    }
}

/// What the audit has recorded, where the rows of the sides are not known.
fn recorded(kind: &OfKind) -> Markup {
    let Some(first) = kind.audit_rows.first() else { return html! {} };
    let table = html! {
        table {
            thead { tr { @for name in first.keys() { th scope="col" { (name) } } } }
            tbody { @for row in &kind.audit_rows { tr { @for value in row.values() { td { (value.as_str().unwrap_or("NULL")) } } } } }
        }
    };
    wide(&format!("recorded-{}", kind.kind), &format!("Recorded: {}", kind.kind), &table)
}
