SELECT status, number FROM reservation.claim_next(:pool, 'buyer ' || :client_id);
