-- Numbers that somebody supplies: the owner of the table may, for a restore or an import; nobody else.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

CREATE ROLE rsv_club;
CREATE ROLE rsv_guest;
CREATE ROLE rsv_officer IN ROLE rsv_club;
GRANT CREATE ON SCHEMA public TO rsv_club;
SELECT status FROM reservation.create_pool('supplied', 10);
SELECT status FROM reservation.create_pool('supplied open');
SELECT status FROM reservation.grant_access('rsv_club', 'claim');
SET ROLE rsv_club;
CREATE TABLE fellow (id integer PRIMARY KEY, pool text DEFAULT 'supplied', number integer, flag boolean, name text);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON fellow
FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('column:pool', 'number', 'flag');
GRANT ALL ON fellow TO rsv_guest;
INSERT INTO fellow VALUES (1), (2);

-- a guest: not on INSERT, not on UPDATE, not the flag; not even the right number
SET ROLE rsv_guest;
INSERT INTO fellow (id, number) VALUES (3, 3);
INSERT INTO fellow (id, number) VALUES (3, 1);
UPDATE fellow SET number = 5 WHERE id = 1;
UPDATE fellow SET number = NULL WHERE id = 1;
UPDATE fellow SET flag = false WHERE id = 1;
UPDATE fellow SET flag = NULL WHERE id = 1;
UPDATE fellow SET pool = 'supplied open' WHERE id = 1;
DO $$ BEGIN INSERT INTO fellow (id, number) VALUES (3, 3); EXCEPTION WHEN SQLSTATE 'RS004' THEN RAISE NOTICE 'RS004'; END $$;
DO $$ BEGIN UPDATE fellow SET number = 9; EXCEPTION WHEN SQLSTATE 'RS004' THEN RAISE NOTICE 'RS004'; END $$;
INSERT INTO fellow (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET number = EXCLUDED.number;
INSERT INTO fellow (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'again' RETURNING *;
-- a supplied flag is nothing to go by
INSERT INTO fellow (id, flag) VALUES (3, false) RETURNING *;
-- all columns set, as some libraries do, changes nothing
UPDATE fellow SET id = id, pool = pool, number = number, flag = flag, name = 'x' WHERE id = 1 RETURNING *;
-- deleted and inserted again is another row
DELETE FROM fellow WHERE id = 3;
INSERT INTO fellow (id, number) VALUES (3, 3);
INSERT INTO fellow (id) VALUES (3) RETURNING number;

-- the owner, and whoever is one of its role: taken from the pool
SET ROLE rsv_officer;
INSERT INTO fellow (id, number) VALUES (8, 8) RETURNING *;
INSERT INTO fellow (id) VALUES (5), (6), (7), (9) RETURNING id, number;
SELECT status FROM reservation.claim_unit('supplied', 8, 'x');
-- which the pool has not, or somebody else has
INSERT INTO fellow (id, number) VALUES (11, 11);
INSERT INTO fellow (id, number) VALUES (11, 8);
INSERT INTO fellow (id, pool, number) VALUES (11, NULL, 10);
SELECT status, number FROM reservation.claim_next('supplied', 'ann');
INSERT INTO fellow (id, number) VALUES (11, 10);
-- which this very row has: deleted and restored
CREATE TEMP TABLE saved AS SELECT * FROM fellow;
GRANT SELECT ON saved TO rsv_club;
DELETE FROM fellow WHERE id < 9;
INSERT INTO fellow SELECT * FROM saved WHERE id < 9;
TRUNCATE fellow;
INSERT INTO fellow SELECT * FROM saved;
SELECT id, number, flag FROM fellow ORDER BY id;
SELECT * FROM reservation.verify();

-- a change: the row has the new number, and the old one stays sold until somebody refunds it
RESET ROLE;
SELECT r.status FROM reservation.claims c, reservation.release(c.claim_id) r WHERE c.pool = 'supplied' AND c.holder = 'ann';
SET ROLE rsv_club;
UPDATE fellow SET number = 10 WHERE id = 1 RETURNING *;
UPDATE fellow SET number = NULL WHERE id = 2 RETURNING *;
UPDATE fellow SET number = 2 WHERE id = 2 RETURNING *;
UPDATE fellow SET number = 2 WHERE id = 1;
SELECT number, holder, state FROM reservation.claims WHERE pool = 'supplied' AND state = 'finalized' AND number IN (1, 2, 10) ORDER BY number;
SELECT * FROM reservation.verify();

-- a change that never arrives
BEGIN;
UPDATE fellow SET number = NULL WHERE id = 1;
INSERT INTO fellow (id, number) VALUES (2, 10) ON CONFLICT DO NOTHING;
ROLLBACK;

-- a row that did not arrive, and then did
CREATE TABLE latecomer (id integer PRIMARY KEY, number integer, email text UNIQUE);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON latecomer FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('supplied late', 'number');
RESET ROLE;
SELECT status FROM reservation.create_pool('supplied late', 9);
SET ROLE rsv_club;
INSERT INTO latecomer (id, email) VALUES (1, 'ann'), (2, 'bob') RETURNING number;
BEGIN;
INSERT INTO latecomer VALUES (5, 5, 'ann'), (5, 5, 'eve') ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO latecomer VALUES (6, 6, 'ann') ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO latecomer VALUES (6, 6, 'fay') ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO latecomer VALUES (7, 7, 'ann') ON CONFLICT DO NOTHING RETURNING *;
SAVEPOINT s;
INSERT INTO latecomer VALUES (7, 7, 'gil') RETURNING *;
ROLLBACK TO s;
INSERT INTO latecomer VALUES (8, 8, 'ann') ON CONFLICT DO NOTHING RETURNING *;
SAVEPOINT s;
INSERT INTO latecomer VALUES (8, 8, 'hal') RETURNING *;
COMMIT;
RESET ROLE;
SELECT number, holder FROM reservation.claims WHERE pool = 'supplied late' AND state = 'finalized' ORDER BY number;
SELECT * FROM reservation.verify();
SET ROLE rsv_club;

-- without a primary key no row is known again
CREATE TABLE keyless (number integer, name text);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON keyless FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('supplied open 2', 'number');
RESET ROLE;
SELECT status FROM reservation.create_pool('supplied open 2', 3);
SET ROLE rsv_club;
INSERT INTO keyless VALUES (2, 'a') RETURNING *;
INSERT INTO keyless VALUES (2, 'b');

-- who only runs a function of the owner's acts as the owner
CREATE FUNCTION import(integer, integer) RETURNS SETOF fellow LANGUAGE sql SECURITY DEFINER SET search_path = public
AS 'INSERT INTO fellow (id, pool, number) VALUES ($1, ''supplied open'', $2) RETURNING *';
GRANT EXECUTE ON FUNCTION import TO rsv_guest;
SET ROLE rsv_guest;
SELECT * FROM import(100, 7);

RESET ROLE;
SELECT * FROM reservation.verify();
DROP TABLE keyless, saved;
DROP FUNCTION import;
DROP TABLE fellow, latecomer;
DROP OWNED BY rsv_club;
DROP ROLE rsv_guest, rsv_officer, rsv_club;
