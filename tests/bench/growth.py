# SPDX-License-Identifier: BSD-3-Clause
"""Cost of a packet in memory, and how it grows: tests/bench/bench_core's rows.

No I/O: the functions that a worker runs, on one core. The floor is the same
loop when it only touches and swaps addresses.
"""

import json
import os
import subprocess

from stage import BUILD, CPUS, ENGINE_CPU

ENTRIES = (1000, 1000000, 16000000)
SERVICES = (1, 1000)
# Goals in time are ticks of a counter of this rate, whatever the rate of the counter here is.
GOAL_MHZ = 2600
GOAL_UNIT = "ticks at %.1f GHz" % (GOAL_MHZ / 1000)
# What is aimed at, in these ticks, for IPv4; for IPv6 a tenth more.
GOALS = {"syn-cookie": 45, "syn-cookie-proxy": 50, "syn-state": 110, "ack-first": 140, "ack-blind": 35,
         "client-64": 80, "client-1500": 80, "server-64": 80, "server-1500": 80, "foreign": 20}
# The same in instructions, of IPv4; tests/bench/guard counts them and holds what GUARD says.
INSTRUCTIONS = {"syn-cookie": 400, "syn-cookie-proxy": 450, "ack-first": 2500, "ack-blind": 330,
                "client-64": 420, "foreign": 180}
GUARD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guard.json")
# A flood of many kinds, against the mean of both families of one kind.
MIXED = 1.25
SPLICED = ("client-64", "client-1500", "server-64", "server-1500")
GROWN = 1.35  # the largest table against the smallest


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


def least(rows):
    """The run with the least median: neighbours of a virtual machine only ever add to it."""
    return min(rows, key=lambda row: row["ticks_median"])


def one(row, family, rounds=1, **more):
    """A row, the least of some runs of it."""
    return least(bench(row=row, family=family, **more)[0] for _ in range(rounds))


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


def goal_ticks(ticks, per_us):
    """Ticks of the time stamp counter, of which there are `per_us` here, in those of the goals."""
    return ticks * GOAL_MHZ / per_us


def in_turns(rounds, **options):
    """Rows of bench() as often, all of them in turn; of each row the least."""
    runs = [bench("--counters", **options) for _ in range(rounds)]
    return [least(of_row) for of_row in zip(*runs)]


def rows_of_one_run(results, repeats, rounds):
    """Every row at its usual size."""
    rows = in_turns(rounds, repeats=repeats)
    floor = {row["family"]: row["ticks_median"] for row in rows if row["row"] == "floor"}
    million = {(row["row"], row["family"]): row for name in SPLICED
               for row in in_turns(rounds, row=name, entries=1000000, repeats=repeats)}
    for row in rows:
        key = row["row"], row["family"]
        row = million.get(key, row)
        goal = GOALS.get(row["row"])
        if goal is not None and row["family"] == 6:
            goal *= 1.1
        ticks = goal_ticks(row["ticks_median"], row["ticks_per_us"])
        results.row("memory", "%s, IPv%d, %d entries" % (key + (row["entries"],)),
                    ticks / goal if goal else None, 1.0 if goal else None, True,
                    ours=ticks, peer=goal, unit=GOAL_UNIT,
                    note="%.1f ticks (%.1f to %.1f), floor %.1f; here %.1f Mpps at %.0f MHz%s" % (
                        row["ticks_median"], row["ticks_min"], row["ticks_max"],
                        floor[row["family"]], mpps(row), row["ticks_per_us"], counted(row)),
                    rows=[row])
    mixed(results, "memory", {"%s/%d" % (row["row"], row["family"]): row["ticks_median"]
                              for row in rows}, "ticks")
    results.series("memory", "One core, in memory, IPv4", "Mpps",
                   [(row["row"], mpps(million.get((row["row"], 4), row)), "synfront")
                    for row in rows if row["family"] == 4 and row["row"] != "floor"],
                   "the floor, addresses touched and swapped: %.0f Mpps" % max(
                       mpps(row) for row in rows if row["row"] == "floor"))


def mixed(results, topic, costs, unit):
    """A flood of all kinds beside one of a single kind."""
    plain = (costs["syn-cookie-proxy/4"] + costs["syn-cookie-proxy/6"]) / 2
    ours = (costs["syn-mixed/4"] + costs["syn-mixed/6"]) / 2
    results.row(topic, "syn-mixed against the mean of syn-cookie-proxy, " + unit, ours / plain, MIXED, True,
                ours=ours, peer=plain, unit=unit)


def instructions(results):
    """What the guard holds."""
    with open(GUARD) as file:
        held = json.load(file)
    for key, count in held["instructions"].items():
        name, family = key.split("/")
        goal = INSTRUCTIONS.get(name) if family == "4" else None
        results.row("code", "%s, IPv%s" % (name, family), count / goal if goal else None,
                    1.0 if goal else None, True, ours=count, peer=goal,
                    unit="instructions", note="counted with %s" % held["compiler"])
    mixed(results, "code", held["instructions"], "instructions")


def growth(results, name, sizes, option, label, bar, repeats, rounds):
    """Ticks of a row against one size, alternating between the sizes; the least of each."""
    ticks = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            ticks[size].append(one(name, 4, repeats=repeats, **{option: size})["ticks_median"])
    points = {size: min(values) for size, values in ticks.items()}
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
    repeats, rounds = (3, 1) if quick else (11, 6)
    sizes = ENTRIES[:2] if quick else ENTRIES
    rows_of_one_run(results, repeats, rounds)
    instructions(results)
    bars = []
    for name in ("client-64", "server-1500"):
        bars += growth(results, name, sizes, "entries", "entries", GROWN, repeats, rounds)
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
    found = [(name, one("syn-cookie", family, rounds, variant=name, repeats=repeats), family)
             for name in variants() for family in (4, 6)]
    for name, row, family in found:
        results.row("variant", "syn-cookie, IPv%d, %s" % (family, name), ours=mpps(row),
                    unit="Mpps", note="%.1f ticks" % row["ticks_median"])
    results.series("variants", "SYN by cookie against CPU variant", "Mpps",
                   [(name, mpps(row), "IPv%d" % family) for name, row, family in found])
