CREATE SCHEMA IF NOT EXISTS dev;

-- Mutexes. A load or an audit locks one of these empty tables in place of the data: on Redshift LOCK is ACCESS EXCLUSIVE, and
-- every reader would wait behind it until the transaction ends.
CREATE TABLE IF NOT EXISTS dev.orders_load_mutex (held BOOLEAN);
CREATE TABLE IF NOT EXISTS dev.orders_audit_mutex (held BOOLEAN);

-- Redshift staging: what the Glue workflow (or the EMR step) put there. A load removes what final has.
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

-- One row a mismatch; docs/AUDITS.md describes its life. run_id and order_id are NULL where the row in S3
-- has none; mismatch_key is made of kind, run_id and order_id, and never NULL in what the audit records. row_count is 1 but
-- where a row stands for many: for a run that one side lacks whole (mismatch_key ends in *), and for the rest above the limit (+).
-- That page has the statements to resolve or silence a run.
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
    silenced_until TIMESTAMP,
    resolved_at TIMESTAMP,
    closed_by VARCHAR(512)
);

-- The number of the last audit that changed something, and whether one has looked at everything: one row, or none before the first.
CREATE TABLE IF NOT EXISTS dev.orders_audit_number (number BIGINT NOT NULL, everything BOOLEAN NOT NULL);

-- The runs that audits have seen, and whether a load has touched one since: what an audit knows its window by.
CREATE TABLE IF NOT EXISTS dev.orders_audited_runs (run_id BIGINT NOT NULL, touched BOOLEAN NOT NULL);
