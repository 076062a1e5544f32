-- Pools: made, changed, grown, counted and dropped.
\a
\pset footer off

SELECT reservation.version() = extversion AS library_matches_catalog
FROM pg_extension WHERE extname = 'reservation';

-- a limited edition: the same definition again is no error, and makes nothing
SELECT * FROM reservation.create_pool('print', 3);
SELECT * FROM reservation.create_pool('print', 3);
SELECT * FROM reservation.availability('{print}');

-- an open edition has no capacity
SELECT * FROM reservation.create_pool('poster');
SELECT * FROM reservation.create_pool('poster');

-- a counted pool: what is available lies above the floor
SELECT * FROM reservation.create_pool('shirt', 10, 'counted', floor => 4, ceiling => 20);
SELECT * FROM reservation.create_pool('shirt', 10, 'counted', floor => 4, ceiling => 20);

-- an empty pool is a pool
SELECT * FROM reservation.create_pool('empty', 0);
SELECT * FROM reservation.create_pool('nothing', 0, 'counted');

-- every argument by its name
SELECT * FROM reservation.create_pool(pool => 'hall', capacity => 2, kind => 'numbered', first_number => 0,
    hold_ttl => '1 hour', per_holder => 2, floor => 0, ceiling => NULL,
    opens_at => '2020-01-01 00:00+00', closes_at => '2999-01-01 00:00+00');
SELECT pool, capacity, hold_ttl, per_holder, opens_at = '2020-01-01 00:00+00' AS opens,
    closes_at = '2999-01-01 00:00+00' AS closes
FROM reservation.pool_status WHERE pool = 'hall';

-- rows come in the order of the array, as often as it says; none for no pools
SELECT * FROM reservation.availability(ARRAY['shirt', 'hall', 'poster', 'empty', 'nothing', 'hall']);
SELECT * FROM reservation.availability('{}');

-- a hold, a sale and a lapsed hold: only the lapsed one is still available
SELECT status, number FROM reservation.claim_next('print', 'ann');
SELECT claim_id AS sold FROM reservation.claim_next('print', 'bob') \gset
SELECT status FROM reservation.finalize(:'sold');
SELECT status, number FROM reservation.claim_next('print', 'cem', ttl => '1 microsecond');
SELECT * FROM reservation.availability('{print}');
SELECT pool, capacity, available, held, finalized, state FROM reservation.pool_status WHERE pool = 'print';

-- all taken, some only held: held_out; all sold: sold_out
SELECT claim_id AS last FROM reservation.claim_next('print', 'dan') \gset
SELECT state FROM reservation.availability('{print}');
SELECT status FROM reservation.finalize(:'last');
SELECT count(*) FROM reservation.claims c, reservation.finalize(c.claim_id)
WHERE c.pool = 'print' AND c.state = 'held';
SELECT * FROM reservation.availability('{print}');

-- units are added with the numbers that follow; the pool stays the same definition
SELECT * FROM reservation.add_units('print', 2);
SELECT * FROM reservation.add_units('print', count => 1);
SELECT * FROM reservation.availability('{print}');
SELECT * FROM reservation.create_pool('print', 3);
SELECT * FROM reservation.add_units('empty', 2);
SELECT * FROM reservation.add_units('hall', 1);

-- numbers of units that were rolled back are not used again
BEGIN;
SELECT * FROM reservation.add_units('print', 3);
ROLLBACK;
SELECT * FROM reservation.add_units('print', 1);
SELECT number, state FROM reservation.units WHERE pool = 'print' ORDER BY number;

-- a rule that is not given stays as it is
SELECT * FROM reservation.alter_pool('hall', hold_ttl => '2 hours');
SELECT * FROM reservation.alter_pool('hall', per_holder => 1);
SELECT * FROM reservation.alter_pool('hall', opens_at => '2021-01-01 00:00+00', closes_at => '2998-01-01 00:00+00');
SELECT * FROM reservation.alter_pool('hall', paused => true);
SELECT * FROM reservation.alter_pool('shirt', floor => 5, ceiling => 30);
SELECT * FROM reservation.alter_pool('hall');
SELECT pool, hold_ttl, per_holder, opens_at = '2021-01-01 00:00+00' AS opens, closes_at = '2998-01-01 00:00+00' AS closes,
    state, floor, ceiling
FROM reservation.pool_status WHERE pool IN ('hall', 'shirt') ORDER BY pool;
SELECT * FROM reservation.alter_pool('hall', paused => false);
SELECT state FROM reservation.availability('{hall}');

-- a pool that somebody has a claim in is not dropped, unless by force: its holds are released, its sales stay
SELECT * FROM reservation.drop_pool('print');
SELECT claim_id AS hold FROM reservation.claim_next('print', 'eve') \gset
SELECT * FROM reservation.drop_pool('print', force => true);
SELECT count(*) FROM reservation.pool_status WHERE pool = 'print';
SELECT count(*) FROM reservation.units WHERE pool = 'print';
SELECT holder, number, state FROM reservation.claims WHERE pool = 'print' ORDER BY claimed_at;
SELECT status, replayed FROM reservation.release(:'hold');
SELECT status, pool, number, replayed FROM reservation.finalize(:'sold');
SELECT status, refunded FROM reservation.refund(:'sold');

-- a hold that has lapsed keeps nobody from dropping
SELECT status FROM reservation.claim_next('empty', 'ann', ttl => '1 microsecond');
SELECT * FROM reservation.drop_pool('empty');

-- a drop that is rolled back, or refused, has done nothing
BEGIN;
SELECT status FROM reservation.drop_pool('hall');
ROLLBACK;
SELECT status FROM reservation.claim_next('hall', 'ann');
SELECT * FROM reservation.drop_pool('hall');
SELECT available, held FROM reservation.availability('{hall}');

-- the name of a dropped pool is free, and the new pool starts afresh
SELECT * FROM reservation.create_pool('print', 1);
SELECT status, number FROM reservation.claim_next('print', 'fay');
SELECT * FROM reservation.add_units('print', 1);

-- names of 1,000 bytes, also in characters of several bytes; letters are told apart as bytes
SELECT status, octet_length(pool) FROM reservation.create_pool(repeat('x', 1000), 1);
SELECT status, octet_length(pool) FROM reservation.create_pool(repeat('é', 500), 1);
SELECT status, number, holder = repeat('€', 333) || 'x' AS same_holder
FROM reservation.claim_next(repeat('é', 500), repeat('€', 333) || 'x', request_id => repeat('ø', 500));
SELECT * FROM reservation.create_pool('Print', 7);
SELECT * FROM reservation.create_pool(' ', 7);
SELECT pool, capacity FROM reservation.availability(ARRAY['print', 'Print', ' ']);

SELECT * FROM reservation.verify();
