//! The bootstrap of proc-runner: start-up only, see the library.

use aws_sdk_redshiftdata::Client;
use lambda_runtime::{LambdaEvent, service_fn};
use proc_runner::{Config, handle};
use serde_json::Value;
use shared::{Error, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    // A wrong environment fails each invocation, under a name that a state machine can catch.
    let config = &Config::from_env(runtime::var);
    let client = &Client::new(&runtime::sdk_config());
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let config = config.as_ref().map_err(Error::clone)?;
        handle(client, config, event.payload, &event.context.request_id).await
    }))
    .await
}
