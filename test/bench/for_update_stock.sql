BEGIN;
SELECT n FROM peer.stock WHERE pool = :pool FOR UPDATE \gset
UPDATE peer.stock SET n = n - 1 WHERE pool = :pool;
INSERT INTO peer.claim (pool, number, holder, expires_at)
    VALUES (:pool, :n, 'buyer ' || :client_id, clock_timestamp() + interval '10 min');
COMMIT;
