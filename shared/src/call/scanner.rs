//! Reads the SQL of a call.

/// Redshift's limit for a name: 127 bytes. [Amazon Redshift Database Developer Guide, "Names and identifiers"]
pub const MAX_IDENTIFIER_BYTES: usize = 127;

/// Reads a call character by character. It knows no comments, so a comment is unexpected text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

pub(super) type Scan<T> = std::result::Result<T, String>;

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn position(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn skip_space(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace());
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn expect(&mut self, expected: char) -> Scan<()> {
        if self.take(expected) {
            Ok(())
        } else {
            Err(format!("expected '{expected}' at character {}", self.position()))
        }
    }

    /// The whole text as `schema.name`.
    pub(super) fn whole_name(&mut self) -> Scan<String> {
        let name = self.qualified_name()?;
        if self.at_end() {
            return Ok(name);
        }
        Err(format!("unexpected text at character {}", self.position()))
    }

    fn qualified_name(&mut self) -> Scan<String> {
        let schema = self.identifier()?;
        if !self.take('.') {
            return Err("the schema is missing; write schema.name, so that it does not depend on a search_path".into());
        }
        let name = self.identifier()?;
        if self.peek() == Some('.') {
            return Err("too many parts; write schema.name".into());
        }
        Ok(format!("{schema}.{name}"))
    }

    fn identifier(&mut self) -> Scan<String> {
        let start = self.at;
        let length = if self.take('"') {
            let mut length = 0;
            loop {
                let part = self.take_while(|c| c != '"');
                length += part.len();
                if part.contains(char::is_control) {
                    return Err("a quoted identifier cannot hold a control character".into());
                }
                if !self.take('"') {
                    return Err("a quoted identifier has no closing quote".into());
                }
                if !self.take('"') {
                    break;
                }
                length += 1;
            }
            length
        } else {
            let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
            if word.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return Err("an identifier starts with a letter or an underscore; quote others".into());
            }
            word.len()
        };
        if length == 0 {
            return Err(format!("expected an identifier at character {}", self.position()));
        }
        if length > MAX_IDENTIFIER_BYTES {
            return Err(format!("an identifier is at most {MAX_IDENTIFIER_BYTES} bytes long"));
        }
        Ok(self.text[start..self.at].to_owned())
    }

    pub(super) fn called(&mut self) -> Scan<String> {
        self.skip_space();
        let word = self.take_while(|c| c.is_ascii_alphabetic());
        if !word.eq_ignore_ascii_case("call") {
            return Err("it does not start with CALL".into());
        }
        if self.take_while(|c| c.is_ascii_whitespace()).is_empty() {
            return Err("expected a space after CALL".into());
        }
        let name = self.qualified_name()?;
        self.skip_space();
        self.expect('(')?;
        Ok(name)
    }

    /// The name and the literals of a call.
    pub(super) fn call(&mut self) -> Scan<(String, Vec<String>)> {
        let name = self.called()?;
        let mut literals = Vec::new();
        self.skip_space();
        if !self.take(')') {
            loop {
                self.skip_space();
                literals.push(self.literal()?);
                self.skip_space();
                if self.take(')') {
                    break;
                }
                self.expect(',')?;
            }
        }
        self.skip_space();
        self.take(';');
        self.skip_space();
        if !self.at_end() {
            return Err(format!("unexpected text after the call, at character {}", self.position()));
        }
        Ok((name, literals))
    }

    fn literal(&mut self) -> Scan<String> {
        let start = self.position();
        let not_a_literal = || format!("the argument at character {start} is not a literal");
        match self.peek() {
            Some('\'') => self.string(),
            Some(c) if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number().ok_or_else(not_a_literal),
            Some(c) if c.is_ascii_alphabetic() => {
                let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_ascii_uppercase();
                match word.as_str() {
                    "TRUE" | "FALSE" | "NULL" => Ok(word),
                    "DATE" | "TIMESTAMP" => {
                        self.skip_space();
                        if self.peek() != Some('\'') {
                            return Err(not_a_literal());
                        }
                        Ok(format!("{word} {}", self.string()?))
                    }
                    _ => Err(not_a_literal()),
                }
            }
            _ => Err(not_a_literal()),
        }
    }

    fn string(&mut self) -> Scan<String> {
        let start = self.at;
        self.expect('\'')?;
        loop {
            let part = self.take_while(|c| c != '\'');
            if part.contains('\\') {
                return Err("a string holds a backslash, which Redshift reads as an escape; give the call as \
                            Procedure and Arguments"
                    .into());
            }
            if part.contains('\0') {
                return Err("a string cannot hold the character NUL".into());
            }
            if !self.take('\'') {
                return Err("a string has no closing quote".into());
            }
            if !self.take('\'') {
                return Ok(self.text[start..self.at].to_owned());
            }
        }
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        if !self.take('-') {
            self.take('+');
        }
        let whole = self.take_while(|c| c.is_ascii_digit());
        let fraction = if self.take('.') { self.take_while(|c| c.is_ascii_digit()) } else { "" };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        if self.take('e') || self.take('E') {
            if !self.take('-') {
                self.take('+');
            }
            if self.take_while(|c| c.is_ascii_digit()).is_empty() {
                return None;
            }
        }
        if self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') {
            return None;
        }
        Some(self.text[start..self.at].to_owned())
    }
}

