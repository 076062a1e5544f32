# 010_hints.pl: a wrong hint may cost time, never an answer. The same storm and the same model with no
# hints, with so few that they are lost all the time, and with enough for every pool; and what is
# remembered becomes wrong in every way there is: rewritten tables, reused places, restarts, a
# promotion, another installation with the same pool ids.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $seed = $ENV{RSV_SEED} || time;
srand($seed);
note("RSV_SEED=$seed gives the same model again");

use constant { POOLS => 60, UNITS => 12, CLIENTS => 8, DEEDS => 250 };

# One random deed in one of the pools, after ending what the neighbour has prepared. Nobody waits:
# a prepared transaction may have what others want.
my $deeds = <<'EOF';
WITH one AS (DELETE FROM prepared WHERE client = (:client_id + 1) % :clients RETURNING gid)
SELECT count(*) AS prepared, max(gid) AS gid FROM one \gset
\set how random(1, 2)
\if :prepared > 0 and :how = 1
COMMIT PREPARED ':gid';
\elif :prepared > 0
ROLLBACK PREPARED ':gid';
\endif
\set p random(1, :pools)
\set n random(1, :units)
\set r random(1, 1000000000)
\set deed random(1, 16)
\if :deed <= 3
SELECT FROM reservation.claim_next('p:p', 'h', wait => '0');
\elif :deed = 4
SELECT FROM reservation.claim_next('p:p', 'h', 3, wait => '0');
\elif :deed = 5
SELECT FROM reservation.claim_unit('p:p', :n, 'h', wait => '0');
\elif :deed = 6
SELECT FROM reservation.claim_next('p:p', 'h', ttl => '3 ms', wait => '0');
\elif :deed <= 8
SELECT FROM (SELECT claim_id FROM reservation.claim JOIN reservation.pool USING (pool_id)
	WHERE pool = 'p:p' AND state = 'held' AND number >= :n LIMIT 1 FOR UPDATE OF claim SKIP LOCKED) c,
	reservation.release(c.claim_id);
\elif :deed = 9
SELECT FROM (SELECT claim_id FROM reservation.claim JOIN reservation.pool USING (pool_id)
	WHERE pool = 'p:p' AND state = 'held' AND expires_at > clock_timestamp() + interval '1 minute'
	LIMIT 1 FOR UPDATE OF claim SKIP LOCKED) c, reservation.finalize(c.claim_id);
\elif :deed = 10
SELECT FROM (SELECT claim_id FROM reservation.claim JOIN reservation.pool USING (pool_id)
	WHERE pool = 'p:p' AND state = 'finalized' LIMIT 1 FOR UPDATE OF claim SKIP LOCKED) c,
	reservation.refund(c.claim_id);
\elif :deed = 11
SELECT FROM (SELECT claim_id FROM reservation.claim JOIN reservation.pool USING (pool_id)
	WHERE pool = 'p:p' AND state = 'held' LIMIT 1 FOR UPDATE OF claim SKIP LOCKED) c,
	reservation.extend(c.claim_id, '1 hour');
\elif :deed = 12
SELECT FROM reservation.add_units('p:p', 1);
\elif :deed = 13
BEGIN;
SELECT FROM reservation.claim_next('p:p', 'h', wait => '0');
SELECT FROM reservation.claim_next('p:p', 'h', 2, wait => '0');
ROLLBACK;
\elif :deed = 14
BEGIN;
SAVEPOINT before;
SELECT FROM reservation.claim_next('p:p', 'h', wait => '0');
SELECT FROM reservation.claim_next('p:p', 'h', wait => '0');
ROLLBACK TO before;
SELECT FROM reservation.claim_next('p:p', 'h', wait => '0');
COMMIT;
\elif :deed = 15
SELECT FROM reservation.sweep(5);
\else
BEGIN;
SELECT FROM reservation.claim_next('p:p', 'h', 2, wait => '0');
SELECT FROM (SELECT claim_id FROM reservation.claim JOIN reservation.pool USING (pool_id)
	WHERE pool = 'p:p' AND state = 'held' LIMIT 1 FOR UPDATE OF claim SKIP LOCKED) c,
	reservation.release(c.claim_id);
