//! The bootstrap of status-checker: start-up only, see the library.

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use shared::{Error, runtime};
use status_checker::{Config, Services, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logging();
    // A wrong environment fails each invocation, under a name that a state machine can catch.
    let config = &Config::from_env(runtime::var);
    let services = &Services::new(runtime::sdk_config());
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let config = config.as_ref().map_err(Error::clone)?;
        handle(services, config, event.payload).await
    }))
    .await
}
