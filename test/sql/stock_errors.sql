-- What is refused of stock and accounts. Nothing is lost, nothing wraps, and the session goes on.
\a
\t on
\pset null NULL

\i test/include/refusal.sql

SELECT status FROM reservation.create_pool('number', 3);
SELECT status FROM reservation.create_pool('stock', 5, 'counted', floor => -5, ceiling => 20);
SELECT claim_id AS hold FROM reservation.take('stock', 'ann', 2) \gset
SELECT claim_id AS sale FROM reservation.charge('stock', 2, 'sale') \gset

-- pool
SELECT * FROM pg_temp.refusal($$take(NULL, 'ann')$$);
SELECT * FROM pg_temp.refusal($$take('', 'ann')$$);
SELECT * FROM pg_temp.refusal($$take('unknown', 'ann')$$);
SELECT * FROM pg_temp.refusal($$take('number', 'ann')$$);
SELECT * FROM pg_temp.refusal($$charge('unknown', 1, 'r')$$);
SELECT * FROM pg_temp.refusal($$charge('number', 1, 'r')$$);
SELECT * FROM pg_temp.refusal($$charge(NULL, 1, 'r')$$);
SELECT * FROM pg_temp.refusal($$adjust('unknown', 1)$$);
SELECT * FROM pg_temp.refusal($$adjust('number', 1)$$);
SELECT * FROM pg_temp.refusal($$account_entries('unknown')$$);
SELECT * FROM pg_temp.refusal($$account_entries('number')$$);
SELECT * FROM pg_temp.refusal($$account_entries(NULL)$$);
SELECT * FROM pg_temp.refusal($$claim_next('stock', 'ann')$$);
-- holder, request id, reason
SELECT * FROM pg_temp.refusal($$take('stock', NULL)$$);
SELECT * FROM pg_temp.refusal($$take('stock', '')$$);
SELECT * FROM pg_temp.refusal($$take('stock', 'ann', request_id => '')$$);
SELECT * FROM pg_temp.refusal($$charge('stock', 1, '')$$);
SELECT * FROM pg_temp.refusal($$adjust('stock', 1, '')$$);
SELECT * FROM pg_temp.refusal($$adjust('stock', 1, 'r', '')$$);
-- quantities: nothing, below nothing, absurd
SELECT * FROM pg_temp.refusal($$take('stock', 'ann', NULL)$$);
SELECT * FROM pg_temp.refusal($$take('stock', 'ann', 0)$$);
SELECT * FROM pg_temp.refusal($$take('stock', 'ann', -1)$$);
SELECT * FROM pg_temp.refusal($$take('stock', 'ann', -9223372036854775808)$$);
SELECT status, available FROM reservation.take('stock', 'ann', 9223372036854775807);
SELECT * FROM pg_temp.refusal($$charge('stock', 0, 'r')$$);
SELECT * FROM pg_temp.refusal($$charge('stock', -1, 'r')$$);
SELECT * FROM pg_temp.refusal($$charge('stock', NULL, 'r')$$);
SELECT status, balance FROM reservation.charge('stock', 9223372036854775807, 'r');
SELECT * FROM pg_temp.refusal($$adjust('stock', 0)$$);
SELECT * FROM pg_temp.refusal($$adjust('stock', NULL)$$);
SELECT * FROM pg_temp.refusal($$adjust('stock', -9223372036854775808)$$);
SELECT status, balance FROM reservation.adjust('stock', -9223372036854775807);
SELECT * FROM pg_temp.refusal($$adjust('stock', 9223372036854775807)$$);
SELECT status, balance FROM reservation.adjust('stock', 9223372036854775000);
SELECT * FROM pg_temp.refusal($$add_units('stock', 0)$$);
SELECT * FROM pg_temp.refusal($$add_units('stock', -1)$$);
SELECT * FROM pg_temp.refusal($$add_units('stock', labels => '{A}')$$);
SELECT * FROM pg_temp.refusal($$add_units('stock', 1, attributes => '{"{}"}')$$);
SELECT * FROM reservation.add_units('stock', 20);
-- ttl and wait
SELECT * FROM pg_temp.refusal($$take('stock', 'ann', ttl => '0')$$);
SELECT * FROM pg_temp.refusal($$take('stock', 'ann', ttl => '-1 hour')$$);
SELECT * FROM pg_temp.refusal($$take('stock', 'ann', wait => '-1 second')$$);
-- a request id with other arguments; of another function it is another
SELECT * FROM pg_temp.refusal($$charge('stock', 3, 'sale')$$);
SELECT state FROM pg_temp.refusal($$take('stock', 'ann', 1, request_id => 'sale')$$);
SELECT status FROM reservation.adjust('stock', 1, 'delivery', 'May');
SELECT * FROM pg_temp.refusal($$adjust('stock', 1, 'delivery', 'June')$$);
SELECT * FROM pg_temp.refusal($$adjust('stock', 2, 'delivery', 'May')$$);
SELECT status FROM reservation.take('stock', 'ann', 1, request_id => 'cart');
SELECT * FROM pg_temp.refusal($$take('stock', 'ann', 2, request_id => 'cart')$$);
SELECT * FROM pg_temp.refusal($$take('stock', 'bob', 1, request_id => 'cart')$$);
-- settling: more than is held, more than was sold
SELECT state, message FROM pg_temp.refusal(format('finalize(%L, 3)', :'hold'));
SELECT state, message FROM pg_temp.refusal(format('finalize(%L, 0)', :'hold'));
SELECT state, message FROM pg_temp.refusal(format('refund(%L, 0)', :'sale'));
SELECT state, message FROM pg_temp.refusal(format('refund(%L, -1)', :'sale'));
SELECT status, refunded, remaining FROM reservation.refund(:'sale', 9223372036854775807);
SELECT status, refunded, remaining FROM reservation.refund(:'hold');
-- floor and ceiling that the balance does not allow
SELECT * FROM pg_temp.refusal($$alter_pool('stock', floor => 2)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('stock', floor => -9223372036854775808)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('stock', floor => 21)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('stock', ceiling => 0)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('stock', ceiling => -6)$$);
SELECT floor, ceiling, available, held, finalized FROM reservation.pool_status WHERE pool = 'stock';

