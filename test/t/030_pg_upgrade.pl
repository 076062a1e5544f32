# 030_pg_upgrade.pl: pg_upgrade, with the files linked, to a server of the same major version. The
# extension comes along with all its books, sequences and secrets, and goes on.
#
# pg_upgrade loads '$libdir/reservation', which from PostgreSQL 18 on means no folder but the
# server's own. So it gets a server in another place, which finds its files by where it is: copied
# programs, links to the libraries, and this build of ours among them.

use strict;
use warnings;

use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use History;
use Reservation;

my $old = Reservation->node('old', preload => 1);
my ($bindir, $libdir, $sharedir) = map { $old->config_data($_) } ('--bindir', '--pkglibdir', '--sharedir');
if (!-x "$bindir/pg_upgrade")
{
	plan skip_all => "there is no pg_upgrade in $bindir";
}
if ($ENV{RSV_DESTDIR})
{
	my $place = PostgreSQL::Test::Utils::tempdir();

	system_or_bail('mkdir', '-p', map { "$place$_" } ($bindir, $libdir, dirname($sharedir)));
	system_or_bail('cp', '-RL', "$bindir/.", "$place$bindir");
	system_or_bail('cp', '-Rs', "$libdir/.", "$place$libdir");
	unlink "$place$libdir/reservation.so";    # of an installation
	system_or_bail('ln', '-s', $sharedir, "$place$sharedir");
	system_or_bail('ln', '-s', "$ENV{RSV_DESTDIR}$libdir/reservation.so", "$place$libdir");
	$bindir = "$place$bindir";
}

$old->safe_psql('postgres', 'CREATE ROLE clerk LOGIN');
foreach my $dbname ('superuser', 'trusted')
{
	$old->safe_psql('postgres', "CREATE ROLE ${dbname}_owner LOGIN; CREATE DATABASE $dbname OWNER ${dbname}_owner");
	$old->safe_psql($dbname, HISTORY,
		connstr => $old->connstr($dbname) . ($dbname eq 'trusted' ? ' user=trusted_owner' : ''));
}
$old->safe_psql('superuser', APPLICATION);

# an open edition that has given out more than there is in its claims
$old->safe_psql('superuser', "BEGIN; SELECT FROM reservation.claim_next('untouched', 'ann', 6); ROLLBACK");
my %before = map { $_ => contents($old, $_) } ('superuser', 'trusted');
my $rules = "SELECT count(*), count(*) FILTER (WHERE deptype = 'e') FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass AND refobjid =
		(SELECT oid FROM pg_extension WHERE extname = 'reservation')";
my $members = $old->safe_psql('superuser', $rules);
$old->stop;

my $new = Reservation->node('new', preload => 1, start => 0);
my @upgrade = ("$bindir/pg_upgrade", '--no-sync', '--link',
	'--old-datadir' => $old->data_dir,
	'--new-datadir' => $new->data_dir,
	'--old-bindir' => $bindir,
	'--new-bindir' => $bindir,
	'--socketdir' => $new->host,
	'--old-port' => $old->port,
	'--new-port' => $new->port,
	'--username' => scalar getpwuid($<));
chdir PostgreSQL::Test::Utils::tempdir();    # where pg_upgrade writes its logs
command_ok([ @upgrade, '--check' ], 'pg_upgrade --check');
command_ok(\@upgrade, 'pg_upgrade --link');
$new->start;

is($new->safe_psql('superuser', $rules), $members, 'the extension has the members that it had');
is( $new->safe_psql('superuser', "SELECT status, number FROM reservation.claim_next('untouched', 'next')"),
	'claimed|7', 'an open edition goes on where its sequence was, not where its claims end');
$new->safe_psql('superuser', "DELETE FROM reservation.claim WHERE holder = 'next'");
is( $new->safe_psql('trusted', "SELECT status, replayed FROM reservation.checkouts c,
		reservation.record_payment(c.checkout_id, 'bank', 'pay 1', 100, 'EUR',
			'what do ya want for nothing?',
			'5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843') p
		WHERE c.request_id = 'sold'"),
	'paid|t', 'secrets come along');
goes_on($new, 'superuser', $before{superuser}, 'upgraded', application => 1, untouched => 8);
goes_on($new, 'trusted', $before{trusted}, 'upgraded, trusted', role => 'trusted_owner');
is( $new->safe_psql('trusted', "SELECT status FROM reservation.claim_next('hall', 'clerk')",
		connstr => $new->connstr('trusted') . ' user=clerk'),
	'claimed', 'upgraded: privileges are there');
$new->stop;

done_testing();
