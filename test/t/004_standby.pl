# 004_standby.pl: a standby refuses to write and answers questions; promoted, it goes on where the
# primary stopped, and repeats no number.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $primary = Reservation->node('primary',
	preload => 1,
	init => [ allows_streaming => 1 ],
	conf => 'max_prepared_transactions = 10');
$primary->safe_psql('postgres', <<'EOF');
CREATE EXTENSION reservation;
CREATE ROLE reader;
CREATE TABLE answers (pool text, number integer);
SELECT reservation.create_pool('limited', 20), reservation.create_pool('open'),
	reservation.create_pool('sold out', 1), reservation.create_pool('prepared', 1),
	reservation.create_pool('unused', 1), reservation.create_pool('stock', 5, 'counted');
EOF
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

# Numbers 1 to 5 of the limited edition, of which 2 is released, 3 finalized and 5 lapsed; 1 to 5 of
# the open one, of which 3 is released.
$primary->safe_psql('postgres', <<'EOF');
SELECT FROM reservation.claim_next('limited', 'first', count => 3, request_id => 'r');
SELECT FROM reservation.claim_next('limited', 'second');
SELECT FROM reservation.claim_next('limited', 'late', ttl => '1 us');
SELECT FROM reservation.claims c, reservation.release(c.claim_id)
	WHERE c.pool = 'limited' AND c.number = 2;
SELECT FROM reservation.claims c, reservation.finalize(c.claim_id)
	WHERE c.pool = 'limited' AND c.number = 3;
SELECT FROM reservation.claim_next('open', 'first', count => 5);
SELECT FROM reservation.claims c, reservation.release(c.claim_id)
	WHERE c.pool = 'open' AND c.number = 3;
SELECT FROM reservation.claim_next('sold out', 'first');
SELECT FROM reservation.create_pool('queue', 1, opens_at => 'tomorrow');
SELECT FROM reservation.join_line('queue', 'ann');
SELECT FROM reservation.join_line('queue', 'bob', priority => 1);
EOF
$primary->safe_psql('postgres', <<'EOF');
BEGIN;
SELECT FROM reservation.claim_next('prepared', 'first');
PREPARE TRANSACTION 'prepared';
EOF
$primary->wait_for_catchup($standby, 'replay');

# ---- writing functions

my $id = $primary->safe_psql('postgres',
	"SELECT claim_id FROM reservation.claims WHERE pool = 'limited' AND number = 1");
my %writes = (
	create_pool => "'another', 1",
	alter_pool => "'limited', paused => true",
	add_units => "'limited', 1",
	drop_pool => "'unused'",
	claim_next => "'limited', 'x'",
	claim_unit => "'limited', 1, 'x'",
	extend => "'$id', '1 hour'",
	release => "'$id'",
	finalize => "'$id'",
	refund => "'$id'",
	sweep => '',
	take => "'stock', 'x'",
	charge => "'stock', 1, 'r'",
	adjust => "'stock', 1",
	cart_add => "'cart', 'stock'",
	cart_set => "'cart', 'stock', 1",
	cart_merge => "'cart', 'other'",
	checkout => q('r', 'x', '[{"pool": "limited"}]'),
	checkout_cart => "'cart', 'r', 'x'",
	set_payment_provider => "'bank', 'stripe', 'secret'",
	record_payment => "'$id', 'bank', 'p', 1, 'EUR', 'payload', 'signature'",
	finalize_checkout => "'$id'",
	cancel_checkout => "'$id'",
	settle_refund => "'$id', 'reference'",
	run_once => "'scope', 'r'",
	save_response => "'scope', 'r', '{}'",
	rate_limit => "'key', 1, '1 day'",
	join_line => "'queue', 'x'",
	leave_line => "'$id'",
	serve_line => "'queue'",
	index_events => '',
	repair => "'limited'",
	archive => "'2000-01-01'",
	grant_access => "'reader', 'read'",
);
is( $primary->safe_psql('postgres', <<'EOF'),
SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc
	WHERE pronamespace = 'reservation'::regnamespace AND provolatile = 'v'
		AND proname <> ALL ('{verify,balance_at,events_since,stats_by_id,reset_stats,holds_in_flight,last_drawn}')
		AND prorettype <> 'trigger'::regtype
EOF
	join(' ', sort keys %writes), 'every function that writes is called here');

