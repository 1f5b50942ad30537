//! One argument of a call: a name, a value, and the type that it is cast to.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::name::is_plain_identifier;
use super::number::Decimal;
use super::types::SqlType;

/// Digits that every double gives back as written. What passes a payload on may read its fractions as doubles.
const DOUBLE_DIGITS: usize = 15;

/// One argument as a request brings it. Its `Debug` shows nothing of it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ArgumentFields {
    /// The name that the value is bound under: letters, digits and underscores.
    pub name: String,
    /// A string, number, boolean or null.
    pub value: Value,
    /// A type to cast to, where Redshift's own choice for a bound value is not the right one.
    #[serde(rename = "Type")]
    pub cast: Option<String>,
}

impl fmt::Debug for ArgumentFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArgumentFields").finish_non_exhaustive()
    }
}

/// A checked argument.
pub(super) struct Argument {
    pub(super) name: String,
    /// How it stands in the list of the call.
    pub(super) term: String,
    /// What is bound under its name; nothing for a constant.
    pub(super) bound: Option<String>,
}

impl Argument {
    /// Checks an argument.
    ///
    /// # Errors
    /// What is wrong with which of its fields. The text holds nothing of the payload: not even the name, which a
    /// request with its fields mixed up fills with the value.
    pub(super) fn check(fields: ArgumentFields) -> Result<Self, String> {
        let ArgumentFields { name, value, cast } = fields;
        if !is_plain_identifier(&name) {
            return Err("Name has to be letters, digits and underscores, and does not start with a digit".to_owned());
        }
        let cast = cast.as_deref().map(SqlType::parse).transpose().map_err(|why| format!("Type: {why}"))?;
        let number = value.is_number();
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Array(_) | Value::Object(_) => {
                return Err("Value has to be a string, number, boolean or null".to_owned());
            }
        };
        if text.as_deref().is_some_and(|t| t.contains('\0')) {
            return Err("Value cannot hold the character NUL".to_owned());
        }
        if number && cast.is_none() && text.as_deref().is_some_and(|t| t.contains(['e', 'E'])) {
            return Err("Value is a JSON number with an exponent, which has several spellings: give a Type, or the \
                        value as a string"
                .to_owned());
        }
        let is_rounded = |text: &String| {
            text.contains(['.', 'e', 'E']) && Decimal::parse(text).is_some_and(|n| n.significant() > DOUBLE_DIGITS)
        };
        if number && !cast.is_some_and(SqlType::is_float) && text.as_ref().is_some_and(is_rounded) {
            return Err(format!(
                "Value is a JSON number of more than {DOUBLE_DIGITS} digits with a fraction, which may have been \
                 rounded on its way: give it as a string"
            ));
        }
        let text = match (cast, text) {
            (Some(cast), Some(text)) => Some(cast.exact(text).map_err(|why| format!("Value: {why}"))?),
            (_, text) => text,
        };
        let term = match &text {
            None => "NULL".to_owned(),
            Some(text) if text.is_empty() => "''".to_owned(),
            Some(_) => format!(":{name}"),
        };
        let term = cast.map_or_else(|| term.clone(), |cast| format!("CAST({term} AS {cast})"));
        Ok(Self { name, term, bound: text.filter(|t| !t.is_empty()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Argument, String> {
        let value: Value = serde_json::from_str(json).expect("JSON");
        Argument::check(crate::runtime::parse(value).expect("fields"))
    }

    #[test]
    fn a_number_is_bound_as_written_or_refused() {
        for (value, cast, bound) in [
            ("12345678901234567890123", "", Some("12345678901234567890123")),
            ("12345678901234567890123", "DECIMAL(38)", Some("12345678901234567890123")),
            ("12345678901234567890123", "BIGINT", None),
            ("12345678901234567890123", "FLOAT8", None),
            ("9007199254740993", "BIGINT", Some("9007199254740993")),
            ("9007199254740993", "FLOAT8", None),
            ("0.1234567890123456789", "", None),
            ("0.1234567890123456789", "DECIMAL(38,30)", None),
            ("\"0.1234567890123456789\"", "DECIMAL(38,30)", Some("0.1234567890123456789")),
            ("0.30000000000000004", "FLOAT8", Some("0.30000000000000004")),
            ("0.30000000000000004", "DECIMAL(38,30)", None),
            ("0.100", "", Some("0.100")),
            ("2.50", "DECIMAL(10,2)", Some("2.50")),
            ("1e400", "", None),
            ("\"1e400\"", "", Some("1e400")),
            ("1e400", "FLOAT8", None),
            ("1e400", "DECIMAL(38)", None),
            ("-0.0", "", Some("-0.0")),
            ("-0.0", "DECIMAL(10,2)", Some("-0.0")),
            ("1E5", "", None),
            ("\"1E5\"", "", Some("1E5")),
            ("1E5", "FLOAT8", Some("1e+5")),
            ("1E5", "DECIMAL(10,2)", Some("100000")),
            ("1E5", "INTEGER", None),
            ("42", "BIGINT", Some("42")),
            ("true", "BOOLEAN", Some("true")),
            ("true", "INTEGER", None),
            ("\"hunter2\"", "CHAR", None),
            ("\"Y\"", "CHAR", Some("Y")),
            ("1.5", "DECIMAL", None),
        ] {
            let cast = if cast.is_empty() { "null".to_owned() } else { format!("{cast:?}") };
            let checked = check(&format!(r#"{{"Name": "a", "Value": {value}, "Type": {cast}}}"#));
            match bound {
                Some(bound) => {
                    assert_eq!(checked.map(|a| a.bound), Ok(Some(bound.to_owned())), "{value} as {cast}");
                }
                None => assert!(checked.is_err(), "{value} as {cast}"),
            }
        }
    }

    #[test]
    fn null_and_the_empty_text_are_constants() {
        for (value, cast, term) in [
            ("null", "DATE", "CAST(NULL AS DATE)"),
            ("\"\"", "TEXT", "CAST('' AS VARCHAR(65535))"),
            ("null", "DECIMAL", "CAST(NULL AS DECIMAL(18,0))"),
        ] {
            let argument = check(&format!(r#"{{"Name": "a", "Value": {value}, "Type": "{cast}"}}"#)).ok();
            let argument = argument.expect("valid");
            assert_eq!((argument.term.as_str(), argument.bound), (term, None));
        }
    }

    #[test]
    fn a_refusal_holds_nothing_of_the_argument() {
        for argument in [
            r#"{"Name": "hunter2 '", "Value": 1}"#,
            r#"{"Name": "hunter2", "Value": ["hunter2"]}"#,
            r#"{"Name": "hunter2", "Value": "hunter2", "Type": "hunter2"}"#,
            r#"{"Name": "hunter2", "Value": "hunter2", "Type": "INTEGER"}"#,
            r#"{"Name": "hunter2", "Value": "hunter2\u0000"}"#,
        ] {
            let refused = check(argument).err().expect(argument);
            assert!(!refused.contains("hunter2"), "{refused}");
            assert!(["Name", "Value", "Type"].iter().any(|field| refused.starts_with(field)), "{refused}");
        }
        let fields: ArgumentFields =
            serde_json::from_str(r#"{"Name": "hunter2", "Value": "hunter2", "Type": "hunter2"}"#).expect("fields");
        assert!(!format!("{fields:?}").contains("hunter2"));
    }
}
