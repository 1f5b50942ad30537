//! The local AWS: MiniStack, which runs our real bootstraps.

use std::net::Ipv4Addr;
use std::path::Path;

use loader::tools::python_tool;
use loader::{Error, Result};
use nix::sys::signal::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::aws::REGION;
use crate::process::Process;

/// A running MiniStack.
#[derive(Debug)]
pub struct MiniStack {
    process: Process,
    port: u16,
}

/// A port that is free now: the wanted one, or any.
pub async fn take_port(wanted: Option<u16>) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted.unwrap_or(0))).await;
    let address = listener.and_then(|l| l.local_addr());
    address.map(|a| a.port()).map_err(|e| match wanted {
        Some(port) => Error::new(format!("port {port} cannot be used: {e}; choose another (PORT=...) or none")),
        None => Error::doing("find a free port", e),
    })
}

/// Where one on this port answers.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl MiniStack {
    /// Starts it on loopback. Its functions inherit its environment: `endpoints` are variables and where services
    /// answer that are not its own, such as the Data API.
    pub async fn start(port: u16, endpoints: &[(&str, &str)], wait_scale: Option<f64>, dir: &Path) -> Result<Self> {
        let url = url(port);
        // What it unpacks is removed with the folder.
        let temporary = dir.join("ministack");
        std::fs::create_dir_all(&temporary).map_err(|e| Error::doing("make a folder for MiniStack", e))?;
        let mut command = Command::new(python_tool("ministack")?);
        command
            .current_dir(&temporary)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME" || name == "LANG"))
            .env("TMPDIR", &temporary)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("IOT_MTLS_ENABLED", "0")
            .env("LAMBDA_EXECUTOR", "local")
            // IAM policies are enforced; who has the keys "test" is root.
            .env("AUTH", "true")
            // What LogFormat: JSON of the template does on AWS.
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_ENDPOINT_URL", &url)
            .envs(endpoints.iter().copied())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_REGION", REGION);
        if let Some(scale) = wait_scale {
            command.env("SFN_WAIT_SCALE", scale.to_string());
        }
        // It holds nothing worth keeping, and is slow to end when asked.
        let mut process = Process::start("ministack", &mut command, dir, Signal::SIGKILL)?;
        process.until(async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()).await?;
        Ok(Self { process, port })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Ends it and the functions that it runs.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}
