# 016_checkout.pl: carts of five lines over twenty pools, in random order, by 64 clients that pay,
# finalize, cancel, come late and repeat themselves; then a session, and the server, killed at each
# step between cart and order. No deadlock, nothing oversold, no order twice, no money without goods.
#
# RSV_STORM_SECONDS (20) is how long the storm lasts.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $seconds = $ENV{RSV_STORM_SECONDS} || 20;
my $signed = "'what do ya want for nothing?', "
  . "'5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'";

my $node = Reservation->node('checkout',
	preload => 1,
	conf => "deadlock_timeout = 200ms\nmax_prepared_transactions = 5");
my $units = 100 * $seconds;
$node->safe_psql('postgres', <<"EOF");
CREATE EXTENSION reservation;
SELECT FROM generate_series(1, 20) n, reservation.create_pool('shop ' || n, $units,
	CASE n % 2 WHEN 0 THEN 'counted' ELSE 'numbered' END, hold_ttl => '200 ms',
	per_holder => CASE n % 5 WHEN 0 THEN 500 END);
SELECT FROM reservation.create_pool('filler');
SELECT FROM reservation.set_payment_provider('bank', 'hmac-sha256', 'Jefe');
CREATE TABLE naive_stock (pool integer PRIMARY KEY, quantity integer);
INSERT INTO naive_stock SELECT n, 1000000 FROM generate_series(1, 20) n;
CREATE TABLE answers (a text, b text);
EOF

# ---- a storm

my $lines = "(SELECT jsonb_agg(jsonb_build_object('pool', 'shop ' || 1 + floor(random() * 20), "
  . "'quantity', 1 + floor(random() * 3)::int)) FROM generate_series(1, 5))";
my $pay = "SELECT FROM reservation.record_payment(:id, 'bank', :id, 100, 'EUR', $signed);\n";
my $finalize = "SELECT FROM reservation.finalize_checkout(:id);\n";
my $cancel = "SELECT FROM reservation.cancel_checkout(:id);\n";
my $storm = <<"EOF";
\\set what random(1, 20)
\\set holder random(1, 30)
SELECT count(checkout_id) AS got, coalesce(max(quote_literal(checkout_id)), '') AS id
	FROM reservation.checkout(gen_random_uuid()::text, 'holder ' || :holder, $lines, NULL, 100, 'EUR') \\gset
\\if :got > 0
\\if :what <= 2
$cancel
\\elif :what <= 3
\\sleep 250 ms
$pay$finalize
\\elif :what <= 4
$pay$cancel$finalize
\\elif :what <= 5
BEGIN;
$pay$finalize
ROLLBACK;
$pay$finalize
\\else
$pay$finalize$pay$finalize
\\endif
\\endif
EOF

my %money = (
	recorded => 'SELECT coalesce(sum(amount), 0) FROM reservation.payments',
	ordered => 'SELECT coalesce(sum(amount), 0) FROM reservation.checkouts
		WHERE order_id IS NOT NULL AND amount > 0',
	due => 'SELECT coalesce(sum(amount), 0) FROM reservation.refunds_due',
);

sub books_ok
{
	my ($when) = @_;
	# as many orders as may have rolled back last fill what these left
	$node->safe_psql('postgres', "SELECT FROM generate_series(1, 70) n,
		reservation.checkout(gen_random_uuid() || ' ' || n, 'filler', jsonb_build_array(jsonb_build_object('pool', 'filler')))
			c, reservation.finalize_checkout(c.checkout_id)");
	my %sum = map { $_ => $node->safe_psql('postgres', $money{$_}) } keys %money;

	# what is paid and not finalized yet is neither
	my $open = $node->safe_psql('postgres',
		"SELECT coalesce(sum(amount), 0) FROM reservation.checkouts WHERE state = 'paid'");
	is($sum{recorded}, $sum{ordered} + $sum{due} + $open,
		"$when: money recorded = orders finalized + refunds due (and $open not finalized yet)");
	is( $node->safe_psql('postgres',
			'SELECT count(*) = coalesce(max(order_number), 0) FROM reservation.checkouts
			WHERE order_id IS NOT NULL'),
		't', "$when: order numbers have no gap");
	verify_ok($node, 'postgres', "$when: verify() finds nothing wrong");
	return \%sum;
}

my $log_start = -s $node->logfile;
my $run = pgbench_run($node, 'postgres', $storm, clients => 64, jobs => 2, seconds => $seconds,
	timeout => $seconds + 180);
is($run->{exit}, 0, 'storm: pgbench says that all is well') or diag($run->{stderr});
cmp_ok($run->{processed}, '>', 0, 'storm: there were checkouts');
my @errors = grep { /\b(ERROR|FATAL|PANIC):/ } split /\n/, slurp_file($node->logfile, $log_start);
is("@errors", '', 'storm: no deadlock, no error of any kind');
my $sum = books_ok('storm');
cmp_ok($sum->{ordered}, '>', 0, 'storm: something was sold');
cmp_ok($sum->{due}, '>', 0, 'storm: some money is due back');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM reservation.pool_status WHERE available < 0 OR finalized > capacity"),
	0, 'storm: nothing is oversold');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM reservation.checkouts WHERE state = 'paid'"),
	0, 'storm: whatever was paid has ended');
