# SPDX-License-Identifier: BSD-3-Clause
"""What the demo shows: in which way, within the terminal, and what the picture says."""

import io
import os
import re
import sys
import unittest
import xml.etree.ElementTree as tree
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import picture  # noqa: E402
import screen  # noqa: E402
from story import Act, Sample, latency, point  # noqa: E402

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
        rows = re.sub(r"\033\[[?0-9;]*[A-Za-z]", "", said).split("\n")
        self.assertLess(max(map(len, rows)), 100)

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
        self.assertEqual(latency([0.001, 0.001, 2.0]), "1.0 ms / 2000 ms")
        self.assertEqual(latency([]), "none")

    def test_act_adds_up(self):
        one = act()
        self.assertEqual((one.n_good, one.n_failed, one.n_requests), (6, 100, 106))
        self.assertEqual((one.mean("syns"), one.most("half_open")), (3000, 512))


class Picture(unittest.TestCase):
    def test_says_what_was_measured(self):
        svg = picture.picture([act(), act("flood", True, 412000.0, 0)], "a <footer>")
        root = tree.fromstring(svg)
        said = [each.text for each in root.iter(SVG + "text")]
        for text in ("flood of 3,000 SYN/s", "flood of 412,000 SYN/s", "a <footer>",
                     "6 of 106 requests succeeded", "6 of 6 requests succeeded"):
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
