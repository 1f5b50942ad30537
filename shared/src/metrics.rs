//! CloudWatch metrics by the embedded metric format: a line of JSON on standard output, which Lambda's logs
//! turn into metrics without a call. [CloudWatch user guide, "Embedded metric format specification"]

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::ids::Ids;
use crate::progress::{End, Progress};
use crate::runtime::var;

/// The namespace of all metrics here.
pub const NAMESPACE: &str = "RedshiftLoader";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
pub enum Metric {
    /// How long a procedure that FINISHED ran; by procedure.
    LoadSeconds,
    /// How many attempts a procedure had taken when it ended; by procedure.
    Attempts,
    /// Rows of the audit table that are not RESOLVED.
    AuditMismatches,
    /// Runs with such rows.
    UnresolvedRuns,
    /// Hours since the oldest of them was first seen, silenced runs aside; 0 if there is none.
    UnresolvedHours,
    /// Messages sent.
    Notifications,
}

impl Metric {
    /// Its name in CloudWatch.
    pub fn name(self) -> &'static str {
        self.into()
    }

    fn unit(self) -> &'static str {
        match self {
            Self::LoadSeconds => "Seconds",
            Self::UnresolvedHours => "None",
            _ => "Count",
        }
    }
}

/// Measures how a statement of a procedure ended; nothing while it runs.
pub fn statement_ended(progress: &Progress) {
    let (Some(End { duration_seconds, failure, .. }), Some(procedure)) = (&progress.end, &progress.ticket.procedure)
    else {
        return;
    };
    let mut values = vec![(Metric::Attempts, f64::from(progress.ticket.attempt))];
    if failure.is_none() {
        values.push((Metric::LoadSeconds, *duration_seconds));
    }
    emit(&progress.ticket.ids(), Some(("Procedure", procedure)), &values);
}

/// Prints values under the stack that STACK_NAME names, and a dimension besides; without it (on a laptop) nobody would read them.
pub fn emit(ids: &Ids, of: Option<(&str, &str)>, values: &[(Metric, f64)]) {
    let Some(stack) = var("STACK_NAME") else { return };
    let line = embedded(SystemTime::now(), &stack, ids, of, values).to_string();
    // One write: a line that is torn is no metric.
    let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

fn embedded(now: SystemTime, stack: &str, ids: &Ids, of: Option<(&str, &str)>, values: &[(Metric, f64)]) -> Value {
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut dimensions = vec!["Stack"];
    let mut fields = Map::from_iter([("Stack".to_owned(), json!(stack))]);
    if let Some((dimension, value)) = of {
        dimensions.push(dimension);
        fields.insert(dimension.to_owned(), json!(value));
    }
    // Properties to search by, not dimensions: each value of one would be a metric of its own.
    fields.extend(ids.fields().map(|(name, id)| (name.to_owned(), json!(id))));
    fields.extend(values.iter().map(|(metric, value)| (metric.name().to_owned(), json!(value))));
    let metrics: Vec<_> = values.iter().map(|(m, _)| json!({"Name": m.name(), "Unit": m.unit()})).collect();
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics});
    fields.insert(
        "_aws".to_owned(),
        json!({"Timestamp": u64::try_from(millis).unwrap_or(0), "CloudWatchMetrics": [directive]}),
    );
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::WorkflowRun;
    use std::time::Duration;

    #[test]
    fn a_line_is_in_the_embedded_metric_format() {
        let now = UNIX_EPOCH + Duration::from_millis(1_767_225_600_000);
        let values = [(Metric::LoadSeconds, 1.5), (Metric::Attempts, 2.0)];
        let workflow_run = WorkflowRun { workflow_run_id: Some("wr_1".into()), ..WorkflowRun::default() };
        let ids = Ids { execution: Some("e".into()), workflow_run, ..Ids::default() };
        assert_eq!(
            embedded(now, "s", &ids, Some(("Procedure", "dev.p")), &values),
            json!({
                "_aws": {
                    "Timestamp": 1_767_225_600_000_u64,
                    "CloudWatchMetrics": [{
                        "Namespace": "RedshiftLoader",
                        "Dimensions": [["Stack", "Procedure"]],
                        "Metrics": [{"Name": "LoadSeconds", "Unit": "Seconds"}, {"Name": "Attempts", "Unit": "Count"}],
                    }],
                },
                "Stack": "s", "Procedure": "dev.p", "LoadSeconds": 1.5, "Attempts": 2.0,
                "execution": "e", "workflow_run_id": "wr_1",
            })
        );
        let plain = embedded(now, "s", &Ids::default(), None, &[(Metric::UnresolvedRuns, 0.0)]);
        assert_eq!(plain["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Stack"]]));
    }
}
