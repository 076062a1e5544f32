-- Giving back what has lapsed. Nothing depends on it.
\a
\pset footer off

-- what earlier tests left behind
SELECT status FROM reservation.sweep();

SELECT status FROM reservation.create_pool('sweep a', 5);
SELECT status FROM reservation.create_pool('sweep b', 5);
SELECT status FROM reservation.create_pool('sweep c');
SELECT * FROM reservation.sweep();

-- every pool, but only what is over: holds that go on and sales stay
SELECT count(*) FROM reservation.claim_next('sweep a', 'ann', 3, ttl => '1 microsecond');
SELECT count(*) FROM reservation.claim_next('sweep b', 'bob', 2, ttl => '1 microsecond');
SELECT count(*) FROM reservation.claim_next('sweep c', 'cem', 2, ttl => '1 microsecond');
SELECT number FROM reservation.claim_unit('sweep a', 4, 'ann');
SELECT f.status FROM reservation.claim_unit('sweep a', 5, 'ann') c, LATERAL reservation.finalize(c.claim_id) f;
SELECT pool, available, held, finalized FROM reservation.availability('{sweep a,sweep b,sweep c}');
SELECT * FROM reservation.sweep();
SELECT pool, available, held, finalized FROM reservation.availability('{sweep a,sweep b,sweep c}');
SELECT pool, number, holder, state FROM reservation.claims WHERE pool LIKE 'sweep%' ORDER BY pool, number;
SELECT * FROM reservation.sweep();

-- no more than it is told
SELECT count(*) FROM reservation.claim_next('sweep a', 'ann', 3, ttl => '1 microsecond');
SELECT count(*) FROM reservation.claim_next('sweep b', 'bob', 5, ttl => '1 microsecond');
SELECT * FROM reservation.sweep(1);
SELECT * FROM reservation.sweep(4);
SELECT * FROM reservation.sweep(max => 1000000);
SELECT * FROM reservation.sweep(1);

-- each end is written down once, at the time of the sweep
SELECT c.pool, count(*), count(DISTINCT l.claim_id) AS claims, bool_and(l.at >= c.expires_at) AS in_time
FROM reservation.log l JOIN reservation.claims c USING (claim_id)
WHERE c.pool LIKE 'sweep%' AND l.event = 'lapsed' GROUP BY c.pool ORDER BY c.pool;

-- rolled back, it has done nothing
SELECT number FROM reservation.claim_next('sweep a', 'ann', ttl => '1 microsecond');
BEGIN;
SELECT * FROM reservation.sweep();
ROLLBACK;
SELECT * FROM reservation.sweep();

-- one that was taken in between: the sweep steps over what is left of it
SELECT status FROM reservation.create_pool('sweep gap', 3);
SELECT c.status, c.number FROM generate_series(1, 3) i, LATERAL reservation.claim_unit('sweep gap', i, 'ann', ttl => '1 microsecond') c;
SELECT status, number FROM reservation.claim_unit('sweep gap', 2, 'bob');
SELECT * FROM reservation.sweep();
SELECT number, holder, state FROM reservation.claims WHERE pool = 'sweep gap' ORDER BY number, claimed_at;

-- more lapsed holds than a claim ends in one go; the lowest number comes first all the same
SELECT status FROM reservation.create_pool('sweep many', 300);
SELECT count(*) FROM reservation.claim_next('sweep many', 'ann', 250, ttl => '1 microsecond');
SELECT available, held FROM reservation.availability('{sweep many}');
SELECT status, count(*), min(number), max(number) FROM reservation.claim_next('sweep many', 'bob', 300) GROUP BY status;
SELECT status, available FROM reservation.claim_next('sweep many', 'cem');

SELECT status FROM reservation.create_pool('sweep order', 300);
SELECT count(*) FROM generate_series(300, 1, -1) i, LATERAL reservation.claim_unit('sweep order', i, 'ann', ttl => '1 microsecond');
SELECT status, number FROM reservation.claim_next('sweep order', 'bob');
SELECT status, number FROM reservation.claim_next('sweep order', 'bob', 2);

SELECT * FROM reservation.verify();
