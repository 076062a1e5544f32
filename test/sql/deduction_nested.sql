-- Triggers of the application change, delete and add lines while the statement that wrote them is under way.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

SELECT status FROM reservation.create_pool('cup', 100, 'counted');
SELECT status FROM reservation.create_pool('jar', 100, 'counted');
CREATE TABLE nested_line (id integer PRIMARY KEY, item text, quantity integer, note text);
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON nested_line
FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('item', 'quantity');
-- what each line says, what its claims say, and what is wrong
CREATE VIEW taken AS
SELECT coalesce(l.id || ' ' || l.item || '*' || l.quantity, 'gone: ' || c.holder) AS line, coalesce(c.quantity, 0) AS claims,
    CASE WHEN coalesce(l.quantity, 0) <> coalesce(c.quantity, 0) THEN 'WRONG' END AS wrong
FROM nested_line l FULL JOIN (
    SELECT holder, pool, sum(quantity - refunded)::bigint AS quantity FROM reservation.claims
    WHERE holder LIKE 'public.nested_line %' AND state = 'finalized' GROUP BY holder, pool) c
    ON c.holder = 'public.nested_line ' || l.id AND c.pool = l.item;
CREATE VIEW books AS SELECT (SELECT string_agg(pool || ' ' || available, ', ' ORDER BY pool) FROM reservation.availability('{cup,jar}')) AS available,
    (SELECT count(*) FROM reservation.verify()) AS wrong;

-- the note says what to do with a new line; the trigger comes before ours by name, then after it
CREATE FUNCTION work() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    command text;
BEGIN
    FOREACH command IN ARRAY string_to_array(NEW.note, '; ') LOOP
        CASE command
            WHEN 'less' THEN UPDATE nested_line SET quantity = quantity - 2, note = NULL WHERE id = NEW.id;
            WHEN 'more' THEN UPDATE nested_line SET quantity = quantity + 2, note = NULL WHERE id = NEW.id;
            WHEN 'jar' THEN UPDATE nested_line SET item = 'jar', note = NULL WHERE id = NEW.id;
            WHEN 'cup' THEN UPDATE nested_line SET item = 'cup', note = NULL WHERE id = NEW.id;
            WHEN 'key' THEN UPDATE nested_line SET id = id + 1000, note = NULL WHERE id = NEW.id;
            WHEN 'delete' THEN DELETE FROM nested_line WHERE id = NEW.id;
            WHEN 'again' THEN INSERT INTO nested_line VALUES (NEW.id, NEW.item, NEW.quantity);
            WHEN 'deep' THEN UPDATE nested_line SET quantity = quantity + 1, note = 'less' WHERE id = NEW.id;
            WHEN 'undone' THEN
                BEGIN
                    UPDATE nested_line SET quantity = quantity - 4, note = NULL WHERE id = NEW.id;
                    RAISE division_by_zero;
                EXCEPTION WHEN division_by_zero THEN NULL;
                END;
            WHEN 'kept' THEN
                BEGIN
                    UPDATE nested_line SET quantity = quantity - 1, note = NULL WHERE id = NEW.id;
                EXCEPTION WHEN division_by_zero THEN NULL;
                END;
            WHEN 'lost' THEN
                BEGIN
                    BEGIN
                        DELETE FROM nested_line WHERE id = NEW.id;
                    EXCEPTION WHEN division_by_zero THEN NULL;
                    END;
                    RAISE division_by_zero;
                EXCEPTION WHEN division_by_zero THEN NULL;
                END;
        END CASE;
    END LOOP;
    RETURN NULL;
END
$$;

\set insert_all 'INSERT INTO nested_line SELECT i, ''cup'', 5, (ARRAY[''less'', ''more'', ''jar'', ''delete''])[i] FROM generate_series(1, 4) i'
\set update_all 'UPDATE nested_line SET quantity = 6, note = (ARRAY[''delete'', ''less'', ''more'', ''jar'', ''cup''])[id % 10 + 1] WHERE id < 1000'
\set by_one 'INSERT INTO nested_line VALUES (10, ''cup'', 5, ''deep''), (11, ''cup'', 5, ''undone''), (12, ''cup'', 5, ''kept; undone'')'
\set by_two 'INSERT INTO nested_line VALUES (13, ''cup'', 5, ''lost''), (14, ''cup'', 5, ''delete; again''), (15, ''cup'', 5, ''key''), (16, ''cup'', 5, ''jar; less; cup; more; delete'')'

