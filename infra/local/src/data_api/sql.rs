//! What the service does with SQL before the engine sees it.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Token, Tokenizer};

use super::protocol::{Answer, Failure, Parameter};

/// SQL with `$n` in place of `:name`, and the values in their order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) sql: String,
    pub(super) values: Vec<String>,
}

/// Puts the named parameters into their places: outside of quotes and comments, and not after `::`.
///
/// # Errors
/// A second statement, SQL that cannot be read, a parameter that is not used.
pub(super) fn bind(sql: &str, parameters: &[Parameter]) -> Answer<Bound> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|e| Failure::validation(format!("SQL cannot be read: {e}")))?;
    let end = tokens.iter().rposition(|t| !is_blank(&t.token)).unwrap_or(0);
    if tokens[..end].iter().any(|t| t.token == Token::SemiColon) {
        return Err(Failure::validation("Multiple sql statements are not allowed."));
    }
    let mut values: Vec<(&str, String)> = Vec::new();
    let mut text = String::new();
    // Only the places come from the tokens; the text between them stays as it was written.
    let mut copied = 0;
    for pair in tokens.windows(2) {
        let (Token::Colon, Token::Word(word)) = (&pair[0].token, &pair[1].token) else { continue };
        let Some(parameter) = parameters.iter().find(|p| word.quote_style.is_none() && p.name == word.value) else {
            continue;
        };
        let known = values.iter().position(|(name, _)| *name == parameter.name);
        let place = known.unwrap_or_else(|| {
            values.push((&parameter.name, parameter.value.clone()));
            values.len() - 1
        });
        text.push_str(&sql[copied..offset(sql, pair[0].span.start)]);
        text.push_str(&format!("${}", place + 1));
        copied = offset(sql, pair[1].span.end);
    }
    text.push_str(&sql[copied..]);
    let unused: Vec<_> =
        parameters.iter().map(|p| p.name.as_str()).filter(|n| values.iter().all(|(used, _)| used != n)).collect();
    if !unused.is_empty() {
        let list = unused.join(", ");
        return Err(Failure::validation(format!(
            "Parameters list contains unused parameters. Unused parameters: [{list}]"
        )));
    }
    Ok(Bound { sql: text, values: values.into_iter().map(|(_, value)| value).collect() })
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

    fn bound(sql: &str, parameters: &[(&str, &str)]) -> Answer<(String, Vec<String>)> {
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
    fn a_second_statement_and_an_unused_parameter_are_refused() {
        assert!(bound("SELECT 1; SELECT 2", &[]).is_err());
        assert!(bound("SELECT 1;;", &[]).is_err());
        assert!(bound("SELECT 1", &[("a", "1")]).expect_err("unused").message.contains("[a]"));
        assert!(bound("SELECT 'a", &[]).is_err());
    }
}
