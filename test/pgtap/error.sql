-- The SQLSTATE of every kind of misuse, each with a hint; and what is no misuse raises nothing.
BEGIN;
SELECT no_plan();

SELECT reservation.create_pool('p', 3, per_holder => 3);
SELECT reservation.create_pool('open');
SELECT reservation.create_pool('counted', 6, 'counted');
SELECT reservation.charge('counted', 1, 'charged'), reservation.adjust('counted', -1, 'adjusted'), reservation.take('counted', 'h', request_id => 'taken');
SELECT reservation.create_pool('early', 3, opens_at => 'tomorrow');
SELECT reservation.create_pool('closed', 3, closes_at => 'yesterday');
SELECT reservation.create_pool('paused', 3);
SELECT reservation.alter_pool('paused', paused => true);
CREATE TEMP TABLE claim AS
SELECT 'held' AS state, claim_id FROM reservation.claim_unit('p', 1, 'ann', request_id => 'r')
UNION ALL SELECT 'finalized', claim_id FROM reservation.claim_unit('p', 2, 'ann');
SELECT reservation.finalize(claim_id) FROM claim WHERE state = 'finalized';
CREATE FUNCTION pg_temp.hold() RETURNS uuid LANGUAGE sql AS $$ SELECT claim_id FROM claim WHERE state = 'held' $$;
CREATE FUNCTION pg_temp.sale() RETURNS uuid LANGUAGE sql AS $$ SELECT claim_id FROM claim WHERE state = 'finalized' $$;

CREATE TEMP TABLE misuse (code text, call text);
-- 22023: every argument that must not be NULL
INSERT INTO misuse SELECT '22023', unnest(ARRAY[
    $$create_pool(NULL, 1)$$, $$create_pool('x', 1, NULL)$$, $$create_pool('x', 1, first_number => NULL)$$,
    $$create_pool('x', 1, floor => NULL)$$, $$create_pool('x', NULL, 'counted')$$,
    $$alter_pool(NULL)$$, $$add_units(NULL, 1)$$, $$add_units('p', NULL)$$, $$drop_pool(NULL)$$, $$drop_pool('p', NULL)$$,
    $$availability(NULL)$$, $$availability('{p,NULL}')$$,
    $$claim_next(NULL, 'h')$$, $$claim_next('p', NULL)$$, $$claim_next('p', 'h', NULL)$$,
    $$claim_unit(NULL, 1, 'h')$$, $$claim_unit('p', NULL, 'h')$$, $$claim_unit('p', 1, NULL)$$,
    $$extend(NULL, '1 hour')$$, $$extend(pg_temp.hold(), NULL)$$, $$release(NULL)$$, $$finalize(NULL)$$, $$refund(NULL)$$,
    $$archive(NULL)$$, $$archive(now(), NULL)$$, $$archive(now(), 0)$$, $$repair(NULL)$$, $$balance_at(NULL, now())$$, $$balance_at('p', NULL)$$, $$events_since(max => NULL)$$, $$index_events(NULL)$$, $$events_since('x')$$,
    $$take(NULL, 'h')$$, $$take('counted', NULL)$$, $$take('counted', 'h', NULL)$$, $$charge(NULL, 1, 'c')$$,
    $$charge('counted', NULL, 'c')$$, $$adjust(NULL, 1)$$, $$adjust('counted', NULL)$$, $$account_entries(NULL)$$,
    $$run_once(NULL, 'r')$$, $$run_once('s', NULL)$$, $$save_response(NULL, 'r', '1')$$, $$save_response('s', NULL, '1')$$, $$save_response('s', 'r', NULL)$$,
    $$cart_add(NULL, 'p')$$, $$cart_add('c', NULL)$$, $$cart_add('c', 'p', NULL)$$, $$cart_add('c', 'p', 1, NULL)$$,
    $$cart_set(NULL, 'p', 1)$$, $$cart_set('c', NULL, 1)$$, $$cart_set('c', 'p', NULL)$$, $$cart_set('c', 'p', 1, NULL)$$,
    $$cart_merge(NULL, 'd')$$, $$cart_merge('c', NULL)$$, $$cart_merge('c', 'd', NULL)$$, $$cart_merge('c', 'c')$$, $$cart_lines(NULL)$$,
    $$checkout(NULL, 'h', '[{"pool": "p"}]')$$, $$checkout('c', NULL, '[{"pool": "p"}]')$$, $$checkout('c', 'h', NULL)$$, $$checkout('c', 'h', '[]')$$,
    $$checkout_cart(NULL, 'c', 'h')$$, $$checkout_cart('c', NULL, 'h')$$, $$checkout_cart('c', 'c', NULL)$$, $$checkout_cart('empty', 'c', 'h')$$,
    $$set_payment_provider(NULL, 'stripe', 'x')$$, $$set_payment_provider('v', NULL, 'x')$$, $$set_payment_provider('v', 'stripe', NULL)$$,
    $$set_payment_provider('v', 'md5', 'x')$$, $$set_payment_provider('v', 'stripe', '')$$,
    $$record_payment(NULL, 'v', 'i', 1, 'EUR', 'x', 'y')$$, $$finalize_checkout(NULL)$$, $$cancel_checkout(NULL)$$,
    $$settle_refund(NULL, 'r')$$, $$settle_refund(gen_random_uuid(), NULL)$$,
    $$rate_limit(NULL, 1, '1 s')$$, $$rate_limit('k', NULL, '1 s')$$, $$rate_limit('k', 1, NULL)$$, $$rate_limit('k', 1, '1 s', NULL)$$,
    $$sweep(NULL)$$, $$grant_access(NULL, 'read')$$, $$grant_access(current_user::regrole, NULL)$$]);
