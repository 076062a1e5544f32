\set number random(1, 10000)
SELECT status, number FROM reservation.claim_next('replayed', 'ann', ttl => '1 day', request_id => 'request ' || :number);
