//! Redshift's SQL through the local Data API on a real PostgreSQL.

mod files;
mod tickit;

use aws_sdk_redshiftdata::Client;
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::types::{Field, StatusString};
use loader::tools::project;
use redshift_data_local::dialect::{CONSTRUCTS, translate_script};
use redshift_data_local::{Config, Running};
use redshift_local::aws::sdk_config;
use std::process::ExitCode;
use tests::database::Database;
use tests::{Any, Outcome, failed, run, tests};

use files::*;
use tickit::*;

struct Api {
    client: Client,
    api: Running,
    database: Database,
}

async fn start() -> Api {
    let database = Database::start().await;
    let mut config = Config::new(database.warehouse.config().clone(), Vec::new());
    config.s3 = Some(database.path().join("s3"));
    let api = Running::start(config).await.expect("the Data API");
    let client = Client::new(&sdk_config(&api.url).await);
    Api { client, api, database }
}

impl Api {
    async fn ended(&self, sql: &str) -> Any<DescribeStatementOutput> {
        let id = self
            .client
            .execute_statement()
            .workgroup_name("w")
            .database(self.database.warehouse.database())
            .sql(sql)
            .send()
            .await?
            .id;
        let id = id.ok_or("no Id")?;
        Ok(self.client.describe_statement().id(id).wait_time_seconds(30).send().await?)
    }

    /// Runs SQL that has to succeed; its rows, a row a line.
    async fn rows(&self, sql: &str) -> Any<Vec<String>> {
        let done = self.ended(sql).await?;
        if done.status != Some(StatusString::Finished) {
            return Err(failed(format!("{sql}: {:?}", done.error)));
        }
        if done.has_result_set != Some(true) {
            return Ok(Vec::new());
        }
        self.records(done.id).await
    }

    /// Runs a batch that has to succeed; the rows of its last statement.
    async fn last(&self, sqls: &[&str]) -> Any<Vec<String>> {
        let sqls: Vec<_> = sqls.iter().map(ToString::to_string).collect();
        let batch =
            self.client.batch_execute_statement().workgroup_name("w").database(self.database.warehouse.database());
        let id = batch.set_sqls(Some(sqls)).wait_time_seconds(30).send().await?.id.ok_or("no Id")?;
        let done = self.client.describe_statement().id(&id).wait_time_seconds(30).send().await?;
        if done.status != Some(StatusString::Finished) {
            return Err(failed(format!("{:?}", done.error)));
        }
        self.records(format!("{id}:{}", done.sub_statements().len())).await
    }

    async fn records(&self, id: String) -> Any<Vec<String>> {
        let result = self.client.get_statement_result().id(id).send().await?;
        let text = |field: &Field| match field {
            Field::IsNull(_) => "NULL".to_owned(),
            Field::LongValue(n) => n.to_string(),
            Field::DoubleValue(n) => n.to_string(),
            Field::BooleanValue(b) => b.to_string(),
            Field::StringValue(s) => s.clone(),
            other => format!("{other:?}"),
        };
        Ok(result.records.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join("|")).collect())
    }

    async fn all(&self, statements: &[&str]) -> Outcome {
        for sql in statements {
            self.rows(sql).await?;
        }
        Ok(())
    }

    /// Writes a file into the folder that stands for S3.
    fn file(&self, key: &str, content: impl AsRef<[u8]>) -> Outcome {
        let path = self.database.path().join("s3").join(key);
        std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        Ok(std::fs::write(path, content)?)
    }

    /// The error of SQL that has to fail.
    async fn error(&self, sql: &str) -> Any<String> {
        let done = self.ended(sql).await?;
        assert_eq!(done.status, Some(StatusString::Failed), "{sql}");
        Ok(done.error.unwrap_or_default())
    }
}

async fn every_construct_of_the_table_runs(api: &Api) -> Outcome {
    api.all(&[
        "CREATE TABLE t (a INTEGER, b VARCHAR(20), c TIMESTAMP)",
        "CREATE TABLE t2 (LIKE t)",
        "INSERT INTO t VALUES (1, 'a', '2020-02-29'), (1, 'b', NULL), (2, 'c', NULL)",
    ])
    .await?;
    for construct in CONSTRUCTS {
        api.rows(construct.example).await.map_err(|e| failed(format!("{}: {e}", construct.name)))?;
    }
    Ok(())
}

