# SPDX-License-Identifier: BSD-3-Clause
"""A soak over time, as SVG: one panel below the other, floods and faults marked in all."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../bench"))
# pylint: disable=wrong-import-position
from plot import COLOURS, text

WIDTH, LEFT, RIGHT, TOP, PANEL, GAP = 1100, 90, 170, 92, 130, 34
BUCKETS = 240
FLOOD_COLOUR, FAULT_COLOUR, FLAP_COLOUR = "#ddf4ff", "#cf222e", "#bf8700"


class Axis:
    """Time to x, and the buckets that values are gathered in."""

    def __init__(self, begin, end):
        self.begin, self.end = begin, end
        self.width = WIDTH - LEFT - RIGHT

    def x(self, at):
        return LEFT + self.width * min(max((at - self.begin) / (self.end - self.begin), 0), 1)

    def middle(self, bucket):
        return self.begin + (bucket + 0.5) * (self.end - self.begin) / BUCKETS

    def gather(self, pairs, reduce, empty=False):
        """(time, reduce(values)) for each bucket that has any, or for all."""
        buckets = {number: [] for number in range(BUCKETS)} if empty else {}
        for at, value in pairs:
            number = int((at - self.begin) / (self.end - self.begin) * BUCKETS)
            buckets.setdefault(number, []).append(value)
        return [(self.middle(number), reduce(buckets[number])) for number in sorted(buckets)]


def nice(value):
    if value >= 1e6:
        return "%.3gM" % (value / 1e6)
    return "%.3gk" % (value / 1e3) if value >= 1e4 else "%.4g" % value


def panel(axis, top, title, lines):
    """`lines`: (name, [(time, value)])."""
    most = max([value for _, line in lines for _, value in line] or [1]) or 1
    out = ['<rect x="%d" y="%.1f" width="%d" height="%d" fill="none" stroke="#d0d7de"/>' % (
        LEFT, top, axis.width, PANEL), text(LEFT, top - 8, title, 13, colour="#1f2328"),
           text(LEFT - 8, top + 10, nice(most), 11, "end"),
           text(LEFT - 8, top + PANEL, "0", 11, "end")]
    for index, (name, line) in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        points = " ".join("%.1f,%.1f" % (axis.x(at), top + PANEL * (1 - value / most))
                          for at, value in line)
        out += ['<polyline points="%s" fill="none" stroke="%s" stroke-width="1.2"/>' % (
            points, colour), text(WIDTH - RIGHT + 10, top + 14 + 16 * index, name, 11,
                                  colour=colour)]
    return out


def rates(series, name):
    """What a counter grew by in a second."""
    return [(after["at"], (after["stats"][name] - before["stats"][name])
             / (after["at"] - before["at"])) for before, after in zip(series, series[1:])]


def percentile(percent):
    return lambda values: sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def panels(axis, found):
    series, points = found["series"], found["points"]
    step = (axis.end - axis.begin) / BUCKETS
    good = [(at, seconds * 1000) for at, seconds, verdict in points if verdict == "good"]
    count = lambda verdicts: axis.gather([(at, 1) for at, _, verdict in points
                                          if verdict in verdicts], lambda all_: len(all_) / step,
                                         empty=True)
    used = lambda table: axis.gather([(row["at"], row["used"][table]) for row in series], max)
    rate = lambda name: axis.gather(rates(series, name), lambda all_: sum(all_) / len(all_))
    return [
        ("packets per second at the outside port", [
            ("received", rate("received_outside")), ("SYN-ACKs sent", rate("syn_ack_sent"))]),
        ("short requests per second", [
            ("good", count(("good",))), ("server away", count(("flap",))),
            ("explained", count(("explained",))), ("unexpected", count(("unexpected",)))]),
        ("latency of short requests, ms (handshake to last byte)", [
            ("p50", axis.gather(good, percentile(50))), ("p99", axis.gather(good, percentile(99)))]),
        ("spliced segments per second", [("", rate("spliced"))]),
        ("entries in use", [("connections", used("connections")),
                            ("half-open", used("half-open")), ("held", used("held"))]),
        ("buffers in use", [("", used("buffers"))]),
        ("services in cookie mode", [("", axis.gather(
            [(row["at"], sum(row["cookie_mode"].values())) for row in series], max))]),
        ("memory of the process, MiB", [
            ("resident", axis.gather([(row["at"], row["rss"] / 2 ** 20) for row in series], max)),
            ("anonymous", axis.gather([(row["at"], row["anonymous"] / 2 ** 20)
                                       for row in series], max))]),
        ("late by, ms", [
            ("the load's process", [(at, late * 1000) for at, late in found["lags"]]),
            ("telemetry's answer", axis.gather([(row["at"], row["answer_s"] * 1000)
                                                for row in series], max))]),
    ]


def draw(found):
    axis = Axis(found["begun"], found["ended"])
    all_panels = panels(axis, found)
    bottom = TOP + len(all_panels) * (PANEL + GAP)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"'
           ' font-family="sans-serif">' % (WIDTH, bottom + 20, WIDTH, bottom + 20),
           '<rect width="%d" height="%d" fill="#ffffff"/>' % (WIDTH, bottom + 20),
           text(LEFT, 24, "Soak of %s: %g minutes, %s" % (
               found["synfront"], found["minutes"], "clean" if found["clean"] else "NOT CLEAN"),
               16, colour="#1f2328"),
           text(LEFT, 42, "blue: flood; red: fault; brown: the flapping server is away", 11)]
    for row in found["story"]:
        if row["what"] == "reload":
            continue
        colour = {"flood": FLOOD_COLOUR, "fault": FAULT_COLOUR, "flap": FLAP_COLOUR}[row["what"]]
        begin, end = axis.x(row["begin"]), axis.x(row["end"])
        place = (TOP, bottom - TOP - GAP) if row["what"] == "flood" else (
            TOP - 32, 6) if row["what"] == "flap" else (TOP - 40, 6)
        out.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>' % (
            begin, place[0], max(end - begin, 1), place[1], colour))
    for number, (title, lines) in enumerate(all_panels):
        out += panel(axis, TOP + number * (PANEL + GAP), title, lines)
    minutes = (axis.end - axis.begin) / 60
    step = max(1, round(minutes / 12))
    for minute in range(0, int(minutes) + 1, step):
        out.append(text(axis.x(axis.begin + minute * 60), bottom - GAP + 16, "%d min" % minute, 11,
                        "middle"))
    return "\n".join(out + ["</svg>"]) + "\n"
