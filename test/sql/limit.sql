-- Pools that limit what one holder may have.
\a
\pset footer off

SELECT status FROM reservation.create_pool('drop', 10, per_holder => 2);

-- up to the limit, each call is a new claim; then the call that would repeat a hold gets it back
SELECT claim_id AS one FROM reservation.claim_next('drop', 'ann') \gset
SELECT status, number FROM reservation.claim_next('drop', 'ann');
SELECT status, number, available FROM reservation.claim_next('drop', 'ann');
SELECT status, number, claim_id IS NOT NULL AS has_id, holder, expires_at > now() AS has_end, available, replayed
FROM reservation.claim_next('drop', 'ann', 2);
SELECT status, number, available FROM reservation.claim_next('drop', 'ann', 3);
SELECT available, held FROM reservation.availability('{drop}');

-- other holders are other holders, to the byte
SELECT status, number FROM reservation.claim_next('drop', 'Ann', 2);
SELECT status, number FROM reservation.claim_next('drop', 'ann ', 2);

-- more at once than the limit: nothing is taken
SELECT status, claim_id, number, available FROM reservation.claim_next('drop', 'bob', 3);

-- what is sold counts, and is not "existing"
SELECT status FROM reservation.finalize(:'one');
SELECT status, number FROM reservation.claim_next('drop', 'ann', 2);
SELECT status, number FROM reservation.claim_next('drop', 'ann');
SELECT status, number FROM reservation.claim_unit('drop', 2, 'ann');
SELECT status, number FROM reservation.claim_unit('drop', 1, 'ann');
SELECT status, number, available FROM reservation.claim_unit('drop', 9, 'ann');

-- what is given back, refunded or over does not
SELECT status FROM reservation.refund(:'one');
SELECT status, number FROM reservation.claim_next('drop', 'ann', ttl => '1 microsecond');
SELECT status, number FROM reservation.claim_next('drop', 'ann', ttl => '1 microsecond');
SELECT claim_id AS one, number FROM reservation.claim_next('drop', 'ann') \gset
SELECT status, number FROM reservation.claim_next('drop', 'ann', 2) ORDER BY number;
SELECT status FROM reservation.release(:'one');
SELECT status, number FROM reservation.claim_unit('drop', 1, 'ann');

-- one per holder: a stale hold of one's own stands in nobody's way
SELECT status FROM reservation.create_pool('one', 2, per_holder => 1);
SELECT claim_id AS first FROM reservation.claim_next('one', 'ann', ttl => '1 microsecond') \gset
SELECT claim_id AS second FROM reservation.claim_next('one', 'ann') \gset
SELECT status, claim_id = :'second' AS same FROM reservation.claim_next('one', 'ann');
SELECT status, claim_id = :'second' AS same FROM reservation.claim_unit('one', 1, 'ann');
SELECT status, available FROM reservation.claim_unit('one', 2, 'ann');

-- the limit comes before the supply: who has one already hears so, even when nothing is left
SELECT status, number FROM reservation.claim_next('one', 'bob');
SELECT status, number FROM reservation.claim_next('one', 'ann');
SELECT status, number, available FROM reservation.claim_next('one', 'ann', 2);
SELECT status, number, available FROM reservation.claim_next('one', 'cem');
SELECT status, number, available FROM reservation.claim_unit('one', 1, 'cem');

-- late: as a new claim would. The limit is full, so the old hold cannot come back
SELECT status FROM reservation.finalize(:'first');
SELECT status FROM reservation.release(:'second');
SELECT status, number, late FROM reservation.finalize(:'first');
SELECT status, available FROM reservation.claim_next('one', 'ann');

-- within the time of the hold it always can, whatever the limit has become since
SELECT status FROM reservation.create_pool('shrunk', 3, per_holder => 3);
SELECT status, number FROM reservation.claim_next('shrunk', 'ann', 3);
SELECT claim_id AS three FROM reservation.claims WHERE pool = 'shrunk' AND number = 3 \gset
SELECT status FROM reservation.alter_pool('shrunk', per_holder => 1);
SELECT status FROM reservation.finalize(:'three');
SELECT status FROM reservation.claim_next('shrunk', 'ann');

-- a limit that came later counts what was there before
SELECT status FROM reservation.create_pool('later', 5);
SELECT status, number FROM reservation.claim_next('later', 'ann', 2);
SELECT status FROM reservation.alter_pool('later', per_holder => 2);
SELECT status, number FROM reservation.claim_next('later', 'ann', 2);
SELECT status, number FROM reservation.claim_next('later', 'ann');
SELECT status FROM reservation.alter_pool('later', per_holder => 3);
SELECT status, number FROM reservation.claim_next('later', 'ann');

-- a limit is per pool, and a pool of the same name made afterwards starts from nothing
SELECT status FROM reservation.drop_pool('later', true);
SELECT status FROM reservation.create_pool('later', 5, per_holder => 1);
SELECT status, number FROM reservation.claim_next('later', 'ann');

-- a claim that was rolled back does not count
SELECT status FROM reservation.create_pool('undone', 2, per_holder => 1);
BEGIN;
SELECT status, number FROM reservation.claim_next('undone', 'ann');
SELECT status, number FROM reservation.claim_next('undone', 'ann');
ROLLBACK;
SELECT status, number FROM reservation.claim_next('undone', 'ann');

SELECT * FROM reservation.verify();
