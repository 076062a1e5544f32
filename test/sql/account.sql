-- Accounts: charges, refunds, credit lines, and the ledger.
\a
\pset footer off

SELECT * FROM reservation.create_pool('acct 1', 0, 'counted', floor => -5);
SELECT status, claim_id IS NOT NULL AS has_id, balance, replayed FROM reservation.charge('acct 1', 3, 'r1');
SELECT status, claim_id IS NOT NULL AS has_id, balance, replayed FROM reservation.charge('acct 1', 3, 'r1');
SELECT status, claim_id, balance, replayed FROM reservation.charge('acct 1', 3, 'r2');
SELECT status, balance FROM reservation.adjust('acct 1', 10, 'top up', 'paid by card');
SELECT status, balance, replayed FROM reservation.charge('acct 1', 3, 'r2');
SELECT status, balance FROM reservation.charge('acct 1', 1, NULL);
SELECT status, balance FROM reservation.charge('acct 1', 1, NULL);

-- a refund works whatever became of the application's own row, and in parts
SELECT claim_id AS sale FROM reservation.claims WHERE pool = 'acct 1' AND request_id = 'r2' \gset
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 2, 'back');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 2, 'back');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 2);
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale');

-- every way in which a balance moves; the holds, too
SELECT claim_id AS hold FROM reservation.take('acct 1', 'ann', 4) \gset
SELECT status FROM reservation.finalize(:'hold', 1);
SELECT claim_id AS hold FROM reservation.take('acct 1', 'ann', 2, '1 microsecond') \gset
SELECT status FROM reservation.sweep();
SELECT status, late FROM reservation.finalize(:'hold');
SELECT claim_id AS hold FROM reservation.take('acct 1', 'bob', 1) \gset
SELECT status FROM reservation.release(:'hold');
SELECT status FROM reservation.take('acct 1', 'bob', 2, '1 microsecond');
SELECT status FROM reservation.add_units('acct 1', 2);
SELECT status, balance FROM reservation.adjust('acct 1', -1, reason => 'fee');
SELECT event, amount, balance, holder, actor = current_user AS by_me, reason, request_id, claim_id IS NOT NULL AS of_claim
FROM reservation.account_entries('acct 1');
SELECT (SELECT sum(amount) FROM reservation.account_entries('acct 1')) AS entries, available + floor AS balance, capacity, held, finalized
FROM reservation.pool_status WHERE pool = 'acct 1';
-- a hold whose time is over is in the ledger before anybody has written that down, and once after
SELECT count(*) FROM reservation.account_entries('acct 1') WHERE event = 'lapsed';
SELECT status, lapsed FROM reservation.sweep();
SELECT count(*) FROM reservation.account_entries('acct 1') WHERE event = 'lapsed';

-- a hundred accounts, a thousand movements: each sum is its balance
SELECT status, count(*) FROM generate_series(1, 100) n, LATERAL reservation.create_pool('many ' || n, n, 'counted', floor => -n) GROUP BY 1;
SELECT c.status, count(*) > 0 AS some FROM generate_series(1, 1000) n,
    LATERAL reservation.charge('many ' || 1 + n % 100, n % 17 + 1, 'charge ' || n) c GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM reservation.pool_status p WHERE pool LIKE 'many %'
    AND (available + floor <> (SELECT sum(amount) FROM reservation.account_entries(p.pool)) OR available < 0);
SELECT * FROM reservation.verify();

-- the balance after each of 4,000 charges in one transaction, whose versions of the slots all stay
DO $$
DECLARE
    answer record;
BEGIN
    PERFORM reservation.create_pool('acct worn', 5000, 'counted');
    FOR i IN 1..4000 LOOP
        SELECT status, balance INTO answer FROM reservation.charge('acct worn', 1, NULL);
        IF answer.status <> 'charged' OR answer.balance <> 5000 - i THEN
            RAISE 'charge %: %', i, answer;
        END IF;
    END LOOP;
    -- more entries of one slot than a walk passes before it looks anew
    IF pg_relation_size('reservation.stock') < 25 * 8192 THEN
        RAISE 'few versions: % bytes', pg_relation_size('reservation.stock');
    END IF;
END
$$;
-- a charge that no slot has enough for; one that needs a hold whose time is over, and has some left
SELECT status FROM reservation.create_pool('acct two', 3, 'counted');
SELECT status, balance FROM reservation.charge('acct two', 3, NULL);
SELECT status, balance FROM reservation.charge('acct worn', 900, NULL);
SELECT status FROM reservation.take('acct worn', 'ann', 60, '1 microsecond');
SELECT status, balance FROM reservation.charge('acct worn', 90, NULL);
SELECT status, balance FROM reservation.charge('acct worn', 10, NULL);
SELECT status, balance FROM reservation.charge('acct worn', 1, NULL);
SELECT * FROM reservation.verify();

-- an empty account has one entry
SELECT status FROM reservation.create_pool('acct empty', 0, 'counted');
SELECT event, amount, balance FROM reservation.account_entries('acct empty');

-- what is taken from a hold that lapsed: the hold ends first, so the balance is never below the floor
SELECT status FROM reservation.create_pool('taken over', 5, 'counted');
SELECT status FROM reservation.take('taken over', 'a', 4, ttl => '1 us');
SELECT status FROM reservation.take('taken over', 'b', 3);
SELECT event, amount, balance FROM reservation.account_entries('taken over');
-- a hold whose time is over, and that nobody has written down, is among the entries, and the books add up without it
SELECT status FROM reservation.take('taken over', 'c', 1, ttl => '1 us');
SELECT event, amount, balance FROM reservation.account_entries('taken over') OFFSET 4;
SELECT * FROM reservation.verify('taken over');
SELECT * FROM reservation.repair('taken over');
