//! Redshift's SQL on PostgreSQL: what is translated, what a schema of functions adds, and what is refused.
//!
//! The translation goes by words, not by a grammar: what it does not know passes as it was written, and PostgreSQL judges it.
//! Strings, comments and quoted names are left alone; the bodies of procedures, and the strings of an `EXECUTE` in them, are
//! translated too. Nothing may quietly mean something else: what cannot be kept is [`Refused`].

mod bind;
mod constructs;
mod expression;
mod external;
pub(crate) mod files;
mod lex;
mod statement;
mod types;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use tokio_postgres::Client;

pub(crate) use bind::{bind, bind_named, fill};
pub use constructs::{CONSTRUCTS, Construct};
pub(crate) use statement::literal;

/// Functions, views and procedures that Redshift has. All of it is `OR REPLACE`.
const FUNCTIONS: &str = include_str!("functions.sql");

/// Why some SQL does not run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A quote or comment does not end.
    #[error("SQL cannot be read: {0}")]
    Unreadable(String),
    /// Redshift does it, and this does not.
    #[error("the local Data API does not do {construct}: {instead}")]
    Lacking {
        /// What it is.
        construct: String,
        /// What to use in its place.
        instead: String,
    },
    /// Redshift refuses it as well.
    #[error("{0}")]
    Wrong(String),
}

impl Refused {
    fn unreadable(why: impl Into<String>) -> Self {
        Self::Unreadable(why.into())
    }

    fn lacking(construct: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Lacking { construct: construct.into(), instead: instead.into() }
    }
}

/// One statement in PostgreSQL's words. If they are several, they belong into one transaction and return no rows.
///
/// # Errors
/// What is refused.
pub fn translate(sql: &str) -> Result<Vec<String>, Refused> {
    let lexed = lex::lex(sql)?;
    let mut all = statement::statement(&lexed.tokens)?;
    if let Some(last) = all.last_mut() {
        last.push_str(lexed.end);
    } else {
        all.push(sql.to_owned());
    }
    Ok(all)
}

/// The words that some SQL begins with, in small letters, whatever comments come before and between.
pub(crate) fn first_words(sql: &str, most: usize) -> Vec<String> {
    let Ok(lexed) = lex::lex(sql) else { return Vec::new() };
    lexed.tokens.iter().take(most).map(lex::Token::lower).collect()
}

/// A file of statements in PostgreSQL's words.
///
/// # Errors
/// What is refused.
pub fn translate_script(sql: &str) -> Result<String, Refused> {
    let lexed = lex::lex(sql)?;
    let mut script = String::new();
    for tokens in lexed.tokens.split_inclusive(|token| token.is(";")) {
        for one in statement::statement(tokens)? {
            script.push_str(one.trim_end_matches(';'));
            script.push(';');
        }
    }
    Ok(script + lexed.end)
}

/// What tells this set of functions from those of other versions.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    FUNCTIONS.hash(&mut hasher);
    format!("redshift-data-local {} {:016x}", env!("CARGO_PKG_VERSION"), hasher.finish())
});

/// Has a session find the functions of Redshift's that PostgreSQL lacks, and makes them in its database if they are not there: in the
/// schema `redshift_catalog`, which becomes the last of the database's search path. Who may not make them does without, and
/// gets PostgreSQL's error for a function that is missing.
///
/// # Errors
/// Those of the connection.
pub async fn prepare(client: &Client) -> Result<(), tokio_postgres::Error> {
    let version = VERSION.as_str();
    if is_made(client, version).await? {
        return Ok(());
    }
    let make = format!(
        "SET LOCAL client_min_messages = warning;
        SET LOCAL check_function_bodies = off;
        CREATE SCHEMA IF NOT EXISTS redshift_catalog;
        {FUNCTIONS}
        COMMENT ON SCHEMA redshift_catalog IS '{version}';
        DO $$
        BEGIN
            EXECUTE format('ALTER DATABASE %I SET search_path = %s', current_database(), current_setting('search_path'));
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END
        $$;
        COMMIT"
    );
    // One after the other, and what one has made the next does not make again.
    client.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(hashtext('redshift_catalog'))").await?;
    let made = match is_made(client, version).await {
        Ok(true) => client.batch_execute("COMMIT").await,
        Ok(false) => client.batch_execute(&make).await,
        Err(error) => Err(error),
    };
    if let Err(error) = made {
        if error.as_db_error().is_none() {
            return Err(error);
        }
        tracing::warn!(%error, "Redshift's functions could not be made in this database");
        client.batch_execute("ROLLBACK").await?;
    }
    Ok(())
}

