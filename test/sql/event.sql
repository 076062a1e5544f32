-- events: every change, who made it, and in which order; events_since() hands them out.
\a
\pset footer off
\pset null NULL

CREATE ROLE event_clerk;
SELECT status FROM reservation.grant_access('event_clerk', 'admin');
GRANT CREATE ON SCHEMA public TO event_clerk;
-- where the events of this file begin
SELECT coalesce(max(position), 0) AS before FROM reservation.events \gset
SET ROLE event_clerk;

SELECT status FROM reservation.create_pool('e seats', 3);
SELECT status FROM reservation.alter_pool('e seats', hold_ttl => '1 day', per_holder => 2);
SELECT status, first_number FROM reservation.add_units('e seats', labels => '{Z 1}');
SELECT claim_id AS one FROM reservation.claim_next('e seats', 'ann', request_id => 'e 1') \gset
SELECT claim_id AS two FROM reservation.claim_next('e seats', 'bob', ttl => '1 microsecond') \gset
SELECT status FROM reservation.extend(:'one', '2 days');
SELECT status FROM reservation.finalize(:'one');
SELECT status FROM reservation.refund(:'one', request_id => 'e back');
SELECT count(*) > 0 AS lapsed FROM reservation.sweep();
SELECT claim_id AS three FROM reservation.claim_next('e seats', 'cem') \gset
SELECT status FROM reservation.release(:'three');

SELECT status FROM reservation.create_pool('e stock', 10, 'counted');
SELECT status FROM reservation.adjust('e stock', 5, 'e adjust', 'found five');
SELECT status FROM reservation.adjust('e stock', -1, reason => 'lost one');
SELECT status FROM reservation.charge('e stock', 2, 'e charge');
SELECT claim_id AS many FROM reservation.take('e stock', 'ann', 4) \gset
SELECT status FROM reservation.finalize(:'many', 3);
SELECT status FROM reservation.refund(:'many', 1);

SELECT status FROM reservation.set_payment_provider('e bank', 'hmac-sha256', 'Jefe');
\set signed '''what do ya want for nothing?'', ''5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'''
SELECT checkout_id AS sold FROM reservation.checkout('e sold', 'dan', '[{"pool": "e seats"}, {"pool": "e stock", "quantity": 2}]', amount => 700) \gset
SELECT status FROM reservation.record_payment(:'sold', 'e bank', 'e pay 1', 700, 'EUR', :signed);
SELECT status FROM reservation.finalize_checkout(:'sold');
SELECT checkout_id AS gone FROM reservation.checkout('e gone', 'eve', '[{"pool": "e stock"}]', amount => 300) \gset
SELECT status FROM reservation.record_payment(:'gone', 'e bank', 'e pay 2', 300, 'EUR', :signed);
SELECT status FROM reservation.cancel_checkout(:'gone');
SELECT status FROM reservation.settle_refund(:'gone', 'returned by hand');

-- a row of a table that is numbered, and then has another key
CREATE TABLE event_runner (id integer PRIMARY KEY, number integer);
SELECT status FROM reservation.create_pool('e runners', 2);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON event_runner FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('e runners', 'number');
CREATE TRIGGER gone AFTER DELETE ON event_runner FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('e runners', 'number');
INSERT INTO event_runner VALUES (1);
UPDATE event_runner SET id = 2;
DELETE FROM event_runner;

-- a line: joined, offered, joined again after the offer was over, left, and gone with its pool
SELECT status FROM reservation.create_pool('e line', 1);
SELECT claim_id AS claim FROM reservation.claim_next('e line', 'gus') \gset
SELECT holder, status FROM unnest('{hal,ida}'::text[]) holder, reservation.join_line('e line', holder);
SELECT ticket_id AS ticket FROM reservation.join_line('e line', 'joy', priority => 7) \gset
SELECT status FROM reservation.release(:'claim');
SELECT r.status FROM reservation.tickets, reservation.release(claim_ids[1]) r WHERE ticket_id = :'ticket';
SELECT status, position FROM reservation.join_line('e line', 'joy');
SELECT l.status FROM reservation.tickets t, reservation.leave_line(ticket_id) l WHERE t.holder = 'joy' AND t.state = 'waiting';
SELECT status FROM reservation.drop_pool('e line', true);

-- holds that end with their pool, several in one statement
SELECT status, number FROM reservation.claim_next('e seats', 'fay', 2);
SELECT status FROM reservation.drop_pool('e seats', true);
RESET ROLE;

-- one stream, each event once, with all there is to know
SELECT pool, kind, event, number, quantity, change, actor, holder, request_id, reason, details
FROM reservation.events WHERE position > :before AND kind NOT IN ('order', 'ticket') ORDER BY position, step;
SELECT event, quantity, actor, holder, details ->> 'holder' AS of, details ->> 'priority' AS priority,
    jsonb_array_length(details -> 'claim_ids') AS claims,
    EXISTS (SELECT FROM reservation.tickets t WHERE t.ticket_id::text = details ->> 'ticket_id' AND t.holder = e.holder) AS there
