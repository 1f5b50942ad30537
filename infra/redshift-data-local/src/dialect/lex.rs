//! SQL as the words of it, each with the blanks before it, so that what is not translated stays as it was written.

use super::Refused;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word that is not quoted: a keyword, a name, `#name`.
    Word,
    /// `"name"`
    Name,
    /// `'text'`, in which a backslash escapes what follows.
    Text,
    /// `E'text'`, `B'..'` and the like
    Marked,
    /// `$$ body $$`
    Dollar,
    Number,
    /// `$1`
    Place,
    /// Anything else, a character at a time, except `::`.
    Symbol,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    /// The blanks and comments before it.
    pub(super) lead: &'a str,
    pub(super) text: &'a str,
    pub(super) kind: Kind,
}

impl Token<'_> {
    pub(super) fn is(&self, word: &str) -> bool {
        match self.kind {
            Kind::Word | Kind::Symbol => self.text.eq_ignore_ascii_case(word),
            _ => false,
        }
    }

    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(super) fn lower(&self) -> String {
        self.text.to_lowercase()
    }

    /// The name that it is: of a word its small letters, of a quoted name what is in the quotes.
    pub(super) fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.lower()),
            Kind::Name => Some(self.text[1..self.text.len() - 1].replace("\"\"", "\"")),
            _ => None,
        }
    }

    /// What a literal stands for.
    pub(super) fn literal(&self) -> Option<String> {
        if self.kind != Kind::Text {
            return None;
        }
        let mut text = String::new();
        let mut rest = self.text[1..self.text.len() - 1].chars();
        while let Some(c) = rest.next() {
            match c {
                '\'' => text.extend(rest.next()),
                '\\' => text.extend(rest.next().map(|c| match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    other => other,
                })),
                other => text.push(other),
            }
        }
        Some(text)
    }
}

/// The words of some SQL, and the blanks after the last.
#[derive(Debug)]
pub(super) struct Lexed<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    pub(super) end: &'a str,
}

/// PostgreSQL cuts what is longer. Redshift takes 127. [PostgreSQL documentation, "Identifiers and Key Words"]
const MAX_NAME_BYTES: usize = 63;

/// # Errors
/// A quote or comment that does not end, a name that is too long.
pub(super) fn lex(sql: &str) -> Result<Lexed<'_>, Refused> {
    let mut tokens = Vec::new();
    let (mut lead, mut at) = (0, 0);
    while at < sql.len() {
        let rest = &sql[at..];
        let open = |what: &str| {
            let line = sql[..at].matches('\n').count() + 1;
            Refused::unreadable(format!("unterminated {what} that begins in line {line}"))
        };
        if let Some(blank) = rest.find(|c: char| !c.is_whitespace()).or(Some(rest.len())).filter(|n| *n > 0) {
            at += blank;
            continue;
        }
        if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        if rest.starts_with("/*") {
            at += comment(rest).ok_or_else(|| open("comment"))?;
            continue;
        }
        let (kind, length) = match rest.as_bytes()[0] {
            b'\'' => (Kind::Text, quoted(rest, true).ok_or_else(|| open("quoted string"))?),
            b'"' => (Kind::Name, quoted(rest, false).ok_or_else(|| open("quoted identifier"))?),
            first @ (b'e' | b'E' | b'b' | b'B' | b'x' | b'X' | b'n' | b'N')
                if rest.as_bytes().get(1) == Some(&b'\'') =>
            {
                let escapes = first.eq_ignore_ascii_case(&b'e');
                (Kind::Marked, 1 + quoted(&rest[1..], escapes).ok_or_else(|| open("quoted string"))?)
            }
            b'$' => dollar(rest).ok_or_else(|| open("dollar-quoted string"))?,
            b'0'..=b'9' => (Kind::Number, number(rest)),
            b':' if rest.starts_with("::") => (Kind::Symbol, 2),
            b'#' if rest[1..].starts_with(|c: char| c.is_alphabetic() || c == '_') && !follows_value(&tokens) => {
                (Kind::Word, 1 + word(&rest[1..]))
            }
            _ if rest.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == GAP) => (Kind::Word, word(rest)),
            _ => (Kind::Symbol, rest.chars().next().map_or(1, char::len_utf8)),
        };
        let token = Token { lead: &sql[lead..at], text: &sql[at..at + length], kind };
        if length > MAX_NAME_BYTES && token.name().is_some_and(|name| name.len() > MAX_NAME_BYTES) {
            return Err(Refused::lacking(
                format!("names of more than {MAX_NAME_BYTES} bytes"),
                "PostgreSQL takes two that begin alike for one; use a shorter one",
            ));
        }
        tokens.push(token);
        at += length;
        lead = at;
    }
    Ok(Lexed { tokens, end: &sql[lead..] })
}

