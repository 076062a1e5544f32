# 032_recovery.pl: point-in-time recovery. A server is restored from a base backup and its archive to
# a moment in the middle of a sale, once by a restore point and once by a time: the books are those of
# that moment, right, and go on from there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use History;
use Reservation;

my $node = Reservation->node('before', preload => 1, init => [ has_archiving => 1, allows_streaming => 1 ]);
my $sql = sub { return $node->safe_psql('postgres', $_[0]) };

$sql->('CREATE ROLE clerk LOGIN');
$node->backup('backup');
$sql->(HISTORY);
$sql->(APPLICATION);

# Holds that come and go all the time, in transactions some of which roll back.
my $sale = <<'EOF';
\set what random(1, 4)
BEGIN;
SELECT claim_id AS id FROM reservation.claim_next('sale', 'buyer') \gset
SELECT FROM reservation.take('goods', 'buyer', 2);
SELECT FROM reservation.charge('purse', 1, NULL);
\if :what = 1
SELECT FROM reservation.finalize(':id');
COMMIT;
\elif :what = 2
SELECT FROM reservation.release(':id');
COMMIT;
\elif :what = 3
ROLLBACK;
\else
COMMIT;
\endif
EOF
my $sell = sub {
	my $run = pgbench_run($node, 'postgres', $sale, clients => 8, jobs => 2, transactions => 40);
	is($run->{exit}, 0, 'a sale') or diag($run->{stderr});
};
$sql->("SELECT reservation.create_pool('sale', 5000, hold_ttl => '1 day'),
	reservation.create_pool('goods', 5000, 'counted', hold_ttl => '1 day'), reservation.create_pool('purse', 5000, 'counted')");
$sell->();

# Two moments, and what the books say then; the sale goes on after each.
my %books;
$books{name} = contents($node, 'postgres');
$sql->("SELECT pg_create_restore_point('the moment')");
$sell->();
$sql->("SELECT reservation.alter_pool('print', per_holder => 1)");
$books{time} = contents($node, 'postgres');
my $time = $sql->('SELECT clock_timestamp()');
$sell->();
$sql->("SELECT FROM reservation.claim_next('untouched', 'ann', 9)");
$sql->("SELECT reservation.drop_pool('print', true)");
my $end = contents($node, 'postgres');
$sql->('SELECT pg_switch_wal()');
$node->poll_query_until('postgres',
	"SELECT last_archived_wal >= (SELECT max(name) FROM pg_ls_archive_statusdir() WHERE name ~ 'ready') IS NOT FALSE
		AND NOT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name ~ 'ready') FROM pg_stat_archiver")
  or die 'the archive is not complete';
isnt($books{name}, $books{time}, 'control: the moments differ');
isnt($books{time}, $end, 'control: and from the end');

foreach my $case ([ name => "recovery_target_name = 'the moment'" ], [ time => "recovery_target_time = '$time'" ])
{
	my ($by, $target) = @$case;
	my $restored = PostgreSQL::Test::Cluster->new("restored_$by");
	$restored->init_from_backup($node, 'backup', has_restoring => 1, standby => 0);
	$restored->append_conf('postgresql.conf', "$target\nrecovery_target_action = 'promote'\narchive_mode = off");
	$restored->start;
	$restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'it does not recover';

	is(contents($restored, 'postgres'), $books{$by}, "by $by: the books are those of that moment");
	verify_ok($restored, 'postgres', "by $by: verify() finds nothing wrong");
	my ($least, $left) = split /\|/, $restored->safe_psql('postgres', <<'EOF');
SELECT min(number), count(*) FROM reservation.units WHERE pool = 'sale' AND state = 'free'
EOF
	is( $restored->safe_psql('postgres',
			"SELECT status, number FROM reservation.claim_next('sale', 'next')"),
		"claimed|$least", "by $by: the next claim gets the lowest free number");
	is( $restored->safe_psql('postgres',
			"SELECT count(DISTINCT number) FROM reservation.claim_next('sale', 'rest', $left - 1)"),
		$left - 1, "by $by: and every other that is left can be had");
	$restored->safe_psql('postgres',
		"DELETE FROM reservation.claim USING reservation.pool
			WHERE pool.pool_id = claim.pool_id AND pool = 'sale' AND holder IN ('next', 'rest');
		 INSERT INTO reservation.available SELECT pool_id, n FROM reservation.pool, generate_series(1, 5000) n
			WHERE pool = 'sale' AND NOT EXISTS (SELECT FROM reservation.claim c WHERE c.pool_id = pool.pool_id
				AND c.number = n AND state IN ('held', 'finalized'))
		 ON CONFLICT DO NOTHING");
	if ($by eq 'name')
	{
		goes_on($restored, 'postgres', $books{$by}, "by $by", application => 1, recovered => 1);
	}
	else
	{
		is( $restored->safe_psql('postgres', "SELECT status FROM reservation.claim_next('print', 'alice', 3)"),
			'limit_reached', "by $by: the rule of that moment holds");
		verify_ok($restored, 'postgres', "by $by: verify() finds nothing wrong afterwards");
	}
	$restored->stop;
}
$node->stop;

done_testing();
