//! The Redshift Data API on PostgreSQL, as a program on its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use redshift_data_local::{Config, Service, interrupted, serve};
use tokio::net::TcpListener;

/// Answers the Redshift Data API on a PostgreSQL; point AWS_ENDPOINT_URL_REDSHIFT_DATA at it.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The PostgreSQL that stands for Redshift: postgresql://user@host:port/database. It is reached without TLS
    #[arg(long, env = "DATABASE_URL")]
    database_url: tokio_postgres::Config,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8123")]
    listen: SocketAddr,
    /// A workgroup or cluster that exists (repeatable); every name exists if none is given
    #[arg(long = "endpoint")]
    endpoints: Vec<String>,
    /// The folder that stands for S3: FOLDER/bucket/key for s3://bucket/key
    #[arg(long, value_name = "FOLDER")]
    s3: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("redshift-data-local: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let database = options.database_url;
    let unreachable = |e| format!("PostgreSQL is not reachable: {e}; check --database-url (DATABASE_URL)");
    drop(database.connect(tokio_postgres::NoTls).await.map_err(unreachable)?);
    let listener = TcpListener::bind(options.listen).await;
    let listener =
        listener.map_err(|e| format!("cannot listen on {}: {e}; choose another --listen", options.listen))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let mut config = Config::new(database, options.endpoints);
    config.s3 = options.s3;
    let service = Arc::new(Service::new(config));
    let stop = async move {
        tokio::select! {
            // First, so that a signal ends it in good order from the moment that it says that it listens.
            biased;
            () = interrupted() => {}
            () = async {
                eprintln!("listening; export AWS_ENDPOINT_URL_REDSHIFT_DATA=http://{address}");
                std::future::pending().await
            } => {}
        }
    };
    serve(listener, service, stop).await.map_err(|e| e.to_string())
}
