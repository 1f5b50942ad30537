//! The runner of the local stack.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loader::{Error, Result};
use redshift_data_local::interrupted;
use redshift_local::stack::Options;
use redshift_local::{demo, up};

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
        /// Port of the local AWS; a free one if it is not given
        #[arg(long)]
        port: Option<u16>,
        /// Your own PostgreSQL. Its schemas dev and s3_staging_schema are dropped and recreated: what is in them is lost
        #[arg(long)]
        database_url: Option<String>,
        /// SQL with tables of your own, run before anything is installed
        #[arg(long)]
        sql: Option<PathBuf>,
        /// A file of parameters: what it says of procedures, audits and notifications is deployed
        #[arg(long)]
        parameters: Option<PathBuf>,
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
        Command::Up { port, database_url, sql, parameters } => {
            let read = |file: PathBuf| {
                std::fs::read_to_string(&file).map_err(|e| Error::doing(&file.display().to_string(), e))
            };
            let sql = sql.map(read).transpose()?;
            let mut parameters = parameters.map_or(Ok(Vec::new()), |file| up::parameters(&file))?;
            // The page shows what a chat would.
            if !parameters.iter().any(|parameter| parameter.starts_with("ChatTopic=")) {
                parameters.push("ChatTopic=true".to_owned());
            }
            let options = Options { port, database_url, sql, parameters, ..Options::default() };
            // One listener for both: a signal between two would be lost.
            let mut stop = std::pin::pin!(interrupted());
            let up = tokio::select! {
                up = up::up(&options, |line| println!("{line}")) => up?,
                () = &mut stop => return Err(Error::new("interrupted; everything that was started has been stopped")),
            };
            stop.await;
            println!("stopping");
            up.stop().await;
            Ok(())
        }
    }
}

/// Dropping the work ends what it started.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        outcome = work => outcome,
        () = interrupted() => Err(Error::new("interrupted; everything that was started has been stopped")),
    }
}
