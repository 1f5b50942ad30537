//! A release, made of the functions for the local stack as `make release` makes it of those for AWS: deployed without a toolchain
//! into the local AWS, by the commands of the docs, over the release before it, and by the CDK.

mod cdk;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use loader::tools::{project, python_tool};
use redshift_local::aws::Cli;
use redshift_local::deploy::{Outputs, outputs};
use redshift_local::execution::{Ended, follow, start};
use redshift_local::notifications::{Inbox, Received, settle};
use redshift_local::stack::{Options, Stack, WORKGROUP, WORKGROUP_ID};
use serde_json::{Value, json};
use tests::{Any, Outcome, failed, run, tests};
use tokio::process::Command;

use cdk::*;
use upgrade::*;

/// A pre-release of what Cargo.toml has: its notes are what is unreleased.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-test.1");
const BUCKET: &str = "artifacts";
const LIMIT: Duration = Duration::from_secs(60);
/// What a machine needs to deploy a release. There is no cargo, and no Python but the CLI's.
const TOOLS: [&str; 14] =
    ["sh", "make", "sed", "grep", "xargs", "tr", "sha256sum", "curl", "mktemp", "rm", "mkdir", "dirname", "wc", "ls"];

struct Released {
    stack: Stack,
    /// The release.
    folder: PathBuf,
    /// The only folder on the PATH of what deploys.
    bin: PathBuf,
}

