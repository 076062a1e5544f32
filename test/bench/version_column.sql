-- an attempt that loses is repeated by the next call; what counts is the claims
SELECT n, version FROM peer.stock WHERE pool = :pool \gset
WITH taken AS (
    UPDATE peer.stock SET n = n - 1, version = version + 1
    WHERE pool = :pool AND version = :version AND n >= 1 RETURNING n
)
INSERT INTO peer.claim (pool, number, holder, expires_at)
    SELECT :pool, n, 'buyer ' || :client_id, clock_timestamp() + interval '10 min' FROM taken;
