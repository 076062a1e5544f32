-- events: what is refused, and to whom.
\a
\pset footer off
\pset null NULL

CREATE ROLE event_reader;
SELECT status FROM reservation.grant_access('event_reader', 'read');
SELECT status FROM reservation.create_pool('e errors', 3, 'counted');
SELECT status FROM reservation.adjust('e errors', 5, 'e found', 'found five');
SELECT status FROM reservation.take('e errors', 'ann');

-- bad cursors, and bad sizes
CREATE FUNCTION pg_temp.refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN format('%s: %s (%s)', SQLSTATE, SQLERRM, hint);
END
$$;
SELECT c, pg_temp.refused(format('SELECT FROM reservation.events_since(%L)', c)) FROM unnest(ARRAY['', '.', '1', '1.', '.1', '1.x',
    '-1.0', '1.-1', '1.2.3', '99999999999999999999.1', '1.2147483648', '9223372036854775807.2147483647']) c;
SELECT m, pg_temp.refused(format('SELECT FROM reservation.events_since(max => %s)', m)) FROM unnest(ARRAY['NULL', '0', '-1', '1000001']) m;
SELECT pg_temp.refused('SELECT reservation.index_events(NULL)');
SELECT pg_temp.refused('SELECT reservation.keep_log()');

-- a reader sees what happens, but not to whom
SET ROLE event_reader;
SELECT count(*) AS names FROM reservation.events WHERE holder IS NOT NULL OR claim_id IS NOT NULL OR request_id IS NOT NULL OR reason IS NOT NULL OR details IS NOT NULL;
SELECT count(*) > 0 AS events, count(e.holder) + count(e.claim_id) + count(e.checkout_id) + count(e.request_id) + count(e.reason) + count(e.details) AS names
FROM reservation.events_since(max => 1000000) e;
SELECT pg_temp.refused('SELECT reservation.index_events()');
SELECT pg_temp.refused('TABLE reservation.stream');
RESET ROLE;

-- append-only, also for a superuser, also if nothing would change
SELECT c, pg_temp.refused(c) FROM unnest(ARRAY['UPDATE reservation.log SET quantity = 0', 'UPDATE reservation.log SET quantity = 0 WHERE false',
    'DELETE FROM reservation.log', 'TRUNCATE reservation.log']) c;

SELECT * FROM reservation.verify();
DROP OWNED BY event_reader;
DROP ROLE event_reader;
