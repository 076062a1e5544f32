# 024_line.pl: the waiting line under load: many join, the server is killed in the middle, many serve
# at once, and passers-by storm a sale that has a line.
#
# RSV_LINE_JOINS and RSV_LINE_CLIENTS say how many join, and from how many clients: "make line" runs
# it with 100,000 from 64.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

use Reservation;

my $joins = $ENV{RSV_LINE_JOINS} || 3000;
my $clients = $ENV{RSV_LINE_CLIENTS} || 16;
my $batch = $joins >= 100_000 ? 1000 : 100;
my $each = int($joins / $clients / 2);
my $capacity = int($joins * 0.7);
my $db = 'postgres';

my $node = Reservation->node('line',
	preload => 1,
	fsync => 1,
	conf => "track_commit_timestamp = on\nautovacuum = off");
$node->safe_psql($db, <<"EOS");
CREATE EXTENSION reservation;
SELECT FROM reservation.create_pool('drop', $capacity, opens_at => 'tomorrow');
EOS

sub number { return $node->safe_psql($db, $_[0]) }

# ---- many join; the server is killed in the middle

my $log = PostgreSQL::Test::Utils::tempdir() . '/acknowledged';

# Every client joins with holders "PREFIX client n"; a line of its log stands for an answer it got.
sub join_script
{
	my ($prefix, $transactions) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/join.sql';

	append_to_file($file,
		"\\set n :n + 1\n"
		  . "SELECT status FROM reservation.join_line('drop', '$prefix ' || :client_id || ' ' || :n);\n");
	return (
		$node->installed_command('pgbench'), '--no-vacuum',
		'--host' => $node->host, '--port' => $node->port,
		'--client' => $clients, '--jobs' => 2, '--transactions' => $transactions,
		'--define' => 'n=0', '--log', "--log-prefix=$log.$prefix", '--file' => $file, $db);
}

