-- Savepoints: what rolls back gives back, at once.
\a
\pset footer off

-- what earlier tests left behind
SELECT status FROM reservation.sweep();

SELECT status FROM reservation.create_pool('sp', 3, per_holder => 3);

-- a claim, then another after it was undone: the same number
BEGIN;
SAVEPOINT a;
SELECT status, number FROM reservation.claim_next('sp', 'ann');
ROLLBACK TO a;
SELECT status, number FROM reservation.claim_next('sp', 'bob');
SAVEPOINT b;
SELECT status, number FROM reservation.claim_next('sp', 'ann', 2);
SELECT status, available FROM reservation.claim_next('sp', 'cem');
ROLLBACK TO b;
SELECT status, number FROM reservation.claim_next('sp', 'cem', 2);
ROLLBACK TO a;
SELECT available, held FROM reservation.availability('{sp}');
SELECT status, number FROM reservation.claim_next('sp', 'dan', 3);
COMMIT;
SELECT number, holder, state FROM reservation.claims WHERE pool = 'sp' ORDER BY number;

-- a release, finalize, refund or sweep that was undone has not happened
SELECT claim_id AS one FROM reservation.claims WHERE pool = 'sp' AND number = 1 \gset
BEGIN;
SAVEPOINT a;
SELECT status FROM reservation.release(:'one');
SELECT status, number FROM reservation.claim_next('sp', 'eve');
ROLLBACK TO a;
SELECT status, available FROM reservation.claim_next('sp', 'eve');
SAVEPOINT b;
SELECT status FROM reservation.finalize(:'one');
ROLLBACK TO b;
SELECT status, replayed FROM reservation.finalize(:'one');
SAVEPOINT c;
SELECT status FROM reservation.refund(:'one');
SELECT status, number FROM reservation.claim_next('sp', 'eve');
ROLLBACK TO c;
SELECT status, replayed FROM reservation.finalize(:'one');
COMMIT;
SELECT number, holder, state FROM reservation.claims WHERE pool = 'sp' ORDER BY number;

-- claimed, given back and claimed again in one transaction
SELECT status FROM reservation.create_pool('sp one', 1);
BEGIN;
SELECT claim_id AS hold FROM reservation.claim_next('sp one', 'ann') \gset
SELECT status FROM reservation.release(:'hold');
SELECT claim_id AS hold, number FROM reservation.claim_next('sp one', 'bob', ttl => '1 microsecond') \gset
SELECT status, number FROM reservation.claim_next('sp one', 'cem', ttl => '1 microsecond');
SELECT status, lapsed FROM reservation.sweep();
SELECT status, number, late FROM reservation.finalize(:'hold');
SELECT status, available FROM reservation.claim_next('sp one', 'dan');
SELECT status FROM reservation.refund(:'hold');
SAVEPOINT a;
SELECT status, number FROM reservation.claim_unit('sp one', 1, 'dan');
RELEASE a;
SELECT status, available FROM reservation.claim_unit('sp one', 1, 'eve');
COMMIT;
SELECT number, holder, state FROM reservation.claims WHERE pool = 'sp one' ORDER BY claimed_at;

-- in a function with an exception block, which is a savepoint of its own
SELECT status FROM reservation.create_pool('sp block', 2);
DO $$
BEGIN
    BEGIN
        PERFORM reservation.claim_next('sp block', 'ann');
        RAISE 'the payment failed';
    EXCEPTION WHEN raise_exception THEN
        RAISE NOTICE '%, and % are available', sqlerrm, (SELECT available FROM reservation.availability('{sp block}'));
    END;
    PERFORM reservation.claim_next('sp block', 'bob');
END
$$;
SELECT number, holder, state FROM reservation.claims WHERE pool = 'sp block';

-- more savepoints than PostgreSQL keeps at hand
DO $$
BEGIN
    FOR i IN 1 .. 100 LOOP
        BEGIN
            PERFORM reservation.claim_next('sp block', 'h' || i, 2);
            PERFORM reservation.claim_next('sp block', 'h' || i);
            RAISE 'no';
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
END
$$;
SELECT available, held FROM reservation.availability('{sp block}');

-- a pool, its units and its sequence, undone and done again
BEGIN;
SAVEPOINT a;
SELECT status FROM reservation.create_pool('sp pool', 1);
SELECT * FROM reservation.add_units('sp pool', 1);
SELECT status FROM reservation.claim_next('sp pool', 'ann', 2);
ROLLBACK TO a;
SELECT status FROM reservation.create_pool('sp pool');
SELECT status, number FROM reservation.claim_next('sp pool', 'ann');
SAVEPOINT b;
SELECT status FROM reservation.drop_pool('sp pool', true);
ROLLBACK TO b;
SELECT status, number FROM reservation.claim_next('sp pool', 'ann');
COMMIT;
SELECT pool, capacity, held FROM reservation.availability('{sp pool}');

-- a call that is refused in the middle of a transaction leaves the rest of it as it is
BEGIN;
CREATE TEMP TABLE purchase (item text);
INSERT INTO purchase VALUES ('cap');
SELECT status FROM reservation.claim_next('sp', 'fay');
SELECT status, number FROM reservation.claim_next('sp pool', 'fay', 2);
INSERT INTO purchase VALUES ('mug');
COMMIT;
SELECT count(*) FROM purchase;

SELECT * FROM reservation.verify();
