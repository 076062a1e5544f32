# 021_setup.pl: what is missing for a build is said, and by name. Debian has pg_config and pgxs.mk in
# packages of the client: a machine may have both, and no headers. Installs nothing: the PATH that
# test/setup gets has no apt-get.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $real = $ENV{PG_CONFIG} || 'pg_config';
my ($major) = `$real --version` =~ /(\d+)/;
chomp(my $pgxs = `$real --pgxs`);

sub where_is
{
	my $tool = shift;
	chomp(my $path = `sh -c 'command -v $tool'`);
	return $path || die "no $tool here";
}

# A machine with the client's packages alone: no folder has anything but pgxs.mk.
my $folder = PostgreSQL::Test::Utils::tempdir;
my $client = "$folder/pg_config";
append_to_file($client, <<"EOF");
#!/bin/sh
case \$1 in
	--version) echo "PostgreSQL $major.1" ;;
	--pgxs)    echo $pgxs ;;
	*)         echo $folder/none ;;
esac
EOF
chmod 0755, $client;

mkdir "$folder/bin";
symlink where_is($_), "$folder/bin/$_" or die "$_: $!" for qw(bash sed);

sub setup
{
	local %ENV = (%ENV, PG_CONFIG => where_is(shift), PATH => "$folder/bin");
	IPC::Run::run([ 'bash', 'test/setup', 'demo' ], '>&', \my $said);
	return $said;
}

sub make
{
	local %ENV = (%ENV, PG_CONFIG => shift);
	IPC::Run::run([ 'make', '-n', 'all' ], '>&', \my $said);
	return $said;
}

my $headers = qr/^==> missing here:.* postgresql-server-dev-$major\b/m;
like(setup($client), $headers, 'test/setup misses the headers where pgxs.mk is there');
like(setup($client), qr/no apt-get here; please install these by other means/, 'and says what to do');
like(setup($real), qr/^==> missing here: (?!.*server-dev)/m, 'where they are, it misses other things');

my $hint = qr/no PostgreSQL server headers: install postgresql-server-dev-$major or set PG_CONFIG/;
like(make($client), $hint, 'make says so, too');
unlike(make($real), $hint, 'and builds where they are');

done_testing();