/// Whether the functions of this version are there; has the session find them.
async fn is_made(client: &Client, version: &str) -> Result<bool, tokio_postgres::Error> {
    let found = client
        .query_one(
            "SELECT obj_description(to_regnamespace('redshift_catalog'), 'pg_namespace') IS NOT DISTINCT FROM $1,
                CASE WHEN current_setting('search_path') NOT LIKE '%redshift_catalog%'
                THEN set_config('search_path', current_setting('search_path') || ', redshift_catalog', FALSE) END",
            &[&version],
        )
        .await?;
    Ok(found.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(sql: &str) -> String {
        translate(sql).expect(sql).join("; ")
    }

    #[test]
    fn what_is_not_known_passes_as_it_was_written() {
        for sql in [
            "SELECT 'GETDATE()', \"sysdate\", t.sysdate, decode('00', 'hex'), a AS sysdate -- NVL(a, b)\nFROM t /* TOP 5 */ ;\n",
            "UPDATE t SET a = $1 WHERE b = 'x''y' AND c # 3 = 1;",
            "CALL dev.p_sp(1, 'DATEADD(day, 1, x)')",
            "SELECT a.minus, top, approximate FROM a",
            "SELECT 1..2, a -> 'b', a ISNULL AND (b) FROM t",
            "",
            " -- nothing\n",
        ] {
            assert_eq!(translated(sql), sql);
        }
    }

    #[test]
    fn what_is_nested_is_translated_inside_out() {
        for (sql, expected) in [
            (
                "SELECT NVL(NVL2(a, DATEADD(d, 1, b), c), SYSDATE)",
                "SELECT COALESCE(CASE WHEN a IS NOT NULL THEN redshift_catalog.date_add('day', 1, b) ELSE c END, redshift_catalog.sysdate())",
            ),
            (
                "SELECT * FROM (SELECT TOP 2 a FROM t ORDER BY a) x;",
                "SELECT * FROM (SELECT a FROM t ORDER BY a LIMIT 2) x;",
            ),
            (
                "SELECT TOP 2 a FROM (SELECT 1 AS a UNION SELECT 2 LIMIT 5) x;",
                "SELECT a FROM (SELECT 1 AS a UNION SELECT 2 LIMIT 5) x LIMIT 2;",
            ),
            ("SELECT DISTINCT TOP 3 a FROM t;\n", "SELECT DISTINCT a FROM t LIMIT 3;\n"),
            ("SELECT DECODE(a + 1, 1, 'x', 'y')", "SELECT CASE (a + 1) WHEN 1 THEN 'x' ELSE 'y' END"),
            ("SELECT DECODE(a, b, 1)", "SELECT CASE WHEN a IS NOT DISTINCT FROM b THEN 1 END"),
            (
                "SELECT a::DECIMAL, b::varchar(max), CAST(c AS SUPER), d::double precision",
                "SELECT a::NUMERIC(18, 0), b::VARCHAR(65535), CAST(c AS JSONB), d::double precision",
            ),
            (
                "SELECT LISTAGG(a, ',') WITHIN GROUP (ORDER BY b) OVER (PARTITION BY c) FROM t",
                "SELECT redshift_catalog.listagg(a, ',') OVER (PARTITION BY c ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM t",
            ),
            (
                "SELECT a FROM #x JOIN #y USING (a) WHERE b#c = 1",
                "SELECT a FROM \"#x\" JOIN \"#y\" USING (a) WHERE b#c = 1",
            ),
            ("SET search_path TO a, b;", "SET search_path TO a, b, redshift_catalog"),
            ("DELETE t WHERE a = 1", "DELETE FROM t WHERE a = 1"),
        ] {
            assert_eq!(translated(sql), expected);
        }
    }

    #[test]
    fn what_breaks_off_is_no_panic() {
        for construct in CONSTRUCTS {
            for (end, _) in construct.example.char_indices() {
                let _ = translate(&construct.example[..end]);
            }
        }
        for sql in [
            "SELECT NVL(a))",
            "SELECT LISTAGG(a) OVER w FROM t WINDOW w AS ()",
            "ALTER TABLE t ADD",
            "LOCK;",
            "CREATE TABLE t (a INT DEFAULT",
        ] {
            let _ = translate(sql);
        }
    }

    #[test]
    fn lines_of_a_body_keep_their_numbers() {
        let body =
            "BEGIN\n    CREATE TEMP TABLE x (a INTEGER)\n    DISTKEY (a)\n    SORTKEY (a);\n    SELECT 1/0;\nEND;";
        let sql = format!("CREATE PROCEDURE p() AS $$\n{body}\n$$ LANGUAGE plpgsql");
        assert_eq!(translated(&sql).lines().position(|l| l.contains("1/0")), Some(5));
    }

    #[test]
    fn the_text_of_an_execute_is_translated_across_its_pieces() {
        let sql = "CREATE PROCEDURE p() AS $$ BEGIN EXECUTE 'SELECT NVL(''' || a || ''', ' || b || '), DATEADD(day, ' || n || ', c)'; END $$ LANGUAGE plpgsql";
        let expected = "CREATE PROCEDURE p() AS $$ BEGIN EXECUTE 'SELECT COALESCE(''' || a || ''', ' || b || '), redshift_catalog.date_add(''day'', ' || n || ', c)'; END $$ LANGUAGE plpgsql";
        assert_eq!(translated(sql), expected);
    }
}
