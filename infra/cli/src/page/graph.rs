//! The state machine as a graph: its states in layers, by the longest path from the first one.
//!
//! What can still succeed stands on the left, with the way to success as a straight line; what handles failures stands on the right.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::{Error, Result};

const DEFINITION: &str = include_str!("../../../statemachines/loader.asl.json");

/// Where each state stands, and what leads where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) layers: usize,
    pub(crate) columns: usize,
}

/// A state in its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) state: String,
    /// Task, Choice, Wait and so on.
    pub(crate) kind: String,
    /// From the top.
    pub(crate) layer: usize,
    /// From the left.
    pub(crate) column: usize,
    /// Whether no way leads from it to success.
    pub(crate) of_failure: bool,
}

/// From one state to another, by their places in [`Graph::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Whether an error leads there.
    pub(crate) caught: bool,
}

impl Graph {
    /// That of `infra/statemachines/loader.asl.json`.
    ///
    /// # Errors
    /// If it is no definition.
    pub(crate) fn of_the_loader() -> Result<Self> {
        let definition = serde_json::from_str(DEFINITION).map_err(|e| Error::doing("read the state machine", e))?;
        Self::of(&definition)
    }

    /// Lays a definition out.
    ///
    /// # Errors
    /// If it names a state that it does not have.
    pub(crate) fn of(definition: &Value) -> Result<Self> {
        let states: Vec<(&String, &Value)> = definition["States"].as_object().into_iter().flatten().collect();
        let places: HashMap<&str, usize> =
            states.iter().enumerate().map(|(place, (name, _))| (name.as_str(), place)).collect();
        let place = |name: &str| {
            places.get(name).copied().ok_or_else(|| Error::new(format!("the state machine has no state {name}")))
        };
        let start = place(definition["StartAt"].as_str().unwrap_or_default())?;
        let mut edges: Vec<Edge> = Vec::new();
        for (from, (_, state)) in states.iter().enumerate() {
            let (next, caught) = targets(state);
            let next = next.into_iter().map(|to| (to, false));
            for (to, caught) in next.chain(caught.into_iter().map(|to| (to, true))) {
                let to = place(to)?;
                if !edges.iter().any(|edge| (edge.from, edge.to) == (from, to)) {
                    edges.push(Edge { from, to, caught });
                }
            }
        }
        let succeeds: Vec<bool> =
            states.iter().map(|(_, state)| state["End"] == true || state["Type"] == "Succeed").collect();
        let hopeful = reaching(&succeeds, &edges);
        let forward = without_loops(start, states.len(), &edges);
        let layers = longest(start, states.len(), &forward);
        let spine = spine(&layers, &succeeds, &hopeful, &forward);
        let columns = columns(&layers, &hopeful, &spine);
        let nodes = states.iter().enumerate().map(|(n, (name, state))| Node {
            state: (*name).clone(),
            kind: state["Type"].as_str().unwrap_or_default().to_owned(),
            layer: layers[n],
            column: columns[n],
            of_failure: !hopeful[n],
        });
        Ok(Self {
            nodes: nodes.collect(),
            edges,
            layers: layers.iter().max().map_or(0, |last| last + 1),
            columns: columns.iter().max().map_or(0, |last| last + 1),
        })
    }
}

/// What a state leads to, and what an error in it leads to.
fn targets(state: &Value) -> (Vec<&str>, Vec<&str>) {
    let choices = state["Choices"].as_array().into_iter().flatten().map(|choice| &choice["Next"]);
    let next = [&state["Default"], &state["Next"]].into_iter().chain(choices).filter_map(Value::as_str);
    let caught = state["Catch"].as_array().into_iter().flatten().filter_map(|catch| catch["Next"].as_str());
    (next.collect(), caught.collect())
}

/// The states from which a way leads to one of these.
fn reaching(goals: &[bool], edges: &[Edge]) -> Vec<bool> {
    let mut reaching = goals.to_vec();
    while let Some(edge) = edges.iter().find(|edge| reaching[edge.to] && !reaching[edge.from] && !edge.caught) {
        reaching[edge.from] = true;
    }
    reaching
}

/// The edges without those that lead back to a state that one is on the way from.
fn without_loops(start: usize, states: usize, edges: &[Edge]) -> Vec<Edge> {
    let from = |state: usize| edges.iter().filter(move |edge| edge.from == state);
    let (mut forward, mut seen, mut open) = (Vec::new(), vec![false; states], vec![false; states]);
    let mut way = vec![(start, from(start))];
    (seen[start], open[start]) = (true, true);
    while let Some((state, rest)) = way.last_mut() {
        let Some(edge) = rest.next() else {
            open[*state] = false;
            way.pop();
            continue;
        };
        if open[edge.to] {
            continue;
        }
        forward.push(*edge);
        if !seen[edge.to] {
            (seen[edge.to], open[edge.to]) = (true, true);
            way.push((edge.to, from(edge.to)));
        }
    }
    forward
}

