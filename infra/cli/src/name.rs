//! Names of the warehouse: identifiers and `schema.table`, as SQL writes them.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// The longest identifier, in bytes. [Amazon Redshift Database Developer Guide, "Names and identifiers"]
const MAX_BYTES: usize = 127;

/// What has to be quoted, because it is a word of the language. [Amazon Redshift Database Developer Guide, "Reserved words"]
const RESERVED: &str = " aes128 aes256 all allowoverwrite asymmetric collation concurrently current_catalog current_role current_schema fetch lateral returning symmetric tablesample variadic analyse analyze and any array as asc authorization backup between binary \
    blanksasnull both bytedict case cast check collate column connect constraint create credentials cross current_date current_time \
    current_timestamp current_user current_user_id default deferrable deflate defrag delta desc disable distinct do else emptyasnull \
    enable encode encrypt encryption end except explicit false for foreign freeze from full globaldict group having identity ignore \
    ilike in initially inner intersect interval into is isnull join leading left like limit localtime localtimestamp lun luns minus \
    mostly16 mostly32 mostly8 natural new not notnull null nulls off offline offset oid old on only open or order outer overlaps \
    parallel partition percent permissions pivot placing primary raw readratio recover references rejectlog resort respect restore \
    right select session_user similar snapshot some sysdate system table tag tdes text255 text32k then timestamp to top trailing \
    true truncatecolumns union unique unnest unpivot user using verbose wallet when where window with without ";

/// The name of a column, a table or a schema: as it is if it is in lower case, otherwise in double quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline)]
pub(crate) struct Name(String);

impl Name {
    /// One that is known to be plain.
    pub(crate) fn plain(name: String) -> Self {
        Self(name)
    }

    /// What stands in the catalog.
    pub(crate) fn raw(&self) -> &str {
        &self.0
    }

    /// What a text begins with, and the rest of it.
    pub(crate) fn parse(text: &str) -> Option<(Self, &str)> {
        let (name, rest) = match text.strip_prefix('"') {
            Some(quoted) => {
                let mut name = String::new();
                let mut rest = quoted;
                loop {
                    let (part, after) = rest.split_once('"')?;
                    name.push_str(part);
                    match after.strip_prefix('"') {
                        Some(more) => {
                            name.push('"');
                            rest = more;
                        }
                        None => break (name, after),
                    }
                }
            }
            None => {
                let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
                let (name, rest) = text.split_at(end);
                let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                (begins.then(|| name.to_ascii_lowercase())?, rest)
            }
        };
        let holds = !name.is_empty()
            && name.len() <= MAX_BYTES
            && !name.contains(|c: char| c.is_control() || c == '\\')
            && !name.contains("$$");
        holds.then_some((Self(name), rest))
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Self::parse(&text) {
            Some((name, "")) => Ok(name),
            _ => Err(format!(
                "{text:?} is no name of a column or table: letters, digits and _, or anything but \\ and $$ in double quotes, at most \
                 127 bytes"
            )),
        }
    }
}

/// As SQL takes it.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && self.0.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !RESERVED.contains(&format!(" {} ", self.0));
        if plain { f.write_str(&self.0) } else { write!(f, "\"{}\"", self.0.replace('"', "\"\"")) }
    }
}

/// `schema.table`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline)]
pub(crate) struct Qualified {
    pub(crate) schema: Name,
    pub(crate) name: Name,
}

impl Qualified {
    /// What a text begins with, and the rest of it.
    pub(crate) fn parse(text: &str) -> Option<(Self, &str)> {
        let (schema, rest) = Name::parse(text)?;
        let (name, rest) = Name::parse(rest.strip_prefix('.')?)?;
        Some((Self { schema, name }, rest))
    }

    /// As it is looked up in a catalog: Redshift folds names to lower case, quoted ones, too, unless told otherwise.
    pub(crate) fn raw(&self) -> (String, String) {
        (self.schema.0.to_lowercase(), self.name.0.to_lowercase())
    }
}

impl TryFrom<String> for Qualified {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Self::parse(&text) {
            Some((qualified, "")) => Ok(qualified),
            _ => {
                Err(format!("{text:?} is no table: schema.table is expected, each in double quotes where SQL needs it"))
            }
        }
    }
}

impl fmt::Display for Qualified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_where_sql_needs_it() {
        for (text, sql) in [
            ("run_id", "run_id"),
            ("Run_ID", "run_id"),
            ("\"Run ID\"", "\"Run ID\""),
            ("\"a\"\"b\"", "\"a\"\"b\""),
            ("order", "\"order\""),
            ("\"it's\"", "\"it's\""),
            ("größe", ""),
            ("\"größe\"", "\"größe\""),
            ("a b", ""),
            ("1a", ""),
            ("", ""),
            ("\"\"", ""),
            ("\"a", ""),
            ("a; DROP TABLE x", ""),
            ("\"a\nb\"", ""),
            ("\"a$$b\"", ""),
            ("\"a\\b\"", ""),
            ("returning", "\"returning\""),
        ] {
            let name = Name::try_from(text.to_owned());
            assert_eq!(name.map(|name| name.to_string()).unwrap_or_default(), sql, "{text}");
        }
        assert!(Name::try_from("x".repeat(128)).is_err());
        for (text, sql) in [
            ("dev.orders", "dev.orders"),
            ("\"a.b\".\"C\"", "\"a.b\".\"C\""),
            ("orders", ""),
            ("a.b.c", ""),
            ("a.b()", ""),
        ] {
            let name = Qualified::try_from(text.to_owned());
            assert_eq!(name.map(|name| name.to_string()).unwrap_or_default(), sql, "{text}");
        }
    }
}
