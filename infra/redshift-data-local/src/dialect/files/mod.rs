//! Files in a folder that stands for S3: what COPY loads, what UNLOAD writes, and what external tables show.

mod copy;
mod external;
mod folder;
mod parquet;
mod table;
mod text;
mod unload;

use std::path::Path;
use std::pin::Pin;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Refused;
use folder::{Compression, File};
use table::Column;
use text::{Json, Key, Text};

pub(crate) use external::refresh;

/// Values of rows, as text.
type Rows = Vec<Vec<Option<String>>>;

/// Ends when somebody has asked for the end of the statement.
type Cancelled<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// Why files were not loaded or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error(transparent)]
    Engine(#[from] tokio_postgres::Error),
    #[error("cancelled")]
    Cancelled,
    #[error("cannot read {0}: {1}")]
    File(String, std::io::Error),
    #[error("cannot write {0}: {1}")]
    Unwritten(String, std::io::Error),
    /// The words are Redshift's; what it keeps in the table follows them here.
    #[error(
        "Load into table '{table}' failed.  Check 'sys_load_error_detail' system table for details.\n  Detail: {detail}"
    )]
    Load { table: String, detail: String },
    /// The words are Redshift's.
    #[error("Spectrum Scan Error\n  Detail: {0}")]
    Scan(String),
}

impl Failed {
    /// Whether it is the end that somebody has asked for.
    fn is_cancel(&self) -> bool {
        match self {
            Self::Cancelled => true,
            Self::Engine(error) => error.code() == Some(&SqlState::QUERY_CANCELED),
            _ => false,
        }
    }
}

/// What moves rows between a table and files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    Copy(copy::Copy),
    Unload(unload::Unload),
}

/// The COPY or UNLOAD that some SQL is; nothing if it is something else.
///
/// # Errors
/// What it has that is not done here.
pub(crate) fn transfer(sql: &str) -> Result<Option<Transfer>, Refused> {
    if let Some(copy) = copy::copy(sql)? {
        return Ok(Some(Transfer::Copy(copy)));
    }
    Ok(unload::unload(sql)?.map(Transfer::Unload))
}

impl Transfer {
    /// Moves the rows. The session knows afterwards how many they were.
    ///
    /// # Errors
    /// Files that cannot be read or written, and what the database refuses.
    pub(crate) async fn run(&self, client: &Client, folder: &Path, cancelled: Cancelled<'_>) -> Result<(), Failed> {
        match self {
            Self::Copy(copy) => copy.run(client, folder, cancelled).await,
            Self::Unload(unload) => unload.run(client, folder, cancelled).await,
        }
    }
}

/// Waits for work beside the database, which a cancel of what the database does cannot end. It may go on, to no effect.
async fn unless<T>(cancelled: Cancelled<'_>, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::select! {
        biased;
        done = work => done,
        () = cancelled => Err(Failed::Cancelled),
    }
}

/// Has the session know how many rows the last `copy` or `unload` moved.
fn counted(of: &str, rows: usize) -> String {
    format!("SET redshift_catalog.last_{of}_count = {rows}")
}

/// How a file becomes rows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Format {
    Text(Text),
    Json(Json),
    Parquet(parquet::By),
}

impl Format {
    /// The rows of a file, read beside what else runs: a file may be large, and the reader of Parquet gives up on some that are damaged.
    ///
    /// # Errors
    /// A file that cannot be read.
    async fn rows(&self, file: File, compression: Compression, columns: &[Column]) -> Result<Rows, Failed> {
        let (format, columns, url) = (self.clone(), columns.to_vec(), file.url.clone());
        let read = tokio::task::spawn_blocking(move || format.read(&file, compression, &columns));
        read.await.unwrap_or_else(|_| Err(Failed::Scan(format!("File '{url}' is damaged"))))
    }

    fn read(&self, file: &File, compression: Compression, columns: &[Column]) -> Result<Rows, Failed> {
        let bytes = file.read(compression)?;
        let unread = |(line, why): text::Unread| Failed::Scan(format!("{}, line {line}: {why}", file.url));
        match self {
            Self::Text(text) => text.rows(&bytes, columns.len()).map_err(unread),
            Self::Json(json) => {
                let keys: Vec<_> = columns.iter().map(|c| Key { name: &c.name, is_super: c.base == "jsonb" }).collect();
                json.rows(&bytes, &keys).map_err(unread)
            }
            Self::Parquet(by) => parquet::rows(bytes, columns, *by).map_err(|why| scan(&file.url, why)),
        }
    }
}

fn scan(url: &str, why: parquet::Unread) -> Failed {
    use parquet::Unread::{Incompatible, Width};
    let place = url.rsplit_once('/').map_or(url, |(place, _)| place);
    Failed::Scan(match why {
        Width { .. } => format!("{why}, File name: {url}"),
        Incompatible { column, of, schema } => {
            format!("File '{url}' {}", Incompatible { column: format!("{place}.{column}"), of, schema })
        }
        _ => format!("File '{url}' {why}"),
    })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_cancel_ends_what_runs_beside_the_database() {
        let work = unless(pin!(ready(())), pending::<Result<(), Failed>>()).await;
        assert!(work.is_err_and(|failed| failed.is_cancel()));
        let done = unless(pin!(ready(())), ready(Ok(1))).await;
        assert_eq!(done.expect("what is done is done"), 1);
    }
}
