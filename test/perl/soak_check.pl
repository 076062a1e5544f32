# soak_check.pl FOLDER CONNECTION: whether every call that was acknowledged is there, exactly once.
#
# Reads the logs of the soak's clients and the tables, nothing else. From the logs it works out what
# must be in the tables; every difference is one line, and makes it fail. No client may be running.

use strict;
use warnings;

use File::Basename;
use lib dirname(__FILE__);

use JSON::PP;

use SoakCalls 'COUNTED';

my ($folder, $connection) = @ARGV;
my $json = JSON::PP->new->canonical;
my ($problems, %answers) = (0);
my (%claim, %checkout, %payment, %once, %gone, %row, %pages, %limit, %basket, %adjusted, %order);
my %units = (least => 0, most => 0);
my $live = qr/^(?:held|finalized)$/;

sub problem
{
	my (@words) = @_;
	print join(' ', map { $_ // 'nothing' } @words), "\n" if $problems++ < 50;
	return;
}

sub same
{
	my ($found, $expected, @what) = @_;
	problem(@what, "is $found, not", $expected) if ($found // 'nothing') ne ($expected // 'nothing');
	return;
}

# ---- what the clients were told

# A claim is there from when it was told of, in the state of the last answer about it.
sub claimed
{
	my ($record, $row, %more) = @_;
	problem("claim $row->{claim_id} was told of twice") if $claim{ $row->{claim_id} };
	$claim{ $row->{claim_id} } = {
		pool => $row->{pool} || $record->{pool}, number => $row->{number}, quantity => $row->{quantity} || 1,
		holder => "holder $record->{client}", request => $record->{request}, refunded => 0,
		state => 'held', %more };
	return;
}

my %told = (
	holds => sub {
		my ($record, $row) = @_;
		return if $row->{status} ne 'claimed' && $row->{status} ne 'existing';
		claimed($record, $row) if $row->{status} eq 'claimed';
		problem("claim $row->{claim_id} existed for", $row->{holder}) if !$claim{ $row->{claim_id} };
	},
	extend => sub { settled(@_, held => 'held') },
	release => sub { settled(@_, released => 'released') },
	finalize => sub {
		my ($record, $row) = @_;
		settled(@_, finalized => 'finalized');
		$claim{ $record->{claim_id} }{quantity} = $row->{quantity} if $row->{status} eq 'finalized';
	},
	refund => sub {
		my ($record, $row) = @_;
		my $claim = $claim{ $record->{claim_id} };
		problem("refund of $record->{claim_id} says $row->{status}") if $row->{status} !~ /^(refunded|exceeds)$/;
		return if $row->{status} ne 'refunded';
		$claim->{refunded} = $claim->{quantity} - $row->{remaining};
		$claim->{state} = 'refunded' if $row->{remaining} == 0;
	},
	charge => sub {
		my ($record, $row) = @_;
		claimed($record, $row, state => 'finalized', holder => 'account', quantity => $record->{amount})
		  if $row->{status} eq 'charged';
	},
	adjust => sub {
		my ($record, $row) = @_;
		$adjusted{ $record->{pool} } += $record->{delta} if $row->{status} eq 'adjusted';
	},
	add_units => sub { my ($record) = @_; $units{$_} += $record->{count} foreach qw(least most) },
	alter_pool => sub { my ($record) = @_; $limit{"own $record->{client}"} = $record->{limit} },
	cart_add => sub { my ($record) = @_; $basket{ $record->{client} }{print}{least} += $record->{quantity} },
	cart_merge => sub {
		my ($record, $row) = @_;
		$basket{ $record->{client} }{stock}{least} += $record->{quantity} if $row->{status} eq 'merged';
	},
	checkout => sub {
		my ($record, $row) = @_;
		return if $row->{status} ne 'open';
		$checkout{ $row->{checkout_id} } = { request => $record->{request}, claims => $row->{claims}, state => 'open' };
		claimed($record, $_, checkout => $row->{checkout_id}) foreach @{ $row->{claims} };
	},
	record_payment => sub {
		my ($record, $row) = @_;
		$payment{ $record->{payment} } = { checkout_id => $record->{checkout_id} }
		  if $row->{status} =~ /^(paid|refund_due|cancelled)$/;
	},
	settle_refund => sub {
		my ($record, $row) = @_;
		$gone{reference}{"c$record->{client} k$record->{k}"} = 1 if $row->{status} eq 'settled';
	},
	finalize_checkout => sub {
		my ($record, $row) = @_;
		my $number = $row->{order_number};
		$checkout{ $record->{checkout_id} }{state} = $row->{status}
		  if $row->{status} =~ /^(finalized|refund_due|cancelled)$/;
		return if $row->{status} ne 'finalized';
		same($record->{checkout_id}, $order{$number} // $record->{checkout_id}, "order $number");
		$order{$number} = $record->{checkout_id};
	},
	cancel_checkout => sub {
		my ($record, $row) = @_;
		$checkout{ $record->{checkout_id} }{state} = $row->{status};
	},
	run_once => sub {
		my ($record, $row) = @_;
		same($row->{response}, $record->{request}, "response of $record->{request}");
		$once{ $record->{request} } = 1;
	},
	member => sub { my ($record, $row) = @_; $row{member}{ $row->{id} } = $row->{number} },
	line => sub { my ($record, $row) = @_; $row{line}{ $row->{id} } = $row->{quantity} },
	job => sub { my ($record, $row) = @_; $row{job}{ $row->{id} } = { amount => $row->{amount}, status => 'new' } },
	verify => sub { my ($record, $row) = @_; problem('verify() said', $json->encode($row)) },
);
$told{$_} = $told{holds} foreach qw(claim_next claim_unit take savepoint prepared);
$told{checkout_cart} = $told{checkout};

# What an answer about a claim says of it.
sub settled
{
	my ($record, $row, $done, $state) = @_;
	my $claim = $claim{ $record->{claim_id} };
	my $before = $claim->{state};

	if ($row->{status} eq $done)
	{
		problem("$record->{call} of $record->{claim_id}, which is $before, says $done")
		  unless $before =~ /^(held|\Q$state\E)$/ || ($done eq 'finalized' && $before =~ /^(lapsed|refunded)$/);
		$claim->{state} = $state if $before ne 'refunded';
	}
	elsif ($row->{status} eq 'lapsed')
	{
		problem("$record->{claim_id}, which is $before, says lapsed") unless $before =~ /^(held|lapsed)$/;
		$claim->{state} = 'lapsed';
	}
	elsif ($row->{status} ne $before && $before ne 'refunded')
	{
		problem("$record->{call} of $record->{claim_id}, which is $before, says $row->{status}");
	}
	return;
}

# What a call did that has no answer of ours.
sub done
{
	my ($record) = @_;
	my ($call, $id) = @$record{qw(call id)};

	if ($call eq 'rolled_back') { $gone{request}{ $record->{request} } = 1; }
	if ($call eq 'savepoint') { $gone{request}{"$record->{request} undone"} = 1; }
	if ($call eq 'page') { $pages{ $record->{client} }++; }
	if ($call eq 'add_units' && $record->{unknown}) { $units{most} += $record->{count}; }
	if ($call eq 'cart_add' && $record->{unknown})
	{
		$basket{ $record->{client} }{print}{unknown} += $record->{quantity};
	}
	if ($call eq 'cart_merge' && $record->{unknown})
	{
		$basket{ $record->{client} }{stock}{unknown} += $record->{quantity};
	}
	if ($call eq 'member_leaves') { delete $row{member}{$id}; }
	if ($call eq 'line_changes' && exists $row{line}{$id})
	{
		$row{line}{$id} = $record->{quantity} or delete $row{line}{$id};
	}
	if ($call eq 'job_ends' && $record->{end} =~ /failed/) { $row{job}{$id}{status} = 'failed'; }
	if ($call eq 'job_ends' && $record->{end} =~ /done/) { $row{job}{$id}{done} = 1; }
	return;
}

foreach my $file (sort glob("$folder/*.log"))
{
	my ($client) = $file =~ /(\d+)\.log$/;
	my ($next, $answered) = (1, 1);
	open my $log, '<', $file or die "$file: $!";
	while (my $line = <$log>)
	{
		my $record = eval { $json->decode($line) };
		if (!$record) { problem("$file: not a line of a log:", $line); next; }
		same($record->{k}, $next, "$file: the number of a call") if $record->{k} != $next;
		$answered = !!$record->{rows};
		next unless $answered;
		$next = $record->{k} + 1;
		$record->{client} = $client;
		$answers{ $record->{call} }{ $_->{status} || 'answered' }++ foreach @{ $record->{rows} };
		$answers{ $record->{call} }{ $record->{error} || 'answered' }++ unless @{ $record->{rows} };
		$answers{'tried again'}{calls}++ if $record->{tries};
		problem("client $client, call $record->{k}, $record->{call}: error $record->{error}") if $record->{bad};
		my $told = $record->{call} eq 'rolled_back' ? undef : $told{ $record->{call} };
		if ($told) { $told->($record, $_) foreach @{ $record->{rows} }; }
		done($record) unless $record->{error} && !$record->{unknown};
	}
	problem("$file: the last call has no answer") unless $answered;
}
problem('there are no logs') unless %answers;

# ---- what the tables say

sub table
{
	my ($sql) = @_;
	open my $psql, '-|', qw(psql -XAtq -v ON_ERROR_STOP=1 -d), $connection, '-c', "SELECT row_to_json(r) FROM ($sql) r"
	  or die $!;
	my @rows = map { $json->decode($_) } <$psql>;
	close $psql or die "cannot read: $sql\n";
	return @rows;
}

my (%out, %by_trigger, %numbers, %requests);
foreach my $row (table(<<'SQL'))
SELECT claim_id, pool, number, holder, quantity, coalesce(refunded, 0) AS refunded, c.request_id, state,
	state = 'held' AND expires_at <= clock_timestamp() AS over
FROM reservation.every_claim c JOIN reservation.pool p USING (pool_id)
SQL
{
	my $claim = delete $claim{ $row->{claim_id} };
	my $what = "claim $row->{claim_id} of $row->{pool}";
	my $quantity = $row->{quantity} - $row->{refunded};

	$requests{ $row->{request_id} } = 1 if defined $row->{request_id};
	if ($row->{pool} =~ /^brief/)    # of a pool that was dropped; of the tries before, nobody knows
	{
		problem("$what is $row->{state}") if $row->{state} =~ $live;
		next;
	}
	next if $row->{pool} eq 'queue';    # offers, of which nobody is told; verify() has the tickets
	if ($row->{holder} !~ /^(holder \d+|account)$/)
	{
		$by_trigger{ $row->{pool} } += $quantity if $row->{state} =~ $live;
		next;
	}
	if (!$claim) { problem("$what is there, and nobody was told"); next; }
	my $state = $claim->{state};
	$claim->{checkout} and $state = {
		open => 'held', finalized => 'finalized', refund_due => 'gone', cancelled => 'gone'
	}->{ $checkout{ $claim->{checkout} }{state} };
	same($row->{$_}, $claim->{$_}, "$what: its $_") foreach qw(pool number holder quantity refunded);
	problem("$what is $row->{state}, not $state")
	  unless $row->{state} eq $state
	  || ($state eq 'held' && $row->{state} eq 'lapsed')
	  || ($state eq 'lapsed' && $row->{over})
	  || ($state eq 'gone' && ($row->{state} =~ /^(released|lapsed)$/ || $row->{over}));
	next if $row->{state} !~ $live;
	$out{ $row->{pool} } += $row->{state} eq 'held' ? $quantity : $claim->{quantity} - $claim->{refunded};
	problem("number $row->{number} of $row->{pool} is given out twice")
	  if defined $row->{number} && $numbers{ $row->{pool} }{ $row->{number} }++;
}
problem("claim $_ of $claim{$_}{pool} was acknowledged and is not there") foreach sort keys %claim;
problem("$_ was rolled back and is there") foreach grep { $requests{$_} } sort keys %{ $gone{request} };
$requests{ $_->{request_id} } = 1 foreach table('SELECT request_id FROM reservation.request');
problem("the answer of $_ was rolled back and is there")
  foreach grep { $requests{$_} } sort keys %{ $gone{request} };

# rows of the application's tables, and what stands behind them
my %sum = (line => 0, job => 0);
$sum{line} += $_ foreach values %{ $row{line} };
$sum{job} += $_->{amount} foreach grep { $_->{status} eq 'new' } values %{ $row{job} };
same($by_trigger{stock} || 0, $sum{line}, 'what the lines have of the stock');
same($by_trigger{account} || 0, $sum{job}, 'what the jobs cost');
same($by_trigger{member} || 0, scalar(grep { defined } values %{ $row{member} }), 'numbers of members');
foreach my $table (qw(member line job))
{
	my %member;
	foreach my $row (table("SELECT * FROM $table"))
	{
		my $told = delete $row{$table}{ $row->{id} };
		if ($table eq 'member')
		{
			same($row->{number}, $told, "member $row->{id}: its number");
			problem("member number $row->{number} is there twice")
			  if defined $row->{number} && $member{ $row->{number} }++;
		}
		elsif ($table eq 'line') { same($row->{quantity}, $told, "line $row->{id}: its quantity"); }
		else
		{
			same($row->{status}, $told->{status}, "job $row->{id}: its status");
			same($row->{done_at} ? 1 : undef, $told->{done}, "job $row->{id}: whether it is done");
		}
	}
	problem("$table $_ was acknowledged and is not there") foreach sort keys %{ $row{$table} };
}
same($_->{version}, $pages{ $_->{client} } || 0, "page $_->{client}: its version") foreach table('SELECT * FROM page');

# balances: what a pool began with and was adjusted by, less what is out
foreach my $row (table(<<'SQL'))
SELECT pool, floor + sum(quantity) AS balance FROM reservation.pool JOIN reservation.stock USING (pool_id)
WHERE dropped_at IS NULL GROUP BY pool, floor
SQL
{
	my $pool = $row->{pool};
	same($row->{balance}, COUNTED->{$pool} + ($adjusted{$pool} || 0) - ($out{$pool} || 0) - ($by_trigger{$pool} || 0),
		"the balance of $pool");
}
foreach my $row (table('SELECT * FROM reservation.pool WHERE dropped_at IS NULL'))
{
	same($row->{per_holder}, $limit{ $row->{pool} }, "$row->{pool}: its limit") if $row->{pool} =~ /^own/;
	problem("$row->{pool} was dropped and is there") if $row->{pool} =~ /^brief/;
	problem("$row->{units_added} units were added to print, not $units{least} to $units{most}")
	  if $row->{pool} eq 'print' && ($row->{units_added} < $units{least} || $row->{units_added} > $units{most});
}

# checkouts, payments, orders
foreach my $row (table('SELECT checkout_id, request_id, state FROM reservation.checkout'))
{
	my $told = delete $checkout{ $row->{checkout_id} };
	if (!$told) { problem("checkout $row->{checkout_id} is there, and nobody was told"); next; }
	same($row->{state} eq 'paid' ? 'open' : $row->{state}, $told->{state}, "checkout $row->{checkout_id}: its state");
	same($row->{request_id}, $told->{request}, "checkout $row->{checkout_id}: its request");
}
problem("checkout $_ was acknowledged and is not there") foreach sort keys %checkout;
foreach my $row (table('SELECT payment_id, checkout_id, reference FROM reservation.payment'))
{
	my $told = delete $payment{ $row->{payment_id} };
	same($row->{checkout_id}, $told->{checkout_id}, "payment $row->{payment_id}: its checkout");
	delete $gone{reference}{ $row->{reference} } if defined $row->{reference};
}
problem("payment $_ was acknowledged and is not there") foreach sort keys %payment;
problem("refund $_ was acknowledged and is not there") foreach sort keys %{ $gone{reference} };
foreach my $row (table('SELECT order_number, checkout_id FROM reservation.order'))
{
	same($row->{checkout_id}, delete $order{ $row->{order_number} }, "order $row->{order_number}: its checkout");
}
problem("order $_ was acknowledged and is not there") foreach sort keys %order;

# operations and carts
foreach my $row (table('SELECT request, count(*) AS n FROM work GROUP BY request'))
{
	problem("$row->{request} was done $row->{n} times") if $row->{n} != 1;
	problem("$row->{request} was done, and nobody was told") unless delete $once{ $row->{request} };
}
problem("$_ was acknowledged and not done") foreach sort keys %once;
foreach my $row (table("SELECT * FROM reservation.cart_line WHERE cart LIKE 'basket %'"))
{
	my ($client) = $row->{cart} =~ /(\d+)$/;
	my $told = delete $basket{$client}{ $row->{pool} };
	my $least = $told->{least} || 0;
	problem("$row->{cart} has $row->{quantity} of $row->{pool}, not $least")
	  if $row->{quantity} < $least || $row->{quantity} > $least + ($told->{unknown} || 0);
}
foreach my $client (sort keys %basket)
{
	problem("basket $client has lost its $_") foreach grep { $basket{$client}{$_}{least} } keys %{ $basket{$client} };
}

foreach my $call (sort keys %answers)
{
	print "$call: ", join(', ', map { "$answers{$call}{$_} $_" } sort keys %{ $answers{$call} }), "\n";
}
print "$problems problems\n";
exit($problems ? 1 : 0);
