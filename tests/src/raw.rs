//! HTTP as nobody's library writes it: what a browser, or somebody with bad intentions, may send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Any, failed};

/// Whoever is refused is refused at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// The status and the whole answer of a request with these lines in its head.
///
/// # Errors
/// If nobody answers within 10 seconds.
pub async fn ask(address: &str, first: &str, head: &[&str], body: &str) -> Any<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request = format!("{first} HTTP/1.1\r\nConnection: close\r\n{length}{}\r\n\r\n{body}", head.join("\r\n"));
    let mut answer = Vec::new();
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    timeout(PATIENCE, asked)
        .await
        .map_err(|_| failed(format!("{address} does not end its answer to {first} {head:?}")))??;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("a status")?;
    Ok((status, answer))
}
