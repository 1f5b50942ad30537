//! COPY, UNLOAD and external tables on files.

use std::path::PathBuf;

use super::*;

/// Two rows, written by pyarrow 26.0: `Id` INT64, `at` INT96 and the second one NULL, `price` DECIMAL(10, 2) and `tags` a list of structs.
/// `pq.write_table(pa.table({"Id": pa.array([1, 2]), "at": pa.array([datetime(2024, 1, 1, 1, 2, 3, 456789), None], pa.timestamp("us")),
/// "price": pa.array([Decimal("12.34"), Decimal("-0.05")], pa.decimal128(10, 2)), "tags": pa.array([[{"t": "é"}, None], []],
/// pa.list_(pa.struct([("t", pa.string())])))}), path, use_deprecated_int96_timestamps=True, store_schema=False, write_statistics=False,
/// use_dictionary=False)`
const EVENTS: &[u8] = include_bytes!("events.parquet");

pub(crate) async fn a_copy_loads_parquet_by_position(api: &Api) -> Outcome {
    api.file("lake/events/part-0.snappy.parquet", EVENTS)?;
    api.file("lake/events/_SUCCESS", "")?;
    api.rows("CREATE TABLE events (n BIGINT, seen TIMESTAMP, amount DECIMAL(12, 2), tags SUPER)").await?;
    api.rows("COPY events FROM 's3://lake/events/' IAM_ROLE default FORMAT AS PARQUET SERIALIZETOJSON").await?;
    assert_eq!(
        api.rows("SELECT * FROM events ORDER BY n").await?,
        ["1|2024-01-01 01:02:03.456789|12.34|[{\"t\":\"é\"},null]", "2|NULL|-0.05|[]"]
    );
    api.rows("CREATE TABLE narrow (n BIGINT, seen TIMESTAMP)").await?;
    api.rows("CREATE TABLE other (n INTEGER, seen TIMESTAMP, amount DECIMAL(12, 2), tags SUPER)").await?;
    for (table, text) in [
        (
            "narrow",
            "Unmatched number of columns between table and file. Table columns: 2, Data columns: 4, File name: s3://lake/events/part-0",
        ),
        (
            "other",
            "File 's3://lake/events/part-0.snappy.parquet' has an incompatible Parquet schema for column 's3://lake/events.n'. \
             Column type: INT, Parquet schema:\noptional int64 Id",
        ),
    ] {
        let error = api.error(&format!("COPY {table} FROM 's3://lake/events/' IAM_ROLE default PARQUET")).await?;
        assert!(error.starts_with("ERROR: Spectrum Scan Error\n  Detail: ") && error.contains(text), "{error}");
    }
    Ok(())
}

pub(crate) async fn an_external_table_has_the_rows_of_its_parquet_files_by_name(api: &Api) -> Outcome {
    api.file("lake/by_day/day=1/a.parquet", EVENTS)?;
    api.all(&[
        "CREATE EXTERNAL SCHEMA by_name FROM DATA CATALOG DATABASE 'by_name' IAM_ROLE default",
        "CREATE EXTERNAL TABLE by_name.events (price DECIMAL(10, 2), more INTEGER, id BIGINT) PARTITIONED BY (day INTEGER) \
         STORED AS PARQUET LOCATION 's3://lake/by_day/'",
        "ALTER TABLE by_name.events ADD PARTITION (day = 1) LOCATION 's3://lake/by_day/day=1/'",
    ])
    .await?;
    let found = "SELECT * FROM by_name.events ORDER BY id";
    assert_eq!(api.rows(found).await?, ["12.34|NULL|1|1", "-0.05|NULL|2|1"]);
    // A file that is replaced is read again.
    api.file("lake/by_day/day=1/a.parquet", "damaged")?;
    let error = api.error(found).await?;
    assert!(
        error.contains("Spectrum Scan Error\n  Detail: File 's3://lake/by_day/day=1/a.parquet' cannot be read"),
        "{error}"
    );
    // What cannot be read does not stop its repair.
    api.rows("ALTER TABLE by_name.events DROP PARTITION (day = 1)").await?;
    assert_eq!(api.rows(found).await?, [""; 0]);
    Ok(())
}

