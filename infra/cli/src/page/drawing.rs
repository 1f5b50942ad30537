//! The graph as SVG, marked by what an execution went through.

use std::collections::{HashMap, HashSet};

use maud::{Markup, html};

use super::graph::{Edge, Graph, Node};
use super::words::seconds;
use crate::executions::Execution;

const WIDTH: usize = 112;
const HEIGHT: usize = 40;
const COLUMN: usize = 126;
const LAYER: usize = 62;
const MARGIN: usize = 14;
/// On the left, where ways past other states bend.
const LEFT: usize = 30;
/// How far.
const BEND: usize = 28;

/// What became of a state, or of an execution. Told by a sign and a word, not by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    NotEntered,
    Done,
    Running,
    Failed,
}

impl Mark {
    /// All, for the legend.
    pub(super) const ALL: [Self; 4] = [Self::Done, Self::Running, Self::Failed, Self::NotEntered];

    /// Of an execution with this status.
    pub(super) fn of_status(status: &str) -> Self {
        match status {
            "SUCCEEDED" => Self::Done,
            "RUNNING" | "PENDING_REDRIVE" => Self::Running,
            _ => Self::Failed,
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::NotEntered => "none",
            Self::Done => "done",
            Self::Running => "running",
            Self::Failed => "failed",
        }
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::NotEntered => "○",
            Self::Done => "✓",
            Self::Running => "▶",
            Self::Failed => "✗",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::NotEntered => "not entered",
            other => other.class(),
        }
    }
}

/// What an execution did in one state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct InState {
    pub(super) mark: Mark,
    pub(super) times: usize,
    pub(super) seconds: f64,
}

/// What an execution did in each state, in the order in which they were first entered.
pub(super) fn in_states(execution: &Execution) -> Vec<(&str, InState)> {
    let mut all: Vec<(&str, InState)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for visit in &execution.states {
        let mark = match (visit.failed, visit.left) {
            (true, Some(_)) => Mark::Failed,
            (_, None) => Mark::Running,
            (false, Some(_)) => Mark::Done,
        };
        let place = *places.entry(&visit.state).or_insert_with(|| {
            all.push((&visit.state, InState { mark, times: 0, seconds: 0.0 }));
            all.len() - 1
        });
        let (_, state) = &mut all[place];
        state.mark = mark;
        state.times += 1;
        state.seconds += visit.seconds;
    }
    all
}

/// The graph; without an execution no state is entered.
pub(super) fn drawing(scope: &str, graph: &Graph, execution: Option<&Execution>) -> Markup {
    let entered: HashMap<&str, InState> = execution.map(in_states).unwrap_or_default().into_iter().collect();
    let way: HashSet<(&str, &str)> = execution
        .map(|execution| {
            execution.states.windows(2).map(|two| (two[0].state.as_str(), two[1].state.as_str())).collect()
        })
        .unwrap_or_default();
    let taken = |edge: &Edge| way.contains(&(&*graph.nodes[edge.from].state, &*graph.nodes[edge.to].state));
    let (width, height) = (LEFT + graph.columns * COLUMN, graph.layers * LAYER + MARGIN);
    // What was taken is drawn over the rest.
    let (over, under): (Vec<&Edge>, Vec<&Edge>) = graph.edges.iter().partition(|edge| taken(edge));
    html! {
        svg class="graph" viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) role="img" aria-labelledby=(format!("{scope}graph-title {scope}graph-text")) {
            title id=(format!("{scope}graph-title")) { "The state machine" }
            desc id=(format!("{scope}graph-text")) { (description(&entered, execution)) }
            defs {
                @for (id, class) in [("tip", "tip"), ("tip-taken", "tip taken")] {
                    marker id=(format!("{scope}{id}")) viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse" {
                        path class=(class) d="M0 0 8 4 0 8z" {}
                    }
                }
            }
            @for (edges, class, tip) in [(&under, "edge", "tip"), (&over, "edge taken", "tip-taken")] {
                @for edge in edges {
                    path class=(if edge.caught { format!("{class} caught") } else { class.to_owned() }) d=(path(&graph.nodes[edge.from], &graph.nodes[edge.to])) marker-end=(format!("url(#{scope}{tip})")) {}
                }
            }
            @for node in &graph.nodes { (state(node, entered.get(node.state.as_str()))) }
        }
    }
}

fn state(node: &Node, entered: Option<&InState>) -> Markup {
    let mark = entered.map_or(Mark::NotEntered, |entered| entered.mark);
    let (x, y) = corner(node);
    let below = match entered {
        None => mark.word().to_owned(),
        Some(InState { times: 1, seconds: took, .. }) => format!("{} {}", mark.word(), seconds(*took)),
        Some(InState { times, seconds: took, .. }) => format!("{} {times}×, {}", mark.word(), seconds(*took)),
    };
    let round = if node.kind == "Task" { 4 } else { HEIGHT / 2 };
    html! {
        g class=(format!("state {}", mark.class())) data-state=(node.state) data-mark=(mark.class()) {
            rect x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx=(round) {}
            text class="name" x=(x + WIDTH / 2) y=(y + 17) { (mark.sign()) " " (node.state) }
            text class="below" x=(x + WIDTH / 2) y=(y + 32) { (below) }
        }
    }
}

