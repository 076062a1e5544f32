-- verify() names what is wrong with a line: each kind is made on purpose, seen, and undone.
\a
\pset footer off

SELECT status FROM reservation.create_pool('line v', 3, opens_at => 'tomorrow');
SELECT count(*) FROM generate_series(1, 5) n, reservation.join_line('line v', 'v' || n, (n % 2) + 1);
SELECT count(*) FROM reservation.serve_line('line v');
SELECT holder, quantity, state FROM reservation.tickets WHERE pool = 'line v' ORDER BY number;
SELECT * FROM reservation.verify();

CREATE FUNCTION wrong(change text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE change;
        RETURN QUERY SELECT format('%s: %s, not %s', v.problem,
            regexp_replace(v.found, '[0-9a-f-]{36}', 'ID'), v.expected)
            FROM reservation.verify('line v') v ORDER BY 1;
        RAISE EXCEPTION 'undo';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
END $$;

SELECT wrong('UPDATE reservation.pool SET lined = false WHERE pool = ''line v''');
SELECT wrong('DROP INDEX reservation.ticket_holder; UPDATE reservation.ticket SET holder = ''v4'' WHERE holder = ''v5''');
SELECT wrong('UPDATE reservation.ticket SET number = 4 WHERE holder = ''v5''');
SELECT wrong('UPDATE reservation.ticket SET number = 9 WHERE holder = ''v5''');
SELECT wrong('UPDATE reservation.ticket SET quantity = 3 WHERE holder = ''v1''');
SELECT wrong('UPDATE reservation.ticket SET claim_ids = claim_ids[1:1] WHERE holder = ''v1''');
SELECT wrong('UPDATE reservation.claim SET holder = ''other'' WHERE holder = ''v2''');
SELECT wrong('UPDATE reservation.ticket SET claim_ids = ARRAY[gen_random_uuid(), gen_random_uuid()] WHERE holder = ''v1''');
SELECT wrong('UPDATE reservation.ticket SET claim_ids = (SELECT claim_ids FROM reservation.ticket WHERE holder = ''v1''), holder = ''v1'',
    quantity = 2, state = ''left'' WHERE holder = ''v2''');
SELECT wrong('INSERT INTO reservation.line_block SELECT pool_id, 0, 0, n, n = 3 FROM reservation.pool, unnest(ARRAY[3, -1]) n WHERE pool = ''line v''');
SELECT wrong('INSERT INTO reservation.line_block SELECT pool_id, 0, 7, 3, true FROM reservation.pool WHERE pool = ''line v''');
-- a change without a base is no count
SELECT wrong('INSERT INTO reservation.line_block SELECT pool_id, 0, 0, -1, false FROM reservation.pool WHERE pool = ''line v''');
SELECT problem, found FROM reservation.verify();
BEGIN;
INSERT INTO reservation.ticket SELECT gen_random_uuid(), now(), NULL, 1, 1, 0, -1, 0, 0, 'waiting', 'x', 'x', NULL;
INSERT INTO reservation.line_block VALUES (-2, 0, 0, 0, true);
SELECT problem, found FROM reservation.verify() ORDER BY 1;
ROLLBACK;
SELECT * FROM reservation.verify();
