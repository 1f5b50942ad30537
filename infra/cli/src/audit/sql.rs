//! The SQL of an audit: `audit.sql.jinja`, filled in from a declaration. The same declaration makes the same bytes.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::declaration::{Column, Declaration, Ignore};
use super::types::Kind;
use crate::name::{Name, Qualified};
use crate::{Error, Result};

const TEMPLATE: &str = include_str!("audit.sql.jinja");
/// What an EXECUTE may hold: a VARCHAR of Redshift's.
const MAX_STATEMENT_BYTES: usize = 65_535;
/// What a list of runs may take of it; a statement holds two.
const LIST_BYTES: usize = 8_000;
/// Up to so many bytes the values of both sides are hashed as they are; above, each long text by itself.
const MAX_VALUES_BYTES: u32 = 16_000;
/// A text above this is long.
const LONG_TEXT_BYTES: u32 = 64;
/// The bits of a BIGINT that say which columns are NULL.
const NULL_BITS: usize = 60;
/// Integers in a mismatch_key, the run's included, that stand there as they are: three fit in.
const PLAIN_INTEGERS: usize = 3;
/// So many bytes of the names of differing columns are recorded, in every audit: the column is never widened.
const DIFFERING_BYTES: usize = 256;

impl Declaration {
    /// The SQL that makes the audit's tables and procedures, for Redshift and PostgreSQL alike.
    ///
    /// # Errors
    /// If a statement would be longer than Redshift executes.
    pub fn sql(&self) -> Result<String> {
        let wrong = |e: minijinja::Error| Error::doing("write the SQL of an audit", e);
        let mut environment = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
        environment.set_syntax(syntax.build().map_err(wrong)?);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_filter("q", |text: String| text.replace('\'', "''"));
        environment.add_filter("percent", |text: String| text.replace('%', "%%"));
        let sql = environment.render_str(TEMPLATE, self.context()).map_err(wrong)?;
        self.check_length(&sql)?;
        Ok(sql)
    }

    /// Measures what is executed, its constants and lists put in.
    fn check_length(&self, sql: &str) -> Result<()> {
        let constants = [
            ("typed_columns", self.typed(true)),
            ("source_columns", self.typed(true)),
            ("target_columns", self.typed(false)),
            ("numbered_columns", self.names() + &self.order()),
            ("sum_of_rows", self.hash()),
            ("in_window", "x".repeat(LIST_BYTES)),
            ("in_differing", "x".repeat(LIST_BYTES)),
        ];
        // Each list may end with one more run.
        let slack = 500 + 3 * self.run.of.bytes() as usize;
        let executed =
            sql.split("EXECUTE '").skip(1).map(|rest| rest.split_once("';\n").map_or(rest, |(statement, _)| statement));
        let length = |statement: &str| {
            let used =
                constants.iter().map(|(name, text)| statement.matches(&format!("|| {name} ||")).count() * text.len());
            statement.len() + used.sum::<usize>() + slack
        };
        let bytes = executed.map(length).max().unwrap_or(0);
        if bytes <= MAX_STATEMENT_BYTES {
            return Ok(());
        }
        Err(Error::new(format!(
            "{}: {} columns and the filters make a statement of {bytes} bytes, and Redshift executes {MAX_STATEMENT_BYTES}: compare fewer",
            self.name.value,
            self.columns.len()
        )))
    }

