-- What the load needs, besides those of the audit: a procedure runs as its caller.
GRANT USAGE ON SCHEMA dev TO "caller";
GRANT EXECUTE ON PROCEDURE dev.enriched_orders_sp() TO "caller";
-- For LOCK.
GRANT SELECT, UPDATE ON dev.orders_load_mutex TO "caller";
GRANT SELECT, DELETE ON dev.orders TO "caller";
GRANT SELECT ON dev.customers TO "caller";
GRANT SELECT ON dev.sellers TO "caller";
GRANT SELECT, INSERT ON dev.orders_final TO "caller";
GRANT SELECT, INSERT, UPDATE ON dev.orders_audited_runs TO "caller";
