//! The local stack: everything that the pipeline needs, on a laptop, without an AWS account.
//!
//! [`data_api`] stands on its own: the Redshift Data API on PostgreSQL. [`stack`] starts the rest and
//! deploys the real template; [`demo`], [`up`] and [`rerun`] are what `make demo`, `make local` and
//! `make rerun` run.

pub mod aws_cli;
pub mod data_api;
pub mod demo;
pub mod doctor;
pub mod rerun;
pub mod stack;
pub mod up;
