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

#[test]
fn the_demo_shows_the_main_job_and_reports_it() {
    let Output { status, stdout, stderr } = Command::new(LOCAL_STACK).arg("demo").output().expect("it starts");
    let said = String::from_utf8_lossy(&stdout);
    assert!(status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
    assert!(said.contains("all as it should be") && said.contains("Resolved: "), "{said}");
    let report = std::fs::read_to_string(redshift_local::stack::project("target/demo/report.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["execution"]["status"], "SUCCEEDED");
    assert!(
        report["execution"]["transitions"].as_u64().is_some_and(|n| n > 0)
            && report["execution"]["seconds"].is_number()
    );
    assert_eq!(report["procedures"].as_array().map(Vec::len), Some(2));
    assert!(report["procedures"][0]["statement_id"].is_string() && report["procedures"][0]["seconds"].is_number());
    assert_eq!(report["unresolved_runs"], serde_json::json!([42, 43, 44, 45]));
    for notification in report["notifications"].as_array().expect("a list") {
        let run = notification["run_id"].as_str().expect("a run_id");
        let first = notification["message"].as_str().and_then(|m| m.lines().next()).unwrap_or_default();
        assert_eq!(first, format!("Mismatch between S3 staging and Redshift for the run id {run}"));
        assert_eq!(notification["attributes"]["run_id"], run);
    }
}

#[test]
fn the_stack_stays_up_until_it_is_interrupted_and_leaves_nothing() {
    use std::io::{BufRead, BufReader};
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port().to_string();
    let mut command = Command::new(LOCAL_STACK);
    let mut stack =
        command.args(["up", "--port", &port]).stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(stack.stdout.take().expect("its output")).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("ready")), "it gets ready");
    let exports = std::fs::read_to_string(redshift_local::stack::project("target/local/env")).expect("exports");
    for name in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_REDSHIFT_DATA",
        "STATE_MACHINE_ARN",
        "TOPIC_ARN",
        "QUEUE_URL",
        "DATABASE_URL",
        "WORKGROUP_NAME",
        "DATABASE",
    ] {
        assert!(exports.contains(&format!("export {name}='")), "{name}: {exports}");
    }
    assert!(exports.contains(&format!("http://127.0.0.1:{port}")));
    let pid = nix::unistd::Pid::from_raw(stack.id().try_into().expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("a signal");
    // Its output ends with it; nobody reads what it says meanwhile.
    lines.for_each(drop);
    assert!(stack.wait().expect("it ends").success());
    let (_, url) = exports.split_once("export DATABASE_URL='").expect("a URL");
    let address = url.split(['@', '/']).nth(3).expect("an address").to_owned();
    for address in [address, format!("127.0.0.1:{port}")] {
        assert!(std::net::TcpStream::connect(&address).is_err(), "nobody listens on {address} any more");
    }
}
