//! Values as the Data API shows them: whole numbers as long, DECIMAL, date and time as strings.
//!
//! Whether a column can be shown is settled by its type, before anything runs ([`is_shown`]); then every value of it can
//! be ([`field`]). Once a statement has committed, nothing of its result may make it fail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio_postgres::types::{Kind, Type};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// From 0001-01-01 to 2000-01-01, where PostgreSQL's days begin.
const DAYS_TO_2000: i64 = 730_119;

/// Whether the values of a type are shown: those of Redshift's types, and what is text anyway.
pub(crate) fn is_shown(of: &Type) -> bool {
    matches!(
        *of,
        Type::BOOL
            | Type::INT2
            | Type::INT4
            | Type::INT8
            | Type::OID
            | Type::FLOAT4
            | Type::FLOAT8
            | Type::NUMERIC
            | Type::DATE
            | Type::TIME
            | Type::TIMETZ
            | Type::TIMESTAMP
            | Type::TIMESTAMPTZ
            | Type::INTERVAL
            | Type::BYTEA
            | Type::VOID
            | Type::UUID
            | Type::JSONB
            | Type::REFCURSOR
    ) || is_text(of)
}

fn is_text(of: &Type) -> bool {
    let own = matches!(
        *of,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::CHAR | Type::JSON | Type::XML
    );
    own || *of == Type::REFCURSOR || matches!(of.kind(), Kind::Enum(_))
}

/// A value in PostgreSQL's binary form, of a type that [`is_shown`].
pub(crate) fn field(of: &Type, raw: Option<&[u8]>) -> Value {
    let Some(raw) = raw else { return json!({"isNull": true}) };
    let text = |text: String| json!({"stringValue": text});
    match *of {
        Type::BOOL => json!({"booleanValue": raw.first().is_some_and(|byte| *byte != 0)}),
        Type::INT2 | Type::INT4 | Type::INT8 => json!({"longValue": signed(raw)}),
        Type::OID => json!({"longValue": u32::from_be_bytes(bytes(raw))}),
        Type::FLOAT4 => double(f32::from_be_bytes(bytes(raw)), f32::is_finite),
        Type::FLOAT8 => double(f64::from_be_bytes(bytes(raw)), f64::is_finite),
        Type::NUMERIC => text(decimal(raw)),
        Type::DATE => text(date(signed(raw))),
        Type::TIME => text(clock(signed(raw))),
        Type::TIMETZ => {
            let (time, west) = raw.split_at(raw.len().min(8));
            text(clock(signed(time)) + &zone(-signed(west)))
        }
        Type::TIMESTAMP => text(stamp(signed(raw), "")),
        Type::TIMESTAMPTZ => text(stamp(signed(raw), "+00")),
        Type::INTERVAL => text(interval(raw)),
        Type::BYTEA => json!({"blobValue": STANDARD.encode(raw)}),
        Type::VOID => text(String::new()),
        Type::UUID => text(uuid::Uuid::from_bytes(bytes(raw)).to_string()),
        // Its version comes first.
        Type::JSONB => text(String::from_utf8_lossy(raw.get(1..).unwrap_or_default()).into_owned()),
        _ => text(String::from_utf8_lossy(raw).into_owned()),
    }
}

/// The bytes of a number; PostgreSQL sends as many as its type has.
fn bytes<const N: usize>(raw: &[u8]) -> [u8; N] {
    raw.try_into().unwrap_or([0; N])
}

fn signed(raw: &[u8]) -> i64 {
    match raw.len() {
        2 => i16::from_be_bytes(bytes(raw)).into(),
        4 => i32::from_be_bytes(bytes(raw)).into(),
        _ => i64::from_be_bytes(bytes(raw)),
    }
}

/// JSON has no numbers for what is none: AWS's protocol has words.
/// [Smithy, AWS JSON 1.1 protocol, "Shape serialization"]
fn double<T: Copy + Into<f64> + serde::Serialize>(value: T, is_finite: fn(T) -> bool) -> Value {
    let wide: f64 = value.into();
    let word = match wide {
        _ if is_finite(value) => return json!({"doubleValue": value}),
        _ if wide.is_nan() => "NaN",
        _ if wide > 0.0 => "Infinity",
        _ => "-Infinity",
    };
    json!({"doubleValue": word})
}

