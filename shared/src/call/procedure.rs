//! A call as it is submitted: checked, with its values bound.

use std::fmt;

use aws_sdk_redshiftdata::types::SqlParameter;
use serde::Deserialize;

use super::argument::{Argument, ArgumentFields};
use super::name::QualifiedName;
use super::scanner::Scanner;
use crate::error::{Error, Result};

/// The Data API refuses longer SQL: 100 KB. [Amazon Redshift Management Guide]
pub const MAX_SQL_BYTES: usize = 100_000;
/// Redshift's limit for the arguments of a procedure: 32. [Amazon Redshift Database Developer Guide, "CREATE PROCEDURE"]
pub const MAX_ARGUMENTS: usize = 32;

/// The fields of a call as a request brings them: `Procedure` (with `Arguments`) or `Sql`. Its `Debug` shows which
/// of them are there, and nothing of what they hold.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CallFields {
    /// `schema.procedure`; either part may be quoted.
    pub procedure: Option<String>,
    /// The arguments, in the order of the procedure's signature.
    pub arguments: Option<Vec<ArgumentFields>>,
    /// Exactly one `CALL schema.procedure(literal, ...);`.
    pub sql: Option<String>,
}

impl fmt::Debug for CallFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { procedure, arguments, sql } = self;
        f.debug_struct("CallFields")
            .field("procedure", &procedure.is_some())
            .field("arguments", &arguments.as_ref().map(Vec::len))
            .field("sql", &sql.is_some())
            .finish()
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
            (None, Some(_), Some(_)) => Err(Error::invalid_input(
                "Arguments go with Procedure; a call given as Sql holds its arguments as literals",
            )),
            (Some(_), _, Some(_)) => {
                Err(Error::invalid_input("both Procedure and Sql are given; keep the one that is meant"))
            }
            (None, _, None) => Err(Error::invalid_input(
                "nothing to call: give Procedure (\"schema.procedure\") or Sql (\"CALL schema.procedure(...);\")",
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
    /// repeated or malformed argument name, a value that is an array or object, an unknown `Type`, a value
    /// that its `Type` would change.
    pub fn new(procedure: &str, arguments: Vec<ArgumentFields>) -> Result<Self> {
        let procedure = QualifiedName::parse(procedure, "Procedure")?;
        if arguments.len() > MAX_ARGUMENTS {
            return Err(Error::invalid_input(format!(
                "Procedure {procedure}: {} Arguments; Redshift takes at most {MAX_ARGUMENTS}",
                arguments.len()
            )));
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        let mut list = Vec::new();
        let mut names = Vec::new();
        for (place, fields) in arguments.into_iter().enumerate() {
            let refuse = |why: &str| Error::invalid_input(format!("Procedure {procedure}: Arguments[{place}].{why}"));
            let Argument { name, term, bound } = Argument::check(fields).map_err(|why| refuse(&why))?;
            if names.contains(&name) {
                return Err(refuse("Name is given twice; arguments are bound by position, each under its own name"));
            }
            list.push(term);
            parameters.extend(bound.map(|text| (name.clone(), text)));
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
            Error::invalid_input(format!(
                "Sql must be exactly one CALL schema.procedure(...); with literals as arguments: {why}"
            ))
        };
        let (procedure, literals) = scanner.call().map_err(refuse)?;
        let procedure = QualifiedName(procedure);
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

    /// The bound values, or nothing if there are none (the Data API refuses an empty list).
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
        return Err(Error::invalid_input(format!(
            "the SQL is {} bytes long; the Data API takes at most {MAX_SQL_BYTES}",
            sql.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

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
            serde_json::json!({"Procedure": "dev.p", "Arguments": [{"Name": "a", "Value": 1, "Type": "SUPER"}]}),
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
