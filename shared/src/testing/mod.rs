//! For the tests of this crate and of the functions: what they repeat otherwise, and the walk of a marker through payloads
//! and answers.

mod kit;
mod leaks;
#[cfg(test)]
mod tests;

pub use kit::{EXECUTION, ID, attempt, call, environment, id, refusal, target};
pub use leaks::{MARK, MARKERS, Poisoned, Response, assert_no_leak, leaks, logged, poisoned, poisoned_answers, texts};
