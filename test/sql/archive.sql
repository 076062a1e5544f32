-- archive(): claims lie elsewhere afterwards, and nothing else is different.
\a
\pset footer off
\pset null NULL

SELECT status FROM reservation.sweep();
SELECT status FROM reservation.create_pool('a seats', 6);
SELECT status FROM reservation.create_pool('a stock', 20, 'counted');
SELECT status FROM reservation.create_pool('a open');
SELECT status FROM reservation.create_pool('a limit', 5, per_holder => 2);
SELECT claim_id AS sold FROM reservation.claim_next('a seats', 'ann', request_id => 'a 1') \gset
SELECT claim_id AS gone FROM reservation.claim_next('a seats', 'bob') \gset
SELECT claim_id AS back FROM reservation.claim_next('a seats', 'bob', ttl => '1 us') \gset
SELECT claim_id AS late FROM reservation.claim_unit('a seats', 5, 'cem', '1 us') \gset
SELECT claim_id AS hold FROM reservation.claim_next('a seats', 'dan', ttl => '1 day') \gset
SELECT status FROM reservation.finalize(:'sold');
SELECT status FROM reservation.finalize(:'gone');
SELECT status FROM reservation.refund(:'gone');
SELECT status, lapsed > 0 AS some FROM reservation.sweep();
SELECT claim_id AS part FROM reservation.charge('a stock', 7, 'a charge') \gset
SELECT status FROM reservation.refund(:'part', 2);
SELECT claim_id AS three FROM reservation.take('a stock', 'ann', 5, '1 day') \gset
SELECT status FROM reservation.finalize(:'three', 3);
SELECT status, number FROM reservation.claim_next('a open', 'ann', 2);
SELECT reservation.finalize(claim_id) IS NULL AS f FROM reservation.claims WHERE pool = 'a open';
SELECT claim_id AS limited FROM reservation.claim_next('a limit', 'ann', 2) LIMIT 1 \gset
SELECT reservation.finalize(claim_id) IS NULL AS f FROM reservation.claims WHERE pool = 'a limit';
SELECT checkout_id AS bought FROM reservation.checkout('a buy', 'eve', '[{"pool": "a seats"}, {"pool": "a stock", "quantity": 2}]') \gset
SELECT status FROM reservation.finalize_checkout(:'bought');

-- all that can be read about them
CREATE FUNCTION pg_temp.everything() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT c::text FROM reservation.claims c WHERE pool ~ '^a '
    UNION ALL SELECT e::text FROM reservation.events e WHERE pool ~ '^a ' OR kind = 'order'
    UNION ALL SELECT s::text FROM (SELECT pool, capacity, available, held, finalized, state FROM reservation.pool_status) s WHERE pool ~ '^a '
    UNION ALL SELECT u::text FROM reservation.units u WHERE pool ~ '^a '
    UNION ALL SELECT e::text FROM reservation.account_entries('a stock') e
    UNION ALL SELECT b::text FROM (SELECT pool, balance, held, finalized FROM unnest(ARRAY['a seats', 'a stock', 'a open', 'a limit']) p,
        reservation.balance_at(p, 'infinity')) b
    UNION ALL SELECT b::text FROM reservation.events e, LATERAL (SELECT balance, held, finalized FROM reservation.balance_at('a stock', e.at)) b WHERE e.pool = 'a stock'
    UNION ALL SELECT v::text FROM reservation.verify() v
$$;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.everything() e;

-- nothing ended so long ago; then in batches, the oldest first, until there is nothing left
SELECT * FROM reservation.archive('2000-01-01');
SELECT * FROM reservation.archive('-infinity');
SELECT clock_timestamp() AS now \gset
SELECT * FROM reservation.archive(:'now', 1);
SELECT status, claims > 0 AS more FROM reservation.archive(:'now', 1000000);
SELECT * FROM reservation.archive(:'now', 1000000);
SELECT p.pool, c.number, c.state FROM reservation.claim c JOIN reservation.pool p USING (pool_id) WHERE pool ~ '^a ' ORDER BY pool, number;
SELECT count(*) AS different FROM (TABLE before EXCEPT ALL SELECT * FROM pg_temp.everything()
    UNION ALL (SELECT * FROM pg_temp.everything() EXCEPT ALL TABLE before)) d;
SELECT * FROM reservation.verify();

-- replays, and calls that change nothing
SELECT status, claim_id = :'sold' AS same, replayed FROM reservation.claim_next('a seats', 'ann', request_id => 'a 1');
SELECT status, number, late, replayed FROM reservation.finalize(:'sold');
SELECT status, replayed FROM reservation.finalize_checkout(:'bought');
SELECT status, replayed FROM reservation.release(:'back');
SELECT status, replayed FROM reservation.refund(:'gone');
SELECT status, number FROM reservation.claim_unit('a seats', 1, 'eve');
SELECT status, claim_id = :'part' AS same, replayed FROM reservation.charge('a stock', 7, 'a charge');
SELECT status FROM reservation.drop_pool('a seats');
SELECT count(*) AS different FROM (TABLE before EXCEPT ALL SELECT * FROM pg_temp.everything()
    UNION ALL (SELECT * FROM pg_temp.everything() EXCEPT ALL TABLE before)) d;

-- refunds, in part and of all, and a late finalize: as ever
SELECT status, claims > 0 AS again FROM reservation.archive(:'now', 1000000);
SELECT status, refunded, remaining FROM reservation.refund(:'part', 1);
SELECT status, refunded, remaining FROM reservation.refund(:'three');
SELECT status, refunded FROM reservation.refund(:'sold');
SELECT status, number, late FROM reservation.finalize(:'late');
SELECT * FROM reservation.verify();
SELECT status, number FROM reservation.claim_next('a seats', 'fay');
SELECT available FROM reservation.availability('{a stock}');

