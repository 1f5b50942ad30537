//! Types as a column or a cast names them.

use super::Refused;
use super::lex::Token;

/// Where a type stands: a table's column has a length where a cast has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Column,
    Cast,
}

/// A type in PostgreSQL's words, without what was before it.
///
/// # Errors
/// A type that has no counterpart.
pub(super) fn named(tokens: &[Token<'_>], of: For) -> Result<String, Refused> {
    let written = || tokens.iter().skip(1).fold(tokens[0].text.to_owned(), |all, t| all + t.lead + t.text);
    let open = tokens.iter().position(|t| t.is("(")).unwrap_or(tokens.len());
    let name = tokens[..open].iter().map(Token::lower).collect::<Vec<_>>().join(" ");
    let size: String = tokens[open..].iter().map(|t| t.text).collect();
    let is_max = size.eq_ignore_ascii_case("(max)");
    let sized = |name: &str, most: &str, plain: &str| match size.as_str() {
        "" if of == For::Column => format!("{name}({plain})"),
        _ if is_max => format!("{name}({most})"),
        size => format!("{name}{size}"),
    };
    Ok(match name.as_str() {
        "varchar" | "character varying" | "nvarchar" => sized("VARCHAR", "65535", "256"),
        // Whatever its size says, it is this on Redshift.
        "text" => sized("VARCHAR", "256", "256"),
        "char" | "character" | "nchar" => sized("CHAR", "4096", "1"),
        "bpchar" if of == For::Column => "CHAR(256)".to_owned(),
        "decimal" | "numeric" | "dec" if size.is_empty() => "NUMERIC(18, 0)".to_owned(),
        "varbyte" | "varbinary" | "binary varying" => "BYTEA".to_owned(),
        "super" => "JSONB".to_owned(),
        "geometry" => "redshift_catalog.geometry".to_owned(),
        "geography" => {
            return Err(Refused::lacking(
                "the type GEOGRAPHY",
                "use GEOMETRY, which holds hexadecimal EWKB, or VARCHAR",
            ));
        }
        "hllsketch" => {
            return Err(Refused::lacking(
                "the type HLLSKETCH",
                "use APPROXIMATE COUNT(DISTINCT ...), which counts exactly here",
            ));
        }
        _ => written(),
    })
}

/// How many tokens a type has that begins here: its words, and its size.
pub(super) fn length(tokens: &[Token<'_>]) -> usize {
    let words = match tokens {
        [first, second, ..] if first.is_any(&["character", "binary"]) && second.is("varying") => 2,
        [first, second, ..] if first.is("double") && second.is("precision") => 2,
        [_, ..] => 1,
        [] => 0,
    };
    let has_size = tokens.get(words).is_some_and(|t| t.is("("));
    let size = tokens.get(words..).unwrap_or_default().iter().position(|t| t.is(")"));
    words + size.filter(|_| has_size).map_or(0, |n| n + 1)
}
