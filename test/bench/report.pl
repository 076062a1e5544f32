# report.pl: reads what test/benchmark measured and prints medians and ratios.
#
# A ratio is taken round by round, between two peers of the same round; printed are the median of
# those and the lowest and highest.

use strict;
use warnings;

my (%rate, %p99, %rounds);
while (<>)
{
	chomp;
	my ($round, $clients, $peer, $rate, $p99) = split /,/;
	next if $round eq 'round';
	$rate{$clients}{$peer}{$round} = $rate;
	$p99{$clients}{$peer}{$round} = $p99;
	$rounds{$round} = 1;
}
my @rounds = sort { $a <=> $b } keys %rounds;

sub median { my @v = sort { $a <=> $b } @_; return $v[ $#v / 2 ]; }

foreach my $clients (sort { $a <=> $b } keys %rate)
{
	printf "\n%-16s %12s %9s    %d client%s\n", 'peer', 'per second', 'p99 ms', $clients,
	  $clients == 1 ? '' : 's';
	my %median = map { $_ => median(values %{ $rate{$clients}{$_} }) } keys %{ $rate{$clients} };
	foreach my $peer (sort { $median{$b} <=> $median{$a} } keys %median)
	{
		printf "%-16s %12.0f %9.2f\n", $peer, $median{$peer}, median(values %{ $p99{$clients}{$peer} });
	}
}

my @wanted = (
	[ 64, 'claim_next', 'insert', 0.85 ], [ 64, 'claim_next', 'skip_locked', 3.5 ],
	[ 64, 'claim_next', 'for_update', 15 ], [ 64, 'sold_out', 'select_1', 0.8 ],
	[ 1, 'claim_next', 'skip_locked', 1.2 ], [ 64, 'replay', 'select_by_key', 0.7 ],
	[ 64, 'finalize', 'update_by_key', 0.8 ]);
printf "\n%-32s %8s %8s %8s %8s\n", 'ratio', 'median', 'lowest', 'highest', 'wanted';
foreach my $want (@wanted)
{
	my ($clients, $ours, $theirs, $least) = @$want;
	my @ratios = map { $rate{$clients}{$ours}{$_} / ($rate{$clients}{$theirs}{$_} || 1e-9) }
	  grep { defined $rate{$clients}{$ours}{$_} && defined $rate{$clients}{$theirs}{$_} } @rounds;
	next unless @ratios;
	@ratios = sort { $a <=> $b } @ratios;
	printf "%-32s %8.2f %8.2f %8.2f %8s\n", "$ours / $theirs, $clients", median(@ratios), $ratios[0],
	  $ratios[-1], ">= $least";
}
my @slower = map { $p99{64}{claim_next}{$_} / ($p99{64}{insert}{$_} || 1e-9) }
  grep { defined $p99{64}{claim_next}{$_} } @rounds;
printf "%-32s %8.2f %8s %8s %8s\n", 'p99 claim_next / insert, 64', median(@slower), '', '', '<= 1.5'
  if @slower;
