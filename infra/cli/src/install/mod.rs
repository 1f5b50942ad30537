//! `loader install`: puts tables, procedures, audits and grants into the warehouse of a stack, through the Data API.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `script` | a file of SQL as the objects that it makes |
//!
//! Idempotent: what is there and as it should be stays. It never drops an object and never changes one that is not its own.

mod script;

use std::collections::BTreeSet;
use std::path::PathBuf;

use md5::{Digest, Md5};

use crate::audit::{self, Declaration, Type};
use crate::aws::Calls;
use crate::grants::{held, wanted};
use crate::stack::{Place, Stack};
use crate::warehouse::{Catalog, Warehouse};
use crate::{Error, Result};
use script::{Kind, Object, objects};

/// The load of orders, which brings tables of its own.
pub(crate) const LOAD: &str = "dev.enriched_orders_sp";
const LOAD_SQL: [&str; 2] = [include_str!("../../../sql/tables.sql"), include_str!("../../../sql/load.sql")];
const LOAD_GRANTS: &str = include_str!("../../../sql/load_grants.sql");
const EXTERNAL: &str = include_str!("../../../sql/redshift/external_table.sql");

/// What to install, and where.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The stack.
    pub place: Place,
    /// Declarations of audits besides those that the stack's parameters call.
    pub audits: Vec<PathBuf>,
    /// The secret of a user that may create all this, in place of the stack's.
    pub secret_arn: Option<String>,
    /// The same on a cluster with IAM credentials.
    pub db_user: Option<String>,
    /// Where the files of the external table are, to make it if it is not there.
    pub external: Option<External>,
    /// Replace procedures that are not of this project, or a load that was changed.
    pub replace: bool,
    /// Only report what would be done, and print its SQL.
    pub dry_run: bool,
}

/// Where the S3 staging area is.
#[derive(Debug, Clone)]
pub struct External {
    /// `s3://bucket/prefix/`.
    pub location: String,
    /// The Glue Data Catalog's database.
    pub database: String,
    /// The ARN of the role that reads S3, or `default`.
    pub role: String,
}

/// What belongs together.
struct Part {
    /// Nothing for the load.
    audit: Option<Declaration>,
    objects: Vec<Object>,
    grants: String,
}

/// What has been done so far.
struct Progress<'a> {
    warehouse: Warehouse<'a>,
    dry_run: bool,
    replace: bool,
    changed: usize,
    kept: usize,
    /// The SQL that was not run.
    withheld: Vec<String>,
    /// Tables over files: nothing but the use of their schema is granted.
    external: Vec<(String, String)>,
}

/// Installs; `environment` comes on top of the shell's, and `print` gets a line for each object.
///
/// # Errors
/// At the first object that cannot be made, with its name and the engine's text.
pub async fn install(options: &Options, environment: &[(&str, &str)], mut print: impl FnMut(&str)) -> Result<()> {
    let mut aws = Calls::start(environment)?;
    let stack = options.place.stack(&mut aws).await?;
    let parts = parts(&stack, &options.audits)?;
    let secret = stack.secret_user(&mut aws).await;
    let (caller, auditor) = stack.known_users(secret.as_ref())?;
    let warehouse = Warehouse { target: owner(&stack, options), aws: &mut aws, looks: None };
    let mut work = Progress {
        warehouse,
        dry_run: options.dry_run,
        replace: options.replace,
        changed: 0,
        kept: 0,
        withheld: Vec::new(),
        external: Vec::new(),
    };
    let catalog = work.warehouse.catalog(&schemas(&parts)).await?;
    work.external.clone_from(&catalog.external);
    for part in &parts {
        // Its sources first: a procedure would be made without them, and fail.
        if let Some(audit) = &part.audit {
            let planned = parts.iter().flat_map(|part| &part.objects).filter_map(Object::table).collect();
            work.compared(audit, &catalog, &planned, options.external.as_ref(), &mut print).await?;
        }
        work.part(part, &catalog, &mut print).await?;
    }
    let waiting = work.grants(&parts, (&caller, &auditor), &mut print).await?;
    for sql in &work.withheld {
        print(&format!("\n{sql};"));
    }
    let verb = if options.dry_run { "would change" } else { "changed" };
    print(&match work.changed {
        0 => format!("\nnothing to change: {} objects and grants are as they should be", work.kept),
        changed => format!("\n{changed} {verb}, {} as they should be", work.kept),
    });
    for user in waiting {
        if user.ends_with(':') {
            print("the users of a stack with IAM credentials are known once it is deployed: install again then");
            continue;
        }
        print(&format!(
            "{user} does not exist yet (the user of a role exists after its first call): install again then"
        ));
    }
    Ok(())
}

