//! Glue's workflow runs, as far as the gate looks at them: MiniStack has none that complete. Who may look is not
//! checked here; the roles' policies are simulated.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Any;

/// A server that answers GetWorkflowRuns and GetJobRun.
#[derive(Debug)]
pub struct Glue {
    /// Where it answers.
    pub url: String,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    workflow: String,
    runs: Vec<Value>,
}

impl Glue {
    /// Starts it, without any run.
    pub async fn start() -> Any<Self> {
        let known: Arc<Mutex<Known>> = Arc::default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = Router::new().route("/", post(answer)).with_state(known.clone());
        tokio::spawn(async { axum::serve(listener, app).await });
        Ok(Self { url, known })
    }

    /// Makes these the runs of this workflow, and of no other.
    pub fn set(&self, workflow: &str, runs: Vec<Value>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known { workflow: workflow.to_owned(), runs };
    }
}

/// A run that has started at this second of 2026, as Glue writes it.
pub fn run(id: &str, second: u32, status: &str, statistics: &Value) -> Value {
    let started = 1_767_225_600 + i64::from(second);
    json!({"WorkflowRunId": id, "StartedOn": started, "Status": status, "Statistics": statistics})
}

async fn answer(State(known): State<Arc<Mutex<Known>>>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let unknown = || {
        let error = json!({"__type": "EntityNotFoundException", "Message": "Entity not found"});
        (StatusCode::BAD_REQUEST, error.to_string()).into_response()
    };
    match headers.get("x-amz-target").and_then(|t| t.to_str().ok()) {
        Some("AWSGlue.GetWorkflowRuns") if request["Name"] == known.workflow => {
            // A run a page, so that every page must be read.
            let page = request["NextToken"].as_str().and_then(|token| token.parse::<usize>().ok()).unwrap_or(0);
            let runs: Vec<_> = known.runs.get(page).into_iter().collect();
            let next = (page + 1 < known.runs.len()).then(|| (page + 1).to_string());
            json!({"Runs": runs, "NextToken": next}).to_string().into_response()
        }
        // The job run `jr_<run>` belongs to the workflow's run of that id.
        Some("AWSGlue.GetJobRun") => {
            let id = request["RunId"].as_str().and_then(|id| id.strip_prefix("jr_"));
            let Some(run) = id.filter(|id| known.runs.iter().any(|run| run["WorkflowRunId"] == **id)) else {
                return unknown();
            };
            let arguments =
                json!({"--WORKFLOW_NAME": known.workflow, "--WORKFLOW_RUN_ID": run, "--password": "hunter2"});
            json!({"JobRun": {"Id": request["RunId"], "Arguments": arguments}}).to_string().into_response()
        }
        _ => unknown(),
    }
}
