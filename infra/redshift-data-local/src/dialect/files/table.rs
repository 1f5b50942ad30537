//! The table that files are loaded into.

use futures_util::SinkExt as _;
use tokio_postgres::Client;

use super::{Failed, Rows};
use crate::dialect::Refused;
use crate::dialect::statement::literal;

/// What PostgreSQL adds to the size in a type's modifier.
const HEADER_BYTES: i32 = 4;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name as SQL has it.
    pub(super) quoted: String,
    pub(super) name: String,
    /// Its type with its size.
    pub(super) of: String,
    /// Its type as PostgreSQL's catalog names it.
    pub(super) base: String,
    pub(super) modifier: i32,
    pub(super) identity: bool,
}

impl Column {
    /// Of a DECIMAL.
    pub(super) fn scale(&self) -> Option<i32> {
        (self.base == "numeric" && self.modifier >= HEADER_BYTES).then(|| (self.modifier - HEADER_BYTES) & 0xffff)
    }

    /// The characters that it has at most.
    fn length(&self) -> Option<i32> {
        (self.is_text() && self.modifier >= HEADER_BYTES).then(|| self.modifier - HEADER_BYTES)
    }

    fn is_text(&self) -> bool {
        ["varchar", "bpchar", "text", "geometry"].contains(&self.base.as_str())
    }
}

/// How text becomes values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) blanks_as_null: bool,
    pub(super) empty_as_null: bool,
    pub(super) trim_blanks: bool,
    pub(super) long: Long,
    /// ROUNDEC; COPY truncates otherwise.
    pub(super) rounds: bool,
    pub(super) dates: Times,
    pub(super) times: Times,
    /// EXPLICIT_IDS
    pub(super) explicit_ids: bool,
}

/// What becomes of text that is longer than its column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Long {
    #[default]
    Fails,
    /// TRUNCATECOLUMNS
    Cut,
    /// As an external table has it. [Amazon Redshift Database Developer Guide, CREATE EXTERNAL TABLE, surplus_char_handling]
    Null,
}

/// How dates or times are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Times {
    /// As PostgreSQL reads them by itself.
    #[default]
    Auto,
    /// Since 1970, in this many a second.
    Epoch(u16),
    /// A format of PostgreSQL's TO_TIMESTAMP.
    Format(String),
}

impl Rules {
    /// The value of a column, of the text that `at` names.
    fn value(&self, column: &Column, at: &str) -> String {
        let of = &column.of;
        if column.is_text() {
            let trimmed = if self.trim_blanks { format!("RTRIM({at})") } else { at.to_owned() };
            let text = match (self.blanks_as_null, self.empty_as_null) {
                (true, _) => format!("CASE WHEN TRIM({trimmed}) <> '' OR {trimmed} = '' THEN {trimmed} END"),
                (false, _) => trimmed,
            };
            let text = if self.empty_as_null { format!("NULLIF({text}, '')") } else { text };
            return match (self.long, column.length()) {
                (Long::Cut, Some(length)) => format!("LEFT({text}, {length})"),
                (Long::Null, Some(length)) => format!("CASE WHEN LENGTH({text}) <= {length} THEN {text} END"),
                _ => text,
            };
        }
        let text = format!("NULLIF(TRIM({at}), '')");
        match (column.base.as_str(), column.scale()) {
            ("bytea", _) => format!("DECODE({text}, 'hex')"),
            ("numeric", Some(scale)) if !self.rounds => {
                format!("CAST(TRUNC(CAST({text} AS NUMERIC), {scale}) AS {of})")
            }
            ("date", _) => time(&self.dates, &text, of),
            ("timestamp" | "timestamptz", _) => time(&self.times, &text, of),
            _ => format!("CAST({text} AS {of})"),
        }
    }
}

fn time(written: &Times, text: &str, of: &str) -> String {
    match written {
        Times::Auto => format!("CAST({text} AS {of})"),
        Times::Epoch(times) => {
            format!("CAST(TO_TIMESTAMP(CAST({text} AS NUMERIC) / {times}) AT TIME ZONE 'UTC' AS {of})")
        }
        // At the session's own time zone it is the same clock again.
        Times::Format(format) => format!("CAST(CAST(TO_TIMESTAMP({text}, {}) AS TIMESTAMP) AS {of})", literal(format)),
    }
}

/// The table that files are loaded into.
pub(super) struct Target<'a> {
    client: &'a Client,
    table: &'a str,
    /// Those that the files have, in their order.
    pub(super) columns: Vec<Column>,
    /// Those that the place of a file has.
    keys: Vec<Column>,
}

/// The partition of the rows that have no value of a key, as Hive names it.
pub(super) const NO_KEY: &str = "__HIVE_DEFAULT_PARTITION__";

/// The temporary table that the text of files goes through, so that all of it is inserted at once.
const TEXTS: &str = "pg_temp.copy_of_files";

