//! The function's environment.

use std::time::Duration;

use shared::call::QualifiedName;
use shared::runtime::var_parsed;
use shared::{Error, Result, TargetFields};

/// The time-out of a procedure if neither the request nor the environment sets it: 2 hours.
const DEFAULT_TIMEOUT_SECONDS: u64 = 7200;
/// Attempts if neither the request nor the environment sets it.
const DEFAULT_MAX_ATTEMPTS: u32 = 3;
/// The default list if the environment names none: load, then audit.
const DEFAULT_PROCEDURES: &str = "dev.enriched_orders_sp,dev.audit_orders_sp";
/// The time-out of an EMR step if the environment sets none.
const DEFAULT_STEP_SECONDS: u64 = 3600;

/// The function's environment.
#[derive(Debug)]
pub struct Config {
    pub(crate) target: TargetFields,
    pub(crate) timeout_seconds: u64,
    pub(crate) max_attempts: u32,
    /// The default list.
    pub(crate) procedures: Vec<String>,
    /// The Glue workflow that must have succeeded before the default list runs.
    pub(crate) workflow: Option<String>,
    /// The EMR step that comes before the default list.
    pub(crate) step: Option<StepConfig>,
}

/// An EMR step that fills the staging area.
#[derive(Debug)]
pub(crate) struct StepConfig {
    pub(crate) cluster: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) timeout: Duration,
}

impl Config {
    /// Reads the variables of the target, `STATEMENT_TIMEOUT_SECONDS`, `MAX_ATTEMPTS`, `PROCEDURES` (names separated
    /// by commas), `GLUE_WORKFLOW_NAME`, `EMR_CLUSTER_ID`, `EMR_STEP_ARGUMENTS` (separated by blanks) and
    /// `EMR_STEP_TIMEOUT_SECONDS`.
    ///
    /// # Errors
    /// `InvalidConfiguration` naming the variable.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str| var(name).filter(|value| !value.is_empty());
        let step_seconds = var_parsed(&var, "EMR_STEP_TIMEOUT_SECONDS", "whole seconds", DEFAULT_STEP_SECONDS)?;
        let step = text("EMR_CLUSTER_ID").map(|cluster| {
            let arguments = text("EMR_STEP_ARGUMENTS").unwrap_or_default();
            let arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
            if arguments.is_empty() {
                return Err(Error::invalid_configuration(
                    "environment variable EMR_STEP_ARGUMENTS is empty; EMR_CLUSTER_ID needs the step's arguments",
                ));
            }
            Ok(StepConfig { cluster, arguments, timeout: Duration::from_secs(step_seconds) })
        });
        Ok(Self {
            timeout_seconds: var_parsed(&var, "STATEMENT_TIMEOUT_SECONDS", "whole seconds", DEFAULT_TIMEOUT_SECONDS)?,
            max_attempts: var_parsed(&var, "MAX_ATTEMPTS", "a whole number", DEFAULT_MAX_ATTEMPTS)?,
            procedures: names(&text("PROCEDURES").unwrap_or_else(|| DEFAULT_PROCEDURES.to_owned()))?,
            workflow: text("GLUE_WORKFLOW_NAME"),
            step: step.transpose()?,
            target: TargetFields::from_env(&var),
        })
    }
}

/// The names of a list that is separated by commas; one inside of quotes belongs to a name.
fn names(list: &str) -> Result<Vec<String>> {
    let wrong = |e: Error| {
        let why = format!("environment variable PROCEDURES has to be schema.procedure names separated by commas: {e}");
        Error::invalid_configuration(why)
    };
    QualifiedName::split(list, ',')
        .map(|name| Ok(QualifiedName::parse(name.trim(), "name").map_err(wrong)?.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<Config> {
        Config::from_env(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn the_default_list_is_the_environments() {
        let list = |value| with("PROCEDURES", value).expect("valid").procedures;
        assert_eq!(list(""), ["dev.enriched_orders_sp", "dev.audit_orders_sp"]);
        assert_eq!(list("a.b"), ["a.b"]);
        assert_eq!(list("a.\"b,c\", d.e"), ["a.\"b,c\"", "d.e"]);
        for wrong in ["a.b,", "b", "a.b;c.d", "a.b('hunter2')"] {
            let error = with("PROCEDURES", wrong).expect_err(wrong);
            assert_eq!(error.name(), "InvalidConfiguration");
            assert!(error.to_string().contains("PROCEDURES") && !error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_wrong_environment_is_named() {
        for (name, value) in
            [("MAX_ATTEMPTS", "many"), ("STATEMENT_TIMEOUT_SECONDS", "1.5"), ("EMR_STEP_TIMEOUT_SECONDS", "an hour")]
        {
            let error = with(name, value).expect_err(name);
            assert_eq!(error.name(), "InvalidConfiguration");
            assert!(error.to_string().contains(name));
        }
        let error = with("EMR_CLUSTER_ID", "j-1").expect_err("a step without arguments");
        assert!(error.to_string().contains("EMR_STEP_ARGUMENTS"));
    }
}
