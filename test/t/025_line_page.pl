# 025_line_page.pl: the examples of docs/line.md are run, and answer what the page says. And the
# notifications of a pool, which need a second session.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $node = Reservation->node('line_page', preload => 1, conf => 'max_prepared_transactions = 2');
$node->safe_psql('postgres', 'CREATE EXTENSION reservation');

my $page = slurp_file("$FindBin::RealBin/../../docs/line.md");
my $examples = 0;
while ($page =~ /^```sql\n(.*?)^```\n^```\n(.*?)^```\n/msg)
{
	my ($sql, $answer) = ($1, $2);
	my $first = (split /\n/, $sql)[0];

	chomp $answer;
	is($node->safe_psql('postgres', $sql), $answer, $first);
	$examples++;
}
is($examples, 8, 'every example of the page has been run');
is(() = $page =~ /^```sql$/mg, $examples, 'and each has its answer');

# ---- being told that offers were made

$node->safe_psql('postgres', <<'EOS');
SELECT FROM reservation.create_pool('told', 5, notify_every => '1 hour');
SELECT FROM reservation.create_pool('untold', 5);
SELECT FROM reservation.claim_next('told', 'ann', 5);
SELECT FROM reservation.claim_next('untold', 'ann', 5);
SELECT FROM generate_series(1, 5) n, reservation.join_line('told', 'h' || n);
SELECT FROM generate_series(1, 5) n, reservation.join_line('untold', 'h' || n);
EOS

sub release
{
	my ($pool, $number, $end) = @_;
	return "BEGIN; SELECT r.status FROM reservation.claims c, reservation.release(c.claim_id) r
		WHERE pool = '$pool' AND holder = 'ann' AND number = $number; $end";
}

# What the listener hears during these statements.
sub heard
{
	my ($sql) = @_;
	my $output = $node->safe_psql('postgres', "LISTEN reservation_line; $sql; SELECT 'end'");
	return join ' ', $output =~ /notification "reservation_line" with payload "(\w+)"/g;
}

is(heard(release('untold', 1, 'COMMIT')), '', 'a pool without notify_every says nothing');
is(heard(release('told', 1, 'ROLLBACK')), '', 'nor does an offer that was rolled back');
is(heard(release('told', 1, "PREPARE TRANSACTION 'p'")), '', 'an offer can be prepared, and says nothing');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
is(heard(release('told', 2, 'COMMIT')), 'told', 'an offer is told');
is(heard(release('told', 3, 'COMMIT')), '', 'but not again within the hour');
$node->safe_psql('postgres', "SELECT FROM reservation.alter_pool('told', notify_every => '2 hours')");
is(heard(release('told', 4, 'COMMIT')), 'told', 'another time begins anew');
$node->safe_psql('postgres', "SELECT FROM reservation.alter_pool('told', notify_every => '0')");
is(heard(release('told', 5, 'COMMIT')), '', 'and zero ends it');
is($node->safe_psql('postgres', "SELECT count(*) FROM reservation.tickets WHERE pool = 'told' AND state = 'offered'"),
	5, 'all were offered');

# What a commit has to tell may be of a pool that was rolled back, or of an extension that is gone.
is( heard(
		"BEGIN; CREATE TABLE kept (); SAVEPOINT s; SELECT FROM reservation.create_pool('undone', 1, notify_every => '1 s');
		SELECT status FROM reservation.join_line('undone', 'ann'); ROLLBACK TO s; COMMIT;
		SELECT 'kept' FROM kept"),
	'', 'nothing is told of a pool that was rolled back');
is($node->safe_psql('postgres', "SELECT count(*) FROM kept"), 0, 'and the transaction committed');

# A number whose row never arrives goes back at the commit, and is offered there.
$node->safe_psql('postgres', <<'EOF');
SELECT FROM reservation.create_pool('late', 1, notify_every => '1 hour');
CREATE TABLE member (id integer PRIMARY KEY, number integer UNIQUE);
INSERT INTO member VALUES (1);
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON member FOR EACH ROW
	EXECUTE FUNCTION reservation.assign_number('late', 'number');
EOF
is( heard(
		"BEGIN; INSERT INTO member VALUES (1) ON CONFLICT DO NOTHING;
		SELECT status FROM reservation.join_line('late', 'ann'); COMMIT"),
	'late', 'what is offered at the commit is told');
is($node->safe_psql('postgres', "SELECT state FROM reservation.tickets WHERE pool = 'late'"), 'offered', 'it was');

verify_ok($node, 'postgres');
is(heard("BEGIN; SELECT FROM reservation.alter_pool('told', notify_every => '1 s'); SELECT status FROM reservation.add_units('told', 1);
	SELECT status FROM reservation.join_line('told', 'zoe'); DROP EXTENSION reservation CASCADE; COMMIT"),
	'', 'nothing is told of an extension that is gone');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_extension WHERE extname = 'reservation'"), 0, 'and it is');
$node->stop;
done_testing();
