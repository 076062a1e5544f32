# 007_memory.pl: a million calls in one session do not make it grow: by less than 1 MB.
#
# Control: a session that prepares statements and never lets go of them, which the same yardstick
# has to notice.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $limit = 1024 * 1024;
my $allocated = 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts';

my $node = Reservation->node('memory',
	preload => 1,
	conf => "synchronous_commit = off\nautovacuum_naptime = 1s\nmax_wal_size = 4GB");
$node->safe_psql('postgres', <<'EOF');
CREATE EXTENSION reservation;
SELECT reservation.create_pool('cycle', 20), reservation.create_pool('sold out', 1),
	reservation.create_pool('limited', 10, per_holder => 2), reservation.create_pool('open'),
	reservation.create_pool('labelled', 1), reservation.create_pool('paused', 1),
	reservation.create_pool('lapsing', 1);
SELECT reservation.add_units('labelled', labels => '{A,B}');
SELECT reservation.alter_pool('paused', paused => true);
SELECT reservation.claim_next('sold out', 'first');
SELECT reservation.claim_next('limited', 'full', 2);
SELECT reservation.claim_next('cycle', 'replay', 2, request_id => 'replay');

-- 101 calls, of every kind there is.
CREATE PROCEDURE calls() LANGUAGE plpgsql AS $$
DECLARE
	id uuid;
	n integer;
BEGIN
	FOR i IN 1 .. 5 LOOP
		SELECT claim_id INTO id FROM reservation.claim_next('cycle', 'a', ttl => '1 minute');
		PERFORM reservation.extend(id, '2 minutes');
		PERFORM reservation.release(id);
		PERFORM reservation.release(id);
	END LOOP;
	FOR i IN 1 .. 2 LOOP
		SELECT claim_id INTO id FROM reservation.claim_unit('labelled', 2, 'a', ttl => '1 minute');
		PERFORM reservation.finalize(id);
		PERFORM reservation.finalize(id);
		PERFORM reservation.refund(id);
	END LOOP;
	-- several units, refused because not all are there: taken and given back
	PERFORM reservation.claim_next('cycle', 'a', 100);
	PERFORM count(*)
		FROM reservation.claim_next('cycle', 'a', 10) c, reservation.release(c.claim_id);
	PERFORM reservation.claim_next('lapsing', 'a', ttl => '1 us');
	-- a savepoint that rolls back
	BEGIN
		PERFORM reservation.claim_next('cycle', 'a', request_id => 'rolled back');
		RAISE EXCEPTION 'never mind';
	EXCEPTION WHEN raise_exception THEN
	END;
	PERFORM count(*) FROM generate_series(1, 10) i,
		reservation.claim_next('sold out', 'b' || i, wait => '0');
	PERFORM count(*) FROM generate_series(1, 10) i,
		reservation.claim_next('cycle', 'replay', 2, request_id => 'replay');
	FOR i IN 1 .. 12 LOOP
		PERFORM reservation.claim_next('limited', 'full', 2);
		PERFORM reservation.claim_next('limited', 'full');
		PERFORM reservation.claim_next('paused', 'a');
	END LOOP;
	-- a request id of its own
	SELECT claim_id INTO id
		FROM reservation.claim_next('open', 'a', request_id => gen_random_uuid()::text);
	PERFORM reservation.release(id);
	PERFORM reservation.availability('{cycle,sold out}');
END
$$;
EOF

# Resident memory of a process that is its own, not the shared buffers.
sub resident
{
	my ($pid) = @_;
	my ($kb) = eval { slurp_file("/proc/$pid/status") } =~ /^RssAnon:\s+(\d+) kB/m;
	return defined $kb ? 1024 * $kb : undef;
}

