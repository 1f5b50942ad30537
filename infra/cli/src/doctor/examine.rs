//! `make doctor`: looks at a deployed stack and reports what is wrong, and how to fix it.

use serde_json::json;

use super::checks;
use super::facts::gather;
use crate::aws::Calls;
use crate::finding::{Finding, Verdict};
use crate::stack::Stack;
use crate::{Error, Result};

/// Checks the stack that this shell's region and credentials have, and prints what it found.
///
/// # Errors
/// If something is wrong.
pub async fn doctor(
    stack: &str,
    as_json: bool,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<()> {
    let findings = examine(stack, environment).await?;
    if as_json {
        print(&json!(findings).to_string());
    } else {
        findings.iter().for_each(|finding| print(&finding.coloured()));
    }
    let count = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    match count(Verdict::Failure) {
        0 if as_json => Ok(()),
        0 => {
            print(&format!("\nnothing is wrong; {} of {} checks in doubt", count(Verdict::Warning), findings.len()));
            Ok(())
        }
        failed => Err(Error::new(format!("{failed} of {} checks failed", findings.len()))),
    }
}

/// All findings about a stack; `environment` comes on top of the shell's.
///
/// # Errors
/// If a tool is missing.
pub async fn examine(stack: &str, environment: &[(&str, &str)]) -> Result<Vec<Finding>> {
    let mut aws = Calls::start(environment)?;
    let described = aws.call("cloudformation", "describe_stacks", json!({"StackName": stack})).await;
    let mut findings = vec![checks::stack(stack, &described)];
    if let Ok(described) = described {
        let deployed = Stack::read(stack, &described);
        let facts = gather(&mut aws, &deployed).await;
        findings.extend(checks::all(&deployed, &facts));
    }
    Ok(findings)
}
