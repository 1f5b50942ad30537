//! COPY from S3.

use std::path::Path;

use tokio_postgres::Client;

use super::folder::{Compression, File, Folder};
use super::parquet::By;
use super::table::{Long, Rules, Target, Times};
use super::text::{Json, JsonPath, Quotes, Text, Width, byte};
use super::{Cancelled, Failed, Format, counted, unless};
use crate::dialect::Refused;
use crate::dialect::expression::{closing, split};
use crate::dialect::lex::{Token, lex};
use crate::dialect::statement::name;

/// A COPY from S3.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    table: String,
    columns: Vec<String>,
    from: String,
    options: Options,
}

/// What follows the place.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    format: Format,
    compression: Compression,
    manifest: bool,
    /// The file of the JSONPaths.
    paths: Option<String>,
    rules: Rules,
}

/// The COPY that some SQL is; nothing if it is something else.
///
/// # Errors
/// What a COPY has that is not done here.
pub(super) fn copy(sql: &str) -> Result<Option<Copy>, Refused> {
    let lexed = lex(sql)?;
    let tokens = &lexed.tokens[..];
    if !tokens.first().is_some_and(|t| t.is("copy")) {
        return Ok(None);
    }
    let (table, mut at) = name(tokens, 1).ok_or_else(wrong)?;
    let mut columns = Vec::new();
    if let Some(close) = closing(tokens, at) {
        columns = split(&tokens[at + 1..close], |t| t.is(",")).iter().filter_map(|c| c.first()?.name()).collect();
        at = close + 1;
    }
    let is_from = tokens.get(at).is_some_and(|t| t.is("from"));
    let from = tokens.get(at + 1).and_then(Token::literal).filter(|_| is_from).ok_or_else(wrong)?;
    if !from.starts_with("s3://") {
        return Err(Refused::lacking("COPY from elsewhere than S3", "COPY from 's3://...', which is a folder here"));
    }
    Ok(Some(Copy { table, columns, from, options: Written::read(&tokens[at + 2..])?.options()? }))
}

fn wrong() -> Refused {
    Refused::Wrong("COPY is written as COPY table [(columns)] FROM 's3://...' and its options".to_owned())
}

fn together(one: &str, other: &str) -> Refused {
    Refused::Wrong(format!("{one} is not compatible with {other}"))
}

/// The options as they are read, one after the other.
#[derive(Default)]
struct Written {
    csv: bool,
    json: Option<Json>,
    paths: Option<String>,
    parquet: bool,
    quote: Option<String>,
    delimiter: Option<String>,
    remove_quotes: bool,
    text: Text,
    compression: Option<Compression>,
    manifest: bool,
    rules: Rules,
    /// Those that only text has.
    of_text: Vec<String>,
}

impl Written {
    fn read(tokens: &[Token<'_>]) -> Result<Self, Refused> {
        let mut all = Self::default();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            let option = token.lower();
            if ["format", "as", "with", ";"].contains(&option.as_str()) {
                continue;
            }
            let value = at + usize::from(tokens.get(at).is_some_and(|t| t.is("as")));
            at = if all.take(&option, tokens.get(value))? { value + 1 } else { at };
        }
        Ok(all)
    }

