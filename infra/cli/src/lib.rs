//! `loader`, the tool for whoever operates a stack: on AWS, or on the local stack by the environment's endpoints.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `program` | the command line, and which module does what it asks for |
//! | `install` | tables, procedures, audits and grants, put into a warehouse |
//! | `audit` | audits of any pair of tables, from a declaration |
//! | `doctor` | what is wrong with a deployed stack, and how to fix it |
//! | `status` | the last executions, and what runs now |
//! | `logs` | what the functions have logged about an execution |
//! | `show` | what does not match of an unresolved run, and the rows of both sides |
//! | `page` | the state machine, executions, runs and the inbox in a browser |
//! | `runs` | the unresolved runs, and resolving and silencing them |
//! | `executions` | what an execution went through, which statements it ran, and where its time went |
//! | `rerun` | starting a failed execution again |
//! | `stack` | a stack's parameters and outputs |
//! | `warehouse` | statements through the Data API, and the catalog |
//! | `name` | identifiers and `schema.table`, quoted where SQL needs it |
//! | `aws` | calling AWS |
//! | `moment` | a point in time |
//! | `finding` | how a check came out, as it is printed |
//! | `grants` | what a database user needs in the warehouse |
//! | `terminal` | tables and progress, for all programs of the project |
//! | `tools` | where `make setup` installs the tools that this project pins |

pub mod audit;
mod aws;
pub mod doctor;
mod error;
pub mod executions;
mod finding;
pub mod grants;
pub mod install;
pub mod logs;
mod moment;
mod name;
pub mod page;
pub mod program;
pub mod rerun;
pub mod runs;
pub mod show;
mod stack;
pub mod status;
pub mod terminal;
pub mod tools;
mod warehouse;

pub use error::{Error, Result};
pub use moment::Moment;
pub use stack::{Place, parameters};
