//! Benchmarks, the figures that they draw, and the cost model. Each program of `src/bin` is a `make` target of the same
//! name; timings are compared within one run, and a program fails if a claim of the documentation does not hold.

pub mod cost;
pub mod definition;
pub mod prices;
pub mod published;
pub mod stack;
#[cfg(feature = "figures")]
pub mod tls;

use loader::tools::project;
use serde_json::Value;
use tests::Any;

/// Writes a report for machines to `target/<path>`, and prints where it is.
#[expect(clippy::print_stdout, reason = "for programs for a terminal")]
pub fn report(path: &str, report: &Value) -> Any<()> {
    let file = project("target").join(path);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, serde_json::to_string_pretty(report)?)?;
    println!("\nreport: target/{path}");
    Ok(())
}
