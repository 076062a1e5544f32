-- every client has its own share of the holds, and each is finalized once
\set i :i + 1
\set place :client_id * :share + :i
SELECT status FROM reservation.finalize((SELECT claim_id FROM peer.hold WHERE place = :place));
