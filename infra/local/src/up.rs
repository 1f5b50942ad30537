//! `make local`: the stack, kept up until somebody stops it.

use std::path::Path;

use loader::tools::project;
use loader::{Error, Result};

use crate::aws::REGION;
use crate::notifications::Inbox;
use crate::page::LocalPage;
use crate::stack::{Options, Stack, WORKGROUP};

/// What a file of parameters may say about the local stack: its warehouse and its triggers are here.
const OWN: [&str; 13] = [
    "Procedures",
    "AuditTables",
    "AuditKeyColumn",
    "AuditTimeColumn",
    "FullAuditProcedures",
    "NotificationSubject",
    "NotificationTitle",
    "NotificationWords",
    "RemindAfterHours",
    "NotifyResolved",
    "MaxNotifications",
    "ChatTopic",
    "StatementTimeoutSeconds",
];

/// The parameters of a file that count here, as `Name=value`.
///
/// # Errors
/// If it cannot be read.
pub fn parameters(file: &Path) -> Result<Vec<String>> {
    let all = loader::parameters(file)?.into_iter().filter(|(name, _)| OWN.contains(&name.as_str()));
    Ok(all.map(|(name, value)| format!("{name}={value}")).collect())
}

/// Starts the stack and its page, writes `target/local/env`, and says what to try.
pub async fn up(options: &Options, mut print: impl FnMut(&str)) -> Result<(Stack, LocalPage)> {
    let stack = Stack::start_watched(options, &mut print).await?;
    match describe(&stack, &mut print).await {
        Ok(page) => Ok((stack, page)),
        Err(error) => {
            stack.stop().await;
            Err(error)
        }
    }
}

async fn describe(stack: &Stack, print: &mut impl FnMut(&str)) -> Result<LocalPage> {
    let page = LocalPage::start(stack).await?;
    let inbox = Inbox::subscribe(&stack.aws, stack.outputs.get("TopicArn")).await?;
    let database = stack.warehouse.database();
    let aws = stack.aws_url();
    let mut exports = String::new();
    for (name, value) in [
        ("AWS_ENDPOINT_URL", aws.as_str()),
        ("AWS_ENDPOINT_URL_REDSHIFT_DATA", &stack.data_api.url),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("STATE_MACHINE_ARN", stack.outputs.get("StateMachineArn")),
        ("TOPIC_ARN", stack.outputs.get("TopicArn")),
        ("QUEUE_URL", &inbox.url),
        ("DATABASE_URL", stack.warehouse.url()),
        ("WORKGROUP_NAME", WORKGROUP),
        ("DATABASE", database),
        ("PROC_RUNNER", stack.outputs.get("ProcRunnerName")),
        ("STATUS_CHECKER", stack.outputs.get("StatusCheckerName")),
        ("ORDERS_AUDIT_FN", stack.outputs.get("OrdersAuditFnName")),
        ("PAGE_URL", page.url()),
    ] {
        exports.push_str(&format!("export {name}='{}'\n", value.replace('\'', r"'\''")));
    }
    let path = project("target/local");
    std::fs::create_dir_all(&path).map_err(|e| Error::doing("make target/local", e))?;
    std::fs::write(path.join("env"), exports).map_err(|e| Error::doing("write target/local/env", e))?;
    print(&format!("\nready. In a browser on this machine: {}", page.url()));
    print(
        r#"
In another shell:

  . target/local/env; PATH="$PWD/.tools/venv/bin:$PATH"
  aws redshift-data execute-statement --workgroup-name $WORKGROUP_NAME --database $DATABASE \
      --sql "SELECT COUNT(*) FROM dev.orders" --wait-time-seconds 5
  aws stepfunctions start-execution --state-machine-arn $STATE_MACHINE_ARN --input '{}'
  aws lambda invoke --function-name $PROC_RUNNER \
      --payload file://functions/proc-runner/events/procedure.json /dev/stdout
  aws sqs receive-message --endpoint-url $AWS_ENDPOINT_URL --queue-url $QUEUE_URL --max-number-of-messages 10
  make doctor

Ctrl-C stops everything."#,
    );
    Ok(page)
}
