-- Who watches: holds, stuck and stats, with and without the right to know who a holder is.
SELECT status FROM reservation.create_pool('watched hall', 2);
SELECT * FROM reservation.add_units('watched hall', labels => '{A1}');
SELECT status FROM reservation.create_pool('watched shirt', 9, 'counted');
SELECT status, number FROM reservation.claim_next('watched hall', 'watched ann', ttl => '1 hour');
SELECT status, number FROM reservation.claim_unit('watched hall', 3, 'watched bob', ttl => '300000 years');
SELECT status, number FROM reservation.claim_next('watched hall', 'watched cid', ttl => '1 us');
SELECT status FROM reservation.take('watched shirt', 'watched dan', 4, ttl => '1 hour');
SELECT claim_id FROM reservation.take('watched shirt', 'watched eve') \gset
SELECT status FROM reservation.finalize(:'claim_id');

-- what is sold is no hold; what has lapsed is, until it is swept or claimed
SELECT h.pool, h.number, h.label, h.quantity, h.state, since = claimed_at AS claimed, until = expires_at AS expires, pid, prepared, h.holder
FROM reservation.holds h LEFT JOIN reservation.claims c USING (claim_id) WHERE h.pool ~ '^watched (hall|shirt)' ORDER BY h.pool, h.number;
BEGIN;
SELECT status FROM reservation.take('watched shirt', 'watched fay');
SELECT quantity, state, pid, holder FROM reservation.holds WHERE pool = 'watched shirt' ORDER BY quantity;
ROLLBACK;
SELECT status FROM reservation.sweep(1000000);
SELECT pool, number, state FROM reservation.holds WHERE pool ~ '^watched (hall|shirt)' ORDER BY pool, number;

-- a monitor sees what is held, not by whom, nor by which claim
CREATE ROLE rsv_watch;
GRANT pg_monitor TO rsv_watch;
SET ROLE rsv_watch;
SELECT number, label, quantity, state, holder, claim_id FROM reservation.holds WHERE pool ~ '^watched (hall|shirt)' ORDER BY pool, number;
SELECT count(*) FROM reservation.holds WHERE holder IS NOT NULL OR claim_id IS NOT NULL;
SELECT count(*) FROM reservation.holds_in_flight() WHERE holder IS NOT NULL OR claim_id IS NOT NULL;
SELECT pool, capacity, available, held, finalized, state FROM reservation.pool_status WHERE pool ~ '^watched (hall|shirt)' ORDER BY pool;
SELECT count(*) FROM reservation.stats WHERE since > clock_timestamp();
-- nor by a function that is asked before other conditions are
CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    IF $1 ~ '^watched ann' THEN
        RAISE NOTICE 'told: %', $1;
    END IF;
    RETURN true;
END
$$;
SELECT count(*) FROM reservation.holds WHERE pg_temp.tell(holder) IS NULL;
SELECT holder FROM reservation.claims;
SELECT holder FROM reservation.claim;
SELECT holder FROM reservation.refunds_due;
SELECT * FROM reservation.claim_next('watched hall', 'me');
SELECT * FROM reservation.reset_stats();
RESET ROLE;

-- who may read claims is told
SELECT status FROM reservation.grant_access('rsv_watch', 'claim');
SET ROLE rsv_watch;
SELECT number, holder, claim_id IS NOT NULL AS claim FROM reservation.holds WHERE pool ~ '^watched (hall|shirt)' ORDER BY pool, number;
SELECT count(*) FROM reservation.holds WHERE pg_temp.tell(holder) IS NULL;
RESET ROLE;

-- money to give back is stuck until it is settled
SELECT status FROM reservation.set_payment_provider('watched', 'hmac-sha256', 'secret');
SELECT checkout_id FROM reservation.checkout('watched', 'watched ann', '[{"pool": "watched shirt"}]', amount => 500, currency => 'EUR') \gset
SELECT status FROM reservation.cancel_checkout(:'checkout_id');
SELECT status FROM reservation.record_payment(:'checkout_id', 'watched', 'pay_1', 500, 'EUR', 'pay_1',
    '5ef60b7521f4e35da1fad099b602fb40fc9ecfecb65cc0e19d2404022e0f2072');
SELECT kind, since < clock_timestamp() AS past, pid, detail, hint FROM reservation.stuck WHERE name = :'checkout_id';
SET ROLE rsv_watch;
SELECT detail FROM reservation.stuck WHERE name = :'checkout_id';
RESET ROLE;
REVOKE SELECT ON reservation.claims FROM rsv_watch;
SET ROLE rsv_watch;
SELECT count(*) > 0 AS known, count(name) AS names, count(detail) AS details FROM reservation.stuck WHERE kind = 'refund due';
RESET ROLE;
SELECT status FROM reservation.settle_refund(:'checkout_id', 'back');
SELECT kind FROM reservation.stuck WHERE name = :'checkout_id';
SELECT * FROM reservation.verify();

DROP OWNED BY rsv_watch;
DROP ROLE rsv_watch;
