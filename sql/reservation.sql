-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION reservation" to load this file. \quit

-- The schema must be ours alone: an operator or a function that somebody put there beforehand, or can put there later,
-- could be picked up by what follows. From here on it belongs to us, as all that is in it.
DO $$
DECLARE
    -- who may have made the schema: whoever runs CREATE EXTENSION, or a superuser
    trusted oid[] := ARRAY(SELECT extowner FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'reservation'
        UNION ALL SELECT oid FROM pg_catalog.pg_roles WHERE rolsuper);
    schema oid := '@extschema@'::pg_catalog.regnamespace;
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) schema)
        OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace OPERATOR(pg_catalog.=) schema)
        OR EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oprnamespace OPERATOR(pg_catalog.=) schema)
        OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace OPERATOR(pg_catalog.=) schema)
        OR EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
            WHERE n.oid OPERATOR(pg_catalog.=) schema AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'
                AND NOT (a.grantee OPERATOR(pg_catalog.=) ANY (trusted)))
        OR NOT EXISTS (SELECT FROM pg_catalog.pg_namespace
            WHERE oid OPERATOR(pg_catalog.=) schema AND nspowner OPERATOR(pg_catalog.=) ANY (trusted))
    THEN
        RAISE EXCEPTION 'schema "reservation" is not empty, or somebody else can create objects in it'
            USING ERRCODE = 'duplicate_schema',
                HINT = 'Drop or rename that schema, then run CREATE EXTENSION again.';
    END IF;
END
$$;
ALTER SCHEMA reservation OWNER TO CURRENT_USER;

COMMENT ON SCHEMA reservation IS 'hands out finite things, each exactly once';

-- tables

CREATE SEQUENCE reservation.pool_id_seq AS integer;
COMMENT ON SEQUENCE reservation.pool_id_seq IS 'numbers the pools; an id is never used twice';

CREATE TABLE reservation.pool (
    pool_id integer NOT NULL DEFAULT nextval('reservation.pool_id_seq'),
    pool text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    capacity bigint,
    units_added bigint NOT NULL DEFAULT 0,
    first_number integer NOT NULL,
    labelled boolean NOT NULL DEFAULT false,
    hold_ttl interval,
    per_holder integer,
    floor bigint NOT NULL DEFAULT 0,
    ceiling bigint,
    opens_at timestamptz,
    closes_at timestamptz,
    paused boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    dropped_at timestamptz,
    holder_rate integer,
    holder_period interval,
    pool_rate integer,
    pool_period interval,
    CONSTRAINT pool_pkey PRIMARY KEY (pool_id),
    CONSTRAINT pool_name_length CHECK (octet_length(pool) BETWEEN 1 AND 1000),
    CONSTRAINT pool_kind CHECK (kind = 'numbered' OR kind = 'counted'),
    CONSTRAINT pool_capacity CHECK (capacity >= 0 AND units_added >= 0),
    CONSTRAINT pool_first_number CHECK (first_number >= 0),
    CONSTRAINT pool_per_holder CHECK (per_holder >= 1),
    CONSTRAINT pool_bounds CHECK (ceiling >= floor),
    CONSTRAINT pool_window CHECK (closes_at > opens_at),
    CONSTRAINT pool_rates CHECK (holder_rate >= 1 AND pool_rate >= 1 AND holder_period > interval '0' AND pool_period > interval '0'),
    CONSTRAINT pool_periods CHECK ((holder_rate IS NULL) = (holder_period IS NULL) AND (pool_rate IS NULL) = (pool_period IS NULL))
);
CREATE UNIQUE INDEX pool_name ON reservation.pool (pool) WHERE dropped_at IS NULL;
COMMENT ON TABLE reservation.pool IS 'what can be claimed: one row per edition, hall, item or account';
COMMENT ON COLUMN reservation.pool.pool_id IS 'key of the pool in every other table';
COMMENT ON COLUMN reservation.pool.pool IS 'name, 1 to 1,000 bytes, unique among the pools that are not dropped';
COMMENT ON COLUMN reservation.pool.kind IS 'numbered: units with numbers; counted: a quantity';
COMMENT ON COLUMN reservation.pool.capacity IS 'units the pool was created with; NULL: an open edition';
COMMENT ON COLUMN reservation.pool.units_added IS 'units that add_units brought since';
COMMENT ON COLUMN reservation.pool.first_number IS 'lowest number of a numbered pool';
COMMENT ON COLUMN reservation.pool.labelled IS 'true once any unit has a label or attributes';
COMMENT ON COLUMN reservation.pool.hold_ttl IS 'how long a hold lives; NULL: the setting reservation.hold_ttl';
COMMENT ON COLUMN reservation.pool.per_holder IS 'most units one holder may have; NULL: no limit';
COMMENT ON COLUMN reservation.pool.floor IS 'counted: the balance never goes below';
COMMENT ON COLUMN reservation.pool.ceiling IS 'counted: adjust never takes the balance above; NULL: no limit';
COMMENT ON COLUMN reservation.pool.opens_at IS 'claims are refused before; NULL: always open';
COMMENT ON COLUMN reservation.pool.closes_at IS 'claims are refused from then on; NULL: never closes';
COMMENT ON COLUMN reservation.pool.paused IS 'claims are refused while true';
COMMENT ON COLUMN reservation.pool.created_at IS 'when the pool was made';
COMMENT ON COLUMN reservation.pool.dropped_at IS 'when the pool was dropped; its claims stay as history';
COMMENT ON COLUMN reservation.pool.holder_rate IS 'claims that one holder may make at once, and per holder_period; NULL: no limit';
COMMENT ON COLUMN reservation.pool.holder_period IS 'the time that goes with holder_rate';
COMMENT ON COLUMN reservation.pool.pool_rate IS 'claims that all may make at once, and per pool_period; NULL: no limit';
COMMENT ON COLUMN reservation.pool.pool_period IS 'the time that goes with pool_rate';
COMMENT ON CONSTRAINT pool_name_length ON reservation.pool IS 'a name is 1 to 1,000 bytes';
COMMENT ON CONSTRAINT pool_kind ON reservation.pool IS 'a pool is numbered or counted';
COMMENT ON CONSTRAINT pool_capacity ON reservation.pool IS 'a capacity is never negative';
COMMENT ON CONSTRAINT pool_first_number ON reservation.pool IS 'numbers are never negative';
COMMENT ON CONSTRAINT pool_per_holder ON reservation.pool IS 'a limit lets a holder have at least one unit';
COMMENT ON CONSTRAINT pool_bounds ON reservation.pool IS 'the ceiling is not below the floor';
COMMENT ON CONSTRAINT pool_window ON reservation.pool IS 'a pool closes after it opens';
COMMENT ON CONSTRAINT pool_rates ON reservation.pool IS 'a rate lets at least one claim through, in a time above zero';
COMMENT ON CONSTRAINT pool_periods ON reservation.pool IS 'a rate has a period';
COMMENT ON CONSTRAINT pool_pkey ON reservation.pool IS 'one row per pool';
COMMENT ON INDEX reservation.pool_name IS 'one pool per name; a dropped pool frees its name';

