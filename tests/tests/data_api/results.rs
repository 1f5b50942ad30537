//! Values, results, parameters and batches.

use super::*;

/// What can be shown is settled before a statement runs, so a result never fails what has committed.
pub(crate) async fn every_value_of_a_type_can_be_shown(api: &Api) -> Outcome {
    // As PostgreSQL itself writes them.
    for value in [
        "'NaN'::numeric",
        "-12345678901234567890.000100::numeric(38, 6)",
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

pub(crate) async fn values_arrive_as_the_service_shows_them(api: &Api) -> Outcome {
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

pub(crate) async fn results_are_paged(api: &Api) -> Outcome {
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

pub(crate) async fn named_parameters_are_bound(api: &Api) -> Outcome {
    let parameter = |name: &str, value: &str| SqlParameter::builder().name(name).value(value).build();
    let sql = "SELECT CAST(:n AS BIGINT) + 1, :text || ':n', product_name FROM s3_staging_schema.new_orders_staging_area WHERE order_id = :n";
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

pub(crate) async fn a_batch_is_one_transaction_unless_told_otherwise(api: &Api) -> Outcome {
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
    let each =
        batch(["SELECT 1/0", "SELECT 43"]).execution_mode("AUTO_COMMIT".into()).send().await?.id.ok_or("no Id")?;
    let described = api.describe(&each, None).await?;
    assert_eq!(described.status, Some(StatusString::Failed));
    assert_eq!(described.execution_mode().map(|mode| mode.as_str()), Some("AUTO_COMMIT"));
    let statuses: Vec<_> =
        described.sub_statements().iter().filter_map(|s| s.status().map(|status| status.as_str())).collect();
    assert_eq!(statuses, ["FAILED", "FINISHED"], "a failure does not affect the others");
    let result = api.client.get_statement_result().id(format!("{each}:2")).send().await?;
    assert_eq!(result.records(), [[Field::LongValue(43)]]);
    let wrong = batch(["SELECT 1", "SELECT 2"]).execution_mode("SOMETIMES".into()).send().await;
    assert_eq!(code(wrong).0, "ValidationException");
    Ok(())
}

pub(crate) async fn each_statement_of_a_batch_takes_the_parameters_that_it_names(api: &Api) -> Outcome {
    let parameter = |name: &str, value: &str| SqlParameter::builder().name(name).value(value).build();
    let sqls = ["SELECT CAST(:ab AS INT), ':a'", "SELECT CAST(:a AS INT)", "SELECT '5'::a"].map(str::to_owned);
    api.warehouse.run("CREATE DOMAIN a AS INT").await?;
    let batch = api.client.batch_execute_statement().workgroup_name("w-1").database("ecommerce_db");
    let batch = batch.set_sqls(Some(sqls.to_vec())).parameters(parameter("a", "1")?).parameters(parameter("ab", "2")?);
    let unused = batch.clone().parameters(parameter("c", "3")?).send().await;
    assert!(code(unused).1.contains("Unused parameters: [c]"), "named by no statement");
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