-- a name that is empty, or longer than 1,000 bytes
INSERT INTO misuse SELECT '22023', replace(call, '$1', name) FROM
    unnest(ARRAY[$$''$$, $$repeat('x', 1001)$$, $$repeat('é', 501)$$, $$repeat('x', 10240)$$]) name,
    unnest(ARRAY[$$create_pool($1, 1)$$, $$alter_pool($1)$$, $$add_units($1, 1)$$, $$drop_pool($1)$$, $$availability(ARRAY[$1])$$,
        $$claim_next($1, 'h')$$, $$claim_next('p', $1)$$, $$claim_next('p', 'h', request_id => $1)$$,
        $$claim_unit($1, 1, 'h')$$, $$claim_unit('p', 1, $1)$$, $$claim_unit('p', 1, 'h', request_id => $1)$$,
        $$take($1, 'h')$$, $$take('counted', $1)$$, $$take('counted', 'h', request_id => $1)$$, $$charge($1, 1, 'c')$$,
        $$charge('counted', 1, $1)$$, $$adjust($1, 1)$$, $$adjust('counted', 1, $1)$$, $$adjust('counted', 1, 'a', $1)$$,
        $$account_entries($1)$$, $$refund(pg_temp.sale(), request_id => $1)$$, $$verify($1)$$, $$add_units('p', labels => ARRAY[$1])$$,
        $$rate_limit($1, 1, '1 s')$$]) call;
-- numbers and intervals that make no sense
INSERT INTO misuse SELECT '22023', replace(call, '$1', value) FROM
    unnest(ARRAY['0', '-1', '-2147483648', '2147483647']) value,
    unnest(ARRAY[$$add_units('p', $1)$$, $$claim_next('p', 'h', $1)$$, $$sweep($1)$$, $$claim_unit('p', $1, 'h')$$]) call;
INSERT INTO misuse SELECT '22023', replace(call, '$1', value) FROM
    unnest(ARRAY['0', '-1', '-9223372036854775808']) value,
    unnest(ARRAY[$$finalize(pg_temp.hold(), $1)$$, $$refund(pg_temp.sale(), $1)$$, $$take('counted', 'h', $1)$$,
        $$charge('counted', $1, 'c')$$, $$add_units('counted', ($1)::integer)$$]) call WHERE call !~ 'integer' OR value !~ '922';
INSERT INTO misuse SELECT '22023', replace(call, '$1', value) FROM
    unnest(ARRAY['0', '-1 microsecond', '-178000000 years', '1 day -24 hours']) value,
    unnest(ARRAY[$$create_pool('x', 1, hold_ttl => '$1')$$, $$alter_pool('p', hold_ttl => '$1')$$, $$extend(pg_temp.hold(), '$1')$$,
        $$claim_next('p', 'h', ttl => '$1')$$, $$claim_unit('p', 3, 'h', ttl => '$1')$$]) call;
