//! The id of a run of an audit: as people read it, as machines read it, and as SQL finds it.
//!
//! The warehouse cuts a long id in the result, so that no row of it, no message and no SQL exceeds the services' limits.

use crate::sql::literal;

/// Ids up to this length are shown and sent whole. Redshift's longest VARCHAR has 65,535 bytes, and SNS takes 256 KB.
const MAX_SHOWN_CHARS: usize = 256;
/// What stands for the rows without an id.
const NONE: &str = "NULL";
/// What stands for the empty id, which SNS refuses as an attribute.
const EMPTY: &str = "(empty)";

/// A run of the upstream workflow. An audit row may have none, where the staged row had none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunId(Option<Id>);

/// What a query returns of an id for [`RunId::of_result`]: its beginning, its length and its MD5. The Data API has at most 64 KB in a row, and
/// an id may be as long.
pub fn columns(column: &str) -> [String; 3] {
    let text = format!("CAST({column} AS VARCHAR(65535))");
    [format!("LEFT({text}, {})", MAX_SHOWN_CHARS + 1), format!("LENGTH({text})"), format!("MD5({text})")]
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Id {
    Whole(String),
    /// Of an id that is longer than is shown.
    Cut {
        head: String,
        characters: i64,
        md5: String,
    },
}

impl RunId {
    /// The id in a result of the audit's queries: the whole of it, or its first characters with length and MD5.
    pub fn of_result(head: Option<String>, characters: Option<i64>, md5: Option<String>) -> Self {
        let Some(head) = head else { return Self(None) };
        match (head.char_indices().nth(MAX_SHOWN_CHARS), md5) {
            (Some((end, _)), Some(md5)) => {
                Self(Some(Id::Cut { head: head[..end].to_owned(), characters: characters.unwrap_or(0), md5 }))
            }
            _ => Self(Some(Id::Whole(head))),
        }
    }

    /// The id that is shown so.
    pub fn of_shown(text: &str) -> Self {
        Self(match text {
            NONE => None,
            EMPTY => Some(Id::Whole(String::new())),
            _ => match unquoted(text).filter(|id| has_quotes(id)) {
                Some(id) => Some(Id::Whole(id.to_owned())),
                None => Some(cut_id(text).unwrap_or_else(|| Id::Whole(text.to_owned()))),
            },
        })
    }

    /// The id for people and for SNS's attributes: never empty, and a text of its own for each id. A long one is cut,
    /// and its MD5 tells it from others.
    pub fn shown(&self) -> String {
        match &self.0 {
            None => NONE.to_owned(),
            Some(Id::Whole(id)) if id.is_empty() => EMPTY.to_owned(),
            Some(Id::Whole(id)) if has_quotes(id) => format!("'{id}'"),
            Some(Id::Whole(id)) => id.clone(),
            Some(Id::Cut { head, characters, md5 }) => format!("{head}... [{characters} characters, MD5 {md5}]"),
        }
    }

    /// The id for machines: nothing for none, otherwise the text as it is; a long one as it is shown.
    pub fn value(&self) -> Option<String> {
        match self.0.as_ref()? {
            Id::Whole(id) => Some(id.clone()),
            Id::Cut { .. } => Some(self.shown()),
        }
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The condition that finds its rows. An id is quoted even if it is a number: a column of numbers reads it, one of text needs it.
    pub fn condition(&self, column: &str) -> String {
        match self.sought() {
            Sought::Null => format!("{column} IS NULL"),
            Sought::Id(id) => format!("{column} = {}", literal(id)),
            Sought::Md5(hash) => format!("MD5({column}) = {}", literal(hash)),
        }
    }

    /// What SQL can find its rows by.
    pub fn sought(&self) -> Sought<'_> {
        match &self.0 {
            None => Sought::Null,
            Some(Id::Whole(id)) => Sought::Id(id),
            Some(Id::Cut { md5, .. }) => Sought::Md5(md5),
        }
    }
}

/// Whether an id is shown in quotes: what would look like none or like the empty one, and what has quotes around that itself.
fn has_quotes(id: &str) -> bool {
    [NONE, EMPTY].contains(&id) || unquoted(id).is_some_and(has_quotes)
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.strip_suffix('\'')
}

/// The id that is shown as `head... [N characters, MD5 h]`.
fn cut_id(shown: &str) -> Option<Id> {
    let (end, _) = shown.char_indices().nth(MAX_SHOWN_CHARS)?;
    let (head, rest) = shown.split_at(end);
    let (characters, md5) = rest.strip_prefix("... [")?.strip_suffix(']')?.split_once(" characters, MD5 ")?;
    let is_md5 = md5.len() == 32 && md5.chars().all(|c| c.is_ascii_hexdigit());
    let characters = characters.parse().ok().filter(|_| is_md5)?;
    Some(Id::Cut { head: head.to_owned(), characters, md5: md5.to_owned() })
}

/// What a run can be found by.
#[derive(Debug, PartialEq)]
pub enum Sought<'a> {
    /// It has no id.
    Null,
    /// The id.
    Id(&'a str),
    /// Of an id that is too long to be written out: only one of a column of text can be.
    Md5(&'a str),
}

impl From<Option<&str>> for RunId {
    fn from(id: Option<&str>) -> Self {
        Self::of_result(id.map(str::to_owned), None, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(text: &str) -> RunId {
        RunId::of_result(
            Some(text.chars().take(257).collect()),
            Some(65_535),
            Some("900150983cd24fb0d6963f7d28e17f72".into()),
        )
    }

    #[test]
    fn no_two_ids_are_shown_alike() {
        let of = |id: Option<&str>| (RunId::from(id).shown(), RunId::from(id).value());
        assert_eq!(of(Some("42")), ("42".into(), Some("42".into())));
        assert_eq!(of(None), ("NULL".into(), None));
        assert_eq!(of(Some("NULL")), ("'NULL'".into(), Some("NULL".into())));
        assert_eq!(of(Some("")), ("(empty)".into(), Some(String::new())));
        assert_eq!(of(Some("(empty)")), ("'(empty)'".into(), Some("(empty)".into())));
        assert_eq!(of(Some("'NULL'")), ("''NULL''".into(), Some("'NULL'".into())));
        assert_eq!(of(Some("'")), ("'".into(), Some("'".into())));
        let id = long(&"ü".repeat(300));
        let shown = format!("{}... [65535 characters, MD5 900150983cd24fb0d6963f7d28e17f72]", "ü".repeat(256));
        assert_eq!((id.shown(), id.value()), (shown.clone(), Some(shown)));
    }

    #[test]
    fn a_run_is_found_by_what_is_shown_of_it() {
        const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
        let head = "ü".repeat(257);
        for (id, text, sql) in [
            (Some("42"), "42", "r = '42'"),
            (Some("007"), "007", "r = '007'"),
            (Some("it's"), "it's", "r = 'it''s'"),
            (Some("a\\' OR 1=1"), "a\\' OR 1=1", "r = 'a' || CHR(92) || ''' OR 1=1'"),
            (None, "NULL", "r IS NULL"),
            (Some("NULL"), "'NULL'", "r = 'NULL'"),
            (Some(""), "(empty)", "r = ''"),
            (Some("(empty)"), "'(empty)'", "r = '(empty)'"),
            (Some("'NULL'"), "''NULL''", "r = '''NULL'''"),
            (Some("''(empty)''"), "'''(empty)'''", "r = '''''(empty)'''''"),
            (Some("'a'"), "'a'", "r = '''a'''"),
            (
                Some(head.as_str()),
                &format!("{}... [300 characters, MD5 {MD5}]", "ü".repeat(256)),
                &format!("MD5(r) = '{MD5}'"),
            ),
        ] {
            let run = RunId::of_result(id.map(str::to_owned), Some(300), Some(MD5.to_owned()));
            assert_eq!((run.shown().as_str(), run.condition("r").as_str()), (text, sql));
            assert_eq!(RunId::of_shown(text), run, "{text}");
        }
        let short = format!("a... [300 characters, MD5 {MD5}]");
        assert_eq!(RunId::of_shown(&short).condition("r"), format!("r = '{short}'"), "an id that merely looks so");
    }
}
