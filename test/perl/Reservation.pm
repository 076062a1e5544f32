# Reservation.pm: what our TAP tests (test/t) share, on top of PostgreSQL::Test::Cluster.
#
#   use Reservation;
#
#   my $node = Reservation->node('name', preload => 1);
#       A new server, started: a PostgreSQL::Test::Cluster that finds this build of the extension.
#       The extension is not created in it yet. Options, all of them optional:
#         preload => 0|1    reservation in shared_preload_libraries           (default 0),
#                           with the background worker off unless conf says otherwise
#         fsync   => 0|1    write through to the disk, as real servers do     (default 0)
#         conf    => TEXT   lines for postgresql.conf
#         start   => 0|1                                                      (default 1)
#         init    => [...]  for init(), such as [ allows_streaming => 1 ]
#
#   verify_ok($node, $dbname [, $test_name]);
#       One test: reservation.verify() finds nothing wrong.
#
#   my $run = pgbench_run($node, $dbname, $script, clients => 10, transactions => 1);
#       Runs the text $script by pgbench. Tests nothing; returns a hash:
#         exit, stdout, stderr; processed, failed (transactions), tps, latency_ms
#       More options: jobs => 2; seconds => N (in place of transactions);
#       args => [...] for pgbench itself; timeout => N seconds, after which the test dies.
#
#   crash_and_restart($node);
#       SIGKILLs the postmaster and everything it started, then starts it again.
#   crash($node); ... restart($node);
#       The same in two steps.
#
#   my $session = session($node, $dbname);
#       A psql in the background, which goes on after an error; end it with $session->quit.
#   my $answer = ask($session, $sql);
#       Runs $sql there. An error is part of the answer, by its SQLSTATE: "ERROR:  57014".
#   ask_later($session, $sql); ... my $answer = answer($session);
#       The same in two steps, for what has to wait.
#   wait_until_blocked($node, $session [, $session ...]);
#       Returns when each of these sessions waits for a lock.
#
#   my $visits = worker_visits($node, $dbname); ... wait_for_visits($node, $dbname, $more);
#       How many background workers were sent to a database so far; and waits for so many more. The
#       server's log must have them: log_min_messages = debug1.
#
#   gate($node, $dbname, $callers);
#       Holds back everyone who runs GATE, a statement that a script of pgbench can begin with,
#       until so many are waiting there; then lets all of them go at once.
#
# A standby made from such a node's backup finds the extension too: its settings come along.
# RSV_CONF, set by test/run, has the lines of postgresql.conf that say where the build lies; without
# it the server's own is used.

package Reservation;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

our @EXPORT = qw(verify_ok pgbench_run crash_and_restart crash restart
  session ask ask_later answer wait_until_blocked
  worker_visits wait_for_visits gate GATE);

use constant GATE_KEY => 4711;
use constant GATE => 'SELECT pg_advisory_xact_lock_shared(' . GATE_KEY . ");\n";

my @gatekeepers;

sub node
{
	my ($class, $name, %opts) = @_;

	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(@{ $opts{init} || [] });
	$node->append_conf('postgresql.conf', $ENV{RSV_CONF}) if $ENV{RSV_CONF};
	# the background worker is off, so that tests see what calls do; its own test has it on
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'reservation'\nreservation.worker_naptime = 0")
	  if $opts{preload};
	$node->append_conf('postgresql.conf', 'max_connections = 250');
	# init() has every statement logged, which is more than a storm of claims can bear
	$node->append_conf('postgresql.conf', 'log_statement = none');
	$node->append_conf('postgresql.conf', 'fsync = on') if $opts{fsync};
	$node->append_conf('postgresql.conf', $opts{conf}) if defined $opts{conf};
	$node->start unless exists $opts{start} && !$opts{start};
	return $node;
}

