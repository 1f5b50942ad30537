//! An execution that was stopped, timed out or died unseen: the event "Step Functions Execution Status Change".

use serde::Deserialize;
use serde_json::Value;
use shared::attempt::check_execution_id;
use shared::{Error, Result, runtime, shown};

/// What the event says of an execution.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ended {
    /// Its ARN.
    pub(crate) execution: String,
    /// How it ended: ABORTED, TIMED_OUT or FAILED.
    pub(crate) status: String,
    /// The error's name; nothing if there is none.
    pub(crate) reason: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    execution_arn: String,
    status: String,
    error: Option<String>,
}

impl Ended {
    /// Whether a payload is such an event.
    pub(crate) fn is_event(payload: &Value) -> bool {
        payload.get("detail-type").and_then(Value::as_str) == Some("Step Functions Execution Status Change")
    }

    /// # Errors
    /// `InvalidInput` for an event without execution or status.
    pub(crate) fn read(payload: Value) -> Result<Self> {
        let Event { detail } = runtime::parse(payload)?;
        let status = shown::status_word(&detail.status)
            .ok_or_else(|| Error::invalid_input("detail.status is no status of an execution"))?;
        Ok(Self {
            execution: check_execution_id(&detail.execution_arn)?.to_owned(),
            status: status.to_owned(),
            reason: detail.error.as_deref().and_then(shown::error_code).map(str::to_owned),
        })
    }

    /// The name to filter by: the error's, or the status.
    pub(crate) fn error(&self) -> &str {
        self.reason.as_deref().unwrap_or(&self.status)
    }
}
