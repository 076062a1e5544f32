# 020_upgrade.pl: from this version to the next, which exists only here.
#
# The next version is made from a copy of this source: its install script is this one with changes
# made in their places, its update goes there in two steps (test/upgrade). An upgraded database must
# have the same catalogs as a new one. Control: with any statement of the update left out, the
# comparison sees it. Then what happens while a server is upgraded: a library never meets SQL of
# another version, old or new, preloaded or not, and nothing is lost on the way.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $folder = PostgreSQL::Test::Utils::tempdir();
my $installed = "$folder/install";
die 'this test needs a server that loads extensions from any folder: PostgreSQL 18, or Debian\'s'
  unless $ENV{RSV_DESTDIR};
$ENV{RSV_CONF} =~ s/\Q$ENV{RSV_DESTDIR}\E/$installed/g;

my ($this) = slurp_file('reservation.control') =~ /^default_version = '(.*)'/m;
my $next = $this =~ s/^(\d+)\.(\d+)\..*/"$1." . ($2 + 1) . '.0'/er;
my $between = "$this.1";

# ---- the next version

my @steps = map { slurp_file("test/upgrade/step$_.sql") =~ s/%next%/$next/gr } (1, 2);

sub replace    # in a file: texts that must be there, by others
{
	my ($file, @changes) = @_;
	my $text = slurp_file($file);

	while (my ($from, $to) = splice(@changes, 0, 2))
	{
		my $at = index($text, $from);
		die "$file has no \"$from\" any more: change this test" if $at < 0;
		substr($text, $at, length $from, $to);
	}
	write_file($file, $text);
	return;
}

sub write_file
{
	my ($file, $text) = @_;
	unlink $file;
	append_to_file($file, $text);
	return;
}

my ($gifts, $marks) = $steps[1] =~ /^(-- gifts\n.*?)REVOKE.*?(SELECT pg_catalog.*)/ms;
my ($added_comments) = $steps[0] =~ /^(COMMENT .*?)GRANT/ms;

my $source = "$folder/source";
system_or_bail('cp', '-a', '.', $source);
replace("$source/reservation.control", "'$this'" => "'$next'");
replace(
	"$source/sql/reservation.sql",
	"'MODULE_PATHNAME', 'rsv_version'" => "'MODULE_PATHNAME', 'rsv_version' COST 2",
	"    CONSTRAINT cart_line_pkey" =>
	  "    added_at timestamptz DEFAULT pg_catalog.clock_timestamp()\n"
	  . "        CONSTRAINT cart_line_added_at CHECK (pg_catalog.isfinite(added_at)),\n"
	  . "    CONSTRAINT cart_line_pkey",
	"COMMENT ON TABLE reservation.cart_line" =>
	  "CREATE INDEX cart_line_added ON reservation.cart_line (added_at);\n$added_comments"
	  . "COMMENT ON TABLE reservation.cart_line",
	"PRIMARY KEY (source, target)\n) USING heap" =>
	  "PRIMARY KEY (source, target)\n) USING heap WITH (fillfactor = 90)",
	"CREATE INDEX claim_expiry" =>
	  "CREATE INDEX claim_at ON reservation.claim (claimed_at);\nCREATE INDEX claim_expiry",
	"CREATE INDEX checkout_cart ON reservation.checkout (cart) WHERE cart IS NOT NULL;\n" => '',
	"COMMENT ON INDEX reservation.checkout_cart IS 'finds the checkouts of a cart';\n" => '',
	"-- privileges:" => "$gifts\n-- privileges:",
	"-- dump:" => "GRANT SELECT (added_at) ON reservation.cart_line TO PUBLIC;\n${marks}-- dump:");
append_to_file("$source/src/agreement.c", "\n");
append_to_file("$source/src/reservation.c", <<'EOF');