note("storm: $run->{processed} checkouts, $run->{tps} per second, money: "
	  . join(', ', map { "$_ $sum->{$_}" } sort keys %$sum));

# Control: the same carts, taken line by line as they come, do deadlock.
my $naive = "BEGIN;\n"
  . join('', map { "\\set p random(1, 20)\nUPDATE naive_stock SET quantity = quantity - 1 WHERE pool = :p;\n" } 1 .. 5)
  . "COMMIT;\n";
$log_start = -s $node->logfile;
pgbench_run($node, 'postgres', $naive,
	clients => 64, jobs => 2, seconds => 3, args => ['--max-tries=10']);
like(slurp_file($node->logfile, $log_start), qr/deadlock detected/,
	'control: the naive way deadlocks');

# ---- once, whoever calls

sub fifty
{
	my ($script) = @_;

	$node->safe_psql('postgres', 'TRUNCATE answers');
	gate($node, 'postgres', 50);
	my $run = pgbench_run($node, 'postgres', GATE . $script, clients => 50, transactions => 1);
	is($run->{exit}, 0, 'fifty at once: no error') or diag($run->{stderr});
	return $node->safe_psql('postgres',
		'SELECT a, count(*), count(DISTINCT b) FROM answers GROUP BY 1 ORDER BY 1');
}

$node->safe_psql('postgres', "SELECT FROM reservation.create_pool('once', 100)");
is( fifty("INSERT INTO answers SELECT replayed, checkout_id FROM reservation.checkout('once', 'ann',
		jsonb_build_array(jsonb_build_object('pool', 'once', 'quantity', 3)), '1 day', 100, 'EUR');"),
	"false|1|1\ntrue|49|1", 'fifty at once: one checkout');
my $id = $node->safe_psql('postgres',
	"SELECT checkout_id FROM reservation.checkouts WHERE request_id = 'once'");
