//! The ids that a span, a log line and a line of metrics carry, so that one can be found from another.

use serde_json::Value;
use tracing::Span;

use crate::call::QualifiedName;
use crate::shown::id;
use crate::statement::StatementId;
use crate::workflow::WorkflowRun;

/// What an invocation is about. [`Ids::of`] reads it from a payload that was not checked yet, so that a refusal has it
/// too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    /// `ExecutionId`.
    pub execution: Option<String>,
    /// `Id`.
    pub statement_id: Option<StatementId>,
    /// `StatementName`.
    pub statement_name: Option<String>,
    /// `Procedure`, without arguments.
    pub procedure: Option<String>,
    /// `Context`.
    pub workflow_run: WorkflowRun,
}

impl Ids {
    /// The ids that `payload` holds; a field whose value is no id counts as absent.
    pub fn of(payload: &Value) -> Self {
        let text = |field: &str| payload.get(field).and_then(Value::as_str);
        let shown = |field| text(field).and_then(id).map(str::to_owned);
        Self {
            execution: shown("ExecutionId"),
            statement_id: text("Id").and_then(|text| StatementId::parse(text).ok()),
            statement_name: shown("StatementName"),
            procedure: text("Procedure").and_then(QualifiedName::shown).map(|name| name.to_string()),
            workflow_run: WorkflowRun::of(payload),
        }
    }

    /// The ids under the names that log lines and metrics give them.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("execution", self.execution.as_deref()),
            ("statement_id", self.statement_id.as_ref().map(StatementId::as_str)),
            ("statement_name", self.statement_name.as_deref()),
            ("procedure", self.procedure.as_deref()),
            ("workflow_name", self.workflow_run.workflow_name.as_deref()),
            ("workflow_run_id", self.workflow_run.workflow_run_id.as_deref()),
        ];
        fields.into_iter().filter_map(|(name, id)| Some((name, id?)))
    }

    /// Puts the ids on a span that [`crate::span!`] made; more may follow as they become known.
    pub fn record(&self, span: &Span) {
        for (name, id) in self.fields() {
            span.record(name, id);
        }
    }
}

/// A span of this name with a place for every id.
#[macro_export]
macro_rules! span {
    ($name:expr, $ids:expr) => {{
        let span = ::tracing::info_span!(
            $name,
            execution = ::tracing::field::Empty,
            statement_id = ::tracing::field::Empty,
            statement_name = ::tracing::field::Empty,
            procedure = ::tracing::field::Empty,
            workflow_name = ::tracing::field::Empty,
            workflow_run_id = ::tracing::field::Empty
        );
        $crate::ids::Ids::record($ids, &span);
        span
    }};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ID;
    use serde_json::json;

    #[test]
    fn the_ids_of_an_unchecked_payload_are_ids() {
        let ids = Ids::of(&json!({
            "ExecutionId": "x", "Id": ID, "StatementName": "direct/x/0/1", "Procedure": "dev.p('hunter2')",
        }));
        assert_eq!(ids.execution.as_deref(), Some("x"));
        assert_eq!(ids.statement_id.as_ref().map(StatementId::as_str), Some(ID));
        assert_eq!(ids.statement_name.as_deref(), Some("direct/x/0/1"));
        assert_eq!(ids.procedure.as_deref(), Some("dev.p"));
        let poisoned = json!({
            "ExecutionId": "it's", "Id": "hunter2", "StatementName": "a b", "Procedure": "hunter2"
        });
        for payload in [json!(null), json!([1]), json!({"Id": 7}), poisoned] {
            assert_eq!(Ids::of(&payload), Ids::default(), "{payload}");
        }
    }
}
