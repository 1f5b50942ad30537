//! The operator's tool.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loader::audit::Declaration;
use loader::{Result, doctor, rerun};

/// Operates a deployed stack: on AWS, or on the local stack if the environment has its endpoints.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Audits of pairs of tables, from their declarations
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
    /// Check a deployed stack and report what is wrong, with the fix
    Doctor {
        /// The stack's name
        #[arg(long, default_value = "redshift-loader")]
        stack: String,
    },
    /// Start an execution again with the same input
    Rerun {
        /// The ARN of the execution
        execution: String,
    },
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Print the SQL of an audit: its tables and procedures
    Sql {
        /// Its declaration, such as infra/audits/orders.yaml
        declaration: PathBuf,
    },
    /// Print the JSON schema of a declaration, for editors
    Schema,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loader: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Audit { command: Audit::Sql { declaration } } => {
            print!("{}", Declaration::read(&declaration)?.sql()?);
            Ok(())
        }
        Command::Audit { command: Audit::Schema } => {
            print!("{}", Declaration::schema());
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
