#!/usr/bin/env python3
"""Draws the CPU time of a call at each peer, from the file that run.py --json wrote.

    python3 benches/peers/plot.py target/peers/figures.json > docs/benchmarks.svg
"""

import json
import sys
from xml.sax.saxutils import escape

from report import median

SHAPES = {"8x8": "8 connections x 8 streams", "64x16": "64 connections x 16 streams"}
LEFT, WIDTH, BAR, ROW, GAP = 300, 400, 16, 24, 56


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        figures = json.load(file)
    rows, titles = figures["calls"], figures["about"]["titles"]
    peers = [name for name in titles if any(row["peer"] == name for row in rows)]
    groups = {shape: {name: median(rows, "cpu_us", peer=name, shape=shape) for name in peers} for shape in SHAPES}
    most = max(value for group in groups.values() for value in group.values())
    height = GAP + sum(GAP + ROW * len(peers) for _ in groups)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{height}" '
          f'viewBox="0 0 {LEFT + WIDTH + 60} {height}" role="img" font-family="sans-serif" font-size="13">')
    print("<title>CPU time of a GetAgent call, in microseconds: less is better</title>")
    # Colors between light and dark: the page around it may be either.
    print("<style>text{fill:#6e7781}.strong{font-weight:600}.peer{fill:#8c959f}.own{fill:#2f81f7}</style>")
    print('<text class="strong" x="0" y="20" font-size="15">CPU time of a GetAgent call, us (less is better)</text>')
    top = GAP
    for shape, group in groups.items():
        print(f'<text class="strong" x="0" y="{top + 10}">{SHAPES[shape]}</text>')
        for number, (name, value) in enumerate(sorted(group.items(), key=lambda item: item[1])):
            own = name == "switchboard"
            y = top + 24 + number * ROW
            weight, color = (' class="strong"', "own") if own else ("", "peer")
            length = max(1.0, WIDTH * value / most)
            print(f'<text{weight} x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(titles[name])}</text>')
            print(f'<rect class="{color}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>')
            print(f'<text{weight} x="{LEFT + length + 6:.1f}" y="{y + 13}">{value:.0f}</text>')
        top += GAP + ROW * len(peers)
    about = figures["about"]
    print(f'<text x="0" y="{height - 12}" font-size="11">{escape(about["machine"])}; {about["rounds"]} interleaved '
          "rounds, medians</text>")
    print("</svg>")
    return 0


if __name__ == "__main__":
    sys.exit(main())