impl Released {
    async fn start() -> Any<Self> {
        let stack = Stack::start(&Options { wait_scale: Some(0.02), ..Options::default() }, |_| ()).await?;
        let folder = stack.dir.path().join(format!("redshift-loader-{VERSION}"));
        pack(VERSION, &folder).await?;
        let bin = stack.dir.path().join("bin");
        std::fs::create_dir(&bin)?;
        for tool in TOOLS {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let found = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.exists());
            std::os::unix::fs::symlink(found.ok_or_else(|| failed(tool))?, bin.join(tool))?;
        }
        std::os::unix::fs::symlink(python_tool("aws")?, bin.join("aws"))?;
        Ok(Self { stack, folder, bin })
    }

    /// Runs a command of a shell in the project, or where it is told to, with nothing but `TOOLS` and the aws CLI.
    async fn shell(&self, script: &str, folder: &Path) -> Any<String> {
        let mut command = Command::new(self.bin.join("sh"));
        command.args(["-ec", script]).current_dir(folder).env_clear().env("PATH", &self.bin);
        said(command.env("TMPDIR", self.stack.dir.path()).envs(self.stack.environment())).await
    }

    async fn make_deploy(&self, release: &str, stack: &str, parameters: &Path) -> Any<String> {
        let parameters = parameters.display();
        let deploy = format!("make deploy RELEASE='{release}' BUCKET={BUCKET} PARAMETERS='{parameters}' STACK={stack}");
        self.shell(&deploy, &project("")).await
    }

    /// A file of parameters for a stack that the event of a job of its own starts.
    fn parameters(&self, stack: &str) -> Any<PathBuf> {
        let file = self.stack.dir.path().join(format!("{stack}.txt"));
        let (secret, database) = (&self.stack.secret_arn, self.stack.warehouse.database());
        let text = format!(
            "# As a person writes it.\n\nWorkgroupName={WORKGROUP}\nWorkgroupId={WORKGROUP_ID}\nSecretArn={secret}\nDatabase={database}\n\
             GlueJobName={stack} job\nRemindAfterHours=24\nNotifyResolved=true\n"
        );
        std::fs::write(&file, text)?;
        Ok(file)
    }

    fn cli(&self) -> Cli {
        self.stack.cli().clone()
    }

    async fn outputs(&self, stack: &str) -> Any<Outputs> {
        Ok(outputs(self.stack.cli(), stack).await?)
    }

    /// Runs a stack's default list to its end.
    async fn execute(&self, outputs: &Outputs) -> Any<Ended> {
        let sfn = aws_sdk_sfn::Client::new(&self.stack.aws);
        let arn = start(&sfn, outputs.get("StateMachineArn"), &json!({})).await?;
        let ended = follow(&sfn, &arn, LIMIT, |_| ()).await?;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?} {:?}", ended.error, ended.cause);
        settle().await;
        Ok(ended)
    }

    /// The newest execution, once there are more than `before`.
    async fn started(&self, outputs: &Outputs, before: usize) -> Any<String> {
        let sfn = aws_sdk_sfn::Client::new(&self.stack.aws);
        for _ in 0..100 {
            let list = sfn.list_executions().state_machine_arn(outputs.get("StateMachineArn")).send().await?;
            let newest = list.executions().iter().max_by_key(|e| (e.start_date.secs(), e.start_date.subsec_nanos()));
            if let Some(newest) = newest.filter(|_| list.executions().len() > before) {
                return Ok(newest.execution_arn.clone());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(failed("the event started no execution"))
    }
}

/// What a command prints, if it succeeds.
async fn said(command: &mut Command) -> Any<String> {
    let ended = command.kill_on_drop(true).output().await?;
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    if ended.status.success() { Ok(said) } else { Err(failed(said)) }
}

/// `make release` without the build and the bill of materials.
async fn pack(version: &str, folder: &Path) -> Outcome {
    for command in ["pack", "sum"] {
        let mut python = Command::new(python_tool("python")?);
        python.arg(project("infra/build/release.py")).args([command, version]).arg(folder).current_dir(project(""));
        if command == "pack" {
            python.arg("x86_64=target/lambda");
        }
        said(&mut python).await?;
    }
    Ok(())
}

/// The messages as (type, run), in an order of their own.
fn told(received: &[Received]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told: Vec<_> = received.iter().map(|m| (text(&m.payload["type"]), text(&m.payload["run_id"]))).collect();
    told.sort();
    told
}

fn of_type(kind: &str, runs: &[&str]) -> Vec<(String, String)> {
    runs.iter().map(|run| (kind.to_owned(), (*run).to_owned())).collect()
}

async fn the_same_input_gives_the_same_bytes(p: &Released) -> Outcome {
    let again = p.stack.dir.path().join("again");
    pack(VERSION, &again).await?;
    let sums = std::fs::read_to_string(p.folder.join("SHA256SUMS"))?;
    assert_eq!(sums, std::fs::read_to_string(again.join("SHA256SUMS"))?);
    let mut files: Vec<_> = std::fs::read_dir(&p.folder)?.map(|file| Ok(file?.file_name())).collect::<Any<_>>()?;
    files.sort();
    assert_eq!(
        files,
        [
            "NOTES.md",
            "SHA256SUMS",
            "loader.asl.json",
            "orders-audit-fn-x86_64.zip",
            "proc-runner-x86_64.zip",
            "status-checker-x86_64.zip",
            "template.json",
            "warehouse.zip"
        ]
    );
    Ok(())
}

async fn notes_are_a_section_of_the_changelog(p: &Released) -> Outcome {
    let changelog = std::fs::read_to_string(project("CHANGELOG.md"))?;
    let notes = std::fs::read_to_string(p.folder.join("NOTES.md"))?;
    assert!(changelog.contains(notes.trim()) && !notes.contains("\n## "), "{notes}");
    for (version, says) in [
        ("v1.0.0", "has to be a version without a v"),
        ("9.9.9", "but Cargo.toml has"),
        (env!("CARGO_PKG_VERSION"), "CHANGELOG.md has no section"),
    ] {
        // From the version on that has been released there is a section.
        if changelog.contains(&format!("## [{version}]")) {
            continue;
        }
        let error = pack(version, &p.stack.dir.path().join("none")).await.expect_err("a refusal").to_string();
        assert!(error.contains(says), "{version}: {error}");
    }
    Ok(())
}

/// The demo's main job, on what `make deploy RELEASE=` has deployed from a URL.
async fn it_deploys_and_runs_without_a_toolchain(p: &Released) -> Outcome {
    for tool in ["cargo", "rustc", "python3"] {
        assert!(p.shell(&format!("command -v {tool}"), &project("")).await.is_err(), "{tool} is on the PATH");
    }
    p.stack.warehouse.reset().await?;
    let printed =
        p.make_deploy(&format!("file://{}", p.folder.display()), "released", &p.parameters("released")?).await?;
    assert!(printed.contains(VERSION), "{printed}");
    let outputs = p.outputs("released").await?;
    let inbox = Inbox::subscribe_as("released", &p.stack.aws, outputs.get("TopicArn")).await?;
    let sfn = aws_sdk_sfn::Client::new(&p.stack.aws);
    for (fix, expected) in [
        (None, of_type("mismatch", &["42", "43", "44", "45"])),
        (Some("UPDATE dev.orders_final SET product_price = 99.00 WHERE order_id = 1007"), of_type("resolved", &["44"])),
    ] {
        if let Some(sql) = fix {
            p.stack.warehouse.run(sql).await?;
        }
        let detail = json!({"jobName": "released job", "state": "SUCCEEDED", "jobRunId": "jr_x"}).to_string();
        let event = json!([{"Source": "redshift-loader", "DetailType": "Glue Job State Change", "Detail": detail}]);
        p.cli().call(&["events", "put-events", "--entries", &event.to_string()]).await?;
        let arn = p.started(&outputs, usize::from(fix.is_some())).await?;
        let ended = follow(&sfn, &arn, LIMIT, |_| ()).await?;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{:?} {:?}", ended.error, ended.cause);
        settle().await;
        assert_eq!(told(&inbox.take(expected.len()).await?), expected);
    }
    assert_eq!(p.stack.warehouse.lost_or_doubled(true).await?, 0);
    Ok(())
}

/// The commands for those who have no checkout.
async fn the_commands_of_the_docs_deploy_it(p: &Released) -> Outcome {
    let docs = std::fs::read_to_string(project("docs/RELEASES.md"))?;
    let commands = block(&docs, "sh", "aws cloudformation deploy").ok_or("the commands")?;
    let mine = p.parameters("documented")?;
    let commands = commands
        .replace("0.2.0", VERSION)
        .replace("my-artifacts", BUCKET)
        .replace("my.txt", &mine.display().to_string())
        .replace("--stack-name redshift-loader", "--stack-name documented");
    p.shell(&commands, p.stack.dir.path()).await?;
    p.stack.warehouse.reset().await?;
    let ended = p.execute(&p.outputs("documented").await?).await?;
    assert_eq!(ended.output, json!({"UnresolvedRuns": 4, "Notified": 4}));
    Ok(())
}

/// The first block of code in a language that has a text in it.
fn block<'a>(docs: &'a str, language: &str, text: &str) -> Option<&'a str> {
    let mut blocks = docs.split("```").skip(1).step_by(2);
    blocks.find_map(|block| block.strip_prefix(language)?.strip_prefix('\n').filter(|code| code.contains(text)))
}

