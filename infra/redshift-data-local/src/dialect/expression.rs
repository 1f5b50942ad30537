//! Expressions and queries: functions that take words, and clauses that PostgreSQL writes otherwise.

use super::Refused;
use super::lex::{GAP, Kind, Lexed, Token, lex};
use super::types::{self, For};

/// Names that PostgreSQL has as well, with another meaning: those of the schema are named in full.
const SHADOWED: [&str; 10] = [
    "avg",
    "concat",
    "regexp_replace",
    "regexp_substr",
    "regexp_instr",
    "regexp_count",
    "json_extract_path_text",
    "json_array_length",
    "json_serialize",
    "date_trunc",
];

/// Each part of a date with its other names. [Amazon Redshift Database Developer Guide, "Date parts for date or timestamp functions"]
const DATE_PARTS: [(&str, &[&str]); 20] = [
    ("millennium", &["millennia", "mil", "mils"]),
    ("century", &["centuries", "c", "cent", "cents"]),
    ("decade", &["decades", "dec", "decs"]),
    ("epoch", &[]),
    ("year", &["years", "y", "yr", "yrs"]),
    ("quarter", &["quarters", "qtr", "qtrs"]),
    ("month", &["months", "mon", "mons"]),
    ("week", &["weeks", "w"]),
    ("dow", &["dayofweek", "dw", "weekday"]),
    ("doy", &["dayofyear", "dy", "yearday"]),
    ("day", &["days", "d"]),
    ("hour", &["hours", "h", "hr", "hrs"]),
    ("minute", &["minutes", "m", "min", "mins"]),
    ("second", &["seconds", "s", "sec", "secs"]),
    (
        "milliseconds",
        &["millisecond", "ms", "msec", "msecs", "msecond", "mseconds", "millisec", "millisecs", "millisecon"],
    ),
    (
        "microseconds",
        &["microsecond", "us", "usec", "usecs", "usecond", "useconds", "microsec", "microsecs", "microsecon"],
    ),
    ("timezone", &[]),
    ("timezone_hour", &[]),
    ("timezone_minute", &[]),
    ("isodow", &["iso_dow"]),
];

/// The place of what closes the parenthesis that opens at `open`.
pub(super) fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    tokens.get(open).filter(|token| token.is("("))?;
    let mut depth = 0_u32;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// The parts between what stands in no parentheses and `separates`.
pub(super) fn split<'t, 'a>(tokens: &'t [Token<'a>], separates: impl Fn(&Token<'a>) -> bool) -> Vec<&'t [Token<'a>]> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, token) in tokens.iter().enumerate() {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        if depth == 0 && separates(token) {
            parts.push(&tokens[from..at]);
            from = at + 1;
        }
    }
    parts.push(&tokens[from..]);
    parts
}