CREATE TABLE reservation.available (
    pool_id integer NOT NULL,
    number integer NOT NULL,
    CONSTRAINT available_pkey PRIMARY KEY (pool_id, number)
);
COMMENT ON TABLE reservation.available IS 'one row per free unit of a numbered pool: a unit is free if and only if it is here';
COMMENT ON COLUMN reservation.available.pool_id IS 'the pool of the unit';
COMMENT ON COLUMN reservation.available.number IS 'the number of the unit';
COMMENT ON CONSTRAINT available_pkey ON reservation.available IS 'a unit is free at most once';

CREATE TABLE reservation.unit (
    pool_id integer NOT NULL,
    number integer NOT NULL,
    label text COLLATE "C",
    attributes jsonb,
    CONSTRAINT unit_pkey PRIMARY KEY (pool_id, number),
    CONSTRAINT unit_label_length CHECK (octet_length(label) BETWEEN 1 AND 1000)
);
COMMENT ON TABLE reservation.unit IS 'labels and attributes, for the units that have any, free or not';
COMMENT ON COLUMN reservation.unit.pool_id IS 'the pool of the unit';
COMMENT ON COLUMN reservation.unit.number IS 'the number of the unit';
COMMENT ON COLUMN reservation.unit.label IS 'what people call the unit, such as a seat: "Row F 12"';
COMMENT ON COLUMN reservation.unit.attributes IS 'whatever the application wants to know about the unit';
COMMENT ON CONSTRAINT unit_pkey ON reservation.unit IS 'one description per unit';
COMMENT ON CONSTRAINT unit_label_length ON reservation.unit IS 'a label is 1 to 1,000 bytes';

CREATE TABLE reservation.claim (
    claim_id uuid NOT NULL,
    claimed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    finalized_at timestamptz,
    quantity bigint NOT NULL,
    pool_id integer NOT NULL,
    number integer,
    state text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    request_id text COLLATE "C",
    taken bigint,
    refunded bigint,
    limited boolean NOT NULL DEFAULT false,
    CONSTRAINT claim_pkey PRIMARY KEY (claim_id),
    CONSTRAINT claim_state CHECK (state = 'held' OR state = 'finalized' OR state = 'released' OR state = 'lapsed'
        OR state = 'refunded'),
    CONSTRAINT claim_finalized_at CHECK ((finalized_at IS NOT NULL) = (state = 'finalized' OR state = 'refunded')),
    CONSTRAINT claim_quantity CHECK (quantity > 0 AND (taken IS NULL OR taken > quantity)
        AND (refunded IS NULL OR (refunded > 0 AND refunded <= quantity)))
);
CREATE UNIQUE INDEX claim_live ON reservation.claim (pool_id, number)
    WHERE number IS NOT NULL AND (state = 'held' OR state = 'finalized');
CREATE INDEX claim_expiry ON reservation.claim (pool_id, expires_at) WHERE state = 'held';
CREATE INDEX claim_holder ON reservation.claim (holder, pool_id)
    WHERE limited AND (state = 'held' OR state = 'finalized');
CREATE INDEX claim_counted ON reservation.claim (pool_id, claimed_at) WHERE number IS NULL;
COMMENT ON TABLE reservation.claim IS 'who got what: one row per claim, never deleted';
COMMENT ON COLUMN reservation.claim.claim_id IS 'UUID version 7; its field rand_a carries the hash of the pool''s name';
COMMENT ON COLUMN reservation.claim.claimed_at IS 'when the hold began';
COMMENT ON COLUMN reservation.claim.expires_at IS 'when the hold lapses, infinity: never';
COMMENT ON COLUMN reservation.claim.finalized_at IS 'when the claim was finalized';
COMMENT ON COLUMN reservation.claim.quantity IS 'units of the claim, 1 for a numbered unit; refunded ones included';
COMMENT ON COLUMN reservation.claim.pool_id IS 'the pool of the claim';
COMMENT ON COLUMN reservation.claim.number IS 'the number of the unit, NULL for a counted pool';
COMMENT ON COLUMN reservation.claim.state IS 'held, finalized, released, lapsed or refunded';
COMMENT ON COLUMN reservation.claim.holder IS 'who has it, in the application''s own terms';
COMMENT ON COLUMN reservation.claim.request_id IS 'idempotency key of the call that made the claim';
COMMENT ON COLUMN reservation.claim.taken IS 'units it began with, if it was finalized for fewer';
COMMENT ON COLUMN reservation.claim.refunded IS 'units refunded so far; NULL: none';
COMMENT ON COLUMN reservation.claim.limited IS 'true if the pool has per_holder: the claim counts for its holder';
COMMENT ON CONSTRAINT claim_pkey ON reservation.claim IS 'a claim id is given out once';
COMMENT ON CONSTRAINT claim_state ON reservation.claim IS 'the states a claim can be in';
COMMENT ON CONSTRAINT claim_finalized_at ON reservation.claim IS 'finalized claims, refunded or not, say when; others do not';
COMMENT ON CONSTRAINT claim_quantity ON reservation.claim IS 'a claim is for at least one, for no more than was taken, and no more than that is refunded';
COMMENT ON INDEX reservation.claim_live IS 'no unit is held or sold twice';
COMMENT ON INDEX reservation.claim_expiry IS 'finds the holds that have lapsed';
COMMENT ON INDEX reservation.claim_holder IS 'finds what a holder has, in the pools that limit it';
COMMENT ON INDEX reservation.claim_counted IS 'finds the claims of an account, in order';

CREATE TABLE reservation.request (
    pool_id integer NOT NULL,
    scope text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    arguments text COLLATE "C" NOT NULL,
    response jsonb,
    created_at timestamptz NOT NULL,
    CONSTRAINT request_pkey PRIMARY KEY (pool_id, scope, request_id)
);
COMMENT ON TABLE reservation.request IS 'the first answer to every request id, for the calls that repeat it';
COMMENT ON COLUMN reservation.request.pool_id IS 'the pool the key belongs to';
COMMENT ON COLUMN reservation.request.scope IS 'the function the key belongs to';
COMMENT ON COLUMN reservation.request.request_id IS 'idempotency key';
COMMENT ON COLUMN reservation.request.arguments IS 'arguments of the first call; a repeated call must have the same';
COMMENT ON COLUMN reservation.request.response IS 'rows of the first answer';
COMMENT ON COLUMN reservation.request.created_at IS 'when the first call was made';
COMMENT ON CONSTRAINT request_pkey ON reservation.request IS 'a key has one answer';

CREATE UNLOGGED TABLE reservation.rate (
    bucket integer NOT NULL,
    way integer NOT NULL,
    digest uuid NOT NULL,
    idle_at timestamptz NOT NULL,
    fraction integer NOT NULL,
    CONSTRAINT rate_pkey PRIMARY KEY (bucket, way),
    CONSTRAINT rate_way CHECK (way BETWEEN 0 AND 15),
    CONSTRAINT rate_fraction CHECK (fraction >= 0)
) WITH (fillfactor = 70);
COMMENT ON TABLE reservation.rate IS 'rate limits in use, on a server without shared_preload_libraries: at most 1,048,576 rows; a crash empties it';
COMMENT ON COLUMN reservation.rate.bucket IS 'hash of the limit; limits in one bucket take over each other''s rows, the idle ones first';
COMMENT ON COLUMN reservation.rate.way IS 'number of the row in its bucket';
COMMENT ON COLUMN reservation.rate.digest IS 'what the limit is of: 128 bits of SHA-256 over the kind, the rule and the key';
COMMENT ON COLUMN reservation.rate.idle_at IS 'when nothing of the limit will be spent any more';
COMMENT ON COLUMN reservation.rate.fraction IS 'and so many parts of a microsecond later, of which it has as many as the burst';
COMMENT ON CONSTRAINT rate_pkey ON reservation.rate IS 'a bucket has each of its rows once';
COMMENT ON CONSTRAINT rate_way ON reservation.rate IS 'a bucket has 16 rows';
COMMENT ON CONSTRAINT rate_fraction ON reservation.rate IS 'parts of a microsecond are not negative';

