-- every client has 1,500 holds of its own, and each is finalized once
\set i :i + 1
\set place :client_id * 1500 + :i
SELECT status FROM reservation.finalize((SELECT claim_id FROM peer.hold WHERE place = :place));