my ($out, $err) = ('', '');
my $storm = IPC::Run::start([ join_script('first', 100 * $each) ], '<', \undef, '>', \$out, '2>', \$err);
my $half = $each * $clients;
until (number('SELECT count(*) FROM reservation.ticket') >= $half)
{
	Time::HiRes::usleep(20_000);
}
crash_and_restart($node);
$storm->finish;
my @answers = map { (split /\n/, slurp_file($_)) } glob("$log.first*");
my %acknowledged;
foreach my $line (@answers)
{
	my ($client, $count) = split / /, $line;
	$acknowledged{$client} = $count if !$acknowledged{$client} || $count > $acknowledged{$client};
}
my $acknowledged = 0;
$acknowledged += $_ foreach values %acknowledged;
note("$acknowledged joins were answered before the server was killed");
cmp_ok($acknowledged, '>', 0, 'some had joined before the server was killed');
cmp_ok($acknowledged, '<', 100 * $each * $clients, 'and some had not');
my $lost = 0;
foreach my $client (keys %acknowledged)
{
	my $there = number("SELECT count(*) FROM reservation.tickets
		WHERE state = 'waiting' AND holder LIKE 'first $client %'
			AND split_part(holder, ' ', 3)::int <= $acknowledged{$client}");
	$lost += $acknowledged{$client} - $there;
}
is($lost, 0, 'who was told that they wait, waits where they were');
verify_ok($node, $db, 'the books after the crash');

my $start = Time::HiRes::time();
my $second = IPC::Run::run([ join_script('second', $each) ], '<', \undef, '>', \$out, '2>', \$err);
my $seconds = Time::HiRes::time() - $start;
ok($second, 'everybody else joins after the crash') or diag($err);
my $waiting = number("SELECT count(*) FROM reservation.ticket WHERE state = 'waiting'");
note(sprintf '%d wait; %d joined from %d clients in %.1f s', $waiting, $each * $clients, $clients,
	$seconds);
is(number("SELECT count(*) FROM reservation.tickets WHERE holder LIKE 'second%'"),
	$each * $clients, 'nobody is lost');

# The order is that of the commits, as far as that can be said: whoever was committed before another
# began has the lower number.
is(number(<<'EOS'), 0, 'who had joined before another began stands before them');
SELECT count(*) FROM (
	SELECT begins, number, max(CASE WHEN NOT begins THEN number END)
		OVER (ORDER BY at, begins DESC ROWS UNBOUNDED PRECEDING) AS highest
	FROM (SELECT joined_at AS at, true AS begins, number FROM reservation.ticket
		UNION ALL SELECT pg_xact_commit_timestamp(xmin), false, number FROM reservation.ticket) e) o
WHERE begins AND number < highest
EOS
is(number(<<'EOS'), 0, 'the tickets of every client stand in the order in which it joined');
SELECT count(*) FROM (
	SELECT number, lag(number) OVER (PARTITION BY split_part(holder, ' ', 1), split_part(holder, ' ', 2)
		ORDER BY split_part(holder, ' ', 3)::int) AS before FROM reservation.ticket) t
WHERE number < before
EOS

# ---- one's place, in a long line

is(number(<<'EOS'), 0, 'the place of each is the number of those before them, and one');
SELECT count(*) FROM (
	SELECT ticket_id, row_number() OVER (ORDER BY priority DESC, number) AS place
	FROM reservation.ticket WHERE state = 'waiting') t, reservation.line_position(ticket_id) l
WHERE t.place % 97 = 1 AND l.position <> t.place
EOS
number('SELECT count(*) FROM (SELECT ticket_id FROM reservation.ticket WHERE number % 50 = 7) t, '
	  . 'reservation.leave_line(ticket_id)');
is(number(<<'EOS'), 0, 'also when many have left');
SELECT count(*) FROM (
	SELECT ticket_id, row_number() OVER (ORDER BY priority DESC, number) AS place
	FROM reservation.ticket WHERE state = 'waiting') t, reservation.line_position(ticket_id) l
WHERE t.place % 97 = 1 AND l.position <> t.place
EOS
note(number(<<'EOS'));
EXPLAIN (ANALYZE, COSTS off) SELECT * FROM (SELECT ticket_id FROM reservation.ticket
	WHERE state = 'waiting' ORDER BY number DESC LIMIT 1) t, reservation.line_position(ticket_id)
EOS

# ---- ten serve at once, in batches; one of them is undone

my $before = number("SELECT count(*) FROM reservation.ticket WHERE state = 'waiting'");
my $undone = session($node, $db);
ask($undone, 'BEGIN');
is(ask($undone, "SELECT count(*) FROM reservation.serve_line('drop', 10)"), 10, 'somebody serves ten');
gate($node, $db, 10);
$start = Time::HiRes::time();
my $served = pgbench_run($node, $db, GATE
	  . "SELECT count(*) FROM reservation.serve_line('drop', $batch);\n",
	clients => 10, jobs => 2, transactions => int($capacity / $batch / 10) + 2, timeout => 600);
$seconds = Time::HiRes::time() - $start;
is($served->{exit}, 0, 'ten serve at once') or diag($served->{stderr});
is(ask($undone, 'ROLLBACK'), '', 'and the ten are undone');
is(number("SELECT count(*) FROM reservation.tickets WHERE state = 'offered'"),
	$capacity - 10, 'exactly what was free is offered');
note(sprintf '%d were served in %.1f s', $capacity - 10, $seconds);
number("SELECT count(*) FROM reservation.serve_line('drop')");
is(number("SELECT count(*) FROM reservation.tickets WHERE state = 'offered'"),
	$capacity, 'the ten that were undone are served, too');
is(number(<<'EOS'), 0, 'nobody twice');
SELECT count(*) FROM (SELECT holder FROM reservation.holds WHERE pool = 'drop' GROUP BY holder HAVING count(*) > 1
	UNION ALL SELECT number::text FROM reservation.holds WHERE pool = 'drop' GROUP BY number HAVING count(*) > 1) d
EOS
is(number(<<'EOS'), 't', 'those who joined first, and nobody else');
SELECT max(number) FILTER (WHERE state = 'offered') < min(number) FILTER (WHERE state = 'waiting')
	OR count(*) FILTER (WHERE state = 'waiting') = 0 FROM reservation.ticket
EOS
is(number("SELECT count(*) FROM reservation.ticket WHERE state IN ('waiting', 'offered')"),
	$before, 'nobody is lost');
$node->safe_psql($db, 'ANALYZE');
verify_ok($node, $db);

# ---- passers-by storm a sale that has a line, while others join, give back and serve

$node->safe_psql($db, <<'EOS');
SELECT FROM reservation.create_pool('sale', 20);
SELECT FROM reservation.create_pool('stock', 20, 'counted');
CREATE TABLE joined (ticket_id uuid PRIMARY KEY, seen_at timestamptz);
CREATE TABLE passed (claim_id uuid PRIMARY KEY);
EOS
foreach my $pool ('sale', 'stock')
{
	my $claim = $pool eq 'sale' ? 'claim_next' : 'take';
	my $run = pgbench_run($node, $db, <<"EOS", clients => 20, jobs => 2, seconds => 4);
\\set who random(1, 6)
\\set id random(1, 1000000000)
\\if :who <= 2
WITH c AS MATERIALIZED (SELECT status, claim_id FROM reservation.$claim('$pool', 'passer ' || :id))
INSERT INTO passed SELECT claim_id FROM c WHERE status = 'claimed';
\\elif :who = 3
SELECT quote_literal(ticket_id) AS ticket FROM reservation.join_line('$pool', 'line ' || :id) \\gset
INSERT INTO joined VALUES (:ticket, clock_timestamp());
\\elif :who = 6
SELECT count(*) FROM reservation.serve_line('$pool', 3);
\\else
SELECT r.status FROM (SELECT claim_id FROM reservation.claims WHERE pool = '$pool' AND state = 'held' ORDER BY random() LIMIT 1) h,
	reservation.release(h.claim_id) r;
\\endif
EOS
	is($run->{exit}, 0, "a storm on $pool") or diag($run->{stderr});
	my $claimed = number("SELECT count(*) FROM passed JOIN reservation.claims USING (claim_id) WHERE pool = '$pool'");
	my $waited = number("SELECT count(*) FROM reservation.tickets WHERE pool = '$pool' AND settled_at > joined_at + interval '1 ms'");
	note("$claimed claims of passers-by, $waited tickets that waited");
	cmp_ok($waited, '>', 0, 'some waited');
	cmp_ok($claimed, '>', 0, 'and some passed');

	# A ticket whose holder had the answer before a passer-by's claim began, and that still waited when
	# the claim was committed.
	is(number(<<"EOS"), 0, 'no passer-by got a unit while somebody waited');
SELECT count(*) FROM passed JOIN reservation.claim c USING (claim_id) JOIN reservation.pool p USING (pool_id)
WHERE p.pool = '$pool' AND EXISTS (
	SELECT FROM reservation.ticket t JOIN joined j USING (ticket_id)
	WHERE t.pool_id = c.pool_id AND j.seen_at < c.claimed_at
		AND (t.state = 'waiting' OR pg_xact_commit_timestamp(t.xmin) > pg_xact_commit_timestamp(passed.xmin)))
EOS
	# What two that did not see each other left over, the next who looks deals out.
	number("SELECT count(*) FROM reservation.sweep()");
	is(number("SELECT count(*) FROM reservation.serve_line('$pool')"), 0, 'nothing is left that the line could have');
}
$node->safe_psql($db, 'ANALYZE');
verify_ok($node, $db);

# ---- control: the same storm on a line that looks first and acts then, with the same question asked

$node->safe_psql($db, <<'EOS');
CREATE TABLE seat (number integer PRIMARY KEY, holder text);
INSERT INTO seat SELECT n, 'somebody' FROM generate_series(1, 20) n;
CREATE TABLE waiting (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seen_at timestamptz, served boolean DEFAULT false);
CREATE TABLE overtook (claimed_at timestamptz);
EOS
my $control = pgbench_run($node, $db, <<'EOS', clients => 20, jobs => 2, seconds => 4);
\set who random(1, 6)
\if :who <= 2
SELECT count(*) AS others FROM waiting WHERE NOT served \gset
\if :others = 0
WITH taken AS (UPDATE seat SET holder = 'passer' WHERE number = (SELECT number FROM seat WHERE holder IS NULL LIMIT 1 FOR UPDATE SKIP LOCKED)
	RETURNING number)
INSERT INTO overtook SELECT clock_timestamp() FROM taken;
\endif
\elif :who = 3
INSERT INTO waiting DEFAULT VALUES RETURNING id \gset
UPDATE waiting SET seen_at = clock_timestamp() WHERE id = :id;
\else
UPDATE seat SET holder = NULL WHERE number = (SELECT number FROM seat WHERE holder IS NOT NULL ORDER BY random() LIMIT 1);
WITH next AS (SELECT id FROM waiting WHERE NOT served ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED),
	taken AS (UPDATE seat SET holder = 'line' WHERE number = (SELECT number FROM seat WHERE holder IS NULL LIMIT 1 FOR UPDATE SKIP LOCKED)
		AND EXISTS (SELECT FROM next) RETURNING number)
UPDATE waiting SET served = true FROM next, taken WHERE waiting.id = next.id;
\endif
EOS
is($control->{exit}, 0, 'a storm on a line of plain SQL') or diag($control->{stderr});
cmp_ok(number(<<'EOS'), '>', 0, 'control: there, passers-by overtake those who wait');
SELECT count(*) FROM overtook o WHERE EXISTS (
	SELECT FROM waiting w WHERE w.seen_at < o.claimed_at
		AND (NOT w.served OR pg_xact_commit_timestamp(w.xmin) > pg_xact_commit_timestamp(o.xmin)))
EOS

# ---- many count the same thousand

# Every 250th who joins counts the thousands before. Here everybody is one, and four make a thousand.
$node->safe_psql($db, <<'EOS');
SELECT FROM reservation.create_pool('queue', 1, opens_at => 'tomorrow');
SELECT FROM reservation.join_line('queue', 'first');
SELECT format('ALTER SEQUENCE reservation.pool_%s_ticket INCREMENT 250 RESTART 125', pool_id) FROM reservation.pool WHERE pool = 'queue' \gexec
CREATE SEQUENCE joined_number INCREMENT 250;
CREATE TABLE counted (thousand bigint);
EOS
my %counters = (clients => 8, jobs => 2, transactions => 500);
my $counting = pgbench_run($node, $db, <<'EOS', %counters);
\set id random(1, 1000000000)
SELECT status FROM reservation.join_line('queue', 'counter ' || :id);
EOS
is($counting->{exit}, 0, 'everybody counts') or diag($counting->{stderr});
cmp_ok(number("SELECT count(*) FROM reservation.line_block WHERE base AND waiting = 0
	AND pool_id = (SELECT pool_id FROM reservation.pool WHERE pool = 'queue')"), '>', 100, 'many thousands are counted');
verify_ok($node, $db, 'each of them once');
is(number(<<'EOS'), 0, 'so everybody has the right place');
SELECT count(*) FROM (SELECT ticket_id, row_number() OVER (ORDER BY number) AS place FROM reservation.tickets WHERE pool = 'queue') t,
	LATERAL reservation.line_position(ticket_id) l WHERE l.position <> t.place AND t.place % 50 = 0
EOS

$counting = pgbench_run($node, $db, <<'EOS', %counters);
INSERT INTO counted SELECT t FROM (SELECT nextval('joined_number') / 1000 AS t) n WHERE NOT EXISTS (SELECT FROM counted WHERE thousand = t);
EOS
is($counting->{exit}, 0, 'the same without a lock') or diag($counting->{stderr});
cmp_ok(number('SELECT count(*) - count(DISTINCT thousand) FROM counted'), '>', 0, 'control: there, some are counted twice');

# ---- many count a thousand in which the last of a priority is just leaving

# Everybody has a priority of their own, so with who leaves, the priority is gone.
$node->safe_psql($db, <<'EOS');
SELECT FROM reservation.create_pool('ranks', 1, opens_at => 'tomorrow');
SELECT count(*) FROM generate_series(1, 1500) n, LATERAL reservation.join_line('ranks', 'rank -' || n, 1, -n);
SELECT format('ALTER SEQUENCE reservation.pool_%s_ticket INCREMENT 250 RESTART 2125', pool_id) FROM reservation.pool WHERE pool = 'ranks' \gexec
CREATE INDEX ON reservation.ticket (number) WHERE state = 'waiting';
EOS
$counting = pgbench_run($node, $db, <<'EOS', clients => 8, jobs => 2, seconds => 8);
\set id random(1, 1000000000)
SELECT status FROM reservation.join_line('ranks', 'rank ' || :id, 1, :id);
SELECT count(l.status) FROM (SELECT ticket_id FROM reservation.ticket WHERE state = 'waiting' AND priority > 0
	ORDER BY number DESC LIMIT 1 OFFSET :id % 12) t, reservation.leave_line(ticket_id) l;
EOS
is($counting->{exit}, 0, 'everybody counts, and many leave') or diag($counting->{stderr});
verify_ok($node, $db, 'no base has counted who was gone');

$node->stop;
done_testing();