async fn what_is_described_is_what_was_sent(api: &Api) -> Outcome {
    let sql = "CREATE TABLE as_sent (a INTEGER DISTKEY) SORTKEY (a)";
    assert_eq!(api.ended(sql).await?.query_string.as_deref(), Some(sql));
    let wrong = api.error("CREATE TABLE wrong (a INTEGER) DISTKEY (b)").await?;
    assert!(wrong.contains("column \"b\" named as DISTKEY does not exist"), "{wrong}");
    let wrong = api.error("ALTER TABLE as_sent ALTER SORTKEY (b)").await?;
    assert!(wrong.contains("column \"b\" named as SORTKEY does not exist"), "{wrong}");
    Ok(())
}

async fn what_is_refused_is_named_with_what_to_use(api: &Api) -> Outcome {
    for (sql, text) in [
        (
            "UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE default BZIP2",
            "does not do the option BZIP2 of UNLOAD: GZIP or ZSTD",
        ),
        ("CREATE TABLE x (a HLLSKETCH)", "the type HLLSKETCH: use APPROXIMATE COUNT(DISTINCT"),
        ("SELECT ST_X(a) FROM t", "does not do ST_X"),
        ("SELECT a FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY a) = 1", "does not do QUALIFY"),
        ("SELECT LAG(a) IGNORE NULLS OVER (ORDER BY a) FROM t", "does not do IGNORE NULLS"),
        ("SELECT DATEADD(fortnight, 1, SYSDATE)", "DATEADD does not support the date part \"fortnight\""),
        ("ALTER TABLE t APPEND FROM t2", "does not do ALTER TABLE APPEND: INSERT INTO"),
        ("CREATE FUNCTION f() RETURNS INTEGER STABLE AS $$ return 1 $$ LANGUAGE plpythonu", "functions in Python"),
        ("MERGE INTO t x USING t2 ON x.a = t2.a WHEN MATCHED THEN DELETE", "has no alias"),
        ("LOCK t IN SHARE MODE", "neither a mode nor NOWAIT"),
        ("SELECT TOP 1 1 UNION SELECT 2", "put the query with its TOP in parentheses"),
    ] {
        let error = api.error(sql).await?;
        assert!(error.starts_with("ERROR: ") && error.contains(text), "{sql}: {error}");
    }
    Ok(())
}

