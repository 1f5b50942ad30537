//! The input of an execution: what starts it, and what it is to run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::payload::{self, near_miss};
use crate::shown;

/// The fields of an input that is written by hand.
const OWN_FIELDS: [&str; 2] = ["Procedures", "DryRun"];
/// Step Functions asks parents to say with it which execution started a nested one; it chooses nothing.
/// [Step Functions developer guide, "Start workflow executions from a task state"]
const PARENT: &str = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID";

/// An input that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionInput {
    /// Whether nothing is to run.
    pub dry_run: bool,
    /// The list of calls that it brings; nothing for the default list.
    pub procedures: Option<Vec<Value>>,
    /// What it tells about the Glue workflow run that the load belongs to.
    pub trigger: Trigger,
}

/// What an event says about the Glue workflow run that it belongs to; all absent for a schedule and for `{}`, which
/// belong to the latest run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Trigger {
    /// When the event happened, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The job whose run has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
    /// That run of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_run_id: Option<String>,
    /// The workflow's run, if the event names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_run_id: Option<String>,
}

impl ExecutionInput {
    /// Reads an input: an event, `{}`, or `Procedures` and `DryRun`.
    ///
    /// Nothing in an event's `detail` chooses what runs. What is neither an event nor made of the known fields is
    /// refused: a misspelt `DryRun` must not load.
    ///
    /// # Errors
    /// `InvalidInput`, with the name that was meant where a field comes close to one.
    pub fn read(input: &Value) -> Result<Self> {
        let Some(fields) = input.as_object() else {
            return Err(refuse(&format!(
                "the input is {}; it has to be a JSON object: an event, {{}} for the default list, or Procedures",
                kind(input)
            )));
        };
        let meant = |name: &String| near_miss(name, &OWN_FIELDS).filter(|own| own != name);
        if let Some(meant) = fields.keys().find_map(meant) {
            return Err(refuse(&format!("a field of the input is misspelt: {meant} is meant")));
        }
        let is_event = is_event(fields);
        if !is_event && fields.keys().any(|name| !OWN_FIELDS.contains(&name.as_str()) && name != PARENT) {
            return Err(refuse(
                "the input has a field that is unknown; give an event, {} for the default list, or Procedures and \
                 DryRun",
            ));
        }
        let dry_run = match fields.get("DryRun") {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(other) => return Err(refuse(&format!("DryRun is {}; it has to be true or false", kind(other)))),
        };
        let procedures = match fields.get("Procedures") {
            None => None,
            Some(_) if is_event => {
                return Err(refuse("the input is an event and brings Procedures; give one of the two"));
            }
            Some(Value::Array(list)) if !list.is_empty() => Some(list.clone()),
            Some(other) => {
                return Err(refuse(&format!(
                    "Procedures is {}; it has to be a list of at least one call. Leave it out to run the default list",
                    kind(other)
                )));
            }
        };
        Ok(Self { dry_run, procedures, trigger: if is_event { Trigger::of(fields) } else { Trigger::default() } })
    }

    /// Whether two executions with such inputs do the same: the default list, for no particular run of the workflow.
    /// Without a gate nobody looks at the run that an event names.
    pub fn is_interchangeable(&self, gated: bool) -> bool {
        !self.dry_run && self.procedures.is_none() && (!gated || self.trigger == Trigger::default())
    }
}

impl Trigger {
    fn of(event: &Map<String, Value>) -> Self {
        // A schedule is a point in time, and no word about any run.
        if event.get("detail-type").is_some_and(|name| name == "Scheduled Event") {
            return Self::default();
        }
        let text = |value: Option<&Value>| value.and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
        let detail = |name: &str| text(event.get("detail").and_then(|detail| detail.get(name)));
        let id = |name: &str| detail(name).filter(|id| shown::id(id).is_some());
        Self {
            time: text(event.get("time")),
            job_name: detail("jobName"),
            job_run_id: id("jobRunId"),
            workflow_run_id: id("workflowRunId"),
        }
    }
}

/// Whether this is an event of EventBridge: all have `detail-type` and `detail`. [EventBridge user guide, "AWS service
/// event metadata"]
fn is_event(fields: &Map<String, Value>) -> bool {
    let text = |name: &str| fields.get(name).is_some_and(Value::is_string);
    text("detail-type") || (text("source") && fields.get("detail").is_some_and(Value::is_object))
}

fn refuse(why: &str) -> Error {
    Error::invalid_input(format!("{why}. Nothing was run."))
}

