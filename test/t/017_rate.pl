# 017_rate.pl: rate limits, with and without preload.
#
# The server runs on a clock that this test sets: a small library in front of gettimeofday. So every
# answer can be compared exactly, with a table made by hand and with a model of the algorithm that
# calculates in whole numbers of any length; and many sessions on one key must get exactly what the
# burst and the time since then give. Control: reading, calculating and writing in SQL, which lets
# more through.

use strict;
use warnings;

use Math::BigInt;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $seed = $ENV{RSV_SEED} || time;
srand($seed);
note("RSV_SEED=$seed");

# ---- the clock

my $folder = PostgreSQL::Test::Utils::tempdir();
my $second = 1_000_000;
my $day = 86_400 * $second;
my $clock;

sub set_clock
{
	($clock) = @_;
	open my $file, '+<:raw', "$folder/clock" or die "clock: $!";
	syswrite($file, pack('q', $clock)) == 8 or die "clock: $!";
	close $file;
	return;
}

append_to_file("$folder/clock", ' ' x 8);
append_to_file("$folder/clock.c", <<'EOF');
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

int gettimeofday(struct timeval *now, void *zone)
{
	static volatile int64_t *clock;
	int64_t us;

	if (!clock)
		clock = mmap(NULL, 8, PROT_READ, MAP_SHARED, open(getenv("RSV_CLOCK"), O_RDONLY), 0);
	us = *clock;
	now->tv_sec = us / 1000000;
	now->tv_usec = us % 1000000;
	return 0;
}
EOF
system_or_bail('gcc', '-shared', '-fPIC', '-o', "$folder/clock.so", "$folder/clock.c");

# Starts a server, or does something else that starts one, on our clock.
sub on_our_clock
{
	my ($start) = @_;
	local $ENV{LD_PRELOAD} = "$folder/clock.so";
	local $ENV{RSV_CLOCK} = "$folder/clock";
	$start->();
	return;
}

# As gate(), which sleeps, and so would wait for our clock to go on.
sub gate_without_clock
{
	my ($node, $callers) = @_;
	my ($key) = GATE =~ /(\d+)/;
	my $keeper = session($node, 'postgres');

	ask($keeper, "SELECT pg_advisory_lock($key)");
	ask_later($keeper, <<"EOF");
DO \$\$
BEGIN
	WHILE (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
		AND objid = $key) < $callers
	LOOP
		PERFORM count(*) FROM generate_series(1, 100000);
	END LOOP;
END
\$\$;
\\q
EOF
	return $keeper;
}

# ---- one call, answered as allowed|remaining|retry_after|reset_after, times in microseconds

sub call
{
	my ($key, $burst, $period, $cost) = @_;
	return "SELECT allowed, remaining, (extract(epoch FROM retry_after) * 1000000)::bigint,
		(extract(epoch FROM reset_after) * 1000000)::bigint
		FROM reservation.rate_limit('$key', $burst, '1 us'::interval * $period, $cost)"
	  =~ s/\s+/ /gr;
}

# By hand: burst 3, period 3 s, so one comes back in a second. Seconds since the start, cost, answer.
my @table = (
	[ 0, 1, 't|2|0|1000000' ],
	[ 0, 4, 'f|2||1000000' ],
	[ 0, 2, 't|0|0|3000000' ],
	[ 0, 1, 'f|0|1000000|3000000' ],
	[ 0, 3, 'f|0|3000000|3000000' ],
	[ 0.999999, 1, 'f|0|1|2000001' ],
	[ 1, 2, 'f|1|1000000|2000000' ],
	[ 1, 1, 't|0|0|3000000' ],
	[ 2.5, 2, 'f|1|500000|1500000' ],
	[ 2.5, 1, 't|0|0|2500000' ],
	[ 5, 1, 't|2|0|1000000' ],
	[ 100, 3, 't|0|0|3000000' ],
	# the clock is set back: by a moment it is only disorder, by an hour as if all was spent now
	[ 99.9, 1, 'f|0|1100000|3100000' ],
	[ 100.9, 1, 'f|0|100000|2100000' ],
	[ 101, 1, 't|0|0|3000000' ],
	[ -3600, 1, 'f|0|1000000|3000000' ],
	[ -3599, 1, 't|0|0|3000000' ],
	[ -3599, 1, 'f|0|1000000|3000000' ],
);

