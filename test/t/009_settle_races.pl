# 009_settle_races.pl: everything that can be done to a unit, at random, by many, at every isolation
# level, with holds that lapse within milliseconds, rollbacks and savepoints. No unit ever has two
# holders, and the books are right all the time.
#
# The audit does not trust the books alone. Each session notes when it was told that it has a unit,
# after the commit. From then until the hold lapses, or somebody asks to release or refund it, the
# unit is certainly theirs. No two of these times may overlap.
#
# Control: the naive way (SELECT a free unit, then UPDATE it), judged by the same audit.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $clients = 16;
my $transactions = 300;

# What a script draws lots for.
my $choose = <<'EOF';
\set pool random(1, 3)
\set holder random(1, 5)
\set units random(1, 3)
\set number random(1, 6)
\set ttl random(1, 4)
\set what random(1, 10)
EOF

# What a script knows of a claim: whether it got one, and which.
my $told = 'SELECT count(c.claim_id) AS got, '
  . "coalesce(max(c.claim_id::text), '00000000-0000-0000-0000-000000000000') AS id FROM";
my $pool = "(ARRAY['storm', 'limited', 'open'])[:pool]";
my $holder = "'holder ' || :holder";
my $ttl = "(ARRAY['1 ms', '5 ms', '20 ms', '100 ms']::interval[])[:ttl]";
my $note_claim = <<"EOF";
\\if :got > 0
INSERT INTO told SELECT c.claim_id, 'claimed', clock_timestamp() FROM reservation.claims c
	WHERE c.claim_id = ':id';
\\endif
EOF
my $claim_next = "$told reservation.claim_next($pool, $holder, ttl => $ttl) c \\gset\n";
my $note_sale = <<'EOF';
\if :sold > 0
INSERT INTO told VALUES (':id', 'finalized', clock_timestamp());
\endif
EOF
my $finalize = "SELECT count(*) AS sold FROM reservation.finalize(':id') "
  . "WHERE status = 'finalized' \\gset\n";

my %scripts = (
	# a purchase, step by step
	purchase => [ 12, $choose . $claim_next . $note_claim . <<"EOF" ],
\\if :got > 0
	\\if :what <= 2
		SELECT FROM reservation.extend(':id', '50 ms');
	\\endif
	\\if :what <= 5
		SELECT FROM reservation.release(':id');
	\\elif :what <= 8
		$finalize$note_sale
		\\if :what <= 7
			SELECT FROM reservation.refund(':id');
		\\endif
	\\endif
\\endif
EOF

	seat => [ 4, $choose . <<"EOF" . $note_claim ],
$told reservation.claim_unit('storm', :number, $holder, $ttl, wait => '20 ms') c \\gset
EOF

	several => [ 3, $choose . <<"EOF" ],
SELECT FROM reservation.claim_next($pool, $holder, :units, $ttl);
EOF

	# many calls in one transaction, some of them undone
	basket => [ 4, $choose . <<"EOF" ],
BEGIN;
$claim_next
SAVEPOINT s;
SELECT FROM reservation.claim_unit('storm', :number, $holder, $ttl, wait => '200 ms');
\\if :what <= 3
	ROLLBACK TO s;
\\elif :what <= 5
	RELEASE s;
\\endif
\\if :got > 0 AND :what > 4
	SELECT FROM reservation.finalize(':id');
\\elif :got > 0 AND :what > 2
	SELECT FROM reservation.release(':id');
	SELECT FROM reservation.claim_next($pool, $holder, ttl => $ttl, wait => '200 ms');
\\endif
\\if :what <= 4 OR :what = 8
ROLLBACK;
\\else
COMMIT;
\\endif
EOF

	# two seats in any order, held on to: these can deadlock, which the server notices and says
	crossing => [ 2, $choose . <<"EOF" ],
BEGIN;
SELECT FROM reservation.claim_unit('storm', :number, $holder, '20 ms', wait => '1 s');
SELECT FROM reservation.claim_unit('storm', 1 + (:number + :units) % 6, $holder, '20 ms',
	wait => '1 s');
COMMIT;
EOF

	# somebody else's claim: one of the latest, or any sale
	stranger => [ 12, $choose . <<"EOF" ],
\\if :what <= 6
SELECT coalesce((SELECT claim_id FROM reservation.claim ORDER BY claim_id DESC
	OFFSET :number * :what LIMIT 1), (SELECT claim_id FROM ever)) AS id \\gset
\\else
SELECT coalesce((SELECT claim_id FROM reservation.claims
	WHERE state = 'finalized' AND pool <> 'open' OFFSET :number LIMIT 1),
	(SELECT claim_id FROM ever)) AS id \\gset
\\endif
\\if :what <= 3
SELECT FROM reservation.release(':id');
\\elif :what <= 5
$finalize$note_sale
\\elif :what <= 6
SELECT FROM reservation.extend(':id', $ttl);
\\else
SELECT FROM reservation.refund(':id');
\\endif
EOF

	sweep => [ 2, "SELECT FROM reservation.sweep();\n" ],

	# what somebody sees who looks at the books meanwhile
	look => [ 1, <<'EOF' ],
INSERT INTO alarms SELECT 'verify: ' || v FROM reservation.verify() v;
INSERT INTO alarms SELECT format('%s units of pool %s, number %s', count(*), pool_id, number)
	FROM reservation.claim WHERE state || '' IN ('held', 'finalized')
	GROUP BY pool_id, number HAVING count(*) > 1;
INSERT INTO alarms SELECT format('%s has %s of pool limited', holder, count(*))
	FROM reservation.claims WHERE pool = 'limited' AND state IN ('held', 'finalized')
	GROUP BY holder HAVING count(*) > 2;
EOF
);

