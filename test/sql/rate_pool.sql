-- Rate limits of pools: claims per holder, and of all. Periods are so long that the time this test takes does not matter.
\a
\pset footer off

CREATE FUNCTION pg_temp.days(i interval) RETURNS numeric LANGUAGE sql AS $$ SELECT round(extract(epoch FROM i) / 86400) $$;

SELECT * FROM reservation.create_pool('rate drop', 100, holder_rate => 3, holder_period => '300 days');
SELECT status FROM reservation.create_pool('rate drop', 100, holder_rate => 3, holder_period => '7200 hours');
SELECT holder_rate, holder_period, pool_rate, pool_period FROM reservation.pool_status WHERE pool = 'rate drop';

-- three claims of one holder, whatever they ask for; then one in 100 days
SELECT status, number, retry_after FROM reservation.claim_next('rate drop', 'ann');
SELECT status, number, retry_after FROM reservation.claim_next('rate drop', 'ann', 2);
SELECT status, number, retry_after FROM reservation.claim_unit('rate drop', 50, 'ann');
SELECT status, claim_id, pool, number, label, holder, expires_at, available, replayed, pg_temp.days(retry_after) AS retry
FROM reservation.claim_next('rate drop', 'ann');
SELECT status, available, pg_temp.days(retry_after) AS retry FROM reservation.claim_unit('rate drop', 60, 'ann');
SELECT status, number FROM reservation.claim_next('rate drop', 'bob');

-- a replay is never limited, a new request id is, and its refusal is not kept
SELECT status, number, replayed FROM reservation.claim_next('rate drop', 'cem', request_id => 'r1');
SELECT status FROM reservation.claim_next('rate drop', 'cem', request_id => 'r2');
SELECT status FROM reservation.claim_next('rate drop', 'cem', request_id => 'r3');
SELECT status, replayed FROM reservation.claim_next('rate drop', 'cem', request_id => 'r4');
SELECT status, number, replayed, retry_after FROM reservation.claim_next('rate drop', 'cem', request_id => 'r1');
SELECT status FROM reservation.alter_pool('rate drop', holder_rate => 4);
SELECT status, replayed FROM reservation.claim_next('rate drop', 'cem', request_id => 'r4');

-- a limit ends; another rate begins anew; the period alone, too
SELECT status FROM reservation.alter_pool('rate drop', holder_rate => 0);
SELECT holder_rate, holder_period FROM reservation.pool_status WHERE pool = 'rate drop';
SELECT count(*) FROM generate_series(1, 10) i, LATERAL reservation.claim_next('rate drop', left('ann' || i, 3)) c WHERE c.status = 'claimed';
SELECT status FROM reservation.alter_pool('rate drop', holder_rate => 1, holder_period => '1000 days');
SELECT status, number FROM reservation.claim_next('rate drop', 'ann');
SELECT status FROM reservation.claim_next('rate drop', 'ann');
SELECT status FROM reservation.alter_pool('rate drop', holder_period => '999 days');
SELECT status, number FROM reservation.claim_next('rate drop', 'ann');
SELECT status FROM reservation.claim_next('rate drop', 'ann');
-- an unchanged limit goes on
SELECT status FROM reservation.alter_pool('rate drop', hold_ttl => '1 hour');
SELECT status FROM reservation.claim_next('rate drop', 'ann');

-- a limit for all
SELECT status FROM reservation.create_pool('rate busy', 100, pool_rate => 3, pool_period => '300 days');
SELECT c.status, c.number, pg_temp.days(c.retry_after) AS retry
FROM unnest('{ann,bob,cem,dan}'::text[]) h, LATERAL reservation.claim_next('rate busy', h) c;

-- both: if the limit of all refuses, the holder's has spent nothing
SELECT status FROM reservation.create_pool('rate both', 100, holder_rate => 2, holder_period => '200 days', pool_rate => 3, pool_period => '3000 days');
SELECT c.status, pg_temp.days(c.retry_after) AS retry
FROM unnest('{ann,ann,ann,bob,bob,bob}'::text[]) h, LATERAL reservation.claim_next('rate both', h) c;
SELECT status FROM reservation.alter_pool('rate both', pool_rate => 0);
SELECT c.status FROM unnest('{bob,bob,ann}'::text[]) h, LATERAL reservation.claim_next('rate both', h) c;

