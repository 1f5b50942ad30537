//! The Glue workflow run that a load belongs to: what the state machine passes on as `Context`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{runtime, shown};

/// Glue's limit for a workflow's name. [Glue API model]
const MAX_NAME_CHARS: usize = 255;

/// Which run filled the staging area; empty where no Glue gate came first.
///
/// Both are shown to people and choose nothing, so a text that can be no name and no id counts as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WorkflowRun {
    /// The workflow's name: one line.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "name")]
    pub workflow_name: Option<String>,
    /// The run's id, `wr_...`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "run_id")]
    pub workflow_run_id: Option<String>,
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let fits = |text: &String| text.chars().count() <= MAX_NAME_CHARS && !text.contains(char::is_control);
    Ok(Option::<String>::deserialize(from)?.filter(fits))
}

fn run_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| shown::id(text).is_some()))
}

impl WorkflowRun {
    /// The run in a payload's `Context`; none if there is none: it is what people read, and chooses
    /// nothing.
    pub fn of(payload: &Value) -> Self {
        payload.get("Context").cloned().and_then(|context| runtime::parse(context).ok()).unwrap_or_default()
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for WorkflowRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |text: &'_ Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        write!(f, "{} of {}", known(&self.workflow_run_id), known(&self.workflow_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_context_is_read_where_it_is_one() {
        let run = WorkflowRun::of(&json!({"Context": {"WorkflowName": "w", "WorkflowRunId": "wr_1", "More": 1}}));
        assert_eq!(run.to_string(), "wr_1 of w");
        assert_eq!(serde_json::to_value(&run).expect("JSON"), json!({"WorkflowName": "w", "WorkflowRunId": "wr_1"}));
        let odd = json!({"Context": {"WorkflowName": "orders \"nightly\"", "WorkflowRunId": "wr_1 'hunter2'"}});
        assert_eq!(WorkflowRun::of(&odd).to_string(), "unknown of orders \"nightly\"");
        let odd = json!({"Context": {"WorkflowName": "two\nlines", "WorkflowRunId": "wr_1"}});
        assert_eq!(WorkflowRun::of(&odd).to_string(), "wr_1 of unknown");
        for other in [json!({}), json!(1), json!({"Context": {}}), json!({"Context": {"WorkflowName": 7}})] {
            assert!(WorkflowRun::of(&other).is_none(), "{other}");
        }
    }
}
