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
        let start = self.start(token)?;
        let end = self.records.len().min(start + rows);
        Ok(self.answer(json!(self.records[start..end]), end))
    }

    /// The page that a token names in CSV: as many rows as so many bytes hold, and at least one. The names of the columns come before
    /// the first row, and nothing comes if there is none. Every row ends with a line break.
    /// [Amazon Redshift Management Guide, "Fetch the results of a SQL statement"]
    ///
    /// # Errors
    /// ValidationException for a token that is not one of this result's.
    pub(crate) fn csv_page(&self, token: Option<&str>, bytes: usize) -> Reply {
        let start = self.start(token)?;
        let names = self.columns.iter().map(|column| csv_text(column["name"].as_str().unwrap_or_default()));
        let mut text = if start == 0 { csv_row(names) } else { String::new() };
        let mut end = start;
        for record in &self.records[start..] {
            let row = csv_row(record.iter().map(csv_value));
            if end > start && text.len() + row.len() > bytes {
                break;
            }
            text.push_str(&row);
            end += 1;
        }
        let records = if end > start { json!([{"CSVRecords": text}]) } else { json!([]) };
        let mut answer = self.answer(records, end);
        answer["ResultFormat"] = json!("csv");
        Ok(answer)
    }

    /// The row that a page begins with.
    fn start(&self, token: Option<&str>) -> Reply<usize> {
        let Some(token) = token else { return Ok(0) };
        let start = token.parse().ok().filter(|start| *start < self.records.len());
        start.ok_or_else(|| Failure::validation("NextToken is not valid."))
    }

    fn answer(&self, records: Value, end: usize) -> Value {
        let mut answer = json!({
            "Records": records,
            "ColumnMetadata": self.columns,
            "TotalNumRows": self.records.len(),
        });
        if end < self.records.len() {
            answer["NextToken"] = json!(end.to_string());
        }
        answer
    }
}

fn csv_row(fields: impl Iterator<Item = String>) -> String {
    fields.collect::<Vec<_>>().join(",") + "\r\n"
}

/// One field of a record as it stands in CSV. A null is nothing at all, and so differs from an empty text.
fn csv_value(field: &Value) -> String {
    let value = field.as_object().filter(|field| !field.contains_key("isNull")).and_then(|field| field.values().next());
    match value {
        None => String::new(),
        Some(Value::String(text)) => csv_text(text),
        Some(other) => other.to_string(),
    }
}

/// A text in quotes where it needs them. [RFC 4180]
fn csv_text(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(records: Value) -> ResultSet {
        let columns = vec![json!({"name": "a"}), json!({"name": "b,c"})];
        ResultSet { columns, records: serde_json::from_value(records).expect("records"), rows_or_affected: 0, size: 0 }
    }

    #[test]
    fn csv_has_a_header_and_quotes_what_needs_them() {
        let records = json!([
            [{"longValue": 1}, {"stringValue": "x"}],
            [{"doubleValue": 1.5}, {"stringValue": "say \"hi\", or\nnot"}],
            [{"booleanValue": true}, {"stringValue": ""}],
            [{"isNull": true}, {"doubleValue": "NaN"}],
        ]);
        let page = result(records).csv_page(None, 1_000_000).expect("a page");
        let text = "a,\"b,c\"\r\n1,x\r\n1.5,\"say \"\"hi\"\", or\nnot\"\r\ntrue,\"\"\r\n,NaN\r\n";
        assert_eq!(page["Records"], json!([{ "CSVRecords": text }]));
        assert_eq!(
            (&page["TotalNumRows"], &page["ResultFormat"], page.get("NextToken")),
            (&json!(4), &json!("csv"), None)
        );
    }

    #[test]
    fn a_page_of_csv_has_as_many_rows_as_fit_and_at_least_one() {
        let rows: Vec<_> = (0..4).map(|n| json!([{"longValue": n}, {"stringValue": "xy"}])).collect();
        let result = result(json!(rows));
        // A header of 9 bytes, and rows of 6.
        for (token, bytes, text, next) in [
            (None, 21, "a,\"b,c\"\r\n0,xy\r\n1,xy\r\n", Some("2")),
            (Some("2"), 21, "2,xy\r\n3,xy\r\n", None),
            (Some("1"), 6, "1,xy\r\n", Some("2")),
            (Some("3"), 1, "3,xy\r\n", None),
        ] {
            let page = result.csv_page(token, bytes).expect("a page");
            assert_eq!(page["Records"][0]["CSVRecords"], json!(text), "{token:?} {bytes}");
            assert_eq!(page.get("NextToken").and_then(Value::as_str), next, "{token:?} {bytes}");
        }
        assert!(result.csv_page(Some("4"), 6).is_err() && result.csv_page(Some("x"), 6).is_err());
    }

    #[test]
    fn nothing_is_no_record_of_csv() {
        let page = result(json!([])).csv_page(None, 1_000_000).expect("a page");
        assert_eq!((&page["Records"], &page["TotalNumRows"]), (&json!([]), &json!(0)));
    }
}
