//! Takes the arguments of a statement out of what the engine reports about it.
//!
//! A person needs the engine's text, and a procedure may raise its arguments, or the engine may quote one that it
//! cannot read. Each place that shows one becomes `<argument 1>`: the argument's place in the call.
//!
//! How a value is searched depends on its length, as a short one would garble the text:
//!
//! | Characters | Where it is replaced |
//! |---|---|
//! | 1 or 2, and words such as `true` and `null` | as the whole of what stands between quotes or parentheses |
//! | 3 to 5 | as a whole word |
//! | 6 or more | everywhere |
//! | 12 or more | also where it is cut after 8 characters or more |
//!
//! A part of a value, from 4 characters, is replaced as the whole of what stands between quotes: what the engine could not read.
//! What the engine quotes of the data goes as well ([`without_data`]): rows, keys, values, and SQL of a procedure.
//!
//! Case does not count. What a procedure makes of an argument (a sum, a part of it without quotes) cannot be found.

use aws_sdk_redshiftdata::types::SqlParameter;

use crate::call::{Decimal, Written, written};

/// Values up to this length are replaced only where they stand alone.
const SHORT: usize = 2;
/// Values from this length are replaced everywhere.
const DISTINCT: usize = 6;
/// Values from this length are also found where the engine cuts them.
const LONG: usize = 12;
/// The least of a cut value that is replaced.
const CUT: usize = 8;
/// The least of a part of a value that is replaced between quotes.
const PART: usize = 4;
/// The most zeros behind a fraction that are searched for.
const MAX_PADDING: usize = 10;
/// Words that every text may hold.
const COMMON: &[&str] = &["true", "false", "null", "yes"];
/// Characters of an engine's text that are checked, far above what is shown of one.
const MAX_TEXT_CHARS: usize = 32_000;

/// A value of a statement, and the place of the argument that holds it, from 1.
#[derive(PartialEq, Eq)]
pub(crate) struct Argument {
    place: usize,
    value: String,
}

/// The values of a statement: those bound, and the literals of a `CALL`.
pub(crate) fn arguments(sql: &str, parameters: &[SqlParameter]) -> Vec<Argument> {
    let in_call = written(sql);
    let place_of = |name: &str| {
        in_call.iter().find_map(|w| match w {
            Written::Parameter(place, found) if found == name => Some(*place),
            _ => None,
        })
    };
    let bound = parameters.iter().enumerate().map(|(index, parameter)| Argument {
        place: place_of(parameter.name()).unwrap_or(index + 1),
        value: parameter.value().to_owned(),
    });
    let literals = in_call.iter().filter_map(|w| match w {
        Written::Literal(place, value) => Some(Argument { place: *place, value: value.clone() }),
        Written::Parameter(..) => None,
    });
    bound.chain(literals).filter(|a| !a.value.trim().is_empty()).collect()
}

/// The engine's text with a placeholder for each of the arguments.
pub(crate) fn redact(text: &str, arguments: &[Argument]) -> String {
    let text: Vec<char> = text.chars().take(MAX_TEXT_CHARS).collect();
    let folded: Vec<char> = text.iter().copied().map(fold).collect();
    let mut wanted: Vec<(usize, Vec<char>)> = Vec::new();
    for argument in arguments {
        for form in forms(&argument.value) {
            let form: Vec<char> = form.chars().map(fold).collect();
            if !wanted.iter().any(|(_, known)| *known == form) {
                wanted.push((argument.place, form));
            }
        }
    }
    let values: Vec<_> = arguments.iter().map(|a| (a.place, a.value.chars().map(fold).collect::<String>())).collect();
    let mut shown = String::new();
    let mut at = 0;
    while at < text.len() {
        // Of several that fit, the one that covers the most: it may hold the others.
        let fits = wanted.iter().filter_map(|(place, form)| Some((place, covered(&folded, at, form)?)));
        let found = fits.max_by_key(|(_, length)| *length).map(|(place, length)| (*place, length));
        if let Some((place, length)) = found.or_else(|| quoted_part(&folded, at, &values)) {
            shown.push_str(&format!("<argument {place}>"));
            at += length;
        } else {
            shown.push(text[at]);
            at += 1;
        }
    }
    shown
}