    /// Takes an option; whether it took the value as well.
    fn take(&mut self, option: &str, value: Option<&Token<'_>>) -> Result<bool, Refused> {
        let literal = value.and_then(Token::literal);
        let needed = || literal.clone().ok_or_else(wrong);
        let number = || {
            let text = literal.clone().or_else(|| value.map(|t| t.text.to_owned()));
            text.and_then(|text| text.parse::<usize>().ok()).ok_or_else(wrong)
        };
        let is_text_option = [
            "delimiter",
            "quote",
            "null",
            "ignoreheader",
            "removequotes",
            "escape",
            "fillrecord",
            "ignoreblanklines",
            "blanksasnull",
            "emptyasnull",
            "trimblanks",
            "truncatecolumns",
            "roundec",
            "dateformat",
            "timeformat",
            "explicit_ids",
            "encoding",
        ]
        .contains(&option);
        if is_text_option {
            self.of_text.push(option.to_uppercase());
        }
        match option {
            "csv" => self.csv = true,
            "parquet" => self.parquet = true,
            "json" => return self.json(literal.as_deref()),
            "gzip" => self.compression = Some(Compression::Gzip),
            "zstd" => self.compression = Some(Compression::Zstd),
            "manifest" => self.manifest = true,
            "removequotes" => self.remove_quotes = true,
            "escape" => self.text.escape = true,
            "fillrecord" => self.text.width = Width::Filled,
            "ignoreblanklines" => self.text.skip_blank_lines = true,
            "blanksasnull" => self.rules.blanks_as_null = true,
            "emptyasnull" => self.rules.empty_as_null = true,
            "trimblanks" => self.rules.trim_blanks = true,
            "truncatecolumns" => self.rules.long = Long::Cut,
            "roundec" => self.rules.rounds = true,
            "explicit_ids" => self.rules.explicit_ids = true,
            // What the columns of a SUPER are loaded from is JSON here anyway.
            "serializetojson" => {}
            "acceptinvchars" => {
                self.text.replacement = Some(literal.as_deref().and_then(|text| text.chars().next()).unwrap_or('?'));
                return Ok(literal.is_some());
            }
            // How the table is stored means nothing here.
            "compupdate" | "statupdate" => {
                return Ok(value.is_some_and(|t| t.is_any(&["on", "off", "true", "false", "preset"])));
            }
            "comprows" | "readratio" => return number().map(|_| true),
            // Nor does who may read, and where.
            "iam_role" | "region" | "credentials" | "access_key_id" | "secret_access_key" | "session_token" => {
                return Ok(true);
            }
            "quote" => self.quote = Some(needed()?),
            "delimiter" => self.delimiter = Some(needed()?),
            // Not what a backslash makes of them elsewhere. [Amazon Redshift Database Developer Guide, "Data format parameters", NULL AS]
            "null" => {
                self.text.null = match value.map(|t| t.text) {
                    Some("'\\N'") => "\\N".to_owned(),
                    Some("'\\0'" | "'\\000'") => "\0".to_owned(),
                    _ => needed()?,
                }
            }
            "ignoreheader" => self.text.header = number()?,
            "encoding"
                if literal.as_deref().or(value.map(|t| t.text)).is_some_and(|e| e.eq_ignore_ascii_case("utf8")) => {}
            "maxerror" if number()? == 0 => {}
            "dateformat" => self.rules.dates = times(&needed()?),
            "timeformat" => self.rules.times = times(&needed()?),
            _ => return Err(refused(option)),
        }
        Ok(["quote", "delimiter", "null", "ignoreheader", "encoding", "maxerror", "dateformat", "timeformat"]
            .contains(&option))
    }

    fn json(&mut self, option: Option<&str>) -> Result<bool, Refused> {
        self.json = Some(match option {
            None | Some("auto") => Json::Auto,
            Some("auto ignorecase") => Json::IgnoreCase,
            Some("noshred") => Json::Whole,
            Some(place) if place.starts_with("s3://") => {
                self.paths = Some(place.to_owned());
                Json::Paths(Vec::new())
            }
            Some(other) => return Err(Refused::Wrong(format!("{other:?} is not an option of JSON"))),
        });
        Ok(option.is_some())
    }

