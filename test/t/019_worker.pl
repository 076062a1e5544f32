# 019_worker.pl: the background worker does its chores in every database, makes way for whoever wants
# the database or the extension, and nothing is wrong when it is killed, stopped or off.
#
# "busy" is a database in which the worker has seconds of work: 60,000 lapsed holds. Copies of it are
# made with CREATE DATABASE ... TEMPLATE; itself, it accepts no connections, so it is not visited.
#
# Control: a session that is connected, as a worker that stayed would be, makes DROP DATABASE fail.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

use Reservation;

my $node = Reservation->node('worker',
	preload => 1,
	conf => "autovacuum = off\nrestart_after_crash = on\nlog_min_messages = debug1\n"
	  . "log_line_prefix = '%m [%p] %b '\nreservation.worker_naptime = 0");
$node->safe_psql('postgres', 'CREATE DATABASE busy');
$node->safe_psql('busy', <<'EOS');
CREATE EXTENSION reservation;
SELECT reservation.create_pool('print', 60000);
SELECT count(*) FROM reservation.claim_next('print', 'late', 60000, ttl => '1 us');
EOS
$node->safe_psql('postgres', <<'EOS');
ALTER DATABASE busy ALLOW_CONNECTIONS false;
CREATE DATABASE shop;
CREATE DATABASE other;
CREATE DATABASE empty;
EOS

my $setup = <<'EOS';
CREATE EXTENSION reservation;
SELECT reservation.create_pool('print', 10), reservation.create_pool('shirt', 100, 'counted');
SELECT reservation.claim_next('print', 'ann', ttl => '1 hour');
SELECT reservation.claim_next('print', 'late', 2, ttl => '1 us', request_id => 'r');
SELECT reservation.take('shirt', 'late', 9, ttl => '1 us');
SELECT reservation.run_once('login', 'r');
INSERT INTO reservation.stock VALUES (2, 5, 0, 0), (2, 6, 0, 0);
EOS
$node->safe_psql($_, $setup) foreach ('shop', 'other');

sub naptime
{
	my ($setting) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET reservation.worker_naptime = '$setting'");
	$node->reload;
	return;
}

sub lapsed
{
	my ($dbname) = @_;
	return $node->safe_psql($dbname,
		"SELECT count(*) FROM reservation.claim WHERE state = 'lapsed'");
}

# A copy of "busy", with the worker in the middle of it; returns its process.
sub busy_copy
{
	my ($dbname) = @_;
	naptime(0);
	$node->safe_psql('postgres', "CREATE DATABASE $dbname TEMPLATE busy");
	naptime('100ms');
	return worker_in($dbname);
}

sub worker_in
{
	my ($dbname) = @_;
	my $query = "SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'reservation worker' AND datname = '$dbname' AND query ~ 'holds'";
	my $tries = 50 * $PostgreSQL::Test::Utils::timeout_default;
	my $session = session($node, 'postgres');
	my $pid = '';

	$pid = ask($session, $query) while ($pid eq '' && $tries-- > 0);
	$session->quit;
	die "no worker in $dbname" if $pid eq '';
	return $pid;
}

# Runs a command while a worker is at work; 0 to 5 s is how long it took, undef: it failed.
sub seconds
{
	my ($sql) = @_;
	my $start = Time::HiRes::time();
	my ($status, undef, $stderr) = $node->psql('postgres', $sql);

	note("$sql: $stderr") if $status != 0;
	return $status == 0 ? Time::HiRes::time() - $start : undef;
}

# ---- off, then on

is($node->safe_psql('postgres', "SELECT count(*), min(query) FROM pg_stat_activity WHERE backend_type = 'reservation launcher'"),
	'1|off: reservation.worker_naptime is 0', 'the launcher says that it is off');
is(lapsed('shop'), 0, 'so nothing has been swept');
naptime('100ms');
foreach my $dbname ('shop', 'other')
{
	ok($node->poll_query_until($dbname, "SELECT count(*) = 3 FROM reservation.claim WHERE state = 'lapsed'"),
		"$dbname: what has lapsed is swept");
	ok($node->poll_query_until($dbname, 'SELECT count(*) = 2 FROM reservation.stock WHERE pool_id = 2'),
		"$dbname: slots are put together");
	is($node->safe_psql($dbname, "SELECT available, held FROM reservation.availability('{print,shirt}')"),
		"9|1\n100|0", "$dbname: units are free again");
	verify_ok($node, $dbname);
}
like($node->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE backend_type = 'reservation launcher'"),
	qr/^databases: 4, done in: 2$/, 'the launcher says what it knows');

# ---- slots that are in use stay apart, and no visit tears down what the next buyer builds again

