-- Open editions: unlimited, numbered when claimed.
\a
\pset footer off

-- what earlier tests left behind
SELECT status FROM reservation.sweep();

SELECT * FROM reservation.create_pool('zine');
SELECT * FROM reservation.availability('{zine}');
SELECT number, state FROM reservation.units WHERE pool = 'zine';

SELECT status, pool, number, label, holder, available, replayed FROM reservation.claim_next('zine', 'ann');
SELECT claim_id AS two FROM reservation.claim_next('zine', 'bob') \gset
SELECT status, number FROM reservation.claim_next('zine', 'cem', 3);
SELECT * FROM reservation.availability('{zine}');

-- a number given back is the next one out
SELECT status FROM reservation.release(:'two');
SELECT number, state FROM reservation.units WHERE pool = 'zine' ORDER BY number;
SELECT status, number FROM reservation.claim_next('zine', 'dan', 2);

-- so is one whose hold has lapsed
SELECT number FROM reservation.claim_next('zine', 'eve', ttl => '1 microsecond');
SELECT number FROM reservation.claim_next('zine', 'fay');

-- a number that was rolled back is not used again: it comes from a sequence
BEGIN;
SELECT status, number FROM reservation.claim_next('zine', 'gus');
ROLLBACK;
SELECT status, number FROM reservation.claim_next('zine', 'gus');

-- sold and refunded; by number only what the edition already has and what is free
SELECT claim_id AS sale FROM reservation.claim_next('zine', 'hal') \gset
SELECT status, number, quantity FROM reservation.finalize(:'sale');
SELECT finalized, state FROM reservation.availability('{zine}');
SELECT status, available FROM reservation.claim_unit('zine', 10, 'ida');
SELECT status, refunded FROM reservation.refund(:'sale');
SELECT status, number FROM reservation.claim_unit('zine', 10, 'ida');
SELECT status, number FROM reservation.claim_unit('zine', 8, 'ida');
SELECT number, holder, state FROM reservation.claims WHERE pool = 'zine' ORDER BY claimed_at, number;

-- it starts where it is told, and ends with the integers
SELECT status FROM reservation.create_pool('zine zero', first_number => 0);
SELECT status, number FROM reservation.claim_next('zine zero', 'ann', 2);
SELECT status FROM reservation.create_pool('zine end', first_number => 2147483646);
SELECT status, number FROM reservation.claim_next('zine end', 'ann');
SELECT status, number FROM reservation.claim_next('zine end', 'ann');
SELECT status, number, available FROM reservation.claim_next('zine end', 'ann');
SELECT claim_id AS last FROM reservation.claims WHERE pool = 'zine end' AND number = 2147483647 \gset
SELECT status FROM reservation.release(:'last');
SELECT status, number FROM reservation.claim_next('zine end', 'ann');

-- refusals have nothing to count
SELECT status FROM reservation.create_pool('zine limited', per_holder => 1, closes_at => '2999-01-01 00:00+00');
SELECT status, number FROM reservation.claim_next('zine limited', 'ann');
SELECT status, number, available FROM reservation.claim_next('zine limited', 'ann');
SELECT status, number, available FROM reservation.claim_next('zine limited', 'ann', 2);
SELECT status FROM reservation.alter_pool('zine limited', paused => true);
SELECT status, number, available FROM reservation.claim_next('zine limited', 'bob');
SELECT * FROM reservation.availability('{zine limited}');

-- late, with the number swept
SELECT claim_id AS late FROM reservation.claim_next('zine', 'jon', ttl => '1 microsecond') \gset
SELECT * FROM reservation.sweep();
SELECT status, number, late FROM reservation.finalize(:'late');

-- dropped, and made again from the start
SELECT status FROM reservation.drop_pool('zine');
SELECT status FROM reservation.drop_pool('zine', true);
SELECT count(*) FROM reservation.claims WHERE pool = 'zine' AND state = 'held';
SELECT status FROM reservation.create_pool('zine', first_number => 100);
SELECT status, number FROM reservation.claim_next('zine', 'ann');

-- made and dropped in a transaction that rolls back
BEGIN;
SELECT status FROM reservation.create_pool('zine gone');
SELECT status, number FROM reservation.claim_next('zine gone', 'ann');
ROLLBACK;
SELECT status FROM reservation.create_pool('zine gone');
SELECT status, number FROM reservation.claim_next('zine gone', 'ann');

-- no sequence is left of a pool that is gone
SELECT count(*) FROM reservation.pool p
JOIN pg_class c ON c.relnamespace = 'reservation'::regnamespace AND c.relname = format('pool_%s_number', p.pool_id)
WHERE p.dropped_at IS NOT NULL;

SELECT * FROM reservation.verify();