PREPARE TRANSACTION 'g:client_id-:r';
INSERT INTO prepared SELECT :client_id, 'g:client_id-:r' WHERE NOT EXISTS
	(SELECT FROM prepared WHERE client = :client_id);
\endif
EOF

# Pools in which free and live units are not what the pool has, or a unit is live twice.
my $wrong_books = <<'EOF';
SELECT count(*) FROM reservation.pool p WHERE capacity + units_added <>
	(SELECT count(*) FROM reservation.available a WHERE a.pool_id = p.pool_id) +
	(SELECT count(DISTINCT number) FROM reservation.claim c
		WHERE c.pool_id = p.pool_id AND state IN ('held', 'finalized'))
EOF

# Claims, each in a transaction of its own, until the pool says no.
my $sell_out = <<'EOF';
CREATE TABLE prepared (client integer, gid text);
CREATE TABLE sold_out (pool text, expected bigint, claimed bigint, answer text);
CREATE PROCEDURE sell_out() LANGUAGE plpgsql AS $$
DECLARE
	p record;
	answer text;
	n bigint;
BEGIN
	FOR p IN SELECT pool, available FROM reservation.pool_status ORDER BY pool LOOP
		n := -1;
		LOOP
			n := n + 1;
			SELECT status INTO STRICT answer FROM reservation.claim_next(p.pool, 'last', wait => '0');
			COMMIT;
			EXIT WHEN answer <> 'claimed';
		END LOOP;
		INSERT INTO sold_out VALUES (p.pool, p.available, n, answer);
	END LOOP;
END $$;
EOF

