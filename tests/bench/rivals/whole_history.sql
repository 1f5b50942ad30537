-- A load and an audit over the whole history, as this project had them first: what `make bench-history` compares with.

-- Staging -> final: the orders that final does not have yet, enriched from customers and sellers.
--
-- Harmless to repeat; late rows of a known run are picked up. The lock comes first, so that a second
-- execution waits before it takes its snapshot, and then finds the work done.
CREATE OR REPLACE PROCEDURE dev.enriched_orders_sp() AS $$
BEGIN
    LOCK dev.orders_final;

    INSERT INTO dev.orders_final (
        run_id, order_id, customer_id, customer_name, customer_address, seller_id, seller_name, seller_address,
        product_code, product_name, product_price, product_qty, order_ts
    )
    SELECT
        run_id, order_id, customer_id, customer_name, customer_address, seller_id, seller_name, seller_address,
        product_code, product_name, product_price, product_qty, order_ts
    FROM (
        -- Keys are not enforced on Redshift: an order staged twice, or a customer known twice, must not
        -- load an order twice.
        SELECT
            o.run_id, o.order_id, o.customer_id, c.customer_name, c.customer_address,
            o.seller_id, s.seller_name, s.seller_address,
            o.product_code, o.product_name, o.product_price, o.product_qty, o.order_ts,
            ROW_NUMBER() OVER (
                PARTITION BY o.run_id, o.order_id ORDER BY o.order_ts DESC, c.customer_name, s.seller_name
            ) AS occurrence
        FROM dev.orders o
        LEFT JOIN dev.customers c ON c.customer_id = o.customer_id
        LEFT JOIN dev.sellers s ON s.seller_id = o.seller_id
        WHERE NOT EXISTS (
            SELECT 1 FROM dev.orders_final f WHERE f.run_id = o.run_id AND f.order_id = o.order_id
        )
    ) staged
    WHERE occurrence = 1;
END;
$$ LANGUAGE plpgsql;

-- Final against the S3 staging area: records every mismatch once.
--
-- Harmless to repeat. A mismatch that has gone becomes RESOLVED, one that returns NEW again. Comparisons
-- are NULL-safe: NULL equals NULL and nothing else.
CREATE OR REPLACE PROCEDURE dev.audit_orders_sp() AS $$
DECLARE
    this_audit BIGINT;
