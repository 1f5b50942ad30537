//! The rows of external tables, from the files of their locations.

use std::path::Path;

use tokio_postgres::{Client, Row};

use super::folder::{Compression, File, Folder};
use super::parquet::By;
use super::table::{Long, Rules, Target};
use super::text::{Quotes, Text, Width, byte};
use super::{Cancelled, Failed, Format, Refused, unless};
use crate::dialect::first_words;

/// Brings the rows of the external tables up to their files, if those have changed: all files of a table without partition keys, of
/// another those of its registered partitions. SQL that may repair a table runs whether they can be read or not.
///
/// # Errors
/// Files that cannot be read, values that do not fit, a cancel. A transaction may be open then.
pub(crate) async fn refresh(
    client: &Client,
    folder: &Path,
    mut sqls: impl Iterator<Item = &str>,
    cancelled: Cancelled<'_>,
) -> Result<(), Failed> {
    let Err(failed) = all(client, folder, cancelled).await else { return Ok(()) };
    if failed.is_cancel() || !sqls.all(repairs) {
        return Err(failed);
    }
    tracing::warn!(%failed, "an external table could not be read");
    Ok(())
}

/// Whether SQL is of those that change an external table itself: a table whose files cannot be read must not stop its own repair.
fn repairs(sql: &str) -> bool {
    let words = first_words(sql, 2);
    matches!(words.first().map(String::as_str), Some("drop" | "alter")) || words == ["create", "external"]
}

async fn all(client: &Client, folder: &Path, mut cancelled: Cancelled<'_>) -> Result<(), Failed> {
    let tables = client
        .query(
            "SELECT CAST(CAST(e.place AS REGCLASS) AS VARCHAR), e.location, e.keys, e.delimiter, e.quote, e.header, e.loaded, e.place,
                e.format
            FROM redshift_catalog.external_tables e JOIN pg_class c ON c.oid = e.place",
            &[],
        )
        .await?;
    for row in tables {
        let files = files(client, Folder(folder), &row).await?;
        let mut state = String::new();
        for (values, file) in &files {
            state.push_str(&format!("{values:?} {}\n", file.version()?));
        }
        // A table that never had a file keeps what was inserted into it.
        if row.get::<_, Option<String>>(6).unwrap_or_default() == state {
            continue;
        }
        let (table, place): (String, u32) = (row.get(0), row.get(7));
        client.batch_execute("BEGIN").await?;
        let read = async {
            // One at a time brings it up to date, and nobody who reads it waits for that, or is waited for.
            let emptied = format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; DELETE FROM {table}");
            client.batch_execute(&emptied).await?;
            let loaded = load(client, &table, &row, files, cancelled.as_mut()).await;
            loaded.map_err(|failed| of_table(failed, &table))?;
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

/// The files of a table, each with the values of its partition's keys.
async fn files(client: &Client, folder: Folder<'_>, row: &Row) -> Result<Vec<(Vec<String>, File)>, Failed> {
    let (keys, place): (i32, u32) = (row.get(2), row.get(7));
    let mut places = vec![(Vec::new(), row.get(1))];
    if keys > 0 {
        let sql = "SELECT key_values, location FROM redshift_catalog.external_partitions WHERE place = $1 ORDER BY key_values";
        places = client.query(sql, &[&place]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    }
    let mut found = Vec::new();
    for (values, location) in places {
        let location: String = location;
        found.extend(folder.shown(&location)?.into_iter().map(|file| (values.clone(), file)));
    }
    Ok(found)
}

/// A value that does not fit is named with its table: the statement that fails may be about another.
fn of_table(failed: Failed, table: &str) -> Failed {
    match &failed {
        Failed::Engine(error) => match error.as_db_error() {
            Some(db) if db.code().code().starts_with("22") => Failed::Scan(format!("{table}: {}", db.message())),
            _ => failed,
        },
        _ => failed,
    }
}

async fn load(
    client: &Client,
    table: &str,
    row: &Row,
    files: Vec<(Vec<String>, File)>,
    mut cancelled: Cancelled<'_>,
) -> Result<(), Failed> {
    let format = format(row)?;
    let rules = Rules { long: Long::Null, ..Rules::default() };
    let keys = usize::try_from(row.get::<_, i32>(2)).unwrap_or(0);
    let target = Target::of(client, table, &[], keys, &rules).await?;
    target.open().await?;
    for (values, file) in files {
        let compression = if matches!(format, Format::Text(_)) { Compression::of(&file)? } else { Compression::None };
        let rows = unless(cancelled.as_mut(), format.rows(file, compression, &target.columns)).await?;
        target.add(rows, &values).await?;
    }
    target.close(&rules, "").await
}

fn format(row: &Row) -> Result<Format, Refused> {
    if row.get::<_, String>(8) == "parquet" {
        return Ok(Format::Parquet(By::Name));
    }
    let one = |text: &str| byte(text).ok_or_else(|| Refused::lacking("a delimiter of several characters", "use one"));
    let delimiter = row.get::<_, Option<String>>(3).map_or(Ok(b','), |text| one(&text))?;
    let quotes = row.get::<_, Option<String>>(4).map(|text| one(&text)).transpose()?;
    Ok(Format::Text(Text {
        delimiter,
        quotes: quotes.map_or(Quotes::None, Quotes::Csv),
        header: usize::try_from(row.get::<_, i32>(5)).unwrap_or(0),
        width: Width::Any,
        ..Text::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::repairs;

    #[test]
    fn a_table_that_cannot_be_read_can_be_dropped() {
        for (sql, expected) in [
            ("DROP TABLE lake.events", true),
            ("  alter TABLE lake.events ADD PARTITION (a = 1) LOCATION 's3://b/'", true),
            ("CREATE EXTERNAL TABLE lake.events (a INTEGER) STORED AS PARQUET LOCATION 's3://b/'", true),
            ("CREATE TABLE t AS SELECT * FROM lake.events", false),
            ("SELECT 1", false),
            ("", false),
        ] {
            assert_eq!(repairs(sql), expected, "{sql}");
        }
    }
}
