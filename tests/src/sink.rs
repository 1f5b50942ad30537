//! An HTTP sink that answers as SNS does, counts, and can hold a call back.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What has arrived.
#[derive(Debug, Default)]
struct Arrived {
    calls: usize,
    runs: HashMap<String, usize>,
    /// Calls after this one are held back.
    hold_after: Option<usize>,
    held: usize,
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
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = Router::new().route("/", post(answer)).with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, app).await });
        Ok(url)
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    /// How often each run was sent.
    pub fn runs(&self) -> HashMap<String, usize> {
        self.lock().runs.clone()
    }

    /// Forgets what has arrived, and holds back what comes after `hold_after` calls.
    pub fn reset(&self, hold_after: Option<usize>) {
        *self.lock() = Arrived { hold_after, ..Arrived::default() };
    }

    /// Waits until a call is held back.
    pub async fn held(&self) {
        // A permit may be left over from before.
        while self.lock().held == 0 {
            self.held.notified().await;
        }
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

async fn answer(State(sink): State<Sink>, body: Bytes) -> String {
    let fields: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let go_on = sink.go_on.notified();
    let hold = {
        let mut arrived = sink.lock();
        arrived.calls += 1;
        let hold = arrived.hold_after.is_some_and(|after| arrived.calls > after);
        arrived.held += usize::from(hold);
        hold
    };
    if hold {
        // What is held back has not been sent: it counts once it is let go.
        sink.held.notify_one();
        go_on.await;
    }
    let mut members = String::new();
    let mut arrived = sink.lock();
    for (name, value) in &fields {
        // ...member.1.MessageAttributes.entry.2.Name = run_id, ....entry.2.Value.StringValue = 42
        if let Some(entry) = name.strip_suffix(".Name").filter(|_| value == "run_id") {
            let run = fields.get(&format!("{entry}.Value.StringValue")).cloned().unwrap_or_default();
            *arrived.runs.entry(run).or_default() += 1;
        }
        if name.starts_with("PublishBatchRequestEntries.member.") && name.ends_with(".Id") {
            members.push_str(&format!("<member><Id>{value}</Id><MessageId>m</MessageId></member>"));
        }
    }
    if fields.get("Action").is_some_and(|action| action == "Publish") {
        return "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>".to_owned();
    }
    format!(
        "<PublishBatchResponse><PublishBatchResult><Successful>{members}</Successful><Failed/></PublishBatchResult></PublishBatchResponse>"
    )
}
