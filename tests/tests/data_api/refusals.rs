//! What the service refuses, and how.

use super::*;

pub(crate) fn code<E: ProvideErrorMetadata, T: std::fmt::Debug, R>(
    answer: Result<T, SdkError<E, R>>,
) -> (String, String)
where
    SdkError<E, R>: ProvideErrorMetadata,
{
    let Err(error) = answer else { return ("none".into(), "no error".into()) };
    (error.code().unwrap_or("?").to_owned(), error.message().unwrap_or_default().to_owned())
}

pub(crate) async fn every_refusal_of_the_model_can_be_ordered(api: &Api) -> Outcome {
    // The SDK repeats what the service answers by 500.
    api.refuse("ExecuteStatement", FailureType::ExecuteStatementException, 3);
    let error = api.execute("SELECT 1").send().await.expect_err("refused").into_service_error();
    assert!(error.is_execute_statement_exception(), "{error:?}");
    api.refuse("ExecuteStatement", FailureType::ActiveSessionsExceededException, 1);
    let error = api.execute("SELECT 1").send().await.expect_err("refused").into_service_error();
    assert!(error.is_active_sessions_exceeded_exception(), "{error:?}");
    let id = api.submit("SELECT pg_sleep(25)").await?;
    let cancel = || api.client.cancel_statement().id(&id);
    api.refuse("CancelStatement", FailureType::DatabaseConnectionException, 3);
    let error = cancel().send().await.expect_err("refused").into_service_error();
    assert!(error.is_database_connection_exception(), "{error:?}");
    let parsed = StatementId::parse(&id)?;
    api.refuse("CancelStatement", FailureType::QueryTimeoutException, 1);
    assert!(!statement::cancel(&api.client, &parsed).await?, "not taken");
    assert!(statement::cancel(&api.client, &parsed).await?, "taken");
    Ok(())
}

pub(crate) async fn status_checker_asks_without_waiting_where_too_many_wait(api: &Api) -> Outcome {
    let id = api.submit("SELECT pg_sleep(25)").await?;
    api.until(&id, StatusString::Started).await?;
    api.refuse("DescribeStatement", FailureType::ActiveWaitingRequestsExceededException, 1);
    let config = |name: &str| ["WORKGROUP_NAME", "DATABASE"].contains(&name).then(|| "w-1".to_owned());
    let config = status_checker::Config::from_env(config)?;
    let services = status_checker::Services::new(sdk_config(&api.api.url).await);
    let answer = status_checker::handle(&services, &config, json!({"Id": id, "TimeoutSeconds": 60})).await?;
    // Had it waited, the statement would have ended.
    assert_eq!(answer["Status"], "STARTED", "{answer}");
    assert!(api.api.service.faults().left().is_empty());
    api.client.cancel_statement().id(id).send().await?;
    Ok(())
}

pub(crate) async fn refusals_have_the_services_own_types(api: &Api) -> Outcome {
    let expect = |answer: (String, String), kind: &str, text: &str| {
        assert_eq!(answer.0, kind, "{answer:?}");
        assert!(answer.1.contains(text), "{answer:?}");
    };
    let plain = || api.client.execute_statement().sql("SELECT 1");
    expect(code(plain().database("d").send().await), "ValidationException", "ClusterIdentifier or WorkgroupName");
    expect(code(plain().workgroup_name("w-1").send().await), "ValidationException", "Database");
    expect(
        code(plain().workgroup_name("w-1").cluster_identifier("c-1").database("d").send().await),
        "ValidationException",
        "together",
    );
    expect(
        code(plain().workgroup_name("w-1").db_user("u").database("d").send().await),
        "ValidationException",
        "DbUser",
    );
    expect(
        code(api.execute("SELECT 1").workgroup_name("w-9").send().await),
        "ValidationException",
        "endpoint doesn't exist",
    );
    expect(code(api.execute("SELECT 1; SELECT 2").send().await), "ValidationException", "Multiple sql statements");
    let unknown = "11111111-2222-3333-4444-555555555555";
    expect(code(api.client.describe_statement().id("nope").send().await), "ValidationException", "regex");
    let error = api.client.describe_statement().id(unknown).send().await.expect_err("unknown").into_service_error();
    assert!(matches!(error, DescribeStatementError::ResourceNotFoundException(e) if e.resource_id() == unknown));
    expect(code(api.client.cancel_statement().id(unknown).send().await), "ResourceNotFoundException", "does not exist");
    expect(
        code(api.client.get_statement_result().id(unknown).send().await),
        "ResourceNotFoundException",
        "does not exist",
    );
    expect(
        code(api.client.list_databases().database("d").send().await),
        "ValidationException",
        "ClusterIdentifier or WorkgroupName",
    );
    expect(
        code(api.client.list_databases().workgroup_name("w-9").database("d").send().await),
        "ValidationException",
        "endpoint doesn't exist",
    );
    let v2 = api.client.get_statement_result_v2().id(unknown).send().await;
    expect(code(v2), "ResourceNotFoundException", "does not exist");
    Ok(())
}
