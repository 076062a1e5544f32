-- What the numbered INSERTs of assign_number.sql, assign_open.sql, sequence_default.sql and counter_trigger.sql
-- insert into: the same table four times, numbered in four ways.
CREATE EXTENSION IF NOT EXISTS reservation;
CREATE SCHEMA numbered;

SELECT FROM reservation.create_pool('numbered', 10000000);
CREATE TABLE numbered.limited (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, number integer UNIQUE);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON numbered.limited
    FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('numbered', 'number');

SELECT FROM reservation.create_pool('numbered openly');
CREATE TABLE numbered.open (LIKE numbered.limited INCLUDING ALL);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON numbered.open
    FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('numbered openly', 'number');

-- a default, with gaps
CREATE SEQUENCE numbered.number;
CREATE TABLE numbered.sequence (LIKE numbered.limited INCLUDING ALL);
ALTER TABLE numbered.sequence ALTER COLUMN number SET DEFAULT nextval('numbered.number');

-- a counter row, what people write for numbers without gaps
CREATE TABLE numbered.counter (last integer NOT NULL);
INSERT INTO numbered.counter VALUES (0);
CREATE TABLE numbered.counted (LIKE numbered.limited INCLUDING ALL);
CREATE FUNCTION numbered.count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE numbered.counter SET last = last + 1 WHERE last < 10000000 RETURNING last INTO NEW.number;
    RETURN NEW;
END
$$;
CREATE TRIGGER number BEFORE INSERT ON numbered.counted FOR EACH ROW EXECUTE FUNCTION numbered.count();
