//! The types that an argument may be cast to, and which values each of them takes without a change.
//!
//! Redshift's CAST cuts a long text, rounds a long fraction, and drops a time or a time zone without a word. A value
//! that would arrive changed is refused here.

use std::fmt;

use time::{Date, Month};

use super::number::Decimal;

/// Redshift's limit for the precision of a DECIMAL. [Amazon Redshift Database Developer Guide, "Numeric types"]
const MAX_PRECISION: u32 = 38;
/// Redshift's limit for the scale of a DECIMAL. [as above]
const MAX_SCALE: u32 = 37;
/// Redshift's limits for the length of a CHAR and a VARCHAR, in bytes. [as above, "Character types"]
const MAX_CHAR: u32 = 4096;
const MAX_VARCHAR: u32 = 65_535;
/// Digits that Redshift and PostgreSQL keep of a fraction of a second.
const FRACTION_DIGITS: usize = 6;

/// A type under the name that both Redshift and PostgreSQL take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SqlType {
    SmallInt,
    Integer,
    BigInt,
    /// Precision and scale.
    Decimal(u32, u32),
    Real,
    Double,
    Boolean,
    /// Length in bytes.
    Char(u32),
    /// Length in bytes.
    Varchar(u32),
    Date,
    Timestamp,
    TimestampTz,
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Integer => f.write_str("INTEGER"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Decimal(precision, scale) => write!(f, "DECIMAL({precision},{scale})"),
            Self::Real => f.write_str("REAL"),
            Self::Double => f.write_str("DOUBLE PRECISION"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Char(length) => write!(f, "CHAR({length})"),
            Self::Varchar(length) => write!(f, "VARCHAR({length})"),
            Self::Date => f.write_str("DATE"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::TimestampTz => f.write_str("TIMESTAMPTZ"),
        }
    }
}

