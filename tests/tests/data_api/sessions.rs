//! Sessions that stay between statements.

use super::*;

use aws_sdk_redshiftdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_redshiftdata::types::{SessionData, SessionStatusString};

impl Api {
    /// Runs a statement that leaves a session behind.
    async fn begin(&self, sql: &str, seconds: i32) -> Any<(String, ExecuteStatementOutput)> {
        let done = self.execute(sql).session_keep_alive_seconds(seconds).wait_time_seconds(30).send().await?;
        Ok((done.session_id.clone().ok_or("no SessionId")?, done))
    }

    /// In a session: nothing else says where it is.
    fn within(&self, session: &str, sql: &str) -> ExecuteStatementFluentBuilder {
        self.client.execute_statement().session_id(session).sql(sql)
    }

    /// Runs a statement in a session, and tells how it ended.
    async fn ended_within(&self, session: &str, sql: &str) -> Any<DescribeStatementOutput> {
        let id = self.within(session, sql).send().await?.id.ok_or("no Id")?;
        self.describe(&id, Some(30)).await
    }

    async fn session(&self, id: &str) -> Any<SessionData> {
        let listed = self.client.list_sessions().session_id(id).send().await?;
        listed.sessions.into_iter().next().ok_or_else(|| failed("no session"))
    }

