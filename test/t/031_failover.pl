# 031_failover.pl: clients claim while the primary is killed and its synchronous standby is promoted.
# Every call that was acknowledged is on the new primary, nothing is there twice, and no number comes
# again. Then clients that were cut off repeat their last call there, and get the first answer.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $clients = 12;
my $calls = 4000;

my $primary = Reservation->node('primary',
	preload => 1,
	init => [ allows_streaming => 1 ],
	conf => 'hot_standby_feedback = on');
$primary->safe_psql('postgres', <<'EOF');
CREATE EXTENSION reservation;
SELECT reservation.create_pool('print', 60000, hold_ttl => '1 day'), reservation.create_pool('open', hold_ttl => '1 day'),
	reservation.create_pool('stock', 100000, 'counted', hold_ttl => '1 day'),
	reservation.create_pool('account', 100000, 'counted');
CREATE TABLE member (id text PRIMARY KEY, number integer, founder boolean);
SELECT reservation.create_pool('founders', 50000);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON member
	FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('founders', 'number', 'founder');
EOF
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'\nsynchronous_commit = remote_apply");
$primary->reload;
$primary->poll_query_until('postgres', "SELECT sync_state = 'sync' FROM pg_stat_replication")
  or die 'the standby is not synchronous';

# ---- a storm, in which the primary dies

my $folder = PostgreSQL::Test::Utils::tempdir();
my @buyers;
foreach my $client (1 .. $clients)
{
	append_to_file("$folder/$client.sql", join '', map { <<"EOF" } 1 .. $calls);
SELECT 'print', claim_id, number, 'c$client r$_' FROM reservation.claim_next('print', 'c$client', request_id => 'c$client r$_') \\g
SELECT 'open', claim_id, number, 'c$client r$_' FROM reservation.claim_next('open', 'c$client', request_id => 'c$client r$_') \\g
SELECT 'stock', claim_id, 2, 'c$client r$_' FROM reservation.take('stock', 'c$client', 2, request_id => 'c$client r$_') \\g
SELECT 'account', claim_id, 3, 'c$client r$_' FROM reservation.charge('account', 3, 'c$client r$_') \\g
INSERT INTO member VALUES ('c$client r$_') RETURNING 'founders', '', number, id \\g
SELECT 'order', order_id, order_number, 'o$client r$_' FROM reservation.checkout('o$client r$_', 'o$client', '[{"pool": "stock"}]') c,
	reservation.finalize_checkout(c.checkout_id) \\g
EOF
	push @buyers, IPC::Run::start(
		[ 'psql', '-XAtq', '--set=ON_ERROR_STOP=1', '--dbname=' . $primary->connstr('postgres'),
			"--file=$folder/$client.sql" ],
		'<', \undef, '>', "$folder/$client.out", '2>', "$folder/$client.err");
}
$primary->poll_query_until('postgres', 'SELECT count(*) > 1500 FROM reservation.claim')
  or die 'the storm does not get going';
my @processes = split /\n/,
  $primary->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
$primary->kill9;
kill 'KILL', @processes;
$_->finish foreach @buyers;
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'no promotion';

# ---- what the clients were told, and what is there

my @told = map { split /\n/, slurp_file("$folder/$_.out") } 1 .. $clients;
$standby->safe_psql('postgres', join("\n",
	'CREATE TABLE told (pool text, id text, number bigint, request text);', 'COPY told FROM STDIN;',
	(map { tr/|/\t/r } @told), '\.', ''));
cmp_ok(scalar(@told), '>', 1000, scalar(@told) . ' calls were acknowledged');

my $missing = <<'EOF';
SELECT count(*) FROM told t WHERE pool IN ('print', 'open', 'stock', 'account') AND NOT EXISTS
		(SELECT FROM reservation.claims c WHERE c.claim_id::text = t.id AND c.pool = t.pool
			AND coalesce(c.number, c.quantity) = t.number)
	OR pool = 'founders' AND NOT EXISTS (SELECT FROM member m WHERE (m.id, m.number) = (t.request, t.number))
	OR pool = 'order' AND NOT EXISTS (SELECT FROM reservation.checkouts o
		WHERE (o.order_id::text, o.order_number, o.request_id) = (t.id, t.number, t.request))
EOF
my $twice = <<'EOF';
SELECT pool, number FROM reservation.claims WHERE number IS NOT NULL AND state IN ('held', 'finalized')
	GROUP BY pool, number HAVING count(*) > 1
UNION ALL SELECT 'founders', number FROM member GROUP BY number HAVING count(*) > 1
UNION ALL SELECT request_id, 0 FROM (SELECT request_id, pool_id FROM reservation.claim
	WHERE request_id IS NOT NULL GROUP BY request_id, pool_id HAVING count(*) > 1) r
EOF
my $unacknowledged = <<'EOF';
SELECT count(*) FROM reservation.claims c WHERE holder LIKE 'c%' AND request_id IS NOT NULL
	AND NOT EXISTS (SELECT FROM told t WHERE t.id = c.claim_id::text)
EOF
is($standby->safe_psql('postgres', $missing), 0, 'each of them is on the standby that was promoted');
is($standby->safe_psql('postgres', $twice), '', 'nothing is there twice');
cmp_ok($standby->safe_psql('postgres', $unacknowledged),
	'<=', $clients, 'at most the last call of each client is there without being acknowledged');
verify_ok($standby, 'postgres', 'promoted: verify() finds nothing wrong');

# ---- on

my $highest = $standby->safe_psql('postgres', "SELECT max(number) FROM reservation.claims WHERE pool = 'open'");
my $new = pgbench_run($standby, 'postgres', <<'EOF', clients => 8, jobs => 2, transactions => 50);
SELECT FROM reservation.claim_next('open', 'after');
SELECT FROM reservation.claim_next('print', 'after');
EOF
is($new->{exit}, 0, 'promoted: clients claim on') or diag($new->{stderr});
is($standby->safe_psql('postgres', $twice), '', 'promoted: no number comes again');
cmp_ok(
	$standby->safe_psql('postgres',
		"SELECT max(number) FROM reservation.claims WHERE pool = 'open' AND holder = 'after'"),
	'>', $highest, 'promoted: the open edition goes on above what was given out');
is( $standby->safe_psql('postgres', <<'EOF'),
SELECT count(*), count(*) FILTER (WHERE c.claim_id::text = t.id AND c.replayed) FROM told t,
	LATERAL (SELECT * FROM reservation.claim_next('print', left(t.request, strpos(t.request, ' ') - 1),
		request_id => t.request)) c
WHERE t.pool = 'print'
EOF
	join('|', (scalar grep { /^print/ } @told) x 2), 'promoted: every call that is repeated gets its first answer');
verify_ok($standby, 'postgres', 'promoted: verify() finds nothing wrong at the end');

# Control: a claim that did not make it over would be seen.
$standby->safe_psql('postgres', "INSERT INTO told VALUES ('print', gen_random_uuid(), 1, 'none')");
is($standby->safe_psql('postgres', $missing), 1, 'control: a call that is missing is seen');
$standby->stop;

done_testing();
