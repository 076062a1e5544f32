-- verify() finds what was written into numbered tables behind the trigger's back.
\a
\pset footer off
\pset null NULL

SELECT status FROM reservation.create_pool('watched', 5);
SELECT status FROM reservation.create_pool('not watched', 5);
CREATE TABLE runner (id integer PRIMARY KEY, number integer);
CREATE TABLE walker (id integer PRIMARY KEY, number text);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON runner FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('watched', 'number');
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON walker FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('watched', 'number:W0');
INSERT INTO runner VALUES (1), (2), (3);
INSERT INTO walker VALUES (1) RETURNING *;
SELECT * FROM reservation.verify();

-- a number that nobody gave
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO runner VALUES (4, NULL), (5, 5), (6, 99);
SELECT * FROM reservation.verify();
SELECT count(*) FROM reservation.verify('not watched');
ROLLBACK;

-- a number in two rows, of one table or of two
BEGIN;
ALTER TABLE runner DISABLE TRIGGER number;
UPDATE runner SET number = 1 WHERE id = 2;
ALTER TABLE runner ENABLE TRIGGER number;
SET LOCAL session_replication_role = replica;
INSERT INTO walker VALUES (3, 'W3');
SELECT * FROM reservation.verify() ORDER BY problem;
ROLLBACK;

-- what is no number of the form is none of ours; nor is a table without the trigger
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO walker VALUES (5, 'W05'), (6, '5');
CREATE TABLE sitter (number integer);
INSERT INTO sitter VALUES (1), (1);
SELECT * FROM reservation.verify();
ROLLBACK;

-- renaming changes how claims name the rows, and no more
ALTER TABLE runner RENAME TO sprinter;
ALTER TABLE sprinter RENAME COLUMN id TO bib;
SELECT * FROM reservation.verify();

-- a held number, and a claim that is gone
SELECT claim_id AS one FROM reservation.claim_next('watched', 'ann') \gset
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO sprinter VALUES (5, 5);
SELECT problem FROM reservation.verify();
ROLLBACK;
SELECT status FROM reservation.release(:'one');

DROP TABLE sprinter, walker;
SELECT * FROM reservation.verify();

-- a trigger that does not fit its table any more is reported, and keeps nobody from the rest
CREATE TABLE jumper (id integer PRIMARY KEY, number integer, place integer, tenant text);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON jumper FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('watched', 'number');
CREATE TRIGGER place BEFORE INSERT OR UPDATE ON jumper FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('column:tenant', 'place');
ALTER TABLE jumper DROP COLUMN number, DROP COLUMN tenant;
SELECT * FROM reservation.verify() ORDER BY problem;
SELECT count(*) FROM reservation.verify('watched');
SELECT count(*) FROM reservation.verify('not watched');
CREATE TABLE swimmer (id integer PRIMARY KEY, number integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON swimmer FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('watched', 'number');
SET session_replication_role = replica;
INSERT INTO swimmer VALUES (5, 5);
RESET session_replication_role;
SELECT problem FROM reservation.verify() ORDER BY problem;
DROP TABLE jumper, swimmer;
SELECT * FROM reservation.verify();

-- nor one that was never checked, because the session that made it had not loaded the library; of another pool, it is no
-- obstacle to an open edition
CREATE TABLE diver (id integer PRIMARY KEY, number integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON diver FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('watched', 'number');
BEGIN;
UPDATE pg_trigger SET tgnargs = 1, tgargs = 'watched\000' WHERE tgrelid = 'diver'::regclass;
SELECT problem, found FROM reservation.verify();
SELECT status FROM reservation.create_pool('watched from without');
UPDATE pg_trigger SET tgnargs = 0, tgargs = '' WHERE tgrelid = 'diver'::regclass;
SELECT problem, found FROM reservation.verify();
UPDATE pg_trigger SET tgnargs = 2, tgargs = 'watched\000number\000', tgtype = tgtype & ~1 WHERE tgrelid = 'diver'::regclass;
SELECT problem, found FROM reservation.verify();
ROLLBACK;

-- what stands in an index is not evaluated to find out whether it serves
CREATE FUNCTION seen(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM set_config('test.seen', 'yes', false);
    RETURN 0;
END $$;
CREATE INDEX ON diver ((number + seen(1)));
CREATE INDEX ON diver (number) WHERE seen(1) = 0;
\c
SELECT count(*) FROM reservation.verify();
SELECT count(*) FROM reservation.repair('watched');
SELECT status FROM reservation.create_pool('watched from afar');
SELECT current_setting('test.seen', true) AS seen;
INSERT INTO diver VALUES (1);
SELECT current_setting('test.seen', true) AS seen;
DROP TABLE diver;
DROP FUNCTION seen;
SELECT * FROM reservation.verify();

-- a row that was written without the trigger, with a key too long for a name of ours
SELECT status FROM reservation.create_pool('nv long', 3);
CREATE TABLE nv_long (id text PRIMARY KEY, number integer UNIQUE);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON nv_long FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('nv long', 'number');
CREATE TRIGGER number_back AFTER DELETE ON nv_long FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('nv long', 'number');
INSERT INTO nv_long VALUES ('a');
SET session_replication_role = replica;
UPDATE nv_long SET id = repeat('x', 1500);
RESET session_replication_role;
SELECT problem FROM reservation.verify('nv long');
SELECT count(*) FROM reservation.repair('nv long');
DELETE FROM nv_long;
DROP TABLE nv_long;
