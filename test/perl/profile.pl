# profile.pl NAME STEPS FEW MANY: the difference between two files of callgrind, per call.
#
# Functions by what they cost with all that they call, the most expensive first. Only those with a
# name are seen: a server without debugging symbols hides its static functions.

use strict;
use warnings;

my ($name, $steps, $few, $many) = @ARGV;

sub read_costs
{
	my %cost;
	open my $in, '-|', 'callgrind_annotate', '--inclusive=yes', '--threshold=100', '--tree=none', $_[0]
	  or die "callgrind_annotate: $!";
	while (<$in>)
	{
		next unless /^\s*([\d,]+) \([^)]*\)\s+(\S.*?)(?: \[.*)?$/;
		my ($instructions, $function) = ($1, $2);
		$function =~ s/^[^:]*://;
		$function =~ s/'\d+$//;
		$instructions =~ tr/,//d;
		$cost{$function} = $instructions if $instructions > ($cost{$function} // 0);
	}
	close $in;
	return \%cost;
}

my $before = read_costs($few);
my $after = read_costs($many);
my %each = map { $_ => ($after->{$_} - ($before->{$_} // 0)) / 2000 } keys %$after;
printf "\n%-44s %8d instructions a call\n", $name, $each{'PROGRAM TOTALS'};
my @named = grep {
	/^(?:rsv_\w+|Executor(?:Start|Run|End)|ExecInsertIndexTuples|heap_\w+|XLogInsert|index_getnext_slot)$/
	  && $each{$_} >= 100
} sort { $each{$b} <=> $each{$a} } keys %each;
splice @named, $steps if @named > $steps;
printf "    %-40s %8d\n", $_, $each{$_} foreach @named;
