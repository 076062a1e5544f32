# 005_dump.pl: what is dumped and restored goes on as if nothing had happened: every claim, number,
# request id and rule is there, and the next call of each kind is right.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use History;
use Reservation;

my $node = Reservation->node('dump', preload => 1);
my $folder = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql('postgres', <<'EOF');
CREATE ROLE shopkeeper LOGIN NOSUPERUSER CREATEDB;
CREATE ROLE clerk LOGIN;
EOF

my $dumps = 0;

# Dumps a database, in parallel where that is possible, and looks for the secret in it.
sub dump_ok
{
	my ($how, $role, $format, $dbname, @options) = @_;
	my $file = "$folder/" . ++$dumps;
	my $text = $file;

	command_ok(
		[ 'pg_dump', as($role), "--format=$format", "--file=$file", @options,
			$format eq 'directory' ? ('--jobs=2') : (), $dbname ],
		"$how: dump");
	if ($format ne 'plain')
	{
		$text = "$file.text";
		command_ok([ 'pg_restore', "--file=$text", $file ], "$how: the dump can be read");
	}
	unlike(slurp_file($text), qr/Jefe/, "$how: no secret is in the dump");
	return $file;
}

sub restore_ok
{
	my ($how, $role, $format, $file, $dbname, @options) = @_;
	return command_ok(
		$format eq 'plain'
		? [ 'psql', as($role), '-Xq', '--set=ON_ERROR_STOP=1', '--output=/dev/null', "--file=$file", $dbname ]
		: [ 'pg_restore', as($role), '--exit-on-error', "--dbname=$dbname", @options,
			$format eq 'directory' ? ('--jobs=2') : (), $file ],
		"$how: restore");
}

sub as
{
	my ($role) = @_;
	return ('--host' => $node->host, '--port' => $node->port, '--username' => $role);
}

foreach my $role ('postgres', 'shopkeeper')
{
	my $source = "${role}_source";

	$node->safe_psql('postgres', "CREATE DATABASE $source OWNER $role");
	as_role($node, $source, HISTORY, $role);
	my @application = $role eq 'postgres' ? (application => 1) : ();
	as_role($node, $source, APPLICATION, $role) if @application;
	my $before = contents($node, $source, $role);

	# Full dumps, into an empty database. As for any dump, only a superuser can restore owners: our
	# schema belongs to the superuser that the server was made with.
	my @no_owner = $role eq 'postgres' ? () : ('--no-owner');
	foreach my $format ('custom', 'plain', 'directory')
	{
		next if $role ne 'postgres' && $format eq 'custom';    # as a directory, but slower
		my $how = "$role, $format";
		my $target = "${role}_$format";

		$node->safe_psql('postgres', "CREATE DATABASE $target OWNER $role");
		my $dump = dump_ok($how, $role, $format, $source, @no_owner);
		restore_ok($how, $role, $format, $dump, $target, @no_owner);

		# privileges, too; then what the clerk did is undone, so that all is as it was
		my ($status, $stdout, $stderr) = $node->psql($target,
			"SELECT status, number FROM reservation.claim_next('hall', 'clerk', ttl => '1 day')",
			connstr => $node->connstr($target) . ' user=clerk');
		is($stdout, 'claimed|100', "$how: privileges are restored") or diag($stderr);
		as_role($node, $target, <<'EOF') if $stdout ne '';
DELETE FROM reservation.claim WHERE holder = 'clerk';
INSERT INTO reservation.available SELECT pool_id, 100 FROM reservation.pool WHERE pool = 'hall';
EOF
		is($node->safe_psql($target, 'SELECT count(*) FROM reservation.payment_provider'),
			0, "$how: no secret comes out of it");
		goes_on($node, $target, $before, $how, role => $role, @application);
	}

	# Data only, into a database that has the extension and the tables, by hand or from a dump of the
	# schema. The triggers would take again what the books say is taken.
	my @quiet = @application ? ('--disable-triggers') : ();
	foreach my $format ('custom', 'plain', 'directory')
	{
		next if $role ne 'postgres' && $format eq 'plain';
		my $how = "$role, $format, data only";
		my $target = "${role}_${format}_data";

		$node->safe_psql('postgres', "CREATE DATABASE $target OWNER $role");
		if ($format eq 'directory')
		{
			my $schema = dump_ok("$how: schema", $role, 'plain', $source, @no_owner, '--schema-only');
			restore_ok("$how: schema", $role, 'plain', $schema, $target);
			is($node->safe_psql($target, 'SELECT count(*) FROM reservation.pool'),
				0, "$how: a dump of the schema has no data of ours");
		}
		else
		{
			as_role($node, $target, 'CREATE EXTENSION reservation', $role);
			as_role($node, $target, TABLES, $role) if @application;
		}
		my $dump = dump_ok($how, $role, $format, $source, '--data-only', $format eq 'plain' ? @quiet : ());
		restore_ok($how, $role, $format, $dump, $target, '--data-only', @quiet);
		goes_on($node, $target, $before, $how, role => $role, @application);
	}

	# A dump of our schema alone says nothing of the extension. Its data can be restored into a
	# database that has it.
	my $how = "$role, schema";
	my $target = "${role}_schema";
	my $dump = dump_ok($how, $role, 'custom', $source, '--schema=reservation');
	my ($listing) = run_command([ 'pg_restore', '--list', $dump ]);
	unlike($listing, qr/ EXTENSION /, "$how: there is no CREATE EXTENSION in it");
	$node->safe_psql('postgres', "CREATE DATABASE $target OWNER $role");
	as_role($node, $target, 'CREATE EXTENSION reservation', $role);
	restore_ok($how, $role, 'custom', $dump, $target, '--data-only');
	goes_on($node, $target, $before, $how, role => $role);

	# the source has noticed nothing
	is(contents($node, $source, $role), $before, "$role: the source is as it was");
	goes_on($node, $source, $before, "$role, source", role => $role, @application);
}

# Control: a dump with the secret in it would be seen.
$node->safe_psql('postgres_source',
	'CREATE TABLE leak AS SELECT * FROM reservation.payment_provider');
command_ok([ 'pg_dump', as('postgres'), "--file=$folder/leak", 'postgres_source' ],
	'control: a table with the secret is dumped');
like(slurp_file("$folder/leak"), qr/Jefe/, 'control: and the secret found');

# Control: these checks see what a dump lost.
$node->safe_psql('postgres_custom', 'DELETE FROM reservation.claim WHERE claim_id =
	(SELECT min(claim_id::text)::uuid FROM reservation.claim JOIN reservation.pool USING (pool_id)
	WHERE pool.capacity IS NOT NULL AND state IN (\'held\', \'finalized\'))');
isnt($node->safe_psql('postgres_custom', 'SELECT * FROM reservation.verify()'),
	'', 'control: verify() sees that a claim was lost');

$node->stop;

done_testing();
