# SPDX-License-Identifier: BSD-3-Clause
"""More SYNs than a core can answer: who loses, with a receive ring for SYNs and without.

tests/bench/bench_overload: the engine's worker on one CPU, with a model of a NIC as its port. Not over
memif: there a frame costs the engine as much to receive as to answer, and one CPU does not offer
three times what another answers.
"""

import json
import os
import subprocess

from stage import BUILD, ENGINE_CPU, median

TIMES = (1, 1.5, 3)
# Beside the flood, more segments of connections that are there than the core can deal with.
MANY = 20000000
# A row whose threads waited longer for their CPUs than this share says so.
WAITED_MOST = 0.01


def bench(times, seconds, *options):
    """The rows of one run by their names."""
    argv = [os.path.join(BUILD, "tests/bench/bench_overload"), "--json", "--times", str(times),
            "--seconds", str(seconds), *options, str(ENGINE_CPU)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, timeout=300)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(argv), done.stderr))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["row"]: row for row in rows}


def lost(row):
    return 100 * row["held_lost"] / max(row["held_sent"], 1)


def served(row):
    return 100 * row["served"] / max(row["started"], 1)


def of_share(row):
    """Clients served by their first SYN, to what share of all SYNs was answered."""
    return served(row) / 100 / min(row["answered"] / row["offered"], 1)


def rows_of(runs, function):
    """Medians, with a ring for SYNs and without."""
    return {"ours": median([function(run["steered"]) for run in runs]),
            "peer": median([function(run["one"]) for run in runs])}


def run(results, quick):
    repeats, seconds = (1, 0.1) if quick else (5, 0.5)
    for times in TIMES[-1:] if quick else TIMES:
        runs = [bench(times, seconds) for _ in range(repeats)]
        worst = max(row["waited"] for each in runs for row in each.values())
        note = "%.1f Mpps can be answered%s" % (
            median([each["one"]["capacity"] for each in runs]) / 1e6,
            "; disturbed: a thread waited %.0f %% of the time" % (100 * worst)
            if worst > WAITED_MOST else "")
        label = "%g times the SYNs of a core: " % times
        against = "one ring for all"
        established = rows_of(runs, lost)
        results.row("overload", label + "established segments lost", established["ours"] / 100,
                    0.01, at_most=True, unit="%", against=against, note=note, runs=runs,
                    **established)
        results.row("overload", label + "clients served, of their share",
                    rows_of(runs, of_share)["ours"], 0.9, unit="%", against=against,
                    **rows_of(runs, served))
        answered = rows_of(runs, lambda row: row["answered"] / 1e6)
        results.row("overload", label + "answered, of the capacity",
                    median([each["steered"]["answered"] / each["steered"]["capacity"]
                            for each in runs]), 0.9, unit="Mpps", against=against, **answered)
    runs = [bench(3, seconds, "--held", str(MANY)) for _ in range(repeats)]
    established = rows_of(runs, lost)
    results.row("overload", "a core full of data, and 3 times its SYNs: established lost",
                established["ours"] / 100, 0.01, at_most=True, unit="%", against="one ring for all",
                runs=runs, **established)
    results.row("overload", "... SYNs answered to each established segment",
                median([each["steered"]["answered"] * each["steered"]["seconds"] /
                        each["steered"]["held_sent"] for each in runs]),
                **rows_of(runs, lambda row: row["answered"] / 1e6), unit="Mpps",
                against="one ring for all")
