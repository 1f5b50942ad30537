//! The runner of the local stack.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use redshift_local::stack::process::interrupted;
use redshift_local::stack::{Options, Result, STACK_NAME, StackError};
use redshift_local::{demo, doctor, rerun, up};

/// Runs the pipeline on this machine: PostgreSQL as Redshift, MiniStack as AWS, the real template.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the main job once and check it
    Demo,
    /// Keep the stack up until Ctrl-C
    Up {
        /// Port of the local AWS; a free one where it is not given
        #[arg(long)]
        port: Option<u16>,
        /// Your own PostgreSQL; its schemas dev and s3_staging_schema are made anew
        #[arg(long)]
        database_url: Option<String>,
    },
    /// Check a deployed stack and say how to mend it, on AWS or here (by the environment's endpoint)
    Doctor {
        /// The stack's name
        #[arg(long, default_value = STACK_NAME)]
        stack: String,
    },
    /// Start an execution again with the same input, on AWS or here (by the environment's endpoint)
    Rerun {
        /// The ARN of the execution
        execution: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = run(arguments.command).await;
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local-stack: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo => unless_interrupted(demo::demo(|line| println!("{line}"))).await,
        Command::Up { port, database_url } => {
            let options = Options { port, database_url, ..Options::default() };
            // One listener for both: a signal between two would be lost.
            let mut stop = std::pin::pin!(interrupted());
            let stack = tokio::select! {
                stack = up::up(&options, |line| println!("{line}")) => stack?,
                () = &mut stop => return Err(StackError::new("interrupted; everything that was started has been stopped")),
            };
            stop.await;
            println!("stopping");
            stack.stop().await;
            Ok(())
        }
        Command::Doctor { stack } => doctor::doctor(&stack, |line| println!("{line}")).await,
        Command::Rerun { execution } => {
            let arn = rerun::rerun(&execution).await?;
            println!("started {arn}");
            Ok(())
        }
    }
}

/// Dropping the work ends what it started.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        outcome = work => outcome,
        () = interrupted() => Err(StackError::new("interrupted; everything that was started has been stopped")),
    }
}
