//! `loader rerun`: starts an execution again with the same input, after its cause was fixed.
//!
//! Not a redrive: that goes on at the failed state with the same ClientToken, and would find the failed
//! statement again.

use serde_json::json;

use crate::aws::Calls;
use crate::{Error, Result};

/// Starts `execution` again; prints the new one, and how to stop it.
///
/// # Errors
/// As [`again`].
pub async fn rerun(
    execution: &str,
    as_json: bool,
    environment: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<()> {
    let arn = again(execution, environment).await?;
    let undo = format!("aws stepfunctions stop-execution --execution-arn {arn}");
    if as_json {
        let done =
            json!({"execution": arn, "of": execution, "done": "started again with the same input", "undo": undo});
        print(&done.to_string());
    } else {
        print(&format!(
            "started {arn}\nto stop it: {undo}\nits statement is cancelled then; what has been committed stays"
        ));
    }
    Ok(())
}

/// Starts `execution` again with the same input; the ARN of the new one.
///
/// # Errors
/// If it does not exist, still runs, or has succeeded.
pub async fn again(execution: &str, environment: &[(&str, &str)]) -> Result<String> {
    let mut aws = Calls::start(environment)?;
    let old = aws.call("stepfunctions", "describe_execution", json!({"executionArn": execution})).await?;
    match old["status"].as_str() {
        Some("RUNNING") => return Err(Error::new(format!("{execution} is still running; stop it first"))),
        Some("SUCCEEDED") => {
            return Err(Error::new(format!("{execution} has SUCCEEDED; there is nothing to run again")));
        }
        _ => {}
    }
    let start = json!({"stateMachineArn": old["stateMachineArn"], "input": old["input"].as_str().unwrap_or("{}")});
    let new = aws.call("stepfunctions", "start_execution", start).await?;
    new["executionArn"].as_str().map(str::to_owned).ok_or_else(|| Error::new("Step Functions names no new execution"))
}