impl<'a> Target<'a> {
    /// Looks a table up: these of its columns, or all; its last ones are partition keys.
    ///
    /// # Errors
    /// A table or column that is not there.
    pub(super) async fn of(
        client: &'a Client,
        table: &'a str,
        columns: &[String],
        keys: usize,
        rules: &Rules,
    ) -> Result<Self, Failed> {
        let known = client
            .query(
                "SELECT CAST(quote_ident(a.attname) AS VARCHAR), CAST(a.attname AS VARCHAR), format_type(a.atttypid, a.atttypmod),
                    CAST(t.typname AS VARCHAR), a.atttypmod, a.attidentity <> ''
                FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                WHERE a.attrelid = CAST(CAST($1 AS VARCHAR) AS REGCLASS) AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY a.attnum",
                &[&table],
            )
            .await?;
        let mut all: Vec<_> = known
            .iter()
            .map(|row| Column {
                quoted: row.get(0),
                name: row.get(1),
                of: row.get(2),
                base: row.get(3),
                modifier: row.get(4),
                identity: row.get(5),
            })
            .collect();
        if !rules.explicit_ids {
            all.retain(|column| !column.identity || columns.contains(&column.name));
        }
        let keys = all.split_off(all.len().saturating_sub(keys));
        if !columns.is_empty() {
            let find = |name: &String| {
                let found = all.iter().find(|column| column.name == *name).cloned();
                found.ok_or_else(|| Refused::Wrong(format!("column {name:?} of {table} does not exist")))
            };
            all = columns.iter().map(find).collect::<Result<_, _>>()?;
        }
        Ok(Self { client, table, columns: all, keys })
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        (0..self.columns.len() + self.keys.len()).map(|n| format!("c{n}"))
    }

    /// Takes no rows yet.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn open(&self) -> Result<(), Failed> {
        let fields: Vec<_> = self.texts().map(|name| format!("{name} TEXT")).collect();
        // One is left by what failed before in this session.
        let sql = format!("DROP TABLE IF EXISTS {TEXTS}; CREATE TEMP TABLE copy_of_files ({})", fields.join(", "));
        Ok(self.client.batch_execute(&sql).await?)
    }

    /// Takes the rows of a file, and the values of its partition's keys.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn add(&self, rows: Rows, keys: &[String]) -> Result<(), Failed> {
        let mut lines = Vec::new();
        for row in &rows {
            let keys = keys.iter().map(|key| Some(key.as_str()).filter(|key| *key != NO_KEY));
            let values = row.iter().map(Option::as_deref).chain(keys);
            for (n, value) in values.enumerate() {
                if n > 0 {
                    lines.push(b'\t');
                }
                escape(value, &mut lines);
            }
            lines.push(b'\n');
        }
        let sink = self.client.copy_in::<_, std::io::Cursor<Vec<u8>>>(&format!("COPY {TEXTS} FROM STDIN")).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(std::io::Cursor::new(lines)).await?;
        sink.finish().await?;
        Ok(())
    }

    /// Puts all of it into the table, and does what comes `after`: in one transaction, so that nothing can fail once the rows are there.
    ///
    /// # Errors
    /// A value that its column does not take.
    pub(super) async fn close(&self, rules: &Rules, after: &str) -> Result<(), Failed> {
        let columns = self.columns.iter().chain(&self.keys);
        let names: Vec<_> = columns.clone().map(|column| column.quoted.as_str()).collect();
        let values: Vec<_> = columns.zip(self.texts()).map(|(column, at)| rules.value(column, &at)).collect();
        let own_ids = if rules.explicit_ids { "OVERRIDING SYSTEM VALUE " } else { "" };
        let (table, names, values) = (self.table, names.join(", "), values.join(", "));
        let sql =
            format!("INSERT INTO {table} ({names}) {own_ids}SELECT {values} FROM {TEXTS}; DROP TABLE {TEXTS}; {after}");
        Ok(self.client.batch_execute(&sql).await?)
    }
}

/// A value as PostgreSQL's COPY reads it.
fn escape(value: Option<&str>, out: &mut Vec<u8>) {
    let Some(value) = value else { return out.extend(b"\\N") };
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_rule() {
        let column = |base: &str, of: &str, modifier| Column {
            quoted: "a".into(),
            name: "a".into(),
            of: of.into(),
            base: base.into(),
            modifier,
            identity: false,
        };
        let text = column("varchar", "character varying(9)", 13);
        let number = column("numeric", "numeric(8,2)", ((8 << 16) | 2) + 4);
        let at = column("timestamp", "timestamp without time zone", -1);
        let plain = Rules::default();
        let cut = Rules { long: Long::Cut, empty_as_null: true, trim_blanks: true, ..plain.clone() };
        for (rules, column, expected) in [
            (&plain, &text, "c0"),
            (&cut, &text, "LEFT(NULLIF(RTRIM(c0), ''), 9)"),
            (&Rules { long: Long::Null, ..plain.clone() }, &text, "CASE WHEN LENGTH(c0) <= 9 THEN c0 END"),
            (&plain, &number, "CAST(TRUNC(CAST(NULLIF(TRIM(c0), '') AS NUMERIC), 2) AS numeric(8,2))"),
            (&Rules { rounds: true, ..plain.clone() }, &number, "CAST(NULLIF(TRIM(c0), '') AS numeric(8,2))"),
            (&plain, &column("bytea", "bytea", -1), "DECODE(NULLIF(TRIM(c0), ''), 'hex')"),
            (
                &Rules { times: Times::Epoch(1000), ..plain.clone() },
                &at,
                "CAST(TO_TIMESTAMP(CAST(NULLIF(TRIM(c0), '') AS NUMERIC) / 1000) AT TIME ZONE 'UTC' AS timestamp without time zone)",
            ),
        ] {
            assert_eq!(rules.value(column, "c0"), expected);
        }
    }

    #[test]
    fn values_are_escaped_for_postgresql() {
        let mut out = Vec::new();
        escape(Some("a\\N\tb\r\n"), &mut out);
        escape(None, &mut out);
        assert_eq!(out, b"a\\\\N\\tb\\r\\n\\N");
    }
}
