-- The functions and views that a caller programs against: names, arguments, defaults, result columns, and what the
-- planner is told about them.
BEGIN;
SELECT no_plan();

CREATE TEMP TABLE door (name text, arguments text, result text, volatility "char", changes boolean);
INSERT INTO door VALUES
('version', '', 'text', 's', false),
('shard_of_name', 'name text', 'integer', 'i', false),
('shard_of_id', 'id uuid', 'integer', 'i', false),
('create_pool',
    'pool text, capacity bigint DEFAULT NULL::bigint, kind text DEFAULT ''numbered''::text, first_number integer DEFAULT 1, '
    'hold_ttl interval DEFAULT NULL::interval, per_holder integer DEFAULT NULL::integer, floor bigint DEFAULT 0, '
    'ceiling bigint DEFAULT NULL::bigint, opens_at timestamp with time zone DEFAULT NULL::timestamp with time zone, '
    'closes_at timestamp with time zone DEFAULT NULL::timestamp with time zone, '
    'holder_rate integer DEFAULT NULL::integer, holder_period interval DEFAULT NULL::interval, '
    'pool_rate integer DEFAULT NULL::integer, pool_period interval DEFAULT NULL::interval, pass_over boolean DEFAULT false, '
    'offer_ttl interval DEFAULT NULL::interval, notify_every interval DEFAULT NULL::interval',
    'TABLE(status text, pool text, kind text, capacity bigint)', 'v', true),
('alter_pool',
    'pool text, hold_ttl interval DEFAULT NULL::interval, per_holder integer DEFAULT NULL::integer, '
    'opens_at timestamp with time zone DEFAULT NULL::timestamp with time zone, '
    'closes_at timestamp with time zone DEFAULT NULL::timestamp with time zone, paused boolean DEFAULT NULL::boolean, '
    'floor bigint DEFAULT NULL::bigint, ceiling bigint DEFAULT NULL::bigint, '
    'holder_rate integer DEFAULT NULL::integer, holder_period interval DEFAULT NULL::interval, '
    'pool_rate integer DEFAULT NULL::integer, pool_period interval DEFAULT NULL::interval, pass_over boolean DEFAULT NULL::boolean, '
    'offer_ttl interval DEFAULT NULL::interval, notify_every interval DEFAULT NULL::interval',
    'TABLE(status text, pool text)', 'v', true),
('add_units',
    'pool text, count integer DEFAULT NULL::integer, labels text[] DEFAULT NULL::text[], attributes jsonb[] DEFAULT NULL::jsonb[]',
    'TABLE(status text, first_number integer, last_number integer)', 'v', true),
('drop_pool', 'pool text, force boolean DEFAULT false', 'TABLE(status text, pool text)', 'v', true),
('availability', 'pools text[]',
    'TABLE(pool text, kind text, capacity bigint, available bigint, held bigint, finalized bigint, state text)', 's', false),
('claim_next',
    'pool text, holder text, count integer DEFAULT 1, ttl interval DEFAULT NULL::interval, request_id text DEFAULT NULL::text, '
    'wait interval DEFAULT NULL::interval',
    'TABLE(status text, claim_id uuid, pool text, number integer, label text, holder text, '
    'expires_at timestamp with time zone, available bigint, replayed boolean, retry_after interval)', 'v', true),
('claim_unit',
    'pool text, number integer, holder text, ttl interval DEFAULT NULL::interval, request_id text DEFAULT NULL::text, '
    'wait interval DEFAULT NULL::interval',
    'TABLE(status text, claim_id uuid, pool text, number integer, label text, holder text, '
    'expires_at timestamp with time zone, available bigint, replayed boolean, retry_after interval)', 'v', true),
('take',
    'pool text, holder text, quantity bigint DEFAULT 1, ttl interval DEFAULT NULL::interval, request_id text DEFAULT NULL::text, '
    'wait interval DEFAULT NULL::interval',
    'TABLE(status text, claim_id uuid, pool text, quantity bigint, holder text, '
    'expires_at timestamp with time zone, available bigint, replayed boolean, retry_after interval)', 'v', true),
