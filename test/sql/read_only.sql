-- A transaction that may only read: what writes is refused with 25006, what reads works.
\a
\t on
\pset null NULL

\i test/include/refusal.sql

SELECT status FROM reservation.create_pool('ro', 4, per_holder => 2);
SELECT claim_id AS hold FROM reservation.claim_next('ro', 'ann', request_id => 'r1') \gset
SELECT claim_id AS sale FROM reservation.claim_next('ro', 'bob') \gset
SELECT status FROM reservation.finalize(:'sale');
SELECT set_config('test.hold', :'hold', false) IS NOT NULL, set_config('test.sale', :'sale', false) IS NOT NULL;

BEGIN READ ONLY;
SELECT * FROM pg_temp.refusal($$create_pool('ro new', 1)$$);
SELECT * FROM pg_temp.refusal($$create_pool('ro', 4, per_holder => 2)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('ro', paused => true)$$);
SELECT * FROM pg_temp.refusal($$add_units('ro', 1)$$);
SELECT * FROM pg_temp.refusal($$drop_pool('ro')$$);
SELECT * FROM pg_temp.refusal($$claim_next('ro', 'cem')$$);
SELECT * FROM pg_temp.refusal($$claim_next('ro', 'ann', request_id => 'r1')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('ro', 3, 'cem')$$);
SELECT * FROM pg_temp.refusal($$extend(current_setting('test.hold')::uuid, '1 hour')$$);
SELECT * FROM pg_temp.refusal($$release(current_setting('test.hold')::uuid)$$);
SELECT * FROM pg_temp.refusal($$finalize(current_setting('test.hold')::uuid)$$);
SELECT * FROM pg_temp.refusal($$refund(current_setting('test.sale')::uuid)$$);
SELECT * FROM pg_temp.refusal($$sweep()$$);
SELECT * FROM pg_temp.refusal($$rate_limit('ro', 1, '1 day')$$);
SELECT * FROM pg_temp.refusal($$grant_access(current_user::regrole, 'read')$$);

SELECT * FROM reservation.availability('{ro}');
SELECT pool, available, held, finalized, state FROM reservation.pool_status WHERE pool = 'ro';
SELECT number, state FROM reservation.units WHERE pool = 'ro' ORDER BY number;
SELECT number, holder, state FROM reservation.claims WHERE pool = 'ro' ORDER BY number;
SELECT reservation.version() IS NOT NULL;
SELECT * FROM reservation.verify('ro');
COMMIT;

-- the setting of a session, and no function in between
SET default_transaction_read_only = on;
\set VERBOSITY sqlstate
SELECT * FROM reservation.claim_next('ro', 'cem');
SELECT * FROM reservation.create_pool('ro new', 1);
\set VERBOSITY default
RESET default_transaction_read_only;

-- nothing has happened
SELECT * FROM reservation.availability('{ro}');
SELECT count(*) FROM reservation.pool_status WHERE pool = 'ro new';
SELECT status, number FROM reservation.claim_next('ro', 'cem');
SELECT * FROM reservation.verify();
