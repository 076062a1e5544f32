-- Whatever happens in whatever order: the next claim gets the lowest free numbers, all or none, and the books are right.
-- 5,000 steps of chance, the same in every run, checked against the seat map.
\a
\pset footer off

SELECT status FROM reservation.create_pool('chance', 12);
SELECT status FROM reservation.create_pool('chance open');

CREATE PROCEDURE pg_temp.steps(pool text, count integer, seed float8) LANGUAGE plpgsql AS $$
DECLARE
    free integer[];
    got integer[];
    want integer;
    answer text;
    id uuid;
    action integer;
    done integer := 0;
    sold_out integer := 0;
    undone integer := 0;
BEGIN
    PERFORM setseed(seed);
    FOR step IN 1 .. count LOOP
        action := floor(random() * 20);
        SELECT c.claim_id INTO id FROM reservation.claims c WHERE c.pool = steps.pool AND c.state IN ('held', 'finalized')
        ORDER BY md5(c.number::text || step) LIMIT 1;
        IF action < 8 THEN
            want := 1 + floor(random() * 3);
            SELECT coalesce(array_agg(u.number ORDER BY u.number), '{}') INTO free
            FROM reservation.units u WHERE u.pool = steps.pool AND u.state = 'free';
            BEGIN
                SELECT array_agg(c.number), min(c.status) INTO got, answer
                FROM reservation.claim_next(pool, 'h' || action, want,
                    ttl => CASE WHEN random() < 0.4 THEN '1 microsecond'::interval END) c;
                IF answer = 'sold_out' AND cardinality(free) < want AND pool = 'chance' THEN
                    sold_out := sold_out + 1;
                ELSIF answer <> 'claimed' OR got[1 : cardinality(free)] IS DISTINCT FROM free[1 : want]
                    OR cardinality(free) < want AND pool = 'chance' THEN
                    RAISE 'step %: wanted % of %, got % (%)', step, want, free, got, answer;
                END IF;
                IF random() < 0.2 THEN
                    RAISE SQLSTATE '00NIL';
                END IF;
            EXCEPTION WHEN SQLSTATE '00NIL' THEN
                undone := undone + 1;
            END;
            done := done + 1;
        ELSIF action < 10 THEN
            SELECT u.number, u.state INTO want, answer FROM reservation.units u WHERE u.pool = steps.pool
            ORDER BY md5(u.number::text || step) LIMIT 1;
            CONTINUE WHEN NOT FOUND;
            IF (SELECT c.status FROM reservation.claim_unit(pool, want, 'u') c) <> (CASE answer WHEN 'free' THEN 'claimed' ELSE 'taken' END) THEN
                RAISE 'step %: unit % was %', step, want, answer;
            END IF;
        ELSIF action < 14 THEN
            PERFORM reservation.release(id) WHERE id IS NOT NULL;
        ELSIF action < 16 THEN
            PERFORM reservation.finalize(id) WHERE id IS NOT NULL;
        ELSIF action < 18 THEN
            PERFORM reservation.refund(id) WHERE id IS NOT NULL;
        ELSIF action = 18 THEN
            PERFORM reservation.sweep(2);
        ELSIF random() < 0.1 AND pool = 'chance' THEN
            PERFORM reservation.add_units(pool, 1);
        ELSIF random() < 0.5 THEN
            ROLLBACK;
        ELSE
            COMMIT;
        END IF;
    END LOOP;
    COMMIT;
    RAISE NOTICE 'claims and refusals: %, undone: %, sold out: %', done > count / 4, undone > count / 20, sold_out > 0;
END
$$;
CALL pg_temp.steps('chance', 2500, 0.1);
CALL pg_temp.steps('chance', 1000, 0.2);
CALL pg_temp.steps('chance open', 1500, 0.3);

SELECT capacity = available + held + finalized AS adds_up FROM reservation.availability('{chance}');
SELECT * FROM reservation.verify();