('charge', 'account text, amount bigint, request_id text',
    'TABLE(status text, claim_id uuid, balance bigint, replayed boolean, retry_after interval)', 'v', true),
('adjust', 'pool text, delta bigint, request_id text DEFAULT NULL::text, reason text DEFAULT NULL::text',
    'TABLE(status text, pool text, delta bigint, balance bigint, replayed boolean)', 'v', true),
('account_entries', 'account text',
    'TABLE(at timestamp with time zone, event text, claim_id uuid, amount bigint, balance bigint, holder text, actor text, '
    'reason text, request_id text)', 's', false),
('stats_by_id', '',
    'TABLE(pool_id integer, since timestamp with time zone, claims bigint, hint_hits bigint, walks bigint, gone bigint, '
    'busy bigint, replays bigint, lapses bigint, waits bigint, waited_us bigint)', 'v', false),
('last_drawn', 'sequence oid', 'bigint', 'v', false),
('holds_in_flight', '',
    'TABLE(place tid, claim_id uuid, pool_id integer, number integer, quantity bigint, holder text, '
    'claimed_at timestamp with time zone, expires_at timestamp with time zone, transaction_id xid, is_new boolean)', 'v', false),
('reset_stats', '', 'TABLE(status text, pools integer)', 'v', true),
('balance_at', 'pool text, at timestamp with time zone',
    'TABLE(pool text, at timestamp with time zone, balance bigint, held bigint, finalized bigint)', 'v', false),
('archive', 'before timestamp with time zone, max integer DEFAULT 10000', 'TABLE(status text, claims integer)', 'v', true),
('repair', 'pool text', 'TABLE(status text, pool text, problem text, found text, action text)', 'v', true),
('events_since', 'cursor text DEFAULT NULL::text, max integer DEFAULT 1000',
    'TABLE(cursor text, at timestamp with time zone, transaction_id xid8, kind text, event text, pool text, number integer, '
    'claim_id uuid, checkout_id uuid, quantity bigint, change bigint, actor text, holder text, request_id text, reason text, '
    'details jsonb)', 'v', false),
('index_events', 'enabled boolean DEFAULT true', 'TABLE(status text)', 'v', true),
('extend', 'claim_id uuid, ttl interval', 'TABLE(status text, claim_id uuid, expires_at timestamp with time zone)', 'v', true),
('release', 'claim_id uuid', 'TABLE(status text, claim_id uuid, replayed boolean)', 'v', true),
('finalize', 'claim_id uuid, quantity bigint DEFAULT NULL::bigint',
    'TABLE(status text, claim_id uuid, pool text, number integer, quantity bigint, holder text, '
    'finalized_at timestamp with time zone, late boolean, replayed boolean)', 'v', true),
('refund', 'claim_id uuid, quantity bigint DEFAULT NULL::bigint, request_id text DEFAULT NULL::text',
    'TABLE(status text, claim_id uuid, refunded bigint, remaining bigint, replayed boolean)', 'v', true),
('run_once', 'scope text, request_id text, arguments jsonb DEFAULT NULL::jsonb', 'TABLE(status text, response jsonb)', 'v', true),
('save_response', 'scope text, request_id text, response jsonb', 'TABLE(status text)', 'v', true),
('cart_add', 'cart text, pool text, quantity bigint DEFAULT 1, options jsonb DEFAULT ''{}''::jsonb',
    'TABLE(status text, cart text, pool text, quantity bigint)', 'v', true),
('cart_set', 'cart text, pool text, quantity bigint, options jsonb DEFAULT ''{}''::jsonb',
    'TABLE(status text, cart text, pool text, quantity bigint)', 'v', true),
('cart_merge', 'source text, target text, policy text DEFAULT ''sum''::text',
    'TABLE(status text, target text, lines bigint, replayed boolean)', 'v', true),
