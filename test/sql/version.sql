-- Optimistic locking by the trigger check_version.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

CREATE TABLE item (id integer PRIMARY KEY, price integer, version integer NOT NULL DEFAULT 1);
CREATE TRIGGER version BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION reservation.check_version('version');
INSERT INTO item (id, price) VALUES (1, 10), (2, 20), (3, 30);

-- whoever carries the version that was read passes, and the version moves on
UPDATE item SET price = 11, version = 1 WHERE id = 1 RETURNING *;
UPDATE item SET price = 12, version = 2 WHERE id = 1 RETURNING *;

-- an old one, a new one, none at all
UPDATE item SET price = 13, version = 2 WHERE id = 1;
UPDATE item SET price = 13, version = 4 WHERE id = 1;
UPDATE item SET price = 13, version = NULL WHERE id = 1;
SELECT * FROM item WHERE id = 1;
DO $$ BEGIN UPDATE item SET version = 1 WHERE id = 1; EXCEPTION WHEN SQLSTATE 'RS005' THEN RAISE NOTICE 'RS005: %', SQLERRM; END $$;

-- an update that does not name the column carries what it finds: a bulk update needs nothing
UPDATE item SET price = price + 1 RETURNING *;
-- one row that has changed takes the whole statement with it
UPDATE item SET price = 0, version = 2;
SELECT * FROM item ORDER BY id;

-- an upsert likewise, and one that carries
INSERT INTO item (id, price) VALUES (2, 50) ON CONFLICT (id) DO UPDATE SET price = EXCLUDED.price RETURNING *;
INSERT INTO item (id, price, version) VALUES (2, 60, 3) ON CONFLICT (id)
DO UPDATE SET price = EXCLUDED.price, version = EXCLUDED.version RETURNING *;
INSERT INTO item (id, price, version) VALUES (2, 70, 3) ON CONFLICT (id)
DO UPDATE SET price = EXCLUDED.price, version = EXCLUDED.version;
MERGE INTO item i USING (VALUES (3, 90, 2)) n (id, price, version) ON i.id = n.id
WHEN MATCHED THEN UPDATE SET price = n.price, version = n.version;
SELECT * FROM item ORDER BY id;

-- DELETE is not guarded, a DELETE that names the version is
DELETE FROM item WHERE id = 3 AND version = 2;
DELETE FROM item WHERE id = 3 AND version = 3;

-- each integer type, to its end
CREATE TABLE small (v smallint);
CREATE TRIGGER v BEFORE UPDATE ON small FOR EACH ROW EXECUTE FUNCTION reservation.check_version('v');
INSERT INTO small VALUES (32766);
UPDATE small SET v = 32766 RETURNING *;
UPDATE small SET v = 32767;
CREATE TABLE big (v bigint);
CREATE TRIGGER v BEFORE UPDATE ON big FOR EACH ROW EXECUTE FUNCTION reservation.check_version('v');
INSERT INTO big VALUES (9223372036854775806);
UPDATE big SET v = 9223372036854775806 RETURNING *;
UPDATE big SET v = 9223372036854775807;

-- a row without a version
INSERT INTO big VALUES (NULL);
UPDATE big SET v = 1 WHERE v IS NULL;

-- a domain keeps its word
CREATE DOMAIN up_to_three AS integer CHECK (VALUE <= 3);
CREATE TABLE few (v up_to_three);
CREATE TRIGGER v BEFORE UPDATE ON few FOR EACH ROW EXECUTE FUNCTION reservation.check_version('v');
INSERT INTO few VALUES (2);
UPDATE few SET v = v RETURNING *;
UPDATE few SET v = v;

-- partitions, quoted names, and a table in another schema with a column dropped before it
CREATE SCHEMA "My Shop";
CREATE TABLE "My Shop"."Line Item" (gone text, "The Id" integer, "Its Version" integer NOT NULL DEFAULT 0)
PARTITION BY RANGE ("The Id");
ALTER TABLE "My Shop"."Line Item" DROP COLUMN gone;
CREATE TABLE "My Shop".low PARTITION OF "My Shop"."Line Item" FOR VALUES FROM (0) TO (10);
CREATE TABLE "My Shop".high ("Its Version" integer NOT NULL DEFAULT 0, "The Id" integer);
ALTER TABLE "My Shop"."Line Item" ATTACH PARTITION "My Shop".high FOR VALUES FROM (10) TO (20);
CREATE TRIGGER "The Guard" BEFORE UPDATE ON "My Shop"."Line Item"
FOR EACH ROW EXECUTE FUNCTION reservation.check_version('Its Version');
INSERT INTO "My Shop"."Line Item" VALUES (1), (11);
UPDATE "My Shop"."Line Item" SET "Its Version" = 0 RETURNING *;
UPDATE "My Shop"."Line Item" SET "Its Version" = 0 WHERE "The Id" = 11;
-- a row that moves to another partition takes its version along
UPDATE "My Shop"."Line Item" SET "The Id" = 12, "Its Version" = 1 WHERE "The Id" = 1 RETURNING tableoid::regclass, *;

-- WHEN decides which updates are guarded
CREATE TABLE loose (price integer, version integer NOT NULL DEFAULT 1);
CREATE TRIGGER version BEFORE UPDATE ON loose FOR EACH ROW WHEN (OLD.price IS DISTINCT FROM NEW.price)
EXECUTE FUNCTION reservation.check_version('version');
INSERT INTO loose VALUES (1);
UPDATE loose SET version = 7 RETURNING *;
UPDATE loose SET price = 2, version = 1;
UPDATE loose SET price = 2, version = 7 RETURNING *;

-- a role that has no rights on our schema is guarded like every other
CREATE ROLE rsv_clerk;
GRANT SELECT, UPDATE ON item TO rsv_clerk;
SET ROLE rsv_clerk;
UPDATE item SET price = 1, version = 1 WHERE id = 1;
UPDATE item SET price = 1, version = 4 WHERE id = 1 RETURNING *;
RESET ROLE;

DROP TABLE item, small, big, few, loose;
DROP SCHEMA "My Shop" CASCADE;
DROP DOMAIN up_to_three;
DROP ROLE rsv_clerk;
