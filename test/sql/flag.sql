-- A flag that turns true once, by the trigger finalize_once.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

CREATE TABLE bill (id integer PRIMARY KEY, paid boolean NOT NULL DEFAULT false, paid_at timestamptz, note text);
CREATE TRIGGER paid BEFORE UPDATE ON bill FOR EACH ROW EXECUTE FUNCTION reservation.finalize_once('paid', 'paid_at');
INSERT INTO bill (id) VALUES (1), (2), (3), (4);

-- once, with the time of it; whatever time the update brings
UPDATE bill SET paid = true WHERE id = 1 RETURNING paid, paid_at BETWEEN now() AND clock_timestamp() AS stamped;
UPDATE bill SET paid = true, paid_at = '2000-01-01' WHERE id = 2 RETURNING paid, paid_at > now() AS stamped;
SELECT paid_at AS first FROM bill WHERE id = 1 \gset

-- again: no row, whatever else the update wants
UPDATE bill SET paid = true WHERE id = 1;
\echo :ROW_COUNT
UPDATE bill SET paid = true, note = 'twice' WHERE id = 1;
\echo :ROW_COUNT
UPDATE bill SET paid = true WHERE id < 4 RETURNING id;
SELECT id, paid, note, paid_at = :'first' AS as_it_was FROM bill WHERE id = 1;

-- an update of something else passes, before and after
INSERT INTO bill (id) VALUES (5);
UPDATE bill SET note = 'passes' WHERE id IN (1, 5) RETURNING id, paid, note;
UPDATE bill SET paid = false WHERE id = 5 RETURNING id, paid;

-- never back, and no other time
UPDATE bill SET paid = false WHERE id = 1;
UPDATE bill SET paid_at = now() WHERE id = 1;
UPDATE bill SET paid_at = NULL WHERE id = 1;
UPDATE bill SET paid_at = now() WHERE id = 5;
DO $$ BEGIN UPDATE bill SET paid = false WHERE id = 1; EXCEPTION WHEN SQLSTATE 'RS004' THEN RAISE NOTICE 'RS004'; END $$;
UPDATE bill SET paid_at = paid_at WHERE id = 1 RETURNING id;

-- an upsert and a MERGE, the same
INSERT INTO bill (id, paid) VALUES (5, true) ON CONFLICT (id) DO UPDATE SET paid = EXCLUDED.paid RETURNING id, paid;
INSERT INTO bill (id, paid) VALUES (5, true) ON CONFLICT (id) DO UPDATE SET paid = EXCLUDED.paid RETURNING id, paid;
MERGE INTO bill USING (VALUES (5), (6)) n (id) ON bill.id = n.id
WHEN MATCHED THEN UPDATE SET paid = true WHEN NOT MATCHED THEN INSERT (id) VALUES (n.id);
\echo :ROW_COUNT

-- rolled back, it has not happened
BEGIN;
UPDATE bill SET paid = true WHERE id = 6;
SAVEPOINT s;
UPDATE bill SET paid = true WHERE id = 6;
ROLLBACK;
UPDATE bill SET paid = true WHERE id = 6 RETURNING id, paid;

-- NULL is not true yet, but true does not become NULL; without a time; a timestamp without time zone
CREATE TABLE task (id integer, done boolean, done_at timestamp);
CREATE TRIGGER done BEFORE UPDATE ON task FOR EACH ROW EXECUTE FUNCTION reservation.finalize_once('done', 'done_at');
INSERT INTO task VALUES (1);
SET TimeZone = 'Asia/Kolkata';
UPDATE task SET done = true RETURNING done, done_at BETWEEN localtimestamp AND clock_timestamp()::timestamp AS local_time;
RESET TimeZone;
UPDATE task SET done = NULL;
DROP TRIGGER done ON task;
CREATE TRIGGER done BEFORE UPDATE ON task FOR EACH ROW EXECUTE FUNCTION reservation.finalize_once('done');
UPDATE task SET done = true;
\echo :ROW_COUNT
UPDATE task SET done_at = NULL RETURNING *;

-- with WHEN, and beside check_version, whose number a repeat leaves alone
ALTER TABLE task ADD COLUMN version integer NOT NULL DEFAULT 1;
CREATE TRIGGER a_version BEFORE UPDATE ON task FOR EACH ROW EXECUTE FUNCTION reservation.check_version('version');
UPDATE task SET done = true, version = 1;
SELECT version FROM task;
INSERT INTO task VALUES (2);
UPDATE task SET done = true WHERE id = 2 RETURNING id, done, version;

DROP TABLE bill, task;
