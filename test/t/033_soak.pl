# 033_soak.pl: every function at once, from many clients, while sessions, clients, background
# processes and the server are killed at random. In the end verify() is empty and every call that was
# acknowledged is there exactly once, says a program that reads only the clients' logs and the tables.
#
# "make soak" is this test at its full length. SOAK_SECONDS (15), SOAK_CLIENTS (32) and SOAK_SEED
# (random) say how long, how many, and what: the seed decides which calls each client makes with which
# arguments, and who is killed in which order. When things happen, and so what is answered, it cannot.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use JSON::PP;
use Reservation;
use SoakCalls qw(new_state learn next_call);

my $seconds = $ENV{SOAK_SECONDS} || 15;
my $clients = $ENV{SOAK_CLIENTS} || 32;
my $seed = $ENV{SOAK_SEED} || 1 + int(rand(1_000_000));
my $programs = $INC{'SoakCalls.pm'} =~ s/SoakCalls\.pm$//r;
my $folder = PostgreSQL::Test::Utils::tempdir();

$SIG{PIPE} = 'IGNORE';    # of a psql that finds no server
diag("SOAK_SEED=$seed SOAK_SECONDS=$seconds SOAK_CLIENTS=$clients");
srand($seed);

my $node = Reservation->node('soak',
	preload => 1,
	fsync => $seconds > 60,
	conf => "max_prepared_transactions = 100\nreservation.worker_naptime = 200ms\ndeadlock_timeout = 200ms\n"
	  . "log_error_verbosity = verbose\nautovacuum_naptime = 5s\nrestart_after_crash = on");
my $connection = $node->connstr('postgres');
$node->command_ok(
	[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-v', "clients=$clients", '-d', $connection,
		'-o', '/dev/null', '-f', "$programs../soak.d/setup.sql" ],
	'what the soak begins with');

# ---- clients

my %pid;

sub start_client
{
	my ($client) = @_;
	my $pid = fork();
	die "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		exec($^X, "$programs/soak_client.pl", $client, $seed, $folder, $connection);
	}
	$pid{$client} = $pid;
	return;
}

sub psql_of
{
	my ($client) = @_;
	my $file = "$folder/$client.psql";
	return -e $file && slurp_file($file) =~ /^(\d+)$/ ? $1 : undef;
}

# ---- strikes

my %struck;

# Asks the server, which may just be down.
sub try_sql
{
	my ($sql) = @_;
	my ($status, $stdout) = eval { $node->psql('postgres', $sql) };
	return defined $status && $status == 0 ? $stdout : '';
}

sub wait_for_server
{
	my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;

	until (try_sql('SELECT true') eq 't')
	{
		die 'the server does not come back' if $tries-- == 0;
		usleep(100_000);
	}
	return;
}

my $client_backend = "backend_type = 'client backend' AND pid <> pg_backend_pid()";
my %strikes = (
	'sessions ended' => sub {
		try_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $client_backend
			ORDER BY md5(pid || '$_[0]') LIMIT 1");
	},
	'calls cancelled' => sub {
		try_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE $client_backend
			AND state = 'active' ORDER BY md5(pid || '$_[0]') LIMIT 1");
	},
	'connections cut' => sub {
		my $psql = psql_of(1 + $_[0] % $clients);
		kill 'KILL', $psql if $psql;
	},
	'clients killed' => sub {
		my $client = 1 + $_[0] % $clients;
		my $psql = psql_of($client);
		kill 'KILL', $pid{$client};
		waitpid $pid{$client}, 0;
		kill 'KILL', $psql if $psql;
		start_client($client);
	},
	'workers ended' => sub {
		try_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type ILIKE '%reservation%' ORDER BY md5(pid || '$_[0]') LIMIT 1");
	},
	# the postmaster ends all the others, and starts anew
	'processes killed' => sub {
		my $pid = try_sql("SELECT pid FROM pg_stat_activity
			WHERE $client_backend OR backend_type ILIKE '%reservation%'
			ORDER BY md5(pid || '$_[0]') LIMIT 1");
		kill 'KILL', $pid if $pid =~ /^\d+$/;
	},
	'servers killed' => sub {
		wait_for_server();
		# which may just be noticing that a process was killed
		wait_for_server() until eval { crash_and_restart($node); 1 };
	});
my @wheel = (('sessions ended') x 10, ('calls cancelled') x 4, ('connections cut') x 3,
	('clients killed') x 3, ('workers ended') x 2);

start_client($_) foreach 1 .. $clients;
my $end = time() + $seconds;
my $period = $seconds < 60 ? $seconds / 3 : 20;
my $next_crash = time() + $period;
my $crashes = 0;
while (time() < $end)
{
	my $strike = $wheel[ int(rand(@wheel)) ];
	my $whom = int(rand(1_000_000));

	usleep(int(rand(400_000)));
	if (time() > $next_crash)
	{
		$strike = $crashes++ % 2 ? 'processes killed' : 'servers killed';
		$next_crash += $period;
	}
	$strikes{$strike}->($whom);
	$struck{$strike}++;
}

wait_for_server();
append_to_file("$folder/stop", '');
my @failed;
foreach my $client (1 .. $clients)
{
	local $SIG{ALRM} = sub { die "client $client does not end\n" };
	alarm $PostgreSQL::Test::Utils::timeout_default;
	waitpid $pid{$client}, 0;
	alarm 0;
	push @failed, $client if $? != 0;
}
is("@failed", '', 'every client made its calls to the end');
diag(join(', ', map { "$struck{$_} $_" } sort keys %struck));

cmp_ok($struck{'servers killed'} || 0, '>', 0, 'the server was killed meanwhile');
if ($seconds > 60)
{
	is(join(', ', grep { !$struck{$_} } sort keys %strikes), '', 'every kind of strike came');
}

# ---- what came of it

sub check
{
	my ($logs) = @_;
	my $output = '';
	my $ok = IPC::Run::run([ $^X, "$programs/soak_check.pl", $logs, $connection ],
		'<', \undef, '>', \$output, '2>&1');
	return ($ok ? 'right' : 'wrong', $output);
}

verify_ok($node, 'postgres', 'verify() finds nothing wrong');
my ($verdict, $output) = check($folder);
is($verdict, 'right', 'every call that was acknowledged is there, exactly once');
diag($output) if $verdict ne 'right' || $seconds > 60;
my @trouble = grep { /:  XX...:|TRAP|signal (?!9\b)/ } split /\n/, slurp_file($node->logfile);
is("@trouble[0 .. ($#trouble < 9 ? $#trouble : 9)]", '', 'no internal error, no crash but those we made');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'),
	0, 'no prepared transaction is left');