async fn what_its_sums_do_not_confirm_is_not_deployed(p: &Released) -> Outcome {
    let other = p.stack.dir.path().join("other");
    pack(VERSION, &other).await?;
    let mine = p.parameters("other")?;
    std::fs::write(other.join("template.json"), "{}")?;
    let release = other.display().to_string();
    let error = p.make_deploy(&release, "other", &mine).await.expect_err("a refusal").to_string();
    assert!(error.contains("template.json: FAILED"), "{error}");
    std::fs::remove_file(other.join("SHA256SUMS"))?;
    let error = p.make_deploy(&release, "other", &mine).await.expect_err("a refusal").to_string();
    assert!(error.contains("it has no SHA256SUMS"), "{error}");
    let unknown = p.stack.dir.path().join("unknown.txt");
    for (line, says) in [
        ("Databse=x", "Databse is no parameter of the template"),
        ("AuditTable=dev.x", "it is AuditTables"),
        ("Database", "'Database' has to be Name=value"),
    ] {
        std::fs::write(&unknown, format!("# mine\n{line}\n"))?;
        let release = p.folder.display().to_string();
        let error = p.make_deploy(&release, "other", &unknown).await.expect_err("a refusal").to_string();
        assert!(error.contains(says), "{error}");
    }
    let stacks = p.cli().call(&["cloudformation", "describe-stacks", "--query", "Stacks[].StackName"]).await?;
    assert!(!stacks.to_string().contains("other"), "{stacks}");
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        the_same_input_gives_the_same_bytes,
        notes_are_a_section_of_the_changelog,
        it_deploys_and_runs_without_a_toolchain,
        the_commands_of_the_docs_deploy_it,
        what_its_sums_do_not_confirm_is_not_deployed,
        the_cdk_takes_the_template_as_it_is,
        an_upgrade_loses_and_doubles_no_notification,
    ];
    run(
        tests,
        async || Released::start().await.expect("a release and a stack"),
        async |p: Released| p.stack.stop().await,
    )
}
