-- A lottery: the same seed and the same tickets give the same winners, and anybody can recompute them.
\a
\pset footer off

SELECT status FROM reservation.create_pool('line draw', 3, opens_at => 'tomorrow');
SELECT count(*) FROM generate_series(1, 20) n, reservation.join_line('line draw', 'h' || n);
-- tickets of known ids, so that the winners can be written down here
UPDATE reservation.ticket SET ticket_id = ('00000000-0000-7000-8000-' || lpad(number::text, 12, '0'))::uuid
WHERE pool_id = (SELECT pool_id FROM reservation.pool WHERE pool = 'line draw');

-- the documented method, in one line of SQL: for this seed, 20 tickets and 3 units
CREATE VIEW recomputed AS
    SELECT holder FROM reservation.tickets WHERE pool = 'line draw' AND (state = 'waiting' OR state = 'offered')
    ORDER BY priority DESC, sha256(convert_to('Grüße 42' || ':' || ticket_id, 'UTF8'));
CREATE TABLE winners AS SELECT row_number() OVER () AS place, holder FROM recomputed LIMIT 3;
SELECT holder FROM winners ORDER BY place;

BEGIN;
SELECT holder, number FROM reservation.serve_line('line draw', method => 'lottery', seed => 'Grüße 42');
ROLLBACK;
-- another seed, other winners
BEGIN;
SELECT holder, number FROM reservation.serve_line('line draw', method => 'lottery', seed => 'other');
ROLLBACK;
-- in batches, the same; what leaves between them changes nothing for the others
SELECT holder, number FROM reservation.serve_line('line draw', 1, 'lottery', 'Grüße 42');
SELECT l.status FROM reservation.tickets t, reservation.leave_line(t.ticket_id) l
WHERE t.pool = 'line draw' AND t.state = 'waiting' AND t.holder NOT IN (SELECT holder FROM winners) LIMIT 1;
SELECT holder, number FROM reservation.serve_line('line draw', 5, 'lottery', 'Grüße 42');
SELECT array_agg(holder ORDER BY holder) = (SELECT array_agg(holder ORDER BY holder) FROM winners) AS the_same
FROM reservation.tickets WHERE pool = 'line draw' AND state = 'offered';
-- priority comes first
SELECT status FROM reservation.join_line('line draw', 'friend', priority => 1);
SELECT status FROM reservation.add_units('line draw', 1);
SELECT holder, number FROM reservation.serve_line('line draw', 1, 'lottery', 'Grüße 42');
-- who wants more than there is blocks the others, unless the pool says otherwise
SELECT status FROM reservation.join_line('line draw', 'greedy', 2, 1);
SELECT status FROM reservation.add_units('line draw', 1);
SELECT holder FROM reservation.serve_line('line draw', 5, 'lottery', 'Grüße 42');
SELECT status FROM reservation.alter_pool('line draw', pass_over => true);
SELECT count(*) FROM reservation.serve_line('line draw', 5, 'lottery', 'Grüße 42');
-- nobody is offered anything but by the draw, until the pool opens
SELECT status FROM reservation.add_units('line draw', 1);
SELECT status FROM reservation.sweep();
SELECT status FROM reservation.join_line('line draw', 'eager');
SELECT count(*) FROM reservation.tickets WHERE pool = 'line draw' AND state = 'offered';
SELECT status FROM reservation.alter_pool('line draw', opens_at => 'yesterday');
SELECT count(*) FROM reservation.tickets WHERE pool = 'line draw' AND state = 'offered';

-- stock, in a lottery and in order
SELECT status FROM reservation.create_pool('line stock draw', 10, 'counted');
SELECT status FROM reservation.alter_pool('line stock draw', paused => true);
SELECT status, position FROM generate_series(1, 4) n, reservation.join_line('line stock draw', 's' || n, 4);
SELECT number IS NULL AS unnumbered, sum(quantity), count(*) FROM reservation.serve_line('line stock draw', method => 'lottery', seed => 's') GROUP BY 1;
SELECT available, state FROM reservation.availability('{line stock draw}');
SELECT * FROM reservation.verify();
DROP VIEW recomputed;
DROP TABLE winners;
