//! The function's environment.

use std::time::Duration;

use shared::runtime::var_parsed;
use shared::{Error, Result, TargetFields};

/// How long the end of a cancelled statement is awaited if the environment does not set it.
const DEFAULT_GRACE_SECONDS: u64 = 300;
/// The most that [`DEFAULT_GRACE_SECONDS`] may be replaced by: looks at a cancelled statement fill the history.
const MOST_GRACE_SECONDS: u64 = 3600;
/// A proc-runner that was under way when the execution died submits within the time that it has for two calls (a
/// singleton's look, the submit) and a cold start.
const DEFAULT_SWEEP_SECONDS: u64 = 100;
/// A longer sweep outlasts the function, and is lost.
const MOST_SWEEP_SECONDS: u64 = 120;

/// The function's environment.
#[derive(Debug)]
pub struct Config {
    pub(crate) target: TargetFields,
    pub(crate) grace: Duration,
    pub(crate) sweep: Duration,
}

impl Config {
    /// Reads the variables of the target, `CANCEL_GRACE_SECONDS`, and `SWEEP_SECONDS`: how long after
    /// the death of an execution a submit that was in flight may still appear.
    ///
    /// # Errors
    /// `InvalidConfiguration` naming the variable.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let seconds = |name, default, most| {
            let seconds = var_parsed(&var, name, "whole seconds", default)?;
            if seconds > most {
                return Err(Error::invalid_configuration(format!(
                    "environment variable {name} is {seconds}; it has to be at most {most} seconds"
                )));
            }
            Ok(Duration::from_secs(seconds))
        };
        Ok(Self {
            grace: seconds("CANCEL_GRACE_SECONDS", DEFAULT_GRACE_SECONDS, MOST_GRACE_SECONDS)?,
            sweep: seconds("SWEEP_SECONDS", DEFAULT_SWEEP_SECONDS, MOST_SWEEP_SECONDS)?,
            target: TargetFields::from_env(&var),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_outlast_the_function_are_refused() {
        for (name, value) in [
            ("SWEEP_SECONDS", "121"),
            ("CANCEL_GRACE_SECONDS", "3601"),
            ("SWEEP_SECONDS", "18446744073709551615"),
            ("SWEEP_SECONDS", "-1"),
        ] {
            let error = Config::from_env(|asked| (asked == name).then(|| value.to_owned())).expect_err(value);
            assert_eq!(error.name(), "InvalidConfiguration");
            assert!(error.to_string().contains(name), "{error}");
        }
        let config = Config::from_env(|name| (name == "SWEEP_SECONDS").then(|| "120".to_owned())).expect("valid");
        assert_eq!((config.sweep, config.grace), (Duration::from_secs(120), Duration::from_secs(300)));
    }
}
