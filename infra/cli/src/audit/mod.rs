//! `loader audit`: audits of any pair of tables, from a declaration.
//!
//! | Module | Responsible for |
//! |---|---|
//! | `declaration` | `infra/audits/NAME.yaml`, read and checked, and its JSON schema |
//! | `check` | a declaration beside the warehouse |
//! | `new` | a declaration for two tables of the warehouse |
//! | `parameters` | what a stack that tells of audits takes |
//! | `rows` | the rows of both sides beside each other |
//! | `run` | an audit, run and followed, and what it found |
//! | `types` | the types of columns, and the SQL that reads, hashes and writes their values |
//! | `sql` | the SQL of an audit, from `audit.sql.jinja` |

mod check;
mod declaration;
mod new;
mod parameters;
mod rows;
mod run;
mod sql;
mod types;

use std::path::PathBuf;

use crate::tools::project;
use crate::{Error, Result};

pub use check::check;
pub use declaration::Declaration;
pub use new::{Tables, new};
pub use parameters::parameters;
#[cfg(test)]
pub(crate) use rows::Cell;
pub(crate) use rows::Pair;
pub use run::{Span, run};
pub(crate) use types::Type;

/// The declarations of infra/audits whose procedures are among these.
pub(crate) fn called(procedures: &[&str]) -> Result<Vec<Declaration>> {
    let mut audits = declared()?;
    audits.retain(|audit| audit.procedures().iter().any(|procedure| procedures.contains(&procedure.as_str())));
    Ok(audits)
}

/// All declarations of infra/audits, by their names.
///
/// # Errors
/// If one is wrong.
pub fn declared() -> Result<Vec<Declaration>> {
    let folder = project("infra/audits");
    let files = std::fs::read_dir(&folder).map_err(|e| Error::doing(&folder.display().to_string(), e))?;
    let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.iter().map(|file| Declaration::read(file)).collect()
}

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
