//! Named parameters, and distinguishing one statement from several.

use super::lex::{Kind, Lexed, lex};
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
    let Lexed { tokens, end } = lex(sql).map_err(|e| Failure::validation(e.to_string()))?;
    let last = tokens.len().saturating_sub(1);
    if tokens[..last].iter().any(|t| t.is(";")) {
        return Err(Failure::validation("Multiple sql statements are not allowed."));
    }
    let mut used: Vec<&str> = Vec::new();
    let mut values = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        text.push_str(token.lead);
        let named = tokens.get(at + 1).filter(|name| token.is(":") && name.kind == Kind::Word && name.lead.is_empty());
        if let Some(parameter) = named.and_then(|name| parameters.iter().find(|p| p.name == name.text)) {
            let known = used.iter().position(|name| *name == parameter.name);
            let place = known.unwrap_or_else(|| {
                used.push(&parameter.name);
                values.push(parameter.value.clone());
                used.len() - 1
            });
            text.push_str(&format!("${}", place + 1));
            at += 1;
        } else {
            text.push_str(token.text);
        }
        at += 1;
    }
    text.push_str(end);
    Ok((Bound { sql: text, values }, used))
}

/// Puts an expression into each place `$n` of PostgreSQL's SQL.
pub(crate) fn fill(sql: &str, expressions: &[String]) -> String {
    let Ok(Lexed { tokens, end }) = lex(sql) else { return sql.to_owned() };
    let mut text = String::with_capacity(sql.len());
    for token in tokens {
        text.push_str(token.lead);
        let place = Some(token.text).filter(|_| token.kind == Kind::Place).and_then(|t| t[1..].parse::<usize>().ok());
        let expression = place.and_then(|n| expressions.get(n.checked_sub(1)?));
        text.push_str(expression.map_or(token.text, String::as_str));
    }
    text + end
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
            "SELECT E'\\n:a', E'it\\'s', '\\\\', :other",
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

    #[test]
    fn places_take_expressions_outside_of_quotes() {
        let expressions = ["(1)".to_owned(), "('$1')".to_owned()];
        let sql = "SELECT $1, $2::int, '$1', \"$1\", E'\\'$1', $x$ $1 $x$, $3 -- $1\n, $1";
        let expected = "SELECT (1), ('$1')::int, '$1', \"$1\", E'\\'$1', $x$ $1 $x$, $3 -- $1\n, (1)";
        assert_eq!(fill(sql, &expressions), expected);
    }
}
