# 012_stock_storm.pl: everything that can be done to stock and credits, at random, by 64 clients on
# three pools, at every isolation level, with rollbacks, savepoints, holds that lapse, cancelled
# calls, killed sessions, and a crash in the middle; while slots split and are put together again.
#
# The audit does not trust the books. Each client notes what it was told in the transaction in which
# it was told: what was put in, sold and refunded. At the end, when no hold is left, what the pools
# say is free must be what was put in less what was sold, to the unit.
#
# Control: the naive way (read, compute, write back), judged by the same sum.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $clients = 64;
my $seconds = 6;

my $choose = <<'EOF';
\set pool random(1, 3)
\set holder random(1, 20)
\set quantity random(1, 5)
\set part random(1, 5)
\set ttl random(1, 4)
\set what random(1, 12)
EOF
my $pool = "(ARRAY['shirt', 'limited', 'credit'])[:pool]";
my $ttl = "(ARRAY['1 ms', '20 ms', '200 ms', '2 s']::interval[])[:ttl]";
my $none = "'00000000-0000-0000-0000-000000000000'";
my $take = "SELECT coalesce(max(claim_id::text), $none) AS id, coalesce(max(quantity), 0) AS got "
  . "FROM reservation.take($pool, 'holder ' || :holder, :quantity, $ttl, wait => '100 ms') "
  . "WHERE status = 'claimed' \\gset\n";
my $settle = <<'EOF';
\if :got > 0 AND :what <= 2
	SELECT FROM reservation.extend(':id', '200 ms');
\endif
\if :got > 0 AND :what <= 4
	SELECT FROM reservation.release(':id');
\elif :got > 0 AND :what <= 9
	INSERT INTO told SELECT pool, -quantity
		FROM reservation.finalize(':id', least(:part, :got))
		WHERE status = 'finalized' AND NOT replayed;
\endif
EOF
my $latest = <<"EOF";
SELECT coalesce((SELECT claim_id FROM reservation.claim ORDER BY claim_id DESC
	OFFSET :holder * :part LIMIT 1)::text, $none) AS id \\gset
SELECT count(*) AS known FROM reservation.claim WHERE claim_id = ':id' \\gset
EOF

my %scripts = (
	purchase => [ 14, $choose . $take . $settle ],

	# several calls in one transaction, some of them undone
	basket => [ 6, $choose . <<"EOF" ],
BEGIN;
${take}SAVEPOINT s;
$take$settle\\if :what <= 3
	ROLLBACK TO s;
\\elif :what <= 8
	RELEASE s;
\\endif
\\if :what <= 5
	ROLLBACK;
\\else
	COMMIT;
\\endif
EOF

	charge => [ 6, $choose . <<'EOF' ],
INSERT INTO told SELECT 'credit', -:quantity
	FROM reservation.charge('credit', :quantity,
		'request ' || :quantity || ' ' || :holder * :part * :ttl)
	WHERE status = 'charged' AND NOT replayed;
EOF

	# somebody else's claim
	stranger => [ 10, $choose . $latest . <<'EOF' ],
\if :known > 0 AND :what <= 4
	SELECT FROM reservation.release(':id');
\elif :known > 0 AND :what <= 6
	INSERT INTO told SELECT pool, -quantity
		FROM reservation.finalize(':id', 1) WHERE status = 'finalized' AND NOT replayed;
\elif :known > 0
	INSERT INTO told SELECT c.pool, r.refunded FROM reservation.claims c,
		LATERAL reservation.refund(c.claim_id, NULLIF(:part, 1)) r
		WHERE c.claim_id = ':id' AND r.status = 'refunded' AND NOT r.replayed;
\endif
EOF

	adjust => [ 3, $choose . <<"EOF" ],
BEGIN;
INSERT INTO told SELECT pool, delta
	FROM reservation.adjust($pool, CASE WHEN :what <= 8 THEN :part ELSE -:part END)
	WHERE status = 'adjusted';
\\if :ttl = 1
	ROLLBACK;
\\else
	COMMIT;
\\endif
EOF

	sweep => [ 1, "SELECT FROM reservation.sweep();\n" ],

	# a session ends, a call is cancelled
	kill => [ 1, <<'EOF' ],
\set what random(1, 40)
\if :what = 1
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE application_name = 'pgbench' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1;
\elif :what = 2
SELECT pg_cancel_backend(pid) FROM pg_stat_activity
	WHERE application_name = 'pgbench' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1;
\endif
EOF

	# what somebody sees who looks at the books meanwhile
	look => [ 1, <<'EOF' ],
INSERT INTO alarms SELECT 'verify: ' || v FROM reservation.verify() v;
INSERT INTO alarms SELECT format('%s has %s', holder, sum(quantity - refunded))
	FROM reservation.claims WHERE pool = 'limited' AND state IN ('held', 'finalized')
	GROUP BY holder HAVING sum(quantity - refunded) > 40;
INSERT INTO alarms SELECT format('%s has %s', pool, available) FROM reservation.pool_status
	WHERE available < 0;
INSERT INTO slots SELECT count(*) FROM reservation.stock GROUP BY pool_id;
EOF
);