# ---- the model: times in parts of a microsecond, as many as the burst

my %idle_at;

sub rounded_up
{
	my ($parts, $burst) = @_;
	return ($parts + $burst - 1)->bdiv($burst) . '';
}

sub model
{
	my ($key, $burst, $period, $cost) = @_;
	my $limit = "$key $burst $period";
	my $now = Math::BigInt->new($clock) * $burst;
	my $latest = $now + Math::BigInt->new($period) * $burst;
	my $price = Math::BigInt->new($period) * $cost;
	my $idle_at = $idle_at{$limit};
	$idle_at = $now if !defined $idle_at || $idle_at < $now;
	my $fits = $cost <= $burst && $idle_at + $price <= $latest;
	my $retry = $fits ? 0 : $cost > $burst ? '' : rounded_up($idle_at + $price - $latest, $burst);

	$idle_at += $price if $fits;
	$idle_at{$limit} = $idle_at;
	return join('|', $fits ? 't' : 'f', ($latest - $idle_at)->bdiv($period) . '', $retry,
		rounded_up($idle_at - $now, $burst));
}

# ---- storms

my $storm = GATE . <<'EOF';
INSERT INTO answers SELECT allowed, remaining FROM reservation.rate_limit(:key, 20, '20 s');
EOF
my $claims = GATE . <<'EOF';
INSERT INTO answers SELECT status = 'claimed', number
	FROM reservation.claim_next('storm', gen_random_uuid()::text, wait => '1 min');
EOF
my $naive = GATE . <<'EOF';
SELECT spent, spent < 20 AS free FROM naive \gset
\if :free
UPDATE naive SET spent = :spent + 1;
INSERT INTO answers VALUES (true, :spent);
\endif
EOF

# Runs it in 64 sessions at once, twice in each; returns how many were let through.
sub storm
{
	my ($node, $script, $what) = @_;

	$node->safe_psql('postgres', 'TRUNCATE answers; UPDATE naive SET spent = 0');
	my $log_start = -s $node->logfile;
	my $keeper = gate_without_clock($node, 64);
	my $run = pgbench_run($node, 'postgres', $script,
		clients => 64,
		transactions => 2,
		args => [ "--define=key='storm'" ]);
	is($run->{exit}, 0, "$what: pgbench says that all is well") or diag($run->{stderr});
	unlike(slurp_file($node->logfile, $log_start),
		qr/\b(ERROR|FATAL|PANIC|WARNING):/, "$what: no error of any kind");
	return $node->safe_psql('postgres', 'SELECT count(*) FROM answers WHERE allowed');
}

