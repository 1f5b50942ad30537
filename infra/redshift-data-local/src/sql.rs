//! What the service does with SQL before the engine sees it.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Token, Tokenizer};

use crate::protocol::{Failure, Parameter, Reply};

/// SQL with `$n` in place of `:name`, and the values in their order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) sql: String,
    pub(crate) values: Vec<String>,
}

/// Puts the named parameters into their places: outside of quotes and comments, and not after `::`.
///
/// # Errors
/// A second statement, SQL that cannot be read, a parameter that is not used.
pub(crate) fn bind(sql: &str, parameters: &[Parameter]) -> Reply<Bound> {
    let (bound, used) = places(sql, parameters)?;
    let unused: Vec<_> = parameters.iter().map(|p| p.name.as_str()).filter(|name| !used.contains(name)).collect();
    if unused.is_empty() {
        return Ok(bound);
    }
    Err(Failure::validation(format!(
        "Parameters list contains unused parameters. Unused parameters: [{}]",
        unused.join(", ")
    )))
}

/// The same, for SQL that need not use them all.
///
/// # Errors
/// A second statement, SQL that cannot be read.
pub(crate) fn bind_named(sql: &str, parameters: &[Parameter]) -> Reply<Bound> {
    Ok(places(sql, parameters)?.0)
}

/// The bound SQL, and the names that it uses.
fn places<'a>(sql: &str, parameters: &'a [Parameter]) -> Reply<(Bound, Vec<&'a str>)> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|e| Failure::validation(format!("SQL cannot be read: {e}")))?;
    let end = tokens.iter().rposition(|t| !is_blank(&t.token)).unwrap_or(0);
    if tokens[..end].iter().any(|t| t.token == Token::SemiColon) {
        return Err(Failure::validation("Multiple sql statements are not allowed."));
    }
    let mut used: Vec<&str> = Vec::new();
    let mut values = Vec::new();
    let mut text = String::new();
    // Only the places come from the tokens; the text between them stays as it was written.
    let mut copied = 0;
    for pair in tokens.windows(2) {
        let (Token::Colon, Token::Word(word)) = (&pair[0].token, &pair[1].token) else { continue };
        let Some(parameter) = parameters.iter().find(|p| word.quote_style.is_none() && p.name == word.value) else {
            continue;
        };
        let known = used.iter().position(|name| *name == parameter.name);
        let place = known.unwrap_or_else(|| {
            used.push(&parameter.name);
            values.push(parameter.value.clone());
            used.len() - 1
        });
        text.push_str(&sql[copied..offset(sql, pair[0].span.start)]);
        text.push_str(&format!("${}", place + 1));
        copied = offset(sql, pair[1].span.end);
    }
    text.push_str(&sql[copied..]);
    Ok((Bound { sql: text, values }, used))
}

/// The byte at which a place (lines and characters from 1) lies.
fn offset(sql: &str, place: Location) -> usize {
    let line: usize = sql.split_inclusive('\n').zip(1..place.line).map(|(line, _)| line.len()).sum();
    let in_line = usize::try_from(place.column.saturating_sub(1)).unwrap_or(usize::MAX);
    sql[line..].char_indices().nth(in_line).map_or(sql.len(), |(byte, _)| line + byte)
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(sql: &str, parameters: &[(&str, &str)]) -> Reply<(String, Vec<String>)> {
        let own = |(name, value): &(&str, &str)| Parameter { name: (*name).into(), value: (*value).into() };
        bind(sql, &parameters.iter().map(own).collect::<Vec<_>>()).map(|b| (b.sql, b.values))
    }

    #[test]
    fn names_become_places() {
        let (sql, values) = bound("CALL dev.p(:b, CAST(:a AS int), :b);", &[("a", "1"), ("b", "x")]).expect("bound");
        assert_eq!(sql, "CALL dev.p($1, CAST($2 AS int), $1);");
        assert_eq!(values, ["x", "1"]);
        let (sql, _) = bound("SELECT 'é',\n\n  'ü', :a -- x\n, :a", &[("a", "1")]).expect("bound");
        assert_eq!(sql, "SELECT 'é',\n\n  'ü', $1 -- x\n, $1");
    }

    #[test]
    fn what_is_quoted_or_cast_is_left_alone() {
        for sql in [
            "SELECT ':a', \":a\", 'it''s', x::a, $$ :a; $$ -- :a\n, 1 /* :a */ ;",
            "SELECT E'\\n:a', E'it\\'s', '\\', :other",
            "SELECT 1 -- ; \n",
        ] {
            assert_eq!(bound(sql, &[]).expect(sql), (sql.to_owned(), vec![]));
        }
    }

    #[test]
    fn what_only_looks_like_a_name_is_none() {
        let a = [Parameter { name: "a".into(), value: "1".into() }];
        for sql in ["SELECT :ab", "SELECT x::a", "SELECT ':a'", "SELECT 1 -- :a", "SELECT \":a\"", "SELECT :\"a\""] {
            let bound = bind_named(sql, &a).expect(sql);
            assert_eq!((bound.sql.as_str(), bound.values.len()), (sql, 0));
            assert!(bind(sql, &a).is_err(), "{sql}");
        }
        assert_eq!(bind_named("SELECT :ab, :a", &a).expect("bound").sql, "SELECT :ab, $1");
    }

    #[test]
    fn a_second_statement_and_an_unused_parameter_are_refused() {
        assert!(bound("SELECT 1; SELECT 2", &[]).is_err());
        assert!(bound("SELECT 1;;", &[]).is_err());
        assert!(bound("SELECT 1", &[("a", "1")]).expect_err("unused").message.contains("[a]"));
        assert!(bound("SELECT 'a", &[]).is_err());
    }
}
