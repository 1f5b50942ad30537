//! The id of a run: as a notification shows it, and the SQL that finds its rows.
//!
//! orders-audit-fn shows `NULL` for rows without an id, `(empty)` for an empty one, an id of that text in quotes, and of an id that is
//! longer than 256 characters its beginning, its length and its MD5.

use crate::warehouse::literal;

/// Ids up to this length are shown whole.
const MAX_SHOWN_CHARS: usize = 256;

/// The condition for the rows of a run, by its id as it is shown. Quoted even if it is a number: a column of numbers reads it, one of
/// text needs it.
pub(crate) fn condition(column: &str, shown: &str) -> String {
    match shown {
        "NULL" => format!("{column} IS NULL"),
        "(empty)" => format!("{column} = ''"),
        "'NULL'" | "'(empty)'" => format!("{column} = {}", literal(shown.trim_matches('\''))),
        _ => match md5(shown) {
            Some(md5) => format!("MD5({column}) = {}", literal(md5)),
            None => format!("{column} = {}", literal(shown)),
        },
    }
}

/// The MD5 of an id that is shown as `head... [N characters, MD5 h]`.
fn md5(shown: &str) -> Option<&str> {
    let (head_end, _) = shown.char_indices().nth(MAX_SHOWN_CHARS)?;
    let (characters, md5) =
        shown[head_end..].strip_prefix("... [")?.strip_suffix(']')?.split_once(" characters, MD5 ")?;
    let holds =
        characters.chars().all(|c| c.is_ascii_digit()) && md5.len() == 32 && md5.chars().all(|c| c.is_ascii_hexdigit());
    holds.then_some(md5)
}

/// What a query returns of a run's id, for [`shown`]: three columns.
pub(crate) fn columns(column: &str) -> String {
    let text = format!("CAST({column} AS VARCHAR(65535))");
    format!("LEFT({text}, {}), LENGTH({text}), MD5({text})", MAX_SHOWN_CHARS + 1)
}

/// The id as a notification shows it, from the three [`columns`].
pub(crate) fn shown([head, characters, md5]: [Option<&str>; 3]) -> String {
    match head {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(id @ ("NULL" | "(empty)")) => format!("'{id}'"),
        Some(id) => match (id.char_indices().nth(MAX_SHOWN_CHARS), md5) {
            (Some((end, _)), Some(md5)) => {
                format!("{}... [{} characters, MD5 {md5}]", &id[..end], characters.unwrap_or("0"))
            }
            _ => id.to_owned(),
        },
    }
}

/// A word of a command line, quoted where a shell needs it.
pub(crate) fn word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

    #[test]
    fn a_run_is_found_by_what_is_shown_of_it() {
        let long = "ü".repeat(257);
        for (id, text, sql) in [
            (Some("42"), "42", "r = '42'"),
            (Some("it's"), "it's", "r = 'it''s'"),
            (None, "NULL", "r IS NULL"),
            (Some("NULL"), "'NULL'", "r = 'NULL'"),
            (Some(""), "(empty)", "r = ''"),
            (Some("(empty)"), "'(empty)'", "r = '(empty)'"),
            (
                Some(long.as_str()),
                &format!("{}... [300 characters, MD5 {MD5}]", "ü".repeat(256)),
                &format!("MD5(r) = '{MD5}'"),
            ),
        ] {
            assert_eq!(shown([id, Some("300"), Some(MD5)]), text);
            assert_eq!(condition("r", text), sql);
        }
        let short = format!("a... [300 characters, MD5 {MD5}]");
        assert_eq!(condition("r", &short), format!("r = '{short}'"), "an id that merely looks so");
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_needs_it() {
        for (text, as_word) in [("wr_1", "wr_1"), ("'NULL'", r"''\''NULL'\'''"), ("(empty)", "'(empty)'"), ("", "''")] {
            assert_eq!(word(text), as_word);
        }
    }
}
