//! `make demo`: the main job once, from the event to the notifications, on a stack of its own.

use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::{Value, json};

use crate::stack::execution::{Ended, Step, follow};
use crate::stack::notifications::{Inbox, Received, settle};
use crate::stack::{GLUE_JOB, Options, Result, Stack, StackError, project};

/// The runs of the sample orders that do not match; `sample.sql` says why.
const EXPECTED_UNRESOLVED: [i64; 4] = [42, 43, 44, 45];
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the demo on a stack of its own; `print` gets every line.
///
/// # Errors
/// Anything that is not as it should be.
pub async fn demo(mut print: impl FnMut(&str)) -> Result<()> {
    let stack = Stack::start(&Options::default(), |step| print(&format!("- {step}"))).await?;
    let outcome = run(&stack, &mut print).await;
    stack.stop().await;
    outcome
}

async fn run(stack: &Stack, print: &mut impl FnMut(&str)) -> Result<()> {
    let inbox = Inbox::subscribe(&stack.aws, stack.outputs.get("TopicArn")).await?;
    print(&format!("- putting the event: {GLUE_JOB} has SUCCEEDED\n"));
    announce(stack).await?;
    let arn = started(stack, 0).await?;
    print(&format!(
        "execution {}\n{:>7}  {:<18} {:<38} {:<10} {:>7}",
        name(&arn),
        "elapsed",
        "state",
        "statement",
        "status",
        "took"
    ));
    let sfn = aws_sdk_sfn::Client::new(&stack.aws);
    let ended = follow(&sfn, &arn, LIMIT, |step| print(&line(step))).await?;
    print(&format!("\nexecution {} after {:.1} s", ended.status, ended.seconds));

    settle().await;
    let received = inbox.take(EXPECTED_UNRESOLVED.len()).await?;
    for message in &received {
        print(&format!("\n--- {} ---\n{}", message.subject, message.message.trim_end()));
    }
    print("\nrows in dev.orders_final");
    show(stack, print, "SELECT run_id, order_id, customer_name, seller_name, product_name, product_price, product_qty FROM dev.orders_final ORDER BY 1, 2").await?;
    print("\nrows in dev.orders_audit");
    show(stack, print, "SELECT run_id, order_id, kind, differing_columns, status FROM dev.orders_audit ORDER BY 1, 2")
        .await?;

    let unresolved = stack.warehouse.unresolved_runs().await?;
    let report = report(&ended, &unresolved, &received);
    let path = project("target/demo");
    std::fs::create_dir_all(&path).map_err(|e| StackError::doing("make target/demo", e))?;
    let text = serde_json::to_string_pretty(&report).unwrap_or_default();
    std::fs::write(path.join("report.json"), text).map_err(|e| StackError::doing("write the report", e))?;

    let wrong = faults(stack, &ended, &unresolved, &received).await?;
    print(&format!(
        "\nsummary\n  execution          {} in {:.1} s, {} transitions\n  procedures         {}\n  unresolved runs    {}\n  \
         notifications      {}\n  report             target/demo/report.json",
        ended.status,
        ended.seconds,
        ended.states.len(),
        join(ended.statements.iter().map(|s| format!("{} {}", text_of(s, "Procedure"), text_of(s, "Status")))),
        join(unresolved.iter().map(i64::to_string)),
        received.len(),
    ));
    if wrong.is_empty() {
        print("  all as it should be");
        return Ok(());
    }
    Err(StackError::new(format!("not as it should be:\n  {}", wrong.join("\n  "))))
}

/// Puts the event that the workflow's last job has succeeded. The source is our own: AWS alone may send
/// events with an `aws.` source.
///
/// # Errors
/// Where EventBridge refuses it.
pub async fn announce(stack: &Stack) -> Result<()> {
    let detail = json!({"jobName": GLUE_JOB, "severity": "INFO", "state": "SUCCEEDED", "jobRunId": "jr_demo", "message": "Job run succeeded"});
    let entry = PutEventsRequestEntry::builder().source("redshift-loader").detail_type("Glue Job State Change");
    let events = aws_sdk_eventbridge::Client::new(&stack.aws).put_events();
    let answer = events.entries(entry.detail(detail.to_string()).build()).send().await;
    let answer = answer.map_err(|e| StackError::sdk("put the event", e))?;
    if answer.failed_entry_count() > 0 {
        return Err(StackError::new(format!("EventBridge refused the event: {:?}", answer.entries())));
    }
    Ok(())
}

