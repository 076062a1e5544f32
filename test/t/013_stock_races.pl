# 013_stock_races.pl: many callers, little stock: never a part, never too much, nobody refused for
# nothing; and of many callers of one refund or one charge, one makes it.
#
# Every race is also run the naive way (read, compute, write back), by the same callers through the
# same gate. That control has to sell more than there is, or the race proves nothing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $callers = 200;
my $answers = 'SELECT status, count(*) FROM answers GROUP BY 1 ORDER BY 1';
my $naive = GATE . <<'EOF';
SELECT quantity FROM naive \gset
\if :quantity >= 3
UPDATE naive SET quantity = :quantity - 3;
INSERT INTO naive_sold VALUES (3);
\endif
EOF

# All callers at once, through the gate.
sub race
{
	my ($node, $isolation, $call) = @_;

	local $ENV{PGOPTIONS} = '-c default_transaction_isolation=' . ($isolation =~ s/ /\\ /gr);
	$node->safe_psql('postgres', 'TRUNCATE answers');
	gate($node, 'postgres', $callers);
	my $run = pgbench_run($node, 'postgres', GATE . $call, clients => $callers);
	is($run->{exit}, 0, "$isolation: every call was answered") or diag($run->{stderr});
	return;
}

foreach my $preload (0, 1)
{
	my $with = $preload ? 'with preload' : 'without preload';
	my $node = Reservation->node("stock_races_$preload", preload => $preload);
	my $query = sub { return $node->safe_psql('postgres', $_[0]) };

	$query->(<<'EOF');
CREATE EXTENSION reservation;
CREATE TABLE answers (status text, quantity bigint);
CREATE TABLE naive (quantity bigint);
CREATE TABLE naive_sold (quantity bigint);
EOF
	foreach my $isolation ('read committed', 'repeatable read', 'serializable')
	{
		my $what = "$with, $isolation";
		my $log_start = -s $node->logfile;

		# Stock 100, 200 buyers of 3: 33 of them, and 1 is left.
		$query->("SELECT FROM reservation.create_pool('hundred $isolation', 100, 'counted')");
		race($node, $isolation, <<"EOF");
INSERT INTO answers SELECT status, quantity
	FROM reservation.take('hundred $isolation', 'buyer ' || :client_id, 3, wait => '1 min');
EOF
		is($query->($answers), "claimed|33\ninsufficient|167", "$what: 33 have 3, the others none");
		is($query->("SELECT available, held FROM reservation.availability('{hundred $isolation}')"),
			'1|99', "$what: 1 is left");

		# A job that failed, refunded by everybody: once.
		$query->(<<"EOF");
SELECT FROM reservation.create_pool('credit $isolation', 10, 'counted');
DROP TABLE IF EXISTS job;
CREATE TABLE job AS SELECT claim_id FROM reservation.charge('credit $isolation', 4, 'job');
EOF
		race($node, $isolation, <<'EOF');
INSERT INTO answers SELECT r.status || ' ' || r.replayed, refunded
	FROM job, LATERAL reservation.refund(claim_id) r;
EOF
		is($query->($answers), "refunded false|1\nrefunded true|199", "$what: one refund");
		is($query->("SELECT balance FROM reservation.account_entries('credit $isolation') OFFSET 2"),
			'10', "$what: the balance is what it was");

		# A hundred retries of each of two jobs: 10 credits become 8.
		race($node, $isolation, <<"EOF");
INSERT INTO answers SELECT status || ' ' || replayed
	FROM reservation.charge('credit $isolation', 1, 'job ' || :client_id % 2);
EOF
		is($query->($answers), "charged false|2\ncharged true|198", "$what: two charges");
		is($query->("SELECT available FROM reservation.availability('{credit $isolation}')"),
			'8', "$what: 8 credits are left");

		# Everybody takes 1 of an account that has 1.
		$query->("SELECT FROM reservation.create_pool('one $isolation', 1, 'counted')");
		race($node, $isolation, <<"EOF");
INSERT INTO answers SELECT status, balance
	FROM reservation.charge('one $isolation', 1, 'debit ' || :client_id);
EOF
		is($query->($answers), "charged|1\ninsufficient|199", "$what: one debit");

		# Parts of one sale, by request ids of which each comes twice: together no more than it.
		$query->(<<"EOF");
DROP TABLE job;
CREATE TABLE job AS SELECT claim_id FROM reservation.charge('credit $isolation', 7, 'big job');
EOF
		race($node, $isolation, <<'EOF');
INSERT INTO answers SELECT r.status || ' ' || r.replayed, refunded
	FROM job, LATERAL reservation.refund(claim_id, 2, 'part ' || :client_id / 2) r;
EOF
		is($query->($answers), "exceeds false|194\nrefunded false|3\nrefunded true|3",
			"$what: three parts of 2 fit into 7");
		unlike(slurp_file($node->logfile, $log_start),
			qr/\b(ERROR|FATAL|PANIC|WARNING):/, "$what: no error of any kind");
	}
	verify_ok($node, 'postgres', "$with: the books are right");

	my ($too_much, $tries) = (0, 0);
	while ($too_much <= 0 && $tries++ < 10)
	{
		$query->('TRUNCATE naive, naive_sold; INSERT INTO naive VALUES (100)');
		gate($node, 'postgres', $callers);
		pgbench_run($node, 'postgres', $naive, clients => $callers);
		$too_much = $query->('SELECT sum(quantity) - 100 FROM naive_sold');
	}
	cmp_ok($too_much, '>', 0, "$with: control: the naive way sells more than there is");
	$node->stop;
}

done_testing();
