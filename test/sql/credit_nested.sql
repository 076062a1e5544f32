-- Triggers of the application fail jobs while the statement that made them is under way, and think better of it.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

SELECT status FROM reservation.create_pool('dan''s', 50, 'counted');
SELECT status FROM reservation.create_pool('eve''s', 0, 'counted');
SELECT status FROM reservation.create_pool('plate', 9, 'counted');
CREATE TABLE nested_job (id integer PRIMARY KEY, account text, cost integer, status text NOT NULL DEFAULT 'queued', note text);
CREATE TRIGGER charge AFTER INSERT OR UPDATE ON nested_job
FOR EACH ROW EXECUTE FUNCTION reservation.charge_credit('account', 'cost', 'status', 'failed', 'timed out');
CREATE TABLE nested_plate (id integer PRIMARY KEY, item text, quantity integer);
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON nested_plate
FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('item', 'quantity');
CREATE VIEW charged AS
SELECT id, status, cost, coalesce(sum(quantity - refunded) FILTER (WHERE state = 'finalized'), 0) AS charged
FROM nested_job j LEFT JOIN reservation.claims c ON c.holder = 'public.nested_job ' || j.id GROUP BY id, status, cost;
CREATE VIEW books AS SELECT (SELECT string_agg(pool || ' ' || available, ', ' ORDER BY pool) FROM reservation.availability('{dan''s,eve''s,plate}')) AS available,
    (SELECT count(*) FROM reservation.verify()) AS wrong;

CREATE FUNCTION job_work() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.note IS NOT DISTINCT FROM NEW.note THEN
        RETURN NULL;
    END IF;
    IF NEW.note = 'deep' THEN
        UPDATE nested_job SET note = 'fail' WHERE id = NEW.id;
    END IF;
    IF NEW.note IN ('fail', 'fail, go on') THEN
        UPDATE nested_job SET status = 'failed' WHERE id = NEW.id;
    END IF;
    IF NEW.note = 'fail, go on' THEN
        UPDATE nested_job SET status = 'queued' WHERE id = NEW.id;
        UPDATE nested_job SET status = 'timed out' WHERE id = NEW.id;
        UPDATE nested_job SET status = 'running' WHERE id = NEW.id;
    END IF;
    IF NEW.note LIKE 'undone%' THEN
        BEGIN
            UPDATE nested_job SET status = 'failed' WHERE id = NEW.id;
            RAISE division_by_zero;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END IF;
    IF NEW.note = 'undone, kept' THEN
        BEGIN
            BEGIN
                UPDATE nested_job SET status = 'failed' WHERE id = NEW.id;
            EXCEPTION WHEN OTHERS THEN NULL;
            END;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END IF;
    IF NEW.note = 'undone, later' THEN
        BEGIN
            BEGIN
                UPDATE nested_job SET status = 'failed' WHERE id = NEW.id;
            EXCEPTION WHEN OTHERS THEN NULL;
            END;
            RAISE division_by_zero;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END IF;
    RETURN NULL;
END
$$;
\set jobs 'INSERT INTO nested_job VALUES (1, ''dan''''s'', 1, ''queued'', NULL), (2, ''dan''''s'', 2, ''queued'', ''undone''), (3, ''dan''''s'', 3, ''queued'', ''undone, kept''), (4, ''dan''''s'', 4, ''queued'', ''undone, later''), (5, ''dan''''s'', 5, ''queued'', ''fail''), (6, ''dan''''s'', 6, ''queued'', ''fail, go on''), (7, ''dan''''s'', 7, ''queued'', ''deep'')'

-- a refund that is undone is none, and what other jobs of the statement cost is charged; with a trigger that comes after ours by name, and one before
CREATE TRIGGER z_work AFTER INSERT OR UPDATE ON nested_job FOR EACH ROW EXECUTE FUNCTION job_work();
:jobs;
SELECT * FROM charged ORDER BY id;
TABLE books;
UPDATE nested_job SET status = 'failed';
DELETE FROM nested_job;
TABLE books;
ALTER TRIGGER z_work ON nested_job RENAME TO a_work;
:jobs;
SELECT * FROM charged ORDER BY id;
TABLE books;
UPDATE nested_job SET status = 'failed';
DELETE FROM nested_job;
TABLE books;

-- no credit: no job but one that has failed
INSERT INTO nested_job VALUES (1, 'eve''s', 1, 'queued', 'undone');
INSERT INTO nested_job VALUES (1, 'eve''s', 1, 'queued', 'undone, later');
INSERT INTO nested_job VALUES (1, 'dan''s', 1, 'queued', NULL), (2, 'eve''s', 1, 'queued', 'undone');
INSERT INTO nested_job VALUES (1, 'eve''s', 1, 'queued', 'fail');
ALTER TRIGGER a_work ON nested_job RENAME TO z_work;
INSERT INTO nested_job VALUES (2, 'eve''s', 1, 'queued', 'undone');
INSERT INTO nested_job VALUES (2, 'eve''s', 1, 'queued', 'undone, later');
INSERT INTO nested_job VALUES (2, 'eve''s', 1, 'queued', 'fail');
SELECT * FROM charged ORDER BY id;
DELETE FROM nested_job;
TABLE books;

-- what other rows of the statement around it want
CREATE FUNCTION add_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO nested_job VALUES (NEW.id, 'dan''s', 2, 'queued', 'undone');
    BEGIN
        UPDATE nested_job SET status = 'failed' WHERE id = NEW.id;
        RAISE division_by_zero;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    RETURN NULL;
END
$$;
CREATE TRIGGER z_job AFTER INSERT ON nested_plate FOR EACH ROW EXECUTE FUNCTION add_job();
INSERT INTO nested_plate VALUES (1, 'plate', 4), (2, 'plate', 5);
SELECT * FROM charged ORDER BY id;
TABLE books;
UPDATE nested_job SET status = 'failed';
DELETE FROM nested_job;
DELETE FROM nested_plate;
INSERT INTO nested_plate VALUES (1, 'plate', 4), (2, 'plate', 6);
TABLE books;

-- COPY, also by the first command of a session
COPY nested_job (id, account, cost, note) FROM STDIN;
1	dan's	1	fail
2	dan's	2	undone
3	dan's	3	undone, later
\.
SELECT * FROM charged ORDER BY id;
TABLE books;
ALTER TRIGGER z_work ON nested_job RENAME TO a_work;
\c -
COPY nested_job (id, account, cost, note) FROM STDIN;
4	dan's	1	fail
5	dan's	2	undone
6	dan's	3	undone, later
\.
SELECT * FROM charged ORDER BY id;
TABLE books;

-- a key that was charged, deleted, and charged anew
INSERT INTO nested_job VALUES (20, 'dan''s', 1);
DELETE FROM nested_job WHERE id = 20;
INSERT INTO nested_job VALUES (20, 'dan''s', 2, 'queued', 'fail');
SELECT * FROM charged WHERE id = 20;
SELECT * FROM reservation.verify();

DROP VIEW books, charged;
DROP TABLE nested_job, nested_plate;
DROP FUNCTION job_work, add_job;
SELECT d.status FROM unnest('{dan''s,eve''s,plate}'::text[]) p, reservation.drop_pool(p, true) d;
