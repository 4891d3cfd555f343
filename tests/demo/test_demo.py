# SPDX-License-Identifier: BSD-3-Clause
"""What the demo shows: in which way, within the terminal, and what the picture says; how it
looks for a rate, and what it says at its end."""

import io
import os
import re
import sys
import unittest
import xml.etree.ElementTree as tree
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import closing  # noqa: E402
import load  # noqa: E402
import picture  # noqa: E402
import screen  # noqa: E402
from search import Search, Trial  # noqa: E402
from story import Act, Sample, latency, percent, point  # noqa: E402

FINE = {"TERM": "xterm", "LANG": "C.UTF-8"}
SVG = "{http://www.w3.org/2000/svg}"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def act(key="bare", is_guarded=False, syns=3000.0, n_failed=25):
    made = Act(key, "an act of " + key, is_guarded, True)
    for i in range(4):
        made.samples.append(Sample(0.5 * (i + 1), syns, syns / 2, 512, [0.001] * i, n_failed, 0.5))
    return made


def rows_of(said):
    return re.sub(r"\033\[[?0-9;]*[A-Za-z]", "", said).split("\n")


def shown(stream, environ, columns=100, lines=40):
    with mock.patch("shutil.get_terminal_size", lambda _: os.terminal_size((columns, lines))):
        one = screen.Screen(stream, environ)
        one.scale = 6000
        one.show(act(), "a note " * 40)
        one.show(act(), "a note " * 40)
    return stream.getvalue()


class Ways(unittest.TestCase):
    def test_terminal_gets_a_panel_in_place(self):
        said = shown(Terminal(), FINE)
        self.assertIn("\033[12A", said)
        self.assertIn("\033[1m", said)
        self.assertIn("█", said)
        self.assertLess(max(map(len, rows_of(said))), 100)

    def test_no_terminal_gets_lines(self):
        for stream, environ in ((io.StringIO(), FINE), (Terminal(), {"TERM": "dumb"}),
                                (Terminal(), {})):
            said = shown(stream, environ)
            self.assertNotIn("\033", said)
            self.assertIn("3,000 SYN/s in", said)
            self.assertIn("6 good, 100 failed", said)

    def test_small_terminal_gets_lines(self):
        self.assertNotIn("\033[12A", shown(Terminal(), FINE, columns=50))
        self.assertNotIn("\033[12A", shown(Terminal(), FINE, lines=8))

    def test_panel_fits_each_terminal_that_has_one(self):
        for columns in (screen.WIDTH_MIN, 64, 80, 200):
            rows = rows_of(shown(Terminal(), FINE, columns=columns))
            self.assertLess(max(map(len, rows)), columns)

    def test_prose_is_wrapped_on_a_terminal_alone(self):
        text = "word " * 60
        for stream, longest in ((Terminal(), 59), (io.StringIO(), 300)):
            with mock.patch("shutil.get_terminal_size", lambda _: os.terminal_size((60, 24))):
                one = screen.Screen(stream, FINE)
                one.say(text)
                one.put("x" * 100)
            rows = rows_of(stream.getvalue())
            self.assertIn("x" * 100, rows)
            self.assertLessEqual(max(len(row) for row in rows if "x" not in row), longest)
        self.assertIn(text, stream.getvalue())

    def test_no_color_is_respected(self):
        said = shown(Terminal(), dict(FINE, NO_COLOR="1"))
        self.assertIn("\033[12A", said)
        self.assertIsNone(re.search(r"\033\[[0-9;]*m", said))

    def test_ascii_locale_gets_ascii(self):
        self.assertTrue(shown(Terminal(), {"TERM": "xterm", "LANG": "C"}).isascii())


class Bars(unittest.TestCase):
    def test_width_and_ends(self):
        for fine in (True, False):
            self.assertEqual(screen.bar(0, 20, fine).strip(), "")
            self.assertNotEqual(screen.bar(0.0001, 20, fine).strip(), "")
            self.assertEqual(len(screen.bar(1, 20, fine).strip()), 20)
            for share in (-1, 0, 0.01, 0.5, 0.999, 1, 7):
                self.assertEqual(len(screen.bar(share, 20, fine)), 20)


class Numbers(unittest.TestCase):
    def test_points(self):
        self.assertIsNone(point([], 0.5))
        self.assertEqual(point([3, 1, 2], 0.5), 2)
        self.assertEqual(point(range(100), 0.99), 99)
        self.assertEqual(latency([0.001, 0.001, 2.0]), "1.0 / 2000 ms")
        self.assertEqual(latency([]), "none")

    def test_shares(self):
        self.assertEqual([percent(share) for share in (0, 1, 0.5, 0.05, 0.0123, 0.0012, 3e-6)],
                         ["0 %", "100 %", "50 %", "5.0 %", "1.2 %", "0.12 %", "0.0003 %"])

    def test_act_adds_up(self):
        one = act()
        self.assertEqual((one.n_good, one.n_failed, one.n_requests), (6, 100, 106))
        self.assertEqual((one.mean("syns"), one.most("half_open")), (3000, 512))


