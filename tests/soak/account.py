# SPDX-License-Identifier: BSD-3-Clause
"""The account of a soak: what was tried, what failed and why, and whether all adds up."""

import collections
import json
import os
import re
import subprocess

import chart
import conversation
from engines import BUILD

# Tables that must be empty in the end.
TRANSIENT = ("connections", "half-open", "held")
# A connection is beside a fault if it was under way during it or so soon after it: a segment
# that was lost in the fault is sent again after 1, 2, 4 s.
GRACE = 5.0
# A server that is back is tried once a second (timeouts.probe), by clients whose SYN may have
# to be sent again.
FLAP_GRACE = 8.0
# What hangs without touching a packet explains nothing.
HARMLESS = ("telemetry",)
# What no fault of the network explains.
INEXCUSABLE = ("bytes differ", "data after", "orderly end", "too many")
# Memory may still grow after the first quarter by what tables that were never full
# touch for the first time.
GROWTH_MAX = 4 << 20
# What the engine says of a fault.
FORETOLD = {"stop": "stands still|stood still|runs again", "inside port": "inside: the link of",
            "outside port": "outside: the link of"}
SPANS = ("calm", "in a flood", "beside a fault")
PERCENTS = (50, 99, 99.9)


class Windows:
    """Spans of time, and which of them one overlaps."""

    def __init__(self, story, what, grace=0.0, skip=()):
        self.spans = [(row["begin"], row["end"] + grace, row.get("kind", what)) for row in story
                      if row["what"] == what and row.get("kind") not in skip]

    def over(self, begin, end):
        """The names of those that it overlaps."""
        return [name for first, last, name in self.spans if begin < last and first < end]


def read_connections(path):
    """Connections as dicts, how late the load itself was, and how many never ended."""
    names = ("kind", "family", "port", "begin", "connect", "seconds", "bytes", "wrong")
    connections, lags, left = [], [], None
    with open(path) as file:
        for line in file:
            fields = json.loads(line)
            if fields[0] == "lag":
                lags.append(tuple(fields[1:]))
            elif fields[0] == "end":
                left = fields[1]
            else:
                connections.append(dict(zip(names, fields)))
    return connections, lags, left


def percentile(values, percent):
    """Of a sorted list; None if it is empty."""
    if not values:
        return None
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def judge(connections, story):
    """Tell each connection's span of time, and whether its failure has an explanation."""
    faults = Windows(story, "fault", GRACE, HARMLESS)
    floods = Windows(story, "flood")
    flaps = Windows(story, "flap", FLAP_GRACE)
    for row in connections:
        begin, end = row["begin"], row["begin"] + row["seconds"]
        beside = faults.over(begin, end)
        row["span"] = SPANS[2] if beside else SPANS[1] if floods.over(begin, end) else SPANS[0]
        row["verdict"] = "good"
        if not row["wrong"]:
            continue
        away = row["kind"] == "flap" and flaps.over(begin, end)
        if away and "bytes differ" not in row["wrong"]:
            row["verdict"] = "flap"
        elif beside and not any(word in row["wrong"] for word in INEXCUSABLE):
            row["verdict"] = "explained"
            row["by"] = ", ".join(sorted(set(beside)))
        else:
            row["verdict"] = "unexpected"


def latencies(connections):
    """Percentiles in seconds of connecting and of a whole short request, by span."""
    found = {}
    for span in SPANS:
        rows = [row for row in connections if row["span"] == span and not row["wrong"]
                and row["kind"] == conversation.NAMES[conversation.SHORT]]
        for what in ("connect", "seconds"):
            values = sorted(row[what] for row in rows)
            found.setdefault(what, {})[span] = {
                "n": len(values), **{"p%g" % p: percentile(values, p) for p in PERCENTS}}
    return found


def recoveries(connections, story):
    """Seconds from each return of the flapping server to the first client that got through."""
    ends = sorted(row["begin"] + row["seconds"] for row in connections
                  if row["kind"] == "flap" and not row["wrong"])
    found = []
    for row in story:
        if row["what"] == "flap":
            after = next((end for end in ends if end > row["end"]), None)
            found.append(None if after is None else round(after - row["end"], 2))
    return found


def log_levels(log):
    count = collections.Counter()
    for _, line in log:
        found = re.match(r"synfront: (?:(error|warning|debug): )?", line)
        count[found.group(1) or "notice" if found else "of DPDK itself"] += 1
    return dict(count)


def unforeseen(log, story):
    """Errors and warnings that neither a wrong configuration of the soak's own nor a fault
    explains."""
    faults = Windows(story, "fault", GRACE)
    lines = []
    for at, line in log:
        if not re.match(r"synfront: (error|warning): ", line) or "not reloaded" in line:
            continue
        if not any(re.search(FORETOLD[name], line) for name in faults.over(at - 1, at)
                   if name in FORETOLD):
            lines.append(line)
    return lines


