//! A marker in every place of payloads and of AWS's answers: for tests that no text which leaves a function holds one.
//!
//! Walks are exhaustive, not random: a payload has few places, and a failure names the one that leaks.

use std::sync::{Arc, Mutex};
use std::{fmt, io};

use lambda_runtime::Diagnostic;
use serde_json::{Map, Value, json};
use tracing::instrument::WithSubscriber;

use crate::error::{Error, Result};
use crate::shown;

/// What no text may hold.
pub const MARK: &str = "hunter2";

/// Texts that hold the mark, each in a form that a careless redaction lets through.
pub const MARKERS: &[&str] = &[
    "hunter2",
    "dev.p('hunter2')",
    "CALL dev.p('hunter2')",
    "dev.p, hunter2",
    "dev.p hunter2",
    "user.hunter2@example.com",
    "a, expected hunter2",
    "a`, expected `hunter2",
    "x\", \"hunter2\": \"y",
    "it's hunter2",
    "one\nhunter2\r\n",
    "\u{fc}\u{202e}hunter2\u{0}",
    "deadlock detected: hunter2",
];

/// Codes with which AWS refuses, and one that it may have tomorrow.
const CODES: &[&str] = &[
    "ValidationException",
    "AccessDeniedException",
    "ResourceNotFoundException",
    "NotFoundException",
    "ThrottlingException",
    "ActiveStatementsExceededException",
    "ExecuteStatementException",
    "InternalServerException",
    "BrandNewException",
];

/// A payload with the mark in one place.
#[derive(Debug, Clone)]
pub struct Poisoned {
    /// Where, as in `Procedures[0].Sql`; a key ends in `?`.
    pub place: String,
    /// The payload.
    pub payload: Value,
    /// Whether the mark stands in it as an id or a name could, and may be shown as one.
    pub is_id: bool,
}

/// The payload with each of the [`MARKERS`] in every place: in place of each value, within a list or an object in
/// place of it, as each key, and as a key more of each object.
pub fn poisoned(payload: &Value) -> Vec<Poisoned> {
    poisoned_with(payload, MARKERS)
}

fn poisoned_with(payload: &Value, markers: &[&str]) -> Vec<Poisoned> {
    let mut found = Vec::new();
    for marker in markers {
        for (place, payload) in marked(payload, marker) {
            found.push(Poisoned { place, payload, is_id: shown::id(marker).is_some() });
        }
    }
    found
}

fn marked(value: &Value, marker: &str) -> Vec<(String, Value)> {
    let mut found = vec![
        (String::new(), json!(marker)),
        (String::new(), json!([marker])),
        (String::new(), json!({ marker: marker })),
    ];
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for (place, changed) in marked(item, marker) {
                    let mut items = items.clone();
                    items[index] = changed;
                    found.push((format!("[{index}]{place}"), items.into()));
                }
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                for (place, changed) in marked(field, marker) {
                    let mut fields = fields.clone();
                    fields[name] = changed;
                    found.push((format!(".{name}{place}"), fields.into()));
                }
                let renamed: Map<_, _> = fields
                    .iter()
                    .map(|(key, value)| (if key == name { marker.to_owned() } else { key.clone() }, value.clone()))
                    .collect();
                found.push((format!(".{name}?"), renamed.into()));
            }
            let mut more = fields.clone();
            more.insert(marker.to_owned(), json!(marker));
            found.push((".?".to_owned(), more.into()));
        }
        _ => {}
    }
    found
}

/// The markers of an answer: each is a call of the SDK.
const IN_ANSWERS: &[&str] = &["hunter2", "x\", \"hunter2\": \"it's", "deadlock detected: hunter2\n"];

/// An HTTP answer of AWS's JSON protocol.
#[derive(Debug, Clone)]
pub struct Response {
    /// What was done to it.
    pub place: String,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// A service's answers to one call, with the mark in them: refusals with the mark in code, message and body; bodies
/// that are no JSON; the good answer with the mark in every place, and cut short.
pub fn poisoned_answers(good: &Value) -> Vec<Response> {
    let answer = |place: String, status: u16, body: String| Response { place, status, body };
    let mut found = Vec::new();
    for marker in IN_ANSWERS {
        for status in [400, 403, 503] {
            for code in CODES.iter().chain([marker]) {
                let body = json!({"__type": code, "message": marker, "Message": marker, "QueryString": marker});
                found.push(answer(format!("{code} with HTTP {status}"), status, body.to_string()));
            }
            found.push(answer(format!("no code with HTTP {status}"), status, json!({"message": marker}).to_string()));
            let page = format!("<html>{marker}</html>");
            found.push(answer(format!("a page with HTTP {status}"), status, page));
        }
        found.push(answer("a page".to_owned(), 200, format!("<html>{marker}</html>")));
        found.push(answer("a text".to_owned(), 200, json!(marker).to_string()));
    }
    for Poisoned { place, payload, .. } in poisoned_with(good, IN_ANSWERS) {
        let body = payload.to_string();
        let cut: String = body.chars().take(body.chars().count() - 1).collect();
        found.push(answer(format!("{place}, cut"), 200, cut));
        found.push(answer(place, 200, body));
    }
    found
}

/// Every form in which an error leaves a function.
pub fn texts(error: &Error) -> String {
    let diagnostic = Diagnostic::from(error.clone());
    format!("{error}\n{error:?}\n{error:#?}\n{diagnostic:?}\n{}\n{}", diagnostic.error_type, diagnostic.error_message)
}

/// Whether a text holds the mark, in any case.
pub fn leaks(text: &str) -> bool {
    text.to_lowercase().contains(MARK)
}

/// Asserts that the error of `result`, if it is one, holds no mark; `place` is named in the failure.
///
/// # Panics
/// Where it holds one.
pub fn assert_no_leak<T>(place: &impl fmt::Debug, result: &Result<T>) {
    if let Err(error) = result {
        let texts = texts(error);
        assert!(!leaks(&texts), "{place:?}: {texts}");
    }
}

/// What `work` comes to, and all that it logs, as JSON lines at the level that a deployment has.
pub async fn logged<T>(work: impl Future<Output = T>) -> (T, String) {
    let written = Written::default();
    let to = written.clone();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO);
    let outcome = work.with_subscriber(subscriber.with_writer(move || to.clone()).finish()).await;
    let text = written.0.lock().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    (outcome, text)
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Ok(mut written) = self.0.lock() {
            written.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
