SELECT status, available FROM reservation.claim_next('gone', 'buyer ' || :client_id);
