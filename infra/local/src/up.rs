//! `make local`: the stack, kept up until somebody stops it.

use std::path::Path;

use loader::Result;
use loader::tools::project;

use crate::aws::{Endpoint, REGION};
use crate::env_file::EnvFile;
use crate::notifications::Inbox;
use crate::page::LocalPage;
use crate::stack::{Options, Stack, WORKGROUP};

/// Where the exports are, in the project.
const FOLDER: &str = "target/local";
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

/// A stack that is up. [`Up::stop`] ends it in good order.
pub struct Up {
    stack: Stack,
    page: LocalPage,
    env: EnvFile,
}

impl Up {
    /// Ends everything that was started, and removes what it left.
    pub async fn stop(self) {
        drop((self.env, self.page));
        self.stack.stop().await;
    }
}

/// Starts the stack and its page, writes `target/local/env`, and says what to try.
pub async fn up(options: &Options, mut print: impl FnMut(&str)) -> Result<Up> {
    let stack = Stack::start_watched(options, &mut print).await?;
    match describe(&stack, &mut print).await {
        Ok((page, env)) => Ok(Up { stack, page, env }),
        Err(error) => {
            stack.stop().await;
            Err(error)
        }
    }
}

async fn describe(stack: &Stack, print: &mut impl FnMut(&str)) -> Result<(LocalPage, EnvFile)> {
    let page = LocalPage::start(stack).await?;
    let inbox = Inbox::subscribe(&stack.aws, stack.outputs.get("TopicArn")).await?;
    let database = stack.warehouse.database();
    let Endpoint { url, keys } = stack.endpoint();
    // What a shell has from elsewhere does not belong to these keys.
    let mut exports = "unset AWS_SESSION_TOKEN AWS_PROFILE\n".to_owned();
    for (name, value) in [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ENDPOINT_URL_REDSHIFT_DATA", &stack.data_api.url),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", &keys.id),
        ("AWS_SECRET_ACCESS_KEY", &keys.secret),
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
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
    let env = EnvFile::write(&project(FOLDER), port, &exports)?;
    let file = Path::new(FOLDER).join(env.path.file_name().unwrap_or_default());
    if env.path.ends_with("env") {
        print("");
    } else {
        print(&format!(
            "\n{FOLDER}/env belongs to another stack that runs; the exports of this one are in {}",
            file.display()
        ));
    }
    print(&format!("ready. In a browser on this machine: {}", page.url()));
    print(&format!(
        r#"
In another shell:

  . {}; PATH="$PWD/.tools/venv/bin:$PATH"
  aws redshift-data execute-statement --workgroup-name $WORKGROUP_NAME --database $DATABASE \
      --sql "SELECT COUNT(*) FROM dev.orders" --wait-time-seconds 5
  aws stepfunctions start-execution --state-machine-arn $STATE_MACHINE_ARN --input '{{}}'
  aws lambda invoke --function-name $PROC_RUNNER \
      --payload file://functions/proc-runner/events/procedure.json /dev/stdout
  aws sqs receive-message --endpoint-url $AWS_ENDPOINT_URL --queue-url $QUEUE_URL --max-number-of-messages 10
  make doctor

Ctrl-C stops everything."#,
        file.display()
    ));
    Ok((page, env))
}
