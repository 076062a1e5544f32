-- the same work, hand-written in one PL/pgSQL function
\set n random(1, 1000000000)
SELECT peer.shop_buy(:client_id || ' ' || gen_random_uuid(), 'buyer', peer.shop_pools(:n), 100, gen_random_uuid()::text);
