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
    lined boolean NOT NULL DEFAULT false,
    pass_over boolean NOT NULL DEFAULT false,
    offer_ttl interval,
    notify_every interval,
    CONSTRAINT pool_pkey PRIMARY KEY (pool_id),
    CONSTRAINT pool_name_length CHECK (octet_length(pool) BETWEEN 1 AND 1000),
    CONSTRAINT pool_kind CHECK (kind = 'numbered' OR kind = 'counted'),
    CONSTRAINT pool_capacity CHECK (capacity >= 0 AND units_added >= 0),
    CONSTRAINT pool_first_number CHECK (first_number >= 0),
    CONSTRAINT pool_per_holder CHECK (per_holder >= 1),
    CONSTRAINT pool_bounds CHECK (ceiling >= floor),
    CONSTRAINT pool_window CHECK (closes_at > opens_at OR closes_at = 'infinity'),
    CONSTRAINT pool_rates CHECK (holder_rate >= 1 AND pool_rate >= 1 AND extract(epoch FROM holder_period) > 0
        AND extract(epoch FROM pool_period) > 0),
    CONSTRAINT pool_periods CHECK ((holder_rate IS NULL) = (holder_period IS NULL) AND (pool_rate IS NULL) = (pool_period IS NULL)),
    CONSTRAINT pool_notify CHECK (extract(epoch FROM notify_every) > 0)
) USING heap;
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
COMMENT ON COLUMN reservation.pool.lined IS 'true once anybody has stood in line: whoever claims then looks whether somebody waits';
COMMENT ON COLUMN reservation.pool.pass_over IS 'true: a ticket that wants more than there is does not block smaller ones behind it';
COMMENT ON COLUMN reservation.pool.offer_ttl IS 'how long an offer to the waiting line lives; NULL: hold_ttl';
COMMENT ON COLUMN reservation.pool.notify_every IS 'NOTIFY of offers at most once in this time; NULL: none';
COMMENT ON CONSTRAINT pool_name_length ON reservation.pool IS 'a name is 1 to 1,000 bytes';
COMMENT ON CONSTRAINT pool_kind ON reservation.pool IS 'a pool is numbered or counted';
COMMENT ON CONSTRAINT pool_capacity ON reservation.pool IS 'a capacity is never negative';
COMMENT ON CONSTRAINT pool_first_number ON reservation.pool IS 'numbers are never negative';
COMMENT ON CONSTRAINT pool_per_holder ON reservation.pool IS 'a limit lets a holder have at least one unit';
COMMENT ON CONSTRAINT pool_bounds ON reservation.pool IS 'the ceiling is not below the floor';
COMMENT ON CONSTRAINT pool_window ON reservation.pool IS 'a pool closes after it opens';
COMMENT ON CONSTRAINT pool_rates ON reservation.pool IS 'a rate lets at least one claim through, in a time above zero';
COMMENT ON CONSTRAINT pool_periods ON reservation.pool IS 'a rate has a period';
COMMENT ON CONSTRAINT pool_notify ON reservation.pool IS 'between two notifications lies a time above zero';
COMMENT ON CONSTRAINT pool_pkey ON reservation.pool IS 'one row per pool';
COMMENT ON INDEX reservation.pool_name IS 'one pool per name; a dropped pool frees its name';

CREATE TABLE reservation.era (
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT era_pkey PRIMARY KEY (begun_at)
) USING heap;
INSERT INTO reservation.era DEFAULT VALUES;
COMMENT ON TABLE reservation.era IS 'one row per CREATE EXTENSION behind these books: a restored dump brings those before, so the number of rows tells transaction ids of this database from those of the one that was dumped';
COMMENT ON COLUMN reservation.era.begun_at IS 'when CREATE EXTENSION was run';
COMMENT ON CONSTRAINT era_pkey ON reservation.era IS 'an era begins once';

CREATE TABLE reservation.available (
    pool_id integer NOT NULL,
    number integer NOT NULL,
    CONSTRAINT available_pkey PRIMARY KEY (pool_id, number)
) USING heap;
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
) USING heap;
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
    position bigint NOT NULL DEFAULT 0,
    pool_id integer NOT NULL,
    number integer,
    step integer NOT NULL DEFAULT 0,
    state text COLLATE "C" NOT NULL,
    actor text COLLATE "C" NOT NULL DEFAULT CURRENT_USER,
    holder text COLLATE "C" NOT NULL,
    request_id text COLLATE "C",
    by_holder boolean NOT NULL DEFAULT false,
    taken bigint,
    refunded bigint,
    CONSTRAINT claim_pkey PRIMARY KEY (claim_id),
    CONSTRAINT claim_state CHECK (state = 'held' OR state = 'finalized' OR state = 'released' OR state = 'lapsed'
        OR state = 'refunded'),
    CONSTRAINT claim_finalized_at CHECK ((finalized_at IS NOT NULL) = (state = 'finalized' OR state = 'refunded')),
    CONSTRAINT claim_quantity CHECK (quantity > 0 AND (taken IS NULL OR taken > quantity)
        AND (refunded IS NULL OR (refunded > 0 AND refunded <= quantity)))
) USING heap;
CREATE UNIQUE INDEX claim_live ON reservation.claim (pool_id, number)
    WHERE number IS NOT NULL AND (state = 'held' OR state = 'finalized');
CREATE INDEX claim_expiry ON reservation.claim (pool_id, expires_at) WHERE state = 'held';
CREATE INDEX claim_holder ON reservation.claim (holder, pool_id)
    WHERE by_holder AND (state = 'held' OR state = 'finalized');
CREATE INDEX claim_counted ON reservation.claim (pool_id, claimed_at) WHERE number IS NULL AND state <> 'held';
COMMENT ON TABLE reservation.claim IS 'who got what: one row per claim, never deleted, but archive() may move it to claim_archive';
COMMENT ON COLUMN reservation.claim.claim_id IS 'UUID version 7; its field rand_a carries the hash of the pool''s name';
COMMENT ON COLUMN reservation.claim.claimed_at IS 'when the hold began';
COMMENT ON COLUMN reservation.claim.expires_at IS 'when the hold lapses, infinity: never';
COMMENT ON COLUMN reservation.claim.finalized_at IS 'when the claim was finalized';
COMMENT ON COLUMN reservation.claim.quantity IS 'units of the claim, 1 for a numbered unit; refunded ones included';
COMMENT ON COLUMN reservation.claim.position IS 'era and transaction id of its making: era * 2^48 + transaction id; 0: written by hand';
COMMENT ON COLUMN reservation.claim.pool_id IS 'the pool of the claim';
COMMENT ON COLUMN reservation.claim.number IS 'the number of the unit, NULL for a counted pool';
COMMENT ON COLUMN reservation.claim.step IS 'which event of that transaction its making was, from 0';
COMMENT ON COLUMN reservation.claim.state IS 'held, finalized, released, lapsed or refunded';
COMMENT ON COLUMN reservation.claim.actor IS 'role that made it';
COMMENT ON COLUMN reservation.claim.holder IS 'who has it, in the application''s own terms';
COMMENT ON COLUMN reservation.claim.request_id IS 'idempotency key of the call that made the claim';
COMMENT ON COLUMN reservation.claim.by_holder IS 'true if the claim is looked for by its holder: the pool has per_holder, or a trigger made the claim for a row';
COMMENT ON COLUMN reservation.claim.taken IS 'units it began with, if it was finalized for fewer';
COMMENT ON COLUMN reservation.claim.refunded IS 'units refunded so far; NULL: none';
COMMENT ON CONSTRAINT claim_pkey ON reservation.claim IS 'a claim id is given out once';
COMMENT ON CONSTRAINT claim_state ON reservation.claim IS 'the states a claim can be in';
COMMENT ON CONSTRAINT claim_finalized_at ON reservation.claim IS 'finalized claims, refunded or not, say when; others do not';
COMMENT ON CONSTRAINT claim_quantity ON reservation.claim IS 'a claim is for at least one, for no more than was taken, and no more than that is refunded';
COMMENT ON INDEX reservation.claim_live IS 'no unit is held or sold twice';
COMMENT ON INDEX reservation.claim_expiry IS 'finds the holds that have lapsed';
COMMENT ON INDEX reservation.claim_holder IS 'finds what a holder has, in the pools that limit it, and what a row has';
COMMENT ON INDEX reservation.claim_counted IS 'finds the claims of an account that are no holds; those are in claim_expiry';

-- The columns are those of claim, in the same order: rows move from one to the other and back.
CREATE TABLE reservation.claim_archive (
    LIKE reservation.claim INCLUDING COMMENTS,
    CONSTRAINT claim_archive_pkey PRIMARY KEY (claim_id),
    CONSTRAINT claim_archive_state CHECK (state = 'finalized' OR state = 'released' OR state = 'lapsed' OR state = 'refunded')
) USING heap;
CREATE UNIQUE INDEX claim_archive_live ON reservation.claim_archive (pool_id, number)
    WHERE number IS NOT NULL AND state = 'finalized';
CREATE INDEX claim_archive_counted ON reservation.claim_archive (pool_id, claimed_at) WHERE number IS NULL;
CREATE INDEX claim_archive_position ON reservation.claim_archive (position, step);
COMMENT ON TABLE reservation.claim_archive IS 'claims that archive() has moved out of the way; whatever settles one brings it back';
COMMENT ON CONSTRAINT claim_archive_pkey ON reservation.claim_archive IS 'a claim is archived once';
COMMENT ON CONSTRAINT claim_archive_state ON reservation.claim_archive IS 'holds are not archived';
COMMENT ON INDEX reservation.claim_archive_live IS 'no unit is sold twice; finds who has it';
COMMENT ON INDEX reservation.claim_archive_counted IS 'finds the claims of an account';
COMMENT ON INDEX reservation.claim_archive_position IS 'finds the events after a cursor';

CREATE VIEW reservation.every_claim AS
    SELECT * FROM reservation.claim UNION ALL SELECT * FROM reservation.claim_archive;
COMMENT ON VIEW reservation.every_claim IS 'claims, archived or not';
COMMENT ON COLUMN reservation.every_claim.claim_id IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.claimed_at IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.expires_at IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.finalized_at IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.quantity IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.position IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.pool_id IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.number IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.step IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.state IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.actor IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.holder IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.request_id IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.by_holder IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.taken IS 'as in claim';
COMMENT ON COLUMN reservation.every_claim.refunded IS 'as in claim';

CREATE TABLE reservation.ticket (
    ticket_id uuid NOT NULL,
    joined_at timestamptz NOT NULL,
    settled_at timestamptz,
    number bigint NOT NULL,
    quantity bigint NOT NULL,
    position bigint NOT NULL,
    pool_id integer NOT NULL,
    priority integer NOT NULL,
    step integer NOT NULL,
    state text COLLATE "C" NOT NULL,
    actor text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    claim_ids uuid[],
    CONSTRAINT ticket_pkey PRIMARY KEY (ticket_id),
    CONSTRAINT ticket_state CHECK (state = 'waiting' OR state = 'offered' OR state = 'left' OR state = 'ended'),
    CONSTRAINT ticket_settled CHECK ((settled_at IS NULL) = (state = 'waiting')
        AND (claim_ids IS NOT NULL OR state = 'waiting' OR state = 'left') AND (claim_ids IS NULL OR state <> 'waiting')),
    CONSTRAINT ticket_quantity CHECK (quantity > 0)
) USING heap;
CREATE INDEX ticket_line ON reservation.ticket (pool_id, priority DESC, number) WHERE state = 'waiting';
CREATE UNIQUE INDEX ticket_holder ON reservation.ticket (holder, pool_id) WHERE state = 'waiting' OR state = 'offered';
COMMENT ON TABLE reservation.ticket IS 'who waits for what, and what came of it: one row per ticket of a waiting line, never deleted';
COMMENT ON COLUMN reservation.ticket.ticket_id IS 'UUID version 7; its field rand_a carries the hash of the pool''s name';
COMMENT ON COLUMN reservation.ticket.joined_at IS 'when the ticket was taken';
COMMENT ON COLUMN reservation.ticket.settled_at IS 'when it stopped waiting; NULL: it waits';
COMMENT ON COLUMN reservation.ticket.number IS 'order of joining in the pool: a ticket committed before another was taken has the lower number';
COMMENT ON COLUMN reservation.ticket.quantity IS 'units wanted, all or none';
COMMENT ON COLUMN reservation.ticket.position IS 'era and transaction id of the call that made it: era * 2^48 + transaction id';
COMMENT ON COLUMN reservation.ticket.step IS 'which event of that transaction it was, from 0';
COMMENT ON COLUMN reservation.ticket.actor IS 'role that made the call';
COMMENT ON COLUMN reservation.ticket.pool_id IS 'the pool of the line';
COMMENT ON COLUMN reservation.ticket.priority IS 'higher ones are served before lower ones';
COMMENT ON COLUMN reservation.ticket.state IS 'waiting; offered (its claims say what became of that); left; ended: an offer that was over when its holder joined again';
COMMENT ON COLUMN reservation.ticket.holder IS 'who waits, in the application''s own terms';
COMMENT ON COLUMN reservation.ticket.claim_ids IS 'claims of the offer, in the order of their numbers';
COMMENT ON CONSTRAINT ticket_pkey ON reservation.ticket IS 'a ticket id is given out once';
COMMENT ON CONSTRAINT ticket_state ON reservation.ticket IS 'the states a ticket can be in';
COMMENT ON CONSTRAINT ticket_settled ON reservation.ticket IS 'a ticket that waits has no offer and no end, any other has; one that left may have had no offer';
COMMENT ON CONSTRAINT ticket_quantity ON reservation.ticket IS 'a ticket is for at least one';
COMMENT ON INDEX reservation.ticket_line IS 'the waiting line: who is next is first';
COMMENT ON INDEX reservation.ticket_holder IS 'a holder stands in a line once';

CREATE TABLE reservation.line_block (
    pool_id integer NOT NULL,
    block bigint NOT NULL,
    priority integer NOT NULL,
    waiting bigint NOT NULL,
    base boolean NOT NULL
) USING heap;
CREATE INDEX line_block_place ON reservation.line_block (pool_id, block);
CREATE UNIQUE INDEX line_block_base ON reservation.line_block (pool_id, block) WHERE base AND waiting = 0;
ALTER TABLE reservation.line_block REPLICA IDENTITY FULL; -- it has no key, and rows are deleted
COMMENT ON TABLE reservation.line_block IS 'how many wait in each thousand numbers of a line, once those have been counted, so that nobody counts them again: several rows add up';
COMMENT ON COLUMN reservation.line_block.pool_id IS 'the pool of the line';
COMMENT ON COLUMN reservation.line_block.block IS 'the numbers of its tickets, divided by 1,000';
COMMENT ON COLUMN reservation.line_block.priority IS 'the priority of those who wait';
COMMENT ON COLUMN reservation.line_block.waiting IS 'so many more wait; below zero: fewer';
COMMENT ON COLUMN reservation.line_block.base IS 'true: the count itself, or a part of it; false: a change since. A block without a base is not counted';
COMMENT ON INDEX reservation.line_block_place IS 'finds the counts of a line, in order';
COMMENT ON INDEX reservation.line_block_base IS 'a block is counted once: its count begins with a row of none';

CREATE TABLE reservation.request (
    pool_id integer NOT NULL,
    scope text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    arguments text COLLATE "C" NOT NULL,
    response jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT request_pkey PRIMARY KEY (pool_id, scope, request_id),
    CONSTRAINT request_response CHECK (jsonb_typeof(response) = 'array')
) USING heap;
COMMENT ON TABLE reservation.request IS 'the first answer to every request id, for the calls that repeat it';
COMMENT ON COLUMN reservation.request.pool_id IS 'the pool the key belongs to';
COMMENT ON COLUMN reservation.request.scope IS 'the function the key belongs to';
COMMENT ON COLUMN reservation.request.request_id IS 'idempotency key';
COMMENT ON COLUMN reservation.request.arguments IS 'arguments of the first call; a repeated call must have the same';
COMMENT ON COLUMN reservation.request.response IS 'rows of the first answer';
COMMENT ON COLUMN reservation.request.created_at IS 'when the first call was made';
COMMENT ON CONSTRAINT request_pkey ON reservation.request IS 'a key has one answer';
COMMENT ON CONSTRAINT request_response ON reservation.request IS 'an answer is rows';