('cart_lines', 'cart text', 'TABLE(pool text, options jsonb, quantity bigint)', 's', false),
('checkout',
    'request_id text, holder text, lines jsonb, ttl interval DEFAULT NULL::interval, amount bigint DEFAULT NULL::bigint, '
    'currency text DEFAULT NULL::text',
    'TABLE(status text, checkout_id uuid, expires_at timestamp with time zone, claims jsonb, shortages jsonb, replayed boolean)', 'v', true),
('checkout_cart',
    'cart text, request_id text, holder text, ttl interval DEFAULT NULL::interval, amount bigint DEFAULT NULL::bigint, '
    'currency text DEFAULT NULL::text',
    'TABLE(status text, checkout_id uuid, expires_at timestamp with time zone, claims jsonb, shortages jsonb, replayed boolean)', 'v', true),
('set_payment_provider', 'provider text, scheme text, secret text', 'TABLE(status text, provider text, scheme text)', 'v', true),
('record_payment',
    'checkout_id uuid, provider text, payment_id text, amount bigint, currency text, payload text, signature text',
    'TABLE(status text, checkout_id uuid, payment_id text, replayed boolean)', 'v', true),
('finalize_checkout', 'checkout_id uuid',
    'TABLE(status text, checkout_id uuid, order_id uuid, order_number bigint, finalized_at timestamp with time zone, replayed boolean)', 'v', true),
('cancel_checkout', 'checkout_id uuid', 'TABLE(status text, checkout_id uuid, replayed boolean)', 'v', true),
('settle_refund', 'checkout_id uuid, reference text, provider text DEFAULT NULL::text, payment_id text DEFAULT NULL::text',
    'TABLE(status text, checkout_id uuid, replayed boolean)', 'v', true),
('sweep', 'max integer DEFAULT 1000', 'TABLE(status text, lapsed integer)', 'v', true),
('join_line', 'pool text, holder text, quantity bigint DEFAULT 1, priority integer DEFAULT 0, request_id text DEFAULT NULL::text',
    'TABLE(status text, ticket_id uuid, "position" bigint, claim_id uuid, replayed boolean)', 'v', true),
('leave_line', 'ticket_id uuid', 'TABLE(status text, ticket_id uuid)', 'v', true),
('line_position', 'ticket_id uuid', 'TABLE(status text, "position" bigint, claim_id uuid, expires_at timestamp with time zone)', 's', false),
('serve_line', 'pool text, max integer DEFAULT 100, method text DEFAULT ''fifo''::text, seed text DEFAULT NULL::text',
    'TABLE(ticket_id uuid, holder text, claim_id uuid, number integer, quantity bigint, expires_at timestamp with time zone)', 'v', false),
('rate_limit', 'key text, burst integer, period interval, cost integer DEFAULT 1',
    'TABLE(allowed boolean, remaining integer, retry_after interval, reset_after interval)', 'v', false),
('verify', 'pool text DEFAULT NULL::text', 'TABLE(pool text, problem text, expected text, found text, hint text)', 'v', false),
('grant_access', 'role regrole, level text', 'TABLE(status text, role regrole, level text)', 'v', true);

-- triggers for the application's own tables
CREATE TEMP TABLE trigger_door (name text);
INSERT INTO trigger_door VALUES ('keep_log'), ('assign_number'), ('check_version'), ('finalize_once'), ('take_stock'), ('charge_credit');

SELECT functions_are('reservation', array_agg(name), 'these functions and no others')
FROM (SELECT name FROM door UNION ALL SELECT name FROM trigger_door) d;
SELECT unnest(ARRAY[
    is(count(*), 1::bigint, name || ' has one signature'),
    is(min(pg_get_function_result(oid)), 'trigger', name || ' is a trigger function'),
    is(min(pronargs), 0::smallint, name || ' has no arguments but those of CREATE TRIGGER'),
    ok(bool_and(provolatile = 'v' AND proparallel = 'u' AND NOT proisstrict), name || ': what the planner is told'),
    ok(NOT bool_or(prosecdef) AND min(proconfig) IS NULL, name || ' runs as its caller')])
