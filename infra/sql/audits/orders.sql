-- Made by `loader audit sql` from the declaration of orders: change that, not this file.

-- A mutex: an audit locks this empty table in place of the data. On Redshift LOCK is ACCESS EXCLUSIVE, and every reader would wait
-- behind it until the transaction ends.
CREATE TABLE IF NOT EXISTS dev.orders_audit_mutex (held BOOLEAN);

-- One row a mismatch; docs/AUDITS.md describes its life. What tells rows apart is NULL where the row in the source has none;
-- mismatch_key is made of it and of the kind, and never NULL in what the audit records. row_count is 1 but where a row stands for
-- many: for a run that one side lacks whole (mismatch_key ends in *), and for the rest above the limit (+).
CREATE TABLE IF NOT EXISTS dev.orders_audit (
    run_id BIGINT,
    mismatch_key VARCHAR(96),
    order_id BIGINT,
    kind VARCHAR(32),
    differing_columns VARCHAR(256),
    values_md5 VARCHAR(32),
    order_ts TIMESTAMP,
    row_count BIGINT,
    status VARCHAR(16),
    first_seen_at TIMESTAMP,
    last_seen_at TIMESTAMP,
    changed_in BIGINT,
    notified_at TIMESTAMP,
    notified_by VARCHAR(512),
    notified_count INTEGER,
    silenced_until TIMESTAMP,
    resolved_at TIMESTAMP,
    closed_by VARCHAR(512)
);

-- The number of the last audit that changed something, and whether one has looked at everything: one row, or none before the first.
CREATE TABLE IF NOT EXISTS dev.orders_audit_number (number BIGINT NOT NULL, everything BOOLEAN NOT NULL);

-- The runs that audits have seen, and whether a load has touched one since: what an audit knows its window by.
CREATE TABLE IF NOT EXISTS dev.orders_audited_runs (run_id BIGINT NOT NULL, touched BOOLEAN NOT NULL);

-- dev.orders_final against s3_staging_schema.new_orders_staging_area: records every mismatch once.
--
-- These procedures share one worker; what one does not look at stays as it is:
--   dev.audit_orders_sp() a window: the 10 newest runs, those that a load has touched since the last audit, and those with
--     unresolved mismatches
--   dev.audit_orders_sweep_sp() everything; removes old RESOLVED rows. With a number, so many of the newest runs
--   dev.audit_orders_between_sp(low, high) a span of runs
--
-- Idempotent. A mismatch that has gone becomes RESOLVED, one that returns NEW again. Comparisons are NULL-safe, and count
-- trailing blanks. The audit table is written only at the end, and only where something changes. An audit holds the mutex of the
-- load, too: a load beside it would let it find rows that are about to be there.
--
-- Every procedure sets the time zone, because GETDATE() is in the session's.
CREATE OR REPLACE PROCEDURE dev.audit_orders_sp() AS $$
DECLARE
    -- How many of the newest runs are in the window.
    newest_runs CONSTANT BIGINT := 10;
BEGIN
    LOCK dev.orders_audit_mutex, dev.orders_load_mutex;
    CALL dev.audit_orders_worker_sp(newest_runs, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT));
END;
$$ LANGUAGE plpgsql SET timezone TO 'UTC';

CREATE OR REPLACE PROCEDURE dev.audit_orders_between_sp(low BIGINT, high BIGINT) AS $$
BEGIN
    LOCK dev.orders_audit_mutex, dev.orders_load_mutex;
    CALL dev.audit_orders_worker_sp(CAST(NULL AS BIGINT), low, high);
END;
$$ LANGUAGE plpgsql SET timezone TO 'UTC';

CREATE OR REPLACE PROCEDURE dev.audit_orders_sweep_sp() AS $$
DECLARE
    -- How many of the newest runs a sweep covers; NULL is everything.
    newest_runs CONSTANT BIGINT := NULL;
BEGIN
    LOCK dev.orders_audit_mutex, dev.orders_load_mutex;
    CALL dev.audit_orders_worker_sp(newest_runs, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT));
    DELETE FROM dev.orders_audit
    WHERE status = 'RESOLVED' AND COALESCE(resolved_at, last_seen_at) < GETDATE() - INTERVAL '400 days';
END;
$$ LANGUAGE plpgsql SET timezone TO 'UTC';

-- A sweep over so many of the newest runs: older ones, whose files an S3 lifecycle rule has removed, stay outside.
CREATE OR REPLACE PROCEDURE dev.audit_orders_sweep_sp(newest_runs BIGINT) AS $$
BEGIN
    LOCK dev.orders_audit_mutex, dev.orders_load_mutex;
    CALL dev.audit_orders_worker_sp(newest_runs, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT));
    DELETE FROM dev.orders_audit
    WHERE status = 'RESOLVED' AND COALESCE(resolved_at, last_seen_at) < GETDATE() - INTERVAL '400 days';
END;
$$ LANGUAGE plpgsql SET timezone TO 'UTC';