BEGIN
    LOCK dev.orders_audit;

    -- Under the lock, so that a later audit has a higher number than everything that anyone could see
    -- before it. A clock would not do: rows are dated before they can be seen.
    SELECT COALESCE(MAX(changed_in), 0) + 1 INTO this_audit FROM dev.orders_audit;

    DROP TABLE IF EXISTS audit_orders_sp_mismatches;
    -- With types of its own: those of a SELECT would be as narrow as the longest literal in it.
    CREATE TEMP TABLE audit_orders_sp_mismatches (
        mismatch_key VARCHAR(96),
        run_id BIGINT,
        order_id BIGINT,
        kind VARCHAR(32),
        differing_columns VARCHAR(256),
        values_md5 VARCHAR(32),
        order_ts TIMESTAMP
    );

    INSERT INTO audit_orders_sp_mismatches
        (mismatch_key, run_id, order_id, kind, differing_columns, values_md5, order_ts)
    SELECT
        kind || ':' || COALESCE(CAST(run_id AS VARCHAR), '') || ':' || COALESCE(CAST(order_id AS VARCHAR), '')
            AS mismatch_key,
        run_id, order_id, kind, differing_columns, values_md5, order_ts
    FROM (
        SELECT
            COALESCE(s.run_id, f.run_id) AS run_id,
            COALESCE(s.order_id, f.order_id) AS order_id,
            CASE
                WHEN f.present IS NULL THEN 'MISSING_IN_REDSHIFT'
                WHEN s.present IS NULL THEN 'MISSING_IN_STAGING'
                ELSE 'DIFFERENT'
            END AS kind,
            CASE WHEN f.present IS NULL OR s.present IS NULL THEN '' ELSE TRIM(
                CASE WHEN s.customer_id = f.customer_id OR (s.customer_id IS NULL AND f.customer_id IS NULL)
                    THEN '' ELSE 'customer_id ' END
                || CASE WHEN s.seller_id = f.seller_id OR (s.seller_id IS NULL AND f.seller_id IS NULL)
                    THEN '' ELSE 'seller_id ' END
                || CASE WHEN s.product_code = f.product_code OR (s.product_code IS NULL AND f.product_code IS NULL)
                    THEN '' ELSE 'product_code ' END
                || CASE WHEN s.product_name = f.product_name OR (s.product_name IS NULL AND f.product_name IS NULL)
                    THEN '' ELSE 'product_name ' END
                || CASE WHEN s.product_price = f.product_price OR (s.product_price IS NULL AND f.product_price IS NULL)
                    THEN '' ELSE 'product_price ' END
                || CASE WHEN s.product_qty = f.product_qty OR (s.product_qty IS NULL AND f.product_qty IS NULL)
                    THEN '' ELSE 'product_qty ' END
                || CASE WHEN s.order_ts = f.order_ts OR (s.order_ts IS NULL AND f.order_ts IS NULL)
                    THEN '' ELSE 'order_ts ' END
            ) END AS differing_columns,
            -- What both sides say: another value in the same column is a change too.
            MD5(
                COALESCE(CAST(s.customer_id AS VARCHAR), CHR(1))
                || '|' || COALESCE(CAST(s.seller_id AS VARCHAR), CHR(1))
                || '|' || COALESCE(s.product_code, CHR(1))
                || '|' || COALESCE(s.product_name, CHR(1))
                || '|' || COALESCE(CAST(s.product_price AS VARCHAR), CHR(1))
                || '|' || COALESCE(CAST(s.product_qty AS VARCHAR), CHR(1))
                || '|' || COALESCE(CAST(s.order_ts AS VARCHAR), CHR(1))
                || '|' || COALESCE(CAST(f.customer_id AS VARCHAR), CHR(1))
                || '|' || COALESCE(CAST(f.seller_id AS VARCHAR), CHR(1))
                || '|' || COALESCE(f.product_code, CHR(1))
                || '|' || COALESCE(f.product_name, CHR(1))
                || '|' || COALESCE(CAST(f.product_price AS VARCHAR), CHR(1))
                || '|' || COALESCE(CAST(f.product_qty AS VARCHAR), CHR(1))
                || '|' || COALESCE(CAST(f.order_ts AS VARCHAR), CHR(1))
            ) AS values_md5,
            COALESCE(s.order_ts, f.order_ts) AS order_ts,
            s.present AS in_staging,
            f.present AS in_redshift
        FROM (
            SELECT 1 AS present, run_id, order_id, customer_id, seller_id, product_code, product_name,
                product_price, product_qty, order_ts,
                ROW_NUMBER() OVER (
                    PARTITION BY run_id, order_id
                    ORDER BY order_ts DESC, product_code, product_name, product_price, product_qty, customer_id, seller_id
                ) AS occurrence
            FROM s3_staging_schema.new_orders_staging_area
        ) s
        FULL JOIN (
            SELECT 1 AS present, run_id, order_id, customer_id, seller_id, product_code, product_name,
                product_price, product_qty, order_ts,
                ROW_NUMBER() OVER (
                    PARTITION BY run_id, order_id
                    ORDER BY order_ts DESC, product_code, product_name, product_price, product_qty, customer_id, seller_id
                ) AS occurrence
            FROM dev.orders_final
        ) f ON f.run_id = s.run_id AND f.order_id = s.order_id AND f.occurrence = s.occurrence
        -- Of a key that either side has more than once only the first is compared, always the same one: otherwise
        -- every audit would find that it looks different.
        WHERE COALESCE(s.occurrence, 1) = 1 AND COALESCE(f.occurrence, 1) = 1
    ) compared
    WHERE in_staging IS NULL OR in_redshift IS NULL OR differing_columns <> '';

    INSERT INTO audit_orders_sp_mismatches
        (mismatch_key, run_id, order_id, kind, differing_columns, values_md5, order_ts)
    SELECT
        'DUPLICATE_IN_REDSHIFT:' || CAST(run_id AS VARCHAR) || ':' || CAST(order_id AS VARCHAR),
        run_id, order_id, 'DUPLICATE_IN_REDSHIFT', '', MD5(CAST(COUNT(*) AS VARCHAR)), MAX(order_ts)
    FROM dev.orders_final
    GROUP BY run_id, order_id
    HAVING COUNT(*) > 1;

    -- A row from before there were kinds is the mismatch that is found now.
    UPDATE dev.orders_audit
    SET mismatch_key = m.mismatch_key, kind = m.kind
    FROM audit_orders_sp_mismatches m
    WHERE orders_audit.kind = 'UNKNOWN' AND COALESCE(orders_audit.status, 'NEW') <> 'RESOLVED'
        AND m.run_id = orders_audit.run_id AND m.order_id = orders_audit.order_id;

    -- Gone: resolved.
    UPDATE dev.orders_audit
    SET status = 'RESOLVED', resolved_at = GETDATE()
    WHERE COALESCE(status, 'NEW') <> 'RESOLVED' AND NOT EXISTS (
        SELECT 1 FROM audit_orders_sp_mismatches m WHERE m.mismatch_key = orders_audit.mismatch_key
    );

    -- Known: seen again; NEW again if it was resolved or looks different now. One that returns begins a new
    -- life: it has not waited since its first.
    UPDATE dev.orders_audit
    SET status = CASE
            WHEN COALESCE(orders_audit.status, 'NEW') <> 'RESOLVED'
                AND COALESCE(orders_audit.differing_columns, '') = m.differing_columns
                AND COALESCE(orders_audit.values_md5, m.values_md5) = m.values_md5
            THEN COALESCE(orders_audit.status, 'NEW') ELSE 'NEW' END,
        changed_in = CASE
            WHEN COALESCE(orders_audit.status, 'NEW') <> 'RESOLVED'
                AND COALESCE(orders_audit.differing_columns, '') = m.differing_columns
                AND COALESCE(orders_audit.values_md5, m.values_md5) = m.values_md5
            THEN orders_audit.changed_in ELSE this_audit END,
        first_seen_at = CASE
            WHEN COALESCE(orders_audit.status, 'NEW') = 'RESOLVED'
            THEN GETDATE() ELSE orders_audit.first_seen_at END,
        resolved_at = NULL,
        closed_by = NULL,
        last_seen_at = GETDATE(),
        differing_columns = m.differing_columns,
        values_md5 = m.values_md5,
        order_ts = m.order_ts
    FROM audit_orders_sp_mismatches m
    WHERE m.mismatch_key = orders_audit.mismatch_key;

    INSERT INTO dev.orders_audit (
        mismatch_key, run_id, order_id, kind, differing_columns, values_md5, order_ts, status,
        first_seen_at, last_seen_at, changed_in
    )
    SELECT
        m.mismatch_key, m.run_id, m.order_id, m.kind, m.differing_columns, m.values_md5, m.order_ts, 'NEW',
        GETDATE(), GETDATE(), this_audit
    FROM audit_orders_sp_mismatches m
    WHERE NOT EXISTS (SELECT 1 FROM dev.orders_audit a WHERE a.mismatch_key = m.mismatch_key);

    DROP TABLE audit_orders_sp_mismatches;
END;
$$ LANGUAGE plpgsql;
