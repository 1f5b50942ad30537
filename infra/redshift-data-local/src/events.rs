//! `WithEvent`: the end of a statement as an event on EventBridge, put there by one signed request.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Request, Uri, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::caller::Caller;
use crate::statement::Statement;

/// The source of the service's own events. [Amazon EventBridge Events Reference, "Amazon Redshift Data API events"]
pub const SOURCE: &str = "aws.redshift-data";
const DETAIL_TYPE: &str = "Redshift Data Statement Status Change";
/// How long a description is kept, and so when an event expires.
const KEPT: time::Duration = time::Duration::hours(24);
/// Delivery is best effort. [Amazon EventBridge Events Reference]
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(5);
const MOST_BYTES: usize = 100_000;

/// An EventBridge on this machine, or as near.
#[derive(Clone)]
pub struct Events {
    /// Its host and port.
    pub address: String,
    /// The source that events have: [`SOURCE`], or one of your own where EventBridge refuses that one from everybody but AWS.
    pub source: String,
    /// The region of the keys and of the resources.
    pub region: String,
    /// The access key that requests are signed with.
    pub key: String,
    /// Its secret.
    pub secret: String,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("address", &self.address).field("source", &self.source).finish_non_exhaustive()
    }
}

impl Events {
    /// At `http://host:port`, with keys that mean nothing.
    ///
    /// # Errors
    /// Tells what is expected if it is something else.
    pub fn at(url: &str) -> Result<Self, String> {
        let wrong = || format!("{url:?} is no http://host:port; EventBridge is reached without TLS");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http") && uri.path() == "/").ok_or_else(wrong)?;
        let local = "local".to_owned();
        Ok(Self {
            address: format!("{host}:{}", uri.port_u16().unwrap_or(80)),
            source: SOURCE.to_owned(),
            region: "us-east-1".to_owned(),
            key: local.clone(),
            secret: local,
        })
    }

    /// Sends the end of a statement. What does not get through is logged, and nothing more.
    pub(crate) async fn send(&self, statement: &Statement) {
        let body = json!({"Entries": [self.entry(statement)]}).to_string();
        let mut text = String::new();
        for attempt in 1..=ATTEMPTS {
            text = match tokio::time::timeout(LIMIT, self.put(&body)).await {
                Ok(Ok(())) => return,
                Ok(Err(text)) => text,
                Err(_) => "no answer".to_owned(),
            };
            if attempt < ATTEMPTS {
                tokio::time::sleep(PAUSE).await;
            }
        }
        tracing::error!(statement_id = statement.id, "the event did not reach EventBridge: {text}");
    }

    /// As the service's own event is. [recorded; Amazon Redshift Management Guide, "Monitoring events for the Amazon Redshift Data API"]
    fn entry(&self, statement: &Statement) -> Value {
        let request = &statement.request;
        let principal = match &statement.owner {
            Caller::Principal { session, .. } if !session.is_empty() => session,
            _ => "arn:aws:iam::000000000000:root",
        };
        let account = principal.split(':').nth(4).unwrap_or_default();
        let resource = match (&request.cluster_identifier, &request.workgroup_name) {
            (Some(cluster), _) => format!("arn:aws:redshift:{}:{account}:cluster:{cluster}", self.region),
            (_, workgroup) => {
                let workgroup = workgroup.as_deref().unwrap_or_default();
                format!("arn:aws:redshift-serverless:{}:{account}:workgroup/{workgroup}", self.region)
            }
        };
        let state = statement.state.borrow();
        let rows = state.whole.result.as_deref().map_or(-1, |result| result.rows_or_affected);
        let mut detail = json!({
            "principal": principal,
            "statementId": statement.id,
            "state": state.whole.status,
            "rows": rows,
            "expireAt": (statement.created_at + KEPT).unix_timestamp(),
        });
        if let Some(name) = &request.statement_name {
            detail["statementName"] = json!(name);
        }
        json!({
            "Source": self.source,
            "DetailType": DETAIL_TYPE,
            "Detail": detail.to_string(),
            "Resources": [resource],
        })
    }

    async fn put(&self, body: &str) -> Result<(), String> {
        let stream = TcpStream::connect(&self.address).await.map_err(|e| e.to_string())?;
        let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        let request = self.request(body, SystemTime::now()).map_err(|e| e.to_string())?;
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let answer = to_bytes(Body::new(answer.into_body()), MOST_BYTES).await.map_err(|e| e.to_string())?;
        let read: Value = serde_json::from_slice(&answer).unwrap_or_default();
        // Of an entry that failed there is none.
        if status.is_success() && read["Entries"][0]["EventId"].is_string() {
            return Ok(());
        }
        Err(format!("{status}: {}", String::from_utf8_lossy(&answer)))
    }

    /// PutEvents, with Signature Version 4.
    fn request(&self, body: &str, now: SystemTime) -> Result<Request<Body>, Box<dyn std::error::Error + Send + Sync>> {
        let headers = [
            (header::HOST.as_str(), self.address.as_str()),
            (header::CONTENT_TYPE.as_str(), "application/x-amz-json-1.1"),
            ("x-amz-target", "AWSEvents.PutEvents"),
        ];
        let identity = Credentials::new(&self.key, &self.secret, None, None, "events").into();
        let parameters = SigningParams::builder().identity(&identity).region(&self.region).name("events").time(now);
        let parameters = parameters.settings(SigningSettings::default()).build()?.into();
        let signable = SignableRequest::new("POST", "/", headers.into_iter(), SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        let mut request = Request::post("/").body(Body::from(body.to_owned()))?;
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request.headers_mut().insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_without_tls() {
        for (url, address) in [
            ("http://127.0.0.1:4566", Some("127.0.0.1:4566")),
            ("http://events/", Some("events:80")),
            ("http://[::1]:4566", Some("[::1]:4566")),
            ("https://events.eu-west-1.amazonaws.com", None),
            ("http://127.0.0.1:4566/path", None),
            ("127.0.0.1:4566", None),
            ("nonsense", None),
        ] {
            assert_eq!(Events::at(url).ok().map(|events| events.address).as_deref(), address, "{url}");
        }
    }

    #[test]
    fn a_request_is_signed_as_the_sdk_signs_it() {
        let events = Events {
            key: "AKIDEXAMPLE".into(),
            secret: "secret".into(),
            ..Events::at("http://127.0.0.1:4566").expect("a URL")
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let request = events.request(r#"{"Entries": []}"#, now).expect("a request");
        assert_eq!(
            request.headers()[header::AUTHORIZATION],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/events/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=27d7a4502cd9380c97fcb54cef132c342a4ffe797c3beff5714ab717a66a72ab"
        );
    }
}
