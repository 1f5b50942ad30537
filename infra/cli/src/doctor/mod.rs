//! `make doctor`: looks at a deployed stack and reports what is wrong, and how to fix it.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `aws` | calling AWS |
//! | `facts` | what is asked of AWS and of the warehouse |
//! | `checks` | what the answers mean: one pure function a check |
//! | `external` | the external table beside the DDL of `infra/sql` |
//! | `finding` | how a check came out, as it is printed |
//! | `examine` | all of it in turn |
//!
//! A question that fails is reported as such and hides no other.

mod aws;
mod checks;
mod examine;
mod external;
mod facts;
mod finding;
#[cfg(test)]
mod tests;

pub use examine::{doctor, examine};
pub use finding::{Finding, Verdict};