pub(crate) async fn a_copy_takes_compressed_files_and_the_options_that_are_common(api: &Api) -> Outcome {
    api.rows("CREATE TABLE packing (id INTEGER, name VARCHAR(9))").await?;
    api.rows("INSERT INTO packing VALUES (1, 'one'), (2, NULL)").await?;
    api.rows("CREATE TABLE loaded (id INTEGER, name VARCHAR(9), at TIMESTAMP, more SUPER)").await?;
    for (compression, ending) in [("GZIP", "gz"), ("ZSTD", "zst")] {
        let place = format!("'s3://packed/{compression}/'");
        api.rows(&format!(
            "UNLOAD ('SELECT * FROM packing ORDER BY id') TO {place} IAM_ROLE default {compression} PARALLEL OFF"
        ))
        .await?;
        assert!(api.database.path().join(format!("s3/packed/{compression}/000.{ending}")).is_file());
        let copy = format!("COPY loaded (id, name) FROM {place} IAM_ROLE default {compression}");
        assert_eq!(api.last(&[&copy, "SELECT PG_LAST_COPY_COUNT()"]).await?, ["2"], "{compression}");
    }
    api.all(&[
        "CREATE EXTERNAL SCHEMA packed FROM DATA CATALOG DATABASE 'packed' IAM_ROLE default",
        "CREATE EXTERNAL TABLE packed.t (id INTEGER, name VARCHAR(2)) ROW FORMAT DELIMITED FIELDS TERMINATED BY '|' \
         STORED AS TEXTFILE LOCATION 's3://packed/GZIP/'",
    ])
    .await?;
    // What is wider than its column is NULL.
    assert_eq!(api.rows("SELECT * FROM packed.t ORDER BY id").await?, ["1|NULL", "2|"]);
    api.file("paths/of.json", "{\"jsonpaths\": [\"$['id']\", \"$.of.name\", \"$.nothing\", \"$.all[1]\"]}")?;
    for (name, content, options, rows) in [
        (
            "objects",
            "{\"id\": 1, \"name\": \"it's\", \"more\": {\"a\": [1]}}\n{\"ID\": 2, \"at\": \"2024-01-01 00:00:00\", \"more\": \"x\"}",
            "FORMAT JSON 'auto'",
            &["1|it's|NULL|{\"a\":[1]}", "NULL|NULL|2024-01-01 00:00:00|\"x\""][..],
        ),
        (
            "documents",
            "{\"id\": 7, \"of\": {\"name\": \"x\"}, \"all\": [1, {\"a\": 2}]}",
            "JSON AS 's3://paths/of.json'",
            &["7|x|NULL|{\"a\":2}"],
        ),
        (
            "escaped",
            "1|'a|b'|1700000000|\n2|x\\|y||1\n\n3|  |\\N|\n",
            "REMOVEQUOTES ESCAPE IGNOREBLANKLINES BLANKSASNULL TIMEFORMAT 'epochsecs'",
            &["1|a|b|2023-11-14 22:13:20|NULL", "2|x|y|NULL|1", "3|NULL|NULL|NULL"],
        ),
        (
            "wide",
            "1,far too long,31.12.2024 23:10\n2,\n",
            "CSV FILLRECORD TRUNCATECOLUMNS EMPTYASNULL TIMEFORMAT 'DD.MM.YYYY HH:MI' COMPUPDATE OFF",
            &["1|far too l|2024-12-31 23:10:00|NULL", "2|NULL|NULL|NULL"],
        ),
        (
            "listed",
            "{\"entries\": [{\"url\": \"s3://options/wide\", \"mandatory\": true}, {\"url\": \"s3://options/none\"}]}",
            "MANIFEST CSV FILLRECORD TRUNCATECOLUMNS TIMEFORMAT AS 'DD.MM.YYYY HH24:MI'",
            &["1|far too l|2024-12-31 23:10:00|NULL", "2||NULL|NULL"],
        ),
    ] {
        api.file(&format!("options/{name}"), content)?;
        api.rows("DELETE loaded").await?;
        api.rows(&format!("COPY loaded FROM 's3://options/{name}' IAM_ROLE default {options}")).await?;
        assert_eq!(api.rows("SELECT * FROM loaded ORDER BY id").await?, rows, "{name}");
    }
    Ok(())
}

