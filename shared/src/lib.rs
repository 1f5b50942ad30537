#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod advice;
pub mod attempt;
pub mod call;
pub mod command;
pub mod console;
pub mod error;
pub mod failure;
pub mod ids;
pub mod input;
pub mod metrics;
pub mod payload;
pub mod polling;
pub mod progress;
mod redact;
pub mod run_id;
pub mod runtime;
pub mod shown;
pub mod sql;
pub mod statement;
mod status;
pub mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod workflow;

pub use attempt::LogicalAttempt;
pub use call::ProcedureCall;
pub use error::{Error, ErrorKind, Result};
pub use failure::FailureKind;
pub use ids::Ids;
pub use input::ExecutionInput;
pub use run_id::RunId;
pub use statement::StatementId;
pub use status::Status;
pub use target::{Target, TargetFields};
pub use workflow::WorkflowRun;
