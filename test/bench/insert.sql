-- the least that a durable record costs: takes no unit, so its number is 0
INSERT INTO peer.claim (pool, number, holder, expires_at)
    VALUES (:pool, 0, 'buyer ' || :client_id, clock_timestamp() + interval '10 min');