foreach my $preload (0, 1)
{
	my $with = $preload ? 'with preload' : 'without preload';
	my $node = Reservation->node("rate_$preload",
		preload => $preload,
		conf => "autovacuum = off\nmax_prepared_transactions = 5",
		init => [ allows_streaming => 1 ],
		start => 0);
	set_clock((time + 3600) * $second);
	on_our_clock(sub { $node->start });
	my $query = sub { return $node->safe_psql('postgres', $_[0]) };
	$query->(<<'EOF');
CREATE EXTENSION reservation;
CREATE TABLE answers (allowed boolean, remaining integer);
CREATE TABLE naive (spent integer);
INSERT INTO naive VALUES (0);
EOF
	my $session = session($node, 'postgres');
	my $other = session($node, 'postgres');

	# ---- the table, and the model

	my $start = $clock;
	foreach my $row (@table)
	{
		my ($at, $cost, $answer) = @$row;
		set_clock($start + sprintf('%.0f', $at * $second));
		is(ask($session, call('table', 3, 3 * $second, $cost)),
			$answer, "$with: at $at s, cost $cost: $answer");
	}

	my @rules = (
		[ 1, 1 ], [ 1, $second ], [ 3, $second ], [ 7, $day + 1 ], [ 5, 3 ], [ 100, 60 * $second ],
		[ 2_147_483_647, 1 ], [ 2_147_483_647, 10 * $second ],
		[ 2_147_483_647, 365_250 * $day ], [ 1, 365_250 * $day ]);
	my ($calls, $allowed, @wrong) = (0, 0);
	%idle_at = ();
	while ($calls++ < 1500)
	{
		my ($burst, $period) = @{ $rules[ rand @rules ] };
		my $key = 'model ' . int(rand 2);
		my $cost = 1 + int(rand($burst > 20 ? $burst / (1 + int(rand 20)) : $burst + 1));
		my $each = $period / $burst;

		set_clock($clock + int((0, rand 5, rand(2 * $each), $each, $period)[ rand 5 ]))
		  if $period < 365_250 * $day;
		my $model = model($key, $burst, $period, $cost);
		my $answer = ask($session, call($key, $burst, $period, $cost));
		$allowed++ if $answer =~ /^t/;
		push @wrong, "$key, $burst per $period us, cost $cost, at $clock: $answer, not $model"
		  if $answer ne $model;
	}
	is(join("\n", @wrong), '', "$with: 1,500 random calls are answered as the model does");
	cmp_ok($allowed, '>', 300, "$with: some of them are allowed");
	cmp_ok($allowed, '<', 1300, "$with: some are refused");

	# ---- 64 sessions on one key, and on one pool

	my $what = "$with: 128 calls of 64 sessions";
	is(storm($node, $storm, $what), 20, "$what: as many as the burst");
	is( $query->('SELECT count(DISTINCT remaining) FROM answers WHERE allowed'),
		20, "$what: each of these is told another rest");
	set_clock($clock + 7 * $second);
	is(storm($node, $storm, "$what, after 7 s"), 7, "$what, after 7 s: seven more");

	my ($through, $tries) = (0, 0);
	$through = storm($node, $naive, "$with: control") while $through <= 20 && $tries++ < 10;
	cmp_ok($through, '>', 20, "$with: control: reading first lets more through");

	$query->(<<'EOF');
SELECT reservation.create_pool('storm', 1000, holder_rate => 1, holder_period => '1 s',
	pool_rate => 20, pool_period => '20 s');
EOF
	$what = "$with: 128 claims of 64 sessions";
	is(storm($node, $claims, $what), 20, "$what: as many as the rate");
	is($query->("SELECT count(*) FROM reservation.claims WHERE pool = 'storm'"),
		20, "$what: claims made");

	# ---- what a transaction under way means for others, and a rollback

	my $one = call('one', 3, 3 * $second, 1);
	is(ask($session, "BEGIN;\n$one"), 't|2|0|1000000', "$with: a new key, in a transaction");
	ask_later($other, $one);
	wait_until_blocked($node, $other) if !$preload;
	ask($session, 'ROLLBACK') if !$preload;
	is( answer($other), $preload ? 't|1|0|2000000' : 't|2|0|1000000',
		"$with: another call " . ($preload ? 'does not wait' : 'waits; the rollback gives back'));
	ask($session, 'ROLLBACK') if $preload;
	is(ask($session, "BEGIN;\n$one"),
		$preload ? 't|0|0|3000000' : 't|1|0|2000000', "$with: a known key, in a transaction");
	ask_later($other, $one);
	wait_until_blocked($node, $other) if !$preload;
	ask($session, 'COMMIT') if !$preload;
	is(answer($other), $preload ? 'f|0|1000000|3000000' : 't|0|0|3000000', "$with: another call");
	ask($session, 'COMMIT') if $preload;
	is(ask($session, $one), 'f|0|1000000|3000000', "$with: three in all");

	if (!$preload)
	{
		my $claim = sub {
			my ($holder, $wait, $pool) = @_;
			$pool //= 'storm';
			return "SELECT status FROM reservation.claim_next('$pool', '$holder', wait => '$wait')";
		};
		is(ask($session, $claim->('new', '0')), 'rate_limited', "$with: the pool's limit is used up");
		$query->("SELECT FROM reservation.create_pool('making', 10, holder_rate => 1, holder_period => '1 s')");
		is(ask($session, "BEGIN;\n" . $claim->('new', '0', 'making')), 'claimed', "$with: a new holder");
		is(ask($other, $claim->('new', '0', 'making')), 'busy',
			"$with: a claim waits no longer than it may for a holder's limit in the making");
		ask($session, 'ROLLBACK');
		set_clock($clock + 2 * $second);
		is(ask($session, "BEGIN;\n" . $claim->('first', '0')), 'claimed', "$with: two seconds later");
		is(ask($other, $claim->('second', '0')), 'busy',
			"$with: a claim waits no longer than it may for the pool's limit");
		ask_later($other, $claim->('second', '1 min'));
		wait_until_blocked($node, $other);
		ask($session, 'ROLLBACK');
		is(answer($other), 'claimed', "$with: but as long; what was busy has spent nothing");

		my $prepared = call('prepared', 1, $second, 1);
		ask($session, "BEGIN;\n$prepared;\nPREPARE TRANSACTION 'p'");
		ask_later($other, $prepared);
		wait_until_blocked($node, $other);
		ask($session, "ROLLBACK PREPARED 'p'");
		is(answer($other), 't|0|0|1000000', "$with: a prepared transaction has what it spent");
	}

	# ---- many keys, chosen by an attacker

	my $many = $preload ? 1_000_000 : 100_000;
	my $victim = call('victim', 5, 1000 * $day, 5);
	my $size = "SELECT coalesce(sum(size), 0) FROM pg_shmem_allocations
		WHERE name LIKE 'reservation%'";
	my $memory = 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts';
	my $flood = sub {
		my ($count, $mark) = @_;
		return ask($session, "SELECT count(*) FROM generate_series(1, $count) i,
			LATERAL reservation.rate_limit('$mark ' || i, 2, '1 min') WHERE allowed"
			=~ s/\s+/ /gr);
	};
	ask($session, $victim);
	$flood->(1000, 'warm up');
	my ($size_before, $memory_before) = ($query->($size), ask($session, $memory));
	is($flood->($many, 'flood'), $many, "$with: $many new keys: nobody is refused falsely");
	is($query->($size), $size_before, "$with: no more shared memory");
	cmp_ok(ask($session, $memory), '<', $memory_before + 1024 * 1024,
		"$with: nor memory of the session, or less than 1 MB");
	like(ask($session, $victim), qr/^f\|0\|/, "$with: a limit that was used up is not forgotten");

	if (!$preload)
	{
		# Every bucket is full of limits: live for a year, but for one that is live for an hour.
		my $kept = sub {
			return $query->("SELECT md5(string_agg(digest::text, ',' ORDER BY bucket, way))
				FROM reservation.rate WHERE way NOT IN ($_[0])");
		};
		$query->(<<'EOF');
TRUNCATE reservation.rate;
INSERT INTO reservation.rate SELECT bucket, way, gen_random_uuid(),
	clock_timestamp() + CASE way WHEN 11 THEN interval '1 hour' ELSE interval '1 year' END, 0
	FROM generate_series(0, 65535) bucket, generate_series(0, 15) way;
EOF
		my $before = $kept->('11');
		is($flood->(20_000, 'full'), 20_000, "$with: a full table refuses nobody");
		is($kept->('11'), $before, "$with: it forgets what would be idle first");
		is($query->('SELECT count(*) FROM reservation.rate'), 1_048_576, "$with: and does not grow");
		cmp_ok($query->(<<'EOF'), '>', 15_000, "$with: the new limits are there");
SELECT count(*) FROM reservation.rate
WHERE idle_at BETWEEN clock_timestamp() AND clock_timestamp() + interval '1 min';
EOF
		$query->(<<'EOF');
UPDATE reservation.rate SET idle_at = clock_timestamp() - interval '1 s' WHERE way IN (3, 4, 5);
UPDATE reservation.rate SET idle_at = clock_timestamp() + interval '1 us' WHERE way = 11;
EOF
		$before = $kept->('3, 4, 5');
		is($flood->(300, 'idle'), 300, "$with: 300 new limits where rows are idle");
		is($kept->('3, 4, 5'), $before, "$with: no live one is forgotten for them");
	}
	verify_ok($node, 'postgres', "$with: verify() finds nothing wrong");

	# ---- a restart, a crash, a failover

	my $spent = call('spent', 1, $day, 1);
	is(ask($session, $spent), "t|0|0|$day", "$with: a limit is used up");
	$session->quit;
	$other->quit;
	$node->stop;
	on_our_clock(sub { $node->start });
	like($query->($spent), $preload ? qr/^t/ : qr/^f/,
		"$with: a restart " . ($preload ? 'forgets' : 'forgets nothing'));
	like($query->($spent), qr/^f/, "$with: used up");

	$node->backup('backup');
	my $standby = PostgreSQL::Test::Cluster->new("rate_standby_$preload");
	$standby->init_from_backup($node, 'backup', has_streaming => 1);
	on_our_clock(sub { $standby->start });
	my ($code, $stdout, $stderr) = $standby->psql('postgres', $spent);
	like($stderr, qr/cannot execute rate_limit on a standby/, "$with: a standby refuses");
	verify_ok($standby, 'postgres', "$with: on a standby, verify() finds nothing wrong");
	$standby->promote;
	like($standby->safe_psql('postgres', $spent), qr/^t/, "$with: a failover forgets");
	like($standby->safe_psql('postgres', $spent), qr/^f/, "$with: and goes on");
	verify_ok($standby, 'postgres', "$with: promoted: verify() finds nothing wrong");
	$standby->stop;

	on_our_clock(sub { crash_and_restart($node) });
	like($query->($spent), qr/^t/, "$with: a crash forgets");
	like($query->($spent), qr/^f/, "$with: and goes on");
	verify_ok($node, 'postgres', "$with: after the crash: verify() finds nothing wrong");
	$node->stop;
}

# ---- what is forgotten first in shared memory: a server with one bucket

my $node = Reservation->node('rate_bucket',
	preload => 1,
	conf => 'reservation.rate_keys = 16',
	start => 0);
set_clock((time + 3600) * $second);
on_our_clock(sub { $node->start });
$node->safe_psql('postgres', 'CREATE EXTENSION reservation');

# One of N days each; "t" for every one that is allowed.
sub limits
{
	return join('',
		map { $node->safe_psql('postgres', call("limit $_", 1, $_ * $day, 1)) =~ s/\|.*//r } @_);
}
is(limits(1 .. 16), 't' x 16, 'one bucket: 16 limits, live for 1 to 16 days');
is(limits(1 .. 16), 'f' x 16, 'one bucket: all are kept');
is(limits(17), 't', 'one bucket: a new limit is not refused for want of room');
is(limits(2 .. 17), 'f' x 16, 'one bucket: the others are kept');
is(limits(1), 't', 'one bucket: the one that would have been idle first is forgotten');
is(limits(1, 3 .. 17), 'f' x 16, 'one bucket: for which the next is');
set_clock($clock + 5 * $day + 1);
is(limits(18 .. 21), 't' x 4, 'one bucket: four new limits, as four are idle: of 1, 3, 4, 5 days');
is(limits(6 .. 21), 'f' x 16, 'one bucket: no live one is forgotten for them');
verify_ok($node, 'postgres');
$node->stop;

done_testing();
