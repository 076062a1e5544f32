-- a five-line checkout, paid and finalized, in one transaction
\set a random(1, 4)
\set b random(5, 8)
\set c random(9, 12)
\set d random(13, 16)
\set e random(17, 20)
SELECT f.order_number FROM reservation.checkout(:client_id || ' ' || gen_random_uuid(), 'buyer',
        format('[{"pool": "shop %s"}, {"pool": "shop %s"}, {"pool": "shop %s"}, {"pool": "shop %s"}, {"pool": "shop %s"}]',
            :a::int, :b::int, :c::int, :d::int, :e::int)::jsonb, amount => 100, currency => 'EUR') c,
    reservation.record_payment(c.checkout_id, 'bench', c.checkout_id::text, 100, 'EUR', 'what do ya want for nothing?',
        '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843') p,
    LATERAL (SELECT o.order_number FROM reservation.finalize_checkout(p.checkout_id) o WHERE p.status = 'paid') f;
