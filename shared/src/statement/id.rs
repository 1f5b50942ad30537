//! The Id of a statement.

use std::fmt;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The Id that the Data API gave a statement: a UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct StatementId(String);

impl StatementId {
    /// Checks the form, so that a typing error is distinguished from an expired statement.
    ///
    /// # Errors
    /// `InvalidInput` if `text` is not a UUID (with `:n` behind it for a part of a batch).
    pub fn parse(text: &str) -> Result<Self> {
        let (uuid, part) = text.split_once(':').unwrap_or((text, "0"));
        let groups: Vec<_> = uuid.split('-').map(str::len).collect();
        let hex = uuid.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
        if groups != [8, 4, 4, 4, 12] || !hex || part.is_empty() || !part.chars().all(|c| c.is_ascii_digit()) {
            return Err(Error::invalid_input(
                "Id is not a statement Id: it has to be the Id that proc-runner or ExecuteStatement returned",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The Id in an answer of the service.
    ///
    /// # Errors
    /// `ServiceUnavailable` if it is none: not the caller's fault, and the next answer may be better.
    pub(crate) fn of_answer(text: &str) -> Result<Self> {
        let wrong = |_| {
            Error::new(ErrorKind::ServiceUnavailable, "the answer of AWS could not be read: it has no statement Id")
        };
        Self::parse(text).map_err(wrong)
    }

    /// The Id as the Data API takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StatementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StatementId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wrong = |_| {
            D::Error::invalid_value(
                Unexpected::Str(&text),
                &"the statement Id that proc-runner or ExecuteStatement returned",
            )
        };
        Self::parse(&text).map_err(wrong)
    }
}
