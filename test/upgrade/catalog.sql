-- All that the catalogs say about the extension, one line for each thing, with names in place of oids: two databases in
-- which it is the same give the same lines. Columns are told apart by their place, too: the library reads rows by it.
\pset format unaligned
\pset tuples_only on
SET LOCAL search_path = pg_catalog;

CREATE FUNCTION pg_temp.privileges(acl aclitem[]) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s=%s%s by %s', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type,
        CASE WHEN is_grantable THEN '*' ELSE '' END, grantor::regrole), ', ' ORDER BY 1) FROM aclexplode(acl)
$$;

WITH schema AS (
    SELECT oid, nspacl, nspowner FROM pg_namespace WHERE nspname = 'reservation'),
relation AS (
    SELECT * FROM pg_class WHERE relnamespace = (SELECT oid FROM schema)),
routine AS (
    SELECT * FROM pg_proc WHERE pronamespace = (SELECT oid FROM schema)),
conventions AS (
    SELECT * FROM pg_constraint WHERE connamespace = (SELECT oid FROM schema)),
object (classid, objid) AS (
    SELECT 'pg_class'::regclass, oid FROM relation
    UNION ALL SELECT 'pg_proc'::regclass, oid FROM routine
    UNION ALL SELECT 'pg_constraint'::regclass, oid FROM conventions
    UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = (SELECT oid FROM schema)
    UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM relation)
    UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM relation)
    UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relation)
    UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid IN (SELECT oid FROM relation)
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext WHERE stxnamespace = (SELECT oid FROM schema)
    UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator WHERE oprnamespace = (SELECT oid FROM schema)),
fact (kind, name, line) AS (
    SELECT 'extension', extname::text, format('version %s, owner %s, relocatable %s: %s', extversion, extowner::regrole,
        extrelocatable, obj_description(oid, 'pg_extension'))
    FROM pg_extension WHERE extname = 'reservation'
    UNION ALL
    SELECT 'member', pg_describe_object(classid, objid, 0), ''
    FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
        AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'reservation')
    UNION ALL
    SELECT 'dumped', config::regclass::text, extcondition[place]
    FROM pg_extension, unnest(extconfig) WITH ORDINALITY AS u (config, place) WHERE extname = 'reservation'
    UNION ALL
    SELECT 'schema', 'reservation', format('owner %s, privileges %s: %s', nspowner::regrole, pg_temp.privileges(nspacl),
        obj_description(oid, 'pg_namespace'))
    FROM schema
    UNION ALL
    SELECT 'relation', c.oid::regclass::text, concat_ws(', ', c.relkind, c.relpersistence, c.relowner::regrole::text,
        c.reloptions::text, 'row security', c.relrowsecurity, c.relforcerowsecurity, 'identity', c.relreplident,
        'privileges', pg_temp.privileges(c.relacl), (SELECT amname FROM pg_am WHERE oid = c.relam),
        pg_get_viewdef(c.oid), to_jsonb(s) - 'seqrelid')
    FROM relation c LEFT JOIN pg_sequence s ON s.seqrelid = c.oid
    UNION ALL
    SELECT 'index', c.oid::regclass::text, concat_ws(', ', pg_get_indexdef(c.oid),
        to_jsonb(i) - '{indexrelid,indrelid,indkey,indcollation,indclass,indexprs,indpred,indcheckxmin}'::text[])
    FROM relation c JOIN pg_index i ON i.indexrelid = c.oid
    UNION ALL
    SELECT 'column', format('%s %s', c.oid::regclass, a.attnum), concat_ws(', ', a.attname,
        format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
        'default ' || pg_get_expr(d.adbin, d.adrelid), 'collation ' || nullif(a.attcollation, 0)::regcollation::text,
        a.attstorage, a.attcompression, a.attstattarget, a.attidentity, a.attgenerated, a.attisdropped,
        -- pg_attver: a note that some servers make for themselves, another one in every table
        (SELECT string_agg(o, ' ') FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg_attver=%'),
        'privileges ' || pg_temp.privileges(a.attacl))
    FROM relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    UNION ALL
    SELECT 'constraint', format('%s on %s', conname, conrelid::regclass), concat_ws(', ', pg_get_constraintdef(oid),
        contype, convalidated, condeferrable, condeferred, connoinherit)
    FROM conventions
    UNION ALL
    SELECT 'trigger', format('%s on %s', tgname, tgrelid::regclass), pg_get_triggerdef(oid)
    FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relation)
    UNION ALL
    SELECT 'function', oid::regprocedure::text, concat_ws(', ', CASE prokind WHEN 'f' THEN pg_get_functiondef(oid) END,
        prokind, proowner::regrole::text, 'privileges', pg_temp.privileges(proacl))
    FROM routine
    UNION ALL
    SELECT 'comment', pg_describe_object(classoid, objoid, objsubid), d.description
    FROM pg_description d JOIN object ON classid = classoid AND objid = objoid
    UNION ALL
    SELECT 'first privileges', pg_describe_object(classoid, objoid, objsubid), pg_temp.privileges(initprivs)
    FROM pg_init_privs JOIN object ON classid = classoid AND objid = objoid
    UNION ALL
    SELECT 'dependency', pg_describe_object(classid, objid, d.objsubid),
        concat_ws(' ', d.deptype, pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid))
    FROM pg_depend d JOIN object USING (classid, objid))
SELECT kind, name, replace(line, E'\n', ' ') FROM fact WHERE name NOT LIKE '%pg_toast%' ORDER BY kind, name, line;
