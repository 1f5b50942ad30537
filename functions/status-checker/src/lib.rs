#![doc = include_str!("../README.md")]

mod answer;
mod check;
mod config;
mod gate;
mod request;
mod step;
mod sweep;
mod turn;

pub use answer::Refusal;
pub use config::Config;
pub use gate::{LOOKS as GATE_LOOKS, PAUSE as GATE_PAUSE};
pub use step::{LOOKS as STEP_LOOKS, PAUSE as STEP_PAUSE};
pub use sweep::CONFIRM as SWEEP_CONFIRM;
pub use turn::{LIMIT as TURN_LIMIT, QUEUE as TURN_STATES};

use aws_types::SdkConfig;
use serde_json::Value;
use shared::runtime::{Lazy, lazy, within};
use shared::{Ids, Result, span};

use crate::request::Request;

/// The services that the function calls.
#[derive(Debug)]
pub struct Services {
    /// The statements.
    pub redshift: aws_sdk_redshiftdata::Client,
    /// The executions that queue.
    pub sfn: Lazy<aws_sdk_sfn::Client>,
    /// The runs of the workflow.
    pub glue: Lazy<aws_sdk_glue::Client>,
}

impl Services {
    /// Clients of all three.
    pub fn new(config: SdkConfig) -> Self {
        let own = config.clone();
        Self {
            redshift: aws_sdk_redshiftdata::Client::new(&config),
            sfn: lazy(move || aws_sdk_sfn::Client::new(&own)),
            glue: lazy(move || aws_sdk_glue::Client::new(&config)),
        }
    }
}

/// Answers one of the kinds of payload.
///
/// # Errors
/// `InvalidInput`, `StatementNotFound`, `UnknownStatus`, `StillRunning`, and those of every call.
pub async fn handle(services: &Services, config: &Config, payload: Value) -> Result<Value> {
    let ids = Ids::of(&payload);
    let span = match Request::name(&payload) {
        "turn" => span!("turn", &ids),
        "gate" => span!("gate", &ids),
        "step" => span!("step", &ids),
        _ => span!("check", &ids),
    };
    let redshift = &services.redshift;
    // Boxed: the rare ones would otherwise make every check's future larger.
    match Request::read(payload) {
        Ok(Request::Check(ticket)) => within(span, check::answer(redshift, config, *ticket)).await,
        Ok(Request::Cancel(cancel)) => Box::pin(sweep::on_request(redshift, config, cancel)).await,
        Ok(Request::Ended(event)) => Box::pin(sweep::after_event(redshift, config, event)).await,
        Ok(Request::Turn(request)) => within(span, Box::pin(turn::answer(services, config, request))).await,
        Ok(Request::Gate(request)) => within(span, Box::pin(gate::answer(&services.glue, request))).await,
        Ok(Request::Step(request)) => within(span, async { step::answer(request) }).await,
        Err(error) => within(span, async { Err(error) }).await,
    }
}

#[cfg(test)]
mod tests;
