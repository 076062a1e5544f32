# SoakCalls.pm: the calls that a client of the soak makes, and what it knows of its own from its log.
#
#   my $call = next_call($state);
#
# Everything that a call does is drawn from the seed, the client and the number of the call, so a seed
# repeats the calls of every client. Which of its own claims the call is about is drawn too, from
# those that the client has by then; that depends on what was answered before.
#
# A call is a hash: what goes into the log, and sql. Every call can be made again when nobody knows
# whether it was committed, except those that say "once".

package SoakCalls;

use strict;
use warnings;

use Digest::MD5 'md5';
use Exporter 'import';

our @EXPORT_OK = qw(new_state learn next_call COUNTED);

# Counted pools, with what test/soak.d/setup.sql gives them.
use constant COUNTED => { stock => 3000, shirt => 200, account => 500, tight => 20 };

my $signed = "'what do ya want for nothing?', "
  . "'5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'";

# ---- what a client knows: from its log alone, so that a client that was killed knows it again

sub new_state
{
	my ($client, $seed) = @_;
	return {
		client => $client, seed => $seed, next => 1, epoch => 0,
		claims => [], refundable => [], checkouts => [], quantity => {},
		rows => { member => [], line => [], job => [] }
	};
}

# Takes in a line of the log that says what was answered.
sub learn
{
	my ($state, $record) = @_;
	my ($call, @rows) = ($record->{call}, @{ $record->{rows} });

	$state->{next} = $record->{k} + 1;
	if ($call =~ /^(claim_next|claim_unit|take|savepoint|prepared)$/)
	{
		push @{ $state->{claims} }, $_->{claim_id} foreach grep { $_->{status} eq 'claimed' } @rows;
		$state->{quantity}{ $_->{claim_id} } = $_->{quantity} || 1 foreach grep { $_->{claim_id} } @rows;
	}
	elsif ($call eq 'charge')
	{
		push @{ $state->{refundable} }, $_->{claim_id} foreach grep { $_->{claim_id} } @rows;
	}
	elsif ($call eq 'finalize' && $rows[0]{status} eq 'finalized')
	{
		push @{ $state->{refundable} }, $record->{claim_id};
	}
	elsif ($call =~ /^checkout/)
	{
		$state->{epoch} = $record->{k} if $call eq 'checkout_cart';
		push @{ $state->{checkouts} }, $_->{checkout_id} foreach grep { $_->{status} eq 'open' } @rows;
	}
	elsif ($record->{insert} && @rows)
	{
		push @{ $state->{rows}{ $record->{insert} } }, $record->{id};
	}
	return;
}

# ---- drawing

sub drawer
{
	my ($state) = @_;
	my $turn = 0;
	return sub {
		my ($below) = @_;
		my $hash = md5("$state->{seed}/$state->{client}/$state->{next}/" . $turn++);
		return unpack('N', $hash) % $below;
	};
}

sub one
{
	my ($draw, @list) = @_;
	return $list[ $draw->(scalar @list) ];
}

# One of what the client has, rather the latest.
sub recent
{
	my ($draw, $list) = @_;
	my $back = $draw->($draw->(4) ? 8 : 1000);
	return @$list ? $list->[ -1 - $back % @$list ] : undef;
}

sub rows
{
	my ($call) = @_;
	return "SELECT row_to_json(r) FROM $call r;\n";
}

# ---- the calls: how often, and what

my @lives = ("'300 ms'", "'1 s'", "'1 s'", "'1 day'", 'NULL');
my $wait = "wait => '200 ms'";

