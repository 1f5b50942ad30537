//! A PostgreSQL of a suite's own, which goes with it.

use std::path::Path;

use redshift_data_local::postgres::Postgres;
use redshift_data_local::process::Folder;
use redshift_local::postgres;
use redshift_local::warehouse::Warehouse;

/// The PostgreSQL that runs, and the folder that it and its suite keep their files in.
pub struct Database {
    /// Its database, empty at first.
    pub warehouse: Warehouse,
    postgres: Postgres,
    dir: Folder,
}

impl Database {
    /// Starts one.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let dir = Folder::new().expect("a folder");
        let postgres = postgres::start(dir.path()).await.expect("PostgreSQL");
        let warehouse = Warehouse::new(&postgres.url()).expect("a URL");
        Self { warehouse, postgres, dir }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Ends it.
    pub async fn stop(self) {
        self.postgres.stop().await;
    }
}
