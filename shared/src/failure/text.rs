//! Patterns of engine texts, and the matcher that holds a whole message against them.

/// A piece of a pattern: literal text, or a hole that only a value of its type fills. A hole takes as much as
/// its type allows.
#[derive(Debug)]
pub(super) enum Part {
    /// Exactly this text.
    Lit(&'static str),
    /// Exactly one of these texts.
    OneOf(&'static [&'static str]),
    /// These parts or nothing.
    Opt(&'static [Part]),
    /// A number: `115561`.
    Digits,
    /// Numbers in a list: `9847, 9848`.
    Numbers,
    /// An identifier in double quotes that holds none itself: `"t_pkey"`.
    Quoted,
    /// An identifier as the engine prints it, qualified or not, a function's with its argument types:
    /// `dev.p(integer, character varying)`, `"Orders"`.
    Name,
    /// A host and its port: `wg.123.eu-west-1.redshift-serverless.amazonaws.com:5439`, `[::1]:5432`.
    HostPort,
    /// A file's address, which holds no white space.
    Url,
    /// The rule of dashes that frames the block of a compute node.
    Dashes,
    /// The block that a compute node or Spectrum sends as detail: an error, its code, and a context that begins so.
    Block { error: &'static Part, context: &'static [Part] },
    /// Whatever follows. Only where the engine's own form ends in free text, and what precedes it decides.
    Rest,
}

/// Whether `text` fills `parts` from its beginning to its end.
pub(super) fn is_match(parts: &[Part], text: &str) -> bool {
    remainders(parts, text).iter().any(|rest| rest.is_empty())
}

/// What can be left of `text` behind `parts`; empty if they do not match.
fn remainders<'t>(parts: &[Part], text: &'t str) -> Vec<&'t str> {
    parts.iter().fold(vec![text], |texts, part| texts.into_iter().flat_map(|text| part.after(text)).collect())
}

impl Part {
    fn after<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let end = match self {
            Self::Lit(literal) => return text.strip_prefix(literal).into_iter().collect(),
            Self::OneOf(literals) => return literals.iter().filter_map(|l| text.strip_prefix(l)).collect(),
            Self::Block { error, context } => {
                let code = [Self::Lit(" code: "), Self::Digits, Self::Lit(" context: ")];
                let errors = remainders(&[Self::Opt(&[Self::Dashes, Self::Lit(" ")]), Self::Lit("error: ")], text);
                let codes =
                    errors.into_iter().flat_map(|text| error.after(text)).flat_map(|text| remainders(&code, text));
                return codes.flat_map(|text| remainders(context, text)).map(|text| &text[text.len()..]).collect();
            }
            Self::Opt(parts) => return remainders(parts, text).into_iter().chain([text]).collect(),
            Self::Digits => span(text, |c| c.is_ascii_digit()),
            Self::Numbers => numbers(text),
            Self::Quoted => quoted(text),
            Self::Name => name(text),
            Self::HostPort => host_port(text),
            Self::Url => span(text, |c| !c.is_whitespace()),
            Self::Dashes => span(text, |c| c == '-'),
            Self::Rest => Some(text.len()),
        };
        end.map(|end| &text[end..]).into_iter().collect()
    }
}

/// The length of what `accepts` takes at the beginning; None for nothing.
fn span(text: &str, accepts: impl Fn(char) -> bool) -> Option<usize> {
    let end = text.find(|c| !accepts(c)).unwrap_or(text.len());
    (end > 0).then_some(end)
}

fn numbers(text: &str) -> Option<usize> {
    let mut end = span(text, |c| c.is_ascii_digit())?;
    while let Some(more) = text[end..].strip_prefix(", ").and_then(|rest| span(rest, |c| c.is_ascii_digit())) {
        end += 2 + more;
    }
    Some(end)
}

fn quoted(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('"')?;
    let end = span(inside, |c| c != '"' && c != '\n')?;
    inside[end..].starts_with('"').then_some(end + 2)
}

fn name(text: &str) -> Option<usize> {
    let word = |text: &str| quoted(text).or_else(|| span(text, |c| c.is_alphanumeric() || "_$-".contains(c)));
    let mut end = word(text)?;
    while let Some(more) = text[end..].strip_prefix('.').and_then(word) {
        end += 1 + more;
    }
    if let Some(types) = text[end..].strip_prefix('(') {
        let inside = types.find(|c: char| !(c.is_alphanumeric() || "_$-\"., []".contains(c))).unwrap_or(types.len());
        end += types[inside..].starts_with(')').then_some(inside + 2)?;
    }
    Some(end)
}

