//! UNLOAD to S3. [Amazon Redshift Database Developer Guide, UNLOAD]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::copy::is_word;
use super::folder::{Compression, File, Folder, rooted};
use super::parquet::{self, Kind};
use super::table::NO_KEY;
use super::text::byte;
use super::{Cancelled, Failed, Rows, counted, scan, unless};
use crate::dialect::expression::{closing, split};
use crate::dialect::lex::{self, Token, lex};
use crate::dialect::{Refused, translate};

/// Rows are written as by a warehouse of this many slices: whoever reads them must not count on one file.
const SLICES: usize = 2;

/// The size of a file at most. [UNLOAD, MAXFILESIZE]
const LARGEST: u64 = 6_200_000_000;

/// An UNLOAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unload {
    select: String,
    to: String,
    format: Format,
    partition: Option<Partition>,
    compression: Compression,
    manifest: bool,
    overwrite: bool,
    clean: bool,
    parallel: bool,
    largest: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Format {
    Text(Style),
    Json,
    Parquet,
}

/// How a line of text is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Style {
    csv: bool,
    delimiter: char,
    header: bool,
    add_quotes: bool,
    escape: bool,
    null: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Partition {
    columns: Vec<String>,
    /// Whether the columns are in the files as well.
    include: bool,
}

/// A column of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    of: Type,
    modifier: i32,
}

/// The UNLOAD that some SQL is; nothing if it is something else.
///
/// # Errors
/// What an UNLOAD has that is not done here.
pub(super) fn unload(sql: &str) -> Result<Option<Unload>, Refused> {
    let lexed = lex(sql)?;
    let tokens = &lexed.tokens[..];
    if !tokens.first().is_some_and(|t| t.is("unload")) {
        return Ok(None);
    }
    let [_, open, select, close, word, to, options @ ..] = tokens else { return Err(wrong()) };
    let select = text(select).filter(|_| open.is("(") && close.is(")") && word.is("to")).ok_or_else(wrong)?;
    let to = to.literal().filter(|to| to.starts_with("s3://")).ok_or_else(wrong)?;
    check(&select)?;
    Written::read(options)?.finish(select, to).map(Some)
}

fn wrong() -> Refused {
    Refused::Wrong("UNLOAD is written as UNLOAD ('SELECT ...') TO 's3://...' and its options".to_owned())
}

/// A literal, also one in dollars.
fn text(token: &Token<'_>) -> Option<String> {
    if token.kind != lex::Kind::Dollar {
        return token.literal();
    }
    let tag = token.text[1..].find('$')? + 2;
    Some(token.text.get(tag..token.text.len() - tag)?.to_owned())
}

