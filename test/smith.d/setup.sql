-- What sqlsmith finds: books with something of everything in them, tables with every trigger, and a
-- way to our functions. sqlsmith knows only functions that return one value, and ours return rows. So
-- each of ours is a view, which calls it with arguments out of a list; and gets functions that return
-- one of its columns, for sqlsmith to find the arguments.

CREATE EXTENSION reservation;

-- books

SELECT FROM reservation.create_pool('print', 500, per_holder => 50);
SELECT FROM reservation.create_pool('hall', 40, hold_ttl => '1 us');
SELECT FROM reservation.create_pool('open');
SELECT FROM reservation.create_pool('stock', 1000, 'counted', floor => -5, ceiling => 2000);
SELECT FROM reservation.create_pool('account', 100, 'counted');
SELECT FROM reservation.create_pool('slow', 10, pool_rate => 3, pool_period => '1 hour');
SELECT FROM reservation.add_units('hall', labels => '{A 1,NULL}', attributes => '{"{}",NULL}');
SELECT FROM reservation.claim_next('print', 'ann', 10, '1 day', 'request');
SELECT FROM reservation.claim_next('hall', 'ben', 20);
SELECT FROM reservation.claim_next('open', 'cem', 5);
SELECT FROM generate_series(1, 5) n, reservation.take('stock', 'ann', n, '1 day');
SELECT FROM reservation.charge('account', 7, 'request');
SELECT FROM reservation.claims c, reservation.finalize(c.claim_id)
    WHERE c.number % 3 = 0 OR c.pool = 'stock' AND c.quantity > 3;
SELECT FROM reservation.claims c, reservation.refund(c.claim_id, 1) WHERE c.state = 'finalized' AND c.number % 2 = 0;
SELECT FROM reservation.claims c, reservation.release(c.claim_id) WHERE c.state = 'held' AND c.number % 5 = 0;
SELECT FROM reservation.cart_add('cart', 'print', 2);
SELECT FROM reservation.cart_add('cart', 'stock', 3, '{"size": 1}');
SELECT FROM reservation.set_payment_provider('bank', 'hmac-sha256', 'Jefe');
SELECT FROM generate_series(1, 3) n, reservation.checkout('request ' || n, 'ann', '[{"pool": "print"}]', '1 day',
    CASE n WHEN 1 THEN 100 END, CASE n WHEN 1 THEN 'EUR' END);
SELECT FROM reservation.checkouts c, reservation.finalize_checkout(c.checkout_id) WHERE c.request_id = 'request 2';
SELECT FROM reservation.run_once('scope', 'request'), reservation.save_response('scope', 'request', '[1]');
SELECT FROM reservation.run_once('scope', 'new');

-- who asks: stranger has nothing, clerk may claim, manager owns the extension, postgres is a superuser

CREATE ROLE stranger LOGIN;
CREATE ROLE clerk LOGIN;
CREATE ROLE manager LOGIN;
SELECT FROM reservation.grant_access('clerk', 'claim') c, reservation.grant_access('manager', 'admin') m;

-- tables of an application

CREATE TABLE member (id integer PRIMARY KEY, name text, number integer, founder boolean);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON member
    FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('print', 'number', 'founder');
CREATE TRIGGER number_back AFTER DELETE ON member
    FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('print', 'number', 'founder');
CREATE TABLE page (id integer PRIMARY KEY, body text, version bigint NOT NULL DEFAULT 1);
CREATE TRIGGER version BEFORE UPDATE ON page
    FOR EACH ROW EXECUTE FUNCTION reservation.check_version('version');
CREATE TABLE job (id integer PRIMARY KEY, account text, amount bigint, status text, done boolean DEFAULT false, done_at timestamptz);
CREATE TRIGGER once BEFORE UPDATE ON job
    FOR EACH ROW EXECUTE FUNCTION reservation.finalize_once('done', 'done_at');
CREATE TRIGGER credit AFTER INSERT OR UPDATE ON job
    FOR EACH ROW EXECUTE FUNCTION reservation.charge_credit('account', 'amount', 'status', 'failed');
CREATE TABLE line (id integer PRIMARY KEY, pool text, quantity bigint);
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON line
    FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('pool', 'quantity');
INSERT INTO member SELECT n, 'member ' || n FROM generate_series(1, 5) n;
INSERT INTO page SELECT n, 'page' FROM generate_series(1, 5) n;
INSERT INTO job SELECT n, 'account', n, 'new' FROM generate_series(1, 5) n;
INSERT INTO line SELECT n, 'stock', n FROM generate_series(1, 5) n;
GRANT ALL ON member, page, job, line TO PUBLIC;

-- What to pass: sqlsmith's own arguments are mostly NULL, which would never get past the first check.