    fn context(&self) -> Value {
        let name = self.name.value.as_str();
        let ours = |name: String| self.own(&name);
        let [procedure, sweep, between] = self.procedures();
        let table = self.table();
        let mutex = ours(format!("{name}_audit_mutex"));
        let locks: Vec<_> = std::iter::once(mutex.clone()).chain(self.locks.iter().map(Qualified::to_string)).collect();
        let run = &self.run;
        let run_name = run.name.value.to_string();
        let kind = run.of.kind();
        let time = self.time.as_ref().map(|time| &time.value);
        let one_way = self.typed(true) == self.typed(false);
        let typed = if one_way {
            vec![context! {constant => "typed_columns", sql => self.typed(true)}]
        } else {
            [("source_columns", true), ("target_columns", false)]
                .map(|(constant, source)| context! {constant => constant, sql => self.typed(source)})
                .to_vec()
        };
        let window = &self.window.value;
        let identity: Vec<_> = self.identity().map(|column| column.name.value.to_string()).collect();
        let each = |write: &dyn Fn(&str) -> String| identity.iter().map(|name| write(name)).collect::<Vec<_>>();
        let tables = context! {
            name => name,
            table => table.to_string(),
            table_name => table.name.to_string(),
            table_raw => table.name.raw(),
            schema_raw => table.schema.raw(),
            mutex => mutex,
            locks => locks.join(", "),
            locks_of_loads => !self.locks.is_empty(),
            number => ours(format!("{name}_audit_number")),
            audited => ours(format!("{name}_audited_runs")),
            source => self.source.to_string(),
            target => self.target.to_string(),
            from_source => self.rows_of(true),
            from_target => self.rows_of(false),
            procedure => procedure,
            sweep => sweep,
            between => between,
            worker => ours(format!("audit_{name}_worker_sp")),
            worker_name => format!("audit_{name}_worker_sp"),
            migrate => self.migration(),
            grants => self.grants().lines().map(str::to_owned).collect::<Vec<_>>(),
            migrate_name => format!("migrate_{name}_audit_sp"),
        };
        let limits = context! {
            by_days => window.days.is_some(),
            window => window.runs.or(window.days),
            unit => if window.days.is_some() { "days" } else { "runs" },
            window_words => match (window.runs, window.days) {
                (Some(runs), _) => format!("the {runs} newest runs"),
                (_, days) => format!("the runs with rows of the last {} days", days.unwrap_or_default()),
            },
            sweep_window => self.sweep.as_ref().and_then(|sweep| sweep.value.runs.or(sweep.value.days)),
            sweep_words => match self.sweep.as_ref().map(|sweep| (sweep.value.runs, sweep.value.days)) {
                Some((Some(runs), _)) => format!("the {runs} newest runs"),
                Some((_, Some(days))) => format!("the runs with rows of the last {days} days"),
                _ => "everything".to_owned(),
            },
            settling_minutes => self.settling_minutes.as_ref().map_or(0, |minutes| minutes.value),
            rows_of_a_run => self.rows_of_a_run,
            retention_days => self.retention_days,
            list_bytes => LIST_BYTES,
            differing_bytes => DIFFERING_BYTES,
            differing_characters => self.differing_characters(),
        };
        let columns = context! {
            run => run_name,
            run_type => run.of.stored(),
            run_text => self.run_text(),
            keys => self.key.iter().map(|key| {
                context! {name => key.name.value.to_string(), type => key.of.stored()}
            }).collect::<Vec<_>>(),
            key_list => identity[1..].join(", "),
            identity => &identity,
            identity_list => self.identity_list(),
            f_identity => each(&|name| format!("f.{name}")).join(", "),
            m_keys => each(&|name| format!("m.{name}"))[1..].join(", "),
            m_columns => self.m_columns(),
            least_identity => each(&|name| format!("MIN({name}) AS {name}")).join(", "),
            same_row => self.identity().map(same_identity).collect::<Vec<_>>().join(" AND "),
            same_mismatch => each(&|name| format!("m.{name} = {}.{name}", table.name)).join(" AND "),
            mismatch_key => self.mismatch_key("kind"),
            unknown_key => self.mismatch_key("COALESCE(kind, 'UNKNOWN')"),
            time => time.map(Name::to_string),
            time_raw => time.map(Name::raw),
            time_list => time.map(|time| format!("{time}, ")).unwrap_or_default(),
            newest => time.map_or("CAST(NULL AS TIMESTAMP)".to_owned(), |time| format!("MAX({time})")),
            low_literal => kind.literal("low"),
            high_literal => kind.literal("high"),
            first_literal => kind.literal("first_run"),
            listed_literal => kind.literal("listed.run"),
            typed => typed,
            typed_source => if one_way { "typed_columns" } else { "source_columns" },
            typed_target => if one_way { "typed_columns" } else { "target_columns" },
            names => self.names(),
            order => self.order(),
            hash => self.hash(),
            differing => self.differing(),
            values => self.values(),
            needed => format!("{} and status", self.identity_list()),
        };
        context! {..tables, ..context! {..limits, ..columns}}
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name.value
    }

