//! Results in CSV.

use super::*;

use aws_sdk_redshiftdata::types::{QueryRecords, ResultFormatString};

impl Api {
    fn in_csv(&self, sql: &str) -> ExecuteStatementFluentBuilder {
        self.execute(sql).result_format(ResultFormatString::Csv)
    }

    async fn csv(&self, id: &str) -> Any<Vec<String>> {
        let mut pages = self.client.get_statement_result_v2().id(id).into_paginator().send();
        let mut texts = Vec::new();
        while let Some(page) = pages.next().await {
            for records in page?.records {
                let QueryRecords::CsvRecords(text) = records else { return Err(failed("no CSV")) };
                texts.push(text);
            }
        }
        Ok(texts)
    }
}

pub(crate) async fn results_come_in_csv(api: &Api) -> Outcome {
    let sql = "SELECT 1 AS n, 'a,\"b\"' AS text, CAST(NULL AS VARCHAR) AS nothing, 1.50 AS price, TRUE AS yes";
    let done = api.in_csv(sql).wait_time_seconds(30).send().await?;
    let id = done.id().ok_or("no Id")?;
    let expected = "n,text,nothing,price,yes\r\n1,\"a,\"\"b\"\"\",,1.50,true\r\n";
    assert_eq!(api.csv(id).await?, [expected]);
    let result = api.client.get_statement_result_v2().id(id).send().await?;
    let names: Vec<_> = result.column_metadata().iter().map(|column| column.name().unwrap_or_default()).collect();
    assert_eq!((result.total_num_rows(), names), (1, vec!["n", "text", "nothing", "price", "yes"]));
    let format = |format: Option<&ResultFormatString>| format.map(|format| format.as_str().to_owned());
    assert_eq!(format(result.result_format()).as_deref(), Some("csv"));
    assert_eq!(format(api.describe(id, None).await?.result_format()).as_deref(), Some("csv"));
    let listed = api.client.list_statements().status(StatusString::All).max_results(1).send().await?;
    assert_eq!(format(listed.statements()[0].result_format()).as_deref(), Some("csv"));
    let empty = api.in_csv("SELECT 1 AS n WHERE FALSE").wait_time_seconds(30).send().await?;
    assert!(api.csv(empty.id().ok_or("no Id")?).await?.is_empty());
    Ok(())
}

pub(crate) async fn csv_is_paged_by_its_size(api: &Api) -> Outcome {
    let sql = "SELECT n, REPEAT('x', 50000) AS x FROM generate_series(1, 50) AS s(n)";
    let id = api.in_csv(sql).send().await?.id.ok_or("no Id")?;
    // It waits for the end, as the other does.
    let first = api.client.get_statement_result_v2().id(&id).wait_time_seconds(30).send().await?;
    assert_eq!((first.total_num_rows(), first.next_token().is_some()), (50, true));
    let pages = api.csv(&id).await?;
    assert!(pages.len() == 3 && pages.iter().all(|page| page.len() <= 1_000_000), "{}", pages.len());
    let whole = pages.concat();
    let rows: Vec<_> = whole.lines().map(|line| line.split(',').next().unwrap_or_default().to_owned()).collect();
    let numbers = (1..=50).map(|n: i32| n.to_string());
    assert_eq!(rows, std::iter::once("n".to_owned()).chain(numbers).collect::<Vec<_>>());
    Ok(())
}

pub(crate) async fn each_operation_has_the_results_of_its_format(api: &Api) -> Outcome {
    let csv = api.in_csv("SELECT 1").wait_time_seconds(30).send().await?.id.ok_or("no Id")?;
    let json = api.execute("SELECT 1").wait_time_seconds(30).send().await?.id.ok_or("no Id")?;
    assert_eq!(code(api.client.get_statement_result().id(&csv).send().await).0, "ValidationException");
    assert_eq!(code(api.client.get_statement_result_v2().id(&json).send().await).0, "ValidationException");
    let batch = api.client.batch_execute_statement().workgroup_name("w-1").database("ecommerce_db");
    let batch = batch
        .result_format(ResultFormatString::Csv)
        .set_sqls(Some(vec!["SELECT 1 AS a".into(), "SELECT 2 AS b".into()]));
    let id = batch.wait_time_seconds(30).send().await?.id.ok_or("no Id")?;
    assert_eq!(api.csv(&format!("{id}:2")).await?, ["b\r\n2\r\n"]);
    let whole = code(api.client.get_statement_result_v2().id(&id).send().await);
    assert!(whole.1.contains("sub-statement id"), "{whole:?}");
    Ok(())
}
