//! Tables that nobody here has designed, from the declaration to the notifications.

use loader::audit::Declaration;

use super::*;

/// A table of a public benchmark: columns in the order of their specification, and a run, which those have not.
struct Public {
    name: &'static str,
    run: &'static str,
    key: &'static [&'static str],
    time: Option<&'static str>,
    /// Name and type.
    columns: &'static [&'static str],
}

const TABLES: [Public; 3] = [
    // TPC-H, "lineitem": a composite key.
    Public {
        name: "lineitem",
        run: "batch_id BIGINT",
        key: &["l_orderkey", "l_linenumber"],
        time: Some("l_shipdate"),
        columns: &[
            "l_orderkey BIGINT",
            "l_partkey BIGINT",
            "l_suppkey BIGINT",
            "l_linenumber INTEGER",
            "l_quantity DECIMAL(12, 2)",
            "l_extendedprice DECIMAL(12, 2)",
            "l_discount DECIMAL(12, 2)",
            "l_tax DECIMAL(12, 2)",
            "l_returnflag CHAR(1)",
            "l_linestatus CHAR(1)",
            "l_shipdate DATE",
            "l_commitdate DATE",
            "l_receiptdate DATE",
            "l_shipinstruct CHAR(25)",
            "l_shipmode CHAR(10)",
            "l_comment VARCHAR(44)",
        ],
    },
    // TICKIT, the sample of Redshift's guide, "sales"; its runs are those of a Glue workflow.
    Public {
        name: "sales",
        run: "workflow_run_id VARCHAR(67)",
        key: &["salesid"],
        time: Some("saletime"),
        columns: &[
            "salesid INTEGER",
            "listid INTEGER",
            "sellerid INTEGER",
            "buyerid INTEGER",
            "eventid INTEGER",
            "dateid SMALLINT",
            "qtysold SMALLINT",
            "pricepaid DECIMAL(8, 2)",
            "commission DECIMAL(8, 2)",
            "saletime TIMESTAMP",
        ],
    },
    // TPC-DS, "store_sales".
    Public {
        name: "store_sales",
        run: "load_date DATE",
        key: &["ss_item_sk", "ss_ticket_number"],
        time: None,
        columns: &[
            "ss_sold_date_sk INTEGER",
            "ss_sold_time_sk INTEGER",
            "ss_item_sk INTEGER",
            "ss_customer_sk INTEGER",
            "ss_cdemo_sk INTEGER",
            "ss_hdemo_sk INTEGER",
            "ss_addr_sk INTEGER",
            "ss_store_sk INTEGER",
            "ss_promo_sk INTEGER",
            "ss_ticket_number BIGINT",
            "ss_quantity INTEGER",
            "ss_wholesale_cost DECIMAL(7, 2)",
            "ss_list_price DECIMAL(7, 2)",
            "ss_sales_price DECIMAL(7, 2)",
            "ss_ext_discount_amt DECIMAL(7, 2)",
            "ss_ext_sales_price DECIMAL(7, 2)",
            "ss_ext_wholesale_cost DECIMAL(7, 2)",
            "ss_ext_list_price DECIMAL(7, 2)",
            "ss_ext_tax DECIMAL(7, 2)",
            "ss_coupon_amt DECIMAL(7, 2)",
            "ss_net_paid DECIMAL(7, 2)",
            "ss_net_paid_inc_tax DECIMAL(7, 2)",
            "ss_net_profit DECIMAL(7, 2)",
        ],
    },
];

fn split(column: &str) -> (&str, &str) {
    column.split_once(' ').expect("name and type")
}

impl Public {
    fn declaration(&self) -> String {
        let column = |column: &str| {
            let (name, of) = split(column);
            json!({"name": name, "type": of})
        };
        let (keys, columns): (Vec<&str>, Vec<&str>) =
            self.columns.iter().partition(|column| self.key.contains(&split(column).0));
        let mut declared = json!({
            "name": self.name, "source": format!("s3.{}", self.name), "target": format!("dwh.{}", self.name),
            "run": column(self.run), "key": keys.into_iter().map(column).collect::<Vec<_>>(),
            "columns": columns.into_iter().map(column).collect::<Vec<_>>(),
            "window": if self.run.contains("VARCHAR") { json!({"days": 36_500}) } else { json!({"runs": 10}) },
        });
        if let Some(time) = self.time {
            declared["time"] = json!(time);
        }
        declared.to_string()
    }

    /// Five runs of a hundred rows, the same on both sides.
    fn tables(&self) -> String {
        let value = |column: &str, n: &str| {
            let (name, of) = split(column);
            let sql = match of.split('(').next().unwrap_or_default() {
                "DECIMAL" => format!("{n} % 997 / 100.0"),
                "CHAR" | "VARCHAR" if name == "workflow_run_id" => format!("'wr_' || MD5(CAST({n} AS VARCHAR))"),
                "CHAR" => format!("CHR(CAST(65 + {n} % 26 AS INTEGER))"),
                "VARCHAR" => format!("'comment ' || {n} % 13"),
                "DATE" => format!("DATE '2026-01-01' + CAST({n} AS INTEGER)"),
                "TIMESTAMP" => format!("TIMESTAMP '2026-01-01' + {n} * INTERVAL '1 second'"),
                _ => n.to_owned(),
            };
            format!("CAST({sql} AS {of})")
        };
        let columns: Vec<_> = std::iter::once(&self.run).chain(self.columns).copied().collect();
        let values: Vec<_> = std::iter::once(value(self.run, "(n / 100)"))
            .chain(self.columns.iter().map(|column| value(column, "n")))
            .collect();
        let table = |name: String| {
            format!(
                "CREATE TABLE {name} ({}); INSERT INTO {name} SELECT {} FROM generate_series(0, 499) n;\n",
                columns.join(", "),
                values.join(", ")
            )
        };
        format!("{}{}", table(format!("s3.{}", self.name)), table(format!("dwh.{}", self.name)))
    }
}

