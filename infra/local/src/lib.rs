//! The local stack: everything that the pipeline needs, on a laptop, without an AWS account.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `demo` | `make demo`: the main job once, from the event to the notifications |
//! | `up` | `make local`: the stack, kept up |
//! | `page` | its page: what the buttons do, and the inbox |
//! | `stack` | all parts together, with the real template deployed |
//! | `postgres` | a PostgreSQL of our own |
//! | `warehouse` | the SQL of `infra/sql` on it |
//! | `ministack` | the local AWS |
//! | `aws` | clients of the local AWS |
//! | `callers` | who has which key of it |
//! | `deploy` | the two commands that deploy the template, here as on AWS |
//! | `execution` | following an execution, and what its history shows |
//! | `notifications` | a queue on the topic |
//! | `process` | child processes that end with us |

pub mod aws;
mod callers;
pub mod demo;
pub mod deploy;
pub mod execution;
pub mod ministack;
pub mod notifications;
pub mod page;
pub mod postgres;
pub mod process;
pub mod stack;
pub mod up;
pub mod warehouse;
