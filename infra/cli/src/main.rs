//! The operator's tool.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::process::ExitCode;

use loader::program::call;

#[tokio::main]
async fn main() -> ExitCode {
    let code = call(std::env::args_os(), &[], |line| println!("{line}"), |line| eprintln!("{line}")).await;
    ExitCode::from(code)
}