fn check(select: &str) -> Result<(), Refused> {
    let lexed = lex(select)?;
    if !lexed.tokens.first().is_some_and(|t| t.is_any(&["select", "with", "("])) {
        return Err(Refused::Wrong("UNLOAD takes a SELECT".to_owned()));
    }
    let mut depth = 0;
    for token in &lexed.tokens {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        if depth == 0 && token.is("limit") {
            return Err(Refused::Wrong(
                "Limit clause is not supported in the outer SELECT of UNLOAD: put the query with its LIMIT in parentheses"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

/// The options as they are read, one after the other.
#[derive(Default)]
struct Written {
    formats: Vec<String>,
    of_text: Vec<String>,
    delimiter: Option<String>,
    null: String,
    header: bool,
    add_quotes: bool,
    escape: bool,
    partition: Option<Partition>,
    compression: Option<Compression>,
    manifest: bool,
    overwrite: bool,
    clean: bool,
    serial: bool,
    largest: Option<u64>,
}

impl Written {
    fn read(tokens: &[Token<'_>]) -> Result<Self, Refused> {
        let mut all = Self::default();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let option = token.lower();
            at += 1;
            if !["format", "as", "with", ";"].contains(&option.as_str()) {
                let value = at + usize::from(tokens.get(at).is_some_and(|t| t.is("as")));
                let taken = all.take(&option, tokens.get(value..).unwrap_or_default())?;
                at = if taken > 0 { value + taken } else { at };
            }
        }
        Ok(all)
    }

    /// Takes an option; how many of the words after it are its value.
    fn take(&mut self, option: &str, after: &[Token<'_>]) -> Result<usize, Refused> {
        let literal = after.first().and_then(Token::literal);
        let next = |words: &[&str]| usize::from(after.first().is_some_and(|t| t.is_any(words)));
        if ["delimiter", "addquotes", "escape", "null", "header", "gzip", "zstd"].contains(&option) {
            self.of_text.push(option.to_uppercase());
        }
        match option {
            "csv" | "parquet" | "json" => self.formats.push(option.to_uppercase()),
            "header" => self.header = true,
            "addquotes" => self.add_quotes = true,
            "escape" => self.escape = true,
            "gzip" => self.compression = Some(Compression::Gzip),
            "zstd" => self.compression = Some(Compression::Zstd),
            "allowoverwrite" => self.overwrite = true,
            "cleanpath" => self.clean = true,
            "delimiter" => {
                self.delimiter = Some(literal.ok_or_else(wrong)?);
                return Ok(1);
            }
            "null" => {
                self.null = literal.ok_or_else(wrong)?;
                return Ok(1);
            }
            "parallel" => {
                self.serial = next(&["off", "false"]) > 0;
                return Ok(next(&["on", "off", "true", "false"]));
            }
            "manifest" if next(&["verbose"]) == 0 => self.manifest = true,
            "partition" => return self.partition(after),
            "maxfilesize" | "rowgroupsize" => {
                let number: f64 = after.first().and_then(|t| t.text.parse().ok()).ok_or_else(wrong)?;
                let unit = after.get(1).filter(|t| t.is_any(&["mb", "gb"]));
                let bytes = number * if unit.is_some_and(|t| t.is("gb")) { 1e9 } else { 1e6 };
                if option == "maxfilesize" {
                    self.largest = Some(size(bytes)?);
                }
                return Ok(1 + usize::from(unit.is_some()));
            }
            // Who may write, where, and how it is encrypted there, mean nothing here.
            "iam_role" | "region" | "credentials" | "access_key_id" | "secret_access_key" | "session_token"
            | "kms_key_id" => {
                return Ok(1);
            }
            "encrypted" => return Ok(next(&["auto"])),
            // What is no word may be a secret.
            _ if !is_word(option) => return Err(wrong()),
            _ => {
                let instead = match option {
                    "bzip2" => "GZIP or ZSTD",
                    "fixedwidth" => "DELIMITER",
                    "manifest" => "MANIFEST without VERBOSE",
                    "extension" => "the names that it gives without it",
                    _ => "the README lists the options that are done",
                };
                return Err(Refused::lacking(format!("the option {} of UNLOAD", option.to_uppercase()), instead));
            }
        }
        Ok(0)
    }

    fn partition(&mut self, after: &[Token<'_>]) -> Result<usize, Refused> {
        let close = closing(after, 1).filter(|_| after[0].is("by")).ok_or_else(wrong)?;
        let columns =
            split(&after[2..close], |t| t.is(",")).iter().map(|part| part.first()?.name()).collect::<Option<_>>();
        let include = after.get(close + 1).is_some_and(|t| t.is("include"));
        self.partition = Some(Partition { columns: columns.ok_or_else(wrong)?, include });
        Ok(close + 1 + usize::from(include))
    }

    fn finish(self, select: String, mut to: String) -> Result<Unload, Refused> {
        rooted(&mut to);
        let together =
            |one: &str, other: &str| Refused::Wrong(format!("{one} is not supported for UNLOAD with {other}"));
        let format = match &self.formats[..] {
            [] => "",
            [one] => one,
            [one, other, ..] => return Err(together(one, other)),
        };
        let excluded: &[&str] = match format {
            "PARQUET" => &["DELIMITER", "ADDQUOTES", "ESCAPE", "NULL", "HEADER", "GZIP", "ZSTD"],
            "JSON" => &["DELIMITER", "ADDQUOTES", "ESCAPE", "NULL", "HEADER"],
            "CSV" => &["ADDQUOTES", "ESCAPE"],
            _ => &[],
        };
        if let Some(option) = self.of_text.iter().find(|option| excluded.contains(&option.as_str())) {
            return Err(together(option, format));
        }
        if self.clean && self.overwrite {
            return Err(together("CLEANPATH", "ALLOWOVERWRITE"));
        }
        if self.partition.is_some() && !to.ends_with('/') {
            to.push('/');
        }
        let csv = format == "CSV";
        let delimiter = self.delimiter.as_deref().unwrap_or(if csv { "," } else { "|" });
        let delimiter =
            byte(delimiter).ok_or_else(|| Refused::Wrong(format!("{delimiter:?} is not a single character")))?;
        let format = match format {
            "PARQUET" => Format::Parquet,
            "JSON" => Format::Json,
            _ => Format::Text(Style {
                csv,
                delimiter: char::from(delimiter),
                header: self.header,
                add_quotes: self.add_quotes,
                escape: self.escape,
                null: self.null,
            }),
        };
        Ok(Unload {
            select,
            to,
            format,
            partition: self.partition,
            compression: self.compression.unwrap_or(Compression::None),
            manifest: self.manifest,
            overwrite: self.overwrite,
            clean: self.clean,
            parallel: !self.serial,
            largest: self.largest.unwrap_or(LARGEST),
        })
    }
}

fn size(bytes: f64) -> Result<u64, Refused> {
    let allowed = 5e6..=6.2e9;
    if !allowed.contains(&bytes) {
        return Err(Refused::Wrong("MAXFILESIZE is between 5 MB and 6.2 GB".to_owned()));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
    Ok(bytes as u64)
}

impl Unload {
    /// Writes the files. What they replace goes when they are there.
    ///
    /// # Errors
    /// Those of the query, files that are there, and files that cannot be written.
    pub(super) async fn run(&self, client: &Client, folder: &Path, cancelled: Cancelled<'_>) -> Result<(), Failed> {
        let folder = Folder(folder);
        let there = folder.files(&self.to)?;
        if !there.is_empty() && !self.overwrite && !self.clean {
            return Err(Refused::Wrong(
                "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, manually \
                 removing the target files in S3, or using the ALLOWOVERWRITE option."
                    .to_owned(),
            )
            .into());
        }
        let (columns, rows) = self.rows(client).await?;
        let (this, count) = (self.clone(), rows.len());
        let files = tokio::task::spawn_blocking(move || this.files(&columns, rows));
        let unwritten = |e| Failed::Unwritten(self.to.clone(), std::io::Error::other(e));
        let files = unless(cancelled, async { files.await.map_err(unwritten)? }).await?;
        let staged = files.iter().map(|(url, bytes)| folder.stage(url, bytes)).collect::<Result<Vec<_>, _>>()?;
        // While it can still fail.
        client.batch_execute(&counted("unload", count)).await?;
        for file in &staged {
            file.place()?;
        }
        if self.clean {
            let is_new = |file: &&File| staged.iter().any(|new| new.path == file.path);
            let is_replaced = |file: &&File| {
                // The manifest lies above the partitions.
                let files = staged.iter().rev().skip(usize::from(self.manifest));
                let mut folders = files.filter_map(|new| new.path.parent());
                self.partition.is_none() || folders.any(|folder| file.path.starts_with(folder))
            };
            for file in there.iter().filter(|file| !is_new(file) && is_replaced(file)) {
                folder.remove(file)?;
            }
        }
        Ok(())
    }

    async fn rows(&self, client: &Client) -> Result<(Vec<Column>, Rows), Failed> {
        let select = match &translate(&self.select)?[..] {
            [one] => one.clone(),
            _ => return Err(wrong().into()),
        };
        // Also the check that it is one statement.
        let prepared = client.prepare(&select).await?;
        let column = |c: &tokio_postgres::Column| Column {
            name: c.name().to_owned(),
            of: c.type_().clone(),
            modifier: c.type_modifier(),
        };
        let columns: Vec<_> = prepared.columns().iter().map(column).collect();
        let mut rows = Vec::new();
        for message in client.simple_query(&select).await? {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|n| row.get(n).map(|text| written(&columns[n].of, text))).collect());
            }
        }
        Ok((columns, rows))
    }

    /// What each file holds, by its URL; the manifest last.
    fn files(&self, columns: &[Column], rows: Rows) -> Result<Vec<(String, Vec<u8>)>, Failed> {
        let mut files = Vec::new();
        for (place, columns, rows) in self.places(columns, rows)? {
            let slices = if self.parallel { SLICES } else { 1 };
            let mut of_slices = vec![Rows::new(); slices];
            for (n, row) in rows.into_iter().enumerate() {
                of_slices[n % slices].push(row);
            }
            for (slice, rows) in of_slices.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
                for (part, bytes) in self.contents(&columns, &rows)?.into_iter().enumerate() {
                    let name = if self.parallel { format!("{slice:04}_part_{part:02}") } else { format!("{part:03}") };
                    let ending = match self.format {
                        Format::Text(_) => "",
                        Format::Json => ".json",
                        Format::Parquet => ".parquet",
                    };
                    let url = format!("{}{place}{name}{ending}{}", self.to, self.compression.ending());
                    let bytes = self.compression.compress(bytes).map_err(|e| Failed::Unwritten(url.clone(), e))?;
                    files.push((url, bytes));
                }
            }
        }
        if self.manifest {
            let entry = |(url, bytes): &(String, Vec<u8>)| json!({"url": url, "meta": {"content_length": bytes.len()}});
            let manifest = json!({"entries": files.iter().map(entry).collect::<Vec<_>>()});
            files.push((format!("{}manifest", self.to), manifest.to_string().into_bytes()));
        }
        Ok(files)
    }

    /// The folders of the partitions, each with its columns and rows.
    fn places(&self, columns: &[Column], rows: Rows) -> Result<Vec<(String, Vec<Column>, Rows)>, Failed> {
        let Some(partition) = &self.partition else { return Ok(vec![(String::new(), columns.to_vec(), rows)]) };
        let find = |name: &String| {
            let missing = || Refused::Wrong(format!("column {name:?} of PARTITION BY is not in the query"));
            columns.iter().position(|column| column.name == *name).ok_or_else(missing)
        };
        let keys = partition.columns.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let kept: Vec<_> = (0..columns.len()).filter(|n| partition.include || !keys.contains(n)).collect();
        if kept.is_empty() {
            return Err(Refused::Wrong("PARTITION BY leaves no column for the files".to_owned()).into());
        }
        let mut places = BTreeMap::<String, Rows>::new();
        for row in rows {
            let part = |key: &usize| format!("{}={}/", columns[*key].name, hive(row[*key].as_deref()));
            let kept = kept.iter().map(|n| row[*n].clone()).collect();
            places.entry(keys.iter().map(part).collect()).or_default().push(kept);
        }
        let columns: Vec<_> = kept.iter().map(|n| columns[*n].clone()).collect();
        Ok(places.into_iter().map(|(place, rows)| (place, columns.clone(), rows)).collect())
    }

    /// The files of a slice, not compressed.
    fn contents(&self, columns: &[Column], rows: &Rows) -> Result<Vec<Vec<u8>>, Failed> {
        let mut head = String::new();
        let lines: Vec<_> = match &self.format {
            Format::Parquet => {
                let kinds =
                    columns.iter().enumerate().map(|(n, column)| Ok((column.name.clone(), kind(column, n, rows)?)));
                let kinds = kinds.collect::<Result<Vec<_>, Refused>>()?;
                return Ok(vec![parquet::write(&kinds, rows).map_err(|why| scan(&self.to, why))?]);
            }
            Format::Json => rows.iter().map(|row| object(columns, row)).collect(),
            Format::Text(style) => {
                if style.header {
                    let names: Vec<_> = columns.iter().map(|column| Some(column.name.clone())).collect();
                    let texts = columns.iter().map(|c| Column { of: Type::VARCHAR, ..c.clone() });
                    head = style.line(&texts.collect::<Vec<_>>(), &names);
                }
                rows.iter().map(|row| style.line(columns, row)).collect()
            }
        };
        let mut files = vec![head.clone()];
        for line in lines {
            if let Some(last) = files.last_mut() {
                let size = u64::try_from(last.len() + line.len()).unwrap_or(u64::MAX);
                if size <= self.largest || last.len() == head.len() {
                    last.push_str(&line);
                    continue;
                }
            }
            files.push(head.clone() + &line);
        }
        Ok(files.into_iter().map(String::into_bytes).collect())
    }
}

/// A value as Redshift unloads it, of what PostgreSQL writes.
fn written(of: &Type, text: &str) -> String {
    match *of {
        Type::BYTEA => text.strip_prefix("\\x").unwrap_or(text).to_owned(),
        _ => text.to_owned(),
    }
}

/// A partition's value in a path.
fn hive(value: Option<&str>) -> String {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return NO_KEY.to_owned() };
    let dots = value.chars().all(|c| c == '.');
    let escaped = |c: char| {
        let special = c.is_ascii_control() || "\"#%'*/:=?\\{}[]^".contains(c) || (dots && c == '.');
        if special { format!("%{:02X}", u32::from(c)) } else { c.to_string() }
    };
    value.chars().map(escaped).collect()
}

impl Style {
    fn line(&self, columns: &[Column], row: &[Option<String>]) -> String {
        let mut line = String::new();
        for (n, (column, value)) in columns.iter().zip(row).enumerate() {
            if n > 0 {
                line.push(self.delimiter);
            }
            match value {
                None => line.push_str(&self.null),
                Some(value) => self.value(column, value, &mut line),
            }
        }
        line.push('\n');
        line
    }

    fn value(&self, column: &Column, value: &str, line: &mut String) {
        let special = |c: char| c == self.delimiter || "\"\r\n".contains(c);
        if self.csv {
            match value.contains(special) {
                true => line.push_str(&format!("\"{}\"", value.replace('"', "\"\""))),
                false => line.push_str(value),
            }
            return;
        }
        let is_text = ![Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::NUMERIC].contains(&column.of);
        let quote = if self.add_quotes { "\"" } else { "" };
        line.push_str(quote);
        for c in value.chars() {
            let quotes = self.add_quotes && "\"'".contains(c);
            if self.escape && is_text && (c == self.delimiter || "\\\r\n".contains(c) || quotes) {
                line.push('\\');
            }
            line.push(c);
        }
        line.push_str(quote);
    }
}

/// A line of JSON. A boolean is `t` or `f`.
fn object(columns: &[Column], row: &[Option<String>]) -> String {
    let pairs = columns.iter().zip(row).map(|(column, value)| {
        let value = match (value, &column.of) {
            (None, _) => "null".to_owned(),
            (Some(value), &Type::JSONB | &Type::JSON) => value.clone(),
            (Some(value), &Type::INT2 | &Type::INT4 | &Type::INT8 | &Type::NUMERIC | &Type::FLOAT4 | &Type::FLOAT8)
                if !value.contains(['N', 'I']) =>
            {
                value.clone()
            }
            (Some(value), _) => json!(value).to_string(),
        };
        format!("{}:{value}", json!(column.name))
    });
    format!("{{{}}}\n", pairs.collect::<Vec<_>>().join(","))
}

/// What Parquet keeps a column as.
fn kind(column: &Column, n: usize, rows: &Rows) -> Result<Kind, Refused> {
    Ok(match column.of {
        Type::BOOL => Kind::Bool,
        Type::INT2 => Kind::Short,
        Type::INT4 => Kind::Int,
        Type::INT8 | Type::OID => Kind::Long,
        Type::FLOAT4 => Kind::Float,
        Type::FLOAT8 => Kind::Double,
        Type::DATE => Kind::Date,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => Kind::Timestamp,
        Type::NUMERIC if column.modifier >= 4 => {
            Kind::Decimal((column.modifier - 4) >> 16, (column.modifier - 4) & 0xffff)
        }
        Type::NUMERIC => {
            // One that was computed has no scale here, unlike on Redshift.
            let scale = |row: &Vec<Option<String>>| row[n].as_deref().and_then(|v| Some(v.split_once('.')?.1.len()));
            let scale = rows.iter().filter_map(scale).max().unwrap_or(0);
            Kind::Decimal(38, i32::try_from(scale).unwrap_or(38))
        }
        Type::BYTEA => {
            return Err(Refused::Wrong(format!(
                "the VARBYTE column {:?} can only be unloaded to text or CSV",
                column.name
            )));
        }
        _ => Kind::Text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(rest: &str) -> Unload {
        unload(&format!("UNLOAD ('SELECT ''a''') TO 's3://b/k_' IAM_ROLE default {rest}")).expect(rest).expect(rest)
    }

    fn column(name: &str, of: Type) -> Column {
        Column { name: name.into(), of, modifier: -1 }
    }

    fn names(unload: &Unload, rows: usize) -> Vec<String> {
        let rows = (0..rows).map(|n| vec![Some(n.to_string()), None]).collect();
        let files = unload.files(&[column("a", Type::INT4), column("b", Type::VARCHAR)], rows).expect("files");
        files.into_iter().map(|(url, _)| url).collect()
    }

    #[test]
    fn an_unload_is_read_with_its_options() {
        let plain = parsed("");
        assert_eq!((plain.select.as_str(), plain.to.as_str(), plain.parallel), ("SELECT 'a'", "s3://b/k_", true));
        let all = parsed(
            "FORMAT AS CSV DELIMITER AS ';' HEADER NULL AS 'nil' PARALLEL OFF MANIFEST GZIP CLEANPATH MAXFILESIZE AS 5 MB REGION 'eu-west-1' ENCRYPTED;",
        );
        let style =
            Style { csv: true, delimiter: ';', header: true, add_quotes: false, escape: false, null: "nil".into() };
        assert_eq!(all.format, Format::Text(style));
        assert_eq!(
            (all.compression, all.manifest, all.clean, all.parallel, all.largest),
            (Compression::Gzip, true, true, false, 5_000_000)
        );
        let parted = unload(
            "UNLOAD ($$SELECT 'a'$$) TO 's3://b/k' FORMAT PARQUET PARTITION BY (a, \"B\") INCLUDE ALLOWOVERWRITE",
        )
        .expect("read")
        .expect("one");
        assert_eq!((parted.to.as_str(), parted.select.as_str(), parted.overwrite), ("s3://b/k/", "SELECT 'a'", true));
        assert_eq!(parted.partition, Some(Partition { columns: vec!["a".into(), "B".into()], include: true }));
        assert_eq!(unload("SELECT 1"), Ok(None));
        for (sql, text) in [
            ("UNLOAD ('SELECT 1') TO 's3://b/' BZIP2", "the option BZIP2 of UNLOAD: GZIP or ZSTD"),
            (
                "UNLOAD ('SELECT 1') TO 's3://b/' MANIFEST VERBOSE",
                "the option MANIFEST of UNLOAD: MANIFEST without VERBOSE",
            ),
            ("UNLOAD ('SELECT 1') TO 's3://b/' PARQUET HEADER", "HEADER is not supported for UNLOAD with PARQUET"),
            ("UNLOAD ('SELECT 1') TO 's3://b/' CSV JSON", "CSV is not supported for UNLOAD with JSON"),
            ("UNLOAD ('SELECT 1') TO 's3://b/' CLEANPATH ALLOWOVERWRITE", "CLEANPATH is not supported"),
            ("UNLOAD ('SELECT 1') TO 's3://b/' MAXFILESIZE 1 MB", "between 5 MB"),
            ("UNLOAD ('SELECT 1 LIMIT 1') TO 's3://b/'", "Limit clause is not supported"),
            ("UNLOAD ('DELETE FROM t') TO 's3://b/'", "UNLOAD takes a SELECT"),
            ("UNLOAD ('SELECT 1') TO '/tmp/x'", "UNLOAD is written as"),
            ("UNLOAD t TO 's3://b/'", "UNLOAD is written as"),
            ("UNLOAD", "UNLOAD is written as"),
        ] {
            let error = unload(sql).expect_err(sql).to_string();
            assert!(error.contains(text), "{sql}: {error}");
        }
    }

    #[test]
    fn files_are_named_as_redshift_names_them() {
        for (rest, rows, expected) in [
            ("", 3, &["s3://b/k_0000_part_00", "s3://b/k_0001_part_00"][..]),
            ("", 1, &["s3://b/k_0000_part_00"]),
            ("", 0, &[]),
            ("CSV PARALLEL OFF GZIP", 3, &["s3://b/k_000.gz"]),
            ("PARQUET", 2, &["s3://b/k_0000_part_00.parquet", "s3://b/k_0001_part_00.parquet"]),
            ("ZSTD PARALLEL OFF PARTITION BY (a)", 2, &["s3://b/k_/a=0/000.zst", "s3://b/k_/a=1/000.zst"]),
        ] {
            assert_eq!(names(&parsed(rest), rows), expected, "{rest}");
        }
        let small = Unload { largest: 6, ..parsed("PARALLEL OFF") };
        assert_eq!(names(&small, 5), ["s3://b/k_000", "s3://b/k_001", "s3://b/k_002"]);
        assert_eq!(hive(Some("a/b: ..")), "a%2Fb%3A ..");
        assert_eq!((hive(Some("..")), hive(None)), ("%2E%2E".to_owned(), NO_KEY.to_owned()));
    }

    #[test]
    fn lines_are_written_as_unload_writes_them() {
        let columns = [column("id", Type::INT4), column("is", Type::BOOL), column("t|t", Type::VARCHAR)];
        let row = |text: &str| vec![Some("-1".to_owned()), None, Some(text.to_owned())];
        for (rest, text, expected) in [
            ("", "a\"b", "-1||a\"b\n"),
            ("NULL AS 'nil' ESCAPE", "a|b\\\n", "-1|nil|a\\|b\\\\\\\n\n"),
            ("ADDQUOTES ESCAPE", "it's", "\"-1\"||\"it\\'s\"\n"),
            ("CSV", "a,\"b\"", "-1,,\"a,\"\"b\"\"\"\n"),
            ("CSV", "a|b", "-1,,a|b\n"),
            ("HEADER", "x", "id|is|t|t\n-1||x\n"),
            ("CSV DELIMITER '|' HEADER", "x", "id|is|\"t|t\"\n-1||x\n"),
            ("JSON", "é\"", "{\"id\":-1,\"is\":null,\"t|t\":\"é\\\"\"}\n"),
        ] {
            let contents = parsed(rest).contents(&columns, &vec![row(text)]).expect(rest);
            assert_eq!(contents, [expected.as_bytes()], "{rest}");
        }
    }
}
