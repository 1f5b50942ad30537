//! A stack: its name, parameters and outputs, from CloudFormation or, before it is deployed, from a file of parameters.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shared::TargetFields;
use shared::call::QualifiedName;

use crate::aws::Calls;
use crate::{Error, Result};

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
    #[arg(long, default_value = "redshift-loader")]
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
        Self {
            name: name.to_owned(),
            parameters: map("Parameters", "ParameterKey", "ParameterValue"),
            outputs: map("Outputs", "OutputKey", "OutputValue"),
        }
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

    /// The tables that people are told of.
    pub(crate) fn audit_tables(&self) -> Vec<&str> {
        let entries = QualifiedName::split(self.parameter("AuditTables"), ',');
        entries.filter_map(|entry| QualifiedName::split(entry.trim(), ':').next()).collect()
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
            (Err(_), Some(_)) => Stack { name: name.clone(), ..Stack::default() },
            (Err(error), None) => {
                return Err(Error::new(format!(
                    "{error}; name a stack (--stack) or a file of parameters (--parameters)"
                )));
            }
        };
        if let Some(file) = &self.parameters {
            stack.parameters = DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
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
    let pair = |line: &str| match line.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Error::new(format!("{shown}: {line:?} has to be Name=value"))),
    };
    lines.map(pair).collect()
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
    }
}
