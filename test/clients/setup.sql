-- What every client's test finds in a database of its own.

CREATE EXTENSION reservation;
SELECT reservation.create_pool('print', 40);
SELECT reservation.create_pool('last', 1);
SELECT reservation.claim_next('last', 'somebody else');
SELECT reservation.create_pool('slow', 10, holder_rate => 1, holder_period => '90 minutes');
SELECT reservation.create_pool('grains', 9007199254740993, 'counted');     -- 2^53 + 1
SELECT reservation.grant_access('shop', 'claim');
