-- The late payment: the holds lapsed, then the money came. The same units if they are still free, else the money is due back.
\a
\pset footer off
\pset null NULL

SELECT status FROM reservation.create_pool('late a', 2);
SELECT status FROM reservation.create_pool('late b', 2);
SELECT status FROM reservation.create_pool('late one', 3, per_holder => 1);
SELECT status FROM reservation.set_payment_provider('late', 'hmac-sha256', 'Jefe');
\set signed '''what do ya want for nothing?'', ''5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'''
CREATE VIEW pg_temp.book AS SELECT pool, number, holder, state FROM reservation.claims WHERE pool ~ '^late ' ORDER BY pool, number, claimed_at;
\set both '''[{"pool": "late a"}, {"pool": "late b"}]'''

-- lapsed, and nobody has taken the units: not even a payment is needed to see that
SELECT checkout_id AS id FROM reservation.checkout('late 1', 'ann', :both, '1 us', 100) \gset
SELECT state FROM reservation.checkouts WHERE checkout_id = :'id';
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 1', 100, 'EUR', :signed);
SELECT state FROM reservation.checkouts WHERE checkout_id = :'id';
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT * FROM pg_temp.book;

-- lapsed, swept, and still free
SELECT checkout_id AS id FROM reservation.checkout('late 2', 'bob', :both, '1 us', 100) \gset
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 2', 100, 'EUR', :signed);
SELECT count(*) FROM reservation.sweep() WHERE lapsed >= 2;
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT * FROM pg_temp.book WHERE holder = 'bob';
SELECT status FROM reservation.claims c, reservation.refund(c.claim_id) WHERE c.holder = 'bob' AND c.pool ~ '^late ' AND c.state = 'finalized';

-- lapsed, and one of two units is gone: all or none, so the other is free again, and the money is due back
SELECT checkout_id AS id FROM reservation.checkout('late 3', 'cem', :both, '1 us', 100) \gset
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 3', 100, 'EUR', :signed);
SELECT status, number FROM reservation.claim_next('late b', 'dan', ttl => '1 day');
SELECT status, order_id, order_number, replayed FROM reservation.finalize_checkout(:'id');
SELECT status, order_id, order_number, replayed FROM reservation.finalize_checkout(:'id');
SELECT * FROM pg_temp.book WHERE holder IN ('cem', 'dan');
SELECT payment_id, amount, checkout_state FROM reservation.refunds_due WHERE checkout_id = :'id';
SELECT available, held FROM reservation.availability('{late a}');
-- one more payment for it is due back, too; and it can be cancelled, which changes nothing for the money
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 3b', 100, 'EUR', :signed);
SELECT status, replayed FROM reservation.cancel_checkout(:'id');
SELECT payment_id, checkout_state FROM reservation.refunds_due WHERE checkout_id = :'id' ORDER BY payment_id;
SELECT p, f.status FROM unnest(ARRAY['late 3', 'late 3b']) p, reservation.settle_refund(:'id', 'r', 'late', p)  f(status);
SELECT count(*) FROM reservation.refunds_due WHERE checkout_id = :'id';

-- paid in time, with a hold that is alive and one that somebody gave away by hand: what is left is given back
SELECT checkout_id AS id FROM reservation.checkout('late 4', 'eve', '[{"pool": "late a"}, {"pool": "late one"}]', '1 day', 100) \gset
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 4', 100, 'EUR', :signed);
SELECT status FROM reservation.claims c, reservation.release(c.claim_id) WHERE c.holder = 'eve' AND c.pool = 'late one';
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT * FROM pg_temp.book WHERE holder = 'eve';
SELECT payment_id FROM reservation.refunds_due WHERE checkout_id = :'id';

-- one that somebody finalized by hand is sold all the same
SELECT checkout_id AS id FROM reservation.checkout('late 5', 'fay', '[{"pool": "late a"}, {"pool": "late one"}]', '1 day', 100) \gset
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 5', 100, 'EUR', :signed);
SELECT status FROM reservation.claims c, reservation.finalize(c.claim_id) WHERE c.holder = 'fay' AND c.pool = 'late one';
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT * FROM pg_temp.book WHERE holder = 'fay';

