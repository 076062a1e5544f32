SELECT status FROM reservation.take(:pool, 'buyer ' || :client_id);
