# 014_numbering.pl: 100 founding members. Whatever happens to those who sign up, the committed rows
# carry 1 to 100, each once: 100 connections at once of which 30 % roll back, a crash in the middle,
# a prepared transaction, a standby that takes over.
#
# The same storm runs against a trigger that numbers by max() + 1 and one that numbers by a sequence.
# These controls have to repeat or lose numbers, or the storm proves nothing.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $connections = 100;
my $units = 100;

# Each connection signs up several, and rolls three of ten back, as a whole or to a savepoint. None
# wants a second number while it has one: two who did could wait for each other at the end.
my $sign_ups = <<'EOF';
\set fate random(1, 20)
BEGIN;
\if :fate <= 3
INSERT INTO :table (email) VALUES (gen_random_uuid());
ROLLBACK;
\elif :fate <= 6
SAVEPOINT s;
INSERT INTO :table (email) VALUES (gen_random_uuid());
ROLLBACK TO s;
INSERT INTO :table (email) VALUES (gen_random_uuid());
COMMIT;
\elif :fate <= 8
INSERT INTO :table (email) SELECT min(email) FROM :table HAVING min(email) <> '' ON CONFLICT DO NOTHING;
INSERT INTO :table (email) VALUES (gen_random_uuid());
COMMIT;
\else
INSERT INTO :table (email) VALUES (gen_random_uuid());
COMMIT;
\endif
EOF
my $storm = GATE . $sign_ups;

# A row for each thing that is wrong with the numbers of a table.
sub wrong
{
	my ($table) = @_;
	return <<"EOF";
SELECT 'number ' || n || ' stands in ' || count(number) || ' rows'
	FROM generate_series(1, $units) n LEFT JOIN $table ON number = n
	GROUP BY n HAVING count(number) <> 1
UNION ALL SELECT 'number ' || number FROM $table WHERE number NOT BETWEEN 1 AND $units
UNION ALL SELECT 'flag of ' || id FROM $table WHERE founding <> (number IS NOT NULL)
EOF
}

my $tables = '';
foreach my $table (qw(member naive_max naive_sequence crashed moved))
{
	$tables .= <<"EOF";
CREATE TABLE $table (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE,
	number integer, founding boolean NOT NULL DEFAULT false);
EOF
}
foreach my $table (qw(member crashed moved))
{
	$tables .= <<"EOF";
SELECT FROM reservation.create_pool('$table', $units);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON $table FOR EACH ROW
	EXECUTE FUNCTION reservation.assign_number('$table', 'number', 'founding');
EOF
}
my $controls = <<"EOF";
CREATE SEQUENCE naive_number;
CREATE FUNCTION naive() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	IF TG_TABLE_NAME = 'naive_max' THEN
		SELECT coalesce(max(number), 0) + 1 INTO NEW.number FROM naive_max;
	ELSE
		NEW.number := nextval('naive_number');
	END IF;
	NEW.founding := NEW.number <= $units;
	NEW.number := CASE WHEN NEW.founding THEN NEW.number END;
	RETURN NEW;
END
\$\$;
CREATE TRIGGER number BEFORE INSERT ON naive_max FOR EACH ROW EXECUTE FUNCTION naive();
CREATE TRIGGER number BEFORE INSERT ON naive_sequence FOR EACH ROW EXECUTE FUNCTION naive();
EOF

# ---- a storm, with and without preload, at each isolation level

sub storm_on
{
	my ($node, $table) = @_;
	gate($node, 'postgres', $connections);
	# at SERIALIZABLE, those that read the table may have to try again
	return pgbench_run($node, 'postgres', $storm,
		clients => $connections,
		transactions => 4,
		args => [ "--define=table=$table", '--max-tries=1000' ]);
}

