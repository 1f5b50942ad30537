//! The page on the local stack: in a real browser, and before those who are not to be answered.
//!
//! `SCREENSHOTS=1` makes the pictures of docs/images anew.

use std::ffi::OsStr;
use std::process::ExitCode;

use loader::Place;
use loader::executions::Source;
use loader::page::{Message, Options as PageOptions, Page, Part, report};
use loader::tools::project;
use redshift_local::page::LocalPage;
use redshift_local::stack::{Options, STACK_NAME, Stack};
use serde_json::json;
use tests::raw::ask;
use tests::{Any, Outcome, failed, run, tests};
use tokio::net::TcpStream;
use tokio::process::Command;

struct Shown {
    stack: Stack,
    page: LocalPage,
}

impl Shown {
    async fn start() -> Any<Self> {
        let options = Options { parameters: vec!["ChatTopic=true".to_owned()], ..Options::default() };
        let stack = Stack::start(&options, |_| ()).await?;
        let page = LocalPage::start(&stack).await?;
        Ok(Self { stack, page })
    }
}

fn place() -> Place {
    Place { stack: STACK_NAME.to_owned(), parameters: None }
}

/// The host and the path of an address.
fn parts(url: &str) -> Any<(&str, &str)> {
    let rest = url.strip_prefix("http://").ok_or("http")?;
    let at = rest.find('/').ok_or("a path")?;
    Ok(rest.split_at(at))
}

async fn nobody_else_is_answered(p: &Shown) -> Outcome {
    let (address, path) = parts(p.page.url())?;
    let host = format!("Host: {address}");
    let origin = format!("Origin: http://{address}");
    let form = ["Content-Type: application/x-www-form-urlencoded", "Content-Length: 0"];
    let (page, mend) = (format!("GET {path}"), format!("POST {path}mend"));
    let rebound = format!("Host: rebound.example:{}", address.rsplit(':').next().unwrap_or_default());
    for (first, head, expected) in [
        (page.as_str(), vec![host.as_str()], 200),
        (&page, vec![rebound.as_str()], 403),
        (&page, vec![&host, "Origin: http://evil.example"], 403),
        ("GET /", vec![&host], 404),
        ("GET /00000000000000000000000000000000/", vec![&host], 404),
        ("GET /00000000000000000000000000000000/page.js", vec![&host], 404),
        (&mend, vec![&host, &origin, form[0], form[1]], 303),
        (&mend, vec![&host, &origin, form[1]], 400),
        (&mend, vec![&host, form[0], form[1]], 403),
        (&mend, vec![&host, "Origin: null", form[0], form[1]], 403),
        (&mend, vec![&host, &origin, "Sec-Fetch-Site: cross-site", form[0], form[1]], 403),
        ("POST /00000000000000000000000000000000/mend", vec![&host, &origin, form[0], form[1]], 404),
        (&format!("GET {path}mend"), vec![&host], 405),
        (&format!("POST {path}drop"), vec![&host, &origin, form[0], form[1]], 400),
        (&format!("PUT {path}"), vec![&host, &origin], 405),
    ] {
        let (status, answer) = ask(address, first, &head, "").await?;
        assert_eq!(status, expected, "{first} {head:?}");
        assert!(answer.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{first} {head:?}");
        assert!(!answer.to_lowercase().contains("access-control"), "{first} {head:?}");
    }
    // The other addresses of this machine have nobody.
    let port = address.rsplit(':').next().unwrap_or_default();
    assert!(TcpStream::connect(format!("127.0.0.2:{port}")).await.is_err(), "it listens on 127.0.0.1 alone");
    Ok(())
}

async fn without_the_local_stack_it_only_reads(p: &Shown) -> Outcome {
    let environment = p.stack.environment().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let page = Page::start(PageOptions { place: place(), port: None, environment: environment.collect(), local: None })
        .await?;
    let (address, path) = parts(&page.url)?;
    let (host, origin) = (format!("Host: {address}"), format!("Origin: http://{address}"));
    let (status, answer) = ask(address, &format!("GET {path}"), &[&host], "").await?;
    assert!(
        status == 200 && answer.contains("On AWS, read only") && answer.contains("data-state=\"Plan\""),
        "{answer}"
    );
    for part in ["<form", "<button", "Inbox"] {
        assert!(!answer.contains(part), "{part} on a page that only reads");
    }
    for action in ["event", "fault", "mend", "correct", "again", "resolve", "silence"] {
        let head = [host.as_str(), &origin, "Content-Type: application/x-www-form-urlencoded", "Content-Length: 0"];
        let (status, _) = ask(address, &format!("POST {path}{action}"), &head, "").await?;
        assert_eq!(status, 404, "{action}");
    }
    Ok(())
}

/// Runs the script of the browser with one more variable.
async fn browse(variable: &str, value: impl AsRef<OsStr>) -> Outcome {
    let node = project(".tools/browser/bin/node");
    if !node.exists() {
        return Err(failed("the browser of the tests is not installed: run `make test-page`"));
    }
    let mut browser = Command::new(node);
    browser.arg(project("tests/browser/page.mjs")).env(variable, value).env_remove("SCREENSHOTS");
    if std::env::var_os("SCREENSHOTS").is_some() {
        let images = project("docs/images");
        std::fs::create_dir_all(&images)?;
        browser.env("SCREENSHOTS", images);
    }
    let ended = browser.kill_on_drop(true).output().await?;
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    if ended.status.success() { Ok(()) } else { Err(failed(said)) }
}

async fn a_browser_shows_it_and_does_what_its_buttons_say(p: &Shown) -> Outcome {
    browse("PAGE_URL", p.page.url()).await
}

async fn a_report_is_one_file(p: &Shown) -> Outcome {
    let mut source = Source::start(&p.stack.environment())?;
    let last = source.list(&place(), 9).await?;
    let arn = &last.iter().find(|execution| execution.has_succeeded()).ok_or("an execution that succeeded")?.arn;
    let json = json!({"text": "<script>alert(1)</script>"});
    let mail =
        Message { subject: "<b>".to_owned(), text: "</pre><script>alert(1)</script>".to_owned(), json, at: None };
    let mut parts = Vec::new();
    for title in ["first", "second"] {
        let execution = source.read(arn).await?;
        let unresolved = vec!["42".to_owned()];
        parts.push(Part { title: title.to_owned(), execution, unresolved, messages: vec![mail.clone()] });
    }
    let text = report("A report", &parts)?;
    assert!(!text.contains("<script"), "data is text");
    let file = p.stack.dir.path().join("report.html");
    std::fs::write(&file, text)?;
    browse("REPORT", file).await
}

fn main() -> ExitCode {
    let tests = tests![
        nobody_else_is_answered,
        without_the_local_stack_it_only_reads,
        a_browser_shows_it_and_does_what_its_buttons_say,
        a_report_is_one_file,
    ];
    run(
        tests,
        async || Shown::start().await.expect("the stack"),
        async |p: Shown| {
            drop(p.page);
            p.stack.stop().await;
        },
    )
}
