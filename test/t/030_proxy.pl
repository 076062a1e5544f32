# 030_proxy.pl: pools spread over two servers behind a proxy (proxy/reservation_proxy.sql, PL/Proxy): the
# same races, the same errors, and a shard that is killed in the middle of a sale.
#
# A shard is a database: s0 and s1 on server a, s2 and s3 on server b; later s3 moves to a.
# Controls: the naive way through the same proxy sells twice; a repeated call without a request id
# takes twice.

use strict;
use warnings;

use List::Util qw(sum);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Reservation;

my $units = 5;
my %server = map {
	$_ => Reservation->node("proxy_$_", preload => 1, conf => "listen_addresses = '127.0.0.1'")
} qw(a b);
my %home = (s0 => 'a', s1 => 'a', s2 => 'b', s3 => 'b');
my $proxy = Reservation->node('proxy', conf => "listen_addresses = '127.0.0.1'");

sub on_proxy { return $proxy->safe_psql('postgres', $_[0]); }
sub on_shard { return $server{ $home{ $_[0] } }->safe_psql($_[0], $_[1]); }

sub on_shards
{
	my ($query) = @_;
	return grep { $_ ne '' } map { split /\n/, on_shard($_, $query) } sort keys %home;
}

# Through the proxy, as a role that may only claim.
sub as_shop { return on_proxy("SET ROLE shop; $_[0]"); }

sub partition
{
	my ($shard) = @_;
	return "dbname=$shard host=127.0.0.1 port=" . $server{ $home{$shard} }->port;
}

sub shard_of
{
	my ($name) = @_;
	return 's' . on_proxy("SELECT reservation.shard_of_name(nullif('$name', '')) & 3");
}