# ---- the seed repeats the calls of every client

my $json = JSON::PP->new->canonical;
my %same = (mine => 0, other => 0);
my $calls = 0;
foreach my $client (1 .. $clients)
{
	my %state = (mine => new_state($client, $seed), other => new_state($client, $seed + 1));
	foreach my $line (split /\n/, slurp_file("$folder/$client.log"))
	{
		my $record = $json->decode($line);
		next unless $record->{rows};
		$calls++;
		foreach my $whose (keys %state)
		{
			my $call = next_call($state{$whose});
			delete @$call{qw(sql allow prepared)};
			$same{$whose}++
			  unless grep { ($record->{$_} // '') ne $call->{$_} } keys %$call;
			learn($state{$whose}, $record);
		}
	}
}
cmp_ok($calls, '>', 10 * $clients, "there were $calls calls");
is($same{mine}, $calls, 'the seed repeats each of them');
cmp_ok($same{other}, '<', $calls / 2, 'control: another seed does not');

# ---- what the soak leaves out

my $text = slurp_file("$programs/SoakCalls.pm") . slurp_file("$programs/../soak.d/setup.sql");
my $left_out = join ' ',
  grep { $text !~ /reservation\.$_\(/ } split /\n/,
  $node->safe_psql('postgres',
	"SELECT proname FROM pg_proc WHERE pronamespace = 'reservation'::regnamespace
		AND oid NOT IN (SELECT tgfoid FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
			WHERE c.relnamespace = pronamespace) ORDER BY proname");
if ($seconds > 60) { is($left_out, '', 'every function is called') }
else { note("not called: $left_out") }

# ---- control: a log and tables that were tampered with are found out

my $forged = "$folder/forged";
mkdir $forged;
foreach my $client (1 .. $clients)
{
	append_to_file("$forged/$client.log", slurp_file("$folder/$client.log"));
}
my ($id) = slurp_file("$folder/1.log") =~ /"k":(\d+)[^\n]*\n\z/;
append_to_file("$forged/1.log", $json->encode({ call => 'claim_next', k => $id + 1, pool => 'print',
	request => 'forged', rows => [ { status => 'claimed', claim_id => 'none', pool => 'print', number => 1 } ] }) . "\n");
($verdict, $output) = check($forged);
is($verdict, 'wrong', 'control: a claim in a log that is not in the tables');
like($output, qr/^claim none of print was acknowledged and is not there\n/, 'is named');

foreach my $tamper (
	[ 'DELETE FROM reservation.claim WHERE claim_id = (SELECT claim_id FROM reservation.claim
		JOIN reservation.pool USING (pool_id) WHERE holder = \'account\' LIMIT 1)',
		qr/acknowledged and is not there/, 'a claim that was lost' ],
	[ 'INSERT INTO work SELECT request FROM work LIMIT 1', qr/was done 2 times/, 'work that was done twice' ],
	[ 'UPDATE reservation.stock SET quantity = quantity + 1 WHERE (pool_id, slot) =
		(SELECT pool_id, min(slot) FROM reservation.stock JOIN reservation.pool USING (pool_id)
		WHERE pool = \'stock\' GROUP BY pool_id)',
		qr/the balance of stock/, 'a balance that is too high' ],
	[ 'UPDATE page SET body = \'tampered\' WHERE client = 1', qr/page 1: its version/, 'a change that nobody asked for' ])
{
	my ($sql, $named, $what) = @$tamper;
	$node->safe_psql('postgres', $sql);
	($verdict, $output) = check($folder);
	is($verdict, 'wrong', "control: $what");
	like($output, $named, 'is named');
}
$node->stop;

done_testing();
