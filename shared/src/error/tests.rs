use super::*;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ErrorMetadata;

#[test]
fn a_diagnostic_carries_the_stable_name_and_a_cut_text() {
    let diagnostic = Diagnostic::from(Error::new(ErrorKind::AlreadyRunning, "é".repeat(10_000)));
    assert_eq!(diagnostic.error_type, "AlreadyRunning");
    assert_eq!(diagnostic.error_message.chars().count(), MAX_CAUSE_CHARS);
    assert!(diagnostic.error_message.contains("é [cut]\nWhat to do: Wait for the end"), "what to do is not cut off");
}

#[test]
fn an_error_says_once_what_it_is_about() {
    let error = Error::new(ErrorKind::ServiceUnavailable, "failed to submit dev.p: no answer");
    assert_eq!(error.about("dev.p").to_string(), "failed to submit dev.p: no answer");
    let error = Error::new(ErrorKind::UnknownStatus, "HIBERNATING").about("dev.p");
    assert_eq!((error.name(), error.to_string().as_str()), ("UnknownStatus", "dev.p: HIBERNATING"));
}

fn answered(status: u16, body: &str) -> SdkError<DescribeStatementError, HttpResponse> {
    let code = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
    let text = |field: &str| code[field].as_str().map(str::to_owned);
    let meta = ErrorMetadata::builder();
    let meta = text("code").into_iter().fold(meta, |meta, code| meta.code(code));
    let meta = text("message").into_iter().fold(meta, |meta, message| meta.message(message));
    let mut raw = HttpResponse::new(status.try_into().expect("a status"), body.to_owned().into());
    raw.headers_mut().insert("x-amzn-requestid", "5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b");
    SdkError::service_error(DescribeStatementError::generic(meta.build()), raw)
}

#[test]
fn a_message_of_aws_is_shown_in_our_words() {
    let id = " (request 5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b)";
    for (status, body, name, said) in [
        (
            400,
            r#"{"code": "ValidationException", "message": "syntax error near 'hunter2'"}"#,
            "RequestRefused",
            "ValidationException; CloudTrail has the whole text",
        ),
        (
            400,
            r#"{"code": "ValidationException", "message": "Redshift endpoint doesn't exist in this region."}"#,
            "RequestRefused",
            "ValidationException: there is no such workgroup or cluster",
        ),
        (
            400,
            r#"{"code": "AccessDeniedException", "message": "User: arn:aws:sts::1:assumed-role/r/hunter2 is not authorized to perform: redshift:GetClusterCredentialsWithIAM on resource: hunter2"}"#,
            "AccessDenied",
            "AccessDeniedException: the role may not do redshift:GetClusterCredentialsWithIAM",
        ),
        (
            400,
            r#"{"code": "ThrottlingException", "message": "Rate exceeded"}"#,
            "Throttled",
            "ThrottlingException: too many requests",
        ),
        (500, r#"{"code": "SomethingNew"}"#, "ServiceUnavailable", "SomethingNew; CloudTrail has the whole text"),
        (
            400,
            r#"{"code": "hunter2: x", "message": "hunter2"}"#,
            "ServiceUnavailable",
            "the answer of AWS could not be read (HTTP 400)",
        ),
        (403, "<html>hunter2</html>", "ServiceUnavailable", "the answer of AWS could not be read (HTTP 403)"),
        (404, r#"{"message": "hunter2"}"#, "ServiceUnavailable", "the answer of AWS could not be read (HTTP 404)"),
        (429, "hunter2", "Throttled", "the answer of AWS could not be read (HTTP 429)"),
        (502, "hunter2", "ServiceUnavailable", "the answer of AWS could not be read (HTTP 502)"),
    ] {
        let error = Error::from_sdk("describe", answered(status, body));
        assert_eq!((error.name(), error.to_string()), (name, format!("failed to describe: {said}{id}")), "{body}");
    }
}

#[test]
fn what_is_no_answer_has_a_text_for_its_kind() {
    type Failed = SdkError<DescribeStatementError, HttpResponse>;
    let hunter2 = |text: &str| std::io::Error::other(format!("hunter2 {text}"));
    let raw = HttpResponse::new(200.try_into().expect("a status"), "{\"QueryString\": \"hunter2\"".into());
    for (error, name, said) in [
        (Failed::construction_failure(hunter2("")), "InvalidConfiguration", "AWS_REGION"),
        (Failed::timeout_error(hunter2("")), "ServiceUnavailable", "did not answer in time"),
        (
            Failed::dispatch_failure(ConnectorError::io(hunter2("invalid peer certificate: UnknownIssuer").into())),
            "ServiceUnavailable",
            "could not be reached: the server's certificate is not trusted",
        ),
        (
            Failed::dispatch_failure(ConnectorError::io(hunter2("").into())),
            "ServiceUnavailable",
            "AWS could not be reached",
        ),
        (Failed::response_error(hunter2(""), raw), "ServiceUnavailable", "could not be read (HTTP 200)"),
    ] {
        let error = Error::from_sdk("describe", error);
        let text = format!("{error} {error:?}");
        assert_eq!(error.name(), name, "{text}");
        assert!(text.contains(said) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn short_texts_are_not_cut() {
    assert_eq!(cut("abc", 3), "abc");
}
