//! The program: what it reports when it cannot start, what it starts by itself, and that nothing is left of it.

mod left;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use left::Traces;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redshift_data_local::postgres::Programs;
use redshift_data_local::process::Folder;
use tokio_postgres::NoTls;

const PROGRAM: &str = env!("CARGO_BIN_EXE_redshift-data-local");

fn fails(database_url: &str) -> String {
    let output = Command::new(PROGRAM).args(["--database-url", database_url]).output();
    let Output { status, stderr, .. } = output.expect("it starts");
    assert!(!status.success(), "{database_url}");
    String::from_utf8_lossy(&stderr).into_owned()
}

/// A port on which nobody listens: it was just given back.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

#[test]
fn it_reports_a_postgresql_that_is_not_reachable() {
    let text = fails(&format!("postgresql://nobody@127.0.0.1:{}/none", free_port()));
    assert!(text.contains("PostgreSQL is not reachable") && text.contains("--database-url"), "{text}");
}

#[test]
fn it_reports_a_url_that_is_none() {
    let text = fails("nonsense");
    assert!(text.contains("invalid value 'nonsense'"), "{text}");
}

#[test]
fn it_refuses_what_can_mean_two_things() {
    let text = fails("postgresql://nobody@127.0.0.1:1,127.0.0.1:2/none");
    assert!(text.contains("names several hosts: name one"), "{text}");
    let callers =
        ["--caller", "AKIAONE=arn:aws:iam::111122223333:role/a", "--caller", "AKIAONE=arn:aws:iam::111122223333:root"];
    let output = Command::new(PROGRAM).args(["--listen", "127.0.0.1:0"]).args(callers).output().expect("it starts");
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "redshift-data-local: --caller names the key AKIAONE twice\n");
    let output = Command::new(PROGRAM).args(["--listen", "127.0.0.1:0", "--s3", "/none"]).output().expect("it starts");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "redshift-data-local: --s3 /none is no folder: make it first\n"
    );
}

#[test]
fn its_help_tells_that_it_connects_without_tls() {
    let help = Command::new(PROGRAM).arg("--help").output().expect("it starts").stdout;
    assert!(String::from_utf8_lossy(&help).contains("without TLS"));
}

/// As much of PostgreSQL as the start needs: it lets everybody in. [PostgreSQL documentation, "Message Formats"]
fn let_everybody_in() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            let _ = client.read(&mut [0; 1024]);
            let authentication_ok = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];
            let ready_for_query = [b'Z', 0, 0, 0, 5, b'I'];
            client.write_all(&[&authentication_ok[..], &ready_for_query].concat()).expect("it listens");
        }
    });
    port
}

#[test]
fn a_signal_ends_it_with_success() {
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", let_everybody_in());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", "127.0.0.1:0", "--database-url", &url]).stderr(Stdio::piped());
        let mut program = command.spawn().expect("it starts");
        let mut lines = BufReader::new(program.stderr.take().expect("its output")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.starts_with("listening"))));
        kill(Pid::from_raw(program.id().try_into().expect("a pid")), signal).expect("a signal");
        assert!(program.wait().expect("it ends").success());
    }
}

/// PostgreSQL's programs, as `make setup` installs them.
fn postgres() -> PathBuf {
    let environment = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/venv");
    Programs::in_environment(Path::new(environment)).expect("run `make setup`").folder().to_owned()
}

/// The program with a PostgreSQL of its own, all of whose files are below a folder of the test.
struct Own {
    program: Child,
    _stdout: BufReader<ChildStdout>,
    exports: HashMap<String, String>,
    temporary: Folder,
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.program.kill();
    }
}

fn own(temporary: &Folder) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0", "--postgres"]).arg(postgres());
    // That of an application is nobody's here.
    command.env("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none");
    command.env("TMPDIR", left::passable(temporary)).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn signal(program: &Child, signal: Signal) {
    kill(Pid::from_raw(program.id().try_into().expect("a pid")), signal).expect("a signal");
}

impl Own {
    fn start(arguments: &[&str]) -> Self {
        let temporary = Folder::new().expect("a folder");
        let mut program = own(&temporary).args(arguments).spawn().expect("it starts");
        let mut stdout = BufReader::new(program.stdout.take().expect("its output"));
        let mut exports = HashMap::new();
        while !exports.contains_key("AWS_ENDPOINT_URL_REDSHIFT_DATA") {
            let mut line = String::new();
            assert_ne!(stdout.read_line(&mut line).expect("text"), 0, "it ended: {exports:?}");
            let (name, value) = line.trim().strip_prefix("export ").and_then(|l| l.split_once('=')).expect("an export");
            exports.insert(name.to_owned(), value.trim_matches('\'').to_owned());
        }
        Self { program, _stdout: stdout, exports, temporary }
    }

    fn address(&self) -> &str {
        self.exports["AWS_ENDPOINT_URL_REDSHIFT_DATA"].strip_prefix("http://").expect("a URL")
    }

    fn database(&self) -> tokio_postgres::Config {
        self.exports["POSTGRES_URL"].parse().expect("a URL")
    }

    fn get(&self, path: &str) -> String {
        self.ask(path, self.address(), "")
    }