-- lapsed, and the holder has bought elsewhere what the limit allows
SELECT checkout_id AS id FROM reservation.checkout('late 6', 'gus', '[{"pool": "late one"}]', '1 us', 100) \gset
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 6', 100, 'EUR', :signed);
SELECT status FROM reservation.claim_next('late one', 'gus', ttl => '1 day');
SELECT status FROM reservation.finalize_checkout(:'id');

-- a checkout that needs no payment, and something is gone: nothing is changed, and it may work later
SELECT checkout_id AS id FROM reservation.checkout('late 7', 'hal', '[{"pool": "late one"}]', '1 us') \gset
SELECT claim_id AS other FROM reservation.claim_next('late one', 'ida', ttl => '1 day') \gset
SELECT status, replayed FROM reservation.finalize_checkout(:'id');
SELECT state FROM reservation.checkouts WHERE checkout_id = :'id';
SELECT status FROM reservation.release(:'other');
SELECT status, replayed FROM reservation.finalize_checkout(:'id');

-- a pool that was dropped meanwhile
SELECT status FROM reservation.create_pool('late gone', 1);
SELECT checkout_id AS id FROM reservation.checkout('late 8', 'jim', '[{"pool": "late gone"}]', '1 day', 100) \gset
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 8', 100, 'EUR', :signed);
SELECT status FROM reservation.drop_pool('late gone', true);
SELECT status FROM reservation.finalize_checkout(:'id');

-- a counted pool: an equal quantity, whoever's it was
SELECT status FROM reservation.create_pool('late stock', 10, 'counted');
SELECT checkout_id AS id FROM reservation.checkout('late 9', 'kim', '[{"pool": "late stock", "quantity": 7}]', '1 us', 100) \gset
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 9', 100, 'EUR', :signed);
SELECT status, claim_id AS other FROM reservation.take('late stock', 'lea', 10, ttl => '1 day') \gset
SELECT status FROM reservation.adjust('late stock', 7);
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT pool, number, quantity, holder, state FROM reservation.claims WHERE pool = 'late stock' ORDER BY holder;
-- and if there is not as much: all or none of it
SELECT status FROM reservation.release(:'other');
SELECT checkout_id AS id FROM reservation.checkout('late 11', 'ned', '[{"pool": "late stock", "quantity": 6}]', '1 us', 100) \gset
SELECT status FROM reservation.record_payment(:'id', 'late', 'late 11', 100, 'EUR', :signed);
SELECT status FROM reservation.take('late stock', 'lea', 5, ttl => '1 day');
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT available, held, finalized FROM reservation.availability('{late stock}');
SELECT payment_id FROM reservation.refunds_due WHERE checkout_id = :'id';

-- lapsed while somebody waits: the money is due back, and who waits is offered what lapsed, paid for or not
SELECT status FROM reservation.create_pool('late line', 2);
SELECT checkout_id AS paid FROM reservation.checkout('late 12', 'oli', '[{"pool": "late line"}]', '1 us', 100) \gset
SELECT status FROM reservation.record_payment(:'paid', 'late', 'late 12', 100, 'EUR', :signed);
SELECT checkout_id AS unpaid FROM reservation.checkout('late 13', 'pia', '[{"pool": "late line", "number": 2}]', '100 ms') \gset
SELECT status, position FROM reservation.join_line('late line', 'fay');
SELECT holder, state FROM reservation.tickets WHERE pool = 'late line' ORDER BY number;
SELECT status FROM reservation.finalize_checkout(:'paid');
SELECT status, position FROM reservation.join_line('late line', 'gus');
SELECT pg_sleep(0.11);
SELECT status FROM reservation.finalize_checkout(:'unpaid');
SELECT holder, state FROM reservation.tickets WHERE pool = 'late line' ORDER BY number;

-- no money without goods goes unnoticed
SELECT (SELECT sum(amount) FROM reservation.payments WHERE provider = 'late') AS recorded,
    (SELECT sum(amount) FROM reservation.checkouts WHERE request_id ~ '^late ' AND order_id IS NOT NULL) AS sold,
    (SELECT sum(amount) FROM reservation.refunds_due WHERE provider = 'late') AS due,
    (SELECT sum(amount) FROM reservation.payments WHERE provider = 'late' AND state = 'refunded') AS refunded;
SELECT * FROM reservation.verify();
