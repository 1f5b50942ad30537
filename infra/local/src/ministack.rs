//! The local AWS: MiniStack, which runs our real bootstraps, behind the gateway.

use std::path::Path;
use std::sync::Arc;

use loader::tools::{project, python_tool};
use loader::{Error, Result};
use nix::sys::signal::Signal;
use redshift_data_local::process::{Process, command};
use serde_json::Value;
use tokio::net::UnixStream;

use crate::aws::{Endpoint, REGION};
use crate::gateway::{self, Gateway, KeyRing, Open};

/// A running MiniStack.
#[derive(Debug)]
pub struct MiniStack {
    _open: Open,
    process: Process,
    keys: Arc<KeyRing>,
    /// How to reach it.
    pub endpoint: Endpoint,
}

impl MiniStack {
    /// Starts it behind the gateway. Its functions inherit its environment: `endpoints` are variables and where services
    /// answer that are not its own, such as the Data API.
    pub async fn start(
        gateway: Gateway,
        endpoints: &[(&str, &str)],
        wait_scale: Option<f64>,
        dir: &Path,
    ) -> Result<Self> {
        let socket = gateway.socket().to_owned();
        // What it unpacks is removed with the folder.
        let temporary = socket.parent().unwrap_or(dir);
        let Endpoint { url, keys } = &gateway.endpoint;
        let mut command = command(python_tool("python")?);
        command
            .arg("-I")
            .arg(project("infra/local/src/ministack_on_socket.py"))
            .arg(&socket)
            .current_dir(temporary)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME" || name == "LANG"))
            .env("TMPDIR", temporary)
            .env("GATEWAY_PORT", gateway.port().to_string())
            // Else it listens to devices on all addresses.
            .env("IOT_MTLS_ENABLED", "0")
            .env("LAMBDA_EXECUTOR", "local")
            // IAM policies are enforced.
            .env("AUTH", "true")
            // What LogFormat: JSON of the template does on AWS.
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_ENDPOINT_URL", url)
            .envs(endpoints.iter().copied())
            .env("AWS_ACCESS_KEY_ID", &keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_REGION", REGION);
        if let Some(scale) = wait_scale {
            command.env("SFN_WAIT_SCALE", scale.to_string());
        }
        // It holds nothing worth keeping, and is slow to end when asked.
        let failed = |e: redshift_data_local::Error| Error::doing("start MiniStack", e);
        let mut process = Process::start("ministack", &mut command, dir, Signal::SIGKILL).await.map_err(failed)?;
        process.until(async || UnixStream::connect(&socket).await.is_ok()).await.map_err(failed)?;
        let (endpoint, keys) = (gateway.endpoint.clone(), gateway.keys());
        Ok(Self { _open: gateway.open()?, process, keys, endpoint })
    }

    /// Changes its own settings, by their names.
    ///
    /// # Errors
    /// If it does not take them.
    pub async fn configure(&self, settings: &Value) -> Result<()> {
        gateway::configure(&self.keys, settings).await
    }

    /// Ends it and the functions that it runs.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}
