//! What the end-to-end tests share: a harness that starts something once, runs tests on it one after the
//! other, and stops it.

pub mod chaos;
pub mod database;
pub mod engines;
pub mod glue;
pub mod host;
pub mod load;
pub mod moto;
pub mod raw;
pub mod sink;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use redshift_data_local::caller::Caller;
use redshift_data_local::interrupted;
use redshift_data_local::protocol::Reply;
use redshift_local::stack::Stack;
use serde_json::Value;
use tokio::runtime::Runtime;

/// A result of helpers and tests: any error fails the test.
pub type Any<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How a test ends.
pub type Outcome = Any<()>;

/// Calls the Data API of a local stack as a session of this role, past the signature.
///
/// # Errors
/// The refusals of the Data API.
pub async fn as_role(stack: &Stack, role: &str, operation: &str, request: Value) -> Reply {
    let arn = format!("arn:aws:sts::000000000000:assumed-role/{role}/somebody");
    stack.data_api.service.call(&format!("RedshiftData.{operation}"), request, &Caller::of_arn(&arn)).await
}

/// A test on something shared.
pub type Test<S> = for<'a> fn(&'a S) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Names async functions as tests: `tests![a, b]`.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => { vec![$((stringify!($name), (|s| Box::pin($name(s))) as $crate::Test<_>)),*] };
}

/// Runs the tests one after the other on what `start` makes, then `stop`s it. Nothing is started where
/// no test is to run.
pub fn run<S, B, E>(tests: Vec<(&'static str, Test<S>)>, start: B, stop: E) -> ExitCode
where
    S: Send + Sync + 'static,
    B: AsyncFnOnce() -> S,
    E: AsyncFnOnce(S),
{
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    // Nobody drops anything then; the watchdog of what was started ends it.
    runtime.spawn(async {
        interrupted().await;
        std::process::exit(130);
    });
    let shared: Arc<OnceLock<S>> = Arc::default();
    let wanted = |name: &str| {
        let hit = |f: &String| if arguments.exact { name == f } else { name.contains(f.as_str()) };
        arguments.filter.as_ref().is_none_or(hit) && !arguments.skip.iter().any(hit)
    };
    if !arguments.list && tests.iter().any(|(name, _)| wanted(name)) {
        let _ = shared.set(runtime.block_on(start()));
    }
    let trials = tests.into_iter().map(|(name, test)| {
        let (runtime, shared) = (runtime.clone(), shared.clone());
        Trial::test(name, move || {
            let shared = shared.get().ok_or("nothing was started")?;
            runtime.block_on(test(shared)).map_err(|e| Failed::from(e.to_string()))
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if let Some(shared) = Arc::into_inner(shared).and_then(OnceLock::into_inner) {
        runtime.block_on(stop(shared));
    }
    conclusion.exit_code()
}

/// Runs a program to its end, or until a signal is to end it: what it has started is dropped then.
pub async fn until_interrupted(program: impl Future<Output = Any<()>>) -> Any<()> {
    tokio::select! {
        outcome = program => outcome,
        () = interrupted() => Err(failed("interrupted")),
    }
}

/// An error with this text, to end a test with.
pub fn failed(text: impl Into<String>) -> Box<dyn std::error::Error + Send + Sync> {
    text.into().into()
}
