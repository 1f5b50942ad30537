//! The rows of a statement, and the pages of them.

use serde_json::{Value, json};

use crate::protocol::{Failure, Reply};

/// The rows of a statement.
#[derive(Debug)]
pub(crate) struct ResultSet {
    pub(crate) columns: Vec<Value>,
    pub(crate) records: Vec<Vec<Value>>,
    /// Rows returned, or affected if the statement returns none; -1 if neither is known.
    pub(crate) rows_or_affected: i64,
    /// Bytes of the values.
    pub(crate) size: i64,
}

impl ResultSet {
    pub(crate) fn has_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// The page that a token names, the first if there is none.
    ///
    /// # Errors
    /// ValidationException for a token that is not one of this result's.
    pub(crate) fn page(&self, token: Option<&str>, rows: usize) -> Reply {
        let start = match token {
            None => 0,
            Some(token) => token
                .parse()
                .ok()
                .filter(|start| *start < self.records.len())
                .ok_or_else(|| Failure::validation("NextToken is not valid."))?,
        };
        let end = self.records.len().min(start + rows);
        let mut answer = json!({
            "Records": self.records[start..end],
            "ColumnMetadata": self.columns,
            "TotalNumRows": self.records.len(),
        });
        if end < self.records.len() {
            answer["NextToken"] = json!(end.to_string());
        }
        Ok(answer)
    }
}
