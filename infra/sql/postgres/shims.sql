-- What Redshift has and PostgreSQL has not.
CREATE OR REPLACE FUNCTION public.getdate() RETURNS TIMESTAMP
LANGUAGE sql STABLE AS 'SELECT CAST(clock_timestamp() AT TIME ZONE ''UTC'' AS TIMESTAMP)';

-- On Redshift this is an external table over the files in S3.
CREATE SCHEMA IF NOT EXISTS s3_staging_schema;
CREATE TABLE IF NOT EXISTS s3_staging_schema.new_orders_staging_area (
    run_id BIGINT,
    order_id BIGINT,
    customer_id BIGINT,
    seller_id BIGINT,
    product_code VARCHAR(64),
    product_name VARCHAR(256),
    product_price DECIMAL(12, 2),
    product_qty INTEGER,
    order_ts TIMESTAMP
);
