//! Clients of the local AWS: the SDK's, and the pinned aws CLI, which deploys here as it does on AWS.

use std::fmt;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use loader::tools::python_tool;
use loader::{Error, Result};
use redshift_data_local::process::{command, run};
use serde_json::Value;
use shared::runtime::{TrustStore, http_client};
use uuid::Uuid;

/// The region of the local AWS.
pub const REGION: &str = "eu-west-1";

/// Root's keys of one start: who has them may do everything there.
#[derive(Clone)]
pub struct Keys {
    /// The access key.
    pub id: String,
    /// The secret access key.
    pub secret: String,
}

impl Keys {
    /// New ones, of the operating system's random numbers.
    pub fn random() -> Self {
        let [id, a, b] = std::array::from_fn(|_| Uuid::new_v4().simple().to_string());
        Self { id: format!("AKIA{}", id[..16].to_uppercase()), secret: a + &b }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Something on this machine that answers as AWS does, and the keys that it takes.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where it answers.
    pub url: String,
    /// What requests are signed with.
    pub keys: Keys,
}

impl Endpoint {
    /// One that takes any keys.
    pub fn open(url: &str) -> Self {
        Self { url: url.to_owned(), keys: Keys { id: "any".to_owned(), secret: "any".to_owned() } }
    }

    /// Another that takes the same keys.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), keys: self.keys.clone() }
    }

    /// Configuration for a client of the SDK.
    pub async fn sdk_config(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client(TrustStore::default()))
            .region(Region::from_static(REGION))
            .credentials_provider(Credentials::new(&self.keys.id, &self.keys.secret, None, None, "local"))
            .endpoint_url(&self.url)
            .load()
            .await
    }

    /// The aws CLI, whatever the shell has.
    pub fn cli(&self) -> Cli {
        let set = [
            ("AWS_ENDPOINT_URL", self.url.as_str()),
            ("AWS_ACCESS_KEY_ID", &self.keys.id),
            ("AWS_SECRET_ACCESS_KEY", &self.keys.secret),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        Cli { environment: set.map(|(name, value)| (name, value.to_owned())) }
    }
}

/// Configuration for a client of something on this machine that takes any keys.
pub async fn sdk_config(url: &str) -> SdkConfig {
    Endpoint::open(url).sdk_config().await
}

/// How to call it.
#[derive(Clone)]
pub struct Cli {
    environment: [(&'static str, String); 7],
}

impl Cli {
    /// For something at `url` that takes any keys.
    pub fn local(url: &str) -> Self {
        Endpoint::open(url).cli()
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
