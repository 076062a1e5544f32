-- a hundred from each pool, then the next one
\set pool 1 + :i / 100
\set i :i + 1
SELECT status, number FROM reservation.claim_next('hundred ' || :pool, 'buyer ' || :client_id);
