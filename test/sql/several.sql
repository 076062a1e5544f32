-- Several units in one call: all or none.
\a
\pset footer off

SELECT status FROM reservation.create_pool('group', 6);
SELECT status, pool, number, holder, available, replayed FROM reservation.claim_next('group', 'ann', 3);
SELECT status, claim_id, number, available FROM reservation.claim_next('group', 'bob', 4);
SELECT available, held FROM reservation.availability('{group}');

-- one row, one claim and one end for each unit
SELECT count(*), count(DISTINCT claim_id) AS ids, count(DISTINCT expires_at) AS ends, min(quantity), max(quantity)
FROM reservation.claims WHERE pool = 'group' AND holder = 'ann';

-- around what others have; what is free need not be side by side
SELECT status, number FROM reservation.claim_unit('group', 5, 'cem');
SELECT status, number FROM reservation.claim_next('group', 'dan', count => 2);
SELECT status, available FROM reservation.claim_next('group', 'eve', 1);

-- each is settled by itself
SELECT c.number, f.status FROM (SELECT * FROM reservation.claims WHERE pool = 'group' AND holder = 'ann' ORDER BY number) c,
    LATERAL reservation.finalize(c.claim_id) f;
SELECT claim_id AS two FROM reservation.claims WHERE pool = 'group' AND number = 2 \gset
SELECT status FROM reservation.refund(:'two');
SELECT status, available FROM reservation.claim_next('group', 'eve', 2);
SELECT status, number FROM reservation.claim_next('group', 'eve', 1);

-- free units and lapsed ones together, in the order of their numbers
SELECT status FROM reservation.create_pool('mix', 6);
SELECT number FROM reservation.claim_unit('mix', 2, 'ann', ttl => '1 microsecond');
SELECT number FROM reservation.claim_unit('mix', 5, 'ann', ttl => '1 microsecond');
SELECT number FROM reservation.claim_unit('mix', 3, 'ann');
SELECT status, available FROM reservation.claim_next('mix', 'bob', 6);
SELECT available FROM reservation.availability('{mix}');
SELECT status, number FROM reservation.claim_next('mix', 'bob', 5);
SELECT number, holder, state FROM reservation.claims WHERE pool = 'mix' ORDER BY number, claimed_at;

-- repeated by request id: all rows again
SELECT status FROM reservation.create_pool('again', 6);
SELECT status, number, replayed FROM reservation.claim_next('again', 'ann', 3, request_id => 'r1');
SELECT status, number, replayed FROM reservation.claim_next('again', 'ann', 3, request_id => 'r1');
SELECT n.number, n.claim_id = c.claim_id AS same
FROM reservation.claim_next('again', 'ann', 3, request_id => 'r1') n JOIN reservation.claims c USING (pool, number);

-- many
SELECT status FROM reservation.create_pool('many', 10001);
SELECT status, count(*), min(number), max(number), count(DISTINCT claim_id) AS ids
FROM reservation.claim_next('many', 'ann', 10000) GROUP BY status;
SELECT status, available FROM reservation.claim_next('many', 'bob', 2);
SELECT status, number FROM reservation.claim_next('many', 'bob');
SELECT available, held, state FROM reservation.availability('{many}');
SELECT status FROM reservation.drop_pool('many', true);

SELECT * FROM reservation.verify();
