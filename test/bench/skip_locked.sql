WITH free AS MATERIALIZED (
    SELECT number FROM peer.unit WHERE pool = :pool AND status = 'free'
    ORDER BY number LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE peer.unit u SET status = 'held' FROM free WHERE u.pool = :pool AND u.number = free.number
    RETURNING u.number
)
INSERT INTO peer.claim (pool, number, holder, expires_at)
    SELECT :pool, number, 'buyer ' || :client_id, clock_timestamp() + interval '10 min' FROM taken
    RETURNING number;
