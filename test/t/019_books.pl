# 019_books.pl: verify() beside a live sale raises no false alarm, and neither do repair(), archive()
# and balance_at(); nor do they change anything that is right.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $node = Reservation->node('books', preload => 1);
my $query = sub { return $node->safe_psql('postgres', $_[0]); };

$query->(<<'EOS');
CREATE EXTENSION reservation;
SELECT reservation.create_pool('seats', 20000);
SELECT reservation.create_pool('stock', 1000000, 'counted', floor => -10);
SELECT reservation.create_pool('open');
CREATE TABLE alarm AS SELECT * FROM reservation.verify();
CREATE TABLE mended AS SELECT * FROM reservation.repair('seats');
CREATE TABLE looked AS SELECT 0 AS times;
CREATE TABLE archived AS SELECT 0 AS claims;
EOS

my $sale = <<'EOS';
\set n random(1, 100)
SELECT count(s.status) FROM reservation.claim_next('seats', 'buyer', 1 + :n % 2, ttl => CASE WHEN :n < 20 THEN '1 us' ELSE '1 min' END::interval) c,
	LATERAL (SELECT status FROM reservation.finalize(c.claim_id) WHERE :n % 3 > 0
		UNION ALL SELECT status FROM reservation.release(c.claim_id) WHERE :n % 3 = 0) s;
SELECT count(s.status) FROM reservation.take('stock', 'buyer', :n) c,
	LATERAL (SELECT status FROM reservation.finalize(c.claim_id, 1) WHERE :n % 2 = 0
		UNION ALL SELECT status FROM reservation.refund(c.claim_id) WHERE :n % 2 = 0) s;
SELECT FROM reservation.adjust('stock', :n);
SELECT count(s.status) FROM reservation.claim_next('open', 'buyer') c, LATERAL reservation.finalize(c.claim_id) s;
SELECT count(s.status) FROM (SELECT claim_id FROM reservation.claims WHERE state = 'finalized' ORDER BY claim_id OFFSET :n LIMIT 1) c,
	LATERAL reservation.refund(c.claim_id) s;
SELECT count(s.status) FROM reservation.checkout('order :client_id ' || clock_timestamp(), 'buyer',
	'[{"pool": "seats"}, {"pool": "stock", "quantity": 2}]') c, LATERAL reservation.finalize_checkout(c.checkout_id) s;
EOS

# What an auditor does meanwhile, again and again. A pool that a claim is being refunded of may be
# changed at the same time: that is no alarm.
my $auditor = session($node, 'postgres');
ask_later($auditor, <<'EOS');
DO $$
BEGIN
	WHILE to_regclass('ended') IS NULL LOOP
		INSERT INTO alarm SELECT * FROM reservation.verify();
		COMMIT;
		INSERT INTO mended SELECT r.* FROM unnest(ARRAY['seats', 'stock', 'open']) p, reservation.repair(p) r;
		COMMIT;
		UPDATE archived SET claims = archived.claims + a.claims FROM reservation.archive(clock_timestamp() - interval '1 s', 50) a;
		COMMIT;
		UPDATE looked SET times = times + 1;
		COMMIT;
	END LOOP;
END
$$
EOS
my $run = pgbench_run($node, 'postgres', $sale, clients => 8, seconds => 8);
is($run->{exit}, 0, 'a sale') or diag($run->{stderr});
cmp_ok($run->{processed}, '>', 20, 'in which something was sold');
$query->('CREATE TABLE ended ()');
answer($auditor);
cmp_ok($query->('TABLE looked'), '>', 2, 'an auditor beside it');
cmp_ok($query->('TABLE archived'), '>', 0, 'who also archived');
is($query->('TABLE alarm'), '', 'no false alarm');
is($query->('TABLE mended'), '', 'nothing was mended, and nothing refused');
is( $query->(<<'EOS'), 'open|t|seats|t|stock|t', 'balance_at says what there is');
SELECT string_agg(format('%s|%s', p.pool, p.available + p.floor IS NOT DISTINCT FROM b.balance AND p.held = b.held
	AND p.finalized = b.finalized), '|' ORDER BY p.pool)
FROM reservation.pool_status p, reservation.balance_at(p.pool, clock_timestamp()) b
EOS
verify_ok($node, 'postgres');

# the check can fail: what is wrong for a moment is seen
$query->("DELETE FROM reservation.available WHERE number = (SELECT max(number) FROM reservation.available)");
isnt($query->("SELECT * FROM reservation.verify()"), '', 'a unit that is lost is seen');

done_testing();
