# 008_cancel.pl: a caller who waits for the last unit can be cancelled, timed out or terminated, and
# a client can be killed. Nothing is taken, nothing is lost, and the next call is right.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

# What the waiting session is doing, by the pool that it does it in.
my %waits = (
	'next' =>
	  "SELECT status, number FROM reservation.claim_next('next', 'second', wait => '1 hour')",
	'several' =>
	  "SELECT status, number FROM reservation.claim_next('several', 'second', 2, wait => '1 hour')",
	'seat' =>
	  "SELECT status, number FROM reservation.claim_unit('seat', 1, 'second', wait => '1 hour')",
	'request' => "SELECT status, number
		FROM reservation.claim_next('request', 'first', request_id => 'r', wait => '1 hour')",
	'limit' =>
	  "SELECT status, number FROM reservation.claim_next('limit', 'first', wait => '1 hour')",
	'release' => "SELECT r.status, c.number
		FROM reservation.claims c, reservation.release(c.claim_id) r WHERE c.pool = 'release'",
);

# What the other session does meanwhile, and does not end.
my %holds = (
	'next' => "SELECT FROM reservation.claim_next('next', 'first')",
	'several' => "SELECT FROM reservation.claim_next('several', 'first')",
	'seat' => "SELECT FROM reservation.claim_unit('seat', 1, 'first')",
	'request' => "SELECT FROM reservation.claim_next('request', 'first', request_id => 'r')",
	'limit' => "SELECT FROM reservation.claim_next('limit', 'first')",
	'release' => "SELECT FROM reservation.claims c, reservation.finalize(c.claim_id) r
		WHERE c.pool = 'release'",
);
my %units = map { $_ => $_ eq 'several' ? 2 : 1 } keys %waits;

# How it is interrupted: what the waiting session sets, what somebody else does to it, what it is
# told.
my @interrupts = (
	[ 'pg_cancel_backend', '', 'SELECT pg_cancel_backend(PID)', 'ERROR:  57014' ],
	[ 'statement_timeout', "SET statement_timeout = '300 ms'", '', 'ERROR:  57014' ],
	[ 'lock_timeout', "SET lock_timeout = '300 ms'", '', 'ERROR:  55P03' ],
);

