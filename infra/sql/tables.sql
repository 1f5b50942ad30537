CREATE SCHEMA IF NOT EXISTS dev;

-- Redshift staging: what the Glue workflow (or the EMR step) put there.
CREATE TABLE IF NOT EXISTS dev.orders (
    run_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    customer_id BIGINT,
    seller_id BIGINT,
    product_code VARCHAR(64),
    product_name VARCHAR(256),
    product_price DECIMAL(12, 2),
    product_qty INTEGER,
    order_ts TIMESTAMP
);

CREATE TABLE IF NOT EXISTS dev.customers (
    customer_id BIGINT NOT NULL,
    customer_name VARCHAR(256),
    customer_address VARCHAR(512)
);

CREATE TABLE IF NOT EXISTS dev.sellers (
    seller_id BIGINT NOT NULL,
    seller_name VARCHAR(256),
    seller_address VARCHAR(512)
);

-- Redshift final: the orders, enriched.
CREATE TABLE IF NOT EXISTS dev.orders_final (
    run_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    customer_id BIGINT,
    customer_name VARCHAR(256),
    customer_address VARCHAR(512),
    seller_id BIGINT,
    seller_name VARCHAR(256),
    seller_address VARCHAR(512),
    product_code VARCHAR(64),
    product_name VARCHAR(256),
    product_price DECIMAL(12, 2),
    product_qty INTEGER,
    order_ts TIMESTAMP
);

-- One row a mismatch; README.md says how its life goes. run_id and order_id are NULL where the row in S3
-- has none; mismatch_key is made of kind, run_id and order_id, and never NULL in what the audit records.
--
-- By hand, for run 42:
--   look:    SELECT * FROM dev.orders_audit WHERE run_id = 42 AND status <> 'RESOLVED';
--   resolve: UPDATE dev.orders_audit SET status = 'RESOLVED', resolved_at = GETDATE()
--            WHERE run_id = 42 AND status <> 'RESOLVED';
--            The next audit re-opens what is still there: silence that.
--   silence: UPDATE dev.orders_audit SET silenced_until = GETDATE() + INTERVAL '7 days' WHERE run_id = 42;
--            The whole run, whatever an audit adds to it meanwhile. It stays unresolved, and is counted.
--   and end: UPDATE dev.orders_audit SET silenced_until = NULL WHERE run_id = 42;
CREATE TABLE IF NOT EXISTS dev.orders_audit (
    mismatch_key VARCHAR(96),
    run_id BIGINT,
    order_id BIGINT,
    kind VARCHAR(32),
    differing_columns VARCHAR(256),
    values_md5 VARCHAR(32),
    order_ts TIMESTAMP,
    status VARCHAR(16),
    first_seen_at TIMESTAMP,
    last_seen_at TIMESTAMP,
    changed_in BIGINT,
    notified_at TIMESTAMP,
    notified_by VARCHAR(512),
    silenced_until TIMESTAMP,
    resolved_at TIMESTAMP,
    closed_by VARCHAR(512)
);
