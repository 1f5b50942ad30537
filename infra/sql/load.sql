-- Staging -> final: moves the orders that staging holds, enriched from customers and sellers.
--
-- Idempotent. It looks only at the runs that staging holds, by literals: those prune zone maps, where the parameters of a
-- static statement would not. What final has is removed from staging in the same transaction; a row that arrives meanwhile
-- stays for the next load, late rows of a known run included. The mutex comes first, so that a second execution waits before it
-- takes its snapshot, and then finds the work done.
CREATE OR REPLACE PROCEDURE dev.enriched_orders_sp() AS $$
DECLARE
    -- Above so many runs in staging, as in a back-fill, their span replaces their list.
    most_listed CONSTANT BIGINT := 500;
    staged RECORD;
    runs BIGINT;
    lowest BIGINT;
    highest BIGINT;
    list VARCHAR(65535) := '';
    in_runs VARCHAR(65535);
BEGIN
    LOCK dev.orders_load_mutex;

    SELECT COUNT(DISTINCT run_id), MIN(run_id), MAX(run_id) INTO runs, lowest, highest FROM dev.orders;
    IF runs = 0 THEN
        RETURN;
    END IF;
    IF runs <= most_listed THEN
        FOR staged IN SELECT DISTINCT run_id FROM dev.orders WHERE run_id IS NOT NULL LOOP
            list := list || ',' || CAST(staged.run_id AS VARCHAR);
        END LOOP;
        in_runs := 'run_id IN (' || SUBSTRING(list, 2) || ')';
    ELSE
        in_runs := 'run_id BETWEEN ' || CAST(lowest AS VARCHAR) || ' AND ' || CAST(highest AS VARCHAR);
    END IF;

    EXECUTE 'INSERT INTO dev.orders_final (
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
        WHERE o.' || in_runs || ' AND NOT EXISTS (
            SELECT 1 FROM dev.orders_final f
            WHERE f.' || in_runs || ' AND f.run_id = o.run_id AND f.order_id = o.order_id
        )
    ) staged
    WHERE occurrence = 1';

    -- The next audit looks at these runs, however old they are.
    EXECUTE 'UPDATE dev.orders_audited_runs SET touched = TRUE WHERE NOT touched AND ' || in_runs || ' AND run_id IN (
        SELECT run_id FROM dev.orders
    )';
    EXECUTE 'INSERT INTO dev.orders_audited_runs (run_id, touched)
    SELECT DISTINCT run_id, TRUE FROM dev.orders o WHERE o.' || in_runs || ' AND NOT EXISTS (
        SELECT 1 FROM dev.orders_audited_runs a WHERE a.run_id = o.run_id
    )';

    -- By a table of its own, so that no plan is made for the few rows that statistics from before the INSERT expect.
    DROP TABLE IF EXISTS enriched_orders_sp_loaded;
    EXECUTE 'CREATE TEMP TABLE enriched_orders_sp_loaded AS
    SELECT DISTINCT run_id, order_id FROM dev.orders_final WHERE ' || in_runs;
    DELETE FROM dev.orders USING enriched_orders_sp_loaded l
    WHERE orders.run_id = l.run_id AND orders.order_id = l.order_id;
    DROP TABLE enriched_orders_sp_loaded;
END;
$$ LANGUAGE plpgsql SET timezone TO 'UTC';