fn host_port(text: &str) -> Option<usize> {
    let host = match text.strip_prefix('[') {
        Some(address) => {
            let end = span(address, |c| c.is_ascii_hexdigit() || c == ':' || c == '.')?;
            address[end..].starts_with(']').then_some(end + 2)?
        }
        None => span(text, |c| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_')?,
    };
    let port = span(text[host..].strip_prefix(':')?, |c| c.is_ascii_digit())?;
    Some(host + 1 + port)
}

/// An engine's text, taken apart.
#[derive(Debug)]
pub(super) struct Message<'t> {
    /// The first line, without severity.
    line: &'t str,
    /// The further lines.
    rest: &'t str,
    /// What stood before it: `ERROR:` and so on. Clients put none before their own messages.
    severity: Option<&'static str>,
}

/// What PostgreSQL, its clients and the Data API put before the text.
const SEVERITIES: &[&str] = &["ERROR:", "FATAL:", "PANIC:", "WARNING:"];

/// What the clients put before the fields that follow a message, pgjdbc's and the Data API's first, then libpq's.
const LABELS: &[&str] = &[
    "Detail:",
    "Hint:",
    "Where:",
    "Position:",
    "Location:",
    "Internal Query:",
    "Internal Position:",
    "DETAIL:",
    "HINT:",
    "CONTEXT:",
    "LOCATION:",
    "LINE ",
    "QUERY:",
];

/// The labels that may follow on the message's own line, where a client joins the lines.
const INLINE: &[&str] = &[" Detail:", " Hint:", " Where:", " DETAIL:", " HINT:", " CONTEXT:"];

/// How the engine's own context begins where a client joins the lines: a procedure's message ends before it.
const CONTEXTS: &[&str] = &[
    " Where: SQL statement \"",
    " Where: PL/pgSQL function ",
    " CONTEXT: SQL statement \"",
    " CONTEXT: PL/pgSQL function ",
    " CONTEXT:  SQL statement \"",
    " CONTEXT:  PL/pgSQL function ",
];

/// What libpq adds on lines of its own when the server hangs up.
const HANGS_UP: &[&str] = &[
    "server closed the connection unexpectedly",
    "This probably means the server terminated abnormally",
    "SSL connection has been closed unexpectedly",
];

impl<'t> Message<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let text = without_error_id(text.trim());
        let text = without_batch(text);
        let severity = SEVERITIES.iter().find(|severity| text.starts_with(**severity)).copied();
        let text = severity.map_or(text, |severity| text[severity.len()..].trim_start_matches(' '));
        let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
        Self { line: line.trim_end(), rest, severity }
    }

    /// Whether it came as an `ERROR:`, as everything does that a procedure raises.
    pub(super) fn is_error(&self) -> bool {
        self.severity == Some("ERROR:")
    }

    /// The primary message, if what follows it is what clients append. A second line of another kind belongs
    /// to the message itself, which is then none of the engine's.
    pub(super) fn primary(&self) -> Option<&'t str> {
        let next = self.rest.trim_start();
        let line = CONTEXTS
            .iter()
            .filter_map(|context| self.line.find(context))
            .min()
            .map_or(self.line, |at| &self.line[..at]);
        (next.is_empty() || LABELS.iter().chain(HANGS_UP).any(|known| next.starts_with(known))).then_some(line)
    }

    /// The primary message, cut before the first label on its own line.
    pub(super) fn cut(&self) -> &'t str {
        let end = INLINE.iter().filter_map(|label| self.line.find(label)).min().unwrap_or(self.line.len());
        self.line[..end].trim_end()
    }

    /// The primary message and its detail, with each run of white space as one blank: clients wrap and indent
    /// details as they like.
    pub(super) fn with_detail(&self) -> Option<(&'t str, String)> {
        let labels = ["Detail:", "DETAIL:"];
        let below = labels.iter().find_map(|label| self.rest.trim_start().strip_prefix(label));
        let (primary, lines) = match below {
            Some(detail) => (self.line, vec![detail]),
            None => {
                let inline = labels.iter().find_map(|label| {
                    let (primary, detail) = self.line.split_once(label)?;
                    let end = CONTEXTS.iter().filter_map(|context| detail.find(context)).min();
                    let detail = &detail[..end.unwrap_or(detail.len())];
                    primary.ends_with(' ').then(|| (primary.trim_end(), detail))
                });
                let (primary, detail) = inline?;
                (primary, vec![detail, self.rest])
            }
        };
        let words: Vec<_> = lines
            .into_iter()
            .flat_map(str::lines)
            .take_while(|line| !LABELS.iter().any(|label| line.trim_start().starts_with(label)))
            .flat_map(str::split_whitespace)
            .collect();
        Some((primary, words.join(" ")))
    }
}