pub(crate) async fn a_copy_that_fails_loads_nothing(api: &Api) -> Outcome {
    api.file("failing/a", "1|one|1.239\n")?;
    api.file("failing/b", "2|two|x\n")?;
    api.file("failing/c", "3|much too long|1\n")?;
    api.file("failing/d", "4|four|1|5\n")?;
    api.file("failing/manifest", "{\"entries\": [{\"url\": \"s3://failing/none\", \"mandatory\": true}]}")?;
    api.rows("CREATE TABLE failing (id INTEGER, name VARCHAR(9), amount DECIMAL(9, 2) NOT NULL)").await?;
    for (key, text) in [
        ("", "Detail: s3://failing/d, line 1: Extra column(s) found"),
        ("b", "Detail: invalid input syntax for type numeric: \"x\""),
        ("c", "Detail: value too long for type character varying(9)"),
    ] {
        let error = api.error(&format!("COPY failing FROM 's3://failing/{key}' IAM_ROLE default")).await?;
        let load = "ERROR: Load into table 'failing' failed.  Check 'sys_load_error_detail' system table for details.";
        assert!(error.starts_with(load) && error.contains(text), "{error}");
    }
    let missing = api.error("COPY failing FROM 's3://failing/manifest' IAM_ROLE default MANIFEST").await?;
    assert!(missing.contains("The specified S3 prefix 'none' does not exist"), "{missing}");
    assert_eq!(api.rows("SELECT COUNT(*) FROM failing").await?, ["0"]);
    api.rows("COPY failing FROM 's3://failing/a' IAM_ROLE default").await?;
    assert_eq!(api.rows("SELECT amount FROM failing").await?, ["1.23"], "truncated, and not rounded");
    Ok(())
}

pub(crate) async fn what_is_unloaded_can_be_loaded(api: &Api) -> Outcome {
    api.all(&[
        "CREATE TABLE unloaded (id INTEGER, b BOOLEAN, amount DECIMAL(10, 2), day DATE, at TIMESTAMP, name VARCHAR(40), more SUPER)",
        "INSERT INTO unloaded VALUES (1, TRUE, 12.34, '2024-02-29', '2024-02-29 01:02:03.5', 'a|b,\"c\"', JSON_PARSE('{\"a\": [1]}')), \
         (2, FALSE, -0.05, '1969-12-31', '1969-12-31 23:59:59', 'it\\'s \\\\', JSON_PARSE('2')), (3, NULL, NULL, NULL, NULL, NULL, NULL)",
        "CREATE TABLE reloaded (LIKE unloaded)",
    ])
    .await?;
    let all = api.rows("SELECT * FROM unloaded ORDER BY id").await?;
    for (unload, copy) in [
        ("CSV HEADER MANIFEST", "CSV IGNOREHEADER 1 EMPTYASNULL MANIFEST"),
        (
            "DELIMITER '|' ADDQUOTES ESCAPE NULL AS 'nil' GZIP MANIFEST",
            "DELIMITER '|' REMOVEQUOTES ESCAPE NULL AS 'nil' GZIP MANIFEST",
        ),
        ("FORMAT JSON MANIFEST", "FORMAT JSON 'auto' MANIFEST"),
    ] {
        let name = unload.split(' ').next().unwrap_or_default();
        let place = format!("s3://out/{name}/t_");
        let unload = format!("UNLOAD ('SELECT * FROM unloaded ORDER BY id') TO '{place}' IAM_ROLE default {unload}");
        assert_eq!(api.last(&[&unload, "SELECT PG_LAST_UNLOAD_COUNT()"]).await?, ["3"], "{unload}");
        api.rows("DELETE reloaded").await?;
        api.rows(&format!("COPY reloaded FROM '{place}manifest' IAM_ROLE default {copy}")).await?;
        assert_eq!(api.rows("SELECT * FROM reloaded ORDER BY id").await?, all, "{unload}");
    }
    let header = std::fs::read_to_string(api.database.path().join("s3/out/CSV/t_0001_part_00"))?;
    assert_eq!(header.lines().next(), Some("id,b,amount,day,at,name,more"));
    // Partitions of Parquet, as an external table over them has them.
    api.all(&[
        "UNLOAD ('SELECT id, name, amount, at, day FROM unloaded') TO 's3://out/parquet' IAM_ROLE default PARQUET PARTITION BY (day) PARALLEL OFF",
        "CREATE EXTERNAL SCHEMA unloads FROM DATA CATALOG DATABASE 'unloads' IAM_ROLE default",
        "CREATE EXTERNAL TABLE unloads.t (id INTEGER, name STRING, amount DECIMAL(10, 2), at TIMESTAMP) PARTITIONED BY (day DATE) \
         STORED AS PARQUET LOCATION 's3://out/parquet/'",
    ])
    .await?;
    for day in ["2024-02-29", "1969-12-31", "__HIVE_DEFAULT_PARTITION__"] {
        let place = format!("'s3://out/parquet/day={day}/'");
        api.rows(&format!("ALTER TABLE unloads.t ADD PARTITION (day = '{day}') LOCATION {place}")).await?;
    }
    let columns = "id, day, amount, at, name";
    assert_eq!(
        api.rows(&format!("SELECT {columns} FROM unloads.t ORDER BY id")).await?,
        api.rows(&format!("SELECT {columns} FROM unloaded ORDER BY id")).await?
    );
    Ok(())
}

