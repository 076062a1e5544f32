-- What comes free goes to the line in the transaction that frees it: every way in which something comes free, while
-- one waits for each.
\a
\pset footer off

CREATE FUNCTION wait(pool_name text, units bigint DEFAULT 1) RETURNS text LANGUAGE sql AS $$
    SELECT status || ' ' || coalesce(position::text, '-') FROM reservation.join_line(pool_name,
        'w' || (SELECT count(*) + 1 FROM reservation.tickets WHERE pool = pool_name), units) $$;
-- who has what from the line, and who waits; a passer-by gets nothing as long as somebody waits
CREATE FUNCTION stand(pool_name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(holder || ' ' || state || coalesce(' ' || (SELECT string_agg(coalesce(number::text, quantity || ' units'), ',' ORDER BY number)
        FROM reservation.claims WHERE claim_id = ANY(t.claim_ids) AND state = 'held'), ''), '; ' ORDER BY number)
    FROM reservation.tickets t WHERE pool = pool_name $$;
CREATE FUNCTION held(pool_name text, name text) RETURNS uuid LANGUAGE sql AS $$
    SELECT claim_id FROM reservation.claims WHERE pool = pool_name AND holder = name AND state IN ('held', 'finalized')
    ORDER BY number LIMIT 1 $$;

-- numbered: release, refund, a hold that lapses, units added, a checkout cancelled
SELECT status FROM reservation.create_pool('line n', 5);
SELECT status FROM reservation.claim_next('line n', 'released');
SELECT status FROM reservation.claim_next('line n', 'refunded');
SELECT status FROM reservation.finalize(held('line n', 'refunded'));
SELECT status FROM reservation.claim_next('line n', 'late', 2);
SELECT status FROM reservation.checkout('line c1', 'cart', '[{"pool":"line n"}]');
SELECT wait('line n') FROM generate_series(1, 7);
SELECT status FROM reservation.release(held('line n', 'released'));
SELECT stand('line n');
SELECT status FROM reservation.refund(held('line n', 'refunded'));
SELECT stand('line n');
SELECT status FROM reservation.cancel_checkout((SELECT checkout_id FROM reservation.checkouts WHERE request_id = 'line c1'));
SELECT stand('line n');
SELECT status FROM reservation.add_units('line n', 1);
SELECT stand('line n');
UPDATE reservation.claim SET expires_at = now() - interval '1 s' WHERE holder = 'late';
SELECT status FROM reservation.sweep();
SELECT stand('line n');
SELECT status FROM reservation.claim_next('line n', 'passer');
-- a savepoint that rolls back takes the offer with it
BEGIN;
SAVEPOINT s;
SELECT status FROM reservation.add_units('line n', 1);
SELECT stand('line n');
ROLLBACK TO s;
SELECT stand('line n');
COMMIT;
-- a checkout passes nobody
SELECT status, shortages FROM reservation.checkout('line c2', 'cart', '[{"pool":"line n"}]');
SELECT status, shortages FROM reservation.checkout('line c3', 'cart', '[{"pool":"line n","number":1}]');

-- counted: release, partial finalize, refund in parts, adjust, add_units, a lower floor, checkout
SELECT status FROM reservation.create_pool('line c', 20, 'counted', floor => 10);
SELECT status FROM reservation.take('line c', 'released', 2);
SELECT status FROM reservation.take('line c', 'partial', 4);
SELECT status FROM reservation.take('line c', 'refunded', 2);
SELECT status FROM reservation.finalize(held('line c', 'refunded'));
SELECT status FROM reservation.checkout('line c4', 'cart', '[{"pool":"line c","quantity":2}]');
SELECT wait('line c', 2) FROM generate_series(1, 9);
SELECT status, available FROM reservation.take('line c', 'passer');
SELECT status FROM reservation.release(held('line c', 'released'));
SELECT stand('line c');
SELECT status, quantity FROM reservation.finalize(held('line c', 'partial'), 1);
SELECT stand('line c');
SELECT available, state FROM reservation.availability('{line c}');
-- one is free now, and the next wants two
SELECT status, available FROM reservation.take('line c', 'passer');
SELECT status, balance FROM reservation.charge('line c', 1, NULL);
SELECT status, refunded FROM reservation.refund(held('line c', 'refunded'), 1);
SELECT stand('line c');
SELECT status, balance FROM reservation.adjust('line c', 1);
SELECT status, balance FROM reservation.adjust('line c', 1);
SELECT stand('line c');
SELECT status FROM reservation.add_units('line c', 2);
SELECT stand('line c');
SELECT status FROM reservation.alter_pool('line c', floor => 8);
SELECT stand('line c');
SELECT status FROM reservation.cancel_checkout((SELECT checkout_id FROM reservation.checkouts WHERE request_id = 'line c4'));
SELECT stand('line c');
SELECT status, shortages FROM reservation.checkout('line c5', 'cart', '[{"pool":"line c"}]');
-- downwards, adjust is no passer-by
SELECT status FROM reservation.alter_pool('line c', paused => true);
SELECT status FROM reservation.release(held('line c', 'w1'));
SELECT status, balance FROM reservation.adjust('line c', -1);
SELECT stand('line c');
SELECT status FROM reservation.alter_pool('line c', paused => false);
SELECT stand('line c');
SELECT status FROM reservation.adjust('line c', 1);
SELECT stand('line c');

-- triggers: what a row gives back goes to the line, and no row passes it
SELECT status FROM reservation.create_pool('line shelf', 3, 'counted');
CREATE TABLE line_order (id integer PRIMARY KEY, item text, quantity integer);
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON line_order FOR EACH ROW
    EXECUTE FUNCTION reservation.take_stock('item', 'quantity');
INSERT INTO line_order VALUES (1, 'line shelf', 2), (2, 'line shelf', 1);
SELECT wait('line shelf') FROM generate_series(1, 4);
INSERT INTO line_order VALUES (3, 'line shelf', 1);
UPDATE line_order SET quantity = 1 WHERE id = 1;
SELECT stand('line shelf');
DELETE FROM line_order WHERE id = 2;
SELECT stand('line shelf');
UPDATE line_order SET quantity = 2 WHERE id = 1;
DELETE FROM line_order;
SELECT stand('line shelf');

SELECT status FROM reservation.create_pool('line account', 2, 'counted');
CREATE TABLE line_job (id integer PRIMARY KEY, account text, status text);
CREATE TRIGGER credit AFTER INSERT OR UPDATE ON line_job FOR EACH ROW
    EXECUTE FUNCTION reservation.charge_credit('account', '1', 'status', 'failed');
INSERT INTO line_job VALUES (1, 'line account', 'new'), (2, 'line account', 'new');
SELECT wait('line account') FROM generate_series(1, 2);
UPDATE line_job SET status = 'failed' WHERE id = 1;
SELECT stand('line account');
INSERT INTO line_job VALUES (3, 'line account', 'new');

SELECT status FROM reservation.create_pool('line member', 1);
CREATE TABLE line_member (id integer PRIMARY KEY, number integer UNIQUE);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON line_member FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('line member', 'number');
CREATE TRIGGER number_back AFTER DELETE ON line_member FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('line member', 'number');
INSERT INTO line_member VALUES (1);
SELECT wait('line member') FROM generate_series(1, 2);
DELETE FROM line_member WHERE id = 1;
SELECT stand('line member');
INSERT INTO line_member VALUES (2);
SELECT number FROM line_member WHERE id = 2;
SELECT status FROM reservation.release(held('line member', 'w1'));
INSERT INTO line_member VALUES (3);
SELECT id, number FROM line_member ORDER BY id;
SELECT status FROM reservation.release(held('line member', 'w2'));
INSERT INTO line_member VALUES (4);
SELECT id, number FROM line_member ORDER BY id;

-- a ticket that leaves, and wanted more than there is, has held up those behind it
SELECT status FROM reservation.create_pool('line long', 3);
SELECT wait('line long', 5), wait('line long', 2);
SELECT stand('line long');
SELECT l.status FROM reservation.tickets t, reservation.leave_line(ticket_id) l WHERE pool = 'line long' AND t.quantity = 5;
SELECT stand('line long');
SELECT l.status FROM reservation.tickets t, reservation.leave_line(ticket_id) l WHERE pool = 'line long' AND t.quantity = 2;
SELECT stand('line long');

-- whoever finalizes late serves the line first, perhaps with that very hold: it has lapsed then, and nothing else
SELECT status FROM reservation.create_pool('line late', 1);
SELECT claim_id AS late FROM reservation.claim_next('line late', 'late', ttl => '50 ms') \gset
SELECT wait('line late');
SELECT pg_sleep(0.06);
SELECT status, late FROM reservation.finalize(:'late');
SELECT stand('line late');
SELECT status FROM reservation.create_pool('line late stock', 5, 'counted', per_holder => 5);
SELECT claim_id AS late FROM reservation.take('line late stock', 'late', 5, ttl => '50 ms') \gset
SELECT wait('line late stock', 2);
SELECT pg_sleep(0.06);
SELECT status, late FROM reservation.finalize(:'late');
SELECT status, late FROM reservation.finalize(:'late', 1);
SELECT stand('line late stock');
-- an offer, in part, once it has lapsed
SELECT status FROM reservation.create_pool('line late offer', 2, 'counted', per_holder => 2, offer_ttl => '50 ms');
SELECT wait('line late offer', 2), wait('line late offer', 2);
SELECT pg_sleep(0.06);
SELECT status, late FROM reservation.finalize((SELECT claim_ids[1] FROM reservation.tickets WHERE pool = 'line late offer' AND holder = 'w1'), 1);
SELECT * FROM reservation.verify();
DROP TABLE line_order, line_job, line_member;
