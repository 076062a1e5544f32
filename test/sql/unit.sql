-- Named units: labels, attributes, the seat map, and claiming by number.
\a
\pset footer off

SELECT status FROM reservation.create_pool('theatre', 2);

-- units of a limited edition have no label until somebody gives them one
SELECT * FROM reservation.add_units('theatre', labels => '{Row A 1,Row A 2}');
SELECT * FROM reservation.add_units('theatre', labels => ARRAY['Row B 1', NULL],
    attributes => ARRAY['{"price": 40}', '{"price": 25, "view": "restricted"}']::jsonb[]);
SELECT * FROM reservation.add_units('theatre', attributes => ARRAY[NULL, '{"price": 10}']::jsonb[]);
SELECT * FROM reservation.add_units('theatre', 1, labels => '{"Loge \"é\", 1"}');
SELECT number, label, attributes, state FROM reservation.units WHERE pool = 'theatre' ORDER BY number;
SELECT capacity, available FROM reservation.availability('{theatre}');

-- an array may count from anywhere; labels may repeat, and be 1,000 bytes long
SELECT status FROM reservation.create_pool('boxes', 0);
SELECT * FROM reservation.add_units('boxes', labels => '[5:6]={same,same}');
SELECT * FROM reservation.add_units('boxes', labels => ARRAY[repeat('é', 500)]);
SELECT number, left(label, 4), octet_length(label) FROM reservation.units WHERE pool = 'boxes' ORDER BY number;

-- the next free one, with its label
SELECT status, number, label FROM reservation.claim_next('theatre', 'ann');
SELECT status, number, label FROM reservation.claim_next('theatre', 'ann', 2);

-- one by its number
SELECT status, claim_id IS NOT NULL AS has_id, pool, number, label, holder, available, replayed
FROM reservation.claim_unit('theatre', 5, 'bob');
SELECT claim_id AS seat FROM reservation.claim_unit('theatre', 9, 'bob') \gset
SELECT status, label FROM reservation.claim_unit('theatre', 7, 'bob');

-- taken: held by another, by oneself, or sold
SELECT status, claim_id, pool, number, label, holder, expires_at, available, replayed
FROM reservation.claim_unit('theatre', 9, 'cem');
SELECT status, available FROM reservation.claim_unit('theatre', 9, 'bob');
SELECT status FROM reservation.finalize(:'seat');
SELECT status, available FROM reservation.claim_unit('theatre', 9, 'cem');
SELECT status, available FROM reservation.claim_unit('theatre', 9, 'cem', wait => '0');
SELECT number, label, state FROM reservation.units WHERE pool = 'theatre' ORDER BY number;

-- free again: refunded, released, lapsed
SELECT status FROM reservation.refund(:'seat');
SELECT status, number, label FROM reservation.claim_unit('theatre', 9, 'cem', ttl => '1 microsecond');
SELECT state FROM reservation.units WHERE pool = 'theatre' AND number = 9;
SELECT status, number FROM reservation.claim_unit('theatre', 9, 'dan', ttl => '1 microsecond');
SELECT status, number, label FROM reservation.claim_unit('theatre', 9, 'eve');
SELECT state FROM reservation.units WHERE pool = 'theatre' AND number = 9;
SELECT number, label, holder, state FROM reservation.claims WHERE pool = 'theatre' ORDER BY claimed_at, number;

-- claiming the next ones steps around the seats that are taken
SELECT status, number FROM reservation.claim_next('theatre', 'fay');
SELECT status, number, label FROM reservation.claim_next('theatre', 'fay', 2);
SELECT status, number, available FROM reservation.claim_next('theatre', 'fay');

-- a unit of a dropped pool is on no seat map, but its claim remembers the label
SELECT status FROM reservation.drop_pool('boxes');
SELECT status FROM reservation.drop_pool('theatre', true);
SELECT count(*) FROM reservation.units WHERE pool IN ('theatre', 'boxes');
SELECT number, label, state FROM reservation.claims WHERE pool = 'theatre' AND holder = 'eve';

SELECT * FROM reservation.verify();
