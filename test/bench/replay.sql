\set number random(1, 10000)
SELECT status, number
    FROM reservation.claim_next('replayed', 'ann', request_id => 'request ' || :number);
