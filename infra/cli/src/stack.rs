//! A stack: its name, parameters and outputs, from CloudFormation or, before it is deployed, from a file of parameters.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shared::TargetFields;
use shared::call::QualifiedName;
use shared::command::DEFAULT_STACK;

use crate::aws::Calls;
use crate::{Error, Result};

const TEMPLATE: &str = include_str!("../../template.yaml");
/// What the template takes where a file of parameters says nothing. A test holds them beside the template.
const DEFAULTS: [(&str, &str); 3] = [
    ("Procedures", "dev.enriched_orders_sp,dev.audit_orders_sp"),
    ("AuditTables", "dev.orders_audit"),
    ("FullAuditProcedures", "dev.audit_orders_sweep_sp"),
];
/// The roles that submit statements.
pub(crate) const ROLES: [&str; 2] = ["StatementRoleName", "AuditRoleName"];

/// How a stack is found.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Place {
    /// The stack's name
    #[arg(long, default_value = DEFAULT_STACK)]
    pub stack: String,
    /// A file of parameters, such as infra/parameters/serverless-secret.txt, if the stack is not deployed yet
    #[arg(long)]
    pub parameters: Option<PathBuf>,
}

/// A stack, deployed or to be deployed.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    pub(crate) name: String,
    pub(crate) parameters: HashMap<String, String>,
    pub(crate) outputs: HashMap<String, String>,
}

impl Stack {
    /// From the answer of DescribeStacks.
    pub(crate) fn read(name: &str, described: &Value) -> Self {
        let map = |list: &str, key: &str, value: &str| {
            let items = described["Stacks"][0][list].as_array().into_iter().flatten();
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            items.map(|item| (text(&item[key]), text(&item[value]))).collect()
        };
        let mut parameters: HashMap<String, String> = map("Parameters", "ParameterKey", "ParameterValue");
        // A stack from before these were lists.
        let of = |name: &str| parameters.get(name).cloned();
        let before = (of("LoadProcedure"), of("AuditProcedure"), of("AuditTable"), of("Procedures"));
        if let (Some(load), Some(audit), Some(table), None) = before {
            parameters.insert("Procedures".to_owned(), format!("{load},{audit}"));
            parameters.insert("AuditTables".to_owned(), table);
        }
        Self { name: name.to_owned(), parameters, outputs: map("Outputs", "OutputKey", "OutputValue") }
    }

    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    pub(crate) fn output(&self, name: &str) -> &str {
        self.outputs.get(name).map_or("", String::as_str)
    }

    /// The procedures that it calls by itself.
    pub(crate) fn procedures(&self) -> Vec<&str> {
        let scheduled = (!self.parameter("FullAuditScheduleExpression").is_empty()).then_some("FullAuditProcedures");
        let lists = std::iter::once("Procedures").chain(scheduled).map(|name| self.parameter(name));
        lists.flat_map(|list| QualifiedName::split(list, ',')).map(str::trim).collect()
    }

    /// The tables that people are told of, with the columns of run and time.
    pub(crate) fn audit_tables(&self) -> Vec<(&str, [&str; 2])> {
        let entries = QualifiedName::split(self.parameter("AuditTables"), ',').filter(|entry| !entry.is_empty());
        entries.map(|entry| self.told(entry)).collect()
    }

    fn told<'a>(&'a self, entry: &'a str) -> (&'a str, [&'a str; 2]) {
        let mut parts = QualifiedName::split(entry.trim(), ':');
        let table = parts.next().unwrap_or_default();
        let own = |part, parameter: &str, default| match (part, self.parameter(parameter)) {
            (Some(column), _) => column,
            (None, "") => default,
            (None, column) => column,
        };
        let run = own(parts.next(), "AuditKeyColumn", "run_id");
        (table, [run, own(parts.next(), "AuditTimeColumn", "order_ts")])
    }

    /// How the Data API reaches its warehouse.
    pub(crate) fn target(&self) -> Value {
        let given = TargetFields::NAMES.into_iter().filter(|name| !self.parameter(name).is_empty());
        given.map(|name| (name.to_owned(), json!(self.parameter(name)))).collect::<serde_json::Map<_, _>>().into()
    }

    /// The user's name in the stack's secret; nothing if it has none.
    pub(crate) async fn secret_user(&self, aws: &mut Calls) -> Option<Result<Value>> {
        let arn = match self.parameter("SecretArn") {
            "" => return None,
            arn => arn,
        };
        let secret = aws.call("secretsmanager", "get_secret_value", json!({"SecretId": arn})).await;
        // Only the name leaves this line.
        let user = |text: &str| serde_json::from_str::<Value>(text).ok().map(|s| s["username"].clone());
        Some(secret.map(|s| s["SecretString"].as_str().and_then(user).unwrap_or_default()))
    }

    /// The database users, as [`Self::users`].
    ///
    /// # Errors
    /// If the stack has a secret, and it names none.
    pub(crate) fn known_users(&self, secret: Option<&Result<Value>>) -> Result<(String, String)> {
        match secret {
            Some(Err(error)) => Err(Error::new(format!("the user in the stack's secret is not known: {error}"))),
            Some(Ok(user)) if !user.is_string() => {
                let arn = self.parameter("SecretArn");
                Err(Error::new(format!("{arn} has no username: JSON with username and password is expected")))
            }
            _ => Ok(self.users(secret)),
        }
    }

