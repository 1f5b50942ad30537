//! Executions of a stack's state machine: what each went through, which statements it ran, and where its time went.
//!
//! Nothing here prints. [`Source`] reads from AWS or the local stack; [`Execution::read`] is pure.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `model` | what an execution is |
//! | `history` | an execution from its description and its history |
//! | `phases` | where the time of an execution went |
//! | `source` | asking Step Functions |

mod history;
mod model;
mod phases;
mod source;
#[cfg(test)]
mod tests;

pub use model::{Execution, Statement, Summary, Visit};
pub use phases::{Phase, Phases};
pub use source::Source;
pub(crate) use source::{describe, list, read};
