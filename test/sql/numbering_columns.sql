-- Which columns a number can stand in, and how it looks there.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

SELECT status FROM reservation.create_pool('columns', 40000);
CREATE FUNCTION pg_temp.number_by(arguments text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER number BEFORE INSERT OR UPDATE ON badge FOR EACH ROW '
        'EXECUTE FUNCTION reservation.assign_number(%s)', arguments);
END
$$;
CREATE DOMAIN odd AS integer CHECK (VALUE % 2 = 1);
CREATE DOMAIN code AS varchar(6) CHECK (VALUE LIKE 'B%');
CREATE TABLE badge (gone text, id integer PRIMARY KEY, small smallint, normal integer, big bigint, plain text, short varchar(4),
    odd odd, code code, "Odd:Name" text, twice integer GENERATED ALWAYS AS (normal * 2) STORED, flag boolean, strict_flag boolean NOT NULL DEFAULT false);
ALTER TABLE badge DROP COLUMN gone;

-- integers
SELECT pg_temp.number_by($$'columns', 'small'$$);
INSERT INTO badge (id) VALUES (1) RETURNING small;
SELECT pg_temp.number_by($$'columns', 'big', 'flag'$$);
INSERT INTO badge (id) VALUES (2) RETURNING big, flag;
-- what a generated column is computed from
SELECT pg_temp.number_by($$'columns', 'normal', 'strict_flag'$$);
INSERT INTO badge (id) VALUES (3) RETURNING normal, twice, strict_flag;

-- texts: plain digits, a prefix, zeros, both
SELECT pg_temp.number_by($$'columns', 'plain'$$);
INSERT INTO badge (id) VALUES (4) RETURNING plain;
SELECT pg_temp.number_by($$'columns', 'plain:No. '$$);
INSERT INTO badge (id) VALUES (5) RETURNING plain;
SELECT pg_temp.number_by($$'columns', 'plain:000'$$);
INSERT INTO badge (id) VALUES (6) RETURNING plain;
SELECT pg_temp.number_by($$'columns', 'plain:M-0000'$$);
INSERT INTO badge (id) VALUES (7) RETURNING plain;
SELECT pg_temp.number_by($$'columns', 'Odd:Name'$$);
INSERT INTO badge (id) VALUES (8) RETURNING "Odd:Name";
SELECT pg_temp.number_by($$'columns', 'Odd:Name:%s-00'$$);
INSERT INTO badge (id) VALUES (9) RETURNING "Odd:Name";
ALTER TABLE badge RENAME COLUMN "Odd:Name" TO odd_name;
INSERT INTO badge (id) VALUES (90);
SELECT pg_temp.number_by($$'columns', 'odd_name:%s-00'$$);
INSERT INTO badge (id) VALUES (90) RETURNING odd_name;

-- domains
SELECT pg_temp.number_by($$'columns', 'odd'$$);
INSERT INTO badge (id) VALUES (10) RETURNING odd;
SELECT pg_temp.number_by($$'columns', 'code:B'$$);
INSERT INTO badge (id) VALUES (11) RETURNING code;
SELECT pg_temp.number_by($$'columns', 'code:C'$$);
INSERT INTO badge (id) VALUES (12) RETURNING code;

-- what does not fit is refused, and the number stays free
SELECT pg_temp.number_by($$'columns', 'short:ABC-0'$$);
INSERT INTO badge (id) VALUES (13) RETURNING short;
SELECT pg_temp.number_by($$'columns', 'normal'$$);
INSERT INTO badge (id) VALUES (12) RETURNING normal;
SELECT count(*) AS taken FROM reservation.claim_next('columns', 'ann', 33000);
SELECT pg_temp.number_by($$'columns', 'small'$$);
INSERT INTO badge (id) VALUES (13) RETURNING small;
-- more digits than zeros
SELECT pg_temp.number_by($$'columns', 'short:000'$$);
INSERT INTO badge (id) VALUES (13) RETURNING short;
SELECT pg_temp.number_by($$'columns', 'plain:M-0000'$$);
INSERT INTO badge (id) VALUES (13) RETURNING plain;

-- a number column that may not be empty fails the row when the numbers have run out
SELECT status FROM reservation.create_pool('few', 1);
CREATE TABLE must (id integer PRIMARY KEY, number integer NOT NULL);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON must FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('few', 'number');
INSERT INTO must VALUES (1) RETURNING number;
INSERT INTO must VALUES (2) RETURNING number;

-- what the owner supplies is read as it is written
SELECT pg_temp.number_by($$'columns', 'plain:M-0000'$$);
INSERT INTO badge (id, plain) VALUES (20, 'M-39000') RETURNING plain;
INSERT INTO badge (id, plain) VALUES (21, 'M-039001');
INSERT INTO badge (id, plain) VALUES (21, 'm-39001');
INSERT INTO badge (id, plain) VALUES (21, 'M--001');
INSERT INTO badge (id, plain) VALUES (21, 'M-99999999999');
INSERT INTO badge (id, plain) VALUES (21, '39001');
SELECT pg_temp.number_by($$'columns', 'big'$$);
INSERT INTO badge (id, big) VALUES (21, 39001) RETURNING big;
INSERT INTO badge (id, big) VALUES (22, 9223372036854775807);
INSERT INTO badge (id, big) VALUES (22, -1);
INSERT INTO badge (id, big) VALUES (22, 40001);

SELECT number, holder FROM reservation.claims WHERE pool = 'columns' AND holder LIKE 'public.badge%' ORDER BY number;
SELECT * FROM reservation.verify();
DROP TABLE badge, must;
DROP DOMAIN odd, code;