foreach my $function (sort keys %writes)
{
	my $sql = "SELECT * FROM reservation.$function($writes{$function})";
	foreach my $case ([ $standby, '', 'standby' ],
		[ $primary, 'SET default_transaction_read_only = on;', 'read-only transaction' ])
	{
		my ($node, $before, $where) = @$case;
		my ($status, $stdout, $stderr) = $node->psql('postgres', "$before$sql",
			extra_params => [ '--variable' => 'VERBOSITY=verbose' ]);
		is($stdout, '', "$function, $where: no answer");
		like($stderr, qr/ERROR:  25006: /, "$function, $where: 25006");
		like($stderr, qr/^HINT:  \w/m, "$function, $where: a hint");
	}
}

# ---- reading functions

foreach my $read (
	'SELECT reservation.version()',
	"SELECT * FROM reservation.availability('{limited,open,sold out,prepared}')",
	'SELECT pool, kind, capacity, available, held, finalized, state
		FROM reservation.pool_status ORDER BY pool',
	'SELECT * FROM reservation.units ORDER BY pool, number',
	'SELECT * FROM reservation.claims ORDER BY claim_id',
	'SELECT pool, number, state, holder FROM reservation.holds ORDER BY pool, number',
	"SELECT count(*) FROM reservation.stuck WHERE kind = 'refund due'",
	'SELECT t.holder, l.* FROM reservation.tickets t, reservation.line_position(t.ticket_id) l
		ORDER BY t.holder',
	'SELECT * FROM reservation.events ORDER BY position, step',
	'SELECT * FROM reservation.events_since()',
	"SELECT * FROM reservation.balance_at('limited', 'infinity')",
	"SELECT * FROM reservation.balance_at('stock', 'infinity')",
	'SELECT count(*) FROM reservation.stats WHERE since > clock_timestamp()')
{
	my $answer = $standby->safe_psql('postgres', $read);
	isnt($answer, '', "on the standby: $read");
	is($answer, $primary->safe_psql('postgres', $read), 'the same as on the primary');
}
is( $standby->safe_psql('postgres',
		"SELECT available, held, finalized, state FROM reservation.availability('{limited}')"),
	'17|2|1|on_sale', 'availability is right: a lapsed hold is available');
verify_ok($standby, 'postgres', 'verify() works there, and finds nothing wrong');

# ---- promote

$primary->stop('immediate');
$standby->promote;

my $next = sub {
	my ($pool, $arguments) = @_;
	return $standby->safe_psql('postgres',
		"SELECT status, number, replayed FROM reservation.claim_next('$pool', 'next'$arguments)");
};
verify_ok($standby, 'postgres', 'promoted: verify() finds nothing wrong');
is( $standby->safe_psql('postgres', "SELECT status, number, replayed
		FROM reservation.claim_next('limited', 'first', 3, request_id => 'r')"),
	"claimed|1|t\nclaimed|2|t\nclaimed|3|t", 'promoted: a call is replayed');
is($next->('limited', ''), 'claimed|2|f', 'promoted: the lowest free number, which was released');
is($next->('limited', ''), 'claimed|5|f', 'the next one, whose hold lapsed');
is($next->('limited', ''), 'claimed|6|f', 'the next one, which nobody had');
is($next->('sold out', ", wait => '0'"), 'sold_out||f', 'promoted: sold out is sold out');
is($next->('prepared', ", wait => '0'"), 'busy||f', 'promoted: prepared is prepared');
$standby->safe_psql('postgres', "ROLLBACK PREPARED 'prepared'");
is($next->('prepared', ", wait => '0'"), 'claimed|1|f', 'and free when that is rolled back');

is($next->('open', ''), 'claimed|3|f', 'promoted: open edition: the number that was released');
my $new = $standby->safe_psql('postgres',
	"SELECT number FROM reservation.claim_next('open', 'next', 100)");
my @new = split(/\n/, $new);
is(scalar(@new), 100, 'then 100 new ones');
cmp_ok($new[0], '>', 5, 'all of them unused');
is(scalar(keys %{ { map { $_ => 1 } @new } }), 100, 'and different');

is( $standby->safe_psql('postgres', "SELECT * FROM reservation.add_units('limited', 2)"),
	'added|21|22', 'promoted: new units go on with the numbers');
verify_ok($standby, 'postgres');
$standby->stop;

done_testing();
