\echo Use "ALTER EXTENSION reservation UPDATE" to load this file. \quit

-- First, in every update script: refused by a library that is older than this script.
CREATE OR REPLACE FUNCTION reservation.version() RETURNS text
    LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rsv_version';

-- more to know about the lines of carts
ALTER TABLE reservation.cart_line ADD COLUMN added_at timestamptz;
ALTER TABLE reservation.cart_line ALTER COLUMN added_at SET DEFAULT pg_catalog.clock_timestamp();
ALTER TABLE reservation.cart_line ADD CONSTRAINT cart_line_added_at CHECK (pg_catalog.isfinite(added_at));
CREATE INDEX cart_line_added ON reservation.cart_line (added_at);
COMMENT ON COLUMN reservation.cart_line.added_at IS 'when the line was added, NULL: before version %next%';
COMMENT ON CONSTRAINT cart_line_added_at ON reservation.cart_line IS 'a moment that is in the calendar';
GRANT SELECT (added_at) ON reservation.cart_line TO PUBLIC;

-- other ways to find things
ALTER TABLE reservation.cart_merge SET (fillfactor = 90);
CREATE INDEX claim_at ON reservation.claim (claimed_at);
DROP INDEX reservation.checkout_cart;