foreach my $preload (0, 1)
{
	my $node = Reservation->node("numbering_$preload", preload => $preload);
	$node->safe_psql('postgres', "CREATE EXTENSION reservation;\n$tables$controls");
	foreach my $isolation ('read committed', 'repeatable read', 'serializable')
	{
		my $expected = $isolation eq 'serializable' ? qr/could not serialize access/ : qr/^$/;
		my $how = ($preload ? 'with' : 'without') . " preload, $isolation";
		local $ENV{PGOPTIONS} =
		  '-c default_transaction_isolation=' . ($isolation =~ s/ /\\ /gr);

		$node->safe_psql('postgres', <<"EOF");
TRUNCATE member;
SELECT FROM reservation.drop_pool('member', true);
SELECT FROM reservation.create_pool('member', $units);
EOF
		my $log_start = -s $node->logfile;
		my $run = storm_on($node, 'member');
		is($run->{exit}, 0, "$how: pgbench says that all is well") or diag($run->{stderr});
		is($run->{processed}, 4 * $connections, "$how: every call was answered");
		my @errors = grep { /\b(ERROR|FATAL|PANIC|WARNING):/ && !/$expected/ }
		  split /\n/, slurp_file($node->logfile, $log_start);
		is("@errors", '', "$how: no error of ours");
		cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM member'),
			'>', $units, "$how: there are more rows than numbers");
		is($node->safe_psql('postgres', wrong('member')),
			'', "$how: the rows carry 1 to $units, each once");
		is( $node->safe_psql('postgres',
				"SELECT available, finalized, state FROM reservation.availability('{member}')"),
			"0|$units|sold_out",
			"$how: availability agrees");
		verify_ok($node, 'postgres', "$how: verify() finds nothing wrong");
	}
	foreach my $table ('naive_max', 'naive_sequence')
	{
		my ($wrong, $tries) = ('', 0);
		while ($wrong eq '' && $tries++ < 10)
		{
			$node->safe_psql('postgres', "TRUNCATE $table; ALTER SEQUENCE naive_number RESTART");
			storm_on($node, $table);
			$wrong = $node->safe_psql('postgres', wrong($table));
		}
		isnt($wrong, '', "control: $table repeats or loses numbers");
	}
	$node->stop;
}

# ---- a crash after each number up to the seventh, with some more in flight

my $node = Reservation->node('numbering_crash',
	preload => 1,
	init => [ allows_streaming => 1 ],
	conf => "max_prepared_transactions = 10\nautovacuum = off\nwal_writer_delay = 10s");
$node->safe_psql('postgres', "CREATE EXTENSION reservation;\n$tables");
my $sign_up = 'INSERT INTO crashed (email) VALUES (gen_random_uuid()) RETURNING number';
foreach my $number (1 .. 7)
{
	my @sessions = map { session($node, 'postgres') } 1 .. 4;
	is(ask($sessions[0], "SET synchronous_commit = off;\n$sign_up"), $number, "sign-up $number");
	is(ask($sessions[$_], "BEGIN;\n$sign_up"), $number + $_, 'one more in flight')
	  foreach 1 .. 3;
	crash_and_restart($node);
	foreach my $session (@sessions)
	{
		eval { $session->quit };
	}
}
is( $node->safe_psql('postgres', 'SELECT string_agg(number::text, $$ $$ ORDER BY id) FROM crashed'),
	'1 2 3 4 5 6 7',
	'after seven crashes: what was committed is there, even with synchronous_commit off');
is($node->safe_psql('postgres', "SELECT available FROM reservation.availability('{crashed}')"),
	$units - 7, 'everything else is free');
verify_ok($node, 'postgres', 'seven crashes: verify() finds nothing wrong');

