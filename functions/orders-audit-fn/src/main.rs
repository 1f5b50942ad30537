//! The bootstrap of orders-audit-fn: start-up only, see the library.

use lambda_runtime::{LambdaEvent, service_fn};
use orders_audit_fn::{Config, handle};
use serde_json::Value;
use shared::{Error, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    // A wrong environment fails each invocation, under a name that a state machine can catch.
    let config = &Config::from_env(runtime::var);
    let sdk = runtime::sdk_config();
    let warehouse = &aws_sdk_redshiftdata::Client::new(&sdk);
    let topic = &runtime::lazy(move || aws_sdk_sns::Client::new(&sdk));
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let config = config.as_ref().map_err(Error::clone)?;
        handle(warehouse, topic, config, event.payload, &event.context).await
    }))
    .await
}
