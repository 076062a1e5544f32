# 018_watch.pl: what an operator sees of transactions that keep units: prepared ones, before and
# after a restart, and a slot that holds back VACUUM; the dashboard shows a pool.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $node = Reservation->node('watch',
	preload => 1,
	init => [ allows_streaming => 1 ],
	conf => "max_prepared_transactions = 10\nreservation.claim_wait = 0");
$node->safe_psql('postgres', <<'EOS');
CREATE EXTENSION reservation;
CREATE ROLE watcher LOGIN;
GRANT pg_monitor TO watcher;
SELECT reservation.create_pool('print', 100), reservation.create_pool('shirt', 50, 'counted');
SELECT reservation.claim_next('print', 'ann', 3);
EOS

sub watch
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql, extra_params => [ '--username' => 'watcher' ]);
}
my $stuck = 'SELECT kind, name FROM reservation.stuck ORDER BY kind, name';
my $holds = "SELECT pool, state, prepared FROM reservation.holds WHERE state = 'unfinished'";

is(watch($stuck), '', 'nothing is stuck');
$node->safe_psql('postgres', <<'EOS');
CREATE TABLE unrelated (i integer);
BEGIN;
SELECT reservation.take('shirt', 'bob', 2);
PREPARE TRANSACTION 'ours';
BEGIN;
INSERT INTO unrelated VALUES (1);
PREPARE TRANSACTION 'unrelated';
EOS
is(watch($stuck), 'prepared transaction|ours', 'a prepared transaction that keeps stock of ours, and no other');
is(watch($holds), 'shirt|unfinished|ours', 'its hold is seen, with the name of the transaction');
$node->restart;
is(watch($stuck), 'prepared transaction|ours', 'after a restart, too');
is(watch($holds), 'shirt|unfinished|ours', 'and its hold');

# ---- a transaction that is idle with a unit of ours, seen from a role that is not its own

my $session = session($node, 'postgres');
my $pid = $session->{backend_pid};
ask($session, "BEGIN; SELECT FROM reservation.claim_next('print', 'cid')");
is(watch("SELECT kind, pid = $pid FROM reservation.stuck WHERE pid IS NOT NULL"),
	'idle in transaction|t', 'who is idle in a transaction');
is(watch("SELECT state, pid = $pid, holder FROM reservation.holds WHERE number = 4"),
	'unfinished|t|', 'and what it holds, but not for whom');
ask($session, 'SELECT 1/0');
is(watch("SELECT kind FROM reservation.stuck WHERE pid = $pid"),
	'', 'an aborted one has given back what it had');
ask($session, 'ROLLBACK');
ask($session, 'BEGIN; INSERT INTO unrelated VALUES (2)');
is(watch("SELECT kind FROM reservation.stuck WHERE pid = $pid"), '', 'idle with rows that are not ours');
ask($session, 'COMMIT');
$session->quit;

# ---- a slot whose standby is away

$node->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('away', true)");
my $standby = PostgreSQL::Test::Cluster->new('standby');
$node->backup('backup');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf',
	"primary_slot_name = 'away'\nhot_standby_feedback = on\nwal_receiver_status_interval = 1s");
$standby->start;
$node->poll_query_until('postgres', "SELECT xmin IS NOT NULL FROM pg_replication_slots")
  or die 'the standby gave no feedback';
$standby->stop('immediate');
$node->safe_psql('postgres', <<'EOS');
DO $$ BEGIN FOR i IN 0 .. 1000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$
EOS
is(watch("SELECT name FROM reservation.stuck WHERE kind = 'old snapshot' ORDER BY name"),
	"away\nours\nunrelated", 'what holds VACUUM back: a slot, and prepared transactions, whatever they are about');
$node->safe_psql('postgres', <<'EOS');
SELECT pg_drop_replication_slot('away');
COMMIT PREPARED 'ours';
ROLLBACK PREPARED 'unrelated';
EOS
is(watch($stuck), '', 'all of it resolved');
is(watch('SELECT slots, claims FROM reservation.stats WHERE pool = \'shirt\''), '', 'counters began anew');
$node->safe_psql('postgres', "SELECT FROM reservation.take('shirt', 'dan')");
is(watch('SELECT slots, claims FROM reservation.stats WHERE pool = \'shirt\''), '2|1', 'slots and claims');

# ---- the dashboard

my @top = ('psql', '--no-psqlrc', '--username', 'watcher', '--dbname', $node->connstr('postgres'),
	'--file', 'monitor/top.psql');
my ($stdout, $stderr);
IPC::Run::run([ @top, '--variable', 'once=1' ], '>', \$stdout, '2>', \$stderr);
is($stderr, '', 'top.psql: no error');
like($stdout, qr/ shirt .*on_sale .* 50 .* 47 .* 3 .* 0 .* 1 /, 'it shows a pool');
like($stdout, qr/ stuck /, 'and what is stuck');
unlike($stdout, qr/ann|bob/, 'and no names');

# \watch looks again: the second look, a second later, sees what was claimed after the first
($stdout, $stderr) = ('', '');
my $timer = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default);
my $top = IPC::Run::start([ @top, '--variable', 'every=1' ], '>', \$stdout, '2>', \$stderr, $timer);
$top->pump until $stdout =~ / shirt .* 47 /;
$node->safe_psql('postgres', "SELECT FROM reservation.take('shirt', 'eve', 10)");
$top->pump until $stdout =~ / shirt .* 37 /;
$top->kill_kill;
is($stderr, '', '\watch makes it a dashboard');

verify_ok($node, 'postgres');
$node->stop;

done_testing();
