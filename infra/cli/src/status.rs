//! `loader status`: the last executions, and what runs now.

use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::attempt::execution_prefix;

use crate::Result;
use crate::aws::Calls;
use crate::executions::{Execution, Statement, list, read};
use crate::moment::Moment;
use crate::stack::{Place, Stack};
use crate::terminal::{lines, numbers_in, one_line, table};

/// Executions that run are listed whatever `last` is: they queue, and the oldest works.
const MOST_RUNNING: usize = 20;

/// What an execution that runs is doing.
#[derive(Debug, Serialize)]
struct Now {
    execution: String,
    state: Option<String>,
    state_seconds: Option<f64>,
    /// The statement in the warehouse, if one is known.
    statement: Option<Running>,
    /// Why the statement is not known, or not as of now.
    note: Option<String>,
}

/// A statement that has not ended, when it was last looked at.
#[derive(Debug, Default, Serialize)]
struct Running {
    id: String,
    procedure: Option<String>,
    status: String,
    /// Since the service accepted it.
    seconds: Option<f64>,
    redshift_query_id: Option<i64>,
}

/// Prints the last executions and what runs; whether the last one that has ended did so with success.
///
/// # Errors
/// If the stack is not deployed, or Step Functions refuses.
pub async fn status(
    place: &Place,
    last: usize,
    as_json: bool,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<bool> {
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let mut summaries = list(&mut aws, &stack, None, last).await?;
    for running in list(&mut aws, &stack, Some("RUNNING"), MOST_RUNNING).await? {
        if !summaries.iter().any(|summary| summary.arn == running.arn) {
            summaries.push(running);
        }
    }
    let mut executions = Vec::new();
    for summary in &summaries {
        executions.push(read(&mut aws, &summary.arn).await?);
    }
    let mut running = Vec::new();
    for execution in executions.iter().filter(|execution| execution.summary.is_running()) {
        running.push(now(&mut aws, &stack, execution).await);
    }
    let ended = executions.iter().find(|execution| !execution.summary.is_running());
    let well = ended.is_none_or(|execution| execution.summary.has_succeeded());
    if as_json {
        let executions: Vec<_> = executions.iter().map(without_states).collect();
        print(&json!({"executions": executions, "running": running}).to_string());
        return Ok(well);
    }
    if executions.is_empty() {
        print("no execution yet");
        return Ok(well);
    }
    let mut found =
        table(["execution", "started (UTC)", "result", "seconds", "procedures (seconds)", "attempts", "error"]);
    for execution in &executions {
        found.add_row(row(execution));
    }
    numbers_in(&mut found, [3]);
    lines(&found).for_each(|line| print(&line));
    if let Some(failed) = ended.filter(|_| !well) {
        print(&format!(
            "\nwhat it logged: loader logs {0}\nto run it again: loader rerun {1}",
            failed.summary.name, failed.summary.arn
        ));
    }
    print(if running.is_empty() { "\nnothing runs" } else { "\nrunning now" });
    running.iter().flat_map(Now::lines).for_each(|line| print(&line));
    Ok(well)
}

/// A long execution stays in thousands of states.
fn without_states(execution: &Execution) -> Value {
    let mut value = json!(execution);
    value.as_object_mut().map(|fields: &mut Map<_, _>| fields.remove("states"));
    value
}

fn row(execution: &Execution) -> [String; 7] {
    let (seconds, attempts): (Vec<_>, Vec<_>) = procedures(&execution.statements)
        .map(|(name, seconds, attempts)| {
            (seconds.map_or_else(|| format!("{name} ..."), |s| format!("{name} {s:.1}")), attempts.to_string())
        })
        .unzip();
    let error = match (&execution.error, &execution.covered_by) {
        (Some(error), _) => one_line(error),
        (None, Some(by)) => format!("covered by {}", one_line(by.rsplit(':').next().unwrap_or(by))),
        (None, None) => String::new(),
    };
    let summary = &execution.summary;
    [
        summary.name.clone(),
        summary.started.to_string(),
        summary.status.clone(),
        format!("{:.1}", execution.seconds),
        seconds.join(", "),
        attempts.join(", "),
        error,
    ]
}

/// Each call of the list: the procedure's short name, the seconds of all its attempts that have ended, and how many there were.
fn procedures(statements: &[Statement]) -> impl Iterator<Item = (&str, Option<f64>, u64)> {
    let mut each: Vec<(u64, &str, Option<f64>, u64)> = Vec::new();
    for statement in statements {
        let name = statement.procedure.rsplit('.').next().unwrap_or_default();
        match each.iter_mut().find(|(step, ..)| *step == statement.step) {
            Some((_, _, seconds, attempts)) => {
                *seconds = seconds.zip(statement.seconds).map(|(before, now)| before + now);
                *attempts = statement.attempt;
            }
            None => each.push((statement.step, name, statement.seconds, statement.attempt)),
        }
    }
    each.into_iter().map(|(_, name, seconds, attempts)| (name, seconds, attempts))
}

async fn now(aws: &mut Calls, stack: &Stack, execution: &Execution) -> Now {
    let mut now = Now {
        execution: execution.summary.arn.clone(),
        state: execution.current().map(|visit| visit.state.clone()),
        state_seconds: execution.current().map(|visit| visit.seconds),
        statement: None,
        note: None,
    };
    let known = execution.statements.last().filter(|statement| !statement.has_ended());
    let known = match (known, now.state.as_deref()) {
        (Some(known), _) => Running {
            id: known.id.clone(),
            procedure: Some(known.procedure.clone()),
            status: known.status.clone(),
            seconds: known.submitted_at.map(|at| Moment::now().seconds_since(at)),
            redshift_query_id: known.redshift_query_id,
        },
        // It waits for a short statement to end, and has not answered yet.
        (None, Some("Submit")) => match active(aws, stack, &execution.summary.arn).await {
            Ok(Some(found)) => found,
            Ok(None) => return now,
            Err(error) => {
                now.note = Some(format!("its statement is not known yet: {error}"));
                return now;
            }
        },
        _ => return now,
    };
    match aws.call("redshift-data", "describe_statement", json!({"Id": known.id})).await {
        Ok(described) => now.statement = Some(looked_at(known, &described)),
        Err(error) => {
            now.note = Some(format!("as the execution's last look saw it; a new one is refused: {error}"));
            now.statement = Some(known);
        }
    }
    now
}

/// The statement of an execution that has not ended, if this shell's role may list it.
async fn active(aws: &mut Calls, stack: &Stack, arn: &str) -> Result<Option<Running>> {
    let mut request = stack.target();
    if let Some(fields) = request.as_object_mut() {
        fields.retain(|name, _| ["Database", "WorkgroupName", "ClusterIdentifier"].contains(&name.as_str()));
    }
    request["StatementName"] = json!(execution_prefix(arn));
    request["PaginationConfig"] = json!({"MaxItems": 1});
    for status in ["STARTED", "PICKED", "SUBMITTED"] {
        request["Status"] = json!(status);
        let found = aws.call("redshift-data", "list_statements", request.clone()).await?;
        if let Some(id) = found["Statements"][0]["Id"].as_str() {
            return Ok(Some(Running { id: id.to_owned(), status: status.to_owned(), ..Running::default() }));
        }
    }
    Ok(None)
}

/// A statement, as DescribeStatement reports it.
fn looked_at(known: Running, described: &Value) -> Running {
    let since = described["CreatedAt"].as_str().and_then(Moment::parse).map(|at| Moment::now().seconds_since(at));
    let call = described["QueryString"].as_str().and_then(|sql| sql.strip_prefix("CALL ")?.split('(').next());
    Running {
        procedure: known.procedure.or(call.map(str::to_owned)),
        status: described["Status"].as_str().map_or(known.status, str::to_owned),
        seconds: since.or(known.seconds),
        redshift_query_id: described["RedshiftQueryId"].as_i64().filter(|id| *id > 0).or(known.redshift_query_id),
        id: known.id,
    }
}

impl Now {
    fn lines(&self) -> Vec<String> {
        let name = self.execution.rsplit(':').next().unwrap_or_default();
        let state = match (&self.state, self.state_seconds) {
            (Some(state), Some(seconds)) => format!("in {state} for {seconds:.0} s"),
            _ => "has just started".to_owned(),
        };
        let mut lines = vec![format!("  {name} {state}")];
        if let Some(statement) = &self.statement {
            let procedure = statement.procedure.as_deref().unwrap_or("a procedure");
            let seconds = statement.seconds.map(|seconds| format!(", {seconds:.0} s so far")).unwrap_or_default();
            let query = statement.redshift_query_id.map(|id| format!(", Redshift query {id}")).unwrap_or_default();
            lines.push(format!("  {procedure} is {}{seconds}{query}: statement {}", statement.status, statement.id));
        }
        lines.extend(self.note.as_ref().map(|note| format!("  {note}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(step: u64, attempt: u64, seconds: Option<f64>) -> Statement {
        Statement {
            step,
            procedure: format!("dev.p{step}_sp"),
            attempt,
            id: "id".to_owned(),
            status: "FINISHED".to_owned(),
            seconds,
            submitted_at: None,
            ended_at: None,
            result_rows: None,
            redshift_query_id: None,
            error: None,
            cause: None,
        }
    }

    #[test]
    fn a_procedure_is_shown_with_all_its_attempts() {
        let all = [statement(0, 1, Some(2.0)), statement(0, 2, Some(3.0)), statement(1, 1, None)];
        let each: Vec<_> = procedures(&all).collect();
        assert_eq!(each, [("p0_sp", Some(5.0), 2), ("p1_sp", None, 1)]);
    }

    #[test]
    fn a_statement_that_runs_is_described() {
        let described = json!({
            "Status": "STARTED", "CreatedAt": "2026-11-26 11:29:56+00:00", "QueryString": "CALL dev.slow_sp();", "RedshiftQueryId": 0,
        });
        let running = looked_at(Running { id: "id".to_owned(), ..Running::default() }, &described);
        assert_eq!((running.procedure.as_deref(), running.status.as_str()), (Some("dev.slow_sp"), "STARTED"));
        assert_eq!(running.redshift_query_id, None, "the service reports 0 until it knows");
        let now = Now {
            execution: "arn:x:run-1".to_owned(),
            state: Some("Check".to_owned()),
            state_seconds: Some(4.2),
            statement: Some(Running { seconds: Some(61.4), redshift_query_id: Some(7), ..running }),
            note: None,
        };
        assert_eq!(
            now.lines(),
            ["  run-1 in Check for 4 s", "  dev.slow_sp is STARTED, 61 s so far, Redshift query 7: statement id"]
        );
    }
}
