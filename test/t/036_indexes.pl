# 036_indexes.pl: indexes that somebody adds to our tables, of every access method that keeps
# something from row to row. They are kept up by every call, beside VACUUM and ANALYZE, which make
# sessions forget what they know of an index; no call fails, and every row is found by them.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $seconds = $ENV{RSV_STORM_SECONDS} || 8;

my $node = Reservation->node('indexes', preload => 1, conf => 'autovacuum = off');
$node->safe_psql('postgres', <<'EOF');
CREATE EXTENSION reservation;
CREATE INDEX claim_when ON reservation.claim USING gist (tstzrange(claimed_at, NULL));
CREATE INDEX claim_page ON reservation.claim USING brin (claimed_at) WITH (pages_per_range = 1, autosummarize = off);
CREATE INDEX log_page ON reservation.log USING brin (at) WITH (pages_per_range = 1);
CREATE INDEX log_words ON reservation.log USING gin (to_tsvector('simple', event));
CREATE INDEX claim_holder_hash ON reservation.claim USING hash (holder);
SELECT reservation.create_pool('print', 10000000, hold_ttl => '1 day');
EOF

# One session, with a page in its hands that is thrown out of the buffers meanwhile.
my $session = session($node, 'postgres');
my $claim = "SELECT status FROM reservation.claim_next('print', 'ann')";
is(ask($session, $claim), 'claimed', 'a claim');
$node->safe_psql('postgres', 'VACUUM ANALYZE reservation.claim; VACUUM ANALYZE reservation.log');
is(ask($session, $claim), 'claimed', 'another, after its indexes were vacuumed');
is(ask($session, "SELECT status FROM reservation.claim_next('print', 'ann', 500) GROUP BY 1"), 'claimed', 'and many');
$session->quit;

# Many, beside somebody who makes all of them forget.
my $vacuum = <<'EOF';
ANALYZE reservation.claim;
ANALYZE reservation.log;
VACUUM (INDEX_CLEANUP ON) reservation.claim;
SELECT brin_summarize_new_values('claim_page'::regclass);
EOF
my $work = <<'EOF';
SELECT r.status FROM reservation.claim_next('print', 'buyer ' || :client_id) c, reservation.release(claim_id) r;
SELECT status FROM reservation.claim_next('print', 'buyer ' || :client_id);
EOF
$vacuum =~ s/'claim_page'/'reservation.claim_page'/;
append_to_file("$node->{_host}/vacuum.sql", $vacuum);
my $vacuums = IPC::Run::start([ 'pgbench', '-n', '-c', '1', '-T', $seconds, '-f', "$node->{_host}/vacuum.sql",
	'-h', $node->host, '-p', $node->port, 'postgres' ], '>', \my $said, '2>', \my $complained);
my $run = pgbench_run($node, 'postgres', $work, clients => 6, seconds => $seconds);
$vacuums->finish;
is($run->{exit}, 0, 'claims and releases beside VACUUM and ANALYZE') or diag($run->{stderr});
is($vacuums->result(0), 0, 'and these') or diag($complained);
cmp_ok($run->{processed}, '>', 100, 'many of them');
my $log = slurp_file($node->logfile);
unlike($log, qr/resource was not closed|not owned by resource owner|terminated by signal/, 'nothing was left open, and nothing crashed');

for my $query (
	"SELECT count(*) FROM reservation.claim WHERE tstzrange(claimed_at, NULL) && tstzrange(now() - interval '1 hour', NULL)",
	"SELECT count(*) FROM reservation.claim WHERE claimed_at > now() - interval '1 hour'",
	"SELECT count(*) FROM reservation.claim WHERE holder = 'buyer 3'",
	"SELECT count(*) FROM reservation.log WHERE at > now() - interval '1 hour'",
	"SELECT count(*) FROM reservation.log WHERE to_tsvector('simple', event) @@ 'released'::tsquery")
{
	my $by_index = $node->safe_psql('postgres', "SET enable_seqscan = off; $query");
	my $by_table = $node->safe_psql('postgres', "SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; $query");
	is($by_index, $by_table, "the index finds $by_table rows: $query");
}
verify_ok($node, 'postgres');
$node->stop;

done_testing();
