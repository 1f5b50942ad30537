//! Text files: delimited lines, CSV, and JSON.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::Rows;

/// Why a record cannot be read, as STL_LOAD_ERRORS has it, and its line.
pub(super) type Unread = (usize, String);

/// How quotes stand around a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// They are characters as others.
    None,
    /// CSV; two of them are one in the value.
    Csv(u8),
    /// REMOVEQUOTES: single or double ones, and those within stay.
    Removed,
}

/// How the values of a line are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) delimiter: u8,
    pub(super) quotes: Quotes,
    /// A backslash takes the next character as it is.
    pub(super) escape: bool,
    pub(super) null: String,
    pub(super) header: usize,
    /// Takes the place of what is not UTF-8.
    pub(super) replacement: Option<char>,
    pub(super) skip_blank_lines: bool,
    pub(super) width: Width,
}

/// What becomes of a line with fewer or more values than there are columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Exact,
    /// FILLRECORD: the missing ones are empty.
    Filled,
    /// An external table's: the missing ones are NULL, those too many are left out.
    Any,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            delimiter: b'|',
            quotes: Quotes::None,
            escape: false,
            null: "\\N".to_owned(),
            header: 0,
            replacement: None,
            skip_blank_lines: false,
            width: Width::Exact,
        }
    }
}

/// The single byte that some text stands for: itself, `\t`, or an octal number such as `\001`, whose backslash a literal has lost.
pub(super) fn byte(text: &str) -> Option<u8> {
    match text.trim_start_matches('\\').as_bytes() {
        [] if text == "\\" => Some(b'\\'),
        [b't'] if text.len() > 1 => Some(b'\t'),
        [one] if one.is_ascii() => Some(*one),
        [_, _, _] => u8::from_str_radix(text.trim_start_matches('\\'), 8).ok(),
        _ => None,
    }
}

/// A value as it stood in the file.
#[derive(Default)]
struct Value {
    bytes: Vec<u8>,
    raw: Vec<u8>,
    quoted: bool,
}

struct Reader<'a> {
    of: &'a Text,
    rest: &'a [u8],
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += usize::from(*first == b'\n');
        Some(*first)
    }

    /// Whether a value ends here: the delimiter, the end of a line, or of the file.
    fn at_end_of_value(&self) -> bool {
        match self.rest {
            [] | [b'\n', ..] | [b'\r', b'\n', ..] => true,
            [first, ..] => *first == self.of.delimiter,
        }
    }

    /// The quote that a value begins with; blanks before one of CSV go.
    fn opening(&mut self) -> Option<u8> {
        match self.of.quotes {
            Quotes::None => None,
            Quotes::Removed => {
                let quote = *self.rest.first().filter(|byte| matches!(byte, b'\'' | b'"'))?;
                self.next();
                Some(quote)
            }
            Quotes::Csv(quote) => {
                let blanks = self.blanks();
                if self.rest.get(blanks) != Some(&quote) {
                    return None;
                }
                self.rest = &self.rest[blanks + 1..];
                Some(quote)
            }
        }
    }

    fn blanks(&self) -> usize {
        self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t') && **byte != self.of.delimiter).count()
    }

    fn quoted(&mut self, quote: u8) -> Result<Value, Unread> {
        let (line, csv) = (self.line, self.of.quotes == Quotes::Csv(quote));
        let mut value = Value { quoted: true, ..Value::default() };
        loop {
            let Some(byte) = self.next() else { return Err((line, "Delimited value missing end quote".to_owned())) };
            if byte == quote {
                if csv && self.rest.first() == Some(&quote) {
                    self.next();
                } else if csv {
                    self.rest = &self.rest[self.blanks()..];
                    if self.at_end_of_value() {
                        return Ok(value);
                    }
                    return Err((self.line, "Invalid quote formatting for CSV".to_owned()));
                } else if self.at_end_of_value() {
                    return Ok(value);
                }
                value.bytes.push(quote);
            } else if byte == b'\\' && self.of.escape {
                value.bytes.extend(self.next());
            } else {
                value.bytes.push(byte);
            }
        }
    }

    fn value(&mut self) -> Result<Value, Unread> {
        if let Some(quote) = self.opening() {
            return self.quoted(quote);
        }
        let mut value = Value::default();
        while !self.at_end_of_value() {
            let Some(byte) = self.next() else { break };
            value.raw.push(byte);
            if byte == b'\\' && self.of.escape {
                if let Some(next) = self.next() {
                    value.raw.push(next);
                    value.bytes.push(next);
                }
            } else {
                value.bytes.push(byte);
            }
        }
        Ok(value)
    }

    /// The values of the next line.
    fn record(&mut self) -> Result<Vec<Value>, Unread> {
        let mut values = vec![self.value()?];
        loop {
            match self.next() {
                Some(byte) if byte == self.of.delimiter => values.push(self.value()?),
                Some(b'\r') => {}
                _ => return Ok(values),
            }
        }
    }
}

