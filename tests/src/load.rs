//! Load on the local Data API: many statements at once, and many long polls open on each.
//!
//! A plain HTTP client, and not the SDK, which would repeat what got lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use futures_util::{StreamExt, TryStreamExt, stream};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::{Any, failed};

/// Requests in flight at once, apart from long polls.
const AT_ONCE: usize = 32;
/// The lock that holds the statements: their sessions wait for it.
const LOCK: u32 = 811_004;
/// It must hold longer than it takes to open all polls.
const HELD_SECONDS: u32 = 600;
/// The longest long poll. [API model]
const WAIT_SECONDS: u32 = 30;
const LIMIT: Duration = Duration::from_secs(60);

/// What came of a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Statements that ran at once.
    pub statements: usize,
    /// Long polls that were open on them at once.
    pub polls: usize,
    /// Polls that were not answered by the end of their statement.
    pub lost: usize,
    /// From the common end of the statements (the first that ended) to the last poll's answer.
    pub seconds_to_last_answer: f64,
    /// Descriptions without waiting, as fast as they come.
    pub requests_per_second: f64,
}

impl Figures {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "statements": self.statements, "polls": self.polls, "lost": self.lost,
            "seconds_to_last_answer": self.seconds_to_last_answer, "requests_per_second": self.requests_per_second,
        })
    }
}

#[derive(Clone)]
struct Api {
    url: String,
    http: HttpClient<HttpConnector, Body>,
}

impl Api {
    async fn call(&self, operation: &str, body: Value) -> Any<Value> {
        let request = Request::post(&self.url).header("x-amz-target", format!("RedshiftData.{operation}"));
        let request = request.header("content-type", "application/x-amz-json-1.1");
        let answer = self.http.request(request.body(Body::from(body.to_string()))?).await?;
        let well = answer.status().is_success();
        let body = serde_json::from_slice(&to_bytes(Body::new(answer), usize::MAX).await?)?;
        if well { Ok(body) } else { Err(failed(format!("{operation}: {body}"))) }
    }

    async fn submit(&self, sql: &str, wait: Option<u32>) -> Any<String> {
        let mut request = json!({"WorkgroupName": "w-1", "Database": "ecommerce_db", "Sql": sql});
        if let Some(seconds) = wait {
            request["WaitTimeSeconds"] = json!(seconds);
        }
        let answer = self.call("ExecuteStatement", request).await?;
        Ok(answer["Id"].as_str().ok_or("no Id")?.to_owned())
    }

    /// Waits until so many sessions have the lock, or wait for it.
    async fn until_locks(&self, granted: bool, wanted: usize) -> Any<()> {
        let sql = format!("SELECT COUNT(*) FROM pg_locks WHERE objid = {LOCK} AND granted = {granted}");
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            let id = self.submit(&sql, Some(WAIT_SECONDS)).await?;
            let result = self.call("GetStatementResult", json!({"Id": id})).await?;
            if result["Records"][0][0]["longValue"] == json!(wanted) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(failed(format!("there are not {wanted} sessions at the lock")))
    }
}

/// Runs so many statements at once with so many long polls on each, lets all statements end at the same moment,
/// and counts the polls that are not answered by it.
pub async fn run(url: &str, statements: usize, polls_each: usize) -> Any<Figures> {
    // A poll is a connection, and thus two open files if the service is in this process.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let api = Api { url: url.to_owned(), http: HttpClient::builder(TokioExecutor::new()).build_http() };
    let holder = api.submit(&format!("SELECT pg_advisory_lock({LOCK}), pg_sleep({HELD_SECONDS})"), None).await?;
    api.until_locks(true, 1).await?;
    let sql = format!("SELECT pg_advisory_lock_shared({LOCK})");
    let submits = stream::iter((0..statements).map(|_| api.submit(&sql, None)));
    let ids: Vec<String> = submits.buffer_unordered(AT_ONCE).try_collect().await?;
    api.until_locks(false, statements).await?;

    let polls = statements * polls_each;
    let asked = Arc::new(AtomicUsize::new(0));
    let answers: Vec<_> = (0..polls)
        .map(|n| {
            let (api, id, asked) = (api.clone(), ids[n % statements].clone(), asked.clone());
            tokio::spawn(async move {
                asked.fetch_add(1, Ordering::Relaxed);
                let answer = api.call("DescribeStatement", json!({"Id": id, "WaitTimeSeconds": WAIT_SECONDS})).await;
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                let ended = answer.ok().filter(|a| a["Status"] == "FINISHED")?["UpdatedAt"].as_f64()?;
                Some((ended, now))
            })
        })
        .collect();
    while asked.load(Ordering::Relaxed) < polls {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The last have been sent, and are on their way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let early = answers.iter().filter(|answer| answer.is_finished()).count();
    api.call("CancelStatement", json!({"Id": holder})).await?;
    let (mut answered, mut first, mut last) = (0, f64::MAX, 0.0_f64);
    for answer in answers {
        if let Some((ended, now)) = answer.await? {
            answered += 1;
            first = first.min(ended);
            last = last.max(now);
        }
    }

    let requests = 2000;
    let start = Instant::now();
    let looks = stream::iter((0..requests).map(|n| api.call("DescribeStatement", json!({"Id": ids[n % statements]}))));
    looks.buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
    Ok(Figures {
        statements,
        polls,
        // What was answered before its statement ended is as good as lost.
        lost: (polls - answered).max(early),
        seconds_to_last_answer: (last - first).max(0.0),
        requests_per_second: requests as f64 / start.elapsed().as_secs_f64(),
    })
}
