\set n nextval
SELECT status FROM reservation.finalize((SELECT claim_id FROM bench.held WHERE place = nextval('bench.next')));
