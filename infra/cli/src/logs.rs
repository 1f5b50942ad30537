//! `loader logs`: what the functions have logged about an execution.

use serde::Serialize;
use serde_json::{Value, json};

use crate::aws::{Calls, Response};
use crate::executions::describe;
use crate::moment::Moment;
use crate::stack::{Place, Stack};
use crate::terminal::{lines, one_line, table};
use crate::{Error, Result};

/// The log groups of the template, and whose they are.
const GROUPS: [(&str, &str); 3] = [
    ("ProcRunnerLogs", "proc-runner"),
    ("StatusCheckerLogs", "status-checker"),
    ("OrdersAuditFnLogs", "orders-audit-fn"),
];
/// Lines of a function that are read.
const MOST_LINES: usize = 1_000;
/// How long before the start and after the end of an execution its lines may be.
const MARGIN_MILLIS: u64 = 15 * 60 * 1_000;
/// What Lambda's runtime logs about a failure that we have logged.
const RUNTIME: &str = "Lambda runtime invoke";

/// A line of ours.
#[derive(Debug, PartialEq, Serialize)]
struct Line {
    time: Moment,
    level: String,
    function: &'static str,
    /// In words, and the fields of the line.
    message: String,
    statement_id: Option<String>,
    /// As it was logged.
    line: Value,
}

/// Prints the lines about an execution, the oldest first.
///
/// # Errors
/// If there is no such execution, or no log group can be read.
pub async fn logs(
    place: &Place,
    execution: &str,
    as_json: bool,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<()> {
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let execution = describe(&mut aws, &stack, execution).await?;
    let (from, until) = (execution.started, execution.ended.unwrap_or_else(Moment::now));
    let mut found: Vec<Line> = Vec::new();
    let mut notes = Vec::new();
    let mut failed = 0;
    for (group, function) in GROUPS {
        match events(&mut aws, &stack, group, &execution.arn, [from, until]).await {
            Ok(answer) => {
                let events = answer["events"].as_array().into_iter().flatten();
                found.extend(events.filter_map(|event| line(function, event)));
                if answer["NextToken"].is_string() {
                    notes
                        .push(format!("{function} has logged more than the first {MOST_LINES} lines, which are shown"));
                }
            }
            Err(error) => {
                failed += 1;
                notes.push(format!("the lines of {function} cannot be read: {error}"));
            }
        }
    }
    if failed == GROUPS.len() {
        return Err(Error::new(notes.join("\n")));
    }
    found.sort_by_key(|line| line.time);
    if as_json {
        print(&json!({"execution": execution.arn, "lines": found, "notes": notes}).to_string());
        return Ok(());
    }
    if found.is_empty() {
        print(&none(&stack, &execution.name));
    } else {
        let mut shown = table(["time (UTC)", "level", "function", "message", "statement_id"]);
        for line in &found {
            let id = line.statement_id.as_deref().unwrap_or("");
            shown.add_row([
                &line.time.to_string(),
                &one_line(&line.level),
                line.function,
                &one_line(&line.message),
                &one_line(id),
            ]);
        }
        lines(&shown).for_each(|line| print(&line));
    }
    notes.iter().for_each(|note| print(note));
    Ok(())
}

fn none(stack: &Stack, name: &str) -> String {
    let days = match stack.parameter("LogRetentionDays") {
        "" => "the days of LogRetentionDays".to_owned(),
        days => format!("{days} days"),
    };
    format!(
        "no function has logged anything about {name}: lines are kept for {days}, and arrive after some seconds; LogLevel may be above INFO"
    )
}

/// The events of a log group that name the execution.
async fn events(aws: &mut Calls, stack: &Stack, group: &str, arn: &str, [from, until]: [Moment; 2]) -> Response {
    let resource = json!({"StackName": stack.name, "LogicalResourceId": group});
    let resource = aws.call("cloudformation", "describe_stack_resource", resource).await?;
    let request = json!({
        "logGroupName": resource["StackResourceDetail"]["PhysicalResourceId"],
        "startTime": from.millis().saturating_sub(MARGIN_MILLIS),
        "endTime": until.millis().saturating_add(MARGIN_MILLIS),
        "filterPattern": format!("\"{arn}\""),
        "PaginationConfig": {"MaxItems": MOST_LINES},
    });
    aws.call("logs", "filter_log_events", request).await
}

/// A line of ours; nothing for what the runtime adds.
fn line(function: &'static str, event: &Value) -> Option<Line> {
    let line: Value = serde_json::from_str(event["message"].as_str()?).ok()?;
    if line["span"]["name"] == RUNTIME {
        return None;
    }
    let own = [&line["fields"], &line["span"], &line];
    let field = |name: &str| own.iter().find_map(|part| part[name].as_str()).map(str::to_owned);
    Some(Line {
        time: Moment::of_millis(event["timestamp"].as_u64()?),
        level: line["level"].as_str().unwrap_or(if line["_aws"].is_object() { "METRIC" } else { "" }).to_owned(),
        function,
        message: message(&line),
        statement_id: field("statement_id"),
        line,
    })
}

/// The words of a line and its fields, or its metrics.
fn message(line: &Value) -> String {
    let words = line["fields"]["message"].as_str().unwrap_or_default().to_owned();
    let fields = line["fields"].as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !["message", "statement_id"].contains(&name.as_str()));
    let metrics = line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten();
    let metrics = metrics.flat_map(|directive| directive["Metrics"].as_array().into_iter().flatten());
    let metrics = metrics.filter_map(|metric| metric["Name"].as_str()).map(|name| (name, &line[name]));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let parts = fields.map(|(name, value)| (name.as_str(), value)).chain(metrics);
    let parts = parts.map(|(name, value)| format!("{name}={}", text(value)));
    std::iter::once(words).filter(|words| !words.is_empty()).chain(parts).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ours_are_read_and_those_of_the_runtime_are_not() {
        let of = |message: Value| {
            let event = json!({"timestamp": 1_795_692_597_039_u64, "message": message.to_string()});
            line("status-checker", &event).map(|line| (line.level, line.message, line.statement_id))
        };
        let span = json!({"execution": "arn:x", "name": "check", "statement_id": "one"});
        let checked = json!({"level": "INFO", "fields": {"message": "checked", "status": "STARTED", "wait_seconds": 3}, "span": span});
        let metrics = json!({
            "_aws": {"CloudWatchMetrics": [{"Metrics": [{"Name": "LoadSeconds"}, {"Name": "Attempts"}]}]},
            "LoadSeconds": 1.5, "Attempts": 2, "Stack": "s", "statement_id": "one",
        });
        let again = json!({"level": "ERROR", "fields": {"message": "Invocation failed"}, "span": {"name": RUNTIME}});
        let some = |level: &str, text: &str| Some((level.to_owned(), text.to_owned(), Some("one".to_owned())));
        assert_eq!(of(checked), some("INFO", "checked status=STARTED wait_seconds=3"));
        assert_eq!(of(metrics), some("METRIC", "LoadSeconds=1.5 Attempts=2"));
        assert_eq!(of(again), None);
        assert_eq!(line("status-checker", &json!({"timestamp": 1, "message": "START RequestId: x"})), None);
    }
}
