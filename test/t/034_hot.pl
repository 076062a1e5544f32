# 034_hot.pl: rows that are updated in place stay in their page, so that their indexes are left alone
# (HOT), and what is updated all the time cleans up after itself without a vacuum. Counts, no times:
# docs/operation.md has them.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $checkouts = 2000;
my $node = Reservation->node('hot', preload => 1, conf => 'autovacuum = off');
my $signed = "'what do ya want for nothing?', "
  . "'5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'";

# Everything is put in carts and checked out first and paid later, in any order, as people do.
sub sell
{
	my ($dbname, $settings) = @_;
	my $sql = sub { return $node->safe_psql($dbname, $_[0]) };

	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	$sql->("CREATE EXTENSION reservation; $settings;");
	$sql->("SELECT reservation.create_pool('stock', 1000000, 'counted'),
		reservation.create_pool('shirt', 1000000, 'counted'), reservation.create_pool('print', 100000),
		reservation.set_payment_provider('bank', 'hmac-sha256', 'Jefe')");
	$sql->(join "\n", map { <<"EOF" } 1 .. $checkouts);
SELECT FROM reservation.cart_add('cart ' || $_ % 200, 'shirt');
SELECT FROM reservation.checkout('r $_', 'ann', '[{"pool": "stock", "quantity": 2}, {"pool": "print"},
	{"pool": "shirt"}]', '1 day', 100, 'EUR');
EOF
	my @ids = split /\n/, $sql->('SELECT checkout_id FROM reservation.checkout ORDER BY md5(checkout_id::text)');
	$sql->(join "\n", map { <<"EOF" } @ids);
SELECT FROM reservation.record_payment('$_', 'bank', '$_', 100, 'EUR', $signed);
SELECT FROM reservation.finalize_checkout('$_');
BEGIN;
SELECT FROM reservation.run_once('hot', '$_');
SELECT FROM reservation.save_response('hot', '$_', '{}');
COMMIT;
EOF
	# a session reports its counters when it ends, at the latest
	$node->poll_query_until($dbname, "SELECT n_tup_upd = 2 * $checkouts FROM pg_stat_user_tables
		WHERE relname = 'checkout'") or die 'the counters do not come';
	my %table = map { my ($name, @counts) = split /\|/; $name => \@counts } split /\n/, $sql->(<<'EOF');
SELECT s.relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del, n_dead_tup, pg_relation_size(relid)
FROM pg_stat_user_tables s WHERE schemaname = 'reservation' AND n_tup_ins > 0 ORDER BY 1
EOF
	note("$dbname: inserted, updated, of these HOT, deleted, dead, bytes");
	note(join "\t", $_, @{ $table{$_} }) foreach sort keys %table;
	verify_ok($node, $dbname, "$dbname: verify() finds nothing wrong");
	return \%table;
}

my $table = sell('ours', '');
my $hot = sub { my ($table, $name) = @_; return $table->{$name}[2] / $table->{$name}[1] };
cmp_ok($hot->($table, $_), '>=', 0.99, "$_: updates are HOT") foreach qw(stock checkout operation cart_line);
cmp_ok($table->{stock}[4], '<', $table->{stock}[1] / 2, 'stock: dead versions go without a vacuum');
cmp_ok($table->{stock}[5], '<=', 100 * 8192, 'stock: and it stays small');

my $control = sell('control', 'ALTER TABLE reservation.checkout RESET (fillfactor)');
cmp_ok($hot->($control, 'checkout'), '<', $hot->($table, 'checkout'),
	'control: with full pages, fewer updates of checkouts are');

# A page is cleared of dead versions when it has become full, not at every update. Counted in the WAL;
# control: a table with the same settings, updated as often by SQL, which clears all the time.
$node->safe_psql('postgres', 'CREATE DATABASE accounts');
$node->safe_psql('accounts', <<'EOF');
CREATE EXTENSION reservation;
CREATE EXTENSION pg_walinspect;
SELECT reservation.create_pool('account ' || n, 1000, 'counted') FROM generate_series(1, 2000) n;
CREATE TABLE plain (account integer PRIMARY KEY, balance bigint, filler bigint, more integer) WITH (fillfactor = 70);
INSERT INTO plain SELECT n, 1000, 0, 0 FROM generate_series(1, 4000) n;
VACUUM;
EOF

sub clearings                   # how often the transactions of a statement clear a page
{
	my ($statement) = @_;
	my $from = $node->safe_psql('accounts', 'SELECT pg_current_wal_lsn()');
	$node->safe_psql('accounts', join ";\n", map { sprintf $statement, $_ * 7919 % 2000 + 1 } 1 .. 4000);
	my $to = $node->safe_psql('accounts', 'SELECT pg_current_wal_lsn()');
	return $node->safe_psql('accounts', <<"EOF");
SELECT coalesce(sum(count), 0) FROM pg_get_wal_stats('$from', '$to', true)
WHERE "resource_manager/record_type" LIKE 'Heap2/PRUNE%'
EOF
}
my $ours = clearings(q{SELECT FROM reservation.charge('account %d', 1, NULL)});
my $plain = clearings('UPDATE plain SET balance = balance - 1 WHERE account = %d');
note("4,000 updates clear a page $ours times, of a plain table $plain times");
cmp_ok($ours, '<', 400, 'slots of accounts are cleared a few dozen at a time');
cmp_ok($plain, '>', 2000, 'control: a plain table is cleared at every update');
verify_ok($node, 'accounts', 'verify() finds nothing wrong with the accounts');
$node->stop;

done_testing();
