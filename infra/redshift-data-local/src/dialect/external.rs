//! External schemas and tables: a plain table of the same columns stands for one, with what its definition says beside it.

use super::Refused;
use super::expression::{closing, split};
use super::lex::{Kind, Token};
use super::statement::{array, literal, name, past_if};
use super::types::{self, For};

type Statements = Result<Vec<String>, Refused>;

/// `CREATE EXTERNAL SCHEMA`: of a data catalog alone, which the local Data API is itself.
pub(super) fn schema(tokens: &[Token<'_>]) -> Statements {
    let from = past_if(tokens, 3);
    let Some((schema, after)) = name(tokens, from) else {
        return Err(Refused::Wrong("CREATE EXTERNAL SCHEMA needs a name".to_owned()));
    };
    let source: String = tokens[after..].iter().skip(1).take(2).map(Token::lower).collect::<Vec<_>>().join(" ");
    if source != "data catalog" {
        return Err(Refused::lacking(
            format!("an external schema FROM {}", source.split(' ').next().unwrap_or_default().to_uppercase()),
            "FROM DATA CATALOG, or a schema with tables that stand for those elsewhere",
        ));
    }
    let value = |word: &str| {
        let at = tokens.iter().position(|t| t.is(word))?;
        tokens.get(at + 1).and_then(Token::literal)
    };
    let exists = if from > 3 { "IF NOT EXISTS " } else { "" };
    let name = tokens[after - 1].name().unwrap_or_default();
    Ok(vec![
        format!("{}CREATE SCHEMA {exists}{schema}", tokens[0].lead),
        format!(
            "CALL redshift_catalog.external_schema({}, {}, {})",
            literal(&name),
            literal(&value("database").unwrap_or_default()),
            literal(&value("iam_role").map_or_else(String::new, |role| format!("{{\"IAM_ROLE\":\"{role}\"}}"))),
        ),
    ])
}

/// `CREATE EXTERNAL TABLE`. Its partition keys are its last columns.
pub(super) fn table(tokens: &[Token<'_>]) -> Statements {
    let wrong = |what: &str| Refused::Wrong(format!("CREATE EXTERNAL TABLE needs {what}"));
    let from = past_if(tokens, 3);
    let (table, open) = name(tokens, from).ok_or_else(|| wrong("a name"))?;
    let close =
        tokens.get(open).filter(|t| t.is("(")).and_then(|_| closing(tokens, open)).ok_or_else(|| wrong("columns"))?;
    let mut columns = columns(&tokens[open + 1..close])?;
    let mut keys = 0;
    let (mut format, mut location, mut delimiter, mut quote, mut header) = (String::new(), None, None, None, 0_u32);
    let mut at = close + 1;
    while let Some(token) = tokens.get(at) {
        let next = |n: usize| tokens.get(at + n);
        match token.lower().as_str() {
            "partitioned" => {
                let open = at + 2;
                let close = closing(tokens, open).ok_or_else(|| wrong("the types of its partition keys"))?;
                let parts = self::columns(&tokens[open + 1..close])?;
                keys = parts.len();
                columns.extend(parts);
                at = close;
            }
            "stored" => {
                format = next(2).map(Token::lower).unwrap_or_default();
                at += 2;
            }
            "location" => {
                location = next(1).and_then(Token::literal);
                at += 1;
            }
            "fields" | "lines" if next(1).is_some_and(|t| t.is("terminated")) => {
                if token.is("fields") {
                    delimiter = next(3).and_then(Token::literal);
                }
                at += 3;
            }
            "serde" => {
                let serde = next(1).and_then(Token::literal).unwrap_or_default();
                if serde.ends_with("OpenCSVSerde") {
                    (delimiter, quote) = (Some(",".to_owned()), Some("\"".to_owned()));
                } else if !(serde.ends_with("LazySimpleSerDe") || serde.ends_with("ParquetHiveSerDe")) {
                    return Err(Refused::lacking(format!("the SerDe {serde}"), "OpenCSVSerde, or STORED AS PARQUET"));
                }
                at += 1;
            }
            "serdeproperties" | "properties" => {
                let close = closing(tokens, at + 1).ok_or_else(|| wrong("properties in parentheses"))?;
                for pair in split(&tokens[at + 2..close], |t| t.is(",")) {
                    let [key, .., value] = pair else { continue };
                    match (key.literal().unwrap_or_default().as_str(), value.literal()) {
                        ("skip.header.line.count", Some(lines)) => {
                            header = lines.parse().map_err(|_| wrong("a number as skip.header.line.count"))?;
                        }
                        ("separatorChar" | "field.delim", Some(text)) => delimiter = Some(text),
                        ("quoteChar", Some(text)) => quote = Some(text),
                        _ => {}
                    }
                }
                at = close;
            }
            "as" => {
                return Err(Refused::lacking(
                    "CREATE EXTERNAL TABLE AS",
                    "write the files, then CREATE EXTERNAL TABLE",
                ));
            }
            _ => {}
        }
        at += 1;
    }
    if !["parquet", "textfile"].contains(&format.as_str()) {
        return Err(Refused::lacking(format!("files STORED AS {}", format.to_uppercase()), "PARQUET or TEXTFILE"));
    }
    let location = location.filter(|l| l.starts_with("s3://")).ok_or_else(|| wrong("a LOCATION 's3://...'"))?;
    let optional = |text: &Option<String>| text.as_ref().map_or_else(|| "NULL".to_owned(), |text| literal(text));
    // \A is Hive's, if nothing is said.
    let delimiter = if format == "textfile" { delimiter.or(Some("\u{1}".to_owned())) } else { None };
    let quoted = literal(&table);
    Ok(vec![
        format!("{}CREATE TABLE {table} ({})", tokens[0].lead, columns.join(", ")),
        format!(
            "CALL redshift_catalog.external_table({quoted}, '{format}', {}, {keys}, {}, {}, {header})",
            literal(&location),
            optional(&delimiter),
            optional(&quote),
        ),
        format!("CALL redshift_catalog.zone_map({quoted})"),
    ])
}

fn columns(tokens: &[Token<'_>]) -> Result<Vec<String>, Refused> {
    let column = |element: &[Token<'_>]| {
        let [name, of @ ..] = element else {
            return Err(Refused::Wrong("a column needs a name and a type".to_owned()));
        };
        let first = of.first().map(Token::lower).unwrap_or_default();
        if ["struct", "array", "map"].contains(&first.as_str()) {
            return Err(Refused::lacking(
                format!("the nested type {}", first.to_uppercase()),
                "columns of plain types",
            ));
        }
        match of {
            [] => Err(Refused::Wrong(format!("the column {} needs a type", name.text))),
            _ if first == "string" => Ok(format!("{} VARCHAR(65535)", name.text)),
            _ => Ok(format!("{} {}", name.text, types::named(of, For::Column)?)),
        }
    };
    split(tokens, |t| t.is(",")).into_iter().map(column).collect()
}

/// What `ALTER TABLE` does to an external table only; nothing if it is something else.
pub(super) fn alter(tokens: &[Token<'_>], table: &str, at: usize) -> Result<Option<Vec<String>>, Refused> {
    let quoted = literal(table);
    let lead = tokens[0].lead;
    if tokens[at].is("set") {
        return match tokens.get(at + 1) {
            Some(t) if t.is_any(&["location", "file", "table"]) => Err(Refused::lacking(
                format!("ALTER TABLE SET {}", t.text.to_uppercase()),
                "DROP TABLE, then CREATE EXTERNAL TABLE",
            )),
            _ => Ok(None),
        };
    }
    let word = past_if(tokens, at + 1);
    if !tokens.get(word).is_some_and(|t| t.is("partition")) {
        return Ok(None);
    }
    let mut all = Vec::new();
    let mut here = word;
    while tokens.get(here).is_some_and(|t| t.is("partition")) {
        let wrong = || {
            Refused::Wrong("a partition is written as PARTITION (key = 'value', ...) LOCATION 's3://...'".to_owned())
        };
        let close =
            tokens.get(here + 1).filter(|t| t.is("(")).and_then(|_| closing(tokens, here + 1)).ok_or_else(wrong)?;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for pair in split(&tokens[here + 2..close], |t| t.is(",")) {
            let [key, equals, value @ ..] = pair else { return Err(wrong()) };
            if !equals.is("=") {
                return Err(wrong());
            }
            keys.push(key.name().ok_or_else(wrong)?);
            values.push(match value {
                [one] if one.kind == Kind::Text => one.literal().unwrap_or_default(),
                several => several.iter().map(|t| t.text).collect(),
            });
        }
        let pair = format!("{}, {}", array(&keys), array(&values));
        if tokens[at].is("drop") {
            all.push(format!("{lead}CALL redshift_catalog.drop_partition({quoted}, {pair})"));
            here = close + 1;
            continue;
        }
        let location =
            tokens.get(close + 1).filter(|t| t.is("location")).and_then(|_| tokens.get(close + 2)?.literal());
        let exists = if word > at + 1 { "TRUE" } else { "FALSE" };
        let location = literal(&location.ok_or_else(wrong)?);
        all.push(format!("{lead}CALL redshift_catalog.add_partition({quoted}, {pair}, {location}, {exists})"));
        here = close + 3;
    }
    Ok(Some(all))
}