-- what a limit counts stays; a pool that gets its first limit counts what is archived
SELECT status FROM reservation.claim_next('a limit', 'ann');
SELECT status FROM reservation.refund(:'limited');
SELECT status, claims > 0 AS again FROM reservation.archive(clock_timestamp(), 1000000);
SELECT count(*) AS archived FROM reservation.claim_archive c JOIN reservation.pool p USING (pool_id) WHERE pool = 'a open';
BEGIN;
SELECT status FROM reservation.alter_pool('a open', per_holder => 2);
SELECT status FROM reservation.claim_next('a open', 'ann');
SELECT status FROM reservation.claim_next('a open', 'bob');
SELECT * FROM reservation.verify();
ROLLBACK;

-- a number of an open edition is not given out twice, even if its sequence forgets
SELECT format('reservation.pool_%s_number', pool_id) AS sequence FROM reservation.pool WHERE pool = 'a open' \gset
BEGIN;
SELECT setval(:'sequence', 1, false);
SELECT status, number FROM reservation.claim_next('a open', 'gus');
ROLLBACK;
SELECT setval(:'sequence', 3, false);
SELECT problem FROM reservation.verify();

-- a trigger finds its number there, and brings it back when its row changes; what it took of a stock stays
CREATE TABLE archive_row (id integer PRIMARY KEY, number integer, pool text DEFAULT 'a stock', quantity integer DEFAULT 2);
CREATE TRIGGER take AFTER INSERT OR UPDATE OR DELETE ON archive_row FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('pool', 'quantity');
SELECT status FROM reservation.create_pool('a rows', 2);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON archive_row FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('a rows', 'number');
CREATE TRIGGER gone AFTER DELETE ON archive_row FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('a rows', 'number');
INSERT INTO archive_row VALUES (1), (2);
SELECT claims FROM reservation.archive(clock_timestamp(), 1000000);
SELECT * FROM reservation.verify();
UPDATE archive_row SET id = 3 WHERE id = 1;
SELECT pool, number, holder, state FROM reservation.claims WHERE holder ~ 'archive_row' ORDER BY pool, number, holder;
DELETE FROM archive_row;
SELECT available FROM reservation.availability('{a rows,a stock}');
SELECT * FROM reservation.verify();
DROP TABLE archive_row;
-- an offer that was taken is archived, one that was not stays until its time would be over: the tickets tell the same afterwards, and nobody stands twice
SELECT status FROM reservation.create_pool('a line', 2, opens_at => 'tomorrow');
SELECT status FROM unnest('{ann,bob,cas}'::text[]) holder, reservation.join_line('a line', holder);
SELECT holder FROM reservation.serve_line('a line');
SELECT f.status FROM reservation.tickets t, reservation.finalize(claim_ids[1]) f WHERE t.pool = 'a line' AND t.holder = 'ann';
SELECT r.status FROM reservation.tickets t, reservation.release(claim_ids[1]) r WHERE t.pool = 'a line' AND holder = 'bob';
CREATE TEMP TABLE before_archive AS SELECT * FROM reservation.tickets WHERE pool = 'a line';
SELECT claims FROM reservation.archive(clock_timestamp(), 1000000);
SELECT count(*) AS archived FROM reservation.claim_archive JOIN reservation.pool p USING (pool_id) WHERE p.pool = 'a line';
SELECT count(*) AS changed FROM (TABLE before_archive EXCEPT SELECT * FROM reservation.tickets) t;
SELECT holder, state FROM before_archive ORDER BY number;
SELECT t.holder, l.status, l.position, l.claim_id = t.claim_ids[1] AS same
FROM reservation.tickets t, reservation.line_position(ticket_id) l WHERE pool = 'a line' ORDER BY number;
SELECT status, position FROM unnest('{ann,bob,cas}'::text[]) holder, reservation.join_line('a line', holder);
SELECT r.status FROM before_archive b, reservation.refund(claim_ids[1]) r WHERE holder = 'ann';
SELECT * FROM reservation.verify();
-- a pool that is gone keeps nothing back
SELECT status FROM reservation.drop_pool('a limit', true);
SELECT claims FROM reservation.archive(clock_timestamp(), 1000000);
SELECT count(*) AS left FROM reservation.claim c JOIN reservation.pool p USING (pool_id) WHERE pool IN ('a limit', 'a rows');

-- what can be wrong with the archive is named
CREATE FUNCTION pg_temp.report() RETURNS TABLE (pool text, problem text) LANGUAGE sql AS $$
    SELECT pool, problem FROM reservation.verify() ORDER BY 1, 2
$$;
BEGIN;
INSERT INTO reservation.claim SELECT * FROM reservation.claim_archive WHERE claim_id = :'sold';
SELECT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
DELETE FROM reservation.claim_archive c USING reservation.pool p WHERE p.pool_id = c.pool_id AND p.pool = 'a open';
SELECT DISTINCT * FROM pg_temp.report();
ROLLBACK;
BEGIN;
INSERT INTO reservation.available SELECT pool_id, number FROM reservation.claim_archive JOIN reservation.pool p USING (pool_id)
WHERE p.pool = 'a open' AND number = 1;
SELECT * FROM pg_temp.report();
SELECT status, problem FROM reservation.repair('a open');
ROLLBACK;

-- misuse
\set VERBOSITY sqlstate
SELECT * FROM reservation.archive(NULL);
SELECT * FROM reservation.archive(now(), 0);
SELECT * FROM reservation.archive(now(), NULL);
INSERT INTO reservation.claim_archive SELECT * FROM reservation.claim WHERE claim_id = :'hold';
SELECT * FROM reservation.verify();
