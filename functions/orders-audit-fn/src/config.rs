//! The function's environment: which table, which words, when to notify.

use shared::call::QualifiedName;
use shared::runtime::var_parsed;
use shared::{Error, Result, Target, TargetFields};

/// The function's environment.
#[derive(Debug)]
pub struct Config {
    /// The warehouse.
    pub target: Target,
    /// The audit table.
    pub audit: Audit,
    /// The words of the messages.
    pub words: Words,
    /// Where they go.
    pub topic_arn: String,
    /// After how many hours a run that was notified is repeated; 0: in every execution.
    pub remind_after_hours: u32,
    /// Whether a run that has become clean is worth a message.
    pub notify_resolved: bool,
    /// Above so many runs one digest takes the place of single messages; 0: never.
    pub max_notifications: usize,
}

/// The audit table and the columns that tell its runs apart.
#[derive(Debug, Clone)]
pub struct Audit {
    /// `schema.table`.
    pub table: QualifiedName,
    /// The column that a notification is about.
    pub key: String,
    /// The column whose span a notification names.
    pub time: String,
}

/// The words that differ from audit to audit.
#[derive(Debug, Clone)]
pub struct Words {
    /// The subject.
    pub subject: String,
    /// The first line; `{key}` becomes the run's id.
    pub title: String,
}

/// SNS takes fewer than 100 characters; "Resolved: " comes before it. [API model]
const MAX_SUBJECT_CHARS: usize = 89;

impl Config {
    /// Reads the variables of the target, `TOPIC_ARN`, and what has a default: `AUDIT_TABLE`,
    /// `AUDIT_KEY_COLUMN`, `AUDIT_TIME_COLUMN`, `NOTIFICATION_SUBJECT`, `NOTIFICATION_TITLE`,
    /// `REMIND_AFTER_HOURS`, `NOTIFY_RESOLVED`, `MAX_NOTIFICATIONS`.
    ///
    /// # Errors
    /// `InvalidConfiguration` naming the variable.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str, default: &str| var(name).unwrap_or_else(|| default.to_owned());
        let wrong = |e: Error| Error::InvalidConfiguration(format!("environment: {e}"));
        let topic_arn = text("TOPIC_ARN", "");
        if !topic_arn.starts_with("arn:") {
            return Err(Error::InvalidConfiguration(format!(
                "environment variable TOPIC_ARN is {topic_arn:?}; it has to be the ARN of an SNS topic"
            )));
        }
        let column = |name: &str, default: &str| {
            let column = text(name, default);
            // A column is checked as the second part of a qualified name.
            QualifiedName::parse(&format!("t.{column}"), name).map_err(wrong)?;
            Ok(column)
        };
        Ok(Self {
            audit: Audit {
                table: QualifiedName::parse(&text("AUDIT_TABLE", "dev.orders_audit"), "AUDIT_TABLE").map_err(wrong)?,
                key: column("AUDIT_KEY_COLUMN", "run_id")?,
                time: column("AUDIT_TIME_COLUMN", "order_ts")?,
            },
            words: Words {
                subject: check_subject(text("NOTIFICATION_SUBJECT", "S3 Staging vs Redshift mismatch"))?,
                title: text("NOTIFICATION_TITLE", "Mismatch between S3 staging and Redshift for the run id {key}"),
            },
            target: TargetFields::from_env(&var).try_into().map_err(wrong)?,
            remind_after_hours: var_parsed(&var, "REMIND_AFTER_HOURS", "a whole number of hours", 0)?,
            notify_resolved: var_parsed(&var, "NOTIFY_RESOLVED", "true or false", false)?,
            max_notifications: var_parsed(&var, "MAX_NOTIFICATIONS", "a whole number", 0)?,
            topic_arn,
        })
    }
}

fn check_subject(subject: String) -> Result<String> {
    if subject.is_ascii() && subject.len() <= MAX_SUBJECT_CHARS && !subject.contains(['\n', '\r']) {
        return Ok(subject);
    }
    Err(Error::InvalidConfiguration(format!(
        "environment variable NOTIFICATION_SUBJECT has to be ASCII without line breaks, at most {MAX_SUBJECT_CHARS} characters"
    )))
}
