-- verify(): each thing that can be wrong is named. Every damage is done as a superuser and rolled back.
\a
\pset footer off
\pset null NULL

-- what earlier tests left behind
SELECT status FROM reservation.sweep();

-- what is found, without the ids that differ from run to run
CREATE FUNCTION pg_temp.report(name text DEFAULT NULL) RETURNS TABLE (pool text, problem text, expected text, found text, hint text)
LANGUAGE sql AS $$
    SELECT pool, problem, expected, regexp_replace(found, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '(id)'), hint
    FROM reservation.verify(name) ORDER BY pool, problem, expected, found
$$;

SELECT status FROM reservation.create_pool('v', 5, first_number => 3);
SELECT status FROM reservation.create_pool('v open');
SELECT status FROM reservation.create_pool('v stock', 7, 'counted');
SELECT status FROM reservation.create_pool('v other', 5);
SELECT pool_id AS v FROM reservation.pool WHERE pool = 'v' \gset
SELECT pool_id AS open FROM reservation.pool WHERE pool = 'v open' \gset
SELECT pool_id AS stock FROM reservation.pool WHERE pool = 'v stock' \gset
SELECT status, number FROM reservation.claim_next('v', 'ann', request_id => 'r1');
SELECT claim_id AS sale FROM reservation.claim_next('v', 'bob') \gset
SELECT status FROM reservation.finalize(:'sale');
SELECT status, number FROM reservation.claim_next('v open', 'ann', 3);
SELECT claim_id AS back FROM reservation.claim_next('v', 'cem') \gset
SELECT status FROM reservation.release(:'back');
SELECT status, number FROM reservation.claim_next('v', 'dan', ttl => '1 microsecond');
SELECT * FROM pg_temp.report();

-- a free unit that is lost; only its pool is blamed
BEGIN;
DELETE FROM reservation.available WHERE pool_id = :v AND number = 7;
SELECT * FROM pg_temp.report();
SELECT * FROM pg_temp.report('v');
SELECT * FROM pg_temp.report('v other');
ROLLBACK;

-- a claim that is lost, with a request id that still answers with it
BEGIN;
DELETE FROM reservation.claim WHERE pool_id = :v AND request_id = 'r1';
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a unit that is free and held at once
BEGIN;
INSERT INTO reservation.available VALUES (:v, 3);
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a unit that two have
BEGIN;
DROP INDEX reservation.claim_live;
INSERT INTO reservation.claim (claim_id, claimed_at, expires_at, quantity, pool_id, number, state, holder)
VALUES ('00000000-0000-7000-8000-000000000000', now(), 'infinity', 1, :v, 3, 'held', 'eve');
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a claim that a limit overlooks
BEGIN;
UPDATE reservation.pool SET per_holder = 3 WHERE pool_id = :v;
SELECT problem, found, hint FROM pg_temp.report() LIMIT 1;
SELECT status FROM reservation.alter_pool('v other', per_holder => 3);
SELECT count(*) AS of_the_other FROM pg_temp.report('v other');
ROLLBACK;

-- a number that the pool does not have
BEGIN;
UPDATE reservation.available SET number = 2 WHERE pool_id = :v AND number = 7;
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a claim without a number, and one with a number where there are none
BEGIN;
UPDATE reservation.claim SET number = NULL WHERE pool_id = :v AND request_id = 'r1';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
UPDATE reservation.stock SET quantity = 6 WHERE pool_id = :stock;
INSERT INTO reservation.claim (claim_id, claimed_at, expires_at, quantity, pool_id, number, state, holder)
VALUES ('00000000-0000-7000-8000-000000000000', now(), 'infinity', 1, :stock, 3, 'held', 'eve');
SELECT * FROM pg_temp.report();
ROLLBACK;

