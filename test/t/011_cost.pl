# 011_cost.pl: what a claim costs, measured without a clock: buffers and waits, not time. And the
# counters of the view stats.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $node = Reservation->node('cost',
	preload => 1,
	conf => "max_prepared_transactions = 60\nautovacuum = off\nshared_buffers = 256MB");
$node->safe_psql('postgres', <<'EOF');
CREATE EXTENSION reservation;
-- how many buffers a statement touches
CREATE FUNCTION buffers(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) ' || statement INTO plan;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint
		+ (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
END $$;
EOF

# The buffers of each of so many statements, every one a transaction of its own, in one session.
sub buffers_of
{
	my ($statement, $count) = @_;

	return split /\n/, $node->safe_psql('postgres',
		join('', ("SELECT buffers(\$\$$statement\$\$);\n") x $count));
}

sub mean
{
	my $sum = 0;
	$sum += $_ foreach @_;
	return $sum / @_;
}

# A claim from a pool, warm: the mean of so many, after ten that are not counted.
sub claim_buffers
{
	my ($pool, $count) = @_;
	my @each = buffers_of("SELECT status FROM reservation.claim_next('$pool', 'h')", $count + 10);

	return mean(@each[ 10 .. $#each ]);
}

# What an old snapshot makes of the usual query, for comparison.
sub naive_buffers
{
	my ($pool) = @_;

	return (buffers_of("SELECT number FROM reservation.available WHERE pool_id =
		(SELECT pool_id FROM reservation.pool WHERE pool = '$pool')
		ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED", 1))[0];
}

# ---- the size of a pool

$node->safe_psql('postgres', "SELECT FROM reservation.create_pool('hundred', 100);
	SELECT FROM reservation.create_pool('million', 1000000);
	VACUUM ANALYZE reservation.available");
my $small = claim_buffers('hundred', 80);
my $large = claim_buffers('million', 80);
note(sprintf 'buffers a claim: %.1f of 100 units, %.1f of 1,000,000', $small, $large);
cmp_ok($small, '>', 5, 'what is measured is a claim');
cmp_ok($large, '<=', 1.1 * $small, 'a claim of a million units costs as much as one of a hundred');

# ---- dead rows that an old snapshot keeps

my $old = session($node, 'postgres');
ask($old, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM reservation.available LIMIT 1');
$node->safe_psql('postgres', <<'EOF');
SELECT FROM reservation.create_pool('used', 300000);
SELECT FROM reservation.create_pool('gone', 100000);
EOF
$node->safe_psql('postgres',
	"SELECT FROM reservation.claim_next('used', 'h', 10000);\n" x 20
	  . "SELECT FROM reservation.claim_next('gone', 'h', 10000);\n" x 10);
# as large as the books are now: their indexes have become higher
my $fresh = claim_buffers('million', 300);
my $used = claim_buffers('used', 300);
note(sprintf 'buffers a claim after 200,000 under an old snapshot: %.1f, of a fresh pool %.1f',
	$used, $fresh);
cmp_ok($used, '<=', 1.2 * $fresh, 'claims under an old snapshot do not make the next one dearer');
my $naive = naive_buffers('used');
note("buffers of the usual query: $naive");
cmp_ok($naive, '>', 10 * $fresh, 'control: the usual query has to read all that is gone');

# every fourth unit comes back, in no order, each in its own transaction
$node->safe_psql('postgres', <<'EOF');
CREATE PROCEDURE give_back() LANGUAGE plpgsql AS $$
DECLARE
	hold uuid;
BEGIN
	FOREACH hold IN ARRAY ARRAY(SELECT claim_id FROM reservation.claim c JOIN reservation.pool p
		USING (pool_id) WHERE p.pool = 'used' AND number % 4 = 0 AND number <= 200000
		ORDER BY md5(number::text)) LOOP
		PERFORM FROM reservation.release(hold);
		COMMIT;
	END LOOP;
END $$;
CALL give_back();
EOF
my @again = buffers_of("SELECT status FROM reservation.claim_next('used', 'h')", 310);
my $returned = mean(@again[ 10 .. 309 ]);
note(sprintf 'buffers a claim after 50,000 releases under an old snapshot: %.1f', $returned);
# Dead rows lie between any two units; a walk sifts them a block at a time.
cmp_ok($returned, '<=', 1.2 * $fresh, 'a claim of what came back costs what a fresh one does');
is($node->safe_psql('postgres', "SELECT min(number) FROM reservation.available
		JOIN reservation.pool USING (pool_id) WHERE pool = 'used'"),
	4 * 311, 'what was given back went out, lowest first');
cmp_ok((sort { $a <=> $b } @again[ 10 .. 309 ])[-1], '<', 200, 'and nobody all of them');

# ---- sold out

my @refusals = buffers_of("SELECT status FROM reservation.claim_next('gone', 'h')", 50);
my ($median, $most) = (sort { $a <=> $b } @refusals)[ 25, 49 ];
note("buffers a refusal: $median, the dearest $most");
cmp_ok($median, '<=', $small, 'a refusal costs less than a claim');
$naive = naive_buffers('gone');
note("buffers of the usual query: $naive");
cmp_ok($naive, '>', 10 * $small, 'control: the usual query has to read all that is gone');
ask($old, 'COMMIT');
$old->quit;
verify_ok($node, 'postgres');

# ---- units in the hands of fifty open transactions

$node->safe_psql('postgres', "SELECT FROM reservation.create_pool('in hand', 100)");
$node->safe_psql('postgres', join('', map { "BEGIN;
	SELECT FROM reservation.claim_next('in hand', 'h'); PREPARE TRANSACTION 'p$_';\n" } 1 .. 50));
is( $node->safe_psql('postgres', "SET lock_timeout = '1ms';
		SELECT status, number FROM reservation.claim_next('in hand', 'h')"),
	'claimed|51', 'a claim passes over what 50 open transactions have in hand');
is($node->safe_psql('postgres', "SELECT waits FROM reservation.stats WHERE pool = 'in hand'"),
	'0', 'and waits for nobody');
my ($exit, $stdout, $stderr) = $node->psql('postgres', "SET lock_timeout = '1ms';
	SELECT FROM reservation.available JOIN reservation.pool USING (pool_id) WHERE pool = 'in hand'
	ORDER BY number LIMIT 1 FOR UPDATE OF available");
like($stderr, qr/lock timeout/, 'control: somebody who locks the lowest one waits');
my $passing = claim_buffers('in hand', 35);
note(sprintf 'buffers a claim: %.1f with 50 units in hand', $passing);
cmp_ok($passing, '<=', 1.2 * $small, 'nor does it read them each time');
$node->safe_psql('postgres', join('', map { "ROLLBACK PREPARED 'p$_';\n" } 1 .. 50));
is( $node->safe_psql('postgres', "SELECT count(*) FROM reservation.claim_next('in hand', 'h',
		(SELECT available::integer FROM reservation.availability('{in hand}')))"),
	'54', 'and when they roll back, all is there');
verify_ok($node, 'postgres');

# ---- the counters

sub stats
{
	my ($columns) = @_;
	return $node->safe_psql('postgres',
		"SELECT $columns FROM reservation.stats WHERE pool = 'counted out'");
}
my $claim = "SELECT FROM reservation.claim_next('counted out', 'h'";
$node->safe_psql('postgres', "SELECT FROM reservation.create_pool('counted out', 60)");
is(stats('claims'), '', 'no claim, no counters');
$node->safe_psql('postgres', "$claim);\n" x 20);
is(stats('claims'), '20', 'claims');
my ($hits, $walks) = split /\|/, stats('hint_hits, walks');
cmp_ok($hits, '>=', 16, 'most of them without a walk');
cmp_ok($walks, '>', 0, 'but not all');
cmp_ok($walks, '<=', 5, 'a walk serves many');
$node->safe_psql('postgres', "BEGIN; $claim); ROLLBACK; $claim, 3)");
is(stats('claims'), '24', 'claims that rolled back, and several in one call');
$node->safe_psql('postgres', "$claim, request_id => 'r');\n" x 3);
is(stats('claims, replays'), '25|2', 'a claim and two replays');
$node->safe_psql('postgres', "$claim, ttl => '1 us'); $claim)");
is(stats('claims, lapses'), '27|1', 'a hold that lapses');
$node->safe_psql('postgres', "SELECT FROM reservation.claim_unit('counted out', 1, 'h');
	$claim, 1000)");
is(stats('gone, busy, waits'), '2|0|0', 'taken, and sold out');
my $holder = session($node, 'postgres');
ask($holder, "BEGIN; SELECT FROM reservation.claim_unit('counted out', 60, 'h')");
$node->safe_psql('postgres', "SELECT FROM reservation.claim_unit('counted out', 60, 'h', wait => '0')");
is(stats('gone, busy, waits, waited'), '2|1|0|00:00:00', 'busy without waiting');
$node->safe_psql('postgres',
	"SELECT FROM reservation.claim_unit('counted out', 60, 'h', wait => '60 ms')");
is( stats("busy, waits > 0, waited BETWEEN '55 ms' AND '1 min'"),
	'2|t|t', 'busy after a wait, and how long that was');
ask($holder, 'ROLLBACK');
$holder->quit;
is( $node->safe_psql('postgres', "SELECT status, pools = (SELECT count(*) FROM reservation.stats)
		FROM reservation.reset_stats()"),
	'reset|t', 'reset, as many as there were');
is( stats('claims, hint_hits, walks, gone, busy, replays, lapses, waits, waited'),
	'0|0|0|0|0|0|0|0|00:00:00', 'all of them');
is(stats("since BETWEEN clock_timestamp() - interval '1 min' AND clock_timestamp()"),
	't', 'from now on');
$node->safe_psql('postgres', "$claim)");
is(stats('claims'), '1', 'and they count again');
$node->safe_psql('postgres', 'CREATE DATABASE another');
is( $node->safe_psql('another', 'CREATE EXTENSION reservation;
		SELECT pools FROM reservation.reset_stats(); SELECT count(*) FROM reservation.stats'),
	"0\n0", 'another database has its own');
is(stats('claims'), '1', 'and resets its own');
verify_ok($node, 'postgres');
$node->stop;

# ---- without preload

$node = Reservation->node('without');
$node->safe_psql('postgres', 'CREATE EXTENSION reservation');
is( $node->safe_psql('postgres', "SELECT FROM reservation.create_pool('print', 2);
		SELECT string_agg(coalesce(number::text, status), ' ') FROM generate_series(1, 3) i
			CROSS JOIN LATERAL reservation.claim_next('print', 'h' || i);
		SELECT status, pools FROM reservation.reset_stats(); SELECT count(*) FROM reservation.stats"),
	"\n1 2 sold_out\nreset|0\n0" =~ s/^\n//r, 'without preload there are claims and no counters');
verify_ok($node, 'postgres');
$node->stop;

done_testing();