INSERT INTO misuse SELECT '22023', unnest(ARRAY[
    $$rate_limit('k', 0, '1 s')$$, $$rate_limit('k', -1, '1 s')$$, $$rate_limit('k', 1, '1 s', 0)$$, $$rate_limit('k', 1, '1 s', -1)$$,
    $$rate_limit('k', 1, '0')$$, $$rate_limit('k', 1, '-1 s')$$, $$rate_limit('k', 1, '1001 years')$$,
    $$create_pool('x', 1, holder_rate => 1)$$, $$create_pool('x', 1, pool_rate => -1, pool_period => '1 s')$$,
    $$alter_pool('p', holder_period => '1 s')$$, $$alter_pool('p', pool_rate => 1, pool_period => '0')$$,
    $$claim_next('p', 'h', wait => '-1 second')$$, $$claim_unit('p', 3, 'h', wait => '-1 second')$$,
    $$take('counted', 'h', wait => '-1 second')$$, $$take('counted', 'h', ttl => '0')$$, $$adjust('counted', 0)$$,
    $$adjust('counted', -9223372036854775808)$$, $$adjust('counted', 9223372036854775807)$$, $$alter_pool('counted', floor => 4)$$,
    $$alter_pool('counted', floor => -9223372036854775808)$$, $$alter_pool('counted', ceiling => 2)$$,
    $$create_pool('x', -1)$$, $$create_pool('x', 9223372036854775807)$$, $$create_pool('x', -1, 'counted')$$,
    $$create_pool('x', 1, 'other')$$, $$create_pool('x', 1, first_number => -1)$$, $$create_pool('x', 2, first_number => 2147483647)$$,
    $$create_pool('x', 1, per_holder => 0)$$, $$alter_pool('p', per_holder => -1)$$,
    $$create_pool('x', 1, opens_at => '2030-01-02', closes_at => '2030-01-01')$$, $$alter_pool('early', closes_at => '2000-01-01')$$,
    $$create_pool('x', 1, 'counted', floor => 2)$$, $$create_pool('x', 1, 'counted', floor => -1, ceiling => -2)$$,
    $$add_units('p')$$, $$add_units('p', labels => '{}')$$, $$add_units('p', labels => '{{A},{B}}')$$,
    $$add_units('p', 2, labels => '{A}')$$, $$add_units('p', labels => '{A}', attributes => '{"{}","{}"}')$$,
    $$claim_unit('open', 1, 'h')$$, $$finalize(pg_temp.hold(), 2)$$, $$grant_access(current_user::regrole, 'write')$$]);
-- the other codes
INSERT INTO misuse VALUES
    ('42704', $$alter_pool('x')$$), ('42704', $$add_units('x', 1)$$), ('42704', $$drop_pool('x')$$), ('42704', $$availability('{p,x}')$$),
    ('42704', $$claim_next('x', 'h')$$), ('42704', $$claim_unit('x', 1, 'h')$$), ('42704', $$verify('x')$$),
    ('42704', $$cart_add('c', 'x')$$), ('42704', $$checkout('c', 'h', '[{"pool": "x"}]')$$),
    ('42704', $$record_payment(gen_random_uuid(), 'x', 'i', 1, 'EUR', 'x', 'y')$$),
    ('42809', $$checkout('c', 'h', '[{"pool": "counted", "number": 1}]')$$),
    ('RS002', $$save_response('s', 'never', '1')$$), ('RS002', $$finalize_checkout('00000000-0000-0000-0000-000000000000')$$),
    ('RS002', $$cancel_checkout('00000000-0000-0000-0000-000000000000')$$), ('RS002', $$settle_refund('00000000-0000-0000-0000-000000000000', 'r')$$),
    ('42710', $$create_pool('p', 4, per_holder => 3)$$), ('42710', $$create_pool('p', 3)$$), ('42710', $$create_pool('p')$$),
    ('42710', $$create_pool('open', 1)$$), ('42710', $$create_pool('counted', 3)$$),
    ('42704', $$take('x', 'h')$$), ('42704', $$charge('x', 1, 'c')$$), ('42704', $$adjust('x', 1)$$), ('42704', $$account_entries('x')$$),
    ('42809', $$take('p', 'h')$$), ('42809', $$charge('p', 1, 'c')$$), ('42809', $$adjust('p', 1)$$), ('42809', $$account_entries('p')$$),
    ('42809', $$add_units('counted', labels => '{A}')$$),
    ('RS001', $$charge('counted', 2, 'charged')$$), ('RS001', $$adjust('counted', 2, 'adjusted')$$),
    ('RS001', $$take('counted', 'h', 2, request_id => 'taken')$$),
    ('42809', $$claim_next('counted', 'h')$$), ('42809', $$claim_unit('counted', 1, 'h')$$), ('42809', $$add_units('open', 1)$$),
    ('42809', $$create_pool('x', 1, floor => 1)$$), ('42809', $$create_pool('x', 1, ceiling => 1)$$),
    ('42809', $$alter_pool('p', floor => 1)$$), ('42809', $$alter_pool('p', ceiling => 1)$$),
    ('RS001', $$claim_unit('p', 1, 'bob', request_id => 'r')$$), ('RS001', $$claim_unit('p', 3, 'ann', request_id => 'r')$$),
    ('RS001', $$claim_unit('p', 1, 'ann', '1 hour', request_id => 'r')$$),
    ('RS002', $$extend('00000000-0000-0000-0000-000000000000', '1 hour')$$), ('RS002', $$release('00000000-0000-0000-0000-000000000000')$$),
    ('RS002', $$finalize('00000000-0000-0000-0000-000000000000')$$), ('RS002', $$refund('ffffffff-ffff-ffff-ffff-ffffffffffff')$$),
    ('42704', $$join_line('x', 'h')$$), ('22023', $$join_line('p', '')$$), ('22023', $$join_line('p', 'h', 0)$$), ('22023', $$join_line('p', 'h', 100001)$$),
    ('22023', $$join_line('p', 'h', priority => NULL)$$), ('RS002', $$leave_line('00000000-0000-0000-0000-000000000000')$$),
    ('22023', $$leave_line(NULL)$$), ('RS002', $$line_position('00000000-0000-0000-0000-000000000000')$$), ('22023', $$line_position(NULL)$$),
    ('42704', $$serve_line('x')$$), ('22023', $$serve_line('p', 0)$$), ('22023', $$serve_line('p', method => 'x')$$),
    ('22023', $$serve_line('p', method => 'lottery')$$), ('22023', $$serve_line('p', seed => 's')$$),
    ('22023', $$alter_pool('p', offer_ttl => '-1 s')$$), ('22023', $$alter_pool('p', notify_every => '-1 s')$$);

