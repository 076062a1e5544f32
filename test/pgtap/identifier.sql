-- Claim ids: UUID version 7 (RFC 9562), with 12 bits of the CRC-32C of the pool's name, or of its tag, in rand_a; and the functions
-- that say so.
BEGIN;
SELECT plan(33);

-- CRC-32C as RFC 3720 has it, worked out here on its own: reflected polynomial 82F63B78, bit by bit
CREATE FUNCTION pg_temp.crc32c(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    bytes bytea := convert_to(name, 'UTF8');
    crc bigint := x'FFFFFFFF'::bigint;
BEGIN
    FOR i IN 0 .. length(bytes) - 1 LOOP
        crc := crc # get_byte(bytes, i);
        FOR bit IN 1 .. 8 LOOP
            crc := CASE WHEN crc & 1 = 1 THEN (crc >> 1) # x'82F63B78'::bigint ELSE crc >> 1 END;
        END LOOP;
    END LOOP;
    RETURN crc # x'FFFFFFFF'::bigint;
END
$$;
SELECT is(pg_temp.crc32c('123456789'), x'E3069283'::bigint, 'the check value of CRC-32C');
SELECT is(pg_temp.crc32c(''), 0::bigint, 'of nothing');

-- the bits of an id
CREATE FUNCTION pg_temp.bits(id uuid) RETURNS bit(128) LANGUAGE sql AS $$ SELECT ('x' || replace(id::text, '-', ''))::bit(128) $$;
CREATE FUNCTION pg_temp.field(id uuid, start integer, width integer) RETURNS bigint LANGUAGE sql
AS $$ SELECT lpad(substring(pg_temp.bits(id) FROM start + 1 FOR width)::text, 64, '0')::bit(64)::bigint $$;

CREATE TEMP TABLE pool (place serial, name text);
INSERT INTO pool (name) VALUES ('a'), ('hall'), ('print-2026/1'), ('Straße 12 €'), (repeat('x', 1000)), (repeat('é', 500)), (' '), (E'\'"\\');
SELECT reservation.create_pool(name) FROM pool;
CREATE TEMP TABLE id AS SELECT place, name, claim_id, pool FROM pool, LATERAL reservation.claim_next(name, 'h', 100);

SELECT ok(bool_and(pg_temp.field(claim_id, 52, 12) = pg_temp.crc32c(name) & 4095), format('rand_a of pool %s', place)) FROM id GROUP BY place, name ORDER BY place;
SELECT ok(count(DISTINCT pg_temp.field(claim_id, 52, 12)) > 1, 'pools differ') FROM id;
SELECT ok(bool_and(pg_temp.field(claim_id, 48, 4) = 7), 'version 7') FROM id;
SELECT ok(bool_and(pg_temp.field(claim_id, 64, 2) = 2), 'variant binary 10') FROM id;
SELECT ok(bool_and(substr(claim_id::text, 15, 1) = '7' AND substr(claim_id::text, 20, 1) IN ('8', '9', 'a', 'b')), 'as it is read') FROM id;
SELECT ok(bool_and(pg_temp.field(id.claim_id, 0, 48) = floor(extract(epoch FROM c.claimed_at) * 1000)), 'unix_ts_ms is the time of the call')
FROM id JOIN reservation.claims c USING (claim_id);
SELECT is(count(DISTINCT claim_id), count(*), 'no two alike') FROM id;
SELECT is(count(DISTINCT pg_temp.field(claim_id, 66, 62)), count(*), 'not in their random part either') FROM id;
SELECT ok(bool_and(ones BETWEEN 200 AND 600), 'each of the 62 bits of rand_b is set in about half of 800 ids')
FROM (SELECT bit, count(*) FILTER (WHERE get_bit(pg_temp.bits(claim_id), bit) = 1) AS ones FROM id, generate_series(66, 127) bit GROUP BY bit) b;

-- the shard, by name and by id
SELECT is_empty('SELECT name FROM id WHERE reservation.shard_of_name(name) <> pg_temp.crc32c(name) & 4095
    OR reservation.shard_of_id(claim_id) <> reservation.shard_of_name(name)', 'shard_of_name and shard_of_id agree with it');
SELECT is(reservation.shard_of_name(NULL), 0, 'no name: 0');
SELECT is(reservation.shard_of_id(NULL), 0, 'no id: 0');
SELECT is(reservation.shard_of_id('ffffffff-ffff-ffff-ffff-ffffffffffff'), 4095, 'an id that is none of ours has some shard');
SELECT is(reservation.shard_of_name(name), (pg_temp.crc32c(tag) & 4095)::integer, format('the tag of %L is %L', name, tag))
FROM (VALUES ('{summer} shirt', 'summer'), ('cart {summer}{winter}', 'summer'), ('{}{summer}', '{}{summer}'), ('sum}mer {', 'sum}mer {'),
    ('a}{b}', 'b')) t (name, tag);
SELECT reservation.create_pool('{summer} shirt');
SELECT is(reservation.shard_of_id(claim_id), (pg_temp.crc32c('summer') & 4095)::integer, 'the tag goes into the id')
FROM reservation.claim_next('{summer} shirt', 'h');

-- the other door, a second claim of the same unit, and another pool of the same name: the same hash
SELECT reservation.create_pool('hall of 3', 3);
CREATE TEMP TABLE other AS SELECT claim_id FROM reservation.claim_unit('hall of 3', 2, 'h');
SELECT reservation.release(claim_id) FROM other;
INSERT INTO other SELECT claim_id FROM reservation.claim_unit('hall of 3', 2, 'h');
SELECT reservation.drop_pool('hall of 3', true);
SELECT reservation.create_pool('hall of 3', 3);
INSERT INTO other SELECT claim_id FROM reservation.claim_next('hall of 3', 'h', 3);
SELECT is(count(DISTINCT claim_id), 5::bigint, 'a new claim has a new id') FROM other;
SELECT ok(bool_and(pg_temp.field(claim_id, 52, 12) = pg_temp.crc32c('hall of 3') & 4095), 'the hash is of the name alone') FROM other;

-- later ids sort behind earlier ones
CREATE TEMP TABLE later AS SELECT claim_id FROM id WHERE false;
DO $$ BEGIN WHILE clock_timestamp() < statement_timestamp() + '5 milliseconds' LOOP END LOOP; END $$;
INSERT INTO later SELECT claim_id FROM reservation.claim_next('a', 'h', 10);
SELECT ok((SELECT max(claim_id::text) FROM id) < (SELECT min(claim_id::text) FROM later), 'in the order of time');
SELECT is_empty('SELECT * FROM reservation.verify()', 'verify() is empty');
SELECT is((SELECT count(*) FROM id), 800::bigint, 'all of the ids above');

SELECT * FROM finish();
ROLLBACK;
