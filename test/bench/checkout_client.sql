-- the same work, as an application does it: a transaction of single statements, rows locked first, in one order
\set a random(1, 4)
\set b random(5, 8)
\set c random(9, 12)
\set d random(13, 16)
\set e random(17, 20)
BEGIN;
INSERT INTO peer.shop_checkout (request_id, holder, amount, expires_at)
    VALUES (:client_id || ' ' || gen_random_uuid(), 'buyer', 100, clock_timestamp() + interval '10 min') RETURNING checkout_id AS id \gset
SELECT quantity FROM peer.shop_stock WHERE pool = 'shop ' || :a::int FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = 'shop ' || :a::int;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, 'shop ' || :a::int, 1, clock_timestamp() + interval '10 min');
SELECT quantity FROM peer.shop_stock WHERE pool = 'shop ' || :b::int FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = 'shop ' || :b::int;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, 'shop ' || :b::int, 1, clock_timestamp() + interval '10 min');
SELECT quantity FROM peer.shop_stock WHERE pool = 'shop ' || :c::int FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = 'shop ' || :c::int;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, 'shop ' || :c::int, 1, clock_timestamp() + interval '10 min');
SELECT quantity FROM peer.shop_stock WHERE pool = 'shop ' || :d::int FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = 'shop ' || :d::int;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, 'shop ' || :d::int, 1, clock_timestamp() + interval '10 min');
SELECT quantity FROM peer.shop_stock WHERE pool = 'shop ' || :e::int FOR UPDATE;
UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = 'shop ' || :e::int;
INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (:id, 'shop ' || :e::int, 1, clock_timestamp() + interval '10 min');
INSERT INTO peer.shop_payment VALUES ('bench', gen_random_uuid()::text, :id, 100);
UPDATE peer.shop_checkout SET state = 'paid' WHERE checkout_id = :id AND state = 'open';
UPDATE peer.shop_claim SET state = 'finalized' WHERE checkout_id = :id AND state = 'held';
UPDATE peer.shop_checkout SET state = 'finalized' WHERE checkout_id = :id AND state = 'paid';
UPDATE peer.shop_counter SET last = last + 1 RETURNING last AS number \gset
INSERT INTO peer.shop_order VALUES (:number, :id, clock_timestamp());
COMMIT;