-- message and hint as the style of the house has them
CREATE FUNCTION pg_temp.raised(call text, OUT code text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT FROM reservation.' || call;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END
$$;
CREATE TEMP TABLE raised AS SELECT m.call, m.code AS wanted, r.* FROM misuse m, LATERAL pg_temp.raised(m.call) r;
SELECT is(code, wanted, call) FROM raised;
SELECT is_empty($$SELECT call FROM raised WHERE coalesce(hint, '') !~ '^[A-Z0-9r].*[^.]\.$'$$, 'every error has a hint, which is a sentence');
SELECT is_empty($$SELECT call, message FROM raised WHERE message ~ '^[A-Z]' OR message ~ '\.$' OR message = ''$$,
    'every message begins small and has no full stop');

-- in a transaction that may only read
SET LOCAL transaction_read_only = on;
SELECT throws_ok('SELECT FROM reservation.' || call, '25006', NULL, 'read-only: ' || call)
FROM unnest(ARRAY[$$create_pool('x', 1)$$, $$alter_pool('p')$$, $$add_units('p', 1)$$, $$drop_pool('p')$$, $$claim_next('p', 'h')$$,
    $$claim_unit('p', 3, 'h')$$, $$extend(pg_temp.hold(), '1 hour')$$, $$release(pg_temp.hold())$$, $$finalize(pg_temp.hold())$$,
    $$run_once('s', 'r')$$, $$save_response('s', 'r', '1')$$, $$cart_add('c', 'p')$$, $$cart_set('c', 'p', 1)$$, $$cart_merge('c', 'd')$$,
    $$checkout('c', 'h', '[{"pool": "p"}]')$$, $$checkout_cart('c', 'c', 'h')$$, $$set_payment_provider('v', 'stripe', 'x')$$,
    $$record_payment(gen_random_uuid(), 'v', 'i', 1, 'EUR', 'x', 'y')$$, $$finalize_checkout(gen_random_uuid())$$, $$cancel_checkout(gen_random_uuid())$$,
    $$settle_refund(gen_random_uuid(), 'r')$$, $$refund(pg_temp.sale())$$, $$sweep()$$, $$rate_limit('k', 1, '1 s')$$, $$join_line('p', 'h')$$, $$leave_line(gen_random_uuid())$$, $$serve_line('p')$$,
    $$grant_access(current_user::regrole, 'read')$$]) call;
SELECT lives_ok('SELECT FROM reservation.' || call, 'read-only: ' || call)
FROM unnest(ARRAY[$$version()$$, $$availability('{p}')$$, $$verify()$$, $$verify('p')$$, $$pool_status$$, $$units$$, $$claims$$, $$cart_lines('c')$$, $$checkouts$$,
    $$payments$$, $$refunds_due$$, $$holds$$, $$tickets$$]) call;
SELECT * FROM finish();
ROLLBACK;