/// The place of the argument that what stands between quotes from `at` on is a part of, and its length.
fn quoted_part(text: &[char], at: usize, values: &[(usize, String)]) -> Option<(usize, usize)> {
    let quote = text.get(at.checked_sub(1)?).filter(|c| ['"', '\''].contains(c))?;
    let length = text[at..].iter().position(|c| c == quote).filter(|length| *length >= PART)?;
    let part: String = text[at..at + length].iter().collect();
    values.iter().find(|(_, value)| value.contains(&part)).map(|(place, _)| (*place, length))
}

/// The engine's text without what it quotes of the data: the row of a broken constraint, the values of a key, a value
/// that cannot be read or is out of range, and the SQL in which a procedure was. [PostgreSQL source,
/// `ExecBuildSlotValueDescription`, `BuildIndexValueDescription`, `error_context`, and the messages of its data types;
/// Redshift's compute nodes: reports of users]
pub(crate) fn without_data(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((begin, ends)) = QUOTES.iter().filter_map(|quote| quote.find(rest)).min() {
        // What is quoted may hold anything, line breaks and its own end included: the last one counts.
        let body = &rest[begin..];
        let follows = FOLLOWS.iter().filter_map(|label| body.rfind(label)).max().unwrap_or(body.len());
        let end = if ends == LINE {
            body.find(ends).unwrap_or(body.len())
        } else {
            body[..follows].rfind(ends).unwrap_or(follows)
        };
        shown.push_str(&rest[..begin]);
        shown.push_str("...");
        rest = &body[end..];
    }
    shown + rest
}

/// Where the engine quotes: `after` a phrase, between `opens` and `ends`.
struct Quote {
    after: &'static str,
    opens: &'static str,
    ends: &'static str,
}

impl Quote {
    /// Where the first quotation begins, and what ends it.
    fn find(&self, text: &str) -> Option<(usize, &'static str)> {
        let after = text.find(self.after)? + self.after.len();
        Some((after + text[after..].find(self.opens)? + self.opens.len(), self.ends))
    }
}

const QUOTES: &[Quote] = &[
    Quote { after: "Failing row contains ", opens: "(", ends: ")" },
    Quote { after: "Key (", opens: ")=(", ends: ")" },
    Quote { after: "SQL statement ", opens: "\"", ends: "\"" },
    Quote { after: "invalid input ", opens: ": \"", ends: "\"" },
    Quote { after: "of the failing row contains ", opens: ") = (", ends: ")" },
    Quote { after: "malformed ", opens: ": \"", ends: "\"" },
    Quote { after: " out of range", opens: ": \"", ends: "\"" },
    Quote { after: "digit", opens: ": \"", ends: "\"" },
    // A value, an invalid value, a token, a symbol, the name of a time zone.
    Quote { after: "alue \"", opens: "", ends: "\"" },
    Quote { after: "oken \"", opens: "", ends: "\"" },
    Quote { after: "symbol \"", opens: "", ends: "\"" },
    Quote { after: "time zone \"", opens: "", ends: "\"" },
    Quote { after: "JSON data, line ", opens: ": ", ends: LINE },
    Quote { after: "The input ", opens: "", ends: " is not valid" },
    Quote { after: "Value '", opens: "", ends: "'" },
    Quote { after: "alue: ", opens: "", ends: LINE },
    Quote { after: "Invalid char: ", opens: "", ends: LINE },
    Quote { after: "invalid json ", opens: "", ends: "query:" },
    // What a compute node says of a value that it cannot convert: codes 1200 to 1299.
    Quote { after: "code:      12", opens: "context:", ends: "query:" },
    Quote { after: "code: 12", opens: "context:", ends: "query:" },
];

/// The end of a line, which what is quoted cannot hold.
const LINE: &str = "\n";

/// What may follow a quotation.
const FOLLOWS: &[&str] = &["\n  Where:", "\n  Hint:", "\nCONTEXT:", "\nHINT:", " Where: ", "\nPL/pgSQL function "];

