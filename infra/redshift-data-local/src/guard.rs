//! Who is answered: programs on this machine, and no web page that a browser here shows. A page reaches loopback ports
//! without asking anybody: by a form or a simple request from its own origin, and by a name that its owner's DNS server
//! makes this machine's.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::caller::Caller;

/// The most that a request has. The largest is a function's archive on its way to a bucket.
const MOST_BYTES: usize = 512 * 1024 * 1024;

/// A refusal, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The error's code.
    pub code: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Refused {
    /// A refusal with this code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn denied(message: impl Into<String>) -> Self {
        Self::new("AccessDeniedException", message)
    }

    /// As an SDK reads it, by the protocol of the request.
    fn answer(&self, request: &HeaderMap) -> Response {
        let has = |name, part: &str| {
            request.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).is_some_and(|v| v.contains(part))
        };
        let Self { code, message } = self;
        let error = || format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let (of, body) = if has(header::AUTHORIZATION, "/s3/aws4_request") {
            ("application/xml", error())
        } else if has(header::CONTENT_TYPE, "application/x-www-form-urlencoded") {
            ("text/xml", format!("<ErrorResponse>{}</ErrorResponse>", error()))
        } else {
            ("application/x-amz-json-1.1", json!({"__type": code, "message": message}).to_string())
        };
        let type_of_error = (HeaderName::from_static("x-amzn-errortype"), *code);
        (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, of), type_of_error], body).into_response()
    }
}

/// An answer on its way: who asks, and the body, whether or not it had to be read for that.
pub type Admitting<'a> = Pin<Box<dyn Future<Output = Result<(Caller, Body), Refused>> + Send + 'a>>;

/// Who may ask, and who that is, by what a request is signed with.
pub trait Access: Debug + Send + Sync {
    /// Looks at a request. A body is read only for those who are known: nobody else fills the memory.
    fn admit<'a>(&'a self, head: &'a Parts, body: Body) -> Admitting<'a>;
}

/// The whole of a body.
///
/// # Errors
/// Of one that breaks off or is too large.
pub async fn whole(body: Body) -> Result<Bytes, Refused> {
    let code = "RequestEntityTooLargeException";
    to_bytes(body, MOST_BYTES).await.map_err(|_| Refused::new(code, "the body is too large, or broke off"))
}

/// What stands before the routes of a listener.
#[derive(Debug)]
pub struct Guard {
    /// The names that it answers to, each with its port.
    hosts: Vec<String>,
    port: u16,
    access: Option<Arc<dyn Access>>,
}

/// A host as HTTP names it, with the port that goes without saying.
fn with_port(host: &str) -> String {
    let port = host.rsplit_once(']').map_or(host, |(_, port)| port);
    if port.contains(':') { host.to_owned() } else { format!("{host}:80") }
}

impl Guard {
    /// For a listener at this address. Without `access` every program on this machine may ask.
    pub fn new(address: SocketAddr, access: Option<Arc<dyn Access>>) -> Self {
        let port = address.port();
        let mut hosts: Vec<_> =
            ["127.0.0.1", "localhost", "[::1]"].iter().map(|host| format!("{host}:{port}")).collect();
        if !matches!(address.ip(), IpAddr::V4(ip) if ip.is_loopback()) && !address.ip().is_unspecified() {
            hosts.push(address.to_string());
        }
        Self { hosts, port, access }
    }

    /// Answers to these names as well: `name`, on the listener's port, or `name:port`, where a container's port is another outside.
    /// A web page whose owner makes such a name this machine's is answered, so it has to be one that nobody can own.
    #[must_use]
    pub fn named(mut self, names: &[String]) -> Self {
        let port = self.port;
        let whole = |name: &String| if name.contains(':') { name.clone() } else { format!("{name}:{port}") };
        self.hosts.extend(names.iter().map(whole));
        self
    }

    /// Why a request is refused before anybody reads its body, if it is.
    fn refusal(&self, uri: &Uri, headers: &HeaderMap) -> Option<Refused> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
        // Nobody can own a name below localhost; SDKs put a bucket there.
        let ours = |host: &str| {
            let host = with_port(host);
            let below_localhost = || host.ends_with(&format!(".localhost:{}", self.port));
            self.hosts.iter().any(|own| own.eq_ignore_ascii_case(&host)) || below_localhost()
        };
        if hosts.next().is_some() || !ours(host) || uri.authority().is_some_and(|named| !ours(named.as_str())) {
            let own = self.hosts.join(" or ");
            return Some(Refused::denied(format!(
                "only programs on this machine are answered: the Host has to be {own}"
            )));
        }
        // A browser says where a page's request comes from. No SDK has either header.
        let site = headers.get("sec-fetch-site");
        (headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none"))
            .then(|| Refused::denied("no web page is answered, and this request comes from one"))
    }

