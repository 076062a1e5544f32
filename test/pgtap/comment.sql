-- Every object has a comment, and everything that holds data is in a dump.
BEGIN;
SELECT no_plan();

-- all that belongs to the extension: members, the columns, constraints and indexes of its tables and views, its schema, itself.
-- The index of a constraint is described by the constraint.
CREATE FUNCTION pg_temp.objects() RETURNS TABLE (object text, comment text) LANGUAGE sql AS $$
    WITH extension AS (
        SELECT oid FROM pg_extension WHERE extname = 'reservation'
    ), member AS (
        SELECT d.classid, d.objid FROM pg_depend d JOIN extension e ON e.oid = d.refobjid
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
        -- from PostgreSQL 17 on, the types that come with a table are members, too
        AND NOT EXISTS (SELECT FROM pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid
            AND (t.typrelid <> 0 OR t.typcategory = 'A'))
    ), relation AS (
        SELECT c.oid, c.relkind FROM member m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
    ), described AS (
        SELECT classid, objid, 0 AS part FROM member
        UNION SELECT 'pg_class'::regclass, r.oid, a.attnum FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid
        WHERE r.relkind <> 'S' AND a.attnum > 0 AND NOT a.attisdropped
        UNION SELECT 'pg_constraint'::regclass, k.oid, 0 FROM relation r JOIN pg_constraint k ON k.conrelid = r.oid WHERE k.contype <> 'n'
        UNION SELECT 'pg_class'::regclass, i.indexrelid, 0 FROM relation r JOIN pg_index i ON i.indrelid = r.oid
        WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
        UNION SELECT 'pg_namespace'::regclass, 'reservation'::regnamespace, 0
        UNION SELECT 'pg_extension'::regclass, oid, 0 FROM extension
    )
    SELECT pg_describe_object(d.classid, d.objid, d.part), c.description
    FROM described d LEFT JOIN pg_description c ON c.classoid = d.classid AND c.objoid = d.objid AND c.objsubid = d.part
$$;
SELECT isnt(coalesce(comment, ''), '', object || ' has a comment') FROM pg_temp.objects() ORDER BY object;
SELECT ok(count(*) > 100, 'and that is everything') FROM pg_temp.objects();

-- what pools bring along is no exception
SELECT reservation.create_pool('open');
SELECT reservation.create_pool('p', 1);
SELECT reservation.add_units('p', 1);
SELECT is_empty($$SELECT object FROM pg_temp.objects() WHERE coalesce(comment, '') = ''$$, 'after pools were made, too');

-- the comment of a function says what it answers, raises, locks, and what a retry does
SELECT ok(comment ~ 'Errors: ' AND comment ~ 'Locks', object || ': the comment names errors and locks') FROM pg_temp.objects()
WHERE object ~ '^function' AND object !~ '\.version\(';

-- the check can fail
CREATE FUNCTION pg_temp.with_change(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE command;
    SELECT string_agg(object, ', ') INTO result FROM pg_temp.objects()
    WHERE coalesce(comment, '') = '' AND object !~ 'pool_[0-9]+_number';
    RAISE SQLSTATE '00NIL';
EXCEPTION WHEN SQLSTATE '00NIL' THEN
    RETURN result;
END
$$;
SELECT is(pg_temp.with_change($$CREATE FUNCTION reservation.slip() RETURNS integer LANGUAGE sql AS 'SELECT 1';
    ALTER EXTENSION reservation ADD FUNCTION reservation.slip()$$), 'function reservation.slip()', 'a function without a comment is found');
SELECT is(pg_temp.with_change('ALTER TABLE reservation.claim ADD COLUMN slip integer'), 'column slip of table reservation.claim',
    'a column without a comment is found');
SELECT is(pg_temp.with_change('CREATE INDEX slip ON reservation.claim (quantity)'), 'index reservation.slip',
    'an index without a comment is found');
SELECT is(pg_temp.with_change('ALTER TABLE reservation.claim ADD CONSTRAINT slip CHECK (quantity < 9)'),
    'constraint slip on table reservation.claim', 'a constraint without a comment is found');

-- dump: every table and sequence but the secrets is marked, without a filter. The sequence of a pool is derived from its units: it is
-- made again when it is missing. Rate limits in use are of one server and one moment.
CREATE FUNCTION pg_temp.not_dumped() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT c.oid::regclass::text FROM pg_extension e
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.objid
    WHERE e.extname = 'reservation' AND c.relkind IN ('r', 'p', 'S') AND c.oid <> ALL (e.extconfig)
$$;
SELECT is_empty($$SELECT * FROM pg_temp.not_dumped() t WHERE t !~ '^reservation\.(pool_[0-9]+_number|rate)$'
    AND t <> 'reservation.payment_provider'$$, 'every table and sequence but those is marked for dump');
SELECT isnt_empty($$SELECT * FROM pg_temp.not_dumped() t WHERE t = 'reservation.payment_provider'$$, 'secrets are not');
SELECT is(extcondition, array_fill(''::text, ARRAY[cardinality(extconfig)]), 'all of its rows') FROM pg_extension WHERE extname = 'reservation';
SELECT is_empty($$SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'reservation'
    EXCEPT SELECT oid FROM pg_class WHERE relnamespace = 'reservation'::regnamespace AND relkind IN ('r', 'S')$$, 'and nothing else');
CREATE TABLE reservation.slip (i integer);
ALTER EXTENSION reservation ADD TABLE reservation.slip;
SELECT set_eq($$SELECT * FROM pg_temp.not_dumped() t WHERE t !~ '^reservation\.(pool_[0-9]+_number|rate)$'$$, ARRAY['reservation.payment_provider', 'reservation.slip'],
    'a table without a mark is found');
ALTER EXTENSION reservation DROP TABLE reservation.slip;
DROP TABLE reservation.slip;

-- a restore fires triggers, so our own tables have none but one for what a restore does not do; nor rules, nor foreign keys
SELECT is_empty($$SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'reservation'::regnamespace
    AND tgtype & (4 | 1) <> 0$$, 'no trigger on our own tables that an INSERT fires, or a row');

SELECT * FROM finish();
ROLLBACK;
