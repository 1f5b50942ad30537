//! The pinned aws CLI, which deploys here as it does on AWS.

use serde_json::Value;
use tokio::process::Command;

use crate::stack::{REGION, Result, StackError, tools};

/// How to call it.
#[derive(Debug, Clone)]
pub struct Cli {
    environment: [(&'static str, String); 7],
}

impl Cli {
    /// For the local AWS at `url`, whatever the shell has.
    pub fn local(url: &str) -> Self {
        let set = [
            ("AWS_ENDPOINT_URL", url),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        Self { environment: set.map(|(name, value)| (name, value.to_owned())) }
    }

    /// Calls it; what it prints, as JSON where it is.
    ///
    /// # Errors
    /// What it says.
    pub async fn call(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(tools::python_tool("aws")?);
        command.args(["--output", "json"]).args(arguments).kill_on_drop(true);
        // For this one service the CLI does not look at the variable.
        if arguments.first() == Some(&"sqs") {
            command.args(["--endpoint-url", &self.environment[0].1]);
        }
        command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().await.map_err(|e| StackError::doing("run the aws CLI", e))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let what = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
            return Err(StackError::new(format!("aws {what}: {}", said.trim())));
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }
}