pub(crate) async fn an_unload_overwrites_only_what_it_is_told_to(api: &Api) -> Outcome {
    let unload = |select: &str, rest: &str| format!("UNLOAD ('{select}') TO 's3://over/t_' IAM_ROLE default {rest}");
    let names = || -> std::io::Result<Vec<String>> {
        let entries = std::fs::read_dir(api.database.path().join("s3/over"))?;
        let mut names: Vec<_> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    };
    api.rows(&unload("SELECT 1 UNION ALL SELECT 2", "MANIFEST")).await?;
    assert_eq!(names()?, ["t_0000_part_00", "t_0001_part_00", "t_manifest"]);
    let refused = api.error(&unload("SELECT 3", "")).await?;
    assert!(refused.starts_with("ERROR: Specified unload destination on S3 is not empty."), "{refused}");
    api.rows(&unload("SELECT 3", "ALLOWOVERWRITE")).await?;
    assert_eq!(names()?, ["t_0000_part_00", "t_0001_part_00", "t_manifest"]);
    assert_eq!(std::fs::read_to_string(api.database.path().join("s3/over/t_0000_part_00"))?, "3\n");
    api.rows(&unload("SELECT 4", "CLEANPATH PARALLEL OFF CSV")).await?;
    assert_eq!(names()?, ["t_000"]);
    // What fails has written and removed nothing, and counts for nothing.
    api.error(&unload("SELECT nothing", "CLEANPATH")).await?;
    assert_eq!(names()?, ["t_000"]);
    std::fs::create_dir(api.database.path().join("s3/over/t_0001_part_00"))?;
    let (one, two) =
        (unload("SELECT 5", "CLEANPATH PARALLEL OFF"), unload("SELECT 6 UNION ALL SELECT 7", "ALLOWOVERWRITE"));
    let sqls = [one, two, "SELECT PG_LAST_UNLOAD_COUNT()".to_owned()].to_vec();
    let batch = api.client.batch_execute_statement().workgroup_name("w").database(api.database.warehouse.database());
    let batch = batch.set_sqls(Some(sqls)).execution_mode("AUTO_COMMIT".into()).wait_time_seconds(20).send().await?;
    let count = api.client.get_statement_result().id(format!("{}:3", batch.id().ok_or("no Id")?)).send().await?;
    assert_eq!(count.records()[0][0], Field::LongValue(1));
    assert_eq!(names()?, ["t_000", "t_0001_part_00"]);
    // However a place is written: what was just written stays, and what is there is seen.
    for place in
        ["s3://over/twice//", "s3://over/twice//t_", "s3://over//twice/x/", "s3://over/_hidden", "s3://over/.h"]
    {
        api.rows(&format!("UNLOAD ('SELECT 1') TO '{place}' IAM_ROLE default PARALLEL OFF")).await?;
        let refused = api.error(&format!("UNLOAD ('SELECT 2') TO '{place}' IAM_ROLE default")).await?;
        assert!(refused.contains("is not empty"), "{place}: {refused}");
        api.rows(&format!("UNLOAD ('SELECT 3') TO '{place}' IAM_ROLE default CLEANPATH PARALLEL OFF")).await?;
        let loaded = format!("COPY loaded_again FROM '{place}' IAM_ROLE default");
        let sqls = ["CREATE TEMP TABLE loaded_again (n INTEGER)", &loaded, "SELECT LISTAGG(n) FROM loaded_again"];
        assert_eq!(api.last(&sqls).await?, ["3"], "{place}");
    }
    Ok(())
}

