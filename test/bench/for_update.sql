BEGIN;
SELECT number FROM peer.unit WHERE pool = :pool AND status = 'free'
    ORDER BY number LIMIT 1 FOR UPDATE \gset
UPDATE peer.unit SET status = 'held' WHERE pool = :pool AND number = :number;
INSERT INTO peer.claim (pool, number, holder, expires_at)
    VALUES (:pool, :number, 'buyer ' || :client_id, clock_timestamp() + interval '10 min');
COMMIT;