CREATE UNLOGGED TABLE reservation.rate (
    bucket integer NOT NULL,
    way integer NOT NULL,
    digest uuid NOT NULL,
    idle_at timestamptz NOT NULL,
    fraction integer NOT NULL,
    CONSTRAINT rate_pkey PRIMARY KEY (bucket, way),
    CONSTRAINT rate_way CHECK (way BETWEEN 0 AND 15),
    CONSTRAINT rate_fraction CHECK (fraction >= 0)
) USING heap WITH (fillfactor = 70);
COMMENT ON TABLE reservation.rate IS 'rate limits in use, on a server without shared_preload_libraries: at most 1,048,576 rows; a crash empties it';
COMMENT ON COLUMN reservation.rate.bucket IS 'hash of the limit; limits in one bucket take over each other''s rows, the idle ones first';
COMMENT ON COLUMN reservation.rate.way IS 'number of the row in its bucket';
COMMENT ON COLUMN reservation.rate.digest IS 'what the limit is of: 128 bits of SHA-256 over the kind, the rule and the key';
COMMENT ON COLUMN reservation.rate.idle_at IS 'when nothing of the limit will be spent any more';
COMMENT ON COLUMN reservation.rate.fraction IS 'and so many parts of a microsecond later, of which it has as many as the burst';
COMMENT ON CONSTRAINT rate_pkey ON reservation.rate IS 'a bucket has each of its rows once';
COMMENT ON CONSTRAINT rate_way ON reservation.rate IS 'a bucket has 16 rows';
COMMENT ON CONSTRAINT rate_fraction ON reservation.rate IS 'parts of a microsecond are not negative';

CREATE TABLE reservation.operation (
    scope text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    arguments jsonb,
    response jsonb,
    created_at timestamptz NOT NULL,
    CONSTRAINT operation_pkey PRIMARY KEY (scope, request_id)
) USING heap;
COMMENT ON TABLE reservation.operation IS 'the application''s own operations that run_once was asked for, with their responses';
COMMENT ON COLUMN reservation.operation.scope IS 'kind of the operation, in the application''s own terms';
COMMENT ON COLUMN reservation.operation.request_id IS 'idempotency key';
COMMENT ON COLUMN reservation.operation.arguments IS 'arguments of the first call; a repeated call must have the same';
COMMENT ON COLUMN reservation.operation.response IS 'what save_response was given; NULL: nothing yet';
COMMENT ON COLUMN reservation.operation.created_at IS 'when the first call was made';
COMMENT ON CONSTRAINT operation_pkey ON reservation.operation IS 'an operation is done once';

CREATE TABLE reservation.cart_line (
    cart text COLLATE "C" NOT NULL,
    pool text COLLATE "C" NOT NULL,
    options jsonb NOT NULL,
    quantity bigint NOT NULL,
    CONSTRAINT cart_line_pkey PRIMARY KEY (cart, pool, options),
    CONSTRAINT cart_line_quantity CHECK (quantity > 0)
) USING heap;
COMMENT ON TABLE reservation.cart_line IS 'what is in carts; nothing of it is held';
COMMENT ON COLUMN reservation.cart_line.cart IS 'key of the cart, in the application''s own terms';
COMMENT ON COLUMN reservation.cart_line.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.cart_line.options IS 'what tells lines of one pool apart, compared by value';
COMMENT ON COLUMN reservation.cart_line.quantity IS 'units of the line';
COMMENT ON CONSTRAINT cart_line_pkey ON reservation.cart_line IS 'one line per cart, pool and options';
COMMENT ON CONSTRAINT cart_line_quantity ON reservation.cart_line IS 'a line is for at least one';

CREATE TABLE reservation.cart_merge (
    source text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    lines bigint NOT NULL,
    merged_at timestamptz NOT NULL,
    CONSTRAINT cart_merge_pkey PRIMARY KEY (source, target)
) USING heap;
COMMENT ON TABLE reservation.cart_merge IS 'the latest merge of one cart into another, for the calls that repeat it';
COMMENT ON COLUMN reservation.cart_merge.source IS 'the cart that was emptied';
COMMENT ON COLUMN reservation.cart_merge.target IS 'the cart that has its lines now';
COMMENT ON COLUMN reservation.cart_merge.lines IS 'lines that were moved';
COMMENT ON COLUMN reservation.cart_merge.merged_at IS 'when the call was made';
COMMENT ON CONSTRAINT cart_merge_pkey ON reservation.cart_merge IS 'one row per pair of carts';

CREATE TABLE reservation.payment_provider (
    provider text COLLATE "C" NOT NULL,
    scheme text COLLATE "C" NOT NULL,
    secret text COLLATE "C" NOT NULL,
    CONSTRAINT payment_provider_pkey PRIMARY KEY (provider),
    CONSTRAINT payment_provider_scheme CHECK (scheme = 'razorpay' OR scheme = 'stripe' OR scheme = 'hmac-sha256'),
    CONSTRAINT payment_provider_secret CHECK (octet_length(secret) BETWEEN 1 AND 4096)
) USING heap;
COMMENT ON TABLE reservation.payment_provider IS 'who signs payments, and with which secret; only the extension reads it, and it is not dumped';
COMMENT ON COLUMN reservation.payment_provider.provider IS 'name, in the application''s own terms';
COMMENT ON COLUMN reservation.payment_provider.scheme IS 'razorpay, stripe or hmac-sha256';
COMMENT ON COLUMN reservation.payment_provider.secret IS 'key of the signatures';
COMMENT ON CONSTRAINT payment_provider_pkey ON reservation.payment_provider IS 'one secret per provider';
COMMENT ON CONSTRAINT payment_provider_scheme ON reservation.payment_provider IS 'the ways of signing that are known';
COMMENT ON CONSTRAINT payment_provider_secret ON reservation.payment_provider IS 'an empty secret would let anybody sign';

CREATE TABLE reservation.checkout (
    checkout_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    paid_at timestamptz,
    ended_at timestamptz,
    amount bigint,
    state text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    currency text COLLATE "C",
    arguments text COLLATE "C" NOT NULL,
    cart text COLLATE "C",
    cart_lines jsonb,
    claims jsonb NOT NULL,
    CONSTRAINT checkout_pkey PRIMARY KEY (checkout_id),
    CONSTRAINT checkout_state CHECK (state = 'open' OR state = 'paid' OR state = 'finalized' OR state = 'refund_due'
        OR state = 'cancelled'),
    CONSTRAINT checkout_paid_at CHECK (CASE state WHEN 'open' THEN paid_at IS NULL WHEN 'paid' THEN paid_at IS NOT NULL
        WHEN 'refund_due' THEN paid_at IS NOT NULL WHEN 'finalized' THEN amount IS NULL OR paid_at IS NOT NULL ELSE true END),
    CONSTRAINT checkout_ended_at CHECK ((ended_at IS NULL) = (state = 'open' OR state = 'paid')),
    CONSTRAINT checkout_amount CHECK (amount > 0),
    CONSTRAINT checkout_cart_lines CHECK ((cart IS NULL) = (cart_lines IS NULL)),
    CONSTRAINT checkout_claims CHECK (jsonb_typeof(claims) = 'array')
) USING heap WITH (fillfactor = 85);
CREATE UNIQUE INDEX checkout_request ON reservation.checkout (request_id);
CREATE INDEX checkout_cart ON reservation.checkout (cart) WHERE cart IS NOT NULL;
COMMENT ON TABLE reservation.checkout IS 'several claims that are paid and finalized as one; never deleted';
COMMENT ON COLUMN reservation.checkout.checkout_id IS 'UUID version 7; its field rand_a carries the hash of the name of its first pool';
COMMENT ON COLUMN reservation.checkout.created_at IS 'when the holds began';
COMMENT ON COLUMN reservation.checkout.expires_at IS 'when the first of the holds lapses';
COMMENT ON COLUMN reservation.checkout.paid_at IS 'when its payment was recorded';
COMMENT ON COLUMN reservation.checkout.ended_at IS 'when it was finalized, cancelled, or its payment became due back';
COMMENT ON COLUMN reservation.checkout.amount IS 'what has to be paid, in the smallest unit of the currency; NULL: it needs no payment';
COMMENT ON COLUMN reservation.checkout.state IS 'open, paid, finalized, refund_due or cancelled';
COMMENT ON COLUMN reservation.checkout.request_id IS 'idempotency key of the call that made it';
COMMENT ON COLUMN reservation.checkout.holder IS 'who is buying, in the application''s own terms';
COMMENT ON COLUMN reservation.checkout.currency IS 'what has to be paid in; NULL: anything';
COMMENT ON COLUMN reservation.checkout.arguments IS 'arguments of the first call; a repeated call must have the same';
COMMENT ON COLUMN reservation.checkout.cart IS 'the cart that is sold, or the one that it was merged into since';
COMMENT ON COLUMN reservation.checkout.cart_lines IS 'the lines of the cart that are sold';
COMMENT ON COLUMN reservation.checkout.claims IS 'the claims, as they were answered';
COMMENT ON CONSTRAINT checkout_pkey ON reservation.checkout IS 'a checkout id is given out once';
COMMENT ON CONSTRAINT checkout_state ON reservation.checkout IS 'the states a checkout can be in';
COMMENT ON CONSTRAINT checkout_paid_at ON reservation.checkout IS 'what needs a payment is finalized only with one';
COMMENT ON CONSTRAINT checkout_ended_at ON reservation.checkout IS 'a checkout that has ended says when';
COMMENT ON CONSTRAINT checkout_amount ON reservation.checkout IS 'an amount is above zero';
COMMENT ON CONSTRAINT checkout_cart_lines ON reservation.checkout IS 'a checkout of a cart knows its lines';
COMMENT ON CONSTRAINT checkout_claims ON reservation.checkout IS 'the claims of a checkout are rows';
COMMENT ON INDEX reservation.checkout_request IS 'a request id makes one checkout';
COMMENT ON INDEX reservation.checkout_cart IS 'finds the checkouts of a cart';

CREATE TABLE reservation.payment (
    provider text COLLATE "C" NOT NULL,
    payment_id text COLLATE "C" NOT NULL,
    checkout_id uuid NOT NULL,
    amount bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    answer text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    settled_at timestamptz,
    reference text COLLATE "C",
    CONSTRAINT payment_pkey PRIMARY KEY (provider, payment_id),
    CONSTRAINT payment_state CHECK (state = 'paid' OR state = 'refund_due' OR state = 'refunded'),
    CONSTRAINT payment_settled CHECK ((state = 'refunded') = (settled_at IS NOT NULL)
        AND (settled_at IS NULL) = (reference IS NULL)),
    CONSTRAINT payment_amount CHECK (amount > 0)
) USING heap;
CREATE UNIQUE INDEX payment_kept ON reservation.payment (checkout_id) WHERE state = 'paid';
CREATE INDEX payment_checkout ON reservation.payment (checkout_id);
COMMENT ON TABLE reservation.payment IS 'money that came in, each payment once; never deleted';
COMMENT ON COLUMN reservation.payment.provider IS 'who signed it';
COMMENT ON COLUMN reservation.payment.payment_id IS 'the provider''s id of the payment';
COMMENT ON COLUMN reservation.payment.checkout_id IS 'the one checkout that it belongs to';
COMMENT ON COLUMN reservation.payment.amount IS 'in the smallest unit of the currency';
COMMENT ON COLUMN reservation.payment.currency IS 'as the call wrote it';
COMMENT ON COLUMN reservation.payment.state IS 'paid (for the goods), refund_due or refunded';
COMMENT ON COLUMN reservation.payment.answer IS 'status of the first answer, for the calls that repeat it';
COMMENT ON COLUMN reservation.payment.received_at IS 'when the payment was recorded';
COMMENT ON COLUMN reservation.payment.settled_at IS 'when settle_refund was called';
COMMENT ON COLUMN reservation.payment.reference IS 'of the refund, in the application''s own terms';
COMMENT ON CONSTRAINT payment_pkey ON reservation.payment IS 'a payment is recorded once, and belongs to one checkout';
COMMENT ON CONSTRAINT payment_state ON reservation.payment IS 'the states a payment can be in';
COMMENT ON CONSTRAINT payment_settled ON reservation.payment IS 'a payment that was given back says when, and by what';
COMMENT ON CONSTRAINT payment_amount ON reservation.payment IS 'an amount is above zero';
COMMENT ON INDEX reservation.payment_kept IS 'a checkout is paid once; whatever else comes in is due back';
COMMENT ON INDEX reservation.payment_checkout IS 'finds the payments of a checkout';

CREATE TABLE reservation.order (
    order_id uuid NOT NULL,
    order_number bigint NOT NULL,
    checkout_id uuid NOT NULL,
    finalized_at timestamptz NOT NULL,
    settled bigint NOT NULL,
    CONSTRAINT order_pkey PRIMARY KEY (order_id),
    CONSTRAINT order_number_positive CHECK (order_number > settled AND settled >= 0)
) USING heap;
CREATE UNIQUE INDEX order_checkout ON reservation.order (checkout_id);
CREATE UNIQUE INDEX order_number ON reservation.order (order_number DESC);
COMMENT ON TABLE reservation.order IS 'what was sold: one row per finalized checkout; never deleted';
COMMENT ON COLUMN reservation.order.order_id IS 'UUID version 7, with the hash of its checkout in rand_a';
COMMENT ON COLUMN reservation.order.order_number IS 'from 1, the lowest that no other order had';
COMMENT ON COLUMN reservation.order.checkout_id IS 'the checkout that it came from';
COMMENT ON COLUMN reservation.order.finalized_at IS 'when it was made';
COMMENT ON COLUMN reservation.order.settled IS 'up to this number, all orders were committed when this one was made';
COMMENT ON CONSTRAINT order_pkey ON reservation.order IS 'an order id is given out once';
COMMENT ON CONSTRAINT order_number_positive ON reservation.order IS 'numbers begin at 1, and are above those that were settled before';
COMMENT ON INDEX reservation.order_checkout IS 'a checkout becomes one order';
COMMENT ON INDEX reservation.order_number IS 'an order number is given out once; the highest is its first entry';

CREATE TABLE reservation.log (
    at timestamptz NOT NULL,
    position bigint NOT NULL,
    step integer NOT NULL,
    pool_id integer,
    claim_id uuid,
    checkout_id uuid,
    quantity bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    actor text COLLATE "C" NOT NULL,
    request_id text COLLATE "C",
    reason text COLLATE "C",
    change bigint,
    details jsonb
) USING heap;
CREATE INDEX log_counted ON reservation.log (pool_id, at) WHERE change IS NOT NULL;
COMMENT ON TABLE reservation.log IS 'every event but the making of claims and tickets, which is their row in claim and ticket; append-only';
COMMENT ON COLUMN reservation.log.at IS 'when the call was made';
COMMENT ON COLUMN reservation.log.position IS 'era and transaction id of the call: era * 2^48 + transaction id';
COMMENT ON COLUMN reservation.log.step IS 'which event of that transaction it was, from 0';
COMMENT ON COLUMN reservation.log.pool_id IS 'the pool of the change; NULL: of no pool';
COMMENT ON COLUMN reservation.log.claim_id IS 'the claim that changed; NULL: no claim did';
COMMENT ON COLUMN reservation.log.checkout_id IS 'the checkout of the change; NULL: of none';
COMMENT ON COLUMN reservation.log.quantity IS 'units of the change; of a checkout or payment: the amount, 0 if it has none; of an order: 0';
COMMENT ON COLUMN reservation.log.kind IS 'what changed: claim, pool, ticket, checkout, payment or order';
COMMENT ON COLUMN reservation.log.event IS 'of a claim: extended, released, lapsed, finalized, refunded or renamed; of a pool: created, altered, adjusted, added, repaired or dropped; of a checkout: opened, paid, finalized, refund_due or cancelled; of a payment: paid, refund_due or refunded; of an order: made; of a ticket: offered, left or ended (its holder joined again)';
COMMENT ON COLUMN reservation.log.actor IS 'role that made the call';
COMMENT ON COLUMN reservation.log.request_id IS 'idempotency key of the call';
COMMENT ON COLUMN reservation.log.reason IS 'why, in the words of the caller; of a refunded payment: the reference';
COMMENT ON COLUMN reservation.log.change IS 'what it did to the balance of a counted pool; NULL for a numbered one';
COMMENT ON COLUMN reservation.log.details IS 'the rules of a pool as they are afterwards; provider, payment_id, amount and currency of a payment; order_id and order_number of an order; the new holder of a claim; ticket_id, holder and claim_ids of a ticket';
COMMENT ON INDEX reservation.log_counted IS 'finds the movements of an account, in order';

