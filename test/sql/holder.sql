-- The name by which a claim knows a row does not depend on the settings of the session that writes it.
\a
\pset footer off
\pset null NULL
\set SHOW_CONTEXT never

CREATE FUNCTION pg_temp.settings(usual boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config(name, CASE WHEN usual THEN usually ELSE otherwise END, false) FROM (VALUES
        ('bytea_output', 'hex', 'escape'), ('datestyle', 'ISO, MDY', 'German, DMY'), ('extra_float_digits', '1', '-3'),
        ('intervalstyle', 'postgres', 'sql_standard'), ('quote_all_identifiers', 'off', 'on'), ('timezone', 'UTC', 'Asia/Kathmandu'),
        ('search_path', '"$user", public', 'club, public')) AS s(name, usually, otherwise);
END
$$;
SELECT pg_temp.settings(true);

-- a table for each type of key: one row comes in one way and goes in the other, one the other way round, one stays
CREATE SCHEMA club;
CREATE TABLE club.house (id integer);
CREATE TYPE pair AS (at timestamptz, raw bytea);
CREATE TYPE mood AS ENUM ('glad', 'Very glad', 'not so glad');
CREATE DOMAIN raw AS bytea;
CREATE FUNCTION pg_temp.try(type text, one text, two text, three text) RETURNS TABLE (name text, state text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM reservation.create_pool('key ' || type, 9);
    EXECUTE format('CREATE TABLE member (id %s PRIMARY KEY, number integer UNIQUE)', type);
    EXECUTE format('CREATE TRIGGER number BEFORE INSERT OR UPDATE ON member FOR EACH ROW EXECUTE FUNCTION reservation.assign_number(%L, ''number'')', 'key ' || type);
    EXECUTE format('CREATE TRIGGER back AFTER DELETE ON member FOR EACH ROW EXECUTE FUNCTION reservation.assign_number(%L, ''number'')', 'key ' || type);
    EXECUTE format('INSERT INTO member VALUES (%s), (%s)', one, three);
    PERFORM pg_temp.settings(false);
    EXECUTE format('INSERT INTO member VALUES (%s)', two);
    DELETE FROM member WHERE number = 1;
    PERFORM pg_temp.settings(true);
    DELETE FROM member WHERE number = 3;
    RETURN QUERY SELECT holder, c.state::text FROM reservation.claims c WHERE pool = 'key ' || type ORDER BY claimed_at, c.number;
    RETURN QUERY SELECT v.problem, v.found FROM reservation.verify('key ' || type) v;
    DROP TABLE member;
END
$$;
SELECT * FROM pg_temp.try('integer', '1', '2', '3');
SELECT * FROM pg_temp.try('text', $$'one'$$, $$'two'$$, $$'back\slash'$$);
SELECT * FROM pg_temp.try('uuid', $$'00000000-0000-7000-8000-000000000001'$$, $$'00000000-0000-7000-8000-000000000002'$$, $$'00000000-0000-7000-8000-000000000003'$$);
SELECT * FROM pg_temp.try('mood', $$'glad'$$, $$'Very glad'$$, $$'not so glad'$$);
SELECT * FROM pg_temp.try('bytea', $$'\x00ff'$$, $$'\x41'$$, $$'\x5c27'$$);
SELECT * FROM pg_temp.try('raw', $$'\x00ff'$$, $$'\x41'$$, $$'\x5c27'$$);
SELECT * FROM pg_temp.try('real', '0.1', '1.0 / 3', $$'NaN'$$);
SELECT * FROM pg_temp.try('double precision', '0.1', '1.0 / 3', '1e100');
SELECT * FROM pg_temp.try('interval', $$'1 year 2 mons'$$, $$'3 days 04:05'$$, $$'-1 day'$$);
SELECT * FROM pg_temp.try('date', $$'2026-12-24'$$, $$'25.12.2026'$$, $$'infinity'$$);
SELECT * FROM pg_temp.try('timestamptz', $$'2026-12-24 10:00+01'$$, $$'25.12.2026 10:00+01'$$, $$'infinity'$$);
SELECT * FROM pg_temp.try('time', $$'10:00'$$, $$'11:00:00.5'$$, $$'24:00'$$);
SELECT * FROM pg_temp.try('timetz', $$'10:00+01'$$, $$'11:00:00.5+05:45'$$, $$'24:00-12'$$);
SELECT * FROM pg_temp.try('daterange', $$'[2026-12-24,2026-12-27)'$$, $$'[24.11.2026,27.11.2026)'$$, $$'empty'$$);
SELECT * FROM pg_temp.try('tsrange', $$'[2026-12-24 10:00,)'$$, $$'(,24.11.2026 10:00]'$$, $$'empty'$$);
SELECT * FROM pg_temp.try('tstzrange', $$'[2026-12-24 10:00+01,)'$$, $$'(,24.11.2026 10:00+01]'$$, $$'[2026-12-24 10:00+01,2026-12-24 11:00+01)'$$);
SELECT * FROM pg_temp.try('tstzmultirange', $$'{[2026-12-24 10:00+01,)}'$$, $$'{(,24.11.2026 10:00+01]}'$$, $$'{}'$$);
SELECT * FROM pg_temp.try('timestamptz[]', $$'{2026-12-24 10:00+01}'$$, $$'{25.12.2026 10:00+01}'$$, $$'{}'$$);
SELECT * FROM pg_temp.try('pair', $$row('2026-12-24 10:00+01', '\x41')$$, $$row('25.12.2026 10:00+01', '\x42')$$, $$row(NULL, '\x43')$$);
SELECT * FROM pg_temp.try('money', '0.5', '2', '1234567.89');
SELECT * FROM pg_temp.try('regclass', $$'club.house'$$, $$'pg_class'$$, '0');

-- the caller's settings are as they were, also where SET LOCAL made them
BEGIN;
CREATE TABLE club.guest (id tstzrange PRIMARY KEY, number integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON club.guest FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('key integer', 'number');
SET LOCAL timezone = 'Asia/Kathmandu';
SET LOCAL datestyle = 'German';
SET LOCAL quote_all_identifiers = on;
INSERT INTO club.guest VALUES ('[24.12.2026 10:00,)') RETURNING id, number, current_setting('search_path');
SHOW timezone;
SHOW quote_all_identifiers;
SELECT holder FROM reservation.claims WHERE pool = 'key integer' AND state = 'finalized' ORDER BY number;
ROLLBACK;
SHOW timezone;

-- lines of orders: what a session with other settings deletes comes back
SELECT status FROM reservation.create_pool('key shirt', 10, 'counted');
CREATE TABLE line (id bytea PRIMARY KEY, item text, quantity integer);
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON line FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('item', 'quantity');
INSERT INTO line VALUES ('\x01', 'key shirt', 3);
SELECT pg_temp.settings(false);
UPDATE line SET quantity = 2;
SELECT available FROM reservation.availability('{key shirt}');
DELETE FROM line;
SELECT available FROM reservation.availability('{key shirt}');

-- jobs: a failed status gives back
SELECT status FROM reservation.create_pool('key credit', 10, 'counted');
CREATE TABLE public.job (id interval PRIMARY KEY, account text, status text);
CREATE TRIGGER charge AFTER INSERT OR UPDATE ON public.job FOR EACH ROW EXECUTE FUNCTION reservation.charge_credit('account', '4', 'status', 'failed');
INSERT INTO public.job VALUES ('1 year 2 mons', 'key credit', 'new');
SELECT available FROM reservation.availability('{key credit}');
SELECT pg_temp.settings(true);
UPDATE job SET status = 'failed';
SELECT available FROM reservation.availability('{key credit}');
SELECT * FROM reservation.verify();
DROP TABLE line, job, club.house;
DROP SCHEMA club;
DROP TYPE pair, mood, raw;
