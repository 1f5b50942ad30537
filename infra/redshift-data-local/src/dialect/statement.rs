//! Statements: what each kind of them has that PostgreSQL lacks.

use super::Refused;
use super::constructs::REFUSED;
use super::expression::{closing, dynamic, expression, split, verbatim, without};
use super::lex::{Kind, Token, lex};
use super::types::{self, For};

type Statements = Result<Vec<String>, Refused>;

/// One statement, in which several may take its place; nothing if it stays as it is, or there is none.
pub(super) fn statement(tokens: &[Token<'_>]) -> Statements {
    if tokens.iter().all(|t| t.is(";")) {
        return Ok(Vec::new());
    }
    for (words, construct, instead) in REFUSED {
        if begins(tokens, words) {
            return Err(Refused::lacking(construct, instead));
        }
    }
    let first = |n: usize| tokens.get(n).map(Token::lower).unwrap_or_default();
    match first(0).as_str() {
        "create" => create(tokens),
        "alter" if first(1) == "table" => alter_table(tokens),
        "alter" if first(1) == "user" => Ok(vec![user(tokens)?]),
        "lock" => lock(tokens),
        "merge" => merge(tokens),
        "vacuum" => vacuum(tokens),
        "analyze" | "analyse" => analyze(tokens),
        "set" => Ok(vec![set(tokens)?]),
        "show" | "reset" if tokens.get(1).is_some_and(|t| t.is_any(&SETTINGS)) => Ok(vec![of_setting(tokens)]),
        "delete" if !tokens.get(1).is_none_or(|t| t.is("from")) => {
            Ok(vec![format!("{}{} FROM{}", tokens[0].lead, tokens[0].text, expression(&tokens[1..])?)])
        }
        "refresh" => Ok(vec![verbatim(&cut(tokens, &["restrict"]))]),
        "drop" if first(1) == "schema" => Ok(vec![drop_schema(tokens)]),
        _ => Ok(vec![expression(tokens)?]),
    }
}

/// The same as one text.
pub(super) fn plain_statement(tokens: &[Token<'_>]) -> Result<String, Refused> {
    Ok(statement(tokens)?.join("; "))
}

fn begins(tokens: &[Token<'_>], words: &[&str]) -> bool {
    words.len() <= tokens.len() && words.iter().zip(tokens).all(|(word, token)| *word == "*" || token.is(word))
}

fn cut<'a>(tokens: &[Token<'a>], words: &[&str]) -> Vec<Token<'a>> {
    tokens.iter().filter(|t| !t.is_any(words)).copied().collect()
}

/// Text as a literal.
pub(crate) fn literal(text: &str) -> String {
    let mark = if text.contains('\\') { "E" } else { "" };
    format!("{mark}'{}'", text.replace('\'', "''").replace('\\', "\\\\"))
}

pub(super) fn array(names: &[String]) -> String {
    format!("ARRAY[{}]::VARCHAR[]", names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", "))
}

/// A name such as `schema.table` that begins at `at`: as it is written, and where it ends.
pub(super) fn name(tokens: &[Token<'_>], at: usize) -> Option<(String, usize)> {
    let part = |t: &Token<'_>| match t.kind {
        Kind::Word if t.text.starts_with('#') => Some(format!("\"{}\"", t.lower())),
        Kind::Word | Kind::Name => Some(t.text.to_owned()),
        _ => None,
    };
    let mut text = tokens.get(at).and_then(part)?;
    let mut end = at + 1;
    while tokens.get(end).is_some_and(|t| t.is("."))
        && let Some(next) = tokens.get(end + 1).and_then(part)
    {
        text = format!("{text}.{next}");
        end += 2;
    }
    Some((text, end))
}

