# SPDX-License-Identifier: Apache-2.0
# Draws what bench/kvm_attachments has counted as an SVG: stacked bars by attachment, a panel for each figure.

from html import escape

NAMES = {"emulated": "emulated e1000e", "vhost": "virtio, vhost, bridge", "vmdq": "virtio, vhost, VMDq", "vf-unsafe": "VF, no remapping",
         "vf-remapped": "VF, remapped", "vf-posted": "VF, posted"}  # fmt: skip
EXITS = {"EPT": "#4477aa", "external interrupt": "#ee6677", "HLT": "#228833", "WRMSR": "#ccbb44", "APIC": "#66ccee", "timer": "#aa3377",
         "interrupt window": "#888888", "others": "#cccccc"}  # fmt: skip
INSTRUCTIONS = {"root": "#ee6677", "non-root": "#4477aa"}
# Title, cell without its size, the parts of a bar.
PANELS = [
    ("VM exits for a frame that the guest gets, guest otherwise idle", ("receive", "default", "idle"), EXITS),
    ("the same, guest busy with something else", ("receive", "default", "busy"), EXITS),
    ("instructions for such a frame, guest otherwise idle", ("receive", "default", "idle"), INSTRUCTIONS),
    ("VM exits for a frame that the guest sends", ("send", "default", "idle"), EXITS),
    ("instructions for such a frame", ("send", "default", "idle"), INSTRUCTIONS),
    ("VM exits for a frame got, guest busy, an interrupt each millisecond at most", ("receive", "1000", "busy"), EXITS),
]
LEFT, WIDTH, BAR, GAP, HEAD = 190, 470, 13, 5, 46


def panel(title, cell, parts, rows, top):
    """The panel's SVG, and where the next one begins."""
    bars = [(name, size, figures) for name in NAMES if name in rows for (direction, throttle, load, size), figures in rows[name]
            if (direction, throttle, load) == cell]  # fmt: skip
    if not bars:
        return "", top
    highest = max(sum(max(figures[part], 0) for part in parts) for _, _, figures in bars)
    text, x = f'<text x="8" y="{top + 14}" font-weight="bold">{escape(title)}</text>\n', LEFT
    for part, colour in parts.items():
        text += f'<rect x="{x}" y="{top + 22}" width="9" height="9" fill="{colour}"/><text x="{x + 12}" y="{top + 30}" font-size="10">{part}</text>\n'
        x += 22 + 6 * len(part)
    y, last = top + HEAD - 8, None
    for name, size, figures in bars:
        if name != last:
            y += GAP
            text += f'<text x="8" y="{y + BAR - 3}">{escape(NAMES[name])}</text>\n'
        last = name
        text += f'<text x="{LEFT - 6}" y="{y + BAR - 3}" text-anchor="end" font-size="10">{size} B</text>\n'
        x = LEFT
        for part, colour in parts.items():
            width = max(figures[part], 0) / highest * WIDTH
            text += f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>\n'
            x += width
        value = sum(max(figures[part], 0) for part in parts)
        text += f'<text x="{x + 4:.1f}" y="{y + BAR - 3}" font-size="10">{value:.0f}</text>\n' if value >= 100 else \
            f'<text x="{x + 4:.1f}" y="{y + BAR - 3}" font-size="10">{value:.2f}</text>\n'  # fmt: skip
        y += BAR
    return text, y + 18


def svg(known):
    """`known`: by attachment, a list of cells (direction, throttle, load, size) and their figures."""
    rows = {name: [(tuple(row["cell"]), row["figures"]) for row in of] for name, of in known.items()}
    body, top = "", 8
    for title, cell, parts in PANELS:
        text, top = panel(title, cell, parts, rows, top)
        body += text
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{top}" font-family="sans-serif" font-size="12" fill="#222222">\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}</svg>\n')  # fmt: skip
