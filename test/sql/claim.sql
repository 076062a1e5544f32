-- Claiming the next free units, and what the answer says.
\a
\pset footer off

SELECT status FROM reservation.create_pool('run', 4);

-- one after the other: the lowest free number
SELECT status, claim_id IS NOT NULL AS has_id, pool, number, label, holder, available, replayed
FROM reservation.claim_next('run', 'ann');
SELECT claim_id AS two FROM reservation.claim_next('run', 'bob') \gset
SELECT status, number FROM reservation.claim_next('run', 'ann');

-- a number given back is the next one out
SELECT status FROM reservation.release(:'two');
SELECT status, number FROM reservation.claim_next('run', 'cem');
SELECT status, number FROM reservation.claim_next('run', 'dan');

-- gone: one row without a claim, which says how much is available, and aborts nothing
BEGIN;
SELECT status, claim_id, pool, number, label, holder, expires_at, available, replayed
FROM reservation.claim_next('run', 'eve');
SELECT status, available FROM reservation.claim_next('run', 'eve', wait => '0');
COMMIT;
SELECT number, holder, quantity, state, request_id FROM reservation.claims WHERE pool = 'run' ORDER BY claimed_at;

-- whatever order the units came back in, and whatever number the pool starts with
SELECT status FROM reservation.create_pool('shuffled', 5, first_number => 7);
CREATE TEMP TABLE hold AS
SELECT c.number, c.claim_id FROM generate_series(1, 5) i, LATERAL reservation.claim_next('shuffled', 'h' || i) c;
SELECT h.number, r.status FROM (SELECT * FROM hold ORDER BY number % 3, number DESC) h, reservation.release(h.claim_id) r;
SELECT c.number, c.holder FROM generate_series(1, 5) i, LATERAL reservation.claim_next('shuffled', 'h' || i) c;

-- in the transaction that gave it back, too; and when several are asked for
SELECT status FROM reservation.create_pool('back', 8);
SELECT number FROM reservation.claim_next('back', 'ann', 5);
SELECT claim_id AS one FROM reservation.claims WHERE pool = 'back' AND number = 1 \gset
SELECT claim_id AS two FROM reservation.claims WHERE pool = 'back' AND number = 2 \gset
BEGIN;
SELECT status FROM reservation.release(:'two');
SELECT status, number FROM reservation.claim_next('back', 'bob');
SELECT status FROM reservation.release(:'one');
SELECT status, number FROM reservation.claim_next('back', 'cem', 2);
ROLLBACK;
SELECT status FROM reservation.release(:'two');
SELECT status, number FROM reservation.claim_next('back', 'dan', 2);
SELECT status, number FROM reservation.claim_next('back', 'dan');

-- a call is one claim: in FROM it runs once, however many rows stand beside it
SELECT status FROM reservation.create_pool('once', 5);
SELECT i, status, number FROM generate_series(1, 3) i, reservation.claim_next('once', 'ann');
SELECT available, held FROM reservation.availability('{once}');

-- in the list of a SELECT it runs for each row
SELECT (SELECT status || ' ' || number FROM reservation.claim_next('once', 'h' || i)) FROM generate_series(1, 3) i;
SELECT available, held FROM reservation.availability('{once}');

-- how long a hold lives: what the call says, else the pool, else the setting
CREATE FUNCTION pg_temp.minutes(expires_at timestamptz) RETURNS numeric
LANGUAGE sql AS $$ SELECT round(extract(epoch FROM expires_at - clock_timestamp()) / 60) $$;
SELECT status FROM reservation.create_pool('ttl', 20, hold_ttl => '2 hours');
SELECT status FROM reservation.create_pool('no ttl', 20);
SHOW reservation.hold_ttl;
SHOW reservation.claim_wait;
SELECT pg_temp.minutes(expires_at) FROM reservation.claim_next('no ttl', 'ann');
SET reservation.hold_ttl = '90min';
SELECT pg_temp.minutes(expires_at) FROM reservation.claim_next('no ttl', 'ann');
SELECT pg_temp.minutes(expires_at) FROM reservation.claim_next('ttl', 'ann');
SELECT pg_temp.minutes(expires_at) FROM reservation.claim_next('ttl', 'ann', ttl => '3 hours');
RESET reservation.hold_ttl;
SELECT pg_temp.minutes(expires_at) FROM reservation.claim_next('no ttl', 'ann');
SELECT status FROM reservation.alter_pool('ttl', hold_ttl => '1 hour');
SELECT pg_temp.minutes(expires_at) FROM reservation.claim_next('ttl', 'ann');

