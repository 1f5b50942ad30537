//! What may be shown of a text that somebody else wrote.
//!
//! Errors, logs, traces and notifications are made of our own words. What a payload or an answer of AWS holds gets
//! into them only through one of the functions here: each returns the part that is proven to be a name, an id or a
//! code, or nothing. A value is never shown, whatever it looks like.

/// The longest id that is shown: a StatementName of the Data API has up to 2,048 characters. [API model]
const MAX_ID_CHARS: usize = 2048;
/// Redshift's longest word of status has 9 characters, and AWS's longest error code about 50.
const MAX_WORD_CHARS: usize = 64;

/// An id that correlates: an execution's ARN or name, a statement's name, a run's id. Nothing if `text` holds a
/// blank, a quote, a parenthesis or anything else by which a value could be written. Step Functions takes names of
/// executions in every script. [Step Functions developer guide, "Quotas"]
pub fn id(text: &str) -> Option<&str> {
    let allowed = |c: char| c.is_alphanumeric() || "-_.:/+=@!%".contains(c);
    Some(text).filter(|t| !t.is_empty() && t.chars().count() <= MAX_ID_CHARS && t.chars().all(allowed))
}

/// A word of status or state, such as `FINISHED` or `TIMED_OUT`.
pub fn status_word(text: &str) -> Option<&str> {
    let allowed = |c: char| c.is_ascii_uppercase() || c == '_';
    Some(text).filter(|t| !t.is_empty() && t.len() <= MAX_WORD_CHARS && t.chars().all(allowed))
}

/// An error code of AWS, such as `ValidationException`.
pub fn error_code(text: &str) -> Option<&str> {
    let allowed = |c: char| c.is_ascii_alphabetic() || c == '.';
    Some(text).filter(|t| !t.is_empty() && t.len() <= MAX_WORD_CHARS && t.chars().all(allowed))
}

/// The id that AWS gives to a request: hexadecimal digits and dashes.
pub fn request_id(text: &str) -> Option<&str> {
    Some(text).filter(|t| t.len() == 36 && t.chars().all(|c| c == '-' || c.is_ascii_hexdigit()))
}

/// The identifier of a workgroup or a cluster, or a workgroup's ARN.
pub fn endpoint(text: &str) -> Option<&str> {
    let name = text.rsplit_once("workgroup/").filter(|(arn, _)| arn.starts_with("arn:")).map_or(text, |(_, name)| name);
    let is_name = (1..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    id(text).filter(|_| is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_is_shown() {
        type Show = fn(&str) -> Option<&str>;
        let cases: [(&str, Show, &[&str], &[&str]); 5] = [
            (
                "id",
                id,
                &[
                    "arn:aws:states:eu-west-1:123456789012:execution:loader:run-1",
                    "loader/run-1/0/1",
                    "b5c1-2",
                    "läuft",
                ],
                &["", "a b", "it's", "a\"b", "a`b", "a\nb", "p(1)", "a,b", "ü\u{202e}", "a\u{0}"],
            ),
            ("status_word", status_word, &["FINISHED", "TIMED_OUT"], &["", "Finished", "ABORTED 1", "HUNTER2", "A'"]),
            (
                "error_code",
                error_code,
                &["ValidationException", "KMS.Throttling"],
                &["", "hunter2", "a b", "Throttling: x", "a'b", "a/b"],
            ),
            (
                "request_id",
                request_id,
                &["5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b"],
                &["", "hunter2", "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2cxx"],
            ),
            (
                "endpoint",
                endpoint,
                &["loads-1", "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/loads"],
                &["", "Loads", "a b", "it's", "workgroup/x", "arn:aws:x:workgroup/a b", "arn:aws:x 'y':workgroup/a"],
            ),
        ];
        for (name, show, fit, unfit) in cases {
            for text in fit {
                assert_eq!(show(text), Some(*text), "{name}");
            }
            for text in unfit {
                assert_eq!(show(text), None, "{name} of {text:?}");
            }
            assert_eq!(show(&"A".repeat(MAX_ID_CHARS + 1)), None, "{name} of a long text");
        }
    }
}
