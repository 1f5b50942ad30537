//! Sorts what an SDK call failed with, and recognises AWS's messages without showing them.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{Error, ErrorKind};
use crate::shown;

impl Error {
    /// Sorts a failed SDK call into what the caller can do about it.
    ///
    /// `doing` completes "failed to ..." and must not hold secrets or SQL arguments. The SDK has by
    /// then used up its own retries, so what is left of throttling and of 5xx is the state machine's.
    ///
    /// The text shows the code of the service's error, and in our own words what is known of its message: a message
    /// may quote SQL or parameters, and an answer that could not be read may hold rows. The whole text is in
    /// CloudTrail, under the request id that is shown.
    pub fn from_sdk<E>(doing: &str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let status = error.raw_response().map(|r| r.status().as_u16());
        let request = error.raw_response().and_then(|r| r.headers().get("x-amzn-requestid"));
        let request = request.and_then(shown::request_id).map(|id| format!(" (request {id})")).unwrap_or_default();
        let failed = |why: &str| format!("failed to {doing}: {why}{request}");
        let code = error.code().and_then(shown::error_code);
        let hint = |phrases| {
            // Read, never shown.
            let text = DisplayErrorContext(&error).to_string().to_lowercase();
            find(phrases, &text).map(|words| format!(": {words}")).unwrap_or_default()
        };
        match &error {
            SdkError::ConstructionFailure(_) => {
                return Self::invalid_configuration(failed(
                    "the request could not be made; AWS_REGION, the credentials or an endpoint may be missing",
                ));
            }
            SdkError::TimeoutError(_) => {
                return Self::new(ErrorKind::ServiceUnavailable, failed("AWS did not answer in time"));
            }
            SdkError::DispatchFailure(_) => {
                let why = format!("AWS could not be reached{}", hint(CONNECTION_PHRASES));
                return Self::new(ErrorKind::ServiceUnavailable, failed(&why));
            }
            SdkError::ServiceError(_) => {}
            _ => return Self::new(ErrorKind::ServiceUnavailable, failed(&unreadable(status))),
        }
        let Some(code) = code else {
            let text = failed(&unreadable(status));
            return if status == Some(429) {
                Self::new(ErrorKind::Throttled, text)
            } else {
                Self::new(ErrorKind::ServiceUnavailable, text)
            };
        };
        let message = error.message().unwrap_or_default().to_lowercase();
        let denied = ACTIONS.iter().find(|action| message.contains(&action.to_lowercase()));
        let why = match (denied, find(MESSAGE_PHRASES, &message)) {
            (Some(action), _) => format!("{code}: the role may not do {action}"),
            (None, Some(words)) => format!("{code}: {words}"),
            (None, None) => format!("{code}; CloudTrail has the whole text"),
        };
        let text = failed(&why);
        match code {
            "ActiveStatementsExceededException"
            | "ActiveSessionsExceededException"
            | "ActiveWaitingRequestsExceededException"
            | "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "KMSThrottling"
            | "KMSThrottlingException"
            | "Throttled"
            | "SlowDown" => Self::new(ErrorKind::Throttled, text),
            "AccessDeniedException"
            | "AccessDenied"
            | "AuthorizationError"
            | "AuthorizationErrorException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "ExpiredToken" => Self::new(ErrorKind::AccessDenied, text),
            "ResourceNotFoundException" => Self::new(ErrorKind::StatementNotFound, text),
            "NotFound" | "NotFoundException" => Self::new(ErrorKind::TopicNotFound, text),
            _ if status.is_some_and(|s| s >= 500) => Self::new(ErrorKind::ServiceUnavailable, text),
            _ => Self::new(ErrorKind::RequestRefused, text),
        }
    }
}

fn unreadable(status: Option<u16>) -> String {
    let status = status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    format!("the answer of AWS could not be read{status}")
}

/// The words of the first entry that has one of its phrases in `text`, which is in lower case.
fn find(entries: &[(&[&str], &'static str)], text: &str) -> Option<&'static str> {
    entries.iter().find(|(phrases, _)| phrases.iter().any(|phrase| text.contains(phrase))).map(|(_, words)| *words)
}

/// What a refusal may be about, as IAM names it.
const ACTIONS: &[&str] = &[
    // The longer names first: they begin like others.
    "redshift:GetClusterCredentialsWithIAM",
    "redshift:GetClusterCredentials",
    "redshift-serverless:GetCredentials",
    "redshift-serverless:GetWorkgroup",
    "redshift:DescribeClusters",
    "redshift-data:ExecuteStatement",
    "redshift-data:DescribeStatement",
    "redshift-data:CancelStatement",
    "redshift-data:ListStatements",
    "redshift-data:GetStatementResult",
    "secretsmanager:GetSecretValue",
    "sns:Publish",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "states:ListExecutions",
    "states:DescribeExecution",
    "glue:GetWorkflowRuns",
    "glue:GetWorkflowRun",
    "glue:GetWorkflow",
    "glue:GetJobRun",
];

/// Messages of AWS in our words. A phrase in a value that a message quotes can only choose among these.
const MESSAGE_PHRASES: &[(&[&str], &str)] = &[
    (
        &["security token", "credentials have expired", "token expired"],
        "the credentials are not valid, or have expired",
    ),
    (
        &[
            "endpoint doesn't exist",
            "endpoint does not exist",
            "cluster doesn't exist",
            "cluster does not exist",
            "cluster not found",
            "workgroup doesn't exist",
            "workgroup does not exist",
            "workgroup not found",
        ],
        "there is no such workgroup or cluster",
    ),
    (&["unused parameter", "parameter list", "parameters list"], "the parameters do not fit the SQL"),
    (&["secret"], "the secret cannot be used"),
    (&["rate exceeded", "throttl"], "too many requests"),
    (&["wait time", "waittimeseconds"], "WaitTimeSeconds is not taken"),
    (&["query does not exist", "statement does not exist"], "there is no such statement"),
    (&["client token", "clienttoken"], "the ClientToken was used for another request"),
    (&["statement name", "statementname"], "the statement's name is not taken"),
];

/// Reasons for a failed connection in our words.
const CONNECTION_PHRASES: &[(&[&str], &str)] = &[
    (&["certificate", "unknownissuer"], "the server's certificate is not trusted"),
    (&["credentials"], "there are no valid credentials"),
    (&["dns error", "lookup address", "name or service not known"], "the endpoint's host name does not resolve"),
    (&["connection refused"], "the connection was refused"),
    (&["timed out", "timeout"], "the connection timed out"),
    (&["connection reset", "connection closed", "broken pipe", "incompletemessage"], "the connection was lost"),
];