/// Past `IF NOT EXISTS` or `IF EXISTS`.
pub(super) fn past_if(tokens: &[Token<'_>], at: usize) -> usize {
    let words = tokens.get(at..).unwrap_or_default().iter().take_while(|t| t.is_any(&["if", "not", "exists"])).count();
    at + words
}

/// The names in `(a, b)` from `open` on, and where they end.
fn names(tokens: &[Token<'_>], open: usize) -> Option<(Vec<String>, usize)> {
    let close = tokens.get(open).filter(|t| t.is("(")).and_then(|_| closing(tokens, open))?;
    let names = split(&tokens[open + 1..close], |t| t.is(","))
        .into_iter()
        .map(|part| part.first()?.name())
        .collect::<Option<_>>()?;
    Some((names, close + 1))
}

fn create(tokens: &[Token<'_>]) -> Statements {
    let skipped = tokens[1..].iter().take_while(|t| t.is_any(&["or", "replace", "local", "temp", "temporary"])).count();
    let at = 1 + skipped;
    let is = |n: usize, word: &str| tokens.get(at + n).is_some_and(|t| t.is(word));
    if is(0, "external") && is(1, "schema") {
        return super::external::schema(tokens);
    }
    if is(0, "external") && is(1, "table") {
        return super::external::table(tokens);
    }
    if is(0, "table") {
        return create_table(tokens, at);
    }
    if is(0, "materialized") {
        return materialized_view(tokens);
    }
    if is(0, "view") {
        let unbound = tokens.windows(4).position(|w| begins(w, &["with", "no", "schema", "binding"]));
        let end = if tokens.last().is_some_and(|t| t.is(";")) { ";" } else { "" };
        return Ok(vec![match unbound {
            Some(unbound) => expression(&tokens[..unbound])? + end,
            None => expression(tokens)?,
        }]);
    }
    if is(0, "procedure") || is(0, "function") {
        return Ok(vec![routine(tokens)?]);
    }
    if is(0, "user") {
        return Ok(vec![user(tokens)?]);
    }
    Ok(vec![expression(tokens)?])
}

/// What a table's definition says of its distribution and order.
#[derive(Default)]
struct Keys {
    distribution: Vec<String>,
    sort: Vec<String>,
}

impl Keys {
    /// Takes a clause from `at` on, if one begins there; where it ends.
    fn take(&mut self, tokens: &[Token<'_>], at: usize) -> Option<usize> {
        let is = |n: usize, words: &[&str]| tokens.get(at + n).is_some_and(|t| t.is_any(words));
        if is(0, &["backup"]) && is(1, &["yes", "no"])
            || is(0, &["diststyle"]) && is(1, &["auto", "even", "key", "all"])
            || is(0, &["encode"]) && is(1, &["auto"])
            || is(0, &["sortkey"]) && is(1, &["auto", "none"])
        {
            return Some(at + 2);
        }
        if is(0, &["distkey"]) {
            let (columns, end) = names(tokens, at + 1)?;
            self.distribution = columns;
            return Some(end);
        }
        let style = usize::from(is(0, &["compound", "interleaved"]));
        if is(style, &["sortkey"]) {
            let (columns, end) = names(tokens, at + style + 1)?;
            self.sort = columns;
            return Some(end);
        }
        None
    }

    fn check(&self, known: &[String]) -> Result<(), Refused> {
        for (keyword, columns) in [("DISTKEY", &self.distribution), ("SORTKEY", &self.sort)] {
            if let Some(missing) = columns.iter().find(|column| !known.contains(column)) {
                return Err(Refused::Wrong(format!("column {missing:?} named as {keyword} does not exist")));
            }
        }
        Ok(())
    }
}

fn create_table(tokens: &[Token<'_>], at: usize) -> Statements {
    let from = past_if(tokens, at + 1);
    let Some((table, mut here)) = name(tokens, from) else { return Ok(vec![expression(tokens)?]) };
    // PostgreSQL has temporary tables, and Redshift those with # as well.
    let temporary = table.starts_with("\"#") && !tokens[..at].iter().any(|t| t.is_any(&["temp", "temporary"]));
    let head = if temporary { format!("{}{} TEMP", tokens[0].lead, tokens[0].text) } else { verbatim(&tokens[..1]) };
    let mut out = format!("{head}{} {table}", verbatim(&tokens[1..from]));
    let mut keys = Keys::default();
    let mut known = None;
    while let Some(token) = tokens.get(here) {
        if token.is("as") && !token.lead.is_empty() || token.is_any(&["select", "with"]) {
            out.push_str(&expression(&tokens[here..])?);
            break;
        }
        if let Some(end) = keys.take(tokens, here) {
            out.push_str(without(token));
            here = end;
        } else if token.is("(")
            && let Some(close) = closing(tokens, here)
        {
            let (text, columns) = elements(&tokens[here + 1..close], &mut keys)?;
            out.push_str(&format!("{}({text}{})", token.lead, tokens[close].lead));
            known = Some(columns);
            here = close + 1;
        } else {
            out.push_str(&format!("{}{}", token.lead, token.text));
            here += 1;
        }
    }
    // Of a LIKE and of a query the columns are not known here.
    if let Some(known) = known.filter(|known| !known.is_empty()) {
        keys.check(&known)?;
    }
    let mut all = vec![out];
    if !keys.sort.is_empty() {
        all.push(format!("CALL redshift_catalog.zone_map({})", literal(&table)));
    }
    Ok(all)
}

/// Columns and constraints, and the columns' names; none if there may be others.
fn elements(tokens: &[Token<'_>], keys: &mut Keys) -> Result<(String, Vec<String>), Refused> {
    let all = split(tokens, |t| t.is(","));
    let is_constraint = |element: &&[Token<'_>]| {
        element.first().is_some_and(|t| t.is_any(&["primary", "foreign", "unique", "constraint", "check", "like"]))
    };
    // Of a primary key PostgreSQL's has to be left out, which is enforced; that its columns are NOT NULL is enforced on both.
    let mut not_null = Vec::new();
    for element in all.iter().copied().filter(|e| is_constraint(e)) {
        if let Some(key) = element.iter().position(|t| t.is("primary"))
            && let Some((columns, _)) = names(element, key + 2)
        {
            not_null.extend(columns);
        }
    }
    let (mut texts, mut known, mut others) = (Vec::new(), Vec::new(), false);
    for element in &all {
        let Some(first) = element.first() else { continue };
        if is_constraint(element) {
            if first.is_any(&["like", "check"]) || element.iter().any(|t| t.is("check")) {
                others |= first.is("like");
                texts.push(expression(element)?);
            }
        } else if element.len() == 1 {
            // CREATE TABLE name (a, b) AS SELECT ...
            known.extend(first.name());
            texts.push(verbatim(element));
        } else {
            let column = first.name().unwrap_or_default();
            let needed = not_null.contains(&column);
            known.push(column.clone());
            texts.push(self::column(element, &column, needed, keys)?);
        }
    }
    if others {
        known.clear();
    }
    Ok((texts.join(","), known))
}

/// The words that may follow a column's type.
const ATTRIBUTES: [&str; 13] = [
    "default",
    "identity",
    "generated",
    "encode",
    "distkey",
    "sortkey",
    "collate",
    "not",
    "null",
    "unique",
    "primary",
    "references",
    "constraint",
];

fn column(tokens: &[Token<'_>], column: &str, not_null: bool, keys: &mut Keys) -> Result<String, Refused> {
    if tokens.len() < 2 {
        return expression(tokens);
    }
    let end = tokens[1..].iter().position(|t| t.is_any(&ATTRIBUTES)).map_or(tokens.len(), |n| n + 1);
    if end == 1 {
        return expression(tokens);
    }
    let mut out = format!("{}{}{}", tokens[0].lead, tokens[0].text, tokens[1].lead)
        + &types::named(&tokens[1..end], For::Column)?;
    let mut required = not_null;
    let mut at = end;
    while let Some(token) = tokens.get(at) {
        let next = |n: usize, word: &str| tokens.get(at + n).is_some_and(|t| t.is(word));
        match token.lower().as_str() {
            "encode" => at += 2,
            "distkey" => {
                keys.distribution.push(column.to_owned());
                at += 1;
            }
            "sortkey" => {
                keys.sort.push(column.to_owned());
                at += 1;
            }
            "unique" => at += 1,
            "primary" => {
                required = true;
                at += 2;
            }
            "not" if next(1, "null") => {
                required = true;
                at += 2;
            }
            "references" => {
                let end = name(tokens, at + 1).map_or(tokens.len(), |(_, end)| end);
                at = names(tokens, end).map_or(end, |(_, end)| end);
            }
            "collate" if next(1, "case_sensitive") => at += 2,
            "collate" if next(1, "case_insensitive") => {
                return Err(Refused::lacking("COLLATE CASE_INSENSITIVE", "compare LOWER(...) of both sides"));
            }
            "identity" | "generated" => {
                let kind = if token.is("identity") { "ALWAYS" } else { "BY DEFAULT" };
                let Some(open) = (at..tokens.len()).find(|n| tokens[*n].is("(")) else { return expression(tokens) };
                let Some(close) = closing(tokens, open) else { return expression(tokens) };
                let Some([seed, step]) =
                    split(&tokens[open + 1..close], |t| t.is(",")).get(..2).map(|two| [two[0], two[1]])
                else {
                    return Err(Refused::Wrong("IDENTITY takes a seed and a step: IDENTITY(1, 1)".to_owned()));
                };
                let (seed, step) = (verbatim(seed), verbatim(step));
                let bound = if step.trim().starts_with('-') { "MAXVALUE" } else { "MINVALUE" };
                out.push_str(&format!(
                    " GENERATED {kind} AS IDENTITY (START WITH {seed} INCREMENT BY {step} {bound} {seed})",
                    seed = seed.trim(),
                    step = step.trim()
                ));
                at = close + 1;
            }
            "default" => {
                let end = tokens
                    .get(at + 2..)
                    .unwrap_or_default()
                    .iter()
                    .position(|t| t.is_any(&ATTRIBUTES))
                    .map_or(tokens.len(), |n| at + 2 + n);
                out.push_str(&expression(&tokens[at..end])?);
                at = end;
            }
            _ => {
                out.push_str(&format!("{}{}", token.lead, token.text));
                at += 1;
            }
        }
    }
    if required {
        out.push_str(" NOT NULL");
    }
    Ok(out)
}

fn materialized_view(tokens: &[Token<'_>]) -> Statements {
    let mut keys = Keys::default();
    let (mut out, mut at) = (String::new(), 0);
    while let Some(token) = tokens.get(at) {
        if token.is("as") {
            out.push_str(&expression(&tokens[at..])?);
            break;
        }
        let refreshes = token.is("auto") && tokens.get(at + 1).is_some_and(|t| t.is("refresh"));
        if let Some(end) = keys.take(tokens, at).or(refreshes.then_some(at + 3)) {
            at = end;
        } else {
            out.push_str(&format!("{}{}", token.lead, token.text));
            at += 1;
        }
    }
    Ok(vec![out])
}

fn alter_table(tokens: &[Token<'_>]) -> Statements {
    let from = past_if(tokens, 2);
    let Some((table, at)) = name(tokens, from) else { return Ok(vec![expression(tokens)?]) };
    let is = |n: usize, words: &[&str]| tokens.get(at + n).is_some_and(|t| t.is_any(words));
    let check = |columns: &[String], keyword: &str| {
        let lead = tokens[0].lead;
        format!("{lead}CALL redshift_catalog.check_columns({}, {}, '{keyword}')", literal(&table), array(columns))
    };
    if is(0, &["append"]) {
        return Err(Refused::lacking("ALTER TABLE APPEND", "INSERT INTO ... SELECT, then TRUNCATE of the source"));
    }
    if is(0, &["add", "drop", "set", "partition"]) {
        if let Some(all) = super::external::alter(tokens, &table, at)? {
            return Ok(all);
        }
        let constraint = if is(1, &["constraint"]) { 3 } else { 1 };
        if is(0, &["add"]) && is(constraint, &["primary", "unique", "foreign"]) {
            let columns =
                (at..tokens.len()).find_map(|n| names(tokens, n)).map(|(columns, _)| columns).unwrap_or_default();
            return Ok(vec![check(&columns, "KEY")]);
        }
        let column = if is(1, &["column"]) { at + 2 } else { at + 1 };
        if is(0, &["add"]) && !is(1, &["constraint", "check"]) {
            let end = tokens.len() - usize::from(tokens.last().is_some_and(|t| t.is(";")));
            let added = self::column(&tokens[column..end], "", false, &mut Keys::default())?;
            return Ok(vec![verbatim(&tokens[..column]) + &added]);
        }
    }
    if is(0, &["alter"]) {
        let mut keys = Keys::default();
        let style = usize::from(is(1, &["compound", "interleaved"]));
        if is(1, &["distkey"]) {
            let column = tokens.get(at + 2).and_then(Token::name).unwrap_or_default();
            return Ok(vec![check(&[column], "DISTKEY")]);
        }
        if is(1, &["diststyle"]) {
            let column = if is(3, &["distkey"]) { tokens.get(at + 4).and_then(Token::name) } else { None };
            return Ok(vec![check(column.as_slice(), "DISTKEY")]);
        }
        if is(1 + style, &["sortkey"]) {
            return Ok(match names(tokens, at + 2 + style) {
                Some((columns, _)) => {
                    vec![check(&columns, "SORTKEY"), format!("CALL redshift_catalog.zone_map({})", literal(&table))]
                }
                None => vec![check(&[], "SORTKEY")],
            });
        }
        if keys.take(tokens, at + 1).is_some() {
            return Ok(vec![check(&[], "ENCODE")]);
        }
        let encoded: Vec<_> = split(&tokens[at..], |t| t.is(","))
            .into_iter()
            .filter(|part| part.iter().any(|t| t.is("encode")))
            .collect();
        if !encoded.is_empty() {
            let columns: Vec<_> = encoded
                .iter()
                .filter_map(|part| part.iter().find(|t| !t.is_any(&["alter", "column"])).and_then(Token::name))
                .collect();
            return Ok(vec![check(&columns, "ENCODE")]);
        }
        if let Some(of) = tokens.iter().position(|t| t.is("type")) {
            let length = types::length(&tokens[of + 1..]);
            if length > 0 {
                let named = types::named(&tokens[of + 1..=of + length], For::Column)?;
                return Ok(vec![format!(
                    "{} {named}{}",
                    verbatim(&tokens[..=of]),
                    verbatim(&tokens[of + 1 + length..])
                )]);
            }
        }
    }
    Ok(vec![expression(tokens)?])
}

/// PASSWORD DISABLE, as users that come by IAM have it.
fn user(tokens: &[Token<'_>]) -> Result<String, Refused> {
    let disable = tokens.windows(2).position(|w| w[0].is("password") && w[1].is("disable"));
    match disable {
        Some(at) => Ok(format!("{} NULL{}", verbatim(&tokens[..=at]), verbatim(&tokens[at + 2..]))),
        None => expression(tokens),
    }
}

fn lock(tokens: &[Token<'_>]) -> Statements {
    let from = 1 + usize::from(tokens.get(1).is_some_and(|t| t.is("table")));
    if tokens.iter().any(|t| t.is_any(&["in", "nowait"])) {
        return Err(Refused::Wrong(
            "LOCK on Redshift has neither a mode nor NOWAIT: it is ACCESS EXCLUSIVE, and waits".to_owned(),
        ));
    }
    let end = tokens.len() - usize::from(tokens.last().is_some_and(|t| t.is(";")));
    let mut tables = Vec::new();
    for part in split(&tokens[from..end], |t| t.is(",")) {
        match name(part, 0) {
            Some((table, end)) if end == part.len() => tables.push(literal(&table)),
            _ => return Ok(vec![verbatim(tokens)]),
        }
    }
    Ok(vec![format!("{}CALL redshift_catalog.lock_tables({})", tokens[0].lead, tables.join(", "))])
}

fn merge(tokens: &[Token<'_>]) -> Statements {
    let into = 1 + usize::from(tokens.get(1).is_some_and(|t| t.is("into")));
    let Some((target, using)) = name(tokens, into) else { return Ok(vec![expression(tokens)?]) };
    if !tokens.get(using).is_some_and(|t| t.is("using")) {
        return Err(Refused::Wrong(
            "the target of a MERGE on Redshift has no alias: USING follows its name".to_owned(),
        ));
    }
    let [.., remove, duplicates] = tokens.strip_suffix_semicolon() else { return Ok(vec![expression(tokens)?]) };
    if !(remove.is("remove") && duplicates.is("duplicates")) {
        return Ok(vec![expression(tokens)?]);
    }
    let tokens = tokens.strip_suffix_semicolon();
    let Some((source, after)) = name(tokens, using + 1) else {
        return Err(Refused::Wrong("the source of a MERGE ... REMOVE DUPLICATES is a table".to_owned()));
    };
    let Some(on) = (after..tokens.len()).find(|n| tokens[*n].is("on")) else { return Ok(vec![expression(tokens)?]) };
    let alias = tokens[after..on].iter().rfind(|t| !t.is("as")).map(|t| t.text.to_owned());
    let of_source = alias.clone().unwrap_or_else(|| source.clone());
    let source = alias.map_or_else(|| source.clone(), |alias| format!("{source} AS {alias}"));
    let condition = expression(&tokens[on + 1..tokens.len() - 2])?;
    Ok(vec![format!(
        "{lead}WITH matches AS (SELECT COUNT(*) AS n FROM {target} JOIN {source} ON{condition} GROUP BY {target}.ctid), \
         gone AS (DELETE FROM {target} USING {source} WHERE{condition}) \
         INSERT INTO {target} SELECT {of_source}.* FROM {source} \
         WHERE redshift_catalog.one_match((SELECT COALESCE(MAX(n), 0) FROM matches))",
        lead = tokens[0].lead,
    )])
}

/// A statement without the semicolon at its end.
trait Stripped<'t, 'a> {
    fn strip_suffix_semicolon(self) -> &'t [Token<'a>];
}

impl<'t, 'a> Stripped<'t, 'a> for &'t [Token<'a>] {
    fn strip_suffix_semicolon(self) -> &'t [Token<'a>] {
        match self {
            [rest @ .., last] if last.is(";") => rest,
            all => all,
        }
    }
}

/// Space and order are PostgreSQL's own here: what is left is its VACUUM.
fn vacuum(tokens: &[Token<'_>]) -> Statements {
    let kinds = tokens[1..]
        .iter()
        .take_while(|t| t.is_any(&["full", "sort", "only", "delete", "reindex", "recluster"]))
        .count();
    let table = name(tokens, 1 + kinds).map_or_else(String::new, |(table, _)| format!(" {table}"));
    Ok(vec![format!("{}VACUUM{table}", tokens[0].lead)])
}

fn analyze(tokens: &[Token<'_>]) -> Statements {
    let mut kept = cut(tokens, &["predicate", "all"]);
    if kept.len() < tokens.len() {
        kept.retain(|t| !t.is("columns"));
    }
    Ok(vec![verbatim(&kept)])
}

/// Settings of Redshift's that have no meaning here are kept under a name of their own, so that SHOW finds them.
const SETTINGS: [&str; 10] = [
    "query_group",
    "wlm_query_slot_count",
    "enable_result_cache_for_session",
    "analyze_threshold_percent",
    "describe_field_name_in_uppercase",
    "enable_vacuum_boost",
    "max_concurrency_scaling_clusters",
    "mv_enable_aqmv_for_session",
    "spectrum_enable_pseudo_columns",
    "enable_numeric_rounding",
];

fn set(tokens: &[Token<'_>]) -> Result<String, Refused> {
    let at = 1 + usize::from(tokens.get(1).is_some_and(|t| t.is_any(&["session", "local"])));
    let Some(setting) = tokens.get(at) else { return Ok(verbatim(tokens)) };
    if setting.is_any(&SETTINGS) {
        let rest = verbatim(&tokens[at + 1..]);
        return Ok(format!("{}{}redshift_catalog.{}{rest}", verbatim(&tokens[..at]), setting.lead, setting.text));
    }
    if setting.is("enable_case_sensitive_identifier") && tokens.iter().any(|t| t.is_any(&["true", "on"])) {
        return Err(Refused::lacking(
            "enable_case_sensitive_identifier",
            "leave it: quoted names keep their case here, others are in small letters",
        ));
    }
    // The functions of Redshift's come last in every search path.
    if setting.is("search_path") && !tokens.iter().any(|t| t.is_any(&["default", "redshift_catalog"])) {
        let stripped = tokens.strip_suffix_semicolon();
        return Ok(format!("{}, redshift_catalog", verbatim(stripped)));
    }
    Ok(verbatim(tokens))
}

/// SHOW and RESET of one of them. One that was never set is empty.
fn of_setting(tokens: &[Token<'_>]) -> String {
    let (lead, setting) = (tokens[0].lead, tokens[1].lower());
    match tokens[0].is("show") {
        true => format!("{lead}SELECT pg_catalog.current_setting('redshift_catalog.{setting}', true) AS {setting}"),
        false => format!("{lead}RESET redshift_catalog.{setting}"),
    }
}

fn drop_schema(tokens: &[Token<'_>]) -> String {
    match tokens.windows(3).position(|w| begins(w, &["drop", "external", "database"])) {
        Some(at) => verbatim(&tokens[..at]) + &verbatim(&cut(&tokens[at..], &["drop", "external", "database"])),
        None => verbatim(tokens),
    }
}

/// A procedure or function, with what its body holds.
fn routine(tokens: &[Token<'_>]) -> Result<String, Refused> {
    let language = tokens.windows(2).find(|w| w[0].is("language")).map(|w| w[1].lower()).unwrap_or_default();
    if language.contains("python") {
        return Err(Refused::lacking("functions in Python", "write them in SQL"));
    }
    if tokens.iter().any(|t| t.is("nonatomic")) {
        return Err(Refused::lacking(
            "NONATOMIC procedures",
            "leave the word out: the procedure is one transaction then",
        ));
    }
    let mut out = String::new();
    for token in tokens {
        out.push_str(token.lead);
        if token.kind != Kind::Dollar {
            // The types of arguments.
            out.push_str(match token.lower().as_str() {
                "max" => "65535",
                "super" => "JSONB",
                "varbyte" => "BYTEA",
                _ => token.text,
            });
            continue;
        }
        let tag = token.text[1..].find('$').unwrap_or(0) + 2;
        let (opening, body) = token.text.split_at(tag);
        let (body, end) = body.split_at(body.len() - tag);
        let lexed = lex(body)?;
        let body = if language == "plpgsql" { procedure(&lexed.tokens)? } else { expression(&lexed.tokens)? };
        out.push_str(&[opening, &body, lexed.end, end].concat());
    }
    Ok(out)
}

/// The statements of PL/pgSQL, with those of SQL among them: they follow a semicolon, or the words after which statements stand.
fn procedure(tokens: &[Token<'_>]) -> Result<String, Refused> {
    let mut out = String::new();
    let (mut from, mut depth, mut cases) = (0, 0_i32, 0_u32);
    for (at, token) in tokens.iter().enumerate() {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        if depth != 0 {
            continue;
        }
        let ends = token.is(";") || (cases == 0 && token.is_any(&["begin", "declare", "then", "else", "loop"]));
        if token.is("case") && !(at > 0 && tokens[at - 1].is("end")) {
            cases += 1;
        } else if token.is("end") || token.is(";") {
            cases = if token.is(";") { 0 } else { cases.saturating_sub(1) };
        }
        if ends {
            out.push_str(&segment(&tokens[from..at])?);
            out.push_str(&verbatim(&tokens[at..=at]));
            from = at + 1;
        }
    }
    Ok(out + &segment(&tokens[from..])?)
}

fn segment(tokens: &[Token<'_>]) -> Result<String, Refused> {
    if let Some(execute) = tokens.iter().position(|t| t.is("execute")) {
        return Ok(verbatim(&tokens[..=execute]) + &dynamic(&tokens[execute + 1..]));
    }
    match tokens.first() {
        // A LOCK is in a transaction here, and its errors name no procedure of ours.
        Some(first) if first.is("lock") => Ok(verbatim(tokens)),
        Some(_) => plain_statement(tokens),
        None => Ok(String::new()),
    }
}
