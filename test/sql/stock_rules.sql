-- Rules of counted pools: per_holder, window and pause, dropping.
\a
\pset footer off

-- per_holder counts quantities, held and sold
SELECT status FROM reservation.create_pool('limited', 100, 'counted', per_holder => 5);
SELECT claim_id AS three FROM reservation.take('limited', 'ann', 3) \gset
SELECT status, available FROM reservation.take('limited', 'ann', 4);
SELECT status, claim_id = :'three' AS same, quantity, available FROM reservation.take('limited', 'ann', 3);
SELECT status, quantity FROM reservation.take('limited', 'ann', 2);
SELECT status, quantity FROM reservation.take('limited', 'ann', 5) ORDER BY quantity;
SELECT status FROM reservation.finalize(:'three');
SELECT status FROM reservation.take('limited', 'ann', 1);
SELECT status FROM reservation.refund(:'three', 2);
SELECT status, quantity FROM reservation.take('limited', 'ann', 2);
SELECT status, available FROM reservation.take('limited', 'ann', 9223372036854775807);

-- window and pause
SELECT status FROM reservation.create_pool('tee later', 5, 'counted', opens_at => '2999-01-01 00:00+00');
SELECT status, available FROM reservation.take('tee later', 'ann');
SELECT status FROM reservation.alter_pool('tee later', opens_at => '2000-01-01 00:00+00', paused => true);
SELECT status, available FROM reservation.take('tee later', 'ann');
SELECT status FROM reservation.alter_pool('tee later', paused => false, closes_at => '2001-01-01 00:00+00');
SELECT status, available FROM reservation.take('tee later', 'ann');

-- dropped
SELECT status FROM reservation.drop_pool('limited');
SELECT status FROM reservation.drop_pool('limited', true);
SELECT state, count(*) FROM reservation.claims WHERE pool = 'limited' GROUP BY state ORDER BY state;
SELECT status, refunded FROM reservation.refund(:'three');
SELECT * FROM reservation.verify();

-- a lapsed hold is not forgotten by a take that had enough without it, in several slots
SELECT status FROM reservation.create_pool('scattered', 10, 'counted');
SELECT status FROM reservation.take('scattered', 'late', 2, ttl => '1 us');
SELECT status FROM reservation.take('scattered', 'ann', 6);
SELECT status FROM reservation.take('scattered', 'ann', 2);
SELECT status, available FROM reservation.take('scattered', 'ann', 2);
SELECT * FROM reservation.verify();
