SELECT count(*) FROM reservation.serve_line(:pool, 1000);
