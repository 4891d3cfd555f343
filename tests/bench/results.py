# SPDX-License-Identifier: BSD-3-Clause
"""The table: one row for each comparison, ratios first; as text and as JSON."""

import json
import os


def short(value):
    """A figure with as many digits as a reader wants."""
    if value is None:
        return "-"
    if value >= 100:
        return "%.0f" % value
    return "%.3g" % value if value < 10 else "%.1f" % value


class Results:
    """Rows are kept in order, and printed as they come."""

    def __init__(self, machine, quick):
        self.data = {"machine": machine, "quick": quick, "rows": [], "series": {}, "failed": {}}

    def row(self, topic, what, ratio=None, bar=None, at_most=False, ours=None, peer=None, unit="",
            against="", note="", **details):
        """One comparison. `bar` is the least ratio that is asked for, or the largest if
        `at_most`; without a bar the row only informs."""
        met = None
        if bar is not None and ratio is not None:
            met = ratio <= bar if at_most else ratio >= bar
        self.data["rows"].append({
            "topic": topic, "what": what, "ratio": ratio, "bar": bar, "at_most": at_most,
            "met": met, "ours": ours, "peer": peer, "unit": unit, "against": against,
            "note": note, **details})
        print(self.line(self.data["rows"][-1]), flush=True)

    def series(self, name, title, unit, bars, note=""):
        """A plot: bars is a list of (label, value, group)."""
        self.data["series"][name] = {"title": title, "unit": unit, "bars": bars, "note": note}

    def fail(self, topic, error):
        self.data["failed"][topic] = str(error)

    @staticmethod
    def line(row):
        verdict = {True: "met", False: "missed", None: ""}[row["met"]]
        bar = "" if row["bar"] is None else "%s %g" % ("<=" if row["at_most"] else ">=",
                                                       row["bar"])
        pair = short(row["ours"])
        if row["peer"] is not None:
            pair += " : " + short(row["peer"])
        text = "%6s  %-8s %-7s %-9s %-52s %s %s" % (
            "" if row["ratio"] is None else "%.2f" % row["ratio"], bar, verdict, row["topic"],
            row["what"], pair, row["unit"])
        if row["against"]:
            text += " (against %s)" % row["against"]
        if row["note"]:
            text += "\n%36s%s" % ("", row["note"])
        return text

    def head(self):
        """The machine that the rows are made on, and the columns."""
        machine = self.data["machine"]
        return "%s, %d CPUs, Linux %s, DPDK %s, synfront %s, %s\n%6s  %-8s %-7s %-9s %-52s %s" % (
            machine["cpu"], machine["cpus"], machine["kernel"], machine["dpdk"],
            machine["synfront"], machine["date"], "ratio", "bar", "", "topic", "what",
            "synfront : peer")

    def summary(self):
        """Bars met and missed, and what did not work."""
        bars = [row for row in self.data["rows"] if row["met"] is not None]
        lines = ["%d bars, %d met, %d missed" % (
            len(bars), sum(row["met"] for row in bars), sum(not row["met"] for row in bars))]
        lines += ["missed: " + row["what"] for row in bars if not row["met"]]
        lines += ["did not work: %s: %s" % item for item in self.data["failed"].items()]
        return "\n".join(lines)

    def write(self, directory):
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "results.json"), "w") as file:
            json.dump(self.data, file, indent=1)
            file.write("\n")
