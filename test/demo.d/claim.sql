-- One buyer, one call. The answer is written down in the same statement.
INSERT INTO demo.answer (pool, status, number)
SELECT :pool, status, number FROM reservation.claim_next(:pool, 'buyer ' || gen_random_uuid());