    /// The two tables, and what they are to the audit.
    pub(crate) fn compared(&self) -> [(&Qualified, &'static str); 2] {
        [(&self.source, "source"), (&self.target, "target")]
    }

    /// Everything that has to be there, and what it is to the audit.
    pub(crate) fn needed(&self) -> Vec<(&Qualified, &'static str)> {
        let locks = self.locks.iter().map(|lock| (lock, "mutex"));
        self.compared().into_iter().chain(locks).collect()
    }

    /// The schemas of all that, as a catalog has them.
    pub(crate) fn schemas(&self) -> Vec<String> {
        let mut schemas: Vec<_> = self.needed().into_iter().map(|(table, _)| table.raw().0).collect();
        schemas.push(self.table().raw().0);
        schemas.sort();
        schemas.dedup();
        schemas
    }

    /// The procedures that are called: the window's, the sweep and that of a span.
    pub(crate) fn procedures(&self) -> [String; 3] {
        ["", "_sweep", "_between"].map(|which| self.own(&format!("audit_{}{which}_sp", self.name.value)))
    }

    /// The table of the last audit's number.
    pub(crate) fn number(&self) -> Qualified {
        Qualified { schema: self.target.schema.clone(), name: Name::plain(format!("{}_audit_number", self.name.value)) }
    }

    /// What tells the rows of the audit table apart.
    pub(crate) fn identity_names(&self) -> Vec<Name> {
        self.identity().map(|column| column.name.value.clone()).collect()
    }

    /// The procedure that brings an older audit table up to date.
    pub(crate) fn migration(&self) -> String {
        self.own(&format!("migrate_{}_audit_sp", self.name.value))
    }

    /// What "caller", who calls the procedures as an execution does, and "auditor", who tells of the mismatches, need: a line of SQL
    /// each. Of an external table nothing but the use of its schema is granted.
    pub fn grants(&self) -> String {
        let (schema, run) = (&self.target.schema, self.run.of.stored());
        let [window, sweep, between] = self.procedures();
        let worker = self.own(&format!("audit_{}_worker_sp", self.name.value));
        let own = |end: &str| self.own(&format!("{}_{end}", self.name.value));
        let mut caller: Vec<_> =
            [&self.target.schema, &self.source.schema].map(|schema| format!("USAGE ON SCHEMA {schema}")).into();
        caller.dedup();
        caller.extend([&self.source, &self.target].map(|table| format!("SELECT ON {table}")));
        let mutexes = std::iter::once(own("audit_mutex")).chain(self.locks.iter().map(Qualified::to_string));
        caller.extend(mutexes.map(|mutex| format!("SELECT, UPDATE ON {mutex}")));
        caller.extend([
            format!("SELECT, INSERT, UPDATE, DELETE ON {}", self.table()),
            format!("SELECT, INSERT, UPDATE ON {}", own("audited_runs")),
            format!("SELECT, INSERT, DELETE ON {}", own("audit_number")),
        ]);
        let calls = [
            format!("{window}()"),
            format!("{sweep}()"),
            format!("{sweep}(BIGINT)"),
            format!("{between}({run}, {run})"),
            format!("{worker}(BIGINT, {run}, {run})"),
        ];
        caller.extend(calls.map(|call| format!("EXECUTE ON PROCEDURE {call}")));
        let auditor = [format!("USAGE ON SCHEMA {schema}"), format!("SELECT, UPDATE ON {}", self.table())];
        let line = |what: String, to: &str| format!("GRANT {what} TO \"{to}\";\n");
        caller.into_iter().map(|what| line(what, "caller")).chain(auditor.map(|what| line(what, "auditor"))).collect()
    }

    /// A name in the target's schema.
    fn own(&self, name: &str) -> String {
        format!("{}.{name}", self.target.schema)
    }

    pub(crate) fn table(&self) -> Qualified {
        let by_default = || Qualified {
            schema: self.target.schema.clone(),
            name: Name::plain(format!("{}_audit", self.name.value)),
        };
        self.audit_table.clone().unwrap_or_else(by_default)
    }

    pub(super) fn identity_list(&self) -> String {
        list(self.identity().map(|column| column.name.value.to_string()))
    }

    pub(super) fn names(&self) -> String {
        list(self.all_columns().map(|column| column.name.value.to_string()))
    }

    /// The table of a side, and which of its rows are compared.
    pub(super) fn rows_of(&self, source: bool) -> String {
        let (table, filter) =
            if source { (&self.source, &self.source_filter) } else { (&self.target, &self.target_filter) };
        match filter {
            Some(filter) => format!("{table} WHERE ({})", filter.value),
            None => table.to_string(),
        }
    }

    /// Every column of a side, as it is compared.
    pub(super) fn typed(&self, source: bool) -> String {
        let read = |column: &Column| {
            let own = &column.name.value;
            let name = if source { column.source.as_ref().unwrap_or(own) } else { own };
            let mut sql = column.of.read(&name.to_string());
            // Redshift joins 'a' with 'a ': what tells rows apart has no blanks at its end, on either engine.
            if column.of.kind() == Kind::Text && self.identity().any(|each| std::ptr::eq(each, column)) {
                sql = format!("RTRIM({sql})");
            }
            if column.ignore.contains(&Ignore::Blanks) {
                sql = format!("TRIM({sql})");
            }
            if column.ignore.contains(&Ignore::Case) {
                sql = format!("LOWER({sql})");
            }
            if column.of.kind() == Kind::Text {
                sql = column.of.fit(&sql);
            }
            format!("{sql} AS {own}")
        };
        self.all_columns().map(read).collect::<Vec<_>>().join(",\n        ")
    }

    /// Which of several rows of a key is the first.
    pub(super) fn order(&self) -> String {
        let time = self.time.as_ref().map(|time| &time.value);
        let rest = self.columns.iter().map(|column| &column.name.value).filter(|name| Some(*name) != time);
        let order = list(time.map(|time| format!("{time} DESC")).into_iter().chain(rest.map(Name::to_string)));
        if order.is_empty() { self.identity_list() } else { order }
    }

    /// A number of a row's columns but the run: those that hold no text say in bits that they are NULL, texts by their length.
    fn hash(&self) -> String {
        let columns: Vec<_> = self.key.iter().chain(&self.columns).collect();
        let (texts, others): (Vec<_>, Vec<_>) = columns.into_iter().partition(|column| column.of.kind() == Kind::Text);
        let mut hash = "CAST(0 AS BIGINT)".to_owned();
        for group in others.chunks(NULL_BITS) {
            let bits = group.iter().enumerate().map(|(n, column)| {
                let bit = 1_u64 << n;
                let bit = if n < 31 { bit.to_string() } else { format!("CAST({bit} AS BIGINT)") };
                format!("CASE WHEN {} IS NULL THEN {bit} ELSE 0 END", column.name.value)
            });
            hash =
                format!("fnv_hash(CAST({} AS BIGINT), {hash})", bits.collect::<Vec<_>>().join("\n                + "));
        }
        for column in others {
            hash = format!(
                "fnv_hash(COALESCE({}, {}),\n            {hash})",
                column.name.value,
                column.of.kind().nothing()
            );
        }
        for column in texts {
            let name = &column.name.value;
            hash = format!(
                "fnv_hash(COALESCE({name}, ''), fnv_hash(COALESCE(OCTET_LENGTH({name}), -1),\n            {hash}))"
            );
        }
        hash
    }

    /// The names of the columns that differ, each followed by a blank.
    fn differing(&self) -> String {
        let each = self.columns.iter().map(|column| {
            format!("CASE WHEN {} THEN '' ELSE {} END", same_value(column), literal(&format!("{} ", column.name.value)))
        });
        let all: Vec<_> = each.collect();
        if all.is_empty() { "''".to_owned() } else { all.join("\n                || ") }
    }

    /// VARCHAR counts bytes on Redshift, and LEFT characters.
    fn differing_characters(&self) -> usize {
        let ascii = self.columns.iter().all(|column| column.name.value.raw().is_ascii());
        if ascii { DIFFERING_BYTES } else { DIFFERING_BYTES / 4 }
    }

    /// The values of both sides as one text.
    fn values(&self) -> String {
        let bytes: u32 = self.columns.iter().map(|column| 2 * (column.of.bytes() + 8)).sum();
        let value = |side: &str, column: &Column| {
            let name = format!("{side}.{}", column.name.value);
            let text = match column.of.kind() {
                Kind::Text if bytes > MAX_VALUES_BYTES && column.of.bytes() > LONG_TEXT_BYTES => {
                    format!("COALESCE(MD5({name}), '-')")
                }
                kind => kind.text(&name),
            };
            match column.tolerance {
                // What wavers within its tolerance is no other value.
                Some(_) => format!("CASE WHEN {} THEN '=' ELSE {text} END", same_value(column)),
                None => text,
            }
        };
        let sides = ["s", "f"].iter().flat_map(|side| self.columns.iter().map(|column| value(side, column)));
        let all: Vec<_> = sides.collect();
        if all.is_empty() { "''".to_owned() } else { all.join("\n                || '|' || ") }
    }

    /// Whether what tells rows apart stands in a mismatch_key as it is.
    fn is_plain(&self) -> bool {
        self.identity().count() <= PLAIN_INTEGERS
            && self.identity().all(|column| matches!(column.of.kind(), Kind::Integer | Kind::BigInt))
    }

    fn mismatch_key(&self, kind: &str) -> String {
        if self.is_plain() {
            let parts = self.identity().map(|column| format!("COALESCE(CAST({} AS VARCHAR), '')", column.name.value));
            return format!("{kind} || ':' || {}", parts.collect::<Vec<_>>().join(" || ':' || "));
        }
        let parts = self.identity().map(|column| column.of.kind().text(&column.name.value.to_string()));
        format!("{kind} || ':' || MD5({})", parts.collect::<Vec<_>>().join(" || '|' || "))
    }

    /// A run in a mismatch_key that stands for many rows.
    fn run_text(&self) -> String {
        let run = self.run.name.value.to_string();
        if self.is_plain() {
            return format!("COALESCE(CAST({run} AS VARCHAR), '')");
        }
        format!("MD5({})", self.run.of.kind().text(&run))
    }

    fn m_columns(&self) -> String {
        let identity: Vec<_> = self.identity().map(|column| format!("m.{}", column.name.value)).collect();
        let time = self.time.as_ref().map(|time| format!("m.{}", time.value)).into_iter();
        let (run, keys) = identity.split_at(1);
        let fixed = |names: &[&str]| names.iter().map(|name| format!("m.{name}")).collect::<Vec<_>>();
        let rest = fixed(&["kind", "differing_columns", "values_md5"]);
        let all =
            run.iter().cloned().chain(fixed(&["mismatch_key"])).chain(keys.iter().cloned()).chain(rest).chain(time);
        list(all)
    }
}

fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// NULL is the same as NULL. Both engines join a FULL JOIN by equalities alone.
pub(super) fn same_identity(column: &Column) -> String {
    let (name, nothing) = (&column.name.value, column.of.kind().nothing());
    format!(
        "COALESCE(f.{name}, {nothing}) = COALESCE(s.{name}, {nothing}) \
         AND CASE WHEN f.{name} IS NULL THEN 1 ELSE 0 END = CASE WHEN s.{name} IS NULL THEN 1 ELSE 0 END"
    )
}

/// Whether the sides `s` and `f` have the same value, NULL included, and trailing blanks counted.
pub(super) fn same_value(column: &Column) -> String {
    let name = &column.name.value;
    let same = match (column.of.kind(), column.tolerance) {
        (Kind::Text, _) => format!("s.{name} || '|' = f.{name} || '|'"),
        (Kind::Double, Some(tolerance)) => {
            format!("s.{name} = f.{name} OR ABS(s.{name} - f.{name}) <= CAST({tolerance} AS DOUBLE PRECISION)")
        }
        // An integer's difference may be larger than its type.
        (Kind::Integer | Kind::BigInt, Some(tolerance)) => {
            format!("ABS(CAST(s.{name} AS DECIMAL(20, 0)) - CAST(f.{name} AS DECIMAL(20, 0))) <= {tolerance}")
        }
        (_, Some(tolerance)) => format!("ABS(s.{name} - f.{name}) <= {tolerance}"),
        (_, None) => format!("s.{name} = f.{name}"),
    };
    format!("{same} OR (s.{name} IS NULL AND f.{name} IS NULL)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::project;

    fn with_columns(count: usize) -> String {
        let columns: String = (0..count).map(|n| format!("  - {{name: column_{n:03}, type: INTEGER}}\n")).collect();
        format!(
            "name: wide\nsource: a.b\ntarget: c.d\nrun: {{name: r, type: BIGINT}}\nkey: [{{name: k, type: BIGINT}}]\ncolumns:\n{columns}window: {{runs: 3}}\n"
        )
    }

    #[test]
    fn a_statement_that_redshift_would_not_execute_is_refused() {
        let sql = |count| Declaration::parse("wide.yaml", &with_columns(count)).expect("valid").sql();
        sql(100).expect("fits in");
        let error = sql(200).expect_err("too long").to_string();
        assert!(error.starts_with("wide: 200 columns and the filters make a statement of "), "{error}");
    }

    #[test]
    fn the_declaration_in_the_documentation_makes_sql() {
        let page = std::fs::read_to_string(project("docs/AUDITS.md")).expect("a page");
        let (_, yaml) = page.split_once("```yaml\n").expect("an example");
        let (yaml, _) = yaml.split_once("```").expect("its end");
        let sql = Declaration::parse("payments.yaml", yaml).and_then(|audit| audit.sql()).expect("valid");
        assert!(sql.contains("CREATE OR REPLACE PROCEDURE dev.audit_payments_sp() AS"));
    }
}
