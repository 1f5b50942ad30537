//! Values and columns as the Data API shows them: whole numbers as long, REAL and DOUBLE as double, all others as strings.
//! [recorded: MacHu-GWU/simple_aws_redshift-project, tests_manual]

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Column};

/// The most that a VARCHAR and a VARBYTE hold; a text of no length is one that may be as long.
const VARCHAR_BYTES: i32 = 65_535;
const VARBYTE_BYTES: i32 = 64_000;
/// PostgreSQL adds it to a length, and to precision and scale, for the header of the value.
const HEADER_BYTES: i32 = 4;

/// A value that PostgreSQL has written. What is not of one of Redshift's own types is shown as it is written.
pub(crate) fn field(of: &Type, text: Option<&str>) -> Value {
    let Some(text) = text else { return json!({"isNull": true}) };
    let string = |text: String| json!({"stringValue": text});
    let own = match *of {
        Type::BOOL => Some(json!({"booleanValue": text == "t"})),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => text.parse().ok().map(|n: i64| json!({"longValue": n})),
        // A REAL becomes a double before it is written.
        Type::FLOAT4 => text.parse().ok().map(|n: f32| double(n.into())),
        Type::FLOAT8 => text.parse().ok().map(double),
        Type::INTERVAL => interval(text).map(string),
        Type::JSONB => Some(string(compact(text))),
        Type::BYTEA => bytes(text).map(|bytes| string(STANDARD.encode(bytes))),
        _ => None,
    };
    own.unwrap_or_else(|| string(text.to_owned()))
}

/// JSON has no numbers for what is none: AWS's protocol has words.
/// [Smithy, AWS JSON 1.1 protocol, "Shape serialization"]
fn double(number: f64) -> Value {
    let word = match number {
        _ if number.is_finite() => return json!({"doubleValue": number}),
        _ if number.is_nan() => "NaN",
        _ if number > 0.0 => "Infinity",
        _ => "-Infinity",
    };
    json!({"doubleValue": word})
}

/// JSON without the blanks that PostgreSQL writes behind colons and commas, and Redshift does not.
fn compact(text: &str) -> String {
    let (mut in_string, mut is_escaped) = (false, false);
    let is_kept = |c: &char| {
        let kept = in_string || *c != ' ';
        in_string ^= *c == '"' && !is_escaped;
        is_escaped = in_string && *c == '\\' && !is_escaped;
        kept
    };
    text.chars().filter(is_kept).collect()
}

/// The bytes of `\x6162`.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// An interval as Redshift writes it: years and months, or days to seconds; both if PostgreSQL's has both.
/// [Amazon Redshift Database Developer Guide, "Interval data types and literals"]
fn interval(text: &str) -> Option<String> {
    let (mut months, mut days, mut clock) = (0, 0, "00:00:00");
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        if word.contains(':') {
            clock = word;
            continue;
        }
        let number: i64 = word.parse().ok()?;
        match words.next()?.trim_end_matches('s') {
            "year" => months += 12 * number,
            "mon" => months += number,
            "day" => days = number,
            _ => return None,
        }
    }
    let (sign, clock) = clock.strip_prefix('-').map_or(("", clock.trim_start_matches('+')), |clock| ("-", clock));
    let (time, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<i64> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hours, minutes, seconds] = parts[..] else { return None };
    let signed = |part: i64| format!("{}{part}", if part == 0 { "" } else { sign });
    let seconds_sign = if seconds == 0 && fraction == "0" { "" } else { sign };
    let mut written = Vec::new();
    if months != 0 {
        written.push(format!("{} years {} mons", months / 12, months % 12));
    }
    if days != 0 || parts.iter().any(|part| *part != 0) || fraction != "0" || months == 0 {
        let (hours, minutes) = (signed(hours), signed(minutes));
        written.push(format!("{days} days {hours} hours {minutes} mins {seconds_sign}{seconds}.{fraction} secs"));
    }
    Some(written.join(" "))
}

/// The tables that columns are of, by table and column, and whether a column may be null.
pub(crate) struct Origins(HashMap<(u32, i16), (String, String, bool)>);

impl Origins {
    /// Looks them up.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) async fn of(client: &Client, columns: &[Column]) -> Result<Self, tokio_postgres::Error> {
        let tables: Vec<u32> = columns.iter().filter_map(Column::table_oid).collect();
        if tables.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        const SQL: &str = "SELECT a.attrelid, a.attnum, n.nspname::text, c.relname::text, NOT a.attnotnull \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE a.attrelid = ANY($1)";
        let rows = client.query(SQL, &[&tables]).await?;
        let known = rows.iter().map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3), row.get(4))));
        Ok(Self(known.collect()))
    }

    fn find(&self, column: &Column) -> Option<&(String, String, bool)> {
        self.0.get(&(column.table_oid()?, column.column_id()?))
    }
}

