# 018_events.pl: whoever follows the events misses none, in whatever order transactions commit, also
# after a restore elsewhere; and logical decoding sees the same.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $node = Reservation->node('events',
	preload => 1,
	init => [ allows_streaming => 'logical' ],
	conf => "max_prepared_transactions = 5\nautovacuum = off");
my $query = sub { return $node->safe_psql('postgres', $_[0]); };

$query->(<<'EOS');
CREATE EXTENSION reservation;
SELECT reservation.create_pool('seats', 10000), reservation.create_pool('stock', 1000000, 'counted');
CREATE DATABASE copy;
CREATE PUBLICATION everything FOR TABLE reservation.claim, reservation.log;
EOS
# The subscriber has the tables, and none of their rows.
$node->safe_psql('copy', 'CREATE EXTENSION reservation');
$query->("SELECT pg_create_logical_replication_slot('pgoutput', 'pgoutput')");
# Some servers load no output plugin that is not named in their settings.
my $plugins = $query->("SELECT setting FROM pg_settings WHERE name = 'output_plugin_libraries'");
if ($plugins ne '')
{
	$node->append_conf('postgresql.conf', "output_plugin_libraries = '$plugins, wal2json'");
	$node->reload;
}
$query->("SELECT pg_create_logical_replication_slot('json', 'wal2json')");
my $decoded_from = $query->('SELECT max(position) FROM reservation.events');

# ---- readers: by events_since, and the two that everybody writes first

