#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod attempt;
pub mod call;
pub mod error;
pub mod failure;
pub mod input;
pub mod metrics;
pub mod payload;
pub mod polling;
pub mod progress;
mod redact;
pub mod rows;
pub mod runtime;
pub mod shown;
pub mod statement;
pub mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod workflow;

pub use attempt::LogicalAttempt;
pub use call::ProcedureCall;
pub use error::{Error, Result};
pub use failure::FailureKind;
pub use input::ExecutionInput;
pub use statement::{StatementId, Status};
pub use target::{Target, TargetFields};
pub use workflow::WorkflowRun;
