#![doc = include_str!("../README.md")]

pub mod caller;
mod catalog;
mod config;
pub mod dialect;
mod error;
pub mod events;
pub mod faults;
pub mod guard;
mod interrupt;
mod kept;
pub mod postgres;
pub mod process;
pub mod protocol;
mod query;
mod result;
mod server;
mod service;
mod session;
mod statement;
mod status;
mod value;

pub use config::Config;
pub use error::Error;
pub use interrupt::interrupted;
pub use server::{Running, serve};
pub use service::Service;
pub use status::Status;