my $deleted = "SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'stock'";
naptime('1s');
$node->safe_psql('shop', "SELECT reservation.create_pool('hot', 1000000000, 'counted')");
my $before_sale = $node->safe_psql('shop', $deleted);
append_to_file($node->basedir . '/take.sql', "SELECT status FROM reservation.take('hot', 'bea', 1);\n");
$node->command_ok([ 'pgbench', '-n', '-c', '8', '-T', '4', '-f', $node->basedir . '/take.sql', 'shop' ],
	'a sale while the worker visits');
cmp_ok($node->safe_psql('shop', "SELECT count(*) FROM reservation.stock WHERE pool_id = 3"),
	'>', 2, 'the sale has made slots');
is($node->safe_psql('shop', $deleted), $before_sale, 'and none of them was put together');
ok($node->poll_query_until('shop', 'SELECT count(*) = 2 FROM reservation.stock WHERE pool_id = 3'),
	'until it was over');
naptime('100ms');

# ---- nothing to do: nothing is written

my $xid = 'SELECT pg_snapshot_xmax(pg_current_snapshot())';
my $before = $node->safe_psql('shop', $xid);
wait_for_visits($node, 'shop', 5);
is($node->safe_psql('shop', $xid), $before, 'visits that find nothing to do take no transaction id');
cmp_ok(worker_visits($node, 'empty'), '<', worker_visits($node, 'shop'), 'a database without the extension is visited less often');

# ---- a waiting line is served, though nobody calls

$node->safe_psql('shop', <<'EOS');
SELECT reservation.create_pool('last', 1);
SELECT FROM reservation.claim_next('last', 'late', ttl => '1 hour');
SELECT FROM reservation.join_line('last', 'bea');
UPDATE reservation.claim SET expires_at = now() WHERE holder = 'late' AND state = 'held';
EOS
ok($node->poll_query_until('shop', "SELECT state = 'offered' FROM reservation.tickets WHERE pool = 'last'"),
	'a lapsed unit is offered to who waits');
is($node->safe_psql('shop', "SELECT holder FROM reservation.holds WHERE pool = 'last'"), 'bea', 'as a hold');
verify_ok($node, 'shop');

# ---- retention

my $repeat = "SELECT DISTINCT replayed FROM reservation.claim_next('print', 'late', 2, ttl => '1 us', request_id => 'r')";
is($node->safe_psql('shop', $repeat), 't', 'within the retention, a call is repeated');
$node->safe_psql('postgres', "ALTER DATABASE shop SET reservation.request_retention = '1s'");
ok($node->poll_query_until('shop', "SELECT count(*) = 0 FROM reservation.request"), 'old answers are forgotten');
ok($node->poll_query_until('shop', "SELECT count(*) = 0 FROM reservation.operation"), 'those of run_once too');
is($node->safe_psql('shop', $repeat), 'f', 'and the call is a new one');
is($node->safe_psql('shop', $repeat), 't', 'which is repeated in its turn');
is($node->safe_psql('other', $repeat), 't', 'where the retention is long, nothing is forgotten');
$node->safe_psql('postgres', 'ALTER DATABASE shop RESET reservation.request_retention');

# ---- a dump that is being restored, table by table: claims before their pools, pools before their stock

naptime(0);
$node->safe_psql('postgres', 'CREATE DATABASE half');
$node->safe_psql('half', "CREATE EXTENSION reservation; CREATE SCHEMA dump");
$node->safe_psql('half', <<'EOS');
SELECT reservation.create_pool('print', 3), reservation.create_pool('shirt', 10, 'counted');
SELECT reservation.claim_next('print', 'late', 2, ttl => '1 us'), reservation.take('shirt', 'late', 4, ttl => '1 us');
CREATE TABLE dump.available AS TABLE reservation.available;
CREATE TABLE dump.claim AS TABLE reservation.claim;
CREATE TABLE dump.pool AS TABLE reservation.pool;
CREATE TABLE dump.stock AS TABLE reservation.stock;
TRUNCATE reservation.available, reservation.claim, reservation.pool, reservation.stock;
EOS
naptime('100ms');
foreach my $table ('claim', 'pool', 'stock', 'available')
{
	wait_for_visits($node, 'half', 3);
	is($node->safe_psql('half', "INSERT INTO reservation.$table TABLE dump.$table"), '', "$table is restored");
}
ok($node->poll_query_until('half', "SELECT count(*) = 3 FROM reservation.claim WHERE state = 'lapsed'"),
	'then the worker does its chores');
is($node->safe_psql('half', "SELECT available, held FROM reservation.availability('{print,shirt}')"), "3|0\n10|0", 'all is free');
verify_ok($node, 'half');
$node->safe_psql('postgres', 'DROP DATABASE half');

# ---- who wants the database