pub(crate) async fn tables_of_public_benchmarks_are_audited_and_told(a: &Audit) -> Outcome {
    a.fresh(0).await?;
    a.database
        .warehouse
        .run("DROP SCHEMA IF EXISTS s3 CASCADE; DROP SCHEMA IF EXISTS dwh CASCADE; CREATE SCHEMA s3; CREATE SCHEMA dwh")
        .await?;
    let mut all = Vec::new();
    for public in &TABLES {
        let sql = Declaration::parse(public.name, &public.declaration())?.sql()?;
        a.database.warehouse.run(&public.tables()).await?;
        a.database.warehouse.run(&sql).await?;
        let (name, key, (run, _)) = (public.name, public.key[0], split(public.run));
        let changed =
            public.columns.iter().map(|column| split(column)).find(|(_, of)| of.starts_with("DECIMAL")).expect("one").0;
        a.database
            .warehouse
            .run(&format!(
                "DELETE FROM dwh.{name} WHERE {key} = 7;
                 UPDATE dwh.{name} SET {changed} = {changed} + 1 WHERE {key} = 120;
                 INSERT INTO dwh.{name} SELECT * FROM dwh.{name} WHERE {key} = 230;
                 DELETE FROM dwh.{name} WHERE {key} >= 400"
            ))
            .await?;
        let audit = format!("CALL dwh.audit_{name}_sp()");
        a.database.warehouse.run(&audit).await?;
        let rows = format!(
            "SELECT kind || ' ' || differing_columns || ' ' || COALESCE(CAST({key} AS VARCHAR), '-') || ' ' || row_count \
             FROM dwh.{name}_audit WHERE status <> 'RESOLVED' ORDER BY 1"
        );
        let found: Vec<String> = a.database.warehouse.rows(&rows).await?.iter().map(|row| row.get(0)).collect();
        let expected = [
            format!("DIFFERENT {changed} 120 1"),
            "DUPLICATE_IN_REDSHIFT  230 1".to_owned(),
            "MISSING_IN_REDSHIFT  - 100".to_owned(),
            "MISSING_IN_REDSHIFT  7 1".to_owned(),
        ];
        assert_eq!(found, expected, "{name}");

        a.sink.reset(None);
        let table = format!("dwh.{name}_audit");
        let time = public.time.unwrap_or("first_seen_at");
        let settings = [("AUDIT_TABLES", table.as_str()), ("AUDIT_KEY_COLUMN", run), ("AUDIT_TIME_COLUMN", time)];
        assert_eq!(a.notify("e-1", &settings).await?, Ok(counts(4, 4, 0)), "{name}");
        let runs = a
            .database
            .warehouse
            .rows(&format!("SELECT DISTINCT CAST({run} AS VARCHAR) FROM {table} ORDER BY 1"))
            .await?;
        let runs: Vec<String> = runs.iter().map(|row| row.get(0)).collect();
        let mut told: Vec<_> = a.sink.runs().into_keys().collect();
        told.sort();
        // A DATE is kept as the TIMESTAMP that it is compared as.
        assert_eq!(told, runs, "{name}");

        all.push(format!("{table}:{run}:{time}"));
    }
    told_in_one_execution(a, &all).await?;
    for public in &TABLES {
        let name = public.name;
        a.database
            .warehouse
            .run(&format!("TRUNCATE dwh.{name}; INSERT INTO dwh.{name} SELECT * FROM s3.{name}"))
            .await?;
        a.database.warehouse.run(&format!("CALL dwh.audit_{name}_sp()")).await?;
        let unresolved = format!("SELECT COUNT(*) FROM dwh.{name}_audit WHERE status <> 'RESOLVED'");
        assert_eq!(a.database.warehouse.number(&unresolved).await?, 0, "{name}");
    }
    Ok(())
}

/// A message for each run and table, counts for each; a table that is not there keeps no other from being told of.
async fn told_in_one_execution(a: &Audit, tables: &[String]) -> Outcome {
    a.sink.reset(None);
    let listed = tables.join(",");
    let mut answer = a.notify("e-2", &[("AUDIT_TABLES", listed.as_str())]).await?.expect("told");
    let audits = answer["Audits"].take();
    assert_eq!(answer, json!({"UnresolvedRuns": 12, "Notified": 12, "Resolved": 0, "Failed": 0, "Audits": null}));
    for public in &TABLES {
        assert_eq!(audits[format!("dwh.{}", public.name)], counts(4, 4, 0), "{}", public.name);
    }
    assert_eq!(a.sink.audits(), TABLES.iter().map(|public| (format!("dwh.{}", public.name), 4)).collect());

    a.sink.reset(None);
    let listed = format!("dwh.gone_audit,{listed}");
    for told in [12, 0] {
        let error = a.notify("e-3", &[("AUDIT_TABLES", listed.as_str())]).await?.expect_err("one is not there");
        assert_eq!(error["errorType"], "AuditQueryFailed");
        let text = error["errorMessage"].as_str().unwrap_or_default().to_owned();
        assert!(text.starts_with("dwh.gone: ") && text.contains("; 3 other audits were told of\n"), "{text}");
        assert_eq!(a.sink.audits().values().sum::<usize>(), told);
        a.sink.reset(None);
    }
    Ok(())
}
