# 015_triggers.pl: the other triggers under many hands, each beside the naive way, which must fail;
# definitions that nobody could check when they were made; a restored table; an apply worker.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $folder = PostgreSQL::Test::Utils::tempdir();
my $node = Reservation->node('triggers',
	init => [ allows_streaming => 'logical' ],
	conf => "reservation.claim_wait = '60s'");
my $sql = sub { return $node->safe_psql('postgres', $_[0]) };
my $code = sub {
	my (undef, undef, $stderr) = $node->psql('postgres', $_[0],
		extra_params => [ '--variable' => 'VERBOSITY=sqlstate' ]);
	return $stderr =~ /ERROR:  (\w{5})/ ? $1 : '';
};
$sql->('CREATE EXTENSION reservation');

# ---- a session that has not loaded the library makes any definition; its first use is refused

$sql->(<<'EOF');
CREATE TABLE item (id integer PRIMARY KEY, name text, version integer NOT NULL DEFAULT 1,
	number integer);
INSERT INTO item VALUES (1);
EOF
foreach my $case (
	[ '39P01', 'BEFORE INSERT OR UPDATE', "check_version('version')" ],
	[ '22023', 'BEFORE UPDATE', 'check_version()' ],
	[ '42703', 'BEFORE UPDATE', "check_version('versions')" ],
	[ '42809', 'BEFORE UPDATE', "check_version('name')" ],
	[ '39P01', 'BEFORE UPDATE', "assign_number('x', 'number')" ],
	[ '39P01', 'AFTER UPDATE', "finalize_once('name')" ])
{
	my ($expected, $events, $call) = @$case;
	my $make = "CREATE TRIGGER t $events ON item FOR EACH ROW EXECUTE FUNCTION reservation.$call";

	is($code->($make), '', "$call $events: made by a session without the library");
	is($code->("UPDATE item SET name = 'x'"), $expected, 'its first use is refused');
	$sql->('DROP TRIGGER t ON item');
	is($code->("LOAD 'reservation';\n$make"), $expected, 'a session with the library refuses to make it');
}

# ---- 50 at once: one turns the flag

$sql->(<<'EOF');
CREATE TABLE bill (id integer PRIMARY KEY, paid boolean NOT NULL DEFAULT false, paid_at timestamptz);
CREATE TRIGGER paid BEFORE UPDATE ON bill FOR EACH ROW
	EXECUTE FUNCTION reservation.finalize_once('paid', 'paid_at');
CREATE TABLE naive_bill (id integer PRIMARY KEY, paid boolean NOT NULL DEFAULT false);
CREATE TABLE parcel (bill text);
EOF
my $pay = GATE . <<'EOF';
WITH won AS (UPDATE bill SET paid = true WHERE id = 1 RETURNING id)
INSERT INTO parcel SELECT 'bill' FROM won;
EOF
my $naive_pay = GATE . <<'EOF';
SELECT (NOT paid)::integer AS due FROM naive_bill WHERE id = 1 \gset
\if :due
UPDATE naive_bill SET paid = true WHERE id = 1;
INSERT INTO parcel VALUES ('naive');
\endif
EOF
my ($parcels, $tries) = (0, 0);
foreach my $round (1 .. 5)
{
	$sql->('TRUNCATE bill, parcel; INSERT INTO bill VALUES (1)');
	gate($node, 'postgres', 50);
	my $run = pgbench_run($node, 'postgres', $pay, clients => 50);
	is($run->{processed}, 50, "round $round: 50 answers") or diag($run->{stderr});
	is($sql->('SELECT count(*) FROM parcel'), 1, "round $round: one parcel");
}
while ($parcels < 2 && $tries++ < 10)
{
	$sql->('TRUNCATE naive_bill, parcel; INSERT INTO naive_bill VALUES (1)');
	gate($node, 'postgres', 50);
	pgbench_run($node, 'postgres', $naive_pay, clients => 50);
	$parcels = $sql->('SELECT count(*) FROM parcel');
}
cmp_ok($parcels, '>', 1, 'control: to look first ships more than one');

# ---- lines in opposite order: no deadlock

$sql->(<<'EOF');
SELECT FROM reservation.create_pool('left', 1, 'counted');
SELECT FROM reservation.create_pool('right', 1, 'counted');
CREATE TABLE line (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text, quantity integer);
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON line FOR EACH ROW
	EXECUTE FUNCTION reservation.take_stock('item', 'quantity');