/// A column of a result.
pub(crate) fn column(column: &Column, origins: &Origins) -> Value {
    let (schema, table, nullable) = origins.find(column).map_or(("", "", true), |(s, t, nullable)| (s, t, *nullable));
    let of = column.type_();
    let (precision, scale) = size(of, column.type_modifier());
    let is_number = matches!(*of, Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC);
    json!({
        "name": column.name(),
        "label": column.name(),
        "typeName": type_name(of.name()),
        "nullable": i32::from(nullable),
        "precision": precision,
        "scale": scale,
        "length": 0,
        "isSigned": is_number,
        "isCaseSensitive": matches!(type_name(of.name()), "varchar" | "bpchar" | "name" | "varbyte" | "super"),
        "isCurrency": false,
        "schemaName": schema,
        "tableName": table,
    })
}

/// What Redshift calls a type.
pub(crate) fn type_name(of: &str) -> &str {
    match of {
        "text" | "unknown" => "varchar",
        "bytea" => "varbyte",
        "json" | "jsonb" => "super",
        other => other,
    }
}

/// Precision and scale as Redshift's driver reports them, 0 for those of a DECIMAL that is computed.
/// [pgjdbc, TypeInfoCache, getPrecision and getScale; those of 15 types recorded as above]
fn size(of: &Type, modifier: i32) -> (i32, i32) {
    let length = |most: i32| if modifier < HEADER_BYTES { most } else { modifier - HEADER_BYTES };
    match *of {
        Type::BOOL | Type::CHAR => (1, 0),
        Type::INT2 => (5, 0),
        Type::INT4 | Type::OID => (10, 0),
        Type::INT8 => (19, 0),
        Type::FLOAT4 => (8, 8),
        Type::FLOAT8 => (17, 17),
        Type::NUMERIC if modifier < HEADER_BYTES => (0, 0),
        Type::NUMERIC => ((modifier - HEADER_BYTES) >> 16, (modifier - HEADER_BYTES) & 0xFFFF),
        Type::DATE => (13, 0),
        Type::TIME => (15, 6),
        Type::TIMETZ => (21, 6),
        Type::TIMESTAMP => (29, 6),
        Type::TIMESTAMPTZ => (35, 6),
        Type::INTERVAL => (49, 0),
        Type::BYTEA => (VARBYTE_BYTES, 0),
        // SUPER, which has no length. [recorded]
        Type::JSON | Type::JSONB => (i32::MAX, 0),
        _ => (length(VARCHAR_BYTES), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_the_kind_that_the_service_gives_them() {
        let string = |text: &str| json!({"stringValue": text});
        for (of, text, expected) in [
            (Type::BOOL, "f", json!({"booleanValue": false})),
            (Type::INT8, "-9223372036854775808", json!({"longValue": i64::MIN})),
            (Type::OID, "4294967295", json!({"longValue": u32::MAX})),
            (Type::FLOAT4, "123.45679", json!({"doubleValue": 123.456_787_109_375})),
            (Type::FLOAT4, "3.4028235e+38", json!({"doubleValue": f64::from(f32::MAX)})),
            (Type::FLOAT8, "0.1", json!({"doubleValue": 0.1})),
            (Type::FLOAT8, "NaN", json!({"doubleValue": "NaN"})),
            (Type::FLOAT4, "-Infinity", json!({"doubleValue": "-Infinity"})),
            (Type::NUMERIC, "0.00", string("0.00")),
            (Type::BYTEA, "\\x616263", string("YWJj")),
            (Type::BYTEA, "a\\000", string("a\\000")),
            (Type::INT4_ARRAY, "{1,NULL}", string("{1,NULL}")),
            (Type::VOID, "", string("")),
        ] {
            assert_eq!(field(&of, Some(text)), expected, "{of} {text}");
        }
        assert_eq!(field(&Type::INT4_ARRAY, None), json!({"isNull": true}));
    }

    #[test]
    fn intervals_are_written_as_redshift_writes_them() {
        for (text, expected) in [
            ("1 day 02:00:00", Some("1 days 2 hours 0 mins 0.0 secs")),
            ("00:00:00", Some("0 days 0 hours 0 mins 0.0 secs")),
            ("-00:00:01.5", Some("0 days 0 hours 0 mins -1.5 secs")),
            ("-01:02:03", Some("0 days -1 hours -2 mins -3.0 secs")),
            ("1 year 1 mon", Some("1 years 1 mons")),
            ("-13 mons", Some("-1 years -1 mons")),
            ("1 year -2 days +00:00:00.000001", Some("1 years 0 mons -2 days 0 hours 0 mins 0.000001 secs")),
            ("P1D", None),
            ("infinity", None),
        ] {
            assert_eq!(interval(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_driver() {
        for (of, modifier, expected) in [
            (Type::INT4, -1, (10, 0)),
            (Type::NUMERIC, (10 << 16 | 2) + 4, (10, 2)),
            (Type::NUMERIC, -1, (0, 0)),
            (Type::VARCHAR, 260, (256, 0)),
            (Type::VARCHAR, -1, (65_535, 0)),
            (Type::BPCHAR, 5, (1, 0)),
            (Type::TIMESTAMPTZ, -1, (35, 6)),
        ] {
            assert_eq!(size(&of, modifier), expected, "{of} {modifier}");
        }
    }
}