# Growth of a session while it runs this ten times so many times, after a few times for its caches
# to fill. Errors fail the test.
sub growth
{
	my ($session, $what, $warm_up, $times, $sql) = @_;
	my $pid = $session->{backend_pid};

	ask($session, $sql =~ s/TIMES/$warm_up/gr);
	my ($before, $resident_before) = (ask($session, $allocated), resident($pid));
	my $errors = join('', map { ask($session, $sql =~ s/TIMES/$times/gr =~ s/PART/$_/gr) } 1 .. 10);
	my ($after, $resident_after) = (ask($session, $allocated), resident($pid));

	is($errors, '', "$what: no error");
	note("$what: allocated $before, then $after bytes");
	note("$what: resident $resident_before, then $resident_after bytes") if defined $resident_after;
	return $after - $before;
}

my $session = session($node, 'postgres');
cmp_ok(
	growth($session, 'a million calls', 1000, 1000, <<'EOF'),
DO $$ BEGIN FOR i IN 1 .. TIMES LOOP CALL calls(); COMMIT; END LOOP; END $$
EOF
	'<', $limit, 'a million calls in 10,000 transactions: less than 1 MB');

# What changes nothing keeps nothing even until the end of the transaction.
ask($session, 'BEGIN');
cmp_ok(
	growth($session, '300,000 calls in one transaction', 1000, 10_000, <<'EOF'),
DO $$
BEGIN
	FOR i IN 1 .. TIMES LOOP
		PERFORM reservation.claim_next('sold out', 'b', wait => '0');
		PERFORM reservation.claim_next('limited', 'full', 2);
		PERFORM reservation.claim_next('cycle', 'replay', 2, request_id => 'replay');
	END LOOP;
END
$$
EOF
	'<', $limit, '300,000 refusals and replays in one transaction: less than 1 MB');
ask($session, 'COMMIT');

cmp_ok(
	growth($session, 'control', 10, 300, <<'EOF'),
DO $$
BEGIN
	FOR i IN 1 .. TIMES LOOP
		EXECUTE format('PREPARE p%s_PART AS SELECT 1', i);
	END LOOP;
END
$$
EOF
	'>', $limit, 'control: a session that keeps 3,000 statements has grown by more');

# ---- one call at its largest, by what is in memory meanwhile

# How much larger a session was than before, at the most, while it ran this.
sub peak
{
	my ($session, $sql) = @_;
	my $pid = $session->{backend_pid};
	my $most = my $before = resident($pid);

	ask_later($session, "$sql; SELECT pg_notify('done', ''), pg_sleep(0.2)");
	for (1 .. 3000)
	{
		my $now = resident($pid);
		$most = $now if $now > $most;
		last if $node->safe_psql('postgres', "SELECT query ~ 'pg_notify' AND wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid") eq 't';
	}
	answer($session);
	return $most - $before;
}

SKIP:
{
	skip 'no /proc here', 3 unless defined resident($session->{backend_pid});
	$node->safe_psql('postgres', <<'EOF');
SELECT reservation.create_pool('lapsed', 10000);
SELECT FROM reservation.claim_next('lapsed', repeat('ann ', 50), 10000, ttl => '1 microsecond');
SELECT reservation.create_pool('late', 600, per_holder => 600);
CREATE TABLE late AS SELECT checkout_id FROM reservation.checkout('late', repeat('ann ', 50), '[{"pool": "late", "quantity": 600}]', '1 microsecond');
EOF
	my @sweepers = map { session($node, 'postgres') } 1 .. 2;
	ask($_, 'BEGIN; SELECT FROM reservation.sweep(5000)') for @sweepers;
	cmp_ok(
		peak($session, "SELECT status FROM reservation.claim_next('lapsed', 'bob', wait => '2 s')"),
		'<', 10 * $limit, 'a call that looks again and again at 10,000 holds in the hands of others: less than 10 MB');
	ask($_, 'ROLLBACK') for @sweepers;
	$_->quit for @sweepers;
	cmp_ok(
		peak($session, 'SELECT f.status FROM late, reservation.finalize_checkout(checkout_id) f'),
		'<', 30 * $limit, 'a late checkout of 600 units of a limited pool: less than 30 MB');
	cmp_ok(peak($session, "SELECT sum(length(repeat('x', 60000000 + i))) FROM generate_series(1, 3) i"),
		'>', 30 * $limit, 'control: a call that needs 60 MB');
}

$session->quit;
verify_ok($node, 'postgres');
$node->stop;

done_testing();
