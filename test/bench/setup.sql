-- The database that every slice of the benchmark starts with a copy of.
CREATE EXTENSION reservation;
CREATE SCHEMA peer;

-- What the other peers claim from, each laid out as well as we know how.

-- units with a status, and a partial index of the free ones
CREATE TABLE peer.unit (
    pool text NOT NULL,
    number integer NOT NULL,
    status text NOT NULL DEFAULT 'free',
    PRIMARY KEY (pool, number)
);
CREATE INDEX unit_free ON peer.unit (pool, number) WHERE status = 'free';

-- one row that says how many are left
CREATE TABLE peer.stock (
    pool text PRIMARY KEY,
    n bigint NOT NULL,
    version bigint NOT NULL DEFAULT 0
);

-- the durable record of who has what until when: the least that does the job
CREATE TABLE peer.claim (
    claim_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool text NOT NULL,
    number integer,
    holder text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);

CREATE FUNCTION peer.claim_next(wanted text, who text) RETURNS integer
    LANGUAGE plpgsql AS $$
DECLARE
    free integer;
BEGIN
    SELECT u.number INTO free FROM peer.unit u WHERE u.pool = wanted AND u.status = 'free'
        ORDER BY u.number LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF free IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE peer.unit u SET status = 'held' WHERE u.pool = wanted AND u.number = free;
    INSERT INTO peer.claim (pool, number, holder, expires_at)
        VALUES (wanted, free, who, clock_timestamp() + interval '10 min');
    RETURN free;
END
$$;

-- claims to settle, by place
CREATE TABLE peer.hold (place integer PRIMARY KEY, claim_id uuid NOT NULL);

-- rows like ours, with the same indexes, for insert_select
CREATE TABLE peer.claim_copy (LIKE reservation.claim INCLUDING ALL);
CREATE SEQUENCE peer.batch;

-- accounts, and a ledger of what was charged
CREATE TABLE peer.account (account text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE peer.entry (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL,
    amount bigint NOT NULL,
    charged_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