    fn options(mut self) -> Result<Options, Refused> {
        let format = match (self.json, self.parquet) {
            (Some(_), true) => return Err(together("JSON", "PARQUET")),
            (None, true) => {
                // [Amazon Redshift Database Developer Guide, "COPY from columnar data formats"]
                if let Some(option) = self.of_text.first() {
                    return Err(together(option, "PARQUET"));
                }
                if self.csv || self.compression.is_some() {
                    return Err(together(if self.csv { "CSV" } else { "a compression" }, "PARQUET"));
                }
                Format::Parquet(By::Position)
            }
            (Some(json), false) => Format::Json(json),
            (None, false) => {
                let byte = |text: &str| {
                    byte(text).ok_or_else(|| Refused::Wrong(format!("{text:?} is not a single character")))
                };
                self.text.quotes = match (self.csv, &self.quote) {
                    (true, quote) => Quotes::Csv(byte(quote.as_deref().unwrap_or("\""))?),
                    (false, Some(_)) => return Err(together("QUOTE", "a format other than CSV")),
                    (false, None) if self.remove_quotes => Quotes::Removed,
                    (false, None) => Quotes::None,
                };
                if self.csv && (self.remove_quotes || self.text.escape) {
                    return Err(together(if self.text.escape { "ESCAPE" } else { "REMOVEQUOTES" }, "CSV"));
                }
                self.text.delimiter = byte(self.delimiter.as_deref().unwrap_or(if self.csv { "," } else { "|" }))?;
                Format::Text(self.text)
            }
        };
        let compression = self.compression.unwrap_or(Compression::None);
        Ok(Options { format, compression, manifest: self.manifest, paths: self.paths, rules: self.rules })
    }
}

/// What to use in place of an option.
fn refused(option: &str) -> Refused {
    let instead = match option {
        "maxerror" => "leave it out: the first error ends a COPY, as MAXERROR 0",
        "bzip2" | "lzop" => "GZIP or ZSTD",
        "fixedwidth" => "DELIMITER",
        "avro" | "orc" | "shapefile" => "PARQUET, JSON or CSV",
        "acceptanydate" => "a column of text and TO_DATE",
        "noload" => "COPY into a temporary table",
        "encoding" => "files in UTF-8",
        "encrypted" | "master_symmetric_key" => "files that are not encrypted on the client's side",
        _ => "the README lists the options that are done",
    };
    // What is no word may be a secret.
    if is_word(option) {
        Refused::lacking(format!("the option {} of COPY", option.to_uppercase()), instead)
    } else {
        wrong()
    }
}

