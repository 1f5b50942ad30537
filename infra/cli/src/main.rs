//! The operator's tool.

use std::io::Write as _;
use std::process::ExitCode;

use loader::program::call;

#[tokio::main]
async fn main() -> ExitCode {
    // Whoever reads may stop before the end, as `head` does.
    let say = |line: &str| drop(writeln!(std::io::stdout(), "{line}"));
    let code = call(std::env::args_os(), &[], say, |line| eprintln!("{line}")).await;
    ExitCode::from(code)
}
