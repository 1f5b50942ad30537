//! The types that columns are compared as, and the SQL that reads, hashes and writes a value of each.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// A type of a column, as declared: SMALLINT, INTEGER, BIGINT, DECIMAL(p, s), REAL, DOUBLE PRECISION, BOOLEAN, CHAR(n), VARCHAR(n),
/// DATE, TIMESTAMP or TIMESTAMPTZ. Both sides are cast to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline)]
pub(crate) enum Type {
    SmallInt,
    Integer,
    BigInt,
    /// Precision and scale.
    Decimal(u32, u32),
    Real,
    Double,
    Boolean,
    /// Bytes.
    Char(u32),
    /// Bytes.
    Varchar(u32),
    Date,
    Timestamp,
    /// Compared as the moment that it is, in UTC.
    TimestampTz,
}

/// What a value is once it has been read: several types become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    BigInt,
    Decimal,
    Double,
    Text,
    Timestamp,
}

/// The longest VARCHAR of Redshift's.
const MAX_BYTES: u32 = 65_535;
/// What MD5 returns.
const DIGEST_BYTES: u32 = 32;
const EXPECTED: &str = "SMALLINT, INTEGER, BIGINT, DECIMAL(p, s), REAL, DOUBLE PRECISION, BOOLEAN, CHAR(n), VARCHAR(n), DATE, \
                        TIMESTAMP or TIMESTAMPTZ";

impl TryFrom<String> for Type {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no type that can be compared: {EXPECTED} is expected");
        let upper = text.to_ascii_uppercase();
        let (name, sizes) = match upper.split_once('(') {
            Some((name, sizes)) => (name.trim(), sizes.trim_end().strip_suffix(')').ok_or_else(wrong)?),
            None => (upper.trim(), ""),
        };
        let sizes: Vec<u32> = match sizes {
            "" => Vec::new(),
            sizes => sizes.split(',').map(|size| size.trim().parse()).collect::<Result<_, _>>().map_err(|_| wrong())?,
        };
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let sized = |least: u32, most: u32| match sizes[..] {
            [size] if (least..=most).contains(&size) => Ok(size),
            _ => Err(wrong()),
        };
        Ok(match (name.as_str(), &sizes[..]) {
            ("SMALLINT" | "INT2", []) => Self::SmallInt,
            ("INTEGER" | "INT" | "INT4", []) => Self::Integer,
            ("BIGINT" | "INT8", []) => Self::BigInt,
            ("DECIMAL" | "NUMERIC", &[precision]) if (1..=38).contains(&precision) => Self::Decimal(precision, 0),
            ("DECIMAL" | "NUMERIC", &[precision, scale])
                if (1..=38).contains(&precision) && scale <= precision.min(37) =>
            {
                Self::Decimal(precision, scale)
            }
            ("REAL" | "FLOAT4", []) => Self::Real,
            ("DOUBLE PRECISION" | "DOUBLE" | "FLOAT" | "FLOAT8", []) => Self::Double,
            ("BOOLEAN" | "BOOL", []) => Self::Boolean,
            ("CHAR" | "CHARACTER", _) => Self::Char(sized(1, 4_096)?),
            ("VARCHAR" | "CHARACTER VARYING", _) => Self::Varchar(sized(1, 65_535)?),
            ("DATE", []) => Self::Date,
            ("TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE", []) => Self::Timestamp,
            ("TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE", []) => Self::TimestampTz,
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Integer => f.write_str("INTEGER"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Decimal(precision, scale) => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Real => f.write_str("REAL"),
            Self::Double => f.write_str("DOUBLE PRECISION"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Char(size) => write!(f, "CHAR({size})"),
            Self::Varchar(size) => write!(f, "VARCHAR({size})"),
            Self::Date => f.write_str("DATE"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::TimestampTz => f.write_str("TIMESTAMPTZ"),
        }
    }
}

impl Type {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::SmallInt | Self::Integer | Self::Boolean => Kind::Integer,
            Self::BigInt => Kind::BigInt,
            Self::Decimal(..) => Kind::Decimal,
            Self::Real | Self::Double => Kind::Double,
            Self::Char(_) | Self::Varchar(_) => Kind::Text,
            Self::Date | Self::Timestamp | Self::TimestampTz => Kind::Timestamp,
        }
    }

    pub(super) fn is_number(self) -> bool {
        self != Self::Boolean && !matches!(self.kind(), Kind::Text | Kind::Timestamp)
    }

    /// Digits behind the point, as far as they count: a double has more than any decimal.
    pub(super) fn digits(self) -> u32 {
        match self {
            Self::Decimal(_, scale) => scale,
            Self::Real => 100,
            Self::Double => 101,
            _ => 0,
        }
    }

    /// Digits before the point.
    pub(super) fn whole_digits(self) -> u32 {
        match self {
            Self::SmallInt => 4,
            Self::Integer => 9,
            Self::BigInt => 18,
            Self::Decimal(precision, scale) => precision - scale,
            Self::Real => 100,
            Self::Double => 101,
            _ => 0,
        }
    }

    /// The longest text, in bytes.
    pub(super) fn bytes(self) -> u32 {
        match self {
            Self::Char(size) | Self::Varchar(size) => size,
            _ => 64,
        }
    }

    /// The type of a value that has been read.
    pub(super) fn stored(self) -> String {
        match (self, self.kind()) {
            (Self::Decimal(..), _) => self.to_string(),
            (_, Kind::Integer) => "INTEGER".to_owned(),
            (_, Kind::BigInt) => "BIGINT".to_owned(),
            (_, Kind::Text) => format!("VARCHAR({})", self.bytes().max(DIGEST_BYTES)),
            (_, Kind::Timestamp) => "TIMESTAMP".to_owned(),
            (_, Kind::Double | Kind::Decimal) => "DOUBLE PRECISION".to_owned(),
        }
    }

    /// A text as it is compared: one that is longer than its type would be cut by a cast, and is known by its digest.
    pub(super) fn fit(self, text: &str) -> String {
        match self.bytes() {
            MAX_BYTES => text.to_owned(),
            size => {
                format!(
                    "CASE WHEN OCTET_LENGTH({text}) > {size} THEN MD5({text}) ELSE CAST({text} AS VARCHAR({size})) END"
                )
            }
        }
    }

    /// Reads a column; a text in its full length.
    pub(super) fn read(self, column: &str) -> String {
        match self {
            // Redshift casts no BOOLEAN to anything.
            Self::Boolean => {
                format!("CASE WHEN CAST({column} AS BOOLEAN) THEN 1 WHEN NOT CAST({column} AS BOOLEAN) THEN 0 END")
            }
            // Blanks at the end of a CHAR are no part of the value.
            Self::Char(_) => format!("RTRIM(CAST({column} AS VARCHAR({MAX_BYTES})))"),
            Self::Varchar(_) => format!("CAST({column} AS VARCHAR({MAX_BYTES}))"),
            Self::SmallInt => format!("CAST({column} AS INTEGER)"),
            Self::Real => format!("CAST(CAST({column} AS REAL) AS DOUBLE PRECISION)"),
            Self::Date => format!("CAST(CAST({column} AS DATE) AS TIMESTAMP)"),
            Self::TimestampTz => format!("CAST({column} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"),
            of => format!("CAST({column} AS {of})"),
        }
    }
}

impl Kind {
    /// What stands for NULL in a hash: the hash itself knows which columns are NULL.
    pub(super) fn nothing(self) -> &'static str {
        match self {
            Self::Integer | Self::BigInt | Self::Decimal | Self::Double => "0",
            Self::Text => "''",
            Self::Timestamp => "TIMESTAMP '1970-01-01'",
        }
    }

