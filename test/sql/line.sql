-- The waiting line: joining, one's place, offers, leaving, serving.
\a
\pset footer off

CREATE VIEW line AS SELECT number, holder, quantity, priority, state FROM reservation.tickets WHERE pool = 'line print' ORDER BY number;
CREATE FUNCTION place(name text) RETURNS TABLE (status text, "position" bigint, offered boolean) LANGUAGE sql AS $$
    SELECT l.status, l.position, l.claim_id IS NOT NULL FROM reservation.tickets t, reservation.line_position(t.ticket_id) l
    WHERE t.holder = name ORDER BY t.number DESC LIMIT 1 $$;
CREATE FUNCTION ticket(name text) RETURNS uuid LANGUAGE sql AS $$
    SELECT ticket_id FROM reservation.tickets WHERE holder = name ORDER BY number DESC LIMIT 1 $$;

-- capacity 7, ten waiting: the first seven are offered, the rest stand 1, 2, 3
SELECT * FROM reservation.create_pool('line print', 7, opens_at => 'tomorrow');
SELECT status, position, claim_id, replayed FROM generate_series(1, 10) n, reservation.join_line('line print', 'h' || n);
SELECT waited, available, state FROM reservation.pool_status WHERE pool = 'line print';
SELECT holder, number, quantity, expires_at > now() AS held FROM reservation.serve_line('line print');
SELECT name, p.* FROM unnest('{h1,h7,h8,h9,h10}'::text[]) name, place(name) p;
SELECT * FROM line;
SELECT count(*) FROM reservation.holds WHERE pool = 'line print';

-- somebody leaves: the others move up; leaving again is the same
SELECT status FROM reservation.leave_line(ticket('h9'));
SELECT status FROM reservation.leave_line(ticket('h9'));
SELECT name, p.* FROM unnest('{h8,h9,h10}'::text[]) name, place(name) p;

-- on sale: what comes free is the line's, not that of a passer-by
SELECT status FROM reservation.alter_pool('line print', opens_at => 'yesterday');
SELECT status, available FROM reservation.claim_next('line print', 'passer');
SELECT status, available FROM reservation.claim_unit('line print', 1, 'passer');
SELECT status FROM reservation.release((SELECT claim_ids[1] FROM reservation.tickets WHERE holder = 'h3'));
SELECT name, p.* FROM unnest('{h3,h8,h10}'::text[]) name, place(name) p;
SELECT number FROM reservation.holds WHERE pool = 'line print' AND holder = 'h8';

-- who has a ticket or an offer gets no second one; who has finalized may come again
SELECT status, position, claim_id, ticket_id = ticket('h10') AS same FROM reservation.join_line('line print', 'h10', 5, 9);
SELECT status, position, claim_id IS NOT NULL AS offered, ticket_id = ticket('h1') AS same FROM reservation.join_line('line print', 'h1');
SELECT status, number FROM reservation.finalize((SELECT claim_ids[1] FROM reservation.tickets WHERE holder = 'h1'));
SELECT * FROM place('h1');
SELECT status FROM reservation.leave_line(ticket('h1'));
SELECT status, position FROM reservation.join_line('line print', 'h1');
SELECT status FROM reservation.leave_line(ticket('h1'));

-- leaving with an offer hands it to the next
SELECT status FROM reservation.leave_line(ticket('h2'));
SELECT name, p.* FROM unnest('{h2,h10}'::text[]) name, place(name) p;

-- nobody waits: a unit that comes free is anybody's again
SELECT status FROM reservation.release((SELECT claim_ids[1] FROM reservation.tickets WHERE holder = 'h4'));
SELECT available, state FROM reservation.availability('{line print}');
SELECT status, number FROM reservation.claim_next('line print', 'passer');

-- priority reverses the order of joining
SELECT r.status FROM (SELECT claim_id FROM reservation.holds WHERE pool = 'line print' ORDER BY number) h, reservation.release(h.claim_id) r;
SELECT * FROM reservation.create_pool('line priority', 3);
SELECT status FROM reservation.claim_next('line priority', 'first', 3);
SELECT status, position FROM generate_series(1, 5) n, reservation.join_line('line priority', 'p' || n, priority => n);
SELECT name, p.* FROM unnest('{p1,p2,p3,p4,p5}'::text[]) name, place(name) p;
SELECT r.status FROM (SELECT claim_id FROM reservation.holds WHERE pool = 'line priority' AND holder = 'first' ORDER BY number) h, reservation.release(h.claim_id) r;
SELECT holder, number FROM reservation.holds WHERE pool = 'line priority' ORDER BY number;
SELECT name, p.* FROM unnest('{p1,p2}'::text[]) name, place(name) p;

