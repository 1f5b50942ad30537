//! PostgreSQL as the warehouse's database, from the programs that the project pins.

use std::path::Path;

use loader::tools::{missing, project};
use loader::{Error, Result};
use redshift_data_local::postgres::{Postgres, Programs};

/// The database that stands for the warehouse's.
const DATABASE: &str = "ecommerce_db";

/// Starts one in a folder, which is to be a [`redshift_data_local::process::Folder`].
pub async fn start(dir: &Path) -> Result<Postgres> {
    let programs = Programs::in_environment(&project(".tools/venv")).ok_or_else(|| missing("PostgreSQL"))?;
    Postgres::start(dir, &programs, DATABASE).await.map_err(|e| Error::doing("start PostgreSQL", e))
}
