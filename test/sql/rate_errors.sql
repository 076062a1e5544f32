-- What is refused when a rate is limited. Nothing is spent, and the session goes on.
\a
\t on
\pset null NULL

\i test/include/refusal.sql

-- key
SELECT * FROM pg_temp.refusal($$rate_limit(NULL, 1, '1 day')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('', 1, '1 day')$$);
SELECT * FROM pg_temp.refusal($$rate_limit(repeat('x', 1001), 1, '1 day')$$);
SELECT * FROM pg_temp.refusal($$rate_limit(repeat('é', 501), 1, '1 day')$$);
-- burst
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', NULL, '1 day')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 0, '1 day')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', -2147483648, '1 day')$$);
-- period
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, NULL)$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '0')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '-1 microsecond')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '1 day -24 hours')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '-1 year 365 days')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '1000 years 1 microsecond')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '178000000 years')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '-178000000 years')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '178000000 years 2147483647 days 2562047788 hours')$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '2147483647 days 2562047788 hours')$$);
-- cost
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '1 day', NULL)$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '1 day', 0)$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '1 day', -1)$$);
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '1 day', -2147483648)$$);

-- of a pool
SELECT status FROM reservation.create_pool('rate rated', 3, holder_rate => 2, holder_period => '1000 days');
SELECT * FROM pg_temp.refusal($$create_pool('rate bad', 3, holder_rate => 1)$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate bad', 3, holder_period => '1 day')$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate bad', 3, pool_rate => 1)$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate bad', 3, pool_period => '1 day')$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate bad', 3, holder_rate => -1, holder_period => '1 day')$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate bad', 3, pool_rate => 1, pool_period => '0')$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate bad', 3, pool_rate => 0, pool_period => '1 day')$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate rated', 3)$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate rated', 3, holder_rate => 3, holder_period => '1000 days')$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate rated', 3, holder_rate => 2, holder_period => '1001 days')$$);
SELECT * FROM pg_temp.refusal($$create_pool('rate rated', 3, pool_rate => 2, pool_period => '1000 days')$$);
SELECT * FROM pg_temp.refusal($$alter_pool('rate rated', pool_rate => 1)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('rate rated', pool_period => '1 day')$$);
SELECT * FROM pg_temp.refusal($$alter_pool('rate rated', holder_rate => 0, holder_period => '1 day')$$);
SELECT * FROM pg_temp.refusal($$alter_pool('rate rated', holder_rate => -1)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('rate rated', holder_period => '2000 years')$$);
SELECT * FROM pg_temp.refusal($$alter_pool('rate rated', holder_period => '-1 day')$$);
SELECT holder_rate, holder_period, pool_rate, pool_period FROM reservation.pool_status WHERE pool = 'rate rated';

-- read-only
BEGIN READ ONLY;
SELECT * FROM pg_temp.refusal($$rate_limit('rate bad', 1, '1 day')$$);
COMMIT;

-- none of these has spent anything
SELECT allowed, remaining FROM reservation.rate_limit('rate bad', 1, '1 day');
SELECT * FROM reservation.verify();
