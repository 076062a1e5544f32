# soak_client.pl NUMBER SEED FOLDER CONNECTION: one client of the soak.
#
# Makes one call after the other through a psql of its own, until there is a file FOLDER/stop. Before
# each it writes to its log what it is about to ask, afterwards what was answered ("rows"), one line
# of JSON each. When the call failed or the connection was lost, it makes the same call again until
# there is an answer; but not a call that says "once". Killed and started again, it reads its log and
# goes on where that ends.

use strict;
use warnings;

use File::Basename;
use lib dirname(__FILE__);

use IO::Handle;
use IPC::Open3;
use JSON::PP;
use Time::HiRes 'usleep';

use SoakCalls qw(new_state learn next_call);

my ($number, $seed, $folder, $connection) = @ARGV;
my $json = JSON::PP->new->canonical;
my $file = "$folder/$number.log";
my $state = new_state($number, $seed);
my ($to, $from, $psql);

# What may happen to anybody while sessions and servers are killed: the call is made again.
my $again = qr/^(?:08...|57P0.|57014|40001|40P01|55P03|53300|lost)$/;

sub connect_psql
{
	$psql = open3($to, $from, undef,
		qw(psql -XAtq -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate -d), $connection);
	open my $note, '>', "$folder/$number.psql" or die $!;
	print $note $psql;
	close $note;
	return;
}

sub disconnect_psql
{
	return unless $psql;
	unlink "$folder/$number.psql";
	kill 'KILL', $psql;
	waitpid $psql, 0;
	close $to;
	close $from;
	$psql = undef;
	return;
}

# What the server said: an error, or rows. psql ends at the first error.
sub ask
{
	my ($sql) = @_;
	my ($error, @rows);

	connect_psql() unless $psql;
	print $to "$sql\\echo done\n";
	$to->flush;
	while (my $line = <$from>)
	{
		chomp $line;
		return (undef, @rows) if $line eq 'done';
		push @rows, $json->decode($line) if $line =~ /^\{.*\}$/;
		$error ||= $1 if $line =~ /(?:ERROR|FATAL|PANIC):  (\w{5})\b/;
	}
	disconnect_psql();
	return $error || 'lost';
}

# One line, in one piece: what is in the log was answered.
sub append
{
	my ($log, $record) = @_;
	my $line = $json->encode($record) . "\n";
	syswrite($log, $line) == length $line or die "$file: $!";
	return;
}

$SIG{PIPE} = 'IGNORE';

# ---- what is known from before

my $asked = 0;    # the last call that may have been made
if (-e $file)
{
	open my $before, '<', $file or die $!;
	my $length = 0;
	while (my $line = <$before>)
	{
		last if $line !~ /\n$/;    # cut off
		$length += length $line;
		my $record = $json->decode($line);
		$asked = $record->{k};
		learn($state, $record) if $record->{rows};
	}
	truncate $file, $length or die $!;
}
open my $log, '>>', $file or die $!;

# ---- on

# A call that was asked for gets its answer, also at the end.
until (-e "$folder/stop" && $asked < $state->{next})
{
	my $call = next_call($state);
	my ($sql, $allowed, $prepared) = delete @$call{qw(sql allow prepared)};
	my $resumed = $asked == $call->{k};
	my $tries = $resumed ? 1 : 0;
	my ($error, @rows);

	if ($call->{call} ne 'nothing' && !($resumed && $call->{once}))
	{
		append($log, $call) unless $resumed;
		$asked = $call->{k};
		for (;; $tries++)
		{
			# there is one if an earlier try broke off in the middle
			ask("COMMIT PREPARED '$prepared';\n") if $prepared && $tries;
			($error, @rows) = ask($sql);
			last if !$error || $error !~ $again || $call->{once};
			usleep(50_000);
		}
	}
	my $record = { %$call, rows => \@rows, tries => $tries };
	$record->{unknown} = 1 if $call->{once} && ($resumed || ($error && $error =~ $again));
	$record->{error} = $error if $error;
	$record->{bad} = 1 if $error && $error !~ $again && $error ne ($allowed || '');
	append($log, $record);
	learn($state, $record);
}
disconnect_psql();
