//! The id of a run: as people read it, and as machines read it.
//!
//! The warehouse cuts a long id in the result, so that no row of it, no message and no SQL exceeds the services' limits.

/// Ids up to this length are shown and sent whole. Redshift's longest VARCHAR has 65,535 bytes, and SNS takes 256 KB.
pub(crate) const MAX_SHOWN_CHARS: usize = 256;
/// What stands for the rows without an id.
const NONE: &str = "NULL";
/// What stands for the empty id, which SNS refuses as an attribute.
const EMPTY: &str = "(empty)";

/// A run of the upstream workflow. An audit row may have none, where the staged row had none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RunId(Option<Id>);

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
    pub(crate) fn of_result(head: Option<String>, characters: Option<i64>, md5: Option<String>) -> Self {
        let Some(head) = head else { return Self(None) };
        match (head.char_indices().nth(MAX_SHOWN_CHARS), md5) {
            (Some((end, _)), Some(md5)) => {
                Self(Some(Id::Cut { head: head[..end].to_owned(), characters: characters.unwrap_or(0), md5 }))
            }
            _ => Self(Some(Id::Whole(head))),
        }
    }

    /// The id for people and for SNS's attributes: never empty, and a text of its own for each id. A long one is cut,
    /// and its MD5 tells it from others.
    pub(crate) fn shown(&self) -> String {
        match &self.0 {
            None => NONE.to_owned(),
            Some(Id::Whole(id)) if id.is_empty() => EMPTY.to_owned(),
            Some(Id::Whole(id)) if [NONE, EMPTY].contains(&id.as_str()) => format!("'{id}'"),
            Some(Id::Whole(id)) => id.clone(),
            Some(Id::Cut { head, characters, md5 }) => format!("{head}... [{characters} characters, MD5 {md5}]"),
        }
    }

    /// The id for machines: nothing for none, otherwise the text as it is; a long one as it is shown.
    pub(crate) fn value(&self) -> Option<String> {
        match self.0.as_ref()? {
            Id::Whole(id) => Some(id.clone()),
            Id::Cut { .. } => Some(self.shown()),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// What SQL can find its rows by.
    pub(crate) fn sought(&self) -> Sought<'_> {
        match &self.0 {
            None => Sought::Null,
            Some(Id::Whole(id)) => Sought::Id(id),
            Some(Id::Cut { md5, .. }) => Sought::Md5(md5),
        }
    }
}

/// What a run can be found by.
#[derive(Debug, PartialEq)]
pub(crate) enum Sought<'a> {
    Null,
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
        let id = long(&"ü".repeat(300));
        let shown = format!("{}... [65535 characters, MD5 900150983cd24fb0d6963f7d28e17f72]", "ü".repeat(256));
        assert_eq!((id.shown(), id.value()), (shown.clone(), Some(shown)));
    }
}