pub(crate) async fn an_instant_is_the_same_in_any_time_zone(api: &Api) -> Outcome {
    let place = "'s3://instants/' IAM_ROLE default FORMAT AS PARQUET";
    let sqls = [
        "CREATE TABLE instants (at TIMESTAMPTZ)",
        "INSERT INTO instants VALUES ('2024-07-01 12:00:00.5+00')",
        "SET timezone TO 'America/New_York'",
        &format!("UNLOAD ('SELECT * FROM instants') TO {place}"),
        &format!("COPY instants FROM {place}"),
        "SELECT at FROM instants",
    ];
    assert_eq!(api.last(&sqls).await?, ["2024-07-01 08:00:00.5-04", "2024-07-01 08:00:00.5-04"]);
    Ok(())
}

/// In a session of its own: the id of a statement, and its end.
async fn within(api: &Api, session: &str, sql: &str) -> Any<DescribeStatementOutput> {
    let id = api.client.execute_statement().session_id(session).sql(sql).send().await?.id.ok_or("no Id")?;
    Ok(api.client.describe_statement().id(id).wait_time_seconds(20).send().await?)
}

pub(crate) async fn whoever_reads_an_external_table_waits_for_nobody(api: &Api) -> Outcome {
    api.file("waits/a.csv", "1\n")?;
    api.all(&[
        "CREATE EXTERNAL SCHEMA waits FROM DATA CATALOG DATABASE 'waits' IAM_ROLE default",
        "CREATE EXTERNAL TABLE waits.t (n INTEGER) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' STORED AS TEXTFILE LOCATION 's3://waits/'",
    ])
    .await?;
    let begin = async || -> Any<String> {
        let execute = api.client.execute_statement().workgroup_name("w").database(api.database.warehouse.database());
        let begun = execute.sql("SELECT 1").session_keep_alive_seconds(60).wait_time_seconds(20).send().await?;
        Ok(begun.session_id.ok_or("no session")?)
    };
    let (reads, waits) = (begin().await?, begin().await?);
    within(api, &reads, "BEGIN").await?;
    within(api, &reads, "SELECT * FROM waits.t").await?;
    api.file("waits/b.csv", "2\n")?;
    assert_eq!(api.rows("SELECT COUNT(*) FROM waits.t").await?, ["2"], "beside a transaction that has read it");
    within(api, &reads, "ROLLBACK").await?;

    // Where the reading of files waits, a cancel ends it as well, also of what would repair the table.
    let mut lock = api.database.warehouse.connect().await?;
    let lock = lock.transaction().await?;
    lock.batch_execute("LOCK TABLE waits.t").await?;
    api.file("waits/c.csv", "3\n")?;
    for sql in ["SELECT 5", "DROP TABLE IF EXISTS waits.nothing"] {
        let id = api.client.execute_statement().session_id(&waits).sql(sql).send().await?.id.ok_or("no Id")?;
        api.client.cancel_statement().id(&id).send().await?;
        let ended = api.client.describe_statement().id(id).wait_time_seconds(20).send().await?;
        assert_eq!(ended.status, Some(StatusString::Aborted), "{sql}: {ended:?}");
    }
    lock.rollback().await?;
    assert_eq!(within(api, &waits, "SELECT 6").await?.status, Some(StatusString::Finished), "no transaction is open");
    assert_eq!(api.rows("SELECT COUNT(*) FROM waits.t").await?, ["3"]);
    Ok(())
}