CREATE FUNCTION reservation.keep_log() RETURNS trigger
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_keep_log';
COMMENT ON FUNCTION reservation.keep_log IS 'Trigger of reservation.log: refuses UPDATE, DELETE and TRUNCATE, whoever asks.
Errors: 42501.
Locks: none.';
CREATE TRIGGER keep_log BEFORE UPDATE OR DELETE OR TRUNCATE ON reservation.log
    FOR EACH STATEMENT EXECUTE FUNCTION reservation.keep_log();
COMMENT ON TRIGGER keep_log ON reservation.log IS 'what has happened is not changed; a restore only inserts, and does not fire it';

CREATE TABLE reservation.stock (
    pool_id integer NOT NULL,
    slot integer NOT NULL,
    quantity bigint NOT NULL,
    added bigint NOT NULL DEFAULT 0,
    CONSTRAINT stock_pkey PRIMARY KEY (pool_id, slot),
    CONSTRAINT stock_slot CHECK (slot >= 0),
    CONSTRAINT stock_quantity CHECK (quantity >= 0)
) USING heap WITH (fillfactor = 70);
CREATE INDEX stock_split ON reservation.stock (pool_id) WHERE slot > 1;
COMMENT ON TABLE reservation.stock IS 'what a counted pool has left above its floor, in one or more slots';
COMMENT ON COLUMN reservation.stock.pool_id IS 'the counted pool';
COMMENT ON COLUMN reservation.stock.slot IS 'number of the slot: 0 and 1 from the start, others made by sessions that found those busy';
COMMENT ON COLUMN reservation.stock.quantity IS 'what this slot can give';
COMMENT ON COLUMN reservation.stock.added IS 'what adjust and add_units put in here, less what adjust took out';
COMMENT ON CONSTRAINT stock_pkey ON reservation.stock IS 'one row per slot';
COMMENT ON CONSTRAINT stock_slot ON reservation.stock IS 'slots are numbered from zero';
COMMENT ON CONSTRAINT stock_quantity ON reservation.stock IS 'a slot never gives more than it has, so the balance never goes below the floor';
COMMENT ON INDEX reservation.stock_split IS 'finds the pools that were split, to put their slots together again';

-- views

CREATE VIEW reservation.pool_status AS
    SELECT p.pool, p.kind, p.capacity + p.units_added + n.added AS capacity,
        CASE WHEN p.capacity IS NOT NULL AND n.waited THEN 0 WHEN p.capacity IS NOT NULL THEN n.free + n.lapsed END AS available,
        n.held - n.lapsed AS held,
        CASE WHEN p.capacity IS NULL
            THEN (SELECT coalesce(sum(c.quantity), 0)::bigint FROM reservation.every_claim c
                WHERE c.pool_id = p.pool_id AND c.state = 'finalized')
            ELSE p.capacity + p.units_added + n.added - n.free - p.floor - n.held END AS finalized,
        CASE WHEN clock_timestamp() < p.opens_at THEN 'not_open'
            WHEN clock_timestamp() >= p.closes_at THEN 'closed'
            WHEN p.paused THEN 'paused'
            WHEN p.capacity IS NULL OR (n.free + n.lapsed > 0 AND NOT n.waited) THEN 'on_sale'
            WHEN n.held > 0 THEN 'held_out'
            ELSE 'sold_out' END AS state,
        p.hold_ttl, p.per_holder, p.floor, p.ceiling, p.opens_at, p.closes_at, p.created_at,
        p.holder_rate, p.holder_period, p.pool_rate, p.pool_period, n.waited, p.pass_over, p.offer_ttl, p.notify_every
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
                WHERE c.pool_id = p.pool_id AND c.state = 'held' AND c.expires_at <= clock_timestamp()) AS lapsed,
            p.lined AND EXISTS (SELECT FROM reservation.ticket t WHERE t.pool_id = p.pool_id AND t.state = 'waiting') AS waited
    ) n
    WHERE p.dropped_at IS NULL;
COMMENT ON VIEW reservation.pool_status IS 'every pool: its rules, how much is left, held and sold, and whether it is on sale';
COMMENT ON COLUMN reservation.pool_status.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.pool_status.kind IS 'numbered or counted';
COMMENT ON COLUMN reservation.pool_status.capacity IS 'units in all; NULL: an open edition';
COMMENT ON COLUMN reservation.pool_status.available IS 'units that can be claimed now, lapsed holds included, none while anybody waits in line; NULL: an open edition; counted: the balance less the floor';
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
COMMENT ON COLUMN reservation.pool_status.waited IS 'whether anybody waits in line: what comes free is theirs';
COMMENT ON COLUMN reservation.pool_status.pass_over IS 'true: a ticket that wants more than there is does not block smaller ones behind it';
COMMENT ON COLUMN reservation.pool_status.offer_ttl IS 'how long an offer to the waiting line lives; NULL: hold_ttl';
COMMENT ON COLUMN reservation.pool_status.notify_every IS 'NOTIFY of offers at most once in this time; NULL: none';

CREATE VIEW reservation.claims AS
    SELECT c.claim_id, p.pool, c.number, u.label, c.quantity, c.holder,
        CASE WHEN c.state = 'held' AND c.expires_at <= clock_timestamp() THEN 'lapsed' ELSE c.state END AS state,
        c.claimed_at, c.expires_at, c.finalized_at, c.request_id, coalesce(c.refunded, 0) AS refunded
    FROM reservation.every_claim c
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

CREATE VIEW reservation.tickets AS
    SELECT t.ticket_id, p.pool, t.number, t.priority, t.quantity, t.holder,
        CASE WHEN t.state = 'waiting' OR t.state = 'left' THEN t.state
            WHEN c.state = 'held' AND c.expires_at > clock_timestamp() THEN 'offered'
            WHEN c.state = 'held' THEN 'lapsed' ELSE c.state END AS state,
        t.joined_at, t.settled_at, c.expires_at, t.claim_ids
    FROM reservation.ticket t
    JOIN reservation.pool p ON p.pool_id = t.pool_id
    LEFT JOIN reservation.every_claim c ON c.claim_id = t.claim_ids[1];
COMMENT ON VIEW reservation.tickets IS 'every ticket of every waiting line there ever was, and what came of it';
COMMENT ON COLUMN reservation.tickets.ticket_id IS 'id of the ticket';
COMMENT ON COLUMN reservation.tickets.pool IS 'name of its pool';
COMMENT ON COLUMN reservation.tickets.number IS 'order of joining in the pool, with gaps';
COMMENT ON COLUMN reservation.tickets.priority IS 'higher ones are served before lower ones';
COMMENT ON COLUMN reservation.tickets.quantity IS 'units wanted';
COMMENT ON COLUMN reservation.tickets.holder IS 'who waits';
COMMENT ON COLUMN reservation.tickets.state IS 'waiting, left, offered, or what became of the (first) hold: finalized, released, lapsed, refunded';
COMMENT ON COLUMN reservation.tickets.joined_at IS 'when the ticket was taken';
COMMENT ON COLUMN reservation.tickets.settled_at IS 'when it stopped waiting';
COMMENT ON COLUMN reservation.tickets.expires_at IS 'when the offer lapses';
COMMENT ON COLUMN reservation.tickets.claim_ids IS 'holds of the offer';

CREATE VIEW reservation.entries AS
    SELECT p.pool_id, p.pool, p.created_at AS at, 0 AS place, 'opened' AS event, NULL::uuid AS claim_id,
        p.capacity + p.units_added AS amount, NULL::text AS holder, NULL::text AS actor, NULL::text AS reason,
        NULL::text AS request_id, 0::bigint AS position, 0 AS step
    FROM reservation.pool p WHERE p.kind = 'counted'
    UNION ALL
    SELECT c.pool_id, p.pool, c.claimed_at, 1, 'taken',
        c.claim_id, -c.quantity, c.holder, NULL, NULL, c.request_id, c.position, c.step
    FROM reservation.claim c JOIN reservation.pool p ON p.pool_id = c.pool_id
    WHERE p.kind = 'counted' AND c.number IS NULL AND c.state = 'held'
    UNION ALL
    SELECT c.pool_id, p.pool, c.claimed_at, 1, CASE WHEN c.finalized_at = c.claimed_at THEN 'charged' ELSE 'taken' END,
        c.claim_id, -coalesce(c.taken, c.quantity), c.holder, NULL, NULL, c.request_id, c.position, c.step
    FROM reservation.every_claim c JOIN reservation.pool p ON p.pool_id = c.pool_id
    WHERE p.kind = 'counted' AND c.number IS NULL AND c.state <> 'held'
    UNION ALL
    SELECT l.pool_id, p.pool, l.at, 1, l.event, l.claim_id, l.change, NULL, l.actor, l.reason, l.request_id, l.position, l.step
    FROM reservation.log l JOIN reservation.pool p ON p.pool_id = l.pool_id
    WHERE l.change IS NOT NULL AND l.change <> 0
    UNION ALL
    SELECT c.pool_id, p.pool, c.expires_at, 2, 'lapsed', c.claim_id, c.quantity, c.holder, NULL, NULL, NULL, 0, 0
    FROM reservation.claim c JOIN reservation.pool p ON p.pool_id = c.pool_id
    WHERE p.kind = 'counted' AND c.number IS NULL AND c.state = 'held' AND c.expires_at <= clock_timestamp();
COMMENT ON VIEW reservation.entries IS 'every movement of the balance of every counted pool; account_entries() puts those of one in order';
COMMENT ON COLUMN reservation.entries.pool_id IS 'the pool';
COMMENT ON COLUMN reservation.entries.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.entries.at IS 'when';
COMMENT ON COLUMN reservation.entries.place IS 'order of what was at the same time: 0: opened; 1: what happened; 2: a hold whose time is over, and nobody has written that down';
COMMENT ON COLUMN reservation.entries.event IS 'opened, taken, charged, released, lapsed, finalized (what came back, or was taken again), refunded, adjusted or added';
COMMENT ON COLUMN reservation.entries.claim_id IS 'the claim, if it was one';
COMMENT ON COLUMN reservation.entries.amount IS 'what it did to the balance';
COMMENT ON COLUMN reservation.entries.holder IS 'holder of a claim that was made';
COMMENT ON COLUMN reservation.entries.actor IS 'role that made the call, for what is in the log';
COMMENT ON COLUMN reservation.entries.reason IS 'why, in the words of the caller';
COMMENT ON COLUMN reservation.entries.request_id IS 'idempotency key of the call';
COMMENT ON COLUMN reservation.entries.position IS 'order of what was in the same place: era * 2^48 + transaction id';
COMMENT ON COLUMN reservation.entries.step IS 'order within the transaction';

CREATE VIEW reservation.stream AS
    SELECT c.position, c.step, c.claimed_at AS at, 'claim' AS kind,
        CASE WHEN c.finalized_at = c.claimed_at THEN CASE WHEN c.number IS NULL THEN 'charged' ELSE 'assigned' END
            ELSE 'claimed' END AS event,
        c.pool_id, c.number, c.claim_id, NULL::uuid AS checkout_id, coalesce(c.taken, c.quantity) AS quantity,
        CASE WHEN c.number IS NULL THEN -coalesce(c.taken, c.quantity) END AS change,
        c.actor, c.holder, c.request_id, NULL::text AS reason, NULL::jsonb AS details
    FROM reservation.every_claim c
    UNION ALL
    SELECT t.position, t.step, t.joined_at, 'ticket', 'joined', t.pool_id, NULL, NULL, NULL, t.quantity, NULL,
        t.actor, t.holder, NULL, NULL, jsonb_build_object('ticket_id', t.ticket_id, 'priority', t.priority)
    FROM reservation.ticket t
    UNION ALL
    SELECT l.position, l.step, l.at, l.kind, l.event, l.pool_id, NULL, l.claim_id, l.checkout_id, l.quantity, l.change,
        l.actor, CASE WHEN l.kind = 'ticket' THEN l.details ->> 'holder' END, l.request_id, l.reason, l.details
    FROM reservation.log l;
COMMENT ON VIEW reservation.stream IS 'every event as it lies in the tables; the view events has names for it';
COMMENT ON COLUMN reservation.stream.position IS 'era * 2^48 + transaction id';
COMMENT ON COLUMN reservation.stream.step IS 'which event of that transaction it was';
COMMENT ON COLUMN reservation.stream.at IS 'when';
COMMENT ON COLUMN reservation.stream.kind IS 'what changed';
COMMENT ON COLUMN reservation.stream.event IS 'how';
COMMENT ON COLUMN reservation.stream.pool_id IS 'the pool';
COMMENT ON COLUMN reservation.stream.number IS 'the unit, where the row itself says';
COMMENT ON COLUMN reservation.stream.claim_id IS 'the claim';
COMMENT ON COLUMN reservation.stream.checkout_id IS 'the checkout';
COMMENT ON COLUMN reservation.stream.quantity IS 'how much';
COMMENT ON COLUMN reservation.stream.change IS 'what it did to the balance of a counted pool';
COMMENT ON COLUMN reservation.stream.actor IS 'role that made the call';
COMMENT ON COLUMN reservation.stream.holder IS 'the holder, where the row itself says';
COMMENT ON COLUMN reservation.stream.request_id IS 'idempotency key of the call';
COMMENT ON COLUMN reservation.stream.reason IS 'why';
COMMENT ON COLUMN reservation.stream.details IS 'what else';

-- Who may not read the claims, may not read here who has them, nor their ids, which are as good as keys; nor payments,
-- which stand in details.
CREATE VIEW reservation.events AS
    SELECT s.position, s.step, s.at, (s.position & 281474976710655)::text::xid8 AS transaction_id, s.kind, s.event, p.pool,
        coalesce(s.number, c.number) AS number, CASE WHEN r.claims THEN s.claim_id END AS claim_id,
        CASE WHEN r.claims THEN s.checkout_id END AS checkout_id, s.quantity, s.change, s.actor,
        CASE WHEN r.claims THEN coalesce(s.holder, c.holder, k.holder) END AS holder,
        CASE WHEN r.claims THEN s.request_id END AS request_id, CASE WHEN r.claims THEN s.reason END AS reason,
        CASE WHEN r.claims THEN s.details END AS details
    FROM reservation.stream s
    CROSS JOIN (SELECT has_table_privilege('reservation.claims', 'SELECT') AS claims OFFSET 0) r
    LEFT JOIN reservation.pool p USING (pool_id)
    LEFT JOIN reservation.every_claim c ON c.claim_id = s.claim_id AND s.holder IS NULL
    LEFT JOIN reservation.checkout k ON k.checkout_id = s.checkout_id;
