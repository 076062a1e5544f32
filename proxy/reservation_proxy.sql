-- proxy/reservation_proxy.sql: writes what a proxy needs, from the catalog of a shard.
--
--   psql -XAtq -v ON_ERROR_STOP=1 -f proxy/reservation_proxy.sql SHARD >proxy.sql
--   psql -v ON_ERROR_STOP=1 -f proxy.sql PROXY
--
-- The proxy then has every function of the reference under its own name, with the same arguments
-- and columns, as a PL/Proxy function that passes the call on to the shard it belongs to. By which
-- argument, says the table below; docs/scale-out.md says what that means. A function that no rule
-- fits is an error here, so that none is missing there.

\set ON_ERROR_STOP on
BEGIN;

CREATE TEMP TABLE route (place serial, arguments text, run_on text) ON COMMIT DROP;
COMMENT ON TABLE route IS 'the first that fits counts: the arguments (LIKE), and where such a call runs';
INSERT INTO route (arguments, run_on) VALUES
    ('pool text DEFAULT NULL::text%', 'RUN ON reservation.shards_of(pool)'),
    ('%pools text[],%', 'SPLIT pools; RUN ON reservation.shard_of_name(pools)'),
    ('%lines jsonb,%', 'RUN ON reservation.shard_of_lines(lines)'),
    ('source text,target text,%', 'RUN ON reservation.shard_of_both(source, target)'),
    ('cart text,pool text,%', 'RUN ON reservation.shard_of_both(cart, pool)');
INSERT INTO route (arguments, run_on)
    SELECT format('%s text,%%', name), format('RUN ON reservation.shard_of_name(%s)', name)
    FROM unnest('{pool,account,cart,scope,key}'::text[]) name;
INSERT INTO route (arguments, run_on)
    SELECT format('%s uuid,%%', name), format('RUN ON reservation.shard_of_id(%s)', name)
    FROM unnest('{claim_id,checkout_id,ticket_id}'::text[]) name;

-- what has no such argument; NULL: not for a proxy
CREATE TEMP TABLE exception (name text, run_on text) ON COMMIT DROP;
INSERT INTO exception VALUES
    ('version', 'RUN ON ANY'),
    ('sweep', 'RUN ON ALL'),
    ('archive', 'RUN ON ALL'),
    ('index_events', 'RUN ON ALL'),
    ('set_payment_provider', 'RUN ON ALL'),
    ('reset_stats', 'RUN ON ALL'),
    ('stats_by_id', NULL),          -- what views are made of
    ('holds_in_flight', NULL),
    ('last_drawn', NULL),
    ('events_since', NULL),         -- a stream, and a cursor, of each shard
    ('grant_access', NULL),         -- rights on the shards belong to the roles there
    ('shard_of_name', NULL),        -- the library has them, at the proxy too
    ('shard_of_id', NULL);

CREATE TEMP TABLE door ON COMMIT DROP AS
    SELECT p.oid, p.proname AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
        (SELECT string_agg(format('%s %s,', p.proargnames[n], format_type(type, NULL)), '' ORDER BY n)
            FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, n)) AS types,
        (SELECT string_agg(p.proargnames[n], ', ' ORDER BY n) FROM generate_series(1, p.pronargs) n) AS names,
        CASE WHEN p.proretset THEN ' ROWS ' || p.prorows ELSE '' END AS rows
    FROM pg_proc p WHERE p.pronamespace = 'reservation'::regnamespace AND p.prorettype <> 'trigger'::regtype;

CREATE TEMP TABLE routed ON COMMIT DROP AS
    SELECT d.*, x.name IS NOT NULL AS excepted, CASE WHEN x.name IS NULL THEN r.run_on ELSE x.run_on END AS run_on
    FROM door d LEFT JOIN exception x USING (name)
    LEFT JOIN LATERAL (SELECT run_on FROM route r WHERE d.types LIKE r.arguments OR d.arguments LIKE r.arguments ORDER BY place LIMIT 1) r ON true;

DO $$
DECLARE
    missing text;
BEGIN
    SELECT string_agg(format('%s(%s)', name, arguments), ', ') INTO missing
    FROM routed WHERE run_on IS NULL AND NOT excepted;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING errcode = 'no_data_found', message = 'no rule says on which shard to run ' || missing,
            hint = 'Add one in proxy/reservation_proxy.sql.';
    END IF;
