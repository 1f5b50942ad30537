//! What the service needs to know before it starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::events::Events;
use crate::guard::Access;

/// How the Data API is set up here.
#[derive(Debug)]
pub struct Config {
    /// The PostgreSQL that stands for Redshift; a request's Database chooses the database.
    pub postgres: tokio_postgres::Config,
    /// The workgroups and clusters that exist; every name does if this is empty.
    pub endpoints: Vec<String>,
    /// Rows in one page of a result in JSON. The service cuts by size.
    pub page_rows: usize,
    /// Bytes in one page of a result in CSV. [Amazon Redshift Management Guide: 1 MB]
    pub page_bytes: usize,
    /// The folder that stands for S3, with a folder for each bucket; without it nothing is loaded from files.
    pub s3: Option<PathBuf>,
    /// Who may ask, and who that is; without it every program on this machine may, and all are one caller.
    pub access: Option<Arc<dyn Access>>,
    /// Where the events of `WithEvent` go; without it, `WithEvent` is refused.
    pub events: Option<Events>,
    /// Further names of this machine that the Host of a request may have: `name`, or `name:port` for another port than the listener's.
    pub hosts: Vec<String>,
    query_ids: AtomicI64,
}

impl Config {
    /// A Data API on this PostgreSQL, for these workgroups and clusters.
    pub fn new(postgres: tokio_postgres::Config, endpoints: Vec<String>) -> Self {
        Self {
            postgres,
            endpoints,
            page_rows: 1000,
            page_bytes: 1_000_000,
            s3: None,
            access: None,
            events: None,
            hosts: Vec::new(),
            query_ids: AtomicI64::new(1000),
        }
    }

    pub(crate) fn next_query_id(&self) -> i64 {
        self.query_ids.fetch_add(1, Ordering::Relaxed)
    }
}