/// What AWS's documentation prints, where it prints something.
async fn functions_give_what_redshift_gives(api: &Api) -> Outcome {
    for (sql, row) in [
        (
            "SELECT DATEADD(month, 18, '2008-02-28'), DATEADD(m, 30, '2008-02-28')",
            "2009-08-28 00:00:00|2008-02-28 00:30:00",
        ),
        (
            "SELECT DATEADD(month, 12, '2016-02-29'), DATEADD(year, 1, '2016-02-29')",
            "2017-02-28 00:00:00|2017-03-01 00:00:00",
        ),
        (
            "SELECT DATEADD(month, 1, '2008-04-30'), ADD_MONTHS('2008-04-30', 1)",
            "2008-05-30 00:00:00|2008-05-31 00:00:00",
        ),
        ("SELECT DATEADD(hour, 12, TIME '13:24:55')", "01:24:55"),
        ("SELECT DATEDIFF(week, '2009-01-01', '2009-12-31'), DATEDIFF(year, '2008-12-31', '2009-01-01')", "52|1"),
        (
            "SELECT DATEDIFF(hour, TIME '20:00:00', TIME '15:24:45'), DATEDIFF(minute, TIME '20:00', TIME '21:00')",
            "-5|60",
        ),
        (
            "SELECT EXTRACT(ms FROM TIMESTAMP '2009-09-09 12:08:43.101'), EXTRACT(decade FROM TIMESTAMP '2000-02-16')",
            "101|201",
        ),
        (
            "SELECT EXTRACT(sec FROM v), DATE_PART(sec, v) FROM (SELECT TIMESTAMP '2009-09-21 11:10:03.189717' AS v) x",
            "3|3.189717",
        ),
        ("SELECT NEXT_DAY('2014-08-20', 'Tuesday'), LAST_DAY('2014-01-05')", "2014-08-26|2014-01-31"),
        ("SELECT MONTHS_BETWEEN('1969-01-18', '1969-03-18'), DATE_CMP('2008-01-05', '2008-01-04')", "-2|1"),
        ("SELECT CONVERT_TIMEZONE('PST', '2008-08-24 09:36:12')", "2008-08-24 01:36:12"),
        (
            "SELECT STRTOL('0xf', 16), STRTOL('abcd1234', 16), STRTOL('1234567', 8), STRTOL('110101', 2)",
            "15|2882343476|342391|53",
        ),
        (
            "SELECT REGEXP_REPLACE('the fox', 'FOX', 'quick brown fox', 1, 'i'), REGEXP_REPLACE('a1b2', '\\\\d')",
            "the quick brown fox|ab",
        ),
        (
            "SELECT REGEXP_SUBSTR('the fox', 'FOX', 1, 1, 'i'), REGEXP_COUNT('abcdefghijklmnopqrstuvwxyz', '[a-z]{3}')",
            "fox|8",
        ),
        ("SELECT REGEXP_INSTR('the fox', 'FOX', 1, 1, 0, 'i'), REGEXP_SUBSTR('a', 'b') = ''", "5|true"),
        (
            "SELECT CONCAT('December 25, ', '2008'), CONCAT('a', NULL), CONCAT('seats ', NVL(NULL, 0))",
            "December 25, 2008|NULL|seats 0",
        ),
        (
            "SELECT DECODE(NULL, NULL, 'none', 'some'), DECODE(2, 1, 'one', 2, 'two', 'more'), NVL2(NULL, 1, 2)",
            "none|two|2",
        ),
        (
            "SELECT AVG(v), AVG(DISTINCT v), LISTAGG(v, ', ') WITHIN GROUP (ORDER BY v DESC), MEDIAN(v) FROM (SELECT 1 AS v UNION ALL SELECT 2 UNION ALL SELECT 5) x",
            "2|2|5, 2, 1|2",
        ),
        ("SELECT LEN(CAST('ab' AS CHAR(5))), CHARINDEX('b', 'ab'), 1.5::DECIMAL, CAST(2.5 AS DECIMAL)", "2|2|2|3"),
        (
            r#"SELECT JSON_SERIALIZE(JSON_PARSE('{"a": [1, ", : \\\\"]}')), JSON_PARSE('[1, "\\\\\\", ", {}]'), JSON_EXTRACT_PATH_TEXT(JSON_SERIALIZE(JSON_PARSE('{"a": 1}')), 'a')"#,
            r#"{"a":[1,", : \\"]}|[1,"\\\", ",{}]|1"#,
        ),
        (
            "SELECT JSON_EXTRACT_PATH_TEXT('{\"a\": {\"b\": 1}}', 'a', 'b'), IS_VALID_JSON('{'), IS_VALID_JSON('{}')",
            "1|false|true",
        ),
        ("SELECT DATE_TRUNC('month', DATE '2020-02-03'), ROUND(CAST(1.256 AS FLOAT), 2)", "2020-02-01 00:00:00|1.26"),
    ] {
        assert_eq!(api.rows(sql).await?, [row], "{sql}");
    }
    Ok(())
}

async fn a_setting_that_means_nothing_here_is_kept(api: &Api) -> Outcome {
    let [show, reset] = ["SHOW query_group", "RESET query_group"];
    assert_eq!(api.last(&["SET query_group TO 'nightly'", show]).await?, ["nightly"]);
    assert_eq!(api.last(&["SET query_group TO 'nightly'", reset, show]).await?, [""]);
    Ok(())
}

