//! Values of columns: random ones, and what two of them are to each other. Written for the tests alone, without the SQL.

use fastrand::Rng;

/// A type, as the declaration writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Of {
    Small,
    Integer,
    Big,
    Decimal(u32),
    Real,
    Double,
    Boolean,
    Char,
    Varchar,
    Date,
    Timestamp,
    TimestampTz,
}

/// What a value is, whatever it looks like. Decimals have four digits behind the point.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(crate) enum Value {
    Integer(i128),
    Decimal(i128),
    Float(f64),
    Text(String),
    /// In UTC, with microseconds.
    Time(String),
}

const EXACT: [Of; 10] = [
    Of::Small,
    Of::Integer,
    Of::Big,
    Of::Decimal(0),
    Of::Decimal(4),
    Of::Boolean,
    Of::Char,
    Of::Varchar,
    Of::Date,
    Of::Timestamp,
];
const OTHERS: [Of; 3] = [Of::Real, Of::Double, Of::TimestampTz];

const TEXTS: [&str; 22] = [
    "", " ", "a", "A", "a ", " a", "b", "b|c", "|", "a|", "\u{1}", "\u{1}a", "é", "É", "日本", "x\\y", "it's", "null",
    "NULL", "-", "1:a", "a  b",
];
const FLOATS: [&str; 8] = ["0", "-0.0", "1.5", "0.1", "1e-7", "1e20", "-3.25", "1.75"];
const DATES: [&str; 4] = ["2026-01-01", "1999-12-31", "2024-02-29", "2026-11-25"];
/// As written, and in UTC.
const TIMES: [(&str, &str); 5] = [
    ("2026-01-01 10:00:00+00", "2026-01-01 10:00:00.000000"),
    ("2026-01-01 12:00:00+02", "2026-01-01 10:00:00.000000"),
    ("2026-01-01 10:00:00.000001+00", "2026-01-01 10:00:00.000001"),
    ("2025-12-31 23:30:00-01", "2026-01-01 00:30:00.000000"),
    ("2026-07-01 00:00:00+05:30", "2026-06-30 18:30:00.000000"),
];

impl Of {
    pub(crate) fn any(random: &mut Rng) -> Self {
        let n = random.usize(..EXACT.len() + OTHERS.len());
        EXACT.get(n).copied().unwrap_or_else(|| OTHERS[n - EXACT.len()])
    }

    /// One that tells rows apart.
    pub(crate) fn exact(random: &mut Rng) -> Self {
        let n = random.usize(..=EXACT.len());
        EXACT.get(n).copied().unwrap_or(Self::TimestampTz)
    }

