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
    /// Hours until a run that was notified is due again; 0: in every execution.
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

/// SNS takes fewer than 100 characters of UTF-8; "Resolved: " comes before it. [API model]
const MAX_SUBJECT_CHARS: usize = 89;
/// The longest title: an SNS message takes 256 KB, and holds the title more than once.
const MAX_TITLE_CHARS: usize = 1_000;
/// How often a title may name the run.
const MOST_KEYS: usize = 3;
/// Ten years: the engines' intervals end somewhere above.
const MOST_REMIND_HOURS: u32 = 87_600;

impl Config {
    /// Reads the variables of the target, `TOPIC_ARN`, and what has a default: `AUDIT_TABLE`,
    /// `AUDIT_KEY_COLUMN`, `AUDIT_TIME_COLUMN`, `NOTIFICATION_SUBJECT`, `NOTIFICATION_TITLE`,
    /// `REMIND_AFTER_HOURS`, `NOTIFY_RESOLVED`, `MAX_NOTIFICATIONS`.
    ///
    /// # Errors
    /// `InvalidConfiguration` naming the variable.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str, default: &str| var(name).unwrap_or_else(|| default.to_owned());
        let wrong = |e: Error| Error::invalid_configuration(format!("environment: {e}"));
        let topic_arn = text("TOPIC_ARN", "");
        if !topic_arn.starts_with("arn:") {
            return Err(Error::invalid_configuration(format!(
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
                title: check_title(text(
                    "NOTIFICATION_TITLE",
                    "Mismatch between S3 staging and Redshift for the run id {key}",
                ))?,
            },
            target: TargetFields::from_env(&var).try_into().map_err(wrong)?,
            remind_after_hours: check_reminder(var_parsed(&var, "REMIND_AFTER_HOURS", "a whole number of hours", 0)?)?,
            notify_resolved: var_parsed(&var, "NOTIFY_RESOLVED", "true or false", false)?,
            max_notifications: var_parsed(&var, "MAX_NOTIFICATIONS", "a whole number", 0)?,
            topic_arn,
        })
    }
}

fn check_subject(subject: String) -> Result<String> {
    let fits = subject.chars().count() <= MAX_SUBJECT_CHARS
        && !subject.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}');
    if fits && !subject.trim().is_empty() {
        return Ok(subject);
    }
    Err(Error::invalid_configuration(format!(
        "environment variable NOTIFICATION_SUBJECT has to be a line without control characters, at most \
         {MAX_SUBJECT_CHARS} characters"
    )))
}

fn check_title(title: String) -> Result<String> {
    if title.chars().count() <= MAX_TITLE_CHARS && title.matches("{key}").count() <= MOST_KEYS {
        return Ok(title);
    }
    Err(Error::invalid_configuration(format!(
        "environment variable NOTIFICATION_TITLE has to have at most {MAX_TITLE_CHARS} characters and {{key}} at most \
         {MOST_KEYS} times"
    )))
}

fn check_reminder(hours: u32) -> Result<u32> {
    if hours <= MOST_REMIND_HOURS {
        return Ok(hours);
    }
    Err(Error::invalid_configuration(format!(
        "environment variable REMIND_AFTER_HOURS is {hours}; it has to be 0 to {MOST_REMIND_HOURS} hours"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<Config> {
        Config::from_env(|asked| match asked {
            _ if asked == name => Some(value.to_owned()),
            "WORKGROUP_NAME" | "DATABASE" => Some("w".to_owned()),
            "TOPIC_ARN" => Some("arn:aws:sns:eu-west-1:123456789012:t".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn what_sns_takes_as_a_subject_is_taken() {
        for subject in ["x", "Abweichung: größer", &"ü".repeat(89), "差异"] {
            assert_eq!(with("NOTIFICATION_SUBJECT", subject).expect(subject).words.subject, subject);
        }
        for subject in ["two\nlines", "a\tb", "a\u{7}", "a\u{85}b", "a\u{2028}b", " ", &"ü".repeat(90)] {
            let error = with("NOTIFICATION_SUBJECT", subject).expect_err(subject);
            assert!(error.name() == "InvalidConfiguration" && error.to_string().contains("NOTIFICATION_SUBJECT"));
        }
    }

    #[test]
    fn what_the_warehouse_or_sns_would_refuse_later_is_refused_at_the_start() {
        assert_eq!(with("REMIND_AFTER_HOURS", "87600").expect("valid").remind_after_hours, 87_600);
        for (name, value) in [
            ("REMIND_AFTER_HOURS", "4294967295"),
            ("REMIND_AFTER_HOURS", "4294967296"),
            ("REMIND_AFTER_HOURS", "-1"),
            ("NOTIFICATION_TITLE", &"x".repeat(1_001)),
            ("NOTIFICATION_TITLE", &"{key}".repeat(4)),
        ] {
            let error = with(name, value).expect_err(value);
            assert!(error.name() == "InvalidConfiguration" && error.to_string().contains(name), "{error}");
        }
    }
}
