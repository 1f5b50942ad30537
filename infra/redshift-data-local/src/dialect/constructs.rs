//! What is done to each construct of Redshift's: the one list, which the README shows and the tests go through.

/// A construct of Redshift's SQL.
#[derive(Debug, Clone, Copy)]
pub struct Construct {
    /// Its name.
    pub name: &'static str,
    /// What becomes of it here.
    pub here: &'static str,
    /// SQL that has it, on a table `t (a INTEGER, b VARCHAR(20), c TIMESTAMP)`; it is taken or refused as `here` says.
    pub example: &'static str,
}

const fn taken(name: &'static str, here: &'static str, example: &'static str) -> Construct {
    Construct { name, here, example }
}

/// What is taken.
pub const CONSTRUCTS: [Construct; 27] = [
    taken(
        "`DISTKEY`, `DISTSTYLE`, `ENCODE`, `BACKUP`",
        "left out, also in `ALTER TABLE`; a column that is not there is refused",
        "CREATE TABLE e1 (a INTEGER ENCODE az64 DISTKEY, b VARCHAR(9) ENCODE lzo) BACKUP NO DISTSTYLE KEY",
    ),
    taken(
        "`SORTKEY`",
        "a BRIN index over all columns, which stands for the zone maps",
        "CREATE TABLE e2 (a INTEGER, b DATE) COMPOUND SORTKEY (b, a)",
    ),
    taken("`IDENTITY(seed, step)`", "an identity column", "CREATE TABLE e3 (a BIGINT IDENTITY(0, 1), b INTEGER)"),
    taken(
        "`PRIMARY KEY`, `UNIQUE`, `REFERENCES`",
        "left out, as Redshift does not enforce them; the columns of a primary key are `NOT NULL`",
        "CREATE TABLE e4 (a INTEGER UNIQUE, b INTEGER REFERENCES t (a), PRIMARY KEY (b))",
    ),
    taken(
        "`VARCHAR`, `TEXT`, `CHAR`, `DECIMAL` without a size; `VARCHAR(MAX)`",
        "the size that Redshift gives them",
        "CREATE TABLE e5 (a VARCHAR, b TEXT, c VARCHAR(MAX), d DECIMAL, e BPCHAR)",
    ),
    taken(
        "`SUPER`, `VARBYTE`, `GEOMETRY`",
        "`JSONB`, `BYTEA`, hexadecimal EWKB; no PartiQL, and no functions of geometry",
        "CREATE TABLE e6 (a SUPER, b VARBYTE(10), c GEOMETRY)",
    ),
    taken("`CREATE TABLE #name`", "a temporary table", "CREATE TABLE #e7 (a INTEGER)"),
    taken(
        "`CREATE VIEW ... WITH NO SCHEMA BINDING`",
        "a view that is bound",
        "CREATE VIEW e8 AS SELECT a FROM t WITH NO SCHEMA BINDING",
    ),
    taken(
        "`CREATE MATERIALIZED VIEW ... AUTO REFRESH YES`",
        "one that `REFRESH MATERIALIZED VIEW` alone refreshes",
        "CREATE MATERIALIZED VIEW e9 BACKUP NO AUTO REFRESH YES AS SELECT a FROM t",
    ),
    taken(
        "`CREATE EXTERNAL SCHEMA`, `CREATE EXTERNAL TABLE`, `ADD PARTITION`",
        "a plain table, and `SVV_EXTERNAL_TABLES` and the like beside it; with `--s3`, it has the rows of its files",
        "CREATE EXTERNAL SCHEMA e10 FROM DATA CATALOG DATABASE 'd' IAM_ROLE default",
    ),
    taken("`GETDATE()`, `SYSDATE`", "functions", "SELECT GETDATE(), SYSDATE"),
    taken(
        "`DATEADD`, `DATEDIFF`, `DATE_PART`, `EXTRACT`",
        "functions with Redshift's names of date parts, types and rules of leap years; weeks are counted from Sunday",
        "SELECT DATEADD(month, 1, c), DATEDIFF(qtr, c, SYSDATE), DATE_PART(dow, c), EXTRACT(hrs FROM c) FROM t",
    ),
    taken(
        "`ADD_MONTHS`, `LAST_DAY`, `NEXT_DAY`, `MONTHS_BETWEEN`, `CONVERT_TIMEZONE`, `TRUNC(timestamp)`, `DATE_CMP` ...",
        "functions",
        "SELECT ADD_MONTHS(c, 1), LAST_DAY(c), NEXT_DAY(c, 'Monday'), MONTHS_BETWEEN(c, c), CONVERT_TIMEZONE('PST', c), TRUNC(c) FROM t",
    ),
    taken(
        "`NVL`, `NVL2`, `DECODE`, `ISNULL(a, b)`",
        "`COALESCE` and `CASE`",
        "SELECT NVL(b, 'x'), NVL2(a, 1, 0), DECODE(a, 1, 'one', NULL, 'none', 'more'), ISNULL(a, 0) FROM t",
    ),
    taken("`CONVERT(type, value)`", "`CAST`", "SELECT CONVERT(VARCHAR(9), a) FROM t"),
    taken(
        "`CONCAT`, `REGEXP_REPLACE`, `REGEXP_SUBSTR`, `REGEXP_INSTR`, `REGEXP_COUNT`, `AVG` of whole numbers",
        "functions that mean what they mean on Redshift, and not what they mean on PostgreSQL",
        "SELECT CONCAT(b, 'x'), REGEXP_REPLACE(b, 'a'), REGEXP_SUBSTR(b, 'a'), AVG(a) OVER () FROM t",
    ),
    taken(
        "`LEN`, `CHARINDEX`, `STRTOL`, `REPLICATE`, `SHA2`, `JSON_PARSE`, `IS_VALID_JSON`, `JSON_EXTRACT_PATH_TEXT`, `TO_VARBYTE` ...",
        "functions",
        "SELECT LEN(b), CHARINDEX('x', b), STRTOL('ff', 16), SHA2(b, 256), JSON_EXTRACT_PATH_TEXT('{\"a\": 1}', 'a') FROM t",
    ),
    taken(
        "`FNV_HASH`, `FARMFINGERPRINT64`, `CHECKSUM`",
        "other numbers, but as good",
        "SELECT FNV_HASH(b), FNV_HASH(a, 7), CHECKSUM(b) FROM t",
    ),
    taken(
        "`LISTAGG`, `MEDIAN`, `RATIO_TO_REPORT`",
        "aggregates, also over a window; 65,535 bytes are the most for LISTAGG",
        "SELECT LISTAGG(DISTINCT b, ', ') WITHIN GROUP (ORDER BY b), MEDIAN(a) FROM t",
    ),
    taken("`APPROXIMATE`", "exact", "SELECT APPROXIMATE COUNT(DISTINCT a) FROM t"),
    taken("`SELECT TOP n`", "`LIMIT`", "SELECT TOP 5 a FROM t ORDER BY a"),
    taken("`MINUS`", "`EXCEPT`", "SELECT a FROM t MINUS SELECT 1"),
    taken(
        "`MERGE`",
        "PostgreSQL's; `REMOVE DUPLICATES` is a `DELETE` and an `INSERT`",
        "MERGE INTO t USING t2 ON t.a = t2.a REMOVE DUPLICATES",
    ),
    taken("`LOCK`", "`ACCESS EXCLUSIVE`, also outside of a transaction", "LOCK t"),
    taken("`VACUUM`, `ANALYZE ... PREDICATE COLUMNS`", "PostgreSQL's", "ANALYZE t PREDICATE COLUMNS"),
    taken("`\\` in a string", "escapes the next character, as on Redshift", "SELECT 'it\\'s' AS a"),
    taken(
        "`SET query_group` and the like",
        "kept, without effect; `search_path` keeps `redshift_catalog` as its last",
        "SET query_group TO 'x'",
    ),
];

