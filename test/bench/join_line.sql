\set holder random(1, 1000000000000)
SELECT status, position FROM reservation.join_line(:pool, 'buyer ' || :holder);
