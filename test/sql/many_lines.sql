-- A checkout of thousands of lines: few locks, few subtransactions, all or none.
\a
\pset footer off
\pset null NULL

-- numbered pools, whose two units are asked for, and counted ones of two slots, both of which are needed
SELECT count(*) FROM generate_series(1, 2000) n, reservation.create_pool('cm many ' || n, 2);
SELECT count(*) FROM generate_series(1, 2000) n, reservation.create_pool('cm stock ' || n, 2, 'counted');
SELECT jsonb_agg(jsonb_build_object('pool', kind || n, 'quantity', 2)) AS lines
FROM generate_series(1, 2000) n, unnest('{many,stock}'::text[]) k, concat('cm ', k, ' ') kind \gset
-- every subtransaction that writes takes a transaction id
\set ask_next 'SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next'
\set few_locks 'SELECT count(*) < 1100 AS few_locks FROM pg_locks WHERE pid = pg_backend_pid();'

:ask_next \gset
BEGIN;
SELECT status, jsonb_array_length(claims), replayed FROM reservation.checkout('cm many', 'cm fay', :'lines');
:few_locks
COMMIT;
SELECT n.next - :next < 20 AS few_subtransactions FROM (:ask_next) n;
BEGIN;
SELECT status FROM reservation.checkouts, reservation.finalize_checkout(checkout_id) WHERE request_id = 'cm many';
:few_locks
COMMIT;
SELECT n.next - :next < 20 AS few_subtransactions FROM (:ask_next) n;
SELECT count(*), sum(quantity) FROM reservation.claims WHERE holder = 'cm fay' AND state = 'finalized';
SELECT sum(available) FROM reservation.pool_status WHERE pool LIKE 'cm %';

-- nothing is left, says each line
SELECT status, jsonb_array_length(shortages) FROM reservation.checkout('cm none', 'cm gus', :'lines');
-- the last one falls short: all the others are undone
SELECT count(r.status) FROM reservation.claims c, reservation.refund(c.claim_id) r WHERE c.holder = 'cm fay' AND c.pool <> 'cm many 2000';
SELECT status, jsonb_array_length(shortages), shortages #>> '{0,pool}' AS pool FROM reservation.checkout('cm all but one', 'cm gus', :'lines');
SELECT sum(available) FROM reservation.pool_status WHERE pool LIKE 'cm %';

-- control: what a subtransaction for each line would have shown
:ask_next \gset
BEGIN;
DO $$ BEGIN FOR n IN 1..70 LOOP
    BEGIN PERFORM reservation.take('cm stock ' || n, 'cm hal', 2); EXCEPTION WHEN division_by_zero THEN NULL; END;
END LOOP; END $$;
ROLLBACK;
SELECT n.next - :next >= 70 AS many_subtransactions FROM (:ask_next) n;
SELECT * FROM reservation.verify();
SELECT count(*) FROM reservation.pool_status, reservation.drop_pool(pool, true) WHERE pool LIKE 'cm %';
