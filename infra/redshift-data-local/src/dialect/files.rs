//! Files in a folder that stands for S3: what COPY loads, and what external tables show. CSV and delimited text, not compressed.

use std::path::{Path, PathBuf};

use futures_util::SinkExt;
use tokio_postgres::Client;

use super::Refused;
use super::expression::{closing, split};
use super::lex::{Token, lex};
use super::statement::{literal, name};

/// Why files were not loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error(transparent)]
    Engine(#[from] tokio_postgres::Error),
    #[error("cannot read {0}: {1}")]
    File(String, std::io::Error),
}

/// How the values of a line are written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Format {
    delimiter: String,
    /// None if quotes are characters as others.
    quote: Option<String>,
    header: usize,
    null: String,
}

/// A COPY from S3.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    table: String,
    columns: Vec<String>,
    from: String,
    format: Format,
}

/// The COPY that some SQL is; nothing if it is something else.
///
/// # Errors
/// What a COPY has that is not done here.
pub(crate) fn copy(sql: &str) -> Result<Option<Copy>, Refused> {
    let lexed = lex(sql)?;
    let tokens = &lexed.tokens[..];
    if !tokens.first().is_some_and(|t| t.is("copy")) {
        return Ok(None);
    }
    let wrong =
        || Refused::Wrong("COPY is written as COPY table [(columns)] FROM 's3://...' and its options".to_owned());
    let (table, mut at) = name(tokens, 1).ok_or_else(wrong)?;
    let mut columns = Vec::new();
    if let Some(close) = closing(tokens, at) {
        columns = split(&tokens[at + 1..close], |t| t.is(",")).iter().filter_map(|c| c.first()?.name()).collect();
        at = close + 1;
    }
    let from = tokens.get(at + 1).and_then(Token::literal).filter(|_| tokens[at].is("from")).ok_or_else(wrong)?;
    if !from.starts_with("s3://") {
        return Err(Refused::lacking("COPY from elsewhere than S3", "COPY from 's3://...', which is a folder here"));
    }
    let mut format = Format { delimiter: String::new(), quote: None, header: 0, null: "\\N".to_owned() };
    let mut at = at + 2;
    let mut delimiter = None;
    while let Some(token) = tokens.get(at) {
        let mut value = at + 1;
        if tokens.get(value).is_some_and(|t| t.is("as")) {
            value += 1;
        }
        let given = tokens.get(value).and_then(Token::literal);
        at = match token.lower().as_str() {
            "format" | ";" => at + 1,
            "as" => at + 1,
            "csv" => {
                format.quote = Some("\"".to_owned());
                at + 1
            }
            "quote" => {
                format.quote = given;
                value + 1
            }
            "delimiter" => {
                delimiter = given;
                value + 1
            }
            "null" => {
                format.null = given.ok_or_else(wrong)?;
                value + 1
            }
            "ignoreheader" => {
                format.header = tokens.get(value).and_then(|t| t.text.parse().ok()).ok_or_else(wrong)?;
                value + 1
            }
            // Who may read, and how it is stored, mean nothing here.
            "iam_role" | "region" | "credentials" | "access_key_id" | "secret_access_key" | "session_token"
            | "compupdate" | "statupdate" | "comprows" => value + 1,
            "dateformat" | "timeformat" => {
                let format = given.unwrap_or_default().to_lowercase();
                if format != "auto" && !format.starts_with("mm/dd/yyyy") && !format.starts_with("yyyy-mm-dd") {
                    return Err(Refused::lacking(
                        format!("the {} {format}", token.lower()),
                        "'auto', or a column of text and TO_DATE",
                    ));
                }
                value + 1
            }
            _ => {
                return Err(Refused::lacking(
                    format!("the option {} of COPY", token.text.to_uppercase()),
                    "CSV, DELIMITER, QUOTE, NULL and IGNOREHEADER are done",
                ));
            }
        };
    }
    format.delimiter = delimiter.unwrap_or_else(|| if format.quote.is_some() { "," } else { "|" }.to_owned());
    Ok(Some(Copy { table, columns, from, format }))
}

impl Copy {
    /// Loads the files; the rows that it loaded.
    ///
    /// # Errors
    /// Files that cannot be read, values that do not fit.
    pub(crate) async fn run(&self, client: &Client, folder: &Path) -> Result<u64, Failed> {
        let files = files(folder, &self.from)?;
        if files.is_empty() {
            return Err(Refused::Wrong(format!("The specified S3 prefix {:?} does not exist", self.from)).into());
        }
        let mut rows = 0;
        for file in files {
            rows += load(client, &self.table, &self.columns, &[], &file, &self.format).await?;
        }
        Ok(rows)
    }
}