    /// The value as text, so that two values are never the same text, nor run into the next one.
    pub(super) fn text(self, value: &str) -> String {
        match self {
            Self::Text => format!("COALESCE(CAST(OCTET_LENGTH({value}) AS VARCHAR) || ':' || {value}, '-')"),
            Self::Timestamp => format!("COALESCE(TO_CHAR({value}, 'YYYY-MM-DD HH24:MI:SS.US'), '-')"),
            _ => format!("COALESCE(CAST({value} AS VARCHAR), '-')"),
        }
    }

    /// The value as a literal of SQL.
    pub(super) fn literal(self, value: &str) -> String {
        match self {
            Self::Text => format!("QUOTE_LITERAL({value})"),
            Self::Timestamp => format!("QUOTE_LITERAL(TO_CHAR({value}, 'YYYY-MM-DD HH24:MI:SS.US'))"),
            _ => format!("CAST({value} AS VARCHAR)"),
        }
    }

    /// Whether a later run has a greater one.
    pub(super) fn has_order(self) -> bool {
        matches!(self, Self::Integer | Self::BigInt | Self::Decimal | Self::Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_as_sql_writes_it() {
        for (text, of) in [
            ("bigint", "BIGINT"),
            ("DECIMAL(12, 2)", "DECIMAL(12, 2)"),
            ("numeric(12)", "DECIMAL(12, 0)"),
            ("double  precision", "DOUBLE PRECISION"),
            ("varchar(64)", "VARCHAR(64)"),
            ("timestamp with time zone", "TIMESTAMPTZ"),
            ("VARCHAR", ""),
            ("VARCHAR(65536)", ""),
            ("DECIMAL(39, 2)", ""),
            ("DECIMAL(4, 5)", ""),
            ("SUPER", ""),
            ("INTEGER(4)", ""),
            ("VARCHAR(64", ""),
        ] {
            let read = Type::try_from(text.to_owned());
            assert_eq!(read.map(|of| of.to_string()).unwrap_or_default(), of, "{text}");
        }
    }
}