async fn keys_are_not_enforced_and_not_null_is(api: &Api) -> Outcome {
    api.all(&[
        "CREATE TABLE keys (id BIGINT IDENTITY(0, 5), a INTEGER UNIQUE, b INTEGER, PRIMARY KEY (b))",
        "INSERT INTO keys (a, b) VALUES (1, 1), (1, 1)",
        "ALTER TABLE keys ADD CONSTRAINT more UNIQUE (a)",
    ])
    .await?;
    assert_eq!(api.rows("SELECT id, a, b FROM keys ORDER BY id").await?, ["0|1|1", "5|1|1"]);
    assert!(api.error("INSERT INTO keys (a) VALUES (1)").await?.contains("not-null"));
    assert!(api.error("INSERT INTO keys (id, b) VALUES (1, 1)").await?.contains("GENERATED ALWAYS"));
    api.rows("CREATE TABLE sized (a VARCHAR, b DECIMAL)").await?;
    assert!(api.error("INSERT INTO sized (a) VALUES (REPEAT('x', 257))").await?.contains("too long"));
    Ok(())
}

async fn the_body_of_a_procedure_is_translated_too(api: &Api) -> Outcome {
    api.all(&[
        "CREATE TABLE written (at TIMESTAMP, n BIGINT)",
        "CREATE OR REPLACE PROCEDURE translated_sp(n INTEGER) AS $$
        DECLARE
            latest TIMESTAMP := DATEADD(day, 1, '2020-01-01');
        BEGIN
            DROP TABLE IF EXISTS numbers;
            CREATE TEMP TABLE numbers (a INTEGER ENCODE az64) DISTSTYLE ALL SORTKEY (a);
            INSERT INTO numbers SELECT TOP 1 NVL(NULL, 7);
            IF EXISTS (SELECT 1 FROM numbers WHERE DECODE(a, 7, 1, 0) = 1) THEN
                EXECUTE 'INSERT INTO written SELECT DATEADD(hour, ' || n || ', ''' || latest || '''), DATEDIFF(day, GETDATE(), GETDATE())';
            END IF;
        END;
        $$ LANGUAGE plpgsql",
        "CALL translated_sp(3)",
    ])
    .await?;
    assert_eq!(api.rows("SELECT * FROM written").await?, ["2020-01-02 03:00:00|0"]);
    Ok(())
}

async fn a_merge_removes_duplicates_and_refuses_several_matches(api: &Api) -> Outcome {
    api.all(&[
        "CREATE TABLE target (id INTEGER, name VARCHAR(9))",
        "CREATE TABLE source (id INTEGER, name VARCHAR(9))",
        "INSERT INTO target VALUES (101, 'Bob'), (101, 'John'), (102, 'Susan')",
        "INSERT INTO source VALUES (101, 'Tony'), (103, 'Alice')",
        "MERGE INTO target USING source ON target.id = source.id REMOVE DUPLICATES",
    ])
    .await?;
    let found = "SELECT id, name FROM target ORDER BY id";
    assert_eq!(api.rows(found).await?, ["101|Tony", "102|Susan", "103|Alice"]);
    api.rows("INSERT INTO source VALUES (101, 'Tom')").await?;
    let merge = "MERGE INTO target USING source ON target.id = source.id";
    for rest in [
        "REMOVE DUPLICATES",
        "WHEN MATCHED THEN UPDATE SET name = source.name WHEN NOT MATCHED THEN INSERT VALUES (source.id, source.name)",
    ] {
        api.error(&format!("{merge} {rest}")).await?;
    }
    assert_eq!(api.rows(found).await?, ["101|Tony", "102|Susan", "103|Alice"]);
    Ok(())
}

async fn external_tables_are_described_and_partitions_are_registered(api: &Api) -> Outcome {
    api.all(&[
        "CREATE EXTERNAL SCHEMA lake FROM DATA CATALOG DATABASE 'lake' IAM_ROLE default",
        "CREATE EXTERNAL TABLE lake.events (a INTEGER, b STRING) PARTITIONED BY (day DATE) \
         ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' STORED AS TEXTFILE LOCATION 's3://bucket/events/'",
        "ALTER TABLE lake.events ADD PARTITION (day = '2024-01-01') LOCATION 's3://bucket/events/day=2024-01-01/'",
        "ALTER TABLE lake.events ADD IF NOT EXISTS PARTITION (day = '2024-01-01') LOCATION 's3://bucket/events/day=2024-01-01/'",
    ])
    .await?;
    let columns = "SELECT columnname, external_type, part_key FROM svv_external_columns WHERE schemaname = 'lake' ORDER BY columnnum";
    assert_eq!(api.rows(columns).await?, ["a|int|0", "b|varchar(65535)|0", "day|date|1"]);
    let partitions = "SELECT values, location FROM svv_external_partitions WHERE schemaname = 'lake'";
    assert_eq!(api.rows(partitions).await?, ["[\"2024-01-01\"]|s3://bucket/events/day=2024-01-01/"]);
    let again =
        "ALTER TABLE lake.events ADD PARTITION (day = '2024-01-01') LOCATION 's3://bucket/events/day=2024-01-01/'";
    assert!(api.error(again).await?.contains("Partition already exists"));
    assert!(
        api.error("ALTER TABLE lake.events ADD PARTITION (a = 1) LOCATION 's3://b/'")
            .await?
            .contains("keys of lake.events are (day)")
    );
    api.rows("ALTER TABLE lake.events DROP PARTITION (day = '2024-01-01')").await?;
    assert_eq!(api.rows(partitions).await?, [""; 0]);
    let elsewhere = "CREATE EXTERNAL TABLE public.x (a INTEGER) STORED AS PARQUET LOCATION 's3://b/'";
    assert!(api.error(elsewhere).await?.contains("external schema"));
    assert!(
        api.rows("SELECT COUNT(*) FROM pg_tables WHERE tablename = 'x'").await? == ["0"],
        "and nothing is left of it"
    );
    Ok(())
}

async fn a_copy_loads_the_files_of_its_prefix(api: &Api) -> Outcome {
    api.file("bucket/copy/part-0", "1|one|\\|\n2||x|5\n")?;
    api.file("bucket/copy/part-1", "3|three|x|\n")?;
    api.file("bucket/quoted.csv", "a,b\n1,\"x, \"\"y\"\"\"\n,-\n")?;
    api.rows("CREATE TABLE copied (id INTEGER, name VARCHAR(9), raw VARCHAR(9), n INTEGER)").await?;
    let copy =
        api.ended("COPY copied FROM 's3://bucket/copy/part' IAM_ROLE default DELIMITER '|' REGION 'us-east-1'").await?;
    assert_eq!((copy.result_rows, copy.has_result_set, copy.error), (0, Some(false), None));
    // An empty number is NULL, an empty text is not.
    assert_eq!(api.rows("SELECT * FROM copied ORDER BY id").await?, ["1|one|\\|NULL", "2||x|5", "3|three|x|NULL"]);
    api.rows("COPY copied (id, name) FROM 's3://bucket/quoted.csv' IAM_ROLE default CSV IGNOREHEADER 1 NULL AS '-'")
        .await?;
    assert_eq!(
        api.rows("SELECT id, name FROM copied WHERE n IS NULL AND raw IS NULL").await?,
        ["1|x, \"y\"", "NULL|NULL"]
    );
    for (rest, text) in [
        ("'s3://bucket/none' IAM_ROLE default", "The specified S3 prefix 'none' does not exist"),
        ("'s3://bucket/../x' IAM_ROLE default", "leaves its bucket"),
        ("'s3://bucket/copy/' IAM_ROLE default FORMAT AS PARQUET", "File 's3://bucket/copy/part-0' cannot be read"),
    ] {
        let error = api.error(&format!("COPY copied FROM {rest}")).await?;
        assert!(error.contains(text), "{error}");
    }
    Ok(())
}

async fn an_external_table_has_the_rows_of_its_registered_partitions(api: &Api) -> Outcome {
    api.file("lake/clicks/day=2024-01-01/a.csv", "1,one\n2,\n")?;
    api.file("lake/clicks/day=2024-01-02/b.csv", "3,three\n")?;
    api.all(&[
        "CREATE EXTERNAL SCHEMA clicks FROM DATA CATALOG DATABASE 'clicks' IAM_ROLE default",
        "CREATE EXTERNAL TABLE clicks.clicks (a INTEGER, b STRING) PARTITIONED BY (day DATE) \
         ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' STORED AS TEXTFILE LOCATION 's3://lake/clicks/'",
    ])
    .await?;
    let found = "SELECT * FROM clicks.clicks ORDER BY a";
    assert_eq!(api.rows(found).await?, [""; 0], "no partition is registered, and nothing says so");
    let partition = |verb: &str, day: &str, location: &str| {
        format!("ALTER TABLE clicks.clicks {verb} PARTITION (day = '{day}'){location}")
    };
    api.rows(&partition("ADD", "2024-01-01", " LOCATION 's3://lake/clicks/day=2024-01-01/'")).await?;
    assert_eq!(api.rows(found).await?, ["1|one|2024-01-01", "2||2024-01-01"]);
    api.file("lake/clicks/day=2024-01-01/late.csv", "9,nine\n")?;
    api.rows(&partition("ADD", "2024-01-02", " LOCATION 's3://lake/clicks/day=2024-01-02/'")).await?;
    let all = ["1|one|2024-01-01", "2||2024-01-01", "3|three|2024-01-02", "9|nine|2024-01-01"];
    assert_eq!(api.rows(found).await?, all);
    api.rows(&partition("DROP", "2024-01-01", "")).await?;
    assert_eq!(api.rows(found).await?, ["3|three|2024-01-02"]);
    Ok(())
}

/// Each file as it stands, a statement at a time.
async fn the_sql_of_the_project_runs_as_it_stands(api: &Api) -> Outcome {
    for file in [
        "redshift/external_table.sql",
        "tables.sql",
        "audits/orders.sql",
        "load.sql",
        "redshift/distribution.sql",
        "sample.sql",
    ] {
        let sql = std::fs::read_to_string(project("infra/sql").join(file))?;
        for statement in statements(&sql) {
            api.rows(&statement).await.map_err(|e| failed(format!("{file}: {e}")))?;
        }
        assert!(translate_script(&sql).is_ok(), "{file}");
    }
    api.all(&["CALL dev.enriched_orders_sp()", "CALL dev.audit_orders_sp()"]).await?;
    let found = "SELECT run_id, kind FROM dev.orders_audit ORDER BY run_id";
    let kinds = ["42|MISSING_IN_REDSHIFT", "43|MISSING_IN_STAGING", "44|DIFFERENT", "45|DIFFERENT"];
    assert_eq!(api.rows(found).await?, kinds);
    Ok(())
}

/// The statements of a file: each ends with a line that ends with a semicolon, outside of a body.
fn statements(sql: &str) -> Vec<String> {
    let (mut all, mut open, mut in_body) = (Vec::new(), String::new(), false);
    for line in sql.lines() {
        in_body ^= line.matches("$$").count() % 2 == 1;
        open.push_str(line);
        open.push('\n');
        if !in_body && line.trim_end().ends_with(';') && !line.trim_start().starts_with("--") {
            all.push(std::mem::take(&mut open));
        }
    }
    all
}

fn main() -> ExitCode {
    let tests = tests![
        every_construct_of_the_table_runs,
        what_is_described_is_what_was_sent,
        what_is_refused_is_named_with_what_to_use,
        functions_give_what_redshift_gives,
        a_setting_that_means_nothing_here_is_kept,
        keys_are_not_enforced_and_not_null_is,
        the_body_of_a_procedure_is_translated_too,
        a_merge_removes_duplicates_and_refuses_several_matches,
        external_tables_are_described_and_partitions_are_registered,
        a_copy_loads_the_files_of_its_prefix,
        an_external_table_has_the_rows_of_its_registered_partitions,
        a_copy_loads_parquet_by_position,
        a_location_is_one_bucket_and_a_failure_one_transaction,
        an_external_table_has_the_rows_of_its_parquet_files_by_name,
        a_copy_takes_compressed_files_and_the_options_that_are_common,
        a_copy_that_fails_loads_nothing,
        what_is_unloaded_can_be_loaded,
        an_unload_overwrites_only_what_it_is_told_to,
        an_instant_is_the_same_in_any_time_zone,
        whoever_reads_an_external_table_waits_for_nobody,
        nothing_outside_of_the_folder_is_read_or_written,
        the_sql_of_the_project_runs_as_it_stands,
        tickit_is_made_and_asked,
    ];
    let stop = async |api: Api| {
        api.api.stop().await;
        api.database.stop().await;
    };
    run(tests, start, stop)
}