PG_FUNCTION_INFO_V1(rsv_wrap);
Datum
rsv_wrap(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
EOF

# As a package does it: files are replaced, what has been loaded stays loaded.
sub install
{
	my ($version) = @_;

	system_or_bail('make', '-s', '-C', $version eq $next ? $source : '.',
		'--old-file=reservation.control', 'with_llvm=no', 'install', "DESTDIR=$installed");
	return if $version eq $this;
	write_file(script("$this--$between"), $steps[0]);
	write_file(script("$between--$next"), $steps[1]);
	return;
}

sub script
{
	my ($version) = @_;
	my ($folder) = $installed . `$ENV{PG_CONFIG} --sharedir` =~ s/\n//r;
	return "$folder/extension/reservation--$version.sql";
}

install($this);
my $node = Reservation->node('upgrade');
my $preloaded = Reservation->node('preloaded', preload => 1);

# What is in use while the server is upgraded.
my $use = <<'EOF';
CREATE EXTENSION reservation;
SELECT FROM reservation.create_pool('print', 100);
CREATE TABLE buyer (name text PRIMARY KEY, number integer);
SELECT FROM reservation.create_pool('buyers');
CREATE TRIGGER number BEFORE INSERT OR UPDATE ON buyer
	FOR EACH ROW EXECUTE FUNCTION reservation.assign_number('buyers', 'number');
EOF
my $claim = "SELECT status, number FROM reservation.claim_next('print', 'ann', request_id => %s)";
my $again = sprintf $claim, "'first'";
my $more = sprintf $claim, 'NULL';
my $early = session($node, 'postgres');

foreach my $each ($node, $preloaded)
{
	$each->safe_psql('postgres', $use);
	is($each->safe_psql('postgres', $again), 'claimed|1', 'before: a claim');
	$each->safe_psql('postgres', "SELECT FROM reservation.create_pool('late', 1); SELECT FROM reservation.claim_next('late', 'ann', ttl => '1 us')");
}
is(ask($early, $more), 'claimed|2', 'before: in a session that stays');
is(ask($early, 'SELECT reservation.version()'), $this, 'before: the version');

# ---- a new library, an old script

install($next);
is(ask($early, $more), 'claimed|3', 'new files, old session: goes on');

sub refused
{
	my ($on, $dbname, $sql, $hint, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $stdout, $stderr) = $on->psql($dbname, "\\set VERBOSITY verbose\n$sql");

	isnt($status, 0, "$name: refused");
	like($stderr, qr/ERROR:  55000: extension "reservation" is of version .* here/, "$name: error");
	like($stderr, qr/HINT:  $hint/, "$name: hint");
	return;
}

my $update = 'Run ALTER EXTENSION reservation UPDATE in this database.';
my %calls = (
	'a call' => $more,
	'a call in an expression' => "SELECT to_jsonb(reservation.claim_next('print', 'ann'))",
	'a trigger' => "INSERT INTO buyer VALUES ('ann')",
	'a view' => 'TABLE reservation.stats',
	'verify' => 'SELECT * FROM reservation.verify()',
	'version' => 'SELECT reservation.version()');
refused($node, 'postgres', $calls{$_}, $update, "new library, old script: $_") foreach sort keys %calls;
is( $node->safe_psql('postgres', <<'EOF'), '', 'new library, old script: no function is let through');
CREATE FUNCTION pg_temp.let_through(symbol text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE c AS %L, %L',
		'$libdir/reservation', symbol);
	RETURN true;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RETURN false;
END
$$;
SELECT DISTINCT prosrc FROM pg_proc p JOIN pg_language l ON l.oid = prolang AND lanname = 'c'
WHERE pronamespace = 'reservation'::regnamespace AND pg_temp.let_through(prosrc);
EOF

$node->safe_psql('postgres', 'ALTER EXTENSION reservation UPDATE');
is($node->safe_psql('postgres', $again), 'claimed|1', 'updated: an answer is given again');
is($node->safe_psql('postgres', $more), 'claimed|4', 'updated: a claim');
is($node->safe_psql('postgres', 'SELECT reservation.version(), reservation.wrap(\'x\')'),
	"$next|x", 'updated: what is new');
$node->safe_psql('postgres', "INSERT INTO buyer VALUES ('ann')");
is($node->safe_psql('postgres', 'SELECT number FROM buyer'), '1', 'updated: a trigger');
verify_ok($node, 'postgres', 'updated: verify() finds nothing wrong');

# ---- an old library, a new script

my $restart = 'Connect again, or restart the server if the library is in shared_preload_libraries;';
is(ask($early, $more), 'ERROR:  55000', 'old session, new script: refused');
is(ask($early, 'SELECT reservation.version()'), 'ERROR:  55000', 'and the version');
$early->quit;

is($preloaded->safe_psql('postgres', $more), 'claimed|2', 'old library preloaded: goes on');
refused($preloaded, 'postgres', 'ALTER EXTENSION reservation UPDATE', $restart,
	'old library preloaded, update');
refused($preloaded, 'template1', 'CREATE EXTENSION reservation', $restart,
	'old library preloaded, new extension');
is($preloaded->safe_psql('postgres', $more), 'claimed|3', 'and the database is as it was');
$preloaded->restart;
refused($preloaded, 'postgres', $more, $update, 'restarted, not updated');

# The worker comes by all the time: before, while and after the database is updated.
my $lapsed = "SELECT count(*) FROM reservation.claim WHERE state = 'lapsed'";
is($preloaded->safe_psql('postgres', $lapsed), 0, 'a hold whose time is over, not swept');
$preloaded->append_conf('postgresql.conf', "log_min_messages = debug1\nreservation.worker_naptime = '50ms'");
$preloaded->reload;
wait_for_visits($preloaded, 'postgres', 2);
like(slurp_file($preloaded->logfile), qr/ERROR:  extension "reservation" is of version/,
	'the worker is refused, too');
my $owner = session($preloaded, 'postgres');
is(ask($owner, 'BEGIN; ALTER EXTENSION reservation UPDATE'), '', 'an update beside the worker');
wait_for_visits($preloaded, 'postgres', 2);
is( $preloaded->safe_psql(
		'template1', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'reservation worker' AND wait_event_type = 'Lock'"),
	0, 'no worker waits for it');
is(ask($owner, 'ROLLBACK; ALTER EXTENSION reservation UPDATE'), '', 'rolled back, and done again');
$owner->quit;
ok($preloaded->poll_query_until('postgres', "SELECT count(*) = 1 FROM reservation.claim WHERE state = 'lapsed'"),
	'then the worker sweeps the hold');
is($preloaded->safe_psql('postgres', $again), 'claimed|1', 'updated, preloaded: given again');
is($preloaded->safe_psql('postgres', $more), 'claimed|4', 'updated, preloaded: a claim');
verify_ok($preloaded, 'postgres', 'updated, preloaded: verify() finds nothing wrong');

install($this);
refused($node, 'postgres', $more, $restart, 'library taken back to the old one');
install($next);
is($node->safe_psql('postgres', $more), 'claimed|5', 'and forth again');
verify_ok($node, 'postgres');
$preloaded->stop;

# ---- a new database and an upgraded one

system_or_bail('cp', "sql/reservation--$this.sql", script($this));
$node->safe_psql('postgres', 'CREATE ROLE shopkeeper; CREATE DATABASE shop OWNER shopkeeper');

sub catalog    # after these commands, as an owner of the database who is no superuser
{
	my @commands = map { "$_;\n" } @_;
	my ($status, $stdout, $stderr) = $node->psql('shop',
		"BEGIN;\nSET LOCAL ROLE shopkeeper;\n@commands"
		  . "RESET ROLE;\n\\i test/upgrade/catalog.sql\nROLLBACK;\n");

	return $status == 0 && $stderr eq '' ? $stdout : "failed: $stderr";
}

my $new = catalog('CREATE EXTENSION reservation');
my @upgraded = ("CREATE EXTENSION reservation VERSION '$this'", 'ALTER EXTENSION reservation UPDATE');
cmp_ok(($new =~ tr/\n//), '>', 500, 'the catalogs say much about a new extension');
isnt(catalog($upgraded[0]), $new, 'this version differs from the next');
my $result = catalog(@upgraded);
my %in_new = map { $_ => 1 } split /\n/, $new;
my %in_upgraded = map { $_ => 1 } split /\n/, $result;
is(join("\n", grep { !$in_upgraded{$_} } sort keys %in_new), '', 'an upgrade lacks nothing');
is(join("\n", grep { !$in_new{$_} } sort keys %in_upgraded), '', 'an upgrade leaves nothing over');
is($result, $new, 'an upgraded extension is a new one');

# Control: each statement of the update, left out. Only the one that just refuses an old library is
# not missed in the catalogs.
foreach my $step (0, 1)
{
	my $version = (qq{$this--$between}, qq{$between--$next})[$step];
	my @statements = split /(?<=;\n)/, $steps[$step] =~ s/^(?:\\echo.*|--.*|)\n//mgr;

	foreach my $i ($step == 0 ? 1 .. $#statements : 0 .. $#statements)
	{
		my @rest = @statements;
		my ($left_out) = splice(@rest, $i, 1) =~ /^(.*)/;
		write_file(script($version), join('', @rest));
		isnt(catalog(@upgraded), $new, "control: without $left_out");
	}
	write_file(script($version), $steps[$step]);
}
is(catalog(@upgraded), $new, 'and with all of them, a new one again');

$node->stop;

done_testing();
