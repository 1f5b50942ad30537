//! Whose a statement is.

use super::*;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_redshiftdata::config::{Builder, Credentials};
use redshift_data_local::caller::Caller;

/// A client that signs with this access key.
async fn client(url: &str, key: &str) -> Client {
    let credentials = Credentials::new(key, "secret", None, None, "test");
    Client::from_conf(Builder::from(&sdk_config(url).await).credentials_provider(credentials).build())
}

pub(crate) async fn statements_belong_to_the_role_that_ran_them(api: &Api) -> Outcome {
    let session =
        |role: &str, name: &str| Caller::of_arn(&format!("arn:aws:sts::111122223333:assumed-role/{role}/{name}"));
    let mut config = Config::new(api.database.warehouse.config().clone(), vec![]);
    config.access = Some(Arc::new(HashMap::from([
        ("AKIARUNNER".to_owned(), session("loader", "proc-runner")),
        ("AKIACHECKER".to_owned(), session("loader", "status-checker")),
        ("AKIAAUDIT".to_owned(), session("audit", "orders-audit-fn")),
        ("AKIAROOT".to_owned(), Caller::Operator),
    ])));
    let own = Running::start(config).await?;
    let as_caller = async |key: &str| client(&own.url, key).await;
    let (runner, checker) = (as_caller("AKIARUNNER").await, as_caller("AKIACHECKER").await);
    let (audit, root) = (as_caller("AKIAAUDIT").await, as_caller("AKIAROOT").await);
    let execute = |client: &Client, sql: &str, name: &str| {
        let execute = client.execute_statement().workgroup_name("w-1").database("ecommerce_db");
        execute.sql(sql).statement_name(name).client_token(name)
    };
    let done = execute(&runner, "SELECT 1", "done").wait_time_seconds(30).send().await?.id.ok_or("no Id")?;
    let slow = execute(&runner, "SELECT pg_sleep(20)", "slow").send().await?.id.ok_or("no Id")?;

    // As if it were not there.
    let nothing = ("ResourceNotFoundException".to_owned(), "Query does not exist.".to_owned());
    assert_eq!(code(audit.describe_statement().id(&done).send().await), nothing);
    assert_eq!(code(audit.get_statement_result().id(&done).send().await), nothing);
    assert_eq!(code(audit.cancel_statement().id(&slow).send().await), nothing);
    let names = async |client: &Client, role_level: Option<bool>, token: Option<String>| -> Any<Vec<String>> {
        let list = client.list_statements().status(StatusString::All).set_role_level(role_level);
        let listed = list.set_next_token(token).send().await?;
        Ok(listed.statements().iter().map(|s| s.statement_name().unwrap_or_default().to_owned()).collect())
    };
    assert!(names(&audit, None, None).await?.is_empty());
    assert!(names(&audit, None, Some(done.clone())).await.is_err(), "a token names no statement of another");

    // Another session of the role finds it, and only RoleLevel tells them apart.
    assert_eq!(checker.get_statement_result().id(&done).send().await?.records(), [[Field::LongValue(1)]]);
    for (client, role_level, expected) in [
        (&checker, None, &["slow", "done"][..]),
        (&checker, Some(true), &["slow", "done"]),
        (&checker, Some(false), &[]),
        (&runner, Some(false), &["slow", "done"]),
        (&root, None, &["slow", "done"]),
    ] {
        assert_eq!(names(client, role_level, None).await?, expected, "{role_level:?}");
    }
    // A client token is the role's, too.
    assert_eq!(execute(&checker, "SELECT 1", "done").send().await?.id.as_deref(), Some(done.as_str()));
    assert_ne!(execute(&audit, "SELECT 1", "done").send().await?.id.as_deref(), Some(done.as_str()));
    assert_eq!(checker.cancel_statement().id(&slow).send().await?.status, Some(true));
    let ended = root.describe_statement().id(&slow).wait_time_seconds(30).send().await?;
    assert_eq!(ended.status, Some(StatusString::Aborted));

    // A session is the role's as well.
    let begun =
        execute(&runner, "SELECT 1", "begun").session_keep_alive_seconds(60).wait_time_seconds(30).send().await?;
    let session = begun.session_id.ok_or("no SessionId")?;
    let within =
        |client: &Client| client.execute_statement().session_id(&session).sql("SELECT 1").wait_time_seconds(30);
    let invalid = format!("Session with Id: {session} is invalid");
    assert_eq!(code(within(&audit).send().await), ("ValidationException".to_owned(), invalid));
    assert!(audit.list_sessions().send().await?.sessions().is_empty());
    assert_eq!(code(audit.list_sessions().session_id(&session).send().await).0, "ResourceNotFoundException");
    assert_eq!(within(&checker).send().await?.status().map(|s| s.as_str()), Some("FINISHED"));
    for (role_level, found) in [(true, 1), (false, 0)] {
        assert_eq!(checker.list_sessions().role_level(role_level).send().await?.sessions().len(), found);
    }

    let stranger = as_caller("AKIANOBODY").await;
    assert_eq!(code(stranger.list_statements().send().await).0, "UnrecognizedClientException");
    own.stop().await;
    Ok(())
}
