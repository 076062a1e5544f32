-- the same work, hand-written in one PL/pgSQL function
\set a random(1, 4)
\set b random(5, 8)
\set c random(9, 12)
\set d random(13, 16)
\set e random(17, 20)
SELECT peer.shop_buy(:client_id || ' ' || gen_random_uuid(), 'buyer',
    ARRAY['shop ' || :a::int, 'shop ' || :b::int, 'shop ' || :c::int, 'shop ' || :d::int, 'shop ' || :e::int], 100, gen_random_uuid()::text);