/// Whether an option has the form of one.
pub(super) fn is_word(option: &str) -> bool {
    option.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A format of Redshift's as PostgreSQL has it: HH is of 24 hours.
/// [Amazon Redshift Database Developer Guide, "DATEFORMAT and TIMEFORMAT strings"]
fn times(format: &str) -> Times {
    match format {
        "auto" => Times::Auto,
        "epochsecs" => Times::Epoch(1),
        "epochmillisecs" => Times::Epoch(1000),
        // These PostgreSQL reads by itself, with what may follow the seconds.
        _ if ["yyyy-mm-dd", "mm/dd/yyyy"].iter().any(|known| format.to_lowercase().starts_with(known)) => Times::Auto,
        _ => {
            let format = format.to_uppercase();
            let of_24 =
                format.replace("HH24", "HH").replace("HH12", "\u{1}").replace("HH", "HH24").replace('\u{1}', "HH12");
            Times::Format(of_24)
        }
    }
}

impl Copy {
    /// Loads the files, all or none of them.
    ///
    /// # Errors
    /// Files that cannot be read, values that do not fit.
    pub(super) async fn run(&self, client: &Client, folder: &Path, mut cancelled: Cancelled<'_>) -> Result<(), Failed> {
        let files = self.files(Folder(folder))?;
        if files.is_empty() {
            return Err(missing(&self.from));
        }
        let Options { format, compression, rules, .. } = &self.options;
        let by_paths = self.options.paths.as_deref().map(|url| paths(Folder(folder), url)).transpose()?;
        let format = by_paths.as_ref().unwrap_or(format);
        let target = Target::of(client, &self.table, &self.columns, 0, rules).await?;
        target.open().await?;
        let mut count = 0;
        for file in files {
            let rows = unless(cancelled.as_mut(), format.rows(file, *compression, &target.columns));
            let rows = rows.await.map_err(|failed| self.failed(failed))?;
            count += rows.len();
            target.add(rows, &[]).await?;
        }
        target.close(rules, &counted("copy", count)).await.map_err(|failed| self.failed(failed))
    }

    fn is_parquet(&self) -> bool {
        matches!(self.options.format, Format::Parquet(_))
    }

    fn files(&self, folder: Folder<'_>) -> Result<Vec<File>, Failed> {
        if !self.options.manifest {
            return if self.is_parquet() { folder.shown(&self.from) } else { folder.files(&self.from) };
        }
        let manifest = folder.file(&self.from)?.ok_or_else(|| missing(&self.from))?;
        let listed: Manifest = serde_json::from_slice(&manifest.read(Compression::None)?)
            .map_err(|e| Refused::Wrong(format!("the manifest {:?} cannot be read: {e}", self.from)))?;
        let mut files = Vec::new();
        for entry in listed.entries {
            match folder.file(&entry.url)? {
                Some(file) => files.push(file),
                None if entry.mandatory => return Err(missing(&entry.url)),
                None => {}
            }
        }
        Ok(files)
    }

    /// What is wrong with a value is Redshift's failure of a load.
    fn failed(&self, failed: Failed) -> Failed {
        let table = self.table.rsplit('.').next().unwrap_or_default().trim_matches('"').to_owned();
        match failed {
            Failed::Scan(detail) if !self.is_parquet() => Failed::Load { table, detail },
            Failed::Engine(error) => match error.as_db_error() {
                // Data exceptions, and violations of constraints.
                Some(db) if ["22", "23"].contains(&&db.code().code()[..2]) => {
                    let detail = db.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
                    Failed::Load { table, detail: format!("{}{detail}", db.message()) }
                }
                _ => Failed::Engine(error),
            },
            other => other,
        }
    }
}

/// [Amazon Redshift Database Developer Guide, "Using a manifest to specify data files"]
#[derive(serde::Deserialize)]
struct Manifest {
    entries: Vec<Entry>,
}

#[derive(serde::Deserialize)]
struct Entry {
    url: String,
    #[serde(default)]
    mandatory: bool,
}

#[derive(serde::Deserialize)]
struct Paths {
    jsonpaths: Vec<String>,
}

/// The format that a file of JSONPaths gives.
fn paths(folder: Folder<'_>, url: &str) -> Result<Format, Failed> {
    let file = folder.file(url)?.ok_or_else(|| missing(url))?;
    let wrong = |why: String| Refused::Wrong(format!("Invalid JSONPath format in {url:?}: {why}"));
    let listed: Paths = serde_json::from_slice(&file.read(Compression::None)?).map_err(|e| wrong(e.to_string()))?;
    let parsed = listed.jsonpaths.iter().map(|path| JsonPath::parse(path).ok_or_else(|| wrong(path.clone())));
    Ok(Format::Json(Json::Paths(parsed.collect::<Result<_, _>>()?)))
}

/// In the service's words, which many tools look for.
fn missing(url: &str) -> Failed {
    let key = url.strip_prefix("s3://").unwrap_or(url);
    let key = key.split_once('/').map_or("", |(_, key)| key);
    Refused::Wrong(format!("The specified S3 prefix '{key}' does not exist")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(rest: &str) -> Options {
        copy(&format!("COPY t FROM 's3://b/k' IAM_ROLE default {rest}")).expect(rest).expect(rest).options
    }

    #[test]
    fn a_copy_is_read_with_its_options() {
        let sql =
            "COPY dev.t (a, b) FROM 's3://b/k' IAM_ROLE default CSV IGNOREHEADER AS 1 NULL AS '-' REGION 'us-east-1';";
        let text = Text { delimiter: b',', quotes: Quotes::Csv(b'"'), header: 1, null: "-".into(), ..Text::default() };
        let options = Options {
            format: Format::Text(text),
            compression: Compression::None,
            manifest: false,
            paths: None,
            rules: Rules::default(),
        };
        let expected =
            Copy { table: "dev.t".into(), columns: vec!["a".into(), "b".into()], from: "s3://b/k".into(), options };
        assert_eq!(copy(sql), Ok(Some(expected)));
        assert_eq!(copy("SELECT 1"), Ok(None));
    }

    #[test]
    fn each_option_is_taken() {
        let plain = Text::default();
        for (rest, text) in [
            ("delimiter '\\t' timeformat 'MM/DD/YYYY HH:MI:SS'", Text { delimiter: b'\t', ..plain.clone() }),
            (
                "WITH DELIMITER AS '\\036' REMOVEQUOTES ESCAPE",
                Text { delimiter: 0o36, quotes: Quotes::Removed, escape: true, ..plain.clone() },
            ),
            (
                "FORMAT AS CSV QUOTE AS '''' DELIMITER ';'",
                Text { delimiter: b';', quotes: Quotes::Csv(b'\''), ..plain.clone() },
            ),
            (
                "FILLRECORD IGNOREBLANKLINES ACCEPTINVCHARS AS '^' COMPUPDATE STATUPDATE OFF",
                Text { width: Width::Filled, skip_blank_lines: true, replacement: Some('^'), ..plain.clone() },
            ),
            ("ACCEPTINVCHARS MAXERROR AS 0 ENCODING UTF8 COMPROWS 10", Text { replacement: Some('?'), ..plain }),
        ] {
            assert_eq!(options(rest).format, Format::Text(text), "{rest}");
        }
        let all = options(
            "GZIP MANIFEST BLANKSASNULL EMPTYASNULL TRIMBLANKS TRUNCATECOLUMNS ROUNDEC EXPLICIT_IDS TIMEFORMAT 'epochmillisecs' DATEFORMAT AS 'DD.MM.YY HH'",
        );
        assert_eq!((all.compression, all.manifest), (Compression::Gzip, true));
        let rules = Rules {
            blanks_as_null: true,
            empty_as_null: true,
            trim_blanks: true,
            long: Long::Cut,
            rounds: true,
            dates: Times::Format("DD.MM.YY HH24".into()),
            times: Times::Epoch(1000),
            explicit_ids: true,
        };
        assert_eq!(all.rules, rules);
        assert_eq!(options("FORMAT AS PARQUET SERIALIZETOJSON").format, Format::Parquet(By::Position));
        assert_eq!(options("JSON 's3://b/paths' MANIFEST").paths.as_deref(), Some("s3://b/paths"));
        assert_eq!(options("FORMAT JSON").format, Format::Json(Json::Auto));
        assert_eq!(options("JSON AS 'auto ignorecase' ZSTD").format, Format::Json(Json::IgnoreCase));
    }

    #[test]
    fn what_is_not_done_is_named() {
        for (rest, text) in [
            ("BZIP2", "does not do the option BZIP2 of COPY: GZIP or ZSTD"),
            ("MAXERROR 5", "does not do the option MAXERROR of COPY: leave it out"),
            ("FIXEDWIDTH 'a:1'", "does not do the option FIXEDWIDTH of COPY: DELIMITER"),
            ("FORMAT ORC", "does not do the option ORC of COPY: PARQUET"),
            ("JSON 'other'", "\"other\" is not an option of JSON"),
            ("ENCODING UTF16", "does not do the option ENCODING of COPY"),
            ("NONSENSE", "does not do the option NONSENSE of COPY"),
            ("PARQUET DELIMITER ','", "DELIMITER is not compatible with PARQUET"),
            ("PARQUET GZIP", "a compression is not compatible with PARQUET"),
            ("CSV ESCAPE", "ESCAPE is not compatible with CSV"),
            ("QUOTE '\"'", "QUOTE is not compatible with a format other than CSV"),
            ("DELIMITER '||'", "\"||\" is not a single character"),
            ("DELIMITER", "COPY is written as"),
        ] {
            let error = copy(&format!("COPY t FROM 's3://b/k' {rest}")).expect_err(rest).to_string();
            assert!(error.contains(text), "{rest}: {error}");
        }
        for (sql, text) in [
            ("COPY t FROM 'dynamodb://t'", "COPY from elsewhere than S3"),
            ("COPY t FROM", "COPY is written as"),
            ("COPY t", "COPY is written as"),
        ] {
            assert!(copy(sql).expect_err(sql).to_string().contains(text), "{sql}");
        }
    }
}
