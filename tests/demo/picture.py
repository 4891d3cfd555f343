# SPDX-License-Identifier: BSD-3-Clause
"""The demo as one picture over time, as SVG, with nothing but the standard library.

Four panels above each other share the time axis: SYNs and SYN-ACKs per second, requests per
second, their latency (logarithmic), connections half-open at the server. Acts stand side by
side; where the lab was changed in between, the time that it took is left out.
"""

import math
from xml.sax.saxutils import escape

from story import point, thousands

WIDTH, LEFT, RIGHT, HEAD, FOOT = 960, 84, 16, 142, 50
PLOT = WIDTH - LEFT - RIGHT
GAP_S = 0.6
PANEL, BETWEEN = 96, 36
INK, PALE, GRID, FLOODED = "#1f2328", "#57606a", "#d8dee4", "#fff1ee"
COLOURS = {"SYNs in": "#8c959f", "SYN-ACKs out": "#1f6feb", "good": "#2da44e", "failed": "#cf222e",
           "median": "#1f6feb", "p99": "#54aeff", "half-open": "#bf8700"}
LATENCIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 4.0)


def text(x, y, content, size=12, anchor="start", colour=PALE, weight="normal"):
    return '<text x="%.1f" y="%.1f" font-size="%d" font-weight="%s" text-anchor="%s" fill="%s">%s' \
        '</text>' % (x, y, size, weight, anchor, colour, escape(content))


def box(x, y, width, height, colour):
    return '<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (
        x, y, max(width, 0.3), height, colour)


def line(points, colour, width=1.6):
    return '<polyline points="%s" fill="none" stroke="%s" stroke-width="%.1f"' \
        ' stroke-linecap="round"/>' % (
        " ".join("%.1f,%.1f" % pair for pair in points), colour, width)


def area(points, floor, colour):
    whole = [(points[0][0], floor)] + points + [(points[-1][0], floor)]
    return '<polygon points="%s" fill="%s" fill-opacity="0.35"/>' % (
        " ".join("%.1f,%.1f" % pair for pair in whole), colour)