busy_copy('copy1');
my $took = seconds('DROP DATABASE copy1');
ok(defined $took && $took < 4, 'DROP DATABASE');
busy_copy('copy1');
$took = seconds('CREATE DATABASE copy2 TEMPLATE copy1');
ok(defined $took, 'CREATE DATABASE ... TEMPLATE');
worker_in('copy1');
$took = seconds('ALTER DATABASE copy1 RENAME TO copy3');
ok(defined $took && $took < 4, 'ALTER DATABASE ... RENAME');
worker_in('copy3');
ok(defined seconds('DROP DATABASE copy3 WITH (FORCE)'), 'DROP DATABASE ... WITH (FORCE)');
my $guest = session($node, 'copy2');
is(seconds('DROP DATABASE copy2'), undef, 'control: with a session connected, DROP DATABASE fails');
$guest->quit;

# ---- who wants the extension

worker_in('copy2');
is($node->safe_psql('copy2', <<'EOS'), '', 'ALTER EXTENSION');
CREATE TABLE mine (i integer);
ALTER EXTENSION reservation ADD TABLE mine;
ALTER EXTENSION reservation DROP TABLE mine;
EOS
worker_in('copy2');
my $owner = session($node, 'copy2');
ask($owner, "SET lock_timeout = '4s'");
is(ask($owner, 'BEGIN; DROP EXTENSION reservation CASCADE'), '', 'DROP EXTENSION, while the worker is at work');
wait_for_visits($node, 'shop', 3);
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'copy2' AND wait_event_type = 'Lock'"),
	0, 'as long as that takes, no worker waits for it');
ask($owner, 'ROLLBACK');
worker_in('copy2');
$owner->quit;
ok(defined seconds('DROP DATABASE copy2'), 'nobody is left there');
unlike(slurp_file($node->logfile), qr/ reservation worker ERROR:/, 'and nothing of this was an error');

# ---- a database that fails stops no other

$node->safe_psql('other', 'ALTER TABLE reservation.claim ADD COLUMN odd integer');
$node->safe_psql('shop', "SELECT reservation.claim_next('print', 'late', ttl => '1 us')");
my ($shop, $other) = (worker_visits($node, 'shop'), worker_visits($node, 'other'));
ok($node->poll_query_until('shop', "SELECT count(*) = 0 FROM reservation.holds WHERE state = 'lapsed'"),
	'the others are swept');
wait_for_visits($node, 'shop', 12);
cmp_ok(worker_visits($node, 'other') - $other, '<', (worker_visits($node, 'shop') - $shop) / 2, 'and it is tried less and less often');
like(slurp_file($node->logfile), qr/ reservation worker ERROR:  table "reservation.claim" is not as this version/, 'the log says why');
$node->safe_psql('other', 'ALTER TABLE reservation.claim DROP COLUMN odd');

# ---- ended from outside

my $pid = busy_copy('copy4');
is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)"), 't', 'a worker is terminated');
verify_ok($node, 'copy4', 'which left no batch half done');
isnt(worker_in('copy4'), $pid, 'another goes on');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'reservation launcher'");
ok( $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'reservation launcher'"),
	'the launcher comes back after it was terminated');
$pid = worker_in('copy4');
kill 'KILL', $pid;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid")
  or die 'the server did not come back';
verify_ok($node, 'copy4', 'a worker is killed: the server recovers, and nothing is wrong');
ok( $node->poll_query_until('copy4', "SELECT count(*) = 60000 FROM reservation.claim WHERE state = 'lapsed'"),
	'the worker comes back and finishes');
verify_ok($node, 'copy4');
is($node->safe_psql('copy4', "SELECT available, held FROM reservation.availability('{print}')"), '60000|0', 'all is free');

# ---- shutdown

busy_copy('copy5');
my $start = Time::HiRes::time();
$node->stop('fast');
cmp_ok(Time::HiRes::time() - $start, '<', 20, 'a fast shutdown does not wait for the worker to finish');
$node->start;
verify_ok($node, 'copy5');
is($node->safe_psql('copy5', "SELECT count(*) < 60000 FROM reservation.claim WHERE state = 'lapsed'"), 't', 'which it had not');
naptime(0);
$node->stop;

# ---- a standby

my $primary = Reservation->node('primary',
	preload => 1,
	init => [ allows_streaming => 1 ],
	conf => 'reservation.worker_naptime = 0');
$primary->safe_psql('postgres', $setup);
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "reservation.worker_naptime = '100ms'");
$standby->start;
$primary->wait_for_catchup($standby, 'replay');
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'reservation'"),
	0, 'on a standby, nothing of it runs');
$standby->promote;
ok($standby->poll_query_until('postgres', "SELECT count(*) = 3 FROM reservation.claim WHERE state = 'lapsed'"),
	'promoted: it does its chores');
verify_ok($standby, 'postgres');
$standby->stop;
$primary->stop;

done_testing();
