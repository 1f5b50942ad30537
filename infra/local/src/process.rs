//! Child processes that end with us. Each leads a process group of its own: Ctrl-C reaches us alone, and
//! what a child starts ends with it.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use loader::{Error, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// A running program, with its output in a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Option<Pid>,
    end: Signal,
    name: &'static str,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts `command`, with its output in `dir/<name>.log`; `end` is the signal that ends it in good order.
    pub fn start(name: &'static str, command: &mut Command, dir: &Path, end: Signal) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let doing = format!("start {name}");
        let output = || File::options().create(true).append(true).open(&log).map_err(|e| Error::doing(&doing, e));
        let child = command
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| Error::doing(&doing, e))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).extend(group.map(|group| (group, end)));
        Ok(Self { child, group, end, name, log })
    }

    /// Waits until `ready` says so.
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

    fn failed(&self, what: &str) -> Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        Error::new(format!("{} {what}; the end of its output:\n{tail}", self.name))
    }

    /// Asks it to end, then ends whatever is left of its group.
    pub async fn stop(mut self) {
        if let Some(leader) = self.group {
            let _ = kill(leader, self.end);
            let _ = timeout(Duration::from_secs(5), self.child.wait()).await;
        }
        // Dropping kills what is left.
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(group) = self.group.take() else { return };
        // PostgreSQL, killed outright, would leave its shared memory behind.
        let _ = kill(group, self.end);
        for _ in 0..40 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        let _ = killpg(group, Signal::SIGKILL);
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).retain(|(live, _)| *live != group);
    }
}

/// Live process groups, for the signal handler.
static LIVE: Mutex<Vec<(Pid, Signal)>> = Mutex::new(Vec::new());

/// Ends every program that was started. For the signal handler, after which nothing is dropped.
pub fn stop_all() {
    let live = std::mem::take(&mut *LIVE.lock().unwrap_or_else(PoisonError::into_inner));
    for (group, end) in &live {
        let _ = kill(*group, *end);
    }
    std::thread::sleep(Duration::from_millis(500));
    for (group, _) in live {
        let _ = killpg(group, Signal::SIGKILL);
    }
}
