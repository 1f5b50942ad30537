//! Parquet: reading columns as the text that PostgreSQL reads, and writing them.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::record::{Field, Row};
use parquet::schema::types::{ColumnDescriptor, Type, TypePtr};
use serde_json::Value;

use super::Rows;
use super::table::Column;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error("cannot be read: {0}")]
    Parquet(#[from] ParquetError),
    #[error("Unmatched number of columns between table and file. Table columns: {table}, Data columns: {file}")]
    Width { table: usize, file: usize },
    /// [AWS re:Post, "How do I resolve data incompatibility errors in Redshift Spectrum?"]
    #[error("has an incompatible Parquet schema for column '{column}'. Column type: {of}, Parquet schema:\n{schema}")]
    Incompatible { column: String, of: String, schema: String },
    #[error("has a value of the column {0:?} that Redshift cannot hold")]
    Value(String),
    #[error("has a row group of {0} rows; the local Data API reads {MOST_ROWS} at most")]
    Rows(i64),
    #[error("is compressed with {0}, which the local Data API does not read: use SNAPPY, GZIP or no compression")]
    Compressed(String),
}

/// The rows of a group are a claim of the file, for which memory is taken before one of them is seen.
const MOST_ROWS: usize = 10_000_000;

/// How the columns of a file are those of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// COPY. [Amazon Redshift Database Developer Guide, "COPY from columnar data formats"]
    Position,
    /// An external table: in whatever case the file has them, and NULL if it has none.
    Name,
}

/// The rows of a file.
///
/// # Errors
/// What is damaged, and what does not fit the columns.
pub(super) fn rows(bytes: Vec<u8>, columns: &[Column], by: By) -> Result<Rows, Unread> {
    let file = SerializedFileReader::new(Bytes::from(bytes))?;
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    let fields = schema.root_schema().get_fields();
    if by == By::Position && fields.len() != columns.len() {
        return Err(Unread::Width { table: columns.len(), file: fields.len() });
    }
    let mut chosen = Vec::new();
    for (n, column) in columns.iter().enumerate() {
        let field = match by {
            By::Position => fields.get(n),
            By::Name => fields.iter().find(|field| field.name().eq_ignore_ascii_case(&column.name)),
        };
        let leaf = field.and_then(|field| {
            let is_leaf = |c: &&Arc<ColumnDescriptor>| matches!(c.path().parts(), [name] if name == field.name());
            schema.columns().iter().find(is_leaf).filter(|leaf| leaf.max_rep_level() == 0)
        });
        if let Some(field) = field
            && !(leaf.is_some_and(|leaf| fits(column, leaf)) || column.base == "jsonb" && is_readable(field))
        {
            let (column, of, schema) = (column.name.clone(), spectrum_type(column), shown(field));
            return Err(Unread::Incompatible { column, of, schema });
        }
        // What does not fit a SUPER as it is, such as a date, becomes JSON.
        chosen.push((column, field, leaf.filter(|leaf| fits(column, leaf))));
    }
    let mut rows = Vec::new();
    for n in 0..file.num_row_groups() {
        let group = file.get_row_group(n)?;
        let rows_of_group = group.metadata().num_rows();
        let count = usize::try_from(rows_of_group).ok().filter(|n| *n <= MOST_ROWS);
        let count = count.ok_or(Unread::Rows(rows_of_group))?;
        for chunk in group.metadata().columns() {
            if !matches!(chunk.compression(), Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_)) {
                let name = chunk.compression().to_string();
                return Err(Unread::Compressed(name.split('(').next().unwrap_or_default().to_owned()));
            }
        }
        let mut of_group = vec![Vec::with_capacity(chosen.len()); count];
        for (column, field, leaf) in &chosen {
            let values = match (field, leaf) {
                (None, _) => vec![None; count],
                (Some(_), Some(leaf)) => {
                    let at = schema.columns().iter().position(|c| c.path() == leaf.path()).unwrap_or_default();
                    flat(group.get_column_reader(at)?, leaf, column, count)?
                }
                (Some(field), None) => nested(&*group, schema.root_schema().name(), field)?,
            };
            for (row, value) in of_group.iter_mut().zip(values) {
                row.push(value);
            }
        }
        rows.append(&mut of_group);
    }
    Ok(rows)
}