COMMENT ON VIEW reservation.events IS 'every change of every pool, claim, stock, account, line, checkout, payment and order, append-only; events_since() follows it without missing any';
COMMENT ON COLUMN reservation.events.position IS 'order of the transactions: era * 2^48 + transaction id';
COMMENT ON COLUMN reservation.events.step IS 'order within the transaction';
COMMENT ON COLUMN reservation.events.at IS 'when the call was made';
COMMENT ON COLUMN reservation.events.transaction_id IS 'transaction of the call; before a restore, of the server that was dumped';
COMMENT ON COLUMN reservation.events.kind IS 'what changed: claim, pool, ticket, checkout, payment or order';
COMMENT ON COLUMN reservation.events.event IS 'of a claim: claimed, charged or assigned (made and finalized in one), extended, released, lapsed, finalized, refunded or renamed; of a pool: created, altered, adjusted, added, repaired or dropped; of a checkout: opened, paid, finalized, refund_due or cancelled; of a payment: paid, refund_due or refunded; of an order: made; of a ticket: joined, offered, left or ended (its holder joined again)';
COMMENT ON COLUMN reservation.events.pool IS 'name of the pool, NULL for what has none';
COMMENT ON COLUMN reservation.events.number IS 'the unit, NULL for a counted pool';
COMMENT ON COLUMN reservation.events.claim_id IS 'the claim, NULL if it was none, and for a reader who may not read claims';
COMMENT ON COLUMN reservation.events.checkout_id IS 'the checkout, NULL if it was none, and for a reader who may not read claims';
COMMENT ON COLUMN reservation.events.quantity IS 'units of the change; of a checkout or payment: the amount';
COMMENT ON COLUMN reservation.events.change IS 'what it did to the balance of a counted pool; NULL for a numbered one';
COMMENT ON COLUMN reservation.events.actor IS 'role that made the call';
COMMENT ON COLUMN reservation.events.holder IS 'who has the claim, waits or is buying, as of now; NULL for a reader who may not read claims';
COMMENT ON COLUMN reservation.events.request_id IS 'idempotency key of the call; NULL for a reader who may not read claims';
COMMENT ON COLUMN reservation.events.reason IS 'why, in the words of the caller; NULL for a reader who may not read claims';
COMMENT ON COLUMN reservation.events.details IS 'the rules of a pool as they are afterwards; provider, payment_id, amount and currency of a payment; order_id and order_number; the new holder of a claim; ticket_id, priority and claim_ids of a ticket; NULL for a reader who may not read claims';

CREATE VIEW reservation.units AS
    SELECT p.pool, n.number, u.label, u.attributes, n.state
    FROM (
        SELECT pool_id, number, 'free' AS state FROM reservation.available
        UNION ALL
        SELECT pool_id, number,
            CASE WHEN state = 'held' AND expires_at <= clock_timestamp() THEN 'free' ELSE state END
        FROM reservation.every_claim WHERE number IS NOT NULL AND (state = 'held' OR state = 'finalized')
    ) n
    JOIN reservation.pool p ON p.pool_id = n.pool_id AND p.dropped_at IS NULL
    LEFT JOIN reservation.unit u ON u.pool_id = n.pool_id AND u.number = n.number;
COMMENT ON VIEW reservation.units IS 'every unit of every numbered pool, free or not, without its holder: a seat map';
COMMENT ON COLUMN reservation.units.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.units.number IS 'number of the unit';
COMMENT ON COLUMN reservation.units.label IS 'what people call the unit';
COMMENT ON COLUMN reservation.units.attributes IS 'what the application wants to know about the unit';
COMMENT ON COLUMN reservation.units.state IS 'free, held or finalized';

CREATE VIEW reservation.checkouts AS
    SELECT c.checkout_id, c.holder,
        CASE WHEN c.state = 'open' AND c.expires_at <= clock_timestamp() THEN 'lapsed' ELSE c.state END AS state,
        c.amount, c.currency, c.created_at, c.expires_at, c.paid_at, c.ended_at, o.order_id, o.order_number, c.cart, c.claims,
        c.request_id
    FROM reservation.checkout c LEFT JOIN reservation.order o USING (checkout_id);
COMMENT ON VIEW reservation.checkouts IS 'every checkout there ever was, with its order; one that is open when its time is over is lapsed';
COMMENT ON COLUMN reservation.checkouts.checkout_id IS 'id of the checkout';
COMMENT ON COLUMN reservation.checkouts.holder IS 'who is buying';
COMMENT ON COLUMN reservation.checkouts.state IS 'open, lapsed, paid, finalized, refund_due or cancelled';
COMMENT ON COLUMN reservation.checkouts.amount IS 'what has to be paid; NULL: it needs no payment';
COMMENT ON COLUMN reservation.checkouts.currency IS 'what has to be paid in; NULL: anything';
COMMENT ON COLUMN reservation.checkouts.created_at IS 'when the holds began';
COMMENT ON COLUMN reservation.checkouts.expires_at IS 'when the first of the holds lapses';
COMMENT ON COLUMN reservation.checkouts.paid_at IS 'when its payment was recorded';
COMMENT ON COLUMN reservation.checkouts.ended_at IS 'when it was finalized, cancelled, or its payment became due back';
COMMENT ON COLUMN reservation.checkouts.order_id IS 'id of its order, NULL unless finalized';
COMMENT ON COLUMN reservation.checkouts.order_number IS 'number of its order, NULL unless finalized';
COMMENT ON COLUMN reservation.checkouts.cart IS 'the cart that is sold, NULL if the lines were given';
COMMENT ON COLUMN reservation.checkouts.claims IS 'the claims of its lines';
COMMENT ON COLUMN reservation.checkouts.request_id IS 'idempotency key of the call that made it';

CREATE VIEW reservation.payments AS
    SELECT provider, payment_id, checkout_id, amount, currency, state, received_at, settled_at, reference
    FROM reservation.payment;
COMMENT ON VIEW reservation.payments IS 'every payment that was recorded, and what became of it';
COMMENT ON COLUMN reservation.payments.provider IS 'who signed it';
COMMENT ON COLUMN reservation.payments.payment_id IS 'the provider''s id of the payment';
COMMENT ON COLUMN reservation.payments.checkout_id IS 'the checkout that it belongs to';
COMMENT ON COLUMN reservation.payments.amount IS 'in the smallest unit of the currency';
COMMENT ON COLUMN reservation.payments.currency IS 'as the call wrote it';
COMMENT ON COLUMN reservation.payments.state IS 'paid, refund_due or refunded';
COMMENT ON COLUMN reservation.payments.received_at IS 'when the payment was recorded';
COMMENT ON COLUMN reservation.payments.settled_at IS 'when settle_refund was called';
COMMENT ON COLUMN reservation.payments.reference IS 'of the refund';

CREATE VIEW reservation.refunds_due AS
    SELECT p.checkout_id, c.holder, p.provider, p.payment_id, p.amount, p.currency, p.received_at, c.state AS checkout_state
    FROM reservation.payment p LEFT JOIN reservation.checkout c USING (checkout_id)
    WHERE p.state = 'refund_due';
COMMENT ON VIEW reservation.refunds_due IS 'money that has to be given back: paid, and there were no goods for it. Stays until settle_refund';
COMMENT ON COLUMN reservation.refunds_due.checkout_id IS 'the checkout that was paid';
COMMENT ON COLUMN reservation.refunds_due.holder IS 'who was buying';
COMMENT ON COLUMN reservation.refunds_due.provider IS 'through whom the money came';
COMMENT ON COLUMN reservation.refunds_due.payment_id IS 'the provider''s id of the payment';
COMMENT ON COLUMN reservation.refunds_due.amount IS 'how much, in the smallest unit of the currency';
COMMENT ON COLUMN reservation.refunds_due.currency IS 'of the amount';
COMMENT ON COLUMN reservation.refunds_due.received_at IS 'when the payment was recorded';
COMMENT ON COLUMN reservation.refunds_due.checkout_state IS 'refund_due (the goods were gone), cancelled, or finalized (paid a second time)';

-- Each branch is one thing that can never be so. A statement sees one instant, so a sale under way raises no alarm.
CREATE FUNCTION reservation.last_drawn(sequence oid) RETURNS bigint
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_last_drawn';
COMMENT ON FUNCTION reservation.last_drawn IS 'For verify(): the last number that was drawn from a sequence. NULL: none was, or the sequence is being dropped, or there is none.
Errors: 42501 a sequence that the caller may not read.
Locks: the sequence, if nobody is dropping it; waits for nobody.';

