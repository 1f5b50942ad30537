//! An HTTP sink that answers as SNS does, counts, and can hold a call back. For benchmarks it also answers
//! as the Data API does: every statement has FINISHED, and every result is so many runs.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What has arrived.
#[derive(Debug, Default)]
struct Arrived {
    calls: usize,
    runs: HashMap<String, usize>,
    audits: HashMap<String, usize>,
    /// Calls after this one are held back.
    hold_after: Option<usize>,
    held: usize,
    /// Runs in the result of a query.
    result_runs: usize,
    /// What a publish takes before it is answered.
    latency: Duration,
}

/// A topic that everything can be sent to.
#[derive(Debug, Clone, Default)]
pub struct Sink {
    arrived: Arc<Mutex<Arrived>>,
    held: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Sink {
    /// Starts it; where it answers.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = self.app();
        tokio::spawn(async { axum::serve(listener, app).await });
        Ok(url)
    }

    /// The service itself, for a listener of any kind.
    pub fn app(&self) -> Router {
        Router::new().route("/", post(answer)).with_state(self.clone())
    }

    /// From now on, the result of a query is so many runs.
    pub fn answer_queries_with(&self, runs: usize) {
        self.lock().result_runs = runs;
    }

    /// From now on, a publish takes so long before it is answered.
    pub fn take(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    /// How often each run was sent.
    pub fn runs(&self) -> HashMap<String, usize> {
        self.lock().runs.clone()
    }

    /// How many messages each audit had, where there are several.
    pub fn audits(&self) -> HashMap<String, usize> {
        self.lock().audits.clone()
    }

    /// Forgets what has arrived, and holds back what comes after `hold_after` calls.
    pub fn reset(&self, hold_after: Option<usize>) {
        let mut arrived = self.lock();
        *arrived = Arrived { hold_after, latency: arrived.latency, ..Arrived::default() };
    }

    /// Waits until a call is held back.
    pub async fn held(&self) {
        // A permit may be left over from before.
        let held = async {
            while self.lock().held == 0 {
                self.held.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), held).await.expect("a call that is held back");
    }

    /// Lets go what is held back, and holds nothing back any more.
    pub fn release(&self) {
        self.lock().hold_after = None;
        self.go_on.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SNS's limit for a whole batch, attributes included. [API model]
const MAX_BATCH_BYTES: usize = 256 * 1024;

async fn answer(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    if let Some(operation) = headers.get("x-amz-target").and_then(|v| v.to_str().ok()) {
        return (StatusCode::OK, redshift(operation, &body, sink.lock().result_runs).to_string());
    }
    let fields: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let go_on = sink.go_on.notified();
    let (hold, latency) = {
        let mut arrived = sink.lock();
        arrived.calls += 1;
        let hold = arrived.hold_after.is_some_and(|after| arrived.calls > after);
        arrived.held += usize::from(hold);
        (hold, arrived.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if hold {
        // What is held back has not been sent: it counts once it is let go.
        sink.held.notify_one();
        go_on.await;
    }
    let counted = [".Message", ".Subject", ".Name", ".DataType", ".StringValue"];
    let bytes = fields.iter().filter(|(name, _)| counted.iter().any(|end| name.ends_with(end)));
    if bytes.map(|(_, value)| value.len()).sum::<usize>() > MAX_BATCH_BYTES {
        let refusal =
            "<ErrorResponse><Error><Type>Sender</Type><Code>BatchRequestTooLong</Code></Error></ErrorResponse>";
        return (StatusCode::BAD_REQUEST, refusal.to_owned());
    }
    let mut members = String::new();
    let mut arrived = sink.lock();
    for (name, value) in &fields {
        // ...member.1.MessageAttributes.entry.2.Name = run_id, ....entry.2.Value.StringValue = 42
        if let Some(entry) = name.strip_suffix(".Name") {
            let attribute = fields.get(&format!("{entry}.Value.StringValue")).cloned().unwrap_or_default();
            match value.as_str() {
                "run_id" => *arrived.runs.entry(attribute).or_default() += 1,
                "audit" => *arrived.audits.entry(attribute).or_default() += 1,
                _ => {}
            }
        }
        if name.starts_with("PublishBatchRequestEntries.member.") && name.ends_with(".Id") {
            members.push_str(&format!("<member><Id>{value}</Id><MessageId>m</MessageId></member>"));
        }
    }
    if fields.get("Action").is_some_and(|action| action == "Publish") {
        let answer = "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>";
        return (StatusCode::OK, answer.to_owned());
    }
    let answer = format!(
        "<PublishBatchResponse><PublishBatchResult><Successful>{members}</Successful><Failed/></PublishBatchResult></PublishBatchResponse>"
    );
    (StatusCode::OK, answer)
}

/// The rows of one page of a result.
const PAGE: usize = 1000;

fn redshift(operation: &str, body: &[u8], runs: usize) -> Value {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    match operation {
        "RedshiftData.GetStatementResult" => {
            let start = request["NextToken"].as_str().and_then(|t| t.parse().ok()).unwrap_or(0);
            let end = runs.min(start + PAGE);
            let text = |text: &str| json!({"stringValue": text});
            let records = (start..end).map(|run| {
                json!([{"longValue": run}, text("DIFFERENT"), {"longValue": 100}, text("2026-01-01 10:00:00"),
                       text("2026-01-02 10:00:00"), {"longValue": 100}, {"longValue": 1}])
            });
            let mut answer =
                json!({"Records": records.collect::<Vec<_>>(), "TotalNumRows": runs, "ColumnMetadata": []});
            if end < runs {
                answer["NextToken"] = json!(end.to_string());
            }
            answer
        }
        _ => json!({"Id": shared::testing::ID, "Status": "FINISHED"}),
    }
}
