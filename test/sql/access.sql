-- Who may call what: grant_access, and nothing for PUBLIC.
\a
\pset footer off

SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_rsv_nobody, regress_rsv_reader, regress_rsv_claimer, regress_rsv_admin, "regress_rsv ""Odd""";
RESET client_min_messages;
CREATE ROLE regress_rsv_nobody;
CREATE ROLE regress_rsv_reader;
CREATE ROLE regress_rsv_claimer;
CREATE ROLE regress_rsv_admin;
CREATE ROLE "regress_rsv ""Odd""";

SELECT * FROM reservation.grant_access('regress_rsv_reader', 'read');
SELECT * FROM reservation.grant_access('regress_rsv_claimer', 'claim');
SELECT * FROM reservation.grant_access('regress_rsv_admin', 'admin');
-- again, and less than before: neither takes anything away
SELECT * FROM reservation.grant_access('regress_rsv_admin', 'admin');
SELECT * FROM reservation.grant_access('regress_rsv_admin', 'read');

SELECT status FROM reservation.create_pool('acl', 5);
SELECT claim_id AS hold FROM reservation.claim_next('acl', 'ann') \gset
SELECT claim_id AS sale FROM reservation.claim_next('acl', 'bob') \gset
SELECT status FROM reservation.finalize(:'sale');

