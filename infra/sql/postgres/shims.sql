-- What Redshift has and PostgreSQL has not. GETDATE() is in the time zone of the session, as there.
CREATE OR REPLACE FUNCTION public.getdate() RETURNS TIMESTAMP
LANGUAGE sql STABLE AS 'SELECT CAST(clock_timestamp() AS TIMESTAMP)';

-- Numbers of 64 bits; other ones than on Redshift, but as good.
CREATE OR REPLACE FUNCTION public.fnv_hash(value BIGINT, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE AS 'SELECT hashint8extended($1, $2)';
CREATE OR REPLACE FUNCTION public.fnv_hash(value INTEGER, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE AS 'SELECT hashint4extended($1, $2)';
CREATE OR REPLACE FUNCTION public.fnv_hash(value VARCHAR, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE AS 'SELECT hashtextextended($1, $2)';
CREATE OR REPLACE FUNCTION public.fnv_hash(value DECIMAL, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE AS 'SELECT hash_numeric_extended($1, $2)';
CREATE OR REPLACE FUNCTION public.fnv_hash(value TIMESTAMP, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE AS 'SELECT timestamp_hash_extended($1, $2)';
CREATE OR REPLACE FUNCTION public.farmfingerprint64(value VARCHAR) RETURNS BIGINT
LANGUAGE sql IMMUTABLE AS 'SELECT hashtextextended($1, 0)';

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