FROM reservation.events e WHERE position > :before AND kind = 'ticket' ORDER BY position, step;
SELECT kind, event, quantity, holder, details ? 'order_id' AS id, details ? 'order_number' AS number
FROM reservation.events WHERE position > :before AND kind = 'order';
SELECT count(*) AS twice FROM (SELECT FROM reservation.events GROUP BY position, step HAVING count(*) > 1) d;
SELECT bool_and(transaction_id::text::bigint + (position >> 48 << 48) = position AND position >> 48 = 1
    AND pg_xact_status(transaction_id) = 'committed' AND at <= clock_timestamp()) AS stamped
FROM reservation.events WHERE position > :before;

-- what rolled back, or was refused, is no event
SELECT count(*) AS events FROM reservation.events \gset
BEGIN;
SELECT status FROM reservation.claim_next('e runners', 'ann');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT status FROM reservation.adjust('e stock', 1);
ROLLBACK TO s;
COMMIT;
SELECT status FROM reservation.take('e stock', 'ann', 1000);
SELECT status FROM reservation.finalize(:'many', 3);
SELECT status FROM reservation.release(:'three');
SELECT status FROM reservation.create_pool('e stock', 10, 'counted');
SELECT count(*) - :events AS more FROM reservation.events;

-- in one transaction, the order is that of the calls
BEGIN;
SELECT claim_id AS four FROM reservation.claim_next('e runners', 'ann') \gset
SELECT status FROM reservation.adjust('e stock', 1);
SELECT status FROM reservation.finalize(:'four');
SAVEPOINT s;
SELECT status FROM reservation.adjust('e stock', 2);
RELEASE s;
SELECT status FROM reservation.take('e stock', 'ann');
COMMIT;
SELECT pool, event, quantity, step FROM reservation.events
WHERE position = (SELECT max(position) FROM reservation.events) ORDER BY step;

-- by a cursor, in pages of any size: the same events, once. An autovacuum may hold the end of them back for a moment.
SELECT format('%s.%s', :before, coalesce(max(step) FILTER (WHERE position = :before), 0)) AS start,
    count(*) FILTER (WHERE position > :before) AS events FROM reservation.events \gset
CREATE FUNCTION pg_temp.follow(start text, size integer, events integer) RETURNS TABLE (cursor text) LANGUAGE plpgsql AS $$
DECLARE
    page text[];
BEGIN
    WHILE events > 0 LOOP
        page := ARRAY(SELECT e.cursor FROM reservation.events_since(start, size) e);
        ASSERT cardinality(page) <= size;
        RETURN QUERY SELECT * FROM unnest(page);
        events := events - cardinality(page);
        start := coalesce(page[cardinality(page)], start);
    END LOOP;
    ASSERT NOT EXISTS (SELECT FROM reservation.events_since(start));
END
$$;
SELECT size, bool_and(e.cursor = f.cursor) AS same, count(*) = :events AS complete
FROM unnest(ARRAY[1, 2, 7, 1000]) size,
    ROWS FROM (pg_temp.follow(:'start', size, :events)) WITH ORDINALITY AS f (cursor, place)
    JOIN (SELECT format('%s.%s', position, step) AS cursor, row_number() OVER (ORDER BY position, step) AS place
        FROM reservation.events WHERE position > :before) e USING (place)
GROUP BY size ORDER BY size;
SELECT count(*) = (SELECT count(*) FROM reservation.events) AS everything FROM reservation.events_since(max => 1000000);
SELECT e.kind, e.event, e.pool, e.holder FROM reservation.events_since(:'start', 4) e;

-- with the indexes, the same
SELECT status FROM reservation.index_events();
SELECT status FROM reservation.index_events();
SELECT count(*) = :events AS same FROM pg_temp.follow(:'start', 3, :events);
SELECT relname FROM pg_class WHERE relname ~ '^(claim|log|ticket)_position$' ORDER BY 1;
SELECT status FROM reservation.claim_next('e runners', 'bob');
SELECT status FROM reservation.index_events(false);
SELECT status FROM reservation.index_events(false);
SELECT relname FROM pg_class WHERE relname ~ '^(claim|log|ticket)_position$' ORDER BY 1;

-- the name of the role is as of the event
ALTER ROLE event_clerk RENAME TO event_cashier;
SET ROLE event_cashier;
SELECT status FROM reservation.adjust('e stock', 1);
RESET ROLE;
SELECT DISTINCT actor FROM reservation.events WHERE pool = 'e stock' AND actor ~ '^event' ORDER BY 1;

SELECT * FROM reservation.verify();
DROP TABLE event_runner;
DROP OWNED BY event_cashier;
DROP ROLE event_cashier;

-- whoever may read the events may follow them
CREATE ROLE event_reader;
SELECT status FROM reservation.grant_access('event_reader', 'read');
SET ROLE event_reader;
SELECT count(*) = (SELECT count(*) FROM reservation.events) AS everything, count(holder) AS holders FROM reservation.events_since(max => 1000000);
RESET ROLE;
REVOKE ALL ON ALL TABLES IN SCHEMA reservation FROM event_reader;
SET ROLE event_reader;
SELECT count(*) FROM reservation.events_since();
RESET ROLE;
DROP OWNED BY event_reader;
DROP ROLE event_reader;
