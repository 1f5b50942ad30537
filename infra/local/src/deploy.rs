//! Deploys the template as on AWS: `aws cloudformation package`, then `aws cloudformation deploy`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use loader::Result;
use loader::tools::{bootstrap, project};
use serde_json::{Value, json};

use crate::aws::Cli;
use crate::warehouse::DB_USER;

const BUCKET: &str = "artifacts";

/// The stack's outputs, by their names in the template.
#[derive(Debug, Clone, Default)]
pub struct Outputs(HashMap<String, String>);

impl Outputs {
    /// An output; empty if the template has none of that name.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// Makes a secret with the database user; its ARN.
pub async fn secret(url: &str) -> Result<String> {
    let secret = format!(r#"{{"username": "{DB_USER}", "password": "not-checked-here"}}"#);
    let secret = ["secretsmanager", "create-secret", "--name", "redshift-loader", "--secret-string", &secret];
    let arn = aws(url, &[&secret[..], &["--query", "ARN"]].concat()).await?;
    Ok(arn.as_str().unwrap_or_default().to_owned())
}

/// Makes what a deployment needs: the artifacts' bucket and the packaged template.
pub async fn package(url: &str, dir: &Path) -> Result<()> {
    for function in ["proc-runner", "status-checker", "orders-audit-fn"] {
        bootstrap(function)?;
    }
    aws(url, &["s3", "mb", &format!("s3://{BUCKET}")]).await?;
    let (template, packaged) = (project("infra/template.yaml"), packaged(dir));
    let (template, packaged) = (template.to_string_lossy(), packaged.to_string_lossy());
    let package = ["cloudformation", "package", "--template-file", &template, "--s3-bucket", BUCKET];
    aws(url, &[&package[..], &["--output-template-file", &packaged]].concat()).await?;
    Ok(())
}

fn packaged(dir: &Path) -> PathBuf {
    dir.join("packaged.yaml")
}

/// Deploys the packaged template under a name; `parameters` are `Name=value`, of which the last counts.
pub async fn deploy(url: &str, dir: &Path, stack: &str, parameters: &[String]) -> Result<Outputs> {
    let packaged = packaged(dir);
    let packaged = packaged.to_string_lossy();
    let mut command = vec!["cloudformation", "deploy", "--stack-name", stack, "--template-file", &packaged];
    command.extend(["--s3-bucket", BUCKET, "--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]);
    // As the Makefile does: CloudFormation hands them on to every resource.
    command.extend(["--tags", "Application=redshift-loader", "--parameter-overrides"]);
    command.extend(parameters.iter().map(String::as_str));
    aws(url, &command).await?;
    outputs(url, stack).await
}

/// The outputs of a stack, whoever has deployed it; from here on its notifications are sent.
pub async fn outputs(url: &str, stack: &str) -> Result<Outputs> {
    let query = ["--query", "Stacks[0].Outputs"];
    let outputs =
        aws(url, &[&["cloudformation", "describe-stacks", "--stack-name", stack], &query[..]].concat()).await?;
    let text = |output: &Value, key: &str| output[key].as_str().unwrap_or_default().to_owned();
    let outputs = outputs.as_array().into_iter().flatten();
    let outputs = Outputs(outputs.map(|o| (text(o, "OutputKey"), text(o, "OutputValue"))).collect());
    allow_publish_batch(url, &outputs).await?;
    Ok(outputs)
}

/// On AWS `sns:Publish` is what PublishBatch takes, and there is no other action; MiniStack asks for one of
/// its own.
async fn allow_publish_batch(url: &str, outputs: &Outputs) -> Result<()> {
    let topics: Vec<_> =
        ["TopicArn", "ChatTopicArn"].map(|name| outputs.get(name)).into_iter().filter(|arn| !arn.is_empty()).collect();
    let statement = json!({"Effect": "Allow", "Action": "sns:PublishBatch", "Resource": topics});
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let role = ["iam", "put-role-policy", "--role-name", outputs.get("AuditRoleName")];
    aws(url, &[&role[..], &["--policy-name", "ministack-publish-batch", "--policy-document", &policy]].concat())
        .await?;
    Ok(())
}

async fn aws(url: &str, arguments: &[&str]) -> Result<Value> {
    Cli::local(url).call(arguments).await
}