# They get what the client knows, a drawer, an id of the call and the holder.
my @calls = (
	claim_next => 14 => sub {
		my ($s, $d, $id, $holder) = @_;
		my $pool = one($d, qw(print print print hall open open slow));
		my ($count, $life) = (1 + $d->(3), one($d, @lives));
		return { pool => $pool, request => $id,
			sql => rows("reservation.claim_next('$pool', $holder, $count, $life, '$id', $wait)") };
	},
	claim_unit => 5 => sub {
		my ($s, $d, $id, $holder) = @_;
		my ($number, $life) = (1 + $d->(300), one($d, @lives));
		return { pool => 'hall', request => $id,
			sql => rows("reservation.claim_unit('hall', $number, $holder, $life, '$id', $wait)") };
	},
	take => 10 => sub {
		my ($s, $d, $id, $holder) = @_;
		my $pool = one($d, qw(stock stock shirt tight tight));
		my ($quantity, $life) = (1 + $d->(4), one($d, @lives));
		return { pool => $pool, request => $id,
			sql => rows("reservation.take('$pool', $holder, $quantity, $life, '$id', $wait)") };
	},
	extend => 4 => sub {
		my ($s, $d) = @_;
		my $claim = recent($d, $s->{claims}) or return;
		my $life = one($d, "'1 s'", "'2 s'", "'1 day'");
		return { claim_id => $claim, sql => rows("reservation.extend('$claim', $life)") };
	},
	release => 6 => sub {
		my ($s, $d) = @_;
		my $claim = recent($d, $s->{claims}) or return;
		return { claim_id => $claim, sql => rows("reservation.release('$claim')") };
	},
	finalize => 9 => sub {
		my ($s, $d) = @_;
		my $claim = recent($d, $s->{claims}) or return;
		my $part = $d->(3) ? 'NULL' : 1 + $d->($s->{quantity}{$claim});
		return { claim_id => $claim, sql => rows("reservation.finalize('$claim', $part)") };
	},
	refund => 6 => sub {
		my ($s, $d, $id) = @_;
		my $claim = recent($d, $s->{refundable}) or return;
		my $part = $d->(2) ? 'NULL' : 1;
		return { claim_id => $claim, sql => rows("reservation.refund('$claim', $part, '$id')") };
	},
	charge => 6 => sub {
		my ($s, $d, $id) = @_;
		my $amount = 1 + $d->(9);
		return { pool => 'account', request => $id, amount => $amount,
			sql => rows("reservation.charge('account', $amount, '$id')") };
	},
	adjust => 4 => sub {
		my ($s, $d, $id) = @_;
		my ($pool, $delta) = (one($d, qw(stock shirt account account tight)), $d->(30) - 10);
		return if $delta == 0;
		return { pool => $pool, delta => $delta,
			sql => rows("reservation.adjust('$pool', $delta, '$id', 'soak')") };
	},
	add_units => 1 => sub {
		my ($s, $d) = @_;
		my $count = 1 + $d->(3);
		return { once => 1, count => $count, sql => rows("reservation.add_units('print', $count)") };
	},
	alter_pool => 1 => sub {
		my ($s, $d) = @_;
		my $limit = 1 + $d->(50);
		return { limit => $limit, sql =>
			  rows("reservation.alter_pool('own $s->{client}', per_holder => $limit, paused => false)") };
	},
	drop_pool => 1 => sub {
		my ($s, $d, $id, $holder) = @_;
		return { pool => "brief $id", request => $id,
			sql => rows("reservation.create_pool('brief $id', 3)")
			  . rows("reservation.claim_next('brief $id', $holder, 2)")
			  . rows("reservation.drop_pool('brief $id', true)") };
	},
	cart_add => 3 => sub {
		my ($s, $d) = @_;
		my $quantity = 1 + $d->(3);
		return { once => 1, quantity => $quantity,
			sql => rows("reservation.cart_add('basket $s->{client}', 'print', $quantity)") };
	},
	cart_set => 3 => sub {
		my ($s, $d) = @_;
		my ($pool, $quantity) = (one($d, qw(print stock open account)), $d->(4));
		return { sql =>
			  rows("reservation.cart_set('cart $s->{client} $s->{epoch}', '$pool', $quantity)") };
	},
	cart_merge => 2 => sub {
		my ($s, $d, $id) = @_;
		my $quantity = 1 + $d->(3);
		# once: made again after it was committed, it would fill the guest's cart anew, and merge that
		return { once => 1, quantity => $quantity, sql => "BEGIN;\n"
			  . rows("reservation.cart_set('guest $id', 'stock', $quantity)")
			  . rows("reservation.cart_merge('guest $id', 'basket $s->{client}')") . "COMMIT;\n" };
	},
	cart_lines => 1 => sub {
		my ($s) = @_;
		return { sql => rows("reservation.cart_lines('basket $s->{client}')") };
	},
	checkout => 5 => sub {
		my ($s, $d, $id, $holder) = @_;
		my %line = map { one($d, qw(print stock open account tight)) => 1 + $d->(3) } 1 .. 3;
		delete $line{account};
		$line{stock} ||= 1;
		my $lines = join ', ', map { qq({"pool": "$_", "quantity": $line{$_}}) } sort keys %line;
		my $amount = $d->(3) ? "100, 'EUR'" : 'NULL, NULL';
		my $life = one($d, @lives);
		return { request => $id,
			sql => rows("reservation.checkout('$id', $holder, '[$lines]', $life, $amount)") };
	},
	checkout_cart => 2 => sub {
		my ($s, $d, $id, $holder) = @_;
		my $cart = "cart $s->{client} $s->{epoch}";
		return { request => $id, allow => '22023',    # an empty cart
			sql => rows("reservation.checkout_cart('$cart', '$id', $holder, '1 s', 100, 'EUR')") };
	},
	record_payment => 6 => sub {
		my ($s, $d, $id) = @_;
		my $checkout = recent($d, $s->{checkouts}) or return;
		my $amount = $d->(10) ? 100 : 99;
		my $payment = "'bank', '$id', $amount, 'EUR', $signed";
		return { checkout_id => $checkout, payment => $id,
			sql => rows("reservation.record_payment('$checkout', $payment)") };
	},
	finalize_checkout => 6 => sub {
		my ($s, $d) = @_;
		my $checkout = recent($d, $s->{checkouts}) or return;
		return { checkout_id => $checkout, sql => rows("reservation.finalize_checkout('$checkout')") };
	},
	cancel_checkout => 2 => sub {
		my ($s, $d) = @_;
		my $checkout = recent($d, $s->{checkouts}) or return;
		return { checkout_id => $checkout, sql => rows("reservation.cancel_checkout('$checkout')") };
	},
	settle_refund => 1 => sub {
		my ($s, $d, $id) = @_;
		my $checkout = recent($d, $s->{checkouts}) or return;
		return { checkout_id => $checkout, allow => '22023',    # several are due
			sql => rows("reservation.settle_refund('$checkout', '$id')") };
	},
	run_once => 3 => sub {
		my ($s, $d, $id) = @_;
		return { request => $id, sql => "\\unset first\nBEGIN;\n"
			  . "SELECT status = 'first' AS first FROM reservation.run_once('soak', '$id') \\gset\n"
			  . "\\if :first\nINSERT INTO work VALUES ('$id');\n"
			  . "SELECT FROM reservation.save_response('soak', '$id', '\"$id\"');\n\\endif\n"
			  . "COMMIT;\n" . rows("reservation.run_once('soak', '$id')") };
	},
	rate_limit => 3 => sub {
		my ($s, $d) = @_;
		my $key = $d->(20);
		return { sql => rows("reservation.rate_limit('key $key', 10, '1 s')") };
	},
	member => 4 => sub {
		my ($s, $d, $id) = @_;
		return { insert => 'member', id => $id, sql =>
			  "INSERT INTO member VALUES ('$id') ON CONFLICT DO NOTHING;\n"
			  . "SELECT row_to_json(r) FROM member r WHERE id = '$id';\n" };
	},
	member_leaves => 2 => sub {
		my ($s, $d) = @_;
		my $row = recent($d, $s->{rows}{member}) or return;
		return { id => $row, sql => "DELETE FROM member WHERE id = '$row';\n" };
	},
	line => 3 => sub {
		my ($s, $d, $id) = @_;
		my $quantity = 1 + $d->(3);
		return { insert => 'line', id => $id, allow => 'RS006', quantity => $quantity, sql =>
			  "INSERT INTO line VALUES ('$id', 'stock', $quantity) ON CONFLICT DO NOTHING;\n"
			  . "SELECT row_to_json(r) FROM line r WHERE id = '$id';\n" };
	},
	line_changes => 3 => sub {
		my ($s, $d) = @_;
		my $row = recent($d, $s->{rows}{line}) or return;
		my $quantity = $d->(5);
		return { id => $row, allow => 'RS006', quantity => $quantity, sql => $quantity
			? "UPDATE line SET quantity = $quantity WHERE id = '$row';\n"
			: "DELETE FROM line WHERE id = '$row';\n" };
	},
	job => 3 => sub {
		my ($s, $d, $id) = @_;
		my $amount = 1 + $d->(9);
		return { insert => 'job', id => $id, allow => 'RS006', amount => $amount, sql =>
			  "INSERT INTO job VALUES ('$id', 'account', $amount, 'new') ON CONFLICT DO NOTHING;\n"
			  . "SELECT row_to_json(r) FROM job r WHERE id = '$id';\n" };
	},
	job_ends => 3 => sub {
		my ($s, $d) = @_;
		my $row = recent($d, $s->{rows}{job}) or return;
		my $end = one($d, "status = 'failed'", 'done = true');
		return { id => $row, end => $end, sql => "UPDATE job SET $end WHERE id = '$row';\n" };
	},
	page => 2 => sub {
		my ($s, $d, $id) = @_;
		return { sql => "UPDATE page SET body = '$id' WHERE client = $s->{client} AND body <> '$id';\n" };
	},
	rolled_back => 3 => sub {
		my ($s, $d, $id, $holder) = @_;
		my $pool = one($d, qw(print open));
		return { request => $id, sql => "BEGIN;\n"
			  . rows("reservation.claim_next('$pool', $holder, 2, '1 day', '$id', $wait)")
			  . rows("reservation.take('stock', $holder, 2, '1 day', '$id', $wait)")
			  . "ROLLBACK;\n" };
	},
	savepoint => 2 => sub {
		my ($s, $d, $id, $holder) = @_;
		return { pool => 'print', request => $id, sql => "BEGIN;\n"
			  . rows("reservation.claim_next('print', $holder, 1, '1 s', '$id', $wait)")
			  . "SAVEPOINT s;\n"
			  . "SELECT FROM reservation.claim_next('print', $holder, 2, '1 day', '$id undone', $wait);\n"
			  . "ROLLBACK TO s;\nCOMMIT;\n" };
	},
	prepared => 1 => sub {
		my ($s, $d, $id, $holder) = @_;
		my $claim = "reservation.claim_next('print', $holder, 1, '1 s', '$id', $wait)";
		return { pool => 'print', request => $id, prepared => $id, sql => "BEGIN;\n"
			  . "SELECT FROM $claim;\nPREPARE TRANSACTION '$id';\nCOMMIT PREPARED '$id';\n"
			  . rows($claim) };
	},
	queue => 6 => sub {
		my ($s, $d, $id, $holder) = @_;
		my $tickets = "reservation.tickets t WHERE pool = 'queue' AND state IN ('waiting', 'offered')";
		my $place = 1 + $d->(5);
		return { sql => one($d, rows("reservation.join_line('queue', '$id', $place, $place)"),
			rows("reservation.join_line('queue', 'holder " . $d->(30) . "')"),
			rows("reservation.serve_line('queue', 3)"),
			rows("reservation.claim_next('queue', '$id')"),
			"SELECT FROM (SELECT ticket_id FROM $tickets LIMIT $place) t, reservation.line_position(ticket_id);\n",
			"SELECT FROM (SELECT ticket_id FROM $tickets LIMIT 1) t, reservation.leave_line(ticket_id);\n",
			"SELECT FROM (SELECT claim_id FROM reservation.claims WHERE pool = 'queue' AND state = 'held'"
			  . " LIMIT 1) c, reservation.release(claim_id);\n") };
	},
	sweep => 2 => sub { return { sql => rows('reservation.sweep(200)') }; },
	archive => 2 => sub { return { sql => rows("reservation.archive(now() - interval '3 s', 20)") }; },
	verify => 1 => sub { return { sql => rows('reservation.verify()') }; },
	look => 2 => sub {
		my ($s, $d) = @_;
		return { sql => one($d, rows("reservation.availability('{print,stock,open}')"),
			"SELECT FROM reservation.account_entries('tight');\n",
			"SELECT FROM reservation.events_since(NULL, 100);\n",
			"SELECT FROM reservation.balance_at('stock', now() - interval '2 s');\n",
			"SELECT FROM reservation.repair('hall');\n", "SELECT FROM reservation.holds_in_flight();\n",
			"SELECT FROM reservation.last_drawn(0);\n",
			"SELECT reservation.shard_of_name('stock'), reservation.shard_of_id(gen_random_uuid());\n",
			"SELECT reservation.version();\n",
			"SELECT FROM reservation.pool_status;\nSELECT FROM reservation.stats;\n",
			"SELECT FROM reservation.stats_by_id();\nSELECT FROM reservation.reset_stats();\n",
			"SELECT FROM reservation.grant_access('clerk', 'claim');\n") };
	});

my (%code, @wheel);
while (my ($name, $weight, $code) = splice @calls, 0, 3)
{
	$code{$name} = $code;
	push @wheel, ($name) x $weight;
}

sub next_call
{
	my ($state) = @_;
	my $draw = drawer($state);
	my $name = one($draw, @wheel);
	my $call =
	  $code{$name}->($state, $draw, "c$state->{client} k$state->{next}", "'holder $state->{client}'");

	return { %$call, k => $state->{next}, call => $name } if $call;
	return { k => $state->{next}, call => 'nothing', instead_of => $name };
}

1;