pub(crate) async fn nothing_outside_of_the_folder_is_read_or_written(api: &Api) -> Outcome {
    let secret: PathBuf = api.database.path().join("secret");
    std::fs::create_dir_all(&secret)?;
    std::fs::write(secret.join("file"), "secret\n")?;
    api.file("inside/x", "x\n")?;
    std::os::unix::fs::symlink(&secret, api.database.path().join("s3/inside/link"))?;
    std::os::unix::fs::symlink(secret.join("file"), api.database.path().join("s3/inside/linked"))?;
    api.rows("CREATE TABLE leaked (a VARCHAR)").await?;
    let host = secret.display().to_string();
    let places = ["s3://inside/../../secret", "s3://inside/link", &format!("s3://{host}")];
    let mut refused = vec!["COPY leaked FROM 's3://inside/linked' IAM_ROLE default".to_owned()];
    for place in places {
        refused.extend([
            format!("COPY leaked FROM '{place}/file' IAM_ROLE default"),
            format!("COPY leaked FROM '{place}/' IAM_ROLE default"),
            format!("COPY leaked FROM '{place}/file' IAM_ROLE default MANIFEST"),
            format!("UNLOAD ('SELECT 1') TO '{place}/new' IAM_ROLE default ALLOWOVERWRITE"),
        ]);
    }
    for sql in refused {
        let error = api.error(&sql).await?;
        assert!(sql.contains(&host) || !error.contains(&host), "{sql}: {error}");
    }
    assert_eq!(api.rows("SELECT COUNT(*) FROM leaked").await?, ["0"]);
    assert_eq!(std::fs::read_dir(&secret)?.count(), 1);
    // Redshift's words around PostgreSQL's COPY, which could run programs.
    let program = "UNLOAD ('SELECT 1) TO PROGRAM ''touch /tmp/x'' --') TO 's3://inside/new' IAM_ROLE default";
    assert!(api.error(program).await?.contains("syntax error"));
    Ok(())
}

pub(crate) async fn a_location_is_one_bucket_and_a_failure_one_transaction(api: &Api) -> Outcome {
    for (file, rows) in [("only/a.csv", "1\n"), ("only2/a.csv", "2\n")] {
        api.file(file, rows)?;
    }
    api.rows("CREATE TABLE of_one (n INTEGER)").await?;
    api.rows("COPY of_one FROM 's3://only' IAM_ROLE default CSV").await?;
    assert_eq!(api.rows("SELECT n FROM of_one").await?, ["1"], "and not of a bucket whose name begins so");
    api.rows("UNLOAD ('SELECT 3') TO 's3://only' IAM_ROLE default CSV CLEANPATH PARALLEL OFF").await?;
    api.rows("TRUNCATE of_one").await?;
    api.rows("COPY of_one FROM 's3://only2' IAM_ROLE default CSV").await?;
    api.rows("COPY of_one FROM 's3://only/' IAM_ROLE default CSV").await?;
    assert_eq!(api.rows("SELECT n FROM of_one ORDER BY n").await?, ["2", "3"], "the other bucket is left alone");
    api.file("only3/null.csv", "0|N|\\N\n")?;
    api.rows("CREATE TABLE of_nulls (a VARCHAR(9), b VARCHAR(9), c VARCHAR(9))").await?;
    api.rows("COPY of_nulls FROM 's3://only3/' IAM_ROLE default NULL AS '\\N'").await?;
    assert_eq!(api.rows("SELECT * FROM of_nulls").await?, ["0|N|NULL"]);
    let commented = api.ended("/* a tool's */ -- comment\nINSERT INTO of_one VALUES (4), (5)").await?;
    assert_eq!(commented.result_rows, 2);
    let secret = "COPY of_one FROM 's3://only/' CREDENTIALS 'a=b;'\n'aws_secret_access_key=hunter2'";
    let refused = api.ended(secret).await?;
    assert!(refused.error().is_some_and(|e| !e.to_lowercase().contains("hunter2")), "{:?}", refused.error());
    // The failure of what PostgreSQL never saw aborts the transaction as well.
    let sqls =
        ["BEGIN", "INSERT INTO of_one VALUES (9)", "COPY of_one FROM 's3://none/' IAM_ROLE default CSV", "COMMIT"];
    let batch = api.client.batch_execute_statement().workgroup_name("w").database(api.database.warehouse.database());
    let batch = batch.set_sqls(Some(sqls.map(str::to_owned).to_vec())).execution_mode("AUTO_COMMIT".into());
    batch.wait_time_seconds(20).send().await?;
    assert_eq!(api.rows("SELECT COUNT(*) FROM of_one WHERE n = 9").await?, ["0"]);
    Ok(())
}
