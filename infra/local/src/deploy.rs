//! Deploys the template as on AWS: `aws cloudformation package`, then `aws cloudformation deploy`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use loader::Result;
use loader::tools::{bootstrap, project};
use serde_json::Value;

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
pub async fn secret(cli: &Cli) -> Result<String> {
    let secret = format!(r#"{{"username": "{DB_USER}", "password": "not-checked-here"}}"#);
    let secret = ["secretsmanager", "create-secret", "--name", "redshift-loader", "--secret-string", &secret];
    let arn = cli.call(&[&secret[..], &["--query", "ARN"]].concat()).await?;
    Ok(arn.as_str().unwrap_or_default().to_owned())
}

/// Makes what a deployment needs: the artifacts' bucket and the packaged template.
pub async fn package(cli: &Cli, dir: &Path) -> Result<()> {
    for function in ["proc-runner", "status-checker", "orders-audit-fn"] {
        bootstrap(function)?;
    }
    cli.call(&["s3", "mb", &format!("s3://{BUCKET}")]).await?;
    let (template, packaged) = (project("infra/template.yaml"), packaged(dir));
    let (template, packaged) = (template.to_string_lossy(), packaged.to_string_lossy());
    let package = ["cloudformation", "package", "--template-file", &template, "--s3-bucket", BUCKET];
    cli.call(&[&package[..], &["--output-template-file", &packaged]].concat()).await?;
    Ok(())
}

fn packaged(dir: &Path) -> PathBuf {
    dir.join("packaged.yaml")
}

/// Deploys the packaged template under a name; `parameters` are `Name=value`, of which the last counts.
pub async fn deploy(cli: &Cli, dir: &Path, stack: &str, parameters: &[String]) -> Result<Outputs> {
    let packaged = packaged(dir);
    let packaged = packaged.to_string_lossy();
    let mut command = vec!["cloudformation", "deploy", "--stack-name", stack, "--template-file", &packaged];
    command.extend(["--s3-bucket", BUCKET, "--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]);
    // As the Makefile does: CloudFormation hands them on to every resource.
    command.extend(["--tags", "Application=redshift-loader", "--parameter-overrides"]);
    command.extend(parameters.iter().map(String::as_str));
    cli.call(&command).await?;
    outputs(cli, stack).await
}

/// The outputs of a stack, whoever has deployed it.
pub async fn outputs(cli: &Cli, stack: &str) -> Result<Outputs> {
    let query = ["--query", "Stacks[0].Outputs"];
    let outputs =
        cli.call(&[&["cloudformation", "describe-stacks", "--stack-name", stack], &query[..]].concat()).await?;
    let text = |output: &Value, key: &str| output[key].as_str().unwrap_or_default().to_owned();
    let outputs = outputs.as_array().into_iter().flatten();
    Ok(Outputs(outputs.map(|o| (text(o, "OutputKey"), text(o, "OutputValue"))).collect()))
}