    pub(crate) fn sql(self) -> String {
        match self {
            Self::Small => "SMALLINT".to_owned(),
            Self::Integer => "INTEGER".to_owned(),
            Self::Big => "BIGINT".to_owned(),
            Self::Decimal(scale) => format!("DECIMAL(14, {scale})"),
            Self::Real => "REAL".to_owned(),
            Self::Double => "DOUBLE PRECISION".to_owned(),
            Self::Boolean => "BOOLEAN".to_owned(),
            Self::Char => "CHAR(8)".to_owned(),
            Self::Varchar => "VARCHAR(20)".to_owned(),
            Self::Date => "DATE".to_owned(),
            Self::Timestamp => "TIMESTAMP".to_owned(),
            Self::TimestampTz => "TIMESTAMPTZ".to_owned(),
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Small | Self::Integer | Self::Big | Self::Decimal(_) | Self::Real | Self::Double)
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Char | Self::Varchar)
    }

    /// A value as SQL casts it from text.
    pub(crate) fn text(self, random: &mut Rng) -> String {
        let extreme = random.u8(..8) == 0;
        let whole = |random: &mut Rng, least: i64, most: i64| {
            let ends = [least, most, most - 1];
            let n = if extreme { ends[random.usize(..3)] } else { random.i64(-3..6) };
            n.to_string()
        };
        match self {
            Self::Small => whole(random, i16::MIN.into(), i16::MAX.into()),
            Self::Integer => whole(random, i32::MIN.into(), i32::MAX.into()),
            Self::Big => whole(random, i64::MIN, i64::MAX),
            Self::Decimal(0) => whole(random, -99_999_999_999_999, 99_999_999_999_999),
            Self::Decimal(_) => {
                ["0.0000", "-1.0500", "1.0000", "1.0400", "1.1", "2", "9999999999.9999"][random.usize(..7)].to_owned()
            }
            Self::Real | Self::Double => FLOATS[random.usize(..FLOATS.len())].to_owned(),
            Self::Boolean => random.bool().to_string(),
            Self::Char | Self::Varchar => TEXTS[random.usize(..TEXTS.len())].to_owned(),
            Self::Date => DATES[random.usize(..DATES.len())].to_owned(),
            Self::Timestamp => TIMES[random.usize(..TIMES.len())].1.to_owned(),
            Self::TimestampTz => TIMES[random.usize(..TIMES.len())].0.to_owned(),
        }
    }

    /// A value that is easily taken for this one.
    pub(crate) fn near(self, text: &str, random: &mut Rng) -> String {
        let near = match self.value(text) {
            Value::Text(text) => [format!("{text} "), format!(" {text}"), text.to_uppercase(), text.to_lowercase()]
                [random.usize(..4)]
            .clone(),
            Value::Integer(n) if self.is_number() => (n + [-2, -1, 1, 2][random.usize(..4)]).to_string(),
            Value::Decimal(n) if self == Self::Decimal(4) => {
                Value::Decimal(n + [-5_000, -500, 500, 501, 5_000][random.usize(..5)]).stored()
            }
            Value::Float(n) => format!("{:?}", n + [-0.5, 0.5, 1.0][random.usize(..3)]),
            _ => return self.text(random),
        };
        let holds = match (self, near.parse::<f64>()) {
            (Self::Small, Ok(n)) => n.abs() < f64::from(i16::MAX),
            (Self::Integer, Ok(n)) => n.abs() < f64::from(i32::MAX),
            (Self::Big, Ok(n)) => n.abs() < 9e18,
            (Self::Decimal(_), Ok(n)) => n.abs() < 9e9,
            _ => true,
        };
        if holds { near } else { self.text(random) }
    }

    pub(crate) fn value(self, text: &str) -> Value {
        match self {
            Self::Small | Self::Integer | Self::Big => Value::Integer(text.parse().expect("a whole number")),
            Self::Decimal(_) => {
                let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
                Value::Decimal(format!("{whole}{rest:0<4}").parse().expect("a decimal"))
            }
            Self::Real => Value::Float(text.parse::<f32>().expect("a number").into()),
            Self::Double => Value::Float(text.parse().expect("a number")),
            Self::Boolean => Value::Integer(i128::from(text == "true")),
            Self::Char => Value::Text(text.trim_end_matches(' ').to_owned()),
            Self::Varchar => Value::Text(text.to_owned()),
            Self::Date => Value::Time(format!("{text} 00:00:00.000000")),
            Self::Timestamp => Value::Time(text.to_owned()),
            Self::TimestampTz => {
                let time = TIMES.iter().find(|(written, _)| *written == text).expect("one of them");
                Value::Time(time.1.to_owned())
            }
        }
    }
}

impl Value {
    /// As the audit table holds it, for a literal.
    pub(crate) fn stored(&self) -> String {
        match self {
            Self::Integer(n) => n.to_string(),
            Self::Decimal(n) => {
                let sign = if *n < 0 { "-" } else { "" };
                format!("{sign}{}.{:04}", n.abs() / 10_000, n.abs() % 10_000)
            }
            Self::Float(n) => format!("{n:?}"),
            Self::Text(text) | Self::Time(text) => text.clone(),
        }
    }

    /// Whether they are no further apart than this many hundredths.
    pub(crate) fn is_near(&self, other: &Self, hundredths: u32) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => (a - b).abs() * 100 <= hundredths.into(),
            (Self::Decimal(a), Self::Decimal(b)) => (a - b).abs() <= i128::from(hundredths) * 100,
            (Self::Float(a), Self::Float(b)) => a == b || (a - b).abs() <= f64::from(hundredths) / 100.0,
            _ => self == other,
        }
    }
}
