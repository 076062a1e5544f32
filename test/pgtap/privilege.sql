-- What each level of grant_access may do, exactly; and that PUBLIC may do nothing.
BEGIN;
SELECT plan(43);

CREATE ROLE rsv_none;
CREATE ROLE rsv_read;
CREATE ROLE rsv_claim;
CREATE ROLE rsv_admin;
SELECT is(status, 'granted', 'grant ' || level) FROM unnest(ARRAY['read', 'claim', 'admin']) l,
    LATERAL reservation.grant_access(('rsv_' || l)::regrole, l);

CREATE FUNCTION pg_temp.functions(role text) RETURNS text[] LANGUAGE sql AS $$
    SELECT coalesce(array_agg(proname::text ORDER BY proname), '{}') FROM pg_proc
    WHERE pronamespace = 'reservation'::regnamespace AND has_function_privilege(role, oid, 'EXECUTE')
$$;
CREATE FUNCTION pg_temp.readable(role text) RETURNS text[] LANGUAGE sql AS $$
    SELECT coalesce(array_agg(relname::text ORDER BY relname), '{}') FROM pg_class
    WHERE relnamespace = 'reservation'::regnamespace AND relkind IN ('r', 'v') AND has_any_column_privilege(role, oid, 'SELECT')
$$;

SELECT is(pg_temp.functions('rsv_none'), '{}', 'no level: no functions');
SELECT is(pg_temp.functions('rsv_read'), '{availability,balance_at,events_since,holds_in_flight,shard_of_id,shard_of_name,stats_by_id,verify,version}', 'read: functions');
SELECT is(pg_temp.functions('rsv_claim'), '{account_entries,assign_number,availability,balance_at,cancel_checkout,cart_add,cart_lines,cart_merge,'
    'cart_set,charge,charge_credit,check_version,checkout,checkout_cart,claim_next,claim_unit,events_since,extend,finalize,finalize_checkout,'
    'finalize_once,holds_in_flight,join_line,leave_line,line_position,rate_limit,record_payment,refund,release,run_once,save_response,settle_refund,shard_of_id,shard_of_name,'
    'stats_by_id,sweep,take,take_stock,verify,version}',
    'claim: functions');
SELECT is(pg_temp.functions('rsv_admin'), '{account_entries,add_units,adjust,alter_pool,archive,assign_number,availability,balance_at,cancel_checkout,'
    'cart_add,cart_lines,cart_merge,cart_set,charge,charge_credit,check_version,checkout,checkout_cart,claim_next,claim_unit,create_pool,drop_pool,'
    'events_since,extend,finalize,finalize_checkout,finalize_once,grant_access,holds_in_flight,index_events,join_line,leave_line,line_position,rate_limit,record_payment,refund,release,'
    'repair,reset_stats,run_once,save_response,serve_line,set_payment_provider,settle_refund,shard_of_id,shard_of_name,stats_by_id,sweep,take,take_stock,verify,'
    'version}',
    'admin: functions');
SELECT is(pg_temp.readable('rsv_none'), '{}', 'no level: no relations');
SELECT is(pg_temp.readable('rsv_read'), '{events,holds,pool_status,stats,stuck,units}', 'read: may read');
SELECT is(pg_temp.readable('rsv_claim'), '{checkouts,claims,entries,events,holds,payments,pool_status,refunds_due,stats,stuck,tickets,units}', 'claim: may read');
SELECT is(pg_temp.readable('rsv_admin'), '{checkouts,claims,entries,events,holds,payments,pool_status,refunds_due,stats,stuck,tickets,units}', 'admin: may read');
SELECT is(pg_temp.functions('pg_monitor'), '{holds_in_flight,stats_by_id,version}', 'pg_monitor: functions');
SELECT is(pg_temp.readable('pg_monitor'), '{holds,pool_status,stats,stuck}', 'pg_monitor: may read');
SELECT is_empty(format($$SELECT relname FROM pg_class WHERE relnamespace = 'reservation'::regnamespace AND relkind IN ('r', 'v')
    AND (has_table_privilege(%1$L, oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_any_column_privilege(%1$L, oid, 'INSERT, UPDATE, REFERENCES'))$$, r), r || ' writes no table')
FROM unnest(ARRAY['rsv_none', 'rsv_read', 'rsv_claim', 'rsv_admin', 'pg_monitor']) r;
SELECT is_empty(format($$SELECT relname FROM pg_class WHERE relnamespace = 'reservation'::regnamespace
    AND CASE WHEN relkind = 'S' THEN has_sequence_privilege(%L, oid, 'USAGE, SELECT, UPDATE') END$$, r), r || ' touches no sequence')
FROM unnest(ARRAY['rsv_none', 'rsv_read', 'rsv_claim', 'rsv_admin', 'pg_monitor']) r;
SELECT schema_privs_are('reservation', r, CASE r WHEN 'rsv_none' THEN '{}' ELSE '{USAGE}' END::text[])
FROM unnest(ARRAY['rsv_none', 'rsv_read', 'rsv_claim', 'rsv_admin', 'pg_monitor']) r;
SELECT is_empty($$SELECT FROM pg_proc, aclexplode(proacl) a WHERE pronamespace = 'reservation'::regnamespace
    AND a.is_grantable AND a.grantee <> proowner$$, 'nobody can pass it on but through grant_access');

-- everything that belongs to the extension, and what PUBLIC may do with it: the default counts where nothing else is said
CREATE FUNCTION pg_temp.public_grants() RETURNS TABLE (object text, privilege text) LANGUAGE sql AS $$
    WITH member AS (
        SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'reservation'
        -- from PostgreSQL 17 on, the types that come with a table are members, too
        AND NOT EXISTS (SELECT FROM pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid
            AND (t.typrelid <> 0 OR t.typcategory = 'A'))
        UNION SELECT 'pg_namespace'::regclass, 'reservation'::regnamespace
    ), acl AS (
        SELECT m.*, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl
        FROM member m JOIN pg_class o ON o.oid = m.objid WHERE m.classid = 'pg_class'::regclass
        UNION ALL SELECT m.*, coalesce(proacl, acldefault('f', proowner))
        FROM member m JOIN pg_proc o ON o.oid = m.objid WHERE m.classid = 'pg_proc'::regclass
        UNION ALL SELECT m.*, coalesce(typacl, acldefault('T', typowner))
        FROM member m JOIN pg_type o ON o.oid = m.objid WHERE m.classid = 'pg_type'::regclass
        UNION ALL SELECT m.*, coalesce(nspacl, acldefault('n', nspowner))
        FROM member m JOIN pg_namespace o ON o.oid = m.objid WHERE m.classid = 'pg_namespace'::regclass
        UNION ALL SELECT m.*, attacl FROM member m JOIN pg_attribute o ON o.attrelid = m.objid AND m.classid = 'pg_class'::regclass
        WHERE attacl IS NOT NULL
        UNION ALL SELECT m.*, '{=U/postgres}'::aclitem[] FROM member m
        WHERE m.classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass)
    )
    SELECT pg_describe_object(classid, objid, 0), a.privilege_type FROM acl, aclexplode(acl) a WHERE a.grantee = 0