/// A value in the argument list of a `CALL`, and the place of the argument that it belongs to, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// What a literal means: without its quotes.
    Literal(usize, String),
    /// The name of a parameter, without its colon.
    Parameter(usize, String),
}

/// The literals and parameters in the argument list of any `CALL`, also of one that [`Scanner::call`] refuses;
/// nothing for other SQL. Numbers within parentheses are sizes of types.
pub(crate) fn written(sql: &str) -> Vec<Written> {
    let mut scanner = Scanner::new(sql);
    if scanner.called().is_err() {
        return Vec::new();
    }
    let (mut place, mut depth, mut found) = (1, 0usize, Vec::new());
    while let Some(c) = scanner.peek() {
        let start = scanner.at;
        match c {
            '\'' => found.push(Written::Literal(place, scanner.any_quoted('\''))),
            '"' => drop(scanner.any_quoted('"')),
            c if c.is_alphabetic() || c == '_' => drop(scanner.take_while(|c| c.is_alphanumeric() || c == '_')),
            c if c.is_ascii_digit() || ".+-".contains(c) => {
                if let Some(number) = scanner.number().filter(|_| depth == 0) {
                    found.push(Written::Literal(place, number));
                }
                if scanner.at == start {
                    scanner.at += c.len_utf8();
                }
            }
            _ => {
                scanner.at += c.len_utf8();
                match c {
                    ':' => {
                        let name = scanner.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
                        found.push(Written::Parameter(place, name.to_owned()));
                    }
                    '(' => depth += 1,
                    ')' if depth == 0 => break,
                    ')' => depth -= 1,
                    ',' if depth == 0 => place += 1,
                    _ => {}
                }
            }
        }
    }
    found
}

impl Scanner<'_> {
    /// What stands between quotes, a doubled one read as one; up to the end if the closing one is missing.
    fn any_quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        self.take(quote);
        loop {
            text.push_str(self.take_while(|c| c != quote));
            if !self.take(quote) || !self.take(quote) {
                return text;
            }
            text.push(quote);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_any_call() {
        let literal = |place, text: &str| Written::Literal(place, text.to_owned());
        let parameter = |place, name: &str| Written::Parameter(place, name.to_owned());
        for (sql, found) in [
            ("CALL dev.p()", vec![]),
            (
                "CALL dev.p(-1.5, 'it''s, (x)', DATE '2026-01-31', TRUE)",
                vec![literal(1, "-1.5"), literal(2, "it's, (x)"), literal(3, "2026-01-31")],
            ),
            ("CALL dev.p(CAST(:a AS DECIMAL(10,2)), NULL, :b);", vec![parameter(1, "a"), parameter(3, "b")]),
            ("CALL dev.p(upper('a') || 'b', \"c,d\", 7)", vec![literal(1, "a"), literal(1, "b"), literal(3, "7")]),
            ("CALL dev.p('open", vec![literal(1, "open")]),
            ("CALL dev.p(1-)--", vec![literal(1, "1")]),
            ("CALL dev.p(1 - 22)", vec![literal(1, "1"), literal(1, "22")]),
            ("SELECT 'a'", vec![]),
        ] {
            assert_eq!(written(sql), found, "{sql}");
        }
    }
}