CREATE TABLE naive_stock (item text PRIMARY KEY, quantity integer CHECK (quantity >= 0));
INSERT INTO naive_stock VALUES ('left', 1000000), ('right', 1000000);
CREATE TABLE naive_line (LIKE line INCLUDING ALL);
CREATE FUNCTION naive_take() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE naive_stock SET quantity = quantity - NEW.quantity WHERE item = NEW.item;
	RETURN NULL;
END
$$;
CREATE TRIGGER stock AFTER INSERT ON naive_line FOR EACH ROW EXECUTE FUNCTION naive_take();
EOF
my $lines = <<'EOF';
\set way random(0, 1)
BEGIN;
\if :way
INSERT INTO :table (item, quantity) VALUES ('left', 1), ('right', 1);
\else
INSERT INTO :table (item, quantity) VALUES ('right', 1), ('left', 1);
\endif
DELETE FROM :table WHERE id IN (SELECT id FROM :table FOR UPDATE SKIP LOCKED);
COMMIT;
EOF
my $run = pgbench_run($node, 'postgres', $lines,
	clients => 20,
	transactions => 25,
	args => ['--define=table=line']);
is($run->{processed}, 500, 'lines in opposite order: every statement succeeds')
  or diag($run->{stderr});
is($sql->("SELECT sum(available) FROM reservation.availability('{left,right}')"),
	2, 'and everything is back');
verify_ok($node, 'postgres', 'lines: verify() finds nothing wrong');
my $deadlock = 0;
for (my $try = 1; $try <= 10 && !$deadlock; $try++)
{
	my $log_start = -s $node->logfile;
	pgbench_run($node, 'postgres', $lines,
		clients => 20,
		transactions => 2,
		args => ['--define=table=naive_line']);
	$deadlock = slurp_file($node->logfile, $log_start) =~ /deadlock detected/;
}
ok($deadlock, 'control: a trigger that takes line by line deadlocks');

# ---- a job fails, says everybody at once: one refund

$sql->(<<'EOF');
SELECT FROM reservation.create_pool('account', 100, 'counted');
CREATE TABLE job (id integer PRIMARY KEY, account text, cost integer, status text);
CREATE TRIGGER charge AFTER INSERT OR UPDATE ON job FOR EACH ROW
	EXECUTE FUNCTION reservation.charge_credit('account', 'cost', 'status', 'failed');
INSERT INTO job VALUES (1, 'account', 7, 'queued'), (2, 'account', 5, 'queued');
EOF
gate($node, 'postgres', 50);
$run = pgbench_run($node, 'postgres', GATE . <<'EOF', clients => 50, transactions => 2);
\set fate random(0, 1)
\if :fate
UPDATE job SET status = 'failed' WHERE id = 1;
\else
UPDATE job SET status = 'completed' WHERE id = 1;
UPDATE job SET status = 'failed' WHERE id = 1;
\endif
EOF
is($run->{processed}, 100, 'failed, completed, failed: every update succeeds')
  or diag($run->{stderr});
is($sql->("SELECT available FROM reservation.availability('{account}')"),
	95, 'one job is refunded, once');
$sql->(<<'EOF');
CREATE TABLE jobs (LIKE job INCLUDING ALL);
CREATE TRIGGER charge AFTER INSERT OR UPDATE ON jobs FOR EACH ROW
	EXECUTE FUNCTION reservation.charge_credit('account', 'cost', 'status', 'failed');
EOF
gate($node, 'postgres', 50);
$run = pgbench_run($node, 'postgres', GATE . <<'EOF', clients => 50, transactions => 4);
DO $$ BEGIN INSERT INTO jobs VALUES (txid_current() % 2000000000, 'account', 1, 'queued'); EXCEPTION WHEN SQLSTATE 'RS006' THEN NULL; END $$;
EOF
is($run->{processed}, 200, '200 jobs for 95 credits: every call is answered')
  or diag($run->{stderr});
is($sql->('SELECT count(*) FROM jobs'), 95, '95 jobs were taken on');
verify_ok($node, 'postgres', 'jobs: verify() finds nothing wrong');

# ---- a crash in the middle of lines and jobs, twice, and then they go on

$sql->(<<'EOF');
SELECT FROM generate_series(1, 3) n, reservation.create_pool('crash ' || n, 1000000, 'counted');
CREATE TABLE crash_line (LIKE line INCLUDING ALL);
CREATE TRIGGER stock AFTER INSERT OR UPDATE OR DELETE ON crash_line FOR EACH ROW
	EXECUTE FUNCTION reservation.take_stock('item', 'quantity');
CREATE TABLE crash_job (LIKE line INCLUDING ALL, status text DEFAULT 'queued');
CREATE TRIGGER charge AFTER INSERT OR UPDATE ON crash_job FOR EACH ROW
	EXECUTE FUNCTION reservation.charge_credit('item', 'quantity', 'status', 'failed');
