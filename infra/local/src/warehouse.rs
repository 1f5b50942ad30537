//! The warehouse on PostgreSQL: `infra/sql`, and looking at what became of it.

use std::str::FromStr;

use loader::grants::grants;
use loader::tools::project;
use loader::{Error, Result};
use redshift_data_local::dialect;
use tokio_postgres::{Client, Config, NoTls, Row};

/// The database user that the secret names.
pub const DB_USER: &str = "loader";

/// A database that stands for Redshift's.
#[derive(Clone)]
pub struct Warehouse {
    config: Config,
    url: String,
}

impl Warehouse {
    /// The warehouse at `postgresql://...`.
    pub fn new(url: &str) -> Result<Self> {
        let config = Config::from_str(url).map_err(|e| Error::doing("DATABASE_URL", e))?;
        if config.get_dbname().is_none() {
            return Err(Error::new("DATABASE_URL names no database: postgresql://user@host:port/database"));
        }
        Ok(Self { config, url: url.to_owned() })
    }

    /// How to connect.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How to connect, as a URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its database's name.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }

    /// A session.
    pub async fn connect(&self) -> Result<Client> {
        let (client, connection) = self
            .config
            .connect(NoTls)
            .await
            .map_err(|e| Error::new(format!("PostgreSQL is not reachable: {}; check DATABASE_URL", chain(&e))))?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Drops and recreates the schemas, with the sample orders.
    pub async fn reset(&self) -> Result<()> {
        self.prepare().await?;
        self.files(&["tables.sql", "audits/orders.sql", "load.sql"]).await?;
        self.fill().await?;
        let procedures = ["dev.enriched_orders_sp", "dev.audit_orders_sp"];
        let _ = self.run(&grants(DB_USER, &procedures, Some("dev.orders_audit"))).await;
        Ok(())
    }

    /// Drops the schemas, and makes what a warehouse of Redshift's has before anything is installed: the S3 staging area.
    pub(crate) async fn prepare(&self) -> Result<()> {
        self.run("DROP SCHEMA IF EXISTS dev CASCADE; DROP SCHEMA IF EXISTS s3_staging_schema CASCADE").await?;
        self.files(&["redshift/external_table.sql"]).await?;
        // On a PostgreSQL of somebody's own this may not be ours to do; without it nothing is granted.
        let _ = self.run(&format!("CREATE ROLE {DB_USER}")).await;
        Ok(())
    }

    /// The sample orders, and sort keys, without which there are no zone maps.
    pub(crate) async fn fill(&self) -> Result<()> {
        self.files(&["redshift/distribution.sql", "sample.sql"]).await
    }

    async fn files(&self, files: &[&str]) -> Result<()> {
        for file in files {
            let path = project("infra/sql").join(file);
            let sql = std::fs::read_to_string(&path).map_err(|e| Error::doing(file, e))?;
            self.script(&sql).await.map_err(|e| Error::doing(file, e))?;
        }
        Ok(())
    }

    /// Runs some SQL of Redshift's.
    pub async fn script(&self, sql: &str) -> Result<()> {
        let sql = dialect::translate_script(sql).map_err(|e| Error::new(e.to_string()))?;
        let client = self.connect().await?;
        dialect::prepare(&client).await.map_err(|e| Error::new(chain(&e)))?;
        client.batch_execute(&sql).await.map_err(|e| Error::new(chain(&e)))
    }

    /// Runs some SQL.
    pub async fn run(&self, sql: &str) -> Result<()> {
        self.connect().await?.batch_execute(sql).await.map_err(|e| Error::new(chain(&e)))
    }

    /// Asks for rows.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Row>> {
        self.connect().await?.query(sql, &[]).await.map_err(|e| Error::new(chain(&e)))
    }

    /// Asks for one number.
    pub async fn number(&self, sql: &str) -> Result<i64> {
        let rows = self.rows(sql).await?;
        rows.first().and_then(|row| row.try_get(0).ok()).ok_or_else(|| Error::new(format!("no number: {sql}")))
    }

    /// Sample orders that were lost or loaded more than once, judged by S3 staging (without the one order that Redshift never
    /// got): each is once in the final table, or, unless all are `loaded`, not there and still staged.
    pub async fn lost_or_doubled(&self, loaded: bool) -> Result<i64> {
        let waits = if loaded { "FALSE" } else { "final = 0 AND staged > 0" };
        self.number(&format!(
            "SELECT COUNT(*) FROM (
                SELECT (SELECT COUNT(*) FROM dev.orders_final f WHERE f.run_id = s.run_id AND f.order_id = s.order_id) AS final,
                    (SELECT COUNT(*) FROM dev.orders o WHERE o.run_id = s.run_id AND o.order_id = s.order_id) AS staged
                FROM s3_staging_schema.new_orders_staging_area s WHERE s.order_id <> 1004
            ) places WHERE NOT (final = 1 OR {waits})"
        ))
        .await
    }

    /// The runs that the audit has unresolved rows of.
    pub async fn unresolved_runs(&self) -> Result<Vec<i64>> {
        let sql = "SELECT DISTINCT run_id FROM dev.orders_audit WHERE status <> 'RESOLVED' ORDER BY 1";
        Ok(self.rows(sql).await?.iter().map(|row| row.get(0)).collect())
    }
}

fn chain(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => db.to_string(),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), |s| format!("{error}: {s}")),
    }
}
