# SPDX-License-Identifier: BSD-3-Clause
"""One thing has one colour, in whatever order a plot meets it, and in the figures that are kept."""
import glob
import os
import re
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import plot  # noqa: E402

LEGEND = re.compile(r'<rect x="\d+" y="32" width="10" height="10" fill="(#[0-9a-f]{6})"/>\s*'
                    r"<text [^>]*>([^<]*)</text>")
BAR = re.compile(r'<text [^>]*text-anchor="end"[^>]*>([^<]*)</text>\s*'
                 r'<rect x="\d+" y="\d+" width="[\d.]+" height="\d+" fill="(#[0-9a-f]{6})"/>')


def series(*groups):
    return {"title": "t", "unit": "u", "note": "",
            "bars": [("bar %d" % i, i + 1, group) for i, group in enumerate(groups)]}


class Colours(unittest.TestCase):
    def test_order_changes_no_colour(self):
        for groups in (("synfront", "others"), ("others", "synfront"),
                       ("syn-cookie", "client-64"), ("client-64", "ack-first", "syn-cookie")):
            svg = plot.chart(series(*groups), "")
            self.assertEqual({group: colour for colour, group in LEGEND.findall(svg)},
                             {group: plot.COLOURS[group] for group in groups})
            self.assertEqual([colour for _, colour in BAR.findall(svg)],
                             [plot.COLOURS[group] for group in groups])

    def test_synfront_has_its_own(self):
        self.assertEqual([group for group, colour in plot.COLOURS.items()
                          if colour == plot.COLOURS["synfront"]], ["synfront"])

    def test_figures_have_them(self):
        figures = glob.glob(os.path.join(HERE, "figures", "*.svg"))
        self.assertGreater(len(figures), 5)
        for path in figures:
            with open(path, encoding="utf-8") as file:
                svg = file.read()
            for colour, group in LEGEND.findall(svg):
                self.assertEqual(colour, plot.COLOURS[group], path)
            for label, colour in BAR.findall(svg):
                if label.startswith("synfront"):
                    self.assertEqual(colour, plot.COLOURS["synfront"], path)
                elif label.startswith(("synproxy", "listener", "macswap")):
                    self.assertEqual(colour, plot.COLOURS["others"], path)


if __name__ == "__main__":
    unittest.main()
