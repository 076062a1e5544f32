-- run_once and save_response: an operation of the application is done once, and its response repeated.
\a
\pset footer off
\pset null NULL

-- the usual way: one transaction for the work
BEGIN;
SELECT * FROM reservation.run_once('login', 'op 1', '{"user": "ann", "n": 1}');
SELECT * FROM reservation.save_response('login', 'op 1', '{"session": 17}');
COMMIT;
SELECT * FROM reservation.run_once('login', 'op 1', '{"n": 1.0, "user": "ann"}');
SELECT * FROM reservation.run_once('login', 'op 1', '{"user": "ann", "n": 1}');

-- a key belongs to its scope
SELECT * FROM reservation.run_once('logout', 'op 1');
-- what was committed without a response is not done again
SELECT * FROM reservation.run_once('logout', 'op 1');
-- a response may follow, once; the same again changes nothing
SELECT * FROM reservation.save_response('logout', 'op 1', 'null');
SELECT * FROM reservation.save_response('logout', 'op 1', 'null');
SELECT * FROM reservation.run_once('logout', 'op 1');

-- rolled back: as if it had never been asked for
BEGIN;
SELECT * FROM reservation.run_once('login', 'op 2');
SELECT * FROM reservation.save_response('login', 'op 2', '1');
ROLLBACK;
SELECT * FROM reservation.run_once('login', 'op 2');

-- so does a savepoint; in its own transaction, too, a second call is a repeated one
BEGIN;
SAVEPOINT before;
SELECT * FROM reservation.run_once('login', 'op 3');
ROLLBACK TO before;
SELECT * FROM reservation.run_once('login', 'op 3');
SELECT * FROM reservation.run_once('login', 'op 3');
COMMIT;

-- a long response
SELECT * FROM reservation.run_once('login', 'op 4');
SELECT status FROM reservation.save_response('login', 'op 4', to_jsonb(repeat('x', 1000000)));
SELECT status, length(response #>> '{}') FROM reservation.run_once('login', 'op 4');

-- what is refused
\t on
\i test/include/refusal.sql
SELECT * FROM pg_temp.refusal($$run_once('login', 'op 1', '{"user": "bob"}')$$);
SELECT * FROM pg_temp.refusal($$run_once('login', 'op 1')$$);
SELECT * FROM pg_temp.refusal($$run_once('logout', 'op 1', '{}')$$);
SELECT * FROM pg_temp.refusal($$run_once(NULL, 'r')$$);
SELECT * FROM pg_temp.refusal($$run_once('s', NULL)$$);
SELECT * FROM pg_temp.refusal($$run_once('', 'r')$$);
SELECT * FROM pg_temp.refusal($$run_once('s', repeat('x', 1001))$$);
SELECT * FROM pg_temp.refusal($$save_response('login', 'op 1', '{"session": 18}')$$);
SELECT * FROM pg_temp.refusal($$save_response('login', 'never', '1')$$);
SELECT * FROM pg_temp.refusal($$save_response('login', 'op 1', NULL)$$);

SELECT * FROM reservation.verify();
