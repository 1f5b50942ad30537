//! `loader`, the tool for whoever operates a stack: on AWS, or on the local stack by the environment's endpoints.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `audit` | audits of any pair of tables, from a declaration |
//! | `doctor` | what is wrong with a deployed stack, and how to fix it |
//! | `rerun` | starting a failed execution again |
//! | `grants` | what a database user needs in the warehouse |
//! | `terminal` | tables and progress, for all programs of the project |
//! | `tools` | where `make setup` installs the tools that this project pins |

pub mod audit;
pub mod doctor;
mod error;
pub mod grants;
pub mod rerun;
pub mod terminal;
pub mod tools;

pub use error::{Error, Result};
