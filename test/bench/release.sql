-- 1,000 claims of its own for each of 50 clients
\set place :client_id * 1000 + :i
\set i :i + 1
SELECT status FROM reservation.release((SELECT claim_id FROM peer.hold WHERE place = :place));