CREATE TABLE reservation.log (
    at timestamptz NOT NULL,
    transaction_id xid8 NOT NULL,
    pool_id integer NOT NULL,
    claim_id uuid,
    quantity bigint NOT NULL,
    event text COLLATE "C" NOT NULL,
    actor text COLLATE "C" NOT NULL,
    request_id text COLLATE "C",
    reason text COLLATE "C",
    change bigint
);
CREATE INDEX log_counted ON reservation.log (pool_id, at) WHERE change IS NOT NULL;
COMMENT ON TABLE reservation.log IS 'what became of claims after they were made, and of balances, append-only; the making of a claim is its row in claim';
COMMENT ON COLUMN reservation.log.at IS 'when the call was made';
COMMENT ON COLUMN reservation.log.transaction_id IS 'transaction of the call';
COMMENT ON COLUMN reservation.log.pool_id IS 'the pool of the change';
COMMENT ON COLUMN reservation.log.claim_id IS 'the claim that changed; NULL: the pool itself';
COMMENT ON COLUMN reservation.log.quantity IS 'units of the change';
COMMENT ON COLUMN reservation.log.event IS 'extended, released, lapsed, finalized or refunded; of a counted pool: adjusted or added';
COMMENT ON COLUMN reservation.log.actor IS 'role that made the call';
COMMENT ON COLUMN reservation.log.request_id IS 'idempotency key of the call';
COMMENT ON COLUMN reservation.log.reason IS 'why, in the words of the caller';
COMMENT ON COLUMN reservation.log.change IS 'what it did to the balance of a counted pool; NULL for a numbered one';
COMMENT ON INDEX reservation.log_counted IS 'finds the movements of an account, in order';

CREATE TABLE reservation.stock (
    pool_id integer NOT NULL,
    slot integer NOT NULL,
    quantity bigint NOT NULL,
    added bigint NOT NULL DEFAULT 0,
    CONSTRAINT stock_pkey PRIMARY KEY (pool_id, slot),
    CONSTRAINT stock_quantity CHECK (quantity >= 0)
) WITH (fillfactor = 70);
CREATE INDEX stock_split ON reservation.stock (pool_id) WHERE slot > 1;
COMMENT ON TABLE reservation.stock IS 'what a counted pool has left above its floor, in one or more slots';
COMMENT ON COLUMN reservation.stock.pool_id IS 'the counted pool';
COMMENT ON COLUMN reservation.stock.slot IS 'number of the slot: 0 and 1 from the start, others made by sessions that found those busy';
COMMENT ON COLUMN reservation.stock.quantity IS 'what this slot can give';
COMMENT ON COLUMN reservation.stock.added IS 'what adjust and add_units put in here, less what adjust took out';
COMMENT ON CONSTRAINT stock_pkey ON reservation.stock IS 'one row per slot';
COMMENT ON CONSTRAINT stock_quantity ON reservation.stock IS 'a slot never gives more than it has, so the balance never goes below the floor';
COMMENT ON INDEX reservation.stock_split IS 'finds the pools that were split, to put their slots together again';

-- views

CREATE VIEW reservation.pool_status AS
    SELECT p.pool, p.kind, p.capacity + p.units_added + n.added AS capacity,
        CASE WHEN p.capacity IS NOT NULL THEN n.free + n.lapsed END AS available,
        n.held - n.lapsed AS held,
        CASE WHEN p.capacity IS NULL
            THEN (SELECT coalesce(sum(c.quantity), 0)::bigint FROM reservation.claim c
                WHERE c.pool_id = p.pool_id AND c.state = 'finalized')
            ELSE p.capacity + p.units_added + n.added - n.free - p.floor - n.held END AS finalized,
        CASE WHEN clock_timestamp() < p.opens_at THEN 'not_open'
            WHEN clock_timestamp() >= p.closes_at THEN 'closed'
            WHEN p.paused THEN 'paused'
            WHEN p.capacity IS NULL OR n.free + n.lapsed > 0 THEN 'on_sale'
            WHEN n.held > 0 THEN 'held_out'
            ELSE 'sold_out' END AS state,
        p.hold_ttl, p.per_holder, p.floor, p.ceiling, p.opens_at, p.closes_at, p.created_at,
        p.holder_rate, p.holder_period, p.pool_rate, p.pool_period
    FROM reservation.pool p
    CROSS JOIN LATERAL (
        SELECT CASE WHEN p.kind = 'counted'
                THEN (SELECT coalesce(sum(s.quantity), 0)::bigint FROM reservation.stock s WHERE s.pool_id = p.pool_id)
                ELSE (SELECT count(*) FROM reservation.available a WHERE a.pool_id = p.pool_id) END AS free,
            CASE WHEN p.kind = 'counted'
                THEN (SELECT coalesce(sum(s.added), 0)::bigint FROM reservation.stock s WHERE s.pool_id = p.pool_id)
                ELSE 0 END AS added,
            (SELECT coalesce(sum(c.quantity), 0)::bigint FROM reservation.claim c
                WHERE c.pool_id = p.pool_id AND c.state = 'held') AS held,
            (SELECT coalesce(sum(c.quantity), 0)::bigint FROM reservation.claim c
                WHERE c.pool_id = p.pool_id AND c.state = 'held' AND c.expires_at <= clock_timestamp()) AS lapsed
    ) n
    WHERE p.dropped_at IS NULL;
COMMENT ON VIEW reservation.pool_status IS 'every pool: its rules, how much is left, held and sold, and whether it is on sale';
COMMENT ON COLUMN reservation.pool_status.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.pool_status.kind IS 'numbered or counted';
COMMENT ON COLUMN reservation.pool_status.capacity IS 'units in all; NULL: an open edition';
COMMENT ON COLUMN reservation.pool_status.available IS 'units that can be claimed now, lapsed holds included; NULL: an open edition; counted: the balance less the floor';
COMMENT ON COLUMN reservation.pool_status.held IS 'units in live holds';
COMMENT ON COLUMN reservation.pool_status.finalized IS 'units sold';
COMMENT ON COLUMN reservation.pool_status.state IS 'not_open, closed, paused, on_sale, held_out (all taken, some only held) or sold_out';
COMMENT ON COLUMN reservation.pool_status.hold_ttl IS 'how long a hold lives; NULL: the setting reservation.hold_ttl';
COMMENT ON COLUMN reservation.pool_status.per_holder IS 'most units one holder may have; NULL: no limit';
COMMENT ON COLUMN reservation.pool_status.floor IS 'counted: the balance never goes below';
COMMENT ON COLUMN reservation.pool_status.ceiling IS 'counted: adjust never takes the balance above';
COMMENT ON COLUMN reservation.pool_status.opens_at IS 'start of the sale';
COMMENT ON COLUMN reservation.pool_status.closes_at IS 'end of the sale';
COMMENT ON COLUMN reservation.pool_status.created_at IS 'when the pool was made';
COMMENT ON COLUMN reservation.pool_status.holder_rate IS 'claims that one holder may make at once, and per holder_period; NULL: no limit';
COMMENT ON COLUMN reservation.pool_status.holder_period IS 'the time that goes with holder_rate';
COMMENT ON COLUMN reservation.pool_status.pool_rate IS 'claims that all may make at once, and per pool_period; NULL: no limit';
COMMENT ON COLUMN reservation.pool_status.pool_period IS 'the time that goes with pool_rate';

