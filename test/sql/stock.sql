-- Counted pools: take, and what becomes of it; restocks and corrections; floor and ceiling.
\a
\pset footer off

SELECT * FROM reservation.create_pool('tee', 10, 'counted', ceiling => 20);

-- all of it or nothing; the answer
SELECT status, claim_id IS NOT NULL AS has_id, pool, quantity, holder, expires_at > now() AS holds, available, replayed
FROM reservation.take('tee', 'ann', 4);
SELECT status, quantity FROM reservation.take('tee', 'bob');
SELECT status, claim_id, pool, quantity, holder, expires_at, available, replayed FROM reservation.take('tee', 'cem', 6);
SELECT * FROM reservation.availability('{tee}');
SELECT status, quantity FROM reservation.take('tee', 'cem', 5);
SELECT * FROM reservation.availability('{tee}');
SELECT status, available FROM reservation.take('tee', 'dan');

-- a request id: the first answer again
SELECT claim_id AS four FROM reservation.claims WHERE pool = 'tee' AND holder = 'ann' \gset
SELECT status FROM reservation.release(:'four');
SELECT claim_id AS first FROM reservation.take('tee', 'ann', 2, request_id => 'cart 1') \gset
SELECT status, claim_id = :'first' AS same, quantity, holder, replayed FROM reservation.take('tee', 'ann', 2, request_id => 'cart 1');
SELECT status FROM reservation.release(:'first');
SELECT status, claim_id = :'first' AS same, replayed FROM reservation.take('tee', 'ann', 2, request_id => 'cart 1', wait => '0');
SELECT status, replayed FROM reservation.take('tee', 'eve', 5, request_id => 'cart 2');
SELECT status, replayed FROM reservation.take('tee', 'eve', 4, request_id => 'cart 2');
SELECT available FROM reservation.availability('{tee}');

-- extend, release, finalize of a part: the rest goes back
SELECT claim_id AS five FROM reservation.claims WHERE pool = 'tee' AND holder = 'cem' \gset
SELECT status, expires_at > now() + interval '50 min' AS later FROM reservation.extend(:'five', '1 hour');
SELECT status, pool, number, quantity, holder, late, replayed FROM reservation.finalize(:'five', 3);
SELECT status, quantity, replayed FROM reservation.finalize(:'five', 3);
SELECT status, quantity, replayed FROM reservation.finalize(:'five');
SELECT status FROM reservation.release(:'five');
SELECT * FROM reservation.availability('{tee}');
SELECT * FROM reservation.verify();

-- refunds in parts, never more than was sold
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'five', 1);
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'five', 3);
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'five', 1, 'refund 1');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'five', 1, 'refund 1');
SELECT quantity, state, refunded FROM reservation.claims WHERE claim_id = :'five';
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'five');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'five');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'five', 1);
SELECT quantity, state, refunded FROM reservation.claims WHERE claim_id = :'five';
SELECT * FROM reservation.availability('{tee}');

-- restock, correct; the capacity moves along
SELECT * FROM reservation.adjust('tee', 5, 'delivery 1', 'delivery of May');
SELECT * FROM reservation.adjust('tee', 5, 'delivery 1', 'delivery of May');
SELECT * FROM reservation.adjust('tee', -1, reason => 'broken');
SELECT * FROM reservation.adjust('tee', -10);
SELECT * FROM reservation.adjust('tee', 12);
SELECT * FROM reservation.adjust('tee', 11);
SELECT * FROM reservation.add_units('tee', 1);
SELECT * FROM reservation.availability('{tee}');

-- what is given back is never refused, also above the ceiling
SELECT status, r.status FROM reservation.claims c, reservation.release(c.claim_id) r WHERE c.pool = 'tee' AND holder = 'eve' AND state = 'held';
SELECT available, capacity FROM reservation.pool_status WHERE pool = 'tee';
SELECT * FROM reservation.verify();

-- floor and ceiling are changed only if the balance allows it
SELECT status FROM reservation.alter_pool('tee', floor => 19);
SELECT status, available FROM reservation.take('tee', 'ann', 6);
SELECT * FROM reservation.adjust('tee', -6);
SELECT status, quantity FROM reservation.take('tee', 'ann', 5);
SELECT status FROM reservation.alter_pool('tee', floor => -5);
SELECT available FROM reservation.availability('{tee}');
SELECT status, quantity FROM reservation.take('tee', 'ann', 24);
SELECT status, available FROM reservation.take('tee', 'ann', 1);
SELECT * FROM reservation.adjust('tee', -1);
SELECT floor, available FROM reservation.pool_status WHERE pool = 'tee';
SELECT status FROM reservation.alter_pool('tee', ceiling => -5);
SELECT * FROM reservation.adjust('tee', 1);
SELECT * FROM reservation.verify();

-- holds whose time is over are there at once, no more of them are ended than it takes, and nothing needs a sweep
SELECT status FROM reservation.create_pool('short', 10, 'counted');
SELECT status FROM reservation.take('short', 'a', 3, '1 microsecond');
SELECT status FROM reservation.take('short', 'b', 3, '1 microsecond');
SELECT status FROM reservation.take('short', 'c', 3, '1 microsecond');
SELECT * FROM reservation.availability('{short}');
SELECT status, quantity FROM reservation.take('short', 'd', 3);
SELECT count(*) FILTER (WHERE event = 'lapsed') AS ended FROM reservation.log l JOIN reservation.pool p USING (pool_id) WHERE pool = 'short';
SELECT status, available FROM reservation.take('short', 'e', 8);
SELECT status, available FROM reservation.take('short', 'e', 7);
SELECT * FROM reservation.availability('{short}');
-- late: as much as is left
SELECT claim_id AS late FROM reservation.claims WHERE pool = 'short' AND holder = 'a' \gset
SELECT status, quantity, late FROM reservation.finalize(:'late');
SELECT status FROM reservation.adjust('short', 2);
SELECT status, quantity, late FROM reservation.finalize(:'late');
SELECT status, quantity, late, replayed FROM reservation.finalize(:'late', 2);
SELECT status, quantity, late, replayed FROM reservation.finalize(:'late', 2);
SELECT * FROM reservation.verify();

-- rollback and savepoint
BEGIN;
SELECT status FROM reservation.take('short', 'x', 2);
SAVEPOINT s;
SELECT status, available FROM reservation.take('short', 'x', 1);
SELECT status FROM reservation.adjust('short', 3);
SELECT status FROM reservation.take('short', 'x', 3);
ROLLBACK TO s;
SELECT status, available FROM reservation.take('short', 'x', 1);
ROLLBACK;
SELECT status, available FROM reservation.take('short', 'x', 3);
SELECT available FROM reservation.availability('{short}');
SELECT * FROM reservation.verify();

-- several in one statement: each takes from what the one before it left
SELECT status FROM reservation.create_pool('row by row', 100, 'counted');
SELECT n, status, quantity FROM generate_series(1, 4) n, reservation.take('row by row', 'holder ' || n, n);
SELECT n, status, balance FROM generate_series(1, 3) n, reservation.charge('row by row', n, 'row ' || n);
SELECT n, status, balance FROM generate_series(-2, 2) n, reservation.adjust('row by row', 10 * n + 1);
SELECT * FROM reservation.verify();
