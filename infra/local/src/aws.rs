//! Clients of the local AWS: the SDK's, and the pinned aws CLI, which deploys here as it does on AWS.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use loader::tools::python_tool;
use loader::{Error, Result};
use redshift_data_local::process::{command, run};
use serde_json::Value;
use shared::runtime::{TrustStore, http_client};

/// The region of the local AWS.
pub const REGION: &str = "eu-west-1";

/// Configuration for a client of something on this machine.
pub async fn sdk_config(url: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client(TrustStore::default()))
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "local"))
        .endpoint_url(url)
        .load()
        .await
}

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

    /// What it is called with.
    pub(crate) fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// Calls it; what it prints, as JSON if it is.
    pub async fn call(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = command(python_tool("aws")?);
        command.args(["--output", "json"]).args(arguments);
        // For this one service the CLI does not look at the variable.
        if arguments.first() == Some(&"sqs") {
            command.args(["--endpoint-url", &self.environment[0].1]);
        }
        command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = run(&mut command).await.map_err(|e| Error::doing("run the aws CLI", e))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let what = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
            return Err(Error::new(format!("aws {what}: {}", said.trim())));
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }
}