my $naive = <<'EOF';
SELECT coalesce(min(number), 0) AS number FROM naive_unit WHERE free \gset
\if :number > 0
UPDATE naive_unit SET free = false WHERE number = :number;
INSERT INTO naive_owned (number, start) VALUES (:number, clock_timestamp()) RETURNING id \gset
UPDATE naive_owned SET stop = clock_timestamp() WHERE id = :id;
UPDATE naive_unit SET free = true WHERE number = :number;
\endif
EOF

my $schema = <<'EOF';
CREATE EXTENSION reservation;
CREATE TABLE told (claim_id uuid, event text, at timestamptz);
CREATE TABLE alarms (alarm text);
CREATE TABLE rounds (at timestamptz);
SELECT reservation.create_pool('storm', 6), reservation.create_pool('limited', 4, per_holder => 2),
	reservation.create_pool('open', hold_ttl => '100 ms'), reservation.create_pool('ever', 1);
CREATE TABLE ever AS SELECT claim_id FROM reservation.claim_next('ever', 'ever');
-- When a unit was certainly somebody's: a hold, which goes on as a sale; and a sale after the hold
-- had lapsed.
CREATE VIEW owned AS
	SELECT c.pool, c.number, c.claim_id AS id, t.at AS start,
		CASE WHEN t.event = 'claimed' AND coalesce(c.finalized_at >= c.expires_at, true)
			THEN least(c.expires_at, e.at)
			ELSE coalesce(e.at, 'infinity') END AS stop
	FROM (SELECT claim_id, event, min(at) AS at FROM told GROUP BY 1, 2) t
	JOIN reservation.claims c USING (claim_id)
	LEFT JOIN reservation.log e ON e.claim_id = t.claim_id AND e.event IN ('released', 'refunded')
	WHERE t.event = 'claimed' OR c.finalized_at >= c.expires_at;
CREATE TABLE naive_owned (id serial, pool text, number integer, start timestamptz,
	stop timestamptz);
CREATE TABLE naive_unit AS SELECT number, true AS free FROM generate_series(1, 6) number;
EOF

# Units that were given to one while they were another's, with those who had them before.
my $audit = <<'EOF';
SELECT pool, number, id, start, stop_before, ids_before FROM (
	SELECT pool, number, id, start,
		max(stop) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS stop_before,
		array_agg(id) OVER (w ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING) AS ids_before
	FROM OWNED WHERE start < stop
	WINDOW w AS (PARTITION BY pool, number ORDER BY start)) o
WHERE start < stop_before ORDER BY start
EOF

# What the books say of them.
my $history = <<"EOF";
SELECT h.* FROM (
		SELECT claimed_at AS at, claim_id, 'claimed until ' || expires_at AS event
			FROM reservation.claim
		UNION ALL SELECT at, claim_id, event FROM reservation.log
		UNION ALL SELECT at, claim_id, 'told ' || event FROM told) h
	JOIN (@{[ $audit =~ s/OWNED/owned/r ]}) o
		ON h.claim_id = o.id OR h.claim_id = ANY (o.ids_before)
	ORDER BY h.at
EOF

