-- balance_at(): what a pool had at an instant.
\a
\pset footer off
\pset null NULL

CREATE TEMP TABLE instant (place serial, at timestamptz DEFAULT clock_timestamp(), what text);
INSERT INTO instant (what) VALUES ('before all');
SELECT status FROM reservation.create_pool('b stock', 10, 'counted', floor => -5);
SELECT status FROM reservation.create_pool('b seats', 4);
SELECT status FROM reservation.create_pool('b open');
INSERT INTO instant (what) VALUES ('made');
SELECT claim_id AS stock FROM reservation.take('b stock', 'ann', 6, '1 day') \gset
SELECT claim_id AS seat FROM reservation.claim_next('b seats', 'ann', ttl => '1 day') \gset
SELECT claim_id AS open FROM reservation.claim_next('b open', 'ann', ttl => '1 day') \gset
INSERT INTO instant (what) VALUES ('held');
SELECT status FROM reservation.finalize(:'stock', 5);
SELECT status FROM reservation.finalize(:'seat');
SELECT status FROM reservation.finalize(:'open');
INSERT INTO instant (what) VALUES ('finalized');
SELECT status FROM reservation.refund(:'stock', 2);
INSERT INTO instant (what) VALUES ('refunded in part');
SELECT status FROM reservation.adjust('b stock', 100);
SELECT status FROM reservation.adjust('b stock', -30);
SELECT status FROM reservation.add_units('b seats', 3);
INSERT INTO instant (what) VALUES ('restocked');
SELECT status FROM reservation.charge('b stock', 7, 'b charge');
SELECT status FROM reservation.refund(:'seat');
SELECT claim_id AS short FROM reservation.take('b stock', 'bob', 3, '1 ms') \gset
SELECT claim_id AS lapsed FROM reservation.claim_next('b seats', 'bob', 1, '1 ms') \gset
SELECT count(pg_sleep(0.002));
INSERT INTO instant (what) VALUES ('lapsed, not swept');
SELECT status FROM reservation.sweep();
INSERT INTO instant (what) VALUES ('swept');
SELECT status, late FROM reservation.finalize(:'lapsed');
SELECT claim_id AS back FROM reservation.take('b stock', 'cem', 8, '100000 years') \gset
INSERT INTO instant (what) VALUES ('late, and held for ever');
SELECT status FROM reservation.release(:'back');
SELECT claim_id AS kept FROM reservation.claim_next('b seats', 'cem', ttl => '1 hour') \gset
INSERT INTO instant (what) VALUES ('now');
INSERT INTO instant (at, what) VALUES (clock_timestamp() + '1 day', 'tomorrow'), ('infinity', 'infinity'), ('-infinity', '-infinity');

SELECT what, s.balance, s.held, s.finalized, n.balance AS free, n.held, n.finalized, o.balance AS open, o.held, o.finalized
FROM instant i, reservation.balance_at('b stock', i.at) s, reservation.balance_at('b seats', i.at) n, reservation.balance_at('b open', i.at) o
ORDER BY place;

-- now, it is what is there; and at every entry of an account, the balance after it
SELECT p.pool, p.available + p.floor IS NOT DISTINCT FROM b.balance AND p.held = b.held AND p.finalized = b.finalized AS same
FROM reservation.pool_status p, reservation.balance_at(p.pool, clock_timestamp()) b
WHERE p.pool IN ('b stock', 'b seats', 'b open') ORDER BY 1;
SELECT bool_and(balance_at.balance = e.balance) AS same, count(*) > 5 AS several
FROM (SELECT at, (array_agg(balance ORDER BY place DESC))[1] AS balance
    FROM reservation.account_entries('b stock') WITH ORDINALITY AS e (at, event, claim_id, amount, balance, holder, actor, reason, request_id, place)
    WHERE claim_id IS DISTINCT FROM :'short' GROUP BY at) e, reservation.balance_at('b stock', e.at)
WHERE e.at < (SELECT claimed_at FROM reservation.claims WHERE claim_id = :'short');

-- what other sessions have committed, at every isolation level
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT balance FROM reservation.balance_at('b stock', 'infinity');
COMMIT;
\set VERBOSITY sqlstate
SELECT * FROM reservation.balance_at(NULL, now());
SELECT * FROM reservation.balance_at('b stock', NULL);
SELECT * FROM reservation.balance_at('no such pool', now());
SELECT * FROM reservation.verify();
