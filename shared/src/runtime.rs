//! What every function does at its start: logging, SDK configuration, the environment.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::Poll;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Connector;
pub use aws_smithy_http_client::tls::TrustStore;
use aws_smithy_http_client::tls::{Provider, TlsContext, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Span};

use crate::error::{Error, Result};
use crate::payload;

/// Time for one try of a call, above the longest long poll. The SDK has no time-out by default.
pub const SDK_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(38);
/// Time for one call with all its tries.
pub const SDK_OPERATION_TIMEOUT: Duration = Duration::from_secs(45);
/// Time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Tries of one call: the SDK retries 5xx, throttling and lost connections with a growing pause.
const ATTEMPTS: u32 = 5;

/// Starts logging to standard output, as AWS_LAMBDA_LOG_LEVEL (or RUST_LOG: a level, INFO by default) and
/// AWS_LAMBDA_LOG_FORMAT say. A panic is logged by its place alone: its text may quote what the function works on.
///
/// The runtime's own subscriber takes directives besides, whose parser is in every binary and runs at every start.
pub fn init_logging() {
    let level = var("AWS_LAMBDA_LOG_LEVEL").or_else(|| var("RUST_LOG")).and_then(|level| level.parse().ok());
    let lines = tracing_subscriber::fmt().with_target(false).without_time();
    let lines = lines.with_max_level(level.unwrap_or(LevelFilter::INFO));
    if var("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().init();
    } else {
        lines.init();
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

/// Amazon Trust Services' roots, under which the endpoints of AWS are signed, as PEM.
/// [amazontrust.com/repository; AWS security blog, "How to prepare for AWS's move to its own certificate authority"]
pub const AMAZON_ROOTS: &str = include_str!("amazon-roots.pem");

/// Does an invocation's work inside of the span that has its ids, and logs a failure there. The runtime logs
/// the same error once more, after us and so without ids, and cannot be stopped from doing so.
///
/// # Errors
/// Those of the work; `Internal` if it panics.
pub fn within<T>(span: Span, work: impl Future<Output = Result<T>>) -> impl Future<Output = Result<T>> {
    // Boxed: the future of all this nested in the runtime's is too deep a type for the compiler.
    let work = Box::pin(work);
    let logged = async { caught(work).await.inspect_err(|e| tracing::error!(error = e.name(), "{e}")) };
    Box::pin(logged.instrument(span))
}

/// The runtime turns a panic into an error, too, but under the panic's own text.
async fn caught<T>(mut work: Pin<Box<impl Future<Output = Result<T>>>>) -> Result<T> {
    std::future::poll_fn(|context| {
        // After a panic the work is dropped and never polled again, so nobody sees a broken state of it.
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(Error::internal("it panicked"))))
    })
    .await
}

/// An HTTP client for SDK clients, with ring as its one TLS provider: the SDK's own default brings another.
///
/// All clients share one connector. The library's own client makes one for each of them when it is built, and another
/// at its first call, and reads the certificates anew each time. What a client says of connecting and reading does not count, then.
pub fn http_client(trust: TrustStore) -> SharedHttpClient {
    let builder = Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .tls_provider(Provider::Rustls(CryptoMode::Ring));
    let connector = match TlsContext::builder().with_trust_store(trust).build() {
        Ok(context) => builder.tls_context(context).build(),
        // A context of a trust store alone never fails; the system's certificates would be right as well.
        Err(_) => builder.build(),
    };
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// The certificate authorities whose servers a function trusts.
///
/// In a commercial region these are Amazon's, built in: reading the system's some 140 certificates takes longer than
/// all else at a cold start. Elsewhere (China, GovCloud, ISO, the sovereign cloud, no region at all) others may have
/// signed, and the system's count. `AWS_CA_BUNDLE` (a PEM file, for a proxy that inspects) replaces them all, as in the
/// AWS CLI and SDKs; the Rust SDK does not read it by itself. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's.
///
/// A bundle that cannot be read is logged, and no server is trusted: to trust others instead would hide the mistake.
fn trusted(var: impl Fn(&str) -> Option<String>) -> TrustStore {
    if let Some(path) = var("AWS_CA_BUNDLE") {
        return match std::fs::read(&path) {
            Ok(bundle) => TrustStore::empty().with_pem_certificate(bundle),
            Err(e) => {
                tracing::error!("AWS_CA_BUNDLE names {path}, which cannot be read: {e}; no server is trusted");
                TrustStore::empty()
            }
        };
    }
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| var(name).is_some());
    if named || !var("AWS_REGION").is_some_and(|region| is_commercial(&region)) {
        return TrustStore::default();
    }
    TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
}

