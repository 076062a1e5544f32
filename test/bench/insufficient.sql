SELECT status, available FROM reservation.take('empty stock', 'buyer ' || :client_id);