-- the first wants more than there is: it waits for all of it, and nobody passes, unless the pool says so
SELECT * FROM reservation.create_pool('line several', 3);
SELECT status FROM reservation.claim_next('line several', 'x', 3);
SELECT status, position FROM reservation.join_line('line several', 's-two', 2);
SELECT status, position FROM reservation.join_line('line several', 's-three', 3);
SELECT status, position FROM reservation.join_line('line several', 's-one');
SELECT status FROM reservation.release((SELECT claim_id FROM reservation.holds WHERE pool = 'line several' AND number = 2));
SELECT available, state FROM reservation.availability('{line several}');
SELECT status, available FROM reservation.claim_next('line several', 'passer');
SELECT * FROM reservation.serve_line('line several');
SELECT status FROM reservation.release((SELECT claim_id FROM reservation.holds WHERE pool = 'line several' AND number = 1));
SELECT holder, number FROM reservation.holds WHERE pool = 'line several' ORDER BY number;
SELECT cardinality(claim_ids) FROM reservation.tickets WHERE holder = 's-two';
SELECT status FROM reservation.release((SELECT claim_id FROM reservation.holds WHERE pool = 'line several' AND number = 3));
SELECT name, p.* FROM unnest('{s-three,s-one}'::text[]) name, place(name) p;
SELECT status FROM reservation.alter_pool('line several', pass_over => true);
SELECT name, p.* FROM unnest('{s-three,s-one}'::text[]) name, place(name) p;
SELECT status FROM reservation.leave_line(ticket('s-two'));
SELECT status FROM reservation.leave_line(ticket('s-one'));
SELECT holder, number FROM reservation.holds WHERE pool = 'line several' ORDER BY number;

-- something is free and nobody waits: offered at once; in an open edition always
SELECT * FROM reservation.create_pool('line fresh', 2);
SELECT status, position, claim_id IS NOT NULL AS offered FROM reservation.join_line('line fresh', 'f1');
SELECT status, position FROM reservation.join_line('line fresh', 'f2', 2);
SELECT status, number FROM reservation.claim_next('line fresh', 'passer');
SELECT * FROM reservation.create_pool('line open');
SELECT status FROM reservation.join_line('line open', 'o1', 3);
SELECT number FROM reservation.holds WHERE pool = 'line open' ORDER BY number;

-- an offer lapses: the next call that looks offers it to the next, without any job
CREATE FUNCTION offered() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(holder, ' ' ORDER BY number) FROM reservation.tickets WHERE pool = 'line lapse' AND state <> 'waiting' $$;
SELECT * FROM reservation.create_pool('line lapse', 1, hold_ttl => '1 day', offer_ttl => '1 microsecond');
SELECT status FROM reservation.claim_next('line lapse', 'first');
SELECT status FROM generate_series(1, 6) n, reservation.join_line('line lapse', 'l' || n);
SELECT h.until - h.since AS ttl FROM reservation.holds h WHERE pool = 'line lapse';
SELECT status FROM reservation.release((SELECT claim_id FROM reservation.holds WHERE pool = 'line lapse'));
SELECT expires_at - claimed_at AS ttl FROM reservation.claims WHERE holder = 'l1';
SELECT * FROM place('l1');
SELECT offered();
SELECT status FROM reservation.claim_next('line lapse', 'passer');
SELECT offered();
SELECT status, position FROM reservation.join_line('line lapse', 'l7');
SELECT offered();
SELECT status FROM reservation.sweep();
SELECT offered();
SELECT holder FROM reservation.serve_line('line lapse');
-- a late finalize obeys the line as a new claim would
SELECT status FROM reservation.finalize((SELECT claim_ids[1] FROM reservation.tickets WHERE holder = 'l5'));
SELECT offered();
-- nobody waits after the last: then it is late, and good
SELECT status FROM reservation.join_line('line lapse', 'l7');
SELECT offered();
SELECT status, late FROM reservation.finalize((SELECT claim_ids[1] FROM reservation.tickets WHERE holder = 'l7' AND state = 'lapsed' ORDER BY number DESC LIMIT 1));

