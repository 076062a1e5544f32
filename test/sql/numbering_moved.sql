-- A row that an UPDATE moves to another partition takes its number along; what only looks like that row does not.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

CREATE ROLE rsv_mover;
SELECT status FROM reservation.create_pool('moved', 20);
CREATE TABLE wanderer (id integer, area text, number integer, note text, PRIMARY KEY (id, area)) PARTITION BY LIST (area);
CREATE TABLE wanderer_north PARTITION OF wanderer FOR VALUES IN ('north');
CREATE TABLE wanderer_rest PARTITION OF wanderer DEFAULT;
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON wanderer FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('moved', 'number');
CREATE TRIGGER give_back AFTER DELETE ON wanderer FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('moved', 'number');
GRANT ALL ON wanderer TO rsv_mover;
-- each number in a row has exactly one finalized claim of that row
CREATE VIEW mismatch AS
SELECT w.number AS in_row, c.number AS claimed, c.holder
FROM (SELECT *, format('public.wanderer %s,%L', id, area) AS name FROM wanderer WHERE number IS NOT NULL) w
FULL JOIN (SELECT * FROM reservation.claims WHERE pool = 'moved' AND state = 'finalized') c ON c.number = w.number AND c.holder = w.name
WHERE w.number IS NULL OR c.number IS NULL;
SET ROLE rsv_mover;
INSERT INTO wanderer VALUES (1, 'north'), (2, 'south'), (3, 'north') RETURNING id, number;

-- updated where it stands, deleted, which frees the number, and inserted with it
BEGIN;
UPDATE wanderer SET note = 'x' WHERE id = 1;
DELETE FROM wanderer WHERE id = 1;
INSERT INTO wanderer VALUES (1, 'north', 1);
INSERT INTO wanderer VALUES (4, 'north');
COMMIT;
SELECT id, number FROM wanderer ORDER BY id;
-- moved, and deleted and inserted after that
BEGIN;
UPDATE wanderer SET area = 'south' WHERE id = 1 RETURNING tableoid::regclass, number;
DELETE FROM wanderer WHERE id = 1;
INSERT INTO wanderer VALUES (1, 'south', 1);
COMMIT;
BEGIN;
UPDATE wanderer SET area = 'south' WHERE id = 1;
UPDATE wanderer SET note = 'x' WHERE id = 1;
DELETE FROM wanderer WHERE id = 1;
INSERT INTO wanderer VALUES (1, 'south', 1);
COMMIT;
-- a move that was rolled back
BEGIN;
SAVEPOINT s;
UPDATE wanderer SET area = 'south' WHERE id = 1;
ROLLBACK TO s;
INSERT INTO wanderer VALUES (1, 'south', 1);
COMMIT;
BEGIN;
SAVEPOINT s;
UPDATE wanderer SET area = 'south' WHERE id = 1;
UPDATE wanderer SET note = 'y' WHERE id = 1;
ROLLBACK TO s;
INSERT INTO wanderer VALUES (1, 'south', 1);
COMMIT;
-- a partition that has been emptied since
BEGIN;
UPDATE wanderer SET note = 'x' WHERE id = 1;
TRUNCATE wanderer;
INSERT INTO wanderer VALUES (1, 'north', 1);
COMMIT;
RESET ROLE;
SELECT id, number, note FROM wanderer ORDER BY id;
SELECT * FROM mismatch;
SELECT * FROM reservation.verify();
SET ROLE rsv_mover;

-- to and fro, many at once, with a foreign key that follows, with other columns
INSERT INTO wanderer SELECT i, 'east' FROM generate_series(5, 9) i;
RESET ROLE;
CREATE TABLE luggage (id integer, area text, FOREIGN KEY (id, area) REFERENCES wanderer ON UPDATE CASCADE);
INSERT INTO luggage VALUES (5, 'east');
SET ROLE rsv_mover;
UPDATE wanderer SET area = CASE area WHEN 'north' THEN 'south' ELSE 'north' END RETURNING tableoid::regclass, id, number;
UPDATE wanderer SET area = 'west', id = id + 10, note = 'moved' WHERE id < 3 RETURNING tableoid::regclass, id, number;
MERGE INTO wanderer w USING (VALUES (11), (12)) v (id) ON w.id = v.id WHEN MATCHED THEN UPDATE SET area = 'north';
BEGIN;
UPDATE wanderer SET area = 'east' WHERE id = 6;
UPDATE wanderer SET area = 'north' WHERE id = 6;
SAVEPOINT s;
UPDATE wanderer SET area = 'west' WHERE id = 6;
ROLLBACK TO s;
UPDATE wanderer SET area = 'south' WHERE id = 6;
COMMIT;
RESET ROLE;
SELECT * FROM luggage;
SELECT tableoid::regclass, * FROM wanderer ORDER BY number;
SELECT * FROM mismatch;
SELECT * FROM reservation.verify();

