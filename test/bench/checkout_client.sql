-- the same work, as an application does it: a transaction of single statements, rows locked first, in one order
\set n random(1, 1000000000)
SELECT p[1] AS a, p[2] AS b, p[3] AS c, p[4] AS d,
    p[5] AS e
    FROM (SELECT array_agg(p ORDER BY p) AS p FROM unnest(peer.shop_pools(:n)) p) s \gset
BEGIN;
INSERT INTO peer.shop_checkout (request_id, holder, amount, expires_at)
    VALUES (:client_id || ' ' || gen_random_uuid(), 'buyer', 100, clock_timestamp() + interval '10 min') RETURNING checkout_id AS id \gset
SELECT quantity FROM peer.shop_stock WHERE pool = :a FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = :a;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, :a, 1, clock_timestamp() + interval '10 min');
SELECT quantity FROM peer.shop_stock WHERE pool = :b FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = :b;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, :b, 1, clock_timestamp() + interval '10 min');
SELECT quantity FROM peer.shop_stock WHERE pool = :c FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = :c;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, :c, 1, clock_timestamp() + interval '10 min');
SELECT quantity FROM peer.shop_stock WHERE pool = :d FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = :d;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, :d, 1, clock_timestamp() + interval '10 min');
SELECT quantity FROM peer.shop_stock WHERE pool = :e FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = :e;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, :e, 1, clock_timestamp() + interval '10 min');
INSERT INTO peer.shop_payment VALUES ('bench', gen_random_uuid()::text, :id, 100);
UPDATE peer.shop_checkout SET state = 'paid' WHERE checkout_id = :id AND state = 'open';
UPDATE peer.shop_claim SET state = 'finalized' WHERE checkout_id = :id AND state = 'held';
UPDATE peer.shop_checkout SET state = 'finalized' WHERE checkout_id = :id AND state = 'paid';
UPDATE peer.shop_counter SET last = last + 1 RETURNING last AS number \gset
INSERT INTO peer.shop_order VALUES (:number, :id, clock_timestamp());
COMMIT;
