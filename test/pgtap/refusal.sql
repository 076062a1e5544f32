-- What a customer can cause is a row, never an error: the status of each refusal, and that nothing was taken.
BEGIN;
SELECT no_plan();

SELECT reservation.create_pool('p', 2, per_holder => 2);
SELECT reservation.create_pool('early', 3, opens_at => 'tomorrow');
SELECT reservation.create_pool('closed', 3, closes_at => 'yesterday');
SELECT reservation.create_pool('paused', 3);
SELECT reservation.alter_pool('paused', paused => true);

CREATE FUNCTION pg_temp.refused(call text, want text, available bigint) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    EXECUTE 'SELECT count(*) AS rows, min(status) AS status, min(available) AS available, count(claim_id) AS ids, '
        'count(expires_at) AS ends, bool_or(replayed) AS replayed FROM reservation.' || call INTO r;
    RETURN NEXT is(r.status, want, call || ': ' || want);
    RETURN NEXT is(r.available, available, call || ': what is available');
    RETURN NEXT ok(r.rows = 1 AND r.ids = 0 AND r.ends = 0 AND NOT r.replayed, call || ': one row, no claim');
END
$$;
SELECT pg_temp.refused($$claim_next('early', 'ann')$$, 'not_open', 3);
SELECT pg_temp.refused($$claim_unit('early', 1, 'ann')$$, 'not_open', 3);
SELECT pg_temp.refused($$claim_next('closed', 'ann', 3)$$, 'closed', 3);
SELECT pg_temp.refused($$claim_next('paused', 'ann')$$, 'paused', 3);
SELECT pg_temp.refused($$claim_next('p', 'ann', 3)$$, 'limit_reached', 2);
SELECT reservation.claim_next('p', 'ann');
SELECT pg_temp.refused($$claim_next('p', 'bob', 2)$$, 'sold_out', 1);
SELECT pg_temp.refused($$claim_unit('p', 1, 'bob')$$, 'taken', 1);
SELECT reservation.claim_next('p', 'bob');
SELECT pg_temp.refused($$claim_next('p', 'cem')$$, 'sold_out', 0);
SELECT pg_temp.refused($$claim_next('p', 'cem', request_id => 'r', wait => '0')$$, 'sold_out', 0);
SELECT pg_temp.refused($$claim_unit('p', 1, 'cem')$$, 'taken', 0);

SELECT reservation.create_pool('rated', 3, holder_rate => 1, holder_period => '1000 days');
SELECT reservation.claim_next('rated', 'ann');
SELECT pg_temp.refused($$claim_next('rated', 'ann')$$, 'rate_limited', 2);
SELECT pg_temp.refused($$claim_unit('rated', 3, 'ann')$$, 'rate_limited', 2);
SELECT ok(retry_after BETWEEN '999 days' AND '1000 days', 'with a time to come back') FROM reservation.claim_next('rated', 'ann');
SELECT results_eq($$SELECT allowed, retry_after FROM reservation.rate_limit('k', 1, '1 s', 2)$$,
    $$VALUES (false, NULL::interval)$$, 'what can never be allowed has no time to come back');

SELECT results_eq($$SELECT status, number, available, replayed FROM reservation.claim_next('p', 'ann', 2)$$,
    $$VALUES ('limit_reached', NULL::integer, 0::bigint, false)$$, 'one hold of one''s own is not two');
SELECT is(status, 'in_use', 'a pool with claims') FROM reservation.drop_pool('p');

-- stock and credits
SELECT reservation.create_pool('stock', 5, 'counted', per_holder => 4, ceiling => 6);
SELECT reservation.create_pool('stock early', 5, 'counted', opens_at => 'tomorrow');
SELECT reservation.create_pool('stock closed', 5, 'counted', closes_at => 'yesterday');
SELECT reservation.create_pool('stock paused', 5, 'counted');
SELECT reservation.alter_pool('stock paused', paused => true);
SELECT pg_temp.refused($$take('stock early', 'ann')$$, 'not_open', 5);
SELECT pg_temp.refused($$take('stock closed', 'ann')$$, 'closed', 5);
SELECT pg_temp.refused($$take('stock paused', 'ann')$$, 'paused', 5);
SELECT pg_temp.refused($$take('stock', 'ann', 5)$$, 'limit_reached', 5);
SELECT reservation.take('stock', 'ann', 3);
SELECT pg_temp.refused($$take('stock', 'bob', 3, request_id => 'r', wait => '0')$$, 'insufficient', 2);
SELECT results_eq(format('SELECT status, claim_id, balance, replayed FROM reservation.charge(%L, %s, NULL)', account, amount),
    format('VALUES (%L, NULL::uuid, %s::bigint, false)', status, balance), status || ' of a charge')
FROM (VALUES ('stock early', 1, 'not_open', 5), ('stock closed', 1, 'closed', 5), ('stock paused', 1, 'paused', 5),
    ('stock', 5, 'limit_reached', 2), ('stock', 3, 'insufficient', 2)) c (account, amount, status, balance);
SELECT results_eq(format('SELECT status, delta, balance, replayed FROM reservation.adjust(%L, %s)', 'stock', delta),
    format('VALUES (%L, %s::bigint, 2::bigint, false)', status, delta), status || ' of an adjustment')
FROM (VALUES (-3, 'insufficient'), (5, 'over_ceiling')) a (delta, status);
SELECT reservation.create_pool('stock rated', 5, 'counted', pool_rate => 1, pool_period => '1000 days');
SELECT reservation.take('stock rated', 'ann');
SELECT pg_temp.refused($$take('stock rated', 'bob')$$, 'rate_limited', 4);
SELECT results_eq($$SELECT status, claim_id, balance, retry_after BETWEEN '999 days' AND '1000 days' FROM reservation.charge('stock rated', 1, NULL)$$,
    $$VALUES ('rate_limited', NULL::uuid, 4::bigint, true)$$, 'rate_limited of a charge');
SELECT is(status, 'over_ceiling', 'units above the ceiling') FROM reservation.add_units('stock', 5);

-- settling
CREATE FUNCTION pg_temp.hold(pool text, ttl interval DEFAULT NULL) RETURNS uuid LANGUAGE sql
AS $$ SELECT claim_id FROM reservation.claim_next(pool, 'dan', ttl => ttl) $$;
SELECT reservation.create_pool('q', 10);
SELECT is(status, 'not_finalized', 'refund of a hold') FROM reservation.refund(pg_temp.hold('q'));
SELECT results_eq($$SELECT status, refunded, remaining FROM reservation.refund(
    (SELECT claim_id FROM reservation.finalize(pg_temp.hold('q'))), 2)$$, $$VALUES ('exceeds', 0::bigint, 1::bigint)$$, 'refund of more than there is');
SELECT is(status, 'lapsed', 'extend after the time') FROM reservation.extend(pg_temp.hold('q', '1 microsecond'), '1 hour');
SELECT is(status, 'lapsed', 'release after the time') FROM reservation.release(pg_temp.hold('q', '1 microsecond'));

SELECT * FROM finish();
ROLLBACK;
