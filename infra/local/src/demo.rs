//! `make demo`: the main job once, from the event to the notifications, on a stack of its own.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sfn::types::ExecutionStatus;
use loader::executions::Source;
use loader::page::{Part, report};
use loader::terminal::{lines, table};
use loader::tools::project;
use loader::{Error, Result};
use serde_json::{Value, json};
use tokio_postgres::SimpleQueryMessage;

use crate::execution::{Ended, Step, follow};
use crate::notifications::{Inbox, Received, settle};
use crate::page::message;
use crate::stack::{GLUE_JOB, Options, Stack};

/// The runs of the sample orders that do not match; `sample.sql` explains them.
const EXPECTED_UNRESOLVED: [i64; 4] = [42, 43, 44, 45];
const LIMIT: Duration = Duration::from_secs(60);

/// The run that is fixed before the second execution.
pub(crate) const FIXED: i64 = 44;
pub(crate) const FIX: &str = "UPDATE dev.orders_final SET product_price = 99.00 WHERE order_id = 1007";

/// Runs the demo on a stack of its own; `print` gets every line.
pub async fn demo(mut print: impl FnMut(&str)) -> Result<()> {
    // The second execution notifies only about what is new.
    let parameters = ["RemindAfterHours=24", "NotifyResolved=true"].map(str::to_owned).to_vec();
    let options = Options { parameters, ..Options::default() };
    let stack = Stack::start_watched(&options, &mut print).await?;
    let outcome = run(&stack, &mut print).await;
    stack.stop().await;
    outcome
}

async fn run(stack: &Stack, print: &mut impl FnMut(&str)) -> Result<()> {
    let inbox = Inbox::subscribe(&stack.aws, stack.outputs.get("TopicArn")).await?;
    let first = load(stack, &inbox, 0, EXPECTED_UNRESOLVED.len(), print).await?;
    print("\nrows in dev.orders_final");
    show(stack, print, "SELECT run_id, order_id, customer_name, seller_name, product_name, product_price, product_qty FROM dev.orders_final ORDER BY 1, 2").await?;
    show_audit(stack, print).await?;

    print(&format!("\n- fixing run {FIXED}: {FIX}"));
    stack.warehouse.run(FIX).await?;
    let second = load(stack, &inbox, 1, 1, print).await?;
    show_audit(stack, print).await?;

    let mut report = first.report();
    report["second"] = second.report();
    let path = project("target/demo");
    std::fs::create_dir_all(&path).map_err(|e| Error::doing("make target/demo", e))?;
    let text = serde_json::to_string_pretty(&report).unwrap_or_default();
    let pages =
        html(stack, [("The event", &first), (&format!("Run {FIXED} was fixed, and the event again"), &second)]).await?;
    for (file, text) in [("report.json", text), ("report.html", pages)] {
        std::fs::write(path.join(file), text).map_err(|e| Error::doing("write the report", e))?;
    }

    let still: Vec<_> = EXPECTED_UNRESOLVED.into_iter().filter(|run| *run != FIXED).collect();
    let mut wrong = first.faults("first execution", &EXPECTED_UNRESOLVED, &EXPECTED_UNRESOLVED);
    wrong.extend(second.faults("second execution", &still, &[FIXED]));
    let lost = stack.warehouse.lost_or_doubled(true).await?;
    if lost > 0 {
        wrong.push(format!("{lost} orders of S3 staging are not exactly once in dev.orders_final"));
    }
    print("\nsummary");
    first.summary("first", print);
    second.summary("second", print);
    print("  report             target/demo/report.html, and report.json for machines");
    if wrong.is_empty() {
        print("  all as it should be");
        return Ok(());
    }
    Err(Error::new(format!("not as it should be:\n  {}", wrong.join("\n  "))))
}

/// The report for people.
async fn html(stack: &Stack, loads: [(&str, &Load); 2]) -> Result<String> {
    let mut source = Source::start(&stack.environment())?;
    let mut parts = Vec::new();
    for (title, load) in loads {
        parts.push(Part {
            title: title.to_owned(),
            execution: source.read(&load.ended.arn).await?,
            unresolved: load.unresolved.iter().map(i64::to_string).collect(),
            messages: load.received.iter().cloned().map(|received| message(received, None)).collect(),
        });
    }
    report("The demo of redshift-loader", &parts)
}

/// One execution, and what came of it.
struct Load {
    ended: Ended,
    unresolved: Vec<i64>,
    received: Vec<Received>,
}

/// Puts the event, follows the execution that it starts, and takes what arrives.
async fn load(
    stack: &Stack,
    inbox: &Inbox,
    before: usize,
    expected: usize,
    print: &mut impl FnMut(&str),
) -> Result<Load> {
    print(&format!("- putting the event: {GLUE_JOB} has SUCCEEDED\n"));
    announce(stack).await?;
    let arn = started(stack, before).await?;
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
    let received = inbox.take(expected).await?;
    for message in &received {
        print(&format!("\n--- {} ---\n{}", message.subject, message.message.trim_end()));
    }
    Ok(Load { ended, received, unresolved: stack.warehouse.unresolved_runs().await? })
}

