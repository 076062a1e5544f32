-- CREATE EXTENSION and DROP EXTENSION: again in one session, by a database owner who is no superuser, and not into a
-- schema that holds anything.
BEGIN;
SELECT no_plan();

-- use everything once, so that all that a session keeps is in place
CREATE FUNCTION pg_temp.use_all() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text := '';
    one uuid;
BEGIN
    PERFORM reservation.create_pool('p', 3, per_holder => 5);
    PERFORM reservation.create_pool('p', 3, per_holder => 5);
    PERFORM reservation.create_pool('open');
    PERFORM reservation.create_pool('counted', 3, 'counted');
    PERFORM reservation.alter_pool('p', hold_ttl => '1 hour');
    PERFORM reservation.add_units('p', labels => '{A,B}');
    SELECT string_agg(number::text, ' ') INTO result FROM reservation.claim_next('p', 'ann', 2, request_id => 'r');
    SELECT result || ' ' || string_agg(number::text, ' ') INTO result FROM reservation.claim_next('p', 'ann', 2, request_id => 'r');
    SELECT result || ' ' || label, claim_id INTO result, one FROM reservation.claim_unit('p', 4, 'ann');
    PERFORM reservation.extend(one, '2 hours');
    PERFORM reservation.finalize(one);
    PERFORM reservation.refund(one, request_id => 'r');
    SELECT result || ' ' || number, claim_id INTO result, one FROM reservation.claim_next('open', 'ann');
    PERFORM reservation.release(one);
    PERFORM reservation.claim_next('p', 'bob', ttl => '1 microsecond');
    SELECT result || ' ' || lapsed INTO result FROM reservation.sweep();
    PERFORM reservation.create_pool('dropped', 3);
    PERFORM reservation.drop_pool('dropped');
    SELECT result || ' ' || available || ' ' || held INTO result FROM reservation.availability('{p}');
    SELECT result || ' ' || count(*) INTO result FROM reservation.verify();
    RETURN result;