/// Waits for the execution that an event started: the newest, once there are more than `before`.
///
/// # Errors
/// Where none starts.
pub async fn started(stack: &Stack, before: usize) -> Result<String> {
    let sfn = aws_sdk_sfn::Client::new(&stack.aws);
    for _ in 0..100 {
        let list = sfn.list_executions().state_machine_arn(stack.outputs.get("StateMachineArn")).send().await;
        let list = list.map_err(|e| StackError::sdk("list executions", e))?;
        if list.executions().len() > before
            && let Some(newest) =
                list.executions().iter().max_by_key(|e| (e.start_date.secs(), e.start_date.subsec_nanos()))
        {
            return Ok(newest.execution_arn().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(StackError::new("the event started no execution: look at the rule's pattern and its target"))
}

fn report(ended: &Ended, unresolved: &[i64], received: &[Received]) -> Value {
    let procedures = ended.statements.iter().map(|s| {
        json!({"name": s["Procedure"], "statement_id": s["Id"], "status": s["Status"], "seconds": s["DurationSeconds"]})
    });
    let notifications = received.iter().map(|m| {
        json!({"run_id": m.attributes.get("run_id"), "subject": m.subject, "message": m.message, "attributes": m.attributes})
    });
    json!({
        "execution": {"status": ended.status.as_str(), "transitions": ended.states.len(), "seconds": ended.seconds},
        "procedures": procedures.collect::<Vec<_>>(),
        "unresolved_runs": unresolved,
        "notifications": notifications.collect::<Vec<_>>(),
    })
}

async fn faults(stack: &Stack, ended: &Ended, unresolved: &[i64], received: &[Received]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut check = |right: bool, what: String| {
        if !right {
            wrong.push(what);
        }
    };
    check(
        ended.status == ExecutionStatus::Succeeded,
        format!("the execution is {}: {:?} {:?}", ended.status, ended.error, ended.cause),
    );
    let finished = ended.statements.iter().filter(|s| s["Status"] == "FINISHED").count();
    check(finished == 2, format!("{finished} of 2 procedures have FINISHED"));
    check(
        unresolved == EXPECTED_UNRESOLVED,
        format!("unresolved runs are {unresolved:?}, not {EXPECTED_UNRESOLVED:?}"),
    );
    let run_id = |m: &Received| m.attributes.get("run_id")?.as_str()?.parse::<i64>().ok();
    let mut notified: Vec<_> = received.iter().filter_map(run_id).collect();
    notified.sort_unstable();
    check(notified == EXPECTED_UNRESOLVED, format!("notified about {notified:?}, not {EXPECTED_UNRESOLVED:?}"));
    let lost = "SELECT COUNT(*) FROM dev.orders o WHERE (SELECT COUNT(*) FROM dev.orders_final f WHERE f.run_id = o.run_id AND f.order_id = o.order_id) <> 1";
    let lost = stack.warehouse.number(lost).await?;
    check(lost == 0, format!("{lost} staged orders are not exactly once in dev.orders_final"));
    Ok(wrong)
}

fn line(step: &Step) -> String {
    let statement = step.statement.as_ref();
    let field = |name| statement.map_or("", |s| text_of(s, name));
    let took = statement.and_then(|s| s["DurationSeconds"].as_f64().or_else(|| s["ElapsedSeconds"].as_f64()));
    let took = took.map_or_else(String::new, |seconds| format!("{seconds:.2} s"));
    let line = format!(
        "{:>5.1} s  {:<18} {:<38} {:<10} {:>7}",
        step.elapsed.as_secs_f64(),
        step.state,
        field("Id"),
        field("Status"),
        took
    );
    line.trim_end().to_owned()
}

async fn show(stack: &Stack, print: &mut impl FnMut(&str), sql: &str) -> Result<()> {
    // As text, whatever the types.
    let client = stack.warehouse.connect().await?;
    let rows = client.simple_query(sql).await.map_err(|e| StackError::doing(sql, e))?;
    let mut table: Vec<Vec<String>> = Vec::new();
    for message in &rows {
        match message {
            tokio_postgres::SimpleQueryMessage::RowDescription(columns) => {
                table.push(columns.iter().map(|c| c.name().to_owned()).collect());
            }
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                table.push((0..row.len()).map(|n| row.get(n).unwrap_or("NULL").to_owned()).collect());
            }
            _ => {}
        }
    }
    let columns = table.first().map_or(0, Vec::len);
    let widths: Vec<_> =
        (0..columns).map(|n| table.iter().map(|row| row[n].chars().count()).max().unwrap_or(0)).collect();
    for row in &table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        print(format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end());
    }
    Ok(())
}

fn text_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}
