-- What every client's test finds in a database of its own.

CREATE EXTENSION reservation;
SELECT reservation.create_pool('print', 40);
SELECT reservation.create_pool('last', 1);
SELECT reservation.claim_next('last', 'somebody else');
SELECT reservation.create_pool('slow', 10, holder_rate => 1, holder_period => '90 minutes');
SELECT reservation.create_pool('grains', 9007199254740993, 'counted');     -- 2^53 + 1
SELECT reservation.create_pool('hall', 20);
SELECT reservation.create_pool('poster', 100, 'counted');
SELECT reservation.set_payment_provider('razorpay', 'razorpay', 'EnLs21M47BllR3X8PSFtjtbd');
SELECT reservation.set_payment_provider('stripe', 'stripe', 'whsec_test_secret');
SELECT reservation.grant_access('shop', 'claim');
