//! What database users need, as the SQL of the project writes it: one object a statement, `"caller"` and `"auditor"` in place of the
//! users.

use crate::name::Qualified;
use crate::warehouse::literal;

/// `GRANT privileges ON object TO user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant<'a> {
    privileges: &'a str,
    /// With SCHEMA or PROCEDURE before it, if it is one.
    on: &'a str,
    /// The name that stands for the user.
    pub(super) to: &'a str,
}

impl<'a> Grant<'a> {
    /// From a line of SQL.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let (privileges, rest) = line.strip_prefix("GRANT ")?.split_once(" ON ")?;
        let (on, to) = rest.strip_suffix(';')?.rsplit_once(" TO ")?;
        Some(Self { privileges, on, to: to.trim_matches('"') })
    }

    /// For a user.
    pub(super) fn sql(&self, user: &str) -> String {
        format!("GRANT {} ON {} TO \"{}\"", self.privileges, self.on, user.replace('"', "\"\""))
    }

    /// Whether a user has all of it, as an expression.
    pub(super) fn held(&self, user: &str) -> String {
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
    pub(super) fn table(&self) -> Option<(String, String)> {
        match Qualified::parse(self.on)? {
            (table, "") => Some(table.raw()),
            _ => None,
        }
    }

    /// As it is shown.
    pub(super) fn name(&self) -> String {
        format!("{} ON {}", self.privileges, self.on)
    }
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