/// As it is written.
pub(super) fn verbatim(tokens: &[Token<'_>]) -> String {
    tokens.iter().flat_map(|token| [token.lead, token.text]).collect()
}

/// One token. A literal with a backslash is one whose escapes PostgreSQL reads only if it is told.
fn plain(token: &Token<'_>) -> String {
    let mark = if token.kind == Kind::Text && token.text.contains('\\') { "E" } else { "" };
    if token.kind == Kind::Word && token.text.starts_with('#') {
        return format!("{}\"{}\"", token.lead, token.lower());
    }
    format!("{}{mark}{}", token.lead, token.text)
}

/// Of a token that goes, the comments and line breaks stay, so that lines keep their numbers.
pub(super) fn without(token: &Token<'_>) -> &'static str {
    match token.lead.matches('\n').count() {
        0 => "",
        1 => "\n",
        _ => "\n\n",
    }
}

pub(super) fn expression(tokens: &[Token<'_>]) -> Result<String, Refused> {
    let mut out = String::new();
    let mut at = 0;
    let mut limit = None;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1);
        let before = at.checked_sub(1).and_then(|n| tokens.get(n));
        let is_part = before.is_some_and(|t| t.is("."));
        if token.is("(") {
            let end = closing(tokens, at).unwrap_or(tokens.len());
            out.push_str(&plain(token));
            out.push_str(&expression(&tokens[at + 1..end])?);
            if let Some(close) = tokens.get(end) {
                out.push_str(&plain(close));
            }
            at = end + 1;
            continue;
        }
        if token.is("::") && at + 1 < tokens.len() {
            let end = at + 1 + types::length(&tokens[at + 1..]);
            out.push_str(&plain(token));
            out.push_str(tokens[at + 1].lead);
            out.push_str(&types::named(&tokens[at + 1..end], For::Cast)?);
            at = end;
            continue;
        }
        if token.kind != Kind::Word || is_part {
            out.push_str(&plain(token));
            at += 1;
            continue;
        }
        if next.is_some_and(|t| t.is("("))
            && let Some(close) = closing(tokens, at + 1)
            && let Some((text, after)) = call(tokens, at, close)?
        {
            out.push_str(token.lead);
            out.push_str(&text);
            at = after;
            continue;
        }
        let is_select = |t: &Token<'_>| t.is_any(&["select", "all", "distinct"]);
        if token.is("top")
            && before.is_some_and(is_select)
            && next.is_some_and(|t| matches!(t.kind, Kind::Number | Kind::Place))
        {
            let is_one_of_several = |t: &Token<'_>| t.is_any(&["union", "intersect", "except", "minus", "limit"]);
            if limit.is_some() || split(tokens, is_one_of_several).len() > 1 {
                return Err(Refused::lacking(
                    "TOP in one of several queries, or beside LIMIT",
                    "put the query with its TOP in parentheses",
                ));
            }
            limit = next.map(|t| t.text);
            out.push_str(without(token));
            at += 2;
            continue;
        }
        if token.is("approximate") && next.is_some_and(|t| t.is_any(&["count", "percentile_disc"])) {
            out.push_str(without(token));
            // The next keeps what was before this.
            out.push_str(if out.ends_with(char::is_whitespace) || out.is_empty() { "" } else { " " });
            out.push_str(tokens[at + 1].text);
            at += 2;
            continue;
        }
        if let Some(text) = word(token, before, next)? {
            out.push_str(token.lead);
            out.push_str(&text);
        } else if token.is("respect") && next.is_some_and(|t| t.is("nulls")) {
            at += 1;
        } else {
            out.push_str(&plain(token));
        }
        at += 1;
    }
    if let Some(limit) = limit {
        let end = if out.ends_with(';') { ";" } else { "" };
        let query = out.trim_end_matches(';').trim_end().len();
        out.truncate(query);
        out.push_str(&format!(" LIMIT {limit}{end}"));
    }
    Ok(out)
}

/// A word that stands alone.
fn word(token: &Token<'_>, before: Option<&Token<'_>>, next: Option<&Token<'_>>) -> Result<Option<String>, Refused> {
    let after = |words: &[&str]| before.is_some_and(|t| t.is_any(words));
    let followed = |words: &[&str]| next.is_some_and(|t| t.is_any(words));
    if token.is("sysdate") && !after(&["as"]) && !followed(&["("]) {
        return Ok(Some("redshift_catalog.sysdate()".to_owned()));
    }
    if token.is("minus") && followed(&["select", "("]) && !after(&["as", ",", "select"]) {
        return Ok(Some("EXCEPT".to_owned()));
    }
    if token.is("ignore") && followed(&["nulls"]) {
        return Err(Refused::lacking(
            "IGNORE NULLS",
            "leave the rows with NULL out in a query below the window function",
        ));
    }
    let is_clause =
        !after(&["as", ",", "select", "by"]) && !followed(&[",", "from", ")", "as", "=", ";", "."]) && next.is_some();
    if token.is("qualify") && is_clause {
        return Err(Refused::lacking(
            "QUALIFY",
            "put the query in parentheses, and its condition in a WHERE around it",
        ));
    }
    if token.is_any(&["pivot", "unpivot"]) && followed(&["("]) && !after(&["as", ",", "select", "."]) {
        return Err(Refused::lacking(
            token.text.to_uppercase(),
            "use an aggregate of CASE for each column, or UNION ALL",
        ));
    }
    if token.is("connect") && followed(&["by"]) {
        return Err(Refused::lacking("CONNECT BY", "use WITH RECURSIVE"));
    }
    Ok(None)
}

/// A call from its name at `at` to the parenthesis at `close`, and where it goes on; nothing if it stays as it is.
fn call(tokens: &[Token<'_>], at: usize, close: usize) -> Result<Option<(String, usize)>, Refused> {
    let name = tokens[at].lower();
    let inner = &tokens[at + 2..close];
    let arguments = if inner.is_empty() { Vec::new() } else { split(inner, |t| t.is(",")) };
    let each = || arguments.iter().map(|argument| expression(argument)).collect::<Result<Vec<_>, _>>();
    let done = |text: String| Ok(Some((text, close + 1)));
    match (name.as_str(), arguments.len()) {
        ("nvl", 1..) | ("isnull", 2..) => done(format!("COALESCE({})", each()?.join(","))),
        ("nvl2", 3) => {
            let [of, set, unset] = &each()?[..] else { return Ok(None) };
            done(format!("CASE WHEN {} IS NOT NULL THEN {} ELSE {} END", group(of), set.trim(), unset.trim()))
        }
        ("decode", 3..) => done(decode(&arguments, &each()?)),
        ("dateadd" | "date_add" | "datediff" | "date_diff", 3) => {
            let Some(part) = date_part(&name, arguments[0], true)? else { return Ok(None) };
            let of = if name.ends_with("add") { "date_add" } else { "date_diff" };
            done(format!("redshift_catalog.{of}('{part}',{})", each()?[1..].join(",")))
        }
        ("date_part" | "pgdate_part", 2) => {
            let Some(part) = date_part(&name, arguments[0], false)? else { return Ok(None) };
            done(format!("redshift_catalog.pgdate_part('{part}',{})", each()?[1]))
        }
        ("extract", 1) if inner.get(1).is_some_and(|t| t.is("from")) => {
            let Some(part) = date_part(&name, &inner[..1], false)? else { return Ok(None) };
            done(format!("redshift_catalog.date_part('{part}',{})", expression(&inner[2..])?))
        }
        ("cast", 1) => {
            let Some(of) = inner.iter().rposition(|t| t.is("as")).filter(|n| n + 1 < inner.len()) else {
                return Ok(None);
            };
            let to = types::named(&inner[of + 1..], For::Cast)?;
            done(format!("{}({} AS {to})", tokens[at].text, expression(&inner[..of])?))
        }
        ("convert", 2) => {
            if arguments[0].first().is_none_or(|t| t.kind != Kind::Word) {
                return Ok(None);
            }
            let to = types::named(arguments[0], For::Cast)?;
            done(format!("CAST({} AS {to})", each()?[1].trim()))
        }
        ("varchar" | "varbyte" | "char", 1) if inner[0].is("max") => {
            done(types::named(&tokens[at..=close], For::Column)?)
        }
        ("listagg", 1..=2) => Ok(Some(listagg(tokens, close, &each()?)?)),
        ("ratio_to_report", 1) if tokens.get(close + 1).is_some_and(|t| t.is("over")) => {
            let Some(end) = closing(tokens, close + 2) else { return Ok(None) };
            let (of, over) = (&each()?[0], expression(&tokens[close + 1..=end])?);
            Ok(Some((format!("(CAST({of} AS DOUBLE PRECISION) / SUM({of}){over})"), end + 1)))
        }
        (name, _) if SHADOWED.contains(&name) => done(format!("redshift_catalog.{name}({})", expression(inner)?)),
        (name, _) if name.starts_with("st_") => Err(Refused::lacking(
            name.to_uppercase(),
            "a GEOMETRY is stored and shown here, and has no functions; keep what is computed of it in a column",
        )),
        (name, _) if name.starts_with("hll_") || name == "hll" => {
            Err(Refused::lacking(name.to_uppercase(), "use APPROXIMATE COUNT(DISTINCT ...), which counts exactly here"))
        }
        _ => Ok(None),
    }
}

fn group(text: &str) -> String {
    let text = text.trim();
    if text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') {
        text.to_owned()
    } else {
        format!("({text})")
    }
}

/// NULL is the same as NULL in it. Literals other than NULL allow for a form that evaluates the first argument once.
fn decode(arguments: &[&[Token<'_>]], each: &[String]) -> String {
    let pairs = each[1..].chunks_exact(2);
    let rest = pairs.remainder().first();
    let literal =
        |tokens: &[Token<'_>]| tokens.iter().all(|t| matches!(t.kind, Kind::Text | Kind::Number) || t.is("-"));
    let simple = arguments[1..].chunks_exact(2).all(|pair| literal(pair[0]));
    let mut text = if simple { format!("CASE {}", group(&each[0])) } else { "CASE".to_owned() };
    for pair in pairs {
        let (value, result) = (pair[0].trim(), pair[1].trim());
        match simple {
            true => text.push_str(&format!(" WHEN {value} THEN {result}")),
            false => {
                text.push_str(&format!(" WHEN {} IS NOT DISTINCT FROM {} THEN {result}", group(&each[0]), group(value)))
            }
        }
    }
    if let Some(rest) = rest {
        text.push_str(&format!(" ELSE {}", rest.trim()));
    }
    text + " END"
}

/// The part of a date, by the name that PostgreSQL knows; nothing if it is no word.
fn date_part(function: &str, tokens: &[Token<'_>], adds: bool) -> Result<Option<&'static str>, Refused> {
    let [token] = tokens else { return Ok(None) };
    let Some(name) = token.literal().map(|text| text.to_lowercase()).or_else(|| token.name()) else { return Ok(None) };
    let found = DATE_PARTS.iter().find(|(part, others)| *part == name || others.contains(&name.as_str()));
    let part = found.map(|(part, _)| *part);
    let counted = part.is_some_and(|part| {
        !["epoch", "dow", "isodow", "doy", "timezone", "timezone_hour", "timezone_minute"].contains(&part)
    });
    match part {
        Some(part) if counted || !adds => Ok(Some(part)),
        _ => Err(Refused::Wrong(format!("{} does not support the date part {name:?}", function.to_uppercase()))),
    }
}

/// Its order goes into the parentheses; over a window, into the window, which then has to be the whole of its partition.
fn listagg(tokens: &[Token<'_>], close: usize, each: &[String]) -> Result<(String, usize), Refused> {
    let name = format!("redshift_catalog.listagg({}", each.join(","));
    let mut end = close;
    let mut order = String::new();
    if let [within, group, open, ..] = &tokens[close + 1..]
        && within.is("within")
        && group.is("group")
        && open.is("(")
        && let Some(closed) = closing(tokens, close + 3)
    {
        order = expression(&tokens[close + 4..closed])?.trim().to_owned();
        end = closed;
    }
    if tokens.get(end + 1).is_some_and(|t| t.is("over"))
        && let Some(closed) = closing(tokens, end + 2)
    {
        let window = expression(&tokens[end + 3..closed])?;
        let whole = if order.is_empty() { "" } else { " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING" };
        return Ok((format!("{name}) OVER ({} {order}{whole})", window.trim()), closed + 1));
    }
    let order = if order.is_empty() { order } else { format!(" {order}") };
    Ok((format!("{name}{order})"), end + 1))
}

/// The text of an EXECUTE, in which strings stand between what is not known: translated as one, and taken apart again. It stays
/// as it is if it cannot be read so.
pub(super) fn dynamic(tokens: &[Token<'_>]) -> String {
    let as_it_is = || tokens.iter().map(plain).collect::<String>();
    let mut sql = String::new();
    for text in tokens.iter().filter_map(Token::literal) {
        sql.push_str(&text);
        sql.push(GAP);
    }
    let strings = sql.matches(GAP).count();
    if strings == 0 {
        return as_it_is();
    }
    let Ok(Lexed { tokens: words, end }) = lex(&sql) else { return as_it_is() };
    let Ok(translated) = super::statement::plain_statement(&words) else { return as_it_is() };
    let translated = translated + end;
    let mut pieces = translated.split(GAP);
    if translated.matches(GAP).count() != strings {
        return as_it_is();
    }
    let mut out = String::new();
    for token in tokens {
        if token.kind == Kind::Text {
            let piece = pieces.next().unwrap_or_default().replace('\'', "''");
            let mark = if piece.contains('\\') { "E" } else { "" };
            out.push_str(&format!("{}{mark}'{}'", token.lead, piece.replace('\\', "\\\\")));
        } else {
            out.push_str(&plain(token));
        }
    }
    out
}
