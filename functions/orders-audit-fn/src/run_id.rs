//! The id of a run: as people read it, as machines read it, and as SQL finds it.

use md5::{Digest as _, Md5};
use serde_json::{Value, json};

/// Ids up to this length are shown and sent whole. Redshift's longest VARCHAR has 65,535 bytes, and SNS takes 256 KB.
const MAX_SHOWN_CHARS: usize = 256;
/// A literal up to this length is written out in SQL; the Data API takes 100 KB of it. [API model]
const MAX_LITERAL_BYTES: usize = 1_000;
/// What stands for the rows without an id.
const NONE: &str = "NULL";
/// What stands for the empty id, which SNS refuses as an attribute.
const EMPTY: &str = "(empty)";

/// A run of the upstream workflow. An audit row may have none, where the staged row had none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunId(Option<String>);

impl RunId {
    /// The id for people and for SNS's attributes: never empty, and a text of its own for each id. A long one is cut,
    /// and its MD5 tells it from others.
    pub fn shown(&self) -> String {
        let Some(id) = self.0.as_deref() else { return NONE.to_owned() };
        match id.char_indices().nth(MAX_SHOWN_CHARS) {
            Some((end, _)) => format!("{}... [{} characters, MD5 {}]", &id[..end], id.chars().count(), md5(id)),
            None if id.is_empty() => EMPTY.to_owned(),
            None if [NONE, EMPTY].contains(&id) => format!("'{id}'"),
            None => id.to_owned(),
        }
    }

    /// The id for machines: `null` for none, else the text as it is; a long one as it is shown.
    pub fn value(&self) -> Value {
        match self.0.as_deref() {
            None => Value::Null,
            Some(id) if id.chars().count() <= MAX_SHOWN_CHARS => json!(id),
            Some(_) => json!(self.shown()),
        }
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The condition that finds its rows.
    pub fn condition(&self, key: &str) -> String {
        match self.sought() {
            Sought::Null => format!("{key} IS NULL"),
            Sought::Literal(id) => format!("{key} = {id}"),
            Sought::Md5(hash) => format!("MD5({key}) = {hash}"),
        }
    }

    pub(crate) fn sought(&self) -> Sought {
        let Some(id) = self.0.as_deref() else { return Sought::Null };
        if id.len() > MAX_LITERAL_BYTES {
            return Sought::Md5(format!("'{}'", md5(id)));
        }
        // Means the same on Redshift, where a backslash escapes, and on PostgreSQL, where it does not. Quoted also
        // where it is a number: a column of numbers reads it, one of text needs it.
        let quoted = id.split('\\').map(|part| format!("'{}'", part.replace('\'', "''")));
        let literal = quoted.collect::<Vec<_>>().join(" || CHR(92) || ");
        if literal.len() > MAX_LITERAL_BYTES { Sought::Md5(format!("'{}'", md5(id))) } else { Sought::Literal(literal) }
    }
}

/// What SQL finds a run by.
#[derive(Debug, PartialEq)]
pub(crate) enum Sought {
    Null,
    /// An SQL text that is the id.
    Literal(String),
    /// An SQL text that is the MD5 of an id which is too long to be written out: only one of a column of text can be.
    Md5(String),
}

impl From<Option<&str>> for RunId {
    fn from(id: Option<&str>) -> Self {
        Self(id.map(str::to_owned))
    }
}

impl From<Option<String>> for RunId {
    fn from(id: Option<String>) -> Self {
        Self(id)
    }
}

/// As MD5() has it on both engines: of the UTF-8 bytes, in lower case.
fn md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ids_are_shown_alike() {
        let of = |id: Option<&str>| (RunId::from(id).shown(), RunId::from(id).value());
        assert_eq!(of(Some("42")), ("42".into(), json!("42")));
        assert_eq!(of(None), ("NULL".into(), Value::Null));
        assert_eq!(of(Some("NULL")), ("'NULL'".into(), json!("NULL")));
        assert_eq!(of(Some("")), ("(empty)".into(), json!("")));
        assert_eq!(of(Some("(empty)")), ("'(empty)'".into(), json!("(empty)")));
        let (shown, value) = of(Some(&"ü".repeat(32_767)));
        assert!(shown.contains("ü... [32767 characters, MD5 ") && shown.chars().count() < MAX_SHOWN_CHARS + 80);
        assert_eq!(value, json!(shown));
        let long = |last: &str| of(Some(&format!("{}{last}", "y".repeat(300))));
        assert_ne!(long("a"), long("b"));
    }

    #[test]
    fn a_run_is_found_by_a_condition_that_quotes() {
        let condition = |id| RunId::from(id).condition("run_id");
        assert_eq!(condition(None), "run_id IS NULL");
        assert_eq!(condition(Some("007")), "run_id = '007'");
        assert_eq!(condition(Some("it's")), "run_id = 'it''s'");
        assert_eq!(condition(Some("a\\' OR 1=1")), "run_id = 'a' || CHR(92) || ''' OR 1=1'");
        // Seventeen bytes each.
        let backslashes = "\\".repeat(60);
        assert_eq!(condition(Some(&backslashes)), format!("MD5(run_id) = '{}'", md5(&backslashes)));
        assert_eq!(md5("abc"), "900150983cd24fb0d6963f7d28e17f72", "RFC 1321");
    }
}
