-- Numbers from an open edition: a sequence, with gaps and without claims.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

SELECT status FROM reservation.create_pool('open numbers', first_number => 100);
CREATE TABLE parcel (id integer PRIMARY KEY, number bigint UNIQUE, numbered boolean);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON parcel
FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('open numbers', 'number', 'numbered');
INSERT INTO parcel VALUES (1), (2) RETURNING *;
-- what does not arrive is a gap
BEGIN;
INSERT INTO parcel VALUES (3) RETURNING number;
ROLLBACK;
INSERT INTO parcel VALUES (1) ON CONFLICT DO NOTHING;
INSERT INTO parcel VALUES (3) RETURNING number;
SELECT count(*) FROM reservation.claims WHERE pool = 'open numbers';
-- the same numbers go to claims, each once
SELECT status, number FROM reservation.claim_next('open numbers', 'ann');
INSERT INTO parcel VALUES (4) RETURNING number;

-- a supplied number is stepped over by those that come
INSERT INTO parcel VALUES (5, 200) RETURNING *;
INSERT INTO parcel VALUES (6, 150) RETURNING *;
INSERT INTO parcel VALUES (7) RETURNING *;
INSERT INTO parcel VALUES (8, 150);
UPDATE parcel SET number = 300 WHERE id = 1 RETURNING *;
INSERT INTO parcel VALUES (9) RETURNING *;
DELETE FROM parcel WHERE id = 9;
INSERT INTO parcel VALUES (9) RETURNING *;
SELECT status, number FROM reservation.claim_next('open numbers', 'ann');

-- a sequence that is made again, as after a restore, goes on above what stands in the tables
DO $$
BEGIN
    EXECUTE (SELECT format('ALTER EXTENSION reservation DROP SEQUENCE %1$s; DROP SEQUENCE %1$s', s.oid::regclass)
        FROM reservation.pool p JOIN pg_class s ON s.relname = format('pool_%s_number', p.pool_id)
            AND s.relnamespace = 'reservation'::regnamespace
        WHERE p.pool = 'open numbers');
END
$$;
INSERT INTO parcel VALUES (10, 1000), (11, NULL) RETURNING id, number;
DO $$
BEGIN
    EXECUTE (SELECT format('ALTER EXTENSION reservation DROP SEQUENCE %1$s; DROP SEQUENCE %1$s', s.oid::regclass)
        FROM reservation.pool p JOIN pg_class s ON s.relname = format('pool_%s_number', p.pool_id)
            AND s.relnamespace = 'reservation'::regnamespace
        WHERE p.pool = 'open numbers');
END
$$;
SELECT status, number FROM reservation.claim_next('open numbers', 'ann');
-- also one of several tenants, and a text
CREATE TABLE letter (id integer PRIMARY KEY, kind text, number text);
INSERT INTO letter VALUES (1, 'letter in', 'L-0007'), (2, 'letter out', 'L-0070'), (3, 'letter in', 'x');
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON letter
FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('column:kind', 'number:L-0000');
SELECT status FROM reservation.create_pool('letter in');
SELECT status FROM reservation.create_pool('letter out');
INSERT INTO letter VALUES (4, 'letter in'), (5, 'letter out') RETURNING *;

-- giving back is nothing to a sequence; and the highest number is the last
CREATE TRIGGER give_back AFTER DELETE ON parcel
FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('open numbers', 'number', 'numbered');
DELETE FROM parcel WHERE id = 11;
INSERT INTO parcel VALUES (12, 2147483646) RETURNING *;
INSERT INTO parcel VALUES (13), (14) RETURNING *;
SELECT * FROM reservation.verify();
DROP TABLE parcel, letter;
