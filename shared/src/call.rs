//! A procedure call: the only kind of SQL that the loader submits.
//!
//! Identifiers cannot be bound as parameters, so the procedure's name is parsed and checked before it
//! becomes SQL. Arguments are bound, never spliced; only a call that comes as `Sql` text may hold
//! literals, and then nothing but literals.

use std::fmt;

use aws_sdk_redshiftdata::types::SqlParameter;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// The Data API refuses longer SQL: 100 KB. [Amazon Redshift Management Guide]
pub const MAX_SQL_BYTES: usize = 100_000;
/// Redshift's limit for a name: 127 bytes. [Amazon Redshift Database Developer Guide, "Names and identifiers"]
pub const MAX_IDENTIFIER_BYTES: usize = 127;
/// Redshift's limit for the arguments of a procedure: 32. [Amazon Redshift Database Developer Guide, "CREATE PROCEDURE"]
pub const MAX_ARGUMENTS: usize = 32;

/// The types that an argument may be cast to; a length or precision may follow in parentheses.
const TYPES: &[&str] = &[
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "DECIMAL",
    "REAL",
    "DOUBLE PRECISION",
    "BOOLEAN",
    "CHAR",
    "VARCHAR",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMPTZ",
];

/// The fields of a call as a request brings them: `Procedure` (with `Arguments`) or `Sql`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CallFields {
    /// `schema.procedure`; either part may be quoted.
    pub procedure: Option<String>,
    /// The arguments, in the order of the procedure's signature.
    pub arguments: Option<Vec<ArgumentFields>>,
    /// Exactly one `CALL schema.procedure(literal, ...);`.
    pub sql: Option<String>,
}

/// One argument as a request brings it.
#[derive(Debug, Clone, Deserialize)]
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

/// A schema-qualified name, kept as it has to appear in SQL.
///
/// A name without schema depends on the search_path of whoever runs it, and is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualifiedName(String);

impl QualifiedName {
    /// Parses `schema.name`; `what` says in the error what the name is of.
    pub fn parse(text: &str, what: &str) -> Result<Self> {
        // What comes after a name may be arguments: not for errors, which are logged and mailed.
        let shown: String = text.chars().take_while(|c| c.is_alphanumeric() || "._$\"".contains(*c)).collect();
        let refuse = |why: String| Error::InvalidInput(format!("{what} {shown:?}: {why}"));
        let mut scanner = Scanner::new(text);
        let name = scanner.qualified_name().map_err(refuse)?;
        if !scanner.at_end() {
            return Err(refuse(format!("unexpected text at character {}", scanner.position())));
        }
        Ok(name)
    }
}

impl QualifiedName {
    /// The procedure that a `CALL` calls, whatever its arguments; nothing for other SQL.
    pub fn called_by(sql: &str) -> Option<Self> {
        Scanner::new(sql).called().ok()
    }

    /// Whether both name the same thing. Redshift folds names to lower case, quoted ones included, unless
    /// told otherwise; a difference in case alone is therefore taken for none.
    pub fn same_as(&self, other: &Self) -> bool {
        let folded = |name: &Self| name.0.replace('"', "").to_lowercase();
        folded(self) == folded(other)
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One `CALL`, ready to submit. Its `Display` is the procedure's name alone: arguments may be personal
/// data, and this is what goes into logs and messages.
#[derive(Clone, PartialEq, Eq)]
pub struct ProcedureCall {
    procedure: QualifiedName,
    sql: String,
    placeholders: String,
    parameters: Vec<(String, String)>,
}

impl fmt::Display for ProcedureCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.procedure.fmt(f)
    }
}

impl fmt::Debug for ProcedureCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcedureCall({})", self.procedure)
    }
}

impl TryFrom<CallFields> for ProcedureCall {
    type Error = Error;

    fn try_from(fields: CallFields) -> Result<Self> {
        match (fields.procedure, fields.arguments, fields.sql) {
            (Some(procedure), arguments, None) => Self::new(&procedure, arguments.unwrap_or_default()),
            (None, None, Some(sql)) => Self::from_sql(&sql),
            (None, Some(_), Some(_)) => Err(Error::InvalidInput(
                "Arguments go with Procedure; a call given as Sql holds its arguments as literals".into(),
            )),
            (Some(_), _, Some(_)) => {
                Err(Error::InvalidInput("both Procedure and Sql are given; keep the one that is meant".into()))
            }
            (None, _, None) => Err(Error::InvalidInput(
                "nothing to call: give Procedure (\"schema.procedure\") or Sql (\"CALL schema.procedure(...);\")"
                    .into(),
            )),
        }
    }
}

