#![doc = include_str!("../README.md")]

pub mod caller;
mod catalog;
mod config;
pub mod faults;
mod interrupt;
pub mod protocol;
mod result;
mod server;
mod service;
mod session;
mod sql;
mod statement;
mod status;
mod value;

pub use config::Config;
pub use interrupt::interrupted;
pub use server::{Running, serve};
pub use service::Service;
pub use status::Status;
