-- What the three checkouts are measured on: the same work on the same 20 pools, a cart of five lines, paid and finalized.
-- Run after setup.sql, which makes the extension and the schema peer.
SELECT status FROM generate_series(1, 20) n, reservation.create_pool('shop ' || n, 1000000000, 'counted');
-- one signature for all, over a payload that is always the same: what is measured is checking it, too
SELECT status FROM reservation.set_payment_provider('bench', 'hmac-sha256', 'Jefe');

CREATE TABLE peer.shop_stock (pool text PRIMARY KEY, quantity bigint NOT NULL CHECK (quantity >= 0));
INSERT INTO peer.shop_stock SELECT 'shop ' || n, 1000000000 FROM generate_series(1, 20) n;
CREATE TABLE peer.shop_checkout (
    checkout_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    request_id text NOT NULL UNIQUE,
    holder text NOT NULL,
    state text NOT NULL DEFAULT 'open',
    amount bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE TABLE peer.shop_claim (
    claim_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    checkout_id uuid NOT NULL,
    pool text NOT NULL,
    quantity bigint NOT NULL,
    state text NOT NULL DEFAULT 'held',
    expires_at timestamptz NOT NULL
);
CREATE INDEX shop_claim_checkout ON peer.shop_claim (checkout_id);
CREATE INDEX shop_claim_expiry ON peer.shop_claim (pool, expires_at) WHERE state = 'held';
CREATE TABLE peer.shop_payment (
    provider text NOT NULL,
    payment_id text NOT NULL,
    checkout_id uuid NOT NULL UNIQUE,
    amount bigint NOT NULL,
    PRIMARY KEY (provider, payment_id)
);
CREATE TABLE peer.shop_order (
    order_number bigint PRIMARY KEY,
    checkout_id uuid NOT NULL UNIQUE,
    finalized_at timestamptz NOT NULL
);
-- order numbers without gaps: a counter that a rollback takes back
CREATE TABLE peer.shop_counter (last bigint NOT NULL);
INSERT INTO peer.shop_counter VALUES (0);

-- hand-written, as well as we know how: one call, stock in one order, so that no two deadlock
CREATE FUNCTION peer.shop_buy(request text, who text, pools text[], price bigint, payment text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
    line text;
    number bigint;
    ends timestamptz := clock_timestamp() + interval '10 min';
BEGIN
    INSERT INTO peer.shop_checkout (request_id, holder, amount, expires_at) VALUES (request, who, price, ends)
        ON CONFLICT (request_id) DO NOTHING RETURNING checkout_id INTO id;
    IF id IS NULL THEN
        RETURN NULL;
    END IF;
    FOR line IN SELECT p FROM unnest(pools) p ORDER BY 1 LOOP
        UPDATE peer.shop_stock SET quantity = quantity - 1 WHERE pool = line AND quantity >= 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'sold out';
        END IF;
        INSERT INTO peer.shop_claim (checkout_id, pool, quantity, expires_at) VALUES (id, line, 1, ends);
    END LOOP;
    INSERT INTO peer.shop_payment VALUES ('bench', payment, id, price);
    UPDATE peer.shop_checkout SET state = 'paid' WHERE checkout_id = id AND state = 'open' AND amount = price;
    UPDATE peer.shop_claim SET state = 'finalized' WHERE checkout_id = id AND state = 'held';
    UPDATE peer.shop_checkout SET state = 'finalized' WHERE checkout_id = id AND state = 'paid';
    UPDATE peer.shop_counter SET last = last + 1 RETURNING last INTO number;
    INSERT INTO peer.shop_order VALUES (number, id, clock_timestamp());
    RETURN number;
END
$$;
