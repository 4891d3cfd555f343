# SPDX-License-Identifier: BSD-3-Clause
"""Cost of a packet in memory, and how it grows: tests/bench/bench_core's rows.

No I/O: the functions that a worker runs, on one core. The floor is the same
loop when it only touches and swaps addresses.
"""

import json
import os
import subprocess

from stage import BUILD, CPUS, ENGINE_CPU, median

ENTRIES = (1000, 1000000, 16000000)
SERVICES = (1, 1000)
# The bars are in Mpps at 2 GHz, so in ticks of any time stamp counter: 2000 / Mpps.
BARS = {("syn-cookie", 4): 30, ("syn-cookie", 6): 20, ("ack-blind", 4): 40, ("client-64", 4): 15,
        ("client-1500", 4): 15, ("server-64", 4): 15, ("server-1500", 4): 15, ("ack-first", 4): 8}
SPLICED = ("client-64", "client-1500", "server-64", "server-1500")
BAR_HZ = 2000


def bench(*options, **more):
    """Rows of one run, on the engine's CPU; several workers on all CPUs."""
    cpus = {ENGINE_CPU} if more.get("workers", 1) == 1 else CPUS
    argv = ["taskset", "-c", ",".join(map(str, cpus)),
            os.path.join(BUILD, "tests/bench/bench_core"), "--json", *options]
    for key, value in more.items():
        argv += ["--" + key, str(value)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, timeout=600)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(argv), done.stderr))
    return json.loads(done.stdout)


def one(row, family, **more):
    return bench(row=row, family=family, **more)[0]


def variants():
    """The cookie variants that this CPU has, widest last."""
    found = []
    for name in ("aesni", "vaes256", "vaes512"):
        try:
            found.append((name, one("syn-cookie", 4, variant=name, repeats=1, bursts=10)))
        except RuntimeError:
            continue
    return [name for name, _ in found]


def mpps(row):
    return row["ticks_per_us"] / row["ticks_median"]


def counted(row):
    """What the processor counts per packet, where it does, as `perf stat` names it."""
    return "".join("; %.3g %s" % (value, name)
                   for name, value in row.get("counters", {}).items())


def ticks_per_us():
    """Of the time stamp counter."""
    return one("floor", 4, repeats=1, bursts=10)["ticks_per_us"]


def rows_of_one_run(results, repeats):
    """Every row at its usual size; the bars are written for a 2 GHz counter."""
    rows = bench("--counters", repeats=repeats)
    floor = {row["family"]: row["ticks_median"] for row in rows if row["row"] == "floor"}
    million = {(row["row"], row["family"]): row for name in SPLICED
               for row in bench("--counters", row=name, entries=1000000, repeats=repeats)}
    for row in rows:
        key = row["row"], row["family"]
        row = million.get(key, row)
        bar = BARS.get(key)
        at_bar_hz = BAR_HZ / row["ticks_median"]
        results.row("memory", "%s, IPv%d, %d entries" % (key + (row["entries"],)),
                    at_bar_hz / bar if bar else None, 1.0 if bar else None,
                    ours=at_bar_hz, peer=bar, unit="Mpps at %d GHz" % (BAR_HZ / 1000),
                    note="%.1f ticks (%.1f to %.1f), floor %.1f; here %.1f Mpps at %.0f MHz%s" % (
                        row["ticks_median"], row["ticks_min"], row["ticks_max"],
                        floor[row["family"]], mpps(row), row["ticks_per_us"], counted(row)),
                    rows=[row])
    results.series("memory", "One core, in memory, IPv4", "Mpps",
                   [(row["row"], mpps(million.get((row["row"], 4), row)), "synfront")
                    for row in rows if row["family"] == 4 and row["row"] != "floor"],
                   "the floor, addresses touched and swapped: %.0f Mpps" % max(
                       mpps(row) for row in rows if row["row"] == "floor"))


def growth(results, name, sizes, option, label, bar, repeats, rounds):
    """Ticks of a row against one size, alternating between the sizes."""
    ticks = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            ticks[size].append(one(name, 4, repeats=repeats, **{option: size})["ticks_median"])
    points = {size: median(values) for size, values in ticks.items()}
    for size in sizes[1:]:
        results.row("growth", "%s: %s %s against %s" % (name, size, label, sizes[0]),
                    points[size] / points[sizes[0]], bar, True, ours=points[size],
                    peer=points[sizes[0]], unit="ticks", ticks=points)
    return [(str(size), points[size], name) for size in sizes]


def hand_over(results, repeats):
    """What a segment costs that arrives at another worker than its owner's."""
    if len(CPUS) < 2:
        print("one CPU: no hand-over between two")
        return
    argv = [os.path.join(BUILD, "tests/bench/bench_hand_over"), "--json", "--repeats",
            str(repeats), str(CPUS[0]), str(CPUS[1])]
    rows = {row["row"]: row for row in json.loads(
        subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout)}
    for name, label in (("give", "given to its owner's ring"),
                        ("take", "taken from the ring and parsed")):
        row, parse = rows[name], rows["parse"]
        results.row("growth", "hand-over: a segment " + label,
                    row["ticks_median"] / parse["ticks_median"], ours=row["ticks_median"],
                    peer=parse["ticks_median"], unit="ticks", against="parsing it", rows=[row],
                    note="%.1f to %.1f ticks; SYNs of a flood are never handed over" % (
                        row["ticks_min"], row["ticks_max"]))


def run(results, quick):
    repeats, rounds = (3, 1) if quick else (11, 2)
    sizes = ENTRIES[:2] if quick else ENTRIES
    rows_of_one_run(results, repeats)
    bars = []
    for name in ("client-64", "server-1500"):
        bars += growth(results, name, sizes, "entries", "entries", 2.0, repeats, rounds)
    results.series("entries", "Ticks against connections", "ticks", bars)
    bars = []
    for name in ("syn-cookie", "client-64"):
        bars += growth(results, name, SERVICES, "services", "services", 1.1, repeats, rounds)
    results.series("services", "Ticks against services", "ticks", bars)
    bars = []
    for name in ("syn-cookie", "ack-first", "client-64"):
        bars += growth(results, name, (1, len(CPUS)), "workers", "workers, each", None, repeats,
                       rounds)
    results.series("workers", "Ticks of each worker against workers", "ticks", bars,
                   "tables of their own, one policy and one set of secrets for all")
    hand_over(results, repeats)
    found = [(name, one("syn-cookie", family, variant=name, repeats=repeats), family)
             for name in variants() for family in (4, 6)]
    for name, row, family in found:
        results.row("variant", "syn-cookie, IPv%d, %s" % (family, name), ours=mpps(row),
                    unit="Mpps", note="%.1f ticks" % row["ticks_median"])
    results.series("variants", "SYN by cookie against CPU variant", "Mpps",
                   [(name, mpps(row), "IPv%d" % family) for name, row, family in found])