END
$$;

-- ---- what is written

SELECT '-- Written by proxy/reservation_proxy.sql from reservation ' || reservation.version() || '; do not edit.
SET check_function_bodies = off;
CREATE EXTENSION IF NOT EXISTS plproxy;
CREATE SCHEMA IF NOT EXISTS reservation;

-- PL/Proxy, with the errors of the shards as the shards said them
CREATE OR REPLACE FUNCTION reservation.proxy_call_handler() RETURNS language_handler
    LANGUAGE c AS ''$libdir/reservation'', ''rsv_proxy_call_handler'';
CREATE OR REPLACE LANGUAGE reservation_proxy HANDLER reservation.proxy_call_handler VALIDATOR plproxy_validator;
DO $$
BEGIN
    -- after an error PL/Proxy makes a new connection, and would tell the client by a NOTICE
    EXECUTE format(''ALTER DATABASE %I SET client_min_messages = warning'', current_database());
END
$$;
';

SELECT rtrim(pg_get_functiondef(oid), E'\n') || E';\n' FROM door WHERE name IN ('shard_of_name', 'shard_of_id') ORDER BY name;

SELECT $sql$
CREATE OR REPLACE FUNCTION reservation.shard_of_names(names text[]) RETURNS integer
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    first text := names[1];
    other text;
BEGIN
    SELECT name INTO other FROM unnest(names) name WHERE reservation.shard_of_name(name) <> reservation.shard_of_name(first) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
            message = format('"%s" and "%s" are on different shards', first, other),
            hint = 'Give names that belong together the same tag in braces, such as "{summer} shirt" and "{summer} mug".';
    END IF;
    RETURN reservation.shard_of_name(first);
END
$$;
CREATE OR REPLACE FUNCTION reservation.shard_of_both(one text, other text) RETURNS integer
    LANGUAGE sql STABLE AS $$ SELECT reservation.shard_of_names(ARRAY[one, other]) $$;
CREATE OR REPLACE FUNCTION reservation.shard_of_lines(lines jsonb) RETURNS integer
    LANGUAGE sql STABLE AS $$
    SELECT reservation.shard_of_names(array_agg(line->>'pool'))
    FROM jsonb_array_elements(CASE jsonb_typeof(lines) WHEN 'array' THEN lines ELSE '[]' END) line WHERE line->>'pool' IS NOT NULL
$$;
CREATE OR REPLACE FUNCTION reservation.shards_of(pool text) RETURNS SETOF integer
    LANGUAGE sql STABLE AS $$
    SELECT reservation.shard_of_name(pool) WHERE pool IS NOT NULL UNION ALL SELECT generate_series(0, 4095) WHERE pool IS NULL
$$;
$sql$;

-- what several shards answer comes back in the order that was asked for
SELECT format($sql$
CREATE OR REPLACE FUNCTION reservation.%1$s_by_shard(%2$s)
    RETURNS %3$s
    LANGUAGE reservation_proxy AS $$ CLUSTER 'reservation'; %4$s; TARGET reservation.%1$s; $$;
CREATE OR REPLACE FUNCTION reservation.%1$s(%2$s)
    RETURNS %3$s
    LANGUAGE sql AS $$ SELECT * FROM reservation.%1$s_by_shard(coalesce(%5$s, ARRAY[NULL]::text[])) ORDER BY array_position(%5$s, pool) $$;
$sql$, name, arguments, result, run_on, names)
FROM routed WHERE run_on LIKE 'SPLIT%' ORDER BY name;

SELECT format($sql$
CREATE OR REPLACE FUNCTION reservation.%s(%s)
    RETURNS %s
    LANGUAGE reservation_proxy%s AS $$ CLUSTER 'reservation'; %s; $$;
$sql$, name, arguments, result, rows, run_on)
FROM routed WHERE run_on IS NOT NULL AND run_on NOT LIKE 'SPLIT%' ORDER BY name;

SELECT format('COMMENT ON FUNCTION reservation.%I IS %L;', name, obj_description(oid, 'pg_proc'))
FROM routed WHERE run_on IS NOT NULL ORDER BY name;

ROLLBACK;
