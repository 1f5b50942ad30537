//! What the program takes.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use shared::command::DEFAULT_STACK;

use crate::Place;

/// Operates a deployed stack: on AWS, or on the local stack if the environment has its endpoints.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Ends with 0 if it did what was asked for, 1 if it failed, 2 if it was called wrongly, and 3 if --check found something."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Audits of pairs of tables, from their declarations
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
    /// Check a deployed stack and report what is wrong, with the fix
    Doctor {
        /// The stack's name
        #[arg(long, default_value = DEFAULT_STACK)]
        stack: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Put tables, procedures, audits and grants into the warehouse of a stack
    Install {
        #[command(flatten)]
        place: Place,
        /// The declaration of an audit besides those that the stack calls
        #[arg(long = "audit")]
        audits: Vec<PathBuf>,
        /// Who creates the objects, in place of the stack's own user: the ARN of a secret
        #[arg(long)]
        secret_arn: Option<String>,
        /// The same on a cluster with IAM credentials: a database user
        #[arg(long, conflicts_with = "secret_arn")]
        db_user: Option<String>,
        /// Make the external table of orders over these files: s3://bucket/prefix/
        #[arg(long)]
        s3_location: Option<String>,
        /// The database of the Glue Data Catalog for it
        #[arg(long, default_value = "new_orders")]
        catalog_database: String,
        /// The ARN of the role that reads the files
        #[arg(long, default_value = "default")]
        iam_role: String,
        /// Replace procedures that are not of this project, or a load that was changed
        #[arg(long)]
        replace: bool,
        /// Only report what would be done, and print its SQL
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the last executions, and what runs now
    Status {
        #[command(flatten)]
        place: Place,
        /// So many executions
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
        last: u16,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// End with 3 if the last execution that has ended did not succeed
        #[arg(long)]
        check: bool,
    },
    /// List the unresolved runs of a stack's audits
    Runs {
        #[command(flatten)]
        place: Place,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// End with 3 if a run is unresolved that is not silenced
        #[arg(long)]
        check: bool,
    },
    /// Show what does not match of an unresolved run: what is recorded, and the rows of both sides
    Show {
        #[command(flatten)]
        place: Place,
        /// Its id, as a notification shows it
        run: String,
        /// One audit alone
        #[arg(long)]
        audit: Option<String>,
        /// So many rows of each kind
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Accept what is wrong with a run
    Resolve {
        #[command(flatten)]
        place: Place,
        /// Its id, as a notification shows it
        run: String,
        /// The audit, if several have such a run
        #[arg(long)]
        audit: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell nobody of a run for some days
    Silence {
        #[command(flatten)]
        place: Place,
        /// Its id, as a notification shows it
        run: String,
        /// For so many days; 0 ends the silence
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(..=3650))]
        days: u32,
        /// The audit, if several have such a run
        #[arg(long)]
        audit: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Start an execution again with the same input
    Rerun {
        /// The ARN of the execution
        execution: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what the functions have logged about an execution
    Logs {
        #[command(flatten)]
        place: Place,
        /// Its ARN or name
        execution: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the stack in a browser, live and read only; the page is for this machine
    Page {
        #[command(flatten)]
        place: Place,
        /// The port; a free one if it is not given
        #[arg(long)]
        port: Option<u16>,
    },
    /// Print what makes a shell complete commands and options
    Completion { shell: Shell },
}

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Write the declaration of an audit of two tables, from what the warehouse has of them
    New {
        #[command(flatten)]
        place: Place,
        /// Where the rows come from: schema.table
        #[arg(long)]
        source: String,
        /// Where they have to arrive: schema.table
        #[arg(long)]
        target: String,
        /// The audit's name, if it is not the target's
        #[arg(long)]
        name: Option<String>,
        /// The column that a notification is about: what one load brings
        #[arg(long)]
        run: Option<String>,
        /// The columns that tell the rows of a run apart
        #[arg(long, value_delimiter = ',')]
        key: Vec<String>,
        /// Columns to leave out, of all that both have
        #[arg(long, value_delimiter = ',')]
        without: Vec<String>,
        /// Print it in place of writing infra/audits/NAME.yaml
        #[arg(long)]
        print: bool,
    },
    /// Compare a declaration with the warehouse: tables, columns, types, what is installed, grants
    Check {
        #[command(flatten)]
        place: Place,
        /// Its declaration, such as infra/audits/orders.yaml
        declaration: PathBuf,
    },
    /// Run an audit now, and print what is unresolved
    Run {
        #[command(flatten)]
        place: Place,
        /// Its declaration, such as infra/audits/orders.yaml
        declaration: PathBuf,
        /// The first run of a span
        #[arg(long, requires = "to", conflicts_with = "all")]
        from: Option<String>,
        /// The last run of a span
        #[arg(long, requires = "from")]
        to: Option<String>,
        /// Sweep everything in place of the window
        #[arg(long)]
        all: bool,
    },
    /// Print the SQL of an audit: its tables and procedures
    Sql {
        /// Its declaration, such as infra/audits/orders.yaml
        declaration: PathBuf,
    },
    /// Print what a stack that tells of these audits takes, for its file of parameters
    Parameters {
        /// Their declarations; without any, all of infra/audits
        declarations: Vec<PathBuf>,
    },
    /// Print the JSON schema of a declaration, for editors
    Schema,
}