-- months and days are those of the calendar, in the session's time zone
SET TimeZone = 'Europe/Berlin';
SELECT claim_id AS month FROM reservation.claim_next('ttl', 'ann', ttl => '2 months 1 day 01:30:00') \gset
SELECT expires_at = claimed_at + '2 months 1 day 01:30:00' AS as_timestamptz_adds
FROM reservation.claims WHERE claim_id = :'month';
RESET TimeZone;

-- what reaches past the year 100,000 never lapses
SELECT n.ttl, c.expires_at
FROM (VALUES ('98500 years'), ('100000 years'), ('178000000 years'), ('1182000 months'), ('36000000 days')) n (ttl),
    LATERAL reservation.claim_next('ttl', 'ann', ttl => n.ttl::interval) c;
SELECT status, isfinite(expires_at) FROM reservation.claim_next('ttl', 'ann', ttl => '97000 years');
SELECT status, number FROM reservation.claim_next('ttl', 'ann', ttl => '2147483647 days');
SELECT count(*) FROM reservation.claims WHERE pool = 'ttl' AND state = 'held';

-- the same time for the whole call, and it is the time of the call, not of the transaction
BEGIN;
SELECT claim_id AS first FROM reservation.claim_next('ttl', 'ann') \gset
SELECT claim_id AS second FROM reservation.claim_next('ttl', 'ann') \gset
SELECT a.claimed_at < b.claimed_at AS moves_on, a.claimed_at > now() AS after_now
FROM reservation.claims a, reservation.claims b WHERE a.claim_id = :'first' AND b.claim_id = :'second';
COMMIT;

-- a hold whose time is over is free at once, without a sweep, and its unit goes first by its number
SELECT status FROM reservation.create_pool('lapse', 3);
SELECT claim_id AS lapsed, number FROM reservation.claim_next('lapse', 'ann', ttl => '1 microsecond') \gset
SELECT state FROM reservation.claims WHERE claim_id = :'lapsed';
SELECT available, held FROM reservation.availability('{lapse}');
SELECT status, number FROM reservation.claim_next('lapse', 'bob');
SELECT status, number FROM reservation.claim_next('lapse', 'bob', ttl => '1 microsecond');
SELECT status, number FROM reservation.claim_next('lapse', 'cem');
SELECT status, number FROM reservation.claim_next('lapse', 'cem');
SELECT status, available FROM reservation.claim_next('lapse', 'cem');
SELECT number, holder, state FROM reservation.claims WHERE pool = 'lapse' ORDER BY claimed_at;

-- a unit that a superuser puts back by hand is found within a second, in a pool that is sold out and has been for long
SELECT status FROM reservation.create_pool('by hand', 3);
SELECT status, number FROM reservation.claim_next('by hand', 'ann', 3);
SELECT status FROM generate_series(1, 2), reservation.claim_next('by hand', 'bob');
WITH gone AS (DELETE FROM reservation.claim c USING reservation.pool p WHERE c.pool_id = p.pool_id AND p.pool = 'by hand' AND number = 1 RETURNING c.pool_id)
INSERT INTO reservation.available SELECT pool_id, 1 FROM gone;
SELECT pg_sleep(1.1);
SELECT status, number FROM reservation.claim_next('by hand', 'bob');
SELECT status FROM reservation.claim_next('by hand', 'bob');

-- a wait of any length costs nothing while there is something to take
SELECT status FROM reservation.create_pool('wait', 2);
SELECT status FROM reservation.claim_next('wait', 'ann', wait => '178000000 years');
SELECT status FROM reservation.claim_next('wait', 'ann', wait => '0');

SELECT * FROM reservation.verify();