-- Audits the newest runs, or a span of runs, or everything. Called by the procedures above.
CREATE OR REPLACE PROCEDURE dev.audit_orders_worker_sp(newest_runs BIGINT, low BIGINT, high BIGINT) AS $$
DECLARE
    -- A run whose newest row is younger than so many minutes is not judged: one side may not have all of it yet.
    settling_minutes CONSTANT BIGINT := 0;
    -- Of one run and kind so many rows are recorded; the rest is one row with a count.
    most_recorded CONSTANT BIGINT := 1000;
    -- A list of runs in SQL ends at about so many bytes: a statement for EXECUTE holds it up to three times, in a VARCHAR of 65,535.
    most_bytes CONSTANT BIGINT := 8000;
    -- What is compared, in the types in which both sides can be.
    typed_columns CONSTANT VARCHAR(65535) :=
        'CAST(run_id AS BIGINT) AS run_id,
        CAST(order_id AS BIGINT) AS order_id,
        CAST(customer_id AS BIGINT) AS customer_id,
        CAST(seller_id AS BIGINT) AS seller_id,
        CASE WHEN OCTET_LENGTH(CAST(product_code AS VARCHAR(65535))) > 64 THEN MD5(CAST(product_code AS VARCHAR(65535))) ELSE CAST(CAST(product_code AS VARCHAR(65535)) AS VARCHAR(64)) END AS product_code,
        CASE WHEN OCTET_LENGTH(CAST(product_name AS VARCHAR(65535))) > 256 THEN MD5(CAST(product_name AS VARCHAR(65535))) ELSE CAST(CAST(product_name AS VARCHAR(65535)) AS VARCHAR(256)) END AS product_name,
        CAST(product_price AS DECIMAL(12, 2)) AS product_price,
        CAST(product_qty AS INTEGER) AS product_qty,
        CAST(order_ts AS TIMESTAMP) AS order_ts';
    -- Each row of a key on its own, in an order that does not change from audit to audit.
    numbered_columns CONSTANT VARCHAR(65535) :=
        '1 AS present, run_id, order_id, customer_id, seller_id, product_code, product_name, product_price, product_qty, order_ts,
        ROW_NUMBER() OVER (
            PARTITION BY run_id, order_id
            ORDER BY order_ts DESC, customer_id, seller_id, product_code, product_name, product_price, product_qty
        ) AS occurrence';
    -- A row becomes a number of 64 bits: Fingerprint64 of the FNV hash of its columns, with which of them are NULL and how long
    -- the texts are, so that no two rows are the same bytes. DECIMAL(38,0) holds the sum of 10^18 such numbers. The sums of two
    -- sets of rows that differ are equal by chance alone, about once in 2^63 runs: the fingerprint is not linear, so that
    -- swapped values do not cancel out.
    sum_of_rows CONSTANT VARCHAR(65535) :=
        'CAST(SUM(farmfingerprint64(CAST(
            fnv_hash(COALESCE(product_name, ''''), fnv_hash(COALESCE(OCTET_LENGTH(product_name), -1),
            fnv_hash(COALESCE(product_code, ''''), fnv_hash(COALESCE(OCTET_LENGTH(product_code), -1),
            fnv_hash(COALESCE(order_ts, TIMESTAMP ''1970-01-01''),
            fnv_hash(COALESCE(product_qty, 0),
            fnv_hash(COALESCE(product_price, 0),
            fnv_hash(COALESCE(seller_id, 0),
            fnv_hash(COALESCE(customer_id, 0),
            fnv_hash(COALESCE(order_id, 0),
            fnv_hash(CAST(CASE WHEN order_id IS NULL THEN 1 ELSE 0 END
                + CASE WHEN customer_id IS NULL THEN 2 ELSE 0 END
                + CASE WHEN seller_id IS NULL THEN 4 ELSE 0 END
                + CASE WHEN product_price IS NULL THEN 8 ELSE 0 END
                + CASE WHEN product_qty IS NULL THEN 16 ELSE 0 END
                + CASE WHEN order_ts IS NULL THEN 32 ELSE 0 END AS BIGINT), CAST(0 AS BIGINT)))))))))))) AS VARCHAR))) AS DECIMAL(38, 0))';
    listed RECORD;
    first_run BIGINT;
    first_in_source BIGINT;
    list VARCHAR(65535) := '';
    in_window VARCHAR(65535);
    in_differing VARCHAR(65535);
    without_run VARCHAR(160);
    judges_without_run VARCHAR(5);
    in_source BIGINT;
    in_target BIGINT;
    this_audit BIGINT;
    swept BIGINT;
    written BIGINT;
    affected BIGINT;
