//! `loader audit check`: a declaration beside the warehouse. What is wrong is told by pure functions of its catalog.

use std::path::Path;

use super::declaration::{Column, Declaration};
use super::types::{Kind, Type};
use crate::aws::Calls;
use crate::finding::{Finding, Verdict, failure, ok, warning};
use crate::name::{Name, Qualified};
use crate::stack::Place;
use crate::warehouse::{Catalog, Warehouse};
use crate::{Error, Result, grants, install};

const CHECK: &str = "audit";

/// Compares a declaration with the warehouse, and prints what is wrong.
///
/// # Errors
/// If something is.
pub async fn check(
    place: &Place,
    file: &Path,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<()> {
    let audit = Declaration::read(file)?;
    audit.sql()?;
    let mut aws = Calls::start(environment)?;
    let stack = place.stack(&mut aws).await?;
    let secret = stack.secret_user(&mut aws).await;
    let (caller, auditor) = stack.known_users(secret.as_ref())?;
    let mut warehouse = Warehouse::of(&mut aws, &stack, None);
    let catalog = warehouse.catalog(&audit.schemas()).await?;
    let mut findings = audit.check_against(&catalog);
    let grants = grants::missing(&mut warehouse, &audit, &catalog, (&caller, &auditor)).await;
    findings.push(granted(&audit, grants));
    for finding in &findings {
        print(&finding.coloured());
    }
    match findings.iter().filter(|finding| finding.verdict == Verdict::Failure).count() {
        0 => Ok(()),
        failed => Err(Error::new(format!("{failed} of {} checks failed", findings.len()))),
    }
}

fn granted(audit: &Declaration, missing: Result<Vec<String>>) -> Finding {
    let name = audit.name();
    match missing {
        Ok(missing) if missing.is_empty() => ok(CHECK, format!("{name}: the stack's users have what they need")),
        Ok(missing) => failure(CHECK, format!("{name}: {} GRANTs are missing", missing.len()), missing.join("\n")),
        Err(error) => {
            let fix = format!("loader install --audit infra/audits/{name}.yaml grants what is needed");
            warning(CHECK, format!("{name}: privileges cannot be looked at: {error}"), fix)
        }
    }
}

impl Declaration {
    /// What is wrong with both tables, and with what is installed.
    pub(crate) fn check_against(&self, catalog: &Catalog) -> Vec<Finding> {
        let [source, target] = self.compared();
        let mut all = vec![self.side(source.0, "source", catalog), self.side(target.0, "target", catalog)];
        all.extend(self.locks.iter().filter(|lock| !catalog.tables.contains_key(&lock.raw())).map(|lock| {
            let text = format!("{}: the mutex {lock} does not exist, or this user does not see it", self.name());
            failure(CHECK, text, format!("The load has to have it: CREATE TABLE {lock} (held BOOLEAN);"))
        }));
        all.push(self.installed(catalog));
        all
    }

    /// One table: its columns and their types.
    fn side(&self, table: &Qualified, role: &str, catalog: &Catalog) -> Finding {
        let name = self.name();
        let Some(found) = catalog.tables.get(&table.raw()) else {
            let text = format!("{name}: the {role} {table} does not exist, or this user does not see it");
            return failure(CHECK, text, "Create it, or give this user USAGE on its schema and SELECT on it.");
        };
        let is_external = catalog.external.contains(&table.raw());
        let (mut wrong, mut doubtful) = (Vec::new(), Vec::new());
        for column in self.all_columns() {
            let wanted = column_of(column, role);
            let Some(found) = found.iter().find(|found| found.name.eq_ignore_ascii_case(wanted.raw())) else {
                wrong.push(format!("{wanted} is missing"));
                continue;
            };
            match complaint(column.of, &found.of, is_external) {
                Some((text, true)) => wrong.push(format!("{wanted} {text}")),
                Some((text, false)) => doubtful.push(format!("{wanted} {text}")),
                None => {}
            }
        }
        if let Some(keys) = catalog.partitions.get(&table.raw()) {
            let run = column_of(&self.run, role);
            if !keys.iter().any(|key| key.eq_ignore_ascii_case(run.raw())) {
                doubtful.push(format!("{run} is no partition key: every audit reads all files"));
            }
        }
        let all = || {
            format!("{name}: {role} {table}: {}", wrong.iter().chain(&doubtful).cloned().collect::<Vec<_>>().join("; "))
        };
        let fix = "Change the table (the Glue Data Catalog has an external table's types), or the declaration and install it again.";
        match (wrong.is_empty(), doubtful.is_empty()) {
            (true, true) => ok(
                CHECK,
                format!("{name}: {role} {table} has the {} columns that are compared", self.all_columns().count()),
            ),
            (true, false) => warning(CHECK, all(), fix),
            (false, _) => failure(CHECK, all(), fix),
        }
    }

    fn installed(&self, catalog: &Catalog) -> Finding {
        let name = self.name();
        let fix = "make install STACK=..., or loader install --audit with its declaration.";
        match install::differences(self, catalog) {
            Err(error) => failure(CHECK, format!("{name}: {error}"), ""),
            Ok((missing, _)) if !missing.is_empty() => {
                failure(CHECK, format!("{name}: not installed: {}", missing.join(", ")), fix)
            }
            Ok((_, other)) if !other.is_empty() => {
                warning(CHECK, format!("{name}: not as the declaration makes it: {}", other.join(", ")), fix)
            }
            Ok(_) => ok(CHECK, format!("{name}: is installed as it is declared")),
        }
    }
}

fn column_of<'a>(column: &'a Column, role: &str) -> &'a Name {
    match (&column.source, role) {
        (Some(source), "source") => source,
        _ => &column.name.value,
    }
}