CREATE VIEW reservation.claims AS
    SELECT c.claim_id, p.pool, c.number, u.label, c.quantity, c.holder,
        CASE WHEN c.state = 'held' AND c.expires_at <= clock_timestamp() THEN 'lapsed' ELSE c.state END AS state,
        c.claimed_at, c.expires_at, c.finalized_at, c.request_id, coalesce(c.refunded, 0) AS refunded
    FROM reservation.claim c
    JOIN reservation.pool p ON p.pool_id = c.pool_id
    LEFT JOIN reservation.unit u ON u.pool_id = c.pool_id AND u.number = c.number;
COMMENT ON VIEW reservation.claims IS 'every claim there ever was, with the name of its pool; a hold whose time is over is lapsed';
COMMENT ON COLUMN reservation.claims.claim_id IS 'id of the claim';
COMMENT ON COLUMN reservation.claims.pool IS 'name of its pool';
COMMENT ON COLUMN reservation.claims.number IS 'number of the unit, NULL for a counted pool';
COMMENT ON COLUMN reservation.claims.label IS 'what people call the unit';
COMMENT ON COLUMN reservation.claims.quantity IS 'units of the claim';
COMMENT ON COLUMN reservation.claims.holder IS 'who has it';
COMMENT ON COLUMN reservation.claims.state IS 'held, finalized, released, lapsed or refunded';
COMMENT ON COLUMN reservation.claims.claimed_at IS 'when the hold began';
COMMENT ON COLUMN reservation.claims.expires_at IS 'when the hold lapses, infinity: never';
COMMENT ON COLUMN reservation.claims.finalized_at IS 'when the claim was finalized';
COMMENT ON COLUMN reservation.claims.request_id IS 'idempotency key of the call that made the claim';
COMMENT ON COLUMN reservation.claims.refunded IS 'units refunded so far';

CREATE VIEW reservation.entries AS
    SELECT p.pool_id, p.pool, p.created_at AS at, 0 AS place, 'opened' AS event, NULL::uuid AS claim_id,
        p.capacity + p.units_added AS amount, NULL::text AS holder, NULL::text AS actor, NULL::text AS reason,
        NULL::text AS request_id
    FROM reservation.pool p WHERE p.kind = 'counted'
    UNION ALL
    SELECT c.pool_id, p.pool, c.claimed_at, 1, CASE WHEN c.finalized_at = c.claimed_at THEN 'charged' ELSE 'taken' END,
        c.claim_id, -coalesce(c.taken, c.quantity), c.holder, NULL, NULL, c.request_id
    FROM reservation.claim c JOIN reservation.pool p ON p.pool_id = c.pool_id
    WHERE p.kind = 'counted' AND c.number IS NULL
    UNION ALL
    SELECT l.pool_id, p.pool, l.at, 2, l.event, l.claim_id, l.change, NULL, l.actor, l.reason, l.request_id
    FROM reservation.log l JOIN reservation.pool p ON p.pool_id = l.pool_id
    WHERE l.change IS NOT NULL AND l.change <> 0
    UNION ALL
    SELECT c.pool_id, p.pool, c.expires_at, 3, 'lapsed', c.claim_id, c.quantity, c.holder, NULL, NULL, NULL
    FROM reservation.claim c JOIN reservation.pool p ON p.pool_id = c.pool_id
    WHERE p.kind = 'counted' AND c.number IS NULL AND c.state = 'held' AND c.expires_at <= clock_timestamp();
COMMENT ON VIEW reservation.entries IS 'every movement of the balance of every counted pool; account_entries() puts those of one in order';
COMMENT ON COLUMN reservation.entries.pool_id IS 'the pool';
COMMENT ON COLUMN reservation.entries.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.entries.at IS 'when';
COMMENT ON COLUMN reservation.entries.place IS 'order of what was at the same time; 3: a hold whose time is over, and nobody has written that down';
COMMENT ON COLUMN reservation.entries.event IS 'opened, taken, charged, released, lapsed, finalized (what came back, or was taken again), refunded, adjusted or added';
COMMENT ON COLUMN reservation.entries.claim_id IS 'the claim, if it was one';
COMMENT ON COLUMN reservation.entries.amount IS 'what it did to the balance';
COMMENT ON COLUMN reservation.entries.holder IS 'holder of a claim that was made';
COMMENT ON COLUMN reservation.entries.actor IS 'role that made the call, for what is in the log';
COMMENT ON COLUMN reservation.entries.reason IS 'why, in the words of the caller';
COMMENT ON COLUMN reservation.entries.request_id IS 'idempotency key of the call';

CREATE VIEW reservation.units AS
    SELECT p.pool, n.number, u.label, u.attributes, n.state
    FROM (
        SELECT pool_id, number, 'free' AS state FROM reservation.available
        UNION ALL
        SELECT pool_id, number,
            CASE WHEN state = 'held' AND expires_at <= clock_timestamp() THEN 'free' ELSE state END
        FROM reservation.claim WHERE number IS NOT NULL AND (state = 'held' OR state = 'finalized')
    ) n
    JOIN reservation.pool p ON p.pool_id = n.pool_id AND p.dropped_at IS NULL
    LEFT JOIN reservation.unit u ON u.pool_id = n.pool_id AND u.number = n.number;
COMMENT ON VIEW reservation.units IS 'every unit of every numbered pool, free or not, without its holder: a seat map';
COMMENT ON COLUMN reservation.units.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.units.number IS 'number of the unit';
COMMENT ON COLUMN reservation.units.label IS 'what people call the unit';
COMMENT ON COLUMN reservation.units.attributes IS 'what the application wants to know about the unit';
COMMENT ON COLUMN reservation.units.state IS 'free, held or finalized';