is( fifty("INSERT INTO answers SELECT status || ' ' || replayed, payment_id
		FROM reservation.record_payment('$id', 'bank', 'once', 100, 'EUR', $signed);"),
	"paid false|1|1\npaid true|49|1", 'fifty at once: one payment');
is( fifty("INSERT INTO answers SELECT status || ' ' || replayed, order_id || ' ' || order_number
		FROM reservation.finalize_checkout('$id');"),
	"finalized false|1|1\nfinalized true|49|1", 'fifty at once: one order, and one number');
is( fifty("INSERT INTO answers SELECT status, cart FROM reservation.cart_add('new cart', 'once');"),
	'added|50|1', 'fifty at once: fifty first adds');
is($node->safe_psql('postgres', "SELECT * FROM reservation.cart_lines('new cart')"),
	'once|{}|50', 'fifty at once: one line of 50');
is( fifty("INSERT INTO answers SELECT replayed, lines
		FROM reservation.cart_merge('new cart', 'user cart');"),
	"false|1|1\ntrue|49|1", 'fifty at once: one merge');
is($node->safe_psql('postgres', "SELECT * FROM reservation.cart_lines('user cart')"),
	'once|{}|50', 'fifty at once: nothing is doubled');
is( fifty(<<'EOF'), "first|1|1\nreplayed|49|1", 'fifty at once: one login');
BEGIN;
SELECT quote_literal(status) AS status, (status = 'first')::int AS first FROM reservation.run_once('login', 'once') \gset
\if :first
SELECT FROM reservation.save_response('login', 'once', '"token"');
\endif
INSERT INTO answers SELECT :status, response FROM reservation.run_once('login', 'once');
COMMIT;
EOF

# Control: the same operation, looked up first
$node->safe_psql('postgres', 'CREATE TABLE naive_login (token text)');
my ($logins, $tries) = (0, 0);
while ($logins < 2 && $tries++ < 10)
{
	$node->safe_psql('postgres', 'TRUNCATE naive_login');
	fifty(<<'EOF');
SELECT (count(*) = 0)::int AS first FROM naive_login \gset
\if :first
INSERT INTO naive_login VALUES ('token');
\endif
EOF
	$logins = $node->safe_psql('postgres', 'SELECT count(*) FROM naive_login');
}
cmp_ok($logins, '>', 1, 'control: the naive way logs in several times');

# ---- a session killed at each step, and the server

$node->safe_psql('postgres', <<'EOF');
SELECT FROM reservation.create_pool('step a', 100);
SELECT FROM reservation.create_pool('step b', 100, 'counted');
EOF
my @steps = (
	"SELECT quantity FROM reservation.cart_set('KEY', 'step a', 2)",
	"SELECT quantity FROM reservation.cart_set('KEY', 'step b', 3)",
	"SELECT status FROM reservation.checkout_cart('KEY', 'KEY', 'ann', '1 day', 100, 'EUR')",
	"SELECT p.status FROM reservation.checkouts c, reservation.record_payment(c.checkout_id, 'bank',
		'KEY', 100, 'EUR', $signed) p WHERE c.request_id = 'KEY'",
	"SELECT f.status FROM reservation.checkouts c, reservation.finalize_checkout(c.checkout_id) f
		WHERE c.request_id = 'KEY'");
my @expected = ('2', '3', 'open', 'paid', 'finalized');

# Goes from cart to order; at one step the call is made by a session that is killed, before its
# commit or after it, and made again. At the end, so does whoever does not know where they were.
sub buyer
{
	my ($key, $killed, $committed, $kill) = @_;

	foreach my $step (0 .. $#steps)
	{
		my $sql = $steps[$step] =~ s/KEY/$key/gr;
		if ($step == $killed)
		{
			my $session = session($node, 'postgres');
			my $pid = ask($session, 'SELECT pg_backend_pid()');
			ask($session, 'BEGIN') unless $committed;
			is(ask($session, $sql), $expected[$step], "$key: before the kill");
			$kill->($pid);
			eval { $session->quit };
		}
		is($node->safe_psql('postgres', $sql), $expected[$step], "$key: step $step");
	}
	is($node->safe_psql('postgres', $steps[$_] =~ s/KEY/$key/gr), $expected[$_],
		"$key: step $_, repeated")
	  foreach 2 .. $#steps;
	is( $node->safe_psql('postgres',
			"SELECT count(order_id), count(*) FROM reservation.checkouts WHERE request_id = '$key'"),
		'1|1', "$key: one order");
	is( $node->safe_psql('postgres', "SELECT count(*), sum(quantity) FROM reservation.claims
			WHERE request_id = '$key' AND state = 'finalized'"),
		'3|5', "$key: of what was in the cart");
	is($node->safe_psql('postgres', "SELECT count(*) FROM reservation.cart_lines('$key')"),
		0, "$key: which is empty");
	return;
}

sub kill_session
{
	my ($pid) = @_;
	is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)"),
		't', 'a session is killed');
	return;
}

foreach my $step (0 .. $#steps)
{
	foreach my $committed (0, 1)
	{
		my $when = ($committed ? 'after' : 'before') . " the commit of step $step";
		buyer("session killed $when", $step, $committed, \&kill_session);
		buyer("server killed $when", $step, $committed, sub { crash_and_restart($node) });
	}
}
books_ok('kills');

# a session that dies in the middle of an operation: who waits for it is the first, at once
my $dying = session($node, 'postgres');
my $waiting = session($node, 'postgres');
my $pid = ask($dying, 'SELECT pg_backend_pid()');
ask($dying, 'BEGIN');
is(ask($dying, "SELECT status FROM reservation.run_once('pay', 'dies')"), 'first', 'one begins');
ask_later($waiting, "SELECT status FROM reservation.run_once('pay', 'dies')");
wait_until_blocked($node, $waiting);
kill_session($pid);
is(answer($waiting), 'first', 'it dies: who waits for it is the first');
eval { $dying->quit };
$waiting->quit;

# a prepared transaction that has an order number keeps it through a crash
my ($first, $second) = map {
	$node->safe_psql('postgres', "SELECT checkout_id FROM reservation.checkout('prepared $_', 'ann',
		jsonb_build_array(jsonb_build_object('pool', 'step a')), '1 day')")
} 1, 2;
my $last = $node->safe_psql('postgres', 'SELECT max(order_number) FROM reservation.checkouts');
is( $node->safe_psql('postgres', "BEGIN;
		SELECT order_number - $last FROM reservation.finalize_checkout('$first');
		PREPARE TRANSACTION 'an order'"),
	1, 'prepared: the next number');
crash_and_restart($node);
is( $node->safe_psql('postgres',
		"SELECT order_number - $last FROM reservation.finalize_checkout('$second')"),
	2, 'prepared: who comes after it gets the number after it, and does not wait');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'an order'");
is( $node->safe_psql('postgres',
		"SELECT order_number - $last FROM reservation.finalize_checkout('$first')"),
	1, 'prepared: it rolls back, and its number is the next one out');
books_ok('prepared');

$node->stop;

done_testing();
