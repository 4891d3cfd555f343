# SPDX-License-Identifier: BSD-3-Clause
"""What is seen of the demo: a panel that is redrawn where it stands, or plain lines.

A terminal gets the panel; a file, a pipe, TERM=dumb or a terminal too small for it gets a
line a second. Colours are left out where NO_COLOR is set (no-color.org), and bars are of
ASCII where the locale is.
"""

import math
import os
import shutil
import textwrap
import time

from story import latency, milliseconds, point, thousands

PANEL_WIDTH, WIDTH_MIN, HEIGHT_MIN = 96, 52, 16
LABEL, VALUE = 25, 12
CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34",
         "cyan": "36"}
EIGHTHS = " ▏▎▍▌▋▊▉█"
LATENCY_LEAST, LATENCY_MOST = 1e-4, 4.0


def is_terminal(stream, environ):
    """Whether a panel can be drawn there."""
    return stream.isatty() and environ.get("TERM", "dumb") not in ("", "dumb")


def is_utf8(environ):
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    return locale.upper().replace("-", "").endswith("UTF8")


def bar(share, width, fine=True):
    """A bar of at most `width` characters; none is so short that it is not seen, but 0 is."""
    share = min(1.0, max(0.0, share))
    if not fine:
        full = max(1, round(share * width)) if share else 0
        return "#" * full + " " * (width - full)
    eighths = max(1, round(share * width * 8)) if share else 0
    text = "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
    return text + " " * (width - len(text))


def latency_share(seconds):
    """Where a latency stands between the least and the most, each decade as wide as another."""
    if seconds is None or seconds <= LATENCY_LEAST:
        return 0.0
    return math.log(seconds / LATENCY_LEAST) / math.log(LATENCY_MOST / LATENCY_LEAST)


class Screen:
    """`scale`: the rate at which a bar of SYNs is full; set as soon as it is known."""

    def __init__(self, stream, environ=os.environ, clock=time.monotonic):
        self.stream, self.clock = stream, clock
        self.begun = clock()
        self.is_live = is_terminal(stream, environ)
        self.has_colours = self.is_live and not environ.get("NO_COLOR")
        self.is_fine = is_utf8(environ)
        self.height = 0  # lines of the panel that are on the screen now
        self.scale = 1.0
        self.last_line = -1e9

    # Text that stays

    def say(self, text="", *colours):
        """Prose, which a terminal gets in lines of its width."""
        if self.is_live:
            columns = min(shutil.get_terminal_size((80, 24)).columns - 1, PANEL_WIDTH)
            text = textwrap.fill(text, max(columns, 20))
        self.put(text, *colours)

    def put(self, line, *colours):
        """A line as it is: of a table, or to be copied."""
        self.erase()
        self.write("\n".join(self.paint(each, *colours) for each in line.split("\n")) + "\n")

    def paint(self, text, *colours):
        if not self.has_colours or not colours:
            return text
        return "\033[%sm%s\033[0m" % (";".join(CODES[name] for name in colours), text)

    def write(self, text):
        self.stream.write(text)
        self.stream.flush()

    # The panel

    def erase(self):
        if self.height:
            self.write("\033[%dA\033[J" % self.height)
            self.height = 0

    def draw(self, lines):
        """Put these lines in the place of those that were there."""
        above = "\033[%dA" % self.height if self.height else ""
        self.write("\033[?25l" + above + "".join(line + "\033[K\n" for line in lines) + "\033[J")
        self.height = len(lines)

    def close(self):
        """What stands there stays; the terminal is as it was."""
        self.height = 0
        if self.is_live:
            self.write("\033[0m\033[?25h")

    def wait(self, text):
        """Something is prepared, and takes a while."""
        if self.has_room():
            self.draw([self.paint(self.cut("  " + text + " ..."), "dim")])

    def has_room(self):
        size = shutil.get_terminal_size((80, 24))
        self.columns = min(size.columns - 1, PANEL_WIDTH)
        return self.is_live and size.columns >= WIDTH_MIN and size.lines >= HEIGHT_MIN

    def cut(self, text):
        return text[:self.columns]

    def show(self, act, note):
        """The newest sample of an act, and what it has come to so far."""
        if not act.samples:
            return
        if self.has_room():
            self.draw(self.panel(act, note))
        elif self.clock() - self.last_line >= 1:
            self.last_line = self.clock()
            self.put("  " + plain(act))

    def panel(self, act, note):
        now = act.samples[-1]
        recent = [taken for sample in act.samples[-4:] for taken in sample.taken]
        width = self.columns - LABEL - VALUE - 4
        mine = "blue" if act.is_guarded else "yellow"
        failed = "red" if act.n_failed else "dim"

        def row(label, share, value, colour):
            drawn = self.paint(bar(share, width, self.is_fine), colour)
            return "  %-*s%s %*s" % (LABEL, label, drawn, VALUE, value)

        whole = max(1, act.n_requests)
        clock = "%d:%02d" % divmod(int(self.clock() - self.begun), 60)
        title = self.cut("  " + act.title)
        return ["", self.paint(title + clock.rjust(self.columns - len(title) - 1), "bold"), "",
                row("SYNs in", now.syns / self.scale, thousands(now.syns) + " /s", "cyan"),
                row("SYN-ACKs out", now.answers / self.scale, thousands(now.answers) + " /s", mine),
                row("requests that succeeded", act.n_good / whole, thousands(act.n_good), "green"),
                row("requests that failed", act.n_failed / whole, thousands(act.n_failed), failed),
                row("half-open at the server", now.half_open / 512, thousands(now.half_open), mine),
                row("latency, median", latency_share(point(recent, 0.5)),
                    milliseconds(point(recent, 0.5)), mine),
                row("latency, p99", latency_share(point(recent, 0.99)),
                    milliseconds(point(recent, 0.99)), mine),
                "", self.paint(self.cut("  " + note), "dim")]


def plain(act):
    """The newest sample of an act as a line."""
    now = act.samples[-1]
    recent = [taken for sample in act.samples[-2:] for taken in sample.taken]
    return ("%9s SYN/s in, %9s SYN-ACK/s out; requests %s good, %s failed, latency %s;"
            " server %d half-open" % (thousands(now.syns), thousands(now.answers),
                                      thousands(act.n_good), thousands(act.n_failed),
                                      latency(recent), now.half_open))


def table(rows):
    """Rows of a label and numbers as aligned lines; the first is their heads."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  " + "   ".join([row[0].ljust(widths[0])] + [
        each.rjust(width) for each, width in zip(row[1:], widths[1:])]) for row in rows]
    lines.insert(1, "  " + "-" * (sum(widths) + 3 * len(widths) - 3))
    return lines