impl Text {
    /// The rows of a file.
    ///
    /// # Errors
    /// The first record that cannot be read.
    pub(super) fn rows(&self, bytes: &[u8], columns: usize) -> Result<Rows, Unread> {
        let skipped: usize = bytes.split_inclusive(|byte| *byte == b'\n').take(self.header).map(<[u8]>::len).sum();
        let mut reader = Reader { of: self, rest: &bytes[skipped..], line: 1 + self.header };
        let mut rows = Vec::new();
        while !reader.rest.is_empty() {
            let line = reader.line;
            let record = reader.record()?;
            let is_blank = matches!(&record[..], [one] if one.bytes.is_empty() && !one.quoted);
            if is_blank && self.skip_blank_lines {
                continue;
            }
            rows.push(self.row(record, columns).map_err(|why| (line, why))?);
        }
        Ok(rows)
    }

    fn row(&self, mut record: Vec<Value>, columns: usize) -> Result<Vec<Option<String>>, String> {
        // A line may end with a delimiter, as the data of TPC-H does.
        let ends_with_delimiter = record.len() == columns + 1
            && self.quotes == Quotes::None
            && record.last().is_some_and(|last| last.raw.is_empty());
        if self.width == Width::Any || ends_with_delimiter {
            record.truncate(columns);
        }
        if record.len() > columns {
            return Err("Extra column(s) found".to_owned());
        }
        if record.len() < columns && self.width == Width::Exact {
            return Err("Delimiter not found".to_owned());
        }
        let missing = (self.width == Width::Filled).then(String::new);
        let mut row = record.into_iter().map(|value| self.text(value)).collect::<Result<Vec<_>, _>>()?;
        row.resize(columns, missing);
        Ok(row)
    }

    fn text(&self, value: Value) -> Result<Option<String>, String> {
        let null = self.null.as_bytes();
        if !value.quoted && (value.raw == null || (self.escape && value.bytes == null)) {
            return Ok(None);
        }
        utf8(value.bytes, self.replacement).map(Some)
    }
}

fn utf8(bytes: Vec<u8>, replacement: Option<char>) -> Result<String, String> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        match replacement {
            // Each byte by one character. [copy-parameters-data-conversion, ACCEPTINVCHARS]
            Some(replacement) => text.extend(chunk.invalid().iter().map(|_| replacement)),
            None if chunk.invalid().is_empty() => {}
            None => {
                let hex: Vec<_> = chunk.invalid().iter().map(|byte| format!("{byte:x}")).collect();
                return Err(format!(
                    "String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: {} (error 4)",
                    hex.join(" ")
                ));
            }
        }
    }
    Ok(text)
}

/// How objects of JSON become rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    /// By the columns' names.
    Auto,
    /// In whatever case the keys are.
    IgnoreCase,
    /// Each object is the value of the one column.
    Whole,
    /// By an expression of JSONPath for each column.
    Paths(Vec<JsonPath>),
}