/// Year, month and day of a day since 2000-01-01 in the proleptic Gregorian calendar.
/// [Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days]
fn civil(day: i64) -> (i64, i64, i64) {
    // From here on years begin in March, and eras of 400 years on 0000-03-01.
    let day = day + DAYS_TO_2000 + 306;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The date, and what follows its time in a year before Christ.
fn dated(day: i64) -> (String, &'static str) {
    let (year, month, day) = civil(day);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

fn date(day: i64) -> String {
    match i32::try_from(day) {
        Ok(i32::MAX) => "infinity".to_owned(),
        Ok(i32::MIN) => "-infinity".to_owned(),
        _ => {
            let (date, era) = dated(day);
            date + era
        }
    }
}

fn stamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        _ => {
            let (date, era) = dated(micros.div_euclid(MICROS_PER_DAY));
            format!("{date} {}{zone}{era}", clock(micros.rem_euclid(MICROS_PER_DAY)))
        }
    }
}

/// A time of day; 24:00:00 is one.
fn clock(micros: i64) -> String {
    let seconds = micros / MICROS_PER_SECOND;
    let fraction = match micros % MICROS_PER_SECOND {
        0 => String::new(),
        micros => format!(".{micros:06}").trim_end_matches('0').to_owned(),
    };
    format!("{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Seconds east of UTC.
fn zone(seconds: i64) -> String {
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let mut zone = format!("{sign}{:02}", seconds / 3600);
    if seconds % 3600 != 0 {
        zone.push_str(&format!(":{:02}", seconds / 60 % 60));
    }
    if seconds % 60 != 0 {
        zone.push_str(&format!(":{:02}", seconds % 60));
    }
    zone
}

/// As Redshift writes it: years and months, or days to seconds; both if an interval of PostgreSQL has both.
/// [Amazon Redshift Database Developer Guide, "Interval data types and literals"]
fn interval(raw: &[u8]) -> String {
    let part = |from: usize, to: usize| signed(raw.get(from..to).unwrap_or_default());
    let (micros, days, months) = (part(0, 8), part(8, 12), part(12, 16));
    let mut parts = Vec::new();
    if months != 0 {
        parts.push(format!("{} years {} mons", months / 12, months % 12));
    }
    if days != 0 || micros != 0 || months == 0 {
        let minutes = micros / (60 * MICROS_PER_SECOND);
        let rest = micros % (60 * MICROS_PER_SECOND);
        let (sign, seconds) = (if rest < 0 { "-" } else { "" }, rest.abs() / MICROS_PER_SECOND);
        let digits = format!("{:06}", rest.abs() % MICROS_PER_SECOND);
        let fraction = Some(digits.trim_end_matches('0')).filter(|digits| !digits.is_empty()).unwrap_or("0");
        let (hours, minutes) = (minutes / 60, minutes % 60);
        parts.push(format!("{days} days {hours} hours {minutes} mins {sign}{seconds}.{fraction} secs"));
    }
    parts.join(" ")
}

/// PostgreSQL's binary DECIMAL: digits to the base of 10,000. [PostgreSQL source, numeric_send]
fn decimal(raw: &[u8]) -> String {
    let mut words = raw.chunks_exact(2).map(|word| i16::from_be_bytes(bytes(word)));
    let mut word = || words.next().unwrap_or(0);
    let (_, weight, sign, scale) = (word(), word(), word(), word());
    let sign = match sign.cast_unsigned() {
        0xC000 => return "NaN".to_owned(),
        0xD000 => return "Infinity".to_owned(),
        0xF000 => return "-Infinity".to_owned(),
        0x4000 => "-",
        _ => "",
    };
    let digits: Vec<_> = words.collect();
    let group = |place: i16| usize::try_from(weight - place).ok().and_then(|n| digits.get(n)).copied().unwrap_or(0);
    let whole: String = (0..=weight.max(0)).rev().map(|place| format!("{:04}", group(place))).collect();
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let scale = usize::try_from(scale).unwrap_or(0);
    let groups = i16::try_from(scale.div_ceil(4)).unwrap_or(0);
    let mut part: String = (1..=groups).map(|place| format!("{:04}", group(-place))).collect();
    part.truncate(scale);
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_digit_by_digit() {
        let raw = |words: &[i16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        for (words, text) in [
            (&[0, 0, 0, 0][..], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[2, 1, 0, 0, 1, 2345], "12345"),
            (&[2, 0, 0x4000, 2, 12, 3400], "-12.34"),
            (&[1, -1, 0, 2, 500], "0.05"),
            (&[1, -2, 0, 6, 1200], "0.000012"),
            (&[1, 2, 0, 1, 1], "100000000.0"),
            (&[0, 0, i16::MIN + 0x4000, 0], "NaN"),
        ] {
            assert_eq!(decimal(&raw(words)), text);
        }
    }
}
