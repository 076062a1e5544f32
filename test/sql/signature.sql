-- Signatures: those of the providers' own documentation, and everything that is none.
\a
\pset footer off
\pset null NULL

-- HMAC-SHA256 as in RFC 2104, from what the server has
CREATE FUNCTION pg_temp.pad(secret bytea, byte integer) RETURNS bytea LANGUAGE sql AS $$
    SELECT string_agg(set_byte('\x00', 0, coalesce(get_byte(k, i), 0) # byte), '' ORDER BY i)
    FROM (SELECT CASE WHEN length(secret) > 64 THEN sha256(secret) ELSE secret END || decode(repeat('00', 64), 'hex')) s(k),
        generate_series(0, 63) i
$$;
CREATE FUNCTION pg_temp.sign(secret text, payload text) RETURNS text LANGUAGE sql AS $$
    SELECT encode(sha256(pg_temp.pad(convert_to(secret, 'UTF8'), 92)
        || sha256(pg_temp.pad(convert_to(secret, 'UTF8'), 54) || convert_to(payload, 'UTF8'))), 'hex')
$$;
-- RFC 4231, test cases 2 and 6
SELECT pg_temp.sign('Jefe', 'what do ya want for nothing?') = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843' AS case_2;
SELECT encode(sha256(pg_temp.pad(decode(repeat('aa', 131), 'hex'), 92) || sha256(pg_temp.pad(decode(repeat('aa', 131), 'hex'), 54)
    || 'Test Using Larger Than Block-Size Key - Hash Key First'::bytea)), 'hex')
    = '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54' AS case_6;

SELECT * FROM reservation.create_pool('signed', 100);
SELECT * FROM reservation.set_payment_provider('razorpay', 'razorpay', 'EnLs21M47BllR3X8PSFtjtbd');
SELECT * FROM reservation.set_payment_provider('stripe', 'stripe', 'whsec_test_secret');
SELECT * FROM reservation.set_payment_provider('plain', 'hmac-sha256', 'Jefe');
SELECT checkout_id AS id FROM reservation.checkout('signed 1', 'ann', '[{"pool": "signed"}]', '1 day', 100, 'INR') \gset
SELECT set_config('test.id', :'id', false) IS NOT NULL AS known;

-- Is this a signature? Undone, so that each is tried on the same checkout; nothing is recorded unless it is.
CREATE FUNCTION pg_temp.try(provider text, payload text, signature text, payment_id text DEFAULT 'pay_1') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result text;
    recorded bigint;
BEGIN
    SELECT p.status INTO result
    FROM reservation.record_payment(current_setting('test.id')::uuid, provider, payment_id, 100, 'INR', payload, signature) p;
    SELECT count(*) INTO recorded FROM reservation.payments p WHERE p.checkout_id = current_setting('test.id')::uuid;
    RAISE SQLSTATE '00NIL';
EXCEPTION
    WHEN SQLSTATE '00NIL' THEN
        IF recorded <> (result = 'paid')::int THEN
            RETURN result || ', and recorded: ' || recorded;
        END IF;
        RETURN result;
    WHEN OTHERS THEN
        RETURN SQLSTATE;
END
$$;

-- razorpay: the values of its documentation for verifying a payment signature
\set order order_IEIaMR65cu6nz3
\set payment pay_IH4NVgf4Dreq1l
\set signature 0d4e745a1838664ad6c9c9902212a32d627d68e917290b0ad5f08ff4561bc50f
SELECT pg_temp.try('razorpay', :'order' || '|' || :'payment', :'signature', :'payment') AS documented;
SELECT pg_temp.sign('EnLs21M47BllR3X8PSFtjtbd', :'order' || '|' || :'payment') = :'signature' AS ours_agrees;
SELECT what, pg_temp.try('razorpay', payload, coalesce(signature, pg_temp.sign('EnLs21M47BllR3X8PSFtjtbd', payload)), payment_id)
FROM (VALUES
    ('another payment', :'order' || '|' || :'payment', :'signature', 'pay_2'),
    ('another payment, signed', :'order' || '|pay_2', NULL, 'pay_1'),
    ('this one, signed', :'order' || '|pay_1', NULL, 'pay_1'),
    ('ends in it, but is longer', :'order' || '|xpay_1', NULL, 'pay_1'),
    ('no order', '|pay_1', NULL, 'pay_1'),
    ('no bar', 'order_1pay_1', NULL, 'pay_1'),
    ('only the payment', 'pay_1', NULL, 'pay_1'),
    ('two orders', 'order_1|order_2|pay_1', NULL, 'pay_1'),
    ('a bar in the payment', 'order_1|pay|1', NULL, 'pay|1'),
    ('empty', '', NULL, 'pay_1'),
    ('no payment', 'order_1|', NULL, 'pay_1'),
    ('a newline after it', :'order' || E'|pay_1\n', NULL, 'pay_1'),
    ('upper case', :'order' || '|' || :'payment', upper(:'signature'), :'payment'),
    ('too short', :'order' || '|' || :'payment', left(:'signature', 63), :'payment'),
    ('too long', :'order' || '|' || :'payment', :'signature' || '0', :'payment'),
    ('a space before it', :'order' || '|' || :'payment', ' ' || :'signature', :'payment'),
    ('twice', :'order' || '|' || :'payment', :'signature' || :'signature', :'payment'),
    ('empty signature', :'order' || '|' || :'payment', '', :'payment')
) t (what, payload, signature, payment_id);

-- hmac-sha256: RFC 4231 again, and bytes beyond ASCII, which are signed in UTF-8
SELECT pg_temp.try('plain', 'what do ya want for nothing?', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843') AS rfc_4231;
SELECT pg_temp.try('plain', U&'\00FCber \+01F600', pg_temp.sign('Jefe', U&'\00FCber \+01F600')) AS beyond_ascii;
SELECT pg_temp.try('plain', '', pg_temp.sign('Jefe', '')) AS empty_payload;
SELECT pg_temp.try('plain', repeat('x', 1048576), pg_temp.sign('Jefe', repeat('x', 1048576))) AS one_mebibyte;
SELECT pg_temp.try('plain', repeat('x', 10000000), pg_temp.sign('Jefe', repeat('x', 10000000))) AS ten_megabytes;
-- every single bit of the signature, and of the payload
SELECT pg_temp.try('plain', 'what do ya want for nothing?', convert_from(set_bit(convert_to(s, 'UTF8'), b, 1 - get_bit(convert_to(s, 'UTF8'), b)), 'UTF8')) AS flipped, count(*)
FROM (VALUES ('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')) v(s), generate_series(0, 511) b
WHERE b % 8 < 7 GROUP BY 1;
SELECT pg_temp.try('plain', convert_from(set_bit(convert_to(p, 'UTF8'), b, 1 - get_bit(convert_to(p, 'UTF8'), b)), 'UTF8'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843') AS flipped, count(*)
FROM (VALUES ('what do ya want for nothing?')) v(p), generate_series(0, 223) b
WHERE b % 8 < 7 AND get_byte(set_bit(convert_to(p, 'UTF8'), b, 1 - get_bit(convert_to(p, 'UTF8'), b)), b / 8) > 0 GROUP BY 1;

-- stripe: a header of its documentation, from 2017; and what is signed now
SELECT pg_temp.try('stripe', '{}', 't=1492774577,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd,'
    'v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39') AS documented_but_old;
CREATE FUNCTION pg_temp.stripe(template text, seconds integer DEFAULT 0, secret text DEFAULT 'whsec_test_secret', body text DEFAULT '{"id": "evt_1"}')
RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.try('stripe', body, replace(replace(template, '<t>', t), '<v1>', pg_temp.sign(secret, t || '.' || body)))
    FROM (SELECT (extract(epoch FROM clock_timestamp())::bigint + seconds)::text) s(t)
$$;
SELECT template, pg_temp.stripe(template) FROM (VALUES ('t=<t>,v1=<v1>'), ('v1=<v1>,t=<t>'), ('t=<t>,v1=0000,v1=<v1>'), ('t=<t>,v1=<v1>,v1=0000'),
    ('t=<t>,v1=<v1>,v0=6ffb'), ('t=<t>,v1=<v1>,v1=<v1>'),
    ('t=<t>,v0=<v1>'), ('t=<t>'), ('v1=<v1>'), (''), (','), ('t=<t>,t=<t>,v1=<v1>'), ('t=<t>,v1=<v1>,'), (',t=<t>,v1=<v1>'), ('t=<t>,,v1=<v1>'),
    ('t=<t>, v1=<v1>'), ('t =<t>,v1=<v1>'), ('T=<t>,v1=<v1>'), ('t=<t>,V1=<v1>'), ('t=,v1=<v1>'), ('t=<t>,v1='), ('t=<t>,v1'), ('=<t>,v1=<v1>'),
    ('t=+<t>,v1=<v1>'), ('t=0<t>,v1=<v1>'), ('t=<t>.0,v1=<v1>'), ('t=-1,v1=<v1>'), ('t=99999999999999999999,v1=<v1>'), ('t=<t>;v1=<v1>'),
    ('t=<t>,v1=<v1>0'), ('t=<t>,v1=0<v1>'), ('t=<t>,v11=<v1>'), ('<v1>')) t(template);
SELECT seconds, pg_temp.stripe('t=<t>,v1=<v1>', seconds) FROM unnest(ARRAY[-3600, -310, -290, 0, 290, 310, 3600]) seconds;
SELECT pg_temp.stripe('t=<t>,v1=<v1>', 0, 'whsec_other_secret') AS another_secret;
SELECT pg_temp.stripe('t=<t>' || repeat(',v1=0000', 600) || ',v1=<v1>') AS endless;

-- a scheme is not taken for another: a body signed without a time is no stripe signature
SELECT pg_temp.try('stripe', 'x', pg_temp.sign('whsec_test_secret', 'x')) AS plain_for_stripe;

-- no secret, no provider, another secret
SELECT pg_temp.try('unknown', 'x', pg_temp.sign('', 'x')) AS unknown_provider;
SELECT pg_temp.try('plain', 'x', pg_temp.sign('', 'x')) AS signed_with_nothing;
SELECT * FROM reservation.set_payment_provider('plain', 'hmac-sha256', 'new');
SELECT pg_temp.try('plain', 'x', pg_temp.sign('Jefe', 'x')) AS old_secret, pg_temp.try('plain', 'x', pg_temp.sign('new', 'x')) AS new_secret;
SELECT * FROM reservation.set_payment_provider('plain', 'hmac-sha256', repeat('long', 100));
SELECT pg_temp.try('plain', 'x', pg_temp.sign(repeat('long', 100), 'x')) AS longer_than_a_block;

-- invalid UTF-8 does not even get here
\set VERBOSITY sqlstate
SELECT pg_temp.try('plain', convert_from('\xff'::bytea, 'UTF8'), '');
SELECT * FROM reservation.set_payment_provider('empty', 'hmac-sha256', '');
SELECT * FROM reservation.set_payment_provider('empty', 'hmac-sha256', NULL);
SELECT * FROM reservation.set_payment_provider('empty', 'md5', 'x');
\set VERBOSITY default

-- nothing was recorded by all this
SELECT count(*) FROM reservation.payments WHERE checkout_id = :'id';
SELECT state FROM reservation.checkouts WHERE checkout_id = :'id';
SELECT * FROM reservation.verify();
