//! A statement of the Data API: submit, describe, cancel, find.

mod describe;
mod id;
mod list;
mod submit;
#[cfg(test)]
mod tests;

pub use describe::{Description, cancel, describe};
pub use id::StatementId;
pub use list::{Listed, check_alone, find_active, find_by_name_prefix};
pub use submit::{Query, Submitted, submit, submit_query};
