\set key random(1, 10000)
SELECT allowed, remaining FROM reservation.rate_limit(:key, 10, '1 second');
