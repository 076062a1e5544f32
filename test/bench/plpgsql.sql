SELECT peer.claim_next(:pool, 'buyer ' || :client_id);
