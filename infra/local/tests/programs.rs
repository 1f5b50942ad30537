//! The two programs, given what they cannot work with: a clear text, and an exit code that is not zero.

use std::net::TcpListener;
use std::process::{Command, Output};

fn fails(program: &str, arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = Command::new(program).args(arguments).output().expect("it starts");
    assert!(!status.success(), "{program} {arguments:?}");
    String::from_utf8_lossy(&stderr).into_owned()
}

const LOCAL_STACK: &str = env!("CARGO_BIN_EXE_local-stack");
const DATA_API: &str = env!("CARGO_BIN_EXE_redshift-data-local");

#[test]
fn a_port_in_use_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let said = fails(LOCAL_STACK, &["up", "--port", &port]);
    assert!(said.contains(&format!("port {port} cannot be used")) && said.contains("choose another"), "{said}");
}

#[test]
fn a_postgresql_that_is_not_reachable_is_said() {
    // Nobody listens on a port that was just given back.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let url = format!("postgresql://nobody@127.0.0.1:{port}/none");
    for said in [fails(LOCAL_STACK, &["up", "--database-url", &url]), fails(DATA_API, &["--database-url", &url])] {
        assert!(said.contains("PostgreSQL is not reachable") && said.contains("DATABASE_URL"), "{said}");
    }
}

#[test]
fn a_url_that_is_none_or_names_no_database_is_said() {
    let said = fails(LOCAL_STACK, &["up", "--database-url", "postgresql://u@127.0.0.1"]);
    assert!(said.contains("names no database"), "{said}");
    let said = fails(DATA_API, &["--database-url", "nonsense"]);
    assert!(said.contains("invalid value 'nonsense'"), "{said}");
}
