//! What goes wrong in a tool: a text for whoever runs it.

use aws_smithy_types::error::display::DisplayErrorContext;

/// A text that names the failure and the fix.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// An error that says what was being done.
    pub fn doing(what: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }

    /// An error of an SDK call, with its whole chain of causes.
    pub fn sdk(what: &str, error: impl std::error::Error) -> Self {
        Self(format!("{what}: {}", DisplayErrorContext(error)))
    }
}

/// The result of everything in the tools.
pub type Result<T> = std::result::Result<T, Error>;
