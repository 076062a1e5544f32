-- A caller's own schema, first in search_path, with operators, functions, types and tables of the names that we use:
-- nothing changes what our functions mean, and nothing of it is ever called.
\a
\pset footer off

-- what earlier tests left behind
SELECT status FROM reservation.sweep();

SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_rsv_mallory;
RESET client_min_messages;
CREATE ROLE regress_rsv_mallory;
CREATE SCHEMA trap AUTHORIZATION regress_rsv_mallory;
SELECT status FROM reservation.grant_access('regress_rsv_mallory', 'admin');

SET ROLE regress_rsv_mallory;
DO $$
DECLARE
    type text;
    operator text;
    signature text;
    result text;
BEGIN
    -- operators that fit the types exactly, and so better than any other
    FOREACH type IN ARRAY ARRAY['integer, integer', 'bigint, bigint', 'integer, bigint', 'bigint, integer', 'smallint, smallint',
        'text, text', 'name, name', 'name, text', 'text, name', '"char", "char"', 'uuid, uuid', 'oid, oid', 'boolean, boolean',
        'timestamptz, timestamptz', 'interval, interval', 'timestamptz, interval', 'jsonb, text', 'regclass, oid']
    LOOP
        FOREACH operator IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '+', '-', '||', '?', '->>', '~', '%', '*', '/']
        LOOP
            EXECUTE format($f$CREATE FUNCTION trap.%I(%s) RETURNS %s LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap caught %s''; END'$f$,
                'op ' || operator || ' ' || type, type,
                CASE WHEN operator ~ '[-+|*/%]' THEN split_part(type, ',', 1) ELSE 'boolean' END, replace(operator, '%', '%%'));
            EXECUTE format('CREATE OPERATOR trap.%s (FUNCTION = trap.%I, LEFTARG = %s, RIGHTARG = %s)',
                operator, 'op ' || operator || ' ' || type, split_part(type, ', ', 1), split_part(type, ', ', 2));
        END LOOP;
    END LOOP;
    -- functions
    FOREACH signature IN ARRAY ARRAY['clock_timestamp() timestamptz', 'now() timestamptz', 'transaction_timestamp() timestamptz',
        'unnest(text[]) text', 'unnest(jsonb[]) jsonb', 'generate_series(integer, integer) integer',
        'generate_series(bigint, bigint) bigint', 'nextval(regclass) bigint', 'setval(regclass, bigint) bigint',
        'setval(regclass, bigint, boolean) bigint', 'pg_sequence_last_value(oid) bigint',
        'pg_sequence_last_value(regclass) bigint', 'pg_current_xact_id() xid8', 'format(text, text) text',
        'format(text, integer) text', 'jsonb_array_elements(jsonb) jsonb', 'octet_length(text) integer', 'length(text) integer',
        'max(integer) integer', 'min(integer) integer', 'count(integer) bigint', 'sum(bigint) bigint', 'coalesce(text, text) text',
        'coalesce(interval, interval) interval', 'coalesce(integer, integer) integer', 'coalesce(bigint, bigint) bigint',
        'greatest(integer, integer) integer', 'least(integer, integer) integer', 'upper(text) text', 'lower(text) text',
        'version() text', 'quote_ident(text) text', 'current_setting(text) text', 'to_jsonb(text) jsonb', 'int4(bigint) integer',
        'int8(integer) bigint', 'text(integer) text']
    LOOP
        EXECUTE format($f$CREATE FUNCTION trap.%I(%s) RETURNS %s LANGUAGE plpgsql AS 'BEGIN RAISE ''the trap caught a function''; END'$f$,
            split_part(signature, '(', 1), split_part(split_part(signature, '(', 2), ')', 1),
            CASE WHEN signature ~ '^(unnest|generate_series|jsonb_array_elements)' THEN 'SETOF ' ELSE '' END
                || split_part(signature, ') ', 2));
    END LOOP;
    CREATE AGGREGATE trap.count(*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '1000');
    CREATE AGGREGATE trap.sum(integer) (SFUNC = trap.greatest, STYPE = integer, INITCOND = '1000');
    -- types
    FOREACH type IN ARRAY ARRAY['int4', 'int8', 'integer', 'bigint', 'text', 'bool', 'uuid', 'timestamptz', 'interval', 'jsonb',
        'regclass', 'regrole', 'regnamespace', 'xid8']
    LOOP
        EXECUTE format('CREATE DOMAIN trap.%I AS pg_catalog.varchar CHECK (false)', type);
    END LOOP;
    -- relations
    CREATE TABLE trap.pool AS SELECT 1 AS pool_id, 'h'::pg_catalog.text AS pool, 'numbered'::pg_catalog.text AS kind, 1000 AS capacity;
    CREATE TABLE trap.available AS SELECT n AS pool_id, 666 AS number FROM pg_catalog.generate_series(1, 100) n;
    CREATE TABLE trap.unit (pool_id pg_catalog.int4, number pg_catalog.int4, label pg_catalog.text, attributes pg_catalog.jsonb);
    CREATE TABLE trap.claim (claim_id pg_catalog.uuid, pool_id pg_catalog.int4);
    CREATE TABLE trap.request (pool_id pg_catalog.int4);
    CREATE TABLE trap.log (pool_id pg_catalog.int4);
    CREATE TABLE trap.stock AS SELECT n AS pool_id, 0 AS slot, 666 AS quantity FROM pg_catalog.generate_series(1, 100) n;
    CREATE VIEW trap.pool_status AS SELECT 'h'::pg_catalog.text AS pool, 666 AS available;
    CREATE VIEW trap.claims AS SELECT 'h'::pg_catalog.text AS pool;
    CREATE VIEW trap.units AS SELECT 'h'::pg_catalog.text AS pool;
    CREATE VIEW trap.contradictions AS SELECT 'h'::pg_catalog.text AS pool, 'trap'::pg_catalog.text AS problem;
    CREATE VIEW trap.pg_class AS SELECT 1 AS oid;
    CREATE VIEW trap.pg_extension AS SELECT 1 AS oid;
    CREATE SEQUENCE trap.pool_id_seq;