$$;
SELECT reservation.create_pool('open');
SELECT reservation.create_pool('p', 1);
SELECT reservation.add_units('p', 1);
SELECT is_empty('SELECT * FROM pg_temp.public_grants()', 'nothing is granted to PUBLIC, also not on what pools bring along');

-- the check can fail
CREATE FUNCTION pg_temp.with_change(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE command;
    SELECT string_agg(object || ' ' || privilege, ', ') INTO result FROM pg_temp.public_grants();
    RAISE SQLSTATE '00NIL';
EXCEPTION WHEN SQLSTATE '00NIL' THEN
    RETURN result;
END
$$;
SELECT is(pg_temp.with_change('GRANT EXECUTE ON FUNCTION reservation.sweep TO PUBLIC'), 'function reservation.sweep(integer) EXECUTE',
    'a grant to PUBLIC is found');
SELECT is(pg_temp.with_change('GRANT SELECT (holder) ON reservation.claim TO PUBLIC'), 'table reservation.claim SELECT',
    'a grant on a column is found');
SELECT is(pg_temp.with_change($$CREATE FUNCTION reservation.slip() RETURNS integer LANGUAGE sql AS 'SELECT 1';
    ALTER EXTENSION reservation ADD FUNCTION reservation.slip()$$), 'function reservation.slip() EXECUTE',
    'a new function that nobody revoked is found');
SELECT is(pg_temp.with_change('GRANT USAGE ON SCHEMA reservation TO PUBLIC'), 'schema reservation USAGE', 'a grant on the schema is found');

-- without a level: 42501, and nothing else
SET LOCAL ROLE rsv_none;
SELECT throws_ok($$SELECT * FROM reservation.availability('{p}')$$, '42501', NULL, 'no level: refused');
SET LOCAL ROLE rsv_read;
SELECT throws_ok($$SELECT * FROM reservation.claim_next('p', 'h')$$, '42501', NULL, 'read: may not claim');
SET LOCAL ROLE rsv_claim;
SELECT throws_ok($$SELECT * FROM reservation.create_pool('q', 1)$$, '42501', NULL, 'claim: may not make pools');
SELECT throws_ok($$SELECT * FROM reservation.grant_access('rsv_claim', 'admin')$$, '42501', NULL, 'claim: may not grant');
-- to attach a trigger takes claim, and the table; to fire it, neither
CREATE TEMP TABLE owned (id integer PRIMARY KEY, version integer);
SELECT lives_ok($$CREATE TRIGGER t BEFORE UPDATE ON owned FOR EACH ROW EXECUTE FUNCTION reservation.check_version('version')$$,
    'claim: may attach a trigger');
SET LOCAL ROLE rsv_read;
CREATE TEMP TABLE read_owned (id integer PRIMARY KEY, version integer);
SELECT throws_ok($$CREATE TRIGGER t BEFORE UPDATE ON read_owned FOR EACH ROW EXECUTE FUNCTION reservation.check_version('version')$$,
    '42501', NULL, 'read: may not attach a trigger');
RESET ROLE;

-- a secret is for nobody: not for an administrator, nor for whoever created the extension
SELECT is(status, 'set', 'a secret is set') FROM reservation.set_payment_provider('v', 'stripe', 'whsec_1');
SET LOCAL ROLE rsv_admin;
SELECT throws_ok($$TABLE reservation.payment_provider$$, '42501', NULL, 'admin: does not see secrets');
RESET ROLE;
SELECT is_empty($$SELECT a.grantee FROM pg_class, aclexplode(relacl) a WHERE oid = 'reservation.payment_provider'::regclass AND a.grantee <> relowner$$,
    'nothing on the secrets is granted to anybody');

SELECT * FROM finish();
ROLLBACK;