CREATE TRIGGER a_work AFTER INSERT OR UPDATE ON nested_line FOR EACH ROW WHEN (NEW.note IS NOT NULL) EXECUTE FUNCTION work();
:insert_all;
SELECT * FROM taken ORDER BY 1;
:update_all;
SELECT * FROM taken ORDER BY 1;
TABLE books;
DELETE FROM nested_line;
:by_one;
SELECT * FROM taken ORDER BY 1;
DELETE FROM nested_line;
:by_two;
SELECT * FROM taken ORDER BY 1;
DELETE FROM nested_line;
TABLE books;

ALTER TRIGGER a_work ON nested_line RENAME TO z_work;
:insert_all;
SELECT * FROM taken ORDER BY 1;
:update_all;
SELECT * FROM taken ORDER BY 1;
TABLE books;
DELETE FROM nested_line;
:by_one;
SELECT * FROM taken ORDER BY 1;
DELETE FROM nested_line;
:by_two;
SELECT * FROM taken ORDER BY 1;
DELETE FROM nested_line;
TABLE books;

-- more than there is, in the inner statement and in the outer
INSERT INTO nested_line VALUES (1, 'cup', 99, 'more');
INSERT INTO nested_line VALUES (1, 'cup', 103, 'less');
INSERT INTO nested_line VALUES (1, 'cup', 102, 'less');
SELECT * FROM taken;
DELETE FROM nested_line;
TABLE books;

-- COPY, before and after ours by name
COPY nested_line FROM STDIN;
1	cup	5	less
2	cup	5	delete
3	cup	5	more
4	cup	5	jar; less
\.
SELECT * FROM taken ORDER BY 1;
DELETE FROM nested_line;
ALTER TRIGGER z_work ON nested_line RENAME TO a_work;
COPY nested_line FROM STDIN;
1	cup	5	less
2	cup	5	delete
3	cup	5	more
4	cup	5	jar; less
\.
SELECT * FROM taken ORDER BY 1;
DELETE FROM nested_line;
TABLE books;

-- the first use in a session, perhaps the one that loads the library
\c -
INSERT INTO nested_line VALUES (1, 'cup', 5, 'less'), (2, 'cup', 5, 'delete'), (3, 'cup', 5, 'deep');
SELECT * FROM taken ORDER BY 1;
\c -
DELETE FROM nested_line;
TABLE books;

-- a function in the statement that writes the lines; WITH; MERGE; ON CONFLICT
CREATE FUNCTION halve(line integer) RETURNS integer LANGUAGE sql AS $$ UPDATE nested_line SET quantity = quantity / 2 WHERE id = line RETURNING quantity $$;
INSERT INTO nested_line VALUES (1, 'cup', 4), (2, 'cup', 2) RETURNING id, halve(id);
INSERT INTO nested_line SELECT i, 'cup', coalesce(halve(i - 1), 0) + 4 FROM generate_series(3, 4) i;
WITH new AS (INSERT INTO nested_line VALUES (5, 'cup', 2) RETURNING id) SELECT halve(id) FROM new;
SELECT * FROM taken ORDER BY 1;
INSERT INTO nested_line VALUES (1, 'cup', 1, NULL), (6, 'cup', 3, 'less') ON CONFLICT (id) DO UPDATE SET quantity = 4, note = 'less';
MERGE INTO nested_line l USING (VALUES (2), (7)) n (id) ON l.id = n.id
WHEN MATCHED THEN UPDATE SET quantity = 4, note = 'delete' WHEN NOT MATCHED THEN INSERT VALUES (n.id, 'jar', 3, 'less');
SELECT * FROM taken ORDER BY 1;
TABLE books;
DELETE FROM nested_line;

-- a trigger of another table; a line that was written without ours is replaced, and gives nothing back
CREATE TABLE nested_order (id integer);
CREATE FUNCTION add_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO nested_line VALUES (NEW.id, 'cup', 5, 'less');
    DELETE FROM nested_line WHERE id = NEW.id - 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER add_line AFTER INSERT ON nested_order FOR EACH ROW EXECUTE FUNCTION add_line();
INSERT INTO nested_order VALUES (1), (2), (3);
SELECT * FROM taken ORDER BY 1;
CREATE FUNCTION replace_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM nested_line WHERE id = NEW.id; RETURN NEW; END $$;
CREATE TRIGGER b_replace BEFORE INSERT ON nested_line FOR EACH ROW EXECUTE FUNCTION replace_line();
BEGIN;
ALTER TABLE nested_line DISABLE TRIGGER stock;
INSERT INTO nested_line VALUES (8, 'cup', 5);
ALTER TABLE nested_line ENABLE TRIGGER stock;
INSERT INTO nested_line VALUES (8, 'cup', 4), (3, 'cup', 2);
COMMIT;
SELECT * FROM taken ORDER BY 1;
DELETE FROM nested_line;
DROP TRIGGER b_replace ON nested_line;

