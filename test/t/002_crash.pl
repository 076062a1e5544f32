# 002_crash.pl: the server is killed in the middle of a storm, again and again. What was
# acknowledged is there afterwards; everything else is free.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use Reservation;

my $sessions = 12;
my $units = 100_000;
my $rounds = 5;

my $node = Reservation->node('crash',
	preload => 1,
	conf => "autovacuum = off\nwal_writer_delay = 10s");
$node->safe_psql('postgres', <<"EOF");
CREATE EXTENSION reservation;
SELECT FROM reservation.create_pool('storm', $units, hold_ttl => '1 day');
SELECT FROM reservation.create_pool('open', hold_ttl => '1 day');
CREATE TABLE acknowledged (event text, number integer, claim_id uuid, buyer text);
CREATE TABLE plain (number integer);
EOF

# Kills the postmaster alone, and starts the server again. Its backends end by themselves, as soon
# as they notice; the new postmaster has to wait for the last of them.
sub kill_postmaster
{
	my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;

	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	$node->kill9;
	until (!kill(0, $postmaster) && $node->start(fail_ok => 1))
	{
		BAIL_OUT('the server did not start again') if $tries-- == 0;
		usleep(100_000);
	}
	return;
}

# ---- a storm

# A buyer claims, then keeps the hold, or finalizes it, or gives it back, and notes what the server
# acknowledged. The next buyer starts where the last one stopped.
my $purchase = <<'EOF';
SELECT claim_id AS id, number FROM reservation.claim_next('storm', :'buyer') \gset
\echo claimed :number :id :buyer
EOF
my $open = <<'EOF';
SELECT claim_id AS id, number FROM reservation.claim_next('open', :'buyer') \gset
\echo claimed :number :id :buyer
EOF
my $finalize = <<'EOF';
SELECT status FROM reservation.finalize(:'id') \gset
\echo :status :number :id :buyer
EOF
my $release = <<'EOF';
SELECT status FROM reservation.release(:'id') \gset
\echo :status :number :id :buyer
EOF
my $script = PostgreSQL::Test::Utils::tempdir() . '/buyer.sql';
append_to_file($script, "$purchase$purchase$finalize$purchase$release$open" x 5000);

# Starts the storm, and calls the code as soon as there are so many claims.
sub storm
{
	my ($round, $claims, $strike) = @_;
	my @buyers;
	my @acknowledged = map { "$script.$round.$_" } 1 .. $sessions;

	foreach my $buyer (1 .. $sessions)
	{
		push @buyers, IPC::Run::start(
			[
				$node->installed_command('psql'), '--no-psqlrc', '--quiet',
				'--dbname' => $node->connstr('postgres'),
				'--set' => 'ON_ERROR_STOP=1',
				'--set' => "buyer=buyer-$round-$buyer",
				'--file' => $script
			],
			'<', \undef,
			'>', $acknowledged[ $buyer - 1 ],
			'2>', "$script.stderr");
	}
	$node->poll_query_until('postgres',
		"SELECT count(*) >= $claims FROM reservation.claim WHERE holder LIKE 'buyer-$round-%'")
	  or die 'the storm does not get going';
	$strike->();
	$_->finish foreach @buyers;

	my @lines = map { s/ /\t/gr } map { split(/\n/, slurp_file($_)) } @acknowledged;
	$node->safe_psql('postgres',
		join("\n", 'COPY acknowledged FROM STDIN;', @lines, '\.', ''));
	return scalar @lines;
}

# Acknowledgements that the books contradict. An acknowledged hold may have gone on to what was
# asked for next, which is not acknowledged.
my $broken_promises = <<'EOF';
SELECT count(*) FROM acknowledged a
	LEFT JOIN reservation.claims c ON c.claim_id = a.claim_id AND c.number = a.number
		AND c.holder = a.buyer
	WHERE c.claim_id IS NULL OR a.event <> 'claimed' AND a.event <> c.state
EOF

# Whatever is in the books and was not acknowledged: at most the last call of each session.
my $unacknowledged = <<'EOF';
SELECT count(*) FROM (
	SELECT claim_id, 'claimed' AS event FROM reservation.claims
	UNION ALL SELECT claim_id, event FROM reservation.log
	EXCEPT SELECT claim_id, event FROM acknowledged) x
EOF

my $lost_or_doubled_units = <<"EOF";
SELECT number, count(*) FROM (
	SELECT number FROM reservation.units WHERE pool = 'storm'
	UNION ALL SELECT generate_series(1, $units)) x
	GROUP BY number HAVING count(*) <> 2
EOF

my $lowest_free = <<"EOF";
SELECT min(n) FROM generate_series(1, $units) n
	WHERE n NOT IN (SELECT number FROM reservation.claims
		WHERE pool = 'storm' AND state IN ('held', 'finalized'))
EOF

my $repeated = "SELECT number FROM reservation.claims WHERE pool = 'open'
	GROUP BY number HAVING count(*) > 1";

