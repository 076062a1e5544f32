# 005_dump.pl: what is dumped and restored goes on as if nothing had happened: every claim, number,
# request id and rule is there, and the next call of each kind is right.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $node = Reservation->node('dump', preload => 1);
my $folder = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql('postgres', <<'EOF');
CREATE ROLE shopkeeper LOGIN NOSUPERUSER CREATEDB;
CREATE ROLE clerk LOGIN;
EOF

# Everything that there can be in the books, and the roles that may use them.
my $history = <<'EOF';
CREATE EXTENSION reservation;
SELECT reservation.create_pool('print', 10, hold_ttl => '1 day', per_holder => 5);
SELECT reservation.create_pool('hall', 2, first_number => 100);
SELECT reservation.create_pool('open');
SELECT reservation.create_pool('untouched');
SELECT reservation.create_pool('shop');
SELECT reservation.create_pool('stock', 7, 'counted', floor => -3, ceiling => 99);
SELECT reservation.create_pool('later', 1, opens_at => '2100-01-01');
SELECT reservation.create_pool('gone', 3);
SELECT reservation.alter_pool('later', paused => true);
SELECT reservation.add_units('print', labels => '{A 1,NULL}',
	attributes => '{NULL,"{\"x\": [1]}"}');

SELECT FROM reservation.claim_next('print', 'alice', 3, request_id => 'alice''s');
SELECT FROM reservation.claim_next('print', 'bob', 2, request_id => 'bob''s');
SELECT FROM reservation.claim_next('print', E'late\tand\nodd \\ \u00e9', ttl => '1 us');
SELECT FROM reservation.claims c, reservation.release(c.claim_id)
	WHERE c.pool = 'print' AND c.number = 2;
SELECT FROM reservation.claims c, reservation.finalize(c.claim_id)
	WHERE c.pool = 'print' AND c.number IN (3, 4);
SELECT FROM reservation.claims c, reservation.refund(c.claim_id, request_id => 'back')
	WHERE c.pool = 'print' AND c.number = 4;
SELECT FROM reservation.claims c, reservation.extend(c.claim_id, '100000 years')
	WHERE c.pool = 'print' AND c.number = 5;

SELECT FROM reservation.claim_unit('hall', 101, 'alice', request_id => 'seat');
SELECT FROM reservation.claim_next('open', 'alice', 4);
SELECT FROM reservation.claims c, reservation.finalize(c.claim_id)
	WHERE c.pool = 'open' AND c.number = 2;
SELECT FROM reservation.claims c, reservation.release(c.claim_id)
	WHERE c.pool = 'open' AND c.number = 4;
SELECT FROM reservation.claim_next('gone', 'bob');
SELECT reservation.drop_pool('gone', force => true);
SELECT reservation.cart_add('cart', 'print', 2, '{"x": 1}');
SELECT reservation.cart_add('guest', 'hall');
SELECT reservation.cart_merge('guest', 'cart');
SELECT reservation.run_once('login', 'once'), reservation.save_response('login', 'once', '"token"');
SELECT reservation.set_payment_provider('bank', 'hmac-sha256', 'Jefe');
SELECT FROM reservation.checkout('sold', 'cem', '[{"pool": "shop"}]', '1 day', 100, 'EUR') c,
	reservation.record_payment(c.checkout_id, 'bank', 'pay 1', 100, 'EUR', 'what do ya want for nothing?',
		'5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843') p,
	LATERAL (SELECT FROM reservation.finalize_checkout(p.checkout_id)) f;
SELECT FROM reservation.checkout('held', 'cem', '[{"pool": "shop"}]', '1 day');
SELECT reservation.grant_access('clerk', 'claim');
EOF

# A row per row of ours, in any order.
my @tables = qw(pool available unit claim request log stock operation cart_line cart_merge checkout payment order);
my $contents = join(' UNION ALL ',
	map { "SELECT '$_' AS t, r::text FROM reservation.$_ r" } @tables) . ' ORDER BY 1, 2';

sub run_sql
{
	my ($role, $dbname, $sql) = @_;
	return $node->safe_psql($dbname, $sql, connstr => $node->connstr($dbname) . " user=$role");
}