END
$$;
CREATE FUNCTION pg_temp.undone(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    hint text;
BEGIN
    EXECUTE command;
    result := pg_temp.use_all();
    RAISE SQLSTATE '00NIL';
EXCEPTION
    WHEN SQLSTATE '00NIL' THEN
        RETURN result;
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
        RETURN sqlstate || CASE WHEN hint <> '' THEN ' with a hint' ELSE '' END;
END
$$;
\set all '1 2 1 2 A 1 1 3 2 0'
PREPARE claim AS SELECT number FROM reservation.claim_next('p', 'cem');

SELECT is(pg_temp.use_all(), :'all', 'in a new database');
SELECT results_eq('claim', 'VALUES (3)', 'a prepared statement');

-- dropped and made again, undone; then for good
SELECT is(pg_temp.undone('DROP EXTENSION reservation; CREATE EXTENSION reservation'), :'all', 'dropped and created again, to be undone');
SELECT results_eq($$SELECT number FROM reservation.claim_next('p', 'cem')$$, 'VALUES (4)', 'undone: the claims are as they were');
SELECT results_eq('claim', 'VALUES (5)', 'undone: the prepared statement');
SELECT is_empty('SELECT * FROM reservation.verify()', 'undone: verify() is empty');
SELECT lives_ok('DROP EXTENSION reservation', 'drop');
SELECT hasnt_function('reservation', 'claim_next', 'nothing is left');
SELECT is_empty($$SELECT relname FROM pg_class WHERE relnamespace = 'reservation'::regnamespace$$, 'no table, no sequence of a pool');
SELECT lives_ok('CREATE EXTENSION reservation', 'create again');

-- tables that are not as the library knows them: refused, not misread
SELECT is(pg_temp.undone('ALTER TABLE reservation.' || t || ' ADD COLUMN slip text'), '55000 with a hint', 'a column added to ' || t)
FROM unnest(ARRAY['pool', 'available', 'unit', 'claim', 'request', 'log']) t;
SELECT is(pg_temp.undone('ALTER TABLE reservation.claim ADD COLUMN slip text; ALTER TABLE reservation.claim DROP COLUMN slip'),
    '55000 with a hint', 'and dropped again: its place is still there');

-- heap is what the library reads and writes, whatever tables are by default
CREATE ACCESS METHOD rsv_heap TYPE TABLE HANDLER heap_tableam_handler;
SELECT is(pg_temp.undone('ALTER TABLE reservation.claim SET ACCESS METHOD rsv_heap'), '55000 with a hint', 'a table with another access method');
SELECT is(pg_temp.undone('SET LOCAL default_table_access_method = rsv_heap; DROP EXTENSION reservation; CREATE EXTENSION reservation'), :'all',
    'created where tables have another access method by default');

SELECT is(pg_temp.use_all(), :'all', 'with the plans that the session has cached');
SELECT results_eq('claim', 'VALUES (3)', 'the prepared statement finds the new function');
SELECT is_empty('SELECT * FROM reservation.verify()', 'verify() is empty');

-- it has one place
SELECT throws_ok('ALTER EXTENSION reservation SET SCHEMA public', '0A000', NULL, 'it does not move');
SELECT lives_ok('DROP EXTENSION reservation', 'drop');
SELECT throws_ok('CREATE EXTENSION reservation SCHEMA public', '0A000', NULL, 'it goes nowhere else');

-- not into a schema that holds anything: what is there might be picked up in our name
SET LOCAL client_min_messages = warning;
SELECT lives_ok('CREATE SCHEMA IF NOT EXISTS reservation', 'an empty schema');
SELECT is(pg_temp.undone('CREATE EXTENSION reservation'), :'all', 'is welcome');
SELECT is(pg_temp.undone(command || '; CREATE EXTENSION reservation'), '42P06 with a hint', 'refused after ' || command)
FROM unnest(ARRAY['CREATE TABLE reservation.t (i integer)', 'CREATE TABLE reservation.pool (i integer)', 'CREATE VIEW reservation.v AS SELECT 1',
    'CREATE SEQUENCE reservation.s', 'CREATE TYPE reservation.text AS ENUM ()', 'CREATE DOMAIN reservation.text AS integer',
    $$CREATE FUNCTION reservation.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'$$,
    'CREATE AGGREGATE reservation.sum (integer) (SFUNC = int4pl, STYPE = integer)',
    'CREATE OPERATOR reservation.= (FUNCTION = int4eq, LEFTARG = integer, RIGHTARG = integer)']) command;

-- whoever creates it has hostile things in front: CREATE EXTENSION does not look there
SELECT is(pg_temp.undone($$CREATE SCHEMA trap; CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
    CREATE OPERATOR trap.= (FUNCTION = int4ne, LEFTARG = integer, RIGHTARG = integer);
    CREATE OPERATOR trap.<= (FUNCTION = timestamptz_gt, LEFTARG = timestamptz, RIGHTARG = timestamptz);
    CREATE OPERATOR trap.= (FUNCTION = textne, LEFTARG = text, RIGHTARG = text);
    SET LOCAL search_path = trap, pg_catalog; CREATE EXTENSION reservation; SET LOCAL search_path = DEFAULT$$), :'all', 'hostile search_path');

-- trusted: a role that may create in the database, and is no superuser
CREATE ROLE rsv_owner;
CREATE ROLE rsv_other;
CREATE ROLE rsv_stranger;
DROP SCHEMA reservation;
SELECT lives_ok(format('ALTER DATABASE %I OWNER TO rsv_owner', current_database()), 'a database owner');
SET LOCAL ROLE rsv_stranger;
SELECT throws_ok('CREATE EXTENSION reservation', '42501', NULL, 'who may not create in the database, may not');
SET LOCAL ROLE rsv_owner;
SELECT lives_ok('CREATE EXTENSION reservation', 'the owner of the database creates it');
SELECT is(pg_temp.use_all(), :'all', 'and can use everything');
SELECT results_eq($$SELECT number FROM reservation.claim_next('open', 'ann')$$, 'VALUES (1)', 'open edition');
SELECT lives_ok('TABLE reservation.' || t, 'the owner reads ' || t)
FROM unnest(ARRAY['pool', 'available', 'unit', 'claim', 'request', 'log', 'stock', 'ticket', 'line_block', 'claims', 'holds', 'tickets', 'units', 'pool_status', 'operation', 'cart_line',
    'cart_merge', 'checkout', 'payment', 'order', 'checkouts', 'payments', 'refunds_due']) t;

-- but cannot change what the library relies on, nor add anything beside it
SELECT throws_ok(command, '42501', NULL, 'refused to the owner: ' || command)
FROM unnest(ARRAY['ALTER TABLE reservation.claim ADD COLUMN note text', 'DROP TABLE reservation.claim', 'TRUNCATE reservation.claim',
    'CREATE TRIGGER slip BEFORE INSERT ON reservation.claim FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'CREATE RULE slip AS ON INSERT TO reservation.pool DO INSTEAD NOTHING', 'DROP INDEX reservation.claim_live',
    'CREATE POLICY slip ON reservation.claim', 'ALTER TABLE reservation.claim ENABLE ROW LEVEL SECURITY',
    'CREATE TABLE reservation.slip (i integer)', 'ALTER FUNCTION reservation.sweep SET search_path = public',
    $$CREATE FUNCTION reservation.claim_next(pool varchar, holder varchar) RETURNS text LANGUAGE sql AS 'SELECT 1'$$,
    'DROP SCHEMA reservation CASCADE',
    -- its checks would run as the tables' owner, with a cast of our own making
    'CREATE TABLE public.slip (id uuid REFERENCES reservation.claim)']) command;
RESET ROLE;
SELECT is_empty($$SELECT oid::regclass FROM pg_class WHERE relnamespace = 'reservation'::regnamespace AND relkind = 'r'
    AND (has_table_privilege('rsv_owner', oid, 'REFERENCES, TRIGGER, TRUNCATE') OR has_any_column_privilege('rsv_owner', oid, 'REFERENCES'))$$,
    'no table lets the owner refer to it, or put a trigger on it');
SELECT is_empty($$SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
    LEFT JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass LEFT JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
    LEFT JOIN pg_type t ON t.oid = objid AND classid = 'pg_type'::regclass
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'reservation')
    AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = coalesce(c.relowner, p.proowner, t.typowner) AND r.rolsuper)$$,
    'everything belongs to a superuser, also what pools bring along');