/// What is wrong with a column that is compared as `wanted`, and whether the audit is wrong for it.
pub(super) fn complaint(wanted: Type, found: &str, is_external: bool) -> Option<(String, bool)> {
    let Ok(of) = Type::try_from(found.to_owned()) else {
        return Some((format!("is {found}, which cannot be compared: give the table a view that casts it"), true));
    };
    let impossible =
        || Some((format!("is {of}, which is not cast to {wanted}: give the table a view that does"), true));
    let text = || Some((format!("is {of}: the audit casts it, and fails on a value that is no {wanted}"), false));
    let rounds = || Some((format!("is {of}: the audit rounds it to {wanted}, and sees no smaller difference"), true));
    match (wanted, of) {
        (Type::Boolean, Type::Boolean) => None,
        (Type::Boolean, _) | (_, Type::Boolean) => impossible(),
        (Type::Char(size) | Type::Varchar(size), Type::Char(has) | Type::Varchar(has)) if has < size => {
            is_external.then(|| (format!("holds {has} bytes of {size}: longer values of the files read as NULL"), true))
        }
        (Type::Char(_) | Type::Varchar(_), _) => None,
        (_, Type::Char(_) | Type::Varchar(_)) => text(),
        (Type::Date, Type::Timestamp | Type::TimestampTz) => rounds(),
        _ if wanted.kind() == Kind::Timestamp && of.kind() == Kind::Timestamp => None,
        _ if wanted.kind() == Kind::Timestamp || of.kind() == Kind::Timestamp => impossible(),
        _ if of.digits() > wanted.digits() => rounds(),
        _ if of.whole_digits() > wanted.whole_digits() => {
            Some((format!("is {of}: the audit fails on a value that {wanted} does not hold"), false))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Verdict;
    use crate::tools::project;
    use crate::warehouse;

    #[test]
    fn a_type_that_does_not_fit_is_told_with_what_it_does() {
        for (wanted, found, is_wrong, says) in [
            ("BIGINT", "INTEGER", None, ""),
            ("BIGINT", "VARCHAR(64)", Some(false), "fails on a value that is no BIGINT"),
            ("BIGINT", "DECIMAL(12, 2)", Some(true), "rounds it to BIGINT"),
            ("DECIMAL(12, 2)", "DOUBLE PRECISION", Some(true), "rounds it to DECIMAL(12, 2)"),
            ("DECIMAL(12, 2)", "DECIMAL(12, 4)", Some(true), "rounds it"),
            ("DECIMAL(12, 2)", "INTEGER", None, ""),
            ("INTEGER", "BIGINT", Some(false), "a value that INTEGER does not hold"),
            ("DECIMAL(12, 2)", "DECIMAL(18, 2)", Some(false), "a value that DECIMAL(12, 2) does not hold"),
            ("REAL", "DOUBLE PRECISION", Some(true), "rounds it to REAL"),
            ("DOUBLE PRECISION", "REAL", None, ""),
            ("VARCHAR(64)", "VARCHAR(20)", Some(true), "holds 20 bytes of 64"),
            ("VARCHAR(64)", "VARCHAR(65535)", None, ""),
            ("VARCHAR(64)", "BIGINT", None, ""),
            ("VARCHAR(64)", "BOOLEAN", Some(true), "is not cast to VARCHAR(64)"),
            ("BOOLEAN", "VARCHAR(5)", Some(true), "is not cast to BOOLEAN"),
            ("DATE", "TIMESTAMP", Some(true), "rounds it to DATE"),
            ("TIMESTAMP", "DATE", None, ""),
            ("TIMESTAMP", "VARCHAR(30)", Some(false), "is no TIMESTAMP"),
            ("TIMESTAMP", "BIGINT", Some(true), "is not cast to TIMESTAMP"),
            ("BIGINT", "SUPER", Some(true), "cannot be compared"),
        ] {
            let complaint = complaint(Type::try_from(wanted.to_owned()).expect(wanted), found, true);
            assert_eq!(complaint.as_ref().map(|(_, wrong)| *wrong), is_wrong, "{wanted} {found}: {complaint:?}");
            assert!(complaint.is_none_or(|(text, _)| text.contains(says)), "{wanted} {found}");
        }
    }

    /// The warehouse that the declaration of orders is for, external table included.
    fn good() -> (Declaration, Catalog) {
        let audit = Declaration::read(&project("infra/audits/orders.yaml")).expect("valid");
        let mut catalog = Catalog::default();
        let external = include_str!("../../../sql/redshift/external_table.sql");
        let (_, table) = external.split_once("new_orders_staging_area (\n").expect("a table");
        let (columns, rest) = table.split_once("\n)\nPARTITIONED BY (").expect("its columns");
        let (key, _) = rest.split_once(')').expect("its partition key");
        let [source, target] = audit.compared().map(|(table, _)| table.raw());
        let column = |line: &str| {
            let (name, of) = line.trim().trim_end_matches(',').split_once(' ').expect("a column");
            warehouse::Column { name: name.to_owned(), of: of.to_owned() }
        };
        let columns: Vec<_> = columns.lines().chain([key]).map(column).collect();
        catalog.tables = [(source.clone(), columns.clone()), (target, columns)].into();
        let mutex = audit.needed()[2].0.raw();
        catalog.tables.insert(mutex, Vec::new());
        catalog.external.push(source.clone());
        catalog.partitions.insert(source, vec!["run_id".to_owned()]);
        (audit, catalog)
    }

    #[test]
    fn what_is_missing_is_named() {
        let (audit, mut catalog) = good();
        let verdicts = |catalog: &Catalog| audit.check_against(catalog).iter().map(|f| f.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(&catalog), [Verdict::Ok, Verdict::Ok, Verdict::Failure], "nothing is installed");
        let [(source, _), (target, _)] = audit.compared();
        catalog.partitions.insert(source.raw(), Vec::new());
        catalog.tables.get_mut(&target.raw()).expect("a table").retain(|column| column.name != "order_ts");
        let findings = audit.check_against(&catalog);
        assert!(
            findings[0].verdict == Verdict::Warning && findings[0].text.contains("no partition key"),
            "{}",
            findings[0]
        );
        assert!(
            findings[1].verdict == Verdict::Failure && findings[1].text.contains("order_ts is missing"),
            "{}",
            findings[1]
        );
        catalog.tables.remove(&source.raw());
        assert!(audit.check_against(&catalog)[0].text.contains("does not exist"));
    }
}