impl SqlType {
    /// Reads a type or one of its aliases, in any case and with any blanks.
    ///
    /// Without a size, a type has the one that Redshift gives it, with one exception: VARCHAR takes as much as
    /// Redshift can hold; its CAST would cut at 256 bytes.
    ///
    /// # Errors
    /// What a type must be; never the text itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        let (name, size) = match upper.split_once('(') {
            None => (upper.as_str(), None),
            Some((name, size)) => (name, Some(size.trim_end().strip_suffix(')').ok_or_else(unknown)?)),
        };
        let name = name.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let is_max = size.is_some_and(|size| size.trim() == "MAX");
        let size: Option<Vec<u32>> = match size {
            Some(size) if !is_max => Some(size.split(',').map(read_size).collect::<Option<_>>().ok_or_else(unknown)?),
            _ => None,
        };
        let length = |most: u32, default: u32| match size.as_deref() {
            None => Ok(default),
            Some(&[length]) if (1..=most).contains(&length) => Ok(length),
            Some(_) => Err(format!("a length in parentheses is 1 to {most} for this Type")),
        };
        let found = match name.as_str() {
            "VARCHAR" | "CHARACTER VARYING" | "NVARCHAR" => return length(MAX_VARCHAR, MAX_VARCHAR).map(Self::Varchar),
            _ if is_max => return Err(unknown()),
            "CHAR" | "CHARACTER" | "NCHAR" => return length(MAX_CHAR, 1).map(Self::Char),
            "DECIMAL" | "NUMERIC" => return decimal(size.as_deref()),
            "SMALLINT" | "INT2" => Self::SmallInt,
            "INTEGER" | "INT" | "INT4" => Self::Integer,
            "BIGINT" | "INT8" => Self::BigInt,
            "REAL" | "FLOAT4" => Self::Real,
            "DOUBLE PRECISION" | "FLOAT" | "FLOAT8" => Self::Double,
            "BOOLEAN" | "BOOL" => Self::Boolean,
            // Redshift's CHAR(256), and its TEXT, which the CAST would cut at 256 bytes.
            "BPCHAR" => Self::Char(256),
            "TEXT" => Self::Varchar(MAX_VARCHAR),
            "DATE" => Self::Date,
            "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => Self::Timestamp,
            "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => Self::TimestampTz,
            _ => return Err(unknown()),
        };
        if size.is_some() { Err("this Type takes no size in parentheses".to_owned()) } else { Ok(found) }
    }

    /// Whether it holds a number as a float does.
    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::Real | Self::Double)
    }

    /// The text to bind for a value that this type holds exactly: the text itself, or the same number without
    /// exponent.
    ///
    /// # Errors
    /// Which values the type takes; never the value.
    pub(super) fn exact(self, text: String) -> Result<String, String> {
        let whole = |min: i64, max: i64| match text.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            _ => Err(format!("{self} takes a whole number from {min} to {max}, written as digits")),
        };
        let shaped = |fits: bool, takes: &str| if fits { Ok(()) } else { Err(format!("{self} takes {takes}")) };
        match self {
            Self::SmallInt => whole(i16::MIN.into(), i16::MAX.into())?,
            Self::Integer => whole(i32::MIN.into(), i32::MAX.into())?,
            Self::BigInt => whole(i64::MIN, i64::MAX)?,
            Self::Decimal(precision, scale) => return self.exact_decimal(text, precision, scale),
            Self::Real | Self::Double => {
                let named = ["nan", "infinity", "-infinity"].iter().any(|name| text.eq_ignore_ascii_case(name));
                let single = self == Self::Real;
                let kept = || Decimal::parse(&text).is_some_and(|number| number.survives_as_float(single));
                shaped(
                    named || kept(),
                    "a number whose digits it can give back as written; DECIMAL keeps more of them",
                )?;
            }
            Self::Boolean => {
                let words = ["true", "false", "t", "f", "yes", "no", "y", "n", "1", "0"];
                let fits = words.iter().any(|word| text.eq_ignore_ascii_case(word));
                shaped(fits, "true or false")?;
            }
            Self::Char(length) | Self::Varchar(length) => {
                let bytes = text.len();
                let fits = u32::try_from(bytes).is_ok_and(|bytes| bytes <= length);
                if !fits {
                    return Err(format!(
                        "it has {bytes} bytes (UTF-8) and {self} takes {length}; CAST would cut it: give a longer Type"
                    ));
                }
            }
            Self::Date => {
                let fits = date(&text) == Some("") || compact_date(&text);
                shaped(fits, "a date as YYYY-MM-DD (a time of day would be dropped)")?;
            }
            Self::Timestamp => {
                let takes = "YYYY-MM-DD, or YYYY-MM-DD HH:MM:SS with at most 6 digits behind the point and no time \
                             zone, which would be dropped; TIMESTAMPTZ takes one";
                shaped(date(&text).and_then(time_of_day) == Some(""), takes)?;
            }
            Self::TimestampTz => {
                let takes =
                    "YYYY-MM-DD HH:MM:SS with at most 6 digits behind the point, and a time zone as Z or +HH:MM";
                shaped(date(&text).and_then(time_of_day).is_some_and(is_zone), takes)?;
            }
        }
        Ok(text)
    }

    fn exact_decimal(self, text: String, precision: u32, scale: u32) -> Result<String, String> {
        let number = Decimal::parse(&text).ok_or_else(|| format!("{self} takes a number, written as digits"))?;
        let (before, behind) = number.places();
        let fits = |places: usize, most: u32| u32::try_from(places).is_ok_and(|places| places <= most);
        if !fits(before, precision - scale) || !fits(behind, scale) {
            return Err(format!(
                "{self} takes {} digits before the point and {scale} behind it; CAST would refuse or round the rest: \
                 give a wider Type, as in DECIMAL(38,10)",
                precision - scale
            ));
        }
        // Redshift may not read an exponent where it expects a DECIMAL.
        Ok(if text.contains(['e', 'E']) { number.plain() } else { text })
    }
}

