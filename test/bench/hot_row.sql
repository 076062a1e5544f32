WITH taken AS (UPDATE peer.stock SET n = n - 1 WHERE pool = :pool AND n >= 1 RETURNING n)
INSERT INTO peer.claim (pool, number, holder, expires_at)
    SELECT :pool, n, 'buyer ' || :client_id, clock_timestamp() + interval '10 min' FROM taken;