class Clock:
    """Each look at it is a second later."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        self.now += 1
        return self.now


class Searching(unittest.TestCase):
    def search(self, bearable, most=400000, seconds=100):
        self.tried = []

        def attempt(rate):
            self.tried.append(rate)
            return Trial(rate, rate, rate if rate <= bearable else 0.9 * rate, 0.001, 50, 0)

        return Search(most, attempt, seconds, Clock())

    def test_all_that_arrives_is_carried(self):
        found = self.search(1e9)
        self.assertEqual((self.tried, found.carried, found.rate), ([388000], 388000, 360000))
        self.assertNotIn("above", found.says())

    def test_less_is_carried(self):
        found = self.search(330000)
        self.assertEqual((self.tried, found.carried, found.rate),
                         ([388000, 372000, 357000, 342000, 328000], 328000, 305000))
        self.assertIn("10 % of the SYNs were lost", found.says())

    def test_time_is_over(self):
        found = self.search(1, seconds=6)
        self.assertIsNone(found.carried)
        self.assertLess(len(self.tried), 5)
        self.assertIn("no rate was found", found.says())

    def test_never_below_the_least(self):
        self.assertEqual(self.search(1, most=3000, seconds=1e6).rate, 1000)

    def test_faults(self):
        self.assertIsNone(Trial(1000, 990, 989, 0.01, 50, 0).fault())
        for trial in (Trial(1000, 1000, 900, 0.01, 50, 0), Trial(1000, 1000, 1000, 0.01, 50, 1),
                      Trial(1000, 1000, 1000, None, 0, 0), Trial(1000, 900, 900, 0.01, 50, 0),
                      Trial(1000, 1000, 1000, 0.5, 50, 0)):
            self.assertTrue(trial.fault())


class Closing(unittest.TestCase):
    def said(self, flood, *asked):
        grown = {"syn_ack_sent": 99, "syn_received": 100, "cookies_checked": 7}
        bare = act()
        bare.failures = ["no answer"] * 99 + ["ECONNREFUSED"]
        return "\n".join(closing.account({"bare": bare, "flood": flood, "after": act("after")},
                                         grown, *asked))

    def test_cookies_are_named_to_those_who_did_not_ask(self):
        flood = act("flood", True, 1000, 0)
        self.assertIn("--cookies", self.said(flood))
        self.assertNotIn("--cookies", self.said(flood, True))

    def test_account(self):
        flood = act("flood", True, 1000, 0)
        flood.n_sent, flood.n_arrived, flood.n_back = 1000, 990, 980
        said = self.said(flood)
        for text in ("100 requests failed at the bare server: no answer (99), ECONNREFUSED (1)",
                     "lost 10 of them (1.0 %)", "answered 99 of 100 SYNs", "7 connections",
                     "980 SYN-ACKs came back"):
            self.assertIn(text, said)
        self.assertNotIn("CPU", said)

    def test_work_of_others_is_told(self):
        flood = act("flood", True, 1000, 0)
        flood.waited, flood.stolen = 0.25, 0.1
        said = self.said(flood)
        self.assertIn("25 %", said)
        self.assertIn("10 %", said)

    def test_table_has_a_column_for_each(self):
        acts = {key: act(key) for key in ("bare-calm", "bare", "calm", "flood")}
        for key, n_columns in (("flood", 2), ("cookies", 3)):
            acts[key] = act(key, True, 1234567)
            lines = screen.table(closing.rows(acts))
            self.assertEqual(len({len(line) for line in lines}), 1)
            self.assertLess(len(lines[0]), 80)
            self.assertEqual(len(re.findall(r"[\d,]+", lines[2])), 1 + n_columns)


class Machine(unittest.TestCase):
    def test_own_waiting_is_measured(self):
        measured = load.Load(os.getpid())
        sum(range(300000))
        for share in (measured.waited(), measured.stolen()):
            self.assertTrue(share is None or 0 <= share <= 1)

    def test_no_such_process(self):
        self.assertIsNone(load.Load(0).waited())


class Picture(unittest.TestCase):
    def test_says_what_was_measured(self):
        svg = picture.picture([act(), act("flood", True, 412000.0, 0)], "a <footer>")
        root = tree.fromstring(svg)
        said = [each.text for each in root.iter(SVG + "text")]
        for text in ("3,000 SYN/s", "412,000 SYN/s", "a <footer>",
                     "6 of 106 answered", "6 of 6 answered"):
            self.assertIn(text, said)
        width, height = float(root.get("width")), float(root.get("height"))
        for box in root.iter(SVG + "rect"):
            self.assertGreaterEqual(float(box.get("x")), 0)
            self.assertLessEqual(float(box.get("x")) + float(box.get("width")), width + 1)
            self.assertLessEqual(float(box.get("y")) + float(box.get("height")), height + 1)
        # The red of requests that failed is in the bare half alone.
        red = [float(box.get("x")) for box in root.iter(SVG + "rect")
               if box.get("fill") == picture.COLOURS["failed"] and float(box.get("width")) != 9]
        self.assertTrue(red and max(red) < width / 2)

    def test_an_act_without_a_good_request(self):
        nothing = act()
        for sample in nothing.samples:
            sample.taken = []
        tree.fromstring(picture.picture([nothing], ""))


if __name__ == "__main__":
    unittest.main()