impl Json {
    /// The rows of a file: an object each, one after the other.
    ///
    /// # Errors
    /// The first object that cannot be read.
    pub(super) fn rows(&self, bytes: &[u8], columns: &[Key<'_>]) -> Result<Rows, Unread> {
        let wrong = |e: serde_json::Error| (e.line(), format!("Invalid JSON format: {e}"));
        if let Self::Paths(paths) = self {
            if paths.len() != columns.len() {
                return Err((
                    0,
                    format!(
                        "Number of jsonpaths and the number of columns should match. JSONPath size: {}, \
                         Number of columns in table or column list: {}",
                        paths.len(),
                        columns.len()
                    ),
                ));
            }
            let all = serde_json::Deserializer::from_slice(bytes).into_iter::<Box<RawValue>>();
            let row = |one: &RawValue| {
                let pairs = columns.iter().zip(paths);
                pairs.map(|(column, path)| path.find(one).and_then(|value| column.value(&value))).collect()
            };
            return all.map(|one| Ok(row(&one.map_err(wrong)?))).collect();
        }
        if *self == Self::Whole {
            if columns.len() != 1 {
                return Err((0, "noshred loads one column of the type SUPER".to_owned()));
            }
            let all = serde_json::Deserializer::from_slice(bytes).into_iter::<Box<RawValue>>();
            return all.map(|one| Ok(vec![Some(one.map_err(wrong)?.get().to_owned())])).collect();
        }
        let mut rows = Vec::new();
        for object in serde_json::Deserializer::from_slice(bytes).into_iter::<HashMap<String, Box<RawValue>>>() {
            let mut object = object.map_err(wrong)?;
            if *self == Self::IgnoreCase {
                object = object.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
            }
            rows.push(
                columns.iter().map(|column| object.get(column.name).and_then(|value| column.value(value))).collect(),
            );
        }
        Ok(rows)
    }
}

/// An expression of JSONPath: dots or brackets, and no operators.
/// [Amazon Redshift Database Developer Guide, "COPY from JSON format"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Place(usize),
}

impl JsonPath {
    /// Nothing if it is none that COPY takes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                steps.push(Step::Key(after.get(..end).filter(|key| !key.is_empty())?.to_owned()));
                rest = &after[end..];
                continue;
            }
            let inner = rest.strip_prefix('[')?;
            let quote = inner.chars().next().filter(|c| ['\'', '"'].contains(c));
            let (step, after) = match quote {
                Some(quote) => inner[1..]
                    .split_once(&format!("{quote}]"))
                    .map(|(key, after)| (Step::Key(key.to_owned()), after))?,
                None => inner.split_once(']').and_then(|(n, after)| Some((Step::Place(n.parse().ok()?), after)))?,
            };
            steps.push(step);
            rest = after;
        }
        Some(Self(steps))
    }

    fn find(&self, value: &RawValue) -> Option<Box<RawValue>> {
        self.0.iter().try_fold(value.to_owned(), |value, step| match step {
            Step::Key(key) => serde_json::from_str::<HashMap<String, Box<RawValue>>>(value.get()).ok()?.remove(key),
            Step::Place(n) => serde_json::from_str::<Vec<Box<RawValue>>>(value.get()).ok()?.into_iter().nth(*n),
        })
    }
}

/// A column that objects are looked through for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) name: &'a str,
    /// Of the type SUPER, whose values are JSON.
    pub(super) is_super: bool,
}