FROM trigger_door JOIN pg_proc ON proname = name AND pronamespace = 'reservation'::regnamespace GROUP BY name;

-- one signature per name
SELECT is(count(*), 1::bigint, name || ' has one signature')
FROM door JOIN pg_proc ON proname = name AND pronamespace = 'reservation'::regnamespace GROUP BY name;

SELECT unnest(ARRAY[
    is(pg_get_function_arguments(oid), arguments, name || ': arguments'),
    is(pg_get_function_result(oid), result, name || ': result'),
    is(provolatile, volatility, name || ': volatility'),
    ok(NOT proisstrict, name || ' answers a NULL with an error, not with nothing'),
    is(proparallel, CASE WHEN name ~ '^(version|shard_of_.*)$' THEN 's' ELSE 'u' END::"char", name || ': parallel safety'),
    ok(NOT prosecdef AND proconfig IS NULL, name || ' runs as its caller'),
    is(prokind, 'f'::"char", name || ' is a plain function')])
FROM door JOIN pg_proc ON proname = name AND pronamespace = 'reservation'::regnamespace;

-- what changes something returns a table with the status first: never void, never a bare composite
SELECT unnest(ARRAY[
    -- a table of one column is a set of its type
    ok(proretset AND prorettype = CASE WHEN name IN ('save_response', 'index_events') THEN 'text' ELSE 'record' END::regtype, name || ' returns a table'),
    is(proargnames[pronargs + 1], 'status', name || ' says the status first'),
    ok(NOT 'o' = ANY (proargmodes) AND NOT 'b' = ANY (proargmodes), name || ' has columns, no OUT arguments')])
FROM door JOIN pg_proc ON proname = name AND pronamespace = 'reservation'::regnamespace
WHERE changes;

-- what answers with one row says so to the planner: several calls in one statement are not taken for millions of rows
SELECT is(prorows, 1::real, name || ' is planned as one row')
FROM door JOIN pg_proc ON proname = name AND pronamespace = 'reservation'::regnamespace
WHERE name ~ 'checkout|cart_(add|set|merge)|once|response|payment|settle_refund|rate_limit|join_line|leave_line|line_position';

-- names become JSON keys
SELECT ok(n ~ '^[a-z]+(_[a-z]+)*$', name || ': ' || n || ' is a clean name')
FROM door JOIN pg_proc ON proname = name AND pronamespace = 'reservation'::regnamespace, unnest(proargnames) n;

-- every argument can be given by its name
CREATE FUNCTION pg_temp.keys(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT string_agg(k, '','' ORDER BY place) FROM (SELECT row_to_json(t) AS j FROM (%s) t LIMIT 1) r, '
        'json_object_keys(r.j) WITH ORDINALITY AS o (k, place)', query) INTO result;
    RETURN result;
