//! How a check came out, and what to do about it.

use std::fmt;

use console::Style;
use serde::Serialize;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Could not be checked, or may be intended.
    Warning,
    /// Wrong: the program ends with a failure.
    Failure,
}

/// One check and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub verdict: Verdict,
    pub text: String,
    /// What to do about it; empty if there is nothing to do.
    pub fix: String,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warn",
            Self::Failure => "FAIL",
        }
    }
}

impl Finding {
    /// As it is printed, with a coloured verdict if standard output is a terminal and NO_COLOR is not set.
    pub fn coloured(&self) -> String {
        let style = match self.verdict {
            Verdict::Ok => Style::new().green(),
            Verdict::Warning => Style::new().yellow(),
            Verdict::Failure => Style::new().red().bold(),
        };
        let word = self.verdict.word();
        self.to_string().replacen(word, &style.apply_to(word).to_string(), 1)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5} {:<15} {}", self.verdict.word(), self.check, self.text)?;
        for line in self.fix.lines() {
            write!(f, "\n      {line}")?;
        }
        Ok(())
    }
}

pub(crate) fn ok(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Ok, text: text.into(), fix: String::new() }
}

pub(crate) fn warning(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Warning, text: text.into(), fix: fix.into() }
}

pub(crate) fn failure(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Failure, text: text.into(), fix: fix.into() }
}
