-- Request ids: the same call again gives the first answer again.
\a
\pset footer off

-- what earlier tests left behind
SELECT status FROM reservation.sweep();

SELECT status FROM reservation.create_pool('order', 9);
SELECT status, number, replayed FROM reservation.claim_next('order', 'ann', request_id => 'r1');
SELECT claim_id AS first, expires_at AS ends FROM reservation.claim_next('order', 'ann', request_id => 'r1') \gset
SELECT status, claim_id = :'first' AS same, pool, number, label, holder, expires_at = :'ends' AS same_end, available, replayed
FROM reservation.claim_next('order', 'ann', request_id => 'r1');
SELECT held FROM reservation.availability('{order}');
SELECT request_id, count(*) FROM reservation.claims WHERE pool = 'order' GROUP BY 1;

-- how a session writes dates, times and intervals makes no difference; nor does how long it would have waited
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'iso_8601';
SET TimeZone = 'Asia/Kathmandu';
SET extra_float_digits = -15;
SELECT status, claim_id = :'first' AS same, expires_at = :'ends' AS same_end, replayed
FROM reservation.claim_next('order', 'ann', request_id => 'r1', wait => '1 second');
SELECT status, number, replayed FROM reservation.claim_next('order', 'ann', ttl => '1 day 2 hours', request_id => 'r2');
RESET ALL;
SELECT status, number, replayed FROM reservation.claim_next('order', 'ann', ttl => '1 day 120 minutes', request_id => 'r2');

-- the first answer, whatever has become of the claim since
SELECT status FROM reservation.finalize(:'first');
SELECT status, claim_id = :'first' AS same, replayed FROM reservation.claim_next('order', 'ann', request_id => 'r1');
SELECT status FROM reservation.refund(:'first');
SELECT status, claim_id = :'first' AS same, replayed FROM reservation.claim_next('order', 'ann', request_id => 'r1');
SELECT status, number, replayed FROM reservation.claim_next('order', 'bob', ttl => '1 microsecond', request_id => 'r3');
SELECT status, number, replayed FROM reservation.claim_next('order', 'bob', ttl => '1 microsecond', request_id => 'r3');
SELECT status, lapsed FROM reservation.sweep();
SELECT status, number, replayed FROM reservation.claim_next('order', 'bob', ttl => '1 microsecond', request_id => 'r3');
SELECT status, number FROM reservation.claim_next('order', 'cem');
SELECT status, number, replayed FROM reservation.claim_next('order', 'bob', ttl => '1 microsecond', request_id => 'r3');

-- a hold that never lapses, one that lapses in a far year, and a label that needs care
SELECT status FROM reservation.add_units('order', labels => ARRAY[E'a "b" \\ é\n\tc']);
SELECT status, expires_at, replayed FROM reservation.claim_next('order', 'dan', ttl => '200000 years', request_id => 'r4');
SELECT status, expires_at, replayed FROM reservation.claim_next('order', 'dan', ttl => '200000 years', request_id => 'r4');
SELECT expires_at AS ends FROM reservation.claim_next('order', 'dan', ttl => '90000 years', request_id => 'r5') \gset
SELECT expires_at = :'ends' AS same_end, replayed FROM reservation.claim_next('order', 'dan', ttl => '90000 years', request_id => 'r5');
SELECT status, label = E'a "b" \\ é\n\tc' AS as_given, replayed
FROM reservation.claim_unit('order', 10, E'd"a\\n''', request_id => E'r"6\\''');
SELECT status, label = E'a "b" \\ é\n\tc' AS as_given, holder, replayed
FROM reservation.claim_unit('order', 10, E'd"a\\n''', request_id => E'r"6\\''');

-- other arguments: somebody reused the key
SELECT * FROM reservation.claim_next('order', 'eve', request_id => 'r1');
SELECT * FROM reservation.claim_next('order', 'ann', 2, request_id => 'r1');
SELECT * FROM reservation.claim_next('order', 'ann', ttl => '1 hour', request_id => 'r1');
SELECT * FROM reservation.claim_next('order', 'ann', request_id => 'r2');
SELECT * FROM reservation.claim_unit('order', 9, E'd"a\\n''', request_id => E'r"6\\''');
\set VERBOSITY sqlstate
SELECT * FROM reservation.claim_next('order', 'eve', request_id => 'r1');
\set VERBOSITY default