BEGIN
    LOCK dev.orders_audit_mutex, dev.orders_load_mutex;

    -- The number comes from a table of its own, under the mutex: a later audit has a higher number than everything that anyone
    -- could see before it. A clock would not do: rows are dated before they can be seen.
    SELECT COALESCE(MAX(number), 0) + 1, COALESCE(MAX(CASE WHEN everything THEN 1 ELSE 0 END), 0) INTO this_audit, swept
    FROM dev.orders_audit_number;

    -- The window, as a condition with literals: those prune zone maps and partitions.
    in_window := 'TRUE';
    IF low IS NOT NULL OR high IS NOT NULL THEN
        in_window := 'run_id BETWEEN ' || CAST(low AS VARCHAR) || ' AND ' || CAST(high AS VARCHAR);
    ELSIF newest_runs IS NOT NULL THEN
        SELECT MIN(run_id), COUNT(*) INTO first_run, affected FROM (
            SELECT run_id, ROW_NUMBER() OVER (ORDER BY run_id DESC) AS place FROM dev.orders_audited_runs
        ) numbered WHERE place <= newest_runs;
        -- Without an audit of everything, or with fewer runs, this audit looks at everything, and so comes to know the runs.
        IF swept = 0 OR affected < newest_runs THEN
            first_run := NULL;
        ELSE
            -- Back to the last run that was audited: what has come since, and was not loaded, must not fall out unseen.
            SELECT LEAST(first_run, MAX(run_id)) INTO first_run FROM dev.orders_audited_runs WHERE NOT touched;
            FOR listed IN
                SELECT run_id AS run FROM dev.orders_audited_runs WHERE touched AND run_id < first_run
                UNION SELECT run_id FROM dev.orders_audit
                WHERE (status < 'RESOLVED' OR status > 'RESOLVED' OR status IS NULL) AND run_id < first_run
                ORDER BY 1 DESC
            LOOP
                -- More than fit in are left to the sweep.
                EXIT WHEN OCTET_LENGTH(list) > most_bytes;
                list := list || ',' || CAST(listed.run AS VARCHAR);
            END LOOP;
            in_window := '(run_id >= ' || CAST(first_run AS VARCHAR) || ' OR run_id IS NULL'
                || CASE WHEN list = '' THEN '' ELSE ' OR run_id IN (' || SUBSTRING(list, 2) || ')' END || ')';
        END IF;
    END IF;
    IF in_window IS NULL THEN
        RAISE EXCEPTION 'an audit of a span of runs takes the lowest and the highest run; nothing was audited';
    END IF;

    -- First stage: for each run the rows of both sides, and a sum over them.
    DROP TABLE IF EXISTS audit_orders_worker_sp_runs;
    EXECUTE 'CREATE TEMP TABLE audit_orders_worker_sp_runs AS
    SELECT run_id, CAST(SUM(source_rows) AS BIGINT) AS source_rows, CAST(SUM(target_rows) AS BIGINT) AS target_rows,
        SUM(source_rows) <> SUM(target_rows) OR SUM(source_sum) <> SUM(target_sum) AS differs, TRUE AS judged,
        FALSE AS expired, MAX(newest) AS newest
    FROM (
        SELECT run_id, COUNT(*) AS source_rows, 0 AS target_rows, MAX(order_ts) AS newest,
            ' || sum_of_rows || ' AS source_sum, CAST(0 AS DECIMAL(38, 0)) AS target_sum
        FROM (SELECT ' || typed_columns || ' FROM s3_staging_schema.new_orders_staging_area) source WHERE ' || in_window || ' GROUP BY run_id
        UNION ALL
        SELECT run_id, 0, COUNT(*), MAX(order_ts), CAST(0 AS DECIMAL(38, 0)), ' || sum_of_rows || '
        FROM (SELECT ' || typed_columns || ' FROM dev.orders_final) target WHERE ' || in_window || ' GROUP BY run_id
    ) sides GROUP BY run_id';

    SELECT SUM(source_rows), SUM(target_rows) INTO in_source, in_target FROM audit_orders_worker_sp_runs;
    IF in_source = 0 AND in_target > 0 THEN
        RAISE EXCEPTION 's3_staging_schema.new_orders_staging_area has no rows of the audited runs, and dev.orders_final has %: see whether the partitions are registered, if it is an external table, and its files there; nothing was recorded', in_target;
    END IF;
    UPDATE audit_orders_worker_sp_runs SET judged = FALSE
    WHERE settling_minutes > 0 AND newest > GETDATE() - settling_minutes * INTERVAL '1 minute' AND newest <= GETDATE();
    -- Where the source has nothing of a run, a lifecycle rule may have removed its files. Such a run stays as it is, whether the
    -- target still has it or not, if it is older than the window or than all that the source has. Only a sweep over everything judges it.
    IF newest_runs IS NOT NULL OR low IS NOT NULL THEN
        -- An audit that looks at more than its window still has one.
        IF first_run IS NULL THEN
            SELECT MIN(run_id) INTO first_run FROM (
                SELECT run_id, ROW_NUMBER() OVER (ORDER BY run_id DESC) AS place FROM audit_orders_worker_sp_runs
                WHERE run_id IS NOT NULL
            ) numbered WHERE place <= newest_runs;
        END IF;
        EXECUTE 'INSERT INTO audit_orders_worker_sp_runs (run_id, source_rows, target_rows, differs, judged, expired, newest)
        SELECT run_id, 0, 0, FALSE, TRUE, FALSE, MAX(newest) FROM (
            SELECT run_id, order_ts AS newest FROM dev.orders_audit
            WHERE (status < ''RESOLVED'' OR status > ''RESOLVED'' OR status IS NULL) AND ' || in_window || '
            UNION ALL SELECT run_id, CAST(NULL AS TIMESTAMP) FROM dev.orders_audited_runs WHERE touched AND ' || in_window || '
        ) known WHERE run_id IS NOT NULL AND run_id NOT IN (
            SELECT run_id FROM audit_orders_worker_sp_runs WHERE run_id IS NOT NULL
        ) GROUP BY run_id';
        SELECT MIN(run_id) INTO first_in_source FROM audit_orders_worker_sp_runs
        WHERE source_rows > 0 AND (run_id >= first_run OR first_run IS NULL);
        UPDATE audit_orders_worker_sp_runs SET judged = FALSE, expired = TRUE WHERE source_rows = 0 AND run_id < first_run;
        -- What a load has just brought is too young for that.
        UPDATE audit_orders_worker_sp_runs SET judged = FALSE, expired = TRUE
        WHERE source_rows = 0 AND (run_id < first_in_source OR first_in_source IS NULL)
            AND run_id NOT IN (SELECT run_id FROM dev.orders_audited_runs WHERE touched);
        UPDATE audit_orders_worker_sp_runs SET judged = FALSE, expired = TRUE WHERE source_rows = 0 AND run_id IS NULL;
    END IF;

    -- Second stage: rows, of the runs that differ and that both sides have. Rows without a run are compared, too.
    UPDATE audit_orders_worker_sp_runs SET differs = FALSE
    WHERE NOT judged OR source_rows = 0 OR target_rows = 0 OR run_id IS NULL;
    SELECT CASE WHEN COUNT(*) > 0 AND MIN(CASE WHEN judged THEN 1 ELSE 0 END) = 1 THEN 'run_id IS NULL' ELSE 'FALSE' END,
        CASE
            WHEN MIN(CASE WHEN judged THEN 1 ELSE 0 END) = 0 THEN 'FALSE'
            -- What nobody has any more was not judged either, but by a sweep over everything.
            WHEN COUNT(*) = 0 AND (newest_runs IS NOT NULL OR low IS NOT NULL) THEN 'FALSE'
            ELSE 'TRUE'
        END
    INTO without_run, judges_without_run FROM audit_orders_worker_sp_runs WHERE run_id IS NULL;
    list := '';
    FOR listed IN
        SELECT run_id AS run FROM audit_orders_worker_sp_runs WHERE differs ORDER BY 1
    LOOP
        list := list || ',' || CAST(listed.run AS VARCHAR);
        EXIT WHEN OCTET_LENGTH(list) > most_bytes;
    END LOOP;
    in_differing := CASE
        WHEN OCTET_LENGTH(list) > most_bytes THEN in_window
        WHEN list = '' THEN without_run
        ELSE '(run_id IN (' || SUBSTRING(list, 2) || ') OR ' || without_run || ')'
    END;

    DROP TABLE IF EXISTS audit_orders_worker_sp_mismatches;
    -- With types of its own: those of a SELECT would be as narrow as the longest literal in it.
    CREATE TEMP TABLE audit_orders_worker_sp_mismatches (
        run_id BIGINT,
        mismatch_key VARCHAR(96),
        order_id BIGINT,
        kind VARCHAR(32),
        differing_columns VARCHAR(256),
        values_md5 VARCHAR(32),
        order_ts TIMESTAMP,
        row_count BIGINT,
        place BIGINT
    );

    IF in_differing <> 'FALSE' THEN
        EXECUTE 'INSERT INTO audit_orders_worker_sp_mismatches
            (run_id, mismatch_key, order_id, kind, differing_columns, values_md5, order_ts, row_count, place)
        SELECT run_id, kind || '':'' || COALESCE(CAST(run_id AS VARCHAR), '''') || '':'' || COALESCE(CAST(order_id AS VARCHAR), ''''),
            order_id, kind, differing_columns, values_md5, order_ts, 1, 1
        FROM (
            SELECT
                COALESCE(s.run_id, f.run_id) AS run_id,
                COALESCE(s.order_id, f.order_id) AS order_id,
                CASE
                    WHEN f.present IS NULL THEN ''MISSING_IN_REDSHIFT''
                    WHEN s.present IS NULL THEN ''MISSING_IN_STAGING''
                    ELSE ''DIFFERENT''
                END AS kind,
                CASE WHEN f.present IS NULL OR s.present IS NULL THEN '''' ELSE LEFT(TRIM(
                    CASE WHEN s.customer_id = f.customer_id OR (s.customer_id IS NULL AND f.customer_id IS NULL) THEN '''' ELSE ''customer_id '' END
                || CASE WHEN s.seller_id = f.seller_id OR (s.seller_id IS NULL AND f.seller_id IS NULL) THEN '''' ELSE ''seller_id '' END
                || CASE WHEN s.product_code || ''|'' = f.product_code || ''|'' OR (s.product_code IS NULL AND f.product_code IS NULL) THEN '''' ELSE ''product_code '' END
                || CASE WHEN s.product_name || ''|'' = f.product_name || ''|'' OR (s.product_name IS NULL AND f.product_name IS NULL) THEN '''' ELSE ''product_name '' END
                || CASE WHEN s.product_price = f.product_price OR (s.product_price IS NULL AND f.product_price IS NULL) THEN '''' ELSE ''product_price '' END
                || CASE WHEN s.product_qty = f.product_qty OR (s.product_qty IS NULL AND f.product_qty IS NULL) THEN '''' ELSE ''product_qty '' END
                || CASE WHEN s.order_ts = f.order_ts OR (s.order_ts IS NULL AND f.order_ts IS NULL) THEN '''' ELSE ''order_ts '' END
                ), 256) END AS differing_columns,
                -- The values of both sides: another value in the same column is a change too.
                MD5(
                    COALESCE(CAST(s.customer_id AS VARCHAR), ''-'')
                || ''|'' || COALESCE(CAST(s.seller_id AS VARCHAR), ''-'')
                || ''|'' || COALESCE(CAST(OCTET_LENGTH(s.product_code) AS VARCHAR) || '':'' || s.product_code, ''-'')
                || ''|'' || COALESCE(CAST(OCTET_LENGTH(s.product_name) AS VARCHAR) || '':'' || s.product_name, ''-'')
                || ''|'' || COALESCE(CAST(s.product_price AS VARCHAR), ''-'')
                || ''|'' || COALESCE(CAST(s.product_qty AS VARCHAR), ''-'')
                || ''|'' || COALESCE(TO_CHAR(s.order_ts, ''YYYY-MM-DD HH24:MI:SS.US''), ''-'')
                || ''|'' || COALESCE(CAST(f.customer_id AS VARCHAR), ''-'')
                || ''|'' || COALESCE(CAST(f.seller_id AS VARCHAR), ''-'')
                || ''|'' || COALESCE(CAST(OCTET_LENGTH(f.product_code) AS VARCHAR) || '':'' || f.product_code, ''-'')
                || ''|'' || COALESCE(CAST(OCTET_LENGTH(f.product_name) AS VARCHAR) || '':'' || f.product_name, ''-'')
                || ''|'' || COALESCE(CAST(f.product_price AS VARCHAR), ''-'')
                || ''|'' || COALESCE(CAST(f.product_qty AS VARCHAR), ''-'')
                || ''|'' || COALESCE(TO_CHAR(f.order_ts, ''YYYY-MM-DD HH24:MI:SS.US''), ''-'')
                ) AS values_md5,
                COALESCE(s.order_ts, f.order_ts) AS order_ts,
                s.present AS in_source,
                f.present AS in_target
            FROM (
                SELECT ' || numbered_columns || '
                FROM (SELECT ' || typed_columns || ' FROM s3_staging_schema.new_orders_staging_area) source WHERE ' || in_differing || '
            ) s
            FULL JOIN (
                SELECT ' || numbered_columns || '
                FROM (SELECT ' || typed_columns || ' FROM dev.orders_final) target WHERE ' || in_differing || '
            ) f ON COALESCE(f.run_id, 0) = COALESCE(s.run_id, 0) AND CASE WHEN f.run_id IS NULL THEN 1 ELSE 0 END = CASE WHEN s.run_id IS NULL THEN 1 ELSE 0 END AND COALESCE(f.order_id, 0) = COALESCE(s.order_id, 0) AND CASE WHEN f.order_id IS NULL THEN 1 ELSE 0 END = CASE WHEN s.order_id IS NULL THEN 1 ELSE 0 END AND f.occurrence = s.occurrence
            -- Of a key that either side has more than once only the first is compared, always the same one: otherwise
            -- every audit would find that it has changed.
            WHERE COALESCE(s.occurrence, 1) = 1 AND COALESCE(f.occurrence, 1) = 1
        ) compared
        WHERE (in_source IS NULL OR in_target IS NULL OR differing_columns <> '''') AND (
            ' || without_run || ' OR run_id IN (SELECT run_id FROM audit_orders_worker_sp_runs WHERE differs)
        )';

        EXECUTE 'INSERT INTO audit_orders_worker_sp_mismatches
            (run_id, mismatch_key, order_id, kind, differing_columns, values_md5, order_ts, row_count, place)
        SELECT run_id, kind || '':'' || COALESCE(CAST(run_id AS VARCHAR), '''') || '':'' || COALESCE(CAST(order_id AS VARCHAR), ''''),
            order_id, kind, '''', MD5(CAST(copies AS VARCHAR)), order_ts, 1, 1
        FROM (
            SELECT f.run_id, f.order_id, ''DUPLICATE_IN_REDSHIFT'' AS kind, f.copies, f.newest AS order_ts
            FROM (
                SELECT run_id, order_id, COUNT(*) AS copies, MAX(order_ts) AS newest
                FROM (SELECT ' || typed_columns || ' FROM dev.orders_final) target WHERE ' || in_differing || '
                    AND (' || without_run || ' OR run_id IN (SELECT run_id FROM audit_orders_worker_sp_runs WHERE differs))
                GROUP BY run_id, order_id
                HAVING COUNT(*) > 1
            ) f
            LEFT JOIN (
                SELECT run_id, order_id, COUNT(*) AS copies
                FROM (SELECT ' || typed_columns || ' FROM s3_staging_schema.new_orders_staging_area) source WHERE ' || in_differing || '
                GROUP BY run_id, order_id
            ) s ON COALESCE(f.run_id, 0) = COALESCE(s.run_id, 0) AND CASE WHEN f.run_id IS NULL THEN 1 ELSE 0 END = CASE WHEN s.run_id IS NULL THEN 1 ELSE 0 END AND COALESCE(f.order_id, 0) = COALESCE(s.order_id, 0) AND CASE WHEN f.order_id IS NULL THEN 1 ELSE 0 END = CASE WHEN s.order_id IS NULL THEN 1 ELSE 0 END
            WHERE f.copies > COALESCE(s.copies, 0)
        ) duplicates';
    END IF;

    -- Which rows of a run and kind are recorded, where there are too many: first those that the audit table knows. A row must
    -- not be resolved because another took its place.
    SELECT COUNT(*) INTO affected FROM (
        SELECT run_id, kind FROM audit_orders_worker_sp_mismatches GROUP BY run_id, kind HAVING COUNT(*) > most_recorded
    ) flooded;
    IF affected > 0 THEN
        DROP TABLE IF EXISTS audit_orders_worker_sp_places;
        EXECUTE 'CREATE TEMP TABLE audit_orders_worker_sp_places AS
        SELECT m.mismatch_key, ROW_NUMBER() OVER (
            PARTITION BY m.run_id, m.kind ORDER BY CASE WHEN a.mismatch_key IS NULL THEN 1 ELSE 0 END, m.order_id
        ) AS place
        FROM audit_orders_worker_sp_mismatches m
        LEFT JOIN (
            SELECT DISTINCT mismatch_key FROM dev.orders_audit
            WHERE (status < ''RESOLVED'' OR status > ''RESOLVED'' OR status IS NULL) AND ' || in_window || '
        ) a ON a.mismatch_key = m.mismatch_key';
        UPDATE audit_orders_worker_sp_mismatches SET place = p.place
        FROM audit_orders_worker_sp_places p WHERE p.mismatch_key = audit_orders_worker_sp_mismatches.mismatch_key;
        DROP TABLE audit_orders_worker_sp_places;
    END IF;

    -- Above the limit the rest is one row with a count; so is a run that one side lacks whole.
    INSERT INTO audit_orders_worker_sp_mismatches
        (run_id, mismatch_key, kind, differing_columns, values_md5, order_ts, row_count, place)
    SELECT run_id, kind || ':' || COALESCE(CAST(run_id AS VARCHAR), '') || ':+', kind, '',
        MD5(CAST(COUNT(*) AS VARCHAR)), MAX(order_ts), COUNT(*), 0
    FROM audit_orders_worker_sp_mismatches WHERE place > most_recorded GROUP BY run_id, kind;
    DELETE FROM audit_orders_worker_sp_mismatches WHERE place > most_recorded;
    INSERT INTO audit_orders_worker_sp_mismatches
        (run_id, mismatch_key, kind, differing_columns, values_md5, order_ts, row_count, place)
    SELECT run_id, kind || ':' || COALESCE(CAST(run_id AS VARCHAR), '') || ':*', kind, '',
        MD5(CAST(one_sided AS VARCHAR)), newest, one_sided, 0
    FROM (
        SELECT run_id, source_rows + target_rows AS one_sided, newest,
            CASE WHEN target_rows = 0 THEN 'MISSING_IN_REDSHIFT' ELSE 'MISSING_IN_STAGING' END AS kind
        FROM audit_orders_worker_sp_runs
        WHERE judged AND run_id IS NOT NULL AND (source_rows = 0 OR target_rows = 0) AND source_rows + target_rows > 0
    ) whole;

    -- From here on the audit table is written. A row from before there were kinds is the mismatch that is found now.
    UPDATE dev.orders_audit
    SET mismatch_key = m.mismatch_key, kind = m.kind
    FROM audit_orders_worker_sp_mismatches m
    WHERE orders_audit.kind = 'UNKNOWN' AND COALESCE(orders_audit.status, 'NEW') <> 'RESOLVED'
        AND m.run_id = orders_audit.run_id AND m.order_id = orders_audit.order_id;

    -- Before there was a row for such a run, each of its keys had one. One of them goes on as the row of the run if they stand for as
    -- many rows as it: people know of it. It has waited as long, and been told of and silenced as they were. The others go.
    EXECUTE 'UPDATE dev.orders_audit
    SET mismatch_key = m.mismatch_key, values_md5 = m.values_md5, row_count = m.row_count, first_seen_at = m.first_seen_at,
        notified_at = m.notified_at, notified_count = m.notified_count, silenced_until = m.silenced_until, order_id = NULL
    FROM (
        SELECT w.mismatch_key, w.values_md5, w.row_count,
            COALESCE(MIN(CASE WHEN o.status <> ''NOTIFIED'' THEN o.mismatch_key END), MIN(o.mismatch_key)) AS known_as,
            MIN(o.first_seen_at) AS first_seen_at, MAX(o.notified_at) AS notified_at, MAX(o.notified_count) AS notified_count,
            MAX(o.silenced_until) AS silenced_until
        FROM audit_orders_worker_sp_mismatches w
        JOIN (
            SELECT run_id AS of_run, kind, mismatch_key, COALESCE(status, ''NEW'') AS status, row_count, first_seen_at, notified_at,
                notified_count, silenced_until
            FROM dev.orders_audit
            WHERE ' || in_window || '
        ) o ON o.of_run = w.run_id AND o.kind = w.kind AND o.status <> ''RESOLVED''
        WHERE w.place = 0 AND w.mismatch_key LIKE ''%:*'' AND NOT EXISTS (
            SELECT 1 FROM dev.orders_audit known WHERE ' || in_window || ' AND known.mismatch_key = w.mismatch_key
        )
        GROUP BY w.mismatch_key, w.values_md5, w.row_count
        HAVING SUM(COALESCE(o.row_count, 1)) = w.row_count
    ) m
    WHERE ' || in_window || ' AND orders_audit.mismatch_key = m.known_as';

    -- Gone: resolved. Only what was judged.
    EXECUTE 'UPDATE dev.orders_audit
    SET status = ''RESOLVED'', resolved_at = GETDATE()
    WHERE (status < ''RESOLVED'' OR status > ''RESOLVED'' OR status IS NULL) AND ' || in_window || ' AND NOT EXISTS (
        SELECT 1 FROM audit_orders_worker_sp_mismatches m WHERE m.mismatch_key = orders_audit.mismatch_key
    ) AND NOT EXISTS (
        SELECT 1 FROM audit_orders_worker_sp_runs r WHERE NOT r.judged AND r.run_id = orders_audit.run_id
    ) AND (run_id IS NOT NULL OR ' || judges_without_run || ')';

    -- Known: NEW again if it was resolved or has changed. One that returns begins a new life: it has not waited since its
    -- first. Without a change a row is written once a day at most, for last_seen_at: an UPDATE leaves dead rows behind.
    EXECUTE 'UPDATE dev.orders_audit
    SET status = CASE
            WHEN COALESCE(orders_audit.status, ''NEW'') <> ''RESOLVED''
                AND COALESCE(orders_audit.differing_columns, '''') = m.differing_columns
                AND COALESCE(orders_audit.values_md5, m.values_md5) = m.values_md5
            THEN COALESCE(orders_audit.status, ''NEW'') ELSE ''NEW'' END,
        changed_in = CASE
            WHEN COALESCE(orders_audit.status, ''NEW'') <> ''RESOLVED''
                AND COALESCE(orders_audit.differing_columns, '''') = m.differing_columns
                AND COALESCE(orders_audit.values_md5, m.values_md5) = m.values_md5
            THEN orders_audit.changed_in ELSE ' || CAST(this_audit AS VARCHAR) || ' END,
        first_seen_at = CASE
            WHEN COALESCE(orders_audit.status, ''NEW'') = ''RESOLVED''
            THEN GETDATE() ELSE orders_audit.first_seen_at END,
        notified_at = CASE
            WHEN COALESCE(orders_audit.status, ''NEW'') = ''RESOLVED'' THEN NULL ELSE orders_audit.notified_at END,
        notified_count = CASE
            WHEN COALESCE(orders_audit.status, ''NEW'') = ''RESOLVED'' THEN NULL ELSE orders_audit.notified_count END,
        resolved_at = NULL,
        closed_by = NULL,
        last_seen_at = GETDATE(),
        differing_columns = m.differing_columns,
        values_md5 = m.values_md5,
        order_ts = m.order_ts,
        row_count = m.row_count
    FROM (SELECT mismatch_key, differing_columns, values_md5, order_ts, row_count FROM audit_orders_worker_sp_mismatches) m
    WHERE ' || in_window || ' AND m.mismatch_key = orders_audit.mismatch_key AND (
        COALESCE(orders_audit.status, ''RESOLVED'') = ''RESOLVED''
        OR COALESCE(orders_audit.differing_columns, '''') <> m.differing_columns
        OR COALESCE(orders_audit.values_md5, '''') <> m.values_md5
        OR COALESCE(orders_audit.row_count, 0) <> m.row_count
        OR orders_audit.resolved_at IS NOT NULL
        OR orders_audit.closed_by IS NOT NULL
        OR COALESCE(orders_audit.last_seen_at, ''1970-01-01'') < GETDATE() - INTERVAL ''1 day''
    )';
    GET DIAGNOSTICS written := ROW_COUNT;

    EXECUTE 'INSERT INTO dev.orders_audit (
        run_id, mismatch_key, order_id, kind, differing_columns, values_md5, order_ts, row_count, status,
        first_seen_at, last_seen_at, changed_in, silenced_until
    )
    SELECT
        m.run_id, m.mismatch_key, m.order_id, m.kind, m.differing_columns, m.values_md5, m.order_ts, m.row_count, ''NEW'',
        GETDATE(), GETDATE(), ' || CAST(this_audit AS VARCHAR) || ', silence.until
    FROM audit_orders_worker_sp_mismatches m
    -- Silenced is the run, with the rows that an audit adds.
    LEFT JOIN (
        SELECT run_id, MAX(silenced_until) AS until FROM dev.orders_audit
        WHERE silenced_until > GETDATE() AND ' || in_window || ' GROUP BY run_id
    ) silence ON silence.run_id = m.run_id OR (silence.run_id IS NULL AND m.run_id IS NULL)
    WHERE NOT EXISTS (
        SELECT 1 FROM dev.orders_audit WHERE ' || in_window || ' AND orders_audit.mismatch_key = m.mismatch_key
    )';
    GET DIAGNOSTICS affected := ROW_COUNT;

    IF written + affected > 0 OR (swept = 0 AND in_window = 'TRUE') THEN
        DELETE FROM dev.orders_audit_number;
        INSERT INTO dev.orders_audit_number (number, everything) VALUES (this_audit, swept = 1 OR in_window = 'TRUE');
    END IF;
    UPDATE dev.orders_audited_runs SET touched = FALSE
    WHERE touched AND run_id IN (SELECT run_id FROM audit_orders_worker_sp_runs WHERE judged OR expired);
    INSERT INTO dev.orders_audited_runs (run_id, touched)
    SELECT run_id, FALSE FROM audit_orders_worker_sp_runs r
    WHERE run_id IS NOT NULL AND judged AND NOT EXISTS (
        SELECT 1 FROM dev.orders_audited_runs a WHERE a.run_id = r.run_id
    );

    DROP TABLE audit_orders_worker_sp_mismatches;
    DROP TABLE audit_orders_worker_sp_runs;
END;
$$ LANGUAGE plpgsql SET timezone TO 'UTC';

-- Brings an audit table that is older than this file up to date: adds the columns that it lacks, fills them
-- from its rows, and keeps one row for each mismatch open. Idempotent. Needs run_id, order_id and status to be there.
CREATE OR REPLACE PROCEDURE dev.migrate_orders_audit_sp() AS $$
DECLARE
    wanted RECORD;
    present BIGINT;
BEGIN
    LOCK dev.orders_audit_mutex;

    FOR wanted IN
        SELECT 'mismatch_key' AS name, 'VARCHAR(96)' AS type
        UNION ALL SELECT 'kind', 'VARCHAR(32)'
        UNION ALL SELECT 'differing_columns', 'VARCHAR(256)'
        UNION ALL SELECT 'values_md5', 'VARCHAR(32)'
        UNION ALL SELECT 'order_ts', 'TIMESTAMP'
        UNION ALL SELECT 'row_count', 'BIGINT'
        UNION ALL SELECT 'first_seen_at', 'TIMESTAMP'
        UNION ALL SELECT 'last_seen_at', 'TIMESTAMP'
        UNION ALL SELECT 'changed_in', 'BIGINT'
        UNION ALL SELECT 'notified_at', 'TIMESTAMP'
        UNION ALL SELECT 'notified_by', 'VARCHAR(512)'
        UNION ALL SELECT 'notified_count', 'INTEGER'
        UNION ALL SELECT 'silenced_until', 'TIMESTAMP'
        UNION ALL SELECT 'resolved_at', 'TIMESTAMP'
        UNION ALL SELECT 'closed_by', 'VARCHAR(512)'
    LOOP
        SELECT COUNT(*) INTO present FROM information_schema.columns
        WHERE LOWER(table_schema) = LOWER('dev') AND LOWER(table_name) = LOWER('orders_audit')
            AND LOWER(column_name) = LOWER(wanted.name);
        IF present = 0 THEN
            EXECUTE 'ALTER TABLE dev.orders_audit ADD COLUMN ' || QUOTE_IDENT(wanted.name) || ' ' || wanted.type;
            -- Before there was a row_count, values_md5 was made otherwise. NULL is taken for unchanged by the next audit.
            IF wanted.name = 'row_count' THEN
                EXECUTE 'UPDATE dev.orders_audit SET values_md5 = NULL WHERE kind <> ''DUPLICATE_IN_REDSHIFT''';
            END IF;
        END IF;
    END LOOP;
    EXECUTE 'INSERT INTO dev.orders_audit_number (number, everything)
        SELECT MAX(changed_in), FALSE FROM dev.orders_audit HAVING MAX(changed_in) > 0 AND NOT EXISTS (
            SELECT 1 FROM dev.orders_audit_number
        )';

    EXECUTE 'UPDATE dev.orders_audit SET
        status = COALESCE(status, ''NEW''),
        kind = COALESCE(kind, ''UNKNOWN''),
        mismatch_key = COALESCE(mismatch_key, COALESCE(kind, ''UNKNOWN'') || '':'' || COALESCE(CAST(run_id AS VARCHAR), '''') || '':'' || COALESCE(CAST(order_id AS VARCHAR), '''')),
        first_seen_at = COALESCE(first_seen_at, GETDATE()),
        last_seen_at = COALESCE(last_seen_at, GETDATE()),
        changed_in = COALESCE(changed_in, 0),
        row_count = COALESCE(row_count, 1)
        WHERE status IS NULL OR mismatch_key IS NULL OR kind IS NULL OR first_seen_at IS NULL
            OR last_seen_at IS NULL OR changed_in IS NULL OR row_count IS NULL';

    -- Rows that stand for the same mismatch would be seen, and re-opened, together. They become history, under
    -- a key that no audit finds; where one of them was open, one goes on in their place: rows that are alike in
    -- all columns cannot be distinguished.
    DROP TABLE IF EXISTS migrate_orders_audit_sp_several;
    EXECUTE 'CREATE TEMP TABLE migrate_orders_audit_sp_several AS
        SELECT mismatch_key, MIN(run_id) AS run_id, MIN(order_id) AS order_id, MIN(kind) AS kind,
            MIN(differing_columns) AS differing_columns, MIN(order_ts) AS order_ts, 
            MIN(CASE WHEN status <> ''RESOLVED'' THEN status END) AS status,
            MIN(CASE WHEN status <> ''RESOLVED'' THEN first_seen_at END) AS first_seen_at,
            MAX(last_seen_at) AS last_seen_at, MAX(changed_in) AS changed_in, MAX(notified_at) AS notified_at,
            MAX(notified_by) AS notified_by, MAX(notified_count) AS notified_count, MAX(silenced_until) AS silenced_until,
            MAX(row_count) AS row_count
        FROM dev.orders_audit WHERE mismatch_key NOT LIKE ''OLD:%''
        GROUP BY mismatch_key HAVING COUNT(*) > 1';
    EXECUTE 'UPDATE dev.orders_audit SET
        status = ''RESOLVED'', mismatch_key = ''OLD:'' || mismatch_key, resolved_at = COALESCE(
            -- What was resolved before is no news.
            resolved_at, CASE WHEN status = ''RESOLVED'' THEN COALESCE(notified_at, last_seen_at) ELSE GETDATE() END
        )
        WHERE mismatch_key IN (SELECT mismatch_key FROM migrate_orders_audit_sp_several)';
    EXECUTE 'INSERT INTO dev.orders_audit (
            mismatch_key, run_id, order_id, kind, differing_columns, order_ts, status, first_seen_at, last_seen_at,
            changed_in, notified_at, notified_by, notified_count, silenced_until, row_count
        )
        SELECT mismatch_key, run_id, order_id, kind, differing_columns, order_ts, status, first_seen_at, last_seen_at,
            changed_in, notified_at, notified_by, notified_count, silenced_until, row_count
        FROM migrate_orders_audit_sp_several WHERE status IS NOT NULL';
    DROP TABLE migrate_orders_audit_sp_several;
END;
$$ LANGUAGE plpgsql SET timezone TO 'UTC';

-- What their users need: "caller" calls the procedures, which run as their caller, and "auditor" tells of the mismatches. Of an
-- external table nothing but the use of its schema is granted. `loader install` grants it to the users of a stack.
-- GRANT USAGE ON SCHEMA dev TO "caller";
-- GRANT USAGE ON SCHEMA s3_staging_schema TO "caller";
-- GRANT SELECT ON s3_staging_schema.new_orders_staging_area TO "caller";
-- GRANT SELECT ON dev.orders_final TO "caller";
-- GRANT SELECT, UPDATE ON dev.orders_audit_mutex TO "caller";
-- GRANT SELECT, UPDATE ON dev.orders_load_mutex TO "caller";
-- GRANT SELECT, INSERT, UPDATE, DELETE ON dev.orders_audit TO "caller";
-- GRANT SELECT, INSERT, UPDATE ON dev.orders_audited_runs TO "caller";
-- GRANT SELECT, INSERT, DELETE ON dev.orders_audit_number TO "caller";
-- GRANT EXECUTE ON PROCEDURE dev.audit_orders_sp() TO "caller";
-- GRANT EXECUTE ON PROCEDURE dev.audit_orders_sweep_sp() TO "caller";
-- GRANT EXECUTE ON PROCEDURE dev.audit_orders_sweep_sp(BIGINT) TO "caller";
-- GRANT EXECUTE ON PROCEDURE dev.audit_orders_between_sp(BIGINT, BIGINT) TO "caller";
-- GRANT EXECUTE ON PROCEDURE dev.audit_orders_worker_sp(BIGINT, BIGINT, BIGINT) TO "caller";
-- GRANT USAGE ON SCHEMA dev TO "auditor";
-- GRANT SELECT, UPDATE ON dev.orders_audit TO "auditor";
