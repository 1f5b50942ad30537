//! The local Data API on a real PostgreSQL, through the Rust SDK and through the aws CLI.

use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_redshiftdata::operation::describe_statement::{DescribeStatementError, DescribeStatementOutput};
use aws_sdk_redshiftdata::operation::execute_statement::builders::ExecuteStatementFluentBuilder;
use aws_sdk_redshiftdata::types::{Field, SqlParameter, StatusString};
use redshift_data_local::faults::{Fault, FaultKind};
use redshift_data_local::protocol::FailureType;
use redshift_data_local::{Config, Running};
use redshift_local::aws::Cli;
use redshift_local::aws::sdk_config;
use redshift_local::postgres::Postgres;
use redshift_local::warehouse::Warehouse;
use serde_json::{Value, json};
use shared::{StatementId, statement};
use tempfile::TempDir;
use tests::{Any, Outcome, failed, load, run, tests};

struct Api {
    client: Client,
    api: Running,
    warehouse: Warehouse,
    postgres: Postgres,
    _dir: TempDir,
}

async fn start() -> Api {
    let dir = TempDir::new().expect("a folder");
    let postgres = Postgres::start(dir.path()).await.expect("PostgreSQL");
    let warehouse = Warehouse::new(&postgres.url()).expect("a URL");
    warehouse.reset().await.expect("sample orders");
    let mut config = Config::new(warehouse.config().clone(), vec!["w-1".into(), "c-1".into()]);
    config.page_rows = 10;
    let api = Running::start(config).await.expect("the Data API");
    let client = Client::new(&sdk_config(&api.url).await);
    Api { client, api, warehouse, postgres, _dir: dir }
}

impl Api {
    fn execute(&self, sql: &str) -> ExecuteStatementFluentBuilder {
        self.client.execute_statement().workgroup_name("w-1").database("ecommerce_db").sql(sql)
    }

    async fn submit(&self, sql: &str) -> Any<String> {
        Ok(self.execute(sql).send().await?.id.ok_or("no Id")?)
    }

    async fn describe(&self, id: &str, wait: Option<i32>) -> Any<DescribeStatementOutput> {
        Ok(self.client.describe_statement().id(id).set_wait_time_seconds(wait).send().await?)
    }

    /// Runs SQL to its end.
    async fn ended(&self, sql: &str) -> Any<DescribeStatementOutput> {
        let id = self.submit(sql).await?;
        self.describe(&id, Some(30)).await
    }

    /// Has the service refuse an operation so many times.
    fn refuse(&self, operation: &str, kind: FailureType, times: u32) {
        let fault = Fault::new(FaultKind::Refuse(kind)).on(operation).times(times);
        self.api.service.faults().set(vec![fault]);
    }

