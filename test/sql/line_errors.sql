-- What the waiting line refuses.
\a
\pset footer off
SELECT * FROM reservation.create_pool('line misuse', 1);
SELECT * FROM reservation.create_pool('line stock', 1, 'counted');

SELECT * FROM reservation.join_line('nowhere', 'ann');
SELECT * FROM reservation.join_line(NULL, 'ann');
SELECT * FROM reservation.join_line('line misuse', NULL);
SELECT * FROM reservation.join_line('line misuse', '');
SELECT * FROM reservation.join_line('line misuse', repeat('x', 1001));
SELECT * FROM reservation.join_line('line misuse', 'ann', 0);
SELECT * FROM reservation.join_line('line misuse', 'ann', -1);
SELECT * FROM reservation.join_line('line misuse', 'ann', NULL);
SELECT * FROM reservation.join_line('line misuse', 'ann', 100001);
SELECT * FROM reservation.join_line('line misuse', 'ann', 1, NULL);
SELECT * FROM reservation.join_line('line misuse', 'ann', request_id => '');
SELECT * FROM reservation.leave_line(NULL);
SELECT * FROM reservation.leave_line('00000000-0000-0000-0000-000000000000');
SELECT * FROM reservation.line_position(NULL);
SELECT * FROM reservation.line_position('00000000-0000-0000-0000-000000000000');
SELECT * FROM reservation.serve_line('nowhere');
SELECT * FROM reservation.serve_line(NULL);
SELECT * FROM reservation.serve_line('line misuse', 0);
SELECT * FROM reservation.serve_line('line misuse', NULL);
SELECT * FROM reservation.serve_line('line misuse', 1000001);
SELECT * FROM reservation.serve_line('line misuse', method => 'lifo');
SELECT * FROM reservation.serve_line('line misuse', method => NULL);
SELECT * FROM reservation.serve_line('line misuse', method => 'lottery');
SELECT * FROM reservation.serve_line('line misuse', method => 'lottery', seed => '');
SELECT * FROM reservation.serve_line('line misuse', seed => 's');
SELECT * FROM reservation.serve_line('line misuse', method => 'lottery', seed => 's');
SELECT * FROM reservation.alter_pool('line misuse', offer_ttl => '0');
SELECT * FROM reservation.alter_pool('line misuse', offer_ttl => '-1 s');
SELECT * FROM reservation.alter_pool('line misuse', notify_every => '-1 s');
SELECT * FROM reservation.alter_pool('line misuse', notify_every => '1001 years');
SELECT * FROM reservation.create_pool('line misuse', 1, pass_over => true);
SELECT * FROM reservation.create_pool('line misuse', 1, offer_ttl => '1 h');
SELECT * FROM reservation.create_pool('line misuse', 1, notify_every => '1 h');

-- the largest and the smallest there are
SELECT status FROM reservation.take('line stock', 'first');
SELECT status, position FROM reservation.join_line('line stock', 'ann', 9223372036854775807, 2147483647);
SELECT status, position FROM reservation.join_line('line stock', 'bob', 9223372036854775807, -2147483648);
SELECT status, position FROM reservation.join_line('line stock', 'cem', 1, 2147483647);
SELECT l.status FROM reservation.tickets t, reservation.leave_line(t.ticket_id) l WHERE t.pool = 'line stock' AND t.holder = 'ann';
SELECT l.status, l.position FROM reservation.tickets t, reservation.line_position(t.ticket_id) l WHERE t.pool = 'line stock' AND t.holder = 'bob';

-- a read-only transaction: looking is allowed
BEGIN READ ONLY;
SELECT l.status, l.position FROM reservation.tickets t, reservation.line_position(t.ticket_id) l WHERE t.pool = 'line stock' AND t.holder = 'bob';
SELECT * FROM reservation.join_line('line misuse', 'ann');
ROLLBACK;
BEGIN READ ONLY;
SELECT l.* FROM reservation.tickets t, reservation.leave_line(t.ticket_id) l WHERE t.pool = 'line stock' AND t.holder = 'bob';
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM reservation.serve_line('line stock');
ROLLBACK;

-- a join that rolls back leaves nobody in line
BEGIN;
SELECT status FROM reservation.claim_next('line misuse', 'x');
SELECT status FROM reservation.join_line('line misuse', 'ann');
SAVEPOINT s;
SELECT status, position FROM reservation.join_line('line misuse', 'bob');
ROLLBACK TO s;
SELECT status, position FROM reservation.join_line('line misuse', 'cem');
ROLLBACK;
SELECT count(*) FROM reservation.tickets WHERE pool = 'line misuse';
SELECT status, number FROM reservation.claim_next('line misuse', 'x');
SELECT * FROM reservation.verify();
