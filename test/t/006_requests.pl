# 006_requests.pl: many sessions make one call at the same time, by one request id or for one
# holder. It has one effect, and all of them get the same answer.
#
# Control: the naive way, which looks first whether the call was made before.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

# Runs a script in so many sessions at once; what they are told goes into the table answers.
sub storm
{
	my ($node, $callers, $script, $what) = @_;

	$node->safe_psql('postgres', 'TRUNCATE answers');
	my $log_start = -s $node->logfile;
	gate($node, 'postgres', $callers);
	my $run = pgbench_run($node, 'postgres', GATE . $script, clients => $callers);
	is($run->{exit}, 0, "$what: pgbench says that all is well") or diag($run->{stderr});
	unlike(slurp_file($node->logfile, $log_start),
		qr/\b(ERROR|FATAL|PANIC|WARNING):/, "$what: no error of any kind");
	return;
}

foreach my $preload (0, 1)
{
	my $with = $preload ? 'with preload' : 'without preload';
	my $node = Reservation->node("requests_$preload", preload => $preload);
	my $query = sub { return $node->safe_psql('postgres', $_[0]) };

	$query->(<<'EOF');
CREATE EXTENSION reservation;
CREATE TABLE answers (status text, claim_id uuid, number integer, replayed boolean);
SELECT reservation.create_pool('one', 100), reservation.create_pool('several', 100),
	reservation.create_pool('seat', 100), reservation.create_pool('open'),
	reservation.create_pool('last', 1),
	reservation.create_pool('limited', 100, per_holder => 1),
	reservation.create_pool('limited by seat', 100, per_holder => 1),
	reservation.create_pool('two at most', 100, per_holder => 2);
EOF

	# ---- 100 sessions, one request id

	my %calls = (
		'one' => "reservation.claim_next('one', 'buyer', request_id => 'r')",
		'several' => "reservation.claim_next('several', 'buyer', 3, request_id => 'r')",
		'seat' => "reservation.claim_unit('seat', 7, 'buyer', request_id => 'r')",
		'open' => "reservation.claim_next('open', 'buyer', request_id => 'r')",
		'last' => "reservation.claim_next('last', 'buyer', request_id => 'r')",
		'limited' => "reservation.claim_next('limited', 'buyer', request_id => 'r')",
	);
	foreach my $pool (sort keys %calls)
	{
		my $what = "$with: 100 calls with one request id, $pool";
		my $units = $pool eq 'several' ? 3 : 1;

		storm($node, 100, "INSERT INTO answers SELECT status, claim_id, number, replayed
			FROM $calls{$pool};\n" =~ s/\s+/ /gr, $what);
		is( $query->('SELECT status, replayed, count(*) FROM answers GROUP BY 1, 2 ORDER BY 1, 2'),
			"claimed|f|$units\nclaimed|t|" . 99 * $units,
			"$what: one is the first, 99 are replayed");
		is($query->('SELECT count(DISTINCT (claim_id, number)) FROM answers'),
			$units, "$what: all have the same answer");
		is($query->("SELECT count(*) FROM reservation.claims WHERE pool = '$pool'"),
			$units, "$what: one effect");
	}

	# ---- a refund

	my $what = "$with: 100 refunds with one request id";
	my ($id) = $query->("SELECT claim_id FROM reservation.claims WHERE pool = 'one'");
	$query->("SELECT FROM reservation.finalize('$id')");
	storm($node, 100, "INSERT INTO answers SELECT status, claim_id, refunded, replayed "
		  . "FROM reservation.refund('$id', request_id => 'r');\n", $what);
	is( $query->('SELECT status, number, replayed, count(*) FROM answers
			GROUP BY 1, 2, 3 ORDER BY 3'),
		"refunded|1|f|1\nrefunded|1|t|99", "$what: one refunds, 99 are replayed");
	is( $query->("SELECT count(*) FROM reservation.log
			WHERE claim_id = '$id' AND event = 'refunded'"),
		1, "$what: one effect");
	is($query->("SELECT available FROM reservation.availability('{one}')"),
		100, "$what: the unit is back, once");

	# Calls that repeat each other without a request id, too.
	foreach my $call ('finalize', 'release')
	{
		$what = "$with: 100 times $call";
		$id = $query->("SELECT claim_id FROM reservation.claim_next('seat', '$call')");
		storm($node, 100, "INSERT INTO answers SELECT status, claim_id, NULL, replayed "
			  . "FROM reservation.$call('$id');\n", $what);
		is( $query->('SELECT replayed, count(DISTINCT status), count(*) FROM answers
				GROUP BY 1 ORDER BY 1'),
			"f|1|1\nt|1|99", "$what: one is the first, 99 are replayed");
	}

	# ---- an id is free again if its call rolled back, and if it was refused

	is($query->(<<'EOF'), <<'ANSWERS' =~ s/\n$//r, "$with: the id of a rolled back call is free");
BEGIN;
SELECT status, replayed FROM reservation.claim_next('one', 'a', request_id => 'again');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT status, replayed FROM reservation.claim_next('one', 'b', request_id => 'again');
ROLLBACK TO s;
COMMIT;
SELECT status, replayed FROM reservation.claim_next('one', 'b', request_id => 'again');
SELECT status, replayed FROM reservation.claim_next('one', 'b', request_id => 'again');
EOF
claimed|f
claimed|f
claimed|f
claimed|t
ANSWERS
	my $first = session($node, 'postgres');
	my $second = session($node, 'postgres');
	my $retry = "SELECT status, number, replayed
		FROM reservation.claim_next('two at most', 'c', request_id => 'again')";
	is(ask($first, "BEGIN;\n$retry"), 'claimed|1|f', "$with: a call with an id is under way");
	ask_later($second, $retry);
	wait_until_blocked($node, $second);
	ask($first, 'ROLLBACK');
	is(answer($second), 'claimed|1|f',
		"$with: the same call waits for it, and acts when it rolls back");
	is( ask($first, "SELECT status, replayed
			FROM reservation.claim_next('last', 'd', request_id => 'refused')"),
		'sold_out|f', "$with: a call is refused");
	ask($first, "SELECT reservation.release(claim_id) FROM reservation.claims WHERE pool = 'last'");
	is( ask($first, "SELECT status, replayed
			FROM reservation.claim_next('last', 'd', request_id => 'refused')"),
		'claimed|f', "$with: its id can succeed later");
	is( ask($first, "SELECT status
			FROM reservation.claim_next('last', 'e', request_id => 'refused')"),
		'ERROR:  RS001', "$with: for the same arguments alone");

	# ---- 20 sessions, one holder, at most one unit

	my %limited = (
		'limited' => "reservation.claim_next('limited', 'h')",
		'limited by seat' => "reservation.claim_unit('limited by seat', 42, 'h')",
	);
	foreach my $pool (sort keys %limited)
	{
		$what = "$with: 20 calls for one holder, $pool";
		my $script = 'INSERT INTO answers SELECT status, claim_id, number, replayed '
		  . "FROM $limited{$pool};\n";
		storm($node, 20, $script, $what);
		is( $query->('SELECT status, count(*) FROM answers GROUP BY 1 ORDER BY 1'),
			"claimed|1\nexisting|19", "$what: one claims, 19 have it already");
		is($query->('SELECT count(DISTINCT claim_id) FROM answers'), 1,
			"$what: all have the same claim");

		$query->("SELECT FROM reservation.finalize((SELECT claim_id FROM answers LIMIT 1))");
		storm($node, 20, $script, "$what, finalized");
		is($query->('SELECT status, claim_id, count(*) FROM answers GROUP BY 1, 2'),
			'limit_reached||20', "$what, finalized: nobody gets another");
		is( $query->("SELECT count(*) FROM reservation.claims
				WHERE pool = '$pool' AND holder = 'h'"),
			1, "$what: one unit in all");
	}
	$what = "$with: 20 calls for one holder, two at most";
	storm($node, 20, 'INSERT INTO answers SELECT status, claim_id, number, replayed '
		  . "FROM reservation.claim_next('two at most', 'h');\n", $what);
	is( $query->("SELECT status = 'claimed', count(*) FROM answers GROUP BY 1 ORDER BY 1"),
		"f|18\nt|2", "$what: two claim");

	# ---- control

	my $naive = <<'EOF';
SELECT count(*) AS made FROM naive WHERE request_id = 'r' \gset
\if :made = 0
INSERT INTO naive VALUES ('r');
\endif
EOF
	$query->('CREATE TABLE naive (request_id text)');
	my ($effects, $tries) = (1, 0);
	while ($effects == 1 && $tries++ < 10)
	{
		$query->('TRUNCATE naive');
		storm($node, 100, $naive, "$with: control");
		$effects = $query->('SELECT count(*) FROM naive');
	}
	cmp_ok($effects, '>', 1, "$with: control: looking first lets a call through several times");

	verify_ok($node, 'postgres');
	$node->stop;
}

done_testing();