-- Each branch is one thing that can never be so. A statement sees one instant, so a sale under way raises no alarm.
CREATE VIEW reservation.contradictions AS
    WITH free AS (
        SELECT pool_id, count(*) AS units, min(number) AS lowest, max(number) AS highest
        FROM reservation.available GROUP BY pool_id
    ), live AS (
        SELECT pool_id, sum(quantity - coalesce(refunded, 0)) AS units, min(number) AS lowest, max(number) AS highest
        FROM reservation.claim WHERE state = 'held' OR state = 'finalized' GROUP BY pool_id
    ), stock AS (
        SELECT pool_id, sum(quantity) AS units, sum(added) AS added, min(quantity) AS lowest
        FROM reservation.stock GROUP BY pool_id
    )
    SELECT p.pool, 'free units and live claims do not add up to the capacity' AS problem,
        (p.capacity + p.units_added)::text AS expected,
        (coalesce(f.units, 0) + coalesce(l.units, 0))::text AS found,
        'Compare reservation.available and reservation.claim with a backup; a unit is missing or there twice.' AS hint
    FROM reservation.pool p LEFT JOIN free f USING (pool_id) LEFT JOIN live l USING (pool_id)
    WHERE p.kind = 'numbered' AND p.capacity IS NOT NULL AND p.dropped_at IS NULL
        AND p.capacity + p.units_added <> coalesce(f.units, 0) + coalesce(l.units, 0)
    UNION ALL
    SELECT p.pool, 'stock, floor and live claims do not add up to the capacity',
        (p.capacity + p.units_added + coalesce(s.added, 0))::text,
        (coalesce(s.units, 0) + p.floor + coalesce(l.units, 0))::text,
        'Compare reservation.stock and reservation.claim with a backup.'
    FROM reservation.pool p LEFT JOIN stock s USING (pool_id) LEFT JOIN live l USING (pool_id)
    WHERE p.kind = 'counted' AND p.dropped_at IS NULL
        AND p.capacity + p.units_added + coalesce(s.added, 0) <> coalesce(s.units, 0) + p.floor + coalesce(l.units, 0)
    UNION ALL
    SELECT p.pool, 'the entries do not add up to the balance', (coalesce(s.units, 0) + p.floor)::text, e.amount::text,
        'Compare reservation.stock, reservation.claim and reservation.log with a backup.'
    FROM reservation.pool p LEFT JOIN stock s USING (pool_id)
    JOIN (SELECT pool_id, sum(amount) AS amount FROM reservation.entries WHERE place < 3 GROUP BY pool_id) e USING (pool_id)
    WHERE p.dropped_at IS NULL AND e.amount <> coalesce(s.units, 0) + p.floor
    UNION ALL
    SELECT p.pool, 'the log has other refunds than the claim', coalesce(c.refunded, 0)::text, coalesce(l.refunded, 0)::text,
        format('Compare the log of claim %s with a backup.', claim_id)
    FROM (SELECT claim_id, sum(quantity) AS refunded FROM reservation.log WHERE event = 'refunded' GROUP BY claim_id) l
    FULL JOIN (SELECT claim_id, pool_id, refunded FROM reservation.claim WHERE refunded IS NOT NULL OR state = 'refunded') c
        USING (claim_id)
    JOIN reservation.claim k USING (claim_id) JOIN reservation.pool p ON p.pool_id = k.pool_id
    WHERE coalesce(c.refunded, 0) <> coalesce(l.refunded, 0)
    UNION ALL
    SELECT p.pool, 'a claim is refunded in part and all of it, or all of it and still sold', c.state,
        format('%s of %s, claim %s', c.refunded, c.quantity, c.claim_id), 'Compare reservation.claim with a backup.'
    FROM reservation.claim c JOIN reservation.pool p USING (pool_id)
    WHERE (c.state = 'refunded') <> (coalesce(c.refunded, 0) = c.quantity)
        OR (c.refunded IS NOT NULL AND c.state <> 'refunded' AND c.state <> 'finalized')
    UNION ALL
    SELECT p.pool, format('number %s is free and claimed at once', c.number), 'free or claimed',
        format('claim %s, %s', c.claim_id, c.state),
        'Delete its row in reservation.available: the claim has a holder.'
    FROM reservation.available a JOIN reservation.claim c USING (pool_id, number)
    JOIN reservation.pool p USING (pool_id)
    WHERE c.state = 'held' OR c.state = 'finalized'
    UNION ALL
    SELECT p.pool, format('number %s has several live claims', c.number), '1', count(*)::text,
        'REINDEX reservation.claim_live, then settle with the holders who keeps the unit.'
    FROM reservation.claim c JOIN reservation.pool p USING (pool_id)
    WHERE c.number IS NOT NULL AND (c.state = 'held' OR c.state = 'finalized')
    GROUP BY p.pool, c.pool_id, c.number HAVING count(*) > 1
    UNION ALL
    SELECT p.pool, 'a number is below the first of the pool', p.first_number::text,
        least(f.lowest, l.lowest)::text, 'Compare reservation.available and reservation.claim with a backup.'
    FROM reservation.pool p LEFT JOIN free f USING (pool_id) LEFT JOIN live l USING (pool_id)
    WHERE least(f.lowest, l.lowest) < p.first_number
    UNION ALL
    SELECT p.pool, 'a number is above the last that the pool gave out',
        greatest(p.first_number + p.capacity - 1, pg_sequence_last_value(s.oid))::text,
        greatest(f.highest, l.highest)::text, 'Compare reservation.available and reservation.claim with a backup.'
    FROM reservation.pool p LEFT JOIN free f USING (pool_id) LEFT JOIN live l USING (pool_id)
    LEFT JOIN pg_class s ON s.relname = format('pool_%s_number', p.pool_id) AND s.relkind = 'S'
        AND s.relnamespace = 'reservation'::regnamespace
    WHERE p.kind = 'numbered' AND p.capacity IS NOT NULL AND p.dropped_at IS NULL
        AND (p.units_added = 0 OR s.oid IS NOT NULL)
        AND greatest(f.highest, l.highest) > greatest(p.first_number + p.capacity - 1, pg_sequence_last_value(s.oid))
    UNION ALL
    SELECT p.pool, 'a slot has less than nothing', '0', s.lowest::text, 'Restore the constraint stock_quantity, then raise the balance.'
    FROM reservation.pool p JOIN stock s USING (pool_id) WHERE s.lowest < 0
    UNION ALL
    SELECT p.pool, format('number %s is described and does not exist', u.number), 'a unit', coalesce(u.label, 'attributes'),
        'Compare reservation.available and reservation.claim with a backup, or delete its row in reservation.unit.'
    FROM reservation.unit u JOIN reservation.pool p USING (pool_id)
    WHERE p.dropped_at IS NULL
        AND NOT EXISTS (SELECT FROM reservation.available a WHERE a.pool_id = u.pool_id AND a.number = u.number)
        AND NOT EXISTS (SELECT FROM reservation.claim c WHERE c.pool_id = u.pool_id AND c.number = u.number
            AND c.number IS NOT NULL AND (c.state = 'held' OR c.state = 'finalized'))
    UNION ALL
    SELECT p.pool, 'the sequence of an open edition is behind its numbers', l.highest::text,
        pg_sequence_last_value(s.oid)::text, 'Nothing is lost: claims step over numbers in use.'
    FROM reservation.pool p JOIN live l USING (pool_id)
    JOIN pg_class s ON s.relname = format('pool_%s_number', p.pool_id) AND s.relkind = 'S'
        AND s.relnamespace = 'reservation'::regnamespace
    WHERE p.capacity IS NULL AND p.dropped_at IS NULL AND pg_sequence_last_value(s.oid) < l.highest
    UNION ALL
    SELECT p.pool, 'a numbered pool has a claim without a number, or a counted pool one with', p.kind, c.claim_id::text,
        'Compare reservation.claim with a backup.'
    FROM reservation.claim c JOIN reservation.pool p USING (pool_id)
    WHERE (p.kind = 'numbered') <> (c.number IS NOT NULL)
    UNION ALL
    SELECT p.pool, 'a live claim is not counted for the limit of its holder', 'limited', c.claim_id::text,
        'Set limited in reservation.claim.'
    FROM reservation.claim c JOIN reservation.pool p USING (pool_id)
    WHERE p.per_holder IS NOT NULL AND p.dropped_at IS NULL AND NOT c.limited
        AND (c.state = 'held' OR c.state = 'finalized')
    UNION ALL
    SELECT p.pool, 'a dropped pool has holds', '0', count(*)::text, 'Release them.'
    FROM reservation.pool p JOIN reservation.claim c USING (pool_id)
    WHERE p.dropped_at IS NOT NULL AND c.state = 'held'
    GROUP BY p.pool, p.pool_id
    UNION ALL
    SELECT NULL, format('reservation.%s has rows of a pool that does not exist', o.name), '0', o.pool_id::text,
        'Restore the row in reservation.pool from a backup.'
    FROM (
        SELECT 'available' AS name, pool_id FROM free
        UNION SELECT 'stock', pool_id FROM stock
        UNION SELECT 'claim', pool_id FROM reservation.claim
        UNION SELECT 'unit', pool_id FROM reservation.unit
        UNION SELECT 'request', pool_id FROM reservation.request
        UNION SELECT 'log', pool_id FROM reservation.log
    ) o
    WHERE NOT EXISTS (SELECT FROM reservation.pool p WHERE p.pool_id = o.pool_id)
    UNION ALL
    SELECT p.pool, 'the log does not say how a claim came to its state', c.state, c.claim_id::text,
        'Compare reservation.log with a backup.'
    FROM reservation.claim c JOIN reservation.pool p USING (pool_id)
    WHERE c.state <> 'held'
        AND NOT (c.number IS NULL AND c.state = 'finalized' AND c.finalized_at = c.claimed_at)
        AND NOT EXISTS (SELECT FROM reservation.log l WHERE l.claim_id = c.claim_id AND l.event = c.state)
    UNION ALL
    SELECT p.pool, 'the log names a claim that does not exist', l.event, l.claim_id::text,
        'Restore the claim from a backup.'
    FROM reservation.log l JOIN reservation.pool p USING (pool_id)
    WHERE l.claim_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM reservation.claim c WHERE c.claim_id = l.claim_id)
    UNION ALL
    SELECT p.pool, 'a stored answer names a claim that does not exist', r.request_id, a.row ->> 'claim_id',
        'Restore the claim from a backup.'
    FROM reservation.request r JOIN reservation.pool p USING (pool_id)
    CROSS JOIN LATERAL jsonb_array_elements(r.response) AS a(row)
    WHERE a.row ? 'claim_id'
        AND NOT EXISTS (SELECT FROM reservation.claim c WHERE c.claim_id = (a.row ->> 'claim_id')::uuid);
