-- Rate limits. Periods are so long that the time this test takes does not matter: what comes back meanwhile is far less than
-- one unit. Times are shown rounded to days.
\a
\pset footer off

CREATE FUNCTION pg_temp.days(i interval) RETURNS numeric LANGUAGE sql AS $$ SELECT round(extract(epoch FROM i) / 86400) $$;

-- ten at once, and as many per 1,000 days: one comes back in 100 days
SELECT allowed, remaining, retry_after, pg_temp.days(reset_after) AS reset FROM reservation.rate_limit('ten', 10, '1000 days');
SELECT allowed, remaining, retry_after, pg_temp.days(reset_after) AS reset FROM reservation.rate_limit('ten', 10, '1000 days', 4);
SELECT allowed, remaining, pg_temp.days(retry_after) AS retry, pg_temp.days(reset_after) AS reset
FROM reservation.rate_limit('ten', 10, '1000 days', 6);
-- a refused call spends nothing: a smaller one fits
SELECT allowed, remaining, retry_after, pg_temp.days(reset_after) AS reset FROM reservation.rate_limit('ten', 10, '1000 days', cost => 5);
SELECT allowed, remaining, pg_temp.days(retry_after) AS retry, pg_temp.days(reset_after) AS reset
FROM reservation.rate_limit('ten', 10, '1000 days');
SELECT allowed, remaining, pg_temp.days(retry_after) AS retry, pg_temp.days(reset_after) AS reset
FROM reservation.rate_limit('ten', 10, '1000 days', 10);

-- what can never pass: no retry_after, nothing spent, known or not
SELECT allowed, remaining, retry_after, pg_temp.days(reset_after) AS reset FROM reservation.rate_limit('ten', 10, '1000 days', 11);
SELECT allowed, remaining, retry_after, reset_after FROM reservation.rate_limit('never', 10, '1000 days', 2147483647);
SELECT allowed, remaining FROM reservation.rate_limit('never', 10, '1000 days', 10);

-- another key, another burst and another period are other limits; '1 day' and '24 hours' are one
SELECT allowed, remaining FROM reservation.rate_limit('Ten', 10, '1000 days', 10);
SELECT allowed, remaining FROM reservation.rate_limit('ten', 11, '1000 days', 11);
SELECT allowed, remaining FROM reservation.rate_limit('ten', 10, '1001 days', 10);
SELECT allowed, remaining FROM reservation.rate_limit('ten', 10, '24000 hours');
-- a year is 365.25 days, a month 30
SELECT allowed, remaining FROM reservation.rate_limit('calendar', 3, '4 years 1 month', 2);
SELECT allowed, remaining FROM reservation.rate_limit('calendar', 3, '1491 days');

-- one at a time
SELECT allowed, remaining, retry_after FROM reservation.rate_limit('one', 1, '1000 days');
SELECT allowed, remaining, pg_temp.days(retry_after) AS retry FROM reservation.rate_limit('one', 1, '1000 days');

-- a period that the burst does not divide: all of it, and no more
SELECT count(*) FILTER (WHERE allowed), min(remaining) FROM generate_series(1, 10) i, reservation.rate_limit('seventh' || left(i::text, 0), 7, '1000 days 1 microsecond');
-- the longest period, the largest burst, the shortest period
SELECT allowed, remaining, pg_temp.days(reset_after) AS reset FROM reservation.rate_limit('longest', 2147483647, '1000 years', 2147483646);
SELECT allowed, remaining FROM reservation.rate_limit('longest', 2147483647, '1000 years', 2);
SELECT allowed, remaining, pg_temp.days(reset_after) AS reset FROM reservation.rate_limit('longest', 2147483647, '1000 years', 1);
SELECT allowed FROM reservation.rate_limit('shortest', 2147483647, '1 microsecond', 2147483647);
SELECT allowed FROM reservation.rate_limit('shortest', 2147483647, '1 microsecond', 2147483647);

-- keys: any bytes, up to 1,000 of them
SELECT allowed, remaining FROM reservation.rate_limit(repeat('x', 1000), 2, '1000 days');
SELECT allowed, remaining FROM reservation.rate_limit(repeat('x', 999) || 'y', 2, '1000 days');
SELECT allowed, remaining FROM reservation.rate_limit(repeat('x', 1000), 2, '1000 days');
SELECT allowed, remaining FROM reservation.rate_limit('''; DROP TABLE t; --', 2, '1000 days');
SELECT allowed, remaining FROM reservation.rate_limit(' ', 2, '1000 days');

-- in real time, something comes back
SELECT allowed FROM reservation.rate_limit('real', 1, '1 microsecond');
DO $$ BEGIN WHILE clock_timestamp() < now() + '1 millisecond' LOOP END LOOP; END $$;
SELECT allowed, remaining FROM reservation.rate_limit('real', 1, '1 microsecond');

-- at every isolation level, and several times in one transaction
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT allowed, remaining FROM reservation.rate_limit('serial', 3, '1000 days');
SELECT allowed, remaining FROM reservation.rate_limit('serial', 3, '1000 days');
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT allowed, remaining FROM reservation.rate_limit('serial', 3, '1000 days');
SELECT allowed, remaining FROM reservation.rate_limit('serial', 3, '1000 days');
COMMIT;

-- a rollback: spent tokens stay spent in shared memory, and are given back in the table
SELECT allowed, remaining FROM reservation.rate_limit('undone', 5, '1000 days');
BEGIN;
SELECT allowed, remaining FROM reservation.rate_limit('undone', 5, '1000 days', 2);
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM reservation.rate_limit('undone', 5, '1000 days');
SELECT count(*) FROM reservation.rate_limit('undone and new', 5, '1000 days');
ROLLBACK TO s;
COMMIT;
SELECT remaining = CASE WHEN current_setting('shared_preload_libraries') ~ 'reservation' THEN 0 ELSE 3 END AS "as documented"
FROM reservation.rate_limit('undone', 5, '1000 days');
SELECT remaining = CASE WHEN current_setting('shared_preload_libraries') ~ 'reservation' THEN 3 ELSE 4 END AS "as documented"
FROM reservation.rate_limit('undone and new', 5, '1000 days');

-- with preload the table stays empty, without it has the limits that were used
SELECT (count(*) = 0) = (current_setting('shared_preload_libraries') ~ 'reservation') AS "as documented" FROM reservation.rate;

-- a call in any place of a query
SELECT (reservation.rate_limit('place', 2, '1000 days')).remaining;
SELECT r.allowed, r.remaining FROM unnest('{a,b,a,a}'::text[]) k, LATERAL reservation.rate_limit('place ' || k, 2, '1000 days') r;
PREPARE limited (text) AS SELECT allowed, remaining FROM reservation.rate_limit($1, 2, '1000 days');
EXECUTE limited ('prepared');
EXECUTE limited ('prepared');
EXECUTE limited ('prepared');

SELECT * FROM reservation.verify();
