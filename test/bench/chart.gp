# chart.gp: claims per second of every peer, a panel for each number of clients, as SVG.
#
# Reads what "report.pl CSV" prints. All panels have the same scale. There is no background, and
# the colours can be read on white and on black.

data = ARG1
header = system("head -n 1 " . data)
panels = words(header) - 1
peers = int(system("wc -l < " . data)) - 1
grey = "#737c86"
colour(name) = name eq "claim_next" ? 0x2f81f7 : 0x737c86

most = 0
do for [panel = 1:panels] {
    stats data using 2 * panel skip 1 nooutput
    most = STATS_max > most ? STATS_max : most
}

# all lengths in pixels
names = 130
panel_width = 260
row = 24
above = 34
total_width = names + panels * panel_width
total_height = above + peers * row

set terminal svg size total_width, total_height dynamic noenhanced font "sans-serif,14"
set multiplot
set border 0
set key off
unset xtics
set xrange [0:1.4 * most]
set yrange [0.5:peers + 0.5]
set tmargin at screen 1 - 1.0 * above / total_height
set bmargin at screen 0
do for [panel = 1:panels] {
    clients = word(header, panel + 1)
    set lmargin at screen (names + (panel - 1.0) * panel_width) / total_width
    set rmargin at screen (names + (panel - 0.0) * panel_width) / total_width
    unset label
    set label clients . (clients eq "1" ? " client" : " clients") . ", claims per second" \
        at graph 0, 1 offset 0, 0.9 tc rgb grey
    unset ytics
    if (panel == 1) { set ytics scale 0 tc rgb grey }
    plot data using (0):($0 + 1):(0):2 * panel:($0 + 0.65):($0 + 1.35):(colour(strcol(1))):ytic(1) \
            skip 1 with boxxyerror fill solid noborder lc rgb variable, \
        data using 2 * panel:($0 + 1):2 * panel + 1 \
            skip 1 with labels left offset 0.5, 0 tc rgb grey
}
unset multiplot