END
$$;
SELECT is(pg_temp.keys($$SELECT * FROM reservation.create_pool(pool => 'p', capacity => 9, kind => 'numbered', first_number => 1,
    hold_ttl => '1 hour', per_holder => 9, floor => 0, ceiling => NULL, opens_at => '2020-01-01', closes_at => 'infinity',
    holder_rate => 9, holder_period => '1 s', pool_rate => 9, pool_period => '1 s',
    pass_over => true, offer_ttl => '1 hour', notify_every => '1 s')$$),
    'status,pool,kind,capacity', 'create_pool by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.alter_pool(pool => 'p', hold_ttl => '1 hour', per_holder => 9,
    opens_at => '2020-01-01', closes_at => 'infinity', paused => false, floor => NULL, ceiling => NULL,
    holder_rate => 9, holder_period => '1 hour', pool_rate => 9, pool_period => '1 hour',
    pass_over => false, offer_ttl => '1 hour', notify_every => '1 s')$$),
    'status,pool', 'alter_pool by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.add_units(pool => 'p', count => 1, labels => '{A}', attributes => '{"{}"}')$$),
    'status,first_number,last_number', 'add_units by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.availability(pools => '{p}')$$),
    'pool,kind,capacity,available,held,finalized,state', 'availability by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.claim_next(pool => 'p', holder => 'h', count => 1, ttl => '1 hour',
    request_id => 'r', wait => '0')$$),
    'status,claim_id,pool,number,label,holder,expires_at,available,replayed,retry_after', 'claim_next by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.claim_unit(pool => 'p', number => 5, holder => 'h', ttl => '1 hour',
    request_id => 'r', wait => '0')$$),
    'status,claim_id,pool,number,label,holder,expires_at,available,replayed,retry_after', 'claim_unit by names');
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.extend(claim_id => %L, ttl => '1 hour')$$, claim_id)),
    'status,claim_id,expires_at', 'extend by names') FROM reservation.claims WHERE number = 5;
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.finalize(claim_id => %L, quantity => 1)$$, claim_id)),
    'status,claim_id,pool,number,quantity,holder,finalized_at,late,replayed', 'finalize by names')
FROM reservation.claims WHERE number = 5;
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.refund(claim_id => %L, quantity => 1, request_id => 'r')$$, claim_id)),
    'status,claim_id,refunded,remaining,replayed', 'refund by names') FROM reservation.claims WHERE number = 5;
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.release(claim_id => %L)$$, claim_id)),
    'status,claim_id,replayed', 'release by names') FROM reservation.claims WHERE number = 1;
SELECT is(pg_temp.keys($$SELECT * FROM reservation.run_once(scope => 's', request_id => 'r', arguments => '{}')$$),
    'status,response', 'run_once by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.save_response(scope => 's', request_id => 'r', response => '1')$$), 'status', 'save_response by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.cart_add(cart => 'c', pool => 'p', quantity => 1, options => '{}')$$),
    'status,cart,pool,quantity', 'cart_add by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.cart_set(cart => 'c', pool => 'p', quantity => 1, options => '{}')$$),
    'status,cart,pool,quantity', 'cart_set by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.cart_merge(source => 'c', target => 'd', policy => 'sum')$$),
    'status,target,lines,replayed', 'cart_merge by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.cart_lines(cart => 'd')$$), 'pool,options,quantity', 'cart_lines by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.checkout(request_id => 'c1', holder => 'h', lines => '[{"pool": "p"}]', ttl => '1 hour',
    amount => 1, currency => 'EUR')$$), 'status,checkout_id,expires_at,claims,shortages,replayed', 'checkout by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.checkout_cart(cart => 'd', request_id => 'c2', holder => 'h', ttl => '1 hour',
    amount => 1, currency => 'EUR')$$), 'status,checkout_id,expires_at,claims,shortages,replayed', 'checkout_cart by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.set_payment_provider(provider => 'v', scheme => 'stripe', secret => 'x')$$),
    'status,provider,scheme', 'set_payment_provider by names');
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.record_payment(checkout_id => %L, provider => 'v', payment_id => 'i', amount => 1,
    currency => 'EUR', payload => 'x', signature => 'y')$$, checkout_id)), 'status,checkout_id,payment_id,replayed', 'record_payment by names')
FROM reservation.checkouts WHERE request_id = 'c1';
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.finalize_checkout(checkout_id => %L)$$, checkout_id)),
    'status,checkout_id,order_id,order_number,finalized_at,replayed', 'finalize_checkout by names') FROM reservation.checkouts WHERE request_id = 'c1';
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.cancel_checkout(checkout_id => %L)$$, checkout_id)),
    'status,checkout_id,replayed', 'cancel_checkout by names') FROM reservation.checkouts WHERE request_id = 'c1';
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.settle_refund(checkout_id => %L, reference => 'r', provider => 'v', payment_id => 'i')$$, checkout_id)),
    'status,checkout_id,replayed', 'settle_refund by names') FROM reservation.checkouts WHERE request_id = 'c1';
