//! The function's environment: which tables, which words, when to notify.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::call::QualifiedName;
use shared::runtime::var_parsed;
use shared::{Error, Result, Target, TargetFields};

/// The function's environment.
#[derive(Debug)]
pub struct Config {
    /// The warehouse.
    pub target: Target,
    /// The audit tables, at least one.
    pub audits: Vec<Audited>,
    /// The stack that it belongs to.
    pub stack: Stack,
    /// Where they go.
    pub topic_arn: String,
    /// Where what is about a load goes.
    pub load_topic_arn: String,
    /// Hours until a run that was notified is due again; 0: in every execution.
    pub remind_after_hours: u32,
    /// Whether a run that has become clean is worth a message.
    pub notify_resolved: bool,
    /// Above so many runs one digest takes the place of single messages; 0: never.
    pub max_notifications: usize,
}

/// What every notification names of its stack.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// Its name; nothing on a laptop.
    pub name: Option<String>,
    /// The page of its dashboard.
    pub dashboard: Option<String>,
    /// The topic that a chat is subscribed to.
    pub chat_topic_arn: Option<String>,
}

impl Stack {
    /// Whether a chat is told.
    pub fn has_chat(&self) -> bool {
        self.chat_topic_arn.is_some()
    }
}

/// An audit that is told of.
#[derive(Debug, Clone)]
pub struct Audited {
    /// Its table.
    pub audit: Audit,
    /// The words of its messages.
    pub words: Words,
    /// What it is called: schema and table without quotes and `_audit`.
    pub name: String,
    /// Whether it has to be told from others.
    pub is_one_of_several: bool,
}

impl Audited {
    /// Its name, where it has to be told from others.
    pub fn label(&self) -> Option<&str> {
        self.is_one_of_several.then_some(&self.name)
    }
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
    /// Reads the variables of the target, `TOPIC_ARN`, and what has a default: `STACK_NAME`, `DASHBOARD_URL` and `CHAT_TOPIC_ARN` (none),
    /// `LOAD_TOPIC_ARN` (`TOPIC_ARN`), `AUDIT_TABLES` (`schema.table`, or with its columns
    /// `schema.table:run:time`, separated by commas), `AUDIT_KEY_COLUMN` and `AUDIT_TIME_COLUMN` (of the tables without columns),
    /// `NOTIFICATION_SUBJECT`, `NOTIFICATION_TITLE`, `NOTIFICATION_WORDS` (JSON, a `subject` and a `title` by table),
    /// `REMIND_AFTER_HOURS`, `NOTIFY_RESOLVED`, `MAX_NOTIFICATIONS`.
    ///
    /// # Errors
    /// `InvalidConfiguration` naming the variable.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str, default: &str| var(name).unwrap_or_else(|| default.to_owned());
        let wrong = |e: Error| Error::invalid_configuration(format!("environment: {e}"));
        let given = |name: &str| var(name).filter(|value| !value.is_empty());
        let topic = |name: &str, arn: String| {
            if arn.starts_with("arn:") {
                return Ok(arn);
            }
            Err(Error::invalid_configuration(format!(
                "environment variable {name} is {arn:?}; it has to be the ARN of an SNS topic"
            )))
        };
        let topic_arn = topic("TOPIC_ARN", text("TOPIC_ARN", ""))?;
        let load_topic_arn = topic("LOAD_TOPIC_ARN", given("LOAD_TOPIC_ARN").unwrap_or_else(|| topic_arn.clone()))?;
        let chat_topic_arn = given("CHAT_TOPIC_ARN").map(|arn| topic("CHAT_TOPIC_ARN", arn)).transpose()?;
        let column = |name: &str, column: String| {
            // A column is checked as the second part of a qualified name.
            QualifiedName::parse(&format!("t.{column}"), name).map_err(wrong)?;
            Ok(column)
        };
        let key = column("AUDIT_KEY_COLUMN", text("AUDIT_KEY_COLUMN", "run_id"))?;
        let time = column("AUDIT_TIME_COLUMN", text("AUDIT_TIME_COLUMN", "order_ts"))?;
        let audit = |entry: &str| {
            let mut parts = QualifiedName::split(entry.trim(), ':');
            let table = QualifiedName::parse(parts.next().unwrap_or_default(), "AUDIT_TABLES").map_err(wrong)?;
            let own = |part: Option<&str>, default: &String| match part {
                Some(own) => column("AUDIT_TABLES", own.to_owned()),
                None => Ok(default.clone()),
            };
            let audit = Audit { table, key: own(parts.next(), &key)?, time: own(parts.next(), &time)? };
            match parts.next() {
                None => Ok(audit),
                Some(_) => Err(Error::invalid_configuration(format!(
                    "environment variable AUDIT_TABLES: {} is followed by more than two columns; schema.table:run:time is expected",
                    audit.table
                ))),
            }
        };
        let tables = text("AUDIT_TABLES", "dev.orders_audit");
        let audits = QualifiedName::split(&tables, ',').map(audit).collect::<Result<Vec<_>>>()?;
        let words = Words {
            subject: check_subject(
                "NOTIFICATION_SUBJECT",
                text("NOTIFICATION_SUBJECT", "S3 Staging vs Redshift mismatch"),
            )?,
            title: check_title(
                "NOTIFICATION_TITLE",
                text("NOTIFICATION_TITLE", "Mismatch between S3 staging and Redshift for the run id {key}"),
            )?,
        };
        let (name, dashboard) = (given("STACK_NAME"), given("DASHBOARD_URL"));
        Ok(Self {
            stack: Stack { name, dashboard, chat_topic_arn },
            load_topic_arn,
            audits: labelled(audits, &words, &own_words(&text("NOTIFICATION_WORDS", "{}"))?)?,
            target: TargetFields::from_env(&var).try_into().map_err(wrong)?,
            remind_after_hours: check_reminder(var_parsed(&var, "REMIND_AFTER_HOURS", "a whole number of hours", 0)?)?,
            notify_resolved: var_parsed(&var, "NOTIFY_RESOLVED", "true or false", false)?,
            max_notifications: var_parsed(&var, "MAX_NOTIFICATIONS", "a whole number", 0)?,
            topic_arn,
        })
    }
}

