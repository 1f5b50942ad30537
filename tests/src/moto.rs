//! moto's interpreter of state machines, the stricter one. It calls every service at
//! `http://localhost:$MOTO_PORT`; a gateway stands there that answers what moto itself has not.

use std::net::Ipv4Addr;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use loader::tools;
use nix::sys::signal::Signal;
use redshift_data_local::process::{Process, command, free_port};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{Any, failed};

/// A running moto, behind its gateway.
pub struct Moto {
    /// Where moto itself answers.
    pub url: String,
    /// Where its gateway answers.
    pub gateway: String,
    process: Process,
}

impl Moto {
    /// Starts moto, and the gateway that `gateway` makes: it gets moto to pass on to what it does not answer.
    pub async fn start(dir: &Path, gateway: impl FnOnce(Upstream) -> Router) -> Any<Self> {
        let (gateway_port, port) = (free_port()?, free_port()?);
        let url = format!("http://127.0.0.1:{port}");
        let app = gateway(Upstream::new(&url));
        // moto says localhost.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, gateway_port)).await?;
        tokio::spawn(async { axum::serve(listener, app).await });

        let mut command = command(tools::python_tool("moto_server")?);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).env("MOTO_PORT", gateway_port.to_string());
        for (name, value) in
            [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_DEFAULT_REGION", "eu-west-1")]
        {
            command.env(name, value);
        }
        command.env_remove("AWS_ENDPOINT_URL");
        let mut process = Process::start("moto", &mut command, dir, Signal::SIGTERM).await?;
        process.until(async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()).await?;
        let switch = json!({"stepfunctions": {"execute_state_machine": true}});
        post_json(&format!("{url}/moto-api/config"), &switch).await?;
        Ok(Self { url, gateway: format!("http://localhost:{gateway_port}"), process })
    }

    /// Ends it.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}

/// A service that a gateway passes requests on to.
#[derive(Debug, Clone)]
pub struct Upstream {
    url: String,
    http: HttpClient<HttpConnector, Body>,
}

impl Upstream {
    /// The service at this URL.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), http: HttpClient::builder(TokioExecutor::new()).build_http() }
    }

    /// Its answer to a request.
    pub async fn pass(&self, mut request: Request) -> Response {
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let Ok(uri) = format!("{}{path}", self.url).parse() else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        *request.uri_mut() = uri;
        // The one of where it goes is added.
        request.headers_mut().remove(HOST);
        match self.http.request(request).await {
            Ok(answer) => answer.map(Body::new),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }
}

/// Posts a configuration to an engine.
pub async fn post_json(url: &str, body: &Value) -> Any<()> {
    let http: HttpClient<HttpConnector, Body> = HttpClient::builder(TokioExecutor::new()).build_http();
    let request = Request::post(url).header("content-type", "application/json");
    let answer = http.request(request.body(Body::from(body.to_string()))?).await?;
    if !answer.status().is_success() {
        return Err(failed(format!("{url} does not take its configuration: {}", answer.status())));
    }
    Ok(())
}
