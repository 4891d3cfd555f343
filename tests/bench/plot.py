# SPDX-License-Identifier: BSD-3-Clause
"""Bar charts as SVG, with nothing but the standard library."""

import os
from xml.sax.saxutils import escape

WIDTH, LABELS, RIGHT, BAR, GAP, HEAD, FOOT = 800, 250, 90, 20, 8, 52, 44
# Each has its colour in every plot; what is new is given one here.
COLOURS = {
    "synfront": "#1f6feb", "others": "#8c959f", "testpmd io": "#8c959f",
    "testpmd macswap": "#8c959f",
    "syn-cookie": "#bf8700", "ack-first": "#a371f7", "client-64": "#2da44e",
    "server-1500": "#0a7ea4",
    "IPv4": "#d4654a", "IPv6": "#b35ba6",
    "wire": "#57606a", "synfront, state": "#0969da", "synfront, cookies": "#54aeff",
    "nft synproxy": "#8c959f", "the same, no timestamps": "#d0d7de",
}


def text(x, y, content, size=13, anchor="start", colour="#57606a"):
    return '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s">%s</text>' % (
        x, y, size, anchor, colour, escape(content))


def chart(series, footer):
    """The SVG of a series: bars is a list of (label, value, group)."""
    bars = [bar for bar in series["bars"] if bar[1] is not None]
    groups = list(dict.fromkeys(group for _, _, group in bars))
    most = max([value for _, value, _ in bars] or [1]) or 1
    height = HEAD + len(bars) * (BAR + GAP) + FOOT
    out = ['<!-- SPDX-License-Identifier: BSD-3-Clause -->',
           '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"'
           ' font-family="sans-serif">' % (WIDTH, height, WIDTH, height),
           '<rect width="%d" height="%d" fill="#ffffff"/>' % (WIDTH, height),
           text(10, 24, "%s, %s" % (series["title"], series["unit"]), 16, colour="#1f2328")]
    x = WIDTH - 10
    for group in reversed(groups):
        if len(groups) == 1:
            break
        x -= 8 * len(group) + 26
        out += ['<rect x="%d" y="32" width="10" height="10" fill="%s"/>' % (
            x, COLOURS[group]), text(x + 14, 41, group, 12)]
    y = HEAD
    for label, value, group in bars:
        width = (WIDTH - LABELS - RIGHT) * value / most
        out += [text(LABELS - 8, y + 15, label, anchor="end", colour="#1f2328"),
                '<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (
                    LABELS, y, max(width, 1), BAR, COLOURS[group]),
                text(LABELS + width + 6, y + 15, "%.3g" % value if value < 1000
                     else "%.0f" % value)]
        y += BAR + GAP
    out += [text(10, y + 14, series["note"], 11), text(10, y + 30, footer, 11), "</svg>"]
    return "\n".join(out) + "\n"


def write_all(data, directory):
    """A file for each series; their names."""
    machine = data["machine"]
    footer = "%s, %d CPUs, Linux %s, DPDK %s, synfront %s, %s%s" % (
        machine["cpu"], machine["cpus"], machine["kernel"], machine["dpdk"], machine["synfront"],
        machine["date"].split()[0], " (--quick)" if data["quick"] else "")
    names = []
    for name, series in data["series"].items():
        names.append(name + ".svg")
        with open(os.path.join(directory, names[-1]), "w") as file:
            file.write(chart(series, footer))
    return names
