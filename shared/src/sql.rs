//! SQL on an audit table that means the same on Redshift and on PostgreSQL.

/// Everything that is not RESOLVED, a NULL included. In this form zone maps rule out the blocks that are RESOLVED as a whole.
pub const UNRESOLVED: &str = "(status < 'RESOLVED' OR status > 'RESOLVED' OR status IS NULL)";

/// A text. Redshift takes a backslash for an escape, and PostgreSQL does not.
pub fn literal(text: &str) -> String {
    let quoted = text.split('\\').map(|part| format!("'{}'", part.replace('\'', "''")));
    quoted.collect::<Vec<_>>().join(" || CHR(92) || ")
}

/// A moment in UTC, in seconds since 1970, whatever the session's time zone is.
pub fn moment(seconds: u64) -> String {
    format!("(TIMESTAMP 'epoch' + {seconds} * INTERVAL '1 second')")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_where_it_ends() {
        assert_eq!(literal("it's\\"), "'it''s' || CHR(92) || ''");
        assert_eq!(moment(1_000), "(TIMESTAMP 'epoch' + 1000 * INTERVAL '1 second')");
    }
}
