-- as finalize, which looks up its key too
\set i :i + 1
\set place :client_id * :share + :i
UPDATE peer.claim SET expires_at = 'infinity'
    WHERE claim_id = (SELECT place FROM peer.hold WHERE place = :place);
