//! Where a statement stands.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::shown;

/// Where a statement stands. The service's enum is open; what is not one of these six is the error
/// `UnknownStatus`, never a success and never a reason to wait on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Status {
    /// Accepted, not yet chosen to run.
    Submitted,
    /// Chosen to run.
    Picked,
    /// Running.
    Started,
    /// Ended with success.
    Finished,
    /// Ended by an error.
    Failed,
    /// Ended by a cancel or by the system.
    Aborted,
}

impl Status {
    /// Reads the service's word.
    ///
    /// # Errors
    /// `UnknownStatus` for every word but the six.
    pub fn parse(word: &str) -> Result<Self> {
        Self::from_str(word).map_err(|_| {
            let named = shown::status_word(word).map_or("a status".to_owned(), |word| format!("the status {word}"));
            Error::new(
                ErrorKind::UnknownStatus,
                format!(
                    "the Data API reports {named}, which this version does not know; see aws \
                     redshift-data describe-statement, and update the loader"
                ),
            )
        })
    }

    /// The service's word.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it will never change again.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Aborted)
    }
}
