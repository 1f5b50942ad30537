//! The program: what it is called with, and what that does.

mod arguments;

use std::ffi::OsString;
use std::io::Write as _;

use clap::{CommandFactory, Parser};

use crate::audit::{self, Declaration, Span, Tables};
use crate::install::{self, External, Options};
use crate::runs::{self, Change};
use crate::show::{self, Show};
use crate::{Error, Result, doctor, logs, page, rerun, status};
use arguments::{Arguments, Audit, Command};

const DONE: u8 = 0;
const FAILED: u8 = 1;
/// `--check` has found something.
const FOUND: u8 = 3;

/// Does what a command line asks for; what the program ends with, as `--help` documents. `environment` comes on top of the shell's,
/// `say` gets what is printed, and `complain` what went wrong.
pub async fn call(
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    environment: &[(&str, &str)],
    mut say: impl FnMut(&str),
    mut complain: impl FnMut(&str),
) -> u8 {
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(other) => {
            let text = other.render().to_string();
            if other.use_stderr() {
                whole(&text, complain)
            } else {
                whole(&text, say)
            }
            return u8::try_from(other.exit_code()).unwrap_or(FAILED);
        }
    };
    match run(arguments.command, environment, &mut say).await {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("loader: {error}"));
            FAILED
        }
    }
}

async fn run(command: Command, environment: &[(&str, &str)], mut say: impl FnMut(&str)) -> Result<u8> {
    let found = |check: bool, found: bool| if check && found { FOUND } else { DONE };
    let done = match command {
        Command::Audit { command } => run_audit(command, environment, say).await,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "loader", &mut script);
            whole(&String::from_utf8_lossy(&script), &mut say);
            Ok(())
        }
        Command::Doctor { stack, json } => doctor::doctor(&stack, json, environment, say).await,
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
            install::install(&options, environment, say).await
        }
        Command::Status { place, last, json, check } => {
            let well = status::status(&place, last.into(), json, environment, say).await?;
            return Ok(found(check, !well));
        }
        Command::Runs { place, json, check } => {
            let waits = runs::runs(&place, json, environment, say).await?;
            return Ok(found(check, waits));
        }
        Command::Show { place, run, audit, limit, json } => {
            show::show(&place, &Show { run, audit, limit: limit.into(), as_json: json }, environment, say).await
        }
        Command::Resolve { place, run, audit, json } => {
            runs::change(&place, &run, audit.as_deref(), Change::Resolve, json, environment, say).await
        }
        Command::Silence { place, run, days, audit, json } => {
            runs::change(&place, &run, audit.as_deref(), Change::Silence(days), json, environment, say).await
        }
        Command::Rerun { execution, json } => rerun::rerun(&execution, json, environment, say).await,
        Command::Page { place, port } => page::page(&place, port, environment, say).await,
        Command::Logs { place, execution, json } => logs::logs(&place, &execution, json, environment, say).await,
    };
    done.map(|()| DONE)
}

async fn run_audit(command: Audit, environment: &[(&str, &str)], mut say: impl FnMut(&str)) -> Result<()> {
    match command {
        Audit::New { place, source, target, name, run, key, without, print } => {
            let (name, text) =
                audit::new(&place, &Tables { source, target, name, run, without, key }, environment).await?;
            if print {
                whole(&text, say);
                return Ok(());
            }
            let file = format!("infra/audits/{name}.yaml");
            let mut new = std::fs::File::create_new(&file).map_err(|e| Error::doing(&file, e))?;
            new.write_all(text.as_bytes()).map_err(|e| Error::doing(&file, e))?;
            say(&format!(
                "wrote {file}: read it, then\n  loader audit check {file}\n  loader install --audit {file}\n  loader audit run {file}"
            ));
            Ok(())
        }
        Audit::Check { place, declaration } => audit::check(&place, &declaration, environment, say).await,
        Audit::Run { place, declaration, from, to, all } => {
            let span = match (from, to, all) {
                (Some(from), Some(to), _) => Span::Between(from, to),
                (_, _, true) => Span::All,
                _ => Span::Window,
            };
            audit::run(&place, &declaration, &span, environment, say).await
        }
        Audit::Sql { declaration } => {
            whole(&Declaration::read(&declaration)?.sql()?, say);
            Ok(())
        }
        Audit::Parameters { declarations } => {
            let audits = match &declarations[..] {
                [] => audit::declared()?,
                files => files.iter().map(|file| Declaration::read(file)).collect::<Result<_>>()?,
            };
            whole(&audit::parameters(&audits), say);
            Ok(())
        }
        Audit::Schema => {
            whole(&Declaration::schema(), say);
            Ok(())
        }
    }
}

/// Prints a text that ends its last line itself.
fn whole(text: &str, mut say: impl FnMut(&str)) {
    say(text.strip_suffix('\n').unwrap_or(text));
}