foreach my $preload (0, 1)
{
	my $node = Reservation->node("settle_$preload",
		preload => $preload,
		conf => 'deadlock_timeout = 10ms');
	$node->safe_psql('postgres', $schema);

	foreach my $isolation ('read committed', 'repeatable read', 'serializable')
	{
		my $what = ($preload ? 'with' : 'without') . " preload, $isolation";
		my @files;
		foreach my $name (sort keys %scripts)
		{
			my ($weight, $script) = @{ $scripts{$name} };
			my $file = PostgreSQL::Test::Utils::tempdir() . "/$name.sql";
			append_to_file($file, $script);
			push @files, '--file' => "$file\@$weight";
		}

		my $log_start = -s $node->logfile;
		my $run = do
		{
			local $ENV{PGOPTIONS} =
			  '-c default_transaction_isolation=' . ($isolation =~ s/ /\\ /gr);
			pgbench_run($node, 'postgres', "SELECT 1;\n",
				clients => $clients,
				transactions => $transactions,
				args => [ '--failures-detailed', @files ]);
		};
		my $log = slurp_file($node->logfile, $log_start);
		is($run->{exit}, 0, "$what: no session was stopped by an error")
		  or diag(join("\n", (split(/\n/, $run->{stderr}))[ 0 .. 5 ]));
		my @other = grep { !/could not serialize access|deadlock detected/ }
		  $log =~ /(?:ERROR|FATAL|PANIC):.*/g;
		is("@other", '', "$what: no error but those that say \"try again\"");

		my ($serialization) = $run->{stdout} =~ /^number of serialization failures: (\d+)/m;
		my ($deadlocks) = $run->{stdout} =~ /^number of deadlock failures: (\d+)/m;
		note("$what: $run->{processed} transactions, $run->{tps} per second; "
			  . "serialization failures: $serialization, deadlocks: $deadlocks");
		is($serialization, 0, "$what: no serialization failure")
		  if $isolation ne 'serializable';

		# The storm was one: all that can become of a claim did, in numbers.
		is( $node->safe_psql('postgres', <<'EOF'),
SELECT string_agg(event, ' ' ORDER BY event) FROM (
	SELECT event FROM (
		SELECT event, at FROM reservation.log
		UNION ALL SELECT 'late', finalized_at FROM reservation.claims
			WHERE finalized_at > expires_at) l
	WHERE at > coalesce((SELECT max(at) FROM rounds), '-infinity')
	GROUP BY event HAVING count(*) >= 5) e
EOF
			'extended finalized lapsed late refunded released', "$what: everything happened");
		note($node->safe_psql('postgres', <<'EOF'));
SELECT event, count(*) FROM reservation.log
	WHERE at > coalesce((SELECT max(at) FROM rounds), '-infinity') GROUP BY 1 ORDER BY 1;
SELECT 'owned', count(*), count(*) FILTER (WHERE start < stop) FROM owned;
EOF
		$node->safe_psql('postgres', 'INSERT INTO rounds VALUES (clock_timestamp())');
	}

	is($node->safe_psql('postgres', 'SELECT DISTINCT alarm FROM alarms'),
		'', 'whoever looked at the books meanwhile found them right');
	is($node->safe_psql('postgres', $audit =~ s/OWNED/owned/r),
		'', 'no unit had two owners at once')
	  or diag($node->safe_psql('postgres', $history));

	# After the storm a single caller gets what is left, lowest number first, whatever happened.
	$node->poll_query_until('postgres',
		"SELECT sum(held) = 0 FROM reservation.availability('{storm,limited,open}')");
	foreach my $name ('storm', 'limited')
	{
		my $free = $node->safe_psql('postgres', "SELECT number FROM reservation.units
			WHERE pool = '$name' AND state = 'free' ORDER BY number");
		my $calls = 1 + split(/\n/, $free);
		is( $node->safe_psql('postgres', join('', map { <<"EOF" } 1 .. $calls)),
SELECT coalesce(number::text, status)
	FROM reservation.claim_next('$name', 'single $_', ttl => '1 day');
EOF
			join("\n", $free eq '' ? () : $free, 'sold_out'),
			"then $name is claimed in order, to the last");
	}

	# A finalize that began in time, waits for a row, and finds that meanwhile the hold has lapsed
	# and the unit was another's, is late.
	my $id = $node->safe_psql('postgres', <<'EOF');
SELECT FROM reservation.create_pool('overtaken', 1);
SELECT claim_id FROM reservation.claim_next('overtaken', 'first', ttl => '1 s');
EOF
	my ($buyer, $other) = (session($node, 'postgres'), session($node, 'postgres'));
	ask($other, "BEGIN;\nSELECT FROM reservation.claim WHERE claim_id = '$id' FOR UPDATE");
	ask_later($buyer, "SELECT status, late FROM reservation.finalize('$id')");
	wait_until_blocked($node, $buyer);
	$node->poll_query_until('postgres',
		"SELECT available = 1 FROM reservation.availability('{overtaken}')");
	is( ask($other, <<'EOF'), 'released', 'a unit is claimed and released');
SELECT status FROM reservation.claim_unit('overtaken', 1, 'other') \gset
SELECT r.status FROM reservation.claims c, reservation.release(c.claim_id) r
	WHERE c.pool = 'overtaken' AND c.holder = 'other';
COMMIT
EOF
	is(answer($buyer), 'finalized|t', 'who finalizes now what was theirs before, is late');

	my ($doubles, $tries) = (0, 0);
	while ($doubles == 0 && $tries++ < 10)
	{
		pgbench_run($node, 'postgres', $naive, clients => $clients, transactions => $transactions);
		$doubles = () = split(/\n/, $node->safe_psql('postgres', $audit =~ s/OWNED/naive_owned/r));
	}
	cmp_ok($doubles, '>', 0, 'control: the naive way, units had');
	note("control: $doubles times");
	verify_ok($node, 'postgres');
	$node->stop;
}

done_testing();
