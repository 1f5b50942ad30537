//! The routes: the page and its two files, and, on the local stack, a form for each action.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::action::{Action, Local};
use super::data::{Asked, Data, Pace};
use super::graph::Graph;
use super::guard::{Token, protect, refusal};
use super::views::{self, ICON, OfLocal, SCRIPT, STYLE, Said};
use crate::stack::Place;
use crate::{Error, Result};

/// A form has a few short fields.
const MOST_BYTES: usize = 16 * 1024;

/// What is served.
pub struct Options {
    pub place: Place,
    /// The port; a free one if it is not given.
    pub port: Option<u16>,
    /// On top of the shell's.
    pub environment: Vec<(String, String)>,
    /// What the local stack adds. Without it the page only reads.
    pub local: Option<Arc<dyn Local>>,
}

/// The page while it is served. Dropping it ends it.
pub struct Page {
    /// Its address, with the key.
    pub url: String,
    served: JoinHandle<std::io::Result<()>>,
}

struct Site {
    token: Token,
    port: u16,
    stack: String,
    graph: Graph,
    data: Data,
    local: Option<Arc<dyn Local>>,
    said: Mutex<Option<Said>>,
}

impl Page {
    /// Listens on loopback, and serves in the background.
    ///
    /// # Errors
    /// If a tool is missing, or the port is in use.
    pub async fn start(options: Options) -> Result<Self> {
        let Options { place, port, environment, local } = options;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await;
        let listener = listener.map_err(|e| Error::doing("listen for the page", e))?;
        let port = listener.local_addr().map_err(|e| Error::doing("listen for the page", e))?.port();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let data = Data::start(&place, &environment, Pace::of(local.is_some()))?;
        let token = Token::random();
        let url = format!("http://127.0.0.1:{port}/{}/", token.as_path());
        let graph = Graph::of_the_loader()?;
        let site = Site { token, port, stack: place.stack, graph, data, local, said: Mutex::default() };
        let app = router(Arc::new(site));
        let served = tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, served })
    }

    /// Waits for as long as it is served.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn served(mut self) -> Result<()> {
        match (&mut self.served).await {
            Ok(served) => served.map_err(|e| Error::doing("serve the page", e)),
            Err(error) => Err(Error::doing("serve the page", error)),
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.served.abort();
    }
}

fn router(site: Arc<Site>) -> Router {
    let file = |of: &'static str, text: &'static str| get(move || async move { ([(header::CONTENT_TYPE, of)], text) });
    let mut router = Router::new()
        .route("/{key}/", get(page))
        .route("/{key}/style.css", file("text/css; charset=utf-8", STYLE))
        .route("/{key}/page.js", file("text/javascript; charset=utf-8", SCRIPT))
        .route("/{key}/icon.svg", file("image/svg+xml", ICON));
    if site.local.is_some() {
        router = router.route("/{key}/{action}", post(act));
    }
    let guard = from_fn_with_state(site.clone(), guard);
    router.layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(site).layer(guard)
}

async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let refused = refusal(&site.token, site.port, request.method(), request.uri().path(), request.headers());
    let mut response = match refused {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    };
    protect(response.headers_mut());
    response
}

async fn page(State(site): State<Arc<Site>>, uri: Uri) -> Html<String> {
    let asked = asked(uri.query().unwrap_or_default());
    let local = site.local.as_ref().map(|local| OfLocal {
        faults: local.faults(),
        correction: local.correction(),
        waiting: local.waiting(),
        inbox: local.inbox(),
    });
    // A question of the page would be struck by a fault that is meant for an execution.
    let may_query = local.as_ref().is_none_or(|local| local.waiting.is_empty());
    let found = site.data.find(&asked, may_query).await;
    let said = site.said();
    let page = views::Page {
        stack: &site.stack,
        graph: &site.graph,
        asked: &asked,
        found: &found,
        local: local.as_ref(),
        said: said.as_ref(),
    };
    Html(page.html().into_string())
}

async fn act(
    State(site): State<Arc<Site>>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let of = headers.get(header::CONTENT_TYPE).and_then(|of| of.to_str().ok()?.split(';').next());
    let is_form = of == Some("application/x-www-form-urlencoded");
    let form: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
    let (Some(action), Some(local), true) = (Action::read(&name, &form), site.local.clone(), is_form) else {
        return (StatusCode::BAD_REQUEST, "no form of this page\n").into_response();
    };
    // It is done to its end, also if the browser goes away.
    let done = tokio::spawn(async move { local.act(action).await }).await;
    let said = match done {
        Ok(Ok(text)) => Said { text, failed: false },
        Ok(Err(error)) => Said { text: error.to_string(), failed: true },
        Err(_) => Said { text: "this failed in a way that it should not".to_owned(), failed: true },
    };
    *site.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    site.data.is_old();
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/{}/", site.token.as_path()))]).into_response()
}

impl Site {
    fn said(&self) -> Option<Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn asked(query: &str) -> Asked {
    let mut fields: HashMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    Asked {
        execution: fields.remove("execution").filter(|name| !name.is_empty()),
        run: fields.remove("audit").zip(fields.remove("run")),
        live: fields.contains_key("live"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_an_execution_and_a_run_of_an_audit() {
        let run = |run: &str| Some(("dev.a".to_owned(), run.to_owned()));
        for (query, execution, of, live) in [
            ("", None, None, false),
            ("execution=&live=1", None, None, true),
            ("execution=a%20b", Some("a b"), None, false),
            ("audit=dev.a&run=4%262", None, run("4&2"), false),
            ("run=42", None, None, false),
        ] {
            let expected = Asked { execution: execution.map(str::to_owned), run: of, live };
            assert_eq!(asked(query), expected, "{query}");
        }
    }
}
