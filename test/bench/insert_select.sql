INSERT INTO peer.claim_copy
    SELECT * FROM reservation.claim
    WHERE state = 'held' AND pool_id = (SELECT nextval('peer.batch'));