CREATE VIEW reservation.contradictions AS
    WITH free AS (
        SELECT pool_id, count(*) AS units, min(number) AS lowest, max(number) AS highest
        FROM reservation.available GROUP BY pool_id
    ), live AS (
        SELECT pool_id, sum(quantity - coalesce(refunded, 0)) AS units, min(number) AS lowest, max(number) AS highest
        FROM reservation.every_claim WHERE state = 'held' OR state = 'finalized' GROUP BY pool_id
    ), stock AS (
        SELECT pool_id, sum(quantity) AS units, sum(added) AS added, min(quantity) AS lowest
        FROM reservation.stock GROUP BY pool_id
    ), crowded AS (
        -- numbers that are there more than once
        SELECT pool_id, number, count(claim_id) AS claims, count(*) - count(claim_id) AS free, min(claim_id::text) AS claim_id
        FROM (
            SELECT pool_id, number, NULL::uuid AS claim_id FROM reservation.available
            UNION ALL SELECT pool_id, number, claim_id FROM reservation.every_claim
            WHERE number IS NOT NULL AND (state = 'held' OR state = 'finalized')
        ) n GROUP BY pool_id, number HAVING count(*) > 1
    ), sequence AS MATERIALIZED (
        SELECT relname, reservation.last_drawn(oid) AS last
        FROM pg_class WHERE relkind = 'S' AND relnamespace = 'reservation'::regnamespace
    ), odd AS (
        -- claims that contradict themselves or their pool
        SELECT p.pool, p.kind, p.per_holder, p.dropped_at, c.claim_id, c.state, c.number, c.quantity, c.refunded, c.by_holder
        FROM reservation.every_claim c JOIN reservation.pool p USING (pool_id)
        WHERE (c.state = 'refunded') <> (coalesce(c.refunded, 0) = c.quantity)
            OR (c.refunded IS NOT NULL AND c.state <> 'refunded' AND c.state <> 'finalized')
            OR (p.kind = 'numbered') <> (c.number IS NOT NULL)
            OR (p.per_holder IS NOT NULL AND p.dropped_at IS NULL AND NOT c.by_holder
                AND (c.state = 'held' OR c.state = 'finalized'))
            OR (p.dropped_at IS NOT NULL AND c.state = 'held')
    ), said AS (
        SELECT claim_id, max(pool_id) AS pool_id, max(event) AS event,
            count(*) FILTER (WHERE event = 'released') AS released, count(*) FILTER (WHERE event = 'lapsed') AS lapsed,
            count(*) FILTER (WHERE event = 'finalized') AS finalized, count(*) FILTER (WHERE event = 'refunded') AS refunds,
            coalesce(sum(quantity) FILTER (WHERE event = 'refunded'), 0) AS refunded
        FROM reservation.log WHERE claim_id IS NOT NULL GROUP BY claim_id
    ), told AS (
        -- claims of which the log tells something else
        SELECT coalesce(c.pool_id, s.pool_id) AS pool_id, c.claim_id, s.claim_id AS said_id, c.state, s.event,
            coalesce(c.refunded, 0) AS refunded, coalesce(s.refunded, 0) AS said_refunded, s.released + s.finalized AS ends,
            c.state <> 'held' AND NOT (c.state = 'finalized' AND c.finalized_at = c.claimed_at)
                AND coalesce(CASE c.state WHEN 'released' THEN s.released WHEN 'lapsed' THEN s.lapsed
                    WHEN 'finalized' THEN s.finalized ELSE s.refunds END, 0) = 0 AS silent
        FROM said s FULL JOIN reservation.every_claim c USING (claim_id)
        WHERE c.claim_id IS NULL OR s.released + s.finalized > 1 OR coalesce(c.refunded, 0) <> coalesce(s.refunded, 0)
            OR (c.state <> 'held' AND NOT (c.state = 'finalized' AND c.finalized_at = c.claimed_at)
                AND coalesce(CASE c.state WHEN 'released' THEN s.released WHEN 'lapsed' THEN s.lapsed
                    WHEN 'finalized' THEN s.finalized ELSE s.refunds END, 0) = 0)
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
    JOIN (SELECT pool_id, sum(amount) AS amount FROM reservation.entries WHERE place < 2 GROUP BY pool_id) e USING (pool_id)
    WHERE p.dropped_at IS NULL AND e.amount <> coalesce(s.units, 0) + p.floor
    UNION ALL
    SELECT p.pool, 'the log has other refunds than the claim', t.refunded::text,
        format('%s, claim %s', t.said_refunded, t.claim_id), 'Compare reservation.log and reservation.claim with a backup.'
    FROM told t JOIN reservation.pool p USING (pool_id)
    WHERE t.claim_id IS NOT NULL AND t.refunded <> t.said_refunded
    UNION ALL
    SELECT o.pool, 'a claim is refunded in part and all of it, or all of it and still sold', o.state,
        format('%s of %s, claim %s', o.refunded, o.quantity, o.claim_id), 'Compare reservation.claim with a backup.'
    FROM odd o
    WHERE (o.state = 'refunded') <> (coalesce(o.refunded, 0) = o.quantity)
        OR (o.refunded IS NOT NULL AND o.state <> 'refunded' AND o.state <> 'finalized')
    UNION ALL
    SELECT p.pool, format('number %s is free and claimed at once', n.number), 'free or claimed', format('claim %s', n.claim_id),
        'Run SELECT * FROM reservation.repair(pool): the claim has a holder, so the unit is not free.'
    FROM crowded n JOIN reservation.pool p USING (pool_id)
    WHERE n.free > 0 AND n.claims > 0
    UNION ALL
    SELECT p.pool, format('number %s has several live claims', n.number), '1', n.claims::text,
        'REINDEX reservation.claim_live, then settle with the holders who keeps the unit.'
    FROM crowded n JOIN reservation.pool p USING (pool_id)
    WHERE n.claims > 1
    UNION ALL
    SELECT p.pool, format('number %s is free more than once', n.number), '1', n.free::text,
        'Delete all but one of its rows in reservation.available, then REINDEX reservation.available_pkey.'
    FROM crowded n JOIN reservation.pool p USING (pool_id)
    WHERE n.free > 1
    UNION ALL
    SELECT p.pool, 'a number is below the first of the pool', p.first_number::text,
        least(f.lowest, l.lowest)::text, 'Compare reservation.available and reservation.claim with a backup.'
    FROM reservation.pool p LEFT JOIN free f USING (pool_id) LEFT JOIN live l USING (pool_id)
    WHERE least(f.lowest, l.lowest) < p.first_number
    UNION ALL
    SELECT p.pool, 'a number is above the last that the pool gave out',
        greatest(p.first_number + p.capacity - 1, s.last)::text,
        greatest(f.highest, l.highest)::text, 'Compare reservation.available and reservation.claim with a backup.'
    FROM reservation.pool p LEFT JOIN free f USING (pool_id) LEFT JOIN live l USING (pool_id)
    LEFT JOIN sequence s ON s.relname = format('pool_%s_number', p.pool_id)
    WHERE p.kind = 'numbered' AND p.capacity IS NOT NULL AND p.dropped_at IS NULL AND (p.units_added = 0 OR s.last IS NOT NULL)
        AND greatest(f.highest, l.highest) > greatest(p.first_number + p.capacity - 1, s.last)
    UNION ALL
    SELECT p.pool, 'a counted pool has free units', '0', f.units::text, 'Delete them from reservation.available.'
    FROM reservation.pool p JOIN free f USING (pool_id) WHERE p.kind = 'counted'
    UNION ALL
    SELECT p.pool, 'a numbered pool has stock', '0', s.units::text, 'Delete it from reservation.stock.'
    FROM reservation.pool p JOIN stock s USING (pool_id) WHERE p.kind = 'numbered'
    UNION ALL
    SELECT p.pool, 'a dropped pool has something left', '0', (coalesce(f.units, 0) + coalesce(s.units, 0))::text,
        'Delete it from reservation.available and reservation.stock.'
    FROM reservation.pool p LEFT JOIN free f USING (pool_id) LEFT JOIN stock s USING (pool_id)
    WHERE p.dropped_at IS NOT NULL AND (f.pool_id IS NOT NULL OR s.pool_id IS NOT NULL)
    UNION ALL
    SELECT p.pool, 'the log has other additions of units than the pool', p.units_added::text, coalesce(sum(l.quantity), 0)::text,
        'Compare reservation.pool and reservation.log with a backup.'
    FROM reservation.pool p
    LEFT JOIN reservation.log l ON l.pool_id = p.pool_id AND l.kind = 'pool' AND l.event = 'added'
    WHERE p.kind = 'numbered'
    GROUP BY p.pool_id HAVING p.units_added <> coalesce(sum(l.quantity), 0)
    UNION ALL
    SELECT p.pool, 'units are described, and the pool says they are not', 'labelled', 'not labelled',
        'Run SELECT * FROM reservation.repair(pool).'
    FROM reservation.pool p
    WHERE NOT p.labelled AND EXISTS (SELECT FROM reservation.unit u WHERE u.pool_id = p.pool_id)
    UNION ALL
    SELECT p.pool, 'a slot has less than nothing', '0', s.lowest::text, 'Restore the constraint stock_quantity, then raise the balance.'
    FROM reservation.pool p JOIN stock s USING (pool_id) WHERE s.lowest < 0
    UNION ALL
    SELECT p.pool, format('number %s is described and does not exist', u.number), 'a unit', coalesce(u.label, 'attributes'),
        'Compare reservation.available and reservation.claim with a backup, or delete its row in reservation.unit.'
    FROM reservation.unit u JOIN reservation.pool p USING (pool_id)
    WHERE p.dropped_at IS NULL
        AND NOT EXISTS (SELECT FROM reservation.available a WHERE a.pool_id = u.pool_id AND a.number = u.number)
        AND NOT EXISTS (SELECT FROM reservation.every_claim c WHERE c.pool_id = u.pool_id AND c.number = u.number
            AND c.number IS NOT NULL AND (c.state = 'held' OR c.state = 'finalized'))
    UNION ALL
    SELECT p.pool, 'the sequence of an open edition is behind its numbers', l.highest::text,
        s.last::text, 'Nothing is lost: claims step over numbers in use.'
    FROM reservation.pool p JOIN live l USING (pool_id) JOIN sequence s ON s.relname = format('pool_%s_number', p.pool_id)
    WHERE p.capacity IS NULL AND p.dropped_at IS NULL AND s.last < l.highest
    UNION ALL
    SELECT p.pool, 'a claim is archived and is not', '1', format('2, claim %s', c.claim_id),
        'Delete the older of its rows in reservation.claim and reservation.claim_archive.'
    FROM reservation.claim c JOIN reservation.claim_archive a USING (claim_id) JOIN reservation.pool p ON p.pool_id = c.pool_id
    UNION ALL
    SELECT o.pool, 'a numbered pool has a claim without a number, or a counted pool one with', o.kind, o.claim_id::text,
        'Compare reservation.claim with a backup.'
    FROM odd o WHERE (o.kind = 'numbered') <> (o.number IS NOT NULL)
    UNION ALL
    SELECT o.pool, 'a live claim is not counted for the limit of its holder', 'by_holder', o.claim_id::text,
        'Run SELECT * FROM reservation.repair(pool).'
    FROM odd o
    WHERE o.per_holder IS NOT NULL AND o.dropped_at IS NULL AND NOT o.by_holder AND (o.state = 'held' OR o.state = 'finalized')
    UNION ALL
    SELECT p.pool, 'somebody waits, and the pool does not say so', 'lined', format('ticket %s', min(t.number)),
        'Set lined in reservation.pool.'
    FROM reservation.ticket t JOIN reservation.pool p USING (pool_id)
    WHERE t.state = 'waiting' AND NOT p.lined AND p.dropped_at IS NULL
    GROUP BY p.pool, p.pool_id
    UNION ALL
    SELECT p.pool, format('%s stands in line more than once', t.holder), '1', count(*)::text,
        'REINDEX reservation.ticket_holder, then leave_line with all but the first.'
    FROM reservation.ticket t JOIN reservation.pool p USING (pool_id)
    WHERE t.state = 'waiting' OR t.state = 'offered'
    GROUP BY p.pool, t.pool_id, t.holder HAVING count(*) > 1
    UNION ALL
    SELECT p.pool, 'two tickets of a line have one number', '1', format('%s of number %s', count(*), t.number),
        'Give one of them a number of its own.'
    FROM reservation.ticket t JOIN reservation.pool p USING (pool_id)
    GROUP BY p.pool, t.pool_id, t.number HAVING count(*) > 1
    UNION ALL
    SELECT p.pool, 'the sequence of a line is behind its numbers', max(t.number)::text,
        s.last::text, 'setval it to that.'
    FROM reservation.ticket t JOIN reservation.pool p USING (pool_id)
    JOIN sequence s ON s.relname = format('pool_%s_ticket', p.pool_id)
    GROUP BY p.pool, p.pool_id, s.last HAVING max(t.number) > s.last
    UNION ALL
    SELECT p.pool, 'an offer is not what its ticket asked for', format('%s of %s', t.quantity, t.holder),
        format('%s, ticket %s', sum(coalesce(c.taken, c.quantity)), t.ticket_id),
        'Compare reservation.ticket and reservation.claim with a backup.'
    FROM reservation.ticket t JOIN reservation.pool p USING (pool_id) CROSS JOIN unnest(t.claim_ids) AS o (claim_id)
    LEFT JOIN reservation.every_claim c ON c.claim_id = o.claim_id AND c.pool_id = t.pool_id AND c.holder = t.holder
    GROUP BY p.pool, t.ticket_id HAVING sum(coalesce(c.taken, c.quantity)) IS DISTINCT FROM t.quantity
    UNION ALL
    SELECT p.pool, 'two tickets have one offer', '1', format('%s of claim %s', count(*), o.claim_id),
        'Compare reservation.ticket with a backup.'
    FROM reservation.ticket t JOIN reservation.pool p USING (pool_id) CROSS JOIN unnest(t.claim_ids) AS o (claim_id)
    GROUP BY p.pool, t.pool_id, o.claim_id HAVING count(*) > 1
    UNION ALL
    SELECT p.pool, format('a thousand tickets from %s on, of priority %s, are counted wrong', block * 1000, priority),
        coalesce(t.waiting, 0)::text, coalesce(b.waiting, 0)::text,
        'Delete the rows of this block in reservation.line_block: it is counted again.'
    FROM (SELECT pool_id, block, priority, sum(waiting) AS waiting FROM reservation.line_block b
        WHERE EXISTS (SELECT FROM reservation.line_block c WHERE c.pool_id = b.pool_id AND c.block = b.block AND c.base)
        GROUP BY pool_id, block, priority) b
    FULL JOIN (SELECT pool_id, number / 1000 AS block, priority, count(*) AS waiting FROM reservation.ticket t
        WHERE state = 'waiting' AND EXISTS (SELECT FROM reservation.line_block c
            WHERE c.pool_id = t.pool_id AND c.block = t.number / 1000 AND c.base)
        GROUP BY pool_id, number / 1000, priority) t USING (pool_id, block, priority)
    JOIN reservation.pool p USING (pool_id)
    WHERE coalesce(b.waiting, 0) <> coalesce(t.waiting, 0)
    UNION ALL
    SELECT o.pool, 'a dropped pool has holds', '0', count(*)::text, 'Release them.'
    FROM odd o WHERE o.dropped_at IS NOT NULL AND o.state = 'held'
    GROUP BY o.pool
    UNION ALL
    SELECT NULL, format('reservation.%s has rows of a pool that does not exist', o.name), '0', o.pool_id::text,
        'Restore the row in reservation.pool from a backup.'
    FROM (
        SELECT 'available' AS name, pool_id FROM free
        UNION ALL SELECT 'stock', pool_id FROM stock
        UNION ALL SELECT 'claim', pool_id FROM reservation.claim GROUP BY pool_id
        UNION ALL SELECT 'claim_archive', pool_id FROM reservation.claim_archive GROUP BY pool_id
        UNION ALL SELECT 'unit', pool_id FROM reservation.unit GROUP BY pool_id
        UNION ALL SELECT 'request', pool_id FROM reservation.request GROUP BY pool_id
        UNION ALL SELECT 'log', pool_id FROM reservation.log WHERE pool_id IS NOT NULL GROUP BY pool_id
        UNION ALL SELECT 'ticket', pool_id FROM reservation.ticket GROUP BY pool_id
        UNION ALL SELECT 'line_block', pool_id FROM reservation.line_block GROUP BY pool_id
    ) o
    WHERE NOT EXISTS (SELECT FROM reservation.pool p WHERE p.pool_id = o.pool_id)
    UNION ALL
    SELECT p.pool, 'the log does not say how a claim came to its state', t.state, t.claim_id::text,
        'Compare reservation.log with a backup.'
    FROM told t JOIN reservation.pool p USING (pool_id) WHERE t.silent
    UNION ALL
    SELECT p.pool, 'the log names a claim that does not exist', t.event, t.said_id::text, 'Restore the claim from a backup.'
    FROM told t JOIN reservation.pool p USING (pool_id) WHERE t.claim_id IS NULL
    UNION ALL
    SELECT p.pool, 'the log ends a claim more than once', '1', format('%s, claim %s', t.ends, t.said_id),
        'Compare reservation.log and reservation.claim with a backup.'
    FROM told t JOIN reservation.pool p USING (pool_id) WHERE t.ends > 1
    UNION ALL
    SELECT NULL, 'an event is of a transaction that there has not been', format('below %s', h.position), e.position::text,
        'If reservation.era was changed, restore it from a backup.'
    FROM (SELECT max(position) AS position FROM reservation.stream) e
    CROSS JOIN (SELECT (count(*) << 48) + greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
            pg_current_xact_id_if_assigned()::text::bigint + 1) AS position
        FROM reservation.era) h
    WHERE e.position >= h.position
    UNION ALL
    SELECT p.pool, 'a stored answer names a claim that does not exist', r.request_id, a.row ->> 'claim_id',
        'Restore the claim from a backup.'
    FROM reservation.request r JOIN reservation.pool p USING (pool_id)
    CROSS JOIN LATERAL jsonb_array_elements(r.response) AS a(row)
    WHERE a.row ? 'claim_id'
        AND NOT EXISTS (SELECT FROM reservation.every_claim c WHERE c.claim_id = CASE
            WHEN a.row ->> 'claim_id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN (a.row ->> 'claim_id')::uuid END)
    UNION ALL
    SELECT NULL, 'a payment is neither for the goods of its checkout nor due back', 'a checkout in state paid or finalized',
        format('%s of checkout %s, %s', p.payment_id, p.checkout_id, coalesce(c.state, 'which does not exist')),
        'Compare reservation.payment and reservation.checkout with a backup.'
    FROM reservation.payment p LEFT JOIN reservation.checkout c USING (checkout_id)
    WHERE CASE WHEN p.state = 'paid' THEN coalesce(c.state NOT IN ('paid', 'finalized') OR c.paid_at IS NULL, true)
        ELSE c.checkout_id IS NULL END
    UNION ALL
    SELECT NULL, 'a checkout keeps several payments', '1', format('%s for checkout %s', count(*), p.checkout_id),
        'REINDEX reservation.payment_kept, then give one of them back.'
    FROM reservation.payment p WHERE p.state = 'paid'
    GROUP BY p.checkout_id HAVING count(*) > 1
    UNION ALL
    SELECT NULL, 'the log does not say how a payment came to its state', p.state,
        format('%s of checkout %s', p.payment_id, p.checkout_id), 'Compare reservation.log with a backup.'
    FROM reservation.payment p
    WHERE NOT EXISTS (SELECT FROM reservation.log l WHERE l.checkout_id = p.checkout_id AND l.kind = 'payment'
        AND l.event = p.state AND l.details ->> 'provider' = p.provider AND l.details ->> 'payment_id' = p.payment_id)
    UNION ALL
    SELECT DISTINCT NULL, 'the log has another payment than there is', format('%s %s', l.quantity, l.details ->> 'currency'),
        format('%s, %s for checkout %s', coalesce(p.amount || ' ' || p.currency, 'none'), l.details ->> 'payment_id',
            coalesce(p.checkout_id, l.checkout_id)),
        'Compare reservation.payment and reservation.log with a backup.'
    FROM reservation.log l LEFT JOIN reservation.payment p
        ON p.provider = l.details ->> 'provider' AND p.payment_id = l.details ->> 'payment_id'
    WHERE l.kind = 'payment' AND (p.payment_id IS NULL OR p.amount <> l.quantity OR p.checkout_id <> l.checkout_id
        OR p.currency IS DISTINCT FROM l.details ->> 'currency')
    UNION ALL
    SELECT NULL, 'the log does not say how a checkout came to its state', c.state, c.checkout_id::text,
        'Compare reservation.log with a backup.'
    FROM reservation.checkout c
    WHERE NOT EXISTS (SELECT FROM reservation.log l WHERE l.checkout_id = c.checkout_id AND l.kind = 'checkout'
        AND l.event = CASE c.state WHEN 'open' THEN 'opened' ELSE c.state END)
    UNION ALL
    SELECT NULL, 'the log names a checkout that does not exist', l.kind || ' ' || l.event, l.checkout_id::text,
        'Restore the checkout from a backup.'
    FROM reservation.log l
    WHERE l.checkout_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM reservation.checkout c WHERE c.checkout_id = l.checkout_id)
    UNION ALL
    SELECT NULL, 'several orders have one number', '1', format('%s have number %s', count(*), o.order_number),
        'REINDEX reservation.order_number, then give all but one of them another number.'
    FROM reservation.order o
    GROUP BY o.order_number HAVING count(*) > 1
    UNION ALL
    SELECT NULL, 'the log has another order than there is', coalesce(o.order_id::text, 'none'),
        coalesce(l.details ->> 'order_id', 'none') || format(', checkout %s', coalesce(o.checkout_id, l.checkout_id)),
        'Compare reservation.order and reservation.log with a backup.'
    FROM reservation.order o
    FULL JOIN (SELECT * FROM reservation.log WHERE kind = 'order') l ON l.checkout_id = o.checkout_id
        AND l.details ->> 'order_id' = o.order_id::text AND l.details ->> 'order_number' = o.order_number::text
    WHERE o.order_id IS NULL OR l.checkout_id IS NULL
    UNION ALL
    SELECT NULL, 'a checkout counts as paid and has no payment, or one of another amount', coalesce(c.amount::text, 'a payment'),
        format('%s for checkout %s', coalesce(p.amount, 0), c.checkout_id),
        'Compare reservation.payment and reservation.checkout with a backup.'
    FROM reservation.checkout c LEFT JOIN reservation.payment p ON p.checkout_id = c.checkout_id AND p.state = 'paid'
    WHERE c.paid_at IS NOT NULL AND c.state IN ('paid', 'finalized') AND (p.checkout_id IS NULL OR p.amount <> c.amount)
    UNION ALL
    SELECT NULL, 'a checkout has not the one order that its state says',
        CASE WHEN c.state = 'finalized' THEN '1' ELSE '0' END,
        format('%s for checkout %s', count(o.order_id), coalesce(c.checkout_id, o.checkout_id)),
        'Compare reservation.order and reservation.checkout with a backup.'
    FROM reservation.checkout c FULL JOIN reservation.order o USING (checkout_id)
    GROUP BY c.checkout_id, o.checkout_id, c.state
    HAVING count(o.order_id) <> CASE WHEN c.state = 'finalized' THEN 1 ELSE 0 END
    UNION ALL
    SELECT NULL, 'order numbers that were settled are missing', s.settled::text, count(o.order_id)::text,
        'Restore the missing rows in reservation.order from a backup.'
    FROM (SELECT max(settled) AS settled FROM reservation.order) s LEFT JOIN reservation.order o ON o.order_number <= s.settled
    GROUP BY s.settled HAVING count(o.order_id) <> s.settled
    UNION ALL
    SELECT l.claim ->> 'pool', 'a claim is not in the state that its checkout says', c.state,
        format('%s, %s', coalesce(l.claim ->> 'claim_id', 'no claim'), coalesce(k.state, 'does not exist')),
        'Compare reservation.claim and reservation.checkout with a backup.'
    FROM reservation.checkout c CROSS JOIN LATERAL jsonb_array_elements(c.claims) AS l(claim)
    LEFT JOIN reservation.every_claim k ON k.claim_id = CASE
        WHEN l.claim ->> 'claim_id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN (l.claim ->> 'claim_id')::uuid END
    WHERE k.claim_id IS NULL OR (c.state = 'finalized' AND k.state NOT IN ('finalized', 'refunded'))
        OR (c.state IN ('refund_due', 'cancelled')
            AND (k.state = 'held' OR (k.state = 'finalized' AND k.finalized_at <= c.ended_at)));
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

CREATE FUNCTION reservation.shard_of_name(name text) RETURNS integer
    LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rsv_shard_of_name';