/// The load if the stack calls it, and the audits that it calls or that were named.
fn parts(stack: &Stack, named: &[PathBuf]) -> Result<Vec<Part>> {
    let calls = stack.procedures();
    let mut audits: Vec<_> = named.iter().map(|file| Declaration::read(file)).collect::<Result<_>>()?;
    for audit in audit::called(&calls)? {
        if !audits.iter().any(|other| other.name() == audit.name()) {
            audits.push(audit);
        }
    }
    let mut parts = Vec::new();
    let [tables, load] = LOAD_SQL;
    let loads = calls.contains(&LOAD);
    if loads {
        parts.push(Part { audit: None, objects: objects(tables)?, grants: String::new() });
    }
    for audit in audits {
        parts.push(Part { objects: objects(&audit.sql()?)?, grants: audit.grants(), audit: Some(audit) });
    }
    if loads {
        parts.push(Part { audit: None, objects: objects(load)?, grants: LOAD_GRANTS.to_owned() });
    }
    match parts.is_empty() {
        false => Ok(parts),
        true => Err(Error::new(format!(
            "nothing to install: {} are of no load and no declaration here; name one: --audit infra/audits/NAME.yaml",
            calls.join(", ")
        ))),
    }
}

/// What an audit's SQL makes that is not there, and what is there and other.
///
/// # Errors
/// If a table of the audit's has a column of another type.
pub(crate) fn differences(audit: &Declaration, catalog: &Catalog) -> Result<(Vec<String>, Vec<String>)> {
    let (mut missing, mut other) = (Vec::new(), Vec::new());
    for object in objects(&audit.sql()?)? {
        let upgrade = upgrade(audit, &object, catalog)?;
        match state(&object, catalog) {
            State::Missing => missing.push(object.name),
            State::Other | State::Foreign => other.push(object.name),
            State::Same if upgrade != Upgrade::default() => other.push(object.name),
            State::Same => {}
        }
    }
    Ok((missing, other))
}

fn schemas(parts: &[Part]) -> Vec<String> {
    let made = parts.iter().flat_map(|part| &part.objects).filter_map(Object::schema);
    let compared = parts.iter().filter_map(|part| part.audit.as_ref()).flat_map(Declaration::schemas);
    let all: BTreeSet<_> = made.chain(compared).collect();
    all.into_iter().collect()
}

/// How to reach the warehouse as somebody who may create what is installed.
fn owner(stack: &Stack, options: &Options) -> serde_json::Value {
    let mut target = stack.target();
    let given = [("SecretArn", &options.secret_arn, "DbUser"), ("DbUser", &options.db_user, "SecretArn")];
    for (name, value, other) in given {
        if let (Some(value), Some(fields)) = (value, target.as_object_mut()) {
            fields.insert(name.to_owned(), value.as_str().into());
            fields.remove(other);
        }
    }
    target
}

impl External {
    /// In place of what the DDL of the project has.
    fn put_into(&self, ddl: &str) -> Result<String> {
        let plain = |text: &str| !text.is_empty() && !text.contains(['\'', '\\', ';']);
        if !self.location.starts_with("s3://")
            || ![&self.location, &self.database, &self.role].into_iter().all(|text| plain(text))
        {
            return Err(Error::new(format!(
                "{}: s3://bucket/prefix/ is expected, and a database and role without quotes",
                self.location
            )));
        }
        let role = if self.role == "default" { "default".to_owned() } else { format!("'{}'", self.role) };
        let ddl = ddl.replace("s3://your-bucket/new-orders-staging-area/", &self.location);
        Ok(ddl
            .replace("DATABASE 'new_orders'", &format!("DATABASE '{}'", self.database))
            .replace("IAM_ROLE default", &format!("IAM_ROLE {role}")))
    }
}

/// A statement of a file without the comments before it and its semicolon.
fn sql_of(statement: &str) -> String {
    let lines: Vec<_> = statement.lines().filter(|line| !line.starts_with("--")).collect();
    lines.join("\n").trim().trim_end_matches(';').to_owned()
}

/// A line of the report.
fn line(title: &str, result: String) -> String {
    format!("{title:<88} {result}")
}

fn md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where an object stands beside what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    /// Ours, but not as it is now.
    Other,
    /// Somebody's own.
    Foreign,
    Same,
}

