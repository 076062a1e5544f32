\set n random(1, 1000000)
SELECT l.position FROM (SELECT ticket_id FROM reservation.ticket WHERE number = :n AND pool_id = 1 AND priority = 0 AND state = 'waiting') t,
    LATERAL reservation.line_position(t.ticket_id) l;
