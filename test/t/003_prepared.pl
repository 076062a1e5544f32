# 003_prepared.pl: a prepared transaction keeps what it claimed, through a crash and until another
# session ends it. Until then nobody is told that its units are gone.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

foreach my $preload (0, 1)
{
	my $with = $preload ? 'with preload' : 'without preload';
	my $node = Reservation->node("prepared_$preload",
		preload => $preload,
		conf => "max_prepared_transactions = 10\nreservation.claim_wait = '60s'");
	my $claim = sub {
		my ($pool, $holder, $arguments) = @_;
		return "SELECT status, number FROM reservation.claim_next('$pool', '$holder'$arguments)";
	};
	my $next = sub {
		return $node->safe_psql('postgres', $claim->(@_));
	};
	# Prepares, in a session of its own, what this statement does.
	my $prepare = sub {
		my ($name, $sql) = @_;
		return $node->safe_psql('postgres', "BEGIN; $sql; PREPARE TRANSACTION '$name';");
	};

	$node->safe_psql('postgres', <<'EOF');
CREATE EXTENSION reservation;
SELECT reservation.create_pool('gone', 1), reservation.create_pool('back', 1),
	reservation.create_pool('given', 1), reservation.create_pool('sold', 1),
	reservation.create_pool('once', 2),
	reservation.create_pool('once more', 5),
	reservation.create_pool('one each', 5, per_holder => 1),
	reservation.create_pool('open');
EOF

	# ---- the last unit, claimed

	is($prepare->('gone', $claim->('gone', 'first', '')), 'claimed|1',
		"$with: the last unit, prepared");
	is($next->('gone', 'second', ", wait => '0'"), 'busy|', 'is busy for others');
	is( $node->safe_psql('postgres',
			"SELECT available, state FROM reservation.availability('{gone}')"),
		'1|on_sale', 'as it is not sold yet');
	verify_ok($node, 'postgres', 'verify() finds nothing wrong while it is prepared');

	crash_and_restart($node);
	is($next->('gone', 'second', ", wait => '0'"), 'busy|', 'is busy after a crash');
	is($next->('gone', 'second', ", wait => '100 ms'"), 'busy|', 'also after waiting for it');
	$node->safe_psql('postgres', "COMMIT PREPARED 'gone'");
	is($next->('gone', 'second', ", wait => '0'"), 'sold_out|', 'and gone when that is committed');
	is( $node->safe_psql('postgres',
			"SELECT holder, state FROM reservation.claims WHERE pool = 'gone'"),
		'first|held', 'to the one who prepared');

	# ---- the one who waits gets it, or the answer

	my $waiting = session($node, 'postgres');
	$prepare->('back', $claim->('back', 'first', ''));
	ask_later($waiting, $claim->('back', 'second', ", wait => '1 hour'"));
	wait_until_blocked($node, $waiting);
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'back'");
	is(answer($waiting), 'claimed|1',
		"$with: after ROLLBACK PREPARED the one who waited gets the unit");
	is($next->('back', 'third', ", wait => '0'"), 'sold_out|', 'and nobody else');

	$node->safe_psql('postgres', "SELECT FROM reservation.claims c, reservation.release(c.claim_id)
		WHERE c.pool = 'back' AND c.state = 'held'");
	$prepare->('back', $claim->('back', 'first', ''));
	ask_later($waiting, $claim->('back', 'second', ", wait => '1 hour'"));
	wait_until_blocked($node, $waiting);
	$node->safe_psql('postgres', "COMMIT PREPARED 'back'");
	is(answer($waiting), 'sold_out|', "$with: after COMMIT PREPARED the one who waited hears so");

	# ---- a unit that comes back

	my $given = $node->safe_psql('postgres',
		"SELECT claim_id FROM reservation.claim_next('given', 'first')");
	is($next->('given', 'second', ", wait => '0'"), 'sold_out|', "$with: a pool is sold out");
	is($prepare->('given', "SELECT status FROM reservation.release('$given')"),
		'released', 'a release is prepared');
	is($next->('given', 'second', ", wait => '0'"), 'busy|', 'so the unit may come back');
	crash_and_restart($node);
	is($next->('given', 'second', ", wait => '0'"), 'busy|', 'also after a crash');
	$waiting = session($node, 'postgres');
	ask_later($waiting, $claim->('given', 'second', ", wait => '1 hour'"));
	wait_until_blocked($node, $waiting);
	$node->safe_psql('postgres', "COMMIT PREPARED 'given'");
	is(answer($waiting), 'claimed|1', 'and goes to the one who waited');
	is($node->safe_psql('postgres', "SELECT status, replayed FROM reservation.release('$given')"),
		'released|t', 'the release is done');

	# ---- a sale

	my $sold = $node->safe_psql('postgres',
		"SELECT claim_id FROM reservation.claim_next('sold', 'first')");
	is($prepare->('sold', "SELECT status FROM reservation.finalize('$sold')"),
		'finalized', "$with: a finalize is prepared");
	ask_later($waiting, "SELECT status FROM reservation.release('$sold')");
	wait_until_blocked($node, $waiting);
	$node->safe_psql('postgres', "COMMIT PREPARED 'sold'");
	is(answer($waiting), 'finalized', 'a release waits for it and comes too late');

	# ---- a request id, and a limit: their locks must survive, too

	my $request = ", request_id => 'r', wait => '0'";
	is($prepare->('once', $claim->('once', 'first', $request)), 'claimed|1',
		"$with: a call with a request id, prepared");
	crash_and_restart($node);
	is($next->('once', 'first', $request), 'busy|', 'keeps the others out after a crash');
	$waiting = session($node, 'postgres');
	ask_later($waiting, "SELECT status, number, replayed
		FROM reservation.claim_next('once', 'first', request_id => 'r', wait => '1 hour')");
	wait_until_blocked($node, $waiting);
	$node->safe_psql('postgres', "COMMIT PREPARED 'once'");
	is(answer($waiting), 'claimed|1|t', 'is waited for, and replayed');

	$prepare->('limit', $claim->('one each', 'first', ''));
	crash_and_restart($node);
	$waiting = session($node, 'postgres');
	ask_later($waiting, $claim->('one each', 'first', ''));
	wait_until_blocked($node, $waiting);
	$node->safe_psql('postgres', "COMMIT PREPARED 'limit'");
	is(answer($waiting), 'existing|1', "$with: a limit counts what was prepared before a crash");

	# Whoever restarts the server may also resize it.
	$prepare->('limit', $claim->('one each', 'second', ''));
	$prepare->('once more', $claim->('once more', 'first', $request));
	$node->append_conf('postgresql.conf', 'max_connections = 117');
	$node->restart;
	$waiting = session($node, 'postgres');
	my $waiting_too = session($node, 'postgres');
	ask_later($waiting, $claim->('one each', 'second', ''));
	ask_later($waiting_too, "SELECT status, number, replayed
		FROM reservation.claim_next('once more', 'first', request_id => 'r', wait => '1 hour')");
	$node->safe_psql('postgres', "COMMIT PREPARED 'limit'");
	$node->safe_psql('postgres', "COMMIT PREPARED 'once more'");
	is(answer($waiting), 'existing|2', 'also with another max_connections since');
	is(answer($waiting_too), 'claimed|1|t', 'and so does a request id');
	is( $node->safe_psql('postgres', <<'EOF'), '', 'nobody has more than the limit');
SELECT holder, count(*) FROM reservation.claims WHERE pool = 'one each' AND state = 'held'
	GROUP BY holder HAVING count(*) > 1
EOF

	# ---- all of a counted pool, and a look at what is left: neither free nor gone for others

	$node->safe_psql('postgres', "SELECT reservation.create_pool('shirt', 3, 'counted')");
	my $take = sub {
		my ($holder, $arguments) = @_;
		return "SELECT status, available FROM reservation.take('shirt', '$holder'$arguments)";
	};
	is($prepare->('shirt', $take->('first', ', 3') . ';' . $take->('first', '')),
		"claimed|\ninsufficient|0", "$with: counted: all of it, prepared");
	is($node->safe_psql('postgres', $take->('second', ", wait => '0'")),
		'busy|0', 'is busy for others');
	crash_and_restart($node);
	is($node->safe_psql('postgres', $take->('second', ", wait => '100 ms'")),
		'busy|0', 'also after a crash');
	$waiting = session($node, 'postgres');
	ask_later($waiting, $take->('second', ", wait => '1 min'"));
	wait_until_blocked($node, $waiting);
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'shirt'");
	is(answer($waiting), 'claimed|', 'and theirs when that is rolled back');
	$waiting->quit;
	is($prepare->('shirt', $take->('first', ', 2')), 'claimed|', 'counted: the rest, prepared');
	$node->safe_psql('postgres', "COMMIT PREPARED 'shirt'");
	is($node->safe_psql('postgres', $take->('third', ", wait => '0'")),
		'insufficient|0', 'is gone when that is committed');

	# ---- an open edition

	is($prepare->('open', $claim->('open', 'first', '')), 'claimed|1',
		"$with: open edition: number 1 is prepared");
	is($next->('open', 'second', ", wait => '0'"), 'claimed|2', 'so the next is number 2');
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'open'");
	is($next->('open', 'third', ", wait => '0'"), 'claimed|3', 'a number is never used twice');

	verify_ok($node, 'postgres');
	$node->stop;
}

done_testing();