COMMENT ON VIEW reservation.contradictions IS 'what is wrong in the books; read it through verify()';
COMMENT ON COLUMN reservation.contradictions.pool IS 'name of the pool, NULL if it does not exist';
COMMENT ON COLUMN reservation.contradictions.problem IS 'what cannot be so';
COMMENT ON COLUMN reservation.contradictions.expected IS 'what should be found';
COMMENT ON COLUMN reservation.contradictions.found IS 'what was found';
COMMENT ON COLUMN reservation.contradictions.hint IS 'what to do';

-- functions

CREATE FUNCTION reservation.version() RETURNS text
    LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rsv_version';
COMMENT ON FUNCTION reservation.version IS 'The version of the library that is loaded.';

CREATE FUNCTION reservation.create_pool(pool text, capacity bigint DEFAULT NULL, kind text DEFAULT 'numbered',
        first_number integer DEFAULT 1, hold_ttl interval DEFAULT NULL, per_holder integer DEFAULT NULL,
        floor bigint DEFAULT 0, ceiling bigint DEFAULT NULL, opens_at timestamptz DEFAULT NULL,
        closes_at timestamptz DEFAULT NULL, holder_rate integer DEFAULT NULL, holder_period interval DEFAULT NULL,
        pool_rate integer DEFAULT NULL, pool_period interval DEFAULT NULL)
    RETURNS TABLE (status text, pool text, kind text, capacity bigint)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_create_pool';
COMMENT ON FUNCTION reservation.create_pool IS 'Makes a pool. capacity: units, NULL for an open edition without end; kind: numbered or counted; first_number: of the units; hold_ttl: how long a hold lives, NULL for the setting; per_holder: most units one holder may have; floor, ceiling: bounds of a counted balance; opens_at, closes_at: window of the sale; holder_rate, holder_period: so many claims of one holder at once, and as many per period after that, with whatever result and for whatever quantity; pool_rate, pool_period: the same for the claims of all.
Status: created; existing (a pool of this name and definition is there).
Errors: 22023 bad argument, 42710 a pool of this name has another definition, 42809 floor or ceiling of a numbered pool.
Locks: the name. A retry: existing.';

