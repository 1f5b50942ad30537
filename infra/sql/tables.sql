CREATE SCHEMA IF NOT EXISTS dev;

-- A mutex. A load locks this empty table in place of the data: on Redshift LOCK is ACCESS EXCLUSIVE, and every reader would wait
-- behind it until the transaction ends.
CREATE TABLE IF NOT EXISTS dev.orders_load_mutex (held BOOLEAN);

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
