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

-- One row a mismatch; docs/AUDITS.md describes its life. run_id and order_id are NULL where the row in S3
-- has none; mismatch_key is made of kind, run_id and order_id, and never NULL in what the audit records.
-- That page has the statements to resolve or silence a run.
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