/// How a value may stand in a text: as it is, without blanks around it, with quotes or backslashes doubled or
/// escaped, a number without needless zeros or exponent, a time with a blank in place of the T.
fn forms(value: &str) -> Vec<String> {
    let escaped = serde_json::Value::from(value).to_string();
    let mut forms = vec![
        value.to_owned(),
        value.trim().to_owned(),
        value.replace('\'', "''"),
        value.replace('"', "\"\""),
        value.replace('\\', "\\\\"),
        escaped[1..escaped.len() - 1].to_owned(),
    ];
    if let Some(number) = Decimal::parse(value).filter(|n| n.places().0 <= 40 && n.places().1 <= 40) {
        // A CAST pads a fraction with zeros.
        let plain = number.plain();
        let padded = if plain.contains('.') { plain.clone() } else { format!("{plain}.") };
        forms.extend((1..=MAX_PADDING).map(|zeros| format!("{padded}{}", "0".repeat(zeros))));
        forms.push(plain);
    }
    // As the engine writes a DOUBLE PRECISION.
    let double = value.trim().parse().ok().filter(|double: &f64| double.is_finite());
    if let Some((mantissa, exponent)) =
        double.map(|double| format!("{double:e}")).as_deref().and_then(|e| e.split_once('e'))
    {
        let sign = if exponent.starts_with('-') { '-' } else { '+' };
        forms.push(format!("{mantissa}e{sign}{:0>2}", exponent.trim_start_matches('-')));
    }
    if value.len() == 8 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        forms.push(format!("{}-{}-{}", &value[..4], &value[4..6], &value[6..]));
    }
    if value.len() >= DISTINCT && value.starts_with(|c: char| c.is_ascii_digit()) {
        forms.push(value.replacen('T', " ", 1));
    }
    forms
}

/// How many characters of `text` from `at` on are `form`, or a cut form of it.
fn covered(text: &[char], at: usize, form: &[char]) -> Option<usize> {
    let same = text[at..].iter().zip(form).take_while(|(a, b)| a == b).count();
    let before = at.checked_sub(1).map(|i| text[i]);
    let after = text.get(at + same).copied();
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if same < form.len() {
        let is_cut = form.len() >= LONG && same >= CUT && !is_word(after);
        return is_cut.then_some(same);
    }
    let common = || COMMON.iter().any(|word| word.chars().eq(form.iter().copied()));
    let fits = if form.len() <= SHORT || common() {
        matches!(
            (before, after),
            (Some('"'), Some('"')) | (Some('\''), Some('\'')) | (Some('`'), Some('`')) | (Some('('), Some(')'))
        )
    } else if form.len() < DISTINCT {
        // A value that begins or ends with a sign is separated by that.
        let separate = |edge: Option<&char>, beside| !is_word(edge.copied()) || !is_word(beside);
        separate(form.first(), before) && separate(form.last(), after)
    } else {
        true
    };
    fits.then_some(same)
}