    async fn until_closed(&self, id: &str) -> Outcome {
        for _ in 0..2000 {
            if self.session(id).await?.status == SessionStatusString::Closed {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(failed("it stays open"))
    }

    async fn until_connections(&self, question: &str, number: i64) -> Outcome {
        for _ in 0..500 {
            if self.database.warehouse.number(question).await? == number {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(failed("connections are left, or gone"))
    }

    async fn first_value(&self, session: &str, sql: &str) -> Any<Field> {
        let done = self.ended_within(session, sql).await?;
        let result = self.client.get_statement_result().id(&done.id).send().await;
        let result = result.map_err(|e| failed(format!("{sql}: {:?} {e:?}", done.error)))?;
        Ok(result.records()[0][0].clone())
    }
}

const GONE: &str = "Session is not available";

fn refused(text: &str) -> (String, String) {
    ("ValidationException".to_owned(), text.to_owned())
}

pub(crate) async fn a_session_stays_between_statements(api: &Api) -> Outcome {
    let (session, first) = api.begin("CREATE TEMP TABLE kept (n INTEGER)", 60).await?;
    assert_eq!(first.status().map(|s| s.as_str()), Some("FINISHED"));
    let pid = api.describe(first.id().ok_or("no Id")?, None).await?.redshift_pid;
    let insert = api.within(&session, "INSERT INTO kept VALUES (1), (2)").wait_time_seconds(30).send().await?;
    assert_eq!(
        (insert.session_id(), insert.workgroup_name(), insert.database()),
        (Some(session.as_str()), Some("w-1"), Some("ecommerce_db"))
    );
    let described = api.describe(insert.id().ok_or("no Id")?, None).await?;
    assert_eq!((described.session_id(), described.redshift_pid), (Some(session.as_str()), pid));
    let listed = api.client.list_statements().status(StatusString::All).max_results(1).send().await?;
    assert_eq!(listed.statements()[0].session_id(), Some(session.as_str()));
    assert_eq!(api.first_value(&session, "SELECT COUNT(*) FROM kept").await?, Field::LongValue(2));

    // Settings and transactions stay as well, and so does a failure within one.
    api.ended_within(&session, "SET search_path TO dev").await?;
    assert_eq!(
        api.ended_within(&session, "SELECT COUNT(*) FROM customers").await?.status,
        Some(StatusString::Finished)
    );
    api.ended_within(&session, "BEGIN").await?;
    api.ended_within(&session, "INSERT INTO customers VALUES (700, 'a', 'b')").await?;
    assert_eq!(api.database.warehouse.number("SELECT COUNT(*) FROM dev.customers WHERE customer_id = 700").await?, 0);
    assert_eq!(api.ended_within(&session, "SELECT 1/0").await?.error.as_deref(), Some("ERROR: division by zero"));
    let next = api.ended_within(&session, "SELECT 1").await?;
    let aborted = "ERROR: current transaction is aborted, commands ignored until end of transaction block";
    assert_eq!((next.status, next.error.as_deref()), (Some(StatusString::Failed), Some(aborted)));
    api.ended_within(&session, "ROLLBACK").await?;
    assert_eq!(
        api.first_value(&session, "SELECT COUNT(*) FROM customers WHERE customer_id = 700").await?,
        Field::LongValue(0)
    );

    // A batch that fails leaves the session open, and no transaction in it.
    let batch = api.client.batch_execute_statement().session_id(&session);
    let batch = batch.set_sqls(Some(vec!["INSERT INTO kept VALUES (3)".into(), "SELECT 1/0".into()]));
    assert_eq!(batch.wait_time_seconds(30).send().await?.status().map(|s| s.as_str()), Some("FAILED"));
    assert_eq!(api.first_value(&session, "SELECT COUNT(*) FROM kept").await?, Field::LongValue(2));
    let without = api.execute("SELECT 1").session_keep_alive_seconds(0).send().await?;
    assert_eq!(without.session_id(), None, "none is made for no time");
    Ok(())
}

pub(crate) async fn a_session_runs_one_statement_at_a_time(api: &Api) -> Outcome {
    let (session, _) = api.begin("SELECT 1", 60).await?;
    let available = api.session(&session).await?;
    assert_eq!((available.status, available.session_alive_seconds), (SessionStatusString::Available, Some(60)));
    assert!(available.session_ttl.is_some() && available.current_statement_id.is_none());
    let slow =
        api.within(&session, "SELECT pg_sleep(25)").client_token("in-a-session").send().await?.id.ok_or("no Id")?;
    assert_eq!(code(api.within(&session, "SELECT 1").send().await), refused(GONE));
    let again = api.within(&session, "SELECT pg_sleep(25)").client_token("in-a-session").send().await?;
    assert_eq!(again.id(), Some(slow.as_str()), "a repeated request is no second statement");
    let busy = api.session(&session).await?;
    assert_eq!((busy.status, busy.current_statement_id), (SessionStatusString::Busy, Some(slow.clone())));
    api.until(&slow, StatusString::Started).await?;
    api.client.cancel_statement().id(&slow).send().await?;
    assert_eq!(api.describe(&slow, Some(30)).await?.status, Some(StatusString::Aborted));
    // A cancel that comes about when its statement ends strikes that or nothing, alone and in a batch: each try is nearer to that moment.
    let (mut finished, mut aborted, mut micros) = (0, 0, 20_000);
    for n in 0..120 {
        let sqls = vec!["SELECT pg_sleep(0.01)".to_owned(); 2];
        let id = if n % 2 == 0 {
            api.within(&session, "SELECT pg_sleep(0.02)").send().await?.id
        } else {
            api.client.batch_execute_statement().session_id(&session).set_sqls(Some(sqls)).send().await?.id
        };
        let id = id.ok_or("no Id")?;
        tokio::time::sleep(Duration::from_micros(micros)).await;
        let _ = api.client.cancel_statement().id(&id).send().await;
        let ended = api.describe(&id, Some(30)).await?;
        match ended.status {
            Some(StatusString::Finished) => (finished, micros) = (finished + 1, micros.saturating_sub(700)),
            Some(StatusString::Aborted) => (aborted, micros) = (aborted + 1, micros + 700),
            _ => return Err(failed(format!("{ended:?}"))),
        }
        let next = api.within(&session, "SELECT pg_sleep(0.005)").wait_time_seconds(30).send().await?;
        let next = api.describe(next.id().ok_or("no Id")?, None).await?;
        assert_eq!(next.status, Some(StatusString::Finished), "{n}: {:?}", next.error);
    }
    assert!(finished > 0 && aborted > 0, "{finished} finished and {aborted} aborted");
    // No cancel is left over for what comes next.
    for n in 0..20 {
        let sql = format!("SELECT {n} FROM pg_sleep(0.01)");
        assert_eq!(api.first_value(&session, &sql).await?, Field::LongValue(n));
        let id = api.within(&session, "SELECT pg_sleep(25)").send().await?.id.ok_or("no Id")?;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20))).await;
        api.client.cancel_statement().id(&id).send().await?;
        assert_eq!(api.describe(&id, Some(30)).await?.status, Some(StatusString::Aborted));
    }
    Ok(())
}

pub(crate) async fn a_session_ends_when_nobody_has_used_it_for_long_enough(api: &Api) -> Outcome {
    let connections = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name LIKE 'kept-%'";
    let begin = |name: &str| api.execute("SELECT pg_backend_pid()").statement_name(name).wait_time_seconds(30);
    let session = begin("kept-1").session_keep_alive_seconds(3).send().await?.session_id.ok_or("no SessionId")?;
    // The time is counted from the end of the last statement.
    api.ended_within(&session, "SELECT pg_sleep(3.5)").await?;
    assert_eq!(api.ended_within(&session, "SELECT 1").await?.status, Some(StatusString::Finished));
    assert_eq!(api.session(&session).await?.status, SessionStatusString::Available);
    api.until_closed(&session).await?;
    assert_eq!(code(api.within(&session, "SELECT 1").send().await), refused(GONE));
    // 0 ends it with the statement.
    let session = begin("kept-2").session_keep_alive_seconds(60).send().await?.session_id.ok_or("no SessionId")?;
    api.within(&session, "SELECT 1").session_keep_alive_seconds(0).wait_time_seconds(30).send().await?;
    assert_eq!(api.session(&session).await?.status, SessionStatusString::Closed);
    // So does the end of its connection, whoever ends that.
    let session = begin("kept-3").session_keep_alive_seconds(60).send().await?.session_id.ok_or("no SessionId")?;
    api.until_connections(connections, 1).await?;
    let killed = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'kept-3'";
    assert_eq!(api.database.warehouse.number(killed).await?, 1);
    api.until_connections(connections, 0).await?;
    api.until_closed(&session).await?;
    assert_eq!(code(api.within(&session, "SELECT 1").send().await), refused(GONE));
    let nowhere = api.execute("SELECT 1").database("nope").session_keep_alive_seconds(60).wait_time_seconds(30);
    let session = nowhere.send().await?.session_id.ok_or("no SessionId")?;
    assert_eq!(api.session(&session).await?.status, SessionStatusString::Closed);
    Ok(())
}

pub(crate) async fn sessions_are_refused_and_listed_as_the_service_does(api: &Api) -> Outcome {
    let (session, _) = api.begin("SELECT 1", 60).await?;
    let unknown = "11111111-2222-3333-4444-555555555555";
    let invalid = format!("Session with Id: {unknown} is invalid");
    assert_eq!(code(api.within(unknown, "SELECT 1").send().await), refused(&invalid));
    for (request, text) in [
        (api.within("nope", "SELECT 1"), "regex"),
        (api.within(&session, "SELECT 1").database("ecommerce_db"), "together"),
        (api.within(&session, "SELECT 1").workgroup_name("w-1"), "together"),
        (api.execute("SELECT 1").session_keep_alive_seconds(86_401), "between 0 and 86400"),
    ] {
        let (kind, message) = code(request.send().await);
        assert!(kind == "ValidationException" && message.contains(text), "{kind} {message}");
    }
    let missing =
        api.client.list_sessions().session_id(unknown).send().await.expect_err("unknown").into_service_error();
    assert!(missing.is_resource_not_found_exception(), "{missing:?}");
    let (second, _) = api.begin("SELECT 1", 60).await?;
    let mut pages = api.client.list_sessions().workgroup_name("w-1").max_results(1).into_paginator().items().send();
    let (first, next) = (pages.next().await.ok_or("no session")??, pages.next().await.ok_or("one session")??);
    assert_eq!((first.session_id.as_str(), next.session_id.as_str()), (second.as_str(), session.as_str()));
    assert_eq!((first.workgroup_name.as_deref(), first.database.as_deref()), (Some("w-1"), Some("ecommerce_db")));
    assert!(api.client.list_sessions().workgroup_name("w-2").send().await?.sessions().is_empty());
    let both = api.client.list_sessions().session_id(&session).database("ecommerce_db").send().await;
    assert_eq!(code(both).0, "ValidationException");
    Ok(())
}