/// The length of the longest way to each state.
fn longest(start: usize, states: usize, forward: &[Edge]) -> Vec<usize> {
    let mut layers = vec![0; states];
    // Without loops a way has fewer steps than there are states.
    for _ in 0..states {
        for edge in forward.iter().filter(|edge| edge.to != start) {
            layers[edge.to] = layers[edge.to].max(layers[edge.from] + 1);
        }
    }
    layers
}

/// The longest way to success.
fn spine(layers: &[usize], succeeds: &[bool], hopeful: &[bool], forward: &[Edge]) -> HashSet<usize> {
    let last = (0..layers.len()).filter(|n| succeeds[*n]).max_by_key(|n| layers[*n]);
    let mut spine: HashSet<usize> = last.into_iter().collect();
    let mut at = last;
    while let Some(to) = at {
        let before = forward.iter().filter(|edge| edge.to == to && hopeful[edge.from] && !edge.caught);
        at = before.map(|edge| edge.from).find(|from| layers[*from] + 1 == layers[to]);
        spine.extend(at);
    }
    spine
}

/// The columns: the spine first, then what can still succeed, then the rest, each in the order of the definition.
fn columns(layers: &[usize], hopeful: &[bool], spine: &HashSet<usize>) -> Vec<usize> {
    let mut columns = vec![0; layers.len()];
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    for n in (0..layers.len()).filter(|n| hopeful[*n] && !spine.contains(n)) {
        let column = taken.entry(layers[n]).or_insert(0);
        *column += 1;
        columns[n] = *column;
    }
    let first = taken.values().max().map_or(1, |most| most + 1);
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    for n in (0..layers.len()).filter(|n| !hopeful[*n]) {
        let column = taken.entry(layers[n]).or_insert(first);
        columns[n] = *column;
        *column += 1;
    }
    columns
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_state_of_the_state_machine_has_a_place_of_its_own() {
        let definition: Value = serde_json::from_str(DEFINITION).expect("JSON");
        let states = definition["States"].as_object().expect("states");
        let graph = Graph::of_the_loader().expect("a graph");
        let names: Vec<_> = graph.nodes.iter().map(|node| node.state.as_str()).collect();
        assert_eq!(names, states.keys().map(String::as_str).collect::<Vec<_>>());
        let places: HashSet<_> = graph.nodes.iter().map(|node| (node.layer, node.column)).collect();
        assert_eq!(places.len(), states.len(), "no two in one place");
        let spine: Vec<_> =
            graph.nodes.iter().filter(|node| node.column == 0).map(|node| node.state.as_str()).collect();
        assert_eq!(
            spine,
            ["Plan", "IsDryRun", "Turn", "HasTurn", "Gate", "IsOpen", "RunStep", "Submit", "HasEnded", "Notify"]
        );
        let failed = graph.nodes.iter().find(|node| node.state == "Failed").expect("Failed");
        assert_eq!((failed.layer + 1, failed.of_failure), (graph.layers, true));
        assert!(graph.columns <= 6, "it has to fit on a page: {}", graph.columns);
    }

    #[test]
    fn loops_lead_back_and_errors_lead_aside() {
        let definition = json!({"StartAt": "A", "States": {
            "A": {"Type": "Task", "Next": "B", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "F"}]},
            "B": {"Type": "Choice", "Choices": [{"Next": "W"}, {"Next": "W"}], "Default": "E"},
            "W": {"Type": "Wait", "Next": "A"},
            "E": {"Type": "Succeed"},
            "F": {"Type": "Fail"},
        }});
        let graph = Graph::of(&definition).expect("a graph");
        let places: Vec<_> = graph.nodes.iter().map(|node| (node.state.as_str(), node.layer, node.column)).collect();
        assert_eq!(places, [("A", 0, 0), ("B", 1, 0), ("W", 2, 1), ("E", 2, 0), ("F", 1, 2)]);
        let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.from, edge.to, edge.caught)).collect();
        assert_eq!(
            edges,
            [(0, 1, false), (0, 4, true), (1, 3, false), (1, 2, false), (2, 0, false)],
            "each once, in the order of the definition"
        );
        let error = Graph::of(&json!({"StartAt": "A", "States": {"A": {"Next": "X"}}})).expect_err("no X").to_string();
        assert!(error.contains("no state X"), "{error}");
    }
}
