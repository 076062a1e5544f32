-- Definitions of triggers that cannot work are refused when they are made; those that no longer can, at their next use.
\a
\t on
\pset null NULL
\set SHOW_CONTEXT never

-- this session has the library loaded, as every one has with shared_preload_libraries
SELECT count(*) FROM reservation.verify() WHERE false;

\i test/include/refusal.sql
SELECT status FROM reservation.create_pool('founders', 3);
SELECT status FROM reservation.create_pool('founders stock', 3, 'counted');
CREATE TABLE thing (id integer PRIMARY KEY, version integer NOT NULL DEFAULT 1, name text, flag boolean NOT NULL DEFAULT false,
    at timestamptz, day date, number integer, made integer GENERATED ALWAYS AS (version + 1) STORED,
    serial integer GENERATED ALWAYS AS IDENTITY, ratio numeric, fixed char(9));
CREATE VIEW seen AS SELECT * FROM thing;

-- not as a trigger
SELECT state, message, hint FROM pg_temp.command_refusal('SELECT reservation.check_version()');
SELECT state, message, hint FROM pg_temp.command_refusal('SELECT reservation.finalize_once()');
SELECT state, message, hint FROM pg_temp.command_refusal('SELECT reservation.assign_number()');

-- wrong time, event, level
CREATE FUNCTION pg_temp.attach(event text, call text, OUT state text, OUT message text, OUT hint text) LANGUAGE sql AS $$
    SELECT state, message, hint FROM pg_temp.command_refusal(format('CREATE TRIGGER t %s EXECUTE FUNCTION reservation.%s', event, call))
$$;
SELECT * FROM pg_temp.attach('AFTER UPDATE ON thing FOR EACH ROW', $$check_version('version')$$);
SELECT * FROM pg_temp.attach('BEFORE INSERT ON thing FOR EACH ROW', $$check_version('version')$$);
SELECT * FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$check_version('version')$$);
SELECT * FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH STATEMENT', $$check_version('version')$$);
SELECT * FROM pg_temp.attach('BEFORE UPDATE OF name ON thing FOR EACH ROW', $$check_version('version')$$);
SELECT * FROM pg_temp.attach('INSTEAD OF UPDATE ON seen FOR EACH ROW', $$check_version('version')$$);
SELECT state, message FROM pg_temp.attach('AFTER UPDATE ON thing FOR EACH ROW', $$finalize_once('flag')$$);
SELECT state, message FROM pg_temp.attach('BEFORE DELETE ON thing FOR EACH ROW', $$finalize_once('flag')$$);
SELECT state, message FROM pg_temp.attach('BEFORE TRUNCATE ON thing FOR EACH STATEMENT', $$finalize_once('flag')$$);
SELECT * FROM pg_temp.attach('BEFORE INSERT ON thing FOR EACH ROW', $$assign_number('founders', 'number')$$);
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'number')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'number')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE OR DELETE ON thing FOR EACH ROW', $$assign_number('founders', 'number')$$);
SELECT state, message FROM pg_temp.attach('BEFORE DELETE ON thing FOR EACH ROW', $$assign_number('founders', 'number')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH STATEMENT', $$assign_number('founders', 'number')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE OF name ON thing FOR EACH ROW', $$assign_number('founders', 'number')$$);

-- wrong number of arguments
SELECT * FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', 'check_version()');
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('version', 'id')$$);
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', 'finalize_once()');
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$finalize_once('flag', 'at', 'name')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('a', 'b', 'c', 'd')$$);

-- no such column, by any way of writing it
SELECT * FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('versions')$$);
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('')$$);
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('VERSION')$$);
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('"version"')$$);
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('ctid')$$);
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$finalize_once('flag', 'paid_at')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'no')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'number', 'no')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('column:no', 'number')$$);

