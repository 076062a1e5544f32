-- verify() knows checkouts, payments and orders. Every damage is done as a superuser and rolled back.
\a
\pset footer off
\pset null NULL

CREATE FUNCTION pg_temp.report() RETURNS TABLE (pool text, problem text, expected text, found text, hint text) LANGUAGE sql AS $$
    SELECT pool, problem, regexp_replace(regexp_replace(expected, '^[0-9a-f]{8}-.*', '(id)'), '^\d+$', '(n)'), regexp_replace(regexp_replace(found, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '(id)', 'g'),
        '^\d+$|(?<=number )\d+$', '(n)'), hint
    FROM reservation.verify() ORDER BY pool, problem, expected, found
$$;
SELECT status FROM reservation.create_pool('cv', 10);
SELECT status FROM reservation.set_payment_provider('cv', 'hmac-sha256', 'Jefe');
\set signed '''what do ya want for nothing?'', ''5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'''
SELECT checkout_id AS sold FROM reservation.checkout('cv sold', 'ann', '[{"pool": "cv", "quantity": 2}]', '1 day', 100) \gset
SELECT status FROM reservation.record_payment(:'sold', 'cv', 'cv sold', 100, 'EUR', :signed);
SELECT status FROM reservation.finalize_checkout(:'sold');
SELECT checkout_id AS last FROM reservation.checkout('cv last', 'ann', '[{"pool": "cv"}]', '1 day') \gset
SELECT status FROM reservation.finalize_checkout(:'last');
SELECT checkout_id AS paid FROM reservation.checkout('cv paid', 'ann', '[{"pool": "cv"}]', '1 day', 100) \gset
SELECT status FROM reservation.record_payment(:'paid', 'cv', 'cv paid', 100, 'EUR', :signed);
SELECT checkout_id AS gone FROM reservation.checkout('cv gone', 'ann', '[{"pool": "cv"}]', '1 day', 100) \gset
SELECT status FROM reservation.record_payment(:'gone', 'cv', 'cv gone', 100, 'EUR', :signed);
SELECT status FROM reservation.cancel_checkout(:'gone');
SELECT * FROM pg_temp.report();

-- an order that is lost: its checkout has none, and its number, which was settled, is missing
BEGIN;
DELETE FROM reservation.order WHERE checkout_id = :'sold';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- an order of nothing
BEGIN;
UPDATE reservation.order SET checkout_id = '00000000-0000-7000-8000-000000000000' WHERE checkout_id = :'last';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- two orders of one checkout
BEGIN;
DROP INDEX reservation.order_checkout;
INSERT INTO reservation.order SELECT '00000000-0000-7000-8000-000000000000', max(order_number) + 1, :'last', now(), 0 FROM reservation.order;
SELECT * FROM pg_temp.report();
ROLLBACK;
-- a payment that is lost
BEGIN;
DELETE FROM reservation.payment WHERE payment_id = 'cv sold';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- one of another amount
BEGIN;
UPDATE reservation.payment SET amount = 99 WHERE payment_id = 'cv paid';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- money without goods that nobody would notice: the checkout is cancelled, and its payment is not due back
BEGIN;
UPDATE reservation.payment SET state = 'paid' WHERE payment_id = 'cv gone';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- a checkout that is lost
BEGIN;
DELETE FROM reservation.checkout WHERE checkout_id = :'gone';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
DELETE FROM reservation.checkout WHERE checkout_id = :'paid';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- goods that were not delivered with their order
BEGIN;
UPDATE reservation.claim SET state = 'held', finalized_at = NULL WHERE request_id = 'cv last';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- goods that are held for a checkout that has ended
BEGIN;
UPDATE reservation.claim SET state = 'held' WHERE request_id = 'cv gone';
SET LOCAL session_replication_role = replica;
DELETE FROM reservation.log WHERE claim_id IN (SELECT claim_id FROM reservation.claim WHERE request_id = 'cv gone');
DELETE FROM reservation.available WHERE number = (SELECT number FROM reservation.claim WHERE request_id = 'cv gone')
    AND pool_id = (SELECT pool_id FROM reservation.pool WHERE pool = 'cv');
SELECT * FROM pg_temp.report();
ROLLBACK;
-- a claim that is lost
BEGIN;
DELETE FROM reservation.claim WHERE request_id = 'cv paid';
SELECT problem FROM pg_temp.report();
ROLLBACK;
-- two orders of one number, and two payments that are kept
BEGIN;
DROP INDEX reservation.order_number;
UPDATE reservation.order SET settled = 0, order_number = (SELECT order_number FROM reservation.order WHERE checkout_id = :'sold') WHERE checkout_id = :'last';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
DROP INDEX reservation.payment_kept;
INSERT INTO reservation.payment SELECT provider, 'cv twice', checkout_id, amount, currency, state, answer, received_at FROM reservation.payment WHERE payment_id = 'cv sold';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- a log that says nothing of what became of a checkout, a payment, an order
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM reservation.log WHERE checkout_id = :'paid' AND event = 'paid';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM reservation.log WHERE checkout_id = :'sold' AND kind = 'order';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- money that is due back, and lost, or of another amount
BEGIN;
DELETE FROM reservation.payment WHERE payment_id = 'cv gone';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
UPDATE reservation.payment SET amount = 1 WHERE payment_id = 'cv gone';
SELECT * FROM pg_temp.report();
ROLLBACK;
-- goods that were sold by a checkout whose money is due back
BEGIN;
UPDATE reservation.claim SET state = 'finalized', finalized_at = claimed_at WHERE request_id = 'cv gone';
SELECT problem FROM pg_temp.report();
ROLLBACK;
-- claims that are none: reported, and nothing is taken for what it is not
BEGIN;
UPDATE reservation.checkout SET claims = '["a long string, which would be read as an object if nobody looked", 5, {"claim_id": 5, "pool": "cv"}]'
    WHERE checkout_id = :'paid';
SELECT * FROM pg_temp.report();
SAVEPOINT s;
SELECT * FROM reservation.finalize_checkout(:'paid');
ROLLBACK TO s;
UPDATE reservation.checkout SET claims = '[{"claim_id": 5, "pool": "cv"}]' WHERE checkout_id = :'paid';
SELECT * FROM reservation.finalize_checkout(:'paid');
ROLLBACK;
-- the constraints do not let through what nobody may write
\set VERBOSITY sqlstate
UPDATE reservation.checkout SET state = 'finalized', ended_at = now(), paid_at = NULL WHERE checkout_id = :'paid';
UPDATE reservation.checkout SET state = 'shipped' WHERE checkout_id = :'paid';
INSERT INTO reservation.payment SELECT provider, 'cv twice', checkout_id, amount, currency, state, answer, received_at FROM reservation.payment WHERE payment_id = 'cv sold';
INSERT INTO reservation.payment_provider VALUES ('cv empty', 'stripe', '');
UPDATE reservation.order SET order_number = settled WHERE checkout_id = :'last';
UPDATE reservation.checkout SET claims = '5' WHERE checkout_id = :'paid';
\set VERBOSITY default
SELECT * FROM pg_temp.report();
