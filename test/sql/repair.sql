-- repair(): mends what follows from the rest of the books, says so, and refuses the rest. All of it is rolled back.
\a
\pset footer off
\pset null NULL

SELECT status FROM reservation.sweep();
SELECT status FROM reservation.create_pool('r', 5);
SELECT status FROM reservation.create_pool('r open');
SELECT status FROM reservation.create_pool('r stock', 9, 'counted', floor => -2);
SELECT pool_id AS r FROM reservation.pool WHERE pool = 'r' \gset
SELECT pool_id AS open FROM reservation.pool WHERE pool = 'r open' \gset
SELECT pool_id AS stock FROM reservation.pool WHERE pool = 'r stock' \gset
SELECT status, number FROM reservation.claim_next('r', 'ann', 2);
SELECT status, number FROM reservation.claim_next('r open', 'ann', 3);
SELECT status FROM reservation.charge('r stock', 4, 'r charge');
SELECT status FROM reservation.adjust('r stock', 3);
SELECT status FROM reservation.take('r stock', 'bob', 1, '1 day');

-- nothing is wrong, nothing is done
SELECT * FROM reservation.repair('r');
SELECT * FROM reservation.repair('r open');
SELECT * FROM reservation.repair('r stock');

-- a unit that somebody has is not free
BEGIN;
INSERT INTO reservation.available VALUES (:r, 1), (:r, 2);
SELECT * FROM reservation.repair('r');
SELECT * FROM reservation.repair('r');
SELECT status, number FROM reservation.claim_next('r', 'bob');
SELECT * FROM reservation.verify();
SELECT pool, kind, event, reason FROM reservation.events WHERE event = 'repaired';
ROLLBACK;
-- one that is missing may be anybody's
BEGIN;
DELETE FROM reservation.available WHERE pool_id = :r AND number = 5;
SELECT * FROM reservation.repair('r');
ROLLBACK;
-- both at once: the one is mended, the other not
BEGIN;
DELETE FROM reservation.available WHERE pool_id = :r AND number = 5;
INSERT INTO reservation.available VALUES (:r, 1);
SELECT * FROM reservation.repair('r');
ROLLBACK;

-- stock follows from the entries, upwards and downwards, and without any slot
BEGIN;
UPDATE reservation.stock SET quantity = quantity - 1 WHERE pool_id = :stock AND slot = 0;
SELECT * FROM reservation.repair('r stock');
SELECT available FROM reservation.availability('{r stock}');
SELECT * FROM reservation.verify();
ROLLBACK;
BEGIN;
UPDATE reservation.stock SET quantity = quantity + 2 WHERE pool_id = :stock AND slot = 0;
SELECT * FROM reservation.repair('r stock');
SELECT available FROM reservation.availability('{r stock}');
SELECT * FROM reservation.verify();
ROLLBACK;
BEGIN;
DELETE FROM reservation.stock WHERE pool_id = :stock;
SELECT * FROM reservation.repair('r stock');
SELECT available FROM reservation.availability('{r stock}');
SELECT * FROM reservation.verify();
ROLLBACK;
BEGIN;
UPDATE reservation.stock SET added = 0 WHERE pool_id = :stock;
SELECT * FROM reservation.repair('r stock');
SELECT capacity FROM reservation.availability('{r stock}');
SELECT * FROM reservation.verify();
ROLLBACK;
-- a floor that nobody moved the stock for
BEGIN;
UPDATE reservation.pool SET floor = 0 WHERE pool_id = :stock;
SELECT * FROM reservation.repair('r stock');
SELECT * FROM reservation.verify();
ROLLBACK;
-- not if stock and claims agree with each other, and only the log does not
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM reservation.log WHERE pool_id = :stock AND event = 'adjusted';
SELECT * FROM reservation.repair('r stock');
ROLLBACK;
-- nor if a claim is lost; nor if there is too little in any slot
BEGIN;
DELETE FROM reservation.claim WHERE pool_id = :stock AND request_id = 'r charge';
SELECT status, problem FROM reservation.repair('r stock') ORDER BY problem;
ROLLBACK;
BEGIN;
UPDATE reservation.stock SET quantity = 0 WHERE pool_id = :stock;
INSERT INTO reservation.stock SELECT :stock, 100 + n, 1 FROM generate_series(1, 12) n;
SELECT * FROM reservation.repair('r stock');
ROLLBACK;

-- rows of a kind that the pool does not have
BEGIN;
INSERT INTO reservation.available VALUES (:stock, 1);
INSERT INTO reservation.stock VALUES (:r, 0, 2);
SELECT * FROM reservation.repair('r stock');
SELECT * FROM reservation.repair('r');
SELECT * FROM reservation.verify();
ROLLBACK;

-- claims that a limit overlooks; labels that a pool denies; a sequence behind its numbers
BEGIN;
UPDATE reservation.pool SET per_holder = 2 WHERE pool_id = :r;
SELECT * FROM reservation.repair('r');
SELECT status FROM reservation.claim_next('r', 'ann');
ROLLBACK;
BEGIN;
INSERT INTO reservation.unit VALUES (:r, 3, 'Row A 3', NULL);
SELECT * FROM reservation.repair('r');
SELECT status, number, label FROM reservation.claim_next('r', 'bob');
ROLLBACK;
SELECT format('reservation.pool_%s_number', :open) AS sequence \gset
SELECT setval(:'sequence', 1);
SELECT * FROM reservation.repair('r open');
SELECT * FROM reservation.verify();

-- only of the pool that is named, and only to who may
BEGIN;
INSERT INTO reservation.available VALUES (:r, 1);
SELECT * FROM reservation.repair('r stock');
ROLLBACK;
\set VERBOSITY sqlstate
SELECT * FROM reservation.repair(NULL);
SELECT * FROM reservation.repair('no such pool');
SELECT * FROM reservation.verify();
