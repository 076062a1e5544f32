-- A call that is a whole query takes a scan of its own; any other goes the usual way. The answers are the same.
\a
\pset footer off
\pset null NULL
SELECT status FROM reservation.create_pool('call', 100);

-- a whole query, with any of the columns, in any order, any number of times
EXPLAIN (COSTS off) SELECT status, number FROM reservation.claim_next('call', 'ann');
SELECT status, number FROM reservation.claim_next('call', 'ann');
SELECT number, status, number + 1 AS next, upper(holder) FROM reservation.claim_next('call', 'ann');
SELECT 1 AS one FROM reservation.claim_next('call', 'ann');
SELECT status, pool, number, label, holder, available, replayed FROM reservation.claim_next('call', 'ann', 3);
SELECT DISTINCT status FROM reservation.claim_next('call', 'ann', 3);
SELECT count(*), max(number) FROM reservation.claim_next('call', 'ann', 3);
SELECT number FROM reservation.claim_next('call', 'ann', 3) ORDER BY number DESC LIMIT 2;

-- first answers and their repetition, one row and several
SELECT number, replayed FROM reservation.claim_next('call', 'ann', request_id => 'one');
SELECT number, replayed FROM reservation.claim_next('call', 'ann', request_id => 'one');
SELECT number, replayed FROM reservation.claim_next('call', 'ann', 2, request_id => 'two');
SELECT number, replayed FROM reservation.claim_next('call', 'ann', 2, request_id => 'two');

-- a prepared statement: arguments are evaluated anew, once per execution
PREPARE buy AS SELECT status, number, holder FROM reservation.claim_next('call', 'buyer ' || $1, request_id => $2);
EXECUTE buy (1, 'three');
EXECUTE buy (2, NULL);
EXECUTE buy (1, 'three');

-- arguments that are parameters and nothing else, in a plan that does not know their values
SET plan_cache_mode = force_generic_plan;
PREPARE plain (text, text, integer, text) AS SELECT status, number, holder, replayed FROM reservation.claim_next($1, $2, $3, request_id => $4);
EXPLAIN (COSTS off) EXECUTE plain ('call', 'fay', 2, 'four');
EXECUTE plain ('call', 'fay', 2, 'four');
EXECUTE plain ('call', 'fay', 2, 'four');
EXECUTE plain ('call', 'gus', 1, NULL);
EXECUTE plain ('call', NULL, 1, NULL);
EXECUTE plain ('call', repeat('x', 100), NULL, NULL);
DO $$
DECLARE
    who text := 'hal';
    got text;
BEGIN
    FOR i IN 1..2 LOOP
        SELECT status || ' ' || holder INTO got FROM reservation.claim_next('call', who);
        RAISE NOTICE '%', got;
        who := 'ida';
    END LOOP;
END
$$;
RESET plan_cache_mode;

-- a cursor gives the same rows again, and claims once
BEGIN;
DECLARE units SCROLL CURSOR FOR SELECT number FROM reservation.claim_next('call', 'ann', 3);
FETCH 2 FROM units;
MOVE BACKWARD ALL IN units;
FETCH ALL FROM units;
COMMIT;
BEGIN;
DECLARE unit SCROLL CURSOR FOR SELECT number FROM reservation.claim_next('call', 'ann');
FETCH ALL FROM unit;
MOVE BACKWARD ALL IN unit;
FETCH ALL FROM unit;
COMMIT;

-- not asked for a row: not called
SELECT status FROM reservation.claim_next('call', 'nobody') LIMIT 0;
SELECT count(*) AS of_nobody FROM reservation.claims WHERE pool = 'call' AND holder = 'nobody';

-- not a whole query: the usual way. A row that changes under a join may make the executor run it anew.
CREATE TABLE seat (number integer, holder text);
INSERT INTO seat SELECT n, 'cem' FROM generate_series(1, 100) n;
EXPLAIN (COSTS off) SELECT c FROM reservation.claim_next('call', 'ann') c;
EXPLAIN (COSTS off) SELECT status FROM reservation.claim_next('call', 'ann') WHERE status = 'claimed';
EXPLAIN (COSTS off) SELECT number, ordinality FROM reservation.claim_next('call', 'ann') WITH ORDINALITY;
EXPLAIN (COSTS off) SELECT a.number, b.number FROM ROWS FROM (reservation.claim_next('call', 'ann'),
    reservation.claim_next('call', 'bob')) AS x (a, b, number, d, e, f, g, h, i), seat a, seat b LIMIT 0;
EXPLAIN (COSTS off) UPDATE seat SET holder = 'ann' FROM reservation.claim_next('call', 'ann') c WHERE seat.number = c.number;
EXPLAIN (COSTS off) SELECT c.status FROM reservation.claim_next('call', 'ann') c JOIN seat ON true FOR UPDATE OF seat;
EXPLAIN (COSTS off) INSERT INTO seat SELECT number, holder FROM reservation.claim_next('call', 'ann');
-- (PostgreSQL 15 and 16 also say into which parameter the sub-select goes)
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        RETURN NEXT regexp_replace(line, ' \(returns .*', '');
    END LOOP;
END
$$;
SELECT p AS "QUERY PLAN" FROM pg_temp.plan($$SELECT (SELECT number FROM reservation.claim_next('call', 'ann'))$$) p;
SELECT c.status, c.number FROM reservation.claim_next('call', 'dan') c;
SELECT (c).status, (c).number FROM reservation.claim_next('call', 'dan') c;
SELECT status, number FROM reservation.claim_next('call', 'dan') WHERE status = 'claimed';
SELECT n, status, number FROM generate_series(1, 2) n, reservation.claim_next('call', 'dan ' || n);
INSERT INTO seat SELECT number, holder FROM reservation.claim_next('call', 'dan') RETURNING *;
DROP TABLE seat;

-- the right to call is asked for at every execution
CREATE ROLE call_guest;
GRANT USAGE ON SCHEMA reservation TO call_guest;
GRANT EXECUTE ON FUNCTION reservation.claim_next TO call_guest;
SET ROLE call_guest;
SELECT status FROM reservation.claim_next('call', 'guest');
EXECUTE buy (3, NULL);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION reservation.claim_next FROM call_guest;
SET ROLE call_guest;
SELECT status FROM reservation.claim_next('call', 'guest');
EXECUTE buy (4, NULL);
RESET ROLE;
REVOKE USAGE ON SCHEMA reservation FROM call_guest;
DROP ROLE call_guest;

-- an error in the call leaves nothing behind
SELECT status FROM reservation.claim_next('no such pool', 'ann');
SELECT status, number FROM reservation.claim_next('call', 'eve');
SELECT * FROM reservation.verify();