/// Whether a column may have the values of a leaf: Redshift widens and narrows nothing.
fn fits(column: &Column, leaf: &ColumnDescriptor) -> bool {
    use ConvertedType as C;
    let converted = leaf.converted_type();
    let is_plain = |allowed: &[C]| converted == C::NONE || allowed.contains(&converted);
    let is_decimal = converted == C::DECIMAL;
    let is_timestamp = leaf.physical_type() == Physical::INT96 || micros_of(leaf).is_some();
    match (column.base.as_str(), leaf.physical_type()) {
        ("bool", Physical::BOOLEAN) | ("float4", Physical::FLOAT) | ("float8", Physical::DOUBLE) => true,
        ("int2", Physical::INT32) => [C::INT_8, C::INT_16, C::UINT_8].contains(&converted),
        ("int4", Physical::INT32) => is_plain(&[C::INT_8, C::INT_16, C::INT_32, C::UINT_8, C::UINT_16]),
        ("int8", Physical::INT64) => is_plain(&[C::INT_64]) && !is_timestamp,
        ("numeric", _) => is_decimal && column.scale().is_none_or(|scale| scale == leaf.type_scale()),
        ("date", Physical::INT32) => converted == C::DATE,
        ("timestamp" | "timestamptz", _) => is_timestamp,
        ("time", Physical::INT32 | Physical::INT64) => [C::TIME_MILLIS, C::TIME_MICROS].contains(&converted),
        ("varchar" | "bpchar" | "text", Physical::BYTE_ARRAY) => is_plain(&[C::UTF8, C::ENUM, C::JSON]),
        ("bytea", Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => !is_decimal,
        ("jsonb", Physical::BYTE_ARRAY) => is_plain(&[C::UTF8, C::ENUM, C::JSON]),
        ("jsonb", Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE) => true,
        ("jsonb", Physical::INT32) => is_plain(&[C::INT_8, C::INT_16, C::INT_32]),
        ("jsonb", Physical::INT64) => is_plain(&[C::INT_64]) && !is_timestamp,
        _ => false,
    }
}

/// Whether the records of a nested field can be read: the crate panics at others.
fn is_readable(field: &Type) -> bool {
    use ConvertedType as C;
    if field.is_group() {
        return field.get_fields().iter().all(|f| is_readable(f));
    }
    let converted = field.get_basic_info().converted_type();
    match field.get_physical_type() {
        Physical::FIXED_LEN_BYTE_ARRAY => [C::NONE, C::DECIMAL].contains(&converted),
        Physical::BYTE_ARRAY => [C::NONE, C::UTF8, C::ENUM, C::JSON, C::DECIMAL].contains(&converted),
        _ => converted != C::INTERVAL,
    }
}

/// A type as Spectrum's errors write it.
fn spectrum_type(column: &Column) -> String {
    match column.base.as_str() {
        "int2" => "SMALLINT".to_owned(),
        "int4" => "INT".to_owned(),
        "int8" => "BIGINT".to_owned(),
        "float4" => "REAL".to_owned(),
        "float8" => "DOUBLE".to_owned(),
        "bool" => "BOOLEAN".to_owned(),
        "bpchar" => "CHAR".to_owned(),
        "bytea" => "VARBYTE".to_owned(),
        "jsonb" => "SUPER".to_owned(),
        "numeric" => column.of.to_uppercase().replace("NUMERIC", "DECIMAL"),
        other => other.to_uppercase(),
    }
}

/// A field as Parquet's schemas write it.
fn shown(field: &Type) -> String {
    let repetition = field.get_basic_info().repetition().to_string().to_lowercase();
    let of = if field.is_group() { "group".to_owned() } else { field.get_physical_type().to_string().to_lowercase() };
    format!("{repetition} {of} {}", field.name())
}

/// What turns a leaf's whole number into microseconds since 1970, multiplied and divided; nothing if it is no timestamp.
fn micros_of(leaf: &ColumnDescriptor) -> Option<(i64, i64)> {
    match leaf.logical_type_ref() {
        Some(LogicalType::Timestamp(of)) => Some(match of.unit {
            TimeUnit::MILLIS => (1000, 1),
            TimeUnit::MICROS => (1, 1),
            TimeUnit::NANOS => (1, 1000),
        }),
        _ => match leaf.converted_type() {
            ConvertedType::TIMESTAMP_MILLIS => Some((1000, 1)),
            ConvertedType::TIMESTAMP_MICROS => Some((1, 1)),
            _ => None,
        },
    }
}

/// The values of a column that is no group.
fn flat(
    reader: ColumnReader,
    leaf: &ColumnDescriptor,
    column: &Column,
    rows: usize,
) -> Result<Vec<Option<String>>, Unread> {
    let is_optional = leaf.max_def_level() > 0;
    let decimal = |value: i128| Some(decimal(value, leaf.type_scale()));
    let is_decimal = leaf.converted_type() == ConvertedType::DECIMAL;
    let name = &column.name;
    // Parquet's instants are in UTC, whatever the session's time zone is.
    let zone = if column.base == "timestamptz" { "+00" } else { "" };
    let timestamp = |micros: i64| timestamp(micros).map(|at| at + zone);
    let bytes = |value: &[u8]| match column.base.as_str() {
        _ if is_decimal => unscaled(value).and_then(decimal),
        "bytea" => Some(hex(value)),
        // As a string of JSON.
        "jsonb" => Some(Value::from(std::str::from_utf8(value).ok()?).to_string()),
        _ => String::from_utf8(value.to_vec()).ok(),
    };
    match reader {
        ColumnReader::BoolColumnReader(reader) => values(reader, rows, is_optional, name, |v| Some(v.to_string())),
        ColumnReader::Int32ColumnReader(reader) => {
            values(reader, rows, is_optional, name, |v| match leaf.converted_type() {
                ConvertedType::DECIMAL => decimal(i128::from(*v)),
                ConvertedType::DATE => date(*v),
                ConvertedType::TIME_MILLIS => time_of_day(i64::from(*v) * 1000),
                _ => Some(v.to_string()),
            })
        }
        ColumnReader::Int64ColumnReader(reader) => values(reader, rows, is_optional, name, |v| {
            if let Some((times, by)) = micros_of(leaf) {
                return timestamp(v.checked_mul(times)?.div_euclid(by));
            }
            match leaf.converted_type() {
                ConvertedType::DECIMAL => decimal(i128::from(*v)),
                ConvertedType::TIME_MICROS => time_of_day(*v),
                _ => Some(v.to_string()),
            }
        }),
        ColumnReader::Int96ColumnReader(reader) => {
            values(reader, rows, is_optional, name, |v| timestamp(v.to_micros()))
        }
        ColumnReader::FloatColumnReader(reader) => values(reader, rows, is_optional, name, |v| Some(v.to_string())),
        ColumnReader::DoubleColumnReader(reader) => values(reader, rows, is_optional, name, |v| Some(v.to_string())),
        ColumnReader::ByteArrayColumnReader(reader) => values(reader, rows, is_optional, name, |v| bytes(v.data())),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            values(reader, rows, is_optional, name, |v| bytes(v.data()))
        }
    }
}

