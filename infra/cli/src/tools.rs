//! Where the tools are that `make setup` installs. None is searched for on the PATH: what runs is what the
//! project pins.

use std::path::PathBuf;

use crate::{Error, Result};

/// A path in the project.
pub fn project(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// A program of the Python environment: `aws`, `ministack`, ...
///
/// # Errors
/// Tells how to install it.
pub fn python_tool(name: &str) -> Result<PathBuf> {
    existing(project(".tools/venv/bin").join(name), name)
}

/// A built function, as `make functions` leaves it.
///
/// # Errors
/// Tells how to build it.
pub fn bootstrap(function: &str) -> Result<PathBuf> {
    let path = project("target/lambda").join(function).join("bootstrap");
    if path.exists() { Ok(path) } else { Err(Error::new(format!("{function} is not built: run `make functions`"))) }
}

fn existing(path: PathBuf, name: &str) -> Result<PathBuf> {
    if path.exists() { Ok(path) } else { Err(missing(name)) }
}

/// Tells how to install what `make setup` installs.
pub fn missing(name: &str) -> Error {
    Error::new(format!("{name} is not installed in .tools: run `make setup`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_says_how_to_install_it() {
        let text = python_tool("no-such-tool").expect_err("missing").to_string();
        assert!(text.contains("no-such-tool") && text.contains("make setup"), "{text}");
        let text = bootstrap("no-such-function").expect_err("missing").to_string();
        assert!(text.contains("make functions"), "{text}");
    }
}
