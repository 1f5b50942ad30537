//! The program: what it reports when it cannot start, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
    assert!(text.contains("PostgreSQL is not reachable") && text.contains("DATABASE_URL"), "{text}");
}

#[test]
fn it_reports_a_url_that_is_none() {
    let text = fails("nonsense");
    assert!(text.contains("invalid value 'nonsense'"), "{text}");
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
