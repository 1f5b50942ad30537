//! A procedure call: the only kind of SQL that the loader submits.
//!
//! Identifiers cannot be bound as parameters, so the procedure's name is parsed and checked before it
//! becomes SQL. Arguments are bound, never spliced; only a call that comes as `Sql` text may hold
//! literals, and then nothing but literals.

mod argument;
mod name;
mod number;
mod procedure;
mod scanner;
mod types;

pub use argument::ArgumentFields;
pub use name::QualifiedName;
pub use procedure::{CallFields, MAX_ARGUMENTS, MAX_SQL_BYTES, ProcedureCall};
pub use scanner::MAX_IDENTIFIER_BYTES;

pub(crate) use number::Decimal;
pub(crate) use scanner::{Written, written};
