//! `make rerun`: starts an execution again with the same input, after its cause was fixed.
//!
//! Not a redrive: that goes on at the failed state with the same ClientToken, and would find the failed
//! statement again.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use shared::runtime::{TrustStore, http_client};

use crate::{Error, Result};

/// Starts `execution` again, on AWS, or at the AWS_ENDPOINT_URL of the environment.
///
/// # Errors
/// As [`again`].
pub async fn rerun(execution: &str) -> Result<String> {
    let config: SdkConfig = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client(TrustStore::default()))
        .load()
        .await;
    again(&Client::new(&config), execution).await
}

/// Starts `execution` again with the same input; the ARN of the new one.
///
/// # Errors
/// If it does not exist, still runs, or has succeeded.
pub async fn again(client: &Client, execution: &str) -> Result<String> {
    let old = client.describe_execution().execution_arn(execution).send().await;
    let old = old.map_err(|e| Error::sdk("describe the execution", e))?;
    match old.status {
        ExecutionStatus::Running => return Err(Error::new(format!("{execution} is still running; stop it first"))),
        ExecutionStatus::Succeeded => {
            return Err(Error::new(format!("{execution} has SUCCEEDED; there is nothing to run again")));
        }
        _ => {}
    }
    let start =
        client.start_execution().state_machine_arn(old.state_machine_arn()).set_input(old.input().map(str::to_owned));
    let new = start.send().await.map_err(|e| Error::sdk("start the execution", e))?;
    Ok(new.execution_arn)
}
