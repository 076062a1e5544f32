SELECT status, available FROM reservation.claim_next('empty', 'buyer ' || :client_id);
