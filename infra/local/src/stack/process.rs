//! Child processes that end with us. Each leads a process group of its own: Ctrl-C reaches us alone, and
//! what a child starts ends with it.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::{Result, StackError};

/// The signal that asks a program to end.
pub const TERM: Signal = Signal::SIGTERM;

/// A running program, with its output in a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Option<Pid>,
    name: &'static str,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts `command`, with its output in `dir/<name>.log`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(name: &'static str, command: &mut Command, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let doing = format!("start {name}");
        let output = || File::options().create(true).append(true).open(&log).map_err(|e| StackError::doing(&doing, e));
        let child = command
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| StackError::doing(&doing, e))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { child, group, name, log })
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// With the end of its output, where it ends before that or takes longer than half a minute.
    pub async fn until(&mut self, ready: impl AsyncFn() -> bool) -> Result<()> {
        for _ in 0..600 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(&format!("ended with {status}")));
            }
            if ready().await {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(self.failed("is not ready after 30 s"))
    }

    fn failed(&self, what: &str) -> StackError {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        StackError::new(format!("{} {what}; the end of its output:\n{tail}", self.name))
    }

    /// Asks it to end by `signal`, then ends whatever is left of its group.
    pub async fn stop(mut self, signal: Signal) {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = nix::sys::signal::kill(Pid::from_raw(id), signal);
            let _ = timeout(Duration::from_secs(5), self.child.wait()).await;
        }
        // Dropping kills the group.
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