SELECT is(pg_temp.keys($$SELECT * FROM reservation.join_line(pool => 'p', holder => 'l', quantity => 1, priority => 1, request_id => 'r')$$),
    'status,ticket_id,position,claim_id,replayed', 'join_line by names');
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.line_position(ticket_id => %L)$$, ticket_id)),
    'status,position,claim_id,expires_at', 'line_position by names') FROM reservation.tickets;
SELECT is(pg_temp.keys(format($$SELECT * FROM reservation.leave_line(ticket_id => %L)$$, ticket_id)),
    'status,ticket_id', 'leave_line by names') FROM reservation.tickets;
SELECT is(pg_temp.keys($$SELECT * FROM reservation.create_pool('line', 1)$$), 'status,pool,kind,capacity', 'a pool with a line');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.alter_pool('line', paused => true)$$), 'status,pool', 'that is paused');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.join_line('line', 'l')$$), 'status,ticket_id,position,claim_id,replayed', 'somebody waits');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.serve_line(pool => 'line', max => 1, method => 'lottery', seed => 's')$$),
    'ticket_id,holder,claim_id,number,quantity,expires_at', 'serve_line by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.rate_limit(key => 'k', burst => 1, period => '1 s', cost => 1)$$),
    'allowed,remaining,retry_after,reset_after', 'rate_limit by names');
SELECT is(pg_temp.keys('SELECT * FROM reservation.sweep(max => 1)'), 'status,lapsed', 'sweep by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.grant_access(role => current_user::regrole, level => 'read')$$),
    'status,role,level', 'grant_access by names');
SELECT is_empty($$SELECT * FROM reservation.verify(pool => 'p')$$, 'verify by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.archive(before => '2000-01-01', max => 1)$$), 'status,claims', 'archive by names');
SELECT is_empty($$SELECT * FROM reservation.repair(pool => 'p')$$, 'repair by names');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.balance_at(pool => 'p', at => now())$$), 'pool,at,balance,held,finalized', 'balance_at by names');
SELECT is_empty($$SELECT * FROM reservation.events_since(cursor => '9223372036854775807.0', max => 1)$$, 'events_since by names');
SELECT is(pg_temp.keys('SELECT * FROM reservation.index_events(enabled => false)'), 'status', 'index_events by names');
SELECT is(pg_temp.keys('SELECT * FROM reservation.reset_stats()'), 'status,pools', 'columns of reset_stats');
SELECT is(pg_temp.keys($$SELECT * FROM reservation.drop_pool(pool => 'p', force => true)$$), 'status,pool', 'drop_pool by names');

-- views
CREATE FUNCTION pg_temp.columns(relation regclass) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
$$;
SELECT is(pg_temp.columns('reservation.pool_status'),
    'pool text, kind text, capacity bigint, available bigint, held bigint, finalized bigint, state text, hold_ttl interval, '
    'per_holder integer, floor bigint, ceiling bigint, opens_at timestamp with time zone, closes_at timestamp with time zone, '
    'created_at timestamp with time zone, holder_rate integer, holder_period interval, pool_rate integer, '
    'pool_period interval, waited boolean, pass_over boolean, offer_ttl interval, notify_every interval', 'columns of pool_status');
SELECT is(pg_temp.columns('reservation.tickets'),
    'ticket_id uuid, pool text, number bigint, priority integer, quantity bigint, holder text, state text, '
    'joined_at timestamp with time zone, settled_at timestamp with time zone, expires_at timestamp with time zone, claim_ids uuid[]',
    'columns of tickets');
SELECT is(pg_temp.columns('reservation.claims'),
    'claim_id uuid, pool text, number integer, label text, quantity bigint, holder text, state text, '
    'claimed_at timestamp with time zone, expires_at timestamp with time zone, finalized_at timestamp with time zone, '
    'request_id text, refunded bigint', 'columns of claims');
