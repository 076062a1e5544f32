# 001_races.pl: many callers, few units: nobody gets a double, nobody loses a sale.
#
# Every race is also run the naive way (SELECT a free unit, then UPDATE it), by the same callers
# through the same gate. That control has to sell units twice, or the race proves nothing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $claim = GATE . <<'EOF';
INSERT INTO answers SELECT status, number
	FROM reservation.claim_next(:pool, 'caller ' || gen_random_uuid());
EOF
my $naive = GATE . <<'EOF';
SELECT coalesce(min(number), 0) AS number FROM naive WHERE NOT sold \gset
\if :number > 0
UPDATE naive SET sold = true WHERE number = :number;
INSERT INTO naive_sales VALUES (:number);
\endif
EOF

# Each connection makes the same number of calls.
sub race
{
	my ($node, $units, $connections, $calls, $isolation) = @_;
	my $callers = $connections * $calls;
	my $pool = "$callers for $units, $isolation";
	my %load = (clients => $connections, transactions => $calls);
	local $ENV{PGOPTIONS} = '-c default_transaction_isolation=' . ($isolation =~ s/ /\\ /gr);

	$node->safe_psql('postgres', <<"EOF");
TRUNCATE answers, naive, naive_sales;
INSERT INTO naive SELECT generate_series(1, $units);
SELECT FROM reservation.create_pool('$pool', $units);
EOF
	my $log_start = -s $node->logfile;
	gate($node, 'postgres', $connections);
	my $run = pgbench_run($node, 'postgres', $claim, %load, args => [ "--define=pool='$pool'" ]);

	is($run->{exit}, 0, "$pool: pgbench says that all is well") or diag($run->{stderr});
	is($run->{processed}, $callers, "$pool: every call was answered");
	unlike(slurp_file($node->logfile, $log_start),
		qr/\b(ERROR|FATAL|PANIC|WARNING):/, "$pool: no error of any kind");
	is( $node->safe_psql('postgres', 'SELECT status, count(*) FROM answers GROUP BY 1 ORDER BY 1'),
		"claimed|$units\nsold_out|" . ($callers - $units),
		"$pool: $units claimed, everybody else sold_out");
	is( $node->safe_psql('postgres',
			'SELECT number FROM answers WHERE number IS NOT NULL ORDER BY 1'),
		join("\n", 1 .. $units),
		"$pool: the numbers are 1 to $units");
	is( $node->safe_psql('postgres',
			"SELECT available, held, state FROM reservation.availability('{\"$pool\"}')"),
		"0|$units|held_out", "$pool: availability agrees");

	my ($doubles, $tries) = (0, 0);
	while ($doubles == 0 && $tries++ < 10)
	{
		$node->safe_psql('postgres', 'UPDATE naive SET sold = false; TRUNCATE naive_sales');
		gate($node, 'postgres', $connections);
		pgbench_run($node, 'postgres', $naive, %load);
		$doubles = $node->safe_psql('postgres',
			'SELECT count(*) - count(DISTINCT number) FROM naive_sales');
	}
	cmp_ok($doubles, '>', 0, "$pool: control: the naive way sells units twice");
	note("$pool: the naive way sold $doubles times what was sold already");
	return;
}

foreach my $preload (0, 1)
{
	note($preload ? 'with preload' : 'without preload');
	my $node = Reservation->node("races_$preload",
		preload => $preload,
		conf => 'max_connections = 1050');
	$node->safe_psql('postgres', <<'EOF');
CREATE EXTENSION reservation;
CREATE TABLE answers (status text, number integer);
CREATE TABLE naive (number integer, sold boolean NOT NULL DEFAULT false);
CREATE TABLE naive_sales (number integer);
EOF

	race($node, 10, 100, 1, $_)
	  foreach ('read committed', 'repeatable read', 'serializable');
	race($node, 1, 1000, 1, 'read committed');
	race($node, 10, 100, 100, 'read committed');

	verify_ok($node, 'postgres');
	$node->stop;
}

done_testing();