/// The words of one table, in place of those of all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnWords {
    subject: Option<String>,
    title: Option<String>,
}

fn own_words(json: &str) -> Result<BTreeMap<String, OwnWords>> {
    serde_json::from_str(json).map_err(|e| {
        // Its text may quote a value; the place is enough.
        let place = format!("line {}, column {}", e.line(), e.column());
        Error::invalid_configuration(format!(
            "environment variable NOTIFICATION_WORDS is no JSON of the form {{\"schema.table\": {{\"subject\": ..., \"title\": ...}}}} ({place})"
        ))
    })
}

fn labelled(audits: Vec<Audit>, words: &Words, own: &BTreeMap<String, OwnWords>) -> Result<Vec<Audited>> {
    let wrong = |text: String| Error::invalid_configuration(format!("environment variable {text}"));
    for (n, audit) in audits.iter().enumerate() {
        if audits[..n].iter().any(|other| other.table.same_as(&audit.table)) {
            return Err(wrong(format!("AUDIT_TABLES names {} twice", audit.table)));
        }
    }
    let is_of = |name: &str, audit: &Audit| QualifiedName::shown(name).is_some_and(|name| name.same_as(&audit.table));
    if let Some(unknown) = own.keys().find(|name| !audits.iter().any(|audit| is_of(name, audit))) {
        let name = QualifiedName::shown(unknown).map_or_else(|| "a name".to_owned(), |name| name.to_string());
        return Err(wrong(format!("NOTIFICATION_WORDS has {name}, which is none of AUDIT_TABLES")));
    }
    let labels: Vec<_> = audits.iter().map(|audit| label(&audit.table)).collect();
    if let Some(twice) = labels.iter().enumerate().find(|(n, label)| labels[..*n].contains(label)).map(|(n, _)| n) {
        return Err(wrong(format!("AUDIT_TABLES has two tables that would be known as {}: rename one", labels[twice])));
    }
    let is_one_of_several = audits.len() > 1;
    let with_words = |(audit, name): (Audit, String)| {
        let before = |text: &str| if is_one_of_several { format!("{name}: {text}") } else { text.to_owned() };
        let fallback = OwnWords::default();
        let own = own.iter().find(|(name, _)| is_of(name, &audit)).map_or(&fallback, |(_, own)| own);
        let subject = match &own.subject {
            Some(subject) => check_subject("NOTIFICATION_WORDS", subject.clone())?,
            None => before(&words.subject).chars().take(MAX_SUBJECT_CHARS).collect(),
        };
        let title = match &own.title {
            Some(title) => check_title("NOTIFICATION_WORDS", title.clone())?,
            None => before(&words.title),
        };
        Ok(Audited { audit, words: Words { subject, title }, name, is_one_of_several })
    };
    audits.into_iter().zip(labels).map(with_words).collect()
}