impl ProcedureCall {
    /// A call of `procedure` with arguments bound by position.
    ///
    /// `null` and the empty string cannot be bound in the Data API; they become the constants `NULL`
    /// and `''`.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is not `schema.procedure`, more than [`MAX_ARGUMENTS`], a
    /// repeated or malformed argument name, a value that is an array or object, an unknown `Type`.
    pub fn new(procedure: &str, arguments: Vec<ArgumentFields>) -> Result<Self> {
        let procedure = QualifiedName::parse(procedure, "Procedure")?;
        if arguments.len() > MAX_ARGUMENTS {
            return Err(Error::InvalidInput(format!(
                "Procedure {procedure}: {} Arguments; Redshift takes at most {MAX_ARGUMENTS}",
                arguments.len()
            )));
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        let mut list = Vec::new();
        let mut names = Vec::new();
        for argument in arguments {
            let name = argument.name;
            let refuse = |why: &str| Error::InvalidInput(format!("Procedure {procedure}: argument {name:?}: {why}"));
            if !is_plain_identifier(&name) {
                return Err(refuse("a Name is letters, digits and underscores and does not start with a digit"));
            }
            if names.contains(&name) {
                return Err(refuse("given twice; arguments are bound by position, each under a name of its own"));
            }
            let cast =
                argument.cast.as_deref().map(|t| parse_type(t).ok_or_else(|| refuse(&type_hint()))).transpose()?;
            let text = match argument.value {
                Value::Null => None,
                Value::String(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                Value::Bool(value) => Some(value.to_string()),
                Value::Array(_) | Value::Object(_) => {
                    return Err(refuse("a Value is a string, number, boolean or null"));
                }
            };
            if text.as_deref().is_some_and(|t| t.contains('\0')) {
                return Err(refuse("a Value cannot hold the character NUL"));
            }
            let term = match &text {
                None => "NULL".to_owned(),
                Some(text) if text.is_empty() => "''".to_owned(),
                Some(_) => format!(":{name}"),
            };
            list.push(match cast {
                Some(cast) => format!("CAST({term} AS {cast})"),
                None => term,
            });
            if let Some(text) = text.filter(|t| !t.is_empty()) {
                parameters.push((name.clone(), text));
            }
            names.push(name);
        }
        let sql = format!("CALL {procedure}({});", list.join(", "));
        check_size(&sql)?;
        Ok(Self { procedure, placeholders: sql.clone(), sql, parameters })
    }

    /// A call given as SQL text: exactly one `CALL schema.procedure(...)` with literals as arguments.
    ///
    /// Literals are numbers, `'strings'` ('' for a quote), `TRUE`, `FALSE`, `NULL`, and `DATE` or
    /// `TIMESTAMP` before a string. Everything else is refused: comments, a second statement,
    /// expressions, functions, sub-selects, casts, parameters, and a backslash in a string, which
    /// Redshift reads as an escape where PostgreSQL does not.
    pub fn from_sql(sql: &str) -> Result<Self> {
        check_size(sql)?;
        let mut scanner = Scanner::new(sql);
        // The text may hold personal data: errors name the place, never the text.
        let refuse = |why: String| {
            Error::InvalidInput(format!(
                "Sql must be exactly one CALL schema.procedure(...); with literals as arguments: {why}"
            ))
        };
        let (procedure, literals) = scanner.call().map_err(refuse)?;
        if literals.len() > MAX_ARGUMENTS {
            return Err(refuse(format!("{} arguments; Redshift takes at most {MAX_ARGUMENTS}", literals.len())));
        }
        let placeholders: Vec<_> = (1..=literals.len()).map(|n| format!(":literal_{n}")).collect();
        Ok(Self {
            sql: format!("CALL {procedure}({});", literals.join(", ")),
            placeholders: format!("CALL {procedure}({});", placeholders.join(", ")),
            procedure,
            parameters: Vec::new(),
        })
    }

    /// The procedure's qualified name.
    pub fn procedure(&self) -> &QualifiedName {
        &self.procedure
    }

    /// The SQL to submit. May hold argument literals: not for logs.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The SQL with a placeholder for each value: what may be shown.
    pub fn sql_with_placeholders(&self) -> &str {
        &self.placeholders
    }

    /// The bound values, or nothing where there are none (the Data API refuses an empty list).
    pub(crate) fn parameters(&self) -> Option<Vec<SqlParameter>> {
        if self.parameters.is_empty() {
            return None;
        }
        let bind = |(name, value): &(String, String)| SqlParameter::builder().name(name).value(value).build().ok();
        Some(self.parameters.iter().filter_map(bind).collect())
    }
}

fn check_size(sql: &str) -> Result<()> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(Error::InvalidInput(format!(
            "the SQL is {} bytes long; the Data API takes at most {MAX_SQL_BYTES}",
            sql.len()
        )));
    }
    Ok(())
}

