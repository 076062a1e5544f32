-- The table of states: every call in every state. What is not allowed is refused, and changes nothing.
\a
\pset footer off
\pset null NULL

SELECT status FROM reservation.create_pool('st a', 1000);
SELECT status FROM reservation.create_pool('st b', 1000, 'counted');
SELECT status FROM reservation.set_payment_provider('st', 'hmac-sha256', 'Jefe');

-- what a call does: its answer, and what it changed of all that there is
CREATE FUNCTION pg_temp.books() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(t, E'\n' ORDER BY t) FROM (
        SELECT 'checkout ' || c.*::text FROM reservation.checkout c UNION ALL SELECT 'payment ' || p.*::text FROM reservation.payment p
        UNION ALL SELECT 'order ' || o.*::text FROM reservation.order o UNION ALL SELECT 'claim ' || k.*::text FROM reservation.claim k
        UNION ALL SELECT 'available ' || a.*::text FROM reservation.available a UNION ALL SELECT 'line ' || l.*::text FROM reservation.cart_line l
        UNION ALL SELECT 'log ' || l.*::text FROM reservation.log l UNION ALL SELECT 'stock ' || s.*::text FROM reservation.stock s) x(t)
$$;
CREATE FUNCTION pg_temp.pay(id uuid, payment text) RETURNS text LANGUAGE sql AS $$
    SELECT status || CASE WHEN replayed THEN ', replayed' ELSE '' END FROM reservation.record_payment(id, 'st', id || payment, 100, 'EUR',
        'what do ya want for nothing?', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
$$;
-- one call on one checkout
CREATE FUNCTION pg_temp.call(what text, id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    CASE what
        WHEN 'pay' THEN answer := pg_temp.pay(id, ' first');
        WHEN 'pay again' THEN answer := pg_temp.pay(id, ' second');
        WHEN 'finalize' THEN SELECT status || CASE WHEN replayed THEN ', replayed' ELSE '' END INTO answer FROM reservation.finalize_checkout(id);
        WHEN 'cancel' THEN SELECT status || CASE WHEN replayed THEN ', replayed' ELSE '' END INTO answer FROM reservation.cancel_checkout(id);
        WHEN 'settle' THEN SELECT status || CASE WHEN replayed THEN ', replayed' ELSE '' END INTO answer FROM reservation.settle_refund(id, 'r');
        WHEN 'wrong amount' THEN SELECT status INTO answer FROM reservation.record_payment(id, 'st', id || 'x', 99, 'EUR', 'what do ya want for nothing?',
            '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
        WHEN 'forge' THEN SELECT status INTO answer FROM reservation.record_payment(id, 'st', id || 'y', 100, 'EUR', 'what do ya want for nothing!',
            '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
        -- not calls: what time and other buyers do
        WHEN 'time passes' THEN UPDATE reservation.claim SET expires_at = '2000-01-01' WHERE state = 'held'
            AND claim_id IN (SELECT (c ->> 'claim_id')::uuid FROM reservation.checkout k, jsonb_array_elements(k.claims) c WHERE checkout_id = id);
            UPDATE reservation.checkout SET expires_at = '2000-01-01' WHERE checkout_id = id;
            PERFORM reservation.sweep();
        WHEN 'somebody buys' THEN PERFORM r.status FROM reservation.checkout k, jsonb_array_elements(k.claims) c,
            reservation.claim_unit('st a', (c ->> 'number')::integer, 'somebody') r WHERE checkout_id = id AND c ->> 'pool' = 'st a';
    END CASE;
    RETURN answer;
END
$$;
-- comes to a state by a list of calls, then makes one more; everything is undone
CREATE FUNCTION pg_temp.try(amount bigint, path text[], last text) RETURNS TABLE (before text, answer text, after text, changed text) LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
    step text;
    books text;
BEGIN
    SELECT checkout_id INTO STRICT id FROM reservation.checkout(gen_random_uuid()::text, 'ann',
        '[{"pool": "st a", "quantity": 2}, {"pool": "st b", "quantity": 3}]', '1 day', amount, CASE WHEN amount > 0 THEN 'EUR' END);
    FOREACH step IN ARRAY path LOOP
        PERFORM pg_temp.call(step, id);
    END LOOP;
    SELECT state INTO before FROM reservation.checkouts WHERE checkout_id = id;
    books := pg_temp.books();
    answer := pg_temp.call(last, id);
    SELECT state INTO after FROM reservation.checkouts WHERE checkout_id = id;
    changed := CASE WHEN books = pg_temp.books() THEN 'nothing' ELSE 'changed' END;
    IF EXISTS (SELECT FROM reservation.verify()) THEN
        RAISE 'verify: %', (SELECT string_agg(v::text, ', ') FROM reservation.verify() v);
    END IF;
    RAISE SQLSTATE '00NIL';
EXCEPTION WHEN SQLSTATE '00NIL' THEN
    RETURN NEXT;
END
$$;

SELECT CASE WHEN amount > 0 THEN 'to pay' ELSE 'free' END AS checkout, array_to_string(path, ', ') AS path, last AS call, t.*
FROM (VALUES (100, '{}'::text[]), (100, '{pay}'), (100, '{pay,finalize}'), (100, '{pay,time passes,somebody buys,finalize}'), (100, '{cancel}'), (100, '{pay,cancel}'),
        (100, '{pay,cancel,settle}'), (100, '{pay,time passes,somebody buys,finalize,cancel}'), (100, '{pay,finalize,pay again,settle}'),
        (100, '{time passes}'), (100, '{pay,time passes}'), (100, '{pay,time passes,somebody buys}'), (NULL, '{}'), (NULL, '{finalize}'), (NULL, '{cancel}'),
        (NULL, '{time passes,somebody buys}')) p (amount, path),
    unnest(ARRAY['pay', 'pay again', 'finalize', 'cancel', 'settle', 'wrong amount', 'forge']) last,
    pg_temp.try(amount, path, last) t;

-- what is not allowed changes nothing: the same, as a rule
SELECT count(*) FILTER (WHERE changed <> 'nothing') AS wrong, count(*)
FROM (VALUES (100, '{}'::text[]), (100, '{pay}'), (100, '{pay,finalize}'), (100, '{pay,time passes,somebody buys,finalize}'), (100, '{cancel}'), (100, '{pay,cancel}'),
        (NULL, '{}'), (NULL, '{finalize}'), (NULL, '{cancel}')) p (amount, path),
    unnest(ARRAY['pay', 'pay again', 'finalize', 'cancel', 'settle', 'wrong amount', 'forge']) last,
    pg_temp.try(amount, path, last) t
WHERE answer ~ 'replayed|not_paid|bad_signature|amount_mismatch|payment_used|nothing_due' OR (last = 'finalize' AND answer IN ('cancelled', 'lapsed'))
    OR (last = 'cancel' AND answer = 'finalized') OR before IN ('finalized', 'cancelled') AND last IN ('finalize', 'cancel');
SELECT * FROM reservation.verify();

-- what was finalized one by one goes back with the rest, and what has lapsed
SELECT status FROM reservation.create_pool('st one', 3, 'numbered');
SELECT checkout_id AS id FROM reservation.checkout('st one', 'ann', '[{"pool": "st one", "quantity": 2}, {"pool": "st b", "quantity": 3}]', '1 day', 100) \gset
SELECT pg_temp.pay(:'id', ' one');
SELECT f.status FROM reservation.claims c, reservation.finalize(c.claim_id) f WHERE c.request_id = 'st one' AND (c.number = 1 OR c.number IS NULL);
UPDATE reservation.claim SET expires_at = '2000-01-01' WHERE request_id = 'st one' AND number = 2;
SELECT status FROM reservation.cancel_checkout(:'id');
SELECT pool, number, quantity, state FROM reservation.claims WHERE request_id = 'st one' ORDER BY pool DESC, number;
SELECT available FROM reservation.availability('{st one}');
SELECT count(*) FROM reservation.refunds_due WHERE checkout_id = :'id';
SELECT * FROM reservation.verify();