/// Without the Data API's mark at the end: `[ErrorId: 1-68f7ff75-672e60d16356d0f719974665]`.
fn without_error_id(text: &str) -> &str {
    let hex = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_hexdigit());
    match text.rsplit_once("[ErrorId: ") {
        Some((before, id)) if id.strip_suffix(']').is_some_and(|id| id.split('-').all(hex)) => before.trim_end(),
        _ => text,
    }
}

/// Without what the Data API puts before the text of a batch: `Query #2 failed with `.
fn without_batch(text: &str) -> &str {
    let parts = [Part::Lit("Query #"), Part::Digits, Part::Lit(" failed with ")];
    remainders(&parts, text).first().copied().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_takes_only_its_type() {
        for (part, fills, others) in [
            (Part::Digits, &["7", "115561"][..], &["", "x", "7x", "-7", "7 ", "٣"][..]),
            (Part::Numbers, &["9847", "9847, 9848"], &["", "9847,9848", "9847, ", "9847, x"]),
            (Part::Quoted, &["\"t\"", "\"my table\"", "\"Ärger\""], &["", "t", "\"\"", "\"a\"b\"", "\"a", "\"a\nb\""]),
            (
                Part::Name,
                &["t", "dev.t", "\"a b\".t", "p()", "dev.p(integer, character varying)", "f(text[])", "größe"],
                &["", "a b", "t: x", "p(", "p('x')", ".t", "t.", "p() x", "p(a)(b)"],
            ),
            (Part::HostPort, &["localhost:5432", "a-b.c_d:1", "[::1]:5432"], &["", "host", ":5432", "a b:1", "h:x"]),
            (Part::Url, &["https://s3.eu-west-1.amazonaws.com/b/k"], &["", "a b"]),
            (Part::Dashes, &["-----"], &["", "- -"]),
            (Part::Rest, &["", "what follows"], &[]),
            (Part::OneOf(&["a", "ab"]), &["a", "ab"], &["", "abc"]),
        ] {
            let part = std::slice::from_ref(&part);
            for text in fills {
                assert!(is_match(part, text), "{part:?} {text}");
            }
            for text in others {
                assert!(!is_match(part, text), "{part:?} {text}");
            }
        }
    }

    #[test]
    fn a_message_comes_apart() {
        for (text, primary, cut, detail) in [
            ("", Some(""), "", None),
            ("FATAL:  x", Some("x"), "x", None),
            ("ERROR: ERROR: x", Some("ERROR: x"), "ERROR: x", None),
            ("Query #2 failed with ERROR: x", Some("x"), "x", None),
            ("ERROR: x [ErrorId: 1-68f7ff75-672e60d16356d0f719974665]", Some("x"), "x", None),
            ("ERROR: x [ErrorId: y]", Some("x [ErrorId: y]"), "x [ErrorId: y]", None),
            ("ERROR: x\r\n  Detail: a\n\n  b\n  Where: c", Some("x"), "x", Some(("x", "a b"))),
            ("ERROR: x Detail: a \n b", None, "x", Some(("x", "a b"))),
            ("ERROR: x\nDETAIL:  a", Some("x"), "x", Some(("x", "a"))),
            ("ERROR: x\ny", None, "x", None),
            ("ERROR: x Hint: y", Some("x Hint: y"), "x", None),
        ] {
            let message = Message::new(text);
            assert_eq!((message.primary(), message.cut()), (primary, cut), "{text}");
            let found = message.with_detail();
            assert_eq!(found.as_ref().map(|(primary, detail)| (*primary, detail.as_str())), detail, "{text}");
        }
    }
}