fn values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
    is_optional: bool,
    name: &str,
    show: impl Fn(&T::T) -> Option<String>,
) -> Result<Vec<Option<String>>, Unread> {
    let (mut levels, mut found, mut read) = (Vec::new(), Vec::new(), 0);
    while read < rows {
        let (records, ..) = reader.read_records(rows - read, Some(&mut levels), None, &mut found)?;
        if records == 0 {
            return Err(ParquetError::EOF("a column ends before its rows do".to_owned()).into());
        }
        read += records;
    }
    let mut shown = found.iter().map(|value| show(value).ok_or_else(|| Unread::Value(name.to_owned())));
    if !is_optional {
        return shown.map(|value| value.map(Some)).collect();
    }
    levels.iter().map(|level| if *level == 0 { Ok(None) } else { shown.next().transpose() }).collect()
}

/// The values of a group, as JSON.
fn nested(group: &dyn RowGroupReader, root: &str, field: &TypePtr) -> Result<Vec<Option<String>>, Unread> {
    let only = Type::group_type_builder(root).with_fields(vec![field.clone()]).build()?;
    let value = |row: Result<Row, ParquetError>| {
        let (_, value) = row?.into_columns().into_iter().next().unwrap_or((String::new(), Field::Null));
        let json = json(&value).ok_or_else(|| Unread::Value(field.name().to_owned()))?;
        Ok(Some(json).filter(|json| !json.is_null()).map(|json| json.to_string()))
    };
    group.get_row_iter(Some(only))?.map(value).collect()
}