COMMENT ON FUNCTION reservation.shard_of_name IS 'To which of 4,096 shards (0 to 4095) a pool belongs by its name, or a cart, a scope or the key of a limit: the low 12 bits of the CRC-32C of the name, or of its tag, which is what stands between its first { and the next }. The same on every machine and in every version. NULL: 0.
Errors: none. Locks: none.';

CREATE FUNCTION reservation.shard_of_id(id uuid) RETURNS integer
    LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rsv_shard_of_id';
COMMENT ON FUNCTION reservation.shard_of_id IS 'To which of 4,096 shards (0 to 4095) a claim or checkout belongs by its id: that of its pool. NULL: 0.
Errors: none. Locks: none.';

CREATE FUNCTION reservation.create_pool(pool text, capacity bigint DEFAULT NULL, kind text DEFAULT 'numbered',
        first_number integer DEFAULT 1, hold_ttl interval DEFAULT NULL, per_holder integer DEFAULT NULL,
        floor bigint DEFAULT 0, ceiling bigint DEFAULT NULL, opens_at timestamptz DEFAULT NULL,
        closes_at timestamptz DEFAULT NULL, holder_rate integer DEFAULT NULL, holder_period interval DEFAULT NULL,
        pool_rate integer DEFAULT NULL, pool_period interval DEFAULT NULL, pass_over boolean DEFAULT false,
        offer_ttl interval DEFAULT NULL, notify_every interval DEFAULT NULL)
    RETURNS TABLE (status text, pool text, kind text, capacity bigint)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_create_pool';
COMMENT ON FUNCTION reservation.create_pool IS 'Makes a pool. capacity: units, NULL for an open edition without end; kind: numbered or counted; first_number: of the units; hold_ttl: how long a hold lives, NULL for the setting; per_holder: most units one holder may have; floor, ceiling: bounds of a counted balance; opens_at, closes_at: window of the sale; holder_rate, holder_period: so many calls of claim_next, claim_unit, take and charge for one holder at once, and as many per period after that, with whatever result and for whatever quantity; pool_rate, pool_period: the same for those of all. Triggers, checkouts and waiting lines spend nothing of these rates. For the waiting line: pass_over: a ticket that wants more than there is does not block smaller ones behind it; offer_ttl: how long an offer lives, NULL as hold_ttl; notify_every: when offers are made, NOTIFY reservation_line with the name of the pool, at most once in this time, NULL for never.
Status: created; existing (a pool of this name and definition is there).
Errors: 22023 bad argument, 42710 a pool of this name has another definition, 42809 floor or ceiling of a numbered pool, 25006 read-only.
Locks: the name. A retry: existing.';

