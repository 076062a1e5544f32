-- Rows that are settled one by one, because their triggers are deferred, and statuses that are padded.
\a
\pset footer off
SET client_min_messages = warning;

-- nothing changes: nothing is given back and taken anew, so also while the pool is paused
SELECT status FROM reservation.create_pool('dd shirt', 100, 'counted');
CREATE TABLE dd_line (id integer PRIMARY KEY, pool text, quantity integer, note text);
CREATE CONSTRAINT TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON dd_line DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('pool', 'quantity');
INSERT INTO dd_line VALUES (1, 'dd shirt', 10);
SELECT status FROM reservation.alter_pool('dd shirt', paused => true);
UPDATE dd_line SET note = 'x';
UPDATE dd_line SET quantity = 4;
UPDATE dd_line SET quantity = 5;
SELECT available, finalized FROM reservation.pool_status WHERE pool = 'dd shirt';
SELECT status FROM reservation.alter_pool('dd shirt', paused => false);
DELETE FROM dd_line;
SELECT available, finalized FROM reservation.pool_status WHERE pool = 'dd shirt';

-- a trigger updates a row of the statement that is under way: its update comes before the insert
CREATE FUNCTION dd_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dd_line SET quantity = 2 WHERE id = NEW.id - 1;
    RETURN NEW;
END $$;
CREATE TRIGGER aa_before BEFORE INSERT ON dd_line FOR EACH ROW EXECUTE FUNCTION dd_before();
INSERT INTO dd_line VALUES (1, 'dd shirt', 5), (2, 'dd shirt', 1);
SELECT sum(quantity) FROM dd_line;
SELECT available, finalized FROM reservation.pool_status WHERE pool = 'dd shirt';
DELETE FROM dd_line;
SELECT available, finalized FROM reservation.pool_status WHERE pool = 'dd shirt';
SELECT * FROM reservation.verify();

-- the same with jobs: the one that failed meanwhile is not charged
SELECT status FROM reservation.create_pool('dd account', 100, 'counted');
CREATE TABLE dd_job (id integer PRIMARY KEY, account text, cost integer, status char(10));
CREATE CONSTRAINT TRIGGER credit AFTER INSERT OR UPDATE ON dd_job DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION reservation.charge_credit('account', 'cost', 'status', 'failed');
CREATE FUNCTION dd_fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE dd_job SET status = 'failed' WHERE id = NEW.id - 1;
    RETURN NEW;
END $$;
CREATE TRIGGER aa_fail BEFORE INSERT ON dd_job FOR EACH ROW EXECUTE FUNCTION dd_fail();
INSERT INTO dd_job VALUES (1, 'dd account', 10, 'new'), (2, 'dd account', 10, 'new');
SELECT available, finalized FROM reservation.pool_status WHERE pool = 'dd account';
UPDATE dd_job SET status = 'failed';
SELECT available, finalized FROM reservation.pool_status WHERE pool = 'dd account';
-- it had failed when it came
INSERT INTO dd_job VALUES (10, 'dd account', 10, 'failed');
SELECT available, finalized FROM reservation.pool_status WHERE pool = 'dd account';
SELECT * FROM reservation.verify();

DROP TABLE dd_line, dd_job;
DROP FUNCTION dd_before, dd_fail;
SELECT count(*) FROM (VALUES ('dd shirt'), ('dd account')) p (pool), reservation.drop_pool(pool, true);
