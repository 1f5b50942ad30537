-- What Redshift has and PostgreSQL has not. GETDATE() is in the time zone of the session, as there.
CREATE OR REPLACE FUNCTION public.getdate() RETURNS TIMESTAMP
LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT CAST(clock_timestamp() AS TIMESTAMP)';

-- Numbers of 64 bits; other ones than on Redshift, but as good.
CREATE OR REPLACE FUNCTION public.fnv_hash(value BIGINT, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashint8extended($1, $2)';
CREATE OR REPLACE FUNCTION public.fnv_hash(value INTEGER, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashint4extended($1, $2)';
CREATE OR REPLACE FUNCTION public.fnv_hash(value VARCHAR, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashtextextended($1, $2)';
-- Its own hash of a numeric does not know the sign.
CREATE OR REPLACE FUNCTION public.fnv_hash(value DECIMAL, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hash_numeric_extended($1, $2 # CAST(SIGN($1) AS BIGINT))';
CREATE OR REPLACE FUNCTION public.fnv_hash(value DOUBLE PRECISION, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashfloat8extended($1, $2)';
CREATE OR REPLACE FUNCTION public.fnv_hash(value TIMESTAMP, seed BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT timestamp_hash_extended($1, $2)';
CREATE OR REPLACE FUNCTION public.farmfingerprint64(value VARCHAR) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashtextextended($1, 0)';

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

-- Its columns as Redshift would describe them.
CREATE OR REPLACE VIEW public.svv_external_columns AS
SELECT n.nspname AS schemaname, c.relname AS tablename, a.attname AS columnname,
    REPLACE(REPLACE(REPLACE(REPLACE(FORMAT_TYPE(a.atttypid, a.atttypmod),
        'character varying', 'varchar'), 'numeric', 'decimal'), 'integer', 'int'), ' without time zone', '') AS external_type,
    CAST(a.attnum AS INTEGER) AS columnnum,
    -- As if their files were partitioned by the first column.
    CASE WHEN a.attnum = 1 THEN 1 ELSE 0 END AS part_key
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 's3_staging_schema' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped;
