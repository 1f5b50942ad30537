//! What database users need in a warehouse. The SQL of the project has it, one object a statement, with `"caller"` and `"auditor"` in
//! place of the users.

use crate::Result;
use crate::audit::Declaration;
use crate::name::Qualified;
use crate::warehouse::{Catalog, Warehouse};
use shared::sql::literal;

/// `GRANT privileges ON object TO user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant<'a> {
    privileges: &'a str,
    /// With SCHEMA or PROCEDURE before it, if it is one.
    on: &'a str,
    /// The name that stands for the user.
    pub(crate) to: &'a str,
}

impl<'a> Grant<'a> {
    /// From a line of SQL.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let (privileges, rest) = line.strip_prefix("GRANT ")?.split_once(" ON ")?;
        let (on, to) = rest.strip_suffix(';')?.rsplit_once(" TO ")?;
        Some(Self { privileges, on, to: to.trim_matches('"') })
    }

    /// For a user.
    pub(crate) fn sql(&self, user: &str) -> String {
        format!("GRANT {} ON {} TO \"{}\"", self.privileges, self.on, user.replace('"', "\"\""))
    }

    /// Whether a user has all of it, as an expression.
    pub(crate) fn held(&self, user: &str) -> String {
        let (function, object) = match self.on.split_once(' ') {
            Some(("SCHEMA", schema)) => ("schema", schema.trim_matches('"').replace("\"\"", "\"")),
            Some(("PROCEDURE", procedure)) => ("function", procedure.to_owned()),
            _ => ("table", self.on.to_owned()),
        };
        let each = self.privileges.split(", ").map(|privilege| {
            let privilege = literal(&privilege.to_lowercase());
            format!("has_{function}_privilege({}, {}, {privilege})", literal(user), literal(&object))
        });
        each.collect::<Vec<_>>().join(" AND ")
    }

    /// The table that it is on, as a catalog has it.
    pub(crate) fn table(&self) -> Option<(String, String)> {
        match Qualified::parse(self.on)? {
            (table, "") => Some(table.raw()),
            _ => None,
        }
    }

    /// As it is shown.
    pub(crate) fn name(&self) -> String {
        format!("{} ON {}", self.privileges, self.on)
    }
}

/// The grants that an audit's users do not have, as SQL.
///
/// # Errors
/// If the warehouse does not tell, as where a user does not exist.
pub(crate) async fn missing(
    warehouse: &mut Warehouse<'_>,
    audit: &Declaration,
    catalog: &Catalog,
    (caller, auditor): (&str, &str),
) -> Result<Vec<String>> {
    let grants = audit.grants();
    let mut missing = Vec::new();
    for (role, user) in [("caller", caller), ("auditor", auditor)] {
        let wanted = wanted(grants.lines(), role, &catalog.external);
        let held = held(warehouse, &wanted, user).await?;
        let lacks = wanted.iter().zip(held).filter(|(_, held)| !held);
        missing.extend(lacks.map(|(grant, _)| grant.sql(user) + ";"));
    }
    Ok(missing)
}

/// Of these lines the grants of one role, but those on external tables.
pub(crate) fn wanted<'a>(
    lines: impl Iterator<Item = &'a str>,
    role: &str,
    external: &[(String, String)],
) -> Vec<Grant<'a>> {
    let grants = lines.filter_map(Grant::parse).filter(|grant| grant.to == role);
    grants.filter(|grant| grant.table().is_none_or(|table| !external.contains(&table))).collect()
}

/// Which of them a user has.
///
/// # Errors
/// If one of the objects, or the user, does not exist.
pub(crate) async fn held(warehouse: &mut Warehouse<'_>, grants: &[Grant<'_>], user: &str) -> Result<Vec<bool>> {
    let each: Vec<_> = grants.iter().map(|grant| grant.held(user)).collect();
    let rows = warehouse.texts(&format!("SELECT {}", each.join(", "))).await?;
    Ok(rows.into_iter().flatten().map(|text| text.as_deref() == Some("true")).collect())
}

/// What a user needs to call procedures and to work on the audit table, ready to paste.
pub fn grants(user: &str, procedures: &[&str], table: Option<&str>) -> String {
    let user = format!("\"{}\"", user.replace('"', "\"\""));
    let mut schemas: Vec<_> = procedures.iter().copied().chain(table).filter_map(|n| n.split('.').next()).collect();
    schemas.dedup();
    let schemas = schemas.into_iter().map(|schema| format!("GRANT USAGE ON SCHEMA {schema} TO {user};\n"));
    let calls = procedures.iter().map(|name| format!("GRANT EXECUTE ON PROCEDURE {name}() TO {user};\n"));
    let table = table.map(|name| format!("GRANT SELECT, UPDATE ON {name} TO {user};\n"));
    schemas.chain(calls).chain(table).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_asked_for_and_given() {
        for (line, held) in [
            ("GRANT USAGE ON SCHEMA dev TO \"caller\";", "has_schema_privilege('o''k', 'dev', 'usage')"),
            (
                "GRANT SELECT, UPDATE ON dev.\"It's\" TO \"caller\";",
                "has_table_privilege('o''k', 'dev.\"It''s\"', 'select') AND has_table_privilege('o''k', 'dev.\"It''s\"', 'update')",
            ),
            (
                "GRANT EXECUTE ON PROCEDURE dev.p(BIGINT) TO \"caller\";",
                "has_function_privilege('o''k', 'dev.p(BIGINT)', 'execute')",
            ),
        ] {
            let grant = Grant::parse(line).expect(line);
            assert_eq!(grant.to, "caller");
            assert_eq!(grant.held("o'k"), held);
            assert_eq!(grant.sql("o\"k"), line.replace("\"caller\";", "\"o\"\"k\""));
        }
        assert_eq!(Grant::parse("REVOKE ALL ON x FROM y;"), None);
    }
}
