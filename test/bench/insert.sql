INSERT INTO peer.claim (pool, number, holder, expires_at)
    VALUES (:pool, 1, 'buyer ' || :client_id, clock_timestamp() + interval '10 min');
