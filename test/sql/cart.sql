-- Carts: lines by (cart, pool, options), and merging one into another.
\a
\pset footer off
\pset null NULL

SELECT status FROM reservation.create_pool('cart a', 5);
SELECT status FROM reservation.create_pool('cart b', 5);
SELECT status FROM reservation.create_pool('cart c', 5);

-- one line per pool and options, whatever order their keys are in and however a number is written
SELECT * FROM reservation.cart_add('c1', 'cart a');
SELECT * FROM reservation.cart_add('c1', 'cart a', 2);
SELECT * FROM reservation.cart_add('c1', 'cart a', 1, '{"size": 1, "color": "red"}');
SELECT * FROM reservation.cart_add('c1', 'cart a', 1, '{"color": "red", "size": 1.0}');
SELECT * FROM reservation.cart_add('c1', 'cart b', 1, '{"size": "1"}');
SELECT * FROM reservation.cart_add('c2', 'cart a');
SELECT * FROM reservation.cart_lines('c1');
SELECT * FROM reservation.cart_lines('nobody''s');

-- set, and remove
SELECT * FROM reservation.cart_set('c1', 'cart a', 7);
SELECT * FROM reservation.cart_set('c1', 'cart c', 1);
SELECT * FROM reservation.cart_set('c1', 'cart b', 0, '{"size": "1"}');
SELECT * FROM reservation.cart_set('c1', 'cart b', 0, '{"size": "1"}');
SELECT * FROM reservation.cart_lines('c1');

-- a pool that is gone: its line can only be removed
SELECT status FROM reservation.create_pool('cart gone', 1);
SELECT status FROM reservation.cart_add('c1', 'cart gone');
SELECT status FROM reservation.drop_pool('cart gone');
\set VERBOSITY sqlstate
SELECT * FROM reservation.cart_set('c1', 'cart gone', 2);
\set VERBOSITY default
SELECT * FROM reservation.cart_set('c1', 'cart gone', 0);

-- merge: every policy on the same two carts
CREATE FUNCTION pg_temp.fill(suffix text) RETURNS void LANGUAGE sql AS $$
    SELECT reservation.cart_set('guest ' || suffix, 'cart a', 2);
    SELECT reservation.cart_set('guest ' || suffix, 'cart b', 5, '{"x": 1}');
    SELECT reservation.cart_set('guest ' || suffix, 'cart c', 1);
    SELECT reservation.cart_set('user ' || suffix, 'cart a', 3);
    SELECT reservation.cart_set('user ' || suffix, 'cart b', 4, '{"x": 1.0}');
    SELECT reservation.cart_set('user ' || suffix, 'cart b', 1);
$$;
SELECT pg_temp.fill(p) FROM unnest(ARRAY['sum', 'max', 'source', 'target']) p;
SELECT m.* FROM unnest(ARRAY['sum', 'max', 'source', 'target']) p, reservation.cart_merge('guest ' || p, 'user ' || p, p) m;
SELECT p AS policy, l.* FROM unnest(ARRAY['sum', 'max', 'source', 'target']) p, reservation.cart_lines('user ' || p) l;
SELECT count(*) AS left_over FROM unnest(ARRAY['sum', 'max', 'source', 'target']) p, reservation.cart_lines('guest ' || p);

-- again: nothing is doubled, and the answer is the first
SELECT * FROM reservation.cart_merge('guest sum', 'user sum');
SELECT * FROM reservation.cart_lines('user sum');
-- the guest comes back with something new: that is another merge
SELECT status FROM reservation.cart_add('guest sum', 'cart a');
SELECT * FROM reservation.cart_merge('guest sum', 'user sum');
SELECT * FROM reservation.cart_lines('user sum');
-- nothing to merge, and nothing was
SELECT * FROM reservation.cart_merge('nobody''s', 'user sum');

-- all or nothing: one line that would be too much, and nothing is merged
SELECT status FROM reservation.cart_set('huge', 'cart a', 9223372036854775807);
SELECT status FROM reservation.cart_set('huge', 'cart b', 1, '{"x": 1}');
SELECT status FROM reservation.cart_set('huge', 'cart c', 1);
SELECT * FROM reservation.cart_merge('huge', 'user sum');
SELECT * FROM reservation.cart_lines('user sum');
SELECT * FROM reservation.cart_lines('huge');
SELECT status, lines FROM reservation.cart_merge('huge', 'user sum', 'max');
SELECT * FROM reservation.cart_lines('user sum');

-- what is refused
\t on
\i test/include/refusal.sql
SELECT * FROM pg_temp.refusal($$cart_add('huge again', 'cart a', 9223372036854775807)$$);
SELECT status FROM reservation.cart_set('huge', 'cart a', 9223372036854775807);
SELECT * FROM pg_temp.refusal($$cart_add('huge', 'cart a', 1)$$);
SELECT * FROM pg_temp.refusal($$cart_add('c', 'cart a', 0)$$);
SELECT * FROM pg_temp.refusal($$cart_set('c', 'cart a', -1)$$);
SELECT * FROM pg_temp.refusal($$cart_add('c', 'no such pool')$$);
SELECT * FROM pg_temp.refusal($$cart_add('c', 'cart a', 1, '[1]')$$);
SELECT * FROM pg_temp.refusal($$cart_add('c', 'cart a', 1, 'null')$$);
SELECT * FROM pg_temp.refusal($$cart_add('c', 'cart a', 1, NULL)$$);
SELECT state, hint FROM pg_temp.refusal($$cart_add('c', 'cart a', 1, jsonb_build_object('x', repeat('y', 700)))$$);
SELECT * FROM pg_temp.refusal($$cart_merge('c', 'c')$$);
SELECT * FROM pg_temp.refusal($$cart_merge('c', 'd', 'add')$$);
SELECT * FROM pg_temp.refusal($$cart_merge('c', 'd', NULL)$$);
SELECT * FROM pg_temp.refusal($$cart_lines(NULL)$$);
-- the longest key there is, of bytes that cannot be compressed
SELECT p.status, a.status, length(a.cart), length(a.pool)
FROM (SELECT string_agg(md5(i::text), '' ORDER BY i) AS name FROM generate_series(1, 31) i) n,
    reservation.create_pool(name || '12345678', 1) p, reservation.cart_add(name || '87654321', p.pool, 1, jsonb_build_object('x', left(name, 610))) a;

SELECT * FROM reservation.verify();

-- a checkout goes on with the target of a merge, also if its cart has been emptied since
SELECT status FROM reservation.create_pool('cart merged', 5);
SELECT status FROM reservation.cart_set('cart guest', 'cart merged', 1);
SELECT status FROM reservation.checkout_cart('cart guest', 'cart merged', 'ann');
SELECT status FROM reservation.cart_set('cart guest', 'cart merged', 0);
SELECT status FROM reservation.cart_merge('cart guest', 'cart user');
SELECT cart FROM reservation.checkout WHERE request_id = 'cart merged';
SELECT status FROM reservation.checkout c, reservation.cancel_checkout(c.checkout_id) WHERE request_id = 'cart merged';