CREATE SCHEMA smith;
CREATE TABLE smith.choice (parameter text, value text);
INSERT INTO smith.choice
    SELECT p, v
    FROM (VALUES
        ('{pool,account}', ARRAY['print', 'print', 'hall', 'hall', 'open', 'open', 'stock', 'stock', 'stock', 'account', 'slow', 'none', 'fresh', 'fresh', 'fresh', 'fresh', 'fresh']),
        ('{pools,labels}', ARRAY['{}', '{print,stock}', '{hall,NULL}', '{{a},{b}}']),
        ('{holder,cart,source,target,key,reference,reason,seed}', ARRAY['ann', 'ann', 'ben', 'cart', 'cart', 'basket', 'é', '']),
        ('{request_id}', ARRAY['request', 'request 1', 'request 2', 'request 3', 'new', 'new', 'newer']),
        ('{scope}', ARRAY['scope', 'scope', 'scope', 'other']),
        ('{kind}', ARRAY['numbered', 'counted', 'other']),
        ('{policy}', ARRAY['sum', 'max', 'source', 'target', 'other']),
        ('{provider}', ARRAY['bank', 'other']),
        ('{scheme}', ARRAY['stripe', 'razorpay', 'hmac-sha256', 'hmac-sha256', 'other']),
        ('{level}', ARRAY['read', 'claim', 'admin', 'other']),
        ('{role}', ARRAY['clerk', 'stranger']),
        ('{method}', ARRAY['fifo', 'lottery', 'other']),
        ('{payload}', ARRAY['what do ya want for nothing?']),
        ('{signature}', ARRAY['5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843', 'bad']),
        ('{currency}', ARRAY['EUR', 'USD']),
        ('{count,quantity,capacity,number,amount,cost,burst,max,per_holder,holder_rate,pool_rate,priority,first_number}',
            ARRAY['0', '1', '1', '1', '2', '2', '3', '5', '100', '-1', '2147483647']),
        ('{delta,floor,ceiling,quantity,amount,capacity}',
            ARRAY['0', '1', '2', '3', '4', '-1', '7', '-9', '9223372036854775807', '-9223372036854775808']),
        ('{ttl,wait,hold_ttl,period,holder_period,pool_period}',
            ARRAY['0', '1 us', '1 s', '1 day', '1 day', '1 day', '-1 s', '200000 years']),
        ('{opens_at,closes_at,before,at}', ARRAY['2000-01-01', '2100-01-01', 'infinity', '-infinity']),
        ('{lines}', ARRAY['[{"pool": "print", "quantity": 2}, {"pool": "stock"}]', '[{"pool": "hall", "number": 3}]',
            '[]', 'null', '{}']),
        ('{options,arguments,response}', ARRAY['{}', '{}', '[1]', 'null', '{"size": 1}']),
        ('{payment_id}', ARRAY['pay 1', 'pay 2', 'pay 3']),
        ('{attributes}', ARRAY['{}', '{"{}",NULL}']),
        ('{force,paused,enabled}', ARRAY['true', 'false']),
        ('{secret}', ARRAY['Jefe', 'key', ''])
    ) c(parameters, choices), unnest(parameters::text[]) p, unnest(choices) v
    UNION ALL SELECT 'claim_id', claim_id::text FROM reservation.claims
    UNION ALL SELECT unnest('{checkout_id,checkout_id,checkout_id,ticket_id}'::text[]), checkout_id::text FROM reservation.checkouts;
-- sometimes NULL; what only the optional parameters of pools say, mostly
CREATE FUNCTION smith.choose(name text) RETURNS text LANGUAGE sql AS $$
    SELECT value FROM smith.choice WHERE parameter = name
        AND random() < CASE WHEN name ~ '_(rate|period|at)$|^(per_holder|floor|ceiling|attributes|hold_ttl)$' THEN 0.04
            WHEN name = 'labels' THEN 0.2 WHEN name = 'first_number' THEN 0.1 WHEN name IN ('wait', 'ttl') THEN 0.5 ELSE 0.95 END
    ORDER BY random() LIMIT 1
$$;
CREATE TABLE smith.value AS
    SELECT n AS number, n::bigint * 1000 AS quantity, n * interval '1 s' AS time, gen_random_uuid() AS id,
        jsonb_build_array(n) AS document, clock_timestamp() AS instant, 'clerk'::regrole AS role,
        ARRAY['a', n::text] AS labels, ARRAY['{}'::jsonb] AS documents, 'print' AS name, n % 2 = 0 AS yes
    FROM generate_series(-1, 5) n;

-- wrappers, which count: calls, and calls that were answered and did not end in an error

DO $$
DECLARE
    f record;
    result record;