CREATE FUNCTION reservation.alter_pool(pool text, hold_ttl interval DEFAULT NULL, per_holder integer DEFAULT NULL,
        opens_at timestamptz DEFAULT NULL, closes_at timestamptz DEFAULT NULL, paused boolean DEFAULT NULL,
        floor bigint DEFAULT NULL, ceiling bigint DEFAULT NULL, holder_rate integer DEFAULT NULL,
        holder_period interval DEFAULT NULL, pool_rate integer DEFAULT NULL, pool_period interval DEFAULT NULL)
    RETURNS TABLE (status text, pool text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_alter_pool';
COMMENT ON FUNCTION reservation.alter_pool IS 'Changes the rules of a pool; NULL leaves one as it is; a holder_rate or pool_rate of 0 ends that limit, and another rate or period begins a new one, with nothing spent. Claims that start after the commit obey.
Status: altered.
Errors: 22023 bad argument, or a balance that a new floor or ceiling leaves out; 42704 unknown pool; 42809 floor or ceiling of a numbered pool; 55P03 unfinished transactions leave it undecided whether the balance allows a floor.
Locks: the row of the pool, which no claim waits for; for a floor also slots of the stock. A retry does the same again.';

CREATE FUNCTION reservation.add_units(pool text, count integer DEFAULT NULL, labels text[] DEFAULT NULL,
        attributes jsonb[] DEFAULT NULL)
    RETURNS TABLE (status text, first_number integer, last_number integer)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_add_units';
COMMENT ON FUNCTION reservation.add_units IS 'Adds units to a limited edition, numbered on by the sequence of the pool: as many as count says, or one for each element of labels or attributes. To a counted pool it adds count units without numbers, as adjust does.
Status: added; over_ceiling (of a counted pool: nothing was added).
Errors: 22023 bad argument or no numbers left, 42704 unknown pool, 42809 an open edition, or labels for a counted pool.
Locks: the row of the pool, against another add_units. A retry adds again.';

CREATE FUNCTION reservation.drop_pool(pool text, force boolean DEFAULT false)
    RETURNS TABLE (status text, pool text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_drop_pool';
COMMENT ON FUNCTION reservation.drop_pool IS 'Drops a pool. Its claims stay as history and its name is free again. force: also while there are live claims, whose holds are then released.
Status: dropped; in_use (somebody has a live claim, and not forced: nothing was changed).
Errors: 22023 bad argument, 42704 unknown pool (so also: a retry).
Locks: every free unit, slot and hold of the pool; it waits for the claims under way.';

CREATE FUNCTION reservation.availability(pools text[])
    RETURNS TABLE (pool text, kind text, capacity bigint, available bigint, held bigint,
        finalized bigint, state text)
    LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_availability';
COMMENT ON FUNCTION reservation.availability IS 'What pools have left, in the order of the array, as the snapshot of the caller sees it. A lapsed hold counts as available. capacity and available are NULL for an open edition.
State: not_open, closed, paused, on_sale, held_out (all taken, some only held), sold_out.
Errors: 22023 bad argument, 42704 unknown pool.
Locks: none. Works on a standby.';

CREATE FUNCTION reservation.claim_next(pool text, holder text, count integer DEFAULT 1, ttl interval DEFAULT NULL,
        request_id text DEFAULT NULL, wait interval DEFAULT NULL)
    RETURNS TABLE (status text, claim_id uuid, pool text, number integer, label text, holder text,
        expires_at timestamptz, available bigint, replayed boolean, retry_after interval)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_claim_next';
COMMENT ON FUNCTION reservation.claim_next IS 'Claims the lowest free units of a numbered pool: count of them or none. One row for each. ttl: how long they are held, NULL for the rule of the pool; request_id: makes the call repeatable; wait: how long to wait for unfinished transactions that hold the last units, NULL for the setting reservation.claim_wait.
Status: claimed; existing (the live hold that this call would repeat, in a pool with per_holder); or one row without claim_id, with what is available: sold_out, busy, limit_reached, not_open, closed, paused, rate_limited (by holder_rate or pool_rate; retry_after says how long until there is room, and is NULL otherwise). Whatever is refused for a later reason than the rate has spent of it.
Errors: 22023 bad argument, 42704 unknown pool, 42809 a counted pool, RS001 request_id used with other arguments, 25006 read-only.
Locks: the units taken, without waiting; with a request_id or per_holder, a lock on a hash of it; with a rate, and without shared_preload_libraries, the row of its limit, before the others. A retry with the same request_id: the first answer, replayed; without: another claim.';

CREATE FUNCTION reservation.claim_unit(pool text, number integer, holder text, ttl interval DEFAULT NULL,
        request_id text DEFAULT NULL, wait interval DEFAULT NULL)
    RETURNS TABLE (status text, claim_id uuid, pool text, number integer, label text, holder text,
        expires_at timestamptz, available bigint, replayed boolean, retry_after interval)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_claim_unit';
COMMENT ON FUNCTION reservation.claim_unit IS 'Claims one unit of a numbered pool by its number, such as a seat. ttl, request_id, wait: as for claim_next.
Status: claimed; existing; or one row without claim_id: taken, busy, limit_reached, not_open, closed, paused, rate_limited (with retry_after, as for claim_next).
Errors: 22023 bad argument or a number that the pool does not have, 42704 unknown pool, 42809 a counted pool, RS001 request_id used with other arguments, 25006 read-only.
Locks and retry: as for claim_next.';

CREATE FUNCTION reservation.take(pool text, holder text, quantity bigint DEFAULT 1, ttl interval DEFAULT NULL,
        request_id text DEFAULT NULL, wait interval DEFAULT NULL)
    RETURNS TABLE (status text, claim_id uuid, pool text, quantity bigint, holder text, expires_at timestamptz,
        available bigint, replayed boolean, retry_after interval)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_take';
COMMENT ON FUNCTION reservation.take IS 'Takes a quantity from a counted pool, all of it or none, and holds it. ttl: for how long, NULL for the rule of the pool; request_id: makes the call repeatable; wait: how long to wait for unfinished transactions that have some of the stock, NULL for the setting reservation.claim_wait.
Status: claimed; existing (the live holds that this call would repeat, in a pool with per_holder); or one row without claim_id, with what is available: insufficient, busy, limit_reached, not_open, closed, paused, rate_limited (with retry_after, as for claim_next).
Errors: 22023 bad argument, 42704 unknown pool, 42809 a numbered pool, RS001 request_id used with other arguments, 25006 read-only.
Locks: one slot of the stock, or several if none has enough, without waiting for any; with a request_id or per_holder, a lock on a hash of it; with a rate, and without shared_preload_libraries, the row of its limit, before the others. A retry with the same request_id: the first answer, replayed; without: another claim.';

CREATE FUNCTION reservation.charge(account text, amount bigint, request_id text)
    RETURNS TABLE (status text, claim_id uuid, balance bigint, replayed boolean, retry_after interval)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_charge';
COMMENT ON FUNCTION reservation.charge IS 'Takes an amount from an account, which is a counted pool, for good: take and finalize in one claim, whose holder is the account; refund gives it back. balance: afterwards. request_id: makes the call repeatable; NULL: it is not. Waits as take does. The commit is flushed to disk even with synchronous_commit off.
Status: charged; or without claim_id: insufficient, busy, limit_reached, not_open, closed, paused, rate_limited (with retry_after, as for claim_next).
Errors: 22023 bad argument, 42704 unknown account, 42809 a numbered pool, RS001 request_id used with other arguments, 25006 read-only.
Locks: as for take. A retry with the same request_id: the first answer, replayed.';

CREATE FUNCTION reservation.adjust(pool text, delta bigint, request_id text DEFAULT NULL, reason text DEFAULT NULL)
    RETURNS TABLE (status text, pool text, delta bigint, balance bigint, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_adjust';
COMMENT ON FUNCTION reservation.adjust IS 'Moves the balance of a counted pool, and its capacity with it: restock, credit, or below zero a correction. reason: for the log; request_id: makes the call repeatable. balance: afterwards. The commit is flushed to disk even with synchronous_commit off.
Status: adjusted; insufficient (it would go below the floor), over_ceiling, busy (unfinished transactions leave it undecided for longer than reservation.claim_wait); nothing was changed.
Errors: 22023 bad argument or more than a bigint can count, 42704 unknown pool, 42809 a numbered pool, RS001 request_id used with other arguments, 25006 read-only.
Locks: upwards the row of the pool, which no claim waits for, and one slot of the stock; downwards as take. A retry with the same request_id: the first answer, replayed; without: moves it again.';

CREATE FUNCTION reservation.account_entries(account text)
    RETURNS TABLE (at timestamptz, event text, claim_id uuid, amount bigint, balance bigint, holder text, actor text,
        reason text, request_id text)
    LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_account_entries';
COMMENT ON FUNCTION reservation.account_entries IS 'Every movement of an account, which is a counted pool, in the order of its time, as the snapshot of the caller sees them; balance: after it. The sum of the amounts is the balance.
Event: opened, taken, charged, released, lapsed, finalized (what came back, or was taken again), refunded, adjusted, added.
Errors: 22023 bad argument, 42704 unknown account, 42809 a numbered pool.
Locks: none. Works on a standby.';

CREATE FUNCTION reservation.extend(claim_id uuid, ttl interval)
    RETURNS TABLE (status text, claim_id uuid, expires_at timestamptz)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_extend';
COMMENT ON FUNCTION reservation.extend IS 'Moves the end of a live hold to ttl from now, never to an earlier time.
Status: held; lapsed, finalized, released (nothing was changed).
Errors: 22023 bad argument, RS002 unknown claim, 25006 read-only.
Locks: the claim. A retry extends from its own time.';

CREATE FUNCTION reservation.release(claim_id uuid)
    RETURNS TABLE (status text, claim_id uuid, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_release';
COMMENT ON FUNCTION reservation.release IS 'Gives back what is held.
Status: released; lapsed, finalized (nothing was changed).
Errors: 22023 bad argument, RS002 unknown claim, 25006 read-only.
Locks: the claim. A retry: released, replayed.';

CREATE FUNCTION reservation.finalize(claim_id uuid, quantity bigint DEFAULT NULL)
    RETURNS TABLE (status text, claim_id uuid, pool text, number integer, quantity bigint, holder text,
        finalized_at timestamptz, late boolean, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_finalize';
COMMENT ON FUNCTION reservation.finalize IS 'Makes a hold final: sold. quantity: at most what is held, NULL for all; the rest goes back. After the hold lapsed it still succeeds, late, if nobody took the unit, or there is as much left, and per_holder allows it. The commit is flushed to disk even with synchronous_commit off.
Status: finalized; lapsed, released (nothing was changed).
Errors: 22023 bad argument, RS002 unknown claim, 55P03 an unfinished transaction leaves it undecided whether a lapsed unit is free, 25006 read-only.
Locks: the claim. A retry: the same row, replayed.';

CREATE FUNCTION reservation.refund(claim_id uuid, quantity bigint DEFAULT NULL, request_id text DEFAULT NULL)
    RETURNS TABLE (status text, claim_id uuid, refunded bigint, remaining bigint, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_refund';
COMMENT ON FUNCTION reservation.refund IS 'Takes back a finalized claim, or a part of it; what is refunded is free again. quantity: NULL for the rest; request_id: makes the call repeatable. remaining: what can still be refunded. The commit is flushed to disk even with synchronous_commit off.
Status: refunded; exceeds (more than remains), not_finalized (nothing was changed).
Errors: 22023 bad argument, RS001 request_id used with other arguments, RS002 unknown claim, 25006 read-only.
Locks: the claim. A retry with the same request_id, or of a refund of the rest: refunded, replayed; of a part without: another part, never more than was sold.';

CREATE FUNCTION reservation.sweep(max integer DEFAULT 1000)
    RETURNS TABLE (status text, lapsed integer)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_sweep';
COMMENT ON FUNCTION reservation.sweep IS 'Ends up to max holds whose time is over, of all pools, and passes over what is locked; puts the slots of up to max quiet counted pools together. Nothing depends on it: what has lapsed is free for anyone at once.
Status: swept, with the number of holds.
Errors: 22023 bad argument, 25006 read-only.
Locks: the claims it ends and the slots it changes, without waiting. A retry sweeps on.';

CREATE FUNCTION reservation.rate_limit(key text, burst integer, period interval, cost integer DEFAULT 1)
    RETURNS TABLE (allowed boolean, remaining integer, retry_after interval, reset_after interval)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_rate_limit';
COMMENT ON FUNCTION reservation.rate_limit IS 'Limits how often something happens (GCRA): at most burst at once, and as many per period after that, evenly. key: whose limit it is, 1 to 1,000 bytes of the application''s choice; with another burst or period it is another limit. period: a year counts 365.25 days, a month 30, a day 24 hours; at most 1,000 years. cost: what this call spends if it is allowed; a refused call spends nothing. remaining: what could be spent now; retry_after: how long until this call would be allowed, zero if it was, NULL if it never can be because its cost is above the burst; reset_after: how long until nothing is spent any more.
With shared_preload_libraries, what is spent stays spent if the transaction rolls back, and is forgotten at a restart, a crash and a failover. Without, it belongs to the transaction, as any row, survives a restart, and is forgotten at a crash and a failover.
Errors: 22023 bad argument, 25006 read-only.
Locks: with shared_preload_libraries none; without, the row of the limit until the transaction ends, for which other calls on it wait. A retry spends again.';

CREATE FUNCTION reservation.verify(pool text DEFAULT NULL)
    RETURNS TABLE (pool text, problem text, expected text, found text, hint text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_verify';
COMMENT ON FUNCTION reservation.verify IS 'Checks the books of one pool, or of all, and returns a row for each thing that is wrong: none when all is right. Reads what is true now, at every isolation level. Safe beside a running sale.
Errors: 42704 unknown pool.
Locks: none. Works on a standby.';

CREATE FUNCTION reservation.stats_by_id()
    RETURNS TABLE (pool_id integer, since timestamptz, claims bigint, hint_hits bigint, walks bigint, gone bigint, busy bigint,
        replays bigint, lapses bigint, waits bigint, waited_us bigint)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_stats_by_id';
COMMENT ON FUNCTION reservation.stats_by_id IS 'What the view stats reads: counters in shared memory, one row per pool that has any. No rows without shared_preload_libraries.
Errors: none.
Locks: none. Works on a standby.';

CREATE FUNCTION reservation.reset_stats()
    RETURNS TABLE (status text, pools integer)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_reset_stats';
COMMENT ON FUNCTION reservation.reset_stats IS 'Lets the counters of the view stats start from zero, in this database.
Status: reset, with the number of pools that had counters.
Errors: none.
Locks: none. A retry resets again.';

CREATE VIEW reservation.stats AS
    SELECT p.pool, s.since, s.claims, s.hint_hits, s.walks, s.gone, s.busy, s.replays, s.lapses, s.waits,
        make_interval(secs => s.waited_us / 1000000.0) AS waited
    FROM reservation.stats_by_id() s JOIN reservation.pool p USING (pool_id)
    WHERE p.dropped_at IS NULL;
COMMENT ON VIEW reservation.stats IS 'what happened to each pool since its counters began, also in transactions that rolled back; empty without shared_preload_libraries';
COMMENT ON COLUMN reservation.stats.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.stats.since IS 'when the counters of this pool began: at a restart, a reset, or when the pool got its place in shared memory back';
COMMENT ON COLUMN reservation.stats.claims IS 'holds written';
COMMENT ON COLUMN reservation.stats.hint_hits IS 'units tried straight from their place, without a walk';
COMMENT ON COLUMN reservation.stats.walks IS 'walks over the free units';
COMMENT ON COLUMN reservation.stats.gone IS 'answers sold_out and taken';
COMMENT ON COLUMN reservation.stats.busy IS 'answers busy, because other transactions had their hand on what was left';
COMMENT ON COLUMN reservation.stats.replays IS 'first answers given again for a request id';
COMMENT ON COLUMN reservation.stats.lapses IS 'holds ended because their time was over';
COMMENT ON COLUMN reservation.stats.waits IS 'times that a call waited for unfinished transactions';
COMMENT ON COLUMN reservation.stats.waited IS 'how long these were in all';

CREATE FUNCTION reservation.grant_access(role regrole, level text)
    RETURNS TABLE (status text, role regrole, level text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_grant_access';
COMMENT ON FUNCTION reservation.grant_access IS 'Lets a role use the extension. level: read (pools and checks), claim (also claims), admin (also making pools and granting access).
Status: granted.
Errors: 22023 bad argument.
Locks: the catalog entries of what is granted. A retry grants the same again.';

-- privileges: nothing to PUBLIC. Whoever created the extension can use, dump and restore all of it, but not change what
-- it is made of, because the library relies on that.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA reservation FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA reservation FROM PUBLIC;
GRANT USAGE ON SCHEMA reservation TO @extowner@ WITH GRANT OPTION;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA reservation TO @extowner@ WITH GRANT OPTION;
GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON ALL TABLES IN SCHEMA reservation TO @extowner@ WITH GRANT OPTION;
GRANT SELECT, UPDATE, USAGE ON ALL SEQUENCES IN SCHEMA reservation TO @extowner@ WITH GRANT OPTION;

-- dump: everything is data of the user. The sequences of pools are derived and made again when needed; rate limits in use
-- are of this server and this moment.

SELECT pg_catalog.pg_extension_config_dump('reservation.pool_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.pool', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.available', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.unit', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.claim', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.request', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.log', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.stock', '');