/// Stands for what is not known of an EXECUTE's text; no SQL that a person writes holds it.
pub(super) const GAP: char = '\u{1}';

/// Whether `#` comes after a value: it is the operator of bits then.
fn follows_value(tokens: &[Token<'_>]) -> bool {
    const BEFORE_A_TABLE: [&str; 10] =
        ["copy", "from", "join", "into", "table", "update", "exists", "on", "using", ","];
    tokens.last().is_none_or(|last| !last.is_any(&BEFORE_A_TABLE))
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$' || c == GAP)).unwrap_or(rest.len())
}

fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let exponent = matches!(bytes[at], b'e' | b'E')
            && (bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
                || (matches!(bytes.get(at + 1), Some(b'+' | b'-'))
                    && bytes.get(at + 2).is_some_and(u8::is_ascii_digit)));
        // 1..9 are two numbers and a range.
        let point = bytes[at] == b'.' && bytes.get(at + 1) != Some(&b'.');
        if exponent {
            at += 2;
        } else if bytes[at].is_ascii_digit() || point {
            at += 1;
        } else {
            break;
        }
    }
    at
}

/// The length of a string or name that begins here.
fn quoted(rest: &str, escapes: bool) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'\\' if escapes => at += 2,
            byte if *byte == bytes[0] && bytes.get(at + 1) == Some(&bytes[0]) => at += 2,
            byte if *byte == bytes[0] => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn dollar(rest: &str) -> Option<(Kind, usize)> {
    let tag = 1 + rest[1..].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len() - 1);
    if rest[1..tag].starts_with(|c: char| c.is_ascii_digit()) {
        return Some((Kind::Place, tag));
    }
    if !rest[tag..].starts_with('$') {
        return Some((Kind::Symbol, 1));
    }
    let opening = &rest[..=tag];
    let end = rest[tag + 1..].find(opening)?;
    Some((Kind::Dollar, tag + 1 + end + opening.len()))
}

fn comment(rest: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_u32, 0);
    loop {
        let here = rest.get(at..).filter(|here| !here.is_empty())?;
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_the_words() {
        for sql in [
            "SELECT 'é', \"a\"\"b\", E'it\\'s', $x$ $$ ; $x$ -- end; '\n, $1::int /* a /* b */ ; */ ;\n",
            "SELECT 1.5e-3, 1..9, a#b FROM #tmp, 'it''s \\' ;' ",
            "",
            " -- nothing",
        ] {
            let lexed = lex(sql).expect(sql);
            let again: String = lexed.tokens.iter().flat_map(|t| [t.lead, t.text]).collect();
            assert_eq!(again + lexed.end, sql);
        }
        let kinds: Vec<_> =
            lex("a 'b' \"c\" $$d$$ 1.5 $2 :: #e").expect("words").tokens.iter().map(|t| t.kind).collect();
        use Kind::{Dollar, Name, Number, Place, Symbol, Text, Word};
        assert_eq!(kinds, [Word, Text, Name, Dollar, Number, Place, Symbol, Symbol, Word]);
    }

    #[test]
    fn a_literal_is_read_as_redshift_reads_it() {
        let literal = |sql| lex(sql).expect(sql).tokens[0].literal().expect("a literal");
        assert_eq!(literal(r"'it''s \'so\' \\ \n'"), "it's 'so' \\ \n");
    }

    #[test]
    fn a_name_that_postgresql_cuts_is_refused() {
        let (longest, longer) = ("a".repeat(63), "ä".repeat(32));
        for name in [longest.clone(), format!("\"{longest}\""), format!("'{longer}'"), format!("$x${longer}$x$")] {
            assert!(lex(&name).is_ok(), "{name}");
        }
        for name in [format!("{longest}1"), longer.clone(), format!("\"{longer}\""), format!("dev.{longer}")] {
            assert!(lex(&name).expect_err(&name).to_string().contains("more than 63 bytes"), "{name}");
        }
    }

    #[test]
    fn what_does_not_end_is_refused_with_its_line() {
        for sql in [
            "SELECT\n'a",
            "SELECT\n\"a",
            "SELECT\n/* a",
            "SELECT\n$$ a",
            r"SELECT
'\'",
        ] {
            let refused = lex(sql).expect_err(sql).to_string();
            assert!(refused.contains("unterminated") && refused.contains("line 2"), "{refused}");
        }
    }
}