sub storm
{
	my ($node, $with) = @_;

	$node->safe_psql('postgres', $sell_out);
	$node->safe_psql('postgres',
		"SELECT FROM generate_series(1, @{[POOLS]}) p, reservation.create_pool('p' || p, @{[UNITS]})");
	my $log_start = -s $node->logfile;
	my $run = pgbench_run($node, 'postgres', $deeds,
		clients => CLIENTS, transactions => DEEDS, jobs => 2,
		args => [
			'--define=clients=' . CLIENTS, '--define=pools=' . POOLS, '--define=units=' . UNITS
		]);
	is($run->{exit}, 0, "$with: the storm ends well") or diag($run->{stderr});
	is($run->{processed}, CLIENTS * DEEDS, "$with: every deed was done");
	unlike(slurp_file($node->logfile, $log_start),
		qr/\b(ERROR|FATAL|PANIC|WARNING):/, "$with: no error of any kind");
	$node->safe_psql('postgres', "ROLLBACK PREPARED '$_'")
	  foreach split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');

	is($node->safe_psql('postgres', $wrong_books), '0', "$with: free + live = capacity");
	is( $node->safe_psql('postgres', "BEGIN; DELETE FROM reservation.available
			WHERE ctid = (SELECT min(ctid) FROM reservation.available); $wrong_books; ROLLBACK"),
		'1', "$with: control: one unit less would have been noticed");
	verify_ok($node, 'postgres', "$with: verify() after the storm");
	cmp_ok($node->safe_psql('postgres', 'SELECT sum(available) FROM reservation.pool_status'),
		'>', 100, "$with: there is enough left to sell");
	$node->safe_psql('postgres', 'CALL sell_out()');
	is( $node->safe_psql('postgres', "SELECT * FROM sold_out
			WHERE claimed <> expected OR answer <> 'sold_out'"),
		'', "$with: every pool gives what it has, then it is sold out");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM reservation.available'),
		'0', "$with: nothing is left");
	is($node->safe_psql('postgres', $wrong_books), '0', "$with: every unit is live once");
	verify_ok($node, 'postgres', "$with: verify() after the sale");
	return;
}

# The same for counted pools, new ones each time: afterwards each gives exactly what it has, to the
# unit, and is then known to be empty.
my $stock_deeds = <<'EOF';
\set p random(1, :pools)
\set q random(1, 5)
\set r random(1, 1000000000)
\set deed random(1, 9)
\if :deed <= 3
SELECT FROM reservation.take('PREFIX' || :p, 'h', :q, wait => '0');
\elif :deed = 4
SELECT FROM reservation.take('PREFIX' || :p, 'h', :q, ttl => '3 ms', wait => '0');
\elif :deed = 5
SELECT FROM (SELECT claim_id FROM reservation.claim JOIN reservation.pool USING (pool_id)
	WHERE pool = 'PREFIX' || :p AND state = 'held' LIMIT 1 FOR UPDATE OF claim SKIP LOCKED) c,
	reservation.release(c.claim_id);
\elif :deed = 6
SELECT FROM reservation.adjust('PREFIX' || :p, CASE WHEN :q = 5 THEN -2 ELSE 1 END, 'a' || :client_id || :r);
\elif :deed = 7
BEGIN;
SELECT FROM reservation.take('PREFIX' || :p, 'h', :q, wait => '0');
SAVEPOINT before;
SELECT FROM reservation.take('PREFIX' || :p, 'h', :q, wait => '0');
ROLLBACK TO before;
COMMIT;
\elif :deed = 8
BEGIN;
SELECT FROM reservation.take('PREFIX' || :p, 'h', :q, wait => '0');
SELECT FROM reservation.take('PREFIX' || :p, 'h', 1, wait => '0');
ROLLBACK;
\else
BEGIN;
SELECT FROM reservation.take('PREFIX' || :p, 'h', :q, wait => '0');
PREPARE TRANSACTION 'g:client_id-:r';
ROLLBACK PREPARED 'g:client_id-:r';
\endif
EOF

sub stock_storm
{
	my ($node, $with) = @_;
	my $prefix = "$with ";

	$node->safe_psql('postgres',
		"SELECT FROM generate_series(1, @{[POOLS]}) p, reservation.create_pool('$prefix' || p, @{[UNITS]}, 'counted')");
	my $run = pgbench_run($node, 'postgres', $stock_deeds =~ s{PREFIX}{$prefix}gr,
		clients => CLIENTS, transactions => DEEDS, jobs => 2,
		args => [ '--define=pools=' . POOLS ]);
	is($run->{exit}, 0, "$with: the storm on stock ends well") or diag($run->{stderr});
	verify_ok($node, 'postgres', "$with: verify() after the storm on stock");
	is( $node->safe_psql('postgres', <<"EOS"), '', "$with: every pool gives what it has, then there is nothing");
SELECT p.pool, p.available, n.given, n.answers FROM reservation.pool_status p, LATERAL (
	SELECT count(*) FILTER (WHERE t.status = 'claimed') AS given,
		string_agg(DISTINCT t.status || ' ' || t.available, ', ') FILTER (WHERE t.status <> 'claimed') AS answers
	FROM generate_series(1, p.available + 2) g, reservation.take(p.pool, 'last ' || g, 1, wait => '0') t) n
WHERE p.pool ^\@ '$prefix' AND (n.given <> p.available OR n.answers <> 'insufficient 0')
EOS
	is( $node->safe_psql('postgres', "SELECT sum(quantity) FROM reservation.stock JOIN reservation.pool p USING (pool_id)
			WHERE pool ^\@ '$prefix'"), '0', "$with: no slot has anything left");
	verify_ok($node, 'postgres', "$with: verify() after all stock is taken");
	return;
}

# ---- a naive model, kept here: what is free, and what is held

my (%free, %held, @wrong, $deeds_done, $session, $where);

# Asks, and compares the answer with what the model says.
sub expect
{
	my ($sql, $expected) = @_;
	my $answer = ask($session, $sql);

	$deeds_done++;
	push @wrong, "$where, deed $deeds_done: $sql: $answer, should be $expected"
	  if $answer ne $expected;
	return;
}

# Claims the next units. how: hold (the model remembers), brief (lapsed, so free again), or undone
# by the caller.
sub claim_next
{
	my ($pool, $count, $how) = @_;
	my @numbers = sort { $a <=> $b } keys %{ $free{$pool} };
	my $ttl = $how eq 'brief' ? ", ttl => '1 us'" : '';

	@numbers = @numbers < $count ? () : @numbers[ 0 .. $count - 1 ];
	expect("SELECT coalesce(string_agg(number::text, ' '), min(status))
		FROM reservation.claim_next('$pool', 'h', $count, wait => '0'$ttl)",
		@numbers ? "@numbers" : 'sold_out');
	take($pool, @numbers) if $how ne 'brief';
	return @numbers;
}

sub take
{
	my ($pool, @numbers) = @_;

	delete @{ $free{$pool} }{@numbers};
	$held{$pool}{$_} = 1 foreach @numbers;
	return;
}

sub give_back
{
	my ($pool, @numbers) = @_;

	delete @{ $held{$pool} }{@numbers};
	$free{$pool}{$_} = 1 foreach @numbers;
	return;
}

sub any
{
	my @all = sort @_;
	return $all[ rand @all ];
}

# Of the live claim of a unit.
sub settle
{
	my ($function, $pool, $number, $expected) = @_;

	expect("SELECT s.status FROM reservation.claim c JOIN reservation.pool p USING (pool_id),
		reservation.$function(c.claim_id) s WHERE p.pool = '$pool' AND c.number = $number
		AND (state = 'finalized' OR state = 'held' AND c.expires_at > clock_timestamp())",
		$expected);
	return;
}

sub release_any
{
	my ($pool) = @_;
	my $number = any(keys %{ $held{$pool} });

	return unless defined $number;
	settle('release', $pool, $number, 'released');
	give_back($pool, $number);
	return $number;
}

my @model_deeds = (
	(sub { claim_next($_[0], 1, 'hold') }) x 5,
	sub { claim_next($_[0], 2 + int(rand 4), 'hold') },
	sub { claim_next($_[0], 1, 'brief') },
	sub {
		my ($pool) = @_;
		my $number = any(keys %{ $free{$pool} });
		return unless defined $number;
		expect("SELECT status FROM reservation.claim_unit('$pool', $number, 'h')", 'claimed');
		take($pool, $number);
	},
	(sub { release_any($_[0]) }) x 3,
	sub {
		my ($pool) = @_;
		my $number = any(keys %{ $held{$pool} });
		return unless defined $number;
		settle('finalize', $pool, $number, 'finalized');
		settle('refund', $pool, $number, 'refunded');
		give_back($pool, $number);
	},
	# several come back in one transaction, in any order
	sub {
		my ($pool) = @_;
		ask($session, 'BEGIN');
		release_any($pool) foreach 1 .. 4;
		claim_next($pool, 1, 'hold');
		ask($session, 'COMMIT');
	},
	sub {
		my ($pool) = @_;
		ask($session, 'BEGIN');
		give_back($pool, map { claim_next($pool, $_, 'undone') } 1, 3, 1);
		ask($session, 'ROLLBACK');
	},
	# a unit among those that were read ahead, undone
	sub {
		my ($pool) = @_;
		my $number = any(keys %{ $free{$pool} });
		return unless defined $number;
		ask($session, 'BEGIN');
		expect("SELECT status FROM reservation.claim_unit('$pool', $number, 'h')", 'claimed');
		ask($session, 'ROLLBACK');
	},
	sub {
		my ($pool) = @_;
		ask($session, 'BEGIN; SAVEPOINT before');
		give_back($pool, map { claim_next($pool, $_, 'undone') } 1, 2);
		ask($session, 'ROLLBACK TO before');
		claim_next($pool, 1, 'hold');
		ask($session, 'SAVEPOINT kept');
		claim_next($pool, 1, 'hold');
		ask($session, 'RELEASE kept; COMMIT');
	},
	sub {
		my ($pool) = @_;
		ask($session, 'BEGIN');
		take($pool, release_any($pool) // ());
		ask($session, 'ROLLBACK');
	},
	sub {
		my ($pool) = @_;
		my ($first, $last) = split /\|/,
		  ask($session, "SELECT first_number, last_number FROM reservation.add_units('$pool', 3)");
		$free{$pool}{$_} = 1 foreach $first .. $last;
	},
	sub { ask($session, 'SELECT FROM reservation.sweep()') },
	# other pools, which may take the place of this one in shared memory
	sub { ask($session, "SELECT FROM reservation.claim_next('other $_', 'h')") foreach 1 .. 10 },
	# what is remembered of places becomes wrong, and other rows come to lie there
	(sub {
		expect(any(
				'VACUUM reservation.available',
				'VACUUM FULL reservation.available',
				'VACUUM FULL reservation.pool',
				'CLUSTER reservation.available USING available_pkey',
				'CLUSTER reservation.pool USING pool_pkey',
				'REINDEX TABLE reservation.available',
				'VACUUM FULL reservation.claim'), '');
		my $other = "later $deeds_done";
		ask($session, "SELECT FROM reservation.create_pool('$other', 20),
			reservation.alter_pool('$_[0]', paused => false)");
		ask($session, "SELECT FROM reservation.drop_pool('$other'); VACUUM reservation.available,
			reservation.pool") if rand() < 0.5;
	}) x 2);

sub model
{
	my ($node, $count, $in) = @_;
	my $before = $deeds_done;

	$where = $in;
	@wrong = ();
	$session = session($node, 'postgres');
	$model_deeds[ rand @model_deeds ]->(any(keys %free)) foreach 1 .. $count;
	is(join("\n", splice(@wrong, 0, 5)), '',
		"$in: always the lowest free number, in " . ($deeds_done - $before) . ' answers');
	is( $node->safe_psql('postgres', "SELECT pool, available FROM reservation.pool_status
			WHERE pool LIKE 'model%' ORDER BY 1"),
		join("\n", map { "$_|" . keys %{ $free{$_} } } sort keys %free),
		"$in: the model and the books agree on what is free");
	verify_ok($node, 'postgres', "$in: verify() after the model");
	$session->quit;
	return;
}

sub begin_model
{
	my ($node) = @_;

	%free = %held = ();
	$deeds_done = 0;
	foreach my $pool ('model a', 'model b', 'model c')
	{
		$node->safe_psql('postgres', "SELECT FROM reservation.create_pool('$pool', 60)");
		give_back($pool, 1 .. 60);
	}
	$node->safe_psql('postgres',
		"SELECT FROM generate_series(1, 10) p, reservation.create_pool('other ' || p, 1000)");
	return;
}

# ---- all of it, three times

foreach my $case (
	[ 'without hints', 0, '', 0 ],
	[ 'with few hints', 1, 'reservation.hint_pools = 8', 8 ],
	[ 'with hints', 1, 'reservation.hint_pools = 1024', POOLS ])
{
	my ($with, $preload, $conf, $marked) = @$case;
	my $node = Reservation->node(($with =~ s/ /_/gr),
		preload => $preload,
		init => [ allows_streaming => 1 ],
		conf => "max_prepared_transactions = 50\nautovacuum = off\n$conf");

	$node->safe_psql('postgres', 'CREATE EXTENSION reservation');
	storm($node, $with);
	is($node->safe_psql('postgres', 'SELECT count(*) FROM reservation.stats'),
		$marked, "$with: $marked pools have marks");
	stock_storm($node, "$with, stock");

	begin_model($node);
	model($node, 250, $with);
	$node->restart;
	model($node, 60, "$with, restarted");
	crash_and_restart($node);
	model($node, 60, "$with, after a crash");
	stock_storm($node, "$with, stock after a crash");

	$node->backup('backup');
	my $standby = PostgreSQL::Test::Cluster->new(($with =~ s/ /_/gr) . '_standby');
	$standby->init_from_backup($node, 'backup', has_streaming => 1);
	$standby->start;
	model($node, 40, "$with, beside a standby");
	$node->wait_for_catchup($standby, 'replay');
	$node->stop;
	$standby->promote;
	model($standby, 100, "$with, promoted");
	stock_storm($standby, "$with, stock of the promoted");
	$standby->stop;
}

# ---- another installation with the same pool ids

my $node = Reservation->node('again', preload => 1, conf => 'reservation.hint_pools = 8');
my $claim_all = "SELECT string_agg(coalesce(number::text, status), ' ') FROM generate_series(1, 5) i
	CROSS JOIN LATERAL reservation.claim_next('print', 'h' || i)";
my $drop = 'SET client_min_messages = warning; DROP EXTENSION reservation CASCADE';
my $create = "CREATE EXTENSION reservation; SELECT FROM reservation.create_pool('print', 4);
	SELECT pool_id FROM reservation.pool";
$session = session($node, 'postgres');
is(ask($session, $create) =~ s/^\s+//r, '1', 'a pool');
is(ask($session, $claim_all), '1 2 3 4 sold_out', 'is sold out');
is(ask($session, "$drop; $create") =~ s/^\s+//r, '1',
	'another installation, a pool of the same id');
is(ask($session, $claim_all), '1 2 3 4 sold_out', 'has all its units');
is(ask($session, 'SELECT claims, gone FROM reservation.stats'), '4|1', 'and its own counters');
ask($session, "$drop; $create");
is(ask($session, 'SELECT pools FROM reservation.reset_stats()'),
	'0', 'with which those of former installations are not counted');

# What a session remembers of the order numbers is of the former installation, too.
my $orders = "SELECT string_agg(o.order_number::text, ' ') FROM generate_series(1, %d) i,
	LATERAL reservation.checkout('%s' || i, 'ann', '[{\"pool\": \"%s\"}]') c, LATERAL reservation.finalize_checkout(c.checkout_id) o";
is(ask($session, sprintf $orders, 3, 'a', 'print'), '1 2 3', 'orders');
is(ask($session, sprintf $orders, 1, 'b', 'print'), '4', 'and one more');
is(ask($session, "SELECT status FROM reservation.add_units('print', 1)"), 'added', 'another unit');
is(ask($session, sprintf $orders, 1, 'c', 'print'), '5', 'which is ordered by a session that knows of settled ones');
ask($session, "SET lock_timeout = '9s'; $drop; $create; SELECT FROM reservation.create_pool('shirt', 9, 'counted')");
my $other = session($node, 'postgres');
is(ask($other, 'BEGIN; ' . sprintf $orders, 4, 'a', 'print'), '1 2 3 4', 'another installation numbers from 1 on');
is(ask($session, sprintf $orders, 1, 'b', 'shirt'), '5', 'past those of an unfinished transaction');
ask($other, 'ROLLBACK');
is(ask($session, sprintf $orders, 2, 'c', 'shirt'), '1 2', 'what that gave back is next');
$other->quit;
verify_ok($node, 'postgres');

# ---- rows that an administrator changes behind our back

# Wherever a snapshot shows what the marks deny, the snapshot is right.
$session = session($node, 'postgres');
my $doubter = session($node, 'postgres');
ask($session, "SET statement_timeout = '20s'");
ask($session, "SELECT FROM reservation.create_pool('by hand', 5)");
is(ask($session, "SELECT count(*) FROM reservation.claim_next('by hand', 'ann', 4)"), '4', 'four of five');
is(ask($session, "BEGIN; SELECT number FROM reservation.claim_next('by hand', 'bob')"), '5', 'and the last');
my $by_hand = "(SELECT pool_id FROM reservation.pool WHERE pool = 'by hand')";
ask($doubter, "INSERT INTO reservation.available VALUES ($by_hand, 0)");
is(ask($session, "SELECT status, number FROM reservation.claim_next('by hand', 'bob', wait => '0')"),
	'claimed|0', 'a transaction finds a unit that was put there by hand');
ask($session, 'ROLLBACK');

# So it is with holds whose end is moved: after a second, somebody looks.
ask($session, "SELECT FROM reservation.create_pool('moved', 2);
	SELECT FROM reservation.claim_next('moved', 'ann', 2, ttl => '1 hour')");
is(ask($session, "SELECT status FROM reservation.claim_next('moved', 'bob')"), 'sold_out', 'all are held') for 1 .. 3;
ask($doubter, "UPDATE reservation.claim SET expires_at = now()
	WHERE pool_id = (SELECT pool_id FROM reservation.pool WHERE pool = 'moved')");
ask($session, 'SELECT FROM pg_sleep(1.1)');
is(ask($session, "SELECT status, number FROM reservation.claim_next('moved', 'bob')"), 'claimed|1', 'holds that were ended by hand are taken over');
ask($doubter, "DELETE FROM reservation.available WHERE pool_id = $by_hand AND number = 0");
$_->quit for $session, $doubter;

# ---- a walk under way while its pool loses its place, gets another, and is walked again

# A walk goes through this check when it takes over a lapsed hold, and stays there while the gate is
# closed. How many walks a place in shared memory has seen must not matter, so try several.
$node->safe_psql('postgres', <<'EOF');
CREATE FUNCTION pass_gate() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('test.gate', true) = 'heed' THEN
		PERFORM pg_advisory_xact_lock_shared(4712);
	END IF;
	RETURN true;
END $$;
ALTER TABLE reservation.log ADD CONSTRAINT gate CHECK (pass_gate());
SELECT FROM generate_series(1, 8) p, reservation.create_pool('evicts ' || p, 1000);
EOF
$session = session($node, 'postgres');
my $walker = session($node, 'postgres');
ask($walker, "SET test.gate = 'heed'");
my @refused;
foreach my $walks (0 .. 12)
{
	my $pool = "walked $walks";
	my $next = "SELECT coalesce(number::text, status)
		FROM reservation.claim_next('$pool', 'h', wait => '0')";
	ask($session, "SELECT FROM reservation.create_pool('$pool', 3);
		SELECT FROM reservation.claim_unit('$pool', 3, 'h', ttl => '1 us');
		SELECT FROM reservation.claim_next('$pool', 'h', 2); SELECT FROM pg_advisory_lock(4712)");
	ask_later($walker, $next);
	wait_until_blocked($node, $walker);
	# each a walk, in the place that the pool will get
	ask($session, "SELECT FROM reservation.claim_next('evicts 1', 'h', ttl => '1 us')")
	  foreach 1 .. $walks;
	ask($session, "SELECT FROM reservation.claim_next('evicts $_', 'h')") foreach 1 .. 8;
	ask($session, "SELECT FROM reservation.claim c JOIN reservation.pool p USING (pool_id),
		reservation.release(c.claim_id) WHERE p.pool = '$pool' AND c.number < 3");
	my $first = ask($session, $next);
	ask($session, 'SELECT FROM pg_advisory_unlock(4712)');
	my $walked = answer($walker);
	my $second = ask($session, $next);
	push @refused, "$walks walks: $first, $walked, $second" if "$first $walked $second" ne '1 3 2';
}
is(join("\n", @refused), '', 'a walk that comes late hides nothing that was given back meanwhile');
verify_ok($node, 'postgres');
$walker->quit;
$session->quit;
$node->stop;

done_testing();