my $naive = <<'EOF';
\set quantity random(1, 5)
SELECT free FROM naive \gset
UPDATE naive SET free = :free - :quantity;
INSERT INTO naive_told VALUES (-:quantity);
EOF

# Where what a pool says and what the callers were told differ, once there are no holds.
my $audit = <<'EOF';
SELECT p.pool, p.available + p.floor, t.free, p.held, p.capacity, p.finalized
FROM reservation.pool_status p
JOIN (SELECT pool, sum(change) AS free FROM told GROUP BY pool) t USING (pool)
WHERE p.available + p.floor <> t.free OR p.held <> 0
	OR p.capacity - p.available - p.floor <> p.finalized
EOF

# A storm of so many seconds; strike() comes when it has got going.
sub storm
{
	my ($node, $isolation, $strike) = @_;
	my @files;

	foreach my $name (sort keys %scripts)
	{
		my ($weight, $script) = @{ $scripts{$name} };
		my $file = PostgreSQL::Test::Utils::tempdir() . "/$name.sql";
		unlink $file;
		append_to_file($file, $script);
		push @files, '--file' => "$file\@$weight";
	}
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM reservation.log');
	my ($stdout, $stderr) = ('', '');
	local $ENV{PGOPTIONS} =
	  '-c default_transaction_isolation=' . ($isolation =~ s/ /\\ /gr);
	my $bench;
	{
		# by this name it is found and killed; those of this test have another
		local $ENV{PGAPPNAME} = 'pgbench';
		$bench = IPC::Run::start(
			[
				$node->installed_command('pgbench'), '--no-vacuum', '--max-tries=3',
				'--host' => $node->host,
				'--port' => $node->port,
				'--client' => $clients,
				'--jobs' => 2,
				'--time' => $seconds,
				@files, 'postgres'
			],
			'<', \undef, '>', \$stdout, '2>', \$stderr,
			IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	}
	$node->poll_query_until('postgres', "SELECT count(*) > $before + 300 FROM reservation.log")
	  or die 'the storm does not get going';
	$strike->();
	$bench->finish;
	return $stdout =~ /actually processed: (\d+)/ ? $1 : '';
}

# Whether a session was killed and a call cancelled; and sees to it.
sub struck
{
	my ($node, $log_start) = @_;
	my $log = slurp_file($node->logfile, $log_start);
	return $log =~ /terminating connection/ && $log =~ /canceling statement due to user request/;
}
sub strike
{
	my ($node, $log_start) = @_;

	for (my $tries = 0; $tries < 100 && !struck($node, $log_start); $tries++)
	{
		my $function = $tries % 2 ? 'pg_cancel_backend' : 'pg_terminate_backend';
		$node->safe_psql('postgres', "SELECT $function(pid) FROM pg_stat_activity
			WHERE application_name = 'pgbench' AND state = 'active' LIMIT 1");
	}
	return;
}

foreach my $preload (0, 1)
{
	my $with = $preload ? 'with preload' : 'without preload';
	my $node = Reservation->node("storm_$preload",
		preload => $preload,
		conf => 'deadlock_timeout = 20ms');
	my $query = sub { return $node->safe_psql('postgres', $_[0]) };

	$query->(<<'EOF');
CREATE EXTENSION reservation;
CREATE TABLE told (pool text, change bigint);
CREATE TABLE alarms (alarm text);
CREATE TABLE slots (n bigint);
SELECT reservation.create_pool('shirt', 5000, 'counted'),
	reservation.create_pool('limited', 60, 'counted', per_holder => 40),
	reservation.create_pool('credit', 100, 'counted', floor => -50, ceiling => 400);
INSERT INTO told VALUES ('shirt', 5000), ('limited', 60), ('credit', 100);
CREATE TABLE naive (free bigint);
INSERT INTO naive VALUES (100000);
CREATE TABLE naive_told (change bigint);
EOF
	foreach my $round ('read committed', 'repeatable read', 'serializable', 'crash')
	{
		my $log_start = -s $node->logfile;
		my $crash = $round eq 'crash';
		my $before = $query->('SELECT count(*) FROM reservation.log');
		my $processed = storm($node, $crash ? 'read committed' : $round,
			sub { $crash ? crash_and_restart($node) : strike($node, $log_start) });

		my $expected = 'could not serialize|deadlock detected|terminating connection'
		  . '|canceling statement';
		$expected .= '|the database system is|connection to client' if $crash;
		my @other = grep { !/$expected/ }
		  slurp_file($node->logfile, $log_start) =~ /(?:ERROR|FATAL|PANIC):.*/g;
		is("@other", '', "$with, $round: no error but those that we made");
		is( $query->(<<"EOF"),
SELECT string_agg(event, ' ' ORDER BY event) FROM (SELECT event FROM
	(SELECT event FROM reservation.log OFFSET $before) l GROUP BY event HAVING count(*) > 3) e
EOF
			'adjusted extended finalized lapsed refunded released',
			"$with, $round: everything happened") unless $crash;
		note("$with, $round: $processed transactions");
	}

	ok(struck($node, 0), "$with: sessions were killed, and calls cancelled");
	is( $query->(<<'EOF'), "t|t|t|t", "$with: stock went both ways, and sales and refunds were made in part");
SELECT (SELECT count(*) > 0 FROM reservation.log WHERE event = 'adjusted' AND change > 0),
	(SELECT count(*) > 0 FROM reservation.log WHERE event = 'adjusted' AND change < 0),
	count(*) FILTER (WHERE taken > quantity) > 0,
	count(*) FILTER (WHERE refunded > 0 AND refunded < quantity) > 0
FROM reservation.claim
EOF
	is($query->('SELECT DISTINCT alarm FROM alarms'),
		'', "$with: whoever looked at the books meanwhile found them right");
	cmp_ok($query->('SELECT max(n) FROM slots'), '>', 2, "$with: slots were split");
	note('slots, how often seen: ',
		$query->('SELECT n, count(*) FROM slots GROUP BY n ORDER BY n') =~ s/\n/, /gr);
	$node->poll_query_until('postgres', 'SELECT sum(held) = 0 FROM reservation.pool_status');
	is($query->($audit), '', "$with: free is what was put in less what was sold");
	is( $query->(<<'EOF'),
SELECT p.pool FROM reservation.pool_status p
WHERE p.available + p.floor <> (SELECT sum(amount) FROM reservation.account_entries(p.pool))
EOF
		'', "$with: the entries add up to the balance");
	verify_ok($node, 'postgres', "$with: the books are right");

	$query->('SELECT FROM reservation.sweep(1000000)');
	is( $query->('SELECT max(n) FROM (SELECT count(*) AS n FROM reservation.stock GROUP BY pool_id) s'),
		2, "$with: when all is quiet, a sweep puts the slots together");
	is($query->($audit), '', "$with: and nothing is lost by it");
	verify_ok($node, 'postgres', "$with: nor in the books");

	# Then a single caller gets all that is left, one by one.
	my $left = $query->("SELECT available FROM reservation.availability('{limited}')");
	is( $query->(join('',
				map { "SELECT status FROM reservation.take('limited', 'last $_');\n" } 0 .. $left)),
		join("\n", ('claimed') x $left, 'insufficient'),
		"$with: what is left can be had, to the last");
	verify_ok($node, 'postgres', "$with: and the books are right");

	pgbench_run($node, 'postgres', $naive, clients => 16, transactions => 100);
	isnt( $query->('SELECT free FROM naive'),
		$query->('SELECT 100000 + sum(change) FROM naive_told'),
		"$with: control: the naive way loses count");
	$node->stop;
}

done_testing();