fn unknown() -> String {
    "it has to be SMALLINT, INTEGER, BIGINT, DECIMAL(p,s), REAL, DOUBLE PRECISION, BOOLEAN, CHAR(n), VARCHAR(n), DATE, \
     TIMESTAMP or TIMESTAMPTZ, or one of their usual other names"
        .to_owned()
}

fn read_size(text: &str) -> Option<u32> {
    let text = text.trim();
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Redshift gives a DECIMAL without a size 18 digits and no fraction. [Amazon Redshift Database Developer Guide,
/// "Numeric types"]
fn decimal(size: Option<&[u32]>) -> Result<SqlType, String> {
    let (precision, scale) = match size {
        None => (18, 0),
        Some(&[precision]) => (precision, 0),
        Some(&[precision, scale]) => (precision, scale),
        Some(_) => return Err(unknown()),
    };
    if !(1..=MAX_PRECISION).contains(&precision) || scale > precision.min(MAX_SCALE) {
        return Err(format!(
            "a DECIMAL has a precision of 1 to {MAX_PRECISION} and a scale of 0 to {MAX_SCALE}, which is not above the \
             precision"
        ));
    }
    Ok(SqlType::Decimal(precision, scale))
}

fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    number.bytes().all(|b| b.is_ascii_digit()).then(|| Some((number.parse().ok()?, rest))).flatten()
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let month = u8::try_from(month).ok().and_then(|m| Month::try_from(m).ok());
    let (year, day) = (i32::try_from(year).unwrap_or(0), u8::try_from(day).unwrap_or(0));
    year > 0 && month.is_some_and(|month| Date::from_calendar_date(year, month, day).is_ok())
}

/// What follows after YYYY-MM-DD; nothing if that is no day.
fn date(text: &str) -> Option<&str> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    is_day(year, month, day).then_some(rest)
}

fn compact_date(text: &str) -> bool {
    let parts = || {
        let (year, rest) = digits(text, 4)?;
        let (month, rest) = digits(rest, 2)?;
        let (day, rest) = digits(rest, 2)?;
        Some(rest.is_empty() && is_day(year, month, day))
    };
    parts().unwrap_or(false)
}

