# 035_directory.pl: where pools were last found (directory.c). A session finds without an index what
# any other has found before; and what the directory says of a pool that has moved, been dropped and
# made again, or is another database's, costs a look in the index, and changes no answer.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

use constant POOLS => 300;

# How often the indexes of pools have been asked so far.
my $lookups = "SELECT sum(idx_scan) FROM pg_stat_user_indexes WHERE schemaname = 'reservation' AND relname = 'pool'";

# Takes one from each pool, in a session of its own; what it was given is in the order of the pools.
my $take_all = 'SELECT count(DISTINCT t.pool), bool_and(t.status = $$claimed$$ AND t.pool = $$pool $$ || n)
	FROM generate_series(1, ' . POOLS . ') n, reservation.take($$pool $$ || n, $$ann$$) t';

sub make_pools
{
	my ($node, $dbname) = @_;
	$node->safe_psql($dbname, 'CREATE EXTENSION reservation;
		SELECT FROM generate_series(1, ' . POOLS . ") n, reservation.create_pool('pool ' || n, 1000, 'counted')");
	return;
}

# What every pool has given, by its own claims: how many pools, and the least and the most of any.
sub given
{
	my ($node, $dbname) = @_;
	return $node->safe_psql($dbname, q{SELECT count(*), min(claims), max(claims) FROM (
		SELECT pool_id, count(*) AS claims FROM reservation.claim GROUP BY pool_id) c});
}

# ---- others find at once what one has found

for my $preload (0, 1)
{
	my $with = $preload ? 'with shared memory' : 'without';
	my $node = Reservation->node("found_$preload", preload => $preload);
	make_pools($node, 'postgres');
	is($node->safe_psql('postgres', $take_all), POOLS . '|t', "$with: one session takes from each pool");
	my $before = $node->safe_psql('postgres', $lookups);
	is($node->safe_psql('postgres', $take_all), POOLS . '|t', "$with: so does another");
	my $asked = $node->safe_psql('postgres', $lookups) - $before;
	if ($preload)
	{
		cmp_ok($asked, '<', POOLS / 10, "$with: and seldom asks the index");
	}
	else
	{
		cmp_ok($asked, '>=', POOLS, "$with: and asks the index for each");
	}
	is(given($node, 'postgres'), POOLS . '|2|2', "$with: each pool has given two");
	verify_ok($node, 'postgres');
	$node->stop;
}

# ---- entries that are wrong: too few for the pools, and those of other databases

for my $conf ('reservation.directory_pools = 16', '')
{
	my $with = $conf || 'with the default';
	my $node = Reservation->node($conf ? 'small' : 'large', preload => 1, conf => $conf);
	$node->safe_psql('postgres', 'CREATE DATABASE other');
	make_pools($node, 'postgres');
	# the same names, at other places, with other ids
	$node->safe_psql('other', 'CREATE EXTENSION reservation;
		SELECT FROM generate_series(' . POOLS . ", 1, -1) n, reservation.create_pool('pool ' || n, 1000, 'counted')");
	for my $dbname (qw(postgres other postgres))
	{
		is($node->safe_psql($dbname, $take_all), POOLS . '|t', "$with: a session takes from each pool of $dbname");
	}
	is(given($node, 'postgres'), POOLS . '|2|2', "$with: each pool of one database has given two");
	is(given($node, 'other'), POOLS . '|1|1', "$with: each of the other one");

	# every row moves, and its place has another pool
	$node->safe_psql('postgres', 'CLUSTER reservation.pool USING pool_pkey');
	$node->safe_psql('postgres', "SELECT reservation.drop_pool('pool ' || n, force => true) FROM generate_series(1, 100) n");
	$node->safe_psql('postgres', 'VACUUM FULL reservation.pool');
	$node->safe_psql('postgres',
		"SELECT reservation.create_pool('pool ' || n, 1000, 'counted') FROM generate_series(100, 1, -1) n");
	is($node->safe_psql('postgres', $take_all), POOLS . '|t', "$with: and from each after they have moved");
	is( $node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT p.pool), sum(s.held) FROM reservation.pool p
			JOIN reservation.pool_status s USING (pool) WHERE p.dropped_at IS NULL AND p.pool_id > 300}),
		'100|100|100', "$with: of pools that were made anew, the new ones");

	# a name that is looked for while nobody has committed the pool
	my $maker = session($node, 'postgres');
	ask($maker, "BEGIN; SELECT FROM reservation.create_pool('late', 5, 'counted')");
	is(ask($maker, "SELECT status FROM reservation.take('late', 'ann')"), 'claimed', "$with: who makes a pool can use it");
	my $other = session($node, 'postgres');
	is(ask($other, "SELECT status FROM reservation.take('late', 'bob')"), 'ERROR:  42704', "$with: others do not see it");
	ask($maker, 'ROLLBACK');
	is(ask($maker, "SELECT status FROM reservation.take('late', 'ann')"), 'ERROR:  42704', "$with: nor anybody after a rollback");
	$_->quit for $maker, $other;
	verify_ok($node, $_) for qw(postgres other);
	$node->stop;
}

done_testing();