    /// The database users: who calls the procedures, and who works on the audit tables.
    pub(crate) fn users(&self, secret: Option<&Result<Value>>) -> (String, String) {
        let named = secret.and_then(|s| s.as_ref().ok()).and_then(Value::as_str);
        let named = named.or(Some(self.parameter("DbUser")).filter(|user| !user.is_empty()));
        // A role's user in the database. [Amazon Redshift Management Guide]
        let of = |role| named.map_or_else(|| format!("IAMR:{}", self.output(role)), str::to_owned);
        let [caller, auditor] = ROLES.map(of);
        (caller, auditor)
    }
}

impl Place {
    /// The stack of this name, and over it the file of parameters. Without a file it has to exist.
    ///
    /// # Errors
    /// If there is neither, or the file cannot be read.
    pub(crate) async fn stack(&self, aws: &mut Calls) -> Result<Stack> {
        let name = &self.stack;
        let described = aws.call("cloudformation", "describe_stacks", json!({"StackName": name})).await;
        let mut stack = match (described, &self.parameters) {
            (Ok(described), _) => Stack::read(name, &described),
            (Err(_), Some(_)) => {
                let defaults = DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
                Stack { name: name.clone(), parameters: defaults, ..Stack::default() }
            }
            (Err(error), None) => {
                return Err(Error::new(format!(
                    "{error}; name a stack (--stack) or a file of parameters (--parameters)"
                )));
            }
        };
        if let Some(file) = &self.parameters {
            stack.parameters.extend(parameters(file)?);
        }
        Ok(stack)
    }
}

/// Reads a file of parameters: a line `Name=value` each, and lines that begin with `#`.
///
/// # Errors
/// If it cannot be read, or a line is neither.
pub fn parameters(file: &Path) -> Result<Vec<(String, String)>> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| Error::doing(&shown, e))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let known: Vec<_> = TEMPLATE.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':')).collect();
    let pair = |line: &str| match line.split_once('=') {
        Some((name, value)) if known.contains(&name) => Ok((name.to_owned(), value.to_owned())),
        Some((name, _)) => Err(Error::new(format!("{shown}: {name} is no parameter of the template{}", instead(name)))),
        None => Err(Error::new(format!("{shown}: {line:?} has to be Name=value"))),
    };
    lines.map(pair).collect()
}

/// What a name from before has become.
fn instead(name: &str) -> &'static str {
    match name {
        "LoadProcedure" | "AuditProcedure" => "; Procedures lists both, separated by a comma",
        "AuditTable" => "; it is AuditTables",
        "FullAuditProcedure" => "; it is FullAuditProcedures",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::project;

    #[test]
    fn the_defaults_are_those_of_the_template() {
        let template = std::fs::read_to_string(project("infra/template.yaml")).expect("the template");
        for (name, value) in DEFAULTS {
            let (_, parameter) = template.split_once(&format!("\n  {name}:\n")).expect(name);
            let (parameter, _) = parameter.split_once("\n  F").unwrap_or((parameter, ""));
            assert!(parameter.contains(&format!("    Default: {value}\n")), "{name}");
        }
    }

    #[test]
    fn a_file_of_parameters_is_read_over_the_defaults() {
        let read = parameters(&project("infra/parameters/cluster-user.txt")).expect("a file");
        assert!(read.iter().any(|(name, _)| name == "DbUser"), "{read:?}");
        assert!(!read.iter().any(|(name, _)| name.starts_with('#')));
        let old = std::env::temp_dir().join(format!("old-parameters-{}.txt", std::process::id()));
        std::fs::write(&old, "Database=d\nLoadProcedure=dev.x_sp\n").expect("a file");
        let error = parameters(&old).expect_err("an old name").to_string();
        std::fs::remove_file(&old).expect("a file");
        assert!(
            error.ends_with(
                "LoadProcedure is no parameter of the template; Procedures lists both, separated by a comma"
            )
        );
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_not_another_user() {
        let mut stack = Stack::default();
        stack.outputs.insert("StatementRoleName".to_owned(), "role".to_owned());
        for (secret, user) in
            [(Some(Ok(json!("loader"))), Some("loader")), (None, Some("IAMR:role")), (Some(Ok(Value::Null)), None)]
        {
            assert_eq!(stack.known_users(secret.as_ref()).ok().map(|(caller, _)| caller).as_deref(), user);
        }
        let error = stack.known_users(Some(&Err(Error::new("AccessDenied")))).expect_err("no user").to_string();
        assert!(error.contains("AccessDenied"), "{error}");
    }

    #[test]
    fn a_stack_from_before_is_read() {
        let old = [("LoadProcedure", "a.load_sp"), ("AuditProcedure", "a.audit_sp"), ("AuditTable", "a.t")];
        let old = old.map(|(name, value)| json!({"ParameterKey": name, "ParameterValue": value}));
        let stack = Stack::read("s", &json!({"Stacks": [{"Parameters": old}]}));
        assert_eq!(
            (stack.procedures(), stack.audit_tables()),
            (vec!["a.load_sp", "a.audit_sp"], vec![("a.t", ["run_id", "order_ts"])])
        );
    }
}
