//! The Redshift Data API on PostgreSQL: the AWS JSON 1.1 protocol, so that every AWS SDK and the aws
//! CLI can talk to it.
//!
//! Asynchronous as the service is: a statement runs on a session of its own and goes through SUBMITTED,
//! PICKED and STARTED to FINISHED, FAILED or ABORTED.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `protocol` | requests, answers and error types as they travel |
//! | `service` | the operations |
//! | `statement` | one statement: its state and the rules of its change |
//! | `session` | running SQL on PostgreSQL, reading rows |
//! | `sql` | named parameters, and telling one statement from several |
//!
//! What it does not do, it refuses by name: sessions (SessionId, SessionKeepAliveSeconds), CSV results,
//! and the metadata operations. `WithEvent` is accepted, and no event is sent. Credentials are not
//! checked, and statements are not kept apart by IAM role.

pub mod protocol;
pub mod service;
mod session;
mod sql;
mod statement;

pub use service::{Config, Service};

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use protocol::{Failure, FailureType};
use serde_json::Value;
use tokio::net::TcpListener;

/// Serves until `stop` is ready; then cancels what still runs.
///
/// # Errors
/// Those of the socket.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = Router::new().route("/", post(answer)).with_state(service.clone());
    // Open long polls end with the process: a graceful shutdown would wait for them.
    tokio::select! {
        served = axum::serve(listener, app) => served?,
        () = stop => {}
    }
    service.cancel_all().await;
    Ok(())
}

async fn answer(State(service): State<Arc<Service>>, headers: HeaderMap, body: Bytes) -> Response {
    let operation = headers.get("x-amz-target").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let answer = match serde_json::from_slice::<Value>(&body) {
        Ok(request) => service.call(&operation, request).await,
        Err(e) => Err(Failure::new(FailureType::Serialization, format!("the request is no JSON: {e}"))),
    };
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(failure) => {
            let status = StatusCode::from_u16(failure.kind.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
            tracing::debug!(operation, error = failure.kind.name(), message = failure.message, "refused");
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
