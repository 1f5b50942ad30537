//! Names of the warehouse's objects.

use std::fmt;

use super::scanner::{MAX_IDENTIFIER_BYTES, Scanner};
use crate::error::{Error, Result};

/// A schema-qualified name, kept as it has to appear in SQL.
///
/// A name without schema depends on the search_path of whoever runs it, and is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualifiedName(pub(super) String);

impl QualifiedName {
    /// Parses `schema.name`; `what` says in the error what the name is of.
    pub fn parse(text: &str, what: &str) -> Result<Self> {
        // What comes after a name may be arguments, and what is no name may be anything.
        let refuse = |why: String| match Self::shown(text) {
            Some(name) => format!("{what} {name}: the name has to stand alone, without CALL, arguments or blanks"),
            None => format!("{what}: {why}"),
        };
        Scanner::new(text).whole_name().map(Self).map_err(|why| Error::invalid_input(refuse(why)))
    }

    /// The name in a text that is meant to be one: what an error may show of it. That is the whole text if it is a
    /// name; otherwise `schema.name` without quotes at its beginning, or behind `CALL`, if arguments or nothing follow.
    pub fn shown(text: &str) -> Option<Self> {
        if let Ok(name) = Scanner::new(text).whole_name() {
            return Some(Self(name));
        }
        let text = text.trim_ascii_start();
        let is_call = text.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("call"));
        let text = if is_call { text[4..].trim_ascii_start() } else { text };
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"_$.".contains(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let ends = rest.trim_ascii_start().chars().next().is_none_or(|c| "(,;".contains(c));
        Scanner::new(name).whole_name().ok().filter(|_| ends).map(Self)
    }

    /// The procedure that a `CALL` calls, whatever its arguments; nothing for other SQL.
    pub fn called_by(sql: &str) -> Option<Self> {
        Scanner::new(sql).called().ok().map(Self)
    }

    /// The parts of a text between these characters, but for those inside of a quoted name.
    pub fn split(text: &str, by: char) -> impl Iterator<Item = &str> {
        let mut quoted = false;
        text.split(move |c| {
            quoted ^= c == '"';
            c == by && !quoted
        })
    }

    /// Whether both name the same thing. Redshift folds names to lower case, quoted ones included, unless
    /// told otherwise; a difference in case alone is therefore taken for none.
    pub fn same_as(&self, other: &Self) -> bool {
        let part =
            |part: &str| part.strip_prefix('"').and_then(|part| part.strip_suffix('"')).unwrap_or(part).to_lowercase();
        let folded = |name: &Self| Self::split(&name.0, '.').map(part).collect::<Vec<_>>();
        folded(self) == folded(other)
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn is_plain_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_IDENTIFIER_BYTES
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_procedure_of_a_call_is_known_whatever_its_arguments() {
        let name = |text| QualifiedName::parse(text, "name").expect("valid");
        let called = QualifiedName::called_by(" call Dev.\"P\"(CAST(:a AS DATE));").expect("a call");
        assert!(called.same_as(&name("dev.p")) && !called.same_as(&name("dev.p2")));
        assert!(!name("dev.\"p.q\"").same_as(&name("\"dev.p\".q")) && !name("dev.\"p\"\"\"").same_as(&called));
        assert_eq!(QualifiedName::called_by("SELECT dev.p()"), None);
    }

    #[test]
    fn only_a_name_is_shown_of_what_is_meant_to_be_one() {
        for (text, shown) in [
            ("dev.p", Some("dev.p")),
            ("\"Dev x\".\"p\"\"q\"", Some("\"Dev x\".\"p\"\"q\"")),
            ("dev.p('hunter2')", Some("dev.p")),
            ("dev.p ('hunter2')", Some("dev.p")),
            ("dev.p, hunter2", Some("dev.p")),
            ("dev.p; hunter2", Some("dev.p")),
            (" dev.p ", Some("dev.p")),
            ("CALL dev.p('hunter2')", Some("dev.p")),
            ("call\n dev.p", Some("dev.p")),
            ("CALL dev.p hunter2", None),
            ("hunter2", None),
            ("CALL", None),
            ("", None),
            ("hunter2.", None),
            ("user.hunter2@example.com", None),
            ("eyJh.eyJz.hunter2", None),
            ("\"hunter2\".\"p\"('x')", None),
            ("dev.p'hunter2'", None),
            ("dev.p=hunter2", None),
            ("pässword.hunter2", None),
        ] {
            assert_eq!(QualifiedName::shown(text).map(|name| name.to_string()).as_deref(), shown, "{text:?}");
            if shown.is_none_or(|shown| shown != text) {
                let refused = QualifiedName::parse(text, "Procedure").expect_err(text).to_string();
                assert!(!refused.contains("hunter2") && refused.contains(shown.unwrap_or("")), "{refused}");
            }
        }
    }

    #[test]
    fn a_quoted_name_holds_no_control_character() {
        for text in ["dev.\"a\nb\"", "dev.\"a\0b\"", "\"a\u{85}\".p"] {
            assert!(QualifiedName::parse(text, "Procedure").is_err(), "{text:?}");
        }
    }
}