-- what each role may do: "ok", or the SQLSTATE it gets. Every try is rolled back.
CREATE FUNCTION pg_temp.try(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE query;
    RAISE SQLSTATE 'OK000';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE sqlstate WHEN 'OK000' THEN 'ok' ELSE sqlstate END;
END
$$;
CREATE TEMP TABLE door (place serial, name text, query text);
INSERT INTO door (name, query) VALUES
    ('version', 'SELECT reservation.version()'),
    ('availability', $$SELECT * FROM reservation.availability('{acl}')$$),
    ('verify', 'SELECT * FROM reservation.verify()'),
    ('view pool_status', 'TABLE reservation.pool_status'),
    ('view units', 'TABLE reservation.units'),
    ('view claims', 'TABLE reservation.claims'),
    ('claim_next', $$SELECT * FROM reservation.claim_next('acl', 'cem', 2)$$),
    ('claim_unit', $$SELECT * FROM reservation.claim_unit('acl', 5, 'cem', request_id => 'r1')$$),
    ('extend', format($$SELECT * FROM reservation.extend(%L, '1 day')$$, :'hold')),
    ('release', format('SELECT * FROM reservation.release(%L)', :'hold')),
    ('finalize', format('SELECT * FROM reservation.finalize(%L)', :'hold')),
    ('refund', format('SELECT * FROM reservation.refund(%L)', :'sale')),
    ('sweep', 'SELECT * FROM reservation.sweep()'),
    ('rate_limit', $$SELECT * FROM reservation.rate_limit('acl', 1, '1 day')$$),
    ('create_pool', $$SELECT * FROM reservation.create_pool('acl new', 1)$$),
    ('create_pool, open', $$SELECT * FROM reservation.create_pool('acl new')$$),
    ('alter_pool', $$SELECT * FROM reservation.alter_pool('acl', paused => true)$$),
    ('add_units', $$SELECT * FROM reservation.add_units('acl', labels => '{A 1}')$$),
    ('drop_pool', $$SELECT * FROM reservation.drop_pool('acl', true)$$),
    ('grant_access', $$SELECT * FROM reservation.grant_access('regress_rsv_nobody', 'admin')$$),
    ('view contradictions', 'TABLE reservation.contradictions'),
    ('table pool', 'TABLE reservation.pool'),
    ('table available', 'TABLE reservation.available'),
    ('table unit', 'TABLE reservation.unit'),
    ('table claim', 'TABLE reservation.claim'),
    ('table request', 'TABLE reservation.request'),
    ('table log', 'TABLE reservation.log'),
    ('table rate', 'TABLE reservation.rate'),
    ('table stock', 'TABLE reservation.stock'),
    ('insert', $$INSERT INTO reservation.available VALUES (1, 99)$$),
    ('update', $$UPDATE reservation.claim SET holder = 'me'$$),
    ('delete', $$DELETE FROM reservation.claim$$),
    ('sequence', $$SELECT nextval('reservation.pool_id_seq')$$);
SELECT name, pg_temp.try('regress_rsv_nobody', query) AS nobody, pg_temp.try('regress_rsv_reader', query) AS reader,
    pg_temp.try('regress_rsv_claimer', query) AS claimer, pg_temp.try('regress_rsv_admin', query) AS admin,
    pg_temp.try(session_user::text, query) AS owner
FROM door ORDER BY place;

-- an open edition draws from a sequence that only the owner has a right to
SELECT status FROM reservation.create_pool('acl open');
SET ROLE regress_rsv_claimer;
SELECT status, number FROM reservation.claim_next('acl open', 'cem', 2);
SELECT status, number FROM reservation.claim_unit('acl', 4, 'cem');
SELECT status FROM reservation.finalize(:'hold');
SELECT status FROM reservation.create_pool('acl new', 1);
SELECT status FROM reservation.grant_access('regress_rsv_claimer', 'admin');
SELECT count(*) FROM reservation.claim;

-- who may grant, may grant to others; the role's name may need care
SET ROLE regress_rsv_admin;
SELECT status FROM reservation.create_pool('acl made', 2, per_holder => 1);
SELECT * FROM reservation.add_units('acl made', 2);
SELECT * FROM reservation.grant_access('"regress_rsv ""Odd"""', 'claim');
SET ROLE "regress_rsv ""Odd""";
SELECT status, number FROM reservation.claim_next('acl made', 'dan', request_id => 'r1');
SELECT status, number, replayed FROM reservation.claim_next('acl made', 'dan', request_id => 'r1');
SET ROLE regress_rsv_nobody;
\set VERBOSITY sqlstate
SELECT * FROM reservation.claim_next('acl made', 'dan', request_id => 'r1');
\set VERBOSITY default
RESET ROLE;
-- who did it
SELECT l.event, l.actor FROM reservation.log l WHERE l.claim_id = :'hold';

-- through a function of somebody who may
CREATE FUNCTION public.buy(holder text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT status FROM reservation.claim_next('acl', holder) $$;
ALTER FUNCTION public.buy OWNER TO regress_rsv_claimer;
SET ROLE regress_rsv_nobody;
SELECT public.buy('nobody');
RESET ROLE;
DROP FUNCTION public.buy;

-- bad arguments
\i test/include/refusal.sql
\t on
SELECT * FROM pg_temp.refusal($$grant_access(NULL, 'read')$$);
SELECT * FROM pg_temp.refusal($$grant_access('regress_rsv_nobody', NULL)$$);
SELECT * FROM pg_temp.refusal($$grant_access('regress_rsv_nobody', '')$$);
SELECT * FROM pg_temp.refusal($$grant_access('regress_rsv_nobody', 'write')$$);
SELECT * FROM pg_temp.refusal($$grant_access('regress_rsv_nobody', 'READ')$$);
SELECT * FROM pg_temp.refusal($$grant_access('regress_rsv_unknown', 'read')$$);
SELECT hint <> '' AS has_hint FROM pg_temp.refusal($$grant_access(0::oid, 'read')$$);
\t off
SELECT pg_temp.try('regress_rsv_nobody', query) FROM door WHERE name = 'version';

-- nothing is granted to PUBLIC
SELECT d.objid FROM pg_depend d
LEFT JOIN pg_class c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass
LEFT JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, p.proacl,
    CASE WHEN c.oid IS NOT NULL THEN acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)
        ELSE acldefault('f', p.proowner) END)) a
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND a.grantee = 0
    AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'reservation');

DROP OWNED BY regress_rsv_nobody, regress_rsv_reader, regress_rsv_claimer, regress_rsv_admin, "regress_rsv ""Odd""";
DROP ROLE regress_rsv_nobody, regress_rsv_reader, regress_rsv_claimer, regress_rsv_admin, "regress_rsv ""Odd""";

SELECT * FROM reservation.verify();