EOF
append_to_file("$folder/crash.sql", <<'EOF');
\set what random(1, 10)
\set item random(1, 3)
\set quantity random(1, 4)
\if :what <= 4
BEGIN;
INSERT INTO crash_line (item, quantity) VALUES ('crash ' || :item, :quantity), ('crash ' || :item % 3 + 1, 1);
\if :what = 1
ROLLBACK;
\else
COMMIT;
\endif
\elif :what <= 6
DELETE FROM crash_line WHERE id = (SELECT id FROM crash_line WHERE id % 7 = :quantity LIMIT 1 FOR UPDATE SKIP LOCKED);
\elif :what <= 7
UPDATE crash_line SET quantity = :quantity WHERE id = (SELECT id FROM crash_line LIMIT 1 FOR UPDATE SKIP LOCKED);
\elif :what <= 9
INSERT INTO crash_job (item, quantity) VALUES ('crash ' || :item, :quantity);
\else
UPDATE crash_job SET status = 'failed'
	WHERE id = (SELECT id FROM crash_job WHERE status = 'queued' LIMIT 1 FOR UPDATE SKIP LOCKED);
\endif
EOF
# Pools whose sales are not what the rows say, and rows that do not have their claims.
my $wrong = <<'EOF';
WITH rows AS (SELECT item, quantity, 'public.crash_line ' || id AS holder FROM crash_line
	UNION ALL SELECT item, quantity, 'public.crash_job ' || id FROM crash_job WHERE status <> 'failed')
SELECT 'pool ' || pool FROM reservation.availability('{crash 1,crash 2,crash 3}')
	WHERE finalized <> (SELECT coalesce(sum(quantity), 0) FROM rows WHERE item = pool)
		OR available + finalized <> capacity
UNION ALL SELECT r.holder FROM rows r WHERE quantity <> coalesce((SELECT sum(c.quantity - c.refunded)
	FROM reservation.claims c WHERE c.holder = r.holder AND c.pool = r.item AND c.state = 'finalized'), 0)