CREATE FUNCTION reservation.alter_pool(pool text, hold_ttl interval DEFAULT NULL, per_holder integer DEFAULT NULL,
        opens_at timestamptz DEFAULT NULL, closes_at timestamptz DEFAULT NULL, paused boolean DEFAULT NULL,
        floor bigint DEFAULT NULL, ceiling bigint DEFAULT NULL, holder_rate integer DEFAULT NULL,
        holder_period interval DEFAULT NULL, pool_rate integer DEFAULT NULL, pool_period interval DEFAULT NULL,
        pass_over boolean DEFAULT NULL, offer_ttl interval DEFAULT NULL, notify_every interval DEFAULT NULL)
    RETURNS TABLE (status text, pool text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_alter_pool';
COMMENT ON FUNCTION reservation.alter_pool IS 'Changes the rules of a pool, which are those of create_pool; NULL leaves one as it is; a holder_rate or pool_rate of 0 ends that limit, and another rate or period begins a new one, with nothing spent; a notify_every of 0 ends the notifications. Claims that start after the commit obey. If that puts the pool on sale, its waiting line is served.
Status: altered.
Errors: 22023 bad argument, or a balance that a new floor or ceiling leaves out; 42704 unknown pool; 42809 floor or ceiling of a numbered pool; 55P03 unfinished transactions leave it undecided whether the balance allows a floor; 25006 read-only.
Locks: the row of the pool, which no claim waits for; for a floor also slots of the stock; for the first per_holder of a pool it waits for every transaction that has written a claim of any pool. A retry does the same again.';

CREATE FUNCTION reservation.add_units(pool text, count integer DEFAULT NULL, labels text[] DEFAULT NULL,
        attributes jsonb[] DEFAULT NULL)
    RETURNS TABLE (status text, first_number integer, last_number integer)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_add_units';
COMMENT ON FUNCTION reservation.add_units IS 'Adds units to a limited edition, numbered on by the sequence of the pool: as many as count says, or one for each element of labels or attributes. To a counted pool it adds count units without numbers, as adjust does.
Status: added; over_ceiling (of a counted pool: nothing was added).
Errors: 22023 bad argument or no numbers left, 42704 unknown pool, 42809 an open edition, or labels for a counted pool, 25006 read-only.
Locks: the row of the pool, against another add_units. A retry adds again.';

CREATE FUNCTION reservation.drop_pool(pool text, force boolean DEFAULT false)
    RETURNS TABLE (status text, pool text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_drop_pool';
COMMENT ON FUNCTION reservation.drop_pool IS 'Drops a pool. Its claims stay as history and its name is free again. force: also while there are live claims, whose holds are then released.
Status: dropped; in_use (somebody has a live claim, and not forced: nothing was changed).
Errors: 22023 bad argument, 42704 unknown pool (so also: a retry), 25006 read-only.
Locks: every free unit, slot and hold of the pool; it waits for the claims under way, and with force, if somebody has a live claim, for every transaction that has written a claim of any pool.';

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
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_claim_next';
COMMENT ON FUNCTION reservation.claim_next IS 'Claims the lowest free units of a numbered pool: count of them or none. One row for each. ttl: how long they are held, NULL for the rule of the pool; request_id: makes the call repeatable; wait: how long to wait for unfinished transactions that hold the last units, NULL for the setting reservation.claim_wait.
Status: claimed; existing (the live hold that this call would repeat, in a pool with per_holder); or one row without claim_id, with what is available: sold_out, busy, limit_reached, not_open, closed, paused, rate_limited (by holder_rate or pool_rate; retry_after says how long until there is room, and is NULL otherwise). Whatever is refused for a later reason than the rate has spent of it.
Errors: 22023 bad argument, 42704 unknown pool, 42809 a counted pool, RS001 request_id used with other arguments, 25006 read-only.
Locks: the units taken, without waiting; with a request_id or per_holder, a lock on a hash of it; with a rate, and without shared_preload_libraries, the row of its limit, before the others. A retry with the same request_id: the first answer, replayed; without: another claim.';

CREATE FUNCTION reservation.claim_unit(pool text, number integer, holder text, ttl interval DEFAULT NULL,
        request_id text DEFAULT NULL, wait interval DEFAULT NULL)
    RETURNS TABLE (status text, claim_id uuid, pool text, number integer, label text, holder text,
        expires_at timestamptz, available bigint, replayed boolean, retry_after interval)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_claim_unit';
COMMENT ON FUNCTION reservation.claim_unit IS 'Claims one unit of a numbered pool by its number, such as a seat. ttl, request_id, wait: as for claim_next.
Status: claimed; existing; or one row without claim_id: taken, busy, limit_reached, not_open, closed, paused, rate_limited (with retry_after, as for claim_next).
Errors: 22023 bad argument or a number that the pool does not have, 42704 unknown pool, 42809 a counted pool, RS001 request_id used with other arguments, 25006 read-only.
Locks and retry: as for claim_next.';

CREATE FUNCTION reservation.take(pool text, holder text, quantity bigint DEFAULT 1, ttl interval DEFAULT NULL,
        request_id text DEFAULT NULL, wait interval DEFAULT NULL)
    RETURNS TABLE (status text, claim_id uuid, pool text, quantity bigint, holder text, expires_at timestamptz,
        available bigint, replayed boolean, retry_after interval)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_take';
COMMENT ON FUNCTION reservation.take IS 'Takes a quantity from a counted pool, all of it or none, and holds it. ttl: for how long, NULL for the rule of the pool; request_id: makes the call repeatable; wait: how long to wait for unfinished transactions that have some of the stock, NULL for the setting reservation.claim_wait.
Status: claimed; existing (the live holds that this call would repeat, in a pool with per_holder); or one row without claim_id, with what is available: insufficient, busy, limit_reached, not_open, closed, paused, rate_limited (with retry_after, as for claim_next).
Errors: 22023 bad argument, 42704 unknown pool, 42809 a numbered pool, RS001 request_id used with other arguments, 25006 read-only.
Locks: one slot of the stock, or several if none has enough, without waiting for any; with a request_id or per_holder, a lock on a hash of it; with a rate, and without shared_preload_libraries, the row of its limit, before the others. A retry with the same request_id: the first answer, replayed; without: another claim.';

CREATE FUNCTION reservation.charge(account text, amount bigint, request_id text)
    RETURNS TABLE (status text, claim_id uuid, balance bigint, replayed boolean, retry_after interval)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_charge';
COMMENT ON FUNCTION reservation.charge IS 'Takes an amount from an account, which is a counted pool, for good: take and finalize in one claim, whose holder is the account; refund gives it back. balance: afterwards. request_id: makes the call repeatable; NULL: it is not. Waits as take does. The commit is flushed to disk even with synchronous_commit off.
Status: charged; or without claim_id: insufficient, busy, limit_reached, not_open, closed, paused, rate_limited (with retry_after, as for claim_next).
Errors: 22023 bad argument, 42704 unknown account, 42809 a numbered pool, RS001 request_id used with other arguments, 25006 read-only.
Locks: as for take. A retry with the same request_id: the first answer, replayed.';

CREATE FUNCTION reservation.adjust(pool text, delta bigint, request_id text DEFAULT NULL, reason text DEFAULT NULL)
    RETURNS TABLE (status text, pool text, delta bigint, balance bigint, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_adjust';
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
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_extend';
COMMENT ON FUNCTION reservation.extend IS 'Moves the end of a live hold to ttl from now, never to an earlier time.
Status: held; lapsed, finalized, released (nothing was changed).
Errors: 22023 bad argument, RS002 unknown claim, 25006 read-only.
Locks: the claim. A retry extends from its own time.';

CREATE FUNCTION reservation.release(claim_id uuid)
    RETURNS TABLE (status text, claim_id uuid, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_release';
COMMENT ON FUNCTION reservation.release IS 'Gives back what is held.
Status: released; lapsed, finalized (nothing was changed).
Errors: 22023 bad argument, RS002 unknown claim, 25006 read-only.
Locks: the claim. A retry: released, replayed.';

CREATE FUNCTION reservation.finalize(claim_id uuid, quantity bigint DEFAULT NULL)
    RETURNS TABLE (status text, claim_id uuid, pool text, number integer, quantity bigint, holder text,
        finalized_at timestamptz, late boolean, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_finalize';
COMMENT ON FUNCTION reservation.finalize IS 'Makes a hold final: sold. quantity: at most what is held, NULL for all; the rest goes back. After the hold lapsed it still succeeds, late, if nobody took the unit, or there is as much left, and per_holder allows it. The commit is flushed to disk even with synchronous_commit off.
Status: finalized; lapsed, released (nothing was changed).
Errors: 22023 bad argument, RS002 unknown claim, 55P03 an unfinished transaction leaves it undecided whether a lapsed unit is free, 25006 read-only.
Locks: the claim. A retry: the same row, replayed.';

CREATE FUNCTION reservation.refund(claim_id uuid, quantity bigint DEFAULT NULL, request_id text DEFAULT NULL)
    RETURNS TABLE (status text, claim_id uuid, refunded bigint, remaining bigint, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_refund';
COMMENT ON FUNCTION reservation.refund IS 'Takes back a finalized claim, or a part of it; what is refunded is free again. quantity: NULL for the rest; request_id: makes the call repeatable. remaining: what can still be refunded. The commit is flushed to disk even with synchronous_commit off.
Status: refunded; exceeds (more than remains), not_finalized (nothing was changed).
Errors: 22023 bad argument, RS001 request_id used with other arguments, RS002 unknown claim, 25006 read-only.
Locks: the claim; it waits for a drop_pool of the pool that is under way. A retry with the same request_id, or of a refund of the rest: refunded, replayed; of a part without: another part, never more than was sold.';

CREATE FUNCTION reservation.run_once(scope text, request_id text, arguments jsonb DEFAULT NULL)
    RETURNS TABLE (status text, response jsonb)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_run_once';
COMMENT ON FUNCTION reservation.run_once IS 'Makes an operation of the application happen once. Call it at the start of the transaction that does the work and ends with save_response. scope: kind of the operation; request_id: which one; arguments: what a repeated call must have, too.
Status: first (do the work); replayed, with the response of the first, NULL if it committed without one.
Errors: 22023 bad argument, RS001 request_id used with other arguments, 25006 read-only.
Locks: the operation. A retry waits for the first caller and gets its response; if the first rolls back or its session ends, the retry is the first at once.';

CREATE FUNCTION reservation.save_response(scope text, request_id text, response jsonb)
    RETURNS TABLE (status text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_save_response';
COMMENT ON FUNCTION reservation.save_response IS 'Stores the response of an operation that run_once said to do, for everybody who asks again.
Status: saved.
Errors: 22023 bad argument, RS001 it has another response already, RS002 run_once was not called, 25006 read-only.
Locks: the operation. A retry: saved.';

CREATE FUNCTION reservation.cart_add(cart text, pool text, quantity bigint DEFAULT 1, options jsonb DEFAULT '{}')
    RETURNS TABLE (status text, cart text, pool text, quantity bigint)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_cart_add';
COMMENT ON FUNCTION reservation.cart_add IS 'Adds a quantity to a line of a cart, and answers with what the line has now. options: an object of at most 640 bytes that tells lines of one pool apart, compared by value. Nothing is held.
Status: added.
Errors: 22023 bad argument or too much for a line, 42704 unknown pool, 25006 read-only.
Locks: a lock on a hash of the cart. A retry adds again: where that matters, use cart_set.';

CREATE FUNCTION reservation.cart_set(cart text, pool text, quantity bigint, options jsonb DEFAULT '{}')
    RETURNS TABLE (status text, cart text, pool text, quantity bigint)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_cart_set';
COMMENT ON FUNCTION reservation.cart_set IS 'Sets the quantity of a line of a cart; 0 removes it.
Status: set; removed.
Errors: 22023 bad argument, 42704 unknown pool (not for 0), 25006 read-only.
Locks: a lock on a hash of the cart. A retry does the same again.';

CREATE FUNCTION reservation.cart_merge(source text, target text, policy text DEFAULT 'sum')
    RETURNS TABLE (status text, target text, lines bigint, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_cart_merge';
COMMENT ON FUNCTION reservation.cart_merge IS 'Moves all lines of one cart into another, as when a guest signs in, and empties the first. policy, for a line that both have: sum, max, or the quantity of source or target; lines that only one has are kept. lines: how many were moved. A checkout of the source that is under way goes on with the target.
Status: merged.
Errors: 22023 bad argument, the same cart twice, or too much for a line (nothing is merged), 25006 read-only.
Locks: locks on hashes of both carts. A retry: merged, replayed, with the lines of the first call.';

CREATE FUNCTION reservation.cart_lines(cart text)
    RETURNS TABLE (pool text, options jsonb, quantity bigint)
    LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'rsv_cart_lines';
COMMENT ON FUNCTION reservation.cart_lines IS 'The lines of a cart, as the snapshot of the caller sees them; none for a cart that nobody has added to.
Errors: 22023 bad argument.
Locks: none. Works on a standby.';

CREATE FUNCTION reservation.checkout(request_id text, holder text, lines jsonb, ttl interval DEFAULT NULL,
        amount bigint DEFAULT NULL, currency text DEFAULT NULL)
    RETURNS TABLE (status text, checkout_id uuid, expires_at timestamptz, claims jsonb, shortages jsonb, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_checkout';
COMMENT ON FUNCTION reservation.checkout IS 'Holds several lines together, all or none. lines: an array of 1 to 10,000 objects, each {"pool", "quantity"} for the next units (quantity: 1 if left out) or {"pool", "number"} for a unit by its number; lines of one pool are added up. ttl: how long all are held, NULL for the rule of each pool; amount: what has to be paid, in the smallest unit of the currency, NULL if nothing; currency: NULL for any.
Status: open, with claims [{"claim_id", "pool", "number", "quantity"}]; short (nothing is held), with shortages [{"pool", "requested", "available", "reason"}] for every pool that falls short.
Errors: 22023 bad argument or a number that a pool does not have, 42704 unknown pool, 42809 a number in a counted pool, RS001 request_id used with other arguments, 25006 read-only.
Locks: a lock on a hash of the request_id, and of the holder for pools with per_holder; the units taken, without waiting. It holds nothing while it waits for unfinished transactions, at most reservation.claim_wait. A retry: the first answer, replayed.';

CREATE FUNCTION reservation.checkout_cart(cart text, request_id text, holder text, ttl interval DEFAULT NULL,
        amount bigint DEFAULT NULL, currency text DEFAULT NULL)
    RETURNS TABLE (status text, checkout_id uuid, expires_at timestamptz, claims jsonb, shortages jsonb, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_checkout_cart';
COMMENT ON FUNCTION reservation.checkout_cart IS 'Holds the lines of a cart together, all or none, as checkout does. They stay in the cart until finalize_checkout takes out exactly what was sold.
Status: as for checkout.
Errors: as for checkout; also 22023 an empty cart.
Locks and retry: as for checkout; also a lock on a hash of the cart. A retry gets the first answer also when the cart has changed.';

CREATE FUNCTION reservation.set_payment_provider(provider text, scheme text, secret text)
    RETURNS TABLE (status text, provider text, scheme text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_set_payment_provider';
COMMENT ON FUNCTION reservation.set_payment_provider IS 'Says how a payment provider signs, and with which secret. scheme: razorpay, stripe or hmac-sha256. Only the extension reads the secret; it is in no dump, so set it again after a restore. Pass it as a parameter, so that it is in no log.
Status: set.
Errors: 22023 bad argument, 25006 read-only.
Locks: the provider. A retry sets the same again.';

CREATE FUNCTION reservation.record_payment(checkout_id uuid, provider text, payment_id text, amount bigint, currency text,
        payload text, signature text)
    RETURNS TABLE (status text, checkout_id uuid, payment_id text, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_record_payment';
COMMENT ON FUNCTION reservation.record_payment IS 'Records a payment that its provider has signed, once. amount: in the smallest unit of the currency; payload and signature: for razorpay "order_id|payment_id", with the order_id that you stored, and the hexadecimal signature; for stripe the raw body and the whole header Stripe-Signature; for hmac-sha256 the raw body and the hexadecimal HMAC-SHA256. The commit is flushed to disk even with synchronous_commit off.
Status: paid; refund_due (recorded, and due back: the checkout is paid already, or could not be finalized), cancelled (the same, of a cancelled checkout); or, with nothing recorded: bad_signature, amount_mismatch, payment_used (it belongs to another checkout).
Errors: 22023 bad argument or a payload of more than 1 MiB, 42704 unknown provider, RS002 unknown checkout, 25006 read-only.
Locks: the checkout. A retry: the first answer, replayed.';

CREATE FUNCTION reservation.finalize_checkout(checkout_id uuid)
    RETURNS TABLE (status text, checkout_id uuid, order_id uuid, order_number bigint, finalized_at timestamptz, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_finalize_checkout';
COMMENT ON FUNCTION reservation.finalize_checkout IS 'Makes a checkout an order: finalizes all its claims and takes what was sold out of its cart. Order numbers are dense: the lowest that no order has, so that a rollback or a crash loses none, and nobody waits for anybody''s commit. After the holds lapsed it still succeeds if the same units, or as much of a counted pool, can be had. The commit is flushed to disk even with synchronous_commit off.
Status: finalized; not_paid; lapsed (it needs no payment, and something cannot be had any more: nothing was changed); refund_due (it is paid, and something cannot be had any more: all of it was given up, and the payment is in the view refunds_due); cancelled.
Errors: 22023 bad argument, RS002 unknown checkout, 55P03 an unfinished transaction leaves it undecided whether a lapsed unit is free, 25006 read-only.
Locks: a lock on a hash of the cart, the checkout, its claims. A retry: the same order, replayed.';

CREATE FUNCTION reservation.cancel_checkout(checkout_id uuid)
    RETURNS TABLE (status text, checkout_id uuid, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_cancel_checkout';
COMMENT ON FUNCTION reservation.cancel_checkout IS 'Gives back what a checkout holds, and what of it was finalized one by one. If it is paid, its payment is due back.
Status: cancelled; finalized (nothing was changed).
Errors: 22023 bad argument, RS002 unknown checkout, 25006 read-only.
Locks: the checkout and its claims. A retry: cancelled, replayed.';

CREATE FUNCTION reservation.settle_refund(checkout_id uuid, reference text, provider text DEFAULT NULL, payment_id text DEFAULT NULL)
    RETURNS TABLE (status text, checkout_id uuid, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_settle_refund';
COMMENT ON FUNCTION reservation.settle_refund IS 'Notes that a payment was given back, and takes it out of the view refunds_due. reference: of the refund, such as the provider''s id of it; provider, payment_id: which payment, needed only if several of the checkout are due.
Status: settled; nothing_due (nothing was changed).
Errors: 22023 bad argument, or several payments are due and none is named, RS002 unknown checkout, 25006 read-only.
Locks: the checkout. A retry with the same reference: settled, replayed.';

CREATE FUNCTION reservation.sweep(max integer DEFAULT 1000)
    RETURNS TABLE (status text, lapsed integer)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_sweep';
COMMENT ON FUNCTION reservation.sweep IS 'Ends up to max holds whose time is over, of all pools, and passes over what is locked; offers what is free in up to max pools on sale to their waiting lines; puts the slots of up to max quiet counted pools together. Nothing depends on it: what has lapsed is free for anyone at once.
Status: swept, with the number of holds.
Errors: 22023 bad argument, 25006 read-only.
Locks: the claims it ends and the slots it changes, without waiting. A retry sweeps on.';

CREATE FUNCTION reservation.join_line(pool text, holder text, quantity bigint DEFAULT 1, priority integer DEFAULT 0,
        request_id text DEFAULT NULL)
    RETURNS TABLE (status text, ticket_id uuid, "position" bigint, claim_id uuid, replayed boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_join_line';
COMMENT ON FUNCTION reservation.join_line IS 'Takes a ticket of the waiting line of a pool, numbered or counted. quantity: units wanted, all or none; priority: higher ones are served first, whoever joins; request_id: makes the call repeatable. position: 1 for who is next; beyond 1,000 as counted by this session within the last second, plus the numbers drawn since. While anybody waits, what comes free is theirs, in the order of joining: a ticket whose join was committed before another began is before it; of two at the same time, the one that drew its number first. If the pool is on sale, something is free and nobody else waits, the ticket is offered it at once. An offer is a hold (claim_id is its first, the view holds has all): finalize it, or release it.
Status: waiting; offered; existing (the holder waits already, or has an offer: that ticket); or without ticket_id: limit_reached (by per_holder, which counts tickets), busy (another call of the holder is under way for longer than reservation.claim_wait), closed (the sale is over).
Errors: 22023 bad argument, 42704 unknown pool, RS001 request_id used with other arguments, 25006 read-only.
Locks: the first ticket of a pool ever, the pool''s row, for which other first ones wait, and no claim does; with a request_id or per_holder, a lock on a hash of it. Otherwise nobody waits for another holder''s join. A retry: existing; with the same request_id the first answer, replayed.';

CREATE FUNCTION reservation.leave_line(ticket_id uuid)
    RETURNS TABLE (status text, ticket_id uuid)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_leave_line';
COMMENT ON FUNCTION reservation.leave_line IS 'Gives a ticket of a waiting line back; an offer that is still held goes to the next in line.
Status: left; finalized, lapsed, released, refunded (what the offer had become: nothing was changed).
Errors: 22023 bad argument, RS002 unknown ticket, 25006 read-only.
Locks: the ticket, and the claims of its offer; it waits for whoever is serving the ticket. A retry: left.';

CREATE FUNCTION reservation.line_position(ticket_id uuid)
    RETURNS TABLE (status text, "position" bigint, claim_id uuid, expires_at timestamptz)
    LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_line_position';
COMMENT ON FUNCTION reservation.line_position IS 'Where a ticket stands, as the snapshot of the caller sees it: 1 for who is next. claim_id, expires_at: of the offer. It only looks: an offer that has lapsed goes to the next by other calls. Thousands of tickets that have been counted are not counted again, so its cost grows with the number of thousands ahead, and of priorities.
Status: waiting, left, offered, or what became of the (first) hold: finalized, released, lapsed, refunded.
Errors: 22023 bad argument, RS002 unknown ticket.
Locks: none. Works on a standby.';

CREATE FUNCTION reservation.serve_line(pool text, max integer DEFAULT 100, method text DEFAULT 'fifo', seed text DEFAULT NULL)
    RETURNS TABLE (ticket_id uuid, holder text, claim_id uuid, number integer, quantity bigint, expires_at timestamptz)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_serve_line';
COMMENT ON FUNCTION reservation.serve_line IS 'Offers what is free to up to max waiting tickets, one row per hold, also before the pool opens and while it is paused. method: fifo, in the order of priority and joining; lottery, in the order of priority and of sha256 over seed, a colon and the ticket_id, in UTF-8. It stops at the first ticket that wants more than is free, unless the pool says pass_over. Several at once share the work: each passes over the tickets and units that another has its hand on.
Errors: 22023 bad argument, or a lottery without a seed; 42704 unknown pool; 25006 read-only.
Locks: the tickets and units it deals out, without waiting. A retry serves on; a lottery with the same seed goes on in the same order.';

CREATE FUNCTION reservation.rate_limit(key text, burst integer, period interval, cost integer DEFAULT 1)
    RETURNS TABLE (allowed boolean, remaining integer, retry_after interval, reset_after interval)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_rate_limit';
COMMENT ON FUNCTION reservation.rate_limit IS 'Limits how often something happens (GCRA): at most burst at once, and as many per period after that, evenly. key: whose limit it is, 1 to 1,000 bytes of the application''s choice; with another burst or period it is another limit. period: a year counts 365.25 days, a month 30, a day 24 hours; at most 1,000 years. cost: what this call spends if it is allowed; a refused call spends nothing. remaining: what could be spent now; retry_after: how long until this call would be allowed, zero if it was, NULL if it never can be because its cost is above the burst; reset_after: how long until nothing is spent any more.
With shared_preload_libraries, what is spent stays spent if the transaction rolls back, and is forgotten at a restart, a crash and a failover. Without, it belongs to the transaction, as any row, survives a restart, and is forgotten at a crash and a failover.
Errors: 22023 bad argument, 25006 read-only.
Locks: with shared_preload_libraries none; without, the row of the limit until the transaction ends, for which other calls on it wait. A retry spends again.';

CREATE FUNCTION reservation.verify(pool text DEFAULT NULL)
    RETURNS TABLE (pool text, problem text, expected text, found text, hint text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_verify';
COMMENT ON FUNCTION reservation.verify IS 'Checks the books of one pool, or of all, and returns a row for each thing that is wrong: none when all is right. Reads what is true now, at every isolation level. Safe beside a running sale.
Errors: 42704 unknown pool.
Locks: none, but ACCESS SHARE on the tables that assign_number numbers. Works on a standby.';

CREATE FUNCTION reservation.archive(before timestamptz, max integer DEFAULT 10000)
    RETURNS TABLE (status text, claims integer)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_archive';
COMMENT ON FUNCTION reservation.archive IS 'Moves up to max claims that ended before an instant out of the way, the oldest first: finalized ones that were finalized before it, released and lapsed ones whose hold would have ended before it. Nothing is different afterwards but where they lie: the views, replays, refunds and all else are as before, and whatever settles one brings it back. Stays where it is: a finalized claim of a pool with per_holder, or that take_stock or charge_credit made for a row.
Status: archived, with the number of claims; 0: none is left.
Errors: 22023 bad argument, 25006 read-only.
Locks: the claims it moves, and their pools against being changed, passing over what is locked. A retry archives on.';

CREATE FUNCTION reservation.repair(pool text)
    RETURNS TABLE (status text, pool text, problem text, found text, action text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_repair';
COMMENT ON FUNCTION reservation.repair IS 'Mends what is wrong in the books of a pool and follows from the rest of them: units that are free although somebody has them; stock that is not what its entries add up to; claims that a limit overlooks; a sequence behind its numbers; rows of a kind that the pool does not have; a pool that denies its labels. Each mend is an event of the pool. Everything else is left as it is. Beside a running sale, it changes no more than what is wrong.
Status: mended, with what was done; refused, with what verify() finds now and what to do about it. No rows if all is right.
Errors: 22023 bad argument, 42704 unknown pool, 25006 read-only.
Locks: the pool against other changes of it, and the rows it mends. A retry: the refused rows again.';

CREATE FUNCTION reservation.balance_at(pool text, at timestamptz)
    RETURNS TABLE (pool text, at timestamptz, balance bigint, held bigint, finalized bigint)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_balance_at';
COMMENT ON FUNCTION reservation.balance_at IS 'What a pool had at an instant, from the books. balance: of a counted pool, its balance; of a numbered one, how many units were free; NULL: an open edition. held: units in holds that had not lapsed by then; finalized: units sold and not refunded by then. Before the pool was made: zeros. In the future: what will be if nothing happens but that holds lapse. Reads what is true now, at every isolation level, and all of the pool''s claims and events.
Errors: 22023 bad argument, 42704 unknown pool.
Locks: none. Works on a standby.';

CREATE FUNCTION reservation.events_since(cursor text DEFAULT NULL, max integer DEFAULT 1000)
    RETURNS TABLE (cursor text, at timestamptz, transaction_id xid8, kind text, event text, pool text, number integer,
        claim_id uuid, checkout_id uuid, quantity bigint, change bigint, actor text, holder text, request_id text, reason text,
        details jsonb)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_events_since';
COMMENT ON FUNCTION reservation.events_since IS 'The next events, in order: those of transactions older than any that is unfinished, so that none comes in behind a reader, in whatever order they commit. cursor: of the last row that the reader has dealt with, NULL: from the beginning; max: most rows, 1 to 1,000,000. No rows: nothing new that is certain yet. Reads what is true now, at every isolation level, in the name of the caller, who needs SELECT on the view events.
Errors: 22023 bad argument, 42501 events may not be read.
Locks: none. A retry with the same cursor: the same rows, and perhaps more. Works on a standby.';

CREATE FUNCTION reservation.index_events(enabled boolean DEFAULT true)
    RETURNS TABLE (status text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_index_events';
COMMENT ON FUNCTION reservation.index_events IS 'Makes the indexes by which events_since finds new events without reading all of the books, or drops them (enabled false). They cost every claim an index entry, so they are for who follows the events by polling. They are not dumped.
Status: indexed, dropped.
Errors: 22023 bad argument, 25006 read-only.
Locks, until the transaction ends: SHARE on the claims, the tickets and the log to make the indexes, which claims, joins and changes wait for; ACCESS EXCLUSIVE to drop them, which readers wait for too. A retry: the same status, and nothing is done.';

CREATE FUNCTION reservation.stats_by_id()
    RETURNS TABLE (pool_id integer, since timestamptz, claims bigint, hint_hits bigint, walks bigint, gone bigint, busy bigint,
        replays bigint, lapses bigint, waits bigint, waited_us bigint)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_stats_by_id';
COMMENT ON FUNCTION reservation.stats_by_id IS 'What the view stats reads: counters in shared memory, one row per pool that has any. No rows without shared_preload_libraries.
Errors: none.
Locks: none. Works on a standby.';

CREATE FUNCTION reservation.reset_stats()
    RETURNS TABLE (status text, pools integer)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_reset_stats';
COMMENT ON FUNCTION reservation.reset_stats IS 'Lets the counters of the view stats start from zero, in this database.
Status: reset, with the number of pools that had counters.
Errors: none.
Locks: none. A retry resets again.';

CREATE VIEW reservation.stats AS
    SELECT p.pool, s.since, s.claims, s.hint_hits, s.walks, s.gone, s.busy, s.replays, s.lapses, s.waits,
        make_interval(secs => s.waited_us / 1000000.0) AS waited,
        CASE WHEN p.kind = 'counted' THEN (SELECT count(*) FROM reservation.stock k WHERE k.pool_id = p.pool_id) END AS slots
    FROM reservation.stats_by_id() s JOIN reservation.pool p USING (pool_id)
    WHERE p.dropped_at IS NULL;
COMMENT ON VIEW reservation.stats IS 'what happened to each pool since its counters began, also in transactions that rolled back; empty without shared_preload_libraries';
COMMENT ON COLUMN reservation.stats.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.stats.since IS 'when the counters of this pool began: at a restart, a reset, or when the pool got its place in shared memory back';
COMMENT ON COLUMN reservation.stats.claims IS 'holds written';
COMMENT ON COLUMN reservation.stats.hint_hits IS 'units tried straight from their place, without a walk';
COMMENT ON COLUMN reservation.stats.walks IS 'walks over the free units';
COMMENT ON COLUMN reservation.stats.gone IS 'answers sold_out, taken and insufficient';
COMMENT ON COLUMN reservation.stats.busy IS 'answers busy, because other transactions had their hand on what was left';
COMMENT ON COLUMN reservation.stats.replays IS 'first answers given again for a request id';
COMMENT ON COLUMN reservation.stats.lapses IS 'holds ended because their time was over';
COMMENT ON COLUMN reservation.stats.waits IS 'times that a call waited for unfinished transactions';
COMMENT ON COLUMN reservation.stats.waited IS 'how long these were in all';
COMMENT ON COLUMN reservation.stats.slots IS 'slots that the stock of a counted pool is split into at this moment; NULL: a numbered pool';

CREATE FUNCTION reservation.holds_in_flight()
    RETURNS TABLE (place tid, claim_id uuid, pool_id integer, number integer, quantity bigint, holder text, claimed_at timestamptz,
        expires_at timestamptz, transaction_id xid, is_new boolean)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_holds_in_flight';
COMMENT ON FUNCTION reservation.holds_in_flight IS 'What the view holds reads: the holds that other unfinished transactions have made (is_new), which no query can see yet, and the committed ones that they are changing, by the ctid of their row (place). claim_id and holder are NULL for who may not read the view claims. Looks at every hold there is.
Errors: none.
Locks: none. Works on a standby.';

CREATE VIEW reservation.holds AS
    WITH flight AS MATERIALIZED (
        SELECT * FROM reservation.holds_in_flight()
    ), hold AS (
        SELECT c.pool_id, c.number, c.quantity, c.claim_id, c.holder, c.claimed_at, c.expires_at, f.transaction_id,
            CASE WHEN c.expires_at <= clock_timestamp() THEN 'lapsed' ELSE 'held' END AS state
        FROM reservation.claim c LEFT JOIN flight f ON f.place = c.ctid AND NOT f.is_new
        WHERE c.state = 'held'
        UNION ALL
        SELECT pool_id, number, quantity, claim_id, holder, claimed_at, expires_at, transaction_id, 'unfinished'
        FROM flight WHERE is_new
    )
    SELECT p.pool, h.number, u.label, h.quantity, h.state, h.claimed_at AS since, h.expires_at AS until, l.pid, x.gid AS prepared,
        CASE WHEN (SELECT has_table_privilege('reservation.claims', 'SELECT')) THEN h.claim_id END AS claim_id,
        CASE WHEN (SELECT has_table_privilege('reservation.claims', 'SELECT')) THEN h.holder END AS holder
    FROM hold h
    JOIN reservation.pool p ON p.pool_id = h.pool_id
    LEFT JOIN reservation.unit u ON u.pool_id = h.pool_id AND u.number = h.number
    LEFT JOIN pg_locks l ON l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
        AND l.transactionid = h.transaction_id
    LEFT JOIN pg_prepared_xacts x ON x.transaction = h.transaction_id;
COMMENT ON VIEW reservation.holds IS 'who holds what, since when and until when; also the holds of other unfinished transactions, with their session';
COMMENT ON COLUMN reservation.holds.pool IS 'name of the pool';
COMMENT ON COLUMN reservation.holds.number IS 'number of the unit, NULL for a counted pool';
COMMENT ON COLUMN reservation.holds.label IS 'what people call the unit';
COMMENT ON COLUMN reservation.holds.quantity IS 'units of the hold';
COMMENT ON COLUMN reservation.holds.state IS 'held; lapsed: its time is over, so it is anyone''s; unfinished: not committed yet';
COMMENT ON COLUMN reservation.holds.since IS 'when the hold began';
COMMENT ON COLUMN reservation.holds.until IS 'when it lapses, infinity: never';
COMMENT ON COLUMN reservation.holds.pid IS 'process of the session whose unfinished transaction has made the hold or is changing it; NULL: there is none, or it is prepared';
COMMENT ON COLUMN reservation.holds.prepared IS 'name of that transaction, if it is prepared';
COMMENT ON COLUMN reservation.holds.claim_id IS 'id of the claim; NULL for who may not read the view claims';
COMMENT ON COLUMN reservation.holds.holder IS 'who has it; NULL for who may not read the view claims';

CREATE VIEW reservation.stuck AS
    WITH patience AS (
        SELECT coalesce(nullif(current_setting('reservation.claim_wait', true), '')::interval, '2 s') AS wait
    ), lock AS MATERIALIZED (
        SELECT * FROM pg_locks WHERE granted
    ), writer AS (
        SELECT DISTINCT x.pid, x.transactionid
        FROM lock l JOIN pg_class c ON c.oid = l.relation
        JOIN lock x ON x.virtualtransaction = l.virtualtransaction AND x.pid IS NOT DISTINCT FROM l.pid
        WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND c.relkind = 'r'
            AND c.relnamespace = 'reservation'::regnamespace
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND x.locktype = 'transactionid' AND x.mode = 'ExclusiveLock'
    ), old AS (
        SELECT coalesce(a.xact_start, a.backend_start) AS since, a.pid, a.application_name AS name, a.backend_type AS who,
            greatest(age(a.backend_xid), age(a.backend_xmin)) AS age
        FROM pg_stat_activity a
        WHERE (a.datname = current_database() OR a.datname IS NULL) AND a.pid <> pg_backend_pid()
            AND a.backend_type <> 'autovacuum worker'
        UNION ALL
        SELECT x.prepared, NULL, x.gid, 'prepared transaction', age(x.transaction)
        FROM pg_prepared_xacts x WHERE x.database = current_database()
        UNION ALL
        SELECT NULL, s.active_pid, s.slot_name, 'replication slot', age(s.xmin) FROM pg_replication_slots s
    )
    SELECT 'prepared transaction' AS kind, x.prepared AS since, NULL::integer AS pid, x.gid AS name,
        format('prepared by %s, keeps what it has claimed, if anything', x.owner) AS detail,
        'COMMIT PREPARED or ROLLBACK PREPARED, in this database.' AS hint
    FROM pg_prepared_xacts x, patience
    WHERE x.database = current_database() AND x.prepared < clock_timestamp() - wait
        AND EXISTS (SELECT FROM writer w WHERE w.transactionid = x.transaction)
    UNION ALL
    SELECT a.state, a.state_change, a.pid, a.application_name, format('role %s, in a transaction since %s', a.usename, a.xact_start),
        'Its transaction keeps what it has claimed, if anything. Let the application commit; or pg_terminate_backend(pid).'
    FROM pg_stat_activity a, patience
    WHERE a.state = 'idle in transaction' AND a.state_change < clock_timestamp() - wait
        AND EXISTS (SELECT FROM writer w WHERE w.pid = a.pid)
    UNION ALL
    SELECT 'old snapshot', o.since, o.pid, o.name, format('%s, %s transactions old', o.who, o.age),
        'VACUUM cannot remove what was claimed since, so claims have more to look at. End it, or drop the slot.'
    FROM old o, patience
    WHERE o.age > 1000 AND (o.since IS NULL OR o.since < clock_timestamp() - wait)
    UNION ALL
    SELECT 'refund due', p.received_at, NULL, CASE WHEN r.claims THEN p.checkout_id::text END,
        CASE WHEN r.claims THEN format('%s %s, by %s', p.amount, p.currency, p.provider) END,
        'Give the money back, then settle_refund(). The view refunds_due has the payment.'
    FROM reservation.payment p
    CROSS JOIN (SELECT has_table_privilege('reservation.claims', 'SELECT') AS claims OFFSET 0) r
    WHERE p.state = 'refund_due';
COMMENT ON VIEW reservation.stuck IS 'what keeps a sale from going on and does not end by itself: transactions that keep rows of ours and do nothing for longer than reservation.claim_wait, snapshots older than 1,000 transactions, and payments to give back. Sessions of other roles are seen by pg_monitor alone, as in pg_stat_activity';
COMMENT ON COLUMN reservation.stuck.kind IS 'prepared transaction, idle in transaction, old snapshot or refund due';
COMMENT ON COLUMN reservation.stuck.since IS 'since when; NULL: not known, of a replication slot';
COMMENT ON COLUMN reservation.stuck.pid IS 'process of the session, if it is one';
COMMENT ON COLUMN reservation.stuck.name IS 'of the session''s application, the prepared transaction, the replication slot or the checkout';
COMMENT ON COLUMN reservation.stuck.detail IS 'what it is';
COMMENT ON COLUMN reservation.stuck.hint IS 'what to do about it';

CREATE FUNCTION reservation.grant_access(role regrole, level text)
    RETURNS TABLE (status text, role regrole, level text)
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'rsv_grant_access';
COMMENT ON FUNCTION reservation.grant_access IS 'Lets a role use the extension. level: read (pools and checks), claim (also claims), admin (also making pools and granting access).
Status: granted.
Errors: 22023 bad argument, 42704 unknown role, 25006 read-only.
Locks: the extension, so it waits for another grant_access, and the catalog entries of what is granted. A retry grants the same again.';

-- triggers for the application's own tables

CREATE FUNCTION reservation.assign_number() RETURNS trigger
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_assign_number';
COMMENT ON FUNCTION reservation.assign_number IS 'Trigger BEFORE INSERT OR UPDATE FOR EACH ROW. Arguments: ''pool'', or ''column:name'' of the column that names it; ''number_column'', an integer or text, with a form such as ''number_column:M-0000''; and perhaps ''flag_column'', boolean. An inserted row gets the lowest free number of the pool and a true flag, in the same transaction; when there is none, or the pool is not on sale, NULL and false. A row that never arrives (ON CONFLICT DO NOTHING) gives its number back. A finalized claim stands behind each number, whose holder names the row; an open edition numbers by its sequence alone, with gaps. The owner of the table may supply a number. With the same arguments AFTER DELETE FOR EACH ROW: a deleted row gives its number back. The commit is flushed to disk even with synchronous_commit off.
Errors: RS004 a number or flag from a role that does not own the table, or a number that is taken; 22003 a number that the column cannot hold, 22023 one that the pool does not have, 42704 unknown pool, 42809 a counted pool, 55P03 undecided whether a supplied number is free; for a definition that cannot work: 39P01, 22023, 42703, 42809.
Locks: the unit taken, without waiting; for the last units of a pool, as claim_next. A retry of the INSERT: another number.';

CREATE FUNCTION reservation.check_version() RETURNS trigger
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_check_version';
COMMENT ON FUNCTION reservation.check_version IS 'Trigger BEFORE UPDATE FOR EACH ROW, for optimistic locking. Argument: ''version_column'', of an integer type. An update that carries the version of the row passes, and the version is raised by 1; any other fails. An update that does not name the column carries what it finds.
Errors: RS005 another version, 22003 the type has no further number, 22004 the row has no version; for a definition that cannot work: 39P01, 22023, 42703, 42809.
Locks: none but the row''s. A retry with the version that has been read: RS005, if the first attempt was committed.';

CREATE FUNCTION reservation.finalize_once() RETURNS trigger
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_finalize_once';
COMMENT ON FUNCTION reservation.finalize_once IS 'Trigger BEFORE UPDATE FOR EACH ROW. Arguments: ''flag_column'', boolean, and perhaps ''at_column'', a timestamp. The flag turns true once, and at_column is set to the time of it. An update that sets it to true again counts 0 rows. The commit is flushed to disk even with synchronous_commit off.
Errors: RS004 the flag is turned back, or the time changed; for a definition that cannot work: 39P01, 22023, 42703, 42809.
Locks: none but the row''s. A retry: 0 rows.';

CREATE FUNCTION reservation.take_stock() RETURNS trigger
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_take_stock';
COMMENT ON FUNCTION reservation.take_stock IS 'Trigger AFTER INSERT OR UPDATE OR DELETE FOR EACH ROW, on a table with a primary key. Arguments: ''pool_column'', which names a counted pool, and ''quantity_column'', of an integer type, in the units of the pool. An inserted row takes its quantity, a deleted one gives it back, an updated one takes or gives back the difference; all rows of a statement at once, when it ends. A NULL pool, and a quantity of NULL or 0, take nothing. A finalized claim stands behind each row, whose holder names it. The commit is flushed to disk even with synchronous_commit off.
Errors: RS006 not enough, or not on sale, with what is available; 22003 a sum too large, 22023 a negative quantity, 42704 unknown pool, 42809 a numbered pool, 55P03 undecided whether there is enough; for a definition that cannot work: 39P01, 22023, 42703, 42809.
Locks: what it takes, the pools of a statement in the order of their ids. A retry of the INSERT: the same again.';

CREATE FUNCTION reservation.charge_credit() RETURNS trigger
    LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'rsv_charge_credit';
COMMENT ON FUNCTION reservation.charge_credit IS 'Trigger AFTER INSERT OR UPDATE FOR EACH ROW, on partitions also OR DELETE, on a table with a primary key. Arguments: ''account_column'', which names a counted pool; ''amount'', a column of an integer type or a number, in the units of the account; ''status_column''; and one or more failed states. An inserted row is charged once, when its statement ends; an update to a failed status refunds it, once. A deleted row stays charged. A NULL account, and an amount of NULL or 0, charge nothing. The commit is flushed to disk even with synchronous_commit off.
Errors: RS006 not enough credit, with what is available; RS004 another account or primary key; 22003 a sum too large, 22023 a negative amount, 42704 unknown account, 42809 a numbered pool, 55P03 undecided whether there is enough; for a definition that cannot work: 39P01, 22023, 42703, 42809.
Locks: what it takes, the accounts of a statement in the order of their ids; for a refund, the claim. A retry of the INSERT: another charge; of the refund: nothing.';

-- privileges: nothing to PUBLIC. Whoever created the extension can use, dump and restore all of it, but not change what
-- it is made of, because the library relies on that; nor refer to it by foreign keys, whose checks run in the name of the
-- tables' owner, a superuser, with whatever casts the referring column needs.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA reservation FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA reservation FROM PUBLIC;
GRANT USAGE ON SCHEMA reservation TO @extowner@ WITH GRANT OPTION;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA reservation TO @extowner@ WITH GRANT OPTION;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA reservation TO @extowner@ WITH GRANT OPTION;
GRANT SELECT, UPDATE, USAGE ON ALL SEQUENCES IN SCHEMA reservation TO @extowner@ WITH GRANT OPTION;
-- Secrets are for the library alone, which reads them in the name of the tables' owner.
REVOKE ALL ON reservation.payment_provider FROM @extowner@;
-- Whoever watches the server may watch the sale, and learns nobody's name.
GRANT USAGE ON SCHEMA reservation TO pg_monitor;
GRANT SELECT ON reservation.pool_status, reservation.stats, reservation.holds, reservation.stuck TO pg_monitor;
GRANT EXECUTE ON FUNCTION reservation.version, reservation.stats_by_id, reservation.holds_in_flight TO pg_monitor;
-- What has happened is not changed; a restore inserts.
REVOKE UPDATE, DELETE ON reservation.log FROM @extowner@;

-- dump: everything is data of the user, except secrets. The sequences of pools are derived and made again when needed;
-- rate limits in use are of this server and this moment.

SELECT pg_catalog.pg_extension_config_dump('reservation.era', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.pool_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.pool', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.available', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.unit', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.claim', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.claim_archive', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.ticket', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.line_block', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.request', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.operation', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.cart_line', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.cart_merge', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.checkout', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.payment', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.order', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.log', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.stock', '');
