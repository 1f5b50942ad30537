//! The local stack: everything that the pipeline needs, on a laptop, without an AWS account.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `demo` | `make demo`: the main job once, from the event to the notifications |
//! | `up` | `make local`: the stack, kept up |
//! | `page` | its page: what the buttons do, and the inbox |
//! | `stack` | all parts together, with the real template deployed |
//! | `postgres` | a PostgreSQL from the programs that the project pins |
//! | `warehouse` | the SQL of `infra/sql` on it |
//! | `ministack` | the local AWS |
//! | `gateway` | the only way to it, for those who have its keys |
//! | `signature` | whether a request is signed with them |
//! | `env_file` | `target/local/env`, which tells them |
//! | `aws` | clients of the local AWS |
//! | `deploy` | the two commands that deploy the template, here as on AWS |
//! | `execution` | following an execution, and what its history shows |
//! | `notifications` | a queue on the topic |

pub mod aws;
pub mod demo;
pub mod deploy;
mod env_file;
pub mod execution;
pub mod gateway;
pub mod ministack;
pub mod notifications;
pub mod page;
pub mod postgres;
mod signature;
pub mod stack;
pub mod up;
pub mod warehouse;