/// What the colours show, for whoever does not see them.
fn description(entered: &HashMap<&str, InState>, execution: Option<&Execution>) -> String {
    let Some(execution) = execution else { return "No execution is chosen.".to_owned() };
    let mut text = format!("Execution {} is {}.", execution.summary.name, execution.summary.status);
    for (mark, words) in [(Mark::Done, "Done"), (Mark::Running, "Running"), (Mark::Failed, "Failed")] {
        let mut names: Vec<_> = entered.iter().filter(|(_, state)| state.mark == mark).map(|(name, _)| *name).collect();
        names.sort_unstable();
        if !names.is_empty() {
            text.push_str(&format!(" {words}: {}.", names.join(", ")));
        }
    }
    text.push_str(" Each state with its time is in the table of states.");
    text
}

fn corner(node: &Node) -> (usize, usize) {
    (LEFT + node.column * COLUMN, MARGIN + node.layer * LAYER)
}

/// Down from below to above, and past others in a bend; back, and within a layer, from side to side.
fn path(from: &Node, to: &Node) -> String {
    let ((x1, y1), (x2, y2)) = (corner(from), corner(to));
    let middle = HEIGHT / 2;
    if to.column == from.column && to.layer > from.layer + 1 {
        let (y1, y2, bend) = (y1 + middle, y2 + middle, x1 - BEND);
        return format!("M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}");
    }
    if to.layer > from.layer && (from.of_failure || !to.of_failure) {
        let (x1, y1, x2) = (x1 + WIDTH / 2, y1 + HEIGHT, x2 + WIDTH / 2);
        let bend = (y2 - y1) / 2;
        return format!("M{x1} {y1}C{x1} {} {x2} {} {x2} {y2}", y1 + bend, y2 - bend);
    }
    let (y1, y2) = (y1 + middle, y2 + middle);
    let (right, bend) = (x1 + WIDTH, COLUMN / 4);
    if to.column > from.column {
        format!("M{right} {y1}C{} {y1} {} {y2} {x2} {y2}", right + bend, x2.saturating_sub(bend))
    } else {
        let end = x2 + WIDTH;
        format!("M{right} {y1}C{} {y1} {} {y2} {end} {y2}", right + bend, end + bend)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Moment;

    /// An execution that was in these states for a second each, and is in the last one.
    fn execution(status: &str, states: &[&str]) -> Execution {
        let at = |second: usize| format!("2026-11-26T11:00:{second:02}Z");
        let events = states.iter().enumerate().flat_map(|(n, state)| {
            let entered =
                json!({"timestamp": at(n), "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": state}});
            let exited =
                json!({"timestamp": at(n + 1), "type": "TaskStateExited", "stateExitedEventDetails": {"name": state}});
            if n + 1 == states.len() { vec![entered] } else { vec![entered, exited] }
        });
        let mut described = json!({"executionArn": "arn:1", "name": "<one>", "status": status, "startDate": at(0)});
        if status != "RUNNING" {
            described["stopDate"] = json!(at(states.len()));
        }
        let now = Moment::parse(&at(states.len())).expect("a moment");
        Execution::read(&described, &events.collect::<Vec<Value>>(), now).expect("an execution")
    }

    fn marks(execution: &Execution) -> Vec<(&str, Mark, usize)> {
        in_states(execution).into_iter().map(|(name, state)| (name, state.mark, state.times)).collect()
    }

    #[test]
    fn states_are_marked_by_their_last_visit() {
        use Mark::{Done, Failed, Running};
        let running = execution("RUNNING", &["Plan", "Submit", "Wait", "Submit"]);
        assert_eq!(marks(&running), [("Plan", Done, 1), ("Submit", Running, 2), ("Wait", Done, 1)]);
        assert_eq!(in_states(&running)[1].1.seconds, 2.0);
        assert_eq!(marks(&execution("FAILED", &["Plan", "Failed"])), [("Plan", Done, 1), ("Failed", Failed, 1)]);
        assert_eq!(marks(&execution("SUCCEEDED", &["Plan", "Notify"])), [("Plan", Done, 1), ("Notify", Done, 1)]);
        for (status, mark) in [("RUNNING", Running), ("SUCCEEDED", Done), ("TIMED_OUT", Failed), ("ABORTED", Failed)] {
            assert_eq!(Mark::of_status(status), mark);
        }
    }

    #[test]
    fn the_graph_has_each_state_once_with_its_mark_as_text() {
        let graph = Graph::of_the_loader().expect("a graph");
        let svg = drawing("", &graph, None).into_string();
        for node in &graph.nodes {
            let state = format!("data-state=\"{}\"", node.state);
            assert_eq!(svg.matches(&state).count(), 1, "{}", node.state);
        }
        assert_eq!(svg.matches(">not entered<").count(), graph.nodes.len());
        let svg = drawing("1-", &graph, Some(&execution("RUNNING", &["Plan", "IsDryRun", "Turn"]))).into_string();
        for part in [
            ">✓ Plan<",
            ">done 1.0 s<",
            ">▶ Turn<",
            ">running 1.0 s<",
            "Execution &lt;one&gt; is RUNNING. Done: IsDryRun, Plan. Running: Turn.",
            "url(#1-tip-taken)",
        ] {
            assert!(svg.contains(part), "{part} is missing in {svg}");
        }
        assert_eq!(svg.matches("\"edge taken\"").count(), 2, "what it went along");
    }
}
