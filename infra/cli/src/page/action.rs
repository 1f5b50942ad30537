//! What the page can do on the local stack. Against AWS it can do nothing: there is nobody to do it.

use std::collections::HashMap;
use std::pin::Pin;

use serde_json::Value;

use crate::{Moment, Result};

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Put the event that starts an execution.
    Event,
    /// Set a fault, by its name in [`Local::faults`].
    Fault(String),
    /// Clear the faults that have not struck, and cancel what they keep from ending.
    Mend,
    /// Correct what is wrong with a run of the sample orders.
    Correct,
    /// Start a failed execution again.
    Again(String),
    /// Accept what is wrong with a run.
    Resolve { audit: String, run: String },
    /// Tell nobody of a run for so many days; 0 ends the silence.
    Silence { audit: String, run: String, days: u32 },
}

/// A fault to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub name: String,
    /// What happens, for a person.
    pub text: String,
}

/// A notification, as a person gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub subject: String,
    pub text: String,
    /// What a machine gets; null where the message is text alone.
    pub json: Value,
    /// When it was received, if that is known.
    pub at: Option<Moment>,
}

/// An action on its way; what was done, in words.
pub type Doing<'a> = Pin<Box<dyn Future<Output = Result<String>> + Send + 'a>>;

/// What only a stack on this machine has.
pub trait Local: Send + Sync {
    /// Does something.
    fn act(&self, action: Action) -> Doing<'_>;
    /// The faults that can be set.
    fn faults(&self) -> Vec<Choice>;
    /// What [`Action::Correct`] does, on its button.
    fn correction(&self) -> String;
    /// The faults that are set and have not struck yet.
    fn waiting(&self) -> Vec<String>;
    /// The notifications so far, the oldest first.
    fn inbox(&self) -> Vec<Message>;
}

impl Action {
    /// From the last part of a form's address and its fields.
    pub(super) fn read(name: &str, form: &HashMap<String, String>) -> Option<Self> {
        let field = |name: &str| form.get(name).filter(|value| !value.is_empty()).cloned();
        let run = || Some((field("audit")?, field("run")?));
        Some(match name {
            "event" => Self::Event,
            "fault" => Self::Fault(field("fault")?),
            "mend" => Self::Mend,
            "correct" => Self::Correct,
            "again" => Self::Again(field("execution")?),
            "resolve" => run().map(|(audit, run)| Self::Resolve { audit, run })?,
            "silence" => {
                let days = field("days")?.parse().ok().filter(|days| *days <= 3_650)?;
                run().map(|(audit, run)| Self::Silence { audit, run, days })?
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_whole_or_not() {
        let text = str::to_owned;
        for (name, form, action) in [
            ("event", "", Some(Action::Event)),
            ("fault", "fault=Throttle", Some(Action::Fault(text("Throttle")))),
            ("fault", "", None),
            ("again", "execution=arn%3Aaws", Some(Action::Again(text("arn:aws")))),
            ("resolve", "audit=dev.a&run=4+2", Some(Action::Resolve { audit: text("dev.a"), run: text("4 2") })),
            ("resolve", "run=42", None),
            (
                "silence",
                "audit=dev.a&run=42&days=7",
                Some(Action::Silence { audit: text("dev.a"), run: text("42"), days: 7 }),
            ),
            ("silence", "audit=dev.a&run=42&days=-1", None),
            ("silence", "audit=dev.a&run=42&days=3651", None),
            ("drop", "", None),
        ] {
            let form = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            assert_eq!(Action::read(name, &form), action, "{name}");
        }
    }
}