-- the order of the checks: replay, window and pause, rate, per_holder, supply. What is refused before the rate spends nothing.
SELECT status FROM reservation.create_pool('rate order', 1, per_holder => 1, holder_rate => 3, holder_period => '300 days');
SELECT status FROM reservation.alter_pool('rate order', paused => true);
SELECT count(*) FROM generate_series(1, 5) i, LATERAL reservation.claim_next('rate order', left('ann' || i, 3)) c WHERE c.status = 'paused';
SELECT status FROM reservation.alter_pool('rate order', paused => false);
SELECT status FROM reservation.claim_next('rate order', 'ann');
SELECT status FROM reservation.claim_next('rate order', 'ann');
SELECT status FROM reservation.claim_next('rate order', 'ann', 2);
SELECT status FROM reservation.claim_next('rate order', 'ann');
SELECT c.status FROM unnest('{bob,bob,bob,bob}'::text[]) h, LATERAL reservation.claim_next('rate order', h) c;
-- a bad argument spends nothing either
\set VERBOSITY sqlstate
SELECT status FROM reservation.claim_next('rate order', 'cem', 0);
\set VERBOSITY default
SELECT status FROM reservation.claim_next('rate order', 'cem');

-- counted pools: take and charge
SELECT status FROM reservation.create_pool('rate stock', 100, 'counted', holder_rate => 2, holder_period => '200 days');
SELECT status, quantity, retry_after FROM reservation.take('rate stock', 'ann', 30);
SELECT status, quantity, retry_after FROM reservation.take('rate stock', 'ann', 1000);
SELECT status, claim_id, quantity, available, pg_temp.days(retry_after) AS retry FROM reservation.take('rate stock', 'ann', 30);
SELECT status, available FROM reservation.take('rate stock', 'bob', 30);
SELECT status, balance, retry_after FROM reservation.charge('rate stock', 5, NULL);
SELECT status, balance, replayed FROM reservation.charge('rate stock', 5, 'r');
SELECT status, claim_id, balance, pg_temp.days(retry_after) AS retry FROM reservation.charge('rate stock', 5, NULL);
SELECT status, balance, replayed FROM reservation.charge('rate stock', 5, 'r');

-- two pools, and a key of the application, of the same name: three limits
SELECT status FROM reservation.create_pool('rate same', 9, pool_rate => 1, pool_period => '100 days');
SELECT status FROM reservation.claim_next('rate same', 'ann');
SELECT status FROM reservation.drop_pool('rate same', true);
SELECT status FROM reservation.create_pool('rate same', 9, pool_rate => 1, pool_period => '100 days');
SELECT status FROM reservation.claim_next('rate same', 'rate same');
SELECT status FROM reservation.claim_next('rate same', 'rate same');
SELECT allowed FROM reservation.rate_limit('rate same', 1, '100 days');

-- what was claimed is settled without a limit
SELECT r.status FROM reservation.claims c, reservation.release(c.claim_id) r WHERE c.pool = 'rate busy' AND c.number = 1;
SELECT f.status FROM reservation.claims c, reservation.finalize(c.claim_id) f WHERE c.pool = 'rate busy' AND c.number = 2;

SELECT * FROM reservation.verify();

-- a pool that is not on sale spends nothing
SELECT status FROM reservation.create_pool('rate closed', 5, holder_rate => 1, holder_period => '1 day', pool_rate => 1, pool_period => '1 day', opens_at => 'infinity');
SELECT status, retry_after FROM reservation.claim_next('rate closed', 'ann');
SELECT status FROM reservation.alter_pool('rate closed', opens_at => '-infinity');
SELECT status FROM reservation.claim_next('rate closed', 'ann');
-- the pool refuses before the holder spends: whoever asks next is told by the pool, too
SELECT status FROM reservation.create_pool('rate look', 5, holder_rate => 1, holder_period => '1 day', pool_rate => 1, pool_period => '1 hour');
SELECT status FROM reservation.claim_next('rate look', 'ann');
SELECT status, retry_after <= '1 hour' AS by_the_pool FROM generate_series(1, 3), reservation.claim_next('rate look', 'bob');
-- a period by what it is worth, 365.25 days a year
SELECT status FROM reservation.create_pool('rate odd', 5, holder_rate => 1, holder_period => '1 year -361 days', notify_every => '1 year -361 days');