# What a statement raises, in full; a function that every database here has.
my $raises = <<'EOF';
CREATE FUNCTION public.raises(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	s text; m text; d text; h text;
BEGIN
	EXECUTE query;
	RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL,
		h = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', s, m, nullif(d, ''), nullif(h, ''));
END
$$;
EOF

sub raises { return "SELECT raises(\$q\$SELECT * FROM $_[0]\$q\$)"; }

# ---- three servers

$_->safe_psql('postgres', 'CREATE ROLE shop LOGIN') foreach values %server;
foreach my $shard (sort keys %home)
{
	$server{ $home{$shard} }->safe_psql('postgres', "CREATE DATABASE $shard");
	on_shard($shard, <<"EOF");
CREATE EXTENSION reservation;
SELECT FROM reservation.grant_access('shop', 'claim');
CREATE TABLE naive (pool text, number integer, sold boolean NOT NULL DEFAULT false);
CREATE FUNCTION naive_free(pool text) RETURNS integer LANGUAGE sql AS
	'SELECT min(number) FROM naive n WHERE n.pool = \$1 AND NOT sold';
CREATE FUNCTION naive_sell(pool text, number integer) RETURNS void LANGUAGE sql AS
	'UPDATE naive n SET sold = true WHERE n.pool = \$1 AND n.number = \$2';
GRANT ALL ON naive TO shop;
$raises
EOF
}
$server{a}->psql('s0', slurp_file('proxy/reservation_proxy.sql'), stdout => \my $written,
	on_error_die => 1);
on_proxy($written);
on_proxy('CREATE SERVER reservation FOREIGN DATA WRAPPER plproxy OPTIONS ('
	  . join(', ', map { 'p' . substr($_, 1) . " '" . partition($_) . "'" } sort keys %home) . ')');
on_proxy(<<"EOF");
CREATE ROLE shop LOGIN;
GRANT USAGE ON SCHEMA reservation TO shop;
GRANT USAGE ON FOREIGN SERVER reservation TO shop;
CREATE USER MAPPING FOR shop SERVER reservation OPTIONS (user 'shop');
CREATE USER MAPPING FOR postgres SERVER reservation OPTIONS (user 'postgres');
CREATE TABLE answers (pool text, request text, status text, claim_id uuid, number integer,
	replayed boolean);
CREATE TABLE naive_sales (pool text, number integer);
CREATE FUNCTION naive_free(pool text) RETURNS integer LANGUAGE plproxy AS
	'CLUSTER ''reservation''; RUN ON reservation.shard_of_name(pool);';
CREATE FUNCTION naive_sell(pool text, number integer) RETURNS void LANGUAGE plproxy AS
	'CLUSTER ''reservation''; RUN ON reservation.shard_of_name(pool);';
GRANT ALL ON answers, naive_sales TO shop;
$raises
EOF

my $functions = <<'EOF';
SELECT format('%s(%s) %s', proname, pg_get_function_arguments(oid), pg_get_function_result(oid))
FROM pg_proc WHERE pronamespace = 'reservation'::regnamespace AND prorettype <> 'trigger'::regtype
	AND proname <> ALL ('{stats_by_id,holds_in_flight,last_drawn,events_since,grant_access,availability_by_shard,proxy_call_handler,
		shard_of_names,shard_of_both,shard_of_lines,shards_of}')
ORDER BY 1
EOF
is(on_proxy($functions), on_shard('s0', $functions), 'the proxy has every function');

on_proxy("SELECT c.* FROM generate_series(1, 50) i,
	reservation.create_pool('pool ' || i, $units) c");
my @pools = on_shards('SELECT count(*) FROM reservation.pool');
is(sum(@pools), 50, '50 pools');
cmp_ok($_, '>', 0, 'and some on each shard') foreach @pools;
is_deeply(
	[
		on_shards('SELECT pool FROM reservation.pool WHERE reservation.shard_of_name(pool) & 3
			<> right(current_database(), 1)::integer')
	],
	[], 'each is where its name says');

# ---- the race: 800 callers for the units of 50 pools

my $claim = GATE . <<'EOF';
\set n random(1, 50)
INSERT INTO answers (pool, status, claim_id, number) SELECT pool, status, claim_id, number FROM reservation.claim_next('pool ' || :n, 'caller ' || gen_random_uuid());
EOF
my $naive = GATE . <<'EOF';
\set n random(1, 50)
SELECT coalesce(naive_free('pool ' || :n), 0) AS number \gset
\if :number > 0
SELECT naive_sell('pool ' || :n, :number);
INSERT INTO naive_sales VALUES ('pool ' || :n, :number);
\endif
EOF
my %load = (clients => 40, transactions => 20, args => ['--username=shop']);

gate($proxy, 'postgres', $load{clients});
my $run = pgbench_run($proxy, 'postgres', $claim, %load);
is($run->{exit}, 0, 'race: pgbench says that all is well') or diag($run->{stderr});
is($run->{processed}, 800, 'race: every call was answered');
is( on_proxy("SELECT pool FROM answers GROUP BY 1
		HAVING count(*) FILTER (WHERE status = 'claimed') <> least(count(*), $units)
			OR count(*) FILTER (WHERE status = 'sold_out') <> greatest(count(*) - $units, 0)"),
	'', 'race: what there was is claimed, everybody else is told sold_out');
is( on_proxy('SELECT pool, number FROM answers WHERE number > 0 GROUP BY 1, 2
		HAVING count(*) > 1'),
	'', 'race: nothing is claimed twice');
is(on_proxy("SELECT min(number), max(number) FROM answers WHERE status = 'claimed'"),
	"1|$units", 'race: the numbers are those of the pools');
on_shard($_, "INSERT INTO naive SELECT pool, generate_series(1, $units) FROM reservation.pool")
  foreach sort keys %home;
my ($doubles, $tries) = (0, 0);
while ($doubles == 0 && $tries++ < 10)
{
	on_proxy('TRUNCATE naive_sales');
	on_shard($_, 'UPDATE naive SET sold = false') foreach sort keys %home;
	gate($proxy, 'postgres', $load{clients});
	pgbench_run($proxy, 'postgres', $naive, %load);
	$doubles = on_proxy('SELECT count(*) - count(DISTINCT (pool, number)) FROM naive_sales');
}
cmp_ok($doubles, '>', 0, 'race: control: the naive way sells units twice');

# ---- by the id alone

my $claimed = on_proxy("SELECT count(*) FROM answers WHERE status = 'claimed'");
my $finalize = <<'EOF';
SELECT f.status, f.late, f.replayed, count(*)
FROM (SELECT claim_id, pool, number FROM answers WHERE claim_id IS NOT NULL OFFSET 0) a,
	LATERAL reservation.finalize(a.claim_id) f
WHERE f.pool = a.pool AND f.number = a.number GROUP BY 1, 2, 3
EOF
is(as_shop($finalize), "finalized|f|f|$claimed", 'every claim is finalized by its id alone');
is(as_shop($finalize), "finalized|f|t|$claimed", 'and once');

# ---- errors as the shard says them

on_proxy("SELECT FROM reservation.create_pool('seat', 10)");
on_proxy("SELECT FROM reservation.create_pool('grain', 10, 'counted')");
as_shop("SELECT FROM reservation.claim_next('seat', 'ann', request_id => 'r')");
foreach my $call (
	"reservation.claim_next('seat', 'bob', request_id => 'r')",
	"reservation.claim_next('seat', 'bob', count => 0)",
	"reservation.claim_next('grain', 'bob')",
	"reservation.claim_next('grain', NULL)",
	"reservation.claim_next(NULL, 'bob')",
	"reservation.claim_next('none', 'bob')",
	"reservation.create_pool('seat', 11)",
	"reservation.finalize('00000000-0000-7000-8000-000000000000')",
	"reservation.availability('{none}')",
	"reservation.availability('{NULL}')",
	"reservation.checkout('c', 'ann', '[{\"pool\": \"seat\", \"quantty\": 1}]')")
{
	my $expected = on_shard(shard_of($call =~ /(seat|grain|none)/ ? $1 : ''), raises($call));

	like($expected, qr/^\w{5} \| .* \| /, "$call is an error with a hint");
	is(on_proxy(raises($call)), $expected, 'and the same through the proxy');
}
is( as_shop(raises("reservation.create_pool('mine', 1)")),
	'42501 | permission denied for function create_pool',
	'the shard decides who may do what');
is( as_shop("SELECT status, available FROM reservation.claim_next('seat', 'x', count => 10)"),
	'sold_out|9', 'a refusal is a row');

# ---- what concerns several pools

is( as_shop("SELECT string_agg(pool, ',') FROM reservation.availability(
		ARRAY['pool 30', 'pool 2', 'pool 41', 'pool 7'])"),
	'pool 30,pool 2,pool 41,pool 7', 'availability of several shards, in the order asked for');
on_proxy("SELECT FROM reservation.create_pool('{x} a', 3)");
on_proxy("SELECT FROM reservation.create_pool('{x} b', 3, 'counted')");
as_shop("SELECT FROM reservation.cart_add('cart {x}', '{x} a')");
as_shop("SELECT FROM reservation.cart_add('cart {x}', '{x} b', 2)");
my $checkout =
  as_shop("SELECT checkout_id FROM reservation.checkout_cart('cart {x}', 'order 1', 'ann')");
is( as_shop("SELECT status, order_number FROM reservation.finalize_checkout('$checkout')"),
	'finalized|1', 'a checkout of pools with one tag');
my ($one, $other) = split /\n/,
  on_proxy("SELECT min('pool ' || i) FROM generate_series(1, 50) i
	GROUP BY reservation.shard_of_name('pool ' || i) & 3 LIMIT 2");
like(
	as_shop(raises("reservation.checkout('order 2', 'ann',
		'[{\"pool\": \"$one\"}, {\"pool\": \"$other\"}]')")),
	qr/^22023 \| "$one" and "$other" are on different shards \| Give names/,
	'pools of two shards are refused');
like(
	as_shop(raises("reservation.cart_add('cart {x}', 'pool 1')")),
	qr/^22023 \| "cart \{x\}" and "pool 1" are on different shards/,
	'and do not get into a cart together');

# ---- a shard is killed in the middle of a sale

on_proxy("SELECT c.* FROM generate_series(1, 50) i, reservation.create_pool('sale ' || i, 20) c");
my %side;
foreach my $n (1 .. 8)
{
	on_proxy("SELECT FROM reservation.create_pool('side $n', 1)");
	$side{ $home{ shard_of("side $n") } } = "side $n";
}
on_proxy(<<'EOF');
TRUNCATE answers;
CREATE TABLE lost (pool text, request text, sqlstate text);
GRANT ALL ON lost TO shop;
CREATE FUNCTION attempt(pool text, request text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO answers SELECT attempt.pool, request, c.status, c.claim_id, c.number, c.replayed
		FROM reservation.claim_next(attempt.pool, request, request_id => request) c;
EXCEPTION WHEN connection_exception OR operator_intervention THEN
	INSERT INTO lost VALUES (pool, request, SQLSTATE);
	PERFORM pg_sleep(0.05);
END
$$;
EOF
my $buy = PostgreSQL::Test::Utils::tempdir() . '/buy.sql';
append_to_file($buy, <<'EOF');
\set n random(1, 50)
SELECT attempt('sale ' || :n, gen_random_uuid()::text);
EOF
my $sale = IPC::Run::start(
	[
		$proxy->installed_command('pgbench'), '--no-vacuum',
		'--host' => $proxy->host,
		'--port' => $proxy->port,
		'--username=shop', '--client=20', '--time=4', "--file=$buy", 'postgres'
	],
	'<', \undef, '>', \my $sale_out, '2>', \my $sale_err);
$proxy->poll_query_until('postgres', 'SELECT count(*) > 100 FROM answers')
  or die 'nobody buys anything';
crash($server{b});
$proxy->poll_query_until('postgres', 'SELECT count(*) > 20 FROM lost') or die 'nobody noticed';

is(as_shop("SELECT status FROM reservation.claim_next('$side{a}', 'x')"),
	'claimed', 'the other shards go on');
like(as_shop(raises("reservation.claim_next('$side{b}', 'x')")),
	qr/^08006 \| .* \| Repeat the call, with its request_id/s,
	'the dead one cannot be reached, and the hint says what to do');
restart($server{b});
ok($sale->finish, 'the sale went on to its end') or diag($sale_err);
is( on_proxy("SELECT DISTINCT sqlstate FROM lost WHERE sqlstate !~ '^(08006|57P0.)\$'"),
	'', 'lost calls have an SQLSTATE that says so');

# Every call that was not refused is made again, with its request id.
on_proxy('CREATE TABLE again (LIKE answers); GRANT ALL ON again TO shop');
as_shop(<<'EOF');
INSERT INTO again SELECT a.pool, a.request, c.status, c.claim_id, c.number, c.replayed
FROM (SELECT pool, request FROM answers WHERE status = 'claimed'
		UNION ALL SELECT pool, request FROM lost OFFSET 0) a,
	LATERAL reservation.claim_next(a.pool, a.request, request_id => a.request) c
EOF
is( on_proxy("SELECT count(*), count(*) FILTER (WHERE again.replayed AND again.claim_id = a.claim_id
			AND again.number = a.number)
		FROM answers a LEFT JOIN again USING (request) WHERE a.status = 'claimed'"),
	join('|', (on_proxy("SELECT count(*) FROM answers WHERE status = 'claimed'")) x 2),
	'who had an answer gets the same again');
is( on_proxy("SELECT count(*) FILTER (WHERE again.status NOT IN ('claimed', 'sold_out')
			OR again.status IS NULL) FROM lost LEFT JOIN again USING (request)"),
	0, 'who had none gets one');
note(on_proxy('SELECT count(*), count(*) FILTER (WHERE again.replayed) FROM again
	JOIN lost USING (request)') . ' (calls lost, and which of them had taken effect)');
is( on_proxy('SELECT pool, number FROM again WHERE number > 0 GROUP BY 1, 2 HAVING count(*) > 1'),
	'', 'nothing is sold twice');
my @known = split /\n/, on_proxy("SELECT claim_id FROM again WHERE status = 'claimed'");
my @there = on_shards("SELECT claim_id FROM reservation.claims WHERE pool LIKE 'sale %'");
is_deeply([ sort @there ], [ sort @known ], 'nothing is lost: the claims there are those known');
is( on_proxy("SELECT pool FROM (SELECT pool, request FROM answers UNION SELECT pool, request FROM lost) a
		LEFT JOIN again USING (pool, request) GROUP BY 1
		HAVING count(*) FILTER (WHERE again.status = 'claimed') <> least(count(*), 20)"),
	'', 'and nobody was refused while there was something left');

# Control: an answer that got lost, and a call without a request id that is repeated.
my $repeat = sub {
	my ($arguments) = @_;
	as_shop("SELECT FROM reservation.claim_next('seat', $arguments)") foreach 1, 2;
	return on_proxy("SELECT available FROM reservation.availability('{seat}')");
};
is($repeat->("'carl', request_id => 'r2'"), 8, 'repeated with its request id, a call takes once');
is($repeat->("'dora'"), 6, 'control: without one, it takes twice');

# ---- a shard moves: s3, from b to a

my $moved = on_proxy("SELECT min('sale ' || i) FROM generate_series(1, 50) i
	WHERE reservation.shard_of_name('sale ' || i) & 3 = 3");
$server{b}->safe_psql('postgres', <<'EOF');
ALTER DATABASE s3 SET default_transaction_read_only = on;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 's3';
EOF
like(as_shop(raises("reservation.claim_next('$moved', 'x')")),
	qr/^25006 \| /, 'while it moves, nothing is written there');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/s3.dump';
$server{b}->command_ok([ 'pg_dump', '--format=custom', "--file=$dump", $server{b}->connstr('s3') ],
	'it is dumped');
my $books = 'SELECT count(*), sum(number), count(DISTINCT holder), max(claimed_at)
	FROM reservation.claims';
my $before = on_shard('s3', $books);
$server{a}->safe_psql('postgres', 'CREATE DATABASE s3');
$server{a}->command_ok(
	[ 'pg_restore', '--exit-on-error', '--dbname', $server{a}->connstr('s3'), $dump ],
	'and restored');
$home{s3} = 'a';
is(on_shard('s3', $books), $before, 'with all its claims');
on_proxy("ALTER SERVER reservation OPTIONS (SET p3 '" . partition('s3') . "')");
is( as_shop("SELECT count(*) FROM (SELECT * FROM again WHERE status = 'claimed' OFFSET 0) a,
		LATERAL reservation.claim_next(a.pool, a.request, request_id => a.request) c
		WHERE c.replayed AND c.claim_id = a.claim_id"),
	scalar(@known), 'every call has the same answer still');
is( as_shop("SELECT f.status, count(*)
		FROM (SELECT claim_id FROM again WHERE status = 'claimed' OFFSET 0) a,
			LATERAL reservation.finalize(a.claim_id) f GROUP BY 1"),
	'finalized|' . @known, 'and every claim is finalized by its id alone');

# ---- the books

verify_ok($server{ $home{$_} }, $_, "verify() finds nothing wrong on $_") foreach sort keys %home;
is(on_proxy('SELECT * FROM reservation.verify()'), '', 'nor does it through the proxy');
on_shard('s3', 'DELETE FROM reservation.available');
cmp_ok(on_proxy('SELECT count(*) FROM reservation.verify()'),
	'>', 0, 'which asks every shard: it finds what is broken on one');

$_->stop foreach ($proxy, values %server);
done_testing();