-- a foreign key changes the key of the new lines, in the same statement
CREATE TABLE nested_area (area integer PRIMARY KEY);
CREATE TABLE nested_part (area integer REFERENCES nested_area ON UPDATE CASCADE ON DELETE CASCADE, item text, quantity integer, PRIMARY KEY (area, item));
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON nested_part
FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('item', 'quantity');
CREATE FUNCTION less() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE nested_part SET quantity = 1 WHERE area = NEW.area; RETURN NULL; END $$;
CREATE TRIGGER a_less AFTER UPDATE ON nested_part FOR EACH ROW WHEN (NEW.area <> OLD.area) EXECUTE FUNCTION less();
INSERT INTO nested_area VALUES (1), (2);
INSERT INTO nested_part VALUES (1, 'cup', 3), (1, 'jar', 3), (2, 'cup', 3);
UPDATE nested_area SET area = area + 10;
TABLE nested_part;
SELECT holder, pool, quantity - refunded AS claims FROM reservation.claims WHERE holder LIKE 'public.nested_part%' AND state = 'finalized' ORDER BY 1, 2;
DELETE FROM nested_area;
TABLE books;
SELECT * FROM reservation.verify();

-- a statement that failed is over, also in a function that PL/pgSQL calls as a simple expression
CREATE TABLE nested_audit (n integer PRIMARY KEY);
INSERT INTO nested_audit VALUES (1);
CREATE FUNCTION note() RETURNS integer LANGUAGE sql AS $$ INSERT INTO nested_audit VALUES (1) RETURNING n $$;
CREATE FUNCTION note_and_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    noted integer;
BEGIN
    BEGIN
        noted := note();
    EXCEPTION WHEN unique_violation THEN NULL;
    END;
    UPDATE nested_line SET quantity = quantity WHERE id = NEW.id;
    DELETE FROM nested_line WHERE id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER z_note AFTER INSERT ON nested_line FOR EACH ROW EXECUTE FUNCTION note_and_delete();
INSERT INTO nested_line VALUES (1, 'cup', 5);
SELECT * FROM taken;
TABLE books;
DROP TRIGGER z_note ON nested_line;


-- COPY in a function of a statement that writes: what its rows owe is found in the statement around it
CREATE TABLE nested_load (n integer);
CREATE FUNCTION load_lines(n integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('COPY nested_line FROM PROGRAM ''printf "%s1\tcup\t5\tdelete\n%s2\tcup\t5\tless\n%s3\tcup\t5\t\\\\N\n"''', n, n, n);
    RETURN n;
END
$$;
INSERT INTO nested_load SELECT load_lines(i) FROM generate_series(1, 2) i;
SELECT * FROM taken ORDER BY 1;
ALTER TRIGGER a_work ON nested_line RENAME TO z_work;
INSERT INTO nested_load SELECT load_lines(3);
SELECT * FROM taken ORDER BY 1;
TABLE books;
DELETE FROM nested_line;
TABLE books;

-- COPY FREEZE, whose rows look older than they are; before and after ours by name
BEGIN;
TRUNCATE nested_line;
COPY nested_line FROM STDIN (FREEZE);
1	cup	5	less
2	cup	5	delete
3	cup	5	more; kept
4	cup	5	jar; less
\.
SELECT * FROM taken ORDER BY 1;
DELETE FROM nested_line;
COMMIT;
ALTER TRIGGER z_work ON nested_line RENAME TO a_work;
BEGIN;
TRUNCATE nested_line;
COPY nested_line FROM STDIN (FREEZE);
1	cup	5	less
2	cup	5	delete
3	cup	5	more; kept
4	cup	5	jar; less
\.
SELECT * FROM taken ORDER BY 1;
DELETE FROM nested_line;
COMMIT;
TABLE books;
DROP VIEW books, taken;
DROP TABLE nested_line, nested_order, nested_part, nested_area, nested_audit, nested_load;
DROP FUNCTION work, halve, add_line, replace_line, less, note, note_and_delete, load_lines;
SELECT d.status FROM unnest('{cup,jar}'::text[]) p, reservation.drop_pool(p, true) d;
