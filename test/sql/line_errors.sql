-- What the waiting line refuses.
\a
\pset footer off
SELECT * FROM reservation.create_pool('line print', 1);
SELECT * FROM reservation.create_pool('line stock', 1, 'counted');

SELECT * FROM reservation.join_line('nowhere', 'ann');
SELECT * FROM reservation.join_line(NULL, 'ann');
SELECT * FROM reservation.join_line('line print', NULL);
SELECT * FROM reservation.join_line('line print', '');
SELECT * FROM reservation.join_line('line print', repeat('x', 1001));
SELECT * FROM reservation.join_line('line print', 'ann', 0);
SELECT * FROM reservation.join_line('line print', 'ann', -1);
SELECT * FROM reservation.join_line('line print', 'ann', NULL);
SELECT * FROM reservation.join_line('line print', 'ann', 100001);
SELECT * FROM reservation.join_line('line print', 'ann', 1, NULL);
SELECT * FROM reservation.join_line('line print', 'ann', request_id => '');
SELECT * FROM reservation.leave_line(NULL);
SELECT * FROM reservation.leave_line('00000000-0000-0000-0000-000000000000');
SELECT * FROM reservation.line_position(NULL);
SELECT * FROM reservation.line_position('00000000-0000-0000-0000-000000000000');
SELECT * FROM reservation.serve_line('nowhere');
SELECT * FROM reservation.serve_line(NULL);
SELECT * FROM reservation.serve_line('line print', 0);
SELECT * FROM reservation.serve_line('line print', NULL);
SELECT * FROM reservation.serve_line('line print', 1000001);
SELECT * FROM reservation.serve_line('line print', method => 'lifo');
SELECT * FROM reservation.serve_line('line print', method => NULL);
SELECT * FROM reservation.serve_line('line print', method => 'lottery');
SELECT * FROM reservation.serve_line('line print', method => 'lottery', seed => '');
SELECT * FROM reservation.serve_line('line print', seed => 's');
SELECT * FROM reservation.serve_line('line print', method => 'lottery', seed => 's');
SELECT * FROM reservation.alter_pool('line print', offer_ttl => '0');
SELECT * FROM reservation.alter_pool('line print', offer_ttl => '-1 s');
SELECT * FROM reservation.alter_pool('line print', notify_every => '-1 s');
SELECT * FROM reservation.alter_pool('line print', notify_every => '1001 years');
SELECT * FROM reservation.create_pool('line print', 1, pass_over => true);
SELECT * FROM reservation.create_pool('line print', 1, offer_ttl => '1 h');
SELECT * FROM reservation.create_pool('line print', 1, notify_every => '1 h');

-- the largest and the smallest there are
SELECT status FROM reservation.take('line stock', 'first');
SELECT status, position FROM reservation.join_line('line stock', 'ann', 9223372036854775807, 2147483647);
SELECT status, position FROM reservation.join_line('line stock', 'bob', 9223372036854775807, -2147483648);
SELECT status, position FROM reservation.join_line('line stock', 'cem', 1, 2147483647);
SELECT l.status FROM reservation.tickets t, reservation.leave_line(t.ticket_id) l WHERE t.holder = 'ann';
SELECT l.status, l.position FROM reservation.tickets t, reservation.line_position(t.ticket_id) l WHERE t.holder = 'bob';

-- a read-only transaction: looking is allowed
BEGIN READ ONLY;
SELECT l.status, l.position FROM reservation.tickets t, reservation.line_position(t.ticket_id) l WHERE t.holder = 'bob';
SELECT * FROM reservation.join_line('line print', 'ann');
ROLLBACK;
BEGIN READ ONLY;
SELECT l.* FROM reservation.tickets t, reservation.leave_line(t.ticket_id) l WHERE t.holder = 'bob';
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM reservation.serve_line('line stock');
ROLLBACK;

-- a join that rolls back leaves nobody in line
BEGIN;
SELECT status FROM reservation.claim_next('line print', 'x');
SELECT status FROM reservation.join_line('line print', 'ann');
SAVEPOINT s;
SELECT status, position FROM reservation.join_line('line print', 'bob');
ROLLBACK TO s;
SELECT status, position FROM reservation.join_line('line print', 'cem');
ROLLBACK;
SELECT count(*) FROM reservation.tickets WHERE pool = 'line print';
SELECT status, number FROM reservation.claim_next('line print', 'x');
SELECT * FROM reservation.verify();
