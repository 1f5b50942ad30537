-- Rows that are compared or joined by run and order lie together, in the order of their runs.
ALTER TABLE dev.orders ALTER DISTKEY order_id;
ALTER TABLE dev.orders ALTER COMPOUND SORTKEY (run_id, order_id);
ALTER TABLE dev.orders_final ALTER DISTKEY order_id;
ALTER TABLE dev.orders_final ALTER COMPOUND SORTKEY (run_id, order_id);
ALTER TABLE dev.orders_audit ALTER DISTKEY order_id;
ALTER TABLE dev.orders_audit ALTER COMPOUND SORTKEY (run_id, order_id);
ALTER TABLE dev.customers ALTER DISTSTYLE ALL;
ALTER TABLE dev.sellers ALTER DISTSTYLE ALL;
ALTER TABLE dev.orders_audit_number ALTER DISTSTYLE ALL;
ALTER TABLE dev.orders_audited_runs ALTER DISTSTYLE ALL;
