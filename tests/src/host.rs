//! Plays the Lambda service for one process: starts a bootstrap, hands it events, takes its answers.
//! [Lambda developer guide, "Runtime API"]

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use loader::tools::project;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::{Any, failed};

/// A release build, as deployed: what benchmarks measure.
pub fn release(name: &str) -> Any<PathBuf> {
    let path = project("target/release").join(name);
    if path.exists() { Ok(path) } else { Err(failed(format!("{name} is not built: run `make release-functions`"))) }
}

/// A function of `tests/bench/rivals` on AWS's own runtime client for Python, to be started.
pub fn python_function(module: &str) -> Any<Command> {
    let python = project(".tools/bench/bin/python");
    if !python.exists() {
        return Err(failed("the benchmarks' Python is not installed in .tools: run `make bench-setup`"));
    }
    let mut command = Command::new(python);
    command.args(["-m", "awslambdaric", &format!("{module}.handler")]).current_dir(project("tests/bench/rivals"));
    Ok(command)
}

/// What a function answers: its response, or its error.
pub type Invoked = Result<Value, Value>;

struct Event {
    payload: Value,
    deadline: SystemTime,
    answer: oneshot::Sender<Invoked>,
}

#[derive(Clone)]
struct Api {
    asked: Arc<watch::Sender<Option<Instant>>>,
    events: Arc<tokio::sync::Mutex<mpsc::Receiver<Event>>>,
    pending: Arc<Mutex<Option<oneshot::Sender<Invoked>>>>,
}

/// A bootstrap that runs.
pub struct Function {
    child: Child,
    began: Instant,
    asked: watch::Receiver<Option<Instant>>,
    events: mpsc::Sender<Event>,
    server: JoinHandle<()>,
}

impl Function {
    /// Starts a program as a function; `environment` comes on top of what Lambda sets.
    pub async fn start(mut command: Command, environment: &[(&str, &str)]) -> Any<Self> {
        let (events, received) = mpsc::channel(1);
        let events_of_api = Arc::new(tokio::sync::Mutex::new(received));
        let (asked_of_api, asked) = watch::channel(None);
        let api = Api { asked: Arc::new(asked_of_api), events: events_of_api, pending: Arc::default() };
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{outcome}", post(answered))
            .with_state(api);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async {
            let _ = axum::serve(listener, app).await;
        });
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .envs(environment.iter().copied())
            .kill_on_drop(true);
        let began = Instant::now();
        Ok(Self { child: command.spawn()?, began, asked, events, server })
    }

    /// From the start of the process to its first request for an event.
    pub async fn ready(&self, time: Duration) -> Any<Duration> {
        let mut asked = self.asked.clone();
        let asked = tokio::time::timeout(time, asked.wait_for(Option::is_some)).await;
        let at = asked.map_err(|_| failed("the function does not ask for an event"))??;
        Ok(at.map_or(Duration::ZERO, |at| at - self.began))
    }

    /// Invokes it; the answer comes later.
    pub async fn begin(&self, payload: Value, time: Duration) -> Any<oneshot::Receiver<Invoked>> {
        let (answer, receiver) = oneshot::channel();
        let event = Event { payload, deadline: SystemTime::now() + time, answer };
        self.events.send(event).await.map_err(|_| failed("the function is gone"))?;
        Ok(receiver)
    }

    /// Invokes it and waits for its answer.
    pub async fn invoke(&self, payload: Value, time: Duration) -> Any<Invoked> {
        let answer = self.begin(payload, time).await?;
        Ok(tokio::time::timeout(time, answer).await.map_err(|_| failed("no answer in time"))??)
    }

    /// The most memory that it has had so far, in KiB.
    pub fn peak_kib(&self) -> u64 {
        let status =
            self.child.id().map(|id| std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default());
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Ends it at once, whatever it does.
    pub async fn kill(mut self) {
        let _ = self.child.kill().await;
        self.server.abort();
    }
}

async fn next(State(api): State<Api>) -> Response {
    let now = Instant::now();
    api.asked.send_if_modified(|at| {
        let first = at.is_none();
        at.get_or_insert(now);
        first
    });
    let Some(event) = api.events.lock().await.recv().await else {
        // Nobody has anything left to ask: the function waits to be killed.
        return std::future::pending().await;
    };
    *api.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(event.answer);
    let millis = event.deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("Lambda-Runtime-Deadline-Ms", millis.to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:function".to_owned()),
        ("Content-Type", "application/json".to_owned()),
    ];
    (headers, event.payload.to_string()).into_response()
}

async fn answered(State(api): State<Api>, Path((_, outcome)): Path<(String, String)>, body: Bytes) -> StatusCode {
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(answer) = api.pending.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = answer.send(if outcome == "response" { Ok(value) } else { Err(value) });
    }
    StatusCode::ACCEPTED
}
