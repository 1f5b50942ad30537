//! Child processes and folders that go with this program, however it ends.
//!
//! Dropping ends and removes them. Where nothing is dropped, as after SIGKILL, a watchdog does it: a shell that waits for the end of
//! a pipe from this program. It is told of each before there is anything to leave behind.
//!
//! A process leads a group of its own: Ctrl-C reaches this program alone, and what the process starts ends with it.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::error::{Error, Result};

/// What is asked to end in good order is killed after this time. PostgreSQL waits 5 seconds for its sessions.
const PATIENCE: Duration = Duration::from_secs(8);

/// The write end of the watchdog's pipe. No child inherits it.
static WATCHDOG: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Tells the watchdog, and starts it before the first word.
fn tell(line: &str) -> Result<()> {
    let mut watchdog = WATCHDOG.lock().unwrap_or_else(PoisonError::into_inner);
    let lost = |e| Error::io("talk to the watchdog", e);
    if watchdog.is_none() {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", include_str!("watchdog.sh"), "watchdog"]).current_dir("/").process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        *watchdog = shell.spawn().map_err(|e| Error::io("start the watchdog (sh)", e))?.stdin;
    }
    watchdog.as_mut().map_or(Ok(()), |pipe| writeln!(pipe, "{line}").map_err(lost))
}

/// A temporary folder that only this user may enter. It goes with all that is in it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it.
    ///
    /// # Errors
    /// Those of the file system; and if the path of the folder for temporary files has a line break.
    pub fn new() -> Result<Self> {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        // Short: the path of a socket in it ends at about a hundred bytes. It is made, and never found, so chance is no risk.
        let path = std::env::temp_dir().join(format!("redshift-local-{}", &unique[..12]));
        let what = || format!("make the folder {}", path.display());
        let line = path.to_str().filter(|path| !path.contains('\n'));
        let line = line.ok_or_else(|| Error::io(&what(), std::io::ErrorKind::InvalidFilename.into()))?;
        tell(&format!("folder {line}"))?;
        DirBuilder::new().mode(0o700).create(&path).map_err(|e| Error::io(&what(), e))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What could not be removed is left to the watchdog.
        if std::fs::remove_dir_all(&self.0).is_ok() {
            let _ = tell(&format!("-folder {}", self.0.display()));
        }
    }
}

/// A program to [`Process::start`] or [`run`]. It waits for a word from us: without one it has nothing to end.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"read -r _ && exec "$0" "$@" </dev/null"#]).arg(program);
    command
}

/// A process group that the watchdog knows. Dropping kills what is left of it.
#[derive(Debug)]
struct Group {
    id: Pid,
    /// What ends it in good order; none for what ends by itself, and is to be left the time.
    end: Option<Signal>,
}

impl Group {
    fn line(&self) -> String {
        let signal = self.end.map_or("0", Signal::as_str);
        format!("group {} {}", signal.strip_prefix("SIG").unwrap_or(signal), self.id)
    }

    /// Starts a [`command`].
    async fn start(command: &mut Command, end: Option<Signal>) -> Result<(Self, Child)> {
        let doing = |e| Error::io("start a process", e);
        let mut child = command.stdin(Stdio::piped()).process_group(0).kill_on_drop(true).spawn().map_err(doing)?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| doing(std::io::ErrorKind::NotFound.into()))?;
        let group = Self { id: Pid::from_raw(id), end };
        tell(&group.line())?;
        if let Some(mut word) = child.stdin.take() {
            word.write_all(b"\n").await.map_err(doing)?;
        }
        Ok((group, child))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..20 {
            if self.end.is_some() || killpg(self.id, None).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = killpg(self.id, Signal::SIGKILL);
        let _ = tell(&format!("-{}", self.line()));
    }
}

/// Runs a [`command`] to its end. Dropping this kills it.
///
/// # Errors
/// If it cannot be started.
pub async fn run(command: &mut Command) -> Result<Output> {
    run_with(command, Some(Signal::SIGKILL)).await
}

/// Runs a [`command`] that ends soon, and is not to be killed before: PostgreSQL's `initdb` starts servers that, killed in any way,
/// leave their shared memory behind.
pub(crate) async fn run_unkilled(command: &mut Command) -> Result<Output> {
    run_with(command, None).await
}

async fn run_with(command: &mut Command, end: Option<Signal>) -> Result<Output> {
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (group, child) = Group::start(piped, end).await?;
    let output = child.wait_with_output().await.map_err(|e| Error::io("wait for a process", e));
    drop(group);
    output
}

/// A running program, with its output in a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Group,
    name: &'static str,
    log: PathBuf,
}

impl Process {
    /// Starts a [`command`], with its output in `dir/<name>.log`; `end` is the signal that ends it in good order.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn start(name: &'static str, command: &mut Command, dir: &Path, end: Signal) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let open = File::options().create(true).append(true).mode(0o600).open(&log);
        let output = || open.as_ref().map_err(|e| e.kind().into()).and_then(File::try_clone);
        let failed = |e| Error::io(&format!("write {}", log.display()), e);
        command.stdout(output().map_err(failed)?).stderr(output().map_err(failed)?);
        let (group, child) = Group::start(command, Some(end)).await?;
        Ok(Self { child, group, name, log })
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// If it ends, or is not ready after 30 seconds.
    pub async fn until(&mut self, ready: impl AsyncFn() -> bool) -> Result<()> {
        for _ in 0..600 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(format!("ended with {status}")));
            }
            if ready().await {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(self.failed("is not ready after 30 s".to_owned()))
    }

    fn failed(&self, what: String) -> Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let output = lines[lines.len().saturating_sub(15)..].join("\n");
        Error::Process { name: self.name, what, output }
    }

    /// Asks it to end, then ends whatever is left of its group.
    pub async fn stop(mut self) {
        let _ = killpg(self.group.id, self.group.end);
        let _ = timeout(PATIENCE, self.child.wait()).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // PostgreSQL, killed outright, would leave its shared memory behind.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = killpg(self.group.id, self.group.end);
        }
        let pause = Duration::from_millis(25);
        let mut waited = Duration::ZERO;
        while waited < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(pause);
            waited += pause;
        }
    }
}

/// A loopback port that is free now.
///
/// # Errors
/// Those of the system.
pub fn free_port() -> std::io::Result<u16> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