SELECT ok(rolsuper, 'the schema, too') FROM pg_namespace n JOIN pg_roles r ON r.oid = nspowner WHERE nspname = 'reservation';
SET LOCAL ROLE rsv_owner;
SELECT results_eq($$SELECT status FROM reservation.grant_access('rsv_other', 'claim')$$, $$VALUES ('granted')$$, 'they grant');
SET LOCAL ROLE rsv_other;
SELECT results_eq($$SELECT number FROM reservation.claim_next('open', 'ann', 2)$$, 'VALUES (2), (3)', 'others claim');
SELECT throws_ok('TABLE reservation.claim', '42501', NULL, 'and see no table');
SET LOCAL ROLE rsv_stranger;
SELECT throws_ok($$SELECT * FROM reservation.availability('{p}')$$, '42501', NULL, 'a stranger does not');
SET LOCAL ROLE rsv_owner;
SELECT is_empty('SELECT * FROM reservation.verify()', 'verify() is empty');
SELECT lives_ok('DROP EXTENSION reservation', 'and they drop it');
SELECT is(pg_temp.undone('CREATE EXTENSION reservation'), :'all', 'to create it again');
RESET ROLE;

-- a schema that a superuser left behind is as good as none; one that somebody else may create in is refused: they could
-- add functions of our names, or drop it with all that is in it
SELECT lives_ok('DROP SCHEMA IF EXISTS reservation', 'clean');
SELECT lives_ok('CREATE SCHEMA reservation', 'a superuser''s schema');
SELECT is(pg_temp.undone('SET LOCAL ROLE rsv_owner; CREATE EXTENSION reservation'), :'all',
    'the owner of the database, in a schema of a superuser');
SELECT lives_ok('ALTER SCHEMA reservation OWNER TO rsv_stranger', 'a stranger''s schema');
SELECT is(pg_temp.undone('CREATE EXTENSION reservation'), '42P06 with a hint', 'a superuser, in the schema of a stranger');
SELECT lives_ok('ALTER SCHEMA reservation OWNER TO CURRENT_USER', 'a superuser''s schema again');
SELECT lives_ok('GRANT CREATE ON SCHEMA reservation TO rsv_stranger', 'in which a stranger may create');
SELECT is(pg_temp.undone('CREATE EXTENSION reservation'), '42P06 with a hint', 'a superuser, where a stranger may create');
SELECT lives_ok('REVOKE CREATE ON SCHEMA reservation FROM rsv_stranger; GRANT CREATE ON SCHEMA reservation TO PUBLIC', 'or all the world');
SELECT is(pg_temp.undone('CREATE EXTENSION reservation'), '42P06 with a hint', 'a superuser, where all the world may create');

SELECT * FROM finish();
ROLLBACK;