SELECT is(pg_temp.columns('reservation.entries'),
    'pool_id integer, pool text, at timestamp with time zone, place integer, event text, claim_id uuid, amount bigint, holder text, '
    'actor text, reason text, request_id text, position bigint, step integer', 'columns of entries');
SELECT is(pg_temp.columns('reservation.stats'),
    'pool text, since timestamp with time zone, claims bigint, hint_hits bigint, walks bigint, gone bigint, busy bigint, '
    'replays bigint, lapses bigint, waits bigint, waited interval, slots bigint', 'columns of stats');
SELECT is(pg_temp.columns('reservation.holds'),
    'pool text, number integer, label text, quantity bigint, state text, since timestamp with time zone, '
    'until timestamp with time zone, pid integer, prepared text, claim_id uuid, holder text', 'columns of holds');
SELECT is(pg_temp.columns('reservation.stuck'),
    'kind text, since timestamp with time zone, pid integer, name text, detail text, hint text', 'columns of stuck');
SELECT is(pg_temp.columns('reservation.checkouts'),
    'checkout_id uuid, holder text, state text, amount bigint, currency text, created_at timestamp with time zone, '
    'expires_at timestamp with time zone, paid_at timestamp with time zone, ended_at timestamp with time zone, order_id uuid, '
    'order_number bigint, cart text, claims jsonb, request_id text', 'columns of checkouts');
SELECT is(pg_temp.columns('reservation.payments'),
    'provider text, payment_id text, checkout_id uuid, amount bigint, currency text, state text, '
    'received_at timestamp with time zone, settled_at timestamp with time zone, reference text', 'columns of payments');
SELECT is(pg_temp.columns('reservation.refunds_due'),
    'checkout_id uuid, holder text, provider text, payment_id text, amount bigint, currency text, '
    'received_at timestamp with time zone, checkout_state text', 'columns of refunds_due');
SELECT is(pg_temp.columns('reservation.units'), 'pool text, number integer, label text, attributes jsonb, state text',
    'columns of units');

-- settings, which exist once the library is loaded
SELECT is(reservation.version(), extversion, 'the library is the version that the catalog says')
FROM pg_extension WHERE extname = 'reservation';
SELECT results_eq($$SELECT name, context, vartype, unit, boot_val, min_val FROM pg_settings
    WHERE name LIKE 'reservation.%' AND context = 'user' ORDER BY 1$$,
    $$VALUES ('reservation.claim_wait', 'user', 'integer', 'ms', '2000', '0'),
        ('reservation.hold_ttl', 'user', 'integer', 's', '600', '1'),
        ('reservation.stock_slots', 'user', 'integer', NULL, '64', '2')$$, 'settings that anybody can change');
SELECT set_eq($$SELECT name FROM pg_settings WHERE name LIKE 'reservation.%' AND context = 'postmaster'$$,
    CASE WHEN current_setting('shared_preload_libraries') ~ 'reservation' THEN '{reservation.directory_pools,reservation.hint_pools,reservation.rate_keys}' ELSE '{}' END::text[],
    'settings of shared memory, if the library is preloaded');
SELECT results_eq($$SELECT name, context, vartype, unit, boot_val, min_val FROM pg_settings
    WHERE name LIKE 'reservation.%' AND context NOT IN ('user', 'postmaster') ORDER BY 1$$,
    CASE WHEN current_setting('shared_preload_libraries') ~ 'reservation'
        THEN $$VALUES ('reservation.request_retention', 'superuser', 'integer', 's', '2592000', '0'),
            ('reservation.worker_naptime', 'sighup', 'integer', 'ms', '10000', '0')$$
        ELSE 'SELECT name, context, vartype, unit, boot_val, min_val FROM pg_settings WHERE false' END,
    'settings of the background worker, if the library is preloaded');
SELECT throws_ok('SET reservation.no_such_setting = 1', '42602', NULL, 'no setting by a wrong name');

SELECT * FROM finish();
ROLLBACK;
