//! The operator's tool.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loader::audit::{Declaration, Span, Tables};
use loader::install::{External, Options};
use loader::runs::Change;
use loader::{Error, Place, Result, audit, doctor, install, rerun, runs};

/// What `loader runs --check` ends with if something is unresolved.
const UNRESOLVED: u8 = 3;

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
    /// Accept what is wrong with a run
    Resolve {
        #[command(flatten)]
        place: Place,
        /// Its id, as a notification shows it
        run: String,
        /// The audit, if several have such a run
        #[arg(long)]
        audit: Option<String>,
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
    },
    /// Start an execution again with the same input
    Rerun {
        /// The ARN of the execution
        execution: String,
    },
}

#[derive(Debug, Subcommand)]
enum Audit {
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

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("loader: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    let done = match command {
        Command::Audit { command } => run_audit(command).await,
        Command::Doctor { stack } => doctor::doctor(&stack, |line| println!("{line}")).await,
        Command::Install {
            place,
            audits,
            secret_arn,
            db_user,
            s3_location,
            catalog_database,
            iam_role,
            replace,
            dry_run,
        } => {
            let external =
                s3_location.map(|location| External { location, database: catalog_database, role: iam_role });
            let options = Options { place, audits, secret_arn, db_user, external, replace, dry_run };
            install::install(&options, &[], |line| println!("{line}")).await
        }
        Command::Runs { place, json, check } => {
            let waits = runs::runs(&place, json, &[], |line| println!("{line}")).await?;
            return Ok(if waits && check { ExitCode::from(UNRESOLVED) } else { ExitCode::SUCCESS });
        }
        Command::Resolve { place, run, audit } => {
            runs::change(&place, &run, audit.as_deref(), Change::Resolve, &[], |line| println!("{line}")).await
        }
        Command::Silence { place, run, days, audit } => {
            runs::change(&place, &run, audit.as_deref(), Change::Silence(days), &[], |line| println!("{line}")).await
        }
        Command::Rerun { execution } => {
            let arn = rerun::rerun(&execution).await?;
            println!("started {arn}");
            Ok(())
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn run_audit(command: Audit) -> Result<()> {
    let say = |line: &str| println!("{line}");
    match command {
        Audit::New { place, source, target, name, run, key, without, print } => {
            let (name, text) = audit::new(&place, &Tables { source, target, name, run, without, key }, &[]).await?;
            if print {
                print!("{text}");
                return Ok(());
            }
            let file = format!("infra/audits/{name}.yaml");
            let mut new = std::fs::File::create_new(&file).map_err(|e| Error::doing(&file, e))?;
            new.write_all(text.as_bytes()).map_err(|e| Error::doing(&file, e))?;
            println!(
                "wrote {file}: read it, then\n  loader audit check {file}\n  loader install --audit {file}\n  loader audit run {file}"
            );
            Ok(())
        }
        Audit::Check { place, declaration } => audit::check(&place, &declaration, &[], say).await,
        Audit::Run { place, declaration, from, to, all } => {
            let span = match (from, to, all) {
                (Some(from), Some(to), _) => Span::Between(from, to),
                (_, _, true) => Span::All,
                _ => Span::Window,
            };
            audit::run(&place, &declaration, &span, &[], say).await
        }
        Audit::Sql { declaration } => {
            print!("{}", Declaration::read(&declaration)?.sql()?);
            Ok(())
        }
        Audit::Parameters { declarations } => {
            let audits = match &declarations[..] {
                [] => audit::declared()?,
                files => files.iter().map(|file| Declaration::read(file)).collect::<Result<_>>()?,
            };
            print!("{}", audit::parameters(&audits));
            Ok(())
        }
        Audit::Schema => {
            print!("{}", Declaration::schema());
            Ok(())
        }
    }
}
