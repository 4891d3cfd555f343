# SPDX-License-Identifier: BSD-3-Clause
"""How soon a live list is in force, in a flood of those whom it denies.

`synfrontctl deny add` is in force when it returns: from its start to there is the time, and then it
is looked whether any more SYN of the prefix is answered. Alone, and with a million prefixes loaded.
"""

import os
import random
import time

from self_fed import SOURCES, SYNS, SelfFed
from stage import Stage, counters, median, wait_for

MILLION = 1000000
ADD_MOST_MS = 50


def is_answered(fed):
    """Whether a SYN has been answered since it was asked."""
    before = counters(fed.engine)
    after = {}

    def goes_on():
        after.update(counters(fed.engine))
        return after["received_outside"] > before["received_outside"] + SYNS

    wait_for("the flood to go on", goes_on, 10, 0.002)
    return after["answered_syn_cookie"] > before["answered_syn_cookie"]


def adds(fed, number):
    """Milliseconds of each `deny add`."""
    took = []
    for _ in range(number):
        assert is_answered(fed), "answered before"
        took.append(1e3 * fed.ctl("deny", "add", SOURCES)[0])
        assert not is_answered(fed), "answered after it had returned"
        fed.ctl("deny", "del", SOURCES)
    return took


def write_list(path):
    """A million addresses of elsewhere, each once."""
    with open(path, "w", encoding="ascii") as file:
        for number in random.Random(MILLION).sample(range(1 << 30), MILLION):
            file.write("%d.%d.%d.%d\n" % (64 + (number >> 24), number >> 16 & 255,
                                          number >> 8 & 255, number & 255))


def report(results, what, took):
    for name, value in (("median", median(took)), ("worst", max(took))):
        results.row("lists", "deny add until in force, %s, %s" % (what, name), value / ADD_MOST_MS,
                    1.0, True, value, ADD_MOST_MS, "ms", "what is allowed",
                    "of %d" % len(took), took_ms=took)


def run(results, quick):
    number, loads = (10, 1) if quick else (200, 5)
    with Stage() as stage:
        path = os.path.join(stage.work, "million")
        write_list(path)
        fed = SelfFed(stage)
        try:
            report(results, "empty lists", adds(fed, number))
            took, kept = [], []
            for _ in range(loads):
                marks = [fed.worker_so_far()]
                time.sleep(1)
                marks.append(fed.worker_so_far())
                took.append(fed.ctl("deny", "load", path)[0])
                marks.append(fed.worker_so_far())
                rates = [(after[0] - before[0]) / (after[1] - before[1])
                         for before, after in zip(marks, marks[1:])]
                kept.append(100 * rates[1] / rates[0])
            results.row("lists", "deny load of a million", ours=median(took), unit="s",
                        note="%.2f to %.2f s; meanwhile the worker does %.1f %% of what it does"
                             " else" % (min(took), max(took), median(kept)), took_s=took, kept=kept)
            report(results, "a million loaded", adds(fed, number))
        finally:
            fed.end()
