//! The program: what it reports when it cannot start, what it prints, and what it leaves.

#[path = "../../redshift-data-local/tests/left/mod.rs"]
mod left;

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use loader::tools::project;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redshift_data_local::process::Folder;
use redshift_local::postgres;
use redshift_local::warehouse::Warehouse;

fn fails(arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = Command::new(LOCAL_STACK).args(arguments).output().expect("it starts");
    assert!(!status.success(), "{arguments:?}");
    String::from_utf8_lossy(&stderr).into_owned()
}

const LOCAL_STACK: &str = env!("CARGO_BIN_EXE_local-stack");

#[test]
fn a_port_in_use_is_reported() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let said = fails(&["up", "--port", &port]);
    assert!(said.contains(&format!("port {port} cannot be used")) && said.contains("choose another"), "{said}");
}

#[test]
fn a_postgresql_that_is_not_reachable_is_reported() {
    // Nobody listens on a port that was just given back.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let url = format!("postgresql://nobody@127.0.0.1:{port}/none");
    let said = fails(&["up", "--database-url", &url]);
    assert!(said.contains("PostgreSQL is not reachable") && said.contains("DATABASE_URL"), "{said}");
}

#[test]
fn a_url_that_names_no_database_is_reported() {
    let said = fails(&["up", "--database-url", "postgresql://u@127.0.0.1"]);
    assert!(said.contains("names no database"), "{said}");
}

/// `up` writes one file for the whole project.
static UP: Mutex<()> = Mutex::new(());

/// Starts a program and reads its output up to a line that begins with `until`.
fn start(command: &mut Command, until: &str) -> (Child, Vec<String>, Lines<BufReader<ChildStdout>>) {
    let mut program = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(program.stdout.take().expect("its output")).lines();
    let mut said = Vec::new();
    for line in lines.by_ref().map_while(Result::ok) {
        let last = line.starts_with(until);
        said.push(line);
        if last {
            return (program, said, lines);
        }
    }
    panic!("it never says {until:?}: {said:?}, {:?}", program.wait());
}

fn end(program: &mut Child, signal: Signal) {
    kill(Pid::from_raw(program.id().try_into().expect("a pid")), signal).expect("a signal");
    assert!(program.wait().expect("it ends").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn your_own_postgresql_serves_the_commands_that_are_printed() {
    let dir = Folder::new().expect("a folder");
    let postgres = postgres::start(dir.path()).await.expect("PostgreSQL");
    let url = postgres.url();
    let run = || {
        let _one = UP.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new(LOCAL_STACK);
        let (mut stack, said, lines) = start(command.args(["up", "--database-url", &url]), "Ctrl-C");
        let printed: Vec<_> = said.iter().filter_map(|line| line.strip_prefix("  ")).collect();
        // All but the doctor, which builds and has tests of its own.
        let script = printed.join("\n").replace("make doctor", "");
        let output = Command::new("sh").args(["-ec", &script]).current_dir(project("")).output().expect("a shell");
        let reader = std::thread::spawn(move || lines.for_each(drop));
        end(&mut stack, Signal::SIGINT);
        reader.join().expect("its output ends with it");
        (output, script)
    };
    let (Output { status, stdout, stderr }, script) = tokio::task::block_in_place(run);
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{said}");
    for command in ["redshift-data execute-statement", "stepfunctions start-execution", "lambda invoke"] {
        assert!(script.contains(command), "{script}");
    }
    assert_eq!(said.matches("\"Status\": \"FINISHED\"").count(), 2, "statement and function: {said}");
    assert!(said.contains("executionArn"), "the execution: {said}");
    let warehouse = Warehouse::new(&url).expect("a URL");
    // Staged or loaded, as far as the execution came.
    let both = "SELECT (SELECT COUNT(*) FROM dev.orders) + (SELECT COUNT(*) FROM dev.orders_final)";
    let orders = warehouse.number(both).await.expect("it goes on running");
    assert!(orders > 0);
    postgres.stop().await;
}

#[test]
fn the_demo_shows_the_main_job_and_reports_it() {
    let Output { status, stdout, stderr } = Command::new(LOCAL_STACK).arg("demo").output().expect("it starts");
    let said = String::from_utf8_lossy(&stdout);
    assert!(status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
    assert!(said.contains("all as it should be") && said.contains("Resolved: "), "{said}");
    let report = std::fs::read_to_string(project("target/demo/report.json")).expect("a report");
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
    let _one = UP.lock().unwrap_or_else(PoisonError::into_inner);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port().to_string();
    let mut command = Command::new(LOCAL_STACK);
    let (mut stack, _, lines) = start(command.args(["up", "--port", &port]), "ready");
    let env = project("target/local/env");
    let exports = std::fs::read_to_string(&env).expect("exports");
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
    assert!(exports.contains("export AWS_ACCESS_KEY_ID='AKIA") && !exports.contains("'test'"), "{exports}");
    let mode = env.metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let reader = std::thread::spawn(move || lines.for_each(drop));
    end(&mut stack, Signal::SIGINT);
    reader.join().expect("its output ends with it");
    assert!(!env.exists(), "the keys go with the stack");
    let (_, url) = exports.split_once("export DATABASE_URL='").expect("a URL");
    let address = url.split(['@', '/']).nth(3).expect("an address").to_owned();
    for address in [address, format!("127.0.0.1:{port}")] {
        assert!(std::net::TcpStream::connect(&address).is_err(), "nobody listens on {address} any more");
    }
}

#[test]
fn killed_it_leaves_nothing() {
    let _one = UP.lock().unwrap_or_else(PoisonError::into_inner);
    let temporary = Folder::new().expect("a folder");
    let mut command = Command::new(LOCAL_STACK);
    let (mut stack, _, _lines) = start(command.arg("up").env("TMPDIR", left::passable(&temporary)), "ready");
    let execution =
        ". target/local/env; .tools/venv/bin/aws stepfunctions start-execution --state-machine-arn $STATE_MACHINE_ARN";
    let started = Command::new("sh").args(["-ec", execution]).current_dir(project("")).output().expect("a shell");
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let traces = || left::Traces::of(stack.id());
    for _ in 0..200 {
        if traces().has("bootstrap") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let traces = traces();
    assert!(["bootstrap", "postgres"].iter().all(|name| traces.has(name)) && traces.memory() > 0, "{traces:?}");
    kill(Pid::from_raw(stack.id().try_into().expect("a pid")), Signal::SIGKILL).expect("a signal");
    stack.wait().expect("it ends");
    traces.assert_gone(temporary.path());
}