my %read = (
	events_since => sub {
		return "SELECT cursor, at, claim_id FROM reservation.events_since("
		  . (defined $_[0] ? "'$_[0]'" : 'NULL') . ')';
	},
	id => sub {
		return "SELECT position, at, claim_id FROM reservation.events WHERE position > "
		  . ($_[0] // 0) . ' ORDER BY position, step';
	},
	time => sub {
		return "SELECT at, at, claim_id FROM reservation.events WHERE at > '"
		  . ($_[0] // '-infinity') . "' ORDER BY at";
	});
my (%cursor, %seen);

sub follow
{
	foreach my $reader (keys %read)
	{
		foreach my $line (split /\n/, $query->($read{$reader}->($cursor{$reader})))
		{
			my ($cursor, undef, $claim) = split /\|/, $line;
			$cursor{$reader} = $cursor;
			$seen{$reader}{$claim}++ if $claim;
		}
	}
	return;
}

sub claims_seen
{
	my ($reader, @claims) = @_;
	return join(' ', map { $seen{$reader}{$_} || 0 } @claims);
}

# ---- a transaction that stays open while a later one commits

my $slow = session($node, 'postgres');
my $claim = sub {
	my ($pool) = @_;
	return "SELECT claim_id FROM reservation.claim_next('$pool', 'ann')";
};

follow();
ask($slow, 'BEGIN');
my $first = ask($slow, $claim->('seats'));
ask($slow, 'SAVEPOINT s');
my $nested = ask($slow, $claim->('seats'));
my $second = $query->($claim->('seats'));
follow();
is(claims_seen('events_since', $first, $nested, $second),
	'0 0 0', 'a transaction is open: nothing after it is certain');
is(claims_seen('id', $second), '1', 'a reader by id goes on');
is(claims_seen('time', $second), '1', 'and one by time');
ask($slow, 'COMMIT');
follow();
is(claims_seen('events_since', $first, $nested, $second), '1 1 1', 'then each comes, once');
is(claims_seen('id', $first, $nested, $second), '0 0 1', 'a reader by id has missed two');
is(claims_seen('time', $first, $nested, $second), '0 0 1', 'so has one by time');

# ---- the same with one that is prepared, and one that rolls back

ask($slow, 'BEGIN');
my $prepared = ask($slow, $claim->('seats'));
ask($slow, "PREPARE TRANSACTION 'p'");
ask($slow, 'BEGIN');
my $undone = ask($slow, $claim->('seats'));
my $third = $query->($claim->('seats'));
follow();
is(claims_seen('events_since', $prepared, $undone, $third), '0 0 0', 'a prepared one holds up');
$node->stop('immediate');
$node->start;
follow();
is(claims_seen('events_since', $prepared, $undone, $third), '0 0 0', 'also after a crash');
$query->("COMMIT PREPARED 'p'");
follow();
is(claims_seen('events_since', $prepared, $undone, $third),
	'1 0 1', 'committed: it comes, and what rolled back does not');
is(claims_seen('id', $prepared), '0', 'the reader by id has missed it');

# ---- a storm of all kinds of changes, with a reader beside it

my $storm = <<'EOS';
\set n random(1, 100)
BEGIN;
SELECT FROM reservation.take('stock', 'storm', :n);
SELECT count(s.status) FROM reservation.claim_next('seats', 'storm', 1 + :n % 2) c,
	LATERAL (SELECT status FROM reservation.finalize(c.claim_id) WHERE :n % 3 = 0
		UNION ALL SELECT status FROM reservation.release(c.claim_id) WHERE :n % 3 = 1) s;
COMMIT;
SELECT FROM reservation.adjust('stock', :n);
EOS
my $follower = session($node, 'postgres');
ask($follower, 'CREATE TABLE followed (place bigint GENERATED ALWAYS AS IDENTITY, cursor text)');
my $from = $cursor{events_since};
ask_later($follower, <<"EOF");
DO \$\$
DECLARE
	page text[];
	last text := '$from';
	ended boolean := false;
BEGIN
	LOOP
		ended := EXISTS (SELECT FROM pg_class WHERE relname = 'ended');
		page := ARRAY(SELECT e.cursor FROM reservation.events_since(last, 100) e);
		INSERT INTO followed (cursor) SELECT unnest(page);
		COMMIT;
		last := coalesce(page[cardinality(page)], last);
		EXIT WHEN ended AND page = '{}';
	END LOOP;
END
\$\$
EOF
my $run = pgbench_run($node, 'postgres', $storm, clients => 8, transactions => 60);
is($run->{exit}, 0, 'a storm') or diag($run->{stderr});
$query->('CREATE TABLE ended ()');
answer($follower);
is($query->("SELECT count(*) > 1500, count(*) = count(DISTINCT cursor) FROM followed"),
	't|t', 'a reader beside it is given events, each once');
is( $query->(<<"EOS"), '0', 'none is missing, and none is too many');
SELECT count(*) FROM followed f FULL JOIN (SELECT format('%s.%s', position, step) AS cursor
	FROM reservation.events WHERE ROW(position, step)
		> ROW(split_part('$from', '.', 1)::bigint, split_part('$from', '.', 2)::integer)) e
	USING (cursor)
WHERE f.cursor IS NULL OR e.cursor IS NULL
EOS
is( $query->(<<'EOS'), '0', 'in order');
SELECT count(*) FROM (SELECT split_part(cursor, '.', 1)::bigint AS position,
	split_part(cursor, '.', 2)::integer AS step,
	lag(split_part(cursor, '.', 1)::bigint) OVER w AS before,
	lag(split_part(cursor, '.', 2)::integer) OVER w AS step_before
	FROM followed WINDOW w AS (ORDER BY place)) f
WHERE ROW(position, step) <= ROW(before, step_before)
EOS
verify_ok($node, 'postgres');

# ---- logical decoding

my $keys = "string_agg(md5(format('%s %s', position, step)), '' ORDER BY position, step)";
my $stream = "SELECT $keys FROM reservation.stream WHERE position > $decoded_from";
my $events =
  $query->("SELECT count(*) FROM reservation.stream WHERE position > $decoded_from");
is( $query->(<<"EOS"), "$events|t", 'wal2json sees every event, once');
WITH change AS (
	SELECT data::jsonb -> 'columns' AS columns FROM pg_logical_slot_get_changes('json', NULL, NULL,
		'format-version', '2', 'add-tables', 'reservation.claim,reservation.log',
		'actions', 'insert', 'include-transaction', 'false')
), event AS (
	SELECT jsonb_path_query_first(columns, '\$[*] ? (@.name == "position").value')::bigint AS position,
		jsonb_path_query_first(columns, '\$[*] ? (@.name == "step").value')::integer AS step
	FROM change
)
SELECT count(*), $keys = ($stream) FROM event
EOS
my $connection = $node->connstr . ' dbname=postgres';
$node->safe_psql('copy', "CREATE SUBSCRIPTION copy CONNECTION '$connection' PUBLICATION everything
	WITH (create_slot = false, slot_name = 'pgoutput', copy_data = false)");
$node->wait_for_catchup('copy', 'replay', $node->lsn('write'));
my $compared = "SELECT md5(string_agg(s::text, '' ORDER BY position, step)) FROM
	(SELECT position, step, kind, event, claim_id, quantity, change, actor, request_id
		FROM reservation.stream WHERE position > $decoded_from) s";
is($node->safe_psql('copy', $compared), $query->($compared), 'a subscription sees the same');
is( $node->safe_psql('copy',
		'SELECT state, count(*) FROM reservation.claim GROUP BY 1 ORDER BY 1'),
	$query->("SELECT state, count(*) FROM reservation.claim WHERE position > $decoded_from
		GROUP BY 1 ORDER BY 1"), 'and what became of the claims');
$node->safe_psql('copy', 'ALTER SUBSCRIPTION copy DISABLE');
$node->safe_psql('copy', 'ALTER SUBSCRIPTION copy SET (slot_name = NONE)');
$node->safe_psql('copy', 'DROP SUBSCRIPTION copy');

# ---- restored on another server, whose transaction ids are lower

my $last = $query->("SELECT format('%s.%s', position, step) FROM reservation.events
	ORDER BY position DESC, step DESC LIMIT 1");
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '--file' => $dump, $node->connstr('postgres') ], 'a dump');
my $other = Reservation->node('restored', preload => 1, conf => 'autovacuum = off');
$other->psql('postgres', undef, extra_params => [ '--file' => $dump ]);
my ($old, $new) = ($query->('SELECT pg_current_xact_id()'),
	$other->safe_psql('postgres', 'SELECT pg_current_xact_id()'));
cmp_ok($new, '<', $old, 'its transaction ids are lower');
my $all = $query->('SELECT count(*) FROM reservation.events');
is($other->safe_psql('postgres', 'SELECT count(*) FROM reservation.events_since(max => 1000000)'),
	$all, 'restored: a new reader gets all that was');
is($other->safe_psql('postgres', "SELECT count(*) FROM reservation.events_since('$last')"),
	'0', 'an old one nothing that it has had');
my $after = $other->safe_psql('postgres', $claim->('seats'));
is( $other->safe_psql('postgres', "SELECT claim_id, event FROM reservation.events_since('$last')"),
	"$after|claimed", 'and then what is new');
verify_ok($other, 'postgres', 'restored: verify() finds nothing wrong');

done_testing();