fn state(object: &Object, catalog: &Catalog) -> State {
    let there = match &object.kind {
        Kind::Schema => catalog.schemas.contains(&object.name),
        Kind::Table { of, .. } => catalog.tables.contains_key(&of.raw()),
        Kind::Procedure { of, arguments, body } => {
            let (schema, name) = of.raw();
            return match catalog.procedures.get(&(schema, name, arguments.clone())) {
                None => State::Missing,
                Some(found) if found.md5 == md5(body) => State::Same,
                Some(found) if found.locks_a_mutex => State::Other,
                Some(_) => State::Foreign,
            };
        }
    };
    if there { State::Same } else { State::Missing }
}

/// What has to be done to an audit's own table that is there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Upgrade {
    /// Columns that it lacks: the migration adds them.
    lacks: bool,
    /// `ALTER TABLE` for texts that are too short.
    widen: Vec<String>,
}

/// # Errors
/// If a column has a type that no ALTER TABLE makes right.
fn upgrade(audit: &Declaration, object: &Object, catalog: &Catalog) -> Result<Upgrade> {
    let Kind::Table { of, columns } = &object.kind else { return Ok(Upgrade::default()) };
    let identity = audit.identity_names();
    let Some(found) = catalog.tables.get(&of.raw()) else { return Ok(Upgrade::default()) };
    let mut upgrade = Upgrade::default();
    for (name, wanted) in columns {
        let Some(column) = found.iter().find(|column| column.name.eq_ignore_ascii_case(name.raw())) else {
            if identity.contains(name) {
                return Err(Error::new(format!(
                    "table {of} has no {name}, which tells its rows apart: rename the table, so that its rows are kept, and install again"
                )));
            }
            upgrade.lacks = true;
            continue;
        };
        match (Type::try_from(wanted.clone()), Type::try_from(column.of.clone())) {
            (Ok(wanted), Ok(found)) if wanted == found => {}
            (Ok(Type::Varchar(wanted)), Ok(Type::Varchar(found))) if found >= wanted => {}
            (Ok(Type::Varchar(wanted)), Ok(Type::Varchar(_))) => {
                upgrade.widen.push(format!("ALTER TABLE {of} ALTER COLUMN {name} TYPE VARCHAR({wanted})"));
            }
            _ => {
                return Err(Error::new(format!(
                    "table {of}: {name} is {}, and the declaration makes it {wanted}: rename the table, so that its rows are kept, \
                     and install again",
                    column.of
                )));
            }
        }
    }
    Ok(upgrade)
}

