//! The local stack: everything that the pipeline needs, on a laptop, without an AWS account.
//!
//! [`data_api`] stands on its own: the Redshift Data API on PostgreSQL. [`stack`] starts the rest and
//! deploys the real template; [`demo`] and [`up`] are what `make demo` and `make local` run.

pub mod data_api;
pub mod demo;
pub mod stack;
pub mod up;
