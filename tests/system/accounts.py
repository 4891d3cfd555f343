# SPDX-License-Identifier: BSD-3-Clause
"""Whether an engine's books are in order while it runs and when it ends: what
config/OPERATING.md says under "Reading the counters" must always hold, and buffers come back."""

import collections
import os
import re
import signal

from lab import ROOT, wait_for
from servers import ask, dial

# Of a connection that counts as opened and not as ended.
LIVE = ("CONNECTING", "SPLICED", "RESPONDING", "CLOSING")
HALF_OPEN_ENDS = ("completed", "expired", "reset", "replaced")
ENDS = ("completed", "expired", "evicted", "reset", "drained")


def outcome_names():
    """The counters of which each received frame is in exactly one."""
    with open(os.path.join(ROOT, "lib/proto/counters.def")) as file:
        return re.findall(r"^OUTCOME\((\w+),", file.read(), re.MULTILINE)


def used(engine):
    """Entries in use, by table; "buffers" are mbufs."""
    return {row["table"]: row["used"] for row in engine.report("memory")}


def debts(engine):
    """What does not add up now, as lines. Traffic between two questions shows here too."""
    stats = engine.counters()
    rows = engine.report("connections")
    tables = used(engine)
    live = sum(row["state"] in LIVE for row in rows)
    equations = (
        ("received = sum of outcomes",
         sum(stats.get("received_" + side, 0) for side in ("outside", "inside")),
         sum(stats[name] for name in outcome_names())),
        ("half-open made = ended + current", stats["half_open_made"],
         sum(stats["half_open_" + name] for name in HALF_OPEN_ENDS) + tables["half-open"]),
        ("opened = ended + current", stats["opened"], sum(stats[name] for name in ENDS) + live),
        ("connections in use = those listed", tables["connections"], len(rows)),
        ("held = connecting", tables["held"], sum(row["state"] == "CONNECTING" for row in rows)))
    return ["%s: %d and %d" % row for row in equations if row[1] != row[2]]


def buffers_at_rest(engine):
    """Buffers in use when nothing is under way: those that wait in receive rings."""
    last = []

    def steady():
        last.append(used(engine)["buffers"])
        return len(last) > 2 and last[-1] == last[-2] == last[-3]

    wait_for("the buffers in use to be steady", steady)
    return last[-1]


def accounts_balance(bench, buffers=None, slack=0):
    """The books of the engine in place add up, and no more buffers are in use than
    before, but for `slack` that a transmit ring may keep."""
    engine = bench.lab.engine
    found = []

    def balanced():
        found[:] = debts(engine)
        now = used(engine)["buffers"]
        if buffers is not None and now > buffers + slack:
            found.append("buffers in use: %d before, %d now" % (buffers, now))
        return not found

    try:
        wait_for("the accounts to balance", balanced)
    except TimeoutError as error:
        raise AssertionError("; ".join(found)) from error


def leaves_well(bench):
    """The engine ends at SIGTERM by itself, and its account adds up to the last buffer."""
    process = bench.lab.engine.process
    process.kill(signal.SIGTERM)
    status = process.wait(60)
    said = process.output()
    assert status == 0 and "DOES NOT HOLD" not in said, (status, said[-2000:])
    return said


def attempt(bench, port, family=4, source=None, patience=10):
    """What happens to one client of an echoing server."""
    try:
        with dial(bench.lab, port, family, source=source, timeout=patience) as connection:
            return "served" if ask(connection, b"anybody?") == b"anybody?" else "closed"
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "reset"
    except TimeoutError:
        return "silence"


class Fault:
    """One fault: a look at the books before, and record() when it is gone."""

    def __init__(self, bench, name, injected):
        self.bench, self.name, self.injected = bench, name, injected
        self.engine = bench.lab.engine
        self.buffers = buffers_at_rest(self.engine)
        self.said = len(self.engine.process.output())
        self.before = self.engine.counters()
        self.clients = collections.Counter()

    def log(self):
        """What the engine has logged since."""
        return self.engine.process.output()[self.said:]

    def logs(self, pattern, timeout=20):
        """Wait for a line that matches; the line."""
        return wait_for("a log line that matches: " + pattern,
                        lambda: re.search(".*" + pattern + ".*", self.log()), timeout).group(0)

    def grown(self, *names):
        """How much these counters have grown."""
        now = self.engine.counters()
        return {name: now[name] - self.before[name] for name in names}

    def grows(self, *names, timeout=20):
        """Wait until each of these counters has grown; how much each has."""
        wait_for("growth of " + ", ".join(names), lambda: all(self.grown(*names).values()),
                 timeout)
        return self.grown(*names)

    def client(self, port, **fields):
        """One client more; what happened to it."""
        outcome = attempt(self.bench, port, **fields)
        self.clients[outcome] += 1
        return outcome

    def record(self, port, counted, slack=0, meanwhile=""):
        """The fault is gone: new clients of both families get in, and the books are in order.
        `counted`: a dict of counters, or a line of the log, or several of these."""
        for family in (4, 6):
            outcome = attempt(self.bench, port, family)
            assert outcome == "served", (self.name, family, outcome)
        accounts_balance(self.bench, self.buffers, slack)
        if isinstance(counted, (str, dict)):
            counted = (counted,)
        texts = [", ".join("%s %d" % item for item in each.items()) if isinstance(each, dict)
                 else 'says: "%s"' % each.rpartition("synfront: ")[2] for each in counted]
        seen = ", ".join("%d %s" % (n, what) for what, n in sorted(self.clients.items()))
        self.bench.record("faults", fault=self.name, injected=self.injected,
                          counted="; ".join(texts),
                          clients="; ".join(filter(None, (seen, meanwhile, "afterwards served"))))