/// Whether a region belongs to the partition `aws`, by the SDKs' own rule for it: area, name and number.
/// [botocore, partitions.json]
fn is_commercial(region: &str) -> bool {
    const AREAS: [&str; 9] = ["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"];
    let parts: Vec<_> = region.split('-').collect();
    let is = |text: &str, kind: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|b| kind(&b));
    matches!(parts[..], [area, name, number] if AREAS.contains(&area)
        && is(name, u8::is_ascii_lowercase) && is(number, u8::is_ascii_digit))
}

/// A client that is made when it is first used: one costs a tenth of a function's start.
pub type Lazy<T> = LazyLock<T, Box<dyn FnOnce() -> T + Send>>;

/// A client that `make` makes when it is first used.
pub fn lazy<T>(make: impl FnOnce() -> T + Send + 'static) -> Lazy<T> {
    LazyLock::new(Box::new(make))
}

/// The SDK configuration: region, credentials and endpoints from the environment, where Lambda puts
/// them (and `aws configure export-credentials --format env` for a laptop).
///
/// aws-config would look there too, but it also brings what looks elsewhere: a twelfth of a function's binary.
pub fn sdk_config() -> SdkConfig {
    sdk_config_from(var)
}

fn sdk_config_from(var: fn(&str) -> Option<String>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(SDK_ATTEMPT_TIMEOUT)
        .operation_timeout(SDK_OPERATION_TIMEOUT)
        .build();
    let flag = |name: &str| var(name).map(|value| value.eq_ignore_ascii_case("true"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client(trusted(var)))
        .region(var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")).map(Region::new))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts)
        .service_config(Endpoints(var));
    config.set_credentials_provider(credentials(var).map(SharedCredentialsProvider::new));
    config.set_endpoint_url(var("AWS_ENDPOINT_URL"));
    config.set_use_fips(flag("AWS_USE_FIPS_ENDPOINT")).set_use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT"));
    config.build()
}

/// The credentials of the environment. A Lambda keeps them as long as it lives.
fn credentials(var: fn(&str) -> Option<String>) -> Option<Credentials> {
    let (id, secret) = (var("AWS_ACCESS_KEY_ID")?, var("AWS_SECRET_ACCESS_KEY")?);
    Some(Credentials::new(id, secret, var("AWS_SESSION_TOKEN"), None, "environment"))
}

/// The endpoints that the environment names for single services, as `AWS_ENDPOINT_URL_REDSHIFT_DATA` does.
/// [AWS SDKs and Tools reference guide, "Service-specific endpoints"]
#[derive(Debug)]
struct Endpoints(fn(&str) -> Option<String>);

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().replace([' ', '-'], "_").to_uppercase();
        self.0(&format!("{}_{service}", key.env()))
    }
}

/// Reads an environment variable; an empty one counts as absent.
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Reads and parses an environment variable, or takes `default` if it is absent.
///
/// # Errors
/// `InvalidConfiguration` naming the variable and what was expected.
pub fn var_parsed<T: std::str::FromStr>(
    var: impl Fn(&str) -> Option<String>,
    name: &str,
    expected: &str,
    default: T,
) -> Result<T> {
    match var(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| Error::invalid_configuration(format!("environment variable {name} has to be {expected}"))),
    }
}

/// Reads a payload. Functions take any JSON and read it here, so that a payload that does not fit fails
/// as `InvalidInput` and not under the name of a Rust type.
///
/// # Errors
/// `InvalidInput` naming the field, the kind of what was found, and what was expected: nothing of the payload.
pub fn parse<T: DeserializeOwned>(payload: Value) -> Result<T> {
    if !payload.is_object() {
        return Err(Error::invalid_input("the payload has to be a JSON object"));
    }
    payload::read(payload).map_err(|fault| Error::invalid_input(format!("the payload does not fit: {fault}")))
}