-- per_holder counts tickets and offers
SELECT * FROM reservation.create_pool('line limited', 5, per_holder => 2, opens_at => 'tomorrow');
SELECT status, position, ticket_id FROM reservation.join_line('line limited', 'ann', 3);
SELECT status, position FROM reservation.join_line('line limited', 'ann');
SELECT status, position FROM reservation.join_line('line limited', 'bob', 2);
SELECT holder, number FROM reservation.serve_line('line limited', 1);
SELECT status FROM reservation.alter_pool('line limited', opens_at => 'yesterday');
SELECT holder, number FROM reservation.holds WHERE pool = 'line limited' ORDER BY number;
SELECT status FROM reservation.claim_next('line limited', 'ann', 2);
SELECT status, number FROM reservation.claim_next('line limited', 'ann');
SELECT f.status FROM reservation.holds h, reservation.finalize(h.claim_id) f WHERE h.pool = 'line limited' AND h.holder = 'bob';
SELECT status, ticket_id FROM reservation.join_line('line limited', 'bob');
SELECT status FROM reservation.claim_next('line limited', 'cem');
SELECT status, position FROM reservation.join_line('line limited', 'dan', 2);
SELECT status FROM reservation.claim_next('line limited', 'dan');

-- repeatable calls
SELECT status, position, replayed FROM reservation.join_line('line limited', 'eve', request_id => 'r1');
SELECT status, position, replayed, ticket_id = ticket('eve') AS same FROM reservation.join_line('line limited', 'eve', request_id => 'r1');
SELECT status, position, replayed FROM reservation.join_line('line limited', 'eve');
SELECT status FROM reservation.join_line('line limited', 'eve', 2, request_id => 'r1');

-- the first to join makes the sequence of the tickets: also if that was undone, and after somebody dropped it
SELECT status FROM reservation.create_pool('line undone', 1);
BEGIN;
SAVEPOINT s;
SELECT status, position FROM reservation.join_line('line undone', 'ann');
ROLLBACK TO s;
SELECT status, position FROM reservation.join_line('line undone', 'bob');
ROLLBACK;
SELECT status, position FROM reservation.join_line('line undone', 'cem');
DO $$
DECLARE
    sequence text := (SELECT format('reservation.pool_%s_ticket', pool_id) FROM reservation.pool WHERE pool = 'line undone');
BEGIN
    EXECUTE 'ALTER EXTENSION reservation DROP SEQUENCE ' || sequence;
    EXECUTE 'DROP SEQUENCE ' || sequence;
END $$;
SELECT status FROM reservation.join_line('line undone', 'dan');
SELECT holder, number FROM reservation.tickets WHERE pool = 'line undone' ORDER BY number;

-- making a sequence may itself draw from another: an event trigger that writes a row with a number of an open edition
-- (which the session keeps in the same place, 128 pools further)
SELECT status FROM reservation.create_pool('line diary');
SELECT count(*) FROM generate_series(1, 127) n, LATERAL reservation.create_pool('line filler ' || n);
SELECT status FROM reservation.create_pool('line noted', opens_at => 'tomorrow');
SELECT (SELECT pool_id FROM reservation.pool WHERE pool = 'line noted') - (SELECT pool_id FROM reservation.pool WHERE pool = 'line diary') AS apart;
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tg_tag = 'CREATE SEQUENCE' THEN
        PERFORM reservation.join_line('line diary', 'diary ' || gen_random_uuid());
    END IF;
END $$;
SELECT status FROM reservation.join_line('line diary', 'first');
CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note();
SELECT status, position FROM reservation.join_line('line noted', 'ann');
DROP EVENT TRIGGER note;
SELECT status, position FROM reservation.join_line('line noted', 'bob');
SELECT holder, number FROM reservation.tickets WHERE pool = 'line noted' ORDER BY number;
SELECT count(*) FROM reservation.pool_status p, LATERAL reservation.drop_pool(p.pool, true) WHERE p.pool LIKE 'line filler %';

-- the sale is over; the pool is gone, and its line with it
SELECT status FROM reservation.alter_pool('line limited', closes_at => 'today');
SELECT status, ticket_id FROM reservation.join_line('line limited', 'fay');
SELECT status FROM reservation.drop_pool('line limited', true);
SELECT * FROM place('eve');
SELECT * FROM reservation.verify();
