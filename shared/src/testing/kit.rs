//! Ids, targets, calls and refusals.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{LogicalAttempt, ProcedureCall, StatementId, Target, TargetFields};

/// The Id of a statement.
pub const ID: &str = "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b";

/// The ARN of an execution.
pub const EXECUTION: &str = "arn:aws:states:eu-west-1:123456789012:execution:loader:run-1";

/// [`ID`], parsed.
///
/// # Panics
/// Never.
pub fn id() -> StatementId {
    StatementId::parse(ID).expect("valid")
}

/// Variables of a function: workgroup `w`, database `d` and a topic.
pub fn environment(name: &str) -> Option<String> {
    let value = match name {
        "WORKGROUP_NAME" => "w",
        "DATABASE" => "d",
        "TOPIC_ARN" => "arn:aws:sns:eu-west-1:123456789012:t",
        _ => return None,
    };
    Some(value.to_owned())
}

/// Database `d` of workgroup `w`, by the function's IAM role.
///
/// # Panics
/// Never.
pub fn target() -> Target {
    TargetFields::from_env(environment).try_into().expect("valid")
}

/// A call of `dev.p` without arguments.
///
/// # Panics
/// Never.
pub fn call() -> ProcedureCall {
    ProcedureCall::new("dev.p", vec![]).expect("valid")
}

/// The first attempt of step 0 of execution `x`.
///
/// # Panics
/// Never.
pub fn attempt() -> LogicalAttempt {
    LogicalAttempt::new("x", 0, 1).expect("valid")
}

/// The answer of a service that refuses a call by this error code.
///
/// # Panics
/// For a number that is no HTTP status.
pub fn refusal(code: &str, http_status: u16) -> HttpResponse {
    HttpResponse::new(
        http_status.try_into().expect("an HTTP status"),
        format!(r#"{{"__type":"{code}","message":"no"}}"#).into(),
    )
}
