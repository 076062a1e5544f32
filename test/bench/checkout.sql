-- a five-line checkout, paid and finalized, in one transaction
\set n random(1, 1000000000)
SELECT f.order_number FROM (
    SELECT jsonb_agg(jsonb_build_object('pool', p)) AS lines FROM unnest(peer.shop_pools(:n)) p
) l, reservation.checkout(:client_id || ' ' || gen_random_uuid(), 'buyer', l.lines, amount => 100, currency => 'EUR') c,
    reservation.record_payment(c.checkout_id, 'bench', c.checkout_id::text, 100, 'EUR', 'what do ya want for nothing?',
        '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843') p,
    LATERAL (SELECT o.order_number FROM reservation.finalize_checkout(p.checkout_id) o WHERE p.status = 'paid') f;