/// The answer of a function as JSON.
///
/// # Errors
/// `Internal` if it cannot be written as JSON.
pub fn answer(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer).map_err(|_| Error::internal("its answer cannot be written as JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    #[expect(dead_code, reason = "only whether it parses is of interest")]
    struct Payload {
        number: u32,
    }

    #[test]
    fn a_payload_that_does_not_fit_is_invalid_input_without_its_values() {
        for payload in [json!(null), json!([]), json!({}), json!({"Number": "hunter2"}), json!({"Number": -1})] {
            let error = parse::<Payload>(payload).expect_err("does not fit");
            assert_eq!(error.name(), "InvalidInput");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(parse::<Payload>(json!({"Number": 1, "Other": 2})).is_ok());
    }

    #[test]
    fn the_sdk_is_configured_by_the_environment() {
        let config = sdk_config_from(|name| {
            Some(match name {
                "AWS_DEFAULT_REGION" => "eu-central-1".to_owned(),
                "AWS_ENDPOINT_URL" => "http://all".to_owned(),
                "AWS_ENDPOINT_URL_REDSHIFT_DATA" => "http://redshift".to_owned(),
                "AWS_USE_FIPS_ENDPOINT" => "TRUE".to_owned(),
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => "x".to_owned(),
                _ => return None,
            })
        });
        assert_eq!(config.region().map(AsRef::as_ref), Some("eu-central-1"));
        assert_eq!((config.endpoint_url(), config.use_fips()), (Some("http://all"), Some(true)));
        assert!(config.credentials_provider().is_some() && config.use_dual_stack().is_none());
        let endpoint = |id| {
            let key = ServiceConfigKey::builder().service_id(id).env("AWS_ENDPOINT_URL").profile("endpoint_url");
            config.service_config().expect("ours").load_config(key.build().expect("complete"))
        };
        assert_eq!(endpoint("redshift data").as_deref(), Some("http://redshift"));
        assert_eq!(endpoint("sns"), None, "the SDK goes on to the common one");
        assert!(sdk_config_from(|_| None).credentials_provider().is_none());
    }

    #[tokio::test]
    async fn a_panic_is_internal_and_its_text_is_not_shown() {
        let work = async {
            tokio::task::yield_now().await;
            let secret = std::hint::black_box("hunter2");
            if secret.is_empty() { Ok(()) } else { panic!("{secret}") }
        };
        let error = within(Span::none(), work).await.expect_err("it panicked");
        assert_eq!(error.name(), "Internal");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }

    #[test]
    fn an_answer_that_is_no_json_is_our_fault() {
        let no_json = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(answer(no_json).expect_err("no JSON").name(), "Internal");
        assert_eq!(answer(1).expect("JSON"), json!(1));
    }

    fn trusted_with(set: &[(&str, &str)]) -> String {
        let var = |asked: &str| set.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
        format!("{:?}", trusted(var))
    }

    #[test]
    fn amazons_roots_are_trusted_in_commercial_regions_alone() {
        let system = format!("{:?}", TrustStore::default());
        let amazon = format!("{:?}", TrustStore::empty().with_pem_certificate(AMAZON_ROOTS));
        for region in ["us-east-1", "eu-central-2", "ap-southeast-7", "il-central-1", "mx-central-1", "ca-west-1"] {
            assert_eq!(trusted_with(&[("AWS_REGION", region)]), amazon, "{region}");
            assert_eq!(trusted_with(&[("AWS_REGION", region), ("SSL_CERT_FILE", "/some.pem")]), system, "{region}");
            assert_eq!(trusted_with(&[("AWS_REGION", region), ("SSL_CERT_DIR", "/some")]), system, "{region}");
        }
        for region in [
            "cn-north-1",
            "us-gov-west-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "us-isof-south-1",
            "eu-isoe-west-1",
            "eusc-de-east-1",
            "us--1",
            "us-east-",
            "us-east-1a",
            "mars-north-1",
            "",
        ] {
            assert_eq!(trusted_with(&[("AWS_REGION", region)]), system, "{region}");
        }
        assert_eq!(trusted_with(&[]), system);
        // Reads them: a certificate that does not parse would panic here.
        http_client(trusted(|name| (name == "AWS_REGION").then(|| "eu-west-1".into())));
        assert_eq!(AMAZON_ROOTS.matches("-----BEGIN CERTIFICATE-----").count(), 5);
    }

    #[test]
    fn a_bundle_that_is_named_replaces_every_other_authority() {
        let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/src/amazon-roots.pem");
        let region = ("AWS_REGION", "cn-north-1");
        let read = format!("{:?}", TrustStore::empty().with_pem_certificate(AMAZON_ROOTS));
        assert_eq!(trusted_with(&[region, ("AWS_CA_BUNDLE", bundle), ("SSL_CERT_FILE", "/some.pem")]), read);
        let nobody = format!("{:?}", TrustStore::empty());
        assert_eq!(trusted_with(&[("AWS_REGION", "eu-west-1"), ("AWS_CA_BUNDLE", "/no/such/file")]), nobody);
    }

    #[test]
    fn a_variable_that_does_not_parse_is_named() {
        let error = var_parsed(|_| Some("soon".into()), "TIMEOUT_SECONDS", "seconds", 1u64).expect_err("no number");
        assert_eq!(error.name(), "InvalidConfiguration");
        assert_eq!(error.to_string(), "environment variable TIMEOUT_SECONDS has to be seconds");
        assert_eq!(var_parsed(|_| None, "X", "seconds", 7u64).expect("default"), 7);
    }
}