-- stock that does not add up, or is gone
BEGIN;
UPDATE reservation.stock SET quantity = 8 WHERE pool_id = :stock;
SELECT * FROM pg_temp.report();
DELETE FROM reservation.stock WHERE pool_id = :stock;
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a sequence that would repeat numbers: claims step over them all the same
BEGIN;
SELECT set_config('test.sequence', format('reservation.pool_%s_number', :open), true) IS NOT NULL AS noted;
DO $$ BEGIN EXECUTE format('ALTER SEQUENCE %s RESTART WITH 1', current_setting('test.sequence')); END $$;
SELECT nextval(current_setting('test.sequence'));
SELECT * FROM pg_temp.report();
SELECT status, number FROM reservation.claim_next('v open', 'bob');
SELECT * FROM pg_temp.report();
ROLLBACK;

-- holds of a pool that was dropped
BEGIN;
UPDATE reservation.pool SET dropped_at = now() WHERE pool_id = :v;
SELECT * FROM pg_temp.report();
ROLLBACK;

-- rows of a pool that does not exist, in each table
BEGIN;
INSERT INTO reservation.available VALUES (-1, 1);
INSERT INTO reservation.stock VALUES (-2, 0, 1);
INSERT INTO reservation.claim (claim_id, claimed_at, expires_at, quantity, pool_id, number, state, holder)
VALUES ('00000000-0000-7000-8000-000000000000', now(), 'infinity', 1, -3, 1, 'held', 'eve');
INSERT INTO reservation.unit VALUES (-4, 1, 'A 1', NULL);
INSERT INTO reservation.request VALUES (-5, 'claim_next', 'r1', '', '[]', now());
INSERT INTO reservation.log VALUES (now(), 0, 0, -6, NULL, NULL, 1, 'claim', 'released', 'eve');
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a change of a claim that nobody wrote down
BEGIN;
UPDATE reservation.claim SET state = 'finalized', finalized_at = now() WHERE pool_id = :v AND request_id = 'r1';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM reservation.log WHERE claim_id = :'sale';
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a claim that ended, and is lost: the log still names it
BEGIN;
DELETE FROM reservation.claim WHERE claim_id = :'back';
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a number above the last that was given out
BEGIN;
UPDATE reservation.available SET number = 99 WHERE pool_id = :v AND number = 7;
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a unit that is described and does not exist
BEGIN;
INSERT INTO reservation.unit VALUES (:v, 99, 'Row Z 99', NULL);
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a floor that nobody moved the stock for
BEGIN;
UPDATE reservation.pool SET floor = 2 WHERE pool_id = :stock;
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a slot that gave more than it had
BEGIN;
ALTER TABLE reservation.stock DROP CONSTRAINT stock_quantity;
UPDATE reservation.stock SET quantity = quantity + CASE slot WHEN 0 THEN -10 ELSE 10 END WHERE pool_id = :stock;
SELECT * FROM pg_temp.report();
ROLLBACK;

-- stock and sales that agree with each other, and not with the log: a restock that is lost, a refund that is
SELECT status FROM reservation.adjust('v stock', 3);
SELECT claim_id AS part FROM reservation.charge('v stock', 4, 'part') \gset
SELECT status FROM reservation.refund(:'part', 3);
SELECT * FROM pg_temp.report();
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM reservation.log WHERE pool_id = :stock AND event = 'adjusted';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM reservation.log WHERE claim_id = :'part';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
UPDATE reservation.claim SET refunded = 2 WHERE claim_id = :'part';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
UPDATE reservation.claim SET refunded = 4 WHERE claim_id = :'part';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
UPDATE reservation.stock SET added = added + 1, quantity = quantity + 1 WHERE pool_id = :stock AND added <> 0;
SELECT * FROM pg_temp.report();
ROLLBACK;

-- a lapsed hold, swept or not, is nothing wrong; neither is a sale in the same transaction
BEGIN;
SELECT status FROM reservation.claim_next('v', 'cem', ttl => '1 microsecond');
SELECT * FROM pg_temp.report();
SELECT * FROM reservation.sweep();
SELECT * FROM pg_temp.report();
SELECT status FROM reservation.drop_pool('v', true);
SELECT status FROM reservation.drop_pool('v stock', true);
SELECT * FROM pg_temp.report();
ROLLBACK;

-- after all that, the session works as before
SELECT status, number FROM reservation.claim_next('v', 'dan');
SELECT status, number FROM reservation.claim_next('v open', 'dan');
SELECT * FROM reservation.verify();
