-- Checking out a cart: what was sold leaves it, what came meanwhile stays.
\a
\pset footer off
\pset null NULL

SELECT status FROM reservation.create_pool('cc a', 20);
SELECT status FROM reservation.create_pool('cc b', 20);
SELECT status FROM reservation.cart_add('cc', 'cc a', 2);
SELECT status FROM reservation.cart_add('cc', 'cc a', 1, '{"size": "M"}');
SELECT status FROM reservation.cart_add('cc', 'cc b', 3);

-- lines of one pool are added up; they stay in the cart until they are sold
SELECT status, jsonb_array_length(claims), replayed FROM reservation.checkout_cart('cc', 'cc 1', 'ann');
SELECT checkout_id AS id, cart FROM reservation.checkouts WHERE request_id = 'cc 1' \gset
SELECT * FROM reservation.cart_lines('cc');
SELECT held FROM reservation.availability('{cc a,cc b}');

-- meanwhile: more of one line, less of another, a new one
SELECT status FROM reservation.cart_add('cc', 'cc a');
SELECT status FROM reservation.cart_set('cc', 'cc b', 1);
SELECT status FROM reservation.cart_add('cc', 'cc b', 1, '{"size": "L"}');
-- a repeated call gets the first answer, though the cart has changed
SELECT status, checkout_id = :'id' AS same, jsonb_array_length(claims), replayed FROM reservation.checkout_cart('cc', 'cc 1', 'ann');
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT * FROM reservation.cart_lines('cc');
-- once
SELECT status, replayed FROM reservation.finalize_checkout(:'id');
SELECT * FROM reservation.cart_lines('cc');

-- a checkout that is cancelled, or rolled back, leaves the cart alone
SELECT checkout_id AS id FROM reservation.checkout_cart('cc', 'cc 2', 'ann') \gset
SELECT status FROM reservation.cancel_checkout(:'id');
SELECT checkout_id AS id FROM reservation.checkout_cart('cc', 'cc 3', 'ann') \gset
BEGIN;
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT * FROM reservation.cart_lines('cc');
ROLLBACK;
SELECT * FROM reservation.cart_lines('cc');

-- the guest signs in between checkout and payment: the lines go with the cart
SELECT status FROM reservation.cart_add('cc user', 'cc a', 5);
SELECT status, lines FROM reservation.cart_merge('cc', 'cc user');
SELECT * FROM reservation.cart_lines('cc user');
SELECT status FROM reservation.finalize_checkout(:'id');
SELECT * FROM reservation.cart_lines('cc user');
SELECT cart FROM reservation.checkouts WHERE checkout_id = :'id';

-- what is refused
\set VERBOSITY terse
SELECT * FROM reservation.checkout_cart('cc', 'cc 4', 'ann');
SELECT * FROM reservation.checkout_cart(NULL, 'cc 4', 'ann');
SELECT * FROM reservation.checkout_cart('cc user', 'cc 1', 'ann');
SELECT * FROM reservation.checkout('cc 1', 'ann', '[{"pool": "cc a"}]');
SELECT * FROM reservation.verify();