/// What is refused: the first words of a statement, what it is, and what to use instead.
pub(super) const REFUSED: [(&[&str], &str, &str); 15] = [
    (
        &["copy"],
        "COPY from S3 without a folder for it, or in a procedure",
        "start with --s3 FOLDER, and send it as a statement; or INSERT the rows",
    ),
    (
        &["unload"],
        "UNLOAD without a folder for it, or in a procedure",
        "start with --s3 FOLDER, and send it as a statement; or SELECT the rows",
    ),
    (&["create", "model"], "CREATE MODEL", "a function in SQL that stands for its prediction"),
    (&["create", "library"], "CREATE LIBRARY", "functions in SQL"),
    (&["create", "datashare"], "data shares", "a schema in the same database"),
    (&["create", "identity"], "identity providers", "CREATE USER"),
    (&["create", "masking"], "masking policies", "a view"),
    (&["create", "rls"], "row-level security as on Redshift", "a view with a WHERE"),
    (
        &["create", "external", "function"],
        "external functions",
        "a function in SQL that stands for the Lambda function",
    ),
    (&["create", "external", "model"], "CREATE EXTERNAL MODEL", "a function in SQL that stands for its prediction"),
    (&["create", "external", "view"], "external views", "CREATE VIEW"),
    (&["analyze", "compression"], "ANALYZE COMPRESSION", "there is no compression here"),
    (&["grant", "assumerole"], "GRANT ASSUMEROLE", "leave it out: no role is assumed here"),
    (&["revoke", "assumerole"], "REVOKE ASSUMEROLE", "leave it out: no role is assumed here"),
    (&["cancel"], "CANCEL", "CancelStatement, or SELECT pg_cancel_backend(pid)"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Refused, translate};

    #[test]
    fn what_is_taken_is_translated_and_what_is_refused_is_named() {
        for construct in CONSTRUCTS {
            assert!(translate(construct.example).is_ok(), "{}", construct.name);
        }
        for (words, construct, instead) in REFUSED {
            let refused = translate(&words.join(" ")).expect_err(construct);
            assert_eq!(refused, Refused::lacking(construct, instead));
        }
    }

    #[test]
    fn the_readme_shows_the_table() {
        let readme = include_str!("../../README.md");
        let row = |left: &str, right: &str| format!("| {left} | {right} |\n");
        let taken: String = CONSTRUCTS.iter().map(|c| row(c.name, c.here)).collect();
        let refused: String = REFUSED.iter().map(|(_, construct, instead)| row(construct, instead)).collect();
        for table in [taken, refused] {
            assert!(readme.contains(&table), "the README of this crate lacks, or has otherwise:\n{table}");
        }
    }
}
