-- Redshift keeps the smallest and the largest value of each block of each column, and reads no block that a literal rules
-- out. BRIN is what PostgreSQL has of that; no index here does more.
CREATE INDEX IF NOT EXISTS orders_final_zone_map ON dev.orders_final USING brin (run_id) WITH (pages_per_range = 16);
CREATE INDEX IF NOT EXISTS new_orders_staging_area_zone_map ON s3_staging_schema.new_orders_staging_area
    USING brin (run_id) WITH (pages_per_range = 16);
CREATE INDEX IF NOT EXISTS orders_audit_zone_map ON dev.orders_audit
    USING brin (run_id, status, resolved_at, notified_at) WITH (pages_per_range = 16);
