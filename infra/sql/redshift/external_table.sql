-- The S3 staging area. Put your catalog database, role and bucket in. If Glue has catalogued the table already, the schema alone is
-- enough; `make doctor` compares its columns with these.
CREATE EXTERNAL SCHEMA IF NOT EXISTS s3_staging_schema
FROM DATA CATALOG
DATABASE 'new_orders'
IAM_ROLE default;

-- Typed, because a crawler takes timestamps of CSV files and partitions for text; Parquet, so that an audit reads the columns that it
-- compares and no others; partitioned, so that it reads the runs of its window and no others.
CREATE EXTERNAL TABLE s3_staging_schema.new_orders_staging_area (
    order_id BIGINT,
    customer_id BIGINT,
    seller_id BIGINT,
    product_code VARCHAR(64),
    product_name VARCHAR(256),
    product_price DECIMAL(12, 2),
    product_qty INTEGER,
    order_ts TIMESTAMP
)
PARTITIONED BY (run_id BIGINT)
STORED AS PARQUET
LOCATION 's3://your-bucket/new-orders-staging-area/';

-- A partition that is not registered has no rows, and no error says so: the workflow registers the one of its run before it ends. A
-- Glue job does by enableUpdateCatalog and partitionKeys; elsewhere it is this statement.
ALTER TABLE s3_staging_schema.new_orders_staging_area
ADD IF NOT EXISTS PARTITION (run_id = 42) LOCATION 's3://your-bucket/new-orders-staging-area/run_id=42/';
