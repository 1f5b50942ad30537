//! `WithEvent`: the end of a statement as an event on EventBridge, put there by one signed request.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Uri, header};
use hmac::{Hmac, KeyInit, Mac};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
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

    /// Tells of the end of a statement. What does not get through is logged, and nothing more.
    pub(crate) async fn tell(&self, statement: &Statement) {
        let body = json!({"Entries": [self.entry(statement)]}).to_string();
        for attempt in 1..=ATTEMPTS {
            let text = match tokio::time::timeout(LIMIT, self.put(&body)).await {
                Ok(Ok(())) => return,
                Ok(Err(text)) => text,
                Err(_) => "no answer".to_owned(),
            };
            tracing::warn!(statement_id = statement.id, attempt, "the event did not reach EventBridge: {text}");
            tokio::time::sleep(PAUSE).await;
        }
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
        let request = self.request(body, OffsetDateTime::now_utc()).map_err(|e| e.to_string())?;
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let answer = to_bytes(Body::new(answer.into_body()), MOST_BYTES).await.map_err(|e| e.to_string())?;
        let read: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if status.is_success() && read["FailedEntryCount"].as_u64().unwrap_or(0) == 0 {
            return Ok(());
        }
        Err(format!("{status}: {}", String::from_utf8_lossy(&answer)))
    }

    /// PutEvents, with Signature Version 4. [IAM User Guide, "Create a signed AWS API request"]
    fn request(&self, body: &str, now: OffsetDateTime) -> Result<Request<Body>, axum::http::Error> {
        let stamp = format_description!("[year][month][day]T[hour][minute][second]Z");
        let time = now.format(stamp).unwrap_or_default();
        let scope = format!("{}/{}/events/aws4_request", time.get(..8).unwrap_or_default(), self.region);
        let (of, target, host) = ("application/x-amz-json-1.1", "AWSEvents.PutEvents", &self.address);
        let signed = "content-type;host;x-amz-date;x-amz-target";
        let canonical = format!(
            "POST\n/\n\ncontent-type:{of}\nhost:{host}\nx-amz-date:{time}\nx-amz-target:{target}\n\n{signed}\n{}",
            hex(&Sha256::digest(body))
        );
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let signature = sign(&self.secret, &scope, &text);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}", self.key);
        Request::post("/")
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, of)
            .header("x-amz-date", time)
            .header("x-amz-target", target)
            .header(header::AUTHORIZATION, authorization)
            .body(Body::from(body.to_owned()))
    }
}

/// The signature of a text by the key of its scope: date, region, service and `aws4_request`.
fn sign(secret: &str, scope: &str, text: &str) -> String {
    let start = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(start, |key, part| authenticate(&key, part.as_bytes()));
    hex(&authenticate(&key, text.as_bytes()))
}

fn authenticate(key: &[u8], text: &[u8]) -> Vec<u8> {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_signed_as_in_the_documentation() {
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
                    f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        let signature = sign("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830/us-east-1/iam/aws4_request", text);
        assert_eq!(signature, "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    }

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
        let now = OffsetDateTime::from_unix_timestamp(1_440_938_160).expect("a time");
        let request = events.request(r#"{"Entries": []}"#, now).expect("a request");
        assert_eq!(
            request.headers()[header::AUTHORIZATION],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/events/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=27d7a4502cd9380c97fcb54cef132c342a4ffe797c3beff5714ab717a66a72ab"
        );
    }
}