    async fn admit(&self, request: Request) -> Result<Request, Response> {
        let (mut head, body) = request.into_parts();
        if let Some(refused) = self.refusal(&head.uri, &head.headers) {
            return Err(refused.answer(&head.headers));
        }
        let Some(access) = &self.access else { return Ok(Request::from_parts(head, body)) };
        match access.admit(&head, body).await {
            Ok((caller, body)) => {
                head.extensions.insert(caller);
                Ok(Request::from_parts(head, body))
            }
            Err(refused) => Err(refused.answer(&head.headers)),
        }
    }
}

/// The guard as a middleware of axum: `from_fn_with_state(Arc::new(Guard::new(..)), guard)`.
pub async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(refused) => refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_on_this_machine_are_answered() {
        let loopback = "127.0.0.1:8123";
        for (address, uri, headers, answered) in [
            (loopback, "/", &[("host", "127.0.0.1:8123")][..], true),
            (loopback, "/", &[("host", "localhost:8123")], true),
            (loopback, "/", &[("host", "[::1]:8123")], true),
            (loopback, "/", &[("host", "bucket.s3.localhost:8123")], true),
            (loopback, "http://localhost:8123/", &[("host", "localhost:8123")], true),
            (loopback, "/", &[("host", "localhost:8123"), ("sec-fetch-site", "none")], true),
            ("192.0.2.1:80", "/", &[("host", "192.0.2.1:80")], true),
            ("192.0.2.1:80", "/", &[("host", "192.0.2.1")], true),
            ("127.0.0.1:80", "/", &[("host", "localhost")], true),
            ("127.0.0.1:80", "/", &[("host", "[::1]")], true),
            ("127.0.0.1:80", "/", &[("host", "evil.example")], false),
            ("0.0.0.0:8123", "/", &[("host", "localhost:8123")], true),
            ("0.0.0.0:8123", "/", &[("host", "0.0.0.0:8123")], false),
            (loopback, "/", &[], false),
            (loopback, "/", &[("host", "localhost")], false),
            (loopback, "/", &[("host", "localhost:8124")], false),
            (loopback, "/", &[("host", "evil.example:8123")], false),
            (loopback, "/", &[("host", "localhost.evil.example:8123")], false),
            (loopback, "/", &[("host", "evil-localhost:8123")], false),
            (loopback, "/", &[("host", "localhost:8123"), ("host", "localhost:8123")], false),
            (loopback, "http://evil.example:8123/", &[("host", "localhost:8123")], false),
            (loopback, "/", &[("host", "localhost:8123"), ("origin", "http://evil.example")], false),
            (loopback, "/", &[("host", "localhost:8123"), ("origin", "http://localhost:8123")], false),
            (loopback, "/", &[("host", "localhost:8123"), ("origin", "null")], false),
            (loopback, "/", &[("host", "localhost:8123"), ("sec-fetch-site", "cross-site")], false),
            (loopback, "/", &[("host", "localhost:8123"), ("sec-fetch-site", "same-origin")], false),
        ] {
            let guard = Guard::new(address.parse().expect("an address"), None);
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let refused = guard.refusal(&Uri::from_static(uri), &map);
            assert_eq!(refused.is_none(), answered, "{address} {uri} {headers:?}");
        }
    }

    #[test]
    fn further_names_are_answered_on_their_ports() {
        let address = "0.0.0.0:8123".parse().expect("an address");
        let guard = Guard::new(address, None).named(&["warehouse".to_owned(), "other:80".to_owned()]);
        for (host, answered) in [
            ("localhost:8123", true),
            ("warehouse:8123", true),
            ("Warehouse:8123", true),
            ("warehouse", false),
            ("warehouse:8124", false),
            ("other:80", true),
            ("other", true),
            ("other:8123", false),
            ("warehouse.evil.example:8123", false),
        ] {
            let map = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            assert_eq!(guard.refusal(&Uri::from_static("/"), &map).is_none(), answered, "{host}");
        }
    }

    #[tokio::test]
    async fn a_refusal_has_the_form_of_the_protocol() {
        for (headers, body) in [
            (&[("x-amz-target", "RedshiftData.ListStatements")][..], r#"{"__type":"Code","message":"why"}"#),
            (
                &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
                "<ErrorResponse><Error><Code>Code</Code><Message>why</Message></Error></ErrorResponse>",
            ),
            (
                &[("authorization", "AWS4-HMAC-SHA256 Credential=A/20261126/eu-west-1/s3/aws4_request, ...")],
                "<Error><Code>Code</Code><Message>why</Message></Error>",
            ),
        ] {
            let map =
                headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let answer = Refused::new("Code", "why").answer(&map.collect());
            assert_eq!(
                (answer.status(), &answer.headers()["x-amzn-errortype"]),
                (StatusCode::FORBIDDEN, &HeaderValue::from_static("Code"))
            );
            let bytes = to_bytes(answer.into_body(), 1000).await.expect("a body");
            assert_eq!(String::from_utf8_lossy(&bytes), body);
        }
    }
}
