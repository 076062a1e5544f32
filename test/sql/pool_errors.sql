-- What is refused when a pool is made, changed, grown, counted or dropped. Nothing is lost, and the session goes on.
\a
\t on
\pset null NULL

\i test/include/refusal.sql

SELECT status FROM reservation.create_pool('strict', 3, hold_ttl => '1 hour', per_holder => 2,
    opens_at => '2020-01-01 00:00+00', closes_at => '2999-01-01 00:00+00');
SELECT status FROM reservation.create_pool('strict open');
SELECT status FROM reservation.create_pool('strict stock', 10, 'counted', ceiling => 20);
SELECT status FROM reservation.claim_next('strict', 'ann');

-- create_pool: names
SELECT * FROM pg_temp.refusal($$create_pool(NULL, 5)$$);
SELECT * FROM pg_temp.refusal($$create_pool('', 5)$$);
SELECT * FROM pg_temp.refusal($$create_pool(repeat('x', 1001), 5)$$);
SELECT * FROM pg_temp.refusal($$create_pool(repeat('x', 10240), 5)$$);
SELECT * FROM pg_temp.refusal($$create_pool(repeat('é', 501), 5)$$);
-- capacity
SELECT * FROM pg_temp.refusal($$create_pool('new', -1)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', -9223372036854775808)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 10000001)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 9223372036854775807)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', -1, 'counted')$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', NULL, 'counted')$$);
-- kind
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, NULL)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, '')$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, 'Numbered')$$);
-- numbers
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, first_number => NULL)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, first_number => -1)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 2, first_number => 2147483647)$$);
-- rules
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, hold_ttl => '0')$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, hold_ttl => '-1 second')$$);
-- longer than zero by the field, but not from any day on
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$create_pool('new', 5, hold_ttl => '-12 months 361 days')$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, per_holder => 0)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, per_holder => -1)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, opens_at => '2030-01-02 00:00+00', closes_at => '2030-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, opens_at => '2030-01-01 00:00+00', closes_at => '2030-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, floor => 1)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, ceiling => 1)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, 'counted', floor => NULL)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, 'counted', floor => 6)$$);
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$create_pool('new', 5, 'counted', ceiling => 4)$$);
SELECT * FROM pg_temp.refusal($$create_pool('new', 5, 'counted', floor => 3, ceiling => 2)$$);
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$create_pool('new', 9223372036854775807, 'counted', floor => -1)$$);

-- a pool of that name with another definition: each argument counts
SELECT * FROM pg_temp.refusal($$create_pool('strict', 4, hold_ttl => '1 hour', per_holder => 2, opens_at => '2020-01-01 00:00+00', closes_at => '2999-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('strict', hold_ttl => '1 hour', per_holder => 2, opens_at => '2020-01-01 00:00+00', closes_at => '2999-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('strict', 3, 'counted', hold_ttl => '1 hour', per_holder => 2, opens_at => '2020-01-01 00:00+00', closes_at => '2999-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('strict', 3, first_number => 0, hold_ttl => '1 hour', per_holder => 2, opens_at => '2020-01-01 00:00+00', closes_at => '2999-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('strict', 3, per_holder => 2, opens_at => '2020-01-01 00:00+00', closes_at => '2999-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('strict', 3, hold_ttl => '1 hour', opens_at => '2020-01-01 00:00+00', closes_at => '2999-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('strict', 3, hold_ttl => '1 hour', per_holder => 2, closes_at => '2999-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('strict', 3, hold_ttl => '1 hour', per_holder => 2, opens_at => '2020-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$create_pool('strict stock', 10, 'counted', floor => 1, ceiling => 20)$$);
SELECT * FROM pg_temp.refusal($$create_pool('strict stock', 10, 'counted')$$);

-- alter_pool
SELECT * FROM pg_temp.refusal($$alter_pool(NULL)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('')$$);
SELECT * FROM pg_temp.refusal($$alter_pool(repeat('x', 10240))$$);
SELECT * FROM pg_temp.refusal($$alter_pool('unknown')$$);
SELECT * FROM pg_temp.refusal($$alter_pool(repeat('long', 100))$$);
SELECT * FROM pg_temp.refusal($$alter_pool('strict', hold_ttl => '0')$$);
SELECT * FROM pg_temp.refusal($$alter_pool('strict', per_holder => 0)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('strict', closes_at => '2019-01-01 00:00+00')$$);
SELECT * FROM pg_temp.refusal($$alter_pool('strict', floor => 1)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('strict', ceiling => 1)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('strict stock', floor => 21)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('strict stock', ceiling => -1)$$);

-- drop_pool and availability
SELECT * FROM pg_temp.refusal($$drop_pool(NULL)$$);
SELECT * FROM pg_temp.refusal($$drop_pool('')$$);
SELECT * FROM pg_temp.refusal($$drop_pool('unknown')$$);
SELECT * FROM pg_temp.refusal($$drop_pool('strict', NULL)$$);
SELECT * FROM pg_temp.refusal($$availability(NULL)$$);
SELECT * FROM pg_temp.refusal($$availability(ARRAY['strict', NULL])$$);
SELECT * FROM pg_temp.refusal($$availability(ARRAY['strict', 'unknown'])$$);
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$availability(ARRAY[''])$$);
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$availability(ARRAY[repeat('x', 1001)])$$);

-- nothing is lost: no pool more or less, each as it was
SELECT * FROM reservation.availability(ARRAY['strict', 'strict open', 'strict stock']);
SELECT count(*) FROM reservation.pool_status WHERE pool = 'new';
SELECT hold_ttl, per_holder, state FROM reservation.pool_status WHERE pool = 'strict';
SELECT * FROM reservation.verify();