fn is_plain_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_IDENTIFIER_BYTES
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn type_hint() -> String {
    format!("Type is one of {}, with a length or precision in parentheses where it takes one", TYPES.join(", "))
}

/// The canonical text of a type of the list, or nothing.
fn parse_type(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    let (base, size) = match text.split_once('(') {
        None => (text.trim(), None),
        Some((base, rest)) => (base.trim(), Some(rest.strip_suffix(')')?)),
    };
    let base = TYPES.iter().find(|t| **t == base)?;
    let most = match *base {
        "DECIMAL" => 2,
        "CHAR" | "VARCHAR" => 1,
        _ => 0,
    };
    let Some(size) = size else { return Some((*base).to_owned()) };
    let numbers: Vec<u32> = size.split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
    if numbers.len() > most {
        return None;
    }
    let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
    Some(format!("{base}({})", numbers.join(",")))
}

/// Reads a call character by character. It knows no comments, so a comment is unexpected text.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

type Scan<T> = std::result::Result<T, String>;

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn position(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn skip_space(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace());
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn expect(&mut self, expected: char) -> Scan<()> {
        if self.take(expected) {
            Ok(())
        } else {
            Err(format!("expected '{expected}' at character {}", self.position()))
        }
    }

    fn qualified_name(&mut self) -> Scan<QualifiedName> {
        let schema = self.identifier()?;
        if !self.take('.') {
            return Err("the schema is missing; write schema.name, so that it does not depend on a search_path".into());
        }
        let name = self.identifier()?;
        if self.peek() == Some('.') {
            return Err("too many parts; write schema.name".into());
        }
        Ok(QualifiedName(format!("{schema}.{name}")))
    }

    fn identifier(&mut self) -> Scan<String> {
        let start = self.at;
        let length = if self.take('"') {
            let mut length = 0;
            loop {
                let part = self.take_while(|c| c != '"');
                length += part.len();
                if part.contains('\0') {
                    return Err("a quoted identifier cannot hold the character NUL".into());
                }
                if !self.take('"') {
                    return Err("a quoted identifier has no closing quote".into());
                }
                if !self.take('"') {
                    break;
                }
                length += 1;
            }
            length
        } else {
            let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
            if word.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return Err("an identifier starts with a letter or an underscore; quote others".into());
            }
            word.len()
        };
        if length == 0 {
            return Err(format!("expected an identifier at character {}", self.position()));
        }
        if length > MAX_IDENTIFIER_BYTES {
            return Err(format!("an identifier is at most {MAX_IDENTIFIER_BYTES} bytes long"));
        }
        Ok(self.text[start..self.at].to_owned())
    }

    fn called(&mut self) -> Scan<QualifiedName> {
        self.skip_space();
        let word = self.take_while(|c| c.is_ascii_alphabetic());
        if !word.eq_ignore_ascii_case("call") {
            return Err("it does not start with CALL".into());
        }
        if self.take_while(|c| c.is_ascii_whitespace()).is_empty() {
            return Err("expected a space after CALL".into());
        }
        let name = self.qualified_name()?;
        self.skip_space();
        self.expect('(')?;
        Ok(name)
    }

    fn call(&mut self) -> Scan<(QualifiedName, Vec<String>)> {
        let name = self.called()?;
        let mut literals = Vec::new();
        self.skip_space();
        if !self.take(')') {
            loop {
                self.skip_space();
                literals.push(self.literal()?);
                self.skip_space();
                if self.take(')') {
                    break;
                }
                self.expect(',')?;
            }
        }
        self.skip_space();
        self.take(';');
        self.skip_space();
        if !self.at_end() {
            return Err(format!("unexpected text after the call, at character {}", self.position()));
        }
        Ok((name, literals))
    }

    fn literal(&mut self) -> Scan<String> {
        let start = self.position();
        let not_a_literal = || format!("the argument at character {start} is not a literal");
        match self.peek() {
            Some('\'') => self.string(),
            Some(c) if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number().ok_or_else(not_a_literal),
            Some(c) if c.is_ascii_alphabetic() => {
                let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_ascii_uppercase();
                match word.as_str() {
                    "TRUE" | "FALSE" | "NULL" => Ok(word),
                    "DATE" | "TIMESTAMP" => {
                        self.skip_space();
                        if self.peek() != Some('\'') {
                            return Err(not_a_literal());
                        }
                        Ok(format!("{word} {}", self.string()?))
                    }
                    _ => Err(not_a_literal()),
                }
            }
            _ => Err(not_a_literal()),
        }
    }

    fn string(&mut self) -> Scan<String> {
        let start = self.at;
        self.expect('\'')?;
        loop {
            let part = self.take_while(|c| c != '\'');
            if part.contains('\\') {
                return Err("a string holds a backslash, which Redshift reads as an escape; give the call as \
                            Procedure and Arguments"
                    .into());
            }
            if part.contains('\0') {
                return Err("a string cannot hold the character NUL".into());
            }
            if !self.take('\'') {
                return Err("a string has no closing quote".into());
            }
            if !self.take('\'') {
                return Ok(self.text[start..self.at].to_owned());
            }
        }
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        if !self.take('-') {
            self.take('+');
        }
        let whole = self.take_while(|c| c.is_ascii_digit());
        let fraction = if self.take('.') { self.take_while(|c| c.is_ascii_digit()) } else { "" };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        if self.take('e') || self.take('E') {
            if !self.take('-') {
                self.take('+');
            }
            if self.take_while(|c| c.is_ascii_digit()).is_empty() {
                return None;
            }
        }
        if self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') {
            return None;
        }
        Some(self.text[start..self.at].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(json: Value) -> Result<ProcedureCall> {
        ProcedureCall::try_from(serde_json::from_value::<CallFields>(json).expect("fields"))
    }

    #[test]
    fn a_procedure_without_arguments_is_one_call() {
        let call = call(serde_json::json!({"Procedure": "dev.enriched_orders_sp"})).expect("valid");
        assert_eq!(call.sql(), "CALL dev.enriched_orders_sp();");
        assert_eq!(call.parameters(), None);
        assert_eq!(call.to_string(), "dev.enriched_orders_sp");
    }

    #[test]
    fn arguments_are_bound_by_position_and_cast_where_asked() {
        let call = call(serde_json::json!({"Procedure": "dev.\"Back \"\"fill\"", "Arguments": [
            {"Name": "run_id", "Value": 42, "Type": "bigint"},
            {"Name": "reason", "Value": "it's; DROP TABLE x"},
            {"Name": "price", "Value": "1.5", "Type": "decimal( 10 , 2 )"},
            {"Name": "nothing", "Value": null, "Type": "DATE"},
            {"Name": "blank", "Value": ""},
            {"Name": "yes", "Value": true}
        ]}))
        .expect("valid");
        assert_eq!(
            call.sql(),
            "CALL dev.\"Back \"\"fill\"(CAST(:run_id AS BIGINT), :reason, CAST(:price AS DECIMAL(10,2)), \
             CAST(NULL AS DATE), '', :yes);"
        );
        let bound: Vec<_> =
            call.parameters().expect("bound").iter().map(|p| (p.name().to_owned(), p.value().to_owned())).collect();
        assert_eq!(bound[0], ("run_id".into(), "42".into()));
        assert_eq!(bound[1], ("reason".into(), "it's; DROP TABLE x".into()));
        assert_eq!(bound.len(), 4);
    }

    #[test]
    fn malformed_calls_are_refused() {
        for bad in [
            serde_json::json!({}),
            serde_json::json!({"Procedure": ""}),
            serde_json::json!({"Procedure": "enriched_orders_sp"}),
            serde_json::json!({"Procedure": "a.b.c"}),
            serde_json::json!({"Procedure": "dev.p()"}),
            serde_json::json!({"Procedure": "dev.p; drop table x"}),
            serde_json::json!({"Procedure": "dev.p -- x"}),
            serde_json::json!({"Procedure": " dev.p"}),
            serde_json::json!({"Procedure": "dev.1p"}),
            serde_json::json!({"Procedure": "dev.\"p"}),
            serde_json::json!({"Procedure": "dev.\"\""}),
            serde_json::json!({"Procedure": format!("dev.{}", "p".repeat(128))}),
            serde_json::json!({"Procedure": "dev.p", "Sql": "CALL dev.p();"}),
            serde_json::json!({"Sql": "CALL dev.p();", "Arguments": []}),
            serde_json::json!({"Procedure": "dev.p", "Arguments": [{"Name": "a b", "Value": 1}]}),
            serde_json::json!({"Procedure": "dev.p", "Arguments": [{"Name": "a", "Value": [1]}]}),
            serde_json::json!({"Procedure": "dev.p", "Arguments": [{"Name": "a", "Value": 1, "Type": "TEXT"}]}),
            serde_json::json!({"Procedure": "dev.p", "Arguments": [{"Name": "a", "Value": 1, "Type": "INTEGER); DROP"}]}),
            serde_json::json!({"Procedure": "dev.p", "Arguments": [{"Name": "a", "Value": 1, "Type": "INTEGER(4)"}]}),
            serde_json::json!({"Procedure": "dev.p", "Arguments": [{"Name": "a", "Value": 1}, {"Name": "a", "Value": 2}]}),
        ] {
            let error = call(bad.clone()).expect_err(&bad.to_string());
            assert_eq!(error.name(), "InvalidInput", "{bad}");
        }
    }

    #[test]
    fn sql_with_literals_is_accepted_and_normalised() {
        for (sql, normal) in [
            ("call dev.enriched_orders_sp();", "CALL dev.enriched_orders_sp();"),
            (" CALL\n dev.p ( ) ", "CALL dev.p();"),
            (
                "CALL dev.p(1, -2.5e3, 'it''s', TRUE, null, date '2026-01-31', timestamp '2026-01-31 10:00:00')",
                "CALL dev.p(1, -2.5e3, 'it''s', TRUE, NULL, DATE '2026-01-31', TIMESTAMP '2026-01-31 10:00:00');",
            ),
            ("CALL \"Dev\".\"p;\"('--', '/* */', ';')", "CALL \"Dev\".\"p;\"('--', '/* */', ';');"),
        ] {
            assert_eq!(ProcedureCall::from_sql(sql).expect(sql).sql(), normal);
        }
    }

    #[test]
    fn sql_that_is_not_one_call_with_literals_is_refused() {
        for sql in [
            "",
            "SELECT 1",
            "CALL",
            "CALL p()",
            "CALLdev.p()",
            "CALL dev.p",
            "CALL dev.p(); SELECT 1",
            "CALL dev.p();;",
            "CALL dev.p() -- x",
            "CALL dev.p(/* */ 1)",
            "/* */ CALL dev.p()",
            "CALL/**/dev.p()",
            "CALL dev.p(1 + 1)",
            "CALL dev.p((SELECT 1))",
            "CALL dev.p(SELECT 1)",
            "CALL dev.p(now())",
            "CALL dev.p(current_user)",
            "CALL dev.p(:x)",
            "CALL dev.p($1)",
            "CALL dev.p('a' || 'b')",
            "CALL dev.p('a'::date)",
            "CALL dev.p(E'a')",
            "CALL dev.p($$a$$)",
            "CALL dev.p('a\\')",
            "CALL dev.p('\\'; DROP TABLE x; --')",
            "CALL dev.p('a)",
            "CALL dev.p(1,)",
            "CALL dev.p(,1)",
            "CALL dev.p(1 2)",
            "CALL dev.p(1.2.3)",
            "CALL dev.p(0x10)",
            "CALL dev.p(--1)",
            "CALL dev.p('a' 'b')",
            "CALL dev.p(date)",
            "CALL dev.p(\u{a0}1)",
        ] {
            let error = ProcedureCall::from_sql(sql).expect_err(sql);
            assert_eq!(error.name(), "InvalidInput", "{sql}");
        }
        assert!(ProcedureCall::from_sql(&format!("CALL dev.p('{}')", "x".repeat(MAX_SQL_BYTES))).is_err());
    }

    #[test]
    fn the_procedure_of_a_call_is_known_whatever_its_arguments() {
        let name = |text| QualifiedName::parse(text, "name").expect("valid");
        let called = QualifiedName::called_by(" call Dev.\"P\"(CAST(:a AS DATE));").expect("a call");
        assert!(called.same_as(&name("dev.p")) && !called.same_as(&name("dev.p2")));
        assert_eq!(QualifiedName::called_by("SELECT dev.p()"), None);
    }

    #[test]
    fn arguments_reach_no_log() {
        let secret = ProcedureCall::from_sql("CALL dev.p('hunter2')").expect("valid");
        let shown = format!("{secret} {secret:?} {}", secret.sql_with_placeholders());
        assert!(!shown.contains("hunter2"), "{shown}");
        let error = ProcedureCall::new("dev.p('hunter2')", vec![]).expect_err("refused").to_string();
        assert!(error.contains("dev.p") && !error.contains("hunter2"), "{error}");
        let error = ProcedureCall::from_sql("CALL dev.p('hunter2'||x)").expect_err("refused").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
