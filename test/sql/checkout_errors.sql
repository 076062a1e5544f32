-- What is refused of a checkout, its payment and its end. Nothing is held, and nothing recorded.
\a
\t on
\pset null NULL

\i test/include/refusal.sql
SELECT status FROM reservation.create_pool('ce', 5);
SELECT status FROM reservation.create_pool('ce counted', 5, 'counted');
SELECT status FROM reservation.create_pool('ce early', 5, opens_at => '2100-01-01');
SELECT status FROM reservation.create_pool('ce late', 5, closes_at => '2000-01-01');
SELECT status FROM reservation.create_pool('ce paused', 5);
SELECT status FROM reservation.alter_pool('ce paused', paused => true);
SELECT status FROM reservation.set_payment_provider('ce', 'hmac-sha256', 'Jefe');

-- lines
SELECT lines, r.* FROM unnest(ARRAY['{}', '[]', 'null', '"ce"', '[1]', '[null]', '[[]]', '[{}]', '[{"quantity": 1}]', '[{"pool": null}]', '[{"pool": 1}]',
    '[{"pool": ""}]', '[{"pool": "ce", "qty": 2}]', '[{"pool": "ce", "options": {}}]', '[{"pool": "ce", "quantity": 0}]', '[{"pool": "ce", "quantity": -1}]',
    '[{"pool": "ce", "quantity": 1.5}]', '[{"pool": "ce", "quantity": "1"}]', '[{"pool": "ce", "quantity": null}]', '[{"pool": "ce", "quantity": [1]}]',
    '[{"pool": "ce", "quantity": 9223372036854775808}]', '[{"pool": "ce", "quantity": 1e400}]', '[{"pool": "ce", "quantity": 100001}]',
    '[{"pool": "ce counted", "quantity": 9223372036854775807}, {"pool": "ce counted"}]', '[{"pool": "ce"}, {"pool": "no such pool"}]',
    '[{"pool": "ce", "number": 9}]', '[{"pool": "ce", "number": 1, "quantity": 2}]', '[{"pool": "ce", "number": 1}, {"pool": "ce", "number": 1}]',
    '[{"pool": "ce", "number": 2147483648}]', '[{"pool": "ce counted", "number": 1}]']) lines,
    pg_temp.refusal(format('checkout(''ce 1'', ''ann'', %L)', lines)) r;
SELECT state, message, hint FROM pg_temp.refusal($$checkout('ce 1', 'ann', (SELECT jsonb_agg('{"pool": "ce"}'::jsonb) FROM generate_series(1, 10001)))$$);
SELECT state, hint FROM pg_temp.refusal($$checkout('ce 1', 'ann', jsonb_build_array(jsonb_build_object('pool', repeat('x', 1001))))$$);

-- the other arguments
SELECT call, r.* FROM unnest(ARRAY[$$checkout(NULL, 'ann', '[{"pool": "ce"}]')$$, $$checkout('ce 1', NULL, '[{"pool": "ce"}]')$$, $$checkout('ce 1', 'ann', NULL)$$,
    $$checkout('', 'ann', '[{"pool": "ce"}]')$$, $$checkout('ce 1', 'ann', '[{"pool": "ce"}]', '0')$$, $$checkout('ce 1', 'ann', '[{"pool": "ce"}]', amount => 0)$$,
    $$checkout('ce 1', 'ann', '[{"pool": "ce"}]', amount => -1)$$, $$checkout('ce 1', 'ann', '[{"pool": "ce"}]', currency => '')$$]) call, pg_temp.refusal(call) r;

-- window and pause are reasons, not errors
SELECT status, shortages FROM reservation.checkout('ce 1', 'ann', '[{"pool": "ce"}, {"pool": "ce early"}, {"pool": "ce late", "quantity": 2}, {"pool": "ce paused"}]');

-- a request id belongs to one checkout
SELECT status FROM reservation.checkout('ce 2', 'ann', '[{"pool": "ce"}]', '1 day', 5, 'EUR');
SELECT call, r.* FROM unnest(ARRAY[$$checkout('ce 2', 'bob', '[{"pool": "ce"}]', '1 day', 5, 'EUR')$$, $$checkout('ce 2', 'ann', '[{"pool": "ce", "quantity": 2}]', '1 day', 5, 'EUR')$$,
    $$checkout('ce 2', 'ann', '[{"pool": "ce"}]', '2 days', 5, 'EUR')$$, $$checkout('ce 2', 'ann', '[{"pool": "ce"}]', '1 day', 6, 'EUR')$$,
    $$checkout('ce 2', 'ann', '[{"pool": "ce"}]', '1 day', 5)$$]) call, pg_temp.refusal(call) r;

-- payment
SELECT set_config('test.id', checkout_id::text, false) IS NOT NULL FROM reservation.checkouts WHERE request_id = 'ce 2';
\set id '''current_setting(''''test.id'''')::uuid'''
SELECT call, r.* FROM unnest(ARRAY[
    'record_payment(NULL, ''ce'', ''p'', 5, ''EUR'', ''x'', ''y'')', 'record_payment(' || :id || ', NULL, ''p'', 5, ''EUR'', ''x'', ''y'')',
    'record_payment(' || :id || ', ''ce'', NULL, 5, ''EUR'', ''x'', ''y'')', 'record_payment(' || :id || ', ''ce'', ''p'', NULL, ''EUR'', ''x'', ''y'')',
    'record_payment(' || :id || ', ''ce'', ''p'', 0, ''EUR'', ''x'', ''y'')', 'record_payment(' || :id || ', ''ce'', ''p'', 5, NULL, ''x'', ''y'')',
    'record_payment(' || :id || ', ''ce'', ''p'', 5, ''EUR'', NULL, ''y'')', 'record_payment(' || :id || ', ''ce'', ''p'', 5, ''EUR'', ''x'', NULL)',
    'record_payment(' || :id || ', ''no such provider'', ''p'', 5, ''EUR'', ''x'', ''y'')']) call, pg_temp.refusal(call) r;
SELECT * FROM pg_temp.refusal($$record_payment('00000000-0000-7000-8000-000000000000', 'ce', 'p', 5, 'EUR', 'what do ya want for nothing?',
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')$$);
SELECT * FROM pg_temp.refusal($$finalize_checkout('00000000-0000-7000-8000-000000000000')$$);
SELECT * FROM pg_temp.refusal($$finalize_checkout(NULL)$$);
SELECT * FROM pg_temp.refusal($$cancel_checkout('00000000-0000-7000-8000-000000000000')$$);
SELECT * FROM pg_temp.refusal($$cancel_checkout(NULL)$$);
SELECT * FROM pg_temp.refusal($$settle_refund('00000000-0000-7000-8000-000000000000', 'r')$$);
SELECT * FROM pg_temp.refusal($$settle_refund(NULL, 'r')$$);
SELECT * FROM pg_temp.refusal('settle_refund(' || :id || ', NULL)');
SELECT status FROM reservation.settle_refund(current_setting('test.id')::uuid, 'r');
SELECT count(*) FROM reservation.payments WHERE provider = 'ce';
SELECT pool, held FROM reservation.pool_status WHERE pool ~ '^ce' AND held > 0;
SELECT * FROM reservation.verify();