/// `dev.payments` of `dev.payments_audit`: it does not depend on which other tables there are, because people filter by it.
fn label(table: &QualifiedName) -> String {
    let name = table.to_string().replace('"', "");
    name.strip_suffix("_audit").map_or_else(|| name.clone(), str::to_owned)
}

fn check_subject(variable: &str, subject: String) -> Result<String> {
    let fits = subject.chars().count() <= MAX_SUBJECT_CHARS
        && !subject.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}');
    if fits && !subject.trim().is_empty() {
        return Ok(subject);
    }
    Err(Error::invalid_configuration(format!(
        "environment variable {variable}: a subject has to be a line without control characters, at most \
         {MAX_SUBJECT_CHARS} characters"
    )))
}

fn check_title(variable: &str, title: String) -> Result<String> {
    if title.chars().count() <= MAX_TITLE_CHARS && title.matches("{key}").count() <= MOST_KEYS {
        return Ok(title);
    }
    Err(Error::invalid_configuration(format!(
        "environment variable {variable}: a title has to have at most {MAX_TITLE_CHARS} characters and {{key}} at most \
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
            assert_eq!(with("NOTIFICATION_SUBJECT", subject).expect(subject).audits[0].words.subject, subject);
        }
        for subject in ["two\nlines", "a\tb", "a\u{7}", "a\u{85}b", "a\u{2028}b", " ", &"ü".repeat(90)] {
            let error = with("NOTIFICATION_SUBJECT", subject).expect_err(subject);
            assert!(error.name() == "InvalidConfiguration" && error.to_string().contains("NOTIFICATION_SUBJECT"));
        }
    }

    #[test]
    fn several_tables_have_labels_columns_and_words_of_their_own() {
        let config = Config::from_env(|asked| match asked {
            "AUDIT_TABLES" => {
                Some("dev.orders_audit, shop.\"Pay,ments_audit\":\"Run: it\":paid_at,b.orders_audit:r".to_owned())
            }
            "NOTIFICATION_WORDS" => Some(r#"{"B.orders_audit": {"subject": "B is wrong"}}"#.to_owned()),
            "WORKGROUP_NAME" | "DATABASE" => Some("w".to_owned()),
            "TOPIC_ARN" => Some("arn:aws:sns:eu-west-1:123456789012:t".to_owned()),
            _ => None,
        });
        let audits = config.expect("valid").audits;
        let all: Vec<_> = audits
            .iter()
            .map(|a| (a.label().unwrap_or_default(), &*a.audit.key, &*a.audit.time, &*a.words.subject))
            .collect();
        assert_eq!(
            all,
            [
                ("dev.orders", "run_id", "order_ts", "dev.orders: S3 Staging vs Redshift mismatch"),
                ("shop.Pay,ments", "\"Run: it\"", "paid_at", "shop.Pay,ments: S3 Staging vs Redshift mismatch"),
                ("b.orders", "r", "order_ts", "B is wrong"),
            ]
        );
        assert!(audits[1].words.title.starts_with("shop.Pay,ments: Mismatch between"));
        let alone = with("AUDIT_TABLES", "dev.orders_audit").expect("valid").audits;
        assert!(alone[0].label().is_none() && alone[0].words.subject == "S3 Staging vs Redshift mismatch");
        for (name, value, says) in [
            ("AUDIT_TABLES", "dev.a,dev.A", "names dev.A twice"),
            ("AUDIT_TABLES", "dev.a,dev.a_audit", "two tables that would be known as dev.a"),
            ("AUDIT_TABLES", "dev.a:b:c:d", "more than two columns"),
            ("AUDIT_TABLES", "dev.a:b c", "AUDIT_TABLES"),
            ("AUDIT_TABLES", "dev.a,", "AUDIT_TABLES"),
            ("NOTIFICATION_WORDS", "{\"dev.orders_audit\": {\"subjet\": \"x\"}}", "no JSON of the form"),
            ("NOTIFICATION_WORDS", "{\"dev.other\": {}}", "dev.other, which is none of AUDIT_TABLES"),
            ("NOTIFICATION_WORDS", "{\"dev.orders_audit\": {\"subject\": \"\"}}", "a subject has to be a line"),
        ] {
            let error = with(name, value).expect_err(value);
            assert!(error.name() == "InvalidConfiguration" && error.to_string().contains(says), "{value}: {error}");
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
