-- What a savepoint decides about a number is undone with it, and a row that comes back keeps its number.
\a
\pset footer off
SET client_min_messages = warning;

SELECT status FROM reservation.create_pool('nu print', 10);
CREATE TABLE nu_a (id integer PRIMARY KEY, number integer UNIQUE);
CREATE TABLE nu_b (id integer PRIMARY KEY, number integer UNIQUE);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON nu_a FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('nu print', 'number');
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON nu_b FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('nu print', 'number');

-- a row is gone for a savepoint alone: its number is not for another
BEGIN;
INSERT INTO nu_a VALUES (1);
SAVEPOINT s;
DROP TABLE nu_a;
INSERT INTO nu_b VALUES (1);
SELECT * FROM nu_b;
ROLLBACK TO s;
INSERT INTO nu_b VALUES (2);
COMMIT;
SELECT 'a' AS "table", * FROM nu_a UNION ALL SELECT 'b', * FROM nu_b ORDER BY 3;

-- nor is it given back
BEGIN;
INSERT INTO nu_a VALUES (3);
SAVEPOINT s;
DROP TABLE nu_a;
INSERT INTO nu_b VALUES (3);
ROLLBACK TO s;
COMMIT;
INSERT INTO nu_b VALUES (4);
SELECT 'a' AS "table", * FROM nu_a UNION ALL SELECT 'b', * FROM nu_b ORDER BY 3;

-- what was left over before the savepoint, and is still
BEGIN;
INSERT INTO nu_a VALUES (5), (5) ON CONFLICT DO NOTHING;
SAVEPOINT s;
INSERT INTO nu_b VALUES (5);
ROLLBACK TO s;
INSERT INTO nu_b VALUES (6);
COMMIT;
SELECT 'a' AS "table", * FROM nu_a WHERE id > 4 UNION ALL SELECT 'b', * FROM nu_b WHERE id > 4 ORDER BY 3;
SELECT number, holder FROM reservation.claims WHERE pool = 'nu print' AND state = 'finalized' ORDER BY 1;
SELECT * FROM reservation.verify('nu print');

-- another key, in a transaction whose savepoint deletes the row
CREATE TABLE nu_key (id integer PRIMARY KEY, number integer UNIQUE, note text);
CREATE FUNCTION nu_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'x'; RETURN NEW; END $$;
SELECT status FROM reservation.create_pool('nu key', 10);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON nu_key FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('nu key', 'number');
CREATE TRIGGER number_back AFTER DELETE ON nu_key FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('nu key', 'number');
CREATE TRIGGER zz_note BEFORE INSERT OR UPDATE ON nu_key FOR EACH ROW EXECUTE FUNCTION nu_note();
INSERT INTO nu_key VALUES (1), (2), (3);
BEGIN;
UPDATE nu_key SET id = 10 WHERE id = 1;
SAVEPOINT s;
DELETE FROM nu_key WHERE id = 10;
INSERT INTO nu_key VALUES (4);
ROLLBACK TO s;
COMMIT;
SELECT number, holder FROM reservation.claims WHERE pool = 'nu key' AND state = 'finalized' ORDER BY 1;
-- another key, and deleted under it
BEGIN;
UPDATE nu_key SET id = 20 WHERE id = 2;
DELETE FROM nu_key WHERE id = 20;
COMMIT;
SELECT number, holder FROM reservation.claims WHERE pool = 'nu key' AND state = 'finalized' ORDER BY 1;
DELETE FROM nu_key;
SELECT available, finalized FROM reservation.pool_status WHERE pool = 'nu key';
SELECT * FROM reservation.verify('nu key');

-- deleted, and put there again by the same statement: the number is the row's
SELECT status FROM reservation.create_pool('nu back', 10);
CREATE TABLE nu_back (id integer PRIMARY KEY, number integer UNIQUE, note text);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON nu_back FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('nu back', 'number');
CREATE TRIGGER number_back AFTER DELETE ON nu_back FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('nu back', 'number');
INSERT INTO nu_back VALUES (1), (2), (3);
WITH gone AS (DELETE FROM nu_back WHERE id < 3 RETURNING *) INSERT INTO nu_back SELECT id, number, 'again' FROM gone WHERE id = 1;
SELECT * FROM nu_back ORDER BY number;
SELECT * FROM reservation.verify('nu back');
INSERT INTO nu_back VALUES (4), (5);
SELECT * FROM nu_back ORDER BY number;
-- in a transaction that has done so, other rows are deleted as always
BEGIN;
WITH gone AS (DELETE FROM nu_back WHERE id = 1 RETURNING *) INSERT INTO nu_back SELECT id, number, 'once more' FROM gone;
DELETE FROM nu_back WHERE id = 3;
DELETE FROM nu_back WHERE id = 1;
COMMIT;
SELECT number, holder FROM reservation.claims WHERE pool = 'nu back' AND state = 'finalized' ORDER BY 1;
SELECT * FROM reservation.verify('nu back');

-- back in another pool is not back
SELECT r.status FROM reservation.create_pool('nu red', 3) r, reservation.create_pool('nu blue', 3) b;
CREATE TABLE nu_pool (id integer PRIMARY KEY, pool text, number integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON nu_pool FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('column:pool', 'number');
CREATE TRIGGER number_back AFTER DELETE ON nu_pool FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('column:pool', 'number');
INSERT INTO nu_pool VALUES (1, 'nu red'), (2, 'nu red');
WITH gone AS (DELETE FROM nu_pool RETURNING *) INSERT INTO nu_pool SELECT id, CASE id WHEN 1 THEN 'nu blue' ELSE pool END, number FROM gone;
SELECT * FROM nu_pool ORDER BY id;
SELECT pool, number, holder FROM reservation.claims WHERE pool IN ('nu red', 'nu blue') AND state = 'finalized' ORDER BY 1, 2;
SELECT * FROM reservation.verify();

-- a row goes to another partition, and a later trigger updates another meanwhile
SELECT status FROM reservation.create_pool('nu move', 10);
CREATE TABLE nu_move (id integer, area text, number integer, moves integer DEFAULT 0, PRIMARY KEY (id, area)) PARTITION BY LIST (area);
CREATE TABLE nu_move_n PARTITION OF nu_move FOR VALUES IN ('n');
CREATE TABLE nu_move_rest PARTITION OF nu_move DEFAULT;
CREATE FUNCTION nu_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.area <> OLD.area THEN
        UPDATE nu_move SET moves = moves + 1 WHERE id = 100;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON nu_move FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('nu move', 'number');
CREATE TRIGGER zz_count BEFORE UPDATE ON nu_move FOR EACH ROW EXECUTE FUNCTION nu_count();
CREATE ROLE nu_mover;
GRANT ALL ON nu_move TO nu_mover;
SET ROLE nu_mover;
INSERT INTO nu_move VALUES (1, 'n'), (100, 'n');
UPDATE nu_move SET area = 's' WHERE id = 1;
RESET ROLE;
SELECT * FROM nu_move ORDER BY id;
SELECT number, holder FROM reservation.claims WHERE pool = 'nu move' AND state = 'finalized' ORDER BY 1;
SELECT * FROM reservation.verify();

DROP TABLE nu_a, nu_b, nu_key, nu_back, nu_pool, nu_move;
DROP FUNCTION nu_note, nu_count;
DROP ROLE nu_mover;
SELECT count(*) FROM (VALUES ('nu print'), ('nu key'), ('nu back'), ('nu red'), ('nu blue'), ('nu move')) p (pool), reservation.drop_pool(pool, true);