def memory(rows):
    quarter = rows[len(rows) // 4]
    return {"begin": rows[0]["anonymous"], "after a quarter": quarter["anonymous"],
            "end": rows[-1]["anonymous"], "most": max(row["anonymous"] for row in rows),
            "rss": rows[-1]["rss"]}


def make(soak):
    """Everything that a run found, and whether it is clean."""
    connections, lags, left = read_connections(soak.out)
    story, rows = soak.story, soak.watch.rows
    judge(connections, story)
    unexpected = [row for row in connections if row["verdict"] == "unexpected"]
    equations = [line.partition("synfront: ")[2].strip() for _, line in soak.log
                 if "holds:" in line or "DOES NOT HOLD:" in line]
    surprises = unforeseen(soak.log, story)
    reloads = [row for row in story if row["what"] == "reload"]
    back = recoveries(connections, story)
    held = memory(rows)
    grown = held["end"] - held["after a quarter"]
    levels = log_levels(soak.log)
    first, last = soak.first, soak.last
    checks = []

    def check(what, good, detail):
        checks.append({"what": what, "good": bool(good), "detail": str(detail)})

    check("no connection failed without an explanation", not unexpected, len(unexpected))
    check("all connections came to an end", left == 0, "%s left" % left)
    check("every byte was what it should be",
          not any("bytes differ" in (row["wrong"] or "") for row in connections),
          "%d compared" % sum(row["bytes"] for row in connections))
    check("as many buffers in use as in the beginning",
          last["used"]["buffers"] == first["used"]["buffers"],
          "%d and %d" % (first["used"]["buffers"], last["used"]["buffers"]))
    for table in TRANSIENT:
        check("table %s is empty" % table, last["used"][table] == 0, last["used"][table])
    check("the engine's own account holds", soak.status == 0 and equations
          and all(line.startswith("holds") for line in equations),
          "status %d, %d equations" % (soak.status, len(equations)))
    check("memory has stopped growing", grown <= GROWTH_MAX, "%+d KiB" % (grown // 1024))
    check("no file or thread was left open", (first["files"], first["threads"]) ==
          (last["files"], last["threads"]), "%d and %d files, %d and %d threads" % (
              first["files"], last["files"], first["threads"], last["threads"]))
    check("telemetry always answered", not soak.watch.failures, soak.watch.failures[:3])
    check("each reload did what its file deserved",
          all(row["wrong"] == row["refused"] for row in reloads), "%d, of these %d refused" % (
              len(reloads), sum(row["refused"] for row in reloads)))
    check("no error or warning in the log but of refused reloads and of faults", not surprises,
          "%d: %s" % (len(surprises), "; ".join(surprises[:5])) if surprises else 0)
    check("the flapping server was found again each time",
          all(seconds is not None and seconds <= FLAP_GRACE for seconds in back),
          "missed %d times, found %d times, at worst after %s s" % (
              back.count(None), len(back) - back.count(None),
              max((seconds for seconds in back if seconds is not None), default="-")))
    return {
        "clean": all(row["good"] for row in checks), "checks": checks,
        "synfront": version(), "minutes": soak.chosen.minutes, "seed": soak.chosen.seed,
        "workers": soak.chosen.workers, "begun": soak.begun, "ended": soak.ended,
        "connections": table_of(connections), "failures": failures(connections),
        "unexpected": unexpected[:100], "latencies": latencies(connections),
        "bytes": sum(row["bytes"] for row in connections),
        "floods": [row for row in story if row["what"] == "flood"],
        "faults": collections.Counter(row["kind"] for row in story if row["what"] == "fault"),
        "flaps": back, "reloads": len(reloads), "log": levels, "equations": equations,
        "memory": held, "first": first, "last": last, "lags": lags, "story": story,
        "said": soak.log,
        "series": series(rows), "points": points(connections),
    }


def version():
    return subprocess.run((os.path.join(BUILD, "app/synfront"), "--version"),
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def table_of(connections):
    """Tried and failed, by kind and family."""
    table = {}
    for row in connections:
        cells = table.setdefault(row["kind"], collections.Counter())
        cells["IPv%d" % row["family"]] += 1
        cells[row["verdict"]] += 1
        cells["bytes"] += row["bytes"]
    return {kind: dict(cells) for kind, cells in sorted(table.items())}


def failures(connections):
    """How often each failure came, with what explains it."""
    count = collections.Counter()
    for row in connections:
        if row["wrong"]:
            count[(row["kind"], row["wrong"], row["verdict"], row.get("by", ""))] += 1
    return [{"kind": kind, "wrong": wrong, "verdict": verdict, "by": by, "n": n}
            for (kind, wrong, verdict, by), n in count.most_common()]


def series(rows):
    """What the plot needs of each sample."""
    return [{"at": row["at"], "cpu": row["cpu"], "rss": row["rss"],
             "anonymous": row["anonymous"], "used": row["used"],
             "cookie_mode": row["cookie_mode"], "answer_s": row["answer_s"],
             "stats": {name: row["stats"][name] for name in (
                 "received_outside", "received_inside", "syn_ack_sent", "answered_syn_cookie",
                 "spliced", "opened", "cookies_checked", "cookies_good")}} for row in rows]


def points(connections):
    """Begin, seconds and verdict of each short request, for the plot."""
    return [(row["begin"], row["seconds"], row["verdict"]) for row in connections
            if row["kind"] in (conversation.NAMES[conversation.SHORT], "flap")
            or row["verdict"] in ("unexpected", "explained")]


# As text

def table_text(head, rows):
    lines = ["| " + " | ".join(map(str, head)) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def milliseconds(value):
    return "-" if value is None else "%.1f" % (value * 1000)


def text(found):
    lines = ["# Soak: %s" % ("clean" if found["clean"] else "NOT CLEAN"), "",
             "%s, %g minutes, %d workers, seed %d." % (
                 found["synfront"], found["minutes"], found["workers"], found["seed"]), ""]
    lines += table_text(("check", "", "found"), (
        (row["what"], "holds" if row["good"] else "DOES NOT HOLD", row["detail"])
        for row in found["checks"]))
    lines += ["## Connections", ""]
    total = collections.Counter()
    rows = []
    for kind, cells in found["connections"].items():
        total.update(cells)
        rows.append((kind,) + tuple(cells.get(name, 0) for name in COLUMNS))
    rows.append(("all",) + tuple(total[name] for name in COLUMNS))
    lines += table_text(("kind", "IPv4", "IPv6", "good", "while its server was away",
                         "explained by a fault", "unexpected", "bytes compared"), rows)
    lines += ["## Failures", ""]
    lines += table_text(("kind", "what", "verdict", "fault", "how often"), (
        (row["kind"], row["wrong"], row["verdict"], row["by"], row["n"])
        for row in found["failures"])) if found["failures"] else ["None.", ""]
    lines += ["## Latency of short requests, ms", ""]
    rows = []
    for what, name in (("connect", "handshake"), ("seconds", "handshake to last byte")):
        for span in SPANS:
            cells = found["latencies"][what][span]
            rows.append((name, span, cells["n"]) + tuple(
                milliseconds(cells["p%g" % p]) for p in PERCENTS))
    lines += table_text(("what", "when", "requests") + tuple("p%g" % p for p in PERCENTS), rows)
    lines += ["The load's own process woke up late by %s ms at worst." % milliseconds(
        max((late for _, late in found["lags"]), default=None)), ""]
    return "\n".join(lines + text_of_engine(found)) + "\n"


COLUMNS = ("IPv4", "IPv6", "good", "flap", "explained", "unexpected", "bytes")


def text_of_engine(found):
    first, last = found["first"], found["last"]
    lines = ["## What was done to it", ""]
    lines += table_text(("what", "how often"), [
        ("floods (%d packets)" % sum(row["packets"] for row in found["floods"]),
         len(found["floods"])), ("reloads", found["reloads"]), ("flaps", len(found["flaps"]))]
        + [("fault: " + kind, n) for kind, n in sorted(found["faults"].items())])
    lines += ["## Tables and buffers in use", ""]
    most = collections.Counter()
    for row in found["series"]:
        for name, used in row["used"].items():
            most[name] = max(most[name], used)
    lines += table_text(("table", "at the beginning", "at most", "at the end"), (
        (name, first["used"][name], max(most[name], used), used)
        for name, used in last["used"].items()))
    held = found["memory"]
    lines += ["## Memory of the process, KiB", ""]
    lines += table_text(("anonymous, at the beginning", "after a quarter", "at most",
                         "at the end", "resident in all"), [
        tuple(held[name] // 1024 for name in ("begin", "after a quarter", "most", "end", "rss"))])
    lines += ["Log lines: %s." % ", ".join("%s %d" % pair for pair in sorted(
        found["log"].items())), "", "## The engine's account", ""]
    lines += ["- " + line for line in found["equations"]]
    return lines


def write(found, directory):
    """account.md, account.json, soak.svg, engine.log."""
    with open(os.path.join(directory, "engine.log"), "w") as file:
        file.writelines("%9.1f %s\n" % (at - found["begun"], line) for at, line in found["said"])
    with open(os.path.join(directory, "account.md"), "w") as file:
        file.write(text(found))
    with open(os.path.join(directory, "soak.svg"), "w") as file:
        file.write(chart.draw(found))
    with open(os.path.join(directory, "account.json"), "w") as file:
        json.dump(dict(found, said=None), file)
        file.write("\n")