/// The files under a location, in their order: every file of whose path it is the beginning. Those that are hidden are none.
fn files(folder: &Path, location: &str) -> Result<Vec<PathBuf>, Failed> {
    let key = location.strip_prefix("s3://").unwrap_or(location);
    if key.split('/').any(|part| part == "..") {
        return Err(Refused::Wrong(format!("{location:?} leaves its bucket")).into());
    }
    let (parent, prefix) = key.rsplit_once('/').unwrap_or(("", key));
    let mut found = Vec::new();
    let mut open = vec![folder.join(parent)];
    while let Some(dir) = open.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failed::File(location.to_owned(), error)),
        };
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let file_name = file_name.to_string_lossy();
            let top = dir == folder.join(parent);
            if file_name.starts_with(['.', '_']) || (top && !file_name.starts_with(prefix)) {
                continue;
            }
            match entry.path() {
                path if path.is_dir() => open.push(path),
                path => found.push(path),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// One file into a table: as text first, because an empty field of a number or a date is NULL on Redshift, and one of a VARCHAR is empty.
async fn load(
    client: &Client,
    table: &str,
    columns: &[String],
    keys: &[String],
    file: &Path,
    format: &Format,
) -> Result<u64, Failed> {
    let unreadable = |e| Failed::File(file.display().to_string(), e);
    let known = client
        .query(
            "SELECT CAST(quote_ident(a.attname) AS VARCHAR), CAST(a.attname AS VARCHAR), format_type(a.atttypid, a.atttypmod),
                t.typcategory = 'S' OR a.atttypid = 'bytea'::regtype
            FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = CAST(CAST($1 AS VARCHAR) AS REGCLASS) AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
            ORDER BY a.attnum",
            &[&table],
        )
        .await?;
    let of = |row: &tokio_postgres::Row| {
        (row.get::<_, String>(0), row.get::<_, String>(1), row.get::<_, String>(2), row.get::<_, bool>(3))
    };
    let all: Vec<_> = known.iter().map(of).collect();
    let (of_file, of_place) = all.split_at(all.len().saturating_sub(keys.len()));
    let mut chosen = Vec::new();
    for column in columns {
        let found = of_file.iter().find(|(_, name, ..)| name == column);
        chosen.push(found.ok_or_else(|| Refused::Wrong(format!("column {column:?} of {table} does not exist")))?);
    }
    if columns.is_empty() {
        chosen.extend(of_file);
    }
    let fields: Vec<_> = (0..chosen.len()).map(|n| format!("c{n} TEXT")).collect();
    client.batch_execute(&format!("CREATE TEMP TABLE copy_of_a_file ({})", fields.join(", "))).await?;
    // A character that no text has stands for no quotes.
    let quote = format.quote.as_deref().unwrap_or("\u{1}");
    let sink = client
        .copy_in::<_, std::io::Cursor<Vec<u8>>>(&format!(
            "COPY copy_of_a_file FROM STDIN WITH (FORMAT csv, DELIMITER {}, QUOTE {}, NULL {})",
            literal(&format.delimiter),
            literal(quote),
            literal(&format.null)
        ))
        .await?;
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let rest = bytes.split_inclusive(|byte| *byte == b'\n').skip(format.header).map(<[u8]>::len).sum::<usize>();
    let lines = bytes[bytes.len() - rest..].to_vec();
    let mut sink = std::pin::pin!(sink);
    sink.send(std::io::Cursor::new(lines)).await?;
    sink.finish().await?;
    let values = chosen.iter().enumerate().map(|(n, (_, _, of, is_text))| match is_text {
        true => format!("CAST(c{n} AS {of})"),
        false => format!("CAST(NULLIF(TRIM(c{n}), '') AS {of})"),
    });
    let places = of_place.iter().zip(keys).map(|((_, _, of, _), key)| format!("CAST({} AS {of})", literal(key)));
    let names = chosen.iter().map(|(name, ..)| name.as_str()).chain(of_place.iter().map(|(name, ..)| name.as_str()));
    let rows = client
        .execute(
            &format!(
                "INSERT INTO {table} ({}) SELECT {} FROM copy_of_a_file",
                names.collect::<Vec<_>>().join(", "),
                values.chain(places).collect::<Vec<_>>().join(", ")
            ),
            &[],
        )
        .await?;
    client.batch_execute("DROP TABLE copy_of_a_file").await?;
    Ok(rows)
}

/// Brings the rows of the external tables up to their files, if those have changed: all files of a table without partition keys, of
/// another those of its registered partitions.
///
/// # Errors
/// Files that cannot be read, values that do not fit.
pub(crate) async fn refresh(client: &Client, folder: &Path) -> Result<(), Failed> {
    let tables = client
        .query(
            "SELECT CAST(CAST(e.place AS REGCLASS) AS VARCHAR), e.location, e.keys, e.delimiter, e.quote, e.header, e.loaded, e.place
            FROM redshift_catalog.external_tables e JOIN pg_class c ON c.oid = e.place WHERE e.format = 'textfile'",
            &[],
        )
        .await?;
    for row in tables {
        let (table, location, keys): (String, String, i32) = (row.get(0), row.get(1), row.get(2));
        let (loaded, place): (Option<String>, u32) = (row.get(6), row.get(7));
        let mut places = vec![(Vec::new(), location)];
        if keys > 0 {
            let sql = "SELECT key_values, location FROM redshift_catalog.external_partitions WHERE place = $1 ORDER BY key_values";
            places = client.query(sql, &[&place]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
        }
        let (mut found, mut state) = (Vec::new(), String::new());
        for (values, location) in places {
            for file in files(folder, &location)? {
                let about = std::fs::metadata(&file).map_err(|e| Failed::File(file.display().to_string(), e))?;
                state.push_str(&format!("{values:?} {file:?} {} {:?}\n", about.len(), about.modified().ok()));
                found.push((values.clone(), file));
            }
        }
        if loaded.as_deref() == Some(state.as_str()) {
            continue;
        }
        let format = Format {
            delimiter: row.get::<_, Option<String>>(3).unwrap_or_else(|| ",".to_owned()),
            quote: row.get(4),
            header: usize::try_from(row.get::<_, i32>(5)).unwrap_or(0),
            null: "\\N".to_owned(),
        };
        client.batch_execute(&format!("BEGIN; LOCK TABLE {table}; DELETE FROM {table}")).await?;
        let read = async {
            for (values, file) in &found {
                load(client, &table, &[], values, file, &format).await?;
            }
            let sql = "UPDATE redshift_catalog.external_tables SET loaded = $1 WHERE place = $2";
            client.execute(sql, &[&state, &place]).await?;
            Ok(())
        };
        let read: Result<(), Failed> = read.await;
        client.batch_execute(if read.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        read?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_read_with_its_options() {
        let sql =
            "COPY dev.t (a, b) FROM 's3://b/k' IAM_ROLE default CSV IGNOREHEADER AS 1 NULL AS '-' REGION 'us-east-1';";
        let format = Format { delimiter: ",".into(), quote: Some("\"".into()), header: 1, null: "-".into() };
        let expected =
            Copy { table: "dev.t".into(), columns: vec!["a".into(), "b".into()], from: "s3://b/k".into(), format };
        assert_eq!(copy(sql), Ok(Some(expected)));
        let delimited =
            copy("copy t from 's3://b/k' iam_role 'arn:x' delimiter '\\t' timeformat 'MM/DD/YYYY HH:MI:SS'");
        assert_eq!(delimited.map(|c| c.map(|c| c.format.delimiter)), Ok(Some("\t".to_owned())));
        assert_eq!(copy("SELECT 1"), Ok(None));
        for (sql, text) in [
            ("COPY t FROM 's3://b/k' IAM_ROLE default FORMAT AS PARQUET", "the option PARQUET of COPY"),
            ("COPY t FROM 's3://b/k' GZIP", "the option GZIP of COPY"),
            ("COPY t FROM 'dynamodb://t'", "COPY from elsewhere than S3"),
            ("COPY t FROM", "COPY is written as"),
        ] {
            assert!(copy(sql).expect_err(sql).to_string().contains(text), "{sql}");
        }
    }

    #[test]
    fn a_location_is_the_beginning_of_its_files_paths() {
        let root = std::env::temp_dir().join(format!("redshift-data-local-{}", std::process::id()));
        for name in ["b/x/one.csv", "b/x/one.txt", "b/x/sub/two.csv", "b/x/_SUCCESS", "b/xy.csv"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, "").expect("a file");
        }
        let found = |location| {
            let files = files(&root, location).expect(location);
            files.iter().map(|f| f.strip_prefix(&root).expect("below").display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("s3://b/x/"), ["b/x/one.csv", "b/x/one.txt", "b/x/sub/two.csv"]);
        assert_eq!(found("s3://b/x"), ["b/x/one.csv", "b/x/one.txt", "b/x/sub/two.csv", "b/xy.csv"]);
        assert_eq!(found("s3://b/x/one.c"), ["b/x/one.csv"]);
        assert_eq!(found("s3://nothing/"), [""; 0]);
        assert!(files(&root, "s3://b/../../etc/").is_err());
        std::fs::remove_dir_all(root).expect("gone");
    }
}
