-- As trigger_errors, for take_stock and charge_credit: definitions that cannot work are refused when they are made.
\a
\t on
\pset null NULL
\set SHOW_CONTEXT never

-- this session has the library loaded, as every one has with shared_preload_libraries
SELECT count(*) FROM reservation.verify() WHERE false;

\i test/include/refusal.sql
CREATE FUNCTION pg_temp.attach(event text, call text, OUT state text, OUT message text, OUT hint text) LANGUAGE sql AS $$
    SELECT state, message, hint FROM pg_temp.command_refusal(format('CREATE TRIGGER t %s EXECUTE FUNCTION reservation.%s', event, call))
$$;
SELECT status FROM reservation.create_pool('te stock', 3, 'counted');
SELECT status FROM reservation.create_pool('te edition', 3);
CREATE SCHEMA "The Shop";
CREATE TABLE "The Shop"."Order Line" ("Line No" integer PRIMARY KEY, "Item" text, "Qty" integer, ratio numeric, status text, day date,
    made integer GENERATED ALWAYS AS ("Qty" + 1) STORED);
CREATE VIEW seen AS SELECT * FROM "The Shop"."Order Line";
SET search_path = "The Shop", public;

-- not as a trigger
SELECT state, message, hint FROM pg_temp.command_refusal('SELECT reservation.take_stock()');
SELECT state, message, hint FROM pg_temp.command_refusal('SELECT reservation.charge_credit()');

-- wrong time, event, level
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item', 'Qty')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT ON "Order Line" FOR EACH ROW', $$take_stock('Item', 'Qty')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item', 'Qty')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH STATEMENT', $$take_stock('Item', 'Qty')$$);
SELECT state, message FROM pg_temp.attach('AFTER TRUNCATE ON "Order Line" FOR EACH STATEMENT', $$take_stock('Item', 'Qty')$$);
SELECT * FROM pg_temp.attach('AFTER INSERT OR UPDATE OF "Qty" OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item', 'Qty')$$);
SELECT * FROM pg_temp.attach('INSTEAD OF INSERT OR UPDATE OR DELETE ON seen FOR EACH ROW', $$take_stock('Item', 'Qty')$$);
SELECT state, message FROM pg_temp.attach('BEFORE INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit('Item', 'Qty', 'status', 'failed')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT ON "Order Line" FOR EACH ROW', $$charge_credit('Item', 'Qty', 'status', 'failed')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR DELETE ON "Order Line" FOR EACH ROW', $$charge_credit('Item', 'Qty', 'status', 'failed')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH STATEMENT', $$charge_credit('Item', 'Qty', 'status', 'failed')$$);
SELECT * FROM pg_temp.attach('AFTER INSERT OR UPDATE OF status ON "Order Line" FOR EACH ROW', $$charge_credit('Item', 'Qty', 'status', 'failed')$$);

-- wrong number of arguments
SELECT * FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock()$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item', 'Qty', 'Qty')$$);
SELECT * FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit('Item', 'Qty', 'status')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit()$$);

-- no such column
SELECT * FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('item', 'Qty')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item', '"Qty"')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('te stock', 'Qty')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item', 'ctid')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit('account', 'Qty', 'status', 'failed')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit('Item', 'cost', 'status', 'failed')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit('Item', 'Qty', 'state', 'failed')$$);

-- a column of the wrong type, a price that is none
SELECT * FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item', 'ratio')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item', 'Item')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW', $$take_stock('Item', 'made')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit('Item', 'day', 'status', 'failed')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit('Item', '0', 'status', 'failed')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit('Item', '-5', 'status', 'failed')$$);
SELECT state, message FROM pg_temp.attach('AFTER INSERT OR UPDATE ON "Order Line" FOR EACH ROW', $$charge_credit('Item', '1.5', 'status', 'failed')$$);

-- a table in another schema, with quoted names: pools are looked for when a row needs one
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON "Order Line" FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('Item', 'Qty');
RESET search_path;
SELECT * FROM pg_temp.command_refusal($$INSERT INTO "The Shop"."Order Line" VALUES (1, 'te none', 1)$$);
SELECT * FROM pg_temp.command_refusal($$INSERT INTO "The Shop"."Order Line" VALUES (1, 'te edition', 1)$$);
SELECT * FROM pg_temp.command_refusal($$INSERT INTO "The Shop"."Order Line" VALUES (1, 'te stock', 4)$$);
SELECT * FROM pg_temp.command_refusal($$INSERT INTO "The Shop"."Order Line" VALUES (1, 'te stock', -1)$$);
INSERT INTO "The Shop"."Order Line" VALUES (1, 'te stock', 2);
DROP TRIGGER t ON "The Shop"."Order Line";
CREATE TRIGGER t AFTER INSERT OR UPDATE ON "The Shop"."Order Line" FOR EACH ROW EXECUTE FUNCTION reservation.charge_credit('Item', 'Qty', 'status', 'failed');
SELECT * FROM pg_temp.command_refusal($$INSERT INTO "The Shop"."Order Line" VALUES (2, 'te none', 1)$$);
SELECT * FROM pg_temp.command_refusal($$INSERT INTO "The Shop"."Order Line" VALUES (2, 'te edition', 1)$$);
SELECT * FROM pg_temp.command_refusal($$INSERT INTO "The Shop"."Order Line" VALUES (2, 'te stock', 2)$$);
INSERT INTO "The Shop"."Order Line" VALUES (2, 'te stock', 1);
SELECT holder, quantity FROM reservation.claims WHERE pool = 'te stock' ORDER BY holder;

-- a key that a claim has no room for
CREATE TABLE "The Shop".long_key (code text PRIMARY KEY, item text, quantity integer);
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON "The Shop".long_key FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('item', 'quantity');
SELECT * FROM pg_temp.command_refusal($$INSERT INTO "The Shop".long_key VALUES (repeat('x', 1000), 'te stock', 1)$$);

DROP SCHEMA "The Shop" CASCADE;
SELECT * FROM reservation.verify();
SELECT d.status FROM unnest('{te stock,te edition}'::text[]) p, reservation.drop_pool(p, true) d;
