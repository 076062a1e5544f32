-- What the soak begins with: pools of every kind, and tables of an application with every trigger.

CREATE EXTENSION reservation;
CREATE ROLE clerk;
SELECT FROM reservation.create_pool('print', 3000, hold_ttl => '2 s');
SELECT FROM reservation.create_pool('hall', 300, per_holder => 4, hold_ttl => '1 s');
SELECT FROM reservation.create_pool('open', hold_ttl => '1 s');
SELECT FROM reservation.create_pool('member', 2000);
SELECT FROM reservation.create_pool('slow', 1000000, pool_rate => 50, pool_period => '1 s', hold_ttl => '1 s');
SELECT FROM reservation.create_pool('stock', 3000, 'counted', ceiling => 100000, hold_ttl => '1 s');
SELECT FROM reservation.create_pool('shirt', 200, 'counted', floor => -20, per_holder => 40, hold_ttl => '1 s');
SELECT FROM reservation.create_pool('account', 500, 'counted', floor => -50);
SELECT FROM reservation.create_pool('tight', 20, 'counted', hold_ttl => '500 ms');
SELECT FROM reservation.create_pool('queue', 20, offer_ttl => '300 ms', hold_ttl => '300 ms', notify_every => '1 s');
SELECT FROM generate_series(0, :clients) n, reservation.create_pool('own ' || n, 100);
SELECT FROM reservation.set_payment_provider('bank', 'hmac-sha256', 'Jefe');
SELECT FROM reservation.index_events();
CREATE TABLE work (request text);
CREATE TABLE member (id text PRIMARY KEY, number integer, founder boolean);
CREATE TABLE line (id text PRIMARY KEY, pool text, quantity bigint);
CREATE TABLE job (id text PRIMARY KEY, account text, amount bigint, status text, done boolean DEFAULT false,
    done_at timestamptz);
CREATE TABLE page (client integer PRIMARY KEY, body text, version bigint NOT NULL DEFAULT 0);
INSERT INTO page SELECT n, '' FROM generate_series(0, :clients) n;
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON member
    FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('member', 'number', 'founder');
CREATE TRIGGER number_back AFTER DELETE ON member
    FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('member', 'number', 'founder');
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON line
    FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('pool', 'quantity');
CREATE TRIGGER credit AFTER INSERT OR UPDATE ON job
    FOR EACH ROW EXECUTE FUNCTION reservation.charge_credit('account', 'amount', 'status', 'failed');
CREATE TRIGGER once BEFORE UPDATE ON job
    FOR EACH ROW EXECUTE FUNCTION reservation.finalize_once('done', 'done_at');
CREATE TRIGGER version BEFORE UPDATE ON page
    FOR EACH ROW EXECUTE FUNCTION reservation.check_version('version');
