-- Sample orders. Runs 41 and 46 are clean; the others have one mismatch each:
--   42 a row that S3 has and Redshift never got
--   43 a row that Redshift has and S3 has not
--   44 a row that differs in its price only
--   45 a row that differs only in that one side has NULL
INSERT INTO dev.customers (customer_id, customer_name, customer_address) VALUES
    (1, 'Asha Rao', '12 Lake Road, Pune'),
    (2, 'Ben Ode', '3 Harbour Street, Cork'),
    (3, 'Carla Diaz', 'Calle Mayor 8, Lugo');

INSERT INTO dev.sellers (seller_id, seller_name, seller_address) VALUES
    (10, 'Northwind Books', '1 Print Lane, Leeds'),
    (11, 'Tool Barn', '77 Mill Way, Ghent');

INSERT INTO s3_staging_schema.new_orders_staging_area
    (run_id, order_id, customer_id, seller_id, product_code, product_name, product_price, product_qty, order_ts)
VALUES
    (41, 1001, 1, 10, 'BK-1', 'Atlas', 20.00, 1, '2026-01-01 08:00:00'),
    (41, 1002, 2, 11, 'TL-1', 'Hammer', 12.50, 2, '2026-01-01 08:05:00'),
    (42, 1003, 3, 10, 'BK-2', 'Novel', 9.99, 1, '2026-01-01 09:00:00'),
    (42, 1004, 1, 11, 'TL-2', 'Saw', 17.25, 1, '2026-01-01 09:05:00'),
    (43, 1005, 2, 10, 'BK-3', 'Cook book', 31.00, 1, '2026-01-01 10:00:00'),
    (44, 1007, 3, 11, 'TL-3', 'Drill', 99.00, 1, '2026-01-01 11:00:00'),
    (44, 1008, 1, 10, 'BK-1', 'Atlas', 20.00, 3, '2026-01-01 11:05:00'),
    (45, 1009, 2, 11, 'TL-4', NULL, 5.00, 10, '2026-01-01 12:00:00'),
    (45, 1010, 3, 10, 'BK-4', NULL, 14.00, 1, '2026-01-01 12:05:00'),
    (46, 1011, 1, 11, 'TL-5', 'Vice', 45.00, 1, '2026-01-01 13:00:00');

INSERT INTO dev.orders
    (run_id, order_id, customer_id, seller_id, product_code, product_name, product_price, product_qty, order_ts)
SELECT run_id, order_id, customer_id, seller_id, product_code,
    CASE WHEN order_id = 1010 THEN 'Poems' ELSE product_name END,
    CASE WHEN order_id = 1007 THEN 89.00 ELSE product_price END,
    product_qty, order_ts
FROM s3_staging_schema.new_orders_staging_area
WHERE order_id <> 1004;

INSERT INTO dev.orders
    (run_id, order_id, customer_id, seller_id, product_code, product_name, product_price, product_qty, order_ts)
VALUES
    (43, 1006, 1, 11, 'TL-6', 'Level', 8.75, 1, '2026-01-01 10:05:00');
