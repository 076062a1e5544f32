-- What is refused when units are claimed. Nothing is lost, and the session goes on.
\a
\t on
\pset null NULL

\i test/include/refusal.sql

SELECT status FROM reservation.create_pool('bad', 3);
SELECT status FROM reservation.create_pool('bad counted', 3, 'counted');

-- pool
SELECT * FROM pg_temp.refusal($$claim_next(NULL, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_next('', 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_next(repeat('x', 1001), 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_next(repeat('x', 10240), 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_next('unknown', 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_next('BAD', 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad ', 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_next(repeat('é', 500), 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad counted', 'ann')$$);
-- holder
SELECT * FROM pg_temp.refusal($$claim_next('bad', NULL)$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', '')$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', repeat('x', 1001))$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', repeat('é', 501))$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', repeat('x', 10240))$$);
-- count
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', NULL)$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', 0)$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', -1)$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', -2147483648)$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', 2147483647)$$);
-- ttl
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', ttl => '0')$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', ttl => '-1 microsecond')$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', ttl => '-178000000 years')$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', ttl => '1 day -24 hours')$$);
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$claim_next('bad', 'ann', ttl => '-12 months 361 days')$$);
-- request id
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', request_id => '')$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', request_id => repeat('x', 1001))$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', request_id => repeat('x', 10240))$$);
-- wait
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', wait => '-1 microsecond')$$);
SELECT * FROM pg_temp.refusal($$claim_next('bad', 'ann', wait => '-178000000 years')$$);

-- settings have bounds
\set VERBOSITY sqlstate
SET reservation.hold_ttl = 0;
SET reservation.hold_ttl = -1;
SET reservation.claim_wait = -1;
SET reservation.no_such_setting = 1;
\set VERBOSITY default

-- outside of a function that catches it, too, an error takes nothing with it but its own transaction
BEGIN;
SELECT status, number FROM reservation.claim_next('bad', 'ann');
SELECT status, number FROM reservation.claim_next('bad', 'ann', 0);
SELECT status, number FROM reservation.claim_next('bad', 'ann');
ROLLBACK;
SELECT status, number FROM reservation.claim_next('bad', '', 1);
SELECT status, number FROM reservation.claim_next('bad', 'ann');

-- nothing is lost
SELECT * FROM reservation.availability(ARRAY['bad', 'bad counted']);
SELECT number, state FROM reservation.claims WHERE pool LIKE 'bad%';
SELECT * FROM reservation.verify();
