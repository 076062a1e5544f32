-- as finalize, which looks up its key too
\set i :i + 1
\set place :client_id * 1500 + :i
UPDATE peer.unit SET version = version + 1 WHERE pool = 'keyed' AND number =
    (SELECT place FROM peer.hold WHERE place = :place);