async fn show_audit(stack: &Stack, print: &mut impl FnMut(&str)) -> Result<()> {
    print("\nrows in dev.orders_audit");
    show(stack, print, "SELECT run_id, order_id, kind, differing_columns, status FROM dev.orders_audit ORDER BY 1, 2")
        .await
}

/// Puts the event that the workflow's last job has succeeded. The source is our own: AWS alone may send
/// events with an `aws.` source.
pub async fn announce(stack: &Stack) -> Result<()> {
    announce_to(&stack.aws).await
}

pub(crate) async fn announce_to(aws: &SdkConfig) -> Result<()> {
    let detail = json!({"jobName": GLUE_JOB, "severity": "INFO", "state": "SUCCEEDED", "jobRunId": "jr_demo", "message": "Job run succeeded"});
    let entry = PutEventsRequestEntry::builder().source("redshift-loader").detail_type("Glue Job State Change");
    let events = aws_sdk_eventbridge::Client::new(aws).put_events();
    let answer = events.entries(entry.detail(detail.to_string()).build()).send().await;
    let answer = answer.map_err(|e| Error::sdk("put the event", e))?;
    if answer.failed_entry_count() > 0 {
        return Err(Error::new(format!("EventBridge refused the event: {:?}", answer.entries())));
    }
    Ok(())
}

/// Waits for the execution that an event started: the newest, once there are more than `before`.
pub async fn started(stack: &Stack, before: usize) -> Result<String> {
    let sfn = aws_sdk_sfn::Client::new(&stack.aws);
    for _ in 0..100 {
        let list = sfn.list_executions().state_machine_arn(stack.outputs.get("StateMachineArn")).send().await;
        let list = list.map_err(|e| Error::sdk("list executions", e))?;
        if list.executions().len() > before
            && let Some(newest) =
                list.executions().iter().max_by_key(|e| (e.start_date.secs(), e.start_date.subsec_nanos()))
        {
            return Ok(newest.execution_arn().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Error::new("the event started no execution: check the rule's pattern and its target"))
}

impl Load {
    fn report(&self) -> Value {
        let procedures = self.ended.statements.iter().map(|s| {
            json!({"name": s["Procedure"], "statement_id": s["Id"], "status": s["Status"], "seconds": s["DurationSeconds"]})
        });
        let notifications = self.received.iter().map(|m| {
            json!({"run_id": m.attributes.get("run_id"), "subject": m.subject, "message": m.message, "attributes": m.attributes})
        });
        json!({
            "execution": {
                "status": self.ended.status.as_str(), "transitions": self.ended.states.len(), "seconds": self.ended.seconds,
            },
            "procedures": procedures.collect::<Vec<_>>(),
            "unresolved_runs": self.unresolved,
            "notifications": notifications.collect::<Vec<_>>(),
        })
    }

    fn faults(&self, which: &str, unresolved: &[i64], told: &[i64]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |right: bool, what: String| {
            if !right {
                wrong.push(format!("{which}: {what}"));
            }
        };
        let ended = &self.ended;
        check(
            ended.status == ExecutionStatus::Succeeded,
            format!("the execution is {}: {:?} {:?}", ended.status, ended.error, ended.cause),
        );
        let finished = ended.statements.iter().filter(|s| s["Status"] == "FINISHED").count();
        check(finished == 2, format!("{finished} of 2 procedures have FINISHED"));
        check(self.unresolved == unresolved, format!("unresolved runs are {:?}, not {unresolved:?}", self.unresolved));
        let run_id = |m: &Received| m.attributes.get("run_id")?.as_str()?.parse::<i64>().ok();
        let mut notified: Vec<_> = self.received.iter().filter_map(run_id).collect();
        notified.sort_unstable();
        check(notified == told, format!("notified about {notified:?}, not {told:?}"));
        wrong
    }

    fn summary(&self, which: &str, print: &mut impl FnMut(&str)) {
        let ended = &self.ended;
        let told = self.received.iter().map(|m| m.message.lines().next().unwrap_or_default().to_owned());
        print(&format!(
            "  {:<18} {} in {:.1} s, {} transitions",
            format!("{which} execution"),
            ended.status,
            ended.seconds,
            ended.states.len()
        ));
        print(&format!(
            "    procedures       {}",
            join(ended.statements.iter().map(|s| format!("{} {}", text_of(s, "Procedure"), text_of(s, "Status"))))
        ));
        print(&format!("    unresolved runs  {}", join(self.unresolved.iter().map(i64::to_string))));
        print(&format!(
            "    notifications    {}: {}",
            self.received.len(),
            told.collect::<Vec<_>>().join("\n                        ")
        ));
    }
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
    let rows = client.simple_query(sql).await.map_err(|e| Error::doing(sql, e))?;
    let mut table = table([]);
    for message in &rows {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                table.set_header(columns.iter().map(|column| column.name()));
            }
            SimpleQueryMessage::Row(row) => {
                table.add_row((0..row.len()).map(|n| row.get(n).unwrap_or("NULL")));
            }
            _ => {}
        }
    }
    lines(&table).for_each(|line| print(&format!(" {line}")));
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
