//! Asking Step Functions about executions.

use serde_json::{Value, json};

use super::model::{Execution, Summary};
use crate::aws::Calls;
use crate::moment::Moment;
use crate::stack::{Place, Stack};
use crate::{Error, Result};

/// Events on a page of a history: as many as there can be.
const PAGE: u32 = 1_000;

/// The executions of AWS or of the local stack, by the region, endpoints and credentials of the environment.
pub struct Source {
    aws: Calls,
}

impl Source {
    /// `environment` comes on top of the shell's.
    ///
    /// # Errors
    /// If a tool is missing.
    pub fn start(environment: &[(&str, &str)]) -> Result<Self> {
        Ok(Self { aws: Calls::start(environment)? })
    }

    /// The last executions of a stack, the newest first.
    ///
    /// # Errors
    /// If there is no such stack, or Step Functions refuses.
    pub async fn list(&mut self, place: &Place, limit: usize) -> Result<Vec<Summary>> {
        let stack = place.stack(&mut self.aws).await?;
        list(&mut self.aws, &stack, None, limit).await
    }

    /// The execution of a stack that has this name or ARN.
    ///
    /// # Errors
    /// If there is no such stack or execution, or Step Functions refuses.
    pub async fn find(&mut self, place: &Place, execution: &str) -> Result<Execution> {
        let stack = place.stack(&mut self.aws).await?;
        read(&mut self.aws, &named(&stack, execution)?).await
    }

    /// An execution with its history.
    ///
    /// # Errors
    /// If there is none with this ARN, or Step Functions refuses.
    pub async fn read(&mut self, arn: &str) -> Result<Execution> {
        read(&mut self.aws, arn).await
    }
}

/// The last executions of a stack that have this status, or any, the newest first.
///
/// # Errors
/// If the stack is not deployed, or Step Functions refuses.
pub(crate) async fn list(aws: &mut Calls, stack: &Stack, status: Option<&str>, limit: usize) -> Result<Vec<Summary>> {
    let machine = match stack.output("StateMachineArn") {
        "" => return Err(not_deployed(stack)),
        machine => machine,
    };
    let mut request = json!({"stateMachineArn": machine, "PaginationConfig": {"MaxItems": limit}});
    if let Some(status) = status {
        request["statusFilter"] = json!(status);
    }
    let answer = aws.call("stepfunctions", "list_executions", request).await?;
    let items = answer["executions"].as_array().into_iter().flatten();
    let mut all = items.map(Summary::read).collect::<Result<Vec<_>>>()?;
    all.sort_by_key(|execution| std::cmp::Reverse(execution.started));
    Ok(all)
}

/// An execution without its history, by its ARN or name.
///
/// # Errors
/// If there is none, or Step Functions refuses.
pub(crate) async fn describe(aws: &mut Calls, stack: &Stack, execution: &str) -> Result<Summary> {
    let request = json!({"executionArn": named(stack, execution)?});
    Summary::read(&aws.call("stepfunctions", "describe_execution", request).await?)
}

/// An execution with its history.
///
/// # Errors
/// If there is none with this ARN, or Step Functions refuses.
pub(crate) async fn read(aws: &mut Calls, arn: &str) -> Result<Execution> {
    let described = aws.call("stepfunctions", "describe_execution", json!({"executionArn": arn})).await?;
    let request = json!({"executionArn": arn, "includeExecutionData": true, "PaginationConfig": {"PageSize": PAGE}});
    let history = aws.call("stepfunctions", "get_execution_history", request).await?;
    let events: &[Value] = history["events"].as_array().map_or(&[], Vec::as_slice);
    Execution::read(&described, events, Moment::now())
}

/// The ARN of an execution that is given as that, or by its name.
///
/// # Errors
/// If the stack is not deployed.
fn named(stack: &Stack, execution: &str) -> Result<String> {
    let machine = stack.output("StateMachineArn");
    match (execution.starts_with("arn:"), machine.split_once(":stateMachine:")) {
        (true, _) => Ok(execution.to_owned()),
        (false, Some((account, machine))) => Ok(format!("{account}:execution:{machine}:{execution}")),
        (false, None) => Err(not_deployed(stack)),
    }
}

fn not_deployed(stack: &Stack) -> Error {
    Error::new(format!("the stack {} is not deployed: it has no state machine", stack.name))
}
