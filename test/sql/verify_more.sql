-- verify(): more of what can be wrong. Every damage is done as a superuser and rolled back.
\a
\pset footer off
\pset null NULL

CREATE FUNCTION pg_temp.report() RETURNS TABLE (pool text, problem text, expected text, found text, hint text) LANGUAGE sql AS $$
    SELECT pool, problem, expected, regexp_replace(found, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '(id)'), hint
    FROM reservation.verify() ORDER BY pool, problem, expected, found
$$;
SELECT status FROM reservation.create_pool('vm', 5, first_number => 3);
SELECT status FROM reservation.create_pool('vm open');
SELECT status FROM reservation.create_pool('vm stock', 7, 'counted');
SELECT status FROM reservation.create_pool('vm other', 5);
SELECT pool_id AS v FROM reservation.pool WHERE pool = 'vm' \gset
SELECT pool_id AS open FROM reservation.pool WHERE pool = 'vm open' \gset
SELECT pool_id AS stock FROM reservation.pool WHERE pool = 'vm stock' \gset
SELECT status, number FROM reservation.claim_next('vm', 'ann', request_id => 'vm 1');
SELECT claim_id AS sale FROM reservation.claim_next('vm', 'bob') \gset
SELECT status FROM reservation.finalize(:'sale');

-- an answer that is none; a claim that ended twice; rows of a kind that the pool does not have; labels that it denies
BEGIN;
UPDATE reservation.request SET response = '[{"claim_id": "lost"}, "claim_id", 5, {"claim_id": 5}]' WHERE pool_id = :v;
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
INSERT INTO reservation.log SELECT at, position, step, pool_id, claim_id, NULL, quantity, kind, 'released', actor FROM reservation.log
WHERE claim_id = :'sale' AND event = 'finalized';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
INSERT INTO reservation.available VALUES (:stock, 1);
INSERT INTO reservation.stock VALUES (:v, 0, 2);
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
INSERT INTO reservation.unit VALUES (:v, 7, 'Row A 7', NULL);
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a unit that is free twice
BEGIN;
ALTER TABLE reservation.available DROP CONSTRAINT available_pkey;
INSERT INTO reservation.available VALUES (:v, 7);
SELECT * FROM pg_temp.report();
ROLLBACK;

-- units that nobody added, and what is left of a pool that is gone
BEGIN;
UPDATE reservation.pool SET units_added = 1 WHERE pool = 'vm other';
INSERT INTO reservation.available SELECT pool_id, 6 FROM reservation.pool WHERE pool = 'vm other';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
SELECT status FROM reservation.drop_pool('vm other');
INSERT INTO reservation.available SELECT pool_id, 6 FROM reservation.pool WHERE pool = 'vm other';
SELECT * FROM pg_temp.report();
ROLLBACK;

-- an event from the future: of an era, or a transaction, that there has not been
BEGIN;
DELETE FROM reservation.era;
SELECT problem FROM pg_temp.report();
ROLLBACK;

SELECT * FROM pg_temp.report();