/// What follows after a time of day, which may be absent; nothing if the engine would round or carry it over.
fn time_of_day(text: &str) -> Option<&str> {
    let Some(rest) = text.strip_prefix([' ', 'T']) else { return Some(text) };
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = match rest.strip_prefix(':') {
        None => (0, rest),
        Some(rest) => digits(rest, 2)?,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let Some(rest) = rest.strip_prefix('.') else { return Some(rest) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, rest) = rest.split_at(end);
    let kept = (1..=FRACTION_DIGITS).contains(&fraction.trim_end_matches('0').len().max(1));
    (!fraction.is_empty() && kept).then_some(rest)
}

/// Whether it is an offset from UTC, or nothing: then the time is in the session's time zone.
fn is_zone(text: &str) -> bool {
    let text = text.strip_prefix(' ').unwrap_or(text);
    if ["", "Z", "UTC"].contains(&text) {
        return true;
    }
    let Some(offset) = text.strip_prefix(['+', '-']) else { return false };
    let parts = || {
        let (hours, rest) = digits(offset, 2)?;
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        let (minutes, rest) = if rest.is_empty() && !offset.ends_with(':') { (0, rest) } else { digits(rest, 2)? };
        Some(rest.is_empty() && hours <= 15 && minutes <= 59)
    };
    parts().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_their_aliases_have_one_name_each() {
        for (texts, name) in [
            (&["SMALLINT", "int2", " SmallInt "][..], "SMALLINT"),
            (&["INTEGER", "int", "INT4"], "INTEGER"),
            (&["BIGINT", "int8"], "BIGINT"),
            (&["DECIMAL", "numeric", "DECIMAL(18)", "numeric ( 18 , 0 )"], "DECIMAL(18,0)"),
            (&["DECIMAL(10,2)", "numeric(10,2)", "decimal( 10 , 2 )", "NUMERIC\t(010,02)"], "DECIMAL(10,2)"),
            (&["DECIMAL(38,37)"], "DECIMAL(38,37)"),
            (&["REAL", "float4"], "REAL"),
            (&["DOUBLE PRECISION", "double   precision", "FLOAT", "float8"], "DOUBLE PRECISION"),
            (&["BOOLEAN", "bool"], "BOOLEAN"),
            (&["CHAR", "character", "NCHAR", "char(1)"], "CHAR(1)"),
            (&["CHAR(10)", "character (10)", "nchar(10)"], "CHAR(10)"),
            (&["BPCHAR"], "CHAR(256)"),
            (&["VARCHAR(10)", "character  varying(10)", "NVARCHAR( 10 )"], "VARCHAR(10)"),
            (
                &["VARCHAR", "VARCHAR(MAX)", "varchar ( max )", "TEXT", "NVARCHAR", "character varying"],
                "VARCHAR(65535)",
            ),
            (&["DATE"], "DATE"),
            (&["TIMESTAMP", "timestamp without time zone"], "TIMESTAMP"),
            (&["TIMESTAMPTZ", "Timestamp  With Time Zone"], "TIMESTAMPTZ"),
        ] {
            for text in texts {
                let parsed = SqlType::parse(text).expect(text);
                assert_eq!(parsed.to_string(), name, "{text}");
                assert_eq!(SqlType::parse(name), Ok(parsed), "the name of {text} is one, too");
            }
        }
    }

    #[test]
    fn other_types_and_sizes_are_refused_without_their_text() {
        for text in [
            "",
            "hunter2",
            "INTEGER(4)",
            "INTEGER); DROP",
            "DECIMAL(39,0)",
            "DECIMAL(0)",
            "DECIMAL(10,11)",
            "DECIMAL(38,38)",
            "DECIMAL(1,2,3)",
            "DECIMAL()",
            "DECIMAL(-1)",
            "DECIMAL(+5)",
            "DECIMAL(MAX)",
            "CHAR(0)",
            "CHAR(4097)",
            "CHAR(MAX)",
            "VARCHAR(65536)",
            "VARCHAR(99999999999)",
            "VARCHAR(10) hunter2",
            "VARCHAR(10",
            "TEXT(10)",
            "BPCHAR(10)",
            "DATE(1)",
            "TIMESTAMP(6)",
            "TIME",
            "SUPER",
            "VARCHAR(hunter2)",
        ] {
            let refused = SqlType::parse(text).expect_err(text);
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn each_type_takes_what_it_holds_exactly() {
        for (name, texts) in [
            ("SMALLINT", &["0", "-32768", "32767", "007", "+5"][..]),
            ("INTEGER", &["-2147483648", "2147483647"]),
            ("BIGINT", &["-9223372036854775808", "9223372036854775807"]),
            ("DECIMAL", &["0", "123456789012345678", "-1", "1.000"]),
            ("DECIMAL(10,2)", &["1.5", "12345678.99", "-0.01", "1.500", "-0.0"]),
            ("DECIMAL(38,0)", &["12345678901234567890123"]),
            ("DECIMAL(38,37)", &["0.1234567890123456789012345678901234567"]),
            ("DECIMAL(2,2)", &["0.12", ".12"]),
            ("REAL", &["0.1", "-2.5e3", "NaN", "-infinity"]),
            ("DOUBLE PRECISION", &["0.1", "1E5", "0.30000000000000004", "Infinity", "-0.0"]),
            ("BOOLEAN", &["true", "FALSE", "t", "0"]),
            ("CHAR", &["Y"]),
            ("CHAR(3)", &["abc", "é"]),
            ("VARCHAR(2)", &["é", "ab"]),
            ("TEXT", &["any 'text'\n"]),
            ("DATE", &["2026-01-31", "20260131", "2024-02-29"]),
            (
                "TIMESTAMP",
                &["2026-01-31", "2026-01-31 10:00", "2026-01-31T10:00:00.123456", "2026-01-31 23:59:59.1230000"],
            ),
            (
                "TIMESTAMPTZ",
                &[
                    "2026-01-31 10:00:00",
                    "2026-01-31T10:00:00Z",
                    "2026-01-31 10:00:00.5+02",
                    "2026-01-31 10:00:00 -0530",
                    "2026-01-31 10:00:00+05:30",
                    "2026-01-31 10:00 UTC",
                ],
            ),
        ] {
            for text in texts {
                let bound = SqlType::parse(name).expect(name).exact((*text).to_owned());
                assert!(bound.is_ok(), "{text} as {name}: {bound:?}");
                if !text.contains(['e', 'E']) || !name.starts_with("DECIMAL") {
                    assert_eq!(bound.expect("checked"), *text, "as written");
                }
            }
        }
        for (text, plain) in [("1E5", "100000"), ("-12.5e-1", "-1.25"), ("0e9", "0")] {
            let bound = SqlType::parse("DECIMAL(10,2)").expect("a type").exact(text.to_owned());
            assert_eq!(bound.as_deref(), Ok(plain), "{text}");
        }
    }

    #[test]
    fn each_type_refuses_what_it_would_change() {
        for (name, texts) in [
            ("SMALLINT", &["32768", "1.0", "1.5", "1e2", "", "true", " 1", "NaN"][..]),
            ("INTEGER", &["2147483648", "-2147483649", "1.0"]),
            ("BIGINT", &["9223372036854775808", "12345678901234567890123"]),
            ("DECIMAL", &["1.5", "1234567890123456789", "hunter2", "NaN", ""]),
            ("DECIMAL(10,2)", &["1.005", "123456789", "1e400", "1e-3", "1e9999999999999999999"]),
            ("DECIMAL(38,37)", &["12.5", "0.12345678901234567890123456789012345678"]),
            ("REAL", &["123456789", "1e39", "0.1234567890123", "hunter2"]),
            ("DOUBLE PRECISION", &["9007199254740993", "1e400", "1e-400", "0.1234567890123456789", "inf"]),
            ("BOOLEAN", &["2", "on", "", "truex"]),
            ("CHAR", &["hunter2", "é"]),
            ("CHAR(3)", &["abcd", "ééé"]),
            ("VARCHAR(2)", &["abc", "éa"]),
            (
                "DATE",
                &[
                    "2026-01-31 10:00:00",
                    "2026-01-31T00:00:00Z",
                    "2026-02-30",
                    "31.01.2026",
                    "01/02/2026",
                    "2026-1-31",
                    "0000-01-01",
                    "today",
                    "20260230",
                    "12026-01-31",
                ],
            ),
            (
                "TIMESTAMP",
                &[
                    "2026-01-31 10:00:00.1234567",
                    "2026-01-31 10:00:00Z",
                    "2026-01-31 10:00:00+02",
                    "2026-01-31 10",
                    "2026-01-31 24:00:00",
                    "2026-01-31 23:59:60",
                    "2026-01-31 10:00:00.",
                    "now",
                    "2026-01-31 10:00:00 AD",
                ],
            ),
            (
                "TIMESTAMPTZ",
                &[
                    "2026-01-31 10:00:00.1234567Z",
                    "2026-01-31 10:00:00+99",
                    "2026-01-31 10:00:00+2",
                    "2026-01-31 10:00:00+02:",
                    "2026-01-31 10:00:00 hunter2",
                ],
            ),
        ] {
            for text in texts {
                let refused = SqlType::parse(name).expect(name).exact((*text).to_owned());
                let refused = refused.expect_err(&format!("{text} as {name}"));
                assert!(!refused.contains("hunter2"), "{refused}");
            }
        }
        assert!(SqlType::parse("TEXT").expect("a type").exact("x".repeat(65_536)).is_err());
    }
}
