\echo Use "ALTER EXTENSION reservation UPDATE" to load this file. \quit

CREATE OR REPLACE FUNCTION reservation.version() RETURNS text
    LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 2 AS 'MODULE_PATHNAME', 'rsv_version';

-- gifts
CREATE SEQUENCE reservation.gift_number;
COMMENT ON SEQUENCE reservation.gift_number IS 'numbers the gifts';
CREATE TABLE reservation.gift (
    number bigint NOT NULL DEFAULT pg_catalog.nextval('reservation.gift_number'),
    claim_id uuid NOT NULL,
    words text COLLATE "C",
    CONSTRAINT gift_pkey PRIMARY KEY (number)
) USING heap;
COMMENT ON TABLE reservation.gift IS 'what is given away';
COMMENT ON COLUMN reservation.gift.words IS 'for the card';
CREATE VIEW reservation.gifts AS SELECT claim_id, words FROM reservation.gift;
COMMENT ON VIEW reservation.gifts IS 'what is given away, and to whom';
CREATE FUNCTION reservation.wrap(words text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'rsv_wrap';
COMMENT ON FUNCTION reservation.wrap IS 'Puts words into paper.';

REVOKE ALL ON FUNCTION reservation.wrap(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reservation.wrap(text) TO @extowner@ WITH GRANT OPTION;
GRANT SELECT, INSERT, UPDATE, DELETE ON reservation.gift, reservation.gifts TO @extowner@ WITH GRANT OPTION;
GRANT SELECT, UPDATE, USAGE ON SEQUENCE reservation.gift_number TO @extowner@ WITH GRANT OPTION;

SELECT pg_catalog.pg_extension_config_dump('reservation.gift_number', '');
SELECT pg_catalog.pg_extension_config_dump('reservation.gift', 'WHERE words IS NOT NULL');
