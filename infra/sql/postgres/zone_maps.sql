-- Redshift keeps the smallest and the largest value of each block of each column, and reads no block that a literal rules
-- out. BRIN is what PostgreSQL has of that; no index here does more. 128 pages are 1 MB, as a block on Redshift.
CREATE INDEX IF NOT EXISTS orders_final_zone_map ON dev.orders_final USING brin (run_id) WITH (pages_per_range = 128);
CREATE INDEX IF NOT EXISTS new_orders_staging_area_zone_map ON s3_staging_schema.new_orders_staging_area
    USING brin (run_id) WITH (pages_per_range = 128);
CREATE INDEX IF NOT EXISTS orders_audit_run_id_zone_map ON dev.orders_audit USING brin (run_id) WITH (pages_per_range = 128);
CREATE INDEX IF NOT EXISTS orders_audit_status_zone_map ON dev.orders_audit USING brin (status) WITH (pages_per_range = 128);
CREATE INDEX IF NOT EXISTS orders_audit_resolved_at_zone_map ON dev.orders_audit
    USING brin (resolved_at) WITH (pages_per_range = 128);
CREATE INDEX IF NOT EXISTS orders_audit_notified_at_zone_map ON dev.orders_audit
    USING brin (notified_at) WITH (pages_per_range = 128);
