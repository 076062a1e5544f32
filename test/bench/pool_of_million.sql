-- as pool_of_100, from the one pool
\set pool 1 + :i / 100
\set i :i + 1
SELECT status, number FROM reservation.claim_next('million', 'buyer ' || :client_id);