-- the owner gives rows other numbers as they move
UPDATE wanderer SET area = CASE area WHEN 'north' THEN 'south' ELSE 'north' END, number = id + 10 WHERE id IN (5, 6, 7) RETURNING tableoid::regclass, id, number;
BEGIN;
SAVEPOINT s;
UPDATE wanderer SET area = 'west', number = 18 WHERE id = 8;
ROLLBACK TO s;
UPDATE wanderer SET area = 'east', number = 19 WHERE id = 8;
INSERT INTO wanderer VALUES (90, 'north', 20), (90, 'north', 20) ON CONFLICT DO NOTHING;
COMMIT;
SELECT number, holder FROM reservation.claims WHERE pool = 'moved' AND state = 'finalized' AND number > 8 ORDER BY number;
SELECT * FROM mismatch ORDER BY claimed;
SELECT * FROM reservation.verify();
-- what the rows had before stays sold
SELECT count(*) FROM reservation.claims c, reservation.refund(c.claim_id) r WHERE pool = 'moved' AND state = 'finalized' AND number BETWEEN 4 AND 7;
SELECT * FROM mismatch;
SELECT * FROM reservation.verify();

-- without a primary key over all partitions rows of two may have the same name, and without any all have
CREATE TABLE stray (id integer, area text, number integer) PARTITION BY LIST (area);
CREATE TABLE stray_north PARTITION OF stray (PRIMARY KEY (id)) FOR VALUES IN ('north');
CREATE TABLE stray_rest PARTITION OF stray (PRIMARY KEY (id)) DEFAULT;
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON stray FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('moved', 'number');
GRANT ALL ON stray TO rsv_mover;
SET ROLE rsv_mover;
INSERT INTO stray VALUES (1, 'north') RETURNING number;
BEGIN;
UPDATE stray SET id = id;
INSERT INTO stray VALUES (1, 'south', 4);
COMMIT;
UPDATE stray SET area = 'south' RETURNING tableoid::regclass, number;
RESET ROLE;
ALTER TABLE stray_north DROP CONSTRAINT stray_north_pkey;
ALTER TABLE stray_rest DROP CONSTRAINT stray_rest_pkey;
SET ROLE rsv_mover;
INSERT INTO stray VALUES (2, 'south') RETURNING number;
BEGIN;
UPDATE stray SET id = id WHERE id = 2;
INSERT INTO stray VALUES (3, 'north', 5);
COMMIT;
UPDATE stray SET area = 'north' WHERE number = 5 RETURNING tableoid::regclass, number;
RESET ROLE;
SELECT * FROM stray ORDER BY number;
SELECT * FROM reservation.verify();

-- the numbers of an open edition, which have no claims
SELECT status FROM reservation.create_pool('moved open');
CREATE TABLE drifter (id integer, area text, number integer) PARTITION BY LIST (area);
CREATE TABLE drifter_north PARTITION OF drifter FOR VALUES IN ('north');
CREATE TABLE drifter_rest PARTITION OF drifter DEFAULT;
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON drifter FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('moved open', 'number');
GRANT ALL ON drifter TO rsv_mover;
SET ROLE rsv_mover;
INSERT INTO drifter VALUES (1, 'north') RETURNING number;
BEGIN;
UPDATE drifter SET id = 1;
INSERT INTO drifter VALUES (2, 'north', 1);
COMMIT;
UPDATE drifter SET area = 'south' RETURNING tableoid::regclass, number;
RESET ROLE;
SELECT * FROM drifter;

DROP VIEW mismatch;
DROP TABLE wanderer, luggage, stray, drifter;
DROP ROLE rsv_mover;
