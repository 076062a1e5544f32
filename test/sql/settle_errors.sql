-- What is refused when a claim is settled. Nothing is lost, and the session goes on.
\a
\t on
\pset null NULL

\i test/include/refusal.sql

SELECT status FROM reservation.create_pool('due', 3);
SELECT claim_id AS hold FROM reservation.claim_next('due', 'ann') \gset
SELECT claim_id AS sale FROM reservation.claim_next('due', 'bob') \gset
SELECT status FROM reservation.finalize(:'sale');
-- so that the statements below name no id
SELECT set_config('test.hold', :'hold', false) IS NOT NULL, set_config('test.sale', :'sale', false) IS NOT NULL;

-- an id that was never given out
SELECT * FROM pg_temp.refusal($$extend('00000000-0000-7000-8000-000000000000', '1 hour')$$);
SELECT * FROM pg_temp.refusal($$release('00000000-0000-7000-8000-000000000000')$$);
SELECT * FROM pg_temp.refusal($$finalize('00000000-0000-7000-8000-000000000000')$$);
SELECT * FROM pg_temp.refusal($$refund('00000000-0000-7000-8000-000000000000')$$);
-- an id whose transaction was rolled back
BEGIN;
SELECT claim_id AS never FROM reservation.claim_next('due', 'cem') \gset
ROLLBACK;
SELECT state, hint FROM pg_temp.refusal(format('release(%L)', :'never'));
SELECT state, hint FROM pg_temp.refusal(format('finalize(%L)', :'never'));
-- no id
SELECT * FROM pg_temp.refusal($$extend(NULL, '1 hour')$$);
SELECT * FROM pg_temp.refusal($$release(NULL)$$);
SELECT * FROM pg_temp.refusal($$finalize(NULL)$$);
SELECT * FROM pg_temp.refusal($$refund(NULL)$$);
-- ttl
SELECT * FROM pg_temp.refusal($$extend(current_setting('test.hold')::uuid, NULL)$$);
SELECT * FROM pg_temp.refusal($$extend(current_setting('test.hold')::uuid, '0')$$);
SELECT * FROM pg_temp.refusal($$extend(current_setting('test.hold')::uuid, '-1 hour')$$);
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$extend(current_setting('test.hold')::uuid, '-12 months 361 days')$$);
-- quantity
SELECT * FROM pg_temp.refusal($$finalize(current_setting('test.hold')::uuid, 0)$$);
SELECT * FROM pg_temp.refusal($$finalize(current_setting('test.hold')::uuid, -1)$$);
SELECT * FROM pg_temp.refusal($$finalize(current_setting('test.hold')::uuid, 2)$$);
SELECT * FROM pg_temp.refusal($$finalize(current_setting('test.hold')::uuid, 9223372036854775807)$$);
SELECT * FROM pg_temp.refusal($$refund(current_setting('test.sale')::uuid, 0)$$);
SELECT * FROM pg_temp.refusal($$refund(current_setting('test.sale')::uuid, -1)$$);
-- request id
SELECT * FROM pg_temp.refusal($$refund(current_setting('test.sale')::uuid, request_id => '')$$);
SELECT * FROM pg_temp.refusal($$refund(current_setting('test.sale')::uuid, request_id => repeat('x', 1001))$$);
SELECT * FROM pg_temp.refusal($$refund(current_setting('test.sale')::uuid, request_id => repeat('x', 10240))$$);
-- sweep
SELECT * FROM pg_temp.refusal($$sweep(NULL)$$);
SELECT * FROM pg_temp.refusal($$sweep(0)$$);
SELECT * FROM pg_temp.refusal($$sweep(-1)$$);
SELECT * FROM pg_temp.refusal($$sweep(2147483647)$$);
-- verify
SELECT * FROM pg_temp.refusal($$verify('')$$);
SELECT * FROM pg_temp.refusal($$verify('unknown')$$);
SELECT * FROM pg_temp.refusal($$verify(repeat('x', 10240))$$);

-- nothing is lost
SELECT * FROM reservation.availability('{due}');
SELECT status FROM reservation.finalize(:'hold', 1);
SELECT status, refunded FROM reservation.refund(:'sale', 1, repeat('é', 500));
SELECT number, state FROM reservation.claims WHERE pool = 'due' ORDER BY number;
SELECT * FROM reservation.verify();