/// Nothing if JSON cannot hold it.
fn json(field: &Field) -> Option<Value> {
    let number = |text: String| serde_json::from_str(&text).ok();
    let object = |fields: &mut dyn Iterator<Item = (String, &Field)>| {
        let all = fields.map(|(name, value)| Some((name, json(value)?)));
        all.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
    };
    match field {
        Field::Null => Some(Value::Null),
        Field::Bool(v) => Some(Value::from(*v)),
        Field::Byte(v) => Some(Value::from(*v)),
        Field::Short(v) => Some(Value::from(*v)),
        Field::Int(v) => Some(Value::from(*v)),
        Field::Long(v) => Some(Value::from(*v)),
        Field::UByte(v) => Some(Value::from(*v)),
        Field::UShort(v) => Some(Value::from(*v)),
        Field::UInt(v) => Some(Value::from(*v)),
        Field::ULong(v) => Some(Value::from(*v)),
        Field::Float16(v) => number(v.to_string()),
        Field::Float(v) => number(v.to_string()),
        Field::Double(v) => number(v.to_string()),
        Field::Decimal(v) => number(decimal(unscaled(v.data())?, v.scale())),
        Field::Str(v) => Some(Value::from(v.as_str())),
        Field::Bytes(v) => {
            Some(Value::from(std::str::from_utf8(v.data()).map_or_else(|_| hex(v.data()), str::to_owned)))
        }
        Field::Date(v) => date(*v).map(Value::from),
        Field::TimeMillis(v) => time_of_day(i64::from(*v) * 1000).map(Value::from),
        Field::TimeMicros(v) => time_of_day(*v).map(Value::from),
        Field::TimestampMillis(v) => timestamp(v.checked_mul(1000)?).map(Value::from),
        Field::TimestampMicros(v) => timestamp(*v).map(Value::from),
        Field::Group(row) => object(&mut row.get_column_iter().map(|(name, value)| (name.clone(), value))),
        Field::ListInternal(list) => list.elements().iter().map(json).collect::<Option<Vec<_>>>().map(Value::Array),
        Field::MapInternal(map) => object(&mut map.entries().iter().map(|(key, value)| {
            let key = json(key).map_or_else(String::new, |key| key.as_str().map_or(key.to_string(), str::to_owned));
            (key, value)
        })),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The number that the bytes of a DECIMAL are, most significant first.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let fill = if bytes.first()? >= &0x80 { 0xff } else { 0 };
    let mut all = [fill; 16];
    let (more, kept) = bytes.split_at(bytes.len().saturating_sub(16));
    all[16 - kept.len()..].copy_from_slice(kept);
    let number = i128::from_be_bytes(all);
    (more.iter().all(|byte| *byte == fill) && (number < 0) == (fill != 0)).then_some(number)
}

fn decimal(unscaled: i128, scale: i32) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// The day of 1970-01-01 in the Julian calendar.
const EPOCH: i32 = 2_440_588;

fn date(days: i32) -> Option<String> {
    let date = time::Date::from_julian_day(days.checked_add(EPOCH)?).ok().filter(|date| date.year() > 0)?;
    Some(format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()))
}

