//! The local Data API on a real PostgreSQL, through the Rust SDK and through the aws CLI.

mod callers;
mod catalog;
mod csv;
mod events;
mod refusals;
mod results;
mod sessions;

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
use serde_json::{Value, json};
use shared::{StatementId, statement};
use std::process::ExitCode;
use std::time::Duration;
use tests::database::Database;
use tests::{Any, Outcome, failed, load, run, tests};

use callers::*;
use catalog::*;
use csv::*;
use events::*;
use refusals::*;
use results::*;
use sessions::*;

struct Api {
    client: Client,
    api: Running,
    database: Database,
}

async fn start() -> Api {
    let database = Database::start().await;
    database.warehouse.reset().await.expect("sample orders");
    let mut config = Config::new(database.warehouse.config().clone(), vec!["w-1".into(), "c-1".into()]);
    config.page_rows = 10;
    let api = Running::start(config).await.expect("the Data API");
    let client = Client::new(&sdk_config(&api.url).await);
    Api { client, api, database }
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

async fn a_statement_runs_and_is_described(api: &Api) -> Outcome {
    let done = api.ended("SELECT COUNT(*) FROM dev.orders").await?;
    assert_eq!(done.status, Some(StatusString::Finished));
    assert_eq!((done.result_rows, done.has_result_set, done.error.as_deref()), (1, Some(true), None));
    assert!(done.duration > 0 && done.redshift_query_id > 0 && done.redshift_pid > 0);
    assert!(done.updated_at >= done.created_at);
    assert_eq!((done.database.as_deref(), done.workgroup_name.as_deref()), (Some("ecommerce_db"), Some("w-1")));
    let call = api.ended("CALL dev.enriched_orders_sp();").await?;
    assert_eq!((call.status, call.result_rows, call.has_result_set), (Some(StatusString::Finished), 0, Some(false)));
    let insert = api.ended("INSERT INTO dev.customers VALUES (77, 'a', 'b'), (78, 'a', 'b')").await?;
    assert_eq!(insert.result_rows, 2);
    let empty = api.ended("SELECT * FROM dev.orders WHERE run_id = -1").await?;
    assert_eq!((empty.result_rows, empty.has_result_set), (0, Some(true)), "true even for an empty set");
    Ok(())
}

async fn a_failing_statement_carries_the_engines_text(api: &Api) -> Outcome {
    for (sql, text) in [
        ("SELECT 1/0", "ERROR: division by zero"),
        (
            "CALL dev.nope_sp();",
            "ERROR: procedure dev.nope_sp() does not exist\n  Hint: No procedure matches the given name and argument types. \
             You might need to add explicit type casts.\n  Position: 6",
        ),
        ("SELEC 1", "ERROR: syntax error at or near \"SELEC\"\n  Position: 1"),
        ("SELECT NVL(1, 2), nope", "ERROR: column \"nope\" does not exist\n  Position: 19"),
        ("SELECT NVL(nope, 2)", "ERROR: column \"nope\" does not exist\n  Position: 12"),
    ] {
        let done = api.ended(sql).await?;
        assert_eq!(done.status, Some(StatusString::Failed), "{sql}");
        assert_eq!(done.error(), Some(text), "{sql}");
    }
    let id = api.execute("SELECT 1").database("nope").send().await?.id.ok_or("no Id")?;
    let done = api.describe(&id, Some(30)).await?;
    assert_eq!(
        (done.status, done.error.as_deref()),
        (Some(StatusString::Failed), Some("FATAL: database \"nope\" does not exist"))
    );
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
    let told = format!("ERROR: Query ({}) cancelled on user's request", done.redshift_query_id);
    assert_eq!(done.error(), Some(told.as_str()));
    assert_eq!(api.database.warehouse.number("SELECT COUNT(*) FROM dev.customers WHERE customer_id = 500").await?, 0);
    let running = "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(20)%' AND state = 'active' AND pid <> pg_backend_pid()";
    assert_eq!(api.database.warehouse.number(running).await?, 0);
    let again = code(api.client.cancel_statement().id(&id).send().await);
    assert_eq!(
        again,
        (
            "ValidationException".into(),
            format!("Could not cancel a query that is already in ABORTED state with ID: {id}")
        )
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
async fn a_cancel_finds_a_postgresql_that_is_named_by_its_address(api: &Api) -> Outcome {
    let of_warehouse = api.database.warehouse.config();
    let mut postgres = tokio_postgres::Config::new();
    postgres.host("postgresql.invalid").hostaddr(std::net::Ipv4Addr::LOCALHOST.into());
    postgres.port(of_warehouse.get_ports()[0]).user(of_warehouse.get_user().ok_or("no user")?);
    postgres.password(of_warehouse.get_password().ok_or("no password")?);
    let own = Running::start(Config::new(postgres, vec![])).await?;
    let client = Client::new(&sdk_config(&own.url).await);
    let slow = client.execute_statement().workgroup_name("w-1").database("ecommerce_db").sql("SELECT pg_sleep(25)");
    let id = slow.send().await?.id.ok_or("no Id")?;
    client.cancel_statement().id(&id).send().await?;
    let done = client.describe_statement().id(&id).wait_time_seconds(30).send().await?;
    assert_eq!(done.status, Some(StatusString::Aborted));
    own.stop().await;
    Ok(())
}

async fn a_lost_connection_ends_what_it_ran(api: &Api) -> Outcome {
    let fault = Fault::new(FaultKind::LoseSession(0.1));
    api.api.service.faults().set(vec![fault]);
    assert_eq!(api.ended("SELECT pg_sleep(3600)").await?.status, Some(StatusString::Failed));
    let working = "SELECT COUNT(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3600)'";
    for _ in 0..200 {
        if api.database.warehouse.number(working).await? == 0 {
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
    assert_eq!(api.database.warehouse.number("SELECT COUNT(*) FROM dev.customers WHERE customer_id = 600").await?, 1);
    assert_ne!(first, request().client_token("token-2").send().await?.id);
    assert_eq!(code(api.execute("SELECT 2").client_token("token-1").send().await).0, "ValidationException");
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

async fn a_thousand_long_polls_on_two_hundred_statements_are_all_answered(api: &Api) -> Outcome {
    let figures = load::run(&api.api.url, 200, 5).await?;
    assert_eq!((figures.statements, figures.polls, figures.lost), (200, 1000, 0), "{figures:?}");
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
        a_value_of_any_type_can_be_shown,
        columns_are_described_as_the_service_describes_them,
        a_description_has_what_is_known_by_then,
        results_are_paged,
        statuses_come_in_their_order_and_results_after_the_end,
        long_polls_return_at_the_end_or_when_time_is_up,
        a_cancel_really_cancels,
        a_cancel_finds_a_postgresql_that_is_named_by_its_address,
        a_cancel_is_never_lost,
        a_lost_connection_ends_what_it_ran,
        a_client_token_finds_its_statement,
        named_parameters_are_bound,
        statements_are_listed_as_the_service_lists_them,
        statements_belong_to_the_role_that_ran_them,
        a_session_stays_between_statements,
        a_session_runs_one_statement_at_a_time,
        a_session_ends_when_nobody_has_used_it_for_long_enough,
        sessions_are_refused_and_listed_as_the_service_does,
        results_come_in_csv,
        csv_is_paged_by_its_size,
        each_operation_has_the_results_of_its_format,
        the_end_of_a_statement_is_an_event,
        the_catalog_is_listed_in_pages,
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
        api.database.stop().await;
    };
    run(tests, start, stop)
}
