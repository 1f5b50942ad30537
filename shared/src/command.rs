//! The commands of the operator's tool, `loader`, as people are advised to run them.

/// The stack that a command is about if it names none.
pub const DEFAULT_STACK: &str = "redshift-loader";

/// What a command is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loader<'a> {
    /// The stack's name; nothing on a laptop.
    pub stack: Option<&'a str>,
    /// The audit, where it has to be told from others.
    pub audit: Option<&'a str>,
}

impl Loader<'_> {
    /// `loader <name>`.
    pub fn command(&self, name: &str) -> String {
        let option =
            |name: &str, value: Option<&str>| value.map(|v| format!(" --{name} {}", word(v))).unwrap_or_default();
        let stack = self.stack.filter(|stack| *stack != DEFAULT_STACK);
        format!("loader {name}{}{}", option("audit", self.audit), option("stack", stack))
    }

    /// `loader <name> <run> <options>`, by the run's id as it is shown.
    pub fn of_run(&self, name: &str, run: &str, options: &[&str]) -> String {
        let (run_word, options): (_, String) = (word(run), options.iter().map(|option| format!(" {option}")).collect());
        if run.starts_with('-') {
            // It would be taken for an option.
            return format!("{} -- {run_word}", self.command(&format!("{name}{options}")));
        }
        self.command(&format!("{name} {run_word}{options}"))
    }
}

/// A word of a command line, quoted where a shell needs it.
pub fn word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_needs_it() {
        for (text, as_word) in [("wr_1", "wr_1"), ("'NULL'", r"''\''NULL'\'''"), ("(empty)", "'(empty)'"), ("", "''")] {
            assert_eq!(word(text), as_word);
        }
    }

    #[test]
    fn a_command_names_what_it_has_to() {
        let alone = Loader { stack: Some(DEFAULT_STACK), audit: None };
        assert_eq!([alone.command("runs"), alone.of_run("show", "42", &[])], ["loader runs", "loader show 42"]);
        let other = Loader { stack: Some("shop"), audit: Some("dev.orders") };
        assert_eq!(other.of_run("show", "it's", &[]), r"loader show 'it'\''s' --audit dev.orders --stack shop");
        assert_eq!(
            other.of_run("silence", "-5", &["--days", "7"]),
            "loader silence --days 7 --audit dev.orders --stack shop -- -5"
        );
    }
}