# a crash in the middle of a storm, again and again, until the numbers have run out
sub crash_at
{
	my ($rows) = @_;
	my $script = PostgreSQL::Test::Utils::tempdir() . '/storm.sql';
	append_to_file($script, $sign_ups);
	my $pgbench = IPC::Run::start(
		[
			$node->installed_command('pgbench'), '--no-vacuum',
			'--host' => $node->host,
			'--port' => $node->port,
			'--client' => 20,
			'--time' => $PostgreSQL::Test::Utils::timeout_default,
			'--define' => 'table=crashed',
			'--file' => $script,
			'postgres'
		],
		'<', \undef, '>', '/dev/null', '2>', '/dev/null');
	$node->poll_query_until('postgres', "SELECT count(*) >= $rows FROM crashed")
	  or die 'the storm does not get going';
	crash_and_restart($node);
	$pgbench->finish;
	return;
}
foreach my $rows (30, 60, 90)
{
	crash_at($rows);
	is( $node->safe_psql('postgres',
			'SELECT number FROM crashed WHERE number IS NOT NULL GROUP BY 1 HAVING count(*) > 1'),
		'', "a crash at $rows rows: no number twice");
	verify_ok($node, 'postgres', "a crash at $rows rows: verify() finds nothing wrong");
}
$node->safe_psql('postgres',
	"INSERT INTO crashed (email) SELECT gen_random_uuid() FROM generate_series(1, $units)");
is($node->safe_psql('postgres', wrong('crashed')),
	'', "after the crashes, the rows carry 1 to $units, each once");
verify_ok($node, 'postgres');

# ---- prepared transactions

is($node->safe_psql('postgres', 'INSERT INTO moved (email) VALUES ($$ann$$) RETURNING number'),
	1, 'prepared: the first');
$node->safe_psql('postgres', <<'EOF');
BEGIN;
INSERT INTO moved (email) VALUES ('ann') ON CONFLICT DO NOTHING;
PREPARE TRANSACTION 'did not arrive';
BEGIN;
INSERT INTO moved (email) VALUES ('bob');
INSERT INTO moved (email) VALUES ('ann') ON CONFLICT DO NOTHING;
PREPARE TRANSACTION 'arrived';
EOF
crash_and_restart($node);
is($node->safe_psql('postgres', 'INSERT INTO moved (email) VALUES ($$cem$$) RETURNING number'),
	5, 'prepared transactions keep what they have, through a crash');
$node->safe_psql('postgres', "COMMIT PREPARED 'did not arrive'");
$node->safe_psql('postgres', "COMMIT PREPARED 'arrived'");
is( $node->safe_psql('postgres', 'SELECT email, number FROM moved ORDER BY number'),
	"ann|1\nbob|3\ncem|5",
	'committed: each has its number');
is($node->safe_psql('postgres', "SELECT available FROM reservation.availability('{moved}')"),
	$units - 3, 'and what did not arrive is free');
verify_ok($node, 'postgres', 'prepared: verify() finds nothing wrong');

# ---- a standby takes over

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('numbering_standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is($node->safe_psql('postgres', 'INSERT INTO moved (email) VALUES ($$dan$$) RETURNING number'),
	2, 'on the primary: the lowest free number');
my $open = session($node, 'postgres');
like(ask($open, "BEGIN;\nINSERT INTO moved (email) VALUES ('eve') RETURNING number"),
	qr/^[46]$/, 'and one that is never committed');
$node->wait_for_catchup($standby, 'replay');
verify_ok($standby, 'postgres', 'standby: verify() finds nothing wrong');
$node->stop('immediate');
eval { $open->quit };
$standby->promote;
is( $standby->safe_psql('postgres',
		'INSERT INTO moved (email) SELECT gen_random_uuid() FROM generate_series(1, 3)
			RETURNING number'),
	"4\n6\n7",
	'promoted: the next ones are those that nobody has');
$standby->safe_psql('postgres',
	"INSERT INTO moved (email) SELECT gen_random_uuid() FROM generate_series(1, $units)");
is($standby->safe_psql('postgres', wrong('moved')),
	'', "promoted: the rows carry 1 to $units, each once");
verify_ok($standby, 'postgres', 'promoted: verify() finds nothing wrong');
$standby->stop;

done_testing();
