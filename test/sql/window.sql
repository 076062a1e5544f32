-- When a pool is on sale: opens_at, closes_at, paused.
\a
\pset footer off

SELECT status FROM reservation.create_pool('early', 3, opens_at => '2999-01-01 00:00+00');
SELECT status FROM reservation.create_pool('over', 3, closes_at => '2020-01-01 00:00+00');
SELECT status FROM reservation.create_pool('today', 3, opens_at => '2020-01-01 00:00+00', closes_at => '2999-01-01 00:00+00');
SELECT status FROM reservation.create_pool('always', 3, opens_at => '-infinity', closes_at => 'infinity');
SELECT status FROM reservation.create_pool('always', 3);

-- a refusal is a row, and says what would be available
SELECT status, claim_id, pool, number, label, holder, expires_at, available, replayed
FROM reservation.claim_next('early', 'ann');
SELECT status, claim_id, pool, number, label, holder, expires_at, available, replayed
FROM reservation.claim_unit('over', 1, 'ann');
SELECT status, available FROM reservation.claim_unit('early', 1, 'ann');
SELECT status, available FROM reservation.claim_next('over', 'ann', 3);
SELECT status, number FROM reservation.claim_next('today', 'ann');
SELECT status, number FROM reservation.claim_next('always', 'ann');
SELECT * FROM reservation.availability('{early,over,today,always}');

-- paused, and on again; in the same transaction, too
SELECT status FROM reservation.alter_pool('today', paused => true);
SELECT status, available FROM reservation.claim_next('today', 'ann');
SELECT status, available FROM reservation.claim_unit('today', 1, 'ann');
SELECT state FROM reservation.availability('{today}');
BEGIN;
SELECT status FROM reservation.alter_pool('today', paused => false);
SELECT status, number FROM reservation.claim_next('today', 'ann');
ROLLBACK;
SELECT status, available FROM reservation.claim_next('today', 'ann');
SELECT status FROM reservation.alter_pool('today', paused => false);
SELECT status, number FROM reservation.claim_next('today', 'ann');

-- which reason comes first: the window, then the pause
SELECT status FROM reservation.alter_pool('early', paused => true);
SELECT status FROM reservation.alter_pool('over', paused => true);
SELECT c.status, a.state
FROM unnest('{early,over}'::text[]) p, LATERAL reservation.claim_next(p, 'ann') c, LATERAL reservation.availability(ARRAY[p]) a;

-- the window is judged at the time of the call: it moves while the session goes on
SELECT status FROM reservation.alter_pool('over', closes_at => '2999-01-01 00:00+00', paused => false);
SELECT status, number FROM reservation.claim_next('over', 'ann');
SELECT status FROM reservation.alter_pool('early', opens_at => '2021-01-01 00:00+00', paused => false);
SELECT status, number FROM reservation.claim_next('early', 'ann');
SELECT status FROM reservation.alter_pool('over', closes_at => '2020-01-01 00:00+00');
SELECT status FROM reservation.claim_next('over', 'ann');
BEGIN;
SELECT status FROM reservation.alter_pool('over', closes_at => clock_timestamp() + '1 millisecond');
DO $$ BEGIN WHILE clock_timestamp() < now() + '200 milliseconds' LOOP END LOOP; END $$;
SELECT status FROM reservation.claim_next('over', 'ann');
COMMIT;

-- the order of the checks: replay, window, per_holder, supply
SELECT status FROM reservation.create_pool('door', 1, per_holder => 1);
SELECT status, number, replayed FROM reservation.claim_next('door', 'ann', request_id => 'first');
SELECT status FROM reservation.claim_next('door', 'ann');
SELECT status FROM reservation.claim_next('door', 'bob');
SELECT status FROM reservation.alter_pool('door', paused => true);
SELECT status, number, replayed FROM reservation.claim_next('door', 'ann', request_id => 'first');
SELECT status, available FROM reservation.claim_next('door', 'ann');
SELECT status, available FROM reservation.claim_next('door', 'bob');
SELECT status, available FROM reservation.claim_next('door', 'ann', request_id => 'second');
SELECT status FROM reservation.alter_pool('door', paused => false);
SELECT status FROM reservation.claim_next('door', 'ann', request_id => 'second');

-- a pool that is sold out says so only while it is on sale
SELECT state FROM reservation.availability('{door}');
SELECT status FROM reservation.alter_pool('door', closes_at => '2020-01-01 00:00+00');
SELECT state FROM reservation.availability('{door}');

SELECT * FROM reservation.verify();
