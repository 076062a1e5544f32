SELECT count(*) FROM reservation.claim_next(:pool, 'buyer ' || :client_id, 1000);