EOF
foreach my $round (1, 2)
{
	my $before = $sql->('SELECT count(*) FROM reservation.log');
	my $pgbench = IPC::Run::start(
		[
			$node->installed_command('pgbench'), '--no-vacuum',
			'--host' => $node->host,
			'--port' => $node->port,
			'--client' => 16,
			'--time' => $PostgreSQL::Test::Utils::timeout_default,
			'--file' => "$folder/crash.sql",
			'postgres'
		],
		'<', \undef, '>', '/dev/null', '2>', '/dev/null');
	$node->poll_query_until('postgres', "SELECT count(*) > $before + 200 FROM reservation.log")
	  or die 'the storm does not get going';
	crash_and_restart($node);
	$pgbench->finish;
	cmp_ok($sql->('SELECT count(*) FROM crash_line'), '>', 0, "crash $round: there are lines");
	is($sql->($wrong), '', "crash $round: each line and job has what it says, and nothing else is sold");
	verify_ok($node, 'postgres', "crash $round: verify() finds nothing wrong");
}
isnt( $sql->("BEGIN; ALTER TABLE crash_line DISABLE TRIGGER stock;
		DELETE FROM crash_line WHERE id = (SELECT min(id) FROM crash_line); $wrong; ROLLBACK"),
	'', 'control: a line that was lost would have been noticed');
$sql->("DELETE FROM crash_line; UPDATE crash_job SET status = 'failed'");
is( $sql->("SELECT DISTINCT available FROM reservation.availability('{crash 1,crash 2,crash 3}')"),
	1000000, 'deleted and failed, all of them: everything is back');
verify_ok($node, 'postgres', 'crashes: verify() finds nothing wrong');

# ---- a numbered table: data only, into a restored database

$sql->(<<'EOF');
SELECT FROM reservation.create_pool('founding', 5);
CREATE TABLE member (id integer PRIMARY KEY, number integer, founding boolean);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON member FOR EACH ROW
	EXECUTE FUNCTION reservation.assign_number('founding', 'number', 'founding');
INSERT INTO member SELECT generate_series(1, 3);
DELETE FROM member WHERE id = 2;
SELECT FROM reservation.create_pool('parcels');
CREATE TABLE numbered (id integer PRIMARY KEY, number integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON numbered FOR EACH ROW
	EXECUTE FUNCTION reservation.assign_number('parcels', 'number');
INSERT INTO numbered SELECT generate_series(1, 3);
EOF
my @as = ('--host' => $node->host, '--port' => $node->port);
command_ok([ 'pg_dump', @as, '--format=custom', "--file=$folder/all", 'postgres' ], 'dump');
$sql->('CREATE DATABASE restored');
command_ok([ 'pg_restore', @as, '--exit-on-error', '--dbname=restored', "$folder/all" ], 'restore');
my $members = $sql->('SELECT * FROM member ORDER BY id');
my $in_restored = sub { return $node->safe_psql('restored', $_[0]) };
is($in_restored->('SELECT * FROM member ORDER BY id'), $members, 'restored: the same rows');
is($in_restored->('INSERT INTO numbered VALUES (4) RETURNING number'),
	4, 'restored: an open edition goes on above its rows');
$in_restored->('TRUNCATE member');
command_ok(
	[
		'pg_restore', @as, '--exit-on-error', '--data-only', '--table=member',
		'--dbname=restored', "$folder/all"
	],
	'restore of the data of the numbered table, its trigger enabled');
is($in_restored->('SELECT * FROM member ORDER BY id'), $members, 'renumbers nothing');
is($in_restored->('INSERT INTO member VALUES (4) RETURNING number'),
	4, 'and the next one gets the next number');
is($node->safe_psql('restored', 'SELECT * FROM reservation.verify()'),
	'', 'restored: verify() finds nothing wrong');

# ---- logical replication: an apply worker fires no triggers but those that are ENABLE ALWAYS

$sql->('CREATE DATABASE subscriber');
my $in_subscriber = sub { return $node->safe_psql('subscriber', $_[0]) };
foreach my $table ('silent', 'loud')
{
	my $definition = <<"EOF";
SELECT FROM reservation.create_pool('$table', 5);
CREATE TABLE $table (id integer PRIMARY KEY, number integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON $table FOR EACH ROW
	EXECUTE FUNCTION reservation.assign_number('$table', 'number');
EOF
	$in_subscriber->('CREATE EXTENSION IF NOT EXISTS reservation');
	$sql->($definition);
	$in_subscriber->($definition);
}
$in_subscriber->('ALTER TABLE loud ENABLE ALWAYS TRIGGER number');
$sql->("CREATE PUBLICATION p FOR TABLE silent, loud;
	SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
my $publisher = $node->connstr('postgres') =~ s/'/''/gr;
$in_subscriber->("CREATE SUBSCRIPTION s CONNECTION '$publisher' PUBLICATION p WITH (create_slot = false, slot_name = 's', copy_data = false)");
$sql->('INSERT INTO silent VALUES (1), (2); INSERT INTO loud VALUES (1), (2)');
$node->wait_for_catchup('s');
is($in_subscriber->("SELECT 'silent', * FROM silent UNION ALL SELECT 'loud', * FROM loud"),
	"silent|1|1\nsilent|2|2\nloud|1|1\nloud|2|2",
	'the rows arrive with their numbers');
is($in_subscriber->('SELECT DISTINCT pool, found FROM reservation.verify()'),
	'silent|none', 'verify() reports the numbers that the pool there did not give');
is($in_subscriber->("SELECT pool, available FROM reservation.availability('{silent,loud}')"),
	"silent|5\nloud|3", 'a trigger that is enabled always takes them from the pool');
# Rows whose numbers were not decided yet, in a transaction that drops the extension.
$node->safe_psql('postgres', 'CREATE DATABASE dropped');
$node->safe_psql('dropped', <<'EOF');
CREATE EXTENSION reservation;
SELECT FROM reservation.create_pool('member', 5);
CREATE TABLE member (id integer PRIMARY KEY, number integer);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON member FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('member', 'number');
BEGIN;
INSERT INTO member VALUES (1), (1) ON CONFLICT DO NOTHING;
SET LOCAL client_min_messages = warning;
DROP EXTENSION reservation CASCADE;
COMMIT;
EOF
is($node->safe_psql('dropped', 'SELECT * FROM member'), '1|1', 'a transaction that drops the extension commits');

# A database without the extension may have a schema and functions of the same names.
$node->safe_psql('postgres', 'CREATE DATABASE without');
$node->safe_psql('without', <<'EOF');
CREATE SCHEMA reservation;
CREATE TABLE item (id integer, version integer);
CREATE FUNCTION reservation.check_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.version := 7; RETURN NEW; END $$;
CREATE TRIGGER version BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION reservation.check_version();
INSERT INTO item VALUES (1);
EOF
is($node->safe_psql('without', 'SELECT * FROM item'), '1|7', 'functions of our names without the extension are none of ours');

$in_subscriber->('ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE);
	DROP SUBSCRIPTION s');
$node->stop;

done_testing();
