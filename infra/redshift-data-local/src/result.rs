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
    /// Bytes of the values; 0 if there are none, as for a COPY. [amazon-redshift-utils#515]
    pub(crate) size: i64,
}

impl ResultSet {
    /// Of a statement that returns no rows.
    pub(crate) fn without_columns(affected: i64) -> Self {
        Self { columns: Vec::new(), records: Vec::new(), rows_or_affected: affected, size: 0 }
    }

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
