# 037_siphash.pl: src/siphash.c is SipHash-2-4 as OpenSSL has it, for every length up to some words,
# for the longest that a limit can have, and for keys of all kinds. Needs no server. Control: SipHash
# with one round in place of two, which OpenSSL has too.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{RSV_SEED} || time;
srand($seed);
note("RSV_SEED=$seed");

my $folder = PostgreSQL::Test::Utils::tempdir;
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $headers = `$pg_config --includedir-server`);

# rsv_siphash of a file, with a key in hex
append_to_file("$folder/hash.c", <<'EOF');
#include "postgres.h"

#include "rate.h"

#undef printf

int main(int argc, char **argv)
{
	static uint8 bytes[2048];
	uint8 key[RSV_SIPHASH_BYTES];
	uint8 hash[RSV_SIPHASH_BYTES];
	Size length = fread(bytes, 1, sizeof(bytes), fopen(argv[2], "rb"));

	for (int i = 0; i < RSV_SIPHASH_BYTES; i++)
		sscanf(argv[1] + 2 * i, "%2hhx", &key[i]);
	rsv_siphash(key, bytes, length, hash);
	for (int i = 0; i < RSV_SIPHASH_BYTES; i++)
		printf("%02X", hash[i]);
	return 0;
}
EOF
system_or_bail('gcc', '-O1', '-D_GNU_SOURCE', "-I$headers", '-Isrc', '-o', "$folder/hash",
	"$folder/hash.c", 'src/siphash.c');

sub random_bytes { return join '', map { chr int rand 256 } 1 .. shift }

sub hash_of
{
	my ($key, $bytes) = @_;
	unlink "$folder/bytes";
	open my $file, '>:raw', "$folder/bytes" or die "bytes: $!";
	print $file $bytes;
	close $file;
	return `$folder/hash $key $folder/bytes`;
}

# OpenSSL's, of the bytes that were hashed last
sub openssl
{
	my ($key, @options) = @_;
	my $mac = join ' ', map { "-macopt $_" } "hexkey:$key", 'size:16', @options;
	chomp(my $hash = `openssl mac $mac -in $folder/bytes SIPHASH`);
	return $hash;
}

my $counting = '000102030405060708090a0b0c0d0e0f';
is(hash_of($counting, ''), 'A3817F04BA25A8E66DF67214C7550293', 'the first of the published vectors');

my $wrong = 0;
my $differ = 0;
for my $length (0 .. 80, 255, 256, 257, 1000, 1036)
{
	for my $key ($counting, '00' x 16, 'ff' x 16, unpack('H*', random_bytes(16)))
	{
		my $ours = hash_of($key, random_bytes($length));
		$wrong++ if $ours ne openssl($key);
		$differ++ if $key eq $counting && $ours ne openssl($key, 'c-rounds:1');
	}
}
is($wrong, 0, 'every length and key as OpenSSL has it');
is($differ, 86, 'control: no hash is that of one round');

done_testing();