    /// Asks by a name, as who has an access key, or nobody.
    fn ask(&self, path: &str, host: &str, key: &str) -> String {
        let mut server = TcpStream::connect(self.address()).expect("it listens");
        let credential = format!("AWS4-HMAC-SHA256 Credential={key}/20261126/us-east-1/redshift-data/aws4_request");
        let signed = if key.is_empty() { String::new() } else { format!("Authorization: {credential}\r\n") };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{signed}Connection: close\r\n\r\n");
        server.write_all(request.as_bytes()).expect("it listens");
        let mut answer = String::new();
        server.read_to_string(&mut answer).expect("text");
        answer
    }
}

#[tokio::test]
async fn without_a_database_it_starts_one_that_only_its_password_opens() {
    let mut it = Own::start(&[]);
    let (client, connection) = it.database().connect(NoTls).await.expect("a session");
    let connection = tokio::spawn(connection);
    let row =
        client.query_one("SELECT current_database()::TEXT, current_setting('TimeZone')", &[]).await.expect("a row");
    assert_eq!((row.get(0), row.get(1)), ("dev", "UTC"));
    let trusts = "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'";
    assert_eq!(client.query_one(trusts, &[]).await.expect("a row").get::<_, i64>(0), 0);
    for password in ["", "postgres"] {
        let refused = it.database().password(password).connect(NoTls).await.err().expect("refused");
        assert!(!refused.to_string().is_empty());
    }
    let health = it.get("/health");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains(r#""status":"ok""#), "{health}");
    let traces = Traces::of(it.program.id());
    assert!(traces.has("postgres") && traces.memory() > 0, "{traces:?}");
    // A session that is busy does not keep it.
    tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(1000)").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    signal(&it.program, Signal::SIGTERM);
    assert!(it.program.wait().expect("it ends").success());
    let _ = connection.await;
    traces.assert_gone(it.temporary.path());
}

#[test]
fn it_answers_the_callers_and_the_names_that_it_is_told() {
    let caller = "AKIAONE=arn:aws:iam::111122223333:role/one";
    let it = Own::start(&["--caller", caller, "--host", "warehouse:80", "--host", "outside"]);
    assert_eq!(it.exports["AWS_ACCESS_KEY_ID"], "AKIAONE");
    let port = it.address().rsplit(':').next().expect("a port");
    let outside = format!("outside:{port}");
    for (path, host, key, status) in [
        ("/faults", it.address(), "AKIAONE", 200),
        ("/faults", it.address(), "AKIATWO", 403),
        ("/faults", it.address(), "", 403),
        ("/health", it.address(), "", 200),
        ("/health", "warehouse", "", 200),
        ("/health", &outside, "", 200),
        ("/health", "outside", "", 403),
        ("/faults", "elsewhere", "AKIAONE", 403),
    ] {
        let answer = it.ask(path, host, key);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {host} {key}: {answer}");
    }
}

#[test]
fn what_belongs_together_is_asked_for_together() {
    for (arguments, text) in [
        (&["--event-source", "mine"][..], "--events <URL>"),
        (&["--events", "https://events.eu-west-1.amazonaws.com"], "without TLS"),
        (&["--caller", "AKIAONE=loader"], "KEY=ARN is expected"),
    ] {
        let output = Command::new(PROGRAM).args(arguments).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(text), "{arguments:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_it_leaves_nothing() {
    let mut it = Own::start(&[]);
    let (client, connection) = it.database().connect(NoTls).await.expect("a session");
    let connection = tokio::spawn(connection);
    let query =
        tokio::spawn(async move { client.batch_execute("SELECT count(*) FROM generate_series(1, 1e12)").await });
    // That it waits for nothing, and would not see the end of the postmaster.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let traces = Traces::of(it.program.id());
    assert!(traces.has("postgres") && traces.memory() > 0, "{traces:?}");
    signal(&it.program, Signal::SIGKILL);
    it.program.wait().expect("it ends");
    traces.assert_gone(it.temporary.path());
    assert!(query.await.expect("no panic").is_err());
    let _ = connection.await;
}

#[test]
fn killed_while_it_starts_it_leaves_nothing() {
    // From before its watchdog runs to after PostgreSQL is up.
    for milliseconds in [5, 60, 200, 500, 900] {
        let temporary = Folder::new().expect("a folder");
        let mut program = own(&temporary).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(milliseconds));
        let traces = Traces::of(program.id());
        signal(&program, Signal::SIGKILL);
        program.wait().expect("it ends");
        traces.assert_gone(temporary.path());
    }
}

#[test]
fn without_postgresql_it_tells_what_to_install() {
    let dir = Folder::new().expect("a folder");
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0", "--postgres"]).arg(dir.path());
    let Output { status, stderr, .. } = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&stderr);
    assert!(!status.success() && text.contains("initdb"), "{text}");
}

#[test]
fn a_port_in_use_is_reported_before_anything_is_started() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = Command::new(PROGRAM).args(["--listen", &address]).output();
    let Output { status, stderr, .. } = output.expect("it starts");
    let text = String::from_utf8_lossy(&stderr);
    assert!(!status.success() && text.contains("choose another --listen"), "{text}");
    assert!(!text.contains("starting"), "{text}");
}
