# SPDX-License-Identifier: Apache-2.0
# Draws what bench/scaling has measured as an SVG: a panel for each axis, seconds by size, both logarithmic.

import math
from html import escape

TITLES = {"code": "4 million calls, by KiB of hot code", "memory": "2 million words read and written, by MiB",
          "processes": "20,000 hops, by processes in the ring", "processors": "16 workers, by processors of the machine",
          "userland": "Debian's start, by MiB of code cache"}  # fmt: skip
COLOURS = {"vitrine": "#4477aa", "native": "#228833"}
LEFT, WIDTH, HEIGHT, GAP = 56, 380, 150, 64


def decades(low, high):
    """Powers of ten, and their halves where there are few, that lie between."""
    marks = [m * 10**e for e in range(-4, 6) for m in (1, 2, 5)]
    inside = [m for m in marks if low <= m <= high]
    return [m for m in inside if round(math.log10(m), 9) % 1 == 0] if len(inside) > 7 else inside


def panel(title, of, top):
    sizes = sorted({size for points in of.values() for size in points})
    values = [seconds for points in of.values() for seconds in points.values()]
    low, high = min(values) / 1.3, max(values) * 1.3

    def x(size):
        return LEFT + (math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0]) if len(sizes) > 1 else 0) * WIDTH

    def y(seconds):
        return top + 24 + HEIGHT - math.log(seconds / low) / math.log(high / low) * HEIGHT

    text = f'<text x="8" y="{top + 12}" font-weight="bold">{escape(title)}</text>\n'
    for mark in decades(low, high):
        text += f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y(mark):.1f}" y2="{y(mark):.1f}" stroke="#dddddd"/>'
        text += f'<text x="{LEFT - 6}" y="{y(mark) + 4:.1f}" text-anchor="end" font-size="10">{mark:g} s</text>\n'
    for size in sizes:
        text += f'<text x="{x(size):.1f}" y="{top + 24 + HEIGHT + 14}" text-anchor="middle" font-size="10">{size}</text>\n'
    for n, (machine, points) in enumerate(of.items()):
        line = " ".join(f"{x(size):.1f},{y(points[size]):.1f}" for size in sorted(points))
        colour = COLOURS[machine]
        text += f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>\n'
        text += "".join(f'<circle cx="{x(size):.1f}" cy="{y(seconds):.1f}" r="3" fill="{colour}"/>' for size, seconds in points.items())
        text += f'<text x="{LEFT + WIDTH + 10}" y="{top + 36 + 14 * n}" fill="{colour}">{machine}</text>\n'
    return text, top + HEIGHT + GAP


def svg(known):
    """`known`: by axis, by machine, seconds by size."""
    body, top = "", 8
    for axis, of in known.items():
        text, top = panel(TITLES[axis], {m: points for m, points in of.items() if points}, top)
        body += text
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 80}" height="{top}" font-family="sans-serif" font-size="12" fill="#222222">\n'
            f'<rect width="100%" height="100%" fill="white"/>\n{body}</svg>\n')  # fmt: skip
