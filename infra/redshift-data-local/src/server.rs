//! HTTP: the AWS JSON 1.1 protocol, so that every AWS SDK and the aws CLI can talk to it; and the faults.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::caller::Caller;
use crate::config::Config;
use crate::faults::{Fault, FaultKind};
use crate::guard::{Guard, guard};
use crate::protocol::{Failure, FailureType};
use crate::service::{OPERATIONS, Service};

/// A service that answers on a free loopback port, for programs and tests that start one of their own.
pub struct Running {
    /// Where it answers.
    pub url: String,
    /// The service itself, for its faults.
    pub service: Arc<Service>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn start(config: Config) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let service = Arc::new(Service::new(config));
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, service.clone(), async {
            let _ = stopped.await;
        }));
        Ok(Self { url, service, stop, served })
    }

    /// Cancels what still runs, and ends it.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.served.await;
    }
}

/// Serves until `stop` is ready; then cancels what still runs.
///
/// # Errors
/// Those of the socket.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let config = service.config();
    let guarded = |access| from_fn_with_state(Arc::new(Guard::new(address, access).named(&config.hosts)), guard);
    let app = Router::new().route("/", post(answer)).route("/faults", get(faults).put(set_faults));
    let app = app.layer(guarded(config.access.clone()));
    // Whoever waits for the start has nothing to sign with.
    let app = app.merge(Router::new().route("/health", get(health)).layer(guarded(None))).with_state(service.clone());
    // Open long polls end with the process: a graceful shutdown would wait for them.
    tokio::select! {
        served = axum::serve(listener, app) => served?,
        () = stop => {}
    }
    service.cancel_all().await;
    Ok(())
}

/// Whether statements can run: whether PostgreSQL takes a session.
async fn health(State(service): State<Arc<Service>>) -> (StatusCode, String) {
    let (status, text) = match service.reach_postgres().await {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("PostgreSQL is not reachable: {error}")),
    };
    (status, json!({"status": text, "version": env!("CARGO_PKG_VERSION")}).to_string())
}

async fn faults(State(service): State<Arc<Service>>) -> String {
    serde_json::to_string(&service.faults().left()).unwrap_or_default()
}

async fn set_faults(State(service): State<Arc<Service>>, body: Bytes) -> Result<(), (StatusCode, String)> {
    let faults: Vec<Fault> = serde_json::from_slice(&body).map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))?;
    for fault in &faults {
        fault.check(&OPERATIONS).map_err(|text| (StatusCode::BAD_REQUEST, text))?;
    }
    service.faults().set(faults);
    Ok(())
}

/// An answer whose connection breaks before it is whole.
fn lost() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("lost on purpose")) });
    Response::new(Body::from_stream(broken))
}

async fn answer(
    State(service): State<Arc<Service>>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let operation = headers.get("x-amz-target").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let name = operation.strip_prefix("RedshiftData.").unwrap_or_default();
    let lose = service.faults().take(name, None, |k| (*k == FaultKind::LoseResponse).then_some(())).is_some();
    let answer = match serde_json::from_slice::<Value>(&body) {
        Ok(request) => {
            let caller = caller.map_or_else(Caller::only, |Extension(caller)| caller);
            service.call(&operation, request, &caller).await
        }
        Err(e) => Err(Failure::new(FailureType::SerializationException, format!("the request is no JSON: {e}"))),
    };
    if lose {
        return lost();
    }
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(failure) => {
            let status = StatusCode::from_u16(failure.kind.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
            tracing::debug!(operation, error = ?failure.kind, message = failure.message, "refused");
            (status, failure.body())
        }
    };
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