-- a key belongs to a function of a pool: elsewhere it is another key
SELECT status FROM reservation.create_pool('other order', 9);
SELECT status, number, replayed FROM reservation.claim_next('other order', 'eve', request_id => 'r1');
SELECT status, number, replayed FROM reservation.claim_unit('order', 8, 'eve', request_id => 'r1');
SELECT status, number, replayed FROM reservation.claim_unit('order', 8, 'eve', request_id => 'r1');
-- to the byte
SELECT status, number, replayed FROM reservation.claim_next('order', 'ann', request_id => 'R1');
SELECT status, number, replayed FROM reservation.claim_next('order', 'ann', request_id => 'r1 ');

-- a key whose call was rolled back is free again, for any arguments
BEGIN;
SELECT status, number, replayed FROM reservation.claim_next('order', 'fay', request_id => 'r7');
SELECT status, number, replayed FROM reservation.claim_next('order', 'fay', request_id => 'r7');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT status, number, replayed FROM reservation.claim_next('order', 'fay', 2, request_id => 'r7');
ROLLBACK TO s;
SELECT status, number, replayed FROM reservation.claim_next('order', 'gus', request_id => 'r7');
COMMIT;
SELECT status, number, replayed FROM reservation.claim_next('order', 'gus', request_id => 'r7');

-- a refusal is not kept: a later try can succeed, with other arguments, too
SELECT status FROM reservation.create_pool('scarce', 1);
SELECT claim_id AS taken FROM reservation.claim_next('scarce', 'ann') \gset
SELECT status, replayed FROM reservation.claim_next('scarce', 'bob', request_id => 'r1');
SELECT status, replayed FROM reservation.claim_unit('scarce', 1, 'bob', request_id => 'r1');
SELECT status, replayed FROM reservation.claim_next('scarce', 'bob', 2, request_id => 'r1');
SELECT status FROM reservation.release(:'taken');
SELECT status, replayed FROM reservation.claim_next('scarce', 'cem', request_id => 'r1');
SELECT status, replayed FROM reservation.claim_next('scarce', 'cem', request_id => 'r1');

-- refund has a key of its own, also after the claim is refunded
SELECT claim_id AS sale FROM reservation.claim_next('other order', 'ann') \gset
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', request_id => 'r1');
SELECT status FROM reservation.finalize(:'sale');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 2, request_id => 'r1');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 1, request_id => 'r1');
SELECT status, claim_id = :'sale' AS same, refunded, remaining, replayed FROM reservation.refund(:'sale', 1, request_id => 'r1');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 1, request_id => 'r2');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', request_id => 'r2');
\set VERBOSITY sqlstate
SELECT * FROM reservation.refund(:'sale', request_id => 'r1');
SELECT claim_id AS other FROM reservation.claim_next('other order', 'ann') \gset
SELECT * FROM reservation.refund(:'other', 1, request_id => 'r1');
\set VERBOSITY default
SELECT status, replayed FROM reservation.refund(:'first', request_id => 'r1');


-- whoever may write our tables may have put something else in the place of an answer
SELECT status FROM reservation.claim_next('order', 'ann', request_id => 'not an answer');
BEGIN;
UPDATE reservation.request SET response = '["a long string, which would be read as an object if nobody looked"]' WHERE request_id = 'not an answer';
SELECT * FROM reservation.claim_next('order', 'ann', request_id => 'not an answer');
ROLLBACK;
BEGIN;
UPDATE reservation.request SET response = '[{"status": 17}]' WHERE request_id = 'not an answer';
SELECT * FROM reservation.claim_next('order', 'ann', request_id => 'not an answer');
ROLLBACK;
\set VERBOSITY sqlstate
UPDATE reservation.request SET response = '17' WHERE request_id = 'not an answer';
UPDATE reservation.request SET response = NULL WHERE request_id = 'not an answer';
\set VERBOSITY default

-- a name that is used for a new pool brings none of the old keys
SELECT status FROM reservation.drop_pool('scarce', true);
SELECT status FROM reservation.create_pool('scarce', 1);
SELECT status, replayed FROM reservation.claim_next('scarce', 'bob', request_id => 'r1');

-- what is kept is what was answered
SELECT p.pool, r.scope, r.request_id, jsonb_array_length(r.response) AS rows
FROM reservation.request r JOIN reservation.pool p USING (pool_id)
WHERE p.pool IN ('order', 'other order', 'scarce') ORDER BY r.created_at;

SELECT * FROM reservation.verify();