foreach my $preload (0, 1)
{
	my $with = $preload ? 'with preload' : 'without preload';
	my $node = Reservation->node("cancel_$preload", preload => $preload);
	my $query = sub { return $node->safe_psql('postgres', $_[0]) };

	$query->('CREATE EXTENSION reservation');
	foreach my $pool (sort keys %waits)
	{
		my $limit = $pool eq 'limit' ? ', per_holder => 1' : '';
		my $left = sub {
			is( $query->("SELECT available, held FROM reservation.availability('{$pool}')"),
				$pool eq 'release' ? '0|1' : "$units{$pool}|0", $_[0]);
		};

		$query->("SELECT reservation.create_pool('$pool', $units{$pool}$limit)");
		$query->("SELECT reservation.claim_next('$pool', 'first')") if $pool eq 'release';

		my $holder = session($node, 'postgres');
		my $waiter = session($node, 'postgres');
		foreach my $interrupt (@interrupts)
		{
			my ($name, $setting, $strike, $error) = @$interrupt;
			my $what = "$with, $pool, $name";
			my $reset = $setting =~ s/SET (\w+) .*/RESET $1/r;

			ask($holder, "BEGIN;\n$holds{$pool}");
			ask($waiter, $setting);
			ask_later($waiter, $waits{$pool});
			if ($strike)
			{
				wait_until_blocked($node, $waiter);
				$query->($strike =~ s/PID/$waiter->{backend_pid}/r);
			}
			is(answer($waiter), $error, "$what: the right error");
			is(ask($waiter, 'SHOW lock_timeout'), $name eq 'lock_timeout' ? '300ms' : '0',
				"$what: lock_timeout is as it was");
			ask($waiter, $reset);

			# the same inside a transaction, which goes on from its savepoint
			ask($waiter, "BEGIN;\n$setting;\nSAVEPOINT s;");
			ask_later($waiter, $waits{$pool});
			if ($strike)
			{
				wait_until_blocked($node, $waiter);
				$query->($strike =~ s/PID/$waiter->{backend_pid}/r);
			}
			is(answer($waiter), $error, "$what: the right error in a transaction");
			is(ask($waiter, "ROLLBACK TO s;\n$reset;\nSELECT 'going on'"),
				'going on', "$what: which goes on");
			is(ask($waiter, 'COMMIT'), '', "$what: and commits");

			ask($holder, 'ROLLBACK');
			$left->("$what: nothing was taken, nothing is lost");
			my $status = $pool eq 'release' ? 'released' : 'claimed';
			is( ask($waiter, "BEGIN;\n$waits{$pool};\nROLLBACK;"),
				join("\n", map { "$status|$_" } 1 .. $units{$pool}),
				"$what: the next call of that session is right");
		}

		# the waiting session is ended
		ask($holder, "BEGIN;\n$holds{$pool}");
		ask_later($waiter, $waits{$pool});
		wait_until_blocked($node, $waiter);
		$query->("SELECT pg_terminate_backend($waiter->{backend_pid})");
		eval { $waiter->{run}->pump until $waiter->{stderr} =~ /FATAL:  \w+/ };
		like($waiter->{stderr}, qr/FATAL:  57P01/, "$with, $pool: terminated");
		eval { $waiter->quit };

		# the waiting client is killed, and nobody tells the server
		$waiter = session($node, 'postgres');
		ask_later($waiter, $waits{$pool});
		wait_until_blocked($node, $waiter);
		$waiter->{run}->signal('KILL');
		eval { $waiter->{run}->finish };

		# The client that holds is killed in the middle of its transaction. Now it is the turn of
		# whoever waits, dead or not: the dead one's call is undone, when its server process finds
		# nobody to answer to, or is done and not acknowledged.
		my $next = session($node, 'postgres');
		ask_later($next, $waits{$pool});
		wait_until_blocked($node, $next);
		$holder->{run}->signal('KILL');
		eval { $holder->{run}->finish };
		if ($pool eq 'release')
		{
			like(answer($next), qr/^released\|1$/,
				"$with, $pool: a killed client finalizes nothing");
		}
		else
		{
			like(answer($next), qr/^(claimed|existing|sold_out|taken|limit_reached)\|/,
				"$with, $pool: a killed client gives its units back to those who wait");
		}
		$next->quit;
		$node->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid IN
				($holder->{backend_pid}, $waiter->{backend_pid}, $next->{backend_pid})");
		is( $query->("SELECT available, held FROM reservation.availability('{$pool}')"),
			$pool eq 'release' ? '1|0' : "0|$units{$pool}", "$with, $pool: no unit is lost");
		verify_ok($node, 'postgres', "$with, $pool: verify() finds nothing wrong");
	}

	# A client that is killed while nobody waits gives its unit back, too.
	$query->("SELECT reservation.create_pool('killed', 2)");
	my $killed = session($node, 'postgres');
	is( ask($killed, "BEGIN;\nSELECT status, number FROM reservation.claim_next('killed', 'k')"),
		'claimed|1', "$with: a client claims");
	is($query->("SELECT status, number FROM reservation.claim_next('killed', 'other')"),
		'claimed|2', 'another gets another unit meanwhile');
	$killed->{run}->signal('KILL');
	eval { $killed->{run}->finish };
	is( $query->("SELECT status, number
			FROM reservation.claim_next('killed', 'third', wait => '1 hour')"),
		'claimed|1', 'the unit of a killed client is free again');

	# Several transactions in the way: the wait goes in slices, and can be cancelled as well.
	$query->("SELECT reservation.create_pool('two', 2)");
	my @holders = map { session($node, 'postgres') } 1 .. 2;
	ask($_, "BEGIN;\nSELECT FROM reservation.claim_next('two', 'x')") foreach @holders;
	my $waiter = session($node, 'postgres');
	my $wait = "SELECT status, number FROM reservation.claim_next('two', 'w', wait => '1 hour')";
	ask_later($waiter, $wait);
	wait_until_blocked($node, $waiter);
	$query->("SELECT pg_cancel_backend($waiter->{backend_pid})");
	is(answer($waiter), 'ERROR:  57014', "$with: cancelled while two transactions are in the way");
	ask_later($waiter, $wait);
	wait_until_blocked($node, $waiter);
	ask($holders[1], 'ROLLBACK');
	is(answer($waiter), 'claimed|2',
		'the one that rolls back first frees its unit, whichever it is');
	is(ask($waiter, 'SHOW lock_timeout'), '0', 'lock_timeout is as it was');
	ask($holders[0], 'COMMIT');

	verify_ok($node, 'postgres');
	$node->stop;
}

done_testing();
