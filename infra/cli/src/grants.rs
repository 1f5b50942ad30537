//! What a database user needs in the warehouse.

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