END
$$;
RESET ROLE;

-- a new session, in which nothing is prepared yet; first as the caller, then as the owner, who may be lured as well
\c -
SET ROLE regress_rsv_mallory;
SET search_path = trap, pg_catalog, reservation;
-- the trap works
\set VERBOSITY terse
SELECT 1 = 1;
SELECT now();
SELECT count(*) FROM available;
\set VERBOSITY default

SELECT status, capacity FROM reservation.create_pool('h', 3, per_holder => 3, hold_ttl => '1 hour', closes_at => '2999-01-01 00:00+00');
SELECT status, capacity FROM reservation.create_pool('h', 3, per_holder => 3, hold_ttl => '1 hour', closes_at => '2999-01-01 00:00+00');
SELECT status FROM reservation.create_pool('h open');
SELECT status FROM reservation.create_pool('h stock', 5, 'counted', floor => 1, ceiling => 9);
SELECT status FROM reservation.alter_pool('h', per_holder => 4, opens_at => '2020-01-01 00:00+00');
SELECT * FROM reservation.add_units('h', labels => '{A 4}', attributes => ARRAY['{}']::pg_catalog.jsonb[]);
SELECT * FROM reservation.add_units('h', 1);
SELECT * FROM reservation.availability('{h stock,h,h open}');
SELECT status, number, label, holder, available, replayed FROM reservation.claim_next('h', 'ann', 2, request_id => 'r1');
SELECT status, number, label, holder, available, replayed FROM reservation.claim_next('h', 'ann', 2, request_id => 'r1');
SELECT status, number, label FROM reservation.claim_unit('h', 4, 'ann');
SELECT status, available FROM reservation.claim_unit('h', 4, 'bob');
SELECT status, available FROM reservation.claim_next('h', 'ann', 2);
SELECT claim_id AS lapsed, number FROM reservation.claim_next('h', 'bob', ttl => '1 microsecond') \gset
SELECT claim_id AS hold, number FROM reservation.claim_next('h', 'bob') \gset
SELECT status FROM reservation.finalize(:'lapsed');
SELECT status FROM reservation.extend(:'hold', '1 day');
SELECT status FROM reservation.finalize(:'hold');
SELECT status, refunded FROM reservation.refund(:'hold', request_id => 'r1');
SELECT status, number, late FROM reservation.finalize(:'lapsed');
SELECT claim_id AS hold, number FROM reservation.claim_next('h', 'cem') \gset
SELECT status FROM reservation.release(:'hold');
SELECT status, number FROM reservation.claim_next('h open', 'ann', 3);
SELECT status, number FROM reservation.claim_next('h', 'cem', ttl => '1 microsecond');
SELECT * FROM reservation.sweep();
SELECT * FROM reservation.availability('{h}');
SELECT pool, available, held, finalized, state FROM reservation.pool_status
WHERE pool OPERATOR(pg_catalog.~) '^h( |$)' ORDER BY pool USING OPERATOR(pg_catalog.<);
SELECT pool, number, state FROM reservation.units
WHERE pool OPERATOR(pg_catalog.~) '^h( |$)' ORDER BY 1 USING OPERATOR(pg_catalog.<), 2 USING OPERATOR(pg_catalog.<);
SELECT * FROM reservation.verify();
SELECT status FROM reservation.grant_access('regress_rsv_mallory', 'admin');
SELECT status FROM reservation.drop_pool('h');
SELECT status FROM reservation.drop_pool('h', true);

-- plans that were prepared with a good search_path, used with a bad one; temporary objects come before all others
\c -
SELECT status FROM reservation.create_pool('h', 2);
SELECT status, number FROM reservation.claim_next('h', 'ann', request_id => 'r2');
SELECT * FROM reservation.add_units('h', 1);
SELECT pool, available FROM reservation.availability('{h}');
CREATE TEMP TABLE pool (pool_id integer, pool text);
CREATE TEMP TABLE available (pool_id integer, number integer);
CREATE TEMP TABLE claim (pool_id integer);
CREATE TEMP VIEW pool_status AS SELECT 'h'::text AS pool, 666 AS available;
SET search_path = pg_temp, trap, pg_catalog;
SELECT status, number FROM reservation.claim_next('h', 'ann', request_id => 'r2');
SELECT * FROM reservation.add_units('h', labels => '{A 4}');
SELECT pool, available FROM reservation.availability('{h}');
SELECT status, number, label FROM reservation.claim_unit('h', 4, 'bob');
SELECT status FROM reservation.create_pool('h new', 1);
SELECT * FROM reservation.verify();
SELECT status FROM reservation.drop_pool('h', true);

-- nothing fell into it
RESET search_path;
SELECT count(*) FROM trap.claim;
SELECT last_value, is_called FROM trap.pool_id_seq;

SET client_min_messages = warning;
DROP SCHEMA trap CASCADE;
DROP OWNED BY regress_rsv_mallory;
DROP ROLE regress_rsv_mallory;
RESET client_min_messages;
SELECT * FROM reservation.verify();
