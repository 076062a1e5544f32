# chart.gp: claims per second of every peer, a panel for each number of clients, as SVG.
#
# Reads what "report.pl CSV" prints. No background, and a grey that can be read on white and black.

data = ARG1
grey = "#737c86"
header = system("head -n 1 " . data)
panels = words(header) - 1
peers = int(system("wc -l < " . data)) - 1

set terminal svg size 300 * panels + 140, 24 * peers + 60 dynamic font "sans-serif,13"
set multiplot
set border 0
set key off
unset xtics
set yrange [0.4:peers + 0.6]
set tmargin 0
set bmargin 0
left = 130.0 / (300 * panels + 140)
width = 300.0 / (300 * panels + 140)
height = 24.0 * peers / (24 * peers + 60)
ours(name) = name eq "claim_next" ? 0x2f81f7 : 0x737c86

do for [panel = 1:panels] {
    clients = word(header, panel + 1)
    rate = 2 * panel
    stats data using rate skip 1 nooutput
    set xrange [0:STATS_max * 1.35]
    set lmargin at screen left + (panel - 1) * width
    set rmargin at screen left + panel * width
    set tmargin at screen height + 10.0 / (24 * peers + 60)
    set bmargin at screen 10.0 / (24 * peers + 60)
    set title clients . (clients eq "1" ? " client" : " clients") . ", claims per second" tc rgb grey
    if (panel == 1) { set ytics scale 0 tc rgb grey } else { set ytics scale 0 tc rgb grey; set format y "" }
    plot data using (0):($0 + 1):(0):rate:($0 + 0.65):($0 + 1.35):(ours(strcol(1))):ytic(panel == 1 ? strcol(1) : "") \
            skip 1 with boxxyerror fill solid noborder lc rgb variable, \
        data using rate:($0 + 1):rate + 1 skip 1 with labels left offset 0.5, 0 tc rgb grey
}