fn time_of_day(micros: i64) -> Option<String> {
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    (0..=24).contains(&hours).then(|| format!("{hours:02}:{minutes:02}:{:02}.{micros:06}", seconds % 60))
}

const DAY: i64 = 86_400_000_000;

fn timestamp(micros: i64) -> Option<String> {
    let days = i32::try_from(micros.div_euclid(DAY)).ok()?;
    Some(format!("{} {}", date(days)?, time_of_day(micros.rem_euclid(DAY))?))
}

/// A column to write, by the kind that Parquet keeps it as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Short,
    Int,
    Long,
    Float,
    Double,
    Decimal(i32, i32),
    Date,
    Timestamp,
    Text,
}

impl Kind {
    fn field(self, name: &str) -> Result<Type, ParquetError> {
        let of = match self {
            Self::Bool => Physical::BOOLEAN,
            Self::Short | Self::Int | Self::Date => Physical::INT32,
            Self::Long | Self::Timestamp => Physical::INT64,
            Self::Float => Physical::FLOAT,
            Self::Double => Physical::DOUBLE,
            Self::Decimal(..) => Physical::FIXED_LEN_BYTE_ARRAY,
            Self::Text => Physical::BYTE_ARRAY,
        };
        let builder = Type::primitive_type_builder(name, of).with_repetition(Repetition::OPTIONAL);
        match self {
            Self::Short => builder.with_logical_type(Some(LogicalType::integer(16, true))),
            Self::Date => builder.with_logical_type(Some(LogicalType::Date)),
            Self::Timestamp => builder.with_logical_type(Some(LogicalType::timestamp(false, TimeUnit::MICROS))),
            Self::Text => builder.with_logical_type(Some(LogicalType::String)),
            Self::Decimal(precision, scale) => builder
                .with_logical_type(Some(LogicalType::decimal(scale, precision)))
                .with_length(16)
                .with_precision(precision)
                .with_scale(scale),
            _ => builder,
        }
        .build()
    }
}

/// A file of rows whose values PostgreSQL has written, compressed as UNLOAD compresses them.
/// [Amazon Redshift Database Developer Guide, UNLOAD]
///
/// # Errors
/// The name of a column with a value that Parquet cannot hold.
pub(super) fn write(columns: &[(String, Kind)], rows: &Rows) -> Result<Vec<u8>, Unread> {
    let fields = columns.iter().map(|(name, kind)| Ok(Arc::new(kind.field(name)?)));
    let fields = fields.collect::<Result<Vec<_>, ParquetError>>()?;
    let schema = Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for (n, (name, kind)) in columns.iter().enumerate() {
        let texts: Vec<_> = rows.iter().map(|row| row.get(n).and_then(|value| value.as_deref())).collect();
        let Some(mut column) = group.next_column()? else { break };
        match kind {
            Kind::Bool => put::<BoolType>(&mut column, &texts, name, |text| Some(text == "t")),
            Kind::Short | Kind::Int => put::<Int32Type>(&mut column, &texts, name, |text| text.parse().ok()),
            Kind::Date => put::<Int32Type>(&mut column, &texts, name, days),
            Kind::Long => put::<Int64Type>(&mut column, &texts, name, |text| text.parse().ok()),
            Kind::Timestamp => put::<Int64Type>(&mut column, &texts, name, micros),
            Kind::Float => put::<FloatType>(&mut column, &texts, name, |text| text.parse().ok()),
            Kind::Double => put::<DoubleType>(&mut column, &texts, name, |text| text.parse().ok()),
            Kind::Text => put::<ByteArrayType>(&mut column, &texts, name, |text| Some(ByteArray::from(text))),
            Kind::Decimal(_, scale) => put::<FixedLenByteArrayType>(&mut column, &texts, name, |text| {
                Some(ByteArray::from(scaled(text, *scale)?.to_be_bytes().to_vec()).into())
            }),
        }?;
        column.close()?;
    }
    group.close()?;
    Ok(file.into_inner()?)
}

