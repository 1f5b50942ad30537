//! `loader audit`: audits of any pair of tables, from a declaration.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `declaration` | `infra/audits/NAME.yaml`, read and checked, and its JSON schema |
//! | `name` | identifiers and `schema.table`, quoted where SQL needs it |
//! | `types` | the types of columns, and the SQL that reads, hashes and writes their values |
//! | `sql` | the SQL of an audit, from `audit.sql.jinja` |

mod declaration;
mod name;
mod sql;
mod types;

pub use declaration::Declaration;

#[cfg(test)]
mod tests {
    use crate::audit::Declaration;
    use crate::tools::project;

    /// `make audits` writes them again.
    #[test]
    fn what_is_checked_in_is_what_the_declarations_make() {
        let read = |file: &str| std::fs::read_to_string(project(file)).expect(file);
        assert!(
            read("infra/audits/schema.json") == Declaration::schema(),
            "infra/audits/schema.json is older than its types"
        );
        let mut seen = 0;
        for file in std::fs::read_dir(project("infra/audits")).expect("declarations").flatten() {
            let name = file.file_name().into_string().expect("a name");
            let Some(name) = name.strip_suffix(".yaml") else { continue };
            let sql = Declaration::read(&file.path()).and_then(|audit| audit.sql()).expect(name);
            assert!(
                read(&format!("infra/sql/audits/{name}.sql")) == sql,
                "infra/sql/audits/{name}.sql is older than {name}.yaml"
            );
            seen += 1;
        }
        assert!(seen > 0);
    }
}
