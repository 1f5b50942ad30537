//! The only way to the local AWS: answers on loopback who signs with a key of this start, and passes the request on to
//! MiniStack, which itself is on a unix socket in a folder that is its user's alone.

use std::fs::DirBuilder;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use loader::{Error, Result};
use redshift_data_local::caller::Caller;
use redshift_data_local::guard::{Access, Admitting, Guard, Refused, guard, whole};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;

use crate::aws::{Endpoint, Keys};
use crate::signature::{Signature, same};

/// Where `ministack_on_socket.py` tells what belongs to a key. Nobody gets there through the gateway.
const KEYS: &str = "/_gateway/";
/// An answer of MiniStack about itself.
const MOST_BYTES: usize = 1024 * 1024;
/// The longest path of a Unix socket, by the shorter of two: 108 bytes on Linux, 104 on macOS, the closing zero included. [unix(7); unix(4)]
const MAX_SOCKET_BYTES: usize = 103;

/// Listens on a loopback port: the wanted one, or a free one.
///
/// # Errors
/// If the port is in use.
pub async fn listen(wanted: Option<u16>) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, wanted.unwrap_or(0))).await.map_err(|e| match wanted {
        Some(port) => Error::new(format!("port {port} cannot be used: {e}; choose another (PORT=...) or none")),
        None => Error::doing("find a free port", e),
    })
}

/// Who may ask the local AWS: root, with the keys of this start, and whom MiniStack gave a key.
#[derive(Debug)]
pub struct KeyRing {
    root: Keys,
    socket: PathBuf,
}

impl KeyRing {
    /// New keys, and a folder in `dir` for the socket.
    fn new(dir: &Path) -> Result<Self> {
        let folder = dir.join("ministack");
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|e| Error::doing("make a folder for MiniStack", e))?;
        let socket = folder.join("socket");
        if socket.as_os_str().len() > MAX_SOCKET_BYTES {
            return Err(Error::new(format!(
                "{} is too long a path for a socket; name a shorter folder for temporary files: TMPDIR=/tmp",
                socket.display()
            )));
        }
        Ok(Self { root: Keys::random(), socket })
    }

    /// Asks MiniStack on its socket.
    async fn ask(&self, request: Request) -> Response {
        match UnixStream::connect(&self.socket).await {
            Ok(stream) => pass(stream, request).await,
            Err(error) => (StatusCode::BAD_GATEWAY, format!("MiniStack does not answer: {error}")).into_response(),
        }
    }

    /// The secret and the token of a key that MiniStack gave to somebody, and to whom.
    async fn given(&self, key: &str) -> Option<(String, String, Caller)> {
        if !key.bytes().all(|c| c.is_ascii_alphanumeric()) {
            return None;
        }
        let request = Request::get(format!("{KEYS}keys?id={key}")).header(header::HOST, "localhost");
        let answer = self.ask(request.body(Body::empty()).ok()?).await;
        let answer: Value = serde_json::from_slice(&to_bytes(answer.into_body(), MOST_BYTES).await.ok()?).ok()?;
        let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
        let given = (text("secret"), text("token"), Caller::of_arn(&text("arn")));
        Some(given).filter(|(secret, ..)| !secret.is_empty())
    }

    async fn check(&self, head: &Parts, body: Body) -> std::result::Result<(Caller, Body), Refused> {
        const WHERE: &str = "the keys of the stack that runs are in target/local/env, and new at each start";
        let unsigned =
            || Refused::new("MissingAuthenticationTokenException", format!("The request is not signed: {WHERE}"));
        let signature = Signature::of(&head.headers).ok_or_else(unsigned)?;
        // As on AWS, a role finds its own statements only. A person on this machine, and the tests, see all.
        let (secret, token, caller) = if same(signature.key, &self.root.id) {
            (self.root.secret.clone(), String::new(), Caller::Operator)
        } else {
            let unknown = || Refused::new("UnrecognizedClientException", format!("The access key is unknown: {WHERE}"));
            self.given(signature.key).await.ok_or_else(unknown)?
        };
        let sent = head.headers.get("x-amz-security-token").map(HeaderValue::as_bytes).unwrap_or_default();
        let is_sent = std::str::from_utf8(sent).is_ok_and(|sent| same(sent, &token));
        let body = whole(body).await?;
        if is_sent && signature.is_right(&secret, head, &body, SystemTime::now()) {
            return Ok((caller, Body::from(body)));
        }
        Err(Refused::new("InvalidSignatureException", format!("The signature is not that of the access key: {WHERE}")))
    }
}

impl Access for KeyRing {
    fn admit<'a>(&'a self, head: &'a Parts, body: Body) -> Admitting<'a> {
        Box::pin(self.check(head, body))
    }
}

/// The gateway: its port is taken, but it answers only once MiniStack does.
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
    keys: Arc<KeyRing>,
    /// How to reach the local AWS.
    pub endpoint: Endpoint,
}

/// The gateway while it answers. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Open(JoinHandle<()>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Gateway {
    /// Takes the port, and makes the keys of this start; MiniStack's socket will be in a folder in `dir`.
    ///
    /// # Errors
    /// If the port is in use, or the folder cannot be made.
    pub async fn prepare(port: Option<u16>, dir: &Path) -> Result<Self> {
        let listener = listen(port).await?;
        let address = listener.local_addr().map_err(|e| Error::doing("find the gateway's port", e))?;
        let keys = Arc::new(KeyRing::new(dir)?);
        let endpoint = Endpoint { url: format!("http://{address}"), keys: keys.root.clone() };
        Ok(Self { listener, keys, endpoint })
    }

    /// Who may ask.
    pub fn keys(&self) -> Arc<KeyRing> {
        self.keys.clone()
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().map_or(0, |address| address.port())
    }

    /// Where MiniStack is to listen.
    pub(crate) fn socket(&self) -> &Path {
        &self.keys.socket
    }

    /// Answers from now on.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn open(self) -> Result<Open> {
        let address = self.listener.local_addr().map_err(|e| Error::doing("find the gateway's port", e))?;
        let guarded = Arc::new(Guard::new(address, Some(self.keys.clone())));
        let app = Router::new().fallback(forward).with_state(self.keys).layer(from_fn_with_state(guarded, guard));
        Ok(Open(tokio::spawn(async move {
            let _ = axum::serve(self.listener, app).await;
        })))
    }
}

async fn forward(State(keys): State<Arc<KeyRing>>, request: Request) -> Response {
    if request.uri().path().starts_with(KEYS) {
        return StatusCode::NOT_FOUND.into_response();
    }
    keys.ask(request).await
}

/// Asks MiniStack itself, past the gateway: what it answers about itself is nobody else's.
pub(crate) async fn configure(keys: &KeyRing, configuration: &Value) -> Result<()> {
    let request = Request::post("/_ministack/config").header(header::HOST, "localhost");
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(configuration.to_string()));
    let request = request.map_err(|e| Error::doing("configure MiniStack", e))?;
    let status = keys.ask(request).await.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(Error::new(format!("MiniStack does not take its configuration: {status}")))
    }
}

/// Passes a request on over a connection of its own, which ends when nobody waits for the answer any more.
pub async fn pass(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, mut request: Request) -> Response {
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    let failed = |e: hyper::Error| (StatusCode::BAD_GATEWAY, e.to_string()).into_response();
    match hyper::client::conn::http1::handshake(TokioIo::new(stream)).await {
        Ok((mut sender, connection)) => {
            tokio::spawn(connection);
            sender.send_request(request).await.map_or_else(failed, |answer| answer.map(Body::new))
        }
        Err(error) => failed(error),
    }
}