BEGIN
    FOR f IN
        SELECT oid, proname AS name, proretset AS rows, pg_get_function_identity_arguments(oid) AS arguments,
            (SELECT coalesce(string_agg(format('coalesce($%s, smith.choose(%L)::%s)', n, proargnames[n],
                    proargtypes[n - 1]::regtype), ', '), '') FROM generate_series(1, pronargs) n) AS passed,
            (SELECT coalesce(string_agg(format('smith.choose(%L)::%s', proargnames[n], proargtypes[n - 1]::regtype), ', '), '')
                FROM generate_series(1, pronargs) n) AS chosen,
            (SELECT coalesce(string_agg(format('%I %s', p.name, p.type::regtype), ', '), 'version text')
                FROM unnest(proargnames, proallargtypes, proargmodes) AS p(name, type, mode) WHERE mode = 't') AS columns
        FROM pg_proc WHERE pronamespace = 'reservation'::regnamespace AND prorettype <> 'trigger'::regtype
    LOOP
        EXECUTE format('CREATE SEQUENCE smith.called_%s', f.name);
        EXECUTE format('CREATE SEQUENCE smith.answered_%s', f.name);
        EXECUTE format($f$
            CREATE FUNCTION smith.rows_of_%1$s() RETURNS TABLE (%2$s) LANGUAGE plpgsql AS $w$
            BEGIN
                PERFORM nextval('smith.called_%1$s');
                RETURN QUERY SELECT * FROM reservation.%1$s(%3$s);
                PERFORM nextval('smith.answered_%1$s');
            END $w$ $f$, f.name, f.columns, f.chosen);
        EXECUTE format('CREATE VIEW smith.%1$s AS SELECT * FROM smith.rows_of_%1$s()', f.name);
        FOR result IN
            SELECT DISTINCT ON (p.type) p.name, p.type::regtype AS type
            FROM pg_proc, unnest(proargnames, proallargtypes, proargmodes) AS p(name, type, mode)
            WHERE pg_proc.oid = f.oid AND p.mode = 't' AND p.type <> 'text'::regtype
            UNION ALL SELECT 'r', 'text'
        LOOP
            EXECUTE format($f$
                CREATE FUNCTION smith.%1$s_%2$s(%3$s) RETURNS %4$s LANGUAGE plpgsql AS $w$
                #variable_conflict use_column
                DECLARE
                    answer %4$s;
                    each %4$s;
                BEGIN
                    PERFORM nextval('smith.called_%1$s');
                    FOR each IN SELECT %5$s FROM reservation.%1$s(%6$s) r
                    LOOP
                        answer := each;
                    END LOOP;
                    PERFORM nextval('smith.answered_%1$s');
                    RETURN answer;
                END $w$ $f$,
                f.name, result.name, f.arguments, result.type,
                CASE result.name WHEN 'r' THEN 'r::text' ELSE format('r.%I', result.name) END, f.passed);
        END LOOP;
    END LOOP;
END $$;

-- What sqlsmith reads as pg_proc, because smith is before pg_catalog in its search_path: the wrappers,
-- those without arguments aside, which it would call most of the time; and the plainest aggregates.
CREATE VIEW smith.pg_proc AS
    SELECT p.*
    FROM pg_catalog.pg_proc p
    WHERE (pronamespace = 'smith'::regnamespace AND proname <> 'choose' AND pronargs > 0)
        OR (prokind = 'a' AND proname IN ('min', 'max', 'count') AND pronamespace = 'pg_catalog'::regnamespace);
-- It takes operators from the catalog itself, and those of ranges and the like with arguments that no
-- query with them gets past the parser: three queries in four end there. Those that sort and hash stay.
SET allow_system_table_mods = on;
DELETE FROM pg_catalog.pg_operator
    WHERE EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid IN (oprleft, oprright)
        AND (typcategory IN ('G', 'I', 'R', 'V') OR typname ~ '^any(multi)?range|^anyenum|^ts|^money|^macaddr'))
        AND oid NOT IN (SELECT amopopr FROM pg_catalog.pg_amop JOIN pg_catalog.pg_am a ON a.oid = amopmethod WHERE amname IN ('btree', 'hash'));
RESET allow_system_table_mods;
GRANT USAGE ON SCHEMA smith TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA smith TO PUBLIC;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA smith TO PUBLIC;
CREATE VIEW smith.count AS
    SELECT proname AS function, called.n AS called, answered.n AS answered
    FROM pg_catalog.pg_proc,
        LATERAL (SELECT coalesce(pg_sequence_last_value(format('smith.called_%s', proname)::regclass), 0) AS n) called,
        LATERAL (SELECT coalesce(pg_sequence_last_value(format('smith.answered_%s', proname)::regclass), 0) AS n) answered
    WHERE pronamespace = 'reservation'::regnamespace AND prorettype <> 'trigger'::regtype;

-- A superuser who deletes a pool and then asks for one of its claims is told that the books are damaged
-- (XX001), as they should be. Nothing of ours deletes a pool's row or changes its id: so what is said
-- while nobody can do that would be our own doing.
CREATE FUNCTION smith.keep_pools() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'pools stay' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER keep_pools BEFORE DELETE OR TRUNCATE OR UPDATE OF pool_id ON reservation.pool
    EXECUTE FUNCTION smith.keep_pools();