    async fn until(&self, id: &str, status: StatusString) -> Outcome {
        for _ in 0..200 {
            if self.describe(id, None).await?.status == Some(status.clone()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(failed(format!("{id} is not {status}")))
    }
}

fn code<E: ProvideErrorMetadata, T: std::fmt::Debug, R>(answer: Result<T, SdkError<E, R>>) -> (String, String)
where
    SdkError<E, R>: ProvideErrorMetadata,
{
    let Err(error) = answer else { return ("none".into(), "no error".into()) };
    (error.code().unwrap_or("?").to_owned(), error.message().unwrap_or_default().to_owned())
}

async fn a_statement_runs_and_is_described(api: &Api) -> Outcome {
    let done = api.ended("SELECT COUNT(*) FROM dev.orders").await?;
    assert_eq!(done.status, Some(StatusString::Finished));
    assert_eq!((done.result_rows, done.has_result_set, done.error.as_deref()), (1, Some(true), None));
    assert!(done.duration > 0 && done.redshift_query_id > 0 && done.redshift_pid > 0);
    assert!(done.updated_at >= done.created_at);
    assert_eq!((done.database.as_deref(), done.workgroup_name.as_deref()), (Some("ecommerce_db"), Some("w-1")));
    let call = api.ended("CALL dev.enriched_orders_sp();").await?;
    assert_eq!((call.status, call.result_rows, call.has_result_set), (Some(StatusString::Finished), -1, Some(false)));
    let insert = api.ended("INSERT INTO dev.customers VALUES (77, 'a', 'b'), (78, 'a', 'b')").await?;
    assert_eq!(insert.result_rows, 2);
    let empty = api.ended("SELECT * FROM dev.orders WHERE run_id = -1").await?;
    assert_eq!((empty.result_rows, empty.has_result_set), (0, Some(true)), "true even for an empty set");
    Ok(())
}

async fn a_failing_statement_carries_the_engines_text(api: &Api) -> Outcome {
    for (sql, text) in [
        ("SELECT 1/0", "ERROR: division by zero"),
        ("CALL dev.nope_sp();", "ERROR: procedure dev.nope_sp() does not exist"),
        ("SELEC 1", "syntax error"),
    ] {
        let done = api.ended(sql).await?;
        assert_eq!(done.status, Some(StatusString::Failed), "{sql}");
        assert!(done.error().is_some_and(|e| e.contains(text)), "{:?}", done.error());
    }
    let id = api.execute("SELECT 1").database("nope").send().await?.id.ok_or("no Id")?;
    let done = api.describe(&id, Some(30)).await?;
    assert_eq!(
        (done.status, done.error.as_deref()),
        (Some(StatusString::Failed), Some("FATAL: database \"nope\" does not exist"))
    );
    Ok(())
}

/// What can be shown is settled before a statement runs, so a result never fails what has committed.
async fn every_value_of_a_type_can_be_shown(api: &Api) -> Outcome {
    // As PostgreSQL itself writes them.
    for value in [
        "'NaN'::numeric",
        "-12345678901234567890.000100::numeric",
        "'infinity'::date",
        "'-infinity'::date",
        "'0044-03-15 BC'::date",
        "'12345-01-01'::date",
        "'2000-02-29'::date",
        "'1999-12-31'::date",
        "'24:00:00'::time",
        "'10:00:00.000001'::time",
        "'10:00:00+02'::timetz",
        "'10:00:00.5-03:30'::timetz",
        "'infinity'::timestamp",
        "'-infinity'::timestamptz",
        "'0001-01-01 00:00:00 BC'::timestamp",
        "'1969-12-31 23:59:59.999999'::timestamp",
        "'5b2d1a56-8d5c-4a8c-9d4e-0f6a4a1d2c3b'::uuid",
        "'{\"a\": [1, null]}'::jsonb",
        "'x'::\"char\"",
    ] {
        let done = api.ended(&format!("SELECT {value}, CAST({value} AS TEXT)")).await?;
        assert_eq!(done.status, Some(StatusString::Finished), "{value}: {:?}", done.error());
        let result = api.client.get_statement_result().id(done.id()).send().await?;
        let [shown, written] = result.records()[0].as_slice() else { return Err(failed("two columns")) };
        assert_eq!(shown, written, "{value}");
    }
    let text = |text: &str| Field::StringValue(text.to_owned());
    for (value, shown) in [
        ("INTERVAL '1 day 2 hours'", text("1 days 2 hours 0 mins 0.0 secs")),
        ("INTERVAL '-1.5 seconds'", text("0 days 0 hours 0 mins -1.5 secs")),
        ("INTERVAL '13 months'", text("1 years 1 mons")),
        ("'Infinity'::float8", Field::DoubleValue(f64::INFINITY)),
        ("'-Infinity'::float4", Field::DoubleValue(f64::NEG_INFINITY)),
    ] {
        let done = api.ended(&format!("SELECT {value}")).await?;
        let result = api.client.get_statement_result().id(done.id()).send().await?;
        assert_eq!(result.records()[0][0], shown, "{value}");
    }
    let done = api.ended("SELECT 'NaN'::float8").await?;
    let result = api.client.get_statement_result().id(done.id()).send().await?;
    assert!(matches!(result.records()[0][0], Field::DoubleValue(number) if number.is_nan()));
    for (name, declared, value, status, rows) in [
        ("arrays", "INTEGER[]", "ARRAY[1]", StatusString::Failed, 0),
        ("nan", "FLOAT8", "'NaN'", StatusString::Finished, 1),
        ("never", "DATE", "'infinity'", StatusString::Finished, 1),
    ] {
        api.ended("DELETE FROM dev.customers WHERE customer_id = 901").await?;
        let body = format!("BEGIN INSERT INTO dev.customers VALUES (901, 'a', 'b'); t := {value}; END");
        let create = format!("CREATE PROCEDURE dev.{name}_sp(INOUT t {declared}) LANGUAGE plpgsql AS $$ {body} $$");
        assert_eq!(api.ended(&create).await?.status, Some(StatusString::Finished));
        let done = api.ended(&format!("CALL dev.{name}_sp(NULL)")).await?;
        assert_eq!(done.status, Some(status), "{name}: {:?}", done.error());
        let done = api.ended("SELECT COUNT(*) FROM dev.customers WHERE customer_id = 901").await?;
        let result = api.client.get_statement_result().id(done.id()).send().await?;
        assert_eq!(result.records()[0][0], Field::LongValue(rows), "{name}: what failed has committed nothing");
    }
    Ok(())
}

async fn values_arrive_as_the_service_shows_them(api: &Api) -> Outcome {
    let done = api
        .ended(
            "SELECT CAST(7 AS BIGINT), CAST(1.5 AS DECIMAL(10,2)), CAST('x' AS VARCHAR), TRUE, CAST(2.5 AS FLOAT8), \
             CAST('2026-01-31' AS DATE), CAST('2026-01-31 10:00:00.25' AS TIMESTAMP), CAST(NULL AS INT), CAST(3 AS SMALLINT)",
        )
        .await?;
    let result = api.client.get_statement_result().id(done.id()).send().await?;
    let text = |t: &str| Field::StringValue(t.into());
    assert_eq!(
        result.records(),
        [vec![
            Field::LongValue(7),
            text("1.50"),
            text("x"),
            Field::BooleanValue(true),
            Field::DoubleValue(2.5),
            text("2026-01-31"),
            text("2026-01-31 10:00:00.25"),
            Field::IsNull(true),
            Field::LongValue(3),
        ]]
    );
    assert_eq!(result.column_metadata()[1].type_name(), Some("numeric"));
    Ok(())
}

async fn results_are_paged(api: &Api) -> Outcome {
    let done = api.ended("SELECT n FROM generate_series(1, 25) n ORDER BY 1").await?;
    let mut pages = api.client.get_statement_result().id(done.id()).into_paginator().send();
    let (mut sizes, mut seen) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page?;
        assert_eq!(page.total_num_rows(), 25);
        sizes.push(page.records().len());
        seen.extend(page.records().iter().filter_map(|r| r[0].as_long_value().ok().copied()));
    }
    assert_eq!((sizes, seen), (vec![10, 10, 5], (1..=25).collect()));
    let wrong = api.client.get_statement_result().id(done.id()).next_token("999").send().await;
    assert_eq!(code(wrong).0, "ValidationException");
    Ok(())
}

async fn statuses_come_in_their_order_and_results_after_the_end(api: &Api) -> Outcome {
    let id = api.submit("SELECT pg_sleep(1)").await?;
    let mut seen = Vec::new();
    loop {
        let status = api.describe(&id, None).await?.status.ok_or("no status")?;
        if seen.last() != Some(&status) {
            seen.push(status.clone());
        }
        if status == StatusString::Finished {
            break;
        }
        if status == StatusString::Started {
            let early = api.client.get_statement_result().id(&id).send().await;
            // It may just have ended.
            let now = api.describe(&id, None).await?.status;
            assert!(code(early).0 == "ResourceNotFoundException" || now == Some(StatusString::Finished));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let order = [StatusString::Submitted, StatusString::Picked, StatusString::Started, StatusString::Finished];
    let places: Vec<_> = seen.iter().map(|s| order.iter().position(|o| o == s)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{seen:?}");
    assert!(seen.contains(&StatusString::Started), "{seen:?}");
    Ok(())
}

async fn long_polls_return_at_the_end_or_when_time_is_up(api: &Api) -> Outcome {
    let quick = api.execute("SELECT 1").wait_time_seconds(30).send().await?;
    assert_eq!(quick.status().map(|s| s.as_str()), Some("FINISHED"));
    assert!(api.execute("SELECT 1").send().await?.status().is_none(), "no status where nobody waits");
    let slow = api.submit("SELECT pg_sleep(20)").await?;
    assert_eq!(api.describe(&slow, Some(1)).await?.status, Some(StatusString::Started));
    api.client.cancel_statement().id(&slow).send().await?;
    assert_eq!(api.describe(&slow, Some(30)).await?.status, Some(StatusString::Aborted));
    for seconds in [0, 31] {
        let refused = api.execute("SELECT 1").wait_time_seconds(seconds).send().await;
        assert_eq!(code(refused).0, "ValidationException", "{seconds}");
    }
    Ok(())
}

async fn a_cancel_really_cancels(api: &Api) -> Outcome {
    let id = api.submit("INSERT INTO dev.customers SELECT 500, 'x', CAST(pg_sleep(20) AS VARCHAR)").await?;
    api.until(&id, StatusString::Started).await?;
    assert_eq!(api.client.cancel_statement().id(&id).send().await?.status, Some(true));
    let done = api.describe(&id, Some(30)).await?;
    assert_eq!(done.status, Some(StatusString::Aborted));
    assert!(done.error().is_some_and(|e| e.contains("user request")), "{:?}", done.error());
    assert_eq!(api.warehouse.number("SELECT COUNT(*) FROM dev.customers WHERE customer_id = 500").await?, 0);
    let running = "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(20)%' AND state = 'active' AND pid <> pg_backend_pid()";
    assert_eq!(api.warehouse.number(running).await?, 0);
    let again = code(api.client.cancel_statement().id(&id).send().await);
    assert_eq!(
        again,
        ("ValidationException".into(), "Could not cancel a query that is already in ABORTED state.".into())
    );
    Ok(())
}

/// PostgreSQL drops a cancel that comes while nothing runs: before the query, and between two of a batch.
async fn a_cancel_is_never_lost(api: &Api) -> Outcome {
    let batch = vec!["SELECT pg_sleep(0.02)".to_owned(); 40];
    for n in 0..60 {
        let id = if n % 2 == 0 {
            api.submit("SELECT pg_sleep(25)").await?
        } else {
            let submit = api.client.batch_execute_statement().workgroup_name("w-1").database("ecommerce_db");
            submit.set_sqls(Some(batch.clone())).send().await?.id.ok_or("no Id")?
        };
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..40))).await;
        assert_eq!(api.client.cancel_statement().id(&id).send().await?.status, Some(true));
        let done = api.describe(&id, Some(20)).await?;
        assert_eq!(done.status, Some(StatusString::Aborted), "{n}: {:?}", done.error());
    }
    Ok(())
}

/// The engine, too, ends what nobody waits for any more.
async fn a_lost_connection_ends_what_it_ran(api: &Api) -> Outcome {
    let fault = Fault::new(FaultKind::LoseSession(0.1));
    api.api.service.faults().set(vec![fault]);
    assert_eq!(api.ended("SELECT pg_sleep(3600)").await?.status, Some(StatusString::Failed));
    let working = "SELECT COUNT(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3600)'";
    for _ in 0..200 {
        if api.warehouse.number(working).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(failed("it still runs"))
}

async fn a_client_token_finds_its_statement(api: &Api) -> Outcome {
    let request = || api.execute("INSERT INTO dev.customers VALUES (600, 'a', 'b')").client_token("token-1");
    let first = request().send().await?.id;
    let second = request().wait_time_seconds(5).send().await?.id;
    assert_eq!(first, second);
    api.describe(first.as_deref().ok_or("no Id")?, Some(30)).await?;
    assert_eq!(api.warehouse.number("SELECT COUNT(*) FROM dev.customers WHERE customer_id = 600").await?, 1);
    assert_ne!(first, request().client_token("token-2").send().await?.id);
    assert_eq!(code(api.execute("SELECT 2").client_token("token-1").send().await).0, "ValidationException");
    Ok(())
}

async fn named_parameters_are_bound(api: &Api) -> Outcome {
    let parameter = |name: &str, value: &str| SqlParameter::builder().name(name).value(value).build();
    let sql = "SELECT CAST(:n AS BIGINT) + 1, :text || ':n', product_name FROM dev.orders WHERE order_id = :n";
    let answer = api.execute(sql).parameters(parameter("n", "1001")?).parameters(parameter("text", "it's")?);
    let id = answer.wait_time_seconds(10).send().await?.id.ok_or("no Id")?;
    let described = api.describe(&id, None).await?;
    assert_eq!(described.status, Some(StatusString::Finished), "{:?}", described.error());
    assert_eq!((described.query_string(), described.query_parameters().len()), (Some(sql), 2));
    let result = api.client.get_statement_result().id(&id).send().await?;
    let row = [Field::LongValue(1002), Field::StringValue("it's:n".into()), Field::StringValue("Atlas".into())];
    assert_eq!(result.records(), [row]);
    let unused = api.execute("SELECT 1").parameters(parameter("x", "1")?).send().await;
    assert!(code(unused).1.contains("Unused parameters: [x]"));
    let empty = api.execute("SELECT :x").parameters(parameter("x", "")?).send().await;
    assert_eq!(code(empty).0, "ValidationException");
    Ok(())
}

async fn statements_are_listed_as_the_service_lists_them(api: &Api) -> Outcome {
    for name in ["list/a/1", "list/a/2", "list/ab/1"] {
        api.execute("SELECT 1").statement_name(name).wait_time_seconds(10).send().await?;
    }
    let slow = api.execute("SELECT pg_sleep(20)").statement_name("list/a/3").send().await?.id.ok_or("no Id")?;
    let names = async |prefix: &str, status: Option<StatusString>| -> Any<Vec<String>> {
        let list = api.client.list_statements().statement_name(prefix).set_status(status).workgroup_name("w-1");
        let mut pages = list.max_results(1).into_paginator().items().send();
        let mut names = Vec::new();
        while let Some(statement) = pages.next().await {
            names.push(statement?.statement_name.unwrap_or_default());
        }
        Ok(names)
    };
    assert_eq!(
        names("list/a", None).await?,
        ["list/ab/1", "list/a/2", "list/a/1"],
        "FINISHED only, newest first, by prefix"
    );
    assert_eq!(names("list/a/", Some(StatusString::All)).await?, ["list/a/3", "list/a/2", "list/a/1"]);
    api.until(&slow, StatusString::Started).await?;
    assert_eq!(names("list/", Some(StatusString::Started)).await?, ["list/a/3"]);
    assert!(
        api.client
            .list_statements()
            .statement_name("list/")
            .workgroup_name("w-2")
            .send()
            .await?
            .statements()
            .is_empty()
    );
    api.client.cancel_statement().id(&slow).send().await?;
    Ok(())
}

async fn a_batch_is_one_transaction_unless_told_otherwise(api: &Api) -> Outcome {
    let batch = |sqls: [&str; 2]| {
        let batch =
            api.client.batch_execute_statement().cluster_identifier("c-1").database("ecommerce_db").db_user("u");
        batch.set_sqls(Some(sqls.map(str::to_owned).to_vec())).wait_time_seconds(10)
    };
    let good = batch(["INSERT INTO dev.customers VALUES (700, 'a', 'b')", "SELECT 42"]).send().await?;
    let whole = code(api.client.get_statement_result().id(good.id.as_deref().unwrap_or_default()).send().await);
    assert_eq!(whole.0, "ValidationException", "the result of a whole batch: {}", whole.1);
    let id = good.id.ok_or("no Id")?;
    let described = api.describe(&id, None).await?;
    assert_eq!((described.status(), described.sub_statements().len()), (Some(&StatusString::Finished), 2));
    let result = api.client.get_statement_result().id(format!("{id}:2")).send().await?;
    assert_eq!(result.records(), [[Field::LongValue(42)]]);
    let half = ["INSERT INTO dev.customers VALUES (701, 'a', 'b')", "SELECT 1/0"];
    let bad = batch(half).send().await?.id.ok_or("no Id")?;
    let described = api.describe(&bad, None).await?;
    assert_eq!(described.status, Some(StatusString::Failed));
    assert!(described.error().is_some_and(|e| e.contains("Query #2") && e.contains("division by zero")));
    let there = "SELECT COUNT(*) FROM dev.customers WHERE customer_id = 701";
    assert_eq!(api.warehouse.number(there).await?, 0, "rolled back whole");
    batch(half).execution_mode("AUTO_COMMIT".into()).send().await?;
    assert_eq!(api.warehouse.number(there).await?, 1);
    Ok(())
}

async fn each_statement_of_a_batch_takes_the_parameters_that_it_names(api: &Api) -> Outcome {
    let parameter = |name: &str, value: &str| SqlParameter::builder().name(name).value(value).build();
    let sqls = ["SELECT CAST(:ab AS INT), ':a'", "SELECT CAST(:a AS INT)", "SELECT '5'::a"].map(str::to_owned);
    api.warehouse.run("CREATE DOMAIN a AS INT").await?;
    let batch = api.client.batch_execute_statement().workgroup_name("w-1").database("ecommerce_db");
    let batch = batch.set_sqls(Some(sqls.to_vec())).parameters(parameter("a", "1")?).parameters(parameter("ab", "2")?);
    let id = batch.wait_time_seconds(10).send().await?.id.ok_or("no Id")?;
    assert_eq!(api.describe(&id, None).await?.error(), None);
    for (part, row) in [
        (1, vec![Field::LongValue(2), Field::StringValue(":a".into())]),
        (2, vec![Field::LongValue(1)]),
        (3, vec![Field::LongValue(5)]),
    ] {
        let result = api.client.get_statement_result().id(format!("{id}:{part}")).send().await?;
        assert_eq!(result.records(), [row], "{part}");
    }
    Ok(())
}

async fn every_refusal_of_the_model_can_be_ordered(api: &Api) -> Outcome {
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

async fn status_checker_asks_without_waiting_where_too_many_wait(api: &Api) -> Outcome {
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

async fn a_thousand_long_polls_on_two_hundred_statements_are_all_answered(api: &Api) -> Outcome {
    let figures = load::run(&api.api.url, 200, 5).await?;
    assert_eq!((figures.statements, figures.polls, figures.lost), (200, 1000, 0), "{figures:?}");
    Ok(())
}

async fn refusals_have_the_services_own_types(api: &Api) -> Outcome {
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
    expect(
        code(api.execute("SELECT 1").session_keep_alive_seconds(60).send().await),
        "ValidationException",
        "no sessions",
    );
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
    expect(code(api.client.list_databases().database("d").send().await), "UnknownOperationException", "ListDatabases");
    Ok(())
}

async fn the_aws_cli_can_talk_to_it(api: &Api) -> Outcome {
    let cli = async |arguments: &[&str]| Cli::local(&api.api.url).call(&[&["redshift-data"], arguments].concat()).await;
    let target = ["--workgroup-name", "w-1", "--database", "ecommerce_db"];
    let execute = [
        "execute-statement",
        "--sql",
        "SELECT :a AS x",
        "--parameters",
        "name=a,value=hello",
        "--wait-time-seconds",
        "10",
    ];
    let done = cli(&[&execute[..], &target].concat()).await?;
    assert_eq!(done["Status"], "FINISHED");
    let id = done["Id"].as_str().ok_or("no Id")?;
    let described: Value = cli(&["describe-statement", "--id", id]).await?;
    assert_eq!((&described["Status"], &described["ResultRows"]), (&json!("FINISHED"), &json!(1)));
    let result = cli(&["get-statement-result", "--id", id]).await?;
    assert_eq!(result["Records"], json!([[{"stringValue": "hello"}]]));
    assert_eq!(result["ColumnMetadata"][0]["name"], "x");
    let listed = cli(&[&["list-statements", "--status", "ALL", "--max-items", "1"][..], &target].concat()).await?;
    assert_eq!(listed["Statements"][0]["Id"], id);
    let refused = cli(&["cancel-statement", "--id", id]).await.expect_err("ended").to_string();
    assert!(refused.contains("ValidationException") && refused.contains("FINISHED"), "{refused}");
    Ok(())
}

fn main() -> ExitCode {
    let tests = tests![
        a_statement_runs_and_is_described,
        a_failing_statement_carries_the_engines_text,
        values_arrive_as_the_service_shows_them,
        every_value_of_a_type_can_be_shown,
        results_are_paged,
        statuses_come_in_their_order_and_results_after_the_end,
        long_polls_return_at_the_end_or_when_time_is_up,
        a_cancel_really_cancels,
        a_cancel_is_never_lost,
        a_lost_connection_ends_what_it_ran,
        a_client_token_finds_its_statement,
        named_parameters_are_bound,
        statements_are_listed_as_the_service_lists_them,
        a_batch_is_one_transaction_unless_told_otherwise,
        each_statement_of_a_batch_takes_the_parameters_that_it_names,
        every_refusal_of_the_model_can_be_ordered,
        status_checker_asks_without_waiting_where_too_many_wait,
        a_thousand_long_polls_on_two_hundred_statements_are_all_answered,
        refusals_have_the_services_own_types,
        the_aws_cli_can_talk_to_it,
    ];
    let stop = async |api: Api| {
        api.api.stop().await;
        api.postgres.stop().await;
    };
    run(tests, start, stop)
}