sub verify_ok
{
	my ($node, $dbname, $test_name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is($node->safe_psql($dbname, 'SELECT * FROM reservation.verify()'),
		'', $test_name || 'verify() finds nothing wrong');
}

sub pgbench_run
{
	my ($node, $dbname, $script, %opts) = @_;
	my ($stdout, $stderr) = ('', '');

	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	append_to_file($file, $script);

	IPC::Run::run(
		[
			$node->installed_command('pgbench'), '--no-vacuum',
			'--host' => $node->host,
			'--port' => $node->port,
			'--client' => $opts{clients} || 1,
			'--jobs' => $opts{jobs} || 1,
			(defined $opts{seconds}
				? ('--time' => $opts{seconds})
				: ('--transactions' => $opts{transactions} || 1)),
			'--file' => $file,
			@{ $opts{args} || [] }, $dbname
		],
		'<', \undef, '>', \$stdout, '2>', \$stderr,
		IPC::Run::timeout($opts{timeout} || $PostgreSQL::Test::Utils::timeout_default));
	my $exit = $? >> 8;

	my ($processed) = $stdout =~ /^number of transactions actually processed: (\d+)/m;
	my ($failed) = $stdout =~ /^number of failed transactions: (\d+)/m;
	my ($tps) = $stdout =~ /^tps = ([\d.]+)/m;
	my ($latency) = $stdout =~ /^latency average = ([\d.]+) ms/m;

	return {
		exit => $exit, stdout => $stdout, stderr => $stderr,
		processed => $processed, failed => $failed,
		tps => $tps, latency_ms => $latency
	};
}

sub crash_and_restart
{
	my ($node) = @_;

	crash($node);
	restart($node);
	return;
}

sub crash
{
	my ($node) = @_;
	my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;

	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my @processes;

	# Stopped, it starts no more; one that was missed may wait for ever for a lock of the dead.
	kill 'STOP', $pid;
	foreach my $stat (map { eval { slurp_file($_) } // '' } glob '/proc/[0-9]*/stat')
	{
		push @processes, $1 if $stat =~ /^(\d+) \(.*\) \S $pid /s;
	}
	$node->kill9;
	kill 'KILL', @processes;
	# A new postmaster has to wait until all of the old one is gone.
	while (kill(0, $pid) && $tries-- > 0)
	{
		Time::HiRes::usleep(100_000);
	}
	return;
}

sub restart
{
	my ($node) = @_;
	my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;

	while ($tries-- > 0)
	{
		return if $node->start(fail_ok => 1);
		Time::HiRes::usleep(100_000);
	}
	BAIL_OUT('the server did not start again after a crash');
	return;
}

sub session
{
	my ($node, $dbname) = @_;

	my $session = $node->background_psql($dbname,
		on_error_stop => 0,
		extra_params => [ '--variable' => 'VERBOSITY=sqlstate' ]);
	$session->set_query_timer_restart;
	$session->{backend_pid} = ask($session, 'SELECT pg_backend_pid()');
	return $session;
}

sub ask
{
	my ($session, $sql) = @_;

	$session->{stderr} = '';
	return answer($session, $sql);
}

sub ask_later
{
	my ($session, $sql) = @_;

	$session->{stderr} = '';
	my $output = $session->query_until(qr/^asked$/m, "\\echo asked\n$sql;\n");
	$session->{stdout} = $output =~ s/^asked\n//r;    # it may have answered already
	return;
}

sub answer
{
	my ($session, $sql) = @_;

	my $answer = $session->query($sql || '');
	my @errors = $session->{stderr} =~ /((?:ERROR|FATAL):  \w{5})/g;
	return join("\n", grep { $_ ne '' } $answer, @errors);
}

sub wait_until_blocked
{
	my ($node, @sessions) = @_;
	my $pids = join(', ', map { $_->{backend_pid} } @sessions);

	$node->poll_query_until('postgres',
		"SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid IN ($pids)",
		scalar(@sessions))
	  or die 'a session that should wait for a lock does not';
	return;
}

sub worker_visits
{
	my ($node, $dbname) = @_;
	my $oid = $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = '$dbname'");
	my $log = slurp_file($node->logfile);
	return scalar(() = $log =~ /registering background worker "reservation worker for database $oid"/g);
}

sub wait_for_visits
{
	my ($node, $dbname, $more) = @_;
	my $enough = worker_visits($node, $dbname) + $more;
	my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;

	Time::HiRes::usleep(100_000) while (worker_visits($node, $dbname) < $enough && $tries-- > 0);
	die "no visits to $dbname" if $tries <= 0;
	return;
}

sub gate
{
	my ($node, $dbname, $callers) = @_;

	my $keeper = session($node, $dbname);
	push @gatekeepers, $keeper;
	ask($keeper, 'SELECT pg_advisory_lock(' . GATE_KEY . ')');
	ask_later($keeper, <<"EOF");
DO \$\$
BEGIN
	WHILE (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
		AND objid = @{[GATE_KEY]}) < $callers
	LOOP
		PERFORM pg_sleep(0.02);
	END LOOP;
END
\$\$;
\\q
EOF
	return;
}

1;
