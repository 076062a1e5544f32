# report.pl: reads the CSV that test/benchmark measured.
#
#   perl report.pl CSV AIMS     prints medians, and how they compare with the aims
#   perl report.pl CSV          prints the claims per second, for chart.gp
#
# A ratio is taken round by round, between two peers of the same round. Printed are the median over
# the rounds, the lowest and the highest.

use strict;
use warnings;

my ($csv, $aims) = @ARGV;
my (%slice, %group, @peers);    # $slice{clients}{peer}[round] is { seconds, per_second, p99_ms }

sub rows_of
{
	my ($file) = @_;
	open my $in, '<', $file or die "$file: $!\n";
	return grep { !/^\s*(#|$)/ } map { chomp; $_ } <$in>;
}

sub spread                      # median, lowest, highest
{
	my @v = sort { $a <=> $b } @_;
	return (($v[ $#v / 2 ] + $v[ @v / 2 ]) / 2, $v[0], $v[-1]);
}

sub of                          # what the peer measured in each round
{
	my ($clients, $peer, $column) = @_;
	return map { $_->{$column} } grep { defined } @{ $slice{$clients}{$peer} // [] };
}

sub middle { return (spread(of(@_)))[0]; }

sub fastest_first
{
	my ($clients, @names) = @_;
	my %rate = map { $_ => middle($clients, $_, 'per_second') } @names;
	return sort { $rate{$b} <=> $rate{$a} } @names;
}

sub thousands { my $n = sprintf '%.0f', shift; 1 while $n =~ s/^(\d+)(\d{3})/$1,$2/; return $n; }

my @lines = rows_of($csv);
my @columns = split /,/, shift @lines;
foreach (@lines)
{
	my %row;
	@row{@columns} = split /,/;
	push @peers, $row{peer} unless $group{ $row{peer} };
	$group{ $row{peer} } = $row{group};
	$slice{ $row{clients} }{ $row{peer} }[ $row{round} ] = \%row;
}
my @clients = sort { $a <=> $b } keys %slice;

# ---- for chart.gp: a line per peer, the fastest last; a rate and its label per number of clients

if (!$aims)
{
	@clients = grep { defined $slice{$_}{claim_next} } @clients;
	die "a chart needs the group claims\n" unless @clients;
	print join(' ', 'peer', @clients), "\n";
	my @everywhere = grep { my $peer = $_; !grep { !$slice{$_}{$peer} } @clients } @peers;
	foreach my $peer (reverse fastest_first($clients[-1], grep { $group{$_} eq 'claims' } @everywhere))
	{
		my @rates = map { middle($_, $peer, 'per_second') } @clients;
		print join(' ', $peer, map { sprintf '%.0f "%s"', $_, thousands($_) } @rates), "\n";
	}
	exit;
}

# ---- what each peer did

my %seen;
foreach my $group (grep { !$seen{$_}++ } map { $group{$_} } @peers)
{
	foreach my $clients (@clients)
	{
		my @of_group = grep { $group{$_} eq $group && $slice{$clients}{$_} } @peers;
		next unless @of_group;
		printf "\n%-28s %12s %12s %12s %10s\n", "$group, $clients client" . ($clients > 1 && 's'),
		  'per second', 'lowest', 'highest', 'p99 ms';
		foreach my $peer (fastest_first($clients, @of_group))
		{
			printf "%-28s %12s %12s %12s %10.2f\n", $peer,
			  (map { thousands($_) } spread(of($clients, $peer, 'per_second'))),
			  middle($clients, $peer, 'p99_ms');
		}
	}
}

# ---- and how that compares with the aims

sub ratios
{
	my ($measure, $ours, $theirs, $clients) = @_;
	return of($clients, $ours, 'seconds') if $measure eq 'seconds';
	return of($clients, $ours, 'per_second') if $measure eq 'work';
	my $column = $measure eq 'p99' ? 'p99_ms' : 'per_second';
	my ($above, $below) = map { $slice{$clients}{$_} // [] } ($ours, $theirs);
	($above, $below) = ($below, $above) if $measure eq 'cost';
	return map { $above->[$_]{$column} / ($below->[$_]{$column} || 1e-9) }
	  grep { defined $above->[$_] && defined $below->[$_] } 0 .. $#$above;
}

printf "\n%-48s %8s %8s %8s %9s\n", 'aim', 'median', 'lowest', 'highest', 'wanted';
foreach (rows_of($aims))
{
	my ($measure, $ours, $theirs, $clients, $sign, $wanted) = split;
	my $name = $theirs eq '-' ? $ours : "$ours / $theirs";
	my @ratios = ratios($measure, $ours, $theirs, $clients);
	printf '%-48s ', "$measure $name, $clients client" . ($clients > 1 && 's');
	print "not measured\n" and next unless @ratios;
	my ($median, $lowest, $highest) = spread(@ratios);
	my $met = $sign eq '>=' ? $median >= $wanted : $median <= $wanted;
	printf "%8.2f %8.2f %8.2f %9s  %s\n", $median, $lowest, $highest, "$sign $wanted",
	  $met ? 'met' : 'missed';
}
