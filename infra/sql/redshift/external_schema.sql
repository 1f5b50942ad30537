-- The S3 staging area, as Glue catalogued it. Put your catalog database and role in.
CREATE EXTERNAL SCHEMA IF NOT EXISTS s3_staging_schema
FROM DATA CATALOG
DATABASE 'new_orders'
IAM_ROLE default;