impl Progress<'_> {
    async fn execute(&mut self, title: &str, sql: &str) -> Result<()> {
        self.changed += 1;
        if self.dry_run {
            self.withheld.push(sql.to_owned());
            return Ok(());
        }
        match self.warehouse.run(sql).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::new(format!("{title}: {error}; what was done before it stays"))),
        }
    }

    /// Runs the SQL of one object, and says so.
    async fn make(&mut self, title: &str, done: &str, sql: &str, print: &mut impl FnMut(&str)) -> Result<()> {
        self.execute(title, sql).await?;
        print(&line(title, if self.dry_run { format!("would be {done}") } else { done.to_owned() }));
        Ok(())
    }

    fn keep(&mut self, title: &str, print: &mut impl FnMut(&str)) {
        self.kept += 1;
        print(&line(title, "is there".to_owned()));
    }

    /// Both tables of an audit: an external one is made if it is known where its files are.
    async fn compared(
        &mut self,
        audit: &Declaration,
        catalog: &Catalog,
        planned: &BTreeSet<(String, String)>,
        external: Option<&External>,
        print: &mut impl FnMut(&str),
    ) -> Result<()> {
        for (table, role) in audit.needed() {
            if catalog.tables.contains_key(&table.raw()) {
                let title = format!("{role} {table}");
                self.keep(&title, print);
                continue;
            }
            if planned.contains(&table.raw()) {
                continue;
            }
            let ddl: Vec<_> = EXTERNAL.split_inclusive(";\n").take(2).map(sql_of).collect();
            match external {
                Some(external) if ddl[1].contains(&format!("CREATE EXTERNAL TABLE {table} (")) => {
                    for (what, sql) in ["external schema", "external table"].into_iter().zip(ddl) {
                        let sql = external.put_into(&sql)?;
                        self.make(&format!("{what} for {table}"), "created", &sql, print).await?;
                    }
                    self.external.push(table.raw());
                }
                _ => {
                    return Err(Error::new(format!(
                        "{table}, the {role} of the audit {}, does not exist, or this user does not see it; infra/sql/redshift/external_table.sql \
                         is the DDL of an external table, and --s3-location makes that of orders; a mutex is an empty table",
                        audit.name()
                    )));
                }
            }
        }
        Ok(())
    }

    async fn part(&mut self, part: &Part, catalog: &Catalog, print: &mut impl FnMut(&str)) -> Result<()> {
        let mut states: Vec<_> = part.objects.iter().map(|object| (object, state(object, catalog))).collect();
        if let Some(audit) = &part.audit {
            let migration = audit.migration();
            // The migration comes before the procedures that need it: whatever ends this early, the next install goes on.
            states.sort_by_key(|(object, _)| match &object.kind {
                Kind::Procedure { of, .. } => 1 + usize::from(of.to_string() != migration),
                _ => 0,
            });
            let table = states.iter().find(|(object, _)| object.table() == Some(audit.table().raw()));
            let there = table.is_some_and(|(_, state)| *state == State::Same);
            let mut outdated = states.iter().any(|(_, state)| *state != State::Same);
            for (object, _) in states.iter().filter(|(_, state)| *state == State::Same) {
                let upgrade = upgrade(audit, object, catalog)?;
                outdated |= upgrade.lacks;
                for sql in upgrade.widen {
                    self.make(&format!("table {}", object.name), "widened", &sql, print).await?;
                }
            }
            for (object, state) in states {
                if state == State::Foreign && !self.replace {
                    return Err(Error::new(format!(
                        "{} {} is there, and not of this project; --replace replaces it",
                        object.word(),
                        object.name
                    )));
                }
                self.object(object, state, print).await?;
                if state == State::Missing && object.table() == Some(audit.table().raw()) {
                    self.look_again(audit, catalog, print).await?;
                }
                let is_migration = matches!(&object.kind, Kind::Procedure { of, .. } if of.to_string() == migration);
                if is_migration && there && outdated {
                    let title = format!("table {}", audit.table());
                    self.make(&title, "migrated", &format!("CALL {migration}()"), print).await?;
                }
            }
            return Ok(());
        }
        for (object, state) in states {
            // People change the load of orders for their columns, or have one of this name.
            if matches!(state, State::Other | State::Foreign) && !self.replace {
                self.kept += 1;
                let title = format!("{} {}", object.word(), object.name);
                print(&line(&title, "is there, and another: kept (--replace)".to_owned()));
                continue;
            }
            self.object(object, state, print).await?;
        }
        Ok(())
    }

    /// A new audit table knows no mismatch of older runs: the next audit has to look at everything.
    async fn look_again(&mut self, audit: &Declaration, catalog: &Catalog, print: &mut impl FnMut(&str)) -> Result<()> {
        let number = audit.number();
        if !catalog.tables.contains_key(&number.raw()) {
            return Ok(());
        }
        let sql = format!("UPDATE {number} SET everything = FALSE");
        self.make(&format!("table {number}"), "told to look at everything", &sql, print).await
    }

    async fn object(&mut self, object: &Object, state: State, print: &mut impl FnMut(&str)) -> Result<()> {
        let title = format!("{} {}", object.word(), object.name);
        match state {
            State::Same => self.keep(&title, print),
            State::Missing => self.make(&title, "created", &object.sql, print).await?,
            State::Other | State::Foreign => self.make(&title, "replaced", &object.sql, print).await?,
        }
        Ok(())
    }

    /// Grants what is not granted; the users that do not exist.
    async fn grants(
        &mut self,
        parts: &[Part],
        (caller, auditor): (&str, &str),
        print: &mut impl FnMut(&str),
    ) -> Result<Vec<String>> {
        let mut waiting = Vec::new();
        let all: BTreeSet<&str> = parts.iter().flat_map(|part| part.grants.lines()).collect();
        for (role, user) in [("caller", caller), ("auditor", auditor)] {
            let wanted = wanted(all.iter().copied(), role, &self.external);
            if wanted.is_empty() || waiting.iter().any(|known| known == user) {
                continue;
            }
            // No stack yet, and so no role.
            if user.ends_with(':') {
                waiting.push(user.to_owned());
                continue;
            }
            let held = match held(&mut self.warehouse, &wanted, user).await {
                Ok(held) => held,
                Err(error) if error.to_string().contains(&format!("\"{user}\" does not exist")) => {
                    waiting.push(user.to_owned());
                    continue;
                }
                // What is not there yet has no privileges.
                Err(_) => Vec::new(),
            };
            for (n, grant) in wanted.iter().enumerate() {
                let title = format!("grant {} TO {user}", grant.name());
                match held.get(n) {
                    Some(true) => self.keep(&title, print),
                    _ => self.make(&title, "granted", &grant.sql(user), print).await?,
                }
            }
        }
        Ok(waiting)
    }
}
