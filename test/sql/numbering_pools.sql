-- One pool per value of a column: a row of one pool says nothing of the numbers of another.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

SELECT c.status FROM unnest('{tenant a,tenant b}'::text[]) pool, reservation.create_pool(pool, 9) c;
SELECT status FROM reservation.create_pool('tenant open');
CREATE TABLE seat (tenant text, email text UNIQUE, no integer, UNIQUE (no, tenant));
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON seat FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('column:tenant', 'no');
-- each number in a row has exactly one finalized claim
CREATE VIEW mismatch AS
SELECT s.tenant, s.no, c.pool, c.number
FROM (SELECT * FROM seat WHERE tenant IN ('tenant a', 'tenant b')) s
FULL JOIN (SELECT * FROM reservation.claims WHERE pool IN ('tenant a', 'tenant b') AND state = 'finalized') c ON c.pool = s.tenant AND c.number = s.no
WHERE s.no IS NULL OR c.number IS NULL;
INSERT INTO seat VALUES ('tenant a', 'dup'), ('tenant b', 'one'), ('tenant open', 'one o') RETURNING tenant, no;

-- both have 2 as the next number, and it goes to the next row that comes
INSERT INTO seat VALUES ('tenant b', 'two b'), ('tenant a', 'dup') ON CONFLICT DO NOTHING RETURNING tenant, no;
SELECT * FROM mismatch;
INSERT INTO seat VALUES ('tenant a', 'two a') RETURNING tenant, no;

-- an index that begins with the pool
ALTER TABLE seat DROP CONSTRAINT seat_no_tenant_key, ADD UNIQUE (tenant, no);
INSERT INTO seat VALUES ('tenant b', 'three b'), ('tenant a', 'dup') ON CONFLICT DO NOTHING RETURNING tenant, no;
INSERT INTO seat VALUES ('tenant a', 'three a'), ('tenant b', 'dup') ON CONFLICT DO NOTHING RETURNING tenant, no;
SELECT * FROM mismatch;

-- a trigger that comes after, which may change the row, so that no index serves
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.tenant := replace(NEW.tenant, 'Raw', 'raw');
    RETURN NEW;
END
$$;
CREATE TRIGGER "zz later" BEFORE INSERT ON seat FOR EACH ROW EXECUTE FUNCTION later();
INSERT INTO seat VALUES ('tenant b', 'four b'), ('tenant a', 'dup') ON CONFLICT DO NOTHING RETURNING tenant, no;
INSERT INTO seat VALUES ('tenant a', 'four a'), ('tenant b', 'dup') ON CONFLICT DO NOTHING RETURNING tenant, no;
SELECT * FROM mismatch;
-- of an open edition there are no claims
INSERT INTO seat SELECT 'tenant open', i || ' o' FROM generate_series(2, 4) i RETURNING no;
INSERT INTO seat VALUES ('tenant open', '5 o'), ('tenant a', 'dup') ON CONFLICT DO NOTHING RETURNING tenant, no;
SELECT * FROM mismatch;
-- its pool has another name afterwards: it did arrive
SELECT status FROM reservation.create_pool('Raw', 3);
INSERT INTO seat VALUES ('Raw', 'one r');
INSERT INTO seat VALUES ('Raw', 'two r'), ('Raw', 'dup') ON CONFLICT DO NOTHING;
SELECT tenant, no FROM seat WHERE tenant = 'raw' ORDER BY no;
SELECT available, finalized FROM reservation.availability('{Raw}');
SELECT * FROM reservation.verify();
DROP TRIGGER "zz later" ON seat;

-- a pool that is no text, and rows that come in either order
SELECT c.status FROM generate_series(7, 9) pool, reservation.create_pool(pool::text, 3) c;
CREATE TABLE raffle (draw integer, email text UNIQUE, no text, UNIQUE (no, draw));
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON raffle FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('column:draw', 'no:R-00');
INSERT INTO raffle VALUES (7, 'ann'), (8, 'ann'), (9, 'bob'), (8, 'cem'), (8, 'ann'), (9, 'ann') ON CONFLICT DO NOTHING RETURNING draw, email, no;
SELECT pool, available, finalized FROM reservation.availability('{7,8,9}') ORDER BY pool;
SELECT * FROM reservation.verify();
-- the pool's column is another one before the rows are looked for: the numbers are kept
BEGIN;
INSERT INTO raffle VALUES (7, 'dan'), (8, 'ann') ON CONFLICT DO NOTHING RETURNING draw, email, no;
ALTER TABLE raffle ALTER COLUMN draw TYPE bigint;
COMMIT;
SELECT pool, available, finalized FROM reservation.availability('{7,8,9}') ORDER BY pool;
SELECT * FROM reservation.verify();

DROP VIEW mismatch;
DROP TABLE seat, raffle;
DROP FUNCTION later;
