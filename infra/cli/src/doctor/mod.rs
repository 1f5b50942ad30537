//! `make doctor`: looks at a deployed stack and reports what is wrong, and how to fix it.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `facts` | what is asked of AWS and of the warehouse |
//! | `checks` | what the answers mean: one pure function a check |
//! | `examine` | all of it in turn |
//!
//! A question that fails is reported as such and hides no other.

mod checks;
mod examine;
mod facts;
#[cfg(test)]
mod tests;

pub use crate::finding::{Finding, Verdict};
pub use examine::{doctor, examine};
