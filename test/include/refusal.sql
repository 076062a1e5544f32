\set ECHO none
-- pg_temp.refusal(call): what a function of ours raises, in four columns. If it raises nothing, the state
-- is "none", the message is its last row, and what it did is undone.
-- pg_temp.command_refusal(command): the same for any command, whose rows are not shown.
CREATE FUNCTION pg_temp.refusal(call text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT t::text FROM reservation.' || call || ' AS t' INTO message;
    RAISE SQLSTATE '00NIL';
EXCEPTION
    WHEN SQLSTATE '00NIL' THEN
        state := 'none';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END
$$;
CREATE FUNCTION pg_temp.command_refusal(command text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RAISE SQLSTATE '00NIL';
EXCEPTION
    WHEN SQLSTATE '00NIL' THEN
        state := 'none';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END
$$;
\set ECHO all
