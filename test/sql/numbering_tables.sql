-- Which tables can be numbered, and by which statements.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

CREATE ROLE rsv_visitor;
CREATE SCHEMA "My Club";
GRANT USAGE ON SCHEMA "My Club" TO rsv_visitor;

-- another schema, quoted names, a role without any right on ours, and row-level security
SELECT status FROM reservation.create_pool('club', 20);
CREATE TABLE "My Club"."The Members" ("The Id" integer PRIMARY KEY, owner text DEFAULT current_user, "Its Number" integer, "Is It" boolean);
CREATE TRIGGER "A Trigger" BEFORE INSERT OR UPDATE ON "My Club"."The Members"
FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('club', 'Its Number', 'Is It');
GRANT SELECT, INSERT, UPDATE, DELETE ON "My Club"."The Members" TO rsv_visitor;
ALTER TABLE "My Club"."The Members" ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON "My Club"."The Members" TO rsv_visitor USING (owner = current_user);
INSERT INTO "My Club"."The Members" VALUES (1, 'somebody') RETURNING *;
SET ROLE rsv_visitor;
INSERT INTO "My Club"."The Members" VALUES (2) RETURNING *;
INSERT INTO "My Club"."The Members" VALUES (3, 'somebody');
INSERT INTO "My Club"."The Members" VALUES (2) ON CONFLICT ("The Id") DO NOTHING;
INSERT INTO "My Club"."The Members" VALUES (3) RETURNING *;
UPDATE "My Club"."The Members" SET "The Id" = 30 WHERE "The Id" = 3 RETURNING *;
RESET ROLE;
SELECT number, holder FROM reservation.claims WHERE pool = 'club' AND state = 'finalized' ORDER BY number;

-- COPY, INSERT ... SELECT, MERGE, a CTE, a view, a rule
COPY "My Club"."The Members" ("The Id", owner) FROM STDIN;
10	x
11	y
\.
COPY "My Club"."The Members" ("The Id", owner) FROM STDIN WHERE "The Id" > 12;
12	x
13	y
\.
COPY "My Club"."The Members" ("The Id", owner) FROM STDIN;
14	x
14	y
\.
INSERT INTO "My Club"."The Members" ("The Id") SELECT i FROM generate_series(14, 15) i;
MERGE INTO "My Club"."The Members" m USING generate_series(15, 17) i ON m."The Id" = i
WHEN MATCHED THEN UPDATE SET owner = 'merged' WHEN NOT MATCHED AND i = 16 THEN INSERT VALUES (i, 'merged') WHEN NOT MATCHED THEN DO NOTHING;
WITH one AS (INSERT INTO "My Club"."The Members" VALUES (18) RETURNING "Its Number") SELECT * FROM one;
CREATE VIEW "My Club".late AS SELECT * FROM "My Club"."The Members" WHERE "The Id" > 18 WITH CHECK OPTION;
INSERT INTO "My Club".late VALUES (17);
INSERT INTO "My Club".late VALUES (19) RETURNING "Its Number";
SELECT "The Id", "Its Number", "Is It" FROM "My Club"."The Members" ORDER BY "Its Number";
SELECT available, finalized FROM reservation.availability('{club}');
SELECT * FROM reservation.verify();

-- partitions: the numbers are the table's; a row that moves takes its number along, whoever moves it
SELECT status FROM reservation.create_pool('parts', 10);
CREATE TABLE part (id integer, area text, number integer, flag boolean, PRIMARY KEY (id, area)) PARTITION BY LIST (area);
CREATE TABLE part_north PARTITION OF part FOR VALUES IN ('north');
CREATE TABLE part_rest (gone integer, flag boolean, area text NOT NULL, number integer, id integer NOT NULL);
ALTER TABLE part_rest DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION part_rest DEFAULT;
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON part FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('parts', 'number', 'flag');
CREATE TRIGGER give_back AFTER DELETE ON part FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('parts', 'number', 'flag');
GRANT SELECT, INSERT, UPDATE, DELETE ON part TO rsv_visitor;
SET ROLE rsv_visitor;
INSERT INTO part VALUES (1, 'north'), (2, 'south'), (3, 'north'), (4, 'east') RETURNING tableoid::regclass, *;
UPDATE part SET area = 'west' WHERE id = 1 RETURNING tableoid::regclass, *;
UPDATE part SET area = 'north' WHERE id <> 3 RETURNING tableoid::regclass, *;
UPDATE part SET area = 'east', id = 40 WHERE id = 4 RETURNING tableoid::regclass, *;
BEGIN;
UPDATE part SET area = 'north' WHERE id = 2;
INSERT INTO part VALUES (2, 'south', 2);
ROLLBACK;
DELETE FROM part WHERE id = 3;
INSERT INTO part VALUES (5, 'south') RETURNING number;
RESET ROLE;
-- into a partition directly
INSERT INTO part_north VALUES (6, 'north') RETURNING number;
INSERT INTO part VALUES (6, 'north') ON CONFLICT DO NOTHING;
SELECT tableoid::regclass, * FROM part ORDER BY number;
SELECT number, holder FROM reservation.claims WHERE pool = 'parts' AND state = 'finalized' ORDER BY number;
SELECT available, finalized FROM reservation.availability('{parts}');
SELECT * FROM reservation.verify();

-- inheritance: each table needs its own trigger, and is a table of its own
SELECT status FROM reservation.create_pool('family', 5);
CREATE TABLE parent (id integer PRIMARY KEY, number integer);
CREATE TABLE child (name text, PRIMARY KEY (id)) INHERITS (parent);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('family', 'number');
INSERT INTO child VALUES (1) RETURNING number;
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON child FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('family', 'number');
INSERT INTO parent VALUES (1) RETURNING number;
INSERT INTO child VALUES (2) RETURNING number;
UPDATE parent SET id = id + 100 RETURNING tableoid::regclass, *;
SELECT number, holder FROM reservation.claims WHERE pool = 'family' ORDER BY number;
SELECT * FROM reservation.verify();

-- a temporary table, an unlogged one, and a foreign key that points to a number
CREATE TEMP TABLE short_lived (number integer PRIMARY KEY, id integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON short_lived FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('family', 'number');
INSERT INTO short_lived (id) VALUES (1) RETURNING number;
CREATE TEMP TABLE prize (number integer REFERENCES short_lived ON UPDATE CASCADE);
INSERT INTO prize VALUES (3);
CREATE UNLOGGED TABLE volatile (number integer PRIMARY KEY, id integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON volatile FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('family', 'number');
INSERT INTO volatile (id) VALUES (1) RETURNING number;

-- TRUNCATE gives nothing back
TRUNCATE part;
SELECT available, finalized FROM reservation.availability('{parts}');
INSERT INTO part VALUES (7, 'north') RETURNING number;
SELECT * FROM reservation.verify();
DROP TABLE part, child, parent, volatile, prize, short_lived;
DROP SCHEMA "My Club" CASCADE;
DROP ROLE rsv_visitor;