def round_up(value):
    """The least of 1, 2, 3, 4, 5, 6, 8 times a power of ten that is not below a value."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10)
                if value <= step * power * 1.0001)


def short(number):
    return "%g k" % (number / 1000) if number >= 1000 else "%g" % number


def log_share(seconds):
    clipped = min(max(seconds, LATENCIES[0]), LATENCIES[-1])
    return math.log(clipped / LATENCIES[0]) / math.log(LATENCIES[-1] / LATENCIES[0])


class Picture:
    def __init__(self, acts, footer):
        self.acts = [act for act in acts if act.samples]
        self.footer = footer
        whole = sum(act.seconds for act in self.acts) + GAP_S * (len(self.acts) - 1)
        self.scale = PLOT / max(whole, 1e-3)
        self.begin, x = {}, float(LEFT)
        for act in self.acts:
            self.begin[act.key] = x
            x += (act.seconds + GAP_S) * self.scale
        self.height = HEAD + 4 * PANEL + 3 * BETWEEN + FOOT
        self.out = []

    def x(self, act, at):
        return self.begin[act.key] + at * self.scale

    def draw(self):
        """The whole of it, as text."""
        self.out = ['<!-- SPDX-License-Identifier: BSD-3-Clause -->',
                    '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"'
                    ' viewBox="0 0 %d %d" font-family="sans-serif">' % (
                        WIDTH, self.height, WIDTH, self.height),
                    box(0, 0, WIDTH, self.height, "#ffffff"),
                    text(LEFT, 26, "A SYN flood meets a web server: bare, then behind synfront", 18,
                         colour=INK, weight="bold")]
        self.draw_bands()
        top = HEAD
        for draw in (self.draw_rates, self.draw_requests, self.draw_latency, self.draw_half_open):
            draw(top)
            top += PANEL + BETWEEN
        self.draw_seconds(top - BETWEEN)
        self.out += [text(LEFT, self.height - 10, self.footer, 11), "</svg>"]
        return "\n".join(self.out) + "\n"

    def draw_bands(self):
        """What happens when, and to whom. The numbers of requests are of all in the act."""
        for is_guarded in (False, True):
            row = [act for act in self.acts if act.is_guarded == is_guarded]
            if not row:
                continue
            left, right = self.x(row[0], 0), self.x(row[-1], row[-1].seconds)
            colour = COLOURS["SYN-ACKs out"] if is_guarded else PALE
            name = "behind synfront" if is_guarded else "bare server"
            self.out += [box(left, 40, right - left, 4, colour),
                         text(left, 60, name, 13, colour=colour, weight="bold")]
        for act in self.acts:
            left, right = self.x(act, 0), self.x(act, act.seconds)
            if act.is_flooded:
                self.out += [
                    box(left, HEAD - 74, right - left, self.height - HEAD - FOOT + 80, FLOODED),
                    text(left + 4, HEAD - 60, thousands(act.mean("syns")) + " SYN/s",
                         colour=COLOURS["failed"], weight="bold"),
                    text(left + 4, HEAD - 45, "%s of %s answered" % (
                        thousands(act.n_good), thousands(act.n_requests)), 11, colour=INK),
                    text(left + 4, HEAD - 31, act.remark, 11)]

    def frame(self, top, title, legend, ticks):
        """Title, legend and grid of a panel; ticks are (share of the height, label)."""
        self.out.append(text(LEFT, top - 5, title, 12, colour=INK, weight="bold"))
        x = LEFT + 8 * len(title)
        for name in legend:
            self.out += [box(x, top - 13, 9, 9, COLOURS[name]), text(x + 13, top - 5, name, 11)]
            x += 7 * len(name) + 30
        for share, label in ticks:
            y = top + PANEL * (1 - share)
            self.out += ['<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="%s"/>' % (
                LEFT, y, WIDTH - RIGHT, y, GRID), text(LEFT - 6, y + 4, label, 11, "end")]

    def curve(self, act, top, shares):
        """Points of a panel, of (sample, share of the height): each is for half a second, and
        so is a single one."""
        points = [(self.x(act, s.at - s.seconds / 2), top + PANEL * (1 - share))
                  for s, share in shares]
        return points if len(points) != 1 else [(points[0][0] - 2, points[0][1]),
                                                (points[0][0] + 2, points[0][1])]

    def linear_ticks(self, most):
        return [(0.0, "0"), (0.5, short(most / 2)), (1.0, short(most))]

    def draw_rates(self, top):
        most = round_up(max(act.most(name) for act in self.acts for name in ("syns", "answers")))
        self.frame(top, "SYNs per second", ("SYNs in", "SYN-ACKs out"), self.linear_ticks(most))
        for act in self.acts:
            for name, key in (("SYNs in", "syns"), ("SYN-ACKs out", "answers")):
                points = self.curve(act, top, [(s, getattr(s, key) / most)
                                               for s in act.samples])
                if key == "syns":
                    self.out.append(area(points, top + PANEL, COLOURS[name]))
                self.out.append(line(points, COLOURS[name]))

    def draw_requests(self, top):
        def rates(sample):
            return len(sample.taken) / sample.seconds, sample.n_failed / sample.seconds

        most = round_up(max(sum(rates(s)) for act in self.acts for s in act.samples))
        self.frame(top, "requests per second, as they end", ("good", "failed"),
                   self.linear_ticks(most))
        for act in self.acts:
            for sample in act.samples:
                y = float(top + PANEL)
                left = self.x(act, sample.at - sample.seconds)
                for rate, name in zip(rates(sample), ("good", "failed")):
                    height = PANEL * rate / most
                    y -= height
                    if height:
                        self.out.append(box(left, y, sample.seconds * self.scale - 0.6, height,
                                            COLOURS[name]))

    def draw_latency(self, top):
        self.frame(top, "latency of good requests, logarithmic", ("median", "p99"), [
            (log_share(at), "%g ms" % (1e3 * at) if at < 1 else "%g s" % at) for at in LATENCIES])
        for act in self.acts:
            for name, share in (("p99", 0.99), ("median", 0.5)):
                points = self.curve(act, top, [(s, log_share(point(s.taken, share)))
                                               for s in act.samples if s.taken])
                if points:
                    self.out.append(line(points, COLOURS[name]))

    def draw_half_open(self, top):
        most = round_up(max(act.most("half_open") for act in self.acts))
        self.frame(top, "half-open at the server", ("half-open",),
                   self.linear_ticks(most))
        for act in self.acts:
            points = self.curve(act, top, [(s, s.half_open / most) for s in act.samples])
            self.out += [area(points, top + PANEL, COLOURS["half-open"]),
                         line(points, COLOURS["half-open"])]

    def draw_seconds(self, bottom):
        """Seconds of each act."""
        for act in self.acts:
            step = 5 if act.seconds > 8 else 2
            for at in range(0, int(act.seconds) + 1, step):
                x = self.x(act, at)
                if at == 0 or x < self.x(act, act.seconds) - 8:
                    self.out.append(text(x, bottom + 15, "%d s" % at if at else "0", 10, "middle"))


def picture(acts, footer):
    """The SVG of a run."""
    return Picture(acts, footer).draw()