impl Key<'_> {
    /// A string without its quotes, anything else as it is written.
    fn value(self, value: &RawValue) -> Option<String> {
        match value.get() {
            "null" => None,
            text if text.starts_with('"') && !self.is_super => serde_json::from_str(text).ok(),
            text => Some(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &Text, bytes: &[u8]) -> Result<Vec<String>, String> {
        let row = |row: Vec<Option<String>>| {
            row.into_iter().map(|value| value.unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join("~")
        };
        match of.rows(bytes, 2) {
            Ok(rows) => Ok(rows.into_iter().map(row).collect()),
            Err((line, why)) => Err(format!("{line}: {why}")),
        }
    }

    #[test]
    fn lines_are_read_as_copy_reads_them() {
        let plain = Text::default();
        let csv = Text { delimiter: b',', quotes: Quotes::Csv(b'"'), ..plain.clone() };
        let escape = Text { escape: true, ..plain.clone() };
        let removed = Text { quotes: Quotes::Removed, ..plain.clone() };
        let both = Text { escape: true, ..removed.clone() };
        for (of, file, expected) in [
            (&plain, "1|one\n2|\r\n3|\\N", &["1~one", "2~", "3~NULL"][..]),
            (&plain, "1|\"one\"\n2|a\\b|\n", &["1~\"one\"", "2~a\\b"]),
            (&csv, "1,\"a, \"\"b\"\"\nc\"\n2 , \"x\" \n\"\\N\",\\N", &["1~a, \"b\"\nc", "2 ~x", "\\N~NULL"]),
            (&csv, "'x',a\"b\n", &["'x'~a\"b"]),
            (
                &escape,
                "1|The fox\\\njumped\n2| A\\\\B\n3|A \\| B\n4|\\N\n5|\\\\N",
                &["1~The fox\njumped", "2~ A\\B", "3~A | B", "4~NULL", "5~NULL"],
            ),
            (&removed, "1|\"a|b\"\n2|' 'Black' '\n3|Blue'\n", &["1~a|b", "2~ 'Black' ", "3~Blue'"]),
            (&both, "4|'A Midsummer Night\\'s Dream'\n", &["4~A Midsummer Night's Dream"]),
            (&Text { null: "-".into(), ..csv.clone() }, "-,\"-\"", &["NULL~-"]),
            (&Text { header: 2, ..plain.clone() }, "a\nb\n1|one", &["1~one"]),
            (&Text { skip_blank_lines: true, ..plain.clone() }, "\n1|one\n\r\n", &["1~one"]),
            (&Text { width: Width::Filled, ..plain.clone() }, "1\n", &["1~"]),
            (&Text { width: Width::Any, ..plain.clone() }, "1\n1|2|3\n", &["1~NULL", "1~2"]),
        ] {
            assert_eq!(rows(of, file.as_bytes()), Ok(expected.iter().map(ToString::to_string).collect()), "{file}");
        }
        for (of, file, why) in [
            (&plain, &b"1|one\n2"[..], "2: Delimiter not found"),
            (&plain, b"1|2|3", "1: Extra column(s) found"),
            (&csv, b"1,2\n3,\"a\n\n", "2: Delimited value missing end quote"),
            (&csv, b"1,\"a\"b", "1: Invalid quote formatting for CSV"),
            (&removed, b"1|'Blue\n", "1: Delimited value missing end quote"),
            (
                &plain,
                b"1|\xc3\n",
                "1: String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: c3 (error 4)",
            ),
        ] {
            assert_eq!(rows(of, file), Err(why.to_owned()));
        }
        let replaced = Text { replacement: Some('?'), ..plain };
        assert_eq!(rows(&replaced, b"1|a\xe2\x82b\n"), Ok(vec!["1~a??b".to_owned()]));
    }

    #[test]
    fn a_delimiter_is_a_byte() {
        for (text, expected) in [
            ("|", Some(b'|')),
            ("\t", Some(b'\t')),
            ("\\t", Some(b'\t')),
            ("001", Some(1)),
            ("\\036", Some(0o36)),
            ("\\", Some(b'\\')),
            ("||", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(byte(text), expected, "{text:?}");
        }
    }

    #[test]
    fn objects_become_rows_by_their_keys() {
        let file = br#"{"b": "x\n", "a": 1.50, "more": 1} {"A": true,
            "b": {"z": [1, "y"], "a": null}}
        {}"#;
        let names = ["a", "b"].map(|name| Key { name, is_super: false });
        let of_super = [Key { name: "b", is_super: true }];
        let some = |text: &str| Some(text.to_owned());
        let nested = some(r#"{"z": [1, "y"], "a": null}"#);
        let auto = Json::Auto.rows(file, &names).expect("rows");
        assert_eq!(auto, [vec![some("1.50"), some("x\n")], vec![None, nested.clone()], vec![None, None]]);
        assert_eq!(Json::IgnoreCase.rows(file, &names).expect("rows")[1], [some("true"), nested]);
        assert_eq!(Json::Whole.rows(b"[1] {}", &of_super).expect("rows"), [[some("[1]")], [some("{}")]]);
        assert_eq!(Json::Auto.rows(file, &of_super).expect("rows")[0], [some("\"x\\n\"")]);
        let paths = ["$.b.z[1]", "$['a']"].map(|path| JsonPath::parse(path).expect(path));
        let found = Json::Paths(paths.to_vec()).rows(file, &names).expect("rows");
        assert_eq!(found, [vec![None, some("1.50")], vec![some("y"), None], vec![None, None]]);
        let array = Json::Paths(vec![JsonPath::parse("$[1]").expect("a path")]).rows(b"[1, {\"a\": 2}]", &of_super);
        assert_eq!(array, Ok(vec![vec![some("{\"a\": 2}")]]));
        let wrong = Json::Paths(Vec::new()).rows(file, &names).expect_err("no paths").1;
        assert!(wrong.contains("JSONPath size: 0, Number of columns in table or column list: 2"), "{wrong}");
        for path in ["a", "$a", "$.", "$[x]", "$['a'", "$[*]", "$.a..b"] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
        assert_eq!(Json::Auto.rows(b"{}\n{\"a\"", &names).expect_err("broken").0, 2);
        assert!(Json::Auto.rows(b"[1]", &names).is_err());
    }
}
