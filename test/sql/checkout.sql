-- Checkouts: all lines or none, one payment, one order.
\a
\pset footer off
\pset null NULL

SELECT status FROM reservation.create_pool('co a', 5);
SELECT status FROM reservation.create_pool('co b', 5, hold_ttl => '1 hour');
SELECT status FROM reservation.create_pool('co hall', 3, first_number => 10);
SELECT status FROM reservation.create_pool('co open');
SELECT status FROM reservation.create_pool('co limited', 5, per_holder => 2);
SELECT status FROM reservation.set_payment_provider('co', 'hmac-sha256', 'Jefe');
-- signatures of RFC 4231, test case 2
\set signed '''what do ya want for nothing?'', ''5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'''

-- what is in the books of these pools, and of a checkout, without ids
CREATE VIEW pg_temp.stock AS SELECT pool, available, held, finalized FROM reservation.pool_status WHERE pool ~ '^co ' ORDER BY pool;
CREATE FUNCTION pg_temp.lines(l jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s#%s*%s', c ->> 'pool', c ->> 'number', c ->> 'quantity'), ', ' ORDER BY place)
    FROM jsonb_array_elements(l) WITH ORDINALITY AS e (c, place)
$$;
SELECT coalesce(max(order_number), 0) AS last FROM reservation.checkouts \gset

-- several lines, given in any order and with repetitions, are held in one canonical order
SELECT status, pg_temp.lines(claims), shortages, replayed
FROM reservation.checkout('co 1', 'ann', '[{"pool": "co open", "quantity": 2}, {"pool": "co hall", "number": 12}, {"pool": "co b"},
    {"pool": "co a", "quantity": 2}, {"pool": "co hall", "number": 10}, {"pool": "co a", "quantity": 1}]', amount => 4200, currency => 'INR');
SELECT count(DISTINCT c.expires_at), bool_and(c.expires_at >= o.expires_at) AS first_to_lapse FROM reservation.claims c JOIN reservation.checkouts o USING (request_id)
WHERE request_id = 'co 1';
SELECT pool, number, quantity, holder, state, request_id FROM reservation.claims WHERE request_id = 'co 1' ORDER BY pool, number;
SELECT * FROM pg_temp.stock;
SELECT checkout_id AS id FROM reservation.checkouts WHERE request_id = 'co 1' \gset

-- the same again, from another tab
SELECT status, checkout_id = :'id' AS same, pg_temp.lines(claims), replayed
FROM reservation.checkout('co 1', 'ann', '[{"quantity": 2, "pool": "co open"}, {"pool": "co hall", "number": 12}, {"pool": "co b"},
    {"pool": "co a", "quantity": 2}, {"pool": "co hall", "number": 10}, {"pool": "co a", "quantity": 1}]', amount => 4200, currency => 'INR');

-- not yet paid; then paid, which is recorded once; then finalized, once
SELECT status, order_number, replayed FROM reservation.finalize_checkout(:'id');
SELECT status, replayed FROM reservation.record_payment(:'id', 'co', 'co pay 1', 4100, 'INR', :signed);
SELECT status, replayed FROM reservation.record_payment(:'id', 'co', 'co pay 1', 4200, 'USD', :signed);
SELECT state, paid_at FROM reservation.checkouts WHERE checkout_id = :'id';
SELECT status, replayed FROM reservation.record_payment(:'id', 'co', 'co pay 1', 4200, 'inr', :signed);
SELECT status, replayed FROM reservation.record_payment(:'id', 'co', 'co pay 1', 4200, 'INR', :signed);
SELECT status, replayed FROM reservation.record_payment(:'id', 'co', 'co pay 1', 4300, 'INR', :signed);
SELECT status, order_number - :last AS order_number, replayed FROM reservation.finalize_checkout(:'id');
SELECT status, order_number - :last AS order_number, replayed FROM reservation.finalize_checkout(:'id');
SELECT * FROM pg_temp.stock;
SELECT state, amount, currency, order_number - :last AS order_number, paid_at <= ended_at AS paid_first FROM reservation.checkouts WHERE checkout_id = :'id';
SELECT provider, payment_id, amount, currency, state FROM reservation.payments WHERE checkout_id = :'id';

-- a second payment for it is due back
SELECT status, replayed FROM reservation.record_payment(:'id', 'co', 'co pay 1b', 4200, 'INR', :signed);
SELECT status, replayed FROM reservation.record_payment(:'id', 'co', 'co pay 1b', 4200, 'INR', :signed);
SELECT holder, provider, payment_id, amount, currency, checkout_state FROM reservation.refunds_due WHERE checkout_id = :'id';
SELECT status, replayed FROM reservation.settle_refund(:'id', 'refund 1');
SELECT status, replayed FROM reservation.settle_refund(:'id', 'refund 1');
SELECT status, replayed FROM reservation.settle_refund(:'id', 'refund 2');
SELECT payment_id, state, reference FROM reservation.payments WHERE checkout_id = :'id' ORDER BY payment_id;
SELECT status, replayed FROM reservation.record_payment(:'id', 'co', 'co pay 1b', 4200, 'INR', :signed);

-- short: every pool that falls short is listed, with all that is asked of it, and nothing is held
SELECT status, checkout_id, expires_at, claims, s ->> 'pool' AS pool, s ->> 'requested' AS requested, s ->> 'available' AS available, s ->> 'reason' AS reason
FROM reservation.checkout('co 2', 'bob', '[{"pool": "co a", "quantity": 2}, {"pool": "co b", "quantity": 2}, {"pool": "co a"}, {"pool": "co hall", "number": 10},
    {"pool": "co hall", "number": 11}, {"pool": "co limited", "quantity": 3}, {"pool": "co open"}]'), jsonb_array_elements(shortages) s;
SELECT * FROM pg_temp.stock;
SELECT count(*) FROM reservation.checkouts WHERE request_id = 'co 2';
-- a refusal is not stored: the same id again can succeed, also with other lines
SELECT status, pg_temp.lines(claims) FROM reservation.checkout('co 2', 'bob', '[{"pool": "co a", "quantity": 2}]', amount => 100);
SELECT checkout_id AS bob FROM reservation.checkouts WHERE request_id = 'co 2' \gset

-- a payment belongs to one checkout
SELECT status, replayed FROM reservation.record_payment(:'bob', 'co', 'co pay 1', 100, 'INR', :signed);
SELECT status, replayed FROM reservation.record_payment(:'bob', 'co', 'co pay 1b', 100, 'INR', :signed);

-- cancelled: what is held is free again, and what is paid later is due back
SELECT status, replayed FROM reservation.cancel_checkout(:'bob');
SELECT status, replayed FROM reservation.cancel_checkout(:'bob');
SELECT status, order_id FROM reservation.finalize_checkout(:'bob');
SELECT status, replayed FROM reservation.record_payment(:'bob', 'co', 'co pay 2', 100, 'EUR', :signed);
SELECT status, replayed FROM reservation.record_payment(:'bob', 'co', 'co pay 2', 100, 'EUR', :signed);
SELECT payment_id, checkout_state FROM reservation.refunds_due WHERE checkout_id = :'bob';
SELECT status, replayed FROM reservation.cancel_checkout(:'id');
SELECT * FROM pg_temp.stock;
-- the first answer comes back all the same
SELECT status, checkout_id = :'bob' AS same, replayed FROM reservation.checkout('co 2', 'bob', '[{"pool": "co a", "quantity": 2}]', amount => 100);

-- cancelling what is paid makes its payment due
SELECT checkout_id AS cem FROM reservation.checkout('co 3', 'cem', '[{"pool": "co b"}]', amount => 100) \gset
SELECT status FROM reservation.record_payment(:'cem', 'co', 'co pay 3', 100, 'EUR', :signed);
SELECT payment_id, checkout_state FROM reservation.refunds_due WHERE checkout_id = :'cem';
SELECT status FROM reservation.cancel_checkout(:'cem');
SELECT payment_id, checkout_state FROM reservation.refunds_due WHERE checkout_id = :'cem';
-- several payments that are due: which one was given back?
SELECT status FROM reservation.record_payment(:'cem', 'co', 'co pay 3b', 100, 'EUR', :signed);
\set VERBOSITY terse
SELECT * FROM reservation.settle_refund(:'cem', 'refund 3');
\set VERBOSITY default
SELECT status, replayed FROM reservation.settle_refund(:'cem', 'refund 3', 'co', 'co pay 3b');
SELECT status, replayed FROM reservation.settle_refund(:'cem', 'refund 3', 'co', 'co pay 3b');
SELECT status, replayed FROM reservation.settle_refund(:'cem', 'refund 4');
SELECT status, replayed FROM reservation.settle_refund(:'cem', 'refund 5');
SELECT payment_id, state, reference FROM reservation.payments WHERE checkout_id = :'cem' ORDER BY payment_id;
SELECT count(*) FROM reservation.refunds_due WHERE checkout_id = :'cem';

-- no amount: no payment is needed, but one that comes counts
SELECT checkout_id AS dan FROM reservation.checkout('co 4', 'dan', '[{"pool": "co limited", "quantity": 2}]') \gset
SELECT status, order_number - :last AS order_number FROM reservation.finalize_checkout(:'dan');
SELECT status FROM reservation.record_payment(:'dan', 'co', 'co pay 4', 7, 'EUR', :signed);
SELECT status FROM reservation.record_payment(:'dan', 'co', 'co pay 4b', 7, 'EUR', :signed);
-- the limit counts what was bought, and says so
SELECT status, shortages FROM reservation.checkout('co 5', 'dan', '[{"pool": "co limited"}]');

-- a rollback gives the number back
BEGIN;
SELECT checkout_id AS eve FROM reservation.checkout('co 6', 'eve', '[{"pool": "co open"}]') \gset
SELECT status, order_number - :last AS order_number FROM reservation.finalize_checkout(:'eve');
ROLLBACK;
BEGIN;
SELECT checkout_id AS eve FROM reservation.checkout('co 7', 'eve', '[{"pool": "co open"}]') \gset
SAVEPOINT before;
SELECT status, order_number - :last AS order_number FROM reservation.finalize_checkout(:'eve');
ROLLBACK TO before;
SELECT status, order_number - :last AS order_number FROM reservation.finalize_checkout(:'eve');
COMMIT;

-- counted pools: one claim for the whole quantity, beside numbered ones
SELECT status FROM reservation.create_pool('co stock', 10, 'counted');
SELECT status FROM reservation.create_pool('co floor', 10, 'counted', floor => 8, per_holder => 2);
SELECT status, pg_temp.lines(claims) FROM reservation.checkout('co 10', 'hal', '[{"pool": "co stock", "quantity": 3}, {"pool": "co open"}, {"pool": "co floor"},
    {"pool": "co stock", "quantity": 4}]', amount => 5);
SELECT checkout_id AS hal FROM reservation.checkouts WHERE request_id = 'co 10' \gset
SELECT pool, available, held FROM reservation.availability('{co stock,co floor}');
-- lines that would each fit are added up
SELECT status, shortages FROM reservation.checkout('co 11', 'ida', '[{"pool": "co stock", "quantity": 2}, {"pool": "co stock", "quantity": 2}, {"pool": "co floor", "quantity": 2}]');
SELECT status, shortages FROM reservation.checkout('co 12', 'hal', '[{"pool": "co floor", "quantity": 2}, {"pool": "co a"}]');
SELECT status FROM reservation.record_payment(:'hal', 'co', 'co pay 10', 5, 'EUR', :signed);
SELECT status FROM reservation.finalize_checkout(:'hal');
SELECT pool, available, held, finalized FROM reservation.availability('{co stock,co floor}');
SELECT pool, number, quantity, state FROM reservation.claims WHERE request_id = 'co 10' ORDER BY pool;
SELECT checkout_id AS jim FROM reservation.checkout('co 13', 'jim', '[{"pool": "co stock", "quantity": 3}]') \gset
SELECT status FROM reservation.cancel_checkout(:'jim');
SELECT pool, available, held, finalized FROM reservation.availability('{co stock,co floor}');

SELECT * FROM reservation.verify();