-- a column of the wrong type, or with a value of its own
SELECT * FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('name')$$);
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('ratio')$$);
SELECT * FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('made')$$);
SELECT state, message FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$check_version('serial')$$);
SELECT * FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$finalize_once('version')$$);
SELECT * FROM pg_temp.attach('BEFORE UPDATE ON thing FOR EACH ROW', $$finalize_once('flag', 'day')$$);
SELECT * FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'day')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'fixed')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'made')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'serial')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'number', 'name')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('column:made', 'number')$$);

-- a form that numbers cannot have
SELECT * FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'number:M-000')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'name:M1')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('founders', 'name:00000000000')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON thing FOR EACH ROW', $$assign_number('', 'number')$$);

-- pools are looked for when they are needed, because a restored schema has its triggers first
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('foundlings', 'number');
SELECT state, message, hint FROM pg_temp.command_refusal('INSERT INTO thing (id) VALUES (1)');
CREATE OR REPLACE TRIGGER t BEFORE INSERT OR UPDATE ON thing FOR EACH ROW
EXECUTE FUNCTION reservation.assign_number('founders stock', 'number');
SELECT state, message, hint FROM pg_temp.command_refusal('INSERT INTO thing (id) VALUES (1)');
CREATE OR REPLACE TRIGGER t BEFORE INSERT OR UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('founders', 'number');

-- what a definition rests on can go away while plans are cached
PREPARE sign_up AS INSERT INTO thing (id) VALUES ($1) RETURNING number;
PREPARE change AS UPDATE thing SET name = 'x' WHERE id = $1 RETURNING version;
CREATE TRIGGER v BEFORE UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION reservation.check_version('version');
EXECUTE sign_up(1);
EXECUTE change(1);
ALTER TABLE thing RENAME COLUMN number TO member_number;
SELECT state, message, hint FROM pg_temp.command_refusal('EXECUTE sign_up(2)');
INSERT INTO thing (id) VALUES (2);
ALTER TABLE thing RENAME COLUMN member_number TO number;
INSERT INTO thing (id) VALUES (2) RETURNING number;
ALTER TABLE thing ADD COLUMN version_2 bigint NOT NULL DEFAULT 7;
ALTER TABLE thing DROP COLUMN version CASCADE;
UPDATE thing SET name = 'x' WHERE id = 1;
ALTER TABLE thing RENAME COLUMN version_2 TO version;
UPDATE thing SET name = 'x' WHERE id = 1 RETURNING version;
ALTER TABLE thing ALTER COLUMN version TYPE text;
UPDATE thing SET name = 'x' WHERE id = 1;
ALTER TABLE thing ALTER COLUMN version TYPE smallint USING version::smallint;
UPDATE thing SET name = 'x' WHERE id = 1 RETURNING version;
SELECT number, holder, state FROM reservation.claims WHERE pool = 'founders' ORDER BY number;

-- a session that was refused once is refused again, by name: whether it had known the definition or not
CREATE OR REPLACE TRIGGER t BEFORE INSERT OR UPDATE ON thing FOR EACH ROW
EXECUTE FUNCTION reservation.assign_number('founders', 'number', 'flag');
INSERT INTO thing (id) VALUES (3) RETURNING number, flag;
ALTER TABLE thing RENAME COLUMN flag TO founder;
INSERT INTO thing (id) VALUES (4);
INSERT INTO thing (id) VALUES (4);
\c -
INSERT INTO thing (id) VALUES (4);
INSERT INTO thing (id) VALUES (4);
ALTER TABLE thing RENAME COLUMN founder TO flag;
ALTER TABLE thing RENAME COLUMN number TO no;
INSERT INTO thing (id) VALUES (4);
INSERT INTO thing (id) VALUES (4);
ALTER TABLE thing RENAME COLUMN no TO number;
INSERT INTO thing (id) VALUES (4) RETURNING number, flag;
SELECT number, holder, state FROM reservation.claims WHERE pool = 'founders' ORDER BY number;

DROP TABLE thing;
SELECT * FROM reservation.verify();