-- the ends of bigint
SELECT * FROM pg_temp.refusal($$create_pool('vast', 9223372036854775807, 'counted', floor => -1)$$);
SELECT status FROM reservation.create_pool('vast', 9223372036854775807, 'counted');
SELECT * FROM pg_temp.refusal($$adjust('vast', 1)$$);
SELECT status, claim_id AS all FROM reservation.take('vast', 'ann', 9223372036854775807) \gset
SELECT * FROM reservation.availability('{vast}');
-- what is held may come back, so there is no room for more
SELECT * FROM pg_temp.refusal($$adjust('vast', 1)$$);
SELECT * FROM pg_temp.refusal($$alter_pool('vast', floor => -1)$$);
SELECT status FROM reservation.release(:'all');
SELECT * FROM reservation.availability('{vast}');
SELECT status, balance FROM reservation.adjust('vast', -9223372036854775807);
SELECT status FROM reservation.alter_pool('vast', floor => -9223372036854775807);
SELECT status, balance FROM reservation.charge('vast', 9223372036854775807, 'all');
SELECT status, balance FROM reservation.charge('vast', 1, 'more');
SELECT capacity, available, held, finalized, state FROM reservation.availability('{vast}');
-- a floor and a ceiling that are further apart than a bigint counts, from what there is
SELECT status FROM reservation.create_pool('wide', 0, 'counted', floor => -5000000000000000000, ceiling => 9000000000000000000);
SELECT * FROM pg_temp.refusal($$alter_pool('wide', floor => 9000000000000000000)$$);
SELECT status, balance FROM reservation.adjust('wide', -5000000000000000000);
SELECT status, balance FROM reservation.adjust('wide', 1);
SELECT * FROM reservation.verify();