fn put<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    texts: &[Option<&str>],
    name: &str,
    read: impl Fn(&str) -> Option<T::T>,
) -> Result<(), Unread> {
    let levels: Vec<_> = texts.iter().map(|text| i16::from(text.is_some())).collect();
    let values = texts.iter().flatten().map(|text| read(text).ok_or_else(|| Unread::Value(name.to_owned())));
    column.typed::<T>().write_batch(&values.collect::<Result<Vec<_>, _>>()?, Some(&levels), None)?;
    Ok(())
}

/// A decimal without its point.
fn scaled(text: &str, scale: i32) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    (fraction.len() <= scale).then(|| format!("{whole}{fraction:0<scale$}").parse().ok())?
}

fn days(text: &str) -> Option<i32> {
    let parts: Vec<_> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let month = time::Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let date = time::Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    Some(date.to_julian_day() - EPOCH)
}

/// Of a TIMESTAMPTZ the instant, without the zone. [Amazon Redshift Database Developer Guide, UNLOAD]
fn micros(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(' ')?;
    let (time, sign, zone) = match time.split_once('+') {
        Some((time, zone)) => (time, 1, zone),
        None => time.split_once('-').map_or((time, 1, "0"), |(time, zone)| (time, -1, zone)),
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some(i64::from(days(date)?) * DAY + (seconds(clock)? - sign * seconds(zone)?) * 1_000_000 + fraction)
}

/// Of hours, and perhaps minutes and seconds.
fn seconds(clock: &str) -> Option<i64> {
    let parts = clock.split(':').zip([3600, 60, 1]);
    parts.map(|(part, weight)| Some(part.parse::<i64>().ok()? * weight)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, base: &str, of: &str, modifier: i32) -> Column {
        Column { quoted: name.into(), name: name.into(), of: of.into(), base: base.into(), modifier, identity: false }
    }

    fn text(rows: &Rows) -> Vec<String> {
        let row = |row: &Vec<Option<String>>| {
            row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|")
        };
        rows.iter().map(row).collect()
    }

    const ALL: [(&str, Kind, &str, &str, i32); 10] = [
        ("b", Kind::Bool, "bool", "boolean", -1),
        ("s", Kind::Short, "int2", "smallint", -1),
        ("i", Kind::Int, "int4", "integer", -1),
        ("l", Kind::Long, "int8", "bigint", -1),
        ("f", Kind::Float, "float4", "real", -1),
        ("d", Kind::Double, "float8", "double precision", -1),
        ("n", Kind::Decimal(10, 2), "numeric", "numeric(10,2)", ((10 << 16) | 2) + 4),
        ("day", Kind::Date, "date", "date", -1),
        ("at", Kind::Timestamp, "timestamp", "timestamp without time zone", -1),
        ("t", Kind::Text, "varchar", "character varying(20)", 24),
    ];

    fn all_columns() -> (Vec<(String, Kind)>, Vec<Column>) {
        let written = ALL.iter().map(|(name, kind, ..)| ((*name).to_owned(), *kind)).collect();
        (written, ALL.iter().map(|(name, _, base, of, modifier)| column(name, base, of, *modifier)).collect())
    }

    #[test]
    fn what_is_written_is_read() {
        let (written, columns) = all_columns();
        let full = "t|-7|2147483647|-9223372036854775808|1.5|0.1|-1234.50|1969-12-31|1969-12-31 23:59:59.999999|é";
        let rows_in: Rows = vec![full.split('|').map(|v| Some(v.to_owned())).collect(), vec![None; ALL.len()]];
        let file = write(&written, &rows_in).expect("written");
        let read = rows(file.clone(), &columns, By::Position).expect("read");
        let nulls = ["NULL"; ALL.len()].join("|");
        assert_eq!(text(&read), [full.replacen('t', "true", 1), nulls]);
        // By name: in any order, and NULL if it is not there.
        let some = [columns[9].clone(), column("more", "int4", "integer", -1), columns[2].clone()];
        assert_eq!(text(&rows(file.clone(), &some, By::Name).expect("read"))[0], "é|NULL|2147483647");
        let width = rows(file, &some, By::Position).expect_err("three of ten").to_string();
        assert_eq!(width, "Unmatched number of columns between table and file. Table columns: 3, Data columns: 10");
        assert_eq!(
            write(&written, &Vec::new()).and_then(|file| rows(file, &columns, By::Name)).expect("none"),
            Rows::new()
        );
    }

    #[test]
    fn a_type_that_does_not_fit_is_refused() {
        let (written, columns) = all_columns();
        let file = write(&written, &vec![vec![None; ALL.len()]]).expect("written");
        for (name, of) in
            [("i", 3), ("l", 2), ("i", 1), ("d", 6), ("f", 5), ("d", 9), ("at", 7), ("at", 3), ("n", 9), ("t", 2)]
        {
            let mut other = columns[of].clone();
            other.name = name.to_owned();
            let wrong = rows(file.clone(), &[other], By::Name).expect_err(name).to_string();
            assert!(
                wrong.starts_with(&format!("has an incompatible Parquet schema for column '{name}'. Column type: ")),
                "{wrong}"
            );
        }
        let other_scale = column("n", "numeric", "numeric(10,3)", ((10 << 16) | 3) + 4);
        let wrong = rows(file, &[other_scale], By::Name).expect_err("scale").to_string();
        assert!(
            wrong.ends_with("Column type: DECIMAL(10,3), Parquet schema:\noptional fixed_len_byte_array n"),
            "{wrong}"
        );
        assert!(rows(b"PAR1 no".to_vec(), &columns, By::Name).is_err());
    }

    #[test]
    fn values_are_written_out() {
        for (unscaled, scale, expected) in
            [(0, 0, "0"), (-5, 2, "-0.05"), (12345, 2, "123.45"), (-7, 0, "-7"), (100, 3, "0.100")]
        {
            assert_eq!(decimal(unscaled, scale), expected);
            assert_eq!(scaled(expected, scale), Some(unscaled));
        }
        assert_eq!(unscaled(&[0xff]), Some(-1));
        assert_eq!(unscaled(&[0, 0x80]), Some(128));
        assert_eq!(unscaled(&[[0; 4].as_slice(), &[0x7f; 16]].concat()), Some(i128::from_be_bytes([0x7f; 16])));
        assert_eq!(unscaled(&[1; 17]), None);
        for (micros_since, expected) in [
            (0, Some("1970-01-01 00:00:00.000000")),
            (-1, Some("1969-12-31 23:59:59.999999")),
            (951_782_400_000_000, Some("2000-02-29 00:00:00.000000")),
            (i64::MIN, None),
        ] {
            assert_eq!(timestamp(micros_since).as_deref(), expected);
            assert!(expected.is_none_or(|text| micros(text) == Some(micros_since)), "{expected:?}");
        }
        for (instant, expected) in [
            ("1970-01-01 02:00:01+02", 1_000_000),
            ("1969-12-31 18:29:59.5-05:30", -500_000),
            ("1970-01-01 00:00:00-00:01:15", 75_000_000),
        ] {
            assert_eq!(micros(instant), Some(expected), "{instant}");
        }
        assert_eq!((days("infinity"), days("0044-03-15 BC"), micros("2024-01-01")), (None, None, None));
    }
}