# The database goes on as the one it came from would have.
sub goes_on
{
	my ($role, $dbname, $expected_contents, $how) = @_;
	my $call = sub { return run_sql($role, $dbname, $_[0]) };
	my $next = sub {
		return $call->("SELECT status, number FROM reservation.claim_next('$_[0]', 'next')");
	};

	is($call->('SELECT * FROM reservation.verify()'), '', "$how: verify() finds nothing wrong");
	is($call->($contents), $expected_contents, "$how: the books are the same");

	# request ids, while everything is as it was
	is( $call->("SELECT status, number, label, replayed
			FROM reservation.claim_next('print', 'alice', 3, request_id => 'alice''s')"),
		"claimed|1||t\nclaimed|2||t\nclaimed|3||t", "$how: a claim is replayed");
	is( $call->("SELECT r.status, r.replayed FROM reservation.claims c,
			reservation.refund(c.claim_id, request_id => 'back') r
			WHERE c.pool = 'print' AND c.number = 4 AND c.state = 'refunded'"),
		'refunded|t', "$how: a refund is replayed");
	like( ($node->psql($dbname,
				"SELECT reservation.claim_next('print', 'alice', 2, request_id => 'alice''s')",
				connstr => $node->connstr($dbname) . " user=$role",
				extra_params => [ '--variable' => 'VERBOSITY=sqlstate' ]))[2],
		qr/RS001/, "$how: an id with other arguments is refused");

	# the next claims
	is($next->('print'), "claimed|$_", "$how: limited edition: the next is $_")
	  foreach (2, 4, 6, 7);
	is($next->('open'), "claimed|$_", "$how: open edition: the next is $_") foreach (4, 5);
	is($next->('untouched'), 'claimed|1', "$how: open edition that nobody used: number 1");
	is( $call->("SELECT status, number, label FROM reservation.claim_unit('print', 11, 'x')"),
		'claimed|11|A 1', "$how: a seat with its label");
	is( $call->("SELECT status FROM reservation.claim_unit('hall', 101, 'bob')"),
		'taken', "$how: a seat that is taken");
	is($next->('later'), 'not_open|', "$how: a pool that is not open");

	# the limit counts what was claimed before
	is( $call->("SELECT status FROM reservation.claim_next('print', 'alice', 4)"),
		'limit_reached', "$how: alice, who has 2 of 5, cannot have 4 more");

	# what was held can be sold
	is( $call->("SELECT f.status, f.late
			FROM reservation.claims c, reservation.finalize(c.claim_id) f
			WHERE c.pool = 'print' AND c.number = 1"),
		'finalized|f', "$how: a hold is finalized");

	# checkouts, payments, orders, carts, operations; secrets have to be set again
	is( $call->("SELECT c.status, c.replayed, f.status, f.order_number, f.replayed
			FROM reservation.checkout('sold', 'cem', '[{\"pool\": \"shop\"}]', '1 day', 100, 'EUR') c,
			reservation.finalize_checkout(c.checkout_id) f"),
		'open|t|finalized|1|t', "$how: a checkout and its order are replayed");
	$call->("SELECT reservation.set_payment_provider('bank', 'hmac-sha256', 'Jefe')");
	is( $call->("SELECT p.status, p.replayed FROM reservation.checkouts c,
			reservation.record_payment(c.checkout_id, 'bank', 'pay 1', 100, 'EUR',
				'what do ya want for nothing?',
				'5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843') p
			WHERE c.request_id = 'sold'"),
		'paid|t', "$how: a payment is replayed");
	is( $call->("SELECT f.status, f.order_number FROM reservation.checkouts c,
			reservation.finalize_checkout(c.checkout_id) f WHERE c.request_id = 'held'"),
		'finalized|2', "$how: the next order has the next number");
	is($call->("SELECT * FROM reservation.run_once('login', 'once')"),
		'replayed|"token"', "$how: an operation is replayed");
	is($call->("SELECT * FROM reservation.cart_lines('cart')"),
		"hall|{}|1\nprint|{\"x\": 1}|2", "$how: a cart");
	is($call->("SELECT status, lines, replayed FROM reservation.cart_merge('guest', 'cart')"),
		'merged|1|t', "$how: a merge is replayed");

	# numbers and ids
	is($call->("SELECT * FROM reservation.add_units('print', 2)"),
		'added|13|14', "$how: new units have the next numbers");
	is($call->("SELECT * FROM reservation.add_units('hall', 1)"),
		'added|102|102', "$how: also the first time");
	$call->("SELECT reservation.create_pool('new', 1)");
	is( $call->("SELECT count(*) FROM reservation.pool p, reservation.pool n
			WHERE n.pool = 'new' AND p.pool_id >= n.pool_id"),
		1, "$how: a new pool has an id that no pool ever had");
	is($next->('new'), 'claimed|1', "$how: and works");
	is($call->('SELECT * FROM reservation.verify()'), '',
		"$how: verify() finds nothing wrong at the end");
	return;
}

foreach my $role ('postgres', 'shopkeeper')
{
	my @as = ('--host' => $node->host, '--port' => $node->port, '--username' => $role);
	my $source = "${role}_source";

	$node->safe_psql('postgres', "CREATE DATABASE $source OWNER $role");
	run_sql($role, $source, $history);
	my $before = run_sql($role, $source, $contents);

	# Full dumps, into an empty database. As for any dump, only a superuser can restore owners: our
	# schema belongs to the superuser that the server was made with.
	my @no_owner = $role eq 'postgres' ? () : ('--no-owner');
	foreach my $format ('custom', 'plain')
	{
		my $how = "$role, $format";
		my $file = "$folder/$role.$format";
		my $target = "${role}_$format";

		$node->safe_psql('postgres', "CREATE DATABASE $target OWNER $role");
		command_ok([ 'pg_dump', @as, @no_owner, "--format=$format", "--file=$file", $source ],
			"$how: dump");
		command_ok(
			$format eq 'custom'
			? [ 'pg_restore', @as, @no_owner, '--exit-on-error', "--dbname=$target", $file ]
			: [ 'psql', @as, '-Xq', '--set=ON_ERROR_STOP=1', "--file=$file", $target ],
			"$how: restore");

		# privileges, too; then what the clerk did is undone, so that all is as it was
		my ($status, $stdout, $stderr) = $node->psql($target,
			"SELECT status, number FROM reservation.claim_next('hall', 'clerk', ttl => '1 day')",
			connstr => $node->connstr($target) . ' user=clerk');
		is($stdout, 'claimed|100', "$how: privileges are restored") or diag($stderr);
		run_sql('postgres', $target, <<'EOF') if $stdout ne '';
DELETE FROM reservation.claim WHERE holder = 'clerk';
INSERT INTO reservation.available SELECT pool_id, 100 FROM reservation.pool WHERE pool = 'hall';
EOF
		is($node->safe_psql($target, 'SELECT count(*) FROM reservation.payment_provider'),
			0, "$how: no secret is in the dump");
		unlike(slurp_file($file), qr/Jefe/, "$how: not anywhere in it") if $format eq 'plain';
		goes_on($role, $target, $before, $how);
	}

	# data only, into a database that has the extension
	foreach my $format ('custom', 'plain')
	{
		my $how = "$role, $format, data only";
		my $file = "$folder/$role.$format.data";
		my $target = "${role}_${format}_data";

		$node->safe_psql('postgres', "CREATE DATABASE $target OWNER $role");
		run_sql($role, $target, 'CREATE EXTENSION reservation');
		command_ok([ 'pg_dump', @as, '--data-only', "--format=$format", "--file=$file", $source ],
			"$how: dump");
		command_ok(
			$format eq 'custom'
			? [ 'pg_restore', @as, '--exit-on-error', "--dbname=$target", $file ]
			: [ 'psql', @as, '-Xq', '--set=ON_ERROR_STOP=1', "--file=$file", $target ],
			"$how: restore");
		goes_on($role, $target, $before, $how);
	}

	# A dump of our schema alone says nothing of the extension. Its data can be restored into a
	# database that has it.
	my $how = "$role, schema";
	my $target = "${role}_schema";
	my $file = "$folder/$role.schema";
	command_ok(
		[ 'pg_dump', @as, '--schema=reservation', '--format=custom', "--file=$file", $source ],
		"$how: dump");
	my ($listing) = run_command([ 'pg_restore', '--list', $file ]);
	unlike($listing, qr/ EXTENSION /, "$how: there is no CREATE EXTENSION in it");
	$node->safe_psql('postgres', "CREATE DATABASE $target OWNER $role");
	run_sql($role, $target, 'CREATE EXTENSION reservation');
	command_ok([ 'pg_restore', @as, '--exit-on-error', '--data-only', "--dbname=$target", $file ],
		"$how: restore of the data");
	goes_on($role, $target, $before, $how);

	# the source has noticed nothing
	is(run_sql($role, $source, $contents), $before, "$role: the source is as it was");
	goes_on($role, $source, $before, "$role, source");
}

# Control: these checks see what a dump lost.
$node->safe_psql('postgres_custom', 'DELETE FROM reservation.claim WHERE claim_id =
	(SELECT min(claim_id::text)::uuid FROM reservation.claim JOIN reservation.pool USING (pool_id)
	WHERE pool.capacity IS NOT NULL AND state IN (\'held\', \'finalized\'))');
isnt($node->safe_psql('postgres_custom', 'SELECT * FROM reservation.verify()'),
	'', 'control: verify() sees that a claim was lost');

$node->stop;

done_testing();
