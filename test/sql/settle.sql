-- What becomes of a claim: extend, release, finalize, refund, lapse.
\a
\pset footer off

-- what earlier tests left behind
SELECT status FROM reservation.sweep();

SELECT status FROM reservation.create_pool('book', 10);

-- extend moves the end of a hold, and never to an earlier time
SELECT claim_id AS hold, expires_at AS was FROM reservation.claim_next('book', 'ann', ttl => '10 minutes') \gset
SELECT status, claim_id = :'hold' AS same, expires_at - :'was' BETWEEN '49 minutes' AND '51 minutes' AS later
FROM reservation.extend(:'hold', '1 hour');
SELECT status, expires_at > :'was' AS still_later FROM reservation.extend(:'hold', '1 minute');
SELECT status, expires_at FROM reservation.extend(:'hold', '100000 years');
SELECT status, expires_at FROM reservation.extend(:'hold', '1 hour');

-- release gives the unit back, once
SELECT status, claim_id = :'hold' AS same, replayed FROM reservation.release(:'hold');
SELECT status, claim_id = :'hold' AS same, replayed FROM reservation.release(:'hold');
SELECT available, held FROM reservation.availability('{book}');

-- finalize sells it, once: the second time gives the same row
SELECT claim_id AS sale FROM reservation.claim_next('book', 'bob') \gset
SELECT status, claim_id = :'sale' AS same, pool, number, quantity, holder, finalized_at IS NOT NULL AS has_time, late, replayed
FROM reservation.finalize(:'sale');
SELECT finalized_at AS sold_at FROM reservation.claims WHERE claim_id = :'sale' \gset
SELECT status, claim_id = :'sale' AS same, pool, number, quantity, holder, finalized_at = :'sold_at' AS same_time, late, replayed
FROM reservation.finalize(:'sale');
SELECT status, quantity, replayed FROM reservation.finalize(:'sale', 1);
SELECT available, held, finalized FROM reservation.availability('{book}');

-- refund takes it back, once: the unit is free again
SELECT status, claim_id = :'sale' AS same, refunded, remaining, replayed FROM reservation.refund(:'sale');
SELECT status, claim_id = :'sale' AS same, refunded, remaining, replayed FROM reservation.refund(:'sale');
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 1);
SELECT available, held, finalized FROM reservation.availability('{book}');

-- more than is left: nothing is refunded
SELECT claim_id AS sale FROM reservation.claim_next('book', 'bob') \gset
SELECT status FROM reservation.finalize(:'sale', 1);
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 2);
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 9223372036854775807);
SELECT status, refunded, remaining, replayed FROM reservation.refund(:'sale', 1);

-- late, and nobody took the unit: it succeeds
SELECT claim_id AS late FROM reservation.claim_unit('book', 5, 'cem', ttl => '1 microsecond') \gset
SELECT status, number, late, replayed FROM reservation.finalize(:'late');
SELECT status, number, late, replayed FROM reservation.finalize(:'late');
SELECT state FROM reservation.units WHERE pool = 'book' AND number = 5;

-- late, after a sweep gave the unit back: it is taken again
SELECT claim_id AS late FROM reservation.claim_unit('book', 6, 'dan', ttl => '1 microsecond') \gset
SELECT * FROM reservation.sweep();
SELECT status, number, finalized_at IS NOT NULL AS has_time, late, replayed FROM reservation.finalize(:'late');
SELECT status, late, replayed FROM reservation.finalize(:'late');

-- late, and another has it: lapsed, as long as the other has it
SELECT claim_id AS late FROM reservation.claim_unit('book', 7, 'eve', ttl => '1 microsecond') \gset
SELECT claim_id AS other FROM reservation.claim_unit('book', 7, 'fay') \gset
SELECT status, claim_id = :'late' AS same, pool, number, quantity, holder, finalized_at, late, replayed
FROM reservation.finalize(:'late');
SELECT status FROM reservation.finalize(:'other');
SELECT status FROM reservation.finalize(:'late');
SELECT status FROM reservation.refund(:'other');
SELECT status, number, holder, late, replayed FROM reservation.finalize(:'late');
SELECT status, late, replayed FROM reservation.finalize(:'other');
SELECT number, holder, state FROM reservation.claims WHERE pool = 'book' ORDER BY claimed_at;

-- late, after the pool was dropped: nothing is left to have
SELECT status FROM reservation.create_pool('gone', 1);
SELECT claim_id AS late FROM reservation.claim_next('gone', 'ann', ttl => '1 microsecond') \gset
SELECT status FROM reservation.drop_pool('gone');
SELECT status, finalized_at, late FROM reservation.finalize(:'late');

-- whether the pool is closed or paused does not matter to those who have a hold
SELECT claim_id AS hold FROM reservation.claim_unit('book', 8, 'gus') \gset
SELECT claim_id AS late FROM reservation.claim_unit('book', 9, 'hal', ttl => '1 microsecond') \gset
SELECT status FROM reservation.alter_pool('book', paused => true);
SELECT status FROM reservation.extend(:'hold', '1 hour');
SELECT status FROM reservation.finalize(:'hold');
SELECT status, late FROM reservation.finalize(:'late');
SELECT status FROM reservation.refund(:'hold');
SELECT available, held, finalized, state FROM reservation.availability('{book}');

-- the log has every step: what, by whom, when
SELECT l.event, l.quantity, l.actor = current_user AS by_me, l.at = c.finalized_at AS at_that_time
FROM reservation.log l JOIN reservation.claims c USING (claim_id)
WHERE c.pool = 'book' AND c.number IN (6, 8) ORDER BY c.number, l.at;

-- every state of a claim, and what each function answers; the unit ends up free or taken accordingly
CREATE FUNCTION pg_temp.outcome(number integer, state text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
    answer text;
BEGIN
    SELECT c.claim_id INTO id FROM reservation.claim_unit('matrix', outcome.number, 'ann',
        ttl => CASE WHEN outcome.state IN ('lapsed', 'swept', 'taken') THEN '1 microsecond'::interval END) c;
    CASE outcome.state
        WHEN 'released' THEN PERFORM reservation.release(id);
        WHEN 'finalized' THEN PERFORM reservation.finalize(id);
        WHEN 'refunded' THEN PERFORM reservation.finalize(id); PERFORM reservation.refund(id);
        WHEN 'swept' THEN PERFORM reservation.sweep();
        WHEN 'taken' THEN PERFORM reservation.claim_unit('matrix', outcome.number, 'bob');
        ELSE NULL;
    END CASE;
    EXECUTE format('SELECT status FROM reservation.%s', replace(outcome.call, '$1', quote_literal(id))) INTO answer;
    RETURN format('%-13s -> %s', answer, (SELECT c.state FROM reservation.claims c WHERE c.claim_id = id));
END
$$;
SELECT status FROM reservation.create_pool('matrix', 100);
SELECT s.state, o.extend, o.release, o.finalize, o.refund
FROM unnest(ARRAY['held', 'finalized', 'refunded', 'released', 'lapsed', 'swept', 'taken']) WITH ORDINALITY s (state, i),
    LATERAL (SELECT pg_temp.outcome(i::integer * 4, s.state, $$extend($1, '1 hour')$$) AS extend,
        pg_temp.outcome(i::integer * 4 + 1, s.state, 'release($1)') AS release,
        pg_temp.outcome(i::integer * 4 + 2, s.state, 'finalize($1)') AS finalize,
        pg_temp.outcome(i::integer * 4 + 3, s.state, 'refund($1)') AS refund) o;

SELECT * FROM reservation.verify();
