//! Values, results, parameters and batches.

use super::*;

/// A result never fails what has committed.
pub(crate) async fn a_value_of_any_type_can_be_shown(api: &Api) -> Outcome {
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
        "'x'::\"char\"",
        "ARRAY[1, NULL]",
        "ARRAY['a b', 'c']",
        "ROW(1, 'a', NULL)",
        "int4range(1, 5)",
        "point(1, 2)",
        "'12.34'::money",
        "ARRAY[INTERVAL '1 day']",
        "B'101'",
    ] {
        let done = api.ended(&format!("SELECT {value}, CAST({value} AS TEXT)")).await?;
        assert_eq!(done.status, Some(StatusString::Finished), "{value}: {:?}", done.error());
        let result = api.client.get_statement_result().id(done.id()).send().await?;
        let [shown, written] = result.records()[0].as_slice() else { return Err(failed("two columns")) };
        assert_eq!(shown, written, "{value}");
    }
    let text = |text: &str| Field::StringValue(text.to_owned());
    for (value, shown) in [
        ("'{\"a\": [1, null, \": ,\"]}'::jsonb", text("{\"a\":[1,null,\": ,\"]}")),
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
        ("arrays", "INTEGER[]", "ARRAY[1]", StatusString::Finished, 1),
        ("records", "RECORD", "ROW(1, 2)", StatusString::Finished, 1),
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

/// A recorded answer of the service: its question, the columns but the names, and the values. REAL is widened, VARBYTE is Base64.
/// [MacHu-GWU/simple_aws_redshift-project, tests_manual]
pub(crate) async fn columns_are_described_as_the_service_describes_them(api: &Api) -> Outcome {
    let text = |t: &str| Field::StringValue(t.into());
    for (value, of, precision, scale, signed, case_sensitive, shown) in [
        ("'Hello World'::varchar(11)", "varchar", 11, 0, false, true, text("Hello World")),
        ("NULL", "varchar", 65_535, 0, false, true, Field::IsNull(true)),
        ("42", "int4", 10, 0, true, false, Field::LongValue(42)),
        ("3.14159::decimal(6, 5)", "numeric", 6, 5, true, false, text("3.14159")),
        ("TRUE", "bool", 1, 0, false, false, Field::BooleanValue(true)),
        ("CAST(123.456789012345 AS REAL)", "float4", 8, 8, true, false, Field::DoubleValue(123.456_787_109_375)),
        ("CAST(9223372036854775807 AS BIGINT)", "int8", 19, 0, true, false, Field::LongValue(i64::MAX)),
        ("'abc'::VARBYTE", "varbyte", 64_000, 0, false, true, text("YWJj")),
        ("CAST('2024-06-12' AS DATE)", "date", 13, 0, false, false, text("2024-06-12")),
        (
            "CAST('2024-06-12 14:30:45.123456' AS TIMESTAMP)",
            "timestamp",
            29,
            6,
            false,
            false,
            text("2024-06-12 14:30:45.123456"),
        ),
        (
            "CAST('2024-06-12 14:30:45.123456-05:00' AS TIMESTAMPTZ)",
            "timestamptz",
            35,
            6,
            false,
            false,
            text("2024-06-12 19:30:45.123456+00"),
        ),
        ("CAST('14:30:45' AS TIME)", "time", 15, 6, false, false, text("14:30:45")),
        ("CAST(123.45 AS DECIMAL(10,2))", "numeric", 10, 2, true, false, text("123.45")),
        ("CAST(32767 AS SMALLINT)", "int2", 5, 0, true, false, Field::LongValue(32767)),
    ] {
        let done = api.ended(&format!("SELECT {value} AS it")).await?;
        let result = api.client.get_statement_result().id(done.id()).send().await?;
        let column = &result.column_metadata()[0];
        assert_eq!(
            (column.type_name(), column.precision(), column.scale(), column.is_signed(), column.is_case_sensitive()),
            (Some(of), precision, scale, signed, case_sensitive),
            "{value}"
        );
        assert_eq!((column.label(), column.length(), column.nullable()), (Some("it"), 0, 1), "{value}");
        assert_eq!(result.records()[0][0], shown, "{value}");
    }
    api.ended("CREATE TABLE dev.described (id INT NOT NULL, name VARCHAR(20))").await?;
    let done = api.ended("SELECT name, id, id + 1 FROM dev.described").await?;
    let result = api.client.get_statement_result().id(done.id()).send().await?;
    let columns: Vec<_> =
        result.column_metadata().iter().map(|c| (c.schema_name(), c.table_name(), c.nullable())).collect();
    let of = |nullable| (Some("dev"), Some("described"), nullable);
    assert_eq!(columns, [of(1), of(0), (Some(""), Some(""), 1)]);
    Ok(())
}

/// What runs has no duration, no query and no result; what has ended has them by its kind.
pub(crate) async fn a_description_has_what_is_known_by_then(api: &Api) -> Outcome {
    let id = api.submit("SELECT pg_sleep(20)").await?;
    api.until(&id, StatusString::Started).await?;
    let running = api.describe(&id, None).await?;
    assert_eq!((running.duration, running.redshift_query_id), (-1, 0));
    assert_eq!((running.result_rows, running.result_size, running.has_result_set), (-1, -1, Some(false)));
    api.client.cancel_statement().id(&id).send().await?;
    assert!(api.describe(&id, Some(30)).await?.duration > 0);
    for (sql, rows, size, has_result_set) in [
        ("SELECT 'four', 1 FROM generate_series(1, 3)", 3, 15, true),
        ("SELECT 1 WHERE FALSE", 0, 0, true),
        ("INSERT INTO dev.customers VALUES (801, 'a', 'b')", 1, 0, false),
        ("DELETE FROM dev.customers WHERE customer_id = 801", 1, 0, false),
        ("UPDATE dev.described SET id = 1 WHERE FALSE", 0, 0, false),
        ("CREATE VIEW dev.kinds AS SELECT 1 AS a", 0, 0, false),
        ("SELECT 1/0", -1, -1, false),
        ("SELECT nope", -1, -1, false),
    ] {
        let done = api.ended(sql).await?;
        assert_eq!(
            (done.result_rows, done.result_size, done.has_result_set),
            (rows, size, Some(has_result_set)),
            "{sql}: {:?}",
            done.error()
        );
        assert_eq!(done.duration > 0, sql != "SELECT nope", "{sql}");
        assert_eq!(
            done.redshift_query_id > 0,
            !["SELECT nope", "CREATE VIEW dev.kinds AS SELECT 1 AS a"].contains(&sql),
            "{sql}"
        );
        assert!(done.redshift_pid > 0 && done.result_format.as_ref().is_some_and(|f| f.as_str() == "json"), "{sql}");
    }
    let batch = api.client.batch_execute_statement().workgroup_name("w-1").database("ecommerce_db");
    let batch = batch.sqls("INSERT INTO dev.described VALUES (1, 'a')").sqls("SELECT 1").wait_time_seconds(10);
    let whole = api.describe(batch.send().await?.id().unwrap_or_default(), None).await?;
    assert_eq!((whole.result_rows, whole.result_size, whole.has_result_set), (-1, -1, Some(true)));
    assert!(whole.duration > 0 && whole.redshift_query_id == 0);
    let parts: Vec<_> = whole.sub_statements().iter().map(|p| (p.result_rows, p.redshift_query_id > 0)).collect();
    assert_eq!(parts, [(1, true), (1, true)]);
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
    assert_eq!(described.error(), Some("Query #2 failed with ERROR: division by zero"));
    let early = batch(["SELECT 1/0", "SELECT 1"]).send().await?.id.ok_or("no Id")?;
    let described = api.describe(&early, None).await?;
    let parts: Vec<_> =
        described.sub_statements().iter().map(|s| (s.status().map(|s| s.as_str()), s.error())).collect();
    let expected = [
        (Some("FAILED"), Some("ERROR: division by zero")),
        (Some("ABORTED"), Some("Connection or an prior query failed.")),
    ];
    assert_eq!(parts, expected);
    let there = "SELECT COUNT(*) FROM dev.customers WHERE customer_id = 701";
    assert_eq!(api.database.warehouse.number(there).await?, 0, "rolled back whole");
    batch(half).execution_mode("AUTO_COMMIT".into()).send().await?;
    assert_eq!(api.database.warehouse.number(there).await?, 1);
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
    api.database.warehouse.run("CREATE DOMAIN a AS INT").await?;
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