my $allowed = 0;
foreach my $round (1 .. $rounds)
{
	my $kind = $round % 2 ? 'every process' : 'the postmaster alone';
	my $acknowledged = storm($round, 300 * $round,
		sub { $round % 2 ? crash_and_restart($node) : kill_postmaster() });
	$allowed += $sessions;

	note("round $round, SIGKILL to $kind: $acknowledged acknowledgements");
	cmp_ok($acknowledged, '>', 0, "round $round: there were acknowledgements");
	is($node->safe_psql('postgres', $broken_promises), 0,
		"round $round, SIGKILL to $kind: what was acknowledged is there");
	cmp_ok($node->safe_psql('postgres', $unacknowledged),
		'<=', $allowed, "round $round: at most the last call of a session is there unacknowledged");
	is($node->safe_psql('postgres', $lost_or_doubled_units),
		'', "round $round: every unit is free or claimed, once");
	is($node->safe_psql('postgres', $repeated),
		'', "round $round: open edition: no number is repeated");
	verify_ok($node, 'postgres', "round $round: verify() finds nothing wrong");

	my $lowest = $node->safe_psql('postgres', $lowest_free);
	is( $node->safe_psql('postgres', <<'EOF'),
SELECT status, number FROM reservation.claim_next('storm', 'next') \gset
INSERT INTO acknowledged SELECT 'claimed', number, claim_id, holder
	FROM reservation.claims WHERE holder = 'next' AND state = 'held';
\echo :status :number
EOF
		"claimed $lowest", "round $round: the next claim gets the lowest free number");
	$node->safe_psql('postgres', <<'EOF');
INSERT INTO acknowledged SELECT r.status, c.number, c.claim_id, c.holder
	FROM reservation.claims c, reservation.release(c.claim_id) r
	WHERE c.holder = 'next' AND c.state = 'held'
EOF
}

# Control: these checks see a promise that is broken and a unit that is lost.
$node->safe_psql('postgres', <<'EOF');
INSERT INTO acknowledged VALUES ('claimed', 1, gen_random_uuid(), 'nobody');
DELETE FROM reservation.available WHERE number = (SELECT max(number) FROM reservation.available);
EOF
is($node->safe_psql('postgres', $broken_promises), 1, 'control: a claim that is not there is seen');
is($node->safe_psql('postgres', $lost_or_doubled_units),
	"$units|1", 'control: a unit that is lost is seen');
isnt($node->safe_psql('postgres', 'SELECT * FROM reservation.verify()'),
	'', 'control: verify() sees it too');
$node->safe_psql('postgres', "INSERT INTO reservation.available SELECT pool_id, $units
	FROM reservation.pool WHERE pool = 'storm'");

# ---- a session that does not wait for the disk

# Its own commits may be lost, but not what settles a sale. Nothing else may write meanwhile: any
# other commit would bring the disk up to date.
sub crash_after
{
	my ($sql) = @_;

	my $session = session($node, 'postgres');
	my $answer = ask($session, "SET synchronous_commit = off;\n$sql");
	crash_and_restart($node);
	eval { $session->quit };
	return $answer;
}

foreach my $round (1 .. 2)
{
	foreach my $event ('finalized', 'refunded')
	{
		my $id = $node->safe_psql('postgres',
			"SELECT claim_id FROM reservation.claim_next('storm', 'hasty')");
		my $call = $event eq 'finalized' ? 'finalize' : 'refund';
		$node->safe_psql('postgres', "SELECT FROM reservation.finalize('$id')")
		  if $call eq 'refund';

		is(crash_after("SELECT status FROM reservation.$call('$id')"),
			$event, "synchronous_commit = off: $call is acknowledged");
		is( $node->safe_psql('postgres',
				"SELECT state FROM reservation.claims WHERE claim_id = '$id'"),
			$event, 'and survives a crash');
	}
}

my $lost = 0;
for (my $try = 1; $try <= 10 && !$lost; $try++)
{
	crash_after("INSERT INTO plain VALUES ($try)");
	$lost = !$node->safe_psql('postgres', "SELECT count(*) FROM plain WHERE number = $try");
}
if ($lost)
{
	pass('control: an ordinary row of such a session is lost');
}
else
{
	diag('no ordinary row was lost in 10 crashes with synchronous_commit = off, so that what '
		  . 'finalize and refund settled survives such crashes says little');
}

# ---- a sequence that was drawn from in the transaction that made it, with wal_level = minimal

is($node->safe_psql('postgres', 'SHOW wal_level'), 'minimal', 'a new relation writes no WAL');
$node->safe_psql('postgres', <<'EOS');
BEGIN;
CREATE SEQUENCE plain_number;
SELECT nextval('plain_number');
SELECT FROM reservation.create_pool('joined', 0);
SELECT FROM reservation.join_line('joined', 'first');
SELECT FROM reservation.create_pool('numbered');
SELECT FROM reservation.claim_next('numbered', 'first');
COMMIT;
EOS
$node->safe_psql('postgres', <<'EOS') for 1 .. 3;
SELECT nextval('plain_number');
SELECT FROM reservation.join_line('joined', gen_random_uuid()::text);
SELECT FROM reservation.claim_next('numbered', 'another');
EOS
crash_and_restart($node);
cmp_ok($node->safe_psql('postgres', "SELECT nextval('plain_number')"),
	'<', 5, 'control: a plain sequence repeats numbers after a crash');
$node->safe_psql('postgres', "SELECT FROM reservation.join_line('joined', 'last');
	SELECT FROM reservation.claim_next('numbered', 'last')");
is( $node->safe_psql('postgres', "SELECT holder FROM reservation.tickets WHERE pool = 'joined'
		ORDER BY number DESC LIMIT 1"), 'last', 'a ticket taken after the crash is the last one');
is( $node->safe_psql('postgres', "SELECT holder FROM reservation.claims WHERE pool = 'numbered'
		ORDER BY number DESC LIMIT 1"), 'last', 'and so is a number of an open edition');

verify_ok($node, 'postgres');
$node->stop;

done_testing();