/// One character for one, so that places in a folded text are places in the text.
fn fold(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(values: &[&str]) -> Vec<Argument> {
        let parameters: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(n, value)| SqlParameter::builder().name(format!("p{n}")).value(*value).build().expect("complete"))
            .collect();
        arguments("CALL dev.p(:p0, :p1)", &parameters)
    }

    #[test]
    fn an_engines_text_shows_no_argument() {
        for (values, text, shown) in [
            // Raised, quoted, within a word, in another case.
            (&["hunter2"][..], "ERROR: not hunter2", "ERROR: not <argument 1>"),
            (
                &["hunter2"],
                "invalid input syntax for integer: \"hunter2\"",
                "invalid input syntax for integer: \"<argument 1>\"",
            ),
            (&["hunter2"], "no table stage_hunter2_x", "no table stage_<argument 1>_x"),
            (&["Hunter2"], "NOT HUNTER2, hunter2", "NOT <argument 1>, <argument 1>"),
            (&["ÄRGER12"], "not ärger12", "not <argument 1>"),
            (&["a", "hunter2"], "not hunter2", "not <argument 2>"),
            // Quotes and backslashes doubled or escaped.
            (&["it's \"x\" \\ y"], "a it''s \"x\" \\ y b", "a <argument 1> b"),
            (&["say \"hi\" now"], "a say \"\"hi\"\" now b", "a <argument 1> b"),
            (&["say \"hi\"\nnow"], "a say \\\"hi\\\"\\nnow b", "a <argument 1> b"),
            (&["C:\\secret"], "a C:\\\\secret b", "a <argument 1> b"),
            (&[" hunter2 "], "not hunter2.", "not <argument 1>."),
            // The longer one first.
            (&["hunter2", "hunter2 and more"], "not hunter2 and more", "not <argument 2>"),
            // Cut by the engine.
            (&["correct horse battery"], "not correct horse", "not <argument 1>"),
            (&["correct horse battery"], "not \"correct ho...\"", "not \"<argument 1>...\""),
            (&["correct horse battery"], "is correct, yes", "is correct, yes"),
            (&["2026-01-31 10:00:00"], "at 2026-01-31 11:00:00", "at 2026-01-31 11:00:00"),
            // Short ones.
            (&["abc"], "not abc, abcd, a-abc", "not <argument 1>, abcd, a-<argument 1>"),
            (&["-12"], "not -12 nor 3-12", "not <argument 1> nor 3<argument 1>"),
            (&["1"], "1 row, Query (11), id=1 \"1\" (1)", "1 row, Query (11), id=1 \"<argument 1>\" (<argument 1>)"),
            (&["a"], "not a row: 'a'", "not a row: '<argument 1>'"),
            (&["true"], "that is true: \"true\"", "that is true: \"<argument 1>\""),
            // Numbers and times as the engine writes them.
            (&["0012.500"], "value 12.5 is", "value <argument 1> is"),
            (&["1.5e3"], "value 1500 is", "value <argument 1> is"),
            (&["1.5"], "value 1.5000 is", "value <argument 1> is"),
            (&["150"], "value 150.00 is", "value <argument 1> is"),
            (&["20260131"], "at 2026-01-31", "at <argument 1>"),
            (&["1e20"], "not 1e+20", "not <argument 1>"),
            (&["-0.00000012345"], "not -1.2345e-07", "not <argument 1>"),
            // A part of one that the engine could not read.
            (
                &["{\"user\": \"ann\", \"token\": hunter2}"],
                "Token \"hunter2\" is invalid near \"ann\"",
                "Token \"<argument 1>\" is invalid near \"ann\"",
            ),
            (&["x", "hunter2"], "invalid value \"HUNT\"", "invalid value \"<argument 2>\""),
            (&["a = 1 hunter2 b"], "at or near \"hunter2\", not 'hunt", "at or near \"<argument 1>\", not 'hunt"),
            (&["2026-01-31T10:00:00"], "at 2026-01-31 10:00:00", "at <argument 1>"),
            // Nothing to find.
            (&[], "ERROR: division by zero", "ERROR: division by zero"),
            (&["  "], "ERROR: division by zero", "ERROR: division by zero"),
        ] {
            assert_eq!(redact(text, &bound(values)), shown, "{values:?}");
        }
    }

    #[test]
    fn an_engines_text_shows_no_row() {
        for (text, shown) in [
            (
                "ERROR: null value in column \"a\" violates not-null constraint\n  Detail: Failing row contains (null, Jane (Doe), 1).",
                "ERROR: null value in column \"a\" violates not-null constraint\n  Detail: Failing row contains (...).",
            ),
            (
                "ERROR: duplicate key value violates unique constraint \"t\"\n  Detail: Key (email, b)=(jane@x, 1) already exists.",
                "ERROR: duplicate key value violates unique constraint \"t\"\n  Detail: Key (email, b)=(...) already exists.",
            ),
            (
                "ERROR: x\n  Where: SQL statement \"UPDATE t SET a = 'x'\nWHERE b = \"c\"\"\nPL/pgSQL function dev.p() line 3 at SQL statement",
                "ERROR: x\n  Where: SQL statement \"...\"\nPL/pgSQL function dev.p() line 3 at SQL statement",
            ),
            (
                "ERROR: invalid input syntax for type integer: \"Jane\"\n  Where: PL/pgSQL function dev.p() line 3 at assignment",
                "ERROR: invalid input syntax for type integer: \"...\"\n  Where: PL/pgSQL function dev.p() line 3 at assignment",
            ),
            (
                "ERROR: invalid input syntax for type timestamp with time zone: \"Jane\nDoe\"",
                "ERROR: invalid input syntax for type timestamp with time zone: \"...\"",
            ),
            (
                "ERROR: x\n  Detail: Failing row contains (1, two\nlines), 3).\n  Where: PL/pgSQL function dev.p() line 3",
                "ERROR: x\n  Detail: Failing row contains (...).\n  Where: PL/pgSQL function dev.p() line 3",
            ),
            (
                "ERROR: invalid input syntax for type json\n  Detail: Token \"Jane\" is invalid.\n  Where: JSON data, line 1: {Jane: 1\nPL/pgSQL function dev.p() line 3",
                "ERROR: invalid input syntax for type json\n  Detail: Token \"...\" is invalid.\n  Where: JSON data, line 1: ...\nPL/pgSQL function dev.p() line 3",
            ),
            (
                "ERROR: value \"99999999999\" is out of range for type integer",
                "ERROR: value \"...\" is out of range for type integer",
            ),
            (
                "ERROR: date/time field value out of range: \"2026-13-99\"\n  Hint: Perhaps you need a different \"datestyle\" setting.",
                "ERROR: date/time field value out of range: \"...\"\n  Hint: Perhaps you need a different \"datestyle\" setting.",
            ),
            ("ERROR: invalid value \"Jane\" for \"YYYY\"", "ERROR: invalid value \"...\""),
            ("ERROR: malformed array literal: \"Jane\"", "ERROR: malformed array literal: \"...\""),
            ("ERROR: invalid input value for enum kind: \"Jane\"", "ERROR: invalid input value for enum kind: \"...\""),
            ("ERROR: invalid hexadecimal digit: \"J\"", "ERROR: invalid hexadecimal digit: \"...\""),
            (
                "ERROR: no partition of relation \"t\" found for row\n  Detail: Partition key of the failing row contains (a, b) = (Jane, 1).",
                "ERROR: no partition of relation \"t\" found for row\n  Detail: Partition key of the failing row contains (a, b) = (...).",
            ),
            (
                "ERROR: The input Jane is not valid to be converted to base 10",
                "ERROR: The input ... is not valid to be converted to base 10",
            ),
            (
                "ERROR: Invalid digit, Value 'J', Pos 0, Type: Integer \n  Detail: \n  error:  Invalid digit, Value 'J', Pos 0, Type: Integer \n  code:      1207\n  context:   Jane\n  query:     1234\n  location:  :0",
                "ERROR: Invalid digit, Value '...', Pos 0, Type: Integer \n  code:      1207\n  context:...query:     1234\n  location:  :0",
            ),
            (
                "ERROR: x\n  error:  JSON parsing error\n  code:      8001\n  context:   invalid json object Jane\n  query:     1234",
                "ERROR: x\n  error:  JSON parsing error\n  code:      8001\n  context:   invalid json ...query:     1234",
            ),
            (
                "ERROR: null value in column \"a\" of relation \"t\"",
                "ERROR: null value in column \"a\" of relation \"t\"",
            ),
            (
                "ERROR: S3 says no\n  code:      8001\n  context:   Task error while scanning manifest\n  query:     1",
                "ERROR: S3 says no\n  code:      8001\n  context:   Task error while scanning manifest\n  query:     1",
            ),
            ("ERROR: relation \"dev.t\" does not exist", "ERROR: relation \"dev.t\" does not exist"),
            ("", ""),
        ] {
            assert_eq!(without_data(text), shown);
        }
    }

    #[test]
    fn literals_of_a_call_are_arguments() {
        let found = arguments("CALL dev.p(DATE '2026-01-31', 'it''s me', -12.50)", &[]);
        let shown = redact("at 2026-01-31: it's me, it''s me, -12.5", &found);
        assert_eq!(shown, "at <argument 1>: <argument 2>, <argument 2>, <argument 3>");
        assert!(arguments("SELECT 'hunter2'", &[]).is_empty());
    }

    #[test]
    fn a_bound_value_has_the_place_of_its_parameter() {
        let parameter = SqlParameter::builder().name("b").value("hunter2").build().expect("complete");
        let found = arguments("CALL dev.p(NULL, CAST(:b AS VARCHAR(65535)))", std::slice::from_ref(&parameter));
        assert_eq!(redact("not hunter2, 65535", &found), "not <argument 2>, 65535");
        let found = arguments("UPDATE t SET x = :b", &[parameter]);
        assert_eq!(redact("not hunter2", &found), "not <argument 1>");
    }

    #[test]
    fn a_text_without_end_is_searched_in_time() {
        let value = "ab".repeat(30_000) + "c";
        let shown = redact(&"ab".repeat(40_000), &bound(&[&value]));
        assert_eq!(shown, "<argument 1>");
    }
}
