-- What is refused when units are added or claimed by number. Nothing is lost, and the session goes on.
\a
\t on
\pset null NULL

\i test/include/refusal.sql

SELECT status FROM reservation.create_pool('seat', 2);
SELECT status FROM reservation.create_pool('seat open');
SELECT status FROM reservation.create_pool('seat counted', 2, 'counted');
SELECT status FROM reservation.create_pool('seat last', 1, first_number => 2147483647);

-- add_units: the pool
SELECT * FROM pg_temp.refusal($$add_units(NULL, 1)$$);
SELECT * FROM pg_temp.refusal($$add_units('', 1)$$);
SELECT * FROM pg_temp.refusal($$add_units(repeat('x', 10240), 1)$$);
SELECT * FROM pg_temp.refusal($$add_units('unknown', 1)$$);
SELECT * FROM pg_temp.refusal($$add_units('seat open', 1)$$);
SELECT * FROM pg_temp.refusal($$add_units('seat counted', labels => '{A}')$$);
-- how many
SELECT * FROM pg_temp.refusal($$add_units('seat')$$);
SELECT * FROM pg_temp.refusal($$add_units('seat', 0)$$);
SELECT * FROM pg_temp.refusal($$add_units('seat', -1)$$);
SELECT * FROM pg_temp.refusal($$add_units('seat', 2147483647)$$);
SELECT * FROM pg_temp.refusal($$add_units('seat last', 2)$$);
-- labels and attributes: one per unit
SELECT * FROM pg_temp.refusal($$add_units('seat', labels => '{}')$$);
SELECT * FROM pg_temp.refusal($$add_units('seat', attributes => '{}')$$);
SELECT * FROM pg_temp.refusal($$add_units('seat', labels => '{{A 1,A 2},{B 1,B 2}}')$$);
SELECT * FROM pg_temp.refusal($$add_units('seat', attributes => ARRAY[['{}', '{}']]::jsonb[])$$);
SELECT * FROM pg_temp.refusal($$add_units('seat', 3, labels => '{A 1,A 2}')$$);
SELECT * FROM pg_temp.refusal($$add_units('seat', -1, labels => '{A 1,A 2}')$$);
SELECT * FROM pg_temp.refusal($$add_units('seat', labels => '{A 1,A 2}', attributes => ARRAY['{}']::jsonb[])$$);
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$add_units('seat', labels => '{A 1,""}')$$);
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$add_units('seat', labels => ARRAY[repeat('x', 1001)])$$);
SELECT state, hint <> '' AS has_hint FROM pg_temp.refusal($$add_units('seat', labels => ARRAY[repeat('é', 501)])$$);

-- claim_unit: the same arguments as claim_next, and the number
SELECT * FROM pg_temp.refusal($$claim_unit(NULL, 1, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('', 1, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('unknown', 1, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat counted', 1, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', NULL, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 0, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 3, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', -1, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', -2147483648, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 2147483647, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat open', 1, 'ann')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 1, NULL)$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 1, '')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 1, repeat('x', 10240))$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 1, 'ann', ttl => '0')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 1, 'ann', ttl => '-1 second')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 1, 'ann', request_id => '')$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 1, 'ann', request_id => repeat('x', 10240))$$);
SELECT * FROM pg_temp.refusal($$claim_unit('seat', 1, 'ann', wait => '-1 second')$$);

-- nothing is lost
SELECT * FROM reservation.availability(ARRAY['seat', 'seat open', 'seat counted', 'seat last']);
SELECT count(*) FROM reservation.claims WHERE pool LIKE 'seat%';
SELECT * FROM reservation.add_units('seat', labels => '{A 3}');
SELECT status, number, label FROM reservation.claim_unit('seat', 3, 'ann');
SELECT * FROM reservation.verify();