/// What a value is, without the value.
fn kind(value: &Value) -> &'static str {
    if value.as_array().is_some_and(Vec::is_empty) { "an empty list" } else { payload::kind(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_input_says_what_runs() {
        let nothing = Trigger::default;
        let one = json!([{"Procedure": "dev.p"}]);
        let glue = json!({"version": "0", "id": "1", "detail-type": "Glue Job State Change", "source": "aws.glue",
                          "account": "1", "time": "2026-01-01T00:00:10Z", "region": "r", "resources": [], "new": 1,
                          "detail": {"jobName": "j", "jobRunId": "jr_1", "Procedures": [], "DryRun": true}});
        let of_glue = Trigger {
            time: Some("2026-01-01T00:00:10Z".into()),
            job_name: Some("j".into()),
            job_run_id: Some("jr_1".into()),
            workflow_run_id: None,
        };
        let ours = json!({"detail-type": "Glue Workflow Completed", "detail": {"workflowRunId": "wr_1"}});
        let of_ours = Trigger { workflow_run_id: Some("wr_1".into()), ..nothing() };
        let clock = json!({"detail-type": "Scheduled Event", "source": "aws.events", "time": "2026-01-01T00:00:10Z", "detail": {}});
        for (input, dry_run, procedures, trigger) in [
            (json!({}), false, None, nothing()),
            (json!({"DryRun": true}), true, None, nothing()),
            (json!({"DryRun": false}), false, None, nothing()),
            (json!({"Procedures": one}), false, Some(one.clone()), nothing()),
            (json!({"Procedures": one, "DryRun": true}), true, Some(one.clone()), nothing()),
            (json!({PARENT: "arn"}), false, None, nothing()),
            (glue.clone(), false, None, of_glue),
            (ours, false, None, of_ours),
            (clock, false, None, nothing()),
            (json!({"source": "redshift-loader", "detail": {"DryRun": true}}), false, None, nothing()),
            (json!({"detail-type": "x", "DryRun": true}), true, None, nothing()),
        ] {
            let read = ExecutionInput::read(&input).expect("an input");
            assert_eq!(
                (read.dry_run, read.procedures.map(Value::Array), read.trigger),
                (dry_run, procedures, trigger),
                "{input}"
            );
        }
    }

    #[test]
    fn what_is_nearly_an_input_is_refused_with_the_name_that_is_meant() {
        let call = json!([{"Procedure": "dev.p"}]);
        for (input, says) in [
            (json!({"dryRun": true}), "DryRun is meant"),
            (json!({"dry_run": true}), "DryRun is meant"),
            (json!({"Dryrun": true}), "DryRun is meant"),
            (json!({"DryRn": true}), "DryRun is meant"),
            (json!({"procedures": call}), "Procedures is meant"),
            (json!({"Procedure": "dev.p"}), "Procedures is meant"),
            (json!({"Proceduers": call}), "Procedures is meant"),
            (json!({"detail-type": "x", "procedures": call}), "Procedures is meant"),
            (json!({"detail-type": "x", "Procedures": call}), "one of the two"),
            (json!({"Run": true}), "unknown"),
            (json!({"DryRun": true, "hunter2": 1}), "unknown"),
            (json!({"detail": {}}), "unknown"),
            (json!({"DryRun": null}), "DryRun is null"),
            (json!({"DryRun": "yes"}), "DryRun is text"),
            (json!({"DryRun": 1}), "DryRun is a number"),
            (json!({"Procedures": null}), "Procedures is null"),
            (json!({"Procedures": []}), "Procedures is an empty list"),
            (json!({"Procedures": {"a": 1}}), "Procedures is an object"),
            (json!({"Procedures": "hunter2"}), "Procedures is text"),
            (json!(call), "the input is a list"),
            (json!([]), "the input is an empty list"),
            (json!("hunter2"), "the input is text"),
            (json!(7), "the input is a number"),
            (json!(null), "the input is null"),
            (json!(true), "the input is a boolean"),
        ] {
            let error = ExecutionInput::read(&input).expect_err(&input.to_string());
            assert_eq!(error.name(), "InvalidInput");
            assert!(error.to_string().contains(says) && !error.to_string().contains("hunter2"), "{input}: {error}");
        }
    }

    #[test]
    fn only_what_belongs_to_no_run_is_interchangeable() {
        let event =
            json!({"detail-type": "Glue Job State Change", "time": "2026-01-01T00:00:10Z", "detail": {"jobName": "j"}});
        let clock = json!({"detail-type": "Scheduled Event", "time": "2026-01-01T00:00:10Z", "detail": {}});
        for (input, gated, open) in [
            (json!({}), true, true),
            (clock, true, true),
            (event, false, true),
            (json!({"DryRun": true}), false, false),
            (json!({"Procedures": [1]}), false, false),
        ] {
            let read = ExecutionInput::read(&input).expect("valid");
            assert_eq!((read.is_interchangeable(true), read.is_interchangeable(false)), (gated, open), "{input}");
        }
    }
}
