# History.pm: books with everything in them, and whether a copy of them goes on as it should.
#
#   use History;
#
#   $node->safe_psql($dbname, HISTORY);          makes them, with the extension; a role clerk must exist
#   $node->safe_psql($dbname, APPLICATION);      tables of an application with triggers, and rows
#   my $before = contents($node, $dbname [, $role]);
#   goes_on($node, $dbname, $before, $how [, role => $role, application => 1, untouched => 1,
#       recovered => 1 ]);
#       The books are the same as before, every first answer is given again, and the next call of
#       each kind does what it would have done in the database that this one is a copy of. untouched
#       is what an open edition without claims comes to next; recovered: by replaying the log.

package History;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(HISTORY APPLICATION TABLES contents goes_on as_role);

use constant HISTORY => <<'EOF';
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
SELECT reservation.create_pool('account', 100, 'counted');
SELECT FROM reservation.charge('account', 30, 'job 1') c, reservation.refund(c.claim_id, 10, 'part of job 1');
SELECT FROM reservation.adjust('account', 5, 'top-up', 'why');
SELECT FROM reservation.take('stock', 'alice', 2, '1 day', 'some');
SELECT reservation.grant_access('clerk', 'claim');
EOF

use constant TABLES => <<'EOF';
CREATE TABLE member (id integer PRIMARY KEY, number integer, founder boolean);
CREATE TABLE line (id integer PRIMARY KEY, pool text, quantity integer);
CREATE TABLE job (id integer PRIMARY KEY, account text, amount integer, status text, done boolean, version integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON member
	FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('founders', 'number', 'founder');
CREATE TRIGGER number_back AFTER DELETE ON member
	FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('founders', 'number', 'founder');
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON line
	FOR EACH ROW EXECUTE FUNCTION reservation.take_stock('pool', 'quantity');
CREATE TRIGGER credit AFTER INSERT OR UPDATE ON job
	FOR EACH ROW EXECUTE FUNCTION reservation.charge_credit('account', 'amount', 'status', 'failed');
CREATE TRIGGER once BEFORE UPDATE ON job
	FOR EACH ROW EXECUTE FUNCTION reservation.finalize_once('done');
CREATE TRIGGER version BEFORE UPDATE ON job
	FOR EACH ROW EXECUTE FUNCTION reservation.check_version('version');
EOF

use constant APPLICATION => TABLES . <<'EOF';
SELECT reservation.create_pool('founders', 5), reservation.create_pool('parts', 50, 'counted'),
	reservation.create_pool('credits', 50, 'counted');
INSERT INTO member SELECT generate_series(1, 3);
DELETE FROM member WHERE id = 2;
INSERT INTO line VALUES (1, 'parts', 7);
INSERT INTO job VALUES (1, 'credits', 20, 'new', false, 1), (2, 'credits', 5, 'new', false, 1);
UPDATE job SET done = true WHERE id = 1;
EOF

# A row per row of ours, in any order.
my @tables = qw(pool available unit claim request log stock operation cart_line cart_merge checkout
  payment order);
my $contents = join(' UNION ALL ',
	map { "SELECT '$_' AS t, r::text FROM reservation.$_ r" } @tables) . ' ORDER BY 1, 2';

sub as_role
{
	my ($node, $dbname, $sql, $role) = @_;
	my @as = $role ? (connstr => $node->connstr($dbname) . " user=$role") : ();
	return $node->safe_psql($dbname, $sql, @as);
}

sub contents
{
	my ($node, $dbname, $role) = @_;
	return as_role($node, $dbname, $contents, $role);
}

# The database goes on as the one it came from would have.
sub goes_on
{
	my ($node, $dbname, $expected_contents, $how, %opts) = @_;
	my $connstr = $node->connstr($dbname) . ($opts{role} ? " user=$opts{role}" : '');
	my $call = sub { return $node->safe_psql($dbname, $_[0], connstr => $connstr) };
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
				connstr => $connstr,
				extra_params => [ '--variable' => 'VERBOSITY=sqlstate' ]))[2],
		qr/RS001/, "$how: an id with other arguments is refused");

	# the next claims
	is($next->('print'), "claimed|$_", "$how: limited edition: the next is $_")
	  foreach (2, 4, 6, 7);
	is($next->('open'), 'claimed|4', "$how: open edition: the next is 4");
	my $open = $opts{recovered} ? 'claimed|34' : 'claimed|5';    # a sequence logs 32 values ahead
	is($next->('open'), $open, "$how: open edition: then one that nobody ever had");
	my $first = $opts{untouched} || 1;
	is($next->('untouched'), "claimed|$first", "$how: open edition that nobody has: number $first");
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

	# stock and accounts: what was charged is charged, and the balance goes on from there
	is( $call->("SELECT status, balance, replayed FROM reservation.charge('account', 30, 'job 1')"),
		'charged|70|t', "$how: a charge is replayed");
	is( $call->("SELECT status, balance, replayed FROM reservation.charge('account', 11, 'job 2')"),
		'charged|74|f', "$how: the next charge goes from the balance");
	is( $call->("SELECT r.status, r.remaining FROM reservation.charge('account', 30, 'job 1') c,
			reservation.refund(c.claim_id) r"),
		'refunded|0', "$how: the rest of a charge is refunded");
	is( $call->("SELECT status, balance, replayed FROM reservation.adjust('account', 5, 'top-up', 'why')"),
		'adjusted|85|t', "$how: an adjustment is replayed");
	is( $call->("SELECT status, quantity, available FROM reservation.take('stock', 'next', 9)"),
		'insufficient|9|8', "$how: no more of the stock than there is");
	is( $call->("SELECT status, quantity FROM reservation.take('stock', 'next', 8)"),
		'claimed|8', "$how: all of it, down to the floor");

	# rows of the application
	if ($opts{application})
	{
		is($call->('INSERT INTO member VALUES (4), (5), (6), (7) RETURNING id, number'),
			"4|2\n5|4\n6|5\n7|", "$how: rows get the next numbers");
		is($call->('DELETE FROM member WHERE id = 1; INSERT INTO member VALUES (8) RETURNING number'),
			1, "$how: a row that leaves gives back the number it had before");
		is( $call->("UPDATE line SET quantity = 5; SELECT available FROM reservation.availability('{parts}')"),
			45, "$how: a line gives back what it took before");
		is( $call->("UPDATE job SET status = 'failed' WHERE id = 2; INSERT INTO job VALUES (3, 'credits', 4);
				SELECT available FROM reservation.availability('{credits}')"),
			26, "$how: a job that fails is refunded, another is charged");
		is($call->('UPDATE job SET done = true WHERE id = 1 RETURNING id'), '', "$how: done is done");
	}

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

1;
