\set account random(1, 100000)
SELECT status, balance FROM reservation.charge('account ' || :account, 1, NULL);
